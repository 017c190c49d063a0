//! Vectors of one call each: signatures, events, revisions, observations.

use chrono::{DateTime, Utc};
use gitops_brain::{
    ClusterName, Event, FactBody, Ingested, Observation, Proof, Revision, Verifier, observe, sign,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::reader::{Bytes, exact, read, verdict};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case<I> {
    #[serde(rename = "id")]
    _id: String,
    #[serde(rename = "why")]
    _why: String,
    input: I,
    expect: Value,
}

pub(crate) fn signature(case: &Value) -> Result<(), Vec<String>> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields, tag = "call", rename_all = "snake_case")]
    enum Input {
        Verify { keys: Vec<Bytes>, header: Option<Bytes>, body: Bytes },
        Sign { key: Bytes, body: Bytes },
    }
    let case: Case<Input> = read(case)?;
    let outcome = match &case.input {
        Input::Verify { keys, header, body } => {
            let keys: Vec<_> = keys.iter().map(Bytes::bytes).collect::<Result<_, _>>()?;
            let header = header.as_ref().map(Bytes::bytes).transpose()?;
            let body = body.bytes()?;
            match Verifier::new(keys) {
                Ok(verifier) => match verifier.verify(header.as_deref(), &body) {
                    Ok(key) => json!({"ok": {"key": key.as_usize()}}),
                    Err(error) => json!({"error": error.code()}),
                },
                Err(error) => json!({"error": error.code()}),
            }
        }
        Input::Sign { key, body } => match sign(&key.bytes()?, &body.bytes()?) {
            Ok(header) => json!({"ok": {"header": header}}),
            Err(error) => json!({"error": error.code()}),
        },
    };
    exactly(&case.expect, &outcome)
}

pub(crate) fn event(case: &Value) -> Result<(), Vec<String>> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Input {
        body: Bytes,
        /// Names of metadata entries to look up, whatever their prefix.
        #[serde(default)]
        lookup: Vec<String>,
    }
    let case: Case<Input> = read(case)?;
    let body = case.input.body.bytes()?;
    let outcome = match Event::parse(&body) {
        Ok(event) => {
            let mut fields = to_value(&event)?;
            // Go leaves out empty ones; a vector says that they are empty.
            let object =
                fields.as_object_mut().ok_or_else(|| vec!["an event is an object".to_owned()])?;
            object.entry("metadata").or_insert_with(|| json!({}));
            object.entry("reportingInstance").or_insert_with(|| json!(""));
            object.entry("action").or_insert_with(|| json!(""));
            for key in ["involvedObject", "relatedObject"] {
                let reference = object.entry(key).or_insert_with(|| json!(null));
                for name in ["namespace", "uid", "apiVersion", "resourceVersion", "fieldPath"] {
                    if let Some(fields) = reference.as_object_mut() {
                        fields.entry(name).or_insert_with(|| json!(""));
                    }
                }
            }
            let mut ok = json!({"event": fields});
            if !case.input.lookup.is_empty() {
                let found = case.input.lookup.iter();
                let found: Map<_, _> =
                    found.map(|name| (name.clone(), json!(event.metadata(name)))).collect();
                if let Some(ok) = ok.as_object_mut() {
                    ok.insert("lookup".to_owned(), Value::Object(found));
                }
            }
            json!({"ok": ok})
        }
        Err(error) => json!({
            "error": error.code(),
            "line": error.line(),
            "column": error.column(),
            "offset": error.offset(),
            "path": error.path(),
        }),
    };
    exactly(&case.expect, &outcome)
}

pub(crate) fn revision(case: &Value) -> Result<(), Vec<String>> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Input {
        revision: Bytes,
    }
    let case: Case<Input> = read(case)?;
    let text =
        String::from_utf8(case.input.revision.bytes()?).map_err(|error| vec![error.to_string()])?;
    let outcome = match Revision::parse(&text) {
        Ok(revision) => {
            let display = revision.to_string();
            if Revision::parse(&display).as_ref() != Ok(&revision) {
                return Err(vec![format!("`{display}` is read as another revision")]);
            }
            json!({"ok": {
                "pointer": revision.pointer(),
                "commit": revision.commit().map(|commit| commit.to_string()),
                "digest": revision.digest(),
                "version": revision.version(),
                "display": display,
            }})
        }
        Err(error) => json!({"error": error.code()}),
    };
    exactly(&case.expect, &outcome)
}

pub(crate) fn observation(case: &Value) -> Result<(), Vec<String>> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Input {
        cluster: ClusterName,
        at: DateTime<Utc>,
        body: Bytes,
    }
    let case: Case<Input> = read(case)?;
    let outcome = match observe(&case.input.cluster, &case.input.body.bytes()?, case.input.at) {
        Ok(Ingested::Fact(fact)) => match &fact.body {
            FactBody::Observed(observation) => json!({"ok": describe(observation)}),
            _ => return Err(vec!["an event is an observation".to_owned()]),
        },
        Ok(Ingested::Ignored(why)) => json!({"ignored": why.code()}),
        Ok(_) => return Err(vec!["neither a fact nor ignored".to_owned()]),
        Err(error) => json!({"error": error.code()}),
    };
    exactly(&case.expect, &outcome)
}

/// An observation in the words of the vectors.
fn describe(observation: &Observation) -> Value {
    let proof = observation.proof().map(Proof::as_str);
    let changed = observation.changed_objects.iter();
    let changed: Map<_, _> =
        changed.map(|changed| (changed.object.to_string(), json!(changed.change))).collect();
    json!({
        "proof": proof,
        "object": observation.object,
        "commit": observation.commit(),
        "revision": observation.revision_text(),
        "health_check_passed": observation.health_check_passed,
        "created_or_configured": observation.created_or_configured,
        "only_deletions": observation.only_deletions,
        "canceled": observation.canceled,
        "chart_from_oci": observation.chart_from_oci,
        "action": observation.action,
        "related_object": observation.related_object.as_ref().map(|related| &related.object),
        "changed_objects": changed,
    })
}

pub(crate) fn to_value(value: &impl serde::Serialize) -> Result<Value, Vec<String>> {
    serde_json::to_value(value).map_err(|error| vec![error.to_string()])
}

/// What is expected must say whether the call succeeds, and be complete on the level below: a field
/// that it leaves out would be checked by nobody.
fn exactly(expected: &Value, actual: &Value) -> Result<(), Vec<String>> {
    let mut problems = Vec::new();
    let only = |value: &Value| value.as_object().is_some_and(|fields| fields.len() == 1);
    match (expected.get("ok"), actual.get("ok")) {
        (Some(expected_ok), Some(actual_ok)) if only(expected) => {
            exact("expect.ok", expected_ok, actual_ok, &mut problems);
        }
        _ => exact("expect", expected, actual, &mut problems),
    }
    if expected.pointer("/ok/event").and_then(Value::as_object).is_some_and(Map::is_empty) {
        problems.push("expect.ok.event is empty: nothing is checked".to_owned());
    }
    verdict(problems)
}
