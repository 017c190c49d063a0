//! Waiting for a status.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

use crate::harness::{A, B, Running, applying, failed, healthy, start};

const SOON: Duration = Duration::from_secs(5);

/// Asks in the background.
fn ask(server: &Running, path: String) -> tokio::task::JoinHandle<(StatusCode, Value)> {
    let request = server.client.get(format!("{}{path}", server.url)).send();
    tokio::spawn(async {
        let response = request.await.unwrap();
        (response.status(), response.json().await.unwrap())
    })
}

async fn waiters(server: &Running, count: u64) {
    let counted = async {
        while server.get("/readyz").await.1["waiters"] != count {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SOON, counted).await.unwrap();
}

#[tokio::test]
async fn one_is_woken_by_each_change() {
    let server = start().await;
    let path = format!("/v1/rollouts/staging/{A}");
    server.put(&path, &json!({})).await;
    let waiting = ask(&server, format!("{path}?wait=60s"));
    waiters(&server, 1).await;
    server.event(&applying(20, A)).await;
    let (code, status) = timeout(SOON, waiting).await.unwrap().unwrap();
    assert_eq!((code, &status["state"]), (StatusCode::OK, &json!("applied")));
    assert_eq!(status["settled"], false);

    let since = status["version"].as_str().unwrap().to_owned();
    let waiting = ask(&server, format!("{path}?wait=60s&since={since}"));
    waiters(&server, 1).await;
    // A change elsewhere wakes nobody.
    server.put(&format!("/v1/rollouts/staging/{B}"), &json!({})).await;
    waiters(&server, 1).await;
    server.event(&failed(10, A)).await;
    let (_, status) = timeout(SOON, waiting).await.unwrap().unwrap();
    assert_eq!(status["outcome"], "failed");
    assert_eq!(status["first_settled"]["outcome"], "failed");
    waiters(&server, 0).await;
}

#[tokio::test]
async fn an_older_version_and_a_settled_status_are_answered_at_once() {
    let server = start().await;
    let path = format!("/v1/rollouts/staging/{A}");
    server.put(&path, &json!({})).await;
    for since in ["1.0000000000000000", "nonsense"] {
        let path = format!("{path}?wait=60s&since={since}");
        timeout(SOON, server.get(&path)).await.unwrap();
    }
    server.event(&healthy(10, A)).await;
    let (_, status) = timeout(SOON, server.get(&format!("{path}?wait=60s"))).await.unwrap();
    assert_eq!(status["settled"], true);
}

#[tokio::test]
async fn the_position_in_a_version_does_not_count() {
    let server = start().await;
    let path = format!("/v1/rollouts/staging/{A}");
    let (_, status) = server.put(&path, &json!({})).await;
    let digest = status["version"].as_str().unwrap().rsplit_once('.').unwrap().1.to_owned();
    let begin = Instant::now();
    let (_, status) = server.get(&format!("{path}?wait=200ms&since=0.{digest}")).await;
    assert!(begin.elapsed() >= Duration::from_millis(200));
    assert_eq!(status["outcome"], "in_progress", "the wait is over, and nothing happened");
    waiters(&server, 0).await;
}

#[tokio::test]
async fn time_alone_wakes_too() {
    let server = start().await;
    let path = format!("/v1/rollouts/staging/{A}");
    server.put(&path, &json!({ "timeout": "300ms" })).await;
    let (_, status) = timeout(SOON, server.get(&format!("{path}?wait=60s"))).await.unwrap();
    assert_eq!(status["outcome"], "timed_out");
    assert_eq!(status["first_settled"]["outcome"], "timed_out");
}

#[tokio::test]
async fn whoever_hangs_up_is_forgotten() {
    let server = start().await;
    let path = format!("{}/v1/rollouts/staging/{A}?wait=60s", server.url);
    let request = server.client.get(path).timeout(Duration::from_millis(300)).send();
    let (gone, ()) = tokio::join!(request, waiters(&server, 1));
    assert!(gone.unwrap_err().is_timeout());
    waiters(&server, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_are_woken_together() {
    let server = start().await;
    let path = format!("/v1/rollouts/staging/{A}");
    server.put(&path, &json!({})).await;
    let waiting: Vec<_> = (0..500).map(|_| ask(&server, format!("{path}?wait=60s"))).collect();
    waiters(&server, 500).await;
    let begin = Instant::now();
    server.event(&healthy(1, A)).await;
    for waiting in waiting {
        let (_, status) = timeout(SOON, waiting).await.unwrap().unwrap();
        assert_eq!(status["outcome"], "succeeded");
    }
    println!("500 were answered {:?} after the event was sent", begin.elapsed());
}

#[tokio::test]
async fn a_stopping_server_answers_who_waits() {
    let server = start().await;
    let path = format!("/v1/rollouts/staging/{A}");
    server.put(&path, &json!({})).await;
    let waiting = ask(&server, format!("{path}?wait=60s"));
    waiters(&server, 1).await;
    let begin = Instant::now();
    server.stop().await;
    let (code, status) = timeout(SOON, waiting).await.unwrap().unwrap();
    assert_eq!((code, &status["outcome"]), (StatusCode::OK, &json!("in_progress")));
    assert!(begin.elapsed() < SOON);
}
