//! Taking a release back.

use std::path::Path;

use gitops_brain::CommitId;

use crate::{
    error::ReleaseError,
    git::{Git, said, succeeded},
    history::Release,
    message::{Message, MessageError},
    repository::{Released, Repository},
};

impl Repository {
    /// Takes a release back: a new commit that undoes what the release's commit did, pushed with the
    /// same care. `sign` adds to its message who asked for it.
    ///
    /// # Errors
    ///
    /// See [`ReleaseError`]; [`ReleaseError::Conflict`] if later commits changed the same lines.
    pub fn rollback(
        &self,
        release: &Release,
        sign: impl FnOnce(Message) -> Result<Message, MessageError>,
    ) -> Result<Released, ReleaseError> {
        let wrong = |error| ReleaseError::NoRelease(format!("{}: {error}", release.commit));
        let message = Message::new(&release.app, &release.version)
            .and_then(|message| {
                message.subject(&format!("rollback: {} {}", release.app, release.version))
            })
            .and_then(|message| message.rollback_of(&release.commit.to_string()))
            .and_then(sign)
            .map_err(wrong)?;
        self.publish(&message.to_string(), |head| self.reverted(head, release.commit))
    }

    /// The release that a commit made.
    ///
    /// # Errors
    ///
    /// If the name means no commit, or the commit made no release.
    pub fn release_of(&self, name: &str) -> Result<Release, ReleaseError> {
        let no_release = |why: String| ReleaseError::NoRelease(why);
        if name.starts_with('-') {
            return Err(no_release(format!("`{name}` is no commit")));
        }
        let releases = self.releases(None, usize::MAX)?;
        let commit = self.id(&["rev-parse", "--verify", &format!("{name}^{{commit}}")])?;
        releases.into_iter().find(|release| release.commit == commit).ok_or_else(|| {
            no_release(format!("{commit} is no release on {}: git revert undoes it", self.branch()))
        })
    }

    /// The tree of a head without what a commit did; nothing if that makes no difference.
    fn reverted(&self, head: CommitId, commit: CommitId) -> Result<Option<String>, ReleaseError> {
        let folder = tempfile::tempdir().map_err(ReleaseError::Folder)?;
        let tree = folder.path().join("tree");
        let Some(path) = tree.to_str() else {
            return Err(ReleaseError::NoPath(tree.display().to_string()));
        };
        let add =
            ["-c", "core.hooksPath=/dev/null", "worktree", "add", "--quiet", "--detach", path];
        let head = head.to_string();
        self.git().read(&[&add[..], &[&head]].concat())?;
        let reverted = revert(&tree, commit);
        // Also where the revert failed; the folder goes either way.
        self.git().read(&["worktree", "remove", "--force", path])?;
        let reverted = reverted?;
        let before = self.git().read(&["rev-parse", &format!("{head}^{{tree}}")])?;
        Ok((reverted != before.trim()).then_some(reverted))
    }
}

fn revert(tree: &Path, commit: CommitId) -> Result<String, ReleaseError> {
    let git = Git::at(tree);
    let name = commit.to_string();
    let args = ["-c", "core.hooksPath=/dev/null", "revert", "--no-commit", &*name];
    let output = git.command(&args).output().map_err(crate::git::GitError::NotRun)?;
    if !output.status.success() {
        let conflicts = git.read(&["diff", "--name-only", "--diff-filter=U"]).unwrap_or_default();
        return Err(match conflicts.lines().next() {
            Some(file) => ReleaseError::Conflict { commit: name.clone(), file: file.to_owned() },
            None => match succeeded(&args, output) {
                Err(error) => error.into(),
                Ok(output) => ReleaseError::NoRelease(said(&output)),
            },
        });
    }
    Ok(git.read(&["write-tree"])?.trim().to_owned())
}
