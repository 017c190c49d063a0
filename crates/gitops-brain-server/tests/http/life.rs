//! Starting, stopping, and starting again.

use gitops_brain_server::bind;
use serde_json::json;

use crate::harness::{A, B, CONFIG, applying, config, failed, healthy, journal, start, start_in};

#[tokio::test]
async fn a_restart_changes_nothing() {
    let server = start().await;
    server.put(&format!("/v1/rollouts/staging/{A}"), &json!({ "labels": { "app": "x" } })).await;
    server.put(&format!("/v1/rollouts/staging/{B}"), &json!({})).await;
    for event in [applying(40, A), failed(30, A), healthy(20, A), applying(10, B)] {
        server.event(&event).await;
    }
    let seen = async |server: &crate::harness::Running| {
        let mut seen = Vec::new();
        for commit in [A, B] {
            let (_, mut status) = server.get(&format!("/v1/rollouts/staging/{commit}")).await;
            status["evaluated_at"] = json!(null);
            let digest = status["version"].as_str().unwrap().rsplit_once('.').unwrap().1.to_owned();
            status["version"] = json!(digest);
            seen.push(status);
        }
        seen
    };
    let before = seen(&server).await;
    let folder = server.stop().await;
    let server = start_in(CONFIG, folder).await;
    assert_eq!(seen(&server).await, before);
    let (_, ready) = server.get("/readyz").await;
    assert_eq!(ready["facts_loaded"], ready["position"]);
    assert_eq!(ready["position"], 8, "two registrations, four events, two settlements");
}

#[tokio::test]
async fn a_settlement_that_a_crash_swallowed_is_recorded() {
    use gitops_brain::{ClusterName, Fact, FactBody, Ingested, Registration, observe};
    let folder = tempfile::tempdir().unwrap();
    let config = config(CONFIG, &folder);
    let stored = journal(&config).await;
    let staging = "staging".parse().unwrap();
    let declared = config.policy.of(&staging);
    let registration = Registration::new(staging, A.parse().unwrap(), &declared);
    let now = crate::harness::now();
    let registered = Fact::new(now, FactBody::Registered(registration));
    let cluster = ClusterName::new("staging").unwrap();
    let body = healthy(1, A).to_string();
    let Ingested::Fact(observed) = observe(&cluster, body.as_bytes(), now).unwrap() else {
        panic!("ignored")
    };
    stored.append(&[registered, *observed]).await.unwrap();
    stored.close().await.unwrap();
    drop(stored);
    let server = start_in(CONFIG, folder).await;
    let (_, status) = server.get(&format!("/v1/rollouts/staging/{A}")).await;
    assert_eq!(status["first_settled"]["outcome"], "succeeded");
    let _folder = server.stop().await;
    let entries = journal(&config).await.read_after(2, 10).await.unwrap();
    assert!(matches!(entries[0].fact.body, FactBody::Settled(_)), "{entries:?}");
    assert_eq!(entries.len(), 1);
}

#[tokio::test]
async fn an_address_that_is_taken_is_said() {
    let server = start().await;
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(CONFIG, &folder);
    config.listen = server.url.trim_start_matches("http://").parse().unwrap();
    assert_eq!(bind(&config).await.unwrap_err().code(), "server.listen");
}

#[tokio::test]
async fn a_compacted_journal_says_the_same() {
    use gitops_brain::{ClusterName, Ingested, observe};
    let folder = tempfile::tempdir().unwrap();
    let config = config(&format!("retention = \"30d\"{CONFIG}"), &folder);
    let stored = journal(&config).await;
    let cluster = ClusterName::new("staging").unwrap();
    let day = 24 * 60 * 60;
    let mut facts = Vec::new();
    // Each hour of forty days the same commit was found healthy, after it was applied once; two commits
    // before it were of some longer ago.
    let recent = healthy(3_600, A);
    let events = [applying(44 * day, B), healthy(43 * day, B), applying(41 * day, A)];
    let hours = (2..40 * 24).map(|hour| healthy(hour * 3_600, A));
    for event in events.into_iter().chain(hours).chain([recent.clone()]) {
        let at = event["timestamp"].as_str().unwrap().parse().unwrap();
        match observe(&cluster, event.to_string().as_bytes(), at).unwrap() {
            Ingested::Fact(fact) => facts.push(*fact),
            ignored => panic!("{ignored:?}"),
        }
    }
    stored.append(&facts).await.unwrap();
    stored.close().await.unwrap();
    drop(stored);

    let text = format!("retention = \"30d\"{CONFIG}");
    let server = start_in(&text, folder).await;
    server.put(&format!("/v1/rollouts/staging/{A}"), &json!({})).await;
    let seen = async |server: &crate::harness::Running| {
        let (_, mut status) = server.get(&format!("/v1/rollouts/staging/{A}")).await;
        let digest = status["version"].as_str().unwrap().rsplit_once('.').unwrap().1.to_owned();
        status["version"] = json!(digest);
        status["evaluated_at"] = json!(null);
        (status, server.get("/v1/reconcilers").await.1)
    };
    let before = seen(&server).await;
    assert_eq!(before.0["outcome"], "succeeded");
    let removed = server.service.compact().await.unwrap();
    assert!(removed > 900, "{removed}");
    assert_eq!(seen(&server).await, before);
    assert_eq!(server.service.compact().await.unwrap(), 0, "there is nothing left to do");
    // What is of the last day is there as it was sent.
    let again = server.event(&recent).await;
    assert_eq!(again.1["result"], "known");
    let (_, unknown) = server.get(&format!("/v1/rollouts/staging/{B}")).await;
    assert_eq!(unknown["reconcilers"][0]["via"], json!(null), "B is forgotten: {unknown}");

    let folder = server.stop().await;
    let entries = journal(&config).await.read_after(0, 10_000).await.unwrap();
    assert!(entries.len() < 60, "{}", entries.len());
    let server = start_in(&text, folder).await;
    assert_eq!(seen(&server).await, before);
}
