//! The conformance vectors of `tests/vectors`: reading them, and running them against the Rust core.
//!
//! `tests/vectors/README.md` describes the format. Python and Node run the same files.

#![forbid(unsafe_code)]

mod cases;
pub mod git_http;
pub mod kustomization_event;
pub mod postgres;
pub mod process;
pub mod random;
mod reader;
pub mod replay;
mod scenario;
pub mod simulator;
mod truth;

// The public interface is:
pub use crate::{
    reader::{File, Kind, Problem, read_all, read_file},
    scenario::{Player, Scenario},
    truth::{Claim, Truth, TruthCase},
};

/// Runs each case of a file and returns what is wrong, each with the name of its case.
///
/// A truth file has nothing to run by itself: it is held against the scenario that it names.
pub fn run(file: &File) -> Vec<Problem> {
    file.cases
        .iter()
        .flat_map(|case| {
            let problems = match file.kind {
                Kind::Signatures => cases::signature(case),
                Kind::Events => cases::event(case),
                Kind::Revisions => cases::revision(case),
                Kind::Observations => cases::observation(case),
                Kind::Scenarios => Scenario::read(case).and_then(|scenario| scenario.run()),
                Kind::Truth => TruthCase::read(case).map(|_| ()),
            };
            let problems = problems.err().unwrap_or_default();
            problems.into_iter().map(|what| Problem::new(file, case, what)).collect::<Vec<_>>()
        })
        .collect()
}
