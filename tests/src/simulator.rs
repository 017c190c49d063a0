//! A world in which the truth is known: git, clusters with Flux, a network between them and the brain.
//!
//! Time is a number. The world of a seed is always the same: people push, merge, force and revert; each
//! cluster's kustomize-controller builds, applies, prunes and checks as the controller's source says
//! (`flux.rs`); notification-controller drops, delays, repeats and reorders (`network.rs`). What of it
//! reaches the brain goes through the parser as it would over HTTP. After each event every answer is held
//! against what is true, and so is the cause that it names (`causes.rs`).
//!
//! # What is assumed
//!
//! - A Kustomization waits for all that it applies, or for nothing, and never changes that.
//! - Within one object resourceVersions grow, and the controller's clock goes right.
//! - Objects are healthy a while after they were applied, at once, or never; and they can break.
//! - The set of reconcilers does not change, but for one that is deleted and comes back. Where one of them
//!   applies the definitions of the others, its events arrive, in their order, and no definition is
//!   reverted: nothing else tells what was done by which.
//!
//! The limits that the documentation names (`wait` switched off, `healthChecks` lists, `prune: false`) are
//! not among these worlds: they have vectors of their own.

mod causes;
mod flux;
mod git;
mod network;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap},
    fmt,
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use chrono::{DateTime, Utc};
use gitops_brain::{
    Ancestry, Brain, Environment, EnvironmentName, Fact, FactBody, HealthChecks, Ingested, Outcome,
    Parents, Policy, Query, Reason, Registration, Selector, State, observe,
};

use self::{
    causes::Known,
    flux::{Around, Event, Happening, Kustomization},
    git::{Commit, Git},
    network::Network,
};
use crate::random::Random;

/// How long people push, in seconds.
const BUSY: i64 = 3_600;

/// How long nobody does anything after that, and nothing is lost: each reconciler reports several times.
const QUIET: i64 = 4_000;

/// What was found in one world, or in all.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Count {
    /// Worlds with an answer that is not so.
    pub problems: u64,
    /// How many answers were held against the truth.
    pub answers: u64,
    /// How many rollouts were green at the end.
    pub green: u64,
    /// How many of them had to be: all was well and told.
    pub sure: u64,
    /// How many were red at the end.
    pub red: u64,
    /// How many were neither.
    pub open: u64,
}

impl Count {
    fn add(&mut self, other: Self) {
        self.problems += other.problems;
        self.answers += other.answers;
        self.green += other.green;
        self.sure += other.sure;
        self.red += other.red;
        self.open += other.open;
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { problems, answers, green, sure, red, open } = self;
        write!(
            f,
            "{problems} with a false answer; {answers} answers; at the end {green} green ({sure} had to be), \
             {red} red, {open} neither"
        )
    }
}

/// What was found in many worlds.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Summary {
    /// All counts.
    pub total: Count,
    /// Of the answers that are not so, the one that took the least to get to, with all that led there.
    pub shortest: Option<String>,
    /// The seeds of the worlds that have such an answer, and what it is.
    pub seeds: BTreeMap<u64, String>,
}

/// Lives through the worlds of some seeds, on all processors.
#[must_use]
pub fn run_all(first: u64, count: u64) -> Summary {
    let next = AtomicU64::new(first);
    let live = || {
        let mut summary = Summary::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + count {
                break summary;
            }
            let (count, problem) = run(seed);
            summary.total.add(count);
            let first_line = problem.as_deref().and_then(|problem| problem.lines().next());
            summary.seeds.extend(first_line.map(|line| (seed, line.to_owned())));
            summary.keep(problem);
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(live)).collect();
        let mut all = Summary::default();
        for thread in running {
            match thread.join() {
                Ok(summary) => {
                    all.total.add(summary.total);
                    all.seeds.extend(summary.seeds);
                    all.keep(summary.shortest);
                }
                Err(_) => all.keep(Some("a world panicked".to_owned())),
            }
        }
        all
    })
}

/// Lives through the world of a seed. Returns the first answer that is not so, with all that led there.
#[must_use]
pub fn run(seed: u64) -> (Count, Option<String>) {
    let mut world = World::new(seed);
    world.live();
    (world.count, world.problem)
}

impl Summary {
    fn keep(&mut self, problem: Option<String>) {
        let is_shorter =
            |new: &String| self.shortest.as_ref().is_none_or(|old| new.len() < old.len());
        if let Some(problem) = problem.filter(is_shorter) {
            self.shortest = Some(problem);
        }
    }
}

/// What a person or a machine does at a time.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Act {
    Push,
    Register(usize),
    TellAncestry(usize),
    Poll(usize),
    Flux(usize, Happening),
    Deliver(usize, usize, String),
    Break(usize),
    Drift(usize),
    Stop(usize),
    Delete(usize),
    Restart(usize),
}

struct World {
    seed: u64,
    random: Random,
    now: i64,
    acts: BinaryHeap<Reverse<(i64, u64, Act)>>,
    scheduled: u64,
    git: Git,
    /// The clusters' names, and which revision each has fetched.
    clusters: Vec<(String, Option<usize>)>,
    /// The resourceVersion that each cluster has come to.
    versions: Vec<u64>,
    /// The folder with the definitions of the other Kustomizations, if the repository has one.
    root: Option<usize>,
    kustomizations: Vec<Kustomization>,
    /// What each of them ever said.
    said: Vec<Vec<Event>>,
    /// Those of which anything arrived.
    heard: BTreeSet<usize>,
    networks: Vec<Network>,
    environment: EnvironmentName,
    brain: Brain,
    registered: BTreeSet<usize>,
    /// Commits whose parents the brain was told.
    told: BTreeSet<usize>,
    /// Of how many in a hundred it will be told.
    tells: usize,
    by_pattern: bool,
    history: Vec<String>,
    count: Count,
    problem: Option<String>,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let names = ["one", "two"];
        let clusters: Vec<_> = names.into_iter().take(1 + random.below(2)).collect();
        let mut kustomizations = Vec::new();
        let root = random.percent(30).then_some(2);
        for cluster in 0..clusters.len() {
            if let Some(root) = root {
                kustomizations.push(Kustomization::new(&mut random, cluster, root, None));
            }
            for number in 0..1 + random.below(2) {
                let before = (number > 0 && random.percent(30)).then(|| kustomizations.len() - 1);
                kustomizations.push(Kustomization::new(&mut random, cluster, number, before));
            }
        }
        let paths = kustomizations.iter().map(|one| one.path + 1).max().unwrap_or(1);
        let name = |one: &Kustomization| {
            one.full_name(clusters.get(one.cluster).copied().unwrap_or_default())
        };
        // A set that is given by a pattern is learned.
        let by_pattern = random.percent(20);
        let selectors: BTreeSet<String> = if by_pattern {
            clusters.iter().map(|cluster| format!("{cluster}/Kustomization/*/*")).collect()
        } else {
            kustomizations.iter().map(name).collect()
        };
        let selectors = selectors.iter().filter_map(|text| text.parse::<Selector>().ok());
        let mut environment = selectors.fold(Environment::default(), Environment::expect);
        // An operator vouches only for what is so.
        if kustomizations.iter().all(|one| one.waits) && random.percent(30) {
            environment = environment.health_checks(HealthChecks::Enabled);
        }
        let named: EnvironmentName =
            EnvironmentName::new("staging").unwrap_or_else(|_| std::process::abort());
        let policy = Policy::default().environment(named.clone(), environment);
        // Nor is one missed there that never arrives: so there nothing gets lost.
        let is_sure = by_pattern || root.is_some();
        let networks: Vec<_> =
            clusters.iter().map(|_| Network::new(&mut random, is_sure)).collect();
        for one in &mut kustomizations {
            // Who takes leave must be heard.
            let is_sure = networks.get(one.cluster).is_some_and(Network::is_sure);
            one.stays_away = is_sure && random.percent(50);
        }
        Self {
            seed,
            now: 0,
            acts: BinaryHeap::new(),
            scheduled: 0,
            versions: clusters.iter().map(|_| 10).collect(),
            clusters: clusters.into_iter().map(|name| (name.to_owned(), None)).collect(),
            root,
            said: vec![Vec::new(); kustomizations.len()],
            heard: BTreeSet::new(),
            kustomizations,
            networks,
            environment: named,
            brain: Brain::new(policy),
            registered: BTreeSet::new(),
            told: BTreeSet::new(),
            tells: if random.percent(60) { 100 } else { 80 },
            by_pattern,
            history: Vec::new(),
            count: Count::default(),
            problem: None,
            git: Git::new(paths, root, &mut random),
            random,
        }
    }

    fn at(&mut self, time: i64, act: Act) {
        self.scheduled += 1;
        self.acts.push(Reverse((time, self.scheduled, act)));
    }

    fn time(&self) -> DateTime<Utc> {
        // 2026-11-23T12:00:00Z
        DateTime::from_timestamp(1_795_435_200 + self.now, 0).unwrap_or_default()
    }

    fn live(&mut self) {
        let pushes = 2 + self.random.below(7);
        for _ in 0..pushes {
            let time = self.random.below(BUSY as usize) as i64;
            self.at(time, Act::Push);
        }
        for cluster in 0..self.clusters.len() {
            self.at(self.random.clone().below(30) as i64, Act::Poll(cluster));
            if self.random.percent(20) {
                let time = self.random.below(BUSY as usize) as i64;
                self.at(time, Act::Restart(cluster));
            }
        }
        for index in 0..self.kustomizations.len() {
            // Who is deleted is out of a set that is given by a pattern.
            let deletions = if self.by_pattern || self.root.is_some() { 0 } else { 8 };
            for (percent, act) in [
                (20, Act::Break(index)),
                (30, Act::Drift(index)),
                (30, Act::Stop(index)),
                (deletions, Act::Delete(index)),
            ] {
                if self.random.percent(percent) {
                    let time = 600 + self.random.below(BUSY as usize - 600) as i64;
                    self.at(time, act);
                }
            }
        }
        self.tell_someday(self.git.head());
        self.push();
        while let Some(Reverse((time, _, act))) = self.acts.pop() {
            if time > BUSY + QUIET {
                break;
            }
            self.now = time;
            self.act(act);
        }
        self.now = BUSY + QUIET;
        self.brain.expire(self.time());
        self.compare(true);
    }

    fn is_quiet(&self) -> bool {
        self.now >= BUSY
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Push => self.push(),
            Act::Register(commit) => self.register(commit),
            Act::TellAncestry(commit) => self.tell_ancestry(commit),
            Act::Poll(cluster) => self.poll(cluster),
            Act::Flux(index, happening) => self.flux(index, happening),
            Act::Deliver(cluster, index, body) => self.deliver(cluster, index, &body),
            Act::Break(index) => {
                let forever = if self.random.percent(30) { 1_000_000 } else { 0 };
                let heals = self.now + 30 + self.random.below(900) as i64 + forever;
                let now = self.now;
                if let Some(one) = self.kustomizations.get_mut(index) {
                    one.objects.break_until(now, heals);
                }
                self.note(format!("objects of {index} break until {heals}"));
            }
            Act::Drift(index) => {
                if let Some(one) = self.kustomizations.get_mut(index) {
                    one.drifted = true;
                }
                self.note(format!("objects of {index} drift"));
            }
            Act::Stop(index) => self.flux(index, Happening::Stop),
            Act::Delete(index) => self.flux(index, Happening::Delete),
            Act::Restart(cluster) => {
                if let Some(network) = self.networks.get_mut(cluster) {
                    network.restart();
                }
                self.note(format!("notification-controller of {cluster} restarts"));
            }
        }
    }

    fn note(&mut self, what: String) {
        self.history.push(format!("{:>5} {what}", self.now));
    }

    fn push(&mut self) {
        let known = self.git.count();
        let commit = self.git.push(&mut self.random);
        self.note(format!("push {}", self.git.describe(commit)));
        if self.random.percent(85) {
            let time = self.now + self.random.below(20) as i64;
            self.at(time, Act::Register(commit));
        }
        // What is known of descent comes late, in part, or never.
        for commit in known..self.git.count() {
            self.tell_someday(commit);
        }
    }

    fn tell_someday(&mut self, commit: usize) {
        if self.random.percent(self.tells) {
            let late = if self.random.percent(30) { self.random.below(1_200) } else { 0 };
            self.at(self.now + late as i64, Act::TellAncestry(commit));
        }
    }

    fn register(&mut self, commit: usize) {
        let Some(id) = self.git.get(commit).map(|commit| commit.id) else { return };
        let declared = self.brain.policy().of(&self.environment);
        let mut told = Registration::new(self.environment.clone(), id, &declared);
        told.terms.timeout = std::time::Duration::from_secs(100_000);
        self.registered.insert(commit);
        self.note(format!("register {}", self.git.describe(commit)));
        self.apply(FactBody::Registered(told));
    }

    fn tell_ancestry(&mut self, commit: usize) {
        let Some(known) = self.git.get(commit).map(Commit::parents_of) else { return };
        self.told.insert(commit);
        self.note(format!("tell of {}", self.git.describe(commit)));
        let known = Parents { commit: known.0, parents: self.git.ids(&known.1) };
        self.apply(FactBody::Ancestry(Ancestry::claimed(vec![known])));
    }

    fn apply(&mut self, body: FactBody) {
        let now = self.time();
        self.brain.expire(now);
        self.brain.apply(&Fact::new(now, body), now);
        self.compare(false);
    }

    /// source-controller looks.
    fn poll(&mut self, cluster: usize) {
        let head = self.git.head();
        let next = self.now + 20 + self.random.below(60) as i64;
        self.at(next, Act::Poll(cluster));
        let Some((_, fetched)) = self.clusters.get_mut(cluster) else { return };
        if fetched.replace(head) == Some(head) {
            return;
        }
        self.note(format!("cluster {cluster} fetches {}", self.git.describe(head)));
        for index in 0..self.kustomizations.len() {
            if self.kustomizations.get(index).is_some_and(|one| one.cluster == cluster) {
                let late = self.random.below(3) as i64;
                self.at(self.now + late, Act::Flux(index, Happening::NewArtifact));
            }
        }
    }

    fn flux(&mut self, index: usize, happening: Happening) {
        let Some(cluster) = self.kustomizations.get(index).map(|one| one.cluster) else { return };
        let Some(artifact) = self.clusters.get(cluster).and_then(|(_, fetched)| *fetched) else {
            return;
        };
        let dependency = self.kustomizations.get(index).and_then(|one| one.depends_on);
        let is_ready = dependency.is_none_or(|before| {
            self.kustomizations.get(before).is_some_and(|one| one.is_ready_at(artifact))
        });
        let (now, quiet) = (self.now, self.is_quiet());
        let Some(commit) = self.git.get(artifact) else { return };
        let outdated = self.outdated(index, commit);
        let path = self.kustomizations.get(index).map(|one| one.path);
        let is_root = self.root.is_some() && path == self.root;
        let Some(version) = self.versions.get_mut(cluster) else { return };
        let Some(one) = self.kustomizations.get_mut(index) else { return };
        let mut around = Around {
            artifact: commit,
            is_dependency_ready: is_ready,
            outdated: outdated.iter().map(|(_, name, _)| name.clone()).collect(),
            version,
            now,
            is_quiet: quiet,
            random: &mut self.random,
        };
        let did = one.happens(&happening, &mut around);
        for (time, next) in did.next {
            self.at(time, Act::Flux(index, next));
        }
        for (child, _, definition) in outdated.into_iter().filter(|_| did.has_configured) {
            if let Some(child) = self.kustomizations.get_mut(child) {
                child.definition = definition;
            }
            self.at(now, Act::Flux(child, Happening::Configured));
        }
        for event in did.events {
            self.history.push(format!(
                "{:>5} {} says {} {} of {}: {}",
                self.now,
                index,
                event.severity,
                event.reason,
                event.revision.map_or("nothing".to_owned(), |at| self.git.describe(at)),
                event.message.replace('\n', ", ")
            ));
            if let Some(said) = self.said.get_mut(index) {
                said.push(event.clone());
            }
            let revision = event.revision.and_then(|at| self.git.get(at)).map(|commit| commit.id);
            let body = event.body(revision, self.time());
            let Some(network) = self.networks.get_mut(cluster) else { continue };
            for delay in network.send(&event, self.now, quiet, &mut self.random) {
                let delay = if is_root { 0 } else { delay };
                self.at(self.now + delay, Act::Deliver(cluster, index, body.clone()));
            }
        }
    }

    /// The Kustomizations that one applies and that are defined otherwise at a commit, with their names and
    /// definitions.
    fn outdated(&self, index: usize, commit: &Commit) -> Vec<(usize, String, u32)> {
        let parent = self.kustomizations.get(index);
        let Some(parent) = parent.filter(|parent| self.root == Some(parent.path)) else {
            return Vec::new();
        };
        let all = self.kustomizations.iter().enumerate();
        let children = all.filter(|(at, child)| child.cluster == parent.cluster && *at != index);
        let outdated = children.filter_map(|(at, child)| {
            let definition = commit.definition(child.path);
            (child.definition != definition).then(|| (at, child.name.clone(), definition))
        });
        outdated.collect()
    }

    fn deliver(&mut self, cluster: usize, index: usize, body: &str) {
        self.heard.insert(index);
        let Some((name, _)) = self.clusters.get(cluster) else { return };
        let Ok(name) = name.parse() else { return };
        match observe(&name, body.as_bytes(), self.time()) {
            Ok(Ingested::Fact(fact)) => self.apply(fact.body),
            other => self.problem(format!("{body} is {other:?}")),
        }
    }

    fn problem(&mut self, what: String) {
        let Self { seed, now, .. } = self;
        let problem = format!("seed {seed}, at {now}: {what}\n{}", self.history.join("\n"));
        self.count.problems = 1;
        self.problem.get_or_insert(problem);
    }

    /// Holds the answers against the truth.
    fn compare(&mut self, at_the_end: bool) {
        if self.problem.is_some() {
            return;
        }
        let (now, time) = (self.now, self.time());
        let knows_descent = self.knows_descent();
        let arrives = |network: &Network| network.sends_successes && network.is_sure();
        let is_told = at_the_end && knows_descent && self.networks.iter().all(arrives);
        let full_names: Vec<_> =
            self.kustomizations.iter().map(|one| self.full_name(one)).collect();
        for commit in self.registered.clone() {
            let Some(id) = self.git.get(commit).map(|commit| commit.id) else { continue };
            let query = Query::new(self.environment.clone(), id);
            let Ok(status) = self.brain.status(&query, time) else { continue };
            self.count.answers += 1;
            let truths: Vec<_> = self
                .kustomizations
                .iter()
                .map(|one| {
                    let contains = |at, definition: Option<u32>| {
                        self.git.contains(at, commit)
                            && definition.is_none_or(|definition| {
                                self.git.defines(one.path, definition, commit)
                            })
                    };
                    one.truth(commit, &contains, now)
                })
                .collect();
            let name = self.git.describe(commit);
            match status.outcome {
                // Someday it was there, and healthy, everywhere.
                Outcome::Succeeded if truths.iter().any(|truth| !truth.was_healthy) => {
                    let who = truths.iter().position(|truth| !truth.was_healthy);
                    return self
                        .problem(format!("FALSE GREEN: {name} was never healthy at {who:?}"));
                }
                // And nothing has been undone, as far as everybody has told.
                Outcome::Succeeded
                    if at_the_end
                        && self.networks.iter().all(|network| network.sends_successes)
                        && truths.iter().any(|truth| !truth.is_delivered) =>
                {
                    let who = truths.iter().position(|truth| !truth.is_delivered);
                    return self.problem(format!("STALE GREEN: {name} is undone at {who:?}"));
                }
                // What was delivered is not undone by a later commit that fails.
                Outcome::Failed
                    if at_the_end
                        && self.is_told()
                        && self.networks.iter().all(Network::is_sure)
                        // Of which definition a success was is known only where that was told.
                        && self.root.is_none()
                        && truths.iter().all(|truth| truth.is_told)
                        && !self.may_be_unproved(commit) =>
                {
                    let messages: Vec<_> =
                        status.reconcilers.iter().map(|one| &one.message).collect();
                    let what = format!("FALSE RED: {name} was delivered everywhere: {messages:?}");
                    return self.problem(what);
                }
                Outcome::Failed if truths.iter().all(|truth| !truth.has_failed) => {
                    return self.problem(format!("FALSE RED: {name} never failed"));
                }
                _ => {}
            }
            if let Some(untrue) = causes::untrue_whole(&status) {
                return self.problem(format!("FALSE CAUSE: {name} is {untrue}"));
            }
            for (index, (one, full)) in self.kustomizations.iter().zip(&full_names).enumerate() {
                let known = Known {
                    git: &self.git,
                    one,
                    said: self.said.get(index).map(Vec::as_slice).unwrap_or_default(),
                    is_heard: self.heard.contains(&index),
                    commit,
                    // By which definition: that its parent's state tells.
                    truth: one.truth(commit, &|at, _| self.git.contains(at, commit), now),
                    knows_descent,
                    is_told,
                };
                let said = status.reconcilers.iter().find(|said| said.reconciler.as_str() == full);
                if let Some(untrue) = said.and_then(|said| known.untrue(said)) {
                    return self.problem(format!("FALSE CAUSE: {name}: {untrue}"));
                }
            }
            if at_the_end {
                match status.outcome {
                    Outcome::Succeeded => self.count.green += 1,
                    Outcome::Failed => self.count.red += 1,
                    _ => self.count.open += 1,
                }
                let reasons: BTreeMap<_, _> = status
                    .reconcilers
                    .iter()
                    .map(|one| (one.reconciler.to_string(), (one.state, one.reason)))
                    .collect();
                if let Some(what) =
                    self.unexplained(commit, status.outcome, status.reason, &reasons)
                {
                    return self.problem(format!("UNEXPLAINED: {name} is {what}"));
                }
            }
        }
    }

    fn full_name(&self, one: &Kustomization) -> String {
        let cluster = self.clusters.get(one.cluster).map(|(name, _)| name.as_str());
        one.full_name(cluster.unwrap_or_default())
    }

    fn knows_descent(&self) -> bool {
        (0..self.git.count()).all(|commit| self.told.contains(&commit))
    }

    /// Whether the brain is told all that it needs to know.
    fn is_told(&self) -> bool {
        let sends = self.networks.iter().all(|network| network.sends_successes);
        let waits = self.kustomizations.iter().all(|one| one.waits);
        let knows = self.knows_descent();
        // A lost health check looks like none, unless an operator vouches for it.
        let vouched =
            self.brain.policy().of(&self.environment).health_checks == HealthChecks::Enabled;
        sends && waits && knows && (vouched || self.networks.iter().all(Network::is_sure))
    }

    /// Whether something that the commit came with was applied by an attempt that ended before the check.
    fn may_be_unproved(&self, commit: usize) -> bool {
        let carries = |at| self.git.contains(at, commit);
        self.said.iter().any(|said| causes::ended_early(said, &carries))
    }

    /// What is true of every reconciler at the end, and told by nobody.
    fn unexplained(
        &mut self,
        commit: usize,
        outcome: Outcome,
        reason: Reason,
        reconcilers: &BTreeMap<String, (State, Reason)>,
    ) -> Option<String> {
        let head = self.git.get(self.git.head());
        let is_well = head.is_some_and(|head| {
            self.kustomizations
                .iter()
                .all(|one| one.is_well(head, self.now) && self.git.contains(head.number, commit))
        });
        let is_unproved = reconcilers.values().any(|(_, reason)| *reason == Reason::HealthUnproved);
        let is_excused = is_unproved && self.may_be_unproved(commit);
        let should_be_green = is_well && self.is_told() && !is_excused;
        self.count.sure += u64::from(should_be_green);
        (should_be_green && outcome != Outcome::Succeeded).then(|| {
            format!(
                "{outcome:?} because of {reason:?} (by pattern: {}), and all is well: {reconcilers:?}",
                self.by_pattern
            )
        })
    }
}
