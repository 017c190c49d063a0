//! The message of a release's commit.

use std::fmt;

use thiserror::Error;

/// The trailers of a release's commit, by which it is found again.
pub(crate) const APP: &str = "App";
pub(crate) const VERSION: &str = "Version";
pub(crate) const ACTOR: &str = "Actor";
pub(crate) const RUN_URL: &str = "Run-URL";
pub(crate) const ROLLBACK_OF: &str = "Rollback-Of";

/// The message of a release's commit: a subject, and trailers for the app, its version, who asked for
/// it, and the CI run.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Message {
    subject: String,
    trailers: Vec<(&'static str, String)>,
}

/// A text that cannot stand in a commit's message as what it is meant to be.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum MessageError {
    /// It is empty.
    #[error("the {0} is empty")]
    Empty(&'static str),
    /// It has line breaks or control characters: it could pass for another trailer.
    #[error("the {0} is one line of text, without control characters")]
    NotOneLine(&'static str),
}

impl Message {
    /// The message of a release of an app.
    ///
    /// # Errors
    ///
    /// If a text is empty, or more than a line.
    pub fn new(app: &str, version: &str) -> Result<Self, MessageError> {
        let trailers = vec![(APP, one_line("app", app)?), (VERSION, one_line("version", version)?)];
        Ok(Self { subject: format!("release: {} {}", app.trim(), version.trim()), trailers })
    }

    /// With another subject.
    ///
    /// # Errors
    ///
    /// If it is empty, or more than a line.
    pub fn subject(mut self, subject: &str) -> Result<Self, MessageError> {
        self.subject = one_line("subject", subject)?;
        Ok(self)
    }

    /// With who asked for the release.
    ///
    /// # Errors
    ///
    /// If it is empty, or more than a line.
    pub fn actor(self, actor: &str) -> Result<Self, MessageError> {
        self.with(ACTOR, "actor", actor)
    }

    /// With the address of the CI run.
    ///
    /// # Errors
    ///
    /// If it is empty, or more than a line.
    pub fn run_url(self, url: &str) -> Result<Self, MessageError> {
        self.with(RUN_URL, "address of the run", url)
    }

    pub(crate) fn rollback_of(self, commit: &str) -> Result<Self, MessageError> {
        self.with(ROLLBACK_OF, "commit", commit)
    }

    fn with(
        mut self,
        trailer: &'static str,
        what: &'static str,
        text: &str,
    ) -> Result<Self, MessageError> {
        let text = one_line(what, text)?;
        self.trailers.retain(|(name, _)| *name != trailer);
        self.trailers.push((trailer, text));
        Ok(self)
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n", self.subject)?;
        self.trailers.iter().try_for_each(|(name, value)| writeln!(f, "{name}: {value}"))
    }
}

fn one_line(what: &'static str, text: &str) -> Result<String, MessageError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(MessageError::Empty(what));
    }
    if text.contains(|c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) {
        return Err(MessageError::NotOneLine(what));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_ends_with_its_trailers() {
        let message = Message::new("web", " 1.4 ").unwrap().actor("ada").unwrap();
        let message = message.actor("grace").unwrap().run_url("https://ci/1").unwrap();
        assert_eq!(
            message.to_string(),
            "release: web 1.4\n\nApp: web\nVersion: 1.4\nActor: grace\nRun-URL: https://ci/1\n"
        );
        let renamed = message.subject("Ship it").unwrap().to_string();
        assert!(renamed.starts_with("Ship it\n\nApp: web\n"), "{renamed}");
    }

    #[test]
    fn nothing_can_pass_for_a_trailer() {
        assert_eq!(Message::new("web\nApp: db", "1"), Err(MessageError::NotOneLine("app")));
        assert_eq!(Message::new("web", " "), Err(MessageError::Empty("version")));
        assert!(Message::new("web", "1").unwrap().subject("a\u{2028}b").is_err());
    }
}
