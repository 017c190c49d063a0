//! The server is killed again and again while events stream in. What it answered 202 must be there,
//! and it must know afterwards what it would know had nothing happened.
//!
//! `GITOPS_BRAIN_TEST_CRASHES` says how often (20), `GITOPS_BRAIN_TEST_SEED` which stream (1). The
//! moments at which it is killed differ from run to run all the same.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]
#![expect(clippy::print_stdout, reason = "tests say what they did")]

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    env, fs, io,
    path::Path,
    str::FromStr,
    sync::{
        Mutex, RwLock,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant, SystemTime},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::{DateTime, SecondsFormat, Utc};
use gitops_brain::{
    Ancestry, Brain, ClusterName, CommitId, CommitObject, Effects, Environment, EnvironmentName,
    Fact, FactBody, Ingested, Policy, Query, Registration, observe, parse_duration,
};
use gitops_brain_journal::{Journal as _, SqliteJournal};
use gitops_brain_tests::{
    process::{Answer, Client, Killer, Server},
    random::Random,
};
use serde_json::{Value, json};

const CLUSTERS: [&str; 2] = ["production", "staging"];
const RECONCILERS: [&str; 2] = ["apps", "infra"];
const ENVIRONMENTS: [&str; 3] = ["fleet", "production", "staging"];

/// Flux posts each event from a goroutine of its own: events of one reconciler overtake each other.
const SENDERS_PER_RECONCILER: usize = 2;

/// Enough that some are superseded, rolled back, forgotten by CI; few enough to ask about all.
const COMMITS: usize = 80;

/// Longer than anything in the policy that ends by itself.
const QUIET: Duration = Duration::from_millis(2_500);

#[test]
fn what_was_answered_survives_any_crash() {
    let crashes: usize = number("GITOPS_BRAIN_TEST_CRASHES", 20);
    let seed: u64 = number("GITOPS_BRAIN_TEST_SEED", 1);
    let policy = policy();
    let keys = CLUSTERS.map(|name| (ClusterName::new(name).unwrap(), format!("the key of {name}")));
    let mut server = Server::new(&policy, BTreeMap::from(keys)).unwrap();
    server.start().unwrap();
    let stream = Stream::new(&server, seed);
    let scripts: Vec<_> = CLUSTERS
        .iter()
        .flat_map(|cluster| RECONCILERS.map(|name| Mutex::new(Script::new(cluster, name, seed))))
        .collect();
    thread::scope(|scope| {
        for (index, script) in scripts.iter().enumerate() {
            for sender in 0..SENDERS_PER_RECONCILER {
                let seed = seed + (100 * index + sender) as u64;
                let stream = &stream;
                scope.spawn(move || stream.send_events(script, Random::new(seed)));
            }
        }
        scope.spawn(|| stream.push_and_register(&policy, Random::new(seed + 1_000)));
        // Whatever happens, the senders must end, or nobody would hear of it.
        let _over = Over(&stream.over);
        crash(&mut server, &stream, crashes, &mut Random::new(seed + 2_000));
        thread::sleep(Duration::from_millis(300));
    });
    let sent = stream.sent.into_inner().unwrap();
    println!("{}", sent.summary(crashes));
    assert!(sent.stored > 10 * crashes && sent.broken_off >= crashes / 5, "hardly a stream");

    server.kill().unwrap();
    check_file(&server.database());
    server.start().unwrap();
    thread::sleep(QUIET);
    let client = server.client().unwrap();
    let told: Vec<Value> = stream.commits.iter().flat_map(|made| ask(&client, made.id)).collect();
    assert_eq!(told.len(), COMMITS * ENVIRONMENTS.len());
    let status = server.terminate().unwrap();
    assert!(status.success(), "{status}: {}", server.log());

    let facts = read(&server.database());
    println!("{} facts in the journal", facts.len());
    sent.check_stored(&facts);
    let journalled = uninterrupted(&policy, facts.iter().cloned(), &told, false);
    let differing = compare(&told, &journalled, |status| status.clone());
    assert!(differing.is_empty(), "not what the journal says:\n{}", differing.join("\n"));
    let accepted = uninterrupted(&policy, sent.accepted(&facts), &told, true);
    let differing = compare(&told, &accepted, apart_from_heartbeats);
    assert!(differing.is_empty(), "not what was accepted:\n{}", differing.join("\n"));
    let mut outcomes = BTreeMap::new();
    for status in &told {
        let text = |name: &str| status[name].as_str().unwrap().to_owned();
        *outcomes.entry((text("outcome"), text("reason"))).or_insert(0) += 1;
    }
    println!("{} statuses are equal: {outcomes:?}", told.len());
}

fn number<T: FromStr>(variable: &str, default: T) -> T {
    env::var(variable)
        .map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{variable} is no number")))
}

/// A pattern, names, and graces that end while the stream goes on.
fn policy() -> Policy {
    let month = Duration::from_hours(24 * 30);
    let environment = |selectors: &[&str]| {
        selectors.iter().fold(Environment::default().timeout(month), |environment, selector| {
            environment.expect(selector.parse().unwrap())
        })
    };
    let grace = Duration::from_millis(300);
    let named = |cluster: &str| {
        let names = RECONCILERS.map(|name| format!("{cluster}/Kustomization/flux-system/{name}"));
        environment(&names.each_ref().map(String::as_str)).transient_grace(grace)
    };
    Policy::default()
        .environment(
            "fleet".parse().unwrap(),
            environment(&["*/Kustomization/flux-system/*"]).learning(Duration::from_secs(1)),
        )
        .environment("production".parse().unwrap(), named("production").failure_grace(grace))
        .environment("staging".parse().unwrap(), named("staging"))
}

/// Kills the server at moments of all kinds, and starts it again.
fn crash(server: &mut Server, stream: &Stream, crashes: usize, random: &mut Random) {
    for n in 0..crashes {
        match random.below(5) {
            // Before it has read its journal, or while it does.
            0 => {
                server.kill().unwrap();
                server.spawn().unwrap();
                thread::sleep(Duration::from_millis(random.below(60) as u64));
            }
            // At any time.
            1 | 2 => {
                thread::sleep(Duration::from_millis(random.below(400) as u64));
            }
            // The very moment that something is answered 202.
            _ => {
                let killer = server.killer().unwrap();
                *stream.killer.lock().unwrap() = Some((1 + random.below(40), killer));
                let begun = Instant::now();
                while stream.killer.lock().unwrap().is_some() {
                    assert!(begun.elapsed() < Duration::from_secs(30), "nothing is answered");
                    thread::sleep(Duration::from_millis(1));
                }
            }
        }
        server.kill().unwrap();
        let log = server.log();
        assert!(!log.contains("panicked") && !log.contains("ERROR"), "crash {n}: {log}");
        server.start().unwrap_or_else(|error| panic!("after crash {n}: {error}"));
        *stream.url.write().unwrap() = server.url().unwrap().to_owned();
    }
}

/// Ends the stream when it is dropped.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// A commit, as git keeps it.
struct Made {
    id: CommitId,
    object: Vec<u8>,
}

/// What is sent, by all threads together.
struct Stream {
    client: Client,
    url: RwLock<String>,
    commits: Vec<Made>,
    /// How many of the commits are there already.
    pushed: AtomicUsize,
    /// Who is the so-manieth to be answered 202 kills the server.
    killer: Mutex<Option<(usize, Killer)>>,
    over: AtomicBool,
    sent: Mutex<Sent>,
}

/// What became of what was sent.
#[derive(Default)]
struct Sent {
    events: Vec<Event>,
    /// What registrations and ancestry that were answered say.
    bodies: Vec<FactBody>,
    stored: usize,
    known: usize,
    refused: usize,
    broken_off: usize,
    no_server: usize,
    given_up: usize,
}

struct Event {
    cluster: ClusterName,
    body: Vec<u8>,
    /// 202 or 200, and when; none if there was no such answer.
    answer: Option<(u16, DateTime<Utc>)>,
}

impl Stream {
    fn new(server: &Server, seed: u64) -> Self {
        Self {
            client: server.client().unwrap(),
            url: RwLock::new(server.url().unwrap().to_owned()),
            commits: commits(&mut Random::new(seed + 3_000)),
            pushed: AtomicUsize::new(1),
            killer: Mutex::new(None),
            over: AtomicBool::new(false),
            sent: Mutex::default(),
        }
    }

    /// Sends one thing until it is taken or given up, as Flux does, which tries again for 15 s and
    /// then forgets it; here it gives up sooner, so that enough is lost.
    fn deliver(
        &self,
        random: &mut Random,
        send: impl Fn(&Client) -> io::Result<Answer>,
    ) -> Option<Answer> {
        loop {
            let client = self.client.at(self.url.read().unwrap().clone());
            let answer = send(&client);
            if answer.as_ref().is_ok_and(|answer| answer.status == 202) {
                self.kill();
            }
            let mut sent = self.sent.lock().unwrap();
            match answer {
                Ok(answer) if answer.status < 300 => {
                    if answer.status == 200 {
                        sent.known += 1;
                    } else {
                        sent.stored += 1;
                    }
                    return Some(answer);
                }
                Ok(answer) if answer.status >= 500 => sent.refused += 1,
                Ok(answer) => panic!("{answer:?}"),
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    sent.no_server += 1
                }
                Err(_) => sent.broken_off += 1,
            }
            if self.over.load(Relaxed) || random.percent(40) {
                sent.given_up += 1;
                return None;
            }
            drop(sent);
            thread::sleep(Duration::from_millis(5 + random.below(45) as u64));
        }
    }

    fn kill(&self) {
        let mut killer = self.killer.lock().unwrap();
        match &mut *killer {
            Some((left, _)) if *left > 1 => *left -= 1,
            Some((_, now)) => {
                now.kill().unwrap();
                *killer = None;
            }
            None => {}
        }
    }

    fn send_events(&self, script: &Mutex<Script>, mut random: Random) {
        while !self.over.load(Relaxed) {
            let (cluster, body) = script.lock().unwrap().next(self);
            let answer = self.deliver(&mut random, |client| client.event(&cluster, &body));
            let answer = answer.map(|answer| (answer.status, now()));
            self.sent.lock().unwrap().events.push(Event { cluster, body, answer });
            thread::sleep(Duration::from_millis(random.below(25) as u64));
        }
    }

    /// What CI does: commits appear, and some of them are registered, with what git knows of them.
    fn push_and_register(&self, policy: &Policy, mut random: Random) {
        let mut number = 0;
        while !self.over.load(Relaxed) {
            number += 1;
            let pushed = self.pushed.load(Relaxed);
            let place = if random.percent(80) { pushed - 1 } else { random.below(pushed) };
            // Now and then what connects two commits is missing.
            let known = if random.percent(15) { 0 } else { 1 + random.below(9) };
            let objects: Vec<_> =
                self.commits[..=place].iter().rev().take(known).map(|made| &made.object).collect();
            let encoded: Vec<_> = objects.iter().map(|object| STANDARD.encode(object)).collect();
            let ancestry = Ancestry::from_objects(objects).unwrap();
            let mut bodies = Vec::new();
            if !ancestry.is_empty() {
                bodies.push(FactBody::Ancestry(ancestry));
            }
            let answer = if random.percent(80) {
                let environment = ENVIRONMENTS[random.below(ENVIRONMENTS.len())];
                let environment: EnvironmentName = environment.parse().unwrap();
                let commit = self.commits[place].id;
                let declared = policy.of(&environment);
                let mut registration = Registration::new(environment.clone(), commit, &declared)
                    .label("attempt", number.to_string());
                let mut body =
                    json!({"labels": {"attempt": number.to_string()}, "objects": encoded});
                if random.percent(10) {
                    body["timeout"] = json!("1s");
                    registration = registration.timeout(parse_duration("1s").unwrap());
                }
                bodies.push(FactBody::Registered(registration));
                self.deliver(&mut random, |client| client.register(&environment, commit, &body))
            } else {
                let body = json!({"objects": encoded});
                self.deliver(&mut random, |client| client.post("/v1/ancestry", &body))
            };
            if answer.is_some() {
                self.sent.lock().unwrap().bodies.extend(bodies);
            }
            if pushed < COMMITS && random.percent(75) {
                self.pushed.fetch_add(1, Relaxed);
            }
            thread::sleep(Duration::from_millis(random.below(40) as u64));
        }
    }
}

impl Sent {
    fn summary(&self, crashes: usize) -> String {
        format!(
            "{crashes} crashes; {} events and {} other facts; {} answers were 202 or 201, {} 200, {} \
             5xx; {} requests broke off, {} found no server; {} were given up",
            self.events.len(),
            self.bodies.len(),
            self.stored,
            self.known,
            self.refused,
            self.broken_off,
            self.no_server,
            self.given_up
        )
    }

    /// Everything that was answered 202 (or 201) is there, word for word.
    fn check_stored(&self, facts: &[Fact]) {
        let by_id: HashMap<_, _> = facts.iter().map(|fact| (fact.id(), fact)).collect();
        assert_eq!(by_id.len(), facts.len(), "a fact stands twice in the journal");
        let mut answered = 0;
        for event in &self.events {
            if let Some((202, at)) = event.answer {
                let fact = event.fact(at);
                let stored = by_id.get(&fact.id());
                let stored = stored.unwrap_or_else(|| panic!("answered {at}, and lost: {fact:?}"));
                assert_eq!(stored.body, fact.body);
                assert!(stored.at <= at);
                answered += 1;
            }
        }
        for body in &self.bodies {
            assert!(facts.iter().any(|fact| fact.body == *body), "answered, and lost: {body:?}");
        }
        println!("{answered} events answered 202 are there, and {} other facts", self.bodies.len());
    }

    /// What was accepted: all that was answered, whether it had to be stored or not, and what was
    /// stored though the answer did not arrive. Settlements are the server's own.
    fn accepted(&self, facts: &[Fact]) -> Vec<Fact> {
        let stored: HashMap<_, _> = facts.iter().map(|fact| (fact.id(), fact.at)).collect();
        let events = self.events.iter().filter_map(|event| {
            let (status, at) = event.answer.unwrap_or((0, DateTime::UNIX_EPOCH));
            let fact = event.fact(at);
            match stored.get(&fact.id()) {
                Some(at) => Some(event.fact(*at)),
                None => (status == 200).then_some(fact),
            }
        });
        let others = facts
            .iter()
            .filter(|fact| matches!(fact.body, FactBody::Registered(_) | FactBody::Ancestry(_)));
        let mut accepted: Vec<Fact> = events.chain(others.cloned()).collect();
        accepted.sort_by_key(|fact| fact.at);
        accepted
    }
}

impl Event {
    fn fact(&self, at: DateTime<Utc>) -> Fact {
        // Clocks of a machine may differ by the fraction of a second that is not written.
        match observe(&self.cluster, &self.body, at.max(now())) {
            Ok(Ingested::Fact(fact)) => Fact::new(at, fact.body),
            other => panic!("{other:?}"),
        }
    }
}

/// What happens to one Kustomization, event by event.
struct Script {
    cluster: ClusterName,
    name: &'static str,
    commit: usize,
    version: u64,
    next: VecDeque<Value>,
    random: Random,
}

impl Script {
    fn new(cluster: &str, name: &'static str, seed: u64) -> Self {
        let cluster = ClusterName::new(cluster).unwrap();
        let own = cluster.as_str().len() * 10 + name.len();
        let random = Random::new(seed + own as u64);
        Self { cluster, name, commit: 0, version: 1_000, next: VecDeque::new(), random }
    }

    fn next(&mut self, stream: &Stream) -> (ClusterName, Vec<u8>) {
        if self.next.is_empty() {
            self.reconcile(stream);
        }
        let body = self.next.pop_front().unwrap().to_string().into_bytes();
        (self.cluster.clone(), body)
    }

    /// One reconciliation: of a later commit, of one in between left out, of the same, of an earlier.
    fn reconcile(&mut self, stream: &Stream) {
        let newest = stream.pushed.load(Relaxed) - 1;
        self.commit = match self.random.below(100) {
            0..60 => (self.commit + 1).min(newest),
            60..75 => (self.commit + 1 + self.random.below(3)).min(newest),
            75..93 => self.commit,
            _ => self.commit.saturating_sub(1 + self.random.below(3)),
        };
        let id = stream.commits[self.commit].id;
        let seconds = 1 + self.random.below(9);
        let changed = match self.random.below(6) {
            0 if self.name == "infra" => "Kustomization/flux-system/apps configured",
            1 => "ConfigMap/shop/settings deleted",
            _ => "Deployment/shop/web configured",
        };
        let checked = format!("Health check passed in {seconds}s");
        let done = format!("Reconciliation finished in {seconds}s, next run in 10m0s");
        let applying = ("info", "Progressing", changed);
        let succeeded = ("info", "ReconciliationSucceeded", &*done);
        let attempt: &[_] = match self.random.below(100) {
            0..50 => &[applying, ("info", "Progressing", &checked), succeeded],
            50..60 => &[succeeded],
            60..65 => &[applying, succeeded],
            65..78 => &[applying, ("error", "HealthCheckFailed", "timeout waiting for: web")],
            78..86 => &[("error", "BuildFailed", "kustomization path not found")],
            86..90 => &[("error", "ArtifactFailed", "connection refused")],
            90..95 => &[("info", "DependencyNotReady", "Dependencies do not meet ready condition")],
            _ => &[("info", "NewArtifact", "stored artifact")],
        };
        self.version += 1;
        for said in attempt {
            let event = self.event(id, said);
            self.next.push_back(event);
        }
        // The interval goes by, some times: nothing changes.
        for _ in 0..self.random.below(4) {
            self.version += 1;
            let event = self.event(id, &succeeded);
            self.next.push_back(event);
        }
    }

    fn event(&self, commit: CommitId, said: &(&str, &str, &str)) -> Value {
        let (severity, reason, message) = *said;
        let (kind, name) = match reason {
            "NewArtifact" => ("GitRepository", "flux-system"),
            _ => ("Kustomization", self.name),
        };
        let mut metadata = json!({"revision": format!("main@sha1:{commit}")});
        if reason == "ReconciliationSucceeded" {
            metadata["commit_status"] = json!("update");
        }
        json!({
            "involvedObject": {
                "kind": kind, "namespace": "flux-system", "name": name,
                "uid": format!("{}-{name}", self.cluster), "resourceVersion": self.version.to_string(),
            },
            "severity": severity,
            "timestamp": now().to_rfc3339_opts(SecondsFormat::Secs, true),
            "message": message,
            "reason": reason,
            "metadata": metadata,
            "reportingController": "kustomize-controller",
        })
    }
}

/// A history: mostly a line, with merges, and branches that were forced elsewhere.
fn commits(random: &mut Random) -> Vec<Made> {
    let mut made: Vec<Made> = Vec::new();
    for n in 0..COMMITS {
        let parents: &[usize] = match (n, random.below(100)) {
            (0, _) => &[],
            (1..4, _) | (_, 0..80) => &[1],
            (_, 80..93) => &[1, 3],
            _ => &[2],
        };
        let parents: String =
            parents.iter().map(|back| format!("parent {}\n", made[n - back].id)).collect();
        let person = format!("A U Thor <author@example.org> {} +0000", 1_795_000_000 + n);
        let object = format!(
            "tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n{parents}author {person}\ncommitter \
             {person}\n\ncommit {n}\n"
        );
        let id = CommitObject::parse(object.as_bytes()).unwrap().id;
        made.push(Made { id, object: object.into_bytes() });
    }
    made
}

/// SQLite finds nothing wrong with what the last crash left. It looks at a copy: opening a journal
/// mends it.
fn check_file(database: &Path) {
    let copy = tempfile::tempdir().unwrap();
    for end in ["", "-wal"] {
        let name = format!("{}{end}", database.file_name().unwrap().to_string_lossy());
        let from = database.with_file_name(&name);
        if from.exists() {
            fs::copy(from, copy.path().join(name)).unwrap();
        }
    }
    let path = copy.path().join(database.file_name().unwrap());
    let connection = rusqlite::Connection::open(path).unwrap();
    let check = "PRAGMA integrity_check";
    let found: String = connection.query_row(check, [], |row| row.get(0)).unwrap();
    assert_eq!(found, "ok");
}

/// Everything in the journal, in order.
fn read(database: &Path) -> Vec<Fact> {
    let journal = SqliteJournal::open(database).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let entries = runtime.block_on(journal.read_after(0, usize::MAX)).unwrap();
    entries.into_iter().map(|entry| entry.fact).collect()
}

/// A commit's statuses in all environments, as the server tells them.
fn ask(client: &Client, commit: CommitId) -> Vec<Value> {
    let answer = client.get(&format!("/v1/commits/{commit}")).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    let mut statuses = answer.body["statuses"].as_array().unwrap().clone();
    for status in &mut statuses {
        // The position in the journal is the server's own.
        let version = status["version"].as_str().unwrap().rsplit_once('.').unwrap().1.to_owned();
        status["version"] = Value::String(version);
    }
    statuses
}

/// The same statuses by a brain that took in facts one after the other, at the same times. It records
/// settlements itself, if it should.
fn uninterrupted(
    policy: &Policy,
    facts: impl IntoIterator<Item = Fact>,
    told: &[Value],
    records: bool,
) -> Vec<Value> {
    let mut brain = Brain::new(policy.clone());
    for fact in facts {
        if records {
            let_pass(&mut brain, fact.at);
        }
        let effects = brain.apply(&fact, fact.at);
        if records {
            record(&mut brain, effects, fact.at);
        }
    }
    let time = |status: &Value| status["evaluated_at"].as_str().unwrap().parse().unwrap();
    if records && let Some(first) = told.first() {
        let_pass(&mut brain, time(first));
    }
    let statuses = told.iter().map(|status| {
        let environment: EnvironmentName = status["environment"].as_str().unwrap().parse().unwrap();
        let query = Query::new(environment, status["commit"].as_str().unwrap().parse().unwrap());
        serde_json::to_value(brain.status(&query, time(status)).unwrap()).unwrap()
    });
    statuses.collect()
}

/// Does what a host does at each deadline.
fn let_pass(brain: &mut Brain, until: DateTime<Utc>) {
    while let Some(deadline) = brain.next_deadline().filter(|deadline| *deadline <= until) {
        let effects = brain.expire(deadline);
        record(brain, effects, deadline);
        assert!(brain.next_deadline() > Some(deadline), "time stands still");
    }
}

fn record(brain: &mut Brain, effects: Effects, at: DateTime<Utc>) {
    let mut transitions = effects.transitions;
    while let Some(transition) = transitions.pop() {
        if let Some(settlement) = transition.settlement() {
            transitions.extend(brain.apply(&Fact::new(at, settlement), at).transitions);
        }
    }
}

/// Where pairs differ in what is looked at.
fn compare(told: &[Value], expected: &[Value], look: impl Fn(&Value) -> Value) -> Vec<String> {
    let mut differing = Vec::new();
    for (told, expected) in told.iter().zip(expected) {
        let place = format!("{} in {}", told["commit"], told["environment"]);
        differences(&place, &look(told), &look(expected), &mut differing);
    }
    differing
}

fn differences(place: &str, told: &Value, expected: &Value, differing: &mut Vec<String>) {
    match (told, expected) {
        (Value::Object(told), Value::Object(expected)) if told.keys().eq(expected.keys()) => {
            for (name, told) in told {
                differences(&format!("{place}.{name}"), told, &expected[name], differing);
            }
        }
        (Value::Array(told), Value::Array(expected)) if told.len() == expected.len() => {
            for (n, (told, expected)) in told.iter().zip(expected).enumerate() {
                differences(&format!("{place}[{n}]"), told, expected, differing);
            }
        }
        _ if told == expected => {}
        _ => differing.push(format!("{place} is {told}, expected {expected}")),
    }
}

/// A status without what heartbeats say, which are stored once a minute; and without when it was first
/// settled, which is later if the server was not there at the time.
fn apart_from_heartbeats(status: &Value) -> Value {
    let mut status = status.clone();
    let fields = status.as_object_mut().unwrap();
    assert!(fields.remove("version").is_some());
    assert!(fields.remove("first_settled").is_some());
    for reconciler in status["reconcilers"].as_array_mut().unwrap() {
        assert!(reconciler.as_object_mut().unwrap().remove("last_heard_at").is_some());
        let event = &mut reconciler["event"];
        if event["reason"] == "ReconciliationSucceeded" {
            *event = Value::Null;
        }
    }
    status
}

fn now() -> DateTime<Utc> {
    DateTime::from(SystemTime::now())
}
