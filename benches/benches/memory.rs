//! Memory per tracked commit and reconciler, beside a naive map of strings that holds the same.
#![expect(clippy::print_stdout, reason = "the report")]

use std::collections::HashMap;

use gitops_brain_benches::{commit, resident, world};

const RECONCILERS: u64 = 100;
const COMMITS: u64 = 10_000;

/// Events as texts, by reconciler and commit.
type Naive = HashMap<String, HashMap<String, Vec<HashMap<&'static str, String>>>>;

/// What one writes first: everything as text, one entry for each event of a rollout.
fn naive() -> Naive {
    let mut map: HashMap<_, HashMap<_, Vec<_>>> = HashMap::new();
    for number in 0..COMMITS {
        for reconciler in 0..RECONCILERS / 10 {
            let events: &mut Vec<_> = map
                .entry(format!("staging/Kustomization/flux-system/apps-{reconciler}"))
                .or_default()
                .entry(commit(number).to_string())
                .or_default();
            for reason in ["Progressing", "Progressing", "ReconciliationSucceeded"] {
                events.push(HashMap::from([
                    ("reason", reason.to_owned()),
                    ("timestamp", "2026-11-23T12:00:00Z".to_owned()),
                    ("revision", format!("main@sha1:{}", commit(number))),
                ]));
            }
        }
    }
    map
}

fn main() {
    let before = resident();
    let brain = world(RECONCILERS, COMMITS);
    let ours = (resident() - before) / (RECONCILERS * COMMITS);
    let before = resident();
    let map = naive();
    let theirs = (resident() - before) / (RECONCILERS / 10 * COMMITS);
    println!("{RECONCILERS} reconcilers × {COMMITS} commits, bytes for each pair:\n");
    println!("- gitops-brain: {ours}");
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let ratio = theirs as f64 / ours.max(1) as f64;
    println!("- a map of strings with the same: {theirs}, × {ratio:.1}");
    std::hint::black_box((brain.clusters(), map.len()));
}
