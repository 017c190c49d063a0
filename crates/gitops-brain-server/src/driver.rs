//! What drives the brain: the clock, the journal's writer, and what is done from time to time. There
//! is no other clock in the server.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use gitops_brain::{Fact, FactBody};
use gitops_brain_journal::{Appended, JournalError};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time,
};

use crate::{
    live::Live,
    service::{Inner, READ, StoreFailure},
};

/// How often heartbeats are stored. A crash forgets at most so much of when reconcilers were last
/// heard.
const FLUSH_EVERY: Duration = Duration::from_mins(1);

/// How long the clock sleeps at most: the machine may have been asleep, or its clock set.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);

/// How long the clock sleeps at least, so that a deadline which does not go away costs little.
const SHORTEST_SLEEP: Duration = Duration::from_millis(2);

/// How often a shared journal is read though nothing was announced: an announcement may be lost with
/// its connection.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// When settlements that could not be stored are tried again.
const OWED_RETRY: Duration = Duration::from_secs(2);

/// The most submissions that are stored together.
const MAX_BATCH: usize = 1_024;

/// The time, as everything in the server has it.
#[must_use]
pub(crate) fn now() -> DateTime<Utc> {
    #[expect(clippy::disallowed_methods, reason = "this is the one clock")]
    DateTime::from(std::time::SystemTime::now())
}

/// Facts that somebody wants stored and applied.
#[derive(Debug)]
pub(crate) struct Submission {
    pub(crate) facts: Vec<Fact>,
    pub(crate) reply: oneshot::Sender<Result<Vec<Appended>, StoreFailure>>,
}

/// Stores facts and applies them in the journal's order, until the server stops.
///
/// All that wait go into one transaction; those who come meanwhile go into the next.
pub(crate) async fn write(inner: Arc<Inner>, mut submissions: mpsc::Receiver<Submission>) {
    let mut stop = inner.stop.subscribe();
    if *stop.borrow_and_update() {
        submissions.close();
    }
    let mut batch = Vec::new();
    let mut retry = false;
    loop {
        tokio::select! {
            received = submissions.recv_many(&mut batch, MAX_BATCH) => {
                if received == 0 {
                    break;
                }
            }
            () = inner.owes.notified() => {}
            () = time::sleep(OWED_RETRY), if retry => {}
            // What was submitted before is still taken.
            _ = stop.changed() => submissions.close(),
        }
        retry = store(&inner, std::mem::take(&mut batch)).await.is_err();
    }
    // Settlements of the last batch; what cannot be stored now is found again at the next start.
    let _ = store(&inner, Vec::new()).await;
}

/// Stores a batch with what is owed, applies it, and tells everybody.
async fn store(inner: &Inner, batch: Vec<Submission>) -> Result<(), StoreFailure> {
    let owed = inner.live().take_owed();
    let facts: Vec<Fact> =
        owed.iter().chain(batch.iter().flat_map(|submission| &submission.facts)).cloned().collect();
    if facts.is_empty() {
        return Ok(());
    }
    match append(inner, &facts).await {
        Ok(appended) => {
            inner.store_works(true);
            if inner.shared {
                let read = catch_up(inner).await;
                inner.live().recorded(&owed);
                if read.is_ok() {
                    follow_up(inner).await;
                }
                let mut appended = appended.into_iter().skip(owed.len());
                for Submission { facts, reply } in batch {
                    inner.live().arrive(&facts);
                    // Whoever submitted it may have gone, here and below.
                    let _ = reply.send(Ok(appended.by_ref().take(facts.len()).collect()));
                }
            } else {
                inner.live().recorded(&owed);
                apply(inner, batch, &appended, owed.len());
            }
            Ok(())
        }
        Err(error) => {
            inner.store_works(false);
            tracing::error!(code = error.code(), %error, facts = facts.len(), "not stored");
            let mut live = inner.live();
            live.recorded(&owed);
            live.owed.extend(owed);
            batch.iter().for_each(|submission| live.arrive(&submission.facts));
            // Those who wait need not wait for the store as well.
            live.wake(now());
            drop(live);
            let failure = StoreFailure::from(&error);
            for submission in batch {
                let _ = submission.reply.send(Err(failure.clone()));
            }
            Err(failure)
        }
    }
}

/// Stores facts, and counts.
async fn append(inner: &Inner, facts: &[Fact]) -> Result<Vec<Appended>, JournalError> {
    let begun = time::Instant::now();
    let appended = inner.journal.append(facts).await;
    let appended = appended.inspect_err(|_| inner.metrics.append_failed())?;
    inner.metrics.appended(begun.elapsed());
    for (fact, appended) in facts.iter().zip(&appended) {
        if let FactBody::Settled(settlement) = &fact.body
            && appended.new
        {
            inner.metrics.settled(settlement.environment.as_str(), settlement.outcome);
        }
    }
    Ok(appended)
}

/// Applies what was stored, and stores what follows from it: whoever is answered afterwards is answered
/// from both. Stored is what was submitted in any case; what does not work now is done later.
pub(crate) async fn follow_up(inner: &Inner) {
    while catch_up(inner).await.is_ok() {
        let owed = inner.live().take_owed();
        if owed.is_empty() {
            return;
        }
        let stored = append(inner, &owed).await;
        let read = catch_up(inner).await;
        let mut live = inner.live();
        live.recorded(&owed);
        if stored.is_err() {
            live.owed.extend(owed);
            inner.owes.notify_one();
        }
        if stored.is_err() || read.is_err() {
            return;
        }
    }
}

fn apply(inner: &Inner, batch: Vec<Submission>, appended: &[Appended], owed: usize) {
    let now = now();
    let mut appended = appended.iter();
    let mut replies = Vec::with_capacity(batch.len());
    let mut live = inner.live();
    for appended in appended.by_ref().take(owed) {
        // The brain knows them already.
        live.position = live.position.max(appended.position);
    }
    for Submission { facts, reply } in batch {
        let stored: Vec<Appended> = appended.by_ref().take(facts.len()).copied().collect();
        for (fact, appended) in facts.iter().zip(&stored) {
            live.position = live.position.max(appended.position);
            live.apply(fact, now);
        }
        live.arrive(&facts);
        replies.push((reply, stored));
    }
    for (reply, stored) in replies {
        let _ = reply.send(Ok(stored));
    }
    live.wake(now);
    let owes = !live.owed.is_empty();
    drop(live);
    if owes {
        inner.owes.notify_one();
    }
    inner.clock.notify_one();
}

/// Reads what others have stored, when they announce it and from time to time.
pub(crate) async fn follow(inner: Arc<Inner>, mut announced: watch::Receiver<u64>) {
    let mut stop = inner.stop.subscribe();
    while !*stop.borrow_and_update() {
        tokio::select! {
            changed = announced.changed() => {
                let position = *announced.borrow_and_update();
                if changed.is_ok() && position != 0 && position <= inner.live().position {
                    inner.read_to_end();
                    continue;
                }
            }
            () = time::sleep(LOOK_EVERY) => {}
            _ = stop.changed() => break,
        }
        if let Err(error) = catch_up(&inner).await {
            tracing::warn!(code = error.code(), %error, "the journal cannot be read");
            if error.code() == "store.newer" {
                inner.outdate();
            }
            time::sleep(LOOK_EVERY).await;
        }
    }
}

/// Applies everything that stands in a shared journal and was not applied yet, in its order.
pub(crate) async fn catch_up(inner: &Inner) -> Result<(), JournalError> {
    let _turn = inner.turn.lock().await;
    loop {
        let position = inner.live().position;
        let entries = inner.journal.read_after(position, READ).await?;
        let Some(last) = entries.last() else { break };
        let now = now();
        let owes = {
            let mut live = inner.live();
            live.read(&entries, now);
            !live.owed.is_empty()
        };
        inner.caught_up.send_replace(last.position);
        inner.clock.notify_one();
        if owes {
            inner.owes.notify_one();
        }
        if entries.len() < READ {
            break;
        }
    }
    inner.read_to_end();
    // Another server may have been the first to record what somebody waits for: so each time, whether
    // anything was read or not.
    inner.live().wake_when_recorded(now());
    Ok(())
}

/// Lets time pass: sleeps until the next deadline, or until there is another one.
pub(crate) async fn keep_time(inner: Arc<Inner>) {
    let mut stop = inner.stop.subscribe();
    while !*stop.borrow_and_update() {
        let deadline = inner.live().brain.next_deadline();
        let sleep = deadline.map_or(LONGEST_SLEEP, |deadline| {
            let left = deadline.signed_duration_since(now()).to_std().unwrap_or_default();
            left.clamp(SHORTEST_SLEEP, LONGEST_SLEEP)
        });
        tokio::select! {
            () = time::sleep(sleep) => {}
            () = inner.clock.notified() => {}
            _ = stop.changed() => {}
        }
        let now = now();
        if deadline.is_some_and(|deadline| deadline <= now) {
            let mut live = inner.live();
            live.expire(now);
            live.record(now);
            if inner.shared {
                live.wake_when_recorded(now);
            } else {
                live.wake(now);
            }
            if !live.owed.is_empty() {
                inner.owes.notify_one();
            }
        }
    }
}

/// Stores the newest heartbeats from time to time.
pub(crate) async fn flush(inner: Arc<Inner>) {
    let mut stop = inner.stop.subscribe();
    while !*stop.borrow_and_update() {
        tokio::select! {
            () = time::sleep(FLUSH_EVERY) => flush_heartbeats(&inner).await,
            _ = stop.changed() => {}
        }
    }
}

/// Stores the newest heartbeat of each reconciler. They are kept for the next time if that fails.
pub(crate) async fn flush_heartbeats(inner: &Inner) {
    let mut facts = Vec::new();
    let take = |live: &mut Live| {
        facts = std::mem::take(&mut live.heartbeats).into_values().collect();
        facts.clone()
    };
    let stored = inner.submit_chosen(take).await;
    match stored {
        Ok(stored) => tracing::debug!(facts = stored.len(), "stored heartbeats"),
        Err(_) => inner.live().keep_heartbeats(facts),
    }
}

impl From<&JournalError> for StoreFailure {
    fn from(error: &JournalError) -> Self {
        Self { code: error.code(), detail: error.to_string() }
    }
}
