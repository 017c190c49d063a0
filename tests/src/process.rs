//! The real server in a process of its own, to be asked over HTTP, ended, and started again.
//!
//! The binary is that of the environment variable `GITOPS_BRAIN_BINARY`, or else `gitops-brain` in the
//! folder that the tests themselves were built into. It is built if it is not there; if it is, it is
//! taken as it is: `make` builds it first.

use std::{
    collections::BTreeMap,
    env,
    fs::{self, File},
    io,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus},
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

use gitops_brain::{ClusterName, CommitId, EnvironmentName, Policy, SIGNATURE_HEADER, sign};
use rustix::process::{Pid, Signal, kill_process};
use serde::Serialize;
use serde_json::Value;
use tempfile::TempDir;

/// How long a server may take to start or to stop, on a machine that has other things to do.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often it is looked whether it has.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// How long a request may take that does not wait for anything.
const REQUEST_PATIENCE: Duration = Duration::from_secs(20);

/// The token that may do everything, and is a bearer token of each cluster as well.
pub const TOKEN: &str = "e2e-token-0123456789abcdef0123456789abcdef";

/// A server with its configuration and its journal in a folder of its own.
///
/// It is killed when this is dropped, and the folder is deleted, unless the environment variable
/// `GITOPS_BRAIN_KEEP` is set.
#[derive(Debug)]
pub struct Server {
    folder: TempDir,
    keys: BTreeMap<ClusterName, String>,
    child: Option<Child>,
    starts: u32,
    url: Option<String>,
    /// Another journal than the file in the folder.
    elsewhere: Option<String>,
}

impl Server {
    /// Writes the configuration of a server, which is not started yet: its policy, and the keys with
    /// which clusters sign.
    ///
    /// # Errors
    ///
    /// If the machine does not let us.
    pub fn new(policy: &Policy, keys: BTreeMap<ClusterName, String>) -> io::Result<Self> {
        #[derive(Serialize)]
        struct Config<'a> {
            listen: &'a str,
            database: &'a Path,
            clusters: BTreeMap<&'a ClusterName, Cluster>,
            #[serde(flatten)]
            policy: &'a Policy,
            tokens: [Token<'a>; 1],
        }
        #[derive(Serialize)]
        struct Cluster {
            hmac_keys: [String; 1],
            bearer_tokens: [String; 1],
        }
        #[derive(Serialize)]
        struct Token<'a> {
            name: &'a str,
            secret: String,
            scopes: &'a [&'a str],
        }
        let mut folder = tempfile::Builder::new().prefix("gitops-brain-e2e-").tempdir()?;
        folder.disable_cleanup(env::var_os("GITOPS_BRAIN_KEEP").is_some());
        let place = |name: &str| format!("file:{}", folder.path().join(name).display());
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text);
        write("token", TOKEN)?;
        let mut clusters = BTreeMap::new();
        for (name, key) in &keys {
            write(&format!("{name}.key"), key)?;
            let cluster = Cluster {
                hmac_keys: [place(&format!("{name}.key"))],
                bearer_tokens: [place("token")],
            };
            clusters.insert(name, cluster);
        }
        let config = Config {
            listen: "127.0.0.1:0",
            database: &folder.path().join("gitops-brain.db"),
            clusters,
            policy,
            tokens: [Token {
                name: "e2e",
                secret: place("token"),
                scopes: &["read", "write", "ancestry", "admin"],
            }],
        };
        write("brain.toml", &toml::to_string(&config).map_err(io::Error::other)?)?;
        Ok(Self { folder, keys, child: None, starts: 0, url: None, elsewhere: None })
    }

    /// Keeps its journal in a database of this URL.
    #[must_use]
    pub fn on(mut self, url: String) -> Self {
        self.elsewhere = Some(url);
        self
    }

    /// Starts it and waits until it listens.
    ///
    /// # Errors
    ///
    /// If it ends instead, or takes too long. The error shows what it wrote.
    pub fn start(&mut self) -> io::Result<()> {
        self.spawn()?;
        self.await_ready()
    }

    /// Starts it and does not wait for anything.
    ///
    /// # Errors
    ///
    /// If there is no binary, and none can be built.
    pub fn spawn(&mut self) -> io::Result<()> {
        self.kill()?;
        self.starts += 1;
        // A file takes all that is written, whether anybody reads it or not.
        let log = File::create(self.log_path())?;
        let child = Command::new(binary()?)
            .args(["serve", "--config"])
            .arg(self.folder.path().join("brain.toml"))
            .args(self.elsewhere.iter().flat_map(|url| ["--database", url]))
            .stdin(std::process::Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .env("NO_COLOR", "1")
            .spawn()?;
        self.child = Some(child);
        Ok(())
    }

    /// Waits until it listens.
    ///
    /// # Errors
    ///
    /// As [`Server::start`].
    pub fn await_ready(&mut self) -> io::Result<()> {
        let begun = Instant::now();
        loop {
            if let Some(url) = listening_on(&self.log()) {
                self.url = Some(url);
                return Ok(());
            }
            let Some(child) = &mut self.child else {
                return Err(io::Error::other("it does not run"));
            };
            if let Some(status) = child.try_wait()? {
                return Err(io::Error::other(format!("the server {status}: {}", self.log())));
            }
            if begun.elapsed() > PATIENCE {
                return Err(io::Error::other(format!("the server does not start: {}", self.log())));
            }
            thread::sleep(LOOK_EVERY);
        }
    }

    /// Ends it with SIGKILL, if it runs: it has no chance to do anything.
    ///
    /// # Errors
    ///
    /// If it had ended by itself before: that is never in order.
    pub fn kill(&mut self) -> io::Result<()> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        child.kill()?;
        let status = child.wait()?;
        match status.signal() {
            Some(signal) if signal == Signal::KILL.as_raw() => Ok(()),
            _ => Err(io::Error::other(format!("the server {status} before: {}", self.log()))),
        }
    }

    /// What another thread needs to kill it without a moment's delay; none if it does not run.
    #[must_use]
    pub fn killer(&self) -> Option<Killer> {
        self.child.as_ref().map(|child| Killer(Pid::from_child(child)))
    }

    /// Asks it to stop with SIGTERM, and waits until it has.
    ///
    /// # Errors
    ///
    /// If it does not run, or does not stop.
    pub fn terminate(&mut self) -> io::Result<ExitStatus> {
        let Some(child) = &mut self.child else { return Err(io::Error::other("it does not run")) };
        kill_process(Pid::from_child(child), Signal::TERM)?;
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if let Some(status) = child.try_wait()? {
                self.child = None;
                return Ok(status);
            }
            thread::sleep(LOOK_EVERY);
        }
        Err(io::Error::other(format!("the server does not stop: {}", self.log())))
    }

    /// Asks of it what it is configured for.
    ///
    /// # Errors
    ///
    /// If it was never started.
    pub fn client(&self) -> io::Result<Client> {
        let url = self.url.clone().ok_or_else(|| io::Error::other("it was never started"))?;
        Ok(Client::new(url, self.keys.clone()))
    }

    /// Where it listens: `http://127.0.0.1:PORT`. Another port after each start.
    #[must_use]
    pub fn url(&self) -> Option<&str> {
        self.url.as_deref()
    }

    /// Its journal.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.folder.path().join("gitops-brain.db")
    }

    /// What it has written since it was started last.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join(format!("serve-{}.log", self.starts))
    }
}

/// Kills a server from another thread. To be used before [`Server::kill`] or anything else has ended
/// it: its number may be another process's afterwards.
#[derive(Clone, Copy, Debug)]
pub struct Killer(Pid);

impl Killer {
    /// Ends it with SIGKILL. [`Server::kill`] must follow.
    ///
    /// # Errors
    ///
    /// If there is no such process.
    pub fn kill(self) -> io::Result<()> {
        Ok(kill_process(self.0, Signal::KILL)?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It may have ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Finds the address in what a server writes, once the line is complete.
fn listening_on(log: &str) -> Option<String> {
    let (_, rest) = log.split_once("listening on http://")?;
    let (address, _) = rest.split_once(|c: char| c.is_whitespace())?;
    Some(format!("http://{address}"))
}

/// The binary, built if it is not there.
///
/// # Errors
///
/// If it cannot be built.
pub fn binary() -> io::Result<&'static Path> {
    static BINARY: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    match BINARY.get_or_init(|| find_binary().map_err(|error| error.to_string())) {
        Ok(path) => Ok(path),
        Err(error) => Err(io::Error::other(error.clone())),
    }
}

fn find_binary() -> io::Result<PathBuf> {
    if let Some(path) = env::var_os("GITOPS_BRAIN_BINARY") {
        return Ok(path.into());
    }
    // `target/debug/deps/crashes-0123456789abcdef`
    let tests = env::current_exe()?;
    let no_folder =
        || io::Error::other(format!("{} is not below a target folder", tests.display()));
    let profile = tests.parent().and_then(Path::parent).ok_or_else(no_folder)?;
    let path = profile.join(format!("gitops-brain{}", env::consts::EXE_SUFFIX));
    if !path.is_file() {
        let target = profile.parent().ok_or_else(no_folder)?;
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--package", "gitops-brain-cli", "--target-dir"]).arg(target);
        build.current_dir(env!("CARGO_MANIFEST_DIR"));
        if profile.file_name().is_some_and(|name| name == "release") {
            build.arg("--release");
        }
        let status = build.status()?;
        if !status.success() || !path.is_file() {
            return Err(io::Error::other(format!("{} was not built: {status}", path.display())));
        }
    }
    Ok(path)
}

/// Asks a server, one request after the other, each on a connection of its own.
#[derive(Clone, Debug)]
pub struct Client {
    agent: ureq::Agent,
    url: String,
    keys: BTreeMap<ClusterName, String>,
}

/// What a server answered, whatever its status is.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The body; null if it is empty or no JSON.
    pub body: Value,
}

impl Client {
    /// A client of a server at a URL, that has the keys of these clusters.
    #[must_use]
    pub fn new(url: String, keys: BTreeMap<ClusterName, String>) -> Self {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(REQUEST_PATIENCE))
            // A connection to a server that was killed must not fail the first request to the next,
            // and what the machine has for a proxy knows nothing of our loopback address.
            .max_idle_connections(0)
            .proxy(None)
            .build()
            .into();
        Self { agent, url, keys }
    }

    /// The same client for a server that has moved.
    #[must_use]
    pub fn at(&self, url: String) -> Self {
        Self { url, ..self.clone() }
    }

    /// Posts an event as Flux does, signed with the cluster's key.
    ///
    /// # Errors
    ///
    /// If the client has no key of the cluster, or there is no answer.
    pub fn event(&self, cluster: &ClusterName, body: &[u8]) -> io::Result<Answer> {
        let key = self.keys.get(cluster).ok_or_else(|| io::Error::other("there is no key"))?;
        let signature = sign(key.as_bytes(), body).map_err(io::Error::other)?;
        self.signed_event(cluster, Some(&signature), body)
    }

    /// Posts an event with a signature that was made elsewhere; without one it goes as those of the
    /// provider `generic`, with a token.
    ///
    /// # Errors
    ///
    /// If there is no answer.
    pub fn signed_event(
        &self,
        cluster: &ClusterName,
        signature: Option<&str>,
        body: &[u8],
    ) -> io::Result<Answer> {
        let request = self
            .agent
            .post(format!("{}/v1/events/{cluster}", self.url))
            .content_type("application/json");
        let request = match signature {
            Some(signature) => request.header(SIGNATURE_HEADER, signature),
            None => request.header("Authorization", format!("Bearer {TOKEN}")),
        };
        answer(request.send(body))
    }

    /// Registers a rollout.
    ///
    /// # Errors
    ///
    /// If there is no answer.
    pub fn register(
        &self,
        environment: &EnvironmentName,
        commit: CommitId,
        body: &Value,
    ) -> io::Result<Answer> {
        let request = self.agent.put(format!("{}/v1/rollouts/{environment}/{commit}", self.url));
        answer(authorized(request).content_type("application/json").send(body.to_string()))
    }

    /// Posts something to a path that begins with `/`.
    ///
    /// # Errors
    ///
    /// If there is no answer.
    pub fn post(&self, path: &str, body: &Value) -> io::Result<Answer> {
        let request = self.agent.post(format!("{}{path}", self.url));
        answer(authorized(request).content_type("application/json").send(body.to_string()))
    }

    /// Gets what is at a path that begins with `/`.
    ///
    /// # Errors
    ///
    /// If there is no answer.
    pub fn get(&self, path: &str) -> io::Result<Answer> {
        answer(authorized(self.agent.get(format!("{}{path}", self.url))).call())
    }
}

fn authorized<B>(request: ureq::RequestBuilder<B>) -> ureq::RequestBuilder<B> {
    request.header("Authorization", format!("Bearer {TOKEN}"))
}

fn answer(sent: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> io::Result<Answer> {
    let mut response = sent.map_err(ureq::Error::into_io)?;
    let status = response.status().as_u16();
    // A body that breaks off is no answer.
    let text = response.body_mut().read_to_string().map_err(ureq::Error::into_io)?;
    Ok(Answer { status, body: serde_json::from_str(&text).unwrap_or_default() })
}
