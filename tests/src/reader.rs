//! Files of vectors: which there are, and the forms that are common to all.

use std::{
    collections::BTreeSet,
    fmt, fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

/// What a file is about. Each kind has a folder of its name.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// `Verifier`, `sign`.
    Signatures,
    /// `Event::parse`.
    Events,
    /// `Revision::parse`.
    Revisions,
    /// `observe`: what an event proves.
    Observations,
    /// Facts over time, and the statuses and transitions that follow.
    Scenarios,
    /// What an API server knew while a captured scenario ran.
    Truth,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 6] = [
        Self::Signatures,
        Self::Events,
        Self::Revisions,
        Self::Observations,
        Self::Scenarios,
        Self::Truth,
    ];

    /// The folder in which its files are.
    #[must_use]
    pub fn folder(self) -> &'static str {
        match self {
            Self::Signatures => "signatures",
            Self::Events => "events",
            Self::Revisions => "revisions",
            Self::Observations => "observations",
            Self::Scenarios => "scenarios",
            Self::Truth => "truth",
        }
    }
}

/// One file of vectors.
#[derive(Clone, Debug)]
pub struct File {
    /// Where it is, below `tests/vectors`.
    pub path: PathBuf,
    /// What it is about.
    pub kind: Kind,
    /// Its cases, none of them empty, each with an `id` that no other has.
    pub cases: Vec<Value>,
}

/// What is wrong, and where.
#[derive(Clone, Debug)]
pub struct Problem {
    path: PathBuf,
    id: String,
    what: String,
}

impl Problem {
    pub(crate) fn new(file: &File, case: &Value, what: String) -> Self {
        Self { path: file.path.clone(), id: id_of(case).to_owned(), what }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} · {} · {}", self.path.display(), self.id, self.what)
    }
}

/// A case's id; empty if it has none.
pub(crate) fn id_of(case: &Value) -> &str {
    case.get("id").and_then(Value::as_str).unwrap_or_default()
}

/// Reads every file below a folder. `README.md` is the only one that is no vector.
///
/// # Errors
///
/// If there is a file or a folder that no kind accounts for, if a kind has no file, or if two cases of
/// a kind have one id.
pub fn read_all(root: &Path) -> Result<Vec<File>, String> {
    let mut paths = Vec::new();
    list(root, &mut paths)?;
    paths.sort();
    let mut files = Vec::new();
    for path in paths {
        let below = path.strip_prefix(root).map_err(|error| error.to_string())?;
        if below == Path::new("README.md") {
            continue;
        }
        let text =
            fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        files.push(read_file(below, &text)?);
    }
    for kind in Kind::ALL {
        let cases = || files.iter().filter(|file| file.kind == kind).flat_map(|file| &file.cases);
        if cases().next().is_none() {
            return Err(format!("there are no vectors of kind {}", kind.folder()));
        }
        let mut ids = BTreeSet::new();
        if let Some(twice) = cases().map(id_of).find(|id| !ids.insert(*id)) {
            return Err(format!("{}: two cases have the id `{twice}`", kind.folder()));
        }
    }
    Ok(files)
}

/// Reads one file, given where it is below the root.
///
/// # Errors
///
/// If it is not where its kind says, has no case, or has a case without `id`, `why` or anything else.
pub fn read_file(path: &Path, text: &str) -> Result<File, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Content {
        kind: Kind,
        about: String,
        cases: Vec<Value>,
    }
    let wrong = |what: String| format!("{}: {what}", path.display());
    if path.extension().is_none_or(|extension| extension != "json") {
        return Err(wrong("is not a file of vectors: no runner would read it".to_owned()));
    }
    let content: Content = serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
    let folder = path.parent().and_then(Path::to_str);
    if folder != Some(content.kind.folder()) {
        return Err(wrong(format!("belongs in the folder {}", content.kind.folder())));
    }
    if content.about.is_empty() || content.cases.is_empty() {
        return Err(wrong("`about` and `cases` must not be empty".to_owned()));
    }
    for case in &content.cases {
        let text = |name| case.get(name).and_then(Value::as_str).unwrap_or_default();
        if text("id").is_empty() || text("why").is_empty() {
            return Err(wrong(format!("a case has no `id` or no `why`: `{}`", text("id"))));
        }
    }
    Ok(File { path: path.to_owned(), kind: content.kind, cases: content.cases })
}

fn list(folder: &Path, paths: &mut Vec<PathBuf>) -> Result<(), String> {
    let wrong = |error: std::io::Error| format!("{}: {error}", folder.display());
    for entry in fs::read_dir(folder).map_err(wrong)? {
        let path = entry.map_err(wrong)?.path();
        if path.is_dir() {
            list(&path, paths)?;
        } else {
            paths.push(path);
        }
    }
    Ok(())
}

/// Reads a case, or a part of one. A field that nothing reads is an error.
pub(crate) fn read<T: DeserializeOwned>(value: &Value) -> Result<T, Vec<String>> {
    serde_json::from_value(value.clone()).map_err(|error| vec![error.to_string()])
}

/// Bytes, in the form that shows best what they are.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Bytes {
    Text(String),
    Base64(Base64),
    Repeat(Repeat),
    Json(Json),
    Parts(Vec<Self>),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Base64 {
    base64: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Repeat {
    repeat: String,
    times: usize,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Json {
    json: Value,
}

impl Bytes {
    pub(crate) fn bytes(&self) -> Result<Vec<u8>, Vec<String>> {
        Ok(match self {
            Self::Text(text) => text.clone().into_bytes(),
            Self::Base64(Base64 { base64 }) => {
                decode_base64(base64).ok_or_else(|| vec![format!("`{base64}` is not base64")])?
            }
            Self::Repeat(Repeat { repeat, times }) => repeat.repeat(*times).into_bytes(),
            Self::Json(Json { json }) => json.to_string().into_bytes(),
            Self::Parts(parts) => {
                let parts: Vec<_> = parts.iter().map(Self::bytes).collect::<Result<_, _>>()?;
                parts.concat()
            }
        })
    }
}

/// RFC 4648, section 4, with padding.
fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=');
    if !text.len().is_multiple_of(4) || text.len() - digits.len() > 2 {
        return None;
    }
    let mut bytes = Vec::new();
    let (mut bits, mut count) = (0_u32, 0);
    for digit in digits.bytes() {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff).ok()?);
        }
    }
    Some(bytes)
}

/// Notes each field of `expected` that `actual` does not have in the same way. `actual` may have more
/// of them; lists must have the same length, and [`exact`] compares the rest.
pub(crate) fn compare(path: &str, expected: &Value, actual: &Value, problems: &mut Vec<String>) {
    match (expected, actual) {
        (Value::Object(fields), Value::Object(known)) => {
            for (name, field) in fields {
                match known.get(name) {
                    Some(value) => compare(&format!("{path}.{name}"), field, value, problems),
                    None => problems.push(format!("{path}.{name} is expected, and there is none")),
                }
            }
        }
        (Value::Array(expected), Value::Array(actual)) if expected.len() == actual.len() => {
            for (place, (expected, actual)) in expected.iter().zip(actual).enumerate() {
                compare(&format!("{path}[{place}]"), expected, actual, problems);
            }
        }
        (expected, actual) if expected == actual => {}
        (expected, actual) => problems.push(format!("{path} is {actual}, expected {expected}")),
    }
}

/// As [`compare`], and `actual` must not have any field more, on any level; but for an `event`, of which
/// a vector tells what matters to it.
pub(crate) fn exact(path: &str, expected: &Value, actual: &Value, problems: &mut Vec<String>) {
    compare(path, expected, actual, problems);
    more(path, expected, actual, problems);
}

/// Notes each field that `expected` does not have.
fn more(path: &str, expected: &Value, actual: &Value, problems: &mut Vec<String>) {
    let (Some(expected), Some(actual)) = (expected.as_object(), actual.as_object()) else { return };
    for (name, value) in actual {
        match expected.get(name) {
            None => problems.push(format!("{path}.{name} is not expected")),
            Some(expected) if name != "event" => {
                more(&format!("{path}.{name}"), expected, value, problems);
            }
            Some(_) => {}
        }
    }
}

/// No problem, or these.
pub(crate) fn verdict(problems: Vec<String>) -> Result<(), Vec<String>> {
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}
