//! The Rust side of `make bench-peers` (`benches/peers/run.py`): makes the events that all contenders take
//! in, and measures what it costs to take them in, beside the floors.
//!
//! - `bench_ingest events LINES FILE` makes them: the message of each lists so many objects.
//! - `bench_ingest measure FILE CONTENDER` prints JSON: nanoseconds per event of each round.
//! - `bench_ingest repeat FILE CONTENDER TIMES` only works, for whoever counts instructions.
#![expect(
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark on its own data"
)]

use std::{env, fs, hint::black_box, time::Instant};

use chrono::{DateTime, Utc};
use gitops_brain::{
    Brain, ClusterName, Event, Fact, Ingested, Policy, Verifier, ingest, observe, sign,
};
use gitops_brain_benches::{Body, KEY, plain::PlainEvent};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

const RECONCILERS: u64 = 20;
const COMMITS: u64 = 100;
const ROUNDS: usize = 15;
const WARM_UP: usize = 3;

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
        ["measure", file, contender] => {
            let (requests, run) = (read(file), contender_of(contender));
            let measured: Vec<_> = (0..WARM_UP + ROUNDS)
                .map(|_| {
                    let start = Instant::now();
                    run(&requests);
                    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
                    let each = start.elapsed().as_nanos() as f64 / requests.len() as f64;
                    each
                })
                .skip(WARM_UP)
                .collect();
            println!("{}", serde_json::to_string(&measured).unwrap());
        }
        ["repeat", file, contender, times] => {
            let (requests, run) = (read(file), contender_of(contender));
            for _ in 0..times.parse().unwrap() {
                run(&requests);
            }
        }
        _ => println!(
            "usage: bench_ingest events LINES FILE | measure FILE CONTENDER | repeat FILE CONTENDER TIMES"
        ),
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

fn read(file: &str) -> Vec<Request> {
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}

fn contender_of(name: &str) -> fn(&[Request]) {
    match name {
        "gitops-brain" => take_in,
        "ingest" => ingest_only,
        "floor: HMAC" => authenticate,
        "floor: JSON" => parse_plain,
        "verify" => verify,
        "parse" => parse,
        "observe" => read_only,
        other => panic!("there is no contender {other}"),
    }
}

/// All that a host does with an event, by its own clock: verify, read, take in.
fn take_in(requests: &[Request]) {
    let cluster = cluster();
    let verifier = Verifier::new([KEY]).unwrap();
    let mut brain = Brain::new(Policy::default());
    for request in requests {
        let header = Some(request.signature.as_bytes());
        let taken = ingest(&verifier, &cluster, header, request.body.as_bytes(), now()).unwrap();
        brain.apply(&fact_of(taken), now());
    }
    assert_eq!(brain.reconcilers(&Default::default()).len() as u64, RECONCILERS);
}

/// Verifies and reads, and keeps nothing.
fn ingest_only(requests: &[Request]) {
    let cluster = cluster();
    let verifier = Verifier::new([KEY]).unwrap();
    for request in requests {
        let header = Some(request.signature.as_bytes());
        let body = black_box(request.body.as_bytes());
        black_box(ingest(&verifier, &cluster, header, body, now()).unwrap());
    }
}

fn authenticate(requests: &[Request]) {
    let key = Hmac::<Sha256>::new_from_slice(KEY).unwrap();
    for request in requests {
        let mut mac = key.clone();
        mac.update(black_box(request.body.as_bytes()));
        black_box(mac.finalize());
    }
}

fn parse_plain(requests: &[Request]) {
    for request in requests {
        black_box(PlainEvent::parse(black_box(request.body.as_bytes())).unwrap());
    }
}

fn verify(requests: &[Request]) {
    let verifier = Verifier::new([KEY]).unwrap();
    for request in requests {
        verifier
            .verify(Some(request.signature.as_bytes()), black_box(request.body.as_bytes()))
            .unwrap();
    }
}

fn parse(requests: &[Request]) {
    for request in requests {
        black_box(Event::parse(black_box(request.body.as_bytes())).unwrap());
    }
}

fn read_only(requests: &[Request]) {
    let cluster = cluster();
    for request in requests {
        black_box(observe(&cluster, black_box(request.body.as_bytes()), now()).unwrap());
    }
}

fn fact_of(taken: Ingested) -> Box<Fact> {
    match taken {
        Ingested::Fact(fact) => fact,
        other => panic!("{other:?}"),
    }
}

fn cluster() -> ClusterName {
    ClusterName::new("staging").unwrap()
}

fn now() -> DateTime<Utc> {
    Utc::now()
}
