//! Lives through many worlds: `simulate FIRST COUNT`. Prints what was found, and ends with 1 if anything an
//! answer said is not so.

use std::{
    env,
    io::{self, Write as _},
    process::ExitCode,
};

use gitops_brain_tests::simulator::{Summary, run_all};

fn main() -> io::Result<ExitCode> {
    let mut numbers = env::args().skip(1).map(|text| text.parse::<u64>());
    let (Some(Ok(first)), Some(Ok(count)), None) = (numbers.next(), numbers.next(), numbers.next())
    else {
        writeln!(io::stderr(), "usage: simulate FIRST COUNT")?;
        return Ok(ExitCode::from(2));
    };
    let Summary { total, shortest, seeds, .. } = run_all(first, count);
    writeln!(io::stdout(), "{count} worlds from {first} on: {total}")?;
    for what in seeds.values() {
        writeln!(io::stdout(), "{what}")?;
    }
    let Some(shortest) = shortest else { return Ok(ExitCode::SUCCESS) };
    writeln!(io::stdout(), "the shortest: {shortest}")?;
    Ok(ExitCode::FAILURE)
}
