//! `/healthz` and `/readyz`: for whatever watches over the server.

use axum::{extract::State, http::StatusCode, response::Response};
use serde::Serialize;

use crate::{
    openapi,
    problem::{Problem, json},
    service::Service,
};

#[derive(Serialize)]
struct Healthy {
    status: &'static str,
}

#[derive(Serialize)]
struct Ready<'a> {
    status: &'static str,
    /// Whether the last facts could be stored. Requests that store something are refused while they
    /// cannot, and each tries again: so this does not make the server unready, or nothing would.
    store: &'static str,
    /// The journal position up to which the brain knows.
    position: u64,
    /// How long ago a shared journal was last read to its end.
    age_seconds: u64,
    /// How many facts were read at the start.
    facts_loaded: u64,
    policy: &'a str,
    waiters: usize,
}

/// The process is alive.
#[utoipa::path(
    get,
    path = "/healthz",
    security(()),
    responses((status = 200, body = openapi::Alive, description = "It is"))
)]
pub(crate) async fn healthz() -> Response {
    json(StatusCode::OK, &Healthy { status: "ok" })
}

/// The server answers questions from the whole journal.
#[utoipa::path(
    get,
    path = "/readyz",
    security(()),
    responses((status = 200, body = openapi::Ready, description = "It does"), openapi::Looking)
)]
pub(crate) async fn readyz(State(Service(inner)): State<Service>) -> Result<Response, Problem> {
    let store = if inner.does_store_work() { "ok" } else { "failing" };
    let (position, waiters, stopping) = {
        let live = inner.live();
        (live.position, live.waiters.len(), live.stopping)
    };
    if stopping {
        return Err(Problem::unavailable("server.stopping", "the server is stopping"));
    }
    if inner.is_outdated() {
        // It answers from what it knows, but nobody should be sent here.
        let detail =
            "a newer release writes to the journal, and this one cannot read that: upgrade";
        return Err(Problem::unavailable("store.newer", detail));
    }
    let ready = Ready {
        status: "ready",
        store,
        position,
        age_seconds: inner.age().as_secs(),
        facts_loaded: inner.loaded,
        policy: &inner.policy,
        waiters,
    };
    Ok(json(StatusCode::OK, &ready))
}
