//! An event of a Kustomization, as notification-controller posts it.

use chrono::{DateTime, SecondsFormat, Utc};
use gitops_brain::CommitId;
use serde_json::json;

/// What kustomize-controller says of a Kustomization in `flux-system`.
#[derive(Clone, Debug)]
pub struct KustomizationEvent<'a> {
    /// The Kustomization's name.
    pub name: &'a str,
    /// Its uid.
    pub uid: &'a str,
    /// Its resourceVersion.
    pub resource_version: u64,
    /// `info` or `error`.
    pub severity: &'a str,
    /// The reason.
    pub reason: &'a str,
    /// The message.
    pub message: &'a str,
    /// The commit of `main` that it is about.
    pub commit: Option<CommitId>,
    /// Whether it is that of a finished reconciliation.
    pub is_success: bool,
    /// When it was made.
    pub at: DateTime<Utc>,
}

impl KustomizationEvent<'_> {
    /// The body of the request.
    #[must_use]
    pub fn body(&self) -> String {
        let mut metadata = serde_json::Map::new();
        if let Some(commit) = self.commit {
            metadata.insert("revision".to_owned(), format!("main@sha1:{commit}").into());
        }
        if self.is_success {
            metadata.insert("commit_status".to_owned(), "update".into());
        }
        json!({
            "involvedObject": {
                "kind": "Kustomization", "namespace": "flux-system", "name": self.name,
                "uid": self.uid, "resourceVersion": self.resource_version.to_string(),
            },
            "severity": self.severity, "reason": self.reason, "message": self.message,
            "timestamp": self.at.to_rfc3339_opts(SecondsFormat::Secs, true),
            "metadata": metadata, "reportingController": "kustomize-controller",
        })
        .to_string()
    }
}
