//! Getting a message to its receiver, over HTTP.

use std::{borrow::Cow, sync::LazyLock, time::Duration};

use gitops_brain::{CommitId, Outcome, SIGNATURE_HEADER, sign};
use serde::Deserialize;
use serde_json::{Value, json};
use ureq::{
    Agent, AsSendBody,
    http::{Request, Response, header, request::Builder},
    tls::{RootCerts, TlsConfig},
};

use super::message::{Message, shortened};
use crate::receiver::{Channel, GitHub, is_repository};

/// How long a receiver may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// How much of an answer is read.
const MAX_ANSWER_BYTES: u64 = 4 * 1024 * 1024;

/// The longest description that GitHub takes.
const MAX_DESCRIPTION: usize = 140;

/// Says it to one receiver.
#[derive(Clone, Debug)]
pub(crate) struct Courier {
    channel: Channel,
    /// Where people see more.
    url: Option<String>,
}

/// What became of a message that need not be said again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Delivered {
    /// It was heard.
    Heard,
    /// It is not for this receiver.
    NotMeant,
}

impl Delivered {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Heard => "told",
            Self::NotMeant => "not_meant",
        }
    }
}

/// Why a message was not heard.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    /// Whether it is of no use to say it again.
    pub(crate) for_good: bool,
    /// When to say it again, if the receiver has said so.
    pub(crate) after: Option<Duration>,
    pub(crate) why: String,
}

impl Refusal {
    fn for_good(why: impl Into<String>) -> Self {
        Self { for_good: true, after: None, why: why.into() }
    }

    fn passing(why: impl Into<String>) -> Self {
        Self { for_good: false, after: None, why: why.into() }
    }
}

/// A receiver that redirects is asked nowhere else: what it was sent is for it alone.
static AGENT: LazyLock<Agent> = LazyLock::new(|| {
    Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .tls_config(TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build())
        .timeout_global(Some(ANSWER_WITHIN))
        .user_agent(concat!("gitops-brain/", env!("CARGO_PKG_VERSION")))
        .build()
        .into()
});

impl Courier {
    pub(crate) fn new(channel: Channel, url: Option<String>) -> Self {
        Self { channel, url }
    }

    /// Says it once.
    pub(crate) async fn deliver(&self, message: Message) -> Result<Delivered, Refusal> {
        let courier = self.clone();
        let said = tokio::task::spawn_blocking(move || courier.say(&message));
        let said = said.await.unwrap_or_else(|error| Err(Refusal::passing(error.to_string())));
        said.map_err(|mut refusal| {
            if self.secrets().any(|secret| refusal.why.contains(&*secret)) {
                "it answered with a secret of ours".clone_into(&mut refusal.why);
            }
            refusal
        })
    }

    /// What must not come into the log.
    fn secrets(&self) -> impl Iterator<Item = Cow<'_, str>> {
        let (one, other) = match &self.channel {
            Channel::Generic { address, hmac_key } => (address, hmac_key.as_ref()),
            Channel::Slack { address } => (address, None),
            Channel::GitHubDeployment(github) | Channel::GitHubStatus(github) => {
                (&github.token, None)
            }
        };
        let secrets = [Some(one), other].into_iter().flatten();
        secrets.map(|secret| String::from_utf8_lossy(secret.expose().trim_ascii()))
    }

    fn say(&self, message: &Message) -> Result<Delivered, Refusal> {
        let url = self.url.as_deref();
        match &self.channel {
            Channel::Generic { address, hmac_key } => {
                let body = message.json(url);
                let mut headers = vec![("Idempotency-Key", message.key())];
                if let Some(key) = hmac_key {
                    // As Flux makes it, and with white space around a key from a file taken away.
                    let signature = sign(key.expose().trim_ascii(), &body)
                        .map_err(|error| Refusal::for_good(error.to_string()))?;
                    headers.push((SIGNATURE_HEADER, signature));
                }
                post(&text(address.expose())?, &headers, &body)?;
            }
            Channel::Slack { address } => {
                let body = json!({ "text": message.chat(url) }).to_string();
                post(&text(address.expose())?, &[], body.as_bytes())?;
            }
            Channel::GitHubDeployment(github) => return self.deployment(github, message),
            Channel::GitHubStatus(github) => return self.commit_status(github, message),
        }
        Ok(Delivered::Heard)
    }

    /// Sets the status of the deployment that stands for the rollout. It is made if there is none: it is
    /// known by its payload, so that saying it again makes no second one.
    fn deployment(&self, github: &GitHub, message: &Message) -> Result<Delivered, Refusal> {
        #[derive(Deserialize)]
        struct Deployment {
            id: u64,
            #[serde(default)]
            payload: Value,
        }
        let Some((repository, commit)) = application(github, message)? else {
            return Ok(Delivered::NotMeant);
        };
        let environment = message.settlement.environment.as_str();
        let rollout = format!("{environment}/{}", message.settlement.commit);
        let base = format!("{}/repos/{repository}/deployments", github.address);
        let description = shortened(&message.headline(), MAX_DESCRIPTION);
        let headers = headers(github)?;
        let known =
            get(&format!("{base}?sha={commit}&environment={environment}&per_page=100"), &headers)?;
        let known: Vec<Deployment> = serde_json::from_str(&known)
            .map_err(|error| Refusal::passing(format!("GitHub's list of deployments: {error}")))?;
        let ours = |deployment: &&Deployment| {
            // It comes back as it was sent, or as the text of that.
            let payload: Value = match &deployment.payload {
                Value::String(text) => serde_json::from_str(text).unwrap_or_default(),
                payload => payload.clone(),
            };
            payload.get("gitops_brain").and_then(Value::as_str) == Some(&*rollout)
        };
        let id = match known.iter().find(ours) {
            Some(deployment) => deployment.id,
            None => {
                let body = json!({
                    "ref": commit.to_string(),
                    "environment": environment,
                    "description": description,
                    "payload": { "gitops_brain": rollout },
                    // It is told of what is, and decides nothing.
                    "auto_merge": false,
                    "required_contexts": [],
                });
                let made = post(&base, &headers, body.to_string().as_bytes())?;
                let made: Deployment = serde_json::from_str(&made)
                    .map_err(|error| Refusal::passing(format!("GitHub's deployment: {error}")))?;
                made.id
            }
        };
        let body = json!({
            "state": state(message.settlement.outcome),
            "environment": environment,
            "description": description,
        });
        let body = self.linked(body, "log_url", message);
        post(&format!("{base}/{id}/statuses"), &headers, body.to_string().as_bytes())?;
        Ok(Delivered::Heard)
    }

    fn commit_status(&self, github: &GitHub, message: &Message) -> Result<Delivered, Refusal> {
        let Some((repository, commit)) = application(github, message)? else {
            return Ok(Delivered::NotMeant);
        };
        let body = json!({
            "state": state(message.settlement.outcome),
            "context": format!("gitops-brain/{}", message.settlement.environment),
            "description": shortened(&message.headline(), MAX_DESCRIPTION),
        });
        let body = self.linked(body, "target_url", message);
        let url = format!("{}/repos/{repository}/statuses/{commit}", github.address);
        post(&url, &headers(github)?, body.to_string().as_bytes())?;
        Ok(Delivered::Heard)
    }

    /// A body with the address of the page about it, if there is one for people.
    fn linked(&self, mut body: Value, field: &str, message: &Message) -> Value {
        let page = message.page(self.url.as_deref());
        if let Some((fields, page)) = body.as_object_mut().zip(page) {
            fields.insert(field.to_owned(), json!(page));
        }
        body
    }
}

/// The application's repository and commit, as the labels name them.
fn application<'a>(
    github: &GitHub,
    message: &'a Message,
) -> Result<Option<(&'a str, CommitId)>, Refusal> {
    let labels = message.label("app_repository").zip(message.label("app_commit"));
    let Some((repository, commit)) = labels else { return Ok(None) };
    if !is_repository(repository) || !github.allows(repository) {
        return Err(Refusal::for_good(format!(
            "the label app_repository names {repository:?}, which is none of the receiver's \
             `repositories`"
        )));
    }
    let commit = commit
        .parse()
        .map_err(|error| Refusal::for_good(format!("the label app_commit: {error}")))?;
    Ok(Some((repository, commit)))
}

/// Both of GitHub's kinds of status have these.
fn state(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Succeeded => "success",
        Outcome::Failed => "failure",
        _ => "error",
    }
}

fn headers(github: &GitHub) -> Result<Vec<(&'static str, String)>, Refusal> {
    Ok(vec![
        ("Authorization", format!("Bearer {}", text(github.token.expose())?)),
        ("Accept", "application/vnd.github+json".to_owned()),
        ("X-GitHub-Api-Version", "2022-11-28".to_owned()),
    ])
}

/// A secret that is part of a request's head.
fn text(secret: &[u8]) -> Result<String, Refusal> {
    let text = str::from_utf8(secret.trim_ascii());
    text.map(str::to_owned).map_err(|_| Refusal::for_good("its address or token is not a text"))
}

fn post(url: &str, headers: &[(&str, String)], body: &[u8]) -> Result<String, Refusal> {
    let request = Request::post(url).header(header::CONTENT_TYPE, "application/json");
    ask(request, headers, body)
}

fn get(url: &str, headers: &[(&str, String)]) -> Result<String, Refusal> {
    ask(Request::get(url), headers, ())
}

fn ask(
    mut request: Builder,
    headers: &[(&str, String)],
    body: impl AsSendBody,
) -> Result<String, Refusal> {
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    let request = request.body(body).map_err(|error| Refusal::for_good(error.to_string()))?;
    answer(AGENT.run(request))
}

/// What the answer means. Its address is not told: it may be a secret.
fn answer(response: Result<Response<ureq::Body>, ureq::Error>) -> Result<String, Refusal> {
    let mut response = response.map_err(|error| match error {
        ureq::Error::BadUri(_) => Refusal::for_good("its address is not a URL"),
        error => Refusal::passing(error.to_string()),
    })?;
    let status = response.status();
    let after = response.headers().get(header::RETRY_AFTER);
    let after = after.and_then(|after| after.to_str().ok()?.trim().parse().ok());
    let rest = response.headers().get("x-ratelimit-remaining");
    let exhausted = rest.is_some_and(|rest| rest.as_bytes() == b"0");
    let body = response.body_mut().with_config().limit(MAX_ANSWER_BYTES).read_to_string();
    if status.is_success() {
        return body.map_err(|error| Refusal::passing(error.to_string()));
    }
    let said = shortened(body.unwrap_or_default().trim(), 200);
    // Too early, too many, too slow; GitHub answers 403 as well where it means too many.
    let passes = status.is_server_error()
        || matches!(status.as_u16(), 408 | 425 | 429)
        || status.as_u16() == 403 && (exhausted || after.is_some());
    let why = format!("it answered {status}: {said}");
    let after = after.map(Duration::from_secs);
    Err(Refusal { for_good: !passes, after, why })
}
