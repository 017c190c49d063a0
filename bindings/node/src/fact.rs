//! Signatures, facts, and how requests become some.

use napi::bindgen_prelude::{Buffer, Either, Result, Uint8Array};
use napi_derive::napi;

use crate::{core, raise, shared, tables::tables};

/// Keeps a verifier for as long as Node does.
#[napi]
#[derive(Debug)]
pub struct VerifierHandle {
    number: u32,
}

#[napi]
impl VerifierHandle {
    /// A verifier with these keys.
    #[napi(constructor, catch_unwind)]
    pub fn new(keys: Vec<Uint8Array>) -> Result<Self> {
        let verifier = shared::verifier(&keys).map_err(raise)?;
        Ok(Self { number: tables(|tables| Ok(tables.verifiers.add(verifier)))? })
    }

    /// Its number.
    #[napi(getter)]
    pub fn number(&self) -> u32 {
        self.number
    }
}

impl Drop for VerifierHandle {
    fn drop(&mut self) {
        // After its thread there is nothing to remove.
        let _ = tables(|tables| {
            tables.verifiers.remove(self.number);
            Ok(())
        });
    }
}

/// The place of the key with which a body is signed.
#[napi(catch_unwind)]
pub fn verify(verifier: u32, header: Option<&[u8]>, body: &[u8]) -> Result<u32> {
    tables(|tables| {
        let key = tables.verifiers.get(verifier)?.verify(header, body).map_err(raise)?;
        Ok(u32::try_from(key.as_usize()).unwrap_or(u32::MAX))
    })
}

/// The header that Flux would send with a body.
#[napi(catch_unwind)]
pub fn sign(key: &[u8], body: &[u8]) -> Result<String> {
    core::sign(key, body).map_err(raise)
}

/// Verifies, parses and observes a request: the number of the fact, or JSON of why it was ignored.
#[napi(catch_unwind)]
pub fn ingest(
    verifier: u32,
    cluster: String,
    header: Option<String>,
    body: &[u8],
    at: i64,
) -> Result<Either<i64, String>> {
    tables(|tables| {
        let verifier = tables.verifiers.get(verifier)?;
        let header = header.as_deref().map(str::as_bytes);
        let at = shared::time(at).map_err(raise)?;
        match shared::ingest(verifier, &cluster, header, body, at).map_err(raise)? {
            shared::Taken::Fact(fact) => Ok(Either::A(tables.facts.add(fact))),
            shared::Taken::Ignored(why) => Ok(Either::B(why)),
        }
    })
}

/// Parses and observes a body: the number of the fact, or JSON of why it was ignored.
#[napi(catch_unwind)]
pub fn observe(cluster: String, body: &[u8], at: i64) -> Result<Either<i64, String>> {
    let at = shared::time(at).map_err(raise)?;
    match shared::observe(&cluster, body, at).map_err(raise)? {
        shared::Taken::Fact(fact) => Ok(Either::A(keep(fact)?)),
        shared::Taken::Ignored(why) => Ok(Either::B(why)),
    }
}

/// The fact that a line of a journal holds.
#[napi(catch_unwind)]
pub fn fact_of_line(line: &[u8]) -> Result<i64> {
    keep(Box::new(shared::fact_of_line(line).map_err(raise)?))
}

/// The fact that says what is given as JSON.
#[napi(catch_unwind)]
pub fn fact_of_body(body: String, at: i64) -> Result<i64> {
    let at = shared::time(at).map_err(raise)?;
    keep(Box::new(core::Fact::new(at, shared::body(&body).map_err(raise)?)))
}

fn keep(fact: Box<core::Fact>) -> Result<i64> {
    tables(|tables| Ok(tables.facts.add(fact)))
}

/// A fact's line, or null if it is no longer at hand.
#[napi(catch_unwind)]
pub fn fact_line(fact: i64) -> Result<Option<String>> {
    of_fact(fact, |fact| Ok(fact.to_line()))
}

/// A fact's identity, or null if it is no longer at hand.
#[napi(catch_unwind)]
pub fn fact_id(fact: i64) -> Result<Option<Buffer>> {
    of_fact(fact, |fact| Ok(fact.id().to_vec().into()))
}

/// A fact's time in milliseconds, or null if it is no longer at hand.
#[napi(catch_unwind)]
pub fn fact_at(fact: i64) -> Result<Option<i64>> {
    of_fact(fact, |fact| Ok(fact.at.timestamp_millis()))
}

/// What a fact says as JSON, or null if it is no longer at hand.
#[napi(catch_unwind)]
pub fn fact_body(fact: i64) -> Result<Option<String>> {
    of_fact(fact, |fact| Ok(shared::body_of(&fact.body)))
}

fn of_fact<T>(fact: i64, with: impl FnOnce(&core::Fact) -> Result<T>) -> Result<Option<T>> {
    tables(|tables| tables.facts.get(fact).map(with).transpose())
}
