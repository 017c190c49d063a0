//! Runs every vector of `tests/vectors` against the Rust core.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use gitops_brain::{Brain, CommitId, EnvironmentName, Fact, FactBody};
use gitops_brain_tests::{
    Claim, File, Kind, Player, Scenario, Truth, TruthCase, random::Random, read_all, read_file, run,
};
use serde_json::Value;

fn files() -> Vec<File> {
    read_all(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors")).unwrap()
}

fn cases_of(files: &[File], kind: Kind) -> impl Iterator<Item = &Value> {
    files.iter().filter(move |file| file.kind == kind).flat_map(|file| &file.cases)
}

fn id(case: &Value) -> &str {
    case["id"].as_str().unwrap()
}

#[test]
fn every_vector_holds() {
    let files = files();
    let mut problems = Vec::new();
    for kind in Kind::ALL {
        let of_kind = || files.iter().filter(|file| file.kind == kind);
        for file in of_kind() {
            problems.extend(run(file));
        }
        let cases = cases_of(&files, kind).count();
        println!("{}: {cases} cases in {} files", kind.folder(), of_kind().count());
    }
    for problem in &problems {
        println!("{problem}");
    }
    assert!(problems.is_empty(), "{} problems", problems.len());
}

/// The order in which facts arrive, and how often, makes no difference to where a rollout ends.
#[test]
fn facts_in_any_order_give_the_same_statuses() {
    let files = files();
    let mut count = 0;
    for case in cases_of(&files, Kind::Scenarios) {
        let scenario = Scenario::read(case).unwrap();
        let facts = scenario.facts().unwrap();
        let expected = scenario.answers(&scenario.brain_of(facts.clone())).unwrap();
        let mut orders = vec![facts.iter().rev().cloned().collect::<Vec<_>>()];
        orders.extend((1..=8).map(|seed| shuffled_with_repetition(&facts, seed)));
        for (order, facts) in orders.into_iter().enumerate() {
            let brain = scenario.brain_of(facts);
            assert_eq!(scenario.answers(&brain).unwrap(), expected, "{}, order {order}", id(case));
            // What a snapshot holds is enough.
            let again = scenario.brain_of(brain.facts());
            assert_eq!(scenario.answers(&again).unwrap(), expected, "{}, snapshot", id(case));
        }
        count += 1;
    }
    println!("{count} scenarios");
}

/// Never a false green: each `healthy` stands on what the API server knew at the time.
#[test]
fn every_healthy_is_true() {
    let files = files();
    let scenarios: BTreeMap<_, _> =
        cases_of(&files, Kind::Scenarios).map(|case| (id(case), case)).collect();
    let mut held = 0;
    for case in cases_of(&files, Kind::Truth) {
        let case = TruthCase::read(case).unwrap();
        let scenario = Scenario::read(scenarios[&*case.scenario]).unwrap();
        let truth = case.truth();
        let mut player = Player::new(&scenario).unwrap();
        let mut told = BTreeSet::new();
        while player.advance().unwrap() {
            check(truth, &case.scenario, &player.brain, &player.facts, &mut told);
        }
        assert!(
            truth.reconcilers().all(|name| Truth::heard(&player.facts, name).1.is_some()),
            "{}: an object was never heard of",
            case.scenario
        );
        // In another order less is known at each step: that must not make anything greener.
        for seed in 1..=4 {
            let mut brain = Brain::new(player.brain.policy().clone());
            let facts = shuffled_with_repetition(&player.facts, seed);
            for (place, fact) in facts.iter().enumerate() {
                brain.apply(fact, fact.at);
                check(truth, &case.scenario, &brain, &facts[..=place], &mut BTreeSet::new());
            }
        }
        // Nor may the loss of events.
        for seed in 1..=16 {
            let mut brain = Brain::new(player.brain.policy().clone());
            let facts: Vec<_> = some_lost(&player.facts, seed);
            for (place, fact) in facts.iter().enumerate() {
                brain.apply(fact, fact.at);
                check(truth, &case.scenario, &brain, &facts[..=place], &mut BTreeSet::new());
            }
        }
        println!("{}: {} told", case.scenario, told.len());
        held += told.len();
    }
    println!("{held} times healthy, all true");
    assert!(held > 0);
}

/// The truth does not say yes to everything: of a Kustomization that does not wait, to nothing.
#[test]
fn a_green_that_is_not_true_would_be_found() {
    let files = files();
    let of = |scenario: &str| {
        let cases = cases_of(&files, Kind::Truth).map(|case| TruthCase::read(case).unwrap());
        cases.into_iter().find(|case| case.scenario == scenario).unwrap()
    };
    for (id, found) in [("captured-failed-early", true), ("captured-wait-false", false)] {
        let case = of(id);
        let read = cases_of(&files, Kind::Scenarios).find(|case| case["id"] == id).unwrap();
        let facts = Scenario::read(read).unwrap().facts().unwrap();
        let reconciler = case.truth().reconcilers().next().unwrap().clone();
        let (uids, newest) = Truth::heard(&facts, &reconciler);
        let newest = newest.unwrap();
        let supported = |commit, uids: &[String], until| {
            let claim = Claim { reconciler: reconciler.clone(), commit, proved: commit };
            case.truth().supports(&claim, uids, until)
        };
        let commits = commits(&facts);
        assert_eq!(commits.iter().any(|commit| supported(*commit, &uids, newest)), found, "{id}");
        for commit in commits {
            assert!(!supported(commit, &[], newest), "{id}: of another object");
            assert!(!supported(commit, &uids, facts[0].at), "{id}: before it was");
        }
    }
}

fn check(truth: &Truth, scenario: &str, brain: &Brain, facts: &[Fact], told: &mut BTreeSet<Claim>) {
    let environment = EnvironmentName::new("captured").unwrap();
    let now = facts.iter().map(|fact| fact.at).max();
    let Some(now) = now else { return };
    for claim in truth.claims(brain, &environment, &commits(facts), now).unwrap() {
        let (uids, newest) = Truth::heard(facts, &claim.reconciler);
        assert!(
            truth.supports(&claim, &uids, newest.unwrap()),
            "{scenario} at {now}: {} is not healthy at {} (for {})",
            claim.reconciler,
            claim.proved,
            claim.commit
        );
        told.insert(claim);
    }
}

/// All commits that facts name.
fn commits(facts: &[Fact]) -> Vec<CommitId> {
    let mut commits = BTreeSet::new();
    for fact in facts {
        match &fact.body {
            FactBody::Observed(observation) => commits.extend(observation.commit()),
            FactBody::Registered(registration) => {
                commits.insert(registration.commit);
            }
            FactBody::Ancestry(ancestry) => {
                commits.extend(ancestry.parents.iter().map(|parents| parents.commit));
            }
            _ => {}
        }
    }
    commits.into_iter().collect()
}

/// The facts in their order, without about a third of the observations.
fn some_lost(facts: &[Fact], seed: u64) -> Vec<Fact> {
    let mut random = Random::new(seed);
    let arrives = |fact: &&Fact| match fact.body {
        FactBody::Observed(_) => !random.percent(33),
        _ => true,
    };
    facts.iter().filter(arrives).cloned().collect()
}

/// All facts in a random order, and about half of them once more.
fn shuffled_with_repetition(facts: &[Fact], seed: u64) -> Vec<Fact> {
    let mut random = Random::new(seed);
    let again: Vec<_> = facts.iter().filter(|_| random.percent(50)).cloned().collect();
    let mut facts = [facts.to_vec(), again].concat();
    facts.sort_by_cached_key(|_| random.next_u64());
    facts
}

/// No state, outcome or reason is without a scenario that leads to it.
#[test]
fn every_word_of_a_status_is_expected_somewhere() {
    let files = files();
    let mut told = BTreeSet::new();
    for case in cases_of(&files, Kind::Scenarios) {
        for step in case["steps"].as_array().unwrap() {
            for status in step["expect"]["statuses"].as_object().unwrap().values() {
                let words = ["state", "outcome", "reason"].map(|field| status[field].as_str());
                told.extend(words.into_iter().flatten().map(str::to_owned));
            }
        }
    }
    let words = "pending applied healthy failed in_progress succeeded timed_out waiting never_heard \
        blocked applying checking_health interrupted health_unproved not_checked rolled_back \
        diverged deleted ancestry_unknown no_commit learning no_match_yet no_reconciler source_trouble";
    let words: BTreeSet<_> = words.split_whitespace().map(str::to_owned).collect();
    assert_eq!(told, words);
}

/// Nothing is passed over in silence.
#[test]
fn a_vector_that_nobody_would_check_is_an_error() {
    let file = |folder: &str, kind: &str, cases: &str| {
        let text = format!(r#"{{"kind":"{kind}","about":"x","cases":[{cases}]}}"#);
        read_file(&Path::new(folder).join("x.json"), &text)
    };
    let good = r#"{"id":"x","why":"x","input":{"revision":"1.0.0"},"expect":{"ok":{"pointer":null,"commit":null,"digest":null,"version":"1.0.0","display":"1.0.0"}}}"#;
    assert!(run(&file("revisions", "revisions", good).unwrap()).is_empty());
    // Another kind, another folder, another ending; no case; a case without an id or a reason.
    assert!(file("revisions", "riddles", good).is_err());
    assert!(file("events", "revisions", good).is_err());
    assert!(read_file(Path::new("revisions/x.txt"), "").is_err());
    assert!(file("revisions", "revisions", "").is_err());
    assert!(file("revisions", "revisions", &good.replace(r#""id":"x""#, r#""id":"""#)).is_err());
    assert!(file("revisions", "revisions", &good.replace(r#""why":"x","#, "")).is_err());
    // A field that nobody reads, or that is missing, in the input and in what is expected.
    for (from, to) in [
        (r#""why":"x""#, r#""why":"x","skip":true"#),
        (r#"{"revision""#, r#"{"cluster":"x","revision""#),
        (r#""display":"1.0.0""#, r#""display":"1.0.0","name":"x""#),
        (r#""pointer":null,"#, ""),
        (r#","version":"1.0.0""#, r#","version":"1.0.1""#),
        (r#"{"ok":{"#, r#"{"also":{},"ok":{"#),
    ] {
        assert!(good.contains(from), "{from}");
        let file = file("revisions", "revisions", &good.replace(from, to)).unwrap();
        assert_eq!(run(&file).len(), 1, "{to}");
    }
    // A step that expects nothing of a query, or too little.
    let commit = "a".repeat(40);
    let scenario = format!(
        r#"{{"id":"x","why":"x","queries":{{"A":{{"environment":"x","commit":"{commit}"}}}},"steps":[
        {{"at":"2026-11-23T12:00:00Z","do":{{"nothing":{{}}}},"expect":{{"statuses":{{"A":
        {{"state":"pending","outcome":"in_progress","reason":"no_reconciler"}}}}}}}}]}}"#
    );
    assert!(run(&file("scenarios", "scenarios", &scenario).unwrap()).is_empty());
    for (from, to) in [
        (r#""reason":"no_reconciler""#, r#""reason":"waiting""#),
        (r#","reason":"no_reconciler""#, ""),
        (r#"{"statuses""#, r#"{"transitions":[{}],"statuses""#),
        (r#""no_reconciler"}"#, r#""no_reconciler","colour":"red"}"#),
        (r#""id":"x","#, r#""id":"x","commits":{"A":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},"#),
    ] {
        assert!(scenario.contains(from), "{from}");
        let file = file("scenarios", "scenarios", &scenario.replacen(from, to, 1)).unwrap();
        assert_eq!(run(&file).len(), 1, "{to}");
    }
}
