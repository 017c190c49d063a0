//! Two servers on one database are killed, and cut off from it, again and again while events stream in and
//! others wait. What either answered 202 must be there, nobody may be told what is not so, and both must
//! know the same in the end.
//!
//! `GITOPS_BRAIN_TEST_KILLS` says how often each is killed (3), `GITOPS_BRAIN_TEST_CUTS` how often one is cut
//! off (3).
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use std::{
    collections::{BTreeMap, BTreeSet},
    env, io,
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, RwLock,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant, SystemTime},
};

use chrono::{DateTime, Utc};
use gitops_brain::{
    ClusterName, CommitId, Environment, EnvironmentName, Fact, Ingested, Policy, observe,
};
use gitops_brain_tests::{
    postgres::Postgres,
    process::{Client, Server},
    random::Random,
};
use serde_json::{Value, json};

/// How many commits there are for each time that both are killed: so that the stream does not end before.
const COMMITS_PER_KILL: usize = 30;

/// How long both may take until they know the same.
const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn two_servers_lose_nothing_and_agree() {
    let kills: usize = number("GITOPS_BRAIN_TEST_KILLS", 3);
    let cuts: usize = number("GITOPS_BRAIN_TEST_CUTS", 3);
    let postgres = Postgres::start().unwrap();
    let url = postgres.database().unwrap();
    let proxies = [Proxy::start(postgres.port()), Proxy::start(postgres.port())];
    let staging = ClusterName::new("staging").unwrap();
    let keys = BTreeMap::from([(staging.clone(), "the key of staging".to_owned())]);
    let mut servers = proxies.each_ref().map(|proxy| {
        let url = url.replace(&format!(":{}/", postgres.port()), &format!(":{}/", proxy.port));
        let mut server = Server::new(&policy(), keys.clone()).unwrap().on(url);
        server.start().unwrap();
        server
    });
    let stream = Stream {
        clients: servers.each_ref().map(|server| RwLock::new(server.client().unwrap())),
        commits: (1..=COMMITS_PER_KILL * (kills + 1))
            .map(|n| format!("{n:040x}").parse().unwrap())
            .collect(),
        accepted: Mutex::default(),
        green: Mutex::default(),
        told: AtomicUsize::new(0),
        over: AtomicBool::new(false),
    };
    thread::scope(|scope| {
        scope.spawn(|| stream.post(&staging));
        for seed in 0..6 {
            let stream = &stream;
            scope.spawn(move || stream.wait(Random::new(seed)));
        }
        // Whatever happens, the others must end, or nobody would hear of it.
        let _over = Over(&stream.over);
        let mut random = Random::new(7);
        for n in 0..(2 * kills).max(cuts) {
            if n < 2 * kills {
                let victim = n % 2;
                servers[victim].kill().unwrap();
                thread::sleep(Duration::from_millis(random.below(300) as u64));
                servers[victim].start().unwrap();
                *stream.clients[victim].write().unwrap() = servers[victim].client().unwrap();
            }
            if n < cuts {
                let cut = Duration::from_millis(200 + random.below(1_500) as u64);
                proxies[random.below(2)].cut(cut);
            }
            thread::sleep(Duration::from_millis(200 + random.below(400) as u64));
        }
    });
    let accepted = stream.accepted.into_inner().unwrap();
    let told = stream.told.into_inner();
    println!("{} events accepted, {told} times told who waited", accepted.len());
    assert!(accepted.len() > 3 * kills && told > 3 * kills, "hardly a stream");

    let clients = servers.each_ref().map(|server| server.client().unwrap());
    agree(&clients);
    for commit in &stream.commits {
        let [one, other] = clients.each_ref().map(|client| seen(client, *commit));
        assert_eq!(one, other, "{commit}");
    }
    let lines =
        postgres.sql(&url, "SELECT line FROM gitops_brain_facts ORDER BY position").unwrap();
    let stored: BTreeSet<_> =
        lines.lines().map(|line| Fact::from_line(line).unwrap().id()).collect();
    for fact in &accepted {
        // A heartbeat need not be stored; each of these said something new.
        assert!(stored.contains(&fact.id()), "answered 202 and lost: {}", fact.to_line());
    }
    for server in &mut servers {
        let status = server.terminate().unwrap();
        assert!(status.success(), "{status}: {}", server.log());
    }
}

fn number(variable: &str, default: usize) -> usize {
    env::var(variable)
        .map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{variable} is no number")))
}

fn policy() -> Policy {
    let apps = "staging/Kustomization/flux-system/apps".parse().unwrap();
    let environment = Environment::default().expect(apps).timeout(Duration::from_hours(24));
    Policy::default().environment("staging".parse().unwrap(), environment)
}

fn now() -> DateTime<Utc> {
    SystemTime::now().into()
}

/// What is sent, and what came of it.
struct Stream {
    clients: [RwLock<Client>; 2],
    commits: Vec<CommitId>,
    accepted: Mutex<Vec<Fact>>,
    /// The commits of which an event that proves health was sent, perhaps in vain.
    green: Mutex<BTreeSet<CommitId>>,
    told: AtomicUsize,
    over: AtomicBool,
}

impl Stream {
    fn client(&self, index: usize) -> Client {
        self.clients[index % 2].read().unwrap().clone()
    }

    /// Registers each commit and posts its events, now to the one and now to the other, until each is
    /// answered: as Flux and CI do.
    fn post(&self, cluster: &ClusterName) {
        let environment: EnvironmentName = "staging".parse().unwrap();
        // Each commit's events are later than all of the one before.
        let begin = now() - chrono::TimeDelta::seconds(2 * self.commits.len() as i64 + 10);
        let mut index = 0;
        for (n, commit) in (0_i64..).zip(&self.commits) {
            let mut until_answered = |send: &dyn Fn(&Client) -> io::Result<u16>| {
                loop {
                    index += 1;
                    match send(&self.client(index)) {
                        Ok(status @ (200..=202)) => return status,
                        Ok(400..=499) => panic!("refused"),
                        _ => thread::sleep(Duration::from_millis(20)),
                    }
                }
            };
            until_answered(&|client| {
                Ok(client.register(&environment, *commit, &json!({}))?.status)
            });
            thread::sleep(Duration::from_millis(60));
            for (offset, message) in
                [(0, "Deployment/shop/web configured"), (1, "Health check passed in 1s")]
            {
                let at = begin + chrono::TimeDelta::seconds(2 * n + offset);
                let body = event(*commit, at, message);
                if offset == 1 {
                    self.green.lock().unwrap().insert(*commit);
                }
                let status = until_answered(&|client| Ok(client.event(cluster, &body)?.status));
                if status == 202 {
                    let Ok(Ingested::Fact(fact)) = observe(cluster, &body, now()) else {
                        panic!("not taken in")
                    };
                    self.accepted.lock().unwrap().push(*fact);
                }
            }
            if self.over.load(Relaxed) {
                return;
            }
        }
        // The stream goes on for as long as servers are killed: the same once more changes nothing.
        while !self.over.load(Relaxed) {
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits for one commit after the other, and checks what it is told.
    fn wait(&self, mut random: Random) {
        while !self.over.load(Relaxed) {
            let commit = self.commits[random.below(self.commits.len())];
            let client = self.client(random.below(2));
            let path = format!("/v1/rollouts/staging/{commit}?wait=500ms");
            let Ok(answer) = client.get(&path) else { continue };
            if answer.status != 200 {
                assert!(answer.status == 503, "{} {}", answer.status, answer.body);
                continue;
            }
            self.told.fetch_add(1, Relaxed);
            let outcome = answer.body["outcome"].as_str().unwrap();
            assert!(outcome != "failed" && outcome != "timed_out", "{}", answer.body);
            if outcome == "succeeded" {
                // It is noted before it is sent: who is told must find it.
                let green = self.green.lock().unwrap();
                assert!(green.contains(&commit), "a false green: {}", answer.body);
            }
        }
    }
}

fn event(commit: CommitId, at: DateTime<Utc>, message: &str) -> Vec<u8> {
    let body = json!({
        "involvedObject": {
            "kind": "Kustomization", "namespace": "flux-system", "name": "apps", "uid": "1",
            "resourceVersion": at.timestamp().to_string(),
        },
        "severity": "info",
        "timestamp": at.format("%Y-%m-%dT%H:%M:%SZ").to_string(),
        "message": message,
        "reason": "Progressing",
        "metadata": { "revision": format!("main@sha1:{commit}") },
        "reportingController": "kustomize-controller",
    });
    body.to_string().into_bytes()
}

/// Waits until both know all that is stored.
fn agree(clients: &[Client; 2]) {
    let position =
        |client: &Client| client.get("/readyz").unwrap().body["position"].as_u64().unwrap();
    let end = Instant::now() + PATIENCE;
    loop {
        let before = clients.each_ref().map(position);
        thread::sleep(Duration::from_millis(1_500));
        if before[0] == before[1] && before == clients.each_ref().map(position) {
            return;
        }
        assert!(Instant::now() < end, "{before:?}");
    }
}

/// A status without what is only true at one server and moment.
fn seen(client: &Client, commit: CommitId) -> Value {
    let mut status = client.get(&format!("/v1/rollouts/staging/{commit}")).unwrap().body;
    status["evaluated_at"] = json!(null);
    let version = status["version"].as_str().unwrap().to_owned();
    status["version"] = json!(version.rsplit_once('.').unwrap().1);
    for reconciler in status["reconcilers"].as_array_mut().unwrap() {
        reconciler["last_heard_at"] = json!(null);
    }
    status
}

/// Ends the stream, also if the test fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// A network that can be cut.
struct Proxy {
    port: u16,
    connections: Arc<Mutex<Vec<TcpStream>>>,
    is_cut: Arc<AtomicBool>,
}

impl Proxy {
    fn start(to: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections: Arc<Mutex<Vec<TcpStream>>> = Arc::default();
        let is_cut = Arc::new(AtomicBool::new(false));
        let (kept, cut) = (connections.clone(), is_cut.clone());
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(("127.0.0.1", to)) else { continue };
                if cut.load(Relaxed) {
                    continue;
                }
                for (mut from, mut into) in [
                    (client.try_clone().unwrap(), server.try_clone().unwrap()),
                    (server.try_clone().unwrap(), client.try_clone().unwrap()),
                ] {
                    thread::spawn(move || {
                        // It ends when either side does.
                        let _ = io::copy(&mut from, &mut into);
                        let _ = into.shutdown(Shutdown::Both);
                    });
                }
                kept.lock().unwrap().extend([client, server]);
            }
        });
        Self { port, connections, is_cut }
    }

    /// Drops all connections, and lets none be made for a while.
    fn cut(&self, time: Duration) {
        self.is_cut.store(true, Relaxed);
        for connection in self.connections.lock().unwrap().drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
        thread::sleep(time);
        self.is_cut.store(false, Relaxed);
    }
}
