//! What a line of the journal is read as, and what an event has.

use gitops_brain::{Event, Fact, FactBody, FactError, MAX_CHANGED_OBJECTS, Outcome, Settlement};

use crate::said::{A, APPS, B, FINISHED, at, say, unversioned};

fn refused(line: &str) -> FactError {
    Fact::from_line(line).unwrap_err()
}

#[test]
fn what_a_newer_release_wrote_is_told_apart() {
    let newer = FactError::NewerVersion { version: 2 };
    let line = say("apps", 1, A, "ReconciliationSucceeded", FINISHED).to_line();
    assert_eq!(refused(&line.replacen("\"v\":1", "\"v\":2", 1)), newer);
    // Its facts may have another form.
    assert_eq!(refused(r#"{"v":2,"dreamt":{"of":"sheep"}}"#), newer);
    assert_eq!(newer.code(), "fact.newer_version");
}

#[test]
fn what_is_no_fact_is_told_with_where() {
    let line = say("apps", 1, A, "ReconciliationSucceeded", FINISHED).to_line();
    let none = FactError::Malformed { reason: "there is no version 0".to_owned(), column: 0 };
    assert_eq!(refused(&line.replacen("\"v\":1", "\"v\":0", 1)), none);
    for damaged in [r#"{"v":1,"dreamt":{"of":"sheep"}}"#, "", "{", &line[..line.len() / 2]] {
        let error = refused(damaged);
        assert_eq!(error.code(), "fact.malformed", "{damaged}");
        assert!(!matches!(error, FactError::Malformed { column: 0, .. }) || damaged.is_empty());
    }
}

#[test]
fn a_line_has_nothing_in_it_that_says_nothing() {
    let line = say("apps", 1, A, "ReconciliationSucceeded", FINISHED).to_line();
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    let observed = line["body"]["observed"].as_object().unwrap();
    let says_nothing = |value: &serde_json::Value| {
        value.is_null() || value == false || value == "" || value == &serde_json::json!([])
    };
    assert!(observed.len() > 5 && !observed.values().any(says_nothing), "{observed:?}");
    let unversioned = unversioned(say("apps", 1, A, "ReconciliationSucceeded", FINISHED));
    assert!(!unversioned.to_line().contains("resource_version"));
    assert_eq!(Fact::from_line(&unversioned.to_line()), Ok(unversioned));
}

#[test]
fn of_a_change_list_so_many_objects_are_kept() {
    let kept = |count: usize| {
        let line = |number| format!("Kustomization/flux-system/app-{number} configured\n");
        let lines: String = (0..count).map(line).collect();
        match say("root", 1, A, "Progressing", &lines).body {
            FactBody::Observed(observed) => observed.changed_objects.len(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(kept(MAX_CHANGED_OBJECTS), MAX_CHANGED_OBJECTS);
    assert_eq!(kept(MAX_CHANGED_OBJECTS + 1), MAX_CHANGED_OBJECTS);
}

#[test]
fn of_a_change_list_flux_objects_are_kept() {
    let lines = [
        "KafkaTopic/shop/orders created",
        "MyKustomization/shop/mine created",
        "Kustomization/flux-system/apps configured",
        "ConfigMap/shop/Kustomization created",
        "HorizontalPodAutoscaler/shop/cart deleted",
        "HelmRelease/shop/cart deleted",
        "HelmRelease/shop/cart/tests deleted",
        "Kustomization/flux-system/skipped skipped",
        "Kustomization/flux-system/infra is new created",
        "HelmRelease/shop/last created",
    ];
    let FactBody::Observed(observed) = say("root", 1, A, "Progressing", &lines.join("\n")).body
    else {
        panic!("an observation")
    };
    let kept = observed.changed_objects.iter();
    let kept: Vec<_> = kept.map(|one| format!("{} {:?}", one.object, one.change)).collect();
    assert_eq!(
        kept,
        [
            "staging/Kustomization/flux-system/apps Configured",
            "staging/HelmRelease/shop/cart Deleted",
            "staging/HelmRelease/shop/last Created",
        ]
    );
}

const BODY: &str = r#"{"involvedObject":{"kind":"Kustomization","namespace":"a","name":"b"},"reason":"Progressing",
        "severity":"info","message":"m","timestamp":"2026-11-23T13:00:00Z","reportingController":"c",
        "metadata":{"revision":"main@sha1:x","commit_status":"update"}}"#;

#[test]
fn a_time_is_of_digits() {
    let time = "2026-11-23T13:00:00Z";
    let parse = |time: &str| {
        let body = BODY.replace("2026-11-23T13:00:00Z", time);
        Event::parse(body.as_bytes()).map(|event| event.timestamp)
    };
    assert_eq!(parse(time).unwrap(), at(0));
    for (place, _) in time.char_indices().filter(|(_, digit)| digit.is_ascii_digit()) {
        for beside in ["/", ":", " "] {
            let mut wrong = time.to_owned();
            wrong.replace_range(place..=place, beside);
            assert!(parse(&wrong).is_err(), "{wrong}");
        }
    }
}

#[test]
fn metadata_is_found_by_its_key() {
    let event = Event::parse(BODY.as_bytes()).unwrap();
    let found = ["commit_status", "revision", "other"].map(|key| event.metadata.get(key));
    assert_eq!(found, [Some("update"), Some("main@sha1:x"), None]);
    assert!(!event.metadata.is_empty());
    let none = BODY.replace(r#"{"revision":"main@sha1:x","commit_status":"update"}"#, "{}");
    assert!(Event::parse(none.as_bytes()).unwrap().metadata.is_empty());
}

#[test]
fn what_is_said_twice_has_one_id() {
    let said = |commit| say("apps", 1, commit, "ReconciliationSucceeded", FINISHED);
    let taken_in = |minute| Fact::new(at(minute), said(A).body);
    assert_eq!(taken_in(1).id(), taken_in(2).id());
    let removed = |minute| {
        Fact::new(at(minute), FactBody::Removed { reconciler: APPS.parse().unwrap() }).id()
    };
    let settled = |minute, number, outcome| {
        let environment = "staging".parse().unwrap();
        let told = Settlement::new(environment, A.parse().unwrap(), number, outcome);
        Fact::new(at(minute), FactBody::Settled(told)).id()
    };
    assert_eq!(settled(1, 0, Outcome::Failed), settled(2, 0, Outcome::Succeeded));
    let mut ids = vec![said(A).id(), said(B).id(), removed(1), removed(2)];
    ids.extend([0, 1].map(|number| settled(1, number, Outcome::Failed)));
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count);
}
