//! What Argo CD says of an application.
//!
//! Argo CD's notifications post whatever a template makes of an `Application`; ours (in `docs/argocd.md`)
//! posts the object itself, without what says nothing here. Names and meanings are those of
//! `pkg/apis/application/v1alpha1` in argo-cd.

use chrono::{DateTime, Utc};
use serde::Deserialize;

use crate::{
    event::Severity,
    names::{ClusterName, ObjectName, shorten},
    observation::{MAX_MESSAGE_BYTES, Observation, commit_in, cut, intern, whole_seconds},
};

/// The API group of the objects that are read.
const API_GROUP: &str = "argoproj.io/";

const KIND: &str = "Application";

/// Why what calls itself an application of Argo CD cannot be observed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ApplicationError {
    /// A field is missing, or has another form than Argo CD gives it.
    #[error(
        "the application is not as Argo CD writes it: {reason}; use the template of the documentation"
    )]
    Malformed {
        /// What is wrong, and where.
        reason: String,
    },
    /// It has several sources with commits, and nothing says which is the gitops repository.
    #[error(
        "the application `{name}` has {count} sources with commits: set `source` in the template to the \
         place of the gitops repository among them, from 0"
    )]
    SeveralSources {
        /// Its name.
        name: String,
        /// How many they are.
        count: usize,
    },
    /// There is no source at the place that `source` names.
    #[error("the application `{name}` has no source {source_index}: mend `source` in the template")]
    NoSource {
        /// Its name.
        name: String,
        /// The place that was named.
        source_index: usize,
    },
}

impl ApplicationError {
    /// The stable code: `application.malformed`, `application.several_sources` or
    /// `application.no_source`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed { .. } => "application.malformed",
            Self::SeveralSources { .. } => "application.several_sources",
            Self::NoSource { .. } => "application.no_source",
        }
    }
}

#[derive(Deserialize)]
struct Application {
    metadata: Metadata,
    /// Ours: which of several sources is the gitops repository.
    #[serde(default)]
    source: Option<usize>,
    status: Status,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    namespace: String,
    name: String,
    #[serde(default)]
    uid: String,
    #[serde(default)]
    resource_version: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    #[serde(default)]
    sync: Sync,
    #[serde(default)]
    health: Health,
    #[serde(default)]
    operation_state: Option<OperationState>,
    #[serde(default)]
    reconciled_at: Option<DateTime<Utc>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Sync {
    status: String,
    #[serde(flatten)]
    revisions: Revisions,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Health {
    status: String,
    message: Option<String>,
    last_transition_time: Option<DateTime<Utc>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OperationState {
    phase: String,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    started_at: Option<DateTime<Utc>>,
    #[serde(default)]
    finished_at: Option<DateTime<Utc>>,
    #[serde(default)]
    sync_result: Option<Revisions>,
    #[serde(default)]
    operation: Option<Operation>,
}

/// What was asked for. Where nothing came of it, this alone says of which revision.
#[derive(Deserialize)]
struct Operation {
    #[serde(default)]
    sync: Option<Revisions>,
}

impl OperationState {
    fn revisions(&self) -> Option<&Revisions> {
        let asked = || self.operation.as_ref().and_then(|operation| operation.sync.as_ref());
        self.sync_result.as_ref().or_else(asked)
    }
}

/// One revision, or one for each source.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Revisions {
    revision: Option<String>,
    revisions: Option<Vec<String>>,
}

/// Observes an application; nothing if the body is something else.
pub(crate) fn observe(
    cluster: &ClusterName,
    body: &[u8],
    at: DateTime<Utc>,
) -> Option<Result<Observation, ApplicationError>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Head {
        api_version: String,
        kind: String,
    }
    let head: Head = serde_json::from_slice(body).ok()?;
    if !head.api_version.starts_with(API_GROUP) || head.kind != KIND {
        return None;
    }
    let read = serde_json::from_slice::<Application>(body);
    let malformed = |reason: String| ApplicationError::Malformed { reason };
    Some(read.map_err(|error| malformed(error.to_string())).and_then(|application| {
        let Metadata { namespace, name, .. } = &application.metadata;
        let object = ObjectName::of(cluster, KIND, namespace, name)
            .map_err(|error| malformed(error.to_string()))?;
        application.observe(object, at)
    }))
}

/// What the application's status comes to.
struct Told<'a> {
    reason: &'a str,
    message: String,
    severity: Severity,
    is_healthy: bool,
    revisions: Option<&'a Revisions>,
    timestamp: Option<DateTime<Utc>>,
}

impl Application {
    fn observe(
        &self,
        object: ObjectName,
        at: DateTime<Utc>,
    ) -> Result<Observation, ApplicationError> {
        let told = self.status.told();
        let revision = match told.revisions {
            Some(revisions) => self.revision(revisions)?,
            None => None,
        };
        Ok(Observation {
            object,
            uid: (&*self.metadata.uid).into(),
            resource_version: self.metadata.resource_version.parse().unwrap_or(0),
            severity: told.severity,
            reason: intern(told.reason),
            commit_status: false,
            revision: revision.map(Box::from),
            origin_revision: None,
            commit_annotation: None,
            chart_from_oci: false,
            timestamp: whole_seconds(told.timestamp.unwrap_or(at)),
            action: "".into(),
            related_object: None,
            health_check_passed: told.is_healthy,
            created_or_configured: false,
            only_deletions: false,
            canceled: false,
            changed_objects: Vec::new(),
            message: cut(&told.message, MAX_MESSAGE_BYTES).into(),
        })
    }

    /// The revision of the gitops repository.
    fn revision<'a>(&self, of: &'a Revisions) -> Result<Option<&'a str>, ApplicationError> {
        let name = || shorten(&self.metadata.name);
        let all: Vec<&str> = match of.revisions.as_deref() {
            Some(several @ [_, ..]) => several.iter().map(String::as_str).collect(),
            _ => of.revision.as_deref().filter(|text| !text.is_empty()).into_iter().collect(),
        };
        if let Some(source_index) = self.source.filter(|_| of.revisions.is_some()) {
            let found = all.get(source_index).copied();
            return found
                .map(Some)
                .ok_or_else(|| ApplicationError::NoSource { name: name(), source_index });
        }
        let commits: Vec<_> = all.iter().filter(|text| commit_in(text).is_some()).collect();
        match commits.as_slice() {
            [only] => Ok(Some(**only)),
            [] => Ok(all.first().copied()),
            several => Err(ApplicationError::SeveralSources { name: name(), count: several.len() }),
        }
    }
}

impl Status {
    /// An application that is in sync says how the revision fares that it is in sync with. One that is
    /// not says what became of the operation that was to bring it there.
    fn told(&self) -> Told<'_> {
        let operation = self.operation_state.as_ref();
        let phase = operation.map_or("", |operation| &*operation.phase);
        let is_running = matches!(phase, "Running" | "Terminating");
        let latest = [
            self.reconciled_at,
            self.health.last_transition_time,
            operation.and_then(|operation| operation.started_at),
            operation.and_then(|operation| operation.finished_at),
        ];
        let latest = latest.into_iter().flatten().max();
        let health = &*self.health.status;
        let message = format!("{}, {}", or_unknown(&self.sync.status), or_unknown(health));
        let told = |reason, revisions| Told {
            reason,
            message: message.clone(),
            severity: Severity::Info,
            is_healthy: false,
            revisions,
            timestamp: latest,
        };
        let synced = Some(&self.sync.revisions);
        match (&*self.sync.status, operation) {
            ("Synced", _) if is_running => told("Syncing", synced),
            ("Synced", _) => {
                let is_current = self.health_is_current();
                let mut told = told(or_unknown(health), synced);
                told.is_healthy = is_current && health == "Healthy";
                if is_current && health == "Degraded" {
                    told.reason = "HealthDegraded";
                    told.severity = Severity::Error;
                    if let Some(why) = self.health.message.as_ref().filter(|why| !why.is_empty()) {
                        told.message.clone_from(why);
                    }
                }
                told
            }
            (_, Some(operation)) if matches!(phase, "Failed" | "Error") => Told {
                reason: "SyncFailed",
                message: operation.message.clone().unwrap_or(message),
                severity: Severity::Error,
                is_healthy: false,
                revisions: operation.revisions(),
                timestamp: operation.finished_at.or(latest),
            },
            (_, Some(operation)) if is_running => told("Syncing", operation.revisions()),
            ("OutOfSync", _) => told("OutOfSync", synced),
            _ => told("SyncUnknown", synced),
        }
    }

    /// Whether health was looked at after the last operation had ended. What stands there before is that
    /// of the former revision. Times have whole seconds, so it must be a later one.
    fn health_is_current(&self) -> bool {
        let Some(operation) = &self.operation_state else { return true };
        let Some(finished) = operation.finished_at else { return false };
        let after = |time: Option<DateTime<Utc>>| time.is_some_and(|time| time > finished);
        after(self.reconciled_at) || after(self.health.last_transition_time)
    }
}

fn or_unknown(word: &str) -> &str {
    if word.is_empty() { "Unknown" } else { word }
}
