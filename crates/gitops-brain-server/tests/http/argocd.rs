//! Applications of Argo CD, which comes with a bearer token.

use chrono::TimeDelta;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{A, now, start_with};

const CONFIG: &str = r#"
listen = "127.0.0.1:0"
[clusters.staging]
bearer_tokens = ["env:TOKEN"]
[environments.staging]
reconcilers = ["staging/Application/argocd/web"]
"#;

fn application(health: &str, ago: i64) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
        "metadata": { "namespace": "argocd", "name": "web", "uid": "1", "resourceVersion": "7" },
        "status": {
            "sync": { "status": "Synced", "revision": A },
            "health": { "status": health, "message": "exceeded its progress deadline" },
            "reconciledAt": now() - TimeDelta::seconds(ago),
        },
    })
}

#[tokio::test]
async fn an_application_turns_a_commit_red_and_green() {
    let server = start_with(CONFIG).await;
    server.put(&format!("/v1/rollouts/staging/{A}"), &json!({})).await;
    let post = async |body: Value, token: &str| {
        let token = format!("Bearer {token}");
        let headers = [("Authorization", token.as_str())];
        server.ask(Method::POST, "/v1/events/staging", &headers, body.to_string()).await
    };
    let (status, problem) = post(application("Healthy", 5), "another token").await;
    assert_eq!((status, &problem["code"]), (StatusCode::UNAUTHORIZED, &json!("token.unknown")));
    let (status, answer) = post(application("Degraded", 5), "the token of CI").await;
    assert_eq!((status, &answer["result"]), (StatusCode::ACCEPTED, &json!("accepted")));
    assert_eq!(server.outcome(A).await, "failed");
    let (_, rollout) = server.get(&format!("/v1/rollouts/staging/{A}")).await;
    let event = &rollout["reconcilers"][0]["event"];
    assert_eq!(event["reason"], "HealthDegraded");
    assert_eq!(event["message"], "exceeded its progress deadline");
    post(application("Healthy", 1), "the token of CI").await;
    assert_eq!(server.outcome(A).await, "succeeded");

    let mut broken = application("Healthy", 0);
    broken["status"] = json!("none");
    let (status, problem) = post(broken, "the token of CI").await;
    let expected = (StatusCode::BAD_REQUEST, &json!("application.malformed"));
    assert_eq!((status, &problem["code"]), expected);
}
