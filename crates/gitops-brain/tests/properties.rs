//! What holds of every brain, whatever the facts: order, repetition and place do not matter, and a
//! naive model of the design says the same.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]

mod model;
mod strategies;

use gitops_brain::{Brain, Fact, Policy, Query};
use model::{Answer, Model};
use proptest::prelude::*;
use strategies::{commits, environments, instants, start, world};

fn brain(policy: &Policy, facts: &[Fact]) -> Brain {
    let mut brain = Brain::new(policy.clone());
    brain.load(facts.iter().cloned());
    brain
}

fn queries() -> impl Iterator<Item = Query> {
    environments().into_iter().flat_map(|environment| {
        commits().map(move |commit| Query::new(environment.clone(), commit))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// The brain keeps maxima and minima as facts come; the model looks at the whole list.
    #[test]
    fn the_brain_agrees_with_the_model(world in world(), now in instants()) {
        let brain = brain(&world.policy, &world.facts);
        let model = Model::new(&world.policy, &world.facts);
        for query in queries() {
            let Ok(status) = brain.status(&query, now) else { panic!() };
            let expected = model.status(&query, now);
            prop_assert_eq!(
                Answer::from(&status), expected,
                "{}: c{} in {} at {}",
                status.message,
                commits().position(|commit| commit == query.commit).unwrap(),
                query.environment,
                now - start(),
            );
        }
    }
}
