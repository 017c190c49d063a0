//! The brain as it runs: with those who wait for its answers, and what it still owes the journal.

use std::{collections::HashMap, sync::Arc};

use axum::{
    body::Bytes,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use gitops_brain::{
    Brain, CommitId, Effects, EnvironmentName, Fact, FactBody, ObjectName, Query, QueryError,
    Status, Transition, Version, WatchId,
};
use gitops_brain_journal::Entry;
use tokio::sync::{broadcast, mpsc, oneshot};

use crate::{metrics::Metrics, stream::Key};

/// How many changes a slow stream may miss before it looks at everything again.
const CHANGES: usize = 1_024;

/// Everything that one mutex guards.
///
/// It is a [`std::sync::Mutex`], for it is never held across an `await`: nothing that is done under
/// it waits for anything.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) brain: Brain,
    /// The journal position up to which the brain knows.
    pub(crate) position: u64,
    pub(crate) waiters: HashMap<WatchId, Waiter>,
    /// The newest event of each reconciler that said nothing but that it is still there. They are
    /// stored together each minute.
    pub(crate) heartbeats: HashMap<ObjectName, Fact>,
    /// Reconcilers of which events are on their way through the journal, and how many: what is a
    /// heartbeat before they are applied may not be one after.
    under_way: HashMap<ObjectName, usize>,
    /// Settlements that the brain knows and the journal does not yet.
    pub(crate) owed: Vec<Fact>,
    metrics: Arc<Metrics>,
    /// Whether other servers write to the journal too.
    shared: bool,
    /// How many batches of settlements are on their way into a shared journal, or stand there unread.
    recording: usize,
    /// Whether something has settled since it was looked what is to be recorded.
    settled: bool,
    /// Tells of each rollout that was registered, or whose state or outcome changed. None when the
    /// server stops.
    pub(crate) changes: Option<broadcast::Sender<Key>>,
    pub(crate) stopping: bool,
    /// Watches whose status changed, to be answered together.
    woken: Vec<WatchId>,
}

/// Somebody who waits for a status.
#[derive(Debug)]
pub(crate) struct Waiter {
    pub(crate) query: Query,
    pub(crate) token: Option<usize>,
    pub(crate) answer: Sink,
}

/// Where the answer goes.
#[derive(Debug)]
pub(crate) enum Sink {
    /// To a request that waits for a status.
    Request(oneshot::Sender<Answer>),
    /// To a stream, which is told that there is another one.
    Stream(mpsc::UnboundedSender<Key>),
}

/// A status as it is sent: made once for all who wait for it.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    body: Bytes,
    version: String,
}

impl Live {
    pub(crate) fn new(brain: Brain, position: u64, shared: bool, metrics: Arc<Metrics>) -> Self {
        Self {
            brain,
            position,
            waiters: HashMap::new(),
            heartbeats: HashMap::new(),
            under_way: HashMap::new(),
            owed: Vec::new(),
            metrics,
            shared,
            recording: 0,
            settled: false,
            changes: Some(broadcast::channel(CHANGES).0),
            stopping: false,
            woken: Vec::new(),
        }
    }

    /// Takes in a fact that is stored.
    pub(crate) fn apply(&mut self, fact: &Fact, now: DateTime<Utc>) {
        let effects = self.brain.apply(fact, now);
        match &fact.body {
            FactBody::Registered(told) => self.tell(&told.environment, told.commit),
            FactBody::Settled(told) => self.tell(&told.environment, told.commit),
            _ => {}
        }
        self.act(effects, now);
    }

    /// Notes how long a rollout took.
    fn measure(&self, transition: &Transition, now: DateTime<Utc>) {
        let query = Query::new(transition.environment.clone(), transition.commit);
        let registered_at =
            self.brain.status(&query, now).ok().and_then(|status| status.registered_at);
        if let Some(registered_at) = registered_at {
            self.metrics.arrived(transition, registered_at);
        }
    }

    /// Tells the streams of a rollout.
    fn tell(&self, environment: &EnvironmentName, commit: CommitId) {
        if let Some(changes) = self.changes.as_ref().filter(|to| to.receiver_count() > 0) {
            // Nobody need be there.
            let _ = changes.send((environment.clone(), commit));
        }
    }

    /// Lets time pass.
    pub(crate) fn expire(&mut self, now: DateTime<Utc>) {
        let effects = self.brain.expire(now);
        self.act(effects, now);
    }

    /// Records what is settled.
    ///
    /// The brain is told at once and the journal after: a settlement follows from facts that are
    /// stored, so nothing is lost that could not be found again ([`Brain::unrecorded`]), and nobody is
    /// answered from between the two.
    fn act(&mut self, effects: Effects, now: DateTime<Utc>) {
        self.woken.extend(effects.woken);
        let mut transitions = effects.transitions;
        while !transitions.is_empty() {
            let mut settlements = Vec::new();
            for transition in &transitions {
                tracing::info!(
                    environment = %transition.environment,
                    commit = %transition.commit,
                    state = %transition.to.state,
                    outcome = %transition.to.outcome,
                    reason = %transition.reason,
                    "rollout"
                );
                self.tell(&transition.environment, transition.commit);
                self.measure(transition, now);
                settlements.extend(transition.settlement());
            }
            if self.shared {
                // Only what stands in the journal counts: another server may be the first to record it.
                self.settled |= !settlements.is_empty();
                return;
            }
            transitions = self.settle(settlements, now);
        }
    }

    /// Takes in what stands in a shared journal.
    pub(crate) fn read(&mut self, entries: &[Entry], now: DateTime<Utc>) {
        for Entry { position, fact, .. } in entries {
            self.position = *position;
            // A heartbeat that counts as later must not be missing where this one is read: it may say
            // more now.
            if let Some(heartbeat) = object(fact).and_then(|object| self.heartbeats.remove(object))
                && heartbeat.id() != fact.id()
            {
                self.owed.push(heartbeat);
            }
            self.apply(fact, now);
        }
        self.record(now);
    }

    /// Owes a shared journal what has settled.
    pub(crate) fn record(&mut self, now: DateTime<Utc>) {
        if std::mem::take(&mut self.settled) {
            let settlements = self.brain.unrecorded();
            self.owe(settlements, now);
        }
    }

    /// Takes what is owed, to be stored; [`Live::recorded`] must follow.
    pub(crate) fn take_owed(&mut self) -> Vec<Fact> {
        let owed = std::mem::take(&mut self.owed);
        self.recording += usize::from(!owed.is_empty());
        owed
    }

    /// Notes that what was taken has been stored and read, or could not be stored and is owed again.
    pub(crate) fn recorded(&mut self, owed: &[Fact]) {
        self.recording -= usize::from(!owed.is_empty());
    }

    /// Answers those whose status changed, unless what follows from the change is still to be recorded:
    /// whoever waits for an outcome is told both at once.
    pub(crate) fn wake_when_recorded(&mut self, now: DateTime<Utc>) {
        if self.owed.is_empty() && self.recording == 0 {
            self.wake(now);
        }
    }

    /// Owes the journal settlements that the brain is to be told of when they stand there.
    pub(crate) fn owe(&mut self, settlements: Vec<FactBody>, now: DateTime<Utc>) {
        self.owed.extend(settlements.into_iter().map(|body| Fact::new(now, body)));
    }

    /// Tells the brain of settlements, and owes them to the journal.
    pub(crate) fn settle(
        &mut self,
        settlements: Vec<FactBody>,
        now: DateTime<Utc>,
    ) -> Vec<Transition> {
        let mut transitions = Vec::new();
        for body in settlements {
            let fact = Fact::new(now, body);
            let effects = self.brain.apply(&fact, now);
            self.owed.push(fact);
            self.woken.extend(effects.woken);
            transitions.extend(effects.transitions);
        }
        transitions
    }

    /// Keeps heartbeats until they are stored: the newest of each reconciler.
    pub(crate) fn keep_heartbeats(&mut self, facts: impl IntoIterator<Item = Fact>) {
        for fact in facts {
            let FactBody::Observed(observation) = &fact.body else { continue };
            let newest = self.heartbeats.get(&observation.object);
            if newest.is_none_or(|newest| newest.at <= fact.at) {
                self.heartbeats.insert(observation.object.clone(), fact);
            }
        }
    }

    /// Notes that facts are on their way through the journal.
    pub(crate) fn depart(&mut self, facts: &[Fact]) {
        for object in facts.iter().filter_map(object) {
            *self.under_way.entry(object.clone()).or_default() += 1;
        }
    }

    /// Notes that they have been applied, or will not be.
    pub(crate) fn arrive(&mut self, facts: &[Fact]) {
        for object in facts.iter().filter_map(object) {
            if let Some(left) = self.under_way.get_mut(object) {
                *left -= 1;
                if *left == 0 {
                    self.under_way.remove(object);
                }
            }
        }
    }

    /// Whether nothing of a fact's reconciler is on its way.
    pub(crate) fn is_quiet(&self, fact: &Fact) -> bool {
        object(fact).is_none_or(|object| !self.under_way.contains_key(object))
    }

    /// Answers all whose status changed. What many wait for is looked up and written once.
    pub(crate) fn wake(&mut self, now: DateTime<Utc>) {
        let woken = std::mem::take(&mut self.woken);
        let waiters: Vec<_> = woken.into_iter().filter_map(|id| self.waiters.remove(&id)).collect();
        self.answer(waiters, now);
    }

    /// Answers all who wait with what there is.
    pub(crate) fn wake_all(&mut self, now: DateTime<Utc>) {
        let waiters: Vec<_> = self
            .waiters
            .drain()
            .map(|(id, waiter)| {
                self.brain.unwatch(id);
                waiter
            })
            .collect();
        self.answer(waiters, now);
    }

    fn answer(&self, waiters: Vec<Waiter>, now: DateTime<Utc>) {
        let mut answers: HashMap<Query, Answer> = HashMap::new();
        for Waiter { query, answer, .. } in waiters {
            let answer = match answer {
                Sink::Request(answer) => answer,
                Sink::Stream(stream) => {
                    // The client may have gone, here and below.
                    let _ = stream.send((query.environment, query.commit));
                    continue;
                }
            };
            let known = match answers.get(&query) {
                Some(known) => known.clone(),
                // Without an answer the waiter asks for itself, and is told why.
                None => match self.look(&query, now) {
                    Ok(found) => answers.entry(query).or_insert(found).clone(),
                    Err(_) => continue,
                },
            };
            let _ = answer.send(known);
        }
    }

    pub(crate) fn look(&self, query: &Query, now: DateTime<Utc>) -> Result<Answer, QueryError> {
        Ok(self.present(self.brain.status(query, now)?))
    }

    /// A status as it is sent.
    pub(crate) fn present(&self, mut status: Status) -> Answer {
        self.stamp(&mut status);
        // Our own type, whose map keys are texts: this cannot fail.
        let body = serde_json::to_vec(&status).unwrap_or_default();
        Answer { body: body.into(), version: status.version.to_string() }
    }

    /// Puts the journal's position before the version.
    pub(crate) fn stamp(&self, status: &mut Status) {
        status.version = Version::from(format!("{}.{}", self.position, status.version));
    }
}

/// What an event is about.
fn object(fact: &Fact) -> Option<&ObjectName> {
    match &fact.body {
        FactBody::Observed(observation) => Some(&observation.object),
        _ => None,
    }
}

/// The part of a version that says whether a status is another one.
pub(crate) fn version_of(text: &str) -> Version {
    let digest = text.rsplit_once('.').map_or(text, |(_, digest)| digest);
    Version::from(digest.to_owned())
}

/// The journal position in a version.
pub(crate) fn position_of(text: &str) -> Option<u64> {
    text.rsplit_once('.')?.0.parse().ok()
}

impl Answer {
    pub(crate) fn into_response(self, status: StatusCode) -> Response {
        let mut response = (status, self.body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        // Digits, a point and hexadecimal digits are always a header's value.
        if let Ok(version) = HeaderValue::try_from(format!("\"{}\"", self.version)) {
            headers.insert(header::ETAG, version);
        }
        response
    }
}
