//! Many clients wait for one commit, each on a connection of its own, and one event decides: how long until
//! each has its answer, and what does a waiter cost? The server runs in a process of its own; the clients,
//! in this one, write and read HTTP/1.1 by hand, so that they have little to do.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::{
    process::Command,
    time::{Duration, Instant},
};

use gitops_brain::CommitId;
use gitops_brain_benches::{
    Body, commit,
    http::{Connection, Failure, percentile},
    server::Process,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    sync::{Barrier, mpsc},
    time,
};

/// How many wait, in how many rounds, and how long the last answer may take.
const SIZES: [(usize, u64, Duration); 2] =
    [(500, 20, Duration::from_millis(50)), (10_000, 5, Duration::from_millis(250))];

/// Long enough for every request to have arrived and wait.
const SETTLE: Duration = Duration::from_secs(2);

fn main() -> Result<(), Failure> {
    // `cargo test --benches` only wants to know whether it runs.
    let whole = std::env::args().any(|argument| argument == "--bench");
    // Each connection is a file, here and in the server.
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?;
    let folder = tempfile::tempdir()?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_bench_server"));
    let server = Process::start(command.arg("sqlite").arg(folder.path()))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut first = 0;
    for (clients, rounds, aim) in SIZES {
        let (clients, rounds) = if whole { (clients, rounds) } else { (clients / 50, 1) };
        if maximum.is_some_and(|most| most < clients as u64 + 100) {
            println!("skipped: {clients} clients need a higher limit of open files (ulimit -n)");
            continue;
        }
        runtime.block_on(measure(&server, clients, first..first + rounds, aim))?;
        first += rounds;
    }
    Ok(())
}

async fn measure(
    server: &Process,
    clients: usize,
    rounds: std::ops::Range<u64>,
    aim: Duration,
) -> Result<(), Failure> {
    let mut sender = Connection::open(&server.address).await?;
    let before = server.memory()?;
    let (answers, mut answered) = mpsc::unbounded_channel();
    let ready = std::sync::Arc::new(Barrier::new(clients + 1));
    let mut waiters = Vec::with_capacity(clients);
    for _ in 0..clients {
        let (requests, mut request) = mpsc::unbounded_channel::<String>();
        let mut connection = Connection::open(&server.address).await?;
        let (answers, ready) = (answers.clone(), ready.clone());
        tokio::spawn(async move {
            ready.wait().await;
            while let Some(request) = request.recv().await {
                let answer = connection.ask(request.as_bytes()).await.map(str::to_owned);
                if answers.send((Instant::now(), answer)).is_err() {
                    break;
                }
            }
        });
        waiters.push(requests);
    }
    ready.wait().await;
    let (mut each, mut last, mut per_waiter) = (Vec::new(), Vec::new(), 0);
    for round in rounds {
        let id = commit(round);
        register(&mut sender, id).await?;
        sender.ask(&event(round, 0, "Progressing", "Deployment/shop/web configured")?).await?;
        for waiter in &waiters {
            waiter.send(format!(
                "GET /v1/rollouts/staging/{id}?wait=60s HTTP/1.1\r\nHost: localhost\r\n\r\n"
            ))?;
        }
        time::sleep(SETTLE).await;
        if !answered.is_empty() {
            return Err("somebody was answered before there was anything to tell".into());
        }
        per_waiter = server.memory()?.saturating_sub(before) / clients as u64;
        let deciding = event(round, 1, "Progressing", "Health check passed in 1.012s")?;
        let sent = Instant::now();
        let answer = sender.ask(&deciding).await?;
        if !answer.starts_with("HTTP/1.1 202") {
            return Err(answer.to_owned().into());
        }
        let mut latest = Duration::ZERO;
        for _ in 0..clients {
            let (at, answer) = answered.recv().await.ok_or("the clients are gone")?;
            let answer = answer?;
            if !answer.contains(r#""outcome":"succeeded""#) {
                return Err(answer.into());
            }
            let took = at.saturating_duration_since(sent);
            latest = latest.max(took);
            each.push(took);
        }
        last.push(latest);
    }
    each.sort_unstable();
    last.sort_unstable();
    let (p50, p99) = (percentile(&each, 50), percentile(&each, 99));
    let last = percentile(&last, 50);
    let verdict = if last <= aim { "" } else { "  MISSED" };
    println!("{clients} clients wait for one commit, from sending the event:");
    println!(
        "  p50 {p50:.1?}, p99 {p99:.1?}, the last {last:.1?} (median of rounds; aim {aim:?}){verdict}"
    );
    println!("  {:.1} KiB of memory for each, with its connection", per_waiter as f64 / 1024.0);
    Ok(())
}

async fn register(sender: &mut Connection, commit: CommitId) -> Result<(), Failure> {
    let request = format!(
        "PUT /v1/rollouts/staging/{commit} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
    );
    let answer = sender.ask(request.as_bytes()).await?;
    if answer.starts_with("HTTP/1.1 201") { Ok(()) } else { Err(answer.to_owned().into()) }
}

/// The request with a signed event about a round's commit.
fn event(round: u64, step: i64, reason: &str, message: &str) -> Result<Vec<u8>, Failure> {
    let seconds = i64::try_from(round)? * 10 + step;
    let body =
        Body { reconciler: 1, commit: round, seconds, version: 1_000 + round, reason, message };
    Ok(body.to_request()?)
}
