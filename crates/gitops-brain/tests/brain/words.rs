//! What a status says in sentences.

use gitops_brain::{
    ClusterName, CommitId, Fact, FactBody, MAX_MESSAGE_BYTES, ObjectName, Policy, Reason,
    Registration, Require, Status,
};

use crate::said::{A, APPS, B, CHECKED, FINISHED, at, brain, history, policy, query, say, say_as};

fn status(policy: Policy, facts: &[Fact], minute: i64) -> Status {
    let query = query(B);
    brain(policy, facts).status(&query, at(minute)).unwrap()
}

/// B comes after A.
fn ancestry() -> Fact {
    history(&[(A, &[]), (B, &[A])])
}

fn applied(commit: &str, minute: i64) -> Fact {
    say("apps", minute, commit, "Progressing", "Deployment/shop/web configured")
}

fn succeeded(commit: &str, minute: i64) -> Fact {
    say("apps", minute, commit, "ReconciliationSucceeded", FINISHED)
}

fn registered(minute: i64) -> Fact {
    let environment = "staging".parse().unwrap();
    let declared = policy(&[APPS]).of(&environment);
    let told = Registration::new(environment, B.parse().unwrap(), &declared);
    Fact::new(at(minute), FactBody::Registered(told))
}

/// Names and commits in short.
fn short(message: &str) -> String {
    let commits =
        message.replace(&format!("main@sha1:{A}"), "A").replace(&format!("main@sha1:{B}"), "B");
    commits.replace(B, "B").replace("staging/Kustomization/flux-system/", "")
}

#[test]
fn why_a_reconciler_stands_where_it_does() {
    let checked = |commit: &str, minute: i64| say("apps", minute, commit, "Progressing", CHECKED);
    let deleted = say("apps", 9, A, "ReconciliationSucceeded", "Deployment/shop/web deleted");
    let trouble = say_as("GitRepository", "repo", "r", 9, A, "GitOperationFailed", "no route");
    let blocked = say("apps", 9, B, "DependencyNotReady", "infra is not ready");
    let canceled = say("apps", 2, B, "HealthCheckCanceled", "Health checks canceled");
    let failed = say("apps", 2, B, "HealthCheckFailed", "timeout waiting for web");
    let cases: [(&[Fact], &str); 14] = [
        (&[], "apps has never been heard of"),
        (
            &[applied(A, 1), ancestry()],
            "apps has not reported this commit or a later one; last reported A at 2026-11-23T13:01:00Z",
        ),
        (&[applied(B, 1)], "apps is applying B"),
        (
            &[applied(A, 0), checked(A, 0), succeeded(A, 0), applied(B, 1)],
            "apps has applied B; no result of its health checks was reported yet",
        ),
        (
            &[succeeded(B, 1)],
            "apps has applied B, but no health check was reported for this revision: it does not wait \
             for health, the attempt that applied it ended before the check, or the event was lost",
        ),
        (
            &[applied(B, 1), succeeded(B, 1)],
            "apps has applied B, and does not wait for health: no event will prove it",
        ),
        (
            &[applied(B, 1), canceled],
            "apps was interrupted at B: HealthCheckCanceled: Health checks canceled",
        ),
        (&[blocked], "apps cannot go on: DependencyNotReady: infra is not ready"),
        (&[applied(A, 1), deleted], "apps was deleted"),
        (
            &[applied(B, 1), applied(A, 2), ancestry()],
            "apps had this commit and was rolled back: A is live",
        ),
        (&[applied(A, 1)], "apps: A is live; how it relates to B is not known"),
        (
            &[applied(A, 1), ancestry(), trouble],
            "apps has not reported this commit or a later one, and \
             staging/GitRepository/flux-system/repo is in trouble: GitOperationFailed: no route",
        ),
        (&[applied(B, 1), failed], "apps failed at B: HealthCheckFailed: timeout waiting for web"),
        (&[checked(B, 2)], "apps is healthy at B"),
    ];
    for (facts, message) in cases {
        assert_eq!(short(&status(policy(&[APPS]), facts, 20).message), message);
    }
}

/// An error without a revision is cleared by what is said of one, also at the same instant.
#[test]
fn trouble_is_present_until_a_revision_is_taken_up() {
    let reason = |minute| {
        let trouble = say("apps", minute, "", "BuildFailed", "no such file");
        let failed = say("apps", 5, A, "BuildFailed", "accumulating resources");
        status(policy(&[APPS]), &[ancestry(), failed, trouble], 9).reason
    };
    assert_eq!([4, 5, 6].map(reason), [Reason::Waiting, Reason::Waiting, Reason::Blocked]);
}

#[test]
fn a_source_is_in_trouble_until_it_is_in_order() {
    let source = |minute, commit, reason| {
        say_as("GitRepository", "repo", "r", minute, commit, reason, "it happened")
    };
    let reason = |minute| {
        let facts = [
            ancestry(),
            applied(A, 1),
            source(5, A, "NewArtifact"),
            source(minute, "", "GitOperationFailed"),
        ];
        status(policy(&[APPS]), &facts, 9).reason
    };
    assert_eq!([4, 5, 6].map(reason), [Reason::Waiting, Reason::Waiting, Reason::SourceTrouble]);
}

#[test]
fn where_it_is_enough_to_be_applied_that_is_what_is_said() {
    let query = query(B);
    let brain = brain(policy(&[APPS]), &[applied(B, 1)]);
    let status = brain.status(&query.require(Require::Applied), at(2)).unwrap();
    assert_eq!(
        (status.reason, short(&status.message)),
        (Reason::Succeeded, "apps has applied B".to_owned())
    );
}

#[test]
fn a_later_commit_that_decides_is_named() {
    let query = query(A);
    let facts = [ancestry(), say("apps", 1, B, "Progressing", CHECKED)];
    let status = brain(policy(&[APPS]), &facts).status(&query, at(2)).unwrap();
    assert_eq!(short(&status.message), "apps is healthy at B, which contains this commit");
}

#[test]
fn what_was_said_before_the_definition_changed_is_told_apart() {
    let configured =
        |minute| say("root", minute, B, "Progressing", "Kustomization/flux-system/apps configured");
    let facts = [
        configured(1),
        say("root", 1, B, "Progressing", CHECKED),
        say("apps", 2, B, "Progressing", CHECKED),
        succeeded(B, 2),
        configured(3),
    ];
    let both = policy(&[APPS, "staging/Kustomization/flux-system/root"]);
    assert_eq!(
        short(&status(both, &facts, 4).message),
        "apps has not reported this commit or a later one since its definition was changed; last \
         reported B at 2026-11-23T13:02:00Z"
    );
}

#[test]
fn why_a_rollout_stands_where_it_does() {
    let infra = "staging/Kustomization/flux-system/infra";
    let told =
        |policy: Policy, facts: &[Fact], minute| short(&status(policy, facts, minute).message);
    assert_eq!(
        told(policy(&[]), &[], 20),
        "environment staging declares no reconciler, and no cluster of that name was ever heard"
    );
    let elsewhere = say_as("GitRepository", "repo", "r", 1, A, "NewArtifact", "stored artifact");
    assert_eq!(
        told(policy(&[]), &[elsewhere], 20),
        "no reconciler of environment staging is known"
    );
    let healthy = |name: &str| say(name, 1, B, "Progressing", CHECKED);
    let both = [healthy("apps"), healthy("infra")];
    assert_eq!(told(policy(&[APPS, infra]), &both, 4), "all 2 reconcilers are healthy");
    let waiting = "apps has not reported this commit or a later one; last reported A at \
                   2026-11-23T13:01:00Z";
    let behind = [ancestry(), applied(A, 1)];
    assert_eq!(
        told(policy(&[APPS, infra]), &behind, 20),
        format!("{waiting}; 1 more reconciler is unfinished")
    );
    let three = [APPS, infra, "staging/Kustomization/flux-system/more"];
    assert_eq!(
        told(policy(&three), &behind, 20),
        format!("{waiting}; 2 more reconcilers are unfinished")
    );
    let over = [registered(0), ancestry(), applied(A, 1)];
    assert_eq!(told(policy(&[APPS]), &over, 90), format!("not done within 30m: {waiting}"));
    assert_eq!(
        told(policy(&["staging/*/*/*"]), &[healthy("apps")], 2),
        "every reconciler that is known succeeded; others may not have reported yet, so this waits \
         until 2026-11-23T13:11:00Z"
    );
    let hiccup = say("apps", 3, B, "ArtifactFailed", "not found");
    let failed = "apps failed at B: ArtifactFailed: not found";
    assert_eq!(told(policy(&[APPS]), &[registered(0), hiccup.clone()], 5), failed);
    assert_eq!(
        told(policy(&[APPS]), &[registered(0), hiccup], 4),
        "apps failed at B: ArtifactFailed: not found (counts as failed if it is not mended by \
         2026-11-23T13:05:00Z)"
    );
}

#[test]
fn what_can_be_done_about_it_is_told() {
    let remedy = |facts: &[Fact]| {
        let status = status(policy(&[APPS]), facts, 60);
        (status.reason, status.remedy.unwrap_or_default())
    };
    let deleted = say("apps", 9, A, "ReconciliationSucceeded", "Deployment/shop/web deleted");
    let other = say("infra", 1, A, "Progressing", CHECKED);
    let trouble = say_as("GitRepository", "repo", "r", 9, A, "GitOperationFailed", "cannot clone");
    let digest = "latest@sha256:1111111111111111111111111111111111111111111111111111111111111111";
    let cases: [(&[Fact], Reason, &str); 10] = [
        (&[other], Reason::NeverHeard, "check the name, and that an Alert of cluster staging"),
        (
            &[applied(B, 1), succeeded(B, 1)],
            Reason::NotChecked,
            "set `wait: true` on Kustomization",
        ),
        (&[succeeded(B, 1)], Reason::HealthUnproved, "declare `health_checks = \"enabled\"`"),
        (&[applied(A, 1)], Reason::AncestryUnknown, "send the commit objects"),
        (&[applied(digest, 1)], Reason::NoCommit, "--revision=BRANCH@sha1:COMMIT"),
        (&[applied(B, 1), applied(A, 2), ancestry()], Reason::RolledBack, "push a commit that"),
        (
            &[applied(A, 2), history(&[(A, &[]), (B, &[])])],
            Reason::Diverged,
            "push a commit that contains this one",
        ),
        (&[applied(A, 1), deleted], Reason::Deleted, "`DELETE /v1/reconcilers/staging/"),
        (&[applied(A, 1), ancestry(), trouble], Reason::SourceTrouble, "mend the source"),
        (&[applied(A, 1), ancestry()], Reason::Waiting, ""),
    ];
    for (facts, reason, beginning) in cases {
        let (told, remedy) = remedy(facts);
        assert_eq!(told, reason, "{remedy}");
        assert!(remedy.contains(beginning), "{reason}: {remedy}");
        assert_eq!(remedy.is_empty(), beginning.is_empty(), "{reason}: {remedy}");
    }
}

#[test]
fn long_words_of_flux_are_cut() {
    let failed = |long: &str| {
        let failed = say("apps", 2, B, "HealthCheckFailed", long);
        let status = status(policy(&[APPS]), &[failed], 3);
        let event = status.reconcilers.first().unwrap().event.clone().unwrap();
        (short(&status.message), event.message)
    };
    let quoted = format!("apps failed at B: HealthCheckFailed: {}…", "ä".repeat(250));
    for length in [400, 8_000] {
        let long = "ä".repeat(length);
        assert_eq!(failed(&long), (quoted.clone(), long));
    }
    // What is longer still is not kept whole.
    let (_, kept) = failed(&"ä".repeat(9_000));
    assert_eq!(kept.len(), MAX_MESSAGE_BYTES);
}

#[test]
fn what_is_never_heard_of_a_reconciler_is_told() {
    let told = |facts: &[Fact]| {
        let status = status(policy(&[APPS]), facts, 60);
        (status.reason, short(&status.message), status.remedy.unwrap_or_default())
    };
    let checked = say("apps", 1, A, "Progressing", CHECKED);
    let failed = |commit, reason| say("apps", 1, commit, reason, "it happened");
    let (gate, severity) = ("DisableCommitStatusEvent", "eventSeverity: info");
    // It applied several commits, or checked one, and told of no success.
    let silent: [(&[Fact], Reason); 3] = [
        (&[ancestry(), applied(A, 1), checked.clone()], Reason::Waiting),
        (&[ancestry(), applied(A, 1), checked, applied(B, 2)], Reason::CheckingHealth),
        (&[ancestry(), applied(A, 1), applied(B, 2)], Reason::Applying),
    ];
    for (facts, reason) in silent {
        let (found, message, remedy) = told(facts);
        assert_eq!(found, reason);
        assert!(message.contains(gate) && remedy.contains(gate), "{message}: {remedy}");
        let (_, message, remedy) = told(&[facts, &[succeeded(A, 1)]].concat());
        assert!(!message.contains(gate) && !remedy.contains(gate), "{message}: {remedy}");
    }
    // It told of errors alone. One that has not applied anything yet can have no other.
    let (_, message, remedy) = told(&[ancestry(), failed(A, "BuildFailed")]);
    assert!(
        message.contains("nothing but errors") && remedy.contains(severity),
        "{message}: {remedy}"
    );
    let (_, _, remedy) = told(&[failed(B, "HealthCheckFailed")]);
    assert!(remedy.contains(severity), "{remedy}");
    assert_eq!(told(&[failed(B, "BuildFailed")]).2, "");
    let (_, message, _) = told(&[ancestry(), applied(A, 0), failed(A, "BuildFailed")]);
    assert!(!message.contains("nothing but errors"), "{message}");
}

/// What is the same but for times has the same version, and nothing else has.
#[test]
fn a_version_is_of_all_that_matters() {
    let heartbeats: Vec<_> = (1..4).map(|minute| succeeded(A, minute)).collect();
    let version = |facts: &[Fact], minute| status(policy(&[APPS]), facts, minute).version;
    let one = version(&heartbeats[..1], 5);
    assert_eq!(one, version(&heartbeats, 9), "nothing but a heartbeat came");
    let waiting = |facts: &[Fact], minute| version(&[&[ancestry()], facts].concat(), minute);
    assert_eq!(waiting(&heartbeats[..1], 5), waiting(&heartbeats, 9), "it says when that was");
    assert_eq!(one.to_string().len(), 16);
    let others = [
        vec![],
        vec![ancestry(), succeeded(A, 1)],
        vec![registered(0), succeeded(A, 1)],
        vec![succeeded(B, 1)],
        vec![applied(B, 1)],
        vec![say("apps", 1, B, "HealthCheckFailed", "it failed")],
        vec![say("apps", 1, B, "HealthCheckFailed", "it failed again")],
        vec![say("apps", 1, B, "Progressing", CHECKED)],
    ];
    let mut versions: Vec<_> =
        others.iter().map(|facts| version(facts, 5).to_string()).chain([one.to_string()]).collect();
    versions.sort();
    versions.dedup();
    assert_eq!(versions.len(), others.len() + 1);
}

#[test]
fn what_is_wrong_with_a_name_is_told_with_what_to_write() {
    let apps: ObjectName = APPS.parse().unwrap();
    let parts = (apps.cluster(), apps.kind(), apps.namespace(), apps.name());
    assert_eq!(parts, ("staging", "Kustomization", "flux-system", "apps"));
    let error = ClusterName::new("Staging").unwrap_err();
    assert_eq!(error.code(), "cluster.malformed");
    assert!(error.to_string().contains("use up to 63 lower-case letters"), "{error}");
    let no_digit = format!("g{}", "0".repeat(39));
    let error = no_digit.parse::<CommitId>().unwrap_err();
    assert!(error.to_string().contains(&no_digit), "{error}");
    let error = "staging/apps".parse::<ObjectName>().unwrap_err();
    assert_eq!(error.code(), "reconciler.malformed");
    assert!(error.to_string().contains("write `cluster/Kind/namespace/name`"), "{error}");
}
