//! What an API server knew: no `healthy` may be told that it does not support.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use gitops_brain::{
    Brain, CommitId, EnvironmentName, Fact, FactBody, ObjectName, Query, Revision, Selector, State,
};
use serde::Deserialize;
use serde_json::Value;

use crate::reader::read;

/// Every version of the Kustomizations of one captured scenario.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TruthCase {
    #[serde(rename = "id")]
    _id: String,
    #[serde(rename = "why")]
    _why: String,
    /// The id of the scenario.
    pub scenario: String,
    truth: Truth,
}

impl TruthCase {
    /// Reads a case of kind `truth`.
    ///
    /// # Errors
    ///
    /// If a field is unknown, missing or mistyped, or if there is no version at all.
    pub fn read(case: &Value) -> Result<Self, Vec<String>> {
        let case: Self = read(case)?;
        if case.truth.objects.values().flat_map(BTreeMap::values).all(Vec::is_empty) {
            return Err(vec!["no version of any object is known".to_owned()]);
        }
        Ok(case)
    }

    /// What the API server knew.
    #[must_use]
    pub fn truth(&self) -> &Truth {
        &self.truth
    }
}

/// What an API server knew.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Truth {
    /// By name and uid, oldest first.
    objects: BTreeMap<ObjectName, BTreeMap<String, Vec<ObjectVersion>>>,
}

/// One version of a Kustomization, and until the next the truth.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ObjectVersion {
    at: DateTime<Utc>,
    /// `status.lastAppliedRevision`.
    applied: Option<String>,
    /// The status of the condition Ready.
    ready: Option<String>,
    /// Whether `spec.wait` or `spec.healthChecks` is set.
    waits: bool,
}

/// A `healthy` that a brain told.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Claim {
    /// Where.
    pub reconciler: ObjectName,
    /// What.
    pub commit: CommitId,
    /// The commit that it is about: the same, or the later one that decides.
    pub proved: CommitId,
}

/// A health check is told a moment before the API server has the status.
const SLACK: TimeDelta = TimeDelta::seconds(2);

impl Truth {
    /// The Kustomizations that it knows.
    pub fn reconcilers(&self) -> impl Iterator<Item = &ObjectName> {
        self.objects.keys()
    }

    /// All that a brain tells to be healthy, of these commits.
    ///
    /// # Errors
    ///
    /// If a question is refused.
    pub fn claims(
        &self,
        brain: &Brain,
        environment: &EnvironmentName,
        commits: &[CommitId],
        now: DateTime<Utc>,
    ) -> Result<Vec<Claim>, Vec<String>> {
        let mut claims = Vec::new();
        for reconciler in self.objects.keys() {
            let selector: Selector = reconciler
                .to_string()
                .parse()
                .map_err(|error| vec![format!("{reconciler}: {error}")])?;
            for commit in commits {
                let query = Query::new(environment.clone(), *commit).reconciler(selector.clone());
                let status = brain.status(&query, now).map_err(|error| vec![error.to_string()])?;
                let healthy =
                    status.reconcilers.iter().filter(|status| status.state == State::Healthy);
                claims.extend(healthy.map(|status| Claim {
                    reconciler: reconciler.clone(),
                    commit: *commit,
                    proved: status.via.unwrap_or(*commit),
                }));
            }
        }
        Ok(claims)
    }

    /// Whether an object of that name had the commit applied and was ready, while it waited for
    /// health, at a time or before.
    #[must_use]
    pub fn supports(&self, claim: &Claim, uids: &[String], until: DateTime<Utc>) -> bool {
        let versions = self.objects.get(&claim.reconciler);
        let versions = versions.into_iter().flatten();
        let of_these = versions.filter(|(uid, _)| uids.contains(uid));
        of_these.flat_map(|(_, versions)| versions).any(|version| {
            version.at <= until + SLACK
                && version.waits
                && version.ready.as_deref() == Some("True")
                && version.applied.as_deref().is_some_and(|applied| {
                    let revision = Revision::parse(applied);
                    revision.is_ok_and(|revision| revision.commit() == Some(claim.proved))
                })
        })
    }

    /// The uids under which a reconciler was heard of, and the newest time at which it was.
    #[must_use]
    pub fn heard(facts: &[Fact], reconciler: &ObjectName) -> (Vec<String>, Option<DateTime<Utc>>) {
        let heard = facts.iter().filter_map(|fact| match &fact.body {
            FactBody::Observed(observation) if observation.object == *reconciler => {
                Some((observation.uid.to_string(), fact.at))
            }
            _ => None,
        });
        let heard: Vec<_> = heard.collect();
        let newest = heard.iter().map(|(_, at)| *at).max();
        (heard.into_iter().map(|(uid, _)| uid).collect(), newest)
    }
}
