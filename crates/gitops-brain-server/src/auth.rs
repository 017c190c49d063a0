//! Who may say what: the keys of clusters and of git hosts, and the tokens of everybody else.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::{HeaderMap, StatusCode, header};
use gitops_brain::{
    ClusterName, EnvironmentName, IngestError, KeyError, Policy, SIGNATURE_HEADER, Selector,
    SignatureError, Verifier,
};

use crate::{
    config::{Cluster, Config, GitHost, Scope, Token, Warning},
    peer::Peer,
    problem::Problem,
    secret::{Secret, TokenDigest},
    webhook::Hooks,
};

/// All that requests are checked against.
#[derive(Debug)]
pub(crate) struct Gate {
    /// None declared: any cluster may speak, without a key.
    clusters: BTreeMap<ClusterName, Credentials>,
    /// Takes the place of a cluster that there is not.
    nobody: Credentials,
    /// None declared: everybody may do everything.
    tokens: Vec<Token>,
    public_metrics: bool,
    hooks: Hooks,
    public_badges: bool,
    warnings: Vec<Warning>,
}

/// How the requests of one sender are known to be its own.
#[derive(Debug)]
pub(crate) struct Credentials {
    verifier: Option<Verifier>,
    /// Checks a wrong signature on, so that refusing it costs as much for every sender and for none:
    /// the time it takes does not tell which of them there are.
    filler: Option<Verifier>,
    bearer_tokens: Vec<TokenDigest>,
    client_names: Vec<String>,
}

/// Somebody who was let in.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    token: Option<(usize, Token)>,
}

impl Gate {
    pub(crate) fn new(config: &Config) -> Result<Self, KeyError> {
        let most = config.clusters.values().map(|cluster| work(&cluster.hmac_keys)).max();
        let most = most.unwrap_or(0).max(1);
        let bearers = config.clusters.values().map(|cluster| cluster.bearer_tokens.len()).max();
        let clusters = config
            .clusters
            .iter()
            .map(|(name, Cluster { hmac_keys, bearer_tokens, client_names })| {
                let mut credentials = Credentials::new(hmac_keys, bearer_tokens.clone(), most)?;
                credentials.client_names.clone_from(client_names);
                Ok((name.clone(), credentials))
            })
            .collect::<Result<_, _>>()?;
        let nobody = Credentials::nobody(most, bearers.unwrap_or(0))?;
        let hooks = Hooks::new(&config.push)?;
        Ok(Self {
            clusters,
            nobody,
            tokens: config.tokens.clone(),
            public_metrics: config.public_metrics,
            hooks,
            public_badges: config.public_badges,
            warnings: config.warnings(),
        })
    }

    /// Lets an event in if it is of the cluster that it says. A cluster that there is not gets the
    /// same answer as a wrong signature.
    pub(crate) fn admit(
        &self,
        cluster: &str,
        peer: Option<&Peer>,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<ClusterName, Problem> {
        if self.clusters.is_empty() {
            return Ok(ClusterName::new(cluster)?);
        }
        let (name, credentials) = match self.clusters.get_key_value(cluster) {
            Some((name, credentials)) => (Some(name), credentials),
            None => (None, &self.nobody),
        };
        let signature = headers.get(SIGNATURE_HEADER).map(|value| value.as_bytes());
        let refused = match credentials.verify(signature, body) {
            Ok(()) => None,
            Err(error) => Some(Problem::from(IngestError::from(error))),
        };
        let bearer = bearer(headers);
        let known = bearer.is_some_and(|token| credentials.knows(token))
            | peer.is_some_and(|peer| peer.is_one_of(&credentials.client_names));
        match (name, refused) {
            (Some(name), None) => Ok(name.clone()),
            (Some(name), Some(_)) if known => Ok(name.clone()),
            (_, Some(refused)) if signature.is_some() || bearer.is_none() => Err(refused),
            _ => Err(unknown_token()),
        }
    }

    /// The clusters that are declared.
    pub(crate) fn clusters(&self) -> impl Iterator<Item = &ClusterName> {
        self.clusters.keys()
    }

    /// The declared cluster of a name.
    pub(crate) fn cluster(&self, name: &str) -> Option<&ClusterName> {
        self.clusters.get_key_value(name).map(|(name, _)| name)
    }

    /// What is doubtful about the configuration in use.
    pub(crate) fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// Whether numbers are for everybody.
    pub(crate) fn shows_metrics(&self) -> bool {
        self.public_metrics
    }

    /// Lets a push in if it is of the git host that it says. Where nobody needs a token anyone may
    /// claim what descends from what, and so may a host that is not declared.
    pub(crate) fn admit_push(
        &self,
        host: GitHost,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<(), Problem> {
        if self.tokens.is_empty() && !self.hooks.knows(host) {
            return Ok(());
        }
        self.hooks.admit(host, headers, body)
    }

    /// Whether badges are shown without a token.
    pub(crate) fn shows_badges(&self) -> bool {
        self.public_badges
    }

    /// Tells who asks.
    pub(crate) fn caller(&self, headers: &HeaderMap) -> Result<Caller, Problem> {
        if self.tokens.is_empty() {
            return Ok(Caller { token: None });
        }
        let Some(presented) = bearer(headers) else {
            return Err(Problem::new(
                StatusCode::UNAUTHORIZED,
                "token.missing",
                "send a token: `Authorization: Bearer …`",
            ));
        };
        let digest = TokenDigest::of(presented);
        let mut found = None;
        for (index, token) in self.tokens.iter().enumerate() {
            if token.digest == digest {
                found = Some((index, token.clone()));
            }
        }
        match found {
            Some(token) => Ok(Caller { token: Some(token) }),
            None => Err(unknown_token()),
        }
    }
}

impl Credentials {
    /// Checks with some keys and tokens, and makes as much work of it as `most`.
    pub(crate) fn new(
        keys: &[Secret],
        bearer_tokens: Vec<TokenDigest>,
        most: usize,
    ) -> Result<Self, KeyError> {
        let verifier = match keys {
            [] => None,
            keys => Some(Verifier::new(keys.iter().map(Secret::expose))?),
        };
        let filler = filler(most.saturating_sub(work(keys)))?;
        Ok(Self { verifier, filler, bearer_tokens, client_names: Vec::new() })
    }

    /// Refuses everybody, with as much work as others make.
    pub(crate) fn nobody(most: usize, bearer_tokens: usize) -> Result<Self, KeyError> {
        // No token digests to it.
        Self::new(&[], vec![TokenDigest::of(b"\0"); bearer_tokens], most)
    }

    /// Whether there is a key that something could be signed with.
    pub(crate) fn can_verify(&self) -> bool {
        self.verifier.is_some()
    }

    pub(crate) fn verify(
        &self,
        signature: Option<&[u8]>,
        body: &[u8],
    ) -> Result<(), SignatureError> {
        let refused = match &self.verifier {
            Some(verifier) => match verifier.verify(signature, body) {
                Ok(_) => return Ok(()),
                Err(error) => Some(error),
            },
            None => None,
        };
        let filled = self.filler.as_ref().map(|filler| filler.verify(signature, body));
        match (refused, filled) {
            (Some(error), _) | (None, Some(Err(error))) => Err(error),
            // A sender without keys signs nothing.
            (None, _) => Err(SignatureError::Mismatch),
        }
    }

    pub(crate) fn knows(&self, token: &[u8]) -> bool {
        let digest = TokenDigest::of(token);
        self.bearer_tokens.iter().fold(false, |known, token| known | (*token == digest))
    }
}

impl Caller {
    /// Refuses what the token has no scope for.
    pub(crate) fn may(&self, scope: Scope) -> Result<(), Problem> {
        match &self.token {
            Some((_, token)) if !token.scopes.contains(&scope) => Err(Problem::new(
                StatusCode::FORBIDDEN,
                "token.scope",
                format!("the token `{}` lacks the scope `{scope}`", token.name),
            )),
            _ => Ok(()),
        }
    }

    /// Refuses environments that are not the token's.
    pub(crate) fn may_in(&self, environment: &EnvironmentName) -> Result<(), Problem> {
        match &self.token {
            Some((_, token)) if !self.sees(environment) => Err(Problem::new(
                StatusCode::FORBIDDEN,
                "token.environment",
                format!("the token `{}` is not for environment {environment}", token.name),
            )),
            _ => Ok(()),
        }
    }

    /// Refuses reconcilers that do not belong to an environment, if the token is confined to some: by
    /// naming those of another one it would hear of them.
    pub(crate) fn may_name<'a>(
        &self,
        policy: &Policy,
        environment: &EnvironmentName,
        mut selectors: impl Iterator<Item = &'a Selector>,
    ) -> Result<(), Problem> {
        let Some((_, token)) =
            self.token.as_ref().filter(|(_, token)| token.environments.is_some())
        else {
            return Ok(());
        };
        let declared = policy.of(environment).reconcilers;
        let belongs = |selector: &Selector| {
            if declared.is_empty() {
                return selector.as_str().split('/').next() == Some(environment.as_str());
            }
            let name = selector.as_name();
            declared.iter().any(|declared| {
                declared == selector || name.as_ref().is_some_and(|name| declared.matches(name))
            })
        };
        match selectors.find(|selector| !belongs(selector)) {
            None => Ok(()),
            Some(selector) => Err(Problem::new(
                StatusCode::FORBIDDEN,
                "token.environment",
                format!(
                    "{selector} is not in environment {environment}, and the token `{}` is confined \
                     to its environments",
                    token.name
                ),
            )),
        }
    }

    pub(crate) fn sees(&self, environment: &EnvironmentName) -> bool {
        self.environments().is_none_or(|allowed| allowed.contains(environment))
    }

    /// The environments that it is confined to, if it is.
    pub(crate) fn environments(&self) -> Option<&BTreeSet<EnvironmentName>> {
        self.token.as_ref().and_then(|(_, token)| token.environments.as_ref())
    }

    /// What it may do.
    pub(crate) fn scopes(&self) -> Vec<Scope> {
        match &self.token {
            Some((_, token)) => token.scopes.iter().copied().collect(),
            None => Scope::ALL.to_vec(),
        }
    }

    /// The token's place in the list of all, to count by.
    pub(crate) fn token(&self) -> Option<usize> {
        self.token.as_ref().map(|(index, _)| *index)
    }

    /// The token's name, for the log.
    pub(crate) fn name(&self) -> &str {
        self.token.as_ref().map_or("anyone", |(_, token)| &token.name)
    }
}

/// How often a signature is computed to find that it is by none of these keys: those with white space
/// around them are tried without it too.
pub(crate) fn work(keys: &[Secret]) -> usize {
    let attempts = |key: &[u8]| if key.trim_ascii().len() == key.len() { 1 } else { 2 };
    keys.iter().map(|key| attempts(key.expose())).sum()
}

/// A verifier that is asked only for the work it makes: what it finds good is refused as well.
fn filler(keys: usize) -> Result<Option<Verifier>, KeyError> {
    let keys = keys.min(gitops_brain::MAX_KEYS);
    let verifier = || Verifier::new((0..keys).map(|index| format!("filler {index}")));
    (keys > 0).then(verifier).transpose()
}

fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| token.trim_ascii())
}

fn unknown_token() -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "token.unknown", "nobody has this token")
}
