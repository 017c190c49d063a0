//! Memory per tracked commit and reconciler, beside a naive map of strings that holds the same.
#![expect(clippy::print_stdout, reason = "the report")]

use std::collections::HashMap;

use gitops_brain_benches::{commit, world};

const RECONCILERS: u64 = 100;
const COMMITS: u64 = 10_000;

/// The process's resident memory in bytes; 0 where there is no `/proc`.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 =
        status.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or_default();
    pages * 4096
}

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
    println!(
        "memory per tracked commit and reconciler, {RECONCILERS} reconcilers × {COMMITS} commits:"
    );
    println!("  brain:                {ours:>5} bytes");
    let before = resident();
    let map = naive();
    let theirs = (resident() - before) / (RECONCILERS / 10 * COMMITS);
    println!(
        "  naive map of strings: {theirs:>5} bytes ({:.1} ×)",
        theirs as f64 / ours.max(1) as f64
    );
    std::hint::black_box((brain.clusters(), map.len()));
}
