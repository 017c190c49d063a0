//! The reference server of gitops-brain as a library.
//!
//! [`serve`] runs it as configured; [`router`] gives its routes to a server of one's own, over a
//! [`Service`] that was started on any [`Journal`](gitops_brain_journal::Journal).
//!
//! ```no_run
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use gitops_brain_server::{Config, Overrides, bind};
//!
//! let config = Config::load(Some("gitops-brain.toml".as_ref()), &Overrides::default())?;
//! let server = bind(&config).await?;
//! println!("listening on http://{}", server.address());
//! server.run(std::future::pending()).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Order of effects
//!
//! An event is verified, parsed, stored durably, applied, answered, and then those who wait are woken.
//! A crash at any point loses nothing that was answered. Facts are applied in the order in which they
//! stand in the journal.
//!
//! # Several servers
//!
//! On one PostgreSQL database any number of servers run beside each other, all equal: each takes any
//! request, and applies what all of them stored, in the order of the journal. Those who wait at one are
//! woken by an event that came to another. Without the database a server goes on answering from what it
//! knows, and says how old that is (`Age`, in seconds).
//!
//! # Routes
//!
//! | route | answers | scope |
//! |---|---|---|
//! | `POST /v1/events/{cluster}` | 202 `{"result":"accepted"}` once it is stored, 200 `known` or `ignored` | the cluster's key |
//! | `PUT /v1/rollouts/{environment}/{commit}` | 201, or 200 if it was registered before; the status | `write` |
//! | `GET /v1/rollouts/{environment}/{commit}?wait=&since=&for=&reconciler=&failure_grace=` | the status | `read` |
//! | `GET /v1/rollouts?environment=&outcome=&label=NAME=VALUE&limit=&before=` | `{"rollouts":[…],"next":…}` | `read` |
//! | `GET /v1/commits/{commit}` | `{"commit":…,"statuses":[…]}` | `read` |
//! | `GET /v1/reconcilers?environment=&cluster=` | `{"reconcilers":[…]}` | `read` |
//! | `DELETE /v1/reconcilers/{cluster}/{kind}/{namespace}/{name}` | `{"result":"removed","reconciler":…,"known":…}` | `admin` |
//! | `GET /v1/stream?environment=&commit=` | server-sent events, each a whole status | `read` |
//! | `POST /v1/ancestry` | 202 `{"result":"accepted","commits":…}`, 200 `known` | `write`; for claims `ancestry` |
//! | `GET /metrics` | OpenMetrics text | `read`, or none if `[metrics] public = true` |
//! | `POST /v1/push/{github\|gitlab\|gitea}` | 202 `{"result":"accepted","commits":…}` once it is stored, 200 `known` or `ignored` | the host's secret |
//! | `GET /badge/{environment}.svg` | what is live, as a picture | `read`, or none if badges are public |
//! | `GET /`, `GET /rollouts/{environment}/{commit}`, `GET /reconcilers/{cluster}/{kind}/{namespace}/{name}` | pages for people | `read`, or a session |
//! | `GET /login`, `POST /login`, `POST /logout` | a session: the token in a cookie that only reads | a token |
//! | `GET /openapi.json` | all of this as OpenAPI 3.1 | none |
//! | `GET /healthz`, `GET /readyz` | `{"status":…}` | none |
//!
//! # Pushes
//!
//! The push webhook of a git host tells which commits a branch's head contains, so that a commit which
//! Flux skipped is answered by a later one. What a push does not tell is not made up: a forced push says
//! nothing of what it drops, and whether a push was forced only GitHub says. A push with which nothing
//! is to be done is `ignored`, with a code: `push.ping`, `push.other_event`, `push.not_a_branch`,
//! `push.deleted`, `push.empty`, `push.no_ancestors` (it is one commit, and nothing more is told), or
//! `push.inconsistent` (the commits are not those that were pushed, as in a test).
//!
//! Whoever has a host's secret can claim as much as a token with the scope `ancestry`. A host that is
//! not declared is answered as one whose secret is wrong; but where no tokens are declared it needs no
//! secret, as there anyone may claim what descends from what.
//!
//! # Badges
//!
//! A badge names the state of the commit that all reconcilers of an environment have taken up last, as
//! `healthy 5394cb7`, and is green only if all that is expected is healthy at that commit. It says
//! `mixed` if they are at different commits, `failed mixed` if one of them failed there, and `unknown` if
//! none has reported any.
//!
//! # Errors
//!
//! They are `application/problem+json` with a stable `code`:
//!
//! | code | status | retry |
//! |---|---|---|
//! | `event.malformed`, `event.not_utf8`, `event.missing_field`, `event.invalid_field`, `event.too_deep`, `event.too_many_metadata`, `event.from_the_future`, `event.too_old`, `application.malformed`, `application.several_sources`, `application.no_source` | 400 | no |
//! | `request.too_large` | 413 | no |
//! | `request.malformed`, `request.limit`, `query.unknown`, `query.malformed`, `duration.malformed`, `label.malformed`, `push.event_missing` | 400 | no |
//! | `request.aborted` | 400 | yes |
//! | `request.timeout` | 408 | yes |
//! | `request.content_type` | 415 | no |
//! | `cluster.malformed`, `environment.malformed`, `reconciler.malformed`, `commit.malformed`, `commit.abbreviated`, `commit_object.malformed`, `commit_object.too_large`, `commit_object.collision` | 400 | no |
//! | `signature.missing`, `signature.malformed`, `signature.unsupported_algorithm`, `signature.mismatch`, `token.missing`, `token.unknown` | 401 | no |
//! | `token.scope`, `token.environment` | 403 | no |
//! | `environment.unknown`, `commit.unknown`, `route.unknown` | 404 | no |
//! | `route.method` | 405 | no |
//! | `commit.ambiguous` | 409 | no |
//! | `wait.too_many`, `stream.too_many`, `auth.too_many_failures` | 429 | yes, after `Retry-After` |
//! | `store.unavailable`, `store.corrupt`, `store.newer`, `store.behind`, `server.stopping` | 503 | yes, after `Retry-After` |
//!
//! A cluster that is not declared is answered as one whose signature is wrong.

#![forbid(unsafe_code)]

mod ancestry;
mod auth;
mod badge;
mod compaction;
mod config;
mod config_file;
mod connections;
mod doctor;
mod driver;
mod events;
mod failures;
mod health;
mod limits;
mod live;
mod measures;
mod metrics;
mod notifications;
mod openapi;
mod pages;
mod peer;
mod problem;
mod push;
mod receiver;
mod reconcilers;
mod request;
mod rollouts;
mod router;
mod secret;
mod senders;
mod server;
mod service;
mod session;
mod statistics;
mod stream;
mod tls;
mod wait;
mod webhook;

// The public interface is:
pub use crate::{
    config::{
        Cluster, Config, ConfigError, Database, Fault, GitHost, Overrides, Scope, Token, Warning,
    },
    limits::{
        MAX_ASKED, MAX_BODY_BYTES, MAX_COMMITS, MAX_EXPECTED, MAX_LABEL_NAME_BYTES,
        MAX_LABEL_VALUE_BYTES, MAX_LABELS, MAX_PAGE, MAX_PARENTS, MAX_STREAMS, MAX_WAIT,
        MAX_WAITERS, MAX_WAITERS_PER_TOKEN,
    },
    receiver::{Channel, GitHub, Receiver},
    router::router,
    secret::{Secret, TokenDigest},
    server::{ServeError, Server, bind, bind_with, open, serve},
    service::Service,
    tls::{Tls, TlsError},
};
