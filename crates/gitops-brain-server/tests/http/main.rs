//! The server over real sockets.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "these are tests"
)]

mod access;
mod bad_input;
mod harness;
mod life;
mod routes;
mod store;
mod waiting;
