//! What the server knows of what is wrong with a set-up, and to whom it says so.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{
    A, APPS, CONFIG, KEY, applying, event, healthy, start, start_with, succeeded,
};

fn codes(diagnosis: &Value) -> Vec<&str> {
    let findings = diagnosis["findings"].as_array().unwrap();
    assert!(findings.iter().all(|one| one["remedy"].as_str().is_some_and(|text| !text.is_empty())));
    findings.iter().map(|one| one["code"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn nothing_is_found_where_all_is_well() {
    let server = start().await;
    for event in [applying(3, A), healthy(2, A), succeeded(1, A)] {
        server.event(&event).await;
    }
    let (status, diagnosis) = server.get("/v1/doctor").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(codes(&diagnosis), [""; 0], "{diagnosis:#}");
    let cluster = &diagnosis["clusters"][0];
    assert_eq!((&cluster["cluster"], &cluster["reconcilers"]), (&json!("staging"), &json!(1)));
    assert!(
        cluster["clock_behind_seconds"].as_i64().is_some_and(|behind| (0..=5).contains(&behind))
    );
    assert_eq!(diagnosis["token"]["scopes"], json!(["read", "write", "ancestry", "admin"]));
    let (_, ready) = server.get("/readyz").await;
    assert_eq!(diagnosis["policy"], ready["policy"]);
}

#[tokio::test]
async fn clocks_keys_and_refused_events_are_told_of() {
    let more = "[clusters.other]\nhmac_keys = [\"env:KEY\"]\n";
    let server = start_with(&format!("{CONFIG}{more}")).await;
    assert_eq!(codes(&server.get("/v1/doctor").await.1), ["cluster_never_heard", "key_shared"]);

    server.event(&healthy(-30, A)).await;
    let body = healthy(0, A).to_string();
    server.event_to("other", "a wrong key", body.as_bytes()).await;
    server.event_to("other", KEY, b"{").await;
    // Nobody can make it remember what does not exist.
    server.event_to("nowhere", KEY, body.as_bytes()).await;
    let (_, diagnosis) = server.get("/v1/doctor").await;
    assert_eq!(codes(&diagnosis), ["events_refused", "clock_skew", "key_shared"], "{diagnosis:#}");
    let names: Vec<_> =
        diagnosis["clusters"].as_array().unwrap().iter().map(|one| &one["cluster"]).collect();
    assert_eq!(names, ["other", "staging"]);
    assert_eq!(diagnosis["clusters"][0]["refused"]["count"], 2);
    assert_eq!(diagnosis["clusters"][0]["refused"]["code"], "event.malformed");
    let message = diagnosis["findings"][1]["message"].as_str().unwrap();
    assert!(message.contains("s ahead of the server's"), "{message}");
}

#[tokio::test]
async fn a_confined_token_hears_of_its_environments_alone() {
    let more = r#"
[clusters.other]
hmac_keys = ["env:KEY"]
[environments.other]
reconcilers = ["other/Kustomization/flux-system/apps"]
[[tokens]]
name = "ci"
secret = "env:TOKEN"
scopes = ["read"]
environments = ["staging"]
"#;
    let server = start_with(&format!("{CONFIG}{more}")).await;
    let (status, _) = server.get("/v1/doctor").await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let headers = [("Authorization", "Bearer the token of CI")];
    let (status, diagnosis) = server.ask(Method::GET, "/v1/doctor", &headers, "").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(codes(&diagnosis), ["cluster_never_heard"], "{diagnosis:#}");
    assert_eq!(diagnosis["findings"][0]["environment"], "staging");
    assert_eq!(diagnosis["clusters"], json!([]));
    let token = json!({ "name": "ci", "scopes": ["read"], "environments": ["staging"] });
    assert_eq!(diagnosis["token"], token);
}

#[tokio::test]
async fn what_the_core_finds_is_told() {
    let server = start().await;
    server.event(&succeeded(3, A)).await;
    let (_, diagnosis) = server.get("/v1/doctor").await;
    assert_eq!(codes(&diagnosis), ["health_unproved"], "{diagnosis:#}");
    assert_eq!(diagnosis["findings"][0]["subject"], APPS);
    let other = event(1, A, "info", "Progressing", "x");
    server.event(&other).await;
    assert_eq!(codes(&server.get("/v1/doctor").await.1), ["health_unproved"]);
}
