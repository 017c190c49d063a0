//! Scenarios: facts over time, and what follows from them.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use gitops_brain::{
    Ancestry, Brain, ClusterName, CommitId, Contains, Effects, EnvironmentName, Fact, FactBody,
    Ingested, ObjectName, Outcome, Parents, Policy, Query, Registration, Require, Selector,
    Settlement, Status, Verifier, ingest, observe, parse_duration,
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    cases::to_value,
    reader::{Bytes, compare, exact, read, verdict},
};

/// A policy, questions, and steps with what each should lead to.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    #[serde(rename = "id")]
    _id: String,
    #[serde(rename = "why")]
    _why: String,
    /// Names for commits. They are put in place of `${name}` before anything else is read.
    #[serde(default, rename = "commits")]
    _commits: BTreeMap<String, CommitId>,
    /// The keys with which clusters sign their events.
    #[serde(default)]
    keys: BTreeMap<ClusterName, Vec<String>>,
    #[serde(default)]
    policy: Policy,
    queries: BTreeMap<String, Asked>,
    steps: Vec<Step>,
}

/// A question: [`Query`].
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    environment: EnvironmentName,
    commit: CommitId,
    require: Option<Require>,
    #[serde(default)]
    reconcilers: Vec<Selector>,
    failure_grace: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    at: DateTime<Utc>,
    #[serde(default, rename = "about")]
    _about: Option<String>,
    #[serde(rename = "do")]
    action: Action,
    expect: Expected,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
enum Action {
    /// A request that notification-controller sent, and that arrived.
    Event(Request),
    /// One that did not: nothing is fed.
    LostEvent(Request),
    /// Something happened elsewhere: nothing is fed.
    Nothing {},
    Register(Register),
    Ancestry {
        #[serde(default)]
        parents: BTreeMap<CommitId, Vec<CommitId>>,
        #[serde(default)]
        contains: BTreeMap<CommitId, Vec<CommitId>>,
        #[serde(default)]
        objects: Vec<Bytes>,
    },
    Removed(ObjectName),
    Forgotten {
        before: DateTime<Utc>,
    },
    Settled {
        environment: EnvironmentName,
        commit: CommitId,
        n: u32,
        outcome: Outcome,
    },
    SetPolicy(Policy),
    /// Time passes.
    Expire {},
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    cluster: ClusterName,
    /// The header `X-Signature`. With it the request is verified; without, the host is taken to have
    /// authenticated it by other means.
    signature: Option<String>,
    body: Bytes,
}

/// A registration with what the policy declares for its environment, and what CI adds.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Register {
    environment: EnvironmentName,
    commit: CommitId,
    #[serde(default)]
    expect: Vec<Selector>,
    require: Option<Require>,
    timeout: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    /// The code with which the event is refused.
    error: Option<String>,
    /// The code with which it is ignored.
    ignored: Option<String>,
    /// For each query, by its name.
    statuses: BTreeMap<String, Value>,
    /// What is handed out; none if it is left out.
    #[serde(default)]
    transitions: Vec<Value>,
}

type Problems = Vec<String>;

impl Scenario {
    /// Reads a case of kind `scenarios`.
    ///
    /// # Errors
    ///
    /// If a field is unknown, missing or mistyped, an alias is unknown or unused, or a step does not
    /// say where each question stands afterwards.
    pub fn read(case: &Value) -> Result<Self, Problems> {
        let scenario: Self = read(&resolve(case)?)?;
        if scenario.queries.is_empty() || scenario.steps.is_empty() {
            return Err(vec!["`queries` and `steps` must not be empty".to_owned()]);
        }
        let mut problems = Vec::new();
        for (place, step) in scenario.steps.iter().enumerate() {
            let told: BTreeSet<_> = step.expect.statuses.keys().collect();
            if told != scenario.queries.keys().collect() {
                problems.push(format!("step {place}: `statuses` must tell of each query"));
            }
            for (name, status) in &step.expect.statuses {
                let needed: &[&str] = match status.get("error") {
                    Some(_) => &["error"],
                    None => &["state", "outcome", "reason"],
                };
                if needed.iter().any(|field| status.get(field).is_none()) {
                    problems.push(format!("step {place}: `{name}` lacks one of {needed:?}"));
                }
            }
        }
        verdict(problems)?;
        Ok(scenario)
    }

    /// Plays it, and compares after each step.
    ///
    /// # Errors
    ///
    /// All that is not as expected.
    pub fn run(&self) -> Result<(), Problems> {
        let mut player = Player::new(self)?;
        let mut problems = Vec::new();
        while let Some(step) = player.next_step() {
            let place = format!("step {} ({})", player.played, step.at.to_rfc3339());
            if let Err(found) = player.play(step) {
                problems.extend(found.into_iter().map(|what| format!("{place}: {what}")));
            }
        }
        verdict(problems)
    }

    /// The policy that is in place at the end.
    fn last_policy(&self) -> &Policy {
        let set = self.steps.iter().rev().find_map(|step| match &step.action {
            Action::SetPolicy(policy) => Some(policy),
            _ => None,
        });
        set.unwrap_or(&self.policy)
    }

    /// Plays it without looking at any expectation, and returns the facts.
    ///
    /// # Errors
    ///
    /// If something cannot be made a fact that should be one.
    pub fn facts(&self) -> Result<Vec<Fact>, Problems> {
        let mut player = Player::new(self)?;
        while let Some(step) = player.next_step() {
            player.feed(step)?;
        }
        Ok(player.facts)
    }

    /// A brain that took in these facts one by one, each at its own time, under the policy that is in
    /// place at the end.
    ///
    /// Where something is forgotten it loads them instead: forgetting is done when it is said, or when
    /// all is loaded, so an older fact that is applied later would be kept until the next time.
    pub fn brain_of(&self, facts: impl IntoIterator<Item = Fact>) -> Brain {
        let mut brain = Brain::new(self.last_policy().clone());
        if self.steps.iter().any(|step| matches!(step.action, Action::Forgotten { .. })) {
            brain.load(facts);
            return brain;
        }
        for fact in facts {
            brain.apply(&fact, fact.at);
        }
        brain
    }

    /// What a brain answers to each question at the end of the scenario.
    ///
    /// # Errors
    ///
    /// If a question is malformed.
    pub fn answers(&self, brain: &Brain) -> Result<Vec<Option<Status>>, Problems> {
        let Some(last) = self.steps.iter().map(|step| step.at).max() else { return Ok(Vec::new()) };
        let queries = self.queries.values().map(Asked::query);
        queries.map(|query| Ok(brain.status(&query?, last).ok())).collect()
    }
}

impl Asked {
    fn query(&self) -> Result<Query, Problems> {
        let mut query = Query::new(self.environment.clone(), self.commit);
        if let Some(require) = self.require {
            query = query.require(require);
        }
        if let Some(grace) = &self.failure_grace {
            query = query.failure_grace(duration(grace)?);
        }
        Ok(self.reconcilers.iter().cloned().fold(query, Query::reconciler))
    }
}

/// A scenario in the course of being played.
#[derive(Debug)]
pub struct Player<'a> {
    scenario: &'a Scenario,
    verifiers: BTreeMap<&'a ClusterName, Verifier>,
    /// What it was told so far.
    pub brain: Brain,
    /// All facts so far.
    pub facts: Vec<Fact>,
    /// The time of the last step.
    pub now: DateTime<Utc>,
    played: usize,
}

/// What a step led to, but for the statuses.
#[derive(Debug, Default)]
struct Fed {
    error: Option<&'static str>,
    ignored: Option<&'static str>,
    effects: Effects,
}

impl<'a> Player<'a> {
    /// At the beginning.
    ///
    /// # Errors
    ///
    /// If a key cannot be one.
    pub fn new(scenario: &'a Scenario) -> Result<Self, Problems> {
        let verifiers = scenario.keys.iter().map(|(cluster, keys)| {
            let verifier = Verifier::new(keys).map_err(|error| vec![error.to_string()])?;
            Ok((cluster, verifier))
        });
        Ok(Self {
            scenario,
            verifiers: verifiers.collect::<Result<_, Problems>>()?,
            brain: Brain::new(scenario.policy.clone()),
            facts: Vec::new(),
            now: DateTime::UNIX_EPOCH,
            played: 0,
        })
    }

    fn next_step(&self) -> Option<&'a Step> {
        self.scenario.steps.get(self.played)
    }

    /// Feeds what the next step brings, whatever is expected of it. False at the end.
    ///
    /// # Errors
    ///
    /// If a part of the step is malformed.
    pub fn advance(&mut self) -> Result<bool, Problems> {
        match self.next_step() {
            Some(step) => self.feed(step).map(|_| true),
            None => Ok(false),
        }
    }

    fn play(&mut self, step: &Step) -> Result<(), Problems> {
        let mut problems = Vec::new();
        if step.at < self.now {
            problems.push("is earlier than the step before".to_owned());
        }
        // A host calls `expire` at each deadline. A vector that does not would hide a transition.
        if let Some(deadline) = self.brain.next_deadline().filter(|deadline| *deadline < step.at) {
            problems.push(format!("there must be an `expire` at {} before", deadline.to_rfc3339()));
        }
        let Fed { error, ignored, effects } = self.feed(step)?;
        let expect = &step.expect;
        if (error, ignored) != (expect.error.as_deref(), expect.ignored.as_deref()) {
            problems.push(format!(
                "refused {error:?}, ignored {ignored:?}, expected {:?} and {:?}",
                expect.error, expect.ignored
            ));
        }
        for (name, asked) in &self.scenario.queries {
            let actual = match self.brain.status(&asked.query()?, step.at) {
                Ok(status) => by_name(to_value(&status)?),
                Err(error) => json!({"error": error.code()}),
            };
            let expected = expect.statuses.get(name).unwrap_or(&Value::Null);
            compare(name, expected, &actual, &mut problems);
            // Which reconcilers are expected is told completely, or not at all.
            if let Some(reconcilers) = expected.get("reconcilers").and_then(Value::as_object) {
                let known = actual.get("reconcilers").and_then(Value::as_object);
                let unexpected = known
                    .into_iter()
                    .flat_map(|known| known.keys())
                    .find(|name| !reconcilers.contains_key(*name));
                problems.extend(unexpected.map(|other| format!("{name}: {other} is not expected")));
            }
        }
        self.compare_transitions(&expect.transitions, &effects, &mut problems)?;
        verdict(problems)
    }

    fn compare_transitions(
        &self,
        expected: &[Value],
        effects: &Effects,
        problems: &mut Problems,
    ) -> Result<(), Problems> {
        if expected.len() != effects.transitions.len() {
            let actual = effects.transitions.iter().map(|transition| {
                let (from, to) = (transition.from, transition.to);
                format!("{transition:.0?}: {from:?} to {to:?}")
            });
            let actual: Vec<_> = actual.collect();
            problems.push(format!("expected {} transitions: {actual:#?}", expected.len()));
        }
        for (place, (expected, actual)) in expected.iter().zip(&effects.transitions).enumerate() {
            let mut actual = to_value(actual)?;
            if let Some(fields) = actual.as_object_mut() {
                for optional in ["at", "message", "cause", "settlements"] {
                    if expected.get(optional).is_none() {
                        fields.remove(optional);
                    }
                }
            }
            exact(&format!("transitions[{place}]"), expected, &actual, problems);
        }
        Ok(())
    }

    fn feed(&mut self, step: &Step) -> Result<Fed, Problems> {
        self.played += 1;
        self.now = self.now.max(step.at);
        let mut fed = Fed::default();
        let body = match &step.action {
            Action::Nothing {} => return Ok(fed),
            Action::LostEvent(request) => {
                request.body.bytes()?;
                return Ok(fed);
            }
            Action::Expire {} => {
                fed.effects = self.brain.expire(step.at);
                return Ok(fed);
            }
            Action::SetPolicy(policy) => {
                fed.effects = self.brain.set_policy(policy.clone(), step.at);
                return Ok(fed);
            }
            Action::Event(request) => {
                let ingested = self.ingest(request, step.at)?;
                match ingested {
                    Ok(Ingested::Fact(fact)) => fact.body,
                    Ok(Ingested::Ignored(why)) => {
                        fed.ignored = Some(why.code());
                        return Ok(fed);
                    }
                    Ok(_) => return Err(vec!["neither a fact nor ignored".to_owned()]),
                    Err(code) => {
                        fed.error = Some(code);
                        return Ok(fed);
                    }
                }
            }
            Action::Register(register) => FactBody::Registered(self.registration(register)?),
            Action::Ancestry { parents, contains, objects } => {
                let objects: Vec<_> = objects.iter().map(Bytes::bytes).collect::<Result<_, _>>()?;
                let mut ancestry =
                    Ancestry::from_objects(objects).map_err(|error| vec![error.to_string()])?;
                let claimed = parents
                    .iter()
                    .map(|(commit, parents)| Parents { commit: *commit, parents: parents.clone() });
                ancestry.parents.extend(claimed);
                let contained = contains.iter().map(|(commit, ancestors)| Contains {
                    commit: *commit,
                    ancestors: ancestors.clone(),
                });
                ancestry.contains.extend(contained);
                FactBody::Ancestry(ancestry)
            }
            Action::Removed(reconciler) => FactBody::Removed { reconciler: reconciler.clone() },
            Action::Forgotten { before } => FactBody::Forgotten { before: *before },
            Action::Settled { environment, commit, n, outcome } => {
                FactBody::Settled(Settlement::new(environment.clone(), *commit, *n, *outcome))
            }
        };
        let fact = Fact::new(step.at, body);
        // What a journal and another language see of it must be the same.
        let line = Fact::from_line(&fact.to_line()).map_err(|error| vec![error.to_string()])?;
        if line != fact {
            return Err(vec!["a fact changes when it is written and read".to_owned()]);
        }
        fed.effects = self.brain.apply(&fact, step.at);
        self.facts.push(fact);
        Ok(fed)
    }

    fn ingest(
        &self,
        request: &Request,
        at: DateTime<Utc>,
    ) -> Result<Result<Ingested, &'static str>, Problems> {
        let body = request.body.bytes()?;
        Ok(match &request.signature {
            Some(signature) => {
                let verifier = self.verifiers.get(&request.cluster);
                let verifier =
                    verifier.ok_or_else(|| vec![format!("no keys of {}", request.cluster)])?;
                ingest(verifier, &request.cluster, Some(signature.as_bytes()), &body, at)
                    .map_err(|error| error.code())
            }
            None => observe(&request.cluster, &body, at).map_err(|error| error.code()),
        })
    }

    fn registration(&self, register: &Register) -> Result<Registration, Problems> {
        let declared = self.brain.policy().of(&register.environment);
        let mut registration =
            Registration::new(register.environment.clone(), register.commit, &declared)
                .expect(register.expect.iter().cloned());
        if let Some(require) = register.require {
            registration = registration.require(require);
        }
        if let Some(timeout) = &register.timeout {
            registration = registration.timeout(duration(timeout)?);
        }
        let labels = register.labels.iter();
        Ok(labels.fold(registration, |registration, (name, value)| registration.label(name, value)))
    }
}

/// Puts commits in place of their names.
fn resolve(case: &Value) -> Result<Value, Problems> {
    let names = case.get("commits").and_then(Value::as_object);
    let names: BTreeMap<String, String> = names
        .into_iter()
        .flatten()
        .filter_map(|(name, commit)| Some((format!("${{{name}}}"), commit.as_str()?.to_owned())))
        .collect();
    let mut used = BTreeSet::new();
    let resolved = replace(case, &names, &mut used);
    let unused = names.keys().find(|name| !used.contains(*name));
    match unused {
        Some(unused) => Err(vec![format!("nothing uses {unused}")]),
        None => Ok(resolved),
    }
}

fn replace(value: &Value, names: &BTreeMap<String, String>, used: &mut BTreeSet<String>) -> Value {
    let mut text = |text: &String| {
        let present = names.iter().filter(|(name, _)| text.contains(*name)).collect::<Vec<_>>();
        present.into_iter().fold(text.clone(), |text, (name, commit)| {
            used.insert(name.clone());
            text.replace(name, commit)
        })
    };
    match value {
        Value::String(found) => Value::String(text(found)),
        Value::Array(elements) => {
            elements.iter().map(|element| replace(element, names, used)).collect()
        }
        Value::Object(fields) => {
            let keys: Vec<_> = fields.keys().map(&mut text).collect();
            let values = fields.values().map(|field| replace(field, names, used));
            Value::Object(keys.into_iter().zip(values).collect())
        }
        other => other.clone(),
    }
}

/// A status whose reconcilers are told by name.
pub(crate) fn by_name(mut status: Value) -> Value {
    if let Some(reconcilers) = status.get_mut("reconcilers")
        && let Some(list) = reconcilers.as_array()
    {
        let named = list.iter().filter_map(|reconciler| {
            Some((reconciler.get("reconciler")?.as_str()?.to_owned(), reconciler.clone()))
        });
        *reconcilers = Value::Object(named.collect());
    }
    status
}

fn duration(text: &str) -> Result<std::time::Duration, Problems> {
    parse_duration(text).map_err(|error| vec![error.to_string()])
}
