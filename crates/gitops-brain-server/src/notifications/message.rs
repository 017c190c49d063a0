//! What is told of a settled rollout.

use chrono::{DateTime, SecondsFormat, Utc};
use gitops_brain::{Outcome, Settlement, Status};
use serde::Serialize;

/// The longest that Flux's words are in a chat.
const MAX_CHAT: usize = 1_000;

/// A rollout that settled, and where it stands now.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) settlement: Settlement,
    /// When it settled.
    pub(crate) at: DateTime<Utc>,
    pub(crate) status: Option<Status>,
}

#[derive(Serialize)]
struct Body<'a> {
    environment: &'a str,
    commit: String,
    n: u32,
    outcome: &'a str,
    at: String,
    url: Option<String>,
    status: Option<&'a Status>,
}

impl Message {
    /// What is the same whenever this is told again.
    pub(crate) fn key(&self) -> String {
        let Settlement { environment, commit, n, .. } = &self.settlement;
        format!("{environment}/{commit}/{n}")
    }

    /// The page about it, on a server at this address.
    pub(crate) fn page(&self, url: Option<&str>) -> Option<String> {
        let Settlement { environment, commit, .. } = &self.settlement;
        url.map(|url| format!("{}/rollouts/{environment}/{commit}", url.trim_end_matches('/')))
    }

    pub(crate) fn label(&self, name: &str) -> Option<&str> {
        self.status.as_ref()?.labels.get(name).map(String::as_str)
    }

    /// The body for programs.
    pub(crate) fn json(&self, url: Option<&str>) -> Vec<u8> {
        let Settlement { environment, commit, n, outcome, .. } = &self.settlement;
        let body = Body {
            environment: environment.as_str(),
            commit: commit.to_string(),
            n: *n,
            outcome: outcome.as_str(),
            at: self.at.to_rfc3339_opts(SecondsFormat::Millis, true),
            url: self.page(url),
            status: self.status.as_ref(),
        };
        // Our own types, whose map keys are texts: this cannot fail.
        serde_json::to_vec(&body).unwrap_or_default()
    }

    /// One line for people: what became of which version where.
    pub(crate) fn headline(&self) -> String {
        let commit: String = self.settlement.commit.to_string().chars().take(7).collect();
        let what = match (self.label("app"), self.label("version")) {
            (Some(app), Some(version)) => format!("{app} {version} ({commit})"),
            (Some(app), None) => format!("{app} ({commit})"),
            _ => commit,
        };
        let became = match self.settlement.outcome {
            Outcome::Succeeded => "is live and healthy",
            Outcome::Failed => "failed",
            Outcome::TimedOut => "is not there in time",
            _ => "is on its way",
        };
        format!("{what} {became} in {}", self.settlement.environment)
    }

    /// The message for a chat that reads Slack's `mrkdwn`.
    pub(crate) fn chat(&self, url: Option<&str>) -> String {
        let sign = match self.settlement.outcome {
            Outcome::Succeeded => "\u{2705}",
            Outcome::Failed => "\u{274C}",
            _ => "\u{23F1}\u{FE0F}",
        };
        let mut text = format!("{sign} {}", escaped(&self.headline()));
        if let Some(page) = self.page(url) {
            text.push_str(&format!(" · <{page}|details>"));
        }
        // Its reason is known only if it is not another story by now.
        if self.settlement.outcome != Outcome::Succeeded
            && let Some(status) = &self.status
            && status.outcome == self.settlement.outcome
        {
            text.push('\n');
            text.push_str(&escaped(&shortened(&status.message, MAX_CHAT)));
        }
        text
    }
}

/// As Slack asks for: nothing that a cluster says becomes a link, or calls everybody.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// At most so many characters.
pub(crate) fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(outcome: Outcome) -> Message {
        let commit = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa".parse().expect("a commit");
        let environment = "staging".parse().expect("a name");
        Message {
            settlement: Settlement::new(environment, commit, 2, outcome),
            at: DateTime::UNIX_EPOCH,
            status: None,
        }
    }

    #[test]
    fn a_message_is_the_same_whenever_it_is_told() {
        let told = message(Outcome::Failed);
        assert_eq!(told.key(), "staging/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/2");
        assert_eq!(told.headline(), "aaaaaaa failed in staging");
        assert_eq!(
            told.chat(Some("https://brain.example/")),
            "\u{274C} aaaaaaa failed in staging · <https://brain.example/rollouts/staging/\
             aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa|details>"
        );
    }

    #[test]
    fn what_a_cluster_says_is_no_markup() {
        assert_eq!(escaped("<!channel> a & b"), "&lt;!channel&gt; a &amp; b");
        assert_eq!(shortened("äöü", 3), "äöü");
        assert_eq!(shortened("äöüß", 3), "äö…");
    }
}
