//! The result of a wait as variables, for the jobs after it.

use std::{fs, path::Path};

use crate::{exit::Failure, output::verdict::fields, wait::Ended};

/// Writes the variables of the one that ended worst.
pub(crate) fn write(path: &Path, ended: &[Ended]) -> Result<(), Failure> {
    let Some(worst) = ended.iter().max_by_key(|ended| ended.exit) else { return Ok(()) };
    fs::write(path, variables(worst))
        .map_err(|error| Failure::internal(format!("cannot write {}: {error}", path.display())))
}

fn variables(ended: &Ended) -> String {
    let line = |(name, value): &(&str, String)| {
        // `GITOPS_BRAIN_URL` is the server, for the jobs after this one too.
        let name = if *name == "url" { "rollout_url" } else { *name };
        format!("GITOPS_BRAIN_{}={value}\n", name.to_ascii_uppercase())
    };
    fields(ended).iter().map(line).collect()
}
