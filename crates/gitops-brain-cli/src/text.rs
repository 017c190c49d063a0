//! Text that others wrote, made safe to print.

use std::time::Duration;

/// Text from a server, as one line that cannot move the cursor, change colours, reverse the
/// direction of writing, or give orders to a CI system.
pub(crate) fn one_line(text: &str) -> String {
    lines(text).collect::<Vec<_>>().join(" ")
}

/// Text from a server in lines, each of them safe to print after something of our own.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(['\n', '\r', '\u{2028}', '\u{2029}'])
        .map(|line| {
            let line: String = line
                .chars()
                .map(|c| if c == '\t' { ' ' } else { c })
                .filter(|c| !c.is_control() && !is_invisible(*c))
                .collect();
            // `##[error]` and `##vso[…]` are orders wherever they stand in a line.
            line.replace("##", "# #").trim_end().to_owned()
        })
        .filter(|line| !line.is_empty())
}

/// Marks that change how the text around them is shown.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// The first digits of a commit id.
pub(crate) fn short(commit: &str) -> &str {
    commit.get(..10).unwrap_or(commit)
}

/// A revision with its commit shortened, as `main@sha1:5394cb7f48`. The version of a chart stays whole.
pub(crate) fn short_revision(revision: &str) -> String {
    let clean = one_line(revision);
    let begin = clean.rfind([':', '/']).map_or(0, |before| before + 1);
    match clean.split_at_checked(begin) {
        Some((head, digest)) if digest.len() >= 40 => format!("{head}{}", short(digest)),
        _ => clean,
    }
}

/// How long something took, in whole seconds: `5s`, `1m05s`, `2h03m`.
pub(crate) fn elapsed(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds}s"),
        (0, minutes, seconds) => format!("{minutes}m{seconds:02}s"),
        (hours, minutes, _) => format!("{hours}h{minutes:02}m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_and_control_characters_are_taken_out() {
        let hostile = "\u{1b}[2Jred\u{7}\n::set-output name=x::y\r\n##vso[task.complete]\u{202e}x";
        assert_eq!(one_line(hostile), "[2Jred ::set-output name=x::y # #vso[task.complete]x");
        assert_eq!(lines(hostile).count(), 3);
    }

    #[test]
    fn revisions_and_times_are_short() {
        let revision = "main@sha1:5394cb7f48332b2de7c17dd8b8384bbc84b7e738";
        assert_eq!(short_revision(revision), "main@sha1:5394cb7f48");
        let bare = revision.trim_start_matches("main@sha1:");
        assert_eq!(short_revision(bare), "5394cb7f48");
        assert_eq!(short_revision(&format!("main/{bare}")), "main/5394cb7f48");
        assert_eq!(short_revision("0.1.0+26b00d46f714.2"), "0.1.0+26b00d46f714.2");
        assert_eq!(elapsed(Duration::from_secs(65)), "1m05s");
        assert_eq!(elapsed(Duration::from_secs(7384)), "2h03m");
    }
}
