//! `POST /v1/events/{cluster}`: what Flux has to say.

use axum::{
    Extension,
    body::Body,
    extract::{Path, State, rejection::PathRejection},
    http::{HeaderMap, StatusCode},
    response::Response,
};
use gitops_brain::{Changed, Fact, FactBody, Ingested, observe};
use serde::Serialize;

use crate::{
    driver,
    live::Live,
    openapi,
    peer::Peer,
    problem::{Problem, json},
    request,
    service::{Inner, Service},
};

#[derive(Serialize)]
struct Taken {
    result: &'static str,
    code: Option<&'static str>,
}

/// Takes an event of Flux.
///
/// Verifies, parses, stores, applies, and only then answers: an event that was answered is not lost.
#[utoipa::path(
    post,
    path = "/v1/events/{cluster}",
    params(("cluster" = String, Path, description = "The cluster that it is of")),
    request_body = openapi::FluxEvent,
    security(("signature" = []), ("cluster" = [])),
    responses(
        (status = 202, body = openapi::EventTaken, description = "It is stored"),
        (status = 200, body = openapi::EventTaken, description = "It changes nothing"),
        openapi::Sending,
    )
)]
pub(crate) async fn post(
    State(Service(inner)): State<Service>,
    cluster: Result<Path<String>, PathRejection>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let cluster = request::path(cluster)?;
    let peer = peer.map(|Extension(peer)| peer);
    let taken = take(&inner, &cluster, peer.as_ref(), &headers, body).await;
    if let Err(problem) = &taken {
        // Who is not let in is logged with all others who are not.
        if problem.status() != StatusCode::UNAUTHORIZED {
            // The name is what the sender wrote: quoted, it cannot forge a line.
            let cluster: String = cluster.chars().take(80).collect();
            tracing::warn!(?cluster, code = problem.code(), "event refused");
        }
        inner.metrics.rejected(problem.code());
        if let Some(cluster) = inner.gate().cluster(&cluster) {
            inner.senders.refused(cluster, problem.code(), driver::now());
        }
    }
    taken
}

async fn take(
    inner: &Inner,
    cluster: &str,
    peer: Option<&Peer>,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let body = request::body(body).await?;
    let cluster = inner.gate().admit(cluster, peer, headers, &body)?;
    let fact = match observe(&cluster, &body, driver::now())? {
        Ingested::Fact(fact) => *fact,
        Ingested::Ignored(why) => {
            inner.metrics.event(cluster.as_str(), "ignored");
            return Ok(answer(StatusCode::OK, "ignored", Some(why.code())));
        }
        _ => return Ok(answer(StatusCode::OK, "ignored", None)),
    };
    if let FactBody::Observed(observation) = &fact.body {
        inner.senders.heard(&cluster, observation.timestamp, fact.at);
    }
    refuse_old(inner, &fact)?;
    let mut before = None;
    let appended = match inner.submit_chosen(|live| news(live, fact, &mut before)).await {
        Ok(appended) => appended,
        Err(problem) => {
            // The event is the sender's to send again; a heartbeat before it is ours to keep.
            inner.live().keep_heartbeats(before);
            return Err(problem);
        }
    };
    let (status, result) = match appended.last() {
        Some(appended) if appended.new => (StatusCode::ACCEPTED, "accepted"),
        _ => (StatusCode::OK, "known"),
    };
    inner.metrics.event(cluster.as_str(), result);
    Ok(answer(status, result, None))
}

/// Refuses what was recorded long ago and is sent again: all that it could be compared with may be
/// forgotten by now. Flux gives up after seconds.
fn refuse_old(inner: &Inner, fact: &Fact) -> Result<(), Problem> {
    let FactBody::Observed(observation) = &fact.body else { return Ok(()) };
    if fact.at.signed_duration_since(observation.timestamp) <= inner.retention {
        return Ok(());
    }
    Err(Problem::bad_request(
        "event.too_old",
        format!(
            "the event is of {}, longer ago than what is kept: check the cluster's clock",
            observation.timestamp.format("%Y-%m-%dT%H:%M:%SZ")
        ),
    ))
}

/// What has to be stored of an event: nothing of one that only says that its reconciler is still
/// there. That is applied at once and stored with others of its kind.
fn news(live: &mut Live, fact: Fact, before: &mut Option<Fact>) -> Vec<Fact> {
    let FactBody::Observed(observation) = &fact.body else { return vec![fact] };
    // What is on its way may change what this one says: then it is stored as well.
    if live.is_quiet(&fact) && live.brain.preview(&fact) == Changed::LastHeard {
        live.brain.apply(&fact, fact.at);
        live.keep_heartbeats([fact]);
        return Vec::new();
    }
    // A heartbeat that came before and counts as later must not be missing when this one is read
    // again: they are stored together.
    *before = live.heartbeats.remove(&observation.object);
    before.iter().cloned().chain([fact]).collect()
}

fn answer(status: StatusCode, result: &'static str, code: Option<&'static str>) -> Response {
    json(status, &Taken { result, code })
}
