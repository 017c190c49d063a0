//! The names that tie events, configuration and questions together.

use std::{borrow::Borrow, fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The most characters in one part of an [`ObjectName`]: the limit that Kubernetes sets for names.
const MAX_PART: usize = 253;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $code:literal) => {
        $(#[$doc])*
        #[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks the text and takes it as a name.
            ///
            /// # Errors
            ///
            /// If the text is not `[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?`.
            pub fn new(text: &str) -> Result<Self, NameError> {
                if is_name(text) {
                    Ok(Self(text.into()))
                } else {
                    Err(NameError { what: $what, code: $code, text: shorten(text) })
                }
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        text_impls!($name, NameError);
    };
}

/// What every type that is a checked text has in common.
macro_rules! text_impls {
    ($name:ident, $error:ty) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(self.as_str(), f)
            }
        }

        impl FromStr for $name {
            type Err = $error;

            fn from_str(text: &str) -> Result<Self, $error> {
                Self::new(text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                Self::new(&text).map_err(de::Error::custom)
            }
        }
    };
}

name! {
    /// The name that *we* give to one Flux installation, bound to the key its events are signed
    /// with. Flux itself does not know it: nothing in an event says which cluster sent it.
    ///
    /// ```
    /// use gitops_brain::ClusterName;
    ///
    /// assert_eq!(ClusterName::new("staging")?.as_str(), "staging");
    /// assert!(ClusterName::new("Staging!").is_err());
    /// # Ok::<(), gitops_brain::NameError>(())
    /// ```
    ClusterName, "cluster", "cluster.malformed"
}

name! {
    /// The name that CI uses for the place where a commit is to go live: a set of reconcilers, over
    /// one or more clusters.
    EnvironmentName, "environment", "environment.malformed"
}

/// The name of a Flux object across clusters: `cluster/Kind/namespace/name`.
///
/// Reconcilers (`Kustomization`, `HelmRelease`) are named so, and sources (`GitRepository`,
/// `OCIRepository`, `Bucket`) too.
///
/// ```
/// use gitops_brain::ObjectName;
///
/// let apps: ObjectName = "staging/Kustomization/flux-system/apps".parse()?;
/// assert_eq!((apps.cluster(), apps.kind()), ("staging", "Kustomization"));
/// assert_eq!((apps.namespace(), apps.name()), ("flux-system", "apps"));
/// # Ok::<(), gitops_brain::NameError>(())
/// ```
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ObjectName(Arc<str>);

impl ObjectName {
    /// Checks the text `cluster/Kind/namespace/name` and takes it as a name.
    ///
    /// # Errors
    ///
    /// If it has not four parts, or one of them is empty, too long, or has characters that no
    /// Kubernetes name has.
    pub fn new(text: &str) -> Result<Self, NameError> {
        let mut parts = text.split('/');
        let well_formed = parts.next().is_some_and(is_name)
            && parts.next().is_some_and(is_part)
            && parts.next().is_some_and(is_part)
            && parts.next().is_some_and(is_part)
            && parts.next().is_none();
        if well_formed { Ok(Self(text.into())) } else { Err(Self::error(text)) }
    }

    /// The name of the object with this kind, namespace and name in a cluster.
    ///
    /// # Errors
    ///
    /// As [`ObjectName::new`].
    pub fn of(
        cluster: &ClusterName,
        kind: &str,
        namespace: &str,
        name: &str,
    ) -> Result<Self, NameError> {
        let mut text =
            String::with_capacity(cluster.0.len() + kind.len() + namespace.len() + name.len() + 3);
        for part in [cluster.as_str(), "/", kind, "/", namespace, "/", name] {
            text.push_str(part);
        }
        if is_part(kind) && is_part(namespace) && is_part(name) {
            Ok(Self(text.into()))
        } else {
            Err(Self::error(&text))
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The cluster in which the object is.
    #[must_use]
    pub fn cluster(&self) -> &str {
        self.part(0)
    }

    /// The object's kind, as `Kustomization`.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.part(1)
    }

    /// The object's namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.part(2)
    }

    /// The object's name within its namespace.
    #[must_use]
    pub fn name(&self) -> &str {
        self.part(3)
    }

    fn part(&self, index: usize) -> &str {
        self.0.split('/').nth(index).unwrap_or_default()
    }

    fn error(text: &str) -> NameError {
        NameError { what: "reconciler", code: "reconciler.malformed", text: shorten(text) }
    }
}

impl Borrow<str> for ObjectName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

text_impls!(ObjectName, NameError);

/// One reconciler by name, or all whose names match a pattern: the form of an [`ObjectName`], in
/// which `*` stands for any run of characters within one part.
///
/// A name is expected even if it was never heard of; a pattern expects those that are known.
///
/// ```
/// use gitops_brain::{ObjectName, Selector};
///
/// let shop: Selector = "staging/Kustomization/shop/*".parse()?;
/// assert!(shop.is_pattern());
/// assert!(shop.matches(&"staging/Kustomization/shop/web".parse::<ObjectName>()?));
/// assert!(!shop.matches(&"staging/Kustomization/flux-system/apps".parse::<ObjectName>()?));
/// # Ok::<(), gitops_brain::NameError>(())
/// ```
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Selector(Arc<str>);

impl Selector {
    /// Checks the text and takes it as a selector.
    ///
    /// # Errors
    ///
    /// If it is not of the form `cluster/Kind/namespace/name` with `*` for what may vary.
    pub fn new(text: &str) -> Result<Self, NameError> {
        let plain = text.replace('*', "x");
        if text.len() <= 4 * MAX_PART && ObjectName::new(&plain).is_ok() {
            Ok(Self(text.into()))
        } else {
            Err(NameError { what: "reconciler", code: "reconciler.malformed", text: shorten(text) })
        }
    }

    /// The selector as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it can match several reconcilers.
    #[must_use]
    pub fn is_pattern(&self) -> bool {
        self.0.contains('*')
    }

    /// Whether a reconciler is one of those selected.
    #[must_use]
    pub fn matches(&self, object: &ObjectName) -> bool {
        if !self.is_pattern() {
            return *self.0 == *object.0;
        }
        self.0.split('/').zip(object.0.split('/')).all(|(pattern, part)| glob(pattern, part))
    }

    /// Whether objects of a cluster can be selected.
    #[must_use]
    pub fn matches_cluster(&self, cluster: &str) -> bool {
        self.0.split('/').next().is_some_and(|pattern| glob(pattern, cluster))
    }

    /// The one reconciler that is selected, unless it is a pattern.
    #[must_use]
    pub fn as_name(&self) -> Option<ObjectName> {
        (!self.is_pattern()).then(|| ObjectName(self.0.clone()))
    }
}

impl From<ObjectName> for Selector {
    fn from(object: ObjectName) -> Self {
        Self(object.0)
    }
}

text_impls!(Selector, NameError);

/// A text that is no name of its kind.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{text}` is not a valid {what} name: {}", self.rule())]
pub struct NameError {
    what: &'static str,
    code: &'static str,
    text: String,
}

impl NameError {
    /// The stable code: `cluster.malformed`, `environment.malformed` or `reconciler.malformed`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.code
    }

    fn rule(&self) -> &'static str {
        if self.what == "reconciler" {
            "write `cluster/Kind/namespace/name`, as `staging/Kustomization/flux-system/apps`"
        } else {
            "use up to 63 lower-case letters, digits, `.`, `_` and `-`, beginning and ending with \
             a letter or digit"
        }
    }
}

fn is_name(text: &str) -> bool {
    let inner = |b: &u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-');
    let outer = |b: &u8| matches!(b, b'a'..=b'z' | b'0'..=b'9');
    let bytes = text.as_bytes();
    bytes.len() <= 63
        && bytes.iter().all(inner)
        && bytes.first().is_some_and(outer)
        && bytes.last().is_some_and(outer)
}

/// Kubernetes allows less (RFC 1123); `:` is for the names that role objects may have.
fn is_part(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b':');
    !text.is_empty() && text.len() <= MAX_PART && text.bytes().all(allowed)
}

/// Matches `*` against any run of characters: the classic two-pointer walk with one fallback.
fn glob(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(head) else { return false };
    let mut pieces = rest.split('*').peekable();
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            return text.ends_with(piece);
        }
        let Some((_, after)) = text.split_once(piece) else { return false };
        text = after;
    }
    true
}

/// A text from outside as it may stand in an error: at most 80 characters, none that could forge a
/// line of a log.
pub(crate) fn shorten(text: &str) -> String {
    let mut short: String = text.chars().take(80).flat_map(char::escape_debug).collect();
    if text.chars().nth(80).is_some() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_found_by_their_text() {
        let clusters: HashSet<ClusterName> = HashSet::from(["staging".parse().unwrap()]);
        assert!(clusters.contains("staging") && !clusters.contains("production"));
        let name = "staging/Kustomization/flux-system/apps";
        let names: HashSet<ObjectName> = HashSet::from([name.parse().unwrap()]);
        assert!(names.contains(name) && !names.contains("staging/Kustomization/flux-system/app"));
    }

    #[test]
    fn names_are_lower_case_and_bounded() {
        for good in ["a", "staging", "eu-west-1.prod_2", &"a".repeat(63)] {
            assert!(ClusterName::new(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a b", "ä", "a/b", &"a".repeat(64)] {
            let error = ClusterName::new(bad).unwrap_err();
            assert_eq!(error.code(), "cluster.malformed");
        }
    }

    #[test]
    fn objects_have_four_parts() {
        for bad in ["", "a/b/c", "a/b/c/d/e", "a//c/d", "A/b/c/d", "a/b/c/d*", "a/b/c/d\n"] {
            assert_eq!(ObjectName::new(bad).unwrap_err().code(), "reconciler.malformed", "{bad}");
        }
        let cluster = ClusterName::new("a").unwrap();
        assert_eq!(ObjectName::of(&cluster, "B", "c", "d").unwrap().as_str(), "a/B/c/d");
        assert!(ObjectName::of(&cluster, "B", "c/x", "d").is_err());
    }

    #[test]
    fn patterns_match_within_their_part() {
        let object = ObjectName::new("prod-1/Kustomization/shop/web-api").unwrap();
        for good in [
            "*/*/*/*",
            "prod-*/Kustomization/shop/*",
            "prod-1/Kustomization/shop/web-api",
            "prod-1/Kustomization/*/*-api",
            "prod-1/Kustomization/s*p/w*-*i",
        ] {
            assert!(Selector::new(good).unwrap().matches(&object), "{good}");
        }
        for bad in ["prod-2/*/*/*", "prod-1/Kustomization/shop/web", "*/Kustomization/shop/*x"] {
            assert!(!Selector::new(bad).unwrap().matches(&object), "{bad}");
        }
        assert!(Selector::new("prod-*/a/b/c").unwrap().matches_cluster("prod-7"));
        assert!(Selector::new("a/b/c").is_err());
    }

    #[test]
    fn errors_do_not_forge_log_lines() {
        let message = ClusterName::new("a\nb").unwrap_err().to_string();
        assert!(message.starts_with("`a\\nb` is not a valid cluster name"), "{message}");
    }
}
