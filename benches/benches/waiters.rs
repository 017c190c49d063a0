//! 500 clients wait for one commit, each on a connection of its own, and one event decides: how long
//! until each has its answer? The server runs in a process of its own; the clients, in this one, write
//! and read HTTP/1.1 by hand, so that they have little to do.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::{
    collections::BTreeMap,
    error::Error,
    time::{Duration, Instant},
};

use gitops_brain::{ClusterName, Environment, Policy, sign};
use gitops_brain_benches::{Body, KEY, commit};
use gitops_brain_tests::process::{Server, TOKEN};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::mpsc,
    time,
};

const CLIENTS: usize = 500;
const ROUNDS: u64 = 20;
const AIM: Duration = Duration::from_millis(50);

/// Long enough for every request to have arrived and wait.
const SETTLE: Duration = Duration::from_millis(500);

type Failure = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    // `cargo test --benches` only wants to know whether it runs.
    let rounds = if std::env::args().any(|argument| argument == "--bench") { ROUNDS } else { 1 };
    let environment =
        Environment::default().expect("staging/Kustomization/flux-system/apps-1".parse()?);
    let policy = Policy::default().environment("staging".parse()?, environment);
    let key = String::from_utf8(KEY.to_vec())?;
    let mut server = Server::new(&policy, BTreeMap::from([(ClusterName::new("staging")?, key)]))?;
    server.start()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let figures = runtime.block_on(measure(&server, rounds))?;
    println!(
        "{CLIENTS} clients wait for one commit; {rounds} rounds, {} answers",
        figures.answers()
    );
    print("from sending the event", figures.from_sending);
    print("from its answer 202", figures.from_answer);
    let status = server.terminate()?;
    if status.success() { Ok(()) } else { Err(format!("the server ended with {status}").into()) }
}

/// How long answers took after the event was sent, and after it was answered: 0 if they came before.
#[derive(Default)]
struct Figures {
    from_sending: Vec<Duration>,
    from_answer: Vec<Duration>,
}

impl Figures {
    fn answers(&self) -> usize {
        self.from_sending.len()
    }
}

async fn measure(server: &Server, rounds: u64) -> Result<Figures, Failure> {
    let client = server.client()?;
    let address = server.url().and_then(|url| url.strip_prefix("http://")).ok_or("no address")?;
    let mut sender = Connection::open(address).await?;
    let (answers, mut answered) = mpsc::unbounded_channel();
    let mut waiters = Vec::with_capacity(CLIENTS);
    for _ in 0..CLIENTS {
        let (requests, mut request) = mpsc::unbounded_channel::<String>();
        let mut connection = Connection::open(address).await?;
        let answers = answers.clone();
        tokio::spawn(async move {
            while let Some(request) = request.recv().await {
                let answer = connection.ask(request.as_bytes()).await;
                if answers.send((Instant::now(), answer)).is_err() {
                    break;
                }
            }
        });
        waiters.push(requests);
    }
    let mut figures = Figures::default();
    for round in 0..rounds {
        let id = commit(round);
        let environment = "staging".parse()?;
        let register = || client.register(&environment, id, &json!({}));
        let registered = tokio::task::block_in_place(register)?;
        assert_eq!(registered.status, 201, "{registered:?}");
        let applying = event(round, 0, "Progressing", "Deployment/shop/web configured")?;
        sender.ask(&applying).await?;
        for waiter in &waiters {
            waiter.send(format!(
                "GET /v1/rollouts/staging/{id}?wait=60s HTTP/1.1\r\nHost: localhost\r\n\
                 Authorization: Bearer {TOKEN}\r\n\r\n"
            ))?;
        }
        time::sleep(SETTLE).await;
        assert!(answered.is_empty(), "nobody must be answered yet");
        let deciding = event(round, 1, "Progressing", "Health check passed in 1.012s")?;
        let sent = Instant::now();
        let answer = sender.ask(&deciding).await?;
        let told = Instant::now();
        assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
        for _ in 0..CLIENTS {
            let (at, answer) = answered.recv().await.ok_or("the clients are gone")?;
            let answer = answer?;
            assert!(answer.contains(r#""outcome":"succeeded""#), "{answer}");
            figures.from_sending.push(at.saturating_duration_since(sent));
            figures.from_answer.push(at.saturating_duration_since(told));
        }
    }
    Ok(figures)
}

/// The request with a signed event about a round's commit.
fn event(round: u64, step: i64, reason: &str, message: &str) -> Result<Vec<u8>, Failure> {
    let seconds = i64::try_from(round)? * 10 + step;
    let body =
        Body { reconciler: 1, commit: round, seconds, version: 1_000 + round, reason, message };
    let body = body.to_json();
    let signature = sign(KEY, body.as_bytes())?;
    let head = format!(
        "POST /v1/events/staging HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         X-Signature: {signature}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    Ok((head + &body).into_bytes())
}

/// A connection that is kept.
struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    async fn open(address: &str) -> Result<Self, Failure> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(8 * 1024) })
    }

    /// Sends a request and reads the whole answer.
    async fn ask(&mut self, request: &[u8]) -> Result<String, Failure> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err("the server closed the connection".into());
            }
            let text = std::str::from_utf8(&self.buffer)?;
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>())
            });
            if body.len() == length.ok_or("an answer without a length")?? {
                return Ok(text.to_owned());
            }
        }
    }
}

fn print(what: &str, mut figures: Vec<Duration>) {
    figures.sort_unstable();
    let at = |percent: usize| {
        let place = (figures.len() * percent / 100).min(figures.len().saturating_sub(1));
        figures.get(place).copied().unwrap_or_default()
    };
    let (min, p50, p90, p99, max) = (at(0), at(50), at(90), at(99), at(100));
    println!("{what}: min {min:.1?}, p50 {p50:.1?}, p90 {p90:.1?}, p99 {p99:.1?}, max {max:.1?}");
    if max <= AIM {
        println!("  all within {AIM:?}");
    } else {
        let late = figures.iter().filter(|figure| **figure > AIM).count();
        println!("  NOT all within {AIM:?}: {late} of {} are later", figures.len());
    }
}
