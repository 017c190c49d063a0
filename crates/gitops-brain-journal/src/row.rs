//! A fact in the form in which it is stored.

use gitops_brain::Fact;

/// A fact in the form in which it is stored.
pub(crate) struct Row {
    pub(crate) id: [u8; 16],
    /// Milliseconds since 1970.
    pub(crate) at: i64,
    pub(crate) line: String,
}

impl Row {
    pub(crate) fn of(fact: &Fact) -> Self {
        Self { id: fact.id(), at: fact.at.timestamp_millis(), line: fact.to_line() }
    }
}
