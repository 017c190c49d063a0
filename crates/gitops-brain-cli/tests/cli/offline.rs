//! Commands that need no server.

use std::{fs, io::Write as _, process::Stdio};

use gitops_brain::Verifier;
use serde_json::{Value, json};

use crate::support::{COMMIT, Stub, assert_exit, brain, run, stderr, stdout};

fn event(reason: &str, message: &str, severity: &str, seconds: u32) -> Value {
    let mut metadata = json!({ "revision": format!("main@sha1:{COMMIT}") });
    if reason == "ReconciliationSucceeded" {
        metadata["commit_status"] = "update".into();
    }
    json!({
        "involvedObject": { "kind": "Kustomization", "namespace": "flux-system", "name": "apps",
                            "uid": "1", "resourceVersion": "340" },
        "severity": severity, "timestamp": format!("2026-11-23T13:02:{seconds:02}Z"),
        "message": message, "reason": reason, "metadata": metadata,
    })
}

#[test]
fn a_replay_shows_what_events_prove() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("events.jsonl");
    let lines = [
        event("Progressing", "ConfigMap/default/app created", "info", 45).to_string(),
        event("Progressing", "Health check passed in 5s", "info", 50).to_string(),
        String::new(),
    ];
    fs::write(&file, lines.join("\n")).unwrap();
    let output = run("http://unused", &["replay", file.to_str().unwrap(), "--cluster", "staging"]);
    assert_exit(&output, 0);
    let said = stdout(&output);
    assert!(said.contains("proves HealthChecked at main@sha1:5394cb7f48"), "{said}");
    assert!(said.contains("5394cb7f48 in staging: healthy"), "{said}");
}

#[test]
fn a_replay_of_a_journal_shows_transitions() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("facts.jsonl");
    let registered = json!({ "v": 1, "at": "2026-11-23T13:00:00Z", "body": { "registered": {
        "environment": "staging", "commit": COMMIT,
        "expect": ["staging/Kustomization/flux-system/apps"], "timeout": "1m",
        "failure_grace": "0s", "transient_grace": "0s", "learning": "0s",
    } } });
    let failed = event("BuildFailed", "no", "error", 50);
    fs::write(&file, format!("{registered}\n{failed}\n")).unwrap();
    let args = ["replay", file.to_str().unwrap(), "--cluster", "staging", "-o", "json"];
    let output = run("http://unused", &args);
    assert_exit(&output, 0);
    let answer: Value = serde_json::from_str(&stdout(&output)).unwrap();
    let outcomes = answer["transitions"].as_array().unwrap().iter();
    let outcomes: Vec<_> = outcomes.map(|t| t["to"]["outcome"].as_str().unwrap()).collect();
    // Time passes too: the minute was over before Flux spoke.
    assert_eq!(outcomes, ["timed_out", "failed"]);
    assert_eq!(answer["statuses"][0]["state"], "failed");
}

#[test]
fn a_replay_says_which_line_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("events.jsonl");
    fs::write(&file, format!("{}\nnot json\n", event("Progressing", "x", "info", 1))).unwrap();
    let output = run("http://unused", &["replay", file.to_str().unwrap()]);
    assert_exit(&output, 2);
    assert!(stderr(&output).contains("line 2: not a fact"), "{}", stderr(&output));
}

#[test]
fn manifests_hold_the_key_if_there_is_one() {
    let args = ["manifests", "--cluster", "staging", "--address", "https://brain.example.com/"];
    let output = run("http://unused", &args);
    assert_exit(&output, 0);
    let said = stdout(&output);
    for part in [
        "type: generic-hmac",
        "address: \"https://brain.example.com/v1/events/staging\"",
        "REPLACE-WITH-THE-KEY",
        "wait: true",
        "kind: OCIRepository",
    ] {
        assert!(said.contains(part), "{part} in {said}");
    }

    let mut child = brain("http://unused")
        .args(args)
        .args(["--key-file", "-", "--watch-namespace", "shop"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"k\"ey\n").unwrap();
    let said = stdout(&child.wait_with_output().unwrap());
    assert!(said.contains("token: \"k\\\"ey\"\n"), "{said}");
    assert_eq!(said.matches("      namespace: shop\n").count(), 5);
    let bad = ["manifests", "--cluster", "staging", "--address", "brain.example.com"];
    assert_exit(&run("http://unused", &bad), 2);
}

#[test]
fn manifests_of_argo_cd_are_whole() {
    let args =
        ["manifests", "--argocd", "--cluster", "staging", "--address", "https://brain.example.com"];
    let output = run("http://unused", &[&args[..], &["--namespace", "argo"]].concat());
    assert_exit(&output, 0);
    let map: Value = serde_saphyr::from_str(&stdout(&output)).unwrap();
    assert_eq!(
        (&map["kind"], &map["metadata"]["namespace"]),
        (&"ConfigMap".into(), &"argo".into())
    );
    let inner = |key: &str| -> Value {
        serde_saphyr::from_str(map["data"][key].as_str().unwrap()).unwrap()
    };
    let service = inner("service.webhook.gitops-brain");
    assert_eq!(service["url"], "https://brain.example.com/v1/events/staging");
    assert_eq!(service["headers"][0]["value"], "Bearer $gitops-brain-token");
    assert_eq!(inner("template.gitops-brain")["webhook"]["gitops-brain"]["method"], "POST");
    for trigger in inner("trigger.gitops-brain").as_array().unwrap() {
        assert_eq!(trigger["send"], json!(["gitops-brain"]));
    }
    assert_eq!(inner("subscriptions")[0]["triggers"], json!(["gitops-brain"]));
    assert_exit(&run("http://unused", &[&args[..], &["--key-file", "-"]].concat()), 2);
}

#[test]
fn a_sample_event_is_signed_and_turns_nothing_green() {
    let stub = Stub::start(|_| json!({ "result": "accepted" }).into());
    let output = brain(&stub.url)
        .args(["send", "--cluster", "staging", "--commit", COMMIT])
        .env("GITOPS_BRAIN_HMAC_KEY", "key")
        .env("GITOPS_BRAIN_TOKEN", "token")
        .output()
        .unwrap();
    assert_exit(&output, 0);
    assert_eq!(stdout(&output), "200 accepted\n");
    let [request] = &stub.requests()[..] else { panic!() };
    assert!(request.is("POST", "/v1/events/staging"));
    assert_eq!(request.header("authorization"), None);
    let signature = request.header("x-signature").unwrap();
    Verifier::new(["key"]).unwrap().verify(Some(signature.as_bytes()), &request.body).unwrap();
    assert_eq!(request.json()["involvedObject"]["name"], "gitops-brain-sample");
    assert_eq!(request.json()["metadata"]["revision"], format!("main@sha1:{COMMIT}"));
}

#[test]
fn completions_are_printed() {
    let output = run("http://unused", &["completions", "bash"]);
    assert_exit(&output, 0);
    assert!(stdout(&output).contains("gitops-brain"));
}
