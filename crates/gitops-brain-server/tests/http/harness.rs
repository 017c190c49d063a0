//! A server to talk to, and what to say to it.

use std::{sync::Arc, time::SystemTime};

use chrono::{DateTime, TimeDelta, Utc};
use gitops_brain::sign;
use gitops_brain_journal::Journal;
use gitops_brain_server::{Config, Overrides, ServeError, Server, bind, bind_with, open};
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{sync::oneshot, task::JoinHandle};

pub(crate) const KEY: &str = "7152fed34dd6149a7c75a276c510da27cb6f82b0";
pub(crate) const WEBHOOK_SECRET: &str = "the secret of the webhook";
pub(crate) const FORMER_WEBHOOK_SECRET: &str = "the secret that it had before";
pub(crate) const SIGNING_TOKEN: &str = "whsec_dGhlIGtleSBvZiBHaXRMYWIncyB3ZWJob29rLCAzMiE=";
pub(crate) const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
pub(crate) const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
pub(crate) const APPS: &str = "staging/Kustomization/flux-system/apps";

/// One cluster with a key, one environment with one reconciler, no tokens.
pub(crate) const CONFIG: &str = r#"
listen = "127.0.0.1:0"
[clusters.staging]
hmac_keys = ["env:KEY"]
[environments.staging]
reconcilers = ["staging/Kustomization/flux-system/apps"]
"#;

pub(crate) struct Running {
    pub(crate) url: String,
    pub(crate) client: Client,
    pub(crate) folder: TempDir,
    pub(crate) service: gitops_brain_server::Service,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), ServeError>>,
}

pub(crate) fn config(text: &str, folder: &TempDir) -> Config {
    let path = folder.path().join("gitops-brain.toml");
    std::fs::write(&path, text).unwrap();
    let database = crate::database(folder.path());
    let overrides = Overrides { database: Some(database), ..Overrides::default() };
    let variable = |name: &str| match name {
        "KEY" => Some(KEY.to_owned()),
        "OTHER_KEY" => Some("another key, longer than that".to_owned()),
        "TOKEN" => Some("the token of CI".to_owned()),
        "RECEIVER_KEY" => Some("the key of the receiver".to_owned()),
        "WEBHOOK_SECRET" => Some(WEBHOOK_SECRET.to_owned()),
        "FORMER_WEBHOOK_SECRET" => Some(FORMER_WEBHOOK_SECRET.to_owned()),
        "SIGNING_TOKEN" => Some(SIGNING_TOKEN.to_owned()),
        _ => None,
    };
    Config::load_with(Some(&path), &overrides, &variable).unwrap_or_else(|error| panic!("{error}"))
}

pub(crate) async fn start() -> Running {
    start_with(CONFIG).await
}

pub(crate) async fn start_with(text: &str) -> Running {
    start_in(text, tempfile::tempdir().unwrap()).await
}

pub(crate) async fn start_in(text: &str, folder: TempDir) -> Running {
    let server = bind(&config(text, &folder)).await.unwrap();
    run(server, folder)
}

/// The journal of a configuration, to be looked into while no server runs.
pub(crate) async fn journal(config: &Config) -> Arc<dyn Journal> {
    open(&config.database).await.unwrap()
}

pub(crate) async fn start_over(text: &str, journal: Arc<dyn Journal>) -> Running {
    let folder = tempfile::tempdir().unwrap();
    let server = bind_with(&config(text, &folder), journal).await.unwrap();
    run(server, folder)
}

pub(crate) fn run(server: Server, folder: TempDir) -> Running {
    let (stop, stopped) = oneshot::channel();
    let url = server.url();
    let service = server.service().clone();
    let task = tokio::spawn(server.run(async {
        let _ = stopped.await;
    }));
    Running { url, client: Client::new(), folder, service, stop, task }
}

impl Running {
    /// Stops in order, and keeps the folder.
    pub(crate) async fn stop(self) -> TempDir {
        let Self { folder, stop, task, service, .. } = self;
        drop(service);
        stop.send(()).unwrap();
        task.await.unwrap().unwrap();
        folder
    }

    pub(crate) async fn get(&self, path: &str) -> (StatusCode, Value) {
        self.ask(Method::GET, path, &[], "").await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        self.ask(Method::PUT, path, &[], body.to_string()).await
    }

    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<reqwest::Body>,
    ) -> (StatusCode, Value) {
        let response = self.send(method, path, headers, body).await;
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert_eq!(response.headers()["x-content-type-options"], "nosniff");
        let status = response.status();
        let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
        let bad = status.is_client_error() || status.is_server_error();
        assert_eq!(kind == "application/problem+json", bad, "{kind}");
        let text = response.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or_else(|_| panic!("not JSON: {text}")))
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<reqwest::Body>,
    ) -> Response {
        let mut request = self.client.request(method, format!("{}{path}", self.url)).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap()
    }

    /// Posts an event of the cluster `staging`, signed.
    pub(crate) async fn event(&self, body: &Value) -> (StatusCode, Value) {
        self.event_to("staging", KEY, body.to_string().as_bytes()).await
    }

    pub(crate) async fn event_to(
        &self,
        cluster: &str,
        key: &str,
        body: &[u8],
    ) -> (StatusCode, Value) {
        let signature = sign(key.as_bytes(), body).unwrap();
        let path = format!("/v1/events/{cluster}");
        self.ask(Method::POST, &path, &[("X-Signature", &signature)], body.to_vec()).await
    }

    pub(crate) async fn outcome(&self, commit: &str) -> String {
        let (_, status) = self.get(&format!("/v1/rollouts/staging/{commit}")).await;
        status["outcome"].as_str().unwrap_or_else(|| panic!("{status}")).to_owned()
    }
}

pub(crate) fn now() -> DateTime<Utc> {
    #[expect(clippy::disallowed_methods, reason = "a test is a world of its own")]
    SystemTime::now().into()
}

/// An event of `flux-system/apps`, so many seconds ago.
pub(crate) fn event(ago: i64, commit: &str, severity: &str, reason: &str, message: &str) -> Value {
    let at = now() - TimeDelta::seconds(ago);
    json!({
        "involvedObject": {
            "kind": "Kustomization", "namespace": "flux-system", "name": "apps", "uid": "1",
            "resourceVersion": "7",
        },
        "severity": severity,
        "timestamp": at.format("%Y-%m-%dT%H:%M:%SZ").to_string(),
        "message": message,
        "reason": reason,
        "metadata": { "revision": format!("main@sha1:{commit}") },
        "reportingController": "kustomize-controller",
    })
}

pub(crate) fn applying(ago: i64, commit: &str) -> Value {
    event(ago, commit, "info", "Progressing", "Deployment/shop/web configured")
}

pub(crate) fn healthy(ago: i64, commit: &str) -> Value {
    event(ago, commit, "info", "Progressing", "Health check passed in 5.1s")
}

pub(crate) fn failed(ago: i64, commit: &str) -> Value {
    event(ago, commit, "error", "HealthCheckFailed", "health check failed after 30s: timeout")
}

pub(crate) fn succeeded(ago: i64, commit: &str) -> Value {
    let mut event = event(
        ago,
        commit,
        "info",
        "ReconciliationSucceeded",
        "Reconciliation finished in 1.2s, next run in 1m0s",
    );
    event["metadata"]["commit_status"] = json!("update");
    event
}

/// A raw commit object, and its id.
pub(crate) fn object(parents: &[&str], message: &str) -> (String, String) {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let parents: String = parents.iter().map(|parent| format!("parent {parent}\n")).collect();
    let content = format!(
        "tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n{parents}\
         author A <a@example.org> 1700000000 +0000\n\
         committer A <a@example.org> 1700000000 +0000\n\n{message}\n"
    );
    let id = gitops_brain::CommitObject::parse(content.as_bytes()).unwrap().id.to_string();
    (id, STANDARD.encode(content))
}
