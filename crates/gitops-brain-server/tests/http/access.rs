//! Who may do what.

use gitops_brain_server::{Config, Overrides, Scope, Secret, Token};
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::harness::{A, APPS, B, CONFIG, Running, applying, config, healthy, start_with};

const TOKENS: &str = r#"
[[tokens]]
name = "ci"
secret = "env:TOKEN"
scopes = ["read", "write"]
environments = ["staging"]
[[tokens]]
name = "reader"
sha256 = "3d0941964aa3ebdcb00ccef58b1bb399f9f898465e9886d5aec7f31090a0fb30"
scopes = ["read"]
[[tokens]]
name = "admin"
sha256 = "8c6976e5b5410415bde908bd4dee15dfb167a9c873fc4bb8a81f6f2ab448a918"
scopes = ["admin", "ancestry"]
[environments.other]
reconcilers = ["staging/Kustomization/flux-system/other"]
"#;

const OTHER: &str = "staging/Kustomization/flux-system/other";

const CI: &str = "Bearer the token of CI";
const READER: &str = "Bearer reader";
const ADMIN: &str = "Bearer admin";

async fn ask(server: &Running, who: &str, method: Method, path: &str, body: &str) -> (u16, String) {
    let headers = [("Authorization", who), ("Content-Type", "application/json")];
    let headers = if who.is_empty() { &headers[1..] } else { &headers };
    let (status, answer) = server.ask(method, path, headers, body.to_owned()).await;
    (status.as_u16(), answer["code"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn keys_and_tokens_are_read_again_while_it_runs() {
    let server = start_with(&format!("{CONFIG}{TOKENS}")).await;
    let staging = format!("/v1/rollouts/staging/{A}");
    assert_eq!(server.event(&applying(5, A)).await.0, StatusCode::ACCEPTED);
    assert_eq!(ask(&server, READER, Method::GET, &staging, "").await.0, 200);

    let other = CONFIG.replace("env:KEY", "env:OTHER_KEY");
    server.service.reload(&config(&other, &server.folder)).unwrap();
    let (status, answer) = server.event(&healthy(3, A)).await;
    assert_eq!((status, &answer["code"]), (StatusCode::UNAUTHORIZED, &json!("signature.mismatch")));

    server.service.reload(&config(&format!("{CONFIG}{TOKENS}"), &server.folder)).unwrap();
    assert_eq!(server.event(&healthy(3, A)).await.0, StatusCode::ACCEPTED);
    assert_eq!(ask(&server, "Bearer wrong", Method::GET, &staging, "").await.0, 401);
    let (_, status) = server.get(&staging).await;
    assert_eq!(status["code"], "token.missing");
    server.stop().await;
}

#[tokio::test]
async fn tokens_have_scopes_and_environments() {
    let server = start_with(&format!("{CONFIG}{TOKENS}")).await;
    let staging = format!("/v1/rollouts/staging/{A}");
    let other = format!("/v1/rollouts/other/{A}");
    let claim = json!([{ "commit": B, "parents": [A] }]).to_string();
    let claims = json!({ "ancestry": [{ "commit": B, "parents": [A] }] }).to_string();
    let expecting = json!({ "expect": [APPS, OTHER] }).to_string();
    let removal = format!("/v1/reconcilers/{APPS}");
    let ok = (200, "");
    for (who, method, path, body, expected) in [
        ("", Method::GET, &*staging, "", (401, "token.missing")),
        ("Basic abc", Method::GET, &staging, "", (401, "token.missing")),
        ("Bearer wrong", Method::GET, &staging, "", (401, "token.unknown")),
        ("Bearer ", Method::GET, &staging, "", (401, "token.missing")),
        (CI, Method::GET, &staging, "", ok),
        ("bearer the token of CI", Method::GET, &staging, "", ok),
        (CI, Method::GET, &other, "", (403, "token.environment")),
        (CI, Method::GET, "/v1/rollouts?environment=other", "", (403, "token.environment")),
        (CI, Method::GET, "/v1/reconcilers?environment=other", "", (403, "token.environment")),
        (CI, Method::PUT, &other, "", (403, "token.environment")),
        (CI, Method::GET, &format!("{staging}?reconciler={APPS}"), "", ok),
        (CI, Method::GET, &format!("{staging}?reconciler={OTHER}"), "", (403, "token.environment")),
        (CI, Method::GET, &format!("{staging}?reconciler=*/*/*/*"), "", (403, "token.environment")),
        (READER, Method::GET, &format!("{staging}?reconciler={OTHER}"), "", ok),
        (CI, Method::PUT, &staging, &expecting, (403, "token.environment")),
        (CI, Method::PUT, &staging, &claims, (403, "token.scope")),
        (CI, Method::POST, "/v1/ancestry", &claim, (403, "token.scope")),
        (CI, Method::DELETE, &removal, "", (403, "token.scope")),
        (READER, Method::GET, &other, "", ok),
        (READER, Method::PUT, &staging, "", (403, "token.scope")),
        (READER, Method::POST, "/v1/ancestry", "{\"objects\":[]}", (403, "token.scope")),
        (ADMIN, Method::GET, &staging, "", (403, "token.scope")),
        (ADMIN, Method::GET, "/v1/rollouts", "", (403, "token.scope")),
        (ADMIN, Method::GET, "/v1/reconcilers", "", (403, "token.scope")),
        (ADMIN, Method::GET, &format!("/v1/commits/{A}"), "", (403, "token.scope")),
        (ADMIN, Method::POST, "/v1/ancestry", &claim, (202, "")),
        (ADMIN, Method::DELETE, &removal, "", ok),
        (CI, Method::PUT, &staging, "", (201, "")),
        ("", Method::GET, "/healthz", "", ok),
        ("", Method::GET, "/readyz", "", ok),
    ] {
        let (status, code) = ask(&server, who, method.clone(), path, body).await;
        assert_eq!((status, &*code), expected, "{who} {method} {path}");
    }
    let response = server.send(Method::GET, &staging, &[], "").await;
    assert_eq!(response.headers()["www-authenticate"], "Bearer");
}

#[tokio::test]
async fn a_confined_token_names_only_what_is_in_its_environment_though_nothing_is_declared() {
    let tokens = TOKENS.split("[environments.other]").next().unwrap();
    let text = format!("{CONFIG}{tokens}")
        .replace(r#"reconcilers = ["staging/Kustomization/flux-system/apps"]"#, "");
    let server = start_with(&text).await;
    let staging = format!("/v1/rollouts/staging/{A}");
    for (reconciler, expected) in [
        ("staging/Kustomization/a/b", (200, "")),
        ("staging/*/*/*", (200, "")),
        ("production/Kustomization/a/b", (403, "token.environment")),
        ("*/Kustomization/a/b", (403, "token.environment")),
        ("stag*/Kustomization/a/b", (403, "token.environment")),
    ] {
        let path = format!("{staging}?reconciler={reconciler}");
        let (status, code) = ask(&server, CI, Method::GET, &path, "").await;
        assert_eq!((status, &*code), expected, "{reconciler}");
    }
}

#[tokio::test]
async fn claims_cannot_be_confined() {
    let text = format!("{CONFIG}{TOKENS}")
        .replace(r#"scopes = ["read", "write"]"#, r#"scopes = ["write", "ancestry"]"#);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gitops-brain.toml");
    std::fs::write(&path, text).unwrap();
    let variable = |name: &str| {
        matches!(name, "KEY" | "TOKEN").then(|| "some secret or other, long enough".to_owned())
    };
    let config = Config::load_with(Some(&path), &Overrides::default(), &variable);
    let error = config.and_then(|config| config.check()).unwrap_err().to_string();
    assert!(error.contains("`ci` is confined to environments"), "{error}");
}

#[tokio::test]
async fn whoever_guesses_is_refused_and_nobody_else_is() {
    let server = start_with(&format!("{CONFIG}{TOKENS}")).await;
    let path = format!("/v1/rollouts/staging/{A}");
    let guess = async || ask(&server, "Bearer guess", Method::GET, &path, "").await;
    for _ in 0..60 {
        assert_eq!(guess().await, (401, "token.unknown".to_owned()));
    }
    let response = server.send(Method::GET, &path, &[("Authorization", "Bearer guess")], "").await;
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(response.headers().contains_key("retry-after"));
    assert_eq!(guess().await, (429, "auth.too_many_failures".to_owned()));
    let (status, problem) = server.event_to("staging", "a wrong key", b"{}").await;
    let code = json!("auth.too_many_failures");
    assert_eq!((status, &problem["code"]), (StatusCode::TOO_MANY_REQUESTS, &code));
    // Who is right comes from the same address, and is not kept waiting.
    assert_eq!(ask(&server, CI, Method::GET, &path, "").await.0, 200);
    assert_eq!(server.event(&healthy(10, A)).await.0, StatusCode::ACCEPTED);
    // Who has no token guesses none.
    assert_eq!(ask(&server, "", Method::GET, &path, "").await.0, 401);
}

#[tokio::test]
async fn lists_show_only_what_a_token_may_see() {
    let server = start_with(
        &format!("{CONFIG}{TOKENS}")
            .replace(r#"scopes = ["read"]"#, r#"scopes = ["read", "write"]"#),
    )
    .await;
    for environment in ["staging", "other"] {
        let path = format!("/v1/rollouts/{environment}/{A}");
        assert_eq!(ask(&server, READER, Method::PUT, &path, "").await.0, 201);
    }
    let mut event = healthy(10, A);
    server.event(&event).await;
    event["involvedObject"]["name"] = json!("other");
    server.event(&event).await;
    let count = async |who: &str, path: &str, field: &str| {
        let headers = [("Authorization", who)];
        let (_, answer) = server.ask(Method::GET, path, &headers, "").await;
        answer[field].as_array().unwrap().len()
    };
    let commit = format!("/v1/commits/{A}");
    for (who, expected) in [(READER, 2), (CI, 1)] {
        assert_eq!(count(who, "/v1/rollouts", "rollouts").await, expected);
        assert_eq!(count(who, "/v1/reconcilers", "reconcilers").await, expected);
        assert_eq!(count(who, &commit, "statuses").await, expected);
    }
}

#[tokio::test]
async fn clusters_can_have_bearer_tokens() {
    let text = CONFIG.replace("[environments", "bearer_tokens = [\"env:TOKEN\"]\n[environments");
    let server = start_with(&text).await;
    let body = applying(10, A).to_string();
    let post = async |cluster: &str, headers: &[(&str, &str)]| {
        let path = format!("/v1/events/{cluster}");
        let (status, answer) = server.ask(Method::POST, &path, headers, body.clone()).await;
        (status.as_u16(), answer["code"].as_str().unwrap_or_default().to_owned())
    };
    let wrong = ("Authorization", "Bearer wrong");
    assert_eq!(post("staging", &[wrong]).await, (401, "token.unknown".to_owned()));
    assert_eq!(post("production", &[wrong]).await, (401, "token.unknown".to_owned()));
    let right = ("Authorization", CI);
    assert_eq!(post("production", &[right]).await, (401, "token.unknown".to_owned()));
    assert_eq!(post("staging", &[right]).await, (202, String::new()));
    assert_eq!(server.event(&healthy(5, A)).await.0, StatusCode::ACCEPTED, "signatures too");
}

#[test]
fn other_addresses_need_keys_and_tokens() {
    let mut config = Config::default();
    config.check().unwrap();
    config.listen = "0.0.0.0:8080".parse().unwrap();
    let error = config.check().unwrap_err();
    assert_eq!(error.code(), "config.invalid");
    assert_eq!(error.faults().len(), 2, "{error}");
    config.insecure = true;
    config.check().unwrap();
    assert_eq!(config.warnings().len(), 2);
    config.insecure = false;
    let digest = Secret::new("token").digest();
    config.tokens.push(Token::new("ci", digest, [Scope::Read]));
    assert_eq!(config.check().unwrap_err().faults().len(), 1);
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.toml");
    std::fs::write(&path, "listen = \"127.0.0.1:1\"\ndatabase = \"file.db\"\nretention = \"1d\"")
        .unwrap();
    let variable = |name: &str| match name {
        "GITOPS_BRAIN_LISTEN" => Some("127.0.0.1:2".to_owned()),
        "GITOPS_BRAIN_DATABASE" => Some("variable.db".to_owned()),
        _ => None,
    };
    let flags = Overrides { listen: Some("127.0.0.1:3".to_owned()), ..Overrides::default() };
    let config = Config::load_with(Some(&path), &flags, &variable).unwrap();
    assert_eq!(config.listen.port(), 3);
    assert_eq!(config.database.to_string(), "variable.db (SQLite)");
    assert_eq!(config.retention.as_secs(), 86_400);
}
