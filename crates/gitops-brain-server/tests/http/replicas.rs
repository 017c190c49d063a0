//! Several servers on one database: each is as good as the other.

use std::time::Duration;

use gitops_brain_tests::postgres::Postgres;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{self, Instant};

use crate::{
    harness::{A, B, CONFIG, Running, applying, config, failed, healthy, start_over},
    notifications::{StandIn, generic},
};

/// Two servers on one database.
async fn two() -> (Running, Running) {
    let folder = tempfile::tempdir().unwrap();
    let config = config(CONFIG, &folder);
    let one = start_over(CONFIG, crate::harness::journal(&config).await).await;
    let other = start_over(CONFIG, crate::harness::journal(&config).await).await;
    (one, other)
}

/// A status without what is only true at one server and moment.
async fn seen(server: &Running, commit: &str) -> Value {
    let (_, mut status) = server.get(&format!("/v1/rollouts/staging/{commit}")).await;
    status["evaluated_at"] = json!(null);
    let digest = status["version"].as_str().unwrap().rsplit_once('.').unwrap().1.to_owned();
    status["version"] = json!(digest);
    status
}

async fn position(server: &Running) -> u64 {
    server.get("/readyz").await.1["position"].as_u64().unwrap()
}

/// Waits until both know everything.
async fn settle(one: &Running, other: &Running) {
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        let positions = (position(one).await, position(other).await);
        time::sleep(Duration::from_millis(50)).await;
        if positions.0 == positions.1 && positions == (position(one).await, position(other).await) {
            return;
        }
        assert!(Instant::now() < end, "{positions:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_at_one_hears_of_an_event_at_the_other() {
    let (one, other) = two().await;
    one.put(&format!("/v1/rollouts/staging/{A}"), &json!({})).await;
    settle(&one, &other).await;
    let wait = async {
        let (_, status) = other.get(&format!("/v1/rollouts/staging/{A}?wait=20s")).await;
        (status["outcome"].clone(), Instant::now())
    };
    let post = async {
        time::sleep(Duration::from_millis(300)).await;
        let begun = Instant::now();
        one.event(&healthy(1, A)).await;
        begun
    };
    let ((outcome, woken), begun) = tokio::join!(wait, post);
    assert_eq!(outcome, "succeeded");
    assert!(woken - begun < Duration::from_millis(900), "not only by the look of each second");
}

/// Asks again at each change, as CI does.
async fn until_settled(server: &Running, path: &str) -> Value {
    let mut since = String::new();
    loop {
        let (_, status) = server.get(&format!("{path}{since}")).await;
        if status["settled"] == true {
            return status;
        }
        since = format!("&since={}", status["version"].as_str().unwrap());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_in_vain_whichever_server_records_the_outcome() {
    let (one, other) = two().await;
    for n in 0_i64..60 {
        let commit = format!("{:040x}", n + 1);
        one.put(&format!("/v1/rollouts/staging/{commit}"), &json!({})).await;
        let path = format!("/v1/rollouts/staging/{commit}?wait=20s");
        let post = async {
            time::sleep(Duration::from_millis(20)).await;
            one.event(&healthy(200 - n, &commit)).await;
        };
        let all =
            async { tokio::join!(until_settled(&one, &path), until_settled(&other, &path), post) };
        let (at_one, at_other, ()) = time::timeout(Duration::from_secs(5), all).await.unwrap();
        for status in [at_one, at_other] {
            assert_eq!(status["first_settled"]["outcome"], "succeeded", "{status}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_end_with_equal_statuses_and_one_settlement_each() {
    let (one, other) = two().await;
    one.put(&format!("/v1/rollouts/staging/{A}"), &json!({})).await;
    other.put(&format!("/v1/rollouts/staging/{B}"), &json!({ "labels": { "app": "x" } })).await;
    let (first, second) = (applying(40, A), failed(30, A));
    let (third, fourth) = (healthy(20, A), healthy(5, B));
    // Each comes to both, at the same time.
    for event in [&first, &second, &third, &fourth] {
        let ((status, _), (again, _)) = tokio::join!(one.event(event), other.event(event));
        assert!(status.is_success() && again.is_success());
    }
    time::sleep(Duration::from_millis(300)).await;
    settle(&one, &other).await;
    for commit in [A, B] {
        let (at_one, at_other) = (seen(&one, commit).await, seen(&other, commit).await);
        assert_eq!(at_one, at_other);
        assert!(!at_one["first_settled"].is_null(), "{at_one}");
    }
    // Two registrations, four events; and of settlements one each time that an outcome became final.
    let facts = position(&one).await;
    assert!((8..=9).contains(&facts), "{facts}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_of_one_is_understood_by_the_other() {
    let (one, other) = two().await;
    let path = format!("/v1/rollouts/staging/{A}");
    one.put(&path, &json!({})).await;
    for ago in [30, 20, 10] {
        let (_, status) = one.event(&applying(ago, A)).await;
        assert_eq!(status["result"], "accepted");
        let (_, known) = one.get(&path).await;
        let version = known["version"].as_str().unwrap();
        // What the other one answers is at least as new: it does not call the same thing a change.
        let (_, status) = other.get(&format!("{path}?wait=100ms&since={version}")).await;
        assert_eq!(seen(&one, A).await["version"], seen(&other, A).await["version"], "{status}");
    }
    let ahead = format!("{path}?wait=1s&since=999999.0123456789abcdef");
    let response = other.send(Method::GET, &ahead, &[], "").await;
    assert_eq!(response.status().as_u16(), 503);
    assert!(response.headers().contains_key("retry-after"));
    let problem: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    assert_eq!(problem["code"], "store.behind");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_database_a_server_says_so_and_comes_back() {
    let mut postgres = Postgres::start().unwrap();
    let url = postgres.database().unwrap();
    let journal = gitops_brain_journal::PostgresJournal::open(&url).await.unwrap();
    let server = start_over(CONFIG, std::sync::Arc::new(journal)).await;
    let path = format!("/v1/rollouts/staging/{A}");
    server.put(&path, &json!({})).await;
    server.event(&applying(10, A)).await;
    let fresh = server.send(Method::GET, &path, &[], "").await;
    assert!(!fresh.headers().contains_key("age"));
    postgres.halt().unwrap();
    let (status, problem) = server.event(&healthy(5, A)).await;
    assert_eq!((status.as_u16(), &problem["code"]), (503, &json!("store.unavailable")));
    let stale = server.send(Method::GET, &path, &[], "").await;
    assert!(stale.status().is_success(), "what is known is answered");
    let age: u64 = stale.headers()["age"].to_str().unwrap().parse().unwrap();
    assert!(age >= 3, "{age}");
    assert!(server.get("/readyz").await.1["age_seconds"].as_u64().unwrap() >= 3);
    postgres.resume().unwrap();
    let (status, _) = server.event(&healthy(5, A)).await;
    assert_eq!(status.as_u16(), 202);
    assert_eq!(server.outcome(A).await, "succeeded");
    assert!(!server.send(Method::GET, &path, &[], "").await.headers().contains_key("age"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_them_tells_and_the_other_one_when_it_is_gone() {
    let ops = StandIn::start().await;
    let text = generic(&ops.url);
    let folder = tempfile::tempdir().unwrap();
    let config = config(&text, &folder);
    let one = start_over(&text, crate::harness::journal(&config).await).await;
    let other = start_over(&text, crate::harness::journal(&config).await).await;
    for server in [&one, &other] {
        server.put(&format!("/v1/rollouts/staging/{A}"), &json!({})).await;
    }
    one.event(&failed(20, A)).await;
    ops.heard(1).await;
    other.event(&healthy(10, A)).await;
    ops.heard(2).await;
    one.stop().await;
    other.event(&failed(5, A)).await;
    let heard = ops.heard(3).await;
    let keys: Vec<_> = heard.iter().map(|one| one.header("idempotency-key")).collect();
    assert_eq!(keys, [0, 1, 2].map(|n| format!("staging/{A}/{n}")));
}
