//! Changes of a text that leave the rest of it as it is.

use std::ops::Range;

/// A piece of text in another's place.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Edit {
    pub(crate) range: Range<usize>,
    pub(crate) text: String,
}

impl Edit {
    pub(crate) fn replace(range: Range<usize>, text: impl Into<String>) -> Self {
        Self { range, text: text.into() }
    }

    pub(crate) fn insert(at: usize, text: impl Into<String>) -> Self {
        Self::replace(at..at, text)
    }
}

/// The text with all edits made. None of them if two overlap, or if one lies outside the text.
pub(crate) fn apply(text: &str, mut edits: Vec<Edit>) -> Option<String> {
    edits.sort_by_key(|edit| (edit.range.start, edit.range.end));
    let mut edited = String::with_capacity(text.len() + 64);
    let mut at = 0;
    for edit in &edits {
        edited.push_str(text.get(at..edit.range.start)?);
        edited.push_str(&edit.text);
        at = edit.range.end;
    }
    edited.push_str(text.get(at..)?);
    Some(edited)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_made_in_place() {
        let edits = vec![Edit::insert(6, "!"), Edit::replace(0..1, "J")];
        assert_eq!(apply("hello\u{e9}", edits), None, "6 is within a character");
        let edits = vec![Edit::insert(5, "!"), Edit::replace(0..1, "J")];
        assert_eq!(apply("hello\u{e9}", edits).unwrap(), "Jello!\u{e9}");
        let overlapping = vec![Edit::replace(0..3, ""), Edit::replace(1..2, "")];
        assert_eq!(apply("hello", overlapping), None);
    }
}
