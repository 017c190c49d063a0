//! How the brain grows: from a thousand to a million pairs of a commit and a reconciler, every tenth commit
//! a merge. What one thing costs must depend on how much it touches, not on how much there is.
#![expect(
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark that prints its report"
)]

use std::{
    hint::black_box,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};
use gitops_brain::{
    Ancestry, Brain, CommitId, Environment, Fact, FactBody, Parents, Policy, Query,
};
use gitops_brain_benches::{Body, commit, epoch, resident, rollout};

/// Reconcilers and commits. Each is measured in a process of its own.
const SIZES: [(u64, u64); 9] = [
    (1, 1_000),
    (1, 10_000),
    (1, 100_000),
    (1, 1_000_000),
    (10, 1_000),
    (10, 10_000),
    (10, 100_000),
    (100, 1_000),
    (100, 10_000),
];

/// How often each thing is done; the median counts.
const ROUNDS: usize = 401;

/// How often each size is measured; the median counts. All take turns, and growth is that within a turn:
/// a machine that others share changes its speed between them.
const TURNS: usize = 7;

/// What is measured, how it may grow from the fewest commits to the most, and its unit. The processor's
/// caches make what is spread over more memory slower, by a factor that does not grow further.
const FIGURES: [(&str, f64, &str); 7] = [
    ("a heartbeat", 2.0, "ns"),
    ("a new commit", 4.0, "ns"),
    ("ten at once, with a merge", 4.0, "ns"),
    ("status of the newest", 2.0, "ns"),
    ("status of one that was skipped", 2.0, "ns"),
    ("restart, each fact", 4.0, "ns"),
    ("memory, each commit and reconciler", 1.5, "B"),
];

type Row = [u64; FIGURES.len()];

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if let ["size", reconcilers, commits] =
        arguments.iter().map(String::as_str).collect::<Vec<_>>()[..]
    {
        let row = measure(reconcilers.parse().unwrap(), commits.parse().unwrap());
        println!("{}", row.map(|figure| figure.to_string()).join(" "));
        return;
    }
    // `cargo test --benches` only wants to know whether it runs.
    let whole = arguments.iter().any(|argument| argument == "--bench");
    let sizes = if whole { &SIZES[..] } else { &[(2, 100)] };
    let names = FIGURES.map(|(name, ..)| name).join(" | ");
    println!("| reconcilers | commits | {names} |\n|--:|--:{}|", "|--:".repeat(FIGURES.len()));
    let turns: Vec<Vec<Row>> =
        (0..TURNS).map(|_| sizes.iter().map(|size| apart(size.0, size.1)).collect()).collect();
    for (place, (reconcilers, commits)) in sizes.iter().enumerate() {
        let told: Vec<_> = FIGURES
            .iter()
            .enumerate()
            .map(|(figure, (.., unit))| {
                let each = turns.iter().map(|rows| rows[place][figure]);
                format!("{} {unit}", middle(each.collect()))
            })
            .collect();
        println!("| {reconcilers} | {commits} | {} |", told.join(" | "));
    }
    conclude(sizes, &turns);
}

/// Measures a size in another process, so that nothing is left of the sizes before.
fn apart(reconcilers: u64, commits: u64) -> Row {
    let sizes = [reconcilers, commits].map(|size| size.to_string());
    let mut command = Command::new(std::env::current_exe().unwrap());
    let output = command.arg("size").args(sizes).stderr(Stdio::inherit()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let figures: Vec<_> = text.split_whitespace().map(|figure| figure.parse().unwrap()).collect();
    figures.try_into().unwrap()
}

fn middle<T: Copy + PartialOrd>(mut figures: Vec<T>) -> T {
    figures.sort_unstable_by(|one, other| one.partial_cmp(other).unwrap());
    figures[figures.len() / 2]
}

/// How much each grew from the fewest commits to the most, and whether that was more than is claimed.
fn conclude(sizes: &[(u64, u64)], turns: &[Vec<Row>]) {
    println!();
    for (figure, (name, most, _)) in FIGURES.iter().enumerate() {
        let growth = sizes.chunk_by(|one, next| one.0 == next.0).map(|of_one_count| {
            let first = sizes.iter().position(|size| size == &of_one_count[0]).unwrap();
            let last = first + of_one_count.len() - 1;
            #[expect(clippy::cast_precision_loss, reason = "small")]
            let grown =
                |rows: &Vec<Row>| rows[last][figure] as f64 / rows[first][figure].max(1) as f64;
            middle(turns.iter().map(grown).collect())
        });
        let worst = growth.fold(0.0, f64::max);
        let verdict = if worst <= *most { "" } else { " **missed**" };
        println!("- {name}: × {worst:.2} at most (aim: {most}){verdict}");
    }
}

fn environment(reconcilers: u64) -> Policy {
    let expected = (0..reconcilers)
        .map(|number| format!("staging/Kustomization/flux-system/apps-{number}").parse().unwrap())
        .fold(Environment::default(), Environment::expect);
    Policy::default().environment("staging".parse().unwrap(), expected)
}

/// The parents of a commit: every tenth merges a branch that left the line nine commits ago.
fn parents(number: u64) -> Vec<CommitId> {
    let first = number.checked_sub(1).map(commit);
    let side = (number % 10 == 9).then(|| commit(side(number)));
    first.into_iter().chain(side).collect()
}

/// The one commit of the branch that a merge brings in.
fn side(merge: u64) -> u64 {
    1_000_000_000 + merge
}

fn ancestry(commits: std::ops::Range<u64>) -> Fact {
    let line =
        commits.clone().map(|number| Parents { commit: commit(number), parents: parents(number) });
    let sides = commits
        .filter(|number| number % 10 == 9)
        .map(|merge| Parents { commit: commit(side(merge)), parents: vec![commit(merge - 9)] });
    Fact::new(epoch(), FactBody::Ancestry(Ancestry::claimed(line.chain(sides).collect())))
}

fn seconds(number: u64) -> i64 {
    i64::try_from(number * 60).unwrap()
}

fn at(number: u64) -> DateTime<Utc> {
    epoch() + TimeDelta::seconds(seconds(number))
}

fn measure(reconcilers: u64, commits: u64) -> Row {
    let before = resident();
    let mut brain = Brain::new(environment(reconcilers));
    let mut facts = (0..commits)
        .flat_map(|commit| {
            (0..reconcilers)
                .flat_map(move |reconciler| rollout(reconciler, commit, seconds(commit)))
        })
        .peekable();
    let mut load = timed(|| brain.load([ancestry(0..commits)]));
    let mut loaded = 0;
    // Making the facts takes longer than loading them: it is done outside of the clock.
    while facts.peek().is_some() {
        let chunk: Vec<_> = facts.by_ref().take(50_000).collect();
        loaded += u32::try_from(chunk.len()).unwrap();
        load += timed(|| brain.load(chunk));
    }
    let memory = resident().saturating_sub(before) / (reconcilers * commits);
    let mut clock = commits;
    let heartbeat = median(|round| {
        let fact = Body {
            reconciler: round % reconcilers,
            commit: commits - 1,
            seconds: seconds(commits) + i64::try_from(round).unwrap(),
            version: 2_000_000_000 + round,
            reason: "ReconciliationSucceeded",
            message: "Reconciliation finished in 1.2s, next run in 10m0s",
        }
        .to_fact();
        timed(|| brain.apply(&fact, at(commits)).changed)
    });
    let new = median(|_| {
        clock += 1;
        brain.apply(&ancestry(clock..clock + 1), at(clock));
        let [fact, ..] = rollout(clock % reconcilers, clock, seconds(clock));
        timed(|| brain.apply(&fact, at(clock)).changed)
    });
    // Ten commits in one poll: the last covers the others.
    let merge = median(|_| {
        let first = clock + 1;
        clock += 10;
        brain.apply(&ancestry(first..clock + 1), at(clock));
        let [fact, ..] = rollout(clock / 10 % reconcilers, clock, seconds(clock));
        timed(|| brain.apply(&fact, at(clock)).changed)
    });
    let query = |number: u64| Query::new("staging".parse().unwrap(), commit(number));
    let ask = |query: &Query| median(|_| timed(|| brain.status(query, at(clock)).unwrap().outcome));
    let newest = ask(&query(clock));
    let skipped = ask(&query(clock - 5));
    let [heartbeat, new, merge, newest, skipped, load] =
        [heartbeat, new, merge, newest, skipped, load / loaded].map(|took| took.as_nanos() as u64);
    [heartbeat, new, merge, newest, skipped, load, memory]
}

/// How long something takes.
fn timed<T>(work: impl FnOnce() -> T) -> Duration {
    let begun = Instant::now();
    black_box(work());
    begun.elapsed()
}

fn median(one: impl FnMut(u64) -> Duration) -> Duration {
    middle((0..ROUNDS as u64).map(one).collect())
}
