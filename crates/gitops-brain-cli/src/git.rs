//! The checkout that a command runs in, asked through the machine's `git`.

use std::{
    io::{self, BufRead, BufReader, Read as _, Write as _},
    path::Path,
    process::Stdio,
    sync::Mutex,
    thread,
    time::Duration,
};

use gitops_brain::{CommitId, CommitObject, CommitPrefix};
use gitops_brain_release::Git;

/// How many commits are sent with a registration.
pub(crate) const RECENT: usize = 200;

/// The most commits that are sent to connect two.
const MAX_BETWEEN: usize = 5_000;

/// How long a fetch may take.
const FETCH_WITHIN: Duration = Duration::from_secs(60);

/// A checkout of the gitops repository.
#[derive(Debug)]
pub(crate) struct Checkout {
    git: Git,
    /// Two fetches at once would be in each other's way.
    fetching: Mutex<()>,
}

impl Checkout {
    /// The checkout at a path.
    ///
    /// # Errors
    ///
    /// Why there is none, in a sentence.
    pub(crate) fn open(path: &Path) -> Result<Self, String> {
        let checkout = Self { git: Git::at(path), fetching: Mutex::new(()) };
        checkout
            .read(&["rev-parse", "--git-dir"])
            .map(|_| checkout)
            .map_err(|why| format!("{} is not a git checkout: {why}", path.display()))
    }

    pub(crate) fn path(&self) -> &Path {
        self.git.folder()
    }

    /// The commit that a name stands for: a branch, a tag, `HEAD~2`, the beginning of an id.
    pub(crate) fn resolve(&self, name: &str) -> Result<CommitId, String> {
        if name.starts_with('-') {
            return Err("a commit's name does not begin with `-`".to_owned());
        }
        let text = self.read(&["rev-parse", "--verify", &format!("{name}^{{commit}}")])?;
        text.trim().parse().map_err(|error| format!("git names it `{}`: {error}", text.trim()))
    }

    /// The raw objects of a commit and those before it.
    pub(crate) fn recent(&self, commit: CommitId) -> Result<Vec<Vec<u8>>, String> {
        let ids =
            self.read(&["rev-list", &format!("--max-count={RECENT}"), &commit.to_string(), "--"])?;
        self.objects(ids.lines())
    }

    /// The raw objects that tell how a live commit and another one are related, fetched if need be.
    pub(crate) fn between(
        &self,
        live: CommitId,
        commit: CommitId,
        branch: Option<&str>,
    ) -> Result<Vec<Vec<u8>>, String> {
        let guard = self.fetching.lock();
        let mut trouble = None;
        if !self.are_connected(live, commit) {
            trouble = self.fetch_commit(live, branch).err();
        }
        drop(guard);
        let why = |id: CommitId| match &trouble {
            Some(why) => format!("{id} is not in the checkout, and fetching it failed: {why}"),
            None => format!("{id} is not in the checkout"),
        };
        for id in [live, commit] {
            if !self.has(id) {
                return Err(why(id));
            }
        }
        let ids = self.read(&[
            "rev-list",
            "--boundary",
            &format!("--max-count={MAX_BETWEEN}"),
            &format!("{live}...{commit}"),
            "--",
        ])?;
        self.objects(ids.lines().map(|id| id.trim_start_matches('-')))
    }

    /// The commit that begins so, fetched if need be.
    pub(crate) fn beginning_with(&self, prefix: CommitPrefix) -> Result<CommitId, String> {
        let find = || {
            let found =
                self.read(&["rev-parse", "--verify", "--quiet", &format!("{prefix}^{{commit}}")]);
            found.ok()?.trim().parse().ok()
        };
        let guard = self.fetching.lock();
        let mut found: Option<CommitId> = find();
        if found.is_none() {
            self.fetch(None)?;
            found = find();
        }
        drop(guard);
        found.ok_or_else(|| format!("{prefix} is not in the checkout"))
    }

    fn has(&self, id: CommitId) -> bool {
        self.read(&["cat-file", "-e", &format!("{id}^{{commit}}")]).is_ok()
    }

    /// Whether the checkout tells how two commits are related. A shallow one may not.
    fn are_connected(&self, a: CommitId, b: CommitId) -> bool {
        let is_ancestor = |a: CommitId, b: CommitId| {
            self.read(&["merge-base", "--is-ancestor", &a.to_string(), &b.to_string()]).is_ok()
        };
        is_ancestor(a, b) || is_ancestor(b, a)
    }

    /// Fetches the branch that a live commit is on, or else the commit itself.
    fn fetch_commit(&self, live: CommitId, branch: Option<&str>) -> Result<(), String> {
        let branch = branch.filter(|branch| is_plain(branch)).map(|branch| {
            if branch.starts_with("refs/") {
                branch.to_owned()
            } else {
                format!("refs/heads/{branch}")
            }
        });
        let mut result = Ok(());
        for wanted in branch.into_iter().chain([live.to_string()]) {
            result = self.fetch(Some(&wanted));
            if self.has(live) {
                return Ok(());
            }
        }
        result
    }

    /// Fetches one thing, or all that is usually fetched. Nothing but what git keeps of the remote
    /// changes; a shallow checkout gets deeper.
    fn fetch(&self, wanted: Option<&str>) -> Result<(), String> {
        let remote = self.git.remote().map_err(|error| error.to_string())?;
        let remote = remote.ok_or("it has no remote")?;
        let shallow = self.read(&["rev-parse", "--is-shallow-repository"]);
        let deepen = format!("--deepen={RECENT}");
        let deepen = shallow.is_ok_and(|answer| answer.trim() == "true").then_some(&*deepen);
        let mut args = vec!["-c", "gc.auto=0", "-c", "maintenance.auto=false", "fetch"];
        args.extend(["--quiet", "--no-tags", "--no-recurse-submodules"]);
        args.extend(deepen);
        args.push(&remote);
        args.extend(wanted);
        self.git.run_within(&args, FETCH_WITHIN).map_err(|error| error.to_string())
    }

    /// The raw objects with these ids, as git stores them: a shallow boundary, a graft or a
    /// replacement changes what git shows of a commit, and never its object.
    fn objects<'a>(&self, ids: impl Iterator<Item = &'a str>) -> Result<Vec<Vec<u8>>, String> {
        let mut asked = String::new();
        for id in ids {
            asked.push_str(id);
            asked.push('\n');
        }
        let mut child = self
            .git
            .command(&["cat-file", "--batch"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| cannot_run(&error))?;
        let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("git has no pipes".to_owned());
        };
        // A thread of its own: git answers before it has read all.
        let writer = thread::spawn(move || {
            let _ = stdin.write_all(asked.as_bytes());
        });
        let objects = read_batch(BufReader::new(stdout));
        let _ = writer.join();
        let _ = child.wait();
        objects.map_err(|error| format!("cannot read commit objects: {error}"))
    }

    fn read(&self, args: &[&str]) -> Result<String, String> {
        self.git.read(args).map_err(|error| error.to_string())
    }
}

fn read_batch(mut from: impl BufRead) -> io::Result<Vec<Vec<u8>>> {
    let mut objects = Vec::new();
    let mut header = String::new();
    loop {
        header.clear();
        if from.read_line(&mut header)? == 0 {
            return Ok(objects);
        }
        // `<id> <type> <size>`, or `<id> missing`.
        let mut words = header.split_whitespace().skip(1);
        let (Some(kind), Some(size)) = (words.next(), words.next()) else { continue };
        let size: u64 = size.parse().map_err(io::Error::other)?;
        let mut content = Vec::new();
        from.by_ref().take(size).read_to_end(&mut content)?;
        from.read_exact(&mut [0])?;
        // One that the server would refuse must not take the others with it.
        if kind == "commit" && CommitObject::parse(&content).is_ok() {
            objects.push(content);
        }
    }
}

/// Whether a branch that the server named can be handed to git as it is.
fn is_plain(branch: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/');
    !branch.is_empty() && !branch.starts_with('-') && branch.chars().all(allowed)
}

fn cannot_run(error: &io::Error) -> String {
    format!("cannot run git: {error}")
}
