//! Set-ups that something is wrong with, and what is found of them.

use gitops_brain::{
    Brain, Fact, FactBody, Finding, FindingCode, MAX_RECONCILERS, Policy, Registration,
};

use crate::said::{A, APPS, B, CHECKED, FINISHED, at, brain, policy, say};

#[track_caller]
fn only(findings: &[Finding], code: FindingCode, subject: &str) {
    let found: Vec<_> = findings.iter().map(|one| (one.code, &*one.subject)).collect();
    assert_eq!(found, [(code, subject)]);
    assert!(!findings.iter().any(|one| one.message.is_empty() || one.remedy.is_empty()));
    assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
}

/// All that a waiting Kustomization says of a commit.
fn healthy(name: &str, minute: i64, commit: &str) -> Vec<Fact> {
    vec![
        say(name, minute, commit, "Progressing", "Deployment/shop/web configured"),
        say(name, minute, commit, "Progressing", CHECKED),
        say(name, minute, commit, "ReconciliationSucceeded", FINISHED),
    ]
}

#[test]
fn where_all_is_well_nothing_is_found() {
    assert_eq!(brain(policy(&[APPS]), &healthy("apps", 0, A)).findings(at(30)), []);
    assert_eq!(Brain::new(Policy::default()).findings(at(0)), []);
}

#[test]
fn clusters_that_say_nothing_are_found() {
    let nothing = brain(policy(&[APPS]), &[]).findings(at(0));
    only(&nothing, FindingCode::ClusterNeverHeard, "staging");
    // To be named by a person is not to be heard.
    let removed = FactBody::Removed { reconciler: APPS.parse().unwrap() };
    let named = brain(policy(&[APPS]), &[Fact::new(at(0), removed)]).findings(at(0));
    only(&named, FindingCode::ClusterNeverHeard, "staging");
    let silent = brain(policy(&[APPS]), &healthy("apps", 0, A)).findings(at(180));
    only(&silent, FindingCode::ClusterSilent, "staging");
    assert_eq!(brain(policy(&[APPS]), &healthy("apps", 0, A)).findings(at(120)), []);
    // The name of another one.
    let names = [APPS, "staging/Kustomization/flux-system/infra"];
    let missing = brain(policy(&names), &healthy("apps", 0, A)).findings(at(30));
    only(&missing, FindingCode::ReconcilerNeverHeard, "staging/Kustomization/flux-system/infra");
}

#[test]
fn patterns_that_match_nothing_are_found() {
    let typo = "staging/Kustomization/shpo/*";
    let facts = healthy("apps", 0, A);
    let found = brain(policy(&[APPS, typo]), &facts).findings(at(30));
    only(&found, FindingCode::SelectorUnmatched, typo);
    assert_eq!(brain(policy(&[APPS, "staging/Kustomization/*/*"]), &facts).findings(at(30)), []);
    // Of a cluster that was never heard, nothing else is said.
    let unheard = brain(policy(&[APPS, "eu/Kustomization/*/*"]), &facts).findings(at(30));
    only(&unheard, FindingCode::ClusterNeverHeard, "eu");
}

#[test]
fn a_cluster_with_more_than_is_kept_is_found() {
    let full = |count| {
        let names = (0..count).map(|number| format!("app-{number}"));
        let facts: Vec<_> = names.map(|name| say(&name, 0, A, "Progressing", CHECKED)).collect();
        brain(Policy::default(), &facts).findings(at(1))
    };
    assert_eq!(full(MAX_RECONCILERS), []);
    only(&full(MAX_RECONCILERS + 1), FindingCode::ClusterFull, "staging");
}

#[test]
fn reconcilers_that_do_not_wait_are_found() {
    let facts = [
        say("apps", 0, A, "Progressing", "Deployment/shop/web configured"),
        say("apps", 0, A, "ReconciliationSucceeded", FINISHED),
        say("apps", 10, B, "Progressing", "Deployment/shop/web configured"),
        say("apps", 10, B, "ReconciliationSucceeded", FINISHED),
    ];
    only(&brain(policy(&[APPS]), &facts).findings(at(30)), FindingCode::HealthNotChecked, APPS);
    // Where no environment is declared, each cluster is one.
    for declared in [policy(&[APPS]), Policy::default()] {
        let findings = brain(declared, &facts).findings(at(30));
        let told = findings
            .iter()
            .map(|one| (one.code, one.environment.as_ref().map(|name| name.as_str())));
        let expected = (FindingCode::HealthNotChecked, Some("staging"));
        assert_eq!(told.collect::<Vec<_>>(), [expected]);
    }
    // A heartbeat alone says that it succeeded, and not what that means.
    let heartbeat = [say("apps", 0, A, "ReconciliationSucceeded", FINISHED)];
    only(&brain(policy(&[APPS]), &heartbeat).findings(at(30)), FindingCode::HealthUnproved, APPS);
    // Nor does one that has not applied anything say what it waits for.
    let blocked =
        [say("apps", 0, A, "DependencyNotReady", "Dependencies do not meet ready condition")];
    assert_eq!(brain(policy(&[APPS]), &blocked).findings(at(30)), []);
    let mut applied = policy(&[APPS]);
    for environment in applied.environments.values_mut() {
        environment.require = gitops_brain::Require::Applied;
    }
    assert_eq!(brain(applied, &facts).findings(at(30)), []);
}

#[test]
fn nothing_is_found_of_what_is_gone() {
    let unchecked = [
        say("apps", 0, A, "Progressing", "Deployment/shop/web configured"),
        say("apps", 0, A, "ReconciliationSucceeded", FINISHED),
    ];
    let after =
        |gone: Fact| brain(policy(&[APPS]), &[&unchecked[..], &[gone]].concat()).findings(at(30));
    let deletion = say("apps", 10, A, "ReconciliationSucceeded", "Deployment/shop/web deleted");
    assert_eq!(after(deletion), []);
    let removed = FactBody::Removed { reconciler: APPS.parse().unwrap() };
    assert_eq!(after(Fact::new(at(10), removed)), []);
}

#[test]
fn a_flux_that_drops_successes_is_found() {
    let dropped = &healthy("apps", 0, A)[..2];
    let brain = brain(policy(&[APPS]), dropped);
    for minute in [1, 5] {
        assert_eq!(brain.findings(at(minute)), [], "it may be on its way");
    }
    only(&brain.findings(at(30)), FindingCode::SuccessEventsDropped, "staging");
}

#[test]
fn a_parent_that_is_not_expected_is_found() {
    let mut facts = healthy("apps", 1, A);
    let line = "Kustomization/flux-system/apps configured";
    facts.push(say("flux-system", 0, A, "Progressing", line));
    facts.push(say("flux-system", 0, A, "Progressing", CHECKED));
    only(&brain(policy(&[APPS]), &facts).findings(at(30)), FindingCode::ParentNotExpected, APPS);
    let parent = "staging/Kustomization/flux-system/flux-system";
    assert_eq!(brain(policy(&[APPS, parent]), &facts).findings(at(30)), []);
    // One that is gone applies nothing.
    let deleted = "Kustomization/flux-system/flux-system deleted";
    let removed = FactBody::Removed { reconciler: parent.parse().unwrap() };
    for gone in [say("root", 5, A, "Progressing", deleted), Fact::new(at(5), removed)] {
        let facts = [&facts[..], &[gone]].concat();
        assert_eq!(brain(policy(&[APPS]), &facts).findings(at(30)), []);
    }
}

#[test]
fn commits_without_ancestry_are_found() {
    let mut brain = brain(policy(&[APPS]), &healthy("apps", 0, A));
    let environment = "staging".parse().unwrap();
    let terms = brain.policy().of(&environment);
    let registration = Registration::new(environment, B.parse().unwrap(), &terms);
    brain.apply(&Fact::new(at(1), FactBody::Registered(registration)), at(1));
    only(&brain.findings(at(5)), FindingCode::AncestryUnknown, B);
    // Over by its timeout, it waits for nothing.
    brain.expire(at(31));
    assert_eq!(brain.findings(at(31)), []);
}

#[test]
fn an_alert_that_sends_errors_alone_is_found() {
    let failed = |name: &str, reason| say(name, 0, A, reason, "it happened");
    let found = |facts: &[Fact]| brain(policy(&[APPS]), facts).findings(at(30));
    // A failure that only comes after something was applied, and nothing applied.
    let with_infra = |fact: Fact| [vec![fact], healthy("infra", 0, A)].concat();
    let checked = with_infra(failed("apps", "HealthCheckFailed"));
    only(&found(&checked), FindingCode::OnlyErrorsHeard, APPS);
    // One that has failed from the start has told of nothing else; but where nobody has, the Alert is it.
    assert_eq!(found(&with_infra(failed("apps", "BuildFailed"))), []);
    only(&found(&[failed("apps", "BuildFailed")]), FindingCode::OnlyErrorsHeard, APPS);
    let recovered = [healthy("apps", 1, A), checked].concat();
    assert_eq!(found(&recovered), []);
}

#[test]
fn revisions_that_name_no_commit_are_found() {
    let digest = format!("latest@sha256:{}", "1".repeat(64));
    let facts = healthy("apps", 0, &digest);
    let found = brain(policy(&[APPS]), &facts).findings(at(30));
    only(&found, FindingCode::RevisionWithoutCommit, APPS);
    assert!(found.iter().all(|one| one.remedy.contains("--revision=BRANCH@sha1:COMMIT")));
    let named = [facts, healthy("apps", 1, A)].concat();
    assert_eq!(brain(policy(&[APPS]), &named).findings(at(30)), []);
}
