//! What is doubtful about a set-up, as far as its events tell.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    brain::{Brain, selects},
    names::{EnvironmentName, ObjectName, Selector},
    observation::Role,
    policy::{Environment, Require},
    reconciler::{Kinds, Reconciler, RevisionKey},
    rollout::{self, Query},
    status::{Outcome, Reason, State, Verdict, text_of},
    wording,
    world::Cluster,
};

/// After so long without an event a cluster is silent: Flux reconciles every 10 minutes unless told
/// otherwise, and each hour at the least in most set-ups.
const SILENT_AFTER: TimeDelta = TimeDelta::hours(2);

/// By then the event of a success would have arrived: it is made right after that of the health check,
/// and given up after 15 seconds.
const SUCCESS_WITHIN: TimeDelta = TimeDelta::minutes(5);

/// By then what was applied has succeeded or failed: most health checks time out sooner.
const SUCCESS_OF_A_CHANGE_WITHIN: TimeDelta = TimeDelta::hours(1);

/// The most rollouts that are looked at.
const MAX_ROLLOUTS: usize = 200;

/// Something that keeps answers from coming, or makes them less than they could be.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// What kind of thing it is.
    pub code: FindingCode,
    /// The environment that it is about, if it is about one.
    pub environment: Option<EnvironmentName>,
    /// What it is about: a cluster, a reconciler, a commit.
    pub subject: String,
    /// What is so.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
}

/// The kinds of finding.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FindingCode {
    /// A cluster that an environment names never sent an event.
    ClusterNeverHeard,
    /// A cluster has not sent an event for long.
    ClusterSilent,
    /// A cluster has so many reconcilers that new ones are refused.
    ClusterFull,
    /// A cluster sends the events of health checks, and none of successes: notification-controller
    /// 1.8.0 to 1.8.3 drops them for generic providers.
    SuccessEventsDropped,
    /// A reconciler that an environment names never sent an event, though its cluster does.
    ReconcilerNeverHeard,
    /// A pattern of an environment matches no reconciler that has reported.
    SelectorUnmatched,
    /// A reconciler does not wait for the health of what it applies.
    HealthNotChecked,
    /// No event has told whether a reconciler waits for the health of what it applies.
    HealthUnproved,
    /// A reconciler is expected, and the one that applies it is not: what the parent changes of it at a
    /// commit is not waited for.
    ParentNotExpected,
    /// It is not known how a rollout's commit is related to what is live.
    AncestryUnknown,
    /// A reconciler reports revisions that name no commit.
    RevisionWithoutCommit,
    /// Of a reconciler nothing but errors was ever heard: its Alert seems to send no others.
    OnlyErrorsHeard,
}

impl FindingCode {
    /// Its name in snake case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClusterNeverHeard => "cluster_never_heard",
            Self::ClusterSilent => "cluster_silent",
            Self::ClusterFull => "cluster_full",
            Self::SuccessEventsDropped => "success_events_dropped",
            Self::ReconcilerNeverHeard => "reconciler_never_heard",
            Self::SelectorUnmatched => "selector_unmatched",
            Self::HealthNotChecked => "health_not_checked",
            Self::HealthUnproved => "health_unproved",
            Self::ParentNotExpected => "parent_not_expected",
            Self::AncestryUnknown => "ancestry_unknown",
            Self::RevisionWithoutCommit => "revision_without_commit",
            Self::OnlyErrorsHeard => "only_errors_heard",
        }
    }
}

impl Brain {
    /// What is doubtful about the set-up, sorted. Nothing, if all is well or nothing was heard yet.
    ///
    /// ```
    /// use gitops_brain::{Brain, FindingCode, Policy};
    ///
    /// let policy: Policy = serde_json::from_str(
    ///     r#"{"environments":{"staging":{"reconcilers":["staging/Kustomization/flux-system/apps"]}}}"#,
    /// )?;
    /// let now = "2026-11-23T13:00:00Z".parse()?;
    /// let findings = Brain::new(policy).findings(now);
    /// assert_eq!(findings[0].code, FindingCode::ClusterNeverHeard);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn findings(&self, now: DateTime<Utc>) -> Vec<Finding> {
        let mut findings = BTreeSet::new();
        self.doubt_clusters(now, &mut findings);
        for (name, environment) in self.environments() {
            self.doubt_environment(&name, &environment, &mut findings);
        }
        self.doubt_rollouts(now, &mut findings);
        findings.into_iter().collect()
    }

    /// The declared environments, or one for each cluster if none is declared.
    fn environments(&self) -> Vec<(EnvironmentName, Environment)> {
        if !self.policy.environments.is_empty() {
            let declared = self.policy.environments.iter();
            return declared.map(|(name, of)| (name.clone(), of.clone())).collect();
        }
        let heard = self.world.clusters.iter().filter(|cluster| cluster.is_heard());
        let names = heard.filter_map(|cluster| EnvironmentName::new(&cluster.name).ok());
        names.map(|name| (name.clone(), self.policy.of(&name))).collect()
    }

    fn is_heard(&self, cluster: &str) -> bool {
        self.world.cluster(cluster).is_some_and(Cluster::is_heard)
    }

    fn doubt_clusters(&self, now: DateTime<Utc>, findings: &mut BTreeSet<Finding>) {
        for (environment, declared) in &self.policy.environments {
            let clusters = declared.reconcilers.iter().filter_map(|selector| {
                selector.as_str().split('/').next().filter(|cluster| !cluster.contains('*'))
            });
            let undeclared = declared.reconcilers.is_empty().then_some(environment.as_str());
            for cluster in clusters.chain(undeclared).filter(|cluster| !self.is_heard(cluster)) {
                findings.insert(Finding {
                    code: FindingCode::ClusterNeverHeard,
                    environment: Some(environment.clone()),
                    subject: cluster.to_owned(),
                    message: format!("cluster {cluster} never sent an event"),
                    remedy: format!(
                        "apply what `gitops-brain manifests --cluster {cluster}` prints to it, and look at \
                         the log of its notification-controller"
                    ),
                });
            }
        }
        for cluster in self.world.clusters.iter().filter(|cluster| cluster.is_heard()) {
            let name = &cluster.name;
            let about = |code, message: String, remedy: &str| Finding {
                code,
                environment: None,
                subject: name.to_string(),
                message,
                remedy: remedy.to_owned(),
            };
            let last_heard = cluster.last_heard_at();
            if now.signed_duration_since(last_heard) > SILENT_AFTER {
                findings.insert(about(
                    FindingCode::ClusterSilent,
                    format!("cluster {name} was last heard at {}", text_of(last_heard)),
                    "look whether its Alert is still there and not suspended, and at the log of its \
                     notification-controller",
                ));
            }
            if cluster.refused > 0 {
                findings.insert(about(
                    FindingCode::ClusterFull,
                    format!("cluster {name} has more reconcilers than are kept of one"),
                    "remove those that are gone for good, or give some of them a cluster name of their \
                     own",
                ));
            }
            if let Some(reconciler) = self.drops_successes(cluster, now) {
                findings.insert(about(
                    FindingCode::SuccessEventsDropped,
                    format!(
                        "cluster {name} sends what is applied (by {reconciler}) and no successes: a commit \
                         that changes nothing in a Kustomization, or prunes alone, is never told of. Either \
                         kustomize-controller runs with `--feature-gates=DisableCommitStatusEvent=true`, or \
                         notification-controller 1.8.0 to 1.8.3 (Flux 2.8.0 to 2.8.5) drops them"
                    ),
                    wording::SUCCESS_REMEDY,
                ));
            }
        }
    }

    /// A Kustomization that applied something a while ago and did not fail since, where none ever
    /// succeeded.
    fn drops_successes<'a>(
        &'a self,
        cluster: &'a Cluster,
        now: DateTime<Utc>,
    ) -> Option<&'a ObjectName> {
        let mut checked = None;
        for reconciler in self.world.reconcilers_in(cluster) {
            if reconciler.role != Role::Kustomization {
                continue;
            }
            for record in reconciler.incarnations.iter().flat_map(|life| &life.records) {
                if record.latest(Kinds::SUCCEEDED).is_some() {
                    return None;
                }
                let health = record.latest(Kinds::HEALTH_CHECKED).map(|key| key.time());
                let changed = record.latest(Kinds::PROGRESS);
                let ended = record.latest(Kinds::TAKEN_UP) > changed;
                let changed = changed.filter(|_| !ended).map(|key| key.time());
                let late = |at: DateTime<Utc>, within| now.signed_duration_since(at) > within;
                if health.is_some_and(|at| late(at, SUCCESS_WITHIN))
                    || changed.is_some_and(|at| late(at, SUCCESS_OF_A_CHANGE_WITHIN))
                {
                    checked = checked.or(Some(&reconciler.name));
                }
            }
        }
        checked
    }

    fn doubt_environment(
        &self,
        name: &EnvironmentName,
        environment: &Environment,
        findings: &mut BTreeSet<Finding>,
    ) {
        let about = |code, subject: &ObjectName, message: String, remedy: String| Finding {
            code,
            environment: Some(name.clone()),
            subject: subject.to_string(),
            message,
            remedy,
        };
        let selectors = &environment.reconcilers;
        for expected in selectors.iter().filter_map(Selector::as_name) {
            let known = self.world.find(&expected).and_then(|index| self.world.reconciler(index));
            let was_heard = known.is_some_and(|known| !known.incarnations.is_empty());
            if !was_heard && self.is_heard(expected.cluster()) {
                findings.insert(about(
                    FindingCode::ReconcilerNeverHeard,
                    &expected,
                    format!("{expected} never sent an event, though its cluster does"),
                    "check its name, and that the Alert's `eventSources` name its kind and namespace"
                        .to_owned(),
                ));
            }
        }
        for selector in rollout::unmatched(&self.world, name, selectors) {
            // Of a cluster that is named and was never heard, that is said already.
            let mut heard = self.world.clusters.iter().filter(|cluster| cluster.is_heard());
            if heard.any(|cluster| selector.matches_cluster(&cluster.name)) {
                findings.insert(Finding {
                    code: FindingCode::SelectorUnmatched,
                    environment: Some(name.clone()),
                    subject: selector.to_string(),
                    message: format!("`{selector}` matches no reconciler that has reported"),
                    remedy: wording::PATTERN_REMEDY.to_owned(),
                });
            }
        }
        for reconciler in self.expected(name, selectors) {
            let report = self.report(reconciler, Some(name));
            let subject = &report.reconciler;
            if self.world.lacks_all_but_errors(reconciler) {
                findings.insert(about(
                    FindingCode::OnlyErrorsHeard,
                    subject,
                    format!(
                        "of {subject} nothing but errors was ever heard: no success turns it green"
                    ),
                    wording::SEVERITY_REMEDY.to_owned(),
                ));
            }
            let head = reconciler.current().and_then(|current| current.head());
            if let Some(RevisionKey::Text(text)) = head.map(|head| head.revision) {
                let revision = self.world.revisions.text(text);
                findings.insert(about(
                    FindingCode::RevisionWithoutCommit,
                    subject,
                    format!("{subject} reports {revision}, which names no commit in full"),
                    wording::commit_remedy(subject).to_owned(),
                ));
            }
            let remedy = || wording::health_checks_remedy(&reconciler.name);
            match (environment.require, report.health_checks.verdict) {
                (Require::Healthy, Verdict::DoesNotCheck) => {
                    let message =
                        format!("{subject} does not wait for the health of what it applies");
                    findings.insert(about(
                        FindingCode::HealthNotChecked,
                        subject,
                        message,
                        remedy(),
                    ));
                }
                (Require::Healthy, Verdict::Unknown) if report.state == State::Applied => {
                    let message = format!(
                        "no event has told whether {subject} waits for the health of what it applies"
                    );
                    findings.insert(about(FindingCode::HealthUnproved, subject, message, remedy()));
                }
                _ => {}
            }
            let parents =
                reconciler.parents.iter().filter_map(|index| self.world.reconciler(*index));
            for parent in parents {
                let is_expected = selects(name, selectors, &parent.name);
                let is_there = !parent.is_deleted() && !parent.is_removed();
                if is_there && !is_expected && parent.name != reconciler.name {
                    findings.insert(about(
                        FindingCode::ParentNotExpected,
                        subject,
                        format!(
                            "{subject} is applied by {}, which environment {name} does not expect: a \
                             commit that changes both could count before the new {} is applied",
                            parent.name,
                            subject.kind()
                        ),
                        format!("add \"{}\" to the environment's `reconcilers`", parent.name),
                    ));
                }
            }
        }
    }

    /// The reconcilers of an environment that are there.
    fn expected<'a>(
        &'a self,
        name: &'a EnvironmentName,
        selectors: &'a [Selector],
    ) -> impl Iterator<Item = &'a Reconciler> {
        self.world.reconcilers.iter().filter(move |known| {
            selects(name, selectors, &known.name)
                && known.role != Role::Source
                && !known.incarnations.is_empty()
                && !known.is_deleted()
                && !known.is_removed()
        })
    }

    fn doubt_rollouts(&self, now: DateTime<Utc>, findings: &mut BTreeSet<Finding>) {
        for (environment, commit) in self.current.keys().take(MAX_ROLLOUTS) {
            let query = Query::new(environment.clone(), *commit);
            let Ok(status) = self.status(&query, now) else { continue };
            let unknown =
                status.reconcilers.iter().find(|one| one.reason == Reason::AncestryUnknown);
            if let (Some(reconciler), Outcome::InProgress) = (unknown, status.outcome) {
                findings.insert(Finding {
                    code: FindingCode::AncestryUnknown,
                    environment: Some(environment.clone()),
                    subject: commit.to_string(),
                    message: reconciler.message.clone(),
                    remedy: "run `gitops-brain wait` in a checkout of the gitops repository, or point the \
                             git host's push webhook at the server; if that reconciler follows another \
                             repository, name those that are expected, or let the Alert send the events of \
                             sources"
                        .to_owned(),
                });
            }
        }
    }
}
