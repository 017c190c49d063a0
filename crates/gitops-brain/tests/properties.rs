//! What holds of every brain, whatever the facts: order, repetition and place do not matter, and a
//! naive model of the design says the same.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]

mod model;
mod strategies;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use gitops_brain::{
    Ancestry, Brain, CommitId, Contains, Effects, EnvironmentName, Fact, FactBody, Outcome, Policy,
    Query, ReconcilerFilter, Registration, RolloutFilter, Selector, Standing, State, Status, Watch,
};
use model::{Answer, Model};
use proptest::{prelude::*, sample::Index};
use strategies::{after, commits, environments, instants, start, world};

type Key = (EnvironmentName, CommitId);

fn brain(policy: &Policy, facts: &[Fact]) -> Brain {
    let mut brain = Brain::new(policy.clone());
    brain.load(facts.iter().cloned());
    brain
}

fn keys() -> impl Iterator<Item = Key> {
    environments()
        .into_iter()
        .flat_map(|environment| commits().map(move |commit| (environment.clone(), commit)))
}

fn query(key: &Key) -> Query {
    Query::new(key.0.clone(), key.1)
}

fn statuses(brain: &Brain, now: DateTime<Utc>) -> Vec<Status> {
    keys().map(|key| brain.status(&query(&key), now).unwrap()).collect()
}

fn standing(status: &Status) -> Standing {
    Standing { state: status.state, outcome: status.outcome }
}

fn facts(brain: &Brain) -> Vec<Fact> {
    brain.facts().collect()
}

/// Two brains that tell everything alike.
fn assert_same(one: &Brain, other: &Brain, now: DateTime<Utc>) -> Result<(), TestCaseError> {
    for (ours, theirs) in statuses(one, now).iter().zip(statuses(other, now)) {
        prop_assert_eq!(ours, &theirs);
    }
    prop_assert_eq!(
        one.reconcilers(&ReconcilerFilter::default()),
        other.reconcilers(&ReconcilerFilter::default())
    );
    for (ours, theirs) in facts(one).iter().zip(facts(other)) {
        prop_assert_eq!(ours.to_line(), theirs.to_line());
    }
    prop_assert!(one == other);
    Ok(())
}

/// The facts in another order, some of them twice or more.
fn reordered(facts: &[Fact], order: &[Index]) -> Vec<Fact> {
    let mut others: Vec<Fact> = facts.to_vec();
    if !facts.is_empty() {
        others.extend(order.iter().map(|index| index.get(facts).clone()));
        for (place, index) in (0..others.len()).rev().zip(order.iter().cycle()) {
            others.swap(place, index.index(place + 1));
        }
    }
    others
}

fn order() -> impl Strategy<Value = Vec<Index>> {
    prop::collection::vec(any::<Index>(), 1..24)
}

/// Rollouts whose transitions may have ended: they were settled while a later one, which contains
/// them, had succeeded.
#[derive(Default)]
struct Replay {
    standing: BTreeMap<Key, Standing>,
    ended: BTreeSet<Key>,
}

impl Replay {
    fn take(&mut self, effects: &Effects) -> Result<(), TestCaseError> {
        for transition in &effects.transitions {
            let key = (transition.environment.clone(), transition.commit);
            let standing = self.standing.entry(key.clone()).or_default();
            if !self.ended.contains(&key) {
                prop_assert_eq!(*standing, transition.from, "{:?}", key);
            }
            *standing = transition.to;
            prop_assert_ne!(transition.from, transition.to);
            prop_assert_eq!(
                transition.settlement().is_some(),
                transition.to.outcome.is_settled()
                    && transition.to.outcome != transition.from.outcome
            );
        }
        Ok(())
    }

    /// Compares what was handed out with where each rollout stands.
    fn check(&mut self, brain: &Brain, now: DateTime<Utc>) -> Result<(), TestCaseError> {
        let registered = brain.rollouts(&RolloutFilter::default(), now);
        for status in &registered {
            let key = (status.environment.clone(), status.commit);
            let over =
                status.deadline_at.is_some_and(|at| at + chrono::TimeDelta::hours(24) <= now);
            let covered = registered.iter().any(|later| {
                later.environment == status.environment
                    && later.commit != status.commit
                    && later.outcome == Outcome::Succeeded
            });
            if over || (covered && status.settled) {
                self.ended.insert(key);
            } else if !self.ended.contains(&key) {
                let replayed = self.standing.get(&key).copied().unwrap_or_default();
                prop_assert_eq!(replayed, standing(status), "{:?} {}", key, status.message);
            }
        }
        Ok(())
    }
}

/// Questions that somebody waits on.
struct Watches {
    asked: Vec<Query>,
    waiting: BTreeMap<u64, (Query, Status)>,
}

impl Watches {
    fn of(asked: &[Index]) -> Self {
        let keys: Vec<Key> = keys().collect();
        let asked = asked.iter().map(|index| query(index.get(&keys))).collect();
        Self { asked, waiting: BTreeMap::new() }
    }

    fn renew(&mut self, brain: &mut Brain, now: DateTime<Utc>) {
        for query in &self.asked {
            if self.waiting.values().all(|(watched, _)| watched != query)
                && let Watch::Waiting(id) = brain.watch(query.clone(), None, now).unwrap()
            {
                let status = brain.status(query, now).unwrap();
                self.waiting.insert(id.get(), (query.clone(), status));
            }
        }
    }

    /// Those that were woken must have changed, and the others not.
    fn take(
        &mut self,
        effects: &Effects,
        brain: &Brain,
        now: DateTime<Utc>,
    ) -> Result<(), TestCaseError> {
        for id in &effects.woken {
            let (query, before) = self.waiting.remove(&id.get()).unwrap();
            let status = brain.status(&query, now).unwrap();
            prop_assert_ne!(&before.version, &status.version, "woken for nothing");
        }
        for (query, before) in self.waiting.values() {
            let status = brain.status(query, now).unwrap();
            prop_assert_eq!(
                &before.version,
                &status.version,
                "not woken, at {}\n{:?}\n{:?}",
                now - start(),
                before,
                status
            );
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn order_and_repetition_make_no_difference(
        world in world(), order in order(), now in instants(),
    ) {
        let one = brain(&world.policy, &world.facts);
        let other = brain(&world.policy, &reordered(&world.facts, &order));
        assert_same(&one, &other, now)?;
    }

    #[test]
    fn applying_one_by_one_is_loading(world in world(), order in order(), now in instants()) {
        let one = brain(&world.policy, &world.facts);
        let mut other = Brain::new(world.policy.clone());
        for fact in reordered(&world.facts, &order) {
            other.apply(&fact, fact.at);
        }
        assert_same(&one, &other, now)?;
    }

    #[test]
    fn two_brains_merge_into_one(world in world(), order in order(), now in instants()) {
        let whole = brain(&world.policy, &world.facts);
        let mut halves = [Vec::new(), Vec::new()];
        for (fact, index) in world.facts.iter().zip(order.iter().cycle()) {
            match index.index(5) {
                0 => halves.iter_mut().for_each(|half| half.push(fact.clone())),
                other => halves[other % 2].push(fact.clone()),
            }
        }
        let [left, right] = halves.map(|half| brain(&world.policy, &half));
        let mut both = left.clone();
        both.merge(&right, now);
        assert_same(&whole, &both, now)?;
        let mut both = right;
        both.merge(&left, now);
        assert_same(&whole, &both, now)?;
    }

    #[test]
    fn facts_rebuild_an_equal_brain(world in world(), now in instants()) {
        let one = brain(&world.policy, &world.facts);
        let kept = facts(&one);
        let other = brain(&world.policy, &kept);
        assert_same(&one, &other, now)?;
    }

    #[test]
    fn facts_survive_as_lines(world in world()) {
        for fact in world.facts.iter().chain(&facts(&brain(&world.policy, &world.facts))) {
            let line = fact.to_line();
            prop_assert!(!line.contains('\n'));
            prop_assert_eq!(&Fact::from_line(&line).unwrap(), fact);
        }
    }

    /// The brain keeps maxima and minima as facts come; the model looks at the whole list.
    #[test]
    fn the_brain_agrees_with_the_model(
        world in world(), order in order(), now in instants(), asked in strategies::asked(),
    ) {
        let brain = brain(&world.policy, &reordered(&world.facts, &order));
        let model = Model::new(&world.policy, &world.facts);
        for key in keys() {
            for query in [query(&key), asked.of(query(&key))] {
                let status = brain.status(&query, now).unwrap();
                let expected = model.status(&query, now);
                prop_assert_eq!(
                    Answer::from(&status),
                    expected,
                    "{}: c{} in {} at {} {:?}",
                    status.message,
                    commits().position(|commit| commit == query.commit).unwrap(),
                    query.environment,
                    now - start(),
                    query,
                );
            }
        }
    }

    /// Whoever may register a commit can ask for more, and make nothing green by it.
    #[test]
    fn a_registration_makes_nothing_green(
        world in world(), now in instants(), more in strategies::expectation(),
    ) {
        let policy = &world.policy;
        let registered = |at, key: &Key, expect: BTreeSet<Selector>| {
            let declared = policy.of(&key.0);
            let registration = Registration::new(key.0.clone(), key.1, &declared).expect(expect);
            Fact::new(at, FactBody::Registered(registration))
        };
        // All by the policy in place: what an operator changes may make a difference.
        let mut facts: Vec<_> = world.facts.iter().map(|fact| match &fact.body {
            FactBody::Registered(one) => {
                let key = (one.environment.clone(), one.commit);
                registered(fact.at, &key, one.expect.clone())
            }
            _ => fact.clone(),
        }).collect();
        // A registration can tell which commit a chart was made of. That is known here.
        let contains = commits().map(|commit| Contains { commit, ancestors: Vec::new() }).collect();
        let mut known = Ancestry::default();
        known.contains = contains;
        facts.push(Fact::new(start(), FactBody::Ancestry(known)));
        let before = brain(policy, &facts);
        let mut after = before.clone();
        for key in keys() {
            after.apply(&registered(now, &key, more.clone()), now);
        }
        for (before, after) in statuses(&before, now).iter().zip(statuses(&after, now)) {
            // Where all that was declared is gone, nothing but what is named is expected.
            let declared = &policy.of(&before.environment).reconcilers;
            if before.reconcilers.is_empty() && !declared.is_empty() {
                continue;
            }
            prop_assert!(
                after.outcome != Outcome::Succeeded || before.outcome == Outcome::Succeeded,
                "{} was {}", after.message, before.message
            );
        }
    }

    /// What is forgotten is forgotten whenever that was said, and what is newer stays as it is.
    #[test]
    fn forgetting_comes_at_any_time(
        world in world(), order in order(), before in 0_u64..16,
    ) {
        let forgotten = Fact::new(after(before), FactBody::Forgotten { before: after(before) });
        let mut all = world.facts.clone();
        all.push(forgotten);
        let one = brain(&world.policy, &all);
        let other = brain(&world.policy, &reordered(&all, &order));
        for (ours, theirs) in facts(&one).iter().zip(facts(&other)) {
            prop_assert_eq!(ours.to_line(), theirs.to_line());
        }
        prop_assert!(one == other);
    }

    /// Where each reconciler is, and what that says of the commit that it is at, is never forgotten.
    #[test]
    fn heads_are_not_forgotten(world in world(), before in 0_u64..16, now in instants()) {
        let whole = brain(&world.policy, &world.facts);
        let mut all = world.facts.clone();
        all.push(Fact::new(after(before), FactBody::Forgotten { before: after(before) }));
        let less = brain(&world.policy, &all);
        // One that was only ever named by a parent is forgotten with that.
        let mut reports = whole.reconcilers(&ReconcilerFilter::default());
        reports.retain(|report| report.last_heard_at.is_some());
        let mut kept = less.reconcilers(&ReconcilerFilter::default());
        kept.retain(|report| report.last_heard_at.is_some());
        prop_assert_eq!(reports.len(), kept.len());
        for (ours, theirs) in reports.iter().zip(kept) {
            prop_assert_eq!(&ours.reconciler, &theirs.reconciler);
            prop_assert_eq!(&ours.head, &theirs.head);
            prop_assert_eq!(ours.commit, theirs.commit);
            prop_assert_eq!(ours.deleted, theirs.deleted, "{:?}", ours);
            prop_assert_eq!(ours.removed, theirs.removed);
            prop_assert_eq!(ours.health_checks, theirs.health_checks, "{:?}", ours);
        }
        // Nothing becomes greener by being forgotten.
        for (ours, theirs) in statuses(&whole, now).iter().zip(statuses(&less, now)) {
            if theirs.outcome == Outcome::Succeeded && theirs.registered {
                for part in &theirs.reconcilers {
                    let known = ours.reconcilers.iter().find(|one| one.reconciler == part.reconciler);
                    let was = known.map(|part| part.state);
                    prop_assert!(
                        part.state != State::Healthy || was == Some(State::Healthy),
                        "{:?} was {:?}", part, known
                    );
                }
            }
        }
    }

    /// What is handed out adds up to what a status says, and nobody is woken or left asleep wrongly.
    #[test]
    fn effects_add_up(
        world in world(),
        steps in prop::collection::vec(0_u64..3_000, 1..5),
        asked in prop::collection::vec(any::<Index>(), 3),
    ) {
        let mut brain = Brain::new(world.policy.clone());
        let (mut replay, mut watches) = (Replay::default(), Watches::of(&asked));
        let mut now = start();
        for (fact, step) in world.facts.iter().zip(steps.iter().cycle()) {
            let then = now.max(fact.at) + chrono::TimeDelta::milliseconds((*step).cast_signed());
            while let Some(deadline) = brain.next_deadline().filter(|deadline| *deadline <= then) {
                prop_assert!(deadline >= now, "a deadline in the past");
                let effects = brain.expire(deadline);
                replay.take(&effects)?;
                replay.check(&brain, deadline)?;
                watches.take(&effects, &brain, deadline)?;
                now = deadline;
                if brain.next_deadline() == Some(deadline) {
                    return Err(TestCaseError::fail("the same deadline again"));
                }
            }
            now = then;
            // Nothing was due: time alone has changed nothing.
            replay.check(&brain, now)?;
            watches.take(&Effects::default(), &brain, now)?;
            let effects = brain.apply(fact, now);
            replay.take(&effects)?;
            replay.check(&brain, now)?;
            watches.take(&effects, &brain, now)?;
            watches.renew(&mut brain, now);
        }
        // Time goes on.
        while let Some(deadline) = brain.next_deadline() {
            for sample in [now, now + (deadline - now) / 2] {
                replay.check(&brain, sample)?;
                watches.take(&Effects::default(), &brain, sample)?;
            }
            prop_assert!(deadline >= now, "a deadline in the past");
            now = deadline;
            let effects = brain.expire(now);
            replay.take(&effects)?;
            replay.check(&brain, now)?;
            watches.take(&effects, &brain, now)?;
            prop_assert_ne!(brain.next_deadline(), Some(deadline), "the same deadline again");
        }
        let whole = self::brain(&world.policy, &world.facts);
        prop_assert!(whole == brain);
    }
}
