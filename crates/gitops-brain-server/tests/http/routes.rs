//! What each route answers when all is well.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::harness::{
    A, APPS, B, CONFIG, applying, failed, healthy, object, start, start_with, succeeded,
};

#[tokio::test]
async fn a_rollout_goes_green() {
    let server = start().await;
    let path = format!("/v1/rollouts/staging/{A}");
    let body = json!({ "timeout": "10m", "labels": { "app": "shop" } });
    let (code, status) = server.put(&path, &body).await;
    assert_eq!(code, StatusCode::CREATED);
    assert_eq!(status["registered"], true);
    assert_eq!(status["timeout_seconds"], 600);
    assert_eq!(status["labels"], json!({ "app": "shop" }));
    assert_eq!(status["outcome"], "in_progress");
    let (code, _) = server.put(&path, &body).await;
    assert_eq!(code, StatusCode::OK, "known");

    let (code, answer) = server.event(&applying(20, A)).await;
    assert_eq!((code, &answer), (StatusCode::ACCEPTED, &json!({"result":"accepted","code":null})));
    assert_eq!(server.outcome(A).await, "in_progress");
    server.event(&healthy(10, A)).await;
    let (code, status) = server.get(&path).await;
    assert_eq!(code, StatusCode::OK);
    assert_eq!(status["outcome"], "succeeded");
    assert_eq!(status["first_settled"]["outcome"], "succeeded", "it is settled at once");
    assert_eq!(status["reconcilers"][0]["reconciler"], APPS);
}

#[tokio::test]
async fn a_rollout_goes_red_and_recovers() {
    let server = start().await;
    server.put(&format!("/v1/rollouts/staging/{A}"), &json!({})).await;
    server.event(&applying(30, A)).await;
    server.event(&failed(20, A)).await;
    assert_eq!(server.outcome(A).await, "failed");
    server.event(&healthy(10, A)).await;
    assert_eq!(server.outcome(A).await, "succeeded");
    let (_, status) = server.get(&format!("/v1/rollouts/staging/{A}")).await;
    assert_eq!(status["first_settled"]["outcome"], "failed");
}

#[tokio::test]
async fn an_event_that_is_sent_again_changes_nothing() {
    let server = start().await;
    let (first, second) = (applying(40, A), healthy(20, A));
    for event in [&first, &second] {
        assert_eq!(server.event(event).await.0, StatusCode::ACCEPTED);
    }
    let path = format!("/v1/rollouts/staging/{A}");
    let (_, before) = server.get(&path).await;
    for event in [&first, &second] {
        let (status, answer) = server.event(event).await;
        assert_eq!((status, &answer["result"]), (StatusCode::OK, &json!("known")));
    }
    let (_, after) = server.get(&path).await;
    let heard = |status: &serde_json::Value| status["reconcilers"][0]["last_heard_at"].clone();
    assert!(heard(&before).is_string());
    assert_eq!(heard(&before), heard(&after), "a cluster that fell silent is not heard");
    assert_eq!(before["version"], after["version"]);
}

#[tokio::test]
async fn an_event_of_long_ago_is_refused() {
    let server = start_with(&format!("retention = \"10d\"{CONFIG}")).await;
    let day = 24 * 60 * 60;
    assert_eq!(server.event(&healthy(9 * day, A)).await.0, StatusCode::ACCEPTED);
    let (status, problem) = server.event(&healthy(11 * day, A)).await;
    assert_eq!((status, &problem["code"]), (StatusCode::BAD_REQUEST, &json!("event.too_old")));
}

#[tokio::test]
async fn a_request_has_a_name() {
    let server = start().await;
    let name = async |given: &str| {
        let headers = [("X-Request-Id", given)];
        let headers = if given.is_empty() { &[][..] } else { &headers };
        let response = server.send(Method::GET, "/healthz", headers, "").await;
        response.headers()["x-request-id"].to_str().unwrap().to_owned()
    };
    assert_eq!(name("run-17.2_a").await, "run-17.2_a");
    let (first, second) = (name("").await, name("").await);
    assert_ne!(first, second);
    for odd in ["two words", "{}", &"x".repeat(65)] {
        assert_ne!(name(odd).await, odd);
    }
}

#[tokio::test]
async fn the_version_is_the_entity_tag_and_begins_with_the_position() {
    let server = start().await;
    server.event(&applying(20, A)).await;
    let path = format!("/v1/rollouts/staging/{A}");
    let response = server.send(Method::GET, &path, &[], "").await;
    let tag = response.headers()["etag"].to_str().unwrap().to_owned();
    let status: serde_json::Value = response.json().await.unwrap();
    assert_eq!(tag, format!("\"{}\"", status["version"].as_str().unwrap()));
    assert!(tag.starts_with("\"1."), "{tag}");
}

#[tokio::test]
async fn what_was_never_registered_is_answered_too() {
    let server = start().await;
    let (code, status) = server.get(&format!("/v1/rollouts/staging/{B}")).await;
    assert_eq!(code, StatusCode::OK);
    assert_eq!((&status["registered"], &status["settled"]), (&json!(false), &json!(false)));
    server.event(&healthy(10, B)).await;
    let (_, status) = server.get("/v1/rollouts/staging/bbbbbbb").await;
    assert_eq!((&status["commit"], &status["outcome"]), (&json!(B), &json!("succeeded")));
}

#[tokio::test]
async fn a_question_can_have_its_own_terms() {
    let server = start().await;
    server.event(&applying(20, A)).await;
    let path = format!("/v1/rollouts/staging/{A}");
    let (_, status) = server.get(&format!("{path}?for=applied")).await;
    assert_eq!(status["outcome"], "succeeded");
    let (_, status) =
        server.get(&format!("{path}?reconciler={APPS}&reconciler=staging/*/other/*")).await;
    assert_eq!(status["outcome"], "in_progress");
    server.event(&failed(5, A)).await;
    let (_, status) = server.get(&format!("{path}?failure_grace=1h")).await;
    assert_eq!(status["outcome"], "in_progress");
    assert_eq!(server.outcome(A).await, "failed");
}

#[tokio::test]
async fn heartbeats_are_known_and_not_stored_one_by_one() {
    let server = start().await;
    server.event(&applying(60, A)).await;
    server.event(&healthy(50, A)).await;
    server.event(&succeeded(40, A)).await;
    let (_, before) = server.get("/readyz").await;
    for ago in [30, 20, 10] {
        let (code, answer) = server.event(&succeeded(ago, A)).await;
        assert_eq!((code, &answer["result"]), (StatusCode::OK, &json!("known")));
    }
    let (_, after) = server.get("/readyz").await;
    assert_eq!(before["position"], after["position"]);
    // The newest is stored when the server stops, one row for all.
    let folder = server.stop().await;
    let server = crate::harness::start_in(CONFIG, folder).await;
    let (_, again) = server.get("/readyz").await;
    assert_eq!(again["position"].as_u64().unwrap(), before["position"].as_u64().unwrap() + 1);
}

#[tokio::test]
async fn a_heartbeat_is_stored_before_what_comes_late() {
    let server = start().await;
    server.event(&applying(60, A)).await;
    server.event(&healthy(50, A)).await;
    server.event(&succeeded(40, A)).await;
    server.event(&succeeded(10, A)).await;
    server.event(&failed(20, A)).await;
    let before = server.get(&format!("/v1/rollouts/staging/{A}")).await.1;
    // As a crash would have it, but for the file's lock.
    let rows: Vec<String> =
        server.service.with_brain(|brain| brain.facts().map(|fact| fact.to_line()).collect());
    assert!(rows.iter().any(|row| row.contains("HealthCheckFailed")));
    let folder = server.stop().await;
    let server = crate::harness::start_in(CONFIG, folder).await;
    let after = server.get(&format!("/v1/rollouts/staging/{A}")).await.1;
    assert_eq!(before["outcome"], after["outcome"]);
}

#[tokio::test]
async fn what_says_nothing_is_ignored() {
    let server = start().await;
    let mut event = applying(10, A);
    event["involvedObject"]["kind"] = json!("ImagePolicy");
    let (code, answer) = server.event(&event).await;
    assert_eq!(code, StatusCode::OK);
    assert_eq!(answer, json!({ "result": "ignored", "code": "event.kind_ignored" }));
}

#[tokio::test]
async fn a_repeated_event_is_known() {
    let server = start().await;
    let event = healthy(10, A);
    assert_eq!(server.event(&event).await.0, StatusCode::ACCEPTED);
    assert_eq!(server.event(&event).await.1["result"], "known");
    let mut event = applying(10, A);
    event["involvedObject"]["kind"] = json!("GitRepository");
    event["reason"] = json!("NewArtifact");
    assert_eq!(server.event(&event).await.0, StatusCode::ACCEPTED);
    assert_eq!(server.event(&event).await.1["result"], "known");
}

#[tokio::test]
async fn a_later_commit_covers_an_earlier_one() {
    let server = start().await;
    let (root, root_object) = object(&[], "root");
    let (first, first_object) = object(&[&root], "first");
    let (second, second_object) = object(&[&first], "second");
    let body = json!({ "objects": [root_object, first_object] });
    let (code, status) = server.put(&format!("/v1/rollouts/staging/{first}"), &body).await;
    assert_eq!(code, StatusCode::CREATED, "{status}");
    server.event(&healthy(10, &second)).await;
    let (_, status) = server.get(&format!("/v1/rollouts/staging/{first}")).await;
    assert_eq!(status["reason"], "ancestry_unknown");

    let json_type = [("Content-Type", "application/json")];
    let body = json!({ "objects": [second_object] }).to_string();
    let (code, answer) = server.ask(Method::POST, "/v1/ancestry", &json_type, body.clone()).await;
    assert_eq!(code, StatusCode::ACCEPTED);
    assert_eq!(answer, json!({ "result": "accepted", "commits": 1 }));
    let (_, status) = server.get(&format!("/v1/rollouts/staging/{first}")).await;
    assert_eq!(status["outcome"], "succeeded");
    assert_eq!(status["reconcilers"][0]["via"], second.as_str());
    let (code, answer) = server.ask(Method::POST, "/v1/ancestry", &json_type, body).await;
    assert_eq!((code, &answer["result"]), (StatusCode::OK, &json!("known")));
}

#[tokio::test]
async fn parents_can_be_claimed() {
    let server = start().await;
    server.put(&format!("/v1/rollouts/staging/{A}"), &json!({})).await;
    server.event(&healthy(10, B)).await;
    let claim = json!([{ "commit": B, "parents": [A] }]).to_string();
    let json_type = [("Content-Type", "application/json")];
    let (code, _) = server.ask(Method::POST, "/v1/ancestry", &json_type, claim).await;
    assert_eq!(code, StatusCode::ACCEPTED);
    assert_eq!(server.outcome(A).await, "succeeded");
}

#[tokio::test]
async fn a_commit_is_shown_in_all_environments() {
    let text = format!("{}\n[environments.other]\nreconcilers = [\"staging/*/*/*\"]", CONFIG);
    let server = start_with(&text).await;
    server.event(&healthy(10, A)).await;
    let (code, answer) = server.get("/v1/commits/aaaaaaaa").await;
    assert_eq!(code, StatusCode::OK);
    assert_eq!(answer["commit"], A);
    let environments: Vec<_> = answer["statuses"]
        .as_array()
        .unwrap()
        .iter()
        .map(|status| (status["environment"].as_str().unwrap(), status["reason"].as_str().unwrap()))
        .collect();
    assert_eq!(environments, [("other", "learning"), ("staging", "succeeded")]);
}

#[tokio::test]
async fn history_is_listed_page_by_page() {
    let server = start().await;
    let commits: Vec<String> = (0..5).map(|digit| digit.to_string().repeat(40)).collect();
    for (index, commit) in commits.iter().enumerate() {
        let labels = json!({ "app": if index % 2 == 0 { "shop" } else { "blog" } });
        let body = json!({ "labels": labels });
        server.put(&format!("/v1/rollouts/staging/{commit}"), &body).await;
        tokio::time::sleep(std::time::Duration::from_millis(3)).await;
    }
    let mut seen = Vec::new();
    let mut path = "/v1/rollouts?limit=2".to_owned();
    loop {
        let (code, answer) = server.get(&path).await;
        assert_eq!(code, StatusCode::OK);
        for status in answer["rollouts"].as_array().unwrap() {
            seen.push(status["commit"].as_str().unwrap().to_owned());
        }
        let Some(next) = answer["next"].as_str() else { break };
        path = format!("/v1/rollouts?limit=2&before={next}");
    }
    assert_eq!(seen, commits.iter().rev().cloned().collect::<Vec<_>>());
    let (_, answer) = server.get("/v1/rollouts?label=app=blog&environment=staging").await;
    assert_eq!(answer["rollouts"].as_array().unwrap().len(), 2);
    let (_, answer) = server.get("/v1/rollouts?outcome=failed").await;
    assert_eq!(answer, json!({ "rollouts": [], "next": null }));
}

#[tokio::test]
async fn reconcilers_are_listed_and_removed() {
    let server = start().await;
    server.event(&healthy(10, A)).await;
    let (code, answer) = server.get("/v1/reconcilers?environment=staging&cluster=staging").await;
    assert_eq!(code, StatusCode::OK);
    assert_eq!(answer["reconcilers"][0]["reconciler"], APPS);
    assert_eq!(answer["reconcilers"][0]["commit"], A);
    let (code, answer) =
        server.ask(Method::DELETE, &format!("/v1/reconcilers/{APPS}"), &[], "").await;
    assert_eq!(code, StatusCode::OK);
    assert_eq!(answer, json!({ "result": "removed", "reconciler": APPS, "known": true }));
    let (_, status) = server.get(&format!("/v1/rollouts/staging/{A}")).await;
    assert_eq!(status["reconcilers"], json!([]));
}

#[tokio::test]
async fn without_a_configuration_each_cluster_is_its_environment() {
    let server = start_with("listen = \"127.0.0.1:0\"").await;
    let path = "/v1/events/anything";
    let (code, _) = server.ask(Method::POST, path, &[], applying(5, A).to_string()).await;
    assert_eq!(code, StatusCode::ACCEPTED);
    let (_, status) = server.get(&format!("/v1/rollouts/anything/{A}?for=applied")).await;
    assert_eq!(status["reason"], "learning");
}

#[tokio::test]
async fn the_server_says_how_it_is() {
    let server = start().await;
    assert_eq!(server.get("/healthz").await.1, json!({ "status": "ok" }));
    server.event(&applying(5, A)).await;
    let (code, ready) = server.get("/readyz").await;
    assert_eq!(code, StatusCode::OK);
    assert_eq!((&ready["status"], &ready["store"]), (&json!("ready"), &json!("ok")));
    assert_eq!((&ready["position"], &ready["facts_loaded"]), (&json!(1), &json!(0)));
    assert_eq!(ready["policy"].as_str().unwrap().len(), 16);
}
