//! `GET /metrics`: numbers for Prometheus, in the OpenMetrics text format.

use std::time::Duration;

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse as _, Response},
};
use chrono::{DateTime, Utc};
use gitops_brain::{Outcome, State as RolloutState, Transition};
use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};
use tokio::sync::broadcast;

use crate::{
    config::Scope,
    openapi,
    problem::Problem,
    service::{Inner, Service},
};

/// What a scraper is told that this is.
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Bounds of how long a commit is on its way, in seconds: from a quick apply to the longest timeouts.
const ROLLOUT_SECONDS: [f64; 12] =
    [5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 86_400.0];

/// Bounds of how long the journal takes, in seconds: from a disk that does not wait to Flux's patience.
const JOURNAL_SECONDS: [f64; 12] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 15.0];

/// All that is counted.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    events: Family<Event, Counter>,
    rejected: Family<Rejected, Counter>,
    append: Histogram,
    append_failures: Counter,
    settlements: Family<Settled, Counter>,
    notifications: Family<Notification, Counter>,
    time_to_applied: Family<Environment, Histogram, fn() -> Histogram>,
    time_to_healthy: Family<Environment, Histogram, fn() -> Histogram>,
    waiters: Gauge,
    streams: Gauge,
    position: Gauge,
    age: Gauge,
    last_event: Family<Cluster, Gauge>,
    reconcilers: Family<Cluster, Gauge>,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Event {
    cluster: String,
    result: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Rejected {
    code: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Settled {
    environment: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Notification {
    receiver: String,
    result: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Environment {
    environment: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Cluster {
    cluster: String,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let rollout: fn() -> Histogram = || Histogram::new(ROLLOUT_SECONDS);
        let mut metrics = Self {
            registry: Registry::with_prefix("gitops_brain"),
            events: Family::default(),
            rejected: Family::default(),
            append: Histogram::new(JOURNAL_SECONDS),
            append_failures: Counter::default(),
            settlements: Family::default(),
            notifications: Family::default(),
            time_to_applied: Family::new_with_constructor(rollout),
            time_to_healthy: Family::new_with_constructor(rollout),
            waiters: Gauge::default(),
            streams: Gauge::default(),
            position: Gauge::default(),
            age: Gauge::default(),
            last_event: Family::default(),
            reconcilers: Family::default(),
        };
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register(
            "events",
            "Events that were taken in, by cluster and by what became of them",
            self.events.clone(),
        );
        registry.register(
            "events_rejected",
            "Events that were refused, by the code of the answer",
            self.rejected.clone(),
        );
        registry.register_with_unit(
            "journal_append",
            "How long it took to store a batch of facts",
            Unit::Seconds,
            self.append.clone(),
        );
        registry.register(
            "journal_append_failures",
            "Batches of facts that could not be stored",
            self.append_failures.clone(),
        );
        registry.register(
            "settlements",
            "Rollouts whose outcome became final, and was recorded by this server",
            self.settlements.clone(),
        );
        registry.register(
            "notifications",
            "What became of telling a receiver of a settled rollout, by this server",
            self.notifications.clone(),
        );
        registry.register_with_unit(
            "time_to_applied",
            "From the registration of a rollout until it was applied everywhere",
            Unit::Seconds,
            self.time_to_applied.clone(),
        );
        registry.register_with_unit(
            "time_to_healthy",
            "From the registration of a rollout until it was healthy everywhere",
            Unit::Seconds,
            self.time_to_healthy.clone(),
        );
        registry.register("waiters", "Requests and streams that wait", self.waiters.clone());
        registry.register("streams", "Streams that are open", self.streams.clone());
        registry.register(
            "journal_position",
            "The journal position up to which this server knows",
            self.position.clone(),
        );
        registry.register_with_unit(
            "journal_age",
            "How long ago a shared journal was last read to its end",
            Unit::Seconds,
            self.age.clone(),
        );
        registry.register_with_unit(
            "cluster_last_event_timestamp",
            "When a cluster was last heard, in seconds since 1970",
            Unit::Seconds,
            self.last_event.clone(),
        );
        registry.register(
            "cluster_reconcilers",
            "Reconcilers of a cluster that are known",
            self.reconcilers.clone(),
        );
    }

    /// Counts an event that was taken in.
    pub(crate) fn event(&self, cluster: &str, result: &'static str) {
        self.events.get_or_create(&Event { cluster: cluster.to_owned(), result }).inc();
    }

    /// Counts an event that was refused. Its cluster is what anyone may have written.
    pub(crate) fn rejected(&self, code: &'static str) {
        self.rejected.get_or_create(&Rejected { code }).inc();
    }

    pub(crate) fn appended(&self, took: Duration) {
        self.append.observe(took.as_secs_f64());
    }

    /// Counts a settlement that this server was the first to record.
    pub(crate) fn settled(&self, environment: &str, outcome: Outcome) {
        let (environment, outcome) = (environment.to_owned(), outcome.as_str());
        self.settlements.get_or_create(&Settled { environment, outcome }).inc();
    }

    pub(crate) fn append_failed(&self) {
        self.append_failures.inc();
    }

    pub(crate) fn told(&self, receiver: &str, result: &'static str) {
        let receiver = receiver.to_owned();
        self.notifications.get_or_create(&Notification { receiver, result }).inc();
    }

    /// Notes how long a rollout took to get where it is now.
    pub(crate) fn arrived(&self, transition: &Transition, registered_at: DateTime<Utc>) {
        let family = match (transition.from.state, transition.to.state) {
            (RolloutState::Pending, RolloutState::Applied) => &self.time_to_applied,
            (_, RolloutState::Healthy) => &self.time_to_healthy,
            _ => return,
        };
        let took = transition.at.signed_duration_since(registered_at);
        let environment = Environment { environment: transition.environment.to_string() };
        family.get_or_create(&environment).observe(took.to_std().unwrap_or_default().as_secs_f64());
    }

    /// All of it as text. What is true at a moment is looked up at this one.
    fn encode(&self, inner: &Inner) -> String {
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        {
            let live = inner.live();
            self.waiters.set(number(live.waiters.len()));
            let streams = live.changes.as_ref().map_or(0, broadcast::Sender::receiver_count);
            self.streams.set(number(streams));
            self.position.set(i64::try_from(live.position).unwrap_or(i64::MAX));
            for report in live.brain.clusters() {
                let cluster = Cluster { cluster: report.cluster };
                let heard = report.last_heard_at.timestamp();
                self.last_event.get_or_create(&cluster).set(heard);
                self.reconcilers.get_or_create(&cluster).set(number(report.reconcilers));
            }
        }
        self.age.set(i64::try_from(inner.age().as_secs()).unwrap_or(i64::MAX));
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = text::encode(&mut text, &self.registry);
        text
    }
}

/// `GET /metrics`
#[utoipa::path(
    get,
    path = "/metrics",
    responses(
        (status = 200, content_type = "application/openmetrics-text", body = String, description = "Numbers"),
        openapi::Watching,
    )
)]
pub(crate) async fn get(
    State(Service(inner)): State<Service>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if !inner.gate().shows_metrics() {
        inner.gate().caller(&headers)?.may(Scope::Read)?;
    }
    let kind = [(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE))];
    Ok((kind, inner.metrics.encode(&inner)).into_response())
}
