//! Statuses as they change.

use std::time::Duration;

use reqwest::{Method, Response};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::harness::{A, B, CONFIG, Running, applying, failed, healthy, start, start_with};

const SOON: Duration = Duration::from_secs(5);

/// A stream that is being read.
struct Stream {
    response: Response,
    rest: String,
}

impl Stream {
    async fn open(server: &Running, query: &str) -> Self {
        let response = server.send(Method::GET, &format!("/v1/stream{query}"), &[], "").await;
        assert_eq!(response.status().as_u16(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { response, rest: String::new() }
    }

    /// The next event: its id, and the status in it.
    async fn next(&mut self) -> (u64, Value) {
        let event = timeout(SOON, self.event()).await.unwrap().unwrap();
        let field = |name: &str| {
            let line = event.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
            line.unwrap_or_else(|| panic!("no {name} in {event}"))
        };
        assert_eq!(field("event"), "status");
        (field("id").parse().unwrap(), serde_json::from_str(field("data")).unwrap())
    }

    async fn event(&mut self) -> Option<String> {
        loop {
            if let Some((event, rest)) = self.rest.split_once("\n\n") {
                let event = event.to_owned();
                self.rest = rest.to_owned();
                return Some(event);
            }
            let more = self.response.chunk().await.ok()??;
            self.rest.push_str(str::from_utf8(&more).unwrap());
        }
    }
}

#[tokio::test]
async fn first_what_there_is_then_each_change() {
    let server = start().await;
    server.put(&format!("/v1/rollouts/staging/{A}"), &json!({})).await;
    let mut stream = Stream::open(&server, "?environment=staging").await;
    let (first, status) = stream.next().await;
    assert_eq!((&status["commit"], &status["state"]), (&json!(A), &json!("pending")));
    server.event(&applying(10, A)).await;
    let (second, status) = stream.next().await;
    assert_eq!(status["state"], "applied");
    assert!(second > first);
    server.event(&healthy(5, A)).await;
    let status = loop {
        // The settlement may come with it or after it.
        let (_, status) = stream.next().await;
        if !status["first_settled"].is_null() {
            break status;
        }
    };
    assert_eq!(status["outcome"], "succeeded");
    // What is settled goes on.
    server.event(&failed(1, A)).await;
    assert_eq!(stream.next().await.1["state"], "failed");
    // A rollout that is registered later belongs to it too.
    server.put(&format!("/v1/rollouts/staging/{B}"), &json!({})).await;
    let status = loop {
        let (_, status) = stream.next().await;
        if status["commit"] == B {
            break status;
        }
    };
    assert_eq!(status["registered"], true);
}

#[tokio::test]
async fn a_change_of_the_reason_alone_is_told() {
    let server = start().await;
    server.put(&format!("/v1/rollouts/staging/{A}"), &json!({})).await;
    let mut stream = Stream::open(&server, &format!("?environment=staging&commit={A}")).await;
    assert_eq!(stream.next().await.1["reason"], "never_heard");
    let mut blocked = applying(9, A);
    blocked["reason"] = json!("DependencyNotReady");
    blocked["message"] = json!("Dependencies do not meet ready condition");
    server.event(&blocked).await;
    let (_, status) = stream.next().await;
    assert_eq!((&status["state"], &status["reason"]), (&json!("pending"), &json!("blocked")));
}

#[tokio::test]
async fn only_what_is_asked_for_is_told() {
    let server = start().await;
    for commit in [A, B] {
        server.put(&format!("/v1/rollouts/staging/{commit}"), &json!({})).await;
    }
    let mut stream = Stream::open(&server, &format!("?commit={B}")).await;
    assert_eq!(stream.next().await.1["commit"], B);
    server.event(&applying(10, A)).await;
    server.event(&applying(5, B)).await;
    // What A reports is a part of B's reason, so B may change twice. Nothing of A is told.
    let state = loop {
        let (_, status) = stream.next().await;
        assert_eq!(status["commit"], B);
        if status["state"] != "pending" {
            break status["state"].clone();
        }
    };
    assert_eq!(state, "applied");
    let (status, problem) = server.get("/v1/stream?environment=stagign").await;
    assert_eq!((status.as_u16(), &problem["code"]), (404, &json!("environment.unknown")));
}

#[tokio::test]
async fn a_token_sees_its_environments_and_no_other() {
    let config = format!(
        "{CONFIG}\n[environments.production]\nreconcilers = [\"staging/Kustomization/a/b\"]\n\
         [[tokens]]\nname = \"ci\"\nsecret = \"env:TOKEN\"\nscopes = [\"read\", \"write\"]\n\
         environments = [\"staging\"]\n"
    );
    let server = start_with(&config).await;
    let token = [("Authorization", "Bearer the token of CI")];
    let path = format!("/v1/rollouts/staging/{A}");
    server.ask(Method::PUT, &path, &token, "{}").await;
    let (status, _) = server.get("/v1/stream").await;
    assert_eq!(status.as_u16(), 401);
    let (status, _) =
        server.ask(Method::GET, "/v1/stream?environment=production", &token, "").await;
    assert_eq!(status.as_u16(), 403);
    let response = server.send(Method::GET, "/v1/stream", &token, "").await;
    let mut stream = Stream { response, rest: String::new() };
    assert_eq!(stream.next().await.1["environment"], "staging");
}

#[tokio::test]
async fn whoever_comes_back_is_told_what_changed_meanwhile() {
    let server = start().await;
    server.put(&format!("/v1/rollouts/staging/{A}"), &json!({})).await;
    let mut stream = Stream::open(&server, "").await;
    let (id, _) = stream.next().await;
    drop(stream);
    server.event(&healthy(5, A)).await;
    let id = id.to_string();
    let response = server.send(Method::GET, "/v1/stream", &[("Last-Event-ID", &id)], "").await;
    let mut stream = Stream { response, rest: String::new() };
    assert_eq!(stream.next().await.1["outcome"], "succeeded");
}

#[tokio::test]
async fn a_stopping_server_ends_its_streams() {
    let server = start().await;
    let mut stream = Stream::open(&server, "").await;
    let stopping = tokio::spawn(server.stop());
    assert!(timeout(SOON, stream.event()).await.unwrap().is_none());
    timeout(SOON, stopping).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_nothing_behind() {
    let server = start().await;
    server.put(&format!("/v1/rollouts/staging/{A}"), &json!({})).await;
    let mut stream = Stream::open(&server, "").await;
    stream.next().await;
    assert_eq!(server.get("/readyz").await.1["waiters"], 1);
    drop(stream);
    let gone = async {
        while server.get("/readyz").await.1["waiters"] != 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(SOON, gone).await.unwrap();
}
