//! Kustomizations that apply others.

use gitops_brain::{Fact, ReconcilerFilter, ReconcilerStatus, State, Verdict};

use crate::said::{
    A, APPS, B, C, CHECKED, at, brain, history, policy, query, say, say_as, unversioned,
};

/// Where the child stands with a commit, if both are expected.
fn child(facts: &[Fact], commit: &str) -> ReconcilerStatus {
    let both = policy(&[APPS, "staging/Kustomization/flux-system/root"]);
    let status = brain(both, facts).status(&query(commit), at(30)).unwrap();
    status.reconcilers.into_iter().next().unwrap()
}

#[test]
fn what_was_done_before_a_parent_applied_a_change_again_does_not_count() {
    let line = "Kustomization/flux-system/apps configured";
    let told = [
        say("root", 1, A, "Progressing", line),
        say("root", 2, A, "Progressing", CHECKED),
        say("apps", 3, A, "Progressing", "Deployment/shop/web configured"),
        say("apps", 4, A, "Progressing", CHECKED),
    ];
    // Somebody had changed it by hand.
    let again =
        [say("root", 9, A, "Progressing", line), say("root", 10, A, "Progressing", CHECKED)];
    let after = [say("apps", 11, A, "Progressing", CHECKED)];
    let state = |facts: &[&[Fact]]| child(&facts.concat(), A).state;
    assert_eq!(state(&[&told]), State::Healthy);
    assert_eq!(state(&[&told, &again]), State::Pending);
    assert_eq!(state(&[&again, &told]), State::Pending);
    assert_eq!(state(&[&told, &again, &after]), State::Healthy);
    let other = say("root", 9, A, "Progressing", "Kustomization/flux-system/other configured");
    assert_eq!(state(&[&told, &[other]]), State::Healthy);
    // What is done at the same instant may have begun before.
    let applied = say("apps", 9, A, "Progressing", "Deployment/shop/web configured");
    let [change, _] = again.map(unversioned);
    assert_eq!(state(&[&told, &[change, unversioned(applied)]]), State::Pending);
}

#[test]
fn what_was_done_by_a_former_definition_does_not_count_at_a_later_commit_either() {
    let other = "Deployment/shop/other configured";
    let facts = [
        history(&[(B, &[A]), (C, &[B])]),
        say("root", 1, A, "Progressing", other),
        // It is ahead of its parent, which brings the definition of B only then.
        say("apps", 8, C, "Progressing", CHECKED),
        say("root", 10, B, "Progressing", "Kustomization/flux-system/apps configured"),
        say("root", 20, C, "Progressing", other),
    ];
    assert_eq!(child(&facts[..3], B).state, State::Healthy);
    assert_eq!(child(&facts, B).state, State::Pending);
}

/// The definition of a later commit takes nothing from what was applied of an earlier one.
#[test]
fn what_was_applied_before_a_later_definition_stays_applied() {
    let other = "Deployment/shop/other configured";
    let facts = [
        history(&[(B, &[A]), (C, &[B])]),
        say("root", 9, B, "Progressing", other),
        say("apps", 10, B, "Progressing", other),
        say("apps", 20, C, "Progressing", CHECKED),
        say("root", 30, C, "Progressing", "Kustomization/flux-system/apps configured"),
    ];
    let apps = child(&facts, A);
    assert_eq!((apps.state, apps.via), (State::Applied, B.parse().ok()));
}

#[test]
fn what_speaks_after_its_parent_deleted_it_is_there() {
    let line = "Kustomization/flux-system/apps deleted";
    let heard = |minute| say("apps", minute, A, "Progressing", CHECKED);
    let is_deleted = |minute| {
        let facts = [heard(1), say("root", 5, B, "Progressing", line), heard(minute)];
        let reports = brain(policy(&[APPS]), &facts).reconcilers(&ReconcilerFilter::default());
        reports.iter().any(|one| one.reconciler.name() == "apps" && one.deleted)
    };
    assert_eq!([3, 5, 7].map(is_deleted), [true, false, false]);
}

#[test]
fn of_one_that_only_its_parent_named_nothing_is_known() {
    let line = "Kustomization/flux-system/apps created\nHelmRelease/flux-system/web created";
    let brain = brain(policy(&[APPS]), &[say("root", 1, A, "Progressing", line)]);
    let reports = brain.reconcilers(&ReconcilerFilter::default());
    let known: Vec<_> = reports
        .iter()
        .map(|one| (one.reconciler.name(), one.health_checks.verdict, one.state, &one.head))
        .filter(|(name, ..)| *name != "root")
        .collect();
    // A HelmRelease waits, unless somebody says otherwise.
    let web = ("web", Verdict::Checks, State::Pending, &None);
    assert_eq!(known, [web, ("apps", Verdict::Unknown, State::Pending, &None)]);
}

/// Nothing that is kept would tell of it.
#[test]
fn what_is_applied_of_no_revision_is_not_taken_for_a_child() {
    let line = "Kustomization/flux-system/apps configured";
    let applied = |commit| say_as("Kustomization", "root", "root", 1, commit, "Progressing", line);
    let known = |commit| {
        let reports =
            brain(policy(&[]), &[applied(commit)]).reconcilers(&ReconcilerFilter::default());
        reports.iter().map(|report| report.reconciler.name().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!((known(A), known("")), (vec!["apps".into(), "root".into()], vec!["root".into()]));
}
