//! `/v1/rollouts` and `/v1/commits`: registering, asking, waiting, looking back.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use axum::{
    body::Body,
    extract::{Path, RawQuery, State, rejection::PathRejection},
    http::{HeaderMap, StatusCode},
    response::Response,
};
use chrono::DateTime;
use gitops_brain::{
    Ancestry, CommitId, EnvironmentName, Fact, FactBody, Outcome, Parents, Position, Query,
    Registration, Require, RolloutFilter, Selector, Status, parse_duration,
};
use serde::{Deserialize, Serialize};

use crate::{
    ancestry,
    auth::Caller,
    config::Scope,
    driver,
    limits::{
        MAX_ASKED, MAX_EXPECTED, MAX_LABEL_NAME_BYTES, MAX_LABEL_VALUE_BYTES, MAX_LABELS, MAX_PAGE,
        PAGE,
    },
    live::{position_of, version_of},
    openapi,
    problem::{Problem, json},
    request::{self, Parameters},
    service::{Inner, Service},
    wait,
};

type Key = Result<Path<(String, String)>, PathRejection>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
struct Wanted {
    expect: Vec<Selector>,
    timeout: Option<String>,
    labels: BTreeMap<String, String>,
    objects: Vec<String>,
    ancestry: Vec<Parents>,
}

#[derive(Serialize)]
struct Rollouts {
    rollouts: Vec<Status>,
    next: Option<String>,
}

#[derive(Serialize)]
struct Commit {
    commit: CommitId,
    statuses: Vec<Status>,
}

/// Registers a commit: CI wants to know about it.
#[utoipa::path(
    put,
    path = "/v1/rollouts/{environment}/{commit}",
    params(
        ("environment" = String, Path, description = "The environment", pattern = "^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$"),
        ("commit" = String, Path, description = "The commit's whole id", pattern = "^([0-9a-fA-F]{40}|[0-9a-fA-F]{64})$"),
    ),
    request_body(content = openapi::Registration, description = "All of it may be left out"),
    responses(
        (status = 201, body = openapi::Status, description = "It is registered"),
        (status = 200, body = openapi::Status, description = "It was registered before, and is again"),
        openapi::Storing,
    )
)]
pub(crate) async fn put(
    State(Service(inner)): State<Service>,
    key: Key,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let caller = inner.gate().caller(&headers)?;
    caller.may(Scope::Write)?;
    let (environment, commit) = request::path(key)?;
    let environment = known_environment(&inner, &caller, &environment)?;
    let commit: CommitId = commit.parse()?;
    let wanted: Wanted = request::json(&request::body(body).await?)?;
    caller.may_name(inner.live().brain.policy(), &environment, wanted.expect.iter())?;
    let ancestry = wanted.ancestry(&caller)?;
    let query = Query::new(environment.clone(), commit);
    let (registration, known) = {
        let live = inner.live();
        let known = live.brain.status(&query, driver::now())?.registered;
        (Registration::new(environment, commit, &live.brain.policy().of(&query.environment)), known)
    };
    let registration = wanted.register(registration)?;
    let now = driver::now();
    let mut facts = Vec::with_capacity(2);
    if !ancestry.is_empty() {
        facts.push(Fact::new(now, FactBody::Ancestry(ancestry)));
    }
    facts.push(Fact::new(now, FactBody::Registered(registration)));
    inner.submit(facts).await?;
    tracing::info!(
        environment = %query.environment, %commit, by = caller.name(), again = known, "registered"
    );
    let status = inner.live().look(&query, driver::now())?;
    Ok(status.into_response(if known { StatusCode::OK } else { StatusCode::CREATED }))
}

impl Wanted {
    fn ancestry(&self, caller: &Caller) -> Result<Ancestry, Problem> {
        let mut ancestry = ancestry::proved(&self.objects)?;
        if !self.ancestry.is_empty() {
            let claimed = ancestry::claimed(caller, self.ancestry.clone())?;
            ancestry.parents.extend(claimed.parents);
        }
        Ok(ancestry)
    }

    /// Adds what is wanted to what is declared.
    fn register(self, declared: Registration) -> Result<Registration, Problem> {
        if self.expect.len() > MAX_EXPECTED {
            return Err(Problem::limit(format!(
                "`expect` has more than {MAX_EXPECTED} reconcilers"
            )));
        }
        let mut registration = declared.expect(self.expect);
        if let Some(timeout) = self.timeout {
            let timeout =
                parse_duration(&timeout).map_err(|error| Problem::from(error).at("`timeout`"))?;
            if timeout.is_zero() {
                let detail = "`timeout`: a rollout needs some time";
                return Err(Problem::bad_request("duration.malformed", detail));
            }
            registration = registration.timeout(timeout);
        }
        if self.labels.len() > MAX_LABELS {
            return Err(Problem::limit(format!("there are more than {MAX_LABELS} labels")));
        }
        for (name, value) in self.labels {
            label(&name, &value)?;
            registration = registration.label(name, value);
        }
        Ok(registration)
    }
}

/// Labels are shown in terminals and logs of CI: nothing in them may pass for anything else.
fn label(name: &str, value: &str) -> Result<(), Problem> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'/');
    if name.is_empty() || name.len() > MAX_LABEL_NAME_BYTES || !name.bytes().all(plain) {
        return Err(Problem::bad_request(
            "label.malformed",
            format!(
                "`{}` cannot be a label's name: use up to {MAX_LABEL_NAME_BYTES} letters, digits, \
                 `.`, `_`, `-` and `/`",
                name.escape_debug().take(80).collect::<String>()
            ),
        ));
    }
    if value.len() > MAX_LABEL_VALUE_BYTES || value.chars().any(char::is_control) {
        return Err(Problem::bad_request(
            "label.malformed",
            format!(
                "the label `{name}` must have at most {MAX_LABEL_VALUE_BYTES} bytes, and no control \
                 characters"
            ),
        ));
    }
    Ok(())
}

/// Where a rollout stands.
#[utoipa::path(
    get,
    path = "/v1/rollouts/{environment}/{commit}",
    params(
        ("environment" = String, Path, description = "The environment", pattern = "^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$"),
        ("commit" = String, Path, description = "The commit's id, or a beginning of it that is no other's", pattern = "^[0-9a-fA-F]{7,64}$"),
        ("wait" = Option<String>, Query, description = "For how long to wait until it is settled, or differs from `since`: as `50s`, 5 min at most"),
        ("since" = Option<String>, Query, description = "The `version` that is known already"),
        ("for" = Option<openapi::Require>, Query, description = "What success means to whoever asks"),
        ("reconciler" = Option<Vec<String>>, Query, description = "These reconcilers instead of all that are expected", max_items = 100),
        ("failure_grace" = Option<String>, Query, description = "How long a failure must last before it counts: as `30s`"),
    ),
    responses(
        (status = 200, body = openapi::Status, description = "Where it stands"),
        openapi::Waiting,
    )
)]
pub(crate) async fn get(
    State(Service(inner)): State<Service>,
    key: Key,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    const PARAMETERS: &[&str] = &["wait", "since", "for", "reconciler", "failure_grace"];
    let caller = inner.gate().caller(&headers)?;
    caller.may(Scope::Read)?;
    let (environment, commit) = request::path(key)?;
    let parameters = Parameters::parse(query.as_deref(), PARAMETERS)?;
    let environment = known_environment(&inner, &caller, &environment)?;
    let commit = inner.live().brain.resolve(&commit)?;
    let mut query = Query::new(environment, commit);
    if let Some(require) = parameters.parsed("for", require)? {
        query = query.require(require);
    }
    if let Some(grace) = parameters.parsed("failure_grace", parse_duration)? {
        query = query.failure_grace(grace);
    }
    if parameters.all("reconciler").count() > MAX_ASKED {
        return Err(Problem::limit(format!("there are more than {MAX_ASKED} reconcilers")));
    }
    for reconciler in parameters.all("reconciler") {
        query = query.reconciler(Selector::new(reconciler)?);
    }
    caller.may_name(inner.live().brain.policy(), &query.environment, query.reconcilers.iter())?;
    let wait = parameters.parsed("wait", parse_duration)?.unwrap_or(Duration::ZERO);
    let since = parameters.one("since")?;
    if let Some(position) = since.and_then(position_of) {
        wait::catch_up(&inner, position).await?;
    }
    let since = since.map(version_of);
    let status = wait::status(&inner, query, wait, since, caller.token()).await?;
    Ok(status.into_response(StatusCode::OK))
}

/// Where a commit stands in all environments.
#[utoipa::path(
    get,
    path = "/v1/commits/{commit}",
    params(("commit" = String, Path, description = "The commit's id, or a beginning of it that is no other's", pattern = "^[0-9a-fA-F]{7,64}$")),
    responses(
        (status = 200, body = openapi::Commit, description = "Where it stands"),
        openapi::Waiting,
    )
)]
pub(crate) async fn commit(
    State(Service(inner)): State<Service>,
    commit: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let caller = inner.gate().caller(&headers)?;
    caller.may(Scope::Read)?;
    Parameters::parse(query.as_deref(), &[])?;
    let commit = request::path(commit)?;
    let answer = {
        let live = inner.live();
        let commit = live.brain.resolve(&commit)?;
        let mut statuses = live.brain.statuses(commit, driver::now());
        statuses.retain(|status| caller.sees(&status.environment));
        for status in &mut statuses {
            live.stamp(status);
        }
        Commit { commit, statuses }
    };
    Ok(json(StatusCode::OK, &answer))
}

/// Rollouts, newest first.
#[utoipa::path(
    get,
    path = "/v1/rollouts",
    params(
        ("environment" = Option<String>, Query, description = "Of this environment"),
        ("outcome" = Option<openapi::Outcome>, Query, description = "With this outcome"),
        ("label" = Option<Vec<String>>, Query, description = "With this label: `NAME=VALUE`"),
        ("limit" = Option<u32>, Query, description = "How many", minimum = 1, maximum = 200),
        ("before" = Option<String>, Query, description = "The last page's `next`"),
    ),
    responses(
        (status = 200, body = openapi::Rollouts, description = "A page"),
        openapi::Asking,
    )
)]
pub(crate) async fn list(
    State(Service(inner)): State<Service>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    const PARAMETERS: &[&str] = &["environment", "outcome", "label", "limit", "before"];
    let caller = inner.gate().caller(&headers)?;
    caller.may(Scope::Read)?;
    let parameters = Parameters::parse(query.as_deref(), PARAMETERS)?;
    let mut filter = RolloutFilter::default();
    filter.environment = asked_environment(&inner, &caller, &parameters)?;
    filter.outcome = parameters.parsed("outcome", outcome)?;
    for text in parameters.all("label") {
        let (name, value) = text.split_once('=').ok_or_else(|| {
            Problem::bad_request("query.malformed", "`label`: write `label=NAME=VALUE`")
        })?;
        filter.labels.insert(name.to_owned(), value.to_owned());
    }
    let limit = parameters.parsed("limit", limit)?.unwrap_or(PAGE);
    filter.after = parameters.parsed("before", cursor)?;
    let answer = page(&inner, &caller, filter, limit);
    Ok(json(StatusCode::OK, &answer))
}

/// A page, and where the next one begins if there is one.
fn page(inner: &Inner, caller: &Caller, mut filter: RolloutFilter, limit: usize) -> Rollouts {
    let live = inner.live();
    let now = driver::now();
    // One more than is shown tells whether there is a next page.
    filter.limit = Some(limit + 1);
    let mut rollouts = match (&filter.environment, caller.environments()) {
        (None, Some(allowed)) => {
            let mut found: Vec<Status> = Vec::new();
            for environment in allowed {
                let mut filter = filter.clone();
                filter.environment = Some(environment.clone());
                found.extend(live.brain.rollouts(&filter, now));
            }
            found.sort_by_cached_key(|status| std::cmp::Reverse(position(status)));
            found
        }
        _ => live.brain.rollouts(&filter, now),
    };
    let more = rollouts.len() > limit;
    rollouts.truncate(limit);
    for status in &mut rollouts {
        live.stamp(status);
    }
    let next = rollouts.last().filter(|_| more).and_then(position);
    let next = next.map(|Position { registered_at, environment, commit }| {
        format!("{}.{environment}.{commit}", registered_at.timestamp_millis())
    });
    Rollouts { rollouts, next }
}

fn position(status: &Status) -> Option<Position> {
    let (environment, commit) = (status.environment.clone(), status.commit);
    Some(Position { registered_at: status.registered_at?, environment, commit })
}

fn cursor(text: &str) -> Result<Position, Problem> {
    let parse = || {
        // An environment's name may have points in it, the other two have none.
        let (registered_at, rest) = text.split_once('.')?;
        let (environment, commit) = rest.rsplit_once('.')?;
        Some(Position {
            registered_at: DateTime::from_timestamp_millis(registered_at.parse().ok()?)?,
            environment: environment.parse().ok()?,
            commit: commit.parse().ok()?,
        })
    };
    parse().ok_or_else(|| {
        Problem::bad_request("query.malformed", "pass what the last page had as `next`")
    })
}

/// An environment that may be asked about. A name that is not declared is an error before anything
/// else is: a typing mistake must not wait for ever.
pub(crate) fn known_environment(
    inner: &Inner,
    caller: &Caller,
    name: &str,
) -> Result<EnvironmentName, Problem> {
    let name = EnvironmentName::new(name)?;
    caller.may_in(&name)?;
    environment_is_known(inner, &name)?;
    Ok(name)
}

/// The environment that a query is confined to, if it is to one.
pub(crate) fn asked_environment(
    inner: &Inner,
    caller: &Caller,
    parameters: &Parameters,
) -> Result<Option<EnvironmentName>, Problem> {
    let name = parameters.one("environment")?;
    name.map(|name| known_environment(inner, caller, name)).transpose()
}

/// Refuses an environment that is not declared though others are.
pub(crate) fn environment_is_known(inner: &Inner, name: &EnvironmentName) -> Result<(), Problem> {
    let live = inner.live();
    let policy = live.brain.policy();
    if policy.knows(name) {
        return Ok(());
    }
    let known: BTreeSet<_> = policy.environments.keys().map(EnvironmentName::as_str).collect();
    let known = known.into_iter().collect::<Vec<_>>().join(", ");
    Err(gitops_brain::QueryError::EnvironmentUnknown { environment: name.clone(), known }.into())
}

fn require(text: &str) -> Result<Require, Problem> {
    match text {
        "applied" => Ok(Require::Applied),
        "healthy" => Ok(Require::Healthy),
        _ => Err(Problem::bad_request("query.malformed", "write `applied` or `healthy`")),
    }
}

fn outcome(text: &str) -> Result<Outcome, Problem> {
    let all = [Outcome::InProgress, Outcome::Succeeded, Outcome::Failed, Outcome::TimedOut];
    all.into_iter().find(|outcome| outcome.as_str() == text).ok_or_else(|| {
        let known = all.map(Outcome::as_str).join("`, `");
        Problem::bad_request("query.malformed", format!("write one of `{known}`"))
    })
}

fn limit(text: &str) -> Result<usize, Problem> {
    text.parse().ok().filter(|limit| (1..=MAX_PAGE).contains(limit)).ok_or_else(|| {
        Problem::bad_request("query.malformed", format!("write a number from 1 to {MAX_PAGE}"))
    })
}
