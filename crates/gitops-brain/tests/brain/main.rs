//! A brain, asked from outside: what changes it, what it says, and what can be asked of it.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::string_slice,
    reason = "a failed test says where"
)]

mod applications;
mod changes;
mod charts;
mod findings;
mod forgetting;
mod health_checks;
mod lines;
mod parents;
mod questions;
mod said;
mod words;
