//! The brain in a plain loop: reads Flux's events from a file, one JSON body per line, and tells what
//! becomes of a commit.
//!
//! ```sh
//! cargo run --example file -- events.jsonl staging 5394cb7f48332b2de7c17dd8b8384bbc84b7e738
//! ```
#![expect(clippy::print_stdout, reason = "an example that prints")]
#![expect(clippy::disallowed_methods, reason = "the host does the I/O")]

use std::{
    env,
    error::Error,
    fs::File,
    io::{BufRead as _, BufReader},
    time::Duration,
};

use chrono::{DateTime, Utc};
use gitops_brain::{
    Brain, ClusterName, Environment, Event, Fact, FactBody, Ingested, Policy, Query, Registration,
    observe,
};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [file, cluster, commit] = &*arguments else {
        return Err("usage: file EVENTS.jsonl CLUSTER COMMIT".into());
    };
    let cluster: ClusterName = cluster.parse()?;
    let query = Query::new(cluster.as_str().parse()?, commit.parse()?);

    let mut brain = Brain::new(Policy::default());
    let mut now = DateTime::<Utc>::UNIX_EPOCH;
    for line in BufReader::new(File::open(file)?).lines() {
        let line = line?;
        // A server would take its clock; here the events bring the time with them.
        now = Event::parse(line.as_bytes())?.timestamp.max(now);
        if brain.rollouts(&Default::default(), now).is_empty() {
            // The file is all there is: no reconciler will report later.
            let declared = Environment::default().learning(Duration::ZERO);
            let registration =
                Registration::new(query.environment.clone(), query.commit, &declared);
            brain.apply(&Fact::new(now, FactBody::Registered(registration)), now);
        }
        match observe(&cluster, line.as_bytes(), now)? {
            Ingested::Fact(fact) => {
                for transition in brain.apply(&fact, now).transitions {
                    let (state, outcome) = (transition.to.state, transition.to.outcome);
                    println!("{now}  {state:<8} {outcome:<12} {}", transition.message);
                }
            }
            Ingested::Ignored(why) => println!("{now}  {why}"),
            _ => {}
        }
    }
    let status = brain.status(&query, now)?;
    println!("{}: {}", status.outcome, status.message);
    Ok(())
}
