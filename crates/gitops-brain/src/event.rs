//! The event that notification-controller posts, and how it is read.

use std::{borrow::Cow, fmt, str};

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize, Serializer};

use crate::{
    json::{self, Problem, Reader, Step},
    names::shorten,
};

/// The largest body that [`Event::parse`] takes, in bytes: 3 MiB.
///
/// notification-controller takes no larger one itself since 1.9.3 (`limits.go`), so it cannot
/// forward one.
pub const MAX_BODY_BYTES: usize = 3 * 1024 * 1024;

/// How deeply the objects and arrays of a body may be nested.
///
/// An event has two levels; more leave room for fields that Flux may add one day.
pub const MAX_DEPTH: usize = 32;

/// The most metadata entries that an event may have.
///
/// Flux itself sets fewer than ten. Each annotation `event.toolkit.fluxcd.io/…` of the object, and
/// each entry of the Alert's `eventMetadata`, adds one.
pub const MAX_METADATA_ENTRIES: usize = 256;

/// What one controller said about one of its objects: `Event` in Flux's `pkg/apis/event`, versions
/// v1beta1 and v1. Version v1 (Flux 2.10) adds `relatedObject` and `action`. A notification-controller
/// that reads v1beta1 drops both, so an event without them may come from any controller.
///
/// Texts are borrowed from the body wherever they have no escapes. Serialized, it has Flux's fields
/// in Flux's order, and leaves out the same empty ones; but Go writes `<`, `>`, `&`, U+2028 and
/// U+2029 as escapes, and whole seconds only. We do neither, so the bytes can differ.
///
/// ```
/// use gitops_brain::{Event, Severity};
///
/// let event = Event::parse(br#"{
///     "involvedObject": {
///         "kind": "Kustomization", "namespace": "flux-system", "name": "apps",
///         "apiVersion": "kustomize.toolkit.fluxcd.io/v1"
///     },
///     "severity": "info",
///     "timestamp": "2026-11-23T13:03:46Z",
///     "message": "ConfigMap/default/app-config configured",
///     "reason": "Progressing",
///     "metadata": {"revision": "main@sha1:bb5a1aa5ef1ca2a56b1ff0129aae58dad3323d00"},
///     "reportingController": "kustomize-controller"
/// }"#)?;
/// assert_eq!((&*event.involved_object.name, event.severity), ("apps", Severity::Info));
/// assert!(event.metadata("revision").is_some_and(|revision| revision.starts_with("main@")));
///
/// let error = Event::parse(br#"{"involvedObject": {"kind": 7}}"#).unwrap_err();
/// assert_eq!((error.code(), error.path()), ("event.invalid_field", "involvedObject.kind"));
/// # Ok::<(), gitops_brain::ParseError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::exhaustive_structs, reason = "senders build it; its fields are Flux's")]
pub struct Event<'a> {
    /// The object that the event is about.
    pub involved_object: InvolvedObject<'a>,
    /// The source of the revision (v1): kustomize-controller names the `GitRepository`, `OCIRepository`,
    /// `Bucket` or `ExternalArtifact` that the Kustomization was reconciled from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub related_object: Option<InvolvedObject<'a>>,
    /// How bad it is. Flux sends `info` and `error`.
    pub severity: Severity,
    /// When it happened, by the controller's clock. Flux sends whole seconds.
    pub timestamp: DateTime<Utc>,
    /// What happened, for people. Its text differs between Flux's versions.
    pub message: Cow<'a, str>,
    /// What happened, in one word, as `ReconciliationSucceeded`.
    pub reason: Cow<'a, str>,
    /// What the controller was doing (v1), as `Apply` or `Finalize`; empty if the event does not tell.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub action: Cow<'a, str>,
    /// What else is told; [`Event::metadata`] finds an entry under each of the names it may have.
    #[serde(skip_serializing_if = "Metadata::is_empty")]
    pub metadata: Metadata<'a>,
    /// The controller that says it, as `kustomize-controller`.
    pub reporting_controller: Cow<'a, str>,
    /// The controller's pod.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub reporting_instance: Cow<'a, str>,
}

impl<'a> Event<'a> {
    /// Reads the body that notification-controller posted.
    ///
    /// Fields that it does not know are skipped. If a field comes twice, the last one counts.
    ///
    /// # Errors
    ///
    /// If the body is larger than [`MAX_BODY_BYTES`], is not JSON, or is not an event. The error
    /// says where: its line, column and path.
    pub fn parse(body: &'a [u8]) -> Result<Self, ParseError> {
        if body.len() > MAX_BODY_BYTES {
            return Err(ParseError::TooLarge { length: body.len() });
        }
        let text = str::from_utf8(body).map_err(|error| ParseError::not_utf8(body, error))?;
        read_document(text).map_err(|error| ParseError::new(text, error))
    }

    /// The same event, which borrows nothing.
    #[must_use]
    pub fn into_owned(self) -> Event<'static> {
        Event {
            involved_object: self.involved_object.into_owned(),
            related_object: self.related_object.map(InvolvedObject::into_owned),
            severity: self.severity,
            timestamp: self.timestamp,
            message: owned(self.message),
            reason: owned(self.reason),
            action: owned(self.action),
            metadata: self.metadata.into_owned(),
            reporting_controller: owned(self.reporting_controller),
            reporting_instance: owned(self.reporting_instance),
        }
    }

    /// The metadata entry of this name, under the first of the keys it may have:
    ///
    /// 1. `<API group of the object>/name`: so the controller itself writes it; old
    ///    notification-controllers forward it unchanged. If the event does not tell the object's
    ///    API version, any group `….toolkit.fluxcd.io` but the one below;
    /// 2. `name`: so newer notification-controllers forward it, but the Alert's own metadata too;
    /// 3. `event.toolkit.fluxcd.io/name`: an annotation that anyone may write who may write the
    ///    object.
    #[must_use]
    pub fn metadata(&self, name: &str) -> Option<&str> {
        const ANNOTATIONS: &str = "event.toolkit.fluxcd.io";
        let api_version = &*self.involved_object.api_version;
        let is_own_group = |group: &str| match api_version {
            "" => group.ends_with(".toolkit.fluxcd.io") && group != ANNOTATIONS,
            _ => api_version.split_once('/').is_some_and(|(own, _version)| group == own),
        };
        let rank = |key: &str| match key.strip_suffix(name)? {
            "" => Some(2),
            prefix => match prefix.strip_suffix('/')? {
                group if is_own_group(group) => Some(1),
                ANNOTATIONS => Some(3),
                _ => None,
            },
        };
        let ranked = self.metadata.iter().filter_map(|(key, value)| Some((rank(key)?, value)));
        ranked.min_by_key(|(rank, _)| *rank).map(|(_, value)| value)
    }
}

/// A reference to a Kubernetes object: `ObjectReference` of `k8s.io/api/core/v1`.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::exhaustive_structs, reason = "senders build it; its fields are Kubernetes'")]
pub struct InvolvedObject<'a> {
    /// The kind, as `Kustomization`; never empty in a parsed event.
    pub kind: Cow<'a, str>,
    /// The namespace.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub namespace: Cow<'a, str>,
    /// The name within the namespace; never empty in a parsed event.
    pub name: Cow<'a, str>,
    /// The unique id that the API server gave the object when it was created.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub uid: Cow<'a, str>,
    /// The API group and version, as `kustomize.toolkit.fluxcd.io/v1`.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub api_version: Cow<'a, str>,
    /// The object's version when the reconcile attempt began: all events of one attempt have the
    /// same.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub resource_version: Cow<'a, str>,
    /// A part of the object. Flux leaves it empty.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub field_path: Cow<'a, str>,
}

impl<'a> InvolvedObject<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, json::Error> {
        let offset = reader.offset();
        let (mut kind, mut name, mut rest) = (None, None, Self::default());
        reader.object(|reader, key| {
            match &*key {
                "kind" => kind = Some(read_name(reader)?),
                "namespace" => rest.namespace = reader.string()?,
                "name" => name = Some(read_name(reader)?),
                "uid" => rest.uid = reader.string()?,
                "apiVersion" => rest.api_version = reader.string()?,
                "resourceVersion" => rest.resource_version = reader.string()?,
                "fieldPath" => rest.field_path = reader.string()?,
                _ => reader.skip()?,
            }
            Ok(())
        })?;
        let missing = |field| json::Error { offset, problem: Problem::Missing(field) };
        let kind = kind.ok_or(missing("kind"))?;
        let name = name.ok_or(missing("name"))?;
        Ok(Self { kind, name, ..rest })
    }

    /// `null` stands for none, as in Go.
    fn read_optional(reader: &mut Reader<'a>) -> Result<Option<Self>, json::Error> {
        if reader.null()? { Ok(None) } else { Self::read(reader).map(Some) }
    }

    fn into_owned(self) -> InvolvedObject<'static> {
        InvolvedObject {
            kind: owned(self.kind),
            namespace: owned(self.namespace),
            name: owned(self.name),
            uid: owned(self.uid),
            api_version: owned(self.api_version),
            resource_version: owned(self.resource_version),
            field_path: owned(self.field_path),
        }
    }
}

/// How bad an event is, from the least to the worst. Flux has no `warning`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Severity {
    /// For debugging. Flux does not send these to a webhook (`runtime/events/recorder.go`).
    Trace,
    /// All is well, or well on its way.
    Info,
    /// Something failed.
    Error,
}

impl Severity {
    /// The severity as Flux writes it: `trace`, `info` or `error`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Info => "info",
            Self::Error => "error",
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, json::Error> {
        let offset = reader.offset();
        match &*reader.string()? {
            "trace" => Ok(Self::Trace),
            "info" => Ok(Self::Info),
            "error" => Ok(Self::Error),
            _ => Err(invalid(offset, "`trace`, `info` or `error`")),
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The metadata of an event: texts by unique keys, in the order of the keys, as Go writes them.
///
/// ```
/// use gitops_brain::Metadata;
///
/// let metadata: Metadata<'_> =
///     [("revision", "6.5.0"), ("commit_status", "update")].into_iter().collect();
/// assert_eq!(metadata.get("commit_status"), Some("update"));
/// assert_eq!(metadata.iter().next(), Some(("commit_status", "update")));
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Metadata<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Metadata<'a> {
    /// The value under exactly this key. [`Event::metadata`] knows the other keys it may have.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        let index = self.find(key).ok()?;
        self.0.get(index).map(|(_, value)| &**value)
    }

    /// All keys with their values, in the order of the keys.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (&**key, &**value))
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn read(reader: &mut Reader<'a>) -> Result<Self, json::Error> {
        let mut metadata = Self::default();
        if reader.null()? {
            return Ok(metadata);
        }
        let offset = reader.offset();
        reader.object(|reader, key| {
            let value = reader.string()?;
            metadata.insert(key, value);
            if metadata.len() > MAX_METADATA_ENTRIES {
                return Err(json::Error { offset, problem: Problem::TooMany });
            }
            Ok(())
        })?;
        Ok(metadata)
    }

    fn insert(&mut self, key: Cow<'a, str>, value: Cow<'a, str>) {
        match self.find(&key) {
            Ok(index) => {
                if let Some((_, old)) = self.0.get_mut(index) {
                    *old = value;
                }
            }
            Err(index) => self.0.insert(index, (key, value)),
        }
    }

    fn find(&self, key: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(known, _)| (**known).cmp(key))
    }

    fn into_owned(self) -> Metadata<'static> {
        Metadata(self.0.into_iter().map(|(key, value)| (owned(key), owned(value))).collect())
    }
}

/// If a key comes twice, the last value counts.
impl<'a, K: Into<Cow<'a, str>>, V: Into<Cow<'a, str>>> FromIterator<(K, V)> for Metadata<'a> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut metadata = Self::default();
        for (key, value) in entries {
            metadata.insert(key.into(), value.into());
        }
        metadata
    }
}

impl Serialize for Metadata<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

/// A body that is not an event.
///
/// Sending it again changes nothing: answer with a status upon which the sender gives up.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// It is larger than [`MAX_BODY_BYTES`].
    #[error("the event has {length} bytes, more than the limit of {MAX_BODY_BYTES}")]
    TooLarge {
        /// How many bytes it has.
        length: usize,
    },
    /// It is not UTF-8.
    #[error("the event is not UTF-8 at {place}: send the body unchanged and uncompressed")]
    NotUtf8 {
        /// Where the first wrong byte is.
        place: Place,
    },
    /// It is not JSON.
    #[error("the event is not JSON at {place}: {expected} should stand there")]
    Malformed {
        /// Where it first is not.
        place: Place,
        /// What JSON wants there.
        expected: &'static str,
    },
    /// A field that each event has is missing.
    #[error("the event lacks the field at {place}: send what notification-controller posts")]
    MissingField {
        /// The object that lacks it, and the path that it should have.
        place: Place,
    },
    /// A field has a value that no event has there.
    #[error("the event has {found} at {place}, where {expected} should stand")]
    InvalidField {
        /// Where the value begins.
        place: Place,
        /// What should stand there.
        expected: &'static str,
        /// What does: a text in backticks, shortened, or the kind of value.
        found: String,
    },
    /// Objects and arrays are nested in more than [`MAX_DEPTH`] levels.
    #[error("the event is nested in more than {MAX_DEPTH} levels at {place}")]
    TooDeep {
        /// Where the first one too many begins.
        place: Place,
    },
    /// There are more than [`MAX_METADATA_ENTRIES`] metadata entries.
    #[error(
        "the event has more than {MAX_METADATA_ENTRIES} entries at {place}: remove annotations \
         `event.toolkit.fluxcd.io/…` from the object"
    )]
    TooManyMetadata {
        /// Where the metadata begins.
        place: Place,
    },
}

impl ParseError {
    /// The stable code: `event.too_large`, `event.not_utf8`, `event.malformed`,
    /// `event.missing_field`, `event.invalid_field`, `event.too_deep` or `event.too_many_metadata`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "event.too_large",
            Self::NotUtf8 { .. } => "event.not_utf8",
            Self::Malformed { .. } => "event.malformed",
            Self::MissingField { .. } => "event.missing_field",
            Self::InvalidField { .. } => "event.invalid_field",
            Self::TooDeep { .. } => "event.too_deep",
            Self::TooManyMetadata { .. } => "event.too_many_metadata",
        }
    }

    /// The line, counted from one. A body that is too large is not read, so the first.
    #[must_use]
    pub fn line(&self) -> usize {
        self.place().map_or(1, |place| place.line)
    }

    /// The column within the line, in characters, counted from one.
    #[must_use]
    pub fn column(&self) -> usize {
        self.place().map_or(1, |place| place.column)
    }

    /// The offset from the beginning of the body, in bytes, counted from zero.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.place().map_or(0, |place| place.offset)
    }

    /// The path of the field, as `involvedObject.kind` or `metadata["revision"]`; empty for the
    /// whole body.
    #[must_use]
    pub fn path(&self) -> &str {
        self.place().map_or("", |place| &place.path)
    }

    fn place(&self) -> Option<&Place> {
        match self {
            Self::TooLarge { .. } => None,
            Self::NotUtf8 { place }
            | Self::Malformed { place, .. }
            | Self::MissingField { place }
            | Self::InvalidField { place, .. }
            | Self::TooDeep { place }
            | Self::TooManyMetadata { place } => Some(place),
        }
    }

    #[cold]
    fn new(text: &str, error: json::Error) -> Self {
        let mut place = Place::new(text, error.offset);
        match error.problem {
            Problem::Malformed(expected) => Self::Malformed { place, expected },
            Problem::TooDeep => Self::TooDeep { place },
            Problem::TooMany => Self::TooManyMetadata { place },
            Problem::Missing(field) => {
                if !place.path.is_empty() {
                    place.path.push('.');
                }
                place.path.push_str(field);
                Self::MissingField { place }
            }
            Problem::Invalid(expected) => {
                let value = text.get(error.offset..).unwrap_or_default();
                let found = Reader::new(value, MAX_DEPTH).describe();
                Self::InvalidField { place, expected, found }
            }
        }
    }

    #[cold]
    fn not_utf8(body: &[u8], error: str::Utf8Error) -> Self {
        let offset = error.valid_up_to();
        let valid = body.get(..offset).and_then(|valid| str::from_utf8(valid).ok());
        Self::NotUtf8 { place: Place::new(valid.unwrap_or_default(), offset) }
    }
}

/// Where in a body something is wrong. The accessors of [`ParseError`] tell.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Place {
    offset: usize,
    line: usize,
    column: usize,
    path: String,
}

impl Place {
    fn new(text: &str, offset: usize) -> Self {
        let (line, column) = json::line_and_column(text, offset);
        Self { offset, line, column, path: render(&json::path(text, offset, MAX_DEPTH)) }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)?;
        if !self.path.is_empty() {
            write!(f, " (`{}`)", self.path)?;
        }
        Ok(())
    }
}

fn read_document<'a>(text: &'a str) -> Result<Event<'a>, json::Error> {
    let mut reader = Reader::new(text, MAX_DEPTH);
    let offset = reader.offset();
    let (mut involved_object, mut severity, mut timestamp) = (None, None, None);
    let (mut message, mut reason) = (None, None);
    let (mut related_object, mut action) = (None, Cow::default());
    let mut metadata = Metadata::default();
    let (mut reporting_controller, mut reporting_instance) = Default::default();
    reader.object(|reader, key| {
        match &*key {
            "involvedObject" => involved_object = Some(InvolvedObject::read(reader)?),
            "relatedObject" => related_object = InvolvedObject::read_optional(reader)?,
            "severity" => severity = Some(Severity::read(reader)?),
            "timestamp" => timestamp = Some(read_timestamp(reader)?),
            "message" => message = Some(reader.string()?),
            "reason" => reason = Some(reader.string()?),
            "action" => action = reader.string()?,
            "metadata" => metadata = Metadata::read(reader)?,
            "reportingController" => reporting_controller = reader.string()?,
            "reportingInstance" => reporting_instance = reader.string()?,
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    reader.end()?;
    let missing = |field| json::Error { offset, problem: Problem::Missing(field) };
    Ok(Event {
        involved_object: involved_object.ok_or(missing("involvedObject"))?,
        related_object,
        severity: severity.ok_or(missing("severity"))?,
        timestamp: timestamp.ok_or(missing("timestamp"))?,
        message: message.ok_or(missing("message"))?,
        reason: reason.ok_or(missing("reason"))?,
        action,
        metadata,
        reporting_controller,
        reporting_instance,
    })
}

/// Reads a text that must not be empty.
fn read_name<'a>(reader: &mut Reader<'a>) -> Result<Cow<'a, str>, json::Error> {
    let offset = reader.offset();
    match reader.string()? {
        name if name.is_empty() => Err(invalid(offset, "a text that is not empty")),
        name => Ok(name),
    }
}

fn read_timestamp(reader: &mut Reader<'_>) -> Result<DateTime<Utc>, json::Error> {
    let offset = reader.offset();
    let text = reader.string()?;
    parse_whole_seconds(&text)
        .or_else(|| Some(DateTime::parse_from_rfc3339(&text).ok()?.to_utc()))
        .ok_or(invalid(offset, "a time as RFC 3339 writes it, like `2026-11-23T13:03:46Z`"))
}

/// Reads `YYYY-MM-DDTHH:MM:SSZ`, the form that Flux sends, without chrono's more general parser.
/// Whatever else it may be, chrono shall judge.
fn parse_whole_seconds(text: &str) -> Option<DateTime<Utc>> {
    let [
        y1,
        y2,
        y3,
        y4,
        b'-',
        o1,
        o2,
        b'-',
        d1,
        d2,
        b'T',
        h1,
        h2,
        b':',
        m1,
        m2,
        b':',
        s1,
        s2,
        b'Z',
    ] = *text.as_bytes()
    else {
        return None;
    };
    let number = |high: u8, low: u8| {
        let digits = high.is_ascii_digit() && low.is_ascii_digit();
        digits.then(|| u32::from(high - b'0') * 10 + u32::from(low - b'0'))
    };
    let year = i32::try_from(number(y1, y2)? * 100 + number(y3, y4)?).ok()?;
    let date = NaiveDate::from_ymd_opt(year, number(o1, o2)?, number(d1, d2)?)?;
    let time = date.and_hms_opt(number(h1, h2)?, number(m1, m2)?, number(s1, s2)?)?;
    Some(time.and_utc())
}

fn invalid(offset: usize, expected: &'static str) -> json::Error {
    json::Error { offset, problem: Problem::Invalid(expected) }
}

/// Writes a path as `involvedObject.kind`; what stands in the metadata is a key and no field, so
/// `metadata["revision"]`.
fn render(steps: &[Step<'_>]) -> String {
    let mut path = String::new();
    for step in steps {
        match step {
            Step::Element(index) => path.push_str(&format!("[{index}]")),
            Step::Field(name) if is_field(name) && path != "metadata" => {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(name);
            }
            Step::Field(name) => path.push_str(&format!("[\"{}\"]", shorten(name))),
        }
    }
    path
}

fn is_field(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn owned(text: Cow<'_, str>) -> Cow<'static, str> {
    Cow::Owned(text.into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::json::tests::BODIES;

    const SMALL: &str = r#"{"involvedObject":{"kind":"K","name":"n"},"severity":"info","timestamp":"2026-11-23T13:03:46Z","message":"","reason":"","reportingController":""}"#;

    #[test]
    fn real_bodies_are_read_and_written_alike() {
        for body in BODIES {
            let event = parse(body).unwrap();
            assert_eq!(event.involved_object.kind, "Kustomization");
            assert_eq!(event.timestamp.date_naive().to_string(), "2026-11-23");
            assert!(matches!(event.reason, Cow::Borrowed(_)));
            // Go escapes these two where we do not.
            let written = serde_json::to_string(&event).unwrap();
            assert_eq!(written.replace('<', "\\u003c").replace('>', "\\u003e"), body);
            assert_eq!(event.clone().into_owned(), event);
        }
        assert_eq!(serde_json::to_string(&parse(SMALL).unwrap()).unwrap(), SMALL);
    }

    #[test]
    fn every_field_is_in_its_place() {
        let event = parse(
            r#" {"future": [1, {"x": null}], "reportingInstance": "ri", "reportingController": "rc",
            "metadata": {"b": "2", "a": "1", "b": "3"}, "reason": "r", "message": "m\n",
            "timestamp": "2026-11-23T14:03:46.5+01:00", "severity": "trace",
            "involvedObject": {"fieldPath": "f", "resourceVersion": "v", "apiVersion": "g/v1",
            "uid": "u", "name": "n", "namespace": "ns", "kind": "K", "future": -1e3},
            "action": "Apply", "relatedObject": {"name": "s", "kind": "GitRepository", "uid": "su"}} "#,
        )
        .unwrap();
        let written = serde_json::to_string(&event).unwrap();
        assert_eq!(
            written,
            r#"{"involvedObject":{"kind":"K","namespace":"ns","name":"n","uid":"u","apiVersion":"g/v1","resourceVersion":"v","fieldPath":"f"},"relatedObject":{"kind":"GitRepository","name":"s","uid":"su"},"severity":"trace","timestamp":"2026-11-23T13:03:46.500Z","message":"m\n","reason":"r","action":"Apply","metadata":{"a":"1","b":"3"},"reportingController":"rc","reportingInstance":"ri"}"#,
        );
        assert_eq!(parse(&written).unwrap(), event);
    }

    #[test]
    fn absent_and_null_metadata_are_empty() {
        assert!(parse(SMALL).unwrap().metadata.is_empty());
        assert_eq!(parse(&with("\"metadata\":null")), parse(SMALL));
    }

    #[test]
    fn a_null_related_object_is_none() {
        assert_eq!(parse(&with("\"relatedObject\":null")), parse(SMALL));
    }

    #[test]
    fn the_last_of_several_fields_counts() {
        let twice = SMALL.replace(r#""reason":"""#, r#""reason":"a","reason":"b""#);
        assert_eq!(parse(&twice).unwrap().reason, "b");
    }

    #[test]
    fn metadata_is_found_under_the_most_trusted_key() {
        let look = |api_version: &'static str, metadata: &[(&'static str, &'static str)]| {
            let mut event = parse(SMALL).unwrap().into_owned();
            event.involved_object.api_version = api_version.into();
            event.metadata = metadata.iter().copied().collect();
            event.metadata("revision").map(str::to_owned)
        };
        let own = ("kustomize.toolkit.fluxcd.io/revision", "own");
        let bare = ("revision", "bare");
        let annotation = ("event.toolkit.fluxcd.io/revision", "annotation");
        let other = ("helm.toolkit.fluxcd.io/revision", "other");
        let similar = ("xrevision", "similar");
        for version in ["kustomize.toolkit.fluxcd.io/v1", "kustomize.toolkit.fluxcd.io/v2", ""] {
            let find = |metadata: &[_]| look(version, metadata);
            assert_eq!(find(&[annotation, bare, own, similar]).as_deref(), Some("own"));
            assert_eq!(find(&[annotation, bare, similar]).as_deref(), Some("bare"));
            assert_eq!(find(&[annotation, similar]).as_deref(), Some("annotation"));
            assert_eq!(find(&[similar, ("/revision", "x"), ("x/revision", "x")]), None);
            assert_eq!(find(&[]), None);
        }
        assert_eq!(look("kustomize.toolkit.fluxcd.io/v1", &[other]), None);
        assert_eq!(look("v1", &[other, own]), None);
        assert_eq!(look("", &[bare, other]).as_deref(), Some("other"));
        assert_eq!(look("", &[("example.com/revision", "x"), bare]).as_deref(), Some("bare"));
    }

    #[test]
    fn errors_say_what_is_wrong_and_where() {
        let check = |old: &str, new: &str, code: &str, path: &str| {
            let body = SMALL.replacen(old, new, 1);
            assert_ne!(body, SMALL, "{old}");
            let error = parse(&body).unwrap_err();
            assert_eq!((error.code(), error.path()), (code, path), "{error}");
            assert_eq!((error.line(), error.column()), (1, error.offset() + 1), "{error}");
        };
        let (missing, invalid) = ("event.missing_field", "event.invalid_field");
        check("\"kind\":\"K\",", "", missing, "involvedObject.kind");
        check("\"name\"", "\"Name\"", missing, "involvedObject.name");
        check("involvedObject", "object", missing, "involvedObject");
        check("severity", "severe", missing, "severity");
        check("timestamp", "time", missing, "timestamp");
        check("message", "text", missing, "message");
        check("reason", "why", missing, "reason");
        check("\"K\"", "\"\"", invalid, "involvedObject.kind");
        check("\"n\"", "null", invalid, "involvedObject.name");
        check("{\"kind\":\"K\",\"name\":\"n\"}", "[]", invalid, "involvedObject");
        check("\"info\"", "\"warning\"", invalid, "severity");
        check("\"2026-11-23T13:03:46Z\"", "null", invalid, "timestamp");
        check("2026-11-23T", "2026-02-30T", invalid, "timestamp");
        check("\"reason\":\"\"", "\"reason\":[[\"a\"]]", invalid, "reason");
        check("\"reason\":\"\"", "\"reason\":\"", "event.malformed", "reason");
        check("\"reason\":\"\"", "\"reason\":", "event.malformed", "reason");

        let check = |field: &str, code: &str, path: &str| {
            check("\"reason\"", &format!("{field},\"reason\""), code, path);
        };
        check(r#""metadata":{"revision":1}"#, invalid, r#"metadata["revision"]"#);
        check(r#""metadata":{"a b":{}}"#, invalid, r#"metadata["a b"]"#);
        check(r#""metadata":7"#, invalid, "metadata");
        check(r#""action":null"#, invalid, "action");
        check(r#""relatedObject":"s""#, invalid, "relatedObject");
        check(r#""relatedObject":{"kind":"GitRepository"}"#, missing, "relatedObject.name");
        check(r#""x":{"y":[0,01]}"#, "event.malformed", "x.y[1]");

        let code = |body: &[u8]| Event::parse(body).unwrap_err().code();
        assert_eq!(code(b""), "event.malformed");
        assert_eq!(code(b"\xef\xbb\xbf{}"), "event.malformed");
        assert_eq!(code(b"[]"), "event.invalid_field");
        assert_eq!(code(b"{}"), "event.missing_field");
        assert_eq!(code(format!("{SMALL}{SMALL}").as_bytes()), "event.malformed");
    }

    #[test]
    fn messages_can_be_read_by_people() {
        let message = |old: &str, new: &str| {
            let body = SMALL.replacen(old, new, 1);
            parse(&body).unwrap_err().to_string()
        };
        assert_eq!(
            message("\"info\"", "\n\"war\\nning\""),
            "the event has `war\\nning` at line 2, column 1 (`severity`), where `trace`, `info` or \
             `error` should stand"
        );
        assert_eq!(
            message("\"n\"", "\"\""),
            "the event has an empty string at line 1, column 38 (`involvedObject.name`), where a \
             text that is not empty should stand"
        );
        assert_eq!(
            message(",\"severity\"", "\"severity\""),
            "the event is not JSON at line 1, column 42 (`involvedObject`): `,` or `}` should \
             stand there"
        );
        assert_eq!(
            message("\"kind\":\"K\",", ""),
            "the event lacks the field at line 1, column 19 (`involvedObject.kind`): send what \
             notification-controller posts"
        );
    }

    #[test]
    fn limits_hold() {
        let code = |body: &str| parse(body).map_or_else(|error| error.code(), |_| "");
        let padded = |length: usize| format!("{SMALL}{}", " ".repeat(length - SMALL.len()));
        assert_eq!(code(&padded(MAX_BODY_BYTES)), "");
        assert_eq!(code(&padded(MAX_BODY_BYTES + 1)), "event.too_large");

        let nested = |depth| with(&format!("\"x\":{}{}", "[".repeat(depth), "]".repeat(depth)));
        assert_eq!(code(&nested(MAX_DEPTH - 1)), "");
        assert_eq!(code(&nested(MAX_DEPTH)), "event.too_deep");
        assert_eq!(code(&nested(1_000_000)), "event.too_deep");

        let metadata = |count| {
            let entries: Vec<String> = (0..count).map(|key| format!("\"k{key}\":\"\"")).collect();
            with(&format!("\"metadata\":{{{}}}", entries.join(",")))
        };
        let full = metadata(MAX_METADATA_ENTRIES);
        let event = parse(&full).unwrap();
        assert_eq!(event.metadata.len(), MAX_METADATA_ENTRIES);
        assert!(event.metadata.iter().is_sorted());
        assert_eq!(code(&metadata(MAX_METADATA_ENTRIES + 1)), "event.too_many_metadata");
    }

    #[test]
    fn what_is_not_utf8_is_told_with_its_place() {
        let start = r#"{"involvedObject":{"name":"#;
        let body = [start.as_bytes(), "\n \"ä".as_bytes(), b"\xff\"}}"].concat();
        let error = Event::parse(&body).unwrap_err();
        assert_eq!((error.code(), error.path()), ("event.not_utf8", "involvedObject.name"));
        assert_eq!((error.line(), error.column(), error.offset()), (2, 4, start.len() + 5));
        // What stands before was not read yet: it must not cost much, whatever it is.
        let mut brackets = vec![b'['; 100_000];
        brackets.push(0xff);
        assert!(Event::parse(&brackets).unwrap_err().to_string().len() < 1_000);
    }

    #[test]
    fn times_of_every_form_are_read() {
        let read = |text: &str| {
            let body = SMALL.replacen("2026-11-23T13:03:46Z", text, 1);
            parse(&body).ok().map(|event| event.timestamp.to_rfc3339())
        };
        for (text, expected) in [
            ("2022-09-30T06:40:29Z", "2022-09-30T06:40:29+00:00"),
            ("2022-09-30T06:40:29.25Z", "2022-09-30T06:40:29.250+00:00"),
            ("2022-09-30T06:40:29+02:00", "2022-09-30T04:40:29+00:00"),
            ("2024-02-29T23:59:59Z", "2024-02-29T23:59:59+00:00"),
        ] {
            assert_eq!(read(text).as_deref(), Some(expected));
        }
        for text in ["", "2022-09-30", "2023-02-29T00:00:00Z", "2022-09-30T24:00:00Z", "0"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_fast_way_to_read_a_time_agrees_with_chrono(
            text in "[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9]Z",
        ) {
            let read = DateTime::parse_from_rfc3339(&text).ok();
            // A leap second is chrono's.
            let read = read.map(|time| time.to_utc()).filter(|_| !text.ends_with(":60Z"));
            prop_assert_eq!(parse_whole_seconds(&text), read);
        }

        #[test]
        fn events_survive_writing_and_reading(texts in prop::collection::vec(any::<String>(), 10)) {
            let mut event = parse(SMALL).unwrap().into_owned();
            let [message, reason, uid, path, key, value, controller, instance, action, version] =
                <[String; 10]>::try_from(texts).unwrap();
            let source = InvolvedObject { resource_version: version.into(), ..event.involved_object.clone() };
            (event.action, event.related_object) = (action.into(), Some(source));
            event.involved_object.uid = uid.into();
            event.involved_object.field_path = path.into();
            (event.message, event.reason) = (message.into(), reason.into());
            event.metadata = [(key, value)].into_iter().collect();
            event.reporting_controller = controller.into();
            event.reporting_instance = instance.into();
            let written = serde_json::to_vec(&event).unwrap();
            prop_assert_eq!(Event::parse(&written), Ok(event));
        }

        #[test]
        fn nothing_panics_and_every_error_lies_within_the_body(
            body in prop::sample::select(&BODIES[..]),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
            length in any::<prop::sample::Index>(),
        ) {
            let mut body = body.as_bytes().to_vec();
            for (position, byte) in changes {
                let position = position.index(body.len());
                body[position] = byte;
            }
            for body in [&body[..], &body[..length.index(body.len())]] {
                if let Err(error) = Event::parse(body) {
                    prop_assert!(error.offset() <= body.len());
                    prop_assert!(error.line() > 0 && error.column() > 0);
                }
            }
        }
    }

    fn parse(body: &str) -> Result<Event<'_>, ParseError> {
        Event::parse(body.as_bytes())
    }

    /// The small event with one field more.
    fn with(field: &str) -> String {
        SMALL.replacen("\"reason\"", &format!("{field},\"reason\""), 1)
    }
}
