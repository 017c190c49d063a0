//! What the brain is made of: facts, and their form in a journal.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{
    ancestry::Ancestry,
    commit::CommitId,
    duration,
    names::{EnvironmentName, ObjectName, Selector},
    observation::Observation,
    policy::{Environment, Require},
    status::Outcome,
};

/// The version of the format in which this release writes facts.
pub const FACT_VERSION: u32 = 1;

/// Something that was learned, and when.
///
/// Facts can be taken in more than once and in any order: the brain is the same. A fact crosses
/// processes and languages as one line of JSON ([`Fact::to_line`], [`Fact::from_line`]), the only
/// format of this library that is versioned.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Fact {
    /// The version of the format.
    pub v: u32,
    /// The receiver's clock when the fact was taken in, in whole milliseconds. Stamped once.
    pub at: DateTime<Utc>,
    /// What was learned.
    pub body: FactBody,
}

/// What a fact says.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FactBody {
    /// What an event said about a reconciler or a source.
    Observed(Observation),
    /// CI wants to know about a rollout.
    Registered(Registration),
    /// How commits descend from each other.
    Ancestry(Ancestry),
    /// A rollout's outcome became final.
    Settled(Settlement),
    /// A person acknowledged that a reconciler is gone for good.
    Removed {
        /// The reconciler.
        reconciler: ObjectName,
    },
    /// What is older, and no longer needed, is forgotten: now, and whenever facts are loaded. An older
    /// fact that is applied later is kept until the next time.
    Forgotten {
        /// Everything before this time.
        before: DateTime<Utc>,
    },
}

/// CI's word that it wants to know about a rollout, and what it expects.
///
/// Several registrations of one rollout are joined: all expectations, the strictest requirement,
/// and labels, timeout and graces of the latest. So a registration can add to what is expected of a
/// rollout, and never take anything away.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Registration {
    /// Where the commit is to go live.
    pub environment: EnvironmentName,
    /// The commit of the gitops repository.
    pub commit: CommitId,
    /// The reconcilers that it is expected to reach. None: all of the cluster of that name.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub expect: BTreeSet<Selector>,
    /// Whether all of the cluster that is called like the environment is expected besides: true where
    /// the environment declares no reconcilers, so that naming one takes none of the others away.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub whole_cluster: bool,
    /// What success means.
    #[serde(default)]
    pub require: Require,
    /// Everything of which the latest registration decides.
    #[serde(flatten)]
    pub terms: Terms,
}

/// The part of a [`Registration`] of which the latest one decides.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Terms {
    /// How long after the latest registration the rollout may take.
    #[serde(with = "duration")]
    pub timeout: Duration,
    /// How long a failure must last before it counts.
    #[serde(with = "duration")]
    pub failure_grace: Duration,
    /// The same for reasons that are usually hiccups of the platform.
    #[serde(with = "duration")]
    pub transient_grace: Duration,
    /// How long a cluster must have been heard before a learned set is complete.
    #[serde(with = "duration")]
    pub learning: Duration,
    /// Free texts of CI: `app`, `version`, `url`, `actor`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

impl Registration {
    /// Registers a commit with what is declared for the environment. Declarations are written into
    /// the registration, so that a later configuration does not rewrite history.
    #[must_use]
    pub fn new(environment: EnvironmentName, commit: CommitId, declared: &Environment) -> Self {
        Self {
            environment,
            commit,
            expect: declared.reconcilers.iter().cloned().collect(),
            whole_cluster: declared.reconcilers.is_empty(),
            require: declared.require,
            terms: Terms {
                timeout: declared.timeout,
                failure_grace: declared.failure_grace,
                transient_grace: declared.transient_grace,
                learning: declared.learning,
                labels: BTreeMap::new(),
            },
        }
    }

    /// Expects more reconcilers, besides those that the environment declares; where it declares none,
    /// besides all of its cluster.
    #[must_use]
    pub fn expect(mut self, selectors: impl IntoIterator<Item = Selector>) -> Self {
        self.expect.extend(selectors);
        self
    }

    pub(crate) fn is_whole_cluster(&self) -> bool {
        self.whole_cluster || self.expect.is_empty()
    }

    /// Requires at least this: a registration can make a requirement stricter, and never weaker.
    #[must_use]
    pub fn require(mut self, require: Require) -> Self {
        self.require = self.require.max(require);
        self
    }

    /// Sets how long the rollout may take.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.terms.timeout = timeout;
        self
    }

    /// Adds a label.
    #[must_use]
    pub fn label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.terms.labels.insert(name.into(), value.into());
        self
    }
}

/// The fact that a rollout's outcome became final. Unique by environment, commit and number.
///
/// The fact's `at` is when it was settled.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Settlement {
    /// Where.
    pub environment: EnvironmentName,
    /// What.
    pub commit: CommitId,
    /// How many settlements of this rollout came before.
    pub n: u32,
    /// What it settled to: `succeeded`, `failed` or `timed_out`.
    pub outcome: Outcome,
}

impl Settlement {
    /// A settlement of a rollout, after `n` earlier ones.
    #[must_use]
    pub fn new(environment: EnvironmentName, commit: CommitId, n: u32, outcome: Outcome) -> Self {
        Self { environment, commit, n, outcome }
    }
}

impl Fact {
    /// A fact that is taken in now, by the receiver's clock.
    #[must_use]
    pub fn new(at: DateTime<Utc>, body: FactBody) -> Self {
        // Milliseconds are what every language and store of this project can carry.
        let at = DateTime::from_timestamp_millis(at.timestamp_millis()).unwrap_or(at);
        Self { v: FACT_VERSION, at, body }
    }

    /// The identity of what the fact says, for a journal's unique key: the same content taken in
    /// twice has the same id, whenever it was taken in.
    ///
    /// Where the time is part of what is said (registrations move a deadline, a removal holds until
    /// the reconciler is heard again) it counts. A settlement is identified by environment, commit
    /// and number alone: of two replicas that settle the same rollout, one wins.
    #[must_use]
    pub fn id(&self) -> [u8; 16] {
        let mut hash = Sha256::new();
        match &self.body {
            FactBody::Settled(settlement) => {
                hash.update(b"settled\0");
                for part in [
                    settlement.environment.as_str(),
                    &settlement.commit.to_string(),
                    &settlement.n.to_string(),
                ] {
                    hash.update(part);
                    hash.update(b"\0");
                }
            }
            body => {
                if let FactBody::Registered(_) | FactBody::Removed { .. } = body {
                    hash.update(self.at.timestamp_millis().to_be_bytes());
                }
                hash.update(to_json(body));
            }
        }
        let digest = hash.finalize();
        let mut id = [0; 16];
        for (to, from) in id.iter_mut().zip(digest) {
            *to = from;
        }
        id
    }

    /// The fact as one line of JSON, without a line break.
    #[must_use]
    pub fn to_line(&self) -> String {
        to_json(self)
    }

    /// Reads a fact from one line of JSON.
    ///
    /// # Errors
    ///
    /// [`FactError::NewerVersion`] if a newer release wrote it: stop rather than skip it.
    /// [`FactError::Malformed`] if it is something else.
    pub fn from_line(line: &str) -> Result<Self, FactError> {
        #[derive(Deserialize)]
        struct Version {
            v: u32,
        }
        serde_json::from_str::<Self>(line)
            .map_err(|error| {
                // Only the failing path looks for the version: a newer body may have another form.
                match serde_json::from_str::<Version>(line) {
                    Ok(Version { v }) if v > FACT_VERSION => FactError::NewerVersion { version: v },
                    _ => FactError::Malformed { reason: error.to_string(), column: error.column() },
                }
            })
            .and_then(|fact| match fact.v {
                FACT_VERSION => Ok(fact),
                version if version > FACT_VERSION => Err(FactError::NewerVersion { version }),
                version => Err(FactError::Malformed {
                    reason: format!("there is no version {version}"),
                    column: 0,
                }),
            })
    }
}

/// Why a line is not a fact.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FactError {
    /// A newer release wrote the line.
    #[error(
        "the fact has format version {version}, newer than {FACT_VERSION} which this release \
         reads: upgrade"
    )]
    NewerVersion {
        /// Its version.
        version: u32,
    },
    /// The line is damaged, or not a fact.
    #[error("not a fact: {reason}")]
    Malformed {
        /// What is wrong with it.
        reason: String,
        /// Where, counted from 1; 0 if it is of the whole line.
        column: usize,
    },
}

impl FactError {
    /// The stable code: `fact.newer_version` or `fact.malformed`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NewerVersion { .. } => "fact.newer_version",
            Self::Malformed { .. } => "fact.malformed",
        }
    }
}

/// JSON of our own types, whose map keys are texts: this cannot fail.
pub(crate) fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
