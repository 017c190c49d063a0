//! The gitops repository: commits, and what stands in each folder at each.

use std::collections::BTreeSet;

use gitops_brain::CommitId;

use crate::random::Random;

/// What a folder holds. Two that are equal are the same manifests.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Manifests {
    version: u32,
    /// It is no YAML.
    pub(super) is_broken: bool,
    /// The API server refuses it.
    pub(super) is_refused: bool,
    /// Its objects never get healthy, or after so many seconds.
    pub(super) healthy_after: Option<i64>,
    /// It only takes objects away from what was there before.
    pub(super) only_prunes: bool,
    /// Pruning fails once.
    pub(super) prune_fails: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Commit {
    pub(super) number: usize,
    pub(super) id: CommitId,
    parents: Vec<usize>,
    /// Itself, and all that it contains.
    lineage: BTreeSet<usize>,
    folders: Vec<Manifests>,
    /// How the Kustomization of each folder is defined, if the repository says so.
    definitions: Vec<u32>,
}

impl Commit {
    pub(super) fn parents_of(&self) -> (CommitId, Vec<usize>) {
        (self.id, self.parents.clone())
    }

    pub(super) fn folder(&self, path: usize) -> Option<Manifests> {
        self.folders.get(path).copied()
    }

    pub(super) fn definition(&self, path: usize) -> u32 {
        self.definitions.get(path).copied().unwrap_or_default()
    }
}

#[derive(Debug)]
pub(super) struct Git {
    commits: Vec<Commit>,
    head: usize,
    versions: u32,
    /// The folder that defines the Kustomizations of the others.
    root: Option<usize>,
}

impl Git {
    pub(super) fn new(paths: usize, root: Option<usize>, random: &mut Random) -> Self {
        let mut git = Self { commits: Vec::new(), head: 0, versions: 0, root };
        let folders = (0..paths).map(|_| git.manifests(random, false)).collect();
        git.add(Vec::new(), folders, vec![0; paths]);
        git
    }

    pub(super) fn count(&self) -> usize {
        self.commits.len()
    }

    pub(super) fn head(&self) -> usize {
        self.head
    }

    pub(super) fn get(&self, number: usize) -> Option<&Commit> {
        self.commits.get(number)
    }

    pub(super) fn find(&self, id: CommitId) -> Option<usize> {
        self.commits.iter().position(|commit| commit.id == id)
    }

    pub(super) fn ids(&self, numbers: &[usize]) -> Vec<CommitId> {
        numbers.iter().filter_map(|number| self.get(*number)).map(|commit| commit.id).collect()
    }

    /// Somebody moves `main`: forward mostly, by a merge, by a revert, or by force.
    pub(super) fn push(&mut self, random: &mut Random) -> usize {
        let head = self.head;
        match random.below(100) {
            // Back to what was there before, by force.
            0..8 if !self.parents(head).is_empty() => {
                let parents = self.parents(head);
                self.head = parents.first().copied().unwrap_or(head);
                self.head
            }
            // Another history from there on.
            8..14 if !self.parents(head).is_empty() => {
                let from = self.parents(head).first().copied().unwrap_or(head);
                self.change(vec![from], from, random)
            }
            // A revert: a new commit with what was there before.
            14..24 if !self.parents(head).is_empty() => {
                let before = self.parents(head).first().copied().unwrap_or(head);
                let ((folders, _), (_, definitions)) = (self.contents(before), self.contents(head));
                self.add(vec![head], folders, definitions)
            }
            24..34 => {
                let side = self.change(vec![head], head, random);
                let ours = self.change(vec![head], head, random);
                self.change(vec![ours, side], ours, random)
            }
            _ => self.change(vec![head], head, random),
        }
    }

    fn parents(&self, number: usize) -> Vec<usize> {
        self.get(number).map(|commit| commit.parents.clone()).unwrap_or_default()
    }

    /// A commit that changes some folders, or none.
    fn change(&mut self, parents: Vec<usize>, from: usize, random: &mut Random) -> usize {
        let (mut folders, mut definitions) = self.contents(from);
        for folder in &mut folders {
            if random.percent(50) {
                *folder = self.manifests(random, true);
            }
        }
        let paths = folders.len();
        let root = self.root.and_then(|root| folders.get_mut(root));
        if let Some(root) = root.filter(|_| random.percent(40)) {
            let path = random.below(paths);
            *root = self.manifests(random, true);
            if let Some(definition) = definitions.get_mut(path).filter(|_| self.root != Some(path))
            {
                *definition = self.versions;
                let folder = self.manifests(random, true);
                folders.splice(path..=path, [folder]);
            }
        }
        self.add(parents, folders, definitions)
    }

    fn contents(&self, number: usize) -> (Vec<Manifests>, Vec<u32>) {
        let commit = self.get(number);
        commit
            .map(|commit| (commit.folders.clone(), commit.definitions.clone()))
            .unwrap_or_default()
    }

    fn manifests(&mut self, random: &mut Random, may_fail: bool) -> Manifests {
        self.versions += 1;
        let mut percent = |percent| may_fail && random.percent(percent);
        let (is_broken, is_refused, never) = (percent(10), percent(8), percent(15));
        let (only_prunes, prune_fails) = (percent(10), percent(6));
        let healthy_after = if random.percent(50) { 0 } else { random.below(200) as i64 };
        Manifests {
            version: self.versions,
            is_broken,
            is_refused,
            healthy_after: (!never).then_some(healthy_after),
            only_prunes: only_prunes && !never,
            prune_fails,
        }
    }

    fn add(
        &mut self,
        parents: Vec<usize>,
        folders: Vec<Manifests>,
        definitions: Vec<u32>,
    ) -> usize {
        let number = self.commits.len();
        let id = format!("{:040x}", (number as u128 + 1) * 0x1111_1111_1111_1111_1111);
        let id = id.parse().unwrap_or_else(|_| std::process::abort());
        let contained = parents.iter().flat_map(|parent| self.lineage(*parent));
        let lineage = contained.chain([number]).collect();
        self.commits.push(Commit { number, id, parents, lineage, folders, definitions });
        self.head = number;
        number
    }

    /// A commit and all that it contains.
    pub(super) fn lineage(&self, number: usize) -> impl Iterator<Item = usize> {
        self.get(number).into_iter().flat_map(|commit| &commit.lineage).copied()
    }

    pub(super) fn contains(&self, number: usize, other: usize) -> bool {
        self.get(number).is_some_and(|commit| commit.lineage.contains(&other))
    }

    /// Whether a definition of a folder is that of a commit, or of a later one.
    pub(super) fn defines(&self, path: usize, definition: u32, commit: usize) -> bool {
        let such = self.commits.iter().filter(|one| one.definition(path) == definition);
        such.map(|one| one.number).any(|one| self.contains(one, commit))
    }

    pub(super) fn describe(&self, number: usize) -> String {
        format!("{number}{:?}", self.parents(number))
    }
}
