//! Where one rollout stands: what is expected of it, and what follows from where each reconciler is.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};

use crate::{
    ancestry::CommitIndex,
    assessment::{Assessment, Assessor},
    commit::CommitId,
    names::{EnvironmentName, ObjectName, Selector},
    observation::Role,
    policy::{Environment, HealthChecks, Policy, Require},
    reconciler::{Incarnation, Kinds, Reconciler, ReconcilerIndex, RevisionKey},
    repositories::Repositories,
    rules,
    status::{
        EventSummary, FirstSettled, HealthChecksStatus, MAX_TIMELINE, Outcome, Reason,
        ReconcilerStatus, Standing, State, Status, TimelineEntry, Version,
    },
    wording::{self, Unheard, Wording},
    world::{Cluster, Registered, World},
};

/// How long after its deadline a rollout still hands out transitions.
const CURRENT_AFTER_DEADLINE: TimeDelta = TimeDelta::hours(24);

/// What one asks for.
///
/// What one who waits wants for itself is a part of the question, and never a fact: it changes
/// nothing for others.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub struct Query {
    /// Where.
    pub environment: EnvironmentName,
    /// What.
    pub commit: CommitId,
    /// Another requirement than the rollout's.
    pub require: Option<Require>,
    /// These reconcilers instead of those that are expected. Empty: those that are expected.
    pub reconcilers: BTreeSet<Selector>,
    /// Another grace for failures than the rollout's.
    pub failure_grace: Option<Duration>,
}

impl Query {
    /// Asks for a rollout as it was registered.
    #[must_use]
    pub fn new(environment: EnvironmentName, commit: CommitId) -> Self {
        Self {
            environment,
            commit,
            require: None,
            reconcilers: BTreeSet::new(),
            failure_grace: None,
        }
    }

    /// Asks with another requirement.
    #[must_use]
    pub fn require(mut self, require: Require) -> Self {
        self.require = Some(require);
        self
    }

    /// Asks for this reconciler, and others named so, alone.
    #[must_use]
    pub fn reconciler(mut self, selector: Selector) -> Self {
        self.reconcilers.insert(selector);
        self
    }

    /// Asks with another grace for failures.
    #[must_use]
    pub fn failure_grace(mut self, grace: Duration) -> Self {
        self.failure_grace = Some(grace);
        self
    }
}

/// What says which reconcilers a rollout is to reach.
struct Wanted<'a> {
    selectors: &'a BTreeSet<Selector>,
    /// Whether all of the cluster that is called like the environment is wanted too.
    whole_cluster: bool,
}

/// The reconcilers that a rollout is to reach.
#[derive(Clone, Debug, Default)]
pub(crate) struct Expected {
    /// By name; those that were never heard of have no place yet.
    pub(crate) members: BTreeMap<ObjectName, Option<ReconcilerIndex>>,
    /// When a set that is not given by names alone may be taken to be complete.
    complete_at: Option<DateTime<Utc>>,
    /// The cluster that was to be learned from, if it was never heard.
    unheard: bool,
    /// Whether nothing is known of the cluster that is to be learned from.
    silent: bool,
    /// The patterns that match nothing, or that are for a cluster of which no reconciler was heard: what
    /// they are meant for may fail unseen.
    unmatched: BTreeSet<Selector>,
}

/// A rollout, looked at.
pub(crate) struct View<'a> {
    world: &'a World,
    query: &'a Query,
    registered: Option<&'a Registered>,
    now: DateTime<Utc>,
    require: Require,
    failure_grace: Duration,
    transient_grace: Duration,
    expected: Expected,
    assessed: Vec<(&'a Reconciler, Assessment<'a>)>,
    never_heard: BTreeMap<ObjectName, HealthChecks>,
}

impl<'a> View<'a> {
    pub(crate) fn new(
        world: &'a World,
        policy: &Policy,
        query: &'a Query,
        now: DateTime<Utc>,
    ) -> Self {
        let key = (query.environment.clone(), query.commit);
        let registered = world.rollouts.get(&key).and_then(|rollout| rollout.registered.as_ref());
        let declared;
        let defaults;
        let (wanted, require, failure_grace, transient_grace, learning) = match registered {
            Some(registered) => {
                let terms = &registered.terms;
                (
                    Wanted {
                        selectors: &registered.expect,
                        whole_cluster: registered.whole_cluster,
                    },
                    registered.require,
                    terms.failure_grace,
                    terms.transient_grace,
                    terms.learning,
                )
            }
            None => {
                let environment: Environment = policy.of(&query.environment);
                declared = environment.reconcilers.iter().cloned().collect::<BTreeSet<_>>();
                defaults = environment;
                (
                    Wanted { selectors: &declared, whole_cluster: declared.is_empty() },
                    defaults.require,
                    defaults.failure_grace,
                    defaults.transient_grace,
                    defaults.learning,
                )
            }
        };
        let wanted = if query.reconcilers.is_empty() {
            wanted
        } else {
            Wanted { selectors: &query.reconcilers, whole_cluster: false }
        };
        let commit = world.graph.find(&query.commit);
        let mut expected = expected(world, &query.environment, wanted, commit, learning);
        // Who asks for some reconcilers means those, and no others.
        if query.reconcilers.is_empty() {
            add_releases(world, &mut expected, commit);
        }
        let members: BTreeSet<ReconcilerIndex> =
            expected.members.values().flatten().copied().collect();
        let expects = |index: ReconcilerIndex| members.contains(&index);
        let assessor = Assessor { world, commit, expects: &expects };
        let mut assessed = Vec::with_capacity(expected.members.len());
        let mut never_heard = BTreeMap::new();
        for (name, index) in &expected.members {
            match index.and_then(|index| world.reconciler(index)) {
                Some(reconciler) => {
                    let health_checks = policy.health_checks(Some(&query.environment), name);
                    assessed.push((reconciler, assessor.assess(reconciler, health_checks)));
                }
                None => {
                    never_heard
                        .insert(name.clone(), policy.health_checks(Some(&query.environment), name));
                }
            }
        }
        Self {
            world,
            query,
            registered,
            now,
            require: query.require.unwrap_or(require),
            failure_grace: query.failure_grace.unwrap_or(failure_grace),
            transient_grace,
            expected,
            assessed,
            never_heard,
        }
    }

    /// The least of the reconcilers' states, or `failed` if one failed.
    fn state(&self) -> State {
        if self.expected.members.is_empty()
            || !self.never_heard.is_empty()
            || !self.expected.unmatched.is_empty() && rules::EVERY
        {
            let failed =
                self.assessed.iter().any(|(_, assessment)| assessment.state == State::Failed);
            return if failed { State::Failed } else { State::Pending };
        }
        let states = || self.assessed.iter().map(|(_, assessment)| assessment.state);
        if states().any(|state| state == State::Failed) {
            State::Failed
        } else if rules::EVERY {
            states().min().unwrap_or_default()
        } else {
            states().max().unwrap_or_default()
        }
    }

    fn reached(&self, state: State) -> bool {
        match self.require {
            Require::Applied => matches!(state, State::Applied | State::Healthy),
            Require::Healthy => state == State::Healthy,
        }
    }

    /// Whether a set that was learned may miss some reconciler still.
    fn is_learning(&self) -> bool {
        self.expected.silent
            || rules::LEARNING
                && self.expected.complete_at.is_some_and(|complete_at| complete_at > self.now)
    }

    /// When a failure counts.
    fn counts_at(&self, assessment: &Assessment<'_>) -> Option<DateTime<Utc>> {
        let failing = assessment.failing?;
        let grace = if failing.transient {
            self.transient_grace.max(self.failure_grace)
        } else {
            self.failure_grace
        };
        Some(plus(failing.since, grace))
    }

    pub(crate) fn standing(&self) -> Standing {
        let state = self.state();
        let failed = || {
            self.assessed
                .iter()
                .filter_map(|(_, assessment)| self.counts_at(assessment))
                .any(|counts_at| counts_at <= self.now)
        };
        let outcome = if self.reached(state) && !self.is_learning() {
            Outcome::Succeeded
        } else if failed() {
            Outcome::Failed
        } else if self.registered.is_some_and(|registered| registered.deadline() <= self.now) {
            Outcome::TimedOut
        } else {
            Outcome::InProgress
        };
        Standing { state, outcome }
    }

    /// The next instant at which time alone changes the status.
    pub(crate) fn next_change(&self) -> Option<DateTime<Utc>> {
        let graces = self.assessed.iter().filter_map(|(_, assessment)| self.counts_at(assessment));
        let complete_at = self.expected.complete_at.filter(|_| self.reached(self.state()));
        let deadline = self.registered.map(Registered::deadline);
        graces.chain(complete_at).chain(deadline).filter(|at| *at > self.now).min()
    }

    /// The names of all that is expected.
    pub(crate) fn expects(&self) -> impl Iterator<Item = &ObjectName> {
        self.expected.members.keys()
    }

    /// Everything, in words.
    pub(crate) fn status(&self) -> Status {
        let Standing { state, outcome } = self.standing();
        let reconcilers = self.reconcilers();
        let wording = self.wording(state, outcome, &reconcilers);
        let rollout = self.world.rollouts.get(&(self.query.environment.clone(), self.query.commit));
        let first_settled = rollout
            .and_then(|rollout| rollout.settlements.first_key_value())
            .map(|(_, (at, outcome))| FirstSettled { outcome: *outcome, at: *at });
        let mut status = Status {
            environment: self.query.environment.clone(),
            commit: self.query.commit,
            registered: self.registered.is_some(),
            version: Version::default(),
            evaluated_at: self.now,
            state,
            outcome,
            settled: outcome.is_settled(),
            live: all_live(&reconcilers).filter(|live| !live || self.expected.unmatched.is_empty()),
            require: self.require,
            reason: wording.reason,
            message: wording.message,
            remedy: wording.remedy,
            registered_at: self.registered.map(|registered| registered.first_at),
            deadline_at: self.registered.map(Registered::deadline),
            timeout_seconds: self.registered.map(|registered| registered.terms.timeout.as_secs()),
            first_settled,
            labels: self
                .registered
                .map(|registered| registered.terms.labels.clone())
                .unwrap_or_default(),
            timeline: timeline(&reconcilers),
            reconcilers,
        };
        status.version = status.digest();
        status
    }

    fn reconcilers(&self) -> Vec<ReconcilerStatus> {
        let mut assessed = self.assessed.iter().peekable();
        let statuses = self.expected.members.keys().map(|name| {
            match assessed.next_if(|(reconciler, _)| reconciler.name == *name) {
                Some((reconciler, assessment)) => self.reconciler(reconciler, assessment),
                None => {
                    let policy = self.never_heard.get(name).copied().unwrap_or_default();
                    wording::never_heard(name, policy)
                }
            }
        });
        statuses.collect()
    }

    fn reconciler(&self, reconciler: &Reconciler, assessment: &Assessment<'_>) -> ReconcilerStatus {
        let world = self.world;
        let commit = world.graph.find(&self.query.commit);
        let incarnation = reconciler.current();
        let own = || world.records_at(incarnation?, commit?).max_by_key(|record| record.order());
        let record = assessment.record.or_else(own);
        let earliest =
            |kinds| record.and_then(|record| record.earliest(kinds)).map(|key| key.time());
        let mut reason = assessment.reason;
        if self.reached(assessment.state) {
            reason = Reason::Succeeded;
        }
        let mut status = ReconcilerStatus {
            reconciler: reconciler.name.clone(),
            state: assessment.state,
            reason,
            message: String::new(),
            live: assessment.live,
            head: assessment.head.map(|(head, _)| world.revision_text(head.text, head.revision)),
            via: assessment.via.and_then(|via| world.graph.id(via)),
            health_checks: HealthChecksStatus {
                policy: assessment.policy,
                verdict: assessment.verdict,
            },
            seen_at: commit.and_then(|commit| world.seen_at(reconciler.cluster, commit)),
            applied_at: earliest(Kinds::PROGRESS),
            healthy_at: assessment.healthy_at.map(|key| key.time()),
            failed_at: earliest(Kinds::FAILED),
            last_heard_at: reconciler.last_heard.map(|heard| heard.at),
            event: self.event(reconciler, assessment),
        };
        status.message = wording::reconciler(self, reconciler, assessment, &status);
        status
    }

    /// Flux's own words on what decides.
    fn event(&self, reconciler: &Reconciler, assessment: &Assessment<'_>) -> Option<EventSummary> {
        let last = reconciler.current()?.last.as_deref()?;
        let words = match assessment.record {
            Some(record) if assessment.state == State::Failed => record.failure.as_deref(),
            Some(record) if last.revision != Some(record.revision) => {
                // Its words are gone; what they were about is not.
                let mark = record.newest_mark(&self.world.reasons)?;
                return Some(EventSummary {
                    severity: mark
                        .severity(reconciler.role, self.world.reasons.text_at(mark.reason())),
                    reason: self.world.reasons.text_at(mark.reason()).to_owned(),
                    message: String::new(),
                    at: mark.key().time(),
                });
            }
            None => assessment.trouble.or(Some(last)),
            Some(_) => Some(last),
        };
        words.map(EventSummary::from)
    }

    /// Why the whole stands where it does.
    fn wording(&self, state: State, outcome: Outcome, reconcilers: &[ReconcilerStatus]) -> Wording {
        // A reconciler that stands no better than the whole says more.
        let stands_so =
            |status: &ReconcilerStatus| matches!(status.state, State::Pending | State::Failed);
        if let Some(selector) = self.expected.unmatched.first()
            && !reconcilers.iter().any(stands_so)
        {
            let is_heard = self
                .world
                .clusters
                .iter()
                .any(|cluster| cluster.is_heard() && selector.matches_cluster(&cluster.name));
            let wording = wording::no_match_yet(selector, is_heard);
            return wording.timed_out_if(outcome, self.registered);
        }
        if reconcilers.is_empty() {
            let wording = wording::no_reconciler(&self.query.environment, self.expected.unheard);
            return wording.timed_out_if(outcome, self.registered);
        }
        if outcome == Outcome::Succeeded {
            return wording::succeeded(reconcilers, self.require);
        }
        if self.reached(state) {
            let until = self.expected.complete_at.filter(|_| !self.expected.silent);
            return wording::learning(until).timed_out_if(outcome, self.registered);
        }
        let unfinished = |status: &&ReconcilerStatus| !self.reached(status.state);
        let behind = reconcilers.iter().filter(unfinished);
        let (decides, others) = if state == State::Failed {
            let decides = reconcilers.iter().find(|status| status.state == State::Failed);
            (decides, 0)
        } else {
            (behind.clone().min_by_key(|status| status.state), behind.count().saturating_sub(1))
        };
        let Some(decides) = decides else { return wording::succeeded(reconcilers, self.require) };
        let assessed =
            self.assessed.iter().find(|(reconciler, _)| reconciler.name == decides.reconciler);
        let counts_at = assessed
            .and_then(|(_, assessment)| self.counts_at(assessment))
            .filter(|counts_at| *counts_at > self.now);
        let unheard = assessed.and_then(|(reconciler, _)| Unheard::of(reconciler, decides.reason));
        wording::of_reconciler(decides, others, counts_at, unheard)
            .timed_out_if(outcome, self.registered)
    }

    pub(crate) fn world(&self) -> &'a World {
        self.world
    }

    pub(crate) fn commit(&self) -> CommitId {
        self.query.commit
    }
}

/// Whether the time in which a rollout hands out transitions is over.
pub(crate) fn is_over(registered: &Registered, now: DateTime<Utc>) -> bool {
    over_at(registered) <= now
}

/// The last instant at which a rollout hands out transitions.
pub(crate) fn over_at(registered: &Registered) -> DateTime<Utc> {
    registered
        .deadline()
        .checked_add_signed(CURRENT_AFTER_DEADLINE)
        .unwrap_or(DateTime::<Utc>::MAX_UTC)
}

fn plus(time: DateTime<Utc>, duration: Duration) -> DateTime<Utc> {
    TimeDelta::from_std(duration)
        .ok()
        .and_then(|duration| time.checked_add_signed(duration))
        .unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// What a rollout is to reach: the names, whatever matches the patterns, and all of the cluster that
/// is called like the environment if that is wanted.
fn expected(
    world: &World,
    environment: &EnvironmentName,
    wanted: Wanted<'_>,
    commit: Option<CommitIndex>,
    learning: Duration,
) -> Expected {
    let mut expected = Expected::default();
    // Returns whether any reconciler of the cluster matches.
    let learn =
        |expected: &mut Expected, cluster: &Cluster, matches: &dyn Fn(&ObjectName) -> bool| {
            let complete_at = plus(cluster.first_heard, learning);
            expected.complete_at = expected.complete_at.max(Some(complete_at));
            let repositories = commit.map(|commit| Repositories::new(world, cluster, commit));
            let mut any = false;
            for index in &cluster.reconcilers {
                let Some(reconciler) = world.reconciler(*index) else { continue };
                if !reconciler.is_gone()
                    && matches(&reconciler.name)
                    && takes_part(world, reconciler)
                    && !repositories.as_ref().is_some_and(|of| of.is_another(reconciler))
                {
                    expected.members.insert(reconciler.name.clone(), Some(*index));
                    any = true;
                }
            }
            any
        };
    for selector in wanted.selectors {
        if let Some(name) = selector.as_name() {
            let index = world.find(&name);
            let removed =
                index.and_then(|index| world.reconciler(index)).is_some_and(Reconciler::is_removed);
            if !removed {
                expected.members.insert(name, index);
            }
            continue;
        }
        let clusters = world
            .clusters
            .iter()
            .filter(|cluster| cluster.is_heard() && selector.matches_cluster(&cluster.name));
        let (mut any, mut all_known) = (false, true);
        for cluster in clusters {
            any |= learn(&mut expected, cluster, &|name| selector.matches(name));
            all_known &= has_reconcilers(world, cluster);
        }
        if !any || !all_known {
            expected.unmatched.insert(selector.clone());
        }
    }
    if wanted.whole_cluster {
        let cluster = world.cluster(environment.as_str());
        if let Some(cluster) = cluster {
            let related = |name: &ObjectName| !is_unrelated(world, name, commit);
            learn(&mut expected, cluster, &related);
        }
        expected.unheard = cluster.is_none();
        // Those that a registration names besides do not stand for it.
        expected.silent |=
            !expected.members.keys().any(|name| name.cluster() == environment.as_str());
    }
    expected
}

/// The patterns among an environment's selectors that match nothing yet.
pub(crate) fn unmatched(
    world: &World,
    environment: &EnvironmentName,
    selectors: &[Selector],
) -> BTreeSet<Selector> {
    let selectors = selectors.iter().cloned().collect();
    let wanted = Wanted { selectors: &selectors, whole_cluster: false };
    expected(world, environment, wanted, None, Duration::ZERO).unmatched
}

/// Whether any reconciler of a cluster was heard of. One that only told of its sources has some too.
fn has_reconcilers(world: &World, cluster: &Cluster) -> bool {
    world.reconcilers_in(cluster).any(Reconciler::is_known)
}

/// A `HelmRelease` whose events name no commit says nothing about one. Its parent does.
fn takes_part(world: &World, reconciler: &Reconciler) -> bool {
    if reconciler.role != Role::HelmRelease {
        return true;
    }
    let names_commits = |incarnation: &Incarnation| {
        incarnation.records.iter().any(|record| record.revision.as_commit().is_some())
    };
    reconciler.current().is_some_and(names_commits) || follows_by_chart(world, reconciler)
}

/// Whether a `HelmRelease` is upgraded with each commit, because its chart is a folder of a repository
/// of which commits are known.
fn follows_by_chart(world: &World, reconciler: &Reconciler) -> bool {
    reconciler.current().is_some_and(|incarnation| {
        let head = incarnation.head().map(|head| head.revision);
        matches!(head, Some(RevisionKey::Chart(_)))
            && incarnation.records.iter().any(|record| world.commit_of(record.revision).is_some())
    })
}

/// Adds the releases that the expected reconcilers apply, and that follow the repository by their
/// chart: the health check of a Kustomization takes such a release for healthy until helm-controller
/// has seen the new chart.
fn add_releases(world: &World, expected: &mut Expected, commit: Option<CommitIndex>) {
    let parents = expected.members.values().flatten();
    let children: BTreeSet<_> = parents
        .filter_map(|parent| world.reconciler(*parent))
        .flat_map(|parent| parent.children.keys().copied())
        .collect();
    for index in children {
        let Some(child) = world.reconciler(index) else { continue };
        if child.role == Role::HelmRelease
            && !child.is_gone()
            && follows_by_chart(world, child)
            && !is_unrelated(world, &child.name, commit)
        {
            expected.members.insert(child.name.clone(), Some(index));
        }
    }
}

/// Whether a reconciler is known to apply another repository, and never applied the commit's: one
/// whose branch was forced to another history, even if only for a while, is still expected.
fn is_unrelated(world: &World, name: &ObjectName, commit: Option<CommitIndex>) -> bool {
    let graph = &world.graph;
    let found = world.find(name).and_then(|index| world.reconciler(index)?.current()).zip(commit);
    let Some((incarnation, commit)) = found else { return false };
    // Most often the one leads to the other, and that is soon found.
    if incarnation
        .head()
        .and_then(|head| world.commit_of(head.revision))
        .is_some_and(|head| graph.related(head, commit))
    {
        return false;
    }
    let commits: Option<Vec<_>> =
        incarnation.records.iter().map(|record| world.commit_of(record.revision)).collect();
    commits.is_some_and(|commits| !commits.is_empty() && graph.unrelated(commits, commit))
}

fn all_live(reconcilers: &[ReconcilerStatus]) -> Option<bool> {
    if reconcilers.iter().any(|status| status.live == Some(false)) {
        return Some(false);
    }
    (!reconcilers.is_empty() && reconcilers.iter().all(|status| status.live == Some(true)))
        .then_some(true)
}

fn timeline(reconcilers: &[ReconcilerStatus]) -> Vec<TimelineEntry> {
    let mut timeline: Vec<_> = reconcilers
        .iter()
        .flat_map(|status| {
            let times = [
                (status.applied_at, State::Applied),
                (status.healthy_at, State::Healthy),
                (status.failed_at, State::Failed),
            ];
            times.into_iter().filter_map(|(at, state)| {
                Some(TimelineEntry { at: at?, state, reconciler: status.reconciler.clone() })
            })
        })
        .collect();
    timeline.sort_unstable();
    timeline.truncate(MAX_TIMELINE);
    timeline
}
