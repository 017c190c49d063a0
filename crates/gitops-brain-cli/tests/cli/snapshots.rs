//! What a wait prints, to the letter: `snapshots/NAME.txt`. With `GITOPS_BRAIN_TEST_RECORD=1` the files
//! are written anew, to be read in the diff.

use std::{env, fs, path::Path, process::Output};

use crate::support::{COMMIT, Stub, brain, problem, status, stderr, stdout};

/// What differs from run to run: addresses, and how long something took.
fn steady(text: &str, url: &str) -> String {
    let mut steady = String::new();
    for line in text.replace(url, "https://brain.example.com").lines() {
        let line = match line.split_once(" after ") {
            Some((before, after))
                if after.trim_end_matches('s').chars().all(|c| c.is_ascii_digit()) =>
            {
                format!("{before} after 0s")
            }
            _ => line.to_owned(),
        };
        let line = match line.split_once("s] ") {
            Some((clock, rest)) if clock.starts_with('[') => format!("[    0s] {rest}"),
            _ => line,
        };
        // Each git says it in its own words.
        let line = match line.split_once("is not a git checkout: ") {
            Some((before, after)) => {
                let rest =
                    after.find(['"', '\n']).and_then(|end| after.get(end..)).unwrap_or_default();
                format!("{before}is not a git checkout: …{rest}")
            }
            None => line,
        };
        // GitLab's markers carry the time.
        let line =
            line.split("section_").enumerate().map(|(place, part)| match part.split_once(':') {
                Some((word, rest)) if place > 0 => {
                    let name = rest.split_once(':').map_or(rest, |(_, name)| name);
                    format!("section_{word}:0:{name}")
                }
                _ => part.to_owned(),
            });
        steady.push_str(&line.collect::<String>().replace('\u{1b}', "␛").replace('\r', "␍"));
        steady.push('\n');
    }
    steady
}

#[track_caller]
fn check(name: &str, url: &str, output: &Output) {
    let code = output.status.code().unwrap();
    let (out, err) = (steady(&stdout(output), url), steady(&stderr(output), url));
    let actual = format!("exit code {code}\n--- stdout\n{out}--- stderr\n{err}");
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/cli/snapshots/{name}.txt"));
    if env::var_os("GITOPS_BRAIN_TEST_RECORD").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &actual).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(actual, expected, "{}", path.display());
}

fn wait(stub: &Stub, args: &[&str], variables: &[(&str, &str)]) -> Output {
    brain(&stub.url)
        .args(["wait", COMMIT, "-e", "staging", "-C", "/nowhere"])
        .args(args)
        .envs(variables.iter().copied())
        .output()
        .unwrap()
}

fn answering(outcome: &'static str, reason: &'static str) -> Stub {
    Stub::start(move |_| status(outcome, reason, "1").into())
}

#[test]
fn each_end_is_told_to_the_letter() {
    let succeeded = answering("succeeded", "succeeded");
    check("succeeded", &succeeded.url, &wait(&succeeded, &[], &[]));
    let failed = answering("failed", "failed");
    check("failed", &failed.url, &wait(&failed, &[], &[]));
    let timed_out = answering("timed_out", "timed_out");
    check("timed-out", &timed_out.url, &wait(&timed_out, &[], &[]));
    let not_allowed = Stub::start(|_| problem(403, "token.scope"));
    check("not-allowed", &not_allowed.url, &wait(&not_allowed, &[], &[]));
    let usage = Stub::start(|_| problem(404, "environment.unknown"));
    check("usage", &usage.url, &wait(&usage, &[], &[]));
    let unreachable = Stub::start(|_| problem(503, "store.unavailable"));
    check("unreachable", &unreachable.url, &wait(&unreachable, &["--timeout", "1s"], &[]));
    let unanswerable = Stub::start(|_| {
        let mut status = status("in_progress", "not_checked", "1");
        status["reconcilers"][0]["health_checks"]["policy"] = "disabled".into();
        status["remedy"] = "set `wait: true`".into();
        status.into()
    });
    check("unanswerable", &unanswerable.url, &wait(&unanswerable, &[], &[]));
}

#[test]
fn each_form_is_what_programs_were_promised() {
    let failed = answering("failed", "failed");
    check("failed-json", &failed.url, &wait(&failed, &["-o", "json"], &[]));
    check("failed-jsonl", &failed.url, &wait(&failed, &["-o", "jsonl"], &[]));
    check("failed-github", &failed.url, &wait(&failed, &[], &[("GITHUB_ACTIONS", "true")]));
    check("failed-gitlab", &failed.url, &wait(&failed, &[], &[("GITLAB_CI", "true")]));
    let both = wait(&failed, &["-e", "production"], &[]);
    check("failed-in-two", &failed.url, &both);
}
