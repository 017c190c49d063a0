//! What an application of Argo CD is observed to say.

use gitops_brain::FactBody;
use serde_json::json;

use crate::said::{A, B, at, took_in};

const NOT_APPLIED: &str = "one or more objects failed to apply";

/// The reason and the message of what is observed of one whose last operation ended in a phase.
fn said(sync: &str, health: (&str, &str), phase: &str) -> (String, String) {
    let (health, why) = health;
    let application = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
        "metadata": { "namespace": "argocd", "name": "web", "uid": "u", "resourceVersion": "7" },
        "status": {
            "sync": { "status": sync, "revision": A },
            "health": { "status": health, "message": why },
            "reconciledAt": at(5),
            "operationState": {
                "phase": phase, "message": NOT_APPLIED, "startedAt": at(1), "finishedAt": at(2),
                "syncResult": { "revision": B },
            },
        },
    });
    match took_in(&application, at(6)).body {
        FactBody::Observed(told) => (told.reason.into_owned(), told.message.into()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_an_application_says_has_a_reason() {
    let degraded = ("Degraded", "2 of 3 are down");
    let cases = [
        (("Synced", ("Healthy", ""), "Succeeded"), ("Healthy", "Synced, Healthy")),
        (("Synced", ("Degraded", ""), "Succeeded"), ("HealthDegraded", "Synced, Degraded")),
        (("Synced", degraded, "Succeeded"), ("HealthDegraded", "2 of 3 are down")),
        (("Synced", ("", ""), "Succeeded"), ("Unknown", "Synced, Unknown")),
        (("Synced", ("Healthy", ""), "Running"), ("Syncing", "Synced, Healthy")),
        (("OutOfSync", ("Healthy", ""), "Terminating"), ("Syncing", "OutOfSync, Healthy")),
        (("OutOfSync", ("Healthy", ""), "Succeeded"), ("OutOfSync", "OutOfSync, Healthy")),
        (("OutOfSync", ("Healthy", ""), "Error"), ("SyncFailed", NOT_APPLIED)),
        (("", ("Missing", ""), "Succeeded"), ("SyncUnknown", "Unknown, Missing")),
    ];
    for ((sync, health, phase), (reason, message)) in cases {
        let expected = (reason.to_owned(), message.to_owned());
        assert_eq!(said(sync, health, phase), expected, "{sync}, {health:?}, {phase}");
    }
}
