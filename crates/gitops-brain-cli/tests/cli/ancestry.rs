//! What checkouts prove about commits, also shallow ones.

use std::{collections::HashMap, path::Path, sync::Mutex};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use gitops_brain::CommitObject;
use serde_json::{Value, json};

use crate::support::{Stub, assert_exit, brain, commit, git, repository, run, status, stdout};

/// The parents that raw objects prove, by commit.
fn proved(body: &Value) -> HashMap<String, Vec<String>> {
    let objects = body["objects"].as_array().cloned().unwrap_or_default();
    objects
        .iter()
        .map(|object| {
            let content = STANDARD.decode(object.as_str().unwrap()).unwrap();
            let object = CommitObject::parse(&content).unwrap();
            (object.id.to_string(), object.parents.iter().map(ToString::to_string).collect())
        })
        .collect()
}

#[test]
fn a_registration_carries_the_last_200_commits() {
    let folder = tempfile::tempdir().unwrap();
    let commits = repository(folder.path(), 205);
    let stub = Stub::start(|_| status("in_progress", "waiting", "1").into());
    let output = brain(&stub.url)
        .args(["register", "-e", "staging", "--label", "app=shop", "--timeout", "5m"])
        .args(["--expect", "staging/Kustomization/shop/web"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert_exit(&output, 0);
    let [request] = &stub.requests()[..] else { panic!() };
    assert!(request.is("PUT", &format!("/v1/rollouts/staging/{}", commits[204])));
    let body = request.json();
    let proved = proved(&body);
    assert_eq!(proved.len(), 200);
    assert_eq!(proved[&commits[204]], [commits[203].clone()]);
    assert_eq!(body["timeout"], "5m");
    assert_eq!(body["labels"], json!({ "app": "shop" }));
    assert_eq!(body["expect"], json!(["staging/Kustomization/shop/web"]));
}

#[test]
fn names_that_git_knows_are_resolved() {
    let folder = tempfile::tempdir().unwrap();
    let commits = repository(folder.path(), 2);
    git(folder.path(), &["branch", "feature/x", "HEAD~1"]);
    let stub = Stub::start(|_| status("in_progress", "waiting", "1").into());
    let checkout = folder.path().to_str().unwrap();
    for name in ["HEAD~1", "feature/x", &commits[0][..8]] {
        let args = ["-C", checkout, "register", name, "-e", "staging"];
        assert_exit(&run(&stub.url, &args), 0);
    }
    for request in stub.requests() {
        assert!(request.path.ends_with(&commits[0]), "{}", request.path);
    }
    let output = run(&stub.url, &["-C", checkout, "register", "nowhere", "-e", "staging"]);
    assert_exit(&output, 2);
}

#[test]
fn a_shallow_checkout_shows_true_parents() {
    let folder = tempfile::tempdir().unwrap();
    let commits = repository(&folder.path().join("origin"), 5);
    clone_shallow(folder.path(), "ci");
    let stub = Stub::start(|_| status("in_progress", "waiting", "1").into());
    let checkout = folder.path().join("ci");
    let args = ["-C", checkout.to_str().unwrap(), "register", "-e", "staging"];
    assert_exit(&run(&stub.url, &args), 0);
    let proved = proved(&stub.requests()[0].json());
    assert_eq!(proved, HashMap::from([(commits[4].clone(), vec![commits[3].clone()])]));
}

fn clone_shallow(folder: &Path, name: &str) {
    let origin = format!("file://{}", folder.join("origin").display());
    git(folder, &["clone", "--quiet", "--depth=1", &origin, name]);
}

/// A server at which a later commit is live that it cannot relate, until it is told how.
fn ignorant(live: String) -> Stub {
    let head = format!("main@sha1:{live}");
    ignorant_of(live, "staging/Kustomization/shop/web", head)
}

fn ignorant_of(live: String, reconciler: &'static str, head: String) -> Stub {
    let told = Mutex::new(HashMap::new());
    Stub::start(move |request| {
        if request.method == "PUT" {
            told.lock().unwrap().extend(proved(&request.json()));
        }
        if request.is("POST", "/v1/ancestry") {
            told.lock().unwrap().extend(proved(&request.json()));
            return json!({}).into();
        }
        let asked = request.path.split('?').next().unwrap().rsplit('/').next().unwrap();
        let (outcome, reason) = match descends(&told.lock().unwrap(), &live, asked) {
            true => ("succeeded", "succeeded"),
            false => ("in_progress", "ancestry_unknown"),
        };
        let mut status = status(outcome, reason, outcome);
        status["reconcilers"][0]["reconciler"] = reconciler.into();
        status["reconcilers"][0]["head"] = head.clone().into();
        status.into()
    })
}

fn descends(parents: &HashMap<String, Vec<String>>, from: &str, to: &str) -> bool {
    from == to || parents.get(from).is_some_and(|of| of.iter().any(|id| descends(parents, id, to)))
}

#[test]
fn unknown_ancestry_is_fetched_and_sent() {
    for shallow in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let origin = folder.path().join("origin");
        repository(&origin, 3);
        if shallow {
            clone_shallow(folder.path(), "ci");
        } else {
            git(folder.path(), &["clone", "--quiet", "origin", "ci"]);
        }
        // What happens after the job has begun: others push, with a merge among it.
        git(&origin, &["checkout", "--quiet", "-b", "side"]);
        commit(&origin, "on the side");
        git(&origin, &["checkout", "--quiet", "main"]);
        git(&origin, &["merge", "--quiet", "--no-ff", "-m", "merge", "side"]);
        let live = commit(&origin, "later");
        let stub = ignorant(live.clone());
        let ci = folder.path().join("ci");
        let output = run(
            &stub.url,
            &["-C", ci.to_str().unwrap(), "wait", "-e", "staging", "--timeout", "10s"],
        );
        assert_exit(&output, 0);
        let said = stdout(&output);
        assert!(said.contains(&format!("main@sha1:{} is live: sent", &live[..10])), "{said}");
    }
}

#[test]
fn the_commit_of_a_chart_is_fetched_and_sent() {
    let folder = tempfile::tempdir().unwrap();
    let origin = folder.path().join("origin");
    repository(&origin, 3);
    git(folder.path(), &["clone", "--quiet", "origin", "ci"]);
    let live = commit(&origin, "later");
    let head = format!("0.1.0+{}.2", &live[..12]);
    let stub = ignorant_of(live, "staging/HelmRelease/shop/web", head.clone());
    let ci = folder.path().join("ci");
    let output =
        run(&stub.url, &["-C", ci.to_str().unwrap(), "wait", "-e", "staging", "--timeout", "10s"]);
    assert_exit(&output, 0);
    let said = stdout(&output);
    assert!(said.contains(&format!("{head} is live: sent 2 commits")), "{said}");
}

#[test]
fn a_live_commit_that_cannot_be_had_is_told_once() {
    let folder = tempfile::tempdir().unwrap();
    repository(&folder.path().join("origin"), 2);
    git(folder.path(), &["clone", "--quiet", "origin", "ci"]);
    let stub = ignorant("84539404ff5ac8fed0f274da2d32d9442bc46bca".to_owned());
    let ci = folder.path().join("ci");
    let output =
        run(&stub.url, &["-C", ci.to_str().unwrap(), "wait", "-e", "staging", "--timeout", "3s"]);
    assert_exit(&output, 3);
    let said = stdout(&output);
    assert_eq!(said.matches("its relation cannot be told").count(), 1, "{said}");
    assert!(said.contains("is the checkout at"), "{said}");
    assert!(!stub.requests().iter().any(|request| request.method == "POST"));
}

#[test]
fn replaced_objects_are_sent_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let commits = repository(folder.path(), 3);
    git(folder.path(), &["replace", "--graft", &commits[2], &commits[0]]);
    let stub = Stub::start(|_| status("in_progress", "waiting", "1").into());
    let args = ["-C", folder.path().to_str().unwrap(), "register", "-e", "staging"];
    assert_exit(&run(&stub.url, &args), 0);
    let proved = proved(&stub.requests()[0].json());
    assert_eq!(proved[&commits[2]], [commits[1].clone()]);
}
