//! `gitops-brain doctor` against real servers whose set-up has faults, each seeded by what would cause
//! it.
#![expect(clippy::unwrap_used, reason = "a failed test says where")]

use std::{
    collections::BTreeMap,
    process::{Command, Output},
};

use chrono::{TimeDelta, Utc};
use gitops_brain::Policy;
use gitops_brain_tests::{
    kustomization_event::KustomizationEvent,
    process::{Client, Server, TOKEN, binary},
};
use serde_json::{Value, json};

const A: &str = "5394cb7f48332b2de7c17dd8b8384bbc84b7e738";
const UNKNOWN: &str = "84539404ff5ac8fed0f274da2d32d9442bc46bca";

fn policy(environments: Value) -> Policy {
    serde_json::from_value(json!({ "environments": environments })).unwrap()
}

fn server(policy: &Policy, clusters: &[(&str, &str)]) -> Server {
    let keys = clusters.iter().map(|(name, key)| (name.parse().unwrap(), (*key).to_owned()));
    let mut server = Server::new(policy, keys.collect::<BTreeMap<_, _>>()).unwrap();
    server.start().unwrap();
    server
}

/// Posts what a Kustomization says, made some seconds ago.
fn say(client: &Client, name: &str, ago: i64, reason: &str, message: &str) {
    let (cluster, kustomization) = name.split_once('/').unwrap();
    let event = KustomizationEvent {
        name: kustomization,
        uid: kustomization,
        resource_version: 7,
        severity: "info",
        reason,
        message,
        commit: Some(A.parse().unwrap()),
        is_success: reason == "ReconciliationSucceeded",
        at: Utc::now() - TimeDelta::seconds(ago),
    };
    let answer = client.event(&cluster.parse().unwrap(), event.body().as_bytes()).unwrap();
    assert!(matches!(answer.status, 200 | 202), "{answer:?}");
}

fn doctor(server: &Server, args: &[&str]) -> Output {
    let mut command = Command::new(binary().unwrap());
    command.arg("doctor").args(args);
    command.env("GITOPS_BRAIN_URL", server.url().unwrap()).env("GITOPS_BRAIN_TOKEN", TOKEN);
    command.output().unwrap()
}

const APPLIED: &str = "Deployment/shop/web configured";
const CHECKED: &str = "Health check passed in 25.124446ms";
const FINISHED: &str = "Reconciliation finished in 202.966872ms, next run in 10m0s";

#[test]
fn a_set_up_without_faults_is_told_so() {
    let staging = json!({ "reconcilers": ["staging/Kustomization/flux-system/apps"] });
    let server = server(
        &policy(json!({ "staging": staging })),
        &[("staging", "the key of staging, long enough")],
    );
    let client = server.client().unwrap();
    say(&client, "staging/apps", 3, "Progressing", APPLIED);
    say(&client, "staging/apps", 2, "Progressing", CHECKED);
    say(&client, "staging/apps", 1, "ReconciliationSucceeded", FINISHED);
    let output = doctor(&server, &["--replica", server.url().unwrap()]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("✓ nothing is wrong"), "{said}");
    assert!(said.contains("e2e: read, write, ancestry, admin in all environments"), "{said}");
}

#[test]
fn each_of_nine_seeded_faults_is_found_with_its_remedy() {
    let environments = json!({
        // `lost` was never connected, `apps` does not wait and its parent is not expected.
        "staging": { "reconcilers": [
            "staging/Kustomization/flux-system/apps", "lost/Kustomization/flux-system/apps",
        ] },
        // Its Flux drops successes, and its clock is behind.
        "old": { "reconcilers": ["old/Kustomization/flux-system/apps"] },
    });
    let shared = "one key for two clusters";
    let keys = [("staging", shared), ("lost", shared), ("old", "the key of the old cluster")];
    let sick = server(&policy(environments), &keys);
    let client = sick.client().unwrap();
    let line = "Kustomization/flux-system/apps configured";
    say(&client, "staging/flux-system", 9, "Progressing", line);
    say(&client, "staging/flux-system", 8, "ReconciliationSucceeded", FINISHED);
    say(&client, "staging/apps", 7, "Progressing", APPLIED);
    say(&client, "staging/apps", 6, "ReconciliationSucceeded", FINISHED);
    say(&client, "old/apps", 400, "Progressing", APPLIED);
    say(&client, "old/apps", 399, "Progressing", CHECKED);
    // The events of the one that was not connected are signed with another key.
    let wrong = client.signed_event(&"lost".parse().unwrap(), Some("sha256=00"), b"{}").unwrap();
    assert_eq!(wrong.status, 401);
    let environment = "staging".parse().unwrap();
    client.register(&environment, UNKNOWN.parse().unwrap(), &json!({})).unwrap();
    // A replica that was forgotten when the configuration changed.
    let other = json!({ "staging": { "reconcilers": ["staging/Kustomization/flux-system/apps"] } });
    let replica = server(&policy(other), &keys);

    let url = replica.url().unwrap();
    let output = doctor(&sick, &["--replica", url, "--output", "json"]);
    assert_eq!(output.status.code(), Some(1));
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    let findings = answer["findings"].as_array().unwrap();
    for (code, subject, remedy) in [
        ("cluster_never_heard", "lost", "gitops-brain manifests --cluster lost"),
        ("health_not_checked", "staging/Kustomization/flux-system/apps", "wait: true"),
        (
            "parent_not_expected",
            "staging/Kustomization/flux-system/apps",
            "staging/Kustomization/flux-system/flux-system",
        ),
        ("success_events_dropped", "old", "DisableCommitStatusEvent"),
        ("clock_skew", "old", "NTP"),
        ("events_refused", "lost", "Secret of its Provider"),
        ("key_shared", "cluster staging", "its own key"),
        ("ancestry_unknown", UNKNOWN, "push webhook"),
        ("policies_differ", sick.url().unwrap(), "the same configuration"),
    ] {
        let found = findings.iter().find(|one| one["code"] == code && one["subject"] == subject);
        let found = found.unwrap_or_else(|| panic!("{code} of {subject} is not in {findings:#?}"));
        let told = found["remedy"].as_str().unwrap();
        assert!(told.contains(remedy), "{code}: {told}");
    }
    assert_eq!(findings.len(), 9, "{findings:#?}");
    let said = doctor(&sick, &[]).stdout;
    let said = String::from_utf8_lossy(&said);
    assert!(said.contains("✗ clock_skew: the clock of cluster old is"), "{said}");
    assert!(said.ends_with("8 findings\n"), "{said}");
}
