//! The server over real sockets, with its journal in SQLite.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "these are tests"
)]

mod access;
mod argocd;
mod bad_input;
mod badge;
mod doctor;
mod file;
mod harness;
mod life;
mod metrics;
mod notifications;
mod pages;
mod push;
mod routes;
mod statistics;
mod store;
mod stream;
mod tls;
mod waiting;

use std::path::Path;

/// Where the journal of a server in a folder is.
fn database(folder: &Path) -> String {
    folder.join("gitops-brain.db").display().to_string()
}
