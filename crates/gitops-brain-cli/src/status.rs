//! A status as the server tells it.
//!
//! Read leniently: a newer server may have more fields and more reasons than this client knows.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::exit::Failure;

/// A status, and the JSON that it was read from.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: Status,
    pub(crate) raw: Value,
}

impl Answer {
    pub(crate) fn read(raw: Value) -> Result<Self, Failure> {
        match Status::deserialize(&raw) {
            Ok(status) => Ok(Self { status, raw }),
            Err(error) => {
                Err(Failure::internal(format!("the server's answer is not a status: {error}")))
            }
        }
    }
}

/// What CI acts on. An outcome that this client does not know is none that ends a wait.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    Succeeded,
    Failed,
    TimedOut,
    #[serde(other)]
    InProgress,
}

impl Outcome {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::InProgress => "in_progress",
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Status {
    pub(crate) environment: String,
    pub(crate) commit: String,
    #[serde(default)]
    pub(crate) registered: bool,
    #[serde(default)]
    pub(crate) version: String,
    pub(crate) state: String,
    pub(crate) outcome: Outcome,
    #[serde(default)]
    pub(crate) require: String,
    pub(crate) reason: String,
    #[serde(default)]
    pub(crate) message: String,
    #[serde(default)]
    pub(crate) remedy: Option<String>,
    #[serde(default)]
    pub(crate) registered_at: Option<String>,
    #[serde(default)]
    pub(crate) deadline_at: Option<String>,
    #[serde(default)]
    pub(crate) first_settled: Option<FirstSettled>,
    #[serde(default)]
    pub(crate) labels: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) reconcilers: Vec<Reconciler>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct FirstSettled {
    pub(crate) outcome: Outcome,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Reconciler {
    pub(crate) reconciler: String,
    pub(crate) state: String,
    pub(crate) reason: String,
    #[serde(default)]
    pub(crate) message: String,
    #[serde(default)]
    pub(crate) live: Option<bool>,
    #[serde(default)]
    pub(crate) head: Option<String>,
    #[serde(default)]
    pub(crate) via: Option<String>,
    #[serde(default)]
    pub(crate) health_checks: HealthChecks,
    #[serde(default)]
    pub(crate) seen_at: Option<String>,
    #[serde(default)]
    pub(crate) applied_at: Option<String>,
    #[serde(default)]
    pub(crate) healthy_at: Option<String>,
    #[serde(default)]
    pub(crate) failed_at: Option<String>,
    #[serde(default)]
    pub(crate) event: Option<Event>,
}

#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct HealthChecks {
    #[serde(default)]
    pub(crate) policy: String,
    #[serde(default)]
    pub(crate) verdict: String,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Event {
    #[serde(default)]
    pub(crate) reason: String,
    #[serde(default)]
    pub(crate) message: String,
    #[serde(default)]
    pub(crate) at: String,
}

/// What is live in one reconciler.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Report {
    pub(crate) reconciler: String,
    #[serde(default)]
    pub(crate) head: Option<String>,
    #[serde(default)]
    pub(crate) commit: Option<String>,
    #[serde(default)]
    pub(crate) state: String,
    #[serde(default)]
    pub(crate) deleted: bool,
    #[serde(default)]
    pub(crate) removed: bool,
    #[serde(default)]
    pub(crate) health_checks: HealthChecks,
    #[serde(default)]
    pub(crate) last_heard_at: Option<String>,
    #[serde(default)]
    pub(crate) event: Option<Event>,
}

impl Status {
    /// The reconcilers that have not reached what is required.
    pub(crate) fn unfinished(&self) -> impl Iterator<Item = &Reconciler> {
        self.reconcilers.iter().filter(|reconciler| reconciler.reason != "succeeded")
    }

    /// The later commit that speaks for this one somewhere, if one does.
    pub(crate) fn successor(&self) -> Option<&str> {
        self.reconcilers.iter().find_map(|reconciler| reconciler.via.as_deref())
    }

    /// Whether any reconciler ever reported a revision that is known to be related to the commit.
    pub(crate) fn is_related(&self) -> bool {
        self.reconcilers.iter().any(|reconciler| {
            let reached = [
                &reconciler.seen_at,
                &reconciler.applied_at,
                &reconciler.healthy_at,
                &reconciler.failed_at,
            ];
            reached.into_iter().any(Option::is_some)
                || (reconciler.live.is_some() && reconciler.reason != "diverged")
        })
    }
}

/// The list in an answer: itself, or the only one that it holds.
pub(crate) fn list(answer: &Value) -> &[Value] {
    match answer {
        Value::Array(items) => items,
        Value::Object(fields) => {
            fields.values().find_map(Value::as_array).map(Vec::as_slice).unwrap_or_default()
        }
        _ => &[],
    }
}
