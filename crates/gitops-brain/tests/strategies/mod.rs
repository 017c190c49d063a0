//! Random small worlds: a few reconcilers, a few commits, and everything that Flux says of them.
//!
//! Times and resourceVersions are of small domains, so that ties happen; attempts are mostly
//! consistent, as Flux makes them, and sometimes not, as an attacker or a bug would.

use std::{collections::BTreeSet, fmt, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use gitops_brain::{
    Ancestry, ClusterName, CommitId, Contains, Environment, EnvironmentName, Fact, FactBody,
    HealthChecks, Ingested, ObjectName, Outcome, Parents, Policy, Query, ReconcilerPolicy,
    Registration, Require, Selector, Settlement, observe,
};
use proptest::{collection::vec, prelude::*, sample::Index};
use serde_json::json;

pub(crate) const COMMITS: usize = 7;

/// What a test is given.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) policy: Policy,
    pub(crate) facts: Vec<Fact>,
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", serde_json::to_string(&self.policy).unwrap())?;
        f.write_str(&brief(&self.facts))
    }
}

const RECONCILERS: [&str; 5] = [
    "a/Kustomization/flux-system/root",
    "a/Kustomization/shop/web",
    "a/Kustomization/shop/api",
    "a/HelmRelease/shop/cache",
    "b/Kustomization/flux-system/root",
];

/// The last of these has no commit.
const OCI_ONLY: usize = COMMITS;

pub(crate) fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

pub(crate) fn after(seconds: u64) -> DateTime<Utc> {
    start() + Duration::from_secs(seconds)
}

pub(crate) fn commit(index: usize) -> CommitId {
    // Not in the order in which they descend.
    let mixed = [0x5a, 0x1c, 0xc3, 0x7e, 0x09, 0xe1, 0x42][index % COMMITS];
    format!("{mixed:02x}{index:038x}").parse().unwrap()
}

pub(crate) fn commits() -> impl Iterator<Item = CommitId> {
    (0..COMMITS).map(commit)
}

pub(crate) fn environments() -> Vec<EnvironmentName> {
    ["a", "b", "prod"].map(|name| name.parse().unwrap()).into()
}

/// The instants at which questions are asked.
pub(crate) fn instants() -> impl Strategy<Value = DateTime<Utc>> {
    prop_oneof![
        (0_u64..40).prop_map(after),
        prop_oneof![Just(60_u64), Just(125), Just(131), Just(612), Just(700), Just(100_000)]
            .prop_map(after),
    ]
}

fn reconciler(index: usize) -> ObjectName {
    RECONCILERS[index % RECONCILERS.len()].parse().unwrap()
}

/// One reconcile attempt, and what was said in it.
#[derive(Clone, Debug)]
struct Attempt {
    reconciler: usize,
    uid: usize,
    second: i64,
    resource_version: i64,
    commit: usize,
    form: u8,
    /// Whether the controller sends the event API v1, and nothing on the way drops its fields.
    v1: bool,
    delay: i64,
    said: Vec<(i64, Said)>,
}

#[derive(Clone, Debug)]
enum Said {
    /// Children by bits, and whether they were created, configured or deleted.
    Changed {
        children: u8,
        deleted: u8,
        other: bool,
    },
    Healthy,
    Succeeded,
    Unmarked,
    Blocked,
    Canceled,
    Failed {
        reason: usize,
        canceled: bool,
    },
    WithoutRevision {
        reason: usize,
        spoofed: bool,
    },
    Deleted {
        reason: usize,
        children: u8,
    },
    Unknown,
}

const REASONS: [&str; 8] = [
    "HealthCheckFailed",
    "HealthCheckFailed",
    "ReconciliationFailed",
    "BuildFailed",
    "PruneFailed",
    "ArtifactFailed",
    "Progressing",
    "DirectoryCreationFailed",
];

fn said() -> impl Strategy<Value = Said> {
    prop_oneof![
        4 => (0_u8..32, 0_u8..32, any::<bool>()).prop_map(|(children, deleted, other)| {
            // Lists of Flux objects are rarer than lists of others.
            let children = if children >= 16 { children & 15 } else { 0 };
            let deleted = if deleted >= 24 { deleted & 7 } else { 0 };
            Said::Changed { children, deleted, other: other || children == 0 && deleted == 0 }
        }),
        4 => Just(Said::Healthy),
        6 => Just(Said::Succeeded),
        1 => Just(Said::Unmarked),
        1 => Just(Said::Blocked),
        1 => Just(Said::Canceled),
        4 => (0_usize..8, prop::bool::weighted(0.1))
            .prop_map(|(reason, canceled)| Said::Failed { reason, canceled }),
        1 => (0_usize..3, any::<bool>())
            .prop_map(|(reason, spoofed)| Said::WithoutRevision { reason, spoofed }),
        1 => (0_usize..5, 0_u8..8).prop_map(|(reason, children)| Said::Deleted { reason, children }),
        1 => Just(Said::Unknown),
    ]
}

/// The order in which Flux says things, most often.
fn sequence() -> impl Strategy<Value = Vec<Said>> {
    let changed = |other| Said::Changed { children: 0, deleted: 0, other };
    let failed = |reason| Said::Failed { reason, canceled: false };
    prop_oneof![
        Just(vec![changed(true), Said::Healthy, Said::Succeeded]),
        Just(vec![changed(true), Said::Succeeded]),
        Just(vec![Said::Succeeded]),
        Just(vec![changed(true), failed(0)]),
        Just(vec![failed(2)]),
        (1_u8..16).prop_map(|children| vec![
            Said::Changed { children, deleted: 0, other: true },
            Said::Succeeded
        ]),
        vec(said(), 1..4),
        vec(said(), 1..3),
        said().prop_map(|said| vec![said]),
    ]
}

fn attempt(reconcilers: usize) -> impl Strategy<Value = Attempt> {
    let form = (0_u8..12, prop::bool::weighted(0.3));
    let when = (0_i64..12, prop_oneof![8 => Just(-1_i64), 1 => Just(0_i64), 1 => 1_i64..120]);
    let what = (0..COMMITS + 1, form);
    let who = (0..reconcilers, prop_oneof![6 => Just(0_usize), 1 => Just(1_usize)]);
    let told = (prop_oneof![Just(100_i64), Just(250), Just(4_000)], sequence(), vec(0_i64..3, 4));
    (who, when, what, told).prop_map(
        |((reconciler, uid), (second, version), (commit, (form, v1)), (delay, said, offsets))| {
            let mut offsets: Vec<_> = offsets.into_iter().take(said.len()).collect();
            offsets.sort_unstable();
            let resource_version = match version {
                // One version for each attempt, and each later than those before.
                -1 => second * 100 + 7 * i64::try_from(commit).unwrap() + i64::from(form % 7) + 1,
                other => other * 10,
            };
            let said = offsets.into_iter().zip(said).collect();
            Attempt { reconciler, uid, second, resource_version, commit, form, v1, delay, said }
        },
    )
}

impl Attempt {
    /// How long it says it took, in seconds.
    fn took(&self) -> i64 {
        i64::from(self.form % 4)
    }
}

fn facts_of(attempt: &Attempt) -> Vec<Fact> {
    attempt.said.iter().map(|(offset, said)| event(attempt, *offset, said)).collect()
}

fn event(attempt: &Attempt, offset: i64, said: &Said) -> Fact {
    let name = reconciler(attempt.reconciler);
    let helm = name.kind() == "HelmRelease";
    let (severity, reason, message, commit_status) = if helm {
        words_of_helm(said, attempt.form)
    } else {
        words_of_kustomize(said, attempt.took())
    };
    let mut metadata = serde_json::Map::new();
    let mut set = |key: &str, value: String| metadata.insert(key.to_owned(), value.into());
    let hex = commit(attempt.commit);
    if helm {
        match attempt.form {
            // A template that an author wrote.
            0..4 if attempt.commit < OCI_ONLY => {
                set("revision", format!("6.5.{}", attempt.commit % 3));
                set("commit", hex.to_string());
            }
            // A chart out of the repository, with values files and without.
            4..10 => {
                let generation = if attempt.form == 4 { ".2" } else { "" };
                set("revision", format!("6.5.0+{hex:.12}{generation}"));
            }
            // A digest that happens to begin as a commit does.
            10 => {
                set("revision", format!("6.5.0+{hex:.12}"));
                set("oci-digest", format!("sha256:{hex}{hex:.24}"));
            }
            _ => {
                set("revision", format!("6.5.{}", attempt.commit % 3));
            }
        }
    } else {
        // Now and then another artifact is made of the same commit.
        let digest = format!("latest@sha256:{:063x}{}", attempt.commit, attempt.second / 4 % 2);
        match attempt.form {
            _ if attempt.commit == OCI_ONLY => {
                set("revision", digest);
            }
            0 | 4 | 5 => {
                set("revision", digest);
                set("originRevision", format!("main@sha1:{hex}"));
            }
            1 => {
                set("revision", format!("main/{hex}"));
            }
            2 => {
                set("revision", format!("sha1:{hex}"));
                // An annotation that passes through.
                set("originRevision", format!("main@sha1:{}", commit(0)));
            }
            3 => {
                set("kustomize.toolkit.fluxcd.io/revision", format!("release/1@sha1:{hex}"));
                set("commit", commit(1).to_string());
            }
            _ => {
                set("revision", format!("main@sha1:{hex}"));
            }
        }
    }
    let without = match said {
        Said::WithoutRevision { spoofed, .. } => !spoofed,
        // helm-controller sends these without any metadata.
        Said::Blocked | Said::Canceled => helm && attempt.form.is_multiple_of(2),
        _ => false,
    };
    if without {
        metadata.clear();
    }
    if commit_status {
        metadata.insert("commit_status".to_owned(), "update".into());
    }
    let timestamp = start() + TimeDelta::seconds(attempt.second + offset);
    let mut body = json!({
        "involvedObject": {
            "kind": name.kind(),
            "namespace": name.namespace(),
            "name": name.name(),
            "uid": format!("uid-{}-{}", attempt.reconciler, attempt.uid),
            "resourceVersion": if attempt.resource_version == 0 {
                String::new()
            } else {
                attempt.resource_version.to_string()
            },
        },
        "severity": severity,
        "timestamp": timestamp.to_rfc3339(),
        "message": message,
        "reason": reason,
        "metadata": metadata,
    });
    if attempt.v1 && !helm {
        let (action, related) = action_of(said, attempt.form);
        body["action"] = action.into();
        if related {
            let source =
                json!({"kind": "GitRepository", "namespace": "flux-system", "name": "repo"});
            body["relatedObject"] = source;
        }
    }
    observed(name.cluster(), &body, timestamp + TimeDelta::milliseconds(attempt.delay))
}

fn observed(cluster: &str, body: &serde_json::Value, at: DateTime<Utc>) -> Fact {
    let cluster = ClusterName::new(cluster).unwrap();
    match observe(&cluster, body.to_string().as_bytes(), at).unwrap() {
        Ingested::Fact(fact) => *fact,
        other => panic!("{other:?}"),
    }
}

/// The action of kustomize-controller, and whether it names the source.
fn action_of(said: &Said, form: u8) -> (&'static str, bool) {
    match said {
        Said::Changed { children: 0, other: false, .. } => ("Prune", true),
        Said::Changed { .. } => ("Apply", true),
        Said::Healthy | Said::Canceled => ("HealthCheck", true),
        // What ends a deletion without pruning.
        Said::Succeeded => ("Reconcile", form != 11),
        Said::Unmarked | Said::Failed { .. } => ("Reconcile", true),
        Said::Blocked => ("CheckDependencies", true),
        Said::WithoutRevision { .. } => ("ResolveSource", false),
        Said::Deleted { children: 0, .. } => ("WaitForTermination", false),
        Said::Deleted { .. } => ("Finalize", false),
        Said::Unknown => ("SomethingNew", true),
    }
}

/// Lines about the Flux objects that have their bits set.
fn lines(children: u8, change: &str) -> String {
    (0..4_u8)
        .filter(|bit| children & (1 << bit) != 0)
        .map(|bit| {
            let name = reconciler(usize::from(bit));
            format!("{}/{}/{} {change}\n", name.kind(), name.namespace(), name.name())
        })
        .collect()
}

type Words = (&'static str, &'static str, String, bool);

fn words_of_kustomize(said: &Said, took: i64) -> Words {
    match said {
        Said::Changed { children, deleted, other } => {
            let other = if *other { "Deployment/shop/web configured\n" } else { "" };
            let change = if children % 2 == 0 { "created" } else { "configured" };
            let mut message = lines(*children, change) + &lines(*deleted, "deleted") + other;
            if message.is_empty() {
                message = "ConfigMap/shop/old deleted".to_owned();
            }
            ("info", "Progressing", message, false)
        }
        Said::Healthy => ("info", "Progressing", format!("Health check passed in {took}s"), false),
        Said::Succeeded => {
            ("info", "ReconciliationSucceeded", format!("Reconciliation finished in {took}s"), true)
        }
        Said::Unmarked => {
            ("info", "ReconciliationSucceeded", "Reconciliation finished in 1s".to_owned(), false)
        }
        Said::Blocked => ("info", "DependencyNotReady", "Dependencies are not".to_owned(), false),
        Said::Canceled => {
            ("info", "HealthCheckCanceled", "Health checks canceled".to_owned(), false)
        }
        Said::Failed { reason, canceled } => {
            let message = if *canceled { "wait: context canceled" } else { "it failed" };
            ("error", REASONS[*reason], message.to_owned(), false)
        }
        Said::WithoutRevision { reason, .. } => {
            let reason = ["AccessDenied", "InvalidCELExpression", "FeatureGateDisabled"][*reason];
            ("error", reason, "it cannot".to_owned(), false)
        }
        Said::Deleted { reason, children } => {
            // Whatever the reason was before; the last of them is of objects that cannot be pruned.
            let (severity, reason) = [
                ("info", "ReconciliationSucceeded"),
                ("info", "HealthCheckFailed"),
                ("info", "Progressing"),
                ("error", "ReconciliationSucceeded"),
                ("error", "BuildFailed"),
            ][*reason];
            let message = match severity {
                "info" => format!("{}Deployment/shop/web deleted\n", lines(*children, "deleted")),
                _ => "pruning for deleted resource failed".to_owned(),
            };
            (severity, reason, message, *children == 7)
        }
        Said::Unknown => ("info", "SomethingNew", "Something happened".to_owned(), false),
    }
}

fn words_of_helm(said: &Said, form: u8) -> Words {
    let (severity, reason) = match said {
        Said::Changed { .. } => ("info", "DriftCorrected"),
        Said::Healthy => ("info", "TestSucceeded"),
        Said::Succeeded => {
            ("info", if form.is_multiple_of(2) { "InstallSucceeded" } else { "UpgradeSucceeded" })
        }
        Said::Unmarked => ("info", "PendingRelease"),
        Said::Blocked => ("info", "DependencyNotReady"),
        Said::Canceled => ("info", "HealthCheckCanceled"),
        Said::Failed { reason, .. } => (
            "error",
            [
                "UpgradeFailed",
                "InstallFailed",
                "TestFailed",
                "DriftDetected",
                "InventoryBuildFailed",
                "NamespaceCheckSkipped",
                "UninstallFailed",
                "RollbackFailed",
            ][*reason],
        ),
        Said::WithoutRevision { reason, .. } => {
            ("error", ["AccessDenied", "ArtifactFailed", "ValuesError"][*reason])
        }
        Said::Deleted { .. } => (
            "info",
            if form.is_multiple_of(2) { "RollbackSucceeded" } else { "UninstallSucceeded" },
        ),
        Said::Unknown => ("info", "SomethingNew"),
    };
    let canceled = matches!(said, Said::Failed { canceled: true, .. });
    let message = match said {
        _ if canceled => "helm: context canceled",
        Said::Deleted { children: 0..4, .. } => {
            "Helm uninstall succeeded for release shop/cache.v1"
        }
        _ => "Helm did something",
    };
    (severity, reason, message.to_owned(), false)
}

fn of_source() -> impl Strategy<Value = Fact> {
    let name = prop_oneof![2 => Just("repo"), 1 => Just("other")];
    (0_i64..12, any::<bool>(), any::<bool>(), 0..COMMITS, name).prop_map(
        |(second, second_cluster, failed, seen, name)| {
            let timestamp = start() + TimeDelta::seconds(second);
            let mut body = json!({
                "involvedObject": {
                    "kind": "GitRepository", "namespace": "flux-system", "name": name,
                    "uid": format!("uid-{name}"), "resourceVersion": (second * 100).to_string(),
                },
                "severity": if failed { "error" } else { "info" },
                "timestamp": timestamp.to_rfc3339(),
                "message": if failed { "failed to checkout" } else { "stored artifact" },
                "reason": if failed { "GitOperationFailed" } else { "NewArtifact" },
            });
            if !failed {
                body["metadata"] = json!({"revision": format!("main@sha1:{}", commit(seen))});
            }
            let cluster = if second_cluster { "b" } else { "a" };
            observed(cluster, &body, timestamp + TimeDelta::milliseconds(100))
        },
    )
}

fn selectors() -> impl Strategy<Value = Vec<Selector>> {
    let names = RECONCILERS.into_iter().chain([
        "a/Kustomization/shop/*",
        "*/Kustomization/*/root",
        "a/*/shop/*",
        "b/Kustomization/*/*",
        "a/Kustomization/shop/silent",
    ]);
    let names: Vec<Selector> = names.map(|name| name.parse().unwrap()).collect();
    prop_oneof![
        2 => Just(Vec::new()),
        3 => prop::sample::subsequence(names, 1..4),
    ]
}

fn seconds(of: &'static [u64]) -> impl Strategy<Value = Duration> {
    prop::sample::select(of).prop_map(Duration::from_secs)
}

fn require() -> impl Strategy<Value = Require> {
    prop_oneof![2 => Just(Require::Healthy), 1 => Just(Require::Applied)]
}

fn health_checks() -> impl Strategy<Value = HealthChecks> {
    prop_oneof![
        3 => Just(HealthChecks::Inferred),
        1 => Just(HealthChecks::Enabled),
        1 => Just(HealthChecks::Disabled),
    ]
}

fn environment() -> impl Strategy<Value = Environment> {
    let graces = (
        seconds(&[0, 0, 3, 200]),
        seconds(&[0, 2, 120]),
        seconds(&[0, 0, 0, 4, 600]),
        seconds(&[5, 20, 1800]),
    );
    (selectors(), require(), health_checks(), graces).prop_map(
        |(selectors, require, health_checks, (failure, transient, learning, timeout))| {
            selectors
                .into_iter()
                .fold(Environment::default(), Environment::expect)
                .require(require)
                .health_checks(health_checks)
                .failure_grace(failure)
                .transient_grace(transient)
                .learning(learning)
                .timeout(timeout)
        },
    )
}

fn policy() -> impl Strategy<Value = Policy> {
    let reconcilers = vec((0..7_usize, health_checks()), 0..3);
    let all_declared = prop_oneof![Just(Vec::new()), vec(environment(), 3)];
    (all_declared, reconcilers).prop_map(|(declared, reconcilers)| {
        let mut policy = Policy::default();
        for (name, environment) in environments().into_iter().zip(declared) {
            policy = policy.environment(name, environment);
        }
        for (index, checks) in reconcilers {
            let selector = match index {
                5 => "a/Kustomization/*/*".parse().unwrap(),
                6 => "*/Kustomization/shop/w*".parse().unwrap(),
                name => Selector::from(reconciler(name)),
            };
            policy = policy.reconciler(selector, ReconcilerPolicy::default().health_checks(checks));
        }
        policy
    })
}

/// What a registration may expect besides what is declared.
pub(crate) fn expectation() -> impl Strategy<Value = BTreeSet<Selector>> {
    prop::option::weighted(0.3, 0_usize..5)
        .prop_map(|name| name.map(|name| Selector::from(reconciler(name))).into_iter().collect())
}

fn registration() -> impl Strategy<Value = Fact> {
    let key = (0_usize..3, 0..COMMITS);
    let when = prop_oneof![(0_u64..14).prop_map(|second| second * 1000), 0_u64..14_000];
    (key, environment(), when, prop::option::weighted(0.3, 0_u8..3), expectation()).prop_map(
        |((environment, of), declared, at, label, more)| {
            let name = environments()[environment].clone();
            let mut registration = Registration::new(name, commit(of), &declared).expect(more);
            if let Some(label) = label {
                registration = registration.label("app", label.to_string());
            }
            Fact::new(start() + Duration::from_millis(at), FactBody::Registered(registration))
        },
    )
}

fn settlement() -> impl Strategy<Value = Fact> {
    let outcome =
        prop_oneof![Just(Outcome::Succeeded), Just(Outcome::Failed), Just(Outcome::TimedOut)];
    (0_usize..3, 0..COMMITS, 0_u32..2, outcome, 0_u64..14).prop_map(
        |(environment, of, n, outcome, at)| {
            let name = environments()[environment].clone();
            let settlement = Settlement::new(name, commit(of), n, outcome);
            Fact::new(after(at), FactBody::Settled(settlement))
        },
    )
}

fn removal() -> impl Strategy<Value = Fact> {
    (0_usize..5, 0_u64..14_000).prop_map(|(index, at)| {
        let reconciler = reconciler(index);
        Fact::new(start() + Duration::from_millis(at), FactBody::Removed { reconciler })
    })
}

/// Pieces of one graph: commits descend from lower ones, and two have no parents.
fn ancestry() -> impl Strategy<Value = Vec<Fact>> {
    let parents = vec((any::<Index>(), prop::option::weighted(0.3, any::<Index>())), COMMITS);
    let known = prop_oneof![
        Just(vec![true; COMMITS]),
        Just(vec![true; COMMITS]),
        vec(prop::bool::weighted(0.6), COMMITS),
    ];
    let contains = vec((any::<Index>(), any::<Index>()), 0..3);
    // Claims can contradict each other.
    let lies = prop_oneof![
        19 => Just(Vec::new()),
        1 => vec((0..COMMITS, 0..COMMITS), 1..3),
    ];
    let second_root = 1..COMMITS + 3;
    (parents, known, contains, lies, second_root, 0_u64..14).prop_map(
        |(parents, known, contains, lies, second_root, at)| {
            let of = |index: usize| -> Vec<CommitId> {
                if index == 0 || index == second_root {
                    return Vec::new();
                }
                let (first, second) = &parents[index];
                // Mostly a line, with branches.
                let first = [index - 1, index - 1, first.index(index)][first.index(3)];
                let second = second.map(|second| second.index(index)).filter(|one| *one != first);
                std::iter::once(first).chain(second).map(commit).collect()
            };
            let mut facts = Vec::new();
            let mut tell = |parents: Vec<Parents>, contains: Vec<Contains>| {
                let mut ancestry = Ancestry::claimed(parents);
                ancestry.contains = contains;
                facts.push(Fact::new(after(at), FactBody::Ancestry(ancestry)));
            };
            for index in (0..COMMITS).filter(|index| known[*index]) {
                tell(vec![Parents { commit: commit(index), parents: of(index) }], Vec::new());
            }
            for (later, earlier) in contains {
                let later = 1 + later.index(COMMITS - 1);
                // True of the real graph: what the chain of first parents leads to.
                let mut reached = vec![commit(later)];
                let mut ancestors = Vec::new();
                while let Some(one) = reached.pop() {
                    let index = commits().position(|other| other == one).unwrap();
                    for parent in of(index) {
                        ancestors.push(parent);
                        reached.push(parent);
                    }
                }
                if !ancestors.is_empty() {
                    let ancestor = ancestors[earlier.index(ancestors.len())];
                    tell(
                        Vec::new(),
                        vec![Contains { commit: commit(later), ancestors: vec![ancestor] }],
                    );
                }
            }
            for (one, other) in lies {
                tell(
                    vec![Parents { commit: commit(one), parents: vec![commit(other)] }],
                    Vec::new(),
                );
            }
            facts
        },
    )
}

/// What one who asks may want for itself.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    selectors: Vec<Selector>,
    require: Option<Require>,
    grace: Option<Duration>,
}

impl Asked {
    pub(crate) fn of(&self, query: Query) -> Query {
        let mut query = self.selectors.iter().cloned().fold(query, Query::reconciler);
        query.require = self.require;
        query.failure_grace = self.grace;
        query
    }
}

pub(crate) fn asked() -> impl Strategy<Value = Asked> {
    (selectors(), prop::option::of(require()), prop::option::of(seconds(&[0, 5, 300])))
        .prop_map(|(selectors, require, grace)| Asked { selectors, require, grace })
}

/// The facts of a world, in the order in which they were made.
pub(crate) fn world() -> impl Strategy<Value = World> {
    let attempts = (1_usize..6).prop_flat_map(|reconcilers| vec(attempt(reconcilers), 1..9));
    let others = (
        vec(of_source(), 0..3),
        vec(registration(), 0..4),
        vec(settlement(), 0..2),
        vec(removal(), 0..2),
    );
    (policy(), attempts, ancestry(), others).prop_map(
        |(policy, attempts, ancestry, (sources, registrations, settlements, removals))| {
            let mut facts: Vec<Fact> = attempts.iter().flat_map(facts_of).collect();
            facts.extend(ancestry);
            facts.extend(sources);
            facts.extend(registrations);
            facts.extend(settlements);
            // One in three worlds.
            if policy.reconcilers.len() == 1 {
                facts.extend(removals);
            }
            facts.sort_by_key(|fact| fact.at);
            World { policy, facts }
        },
    )
}

/// The facts in short, for whoever reads a failure.
fn brief(facts: &[Fact]) -> String {
    let number = |text: &str| {
        commits()
            .position(|commit| text.contains(&commit.to_string()))
            .map_or_else(|| "-".to_owned(), |index| format!("c{index}"))
    };
    let mut text = String::new();
    for fact in facts {
        let at = (fact.at - start()).num_milliseconds();
        let line = match &fact.body {
            FactBody::Observed(said) => {
                let lines: Vec<_> = said
                    .changed_objects
                    .iter()
                    .map(|line| format!("{} {:?}", line.object, line.change))
                    .collect();
                format!(
                    "{} {} t{} rv{} {:?} {}{}{}{} {} {:?} origin {:?} commit {} {:?}",
                    said.object,
                    said.uid,
                    (said.timestamp - start()).num_seconds(),
                    said.resource_version,
                    said.proof(),
                    said.reason,
                    if said.created_or_configured { " c/c" } else { "" },
                    if said.only_deletions { " only deletions" } else { "" },
                    if said.commit_status { " update" } else { "" },
                    number(&said.commit().map_or_else(String::new, |id| id.to_string())),
                    said.revision.as_deref().map(|text| text.get(..14).unwrap_or(text)),
                    said.origin_revision.as_deref().map(number),
                    said.commit_annotation.as_deref().map_or_else(String::new, number),
                    lines,
                )
            }
            FactBody::Ancestry(ancestry) => {
                let list = |ids: &[CommitId]| -> Vec<String> {
                    ids.iter().map(|id| number(&id.to_string())).collect()
                };
                let parents = ancestry.parents.iter().map(|known| {
                    format!("{} <- {:?} ", number(&known.commit.to_string()), list(&known.parents))
                });
                let contains = ancestry.contains.iter().map(|known| {
                    format!(
                        "{} .. {:?} ",
                        number(&known.commit.to_string()),
                        list(&known.ancestors)
                    )
                });
                parents.chain(contains).collect()
            }
            FactBody::Registered(registration) => {
                format!("{} {registration:?}", number(&registration.commit.to_string()))
            }
            body => format!("{body:?}"),
        };
        text.push_str(&format!("{at}ms {line}\n"));
    }
    text
}
