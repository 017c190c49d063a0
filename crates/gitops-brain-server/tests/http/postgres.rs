//! The server over real sockets, with its journal in PostgreSQL: what it does with SQLite, and what only
//! several servers do.
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
mod harness;
mod life;
mod metrics;
mod notifications;
mod pages;
mod push;
mod replicas;
mod routes;
mod statistics;
mod store;
mod stream;
mod tls;
mod waiting;

use std::{
    fs,
    path::Path,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use gitops_brain_tests::postgres::Postgres;

/// The database server of the tests that run at a time.
static SHARED: Mutex<Weak<Postgres>> = Mutex::new(Weak::new());

thread_local! {
    /// Each test has a thread: the server ends with the last one that has it.
    static SERVER: Arc<Postgres> = {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let server = Arc::new(Postgres::start().unwrap());
            *shared = Arc::downgrade(&server);
            server
        })
    };
}

/// The URL of the database that belongs to a folder.
fn database(folder: &Path) -> String {
    let place = folder.join("database");
    fs::read_to_string(&place).unwrap_or_else(|_| {
        let url = SERVER.with(|server| server.database().unwrap());
        fs::write(&place, &url).unwrap();
        url
    })
}
