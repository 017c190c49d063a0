//! When there is no use in waiting any longer.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use crate::{
    exit::Exit,
    status::{Outcome, Status},
};

/// How long nothing may be expected: a cluster that was never heard may send its first event soon.
const FOR_A_RECONCILER: Duration = Duration::from_secs(30);

/// How long health may seem to go unchecked. Flux sends each event on its own: that of the health
/// check can come after that of the success, by the 15 s in which it is sent again.
const FOR_A_LATE_EVENT: Duration = Duration::from_secs(20);

/// What to do after an answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Decision {
    End(Exit),
    /// Ask again, and look at the answer after this time at the latest.
    Wait(Option<Duration>),
}

/// Why no event will answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Hopeless {
    NoReconciler,
    NotChecked {
        declared: bool,
    },
    /// Revisions that name no commit.
    NoCommit,
}

impl Hopeless {
    fn of(status: &Status) -> Option<Self> {
        if status.reason == "no_reconciler" {
            return Some(Self::NoReconciler);
        }
        let (mut declared, mut names_commits) = (true, true);
        let mut unfinished = status.unfinished().peekable();
        unfinished.peek()?;
        for reconciler in unfinished {
            match reconciler.reason.as_str() {
                "not_checked" => declared &= reconciler.health_checks.policy == "disabled",
                "no_commit" => names_commits = false,
                _ => return None,
            }
        }
        Some(if names_commits { Self::NotChecked { declared } } else { Self::NoCommit })
    }

    /// How long it may seem so, if it is not so from the next revision on.
    fn patience(self) -> Option<Duration> {
        match self {
            Self::NoReconciler => Some(FOR_A_RECONCILER),
            Self::NotChecked { declared: false } => Some(FOR_A_LATE_EVENT),
            Self::NotChecked { declared: true } => Some(Duration::ZERO),
            Self::NoCommit => None,
        }
    }
}

/// Decides after each answer whether to go on.
#[derive(Debug)]
pub(crate) struct Patience {
    keep_waiting: bool,
    exact: bool,
    hopeless_since: Option<Instant>,
    /// The revisions that named no commit when that was first seen, by reconciler.
    without_commit: BTreeMap<String, Option<String>>,
}

impl Patience {
    pub(crate) fn new(keep_waiting: bool) -> Self {
        Self { keep_waiting, exact: false, hopeless_since: None, without_commit: BTreeMap::new() }
    }

    /// Accepts the commit alone. Where a later one took its place no reconciler will ever report it.
    pub(crate) fn exact(mut self, exact: bool) -> Self {
        self.exact = exact;
        self
    }

    pub(crate) fn decide(&mut self, status: &Status, now: Instant) -> Decision {
        if self.exact && status.successor().is_some() {
            return Decision::End(Exit::Unanswerable);
        }
        match status.outcome {
            Outcome::Succeeded => return Decision::End(Exit::Succeeded),
            Outcome::Failed => return Decision::End(Exit::Failed),
            Outcome::TimedOut => return Decision::End(self.out_of_time(status)),
            Outcome::InProgress => {}
        }
        let Some(hopeless) = Hopeless::of(status).filter(|_| !self.keep_waiting) else {
            self.hopeless_since = None;
            return Decision::Wait(None);
        };
        let Some(patience) = hopeless.patience() else {
            // The next revision may name its commit, unless it came already.
            return match self.brings_no_commit(status) {
                true => Decision::End(Exit::Unanswerable),
                false => Decision::Wait(None),
            };
        };
        let since = *self.hopeless_since.get_or_insert(now);
        match patience.checked_sub(now.saturating_duration_since(since)) {
            Some(left) if !left.is_zero() => Decision::Wait(Some(left)),
            _ => Decision::End(Exit::Unanswerable),
        }
    }

    /// How it ends when the time is over.
    pub(crate) fn out_of_time(&self, status: &Status) -> Exit {
        match Hopeless::of(status).filter(|_| !self.keep_waiting) {
            Some(_) => Exit::Unanswerable,
            None => Exit::TimedOut,
        }
    }

    /// Whether a reconciler that named no commit went on to another revision that names none.
    fn brings_no_commit(&mut self, status: &Status) -> bool {
        status.unfinished().filter(|reconciler| reconciler.reason == "no_commit").any(
            |reconciler| {
                let first = self
                    .without_commit
                    .entry(reconciler.reconciler.clone())
                    .or_insert_with(|| reconciler.head.clone());
                *first != reconciler.head
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn status(outcome: &str, reason: &str, reconcilers: &[(&str, &str)]) -> Status {
        let reconcilers: Vec<_> = reconcilers
            .iter()
            .map(|(reason, policy)| {
                json!({ "reconciler": "c/Kustomization/n/a", "state": "applied", "reason": reason,
                        "health_checks": { "policy": policy, "verdict": "unknown" } })
            })
            .collect();
        serde_json::from_value(json!({
            "environment": "staging", "commit": "0", "state": "applied", "outcome": outcome,
            "reason": reason, "reconcilers": reconcilers,
        }))
        .unwrap()
    }

    #[test]
    fn only_succeeded_succeeds() {
        let now = Instant::now();
        let decide = |outcome| {
            Patience::new(false).decide(&status(outcome, "waiting", &[("waiting", "")]), now)
        };
        assert_eq!(decide("succeeded"), Decision::End(Exit::Succeeded));
        assert_eq!(decide("failed"), Decision::End(Exit::Failed));
        assert_eq!(decide("timed_out"), Decision::End(Exit::TimedOut));
        assert_eq!(decide("in_progress"), Decision::Wait(None));
        assert_eq!(decide("an outcome of a later release"), Decision::Wait(None));
    }

    #[test]
    fn what_cannot_be_answered_ends_after_a_while() {
        let start = Instant::now();
        let nothing = status("in_progress", "no_reconciler", &[]);
        let mut patience = Patience::new(false);
        assert_eq!(patience.decide(&nothing, start), Decision::Wait(Some(FOR_A_RECONCILER)));
        let later = start + Duration::from_secs(31);
        assert_eq!(patience.decide(&nothing, later), Decision::End(Exit::Unanswerable));
        assert_eq!(Patience::new(true).decide(&nothing, later), Decision::Wait(None));

        let unchecked = status("in_progress", "not_checked", &[("not_checked", "inferred")]);
        let mut patience = Patience::new(false);
        assert_eq!(patience.decide(&unchecked, start), Decision::Wait(Some(FOR_A_LATE_EVENT)));
        let mended = status("in_progress", "waiting", &[("waiting", "inferred")]);
        assert_eq!(patience.decide(&mended, start), Decision::Wait(None));
        assert_eq!(patience.decide(&unchecked, later), Decision::Wait(Some(FOR_A_LATE_EVENT)));
    }

    #[test]
    fn revisions_that_name_no_commit_are_unanswerable() {
        let now = Instant::now();
        let at = |head: &str, outcome| {
            let mut status = status(outcome, "no_commit", &[("no_commit", "inferred")]);
            status.reconcilers[0].head = Some(head.to_owned());
            status
        };
        let mut patience = Patience::new(false);
        // The artifact that was there before says nothing of the next one.
        let former = at("latest@sha256:11", "in_progress");
        assert_eq!(patience.decide(&former, now), Decision::Wait(None));
        assert_eq!(patience.decide(&former, now), Decision::Wait(None));
        assert_eq!(patience.out_of_time(&former), Exit::Unanswerable);
        let over = at("latest@sha256:11", "timed_out");
        assert_eq!(patience.decide(&over, now), Decision::End(Exit::Unanswerable));
        let next = at("latest@sha256:22", "in_progress");
        assert_eq!(patience.decide(&next, now), Decision::End(Exit::Unanswerable));
        assert_eq!(Patience::new(true).out_of_time(&former), Exit::TimedOut);
    }

    #[test]
    fn a_successor_is_as_good_unless_it_is_not_wanted() {
        let mut covered = status("succeeded", "succeeded", &[("succeeded", "inferred")]);
        let now = Instant::now();
        let decide = |status: &Status| Patience::new(false).exact(true).decide(status, now);
        assert_eq!(decide(&covered), Decision::End(Exit::Succeeded));
        covered.reconcilers[0].via = Some("84539404".to_owned());
        assert_eq!(decide(&covered), Decision::End(Exit::Unanswerable));
        assert_eq!(Patience::new(false).decide(&covered, now), Decision::End(Exit::Succeeded));
    }

    #[test]
    fn what_is_declared_unchecked_needs_no_patience() {
        let declared = status("in_progress", "not_checked", &[("not_checked", "disabled")]);
        let now = Instant::now();
        assert_eq!(Patience::new(false).decide(&declared, now), Decision::End(Exit::Unanswerable));
        let other = [("not_checked", "disabled"), ("waiting", "inferred")];
        let partly = status("in_progress", "waiting", &other);
        assert_eq!(Patience::new(false).decide(&partly, now), Decision::Wait(None));
    }
}
