//! Secrets: where they come from, and that they are not shown.

use std::{env, fmt, fs};

use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// A key that cannot be printed, and is wiped from memory when it is dropped.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes bytes as a secret.
    #[must_use]
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(Zeroizing::new(bytes.into()))
    }

    /// The secret itself.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// What a token is known by. White space at the end, as in files, is no part of a token.
    #[must_use]
    pub fn digest(&self) -> TokenDigest {
        TokenDigest::of(self.0.trim_ascii())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The SHA-256 of a token: enough to recognise it, and of no use to who reads it.
///
/// Digests are compared and not tokens, so that the time it takes tells nothing about the token.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TokenDigest([u8; 32]);

impl TokenDigest {
    /// The digest of a token.
    #[must_use]
    pub fn of(token: &[u8]) -> Self {
        Self(Sha256::digest(token).into())
    }

    /// Reads the 64 hexadecimal digits that `sha256sum` prints.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let digits: Option<Vec<u8>> = text
            .chars()
            .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
            .collect();
        let digits = digits.filter(|digits| digits.len() == 64)?;
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = pair.iter().fold(0, |byte, digit| byte << 4 | digit);
        }
        Some(Self(bytes))
    }
}

/// Fetches a secret from where the configuration says it is: `env:NAME` or `file:PATH`.
///
/// The error names the place and never the value.
pub(crate) fn fetch(
    place: &str,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Secret, String> {
    let secret = if let Some(name) = place.strip_prefix("env:") {
        let value = variable(name)
            .ok_or_else(|| format!("the environment variable `{name}` is not set"))?;
        Secret::new(value)
    } else if let Some(path) = place.strip_prefix("file:") {
        let value =
            fs::read(path).map_err(|error| format!("the file `{path}` cannot be read: {error}"))?;
        Secret::new(value)
    } else {
        return Err(
            "write `env:NAME` or `file:PATH`: a secret does not belong in this file".to_owned()
        );
    };
    if secret.expose().trim_ascii().is_empty() {
        return Err(format!("`{place}` is empty: anyone could know it"));
    }
    Ok(secret)
}

/// The process's environment.
pub(crate) fn variable(name: &str) -> Option<String> {
    env::var(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        assert_eq!(format!("{:?}", Secret::new("swordfish")), "Secret(…)");
        let error = fetch("swordfish", &|_| None).unwrap_err();
        assert!(!error.contains("swordfish"), "{error}");
    }

    #[test]
    fn digests_are_read_as_sha256sum_prints_them() {
        let hex = "b1946ac92492d2347c6235b4d2611184".repeat(2);
        assert!(TokenDigest::from_hex(&hex).is_some());
        assert!(TokenDigest::from_hex("b1").is_none());
        assert!(TokenDigest::from_hex(&"g".repeat(64)).is_none());
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(TokenDigest::from_hex(empty), Some(TokenDigest::of(b"")));
        assert_eq!(Secret::new("token\n").digest(), TokenDigest::of(b"token"));
    }
}
