//! What can go wrong with a store.

use std::path::PathBuf;

use gitops_brain::FactError;
use rusqlite::ErrorCode;

/// Why a journal could not be opened, read or appended to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The store cannot be used at the moment: nothing was stored, and it may be tried again.
    #[error("the journal is unavailable: {cause}")]
    Unavailable {
        /// Why.
        cause: String,
    },
    /// The store is damaged, or holds something else. It was left as it is.
    #[error("the journal is not usable: {cause}; it was left as it is")]
    Corrupt {
        /// What is wrong with it.
        cause: String,
    },
    /// A newer release wrote the store. It was left as it is.
    #[error("a newer release wrote the journal ({cause}): upgrade; it was left as it is")]
    Newer {
        /// What is newer.
        cause: String,
    },
    /// A journal's file could not be opened.
    #[error("{}: {source}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<Self>,
    },
}

impl JournalError {
    /// The stable code: `store.unavailable`, `store.corrupt` or `store.newer`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unavailable { .. } => "store.unavailable",
            Self::Corrupt { .. } => "store.corrupt",
            Self::Newer { .. } => "store.newer",
            Self::Open { source, .. } => source.code(),
        }
    }

    /// The same error for somebody else who waits for it.
    #[cfg(feature = "postgres")]
    pub(crate) fn again(&self) -> Self {
        let cause = || match self {
            Self::Unavailable { cause } | Self::Corrupt { cause } | Self::Newer { cause } => {
                cause.clone()
            }
            Self::Open { .. } => self.to_string(),
        };
        match self.code() {
            "store.corrupt" => Self::Corrupt { cause: cause() },
            "store.newer" => Self::Newer { cause: cause() },
            _ => Self::Unavailable { cause: cause() },
        }
    }

    /// The store is gone: it was closed, or its thread ended.
    pub(crate) fn closed() -> Self {
        Self::Unavailable { cause: "it is closed".to_owned() }
    }

    /// A line of the journal that cannot be read. It is never skipped: an answer without it could be
    /// wrong.
    pub(crate) fn of_line(position: u64, error: &FactError) -> Self {
        let cause = format!("at position {position}: {error}");
        match error {
            FactError::NewerVersion { .. } => Self::Newer { cause },
            _ => Self::Corrupt { cause },
        }
    }
}

impl From<rusqlite::Error> for JournalError {
    fn from(error: rusqlite::Error) -> Self {
        let cause = match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                return Self::Corrupt { cause: error.to_string() };
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                "another process holds the file: one server at a time may use it".to_owned()
            }
            _ => error.to_string(),
        };
        Self::Unavailable { cause }
    }
}

#[cfg(feature = "postgres")]
impl From<tokio_postgres::Error> for JournalError {
    fn from(error: tokio_postgres::Error) -> Self {
        // Its own text is `db error`; what the database said is its source.
        let cause = match std::error::Error::source(&error) {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        };
        Self::Unavailable { cause }
    }
}
