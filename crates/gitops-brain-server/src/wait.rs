//! Waiting for a status: a request holds the line until the brain wakes it. Nothing polls.

use std::{sync::Arc, time::Duration};

use axum::http::StatusCode;
use gitops_brain::{Query, Version, Watch, WatchId};
use tokio::{sync::oneshot, time};

use crate::{
    driver,
    limits::{CATCH_UP_PATIENCE, MAX_WAIT, MAX_WAITERS, MAX_WAITERS_PER_TOKEN},
    live::{Answer, Live, Sink, Waiter},
    problem::Problem,
    service::Inner,
};

/// A status that is settled, or another one than that of `since`, or what there is when `wait` is
/// over.
pub(crate) async fn status(
    inner: &Arc<Inner>,
    query: Query,
    wait: Duration,
    since: Option<Version>,
    token: Option<usize>,
) -> Result<Answer, Problem> {
    let (answer, _place) = {
        let mut live = inner.live();
        let now = driver::now();
        if wait.is_zero() || live.stopping {
            return Ok(live.look(&query, now)?);
        }
        let id = match live.brain.watch(query.clone(), since.as_ref(), now)? {
            Watch::Ready(status) => return Ok(live.present(status)),
            Watch::Waiting(id) => id,
        };
        if let Err(problem) = room(&live, token) {
            live.brain.unwatch(id);
            return Err(problem);
        }
        let (sender, answer) = oneshot::channel();
        live.waiters
            .insert(id, Waiter { query: query.clone(), token, answer: Sink::Request(sender) });
        (answer, Place { inner: inner.clone(), id })
    };
    inner.clock.notify_one();
    if let Ok(Ok(answer)) = time::timeout(wait.min(MAX_WAIT), answer).await {
        return Ok(answer);
    }
    let present = inner.live().look(&query, driver::now());
    Ok(present?)
}

/// Waits until the brain knows what another server knew when it said a version.
///
/// # Errors
///
/// `store.behind` if that takes too long.
pub(crate) async fn catch_up(inner: &Inner, position: u64) -> Result<(), Problem> {
    if !inner.shared || position <= inner.live().position {
        return Ok(());
    }
    let mut caught_up = inner.caught_up.subscribe();
    let there = caught_up.wait_for(|known| *known >= position);
    match time::timeout(CATCH_UP_PATIENCE, there).await {
        Ok(Ok(_)) => Ok(()),
        _ => Err(Problem::unavailable(
            "store.behind",
            "this server does not know yet what the version in `since` was made of",
        )),
    }
}

fn room(live: &Live, token: Option<usize>) -> Result<(), Problem> {
    let full = if live.waiters.len() >= MAX_WAITERS {
        Some(MAX_WAITERS)
    } else if token.is_some()
        && live.waiters.len() >= MAX_WAITERS_PER_TOKEN
        && live.waiters.values().filter(|waiter| waiter.token == token).count()
            >= MAX_WAITERS_PER_TOKEN
    {
        Some(MAX_WAITERS_PER_TOKEN)
    } else {
        None
    };
    match full {
        None => Ok(()),
        Some(limit) => Err(Problem::new(
            StatusCode::TOO_MANY_REQUESTS,
            "wait.too_many",
            format!("{limit} requests wait already: ask without `wait`, or later"),
        )),
    }
}

/// A waiter's place, given up when the request ends, however it ends: its client may have gone.
struct Place {
    inner: Arc<Inner>,
    id: WatchId,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut live = self.inner.live();
        if live.waiters.remove(&self.id).is_some() {
            live.brain.unwatch(self.id);
        }
    }
}
