//! What the benchmarks share: events as Flux sends them, and worlds of a given size.

pub mod http;
pub mod plain;
pub mod server;

use chrono::{DateTime, TimeDelta, Utc};
use gitops_brain::{
    Ancestry, Brain, ClusterName, CommitId, Fact, FactBody, Ingested, KeyError, Parents, Policy,
    observe, sign,
};

/// The key that the events are signed with.
pub const KEY: &[u8] = b"7152fed34dd6149a7c75a276c510da27cb6f82b0";

/// When the worlds begin.
#[must_use]
pub fn epoch() -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_000_000, 0).unwrap_or_default()
}

/// The commit with a number: evenly spread, as real ids are.
///
/// # Panics
///
/// Never: the text has 40 hexadecimal digits.
#[must_use]
pub fn commit(number: u64) -> CommitId {
    let spread = number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let text = format!("{spread:016x}{:016x}{:08x}", spread.rotate_left(31), number & 0xFFFF_FFFF);
    text.parse().unwrap_or_else(|_| std::process::abort())
}

/// An event's body.
#[derive(Clone, Copy, Debug)]
pub struct Body<'a> {
    /// The Kustomization's number.
    pub reconciler: u64,
    /// The commit's number.
    pub commit: u64,
    /// Seconds after the epoch.
    pub seconds: i64,
    /// The object's resourceVersion.
    pub version: u64,
    /// The event's reason.
    pub reason: &'a str,
    /// The event's message, as it stands in JSON.
    pub message: &'a str,
}

impl Body<'_> {
    /// The body as notification-controller posts it.
    #[must_use]
    pub fn to_json(&self) -> String {
        let time = epoch().checked_add_signed(TimeDelta::seconds(self.seconds)).unwrap_or_default();
        let status = if self.reason == "ReconciliationSucceeded" {
            "\"commit_status\":\"update\","
        } else {
            ""
        };
        format!(
            "{{\"involvedObject\":{{\"kind\":\"Kustomization\",\"namespace\":\"flux-system\",\
             \"name\":\"apps-{}\",\"uid\":\"7d0cdc51-ddcf-4743-b223-{:012x}\",\"apiVersion\":\
             \"kustomize.toolkit.fluxcd.io/v1\",\"resourceVersion\":\"{}\"}},\"severity\":\"info\",\
             \"timestamp\":\"{}\",\"message\":\"{}\",\"reason\":\"{}\",\"metadata\":{{{status}\
             \"revision\":\"main@sha1:{}\"}},\"reportingController\":\"kustomize-controller\",\
             \"reportingInstance\":\"kustomize-controller-7c7b47f5f-8bhrp\"}}",
            self.reconciler,
            self.reconciler,
            self.version,
            time.format("%Y-%m-%dT%H:%M:%SZ"),
            self.message,
            self.reason,
            commit(self.commit),
        )
    }

    /// The body in a signed request for the cluster `staging`.
    ///
    /// # Errors
    ///
    /// Never: the key is one that can be signed with.
    pub fn to_request(&self) -> Result<Vec<u8>, KeyError> {
        let body = self.to_json();
        let signature = sign(KEY, body.as_bytes())?;
        let head = format!(
            "POST /v1/events/staging HTTP/1.1\r\nHost: localhost\r\nContent-Type: \
             application/json\r\nX-Signature: {signature}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        Ok((head + &body).into_bytes())
    }

    /// The fact that the event makes.
    #[must_use]
    pub fn to_fact(&self) -> Fact {
        let at = epoch().checked_add_signed(TimeDelta::seconds(self.seconds)).unwrap_or_default();
        match ClusterName::new("staging")
            .map(|cluster| observe(&cluster, self.to_json().as_bytes(), at))
        {
            Ok(Ok(Ingested::Fact(fact))) => *fact,
            _ => std::process::abort(),
        }
    }
}

/// The event of an apply: 0.7 KB, as most of those that Flux sends.
#[must_use]
pub fn small() -> String {
    let message = "ConfigMap/shop/settings configured\\nDeployment/shop/api configured\\nDeployment/shop/web \
                   configured\\nService/shop/web configured\\nIngress/shop/web configured\\nHorizontalPodAutoscaler/shop/web configured";
    Body { reconciler: 1, commit: 1, seconds: 1, version: 1001, reason: "Progressing", message }
        .to_json()
}

/// The event of an apply that changed many objects: 2 KB.
#[must_use]
pub fn large() -> String {
    let lines: Vec<_> =
        (0..42).map(|n| format!("Deployment/shop/service-{n:02} configured")).collect();
    let message = lines.join("\\n");
    Body {
        reconciler: 1,
        commit: 1,
        seconds: 1,
        version: 1001,
        reason: "Progressing",
        message: &message,
    }
    .to_json()
}

/// What Flux sends for one commit that changes something, in a Kustomization that waits.
#[must_use]
pub fn rollout(reconciler: u64, commit: u64, seconds: i64) -> [Fact; 3] {
    let event = |offset, reason, message| {
        let version = u64::try_from(seconds).unwrap_or_default() + 1000;
        Body { reconciler, commit, seconds: seconds + offset, version, reason, message }.to_fact()
    };
    [
        event(0, "Progressing", "Deployment/shop/web configured"),
        event(1, "Progressing", "Health check passed in 1.012s"),
        event(1, "ReconciliationSucceeded", "Reconciliation finished in 1.2s, next run in 10m0s"),
    ]
}

/// The ancestry of a straight line of commits.
#[must_use]
pub fn line(commits: u64) -> Fact {
    let parents = (0..commits)
        .map(|number| Parents {
            commit: commit(number),
            parents: number.checked_sub(1).map(commit).into_iter().collect(),
        })
        .collect();
    Fact::new(epoch(), FactBody::Ancestry(Ancestry::claimed(parents)))
}

/// A brain in which a number of Kustomizations went through a number of commits each.
#[must_use]
pub fn world(reconcilers: u64, commits: u64) -> Brain {
    let mut brain = Brain::new(Policy::default());
    let facts = (0..commits).flat_map(|commit| {
        (0..reconcilers).flat_map(move |reconciler| {
            rollout(reconciler, commit, i64::try_from(commit * 60).unwrap_or_default())
        })
    });
    brain.load(std::iter::once(line(commits)).chain(facts));
    brain
}

/// The memory that this process holds, in bytes; 0 where that is not told.
#[must_use]
pub fn resident() -> u64 {
    server::memory(std::process::id()).unwrap_or_default()
}
