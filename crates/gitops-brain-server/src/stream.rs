//! `GET /v1/stream`: statuses as they change, as server-sent events.

use std::{
    collections::{HashMap, HashSet},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::{RawQuery, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use gitops_brain::{
    CommitId, EnvironmentName, Query, RolloutFilter, Status, Version, Watch, WatchId,
};
use hyper::body::Frame;
use tokio::{
    sync::{broadcast, mpsc},
    time,
};

use crate::{
    auth::Caller,
    config::Scope,
    driver,
    limits::{MAX_PAGE, MAX_STREAMS},
    live::{Live, Sink, Waiter},
    openapi,
    problem::Problem,
    request::Parameters,
    rollouts::asked_environment,
    service::{Inner, Service},
    session,
};

/// How often a line is sent though nothing happened: proxies cut what is silent for a minute.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(15);

/// How long changes are gathered before they are sent: an event often changes several rollouts.
const GATHER: Duration = Duration::from_millis(20);

/// How many events wait for a slow client. Those that come meanwhile are sent as one.
const QUEUE: usize = 16;

/// A rollout.
pub(crate) type Key = (EnvironmentName, CommitId);

/// Statuses as they change.
///
/// First come the present statuses of all that is asked for, the newest 200 rollouts at most, then each
/// status that changes. Whoever comes back with `Last-Event-ID` is told the same: what changed meanwhile is
/// among it.
#[utoipa::path(
    get,
    path = "/v1/stream",
    params(
        ("environment" = Option<String>, Query, description = "Of this environment"),
        ("commit" = Option<String>, Query, description = "Of this commit"),
    ),
    responses(
        (status = 200, content_type = "text/event-stream", body = String, description = "Server-sent events, each a status"),
        openapi::Waiting,
    )
)]
pub(crate) async fn get(
    State(Service(inner)): State<Service>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    // A page's script sends the cookie, and nothing else.
    let caller = inner.gate().caller(&session::with_token(&headers))?;
    caller.may(Scope::Read)?;
    let parameters = Parameters::parse(query.as_deref(), &["environment", "commit"])?;
    let environment = asked_environment(&inner, &caller, &parameters)?;
    let commit = parameters.one("commit")?;
    let commit = commit.map(|text| inner.live().brain.resolve(text)).transpose()?;
    let changes = {
        let live = inner.live();
        let changes = live
            .changes
            .as_ref()
            .ok_or_else(|| Problem::unavailable("server.stopping", "the server is stopping"))?;
        if changes.receiver_count() >= MAX_STREAMS {
            return Err(Problem::new(
                StatusCode::TOO_MANY_REQUESTS,
                "stream.too_many",
                format!("{MAX_STREAMS} streams are open already: poll, or come back later"),
            ));
        }
        changes.subscribe()
    };
    let (out, lines) = mpsc::channel(QUEUE);
    let (wake, woken) = mpsc::unbounded_channel();
    let telling = Telling {
        inner,
        caller,
        environment,
        commit,
        told: HashMap::new(),
        watches: HashMap::new(),
        wake,
    };
    tokio::spawn(telling.run(changes, woken, out));
    let mut response = Body::new(Lines(lines)).into_response();
    let kind = HeaderValue::from_static("text/event-stream");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(response)
}

/// What one client is told.
struct Telling {
    inner: Arc<Inner>,
    caller: Caller,
    environment: Option<EnvironmentName>,
    commit: Option<CommitId>,
    /// The statuses that were sent, by what they are compared by.
    told: HashMap<Key, Version>,
    /// The watches that wait, so that they can be given up.
    watches: HashMap<Key, WatchId>,
    wake: mpsc::UnboundedSender<Key>,
}

impl Telling {
    async fn run(
        mut self,
        mut changes: broadcast::Receiver<Key>,
        mut woken: mpsc::UnboundedReceiver<Key>,
        out: mpsc::Sender<Bytes>,
    ) {
        let mut changed: HashSet<Key> = self.all().into_iter().collect();
        let mut newest_first: Vec<Key> = self.all();
        loop {
            // The order in which they are shown; what is not known yet comes last.
            newest_first.retain(|key| changed.contains(key));
            let rest: Vec<_> = changed.drain().filter(|key| !newest_first.contains(key)).collect();
            for key in newest_first.drain(..).chain(rest) {
                let Some(line) = self.look(key) else { continue };
                if out.send(line).await.is_err() {
                    return;
                }
            }
            tokio::select! {
                change = changes.recv() => match change {
                    Ok(key) => changed.extend([key]),
                    Err(broadcast::error::RecvError::Lagged(_)) => changed.extend(self.all()),
                    // The server is stopping.
                    Err(broadcast::error::RecvError::Closed) => return,
                },
                key = woken.recv() => changed.extend(key),
                () = time::sleep(HEARTBEAT_EVERY) => {
                    if out.send(Bytes::from_static(b": heartbeat\n\n")).await.is_err() {
                        return;
                    }
                }
                () = out.closed() => return,
            }
            time::sleep(GATHER).await;
            while let Ok(key) = woken.try_recv() {
                changed.insert(key);
            }
            while let Ok(key) = changes.try_recv() {
                changed.insert(key);
            }
            changed.retain(|key| self.wants(key));
        }
    }

    /// What there is to tell at the beginning.
    fn all(&self) -> Vec<Key> {
        let live = self.inner.live();
        let now = driver::now();
        let mut statuses = match (&self.environment, self.commit) {
            (Some(environment), Some(commit)) => return vec![(environment.clone(), commit)],
            (None, Some(commit)) => live.brain.statuses(commit, now),
            (environment, None) => {
                let mut filter = RolloutFilter::default();
                filter.environment = environment.clone();
                filter.limit = Some(MAX_PAGE);
                live.brain.rollouts(&filter, now)
            }
        };
        statuses.retain(|status| self.caller.sees(&status.environment));
        statuses.into_iter().map(|status| (status.environment, status.commit)).collect()
    }

    fn wants(&self, (environment, commit): &Key) -> bool {
        self.environment.as_ref().is_none_or(|wanted| wanted == environment)
            && self.commit.is_none_or(|wanted| wanted == *commit)
            && self.caller.sees(environment)
    }

    /// The event of a rollout, if its status is another one than was told, and a watch for the next.
    fn look(&mut self, key: Key) -> Option<Bytes> {
        let query = Query::new(key.0.clone(), key.1);
        let mut live = self.inner.live();
        let status = live.brain.status(&query, driver::now()).ok()?;
        let known = self.told.insert(key.clone(), status.version.clone());
        let version = status.version.clone();
        let line = (known.as_ref() != Some(&version)).then(|| event(&live, status));
        if let Some(watch) = self.watches.remove(&key) {
            live.waiters.remove(&watch);
            live.brain.unwatch(watch);
        }
        // What is settled is told of by its transitions.
        if let Ok(Watch::Waiting(id)) =
            live.brain.watch(query.clone(), Some(&version), driver::now())
        {
            let answer = Sink::Stream(self.wake.clone());
            live.waiters.insert(id, Waiter { query, token: None, answer });
            self.watches.insert(key, id);
        }
        drop(live);
        self.inner.clock.notify_one();
        line
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        let mut live = self.inner.live();
        for watch in self.watches.values() {
            if live.waiters.remove(watch).is_some() {
                live.brain.unwatch(*watch);
            }
        }
    }
}

/// A status as an event. Its id is the journal position up to which it is true.
fn event(live: &Live, mut status: Status) -> Bytes {
    live.stamp(&mut status);
    // Our own type, whose map keys are texts: this cannot fail. JSON of one line has no line break.
    let json = serde_json::to_string(&status).unwrap_or_default();
    format!("id: {}\nevent: status\ndata: {json}\n\n", live.position).into()
}

/// The body of an answer that goes on.
struct Lines(mpsc::Receiver<Bytes>);

impl HttpBody for Lines {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(context).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}
