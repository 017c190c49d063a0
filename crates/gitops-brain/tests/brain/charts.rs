//! Releases whose chart is a folder of the gitops repository.

use gitops_brain::{
    Ancestry, Brain, Changed, Contains, EnvironmentName, Fact, FactBody, Query, Reason,
    Registration, State, Watch,
};

use crate::said::{A, B, CHECKED, at, brain, history, parents, policy, say, say_as};

const WEB: &str = "staging/HelmRelease/flux-system/web";

fn release(minute: i64, version: &str) -> Fact {
    say_as("HelmRelease", "web", "w", minute, version, "UpgradeSucceeded", "upgrade succeeded")
}

/// B, as the version of a chart tells it.
fn of_b() -> String {
    format!("0.1.0+{}", &B[..12])
}

fn query() -> Query {
    Query::new("staging".parse().unwrap(), B.parse().unwrap())
}

fn registered(minute: i64) -> Fact {
    let environment: EnvironmentName = "staging".parse().unwrap();
    let declared = policy(&[WEB]).of(&environment);
    let told = Registration::new(environment, B.parse().unwrap(), &declared);
    Fact::new(at(minute), FactBody::Registered(told))
}

fn state(brain: &Brain) -> State {
    brain.status(&query(), at(20)).unwrap().state
}

#[test]
fn who_waits_is_woken_when_it_is_known_of_which_commit_a_chart_was_made() {
    let mut brain = brain(policy(&[WEB]), &[release(1, &of_b())]);
    assert_eq!(state(&brain), State::Pending);
    let Watch::Waiting(id) = brain.watch(query(), None, at(2)).unwrap() else {
        panic!("nobody has named B");
    };
    // Another reconciler tells that there is such a commit, and nothing of the release.
    let told = say("apps", 3, B, "Progressing", CHECKED);
    let effects = brain.apply(&told, at(3));
    assert_eq!((effects.changed, effects.woken), (Changed::Knowledge, vec![id]));
    assert_eq!(state(&brain), State::Healthy);
    // What is known already is no news, charts or not.
    assert_eq!(brain.apply(&told, at(4)).changed, Changed::Nothing);
}

#[test]
fn of_which_commit_a_chart_was_made_is_not_forgotten() {
    let mut brain = brain(policy(&[WEB]), &[registered(0), release(1, &of_b())]);
    assert_eq!(state(&brain), State::Healthy);
    let long = 60 * 24 * 100;
    let forgotten = FactBody::Forgotten { before: at(long) };
    brain.apply(&Fact::new(at(long), forgotten), at(long));
    let ancestry = brain.facts().find_map(|fact| match fact.body {
        FactBody::Ancestry(ancestry) => Some(ancestry),
        _ => None,
    });
    let known = Contains { commit: B.parse().unwrap(), ancestors: Vec::new() };
    assert_eq!(ancestry.unwrap().contains, [known]);
    assert_eq!(state(&brain), State::Healthy);
    // Where its parents are told it needs no second word.
    let parents = parents(B, &[A]);
    let told = Ancestry::claimed(vec![parents]);
    brain.apply(&Fact::new(at(long), FactBody::Ancestry(told.clone())), at(long));
    let kept = brain.facts().filter(|fact| matches!(fact.body, FactBody::Ancestry(_)));
    assert_eq!(kept.map(|fact| fact.body).collect::<Vec<_>>(), [FactBody::Ancestry(told)]);
}

#[test]
fn a_release_that_went_back_to_an_older_chart_is_rolled_back() {
    let told = history(&[(B, &[A]), (A, &[])]);
    let of_a = format!("0.1.0+{}", &A[..12]);
    let brain = brain(policy(&[WEB]), &[told, release(1, &of_b()), release(2, &of_a)]);
    let status = brain.status(&query(), at(3)).unwrap();
    assert_eq!((status.state, status.reason), (State::Pending, Reason::RolledBack));
}

#[test]
fn of_two_charts_at_one_instant_the_same_one_counts_in_either_order() {
    let facts = [release(1, &of_b()), release(1, &format!("0.1.0+{}", &A[..12]))];
    let one = brain(policy(&[WEB]), &facts);
    let [first, second] = facts;
    let other = brain(policy(&[WEB]), &[second, first]);
    let head =
        |brain: &Brain| brain.status(&query(), at(2)).unwrap().reconcilers.swap_remove(0).head;
    assert_eq!(head(&one), Some(of_b()));
    assert_eq!(head(&other), head(&one));
    assert!(one == other);
}
