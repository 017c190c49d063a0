//! References of container images.

use std::{fmt, str::FromStr};

use thiserror::Error;

/// A reference of a container image: `ghcr.io/shop/web:1.4.0`, with a tag, a digest, or both.
///
/// ```
/// use gitops_brain_release::Image;
///
/// let image: Image = "localhost:5000/web:1.4.0".parse()?;
/// assert_eq!(image.name(), "localhost:5000/web");
/// assert_eq!(image.tag(), Some("1.4.0"));
/// # Ok::<(), gitops_brain_release::ImageError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Image {
    name: String,
    tag: Option<String>,
    digest: Option<String>,
}

/// Why a text is no reference of an image.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum ImageError {
    /// The name is empty, or has characters that no image's name has.
    #[error("`{0}` is no image: write it as `registry/name:tag` or `registry/name@sha256:…`")]
    Name(String),
    /// The tag is empty, too long, or has characters that no tag has.
    #[error("`{0}` is no tag: letters, digits, `_`, `.` and `-`, 128 of them at most")]
    Tag(String),
    /// The digest is not of the form `sha256:<64 hexadecimal digits>`.
    #[error("`{0}` is no digest: write it as `sha256:` and 64 hexadecimal digits")]
    Digest(String),
}

impl Image {
    /// Everything before the tag or digest.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The tag.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, as `sha256:…`.
    #[must_use]
    pub fn digest(&self) -> Option<&str> {
        self.digest.as_deref()
    }
}

impl FromStr for Image {
    type Err = ImageError;

    fn from_str(text: &str) -> Result<Self, ImageError> {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (text, None),
        };
        // A colon before the last slash belongs to the registry's port.
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (rest, None),
        };
        let allowed =
            |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | ':');
        if name.is_empty() || !name.chars().all(allowed) {
            return Err(ImageError::Name(text.to_owned()));
        }
        if let Some(tag) = tag {
            check_tag(tag)?;
        }
        if let Some(digest) = digest {
            check_digest(digest)?;
        }
        Ok(Self {
            name: name.to_owned(),
            tag: tag.map(str::to_owned),
            digest: digest.map(str::to_owned),
        })
    }
}

impl fmt::Display for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

fn check_tag(tag: &str) -> Result<(), ImageError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let begins_well = !tag.starts_with(['.', '-']);
    if !tag.is_empty() && tag.len() <= 128 && begins_well && tag.chars().all(allowed) {
        Ok(())
    } else {
        Err(ImageError::Tag(tag.to_owned()))
    }
}

fn check_digest(digest: &str) -> Result<(), ImageError> {
    match digest.strip_prefix("sha256:") {
        Some(hex) if hex.len() == 64 && hex.chars().all(|c| c.is_ascii_hexdigit()) => Ok(()),
        _ => Err(ImageError::Digest(digest.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_come_apart_and_together() {
        let digest = format!("sha256:{}", "ab".repeat(32));
        for text in ["web", "web:1", "localhost:5000/web", "ghcr.io/a/b:v1.2-rc.1_x"] {
            assert_eq!(text.parse::<Image>().unwrap().to_string(), text);
        }
        let both = format!("localhost:5000/web:1@{digest}");
        let image: Image = both.parse().unwrap();
        assert_eq!((image.name(), image.tag()), ("localhost:5000/web", Some("1")));
        assert_eq!(image.digest(), Some(&*digest));
        assert_eq!(image.to_string(), both);
    }

    #[test]
    fn what_is_no_reference_is_refused() {
        for (text, error) in [
            ("", ImageError::Name(String::new())),
            ("a b", ImageError::Name("a b".to_owned())),
            ("web:", ImageError::Tag(String::new())),
            ("web:-x", ImageError::Tag("-x".to_owned())),
            ("web@sha256:12", ImageError::Digest("sha256:12".to_owned())),
        ] {
            assert_eq!(text.parse::<Image>(), Err(error), "{text}");
        }
    }
}
