//! Sending an event as Flux would, to test a set-up.

use std::env;

use chrono::{SecondsFormat, Utc};
use gitops_brain::sign;
use serde_json::json;

use crate::{
    args::{Format, Global, Sample, Send, What},
    client::{Client, ClientError},
    commit::Found,
    exit::{Exit, Failure},
    input,
    out::Out,
    output,
    text::one_line,
};

/// The object of a sample event. Nobody waits for it, so the sample turns nothing green.
const SAMPLE_OBJECT: &str = "Kustomization/flux-system/gitops-brain-sample";

pub(crate) fn run(args: &Send, global: &Global) -> Result<Exit, Failure> {
    let client = Client::new(&global.url, None)?;
    let key = match &args.key_file {
        Some(path) => Some(input::read_key(path)?),
        None => env::var("GITOPS_BRAIN_HMAC_KEY").ok().filter(|key| !key.trim().is_empty()),
    };
    let body = match &args.event {
        Some(path) => input::read(path)?,
        None => sample(&args.sample, global)?.to_string().into_bytes(),
    };
    let signature = key
        .map(|key| sign(key.trim().as_bytes(), &body))
        .transpose()
        .map_err(|error| Failure::usage(error.to_string()))?;
    let mut headers = vec![("Gotk-Component", "kustomize-controller")];
    headers.extend(signature.as_deref().map(|signature| ("X-Signature", signature)));
    let path = format!("/v1/events/{}", args.cluster);
    let (status, answer) = client.post_raw(&path, &headers, &body).map_err(|error| {
        let is_denied = matches!(error, ClientError::Denied { .. });
        let failure = Failure::from(error);
        if is_denied {
            failure.remedy("check the cluster's name, and pass the key that the server has for it")
        } else {
            failure
        }
    })?;
    let mut out = Out::stdout();
    match global.output {
        format @ (Format::Json | Format::Jsonl) => output::json_value(&mut out, format, &answer),
        Format::Text => {
            let result = answer.get("result").and_then(|result| result.as_str());
            let code = answer.get("code").and_then(|code| code.as_str());
            let code = code.map(|code| format!(" ({})", one_line(code))).unwrap_or_default();
            let result = one_line(result.unwrap_or("answered"));
            out.line(format!("{status} {result}{code}"));
        }
    }
    out.finish()?;
    Ok(Exit::Succeeded)
}

/// An event with the texts and fields that kustomize-controller sends.
fn sample(sample: &Sample, global: &Global) -> Result<serde_json::Value, Failure> {
    let revision = match (&sample.revision, &sample.commit) {
        (Some(revision), _) => revision.clone(),
        (None, commit) => {
            let found = Found::find(commit.as_deref().unwrap_or("HEAD"), global)?;
            let id = found.commit.to_string();
            let algorithm = if id.len() == 64 { "sha256" } else { "sha1" };
            format!("main@{algorithm}:{id}")
        }
    };
    let object = sample.object.as_deref().unwrap_or(SAMPLE_OBJECT);
    let mut parts = object.split('/');
    let (Some(kind), Some(namespace), Some(name), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Failure::usage(format!(
            "`{object}` is not an object: write `Kind/namespace/name`"
        )));
    };
    let (severity, reason, message) = match sample.what.unwrap_or(What::Healthy) {
        What::Applied => ("info", "Progressing", "ConfigMap/default/sample configured"),
        What::Healthy => ("info", "Progressing", "Health check passed in 5.025124446s"),
        What::Succeeded => (
            "info",
            "ReconciliationSucceeded",
            "Reconciliation finished in 5.192261409s, next run in 10m0s",
        ),
        What::Failed => ("error", "BuildFailed", "kustomize build failed: this is a sample"),
    };
    let reason = sample.reason.as_deref().unwrap_or(reason);
    let mut metadata = json!({ "revision": revision });
    if severity == "info" && reason == "ReconciliationSucceeded" {
        metadata = json!({ "commit_status": "update", "revision": revision });
    }
    let now = Utc::now();
    let group = if kind == "HelmRelease" { "helm" } else { "kustomize" };
    let version = if kind == "HelmRelease" { "v2" } else { "v1" };
    Ok(json!({
        "involvedObject": {
            "kind": kind,
            "namespace": namespace,
            "name": name,
            "uid": "00000000-0000-4000-8000-000000000000",
            "apiVersion": format!("{group}.toolkit.fluxcd.io/{version}"),
            "resourceVersion": now.timestamp().to_string(),
        },
        "severity": severity,
        "timestamp": now.to_rfc3339_opts(SecondsFormat::Secs, true),
        "message": sample.message.as_deref().unwrap_or(message),
        "reason": reason,
        "metadata": metadata,
        "reportingController": format!("{group}-controller"),
        "reportingInstance": "gitops-brain-send",
    }))
}
