//! The real server: the same binary, told to serve.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

use chrono::{SecondsFormat, Utc};
use serde_json::json;
use tempfile::TempDir;

use crate::support::{
    COMMIT, assert_exit, brain, commit, git, listening, repository, run, stderr, stdout,
};

const KEY: &str = "a-key-that-is-long-enough";

struct Server {
    folder: TempDir,
    child: Child,
    url: String,
}

impl Server {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("key");
        fs::write(&key, KEY).unwrap();
        fs::write(
            folder.path().join("config.toml"),
            format!(
                "[clusters.staging]\n\
                 hmac_keys = [\"file:{}\"]\n\
                 [environments.staging]\n\
                 reconcilers = [\"staging/Kustomization/flux-system/apps\"]\n",
                key.display()
            ),
        )
        .unwrap();
        let (child, url) = Self::spawn(folder.path(), "127.0.0.1:0");
        Self { folder, child, url }
    }

    fn spawn(folder: &Path, listen: &str) -> (Child, String) {
        let mut child = brain("http://unused")
            .args(["serve", "--listen", listen, "--config"])
            .arg(folder.join("config.toml"))
            .arg("--database")
            .arg(folder.join("brain.db"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let url = listening(&mut child);
        (child, url)
    }

    /// Kills it, and starts it again at the same address over the same journal.
    fn restart(&mut self, pause: Duration) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        thread::sleep(pause);
        let listen = self.url.strip_prefix("http://").unwrap();
        (self.child, _) = Self::spawn(self.folder.path(), listen);
    }

    /// A repository with two commits, and a checkout of it.
    fn repository(&self, shallow: bool) -> (PathBuf, PathBuf) {
        let origin = self.folder.path().join("origin");
        repository(&origin, 2);
        let url = format!("file://{}", origin.display());
        let depth = if shallow { "--depth=1" } else { "--no-tags" };
        git(self.folder.path(), &["clone", "--quiet", depth, &url, "ci"]);
        (origin, self.folder.path().join("ci"))
    }

    /// What Flux sends of a commit.
    fn flux(&self, commit: &str, resource_version: u32, severity: &str, message: &str) {
        let reason = if severity == "error" { "BuildFailed" } else { "Progressing" };
        let event = json!({
            "involvedObject": {
                "kind": "Kustomization", "namespace": "flux-system", "name": "apps", "uid": "1",
                "resourceVersion": resource_version.to_string(),
            },
            "severity": severity,
            "timestamp": Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true),
            "message": message, "reason": reason,
            "metadata": { "revision": format!("main@sha1:{commit}") },
        });
        let mut child = brain(&self.url)
            .args(["send", "--cluster", "staging", "--event", "-"])
            .env("GITOPS_BRAIN_HMAC_KEY", KEY)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(event.to_string().as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
    }

    fn wait(&self, checkout: &Path) -> Waiting {
        let mut child = brain(&self.url)
            .args(["wait", "-e", "staging", "--timeout", "30s", "-C"])
            .arg(checkout)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let reader = BufReader::new(child.stdout.take().unwrap());
        Waiting { child, reader, said: String::new() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Waiting {
    child: Child,
    reader: BufReader<std::process::ChildStdout>,
    said: String,
}

impl Waiting {
    /// Reads on until a line holds a text.
    #[track_caller]
    fn until(&mut self, text: &str) {
        loop {
            let before = self.said.len();
            assert_ne!(self.reader.read_line(&mut self.said).unwrap(), 0, "{text}: {}", self.said);
            if self.said[before..].contains(text) {
                return;
            }
        }
    }

    #[track_caller]
    fn end(mut self, code: i32) -> String {
        std::io::Read::read_to_string(&mut self.reader, &mut self.said).unwrap();
        assert_eq!(self.child.wait().unwrap().code(), Some(code), "{}", self.said);
        self.said
    }
}

#[test]
fn a_wait_goes_on_over_a_restart_of_the_server() {
    let mut server = Server::start();
    let (_, ci) = server.repository(false);
    let head = git(&ci, &["rev-parse", "HEAD"]);
    let mut wait = server.wait(&ci);
    wait.until("has never been heard of");
    server.flux(&head, 340, "info", "ConfigMap/default/app created");
    wait.until("is applying");
    server.restart(Duration::from_millis(700));
    server.flux(&head, 340, "info", "Health check passed in 5s");
    let said = wait.end(0);
    assert!(said.contains("the server answers again"), "{said}");
    assert!(said.contains("healthy at main@sha1:"), "{said}");
}

#[test]
fn an_overtaken_commit_is_green_by_way_of_the_later_one() {
    for shallow in [false, true] {
        let server = Server::start();
        let (origin, ci) = server.repository(shallow);
        let mut wait = server.wait(&ci);
        wait.until("has never been heard of");
        let later = commit(&origin, "later");
        server.flux(&later, 340, "info", "ConfigMap/default/app created");
        wait.until("is live: sent");
        server.flux(&later, 340, "info", "Health check passed in 5s");
        let said = wait.end(0);
        assert!(said.contains("which contains this commit"), "{said}");
    }
}

#[test]
fn a_rolled_back_commit_is_never_green() {
    let server = Server::start();
    let (origin, ci) = server.repository(true);
    let former = git(&origin, &["rev-parse", "HEAD~1"]);
    let mut wait = server.wait(&ci);
    wait.until("has never been heard of");
    server.flux(&former, 340, "info", "ConfigMap/default/app created");
    server.flux(&former, 340, "info", "Health check passed in 5s");
    wait.until("has not reported this commit");
    let head = git(&ci, &["rev-parse", "HEAD"]);
    server.flux(&head, 341, "error", "no such file");
    let said = wait.end(1);
    assert!(said.contains("  | no such file"), "{said}");
}

#[test]
fn the_lists_show_what_was_said() {
    let server = Server::start();
    let (_, ci) = server.repository(false);
    let head = git(&ci, &["rev-parse", "HEAD"]);
    let ci = ci.to_str().unwrap();
    let args = ["-C", ci, "register", "-e", "staging", "--label", "app=shop", "--timeout", "5m"];
    let output = run(&server.url, &args);
    assert_exit(&output, 0);
    assert!(stdout(&output).starts_with(&format!("registered {head} in staging")));
    server.flux(&head, 340, "info", "Health check passed in 5s");

    let output = run(&server.url, &["status", &head[..8]]);
    assert!(stdout(&output).contains("staging: succeeded (healthy"), "{}", stdout(&output));
    let output = run(&server.url, &["-C", ci, "status", "-e", "staging", "-o", "json"]);
    assert_exit(&output, 0);
    let status: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(status["outcome"], "succeeded");
    let output = run(&server.url, &["history", "--label", "app=shop", "--outcome", "succeeded"]);
    assert!(stdout(&output).contains(&head[..10]), "{}", stdout(&output));
    let output = run(&server.url, &["reconcilers", "--cluster", "staging"]);
    assert!(stdout(&output).contains("staging/Kustomization/flux-system/apps"));

    for (args, code) in [
        (["status", "1234567"], "commit.unknown"),
        (["status", COMMIT], ""),
        (["history", "--environment=stagin"], "environment.unknown"),
    ] {
        let output = run(&server.url, &args);
        assert_eq!(output.status.code(), Some(if code.is_empty() { 0 } else { 2 }));
        assert!(stderr(&output).contains(code), "{}", stderr(&output));
    }
    let args = ["wait", COMMIT, "-e", "stagin", "--timeout", "9s"];
    let started = Instant::now();
    assert_exit(&run(&server.url, &args), 2);
    assert!(started.elapsed() < Duration::from_secs(5), "a typing mistake does not wait");
    let unsigned = ["send", "--cluster", "staging", "--commit", COMMIT];
    assert_exit(&run(&server.url, &unsigned), 4);
}

#[test]
fn a_server_stops_when_it_is_told_to_and_checks_its_configuration() {
    let mut server = Server::start();
    let id = server.child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    assert_eq!(server.child.wait().unwrap().code(), Some(0));

    let config = server.folder.path().join("config.toml");
    let check = ["serve", "--check", "--config", config.to_str().unwrap()];
    let output = run("http://unused", &check);
    assert_exit(&output, 0);
    assert!(stdout(&output).contains("expects staging/Kustomization/flux-system/apps"));
    assert!(!stdout(&output).contains(KEY));

    let events = server.folder.path().join("none.jsonl");
    fs::write(&events, "").unwrap();
    let replay = ["replay", events.to_str().unwrap(), "--policy", config.to_str().unwrap()];
    assert_exit(&run("http://unused", &replay), 0);

    fs::write(&config, "listne = 1\n[environments.staging]\ntimeout = \"soon\"\n").unwrap();
    let output = run("http://unused", &check);
    assert_exit(&output, 2);
    let said = stderr(&output);
    assert!(said.contains("config.toml:1") && said.contains("config.toml:3"), "{said}");
}

#[test]
fn a_changed_key_counts_as_soon_as_the_server_is_told() {
    let server = Server::start();
    let send = |key: &str| {
        let output = brain(&server.url)
            .args(["send", "--cluster", "staging", "--commit", COMMIT])
            .env("GITOPS_BRAIN_HMAC_KEY", key)
            .output();
        output.unwrap().status.code()
    };
    assert_eq!((send(KEY), send("the next key")), (Some(0), Some(4)));
    fs::write(server.folder.path().join("key"), "the next key").unwrap();
    let id = server.child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-HUP", &id]).status().unwrap().success());
    // A signal is heard in its own time.
    let heard = (0..100).any(|_| {
        thread::sleep(Duration::from_millis(50));
        send("the next key") == Some(0)
    });
    assert!(heard);
    assert_eq!(send(KEY), Some(4));
}
