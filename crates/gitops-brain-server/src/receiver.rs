//! Who is told of settled rollouts, as configured.

use std::{collections::BTreeSet, fmt};

use gitops_brain::{EnvironmentName, Outcome};

use crate::secret::Secret;

/// The outcomes that a rollout can settle to.
pub(crate) const FINAL: [Outcome; 3] = [Outcome::Succeeded, Outcome::Failed, Outcome::TimedOut];

/// Somebody who is told when a rollout settles: once each time, or more often if it is not known whether
/// they heard it, and never less.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Receiver {
    /// What it is called in the log, and where it is in the journal goes by. Another name is another
    /// receiver, which begins with what settles next.
    pub name: String,
    /// How it is told.
    pub channel: Channel,
    /// The environments that it is told of; `None` for all.
    pub environments: Option<BTreeSet<EnvironmentName>>,
    /// The outcomes that it is told of.
    pub outcomes: BTreeSet<Outcome>,
}

impl Receiver {
    /// A receiver that is told of all outcomes in all environments.
    #[must_use]
    pub fn new(name: impl Into<String>, channel: Channel) -> Self {
        Self { name: name.into(), channel, environments: None, outcomes: FINAL.into() }
    }

    /// Whether it is told of an outcome in an environment.
    pub(crate) fn wants(&self, environment: &EnvironmentName, outcome: Outcome) -> bool {
        self.outcomes.contains(&outcome)
            && self.environments.as_ref().is_none_or(|wanted| wanted.contains(environment))
    }
}

/// How a receiver is told.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Channel {
    /// By a request with a body in JSON, signed as Flux's provider `generic-hmac` signs.
    Generic {
        /// The URL. It may have a secret in it.
        address: Secret,
        /// What it is signed with.
        hmac_key: Option<Secret>,
    },
    /// By a message to an incoming webhook of Slack, or of what takes the same: Mattermost, Rocket.Chat,
    /// Discord (`…/slack`).
    Slack {
        /// The URL, which is a secret.
        address: Secret,
    },
    /// By a deployment status at GitHub.
    GitHubDeployment(GitHub),
    /// By a commit status at GitHub.
    GitHubStatus(GitHub),
}

/// Where at GitHub, and as whom. The repository and the commit of the application are in the rollout's
/// labels `app_repository` (`owner/name`) and `app_commit`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GitHub {
    /// The address of its API.
    pub address: String,
    /// A token that may write deployments, or commit statuses.
    pub token: Secret,
    /// The repositories that labels may name: `owner/name`, or `owner/*`.
    pub repositories: Vec<String>,
}

impl GitHub {
    /// The API of github.com.
    pub const ADDRESS: &str = "https://api.github.com";

    /// GitHub in the cloud.
    #[must_use]
    pub fn new(token: Secret, repositories: impl IntoIterator<Item = String>) -> Self {
        let repositories = repositories.into_iter().collect();
        Self { address: Self::ADDRESS.to_owned(), token, repositories }
    }

    /// Whether labels may name a repository.
    pub(crate) fn allows(&self, repository: &str) -> bool {
        self.repositories.iter().any(|allowed| match allowed.strip_suffix("/*") {
            Some(owner) => {
                repository.split_once('/').is_some_and(|(of, _)| of.eq_ignore_ascii_case(owner))
            }
            None => repository.eq_ignore_ascii_case(allowed),
        })
    }
}

impl Channel {
    /// The channel's type as the configuration has it.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Generic { .. } => "generic",
            Self::Slack { .. } => "slack",
            Self::GitHubDeployment(_) => "github-deployment",
            Self::GitHubStatus(_) => "github-status",
        }
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Whether a text is a repository as GitHub names it.
pub(crate) fn is_repository(text: &str) -> bool {
    let is_plain = |part: &str| {
        !part.is_empty()
            && part.len() <= 100
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
            && part.bytes().any(|byte| byte != b'.')
    };
    text.split_once('/').is_some_and(|(owner, name)| is_plain(owner) && is_plain(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_name_only_the_repositories_that_they_may() {
        let allowed = ["shop/web".to_owned(), "tools/*".to_owned()];
        let github = GitHub::new(Secret::new("token"), allowed);
        for (repository, expected) in [
            ("shop/web", true),
            ("Shop/Web", true),
            ("shop/web2", false),
            ("shop/api", false),
            ("tools/anything", true),
            ("tools2/anything", false),
            ("tools", false),
        ] {
            assert_eq!(github.allows(repository), expected, "{repository}");
        }
        for (text, expected) in [
            ("shop/web.js", true),
            ("shop", false),
            ("shop/", false),
            ("shop/..", false),
            ("shop/web/issues", false),
            ("shop/web?x=1", false),
            ("../web", false),
        ] {
            assert_eq!(is_repository(text), expected, "{text}");
        }
    }
}
