//! The answer: is the commit live and healthy in that environment, and why.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use crate::{
    commit::CommitId,
    event::Severity,
    fact::{FactBody, Settlement},
    names::{EnvironmentName, ObjectName},
    policy::{HealthChecks, Require},
};

/// The most entries of a [`Status::timeline`].
pub const MAX_TIMELINE: usize = 100;

/// How far a commit has come, from nowhere to the end.
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize,
)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "the state machine has these states")]
pub enum State {
    /// It has not arrived.
    #[default]
    Pending,
    /// It is applied; that it works is not proved.
    Applied,
    /// It is applied, and everything that it consists of was found healthy.
    Healthy,
    /// It failed, for now: Flux tries again for as long as the commit stands.
    Failed,
}

/// What CI acts on.
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize,
)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "hosts must act on each")]
pub enum Outcome {
    /// Not decided yet.
    #[default]
    InProgress,
    /// All that is expected has reached what is required.
    Succeeded,
    /// Something failed, for longer than the grace for failures.
    Failed,
    /// The time for it is over.
    TimedOut,
}

impl Outcome {
    /// Whether those who wait have their answer.
    #[must_use]
    pub fn is_settled(self) -> bool {
        self != Self::InProgress
    }

    /// The outcome as JSON has it: `in_progress`, `succeeded`, `failed`, `timed_out`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
        }
    }
}

impl State {
    /// The state as JSON has it: `pending`, `applied`, `healthy`, `failed`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Applied => "applied",
            Self::Healthy => "healthy",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Why a state is what it is: our words, a closed list. Flux's own stand under
/// [`ReconcilerStatus::event`].
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// It has not reported this commit or a later one.
    Waiting,
    /// It was never heard of.
    NeverHeard,
    /// A dependency is not ready, or Flux cannot reconcile it at all.
    Blocked,
    /// It is being applied.
    Applying,
    /// It is applied, and the result of its health checks is awaited.
    CheckingHealth,
    /// The work on it was abandoned, most often for a newer revision.
    Interrupted,
    /// It is applied; nothing has been heard that would prove its health.
    HealthUnproved,
    /// It is applied, and does not wait for health: no event will prove it.
    NotChecked,
    /// It had the commit, and went back to a revision without it.
    RolledBack,
    /// It is at a revision that neither contains the commit nor leads to it: the branch was forced
    /// elsewhere.
    Diverged,
    /// The reconciler was deleted.
    Deleted,
    /// How its revision relates to the commit is not known.
    AncestryUnknown,
    /// It reports revisions that name no commit, so that no event will tell of this one.
    NoCommit,
    /// All that is known succeeded, but perhaps not all is known yet.
    Learning,
    /// A pattern of the expected reconcilers matches none that was heard of.
    NoMatchYet,
    /// Nothing is expected.
    NoReconciler,
    /// It has not reported, and a source in its cluster is in trouble.
    SourceTrouble,
    /// It failed.
    Failed,
    /// The time is over.
    TimedOut,
    /// It has reached what is required.
    Succeeded,
}

impl Reason {
    /// The reason as JSON has it, in snake case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::NeverHeard => "never_heard",
            Self::Blocked => "blocked",
            Self::Applying => "applying",
            Self::CheckingHealth => "checking_health",
            Self::Interrupted => "interrupted",
            Self::HealthUnproved => "health_unproved",
            Self::NotChecked => "not_checked",
            Self::RolledBack => "rolled_back",
            Self::Diverged => "diverged",
            Self::Deleted => "deleted",
            Self::AncestryUnknown => "ancestry_unknown",
            Self::NoCommit => "no_commit",
            Self::Learning => "learning",
            Self::NoMatchYet => "no_match_yet",
            Self::NoReconciler => "no_reconciler",
            Self::SourceTrouble => "source_trouble",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::Succeeded => "succeeded",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a status is compared by: opaque, equal if and only if nothing that matters differs. Times at
/// which something was last heard of do not matter.
#[derive(Clone, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Version(String);

impl Version {
    /// The version as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for Version {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a rollout stands: a function of the facts, the policy and the time, and of nothing else.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Status {
    /// Where.
    pub environment: EnvironmentName,
    /// What.
    pub commit: CommitId,
    /// Whether CI asked for it. A commit that it did not ask for has a status too.
    pub registered: bool,
    /// What this status is compared by.
    pub version: Version,
    /// The time for which it holds.
    #[serde(serialize_with = "time")]
    pub evaluated_at: DateTime<Utc>,
    /// `failed` if any expected reconciler failed; else the least of theirs.
    pub state: State,
    /// What CI acts on.
    pub outcome: Outcome,
    /// Whether those who wait have their answer.
    pub settled: bool,
    /// Whether what runs everywhere contains the commit; `None` if that is not known.
    pub live: Option<bool>,
    /// What success means.
    pub require: Require,
    /// Why.
    pub reason: Reason,
    /// Why, in a sentence.
    pub message: String,
    /// What somebody could do about it.
    pub remedy: Option<String>,
    /// When it was first registered.
    #[serde(serialize_with = "optional_time")]
    pub registered_at: Option<DateTime<Utc>>,
    /// When the time for it is over.
    #[serde(serialize_with = "optional_time")]
    pub deadline_at: Option<DateTime<Utc>>,
    /// How long it may take from its latest registration, in seconds.
    pub timeout_seconds: Option<u64>,
    /// What was told first.
    pub first_settled: Option<FirstSettled>,
    /// CI's free texts.
    pub labels: BTreeMap<String, String>,
    /// Each expected reconciler, by name.
    pub reconcilers: Vec<ReconcilerStatus>,
    /// What happened first when: at most [`MAX_TIMELINE`] entries.
    pub timeline: Vec<TimelineEntry>,
}

impl Status {
    /// Digests what matters of it. What changes with each heartbeat does not.
    pub(crate) fn digest(&self) -> Version {
        // Each field has a name here, so that none that is new can be forgotten.
        let Self {
            environment,
            commit,
            registered,
            version: _,
            evaluated_at: _,
            state,
            outcome,
            settled,
            live,
            require,
            reason,
            message,
            remedy,
            registered_at,
            deadline_at,
            timeout_seconds,
            first_settled,
            labels,
            reconcilers,
            timeline,
        } = self;
        // Who waits says when the last heartbeat was, and so does the whole if it quotes one of them.
        let mut waiting = reconcilers.iter().filter(|one| one.is_waiting());
        let message = match waiting.find(|one| message.contains(&one.message)) {
            Some(quoted) => Cow::Owned(message.replace(&quoted.message, "")),
            None => Cow::Borrowed(message),
        };
        // In parts: a text of the whole is long, and to allocate it took longer than to write it.
        let mut parts = Parts::default();
        parts.add(&(environment, commit, registered, state, outcome, settled, live, require));
        parts.add(&(reason, message, remedy, registered_at, deadline_at, timeout_seconds));
        parts.add(&(first_settled, labels, timeline));
        for reconciler in reconcilers {
            parts.add(&reconciler.digested());
        }
        parts.version()
    }
}

/// What a version is digested from, one part after the other.
#[derive(Default)]
struct Parts {
    hash: Sha256,
    json: Vec<u8>,
}

impl Parts {
    fn add(&mut self, part: &impl Serialize) {
        self.json.clear();
        // To memory, and of our own types, whose map keys are texts: this cannot fail.
        let written = serde_json::to_writer(&mut self.json, part);
        debug_assert!(written.is_ok());
        self.hash.update(&self.json);
    }

    fn version(self) -> Version {
        let digest = self.hash.finalize();
        let hex = digest.iter().take(8).fold(String::with_capacity(16), |mut text, byte| {
            for digit in [byte >> 4, byte & 15] {
                text.extend(char::from_digit(u32::from(digit), 16));
            }
            text
        });
        Version(hex)
    }
}

/// What a rollout settled to first, and when.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct FirstSettled {
    /// What was told.
    pub outcome: Outcome,
    /// When.
    #[serde(serialize_with = "time")]
    pub at: DateTime<Utc>,
}

/// Where one reconciler stands with a commit.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ReconcilerStatus {
    /// The reconciler.
    pub reconciler: ObjectName,
    /// How far the commit has come there.
    pub state: State,
    /// Why.
    pub reason: Reason,
    /// Why, in a sentence.
    pub message: String,
    /// Whether the revision that it took up last contains the commit; `None` if that is not known.
    pub live: Option<bool>,
    /// The revision that it took up last, as Flux wrote it.
    pub head: Option<String>,
    /// The later commit that decides, if it is not the commit itself.
    pub via: Option<CommitId>,
    /// What is known of its health checks.
    pub health_checks: HealthChecksStatus,
    /// When a source of its cluster first had the commit.
    #[serde(serialize_with = "optional_time")]
    pub seen_at: Option<DateTime<Utc>>,
    /// When it was first applied.
    #[serde(serialize_with = "optional_time")]
    pub applied_at: Option<DateTime<Utc>>,
    /// When it was first found healthy.
    #[serde(serialize_with = "optional_time")]
    pub healthy_at: Option<DateTime<Utc>>,
    /// When it first failed.
    #[serde(serialize_with = "optional_time")]
    pub failed_at: Option<DateTime<Utc>>,
    /// When the newest event of it first arrived, by the receiver's clock.
    #[serde(serialize_with = "optional_time")]
    pub last_heard_at: Option<DateTime<Utc>>,
    /// Flux's own words on it.
    pub event: Option<EventSummary>,
}

impl ReconcilerStatus {
    fn is_waiting(&self) -> bool {
        self.reason == Reason::Waiting
    }

    /// What matters of it.
    fn digested(&self) -> impl Serialize {
        let Self {
            reconciler,
            state,
            reason,
            message,
            live,
            head,
            via,
            health_checks,
            seen_at,
            applied_at,
            healthy_at,
            failed_at,
            last_heard_at: _,
            event,
        } = self;
        let message = (!self.is_waiting()).then_some(message);
        let event = event
            .as_ref()
            .map(|EventSummary { severity, reason, message, at: _ }| (severity, reason, message));
        (
            (reconciler, state, reason, message, live, head, via, health_checks),
            (seen_at, applied_at, healthy_at, failed_at, event),
        )
    }
}

/// What is known of a reconciler's health checks.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct HealthChecksStatus {
    /// What the operator declared.
    pub policy: HealthChecks,
    /// What follows from that and from its events.
    pub verdict: Verdict,
}

/// Whether a reconciler waits for the health of what it applies.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "yes, no or not known")]
pub enum Verdict {
    /// It does.
    Checks,
    /// It does not.
    DoesNotCheck,
    /// No event has told.
    Unknown,
}

/// An event in Flux's own words.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct EventSummary {
    /// Its severity.
    pub severity: Severity,
    /// Its reason.
    pub reason: String,
    /// Its message; empty where it is no longer kept.
    pub message: String,
    /// When the controller made it.
    #[serde(serialize_with = "time")]
    pub at: DateTime<Utc>,
}

/// Something that happened first at a time.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[non_exhaustive]
pub struct TimelineEntry {
    /// When.
    #[serde(serialize_with = "time")]
    pub at: DateTime<Utc>,
    /// The state that was reached.
    pub state: State,
    /// By which reconciler.
    pub reconciler: ObjectName,
}

/// A change of a rollout's state or outcome, with what caused it: handed out once, where the change
/// was made.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Transition {
    /// Where.
    pub environment: EnvironmentName,
    /// What.
    pub commit: CommitId,
    /// When.
    #[serde(serialize_with = "time")]
    pub at: DateTime<Utc>,
    /// The state and outcome before.
    pub from: Standing,
    /// The state and outcome after.
    pub to: Standing,
    /// Why it is what it is now.
    pub reason: Reason,
    /// The same in a sentence.
    pub message: String,
    /// The reconciler whose event made the change; `None` if time, ancestry or the policy did.
    pub cause: Option<ObjectName>,
    /// How many times the outcome was settled before, as recorded.
    pub settlements: u32,
}

impl Transition {
    /// What a host records if the outcome has become final; `None` if it has not.
    ///
    /// Notifications and statistics are made of settlements, not of transitions: of several replicas
    /// that see the same transition, one wins the insert of the settlement.
    #[must_use]
    pub fn settlement(&self) -> Option<FactBody> {
        (self.to.outcome.is_settled() && self.to.outcome != self.from.outcome).then(|| {
            FactBody::Settled(Settlement::new(
                self.environment.clone(),
                self.commit,
                self.settlements,
                self.to.outcome,
            ))
        })
    }
}

/// A rollout's state and outcome.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[expect(clippy::exhaustive_structs, reason = "what a transition compares is these two")]
pub struct Standing {
    /// How far it has come.
    pub state: State,
    /// What CI acts on.
    pub outcome: Outcome,
}

/// What is live in one reconciler.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ReconcilerReport {
    /// The reconciler.
    pub reconciler: ObjectName,
    /// The revision that it took up last, as Flux wrote it.
    pub head: Option<String>,
    /// That revision's commit.
    pub commit: Option<CommitId>,
    /// Its state at that revision.
    pub state: State,
    /// Whether it was deleted.
    pub deleted: bool,
    /// Whether a person took it out of every expectation.
    pub removed: bool,
    /// What is known of its health checks.
    pub health_checks: HealthChecksStatus,
    /// When the newest event of it first arrived, by the receiver's clock.
    #[serde(serialize_with = "optional_time")]
    pub last_heard_at: Option<DateTime<Utc>>,
    /// Flux's own words on it.
    pub event: Option<EventSummary>,
}

/// Times in RFC 3339, with the milliseconds only if there are any.
pub(crate) fn time<S: Serializer>(time: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&text_of(*time))
}

fn optional_time<S: Serializer>(
    time: &Option<DateTime<Utc>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => serializer.serialize_some(&text_of(*time)),
        None => serializer.serialize_none(),
    }
}

pub(crate) fn text_of(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}
