//! What goes out: the core's values as JSON.

use chrono::{DateTime, Utc};
use gitops_brain::{
    ChangedObject, ClusterName, CommitId, CommitObject, Effects, Event, Fact, FactBody, Ingested,
    InvolvedObject, Observation, Proof, Revision, Severity, Transition, Verifier, WatchId,
    parse_duration,
};
use serde::Serialize;

use crate::{
    error::{Error, Family},
    to_json,
};

/// What became of a request.
#[derive(Debug)]
pub enum Taken {
    /// A fact to store and apply.
    Fact(Box<Fact>),
    /// Why the event was ignored: `code` and `message`, as JSON.
    Ignored(String),
}

impl TryFrom<Ingested> for Taken {
    type Error = Error;

    fn try_from(ingested: Ingested) -> Result<Self, Error> {
        match ingested {
            Ingested::Fact(fact) => Ok(Self::Fact(fact)),
            Ingested::Ignored(why) => {
                let why = serde_json::json!({"code": why.code(), "message": why.to_string()});
                Ok(Self::Ignored(to_json(&why)))
            }
            other => {
                let message = format!("the packages do not know what this is: {other:?}");
                Err(Error::new(Family::ParseError, "event.unknown", message))
            }
        }
    }
}

/// Verifies, parses and observes a request: the core's call, with the cluster's name as text.
///
/// # Errors
///
/// As those of the core's, and `cluster.malformed`.
pub fn ingest(
    verifier: &Verifier,
    cluster: &str,
    header: Option<&[u8]>,
    body: &[u8],
    at: DateTime<Utc>,
) -> Result<Taken, Error> {
    gitops_brain::ingest(verifier, &ClusterName::new(cluster)?, header, body, at)?.try_into()
}

/// Parses and observes a body whose sender is known: the core's call, with the cluster's name as text.
///
/// # Errors
///
/// As those of the core's, and `cluster.malformed`.
pub fn observe(cluster: &str, body: &[u8], at: DateTime<Utc>) -> Result<Taken, Error> {
    gitops_brain::observe(&ClusterName::new(cluster)?, body, at)?.try_into()
}

/// Reads what is named: an `event` (with all of its fields, the empty ones too), an `event_json` (as
/// Flux would send it), a `revision` (`pointer`, `commit`, `digest`, `version`, and its `text` as Flux's
/// RFC 0005 has it), a raw `commit_object` (`id` and `parents`), or a `duration` (in milliseconds).
///
/// # Errors
///
/// Those of the core's call; `text.malformed` if it must be UTF-8 and is not.
pub fn parse(what: &str, bytes: &[u8]) -> Result<String, Error> {
    let text = || {
        str::from_utf8(bytes).map_err(|error| {
            let message = format!("the {what} is not UTF-8 after {} bytes", error.valid_up_to());
            Error::config("text.malformed", message)
        })
    };
    Ok(match what {
        "event" => whole(&Event::parse(bytes)?),
        "event_json" => to_json(&Event::parse(bytes)?),
        "revision" => {
            let revision = Revision::parse(text()?)?;
            to_json(&serde_json::json!({
                "pointer": revision.pointer(),
                "commit": revision.commit(),
                "digest": revision.digest(),
                "version": revision.version(),
                "text": revision.to_string(),
            }))
        }
        "commit_object" => {
            let object = CommitObject::parse(bytes)?;
            to_json(&serde_json::json!({"id": object.id, "parents": object.parents}))
        }
        "duration" => {
            let duration = parse_duration(text()?)?;
            to_json(&u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
        }
        other => return Err(Error::config("text.unknown", format!("nothing is called {other}"))),
    })
}

/// An event with all of its fields, the empty ones too.
fn whole(event: &Event<'_>) -> String {
    #[derive(Serialize)]
    struct Reference<'a> {
        kind: &'a str,
        namespace: &'a str,
        name: &'a str,
        uid: &'a str,
        api_version: &'a str,
        resource_version: &'a str,
        field_path: &'a str,
    }
    #[derive(Serialize)]
    struct Whole<'a> {
        involved_object: Reference<'a>,
        related_object: Option<Reference<'a>>,
        severity: Severity,
        timestamp: DateTime<Utc>,
        message: &'a str,
        reason: &'a str,
        action: &'a str,
        metadata: std::collections::BTreeMap<&'a str, &'a str>,
        reporting_controller: &'a str,
        reporting_instance: &'a str,
    }
    fn reference<'a>(object: &'a InvolvedObject<'_>) -> Reference<'a> {
        Reference {
            kind: &object.kind,
            namespace: &object.namespace,
            name: &object.name,
            uid: &object.uid,
            api_version: &object.api_version,
            resource_version: &object.resource_version,
            field_path: &object.field_path,
        }
    }
    to_json(&Whole {
        involved_object: reference(&event.involved_object),
        related_object: event.related_object.as_ref().map(reference),
        severity: event.severity,
        timestamp: event.timestamp,
        message: &event.message,
        reason: &event.reason,
        action: &event.action,
        metadata: event.metadata.iter().collect(),
        reporting_controller: &event.reporting_controller,
        reporting_instance: &event.reporting_instance,
    })
}

/// The body of a fact, as the journal has it; an observation with all of its fields, and with what
/// follows from them.
#[must_use]
pub fn body_of(body: &FactBody) -> String {
    #[derive(Serialize)]
    struct Body<'a> {
        observed: Observed<'a>,
    }
    match body {
        FactBody::Observed(observation) => to_json(&Body { observed: observation.into() }),
        body => to_json(body),
    }
}

#[derive(Serialize)]
struct Observed<'a> {
    object: &'a str,
    uid: &'a str,
    /// Text: it has 64 bits, more than a number has in JavaScript.
    resource_version: String,
    severity: Severity,
    reason: &'a str,
    action: &'a str,
    related_object: Option<Related<'a>>,
    commit_status: bool,
    revision: Option<&'a str>,
    origin_revision: Option<&'a str>,
    commit_annotation: Option<&'a str>,
    chart_from_oci: bool,
    timestamp: DateTime<Utc>,
    health_check_passed: bool,
    created_or_configured: bool,
    only_deletions: bool,
    canceled: bool,
    changed_objects: &'a [ChangedObject],
    message: &'a str,
    proof: Option<&'static str>,
    commit: Option<CommitId>,
    revision_text: Option<&'a str>,
}

#[derive(Serialize)]
struct Related<'a> {
    object: &'a str,
    uid: &'a str,
    /// Text, as that of the observation.
    resource_version: String,
}

impl<'a> From<&'a Observation> for Observed<'a> {
    fn from(observation: &'a Observation) -> Self {
        Self {
            object: observation.object.as_str(),
            uid: &observation.uid,
            resource_version: observation.resource_version.to_string(),
            severity: observation.severity,
            reason: &observation.reason,
            action: &observation.action,
            related_object: observation.related_object.as_ref().map(|related| Related {
                object: related.object.as_str(),
                uid: &related.uid,
                resource_version: related.resource_version.to_string(),
            }),
            commit_status: observation.commit_status,
            revision: observation.revision.as_deref(),
            origin_revision: observation.origin_revision.as_deref(),
            commit_annotation: observation.commit_annotation.as_deref(),
            chart_from_oci: observation.chart_from_oci,
            timestamp: observation.timestamp,
            health_check_passed: observation.health_check_passed,
            created_or_configured: observation.created_or_configured,
            only_deletions: observation.only_deletions,
            canceled: observation.canceled,
            changed_objects: &observation.changed_objects,
            message: &observation.message,
            proof: observation.proof().map(Proof::as_str),
            commit: observation.commit(),
            revision_text: observation.revision_text(),
        }
    }
}

/// Effects, each transition with the settlement that follows from it.
#[must_use]
pub fn effects(effects: &Effects) -> String {
    #[derive(Serialize)]
    struct Told<'a> {
        #[serde(flatten)]
        transition: &'a Transition,
        settlement: Option<FactBody>,
    }
    #[derive(Serialize)]
    struct All<'a> {
        changed: &'static str,
        transitions: Vec<Told<'a>>,
        woken: Vec<u64>,
    }
    to_json(&All {
        changed: effects.changed.as_str(),
        transitions: effects
            .transitions
            .iter()
            .map(|transition| Told { transition, settlement: transition.settlement() })
            .collect(),
        woken: effects.woken.iter().copied().map(WatchId::get).collect(),
    })
}
