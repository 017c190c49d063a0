//! What the Python and the Node package have in common: all but the boundary itself.
//!
//! Values cross a boundary as JSON, in the form of the HTTP API and of the journal; each package makes
//! plain, typed values of its language out of it. Times cross as milliseconds since 1970, durations
//! as text (`30m`). What is called for each event (`ingest`, `apply`) crosses as handles instead: the
//! packages hold facts and brains themselves.
//!
//! Nothing is decided here. What a text means, and what follows from it, is the core's.

#![forbid(unsafe_code)]

mod batch;
mod error;
mod input;
mod output;
mod questions;

// The public interface is:
pub use crate::{
    batch::{apply_many, fact_of_line, facts_of_bodies, facts_of_lines},
    error::{Error, Family, Place},
    input::{ancestry_of_objects, body, metadata, now, policy, time, verifier},
    output::{Taken, body_of, effects, ingest, observe, parse},
    questions::{Watched, ask, watch},
};

use std::sync::{Mutex, MutexGuard, PoisonError};

/// A brain for one call. A panic in an earlier call has left it whole: what the core changes, it
/// changes by adding.
pub fn lock<T>(brain: &Mutex<T>) -> MutexGuard<'_, T> {
    brain.lock().unwrap_or_else(PoisonError::into_inner)
}

/// JSON of values of our own, whose map keys are texts: this cannot fail.
fn to_json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
