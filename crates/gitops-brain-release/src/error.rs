//! What can go wrong with a release.

use thiserror::Error;

use crate::git::GitError;

/// Why a release was not made, or could not be told about. Nothing was pushed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReleaseError {
    /// Git could not do what was asked of it.
    #[error(transparent)]
    Git(#[from] GitError),
    /// A file that is to be changed is not in the repository.
    #[error("there is no {file} at {commit}: paths begin at the repository's root")]
    NoFile {
        /// The path.
        file: String,
        /// The commit that was looked at.
        commit: String,
    },
    /// A path leaves the repository.
    #[error(
        "`{0}` is no path within the repository: pass it from the repository's root, without `..`"
    )]
    NoPath(String),
    /// A file is no text.
    #[error("{file} is not UTF-8")]
    NotText {
        /// The path.
        file: String,
    },
    /// A file is no YAML.
    #[error("{file}:{line}: {message}")]
    NotYaml {
        /// The path.
        file: String,
        /// From 1.
        line: usize,
        /// What the reader of YAML says.
        message: String,
    },
    /// The value to change was not found, or cannot be changed where it stands.
    #[error("{file}:{line}: {message}")]
    NoValue {
        /// The path.
        file: String,
        /// From 1.
        line: usize,
        /// What was looked for, and what was found instead.
        message: String,
    },
    /// No file has the marker of a policy.
    #[error(
        "no YAML file{within} has the marker {{\"$imagepolicy\": \"{policy}\"}}: is the policy's name right?"
    )]
    NoMarker {
        /// `namespace:name`.
        policy: String,
        /// ` under …`, or nothing.
        within: String,
    },
    /// A file cannot be changed without changing more of it than was asked for.
    #[error("{file} cannot be changed safely: {message}; change it by hand")]
    Unsafe {
        /// The path.
        file: String,
        /// What would have changed.
        message: String,
    },
    /// Nothing to change was named.
    #[error("nothing to change was named")]
    NoChange,
    /// The branch moved at each try.
    #[error("{branch} moved at each of {attempts} tries: try again when fewer push at once")]
    Raced {
        /// The branch.
        branch: String,
        /// How often it was tried.
        attempts: u32,
    },
    /// The remote refused the push for another reason than a race.
    #[error("{remote} refuses the push to {branch}: {message}")]
    Refused {
        /// The remote.
        remote: String,
        /// The branch.
        branch: String,
        /// In git's words.
        message: String,
    },
    /// The branch to release on could not be told.
    #[error("{0}")]
    NoBranch(String),
    /// There is nothing to roll back.
    #[error("{0}")]
    NoRelease(String),
    /// A rollback conflicts with what came later.
    #[error(
        "{commit} cannot be rolled back: {file} was changed since; roll back what came later first, \
         or release the former version"
    )]
    Conflict {
        /// The commit.
        commit: String,
        /// The first file with a conflict.
        file: String,
    },
    /// A folder for the work could not be made.
    #[error("cannot make a temporary folder: {0}")]
    Folder(#[source] std::io::Error),
}

impl ReleaseError {
    /// A stable name of the error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Git(_) => "release.git",
            Self::NoFile { .. } => "release.no_file",
            Self::NoPath(_) => "release.no_path",
            Self::NotText { .. } => "release.not_text",
            Self::NotYaml { .. } => "release.not_yaml",
            Self::NoValue { .. } => "release.no_value",
            Self::NoMarker { .. } => "release.no_marker",
            Self::Unsafe { .. } => "release.unsafe",
            Self::NoChange => "release.no_change",
            Self::Raced { .. } => "release.raced",
            Self::Refused { .. } => "release.refused",
            Self::NoBranch(_) => "release.no_branch",
            Self::NoRelease(_) => "release.no_release",
            Self::Conflict { .. } => "release.conflict",
            Self::Folder(_) => "release.folder",
        }
    }

    /// Whether the repository or the network is at fault, and not what was asked for.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Git(_) | Self::Raced { .. } | Self::Folder(_))
    }
}
