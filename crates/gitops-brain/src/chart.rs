//! Charts out of a git repository, whose versions tell which commit they were made of.

use std::fmt;

use crate::commit::{CommitId, decode_hex, encode_hex};

/// The first twelve digits of a commit's id, as the version of a chart has them.
///
/// ```
/// use gitops_brain::CommitPrefix;
///
/// let prefix = CommitPrefix::of_version("0.1.0+26b00d46f714").unwrap();
/// assert_eq!(prefix.to_string(), "26b00d46f714");
/// assert_eq!(CommitPrefix::of_version("0.1.0"), None);
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct CommitPrefix([u8; 6]);

impl CommitPrefix {
    /// What a chart's version ends in if source-controller made it of a `GitRepository` for a
    /// `HelmRelease` with `reconcileStrategy: Revision`: `0.1.0+26b00d46f714`, and if it has values
    /// files the generation of the `HelmChart` after that, `0.1.0+26b00d46f714.2`
    /// (`HelmChartReconciler.buildFromTarballArtifact`). The version of a chart out of an OCI registry ends
    /// in the beginning of a digest in the same way: only its event tells the two apart.
    #[must_use]
    pub fn of_version(version: &str) -> Option<Self> {
        let (_, metadata) = version.rsplit_once('+')?;
        let (digits, generation) = metadata.split_once('.').unwrap_or((metadata, "0"));
        let is_number = !generation.is_empty() && generation.bytes().all(|b| b.is_ascii_digit());
        decode_hex(digits.as_bytes()).filter(|_| is_number).map(Self)
    }

    pub(crate) fn of(commit: &CommitId) -> Option<Self> {
        commit.as_bytes().first_chunk().copied().map(Self)
    }

    /// A version that ends in it.
    pub(crate) fn to_version(self) -> String {
        format!("+{self}")
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The digits.
impl fmt::Display for CommitPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(encode_hex(&self.0, &mut [0; 12]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_that_end_in_the_beginning_of_a_commit() {
        let commit = "26b00d46f714a3a3f3d0f2c1d4c0c6e8f1a2b3c4".parse().unwrap();
        let prefix = CommitPrefix::of(&commit);
        for version in ["0.1.0+26b00d46f714", "1.2.3-rc.1+26B00D46F714", "0.1.0+26b00d46f714.12"] {
            assert_eq!(CommitPrefix::of_version(version), prefix, "{version}");
        }
        assert_eq!(CommitPrefix::of_version(&prefix.unwrap().to_version()), prefix);
        for version in [
            "0.1.0",
            "26b00d46f714",
            "0.1.0+26b00d46f71",
            "0.1.0+26b00d46f7144",
            "0.1.0+26b00d46f71g",
            "0.1.0+26b00d46f714.",
            "0.1.0+26b00d46f714.x",
            "0.1.0+26b00d46f714.1.2",
            "0.1.0+26b00d46f714+1",
            "0.1.0-26b00d46f714",
        ] {
            assert_eq!(CommitPrefix::of_version(version), None, "{version}");
        }
    }
}
