//! Releases from the command line, in a real repository over HTTP.

use std::process::Output;

use gitops_brain_tests::git_http::{GitServer, git};
use serde_json::Value;

use crate::support::{Stub, assert_exit, brain, problem, status, stderr, stdout};

const KUSTOMIZATION: &str =
    "resources: [web.yaml]\nimages:\n  - name: web # the shop\n    newTag: v1\n";
const WEB: &str = "image: ghcr.io/shop/web:1 # {\"$imagepolicy\": \"flux-system:web\"}\n";

struct Gitops {
    server: GitServer,
    url: String,
}

impl Gitops {
    fn new() -> Self {
        let server = GitServer::start().unwrap();
        let files = [("apps/kustomization.yaml", KUSTOMIZATION), ("apps/web.yaml", WEB)];
        let url = server.repository("gitops", &files).unwrap();
        Self { server, url }
    }

    fn run(&self, brain_url: &str, args: &[&str]) -> Output {
        let mut command = brain(brain_url);
        // A CI job has nobody's name.
        for role in ["AUTHOR", "COMMITTER"] {
            command.env_remove(format!("GIT_{role}_NAME")).env_remove(format!("GIT_{role}_EMAIL"));
        }
        command.env("GITHUB_ACTOR", "ada").env_remove("GITHUB_RUN_ID");
        let at = args.len().min(2);
        let (verb, rest) = args.split_at(at);
        command.args(verb).args(["--repository", &self.url]).args(rest).output().unwrap()
    }

    fn make(&self, args: &[&str]) -> Output {
        let make = ["release", "make", "--app", "web", "--version", "v2"];
        self.run("http://127.0.0.1:9", &[&make[..], args].concat())
    }

    fn git(&self, args: &[&str]) -> String {
        git(&self.server.bare("gitops"), args).unwrap()
    }
}

#[test]
fn an_image_of_a_kustomization_is_released() {
    let gitops = Gitops::new();
    let output = gitops.make(&["--kustomization", "apps", "--image", "web:v2"]);
    assert_exit(&output, 0);
    let commit = gitops.git(&["rev-parse", "main"]);
    assert_eq!(stdout(&output).trim(), commit);
    assert_eq!(
        gitops.git(&["show", "main:apps/kustomization.yaml"]),
        KUSTOMIZATION.replace("v1", "v2").trim()
    );
    assert_eq!(
        gitops.git(&["log", "-1", "--format=%an <%ae>%n%B", "main"]),
        "gitops-brain <gitops-brain@localhost>\nrelease: web v2\n\nApp: web\nVersion: v2\nActor: ada"
    );

    // Once more: there is nothing to change, and the same commit is named.
    let again = gitops.make(&["--kustomization", "apps", "--image", "web:v2", "-o", "json"]);
    assert_exit(&again, 0);
    let said: Value = serde_json::from_str(&stdout(&again)).unwrap();
    assert_eq!((&said["commit"], &said["pushed"]), (&commit.into(), &false.into()));
    assert!(stderr(&again).contains("nothing to change"), "{}", stderr(&again));
}

#[test]
fn a_marker_of_flux_is_followed() {
    let gitops = Gitops::new();
    let output = gitops.make(&["--policy", "flux-system:web=ghcr.io/shop/web:2"]);
    assert_exit(&output, 0);
    assert_eq!(gitops.git(&["show", "main:apps/web.yaml"]), WEB.replace("web:1", "web:2").trim());
    let lost = gitops.make(&["--policy", "flux-system:lost=x:2"]);
    assert_exit(&lost, 2);
    assert!(stderr(&lost).contains("flux-system:lost"), "{}", stderr(&lost));
}

#[test]
fn what_is_wrong_is_told_with_its_place_and_pushes_nothing() {
    let gitops = Gitops::new();
    let before = gitops.git(&["rev-parse", "main"]);
    for (args, said) in [
        (
            &["--file", "apps/web.yaml", "--set", "spec.image=x"][..],
            "apps/web.yaml:1: spec.image is not there",
        ),
        (&["--file", "apps/lost.yaml", "--set", "image=x"], "there is no apps/lost.yaml"),
        (&["--file", "../x", "--set", "image=x"], "no path within the repository"),
        (&["--image", "web:v2"], "there is no kustomization.yaml"),
        (&[], "nothing to change was named"),
        (&["--image", "web:-"], "is no tag"),
        (&["--set", "image=x"], "--file"),
        (&["--file", "apps/web.yaml", "--set", "image=x", "--wait"], "--environment"),
    ] {
        let output = gitops.make(args);
        assert_exit(&output, 2);
        assert!(stderr(&output).contains(said), "{args:?}: {}", stderr(&output));
    }
    let output = gitops.run("http://127.0.0.1:9", &["release", "rollback"]);
    assert_exit(&output, 2);
    assert_eq!(gitops.git(&["rev-parse", "main"]), before);

    let elsewhere = Gitops { url: format!("{}-lost", gitops.url), ..gitops };
    assert_exit(&elsewhere.make(&["--image", "web:v2"]), 5);
}

#[test]
fn a_release_is_registered_with_its_labels_and_listed() {
    let gitops = Gitops::new();
    let stub = Stub::start(|_| status("in_progress", "waiting", "1").into());
    let make = ["release", "make", "--app", "web", "--version", "v2", "--kustomization", "apps"];
    let more =
        ["--image", "web:v2", "-e", "staging", "--label", "team=shop", "--run-url", "https://ci/1"];
    let output = gitops.run(&stub.url, &[&make[..], &more].concat());
    assert_exit(&output, 0);
    let requests = stub.requests();
    let commit = stdout(&output).trim().to_owned();
    let registration = &requests[0];
    assert!(registration.is("PUT", &format!("/v1/rollouts/staging/{commit}")), "{registration:?}");
    let body = registration.json();
    let labels = serde_json::json!({
        "app": "web", "version": "v2", "actor": "ada", "url": "https://ci/1", "team": "shop"
    });
    assert_eq!(body["labels"], labels);
    assert_eq!(body["objects"].as_array().unwrap().len(), 2, "the release and its parent");

    let list = gitops.run(&stub.url, &["release", "list"]);
    assert_exit(&list, 0);
    assert!(stdout(&list).contains("release: web v2"), "{}", stdout(&list));
    let json = gitops.run(&stub.url, &["release", "list", "-o", "json", "--app", "web"]);
    let releases: Value = serde_json::from_str(&stdout(&json)).unwrap();
    assert_eq!(releases[0]["commit"], commit);
    assert_eq!(releases[0]["run_url"], "https://ci/1");
    let shown = gitops.run(&stub.url, &["release", "status", "--app", "web", "-e", "staging"]);
    assert_exit(&shown, 0);
    assert!(stdout(&shown).starts_with("web v2, "), "{}", stdout(&shown));
    assert_exit(&gitops.run(&stub.url, &["release", "status", "--app", "lost"]), 2);
}

#[test]
fn a_server_that_refuses_does_not_undo_the_release() {
    let gitops = Gitops::new();
    let stub = Stub::start(|_| problem(403, "token.scope"));
    let make = ["release", "make", "--app", "web", "--version", "v2", "--kustomization", "apps"];
    let output =
        gitops.run(&stub.url, &[&make[..], &["--image", "web:v2", "-e", "staging"]].concat());
    assert_exit(&output, 4);
    assert_eq!(stdout(&output).trim(), gitops.git(&["rev-parse", "main"]));
}
