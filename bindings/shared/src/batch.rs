//! Many facts in one call.

use std::{sync::Mutex, thread};

use chrono::{DateTime, Utc};
use gitops_brain::{Brain, Effects, Fact};

use crate::{
    error::{Error, Family},
    lock,
    output::{Taken, observe},
};

/// So many facts are applied before others have their turn: some 50 µs.
const AT_ONCE: usize = 128;

/// Reads facts, one a line, as a journal has them. Empty lines are skipped.
///
/// # Errors
///
/// Those of `Fact::from_line`, with the number of the line. Then none of them counts.
pub fn facts_of_lines(lines: &[u8]) -> Result<Vec<Fact>, Error> {
    each_line(lines, |line| fact_of_line(line).map(Some))
}

/// Reads a fact from its line, as a journal has it.
///
/// # Errors
///
/// Those of `Fact::from_line`.
pub fn fact_of_line(line: &[u8]) -> Result<Fact, Error> {
    let text = str::from_utf8(line).map_err(|error| {
        let message = format!("not a fact: not UTF-8 after {} bytes", error.valid_up_to());
        Error::new(Family::FactError, "fact.malformed", message)
    })?;
    Ok(Fact::from_line(text)?)
}

/// Observes events, one body a line, whose sender the host has authenticated. Empty lines are skipped,
/// and so are events that say nothing that counts.
///
/// # Errors
///
/// Those of `observe`, with the number of the line. Then none of them counts.
pub fn facts_of_bodies(
    cluster: &str,
    bodies: &[u8],
    at: DateTime<Utc>,
) -> Result<Vec<Fact>, Error> {
    each_line(bodies, |body| match observe(cluster, body, at)? {
        Taken::Fact(fact) => Ok(Some(*fact)),
        Taken::Ignored(_) => Ok(None),
    })
}

fn each_line(
    lines: &[u8],
    read: impl Fn(&[u8]) -> Result<Option<Fact>, Error>,
) -> Result<Vec<Fact>, Error> {
    let lines = lines.split(|byte| *byte == b'\n').zip(1..);
    let lines = lines.filter(|(line, _)| !line.trim_ascii().is_empty());
    let facts = lines.map(|(line, number)| read(line).map_err(|error| error.in_line(number)));
    facts.filter_map(Result::transpose).collect()
}

/// Applies facts one after the other, and lets others have the brain now and then.
pub fn apply_many(brain: &Mutex<Brain>, facts: &[Fact], now: DateTime<Utc>) -> Effects {
    let mut effects = Effects::default();
    for some in facts.chunks(AT_ONCE) {
        let mut brain = lock(brain);
        for fact in some {
            effects.append(brain.apply(fact, now));
        }
        drop(brain);
        thread::yield_now();
    }
    effects
}
