//! The command line of gitops-brain: *is my commit live and healthy in that environment — yes, no,
//! or not yet, and why?*

#![forbid(unsafe_code)]

mod args;
mod client;
mod commit;
mod doctor;
mod exit;
mod git;
mod input;
mod journal;
mod manifests;
#[cfg(feature = "otlp")]
mod otlp;
mod out;
mod output;
mod register;
mod release;
mod replay;
mod send;
mod serve;
mod show;
mod statistics;
mod status;
mod text;
mod wait;

use std::{io::Write as _, process::ExitCode};

use clap::{CommandFactory as _, Parser as _};

use crate::{
    args::{Cli, Command},
    exit::{Exit, Failure},
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            // Where errors cannot be told, the exit code still tells.
            let _ = writeln!(std::io::stderr(), "gitops-brain: {failure}");
            failure.exit.into()
        }
    }
}

fn run(cli: &Cli) -> Result<Exit, Failure> {
    let global = &cli.global;
    match &cli.command {
        Command::Serve(args) => serve::run(args),
        Command::Wait(args) => wait::run(args, global),
        Command::Register(args) => register::run(args, global),
        Command::Release { command } => release::run(command, global),
        Command::Status(args) => show::status(&args.commit, &args.environment, global),
        Command::History(args) if args.stats => statistics::show(args, global),
        Command::History(args) => show::history(args, global),
        Command::Reconcilers(args) => show::reconcilers(args, global),
        Command::Doctor(args) => doctor::run(args, global),
        Command::Manifests(args) => manifests::run(args),
        Command::Replay(args) => replay::run(args, global),
        Command::Export(args) => journal::export(args),
        Command::Import(args) => journal::import(args),
        Command::Send(args) => send::run(args, global),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "gitops-brain", &mut script);
            // Nothing is lost if the reader went away.
            let _ = std::io::stdout().write_all(&script);
            Ok(Exit::Succeeded)
        }
    }
}
