//! The binary `gitops-brain`, run as users run it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test that cannot go on fails"
)]

mod ancestry;
mod exit_codes;
mod faults;
mod following;
mod github;
mod journal;
mod log;
mod offline;
#[cfg(feature = "otlp")]
mod otlp;
mod release;
mod server;
mod snapshots;
mod support;
