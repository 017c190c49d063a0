//! *Is my commit live and healthy in that environment — yes, no, or not yet, and why?*
//!
//! CI pushes a commit to a gitops repository and ends; Flux, one instance per cluster, applies it
//! minutes later, and nobody tells CI. The brain takes in the events that Flux's
//! notification-controller posts, relates their revisions to the commits that CI asks about, and
//! drives a state machine per commit, environment and reconciler: pending → applied → healthy |
//! failed.
//!
//! # How it works
//!
//! The brain keeps a set of [`Fact`]s; a [`Status`] is a pure function of the facts, the [`Policy`]
//! and the time. Taking in a fact is idempotent and commutative, so duplicates, retries, reordering,
//! replay after a crash and several replicas of one journal are right by construction.
//!
//! This crate contains no networking, storage or threads, and does not get any time from the
//! operating system: all of that is the host's. [`Brain`] describes the host's part.
//!
//! ```
//! use chrono::{DateTime, Utc};
//! use gitops_brain::*;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let now: DateTime<Utc> = "2026-11-23T12:00:00Z".parse()?;
//! let apps: Selector = "staging/Kustomization/flux-system/apps".parse()?;
//! let policy = Policy::default()
//!     .environment("staging".parse()?, Environment::default().expect(apps));
//! let mut brain = Brain::new(policy);
//!
//! // An event arrives.
//! let cluster = ClusterName::new("staging")?;
//! let verifier = Verifier::new(["the key that the cluster signs with"])?;
//! # let body = br#"{"involvedObject":{"kind":"Kustomization","namespace":"flux-system","name":"apps",
//! #   "uid":"1"},"severity":"info","timestamp":"2026-11-23T12:00:00Z","reason":"Progressing",
//! #   "message":"Health check passed in 5s","metadata":{
//! #   "revision":"main@sha1:5394cb7f48332b2de7c17dd8b8384bbc84b7e738"}}"#;
//! # let header = sign(b"the key that the cluster signs with", body)?;
//! match ingest(&verifier, &cluster, Some(header.as_bytes()), body, now)? {
//!     Ingested::Fact(fact) => {
//!         // Store `fact.to_line()` here, before anything is answered.
//!         let effects = brain.apply(&fact, now);
//!         for transition in effects.transitions {
//!             println!("{} {}", transition.environment, transition.message);
//!         }
//!     }
//!     Ingested::Ignored(why) => println!("{why}"),
//!     _ => {}
//! }
//!
//! // CI asks.
//! let commit = "5394cb7f48332b2de7c17dd8b8384bbc84b7e738".parse()?;
//! let status = brain.status(&Query::new("staging".parse()?, commit), now)?;
//! assert_eq!(status.outcome, Outcome::Succeeded);
//! # Ok(())
//! # }
//! ```
//!
//! # What this crate does not do
//!
//! It does not talk to Kubernetes, Flux or git, and it stores nothing. It does not guess: what no
//! event proves stays unproved, and how commits descend from each other is never inferred from time.

#![forbid(unsafe_code)]
#![warn(clippy::exhaustive_enums, clippy::exhaustive_structs)]

mod ancestry;
mod application;
mod assessment;
mod brain;
mod chart;
mod commit;
mod duration;
mod event;
mod fact;
mod hashing;
mod ingest;
mod interner;
mod json;
mod names;
mod observation;
mod policy;
mod reconciler;
mod repositories;
mod revision;
mod rollout;
mod rules;
mod signature;
mod snapshot;
mod status;
mod wording;
mod world;

// The public interface is:
pub use crate::{
    ancestry::{Ancestry, Contains, Parents},
    application::ApplicationError,
    brain::{
        Brain, ClusterReport, Day, Effects, Finding, FindingCode, Position, Quantiles, QueryError,
        ReconcilerFilter, RolloutFilter, Statistics, StatisticsFilter, Watch, WatchId,
    },
    chart::CommitPrefix,
    commit::*,
    duration::{DurationError, format_duration, parse_duration},
    event::*,
    fact::{FACT_VERSION, Fact, FactBody, FactError, Registration, Settlement, Terms},
    ingest::{Ignored, IngestError, Ingested, MAX_CLOCK_AHEAD, ObserveError, ingest, observe},
    names::{ClusterName, EnvironmentName, NameError, ObjectName, Selector},
    observation::{
        Change, ChangedObject, MAX_CHANGED_OBJECTS, MAX_MESSAGE_BYTES, Observation, Proof,
        RelatedObject,
    },
    policy::{Environment, HealthChecks, Policy, ReconcilerPolicy, Require},
    reconciler::{Changed, MAX_INCARNATIONS, MAX_REVISIONS},
    revision::*,
    rollout::Query,
    signature::*,
    status::{
        EventSummary, FirstSettled, HealthChecksStatus, MAX_TIMELINE, Outcome, Reason,
        ReconcilerReport, ReconcilerStatus, Standing, State, Status, TimelineEntry, Transition,
        Verdict, Version,
    },
    world::MAX_RECONCILERS,
};
