//! The releases of a repository, found by the trailers of their commits.

use std::collections::BTreeSet;

use gitops_brain::CommitId;

use crate::{
    error::ReleaseError,
    message::{ACTOR, APP, ROLLBACK_OF, RUN_URL, VERSION},
    repository::Repository,
};

/// A release, or a rollback of one.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Release {
    /// Its commit.
    pub commit: CommitId,
    /// When it was committed, as git tells it: RFC 3339, with the committer's offset.
    pub committed_at: String,
    /// The app.
    pub app: String,
    /// Its version; of a rollback the one that was taken back.
    pub version: String,
    /// Who asked for it.
    pub actor: Option<String>,
    /// The CI run.
    pub run_url: Option<String>,
    /// The commit that it takes back, if it is a rollback.
    pub rollback_of: Option<CommitId>,
    /// The subject of the commit's message.
    pub subject: String,
}

/// Between the fields of a release, and after it: no message has these.
const FIELD: char = '\u{1f}';
const END: char = '\u{1e}';

impl Repository {
    /// The releases on the branch, the newest first; of one app, or of all.
    ///
    /// # Errors
    ///
    /// If the branch cannot be fetched.
    pub fn releases(&self, app: Option<&str>, limit: usize) -> Result<Vec<Release>, ReleaseError> {
        let head = self.fetch()?;
        let trailer =
            |name: &str| format!("%(trailers:key={name},valueonly,unfold,separator=%x20)");
        let fields = ["%H".to_owned(), "%cI".to_owned(), "%s".to_owned()];
        let trailers = [APP, VERSION, ACTOR, RUN_URL, ROLLBACK_OF].map(trailer);
        let format: Vec<_> = fields.into_iter().chain(trailers).collect();
        let format = format!("--format={}%x1e", format.join("%x1f"));
        let grep = format!("--grep=^{APP}: ");
        let log = self.git().read_bytes(&["log", &format, &grep, &head.to_string(), "--"])?;
        let log = String::from_utf8_lossy(&log).into_owned();
        let releases = log.split(END).filter_map(|record| read(record.trim_start_matches('\n')));
        let is_asked = |release: &Release| app.is_none_or(|app| release.app == app);
        Ok(releases.filter(is_asked).take(limit).collect())
    }

    /// The newest release of an app that was not taken back, and is no rollback itself.
    ///
    /// # Errors
    ///
    /// If the branch cannot be fetched, or there is no such release.
    pub fn newest(&self, app: &str) -> Result<Release, ReleaseError> {
        let releases = self.releases(Some(app), usize::MAX)?;
        let taken_back: BTreeSet<_> = releases.iter().filter_map(|one| one.rollback_of).collect();
        let is_in_force =
            |one: &Release| one.rollback_of.is_none() && !taken_back.contains(&one.commit);
        releases.into_iter().find(is_in_force).ok_or_else(|| {
            ReleaseError::NoRelease(format!(
                "{} has no release of `{app}` that was not taken back",
                self.branch()
            ))
        })
    }
}

fn read(record: &str) -> Option<Release> {
    let fields: Vec<_> = record.split(FIELD).map(str::trim).collect();
    let [commit, committed_at, subject, app, version, actor, run_url, rollback_of] = *fields else {
        return None;
    };
    // Somebody may write `App:` in a message of their own.
    if app.is_empty() || version.is_empty() {
        return None;
    }
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Some(Release {
        commit: commit.parse().ok()?,
        committed_at: committed_at.to_owned(),
        app: app.to_owned(),
        version: version.to_owned(),
        actor: some(actor),
        run_url: some(run_url),
        rollback_of: rollback_of.parse().ok(),
        subject: subject.to_owned(),
    })
}
