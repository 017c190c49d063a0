//! `apply` from a thousand to a million retained commits: it must cost the same where the facts touch
//! the newest. For facts that are spread evenly the difference is that of the processor's caches.

use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use gitops_brain::{Brain, Fact};
use gitops_brain_benches::{Body, epoch, world};

/// Facts that are made at a time, so that they are in the cache as a host's are.
const CHUNK: u64 = 500;

/// Applies facts about commits that a function chooses, each later than the last.
fn measure(
    brain: &mut Brain,
    clock: &mut i64,
    rounds: u64,
    choose: &mut impl FnMut() -> (u64, u64),
) -> Duration {
    let mut spent = Duration::ZERO;
    let mut left = rounds;
    while left > 0 {
        let facts: Vec<Fact> = (0..left.min(CHUNK))
            .map(|_| {
                *clock += 1;
                let (reconciler, commit) = choose();
                let version = u64::try_from(*clock).unwrap_or_default();
                let (reason, message) = (
                    "ReconciliationSucceeded",
                    "Reconciliation finished in 1.2s, next run in 10m0s",
                );
                Body { reconciler, commit, seconds: *clock, version, reason, message }.to_fact()
            })
            .collect();
        let now = epoch();
        let start = Instant::now();
        for fact in &facts {
            std::hint::black_box(brain.apply(fact, now));
        }
        spent += start.elapsed();
        left -= left.min(CHUNK);
    }
    spent
}

fn apply(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("apply");
    group.sample_size(20);
    for retained in [1_000_u64, 10_000, 100_000, 1_000_000] {
        let commits = retained.min(10_000);
        let reconcilers = retained / commits;
        let mut brain = world(reconcilers, commits);
        let mut clock = 60_000_000;
        let mut state = 1_u64;
        let mut random = move |below: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below
        };
        group.bench_function(BenchmarkId::new("heartbeat", retained), |bencher| {
            bencher.iter_custom(|rounds| {
                measure(&mut brain, &mut clock, rounds, &mut || (0, commits - 1))
            });
        });
        group.bench_function(BenchmarkId::new("newest 100", retained), |bencher| {
            bencher.iter_custom(|rounds| {
                measure(&mut brain, &mut clock, rounds, &mut || (0, commits - 1 - random(100)))
            });
        });
        group.bench_function(BenchmarkId::new("spread evenly", retained), |bencher| {
            bencher.iter_custom(|rounds| {
                measure(&mut brain, &mut clock, rounds, &mut || {
                    (random(reconcilers), random(commits))
                })
            });
        });
    }
    group.finish();
}

criterion_group!(benches, apply);
criterion_main!(benches);
