//! The journal of facts: what a brain took in, durably and in order.
//!
//! A [`Journal`] is a list to which facts are appended, and holds each once, by [`Fact::id`]. A host
//! appends a fact, and only then applies it to its [`Brain`] and answers whoever brought it; after a restart it reads
//! them all and loads them. Facts stand in it as their lines ([`Fact::to_line`]), so that every
//! release and every language reads them.
//!
//! [`SqliteJournal`] keeps it in one file, for one process; [`PostgresJournal`] in a database, for any
//! number of them.
//!
//! ```
//! use gitops_brain::{Brain, Fact, FactBody, Policy, Registration};
//! use gitops_brain_journal::{Journal, SqliteJournal};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("gitops-brain.db");
//! # let commit = "5394cb7f48332b2de7c17dd8b8384bbc84b7e738".parse()?;
//! # let body = FactBody::Registered(Registration::new("staging".parse()?, commit, &Default::default()));
//! # let fact = Fact::new("2026-11-23T12:00:00Z".parse()?, body);
//! let journal = SqliteJournal::open(&path)?;
//! let appended = journal.append(&[fact.clone()]).await?;
//! assert!(appended.iter().all(|appended| appended.new));
//!
//! // The same again changes nothing.
//! let appended = journal.append(&[fact]).await?;
//! assert!(appended.iter().all(|appended| !appended.new && appended.position == 1));
//!
//! let mut brain = Brain::new(Policy::default());
//! let entries = journal.read_after(0, 1_000).await?;
//! brain.load(entries.into_iter().map(|entry| entry.fact));
//! # Ok(())
//! # }
//! ```
//!
//! # Errors
//!
//! | code | means | retry |
//! |---|---|---|
//! | `store.unavailable` | another process holds the file, or the disk is full or broken | yes: appends work again when the cause is gone |
//! | `store.corrupt` | the file is damaged, or not a journal; it is left as it is | no |
//! | `store.newer` | a newer release wrote the file, or a fact in it; it is left as it is | no: upgrade |
//!
//! [`Brain`]: gitops_brain::Brain
//! [`Fact::id`]: gitops_brain::Fact::id
//! [`Fact::to_line`]: gitops_brain::Fact::to_line

#![forbid(unsafe_code)]

mod error;
mod journal;
mod known;
#[cfg(feature = "postgres")]
mod migrations;
#[cfg(feature = "postgres")]
mod postgres;
mod row;
mod schema;
mod sqlite;

// The public interface is:
#[cfg(feature = "postgres")]
pub use crate::postgres::PostgresJournal;
pub use crate::{
    error::JournalError,
    journal::{Answer, Appended, Cursor, Entry, Journal},
    sqlite::SqliteJournal,
};
