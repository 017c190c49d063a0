//! What Kustomizations of one cluster say, and brains that heard it.

use chrono::{DateTime, TimeDelta, Utc};
use gitops_brain::{
    Ancestry, Brain, Fact, FactBody, Ingested, Observation, Parents, Policy, Query, Watch, WatchId,
    observe,
};
use serde_json::json;

pub(crate) const APPS: &str = "staging/Kustomization/flux-system/apps";
pub(crate) const A: &str = "5394cb7f48332b2de7c17dd8b8384bbc84b7e738";
pub(crate) const B: &str = "84539404ff5ac8fed0f274da2d32d9442bc46bca";
pub(crate) const C: &str = "c0ffee4ff5ac8fed0f274da2d32d9442bc46bca1";
pub(crate) const D: &str = "d0d0ee4ff5ac8fed0f274da2d32d9442bc46bca1";

pub(crate) fn at(minutes: i64) -> DateTime<Utc> {
    "2026-11-23T13:00:00Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::minutes(minutes)
}

/// A commit's parents, as a git host tells them.
pub(crate) fn parents(commit: &str, parents: &[&str]) -> Parents {
    let parents = parents.iter().map(|id| id.parse().unwrap()).collect();
    Parents { commit: commit.parse().unwrap(), parents }
}

/// Somebody tells of commits and their parents, before anything else.
pub(crate) fn history(known: &[(&str, &[&str])]) -> Fact {
    let known = known.iter().map(|(commit, its)| parents(commit, its)).collect();
    Fact::new(at(0), FactBody::Ancestry(Ancestry::claimed(known)))
}

pub(crate) fn policy(reconcilers: &[&str]) -> Policy {
    let staging = json!({ "reconcilers": reconcilers });
    serde_json::from_value(json!({ "environments": { "staging": staging } })).unwrap()
}

/// What a Kustomization of the cluster `staging` says at a minute, as Flux writes it.
pub(crate) fn say(name: &str, minute: i64, commit: &str, reason: &str, message: &str) -> Fact {
    say_as("Kustomization", name, name, minute, commit, reason, message)
}

/// The same of another kind of object, or of another life of one; without a commit, of no revision.
/// Instead of a commit it can be the version of a chart, or a revision that names no commit.
pub(crate) fn say_as(
    kind: &str,
    name: &str,
    uid: &str,
    minute: i64,
    commit: &str,
    reason: &str,
    message: &str,
) -> Fact {
    let mut metadata = serde_json::Map::new();
    let revision = match commit {
        "" => None,
        revision if revision.contains(['+', '@']) => Some(revision.to_owned()),
        commit => Some(format!("main@sha1:{commit}")),
    };
    metadata.extend(revision.map(|revision| ("revision".to_owned(), revision.into())));
    if reason == "ReconciliationSucceeded" {
        metadata.insert("commit_status".to_owned(), "update".into());
    }
    let event = json!({
        "involvedObject": {
            "kind": kind, "namespace": "flux-system", "name": name, "uid": uid,
            "resourceVersion": (minute * 10).to_string(),
        },
        "severity": if reason.ends_with("Failed") { "error" } else { "info" }, "reason": reason,
        "message": message, "metadata": metadata, "timestamp": at(minute),
        "reportingController": "kustomize-controller",
    });
    took_in(&event, at(minute))
}

/// What is taken in of a body that the cluster `staging` sends.
pub(crate) fn took_in(body: &serde_json::Value, now: DateTime<Utc>) -> Fact {
    let cluster = "staging".parse().unwrap();
    match observe(&cluster, body.to_string().as_bytes(), now).unwrap() {
        Ingested::Fact(fact) => *fact,
        other => panic!("{other:?}"),
    }
}

/// What was said, with something of it changed.
pub(crate) fn changed(mut fact: Fact, change: impl FnOnce(&mut Observation)) -> Fact {
    let FactBody::Observed(observed) = &mut fact.body else { panic!("{fact:?}") };
    change(observed);
    fact
}

/// The same of an object of which it is not told how often it was changed.
pub(crate) fn unversioned(fact: Fact) -> Fact {
    changed(fact, |observed| observed.resource_version = 0)
}

pub(crate) const FINISHED: &str = "Reconciliation finished in 202.966872ms, next run in 10m0s";
pub(crate) const CHECKED: &str = "Health check passed in 25.124446ms";

pub(crate) fn brain(policy: Policy, facts: &[Fact]) -> Brain {
    let mut brain = Brain::new(policy);
    brain.load(facts.iter().cloned());
    brain
}

/// A commit in the environment `staging`.
pub(crate) fn query(commit: &str) -> Query {
    Query::new("staging".parse().unwrap(), commit.parse().unwrap())
}

/// Waits for what is not there yet.
#[track_caller]
pub(crate) fn waits(brain: &mut Brain, query: Query, now: DateTime<Utc>) -> WatchId {
    match brain.watch(query, None, now).unwrap() {
        Watch::Waiting(id) => id,
        other => panic!("it is settled: {other:?}"),
    }
}
