//! Taking a file through the state machine, without a server.

use std::{collections::BTreeSet, io::BufRead as _, path::Path};

use chrono::{DateTime, SecondsFormat, Utc};
use gitops_brain::{
    Brain, CommitId, Effects, Event, Fact, FactBody, Ingested, Policy, Status, Transition, observe,
};
use serde_json::json;

use crate::{
    args::{Format, Global, Replay},
    exit::{Exit, Failure},
    input,
    out::Out,
    output, serve,
    text::{one_line, short, short_revision},
};

pub(crate) fn run(args: &Replay, global: &Global) -> Result<Exit, Failure> {
    let policy = match &args.policy {
        Some(path) => serve::policy(path)?,
        None => Policy::default(),
    };
    let mut replay = Replayed {
        brain: Brain::new(policy),
        format: global.output,
        out: Out::stdout(),
        now: None,
        commits: BTreeSet::new(),
        transitions: Vec::new(),
    };
    for (line, number) in input::open(&args.file)?.split(b'\n').zip(1..) {
        let line = line.map_err(|error| input::cannot_read(&args.file, &error))?;
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        match read(&line, args) {
            Ok(Some(fact)) => replay.take(&fact, number),
            Ok(None) => replay.say(number, "ignored: it says nothing about rollouts"),
            Err(why) => return Err(malformed(&args.file, number, &why)),
        }
    }
    replay.end()
}

fn malformed(file: &Path, number: usize, why: &str) -> Failure {
    Failure::usage(format!("{} line {number}: {why}", file.display()))
}

/// A line: a fact, or the body of a request of Flux, taken in at the time that it was made.
fn read(line: &[u8], args: &Replay) -> Result<Option<Fact>, String> {
    let text = str::from_utf8(line).map_err(|error| format!("not UTF-8: {error}"))?;
    let fact = match Fact::from_line(text) {
        Ok(fact) => return Ok(Some(fact)),
        Err(fact) => fact,
    };
    let event = Event::parse(line).map_err(|event| {
        // What it was meant to be is told by what both have and the other has not.
        if text.contains("\"involvedObject\"") { event.to_string() } else { fact.to_string() }
    })?;
    let at = event.timestamp;
    match observe(&args.cluster, line, at).map_err(|error| error.to_string())? {
        Ingested::Fact(fact) => Ok(Some(*fact)),
        _ => Ok(None),
    }
}

struct Replayed {
    brain: Brain,
    format: Format,
    out: Out,
    now: Option<DateTime<Utc>>,
    commits: BTreeSet<CommitId>,
    transitions: Vec<Transition>,
}

impl Replayed {
    fn take(&mut self, fact: &Fact, number: usize) {
        let now = self.now.max(Some(fact.at)).unwrap_or(fact.at);
        self.pass_time(now);
        let effects = self.brain.apply(fact, now);
        self.now = Some(now);
        let text = match &fact.body {
            FactBody::Observed(observation) => {
                self.commits.extend(observation.commit());
                let proof = observation.proof().map_or("nothing".to_owned(), |p| format!("{p:?}"));
                let revision = observation.revision_text().map(short_revision);
                format!(
                    "{}: {} {} proves {proof} at {}",
                    observation.object,
                    observation.severity.as_str(),
                    one_line(&observation.reason),
                    revision.as_deref().unwrap_or("no revision"),
                )
            }
            FactBody::Registered(registration) => {
                format!("registered {} in {}", registration.commit, registration.environment)
            }
            FactBody::Ancestry(ancestry) => {
                format!("ancestry of {} commits", ancestry.parents.len() + ancestry.contains.len())
            }
            FactBody::Settled(settlement) => format!(
                "settled {} in {}: {}",
                short(&settlement.commit.to_string()),
                settlement.environment,
                settlement.outcome
            ),
            FactBody::Removed { reconciler } => format!("removed {reconciler}"),
            FactBody::Forgotten { before } => format!("forgot everything before {}", time(*before)),
            _ => "a fact".to_owned(),
        };
        self.say(number, &text);
        self.tell(effects);
    }

    /// What time alone changed before a fact.
    fn pass_time(&mut self, now: DateTime<Utc>) {
        while let Some(due) = self.brain.next_deadline().filter(|due| *due < now) {
            let effects = self.brain.expire(due);
            self.now = self.now.max(Some(due));
            self.tell(effects);
            if self.brain.next_deadline().is_some_and(|next| next <= due) {
                break;
            }
        }
    }

    fn tell(&mut self, effects: Effects) {
        for transition in &effects.transitions {
            if self.format == Format::Text {
                self.out.line(format!(
                    "      {} → {} {} in {}: {} ({}): {}",
                    time(transition.at),
                    short(&transition.commit.to_string()),
                    transition.to.state,
                    transition.environment,
                    transition.to.outcome,
                    transition.reason,
                    one_line(&transition.message),
                ));
            }
        }
        self.transitions.extend(effects.transitions);
    }

    fn say(&mut self, number: usize, text: &str) {
        if self.format == Format::Text {
            let at = self.now.map(time).unwrap_or_default();
            self.out.line(format!("{number:>4}  {at} {text}"));
        }
    }

    /// Where everything stands at the time of the last line.
    fn end(mut self) -> Result<Exit, Failure> {
        let statuses = self.now.map(|now| self.statuses(now)).unwrap_or_default();
        match self.format {
            Format::Json => {
                let value = json!({ "transitions": self.transitions, "statuses": statuses });
                output::json_value(&mut self.out, Format::Json, &value);
            }
            Format::Jsonl => {
                for transition in &self.transitions {
                    let line = json!({ "type": "transition", "transition": transition });
                    self.out.line(line.to_string());
                }
                for status in &statuses {
                    self.out.line(json!({ "type": "status", "status": status }).to_string());
                }
            }
            Format::Text => {
                self.out.line("");
                for status in &statuses {
                    self.out.line(format!(
                        "{} in {}: {} ({}): {}",
                        short(&status.commit.to_string()),
                        status.environment,
                        status.state,
                        status.outcome,
                        one_line(&status.message)
                    ));
                }
            }
        }
        self.out.finish()?;
        Ok(Exit::Succeeded)
    }

    fn statuses(&self, now: DateTime<Utc>) -> Vec<Status> {
        let mut statuses = self.brain.rollouts(&Default::default(), now);
        let registered: BTreeSet<_> =
            statuses.iter().map(|status| (status.environment.clone(), status.commit)).collect();
        let seen = self.commits.iter().flat_map(|commit| self.brain.statuses(*commit, now));
        statuses.extend(
            seen.filter(|status| {
                !registered.contains(&(status.environment.clone(), status.commit))
            }),
        );
        statuses
    }
}

fn time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}
