//! What a fact is said to change: hosts decide by it what to store, and whom to wake.

use std::time::Duration;

use gitops_brain::{
    Ancestry, Brain, Changed, Contains, Effects, Environment, EnvironmentName, Fact, FactBody,
    Outcome, Parents, Policy, ReconcilerFilter, Registration, Require, Settlement, State,
};
use serde_json::json;

use crate::said::{
    A, APPS, B, CHECKED, FINISHED, at, brain, changed, history, parents, policy, query, say, say_as,
};

fn staging() -> EnvironmentName {
    "staging".parse().unwrap()
}

/// Applies a fact, and its preview says as much or more.
#[track_caller]
fn changes(brain: &mut Brain, fact: &Fact) -> Changed {
    let preview = brain.preview(fact);
    let changed = brain.apply(fact, fact.at).changed;
    assert!(preview >= changed, "{preview:?} was promised, and it was {changed:?}");
    changed
}

fn heartbeat(minute: i64, commit: &str) -> Fact {
    say("apps", minute, commit, "ReconciliationSucceeded", FINISHED)
}

fn steady() -> Brain {
    let facts = [say("apps", 1, A, "Progressing", "Deployment/shop/web created"), heartbeat(2, A)];
    brain(policy(&[APPS]), &facts)
}

#[test]
fn a_heartbeat_changes_when_it_was_heard_and_nothing_else() {
    let mut brain = steady();
    for minute in [12, 22] {
        assert_eq!(brain.preview(&heartbeat(minute, A)), Changed::LastHeard);
        assert_eq!(changes(&mut brain, &heartbeat(minute, A)), Changed::LastHeard);
    }
    assert_eq!(changes(&mut brain, &heartbeat(12, A)), Changed::Nothing);
    assert_eq!(changes(&mut brain, &heartbeat(22, A)), Changed::Nothing);
}

#[test]
fn a_heartbeat_after_something_else_is_news() {
    let news = |between: &Fact| {
        let mut brain = steady();
        changes(&mut brain, between);
        assert_eq!(brain.preview(&heartbeat(12, A)), Changed::Knowledge, "{between:?}");
    };
    news(&heartbeat(5, B));
    news(&say("apps", 5, A, "Progressing", "Deployment/shop/web configured"));
    news(&say("apps", 5, A, "Progressing", CHECKED));
    news(&Fact::new(at(5), FactBody::Removed { reconciler: APPS.parse().unwrap() }));
    // Another object of that name, of which this one may be the former life.
    let other = say_as("Kustomization", "apps", "other", 5, A, "Progressing", CHECKED);
    news(&other);
    // What applies it has changed it.
    let line = "Kustomization/flux-system/apps configured";
    news(&say("root", 5, A, "Progressing", line));
    // The same artifact of another commit.
    let of = |minute, commit| {
        changed(heartbeat(minute, commit), |observed| {
            observed.origin_revision = observed.revision.replace("latest@sha256:c0ffee".into());
        })
    };
    let artifact = brain(policy(&[APPS]), &[of(1, A), of(2, A)]);
    assert_eq!(artifact.preview(&of(12, A)), Changed::LastHeard);
    assert_eq!(artifact.preview(&of(12, B)), Changed::Knowledge);
    // Of what was never heard, or has another revision, nothing is a repetition.
    assert_eq!(steady().preview(&heartbeat(12, B)), Changed::Knowledge);
    let unheard = say("other", 12, A, "ReconciliationSucceeded", FINISHED);
    assert_eq!(steady().preview(&unheard), Changed::Knowledge);
    // Nor is what says that the cluster was heard earlier than was known.
    let mut early = heartbeat(12, A);
    early.at = at(0);
    assert_eq!(steady().preview(&early), Changed::Knowledge);
}

#[test]
fn a_success_in_other_words_is_news() {
    let release = |minute, reason, message| {
        say_as("HelmRelease", "web", "w", minute, "6.5.0", reason, message)
    };
    let mut brain = brain(Policy::default(), &[release(1, "InstallSucceeded", "it succeeded")]);
    let again = release(3, "InstallSucceeded", "it succeeded");
    assert_eq!(changes(&mut brain, &again), Changed::LastHeard);
    let upgraded = release(4, "UpgradeSucceeded", "it succeeded");
    assert_eq!(changes(&mut brain, &upgraded), Changed::Knowledge);
    let upgraded = release(5, "UpgradeSucceeded", "it succeeded in other words");
    assert_eq!(changes(&mut brain, &upgraded), Changed::Knowledge);
}

#[test]
fn another_life_of_an_object_is_news() {
    let mut brain = steady();
    let again = |uid, minute| {
        say_as("Kustomization", "apps", uid, minute, A, "ReconciliationSucceeded", FINISHED)
    };
    assert_eq!(changes(&mut brain, &again("second", 12)), Changed::Knowledge);
    assert_eq!(changes(&mut brain, &again("second", 22)), Changed::LastHeard);
    // What comes late of the first one changes nothing of what counts.
    assert_eq!(changes(&mut brain, &again("third", 3)), Changed::Knowledge);
    assert_eq!(changes(&mut brain, &again("third", 32)), Changed::Knowledge);
}

#[test]
fn one_that_was_removed_is_news_when_it_is_heard_again() {
    let mut brain = steady();
    let removed =
        |minute| Fact::new(at(minute), FactBody::Removed { reconciler: APPS.parse().unwrap() });
    assert_eq!(changes(&mut brain, &removed(5)), Changed::Knowledge);
    assert_eq!(changes(&mut brain, &removed(5)), Changed::Nothing);
    assert_eq!(changes(&mut brain, &removed(4)), Changed::Nothing);
    assert_eq!(changes(&mut brain, &heartbeat(12, A)), Changed::Knowledge);
    assert_eq!(changes(&mut brain, &heartbeat(22, A)), Changed::LastHeard);
}

#[test]
fn what_is_said_again_is_no_news() {
    let ancestry = parents(B, &[A]);
    let settled = |minute, outcome| {
        let settlement = Settlement::new(staging(), A.parse().unwrap(), 0, outcome);
        Fact::new(at(minute), FactBody::Settled(settlement))
    };
    let facts = [
        Fact::new(at(1), FactBody::Ancestry(Ancestry::claimed(vec![ancestry]))),
        settled(3, Outcome::Succeeded),
        say("apps", 5, A, "HealthCheckFailed", "it failed"),
        say("apps", 6, A, "DependencyNotReady", "Dependencies do not meet ready condition"),
    ];
    let mut brain = Brain::new(Policy::default());
    for fact in &facts {
        assert_eq!(changes(&mut brain, fact), Changed::Knowledge, "{fact:?}");
    }
    for fact in &facts {
        assert_eq!(changes(&mut brain, fact), Changed::Nothing, "{fact:?}");
    }
    let forgotten = |minute| Fact::new(at(10), FactBody::Forgotten { before: at(minute) });
    assert_eq!(changes(&mut brain, &forgotten(0)), Changed::Knowledge);
    assert_eq!(changes(&mut brain, &forgotten(0)), Changed::Nothing);
    assert_eq!(changes(&mut brain, &forgotten(-1)), Changed::Nothing);
    // Of two settlements with one number the earlier counts.
    assert_eq!(changes(&mut brain, &settled(4, Outcome::Failed)), Changed::Nothing);
    assert_eq!(changes(&mut brain, &settled(2, Outcome::Failed)), Changed::Knowledge);
    let outcomes: Vec<_> = brain.settlements(&staging(), A.parse().unwrap()).collect();
    assert_eq!(outcomes, [(0, Outcome::Failed, at(2))]);
}

#[test]
fn trouble_without_a_revision_is_news_also_if_it_comes_late() {
    let trouble = |minute| say("apps", minute, "", "BuildFailed", "no such file");
    let mut brain = steady();
    assert_eq!(changes(&mut brain, &trouble(1)), Changed::Knowledge);
    assert_eq!(changes(&mut brain, &trouble(1)), Changed::Nothing);
    assert_eq!(changes(&mut brain, &trouble(9)), Changed::Knowledge);
}

#[test]
fn a_deletion_is_news_once() {
    let line = "Deployment/shop/web deleted";
    let deleted = |minute| say("apps", minute, A, "ReconciliationSucceeded", line);
    let mut brain = steady();
    let mut with_last_words = steady();
    changes(&mut with_last_words, &say("apps", 20, A, "DependencyNotReady", "not ready"));
    for minute in [9, 12] {
        for brain in [&mut brain, &mut with_last_words] {
            assert_eq!(changes(brain, &deleted(minute)), Changed::Knowledge, "{minute}");
            assert_eq!(changes(brain, &deleted(minute)), Changed::Nothing, "{minute}");
        }
    }
}

/// At one instant the greatest words are the last ones: what the others tell besides is news all the same.
#[test]
fn what_is_said_at_one_instant_is_news_if_any_of_it_is() {
    let are_news = |reason, lines: [&str; 2]| {
        let mut brain = steady();
        for line in lines {
            let said = say("apps", 9, A, reason, line);
            assert_eq!(changes(&mut brain, &said), Changed::Knowledge, "{line}");
            assert_eq!(changes(&mut brain, &said), Changed::Nothing, "{line}");
        }
    };
    let [web, shop] = ["web", "shop"].map(|name| format!("Kustomization/flux-system/{name}"));
    are_news("ReconciliationSucceeded", [&format!("{web} deleted"), &format!("{shop} deleted")]);
    are_news("Progressing", [&format!("{web} configured"), &format!("{shop} configured")]);
    are_news("Progressing", ["Deployment/shop/api configured", "Deployment/shop/web configured"]);
    // Greater words, and a greater name of the revision.
    let mut brain = steady();
    for (line, branch) in [("api", "dev"), ("web", "main")] {
        let said = say("apps", 9, A, "Progressing", &format!("Deployment/shop/{line} created"));
        let said = changed(said, |observed| {
            observed.revision = Some(format!("{branch}@sha1:{A}").into());
        });
        assert_eq!(changes(&mut brain, &said), Changed::Knowledge, "{branch}");
    }
}

#[test]
fn a_failure_that_comes_late_is_news() {
    let failure = |minute| say("apps", minute, B, "HealthCheckFailed", "timeout waiting for web");
    let mut brain = steady();
    for minute in [9, 5, 12] {
        assert_eq!(changes(&mut brain, &failure(minute)), Changed::Knowledge, "{minute}");
    }
    // Neither the first nor the last.
    assert_eq!(changes(&mut brain, &failure(7)), Changed::Nothing);
}

#[test]
fn an_artifact_is_news_if_it_is_new_or_was_there_earlier() {
    // All are taken in at one time, so that the cluster was not heard any earlier.
    let artifact = |minute, commit| {
        let said =
            say_as("GitRepository", "repo", "r", minute, commit, "NewArtifact", "stored artifact");
        Fact::new(at(0), said.body)
    };
    let mut brain = brain(Policy::default(), &[Fact::new(at(0), heartbeat(0, A).body)]);
    assert_eq!(changes(&mut brain, &artifact(5, B)), Changed::Knowledge);
    assert_eq!(changes(&mut brain, &artifact(5, B)), Changed::Nothing);
    assert_eq!(changes(&mut brain, &artifact(3, B)), Changed::Knowledge);
    assert_eq!(changes(&mut brain, &artifact(3, B)), Changed::Nothing);
    assert_eq!(changes(&mut brain, &artifact(4, B)), Changed::Nothing);
    assert_eq!(changes(&mut brain, &artifact(1, A)), Changed::Knowledge);
    assert_eq!(changes(&mut brain, &artifact(2, A)), Changed::Nothing);
    let trouble = |minute| {
        say_as("GitRepository", "repo", "r", minute, "", "GitOperationFailed", "no route to host")
    };
    for minute in [6, 7] {
        assert_eq!(changes(&mut brain, &trouble(minute)), Changed::Knowledge);
        assert_eq!(changes(&mut brain, &trouble(minute)), Changed::Nothing);
    }
    assert_eq!(changes(&mut brain, &trouble(6)), Changed::Nothing);
}

#[test]
fn ancestry_is_news_if_any_of_it_is() {
    let parents = parents(B, &[A]);
    let ancestors = |number| vec![A.parse().unwrap(), format!("{number:040x}").parse().unwrap()];
    let told = |number, known: &[Parents]| {
        let mut ancestry = Ancestry::claimed(known.to_vec());
        let commit = B.parse().unwrap();
        ancestry.contains.push(Contains { commit, ancestors: ancestors(number) });
        Fact::new(at(1), FactBody::Ancestry(ancestry))
    };
    let mut brain = Brain::new(Policy::default());
    assert_eq!(changes(&mut brain, &told(1, &[])), Changed::Knowledge);
    assert_eq!(changes(&mut brain, &told(1, &[])), Changed::Nothing);
    assert_eq!(changes(&mut brain, &told(2, &[])), Changed::Knowledge);
    let parents = std::slice::from_ref(&parents);
    assert_eq!(changes(&mut brain, &told(2, parents)), Changed::Knowledge);
    assert_eq!(changes(&mut brain, &told(3, parents)), Changed::Knowledge);
    assert_eq!(changes(&mut brain, &told(3, parents)), Changed::Nothing);
    // Another parent of a commit of which all were claimed to be known.
    let other = format!("{:040x}", 3);
    let more = [self::parents(B, &[A, &other])];
    assert_eq!(changes(&mut brain, &told(3, &more)), Changed::Knowledge);
    assert_eq!(changes(&mut brain, &told(3, &more)), Changed::Nothing);
}

#[test]
fn a_transition_names_the_reconciler_that_made_it() {
    let declared = Environment::default().expect(APPS.parse().unwrap());
    let told = Registration::new(staging(), A.parse().unwrap(), &declared);
    let mut brain = brain(policy(&[APPS]), &[Fact::new(at(0), FactBody::Registered(told))]);
    let causes = |effects: &Effects| {
        let transitions = effects.transitions.iter();
        transitions
            .map(|one| (one.to.outcome, one.cause.as_ref().map(ToString::to_string)))
            .collect::<Vec<_>>()
    };
    let failed = say("apps", 1, A, "HealthCheckFailed", "timeout waiting for web");
    let by_apps = (Outcome::Failed, Some(APPS.to_owned()));
    assert_eq!(causes(&brain.apply(&failed, at(1))), [by_apps]);
    // An operator vouches for it, and nobody said anything.
    let mut vouched = policy(&[APPS]);
    for environment in vouched.environments.values_mut() {
        environment.health_checks = gitops_brain::HealthChecks::Enabled;
    }
    let succeeded = say("apps", 2, A, "ReconciliationSucceeded", FINISHED);
    let applied = (Outcome::InProgress, Some(APPS.to_owned()));
    assert_eq!(causes(&brain.apply(&succeeded, at(2))), [applied]);
    let effects = brain.set_policy(vouched, at(3));
    assert_eq!(causes(&effects), [(Outcome::Succeeded, None)]);
    assert_eq!(effects.changed, Changed::Knowledge);
}

#[test]
fn what_became_final_is_settled_and_nothing_else() {
    let declared = Environment::default().expect(APPS.parse().unwrap());
    let told = Registration::new(staging(), A.parse().unwrap(), &declared);
    let mut brain = brain(policy(&[APPS]), &[Fact::new(at(0), FactBody::Registered(told))]);
    let settled = |effects: &Effects| {
        let transitions = effects.transitions.iter();
        transitions
            .map(|one| match one.settlement() {
                Some(FactBody::Settled(settled)) => (one.to.state, Some(settled.outcome)),
                other => (one.to.state, other.map(|other| panic!("{other:?}"))),
            })
            .collect::<Vec<_>>()
    };
    let applied = |minute, line| say("apps", minute, A, "Progressing", line);
    let timed_out = brain.expire(at(30));
    assert_eq!(settled(&timed_out), [(State::Pending, Some(Outcome::TimedOut))]);
    // It is as late as before.
    let goes_on = brain.apply(&applied(31, "Deployment/shop/web configured"), at(31));
    assert_eq!(settled(&goes_on), [(State::Applied, None)]);
    let healthy = brain.apply(&applied(32, CHECKED), at(32));
    assert_eq!(settled(&healthy), [(State::Healthy, Some(Outcome::Succeeded))]);
}

#[test]
fn of_what_is_said_at_one_instant_the_order_does_not_count() {
    let applied = say("apps", 1, A, "Progressing", "Deployment/shop/web configured");
    let pruned = say("apps", 1, A, "Progressing", "ConfigMap/shop/old deleted");
    let lines = |facts: &[Fact]| {
        brain(policy(&[APPS]), facts).facts().map(|fact| fact.to_line()).collect::<Vec<_>>()
    };
    assert_eq!(lines(&[applied.clone(), pruned.clone()]), lines(&[pruned, applied]));
}

/// A note that proves nothing does not take the words from what does.
#[test]
fn of_what_is_said_at_one_instant_what_proves_something_is_the_last_word() {
    let blocked = say("apps", 1, A, "DependencyNotReady", "infra is not ready");
    let note = say("apps", 1, A, "Suspended", "it is suspended");
    for facts in [[&blocked, &note], [&note, &blocked]] {
        let reports = brain(policy(&[APPS]), &facts.map(Clone::clone))
            .reconcilers(&ReconcilerFilter::default());
        let event = reports.first().and_then(|report| report.event.as_ref()).unwrap();
        assert_eq!(event.reason, "DependencyNotReady");
    }
}

#[test]
fn a_later_commit_takes_the_place_of_one_that_expects_no_more() {
    const INFRA: &str = "staging/Kustomization/flux-system/infra";
    let declared = Environment::default().expect(APPS.parse().unwrap());
    let told = |commit: &str, more: &[&str]| {
        let told = Registration::new(staging(), commit.parse().unwrap(), &declared);
        let more = more.iter().map(|name| name.parse().unwrap());
        Fact::new(at(0), FactBody::Registered(told.expect(more)))
    };
    let failed_again = |first: &[&str]| {
        let facts = [
            history(&[(B, &[A])]),
            told(A, first),
            told(B, &[]),
            say("infra", 1, A, "Progressing", CHECKED),
            say("apps", 1, A, "Progressing", CHECKED),
            say("apps", 2, B, "Progressing", CHECKED),
        ];
        let mut brain = Brain::new(policy(&[APPS]));
        for fact in &facts {
            brain.apply(fact, fact.at);
        }
        let failure = say("infra", 3, A, "HealthCheckFailed", "timeout waiting for web");
        let effects = brain.apply(&failure, at(3));
        effects.transitions.iter().map(|one| one.commit.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(failed_again(&[INFRA]), [A], "B says nothing of infra");
    assert!(failed_again(&[]).is_empty());
}

#[test]
fn a_later_commit_takes_no_place_in_an_environment_that_it_is_not_in() {
    let declared = json!({ "environments": {
        "eu": { "reconcilers": [APPS] },
        "us": { "reconcilers": ["staging/Kustomization/flux-system/web"] },
    } });
    let policy: Policy = serde_json::from_value(declared).unwrap();
    let told = |environment: &str, commit: &str| {
        let environment: EnvironmentName = environment.parse().unwrap();
        let declared = policy.of(&environment);
        let told = Registration::new(environment, commit.parse().unwrap(), &declared);
        Fact::new(at(0), FactBody::Registered(told))
    };
    let facts = [history(&[(B, &[A])]), told("eu", A), told("us", B)];
    let mut brain = brain(policy.clone(), &facts);
    let mut transitions = |name, minute, commit, reason, message| {
        let effects = brain.apply(&say(name, minute, commit, reason, message), at(minute));
        let told = effects.transitions.iter();
        told.map(|one| (one.environment.to_string(), one.to.outcome)).collect::<Vec<_>>()
    };
    let in_us = transitions("web", 1, B, "Progressing", CHECKED);
    assert_eq!(in_us, [("us".to_owned(), Outcome::Succeeded)]);
    let failed = transitions("apps", 2, A, "HealthCheckFailed", "timeout waiting for web");
    assert_eq!(failed, [("eu".to_owned(), Outcome::Failed)]);
    let mended = transitions("apps", 3, A, "Progressing", CHECKED);
    assert_eq!(mended, [("eu".to_owned(), Outcome::Succeeded)]);
}

#[test]
fn a_registration_is_news_if_anything_in_it_is() {
    let declared = Environment::default().expect(APPS.parse().unwrap());
    let registration = Registration::new(staging(), A.parse().unwrap(), &declared);
    let told = |minute, registration: &Registration| {
        Fact::new(at(minute), FactBody::Registered(registration.clone()))
    };
    let mut brain = Brain::new(Policy::default());
    assert_eq!(changes(&mut brain, &told(5, &registration)), Changed::Knowledge);
    assert_eq!(changes(&mut brain, &told(5, &registration)), Changed::Nothing);
    // It was told earlier, or is told later: the time for it begins then.
    assert_eq!(changes(&mut brain, &told(3, &registration)), Changed::Knowledge);
    assert_eq!(changes(&mut brain, &told(4, &registration)), Changed::Nothing);
    assert_eq!(changes(&mut brain, &told(9, &registration)), Changed::Knowledge);
    let more =
        registration.clone().expect(["staging/Kustomization/flux-system/infra".parse().unwrap()]);
    assert_eq!(changes(&mut brain, &told(4, &more)), Changed::Knowledge);
    assert_eq!(changes(&mut brain, &told(4, &registration)), Changed::Nothing);
    // The stricter of two requirements holds.
    let laxer = declared.require(Require::Applied);
    let laxer = Registration::new(staging(), A.parse().unwrap(), &laxer);
    assert_eq!(changes(&mut brain, &told(4, &laxer)), Changed::Nothing);
    let mut lax = Brain::new(Policy::default());
    assert_eq!(changes(&mut lax, &told(4, &laxer)), Changed::Knowledge);
    assert_eq!(changes(&mut lax, &told(4, &registration)), Changed::Knowledge);
    // Of two at the same time one is chosen, whichever comes first.
    let seconds = [1_000, 9_000].map(Duration::from_secs);
    let [shorter, longer] = seconds.map(|timeout| registration.clone().timeout(timeout));
    let chosen = |first: &Registration, second: &Registration| {
        let mut brain = Brain::new(Policy::default());
        changes(&mut brain, &told(5, first));
        changes(&mut brain, &told(5, second));
        brain.status(&query(A), at(10)).unwrap().timeout_seconds
    };
    // Always the same one: releases that choose differently would tell different stories.
    assert_eq!(chosen(&shorter, &longer), Some(9_000));
    assert_eq!(chosen(&longer, &shorter), Some(9_000));
    let query = query(A);
    let status = brain.status(&query, at(10)).unwrap();
    assert_eq!((status.registered_at, status.require), (Some(at(3)), Require::Healthy));
    assert_eq!(status.reconcilers.len(), 2);
    let mut whole = registration;
    whole.whole_cluster = true;
    assert_eq!(changes(&mut brain, &told(4, &whole)), Changed::Knowledge);
    assert_eq!(changes(&mut brain, &told(4, &whole)), Changed::Nothing);
}

#[test]
fn commit_objects_tell_their_parents() {
    let object = format!("tree {A}\nparent {B}\nauthor A Uthor <a@example.org> 1 +0000\n\n");
    let ancestry = Ancestry::from_objects([object]).unwrap();
    let told: Vec<_> = ancestry.parents.iter().map(|known| known.parents.clone()).collect();
    assert_eq!(told, [[B.parse().unwrap()]]);
    assert!(Ancestry::from_objects(["no commit object"]).is_err());
}

/// A source's newest artifact is one fact, and so is what is left of a whole story.
#[test]
fn the_smallest_list_of_facts_has_nothing_twice() {
    let artifact = say_as("GitRepository", "repo", "r", 1, A, "NewArtifact", "stored artifact");
    let known = |facts: &[Fact]| brain(Policy::default(), facts).facts().count();
    assert_eq!(known(std::slice::from_ref(&artifact)), 1);
    let again = say_as("GitRepository", "repo", "r", 1, A, "Succeeded", "stored artifact");
    assert_eq!(known(&[artifact, again]), 1);
    let trouble = say("apps", 1, "", "BuildFailed", "no such file");
    assert_eq!(known(&[trouble]), 1);
    let beats: Vec<_> = (1..30).map(|minute| heartbeat(minute, A)).collect();
    assert_eq!(known(&beats), 3, "the first, the last, and when the cluster was first heard");
}

#[test]
fn what_changed_has_a_name_in_every_language() {
    let names = [Changed::Nothing, Changed::LastHeard, Changed::Knowledge].map(Changed::as_str);
    assert_eq!(names, ["nothing", "last_heard", "knowledge"]);
}
