//! Facts out of a journal, and into one.

use std::{
    io::{self, BufRead as _, BufWriter, Write as _},
    sync::Arc,
};

use gitops_brain::Fact;
use gitops_brain_journal::{Journal, JournalError};
use gitops_brain_server::{Database, ServeError, open};
use tokio::runtime::{Builder, Runtime};

use crate::{
    args::{Export, Import},
    exit::{Exit, Failure},
    input,
};

/// How many facts are read and stored at a time.
const BATCH: usize = 2_000;

pub(crate) fn export(args: &Export) -> Result<Exit, Failure> {
    if let Database::Sqlite(path) = &args.database
        && !path.exists()
    {
        return Err(Failure::usage(format!("there is no journal at {}", path.display())));
    }
    let runtime = runtime()?;
    let journal = runtime.block_on(open(&args.database)).map_err(not_opened)?;
    let mut out = BufWriter::new(io::stdout().lock());
    let (mut position, mut count) = (0, 0_usize);
    loop {
        let entries = runtime.block_on(journal.read_after(position, BATCH)).map_err(not_usable)?;
        let Some(last) = entries.last() else { break };
        position = last.position;
        count += entries.len();
        for entry in &entries {
            writeln!(out, "{}", entry.fact.to_line()).map_err(cannot_write)?;
        }
    }
    out.flush().map_err(cannot_write)?;
    close(&runtime, &*journal)?;
    tell(format!("{count} facts"));
    Ok(Exit::Succeeded)
}

pub(crate) fn import(args: &Import) -> Result<Exit, Failure> {
    let runtime = runtime()?;
    let journal: Arc<dyn Journal> = runtime.block_on(open(&args.database)).map_err(not_opened)?;
    let (mut new, mut known) = (0_usize, 0_usize);
    let mut batch = Vec::new();
    let mut store = |batch: &mut Vec<Fact>| {
        let appended = runtime.block_on(journal.append(batch)).map_err(not_usable)?;
        new += appended.iter().filter(|appended| appended.new).count();
        known += appended.iter().filter(|appended| !appended.new).count();
        batch.clear();
        Ok::<_, Failure>(())
    };
    for (line, number) in input::open(&args.file)?.lines().zip(1_usize..) {
        let line = line.map_err(|error| input::cannot_read(&args.file, &error))?;
        if line.trim().is_empty() {
            continue;
        }
        let fact = Fact::from_line(&line).map_err(|error| {
            // What stands before it is stored: to import all of it again does no harm.
            Failure::usage(format!("{} line {number}: {error}", args.file.display()))
        })?;
        batch.push(fact);
        if batch.len() == BATCH {
            store(&mut batch)?;
        }
    }
    store(&mut batch)?;
    close(&runtime, &*journal)?;
    tell(format!("{new} facts stored, {known} were there"));
    Ok(Exit::Succeeded)
}

fn runtime() -> Result<Runtime, Failure> {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::internal(format!("cannot start: {error}")))
}

fn close(runtime: &Runtime, journal: &dyn Journal) -> Result<(), Failure> {
    runtime.block_on(journal.close()).map_err(not_usable)
}

/// What happened, beside what a program reads.
fn tell(what: String) {
    // Nothing is lost if nobody reads it.
    let _ = writeln!(io::stderr(), "{what}");
}

fn not_opened(error: ServeError) -> Failure {
    Failure::new(Exit::Unreachable, error.to_string())
}

fn not_usable(error: JournalError) -> Failure {
    Failure::new(Exit::Unreachable, error.to_string())
}

fn cannot_write(error: io::Error) -> Failure {
    Failure::internal(format!("cannot write: {error}"))
}
