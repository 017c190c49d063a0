//! The Node package `gitops-brain`, its native part: conversions, and nothing else.
//!
//! `lib` makes it the package that people use: typed values, errors, and waiting. What is called for
//! each event is a plain function of numbers, texts and bytes: to hand an object over the boundary, or
//! to find the one behind `this`, costs more than to verify and read an event. So brains, verifiers and
//! the latest facts stand in tables here, and Node has their numbers.

// Public, because the macro exports what is.
pub mod brain;
pub mod fact;
mod tables;

use gitops_brain as core;
use gitops_brain_bindings as shared;
use napi::bindgen_prelude::{Error, Result, Uint8Array};
use napi_derive::napi;

/// The error that `lib/errors.js` makes a class of.
fn raise(error: impl Into<shared::Error>) -> Error {
    Error::from_reason(error.into().to_json())
}

/// Reads what is named: an event, event_json, revision, commit_object or duration.
#[napi(catch_unwind)]
pub fn parse(what: String, text: &[u8]) -> Result<String> {
    shared::parse(&what, text).map_err(raise)
}

/// The metadata entry of a name. Keys and values follow each other in `entries`.
#[napi(catch_unwind)]
pub fn metadata(api_version: String, entries: Vec<String>, name: String) -> Option<String> {
    let entries = entries.chunks_exact(2).filter_map(|entry| match entry {
        [key, value] => Some((&**key, &**value)),
        _ => None,
    });
    shared::metadata(&api_version, entries, &name)
}

/// Raw commit objects as JSON of what they prove.
#[napi(catch_unwind)]
pub fn ancestry_of_objects(objects: Vec<Uint8Array>) -> Result<String> {
    shared::ancestry_of_objects(&objects).map_err(raise)
}

/// The version of the package.
#[napi]
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The version of the format in which facts are written.
#[napi]
pub const FACT_VERSION: u32 = core::FACT_VERSION;
