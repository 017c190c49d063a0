//! Sending the commits that tell how a live revision and the awaited commit are related.

use std::{collections::BTreeSet, path::Path, time::Duration};

use gitops_brain::{CommitId, CommitPrefix, EnvironmentName, Revision};
use serde::Deserialize as _;
use serde_json::json;

use crate::{
    client::{Client, encode},
    commit::{Found, batches},
    git::Checkout,
    status::{Reconciler, Report, Status, list},
    text::short_revision,
};

/// Mends unknown ancestry, once for each live revision.
#[derive(Debug)]
pub(crate) struct Mender<'a> {
    client: &'a Client,
    found: &'a Found,
    environment: &'a EnvironmentName,
    tried: BTreeSet<String>,
}

impl<'a> Mender<'a> {
    pub(crate) fn new(
        client: &'a Client,
        found: &'a Found,
        environment: &'a EnvironmentName,
    ) -> Self {
        Self { client, found, environment, tried: BTreeSet::new() }
    }

    /// Where the checkout is, or why there is none.
    pub(crate) fn checkout(&self) -> Result<&'a Path, &'a str> {
        self.found.checkout.as_ref().map(Checkout::path).map_err(String::as_str)
    }

    /// Mends what it can, and tells what it did or could not do.
    pub(crate) fn mend(&mut self, status: &Status) -> Vec<String> {
        let mut notes = Vec::new();
        for reconciler in &status.reconcilers {
            let Some(head) = &reconciler.head else { continue };
            // Most versions of charts have nothing to do with a commit.
            let tells = !reconciler.reconciler.contains("/HelmRelease/")
                || CommitPrefix::of_version(head).is_some();
            let is_unknown = reconciler.reason == "ancestry_unknown" && tells;
            if !is_unknown || !self.tried.insert(head.clone()) {
                continue;
            }
            let shown = short_revision(head);
            notes.push(match self.connect(reconciler, head) {
                Ok(count) => format!("{shown} is live: sent {count} commits that lead to it"),
                Err(why) => format!("{shown} is live, its relation cannot be told: {why}"),
            });
        }
        notes
    }

    fn connect(&self, reconciler: &Reconciler, head: &str) -> Result<usize, String> {
        let checkout = self.found.checkout.as_ref().map_err(Clone::clone)?;
        let revision = Revision::parse(head).ok();
        let named = revision.as_ref().and_then(Revision::commit);
        let live = match (named, CommitPrefix::of_version(head)) {
            (Some(live), _) => live,
            (None, Some(prefix)) => checkout.beginning_with(prefix)?,
            (None, None) => self.ask_for_commit(reconciler).ok_or("it names no commit")?,
        };
        let branch = revision.as_ref().and_then(Revision::pointer);
        let objects = checkout.between(live, self.found.commit, branch)?;
        let count = objects.len();
        for batch in batches(objects) {
            let body = json!({ "objects": batch });
            self.client.post("/v1/ancestry", &body).map_err(|error| error.to_string())?;
        }
        Ok(count)
    }

    /// The commit behind an OCI artifact's digest.
    fn ask_for_commit(&self, reconciler: &Reconciler) -> Option<CommitId> {
        let path = format!("/v1/reconcilers?environment={}", encode(self.environment.as_str()));
        let answer = self.client.get(&path, Duration::ZERO).ok()?;
        let reports = list(&answer).iter().filter_map(|report| Report::deserialize(report).ok());
        let mut reports = reports.filter(|report| report.reconciler == reconciler.reconciler);
        reports.next()?.commit?.parse().ok()
    }
}
