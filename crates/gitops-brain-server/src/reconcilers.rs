//! `/v1/reconcilers`: what is live where, and what is gone for good.

use std::collections::BTreeMap;

use axum::{
    extract::{Path, RawQuery, State, rejection::PathRejection},
    http::{HeaderMap, StatusCode},
    response::Response,
};
use gitops_brain::{
    ClusterName, EnvironmentName, Fact, FactBody, ObjectName, ReconcilerFilter, ReconcilerReport,
};
use serde::Serialize;

use crate::{
    auth::Caller,
    config::Scope,
    driver, openapi,
    problem::{Problem, json},
    request::{self, Parameters},
    rollouts::environment_is_known,
    service::{Inner, Service},
};

#[derive(Serialize)]
struct Reconcilers {
    reconcilers: Vec<ReconcilerReport>,
}

#[derive(Serialize)]
struct Removed {
    result: &'static str,
    reconciler: ObjectName,
    /// Whether it was ever heard. If not, its name may be a typing mistake.
    known: bool,
}

/// What is live where.
#[utoipa::path(
    get,
    path = "/v1/reconcilers",
    params(
        ("environment" = Option<String>, Query, description = "Of this environment"),
        ("cluster" = Option<String>, Query, description = "Of this cluster"),
    ),
    responses(
        (status = 200, body = openapi::Reconcilers, description = "All that are known"),
        openapi::Asking,
    )
)]
pub(crate) async fn list(
    State(Service(inner)): State<Service>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let caller = inner.gate().caller(&headers)?;
    caller.may(Scope::Read)?;
    let parameters = Parameters::parse(query.as_deref(), &["environment", "cluster"])?;
    let environment = parameters.parsed("environment", EnvironmentName::new)?;
    let cluster = parameters.parsed("cluster", ClusterName::new)?;
    if let Some(environment) = &environment {
        caller.may_in(environment)?;
        environment_is_known(&inner, environment)?;
    }
    let reconcilers = visible(&inner, &caller, environment, cluster);
    Ok(json(StatusCode::OK, &Reconcilers { reconcilers }))
}

/// Takes a reconciler that is gone for good out of every expectation.
#[utoipa::path(
    delete,
    path = "/v1/reconcilers/{cluster}/{kind}/{namespace}/{name}",
    params(
        ("cluster" = String, Path, description = "Its cluster"),
        ("kind" = String, Path, description = "`Kustomization` or `HelmRelease`"),
        ("namespace" = String, Path, description = "Its namespace"),
        ("name" = String, Path, description = "Its name"),
    ),
    responses(
        (status = 200, body = openapi::Removed, description = "It is taken out, until it is heard again"),
        openapi::Storing,
    )
)]
pub(crate) async fn remove(
    State(Service(inner)): State<Service>,
    parts: Result<Path<(String, String, String, String)>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let caller = inner.gate().caller(&headers)?;
    caller.may(Scope::Admin)?;
    let (cluster, kind, namespace, name) = request::path(parts)?;
    let reconciler = ObjectName::of(&ClusterName::new(&cluster)?, &kind, &namespace, &name)?;
    let cluster = Some(ClusterName::new(&cluster)?);
    let known = visible(&inner, &caller, None, cluster)
        .iter()
        .any(|report| report.reconciler == reconciler);
    if !known && caller.environments().is_some() {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "token.environment",
            format!("{reconciler} is in none of the environments of the token `{}`", caller.name()),
        ));
    }
    let body = FactBody::Removed { reconciler: reconciler.clone() };
    inner.submit(vec![Fact::new(driver::now(), body)]).await?;
    tracing::info!(%reconciler, by = caller.name(), "removed");
    Ok(json(StatusCode::OK, &Removed { result: "removed", reconciler, known }))
}

/// The reconcilers that somebody may see: those of the environments that a token is confined to.
pub(crate) fn visible(
    inner: &Inner,
    caller: &Caller,
    environment: Option<EnvironmentName>,
    cluster: Option<ClusterName>,
) -> Vec<ReconcilerReport> {
    let environments: Vec<_> = match (environment, caller.environments()) {
        (None, Some(allowed)) => allowed.iter().cloned().map(Some).collect(),
        (environment, _) => vec![environment],
    };
    let live = inner.live();
    let mut found = BTreeMap::new();
    for environment in environments {
        let mut filter = ReconcilerFilter::default();
        filter.environment = environment;
        filter.cluster.clone_from(&cluster);
        for report in live.brain.reconcilers(&filter) {
            found.entry(report.reconciler.clone()).or_insert(report);
        }
    }
    found.into_values().collect()
}
