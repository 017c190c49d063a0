//! How a wait follows a rollout: by the stream or by questions, and what it accepts.

use std::fs;

use serde_json::Value;

use crate::support::{Answer, COMMIT, Stub, assert_exit, brain, status, stderr, stdout, wait};

const LATER: &str = "84539404ff5ac8fed0f274da2d32d9442bc46bca";

/// An answer that is a stream of these statuses, and ends.
fn stream(statuses: &[Value]) -> Answer {
    let event = |status: &Value| format!("id: 1\nevent: status\ndata: {status}\n\n");
    let body: String = statuses.iter().map(event).collect();
    Answer(200, "Content-Type: text/event-stream\r\n", format!(": heartbeat\n\n{body}"))
}

fn covered() -> Value {
    let mut status = status("succeeded", "succeeded", "2");
    status["reconcilers"][0]["via"] = LATER.into();
    status
}

#[test]
fn the_stream_is_followed_where_there_is_one() {
    let stub = Stub::start(|request| match &*request.path {
        path if path.starts_with("/v1/stream") => stream(&[
            status("in_progress", "waiting", "1"),
            status("in_progress", "applying", "2"),
            status("succeeded", "succeeded", "3"),
        ]),
        _ => status("in_progress", "waiting", "1").into(),
    });
    let output = wait(&stub.url, &[]);
    assert_exit(&output, 0);
    assert!(stdout(&output).contains("apps is applying"), "{}", stdout(&output));
    let requests = stub.requests();
    let path = format!("/v1/stream?environment=staging&commit={COMMIT}");
    assert_eq!(requests.iter().filter(|request| request.path == path).count(), 1);
    assert!(!requests.iter().any(|request| request.path.contains("wait=")), "{requests:?}");
}

#[test]
fn a_stream_that_breaks_is_no_harm() {
    let stub = Stub::start(|request| match &*request.path {
        path if path.starts_with("/v1/stream") => stream(&[status("in_progress", "waiting", "1")]),
        // Only a question that rests learns it.
        path if path.contains("wait=") => status("succeeded", "succeeded", "2").into(),
        _ => status("in_progress", "waiting", "1").into(),
    });
    let output = wait(&stub.url, &["--timeout", "20s"]);
    assert_exit(&output, 0);
    let opened = |request: &&crate::support::Request| request.path.starts_with("/v1/stream");
    assert_eq!(stub.requests().iter().filter(opened).count(), 3);
}

#[test]
fn a_question_of_its_own_is_never_answered_by_the_stream() {
    let stub = Stub::start(|request| match &*request.path {
        path if path.starts_with("/v1/stream") => stream(&[status("succeeded", "succeeded", "9")]),
        path if path.contains("wait=") => status("failed", "failed", "2").into(),
        _ => status("in_progress", "waiting", "1").into(),
    });
    assert_exit(&wait(&stub.url, &["--for", "applied"]), 1);
}

#[test]
fn a_later_commit_counts_and_is_told_unless_the_exact_one_is_wanted() {
    let stub = Stub::start(|_| covered().into());
    assert_exit(&wait(&stub.url, &[]), 0);
    let output = wait(&stub.url, &["--exact"]);
    assert_exit(&output, 6);
    let said = stdout(&output);
    assert!(
        said.contains(&format!("{LATER}, which contains this commit, took its place")),
        "{said}"
    );
    assert!(said.contains("remedy: leave out --exact"), "{said}");
    // It is green where the commit itself is.
    let own = Stub::start(|_| status("succeeded", "succeeded", "1").into());
    assert_exit(&wait(&own.url, &["--exact"]), 0);
}

#[test]
fn programs_get_a_line_for_each_change() {
    let stub = Stub::start(|request| match &*request.path {
        path if path.contains("wait=") => covered().into(),
        _ => status("in_progress", "waiting", "1").into(),
    });
    let output = wait(&stub.url, &["--output", "jsonl"]);
    assert_exit(&output, 0);
    let lines: Vec<Value> =
        stdout(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of_type = |kind: &str| lines.iter().filter(|line| line["type"] == kind).collect::<Vec<_>>();
    let versions: Vec<_> =
        of_type("status").iter().map(|line| &line["status"]["version"]).collect();
    assert_eq!(versions, ["1", "2"]);
    let end = of_type("end");
    assert_eq!((&end[0]["exit_code"], &end[0]["environment"]), (&0.into(), &"staging".into()));
    assert_eq!(lines.last().unwrap()["type"], "end");
    assert!(stderr(&output).contains("waiting for"), "{}", stderr(&output));
}

#[test]
fn gitlab_gets_a_section_and_a_report() {
    let stub = Stub::start(|_| covered().into());
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("gitops-brain.env");
    let output = brain(&stub.url)
        .args(["wait", COMMIT, "-e", "staging", "--dotenv"])
        .arg(&report)
        .env("GITLAB_CI", "true")
        .output()
        .unwrap();
    assert_exit(&output, 0);
    let said = stdout(&output);
    let (begin, end) =
        (said.find(":gitops_brain_wait\r\u{1b}[0Kwaiting for"), said.find("section_end:"));
    assert!(
        said.starts_with("\u{1b}[0Ksection_start:") && begin.is_some() && begin < end,
        "{said:?}"
    );
    let report = fs::read_to_string(report).unwrap();
    let expected = format!(
        "GITOPS_BRAIN_OUTCOME=succeeded\nGITOPS_BRAIN_STATE=healthy\nGITOPS_BRAIN_REASON=succeeded\n\
         GITOPS_BRAIN_COMMIT={COMMIT}\nGITOPS_BRAIN_VIA={LATER}\n\
         GITOPS_BRAIN_ROLLOUT_URL={}/v1/rollouts/staging/{COMMIT}\n",
        stub.url
    );
    assert_eq!(report, expected);
}
