//! A pull reader over one JSON document that is already known to be UTF-8.
//!
//! The caller says what it wants next (`object`, `string`, `skip`) and gets it, or an error.
//! Nothing is built that nobody asked for; a string without escapes is a slice of the document. An
//! error carries an offset only: [`line_and_column`] and [`path`] read the document again to find
//! the rest, so that a good document pays nothing for the comfort of a bad one.
//!
//! It accepts what `serde_json` accepts as a `Value`, but for the depth, which the caller sets.

use std::borrow::Cow;

use crate::names::shorten;

/// Reads one document from its beginning to its end.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    text: &'a str,
    position: usize,
    /// How many more objects and arrays may be opened within each other.
    depth: usize,
}

/// What is wrong, and where: a byte offset into the document.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Error {
    pub(crate) offset: usize,
    pub(crate) problem: Problem,
}

/// What is wrong with a document.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Problem {
    /// It is not JSON: something else was expected here.
    Malformed(&'static str),
    /// Objects and arrays are nested too deeply.
    TooDeep,
    /// It is JSON, but the value here is not what its reader expects.
    Invalid(&'static str),
    /// The object here lacks this field.
    Missing(&'static str),
    /// The object here has too many fields.
    TooMany,
}

/// One step of the way from the whole document to a value in it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Step<'a> {
    /// Into the value of an object's field.
    Field(Cow<'a, str>),
    /// Into an element of an array, counted from zero.
    Element(usize),
}

type Result<T> = std::result::Result<T, Error>;

impl<'a> Reader<'a> {
    /// A reader at the beginning of a document, which refuses objects and arrays nested in more
    /// than `depth` levels.
    pub(crate) fn new(text: &'a str, depth: usize) -> Self {
        Self { text, position: 0, depth }
    }

    /// The offset at which the next value begins.
    pub(crate) fn offset(&mut self) -> usize {
        self.peek();
        self.position
    }

    /// Reads an object and hands each key to `field`, which must read its value.
    pub(crate) fn object(
        &mut self,
        mut field: impl FnMut(&mut Self, Cow<'a, str>) -> Result<()>,
    ) -> Result<()> {
        self.open(b'{', "an object")?;
        if !self.take(b'}') {
            loop {
                if self.peek() != Some(b'"') {
                    return Err(self.malformed("a field name in double quotes"));
                }
                let key = self.string()?;
                if !self.take(b':') {
                    return Err(self.malformed("`:`"));
                }
                field(self, key)?;
                if !self.take(b',') {
                    break;
                }
            }
            if !self.take(b'}') {
                return Err(self.malformed("`,` or `}`"));
            }
        }
        self.depth += 1;
        Ok(())
    }

    /// Reads an array and lets `element` read each value.
    pub(crate) fn array(&mut self, mut element: impl FnMut(&mut Self) -> Result<()>) -> Result<()> {
        self.open(b'[', "an array")?;
        if !self.take(b']') {
            loop {
                element(self)?;
                if !self.take(b',') {
                    break;
                }
            }
            if !self.take(b']') {
                return Err(self.malformed("`,` or `]`"));
            }
        }
        self.depth += 1;
        Ok(())
    }

    /// Reads a string: a slice of the document if it has no escapes.
    pub(crate) fn string(&mut self) -> Result<Cow<'a, str>> {
        if !self.take(b'"') {
            return Err(self.unexpected("a string"));
        }
        let start = self.position;
        let end = plain_run(self.text.as_bytes(), start);
        if self.text.as_bytes().get(end) == Some(&b'"') {
            self.position = end + 1;
            return Ok(Cow::Borrowed(self.slice(start, end)));
        }
        self.string_with_escapes(start, end).map(Cow::Owned)
    }

    /// Reads `null` if it comes next; says whether it did.
    pub(crate) fn null(&mut self) -> Result<bool> {
        if self.peek() != Some(b'n') {
            return Ok(false);
        }
        self.literal("null")?;
        Ok(true)
    }

    /// Reads any value and forgets it, but refuses what is not JSON.
    pub(crate) fn skip(&mut self) -> Result<()> {
        match self.peek() {
            Some(b'"') => self.string().map(drop),
            Some(b'{') => self.object(|reader, _key| reader.skip()),
            Some(b'[') => self.array(Self::skip),
            Some(b't') => self.literal("true"),
            Some(b'f') => self.literal("false"),
            Some(b'n') => self.literal("null"),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => Err(self.malformed("a value")),
        }
    }

    /// Checks that nothing follows but white space.
    pub(crate) fn end(&mut self) -> Result<()> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.malformed("the end of the text")),
        }
    }

    /// What the value that comes next is, in words, for an error.
    pub(crate) fn describe(&mut self) -> String {
        match self.peek().and_then(kind) {
            None => "no value".to_owned(),
            Some("a string") => match self.string() {
                Err(_) => "a broken string".to_owned(),
                Ok(text) if text.is_empty() => "an empty string".to_owned(),
                Ok(text) => format!("`{}`", shorten(&text)),
            },
            Some(kind) => kind.to_owned(),
        }
    }

    /// The next byte that is not white space, which it stops before.
    fn peek(&mut self) -> Option<u8> {
        loop {
            match self.text.as_bytes().get(self.position) {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.position += 1,
                next => return next.copied(),
            }
        }
    }

    /// Steps over the next byte that is not white space if it is the one wanted.
    fn take(&mut self, wanted: u8) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.position += 1;
        }
        found
    }

    fn open(&mut self, bracket: u8, expected: &'static str) -> Result<()> {
        if self.peek() != Some(bracket) {
            return Err(self.unexpected(expected));
        }
        self.depth = self.depth.checked_sub(1).ok_or(self.error(Problem::TooDeep))?;
        self.position += 1;
        Ok(())
    }

    /// Reads on where a run without escapes, `start..end`, did not end with a quote.
    ///
    /// Flux has few of these: messages of several lines, and Go writes `<`, `>` and `&` as escapes.
    #[inline(never)]
    fn string_with_escapes(&mut self, mut start: usize, mut end: usize) -> Result<String> {
        let bytes = self.text.as_bytes();
        let mut text = String::with_capacity((end - start + 512).min(bytes.len() - start));
        loop {
            text.push_str(self.slice(start, end));
            self.position = end;
            match bytes.get(end) {
                Some(b'"') => {
                    self.position += 1;
                    return Ok(text);
                }
                Some(b'\\') => text.push(self.escape()?),
                Some(_) => return Err(self.malformed("an escape for this control character")),
                None => return Err(self.malformed("the closing `\"` of a string")),
            }
            start = self.position;
            end = plain_run(bytes, start);
        }
    }

    /// Reads one escape, from its backslash on.
    fn escape(&mut self) -> Result<char> {
        let character = match self.text.as_bytes().get(self.position + 1) {
            Some(plain @ (b'"' | b'\\' | b'/')) => char::from(*plain),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape(),
            _ => {
                return Err(
                    self.malformed("one of the escapes `\\\" \\\\ \\/ \\b \\f \\n \\r \\t \\u`")
                );
            }
        };
        self.position += 2;
        Ok(character)
    }

    /// Reads `\uXXXX`, or two of them that make one character together.
    fn unicode_escape(&mut self) -> Result<char> {
        let first = self.hex_at(self.position)?;
        let (code, length) = if (0xD800..0xDC00).contains(&first) {
            let second = self.hex_at(self.position + 6).unwrap_or_default();
            if !(0xDC00..0xE000).contains(&second) {
                return Err(self.malformed("the other half of a surrogate pair after this one"));
            }
            (0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00), 12)
        } else {
            (first, 6)
        };
        let character = char::from_u32(code)
            .ok_or(self.malformed("the first half of a surrogate pair before this one"))?;
        self.position += length;
        Ok(character)
    }

    /// The number in `\uXXXX` at an offset.
    fn hex_at(&self, offset: usize) -> Result<u32> {
        let expected = || self.malformed("`\\u` and four hexadecimal digits");
        let escape = self.text.as_bytes().get(offset..).and_then(<[u8]>::first_chunk);
        let Some([b'\\', b'u', digits @ ..]) = escape as Option<&[u8; 6]> else {
            return Err(expected());
        };
        digits.iter().try_fold(0, |number, digit| {
            let digit = char::from(*digit).to_digit(16).ok_or_else(expected)?;
            Ok(number << 4 | digit)
        })
    }

    fn literal(&mut self, word: &'static str) -> Result<()> {
        let end = self.position + word.len();
        if self.text.as_bytes().get(self.position..end) != Some(word.as_bytes()) {
            return Err(self.malformed("`true`, `false` or `null`"));
        }
        self.position = end;
        Ok(())
    }

    /// Reads a number; as `serde_json` does, it refuses one that no 64-bit float can hold.
    fn number(&mut self) -> Result<()> {
        let start = self.position;
        self.position += usize::from(self.at(b'-'));
        if self.at(b'0') {
            self.position += 1;
        } else {
            self.digits()?;
        }
        if self.at(b'.') {
            self.position += 1;
            self.digits()?;
        }
        let has_exponent = self.at(b'e') || self.at(b'E');
        if has_exponent {
            self.position += 1;
            self.position += usize::from(self.at(b'+') || self.at(b'-'));
            self.digits()?;
        }
        // The largest float has 309 digits: anything shorter, without an exponent, is in range.
        if has_exponent || self.position - start >= 309 {
            let number = self.slice(start, self.position).parse::<f64>();
            if !number.is_ok_and(f64::is_finite) {
                self.position = start;
                return Err(self.malformed("a number within the range of 64-bit floats"));
            }
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<()> {
        let rest = self.text.as_bytes().get(self.position..).unwrap_or_default();
        match rest.iter().take_while(|byte| byte.is_ascii_digit()).count() {
            0 => Err(self.malformed("a digit")),
            count => {
                self.position += count;
                Ok(())
            }
        }
    }

    fn at(&self, byte: u8) -> bool {
        self.text.as_bytes().get(self.position) == Some(&byte)
    }

    /// The text between two offsets that stand beside ASCII characters, so within no other.
    fn slice(&self, start: usize, end: usize) -> &'a str {
        self.text.get(start..end).unwrap_or_default()
    }

    /// The error where the next value is of the wrong type, or is no value at all.
    #[cold]
    fn unexpected(&mut self, expected: &'static str) -> Error {
        match self.peek().and_then(kind) {
            Some(_) => self.error(Problem::Invalid(expected)),
            None => self.malformed("a value"),
        }
    }

    #[cold]
    fn malformed(&self, expected: &'static str) -> Error {
        self.error(Problem::Malformed(expected))
    }

    fn error(&self, problem: Problem) -> Error {
        Error { offset: self.position, problem }
    }
}

/// The line and the column, in characters, of an offset; both are counted from one.
pub(crate) fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.rsplit('\n').next().unwrap_or_default();
    (before.matches('\n').count() + 1, line.chars().count() + 1)
}

/// The way to the value that begins at an offset or has it within, in at most `depth` steps.
///
/// What stands before the offset should be JSON: it was read without an error. If it is not, the
/// way leads as far as can be told.
pub(crate) fn path(text: &str, offset: usize, depth: usize) -> Vec<Step<'_>> {
    let mut reader = Reader::new(text, depth);
    // Of each object or array around the position, where in it: `None` is before a key.
    let mut steps: Vec<Option<Step<'_>>> = Vec::new();
    while let Some(byte) = reader.peek()
        && reader.position < offset
    {
        if byte == b'"' {
            let Ok(text) = reader.string() else { break };
            if let Some(step) = steps.last_mut()
                && step.is_none()
                && reader.position <= offset
            {
                *step = Some(Step::Field(text));
            }
            continue;
        }
        reader.position += 1;
        match byte {
            b'{' | b'[' if steps.len() == depth => break,
            b'{' => steps.push(None),
            b'[' => steps.push(Some(Step::Element(0))),
            b'}' | b']' => drop(steps.pop()),
            b',' => match steps.last_mut() {
                Some(Some(Step::Element(index))) => *index += 1,
                Some(step) => *step = None,
                None => {}
            },
            _ => {}
        }
    }
    steps.into_iter().flatten().collect()
}

/// What kind of value begins with this byte.
fn kind(byte: u8) -> Option<&'static str> {
    match byte {
        b'"' => Some("a string"),
        b'{' => Some("an object"),
        b'[' => Some("an array"),
        b't' | b'f' => Some("a boolean"),
        b'n' => Some("null"),
        b'-' | b'0'..=b'9' => Some("a number"),
        _ => None,
    }
}

/// The offset of the first byte at or after `start` that does not stand for itself in a string: a
/// quote, a backslash or a control character; or the end of the document.
///
/// Eight bytes at a time: see "Determine if a word has a byte less than n" in Anderson's *Bit
/// Twiddling Hacks*. Only the lowest mark is exact, and it is the only one used.
#[inline]
fn plain_run(bytes: &[u8], start: usize) -> usize {
    const ONES: u64 = u64::MAX / 255;
    const HIGH_BITS: u64 = ONES * 0x80;
    const QUOTES: u64 = ONES * b'"' as u64;
    const BACKSLASHES: u64 = ONES * b'\\' as u64;
    const SPACES: u64 = ONES * b' ' as u64;

    let mut rest = bytes.get(start..).unwrap_or_default();
    while let Some((chunk, tail)) = rest.split_first_chunk() {
        let word = u64::from_le_bytes(*chunk);
        let quotes = word ^ QUOTES;
        let backslashes = word ^ BACKSLASHES;
        let marks = (word.wrapping_sub(SPACES) & !word)
            | (quotes.wrapping_sub(ONES) & !quotes)
            | (backslashes.wrapping_sub(ONES) & !backslashes);
        let marks = marks & HIGH_BITS;
        if marks != 0 {
            return bytes.len() - rest.len() + (marks.trailing_zeros() / 8) as usize;
        }
        rest = tail;
    }
    let is_special = |byte: &u8| matches!(byte, b'"' | b'\\' | ..b' ');
    let run = rest.iter().position(is_special).unwrap_or(rest.len());
    bytes.len() - rest.len() + run
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    /// Bodies that notification-controller 1.9.3 sent: an ordinary one, one with escapes, and one
    /// of an object with many annotations.
    pub(crate) const BODIES: [&str; 3] = [
        r#"{"involvedObject":{"kind":"Kustomization","namespace":"flux-system","name":"app","uid":"09403fe4-7b5b-4693-a590-787cc75ef071","apiVersion":"kustomize.toolkit.fluxcd.io/v1","resourceVersion":"360"},"severity":"info","timestamp":"2026-11-23T13:03:46Z","message":"ConfigMap/default/app-config configured","reason":"Progressing","metadata":{"revision":"main@sha1:bb5a1aa5ef1ca2a56b1ff0129aae58dad3323d00"},"reportingController":"kustomize-controller","reportingInstance":"vm"}"#,
        r#"{"involvedObject":{"kind":"Kustomization","namespace":"h2","name":"bad","uid":"8640060c-03bb-439d-b62b-702f44e0e894","apiVersion":"kustomize.toolkit.fluxcd.io/v1","resourceVersion":"3399"},"severity":"error","timestamp":"2026-11-23T13:39:13Z","message":"Reconciliation failed terminally due to configuration error: failed to create custom status evaluator for healthchecks[0]: failed to parse the expression Current: failed to parse the CEL expression 'data.(': ERROR: \u003cinput\u003e:1:6: Syntax error: no viable alternative at input '.('\n | data.(\n | .....^","reason":"InvalidCELExpression","metadata":{"commit_status":"update","revision":"main@sha1:5faf24c172dbba67e5ba4921702f5bf60a214549"},"reportingController":"kustomize-controller","reportingInstance":"vm"}"#,
        r#"{"involvedObject":{"kind":"Kustomization","namespace":"h","name":"app","uid":"7b96dac2-79f1-4a8d-8519-98b917d529c2","apiVersion":"kustomize.toolkit.fluxcd.io/v1","resourceVersion":"2110"},"severity":"error","timestamp":"2026-11-23T13:36:49Z","message":"health check failed after 30.050440869s: timeout waiting for: [Deployment/h/app status: 'InProgress']","reason":"HealthCheckFailed","metadata":{"UPPER":"u","change_request":"7","cluster":"prod","commit":"deadbeefdeadbeefdeadbeefdeadbeefdeadbeef","commit_status":"update","env":"prod","originRevision":"main@sha1:4c328b4f6aa92bcf66991eeafdb15c11b64dc360","reason":"ReconciliationSucceeded","revision":"main@sha1:83a197d47669c2f2c64f0d9f436c98d21251cde6","token":"spoofed"},"reportingController":"kustomize-controller","reportingInstance":"vm"}"#,
    ];

    /// The pieces that random documents are put together from.
    const PIECES: [&str; 52] = [
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        " ",
        "\n",
        "\t",
        "\r",
        "{\"a\":",
        "\"a\"",
        "\"\"",
        "[]",
        "{}",
        "null",
        "true",
        "false",
        "nul",
        "-",
        "0",
        "1",
        "12",
        "9",
        ".",
        ".5",
        "e",
        "E+",
        "e-2",
        "e309",
        "1e308",
        "2e+3",
        "2E-3",
        "\\",
        "\\n",
        "\\/",
        "\\x",
        "\\u",
        "\\u00e4",
        "\\uD83D",
        "\\uDE00",
        "\\ud83d\\ude00",
        "\\u12",
        "ä",
        "😀",
        "\u{0}",
        "\u{1f}",
        "\u{7f}",
        "\u{feff}",
        "x",
        "12345678",
    ];

    /// As deep as `serde_json` goes, so that the two can be compared.
    const SERDE_DEPTH: usize = 127;

    #[test]
    fn strings_without_escapes_are_slices() {
        let text = r#"{"plain ä":"value","esc\u0061ped":"\ud83d\ude00 \"\\\/\b\f\n\r\t"}"#;
        let mut fields = Vec::new();
        Reader::new(text, 1)
            .object(|reader, key| {
                fields.push((key, reader.string()?));
                Ok(())
            })
            .unwrap();
        assert!(matches!(&fields[0], (Cow::Borrowed("plain ä"), Cow::Borrowed("value"))));
        assert_eq!(fields[1].0, "escaped");
        assert_eq!(fields[1].1, "😀 \"\\/\u{8}\u{c}\n\r\t");
    }

    #[test]
    fn every_special_byte_is_found_at_every_distance() {
        for special in 0..=u8::MAX {
            let is_special = matches!(special, b'"' | b'\\' | ..b' ');
            for distance in 0..40 {
                let mut bytes = vec![0xC3; distance];
                bytes.push(special);
                bytes.extend([b'!', b'"', b'\\', 0]);
                let expected = if is_special { distance } else { distance + 2 };
                assert_eq!(plain_run(&bytes, 0), expected, "{special} {distance}");
                assert_eq!(plain_run(&bytes, distance), expected, "{special} {distance}");
            }
        }
        assert_eq!((plain_run(b"abc", 1), plain_run(b"", 0), plain_run(b"a", 9)), (3, 0, 1));
    }

    #[test]
    fn depth_is_limited() {
        let nested = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let read = |depth| Reader::new(&nested(depth), 32).skip();
        assert_eq!(read(32), Ok(()));
        assert_eq!(read(33), Err(Error { offset: 32, problem: Problem::TooDeep }));
        // What was closed again does not count.
        assert_eq!(Reader::new("[[],{},[{}],[[]]]", 3).skip(), Ok(()));
    }

    #[test]
    fn errors_tell_where() {
        let check = |text: &str, offset, expected| {
            let error = read(text).unwrap_err();
            assert_eq!(error, Error { offset, problem: Problem::Malformed(expected) }, "{text}");
        };
        check("", 0, "a value");
        check(" {\"a\" 1}", 6, "`:`");
        check("{\"a\":1 \"b\":2}", 7, "`,` or `}`");
        check("{\"a\":1,}", 7, "a field name in double quotes");
        check("[1 2]", 3, "`,` or `]`");
        check("[1,]", 3, "a value");
        check("{} x", 3, "the end of the text");
        check("[tru]", 1, "`true`, `false` or `null`");
        check("\"ab", 3, "the closing `\"` of a string");
        check("\"a\nb\"", 2, "an escape for this control character");
        check("\"\\ud83d\"", 1, "the other half of a surrogate pair after this one");
        check("\"\\ude00\"", 1, "the first half of a surrogate pair before this one");
        check("\"\\u12g4\"", 1, "`\\u` and four hexadecimal digits");
        check("[-]", 2, "a digit");
        check("01", 1, "the end of the text");
        check("[1e999]", 1, "a number within the range of 64-bit floats");
    }

    #[test]
    fn numbers_have_the_forms_that_serde_json_takes() {
        for number in [
            "0", "-0", "12", "-12", "1.5", "1.", ".5", "-.5", "01", "-", "+1", "0x1", "1e5", "1E5",
            "1e+5", "1e-5", "1E-5", "1e", "1e+", "1e+-5", "e5", "1.5e5", "1.e5", "1e308", "1e309",
            "-1e309",
        ] {
            compare(number);
            compare(&format!("[{number}]"));
        }
        // As long as the largest float, and longer.
        for digits in [308, 309, 310] {
            compare(&"1".repeat(digits));
            compare(&"2".repeat(digits));
            compare(&format!("0.{}", "1".repeat(digits)));
        }
    }

    #[test]
    fn lines_and_columns_count_characters() {
        let text = "ab\n😀\"x";
        let at = |offset| line_and_column(text, offset);
        assert_eq!((at(0), at(2), at(3), at(7)), ((1, 1), (1, 3), (2, 1), (2, 2)));
    }

    #[test]
    fn paths_lead_to_the_value_at_an_offset() {
        let text = r#"{"a":{"b\n":[1,{"c":2}]},"d":[[],"x,y"],"e":{}}"#;
        let field = |name: &'static str| Step::Field(Cow::Borrowed(name));
        let at = |wanted| path(text, text.find(wanted).unwrap(), 9);
        assert_eq!(at("{"), []);
        assert_eq!(at("\"a"), []);
        assert_eq!(at("{\"b"), [field("a")]);
        assert_eq!(at("1"), [field("a"), field("b\n"), Step::Element(0)]);
        assert_eq!(at("2"), [field("a"), field("b\n"), Step::Element(1), field("c")]);
        assert_eq!(at("x"), [field("d"), Step::Element(1)]);
        assert_eq!(at("y"), [field("d"), Step::Element(1)]);
        assert_eq!(at("{}}"), [field("e")]);
        assert_eq!(path(text, text.len(), 9), []);
        assert_eq!(path(&"[".repeat(1000), 1000, 9).len(), 9);
    }

    #[test]
    fn it_agrees_with_serde_json_on_mutated_bodies() {
        let mut random = 0x9E37_79B9_7F4A_7C15_u64;
        let mut next = |bound: usize| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            usize::try_from(random >> 33).unwrap() % bound
        };
        for round in 0..6_000 {
            let mut body = BODIES[round % BODIES.len()].to_owned();
            for _ in 0..=next(2) {
                let start = (0..=next(body.len())).rev().find(|at| body.is_char_boundary(*at));
                let start = start.unwrap();
                let end = (start + next(3)).min(body.len());
                if body.is_char_boundary(end) {
                    body.replace_range(start..end, PIECES[next(PIECES.len())]);
                }
            }
            compare(&body);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn it_agrees_with_serde_json_on_random_pieces(
            pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..12),
        ) {
            let text = pieces.concat();
            compare(&text);
            compare(&format!("\"{text}\""));
            compare(&format!("[{text}]"));
        }

        #[test]
        fn it_agrees_with_serde_json_on_any_text(text in any::<String>()) {
            compare(&text);
            compare(&format!("\"{text}\""));
            compare(&serde_json::to_string(&text).unwrap());
        }
    }

    fn compare(text: &str) {
        let theirs = serde_json::from_str::<Value>(text).ok().map(without_scalars);
        let ours = read(text);
        if let Err(error) = ours {
            assert!(error.offset <= text.len());
            line_and_column(text, error.offset);
            path(text, error.offset, SERDE_DEPTH);
        }
        assert_eq!(ours.ok(), theirs, "{text:?}");
        let mut reader = Reader::new(text, SERDE_DEPTH);
        let skipped = reader.skip().and_then(|()| reader.end());
        assert_eq!(skipped.is_ok(), read(text).is_ok(), "{text:?}");
    }

    fn read(text: &str) -> Result<Value> {
        let mut reader = Reader::new(text, SERDE_DEPTH);
        let value = value(&mut reader)?;
        reader.end()?;
        Ok(value)
    }

    fn value(reader: &mut Reader<'_>) -> Result<Value> {
        match reader.peek() {
            Some(b'"') => Ok(reader.string()?.into()),
            Some(b'{') => {
                let mut fields = BTreeMap::new();
                reader.object(|reader, key| {
                    fields.insert(key.into_owned(), value(reader)?);
                    Ok(())
                })?;
                Ok(Value::Object(fields.into_iter().collect()))
            }
            Some(b'[') => {
                let mut elements = Vec::new();
                reader.array(|reader| {
                    elements.push(value(reader)?);
                    Ok(())
                })?;
                Ok(elements.into())
            }
            _ => reader.skip().map(|()| Value::Null),
        }
    }

    /// The reader does not tell numbers, booleans and nulls apart.
    fn without_scalars(value: Value) -> Value {
        match value {
            Value::Array(elements) => elements.into_iter().map(without_scalars).collect(),
            Value::Object(fields) => {
                fields.into_iter().map(|(key, value)| (key, without_scalars(value))).collect()
            }
            Value::String(_) => value,
            _ => Value::Null,
        }
    }
}
