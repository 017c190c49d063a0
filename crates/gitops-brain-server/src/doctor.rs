//! `GET /v1/doctor`: what is doubtful about a set-up, and what to do about it.

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use chrono::{DateTime, Utc};
use gitops_brain::{EnvironmentName, Finding};
use serde::Serialize;

use crate::{
    auth::Caller,
    config::Scope,
    driver, openapi,
    problem::{Problem, json},
    senders::{Noted, Refused},
    service::Service,
};

/// A clock that is further ahead makes events look newer than those of others.
const MAX_AHEAD_SECONDS: i64 = 5;

/// A clock that is further behind makes events look older. Deliveries are tried again for 15 seconds.
const MAX_BEHIND_SECONDS: i64 = 60;

#[derive(Serialize)]
struct Diagnosis {
    token: Token,
    /// A digest of the policy: servers that answer alike have the same.
    policy: String,
    clusters: Vec<Cluster>,
    findings: Vec<Doubt>,
}

/// Who asks.
#[derive(Serialize)]
struct Token {
    name: String,
    scopes: Vec<&'static str>,
    /// Those that it is confined to.
    environments: Option<Vec<EnvironmentName>>,
}

#[derive(Serialize)]
struct Cluster {
    cluster: String,
    first_heard_at: Option<DateTime<Utc>>,
    last_heard_at: Option<DateTime<Utc>>,
    reconcilers: usize,
    /// Negative where its clock is ahead.
    clock_behind_seconds: Option<i64>,
    /// Events in its name that were refused since the server started.
    refused: Option<Refused>,
}

/// A finding, whoever found it.
#[derive(Serialize)]
struct Doubt {
    code: &'static str,
    environment: Option<EnvironmentName>,
    subject: String,
    message: String,
    remedy: String,
}

impl From<Finding> for Doubt {
    fn from(finding: Finding) -> Self {
        Self {
            code: finding.code.as_str(),
            environment: finding.environment,
            subject: finding.subject,
            message: finding.message,
            remedy: finding.remedy,
        }
    }
}

/// What is doubtful about the set-up.
///
/// A token that is confined to environments hears of those alone.
#[utoipa::path(
    get,
    path = "/v1/doctor",
    responses(
        (status = 200, body = openapi::Diagnosis, description = "What was found; nothing is well"),
        openapi::Watching,
    )
)]
pub(crate) async fn get(
    State(Service(inner)): State<Service>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let gate = inner.gate();
    let caller = gate.caller(&headers)?;
    caller.may(Scope::Read)?;
    let (known, findings) = {
        let live = inner.live();
        (live.brain.clusters(), live.brain.findings(driver::now()))
    };
    let mut findings: Vec<_> = findings
        .into_iter()
        .filter(|finding| may_know(&caller, finding))
        .map(Doubt::from)
        .collect();
    let mut clusters = Vec::new();
    if caller.environments().is_none() {
        let mut names: Vec<_> = gate.clusters().map(ToString::to_string).collect();
        names.extend(known.iter().map(|report| report.cluster.clone()));
        names.sort();
        names.dedup();
        for name in names {
            let noted = inner.senders.of(&name);
            doubt_sender(&name, &noted, &mut findings);
            let report = known.iter().find(|report| report.cluster == name);
            clusters.push(Cluster {
                first_heard_at: report.map(|report| report.first_heard_at),
                last_heard_at: report.map(|report| report.last_heard_at),
                reconcilers: report.map_or(0, |report| report.reconcilers),
                clock_behind_seconds: noted.clock_behind_seconds,
                refused: noted.refused,
                cluster: name,
            });
        }
        findings.extend(gate.warnings().iter().map(|warning| Doubt {
            code: warning.code,
            environment: None,
            subject: warning.subject.clone(),
            message: warning.message.clone(),
            remedy: warning.remedy.to_owned(),
        }));
    }
    let token = Token {
        name: caller.name().to_owned(),
        scopes: caller.scopes().into_iter().map(Scope::as_str).collect(),
        environments: caller.environments().map(|all| all.iter().cloned().collect()),
    };
    let policy = inner.policy.clone();
    Ok(json(StatusCode::OK, &Diagnosis { token, policy, clusters, findings }))
}

/// What is about no environment is about a whole cluster, which may be somebody else's.
fn may_know(caller: &Caller, finding: &Finding) -> bool {
    match &finding.environment {
        Some(environment) => caller.sees(environment),
        None => caller.environments().is_none(),
    }
}

fn doubt_sender(cluster: &str, noted: &Noted, findings: &mut Vec<Doubt>) {
    let mut doubt = |code, message: String, remedy: &str| {
        findings.push(Doubt {
            code,
            environment: None,
            subject: cluster.to_owned(),
            message,
            remedy: remedy.to_owned(),
        });
    };
    if let Some(behind) = noted.clock_behind_seconds {
        let (seconds, way) =
            if behind < 0 { (behind.saturating_neg(), "ahead of") } else { (behind, "behind") };
        if !(-MAX_AHEAD_SECONDS..=MAX_BEHIND_SECONDS).contains(&behind) {
            doubt(
                "clock_skew",
                format!("the clock of cluster {cluster} is {seconds} s {way} the server's"),
                "set both by NTP: of two events the later counts, and one that is 10 minutes ahead is \
                 refused",
            );
        }
    }
    if let Some(Refused { count, code, .. }) = &noted.refused {
        doubt(
            "events_refused",
            format!(
                "{count} requests in the name of cluster {cluster} were refused, at last: {code}"
            ),
            "see that the Secret of its Provider holds the key that the server has for it, without \
             white space, and that the address ends in its name",
        );
    }
}
