//! A gitops repository that releases are made in.
//!
//! A commit is made of objects alone: the new files, a tree from an index of its own, the commit on
//! top of the branch's newest. So a checkout's working tree and index stay as they are, and two
//! releases on one machine are not in each other's way.

use std::{
    path::Path,
    process,
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use gitops_brain::CommitId;
use tempfile::TempDir;

use crate::{
    change::{Change, Files},
    error::ReleaseError,
    git::{Git, GitError, said, succeeded},
    message::Message,
};

/// How often a release is made again on a branch that moved.
const ATTEMPTS: u32 = 25;

/// How long a fetch, a clone or a push may take.
const TALK_WITHIN: Duration = Duration::from_secs(120);

/// Whom commits are by where git knows nobody.
const NAME: &str = "gitops-brain";
const EMAIL: &str = "gitops-brain@localhost";

/// A gitops repository, and the branch of it that releases go to.
#[derive(Debug)]
pub struct Repository {
    git: Git,
    remote: String,
    branch: String,
    /// The clone, if it is ours; it goes with the repository.
    _clone: Option<TempDir>,
}

/// What became of a release.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Released {
    /// A commit was pushed.
    Pushed(Pushed),
    /// The branch says already what was wanted.
    Unchanged {
        /// Its newest commit.
        head: CommitId,
    },
}

/// A commit that was pushed.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Pushed {
    /// The commit.
    pub commit: CommitId,
    /// What was the branch's newest before.
    pub parent: CommitId,
    /// At which try; more than 1 if somebody else pushed meanwhile.
    pub attempt: u32,
}

impl Released {
    /// The commit to wait for: the one that was pushed, or the branch's newest.
    #[must_use]
    pub fn commit(&self) -> CommitId {
        match self {
            Self::Pushed(pushed) => pushed.commit,
            Self::Unchanged { head } => *head,
        }
    }
}

impl Repository {
    /// The repository of a checkout, and the branch given or checked out.
    ///
    /// # Errors
    ///
    /// If there is no checkout, no remote, or no branch.
    pub fn open(path: &Path, branch: Option<&str>) -> Result<Self, ReleaseError> {
        let git = Git::at(path);
        git.read(&["rev-parse", "--git-dir"])?;
        let current = git.read(&["symbolic-ref", "--quiet", "--short", "HEAD"]).ok();
        let current = current.as_deref().map(str::trim);
        let branch = branch.or(current).map(str::to_owned).ok_or_else(|| {
            ReleaseError::NoBranch("no branch is checked out: name it (--branch)".to_owned())
        })?;
        let remote = git.remote()?.ok_or_else(|| {
            ReleaseError::NoBranch("the checkout has no remote to push to".to_owned())
        })?;
        Ok(Self { git, remote, branch, _clone: None })
    }

    /// A repository behind an address, cloned into a temporary folder, and the branch given or its
    /// default one.
    ///
    /// # Errors
    ///
    /// If it cannot be cloned, or has no such branch.
    pub fn clone(url: &str, branch: Option<&str>) -> Result<Self, ReleaseError> {
        let folder = tempfile::Builder::new()
            .prefix("gitops-brain-")
            .tempdir()
            .map_err(ReleaseError::Folder)?;
        let git = Git::at(folder.path());
        let mut args = vec!["clone", "--quiet", "--bare", "--no-tags", "--single-branch"];
        if let Some(branch) = branch {
            args.extend(["--branch", branch]);
        }
        args.extend(["--", url, "."]);
        git.run_within(&args, TALK_WITHIN)?;
        let head = git.read(&["symbolic-ref", "--short", "HEAD"])?;
        let branch = branch.unwrap_or(head.trim()).to_owned();
        Ok(Self { git, remote: "origin".to_owned(), branch, _clone: Some(folder) })
    }

    /// Where the repository's objects are.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.git.folder()
    }

    /// The branch.
    #[must_use]
    pub fn branch(&self) -> &str {
        &self.branch
    }

    /// Makes a change, commits and pushes it. If somebody else is faster, the change is made again on
    /// what they pushed.
    ///
    /// # Errors
    ///
    /// See [`ReleaseError`]. Nothing was pushed then, unless the remote went away between taking the
    /// push and saying so.
    pub fn release(&self, change: &Change, message: &Message) -> Result<Released, ReleaseError> {
        self.publish(&message.to_string(), |head| {
            let files = change.apply(&Snapshot { git: &self.git, commit: head })?;
            if files.is_empty() { Ok(None) } else { self.tree(head, &files).map(Some) }
        })
    }

    pub(crate) fn git(&self) -> &Git {
        &self.git
    }

    /// Commits and pushes a tree that is made of the branch's newest commit, until that is still the
    /// newest when the push arrives.
    pub(crate) fn publish(
        &self,
        message: &str,
        tree: impl Fn(CommitId) -> Result<Option<String>, ReleaseError>,
    ) -> Result<Released, ReleaseError> {
        let mut unsure: Option<Pushed> = None;
        for attempt in 1..=ATTEMPTS {
            let parent = self.fetch()?;
            if let Some(pushed) = unsure.take_if(|pushed| self.contains(parent, pushed.commit)) {
                return Ok(Released::Pushed(pushed));
            }
            let Some(tree) = tree(parent)? else { return Ok(Released::Unchanged { head: parent }) };
            let commit = self.commit(&tree, parent, message)?;
            let pushed = Pushed { commit, parent, attempt };
            match self.push(commit)? {
                Push::Done => return Ok(Released::Pushed(pushed)),
                Push::Raced => {}
                Push::Unsure => unsure = Some(pushed),
            }
            thread::sleep(pause(attempt));
        }
        Err(ReleaseError::Raced { branch: self.branch.clone(), attempts: ATTEMPTS })
    }

    /// The branch's newest commit, fetched.
    pub(crate) fn fetch(&self) -> Result<CommitId, ReleaseError> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        // A name of its own: several may fetch into one repository.
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("refs/gitops-brain/{}-{count}", process::id());
        let refspec = format!("+refs/heads/{}:{name}", self.branch);
        let args = [
            "-c",
            "gc.auto=0",
            "-c",
            "maintenance.auto=false",
            "fetch",
            "--quiet",
            "--no-tags",
            "--no-write-fetch-head",
            "--no-recurse-submodules",
            &self.remote,
            &refspec,
        ];
        self.git.run_within(&args, TALK_WITHIN)?;
        let head = self.id(&["rev-parse", "--verify", &name]);
        self.git.read(&["update-ref", "-d", &name])?;
        head
    }

    /// The tree of a commit with other contents of some files.
    fn tree(&self, commit: CommitId, files: &[(String, Vec<u8>)]) -> Result<String, ReleaseError> {
        let folder = tempfile::tempdir().map_err(ReleaseError::Folder)?;
        let index = folder.path().join("index");
        let variables = [("GIT_INDEX_FILE", index.as_path())];
        let mut entries = Vec::new();
        for (path, content) in files {
            let blob = self.git.pipe(&["hash-object", "-w", "--stdin"], content, &[])?;
            let mode = self.mode(commit, path)?;
            entries.extend(format!("{mode} {}\t{path}\0", blob.trim()).into_bytes());
        }
        self.git.pipe(&["read-tree", &commit.to_string()], &[], &variables)?;
        self.git.pipe(&["update-index", "-z", "--index-info"], &entries, &variables)?;
        Ok(self.git.pipe(&["write-tree"], &[], &variables)?.trim().to_owned())
    }

    fn mode(&self, commit: CommitId, path: &str) -> Result<String, ReleaseError> {
        let entry = self.git.read(&["ls-tree", "-z", &commit.to_string(), "--", path])?;
        match entry.split_once(' ') {
            // What a link leads to is another file.
            Some((mode, _)) if mode.starts_with("100") => Ok(mode.to_owned()),
            _ => Err(ReleaseError::NoFile { file: path.to_owned(), commit: commit.to_string() }),
        }
    }

    fn commit(
        &self,
        tree: &str,
        parent: CommitId,
        message: &str,
    ) -> Result<CommitId, ReleaseError> {
        let parent = parent.to_string();
        let mut args = vec!["commit-tree", tree, "-p", &parent];
        // What `git commit` heeds by itself.
        let signs = self.git.read(&["config", "--type=bool", "--get", "commit.gpgSign"]);
        if signs.is_ok_and(|answer| answer.trim() == "true") {
            args.push("-S");
        }
        let text = self.git.pipe(&args, message.as_bytes(), &self.identity())?;
        parse_id(&args, &text)
    }

    /// Whom a commit is by, where nobody told git: CI jobs often have no configuration. What git would
    /// make up of the machine's name is of no use to anybody.
    fn identity(&self) -> Vec<(&'static str, &'static Path)> {
        let is_unknown = |role: &str| {
            let variable = format!("GIT_{role}_IDENT");
            self.git.read(&["-c", "user.useConfigOnly=true", "var", &variable]).is_err()
        };
        let identity = |name, email| [(name, Path::new(NAME)), (email, Path::new(EMAIL))];
        let mut variables = Vec::new();
        if is_unknown("AUTHOR") {
            variables.extend(identity("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL"));
        }
        if is_unknown("COMMITTER") {
            variables.extend(identity("GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"));
        }
        variables
    }

    fn push(&self, commit: CommitId) -> Result<Push, ReleaseError> {
        let refspec = format!("{commit}:refs/heads/{}", self.branch);
        let args = ["push", "--porcelain", &self.remote, &refspec];
        let output = match self.git.within(&args, TALK_WITHIN) {
            Ok(output) => output,
            Err(GitError::TooSlow { .. }) => return Ok(Push::Unsure),
            Err(error) => return Err(error.into()),
        };
        if output.status.success() {
            return Ok(Push::Done);
        }
        let stdout = String::from_utf8_lossy(&output.stdout);
        let Some(refusal) = stdout.lines().find(|line| line.starts_with('!')) else {
            // No word about the branch: the connection was lost, before or after it was taken.
            let message = said(&output);
            return if is_lost_connection(&message) {
                Ok(Push::Unsure)
            } else {
                Err(self.refused(message))
            };
        };
        let is_race = ["fetch first", "non-fast-forward", "stale info", "cannot lock ref"]
            .iter()
            .chain(&[
                "failed to update ref",
                "incorrect old value provided",
                "reference already exists",
            ])
            .any(|word| refusal.contains(word));
        if is_race { Ok(Push::Raced) } else { Err(self.refused(reason(refusal, &output.stderr))) }
    }

    fn refused(&self, message: String) -> ReleaseError {
        let (remote, branch) = (self.remote.clone(), self.branch.clone());
        ReleaseError::Refused { remote, branch, message }
    }

    fn contains(&self, head: CommitId, commit: CommitId) -> bool {
        let (commit, head) = (commit.to_string(), head.to_string());
        self.git.read(&["merge-base", "--is-ancestor", &commit, &head]).is_ok()
    }

    pub(crate) fn id(&self, args: &[&str]) -> Result<CommitId, ReleaseError> {
        parse_id(args, &self.git.read(args)?)
    }
}

/// What became of a push.
enum Push {
    Done,
    /// Somebody else was faster.
    Raced,
    /// It may have arrived or not.
    Unsure,
}

fn parse_id(args: &[&str], text: &str) -> Result<CommitId, ReleaseError> {
    let command = args.first().copied().unwrap_or_default().to_owned();
    Ok(text.trim().parse().map_err(|_| GitError::Unreadable { command })?)
}

fn is_lost_connection(message: &str) -> bool {
    ["RPC failed", "hung up", "early EOF", "Connection reset", "Broken pipe", "timed out", "HTTP 5"]
        .iter()
        .any(|word| message.contains(word))
}

/// What the remote says of a refusal: a hook's own words, if there are some.
fn reason(refusal: &str, stderr: &[u8]) -> String {
    let stderr = String::from_utf8_lossy(stderr);
    let remote = stderr.lines().filter_map(|line| line.strip_prefix("remote:")).map(str::trim);
    let remote: Vec<_> = remote.filter(|line| !line.is_empty()).collect();
    let last = refusal.rsplit('\t').next().unwrap_or(refusal).trim();
    if remote.is_empty() { last.to_owned() } else { format!("{last}: {}", remote.join(" ")) }
}

/// A pause before the next try: longer each time, and not the same for all who race.
fn pause(attempt: u32) -> Duration {
    let most = 50_u64 << attempt.min(6);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let dice = u64::from(now.subsec_nanos()) ^ u64::from(process::id()).wrapping_mul(2_654_435_761);
    Duration::from_millis(most / 2 + dice % most)
}

/// The files of a commit.
struct Snapshot<'a> {
    git: &'a Git,
    commit: CommitId,
}

impl Files for Snapshot<'_> {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, ReleaseError> {
        let name = format!("{}:{path}", self.commit);
        match self.git.read(&["cat-file", "-t", &name]) {
            Ok(kind) if kind.trim() == "blob" => {
                Ok(Some(self.git.read_bytes(&["cat-file", "blob", &name])?))
            }
            Ok(_) | Err(GitError::Failed { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn with(&self, text: &str, folder: &str) -> Result<Vec<String>, ReleaseError> {
        let commit = self.commit.to_string();
        let folder = format!(":(top,literal){folder}");
        let mut args =
            vec!["grep", "--name-only", "-z", "--fixed-strings", "-e", text, &commit, "--"];
        if !folder.ends_with(')') {
            args.push(&folder);
        }
        let output = self.git.command(&args).output().map_err(GitError::NotRun)?;
        // 1 says that nothing was found.
        if output.status.code() == Some(1) {
            return Ok(Vec::new());
        }
        let output = succeeded(&args, output)?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let names =
            text.split('\0').filter_map(|name| name.strip_prefix(&commit)?.strip_prefix(':'));
        let is_yaml = |name: &&str| name.ends_with(".yaml") || name.ends_with(".yml");
        Ok(names.filter(is_yaml).map(str::to_owned).collect())
    }

    fn commit(&self) -> String {
        self.commit.to_string()
    }
}
