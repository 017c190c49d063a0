//! What badges show, and to whom.

use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::harness::{
    A, B, CONFIG, Running, applying, config, event, failed, healthy, start, start_with, succeeded,
};

const GREEN: &str = "#1a7f37";
const BLUE: &str = "#0969da";
const GREY: &str = "#656d76";
const RED: &str = "#cf222e";

const TOKENS: &str = r#"
[[tokens]]
name = "ci"
secret = "env:TOKEN"
scopes = ["read"]
environments = ["staging"]
[[tokens]]
name = "admin"
sha256 = "8c6976e5b5410415bde908bd4dee15dfb167a9c873fc4bb8a81f6f2ab448a918"
scopes = ["admin"]
[environments.other]
reconcilers = ["staging/Kustomization/flux-system/other"]
"#;

const PUBLIC: &str = "[badge]\npublic = true\n";

async fn ask(server: &Running, path: &str, headers: &[(&str, &str)]) -> Response {
    server.send(Method::GET, path, headers, "").await
}

async fn refused(server: &Running, path: &str, headers: &[(&str, &str)]) -> (u16, Value) {
    let (status, problem) = server.ask(Method::GET, path, headers, "").await;
    (status.as_u16(), problem)
}

/// What a badge says, and on which colour.
async fn shown(server: &Running, environment: &str) -> (String, String) {
    let response = ask(server, &format!("/badge/{environment}.svg"), &[]).await;
    assert_eq!(response.status(), StatusCode::OK);
    let svg = response.text().await.unwrap();
    let between = |from: &str, to: &str| {
        let rest = svg.split_once(from).unwrap_or_else(|| panic!("no {from} in {svg}")).1;
        rest.split_once(to).unwrap().0.to_owned()
    };
    let title = between("<title>", "</title>");
    assert_eq!(title, between("aria-label=\"", "\""));
    let (label, words) = title.split_once(": ").unwrap();
    assert_eq!(label, environment);
    for text in [label, words] {
        assert!(svg.contains(&format!(">{text}</text>")), "{text} in {svg}");
    }
    let colours = [GREEN, BLUE, GREY, RED];
    let mut found = colours.into_iter().filter(|colour| svg.contains(colour));
    let colour = found.next().unwrap().to_owned();
    assert_eq!(found.next(), None, "{svg}");
    (words.to_owned(), colour)
}

#[track_caller]
fn is(shown: (String, String), words: &str, colour: &str) {
    assert_eq!((&*shown.0, &*shown.1), (words, colour));
}

/// The same event of another reconciler.
fn of(name: &str, mut event: Value) -> Value {
    event["involvedObject"]["name"] = json!(name);
    event
}

#[tokio::test]
async fn a_badge_shows_the_state_of_what_was_taken_up_last() {
    let server = start().await;
    is(shown(&server, "staging").await, "unknown", GREY);
    server.event(&applying(60, A)).await;
    is(shown(&server, "staging").await, "applied aaaaaaa", BLUE);
    server.event(&healthy(50, A)).await;
    is(shown(&server, "staging").await, "healthy aaaaaaa", GREEN);
    server.event(&applying(40, B)).await;
    is(shown(&server, "staging").await, "applied bbbbbbb", BLUE);
    server.event(&failed(30, B)).await;
    is(shown(&server, "staging").await, "failed bbbbbbb", RED);
    // A red check is not mended by a success that tells of no check.
    server.event(&succeeded(20, A)).await;
    is(shown(&server, "staging").await, "applied aaaaaaa", BLUE);
    server.event(&healthy(10, A)).await;
    is(shown(&server, "staging").await, "healthy aaaaaaa", GREEN);
}

#[tokio::test]
async fn it_is_a_picture_that_must_be_asked_for_again() {
    let server = start().await;
    server.event(&healthy(50, A)).await;
    let path = "/badge/staging.svg";
    let response = ask(&server, path, &[]).await;
    for (header, value) in [
        ("content-type", "image/svg+xml"),
        ("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'"),
        ("cache-control", "no-cache"),
        ("x-content-type-options", "nosniff"),
    ] {
        assert_eq!(response.headers()[header], value);
    }
    let tag = response.headers()["etag"].to_str().unwrap().to_owned();
    let svg = response.text().await.unwrap();
    assert!(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\" "), "{svg}");
    assert!(svg.contains("role=\"img\""), "{svg}");
    for known in [&tag, &format!("W/{tag}"), &format!("\"x\", {tag}"), "*"] {
        let response = ask(&server, path, &[("If-None-Match", known)]).await;
        assert_eq!(response.status(), StatusCode::NOT_MODIFIED, "{known}");
        assert_eq!(response.headers()["etag"], tag);
        assert_eq!(response.headers()["cache-control"], "no-cache");
        assert_eq!(response.text().await.unwrap(), "");
    }
    server.event(&failed(10, A)).await;
    let response = ask(&server, path, &[("If-None-Match", &tag)]).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_ne!(response.headers()["etag"], tag);
}

#[tokio::test]
async fn what_is_expected_and_was_never_heard_keeps_it_from_being_green() {
    let text = CONFIG
        .replace("reconcilers = [", "reconcilers = [\"staging/Kustomization/flux-system/infra\", ");
    let server = start_with(&text).await;
    server.event(&healthy(50, A)).await;
    is(shown(&server, "staging").await, "pending aaaaaaa", GREY);
    server.event(&of("infra", healthy(40, A))).await;
    is(shown(&server, "staging").await, "healthy aaaaaaa", GREEN);
    // The other one has not come so far.
    server.event(&applying(30, B)).await;
    is(shown(&server, "staging").await, "mixed", GREY);
    server.event(&failed(20, B)).await;
    is(shown(&server, "staging").await, "failed mixed", RED);
    server.event(&of("infra", healthy(10, B))).await;
    is(shown(&server, "staging").await, "failed bbbbbbb", RED);
    server.event(&healthy(5, B)).await;
    is(shown(&server, "staging").await, "healthy bbbbbbb", GREEN);
    // Others than those of the environment do not count.
    server.event(&of("elsewhere", failed(2, A))).await;
    is(shown(&server, "staging").await, "healthy bbbbbbb", GREEN);
}

#[tokio::test]
async fn a_set_that_may_be_incomplete_is_not_green() {
    let server = start_with(&CONFIG.replace("flux-system/apps", "*/*")).await;
    server.event(&healthy(50, A)).await;
    is(shown(&server, "staging").await, "pending aaaaaaa", GREY);
    // Nor is it when the time of a rollout is over.
    let path = format!("/v1/rollouts/staging/{A}");
    server.put(&path, &json!({ "timeout": "1ms" })).await;
    let (_, status) = server.get(&format!("{path}?wait=10s")).await;
    assert_eq!((&status["state"], &status["reason"]), (&json!("healthy"), &json!("timed_out")));
    is(shown(&server, "staging").await, "pending aaaaaaa", GREY);
    let text = CONFIG.replace("flux-system/apps\"]", "*/*\"]\nlearning = \"0s\"");
    let server = start_with(&text).await;
    server.event(&healthy(50, A)).await;
    is(shown(&server, "staging").await, "healthy aaaaaaa", GREEN);
}

#[tokio::test]
async fn what_a_rollback_went_back_to_is_not_green_by_what_it_left() {
    let server = start().await;
    let claim = json!([{ "commit": B, "parents": [A] }]).to_string();
    let kind = [("Content-Type", "application/json")];
    server.ask(Method::POST, "/v1/ancestry", &kind, claim).await;
    server.event(&healthy(50, B)).await;
    server.event(&applying(40, A)).await;
    // A was delivered, in B; that it works without the rest of B is not known.
    assert_eq!(server.outcome(A).await, "succeeded");
    is(shown(&server, "staging").await, "pending aaaaaaa", GREY);
    server.event(&healthy(30, A)).await;
    is(shown(&server, "staging").await, "healthy aaaaaaa", GREEN);
}

#[tokio::test]
async fn what_is_gone_does_not_count() {
    let server =
        start_with(&CONFIG.replace("flux-system/apps\"]", "*/*\"]\nlearning = \"0s\"")).await;
    server.event(&healthy(50, A)).await;
    server.event(&of("old", healthy(50, B))).await;
    is(shown(&server, "staging").await, "mixed", GREY);
    let deleted = event(40, B, "info", "ReconciliationSucceeded", "Deployment/shop/old deleted");
    server.event(&of("old", deleted)).await;
    is(shown(&server, "staging").await, "healthy aaaaaaa", GREEN);
    server.event(&of("other", healthy(30, B))).await;
    is(shown(&server, "staging").await, "mixed", GREY);
    let other = "/v1/reconcilers/staging/Kustomization/flux-system/other";
    server.ask(Method::DELETE, other, &[], "").await;
    is(shown(&server, "staging").await, "healthy aaaaaaa", GREEN);
}

#[tokio::test]
async fn without_public_badges_one_needs_a_token() {
    let server = start_with(&format!("{CONFIG}{TOKENS}")).await;
    server.event(&healthy(10, A)).await;
    let path = "/badge/staging.svg";
    let anyone = refused(&server, path, &[]).await;
    assert_eq!((anyone.0, &anyone.1["code"]), (401, &json!("token.missing")));
    // Who may not ask does not hear which environments there are.
    for unknown in ["/badge/stagign.svg", "/badge/other.svg", "/badge/A.svg"] {
        assert_eq!(refused(&server, unknown, &[]).await, anyone);
    }
    let ci = [("Authorization", "Bearer the token of CI")];
    assert_eq!(ask(&server, path, &ci).await.status(), StatusCode::OK);
    for (path, who, expected) in [
        ("/badge/other.svg", "the token of CI", (403, "token.environment")),
        ("/badge/stagign.svg", "the token of CI", (403, "token.environment")),
        (path, "admin", (403, "token.scope")),
        (path, "wrong", (401, "token.unknown")),
    ] {
        let headers = [("Authorization", &*format!("Bearer {who}"))];
        let (status, problem) = refused(&server, path, &headers).await;
        assert_eq!((status, problem["code"].as_str().unwrap()), expected);
    }
    let text = format!("{CONFIG}{TOKENS}{PUBLIC}");
    server.service.reload(&config(&text, &server.folder)).unwrap();
    is(shown(&server, "staging").await, "healthy aaaaaaa", GREEN);
}

#[tokio::test]
async fn public_badges_do_not_tell_which_environments_there_are() {
    let server = start_with(&format!("{CONFIG}{TOKENS}{PUBLIC}")).await;
    is(shown(&server, "other").await, "unknown", GREY);
    let (status, problem) = refused(&server, "/badge/stagign.svg", &[]).await;
    assert_eq!((status, &problem["code"]), (404, &json!("environment.unknown")));
    assert!(!problem["detail"].as_str().unwrap().contains("staging"), "{problem}");
    // Nothing else is public.
    assert_eq!(refused(&server, "/v1/reconcilers", &[]).await.0, 401);
}

#[tokio::test]
async fn badges_that_there_are_not() {
    let server = start().await;
    for (path, expected) in [
        ("/badge/stagign.svg", (404, "environment.unknown")),
        ("/badge/staging", (404, "route.unknown")),
        ("/badge/staging.png", (404, "route.unknown")),
        ("/badge/", (404, "route.unknown")),
        ("/badge/.svg", (400, "environment.malformed")),
        ("/badge/%3Cscript%3E.svg", (400, "environment.malformed")),
        ("/badge/staging.svg?style=flat", (400, "query.unknown")),
    ] {
        let (status, problem) = refused(&server, path, &[]).await;
        assert_eq!((status, problem["code"].as_str().unwrap()), expected, "{path}");
    }
    let (status, _) = server.ask(Method::POST, "/badge/staging.svg", &[], "").await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
}
