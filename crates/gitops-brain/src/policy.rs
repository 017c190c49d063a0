//! What operators declare: environments, what they expect, and what success means there.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    duration,
    names::{EnvironmentName, ObjectName, Selector},
};

/// What the operators of an installation declare.
///
/// The empty policy (`Policy::default()`) closes nothing: each environment is then the cluster of
/// that name. As soon as one environment is declared, an unknown one is an error, so that a typing
/// mistake does not wait for ever.
///
/// ```
/// use gitops_brain::{Environment, Policy};
///
/// let policy = Policy::default()
///     .environment("staging".parse()?, Environment::default()
///         .expect("staging/Kustomization/flux-system/apps".parse()?));
/// assert_eq!(policy.environments.len(), 1);
/// # Ok::<(), gitops_brain::NameError>(())
/// ```
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Policy {
    /// The environments that CI may ask for. None declared: an environment is a cluster's name.
    pub environments: BTreeMap<EnvironmentName, Environment>,
    /// What is known of single reconcilers, or of all that match a pattern. A name wins over a
    /// pattern, and the longer pattern over the shorter.
    pub reconcilers: BTreeMap<Selector, ReconcilerPolicy>,
}

impl Policy {
    /// Declares an environment.
    #[must_use]
    pub fn environment(mut self, name: EnvironmentName, environment: Environment) -> Self {
        self.environments.insert(name, environment);
        self
    }

    /// Declares what is known of a reconciler.
    #[must_use]
    pub fn reconciler(mut self, selector: Selector, policy: ReconcilerPolicy) -> Self {
        self.reconcilers.insert(selector, policy);
        self
    }

    /// Whether questions about an environment can be answered: it is declared, or none is.
    #[must_use]
    pub fn knows(&self, environment: &EnvironmentName) -> bool {
        self.environments.is_empty() || self.environments.contains_key(environment)
    }

    /// What is declared for an environment, or the defaults.
    #[must_use]
    pub fn of(&self, environment: &EnvironmentName) -> Environment {
        self.environments.get(environment).cloned().unwrap_or_default()
    }

    /// Whether a reconciler waits for the health of what it applies, as far as declared: for it by
    /// name, by a pattern, or for the environment that is asked about.
    #[must_use]
    pub fn health_checks(
        &self,
        environment: Option<&EnvironmentName>,
        reconciler: &ObjectName,
    ) -> HealthChecks {
        let declared = self
            .reconcilers
            .iter()
            .filter(|(selector, _)| selector.matches(reconciler))
            .max_by_key(|(selector, _)| {
                (!selector.is_pattern(), selector.as_str().len(), *selector)
            })
            .map(|(_, policy)| policy.health_checks);
        declared.unwrap_or_else(|| {
            environment
                .and_then(|name| self.environments.get(name))
                .map_or(HealthChecks::Inferred, |environment| environment.health_checks)
        })
    }
}

/// What is declared for one environment.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Environment {
    /// The reconcilers that a rollout is expected to reach. None: all of the cluster of that name.
    pub reconcilers: Vec<Selector>,
    /// What success means.
    pub require: Require,
    /// Whether its reconcilers wait for the health of what they apply.
    pub health_checks: HealthChecks,
    /// How long after its registration a rollout may take.
    #[serde(with = "duration")]
    pub timeout: Duration,
    /// How long a failure must last before it counts.
    #[serde(with = "duration")]
    pub failure_grace: Duration,
    /// The same for reasons that are usually hiccups of the platform and mend themselves.
    #[serde(with = "duration")]
    pub transient_grace: Duration,
    /// How long a cluster must have been heard before a set of reconcilers that is learned, or
    /// given by a pattern, is taken to be complete.
    #[serde(with = "duration")]
    pub learning: Duration,
}

impl Environment {
    /// Expects a reconciler by name, or those that match a pattern.
    #[must_use]
    pub fn expect(mut self, selector: Selector) -> Self {
        self.reconcilers.push(selector);
        self
    }

    /// Sets what success means.
    #[must_use]
    pub fn require(mut self, require: Require) -> Self {
        self.require = require;
        self
    }

    /// Sets whether its reconcilers wait for the health of what they apply.
    #[must_use]
    pub fn health_checks(mut self, health_checks: HealthChecks) -> Self {
        self.health_checks = health_checks;
        self
    }

    /// Sets how long after its registration a rollout may take.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets how long a failure must last before it counts.
    #[must_use]
    pub fn failure_grace(mut self, grace: Duration) -> Self {
        self.failure_grace = grace;
        self
    }

    /// Sets how long a failure must last before it counts, for reasons that usually mend themselves.
    #[must_use]
    pub fn transient_grace(mut self, grace: Duration) -> Self {
        self.transient_grace = grace;
        self
    }

    /// Sets how long a cluster must have been heard before an undeclared set is complete.
    #[must_use]
    pub fn learning(mut self, learning: Duration) -> Self {
        self.learning = learning;
        self
    }
}

impl Default for Environment {
    fn default() -> Self {
        Self {
            reconcilers: Vec::new(),
            require: Require::default(),
            health_checks: HealthChecks::default(),
            timeout: Duration::from_mins(30),
            failure_grace: Duration::ZERO,
            transient_grace: Duration::from_mins(2),
            // The interval that `flux bootstrap` sets: by then each Kustomization has reported.
            learning: Duration::from_mins(10),
        }
    }
}

/// What is declared for one reconciler.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ReconcilerPolicy {
    /// Whether it waits for the health of what it applies.
    pub health_checks: HealthChecks,
}

impl ReconcilerPolicy {
    /// Sets whether it waits for the health of what it applies.
    #[must_use]
    pub fn health_checks(mut self, health_checks: HealthChecks) -> Self {
        self.health_checks = health_checks;
        self
    }
}

/// Which state a rollout must reach to have succeeded.
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize,
)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "hosts must decide on each")]
pub enum Require {
    /// Everything is applied; nothing is asked about its health.
    Applied,
    /// Everything is applied and proved healthy.
    #[default]
    Healthy,
}

/// Whether a reconciler waits for the health of what it applies (`wait: true` or `healthChecks` of a
/// Kustomization). Its events do not say.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "hosts must decide on each")]
pub enum HealthChecks {
    /// The operator vouches that it waits.
    Enabled,
    /// The operator says that it does not.
    Disabled,
    /// Judged by the newest evidence in its events.
    #[default]
    Inferred,
}
