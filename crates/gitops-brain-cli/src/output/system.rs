//! The CI system whose log this is, and what it makes of some lines.

use std::{
    env,
    time::{SystemTime, UNIX_EPOCH},
};

use crate::{exit::Failure, output::github::Actions, wait::Ended};

/// A CI system that shows more than text.
#[derive(Debug)]
pub(crate) enum System {
    GitHub(Actions),
    GitLab,
    /// All others: plain lines.
    Other,
}

/// The section that a wait is in GitLab's log.
const SECTION: &str = "gitops_brain_wait";

impl System {
    /// The system that this process is a step of.
    pub(crate) fn detect() -> Self {
        match Actions::detect() {
            Some(actions) => Self::GitHub(actions),
            None if env::var_os("GITLAB_CI").is_some_and(|value| value == "true") => Self::GitLab,
            None => Self::Other,
        }
    }

    /// The line above the progress.
    pub(crate) fn begin(&self, title: &str) -> String {
        match self {
            Self::GitHub(_) => format!("::group::{title}"),
            Self::GitLab => format!("{}{title}", section("start")),
            Self::Other => title.to_owned(),
        }
    }

    /// The lines below the progress.
    pub(crate) fn end(&self, ended: &[Ended]) -> Vec<String> {
        match self {
            Self::GitHub(actions) => std::iter::once("::endgroup::".to_owned())
                .chain(actions.annotations(ended))
                .collect(),
            Self::GitLab => vec![section("end")],
            Self::Other => Vec::new(),
        }
    }

    /// What is written beside the log.
    pub(crate) fn conclude(&self, ended: &[Ended]) -> Result<(), Failure> {
        match self {
            Self::GitHub(actions) => actions.conclude(ended),
            Self::GitLab | Self::Other => Ok(()),
        }
    }
}

/// A marker as GitLab's runner reads it: it clears the line before and after.
fn section(word: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    format!("\u{1b}[0Ksection_{word}:{now}:{SECTION}\r\u{1b}[0K")
}
