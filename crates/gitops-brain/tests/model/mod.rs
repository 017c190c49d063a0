//! The brain, written a second time: naively, from the design's text, over the whole list of facts.
//!
//! Nothing is incremental here and nothing is forgotten. Each question filters the facts, builds
//! the incarnations and the revisions of each reconciler, closes ancestry over sets, and applies
//! the rules in the order in which they are written.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use gitops_brain::{
    Change, CommitId, Environment, Fact, FactBody, HealthChecks, ObjectName, Observation, Outcome,
    Policy, Query, Reason, Registration, Require, Revision, Selector, Severity, State, Status,
    Terms, Verdict,
};
use sha2::{Digest as _, Sha256};

type Time = DateTime<Utc>;

/// Timestamp, resourceVersion, rank.
type Key = (Time, u64, Rank);

/// What an observation proves, by the strength that breaks ties.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Rank {
    Nothing,
    Blocked,
    Interrupted,
    Applying,
    Failed,
    HealthChecked,
    Succeeded,
    Deleted,
}

/// What a reconciler worked on.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum At {
    Other(String),
    /// An artifact made of a commit: the hash of both, and both.
    Artifact([u8; 32], CommitId, String),
    /// The first twelve digits of a commit.
    Chart(String),
    Commit(CommitId),
}

#[derive(Clone, Debug)]
struct Seen<'a> {
    at: Time,
    key: Key,
    rank: Rank,
    on: Option<At>,
    said: &'a Observation,
}

impl Seen<'_> {
    /// Whether its lines are what a reconcile attempt, or a deletion, did.
    fn lists_changes(&self) -> bool {
        self.rank == Rank::Deleted || self.rank == Rank::Applying && self.on.is_some()
    }

    /// Whether a line of it says that an object was created or configured.
    fn made(&self, object: &ObjectName) -> bool {
        let mut lines = self.said.changed_objects.iter();
        lines.any(|line| line.object == *object && line.change != Change::Deleted)
    }
}

/// What the model says of a rollout, in the terms of a [`Status`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Answer {
    registered: bool,
    state: State,
    outcome: Outcome,
    settled: bool,
    live: Option<bool>,
    require: Require,
    reason: Reason,
    registered_at: Option<Time>,
    deadline_at: Option<Time>,
    first_settled: Option<(Outcome, Time)>,
    labels: BTreeMap<String, String>,
    reconcilers: Vec<Part>,
}

/// What the model says of one reconciler.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Part {
    name: ObjectName,
    state: State,
    reason: Reason,
    live: Option<bool>,
    via: Option<CommitId>,
    verdict: Verdict,
    last_heard_at: Option<Time>,
}

impl From<&Status> for Answer {
    fn from(status: &Status) -> Self {
        Self {
            registered: status.registered,
            state: status.state,
            outcome: status.outcome,
            settled: status.settled,
            live: status.live,
            require: status.require,
            reason: status.reason,
            registered_at: status.registered_at,
            deadline_at: status.deadline_at,
            first_settled: status.first_settled.map(|first| (first.outcome, first.at)),
            labels: status.labels.clone(),
            reconcilers: status
                .reconcilers
                .iter()
                .map(|part| Part {
                    name: part.reconciler.clone(),
                    state: part.state,
                    reason: part.reason,
                    live: part.live,
                    via: part.via,
                    verdict: part.health_checks.verdict,
                    last_heard_at: part.last_heard_at,
                })
                .collect(),
        }
    }
}

/// All facts, and the policy.
pub(crate) struct Model<'a> {
    policy: &'a Policy,
    facts: &'a [Fact],
    seen: BTreeMap<&'a ObjectName, Vec<Seen<'a>>>,
    graph: Graph,
    /// All commits that a fact names.
    commits: BTreeSet<CommitId>,
}

/// Why a state is what it is, and since when if it is a failure.
struct Assessed {
    part: Part,
    /// Since when it has failed, and whether for a reason that usually mends itself.
    failure: Option<(Time, bool)>,
}

/// What is expected, and when a set that is not given by names is complete.
struct Expected {
    names: BTreeSet<ObjectName>,
    complete_at: Completeness,
    /// Whether a pattern matches nothing, or is for a cluster of which no reconciler is known.
    unmatched: bool,
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Completeness {
    Given,
    At(Time),
    Never,
}

impl<'a> Model<'a> {
    pub(crate) fn new(policy: &'a Policy, facts: &'a [Fact]) -> Self {
        let mut seen: BTreeMap<_, Vec<_>> = BTreeMap::new();
        let mut graph = Graph::default();
        let mut commits = BTreeSet::new();
        for fact in facts {
            match &fact.body {
                FactBody::Registered(registration) => {
                    commits.insert(registration.commit);
                }
                FactBody::Settled(settlement) => {
                    commits.insert(settlement.commit);
                }
                FactBody::Observed(said) => {
                    let is_source = said.object.kind().ends_with("Repository");
                    if is_source || !matches!(rank(said), Rank::Nothing | Rank::Deleted) {
                        commits.extend(said.commit());
                    }
                    let rank = rank(said);
                    let key = (said.timestamp, said.resource_version, rank);
                    let on = revision(said);
                    seen.entry(&said.object).or_default().push(Seen {
                        at: fact.at,
                        key,
                        rank,
                        on,
                        said,
                    });
                }
                FactBody::Ancestry(ancestry) => {
                    let parents = ancestry.parents.iter();
                    commits.extend(parents.flat_map(|known| &known.parents));
                    let contained = ancestry.contains.iter();
                    commits.extend(contained.flat_map(|known| &known.ancestors));
                    commits.extend(ancestry.parents.iter().map(|known| known.commit));
                    commits.extend(ancestry.contains.iter().map(|known| known.commit));
                    for known in &ancestry.parents {
                        graph.complete.insert(known.commit);
                        let edges = graph.parents.entry(known.commit).or_default();
                        edges.extend(known.parents.iter().copied());
                    }
                    for known in &ancestry.contains {
                        let edges = graph.contains.entry(known.commit).or_default();
                        edges.extend(known.ancestors.iter().copied());
                    }
                }
                _ => {}
            }
        }
        Self { policy, facts, seen, graph, commits }
    }

    pub(crate) fn status(&self, query: &Query, now: Time) -> Answer {
        let declared = self.policy.of(&query.environment);
        let registrations = self.registrations(query);
        let terms = registrations
            .iter()
            .max_by_key(|(at, registration)| (*at, json(&registration.terms)))
            .map(|(_, registration)| &registration.terms);
        let defaults = defaults(&declared);
        let applied = terms.unwrap_or(&defaults);
        let strictest = registrations.iter().map(|(_, registration)| registration.require).max();
        let require = query.require.or(strictest).unwrap_or(declared.require);
        let failure_grace = query.failure_grace.unwrap_or(applied.failure_grace);
        let transient_grace = applied.transient_grace.max(failure_grace);
        let deadline = terms.zip(registrations.iter().map(|(at, _)| *at).max());
        let deadline = deadline.map(|(terms, at)| at + terms.timeout);

        let expected = self.expected(query, &registrations, &declared, applied.learning);
        let assessed: Vec<Assessed> = expected
            .names
            .iter()
            .map(|name| self.assess(name, query, &expected.names, require))
            .collect();

        let state = if assessed.iter().any(|one| one.part.state == State::Failed) {
            State::Failed
        } else if expected.unmatched {
            State::Pending
        } else {
            assessed.iter().map(|one| one.part.state).min().unwrap_or(State::Pending)
        };
        let all_reached = assessed.iter().all(|one| reaches(one, require));
        let reached = !assessed.is_empty() && all_reached && !expected.unmatched;
        let learned = match expected.complete_at {
            Completeness::Given => true,
            Completeness::At(time) => time <= now,
            Completeness::Never => false,
        };
        let failed = assessed.iter().any(|one| {
            one.failure.is_some_and(|(since, transient)| {
                since + (if transient { transient_grace } else { failure_grace }) <= now
            })
        });
        let outcome = if reached && learned {
            Outcome::Succeeded
        } else if failed {
            Outcome::Failed
        } else if deadline.is_some_and(|deadline| deadline <= now) {
            Outcome::TimedOut
        } else {
            Outcome::InProgress
        };
        let live = assessed.iter().map(|one| one.part.live).fold(Some(true), and);
        let live = if expected.unmatched { and(live, None) } else { live };
        let reason = match outcome {
            Outcome::Succeeded => Reason::Succeeded,
            Outcome::Failed => Reason::Failed,
            Outcome::TimedOut => Reason::TimedOut,
            Outcome::InProgress
                if expected.unmatched
                    && !assessed
                        .iter()
                        .any(|one| matches!(one.part.state, State::Pending | State::Failed)) =>
            {
                Reason::NoMatchYet
            }
            Outcome::InProgress if assessed.is_empty() => Reason::NoReconciler,
            Outcome::InProgress if reached => Reason::Learning,
            Outcome::InProgress => assessed
                .iter()
                .filter(|one| !reaches(one, require))
                .min_by_key(|one| (one.part.state != State::Failed, one.part.state))
                .map_or(Reason::Waiting, |one| one.part.reason),
        };
        Answer {
            registered: !registrations.is_empty(),
            state,
            outcome,
            settled: outcome != Outcome::InProgress,
            live: if assessed.is_empty() { None } else { live },
            require,
            reason,
            registered_at: registrations.iter().map(|(at, _)| *at).min(),
            deadline_at: deadline,
            first_settled: self.first_settled(query),
            labels: terms.map(|terms| terms.labels.clone()).unwrap_or_default(),
            reconcilers: assessed.into_iter().map(|one| one.part).collect(),
        }
    }

    fn registrations(&self, query: &Query) -> Vec<(Time, &'a Registration)> {
        self.facts
            .iter()
            .filter_map(|fact| match &fact.body {
                FactBody::Registered(registration)
                    if registration.environment == query.environment
                        && registration.commit == query.commit =>
                {
                    Some((fact.at, registration))
                }
                _ => None,
            })
            .collect()
    }

    fn first_settled(&self, query: &Query) -> Option<(Outcome, Time)> {
        let mut settled: Vec<_> = self
            .facts
            .iter()
            .filter_map(|fact| match &fact.body {
                FactBody::Settled(settled)
                    if settled.environment == query.environment
                        && settled.commit == query.commit =>
                {
                    Some((settled.n, fact.at, settled.outcome))
                }
                _ => None,
            })
            .collect();
        settled.sort_unstable();
        settled.first().map(|(_, at, outcome)| (*outcome, *at))
    }

    // Section 6: what is expected.

    fn expected(
        &self,
        query: &Query,
        registrations: &[(Time, &Registration)],
        declared: &Environment,
        learning: Duration,
    ) -> Expected {
        let selectors: BTreeSet<&Selector> = if !query.reconcilers.is_empty() {
            query.reconcilers.iter().collect()
        } else if registrations.is_empty() {
            declared.reconcilers.iter().collect()
        } else {
            registrations.iter().flat_map(|(_, registration)| &registration.expect).collect()
        };
        let own = query.environment.as_str();
        // A registration only adds: where nothing is declared, to all of the cluster.
        let learned = query.reconcilers.is_empty()
            && (selectors.is_empty()
                || registrations.iter().any(|(_, registration)| {
                    registration.whole_cluster || registration.expect.is_empty()
                }));

        let mut names: BTreeSet<ObjectName> =
            selectors.iter().filter_map(|selector| selector.as_name()).collect();
        for name in self.reconcilers() {
            let selected = learned
                && name.cluster() == own
                && !self.is_unrelated(name, query.commit)
                || selectors.iter().any(|selector| selector.is_pattern() && selector.matches(name));
            if selected && self.joins_by_itself(name) && !self.follows_another(name, query.commit) {
                names.insert(name.clone());
            }
        }
        names.retain(|name| !self.is_removed(name));
        let heard: BTreeSet<&str> = self.seen.keys().map(|name| name.cluster()).collect();
        let known = self.reconcilers();
        let unmatched = selectors.iter().filter(|selector| selector.is_pattern()).any(|pattern| {
            let matched = known.iter().any(|name| {
                pattern.matches(name)
                    && self.joins_by_itself(name)
                    && !self.is_removed(name)
                    && !self.follows_another(name, query.commit)
            });
            let silent = heard.iter().any(|cluster| {
                pattern.matches_cluster(cluster)
                    && !known.iter().any(|name| name.cluster() == *cluster)
            });
            !matched || silent
        });
        if query.reconcilers.is_empty() {
            names.extend(self.releases_of(&names, query.commit));
        }

        // Each pattern's clusters must have been heard for long enough, and so must be known.
        let clusters: BTreeSet<&str> = self.seen.keys().map(|name| name.cluster()).collect();
        let complete_at = |of: &dyn Fn(&str) -> bool| {
            let heard = clusters.iter().filter(|cluster| of(cluster));
            let newest = heard.filter_map(|cluster| self.first_heard(cluster)).max();
            newest.map_or(Completeness::Never, |heard| Completeness::At(heard + learning))
        };
        let patterns = selectors.iter().filter(|selector| selector.is_pattern());
        // Who is named besides does not stand for a cluster of which nothing is known.
        let own_at = if names.iter().any(|name| name.cluster() == own) {
            complete_at(&|cluster| cluster == own)
        } else {
            Completeness::Never
        };
        let complete_at = patterns
            .map(|pattern| complete_at(&|cluster| pattern.matches_cluster(cluster)))
            .chain(learned.then_some(own_at))
            .max()
            .unwrap_or(Completeness::Given);
        Expected { names, complete_at, unmatched }
    }

    /// Those that were heard of, and those that a parent created or configured.
    fn reconcilers(&self) -> BTreeSet<&'a ObjectName> {
        let heard = self.seen.keys().copied();
        let announced = self.seen.keys().flat_map(|parent| self.children(parent));
        heard
            .chain(announced)
            .filter(|name| matches!(name.kind(), "Kustomization" | "HelmRelease"))
            .collect()
    }

    /// What a reconciler ever created or configured, itself apart.
    fn children<'b>(&'b self, parent: &'b ObjectName) -> impl Iterator<Item = &'a ObjectName> {
        let lists = self.all(parent).iter().filter(|seen| seen.lists_changes());
        let lines = lists.flat_map(|seen| &seen.said.changed_objects);
        let lines = lines.filter(|line| line.change != Change::Deleted);
        lines.map(|line| &line.object).filter(move |child| *child != parent)
    }

    /// Whether a reconciler belongs to sets that are not given by names.
    fn joins_by_itself(&self, name: &ObjectName) -> bool {
        let silent_release = name.kind() == "HelmRelease"
            && !self.revisions(name).keys().any(|on| matches!(on, At::Commit(_)))
            && !self.follows_by_chart(name);
        !silent_release && !self.is_deleted(name)
    }

    /// Whether a release reports charts of a repository of which commits are known.
    fn follows_by_chart(&self, name: &ObjectName) -> bool {
        let revisions = self.revisions(name);
        head(&revisions).is_some_and(|(_, on)| matches!(on, At::Chart(_)))
            && revisions.keys().any(|on| self.commit_of(on).is_some())
    }

    /// The releases that some reconcilers created or configured, and that follow the repository.
    fn releases_of(&self, names: &BTreeSet<ObjectName>, commit: CommitId) -> Vec<ObjectName> {
        let releases = names.iter().flat_map(|name| self.children(name)).filter(|child| {
            child.kind() == "HelmRelease"
                && self.follows_by_chart(child)
                && !self.is_unrelated(child, commit)
                && !self.is_deleted(child)
                && !self.is_removed(child)
        });
        releases.cloned().collect()
    }

    /// The commit that a revision is of: of a chart the only one that begins so.
    fn commit_of(&self, on: &At) -> Option<CommitId> {
        match on {
            At::Commit(commit) | At::Artifact(_, commit, _) => Some(*commit),
            At::Chart(digits) => {
                let mut found = self.commits.iter().filter(|id| id.to_string().starts_with(digits));
                found.next().copied().filter(|_| found.next().is_none())
            }
            At::Other(_) => None,
        }
    }

    fn is_unrelated(&self, name: &ObjectName, commit: CommitId) -> bool {
        let revisions = self.revisions(name);
        !revisions.is_empty()
            && revisions.keys().all(|on| {
                self.commit_of(on).is_some_and(|other| self.graph.are_strangers(other, commit))
            })
    }

    /// Whether the sources of a reconciler had none of the commits that the sources of a commit had, and
    /// nothing relates them to it, though something is known of what it descends from.
    fn follows_another(&self, name: &ObjectName, commit: CommitId) -> bool {
        let related = |other: CommitId| {
            let contains = |one, other| self.graph.relation(one, other) == Some(true);
            contains(other, commit) || contains(commit, other)
        };
        let lately = self.commits_lately(name);
        let told = self.graph.complete.contains(&commit)
            || self.graph.contains.get(&commit).is_some_and(|ancestors| !ancestors.is_empty());
        if lately.is_empty() || lately.iter().any(|other| related(*other)) || !told {
            return false;
        }
        let named = self.named_source(name);
        let sources: Vec<(&ObjectName, BTreeSet<CommitId>)> =
            self.sources(name.cluster()).map(|source| (source, self.had(source))).collect();
        let all = |wanted: &dyn Fn(&ObjectName, &BTreeSet<CommitId>) -> bool| {
            let wanted = sources.iter().filter(|(source, had)| wanted(source, had));
            wanted.flat_map(|(_, had)| had.iter().copied()).collect::<BTreeSet<CommitId>>()
        };
        let theirs = all(&|source, had| {
            !had.is_disjoint(&lately) && named.is_none_or(|named| named == source)
        });
        let ours = all(&|_, had| {
            had.iter().any(|other| self.graph.relation(*other, commit) == Some(true))
        });
        !theirs.is_empty()
            && !ours.is_empty()
            && theirs.is_disjoint(&ours)
            && lately.is_disjoint(&ours)
            && !theirs.iter().any(|other| related(*other))
    }

    fn is_removed(&self, name: &ObjectName) -> bool {
        let removed = self.facts.iter().filter_map(|fact| match &fact.body {
            FactBody::Removed { reconciler } if reconciler == name => Some(fact.at),
            _ => None,
        });
        removed.max().is_some_and(|at| self.last_heard(name).is_none_or(|heard| heard <= at))
    }

    fn is_deleted(&self, name: &ObjectName) -> bool {
        let current = self.current(name);
        let newest = current.iter().map(|seen| seen.key).max();
        if current.iter().any(|seen| {
            seen.rank == Rank::Deleted || is_uninstalled(seen.said) && Some(seen.key) == newest
        }) {
            return true;
        }
        let lines = |wanted: &[Change]| {
            self.lines_about(name)
                .filter(|(_, change)| wanted.contains(change))
                .map(|(seen, _)| seen.key)
                .max()
        };
        let heard = self.all(name).iter().map(|seen| seen.key.0).max();
        let made = lines(&[Change::Created, Change::Configured]);
        lines(&[Change::Deleted])
            .is_some_and(|deleted| Some(deleted.0) > heard && Some(deleted) > made)
    }

    /// The lines of other reconcilers that name one.
    fn lines_about<'b>(
        &'b self,
        name: &'b ObjectName,
    ) -> impl Iterator<Item = (&'b Seen<'a>, Change)> {
        self.seen
            .iter()
            .filter(move |(parent, _)| **parent != name)
            .flat_map(|(parent, _)| self.all(parent))
            .filter(|seen| seen.lists_changes())
            .flat_map(move |seen| {
                let lines = seen.said.changed_objects.iter();
                lines.filter(|line| line.object == *name).map(move |line| (seen, line.change))
            })
    }

    fn first_heard(&self, cluster: &str) -> Option<Time> {
        let heard = self.seen.iter().filter(|(name, _)| name.cluster() == cluster);
        heard.flat_map(|(_, seen)| seen).map(|seen| seen.at).min()
    }

    fn last_heard(&self, name: &ObjectName) -> Option<Time> {
        // The newest event, when it first came.
        let newest = self.all(name).iter().max_by_key(|seen| (seen.key.0, Reverse(seen.at)));
        newest.map(|seen| seen.at)
    }

    // Section 5: one reconciler.

    fn all(&self, name: &ObjectName) -> &[Seen<'a>] {
        self.seen.get(name).map_or(&[], Vec::as_slice)
    }

    /// What was seen of the current incarnation: that of the greatest order key.
    fn current(&self, name: &ObjectName) -> Vec<&Seen<'a>> {
        let all = self.all(name);
        let newest = all.iter().max_by_key(|seen| (seen.key, &*seen.said.uid));
        let uid = newest.map(|seen| &*seen.said.uid);
        all.iter().filter(|seen| Some(&*seen.said.uid) == uid).collect()
    }

    fn revisions(&self, name: &ObjectName) -> BTreeMap<At, Vec<&Seen<'a>>> {
        let mut revisions: BTreeMap<At, Vec<&Seen<'a>>> = BTreeMap::new();
        for seen in self.current(name) {
            if let Some(on) = seen.on.clone()
                && !matches!(seen.rank, Rank::Nothing | Rank::Deleted)
            {
                revisions.entry(on).or_default().push(seen);
            }
        }
        revisions
    }

    /// The newest evidence about health checks, at or before `asked` if that is given.
    ///
    /// Where it told of a check, one sign that it does not wait can be a lost event: that is not known
    /// then.
    fn evidence(&self, name: &ObjectName, asked: Option<Key>) -> Verdict {
        let mut evidence: Vec<(Key, Verdict)> = Vec::new();
        let mut signs = Vec::new();
        for seen in self.revisions(name).values() {
            let keys = |rank: Rank, reason: Option<&str>| -> Vec<Key> {
                let mut keys: Vec<_> = seen
                    .iter()
                    .filter(|seen| seen.rank == rank)
                    .filter(|seen| reason.is_none_or(|reason| seen.said.reason == reason))
                    .map(|seen| seen.key)
                    .collect();
                keys.sort_unstable();
                keys
            };
            let checked = keys(Rank::HealthChecked, None);
            let red = keys(Rank::Failed, Some("HealthCheckFailed"));
            for key in checked.first().into_iter().chain(checked.last()) {
                evidence.push((*key, Verdict::Checks));
            }
            for key in red.first().into_iter().chain(red.last()) {
                evidence.push((*key, Verdict::DoesNotCheck));
            }
            // What lies between the first and the last red check is not kept.
            if let (Some(first), Some(last), Some(asked)) = (red.first(), red.last(), asked)
                && *first <= asked
                && asked <= *last
            {
                evidence.push((asked, Verdict::DoesNotCheck));
            }
            let changed = seen
                .iter()
                .filter(|seen| seen.rank == Rank::Applying && has_applied(seen.said))
                .map(|seen| seen.key)
                .min();
            let succeeded = keys(Rank::Succeeded, None);
            let stopped = !keys(Rank::Failed, Some("PruneFailed")).is_empty()
                || !keys(Rank::Failed, Some("Progressing")).is_empty()
                || !keys(Rank::Interrupted, None).is_empty()
                || !red.is_empty();
            if let (Some(changed), Some(succeeded)) = (changed, succeeded.first())
                && changed < *succeeded
                && checked.is_empty()
                && !stopped
            {
                signs.push(*succeeded);
            }
        }
        let by_then = |key: &Key| asked.is_none_or(|asked| *key <= asked);
        let waited = evidence
            .into_iter()
            .filter(|(key, _)| by_then(key))
            .max_by_key(|(key, verdict)| (*key, *verdict == Verdict::DoesNotCheck));
        let newest = signs.iter().filter(|key| by_then(key)).max().copied();
        match (waited, newest) {
            (None, None) => Verdict::Unknown,
            (None, Some(_)) => Verdict::DoesNotCheck,
            (Some((waited, _)), Some(newest)) if newest > waited => {
                let since = signs.iter().filter(|key| by_then(key) && **key > waited).count();
                if since == 1 { Verdict::Unknown } else { Verdict::DoesNotCheck }
            }
            // At the same time as a check that passed: that one counts.
            (Some((_, verdict)), _) => verdict,
        }
    }

    fn verdict(&self, name: &ObjectName, query: &Query, asked: Option<Key>) -> Verdict {
        match self.policy.health_checks(Some(&query.environment), name) {
            HealthChecks::Enabled => Verdict::Checks,
            HealthChecks::Disabled => Verdict::DoesNotCheck,
            HealthChecks::Inferred if name.kind() == "HelmRelease" => Verdict::Checks,
            HealthChecks::Inferred => self.evidence(name, asked),
        }
    }

    /// What is known of its health checks by now. A check that failed was one, as long as nothing
    /// succeeded after it without another.
    fn verdict_now(&self, name: &ObjectName, query: &Query) -> Verdict {
        let verdict = self.verdict(name, query, None);
        let declared = self.policy.health_checks(Some(&query.environment), name);
        if declared != HealthChecks::Inferred || verdict != Verdict::DoesNotCheck {
            return verdict;
        }
        let revisions = self.revisions(name);
        let seen = || revisions.values().flatten();
        let red = seen()
            .filter(|seen| seen.rank == Rank::Failed && seen.said.reason == "HealthCheckFailed")
            .map(|seen| seen.key)
            .max();
        let succeeded =
            seen().filter(|seen| seen.rank == Rank::Succeeded).map(|seen| seen.key).max();
        if red > succeeded { Verdict::Checks } else { verdict }
    }

    /// The state at one revision, of the proofs that count.
    fn state_at(
        &self,
        name: &ObjectName,
        query: &Query,
        seen: &[&Seen<'_>],
        counts: &dyn Fn(Key) -> bool,
    ) -> State {
        let newest = |rank| newest(seen, &[rank]).filter(|key| counts(*key));
        let failed = newest(Rank::Failed);
        let applying = newest(Rank::Applying);
        let pruned = pruned(seen).filter(|key| counts(*key));
        let since_pruned = |rank| newest(rank).filter(|key| Some(*key) > pruned);
        let undone = undone(seen, counts);
        let checked = since_pruned(Rank::HealthChecked);
        let succeeded = since_pruned(Rank::Succeeded);
        let proved = succeeded.filter(|key| self.proves(name, query, seen, *key)).max(checked);
        let progress = applying.max(checked).max(succeeded);
        if proved > undone {
            State::Healthy
        } else if progress > undone {
            State::Applied
        } else if failed.is_some() {
            State::Failed
        } else {
            State::Pending
        }
    }

    // Section 6: one reconciler of a rollout.

    fn assess(
        &self,
        name: &ObjectName,
        query: &Query,
        expected: &BTreeSet<ObjectName>,
        require: Require,
    ) -> Assessed {
        let commit = query.commit;
        let current = self.current(name);
        let revisions = self.revisions(name);
        let mut part = Part {
            name: name.clone(),
            state: State::Pending,
            reason: Reason::Waiting,
            live: None,
            via: None,
            verdict: self.verdict_now(name, query),
            last_heard_at: self.last_heard(name),
        };
        let last_applied = applied(&revisions, &is_applied);
        let perhaps =
            applied(&revisions, &is_perhaps_applied).filter(|at| Some(*at) > last_applied);
        part.live = match last_applied {
            Some((_, on)) => self.contains(on, commit).filter(|live| {
                perhaps.is_none_or(|(_, on)| self.contains(on, commit) == Some(*live))
            }),
            None => head(&revisions)
                .and_then(|(_, on)| self.contains(on, commit))
                .filter(|contains| !contains),
        };
        if self.is_deleted(name) {
            part.reason = Reason::Deleted;
            part.live = (!current.is_empty()).then_some(false);
            return Assessed { part, failure: None };
        }
        if current.is_empty() {
            part.reason = Reason::NeverHeard;
            return Assessed { part, failure: None };
        }

        let mut carriers: BTreeMap<&At, &Vec<&Seen<'a>>> =
            revisions.iter().filter(|(on, _)| self.contains(on, commit) == Some(true)).collect();
        let last_elsewhere = revisions
            .iter()
            .filter(|(on, _)| !carriers.contains_key(on))
            .filter_map(|(on, seen)| Some((newest(seen, TAKEN_UP)?, on)))
            .max();
        // Of the artifacts of one commit the newest counts, and of that what came after the others. What
        // is older than the last revision elsewhere does not count anyway.
        let elsewhere = last_elsewhere.as_ref().map(|(key, _)| *key);
        let taken_up = |on: &At| newest(&revisions[on], TAKEN_UP).map(|key| (key, on.clone()));
        let others = |on: &At| -> Vec<(Key, At)> {
            let alike = carriers.keys().filter(|other| {
                name.kind() != "HelmRelease"
                    && ***other != *on
                    && self.commit_of(other) == self.commit_of(on)
            });
            let newer = alike.filter_map(|other| taken_up(other));
            newer.filter(|(key, _)| Some(*key) > elsewhere).collect()
        };
        let replaced: BTreeMap<At, Vec<(Key, At)>> =
            carriers.keys().map(|on| ((*on).clone(), others(on))).collect();
        let is_replaced =
            |on: &At| replaced[on].iter().any(|other| Some(other) > taken_up(on).as_ref());
        carriers.retain(|on, _| !is_replaced(on));
        let defined = self.defined(name, expected, commit);
        let spec = |on: &At, key: Key| {
            let began = began(&revisions[on], key);
            self.has_new_spec(name, expected, on, key, began)
                && defined.is_none_or(|defined| is_after(key, began, defined))
        };
        let counts = |on: &At, key: Key| {
            let after_others = replaced[on].iter().all(|(other, _)| key > *other);
            last_elsewhere.as_ref().is_none_or(|(last, _)| key > *last)
                && after_others
                && spec(on, key)
        };
        let any_counts = carriers.iter().any(|(on, seen)| {
            TAKEN_UP.iter().any(|rank| newest(seen, &[*rank]).is_some_and(|key| counts(on, key)))
        });
        let is_own = |on: &&At| self.commit_of(on) == Some(commit);

        let decided: Option<(State, &At)> = if any_counts {
            let states: Vec<(State, Key, &At)> = carriers
                .iter()
                .map(|(on, seen)| {
                    let state = self.state_at(name, query, seen, &|key| counts(on, key));
                    let key = newest(seen, TAKEN_UP).unwrap_or(seen[0].key);
                    (state, key, *on)
                })
                .collect();
            let healthy = states.iter().filter(|(state, ..)| *state == State::Healthy).min_by_key(
                |(_, _, on)| {
                    let first = self.first_healthy(name, query, carriers[*on]);
                    (!is_own(on), first, self.commit_of(on), *on)
                },
            );
            let newest = states
                .iter()
                .filter(|(state, ..)| matches!(state, State::Applied | State::Failed))
                .max_by_key(|(_, key, on)| (*key, *on));
            // What failed before a revision at which the definition has changed since is out of date.
            let stands = |(state, key, on): &&(State, Key, &At)| {
                let is_outdated = carriers.iter().any(|(other, seen)| {
                    let taken_up = self::newest(seen, TAKEN_UP);
                    taken_up.is_some_and(|newest| {
                        (newest, *other) > (*key, *on) && !counts(other, newest)
                    })
                });
                *state != State::Failed || is_own(on) || !is_outdated
            };
            healthy.or(newest).filter(stands).map(|(state, _, on)| (*state, *on))
        } else {
            let mut own: Vec<_> = revisions.iter().rev().filter(|(on, _)| is_own(on)).collect();
            own.sort_by_key(|(on, _)| Reverse(taken_up(on)));
            if name.kind() != "HelmRelease" {
                own.truncate(1);
            }
            let mut own = own.into_iter();
            let failed = |on: &At, seen: &[&Seen<'_>]| {
                self.state_at(name, query, seen, &|key| spec(on, key)) == State::Failed
            };
            own.find(|(on, seen)| failed(on, seen)).map(|(on, _)| (State::Failed, on))
        };

        let mut failure = None;
        if let Some((state, on)) = decided {
            part.state = state;
            part.via = self.commit_of(on).filter(|via| *via != commit);
            let seen = &revisions[on];
            part.reason = match state {
                State::Pending => Reason::Waiting,
                State::Failed => Reason::Failed,
                State::Healthy => Reason::Succeeded,
                State::Applied if require == Require::Applied => Reason::Succeeded,
                State::Applied => {
                    self.reason_for_applied(name, query, seen, &|key| counts(on, key))
                }
            };
            if state == State::Failed {
                let failures = || seen.iter().filter(|seen| seen.rank == Rank::Failed);
                let first = failures().map(|seen| seen.key.0).min();
                let progress = newest(seen, PROGRESS).map(|key| key.0);
                let last = failures()
                    .max_by_key(|seen| (seen.key, &*seen.said.reason, &*seen.said.message));
                failure = first.max(progress).zip(last).map(|(since, last)| {
                    let reason = &*last.said.reason;
                    let undone = undone(seen, &|_| true);
                    let action_failed = undone.is_some_and(|undone| undone < last.key);
                    let is_transient = matches!(
                        reason,
                        "ArtifactFailed" | "DirectoryCreationFailed" | "Progressing"
                    );
                    let is_ahead = self.is_ahead(name, expected, on);
                    (since, is_ahead || is_transient && !action_failed)
                });
            }
        } else {
            part.reason = self.reason_for_pending(name, commit, &carriers, last_elsewhere);
        }
        Assessed { part, failure }
    }

    /// A child's proofs count from when its parent has applied the child's own change.
    fn has_new_spec(
        &self,
        child: &ObjectName,
        expected: &BTreeSet<ObjectName>,
        on: &At,
        key: Key,
        began: Time,
    ) -> bool {
        expected.iter().filter(|parent| *parent != child).all(|parent| {
            let changed = self
                .current(parent)
                .into_iter()
                .filter(|seen| {
                    let at = seen.on.as_ref();
                    let same = at.and_then(|at| self.commit_of(at)) == self.commit_of(on);
                    seen.rank == Rank::Applying
                        && (at == Some(on) || self.commit_of(on).is_some() && same)
                })
                .filter(|seen| seen.made(child))
                .map(|seen| seen.key)
                .max();
            changed.is_none_or(|changed| is_after(key, began, changed))
        })
    }

    /// When one of the parents applied a change of the child with the first revision with the commit that
    /// it applied.
    fn defined(
        &self,
        child: &ObjectName,
        expected: &BTreeSet<ObjectName>,
        commit: CommitId,
    ) -> Option<Key> {
        let parents = expected.iter().filter(|parent| *parent != child);
        let changes = parents.filter_map(|parent| {
            let revisions = self.revisions(parent);
            let with_it = |on: &At| self.contains(on, commit) == Some(true);
            let changes =
                revisions.iter().filter(|(on, _)| with_it(on)).filter_map(|(on, seen)| {
                    let lists =
                        seen.iter().filter(|seen| seen.rank == Rank::Applying && seen.made(child));
                    Some((lists.map(|seen| seen.key).max()?, self.commit_of(on), on))
                });
            let (key, _, first) = changes.min()?;
            let before = revisions
                .iter()
                .filter(|(on, seen)| *on != first && newest(seen, PROGRESS).is_some())
                .filter_map(|(on, seen)| Some((newest(seen, TAKEN_UP)?, on)))
                .filter(|(taken_up, _)| *taken_up < key)
                .max();
            let had_it = before.is_some_and(|(_, on)| with_it(on));
            (!had_it).then_some(key)
        });
        changes.max()
    }

    /// Whether one of its parents is not where it is.
    fn is_ahead(&self, child: &ObjectName, expected: &BTreeSet<ObjectName>, on: &At) -> bool {
        let is_parent = |parent: &&ObjectName| self.children(parent).any(|one| one == child);
        expected.iter().filter(is_parent).any(|parent| {
            let revisions = self.revisions(parent);
            let commit = self.commit_of(on);
            let there = head(&revisions)
                .zip(commit)
                .and_then(|((_, on), commit)| self.contains(on, commit));
            !self.current(parent).is_empty() && there != Some(true)
        })
    }

    fn contains(&self, on: &At, commit: CommitId) -> Option<bool> {
        self.graph.relation(self.commit_of(on)?, commit)
    }

    /// Whether a success proves health. One that applied changes and told of no health check does not,
    /// unless it is declared to wait.
    fn proves(&self, name: &ObjectName, query: &Query, seen: &[&Seen<'_>], key: Key) -> bool {
        let first = |wanted: &dyn Fn(&Seen<'_>) -> bool| {
            seen.iter().filter(|seen| wanted(seen)).map(|seen| seen.key).min()
        };
        let changed = first(&|seen| seen.rank == Rank::Applying && has_applied(seen.said));
        let succeeded = first(&|seen| seen.rank == Rank::Succeeded);
        let silent = changed.is_some_and(|changed| succeeded.is_none_or(|first| first > changed))
            && first(&|seen| seen.rank == Rank::HealthChecked).is_none();
        let inferred =
            self.policy.health_checks(Some(&query.environment), name) == HealthChecks::Inferred;
        self.verdict(name, query, Some(key)) == Verdict::Checks && !(silent && inferred)
    }

    /// When a revision first proved health, for which of several is the earliest.
    fn first_healthy(&self, name: &ObjectName, query: &Query, seen: &[&Seen<'_>]) -> Option<Key> {
        let first = |rank| seen.iter().filter(|seen| seen.rank == rank).map(|seen| seen.key).min();
        let proves = |key: &Key| self.proves(name, query, seen, *key);
        let succeeded = first(Rank::Succeeded).filter(proves);
        first(Rank::HealthChecked)
            .into_iter()
            .chain(succeeded)
            .min()
            .or_else(|| newest(seen, &[Rank::Succeeded]).filter(proves))
    }

    // Which of the reasons it is if several hold is a choice that the design leaves open.

    fn reason_for_applied(
        &self,
        name: &ObjectName,
        query: &Query,
        seen: &[&Seen<'_>],
        counts: &dyn Fn(Key) -> bool,
    ) -> Reason {
        let counting = |rank| newest(seen, &[rank]).filter(|key| counts(*key));
        let undone = undone(seen, counts);
        let standing = |rank| counting(rank).filter(|key| Some(*key) > undone);
        let pruned = pruned(seen).filter(|key| counts(*key));
        let succeeded = standing(Rank::Succeeded).filter(|key| Some(*key) > pruned);
        let applying = standing(Rank::Applying);
        if counting(Rank::Interrupted) > succeeded.max(applying) {
            Reason::Interrupted
        } else if succeeded > applying {
            match self.verdict(name, query, succeeded) {
                Verdict::DoesNotCheck => Reason::NotChecked,
                _ => Reason::HealthUnproved,
            }
        } else if self.verdict_now(name, query) == Verdict::Checks {
            Reason::CheckingHealth
        } else {
            Reason::Applying
        }
    }

    fn reason_for_pending(
        &self,
        name: &ObjectName,
        commit: CommitId,
        carriers: &BTreeMap<&At, &Vec<&Seen<'a>>>,
        last_elsewhere: Option<(Key, &At)>,
    ) -> Reason {
        let elsewhere = last_elsewhere.map(|(key, _)| key);
        let blocked = self
            .revisions(name)
            .into_iter()
            .filter_map(|(on, seen)| Some((newest(&seen, &[Rank::Blocked])?, on)))
            .max();
        let is_blocked = blocked.is_some_and(|(key, on)| {
            Some(key) > elsewhere && self.contains(&on, commit) == Some(true)
        });
        if self.is_in_trouble(name) || is_blocked {
            return Reason::Blocked;
        }
        let carried =
            carriers.iter().filter_map(|(on, seen)| Some((newest(seen, TAKEN_UP)?, *on))).max();
        if let Some((key, on)) = carried
            && Some(key) > elsewhere
        {
            let interrupted = newest(carriers[on], &[Rank::Interrupted]).is_some();
            return if interrupted { Reason::Interrupted } else { Reason::Waiting };
        }
        if let Some((_, on)) = last_elsewhere {
            if matches!(on, At::Other(_)) {
                return Reason::NoCommit;
            }
            if self.contains(on, commit).is_none() {
                return Reason::AncestryUnknown;
            }
            if carried.is_some() {
                return Reason::RolledBack;
            }
            if let Some(other) = self.commit_of(on)
                && self.graph.relation(commit, other) == Some(false)
            {
                return Reason::Diverged;
            }
        }
        if self.source_is_in_trouble(name) { Reason::SourceTrouble } else { Reason::Waiting }
    }

    /// An error without a revision is trouble until a later proof, `Blocked` apart.
    fn is_in_trouble(&self, name: &ObjectName) -> bool {
        let current = self.current(name);
        let trouble = current.iter().filter(|seen| {
            let is_remedy = REMEDIES.contains(&&*seen.said.reason);
            seen.rank == Rank::Failed && seen.on.is_none() && !is_remedy
        });
        let trouble = trouble.map(|seen| seen.key).max();
        let revisions = self.revisions(name);
        let proved = revisions.values().filter_map(|seen| newest(seen, TAKEN_UP)).max();
        trouble > proved
    }

    /// The sources of a reconciler: the one that it named last; else those that had a commit which is
    /// among the sixteen that it took up last; else those of its namespace.
    fn sources_of(&self, of: &ObjectName) -> Vec<&'a ObjectName> {
        let all = || self.sources(of.cluster());
        if let Some(named) = self.named_source(of) {
            return all().filter(|name| *name == named).collect();
        }
        let lately = self.commits_lately(of);
        let had_one = |name: &&ObjectName| !self.had(name).is_disjoint(&lately);
        if all().any(|name| had_one(&name)) {
            return all().filter(had_one).collect();
        }
        all().filter(|name| name.namespace() == of.namespace()).collect()
    }

    /// The sources of a cluster.
    fn sources<'b>(&'b self, cluster: &'b str) -> impl Iterator<Item = &'a ObjectName> + 'b {
        self.seen.keys().copied().filter(move |name| {
            name.cluster() == cluster
                && matches!(name.kind(), "GitRepository" | "OCIRepository" | "Bucket")
        })
    }

    /// The source that a reconciler named last.
    fn named_source(&self, of: &ObjectName) -> Option<&'a ObjectName> {
        let named = self.current(of).into_iter().filter_map(|seen| {
            let related = seen.said.related_object.as_ref()?;
            Some(((seen.key.0, seen.key.1), &related.object))
        });
        named.max().map(|(_, named)| named)
    }

    /// The commits among the sixteen revisions that a reconciler took up last.
    fn commits_lately(&self, of: &ObjectName) -> BTreeSet<CommitId> {
        let mut taken_up: Vec<_> = self
            .revisions(of)
            .into_iter()
            .filter_map(|(on, seen)| Some((newest(&seen, TAKEN_UP)?, on)))
            .collect();
        taken_up.sort();
        taken_up.iter().rev().take(16).filter_map(|(_, on)| self.commit_of(on)).collect()
    }

    /// The commits that a source had.
    fn had(&self, source: &ObjectName) -> BTreeSet<CommitId> {
        let told = self.all(source).iter().filter(|seen| seen.said.severity != Severity::Error);
        told.filter_map(|seen| seen.said.commit()).collect()
    }

    fn source_is_in_trouble(&self, of: &ObjectName) -> bool {
        self.sources_of(of).into_iter().map(|name| self.all(name)).any(|seen| {
            let newest = |failed| {
                let wanted =
                    seen.iter().filter(|seen| (seen.said.severity == Severity::Error) == failed);
                wanted.map(|seen| seen.key).max()
            };
            newest(true) > newest(false)
        })
    }
}

/// Whether something was done later, by an attempt that began later too.
fn is_after(key: Key, began: Time, changed: Key) -> bool {
    key > changed && (key.1 == 0 || key.1 > changed.1) && began >= changed.0
}

/// When the attempt that said something began: what it says it took tells, and so does the first and the
/// last that was said of each kind at the revision, if it was by the same attempt.
fn began(seen: &[&Seen<'_>], key: Key) -> Time {
    let began = |key: Key| {
        let said = seen.iter().filter(|seen| seen.key == key);
        let took = said.map(|seen| took(&seen.said.message)).max().unwrap_or(0);
        key.0 - TimeDelta::seconds(took)
    };
    let keys = PROGRESS.iter().flat_map(|rank| {
        let keys = || seen.iter().filter(|seen| seen.rank == *rank).map(|seen| seen.key);
        [keys().min(), keys().max()]
    });
    let same = keys.flatten().filter(|said| key.1 != 0 && said.1 == key.1);
    same.chain([key]).map(began).min().unwrap_or(key.0)
}

/// The seconds in a message such as `Health check passed in 5.02s`.
fn took(message: &str) -> i64 {
    let begins = ["Health check passed in ", "Reconciliation finished in "];
    let took = begins.iter().find_map(|begin| message.strip_prefix(begin));
    let seconds = took.and_then(|took| took.split_once(['.', 's']));
    seconds.and_then(|(seconds, _)| seconds.parse().ok()).unwrap_or(0)
}

const TAKEN_UP: &[Rank] =
    &[Rank::Interrupted, Rank::Applying, Rank::Failed, Rank::HealthChecked, Rank::Succeeded];
const PROGRESS: &[Rank] = &[Rank::Applying, Rank::HealthChecked, Rank::Succeeded];

/// What helm-controller puts back after a failure.
const REMEDIES: [&str; 2] = ["RollbackSucceeded", "UninstallSucceeded"];

/// The revision that was taken up last.
fn head<'a>(revisions: &'a BTreeMap<At, Vec<&Seen<'_>>>) -> Option<(Key, &'a At)> {
    revisions.iter().filter_map(|(on, seen)| Some((newest(seen, TAKEN_UP)?, on))).max()
}

fn newest(seen: &[&Seen<'_>], ranks: &[Rank]) -> Option<Key> {
    seen.iter().filter(|seen| ranks.contains(&seen.rank)).map(|seen| seen.key).max()
}

/// The newest failure that takes back what was proved before it: helm-controller may fail before it
/// touches the release, and does not tell when it recovers.
fn undone(seen: &[&Seen<'_>], counts: &dyn Fn(Key) -> bool) -> Option<Key> {
    let failures = seen.iter().filter(|seen| {
        let before = ["ArtifactFailed", "ValuesError", "AccessDenied", "InvalidCELExpression"]
            .contains(&&*seen.said.reason);
        seen.rank == Rank::Failed && !(before && seen.said.object.kind() == "HelmRelease")
    });
    failures.map(|seen| seen.key).filter(|key| counts(*key)).max()
}

/// The revision that was applied last, by what shows it.
fn applied<'a>(
    revisions: &'a BTreeMap<At, Vec<&Seen<'_>>>,
    shows: &dyn Fn(&Seen<'_>) -> bool,
) -> Option<(Key, &'a At)> {
    let newest =
        |seen: &[&Seen<'_>]| seen.iter().filter(|seen| shows(seen)).map(|seen| seen.key).max();
    revisions.iter().filter_map(|(on, seen)| Some((newest(seen)?, on))).max()
}

/// Pruning and health checks come after applying.
fn is_applied(seen: &Seen<'_>) -> bool {
    let late = ["HealthCheckFailed", "HealthCheckCanceled", "PruneFailed"];
    PROGRESS.contains(&seen.rank)
        || matches!(seen.rank, Rank::Failed | Rank::Interrupted)
            && late.contains(&&*seen.said.reason)
}

/// What may come before or after applying.
fn is_perhaps_applied(seen: &Seen<'_>) -> bool {
    seen.rank == Rank::Interrupted
        || seen.rank == Rank::Failed && ["PruneFailed", "Progressing"].contains(&&*seen.said.reason)
}

/// When a list was last sent that can be that of the Kustomization's own deletion.
fn pruned(seen: &[&Seen<'_>]) -> Option<Key> {
    let lists = seen.iter().filter(|seen| {
        let said = seen.said;
        seen.rank == Rank::Applying
            && said.only_deletions
            && !has_applied(said)
            && said.action.is_empty()
    });
    lists.map(|seen| seen.key).max()
}

fn has_applied(said: &Observation) -> bool {
    said.created_or_configured || said.action == "Apply"
}

fn reaches(one: &Assessed, require: Require) -> bool {
    match require {
        Require::Applied => matches!(one.part.state, State::Applied | State::Healthy),
        Require::Healthy => one.part.state == State::Healthy,
    }
}

fn and(a: Option<bool>, b: Option<bool>) -> Option<bool> {
    match (a, b) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    }
}

fn json(terms: &Terms) -> String {
    serde_json::to_string(terms).unwrap()
}

fn defaults(declared: &Environment) -> Terms {
    let nowhere = "x".parse().unwrap();
    let nothing = "0".repeat(40).parse().unwrap();
    Registration::new(nowhere, nothing, declared).terms
}

/// A release that went with its HelmRelease, and not after it had failed.
fn is_uninstalled(said: &Observation) -> bool {
    said.object.kind() == "HelmRelease"
        && said.severity == Severity::Info
        && said.reason == "UninstallSucceeded"
        && said.message.starts_with("Helm uninstall succeeded")
}

/// Section 4: the table.
fn rank(said: &Observation) -> Rank {
    let reason = &*said.reason;
    let is_success = reason == "ReconciliationSucceeded" && said.commit_status;
    let is_deleted = match &*said.action {
        "Finalize" | "WaitForTermination" => true,
        _ if said.severity == Severity::Error => {
            reason == "ReconciliationSucceeded"
                || ["pruning for deleted", "failed to wait for res", "unable to prune objects"]
                    .iter()
                    .any(|begin| said.message.starts_with(begin))
        }
        "" => said.only_deletions && reason != "Progressing",
        _ => is_success && said.severity == Severity::Info && said.related_object.is_none(),
    };
    match (said.object.kind(), said.severity) {
        ("Kustomization", _) if is_deleted => Rank::Deleted,
        ("Kustomization", Severity::Info) => match reason {
            "DependencyNotReady" => Rank::Blocked,
            "Progressing" if said.health_check_passed || said.action == "HealthCheck" => {
                Rank::HealthChecked
            }
            "Progressing" => Rank::Applying,
            "ReconciliationSucceeded" if is_success => Rank::Succeeded,
            "HealthCheckCanceled" => Rank::Interrupted,
            _ => Rank::Nothing,
        },
        ("HelmRelease", Severity::Info) => match reason {
            "DependencyNotReady" => Rank::Blocked,
            "InstallSucceeded" | "UpgradeSucceeded" | "TestSucceeded" => Rank::Succeeded,
            _ if is_uninstalled(said) => Rank::Nothing,
            remedy if REMEDIES.contains(&remedy) => Rank::Failed,
            "HealthCheckCanceled" => Rank::Interrupted,
            _ => Rank::Nothing,
        },
        ("HelmRelease", Severity::Error)
            if ["DriftDetected", "InventoryBuildFailed", "NamespaceCheckSkipped"]
                .contains(&reason) =>
        {
            Rank::Nothing
        }
        ("Kustomization" | "HelmRelease", Severity::Error) => {
            if said.canceled {
                Rank::Interrupted
            } else {
                Rank::Failed
            }
        }
        _ => Rank::Nothing,
    }
}

/// What the reconciler worked on: a commit if the event names one, else the revision's text.
fn revision(said: &Observation) -> Option<At> {
    let commit = |text: &Option<Box<str>>| Revision::parse(text.as_deref()?).ok()?.commit();
    let none_of_its_own =
        ["AccessDenied", "InvalidCELExpression", "FeatureGateDisabled"].contains(&&*said.reason);
    if said.object.kind() == "HelmRelease"
        && let Some(commit) = commit(&said.commit_annotation)
    {
        return Some(At::Commit(commit));
    }
    if none_of_its_own {
        return None;
    }
    let named = commit(&said.revision).or_else(|| commit(&said.origin_revision));
    let text = said.revision.as_deref();
    match named {
        Some(origin) if said.object.kind() != "HelmRelease" && commit(&said.revision).is_none() => {
            Some(match text {
                Some(text) => At::Artifact(
                    Sha256::new()
                        .chain_update(origin.as_bytes())
                        .chain_update(text)
                        .finalize()
                        .into(),
                    origin,
                    text.to_owned(),
                ),
                None => At::Commit(origin),
            })
        }
        Some(commit) if said.object.kind() != "HelmRelease" => Some(At::Commit(commit)),
        _ if said.object.kind() == "HelmRelease" && !said.chart_from_oci => {
            match text.and_then(chart_commit) {
                Some(_) if REMEDIES.contains(&&*said.reason) => None,
                Some(digits) => Some(At::Chart(digits)),
                None => text.map(|text| At::Other(text.to_owned())),
            }
        }
        _ => text.map(|text| At::Other(text.to_owned())),
    }
}

/// The twelve digits after the `+`, with or without a generation after them.
fn chart_commit(version: &str) -> Option<String> {
    let (_, metadata) = version.rsplit_once('+')?;
    let (digits, rest) = metadata.split_at_checked(12)?;
    let generation = rest.strip_prefix('.').map(|number| number.parse::<u64>().is_ok());
    let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    (is_hex && (rest.is_empty() || generation == Some(true))).then(|| digits.to_lowercase())
}

/// Who descends from whom, as far as it was told.
#[derive(Default)]
struct Graph {
    parents: BTreeMap<CommitId, BTreeSet<CommitId>>,
    contains: BTreeMap<CommitId, BTreeSet<CommitId>>,
    complete: BTreeSet<CommitId>,
}

impl Graph {
    /// The commit and all that it is known to contain.
    fn closure(&self, commit: CommitId) -> BTreeSet<CommitId> {
        let mut closure = BTreeSet::new();
        let mut next = vec![commit];
        while let Some(commit) = next.pop() {
            if closure.insert(commit) {
                next.extend(self.parents.get(&commit).into_iter().flatten());
                next.extend(self.contains.get(&commit).into_iter().flatten());
            }
        }
        closure
    }

    /// Whether `later` contains `commit`: yes, no, or not known.
    fn relation(&self, later: CommitId, commit: CommitId) -> Option<bool> {
        if self.closure(later).contains(&commit) {
            return Some(true);
        }
        // Every path back must end in an ancestor of the commit, or in a root.
        let ancestors = self.closure(commit);
        let mut looked_at = BTreeSet::new();
        let mut next = vec![later];
        while let Some(one) = next.pop() {
            if ancestors.contains(&one) || !looked_at.insert(one) {
                continue;
            }
            if !self.complete.contains(&one) {
                return None;
            }
            next.extend(self.parents.get(&one).into_iter().flatten());
        }
        Some(false)
    }

    /// Whether two commits are known to have no history in common.
    fn are_strangers(&self, a: CommitId, b: CommitId) -> bool {
        let (of_a, of_b) = (self.closure(a), self.closure(b));
        of_a.is_disjoint(&of_b)
            && of_a.iter().chain(&of_b).all(|commit| self.complete.contains(commit))
    }
}
