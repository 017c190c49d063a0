//! How results look.

mod github;
mod live;
mod log;
mod table;
mod verdict;

use gitops_brain::{CommitId, EnvironmentName};
use serde_json::Value;

pub(crate) use self::table::Table;
use self::{github::Actions, live::Live, log::Log};
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
        Format::Json => Out::stderr(),
    };
    let environments: Vec<_> = environments.iter().map(EnvironmentName::as_str).collect();
    let title = format!("waiting for {commit} in {}", environments.join(", "));
    if out.is_terminal {
        return Box::new(Live::new(format, out, &title));
    }
    Box::new(Log::new(format, out, &title, Actions::detect()))
}

/// Answers as JSON: one as it is, several as an array.
pub(crate) fn json(out: &mut Out, answers: &[Answer]) {
    match answers {
        [only] => json_value(out, &only.raw),
        all => json_value(out, &all.iter().map(|answer| answer.raw.clone()).collect()),
    }
}

pub(crate) fn json_value(out: &mut Out, value: &Value) {
    out.line(serde_json::to_string_pretty(value).unwrap_or_default());
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
            Ok([only]) => json_value(&mut stdout, &only),
            Err(all) => json_value(&mut stdout, &Value::Array(all)),
        }
        stdout.finish()?;
    }
    Ok(())
}
