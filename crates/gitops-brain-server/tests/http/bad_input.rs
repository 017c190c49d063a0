//! Everything that can be wrong has its code, and changes nothing.

use gitops_brain::sign;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{A, B, CONFIG, KEY, Running, applying, object, start, start_with};

async fn nothing_changed(server: &Running) {
    assert_eq!(server.get("/readyz").await.1["position"], 0);
}

fn is(answer: &(StatusCode, Value), status: u16, code: &str) {
    assert_eq!((answer.0.as_u16(), answer.1["code"].as_str()), (status, Some(code)), "{answer:?}");
    assert_eq!(answer.1["status"], status);
    assert_eq!(answer.1["type"], format!("urn:gitops-brain:problem:{code}"));
    for field in ["title", "detail"] {
        assert!(!answer.1[field].as_str().unwrap().is_empty());
    }
}

#[tokio::test]
async fn signatures() {
    let server = start().await;
    let body = applying(5, A).to_string();
    let post = async |cluster: &str, headers: &[(&str, &str)]| {
        let path = format!("/v1/events/{cluster}");
        server.ask(Method::POST, &path, headers, body.clone()).await
    };
    is(&post("staging", &[]).await, 401, "signature.missing");
    is(&post("staging", &[("X-Signature", "nonsense")]).await, 401, "signature.malformed");
    let sha1 = format!("sha1={}", "0".repeat(40));
    is(&post("staging", &[("X-Signature", &sha1)]).await, 401, "signature.unsupported_algorithm");
    let wrong = sign(b"another key", body.as_bytes()).unwrap();
    let refused = post("staging", &[("X-Signature", &wrong)]).await;
    is(&refused, 401, "signature.mismatch");
    // A cluster that there is not is answered the same, whatever it is called.
    let right = sign(KEY.as_bytes(), body.as_bytes()).unwrap();
    for cluster in ["production", "Staging", "%00", "a%2Fb"] {
        assert_eq!(post(cluster, &[("X-Signature", &right)]).await, refused, "{cluster}");
        is(&post(cluster, &[]).await, 401, "signature.missing");
    }
    nothing_changed(&server).await;
    // One changed byte.
    let (code, _) = server.event_to("staging", KEY, body.as_bytes()).await;
    assert_eq!(code, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn one_cluster_cannot_speak_for_another() {
    let text = format!("{CONFIG}\n[clusters.production]\nhmac_keys = [\"env:OTHER_KEY\"]\n");
    let server = start_with(&text).await;
    let body = applying(5, A).to_string();
    is(&server.event_to("production", KEY, body.as_bytes()).await, 401, "signature.mismatch");
    nothing_changed(&server).await;
}

#[tokio::test]
async fn bodies() {
    let server = start().await;
    let body = applying(5, A).to_string();
    let truncated = &body.as_bytes()[..body.len() / 2];
    is(&server.event_to("staging", KEY, truncated).await, 400, "event.malformed");
    is(&server.event_to("staging", KEY, b"").await, 400, "event.malformed");
    is(&server.event_to("staging", KEY, b"{\"reason\":\"\xff\"}").await, 400, "event.not_utf8");
    let deep = format!("{{\"x\":{}", "[".repeat(10_000));
    is(&server.event_to("staging", KEY, deep.as_bytes()).await, 400, "event.too_deep");
    is(&server.event_to("staging", KEY, b"{}").await, 400, "event.missing_field");
    let mut future = applying(5, A);
    future["timestamp"] = json!("2999-01-01T00:00:00Z");
    is(&server.event(&future).await, 400, "event.from_the_future");
    let mut mistyped = applying(5, A);
    mistyped["severity"] = json!(7);
    let answer = server.event(&mistyped).await;
    is(&answer, 400, "event.invalid_field");
    assert!(answer.1["detail"].as_str().unwrap().contains("severity"), "{answer:?}");
    nothing_changed(&server).await;
}

#[tokio::test]
async fn a_body_of_3_mib_is_read_and_one_byte_more_is_not() {
    let server = start().await;
    let mut body = applying(5, A).to_string().into_bytes();
    body.resize(3 * 1024 * 1024, b' ');
    assert_eq!(server.event_to("staging", KEY, &body).await.0, StatusCode::ACCEPTED);
    body.push(b' ');
    is(&server.event_to("staging", KEY, &body).await, 413, "request.too_large");
    body.resize(10 * 1024 * 1024, b' ');
    let path = format!("/v1/rollouts/staging/{A}");
    is(&server.ask(Method::PUT, &path, &[], body).await, 413, "request.too_large");
}

#[tokio::test]
async fn a_revision_that_cannot_be_read_proves_nothing() {
    let server = start().await;
    let mut event = applying(5, A);
    event["metadata"]["revision"] = json!("what is this?");
    assert_eq!(server.event(&event).await.0, StatusCode::ACCEPTED);
    assert_eq!(server.outcome(A).await, "in_progress");
    let (_, answer) = server.get("/v1/reconcilers").await;
    assert_eq!(answer["reconcilers"][0]["commit"], Value::Null, "{answer}");
}

#[tokio::test]
async fn environments() {
    let server = start().await;
    for path in [
        format!("/v1/rollouts/stagign/{A}"),
        "/v1/rollouts?environment=stagign".to_owned(),
        "/v1/reconcilers?environment=stagign".to_owned(),
        format!("/v1/rollouts/stagign/{A}?wait=50s"),
    ] {
        let answer = server.get(&path).await;
        is(&answer, 404, "environment.unknown");
        assert!(
            answer.1["detail"].as_str().unwrap().contains("staging"),
            "it says which there are"
        );
    }
    let unknown = server.put(&format!("/v1/rollouts/stagign/{A}"), &json!({})).await;
    is(&unknown, 404, "environment.unknown");
    is(&server.get(&format!("/v1/rollouts/Staging/{A}")).await, 400, "environment.malformed");
    nothing_changed(&server).await;
}

#[tokio::test]
async fn commits() {
    let server = start().await;
    let near = format!("{}{}", &A[..20], &B[..20]);
    let claims = json!([{"commit": A, "parents": []}, {"commit": near, "parents": []}]);
    let json_type = [("Content-Type", "application/json")];
    server.ask(Method::POST, "/v1/ancestry", &json_type, claims.to_string()).await;
    for path in ["/v1/commits", "/v1/rollouts/staging"] {
        is(&server.get(&format!("{path}/aaaaaa")).await, 400, "commit.malformed");
        is(&server.get(&format!("{path}/xyzxyzxyz")).await, 400, "commit.malformed");
        is(&server.get(&format!("{path}/aaaaaaa")).await, 409, "commit.ambiguous");
        is(&server.get(&format!("{path}/ccccccc")).await, 404, "commit.unknown");
        assert_eq!(server.get(&format!("{path}/{}", &near[..21])).await.0, StatusCode::OK);
    }
    let put = async |commit: &str| {
        server.put(&format!("/v1/rollouts/staging/{commit}"), &json!({})).await
    };
    is(&put(&A[..20]).await, 400, "commit.abbreviated");
    is(&put("HEAD").await, 400, "commit.malformed");
}

#[tokio::test]
async fn registrations() {
    let server = start().await;
    let path = format!("/v1/rollouts/staging/{A}");
    let many: Vec<_> = (0..1001).map(|index| format!("staging/Kustomization/a/b{index}")).collect();
    let labels: serde_json::Map<_, _> = (0..33).map(|i| (format!("l{i}"), json!("x"))).collect();
    let (_, good) = object(&[], "root");
    for (body, code) in [
        (json!({ "exepct": [] }), "request.malformed"),
        (json!({ "expect": ["apps"] }), "request.malformed"),
        (json!({ "expect": many }), "request.limit"),
        (json!({ "timeout": "soon" }), "duration.malformed"),
        (json!({ "timeout": "0s" }), "duration.malformed"),
        (json!({ "labels": labels }), "request.limit"),
        (json!({ "labels": { "a=b": "x" } }), "label.malformed"),
        (json!({ "labels": { "a": "x\n::error::" } }), "label.malformed"),
        (json!({ "labels": { "a": "x".repeat(1025) } }), "label.malformed"),
        (json!({ "objects": ["!"] }), "commit_object.malformed"),
        (json!({ "objects": [good, "aGVsbG8="] }), "commit_object.malformed"),
        (json!({ "objects": vec!["aGVsbG8="; 2001] }), "request.limit"),
        (json!({ "ancestry": [{ "commit": "aa", "parents": [] }] }), "request.malformed"),
        (json!([1]), "request.malformed"),
    ] {
        is(&server.put(&path, &body).await, 400, code);
    }
    let answer = server.put(&path, &json!({ "objects": [good, "aGVsbG8="] })).await;
    assert!(answer.1["detail"].as_str().unwrap().starts_with("objects[1]"), "{answer:?}");
    is(&server.ask(Method::PUT, &path, &[], "{").await, 400, "request.malformed");
    nothing_changed(&server).await;
    assert_eq!(server.ask(Method::PUT, &path, &[], "").await.0, StatusCode::CREATED, "no body");
}

#[tokio::test]
async fn questions() {
    let server = start().await;
    let path = format!("/v1/rollouts/staging/{A}");
    for (query, code) in [
        ("waiit=50s", "query.unknown"),
        ("wait=50", "duration.malformed"),
        ("wait=1s&wait=2s", "query.malformed"),
        ("for=green", "query.malformed"),
        ("reconciler=apps", "reconciler.malformed"),
        ("failure_grace=x", "duration.malformed"),
    ] {
        is(&server.get(&format!("{path}?{query}")).await, 400, code);
    }
    for count in [101, 1_000] {
        let many = "reconciler=staging/*/*/*&".repeat(count);
        is(&server.get(&format!("{path}?{many}")).await, 400, "request.limit");
    }
    for query in ["limit=0", "limit=201", "before=x", "outcome=green", "label=x"] {
        is(&server.get(&format!("/v1/rollouts?{query}")).await, 400, "query.malformed");
    }
    is(&server.get("/v1/reconcilers?cluster=A").await, 400, "cluster.malformed");
    let bad = "/v1/reconcilers/staging/Kustomization/a/b%20c";
    is(&server.ask(Method::DELETE, bad, &[], "").await, 400, "reconciler.malformed");
}

#[tokio::test]
async fn ancestry() {
    let server = start().await;
    let post = async |kind: &str, body: String| {
        server.ask(Method::POST, "/v1/ancestry", &[("Content-Type", kind)], body).await
    };
    is(&post("text/plain", "[]".to_owned()).await, 415, "request.content_type");
    let kind = "application/json; charset=utf-8";
    is(&post(kind, "{}".to_owned()).await, 400, "request.malformed");
    is(&post(kind, "[1]".to_owned()).await, 400, "request.malformed");
    let claims: Vec<_> =
        (0..2001).map(|i| json!({"commit": format!("{i:040x}"), "parents": []})).collect();
    is(&post(kind, json!(claims).to_string()).await, 400, "request.limit");
    let parents: Vec<_> = (0..65).map(|i| format!("{i:040x}")).collect();
    let claims = json!([{ "commit": A, "parents": parents }]);
    is(&post(kind, claims.to_string()).await, 400, "request.limit");
    nothing_changed(&server).await;
    assert_eq!(post(kind, "[]".to_owned()).await.1, json!({ "result": "known", "commits": 0 }));
}

#[tokio::test]
async fn paths_and_methods() {
    let server = start().await;
    is(&server.get("/v2/rollouts").await, 404, "route.unknown");
    // Never a redirect: a POST would become a GET.
    is(&server.ask(Method::POST, "/v1/events/staging/", &[], "").await, 404, "route.unknown");
    is(&server.get("/v1/events/staging").await, 405, "route.method");
    let response = server.send(Method::GET, "/v1/events/staging", &[], "").await;
    assert_eq!(response.headers()["allow"], "POST");
}
