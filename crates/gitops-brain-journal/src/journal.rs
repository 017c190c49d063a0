//! What every store of facts does.

use std::{fmt, pin::Pin, time::Duration};

use gitops_brain::Fact;
use tokio::sync::watch;

use crate::JournalError;

/// What a journal will answer. The work goes on even if nobody waits for it any more: a fact may be
/// stored though the one who brought it has gone.
pub type Answer<T> = Pin<Box<dyn Future<Output = Result<T, JournalError>> + Send>>;

/// A durable list of facts, each of them once, to which one appends.
///
/// Positions grow from 1 in the order in which facts became durable: whoever has read up to a
/// position misses nothing at or before it.
pub trait Journal: fmt::Debug + Send + Sync + 'static {
    /// Stores facts durably, all of them or none, and tells of each where it stands and whether it
    /// is new.
    fn append(&self, facts: &[Fact]) -> Answer<Vec<Appended>>;

    /// Reads on after a position, at most `limit` facts. None are left if there are fewer.
    fn read_after(&self, position: u64, limit: usize) -> Answer<Vec<Entry>>;

    /// Removes the facts at some positions, which nothing follows from any more: the host has stored others
    /// that say the same ([`gitops_brain::Brain::facts`]). Those that are not there are not missed.
    fn remove(&self, positions: &[u64]) -> Answer<()>;

    /// Takes a cursor for a while, and tells where it stands: for a reader that must go on where it, or
    /// another process in its place, was. `None` while another holder has it. Its time begins anew whenever
    /// it is taken or moved by its holder.
    fn take_cursor(&self, name: &str, holder: &str, lease: Duration) -> Answer<Option<Cursor>>;

    /// Moves a cursor, durably. Whether it was this holder's still; if not, it was not moved.
    fn move_cursor(&self, name: &str, holder: &str, lease: Duration, to: u64) -> Answer<bool>;

    /// Tells that other processes may have stored something, if there can be any: changes with each
    /// announcement. What is announced can be lost with a connection, so a host looks from time to time
    /// too.
    fn announced(&self) -> Option<watch::Receiver<u64>> {
        None
    }

    /// Finishes what was begun and lets go of the store. What is asked of it afterwards fails.
    fn close(&self) -> Answer<()>;
}

/// Where a reader is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Cursor {
    /// The position up to which it has read. `None`: it has not begun.
    pub position: Option<u64>,
}

impl Cursor {
    /// A cursor at a position.
    #[must_use]
    pub fn new(position: Option<u64>) -> Self {
        Self { position }
    }
}

/// What became of a fact that was appended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Appended {
    /// Where it stands.
    pub position: u64,
    /// Whether it was not there already.
    pub new: bool,
}

impl Appended {
    /// A fact that stands at a position.
    #[must_use]
    pub fn new(position: u64, new: bool) -> Self {
        Self { position, new }
    }
}

/// A fact in a journal.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Entry {
    /// Where it stands.
    pub position: u64,
    /// What it says.
    pub fact: Fact,
}

impl Entry {
    /// A fact that stands at a position.
    #[must_use]
    pub fn new(position: u64, fact: Fact) -> Self {
        Self { position, fact }
    }

    /// A fact of which the line stands at a position.
    pub(crate) fn read(position: u64, line: &str) -> Result<Self, JournalError> {
        let fact =
            Fact::from_line(line).map_err(|error| JournalError::of_line(position, &error))?;
        Ok(Self { position, fact })
    }
}
