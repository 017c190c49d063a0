//! What stays when the rest is forgotten.

use gitops_brain::{Brain, Change, Fact, FactBody, Reason, ReconcilerFilter, Severity, State};

use crate::said::{
    A, APPS, B, C, CHECKED, D, FINISHED, at, brain, changed, history, policy, query, say, say_as,
};

/// The line by which a Kustomization applies another one.
const CONFIGURED: &str = "Kustomization/flux-system/apps configured";

/// A, then B, then C, then D.
fn four_commits() -> Fact {
    history(&[(A, &[]), (B, &[A]), (C, &[B]), (D, &[C])])
}

fn forget(brain: &mut Brain) {
    brain.apply(&Fact::new(at(100), FactBody::Forgotten { before: at(90) }), at(100));
}

/// What is left of some facts of which all is old, in short.
fn left(facts: &[Fact]) -> Vec<String> {
    let mut brain = brain(policy(&[APPS]), facts);
    forget(&mut brain);
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
    // Nor is it found in what is kept in memory.
    let mut brain = brain(policy(&[APPS]), &facts.concat());
    let of_b = query(B);
    assert!(!brain.status(&of_b, at(100)).unwrap().timeline.is_empty());
    forget(&mut brain);
    assert_eq!(brain.status(&of_b, at(100)).unwrap().timeline, []);
}

/// Or what it undid would count again.
#[test]
fn what_undid_something_stays_as_long_as_that() {
    let applied = |minute, commit| {
        say("apps", minute, commit, "Progressing", "Deployment/shop/web configured")
    };
    let canceled = |minute, commit| {
        say("apps", minute, commit, "HealthCheckCanceled", "Health checks canceled")
    };
    let failed = say("apps", 10, B, "BuildFailed", "accumulating resources");
    let [created, checked, succeeded] = round("apps", 10, B, "Deployment/shop/web created");
    let was_healthy = [created, checked, succeeded, applied(20, A), applied(95, B), applied(96, C)];
    let had_failed = [failed, applied(20, A), canceled(95, B), canceled(96, C)];
    let of_b = query(B);
    for (facts, state) in [(&was_healthy[..], State::Applied), (&had_failed[..], State::Pending)] {
        let facts = [&[four_commits()][..], facts].concat();
        let left = left(&facts);
        assert!(left.contains(&"20 apps A Progressing".to_owned()), "{left:?}");
        let mut brain = brain(policy(&[APPS]), &facts);
        assert_eq!(brain.status(&of_b, at(100)).unwrap().state, state);
        forget(&mut brain);
        assert_eq!(brain.status(&of_b, at(100)).unwrap().state, state);
    }
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
fn of_a_parent_at_revisions_without_commits_those_lines_stay_too() {
    let [one, two] = ["1", "2"].map(|digit| format!("latest@sha256:{}", digit.repeat(64)));
    let said = |name, minute, revision: &str, message| {
        say_as("Kustomization", name, name, minute, revision, "Progressing", message)
    };
    // The child came first to where its parent changes it, and is not where the parent went then.
    let facts = [
        said("apps", 15, &one, CHECKED),
        said("root", 20, &one, CONFIGURED),
        said("root", 30, &two, CONFIGURED),
    ];
    let left = lines_left(&[&facts]);
    assert_eq!(
        left,
        ["20 root - Progressing: apps applied", "30 root - Progressing: apps applied"]
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
fn a_revision_of_which_a_line_stays_does_not_look_better_than_it_ended() {
    let facts = [
        &round("root", 10, A, "Kustomization/flux-system/apps deleted")[..],
        &[say("root", 15, A, "ArtifactFailed", "no such artifact")],
        &round("root", 50, D, "Deployment/shop/other configured"),
    ];
    let left = left(&facts.concat());
    let of_a: Vec<_> = left.iter().filter(|line| line.contains("root A")).collect();
    assert_eq!(of_a, ["10 root A Progressing: apps deleted", "15 root A ArtifactFailed"]);
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

#[test]
fn what_another_life_of_a_parent_deleted_stays_deleted() {
    let root = |uid, minute, message| {
        say_as("Kustomization", "root", uid, minute, A, "Progressing", message)
    };
    let facts = [
        &round("apps", 5, A, "Deployment/shop/web created")[..],
        &[
            root("first", 10, "Kustomization/flux-system/apps deleted"),
            root("second", 95, "Deployment/shop/other configured"),
        ],
    ];
    let left = left(&facts.concat());
    assert!(left.contains(&"10 root A Progressing: apps deleted".to_owned()), "{left:?}");
}

/// What is known, written down and read again; it is the same.
#[track_caller]
fn restored(facts: &[Fact]) -> Brain {
    let before = brain(policy(&[APPS]), facts);
    let facts: Vec<_> = before.facts().collect();
    let after = brain(policy(&[APPS]), &facts);
    assert_eq!(after.facts().collect::<Vec<_>>(), facts);
    after
}

/// What helm-controller does after a failure is no error, and no success either.
#[test]
fn a_remedy_stays_what_it_was() {
    let said =
        |minute, reason, message| say_as("HelmRelease", "web", "w", minute, A, reason, message);
    let facts = [
        said(1, "UpgradeFailed", "context deadline exceeded"),
        said(2, "RollbackSucceeded", "rollback to v1 succeeded"),
    ];
    let brain = restored(&facts);
    let severities = brain.facts().filter_map(|fact| match fact.body {
        FactBody::Observed(observed) if !observed.reason.is_empty() => {
            Some((observed.reason.into_owned(), observed.severity))
        }
        _ => None,
    });
    let expected = [("UpgradeFailed", Severity::Error), ("RollbackSucceeded", Severity::Info)];
    let expected = expected.map(|(reason, severity)| (reason.to_owned(), severity));
    assert_eq!(severities.collect::<Vec<_>>(), expected);
}

#[test]
fn what_was_canceled_is_no_failure_when_it_is_read_again() {
    let facts = [
        say("apps", 1, A, "Progressing", "Deployment/shop/web created"),
        say("apps", 2, A, "HealthCheckFailed", "health check failed: context canceled"),
        say("apps", 3, B, "Progressing", "Deployment/shop/web created"),
    ];
    let of_a = query(A);
    let status = |brain: &Brain| {
        let status = brain.status(&of_a, at(4)).unwrap();
        (status.state, status.timeline)
    };
    assert_eq!(status(&restored(&facts)), status(&brain(policy(&[APPS]), &facts)));
    let at_a = brain(policy(&[APPS]), &restored(&facts[..2]).facts().collect::<Vec<_>>());
    assert_eq!(at_a.status(&of_a, at(4)).unwrap().reason, Reason::Interrupted);
}

/// `finalize` sends the deletions with whatever reason the object had last.
#[test]
fn a_deletion_is_told_in_the_words_that_it_was_told_in() {
    let line = "Kustomization/flux-system/web deleted";
    let deleted = say("apps", 9, A, "ReconciliationSucceeded", line);
    let deleted = changed(deleted, |observed| observed.reason = "ArtifactFailed".into());
    let checked = say("apps", 1, A, "Progressing", CHECKED);
    let event = |brain: Brain| {
        let report = brain.reconcilers(&ReconcilerFilter::default()).swap_remove(0);
        let event = report.event.unwrap();
        (report.deleted, event.reason, event.message)
    };
    let facts = [checked, deleted, say("apps", 12, A, "ArtifactFailed", "no such artifact")];
    let deleted = (true, "ArtifactFailed".to_owned(), line.to_owned());
    assert_eq!(event(restored(&facts[..2])), deleted);
    // What its controller says of it after that does not bring it back.
    let (is_deleted, ..) = event(restored(&facts));
    assert!(is_deleted);
}
