//! What stays when the rest is forgotten.

use gitops_brain::{Change, Fact, FactBody};

use crate::said::{A, APPS, B, CHECKED, FINISHED, at, brain, history, policy, say, say_as};

const C: &str = "c0ffee4ff5ac8fed0f274da2d32d9442bc46bca1";

/// The line by which a Kustomization applies another one.
const CONFIGURED: &str = "Kustomization/flux-system/apps configured";

const D: &str = "d0d0ee4ff5ac8fed0f274da2d32d9442bc46bca1";

/// A, then B, then C, then D.
fn four_commits() -> Fact {
    history(&[(A, &[]), (B, &[A]), (C, &[B]), (D, &[C])])
}

/// What is left of some facts of which all is old, in short.
fn left(facts: &[Fact]) -> Vec<String> {
    let mut brain = brain(policy(&[APPS]), facts);
    brain.apply(&Fact::new(at(100), FactBody::Forgotten { before: at(90) }), at(100));
    let letter = |revision: &str| {
        [(A, "A"), (B, "B"), (C, "C"), (D, "D")]
            .into_iter()
            .find_map(|(commit, letter)| revision.ends_with(commit).then_some(letter))
    };
    let short = |fact: Fact| {
        let FactBody::Observed(observed) = fact.body else { return None };
        let revision = observed.revision.as_deref().and_then(letter).unwrap_or("-");
        let minute = (observed.timestamp - at(0)).num_minutes();
        let names = observed.changed_objects.iter().map(|one| {
            let done = if one.change == Change::Deleted { "deleted" } else { "applied" };
            format!(": {} {done}", one.object.name())
        });
        let names: String = names.collect();
        Some(format!("{minute} {} {revision} {}{names}", observed.object.name(), observed.reason))
    };
    let mut left: Vec<_> = brain.facts().filter_map(short).collect();
    left.sort();
    left
}

fn round(name: &str, minute: i64, commit: &str, line: &str) -> [Fact; 3] {
    [
        say(name, minute, commit, "Progressing", line),
        say(name, minute + 1, commit, "Progressing", CHECKED),
        say(name, minute + 2, commit, "ReconciliationSucceeded", FINISHED),
    ]
}

#[test]
fn of_what_is_old_only_where_each_one_is_stays() {
    let facts: Vec<_> = [
        round("apps", 10, A, "Deployment/shop/web created"),
        round("apps", 20, B, "Deployment/shop/web configured"),
        round("apps", 30, C, "Deployment/shop/web configured"),
    ]
    .concat();
    // The first is a sign of life: when the cluster was first heard.
    let expected = [
        "29 apps - ",
        "30 apps C Progressing",
        "31 apps C Progressing",
        "32 apps C ReconciliationSucceeded",
    ];
    assert_eq!(left(&facts), expected);
}

#[test]
fn what_is_old_as_a_whole_keeps_nothing_else() {
    const ROOT: &str = "0123ee4ff5ac8fed0f274da2d32d9442bc46bca1";
    // D lacks A, and they have a beginning in common; what B has is not known.
    let facts = [
        &[history(&[(A, &[ROOT]), (D, &[ROOT])])][..],
        &round("apps", 10, A, "Deployment/shop/web created"),
        &round("apps", 20, B, "Deployment/shop/web configured"),
        &round("apps", 30, D, "Deployment/shop/web configured"),
    ];
    let left = left(&facts.concat());
    assert!(!left.is_empty() && left.iter().all(|line| !line.contains("apps B")), "{left:?}");
}

/// What is left of the lines by which a Kustomization applies others, once it is beyond them.
fn lines_left(facts: &[&[Fact]]) -> Vec<String> {
    let beyond = round("root", 50, D, "Deployment/shop/other configured");
    let mut left = left(&[&[four_commits()], &facts.concat()[..], &beyond].concat());
    left.retain(|line| line.contains(':'));
    left
}

#[test]
fn of_a_parent_those_lines_stay_that_decide_something() {
    let root = |minute, commit| round("root", minute, commit, CONFIGURED);
    let apps = |minute, commit| round("apps", minute, commit, "Deployment/shop/web configured");
    // The child went by each definition: nothing of them decides any more.
    let followed = lines_left(&[&root(10, A), &apps(15, A), &root(20, B), &apps(25, B)]);
    assert!(followed.is_empty(), "{followed:?}");
    // It has not gone by the newest.
    let behind = lines_left(&[&root(10, A), &apps(15, A), &root(20, B), &root(30, C)]);
    assert_eq!(behind, ["30 root C Progressing: apps applied"]);
    // Nor by the one of the revision that it is at, to which it came first.
    let ahead = lines_left(&[&root(10, A), &apps(15, B), &root(20, B), &root(30, C)]);
    assert_eq!(
        ahead,
        ["20 root B Progressing: apps applied", "30 root C Progressing: apps applied"]
    );
}

#[test]
fn of_a_parent_the_newest_line_about_a_release_stays() {
    let root = |minute, commit| round("root", minute, commit, "HelmRelease/shop/web configured");
    let left = lines_left(&[&root(10, A), &root(20, B)]);
    assert_eq!(left, ["20 root B Progressing: web applied"]);
}

#[test]
fn of_a_parent_those_lines_stay_that_tell_of_a_deletion() {
    let root = |minute, commit| round("root", minute, commit, CONFIGURED);
    let apps = round("apps", 15, A, "Deployment/shop/web created");
    let deleted = round("root", 30, C, "Kustomization/flux-system/apps deleted");
    let gone = lines_left(&[&root(10, A), &apps, &root(20, B), &deleted]);
    assert_eq!(
        gone,
        ["20 root B Progressing: apps applied", "30 root C Progressing: apps deleted"]
    );
    let back = lines_left(&[&root(10, A), &apps, &deleted, &root(40, C)]);
    assert_eq!(
        back,
        ["30 root C Progressing: apps deleted", "40 root C Progressing: apps applied"]
    );
}

#[test]
fn what_happened_at_that_time_or_later_stays() {
    let kept = |minute| {
        let facts = [
            &round("apps", 10, A, "Deployment/shop/web created")[..],
            &[say("apps", minute, B, "Progressing", "Deployment/shop/web configured")],
            &round("apps", 95, C, "Deployment/shop/web configured"),
        ];
        left(&facts.concat()).contains(&format!("{minute} apps B Progressing"))
    };
    assert_eq!((kept(89), kept(90), kept(91)), (false, true, true));
}

#[test]
fn what_a_source_had_stays_if_it_is_not_old() {
    let seen = |minute, commit| {
        say_as("GitRepository", "repo", "r", minute, commit, "NewArtifact", "stored artifact")
    };
    let left = left(&[seen(10, A), seen(90, B), seen(95, C)]);
    assert_eq!(left, ["90 repo B NewArtifact", "94 repo - ", "95 repo C NewArtifact"]);
}

#[test]
fn another_life_of_an_object_stays_if_it_is_not_old() {
    let life = |uid, minute, commit| {
        say_as("Kustomization", "apps", uid, minute, commit, "Progressing", CHECKED)
    };
    let left = left(&[life("first", 10, A), life("second", 91, B), life("third", 95, C)]);
    assert_eq!(left, ["90 apps - ", "91 apps B Progressing", "95 apps C Progressing"]);
}
