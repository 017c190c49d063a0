//! Questions that are answered at once: `status`, `history`, `reconcilers`.

use std::time::Duration;

use gitops_brain::EnvironmentName;
use serde::Deserialize as _;
use serde_json::Value;

use crate::{
    args::{Format, Global, History, Reconcilers},
    client::{Client, encode},
    commit::Found,
    exit::{Exit, Failure},
    out::Out,
    output::{self, Table},
    status::{self, Answer, Report},
    text::{one_line, short, short_revision},
};

/// The shortest beginning of a commit id that a server takes.
const MIN_PREFIX: usize = 7;

pub(crate) fn status(
    commit: &str,
    environments: &[EnvironmentName],
    global: &Global,
) -> Result<Exit, Failure> {
    let client = Client::new(&global.url, global.token.as_deref())?;
    let commit = match Found::find(commit, global) {
        Ok(found) => found.commit.to_string(),
        // The server may know a commit that no checkout has.
        Err(_) if is_prefix(commit) => commit.to_ascii_lowercase(),
        Err(failure) => return Err(failure),
    };
    let answers = if environments.is_empty() {
        let answer = client.get(&format!("/v1/commits/{commit}"), Duration::ZERO)?;
        status::list(&answer).iter().cloned().map(Answer::read).collect()
    } else {
        environments
            .iter()
            .map(|environment| {
                let path = format!("/v1/rollouts/{environment}/{commit}");
                Answer::read(client.get(&path, Duration::ZERO)?)
            })
            .collect::<Result<Vec<_>, _>>()
    }?;
    let mut out = Out::stdout();
    match global.output {
        format @ (Format::Json | Format::Jsonl) if environments.is_empty() => {
            let all = answers.into_iter().map(|answer| answer.raw).collect();
            output::json_value(&mut out, format, &all);
        }
        format @ (Format::Json | Format::Jsonl) => output::json(&mut out, format, &answers),
        Format::Text if answers.is_empty() => {
            out.line("no environment and no cluster is known yet");
        }
        Format::Text => answers.iter().for_each(|answer| show(&mut out, answer)),
    }
    out.finish()?;
    Ok(Exit::Succeeded)
}

fn show(out: &mut Out, answer: &Answer) {
    let status = &answer.status;
    let registered = if status.registered { "" } else { ", never registered" };
    out.line(format!(
        "{} in {}: {} ({}, requires {}{registered})",
        short(&status.commit),
        one_line(&status.environment),
        status.outcome.as_str(),
        one_line(&status.state),
        one_line(&status.require),
    ));
    out.line(format!("  {}", one_line(&status.message)));
    if let Some(remedy) = &status.remedy {
        out.line(format!("  remedy: {}", one_line(remedy)));
    }
    for reconciler in &status.reconcilers {
        let name = one_line(&reconciler.reconciler);
        out.line(format!("  {:<8} {name}", one_line(&reconciler.state)));
        if status.reconcilers.len() > 1 {
            out.line(format!("           {}", one_line(&reconciler.message)));
        }
    }
}

pub(crate) fn history(args: &History, global: &Global) -> Result<Exit, Failure> {
    let mut path = format!("/v1/rollouts?limit={}", args.limit);
    if let Some(environment) = &args.environment {
        path.push_str(&format!("&environment={environment}"));
    }
    if let Some(outcome) = args.outcome {
        path.push_str(&format!("&outcome={}", outcome.as_str()));
    }
    for (name, value) in &args.label {
        path.push_str(&format!("&label={}", encode(&format!("{name}={value}"))));
    }
    list(&path, global, |answer| {
        let mut table =
            Table::new(&["registered", "environment", "commit", "outcome", "state", "labels"]);
        for rollout in status::list(answer) {
            let status = Answer::read(rollout.clone())?.status;
            let labels: Vec<_> =
                status.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
            table.row(vec![
                one_line(status.registered_at.as_deref().unwrap_or("-")),
                one_line(&status.environment),
                short(&status.commit).to_owned(),
                outcome(&status),
                one_line(&status.state),
                one_line(&labels.join(" ")),
            ]);
        }
        Ok(table)
    })
}

/// The outcome as it is, and as it was told first if that is another.
fn outcome(status: &status::Status) -> String {
    let outcome = status.outcome.as_str();
    match status.first_settled {
        Some(first) if first.outcome != status.outcome => {
            format!("{outcome} (first {})", first.outcome.as_str())
        }
        _ => outcome.to_owned(),
    }
}

pub(crate) fn reconcilers(args: &Reconcilers, global: &Global) -> Result<Exit, Failure> {
    let mut filters = Vec::new();
    filters.extend(args.environment.iter().map(|name| format!("environment={name}")));
    filters.extend(args.cluster.iter().map(|name| format!("cluster={name}")));
    let mut path = "/v1/reconcilers".to_owned();
    if !filters.is_empty() {
        path.push_str(&format!("?{}", filters.join("&")));
    }
    list(&path, global, |answer| {
        let mut table = Table::new(&[
            "reconciler",
            "state",
            "live",
            "health checks",
            "last heard",
            "last event",
        ]);
        for report in status::list(answer) {
            let report = Report::deserialize(report)
                .map_err(|error| Failure::internal(format!("the server's answer: {error}")))?;
            let state = match (report.removed, report.deleted) {
                (true, _) => "removed",
                (_, true) => "deleted",
                _ => &report.state,
            };
            table.row(vec![
                one_line(&report.reconciler),
                one_line(state),
                report.head.as_deref().map_or("-".to_owned(), short_revision),
                one_line(&report.health_checks.verdict),
                one_line(report.last_heard_at.as_deref().unwrap_or("-")),
                report.event.map_or("-".to_owned(), |event| one_line(&event.reason)),
            ]);
        }
        Ok(table)
    })
}

/// Asks for a list, and prints it as it came or as a table.
pub(crate) fn list(
    path: &str,
    global: &Global,
    table: impl FnOnce(&Value) -> Result<Table, Failure>,
) -> Result<Exit, Failure> {
    let client = Client::new(&global.url, global.token.as_deref())?;
    let answer = client.get(path, Duration::ZERO)?;
    let mut out = Out::stdout();
    match global.output {
        Format::Text => table(&answer)?.print(&mut out),
        Format::Json => output::json_value(&mut out, Format::Json, &answer),
        Format::Jsonl => {
            let items = Value::Array(status::list(&answer).to_vec());
            output::json_value(&mut out, Format::Jsonl, &items);
        }
    }
    out.finish()?;
    Ok(Exit::Succeeded)
}

fn is_prefix(text: &str) -> bool {
    text.len() >= MIN_PREFIX && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
