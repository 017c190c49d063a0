//! Servers that come and go, and readers that go.

use std::{
    net::TcpListener,
    process::Stdio,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::support::{
    Answer, COMMIT, Stub, assert_exit, brain, problem, run, status, stdout, wait,
};

#[test]
fn a_wait_survives_a_server_that_is_down_at_first() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let child = brain(&format!("http://{address}"))
        .args(["wait", COMMIT, "-e", "staging", "--timeout", "20s"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    thread::sleep(Duration::from_secs(1));
    let listener = TcpListener::bind(address).unwrap();
    let _stub = Stub::on(listener, |_| status("succeeded", "succeeded", "1").into());
    let output = child.wait_with_output().unwrap();
    assert_exit(&output, 0);
    assert!(stdout(&output).contains("the server answers again"), "{}", stdout(&output));
}

#[test]
fn errors_of_the_server_are_no_verdict() {
    let asked = AtomicUsize::new(0);
    let stub = Stub::start(move |_| match asked.fetch_add(1, Ordering::SeqCst) {
        0 => problem(500, "internal"),
        1 => Answer(503, "Retry-After: 1\r\n", "<html>busy</html>".to_owned()),
        2 => Answer(429, "Retry-After: 0\r\n", String::new()),
        3..=5 => status("in_progress", "waiting", "1").into(),
        6 => Answer(502, "", "bad gateway".to_owned()),
        _ => status("succeeded", "succeeded", "2").into(),
    });
    let started = Instant::now();
    let output = wait(&stub.url, &[]);
    assert_exit(&output, 0);
    assert!(started.elapsed() >= Duration::from_secs(1), "Retry-After counts");
}

#[test]
fn a_question_rests_with_the_server_and_names_what_is_known() {
    let asked = AtomicUsize::new(0);
    let stub = Stub::start(move |request| {
        if request.method == "PUT" {
            return status("in_progress", "waiting", "0").into();
        }
        match asked.fetch_add(1, Ordering::SeqCst) {
            0 => status("in_progress", "waiting", "812.9f3c").into(),
            _ => status("succeeded", "succeeded", "813.aaaa").into(),
        }
    });
    let reconciler = "staging/Kustomization/shop/*";
    let args = ["--reconciler", reconciler, "--failure-grace", "30s", "--for", "applied"];
    assert_exit(&wait(&stub.url, &args), 0);
    let requests = stub.requests();
    assert_eq!(requests[0].json(), json!({ "timeout": "15m" }));
    let own = "for=applied&reconciler=staging/Kustomization/shop/%2A&failure_grace=30s";
    assert_eq!(requests[1].path, format!("/v1/rollouts/staging/{COMMIT}?{own}"));
    assert_eq!(
        requests[2].path,
        format!("/v1/rollouts/staging/{COMMIT}?wait=50s&since=812.9f3c&{own}")
    );
}

#[test]
fn a_server_that_forgot_is_told_again() {
    let registered = AtomicUsize::new(0);
    let stub = Stub::start(move |request| {
        if request.method == "PUT" {
            registered.fetch_add(1, Ordering::SeqCst);
        }
        if registered.load(Ordering::SeqCst) == 2 {
            return status("succeeded", "succeeded", "3").into();
        }
        let mut status = status("in_progress", "waiting", "1");
        status["registered"] = false.into();
        status.into()
    });
    assert_exit(&wait(&stub.url, &[]), 0);
    let puts = stub.requests().into_iter().filter(|request| request.method == "PUT");
    assert_eq!(puts.count(), 2);
}

#[test]
fn a_reader_that_goes_away_changes_nothing() {
    let asked = AtomicUsize::new(0);
    let stub = Stub::start(move |_| match asked.fetch_add(1, Ordering::SeqCst) {
        0..=2 => status("in_progress", "waiting", "1").into(),
        _ => status("failed", "failed", "2").into(),
    });
    let mut child = brain(&stub.url)
        .args(["wait", COMMIT, "-e", "staging"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn text_of_others_gives_no_orders() {
    let stub = Stub::start(|_| {
        let mut status = status("failed", "failed", "1");
        let hostile = "x\u{1b}[2J\n::set-output name=a::b\n##vso[task.complete result=Succeeded;]";
        status["message"] = hostile.into();
        status["reconcilers"][0]["message"] = hostile.into();
        status["reconcilers"][0]["event"]["message"] = hostile.into();
        status.into()
    });
    let output = wait(&stub.url, &[]);
    assert_exit(&output, 1);
    let said = stdout(&output);
    assert!(!said.contains('\u{1b}') && !said.contains("##vso"), "{said}");
    assert!(!said.lines().any(|line| line.trim_start().starts_with("::set-output")), "{said}");
}

#[test]
fn the_token_is_sent_to_the_server_and_shown_to_nobody() {
    let stub = Stub::start(|_| problem(401, "token.unknown"));
    let output = brain(&stub.url)
        .args(["wait", COMMIT, "-e", "staging"])
        .env("GITOPS_BRAIN_TOKEN", "very-secret\n")
        .output()
        .unwrap();
    assert_exit(&output, 4);
    assert_eq!(stub.requests()[0].header("authorization"), Some("Bearer very-secret"));
    assert!(!stdout(&output).contains("very-secret"));
    let help = brain(&stub.url).arg("--help").env("GITOPS_BRAIN_TOKEN", "very-secret").output();
    assert!(!stdout(&help.unwrap()).contains("very-secret"));
}

#[test]
fn proxies_are_not_asked_for_this_machine() {
    let stub = Stub::start(|_| status("succeeded", "succeeded", "1").into());
    let output = brain(&stub.url)
        .args(["wait", COMMIT, "-e", "staging", "--timeout", "2s"])
        .env("HTTP_PROXY", "http://127.0.0.1:1")
        .env("ALL_PROXY", "http://127.0.0.1:1")
        .output()
        .unwrap();
    assert_exit(&output, 0);
}

#[test]
fn lists_are_printed_as_tables() {
    let stub = Stub::start(|request| match &*request.path {
        path if path.starts_with("/v1/reconcilers") => json!({ "reconcilers": [{
            "reconciler": "staging/Kustomization/flux-system/apps", "state": "healthy",
            "head": format!("main@sha1:{COMMIT}"), "commit": COMMIT, "deleted": false,
            "health_checks": { "policy": "inferred", "verdict": "checks" },
            "last_heard_at": "2026-11-23T13:04:06Z", "event": null,
        }] })
        .into(),
        path if path.starts_with("/v1/commits/") => {
            json!({ "statuses": [status("succeeded", "succeeded", "1")] }).into()
        }
        _ => json!({ "rollouts": [status("failed", "failed", "1")] }).into(),
    });
    let output = run(&stub.url, &["reconcilers", "-e", "staging", "--cluster", "staging"]);
    assert!(stdout(&output).contains("healthy  main@sha1:5394cb7f48  checks"));
    let output = run(&stub.url, &["history", "--label", "app=a b", "--outcome", "timed_out"]);
    assert!(stdout(&output).contains("staging      5394cb7f48  failed"), "{}", stdout(&output));
    let output = run(&stub.url, &["status", "5394cb7"]);
    assert!(stdout(&output).contains("5394cb7f48 in staging: succeeded"), "{}", stdout(&output));
    let paths: Vec<_> = stub.requests().into_iter().map(|request| request.path).collect();
    assert_eq!(
        paths,
        [
            "/v1/reconcilers?environment=staging&cluster=staging",
            "/v1/rollouts?limit=20&outcome=timed_out&label=app%3Da%20b",
            "/v1/commits/5394cb7",
        ]
    );
}
