//! Durations in text, as Go and Flux write them: `30m`, `1h30m`, `90d`.

use std::{fmt::Write as _, time::Duration};

use serde::{Deserialize, Deserializer, Serializer, de};

/// The longest duration that is accepted: ten years. Longer ones are typing mistakes, and adding
/// them to a time could overflow.
const MAX: Duration = Duration::from_hours(10 * 365 * 24);

/// A text that is no duration.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "`{text}` is not a duration: write a number with a unit, as `30s`, `15m`, `1h30m` or `90d`"
)]
pub struct DurationError {
    text: String,
}

impl DurationError {
    /// The stable code, `duration.malformed`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        "duration.malformed"
    }
}

/// Reads a duration in text: one or more whole numbers, each with a unit of `ms`, `s`, `m`, `h` or
/// `d`, at most ten years.
///
/// ```
/// use std::time::Duration;
///
/// assert_eq!(gitops_brain::parse_duration("1h30m")?, Duration::from_secs(5400));
/// assert!(gitops_brain::parse_duration("30").is_err());
/// # Ok::<(), gitops_brain::DurationError>(())
/// ```
///
/// # Errors
///
/// If the text is of another form.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    parse(text).ok_or_else(|| DurationError { text: crate::names::shorten(text) })
}

/// Writes a duration as [`parse_duration`] reads it.
#[must_use]
pub fn format_duration(duration: Duration) -> String {
    let mut rest = duration.as_millis();
    let mut text = String::new();
    for (unit, size) in [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)] {
        if rest >= size {
            // Writing to a String cannot fail.
            let _ = write!(text, "{}{unit}", rest / size);
            rest %= size;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

fn parse(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() || text.is_empty() {
        let (number, unit, tail) = split_part(rest)?;
        let milliseconds: u64 = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        let number: u64 = number.parse().ok()?;
        total = total.checked_add(Duration::from_millis(number.checked_mul(milliseconds)?))?;
        rest = tail;
    }
    (total <= MAX).then_some(total)
}

/// The first number of a duration, its unit, and what follows.
fn split_part(text: &str) -> Option<(&str, &str, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, rest) = text.split_at_checked(end)?;
    let end = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
    let (unit, rest) = rest.split_at_checked(end)?;
    Some((number, unit, rest))
}

/// The whole seconds of a duration that Go wrote (`time.Duration.String`), as `1m2.5s` or `342.1ms`; what
/// follows it is not read.
pub(crate) fn seconds_of_go(text: &str) -> Option<u32> {
    let end = text.find([',', ' ']).unwrap_or(text.len());
    let mut rest = text.get(..end)?;
    let mut seconds: u32 = 0;
    while !rest.is_empty() {
        let (number, unit, tail) = split_part(rest)?;
        let size = match unit {
            "h" => 3600,
            "m" => 60,
            "s" => 1,
            "ms" | "µs" | "ns" => 0,
            _ => return None,
        };
        let whole: u32 = number.split('.').next()?.parse().ok()?;
        seconds = seconds.checked_add(whole.checked_mul(size)?)?;
        rest = tail;
    }
    (end > 0).then_some(seconds)
}

pub(crate) fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format_duration(*value))
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Duration, D::Error> {
    let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
    parse_duration(&text).map_err(de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_durations_agree() {
        for (text, seconds) in [
            ("0s", 0),
            ("30s", 30),
            ("30m", 1800),
            ("1h30m", 5400),
            ("26h", 93600),
            ("87600h", 315_360_000),
        ] {
            assert_eq!(parse_duration(text).unwrap(), Duration::from_secs(seconds));
            assert_eq!(format_duration(Duration::from_secs(seconds)), text);
        }
        assert_eq!(parse_duration("90d").unwrap(), Duration::from_hours(90 * 24));
        assert_eq!(parse_duration("1s500ms").unwrap(), Duration::from_millis(1500));
        assert_eq!(format_duration(Duration::from_millis(1500)), "1s500ms");
    }

    #[test]
    fn durations_of_go_are_read_in_whole_seconds() {
        for (text, seconds) in [
            ("5.02s", 5),
            ("342.1ms", 0),
            ("1m2.5s, next run in 10m0s", 62),
            ("1h0m0s", 3600),
            ("0s", 0),
        ] {
            assert_eq!(seconds_of_go(text), Some(seconds), "{text}");
        }
        for bad in ["", ", next", "soon", "5", "5w", "99999999999s", "-5s"] {
            assert_eq!(seconds_of_go(bad), None, "{bad}");
        }
    }

    #[test]
    fn other_texts_are_refused() {
        let long = ["99999999999999999999s", "4000d", "3651d"];
        for bad in ["", "30", "m", "-1s", "1.5h", "30 m", "1w"].into_iter().chain(long) {
            let error = parse_duration(bad).unwrap_err();
            assert_eq!(error.code(), "duration.malformed");
            assert!(error.to_string().contains(bad), "{error}");
        }
    }
}
