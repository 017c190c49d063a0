//! Git commits: their ids, and raw commit objects that prove which parents a commit has.

use std::{cmp::Ordering, fmt, hash, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha1_checked::Sha1;
use sha2::{Digest, Sha256};

use crate::names::shorten;

/// The largest commit object that [`CommitObject::parse`] takes, in bytes: 1 MiB.
///
/// A commit object is its message and a few lines; signatures add some KiB.
pub const MAX_COMMIT_OBJECT_BYTES: usize = 1024 * 1024;

/// The most parents that [`CommitObject::parse`] takes. Real merges rarely have more than a dozen.
pub const MAX_COMMIT_PARENTS: usize = 64;

/// The full id of a git commit: 20 bytes in a SHA-1 repository, 32 in a SHA-256 one.
///
/// Its text is 40 or 64 lower-case hexadecimal digits; upper case is read as well. Ids are ordered
/// as their texts are.
///
/// ```
/// use gitops_brain::CommitId;
///
/// let id: CommitId = "BB5A1AA5EF1CA2A56B1FF0129AAE58DAD3323D00".parse()?;
/// assert_eq!(id.to_string(), "bb5a1aa5ef1ca2a56b1ff0129aae58dad3323d00");
/// assert_eq!("bb5a1aa".parse::<CommitId>().unwrap_err().code(), "commit.abbreviated");
/// # Ok::<(), gitops_brain::CommitIdError>(())
/// ```
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct CommitId(Bytes);

#[derive(Clone, Copy, Eq, PartialEq)]
enum Bytes {
    Sha1([u8; 20]),
    Sha256([u8; 32]),
}

impl CommitId {
    /// The id as bytes: 20 or 32.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Bytes::Sha1(bytes) => bytes,
            Bytes::Sha256(bytes) => bytes,
        }
    }

    /// The id that these hexadecimal digits are, of which there must be 40 or 64.
    pub(crate) fn from_hex(digits: &[u8]) -> Option<Self> {
        match digits.len() {
            40 => decode_hex(digits).map(Bytes::Sha1),
            64 => decode_hex(digits).map(Bytes::Sha256),
            _ => None,
        }
        .map(Self)
    }
}

impl fmt::Display for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(encode_hex(self.as_bytes(), &mut [0; 64]))
    }
}

/// The first twelve digits: enough to tell commits apart in a log.
impl fmt::Debug for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CommitId({self:.12})")
    }
}

impl FromStr for CommitId {
    type Err = CommitIdError;

    fn from_str(text: &str) -> Result<Self, CommitIdError> {
        if let Some(id) = Self::from_hex(text.as_bytes()) {
            return Ok(id);
        }
        let is_hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let text = shorten(text);
        Err(match text.len() {
            1..40 if is_hex => CommitIdError::Abbreviated { text },
            _ => CommitIdError::Malformed { text },
        })
    }
}

impl hash::Hash for CommitId {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        state.write(self.as_bytes());
    }
}

impl Ord for CommitId {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl PartialOrd for CommitId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Serialize for CommitId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(encode_hex(self.as_bytes(), &mut [0; 64]))
    }
}

impl<'de> Deserialize<'de> for CommitId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(CommitIdVisitor)
    }
}

struct CommitIdVisitor;

impl de::Visitor<'_> for CommitIdVisitor {
    type Value = CommitId;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a commit id of 40 or 64 hexadecimal digits")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<CommitId, E> {
        text.parse().map_err(E::custom)
    }
}

/// A text that is not a full commit id.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CommitIdError {
    /// It is only the beginning of one.
    #[error(
        "`{text}` is an abbreviated commit id: pass the full id of 40 or 64 hexadecimal digits, as \
         `git rev-parse {text}` prints it"
    )]
    Abbreviated {
        /// What was given.
        text: String,
    },
    /// It is something else.
    #[error(
        "`{text}` is not a commit id: pass 40 or 64 hexadecimal digits, as `git rev-parse` prints"
    )]
    Malformed {
        /// What was given, shortened.
        text: String,
    },
}

impl CommitIdError {
    /// The stable code: `commit.abbreviated` or `commit.malformed`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Abbreviated { .. } => "commit.abbreviated",
            Self::Malformed { .. } => "commit.malformed",
        }
    }
}

/// What a raw commit object proves: the id of a commit, and those of its parents.
///
/// The id is computed from the content, so nobody can claim parents that a commit has not.
///
/// ```
/// use gitops_brain::CommitObject;
///
/// // What `git cat-file commit edaa5f86` prints.
/// let content = b"tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n\
///     author A Uthor <a@example.org> 1700000000 +0100\n\
///     committer C Ommitter <c@example.org> 1700000000 +0100\n\
///     \n\
///     root\n";
/// let object = CommitObject::parse(content)?;
/// assert_eq!(object.id.to_string(), "edaa5f86ebf507f692e5a3373a860c75791ca7ac");
/// assert!(object.parents.is_empty());
/// # Ok::<(), gitops_brain::CommitObjectError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct CommitObject {
    /// The commit's id, computed from the content.
    pub id: CommitId,
    /// The commit's parents, in git's order: the branch merged into comes first.
    pub parents: Vec<CommitId>,
}

impl CommitObject {
    /// Reads the content of a commit object, as `git cat-file commit <id>` prints it (without git's
    /// header `commit <length>\0`), and computes its id: by SHA-256 if the tree's id has 64 digits,
    /// else by SHA-1.
    ///
    /// # Errors
    ///
    /// If the content is too large, does not begin as a commit object does, or is one half of a
    /// SHA-1 collision (git refuses those too).
    pub fn parse(content: &[u8]) -> Result<Self, CommitObjectError> {
        if content.len() > MAX_COMMIT_OBJECT_BYTES {
            return Err(CommitObjectError::TooLarge { length: content.len() });
        }
        let mut lines = content.split(|byte| *byte == b'\n').zip(1..);
        let (tree, _) = lines.next().unwrap_or_default();
        let tree = tree.strip_prefix(b"tree ").and_then(CommitId::from_hex);
        let tree = tree.ok_or(CommitObjectError::malformed(1, "`tree <id>`"))?;
        let mut parents = Vec::new();
        for (line, number) in lines {
            let Some(parent) = line.strip_prefix(b"parent ") else {
                if !line.starts_with(b"author ") {
                    let expected = "`parent <id>` or `author <name and time>`";
                    return Err(CommitObjectError::malformed(number, expected));
                }
                return Ok(Self { id: object_id(content, &tree)?, parents });
            };
            let parent = CommitId::from_hex(parent)
                .filter(|parent| parent.as_bytes().len() == tree.as_bytes().len());
            let expected = "`parent <id>` with an id as long as the tree's";
            parents.push(parent.ok_or(CommitObjectError::malformed(number, expected))?);
            if parents.len() > MAX_COMMIT_PARENTS {
                return Err(CommitObjectError::malformed(
                    number,
                    "`author <name and time>` after at most 64 parents",
                ));
            }
        }
        Err(CommitObjectError::malformed(parents.len() + 2, "`author <name and time>`"))
    }
}

/// Bytes that are not a commit object to be trusted.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CommitObjectError {
    /// They do not begin as a commit object does.
    #[error(
        "line {line} of the commit object is not {expected}: pass what `git cat-file commit <id>` \
         prints, unchanged"
    )]
    Malformed {
        /// The line that is wrong, counted from one.
        line: usize,
        /// What should stand there.
        expected: &'static str,
    },
    /// There are more than [`MAX_COMMIT_OBJECT_BYTES`].
    #[error(
        "the commit object has {length} bytes, more than the limit of {MAX_COMMIT_OBJECT_BYTES}"
    )]
    TooLarge {
        /// How many there are.
        length: usize,
    },
    /// They were made so that two contents have one SHA-1 id.
    #[error("the commit object is part of a SHA-1 collision attack: find out where it comes from")]
    Collision,
}

impl CommitObjectError {
    /// The stable code: `commit_object.malformed`, `commit_object.too_large` or
    /// `commit_object.collision`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed { .. } => "commit_object.malformed",
            Self::TooLarge { .. } => "commit_object.too_large",
            Self::Collision => "commit_object.collision",
        }
    }

    fn malformed(line: usize, expected: &'static str) -> Self {
        Self::Malformed { line, expected }
    }
}

/// The bytes that hexadecimal digits of either case stand for, if they are just as many.
pub(crate) fn decode_hex<const LENGTH: usize>(digits: &[u8]) -> Option<[u8; LENGTH]> {
    let (pairs, []) = digits.as_chunks() else { return None };
    if pairs.len() != LENGTH {
        return None;
    }
    let mut bytes = [0; LENGTH];
    let mut all = 0;
    // Without a branch for each digit the compiler does several at once.
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        let (high, low) = (hex_value(*high), hex_value(*low));
        all |= high | low;
        *byte = high << 4 | low;
    }
    (all < 16).then_some(bytes)
}

/// Writes bytes as lower-case hexadecimal digits into a buffer with room for all of them.
pub(crate) fn encode_hex<'a>(bytes: &[u8], buffer: &'a mut [u8]) -> &'a str {
    let digit = |value: u8| if value < 10 { b'0' + value } else { b'a' + value - 10 };
    let (pairs, _) = buffer.as_chunks_mut();
    for (pair, byte) in pairs.iter_mut().zip(bytes) {
        *pair = [digit(byte >> 4), digit(byte & 15)];
    }
    let digits = buffer.get(..bytes.len() * 2).unwrap_or_default();
    str::from_utf8(digits).unwrap_or_default()
}

/// What a hexadecimal digit stands for; 16 or more if it is none.
fn hex_value(digit: u8) -> u8 {
    let number = digit.wrapping_sub(b'0');
    let letter = (digit | 0x20).wrapping_sub(b'a');
    if number < 10 {
        number
    } else if letter < 6 {
        letter + 10
    } else {
        u8::MAX
    }
}

/// The id of a commit object in the repository whose trees have ids like this one.
fn object_id(content: &[u8], tree: &CommitId) -> Result<CommitId, CommitObjectError> {
    let header = format!("commit {}\0", content.len());
    Ok(CommitId(match tree.0 {
        Bytes::Sha1(_) => Bytes::Sha1(sha1([header.as_bytes(), content])?),
        Bytes::Sha256(_) => Bytes::Sha256(
            Sha256::new().chain_update(header).chain_update(content).finalize().into(),
        ),
    }))
}

/// SHA-1 that detects the known collision attacks, as git's own does (`sha1dc`).
fn sha1(parts: [&[u8]; 2]) -> Result<[u8; 20], CommitObjectError> {
    let [first, second] = parts;
    let result = Sha1::new().chain_update(first).chain_update(second).try_finalize();
    if result.has_collision() {
        return Err(CommitObjectError::Collision);
    }
    Ok((*result.hash()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHA1: &str = "bb5a1aa5ef1ca2a56b1ff0129aae58dad3323d00";
    const SHA256: &str = "9640a1d641badea40a856bdb563abd55fea738ed2c26a40aafa48e28a11b882b";
    const PEOPLE: &str = "author A Uthor <a@example.org> 1700000000 +0100\n\
                          committer C Ommitter <c@example.org> 1700000000 +0100\n";

    #[test]
    fn ids_are_read_in_either_case_and_written_in_lower_case() {
        for text in [SHA1, SHA256] {
            let id: CommitId = text.parse().unwrap();
            assert_eq!(id.to_string(), text);
            assert_eq!(id.as_bytes().len() * 2, text.len());
            assert_eq!(text.to_uppercase().parse(), Ok(id));
            let json = serde_json::to_string(&id).unwrap();
            assert_eq!(json, format!("\"{text}\""));
            assert_eq!(serde_json::from_str::<CommitId>(&json).unwrap(), id);
            assert_eq!(serde_json::from_reader::<_, CommitId>(json.as_bytes()).unwrap(), id);
        }
        let error = serde_json::from_str::<CommitId>("5").unwrap_err().to_string();
        assert!(error.contains("hexadecimal"), "{error}");
        assert_eq!(format!("{:?}", SHA1.parse::<CommitId>().unwrap()), "CommitId(bb5a1aa5ef1c)");
    }

    #[test]
    fn what_is_not_a_full_id_is_refused() {
        let code = |text: &str| text.parse::<CommitId>().unwrap_err().code();
        for length in 1..40 {
            assert_eq!(code(&"a".repeat(length)), "commit.abbreviated");
        }
        for length in 41..64 {
            assert_eq!(code(&"a".repeat(length)), "commit.malformed");
        }
        let long = "a".repeat(65);
        let umlauts = "ä".repeat(20);
        let misspelt = SHA1.replace('b', "g");
        for text in ["", "HEAD", "abc ", "main", &long, &umlauts, &misspelt] {
            assert_eq!(code(text), "commit.malformed", "{text}");
        }
        // Those that stand beside the digits and the letters.
        for misspelt in ["/", ":", "@", "G", "`", "g", "\u{10}", "p"] {
            for place in [0, 1, 38, 39] {
                let mut text = SHA1.to_owned();
                text.replace_range(place..=place, misspelt);
                assert_eq!(code(&text), "commit.malformed", "{text}");
                text.replace_range(place & !1..=place | 1, &misspelt.repeat(2));
                assert_eq!(code(&text), "commit.malformed", "{text}");
            }
        }
        let message = "HE\nAD".parse::<CommitId>().unwrap_err().to_string();
        assert!(message.starts_with("`HE\\nAD` is not a commit id"), "{message}");
    }

    #[test]
    fn ids_are_ordered_as_their_texts() {
        let longer = format!("{SHA1}{}", "0".repeat(24));
        let mut texts = [SHA256, SHA1, longer.as_str(), "00000000000000000000000000000000000000ff"];
        let mut ids = texts.map(|text| text.parse::<CommitId>().unwrap());
        texts.sort_unstable();
        ids.sort_unstable();
        assert_eq!(ids.map(|id| id.to_string()), texts);
    }

    #[test]
    fn objects_that_git_made_have_the_ids_that_git_gave() {
        let tree = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";
        let root = "edaa5f86ebf507f692e5a3373a860c75791ca7ac";
        let main = "0394864ebff24e109510df56646d5ecbe0bae0ae";
        let side = "d0a969635d97ddb6421b8155718e8d44aa9f1039";
        let merge = "59cb211b5683a5539cf6d836dbd9ff270687cbd0";
        check(tree, &[], "root", root);
        check(tree, &[root], "side ä", side);
        check(tree, &[main, side], "merge side", merge);
    }

    #[test]
    fn objects_of_sha256_repositories_too() {
        let tree = "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321";
        let root = "93a2fad492f7d995306bf1c2e4b8e77cd866d939bba8eef1938fae7babc6e93d";
        let main = "f69fbe605bff49e2df1d2f7c045ccbd0001dd3ced34a1ebed5f3dac1a0543e1a";
        let side = "0ae303189ce75bcd8a46dc0acbc8d1e1c2f0dd7dc7b40eb6f87d626711a33b24";
        check(tree, &[], "root", root);
        check(tree, &[main, side], "merge side", SHA256);
    }

    #[test]
    fn one_changed_byte_is_another_commit() {
        let content = content("4b825dc642cb6eb9a060e54bf8d69288fbee4904", &[SHA1], "root");
        let id = CommitObject::parse(content.as_bytes()).unwrap().id;
        for position in 0..content.len() {
            let mut changed = content.clone().into_bytes();
            changed[position] ^= 1;
            assert!(CommitObject::parse(&changed).map_or(true, |object| object.id != id));
        }
    }

    #[test]
    fn what_is_no_commit_object_is_refused() {
        let code = |content: &str| CommitObject::parse(content.as_bytes()).unwrap_err().code();
        let mixed = content(SHA1, &[SHA256], "mixed");
        let with_header = format!("commit 3\0{}", content(SHA1, &[], "a"));
        let many = content(SHA1, &[SHA1; MAX_COMMIT_PARENTS + 1], "many");
        for bad in [
            "",
            "tree",
            "tree 4b825dc\nauthor A <a> 1 +0000\n",
            &format!("tree {SHA1}"),
            &format!("tree {SHA1}\nparent {SHA1}\n"),
            &format!("tree {SHA1}\ncommitter C <c> 1 +0000\n"),
            &mixed,
            &with_header,
            &many,
        ] {
            assert_eq!(code(bad), "commit_object.malformed", "{bad}");
        }
        assert!(CommitObject::parse(content(SHA1, &[SHA1; 64], "64").as_bytes()).is_ok());
        let long = |length| content(SHA1, &[], &"a".repeat(length));
        let most = MAX_COMMIT_OBJECT_BYTES - long(0).len();
        assert!(most > 1_000_000 && CommitObject::parse(long(most).as_bytes()).is_ok());
        assert_eq!(code(&long(most + 1)), "commit_object.too_large");
        for (number, parents) in [(2, 0), (3, 1), (5, 3)] {
            let ends = format!("tree {SHA1}{}", format!("\nparent {SHA1}").repeat(parents));
            let error = CommitObject::parse(ends.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(&format!("line {number}")), "{error}");
        }
    }

    /// The first blocks of the two documents of <https://shattered.io>, which go on alike.
    #[test]
    fn collisions_are_detected() {
        const SHATTERED: &str = "\
            255044462d312e330a25e2e3cfd30a0a0a312030206f626a0a3c3c2f57696474682032203020522f\
            4865696768742033203020522f547970652034203020522f537562747970652035203020522f4669\
            6c7465722036203020522f436f6c6f7253706163652037203020522f4c656e677468203820302052\
            2f42697473506572436f6d706f6e656e7420383e3e0a73747265616d0affd8fffe00245348412d31\
            20697320646561642121212121852fec092339759c39b1a1c63c4c97e1fffe017346dc9166b67e11\
            8f029ab621b2560ff9ca67cca8c7f85ba84c79030c2b3de218f86db3a90901d5df45c14f26fedfb3\
            dc38e96ac22fe7bd728f0e45bce046d23c570feb141398bb552ef5a0a82be331fea48037b8b5d71f\
            0e332edf93ac3500eb4ddc0decc1a864790c782c76215660dd309791d06bd0af3f98cda4bc4629b1";
        let content: [u8; 320] = decode_hex(SHATTERED.as_bytes()).unwrap();
        assert_eq!(sha1([b"", &content]), Err(CommitObjectError::Collision));
        assert_eq!(CommitObjectError::Collision.code(), "commit_object.collision");
        assert!(sha1([b"x", &content]).is_ok());
    }

    fn check(tree: &str, parents: &[&str], message: &str, id: &str) {
        let object = CommitObject::parse(content(tree, parents, message).as_bytes()).unwrap();
        assert_eq!(object.id.to_string(), id);
        let found: Vec<String> = object.parents.iter().map(CommitId::to_string).collect();
        assert_eq!(found, parents);
    }

    fn content(tree: &str, parents: &[&str], message: &str) -> String {
        let parents: String = parents.iter().map(|parent| format!("parent {parent}\n")).collect();
        format!("tree {tree}\n{parents}{PEOPLE}\n{message}\n")
    }
}
