//! Revisions: what a source produced, in every form that Flux has written it.

use std::{borrow::Cow, fmt};

use crate::{commit::CommitId, names::shorten};

/// The longest text that [`Revision::parse`] takes, in bytes.
///
/// A git reference is a file name with folders, so no longer than some hundred bytes.
pub const MAX_REVISION_BYTES: usize = 1024;

/// What a source produced: a git commit, an artifact's digest, or the version of a chart.
///
/// | text | from | names |
/// |---|---|---|
/// | `main@sha1:<40 hex>`, `refs/heads/main@sha1:…` | `GitRepository` | a commit |
/// | `sha1:<40 hex>`, `@sha1:<40 hex>` | the same without a branch | a commit |
/// | `main/<40 hex>`, `HEAD/<40 hex>`, `<40 hex>` | Flux before 2.0 | a commit |
/// | `main/<64 hex>`, `<64 hex>` | SHA-256 repositories, if Flux will have them | a commit |
/// | `latest@sha256:<64 hex>`, `sha256:<64 hex>` | `OCIRepository`, `Bucket` | a digest |
/// | `6.5.0`, `6.5.0+<12 hex>`, `unknown` | `HelmChart`, `HelmRelease` | a version |
///
/// Anything else is kept and names nothing: `main@<unknown>:…`, or `main@sha1:` with a wrong number
/// of digits.
///
/// Forms that say the same are equal, and are displayed as Flux's RFC 0005 writes them. Branch
/// names may contain `/` and `@` but no `:`, so the last `@` divides, as it does in
/// `ExtractNamedPointerFromRevision` of Flux's `pkg/git/utils.go`.
///
/// ```
/// use gitops_brain::Revision;
///
/// let revision = Revision::parse("main/bb5a1aa5ef1ca2a56b1ff0129aae58dad3323d00")?;
/// assert_eq!(revision.pointer(), Some("main"));
/// assert_eq!(revision.to_string(), "main@sha1:bb5a1aa5ef1ca2a56b1ff0129aae58dad3323d00");
///
/// // The digest of an artifact is never taken for a commit.
/// let digest = "9640a1d641badea40a856bdb563abd55fea738ed2c26a40aafa48e28a11b882b";
/// let text = format!("latest@sha256:{digest}");
/// let artifact = Revision::parse(&text)?;
/// assert_eq!((artifact.commit(), artifact.digest()), (None, Some(digest)));
/// # Ok::<(), gitops_brain::RevisionError>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Revision<'a> {
    pointer: Option<Cow<'a, str>>,
    content: Content<'a>,
}

#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
enum Content<'a> {
    Commit(CommitId),
    /// The 64 lower-case hexadecimal digits of a SHA-256.
    Digest(Cow<'a, str>),
    /// `<algorithm>:<anything>` that is none of the above.
    Checksum(Cow<'a, str>),
    /// A text without a checksum. It has no pointer.
    Version(Cow<'a, str>),
}

impl<'a> Revision<'a> {
    /// Reads a revision in any of its forms.
    ///
    /// # Errors
    ///
    /// If the text is empty, longer than [`MAX_REVISION_BYTES`], or has control characters.
    pub fn parse(text: &'a str) -> Result<Self, RevisionError> {
        if text.is_empty() {
            return Err(RevisionError::Empty);
        }
        if text.len() > MAX_REVISION_BYTES {
            return Err(RevisionError::TooLong { length: text.len() });
        }
        if text.chars().any(char::is_control) {
            return Err(RevisionError::Malformed { text: shorten(text) });
        }
        Ok(Self::with_checksum(text)
            .or_else(|| Self::legacy(text))
            .unwrap_or_else(|| Self { pointer: None, content: Content::Version(text.into()) }))
    }

    /// The branch, tag or reference that pointed to it when it was produced.
    #[must_use]
    pub fn pointer(&self) -> Option<&str> {
        self.pointer.as_deref()
    }

    /// The git commit, if it names one.
    #[must_use]
    pub fn commit(&self) -> Option<CommitId> {
        match self.content {
            Content::Commit(id) => Some(id),
            _ => None,
        }
    }

    /// The SHA-256 of an artifact of an `OCIRepository` or `Bucket`, if it names one: 64 lower-case
    /// hexadecimal digits.
    #[must_use]
    pub fn digest(&self) -> Option<&str> {
        match &self.content {
            Content::Digest(digits) => Some(digits),
            _ => None,
        }
    }

    /// The version of a chart, or another text that has no checksum.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        match &self.content {
            Content::Version(version) => Some(version),
            _ => None,
        }
    }

    /// The same revision, which borrows nothing.
    #[must_use]
    pub fn into_owned(self) -> Revision<'static> {
        let owned = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        Revision {
            pointer: self.pointer.map(owned),
            content: match self.content {
                Content::Commit(id) => Content::Commit(id),
                Content::Digest(digits) => Content::Digest(owned(digits)),
                Content::Checksum(checksum) => Content::Checksum(owned(checksum)),
                Content::Version(version) => Content::Version(owned(version)),
            },
        }
    }

    /// Reads `[[pointer]@]<algorithm>:<checksum>`.
    fn with_checksum(text: &'a str) -> Option<Self> {
        let (pointer, checksum) = text.rsplit_once('@').unwrap_or(("", text));
        let (algorithm, digits) = checksum.rsplit_once(':')?;
        let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let content = match (algorithm, digits.len()) {
            ("sha1", 40) => CommitId::from_hex(digits.as_bytes()).map(Content::Commit),
            ("sha256", 64) if is_hex => Some(Content::Digest(lower_case(digits))),
            _ => None,
        };
        Some(Self {
            pointer: (!pointer.is_empty()).then_some(pointer.into()),
            content: content.unwrap_or(Content::Checksum(checksum.into())),
        })
    }

    /// Reads `[pointer/]<hex>`, as Flux before 2.0 wrote it.
    ///
    /// `HEAD` points to nothing in particular, and `TransformRevision` drops it too.
    fn legacy(text: &'a str) -> Option<Self> {
        let (pointer, digits) = text.rsplit_once('/').unwrap_or(("", text));
        // With a `:` it is of the newer form, be that well-formed or not.
        let id = CommitId::from_hex(digits.as_bytes()).filter(|_| !pointer.contains(':'))?;
        let pointer = Some(pointer).filter(|pointer| !matches!(*pointer, "" | "HEAD"));
        Some(Self { pointer: pointer.map(Cow::Borrowed), content: Content::Commit(id) })
    }
}

impl fmt::Display for Revision<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `@sha256:` would make an artifact's digest of a commit id: RFC 0005 has no form for it.
        let is_sha256_commit = self.commit().is_some_and(|id| id.as_bytes().len() == 32);
        if let Some(pointer) = self.pointer() {
            f.write_str(pointer)?;
            f.write_str(if is_sha256_commit { "/" } else { "@" })?;
        }
        match &self.content {
            Content::Commit(id) if is_sha256_commit => fmt::Display::fmt(id, f),
            Content::Commit(id) => write!(f, "sha1:{id}"),
            Content::Digest(digits) => write!(f, "sha256:{digits}"),
            Content::Checksum(text) | Content::Version(text) => f.write_str(text),
        }
    }
}

/// A text that is no revision.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RevisionError {
    /// There is no text.
    #[error("the revision is empty: pass one like `main@sha1:<40 hexadecimal digits>`")]
    Empty,
    /// It has control characters.
    #[error("the revision `{text}` has control characters: pass it on one line, as Flux writes it")]
    Malformed {
        /// The text, shortened.
        text: String,
    },
    /// It is longer than [`MAX_REVISION_BYTES`].
    #[error("the revision has {length} bytes, more than the limit of {MAX_REVISION_BYTES}")]
    TooLong {
        /// How many bytes it has.
        length: usize,
    },
}

impl RevisionError {
    /// The stable code: `revision.empty`, `revision.malformed` or `revision.too_long`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty => "revision.empty",
            Self::Malformed { .. } => "revision.malformed",
            Self::TooLong { .. } => "revision.too_long",
        }
    }
}

fn lower_case(digits: &str) -> Cow<'_, str> {
    if digits.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(digits.to_ascii_lowercase())
    } else {
        Cow::Borrowed(digits)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SHA1: &str = "bb5a1aa5ef1ca2a56b1ff0129aae58dad3323d00";
    const SHA256: &str = "9640a1d641badea40a856bdb563abd55fea738ed2c26a40aafa48e28a11b882b";

    #[test]
    fn commits_are_found_in_every_form() {
        let rfc = |pointer: &str| (format!("{pointer}@sha1:{SHA1}"), pointer.to_owned());
        for (text, pointer) in [
            rfc("main"),
            rfc("v1.0.0"),
            rfc("feature/x"),
            rfc("user@host/branch@2"),
            rfc("refs/pull/420/head"),
            rfc("6.1.8"),
            (format!("main/{SHA1}"), "main".to_owned()),
            (format!("feature/x/{SHA1}"), "feature/x".to_owned()),
            (format!("user@host/{SHA1}"), "user@host".to_owned()),
            (format!("refs/HEAD/{SHA1}"), "refs/HEAD".to_owned()),
        ] {
            for text in [text.clone(), text.replace(SHA1, &SHA1.to_uppercase())] {
                let revision = Revision::parse(&text).unwrap();
                assert_eq!(revision.commit(), Some(SHA1.parse().unwrap()), "{text}");
                assert_eq!(revision.pointer(), Some(pointer.as_str()), "{text}");
                assert_eq!(revision.to_string(), format!("{pointer}@sha1:{SHA1}"), "{text}");
            }
        }
        for text in ["sha1:", "@sha1:", "HEAD/", "/", ""] {
            let text = format!("{text}{SHA1}");
            let revision = Revision::parse(&text).unwrap();
            assert_eq!((revision.pointer(), revision.digest()), (None, None), "{text}");
            assert_eq!(revision.to_string(), format!("sha1:{SHA1}"), "{text}");
        }
    }

    #[test]
    fn ids_of_sha256_repositories_stay_apart_from_digests() {
        for (text, pointer) in [(format!("main/{SHA256}"), Some("main")), (SHA256.to_owned(), None)]
        {
            let revision = Revision::parse(&text).unwrap();
            assert_eq!(revision.commit(), Some(SHA256.parse().unwrap()));
            assert_eq!((revision.pointer(), revision.digest()), (pointer, None));
            assert_eq!(revision.to_string(), text);
        }
    }

    #[test]
    fn digests_are_no_commits() {
        for (prefix, pointer) in
            [("latest@", Some("latest")), ("a/b@c@", Some("a/b@c")), ("", None)]
        {
            for digits in [SHA256.to_owned(), SHA256.to_uppercase()] {
                let text = format!("{prefix}sha256:{digits}");
                let revision = Revision::parse(&text).unwrap();
                assert_eq!((revision.commit(), revision.version()), (None, None), "{text}");
                assert_eq!((revision.pointer(), revision.digest()), (pointer, Some(SHA256)));
                assert_eq!(revision.to_string(), format!("{prefix}sha256:{SHA256}"));
            }
        }
    }

    #[test]
    fn versions_and_other_texts_name_neither() {
        for text in ["6.5.0", "6.5.0+bb5a1aa5ef1c", "unknown", "main", "main/bb5a1aa", "a@b", "ä ö"]
        {
            let revision = Revision::parse(text).unwrap();
            assert_eq!((revision.commit(), revision.digest()), (None, None), "{text}");
            assert_eq!((revision.pointer(), revision.version()), (None, Some(text)), "{text}");
            assert_eq!(revision.to_string(), text);
        }
        for checksum in [
            format!("<unknown>:{SHA256}"),
            format!("<unknown>:{SHA1}"),
            format!("sha1:{SHA256}"),
            format!("sha256:{SHA1}"),
            format!("SHA1:{SHA1}"),
            "sha1:bb5a1aa".to_owned(),
            "sha1:".to_owned(),
            "md5:0".to_owned(),
            format!("sha256:{}", SHA256.replace('9', "g")),
            format!("x:main/{SHA1}"),
        ] {
            let text = format!("main@{checksum}");
            let revision = Revision::parse(&text).unwrap();
            assert_eq!((revision.commit(), revision.digest()), (None, None), "{text}");
            assert_eq!((revision.pointer(), revision.version()), (Some("main"), None), "{text}");
            assert_eq!(revision.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_revision_is_refused() {
        let code = |text: &str| Revision::parse(text).unwrap_err().code();
        assert_eq!(code(""), "revision.empty");
        assert_eq!(code("main\n"), "revision.malformed");
        assert_eq!(code("ma\u{85}in"), "revision.malformed");
        assert_eq!(code(&"a".repeat(MAX_REVISION_BYTES + 1)), "revision.too_long");
        assert!(Revision::parse(&"a".repeat(MAX_REVISION_BYTES)).is_ok());
        let message = Revision::parse("a\nb").unwrap_err().to_string();
        assert!(message.starts_with("the revision `a\\nb` has control characters"), "{message}");
    }

    proptest! {
        #[test]
        fn displaying_and_reading_again_changes_nothing(
            parts in prop::collection::vec(
                prop::sample::select(vec![
                    "main", "HEAD", "/", "@", ":", "sha1", "sha256", SHA1, SHA256, "6.5.0", " ",
                    "ä", "@sha1:", "BB5A1AA5EF1CA2A56B1FF0129AAE58DAD3323D00",
                ]),
                1..8,
            ),
        ) {
            let text = parts.concat();
            let revision = Revision::parse(&text).unwrap();
            let displayed = revision.to_string();
            let again = Revision::parse(&displayed).unwrap();
            prop_assert_eq!(&again, &revision);
            prop_assert_eq!(again.to_string(), displayed.as_str());
            prop_assert_eq!(revision.clone().into_owned(), revision);
        }
    }
}
