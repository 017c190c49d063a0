//! What a status says in sentences: why, and what somebody could do about it.
//!
//! Texts are made of facts alone. No ages: they would change with each second.

use chrono::{DateTime, Utc};

use crate::{
    assessment::{Assessment, declared},
    duration::format_duration,
    names::{EnvironmentName, ObjectName, Selector},
    observation::Role,
    policy::{HealthChecks, Require},
    reconciler::{Reconciler, RevisionKey},
    rollout::View,
    status::{HealthChecksStatus, Outcome, Reason, ReconcilerStatus, State, text_of},
    world::Registered,
};

/// The most characters of Flux's words that are repeated in ours.
const MAX_QUOTE: usize = 500;

/// Why a rollout stands where it does.
#[derive(Clone, Debug)]
pub(crate) struct Wording {
    pub(crate) reason: Reason,
    pub(crate) message: String,
    pub(crate) remedy: Option<String>,
}

impl Wording {
    /// The same, if the time is over.
    pub(crate) fn timed_out_if(self, outcome: Outcome, registered: Option<&Registered>) -> Self {
        let Some(registered) = registered.filter(|_| outcome == Outcome::TimedOut) else {
            return self;
        };
        let timeout = format_duration(registered.terms.timeout);
        Self {
            reason: Reason::TimedOut,
            message: format!("not done within {timeout}: {}", self.message),
            remedy: self.remedy,
        }
    }
}

/// Nothing is expected.
pub(crate) fn no_reconciler(environment: &EnvironmentName, unheard: bool) -> Wording {
    let message = if unheard {
        format!(
            "environment {environment} declares no reconciler, and no cluster of that name was ever \
             heard"
        )
    } else {
        format!("no reconciler of environment {environment} is known")
    };
    Wording {
        reason: Reason::NoReconciler,
        message,
        remedy: Some(
            "name the expected reconcilers in the environment's configuration, and check that the \
             cluster's Provider and Alert send events here"
                .to_owned(),
        ),
    }
}

/// A pattern matches nothing, and no reconciler that is known is pending or failed.
pub(crate) fn no_match_yet(selector: &Selector, is_cluster_heard: bool) -> Wording {
    let message = if is_cluster_heard {
        format!("`{selector}` is expected, and matches no reconciler that has reported yet")
    } else {
        format!("`{selector}` is expected, and no such cluster has sent an event yet")
    };
    Wording { reason: Reason::NoMatchYet, message, remedy: Some(PATTERN_REMEDY.to_owned()) }
}

/// What to do about a pattern that matches nothing.
pub(crate) const PATTERN_REMEDY: &str = "check the pattern in the environment's configuration, and \
     that the cluster's Provider and Alert send the events of these reconcilers here; `gitops-brain \
     reconcilers` lists those that have reported";

/// What to do where nothing but errors is heard.
pub(crate) const SEVERITY_REMEDY: &str = "set `eventSeverity: info` on the Alert that sends its events: \
     with `error` no success is ever told";

/// What to do where no success is ever heard.
pub(crate) const SUCCESS_REMEDY: &str = "take the feature gate DisableCommitStatusEvent out of \
     kustomize-controller's arguments; upgrade Flux from 2.8.0–2.8.5 to 2.8.6 or later; exclude nothing in \
     the Alert";

/// What is never heard of a reconciler, though it should be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Unheard {
    /// Anything but errors.
    AllButErrors,
    Successes,
}

impl Unheard {
    /// What explains that a reconciler stands where it does.
    ///
    /// It follows from what was heard of the reconciler itself, so that nothing else changes its status.
    pub(crate) fn of(reconciler: &Reconciler, reason: Reason) -> Option<Self> {
        match reason {
            Reason::Waiting if reconciler.tells_only_errors() => Some(Self::AllButErrors),
            Reason::Failed if reconciler.lacks_its_changes() => Some(Self::AllButErrors),
            Reason::Waiting | Reason::Applying | Reason::CheckingHealth
                if reconciler.never_succeeds() =>
            {
                Some(Self::Successes)
            }
            _ => None,
        }
    }

    fn message(self) -> &'static str {
        match self {
            Self::AllButErrors => "; nothing but errors was ever heard of it",
            Self::Successes => {
                "; no success was ever heard of it, which alone tells of a commit that changes nothing: the \
                 feature gate DisableCommitStatusEvent of kustomize-controller may be set"
            }
        }
    }

    fn remedy(self) -> &'static str {
        match self {
            Self::AllButErrors => SEVERITY_REMEDY,
            Self::Successes => SUCCESS_REMEDY,
        }
    }
}

/// All that is expected has reached what is required.
pub(crate) fn succeeded(reconcilers: &[ReconcilerStatus], require: Require) -> Wording {
    let state = match require {
        Require::Applied => "applied",
        Require::Healthy => "healthy",
    };
    let message = match reconcilers {
        [only] => only.message.clone(),
        all => format!("all {} reconcilers are {state}", all.len()),
    };
    Wording { reason: Reason::Succeeded, message, remedy: None }
}

/// All that is known succeeded, but perhaps not all is known yet.
pub(crate) fn learning(complete_at: Option<DateTime<Utc>>) -> Wording {
    let until = complete_at.map(|at| format!(" until {}", text_of(at))).unwrap_or_default();
    Wording {
        reason: Reason::Learning,
        message: format!(
            "every reconciler that is known succeeded; others may not have reported yet, so this \
             waits{until}"
        ),
        remedy: Some(
            "name the environment's reconcilers in its configuration: names need no learning"
                .to_owned(),
        ),
    }
}

/// One reconciler stands for the whole.
pub(crate) fn of_reconciler(
    decides: &ReconcilerStatus,
    others: usize,
    counts_at: Option<DateTime<Utc>>,
    unheard: Option<Unheard>,
) -> Wording {
    let mut message = decides.message.clone();
    if let Some(counts_at) = counts_at {
        message.push_str(&format!(
            " (counts as failed if it is not mended by {})",
            text_of(counts_at)
        ));
    }
    if others > 0 {
        let plural = if others == 1 { "reconciler is" } else { "reconcilers are" };
        message.push_str(&format!("; {others} more {plural} unfinished"));
    }
    let of_unheard = unheard.map(|unheard| unheard.remedy().to_owned());
    Wording { reason: decides.reason, message, remedy: of_unheard.or_else(|| remedy(decides)) }
}

/// A reconciler that is expected by name, and was never heard of.
pub(crate) fn never_heard(name: &ObjectName, policy: HealthChecks) -> ReconcilerStatus {
    ReconcilerStatus {
        reconciler: name.clone(),
        state: State::Pending,
        reason: Reason::NeverHeard,
        message: format!("{name} has never been heard of"),
        live: None,
        head: None,
        via: None,
        health_checks: HealthChecksStatus {
            policy,
            verdict: declared(Role::of(name.kind()), policy),
        },
        seen_at: None,
        applied_at: None,
        healthy_at: None,
        failed_at: None,
        last_heard_at: None,
        event: None,
    }
}

/// Why a reconciler stands where it does.
pub(crate) fn reconciler(
    view: &View<'_>,
    reconciler: &Reconciler,
    assessment: &Assessment<'_>,
    status: &ReconcilerStatus,
) -> String {
    let unheard = Unheard::of(reconciler, status.reason);
    let unheard = unheard.filter(|_| status.reason != Reason::Failed);
    let unheard = unheard.map(Unheard::message).unwrap_or_default();
    format!("{}{unheard}", stands(view, reconciler, assessment, status))
}

fn stands(
    view: &View<'_>,
    reconciler: &Reconciler,
    assessment: &Assessment<'_>,
    status: &ReconcilerStatus,
) -> String {
    let name = &reconciler.name;
    let via = if status.via.is_some() { ", which contains this commit" } else { "" };
    let at = || match assessment.record {
        Some(record) => view.world().revision_text(record.text, record.revision),
        None => "this commit".to_owned(),
    };
    let reported = || match (&status.head, assessment.head) {
        (Some(revision), Some((_, key))) => {
            format!("last reported {revision} at {}", text_of(key.time()))
        }
        _ => "it has reported no revision".to_owned(),
    };
    let live = || match &status.head {
        Some(revision) => format!("{revision} is live"),
        None => "no revision is live".to_owned(),
    };
    let said = || match &status.event {
        Some(event) if event.message.is_empty() => event.reason.clone(),
        Some(event) => format!("{}: {}", event.reason, quote(&event.message)),
        None => "no event".to_owned(),
    };
    match status.reason {
        Reason::Succeeded if status.state == State::Healthy => {
            format!("{name} is healthy at {}{via}", at())
        }
        Reason::Succeeded => format!("{name} has applied {}{via}", at()),
        Reason::Failed => format!("{name} failed at {}{via}: {}", at(), said()),
        Reason::Applying => format!("{name} is applying {}{via}", at()),
        Reason::CheckingHealth => {
            format!(
                "{name} has applied {}{via}; no result of its health checks was reported yet",
                at()
            )
        }
        Reason::HealthUnproved => format!(
            "{name} has applied {}{via}, but no health check was reported for this revision: it \
             does not wait for health, the attempt that applied it ended before the check, or the event \
             was lost",
            at()
        ),
        Reason::NotChecked => format!(
            "{name} has applied {}{via}, and does not wait for health: no event will prove it",
            at()
        ),
        Reason::Interrupted => format!("{name} was interrupted at {}{via}: {}", at(), said()),
        Reason::Blocked => format!("{name} cannot go on: {}", said()),
        Reason::Deleted => format!("{name} was deleted"),
        Reason::NeverHeard => format!("{name} has never been heard of"),
        Reason::RolledBack => format!("{name} had this commit and was rolled back: {}", live()),
        Reason::Diverged => format!(
            "{name} is on another line of history: {}, which neither contains this commit nor \
             leads to it",
            live()
        ),
        Reason::NoCommit if reconciler.role == Role::HelmRelease => {
            format!("{name} reports chart versions, which say nothing about a commit: {}", live())
        }
        Reason::NoCommit => {
            format!("{name} reports revisions that name no commit in full: {}", live())
        }
        Reason::AncestryUnknown => match assessment.head.map(|(record, _)| record.revision) {
            Some(RevisionKey::Chart(prefix)) => format!(
                "{name}: {}; how the commit that begins with {prefix} relates to {} is not known",
                live(),
                view.commit()
            ),
            _ => format!("{name}: {}; how it relates to {} is not known", live(), view.commit()),
        },
        Reason::SourceTrouble => match view.world().source_trouble(reconciler) {
            Some((source, reason, message)) => format!(
                "{name} has not reported this commit or a later one, and {source} is in \
                     trouble: {reason}: {}",
                quote(message)
            ),
            None => format!("{name} has not reported this commit or a later one; {}", reported()),
        },
        Reason::Waiting
        | Reason::Learning
        | Reason::NoMatchYet
        | Reason::NoReconciler
        | Reason::TimedOut => {
            // What it did there it did by a former definition, so it does not count.
            let since =
                if status.live == Some(true) { " since its definition was changed" } else { "" };
            format!("{name} has not reported this commit or a later one{since}; {}", reported())
        }
    }
}

/// What somebody could do about it.
fn remedy(status: &ReconcilerStatus) -> Option<String> {
    let name = &status.reconciler;
    let text = match status.reason {
        Reason::NeverHeard => format!(
            "check the name, and that an Alert of cluster {} sends its events here",
            name.cluster()
        ),
        Reason::HealthUnproved | Reason::NotChecked => health_checks_remedy(name),
        Reason::NoCommit => commit_remedy(name).to_owned(),
        Reason::AncestryUnknown => {
            "send the commit objects that connect the two: `gitops-brain wait` does so from a \
             checkout of the gitops repository; if it follows another repository, name the reconcilers \
             that are expected in the environment's configuration"
                .to_owned()
        }
        Reason::RolledBack | Reason::Diverged => {
            "push a commit that contains this one, or ask about the commit that is live".to_owned()
        }
        Reason::Deleted => format!("remove it for good: `DELETE /v1/reconcilers/{name}`"),
        Reason::SourceTrouble => "mend the source that is in trouble".to_owned(),
        _ => return None,
    };
    Some(text)
}

/// What makes a reconciler's revisions name their commits.
pub(crate) fn commit_remedy(name: &ObjectName) -> &'static str {
    match name.kind() {
        "HelmRelease" => {
            "expect the Kustomization that applies it, with `wait: true`; or template the annotation \
             `event.toolkit.fluxcd.io/commit` into its manifest"
        }
        "Application" => {
            "let the Application follow the gitops repository itself: an artifact or a chart does not \
             tell which commit it was made of"
        }
        _ => {
            "name the commit in full when the artifact is made: `flux push artifact \
             --revision=BRANCH@sha1:COMMIT`, with all 40 digits; a Bucket cannot tell"
        }
    }
}

fn quote(message: &str) -> String {
    let cut = message.floor_char_boundary(MAX_QUOTE);
    let short = message.get(..cut).unwrap_or(message);
    if short.len() < message.len() { format!("{short}…") } else { short.to_owned() }
}

/// What makes a reconciler's health known.
pub(crate) fn health_checks_remedy(name: &ObjectName) -> String {
    if name.kind() == "Kustomization" {
        format!(
            "set `wait: true` on {}/{}/{}, or declare `health_checks = \"enabled\"` if it waits already",
            name.kind(),
            name.namespace(),
            name.name()
        )
    } else {
        "let Helm wait (no `disableWait`), or ask for `applied` only".to_owned()
    }
}
