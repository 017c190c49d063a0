//! Whether what a status says of one reconciler is so: its state, the reason, and all that it names.

use gitops_brain::{Outcome, Reason, ReconcilerStatus, State, Status};

use super::{
    flux::{Event, Kustomization, Truth},
    git::Git,
};

/// What a status says of the whole that is not what it says of the reconcilers.
pub(super) fn untrue_whole(status: &Status) -> Option<String> {
    let Status { state, outcome, reason, message, reconcilers, .. } = status;
    let unfinished = || reconcilers.iter().filter(|one| one.state != State::Healthy);
    let count = unfinished().count();
    let says = |one: &ReconcilerStatus| {
        let more = match count {
            _ if one.state == State::Failed => String::new(),
            0 | 1 => String::new(),
            2 => "; 1 more reconciler is unfinished".to_owned(),
            _ => format!("; {} more reconcilers are unfinished", count - 1),
        };
        let (words, rest) = message.split_at_checked(one.message.len()).unwrap_or_default();
        let in_time = rest.starts_with(" (counts as failed if it is not mended by ");
        one.reason == *reason
            && one.state == *state
            && words == one.message
            && (rest == more || in_time && rest.ends_with(&more))
    };
    let is_so = match (outcome, reason) {
        (Outcome::Succeeded, Reason::Succeeded)
        | (Outcome::InProgress, Reason::Learning | Reason::NoReconciler) => count == 0,
        (Outcome::InProgress, Reason::NoMatchYet) => {
            *state == State::Pending && unfinished().all(|one| one.state == State::Applied)
        }
        (Outcome::Failed, _) => *state == State::Failed && unfinished().any(says),
        (Outcome::InProgress, _) => unfinished().any(says),
        _ => false,
    };
    (!is_so).then(|| {
        let each: Vec<_> = reconcilers.iter().map(|one| (one.state, &one.message)).collect();
        format!("{state}, {outcome}, {reason} ({message}), but of each it says {each:?}")
    })
}

/// Whether an attempt ended between applying and checking. The next one has nothing left to apply, and
/// then even one that waits tells of no health check.
pub(super) fn ended_early(said: &[Event], carries: &dyn Fn(usize) -> bool) -> bool {
    let ended = ["HealthCheckCanceled", "HealthCheckFailed", "PruneFailed"];
    said.iter().any(|event| ended.contains(&&*event.reason) && event.revision.is_some_and(carries))
}

/// What is true of a reconciler and a commit.
pub(super) struct Known<'a> {
    pub(super) git: &'a Git,
    pub(super) one: &'a Kustomization,
    /// All that the reconciler ever said.
    pub(super) said: &'a [Event],
    /// Whether anything of that arrived.
    pub(super) is_heard: bool,
    pub(super) commit: usize,
    pub(super) truth: Truth,
    /// Whether the descent of every commit is known.
    pub(super) knows_descent: bool,
    /// Whether all is told that there is to tell, and has arrived, so that nothing is excused.
    pub(super) is_told: bool,
}

impl Known<'_> {
    /// What a status says that is not so.
    pub(super) fn untrue(&self, status: &ReconcilerStatus) -> Option<String> {
        let untrue = self
            .untrue_state(status)
            .or_else(|| self.untrue_reason(status))
            .or_else(|| self.untrue_names(status))
            .or_else(|| self.untrue_live(status))?;
        let ReconcilerStatus { reconciler, state, reason, message, .. } = status;
        Some(format!("{reconciler} is {state}, {reason} ({message}), but {untrue}"))
    }

    fn untrue_state(&self, status: &ReconcilerStatus) -> Option<&'static str> {
        match status.state {
            State::Healthy if !self.truth.was_healthy => Some("it was never healthy there"),
            State::Failed if !self.truth.has_failed => Some("it never failed"),
            State::Applied if !self.one.has_applied(|at| self.carries(at)) => {
                Some("it never applied it")
            }
            _ => None,
        }
    }

    fn untrue_reason(&self, status: &ReconcilerStatus) -> Option<&'static str> {
        let at_last = |is_so: bool, what| (self.is_told && !is_so).then_some(what);
        let ever = |is_so: bool, what| (!is_so).then_some(what);
        let present = self.one.present();
        let lacks = |at: usize| !self.carries(at);
        match status.reason {
            Reason::Waiting if status.message.contains("since its definition was changed") => {
                ever(self.one.has_taken_up(|at| self.carries(at)), "it never reported it")
            }
            Reason::Waiting => at_last(present.is_none_or(lacks), "it is at the commit, or later"),
            Reason::NeverHeard => ever(!self.is_heard, "it was heard of"),
            Reason::Blocked => ever(self.has_said("DependencyNotReady"), "nothing was in its way")
                .or_else(|| at_last(self.one.is_blocked(), "nothing is in its way")),
            Reason::Applying | Reason::CheckingHealth => {
                at_last(self.one.is_busy(), "it is not at work")
            }
            Reason::Interrupted => ever(
                self.has_said("HealthCheckCanceled") || self.has_said("HealthCheckFailed"),
                "nothing interrupted it",
            ),
            Reason::NotChecked => at_last(!self.one.waits, "it waits for health"),
            Reason::HealthUnproved => {
                let ended_early = ended_early(self.said, &|at| self.carries(at));
                at_last(!self.one.waits || ended_early, "it waits for health")
            }
            Reason::RolledBack => ever(
                self.one.has_taken_up(|at| self.carries(at)) && self.one.has_taken_up(lacks),
                "it was at nothing else, before and after",
            )
            .or_else(|| at_last(present.is_some_and(lacks), "it is at the commit, or later")),
            Reason::Diverged => {
                let is_aside = |at: usize| lacks(at) && !self.git.contains(self.commit, at);
                ever(self.one.has_taken_up(is_aside), "it was never on another line")
                    .or_else(|| at_last(present.is_some_and(is_aside), "it is on this line"))
            }
            Reason::Deleted => ever(self.one.was_deleted(), "it was never deleted")
                .or_else(|| at_last(present.is_none(), "it is there")),
            Reason::AncestryUnknown => ever(!self.knows_descent, "all descent is known"),
            Reason::Succeeded => ever(status.state == State::Healthy, "health is required"),
            Reason::Failed => {
                ever(status.state == State::Failed, "it is not failed").or_else(|| {
                    let is_own = self.one.has_failed(|at| at == self.commit);
                    let fails = self.one.failing().is_some_and(|at| self.carries(at));
                    at_last(is_own || fails, "it fails no longer")
                })
            }
            // There are no sources, and these are said of the whole.
            _ => Some("that is nothing to say of a reconciler here"),
        }
    }

    fn untrue_names(&self, status: &ReconcilerStatus) -> Option<&'static str> {
        if let Some(via) = status.via {
            let carries = self.git.find(via).is_some_and(|at| self.carries(at));
            if !carries || Some(via) == self.git.get(self.commit).map(|commit| commit.id) {
                return Some("what it names as the later commit is none");
            }
        }
        if let Some(head) = &status.head {
            let is_head = |at: usize| {
                self.git.get(at).is_some_and(|commit| head.ends_with(&commit.id.to_string()))
            };
            if !self.said.iter().filter_map(|event| event.revision).any(is_head) {
                return Some("what it names as the last revision was never reported");
            }
        }
        let event = status.event.as_ref()?;
        let was_said = self.said.iter().any(|said| {
            said.reason == event.reason
                && (event.message.is_empty() || said.message == event.message)
                && (status.state != State::Failed
                    || said.severity == "error"
                        && said.revision.is_some_and(|revision| self.carries(revision)))
        });
        (!was_said).then_some("nothing like that was said of it")
    }

    fn untrue_live(&self, status: &ReconcilerStatus) -> Option<&'static str> {
        let is_live = self.one.live().map(|at| self.carries(at));
        let said_so = status.live.is_some() && status.live != is_live;
        (self.is_told && said_so && is_live.is_some()).then_some("what it says is live is not")
    }

    fn carries(&self, revision: usize) -> bool {
        self.git.contains(revision, self.commit)
    }

    /// Whether it said that of a revision with the commit.
    fn has_said(&self, reason: &str) -> bool {
        self.said.iter().any(|event| {
            event.reason == reason && event.revision.is_some_and(|revision| self.carries(revision))
        })
    }
}
