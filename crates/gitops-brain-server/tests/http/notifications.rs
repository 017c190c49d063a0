//! Telling others of settled rollouts: what they hear, word by word.

use std::{
    collections::VecDeque,
    fs,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse as _, Response},
};
use gitops_brain::Verifier;
use gitops_brain_server::{Config, Overrides};
use serde_json::{Value, json};

use crate::harness::{A, B, CONFIG, Running, failed, healthy, start_in, start_with};

const KEY: &str = "the key of the receiver";
const APP: &str = "cccccccccccccccccccccccccccccccccccccccc";

/// What a stand-in heard.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    method: Method,
    target: String,
    headers: HeaderMap,
    body: Bytes,
}

impl Heard {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// Somebody who is told, and answers what was laid out for them; then as GitHub would.
#[derive(Clone)]
pub(crate) struct StandIn {
    pub(crate) url: String,
    heard: Arc<Mutex<Vec<Heard>>>,
    answers: Arc<Mutex<VecDeque<(u16, &'static str)>>>,
    deployments: Arc<Mutex<Vec<Value>>>,
}

impl StandIn {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stand_in = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            heard: Arc::default(),
            answers: Arc::default(),
            deployments: Arc::default(),
        };
        let router = Router::new().fallback(hear).with_state(stand_in.clone());
        tokio::spawn(async { axum_serve(listener, router).await });
        stand_in
    }

    fn answer(&self, answers: &[(u16, &'static str)]) {
        self.answers.lock().unwrap().extend(answers);
    }

    /// Waits until so many requests were heard, and a little longer: there must be no more.
    pub(crate) async fn heard(&self, count: usize) -> Vec<Heard> {
        for _ in 0..400 {
            if self.heard.lock().unwrap().len() >= count {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        tokio::time::sleep(Duration::from_millis(700)).await;
        let heard = self.heard.lock().unwrap().clone();
        let told: Vec<_> =
            heard.iter().map(|one| format!("{} {}", one.method, one.target)).collect();
        assert_eq!(heard.len(), count, "{told:#?}");
        heard
    }
}

async fn axum_serve(listener: tokio::net::TcpListener, router: Router) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { return };
        let service = hyper_util::service::TowerToHyperService::new(router.clone());
        tokio::spawn(
            hyper::server::conn::http1::Builder::new()
                .serve_connection(hyper_util::rt::TokioIo::new(stream), service),
        );
    }
}

async fn hear(
    State(stand_in): State<StandIn>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let heard = Heard { method: method.clone(), target: uri.to_string(), headers, body };
    stand_in.heard.lock().unwrap().push(heard.clone());
    if let Some((status, body)) = stand_in.answers.lock().unwrap().pop_front() {
        let mut response = (StatusCode::from_u16(status).unwrap(), body).into_response();
        if status == 429 {
            response.headers_mut().insert("retry-after", "1".parse().unwrap());
        }
        return response;
    }
    let mut deployments = stand_in.deployments.lock().unwrap();
    match (method, uri.path().rsplit('/').next()) {
        (Method::GET, Some("deployments")) => axum_json(&json!(*deployments)),
        (Method::POST, Some("deployments")) => {
            let mut deployment = heard.json();
            deployment["id"] = json!(40 + deployments.len());
            deployments.push(deployment.clone());
            (StatusCode::CREATED, axum_json(&deployment)).into_response()
        }
        _ => StatusCode::OK.into_response(),
    }
}

fn axum_json(value: &Value) -> Response {
    value.to_string().into_response()
}

pub(crate) fn generic(url: &str) -> String {
    format!(
        "url = \"https://brain.example/\"\n{CONFIG}[[receivers]]\nname = \"ops\"\n\
         type = \"generic\"\naddress = \"{url}/hook\"\nhmac_key = \"env:RECEIVER_KEY\"\n"
    )
}

async fn register(server: &Running, commit: &str, labels: Value) {
    let path = format!("/v1/rollouts/staging/{commit}");
    let (status, _) = server.put(&path, &json!({ "labels": labels })).await;
    assert!(status.is_success());
}

#[tokio::test]
async fn a_program_is_told_once_of_each_settlement() {
    let ops = StandIn::start().await;
    let server = start_with(&generic(&ops.url)).await;
    register(&server, A, json!({ "app": "shop", "version": "1.2.3" })).await;
    server.event(&failed(20, A)).await;
    server.event(&healthy(10, A)).await;
    let heard = ops.heard(2).await;
    for (n, outcome, one) in [(0, "failed", &heard[0]), (1, "succeeded", &heard[1])] {
        assert_eq!((one.method.as_str(), &*one.target), ("POST", "/hook"));
        assert_eq!(one.header("idempotency-key"), format!("staging/{A}/{n}"));
        assert_eq!(one.header("content-type"), "application/json");
        // As Flux signs, and as we verify.
        let verifier = Verifier::new([KEY]).unwrap();
        verifier.verify(Some(one.header("x-signature").as_bytes()), &one.body).unwrap();
        let body = one.json();
        assert_eq!(body["environment"], "staging");
        assert_eq!(body["commit"], A);
        assert_eq!((&body["n"], &body["outcome"]), (&json!(n), &json!(outcome)));
        assert_eq!(body["url"], format!("https://brain.example/rollouts/staging/{A}"));
        assert_eq!(body["status"]["labels"]["app"], "shop");
        assert!(body["at"].is_string());
    }
    let metrics = server.send(Method::GET, "/metrics", &[], "").await.text().await.unwrap();
    let told = "gitops_brain_notifications_total{receiver=\"ops\",result=\"told\"} 2";
    assert!(metrics.contains(told), "{metrics}");
}

#[tokio::test]
async fn who_does_not_answer_is_told_again_and_then_of_the_next() {
    let ops = StandIn::start().await;
    ops.answer(&[(503, "busy"), (429, ""), (200, "")]);
    let server = start_with(&generic(&ops.url)).await;
    register(&server, A, json!({})).await;
    server.event(&failed(20, A)).await;
    server.event(&healthy(10, A)).await;
    let heard = ops.heard(4).await;
    let keys: Vec<_> = heard.iter().map(|one| one.header("idempotency-key")).collect();
    let (first, second) = (format!("staging/{A}/0"), format!("staging/{A}/1"));
    assert_eq!(keys, [&*first, &first, &first, &second]);
}

#[tokio::test]
async fn who_refuses_for_good_is_not_asked_again() {
    let ops = StandIn::start().await;
    ops.answer(&[(410, "gone")]);
    let server = start_with(&generic(&ops.url)).await;
    register(&server, A, json!({})).await;
    server.event(&failed(20, A)).await;
    server.event(&healthy(10, A)).await;
    let heard = ops.heard(2).await;
    assert_eq!(heard[1].header("idempotency-key"), format!("staging/{A}/1"));
}

#[tokio::test]
async fn what_was_not_heard_is_told_after_a_restart_and_the_past_is_not() {
    let ops = StandIn::start().await;
    let text = generic(&ops.url);
    // Before there was a receiver.
    let server = start_with(CONFIG).await;
    register(&server, B, json!({})).await;
    server.event(&healthy(60, B)).await;
    let server = start_in(&text, server.stop().await).await;
    register(&server, A, json!({})).await;
    ops.answer(&[(500, ""); 3]);
    tokio::time::sleep(Duration::from_millis(700)).await;
    server.event(&failed(20, A)).await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    let folder = server.stop().await;
    let before = ops.heard.lock().unwrap().len();
    assert!((1..=3).contains(&before), "{before}");
    ops.answers.lock().unwrap().clear();
    let server = start_in(&text, folder).await;
    let heard = ops.heard(before + 1).await;
    assert!(heard.iter().all(|one| one.header("idempotency-key") == format!("staging/{A}/0")));
    let folder = server.stop().await;
    let server = start_in(&text, folder).await;
    ops.heard(before + 1).await;
    server.stop().await;
}

#[tokio::test]
async fn what_was_heard_is_not_told_again_though_the_next_was_not_heard() {
    let ops = StandIn::start().await;
    let text = generic(&ops.url);
    let server = start_with(&text).await;
    register(&server, A, json!({})).await;
    // Both are found at once, and the second is not heard.
    ops.answer(&[(200, ""), (503, ""), (503, "")]);
    server.event(&failed(20, A)).await;
    server.event(&healthy(10, A)).await;
    for _ in 0..100 {
        if ops.heard.lock().unwrap().len() >= 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let folder = server.stop().await;
    ops.answers.lock().unwrap().clear();
    let before = ops.heard.lock().unwrap().len();
    let _server = start_in(&text, folder).await;
    let heard = ops.heard(before + 1).await;
    let first = format!("staging/{A}/0");
    let told = heard.iter().filter(|one| one.header("idempotency-key") == first).count();
    assert_eq!(told, 1, "the first was heard");
}

#[tokio::test]
async fn a_chat_is_told_in_words() {
    let chat = StandIn::start().await;
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("address");
    fs::write(&secret, format!("{}/services/T0/B0/secret\n", chat.url)).unwrap();
    let text = format!(
        "url = \"https://brain.example\"\n{CONFIG}[[receivers]]\nname = \"chat\"\ntype = \"slack\"\n\
         address = \"file:{}\"\noutcomes = [\"failed\"]\n",
        secret.display()
    );
    let server = start_with(&text).await;
    register(&server, A, json!({ "app": "shop <!channel>", "version": "1.2.3" })).await;
    let mut event = failed(20, A);
    event["message"] = json!("timeout <script> & more");
    server.event(&event).await;
    chat.heard(1).await;
    server.event(&healthy(10, A)).await;
    let heard = chat.heard(1).await;
    assert_eq!(heard[0].target, "/services/T0/B0/secret");
    let body = heard[0].json();
    let text = body["text"].as_str().unwrap();
    let first = text.lines().next().unwrap();
    assert_eq!(
        first,
        format!(
            "\u{274C} shop &lt;!channel&gt; 1.2.3 (aaaaaaa) failed in staging · \
             <https://brain.example/rollouts/staging/{A}|details>"
        )
    );
    assert!(text.contains("timeout &lt;script&gt; &amp; more"), "{text}");
    assert_eq!(body.as_object().unwrap().len(), 1);
}

fn github(kind: &str, url: &str) -> String {
    format!(
        "url = \"https://brain.example\"\n{CONFIG}[[receivers]]\nname = \"github\"\n\
         type = \"{kind}\"\naddress = \"{url}\"\ntoken = \"env:TOKEN\"\n\
         repositories = [\"shop/*\"]\n"
    )
}

fn labels() -> Value {
    json!({ "app": "shop", "app_repository": "shop/web", "app_commit": APP })
}

#[tokio::test]
async fn github_hears_of_one_deployment_with_each_of_its_states() {
    let github_com = StandIn::start().await;
    let server = start_with(&github("github-deployment", &github_com.url)).await;
    register(&server, A, labels()).await;
    server.event(&failed(20, A)).await;
    github_com.heard(3).await;
    server.event(&healthy(10, A)).await;
    let heard = github_com.heard(5).await;
    let told: Vec<_> = heard.iter().map(|one| format!("{} {}", one.method, one.target)).collect();
    let base = "/repos/shop/web/deployments";
    let list = format!("GET {base}?sha={APP}&environment=staging&per_page=100");
    let (make, status) = (format!("POST {base}"), format!("POST {base}/40/statuses"));
    assert_eq!(told, [&*list, &make, &status, &list, &status]);
    for one in &heard {
        assert_eq!(one.header("authorization"), "Bearer the token of CI");
        assert_eq!(one.header("accept"), "application/vnd.github+json");
        assert_eq!(one.header("x-github-api-version"), "2022-11-28");
        assert!(one.header("user-agent").starts_with("gitops-brain/"));
    }
    assert_eq!(
        heard[1].json(),
        json!({
            "ref": APP,
            "environment": "staging",
            "description": "shop (aaaaaaa) failed in staging",
            "payload": { "gitops_brain": format!("staging/{A}") },
            "auto_merge": false,
            "required_contexts": [],
        })
    );
    assert_eq!(
        heard[4].json(),
        json!({
            "state": "success",
            "environment": "staging",
            "description": "shop (aaaaaaa) is live and healthy in staging",
            "log_url": format!("https://brain.example/rollouts/staging/{A}"),
        })
    );
    assert_eq!(heard[2].json()["state"], "failure");
}

#[tokio::test]
async fn github_hears_of_commits() {
    let github_com = StandIn::start().await;
    let server = start_with(&github("github-status", &github_com.url)).await;
    register(&server, A, labels()).await;
    // Whose labels name nothing, or what they must not name, is not told of.
    register(&server, B, json!({ "app_repository": "other/web", "app_commit": APP })).await;
    server.event(&healthy(30, B)).await;
    server.event(&failed(20, A)).await;
    let heard = github_com.heard(1).await;
    assert_eq!(heard[0].target, format!("/repos/shop/web/statuses/{APP}"));
    assert_eq!(
        heard[0].json(),
        json!({
            "state": "failure",
            "context": "gitops-brain/staging",
            "description": "shop (aaaaaaa) failed in staging",
            "target_url": format!("https://brain.example/rollouts/staging/{A}"),
        })
    );
}

#[test]
fn mistakes_are_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gitops-brain.toml");
    for (text, expected) in [
        ("name = \"a\"", ":1: receivers: `type` is missing"),
        ("name = \"a\"\ntype = \"fax\"", ":3: receivers.type: `fax` is none of"),
        ("name = \"a\"\ntype = \"slack\"", ":1: receivers: `address` is missing"),
        ("name = \"a\"\ntype = \"slack\"\naddress = \"chat\"", ":4: receivers.address: it is no"),
        ("type = \"slack\"\naddress = \"http://chat\"", ":1: receivers: `name` is missing"),
        ("name = \"a\"\ntype = \"github-status\"", ":1: receivers: `token` is missing"),
        (
            "name = \"a\"\ntype = \"github-status\"\ntoken = \"env:T\"\nrepositories = [\"x\"]",
            ":5: receivers.repositories: write `owner/name` or `owner/*`, not `x`",
        ),
        (
            "name = \"a\"\ntype = \"slack\"\naddress = \"http://chat\"\noutcomes = [\"green\"]",
            ":5: receivers.outcomes: `green` is no final outcome",
        ),
        (
            "name = \"a\"\ntype = \"slack\"\naddress = \"http://chat\"\nhmac_key = \"env:T\"",
            "receivers: there is no `receivers.hmac_key`",
        ),
    ] {
        fs::write(&path, format!("[[receivers]]\n{text}\n")).unwrap();
        let variable = |name: &str| (name == "T").then(|| "some token or other".to_owned());
        let error = Config::load_with(Some(&path), &Overrides::default(), &variable).unwrap_err();
        let expected = expected.strip_prefix("receivers: ").unwrap_or(expected);
        assert!(error.to_string().contains(expected), "{expected}:\n{error}");
    }
}
