//! Everything that was captured from a real Flux, sent to the running server byte for byte, with the
//! signatures that notification-controller made.
//!
//! The server stamps what it takes in with its own clock, so these histories are long past when they
//! arrive; the policy is such that no time is over because of it. What is left must be what the
//! scenarios expect at their end, whatever the order of arrival was.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed test says where")]

use std::{collections::BTreeMap, path::Path, sync::Mutex, thread};

use gitops_brain_tests::{
    Kind,
    process::Server,
    read_all,
    replay::{Replay, Request},
};
use serde_json::Value;

/// In so many orders is each scenario sent besides its own.
const SHUFFLES: u64 = 3;

#[test]
fn captured_requests_give_the_expected_statuses_in_any_order() {
    let files = read_all(&Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors")).unwrap();
    let scenarios: Vec<&Value> = files
        .iter()
        .filter(|file| file.kind == Kind::Scenarios)
        .filter(|file| file.path.file_name().unwrap().to_string_lossy().starts_with("captured-"))
        .flat_map(|file| &file.cases)
        .collect();
    assert!(scenarios.len() >= 30, "there are {} captured scenarios", scenarios.len());
    let left = Mutex::new(scenarios.iter());
    let problems = Mutex::new(Vec::new());
    let sent = Mutex::new(0);
    // Each has a server of its own, and most of the time servers wait for their disk.
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let Some(case) = left.lock().unwrap().next() else { break };
                    let id = case["id"].as_str().unwrap();
                    let replay = Replay::read(case).unwrap_or_else(|why| panic!("{id}: {why:?}"));
                    let (count, found) = replay_in_all_orders(&replay);
                    *sent.lock().unwrap() += count;
                    let found = found.into_iter().map(|what| format!("{id}: {what}"));
                    problems.lock().unwrap().extend(found);
                }
            });
        }
    });
    let (problems, sent) = (problems.into_inner().unwrap(), sent.into_inner().unwrap());
    println!("{} scenarios in {} orders each, {sent} requests", scenarios.len(), SHUFFLES + 1);
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
}

/// Sends a scenario in its own order and shuffled, each time to a server that knows nothing yet.
fn replay_in_all_orders(replay: &Replay) -> (usize, Vec<String>) {
    let mut problems = Vec::new();
    let mut sent = 0;
    let mut first: Option<BTreeMap<String, Value>> = None;
    for seed in 0..=SHUFFLES {
        let order = if seed == 0 { "in order".to_owned() } else { format!("shuffled by {seed}") };
        let mut server = Server::new(&replay.policy, replay.keys.clone()).unwrap();
        server.start().unwrap();
        let client = server.client().unwrap();
        let mut requests: Vec<&Request> = replay.requests.iter().collect();
        if seed > 0 {
            shuffle(&mut requests, seed);
        }
        for request in requests {
            sent += 1;
            if let Err(error) = request.send(&client) {
                problems.push(format!("{order}: {error}"));
            }
        }
        let answers = replay.ask(&client).unwrap();
        let found = replay.check(&answers).err().unwrap_or_default();
        problems.extend(found.into_iter().map(|what| format!("{order}: {what}")));
        // All of a status that does not tell when the server learned something.
        let answers = answers.into_iter().map(|(name, status)| (name, timeless(status))).collect();
        match &first {
            None => first = Some(answers),
            Some(first) => {
                let differing = first.iter().filter(|(name, status)| answers[*name] != **status);
                problems.extend(differing.map(|(name, status)| {
                    format!("{order}: {name} is {}\nand in order {status}", answers[name])
                }));
            }
        }
        let status = server.terminate().unwrap();
        if !status.success() {
            problems.push(format!("{order}: the server ended with {status}"));
        }
    }
    (sent, problems)
}

/// A status without what depends on the server's clock: its version digests that too.
fn timeless(mut status: Value) -> Value {
    let fields = status.as_object_mut().unwrap();
    for name in ["version", "evaluated_at", "registered_at", "deadline_at", "first_settled"] {
        assert!(fields.remove(name).is_some(), "{name}");
    }
    for reconciler in status["reconcilers"].as_array_mut().unwrap() {
        assert!(reconciler.as_object_mut().unwrap().remove("last_heard_at").is_some());
    }
    status
}

fn shuffle<T>(list: &mut [T], seed: u64) {
    let mut random = gitops_brain_tests::random::Random::new(seed);
    for end in (1..list.len()).rev() {
        list.swap(end, random.below(end + 1));
    }
}
