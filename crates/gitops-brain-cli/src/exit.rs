//! How a command ends: its exit code, and what it says if it did not do what was asked.

use std::{fmt, process::ExitCode};

/// The exit codes, from the one that counts least over several environments to the one that counts
/// most.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Exit {
    /// What was asked for is so.
    Succeeded,
    /// The question is wrong: arguments, a commit or an environment that does not exist.
    Usage,
    /// The server does not allow it.
    NotAllowed,
    /// The server cannot be reached.
    Unreachable,
    /// No event will ever answer the question.
    Unanswerable,
    /// Something that should never happen.
    Internal,
    /// The time is over.
    TimedOut,
    /// The rollout failed.
    Failed,
}

impl Exit {
    /// The code that the process ends with.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Succeeded => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::TimedOut => 3,
            Self::NotAllowed => 4,
            Self::Unreachable => 5,
            Self::Unanswerable => 6,
            Self::Internal => 70,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// The exit code of a process that was interrupted, by the convention of shells.
pub(crate) const INTERRUPTED: i32 = 130;

/// Why a command could not do what was asked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) message: String,
    /// What somebody could do about it.
    pub(crate) remedy: Option<String>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), remedy: None }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(Exit::Internal, message)
    }

    pub(crate) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.remedy {
            Some(remedy) => write!(f, "\n  remedy: {remedy}"),
            None => Ok(()),
        }
    }
}
