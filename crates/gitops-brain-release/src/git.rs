//! The machine's `git`.

use std::{
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use thiserror::Error;

/// Asks `git` in a folder: without a prompt, in English, and without changing what is not asked for.
#[derive(Clone, Debug)]
pub struct Git {
    folder: PathBuf,
}

/// Why git did not do what was asked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum GitError {
    /// There is no git, or it cannot be started.
    #[error("cannot run git: {0}")]
    NotRun(#[source] io::Error),
    /// It ended with an error.
    #[error("git {command}: {message}")]
    Failed {
        /// The subcommand.
        command: String,
        /// What it said.
        message: String,
    },
    /// It did not end in time.
    #[error("git {command}: it took more than {seconds} s")]
    TooSlow {
        /// The subcommand.
        command: String,
        /// The limit.
        seconds: u64,
    },
    /// It answered what cannot be understood.
    #[error("git {command}: its answer cannot be read")]
    Unreadable {
        /// The subcommand.
        command: String,
    },
}

impl Git {
    /// Git in this folder.
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The command that asks for something.
    #[must_use]
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("git");
        command
            .arg("-C")
            .arg(&self.folder)
            .args(args)
            .env("GIT_NO_REPLACE_OBJECTS", "1")
            .env("GIT_OPTIONAL_LOCKS", "0")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("LC_ALL", "C")
            .stdin(Stdio::null());
        if std::env::var_os("GIT_SSH_COMMAND").is_none() && std::env::var_os("GIT_SSH").is_none() {
            command.env("GIT_SSH_COMMAND", "ssh -o BatchMode=yes");
        }
        command
    }

    /// What git answers, as text.
    ///
    /// # Errors
    ///
    /// If git cannot be run, fails, or answers what is no text.
    pub fn read(&self, args: &[&str]) -> Result<String, GitError> {
        let output = self.command(args).output().map_err(GitError::NotRun)?;
        text(succeeded(args, output)?, args)
    }

    /// What git answers, as bytes.
    ///
    /// # Errors
    ///
    /// If git cannot be run, or fails.
    pub fn read_bytes(&self, args: &[&str]) -> Result<Vec<u8>, GitError> {
        let output = self.command(args).output().map_err(GitError::NotRun)?;
        Ok(succeeded(args, output)?.stdout)
    }

    /// The remote that the branch which is checked out follows, or else `origin`, or any that there is.
    ///
    /// # Errors
    ///
    /// If git cannot be run, or there is no repository.
    pub fn remote(&self) -> Result<Option<String>, GitError> {
        let branch = self.read(&["symbolic-ref", "--quiet", "--short", "HEAD"]);
        let upstream = branch.and_then(|branch| {
            self.read(&["config", "--get", &format!("branch.{}.remote", branch.trim())])
        });
        let remotes = self.read(&["remote"])?;
        let remotes: Vec<_> = remotes.lines().map(str::trim).collect();
        let upstream = upstream.as_deref().map(str::trim).ok();
        let found = [upstream, Some("origin"), remotes.first().copied()]
            .into_iter()
            .flatten()
            .find(|name| remotes.contains(name));
        Ok(found.map(str::to_owned))
    }

    /// What git answers to what it reads.
    pub(crate) fn pipe(
        &self,
        args: &[&str],
        stdin: &[u8],
        variables: &[(&str, &Path)],
    ) -> Result<String, GitError> {
        let mut command = self.command(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.envs(variables.iter().copied());
        let mut child = command.spawn().map_err(GitError::NotRun)?;
        if let Some(mut pipe) = child.stdin.take() {
            // If git does not read it, it says why.
            let _ = pipe.write_all(stdin);
        }
        let output = child.wait_with_output().map_err(GitError::NotRun)?;
        text(succeeded(args, output)?, args)
    }

    /// Runs a command that talks to another machine.
    ///
    /// # Errors
    ///
    /// If git cannot be run, fails, or does not end in time.
    pub fn run_within(&self, args: &[&str], limit: Duration) -> Result<(), GitError> {
        succeeded(args, self.within(args, limit)?).map(drop)
    }

    /// What a command that talks to another machine says, whether it succeeds or not.
    pub(crate) fn within(&self, args: &[&str], limit: Duration) -> Result<Output, GitError> {
        let mut command = self.command(args);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(GitError::NotRun)?;
        let stdout = child.stdout.take().map(|pipe| thread::spawn(move || drain(pipe)));
        let stderr = child.stderr.take().map(|pipe| thread::spawn(move || drain(pipe)));
        let started = Instant::now();
        let status = loop {
            match child.try_wait().map_err(GitError::NotRun)? {
                Some(status) => break status,
                None if started.elapsed() > limit => {
                    let _ = child.kill();
                    let _ = child.wait();
                    let seconds = limit.as_secs();
                    return Err(GitError::TooSlow { command: subcommand(args), seconds });
                }
                None => thread::sleep(Duration::from_millis(10)),
            }
        };
        let collect = |reader: Option<thread::JoinHandle<Vec<u8>>>| {
            reader.and_then(|reader| reader.join().ok()).unwrap_or_default()
        };
        Ok(Output { status, stdout: collect(stdout), stderr: collect(stderr) })
    }
}

/// An output that is a success, or the first thing that git said of its failure.
pub(crate) fn succeeded(args: &[&str], output: Output) -> Result<Output, GitError> {
    if output.status.success() {
        return Ok(output);
    }
    Err(GitError::Failed { command: subcommand(args), message: said(&output) })
}

/// The first thing that git said of its failure.
pub(crate) fn said(output: &Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    let is_said = |line: &&str| !line.trim().is_empty();
    let telling =
        stderr.lines().find(|line| line.starts_with("fatal:") || line.starts_with("error:"));
    match telling.or_else(|| stderr.lines().find(is_said)) {
        Some(line) => line.trim().to_owned(),
        None => format!("it ended with {}", output.status),
    }
}

/// The subcommand, without the settings before it.
fn subcommand(args: &[&str]) -> String {
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match *arg {
            "-c" => {
                args.next();
            }
            arg => return arg.to_owned(),
        }
    }
    String::new()
}

fn text(output: Output, args: &[&str]) -> Result<String, GitError> {
    String::from_utf8(output.stdout).map_err(|_| GitError::Unreadable { command: subcommand(args) })
}

fn drain(pipe: impl io::Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = pipe.take(1024 * 1024).read_to_end(&mut bytes);
    bytes
}
