//! The smallest list of facts that makes the same world.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use chrono::{DateTime, Utc};

use crate::{
    ancestry::{Ancestry, CommitIndex, Contains},
    chart::CommitPrefix,
    event::Severity,
    fact::{Fact, FactBody, Registration, Settlement},
    names::ObjectName,
    observation::{
        Change, ChangedObject, Observation, Proof, RelatedObject, Role, TOOK, UNINSTALLED, intern,
        took_seconds,
    },
    reconciler::{
        Cut, Incarnation, Kinds, Mark, Named, OrderKey, Reconciler, Record, RevisionKey, Words,
        seconds,
    },
    revision::Revision,
    rollout::over_at,
    world::{Cluster, Heard, Source, World},
};

/// All that is known and not forgotten, in an order that depends on nothing else.
pub(crate) fn facts(world: &World) -> Vec<Fact> {
    let mut facts = Vec::new();
    if let Some(before) = world.forgotten {
        facts.push(Fact::new(before, FactBody::Forgotten { before }));
    }
    let mut snapshot = Snapshot {
        world,
        before: world.forgotten.map(seconds),
        anchors: BTreeSet::new(),
        of_charts: BTreeSet::new(),
        facts,
    };
    snapshot.rollouts();
    let mut clusters: Vec<_> = world.clusters.iter().collect();
    clusters.sort_by(|a, b| a.name.cmp(&b.name));
    for cluster in clusters {
        snapshot.cluster(cluster);
    }
    snapshot.ancestry();
    snapshot.facts
}

struct Snapshot<'a> {
    world: &'a World,
    /// What is older goes, unless it is needed; in seconds.
    before: Option<u32>,
    /// The commits that were kept.
    anchors: BTreeSet<CommitIndex>,
    /// Those of them that charts tell no more of than the beginning.
    of_charts: BTreeSet<CommitIndex>,
    facts: Vec<Fact>,
}

impl<'a> Snapshot<'a> {
    fn is_old(&self, seconds: u32) -> bool {
        self.before.is_some_and(|before| seconds < before)
    }

    fn rollouts(&mut self) {
        let world = self.world;
        for ((environment, commit), rollout) in &world.rollouts {
            let registered = rollout.registered.as_ref();
            let last =
                registered.map(over_at).max(rollout.settlements.values().map(|(at, _)| *at).max());
            if last.is_none_or(|last| self.is_old(seconds(last))) {
                continue;
            }
            self.anchors.extend(world.graph.find(commit));
            if let Some(registered) = registered {
                let registration = Registration {
                    environment: environment.clone(),
                    commit: *commit,
                    expect: registered.expect.clone(),
                    whole_cluster: registered.whole_cluster,
                    require: registered.require,
                    terms: registered.terms.clone(),
                };
                let times = BTreeSet::from([registered.first_at, registered.latest_at]);
                for at in times {
                    self.facts.push(Fact::new(at, FactBody::Registered(registration.clone())));
                }
            }
            for (n, (at, outcome)) in &rollout.settlements {
                let settlement = Settlement::new(environment.clone(), *commit, *n, *outcome);
                self.facts.push(Fact::new(*at, FactBody::Settled(settlement)));
            }
        }
    }

    fn cluster(&mut self, cluster: &'a Cluster) {
        let world = self.world;
        let begin = self.facts.len();
        for (name, source) in &cluster.sources {
            self.source(name, source, cluster.last_heard_at());
        }
        let mut reconcilers: Vec<_> = world.reconcilers_in(cluster).collect();
        reconcilers.sort_by(|a, b| a.name.cmp(&b.name));
        for reconciler in &reconcilers {
            self.reconciler(reconciler);
        }
        // When the cluster was first heard decides when a learned set is complete.
        let heard = self.facts.get(begin..).unwrap_or_default();
        if heard.iter().all(|fact| fact.at > cluster.first_heard)
            && let Some(first) = heard.first()
        {
            let body = Self::sign_of_life(first);
            self.facts.extend(body.map(|body| Fact { at: cluster.first_heard, body, ..*first }));
        }
        for reconciler in reconcilers {
            if let Some(at) = reconciler.removed {
                let reconciler = reconciler.name.clone();
                self.facts.push(Fact::new(at, FactBody::Removed { reconciler }));
            }
        }
    }

    /// Something that was said before another thing, and says nothing else.
    fn sign_of_life(than: &Fact) -> Option<FactBody> {
        let FactBody::Observed(later) = &than.body else { return None };
        let before = OrderKey::at_seconds(seconds(later.timestamp).checked_sub(1)?);
        // An error without a revision would be a reconciler's trouble; a source has one already.
        let is_source = Role::of(later.object.kind()) == Some(Role::Source);
        let severity = if is_source { later.severity } else { Severity::Info };
        let mut sign = blank(&later.object, before, severity, "");
        sign.uid = later.uid.clone();
        Some(FactBody::Observed(sign))
    }

    fn source(&mut self, name: &ObjectName, source: &Source, at: DateTime<Utc>) {
        let world = self.world;
        let mut push =
            |key: OrderKey, severity, reason: &str, commit: Option<CommitIndex>, message: &str| {
                let mut observation = blank(name, key, severity, reason);
                observation.revision = commit
                    .and_then(|commit| world.graph.id(commit))
                    .map(|id| id.to_string().into());
                observation.message = message.into();
                self.facts.push(Fact::new(at, FactBody::Observed(observation)));
            };
        let newest = source.newest;
        if let Some((key, reason, message)) = &source.trouble {
            push(*key, Severity::Error, reason, None, message);
        }
        if let Some(key) =
            source.in_order.filter(|key| newest.is_none_or(|(newest, _)| newest != *key))
        {
            push(key, Severity::Info, "Succeeded", None, "");
        }
        if let Some((key, commit)) = newest {
            push(key, Severity::Info, "NewArtifact", commit, "");
        }
        let mut seen: Vec<_> = source
            .seen
            .iter()
            .filter(|(_, seconds)| self.before.is_none_or(|before| **seconds >= before))
            .filter_map(|(commit, seconds)| Some((*seconds, world.graph.id(*commit)?, *commit)))
            .collect();
        seen.sort_unstable();
        for (seconds, _, commit) in seen {
            if newest.is_none_or(|(key, newest)| (key.seconds(), newest) != (seconds, Some(commit)))
            {
                push(
                    OrderKey::at_seconds(seconds),
                    Severity::Info,
                    "NewArtifact",
                    Some(commit),
                    "",
                );
            }
        }
        self.anchors.extend(newest.and_then(|(_, commit)| commit));
    }

    fn reconciler(&mut self, reconciler: &'a Reconciler) {
        let Some(Heard { at, .. }) = reconciler.last_heard else { return };
        let current = reconciler.current().map(|current| &current.uid);
        let mut incarnations: Vec<_> = reconciler
            .incarnations
            .iter()
            .filter(|incarnation| {
                let named = incarnation.records.iter().flat_map(|record| &record.named);
                Some(&incarnation.uid) == current
                    || !self.is_old(incarnation.newest.seconds())
                    || named.chain(&incarnation.withdrew).any(|line| {
                        self.decides_deletion(line) || self.makes_parent(reconciler, line)
                    })
            })
            .collect();
        incarnations.sort_by(|a, b| a.uid.cmp(&b.uid));
        for incarnation in incarnations {
            for observation in self.incarnation(reconciler, incarnation) {
                self.facts.push(Fact::new(at, FactBody::Observed(observation)));
            }
        }
    }

    fn incarnation(
        &mut self,
        reconciler: &'a Reconciler,
        incarnation: &'a Incarnation,
    ) -> Vec<Observation> {
        let world = self.world;
        let needed = self.needed(reconciler, incarnation);
        let head = incarnation.head();
        let mut observations = Vec::new();
        let mut last = incarnation.last.as_deref();
        let mut records: Vec<_> = incarnation.records.iter().collect();
        records.sort_by_cached_key(|record| {
            let commit = world.commit_of(record.revision);
            let is_chart = matches!(record.revision, RevisionKey::Chart(_));
            let text = world.revision_text(record.text, record.revision);
            (commit.and_then(|commit| world.graph.id(commit)), text, is_chart)
        });
        for record in records {
            let mut marks: Vec<_> = record.marks.clone();
            // A revision goes as a whole: what is left of it would tell another story.
            let stays = head.is_some_and(|head| head.revision == record.revision)
                || marks.iter().any(|mark| !self.is_old(mark.key().seconds()));
            marks.retain(|mark| stays || needed.contains(&mark.key()));
            let mut named: Vec<_> = record
                .named
                .iter()
                .filter(|line| stays || self.decides(reconciler, record, line))
                .collect();
            if marks.is_empty() && named.is_empty() {
                continue;
            }
            self.anchor(record.revision);
            marks.sort_by_key(|mark| {
                (mark.key(), world.reasons.text_at(mark.reason()), mark.kinds().bits())
            });
            named.sort_by_key(|(object, change, key)| {
                (*key, world.reconciler(*object).map(|object| &object.name), *change)
            });
            for mark in marks {
                let mut observation = self.marked(reconciler, incarnation, record, mark);
                let says = |words: &&Words| {
                    // Two health checks at one key can have taken different times.
                    words.key == mark.key()
                        && words.reason == observation.reason
                        && words.revision == Some(record.revision)
                        && (words.message.is_empty()
                            || mark.has_taken(took_seconds(&words.message)))
                };
                let failure =
                    record.failure.as_deref().filter(|_| mark.is(Kinds::FAILED)).filter(says);
                let words = failure.or(last.filter(says));
                // A success has no words of its own, but how long it took.
                if let Some(words) = words.filter(|words| !words.message.is_empty()) {
                    observation.message = words.message.clone();
                }
                if mark.is(Kinds::APPLYING) {
                    named.retain(|(object, change, key)| {
                        let here = *key == mark.key();
                        if here {
                            observation.changed_objects.extend(self.changed(*object, *change));
                        }
                        !here
                    });
                    observation.changed_objects.sort();
                }
                if last.filter(says).is_some() {
                    last = None;
                }
                observations.push(observation);
            }
            for (object, change, key) in named {
                let mut observation = blank(&reconciler.name, *key, Severity::Info, "Progressing");
                self.describe(&mut observation, incarnation, record.revision, Some(record));
                observation.changed_objects.extend(self.changed(*object, *change));
                observations.push(observation);
            }
        }
        if let Some(trouble) = incarnation.trouble.as_deref() {
            observations.push(self.said(reconciler, incarnation, trouble));
            last = last.filter(|last| *last != trouble);
        }
        if let Some(deleted) = incarnation.deleted {
            let words = last.filter(|last| last.key == deleted);
            if words.is_none() {
                let mut observation =
                    blank(&reconciler.name, deleted, Severity::Info, "ReconciliationSucceeded");
                observation.uid = incarnation.uid.clone();
                observations.push(observation);
            }
        }
        if let Some(key) = incarnation.uninstalled
            && last.is_none_or(|last| last.key != key || last.reason != "UninstallSucceeded")
        {
            let mut observation =
                blank(&reconciler.name, key, Severity::Info, "UninstallSucceeded");
            observation.uid = incarnation.uid.clone();
            observation.message = UNINSTALLED.into();
            observations.push(observation);
        }
        if let Some((key, source)) = &incarnation.source {
            let mut observation = blank(&reconciler.name, *key, Severity::Info, "");
            observation.uid = incarnation.uid.clone();
            observation.related_object = Some(RelatedObject::new(source.clone()));
            observations.push(observation);
        }
        observations.extend(self.withdrawals(reconciler, incarnation).into_values());
        observations.extend(last.map(|last| self.said(reconciler, incarnation, last)));
        observations
    }

    /// The keys of what stays, however old. Of each revision of which something old stays, that
    /// stays too which keeps it from counting: what came after it and is not known to contain the same
    /// commits, newest first, until nothing is left that would count.
    fn needed(&self, reconciler: &Reconciler, incarnation: &Incarnation) -> BTreeSet<OrderKey> {
        let mut needed: BTreeSet<OrderKey> = incarnation.needed().into_iter().collect();
        let is_needed = |record: &&Record| {
            record.marks.iter().any(|mark| needed.contains(&mark.key()))
                || record.named.iter().any(|line| self.decides(reconciler, record, line))
        };
        // What stays of a revision must not look better than it ended.
        let ended: Vec<_> = incarnation
            .records
            .iter()
            .filter(is_needed)
            .flat_map(|record| {
                [Kinds::FAILED, Kinds::UNDOING, Kinds::PRUNED, Kinds::TAKEN_UP]
                    .map(|kinds| record.latest(kinds))
            })
            .collect();
        needed.extend(ended.into_iter().flatten());
        let graph = &self.world.graph;
        let mut elsewhere = Vec::new();
        for record in &incarnation.records {
            let Some(commit) = self.world.commit_of(record.revision) else { continue };
            let is_old = |mark: &Mark| self.is_old(mark.key().seconds());
            let stays =
                record.marks.iter().any(|mark| !is_old(mark) || needed.contains(&mark.key()));
            if stays && record.marks.iter().any(is_old) {
                let since = record.earliest(Kinds::TAKEN_UP);
                // The commits that it contains, and all that it came back from until here.
                let mut carried: Option<HashSet<CommitIndex>> = None;
                for (other, key) in incarnation.newest_first() {
                    if Some(key) <= since || carried.as_ref().is_some_and(HashSet::is_empty) {
                        break;
                    }
                    let revision = self.world.commit_of(other.revision);
                    if revision.is_some_and(|revision| graph.contains(revision, commit)) {
                        // Another artifact of the same commit keeps this one from counting.
                        if other.revision != record.revision && revision == Some(commit) {
                            elsewhere.push(key);
                        }
                        continue;
                    }
                    elsewhere.push(key);
                    let theirs = revision.map(|revision| graph.reach(revision)).unwrap_or_default();
                    carried
                        .get_or_insert_with(|| graph.reach(commit))
                        .retain(|commit| theirs.contains(commit));
                }
            }
        }
        needed.extend(elsewhere);
        needed
    }

    /// Whether a line of a parent decides something of the child that is never forgotten: whether it
    /// is deleted, whether it is expected with its parent, and what of its head counts.
    fn decides(&self, reconciler: &Reconciler, parent: &Record, line: &Named) -> bool {
        let (object, change, key) = line;
        let head = || self.world.reconciler(*object)?.current()?.head();
        let cut = Cut { changed_by_parent: Some(*key), ..Cut::default() };
        self.decides_deletion(line)
            || self.makes_parent(reconciler, line)
            || (*change != Change::Deleted
                && head().is_some_and(|head| {
                    (self.is_alike(head.revision, parent.revision)
                        || is_newest_change(reconciler, line))
                        && head
                            .marks
                            .iter()
                            .any(|mark| !cut.counts(mark.key(), || head.began(mark.key())))
                }))
    }

    /// Whether two revisions are of the same commit, or are the same.
    fn is_alike(&self, one: RevisionKey, other: RevisionKey) -> bool {
        one == other || {
            let commit = self.world.commit_of(one);
            commit.is_some() && commit == self.world.commit_of(other)
        }
    }

    /// Whether a line is the newest by which a reconciler applies a release.
    fn makes_parent(&self, parent: &Reconciler, line: &Named) -> bool {
        let child = self.world.reconciler(line.0);
        child.is_some_and(|child| child.role == Role::HelmRelease) && is_newest_change(parent, line)
    }

    /// Whether a line of a parent decides whether a reconciler is deleted.
    fn decides_deletion(&self, (object, change, key): &Named) -> bool {
        self.world.reconciler(*object).is_some_and(|child| {
            let newest = match change {
                Change::Deleted => child.withdrawn,
                Change::Created | Change::Configured => child.announced,
            };
            child.withdrawn.is_some() && newest == Some(*key)
        })
    }

    /// The deletions of the Flux objects that went with it.
    fn withdrawals(
        &self,
        reconciler: &Reconciler,
        incarnation: &Incarnation,
    ) -> BTreeMap<OrderKey, Observation> {
        let mut withdrawals = BTreeMap::new();
        for (object, change, key) in &incarnation.withdrew {
            let observation = withdrawals.entry(*key).or_insert_with(|| {
                // What was said last stays what was said last.
                let last = incarnation.last.as_deref().filter(|last| last.key == *key);
                let reason = last.map_or("ReconciliationSucceeded", |last| &*last.reason);
                let mut observation = blank(&reconciler.name, *key, Severity::Info, reason);
                observation.uid = incarnation.uid.clone();
                observation
            });
            observation.changed_objects.extend(self.changed(*object, *change));
        }
        for observation in withdrawals.values_mut() {
            observation.changed_objects.sort();
        }
        withdrawals
    }

    /// The observation that left a mark.
    fn marked(
        &self,
        reconciler: &Reconciler,
        incarnation: &Incarnation,
        record: &Record,
        mark: Mark,
    ) -> Observation {
        let reason = self.world.reasons.text_at(mark.reason());
        let mut observation =
            blank(&reconciler.name, mark.key(), mark.severity(reconciler.role, reason), reason);
        self.describe(&mut observation, incarnation, record.revision, Some(record));
        observation.created_or_configured = mark.is(Kinds::CHANGED);
        observation.only_deletions = mark.is(Kinds::PRUNED);
        let message = took_message(&observation, mark.took());
        // What was said last is the greatest of what was said at its key, and stays so.
        let last = incarnation.last.as_deref().filter(|last| last.key == mark.key());
        let is_success = mark.is(Kinds::SUCCEEDED);
        if is_success
            || last.is_none_or(|last| (&*last.reason, &*last.message) >= (reason, &*message))
        {
            observation.message = message;
        }
        observation
    }

    /// The observation that left words.
    fn said(
        &self,
        reconciler: &Reconciler,
        incarnation: &Incarnation,
        words: &Words,
    ) -> Observation {
        let mut observation = blank(&reconciler.name, words.key, words.severity, &words.reason);
        if let Some(revision) = words.revision {
            self.describe(&mut observation, incarnation, revision, incarnation.record(revision));
        }
        observation.uid = incarnation.uid.clone();
        observation.message = words.message.clone();
        observation
    }

    fn describe(
        &self,
        observation: &mut Observation,
        incarnation: &Incarnation,
        revision: RevisionKey,
        record: Option<&Record>,
    ) {
        observation.uid = incarnation.uid.clone();
        let text = record.and_then(|record| record.text);
        let text = match (text, revision) {
            (Some(text), _) | (None, RevisionKey::Text(text) | RevisionKey::Artifact(_, text)) => {
                Some(self.world.revisions.text(text))
            }
            (None, RevisionKey::Chart(_) | RevisionKey::Commit(_)) => None,
        };
        observation.revision = match revision {
            RevisionKey::Chart(prefix)
                if text.and_then(CommitPrefix::of_version) != Some(prefix) =>
            {
                Some(prefix.to_version().into())
            }
            _ => text.map(Box::from),
        };
        let is_release = Role::of(observation.object.kind()) == Some(Role::HelmRelease);
        // Its version may look as if it told a commit.
        observation.chart_from_oci = is_release
            && matches!(revision, RevisionKey::Text(_))
            && observation.chart_commit(Role::HelmRelease).is_some();
        let Some(commit) = revision.as_commit().and_then(|commit| self.world.graph.id(commit))
        else {
            return;
        };
        if is_release {
            observation.commit_annotation = Some(commit.to_string().into());
        } else if text.and_then(|text| Revision::parse(text).ok()?.commit()) != Some(commit) {
            observation.origin_revision = Some(commit.to_string().into());
        }
    }

    /// Notes the commit of a revision that is kept: or those that it can be.
    fn anchor(&mut self, revision: RevisionKey) {
        if let RevisionKey::Chart(prefix) = revision {
            let commits = self.world.graph.beginning_with(prefix);
            self.anchors.extend(commits);
            self.of_charts.extend(commits);
        }
        self.anchors.extend(revision.as_commit());
    }

    fn changed(&self, object: u32, change: Change) -> Option<ChangedObject> {
        let object = self.world.reconciler(object)?.name.clone();
        Some(ChangedObject { object, change })
    }

    fn ancestry(&mut self) {
        let graph = &self.world.graph;
        let mut ancestry: Ancestry = if self.before.is_some() {
            let anchors: Vec<_> = self.anchors.iter().copied().collect();
            graph.between(&anchors)
        } else {
            graph.to_ancestry()
        };
        // That there is such a commit at all can be known from what is kept no more.
        let told: HashSet<_> = (ancestry.parents.iter().map(|known| known.commit))
            .chain(ancestry.contains.iter().map(|known| known.commit))
            .collect();
        let of_charts = self.of_charts.iter().filter_map(|commit| graph.id(*commit));
        let untold = of_charts.filter(|commit| !told.contains(commit));
        let untold = untold.map(|commit| Contains { commit, ancestors: Vec::new() });
        ancestry.contains.extend(untold);
        ancestry.contains.sort_unstable();
        if !ancestry.is_empty() {
            self.facts.push(Fact::new(DateTime::UNIX_EPOCH, FactBody::Ancestry(ancestry)));
        }
    }
}

/// The words that say how long something took, where that matters. No controller writes the zero, so
/// that they are less than all that one writes of as long a time.
fn took_message(observation: &Observation, seconds: u32) -> Box<str> {
    let [checked, finished] = TOOK;
    let begin = if observation.health_check_passed { checked } else { finished };
    if seconds == 0 { "".into() } else { format!("{begin}0{seconds}s").into() }
}

/// Whether a line is the newest by which a reconciler created or configured an object.
fn is_newest_change(parent: &Reconciler, (object, change, key): &Named) -> bool {
    *change != Change::Deleted && parent.children.get(object) == Some(key)
}

/// An observation with nothing in it but who, when and what kind.
fn blank(object: &ObjectName, key: OrderKey, severity: Severity, reason: &str) -> Observation {
    let kustomization = Role::of(object.kind()) == Some(Role::Kustomization);
    let proof = key.proof();
    Observation {
        object: object.clone(),
        uid: "".into(),
        resource_version: key.version(),
        severity,
        reason: intern(reason),
        // Whatever it was that told of it.
        action: if proof == Some(Proof::Deleted) { "Finalize".into() } else { "".into() },
        related_object: None,
        commit_status: kustomization && proof == Some(Proof::Succeeded),
        revision: None,
        origin_revision: None,
        commit_annotation: None,
        chart_from_oci: false,
        timestamp: key.time(),
        health_check_passed: proof == Some(Proof::HealthChecked),
        created_or_configured: false,
        only_deletions: false,
        canceled: proof == Some(Proof::Interrupted) && severity == Severity::Error,
        changed_objects: Vec::new(),
        message: "".into(),
    }
}
