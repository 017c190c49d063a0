//! Numbers for Prometheus.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::harness::{A, CONFIG, KEY, Running, applying, healthy, start, start_with};

/// What a line says, given all that stands before its value.
async fn value(server: &Running, line: &str) -> Option<f64> {
    let response = server.send(Method::GET, "/metrics", &[], "").await;
    assert!(
        response.headers()["content-type"].to_str().unwrap().starts_with("application/openmetrics")
    );
    let text = response.text().await.unwrap();
    assert!(text.ends_with("# EOF\n"), "{text}");
    text.lines().find_map(|each| each.strip_prefix(line)?.trim().parse().ok())
}

#[tokio::test]
async fn what_comes_in_is_counted_by_what_becomes_of_it() {
    let server = start().await;
    server.put(&format!("/v1/rollouts/staging/{A}"), &json!({})).await;
    // The same bytes: made twice, it could have two timestamps.
    let sent_twice = applying(9, A);
    server.event(&sent_twice).await;
    server.event(&sent_twice).await;
    server.event(&healthy(5, A)).await;
    server.event_to("staging", "not the key", b"{}").await;
    server.event_to("production", KEY, b"{}").await;
    let event =
        |result| format!("gitops_brain_events_total{{cluster=\"staging\",result=\"{result}\"}}");
    assert_eq!(value(&server, &event("accepted")).await, Some(2.0));
    assert_eq!(value(&server, &event("known")).await, Some(1.0));
    let rejected = "gitops_brain_events_rejected_total{code=\"signature.mismatch\"}";
    assert_eq!(value(&server, rejected).await, Some(2.0), "nobody learns which clusters there are");
    let settled = "gitops_brain_settlements_total{environment=\"staging\",outcome=\"succeeded\"}";
    // It is recorded after the event is answered.
    while value(&server, settled).await != Some(1.0) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for took in ["applied", "healthy"] {
        let line = format!("gitops_brain_time_to_{took}_seconds_count{{environment=\"staging\"}}");
        assert_eq!(value(&server, &line).await, Some(1.0), "{took}");
    }
    assert!(value(&server, "gitops_brain_journal_append_seconds_count").await.unwrap() >= 3.0);
    let heard = "gitops_brain_cluster_last_event_timestamp_seconds{cluster=\"staging\"}";
    assert!(value(&server, heard).await.unwrap() > 1.7e9);
    let known = "gitops_brain_cluster_reconcilers{cluster=\"staging\"}";
    assert_eq!(value(&server, known).await, Some(1.0));
}

#[tokio::test]
async fn they_need_a_token_unless_they_are_public() {
    let token = "[[tokens]]\nname = \"ci\"\nsecret = \"env:TOKEN\"\nscopes = [\"read\"]\n";
    let server = start_with(&format!("{CONFIG}{token}")).await;
    assert_eq!(server.get("/metrics").await.0.as_u16(), 401);
    let bearer = [("Authorization", "Bearer the token of CI")];
    let response = server.send(Method::GET, "/metrics", &bearer, "").await;
    assert_eq!(response.status().as_u16(), 200);
    let server = start_with(&format!("{CONFIG}[metrics]\npublic = true\n{token}")).await;
    assert!(value(&server, "gitops_brain_waiters").await.is_some());
}
