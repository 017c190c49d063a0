//! The dashboard: pages for people, which work without a script and stay up to date with one.
//!
//! Everything on them is escaped by the templates: what stands in an event is written by whoever writes
//! a cluster's manifests.

use askama::Template;
use axum::{
    Extension,
    body::Body,
    extract::{Path, RawQuery, State, rejection::PathRejection},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use chrono::{DateTime, SecondsFormat, Utc};
use gitops_brain::{
    Brain, EnvironmentName, EventSummary, Outcome, Query, ReconcilerFilter, ReconcilerReport,
    ReconcilerStatus, Revision, RolloutFilter, State as RolloutState, Status, Verdict,
};

use crate::{
    auth::Caller,
    config::Scope,
    driver,
    measures::{Measures, Recent},
    peer::Peer,
    problem::{Code, Problem},
    reconcilers::visible,
    request::{self, Parameters},
    rollouts::known_environment,
    service::{Inner, Service},
    session,
};

/// How many rollouts of each environment the first page shows.
const ROLLOUTS: usize = 10;

/// Nothing but our own styles, script and stream; nothing around us either.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
                      connect-src 'self'; form-action 'self'; base-uri 'none'; \
                      frame-ancestors 'none'";

/// What all pages have.
struct Frame {
    /// The path of the stream that keeps the page up to date; empty for none.
    stream: String,
    /// How old what is shown is, if the database does not answer.
    stale: Option<u64>,
    /// Whether somebody is logged in.
    session: bool,
}

/// A time as pages show it.
struct Time {
    iso: String,
    text: String,
    ago: String,
}

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview {
    frame: Frame,
    environments: Vec<Column>,
}

struct Column {
    name: String,
    rollouts: Vec<Rollout>,
    reconcilers: Vec<Live>,
    measures: Option<Measures>,
}

/// A rollout in a line.
struct Rollout {
    environment: String,
    commit: String,
    short: String,
    outcome: &'static str,
    mood: &'static str,
    verdict: String,
    reason: String,
    title: Option<String>,
    live: bool,
    at: Time,
}

/// What is live in a reconciler, in a line.
struct Live {
    name: String,
    short_name: String,
    state: &'static str,
    mood: &'static str,
    revision: String,
}

#[derive(Template)]
#[template(path = "rollout.html")]
struct RolloutPage {
    frame: Frame,
    rollout: Rollout,
    message: String,
    remedy: Option<String>,
    state: &'static str,
    require: &'static str,
    live: &'static str,
    registered_at: Option<Time>,
    deadline_at: Option<Time>,
    transitions: Vec<Change>,
    labels: Vec<(String, String)>,
    reconcilers: Vec<Part>,
}

/// What happened to a rollout, once.
struct Change {
    what: String,
    mood: &'static str,
    /// The reconciler, if it happened there.
    reconciler: Option<String>,
    at: Time,
}

/// Where one reconciler stands with a commit.
struct Part {
    name: String,
    state: &'static str,
    mood: &'static str,
    message: String,
    via: Option<String>,
    steps: Vec<Step>,
    event: Option<Words>,
}

/// A step on the way, and when it was made.
struct Step {
    what: &'static str,
    mood: &'static str,
    at: Option<Time>,
}

/// Flux's own words.
struct Words {
    severity: &'static str,
    reason: String,
    message: String,
    at: Time,
}

#[derive(Template)]
#[template(path = "reconciler.html")]
struct ReconcilerPage {
    frame: Frame,
    name: String,
    cluster: String,
    state: &'static str,
    mood: &'static str,
    revision: String,
    commit: Option<String>,
    health_checks: &'static str,
    heard_at: Option<Time>,
    deleted: bool,
    removed: bool,
    event: Option<Words>,
}

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    frame: Frame,
    wrong: bool,
}

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage {
    frame: Frame,
    title: String,
    detail: String,
}

/// `GET /`
pub(crate) async fn overview(
    State(Service(inner)): State<Service>,
    headers: HeaderMap,
) -> Response {
    let caller = match reader(&inner, &headers) {
        Ok(caller) => caller,
        Err(response) => return response,
    };
    let frame = frame(&inner, &headers, "/v1/stream");
    let now = driver::now();
    let environments = {
        let live = inner.live();
        let brain = &live.brain;
        let recent = Recent::of(brain, now);
        environments(brain)
            .into_iter()
            .filter(|environment| caller.sees(environment))
            .map(|environment| column(brain, &recent, environment, now))
            .collect()
    };
    page(StatusCode::OK, &Overview { frame, environments })
}

/// `GET /rollouts/{environment}/{commit}`
pub(crate) async fn rollout(
    State(Service(inner)): State<Service>,
    key: Result<Path<(String, String)>, PathRejection>,
    headers: HeaderMap,
) -> Response {
    let caller = match reader(&inner, &headers) {
        Ok(caller) => caller,
        Err(response) => return response,
    };
    let status = (|| {
        let (environment, commit) = request::path(key)?;
        let environment = known_environment(&inner, &caller, &environment)?;
        let live = inner.live();
        let commit = live.brain.resolve(&commit)?;
        let settlements: Vec<_> = live.brain.settlements(&environment, commit).collect();
        let status = live.brain.status(&Query::new(environment, commit), driver::now())?;
        Ok::<_, Problem>((status, settlements))
    })();
    let (status, settlements) = match status {
        Ok(found) => found,
        Err(problem) => return problem_page(&inner, &headers, &problem),
    };
    let stream = format!("/v1/stream?environment={}&commit={}", status.environment, status.commit);
    let frame = frame(&inner, &headers, &stream);
    let now = driver::now();
    page(
        StatusCode::OK,
        &RolloutPage {
            frame,
            message: status.message.clone(),
            remedy: status.remedy.clone(),
            state: status.state.as_str(),
            require: match status.require {
                gitops_brain::Require::Applied => "applied",
                gitops_brain::Require::Healthy => "healthy",
            },
            live: match status.live {
                Some(true) => "yes, everywhere",
                Some(false) => "no",
                None => "not known",
            },
            registered_at: status.registered_at.map(|at| time(at, now)),
            deadline_at: status.deadline_at.map(|at| time(at, now)),
            transitions: transitions(&status, settlements, now),
            labels: status.labels.clone().into_iter().collect(),
            reconcilers: status.reconcilers.iter().map(|each| part(each, now)).collect(),
            rollout: line(status, now),
        },
    )
}

/// `GET /reconcilers/{cluster}/{kind}/{namespace}/{name}`
pub(crate) async fn reconciler(
    State(Service(inner)): State<Service>,
    name: Result<Path<(String, String, String, String)>, PathRejection>,
    headers: HeaderMap,
) -> Response {
    let caller = match reader(&inner, &headers) {
        Ok(caller) => caller,
        Err(response) => return response,
    };
    let found = request::path(name).and_then(|(cluster, kind, namespace, name)| {
        let name = format!("{cluster}/{kind}/{namespace}/{name}");
        let reports = visible(&inner, &caller, None, None);
        reports.into_iter().find(|report| report.reconciler.as_str() == name).ok_or_else(|| {
            Problem::new(
                StatusCode::NOT_FOUND,
                "reconciler.unknown",
                "no reconciler of this name has reported",
            )
        })
    });
    let report = match found {
        Ok(report) => report,
        Err(problem) => return problem_page(&inner, &headers, &problem),
    };
    let frame = frame(&inner, &headers, "/v1/stream");
    let now = driver::now();
    let (state, mood) = standing(report.state, report.head.is_some());
    page(
        StatusCode::OK,
        &ReconcilerPage {
            frame,
            name: report.reconciler.to_string(),
            cluster: report.reconciler.cluster().to_owned(),
            state,
            mood,
            revision: report.head.clone().unwrap_or_else(|| "none yet".to_owned()),
            commit: report.commit.map(|commit| commit.to_string()),
            health_checks: match report.health_checks.verdict {
                Verdict::Checks => "it waits for the health of what it applies",
                Verdict::DoesNotCheck => "it does not wait for health: set `wait: true`",
                Verdict::Unknown => "not known yet whether it waits for health",
            },
            heard_at: report.last_heard_at.map(|at| time(at, now)),
            deleted: report.deleted,
            removed: report.removed,
            event: report.event.as_ref().map(|event| flux(event, now)),
        },
    )
}

/// `GET /login`
pub(crate) async fn login_form(
    State(Service(inner)): State<Service>,
    headers: HeaderMap,
) -> Response {
    login_page(&inner, &headers, StatusCode::OK, false)
}

/// `POST /login`: the token becomes a cookie, if somebody has it and may read.
pub(crate) async fn login(
    State(Service(inner)): State<Service>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let body = match request::body(body).await {
        Ok(body) => body,
        Err(problem) => return problem_page(&inner, &headers, &problem),
    };
    let text = String::from_utf8_lossy(&body);
    let fields = Parameters::parse(Some(&text), &["token"]);
    let token =
        fields.ok().and_then(|fields| fields.one("token").ok().flatten().map(str::to_owned));
    let known = token.as_deref().and_then(session::bearer).filter(|headers| {
        let caller = inner.gate().caller(headers);
        caller.and_then(|caller| caller.may(Scope::Read)).is_ok()
    });
    match (token, known) {
        (Some(token), Some(_)) => {
            session::begin(&token, peer.is_some_and(|Extension(peer)| peer.encrypted))
        }
        _ => {
            let mut response = login_page(&inner, &headers, StatusCode::UNAUTHORIZED, true);
            response.extensions_mut().insert(Code("token.unknown"));
            response
        }
    }
}

/// `POST /logout`
pub(crate) async fn logout() -> Response {
    session::end()
}

/// A file that pages use.
pub(crate) async fn asset(
    path: Result<Path<String>, PathRejection>,
    RawQuery(_): RawQuery,
) -> Response {
    let (kind, text) = match path.as_ref().map(|Path(path)| path.as_str()) {
        Ok("style.css") => ("text/css; charset=utf-8", include_str!("../assets/style.css")),
        Ok("live.js") => ("text/javascript; charset=utf-8", include_str!("../assets/live.js")),
        Ok("icon.svg") => ("image/svg+xml", include_str!("../assets/icon.svg")),
        _ => {
            return Problem::new(StatusCode::NOT_FOUND, "route.unknown", "there is no such file")
                .into_response();
        }
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        // A new release may bring another one under the same name.
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (headers, text).into_response()
}

/// Who reads: or the way to log in.
#[expect(clippy::result_large_err, reason = "it is answered at once")]
fn reader(inner: &Inner, headers: &HeaderMap) -> Result<Caller, Response> {
    let caller = inner.gate().caller(&session::with_token(headers));
    match caller.and_then(|caller| caller.may(Scope::Read).map(|()| caller)) {
        Ok(caller) => Ok(caller),
        Err(_) => Err(login_page(inner, headers, StatusCode::UNAUTHORIZED, false)),
    }
}

fn frame(inner: &Inner, headers: &HeaderMap, stream: &str) -> Frame {
    let age = inner.age().as_secs();
    Frame {
        stream: stream.to_owned(),
        stale: (age >= 3).then_some(age),
        session: session::is_there(headers),
    }
}

fn login_page(inner: &Inner, headers: &HeaderMap, status: StatusCode, wrong: bool) -> Response {
    // Whoever has to log in is not logged in, whatever their cookie says.
    let frame = Frame { session: false, ..frame(inner, headers, "") };
    page(status, &LoginPage { frame, wrong })
}

fn problem_page(inner: &Inner, headers: &HeaderMap, problem: &Problem) -> Response {
    let frame = frame(inner, headers, "");
    let title = problem.status().canonical_reason().unwrap_or_default().to_owned();
    let detail = problem.detail().to_owned();
    page(problem.status(), &ProblemPage { frame, title, detail })
}

fn page(status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => {
            let headers = [
                (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
                (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
                (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
                (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
            ];
            (status, headers, html).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "a page cannot be written");
            Problem::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "page.failed",
                "the page cannot be written",
            )
            .into_response()
        }
    }
}

/// The environments that are declared, or else those in which something was registered and the clusters.
fn environments(brain: &Brain) -> Vec<EnvironmentName> {
    let declared: Vec<_> = brain.policy().environments.keys().cloned().collect();
    if !declared.is_empty() {
        return declared;
    }
    let now = driver::now();
    let registered = brain.rollouts(&RolloutFilter::default(), now);
    let clusters = brain.clusters().into_iter().filter_map(|report| report.cluster.parse().ok());
    let mut all: Vec<_> =
        registered.into_iter().map(|status| status.environment).chain(clusters).collect();
    all.sort();
    all.dedup();
    all
}

fn column(
    brain: &Brain,
    recent: &Recent,
    environment: EnvironmentName,
    now: DateTime<Utc>,
) -> Column {
    let mut filter = RolloutFilter::default();
    filter.environment = Some(environment.clone());
    filter.limit = Some(ROLLOUTS);
    let rollouts = brain.rollouts(&filter, now).into_iter().map(|status| line(status, now));
    let reconcilers =
        brain.reconcilers(&ReconcilerFilter::default().environment(environment.clone()));
    Column {
        name: environment.to_string(),
        rollouts: rollouts.collect(),
        reconcilers: reconcilers.iter().map(live).collect(),
        measures: recent.measures(&environment),
    }
}

fn line(status: Status, now: DateTime<Utc>) -> Rollout {
    let mood = match (status.outcome, status.state) {
        (Outcome::Succeeded, _) => "healthy",
        (Outcome::Failed | Outcome::TimedOut, _) => "failed",
        (Outcome::InProgress, RolloutState::Applied | RolloutState::Healthy) => "applied",
        (Outcome::InProgress, _) => "pending",
    };
    let commit = status.commit.to_string();
    let title = ["app", "version"].map(|label| status.labels.get(label).cloned());
    let title = title.into_iter().flatten().collect::<Vec<_>>().join(" ");
    Rollout {
        environment: status.environment.to_string(),
        short: commit.chars().take(10).collect(),
        commit,
        outcome: status.outcome.as_str(),
        mood,
        verdict: words(status.outcome.as_str()),
        reason: words(status.reason.as_str()),
        title: Some(title).filter(|title| !title.is_empty()),
        live: status.live == Some(true),
        at: time(status.registered_at.unwrap_or(status.evaluated_at), now),
    }
}

fn live(report: &ReconcilerReport) -> Live {
    let (state, mood) = standing(report.state, report.head.is_some());
    let name = report.reconciler.to_string();
    let revision = report.head.as_deref().map_or_else(
        || "nothing yet".to_owned(),
        |head| {
            // A commit is known by its beginning; a branch before it says little here.
            let commit = Revision::parse(head).ok().and_then(|revision| revision.commit());
            commit.map_or_else(
                || head.to_owned(),
                |commit| commit.to_string().chars().take(10).collect(),
            )
        },
    );
    Live {
        short_name: name.split_once('/').map_or(name.clone(), |(_, rest)| rest.to_owned()),
        name,
        state,
        mood,
        revision,
    }
}

/// What happened, the first first: when it was registered, what each reconciler reached, and what was
/// recorded of how it ended.
fn transitions(
    status: &Status,
    settlements: Vec<(u32, Outcome, DateTime<Utc>)>,
    now: DateTime<Utc>,
) -> Vec<Change> {
    let registered =
        status.registered_at.map(|at| (at, 0, "registered".to_owned(), "pending", None));
    let reached = status.timeline.iter().map(|entry| {
        let state = entry.state.as_str();
        (entry.at, 1, state.to_owned(), state, Some(entry.reconciler.to_string()))
    });
    let settled = settlements.into_iter().map(|(_, outcome, at)| {
        let mood = if outcome == Outcome::Succeeded { "healthy" } else { "failed" };
        (at, 2, words(outcome.as_str()), mood, None)
    });
    let mut all: Vec<_> = registered.into_iter().chain(reached).chain(settled).collect();
    all.sort();
    all.into_iter()
        .map(|(at, _, what, mood, reconciler)| Change { what, mood, reconciler, at: time(at, now) })
        .collect()
}

fn part(status: &ReconcilerStatus, now: DateTime<Utc>) -> Part {
    let (state, mood) = standing(status.state, true);
    let steps = [
        ("seen", "pending", status.seen_at),
        ("applied", "applied", status.applied_at),
        ("healthy", "healthy", status.healthy_at),
        ("failed", "failed", status.failed_at),
    ];
    let steps = steps.into_iter().filter(|(what, _, at)| *what != "failed" || at.is_some());
    Part {
        name: status.reconciler.to_string(),
        state,
        mood,
        message: status.message.clone(),
        via: status.via.map(|commit| commit.to_string()),
        steps: steps
            .map(|(what, mood, at)| Step {
                what,
                mood: if at.is_some() { mood } else { "pending" },
                at: at.map(|at| time(at, now)),
            })
            .collect(),
        event: status.event.as_ref().map(|event| flux(event, now)),
    }
}

fn flux(event: &EventSummary, now: DateTime<Utc>) -> Words {
    Words {
        severity: event.severity.as_str(),
        reason: event.reason.clone(),
        message: event.message.clone(),
        at: time(event.at, now),
    }
}

fn standing(state: RolloutState, heard: bool) -> (&'static str, &'static str) {
    if heard { (state.as_str(), state.as_str()) } else { ("unknown", "pending") }
}

fn time(at: DateTime<Utc>, now: DateTime<Utc>) -> Time {
    let seconds = now.signed_duration_since(at).num_seconds();
    let ago = match seconds {
        ..0 => "soon".to_owned(),
        0..60 => format!("{seconds} s ago"),
        60..3_600 => format!("{} min ago", seconds / 60),
        3_600..172_800 => format!("{} h ago", seconds / 3_600),
        _ => format!("{} days ago", seconds / 86_400),
    };
    Time {
        iso: at.to_rfc3339_opts(SecondsFormat::Secs, true),
        text: at.format("%Y-%m-%d %H:%M:%S UTC").to_string(),
        ago,
    }
}

/// A word of ours as people read it.
fn words(word: &str) -> String {
    word.replace('_', " ")
}

/// Whether a label is an address that may be followed.
pub(crate) fn is_link(value: &str) -> bool {
    value.starts_with("https://") || value.starts_with("http://")
}
