//! What a job of GitHub Actions gets to see.

use std::fs;

use crate::support::{COMMIT, Stub, assert_exit, brain, status, stdout};

#[test]
fn failures_are_annotated_summed_up_and_put_out() {
    let stub = Stub::start(|_| {
        let mut status = status("failed", "failed", "1");
        status["message"] = "100% of apps failed: a|b <img>".into();
        status["state"] = "failed\nurl=https://evil.example".into();
        status.into()
    });
    let folder = tempfile::tempdir().unwrap();
    let summary = folder.path().join("summary");
    let outputs = folder.path().join("outputs");
    fs::write(&summary, "earlier\n").unwrap();
    let output = brain(&stub.url)
        .args(["wait", COMMIT, "-e", "staging"])
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_STEP_SUMMARY", &summary)
        .env("GITHUB_OUTPUT", &outputs)
        .output()
        .unwrap();
    assert_exit(&output, 1);
    let said = stdout(&output);
    assert!(said.starts_with("::group::waiting for"), "{said}");
    assert!(said.contains("\n::endgroup::\n"), "{said}");
    let error = said.lines().find(|line| line.starts_with("::error ")).unwrap();
    assert!(error.starts_with("::error title=failed%3A 5394cb7f48 in staging"), "{error}");
    assert!(error.ends_with("::100%25 of apps failed: a|b <img>"), "{error}");

    let summary = fs::read_to_string(summary).unwrap();
    assert!(summary.starts_with("earlier\n### gitops-brain\n"), "{summary}");
    assert!(summary.contains("| staging | `5394cb7f48` | ❌ failed |"), "{summary}");

    let outputs = fs::read_to_string(outputs).unwrap();
    let names: Vec<_> = outputs.lines().map(|line| line.split_once('=').unwrap().0).collect();
    assert_eq!(names, ["outcome", "state", "reason", "commit", "via", "url"]);
    assert!(outputs.contains(&format!("url={}/v1/rollouts/staging/{COMMIT}\n", stub.url)));
}

#[test]
fn a_success_is_not_annotated() {
    let stub = Stub::start(|_| status("succeeded", "succeeded", "1").into());
    let output = brain(&stub.url)
        .args(["wait", COMMIT, "-e", "staging"])
        .env("GITHUB_ACTIONS", "true")
        .output()
        .unwrap();
    assert_exit(&output, 0);
    assert!(!stdout(&output).contains("::error"), "{}", stdout(&output));
}
