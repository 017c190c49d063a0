//! Which request goes where.

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::{get, post, put},
};
use tokio::time::Instant;
use tracing::Instrument as _;

use crate::{
    ancestry, badge, doctor, events,
    failures::{Failure, MAX_FAILURES, WINDOW},
    health, metrics, openapi, pages,
    peer::Peer,
    problem::{Code, Problem},
    push, reconcilers, rollouts,
    service::{Inner, Service},
    statistics, stream,
};

/// What a request is called, in the request and in its answer.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest such name that is taken from others.
const MAX_REQUEST_ID: usize = 64;

/// How much of a path is logged.
const MAX_LOGGED_PATH: usize = 200;

/// What is known is told to be old from this age on.
const STALE: Duration = Duration::from_secs(3);

/// All routes over a running brain, to be served alone or nested in a router of one's own.
pub fn router(service: Service) -> Router {
    Router::new()
        .route("/v1/events/{cluster}", post(events::post))
        .route("/v1/rollouts", get(rollouts::list))
        .route("/v1/rollouts/{environment}/{commit}", put(rollouts::put).get(rollouts::get))
        .route("/v1/commits/{commit}", get(rollouts::commit))
        .route("/v1/reconcilers", get(reconcilers::list))
        .route(
            "/v1/reconcilers/{cluster}/{kind}/{namespace}/{name}",
            axum::routing::delete(reconcilers::remove),
        )
        .route("/v1/stream", get(stream::get))
        .route("/v1/stats", get(statistics::get))
        .route("/v1/doctor", get(doctor::get))
        .route("/v1/ancestry", post(ancestry::post))
        .route("/v1/push/{host}", post(push::post))
        .route("/badge/{file}", get(badge::get))
        .route("/", get(pages::overview))
        .route("/rollouts/{environment}/{commit}", get(pages::rollout))
        .route("/reconcilers/{cluster}/{kind}/{namespace}/{name}", get(pages::reconciler))
        .route("/login", get(pages::login_form).post(pages::login))
        .route("/logout", post(pages::logout))
        .route("/assets/{file}", get(pages::asset))
        .route("/healthz", get(health::healthz))
        .route("/metrics", get(metrics::get))
        .route("/openapi.json", get(openapi::get))
        .route("/readyz", get(health::readyz))
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(middleware::from_fn_with_state(service.clone(), finish))
        .with_state(service)
}

async fn no_route() -> Response {
    Problem::no_route("there is nothing at this path").into_response()
}

async fn no_method() -> Response {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "route.method",
        "this path is not for this method: see the header `Allow`",
    )
    .into_response()
}

/// What all answers have in common. They are true for a moment only, and for whoever asked.
async fn finish(State(Service(inner)): State<Service>, request: Request, next: Next) -> Response {
    let id = request_id(request.headers());
    let span = tracing::info_span!("request", %id);
    let mut response = answer(&inner, request, next).instrument(span).await;
    let headers = response.headers_mut();
    // What was read a moment ago is as good as new: a journal is looked at each second.
    let age = inner.age();
    if age >= STALE {
        headers.insert(header::AGE, HeaderValue::from(age.as_secs()));
    }
    // A route that lets its answer be kept says so itself.
    let no_store = HeaderValue::from_static("no-store");
    headers.entry(header::CACHE_CONTROL).or_insert(no_store);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // Of letters that a header may have, as made below.
    if let Ok(id) = HeaderValue::try_from(id) {
        headers.insert(REQUEST_ID, id);
    }
    response
}

/// Answers, and counts who was not let in with a wrong key, token or secret. Who has none guesses none.
async fn answer(inner: &Inner, request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let path: String = request.uri().path().chars().take(MAX_LOGGED_PATH).collect();
    let peer = request.extensions().get::<Peer>().cloned();
    let response = next.run(request).await;
    let status = response.status();
    tracing::debug!(%method, ?path, status = status.as_u16(), "answered");
    let code = response.extensions().get::<Code>().map_or("token.missing", |Code(code)| code);
    if status != StatusCode::UNAUTHORIZED || code == "token.missing" {
        return response;
    }
    let Some(peer) = peer else {
        tracing::warn!(%method, ?path, code, "not let in");
        return response;
    };
    match inner.failures.count(peer.network(), Instant::now()) {
        Failure::Counted => {
            tracing::warn!(%method, ?path, code, from = %peer.address, "not let in");
            return response;
        }
        Failure::Last => tracing::warn!(
            %method, ?path, code, from = %peer.address,
            "not let in, and no more of it is logged for a while: {MAX_FAILURES} within {} s",
            WINDOW.as_secs()
        ),
        Failure::TooMany => {}
    }
    Problem::new(
        StatusCode::TOO_MANY_REQUESTS,
        "auth.too_many_failures",
        "too many requests from this address had a wrong key, token or secret: mend it, and try again \
         in a minute",
    )
    .into_response()
}

/// What a request is called in the log: as its sender calls it, or by a number of our own.
fn request_id(headers: &HeaderMap) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    static START: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one("start"));
    let is_plain = |id: &&str| {
        (1..=MAX_REQUEST_ID).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    let given = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok()).filter(is_plain);
    given.map_or_else(
        || format!("{:012x}-{}", *START >> 16, COUNT.fetch_add(1, Ordering::Relaxed)),
        str::to_owned,
    )
}
