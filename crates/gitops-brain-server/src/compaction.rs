//! Keeping the journal small: what is older than the retention and no longer needed is forgotten, and of
//! what is left the journal keeps as little as says the same.

use std::{collections::HashSet, sync::Arc, time::Duration};

use chrono::TimeDelta;
use gitops_brain::{Fact, FactBody};
use tokio::time;

use crate::{
    driver,
    problem::Problem,
    service::{Inner, READ},
};

/// How often, and when first: not at once, so that a server that restarts again and again has other
/// things to do.
const EVERY: Duration = Duration::from_hours(24);
const FIRST: Duration = Duration::from_mins(10);

/// What was stored less than this ago stays as it is, so that a server on the same database which is a
/// little behind reads each fact in its place.
const UNTOUCHED: TimeDelta = TimeDelta::hours(24);

/// How many facts are stored or removed at a time. Others wait meanwhile.
const PART: usize = 1_000;

/// Compacts from time to time, until the server stops.
pub(crate) async fn keep_small(inner: Arc<Inner>) {
    let mut stop = inner.stop.subscribe();
    let mut sleep = FIRST;
    while !*stop.borrow_and_update() {
        tokio::select! {
            () = time::sleep(sleep) => {
                sleep = EVERY;
                if let Err(problem) = compact(&inner).await {
                    tracing::warn!(code = problem.code(), "the journal could not be made smaller");
                }
            }
            _ = stop.changed() => {}
        }
    }
}

/// Forgets, stores what is left, and then removes what that stands for: a crash in between leaves some
/// things said twice. Returns how many facts were removed.
pub(crate) async fn compact(inner: &Inner) -> Result<usize, Problem> {
    let now = driver::now();
    if let Some(before) = now.checked_sub_signed(inner.retention) {
        inner.submit(vec![Fact::new(now, FactBody::Forgotten { before })]).await?;
    }
    let (through, kept): (u64, Vec<Fact>) = {
        let live = inner.live();
        (live.position, live.brain.facts().collect())
    };
    let ids: HashSet<[u8; 16]> = kept.iter().map(Fact::id).collect();
    for part in kept.chunks(PART) {
        inner.submit(part.to_vec()).await?;
    }
    let old = now.checked_sub_signed(UNTOUCHED).unwrap_or(now);
    let (mut position, mut removed) = (0, 0);
    while position < through {
        let entries = inner.journal.read_after(position, READ).await.map_err(unavailable)?;
        let Some(last) = entries.last() else { break };
        position = last.position;
        let surplus: Vec<u64> = entries
            .iter()
            .filter(|entry| entry.position <= through && entry.fact.at < old)
            .filter(|entry| !ids.contains(&entry.fact.id()))
            .map(|entry| entry.position)
            .collect();
        for part in surplus.chunks(PART) {
            inner.journal.remove(part).await.map_err(unavailable)?;
        }
        removed += surplus.len();
    }
    tracing::info!(removed, kept = kept.len(), "the journal is compacted");
    Ok(removed)
}

#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` gives")]
fn unavailable(error: gitops_brain_journal::JournalError) -> Problem {
    Problem::unavailable(error.code(), error.to_string())
}
