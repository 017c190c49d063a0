//! The brain in worlds in which the truth is known (`src/simulator.rs`). `make simulate` looks at 100,000
//! of them, and `make simulate-without` shows that it would notice if a rule were missing.

use gitops_brain_tests::simulator::run_all;

/// How many worlds are lived through.
const WORLDS: u64 = 400;

#[test]
fn no_answer_is_false_in_any_world() {
    let summary = run_all(0, WORLDS);
    println!("{WORLDS} worlds: {}", summary.total);
    // Worlds in which little happens would prove little.
    assert!(summary.total.green >= WORLDS / 2, "hardly anything is green");
    assert!(summary.total.sure >= WORLDS / 10, "hardly anything has to be green");
    assert!(summary.total.red >= WORLDS / 20, "hardly anything is red");
    assert!(summary.shortest.is_none(), "{}", summary.shortest.unwrap_or_default());
}
