//! A server of a few lines that answers as a test wants, a git repository, and the binary.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Output, Stdio},
    sync::{Arc, Mutex},
    thread,
};

use gitops_brain_tests::git_http;
use serde_json::{Value, json};

/// A commit that no repository has.
pub(crate) const COMMIT: &str = "5394cb7f48332b2de7c17dd8b8384bbc84b7e738";

/// A request that the stub was sent.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn is(&self, method: &str, path: &str) -> bool {
        self.method == method && self.path.starts_with(path)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers.find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// What the stub answers: a status, more headers, a body.
pub(crate) struct Answer(pub(crate) u16, pub(crate) &'static str, pub(crate) String);

impl From<Value> for Answer {
    fn from(body: Value) -> Self {
        Self(200, "", body.to_string())
    }
}

pub(crate) fn problem(status: u16, code: &str) -> Answer {
    Answer(status, "", json!({ "code": code, "detail": format!("because of {code}") }).to_string())
}

pub(crate) struct Stub {
    pub(crate) url: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Stub {
    pub(crate) fn start(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").unwrap(), answer)
    }

    pub(crate) fn on(
        listener: TcpListener,
        answer: impl Fn(&Request) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let kept = requests.clone();
        let answer = Arc::new(answer);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (answer, kept) = (answer.clone(), kept.clone());
                thread::spawn(move || {
                    let Some(request) = read(&stream) else { return };
                    kept.lock().unwrap().push(request.clone());
                    let Answer(status, headers, body) = answer(&request);
                    // A client that went away is part of some tests.
                    let _ = write!(
                        &stream,
                        "HTTP/1.1 {status} .\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\
                         \r\n{body}",
                        body.len()
                    );
                });
            }
        });
        Self { url, requests }
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim().split_once(": ") else { break };
        headers.push((name.to_ascii_lowercase(), value.to_owned()));
    }
    let request = Request { method, path, headers, body: Vec::new() };
    let length = request.header("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request { body, ..request })
}

/// A status with one reconciler.
pub(crate) fn status(outcome: &str, reason: &str, version: &str) -> Value {
    let state = match outcome {
        "succeeded" => "healthy",
        "failed" => "failed",
        _ => "pending",
    };
    json!({
        "environment": "staging", "commit": COMMIT, "registered": true, "version": version,
        "evaluated_at": "2026-11-23T13:00:00Z", "state": state, "outcome": outcome,
        "settled": outcome != "in_progress", "live": null, "require": "healthy",
        "reason": reason, "message": format!("message of {reason}"), "remedy": null,
        "registered_at": null, "deadline_at": null, "timeout_seconds": null,
        "first_settled": null, "labels": {}, "timeline": [],
        "reconcilers": [{
            "reconciler": "staging/Kustomization/flux-system/apps", "state": state,
            "reason": reason, "message": format!("apps is {reason}"), "live": null,
            "head": "main@sha1:84539404ff5ac8fed0f274da2d32d9442bc46bca", "via": null,
            "health_checks": { "policy": "inferred", "verdict": "unknown" },
            "seen_at": null, "applied_at": null, "healthy_at": null,
            "failed_at": (outcome == "failed").then_some("2026-11-23T13:04:06Z"),
            "last_heard_at": null,
            "event": { "severity": "error", "reason": "BuildFailed",
                       "message": "no matches for\nkind Foo", "at": "2026-11-23T13:04:47Z" },
        }],
    })
}

/// The binary, in a folder without a checkout, without the settings of this process.
pub(crate) fn brain(url: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gitops-brain"));
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if name.starts_with("GIT") || name.ends_with("_proxy") || name.ends_with("_PROXY") {
            command.env_remove(name);
        }
    }
    command.env("GITOPS_BRAIN_URL", url).current_dir("/").stdin(Stdio::null());
    git_http::plain(&mut command);
    command
}

/// Where a server says that it listens, as soon as it does.
pub(crate) fn listening(child: &mut Child) -> String {
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    line.trim().strip_prefix("listening on ").unwrap().to_owned()
}

pub(crate) fn run(url: &str, args: &[&str]) -> Output {
    brain(url).args(args).output().unwrap()
}

pub(crate) fn wait(url: &str, more: &[&str]) -> Output {
    brain(url).args(["wait", COMMIT, "-e", "staging"]).args(more).output().unwrap()
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[track_caller]
pub(crate) fn assert_exit(output: &Output, code: i32) {
    assert_eq!(output.status.code(), Some(code), "{}{}", stdout(output), stderr(output));
}

pub(crate) fn git(folder: &Path, args: &[&str]) -> String {
    git_http::git(folder, args).unwrap()
}

/// Makes a commit; its id.
pub(crate) fn commit(folder: &Path, subject: &str) -> String {
    fs::write(folder.join("file"), subject).unwrap();
    git(folder, &["add", "."]);
    git(folder, &["commit", "--quiet", "-m", subject]);
    git(folder, &["rev-parse", "HEAD"])
}

/// A repository with commits on `main`; their ids.
pub(crate) fn repository(folder: &Path, commits: usize) -> Vec<String> {
    fs::create_dir_all(folder).unwrap();
    git(folder, &["init", "--quiet", "--initial-branch=main"]);
    (0..commits).map(|number| commit(folder, &format!("commit {number}"))).collect()
}
