//! The Rust side of the benchmark of the bindings (`benches/bindings/run.py`): makes the events that
//! all sides take in, and measures what the same two calls cost without a binding.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark on its own data")]

use std::{env, fs, time::Instant};

use chrono::{DateTime, Utc};
use gitops_brain::{Brain, ClusterName, Ingested, Policy, Verifier, ingest, sign};
use gitops_brain_benches::{Body, KEY};
use serde::{Deserialize, Serialize};

const RECONCILERS: u64 = 20;
const COMMITS: u64 = 100;
const ROUNDS: usize = 15;

#[derive(Deserialize, Serialize)]
struct Request {
    signature: String,
    body: String,
}

fn main() {
    let arguments: Vec<_> = env::args().skip(1).collect();
    match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["events", lines, file] => {
            let requests = requests(lines.parse().unwrap());
            fs::write(file, serde_json::to_vec(&requests).unwrap()).unwrap();
        }
        ["measure", file] => {
            let requests: Vec<Request> = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
            let rounds: Vec<_> = (0..ROUNDS).map(|_| measure(&requests)).collect();
            println!("{}", serde_json::to_string(&rounds).unwrap());
        }
        _ => println!("usage: bindings_floor events LINES FILE | measure FILE"),
    }
}

/// One event for each reconciler and commit, whose message lists so many changed objects.
fn requests(lines: usize) -> Vec<Request> {
    let lines: Vec<_> =
        (0..lines).map(|n| format!("Deployment/shop/service-{n:02} configured")).collect();
    let message = lines.join("\\n");
    let event = |number: u64| {
        let body = Body {
            reconciler: number % RECONCILERS,
            commit: number / RECONCILERS,
            seconds: i64::try_from(number).unwrap(),
            version: 1000 + number,
            reason: "Progressing",
            message: &message,
        };
        let body = body.to_json();
        Request { signature: sign(KEY, body.as_bytes()).unwrap(), body }
    };
    (0..RECONCILERS * COMMITS).map(event).collect()
}

/// Nanoseconds per event: verified, read and taken in, as a host does it, by its own clock.
fn measure(requests: &[Request]) -> f64 {
    let cluster = ClusterName::new("staging").unwrap();
    let verifier = Verifier::new([KEY]).unwrap();
    let mut brain = Brain::new(Policy::default());
    let start = Instant::now();
    for request in requests {
        let header = Some(request.signature.as_bytes());
        let taken = ingest(&verifier, &cluster, header, request.body.as_bytes(), now()).unwrap();
        let Ingested::Fact(fact) = taken else { std::process::abort() };
        brain.apply(&fact, now());
    }
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let each = start.elapsed().as_nanos() as f64 / requests.len() as f64;
    assert_eq!(brain.reconcilers(&Default::default()).len(), 20);
    each
}

fn now() -> DateTime<Utc> {
    Utc::now()
}
