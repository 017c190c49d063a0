//! `GET /openapi.json`: the HTTP API as OpenAPI 3.1, made of what stands beside each handler.
//!
//! The types below are what is answered, as it stands in JSON. The core has its own, and knows nothing of
//! schemas: a test reads real answers as these, strictly, so that they cannot come apart.

use std::{collections::BTreeMap, sync::LazyLock};

use axum::{
    http::{HeaderValue, header},
    response::{IntoResponse as _, Response},
};
use serde::{Deserialize, Serialize};
use utoipa::{
    IntoResponses, Modify, OpenApi, ToSchema,
    openapi::{
        Content, Ref, RefOr, Response as Answer, ResponseBuilder,
        security::{
            ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
        },
    },
};

use crate::{
    ancestry, badge, doctor, events, health, metrics, push, reconcilers, rollouts, statistics,
    stream,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "gitops-brain",
        description = "Is my commit live and healthy in that environment: yes, no, or not yet, and why?"
    ),
    paths(
        events::post,
        rollouts::put,
        rollouts::get,
        rollouts::list,
        rollouts::commit,
        reconcilers::list,
        reconcilers::remove,
        stream::get,
        statistics::get,
        doctor::get,
        ancestry::post,
        push::post,
        badge::get,
        health::healthz,
        health::readyz,
        metrics::get,
        get,
    ),
    components(schemas(Problem, Claims)),
    modifiers(&Security),
)]
struct Document;

/// The document as text: it is the same for as long as the program runs.
static TEXT: LazyLock<String> = LazyLock::new(|| Document::openapi().to_json().unwrap_or_default());

/// This document.
#[utoipa::path(
    get,
    path = "/openapi.json",
    security(()),
    responses((status = 200, description = "The API as OpenAPI 3.1", content_type = "application/json"))
)]
pub(crate) async fn get() -> Response {
    let headers = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    (headers, TEXT.as_str()).into_response()
}

/// Who may ask what.
struct Security;

impl Modify for Security {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let bearer = |description: &str| {
            let scheme =
                HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(description));
            SecurityScheme::Http(scheme.build())
        };
        let header = |name: &str, description: &str| {
            SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description(name, description)))
        };
        let components = document.components.get_or_insert_default();
        for (name, scheme) in [
            (
                "token",
                bearer("A token of the configuration; none is needed where none is declared"),
            ),
            (
                "signature",
                header(
                    "X-Signature",
                    "`sha256=` and the HMAC of the body, as Flux's provider `generic-hmac` sends it",
                ),
            ),
            ("cluster", bearer("A token of the cluster, as Flux's provider `generic` sends it")),
            (
                "github",
                header(
                    "X-Hub-Signature-256",
                    "`sha256=` and the HMAC of the body by the webhook's secret",
                ),
            ),
            ("gitlab", header("X-Gitlab-Token", "The webhook's secret")),
            ("gitea", header("X-Gitea-Signature", "The HMAC of the body by the webhook's secret")),
        ] {
            components.add_security_scheme(name, scheme);
        }
        document.security = Some(vec![SecurityRequirement::new::<_, [&str; 0], &str>("token", [])]);
    }
}

/// Why a request was not answered as it hoped (RFC 9457).
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Problem {
    /// `urn:gitops-brain:problem:` and the code.
    r#type: String,
    title: String,
    status: u16,
    /// What was wrong, where, and what to do.
    detail: String,
    /// Stable, for programs.
    #[schema(pattern = r"^[a-z0-9_]+\.[a-z0-9_]+$")]
    code: String,
}

fn problems(of: &[(&str, &str)]) -> BTreeMap<String, RefOr<Answer>> {
    let response = |description: &str| {
        let content = Content::new(Some(Ref::from_schema_name("Problem")));
        ResponseBuilder::new().description(description).content("application/problem+json", content)
    };
    of.iter()
        .map(|(status, description)| {
            ((*status).to_owned(), RefOr::T(response(description).build()))
        })
        .collect()
}

const BAD: (&str, &str) = ("400", "Something in the request is not as it should be");
const UNKNOWN_CALLER: (&str, &str) = ("401", "The key, token or secret is missing or wrong");
const FORBIDDEN: (&str, &str) = ("403", "The token is not for that");
const NOT_FOUND: (&str, &str) = ("404", "There is no such environment or commit");
const SLOW: (&str, &str) = ("408", "The body did not arrive in time");
const AMBIGUOUS: (&str, &str) = ("409", "Several commits begin with that");
const TOO_LARGE: (&str, &str) = ("413", "The body is larger than 3 MiB");
const NOT_JSON: (&str, &str) = ("415", "The body is not called JSON");
const TOO_MANY: (&str, &str) = ("429", "Too many, for now: see `Retry-After`");
const UNAVAILABLE: (&str, &str) = ("503", "It cannot be stored or answered now: see `Retry-After`");

macro_rules! problems {
    ($($(#[$about:meta])* $name:ident: $($problem:expr),*;)*) => {$(
        $(#[$about])*
        pub(crate) struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Answer>> {
                problems(&[$($problem),*])
            }
        }
    )*};
}

problems! {
    /// Whoever watches over the server is refused with these.
    Watching: BAD, UNKNOWN_CALLER, FORBIDDEN, TOO_MANY;
    /// Whoever asks.
    Asking: BAD, UNKNOWN_CALLER, FORBIDDEN, NOT_FOUND, TOO_MANY;
    /// Whoever asks about a commit, and may wait for the answer.
    Waiting: BAD, UNKNOWN_CALLER, FORBIDDEN, NOT_FOUND, AMBIGUOUS, TOO_MANY, UNAVAILABLE;
    /// Whoever wants something stored.
    Storing: BAD, UNKNOWN_CALLER, FORBIDDEN, NOT_FOUND, SLOW, TOO_LARGE, NOT_JSON, TOO_MANY, UNAVAILABLE;
    /// Flux.
    Sending: BAD, UNKNOWN_CALLER, SLOW, TOO_LARGE, TOO_MANY, UNAVAILABLE;
    /// Whoever looks whether the server is ready.
    Looking: UNAVAILABLE;
}

macro_rules! schemas {
    ($($(#[$about:meta])* $name:ident { $($(#[$note:meta])* $field:ident: $type:ty,)* })*) => {$(
        $(#[$about])*
        #[derive(Debug, Deserialize, ToSchema)]
        #[serde(deny_unknown_fields)]
        #[expect(dead_code, reason = "it stands for what is written elsewhere")]
        pub(crate) struct $name { $($(#[$note])* $field: $type,)* }
    )*};
}

macro_rules! words {
    ($($(#[$about:meta])* $name:ident { $($word:ident,)* })*) => {$(
        $(#[$about])*
        #[derive(Debug, Deserialize, ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub(crate) enum $name { $($word,)* }
    )*};
}

words! {
    /// How far a commit has come.
    State { Pending, Applied, Healthy, Failed, }
    /// What CI acts on.
    Outcome { InProgress, Succeeded, Failed, TimedOut, }
    /// What success means.
    Require { Applied, Healthy, }
    /// Why it stands where it does.
    Reason {
        Waiting, NeverHeard, Blocked, Applying, CheckingHealth, Interrupted, HealthUnproved,
        NotChecked, RolledBack, Diverged, Deleted, AncestryUnknown, NoCommit, Learning, NoMatchYet, NoReconciler,
        SourceTrouble, Failed, TimedOut, Succeeded,
    }
    /// What the operator declared of a reconciler's health checks.
    HealthChecksPolicy { Enabled, Disabled, Inferred, }
    /// Whether a reconciler waits for the health of what it applies.
    Verdict { Checks, DoesNotCheck, Unknown, }
    /// An event's severity.
    Severity { Trace, Info, Error, }
    /// What became of what was sent.
    TakenResult { Accepted, Known, Ignored, }
}

schemas! {
    /// Where a rollout stands. Fields are always there, `null` where unknown.
    Status {
        environment: String,
        commit: String,
        /// Whether CI asked for it.
        registered: bool,
        /// Opaque: pass it as `since`.
        version: String,
        #[schema(format = DateTime)]
        evaluated_at: String,
        state: State,
        outcome: Outcome,
        settled: bool,
        /// Whether what runs everywhere contains the commit.
        #[schema(required)]
        live: Option<bool>,
        require: Require,
        reason: Reason,
        message: String,
        /// What somebody could do about it.
        #[schema(required)]
        remedy: Option<String>,
        #[schema(required, format = DateTime)]
        registered_at: Option<String>,
        #[schema(required, format = DateTime)]
        deadline_at: Option<String>,
        #[schema(required)]
        timeout_seconds: Option<u64>,
        #[schema(required)]
        first_settled: Option<FirstSettled>,
        labels: BTreeMap<String, String>,
        reconcilers: Vec<ReconcilerStatus>,
        timeline: Vec<TimelineEntry>,
    }
    /// What was told first.
    FirstSettled {
        outcome: Outcome,
        #[schema(format = DateTime)]
        at: String,
    }
    /// Where one reconciler stands with a commit.
    ReconcilerStatus {
        /// `cluster/Kind/namespace/name`
        reconciler: String,
        state: State,
        reason: Reason,
        message: String,
        #[schema(required)]
        live: Option<bool>,
        /// The revision that it took up last.
        #[schema(required)]
        head: Option<String>,
        /// The later commit that decides.
        #[schema(required)]
        via: Option<String>,
        health_checks: HealthChecks,
        #[schema(required, format = DateTime)]
        seen_at: Option<String>,
        #[schema(required, format = DateTime)]
        applied_at: Option<String>,
        #[schema(required, format = DateTime)]
        healthy_at: Option<String>,
        #[schema(required, format = DateTime)]
        failed_at: Option<String>,
        #[schema(required, format = DateTime)]
        last_heard_at: Option<String>,
        #[schema(required)]
        event: Option<Event>,
    }
    /// What is known of a reconciler's health checks.
    HealthChecks { policy: HealthChecksPolicy, verdict: Verdict, }
    /// An event in Flux's own words.
    Event {
        severity: Severity,
        reason: String,
        message: String,
        #[schema(format = DateTime)]
        at: String,
    }
    /// What happened first at a time.
    TimelineEntry {
        #[schema(format = DateTime)]
        at: String,
        state: State,
        reconciler: String,
    }
    /// A page of rollouts, newest first.
    Rollouts {
        rollouts: Vec<Status>,
        /// What to pass as `before` for the next page; `null` on the last.
        #[schema(required)]
        next: Option<String>,
    }
    /// A commit in all environments.
    Commit { commit: String, statuses: Vec<Status>, }
    /// What is live where.
    Reconcilers { reconcilers: Vec<Reconciler>, }
    /// What is live at a reconciler.
    Reconciler {
        reconciler: String,
        #[schema(required)]
        head: Option<String>,
        #[schema(required)]
        commit: Option<String>,
        state: State,
        deleted: bool,
        removed: bool,
        health_checks: HealthChecks,
        #[schema(required, format = DateTime)]
        last_heard_at: Option<String>,
        #[schema(required)]
        event: Option<Event>,
    }
    /// How often rollouts settled, how well, and how fast.
    StatisticsAnswer {
        #[schema(format = DateTime)]
        since: String,
        #[schema(format = DateTime)]
        until: String,
        statistics: Vec<Statistics>,
    }
    /// What is counted of one app in one environment.
    Statistics {
        environment: String,
        /// The label `app`; `null` for rollouts without one.
        #[schema(required)]
        app: Option<String>,
        #[schema(format = DateTime)]
        since: String,
        #[schema(format = DateTime)]
        until: String,
        /// Rollouts that first settled as succeeded: deployments.
        succeeded: u32,
        failed: u32,
        timed_out: u32,
        deployments_per_day: f64,
        /// From the label `app_committed_at`, or else the registration, to the first success.
        #[schema(required)]
        lead_time_seconds: Option<Quantiles>,
        /// The share of those ever failed among those that succeeded or failed.
        #[schema(required)]
        change_failure_rate: Option<f64>,
        /// From a failure to the next success of the app in the environment.
        #[schema(required)]
        time_to_restore_seconds: Option<Quantiles>,
        days: Vec<Day>,
    }
    /// What a measure is, for half and for nine of ten.
    Quantiles { p50: u64, p90: u64, }
    /// What first settled on one day, in UTC.
    Day {
        #[schema(format = Date)]
        date: String,
        succeeded: u32,
        failed: u32,
        timed_out: u32,
    }
    /// What was found of a set-up.
    Diagnosis {
        token: CallingToken,
        /// A digest: servers that answer alike have the same.
        policy: String,
        clusters: Vec<ClusterNoted>,
        /// Empty if all is well.
        findings: Vec<Finding>,
    }
    /// The token that asks.
    CallingToken {
        name: String,
        scopes: Vec<String>,
        /// Those that it is confined to; `null` for all.
        #[schema(required)]
        environments: Option<Vec<String>>,
    }
    /// How the events of one cluster arrive.
    ClusterNoted {
        cluster: String,
        #[schema(required, format = DateTime)]
        first_heard_at: Option<String>,
        #[schema(required, format = DateTime)]
        last_heard_at: Option<String>,
        reconcilers: u64,
        /// Negative where its clock is ahead; `null` if nothing was heard since the server started.
        #[schema(required)]
        clock_behind_seconds: Option<i64>,
        #[schema(required)]
        refused: Option<EventsRefused>,
    }
    /// Events that were refused since the server started.
    EventsRefused {
        count: u64,
        code: String,
        #[schema(format = DateTime)]
        last_at: String,
    }
    /// Something that keeps answers from coming.
    Finding {
        code: String,
        #[schema(required)]
        environment: Option<String>,
        /// What it is about: a cluster, a reconciler, a commit.
        subject: String,
        message: String,
        remedy: String,
    }
    /// A reconciler that is gone for good.
    Removed {
        result: String,
        reconciler: String,
        /// Whether it was ever heard. If not, its name may be a typing mistake.
        known: bool,
    }
    /// What became of an event.
    EventTaken {
        result: TakenResult,
        /// Why it was ignored.
        #[schema(required)]
        code: Option<String>,
    }
    /// What became of a description of commits.
    AncestryTaken { result: TakenResult, commits: u64, }
    /// A push with which nothing is to be done.
    PushIgnored { result: TakenResult, code: String, }
    /// Alive.
    Alive { status: String, }
    /// Ready.
    Ready {
        status: String,
        store: String,
        position: u64,
        age_seconds: u64,
        facts_loaded: u64,
        policy: String,
        waiters: u64,
    }
    /// What CI wants to know about.
    Registration {
        /// Reconcilers that are expected besides those of the environment.
        #[schema(max_items = 1000)]
        expect: Option<Vec<String>>,
        /// As `30m`.
        timeout: Option<String>,
        /// Free texts: `app`, `version`, `url`, `actor`.
        labels: Option<BTreeMap<String, String>>,
        /// Raw commit objects in base64, which prove what they say.
        #[schema(max_items = 2000)]
        objects: Option<Vec<String>>,
        /// Claims, which need the scope `ancestry`.
        #[schema(max_items = 2000)]
        ancestry: Option<Vec<Parents>>,
    }
    /// A commit and its parents.
    Parents { commit: String, parents: Vec<String>, }
    /// Raw commit objects in base64.
    Objects { #[schema(max_items = 2000)] objects: Vec<String>, }
    /// An event as notification-controller posts it (`Event` of `fluxcd/pkg/apis/event`, v1beta1 and v1).
    FluxEvent {
        #[serde(rename = "involvedObject")]
        involved_object: InvolvedObject,
        #[serde(rename = "relatedObject")]
        related_object: Option<InvolvedObject>,
        severity: String,
        #[schema(format = DateTime)]
        timestamp: String,
        message: String,
        reason: String,
        action: Option<String>,
        metadata: Option<BTreeMap<String, String>>,
        #[serde(rename = "reportingController")]
        reporting_controller: Option<String>,
        #[serde(rename = "reportingInstance")]
        reporting_instance: Option<String>,
    }
    /// A Flux object: the one that an event is about, or the source of its revision.
    InvolvedObject {
        kind: String,
        namespace: String,
        name: String,
        uid: Option<String>,
        #[serde(rename = "apiVersion")]
        api_version: Option<String>,
        #[serde(rename = "resourceVersion")]
        resource_version: Option<String>,
    }
}

/// Either commit objects, or claims, which need the scope `ancestry`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it stands for what is written elsewhere")]
pub(crate) enum Claims {
    Proved(Objects),
    Claimed(Vec<Parents>),
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, path::Path};

    use gitops_brain::ReconcilerFilter;
    use gitops_brain_tests::{Kind, Scenario, read_all};
    use serde::de::DeserializeOwned;
    use serde_json::Value;

    use super::*;

    /// All that a type has is told, and all that is told is there.
    fn assert_reads<T: DeserializeOwned>(answer: &Value) {
        let read: Result<T, _> = serde_json::from_value(answer.clone());
        assert!(read.is_ok(), "{:?}: {answer:#}", read.err().map(|error| error.to_string()));
    }

    #[test]
    fn answers_are_as_they_are_described() {
        let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors");
        let mut fields = BTreeSet::new();
        let mut count = 0;
        for file in read_all(&vectors).expect("vectors") {
            for case in file.cases.iter().filter(|_| file.kind == Kind::Scenarios) {
                let scenario = Scenario::read(case).expect("a scenario");
                let brain = scenario.brain_of(scenario.facts().expect("facts"));
                for status in scenario.answers(&brain).expect("answers").into_iter().flatten() {
                    let answer = serde_json::to_value(status).expect("JSON");
                    fields.extend(
                        answer.as_object().into_iter().flatten().map(|(name, _)| name.clone()),
                    );
                    assert_reads::<Status>(&answer);
                    count += 1;
                }
                for report in brain.reconcilers(&ReconcilerFilter::default()) {
                    assert_reads::<Reconciler>(&serde_json::to_value(report).expect("JSON"));
                }
            }
        }
        assert!(count > 200, "{count}");
        let described = Document::openapi().components.and_then(|components| {
            let status = serde_json::to_value(components.schemas.get("Status")?).ok()?;
            let properties = status["properties"].as_object()?.keys().cloned();
            Some(properties.collect::<BTreeSet<_>>())
        });
        assert_eq!(Some(fields), described);
    }

    #[test]
    fn every_route_is_described() {
        let router = include_str!("router.rs");
        let routes =
            router.split("(\n").flat_map(|part| part.split(".route(")).filter_map(|rest| {
                let (path, _) = rest.trim_start().strip_prefix('"')?.split_once('"')?;
                path.starts_with('/').then_some(path)
            });
        // Pages are for people.
        let pages = ["/", "/login", "/logout"];
        let for_people = |path: &str| {
            pages.contains(&path)
                || ["/rollouts/", "/reconcilers/", "/assets/"]
                    .iter()
                    .any(|page| path.starts_with(page))
        };
        let routes: BTreeSet<_> =
            routes.filter(|path| !for_people(path)).map(str::to_owned).collect();
        assert!(routes.len() > 12, "{routes:?}");
        let described: BTreeSet<_> = Document::openapi().paths.paths.into_keys().collect();
        assert_eq!(routes, described);
    }
}
