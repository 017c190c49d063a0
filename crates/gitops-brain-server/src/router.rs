//! Which request goes where.

use std::time::Duration;

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::{get, post, put},
};

use crate::{
    ancestry, badge, events, health, metrics, pages, problem::Problem, push, reconcilers, rollouts,
    service::Service, stream,
};

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
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let mut response = next.run(request).await;
    tracing::debug!(%method, ?path, status = response.status().as_u16(), "answered");
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
    response
}
