//! What can be asked of a brain, beside the status of one commit.

use std::time::Duration;

use chrono::TimeDelta;
use gitops_brain::{
    Brain, Changed, Effects, Environment, Event, Fact, FactBody, HealthChecks, MAX_RECONCILERS,
    MAX_REVISIONS, Outcome, Policy, Position, Query, QueryError, Reason, ReconcilerFilter,
    ReconcilerPolicy, Registration, Require, RolloutFilter, Selector, Severity, State, Watch,
};

use crate::said::{
    A, APPS, B, CHECKED, FINISHED, at, brain, changed, history, policy, query, say, say_as, waits,
};

fn registered(commit: &str, minute: i64, app: &str) -> Fact {
    let environment: gitops_brain::EnvironmentName = "staging".parse().unwrap();
    let declared = policy(&[APPS]).of(&environment);
    let mut told = Registration::new(environment, commit.parse().unwrap(), &declared);
    told.terms.labels.insert("app".to_owned(), app.to_owned());
    Fact::new(at(minute), FactBody::Registered(told))
}

/// A is healthy, and B, which comes after it, is under way.
fn two_rollouts() -> Brain {
    let facts = [
        history(&[(B, &[A])]),
        registered(A, 0, "shop"),
        say("apps", 1, A, "Progressing", "Deployment/shop/web created"),
        say("apps", 2, A, "Progressing", CHECKED),
        say("apps", 2, A, "ReconciliationSucceeded", FINISHED),
        registered(B, 5, "blog"),
        say("apps", 6, B, "Progressing", "Deployment/shop/web configured"),
    ];
    brain(policy(&[APPS]), &facts)
}

#[test]
fn the_statuses_of_a_commit_are_those_in_all_environments() {
    let brain = two_rollouts();
    let statuses = brain.statuses(A.parse().unwrap(), at(7));
    let told: Vec<_> =
        statuses.iter().map(|status| (status.environment.as_str(), status.outcome)).collect();
    assert_eq!(told, [("staging", Outcome::Succeeded)]);
}

#[test]
fn without_a_policy_the_clusters_are_environments() {
    let facts = [say("apps", 1, A, "Progressing", CHECKED), registered(B, 1, "shop")];
    let brain = brain(Policy::default(), &facts);
    for commit in [A, B] {
        let statuses = brain.statuses(commit.parse().unwrap(), at(2));
        assert_eq!(statuses.len(), 1, "{commit}");
    }
}

#[test]
fn a_commit_is_found_by_what_its_id_begins_with() {
    let brain = two_rollouts();
    let resolve = |text: &str| brain.resolve(text);
    assert_eq!(resolve(A).unwrap().to_string(), A);
    assert_eq!(resolve("5394cb7").unwrap().to_string(), A);
    assert_eq!(resolve(&A[..32]).unwrap().to_string(), A);
    assert_eq!(resolve("84539404F").unwrap().to_string(), B);
    assert!(matches!(resolve("5394cb8"), Err(QueryError::CommitUnknown { .. })));
    assert!(matches!(resolve("5394cb7e"), Err(QueryError::CommitUnknown { .. })));
    assert!(matches!(resolve("5394cb"), Err(QueryError::CommitMalformed { .. })));
    assert!(matches!(resolve("5394cbx7"), Err(QueryError::CommitMalformed { .. })));
}

#[test]
fn an_ambiguous_beginning_is_told_with_how_many_have_it() {
    let alike = "5394cb7f00000000000000000000000000000000";
    let facts = [registered(A, 0, "shop"), registered(alike, 0, "shop")];
    let brain = brain(policy(&[APPS]), &facts);
    let Err(QueryError::CommitAmbiguous { count, .. }) = brain.resolve("5394cb7") else {
        panic!("two commits begin with it");
    };
    assert_eq!(count, 2);
    assert_eq!(brain.resolve("5394cb7f4").unwrap().to_string(), A);
}

#[test]
fn reconcilers_are_listed_by_environment_and_cluster() {
    let brain = two_rollouts();
    let names = |filter: &ReconcilerFilter| {
        brain.reconcilers(filter).iter().map(|one| one.reconciler.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names(&ReconcilerFilter::default()), [APPS]);
    let cluster = |name: &str| ReconcilerFilter::default().cluster(name.parse().unwrap());
    assert_eq!(names(&cluster("staging")), [APPS]);
    assert!(names(&cluster("production")).is_empty());
    let environment = |name: &str| ReconcilerFilter::default().environment(name.parse().unwrap());
    assert_eq!(names(&environment("staging")), [APPS]);
    assert!(names(&environment("production")).is_empty());
}

#[test]
fn rollouts_are_listed_newest_first_by_outcome_label_and_place() {
    let brain = two_rollouts();
    let commits = |filter: &RolloutFilter| {
        brain.rollouts(filter, at(7)).iter().map(|one| one.commit.to_string()).collect::<Vec<_>>()
    };
    let mut filter = RolloutFilter::default();
    assert_eq!(commits(&filter), [B, A]);
    filter.limit = Some(1);
    assert_eq!(commits(&filter), [B]);
    filter.after = Some(Position {
        registered_at: at(5),
        environment: "staging".parse().unwrap(),
        commit: B.parse().unwrap(),
    });
    assert_eq!(commits(&filter), [A]);
    let mut filter = RolloutFilter::default();
    filter.outcome = Some(Outcome::Succeeded);
    assert_eq!(commits(&filter), [A]);
    let mut filter = RolloutFilter::default();
    filter.labels.insert("app".to_owned(), "blog".to_owned());
    assert_eq!(commits(&filter), [B]);
    let mut filter = RolloutFilter::default();
    filter.environment = Some("production".parse().unwrap());
    assert!(commits(&filter).is_empty());
}

#[test]
fn a_cluster_is_told_with_when_it_was_heard() {
    let clusters = two_rollouts().clusters();
    assert_eq!(clusters.len(), 1);
    let cluster = clusters.first().unwrap();
    assert_eq!((&*cluster.cluster, cluster.reconcilers, cluster.refused), ("staging", 1, 0));
    assert_eq!((cluster.first_heard_at, cluster.last_heard_at), (at(1), at(6)));
}

#[test]
fn what_a_full_cluster_refuses_is_counted() {
    let facts: Vec<_> = (0..MAX_RECONCILERS + 3)
        .map(|n| say(&format!("app-{n}"), 1, A, "Progressing", CHECKED))
        .collect();
    let clusters = brain(Policy::default(), &facts).clusters();
    let cluster = clusters.first().unwrap();
    assert_eq!((cluster.reconcilers, cluster.refused), (MAX_RECONCILERS, 3));
    // So are sources, and those that are known go on.
    let artifact = |minute, n| {
        let name = format!("repository-{n}");
        say_as("GitRepository", &name, &name, minute, A, "NewArtifact", "stored artifact")
    };
    let first = (0..MAX_RECONCILERS + 3).map(|n| artifact(1, n));
    let facts: Vec<_> = first.chain([artifact(2, 0)]).collect();
    assert_eq!(brain(Policy::default(), &facts).clusters().first().unwrap().refused, 3);
}

#[test]
fn a_version_is_what_two_statuses_are_compared_by() {
    let version = |commit: &str| {
        let query = query(commit);
        two_rollouts().status(&query, at(7)).unwrap().version
    };
    assert_eq!(version(A).as_str(), version(A).to_string());
    assert_eq!(gitops_brain::Version::from("5c0e".to_owned()).as_str(), "5c0e");
    assert_eq!(version(A), version(A));
    assert_ne!(version(A), version(B));
}

#[test]
fn what_a_crash_kept_from_the_journal_is_told_until_it_is_recorded() {
    let mut brain = two_rollouts();
    let unrecorded = brain.unrecorded();
    assert_eq!(unrecorded.len(), 1, "{unrecorded:?}");
    let staging = "staging".parse().unwrap();
    for body in unrecorded {
        brain.apply(&Fact::new(at(8), body), at(8));
    }
    let settled: Vec<_> = brain.settlements(&staging, A.parse().unwrap()).collect();
    assert_eq!(
        settled.iter().map(|one| (one.0, one.1)).collect::<Vec<_>>(),
        [(0, Outcome::Succeeded)]
    );
    assert!(brain.unrecorded().is_empty());
}

#[test]
fn who_knows_the_present_version_waits_for_the_next() {
    let mut brain = two_rollouts();
    let query = query(B);
    let version = brain.status(&query, at(7)).unwrap().version;
    let Watch::Waiting(_) = brain.watch(query.clone(), Some(&version), at(7)).unwrap() else {
        panic!("it is the present version");
    };
    let other = "another version".to_owned().into();
    let Watch::Ready(status) = brain.watch(query, Some(&other), at(7)).unwrap() else {
        panic!("it is another version");
    };
    assert_eq!(status.version, version);
}

#[test]
fn what_is_settled_is_not_waited_for() {
    let mut brain = two_rollouts();
    let query = query(A);
    assert!(matches!(brain.watch(query, None, at(7)).unwrap(), Watch::Ready(_)));
}

#[test]
fn an_environment_that_names_no_reconciler_is_woken_by_its_cluster() {
    let mut brain = brain(policy(&[]), &[say("apps", 1, A, "Progressing", CHECKED)]);
    let query = query(B);
    let id = waits(&mut brain, query, at(2));
    let effects = brain.apply(&say("apps", 3, B, "Progressing", CHECKED), at(3));
    assert_eq!(effects.woken, [id]);
}

#[test]
fn an_environment_is_woken_by_what_it_names_whatever_it_is_called() {
    let declared = serde_json::json!({ "environments": { "eu": { "reconcilers": [APPS] } } });
    let declared = serde_json::from_value(declared).unwrap();
    let mut brain = brain(declared, &[say("apps", 1, A, "Progressing", CHECKED)]);
    let query = Query::new("eu".parse().unwrap(), B.parse().unwrap());
    let id = waits(&mut brain, query, at(2));
    let effects = brain.apply(&say("apps", 3, B, "Progressing", CHECKED), at(3));
    assert_eq!(effects.woken, [id]);
}

#[test]
fn who_waits_is_woken_when_a_parent_deletes_what_is_waited_for() {
    let mut brain = two_rollouts();
    let query = query(B);
    let id = waits(&mut brain, query.clone(), at(7));
    let deletes = say("root", 8, B, "Progressing", "Kustomization/flux-system/apps deleted");
    assert_eq!(brain.apply(&deletes, at(8)).woken, [id]);
    assert_eq!(brain.status(&query, at(8)).unwrap().reason, Reason::Deleted);
}

#[test]
fn what_is_waited_for_wakes_once_and_not_after_it_was_given_up() {
    let mut brain = two_rollouts();
    let query = query(B);
    let kept = waits(&mut brain, query.clone(), at(7));
    let given_up = waits(&mut brain, query, at(7));
    assert_ne!(kept.get(), given_up.get());
    brain.unwatch(given_up);
    let effects = brain.apply(&say("apps", 7, B, "Progressing", CHECKED), at(7));
    assert_eq!(effects.woken, [kept]);
}

#[test]
fn a_revision_without_a_commit_has_a_state_all_the_same() {
    let state = |reason: &str| {
        let release = say_as("HelmRelease", "cache", "c", 1, "6.5.0", reason, "Helm did something");
        let report = brain(Policy::default(), &[release]).reconcilers(&ReconcilerFilter::default());
        let report = report.first().unwrap();
        let event = report.event.as_ref().unwrap();
        assert_eq!((&*event.message, &*event.reason), ("Helm did something", reason));
        report.state
    };
    assert_eq!(state("UpgradeSucceeded"), State::Applied);
    assert_eq!(state("UpgradeFailed"), State::Failed);
    assert_eq!(state("DependencyNotReady"), State::Pending);
    assert_eq!(state("HealthCheckCanceled"), State::Pending);
}

#[test]
fn a_commit_that_only_its_origin_names_is_told_by_its_id() {
    let applied = changed(say("apps", 1, A, "Progressing", CHECKED), |observed| {
        observed.origin_revision = observed.revision.take();
    });
    let reports = brain(policy(&[APPS]), &[applied]).reconcilers(&ReconcilerFilter::default());
    let report = reports.first().unwrap();
    assert_eq!((report.head.as_deref(), report.commit), (Some(A), A.parse().ok()));
}

#[test]
fn a_status_tells_what_was_said_of_the_revision_that_decides() {
    let brain = two_rollouts();
    let event = |commit: &str| {
        let query = query(commit);
        let status = brain.status(&query, at(7)).unwrap();
        let event = status.reconcilers.first().unwrap().event.clone().unwrap();
        (event.reason, event.message, event.at)
    };
    // Of A the words are gone, and what they were about is not.
    assert_eq!(event(A), ("ReconciliationSucceeded".to_owned(), String::new(), at(2)));
    let message = "Deployment/shop/web configured".to_owned();
    assert_eq!(event(B), ("Progressing".to_owned(), message, at(6)));
    // Of what failed it is the failure, whatever came after it.
    let timeout = "timeout waiting for web";
    let mut failed = two_rollouts();
    for (minute, reason, message) in
        [(7, "HealthCheckFailed", timeout), (8, "DependencyNotReady", "infra is not ready")]
    {
        failed.apply(&say("apps", minute, B, reason, message), at(minute));
    }
    let query = query(B);
    let status = failed.status(&query, at(9)).unwrap();
    let said = status.reconcilers.first().unwrap().event.as_ref().unwrap();
    assert_eq!((&*said.reason, &*said.message, said.at), ("HealthCheckFailed", timeout, at(7)));
    // That a reconciliation is finished says how long it took, and nothing else: that is not kept.
    let mut brain = brain;
    let finished = say("apps", 7, B, "ReconciliationSucceeded", FINISHED);
    brain.apply(&finished, at(7));
    let report = brain.reconcilers(&ReconcilerFilter::default()).swap_remove(0);
    assert_eq!(report.event.unwrap().message, "");
}

#[test]
fn words_are_written_as_they_are_told_in_other_languages() {
    fn same<T: serde::Serialize + std::fmt::Display>(all: &[T]) {
        for one in all {
            assert_eq!(serde_json::to_value(one).unwrap(), one.to_string());
            assert_eq!(format!("{one:>20}").len(), 20);
        }
    }
    same(&[Severity::Info, Severity::Error]);
    same(&[State::Pending, State::Applied, State::Healthy, State::Failed]);
    same(&[Outcome::InProgress, Outcome::Succeeded, Outcome::Failed, Outcome::TimedOut]);
    same(&[Reason::Waiting, Reason::NeverHeard, Reason::RolledBack, Reason::TimedOut]);
}

#[test]
fn a_reconciler_keeps_so_many_revisions_and_forgets_the_oldest() {
    let commits: Vec<_> = (1..=MAX_REVISIONS).map(|number| format!("{number:040x}")).collect();
    let mut facts: Vec<_> = (1_i64..)
        .zip(&commits[..MAX_REVISIONS - 2])
        .map(|(minute, commit)| say("apps", minute, commit, "Progressing", CHECKED))
        .collect();
    // What is derived of all of them is the same of those that are kept.
    let [applied, blocked] = [&commits[MAX_REVISIONS - 2], &commits[MAX_REVISIONS - 1]];
    facts.extend([
        history(&[(blocked, &[applied])]),
        say("apps", 20_001, applied, "Progressing", "Deployment/shop/web configured"),
        say("apps", 20_002, applied, "ReconciliationSucceeded", FINISHED),
        say("apps", 20_003, blocked, "HealthCheckCanceled", "Health checks canceled"),
        say("apps", 20_004, blocked, "DependencyNotReady", "infra is not ready"),
        // One too many, and late.
        say("apps", 5_000, A, "Progressing", CHECKED),
    ]);
    let mut brain = brain(policy(&[APPS]), &facts);
    let stands = |brain: &Brain, commit: &str| {
        let query = query(commit);
        let status = brain.status(&query, at(30_000)).unwrap();
        (status.state, status.reason)
    };
    assert_eq!(stands(&brain, &commits[0]), (State::Pending, Reason::AncestryUnknown));
    assert_eq!(stands(&brain, applied), (State::Applied, Reason::HealthUnproved));
    assert_eq!(stands(&brain, blocked), (State::Pending, Reason::Blocked));
    // A quarter goes at a time, so that it need not be done for each. Then comes the late one; two have
    // two marks; and there is a sign of life.
    let observed = |fact: &Fact| matches!(fact.body, FactBody::Observed(_));
    let kept = brain.facts().filter(observed).count();
    assert_eq!(kept, MAX_REVISIONS / 4 * 3 + 4);
    brain.apply(&say("apps", 20_005, B, "Progressing", CHECKED), at(30_000));
    assert_eq!(brain.status(&query(B), at(30_000)).unwrap().state, State::Healthy);
}

#[test]
fn whichever_revision_is_taken_up_again_is_the_present_one() {
    let commits: Vec<_> = (1..=40).map(|number| format!("{number:040x}")).collect();
    for again in 0..commits.len() {
        // Of each four at one instant.
        let minutes = (4_i64..).map(|number| number / 4).zip(&commits);
        let mut facts: Vec<_> = minutes
            .map(|(minute, commit)| say("apps", minute, commit, "Progressing", CHECKED))
            .collect();
        let commit = &commits[again];
        facts.push(say("apps", 50, commit, "Progressing", CHECKED));
        let report = brain(policy(&[APPS]), &facts).reconcilers(&ReconcilerFilter::default());
        assert_eq!(report.first().unwrap().commit, commit.parse().ok(), "{again}");
    }
}

#[test]
fn of_two_later_commits_at_one_instant_the_lesser_id_decides() {
    let (lesser, greater) = (format!("{B:.39}0"), format!("{B:.39}1"));
    let facts = [
        history(&[(&lesser, &[A]), (&greater, &[A])]),
        say("apps", 1, &lesser, "Progressing", CHECKED),
        say("apps", 1, &greater, "Progressing", CHECKED),
    ];
    let query = query(A);
    for order in [[0, 1, 2], [2, 1, 0]] {
        let facts = order.map(|place: usize| facts[place].clone());
        let status = brain(policy(&[APPS]), &facts).status(&query, at(2)).unwrap();
        let reconciler = status.reconcilers.first().unwrap();
        assert_eq!((reconciler.state, reconciler.via), (State::Healthy, lesser.parse().ok()));
    }
}

#[test]
fn what_was_proved_at_the_instant_of_another_revision_does_not_count() {
    let facts = [
        say("apps", 5, A, "Progressing", CHECKED),
        say("apps", 5, B, "Progressing", CHECKED),
        say("apps", 6, A, "Progressing", "Deployment/shop/web configured"),
    ];
    let query = query(A);
    let state = |facts: &[Fact]| brain(policy(&[APPS]), facts).status(&query, at(7)).unwrap().state;
    assert_eq!(state(&facts[..1]), State::Healthy);
    assert_eq!(state(&facts), State::Applied);
}

#[test]
fn a_cluster_that_was_never_heard_is_waited_for_though_others_are_healthy() {
    let checked = [say("apps", 1, A, "Progressing", CHECKED)];
    let query = query(A);
    let outcome = |reconcilers: &[&str]| {
        brain(policy(reconcilers), &checked).status(&query, at(40)).unwrap().outcome
    };
    assert_eq!(outcome(&[APPS]), Outcome::Succeeded);
    assert_eq!(outcome(&["staging/Kustomization/*/*"]), Outcome::Succeeded);
    assert_eq!(outcome(&[APPS, "production/Kustomization/*/*"]), Outcome::InProgress);
}

#[test]
fn what_a_person_names_is_not_known_by_that() {
    let removed = FactBody::Removed { reconciler: APPS.parse().unwrap() };
    let brain = brain(Policy::default(), &[Fact::new(at(0), removed)]);
    assert!(brain.reconcilers(&ReconcilerFilter::default()).is_empty());
}

#[test]
fn the_effects_of_several_calls_are_told_together() {
    let mut all = Effects::default();
    let mut brain = two_rollouts();
    let query = query(B);
    let id = waits(&mut brain, query, at(7));
    for reason in ["HealthCheckFailed", "DependencyNotReady"] {
        let said = say("apps", 8, B, reason, "web is not ready");
        all.append(brain.apply(&said, at(8)));
    }
    let outcomes: Vec<_> = all.transitions.iter().map(|one| one.to.outcome).collect();
    assert_eq!((all.changed, all.woken), (Changed::Knowledge, vec![id]));
    assert_eq!(outcomes, [Outcome::Failed]);
}

#[test]
fn an_environment_that_is_not_declared_is_an_error_if_others_are() {
    let query = Query::new("production".parse().unwrap(), A.parse().unwrap());
    let ask = |policy| brain(policy, &[]).status(&query, at(1)).map(|status| status.reason);
    assert!(matches!(ask(policy(&[APPS])), Err(QueryError::EnvironmentUnknown { .. })));
    assert_eq!(ask(Policy::default()), Ok(Reason::NoReconciler));
}

#[test]
fn a_policy_is_built_of_what_is_declared() {
    let apps: Selector = APPS.parse().unwrap();
    let environment = Environment::default()
        .expect(apps)
        .require(Require::Applied)
        .health_checks(HealthChecks::Disabled)
        .timeout(Duration::from_secs(1))
        .failure_grace(Duration::from_secs(2))
        .transient_grace(Duration::from_secs(3))
        .learning(Duration::from_secs(4));
    let declared = serde_json::to_value(&environment).unwrap();
    let expected = serde_json::json!({
        "reconcilers": [APPS], "require": "applied", "health_checks": "disabled", "timeout": "1s",
        "failure_grace": "2s", "transient_grace": "3s", "learning": "4s",
    });
    assert_eq!(declared, expected);
    let vouched = ReconcilerPolicy::default().health_checks(HealthChecks::Enabled);
    let policy = Policy::default()
        .environment("staging".parse().unwrap(), environment)
        .reconciler("staging/Kustomization/*/*".parse().unwrap(), vouched);
    let (staging, production) = ("staging".parse().unwrap(), "production".parse().unwrap());
    assert!(policy.knows(&staging) && !policy.knows(&production));
    assert!(Policy::default().knows(&production));
    let name = APPS.parse().unwrap();
    let other = "other/Kustomization/flux-system/apps".parse().unwrap();
    // What is said of the reconciler goes before what is said of the environment.
    assert_eq!(policy.health_checks(Some(&staging), &name), HealthChecks::Enabled);
    assert_eq!(policy.health_checks(Some(&staging), &other), HealthChecks::Disabled);
    assert_eq!(policy.health_checks(Some(&production), &other), HealthChecks::Inferred);
    assert_eq!(policy.health_checks(None, &other), HealthChecks::Inferred);
}

#[test]
fn where_a_body_is_wrong_is_told_with_the_path() {
    let path = |body: &str| Event::parse(body.as_bytes()).unwrap_err().to_string();
    assert!(path(r#"{"a b": tru}"#).contains(r#"(`["a b"]`)"#), "{}", path(r#"{"a b": tru}"#));
    assert!(path(r#"{"a_1": [0, {"b": tru}]}"#).contains("(`a_1[1].b`)"));
    assert!(path(r#"{"metadata": {"ab": tru}}"#).contains(r#"(`metadata["ab"]`)"#));
    assert!(path(r#"{"": tru}"#).contains(r#"(`[""]`)"#));
    // And what is there instead.
    for (value, kind) in [
        ("true", "a boolean"),
        ("false", "a boolean"),
        ("null", "null"),
        ("-1", "a number"),
        ("7", "a number"),
        ("{}", "an object"),
        ("[]", "an array"),
    ] {
        let error = path(&format!(r#"{{"reason": {value}}}"#));
        assert!(error.contains(kind), "{error}");
    }
}

#[test]
fn where_none_is_declared_a_commit_stands_where_it_was_registered() {
    let registered = |environment: &str, commit: &str| {
        let declared = Environment::default().expect(APPS.parse().unwrap());
        let commit = commit.parse().unwrap();
        let told = Registration::new(environment.parse().unwrap(), commit, &declared);
        Fact::new(at(0), FactBody::Registered(told))
    };
    let brain = brain(Policy::default(), &[registered("eu", A), registered("us", B)]);
    let statuses = brain.statuses(A.parse().unwrap(), at(1));
    let environments: Vec<_> = statuses.iter().map(|status| status.environment.as_str()).collect();
    assert_eq!(environments, ["eu"]);
}

#[test]
fn the_next_change_that_time_makes_is_known() {
    let brain = two_rollouts();
    let query = query(B);
    let deadline = brain.status(&query, at(7)).unwrap().deadline_at;
    assert!(deadline.is_some());
    assert_eq!(brain.next_change(&query, at(7)).unwrap(), deadline);
    // Of all of them it is the nearest one.
    assert_eq!(brain.next_deadline(), Some(at(30)));
    assert_eq!(Brain::new(Policy::default()).next_deadline(), None);
}

#[test]
fn for_a_day_after_its_deadline_a_rollout_hands_out_transitions() {
    let day = TimeDelta::days(1);
    let transitions = |after_deadline: TimeDelta| {
        let mut brain = two_rollouts();
        let query = query(B);
        let deadline = brain.status(&query, at(7)).unwrap().deadline_at.unwrap();
        brain.expire(deadline);
        let now = deadline + after_deadline;
        brain.expire(now);
        let checked = say("apps", 7, B, "Progressing", CHECKED);
        let effects = brain.apply(&checked, now);
        assert_eq!(brain.status(&query, now).unwrap().outcome, Outcome::Succeeded);
        effects.transitions.iter().map(|one| one.to.outcome).collect::<Vec<_>>()
    };
    assert_eq!(transitions(day - TimeDelta::seconds(1)), [Outcome::Succeeded]);
    assert!(transitions(day).is_empty());
}

#[test]
fn brains_that_took_in_different_facts_differ() {
    let heard = |commit| brain(policy(&[APPS]), &[say("apps", 1, commit, "Progressing", CHECKED)]);
    assert!(heard(A) == heard(A));
    assert!(heard(A) != heard(B));
}
