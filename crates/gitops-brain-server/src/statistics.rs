//! `GET /v1/stats`: how often rollouts settle, how well, and how fast.

use axum::{
    extract::{RawQuery, State},
    http::{HeaderMap, StatusCode},
    response::Response,
};
use chrono::{DateTime, TimeDelta, Utc};
use gitops_brain::{Statistics, StatisticsFilter, parse_duration};
use serde::Serialize;

use crate::{
    config::Scope,
    driver, openapi,
    problem::{Problem, json},
    request::Parameters,
    rollouts::asked_environment,
    service::Service,
};

/// The time that is counted over, unless another one is asked for.
pub(crate) const WINDOW: TimeDelta = TimeDelta::days(30);

#[derive(Serialize)]
struct Answer {
    since: DateTime<Utc>,
    until: DateTime<Utc>,
    statistics: Vec<Statistics>,
}

/// How often rollouts settle, how well, and how fast: the four measures of DORA for each app in each
/// environment.
#[utoipa::path(
    get,
    path = "/v1/stats",
    params(
        ("environment" = Option<String>, Query, description = "Of this environment"),
        ("app" = Option<String>, Query, description = "Of rollouts with this label `app`"),
        ("window" = Option<String>, Query, description = "Over this long until now, as `720h`; by default 30 days"),
    ),
    responses(
        (status = 200, body = openapi::StatisticsAnswer, description = "What was counted"),
        openapi::Asking,
    )
)]
pub(crate) async fn get(
    State(Service(inner)): State<Service>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let caller = inner.gate().caller(&headers)?;
    caller.may(Scope::Read)?;
    let parameters = Parameters::parse(query.as_deref(), &["environment", "app", "window"])?;
    let environment = asked_environment(&inner, &caller, &parameters)?;
    let window = parameters.parsed("window", parse_duration)?;
    let window = match window {
        Some(window) => {
            TimeDelta::from_std(window).ok().filter(|window| *window <= inner.retention)
        }
        None => Some(WINDOW.min(inner.retention)),
    };
    let until = driver::now();
    let since = window
        .filter(|window| !window.is_zero())
        .and_then(|window| until.checked_sub_signed(window));
    let Some(since) = since else {
        return Err(Problem::bad_request(
            "query.malformed",
            format!(
                "`window` is more than nothing, and at most the retention of {} h",
                inner.retention.num_hours()
            ),
        ));
    };
    let mut filter = StatisticsFilter::new(since, until);
    filter.environment = environment;
    filter.app = parameters.one("app")?.map(str::to_owned);
    let mut statistics = inner.live().brain.statistics(&filter);
    statistics.retain(|each| caller.sees(&each.environment));
    Ok(json(StatusCode::OK, &Answer { since, until, statistics }))
}
