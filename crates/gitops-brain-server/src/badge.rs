//! `GET /badge/{environment}.svg`: what is live in an environment, as a picture.
//!
//! A badge says of one commit what a status says of it, and only of the commit that every reconciler of
//! the environment has taken up last. Of several commits at once nothing is said but that something
//! failed: what was proved of each at its own place adds up to no proof of the whole.

mod drawing;

use std::collections::BTreeSet;

use axum::{
    extract::{Path, RawQuery, State, rejection::PathRejection},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use chrono::{DateTime, Utc};
use gitops_brain::{
    Brain, CommitId, EnvironmentName, Outcome, Query, QueryError, ReconcilerFilter,
    ReconcilerStatus, State as Reached, Status,
};
use sha2::{Digest as _, Sha256};

use crate::{
    badge::drawing::{Colour, draw},
    config::Scope,
    driver, openapi,
    problem::Problem,
    request::{self, Parameters},
    rollouts::known_environment,
    service::{Inner, Service},
};

/// What is live in an environment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Live {
    /// No reconciler has reported a commit.
    Unknown,
    /// The reconcilers are at different commits.
    Mixed {
        /// Whether one of them failed.
        failed: bool,
    },
    /// All are at one commit.
    Commit(Reached, CommitId),
}

/// What is live in an environment, as a picture.
#[utoipa::path(
    get,
    path = "/badge/{file}",
    params(("file" = String, Path, description = "The environment, and `.svg`")),
    responses(
        (status = 200, content_type = "image/svg+xml", body = String, description = "A badge"),
        (status = 304, description = "It is the one that is known"),
        openapi::Asking,
    )
)]
pub(crate) async fn get(
    State(Service(inner)): State<Service>,
    file: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let file = request::path(file)?;
    let name = file
        .strip_suffix(".svg")
        .ok_or_else(|| Problem::no_route("a badge is at `/badge/ENVIRONMENT.svg`"))?;
    let environment = asked_for(&inner, name, &headers)?;
    Parameters::parse(query.as_deref(), &[])?;
    let live = Live::of(&inner.live().brain, &environment, driver::now())?;
    let picture = draw(environment.as_str(), &live.words(), live.colour());
    Ok(answer(picture, &headers))
}

/// The environment that is asked for, by somebody who may. Who needs no token is not told which
/// environments there are.
fn asked_for(inner: &Inner, name: &str, headers: &HeaderMap) -> Result<EnvironmentName, Problem> {
    let gate = inner.gate();
    if !gate.shows_badges() {
        let caller = gate.caller(headers)?;
        caller.may(Scope::Read)?;
        return known_environment(inner, &caller, name);
    }
    let name = EnvironmentName::new(name)?;
    if inner.live().brain.policy().knows(&name) {
        return Ok(name);
    }
    let detail = format!("environment {name} is not declared");
    Err(Problem::new(StatusCode::NOT_FOUND, "environment.unknown", detail))
}

impl Live {
    fn of(
        brain: &Brain,
        environment: &EnvironmentName,
        now: DateTime<Utc>,
    ) -> Result<Self, QueryError> {
        let mut filter = ReconcilerFilter::default();
        filter.environment = Some(environment.clone());
        let mut reports = brain.reconcilers(&filter);
        reports.retain(|report| report.commit.is_some() && !report.deleted && !report.removed);
        let commits: BTreeSet<_> = reports.iter().filter_map(|report| report.commit).collect();
        let mut commits = commits.into_iter();
        match (commits.next(), commits.next()) {
            (None, _) => Ok(Self::Unknown),
            (Some(commit), None) => {
                let status = brain.status(&Query::new(environment.clone(), commit), now)?;
                Ok(Self::Commit(state(&status), commit))
            }
            (Some(_), Some(_)) => {
                let failed = reports.iter().any(|report| report.state == Reached::Failed);
                Ok(Self::Mixed { failed })
            }
        }
    }

    fn words(self) -> String {
        match self {
            Self::Unknown => "unknown".to_owned(),
            Self::Mixed { failed: false } => "mixed".to_owned(),
            Self::Mixed { failed: true } => "failed mixed".to_owned(),
            Self::Commit(state, commit) => format!("{state} {commit:.7}"),
        }
    }

    fn colour(self) -> Colour {
        match self {
            Self::Unknown | Self::Mixed { failed: false } => Colour::Grey,
            Self::Mixed { failed: true } => Colour::Red,
            Self::Commit(Reached::Pending, _) => Colour::Grey,
            Self::Commit(Reached::Applied, _) => Colour::Blue,
            Self::Commit(Reached::Healthy, _) => Colour::Green,
            Self::Commit(Reached::Failed, _) => Colour::Red,
        }
    }
}

/// How far a commit has come that all reconcilers have taken up.
fn state(status: &Status) -> Reached {
    let states = || status.reconcilers.iter().map(own_state);
    if states().any(|state| state == Reached::Failed) {
        return Reached::Failed;
    }
    match states().min().unwrap_or_default() {
        // Not all that is expected may be known yet: only then is what is healthy no success.
        Reached::Healthy if status.outcome != Outcome::Succeeded => Reached::Pending,
        least => least,
    }
}

/// How far it has come by itself. A status is content with a later commit which was there before a
/// rollback; what is live now is another question.
fn own_state(reconciler: &ReconcilerStatus) -> Reached {
    if reconciler.via.is_some() { Reached::Pending } else { reconciler.state }
}

/// The picture, or that it is still the one that was sent before.
fn answer(picture: String, headers: &HeaderMap) -> Response {
    let digest = Sha256::digest(&picture);
    let digits: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let tag = format!("\"{digits}\"");
    let mut response = if is_known(&tag, headers) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let headers = [
            (header::CONTENT_TYPE, "image/svg+xml"),
            (header::CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'"),
        ];
        (headers, picture).into_response()
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // Hexadecimal digits in quotes are always a header's value.
    if let Ok(tag) = HeaderValue::try_from(tag) {
        headers.insert(header::ETAG, tag);
    }
    response
}

/// Whether who asks has the picture of a tag. A proxy that packs it makes the tag a weak one.
fn is_known(tag: &str, headers: &HeaderMap) -> bool {
    headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
}
