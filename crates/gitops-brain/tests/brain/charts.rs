//! Releases whose chart is a folder of the gitops repository.

use gitops_brain::{
    Ancestry, Brain, Changed, Contains, EnvironmentName, Fact, FactBody, MAX_REVISIONS, Reason,
    Registration, State,
};

use crate::said::{
    A, APPS, B, CHECKED, at, brain, history, parents, policy, query, say, say_as, waits,
};

const WEB: &str = "staging/HelmRelease/flux-system/web";

fn release(minute: i64, version: &str) -> Fact {
    say_as("HelmRelease", "web", "w", minute, version, "UpgradeSucceeded", "upgrade succeeded")
}

/// B, as the version of a chart tells it.
fn of_b() -> String {
    format!("0.1.0+{}", &B[..12])
}

fn registered(minute: i64) -> Fact {
    let environment: EnvironmentName = "staging".parse().unwrap();
    let declared = policy(&[WEB]).of(&environment);
    let told = Registration::new(environment, B.parse().unwrap(), &declared);
    Fact::new(at(minute), FactBody::Registered(told))
}

fn state(brain: &Brain) -> State {
    brain.status(&query(B), at(20)).unwrap().state
}

#[test]
fn who_waits_is_woken_when_it_is_known_of_which_commit_a_chart_was_made() {
    let mut brain = brain(policy(&[WEB]), &[release(1, &of_b())]);
    assert_eq!(state(&brain), State::Pending);
    let id = waits(&mut brain, query(B), at(2));
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
    let status = brain.status(&query(B), at(3)).unwrap();
    assert_eq!((status.state, status.reason), (State::Pending, Reason::RolledBack));
}

#[test]
fn of_two_charts_at_one_instant_the_same_one_counts_in_either_order() {
    let facts = [release(1, &of_b()), release(1, &format!("0.1.0+{}", &A[..12]))];
    let one = brain(policy(&[WEB]), &facts);
    let [first, second] = facts;
    let other = brain(policy(&[WEB]), &[second, first]);
    let head =
        |brain: &Brain| brain.status(&query(B), at(2)).unwrap().reconcilers.swap_remove(0).head;
    assert_eq!(head(&one), Some(of_b()));
    assert_eq!(head(&other), head(&one));
    assert!(one == other);
}

#[test]
fn what_a_chart_does_not_tell_is_said() {
    let message = |name, version| {
        let web = say_as("HelmRelease", "web", "w", 1, version, "UpgradeSucceeded", "upgraded");
        let apps = say("apps", 1, A, "Progressing", CHECKED);
        let status = brain(policy(&[name]), &[web, apps]).status(&query(B), at(20)).unwrap();
        (status.message, status.remedy.unwrap())
    };
    let (unknown, remedy) = message(WEB, "0.1.0+c0ffee4ff5ac");
    let said =
        format!("; how the commit that begins with c0ffee4ff5ac relates to {B} is not known");
    assert!(unknown.starts_with(WEB) && unknown.contains(&said), "{unknown}");
    assert!(remedy.starts_with("send the commit objects"), "{remedy}");
    let (plain, remedy) = message(WEB, "6.5.0");
    let said = format!("{WEB} reports chart versions, which say nothing about a commit: ");
    assert!(plain.starts_with(&said), "{plain}");
    assert!(remedy.starts_with("expect the Kustomization that applies it"), "{remedy}");
    let (of_a_commit, remedy) = message(APPS, "6.5.0");
    assert!(
        of_a_commit.contains(&format!("; how it relates to {B} is not known")),
        "{of_a_commit}"
    );
    assert!(remedy.starts_with("send the commit objects"), "{remedy}");
}

/// What waits for others has not taken up its revision, and so it is the first to go; its words stay.
#[test]
fn which_chart_was_spoken_of_last_is_kept_whatever_goes() {
    let charts = (1..MAX_REVISIONS).map(|number| format!("0.1.0+{number:012x}"));
    let mut facts: Vec<_> = charts.map(|version| release(1, &version)).collect();
    let blocked = "infra is not ready";
    let waits = say_as("HelmRelease", "web", "w", 2, &of_b(), "DependencyNotReady", blocked);
    facts.extend([waits, release(1, &format!("0.1.0+{}", &A[..12]))]);
    let kept = brain(policy(&[WEB]), &facts);
    let last = kept.facts().filter_map(|fact| match fact.body {
        FactBody::Observed(observed) if &*observed.message == blocked => observed.revision,
        _ => None,
    });
    assert_eq!(last.map(String::from).collect::<Vec<_>>(), [format!("+{}", &B[..12])]);
}
