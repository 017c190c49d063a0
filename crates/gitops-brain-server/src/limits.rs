//! How much anyone may ask for, and why no more.

use std::time::Duration;

/// The largest request body. notification-controller takes no event above it, and a registration
/// with the objects of 2,000 commits stays below it.
pub const MAX_BODY_BYTES: usize = gitops_brain::MAX_BODY_BYTES;

/// How much of a body that is too large is read on and thrown away, so that its sender is still there
/// to read why. Whoever sends more than that sees the connection break.
pub(crate) const MAX_DISCARDED_BYTES: usize = 16 * 1024 * 1024;

/// The longest that a body may take to arrive: Flux gives up after 15 s.
pub(crate) const BODY_PATIENCE: Duration = Duration::from_secs(10);

/// The longest that a request waits to be stored. Flux gives up after 15 s, and should hear before
/// that it must send the event again.
pub(crate) const STORE_PATIENCE: Duration = Duration::from_secs(10);

/// The longest that a server which is behind another one lets a request wait for what that one knew.
pub(crate) const CATCH_UP_PATIENCE: Duration = Duration::from_secs(2);

/// The longest that a status is waited for. Whoever wants to wait longer asks again; a client that
/// went away without a word is forgotten after this time.
pub const MAX_WAIT: Duration = Duration::from_mins(5);

/// The most requests that wait for a status at a time. Each takes about 34 KiB, with its connection.
pub const MAX_WAITERS: usize = 10_000;

/// The most of them with one token, so that one team's loop cannot take the places of all.
pub const MAX_WAITERS_PER_TOKEN: usize = 2_500;

/// The most streams at a time.
pub const MAX_STREAMS: usize = 1_000;

/// The most connections at a time: those that wait, and as many again that do not.
pub(crate) const MAX_CONNECTIONS: usize = 20_000;

/// The longest that the head of a request may take to arrive, or a connection be idle: long enough
/// for a client that asks every few seconds to keep its connection.
pub(crate) const HEAD_PATIENCE: Duration = Duration::from_secs(30);

/// The largest head of a request: a token, and a query with the names of [`MAX_ASKED`] reconcilers.
pub(crate) const MAX_HEAD_BYTES: usize = 64 * 1024;

/// The most facts that wait to be stored. At a millisecond for each group they are gone long before
/// [`STORE_PATIENCE`] is over.
pub(crate) const MAX_QUEUE: usize = 4_096;

/// The most reconcilers that a registration may name: larger fleets use patterns.
pub const MAX_EXPECTED: usize = 1_000;

/// The most reconcilers that a question may name.
pub const MAX_ASKED: usize = 100;

/// The most labels of a registration: they are shown with each status.
pub const MAX_LABELS: usize = 32;

/// The longest name of a label, in bytes: as in Kubernetes.
pub const MAX_LABEL_NAME_BYTES: usize = 63;

/// The longest value of a label, in bytes: enough for a URL.
pub const MAX_LABEL_VALUE_BYTES: usize = 1_024;

/// The most commits, as objects or claims, in one request. The command line sends 200; a mirror that
/// has more to tell sends several requests.
pub const MAX_COMMITS: usize = 2_000;

/// The most parents in a claim, as of a commit object.
pub const MAX_PARENTS: usize = gitops_brain::MAX_COMMIT_PARENTS;

/// The most rollouts on one page.
pub const MAX_PAGE: usize = 200;

/// The rollouts on one page, unless asked otherwise.
pub(crate) const PAGE: usize = 50;

/// The most parameters of a query: each of [`MAX_ASKED`] reconcilers is one.
pub(crate) const MAX_PARAMETERS: usize = MAX_ASKED + MAX_LABELS + 20;

/// What a client is told to wait before it tries again: Flux's own retries start with 2 s.
pub(crate) const RETRY_AFTER_SECONDS: u64 = 2;

/// How long a stopping server waits for requests that are under way.
pub(crate) const DRAIN_PATIENCE: Duration = Duration::from_secs(10);
