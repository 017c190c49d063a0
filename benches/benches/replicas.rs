//! Two servers on one PostgreSQL database: how long a client that waits at one server needs to get its answer
//! after the other server received the event, beside a client that waits at the server which received it.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a benchmark that prints its report"
)]

use std::{
    collections::BTreeMap,
    thread,
    time::{Duration, Instant},
};

use chrono::Utc;
use gitops_brain::{ClusterName, Environment, Policy};
use gitops_brain_tests::{
    postgres::Postgres,
    process::{Client, Server},
};
use serde_json::json;

const ROUNDS: usize = 100;

fn main() {
    let postgres = Postgres::start().unwrap();
    let url = postgres.database().unwrap();
    let apps = "staging/Kustomization/flux-system/apps".parse().unwrap();
    let policy = Policy::default()
        .environment("staging".parse().unwrap(), Environment::default().expect(apps));
    let staging = ClusterName::new("staging").unwrap();
    let keys = BTreeMap::from([(staging.clone(), "the key of staging".to_owned())]);
    let servers: Vec<_> = (0..2)
        .map(|_| {
            let mut server = Server::new(&policy, keys.clone()).unwrap().on(url.clone());
            server.start().unwrap();
            server
        })
        .collect();
    let clients: Vec<_> = servers.iter().map(|server| server.client().unwrap()).collect();
    let [one, other] = &clients[..] else { return };
    println!(
        "from sending an event to one server until the waiting client has its answer, {ROUNDS} rounds:"
    );
    for (name, waits, offset) in [("at the same", one, 0), ("at the other", other, ROUNDS)] {
        let mut took: Vec<_> =
            (0..ROUNDS).map(|n| round(one, waits, &staging, offset + n)).collect();
        took.sort();
        let at = |percent: usize| took.get(took.len() * percent / 100).copied().unwrap_or_default();
        println!("  {name:14} median {:?}, p90 {:?}, p99 {:?}", at(50), at(90), at(99));
    }
}

fn round(sends: &Client, waits: &Client, cluster: &ClusterName, n: usize) -> Duration {
    let commit = format!("{:040x}", n + 1);
    let path = format!("/v1/rollouts/staging/{commit}?wait=20s");
    let environment = "staging".parse().unwrap();
    sends.register(&environment, commit.parse().unwrap(), &json!({})).unwrap();
    // Until the other one knows of it too.
    thread::sleep(Duration::from_millis(20));
    thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let answer = waits.get(&path).unwrap();
            assert_eq!(answer.body["outcome"], "succeeded", "{}", answer.body);
            Instant::now()
        });
        thread::sleep(Duration::from_millis(20));
        let at = Utc::now() - chrono::TimeDelta::seconds(i64::try_from(1_000 - n).unwrap());
        let body = json!({
            "involvedObject": { "kind": "Kustomization", "namespace": "flux-system", "name": "apps",
                                "uid": "1", "resourceVersion": at.timestamp().to_string() },
            "severity": "info", "timestamp": at.format("%Y-%m-%dT%H:%M:%SZ").to_string(),
            "message": "Health check passed in 1s", "reason": "Progressing",
            "metadata": { "revision": format!("main@sha1:{commit}") },
            "reportingController": "kustomize-controller",
        });
        let begun = Instant::now();
        sends.event(cluster, body.to_string().as_bytes()).unwrap();
        waiting.join().unwrap() - begun
    })
}
