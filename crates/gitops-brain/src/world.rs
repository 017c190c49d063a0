//! Everything that the facts say, joined: no effects, no time, no questions.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
};

use chrono::{DateTime, Utc};

use crate::{
    ancestry::{CommitGraph, CommitIndex},
    chart::CommitPrefix,
    commit::CommitId,
    event::Severity,
    fact::{Fact, FactBody, Registration, Settlement, Terms, to_json},
    hashing,
    interner::{Interner, Revisions, TextIndex},
    names::{EnvironmentName, ObjectName, Selector},
    observation::{Change, Observation, Proof, Role, is_remedy},
    policy::Require,
    reconciler::{
        Changed, Cut, Incarnation, MAX_INCARNATIONS, MAX_REASONS, MAX_REVISIONS, OrderKey,
        Reconciler, ReconcilerIndex, Record, RevisionKey, Seen, Tie, seconds,
    },
    rules,
    status::Outcome,
};

/// The most reconcilers that are kept of one cluster. A holder of its key must not be able to fill the
/// memory; real clusters have some hundred.
pub const MAX_RECONCILERS: usize = 10_000;

/// The newest revisions of a reconciler of which one says where they come from.
const RECENT_REVISIONS: usize = 16;

/// Distinct revision texts that are kept.
const MAX_TEXTS: usize = 4 * MAX_REVISIONS * MAX_INCARNATIONS;

/// All that the facts say.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) graph: CommitGraph,
    pub(crate) revisions: Revisions,
    /// All that charts told of commits.
    charts: HashSet<CommitPrefix>,
    pub(crate) reasons: Interner,
    pub(crate) clusters: Vec<Cluster>,
    cluster_index: hashing::HashMap<Box<str>, u32>,
    pub(crate) reconcilers: Vec<Reconciler>,
    reconciler_index: hashing::HashMap<ObjectName, ReconcilerIndex>,
    pub(crate) rollouts: BTreeMap<RolloutKey, Rollout>,
    /// What is older is forgotten.
    pub(crate) forgotten: Option<DateTime<Utc>>,
}

/// Which rollout: the commit, and where it goes.
pub(crate) type RolloutKey = (EnvironmentName, CommitId);

/// What is kept of one cluster.
#[derive(Clone, Debug)]
pub(crate) struct Cluster {
    pub(crate) name: Box<str>,
    pub(crate) first_heard: DateTime<Utc>,
    /// None: a person named it, and nothing was heard of it.
    pub(crate) last_heard: Option<Heard>,
    pub(crate) reconcilers: Vec<ReconcilerIndex>,
    /// New reconcilers that found no room.
    pub(crate) refused: u64,
    pub(crate) sources: BTreeMap<ObjectName, Source>,
}

impl Cluster {
    /// Whether anything was heard of it: a person can name one that nothing was.
    pub(crate) fn is_heard(&self) -> bool {
        self.last_heard.is_some()
    }

    /// When its newest event first arrived.
    pub(crate) fn last_heard_at(&self) -> DateTime<Utc> {
        self.last_heard.map_or(self.first_heard, |heard| heard.at)
    }
}

/// When something was last heard: when the newest event of it first arrived. So an event that is sent
/// again, by whomever, does not count as a sign of life.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Heard {
    /// When the event was made, by the sender's clock.
    seconds: u32,
    /// When it arrived.
    pub(crate) at: DateTime<Utc>,
}

impl Heard {
    pub(crate) fn new(timestamp: DateTime<Utc>, at: DateTime<Utc>) -> Self {
        Self { seconds: seconds(timestamp), at }
    }

    /// Keeps the newer of two. Returns whether that is another one.
    pub(crate) fn join(kept: &mut Option<Self>, other: Self) -> bool {
        let newer = kept.is_none_or(|kept| {
            (other.seconds, Reverse(other.at)) > (kept.seconds, Reverse(kept.at))
        });
        if newer {
            *kept = Some(other);
        }
        newer
    }
}

/// What is kept of one source.
#[derive(Clone, Debug, Default)]
pub(crate) struct Source {
    /// The newest revision that it had.
    pub(crate) newest: Option<(OrderKey, Option<CommitIndex>)>,
    /// The newest that it reported in order, whatever it was.
    pub(crate) in_order: Option<OrderKey>,
    /// The newest failure: when, its reason and message.
    pub(crate) trouble: Option<(OrderKey, Box<str>, Box<str>)>,
    /// When it first had a commit, in seconds.
    pub(crate) seen: HashMap<CommitIndex, u32>,
}

impl Source {
    /// The failure that nothing has cleared since: when, the reason and the message.
    pub(crate) fn present_trouble(&self) -> Option<(OrderKey, &str, &str)> {
        let (key, reason, message) = self.trouble.as_ref()?;
        (self.in_order < Some(*key)).then_some((*key, &**reason, &**message))
    }
}

/// What was registered of a rollout, and what it settled to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rollout {
    pub(crate) registered: Option<Registered>,
    pub(crate) settlements: BTreeMap<u32, (DateTime<Utc>, Outcome)>,
}

/// All registrations of one rollout, joined.
#[derive(Clone, Debug)]
pub(crate) struct Registered {
    pub(crate) expect: BTreeSet<Selector>,
    /// Whether all of the cluster that is called like the environment is expected too.
    pub(crate) whole_cluster: bool,
    pub(crate) require: Require,
    pub(crate) terms: Terms,
    pub(crate) first_at: DateTime<Utc>,
    pub(crate) latest_at: DateTime<Utc>,
}

impl Registered {
    /// When the time for the rollout is over.
    pub(crate) fn deadline(&self) -> DateTime<Utc> {
        self.latest_at.checked_add_signed(self.terms.timeout()).unwrap_or(DateTime::<Utc>::MAX_UTC)
    }
}

impl Terms {
    fn timeout(&self) -> chrono::TimeDelta {
        chrono::TimeDelta::from_std(self.timeout).unwrap_or(chrono::TimeDelta::MAX)
    }
}

/// What a fact touched.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Touched {
    Nothing,
    Reconciler(ReconcilerIndex),
    /// Several of a cluster's reconcilers.
    Cluster(u32),
    /// The trouble of a source of a cluster: no state follows from it, only reasons.
    Source(u32),
    Rollout(RolloutKey),
    Everything,
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            graph: CommitGraph::new(),
            revisions: Revisions::new(MAX_TEXTS),
            charts: HashSet::new(),
            reasons: Interner::new(MAX_REASONS),
            clusters: Vec::new(),
            cluster_index: hashing::map(),
            reconcilers: Vec::new(),
            reconciler_index: hashing::map(),
            rollouts: BTreeMap::new(),
            forgotten: None,
        }
    }

    pub(crate) fn reconciler(&self, index: ReconcilerIndex) -> Option<&Reconciler> {
        self.reconcilers.get(index as usize)
    }

    /// The reconcilers of a cluster.
    pub(crate) fn reconcilers_in<'a>(
        &'a self,
        cluster: &'a Cluster,
    ) -> impl Iterator<Item = &'a Reconciler> {
        cluster.reconcilers.iter().filter_map(|index| self.reconciler(*index))
    }

    pub(crate) fn find(&self, name: &ObjectName) -> Option<ReconcilerIndex> {
        self.reconciler_index.get(name).copied()
    }

    pub(crate) fn cluster(&self, name: &str) -> Option<&Cluster> {
        self.clusters.get(*self.cluster_index.get(name)? as usize)
    }

    /// A revision as Flux wrote it.
    pub(crate) fn revision_text(&self, text: Option<TextIndex>, revision: RevisionKey) -> String {
        match (text, revision) {
            (Some(text), _) | (None, RevisionKey::Text(text)) => {
                self.revisions.text(text).to_owned()
            }
            (None, RevisionKey::Chart(prefix)) => prefix.to_version(),
            (None, RevisionKey::Artifact(_, text)) => self.revisions.text(text).to_owned(),
            (None, RevisionKey::Commit(commit)) => {
                self.graph.id(commit).map_or_else(String::new, |id| id.to_string())
            }
        }
    }

    /// The commit that a revision is known to be of. Of a chart that is the only one that is
    /// known and begins as its version says.
    pub(crate) fn commit_of(&self, revision: RevisionKey) -> Option<CommitIndex> {
        match revision {
            RevisionKey::Commit(commit) | RevisionKey::Artifact(commit, _) => Some(commit),
            RevisionKey::Chart(prefix) => match self.graph.beginning_with(prefix) {
                [commit] => Some(*commit),
                _ => None,
            },
            RevisionKey::Text(_) => None,
        }
    }

    /// What is kept of an incarnation at a commit: of a release it can be what names the commit in full,
    /// and what its charts told; of artifacts, each that was made of the commit.
    pub(crate) fn records_at<'a>(
        &self,
        incarnation: &'a Incarnation,
        commit: CommitIndex,
    ) -> impl Iterator<Item = &'a Record> {
        let prefix = self.graph.id(commit).as_ref().and_then(CommitPrefix::of);
        let chart = prefix.filter(|prefix| self.charts.contains(prefix)).map(RevisionKey::Chart);
        let chart = chart.filter(|chart| self.commit_of(*chart) == Some(commit));
        let revisions = [Some(RevisionKey::Commit(commit)), chart].into_iter().flatten();
        revisions
            .filter_map(|revision| incarnation.record(revision))
            .chain(incarnation.artifacts_of(commit))
    }

    /// The same, newest first.
    pub(crate) fn newest_at<'a>(
        &self,
        incarnation: &'a Incarnation,
        commit: CommitIndex,
    ) -> Vec<&'a Record> {
        let mut records: Vec<_> = self.records_at(incarnation, commit).collect();
        records.sort_by_key(|record| Reverse(record.order()));
        records
    }

    /// What is kept of an incarnation at what another one works on.
    pub(crate) fn records_like<'a>(
        &self,
        incarnation: &'a Incarnation,
        revision: RevisionKey,
    ) -> impl Iterator<Item = &'a Record> {
        let commit = self.commit_of(revision);
        let itself = if commit.is_none() { incarnation.record(revision) } else { None };
        let alike = commit.into_iter().flat_map(|commit| self.records_at(incarnation, commit));
        alike.chain(itself)
    }

    /// Takes in a fact. Whatever the order, and however often: the result is the same.
    pub(crate) fn apply(&mut self, fact: &Fact) -> (Changed, Touched) {
        let known = self.graph.known().len();
        let (changed, touched) = self.take_in(fact);
        // A commit that was not known before can be what a chart was made of, long ago.
        let is_of_chart = |commit: &CommitIndex| {
            let prefix = self.graph.id(*commit).as_ref().and_then(CommitPrefix::of);
            prefix.is_some_and(|prefix| self.charts.contains(&prefix))
        };
        let news = self.graph.known().get(known..).unwrap_or_default();
        if !self.charts.is_empty() && news.iter().any(is_of_chart) {
            (Changed::Knowledge, Touched::Everything)
        } else {
            (changed, touched)
        }
    }

    fn take_in(&mut self, fact: &Fact) -> (Changed, Touched) {
        match &fact.body {
            FactBody::Observed(observation) => self.observe(observation, fact.at),
            FactBody::Registered(registration) => self.register(registration, fact.at),
            FactBody::Ancestry(ancestry) => {
                (Changed::from(self.graph.extend(ancestry)), Touched::Everything)
            }
            FactBody::Settled(settlement) => self.settle(settlement, fact.at),
            FactBody::Removed { reconciler } => self.remove(reconciler, fact.at),
            FactBody::Forgotten { before } => {
                let news = self.forgotten < Some(*before);
                self.forgotten = self.forgotten.max(Some(*before));
                (Changed::from(news), Touched::Everything)
            }
        }
    }

    /// What taking in a fact would change, at most: `LastHeard` only where that is certain.
    pub(crate) fn preview(&self, fact: &Fact) -> Changed {
        let repeated = || {
            let FactBody::Observed(observation) = &fact.body else { return None };
            let index = self.find(&observation.object)?;
            let reconciler = self.reconciler(index)?;
            let incarnation =
                reconciler.incarnations.iter().find(|kept| kept.uid == observation.uid)?;
            let head = incarnation.head()?;
            // Only the revision that is there already can be repeated.
            let text = observation.revision_text_for(reconciler.role);
            let same = text == head.text.map(|text| self.revisions.text(text))
                && observation.commit()
                    == head.revision.as_commit().and_then(|at| self.graph.id(at));
            let (revision, text) = (head.revision, head.text);
            let proof = observation.proof_for(reconciler.role).filter(|_| same)?;
            let key = OrderKey::of(observation, Some(proof));
            let said_last = incarnation.said_alike(observation, Some(proof));
            let repeats = incarnation.repeats(proof, key, revision, text, said_last);
            let head = Some(reconciler.head_key()?);
            let now = (key, key.began(observation.took_seconds()));
            let cluster = self.clusters.get(reconciler.cluster as usize)?;
            let stands = cluster.first_heard <= fact.at
                && reconciler.current().is_some_and(|current| current.uid == incarnation.uid)
                && !reconciler.is_deleted()
                && !reconciler.is_removed()
                && !self.counts_anew(index, Some(revision), head, now);
            Some(repeats && stands && observation.changed_objects.is_empty())
        };
        if repeated() == Some(true) { Changed::LastHeard } else { Changed::Knowledge }
    }

    fn observe(&mut self, observation: &Observation, at: DateTime<Utc>) -> (Changed, Touched) {
        let first;
        let heard = Heard::new(observation.timestamp, at);
        let known = self.reconciler_index.get(&observation.object).copied();
        let index = match known.and_then(|index| Some((index, self.reconciler(index)?.cluster))) {
            Some((index, cluster)) => {
                first = self.hear_again(cluster, heard).then_some(cluster);
                index
            }
            None => {
                let Some(role) = Role::of(observation.object.kind()) else {
                    return (Changed::Nothing, Touched::Nothing);
                };
                let (cluster, is_first) = self.hear(observation.object.cluster(), heard);
                first = is_first.then_some(cluster);
                if role == Role::Source {
                    let changed = self.observe_source(cluster, observation);
                    return match first {
                        Some(cluster) => (Changed::Knowledge, Touched::Cluster(cluster)),
                        // Which commits a source had tells which reconcilers follow its repository.
                        None if observation.severity != Severity::Error => {
                            (changed, Touched::Cluster(cluster))
                        }
                        None => (changed, Touched::Source(cluster)),
                    };
                }
                match self.intern(&observation.object, role, cluster) {
                    Some(index) => index,
                    None => return (Changed::Nothing, Touched::Nothing),
                }
            }
        };
        let touched = match self.reconciler(index) {
            Some(parent) if !observation.changed_objects.is_empty() => {
                Touched::Cluster(parent.cluster)
            }
            _ => Touched::Reconciler(index),
        };
        let changed = self.observe_reconciler(index, observation, heard);
        match first {
            // A set that is learned is complete some time after the cluster was first heard.
            Some(cluster) => (Changed::Knowledge, Touched::Cluster(cluster)),
            None => (changed, touched),
        }
    }

    /// Returns whether it was not heard so early before.
    fn hear_again(&mut self, cluster: u32, heard: Heard) -> bool {
        let Some(cluster) = self.clusters.get_mut(cluster as usize) else { return false };
        let is_first = heard.at < cluster.first_heard;
        cluster.first_heard = cluster.first_heard.min(heard.at);
        Heard::join(&mut cluster.last_heard, heard);
        is_first
    }

    /// Notes that a cluster was heard. Returns whether it was not heard so early before.
    fn hear(&mut self, name: &str, heard: Heard) -> (u32, bool) {
        match self.cluster_index.get(name).copied() {
            Some(index) => (index, self.hear_again(index, heard)),
            None => (self.add_cluster(name, Some(heard)), true),
        }
    }

    /// Makes room for a cluster. One that a person named was never heard.
    fn add_cluster(&mut self, name: &str, heard: Option<Heard>) -> u32 {
        let index = u32::try_from(self.clusters.len()).unwrap_or(u32::MAX);
        self.clusters.push(Cluster {
            name: name.into(),
            first_heard: heard.map_or(DateTime::<Utc>::MAX_UTC, |heard| heard.at),
            last_heard: heard,
            reconcilers: Vec::new(),
            refused: 0,
            sources: BTreeMap::new(),
        });
        self.cluster_index.insert(name.into(), index);
        index
    }

    /// The reconciler's place, with room made for it if it is new and there is any.
    fn intern(&mut self, name: &ObjectName, role: Role, cluster: u32) -> Option<ReconcilerIndex> {
        if let Some(index) = self.reconciler_index.get(name) {
            return Some(*index);
        }
        let kept = self.clusters.get_mut(cluster as usize)?;
        if kept.reconcilers.len() >= MAX_RECONCILERS {
            kept.refused += 1;
            return None;
        }
        let index = ReconcilerIndex::try_from(self.reconcilers.len()).ok()?;
        kept.reconcilers.push(index);
        self.reconcilers.push(Reconciler::new(name.clone(), role, cluster));
        self.reconciler_index.insert(name.clone(), index);
        Some(index)
    }

    fn observe_reconciler(
        &mut self,
        index: ReconcilerIndex,
        observation: &Observation,
        heard: Heard,
    ) -> Changed {
        let Some(role) = self.reconciler(index).map(|reconciler| reconciler.role) else {
            return Changed::Nothing;
        };
        let proof = observation.proof_for(role);
        let key = OrderKey::of(observation, proof);
        let (revision, text) = self.resolve(observation, role);
        if let Some(commit) = revision.and_then(RevisionKey::as_commit)
            && proof.is_some_and(|proof| proof != Proof::Deleted)
        {
            self.graph.note(commit);
        }
        let named = match proof {
            Some(Proof::Applying) if revision.is_some() => {
                self.name_children(index, observation, key)
            }
            Some(Proof::Deleted) => self.name_children(index, observation, key),
            _ => Vec::new(),
        };
        let tie = self.tie(revision);
        let Self { reconcilers, reasons, revisions, .. } = self;
        let reason = reasons.intern(&observation.reason).into();
        let greater_text = |a: Option<TextIndex>, b: Option<TextIndex>| {
            a.into_iter().chain(b).max_by_key(|text| revisions.text(*text))
        };
        let Some(reconciler) = reconcilers.get_mut(index as usize) else { return Changed::Nothing };
        let (stood, head) = (reconciler.stands(), reconciler.head_key());
        let back = reconciler.is_removed();
        let heard = Heard::join(&mut reconciler.last_heard, heard);
        let back = back && !reconciler.is_removed();
        let seen = Seen {
            proof,
            key,
            revision,
            text,
            tie,
            reason,
            named: &named,
            greater_text: &greater_text,
        };
        let uid = if rules::INCARNATION { &*observation.uid } else { "" };
        let changed = reconciler.incarnation(uid, key).insert(observation, &seen);
        let now = (key, key.began(observation.took_seconds()));
        if back || stood != reconciler.stands() || self.counts_anew(index, revision, head, now) {
            Changed::Knowledge
        } else if heard {
            changed.max(Changed::LastHeard)
        } else {
            changed
        }
    }

    /// What orders revisions, whatever the order of their arrival.
    fn tie(&self, revision: Option<RevisionKey>) -> Tie {
        match revision {
            Some(RevisionKey::Commit(commit)) => {
                self.graph.id(commit).as_ref().map_or(Tie::NONE, Tie::of_commit)
            }
            Some(RevisionKey::Artifact(commit, text)) => {
                let id = self.graph.id(commit);
                id.map_or(Tie::NONE, |id| Tie::of_artifact(&id, self.revisions.text(text)))
            }
            Some(RevisionKey::Chart(prefix)) => Tie::of_chart(prefix),
            Some(RevisionKey::Text(text)) => Tie::of_text(self.revisions.text(text)),
            None => Tie::NONE,
        }
    }

    /// What an observation is about, and its revision as it was written.
    fn resolve(
        &mut self,
        observation: &Observation,
        role: Role,
    ) -> (Option<RevisionKey>, Option<TextIndex>) {
        let mut read = |text: &str| self.revisions.read(text, &mut self.graph);
        let (first, second) = observation.commit_texts(role);
        let first = first.map(&mut read);
        let named = first.and_then(|(_, commit)| commit);
        let is_named = named.is_some();
        let commit = named.or_else(|| second.and_then(|text| read(text).1));
        let text = match role {
            Role::HelmRelease => observation.revision_text_for(role).map(|text| read(text).0),
            _ if observation.revision.is_some() => first.map(|(text, _)| text),
            _ => None,
        };
        let revision = match (commit, text, observation.chart_commit(role)) {
            (Some(commit), Some(text), _) if role == Role::Kustomization && !is_named => {
                Some(RevisionKey::Artifact(commit, text))
            }
            (Some(commit), ..) => Some(RevisionKey::Commit(commit)),
            // The chart that it names is the former one, and nothing happened to that.
            (None, Some(_), Some(_)) if is_remedy(&observation.reason) => None,
            (None, Some(_), Some(prefix)) => {
                self.charts.insert(prefix);
                self.graph.index_prefixes();
                Some(RevisionKey::Chart(prefix))
            }
            (None, text, _) => text.map(RevisionKey::Text),
        };
        (revision, text)
    }

    /// Whether a proof counts where the one before it did not, because a parent changed the
    /// reconciler itself in between.
    fn counts_anew(
        &self,
        child: ReconcilerIndex,
        revision: Option<RevisionKey>,
        before: Option<(OrderKey, u32)>,
        now: (OrderKey, u32),
    ) -> bool {
        let Some((reconciler, before)) = self.reconciler(child).zip(before) else { return false };
        let mut changes = reconciler.parents.iter().filter_map(|parent| {
            let parent = self.reconciler(*parent)?;
            let newest = parent.children.get(&child).copied();
            let at_revision = self
                .records_like(parent.current()?, revision?)
                .filter_map(|record| record.newest_change_of(child));
            newest.max(at_revision.max())
        });
        changes.any(|key| {
            let cut = Cut { changed_by_parent: Some(key), ..Cut::default() };
            cut.counts(before.0, || before.1) != cut.counts(now.0, || now.1)
        })
    }

    /// Notes the Flux objects that a change list names. Their parent is the list's reconciler.
    fn name_children(
        &mut self,
        parent: ReconcilerIndex,
        observation: &Observation,
        key: OrderKey,
    ) -> Vec<(ReconcilerIndex, Change)> {
        let mut named = Vec::new();
        for changed in &observation.changed_objects {
            let Some(role) = Role::of(changed.object.kind()) else { continue };
            let Some(cluster) = self.reconciler(parent).map(|parent| parent.cluster) else { break };
            let Some(index) = self.intern(&changed.object, role, cluster) else { continue };
            if let Some(child) = self.reconcilers.get_mut(index as usize)
                && index != parent
            {
                if !child.parents.contains(&parent) {
                    child.parents.push(parent);
                }
                let newest = match changed.change {
                    Change::Created | Change::Configured => &mut child.announced,
                    Change::Deleted => &mut child.withdrawn,
                };
                *newest = (*newest).max(Some(key));
                named.push((index, changed.change));
                if changed.change != Change::Deleted
                    && let Some(parent) = self.reconcilers.get_mut(parent as usize)
                {
                    let newest = parent.children.entry(index).or_insert(key);
                    *newest = key.max(*newest);
                }
            }
        }
        named
    }

    fn observe_source(&mut self, cluster: u32, observation: &Observation) -> Changed {
        let key = OrderKey::of(observation, None);
        let commit = observation.commit().map(|commit| self.graph.intern(commit));
        let Some(cluster) = self.clusters.get_mut(cluster as usize) else {
            return Changed::Nothing;
        };
        if cluster.sources.len() >= MAX_RECONCILERS
            && !cluster.sources.contains_key(&observation.object)
        {
            cluster.refused += 1;
            return Changed::Nothing;
        }
        let source = cluster.sources.entry(observation.object.clone()).or_default();
        if observation.severity == Severity::Error {
            let trouble = (key, Box::from(&*observation.reason), observation.message.clone());
            let news = source.trouble.as_ref() < Some(&trouble);
            if news {
                source.trouble = Some(trouble);
            }
            return Changed::from(news);
        }
        let mut news = source.in_order < Some(key);
        source.in_order = source.in_order.max(Some(key));
        let newest = (key, commit);
        if commit.is_some()
            && source.newest.is_none_or(|(kept_key, kept)| {
                // Of two at the same time the one with the greater id, so that order does not matter.
                (key, commit.and_then(|commit| self.graph.id(commit)))
                    > (kept_key, kept.and_then(|commit| self.graph.id(commit)))
            })
        {
            source.newest = Some(newest);
            news = true;
        }
        if let Some(commit) = commit {
            let first = source.seen.entry(commit).or_insert_with(|| {
                news = true;
                key.seconds()
            });
            news |= key.seconds() < *first;
            *first = key.seconds().min(*first);
        }
        Changed::from(news)
    }

    fn register(&mut self, registration: &Registration, at: DateTime<Utc>) -> (Changed, Touched) {
        let Registration { environment, commit, expect, require, terms, .. } = registration;
        let whole_cluster = registration.is_whole_cluster();
        self.graph.intern(*commit);
        let key = (environment.clone(), *commit);
        let rollout = self.rollouts.entry(key.clone()).or_default();
        let Some(kept) = &mut rollout.registered else {
            rollout.registered = Some(Registered {
                expect: expect.clone(),
                whole_cluster,
                require: *require,
                terms: terms.clone(),
                first_at: at,
                latest_at: at,
            });
            return (Changed::Knowledge, Touched::Rollout(key));
        };
        let mut news = false;
        for selector in expect {
            news |= kept.expect.insert(selector.clone());
        }
        news |= whole_cluster && !kept.whole_cluster;
        kept.whole_cluster |= whole_cluster;
        news |= *require > kept.require;
        kept.require = kept.require.max(*require);
        news |= at < kept.first_at;
        kept.first_at = kept.first_at.min(at);
        let newer =
            at > kept.latest_at || (at == kept.latest_at && to_json(terms) > to_json(&kept.terms));
        if newer {
            kept.terms = terms.clone();
            kept.latest_at = at;
        }
        (Changed::from(news | newer), Touched::Rollout(key))
    }

    fn settle(&mut self, settlement: &Settlement, at: DateTime<Utc>) -> (Changed, Touched) {
        let key = (settlement.environment.clone(), settlement.commit);
        self.graph.intern(settlement.commit);
        let rollout = self.rollouts.entry(key.clone()).or_default();
        let settled = (at, settlement.outcome);
        let kept = rollout
            .settlements
            .entry(settlement.n)
            .or_insert((DateTime::<Utc>::MAX_UTC, settlement.outcome));
        let news = settled < *kept;
        *kept = settled.min(*kept);
        (Changed::from(news), Touched::Rollout(key))
    }

    fn remove(&mut self, name: &ObjectName, at: DateTime<Utc>) -> (Changed, Touched) {
        let Some(role) = Role::of(name.kind()).filter(|role| *role != Role::Source) else {
            return (Changed::Nothing, Touched::Nothing);
        };
        // A cluster is not heard by what a person says of it, so its first time must not move.
        let cluster = match self.cluster_index.get(name.cluster()) {
            Some(index) => *index,
            None => self.add_cluster(name.cluster(), None),
        };
        let Some(index) = self.intern(name, role, cluster) else {
            return (Changed::Nothing, Touched::Nothing);
        };
        let Some(reconciler) = self.reconcilers.get_mut(index as usize) else {
            return (Changed::Nothing, Touched::Nothing);
        };
        let news = reconciler.removed < Some(at);
        reconciler.removed = reconciler.removed.max(Some(at));
        (Changed::from(news), Touched::Reconciler(index))
    }

    /// What the newest failing source of a reconciler says: its name, the reason and the message.
    pub(crate) fn source_trouble<'a>(
        &'a self,
        reconciler: &'a Reconciler,
    ) -> Option<(&'a str, &'a str, &'a str)> {
        let troubles = self.sources_of(reconciler).filter_map(|(name, source)| {
            let (key, reason, message) = source.present_trouble()?;
            Some((key, name.as_str(), reason, message))
        });
        let (_, name, reason, message) = troubles.max_by_key(|(key, name, ..)| (*key, *name))?;
        Some((name, reason, message))
    }

    /// The sources that a reconciler's revisions can come from: the one that its events name (event API
    /// v1), else those that had a commit which it reported lately, else those of its namespace. The
    /// others of the cluster may be of another tenant.
    fn sources_of<'a>(
        &'a self,
        reconciler: &'a Reconciler,
    ) -> impl Iterator<Item = (&'a ObjectName, &'a Source)> {
        let sources = self.clusters.get(reconciler.cluster as usize).map(|kept| &kept.sources);
        let current = reconciler.current();
        let named = current.and_then(|current| current.source.as_ref()).map(|(_, name)| name);
        let lately = current.map(|current| self.commits_lately(current)).unwrap_or_default();
        let had_one = move |source: &Source| lately.iter().any(|id| source.seen.contains_key(id));
        let any_had_one = sources.is_some_and(|sources| sources.values().any(&had_one));
        sources.into_iter().flatten().filter(move |(name, source)| match named {
            Some(named) => *name == named,
            None if any_had_one => had_one(source),
            None => name.namespace() == reconciler.name.namespace(),
        })
    }

    /// Whether nothing but errors was ever heard of a reconciler, though something else would have been:
    /// either it told of a failure that only comes after something was applied, or of no reconciler in its
    /// cluster anything else was heard. So its Alert sends errors alone.
    pub(crate) fn lacks_all_but_errors(&self, reconciler: &Reconciler) -> bool {
        let cluster = self.clusters.get(reconciler.cluster as usize);
        let mut others = cluster.into_iter().flat_map(|cluster| self.reconcilers_in(cluster));
        reconciler.tells_only_errors()
            && (reconciler.lacks_its_changes()
                || others.all(|other| !other.has_said(Severity::Info)))
    }

    /// The commits of the newest revisions of an incarnation.
    pub(crate) fn commits_lately(&self, incarnation: &Incarnation) -> Vec<CommitIndex> {
        let newest = incarnation.newest_first().take(RECENT_REVISIONS);
        newest.filter_map(|(record, _)| self.commit_of(record.revision)).collect()
    }

    /// When one of a cluster's sources first had a commit.
    pub(crate) fn seen_at(&self, cluster: u32, commit: CommitIndex) -> Option<DateTime<Utc>> {
        let sources = || {
            self.clusters.get(cluster as usize).into_iter().flat_map(|kept| kept.sources.values())
        };
        let itself = sources().filter_map(|source| source.seen.get(&commit).copied()).min();
        let seen = itself.or_else(|| {
            let containing = sources().filter_map(|source| {
                let (key, newest) = source.newest?;
                self.graph.contains(newest?, commit).then_some(key.seconds())
            });
            containing.min()
        })?;
        DateTime::from_timestamp(i64::from(seen), 0)
    }
}
