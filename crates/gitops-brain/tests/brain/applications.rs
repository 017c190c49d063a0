//! What an application of Argo CD is observed to say.

use gitops_brain::{FactBody, Ingested, observe};
use serde_json::json;

use crate::said::{A, B, at};

/// The reason and the message of what is observed of one whose last operation ended in a phase.
fn said(sync: &str, health: &str, phase: &str) -> (String, String) {
    let application = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
        "metadata": { "namespace": "argocd", "name": "web", "uid": "u", "resourceVersion": "7" },
        "status": {
            "sync": { "status": sync, "revision": A },
            "health": { "status": health },
            "reconciledAt": at(5),
            "operationState": {
                "phase": phase, "message": "one or more objects failed to apply",
                "startedAt": at(1), "finishedAt": at(2), "syncResult": { "revision": B },
            },
        },
    });
    let cluster = "staging".parse().unwrap();
    let fact = match observe(&cluster, application.to_string().as_bytes(), at(5)).unwrap() {
        Ingested::Fact(fact) => *fact,
        other => panic!("{other:?}"),
    };
    let FactBody::Observed(observed) = fact.body else { panic!("{fact:?}") };
    (observed.reason.into_owned(), observed.message.into())
}

#[test]
fn what_an_application_says_has_a_reason() {
    let cases = [
        (("Synced", "Healthy", "Succeeded"), ("Healthy", "Synced, Healthy")),
        (("Synced", "Degraded", "Succeeded"), ("HealthDegraded", "Synced, Degraded")),
        (("Synced", "", "Succeeded"), ("Unknown", "Synced, Unknown")),
        (("Synced", "Healthy", "Running"), ("Syncing", "Synced, Healthy")),
        (("OutOfSync", "Healthy", "Terminating"), ("Syncing", "OutOfSync, Healthy")),
        (("OutOfSync", "Healthy", "Succeeded"), ("OutOfSync", "OutOfSync, Healthy")),
        (("OutOfSync", "Healthy", "Error"), ("SyncFailed", "one or more objects failed to apply")),
        (("", "Missing", "Succeeded"), ("SyncUnknown", "Unknown, Missing")),
    ];
    for ((sync, health, phase), (reason, message)) in cases {
        let expected = (reason.to_owned(), message.to_owned());
        assert_eq!(said(sync, health, phase), expected, "{sync}, {health}, {phase}");
    }
}
