//! Scenarios as requests to a running server.

use std::{collections::BTreeMap, io, time::Duration};

use gitops_brain::{ClusterName, CommitId, EnvironmentName, Policy};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{
    process::{Answer, Client},
    reader::{Bytes, compare, read, verdict},
    scenario::by_name,
};

/// How long anything may take: a server's clock is not that of the scenario, so no time may be over
/// because of it.
const FOR_EVER: Duration = Duration::from_hours(24 * 90);

/// A scenario whose steps can be sent to a server, and where it leads to.
#[derive(Debug)]
pub struct Replay {
    /// The scenario's policy, under which time makes no difference: what is only for a time is over,
    /// and deadlines are far away.
    pub policy: Policy,
    /// The keys with which its clusters sign.
    pub keys: BTreeMap<ClusterName, String>,
    /// What is sent, in the scenario's order.
    pub requests: Vec<Request>,
    /// The questions by name, with the status that is expected after the last step.
    questions: BTreeMap<String, (Asked, Value)>,
}

/// A step, as it is sent.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Request {
    /// A request that notification-controller sent, byte for byte.
    Event {
        /// The cluster.
        cluster: ClusterName,
        /// The header with the signature; none if the provider was `generic`.
        signature: Option<String>,
        /// The body.
        body: Vec<u8>,
    },
    /// A registration.
    Register {
        /// Where.
        environment: EnvironmentName,
        /// What.
        commit: CommitId,
        /// The request's body.
        body: Value,
    },
    /// Claims about ancestry.
    Ancestry(Value),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    environment: EnvironmentName,
    commit: CommitId,
}

impl Replay {
    /// Reads a case of kind `scenarios`.
    ///
    /// # Errors
    ///
    /// If the scenario has something that cannot be said over HTTP. Nothing is left out in silence.
    pub fn read(case: &Value) -> Result<Self, Vec<String>> {
        let case = with_commits(case)?;
        let field = |name: &str| case.get(name).cloned().unwrap_or_else(|| json!({}));
        let mut policy: Policy = read(&field("policy"))?;
        for environment in policy.environments.values_mut() {
            environment.timeout = FOR_EVER;
            environment.learning = Duration::ZERO;
        }
        let steps = case.get("steps").and_then(Value::as_array).ok_or_else(|| wrong("no steps"))?;
        let requests = steps
            .iter()
            .filter_map(|step| {
                let refused = ["error", "ignored"]
                    .into_iter()
                    .any(|name| step.pointer(&format!("/expect/{name}")).is_some());
                match refused {
                    true => Some(Err(wrong("a step that is refused or ignored"))),
                    false => Request::read(step.get("do").unwrap_or(&Value::Null)).transpose(),
                }
            })
            .collect::<Result<_, _>>()?;
        let last = steps.last().and_then(|step| step.pointer("/expect/statuses"));
        let queries: BTreeMap<String, Asked> = read(&field("queries"))?;
        let questions = queries.into_iter().map(|(name, asked)| {
            let expected = last.and_then(|statuses| statuses.get(&name));
            let expected = expected.cloned().ok_or_else(|| wrong("nothing is expected"))?;
            Ok((name, (asked, expected)))
        });
        Ok(Self {
            policy,
            keys: read(&field("keys")).and_then(one_each)?,
            requests,
            questions: questions.collect::<Result<_, Vec<String>>>()?,
        })
    }

    /// The statuses that a server answers to the scenario's questions, by name.
    ///
    /// # Errors
    ///
    /// If it does not answer.
    pub fn ask(&self, client: &Client) -> io::Result<BTreeMap<String, Value>> {
        let questions = self.questions.iter().map(|(name, (asked, _))| {
            let path = format!("/v1/rollouts/{}/{}", asked.environment, asked.commit);
            let Answer { status, body } = client.get(&path)?;
            match status {
                200 => Ok((name.clone(), body)),
                status => Err(io::Error::other(format!("{path}: {status} {body}"))),
            }
        });
        questions.collect()
    }

    /// Compares what was answered with what the scenario expects after its last step.
    ///
    /// # Errors
    ///
    /// All that is not as expected.
    pub fn check(&self, answers: &BTreeMap<String, Value>) -> Result<(), Vec<String>> {
        let mut problems = Vec::new();
        for (name, (_, expected)) in &self.questions {
            let answer = answers.get(name).cloned().unwrap_or_default();
            compare(name, expected, &by_name(answer), &mut problems);
        }
        verdict(problems)
    }
}

impl Request {
    /// The request that a step makes; none if nothing is fed, or only time passes.
    fn read(action: &Value) -> Result<Option<Self>, Vec<String>> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Event {
            cluster: ClusterName,
            signature: Option<String>,
            body: Bytes,
        }
        #[derive(Deserialize)]
        struct Register {
            environment: EnvironmentName,
            commit: CommitId,
            #[serde(flatten)]
            more: Map<String, Value>,
        }
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Ancestry {
            #[serde(default)]
            parents: BTreeMap<CommitId, Vec<CommitId>>,
            /// That a commit contains others, and perhaps more, is what git hosts tell. Over HTTP it
            /// is claimed that they are its parents, beside one of which nothing else is known.
            #[serde(default)]
            contains: BTreeMap<CommitId, Vec<CommitId>>,
        }
        let known = action.as_object().and_then(|action| action.iter().next());
        let Some((name, content)) = known else { return Err(wrong("a step does nothing")) };
        Ok(match name.as_str() {
            "event" => {
                let Event { cluster, signature, body } = read(content)?;
                Some(Self::Event { cluster, signature, body: body.bytes()? })
            }
            "register" => {
                let Register { environment, commit, more } = read(content)?;
                if more.contains_key("require") {
                    return Err(wrong("a registration with a requirement of its own"));
                }
                Some(Self::Register { environment, commit, body: Value::Object(more) })
            }
            "ancestry" => {
                let Ancestry { parents, contains } = read(content)?;
                let contains = contains.into_iter().map(|(commit, mut ancestors)| {
                    ancestors.push(unheard_of(commit));
                    (commit, ancestors)
                });
                let claims = parents
                    .into_iter()
                    .chain(contains)
                    .map(|(commit, parents)| json!({"commit": commit, "parents": parents}))
                    .collect();
                Some(Self::Ancestry(claims))
            }
            "lost_event" | "nothing" | "expire" => None,
            other => return Err(wrong(other)),
        })
    }

    /// Sends it.
    ///
    /// # Errors
    ///
    /// If there is no answer, or none that says that it was taken.
    pub fn send(&self, client: &Client) -> io::Result<Answer> {
        let answer = match self {
            Self::Event { cluster, signature, body } => {
                client.signed_event(cluster, signature.as_deref(), body)?
            }
            Self::Register { environment, commit, body } => {
                client.register(environment, *commit, body)?
            }
            Self::Ancestry(claims) => client.post("/v1/ancestry", claims)?,
        };
        match answer.status {
            200..=202 => Ok(answer),
            status => Err(io::Error::other(format!("{self:?}: {status} {}", answer.body))),
        }
    }
}

fn wrong(what: &str) -> Vec<String> {
    vec![format!("cannot be replayed over HTTP: {what}")]
}

/// A commit that nobody has heard of.
fn unheard_of(commit: CommitId) -> CommitId {
    let backwards: String = commit.to_string().chars().rev().collect();
    backwards.parse().unwrap_or(commit)
}

/// The one key of each cluster.
fn one_each(
    keys: BTreeMap<ClusterName, Vec<String>>,
) -> Result<BTreeMap<ClusterName, String>, Vec<String>> {
    let keys = keys.into_iter().map(|(cluster, keys)| match <[String; 1]>::try_from(keys) {
        Ok([key]) => Ok((cluster, key)),
        Err(_) => Err(wrong("a cluster with several keys")),
    });
    keys.collect()
}

/// Puts commits in place of their names, `${name}`.
fn with_commits(case: &Value) -> Result<Value, Vec<String>> {
    let names = case.get("commits").and_then(Value::as_object);
    let text = names.into_iter().flatten().fold(case.to_string(), |text, (name, commit)| {
        text.replace(&format!("${{{name}}}"), commit.as_str().unwrap_or_default())
    });
    serde_json::from_str(&text).map_err(|error| vec![error.to_string()])
}
