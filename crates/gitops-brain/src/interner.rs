//! Texts that are kept once, however many records hold them.

use std::sync::Arc;

use crate::{
    ancestry::{CommitGraph, CommitIndex},
    hashing,
    observation::commit_in,
};

/// A text's place.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct TextIndex(u32);

impl From<TextIndex> for u16 {
    fn from(index: TextIndex) -> Self {
        Self::try_from(index.0).unwrap_or(Self::MAX)
    }
}

/// Texts, each kept once. Past its bound it keeps one text for all that come: a sender must not be
/// able to fill the memory.
#[derive(Clone, Debug)]
pub(crate) struct Interner {
    index: hashing::HashMap<Arc<str>, TextIndex>,
    texts: Vec<Arc<str>>,
    bound: usize,
}

impl Interner {
    pub(crate) fn new(bound: usize) -> Self {
        Self { index: hashing::map(), texts: Vec::new(), bound }
    }

    pub(crate) fn find(&self, text: &str) -> Option<TextIndex> {
        self.index.get(text).copied()
    }

    pub(crate) fn intern(&mut self, text: &str) -> TextIndex {
        if let Some(index) = self.find(text) {
            return index;
        }
        if self.texts.len() >= self.bound {
            return TextIndex(u32::try_from(self.bound).unwrap_or(u32::MAX) - 1);
        }
        let index = TextIndex(u32::try_from(self.texts.len()).unwrap_or(u32::MAX));
        // The last place stands for all that come after it.
        let text: Arc<str> =
            if self.texts.len() + 1 == self.bound { "…".into() } else { text.into() };
        self.texts.push(Arc::clone(&text));
        self.index.insert(text, index);
        index
    }

    pub(crate) fn text(&self, index: TextIndex) -> &str {
        self.texts.get(index.0 as usize).map_or("", |text| text)
    }

    pub(crate) fn text_at(&self, index: u16) -> &str {
        self.text(TextIndex(u32::from(index)))
    }
}

/// Revisions as Flux wrote them, each read once.
#[derive(Clone, Debug)]
pub(crate) struct Revisions {
    texts: Interner,
    commits: Vec<Option<CommitIndex>>,
}

impl Revisions {
    pub(crate) fn new(bound: usize) -> Self {
        Self { texts: Interner::new(bound), commits: Vec::new() }
    }

    /// A text's place, and the commit that it names.
    pub(crate) fn read(
        &mut self,
        text: &str,
        graph: &mut CommitGraph,
    ) -> (TextIndex, Option<CommitIndex>) {
        if let Some(index) = self.texts.find(text)
            && let Some(commit) = self.commits.get(index.0 as usize)
        {
            return (index, *commit);
        }
        let commit = commit_in(text).map(|commit| graph.mention(commit, 0));
        let index = self.texts.intern(text);
        if self.commits.len() == index.0 as usize {
            self.commits.push(commit);
        }
        (index, commit)
    }

    pub(crate) fn text(&self, index: TextIndex) -> &str {
        self.texts.text(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_there_is_no_room_for_shares_the_last_place() {
        let mut interner = Interner::new(3);
        let places = ["a", "b", "c", "d", "a", "e"].map(|text| interner.intern(text));
        assert_eq!(places, [0, 1, 2, 2, 0, 2].map(TextIndex));
        assert_eq!(places.map(|place| interner.text(place)), ["a", "b", "…", "…", "a", "…"]);
    }
}
