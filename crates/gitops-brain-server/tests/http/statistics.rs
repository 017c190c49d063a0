//! The four measures of DORA over HTTP.

use reqwest::StatusCode;
use serde_json::json;

use crate::harness::{A, B, applying, failed, healthy, start};

#[tokio::test]
async fn rollouts_are_counted_when_they_settle() {
    let server = start().await;
    let labels = json!({ "labels": { "app": "shop" } });
    server.put(&format!("/v1/rollouts/staging/{A}"), &labels).await;
    server.put(&format!("/v1/rollouts/staging/{B}"), &json!({})).await;
    let (_, before) = server.get("/v1/stats").await;
    assert_eq!(before["statistics"], json!([]));
    for event in [applying(40, A), failed(35, A), healthy(30, A), applying(20, B), healthy(10, B)] {
        server.event(&event).await;
    }
    let (status, answer) = server.get("/v1/stats?environment=staging&window=24h").await;
    assert_eq!(status, StatusCode::OK);
    let statistics = answer["statistics"].as_array().unwrap();
    let apps: Vec<_> = statistics.iter().map(|one| &one["app"]).collect();
    assert_eq!(apps, [&json!(null), &json!("shop")]);
    assert_eq!(statistics[0]["succeeded"], 1);
    assert_eq!(statistics[0]["deployments_per_day"], 1.0);
    assert_eq!((&statistics[1]["failed"], &statistics[1]["succeeded"]), (&json!(1), &json!(0)));
    assert_eq!(statistics[1]["change_failure_rate"], 1.0);
    assert_eq!(statistics[1]["time_to_restore_seconds"]["p50"], 0, "at once, by our clock");
    assert_eq!(statistics[1]["days"][0]["failed"], 1);

    let (_, of_shop) = server.get("/v1/stats?app=shop").await;
    assert_eq!(of_shop["statistics"].as_array().unwrap().len(), 1);
    for wrong in ["window=0s", "window=1", "window=100000h", "windows=1h"] {
        let (status, problem) = server.get(&format!("/v1/stats?{wrong}")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{wrong}: {problem}");
    }
    assert_eq!(server.get("/v1/stats?environment=nowhere").await.0, StatusCode::NOT_FOUND);
}
