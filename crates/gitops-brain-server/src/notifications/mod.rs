//! Telling others of settled rollouts.
//!
//! The settlements in the journal are the outbox: each stands there once, and is durable before anybody
//! is told. For each receiver a cursor in the same store says up to where it was told. One server at a
//! time holds the cursor, and another one goes on where it stood. A crash between telling and moving the
//! cursor tells something twice, with the same `Idempotency-Key`.

mod delivery;
mod message;

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::Arc,
    time::Duration,
};

use chrono::TimeDelta;
use gitops_brain::{Fact, FactBody, Query};
use gitops_brain_journal::JournalError;
use tokio::{sync::watch, time};

use crate::{
    driver,
    receiver::Receiver,
    service::{Inner, READ},
};
use delivery::{Courier, Refusal};
use message::Message;

/// How often it is looked whether there is something to tell.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How often it is looked whether another server lets go of the cursor, or the journal works again.
const TRY_EVERY: Duration = Duration::from_secs(5);

/// How long the cursor is held without a sign of life: longer than the longest try with the pause after.
const LEASE: Duration = Duration::from_secs(120);

/// The pause after a try that failed: doubled each time, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What settled longer ago is news no more: a receiver that was away for so long is not told of it.
const NEWS_FOR: TimeDelta = TimeDelta::hours(24);

/// One receiver, and how far it has been told.
struct Outbox {
    inner: Arc<Inner>,
    receiver: Receiver,
    courier: Courier,
    cursor: String,
    holder: String,
    /// Up to where it has been told, while the cursor is held.
    position: Option<u64>,
    /// When the cursor was last taken.
    renewed: time::Instant,
    stop: watch::Receiver<bool>,
}

/// Tells a receiver of all that settles, until the server stops.
pub(crate) async fn tell(inner: Arc<Inner>, receiver: Receiver, url: Option<String>) {
    let outbox = Outbox {
        courier: Courier::new(receiver.channel.clone(), url),
        cursor: format!("receiver {}", receiver.name),
        holder: format!("{:016x}", RandomState::new().hash_one(&receiver.name)),
        position: None,
        renewed: time::Instant::now(),
        stop: inner.stop.subscribe(),
        inner,
        receiver,
    };
    outbox.run().await;
}

impl Outbox {
    async fn run(mut self) {
        while !*self.stop.borrow() {
            let pause = match self.read_on().await {
                Ok(()) if self.position.is_some() => LOOK_EVERY,
                Ok(()) => TRY_EVERY,
                Err(error) => {
                    let receiver = &self.receiver.name;
                    tracing::warn!(receiver, code = error.code(), %error, "cannot read what to tell");
                    self.position = None;
                    TRY_EVERY
                }
            };
            self.sleep(pause).await;
        }
        if let Some(position) = self.position {
            // Another server need not wait for the lease to end.
            let _ = self.move_cursor(position, Duration::ZERO).await;
        }
    }

    /// Tells all that there is to tell, for as long as the cursor is held.
    async fn read_on(&mut self) -> Result<(), JournalError> {
        let known = self.inner.live().position;
        // There is nothing new, and the cursor is held for a good while yet.
        if self.position.is_some_and(|position| position >= known)
            && self.renewed.elapsed() < LEASE / 4
        {
            return Ok(());
        }
        let journal = self.inner.journal.clone();
        let cursor = journal.take_cursor(&self.cursor, &self.holder, LEASE).await?;
        self.renewed = time::Instant::now();
        self.position = cursor.and_then(|cursor| cursor.position);
        if cursor.is_some() && self.position.is_none() {
            // A new receiver begins with what settles next.
            self.advance(known).await?;
        }
        while let Some(position) = self.position.filter(|position| *position < known) {
            let entries = journal.read_after(position, READ).await?;
            let Some(last) = entries.iter().rfind(|entry| entry.position <= known) else { break };
            for entry in entries.iter().take_while(|entry| entry.position <= known) {
                if self.tell_of(&entry.fact).await.is_none() {
                    return Ok(());
                }
                if matches!(entry.fact.body, FactBody::Settled(_)) {
                    self.advance(entry.position).await?;
                    if self.position.is_none() {
                        return Ok(());
                    }
                }
            }
            self.advance(last.position).await?;
        }
        Ok(())
    }

    /// Has told all up to a position. It has no position any more if another server has the cursor.
    async fn advance(&mut self, to: u64) -> Result<(), JournalError> {
        self.position = self.move_cursor(to, LEASE).await?.then_some(to);
        Ok(())
    }

    async fn move_cursor(&self, to: u64, lease: Duration) -> Result<bool, JournalError> {
        self.inner.journal.move_cursor(&self.cursor, &self.holder, lease, to).await
    }

    /// Tells of a fact if it is to be told, until it has been heard or is no news any more. `None` if the
    /// server stops first, or another one has the cursor.
    async fn tell_of(&mut self, fact: &Fact) -> Option<()> {
        let FactBody::Settled(settlement) = &fact.body else { return Some(()) };
        if !self.receiver.wants(&settlement.environment, settlement.outcome) {
            return Some(());
        }
        let query = Query::new(settlement.environment.clone(), settlement.commit);
        let mut pause = FIRST_PAUSE;
        loop {
            let now = driver::now();
            let name = self.receiver.name.clone();
            if now.signed_duration_since(fact.at) > NEWS_FOR {
                tracing::error!(receiver = name, environment = %settlement.environment,
                    commit = %settlement.commit, "not told: it was away for too long");
                self.inner.metrics.told(&name, "given_up");
                return Some(());
            }
            // An environment that is no longer declared has no status.
            let status = self.inner.live().brain.status(&query, now).ok();
            let message = Message { settlement: settlement.clone(), at: fact.at, status };
            let Refusal { for_good, after, why } = match self.courier.deliver(message).await {
                Ok(delivered) => {
                    self.inner.metrics.told(&name, delivered.as_str());
                    return Some(());
                }
                Err(refusal) => refusal,
            };
            if for_good {
                tracing::error!(receiver = name, environment = %settlement.environment,
                    commit = %settlement.commit, why, "not told");
                self.inner.metrics.told(&name, "refused");
                return Some(());
            }
            tracing::warn!(receiver = name, why, "not told yet, trying again");
            self.inner.metrics.told(&name, "retried");
            self.sleep(after.unwrap_or(pause).min(LONGEST_PAUSE)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            let held = self.inner.journal.take_cursor(&self.cursor, &self.holder, LEASE).await;
            if *self.stop.borrow() || matches!(held, Ok(None)) {
                return None;
            }
        }
    }

    async fn sleep(&mut self, pause: Duration) {
        if *self.stop.borrow_and_update() {
            return;
        }
        tokio::select! {
            () = time::sleep(pause) => {}
            _ = self.stop.changed() => {}
        }
    }
}
