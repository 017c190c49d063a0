//! The journal in SQLite: nothing that was answered is lost, nothing of others is overwritten.
#![expect(clippy::unwrap_used, reason = "these are tests")]

mod suite;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use gitops_brain_journal::{Journal, JournalError, SqliteJournal};
use rusqlite::Connection;
use tempfile::TempDir;

use suite::{LEASE, Store, fact};

fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    (folder, path)
}

impl Store for (TempDir, PathBuf) {
    async fn open(&self) -> Arc<dyn Journal> {
        Arc::new(SqliteJournal::open(&self.1).unwrap())
    }
}

suite::for_store!(place());

fn refused(path: &Path, code: &str) -> JournalError {
    let before = fs::read(path).unwrap();
    let error = SqliteJournal::open(path).unwrap_err();
    assert_eq!(error.code(), code, "{error}");
    assert!(error.to_string().contains("journal.db"), "it says which file: {error}");
    assert_eq!(fs::read(path).unwrap(), before, "it is left as it is");
    error
}

#[tokio::test]
async fn those_who_wait_share_a_transaction() {
    let (_folder, path) = place();
    let journal = SqliteJournal::open(&path).unwrap();
    let wal = path.with_extension("db-wal");
    let size = |path: &Path| fs::metadata(path).unwrap().len();
    journal.append(&[fact(0)]).await.unwrap();
    let before = size(&wal);
    journal.append(&[fact(1)]).await.unwrap();
    let one = size(&wal) - before;
    // The thread is busy with the large one while the others line up.
    let large: Vec<_> = (1000..5000).map(fact).collect();
    let busy = journal.append(&large);
    let others: Vec<_> = (2..102).map(|number| journal.append(&[fact(number)])).collect();
    busy.await.unwrap();
    let before = size(&wal);
    for other in others {
        other.await.unwrap();
    }
    let all = size(&wal).saturating_sub(before);
    assert!(all < 50 * one, "100 transactions would write {} bytes, not {all}", 100 * one);
}

#[tokio::test]
async fn a_second_process_is_refused() {
    let (_folder, path) = place();
    let journal = SqliteJournal::open(&path).unwrap();
    let error = SqliteJournal::open(&path).unwrap_err();
    assert_eq!(error.code(), "store.unavailable");
    assert!(error.to_string().contains("another process holds the file"), "{error}");
    drop(journal);
    SqliteJournal::open(&path).unwrap();
}

#[tokio::test]
async fn a_full_disk_is_said_and_gotten_over() {
    let (_folder, path) = place();
    let journal = SqliteJournal::open(&path).unwrap();
    journal.append(&[fact(0)]).await.unwrap();
    journal.limit(Some(1)).await.unwrap();
    let many: Vec<_> = (1..2000).map(fact).collect();
    let error = journal.append(&many).await.unwrap_err();
    assert_eq!(error.code(), "store.unavailable");
    assert!(error.to_string().contains("full"), "{error}");
    assert_eq!(journal.read_after(0, 5000).await.unwrap().len(), 1, "all or none");
    // In a group, what finds room is stored though another does not.
    let (large, small) = (journal.append(&many), journal.append(&[fact(5000)]));
    large.await.unwrap_err();
    small.await.unwrap();
    journal.limit(None).await.unwrap();
    journal.append(&many).await.unwrap();
    assert_eq!(journal.read_after(0, 5000).await.unwrap().len(), 2001);
}

#[tokio::test]
async fn a_damaged_file_is_refused() {
    let (_folder, path) = place();
    fs::write(&path, "no database at all, but long enough for a header ".repeat(50)).unwrap();
    refused(&path, "store.corrupt");

    fs::remove_file(&path).unwrap();
    let journal = SqliteJournal::open(&path).unwrap();
    journal.append(&(0..500).map(fact).collect::<Vec<_>>()).await.unwrap();
    journal.close().await.unwrap();
    let whole = fs::read(&path).unwrap();
    let mut damaged = whole.clone();
    let middle = whole.len() / 2;
    damaged[middle..middle + 4096].fill(0xA5);
    fs::write(&path, &damaged).unwrap();
    refused(&path, "store.corrupt");
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    refused(&path, "store.corrupt");
    fs::write(&path, &whole).unwrap();
    SqliteJournal::open(&path).unwrap();
}

#[tokio::test]
async fn the_file_of_another_program_or_a_newer_release_is_refused() {
    let (_folder, path) = place();
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch("CREATE TABLE accounts (id INTEGER)").unwrap();
    drop(connection);
    let error = refused(&path, "store.corrupt");
    assert!(error.to_string().contains("another program"), "{error}");

    fs::remove_file(&path).unwrap();
    SqliteJournal::open(&path).unwrap().close().await.unwrap();
    let connection = Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 3).unwrap();
    drop(connection);
    refused(&path, "store.newer");
}

#[tokio::test]
async fn a_file_of_an_older_release_is_brought_up_to_date() {
    let (_folder, path) = place();
    SqliteJournal::open(&path).unwrap().append(&[fact(1)]).await.unwrap();
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch("DROP TABLE cursors; PRAGMA user_version = 1").unwrap();
    drop(connection);
    let journal = SqliteJournal::open(&path).unwrap();
    assert_eq!(journal.read_after(0, 10).await.unwrap().len(), 1);
    assert!(journal.move_cursor("reader", "one", LEASE, 1).await.unwrap());
}

#[tokio::test]
async fn a_line_that_cannot_be_read_is_never_skipped() {
    let (_folder, path) = place();
    let journal = SqliteJournal::open(&path).unwrap();
    journal.append(&[fact(1), fact(2)]).await.unwrap();
    drop(journal);
    for (line, code) in [("{\"v\":99}", "store.newer"), ("nonsense", "store.corrupt")] {
        let connection = Connection::open(&path).unwrap();
        connection.execute("UPDATE facts SET line = ?1 WHERE position = 2", [line]).unwrap();
        drop(connection);
        let journal = SqliteJournal::open(&path).unwrap();
        let error = journal.read_after(0, 10).await.unwrap_err();
        assert_eq!(error.code(), code);
        assert!(error.to_string().contains("position 2"), "{error}");
    }
}

#[test]
fn a_folder_that_is_not_there_is_said() {
    let error = SqliteJournal::open("/nowhere/at/all/journal.db").unwrap_err();
    assert_eq!(error.code(), "store.unavailable");
}
