//! Errors as both languages have them: a class, a stable code, a sentence, and a place.

use gitops_brain::{
    CommitIdError, CommitObjectError, DurationError, FactError, IngestError, KeyError, NameError,
    ObserveError, ParseError, QueryError, RevisionError, SignatureError,
};
use serde::Serialize;

use crate::to_json;

/// Why a call was refused.
#[derive(Clone, Debug, Serialize)]
pub struct Error {
    /// The class that the error has in both languages.
    pub family: Family,
    /// The stable code, the same in every language and over HTTP.
    pub code: &'static str,
    /// What is wrong, and what to do about it.
    pub message: String,
    /// Where, if it is about bytes or a text of several parts.
    pub place: Option<Place>,
}

/// The class of an error.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub enum Family {
    /// A key, a name, a duration, a policy or a registration is not one.
    ConfigError,
    /// A fact cannot be read.
    FactError,
    /// A body is no event, or bytes are no commit object.
    ParseError,
    /// A question has no answer.
    QueryError,
    /// A text is no revision.
    RevisionError,
    /// A body is not signed with one of the keys.
    SignatureError,
}

impl Family {
    /// The name of the class.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ConfigError => "ConfigError",
            Self::FactError => "FactError",
            Self::ParseError => "ParseError",
            Self::QueryError => "QueryError",
            Self::RevisionError => "RevisionError",
            Self::SignatureError => "SignatureError",
        }
    }
}

/// A place in what was given.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Place {
    /// The line, counted from one.
    pub line: usize,
    /// The column in characters, counted from one; 0 if the whole line is meant.
    pub column: usize,
    /// The offset in bytes from the beginning of the line or body, counted from zero.
    pub offset: usize,
    /// The path of the field; empty for the whole.
    pub path: String,
}

impl Error {
    pub(crate) fn new(family: Family, code: &'static str, message: impl ToString) -> Self {
        // What a caller gave may stand in it, and it may go to a log: one line it stays.
        let plain = |character: char| -> String {
            if character.is_control() {
                character.escape_debug().collect()
            } else {
                character.into()
            }
        };
        let message = message.to_string().chars().map(plain).collect();
        Self { family, code, message, place: None }
    }

    pub(crate) fn config(code: &'static str, message: impl ToString) -> Self {
        Self::new(Family::ConfigError, code, message)
    }

    /// The same, of a line of several.
    pub(crate) fn in_line(mut self, line: usize) -> Self {
        self.place.get_or_insert_default().line = line;
        self.message = format!("line {line}: {}", self.message);
        self
    }

    /// All of it as JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        to_json(self)
    }
}

/// Errors of the core, each with the class that it has in both languages.
macro_rules! families {
    ($($error:ident => $family:ident),* $(,)?) => {
        $(impl From<$error> for Error {
            fn from(error: $error) -> Self {
                Self::new(Family::$family, error.code(), error)
            }
        })*
    };
}

families! {
    CommitIdError => QueryError,
    DurationError => ConfigError,
    KeyError => ConfigError,
    NameError => ConfigError,
    QueryError => QueryError,
    RevisionError => RevisionError,
    SignatureError => SignatureError,
}

impl From<ParseError> for Error {
    fn from(error: ParseError) -> Self {
        let place = Place {
            line: error.line(),
            column: error.column(),
            offset: error.offset(),
            path: error.path().to_owned(),
        };
        Self { place: Some(place), ..Self::new(Family::ParseError, error.code(), error) }
    }
}

impl From<ObserveError> for Error {
    fn from(error: ObserveError) -> Self {
        match error {
            ObserveError::Parse(error) => error.into(),
            error => {
                let path = match error {
                    ObserveError::FromTheFuture { .. } => "timestamp",
                    ObserveError::Application(_) => "",
                    _ => "involvedObject",
                };
                let place = Place { line: 1, column: 1, offset: 0, path: path.to_owned() };
                Self { place: Some(place), ..Self::new(Family::ParseError, error.code(), error) }
            }
        }
    }
}

impl From<IngestError> for Error {
    fn from(error: IngestError) -> Self {
        match error {
            IngestError::Signature(error) => error.into(),
            IngestError::Observe(error) => error.into(),
            error => Self::new(Family::ParseError, error.code(), error),
        }
    }
}

impl From<CommitObjectError> for Error {
    fn from(error: CommitObjectError) -> Self {
        let line = match error {
            CommitObjectError::Malformed { line, .. } => line,
            _ => 1,
        };
        let place = Place { line, column: 1, offset: 0, path: String::new() };
        Self { place: Some(place), ..Self::new(Family::ParseError, error.code(), error) }
    }
}

impl From<FactError> for Error {
    fn from(error: FactError) -> Self {
        let column = match error {
            FactError::Malformed { column, .. } => column,
            _ => 0,
        };
        let offset = column.saturating_sub(1);
        let place = Place { line: 1, column, offset, path: String::new() };
        Self { place: Some(place), ..Self::new(Family::FactError, error.code(), error) }
    }
}
