//! Whether a reconciler waits for health, by what it said.

use gitops_brain::{Fact, HealthChecks, ReconcilerFilter, State, Verdict};

use crate::said::{A, APPS, B, C, CHECKED, D, FINISHED, at, brain, history, policy, query, say};

/// What is known of its health checks by what it said.
#[track_caller]
fn verdict(facts: &[Fact]) -> Verdict {
    let reports = brain(policy(&[APPS]), facts).reconcilers(&ReconcilerFilter::default());
    reports.first().unwrap().health_checks.verdict
}

#[test]
fn whether_one_waits_for_health_is_what_the_newest_sign_says() {
    let applied = |minute, commit: &str| {
        [
            say("apps", minute, commit, "Progressing", "Deployment/shop/web configured"),
            say("apps", minute + 1, commit, "ReconciliationSucceeded", FINISHED),
        ]
    };
    let failed = |minute| say("apps", minute, B, "HealthCheckFailed", "timeout waiting for web");
    let checked = |minute| say("apps", minute, B, "Progressing", CHECKED);
    assert_eq!(verdict(&[failed(1)]), Verdict::Checks);
    assert_eq!(verdict(&[checked(1)]), Verdict::Checks);
    assert_eq!(verdict(&applied(1, A)), Verdict::DoesNotCheck);
    let then = |facts: &[Fact]| verdict(&[&applied(1, A), facts].concat());
    assert_eq!(then(&[failed(10)]), Verdict::Checks);
    assert_eq!(then(&[checked(10)]), Verdict::Checks);
    // What failed before its check says nothing of one.
    let built = |commit| say("apps", 10, commit, "BuildFailed", "accumulating resources");
    assert_eq!(then(&[built(A)]), Verdict::DoesNotCheck);
    assert_eq!(then(&[built(B)]), Verdict::DoesNotCheck);
    // Success after a failed check, without another: it does not wait any more.
    let success = say("apps", 20, B, "ReconciliationSucceeded", FINISHED);
    assert_eq!(then(&[failed(10), success]), Verdict::DoesNotCheck);
    // Where it told of a check, one success without any can be a lost event, and two are none.
    for checked in [failed(1), checked(1)] {
        let facts = [&[checked], &applied(10, A)[..], &applied(20, C)].concat();
        assert_eq!(verdict(&facts[..3]), Verdict::Unknown);
        assert_eq!(verdict(&facts), Verdict::DoesNotCheck);
    }
    // The newest of several signs is what counts.
    let signs = [&applied(1, A)[..], &[checked(10)], &applied(20, C)];
    assert_eq!(verdict(&signs.concat()), Verdict::Unknown);
    // A success that comes late was the first one: the check is newer than that.
    let late = say("apps", 2, A, "ReconciliationSucceeded", FINISHED);
    let [change, _] = applied(1, A);
    let again = say("apps", 20, A, "ReconciliationSucceeded", FINISHED);
    let facts = [change, again, checked(10), late];
    assert_eq!(verdict(&facts[..3]), Verdict::Unknown);
    assert_eq!(verdict(&facts), Verdict::Checks);
}

#[test]
fn what_is_taken_up_again_after_its_check_ended_shows_nothing() {
    let ends = [
        ("HealthCheckFailed", "timeout waiting for web"),
        ("HealthCheckCanceled", "Health checks canceled due to new reconciliation"),
        ("PruneFailed", "pruning failed"),
    ];
    for (reason, message) in ends {
        let facts = [
            say("apps", 1, A, "Progressing", "Deployment/shop/web configured"),
            say("apps", 2, A, reason, message),
            say("apps", 10, B, "Progressing", CHECKED),
            say("apps", 10, B, "ReconciliationSucceeded", FINISHED),
            // With nothing left to apply, it says nothing of its check.
            say("apps", 20, A, "ReconciliationSucceeded", FINISHED),
        ];
        assert_eq!(verdict(&facts), Verdict::Checks, "{reason}");
    }
}

#[test]
fn a_check_may_have_failed_at_any_time_between_the_first_and_the_last_that_did() {
    let failed = |minute| say("apps", minute, A, "HealthCheckFailed", "timeout waiting for web");
    let state = |last: &[Fact]| {
        let facts = [
            history(&[(A, &[C]), (D, &[C])]),
            failed(1),
            say("apps", 3, B, "Progressing", CHECKED),
            say("apps", 4, A, "Progressing", "Deployment/shop/web configured"),
            say("apps", 5, C, "ReconciliationSucceeded", FINISHED),
        ];
        let query = query(C);
        let brain = brain(policy(&[APPS]), &[&facts, last].concat());
        brain.status(&query, at(10)).unwrap().state
    };
    assert_eq!(state(&[]), State::Healthy);
    // If one failed right before the success, it was no success of one that waits.
    assert_eq!(state(&[failed(9)]), State::Failed);
    // One that failed once failed then, whatever it does later.
    let does_not_wait = [
        say("apps", 8, D, "Progressing", "Deployment/shop/web configured"),
        say("apps", 9, D, "ReconciliationSucceeded", FINISHED),
    ];
    assert_eq!(state(&does_not_wait), State::Healthy);
}

#[test]
fn where_it_is_vouched_for_health_begins_with_the_first_success() {
    let heartbeat = |minute| say("apps", minute, A, "ReconciliationSucceeded", FINISHED);
    let healthy_at = |health_checks| {
        let mut policy = policy(&[APPS]);
        for environment in policy.environments.values_mut() {
            environment.health_checks = health_checks;
        }
        let facts = [heartbeat(2), heartbeat(12), say("apps", 12, A, "Progressing", CHECKED)];
        let query = query(A);
        let status = brain(policy, &facts).status(&query, at(20)).unwrap();
        status.reconcilers.first().unwrap().healthy_at
    };
    assert_eq!(healthy_at(HealthChecks::Enabled), Some(at(2)));
    assert_eq!(healthy_at(HealthChecks::Inferred), Some(at(12)));
}

#[test]
fn a_success_without_a_check_proves_nothing_later_either() {
    let success = |minute, commit| say("apps", minute, commit, "ReconciliationSucceeded", FINISHED);
    let facts = [
        say("apps", 1, B, "Progressing", CHECKED),
        // It does not wait any more,
        say("apps", 2, A, "Progressing", "Deployment/shop/web configured"),
        success(3, A),
        success(4, C),
        // and then it does.
        say("apps", 9, C, "Progressing", CHECKED),
    ];
    let query = query(C);
    let status = brain(policy(&[APPS]), &facts).status(&query, at(20)).unwrap();
    assert_eq!(status.reconcilers.first().unwrap().healthy_at, Some(at(9)));
}
