//! What GitHub Actions wants to know: annotations, a summary, outputs.

use std::{
    env,
    fs::OpenOptions,
    io::Write as _,
    path::{Path, PathBuf},
};

use crate::{
    exit::{Exit, Failure},
    output::verdict::{fields, headline, reason, remedies, word},
    text::{one_line, short, short_revision},
    wait::Ended,
};

/// A job of GitHub Actions.
#[derive(Debug)]
pub(crate) struct Actions {
    summary: Option<PathBuf>,
    output: Option<PathBuf>,
}

impl Actions {
    /// The job that this process is a step of, if it is one.
    pub(crate) fn detect() -> Option<Self> {
        let path = |name| env::var_os(name).filter(|path| !path.is_empty()).map(PathBuf::from);
        env::var_os("GITHUB_ACTIONS").filter(|value| value == "true")?;
        Some(Self { summary: path("GITHUB_STEP_SUMMARY"), output: path("GITHUB_OUTPUT") })
    }

    /// An error annotation for each that did not succeed.
    pub(crate) fn annotations(&self, ended: &[Ended]) -> Vec<String> {
        ended
            .iter()
            .filter(|ended| ended.exit != Exit::Succeeded)
            .map(|ended| {
                let mut text = reason(ended);
                for remedy in remedies(ended) {
                    text.push_str(&format!("\nremedy: {remedy}"));
                }
                format!("::error title={}::{}", property(&headline(ended)), data(&text))
            })
            .collect()
    }

    /// Writes the summary and the outputs.
    pub(crate) fn conclude(&self, ended: &[Ended]) -> Result<(), Failure> {
        if let Some(path) = &self.summary {
            append(path, &summary(ended))?;
        }
        if let (Some(path), Some(worst)) =
            (&self.output, ended.iter().max_by_key(|ended| ended.exit))
        {
            append(path, &outputs(worst))?;
        }
        Ok(())
    }
}

fn append(path: &Path, text: &str) -> Result<(), Failure> {
    let written = OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    written
        .map_err(|error| Failure::internal(format!("cannot write to {}: {error}", path.display())))
}

/// The outputs of the step: one line each, so none can add another.
fn outputs(ended: &Ended) -> String {
    fields(ended).iter().map(|(name, value)| format!("{name}={value}\n")).collect()
}

fn summary(ended: &[Ended]) -> String {
    let mut text = String::from(
        "### gitops-brain\n\n| environment | commit | outcome | reconciler | state | live | why |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for ended in ended {
        let outcome = match ended.exit {
            Exit::Succeeded => "✅ succeeded".to_owned(),
            exit => format!("❌ {}", word(exit)),
        };
        let reconcilers = ended.answer.iter().flat_map(|answer| &answer.status.reconcilers);
        let mut rows = reconcilers
            .map(|reconciler| {
                let live = reconciler.head.as_deref().map(short_revision).unwrap_or_default();
                [&*reconciler.reconciler, &reconciler.state, &live, &reconciler.message].map(cell)
            })
            .collect::<Vec<_>>();
        if rows.is_empty() {
            rows.push(["", "", "", &reason(ended)].map(cell));
        }
        for row in rows {
            let environment = cell(&ended.environment);
            let commit = short(&ended.commit);
            let row = row.join(" | ");
            text.push_str(&format!("| {environment} | `{commit}` | {outcome} | {row} |\n"));
        }
        for remedy in remedies(ended) {
            text.push_str(&format!("| | | | | | | {} |\n", cell(&format!("remedy: {remedy}"))));
        }
    }
    text.push('\n');
    text
}

/// Text in a cell of a Markdown table, with nothing in it that Markdown or HTML would act on.
fn cell(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in one_line(text).chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            // `@name` would call somebody.
            '@' => escaped.push_str("&#64;"),
            '|' | '\\' | '`' | '*' | '_' | '[' | ']' | '!' | '~' => {
                escaped.push('\\');
                escaped.push(c);
            }
            c => escaped.push(c),
        }
    }
    escaped
}

/// The text of a workflow command, as GitHub's own toolkit escapes it.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A property of a workflow command.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workflow_commands_are_escaped() {
        assert_eq!(data("100%\nx: y"), "100%25%0Ax: y");
        assert_eq!(property("a: b, c"), "a%3A b%2C c");
    }

    #[test]
    fn cells_stay_cells() {
        assert_eq!(cell("a|b\n<img> @all `x`"), "a\\|b &lt;img&gt; &#64;all \\`x\\`");
    }
}
