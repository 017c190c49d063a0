//! How results look.

pub(crate) mod dotenv;
mod github;
mod lines;
mod live;
mod log;
mod system;
mod table;
mod verdict;

use gitops_brain::{CommitId, EnvironmentName};
use serde_json::Value;

pub(crate) use self::table::Table;
use self::{lines::Lines, live::Live, log::Log, system::System};
use crate::{args::Format, exit::Failure, out::Out, status::Answer, wait::Ended};

/// Shows how a wait goes on.
pub(crate) trait Reporter {
    /// Something beside the status.
    fn note(&mut self, environment: Option<&str>, note: &str);
    /// A status, perhaps the one that was shown already.
    fn status(&mut self, answer: &Answer);
    /// The end.
    fn finish(self: Box<Self>, ended: &[Ended]) -> Result<(), Failure>;
}

/// The reporter for where the output goes: a terminal, a CI system's log, or a program.
pub(crate) fn reporter(
    format: Format,
    environments: &[EnvironmentName],
    commit: CommitId,
) -> Box<dyn Reporter> {
    let out = match format {
        Format::Text => Out::stdout(),
        Format::Json | Format::Jsonl => Out::stderr(),
    };
    let names: Vec<_> = environments.iter().map(EnvironmentName::as_str).collect();
    let title = format!("waiting for {commit} in {}", names.join(", "));
    let people: Box<dyn Reporter> = if out.is_terminal {
        Box::new(Live::new(format, out, &title, environments.len()))
    } else {
        Box::new(Log::new(format, out, &title, System::detect()))
    };
    if format == Format::Jsonl { Box::new(Lines::new(people)) } else { people }
}

/// Answers as JSON: one as it is, several as an array.
pub(crate) fn json(out: &mut Out, format: Format, answers: &[Answer]) {
    match answers {
        [only] => json_value(out, format, &only.raw),
        all => json_value(out, format, &all.iter().map(|answer| answer.raw.clone()).collect()),
    }
}

/// A value as JSON: for people to read as well, or each of a list on a line of its own.
pub(crate) fn json_value(out: &mut Out, format: Format, value: &Value) {
    match (format, value) {
        (Format::Jsonl, Value::Array(items)) => {
            items.iter().for_each(|item| out.line(item.to_string()))
        }
        (Format::Jsonl, value) => out.line(value.to_string()),
        _ => out.line(serde_json::to_string_pretty(value).unwrap_or_default()),
    }
}

/// Whether colours are wanted (<https://no-color.org>).
fn wants_colour(out: &Out) -> bool {
    let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    out.is_terminal && !no_colour && !is_dumb
}

/// The end of a wait, for whom it is printed.
fn conclude(format: Format, mut out: Out, ended: &[Ended]) -> Result<(), Failure> {
    let colour = wants_colour(&out);
    for ended in ended {
        for line in verdict::lines(ended, colour) {
            out.line(line);
        }
    }
    out.finish()?;
    if format == Format::Json {
        let mut stdout = Out::stdout();
        let answers: Vec<_> = ended.iter().map(verdict::json).collect();
        match <[Value; 1]>::try_from(answers) {
            Ok([only]) => json_value(&mut stdout, format, &only),
            Err(all) => json_value(&mut stdout, format, &Value::Array(all)),
        }
        stdout.finish()?;
    }
    Ok(())
}
