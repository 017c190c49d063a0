//! Facts out of one journal and into another.

use std::fs;

use gitops_brain_tests::postgres::Postgres;

use crate::support::{assert_exit, run, stderr, stdout};

fn fact(number: usize) -> String {
    format!(
        "{{\"v\":1,\"at\":\"2026-11-23T12:00:00Z\",\"body\":{{\"ancestry\":{{\"parents\":[{{\"commit\":\
         \"{number:040x}\",\"parents\":[]}}]}}}}}}"
    )
}

#[test]
fn a_journal_moves_from_one_store_to_another() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let facts: Vec<_> = (0..5_000).map(fact).collect();
    fs::write(path("facts.jsonl"), facts.join("\n") + "\n").unwrap();
    let postgres = Postgres::start().unwrap();
    let url = postgres.database().unwrap();

    let sqlite = path("one.db");
    let imported = run("http://unused", &["import", "--database", &sqlite, &path("facts.jsonl")]);
    assert_exit(&imported, 0);
    assert_eq!(stderr(&imported), "5000 facts stored, 0 were there\n");
    let exported = run("http://unused", &["export", "--database", &sqlite]);
    assert_exit(&exported, 0);
    assert_eq!(stdout(&exported), facts.join("\n") + "\n");
    fs::write(path("exported.jsonl"), stdout(&exported)).unwrap();

    let to_postgres = ["import", "--database", &url, &path("exported.jsonl")];
    assert_exit(&run("http://unused", &to_postgres), 0);
    let again = run("http://unused", &to_postgres);
    assert_eq!(stderr(&again), "0 facts stored, 5000 were there\n");
    let exported = run("http://unused", &["export", "--database", &url]);
    assert_eq!(stdout(&exported), facts.join("\n") + "\n", "in the same order");
}

#[test]
fn what_cannot_be_read_is_told_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fs::write(path("facts.jsonl"), format!("{}\nnonsense\n", fact(1))).unwrap();
    let database = path("one.db");
    let output = run("http://unused", &["import", "--database", &database, &path("facts.jsonl")]);
    assert_exit(&output, 2);
    assert!(stderr(&output).contains("line 2: not a fact"), "{}", stderr(&output));
    let output = run("http://unused", &["export", "--database", &path("other.db")]);
    assert_exit(&output, 2);
    assert!(!fs::exists(path("other.db")).unwrap(), "asking makes no file");
    let output = run("http://unused", &["export", "--database", "mysql://x"]);
    assert_exit(&output, 2);
}
