//! What each end of a wait is told by.

use crate::support::{
    Answer, COMMIT, Stub, assert_exit, brain, problem, run, status, stderr, stdout, wait,
};

#[test]
fn succeeded_is_0() {
    let stub = Stub::start(|_| status("succeeded", "succeeded", "1").into());
    let output = wait(&stub.url, &[]);
    assert_exit(&output, 0);
    assert!(stdout(&output).contains("succeeded: 5394cb7f48 in staging"), "{}", stdout(&output));
}

#[test]
fn failed_is_1_and_flux_speaks() {
    let stub = Stub::start(|_| status("failed", "failed", "1").into());
    let output = wait(&stub.url, &[]);
    assert_exit(&output, 1);
    let said = stdout(&output);
    for part in [
        "failed: 5394cb7f48 in staging",
        "staging/Kustomization/flux-system/apps",
        "main@sha1:84539404ff5ac8fed0f274da2d32d9442bc46bca",
        "since       2026-11-23T13:04:06Z",
        "BuildFailed",
        "  | no matches for\n  | kind Foo",
    ] {
        assert!(said.contains(part), "{part} in {said}");
    }
}

#[test]
fn wrong_questions_are_2() {
    let stub = Stub::start(|_| problem(404, "environment.unknown"));
    let output = wait(&stub.url, &[]);
    assert_exit(&output, 2);
    assert!(stdout(&output).contains("environment.unknown"), "{}", stdout(&output));

    assert_exit(&run(&stub.url, &["wait", "no-such-branch", "-e", "staging"]), 2);
    assert_exit(&run(&stub.url, &["wait", "--no-such-flag"]), 2);
    assert_exit(&run(&stub.url, &["wait", COMMIT, "-e", "Not a name"]), 2);
    assert_exit(&run(&stub.url, &["wait", COMMIT, "-e", "staging", "--timeout", "5"]), 2);
    assert_exit(&run("ftp://example.com", &["wait", COMMIT, "-e", "staging"]), 2);
}

#[test]
fn timed_out_is_3_whoever_says_it() {
    let stub = Stub::start(|_| status("timed_out", "timed_out", "1").into());
    let output = wait(&stub.url, &[]);
    assert_exit(&output, 3);
    // Nobody ever reported a revision that is related to the commit.
    assert!(stdout(&output).contains("was it pushed"), "{}", stdout(&output));

    let stub = Stub::start(|_| status("in_progress", "waiting", "1").into());
    let output = wait(&stub.url, &["--timeout", "1s"]);
    assert_exit(&output, 3);
    assert!(stdout(&output).contains("not done within 1s"), "{}", stdout(&output));
}

#[test]
fn not_allowed_is_4_but_for_the_registration() {
    let stub = Stub::start(|_| problem(403, "token.scope"));
    assert_exit(&wait(&stub.url, &[]), 4);

    let stub = Stub::start(|request| match &*request.method {
        "PUT" => problem(403, "token.scope"),
        _ => status("succeeded", "succeeded", "1").into(),
    });
    let output = wait(&stub.url, &[]);
    assert_exit(&output, 0);
    assert!(stdout(&output).contains("waiting without registering"), "{}", stdout(&output));
    assert_exit(&run(&stub.url, &["register", COMMIT, "-e", "staging"]), 4);
}

#[test]
fn unreachable_is_5() {
    // Nothing listens on the port of a listener that is gone.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let output = wait(&format!("http://127.0.0.1:{port}"), &["--timeout", "1s"]);
    assert_exit(&output, 5);
    assert!(stdout(&output).contains("cannot reach http://127.0.0.1"), "{}", stdout(&output));
    assert_exit(&run(&format!("http://127.0.0.1:{port}"), &["status", COMMIT]), 5);

    let html = Stub::start(|_| Answer(404, "", "<html>".to_owned()));
    assert_exit(&wait(&html.url, &[]), 5);
    let redirect = Stub::start(|_| Answer(301, "Location: https://x/\r\n", String::new()));
    let output = wait(&redirect.url, &[]);
    assert_exit(&output, 5);
    assert!(stdout(&output).contains("redirects to https://x/"), "{}", stdout(&output));
}

#[test]
fn what_no_event_will_answer_is_6() {
    let stub = Stub::start(|_| {
        let mut status = status("in_progress", "not_checked", "1");
        status["reconcilers"][0]["health_checks"]["policy"] = "disabled".into();
        status["remedy"] = "set `wait: true`".into();
        status.into()
    });
    let output = wait(&stub.url, &[]);
    assert_exit(&output, 6);
    assert!(stdout(&output).contains("remedy: set `wait: true`"), "{}", stdout(&output));
    assert_exit(&wait(&stub.url, &["--keep-waiting", "--timeout", "1s"]), 3);
}

#[test]
fn the_worst_of_several_environments_counts() {
    let stub = Stub::start(|request| {
        let outcome = if request.path.contains("/broken/") { "failed" } else { "succeeded" };
        let mut status = status(outcome, outcome, "1");
        for name in ["broken", "late", "staging"] {
            if request.path.contains(&format!("/{name}/")) {
                status["environment"] = name.into();
            }
        }
        if request.path.contains("/late/") {
            status["outcome"] = "timed_out".into();
        }
        if request.path.contains("/forbidden/") && request.method == "GET" {
            return problem(403, "token.environment");
        }
        status.into()
    });
    let exit = |environments: &str| {
        run(&stub.url, &["wait", COMMIT, "-e", environments]).status.code().unwrap()
    };
    assert_eq!(exit("staging"), 0);
    assert_eq!(exit("staging,late,broken,forbidden"), 1);
    assert_eq!(exit("forbidden,late,staging"), 3);
    assert_eq!(exit("staging,forbidden"), 4);
}

#[test]
fn json_goes_to_stdout_and_all_else_to_stderr() {
    let stub = Stub::start(|_| status("failed", "failed", "1").into());
    let output = wait(&stub.url, &["--output", "json"]);
    assert_exit(&output, 1);
    let answer: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(answer["outcome"], "failed");
    assert!(stderr(&output).contains("failed: 5394cb7f48"), "{}", stderr(&output));

    let output = run(&stub.url, &["wait", COMMIT, "-e", "staging,other", "-o", "json"]);
    let answers: Vec<serde_json::Value> = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(answers.len(), 2);
}

#[test]
fn an_interrupt_is_130() {
    let stub = Stub::start(|_| status("in_progress", "waiting", "1").into());
    let mut command = brain(&stub.url);
    let mut child = command.args(["wait", COMMIT, "-e", "staging"]).spawn().unwrap();
    while stub.requests().len() < 2 {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let id = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
}
