//! The end of a wait, in words.

use serde_json::{Value, json};

use crate::{
    exit::Exit,
    status::{Reconciler, Status},
    text::{self, elapsed, one_line, short, short_revision},
    wait::Ended,
};

/// The most reconcilers that are told about in full.
const MAX_TOLD: usize = 10;

/// What happened, in a word.
pub(crate) fn word(exit: Exit) -> &'static str {
    match exit {
        Exit::Succeeded => "succeeded",
        Exit::Failed => "failed",
        Exit::TimedOut => "timed out",
        Exit::NotAllowed => "not allowed",
        Exit::Unreachable => "cannot reach the server",
        Exit::Unanswerable => "cannot be answered",
        Exit::Usage => "cannot be asked",
        Exit::Internal => "internal error",
    }
}

/// What happened, in a line.
pub(crate) fn headline(ended: &Ended) -> String {
    format!(
        "{}: {} in {} after {}",
        word(ended.exit),
        short(&ended.commit),
        ended.environment,
        elapsed(ended.after)
    )
}

/// Why, in a line.
pub(crate) fn reason(ended: &Ended) -> String {
    let status = ended.answer.as_ref().map(|answer| one_line(&answer.status.message));
    match (&ended.message, status) {
        (Some(message), Some(status)) => format!("{}: {status}", one_line(message)),
        (Some(message), None) => one_line(message),
        (None, Some(status)) => status,
        (None, None) => word(ended.exit).to_owned(),
    }
}

/// What somebody could do about it.
pub(crate) fn remedies(ended: &Ended) -> Vec<String> {
    let status = ended.answer.as_ref().filter(|_| ended.exit != Exit::Succeeded);
    let of_status = status.and_then(|answer| answer.status.remedy.as_deref()).map(one_line);
    of_status.into_iter().chain(ended.remedy.clone()).collect()
}

/// Everything that is to be said at the end.
pub(crate) fn lines(ended: &Ended, colour: bool) -> Vec<String> {
    let headline = headline(ended);
    let headline = match (colour, ended.exit) {
        (false, _) => headline,
        (true, Exit::Succeeded) => format!("\u{1b}[1;32m{headline}\u{1b}[0m"),
        (true, _) => format!("\u{1b}[1;31m{headline}\u{1b}[0m"),
    };
    std::iter::once(headline).chain(details(ended)).collect()
}

fn details(ended: &Ended) -> Vec<String> {
    let reconcilers = ended.answer.iter().flat_map(|answer| &answer.status.reconcilers);
    let failed = reconcilers.filter(|reconciler| reconciler.state == "failed");
    let mut told: Vec<_> = match ended.exit {
        Exit::Failed => failed.take(MAX_TOLD).flat_map(failure).collect(),
        _ => Vec::new(),
    };
    if told.is_empty() {
        told.push(format!("  {}", reason(ended)));
    }
    told.extend(remedies(ended).into_iter().map(|remedy| format!("  remedy: {remedy}")));
    told
}

/// A failure in Flux's own words.
fn failure(reconciler: &Reconciler) -> Vec<String> {
    let mut told = vec![format!("  reconciler  {}", one_line(&reconciler.reconciler))];
    if let Some(head) = &reconciler.head {
        told.push(format!("  revision    {}", one_line(head)));
    }
    if let Some(via) = &reconciler.via {
        told.push(format!("  via         {}, which contains this commit", one_line(via)));
    }
    if let Some(since) = &reconciler.failed_at {
        told.push(format!("  since       {}", one_line(since)));
    }
    if let Some(event) = &reconciler.event {
        told.push(format!("  reason      {} ({})", one_line(&event.reason), one_line(&event.at)));
        told.extend(text::lines(&event.message).map(|line| format!("  | {line}")));
    }
    told
}

/// The end in words that programs know: a name, and a line of text.
pub(crate) fn fields(ended: &Ended) -> [(&'static str, String); 6] {
    let status = ended.answer.as_ref().map(|answer| &answer.status);
    // The outcome is that of this wait, which may know better than the last answer.
    let outcome = match ended.exit {
        Exit::Succeeded => "succeeded",
        Exit::Failed => "failed",
        Exit::TimedOut => "timed_out",
        _ => "in_progress",
    };
    [
        ("outcome", outcome.to_owned()),
        ("state", status.map_or(String::new(), |status| one_line(&status.state))),
        ("reason", status.map_or(String::new(), |status| one_line(&status.reason))),
        ("commit", ended.commit.clone()),
        ("via", one_line(status.and_then(Status::successor).unwrap_or_default())),
        ("url", one_line(&ended.url)),
    ]
}

/// The end for programs: the server's last answer, or why there is none.
pub(crate) fn json(ended: &Ended) -> Value {
    match &ended.answer {
        Some(answer) => answer.raw.clone(),
        None => json!({
            "environment": ended.environment,
            "commit": ended.commit,
            "error": reason(ended),
            "exit_code": ended.exit.code(),
        }),
    }
}

/// A reconciler's place in a line, with what matters most at its beginning: a terminal cuts the end.
pub(crate) fn progress(reconciler: &Reconciler, colour: bool) -> String {
    let state = one_line(&reconciler.state);
    let code = match (colour, &*state) {
        (false, _) => None,
        (true, "healthy") => Some(32),
        (true, "applied") => Some(34),
        (true, "failed") => Some(31),
        (true, _) => Some(2),
    };
    let padded = format!("{state:<8}");
    let mut line = match code {
        Some(code) => format!("\u{1b}[{code}m{padded}\u{1b}[0m"),
        None => padded,
    };
    let reason = one_line(&reconciler.reason).replace('_', " ");
    // What succeeded or failed says so already.
    let reason = if matches!(&*reason, "succeeded" | "failed") { "" } else { &reason };
    line.push_str(&format!("{reason:<16} {}", one_line(&reconciler.reconciler)));
    if let Some(head) = &reconciler.head {
        line.push_str(&format!(" ({} is live)", short_revision(head)));
    }
    line
}
