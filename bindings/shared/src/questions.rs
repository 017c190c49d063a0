//! What is asked of a brain, with the answers as JSON.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use gitops_brain::{
    Brain, Outcome, Policy, Position, Query, ReconcilerFilter, Registration, Require,
    RolloutFilter, Selector, Version, Watch, WatchId, parse_duration,
};
use serde::Deserialize;

use crate::{error::Error, input::read, to_json};

/// A question of a brain, as a package writes it: `{"status": {"environment": …, "commit": …}}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
enum Question {
    /// `Brain::status`.
    Status(Rollout),
    /// `Brain::next_change`.
    NextChange(Rollout),
    /// `Brain::statuses`.
    Statuses { commit: String },
    /// `Brain::rollouts`.
    Rollouts(Rollouts),
    /// `Brain::reconcilers`.
    Reconcilers { environment: Option<String>, cluster: Option<String> },
    /// `Brain::clusters`.
    Clusters,
    /// `Brain::unrecorded`.
    Unrecorded,
    /// `Brain::policy`.
    Policy,
    /// `Brain::resolve`.
    Resolve { commit: String },
    /// `Brain::next_deadline`.
    NextDeadline,
    /// `Registration::new` with what the policy in place declares, and more.
    Registration(Registering),
}

/// A question about one rollout.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rollout {
    environment: String,
    commit: String,
    require: Option<Require>,
    #[serde(default)]
    reconcilers: Vec<String>,
    failure_grace: Option<String>,
}

/// What CI says of a rollout.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Registering {
    environment: String,
    commit: String,
    #[serde(default)]
    expect: Vec<String>,
    require: Option<Require>,
    timeout: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

/// Which rollouts to list.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rollouts {
    environment: Option<String>,
    outcome: Option<Outcome>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    after: Option<After>,
    limit: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct After {
    registered_at: DateTime<Utc>,
    environment: String,
    commit: String,
}

/// Answers a question.
///
/// # Errors
///
/// `query.malformed` if it has an unknown form, and those of the core's call.
pub fn ask(brain: &Brain, question: &str, now: DateTime<Utc>) -> Result<String, Error> {
    Ok(match read("query.malformed", "question", question)? {
        Question::Status(rollout) => to_json(&brain.status(&rollout.query()?, now)?),
        Question::NextChange(rollout) => to_json(&brain.next_change(&rollout.query()?, now)?),
        Question::Statuses { commit } => to_json(&brain.statuses(commit.parse()?, now)),
        Question::Rollouts(rollouts) => to_json(&brain.rollouts(&rollouts.filter()?, now)),
        Question::Reconcilers { environment, cluster } => {
            let mut filter = ReconcilerFilter::default();
            filter.environment = environment.as_deref().map(str::parse).transpose()?;
            filter.cluster = cluster.as_deref().map(str::parse).transpose()?;
            to_json(&brain.reconcilers(&filter))
        }
        Question::Clusters => to_json(&brain.clusters()),
        Question::Unrecorded => to_json(&brain.unrecorded()),
        Question::Policy => to_json(brain.policy()),
        Question::Resolve { commit } => to_json(&brain.resolve(&commit)?),
        Question::NextDeadline => to_json(&brain.next_deadline()),
        Question::Registration(registering) => {
            // A typing mistake must not wait for ever.
            brain.next_change(&registering.query()?, now)?;
            to_json(&registering.registration(brain.policy())?)
        }
    })
}

/// The answer to a watch.
#[derive(Debug)]
pub enum Watched {
    /// The status, as JSON.
    Ready(String),
    /// The watch that waits for it.
    Waiting(WatchId),
}

/// Waits for a status: see `Brain::watch`. `rollout` is what [`ask`] takes under `status`.
///
/// # Errors
///
/// As [`ask`].
pub fn watch(
    brain: &mut Brain,
    rollout: &str,
    since: Option<&str>,
    now: DateTime<Utc>,
) -> Result<Watched, Error> {
    let rollout: Rollout = read("query.malformed", "question", rollout)?;
    let since = since.map(|since| Version::from(since.to_owned()));
    Ok(match brain.watch(rollout.query()?, since.as_ref(), now)? {
        Watch::Ready(status) => Watched::Ready(to_json(&status)),
        Watch::Waiting(id) => Watched::Waiting(id),
    })
}

impl Rollout {
    fn query(&self) -> Result<Query, Error> {
        let mut query = Query::new(self.environment.parse()?, self.commit.parse()?);
        query.require = self.require;
        for reconciler in &self.reconcilers {
            query.reconcilers.insert(Selector::new(reconciler)?);
        }
        query.failure_grace = self.failure_grace.as_deref().map(parse_duration).transpose()?;
        Ok(query)
    }
}

impl Registering {
    fn query(&self) -> Result<Query, Error> {
        Ok(Query::new(self.environment.parse()?, self.commit.parse()?))
    }

    fn registration(self, policy: &Policy) -> Result<Registration, Error> {
        let environment = self.environment.parse()?;
        let declared = policy.of(&environment);
        let expect = self.expect.iter().map(|selector| Selector::new(selector));
        let mut registration = Registration::new(environment, self.commit.parse()?, &declared)
            .expect(expect.collect::<Result<Vec<_>, _>>()?);
        if let Some(require) = self.require {
            registration = registration.require(require);
        }
        if let Some(timeout) = self.timeout {
            registration = registration.timeout(parse_duration(&timeout)?);
        }
        let labels = self.labels.into_iter();
        Ok(labels.fold(registration, |registration, (name, value)| registration.label(name, value)))
    }
}

impl Rollouts {
    fn filter(self) -> Result<RolloutFilter, Error> {
        let mut filter = RolloutFilter::default();
        filter.environment = self.environment.as_deref().map(str::parse).transpose()?;
        filter.outcome = self.outcome;
        filter.labels = self.labels;
        if let Some(After { registered_at, environment, commit }) = self.after {
            let (environment, commit) = (environment.parse()?, commit.parse()?);
            filter.after = Some(Position { registered_at, environment, commit });
        }
        filter.limit = self.limit;
        Ok(filter)
    }
}
