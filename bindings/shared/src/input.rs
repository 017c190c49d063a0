//! What comes in: times, names and JSON, as the core's types.

use std::time::{SystemTime, UNIX_EPOCH};

use chrono::{DateTime, Utc};
use gitops_brain::{
    Ancestry, Event, FactBody, InvolvedObject, Metadata, Policy, Severity, Verifier,
};
use serde::de::DeserializeOwned;

use crate::{
    error::{Error, Family},
    to_json,
};

/// The first and the last instant that every language has a date for: the years 1 to 9999.
const YEARS: std::ops::Range<i64> = -62_135_596_800_000..253_402_300_800_000;

/// The host's clock, in whole milliseconds.
#[must_use]
pub fn now() -> DateTime<Utc> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let milliseconds = i64::try_from(since.as_millis()).unwrap_or_default();
    DateTime::from_timestamp_millis(milliseconds).unwrap_or_default()
}

/// A time, given in milliseconds since 1970.
///
/// # Errors
///
/// `time.malformed` if it is outside of the years 1 to 9999.
pub fn time(milliseconds: i64) -> Result<DateTime<Utc>, Error> {
    DateTime::from_timestamp_millis(milliseconds)
        .filter(|_| YEARS.contains(&milliseconds))
        .ok_or_else(|| {
            let message = format!(
                "{milliseconds} ms since 1970 is no time of the years 1 to 9999: pass the present"
            );
            Error::config("time.malformed", message)
        })
}

/// A verifier with these keys.
///
/// # Errors
///
/// `key.none`, `key.empty` or `key.too_many`.
pub fn verifier<T: AsRef<[u8]>>(keys: &[T]) -> Result<Verifier, Error> {
    Ok(Verifier::new(keys)?)
}

/// A policy from JSON, in the form of the configuration file.
///
/// # Errors
///
/// `policy.malformed`, with serde's words on what is wrong.
pub fn policy(json: &str) -> Result<Policy, Error> {
    read("policy.malformed", "policy", json)
}

/// Reads JSON that a package has made of what its caller passed.
pub(crate) fn read<T: DeserializeOwned>(
    code: &'static str,
    what: &str,
    json: &str,
) -> Result<T, Error> {
    serde_json::from_str(json).map_err(|error| {
        // The position is one in our own JSON: it would tell the caller nothing.
        let text = error.to_string();
        let reason = text.split(" at line ").next().unwrap_or_default();
        Error::config(code, format!("the {what} is not valid: {reason}"))
    })
}

/// The body of a fact from JSON, in the form of the journal.
///
/// # Errors
///
/// `fact.malformed`.
pub fn body(json: &str) -> Result<FactBody, Error> {
    let malformed = |error| Error { family: Family::FactError, ..error };
    let body = read("fact.malformed", "fact", json).map_err(malformed)?;
    match &body {
        FactBody::Settled(settlement) if !settlement.outcome.is_settled() => {
            let message = "the fact is not valid: what is in progress has not settled";
            Err(Error::new(Family::FactError, "fact.malformed", message))
        }
        _ => Ok(body),
    }
}

/// What raw commit objects prove, as the journal has it.
///
/// # Errors
///
/// As those of `Ancestry::from_objects`.
pub fn ancestry_of_objects<T: AsRef<[u8]>>(objects: &[T]) -> Result<String, Error> {
    Ok(to_json(&Ancestry::from_objects(objects)?))
}

/// The metadata entry of a name in an event, under whichever of the keys it may have.
#[must_use]
pub fn metadata<'a>(
    api_version: &str,
    entries: impl IntoIterator<Item = (&'a str, &'a str)>,
    name: &str,
) -> Option<String> {
    let metadata: Metadata<'_> = entries.into_iter().collect();
    // The look-up depends on these two fields and on no other.
    let event = Event {
        involved_object: InvolvedObject { api_version: api_version.into(), ..Default::default() },
        related_object: None,
        severity: Severity::Info,
        timestamp: DateTime::UNIX_EPOCH,
        message: "".into(),
        reason: "".into(),
        action: "".into(),
        metadata,
        reporting_controller: "".into(),
        reporting_instance: "".into(),
    };
    event.metadata(name).map(str::to_owned)
}
