//! How commits descend from each other: what was said of it, and the graph that it makes.

use std::{
    collections::{BinaryHeap, HashMap, HashSet, VecDeque},
    mem,
};

use serde::{Deserialize, Serialize};

use crate::{
    chart::CommitPrefix,
    commit::{CommitId, CommitObject, CommitObjectError},
    hashing,
};

/// What was said of the descent of commits. A union: what is said again, or in another order, makes
/// the same graph.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Ancestry {
    /// The parents of commits, all of them: no parents means a root.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parents: Vec<Parents>,
    /// Commits that are known to contain others. Nothing follows of what they do *not* contain.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub contains: Vec<Contains>,
}

/// All parents of one commit.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[expect(
    clippy::exhaustive_structs,
    reason = "a commit has parents, and nothing more is to be said"
)]
pub struct Parents {
    /// The commit.
    pub commit: CommitId,
    /// Its parents; none for a root.
    pub parents: Vec<CommitId>,
}

/// Some ancestors of one commit, as a git host's push webhook tells them.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[expect(clippy::exhaustive_structs, reason = "it says this and nothing more")]
pub struct Contains {
    /// The commit.
    pub commit: CommitId,
    /// Commits that it descends from.
    pub ancestors: Vec<CommitId>,
}

impl Ancestry {
    /// What raw commit objects prove, as `git cat-file commit <id>` prints them. The id of each is
    /// recomputed from its bytes, so nobody can claim parents that a commit does not have, and a
    /// shallow clone cannot pass its boundary off as a root.
    ///
    /// # Errors
    ///
    /// If one of them is not a commit object.
    pub fn from_objects<T: AsRef<[u8]>>(
        objects: impl IntoIterator<Item = T>,
    ) -> Result<Self, CommitObjectError> {
        let parents = objects
            .into_iter()
            .map(|object| {
                let CommitObject { id, parents, .. } = CommitObject::parse(object.as_ref())?;
                Ok(Parents { commit: id, parents })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { parents, contains: Vec::new() })
    }

    /// Parents that somebody claims without proof.
    #[must_use]
    pub fn claimed(parents: Vec<Parents>) -> Self {
        Self { parents, contains: Vec::new() }
    }

    /// Whether it says nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.parents.is_empty() && self.contains.is_empty()
    }
}

/// A commit within the graph.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct CommitIndex(pub(crate) u32);

impl CommitIndex {
    fn get(self) -> usize {
        self.0 as usize
    }
}

/// All commits that were heard of, and what is known of their descent.
///
/// Each has a *level* above those of all that it is known to descend from. A search for `C` from one
/// of its descendants never has to look at or below the level of `C`, so it costs what lies between
/// the two and not what lies beneath.
#[derive(Clone, Debug)]
pub(crate) struct CommitGraph {
    index: hashing::HashMap<CommitId, CommitIndex>,
    nodes: Vec<Node>,
    /// The commits that are known to be, in the order in which that was learned.
    known: Vec<CommitIndex>,
    /// Which of them begin so; made when it is first asked for, for most have no use for it.
    prefixes: Option<hashing::HashMap<CommitPrefix, Links>>,
    /// Claims can contradict each other. Levels mean nothing then, and searches do without.
    cyclic: bool,
}

#[derive(Clone, Debug)]
struct Node {
    id: CommitId,
    level: i64,
    parents: Links,
    /// Ancestors that are not known to be parents.
    contains: Links,
    /// The reverse of both.
    children: Links,
    parents_known: bool,
    /// Whether something that is kept names it; what merely passes by may do so today and not
    /// tomorrow.
    is_known: bool,
}

/// Few commits have more than one parent or child: those need no memory of their own.
#[derive(Clone, Debug, Default)]
enum Links {
    #[default]
    None,
    One(CommitIndex),
    #[expect(clippy::box_collection, reason = "keeps the usual cases at 16 bytes")]
    Many(Box<Vec<CommitIndex>>),
}

impl Links {
    fn as_slice(&self) -> &[CommitIndex] {
        match self {
            Self::None => &[],
            Self::One(link) => std::slice::from_ref(link),
            Self::Many(links) => links,
        }
    }

    fn insert(&mut self, link: CommitIndex) -> bool {
        if self.as_slice().contains(&link) {
            return false;
        }
        *self = match mem::take(self) {
            Self::None => Self::One(link),
            Self::One(first) => Self::Many(Box::new(vec![first, link])),
            Self::Many(mut links) => {
                links.push(link);
                Self::Many(links)
            }
        };
        true
    }
}

impl CommitGraph {
    pub(crate) fn new() -> Self {
        Self {
            index: hashing::map(),
            nodes: Vec::new(),
            known: Vec::new(),
            prefixes: None,
            cyclic: false,
        }
    }

    pub(crate) fn find(&self, id: &CommitId) -> Option<CommitIndex> {
        self.index.get(id).copied()
    }

    /// The place of a commit that is known to be, with room made for it if it is new.
    pub(crate) fn intern(&mut self, id: CommitId) -> CommitIndex {
        self.intern_at(id, 0)
    }

    fn intern_at(&mut self, id: CommitId, level: i64) -> CommitIndex {
        let commit = self.mention(id, level);
        self.note(commit);
        commit
    }

    /// Notes that a commit is known to be.
    pub(crate) fn note(&mut self, commit: CommitIndex) {
        let Some(node) = self.nodes.get_mut(commit.get()).filter(|node| !node.is_known) else {
            return;
        };
        node.is_known = true;
        self.known.push(commit);
        if let (Some(prefixes), Some(prefix)) = (&mut self.prefixes, CommitPrefix::of(&node.id)) {
            prefixes.entry(prefix).or_default().insert(commit);
        }
    }

    /// The place of a commit that somebody mentions.
    pub(crate) fn mention(&mut self, id: CommitId, level: i64) -> CommitIndex {
        *self.index.entry(id).or_insert_with(|| {
            // Four thousand million commits would need more memory than there is.
            let index = CommitIndex(u32::try_from(self.nodes.len()).unwrap_or(u32::MAX));
            self.nodes.push(Node {
                id,
                level,
                parents: Links::None,
                contains: Links::None,
                children: Links::None,
                parents_known: false,
                is_known: false,
            });
            index
        })
    }

    pub(crate) fn id(&self, commit: CommitIndex) -> Option<CommitId> {
        self.nodes.get(commit.get()).map(|node| node.id)
    }

    /// Makes [`CommitGraph::beginning_with`] answer.
    pub(crate) fn index_prefixes(&mut self) {
        let (nodes, known) = (&self.nodes, &self.known);
        self.prefixes.get_or_insert_with(|| {
            let mut prefixes: hashing::HashMap<_, Links> = hashing::map();
            for commit in known {
                let node = nodes.get(commit.get());
                if let Some(prefix) = node.and_then(|node| CommitPrefix::of(&node.id)) {
                    prefixes.entry(prefix).or_default().insert(*commit);
                }
            }
            prefixes
        });
    }

    /// The commits that are known to be and begin so.
    pub(crate) fn beginning_with(&self, prefix: CommitPrefix) -> &[CommitIndex] {
        let found = self.prefixes.as_ref().and_then(|prefixes| prefixes.get(&prefix));
        found.map_or(&[], Links::as_slice)
    }

    /// The commits that are known to be, in the order in which that was learned.
    pub(crate) fn known(&self) -> &[CommitIndex] {
        &self.known
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = CommitId> {
        self.nodes.iter().map(|node| node.id)
    }

    /// Takes in what was said. Returns whether anything of it is new.
    pub(crate) fn extend(&mut self, ancestry: &Ancestry) -> bool {
        let mut changed = false;
        for Parents { commit, parents } in &ancestry.parents {
            let child = self.intern(*commit);
            for parent in parents {
                changed |= self.link(child, *parent, |node| &mut node.parents);
            }
            if let Some(node) = self.nodes.get_mut(child.get()) {
                changed |= !mem::replace(&mut node.parents_known, true);
            }
        }
        for Contains { commit, ancestors } in &ancestry.contains {
            let child = self.intern(*commit);
            for ancestor in ancestors {
                changed |= self.link(child, *ancestor, |node| &mut node.contains);
            }
        }
        changed
    }

    fn link(
        &mut self,
        child: CommitIndex,
        parent: CommitId,
        links: impl Fn(&mut Node) -> &mut Links,
    ) -> bool {
        let Some(node) = self.nodes.get(child.get()) else { return false };
        if node.id == parent {
            return false;
        }
        // A parent that is new goes one level down, a child that is new one level up: a history that
        // comes in its own order, either way round, never has to be levelled again.
        let unlinked = node.level == 0
            && matches!(
                (&node.parents, &node.contains, &node.children),
                (Links::None, Links::None, Links::None)
            );
        let parent = self.intern_at(parent, node.level - 1);
        let level = self.level(parent) + 1;
        let Some(node) = self.nodes.get_mut(child.get()) else { return false };
        if !links(node).insert(parent) {
            return false;
        }
        if unlinked {
            node.level = level;
        }
        let raise = node.level < level;
        if let Some(node) = self.nodes.get_mut(parent.get()) {
            node.children.insert(child);
        }
        if raise {
            self.raise(child, level, parent);
        }
        true
    }

    /// Puts a commit on a higher level, and its descendants above it.
    fn raise(&mut self, commit: CommitIndex, level: i64, parent: CommitIndex) {
        if self.cyclic {
            return;
        }
        let mut queue = VecDeque::from([(commit, level)]);
        while let Some((commit, level)) = queue.pop_front() {
            if commit == parent {
                self.cyclic = true;
                return;
            }
            let Some(node) = self.nodes.get_mut(commit.get()) else { continue };
            if node.level < level {
                node.level = level;
                queue.extend(node.children.as_slice().iter().map(|child| (*child, level + 1)));
            }
        }
    }

    fn level(&self, commit: CommitIndex) -> i64 {
        self.nodes.get(commit.get()).map_or(0, |node| node.level)
    }

    fn parents(&self, commit: CommitIndex) -> &[CommitIndex] {
        self.nodes.get(commit.get()).map_or(&[], |node| node.parents.as_slice())
    }

    /// Everything that a commit is directly known to descend from.
    fn ancestors(&self, commit: CommitIndex) -> impl Iterator<Item = CommitIndex> {
        let node = self.nodes.get(commit.get());
        let parents = node.map_or(&[][..], |node| node.parents.as_slice());
        let contains = node.map_or(&[][..], |node| node.contains.as_slice());
        parents.iter().chain(contains).copied()
    }

    /// Whether `commit` is `ancestor`, or is known to descend from it.
    pub(crate) fn contains(&self, commit: CommitIndex, ancestor: CommitIndex) -> bool {
        if commit == ancestor {
            return true;
        }
        let floor = if self.cyclic { i64::MIN } else { self.level(ancestor) };
        let above = |at| self.ancestors(at).filter(move |way| self.level(*way) >= floor);
        // Most is found on the line of first parents, on which nothing is met twice.
        if !self.cyclic {
            let (mut at, mut has_forks) = (commit, false);
            loop {
                let mut ways = above(at);
                let Some(way) = ways.next() else { break };
                if way == ancestor {
                    return true;
                }
                has_forks |= ways.next().is_some();
                at = way;
            }
            if !has_forks {
                return false;
            }
        }
        let mut seen = HashSet::from([commit]);
        let mut stack = vec![commit];
        while let Some(at) = stack.pop() {
            if at == ancestor {
                return true;
            }
            stack.extend(above(at).filter(|way| seen.insert(*way)));
        }
        false
    }

    /// Whether it is known that `commit` does *not* contain `other`: every path back from it ends in
    /// an ancestor of `other`, or in a root.
    pub(crate) fn lacks(&self, commit: CommitIndex, other: CommitIndex) -> bool {
        if self.contains(commit, other) {
            return false;
        }
        if self.cyclic {
            self.leads_to(commit, &self.reach(other))
        } else {
            // An ancestor of it, as most that are asked about are, cannot contain it.
            self.contains(other, commit) || self.lacks_by_level(commit, other)
        }
    }

    /// Walks back from both at once, highest level first: whatever descends from a commit was looked
    /// at before it, so that the walk can end at the merge bases.
    fn lacks_by_level(&self, commit: CommitIndex, other: CommitIndex) -> bool {
        const OURS: u8 = 1;
        const THEIRS: u8 = 2;
        let mut marks: HashMap<CommitIndex, u8> = HashMap::from([(commit, OURS), (other, THEIRS)]);
        let mut queue =
            BinaryHeap::from([(self.level(commit), commit), (self.level(other), other)]);
        let mut open = 1;
        while open > 0 {
            let Some((_, commit)) = queue.pop() else { break };
            let mark = marks.get(&commit).copied().unwrap_or_default();
            let ours = mark == OURS;
            if ours {
                open -= 1;
                if !self.nodes.get(commit.get()).is_some_and(|node| node.parents_known) {
                    return false;
                }
            }
            let passed_on = if ours { OURS } else { THEIRS };
            let mut visit = |parent: CommitIndex| {
                let mark = marks.entry(parent).or_insert_with(|| {
                    queue.push((self.level(parent), parent));
                    0
                });
                let before = mem::replace(mark, *mark | passed_on);
                match (before == OURS, *mark == OURS) {
                    (false, true) => open += 1,
                    (true, false) => open -= 1,
                    _ => {}
                }
            };
            if ours {
                self.parents(commit).iter().copied().for_each(&mut visit);
            } else {
                self.ancestors(commit).for_each(&mut visit);
            }
        }
        true
    }

    /// The same for a commit that nothing was ever said of: it is no ancestor of any that is known.
    pub(crate) fn lacks_unheard(&self, commit: CommitIndex) -> bool {
        self.leads_to(commit, &HashSet::new())
    }

    /// Whether every path back from a commit is known until it ends in one of some others or in a
    /// root.
    fn leads_to(&self, commit: CommitIndex, theirs: &HashSet<CommitIndex>) -> bool {
        let mut seen = HashSet::from([commit]);
        let mut stack = vec![commit];
        while let Some(commit) = stack.pop() {
            if theirs.contains(&commit) {
                continue;
            }
            if !self.nodes.get(commit.get()).is_some_and(|node| node.parents_known) {
                return false;
            }
            stack
                .extend(self.parents(commit).iter().copied().filter(|parent| seen.insert(*parent)));
        }
        true
    }

    /// Whether one of two commits is known to contain the other.
    pub(crate) fn related(&self, one: CommitIndex, other: CommitIndex) -> bool {
        self.contains(one, other) || self.contains(other, one)
    }

    /// Whether anything that a commit descends from is known, or that it is a root.
    pub(crate) fn knows_parents(&self, commit: CommitIndex) -> bool {
        let node = self.nodes.get(commit.get());
        node.is_some_and(|node| node.parents_known || !node.contains.as_slice().is_empty())
    }

    /// A commit and all that it is known to descend from.
    pub(crate) fn reach(&self, commit: CommitIndex) -> HashSet<CommitIndex> {
        let mut seen = HashSet::from([commit]);
        let mut stack = vec![commit];
        while let Some(commit) = stack.pop() {
            stack.extend(self.ancestors(commit).filter(|parent| seen.insert(*parent)));
        }
        seen
    }

    /// A commit and all that are known to descend from it, nearest first.
    pub(crate) fn descendants(&self, commit: CommitIndex) -> impl Iterator<Item = CommitIndex> {
        let mut seen = HashSet::from([commit]);
        let mut queue = VecDeque::from([commit]);
        std::iter::from_fn(move || {
            let commit = queue.pop_front()?;
            let children =
                self.nodes.get(commit.get()).map_or(&[][..], |node| node.children.as_slice());
            queue.extend(children.iter().copied().filter(|child| seen.insert(*child)));
            Some(commit)
        })
    }

    /// Whether some commits are known to have no history in common with another: all are known back
    /// to their roots, and never meet. They are of different repositories.
    pub(crate) fn unrelated(&self, ones: Vec<CommitIndex>, other: CommitIndex) -> bool {
        let Some(ours) = self.whole_history(ones) else { return false };
        let Some(theirs) = self.whole_history(vec![other]) else { return false };
        ours.is_disjoint(&theirs)
    }

    fn whole_history(&self, commits: Vec<CommitIndex>) -> Option<HashSet<CommitIndex>> {
        let mut seen: HashSet<_> = commits.iter().copied().collect();
        let mut stack = commits;
        while let Some(commit) = stack.pop() {
            if !self.nodes.get(commit.get())?.parents_known {
                return None;
            }
            stack.extend(self.ancestors(commit).filter(|parent| seen.insert(*parent)));
        }
        Some(seen)
    }

    /// All that is known, in the order of the commits' ids.
    pub(crate) fn to_ancestry(&self) -> Ancestry {
        let ids = |links: &Links| {
            let mut ids: Vec<_> =
                links.as_slice().iter().filter_map(|link| self.id(*link)).collect();
            ids.sort_unstable();
            ids
        };
        let mut ancestry = Ancestry::default();
        for node in &self.nodes {
            if node.parents_known {
                ancestry.parents.push(Parents { commit: node.id, parents: ids(&node.parents) });
            }
            if !matches!(node.contains, Links::None) {
                ancestry
                    .contains
                    .push(Contains { commit: node.id, ancestors: ids(&node.contains) });
            }
        }
        ancestry.parents.sort_unstable();
        ancestry.contains.sort_unstable();
        ancestry
    }

    /// What is needed to relate a set of commits to each other: their histories, down to where all of
    /// those that are connected have met.
    pub(crate) fn between(&self, anchors: &[CommitIndex]) -> Ancestry {
        let needed = self.needed(anchors);
        let mut ancestry = self.to_ancestry();
        let kept = |id: &CommitId| self.find(id).is_some_and(|commit| needed.contains(&commit));
        ancestry.parents.retain(|parents| kept(&parents.commit));
        ancestry.contains.retain(|contains| kept(&contains.commit));
        ancestry
    }

    fn needed(&self, anchors: &[CommitIndex]) -> HashSet<CommitIndex> {
        let below = self.below(anchors);
        let mut needed: HashSet<_> = anchors.iter().copied().collect();
        let mut stack: Vec<_> = needed.iter().copied().collect();
        while let Some(commit) = stack.pop() {
            let ways = self.ancestors(commit).filter(|way| !below.contains(way));
            stack.extend(ways.filter(|way| needed.insert(*way)));
        }
        needed
    }

    /// The commits that all anchors with a history in common contain: nothing tells those anchors
    /// apart below them.
    fn below(&self, anchors: &[CommitIndex]) -> HashSet<CommitIndex> {
        let mut anchors = anchors.to_vec();
        // Levels mean nothing if claims contradict each other, and places never do.
        let level = |commit| if self.cyclic { 0 } else { self.level(commit) };
        anchors.sort_unstable_by_key(|commit| (level(*commit), self.id(*commit)));
        // Anchors that contain another one contain all that it does: only the oldest are compared.
        let mut oldest: Vec<CommitIndex> = Vec::new();
        for anchor in anchors {
            if !oldest.iter().any(|old| self.contains(anchor, *old)) {
                oldest.push(anchor);
            }
        }
        // Histories that meet, each group with what is in all of them and what is in any.
        let mut groups: Vec<(HashSet<CommitIndex>, HashSet<CommitIndex>)> = Vec::new();
        for old in oldest {
            let mut any = self.reach(old);
            let mut all = any.clone();
            all.remove(&old);
            let (meeting, apart): (Vec<_>, Vec<_>) =
                groups.into_iter().partition(|(_, reach)| !reach.is_disjoint(&any));
            groups = apart;
            for (others, reach) in meeting {
                all.retain(|commit| others.contains(commit));
                any.extend(reach);
            }
            groups.push((all, any));
        }
        groups.into_iter().flat_map(|(all, _)| all).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(number: usize) -> CommitId {
        format!("{number:040x}").parse().unwrap()
    }

    /// A graph of claims, each a commit and its parents, in the order in which they come.
    fn graph(claims: &[(usize, Vec<usize>)]) -> CommitGraph {
        let mut graph = CommitGraph::new();
        for (commit, parents) in claims {
            let parents = parents.iter().map(|parent| id(*parent)).collect();
            graph.extend(&Ancestry::claimed(vec![Parents { commit: id(*commit), parents }]));
        }
        graph
    }

    /// All that a commit descends from, by the claims, and whether every path back ends in a root or
    /// in one of `ends`.
    fn walk(
        claims: &[(usize, Vec<usize>)],
        from: usize,
        ends: &HashSet<usize>,
    ) -> (HashSet<usize>, bool) {
        let (mut seen, mut stack, mut complete) = (HashSet::from([from]), vec![from], true);
        while let Some(commit) = stack.pop() {
            if ends.contains(&commit) {
                continue;
            }
            let known: Vec<_> = claims.iter().filter(|(claimed, _)| *claimed == commit).collect();
            complete &= !known.is_empty();
            for parent in known.into_iter().flat_map(|(_, parents)| parents) {
                if seen.insert(*parent) {
                    stack.push(*parent);
                }
            }
        }
        (seen, complete)
    }

    fn agrees(claims: &[(usize, Vec<usize>)], commits: usize) {
        let graph = graph(claims);
        let none = HashSet::new();
        for one in 0..commits {
            for other in 0..commits {
                let (Some(a), Some(b)) = (graph.find(&id(one)), graph.find(&id(other))) else {
                    continue;
                };
                let contains = walk(claims, one, &none).0.contains(&other);
                assert_eq!(graph.contains(a, b), contains, "{one} contains {other}: {claims:?}");
                let (theirs, whole) = walk(claims, other, &none);
                let lacks = !contains && walk(claims, one, &theirs).1;
                assert_eq!(graph.lacks(a, b), lacks, "{one} lacks {other}: {claims:?}");
                let (ours, complete) = walk(claims, one, &none);
                let unrelated = complete && whole && ours.is_disjoint(&theirs);
                assert_eq!(graph.unrelated(vec![a], b), unrelated, "{one} and {other}: {claims:?}");
                let descendants: HashSet<_> = graph.descendants(b).collect();
                assert_eq!(descendants.contains(&a), contains);
            }
        }
    }

    proptest! {
        /// A history with merges, of which a part is known, in any order.
        #[test]
        fn histories(
            parents in prop::collection::vec(prop::collection::vec(1_usize..4, 0..3), 1..14),
            order in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
        ) {
            let claim = |commit: usize| {
                let back = parents.get(commit).into_iter().flatten();
                (commit, back.filter_map(|back| commit.checked_sub(*back)).collect())
            };
            let claims: Vec<_> = order.iter().map(|index| claim(index.index(parents.len()))).collect();
            agrees(&claims, parents.len());
            // What a commit descends from is on a lower level: walks may go by it.
            let graph = graph(&claims);
            for commit in graph.known().iter().copied() {
                for parent in graph.parents(commit) {
                    assert!(graph.level(*parent) < graph.level(commit), "{claims:?}");
                }
            }
        }

        /// Claims of whatever kind, which may contradict each other.
        #[test]
        fn claims(claims in prop::collection::vec((0_usize..6, prop::collection::vec(0_usize..6, 0..3)), 0..10)) {
            // A commit is no parent of its own, whoever says so.
            let sane: Vec<_> = claims
                .into_iter()
                .map(|(commit, parents)| {
                    let parents = parents.into_iter().filter(|parent| *parent != commit).collect();
                    (commit, parents)
                })
                .collect();
            agrees(&sane, 6);
        }
    }

    #[test]
    fn what_lies_beneath_costs_nothing() {
        let line: Vec<_> =
            (0..2_000).map(|n: usize| (n, n.checked_sub(1).into_iter().collect())).collect();
        for claims in [line.clone(), line.iter().rev().cloned().collect::<Vec<_>>()] {
            let graph = graph(&claims);
            let levels: Vec<_> =
                (0..2_000).map(|n| graph.level(graph.find(&id(n)).unwrap())).collect();
            assert!(levels.windows(2).all(|pair| pair[1] == pair[0] + 1), "one level per commit");
        }
    }

    #[test]
    fn known_ancestors_prove_nothing_about_others() {
        let mut graph = graph(&[(1, vec![0]), (0, vec![])]);
        let contains = Contains { commit: id(3), ancestors: vec![id(1)] };
        graph.extend(&Ancestry { parents: Vec::new(), contains: vec![contains] });
        let at = |n| graph.find(&id(n)).unwrap();
        assert!(graph.contains(at(3), at(0)));
        assert!(graph.lacks(at(1), at(3)));
        let mut graph = graph.clone();
        let other = graph.intern(id(7));
        assert!(!graph.contains(at(3), other) && !graph.lacks(at(3), other));
    }

    #[test]
    fn what_is_needed_is_kept() {
        // 0 — 1 — 2 — 3 — 5
        //          \— 4
        let claims =
            [(0, vec![]), (1, vec![0]), (2, vec![1]), (3, vec![2]), (4, vec![2]), (5, vec![3])];
        let graph = graph(&claims);
        let at = |n| graph.find(&id(n)).unwrap();
        let kept = |anchors: &[usize]| -> Vec<CommitId> {
            let anchors: Vec<_> = anchors.iter().map(|n| at(*n)).collect();
            graph.between(&anchors).parents.into_iter().map(|parents| parents.commit).collect()
        };
        assert_eq!(kept(&[3, 5]), [id(3), id(5)]);
        assert_eq!(kept(&[4, 5]), [id(3), id(4), id(5)]);
        assert_eq!(kept(&[1]), [id(1)]);
        assert!(kept(&[]).is_empty());
    }
}
