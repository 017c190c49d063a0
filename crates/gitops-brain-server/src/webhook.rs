//! How a push is known to be of the git host that it says.
//!
//! GitHub, Gitea and Forgejo sign the body with the webhook's secret, by HMAC-SHA256. GitLab sends a
//! secret token as it is; where the webhook has a signing token, it signs by the Standard Webhooks
//! specification as well, and then only the signature counts: the token tells nothing of the body.
//!
//! Nothing is done about a push that is sent again: what it says of commits stays true.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, StatusCode};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use gitops_brain::{KeyError, SignatureError};

use crate::{
    auth::{Credentials, work},
    config::GitHost,
    problem::Problem,
    secret::{Secret, TokenDigest},
};

/// What GitHub signs with, and Gitea since 1.15: `sha256=` and hexadecimal digits.
const HUB_SIGNATURE: &str = "X-Hub-Signature-256";

/// Gitea and Forgejo have headers of their own, with the digits alone.
const GITEA_SIGNATURES: [&str; 3] = ["X-Gitea-Signature", "X-Forgejo-Signature", HUB_SIGNATURE];

const GITLAB_TOKEN: &str = "X-Gitlab-Token";
const GITLAB_SIGNATURE: &str = "webhook-signature";
const GITLAB_ID: &str = "webhook-id";
const GITLAB_TIMESTAMP: &str = "webhook-timestamp";

/// The prefix of GitLab's signing tokens. What follows is the key, in Base64.
const SIGNING_TOKEN: &[u8] = b"whsec_";

/// How many signatures of one push are looked at. GitLab sends one; the specification allows several,
/// and each costs a look at the whole body.
const MAX_SIGNATURES: usize = 2;

/// What pushes are checked against.
#[derive(Debug)]
pub(crate) struct Hooks {
    hosts: BTreeMap<GitHost, Credentials>,
    /// Takes the place of a host that is not declared.
    nobody: Credentials,
}

impl Hooks {
    pub(crate) fn new(declared: &BTreeMap<GitHost, Vec<Secret>>) -> Result<Self, KeyError> {
        let keys: Vec<_> =
            declared.iter().map(|(host, secrets)| (*host, keys(*host, secrets))).collect();
        // Refusing a push costs as much for every host and for none.
        let most = keys.iter().map(|(_, (keys, _))| work(keys)).max().unwrap_or(0).max(1);
        let tokens = keys.iter().map(|(_, (_, tokens))| tokens.len()).max().unwrap_or(0);
        let hosts = keys
            .into_iter()
            .map(|(host, (keys, tokens))| Ok((host, Credentials::new(&keys, tokens, most)?)))
            .collect::<Result<_, _>>()?;
        Ok(Self { hosts, nobody: Credentials::nobody(most, tokens)? })
    }

    pub(crate) fn knows(&self, host: GitHost) -> bool {
        self.hosts.contains_key(&host)
    }

    /// Refuses what is not proved to be of a host. A host that is not declared gets the same answer
    /// as a wrong secret.
    pub(crate) fn admit(
        &self,
        host: GitHost,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<(), Problem> {
        let credentials = self.hosts.get(&host).unwrap_or(&self.nobody);
        match host {
            GitHost::GitHub => signed(host, credentials, &[HUB_SIGNATURE], headers, body),
            GitHost::Gitea => signed(host, credentials, &GITEA_SIGNATURES, headers, body),
            GitHost::GitLab => of_gitlab(credentials, headers, body),
        }
    }
}

/// Whether a secret is meant to be a signing token of GitLab, and is none.
pub(crate) fn is_broken_signing_token(secret: &Secret) -> bool {
    secret.expose().trim_ascii().starts_with(SIGNING_TOKEN) && signing_key(secret).is_none()
}

/// What a host's secrets sign with, and by which tokens it is known.
fn keys(host: GitHost, secrets: &[Secret]) -> (Vec<Secret>, Vec<TokenDigest>) {
    match host {
        GitHost::GitHub | GitHost::Gitea => (secrets.to_vec(), Vec::new()),
        GitHost::GitLab => (
            secrets.iter().filter_map(signing_key).collect(),
            secrets.iter().map(Secret::digest).collect(),
        ),
    }
}

fn signing_key(secret: &Secret) -> Option<Secret> {
    let text = secret.expose().trim_ascii().strip_prefix(SIGNING_TOKEN)?;
    // White space alone makes no key, however it was encoded.
    STANDARD.decode(text).ok().filter(|key| !key.trim_ascii().is_empty()).map(Secret::new)
}

/// Checks the first signature that there is under some names.
fn signed(
    host: GitHost,
    credentials: &Credentials,
    names: &[&'static str],
    headers: &HeaderMap,
    body: &[u8],
) -> Result<(), Problem> {
    let found = names.iter().find_map(|name| Some((*name, signature(name, headers)?)));
    let verified = credentials.verify(found.as_ref().map(|(_, value)| &**value), body);
    verified.map_err(|error| {
        let name = found.map(|(name, _)| name).or(names.first().copied()).unwrap_or_default();
        unsigned(host, name, &error)
    })
}

/// A signature, as the verifier reads it. Gitea sends its headers without a secret too, and empty.
fn signature(name: &str, headers: &HeaderMap) -> Option<Vec<u8>> {
    const PREFIX: &[u8] = b"sha256=";
    let value = headers.get(name)?.as_bytes();
    if value.is_empty() || value == PREFIX {
        return None;
    }
    Some(if name == HUB_SIGNATURE { value.to_vec() } else { [PREFIX, value].concat() })
}

fn unsigned(host: GitHost, header: &str, error: &SignatureError) -> Problem {
    let detail = match error {
        SignatureError::Missing => format!(
            "the push has no signature: set a secret on the webhook, which then sends the header \
             `{header}`"
        ),
        SignatureError::Mismatch => format!(
            "the signature does not match: the webhook's secret is none of `push.{host}.secrets`, \
             or the body was changed on its way"
        ),
        SignatureError::Malformed { .. } => {
            let prefix = if header == HUB_SIGNATURE { "`sha256=` and " } else { "" };
            format!(
                "the signature is malformed: the header `{header}` must be {prefix}64 hexadecimal \
                 digits"
            )
        }
        error => error.to_string(),
    };
    Problem::new(StatusCode::UNAUTHORIZED, error.code(), detail)
}

fn of_gitlab(credentials: &Credentials, headers: &HeaderMap, body: &[u8]) -> Result<(), Problem> {
    let value = |name| headers.get(name).map(|value| value.as_bytes()).filter(|v| !v.is_empty());
    let (token, signatures) = (value(GITLAB_TOKEN), value(GITLAB_SIGNATURE));
    let signed = signatures.is_some_and(|signatures| {
        let id = value(GITLAB_ID).unwrap_or_default();
        let timestamp = value(GITLAB_TIMESTAMP).unwrap_or_default();
        let content = [id, b".", timestamp, b".", body].concat();
        standard_signatures(signatures)
            .any(|signature| credentials.verify(Some(signature.as_bytes()), &content).is_ok())
    });
    let known = token.is_some_and(|token| credentials.knows(token));
    let admitted = if signatures.is_some() && credentials.can_verify() { signed } else { known };
    if admitted {
        return Ok(());
    }
    Err(if token.is_none() && signatures.is_none() {
        Problem::new(
            StatusCode::UNAUTHORIZED,
            "token.missing",
            format!(
                "the push has no secret: set a signing token or a secret token on the webhook, \
                 which then sends the header `{GITLAB_SIGNATURE}` or `{GITLAB_TOKEN}`"
            ),
        )
    } else {
        Problem::new(
            StatusCode::UNAUTHORIZED,
            "token.unknown",
            "the webhook's signing token or secret token is none of `push.gitlab.secrets`, or the \
             body was changed on its way",
        )
    })
}

/// The signatures of the only version that there is, `v1,` and Base64, as the verifier reads them.
fn standard_signatures(header: &[u8]) -> impl Iterator<Item = String> {
    header.split(|byte| *byte == b' ').take(MAX_SIGNATURES).filter_map(|signature| {
        let tag = STANDARD.decode(signature.strip_prefix(b"v1,")?).ok()?;
        let digits: String = tag.iter().map(|byte| format!("{byte:02x}")).collect();
        Some(format!("sha256={digits}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the Standard Webhooks specification's libraries.
    const TOKEN: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn headers(signature: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(GITLAB_ID, "msg_p5jXN8AQM9LWM0D4loKWxJek".parse().unwrap());
        headers.insert(GITLAB_TIMESTAMP, "1614265330".parse().unwrap());
        headers.insert(GITLAB_SIGNATURE, signature.parse().unwrap());
        headers
    }

    #[test]
    fn signing_tokens_are_those_of_the_specification() {
        let declared = BTreeMap::from([(GitHost::GitLab, vec![Secret::new(TOKEN)])]);
        let hooks = Hooks::new(&declared).unwrap();
        let admits = |signature: &str, body: &[u8]| {
            hooks.admit(GitHost::GitLab, &headers(signature), body).is_ok()
        };
        let body = br#"{"test": 2432232314}"#;
        assert!(admits(SIGNATURE, body));
        assert!(admits(&format!("v1,AAAA {SIGNATURE}"), body), "one of several");
        assert!(!admits(SIGNATURE, br#"{"test": 2432232315}"#));
        assert!(!admits(SIGNATURE.strip_prefix("v1,").unwrap(), body));
        assert!(!admits("v1a,AAAA", body));
        assert!(!admits(&format!("v1,AAAA v1,AAAA {SIGNATURE}"), body), "too many");
    }

    #[test]
    fn a_signing_token_is_base64_of_something() {
        let broken = |text: &str| is_broken_signing_token(&Secret::new(text));
        assert!(!broken(TOKEN) && !broken(&format!("{TOKEN}\n")));
        assert!(!broken("any other secret"));
        assert!(broken("whsec_") && broken("whsec_?") && broken("whsec_IAo="));
    }
}
