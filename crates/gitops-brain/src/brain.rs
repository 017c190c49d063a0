//! The brain: facts go in, transitions come out, and questions are answered.

mod findings;
mod statistics;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    mem,
};

use chrono::{DateTime, Utc};
use serde::Serialize;

pub use self::{
    findings::{Finding, FindingCode},
    statistics::{Day, Quantiles, Statistics, StatisticsFilter},
};
use crate::{
    assessment,
    commit::CommitId,
    fact::{Fact, FactBody, Settlement},
    names::{ClusterName, EnvironmentName, ObjectName, Selector, shorten},
    observation::Role,
    policy::{HealthChecks, Policy},
    reconciler::{Changed, Kinds, Reconciler},
    rollout::{Query, View, is_over, over_at},
    status::{
        EventSummary, HealthChecksStatus, Outcome, ReconcilerReport, Standing, State, Status,
        Transition, Version,
    },
    world::{Registered, RolloutKey, Touched, World},
};

/// All that is known, and the questions that wait for an answer.
///
/// The brain has no clock, does no I/O and starts no thread: a host hands it facts and the time, acts
/// on the [`Effects`], and asks it for a [`Status`]. Facts can come in any order and any number of
/// times; two brains that took in the same facts are equal.
///
/// # The host's part
///
/// 1. Make a fact ([`ingest`](crate::ingest), [`Registration`](crate::Registration) …) and store it
///    durably.
/// 2. [`apply`](Brain::apply) it, and act on the effects: tell those who were woken, record
///    settlements.
/// 3. At [`next_deadline`](Brain::next_deadline), call [`expire`](Brain::expire), and act on its
///    effects. Ask for the deadline again after each call that returned effects, and after each
///    [`watch`](Brain::watch).
/// 4. After a restart, [`load`](Brain::load) the stored facts in any order.
///
/// ```
/// use chrono::{DateTime, Utc};
/// use gitops_brain::{Brain, Fact, FactBody, Outcome, Policy, Query, Registration};
///
/// let now: DateTime<Utc> = "2026-11-23T12:00:00Z".parse()?;
/// let mut brain = Brain::new(Policy::default());
/// let commit = "5394cb7f48332b2de7c17dd8b8384bbc84b7e738".parse()?;
/// let registration = Registration::new("staging".parse()?, commit, &Default::default());
/// let effects = brain.apply(&Fact::new(now, FactBody::Registered(registration)), now);
/// assert!(effects.transitions.is_empty());
///
/// let status = brain.status(&Query::new("staging".parse()?, commit), now)?;
/// assert_eq!(status.outcome, Outcome::InProgress);
/// assert_eq!(brain.next_deadline(), status.deadline_at);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Brain {
    policy: Policy,
    world: World,
    current: BTreeMap<RolloutKey, Current>,
    watched: HashMap<Query, Watched>,
    watches: HashMap<WatchId, Query>,
    next_watch: u64,
}

/// A rollout whose transitions are handed out.
#[derive(Clone, Debug, Default)]
struct Current {
    standing: Standing,
    next_change: Option<DateTime<Utc>>,
}

/// A question that somebody waits on.
#[derive(Clone, Debug)]
struct Watched {
    version: Version,
    next_change: Option<DateTime<Utc>>,
    ids: BTreeSet<WatchId>,
}

/// What a call changed, and what the host has to do about it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Effects {
    /// How much of it was new.
    pub changed: Changed,
    /// The changes of current rollouts, in the order of environment and commit.
    pub transitions: Vec<Transition>,
    /// The watches whose status changed. They are spent: ask for the status, and watch again.
    pub woken: Vec<WatchId>,
}

impl Effects {
    /// Adds those of a later call.
    pub fn append(&mut self, later: Self) {
        self.changed = self.changed.max(later.changed);
        self.transitions.extend(later.transitions);
        self.woken.extend(later.woken);
    }
}

/// A watch that waits.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct WatchId(u64);

impl WatchId {
    /// The watch's number, unique within its brain.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0
    }

    /// The watch with a number, for hosts that hand it through another language. A number that no
    /// watch has does no harm.
    #[must_use]
    pub fn from_number(number: u64) -> Self {
        Self(number)
    }
}

/// The answer to [`Brain::watch`].
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there is an answer, or there is none yet")]
#[expect(clippy::large_enum_variant, reason = "it is taken apart at once")]
pub enum Watch {
    /// The status is settled, or is not the one that the asker knows.
    Ready(Status),
    /// [`Effects::woken`] will name this watch when the status changes.
    Waiting(WatchId),
}

/// Which reconcilers to report.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct ReconcilerFilter {
    /// Those of an environment, as its policy selects them.
    pub environment: Option<EnvironmentName>,
    /// Those of a cluster.
    pub cluster: Option<ClusterName>,
}

impl ReconcilerFilter {
    /// Those of an environment.
    #[must_use]
    pub fn environment(mut self, environment: EnvironmentName) -> Self {
        self.environment = Some(environment);
        self
    }

    /// Those of a cluster.
    #[must_use]
    pub fn cluster(mut self, cluster: ClusterName) -> Self {
        self.cluster = Some(cluster);
        self
    }
}

/// Which rollouts to list, newest first.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct RolloutFilter {
    /// Those of an environment.
    pub environment: Option<EnvironmentName>,
    /// Those with an outcome.
    pub outcome: Option<Outcome>,
    /// Those that have all these labels.
    pub labels: BTreeMap<String, String>,
    /// Those that come after this one in the list.
    pub after: Option<Position>,
    /// At most so many; `None` for all.
    pub limit: Option<usize>,
}

/// A rollout's place in the list of all, newest first.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_structs, reason = "what the list is ordered by")]
pub struct Position {
    /// When it was first registered.
    pub registered_at: DateTime<Utc>,
    /// Where.
    pub environment: EnvironmentName,
    /// What.
    pub commit: CommitId,
}

/// What is known of a cluster.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ClusterReport {
    /// The cluster.
    pub cluster: String,
    /// When it was first heard.
    pub first_heard_at: DateTime<Utc>,
    /// When its newest event first arrived.
    pub last_heard_at: DateTime<Utc>,
    /// Its reconcilers.
    pub reconcilers: usize,
    /// How often there was no room for another one.
    pub refused: u64,
}

/// Why a question has no answer.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// No such environment is declared, though others are.
    #[error("environment {environment} is not declared; declared are: {known}")]
    EnvironmentUnknown {
        /// What was asked for.
        environment: EnvironmentName,
        /// What is declared.
        known: String,
    },
    /// No commit that was heard of begins so.
    #[error("no commit is known that begins with `{prefix}`: pass the full id")]
    CommitUnknown {
        /// What was asked for.
        prefix: String,
    },
    /// Several commits begin so.
    #[error("{count} commits begin with `{prefix}`: pass more of the id")]
    CommitAmbiguous {
        /// What was asked for.
        prefix: String,
        /// How many do.
        count: usize,
    },
    /// The text is no commit id, and no beginning of one.
    #[error(
        "`{text}` is not a commit id: pass 40 or 64 hexadecimal digits, or the first 7 or more"
    )]
    CommitMalformed {
        /// What was asked for.
        text: String,
    },
}

impl QueryError {
    /// The stable code: `environment.unknown`, `commit.unknown`, `commit.ambiguous` or
    /// `commit.malformed`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::EnvironmentUnknown { .. } => "environment.unknown",
            Self::CommitUnknown { .. } => "commit.unknown",
            Self::CommitAmbiguous { .. } => "commit.ambiguous",
            Self::CommitMalformed { .. } => "commit.malformed",
        }
    }
}

impl Brain {
    /// A brain that knows nothing yet.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            world: World::new(),
            current: BTreeMap::new(),
            watched: HashMap::new(),
            watches: HashMap::new(),
            next_watch: 0,
        }
    }

    /// What the operators declare.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Takes in stored facts, without effects. Afterwards each rollout stands where it stood at the
    /// time of the newest of them: what time has changed since, [`Brain::expire`] hands out.
    pub fn load(&mut self, facts: impl IntoIterator<Item = Fact>) {
        let mut newest = None;
        for fact in facts {
            newest = newest.max(Some(fact.at));
            self.world.apply(&fact);
        }
        if self.world.forgotten.is_some() {
            self.forget();
        }
        if let Some(now) = newest {
            self.find_current(now);
        }
    }

    /// Takes in a fact.
    pub fn apply(&mut self, fact: &Fact, now: DateTime<Utc>) -> Effects {
        // A rollout that is registered again goes on from where it stands.
        let again = match &fact.body {
            FactBody::Registered(registration) => {
                let key = (registration.environment.clone(), registration.commit);
                let known = self.registered(&key).is_some();
                let standing = if known { self.look(&key, now).0 } else { Standing::default() };
                Some((key, standing))
            }
            _ => None,
        };
        let (changed, touched) = self.world.apply(fact);
        let mut effects = Effects { changed, ..Effects::default() };
        if changed != Changed::Knowledge {
            return effects;
        }
        if let FactBody::Forgotten { .. } = fact.body {
            self.forget();
        }
        if let Some((key, standing)) = again
            && self.registered(&key).is_some_and(|registered| !is_over(registered, now))
        {
            self.current.entry(key).or_insert(Current { standing, next_change: None });
        }
        let cause = match &fact.body {
            FactBody::Observed(observation) => Some(&observation.object),
            _ => None,
        };
        self.refresh(&touched, cause, now, &mut effects);
        effects
    }

    /// What applying a fact would change, at most, without changing anything: [`Changed::LastHeard`]
    /// for a heartbeat, which a host need not store one by one; else [`Changed::Knowledge`].
    #[must_use]
    pub fn preview(&self, fact: &Fact) -> Changed {
        self.world.preview(fact)
    }

    /// Settlements of current rollouts that ought to have been recorded, and were not: the host
    /// stopped between a fact and what followed from it. Ask once after [`Brain::load`].
    #[must_use]
    pub fn unrecorded(&self) -> Vec<FactBody> {
        let owed = self.current.iter().filter_map(|((environment, commit), current)| {
            let key = (environment.clone(), *commit);
            let settlements = &self.world.rollouts.get(&key)?.settlements;
            let outcome = current.standing.outcome;
            let recorded = settlements.last_key_value().map(|(_, (_, recorded))| *recorded);
            let n = u32::try_from(settlements.len()).ok()?;
            (outcome.is_settled() && recorded != Some(outcome))
                .then(|| FactBody::Settled(Settlement::new(key.0, key.1, n, outcome)))
        });
        owed.collect()
    }

    /// Takes in all that another brain knows.
    pub fn merge(&mut self, other: &Self, now: DateTime<Utc>) -> Effects {
        let mut effects = Effects::default();
        for fact in other.facts() {
            effects.append(self.apply(&fact, now));
        }
        effects
    }

    /// Puts another policy in place.
    pub fn set_policy(&mut self, policy: Policy, now: DateTime<Utc>) -> Effects {
        let changed = Changed::from(self.policy != policy);
        self.policy = policy;
        let mut effects = Effects { changed, ..Effects::default() };
        self.refresh(&Touched::Everything, None, now, &mut effects);
        effects
    }

    /// Lets time pass: hands out what it has changed.
    pub fn expire(&mut self, now: DateTime<Utc>) -> Effects {
        let mut effects = Effects::default();
        let due = |next: Option<DateTime<Utc>>| next.is_some_and(|next| next <= now);
        let rollouts: Vec<_> = self
            .current
            .iter()
            .filter(|(_, current)| due(current.next_change))
            .map(|(key, _)| key.clone())
            .collect();
        self.refresh_rollouts(&rollouts, None, now, &mut effects);
        let watched: Vec<_> = self
            .watched
            .iter()
            .filter(|(_, watched)| due(watched.next_change))
            .map(|(query, _)| query.clone())
            .collect();
        self.refresh_watches(watched, now, &mut effects);
        let world = &self.world;
        self.current.retain(|key, _| {
            let rollout = world.rollouts.get(key).and_then(|rollout| rollout.registered.as_ref());
            rollout.is_some_and(|registered| !is_over(registered, now))
        });
        effects
    }

    /// The next instant at which time alone changes something: call [`Brain::expire`] then.
    #[must_use]
    pub fn next_deadline(&self) -> Option<DateTime<Utc>> {
        let rollouts = self.current.iter().map(|(key, current)| {
            current.next_change.or_else(|| self.registered(key).map(over_at))
        });
        let watches = self.watched.values().map(|watched| watched.next_change);
        rollouts.chain(watches).flatten().min()
    }

    /// Where a rollout stands. A commit that was never registered is answered too, from what was
    /// observed.
    ///
    /// # Errors
    ///
    /// [`QueryError::EnvironmentUnknown`] if environments are declared and this is none of them.
    pub fn status(&self, query: &Query, now: DateTime<Utc>) -> Result<Status, QueryError> {
        self.check(&query.environment)?;
        Ok(View::new(&self.world, &self.policy, query, now).status())
    }

    /// The next instant at which time alone changes a status: a grace or a deadline ends. For a host
    /// that asks again by itself; one that calls [`Brain::expire`] is told.
    ///
    /// # Errors
    ///
    /// As [`Brain::status`].
    pub fn next_change(
        &self,
        query: &Query,
        now: DateTime<Utc>,
    ) -> Result<Option<DateTime<Utc>>, QueryError> {
        self.check(&query.environment)?;
        Ok(View::new(&self.world, &self.policy, query, now).next_change())
    }

    /// Where a commit stands in each environment: those that are declared, or else those in which it
    /// was registered and those that clusters make.
    #[must_use]
    pub fn statuses(&self, commit: CommitId, now: DateTime<Utc>) -> Vec<Status> {
        let mut environments: BTreeSet<EnvironmentName> =
            self.policy.environments.keys().cloned().collect();
        if environments.is_empty() {
            let registered =
                self.world.rollouts.keys().filter(|(_, registered)| *registered == commit);
            environments.extend(registered.map(|(environment, _)| environment.clone()));
            let clusters = self.world.clusters.iter();
            environments
                .extend(clusters.filter_map(|cluster| EnvironmentName::new(&cluster.name).ok()));
        }
        environments
            .into_iter()
            .map(|environment| {
                View::new(&self.world, &self.policy, &Query::new(environment, commit), now).status()
            })
            .collect()
    }

    /// The commit that a full id names, or the only one known that begins with at least 7 digits.
    ///
    /// # Errors
    ///
    /// If the text is no id, or none or several commits begin with it.
    pub fn resolve(&self, text: &str) -> Result<CommitId, QueryError> {
        if let Ok(commit) = text.parse() {
            return Ok(commit);
        }
        let prefix = text.to_ascii_lowercase();
        if !(7..64).contains(&prefix.len()) || !prefix.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(QueryError::CommitMalformed { text: shorten(text) });
        }
        let mut found = self.world.graph.ids().filter(|id| begins_with(id, &prefix));
        let (first, others) = (found.next(), found.count());
        match first {
            Some(commit) if others == 0 => Ok(commit),
            Some(_) => Err(QueryError::CommitAmbiguous { prefix, count: others + 1 }),
            None => Err(QueryError::CommitUnknown { prefix }),
        }
    }

    /// Waits for a status: answers at once if it is settled, or has another version than `since`;
    /// else when it changes.
    ///
    /// # Errors
    ///
    /// As [`Brain::status`].
    pub fn watch(
        &mut self,
        query: Query,
        since: Option<&Version>,
        now: DateTime<Utc>,
    ) -> Result<Watch, QueryError> {
        self.check(&query.environment)?;
        let view = View::new(&self.world, &self.policy, &query, now);
        let status = view.status();
        let next_change = view.next_change();
        if status.settled || since.is_some_and(|since| *since != status.version) {
            return Ok(Watch::Ready(status));
        }
        let id = WatchId(self.next_watch);
        self.next_watch += 1;
        let watched = self.watched.entry(query.clone()).or_insert_with(|| Watched {
            version: status.version,
            next_change,
            ids: BTreeSet::new(),
        });
        watched.ids.insert(id);
        self.watches.insert(id, query);
        Ok(Watch::Waiting(id))
    }

    /// Gives up a watch. One that was woken is spent already.
    pub fn unwatch(&mut self, id: WatchId) {
        let Some(query) = self.watches.remove(&id) else { return };
        if let Some(watched) = self.watched.get_mut(&query) {
            watched.ids.remove(&id);
            if watched.ids.is_empty() {
                self.watched.remove(&query);
            }
        }
    }

    /// What is live where, in the order of the names.
    #[must_use]
    pub fn reconcilers(&self, filter: &ReconcilerFilter) -> Vec<ReconcilerReport> {
        let selectors = filter.environment.as_ref().map(|name| {
            let declared = self.policy.environments.get(name);
            (name, declared.map_or(&[][..], |environment| &environment.reconcilers))
        });
        let selected = |reconciler: &&Reconciler| {
            let name = &reconciler.name;
            reconciler.is_known()
                && filter.cluster.as_ref().is_none_or(|cluster| cluster.as_str() == name.cluster())
                && selectors
                    .is_none_or(|(environment, selectors)| selects(environment, selectors, name))
        };
        let mut reports: Vec<_> = self
            .world
            .reconcilers
            .iter()
            .filter(selected)
            .map(|reconciler| self.report(reconciler, filter.environment.as_ref()))
            .collect();
        reports.sort_by(|a, b| a.reconciler.cmp(&b.reconciler));
        reports
    }

    /// Rollouts as they stand, those registered last first.
    #[must_use]
    pub fn rollouts(&self, filter: &RolloutFilter, now: DateTime<Utc>) -> Vec<Status> {
        let mut positions: Vec<_> = self
            .world
            .rollouts
            .iter()
            .filter_map(|((environment, commit), rollout)| {
                let registered = rollout.registered.as_ref()?;
                let wanted = filter.environment.as_ref().is_none_or(|wanted| wanted == environment)
                    && filter
                        .labels
                        .iter()
                        .all(|(name, value)| registered.terms.labels.get(name) == Some(value));
                wanted.then(|| Position {
                    registered_at: registered.first_at,
                    environment: environment.clone(),
                    commit: *commit,
                })
            })
            .filter(|position| filter.after.as_ref().is_none_or(|after| position < after))
            .collect();
        positions.sort_unstable_by(|a, b| b.cmp(a));
        positions
            .into_iter()
            .map(|position| {
                let query = Query::new(position.environment, position.commit);
                View::new(&self.world, &self.policy, &query, now).status()
            })
            .filter(|status| filter.outcome.is_none_or(|outcome| status.outcome == outcome))
            .take(filter.limit.unwrap_or(usize::MAX))
            .collect()
    }

    /// What is known of each cluster, in the order of the names.
    #[must_use]
    pub fn clusters(&self) -> Vec<ClusterReport> {
        let heard = self.world.clusters.iter().filter(|cluster| cluster.is_heard());
        let mut reports: Vec<_> = heard
            .map(|cluster| ClusterReport {
                cluster: cluster.name.to_string(),
                first_heard_at: cluster.first_heard,
                last_heard_at: cluster.last_heard_at(),
                reconcilers: cluster.reconcilers.len(),
                refused: cluster.refused,
            })
            .collect();
        reports.sort_by(|a, b| a.cluster.cmp(&b.cluster));
        reports
    }

    /// What was recorded of how a rollout ended, and ended again: number, outcome and time, the first first.
    pub fn settlements(
        &self,
        environment: &EnvironmentName,
        commit: CommitId,
    ) -> impl Iterator<Item = (u32, Outcome, DateTime<Utc>)> {
        let rollout = self.world.rollouts.get(&(environment.clone(), commit));
        let settlements = rollout.into_iter().flat_map(|rollout| &rollout.settlements);
        settlements.map(|(n, (at, outcome))| (*n, *outcome, *at))
    }

    /// The smallest list of facts that makes an equal brain: for snapshots, compaction, and moving
    /// from one store to another. What is forgotten is left out.
    pub fn facts(&self) -> impl Iterator<Item = Fact> {
        crate::snapshot::facts(&self.world).into_iter()
    }

    fn check(&self, environment: &EnvironmentName) -> Result<(), QueryError> {
        if self.policy.knows(environment) {
            return Ok(());
        }
        let known: Vec<_> = self.policy.environments.keys().map(EnvironmentName::as_str).collect();
        Err(QueryError::EnvironmentUnknown {
            environment: environment.clone(),
            known: known.join(", "),
        })
    }

    fn registered(&self, key: &RolloutKey) -> Option<&Registered> {
        self.world.rollouts.get(key)?.registered.as_ref()
    }

    /// Drops what is forgotten, by building the world anew from what is not.
    fn forget(&mut self) {
        let facts = crate::snapshot::facts(&self.world);
        self.world = World::new();
        for fact in facts {
            self.world.apply(&fact);
        }
        let rollouts = &self.world.rollouts;
        self.current
            .retain(|key, _| rollouts.get(key).is_some_and(|rollout| rollout.registered.is_some()));
    }

    /// Where a rollout stands, and when time changes that.
    fn look(&self, key: &RolloutKey, now: DateTime<Utc>) -> (Standing, Option<DateTime<Utc>>) {
        let query = Query::new(key.0.clone(), key.1);
        let view = View::new(&self.world, &self.policy, &query, now);
        (view.standing(), view.next_change())
    }

    /// Finds the rollouts that are current, and where they stand, without a word about it.
    fn find_current(&mut self, now: DateTime<Utc>) {
        let keys: Vec<_> = self
            .world
            .rollouts
            .iter()
            .filter(|(_, rollout)| {
                rollout.registered.as_ref().is_some_and(|registered| !is_over(registered, now))
            })
            .map(|(key, _)| key.clone())
            .collect();
        self.current.clear();
        let mut environments = BTreeSet::new();
        for key in keys {
            let (standing, next_change) = self.look(&key, now);
            environments.insert(key.0.clone());
            self.current.insert(key, Current { standing, next_change });
        }
        for environment in environments {
            self.retire(&environment, now);
        }
    }

    /// Looks again at all that a fact may have changed.
    fn refresh(
        &mut self,
        touched: &Touched,
        cause: Option<&ObjectName>,
        now: DateTime<Utc>,
        effects: &mut Effects,
    ) {
        if self.current.is_empty() && self.watched.is_empty() {
            return;
        }
        if !matches!(touched, Touched::Source(_)) {
            let keys: Vec<_> = self
                .current
                .keys()
                .filter(|key| self.concerns(key, None, touched))
                .cloned()
                .collect();
            self.refresh_rollouts(&keys, cause, now, effects);
        }
        let watched: Vec<_> = self
            .watched
            .keys()
            .filter(|query| {
                let key = (query.environment.clone(), query.commit);
                self.concerns(&key, Some(&query.reconcilers), touched)
            })
            .cloned()
            .collect();
        self.refresh_watches(watched, now, effects);
    }

    /// Whether what was touched can make a difference to a rollout.
    fn concerns(
        &self,
        key: &RolloutKey,
        asked: Option<&BTreeSet<Selector>>,
        touched: &Touched,
    ) -> bool {
        let (environment, _) = key;
        let any = |matches: &dyn Fn(&Selector) -> bool, cluster: &str| {
            let asked = asked.filter(|asked| !asked.is_empty());
            match (asked, self.registered(key)) {
                (Some(asked), _) => asked.iter().any(matches),
                (None, Some(registered)) => {
                    registered.whole_cluster && environment.as_str() == cluster
                        || registered.expect.iter().any(matches)
                }
                (None, None) => match self.policy.environments.get(environment) {
                    Some(declared) if !declared.reconcilers.is_empty() => {
                        declared.reconcilers.iter().any(matches)
                    }
                    _ => environment.as_str() == cluster,
                },
            }
        };
        match touched {
            Touched::Nothing => false,
            Touched::Everything => true,
            Touched::Rollout(touched) => touched == key,
            Touched::Cluster(cluster) | Touched::Source(cluster) => {
                self.world.clusters.get(*cluster as usize).is_some_and(|cluster| {
                    any(&|selector| selector.matches_cluster(&cluster.name), &cluster.name)
                })
            }
            Touched::Reconciler(index) => self.world.reconciler(*index).is_some_and(|reconciler| {
                // A release is expected with what applies it.
                let parents = || {
                    let parents = reconciler.parents.iter();
                    let parents = parents.filter(|_| reconciler.role == Role::HelmRelease);
                    parents.filter_map(|parent| self.world.reconciler(*parent))
                };
                let matches = |selector: &Selector| {
                    selector.matches(&reconciler.name)
                        || parents().any(|parent| selector.matches(&parent.name))
                };
                any(&matches, reconciler.name.cluster())
            }),
        }
    }

    /// Looks again at some rollouts. All of them, before any is retired: what ends the time of one may
    /// have changed that one too.
    fn refresh_rollouts(
        &mut self,
        keys: &[RolloutKey],
        cause: Option<&ObjectName>,
        now: DateTime<Utc>,
        effects: &mut Effects,
    ) {
        let before = effects.transitions.len();
        for key in keys {
            self.refresh_rollout(key, cause, now, effects);
        }
        let settled: BTreeSet<_> = effects
            .transitions
            .iter()
            .skip(before)
            .filter(|transition| transition.to.outcome.is_settled())
            .map(|transition| transition.environment.clone())
            .collect();
        for environment in settled {
            self.retire(&environment, now);
        }
    }

    fn refresh_rollout(
        &mut self,
        key: &RolloutKey,
        cause: Option<&ObjectName>,
        now: DateTime<Utc>,
        effects: &mut Effects,
    ) {
        let (environment, commit) = key;
        let query = Query::new(environment.clone(), *commit);
        let view = View::new(&self.world, &self.policy, &query, now);
        let (to, next_change) = (view.standing(), view.next_change());
        let Some(current) = self.current.get_mut(key) else { return };
        current.next_change = next_change;
        let from = mem::replace(&mut current.standing, to);
        if from == to {
            return;
        }
        let status = view.status();
        let rollout = self.world.rollouts.get(key);
        let settlements = rollout.map_or(0, |rollout| rollout.settlements.len());
        effects.transitions.push(Transition {
            environment: environment.clone(),
            commit: *commit,
            at: now,
            from,
            to,
            reason: status.reason,
            message: status.message,
            cause: cause.cloned(),
            settlements: u32::try_from(settlements).unwrap_or(u32::MAX),
        });
    }

    /// Ends the time in which settled rollouts of an environment hand out transitions, if a later one
    /// succeeded over all that they expect.
    fn retire(&mut self, environment: &EnvironmentName, now: DateTime<Utc>) {
        let here: Vec<_> = self
            .current
            .iter()
            .filter(|((name, _), current)| {
                name == environment && current.standing.outcome.is_settled()
            })
            .map(|((_, commit), current)| (*commit, current.standing.outcome))
            .collect();
        let expects = |commit| -> BTreeSet<ObjectName> {
            let query = Query::new(environment.clone(), commit);
            View::new(&self.world, &self.policy, &query, now).expects().cloned().collect()
        };
        let graph = &self.world.graph;
        let covers = |later: CommitId, commit: CommitId| {
            later != commit
                && graph
                    .find(&later)
                    .zip(graph.find(&commit))
                    .is_some_and(|(later, commit)| graph.contains(later, commit))
                && expects(later).is_superset(&expects(commit))
        };
        let retired: Vec<_> = here
            .iter()
            .filter(|(commit, _)| {
                here.iter().any(|(later, outcome)| {
                    *outcome == Outcome::Succeeded && covers(*later, *commit)
                })
            })
            .map(|(commit, _)| *commit)
            .collect();
        for commit in retired {
            self.current.remove(&(environment.clone(), commit));
        }
    }

    fn refresh_watches(&mut self, queries: Vec<Query>, now: DateTime<Utc>, effects: &mut Effects) {
        for query in queries {
            let view = View::new(&self.world, &self.policy, &query, now);
            let (version, next_change) = (view.status().version, view.next_change());
            let Some(watched) = self.watched.get_mut(&query) else { continue };
            if watched.version == version {
                watched.next_change = next_change;
                continue;
            }
            let ids = mem::take(&mut watched.ids);
            self.watched.remove(&query);
            for id in &ids {
                self.watches.remove(id);
            }
            effects.woken.extend(ids);
        }
        effects.woken.sort_unstable();
    }

    /// What is declared of a reconciler's health checks by the environments that it is one of, if they
    /// agree.
    fn health_checks_anywhere(&self, name: &ObjectName) -> HealthChecks {
        let environments = self.policy.environments.iter();
        let mut declared = environments
            .filter(|(environment, of)| selects(environment, &of.reconcilers, name))
            .map(|(environment, _)| self.policy.health_checks(Some(environment), name));
        let first = declared.next().filter(|first| declared.all(|other| other == *first));
        first.unwrap_or_else(|| self.policy.health_checks(None, name))
    }

    fn report(
        &self,
        reconciler: &Reconciler,
        environment: Option<&EnvironmentName>,
    ) -> ReconcilerReport {
        let policy = match environment {
            Some(_) => self.policy.health_checks(environment, &reconciler.name),
            None => self.health_checks_anywhere(&reconciler.name),
        };
        let incarnation = reconciler.current();
        let head = incarnation.and_then(|incarnation| incarnation.head());
        let commit = head.and_then(|head| self.world.commit_of(head.revision));
        let nobody = |_| false;
        let assessor = assessment::Assessor { world: &self.world, commit, expects: &nobody };
        let assessed = commit.map(|_| assessor.assess(reconciler, policy));
        let state = match (&assessed, head) {
            (Some(assessed), _) => assessed.state,
            // A revision without a commit has a state all the same.
            (None, Some(head))
                if head
                    .newest_mark(&self.world.reasons)
                    .is_some_and(|mark| mark.is(Kinds::FAILED)) =>
            {
                State::Failed
            }
            (None, Some(head)) if head.latest(Kinds::PROGRESS).is_some() => State::Applied,
            (None, _) => State::Pending,
        };
        let verdict = match incarnation {
            Some(incarnation) => assessment::verdict(reconciler, incarnation, policy),
            None => assessment::declared(Some(reconciler.role), policy),
        };
        ReconcilerReport {
            reconciler: reconciler.name.clone(),
            head: head.map(|head| self.world.revision_text(head.text, head.revision)),
            commit: commit.and_then(|commit| self.world.graph.id(commit)),
            state,
            deleted: reconciler.is_deleted(),
            removed: reconciler.is_removed(),
            health_checks: HealthChecksStatus { policy, verdict },
            last_heard_at: reconciler.last_heard.map(|heard| heard.at),
            event: incarnation
                .and_then(|incarnation| incarnation.last.as_deref().map(EventSummary::from)),
        }
    }
}

/// Whether a commit's id begins with some hexadecimal digits.
fn begins_with(id: &CommitId, prefix: &str) -> bool {
    let digits = id.as_bytes().iter().flat_map(|byte| [byte >> 4, byte & 15]);
    let digits = digits.map(|digit| char::from_digit(u32::from(digit), 16));
    prefix.len() <= 2 * id.as_bytes().len()
        && prefix.chars().map(Some).zip(digits).all(|(a, b)| a == b)
}

/// Two brains are equal if they have the same policy and took in the same facts. Watches, and which
/// transitions were handed out, do not count.
impl PartialEq for Brain {
    fn eq(&self, other: &Self) -> bool {
        self.policy == other.policy && self.facts().eq(other.facts())
    }
}

/// Whether a reconciler is one of an environment: by its selectors, or by its cluster's name where it
/// has none.
fn selects(environment: &EnvironmentName, selectors: &[Selector], name: &ObjectName) -> bool {
    match selectors {
        [] => environment.as_str() == name.cluster(),
        selectors => selectors.iter().any(|selector| selector.matches(name)),
    }
}
