//! What must hold of any bytes whatsoever. A target panics if it does not.

#![allow(clippy::panic, clippy::expect_used, reason = "a target that finds something panics")]

mod http;

use std::{collections::BTreeSet, io::Write as _};

use chrono::{DateTime, Timelike as _, Utc};
use gitops_brain::{
    Brain, ClusterName, CommitId, EnvironmentName, Event, Fact, FactBody, Ingested, Policy, Query,
    Revision, Verifier, observe, sign,
};
use gitops_brain_server::{Config, Overrides};
use serde_json::Value;

pub use crate::http::http;

/// A target: its name, and what it does with bytes.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 9] = [
    ("event", event),
    ("application", application),
    ("revision", revision),
    ("signature", signature),
    ("fact_line", fact_line),
    ("snapshot", snapshot),
    ("facts", facts),
    ("http", http),
    ("config", config),
];

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_435_200, 0).unwrap_or_default()
}

fn cluster() -> ClusterName {
    "staging".parse().expect("a name")
}

/// What reads as an event is JSON, with the same texts in it.
pub fn event(data: &[u8]) {
    let Ok(event) = Event::parse(data) else { return };
    let value: Value = serde_json::from_slice(data).expect("an event is JSON");
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str);
    assert_eq!(Some(&*event.involved_object.kind), text("/involvedObject/kind"));
    assert_eq!(Some(&*event.involved_object.name), text("/involvedObject/name"));
    assert_eq!(&*event.reason, text("/reason").expect("a reason"));
    assert_eq!(&*event.message, text("/message").expect("a message"));
    for (key, kept) in event.metadata.iter() {
        let value = value.get("metadata").and_then(|metadata| metadata.get(key)?.as_str());
        assert_eq!(Some(kept), value, "{key}");
    }
    // What is written of it reads as the same.
    let written = serde_json::to_vec(&event).expect("JSON");
    assert_eq!(Event::parse(&written).as_ref(), Ok(&event));
    let _ = observe(&cluster(), data, now());
}

/// An application says of nobody but itself, and its fact survives the journal.
pub fn application(data: &[u8]) {
    if let Ok(Ingested::Fact(fact)) = observe(&cluster(), data, now()) {
        assert_eq!(Fact::from_line(&fact.to_line()).as_ref(), Ok(&*fact));
    }
}

/// A revision reads as what it was written of.
pub fn revision(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(revision) = Revision::parse(text) else { return };
    let shown = revision.to_string();
    let again = Revision::parse(&shown).expect("what is displayed is a revision");
    assert_eq!(revision, again, "{shown}");
    if let Some(commit) = revision.commit() {
        assert_eq!(commit.to_string().parse::<CommitId>().as_ref(), Ok(&commit));
    }
}

/// Nothing passes for a signature but one.
pub fn signature(data: &[u8]) {
    let (header, body) = match data.iter().position(|byte| *byte == b'\n') {
        Some(end) => data.split_at(end),
        None => (data, &[][..]),
    };
    let verifier = Verifier::new(["the key"]).expect("a key");
    if verifier.verify(Some(header), body).is_ok() {
        // Other digests are accepted too, and are longer or shorter.
        let header = String::from_utf8_lossy(header).to_ascii_lowercase();
        let right = sign(b"the key", body).expect("a key");
        assert!(header.len() != right.len() || header.trim() == right, "{header}");
    }
}

/// A line that is a fact is written as a fact that is the same.
pub fn fact_line(data: &[u8]) {
    let Ok(line) = std::str::from_utf8(data) else { return };
    let Ok(fact) = Fact::from_line(line) else { return };
    let written = fact.to_line();
    assert!(!written.contains('\n'), "{written}");
    let again = Fact::from_line(&written).expect("what is written is a fact");
    assert_eq!(fact, again);
    assert_eq!(fact.id(), again.id());
}

/// The facts in some lines, but for those that nothing makes: at a leap second, which no clock of a receiver
/// says, or of an event that names objects of another cluster.
fn read(data: &[u8]) -> Vec<Fact> {
    let text = String::from_utf8_lossy(data);
    let facts = text.lines().take(200).filter_map(|line| Fact::from_line(line).ok());
    let is_made = |fact: &Fact| match &fact.body {
        FactBody::Observed(said) => {
            let cluster = said.object.cluster();
            said.changed_objects.iter().all(|line| line.object.cluster() == cluster)
        }
        _ => true,
    };
    facts.filter(|fact| fact.at.nanosecond() < 1_000_000_000 && is_made(fact)).collect()
}

fn statuses(brain: &Brain, facts: &[Fact]) -> Vec<String> {
    let mut commits: Vec<CommitId> = facts
        .iter()
        .filter_map(|fact| match &fact.body {
            FactBody::Observed(said) => said.commit(),
            FactBody::Registered(told) => Some(told.commit),
            _ => None,
        })
        .collect();
    commits.sort_unstable();
    commits.dedup();
    let environment: EnvironmentName = "staging".parse().expect("a name");
    let ask = |commit| brain.status(&Query::new(environment.clone(), commit), now());
    commits.into_iter().map(|commit| format!("{:?}", ask(commit))).collect()
}

/// The smallest list of facts that makes a brain makes the same brain.
pub fn snapshot(data: &[u8]) {
    let facts = read(data);
    let mut brain = Brain::new(Policy::default());
    brain.load(facts.iter().cloned());
    let small: Vec<_> = brain.facts().collect();
    let mut again = Brain::new(Policy::default());
    again.load(small.iter().cloned());
    assert_eq!(statuses(&brain, &facts), statuses(&again, &facts));
    // It is a set: in which order is all one.
    let lines = |brain: &Brain| brain.facts().map(|fact| fact.to_line()).collect::<BTreeSet<_>>();
    assert_eq!(lines(&brain), lines(&again));
}

/// Facts in any order, and more than once, make the same answers.
pub fn facts(data: &[u8]) {
    let facts = read(data);
    let mut forward = Brain::new(Policy::default());
    let mut backward = Brain::new(Policy::default());
    for fact in &facts {
        forward.apply(fact, now());
    }
    for fact in facts.iter().rev().chain(&facts) {
        backward.apply(fact, now());
    }
    assert_eq!(statuses(&forward, &facts), statuses(&backward, &facts));
    let _ = forward.findings(now());
}

/// A configuration is read, or its faults are told.
pub fn config(data: &[u8]) {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(data).expect("a file");
    let variable =
        |name: &str| name.starts_with("KEY").then(|| "a key that is long enough".to_owned());
    match Config::load_with(Some(file.path()), &Overrides::default(), &variable) {
        Ok(config) => {
            let explained = config.explain();
            assert!(!explained.contains("a key that is long enough"), "{explained}");
        }
        Err(error) => assert!(!error.faults().is_empty(), "{error}"),
    }
}
