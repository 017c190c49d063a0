//! How a value is written as a YAML scalar.

use granit_parser::ScalarStyle;

use crate::{
    edit::Edit,
    yaml::{Content, Node, Wrong},
};

/// What readers of YAML 1.1 or 1.2 take a plain scalar for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Type {
    Null,
    Boolean,
    Number,
    Text,
}

/// The edit that gives a scalar a value.
pub(crate) fn set(node: &Node, value: &str) -> Result<Edit, Wrong> {
    match &node.content {
        Content::Scalar { text, style } => match write(value, *style, text) {
            Some(written) if !node.range.is_empty() => {
                Ok(Edit::replace(node.range.clone(), written))
            }
            Some(_) => Err((node.line, "nothing stands there to be replaced".to_owned())),
            None => {
                Err((node.line, "a block of text stands there, and no single value".to_owned()))
            }
        },
        Content::Alias(_) => {
            Err((node.line, "an alias stands there: set the value at its anchor".to_owned()))
        }
        _ => Err((node.line, format!("{} stands there, and no single value", node.kind()))),
    }
}

/// The value in the style that stood there before, or in double quotes where that would make
/// something else of it. `None` for a block scalar.
fn write(value: &str, style: ScalarStyle, before: &str) -> Option<String> {
    match style {
        ScalarStyle::Plain => Some(plain(value, before)),
        ScalarStyle::SingleQuoted => Some(format!("'{}'", value.replace('\'', "''"))),
        ScalarStyle::DoubleQuoted => Some(double_quoted(value)),
        _ => None,
    }
}

/// A value where none stood before.
pub(crate) fn text(value: &str) -> String {
    plain(value, "text")
}

fn plain(value: &str, before: &str) -> String {
    // A number in a number's place stays one; a tag that looks like one stays text.
    let keeps_type = (is_number(before) && is_number(value))
        || (type_of(before) == Type::Boolean && type_of(value) == Type::Boolean);
    if keeps_type || (is_plain(value) && type_of(value) == Type::Text) {
        value.to_owned()
    } else {
        double_quoted(value)
    }
}

fn is_number(text: &str) -> bool {
    type_of(text) == Type::Number && text.parse::<f64>().is_ok()
}

fn double_quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Whether a text can stand without quotes, in block and in flow style alike.
fn is_plain(value: &str) -> bool {
    let first = value.chars().next();
    let begins_well = first.is_some_and(|c| c.is_alphanumeric() || matches!(c, '/' | '.' | '_'));
    let is_harmless =
        |c: char| !c.is_control() && !matches!(c, ',' | '[' | ']' | '{' | '}' | '"' | '\'' | '`');
    begins_well
        && value.chars().all(is_harmless)
        && !value.ends_with([':', ' '])
        && !value.contains(": ")
        && !value.contains(" #")
}

/// Errs towards what is no text: quotes around a text harm nobody.
fn type_of(plain: &str) -> Type {
    let lower = plain.to_ascii_lowercase();
    match &*lower {
        "" | "~" | "null" => return Type::Null,
        "true" | "false" | "yes" | "no" | "on" | "off" | "y" | "n" => return Type::Boolean,
        _ => {}
    }
    let unsigned = lower.trim_start_matches(['+', '-']);
    let begins_so = unsigned.starts_with(|c: char| c.is_ascii_digit())
        || matches!(unsigned, ".inf" | ".nan")
        || unsigned
            .strip_prefix('.')
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    // Versions are the one thing with two dots that nothing takes for a number.
    let is_version = unsigned.matches('.').count() > 1 && !unsigned.contains(':');
    // Digits of any base, exponents, base 60, dates and times.
    let goes_on_so = |c: char| c.is_ascii_hexdigit() || "_.:+-xotzinf".contains(c);
    if begins_so && !is_version && unsigned.chars().all(goes_on_so) {
        Type::Number
    } else {
        Type::Text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text_and_numbers_stay_numbers() {
        for (value, before, written) in [
            ("ghcr.io/shop/web:1.4", "ghcr.io/shop/web:1.3", "ghcr.io/shop/web:1.4"),
            ("1.10", "v1.9", "\"1.10\""),
            ("12e4567", "0a1b2c3", "\"12e4567\""),
            ("5", "3", "5"),
            ("five", "3", "five"),
            ("off", "on", "off"),
            ("off", "v1", "\"off\""),
            ("", "v1", "\"\""),
            ("a: b", "v1", "\"a: b\""),
            ("x", "", "x"),
            ("1.0", "", "\"1.0\""),
            ("1.4.0", "1.3.0", "1.4.0"),
            ("1.4", "1.3.0", "\"1.4\""),
            ("2026-11-25", "v1", "\"2026-11-25\""),
        ] {
            assert_eq!(plain(value, before), written, "{value} for {before}");
        }
    }

    #[test]
    fn quotes_stay() {
        assert_eq!(write("it's", ScalarStyle::SingleQuoted, "").unwrap(), "'it''s'");
        assert_eq!(write(r#"a"\b"#, ScalarStyle::DoubleQuoted, "").unwrap(), r#""a\"\\b""#);
        assert_eq!(write("a", ScalarStyle::Literal, ""), None);
    }
}
