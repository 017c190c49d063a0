//! A wait on a terminal: one line per reconciler that changes in place.

use std::{collections::BTreeMap, time::Duration};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::{
    args::Format,
    exit::Failure,
    out::Out,
    output::{Reporter, conclude, verdict::progress, wants_colour},
    status::Answer,
    text::one_line,
    wait::Ended,
};

/// The most lines on the screen.
const MAX_LINES: usize = 20;

#[derive(Debug)]
pub(crate) struct Live {
    format: Format,
    out: Out,
    screen: MultiProgress,
    /// Whether there are several, so that a line must say which it is of.
    many: bool,
    colour: bool,
    lines: BTreeMap<(String, String), ProgressBar>,
}

impl Live {
    pub(crate) fn new(format: Format, mut out: Out, title: &str, environments: usize) -> Self {
        out.line(title);
        let colour = wants_colour(&out);
        let target = match format {
            Format::Text => ProgressDrawTarget::stdout(),
            Format::Json | Format::Jsonl => ProgressDrawTarget::stderr(),
        };
        let screen = MultiProgress::with_draw_target(target);
        Self { format, out, screen, many: environments > 1, colour, lines: BTreeMap::new() }
    }

    fn show(&mut self, environment: &str, name: &str, text: &str) {
        let key = (environment.to_owned(), name.to_owned());
        if !self.lines.contains_key(&key) {
            if self.lines.len() >= MAX_LINES {
                return;
            }
            let line = self.screen.add(ProgressBar::new_spinner());
            if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed:>4}  {wide_msg}") {
                line.set_style(style);
            }
            line.enable_steady_tick(Duration::from_millis(250));
            self.lines.insert(key.clone(), line);
        }
        if let Some(line) = self.lines.get(&key) {
            line.set_message(if self.many {
                format!("{environment}  {text}")
            } else {
                text.to_owned()
            });
        }
    }
}

impl Reporter for Live {
    fn note(&mut self, environment: Option<&str>, note: &str) {
        let line = format!("{}: {}", environment.unwrap_or("note"), one_line(note));
        // A terminal that cannot be written to is told of at the end.
        let _ = self.screen.println(line);
    }

    fn status(&mut self, answer: &Answer) {
        let status = &answer.status;
        let environment = one_line(&status.environment);
        let of_the_whole = matches!(status.reason.as_str(), "learning" | "no_match_yet");
        if status.reconcilers.is_empty() || of_the_whole {
            self.show(&environment, "", &one_line(&status.message));
        } else if let Some(line) = self.lines.remove(&(environment.clone(), String::new())) {
            line.finish_and_clear();
        }
        for reconciler in &status.reconcilers {
            let name = one_line(&reconciler.reconciler);
            let text = progress(reconciler, self.colour);
            self.show(&environment, &name, &text);
        }
    }

    fn finish(self: Box<Self>, ended: &[Ended]) -> Result<(), Failure> {
        let Self { format, mut out, screen, lines, .. } = *self;
        let last: Vec<_> = lines.values().map(ProgressBar::message).collect();
        for line in lines.values() {
            line.finish_and_clear();
        }
        drop((lines, screen));
        for line in last {
            out.line(format!("  {line}"));
        }
        conclude(format, out, ended)
    }
}
