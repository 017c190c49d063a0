//! Which reconcilers of a cluster follow the repository of a commit, as far as its sources tell.

use std::{cell::OnceCell, collections::HashSet};

use crate::{
    ancestry::CommitIndex,
    names::ObjectName,
    reconciler::Reconciler,
    world::{Cluster, Source, World},
};

/// What tells apart the reconcilers of one cluster that follow the repository of a commit.
pub(crate) struct Repositories<'a> {
    world: &'a World,
    cluster: &'a Cluster,
    commit: CommitIndex,
    /// All commits that the sources of the commit had: made when it is first asked for, for most
    /// reconcilers are related to the commit.
    ours: OnceCell<HashSet<CommitIndex>>,
}

impl<'a> Repositories<'a> {
    pub(crate) fn new(world: &'a World, cluster: &'a Cluster, commit: CommitIndex) -> Self {
        Self { world, cluster, commit, ours: OnceCell::new() }
    }

    /// Whether a reconciler follows another repository than that of the commit.
    ///
    /// It does if its revisions come from sources that had none of the commits which the sources of the
    /// commit had, and if nothing relates them to the commit though its parents are known. Two sources of
    /// one repository have had a commit in common, once both have fetched while they were heard.
    pub(crate) fn is_another(&self, reconciler: &Reconciler) -> bool {
        let graph = &self.world.graph;
        let is_related = |other| graph.related(other, self.commit);
        let Some(current) = reconciler.current() else { return false };
        let lately = self.world.commits_lately(current);
        if lately.is_empty()
            || lately.iter().any(|commit| is_related(*commit))
            || !graph.knows_parents(self.commit)
        {
            return false;
        }
        let named = current.source.as_ref().map(|(_, name)| name);
        let theirs = self.commits_of(|name, source| {
            let had_one = lately.iter().any(|commit| source.seen.contains_key(commit));
            had_one && named.is_none_or(|named| named == name)
        });
        let ours = self.ours.get_or_init(|| {
            self.commits_of(|_, source| {
                source.seen.keys().any(|commit| graph.contains(*commit, self.commit))
            })
        });
        !theirs.is_empty()
            && !ours.is_empty()
            && theirs.is_disjoint(ours)
            && lately.iter().all(|commit| !ours.contains(commit))
            && !theirs.iter().any(|commit| is_related(*commit))
    }

    /// All commits that some of the cluster's sources had.
    fn commits_of(&self, wanted: impl Fn(&ObjectName, &Source) -> bool) -> HashSet<CommitIndex> {
        let sources = self.cluster.sources.iter().filter(|(name, source)| wanted(name, source));
        sources.flat_map(|(_, source)| source.seen.keys().copied()).collect()
    }
}
