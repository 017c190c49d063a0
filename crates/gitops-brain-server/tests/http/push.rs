//! What the push webhooks of git hosts tell, and who believes them.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use gitops_brain::{FactBody, sign};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{
    A, B, CONFIG, FORMER_WEBHOOK_SECRET, Running, SIGNING_TOKEN, WEBHOOK_SECRET, config, healthy,
    start, start_in, start_with,
};

const C: &str = "cccccccccccccccccccccccccccccccccccccccc";
const D: &str = "dddddddddddddddddddddddddddddddddddddddd";
const NONE: &str = "0000000000000000000000000000000000000000";

/// All hosts are declared, each with the secret that it has and the one that it had.
const HOSTS: &str = r#"
[push.github]
secrets = ["env:WEBHOOK_SECRET", "env:FORMER_WEBHOOK_SECRET"]
[push.gitlab]
secrets = ["env:WEBHOOK_SECRET", "env:FORMER_WEBHOOK_SECRET"]
[push.gitea]
secrets = ["env:WEBHOOK_SECRET", "env:FORMER_WEBHOOK_SECRET"]
"#;

const TOKENS: &str = "\n[[tokens]]\nname = \"ci\"\nsecret = \"env:TOKEN\"\nscopes = [\"read\"]\n";

async fn start_with_hosts() -> Running {
    start_with(&format!("{CONFIG}{HOSTS}")).await
}

/// A push of `main` as GitHub sends it. It lists the oldest commit first.
fn github(before: &str, after: &str, commits: &[&str]) -> Value {
    let commits: Vec<_> = commits.iter().map(|id| commit(id)).collect();
    json!({
        "ref": "refs/heads/main",
        "before": before,
        "after": after,
        "repository": {
            "id": 41_234_567, "name": "fleet", "full_name": "shop/fleet", "private": true,
            "default_branch": "main", "clone_url": "https://github.example/shop/fleet.git",
            "owner": { "login": "shop", "id": 4_321, "type": "Organization" },
        },
        "pusher": { "name": "renate", "email": "renate@shop.example" },
        "sender": { "login": "renate", "id": 98_765, "type": "User", "site_admin": false },
        "created": before == NONE,
        "deleted": after == NONE,
        "forced": false,
        "base_ref": null,
        "compare": "https://github.example/shop/fleet/compare/1f2e3d4c5b6a...0a1b2c3d4e5f",
        "head_commit": if after == NONE { json!(null) } else { commit(after) },
        "commits": commits,
    })
}

/// The same as Gitea and Forgejo send it: the newest commit first.
fn gitea(before: &str, after: &str, commits: &[&str]) -> Value {
    let mut push = github(before, after, commits);
    for field in ["created", "deleted", "forced", "base_ref", "compare"] {
        push.as_object_mut().unwrap().remove(field);
    }
    push["commits"].as_array_mut().unwrap().reverse();
    push["compare_url"] = json!("https://git.shop.example/shop/fleet/compare/1f2e3d...0a1b2c");
    push["total_commits"] = json!(commits.len());
    push
}

/// The same as GitLab sends it.
fn gitlab(before: &str, after: &str, commits: &[&str]) -> Value {
    let listed: Vec<_> = commits.iter().map(|id| commit(id)).collect();
    json!({
        "object_kind": "push",
        "event_name": "push",
        "before": before,
        "after": after,
        "ref": "refs/heads/main",
        "ref_protected": true,
        "checkout_sha": if after == NONE { json!(null) } else { json!(after) },
        "message": null,
        "user_id": 17, "user_name": "Renate", "user_username": "renate", "user_email": "",
        "project_id": 23,
        "project": {
            "id": 23, "name": "fleet", "path_with_namespace": "shop/fleet",
            "default_branch": "main", "git_http_url": "https://gitlab.example/shop/fleet.git",
            "visibility_level": 0,
        },
        "commits": listed,
        "total_commits_count": commits.len(),
        "push_options": {},
    })
}

fn commit(id: &str) -> Value {
    json!({
        "id": id,
        "message": "shop: three replicas\n",
        "timestamp": "2026-03-02T09:15:00+01:00",
        "url": format!("https://git.shop.example/shop/fleet/commit/{id}"),
        "author": { "name": "Renate", "email": "renate@shop.example", "username": "renate" },
        "committer": { "name": "Renate", "email": "renate@shop.example", "username": "renate" },
        "added": [], "removed": [], "modified": ["apps/shop/deployment.yaml"],
    })
}

type Sent<'a> = Vec<(&'a str, String)>;

/// Posts a body with some headers.
async fn post(server: &Running, host: &str, sent: Sent<'_>, body: &str) -> (StatusCode, Value) {
    let path = format!("/v1/push/{host}");
    let mut headers: Vec<_> = sent.iter().map(|(name, value)| (*name, &**value)).collect();
    if !headers.iter().any(|(name, _)| *name == "Content-Type") {
        headers.push(("Content-Type", "application/json"));
    }
    server.ask(Method::POST, &path, &headers, body.to_owned()).await
}

/// Signs and sends what a host sends.
async fn deliver(server: &Running, host: &str, event: &str, body: &str) -> (StatusCode, Value) {
    post(server, host, proved(host, event, WEBHOOK_SECRET, body), body).await
}

fn proved<'a>(host: &str, event: &str, secret: &str, body: &str) -> Sent<'a> {
    let signature = sign(secret.as_bytes(), body.as_bytes()).unwrap();
    let digits = signature.strip_prefix("sha256=").unwrap().to_owned();
    let event = event.to_owned();
    match host {
        "github" => vec![("X-GitHub-Event", event), ("X-Hub-Signature-256", signature)],
        "gitlab" => vec![("X-Gitlab-Event", event), ("X-Gitlab-Token", secret.to_owned())],
        _ => vec![
            ("X-GitHub-Event", event.clone()),
            ("X-Gitea-Event", event),
            ("X-Gitea-Signature", digits),
            ("X-Hub-Signature-256", signature),
        ],
    }
}

/// What a host calls a push, and one that is all right.
fn push_of(host: &str, before: &str, after: &str, commits: &[&str]) -> (&'static str, Value) {
    match host {
        "github" => ("push", github(before, after, commits)),
        "gitlab" => ("Push Hook", gitlab(before, after, commits)),
        _ => ("push", gitea(before, after, commits)),
    }
}

async fn push(server: &Running, host: &str, body: &Value) -> (StatusCode, Value) {
    let event = if host == "gitlab" { "Push Hook" } else { "push" };
    deliver(server, host, event, &body.to_string()).await
}

fn is(answer: &(StatusCode, Value), status: u16, code: &str) {
    assert_eq!((answer.0.as_u16(), answer.1["code"].as_str()), (status, Some(code)), "{answer:?}");
}

fn is_ignored(answer: &(StatusCode, Value), code: &str) {
    assert_eq!(answer, &(StatusCode::OK, json!({ "result": "ignored", "code": code })));
}

/// Which commits are known to contain which.
fn known(server: &Running) -> Vec<(String, Vec<String>)> {
    let facts: Vec<_> = server.service.with_brain(|brain| brain.facts().collect());
    let contains = facts.into_iter().filter_map(|fact| match fact.body {
        FactBody::Ancestry(ancestry) => Some(ancestry.contains),
        _ => None,
    });
    contains
        .flatten()
        .map(|contains| {
            let ancestors = contains.ancestors.iter().map(ToString::to_string).collect();
            (contains.commit.to_string(), ancestors)
        })
        .collect()
}

fn contains(commit: &str, ancestors: &[&str]) -> Vec<(String, Vec<String>)> {
    vec![(commit.to_owned(), ancestors.iter().map(ToString::to_string).collect())]
}

async fn nothing_changed(server: &Running) {
    assert_eq!(server.get("/readyz").await.1["position"], 0);
}

#[tokio::test]
async fn a_commit_goes_green_by_a_push_that_contains_it() {
    let server = start_with_hosts().await;
    let path = format!("/v1/rollouts/staging/{A}");
    server.put(&path, &json!({})).await;
    server.event(&healthy(10, B)).await;
    assert_eq!(server.get(&path).await.1["reason"], "ancestry_unknown");
    let answer = push(&server, "github", &github(A, B, &[B])).await;
    assert_eq!(answer, (StatusCode::ACCEPTED, json!({ "result": "accepted", "commits": 1 })));
    let (_, status) = server.get(&path).await;
    assert_eq!(status["outcome"], "succeeded", "{status}");
    assert_eq!(status["reconcilers"][0]["via"], B);
    // It is sent again, and it is stored.
    let answer = push(&server, "github", &github(A, B, &[B])).await;
    assert_eq!(answer, (StatusCode::OK, json!({ "result": "known", "commits": 1 })));
    let folder = server.stop().await;
    let server = start_in(&format!("{CONFIG}{HOSTS}"), folder).await;
    assert_eq!(server.outcome(A).await, "succeeded");
}

#[tokio::test]
async fn a_forced_push_does_not_turn_what_it_drops_green() {
    for host in ["github", "gitlab", "gitea"] {
        let server = start_with_hosts().await;
        server.put(&format!("/v1/rollouts/staging/{A}"), &json!({})).await;
        server.put(&format!("/v1/rollouts/staging/{C}"), &json!({})).await;
        server.event(&healthy(10, B)).await;
        let (_, mut body) = push_of(host, A, B, &[C, B]);
        if host == "github" {
            body["forced"] = json!(true);
        }
        let answer = push(&server, host, &body).await;
        assert_eq!(answer, (StatusCode::ACCEPTED, json!({ "result": "accepted", "commits": 1 })));
        assert_eq!(known(&server), contains(B, &[C]), "{host}");
        assert_eq!(server.outcome(A).await, "in_progress", "{host}");
        assert_eq!(server.outcome(C).await, "succeeded", "{host}");
    }
}

#[tokio::test]
async fn only_github_says_that_a_push_was_not_forced() {
    for (host, expected) in [("github", contains(B, &[A, C])), ("gitlab", contains(B, &[C]))] {
        let server = start_with_hosts().await;
        push(&server, host, &push_of(host, A, B, &[C, B]).1).await;
        assert_eq!(known(&server), expected, "{host}");
    }
    let server = start_with_hosts().await;
    // Whatever it says, and whatever it leaves out.
    for host in ["gitea", "gitlab"] {
        let (_, mut body) = push_of(host, A, B, &[B]);
        body["forced"] = json!(false);
        body["created"] = json!(false);
        is_ignored(&push(&server, host, &body).await, "push.no_ancestors");
    }
    for field in ["forced", "created"] {
        let mut body = github(A, B, &[B]);
        body.as_object_mut().unwrap().remove(field);
        is_ignored(&push(&server, "github", &body).await, "push.no_ancestors");
    }
    let mut body = github(NONE, B, &[B]);
    body["created"] = json!(false);
    is_ignored(&push(&server, "github", &body).await, "push.no_ancestors");
    nothing_changed(&server).await;
}

#[tokio::test]
async fn what_a_push_of_several_commits_tells() {
    let server = start_with_hosts().await;
    // A merge lists what was pushed before, on another branch.
    push(&server, "gitea", &gitea(A, B, &[C, D, B])).await;
    assert_eq!(known(&server), contains(B, &[C, D]));
    let server = start_with_hosts().await;
    let (a, b) = ("a".repeat(64), "b".repeat(64));
    push(&server, "github", &github(&a, &b, &[&b])).await;
    assert_eq!(known(&server), contains(&b, &[&a]), "a repository with SHA-256");
}

#[tokio::test]
async fn new_branches_deleted_branches_and_tags() {
    for host in ["github", "gitlab", "gitea"] {
        let server = start_with_hosts().await;
        let mut tag = push_of(host, NONE, B, &[A, B]).1;
        tag["ref"] = json!("refs/tags/v1.2.0");
        is_ignored(&push(&server, host, &tag).await, "push.not_a_branch");
        is_ignored(&push(&server, host, &push_of(host, A, NONE, &[]).1).await, "push.deleted");
        // A branch begins where another one is.
        is_ignored(&push(&server, host, &push_of(host, NONE, B, &[]).1).await, "push.empty");
        is_ignored(
            &push(&server, host, &push_of(host, NONE, B, &[B]).1).await,
            "push.no_ancestors",
        );
        let mut none = push_of(host, A, B, &[]).1;
        none["commits"] = json!(null);
        is_ignored(&push(&server, host, &none).await, "push.empty");
        nothing_changed(&server).await;
        let answer = push(&server, host, &push_of(host, NONE, B, &[A, B]).1).await;
        assert_eq!(answer.0, StatusCode::ACCEPTED);
        assert_eq!(known(&server), contains(B, &[A]), "{host}");
    }
}

#[tokio::test]
async fn lists_that_are_not_of_what_was_pushed_prove_nothing() {
    let server = start_with_hosts().await;
    // Until 2021 Gitea listed what a forced push dropped: after a reset, and after a rebase.
    for body in [gitea(B, A, &[B]), gitea(B, A, &[C, B]), gitea(B, A, &[C, A, B])] {
        is_ignored(&push(&server, "gitea", &body).await, "push.inconsistent");
    }
    // The buttons that test a webhook.
    let is_inconsistent = async |host, body| {
        is_ignored(&push(&server, host, &body).await, "push.inconsistent");
    };
    is_inconsistent("gitea", gitea(A, A, &[A])).await;
    is_inconsistent("gitlab", gitlab(A, C, &[C, B, A])).await;
    is_inconsistent("gitlab", gitlab(A, B, &[C])).await;
    // What does not know the head of its own branch.
    let mut body = gitea(A, B, &[C, B]);
    body["head_commit"] = json!(null);
    is_inconsistent("gitea", body.clone()).await;
    body["head_commit"] = commit(C);
    is_inconsistent("gitea", body).await;
    nothing_changed(&server).await;
}

#[tokio::test]
async fn what_is_no_push_is_ignored() {
    let server = start_with_hosts().await;
    let ping = json!({ "zen": "Keep it short.", "hook_id": 1, "hook": { "type": "Repository" } });
    let ping = ping.to_string();
    is_ignored(&deliver(&server, "github", "ping", &ping).await, "push.ping");
    for (host, event) in [
        ("github", "pull_request"),
        ("gitlab", "Tag Push Hook"),
        ("gitlab", "System Hook"),
        ("gitea", "create"),
    ] {
        let body = push_of(host, A, B, &[C, B]).1.to_string();
        is_ignored(&deliver(&server, host, event, &body).await, "push.other_event");
    }
    nothing_changed(&server).await;
}

#[tokio::test]
async fn signatures() {
    let server = start_with_hosts().await;
    for (host, header, prefix) in [
        ("github", "X-Hub-Signature-256", "sha256="),
        ("gitea", "X-Gitea-Signature", ""),
        ("gitea", "X-Forgejo-Signature", ""),
        ("gitea", "X-Hub-Signature-256", "sha256="),
    ] {
        let body = push_of(host, NONE, B, &[A, B]).1.to_string();
        let event = if host == "github" { "X-GitHub-Event" } else { "X-Gitea-Event" };
        let with = async |signature: Option<&str>| {
            let mut sent = vec![(event, "push".to_owned())];
            sent.extend(signature.map(|signature| (header, signature.to_owned())));
            post(&server, host, sent, &body).await
        };
        let by = |secret: &str, body: &str| {
            let signature = sign(secret.as_bytes(), body.as_bytes()).unwrap();
            format!("{prefix}{}", signature.strip_prefix("sha256=").unwrap())
        };
        is(&with(None).await, 401, "signature.missing");
        is(&with(Some(prefix)).await, 401, "signature.missing");
        is(&with(Some(&format!("{prefix}abc"))).await, 401, "signature.malformed");
        is(&with(Some(&by("guessed", &body))).await, 401, "signature.mismatch");
        is(&with(Some(&by(WEBHOOK_SECRET, &body[1..]))).await, 401, "signature.mismatch");
        for secret in [WEBHOOK_SECRET, FORMER_WEBHOOK_SECRET] {
            assert!(with(Some(&by(secret, &body))).await.0.is_success(), "{host} {header}");
        }
    }
    let weak = vec![
        ("X-GitHub-Event", "push".to_owned()),
        ("X-Hub-Signature-256", format!("sha1={}", "0".repeat(40))),
    ];
    is(&post(&server, "github", weak, "{}").await, 401, "signature.unsupported_algorithm");
}

#[tokio::test]
async fn tokens_of_gitlab() {
    let server = start_with_hosts().await;
    let body = gitlab(NONE, B, &[A, B]).to_string();
    let with = async |sent: &[(&'static str, &str)]| {
        let mut all = vec![("X-Gitlab-Event", "Push Hook".to_owned())];
        all.extend(sent.iter().map(|(name, value)| (*name, (*value).to_owned())));
        post(&server, "gitlab", all, &body).await
    };
    is(&with(&[]).await, 401, "token.missing");
    is(&with(&[("X-Gitlab-Token", "")]).await, 401, "token.missing");
    is(&with(&[("X-Gitlab-Token", "guessed")]).await, 401, "token.unknown");
    let signature = sign(WEBHOOK_SECRET.as_bytes(), body.as_bytes()).unwrap();
    is(&with(&[("X-Hub-Signature-256", &signature)]).await, 401, "token.missing");
    nothing_changed(&server).await;
    for secret in [WEBHOOK_SECRET, FORMER_WEBHOOK_SECRET] {
        assert!(with(&[("X-Gitlab-Token", secret)]).await.0.is_success());
    }
    // A signature says nothing where no signing token is declared; the secret token does.
    let signed = [("X-Gitlab-Token", WEBHOOK_SECRET), ("webhook-signature", "v1,AAAA")];
    assert!(with(&signed).await.0.is_success());
}

#[tokio::test]
async fn signing_tokens_of_gitlab() {
    let hosts = "[push.gitlab]\nsecrets = [\"env:SIGNING_TOKEN\", \"env:WEBHOOK_SECRET\"]\n";
    let server = start_with(&format!("{CONFIG}{hosts}")).await;
    let body = gitlab(NONE, B, &[A, B]).to_string();
    let key = STANDARD.decode(SIGNING_TOKEN.strip_prefix("whsec_").unwrap()).unwrap();
    let signature = |timestamp: &str, body: &str| {
        let content = format!("1b2c3d4e-5f60.{timestamp}.{body}");
        let digits = sign(&key, content.as_bytes()).unwrap();
        let digits = digits.strip_prefix("sha256=").unwrap();
        let tag: Vec<_> =
            (0..32).map(|i| u8::from_str_radix(&digits[2 * i..2 * i + 2], 16).unwrap()).collect();
        format!("v1,{}", STANDARD.encode(tag))
    };
    let with = async |signature: &str, token: &str| {
        let sent = vec![
            ("X-Gitlab-Event", "Push Hook".to_owned()),
            ("X-Gitlab-Token", token.to_owned()),
            ("webhook-id", "1b2c3d4e-5f60".to_owned()),
            ("webhook-timestamp", "1772439300".to_owned()),
            ("webhook-signature", signature.to_owned()),
        ];
        post(&server, "gitlab", sent, &body).await
    };
    is(&with(&signature("1772439301", &body), "").await, 401, "token.unknown");
    is(&with(&signature("1772439300", &body[1..]), "").await, 401, "token.unknown");
    is(&with("v1,AAAA", "").await, 401, "token.unknown");
    // A signature that is wrong is not mended by a token, which says nothing of the body.
    is(&with("v1,AAAA", WEBHOOK_SECRET).await, 401, "token.unknown");
    nothing_changed(&server).await;
    assert_eq!(with(&signature("1772439300", &body), "").await.0, StatusCode::ACCEPTED);
    assert_eq!(with("", WEBHOOK_SECRET).await.0, StatusCode::OK, "not signed yet");
}

#[tokio::test]
async fn a_host_that_is_not_declared_is_answered_as_a_wrong_secret() {
    let declared = start_with(&format!("{CONFIG}{TOKENS}{HOSTS}")).await;
    let undeclared = start_with(&format!("{CONFIG}{TOKENS}")).await;
    for host in ["github", "gitlab", "gitea"] {
        let (event, body) = push_of(host, NONE, B, &[A, B]);
        let body = body.to_string();
        let unproved = proved(host, event, "x", &body).into_iter().take(1).collect::<Sent<'_>>();
        let wrong = proved(host, event, "guessed", &body);
        let malformed = vec![("X-Hub-Signature-256", "nonsense".to_owned())];
        for sent in [unproved, wrong, malformed] {
            let answer = post(&declared, host, sent.clone(), &body).await;
            assert_eq!(answer.0, StatusCode::UNAUTHORIZED);
            assert_eq!(post(&undeclared, host, sent, &body).await, answer, "{host}");
        }
        let right = proved(host, event, WEBHOOK_SECRET, &body);
        is(
            &post(&undeclared, host, right.clone(), &body).await,
            401,
            if host == "gitlab" { "token.unknown" } else { "signature.mismatch" },
        );
        // The token of somebody else is no secret of a webhook.
        let token = vec![("Authorization", "Bearer the token of CI".to_owned())];
        assert_eq!(post(&declared, host, token, &body).await.0, StatusCode::UNAUTHORIZED);
        assert_eq!(post(&declared, host, right, &body).await.0.as_u16() / 100, 2);
    }
    nothing_changed(&undeclared).await;
}

#[tokio::test]
async fn where_nobody_needs_a_token_a_host_that_is_not_declared_needs_no_secret() {
    let server = start().await;
    let body = github(A, B, &[B]).to_string();
    let unsigned = vec![("X-GitHub-Event", "push".to_owned())];
    let answer = post(&server, "github", unsigned.clone(), &body).await;
    assert_eq!(answer.0, StatusCode::ACCEPTED);
    let server = start_with_hosts().await;
    is(&post(&server, "github", unsigned, &body).await, 401, "signature.missing");
}

#[tokio::test]
async fn secrets_are_read_again_while_it_runs() {
    let one = |secret: &str| format!("{CONFIG}[push.github]\nsecrets = [\"env:{secret}\"]\n");
    let server = start_with(&one("FORMER_WEBHOOK_SECRET")).await;
    let body = github(A, B, &[B]);
    is(&push(&server, "github", &body).await, 401, "signature.mismatch");
    server.service.reload(&config(&one("WEBHOOK_SECRET"), &server.folder)).unwrap();
    assert_eq!(push(&server, "github", &body).await.0, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn malformed_pushes() {
    let server = start_with_hosts().await;
    for host in ["github", "gitlab", "gitea"] {
        let (event, body) = push_of(host, NONE, B, &[A, B]);
        for malformed in ["", "{", "[]", "null", "{\"ref\":7}"] {
            is(&deliver(&server, host, event, malformed).await, 400, "request.malformed");
        }
        for (field, value) in [
            ("ref", json!(null)),
            ("before", json!("main")),
            ("after", json!(&B[..12])),
            ("commits", json!({})),
            ("commits", json!([B])),
            ("commits", json!([{ "message": "no id" }])),
            ("commits", json!([{ "id": "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz" }])),
        ] {
            let mut body = body.clone();
            body[field] = value;
            is(&push(&server, host, &body).await, 400, "request.malformed");
        }
        let body = body.to_string();
        let mut sent = proved(host, event, WEBHOOK_SECRET, &body);
        sent.retain(|(name, _)| !name.ends_with("-Event"));
        is(&post(&server, host, sent, &body).await, 400, "push.event_missing");
        // The other type that the hosts' forms offer.
        let mut sent = proved(host, event, WEBHOOK_SECRET, &body);
        sent.push(("Content-Type", "application/x-www-form-urlencoded".to_owned()));
        is(&post(&server, host, sent, &body).await, 415, "request.content_type");
    }
    nothing_changed(&server).await;
}

#[tokio::test]
async fn limits_and_paths() {
    let server = start_with_hosts().await;
    let many: Vec<_> = (1..=2_001).map(|number| format!("{number:040x}")).collect();
    let mut body = json!({ "ref": "refs/heads/main", "before": A, "after": many[0] });
    body["commits"] = many.iter().map(|id| json!({ "id": id })).collect();
    body["head_commit"] = json!({ "id": many[0] });
    is(&push(&server, "github", &body).await, 400, "request.limit");
    body["commits"].as_array_mut().unwrap().pop();
    assert_eq!(push(&server, "github", &body).await.0, StatusCode::ACCEPTED);
    let large = format!("{}{}", github(A, B, &[B]), " ".repeat(3 * 1024 * 1024));
    is(&deliver(&server, "github", "push", &large).await, 413, "request.too_large");
    for path in ["/v1/push/bitbucket", "/v1/push/GitHub", "/v1/push/", "/v1/push"] {
        let answer = server.ask(Method::POST, path, &[], "{}").await;
        is(&answer, 404, "route.unknown");
    }
    is(&server.get("/v1/push/github").await, 405, "route.method");
}
