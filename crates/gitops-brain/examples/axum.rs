//! The brain in a web service of one's own: Flux posts its events, CI asks for a status.
//!
//! What is left out here is durable storage: append `fact.to_line()` to a journal before the answer,
//! and `load` the journal at the start. The crate `gitops-brain-journal` does that.
//!
//! ```sh
//! cargo run --example axum
//! curl http://127.0.0.1:8080/status/staging/5394cb7f48332b2de7c17dd8b8384bbc84b7e738
//! ```
#![expect(clippy::print_stderr, reason = "an example that prints")]

use std::sync::{Arc, Mutex, PoisonError};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    routing::{get, post},
};
use chrono::Utc;
use gitops_brain::{
    Brain, ClusterName, Ingested, Policy, Query, SIGNATURE_HEADER, Status, Verifier, ingest,
};

type Shared = Arc<(Verifier, Mutex<Brain>)>;
type Refusal = (StatusCode, String);

async fn event(
    State(shared): State<Shared>,
    Path(cluster): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, Refusal> {
    let refuse = |status| move |error: &dyn ToString| (status, error.to_string());
    let cluster: ClusterName =
        cluster.parse().map_err(|error| refuse(StatusCode::NOT_FOUND)(&error))?;
    let signature = headers.get(SIGNATURE_HEADER).map(|value| value.as_bytes());
    let now = Utc::now();
    let ingested = ingest(&shared.0, &cluster, signature, &body, now)
        .map_err(|error| refuse(StatusCode::BAD_REQUEST)(&error))?;
    if let Ingested::Fact(fact) = ingested {
        let mut brain = shared.1.lock().unwrap_or_else(PoisonError::into_inner);
        for transition in brain.apply(&fact, now).transitions {
            eprintln!("{} {}: {}", transition.environment, transition.commit, transition.message);
        }
    }
    Ok(StatusCode::ACCEPTED)
}

async fn status(
    State(shared): State<Shared>,
    Path((environment, commit)): Path<(String, String)>,
) -> Result<Json<Status>, Refusal> {
    let not_found = |error: &dyn ToString| (StatusCode::NOT_FOUND, error.to_string());
    let environment = environment.parse().map_err(|error| not_found(&error))?;
    let brain = shared.1.lock().unwrap_or_else(PoisonError::into_inner);
    let commit = brain.resolve(&commit).map_err(|error| not_found(&error))?;
    let status = brain.status(&Query::new(environment, commit), Utc::now());
    Ok(Json(status.map_err(|error| not_found(&error))?))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let shared: Shared =
        Arc::new((Verifier::new(["change me"])?, Mutex::new(Brain::new(Policy::default()))));
    let router = Router::new()
        .route("/events/{cluster}", post(event))
        .route("/status/{environment}/{commit}", get(status))
        .with_state(shared);
    axum::serve(tokio::net::TcpListener::bind("127.0.0.1:8080").await?, router).await?;
    Ok(())
}
