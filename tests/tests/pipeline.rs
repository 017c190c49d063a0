//! A pipeline as a developer has it: `gitops-brain release make --wait` in a real repository over HTTP,
//! a real server, and a cluster that does what Flux does: polls, applies, and posts signed events.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a failed test says where")]

use std::{
    collections::BTreeMap,
    path::Path,
    process::{Command, Output, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use chrono::Utc;
use gitops_brain::{ClusterName, Environment, Policy};
use gitops_brain_tests::{
    git_http::{self, GitServer, git},
    kustomization_event::KustomizationEvent,
    process::{Client, Server, TOKEN, binary},
};

const DEPLOYMENT: &str = "kind: Deployment\nspec: {image: \"app:1\"} # kept\n";

/// What kustomize-controller says of a manifest that the API server does not take.
const REFUSAL: &str = "Deployment/shop/app-1 dry-run failed (Invalid): Deployment.apps \"app-1\" is \
                       invalid: spec.template.spec.containers[0].image: Required value";

/// A cluster with one Kustomization over the whole repository, which waits for what it applies.
struct Cluster {
    name: ClusterName,
    client: Client,
    repository: String,
    suspended: Arc<AtomicBool>,
}

impl Cluster {
    /// Polls as source-controller does, only more often.
    fn run(self) {
        let mirror = tempfile::tempdir().unwrap();
        git(mirror.path(), &["clone", "--quiet", "--bare", &self.repository, "."]).unwrap();
        let mut applied = String::new();
        for resource_version in (100..).step_by(10) {
            thread::sleep(Duration::from_millis(100));
            if self.suspended.load(Ordering::Relaxed) {
                continue;
            }
            // The server of the repository ends with the test.
            if git(mirror.path(), &["fetch", "--quiet", "origin", "+main:main"]).is_err() {
                return;
            }
            let head = git(mirror.path(), &["rev-parse", "main"]).unwrap();
            if head != applied {
                self.apply(mirror.path(), &head, resource_version);
                applied = head;
            }
        }
    }

    fn apply(&self, mirror: &Path, head: &str, resource_version: u64) {
        let send = |severity, reason, message: &str| {
            self.send(head, resource_version, severity, reason, message);
        };
        if git(mirror, &["grep", "--quiet", "app:broken", head]).is_ok() {
            return send("error", "ReconciliationFailed", REFUSAL);
        }
        send("info", "Progressing", "Deployment/shop/app-1 configured");
        send("info", "Progressing", "Health check passed in 25.124446ms");
        let finished = "Reconciliation finished in 202.966872ms, next run in 10m0s";
        send("info", "ReconciliationSucceeded", finished);
    }

    fn send(&self, head: &str, resource_version: u64, severity: &str, reason: &str, message: &str) {
        let event = KustomizationEvent {
            name: "apps",
            uid: "09403fe4-7b5b-4693-a590-787cc75ef071",
            resource_version,
            severity,
            reason,
            message,
            commit: Some(head.parse().unwrap()),
            is_success: reason == "ReconciliationSucceeded",
            at: Utc::now(),
        };
        let answer = self.client.event(&self.name, event.body().as_bytes());
        // Where the server is gone the test has ended.
        if let Ok(answer) = answer {
            assert!(matches!(answer.status, 200 | 202), "{answer:?}");
        }
    }
}

struct Pipeline {
    git_server: GitServer,
    repository: String,
    url: String,
    suspended: Arc<AtomicBool>,
    _server: Server,
}

impl Pipeline {
    /// A repository with this many apps, and the cluster that it is deployed to.
    fn start(apps: usize) -> Self {
        let name: ClusterName = "staging".parse().unwrap();
        let reconciler = "staging/Kustomization/flux-system/apps".parse().unwrap();
        let mut environment = Environment::default();
        environment.reconcilers = vec![reconciler];
        let mut policy = Policy::default();
        policy.environments.insert("staging".parse().unwrap(), environment);
        let keys = BTreeMap::from([(name.clone(), "the key of staging".to_owned())]);
        let mut server = Server::new(&policy, keys).unwrap();
        server.start().unwrap();

        let git_server = GitServer::start().unwrap();
        let paths: Vec<_> = (1..=apps).map(|n| format!("apps/app-{n}.yaml")).collect();
        let files: Vec<_> = paths.iter().map(|path| (&**path, DEPLOYMENT)).collect();
        let repository = git_server.repository("gitops", &files).unwrap();
        let suspended = Arc::new(AtomicBool::new(false));
        let cluster = Cluster {
            name,
            client: server.client().unwrap(),
            repository: repository.clone(),
            suspended: suspended.clone(),
        };
        thread::spawn(|| cluster.run());
        let url = server.url().unwrap().to_owned();
        Self { git_server, repository, url, suspended, _server: server }
    }

    fn release(&self, app: usize, tag: &str) -> Command {
        let mut command = Command::new(binary().unwrap());
        git_http::plain(&mut command);
        command
            .args(["release", "make", "--repository", &self.repository, "--wait", "-e", "staging"])
            .args(["--timeout", "60s", "--app", &format!("app-{app}"), "--version", tag])
            .args(["--file", &format!("apps/app-{app}.yaml")])
            .args(["--set", &format!("spec.image=app:{tag}")])
            .env("GITOPS_BRAIN_URL", &self.url)
            .env("GITOPS_BRAIN_TOKEN", TOKEN)
            .env_remove("GITHUB_ACTIONS")
            .env_remove("GITLAB_CI")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn log(&self) -> Vec<String> {
        let log = git(&self.git_server.bare("gitops"), &["log", "--format=%H", "main"]).unwrap();
        log.lines().map(str::to_owned).collect()
    }
}

/// The commit that was printed first, once the exit code is as expected.
#[track_caller]
fn commit(output: &Output, exit: i32) -> (String, String) {
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let notes = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(exit), "{said}{notes}");
    (said.lines().next().expect("a commit").to_owned(), said)
}

#[test]
fn a_release_goes_green_red_and_green_again() {
    let pipeline = Pipeline::start(1);
    let (green, said) = commit(&pipeline.release(1, "2").output().unwrap(), 0);
    assert!(said.contains("succeeded:"), "{said}");
    assert_eq!(pipeline.log().first(), Some(&green));

    let (_, said) = commit(&pipeline.release(1, "broken").output().unwrap(), 1);
    assert!(said.contains("  | Deployment/shop/app-1 dry-run failed (Invalid)"), "{said}");
    assert!(said.contains("ReconciliationFailed"), "{said}");

    let mut rollback = Command::new(binary().unwrap());
    git_http::plain(&mut rollback);
    rollback
        .args(["release", "rollback", "--app", "app-1", "--repository", &pipeline.repository])
        .args(["--wait", "-e", "staging", "--timeout", "60s"])
        .env("GITOPS_BRAIN_URL", &pipeline.url)
        .env("GITOPS_BRAIN_TOKEN", TOKEN);
    commit(&rollback.output().unwrap(), 0);
    let bare = pipeline.git_server.bare("gitops");
    let content = git(&bare, &["show", "main:apps/app-1.yaml"]).unwrap();
    assert_eq!(content, DEPLOYMENT.replace("app:1", "app:2").trim());
    let subject = git(&bare, &["log", "-1", "--format=%s %(trailers:key=App,valueonly)", "main"]);
    assert_eq!(subject.unwrap(), "rollback: app-1 broken app-1");
}

#[test]
fn a_commit_that_flux_skips_is_green_by_way_of_its_successor() {
    let pipeline = Pipeline::start(2);
    pipeline.suspended.store(true, Ordering::Relaxed);
    let before = pipeline.log().len();
    let skipped = pipeline.release(1, "2").spawn().unwrap();
    while pipeline.log().len() == before {
        thread::sleep(Duration::from_millis(20));
    }
    let later = pipeline.release(2, "2").spawn().unwrap();
    while pipeline.log().len() == before + 1 {
        thread::sleep(Duration::from_millis(20));
    }
    pipeline.suspended.store(false, Ordering::Relaxed);
    let (_, said) = commit(&skipped.wait_with_output().unwrap(), 0);
    let (later, _) = commit(&later.wait_with_output().unwrap(), 0);
    assert!(said.contains(&format!("main@sha1:{later}, which contains this commit")), "{said}");
}

#[test]
fn eight_pipelines_at_once_all_go_green_and_lose_nothing() {
    const APPS: usize = 8;
    let pipeline = Pipeline::start(APPS);
    let before = pipeline.log().len();
    let running: Vec<_> =
        (1..=APPS).map(|app| pipeline.release(app, "2").spawn().unwrap()).collect();
    let ended = running.into_iter().map(|running| running.wait_with_output().unwrap());
    let commits: Vec<_> = ended.map(|output| commit(&output, 0).0).collect();
    let log = pipeline.log();
    assert_eq!(log.len(), before + APPS);
    assert!(commits.iter().all(|commit| log.contains(commit)), "{commits:?} in {log:?}");
    for app in 1..=APPS {
        let name = format!("main:apps/app-{app}.yaml");
        let content = git(&pipeline.git_server.bare("gitops"), &["show", &name]).unwrap();
        assert_eq!(content, DEPLOYMENT.replace("app:1", "app:2").trim());
    }
}
