//! Signed events over 64 connections: the server on SQLite, beside the same server without a journal and with
//! a transaction for each event, and beside a receiver written by hand in Go, on SQLite and without. All in one
//! run, in turn; the client shares the processors with them.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints its figures")]

use std::{
    fs::File,
    io::Write as _,
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use gitops_brain_benches::{
    Body, KEY,
    http::{Connection, Failure, percentile},
    server::Process,
};
use gitops_brain_journal::{Journal as _, SqliteJournal};

const CONNECTIONS: usize = 64;
const ROUNDS: u64 = 5;
const EVENTS: u64 = 60_000;

/// What one server did in one round.
struct Round {
    per_second: f64,
    p50: Duration,
    p99: Duration,
    cpu: Duration,
}

struct Contender {
    name: &'static str,
    process: Process,
    folder: tempfile::TempDir,
    events: u64,
    rounds: Vec<Round>,
}

fn main() -> Result<(), Failure> {
    // `cargo test --benches` only wants to know whether it runs.
    let whole = std::env::args().any(|argument| argument == "--bench");
    let (rounds, events) = if whole { (ROUNDS, EVENTS) } else { (1, 640) };
    let mut contenders = Vec::new();
    for (name, journal, share) in [
        ("SQLite", "sqlite", 1),
        ("nothing stored", "memory", 1),
        ("SQLite, one by one", "single", 10),
    ] {
        let folder = tempfile::tempdir()?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_bench_server"));
        let process = Process::start(command.arg(journal).arg(folder.path()))?;
        contenders.push(Contender {
            name,
            process,
            folder,
            events: events / share,
            rounds: Vec::new(),
        });
    }
    match go() {
        Ok(programs) => {
            for (name, is_durable) in [("Go: SQLite", true), ("Go: nothing stored", false)] {
                let folder = tempfile::tempdir()?;
                let mut command = Command::new(programs.path().join("receiver"));
                command.arg(std::str::from_utf8(KEY)?);
                if is_durable {
                    command.arg(folder.path().join("events.db"));
                }
                let process = Process::start(&mut command)?;
                contenders.push(Contender { name, process, folder, events, rounds: Vec::new() });
            }
        }
        Err(error) => eprintln!("skipped: the receivers in Go ({error})"),
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    for round in 0..rounds {
        for contender in &mut contenders {
            let requests = requests(round, contender.events)?;
            let measured = runtime.block_on(measure(&contender.process, requests))?;
            contender.rounds.push(measured);
        }
    }
    println!("{CONNECTIONS} connections, {rounds} rounds of {events} signed events, medians:\n");
    println!("| | events/s | p50 | p99 | processor time each |\n|---|--:|--:|--:|--:|");
    for contender in &contenders {
        println!(
            "| {} | {:.0} | {:.2?} | {:.2?} | {:.1?} |",
            contender.name,
            median(contender, |round| round.per_second),
            Duration::from_secs_f64(median(contender, |round| round.p50.as_secs_f64())),
            Duration::from_secs_f64(median(contender, |round| round.p99.as_secs_f64())),
            cpu(contender),
        );
    }
    println!();
    conclude(&runtime, contenders)
}

/// What is aimed at, and whether it holds.
fn conclude(
    runtime: &tokio::runtime::Runtime,
    mut contenders: Vec<Contender>,
) -> Result<(), Failure> {
    let rate = |of: &Contender| median(of, |round| round.per_second);
    let [ours, memory, single, rest @ ..] = &contenders[..] else { return Err("nobody".into()) };
    let aim = |what: &str, is: f64, at_least: f64| {
        let verdict = if is >= at_least { "" } else { " **missed**" };
        println!("- {what}: × {is:.2} (aim: at least {at_least}){verdict}");
    };
    aim("rate beside storing nothing", rate(ours) / rate(memory), 0.55);
    aim("rate beside one by one", rate(ours) / rate(single), 7.0);
    if let [durable, nothing] = rest {
        aim("rate beside Go's on SQLite", rate(ours) / rate(durable), 1.0);
        aim("rate beside Go's that stores nothing", rate(ours) / rate(nothing), 1.0);
    }
    aim(
        "processor time without storing beside ours",
        cpu(memory).as_secs_f64() / cpu(ours).as_secs_f64(),
        0.5,
    );
    let (batch, bytes, batches) = runtime.block_on(batches(&ours.process, ours.folder.path()))?;
    let floor = floor(ours.folder.path(), bytes, batches)?;
    let p99 = Duration::from_secs_f64(median(ours, |round| round.p99.as_secs_f64()));
    println!(
        "- batches of {batch:.1} events; to write {bytes} bytes and fdatasync takes {floor:.2?} (p99)"
    );
    let bound = floor * 3 + Duration::from_millis(5);
    let verdict = if p99 <= bound { "" } else { " **missed**" };
    println!("- p99 {p99:.2?} (aim: at most 3 × that + 5 ms = {bound:.2?}){verdict}");
    // Whatever was answered with 202 stands in the journal.
    let ours = contenders.swap_remove(0);
    let sent = ours.events * u64::try_from(ours.rounds.len())?;
    drop(ours.process);
    let kept = runtime.block_on(count(&ours.folder.path().join("gitops-brain.db")))?;
    println!("- {sent} events were accepted, {kept} are in the journal after kill -9");
    if kept == sent { Ok(()) } else { Err("some are lost".into()) }
}

fn median(contender: &Contender, figure: impl Fn(&Round) -> f64) -> f64 {
    let mut figures: Vec<_> = contender.rounds.iter().map(figure).collect();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}

/// Processor time for each event.
fn cpu(contender: &Contender) -> Duration {
    let used: Duration = contender.rounds.iter().map(|round| round.cpu).sum();
    let events = contender.events * contender.rounds.len() as u64;
    used / u32::try_from(events).unwrap_or(u32::MAX)
}

/// A round's requests: each is of an event that nobody has heard of.
fn requests(round: u64, events: u64) -> Result<Vec<Vec<u8>>, Failure> {
    let one = |number: u64| {
        let nth = round * events + number;
        let body = Body {
            reconciler: nth % 100,
            commit: nth / 100,
            seconds: i64::try_from(nth / 100)?,
            version: 1_000 + nth,
            reason: "Progressing",
            message: "Deployment/shop/web configured\\nService/shop/web created",
        };
        Ok(body.to_request()?)
    };
    (0..events).map(one).collect()
}

async fn measure(server: &Process, requests: Vec<Vec<u8>>) -> Result<Round, Failure> {
    let requests = Arc::new(requests);
    let next = Arc::new(AtomicUsize::new(0));
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(Connection::open(&server.address).await?);
    }
    let (cpu, begun) = (server.cpu()?, Instant::now());
    let senders: Vec<_> = connections
        .into_iter()
        .map(|mut connection| {
            let (requests, next) = (requests.clone(), next.clone());
            tokio::spawn(async move {
                let mut took = Vec::new();
                while let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let sent = Instant::now();
                    let answer = connection.ask(request).await?;
                    if !answer.starts_with("HTTP/1.1 202") {
                        return Err(answer.to_owned().into());
                    }
                    took.push(sent.elapsed());
                }
                Ok::<_, Failure>(took)
            })
        })
        .collect();
    let mut took = Vec::with_capacity(requests.len());
    for sender in senders {
        took.extend(sender.await??);
    }
    let seconds = begun.elapsed().as_secs_f64();
    took.sort_unstable();
    Ok(Round {
        per_second: took.len() as f64 / seconds,
        p50: percentile(&took, 50),
        p99: percentile(&took, 99),
        cpu: server.cpu()? - cpu,
    })
}

/// How many events a batch had on average, how many bytes that is in the file, and how many there were.
async fn batches(server: &Process, folder: &Path) -> Result<(f64, usize, u32), Failure> {
    let mut connection = Connection::open(&server.address).await?;
    let text = connection.ask(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").await?;
    let number = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        Ok::<f64, Failure>(line.ok_or_else(|| format!("no {name}"))?.trim().parse()?)
    };
    let batches = number("gitops_brain_journal_append_seconds_count")?;
    let facts = number("gitops_brain_journal_position")?;
    let written = std::fs::metadata(folder.join("gitops-brain.db"))?.len() as f64;
    let batch = facts / batches;
    // SQLite writes each page to its log, and later to its place.
    let bytes = (batch * written / facts).ceil();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small numbers")]
    Ok((batch, bytes as usize, (batches as u32).min(5_000)))
}

/// What it takes to write so much and be sure of it: the 99th percentile.
fn floor(folder: &Path, bytes: usize, batches: u32) -> Result<Duration, Failure> {
    let mut file = File::create(folder.join("floor"))?;
    let batch = vec![b'x'; bytes];
    let mut took = Vec::new();
    for _ in 0..batches {
        let begun = Instant::now();
        file.write_all(&batch)?;
        file.sync_data()?;
        took.push(begun.elapsed());
    }
    took.sort_unstable();
    Ok(percentile(&took, 99))
}

async fn count(path: &Path) -> Result<u64, Failure> {
    let journal = SqliteJournal::open(path)?;
    let (mut count, mut position) = (0, 0);
    loop {
        let entries = journal.read_after(position, 10_000).await?;
        let Some(last) = entries.last() else { return Ok(count) };
        position = last.position;
        count += entries.len() as u64;
    }
}

/// Builds the programs in Go.
fn go() -> Result<tempfile::TempDir, Failure> {
    let folder = tempfile::tempdir()?;
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/go");
    let mut command = Command::new("go");
    command.args(["build", "-o"]).arg(folder.path()).arg("./...").current_dir(source);
    let built = command.status()?;
    if built.success() { Ok(folder) } else { Err(format!("go build: {built}").into()) }
}
