//! From a request to a fact, in one call.

use chrono::{DateTime, TimeDelta, Utc};

use crate::{
    application::{self, ApplicationError},
    event::{Event, ParseError, Severity},
    fact::{Fact, FactBody},
    names::{ClusterName, NameError, shorten},
    observation::{Observation, Role},
    signature::{SignatureError, Verifier},
    status::text_of,
};

/// How far the clock of a cluster may be ahead. An event from later would win every comparison until
/// that time comes.
pub const MAX_CLOCK_AHEAD: TimeDelta = TimeDelta::minutes(10);

/// What became of a request.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Ingested {
    /// A fact to store and apply.
    Fact(Box<Fact>),
    /// The event is in order, and says nothing that counts.
    Ignored(Ignored),
}

/// Why an event was ignored.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Ignored {
    /// The kind of object neither applies commits nor brings them.
    #[error("events of kind `{kind}` say nothing about rollouts")]
    Kind {
        /// The object's kind.
        kind: String,
    },
    /// Trace events are meant for Kubernetes alone.
    #[error("events of severity `trace` say nothing about rollouts")]
    Trace,
}

impl Ignored {
    /// The stable code: `event.kind_ignored` or `event.trace_ignored`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Kind { .. } => "event.kind_ignored",
            Self::Trace => "event.trace_ignored",
        }
    }
}

/// Why a body was refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ObserveError {
    /// It is not one of Flux's events.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// It is an application of Argo CD that cannot be observed.
    #[error(transparent)]
    Application(#[from] ApplicationError),
    /// Its object has a name that Kubernetes would not allow.
    #[error("`involvedObject`: {0}")]
    Object(#[from] NameError),
    /// It is dated later than it arrived, by more than clocks differ.
    #[error(
        "`timestamp` {} is more than 10 minutes after {}, when it arrived: set the cluster's clock",
        text_of(*timestamp), text_of(*at)
    )]
    FromTheFuture {
        /// The event's time.
        timestamp: DateTime<Utc>,
        /// When it arrived.
        at: DateTime<Utc>,
    },
}

impl ObserveError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Parse(error) => error.code(),
            Self::Application(error) => error.code(),
            Self::Object(_) => "event.invalid_field",
            Self::FromTheFuture { .. } => "event.from_the_future",
        }
    }
}

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum IngestError {
    /// It is not signed with one of the cluster's keys.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// What it holds cannot be observed.
    #[error(transparent)]
    Observe(#[from] ObserveError),
}

impl IngestError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Signature(error) => error.code(),
            Self::Observe(error) => error.code(),
        }
    }
}

/// Verifies a request's signature, parses its body, and takes out what counts.
///
/// `header` is the value of `X-Signature`, `body` the request's body byte for byte, and `at` the
/// receiver's clock.
///
/// # Errors
///
/// If the signature is missing or wrong, the body is not one of Flux's events, or it is dated more
/// than [`MAX_CLOCK_AHEAD`] after `at`.
///
/// ```
/// use gitops_brain::{ClusterName, Ingested, Verifier, ingest, sign};
///
/// let verifier = Verifier::new(["secret"])?;
/// let body = br#"{"involvedObject":{"kind":"Kustomization","namespace":"flux-system",
///     "name":"apps","uid":"1"},"severity":"info","timestamp":"2026-11-23T12:00:00Z",
///     "message":"Health check passed in 5s","reason":"Progressing","metadata":{
///     "revision":"main@sha1:5394cb7f48332b2de7c17dd8b8384bbc84b7e738"}}"#;
/// let signature = sign(b"secret", body)?;
/// let at = "2026-11-23T12:00:01Z".parse()?;
/// let cluster = ClusterName::new("staging")?;
/// let ingested = ingest(&verifier, &cluster, Some(signature.as_bytes()), body, at)?;
/// assert!(matches!(ingested, Ingested::Fact(_)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn ingest(
    verifier: &Verifier,
    cluster: &ClusterName,
    header: Option<&[u8]>,
    body: &[u8],
    at: DateTime<Utc>,
) -> Result<Ingested, IngestError> {
    verifier.verify(header, body)?;
    Ok(observe(cluster, body, at)?)
}

/// Parses a body whose sender the host has authenticated by other means (a bearer token, mTLS), and
/// takes out what counts.
///
/// # Errors
///
/// As [`ingest`], but for the signature.
pub fn observe(
    cluster: &ClusterName,
    body: &[u8],
    at: DateTime<Utc>,
) -> Result<Ingested, ObserveError> {
    let event = match Event::parse(body) {
        Ok(event) => event,
        // What lacks a field of Flux's events may be an application of Argo CD.
        Err(error @ ParseError::MissingField { .. }) => {
            let application = application::observe(cluster, body, at).ok_or(error)?;
            return record(application?, at);
        }
        Err(error) => return Err(error.into()),
    };
    let kind = &*event.involved_object.kind;
    if Role::of(kind).is_none_or(|role| role == Role::Application) {
        return Ok(Ingested::Ignored(Ignored::Kind { kind: shorten(kind) }));
    }
    if event.severity == Severity::Trace {
        return Ok(Ingested::Ignored(Ignored::Trace));
    }
    record(Observation::of(cluster, &event)?, at)
}

fn record(observation: Observation, at: DateTime<Utc>) -> Result<Ingested, ObserveError> {
    let timestamp = observation.timestamp;
    if timestamp.signed_duration_since(at) > MAX_CLOCK_AHEAD {
        return Err(ObserveError::FromTheFuture { timestamp, at });
    }
    Ok(Ingested::Fact(Box::new(Fact::new(at, FactBody::Observed(observation)))))
}
