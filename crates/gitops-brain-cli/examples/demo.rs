//! The main job, end to end, with the real binary: a server, a git repository, the signed events that
//! Flux would send, and `gitops-brain wait` going green, red and green.
//!
//! `make demo` runs it. It needs `git`, writes to a temporary folder, listens on the loopback address,
//! and ends with 0 if everything went as told.

use std::{
    env,
    error::Error,
    fs,
    io::{self, BufRead, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

use chrono::{SecondsFormat, Utc};
use serde_json::{Value, json};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const KEY: &str = "the-key-that-the-staging-cluster-signs-with";
const TOKEN: &str = "the-token-of-the-ci-job";
const RECONCILER: &str = "staging/Kustomization/flux-system/apps";

fn main() -> ExitCode {
    match run() {
        Ok(()) => {
            say("\ngreen, red, green");
            ExitCode::SUCCESS
        }
        Err(error) => {
            say(&format!("\nthe demo failed: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let binary = binary()?;
    let folder = tempfile::tempdir()?;
    let folder = folder.path();

    heading("A server, with the key of one cluster and the token of one CI job");
    let server = Server::start(&binary, folder)?;
    say(&format!("  {} ({})", server.url, folder.display()));

    heading("A gitops repository, and the checkout of a CI job");
    let origin = folder.join("origin.git");
    git(folder, &["init", "--quiet", "--bare", "--initial-branch=main", "origin.git"])?;
    git(folder, &["clone", "--quiet", path(&origin)?, "ci"])?;
    let ci = folder.join("ci");
    git(&ci, &["checkout", "--quiet", "-B", "main"])?;
    let flux = Flux { binary: &binary, url: &server.url };

    let a = commit(&ci, "deploy/cm.yaml", "a: 1\n", "first")?;
    heading("1. Commit A is pushed, and applied as it should be: green");
    say(&format!("  pushed {a}"));
    let wait = Wait::start(&binary, &server.url, &ci)?;
    wait.expect("has never been heard of")?;
    flux.stores_artifact(&a, "first", 337)?;
    flux.sends(&a, 340, "info", "Progressing", APPLIED)?;
    wait.expect("is applying")?;
    flux.sends(&a, 340, "info", "Progressing", "Health check passed in 5.025124446s")?;
    let finished = "Reconciliation finished in 5.192261409s, next run in 1h0m0s";
    flux.sends(&a, 340, "info", "ReconciliationSucceeded", finished)?;
    wait.end(0)?;
    // An hour later, and then each hour.
    flux.sends(&a, 351, "info", "ReconciliationSucceeded", finished)?;

    let b = commit(&ci, "deploy/cm.yaml", "a: {1\n", "broken yaml")?;
    heading("2. Commit B cannot be built: red, with Flux's own words");
    say(&format!("  pushed {b}"));
    let wait = Wait::start(&binary, &server.url, &ci)?;
    wait.expect("has not reported this commit")?;
    flux.stores_artifact(&b, "broken yaml", 421)?;
    flux.sends(&b, 417, "error", "BuildFailed", BROKEN)?;
    wait.end(1)?;

    let c = commit(&ci, "deploy/cm.yaml", "a: 2\n", "mend it")?;
    heading("3. Commit C is overtaken: a colleague pushes D before Flux looks. Green, by way of D");
    say(&format!("  pushed {c}"));
    let wait = Wait::start(&binary, &server.url, &ci)?;
    wait.expect("has not reported this commit")?;
    git(folder, &["clone", "--quiet", path(&origin)?, "colleague"])?;
    let d = commit(&folder.join("colleague"), "deploy/b.yaml", "b: 1\n", "change config")?;
    say(&format!("  the colleague pushed {d}"));
    flux.stores_artifact(&d, "change config", 460)?;
    flux.sends(&d, 455, "info", "Progressing", "ConfigMap/default/app-config configured")?;
    wait.expect("is live: sent")?;
    flux.sends(&d, 455, "info", "Progressing", "Health check passed in 14.363056ms")?;
    let finished = "Reconciliation finished in 202.966872ms, next run in 1h0m0s";
    flux.sends(&d, 455, "info", "ReconciliationSucceeded", finished)?;
    wait.end(0)?;

    heading("What the server remembers");
    for args in [&["history"][..], &["reconcilers"]] {
        let output = client(&binary, &server.url).args(args).output()?;
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            say(&format!("  {line}"));
        }
    }
    server.stop()
}

const APPLIED: &str = "ConfigMap/default/app-config created\nDeployment/default/app created";
const BROKEN: &str = "failed to decode Kubernetes YAML from \
                      /tmp/kustomization-2015283861/deploy/cm.yaml: MalformedYAMLError: yaml: line \
                      2: did not find expected ',' or '}'";

/// The cluster: sends what Flux's controllers send, signed.
struct Flux<'a> {
    binary: &'a Path,
    url: &'a str,
}

impl Flux<'_> {
    fn stores_artifact(&self, commit: &str, subject: &str, resource_version: u32) -> Result<()> {
        let message = format!("stored artifact for commit '{subject}'");
        let object = json!({
            "kind": "GitRepository", "namespace": "flux-system", "name": "flux-system",
            "uid": "bf1d41ec-016a-4fff-98f9-edb2ae521085",
            "apiVersion": "source.toolkit.fluxcd.io/v1",
            "resourceVersion": resource_version.to_string(),
        });
        self.post(commit, object, "info", "NewArtifact", &message, "source-controller")
    }

    fn sends(
        &self,
        commit: &str,
        resource_version: u32,
        severity: &str,
        reason: &str,
        message: &str,
    ) -> Result<()> {
        let object = json!({
            "kind": "Kustomization", "namespace": "flux-system", "name": "apps",
            "uid": "09403fe4-7b5b-4693-a590-787cc75ef071",
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
            "resourceVersion": resource_version.to_string(),
        });
        self.post(commit, object, severity, reason, message, "kustomize-controller")
    }

    fn post(
        &self,
        commit: &str,
        object: Value,
        severity: &str,
        reason: &str,
        message: &str,
        controller: &str,
    ) -> Result<()> {
        let revision = format!("main@sha1:{commit}");
        let metadata = if reason == "ReconciliationSucceeded" {
            json!({ "commit_status": "update", "revision": revision })
        } else {
            json!({ "revision": revision })
        };
        let event = json!({
            "involvedObject": object,
            "severity": severity,
            "timestamp": Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true),
            "message": message,
            "reason": reason,
            "metadata": metadata,
            "reportingController": controller,
            "reportingInstance": "demo",
        });
        thread::sleep(Duration::from_millis(300));
        say(&format!("  Flux sends {severity} {reason}: {}", message.replace('\n', ", ")));
        let mut send = client(self.binary, self.url)
            .args(["send", "--cluster", "staging", "--event", "-"])
            .env("GITOPS_BRAIN_HMAC_KEY", KEY)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()?;
        if let Some(mut stdin) = send.stdin.take() {
            stdin.write_all(event.to_string().as_bytes())?;
        }
        let status = send.wait()?;
        if status.success() {
            Ok(())
        } else {
            Err(format!("the event was refused: {status}").into())
        }
    }
}

/// `gitops-brain wait` in the checkout of the CI job.
struct Wait {
    child: Child,
    lines: Receiver<String>,
}

impl Wait {
    fn start(binary: &Path, url: &str, checkout: &Path) -> Result<Self> {
        say("  $ gitops-brain wait -e staging --timeout 2m");
        let mut child = client(binary, url)
            .args(["wait", "-e", "staging", "--timeout", "2m"])
            .current_dir(checkout)
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take().ok_or("no stdout")?;
        Ok(Self { child, lines: lines(stdout, true) })
    }

    /// Waits until a line holds a text.
    fn expect(&self, text: &str) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) if line.contains(text) => return Ok(()),
                Ok(_) => {}
                Err(_) => return Err(format!("`wait` did not say `{text}`").into()),
            }
        }
    }

    fn end(mut self, expected: i32) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(10);
        while self.child.try_wait()?.is_none() {
            if Instant::now() > deadline {
                return Err("`wait` did not end".into());
            }
            thread::sleep(Duration::from_millis(20));
        }
        while self.lines.recv().is_ok() {}
        let code = self.child.wait()?.code();
        say(&format!("  exit code {}", code.map_or("none".to_owned(), |code| code.to_string())));
        if code == Some(expected) {
            Ok(())
        } else {
            Err(format!("`wait` ended with {code:?} instead of {expected}").into())
        }
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Server {
    child: Child,
    url: String,
}

impl Server {
    fn start(binary: &Path, folder: &Path) -> Result<Self> {
        let config = folder.join("gitops-brain.toml");
        let text = format!(
            "[clusters.staging]\n\
             hmac_keys = [\"env:STAGING_HMAC_KEY\"]\n\n\
             [environments.staging]\n\
             reconcilers = [\"{RECONCILER}\"]\n\n\
             [[tokens]]\n\
             name = \"ci\"\n\
             secret = \"env:GITOPS_BRAIN_CI_TOKEN\"\n\
             scopes = [\"read\", \"write\"]\n\
             environments = [\"staging\"]\n"
        );
        text.lines().for_each(|line| say(&format!("  | {line}")));
        fs::write(&config, text)?;
        let mut child = Command::new(binary)
            .args(["serve", "--listen", "127.0.0.1:0", "--config"])
            .arg(&config)
            .arg("--database")
            .arg(folder.join("gitops-brain.db"))
            .env("STAGING_HMAC_KEY", KEY)
            .env("GITOPS_BRAIN_CI_TOKEN", TOKEN)
            .stdout(Stdio::piped())
            .stderr(fs::File::create(folder.join("server.log"))?)
            .spawn()?;
        let lines = lines(child.stdout.take().ok_or("no stdout")?, false);
        let mut server = Self { child, url: String::new() };
        match lines.recv_timeout(Duration::from_secs(10)) {
            Ok(line) => match line.strip_prefix("listening on ") {
                Some(url) => url.clone_into(&mut server.url),
                None => return Err(format!("the server said `{line}`").into()),
            },
            Err(_) => {
                let log = fs::read_to_string(folder.join("server.log")).unwrap_or_default();
                return Err(format!("the server did not start: {log}").into());
            }
        }
        Ok(server)
    }

    /// Stops it as an operator does.
    fn stop(mut self) -> Result<()> {
        Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status()?;
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                say("  the server stopped");
                return if status.success() {
                    Ok(())
                } else {
                    Err(format!("the server ended with {status}").into())
                };
            }
            thread::sleep(Duration::from_millis(20));
        }
        Err("the server did not stop".into())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn client(binary: &Path, url: &str) -> Command {
    let mut command = Command::new(binary);
    command.env("GITOPS_BRAIN_URL", url).env("GITOPS_BRAIN_TOKEN", TOKEN);
    // What it shows is what it shows in any log.
    for name in ["GITHUB_ACTIONS", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"] {
        command.env_remove(name);
    }
    with_git(&mut command);
    command
}

/// The lines of an output as they come, said aloud if wanted.
fn lines(from: impl io::Read + Send + 'static, aloud: bool) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(std::result::Result::ok) {
            if aloud {
                say(&format!("    {line}"));
            }
            let _ = sender.send(line);
        }
    });
    receiver
}

/// Commits a file and pushes it; the commit's id.
fn commit(checkout: &Path, file: &str, content: &str, subject: &str) -> Result<String> {
    let target = checkout.join(file);
    fs::create_dir_all(target.parent().ok_or("no folder")?)?;
    fs::write(target, content)?;
    git(checkout, &["add", "."])?;
    git(checkout, &["commit", "--quiet", "-m", subject])?;
    git(checkout, &["push", "--quiet", "-u", "origin", "main"])?;
    git(checkout, &["rev-parse", "HEAD"])
}

fn git(folder: &Path, args: &[&str]) -> Result<String> {
    let mut command = Command::new("git");
    with_git(command.current_dir(folder).args(args));
    let output = command.output().map_err(|error| format!("cannot run git: {error}"))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        return Err(format!("git {}: {}", args.join(" "), stderr.trim()).into());
    }
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// The same git for everybody, whatever they have configured.
fn with_git(command: &mut Command) {
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    for role in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{role}_NAME"), "demo");
        command.env(format!("GIT_{role}_EMAIL"), "demo@example.com");
    }
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
        command.env_remove(name);
    }
}

/// The binary: named by `GITOPS_BRAIN_BIN`, or built here.
fn binary() -> Result<PathBuf> {
    if let Some(path) = env::var_os("GITOPS_BRAIN_BIN") {
        return Ok(fs::canonicalize(path)?);
    }
    let examples = env::current_exe()?;
    let folder = examples.parent().and_then(Path::parent).ok_or("no target folder")?;
    if let Some(cargo) = env::var_os("CARGO") {
        let mut build = Command::new(cargo);
        build.args(["build", "--quiet", "-p", "gitops-brain-cli", "--bin", "gitops-brain"]);
        if folder.ends_with("release") {
            build.arg("--release");
        }
        if !build.status()?.success() {
            return Err("the binary cannot be built".into());
        }
    }
    let binary = folder.join("gitops-brain");
    if binary.exists() {
        Ok(binary)
    } else {
        Err(format!("{} is missing", binary.display()).into())
    }
}

fn path(path: &Path) -> Result<&str> {
    path.to_str().ok_or_else(|| "the temporary folder's name is not UTF-8".into())
}

fn heading(text: &str) {
    say(&format!("\n{text}"));
}

fn say(text: &str) {
    // A reader that went away is told nothing more.
    let _ = writeln!(io::stdout().lock(), "{text}");
}
