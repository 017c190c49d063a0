//! The journal in PostgreSQL: many processes append to it, and none misses anything of another.
#![expect(clippy::unwrap_used, reason = "these are tests")]
#![cfg(feature = "postgres")]

mod suite;

use std::{sync::Arc, time::Duration};

use gitops_brain_journal::{Cursor, Journal, PostgresJournal};
use gitops_brain_tests::postgres::Postgres;
use tokio::time;

use suite::{LEASE, Store, fact};

/// A server of its own for each test, with one database.
struct Place {
    server: Postgres,
    url: String,
}

fn place() -> Place {
    let server = Postgres::start().unwrap();
    let url = server.database().unwrap();
    Place { server, url }
}

impl Store for Place {
    async fn open(&self) -> Arc<dyn Journal> {
        Arc::new(PostgresJournal::open(&self.url).await.unwrap())
    }
}

suite::for_store!(place());

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn several_append_and_each_reads_on_without_missing_any() {
    let place = place();
    let writers = 4;
    let each = 300;
    let mut tasks = Vec::new();
    for writer in 0..writers {
        let journal = place.open().await;
        tasks.push(tokio::spawn(async move {
            for number in 0..each {
                journal.append(&[fact(writer * each + number)]).await.unwrap();
            }
        }));
    }
    // A reader that goes on from the last position it saw must see every fact, once and in order.
    let journal = place.open().await;
    let mut announced = journal.announced().unwrap();
    let (mut position, mut seen) = (0, 0);
    let reading = async {
        while seen < writers * each {
            let _ = time::timeout(Duration::from_secs(1), announced.changed()).await;
            for entry in journal.read_after(position, 10_000).await.unwrap() {
                assert!(entry.position > position);
                position = entry.position;
                seen += 1;
            }
        }
    };
    time::timeout(Duration::from_secs(60), reading).await.unwrap();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(journal.read_after(0, 10_000).await.unwrap().len(), writers * each);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn others_are_told_at_once() {
    let place = place();
    let (one, other) = (place.open().await, place.open().await);
    let mut announced = other.announced().unwrap();
    one.append(&[fact(1)]).await.unwrap();
    time::timeout(Duration::from_millis(500), announced.wait_for(|position| *position == 1))
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_database_that_goes_away_and_comes_back_loses_nothing() {
    let mut place = place();
    let (journal, other) = (place.open().await, place.open().await);
    let mut announced = other.announced().unwrap();
    let mut stored = 0;
    for round in 0..3 {
        let begun: Vec<_> = (0..20).map(|n| journal.append(&[fact(round * 100 + n)])).collect();
        place.server.halt().unwrap();
        let more = journal.append(&[fact(round * 100 + 50)]);
        time::sleep(Duration::from_millis(300)).await;
        place.server.resume().unwrap();
        for answer in begun.into_iter().chain([more]) {
            answer.await.unwrap();
            stored += 1;
        }
        assert_eq!(journal.read_after(0, 10_000).await.unwrap().len(), stored);
    }
    // The one that only listens has come back too.
    time::sleep(Duration::from_millis(1500)).await;
    announced.mark_unchanged();
    journal.append(&[fact(9999)]).await.unwrap();
    time::timeout(Duration::from_secs(3), announced.changed()).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_database_that_stays_away_is_said_before_flux_gives_up() {
    let mut place = place();
    let journal = place.open().await;
    place.server.halt().unwrap();
    let begun = time::Instant::now();
    let error = journal.append(&[fact(1)]).await.unwrap_err();
    assert_eq!(error.code(), "store.unavailable", "{error}");
    assert!(begun.elapsed() < Duration::from_secs(14), "{:?}", begun.elapsed());
    assert_eq!(journal.read_after(0, 1).await.unwrap_err().code(), "store.unavailable");
    place.server.resume().unwrap();
    assert!(journal.append(&[fact(1)]).await.unwrap()[0].new);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn several_make_the_tables_at_the_same_time() {
    let place = place();
    let opened: Vec<_> = (0..8)
        .map(|_| {
            let url = place.url.clone();
            tokio::spawn(async move { PostgresJournal::open(&url).await.unwrap() })
        })
        .collect();
    for journal in opened {
        journal.await.unwrap().append(&[fact(1)]).await.unwrap();
    }
    let told = place.server.sql(&place.url, "SELECT count(*) FROM gitops_brain_facts").unwrap();
    assert_eq!(told, "1");
}

/// Whoever makes the tables need not be who uses them.
#[tokio::test]
async fn tables_that_are_there_need_no_right_to_make_any() {
    let place = place();
    drop(place.open().await);
    let database = place.url.rsplit('/').next().unwrap();
    let role = format!("user_of_{}", database.split('?').next().unwrap());
    let grant = format!(
        "CREATE ROLE {role} LOGIN; REVOKE CREATE ON SCHEMA public FROM PUBLIC;
         GRANT SELECT ON gitops_brain_schema TO {role};
         GRANT SELECT, INSERT, DELETE ON gitops_brain_facts TO {role}"
    );
    place.server.sql(&place.url, &grant).unwrap();
    let (scheme, rest) = place.url.split_once("://").unwrap();
    let host = rest.split_once('@').map_or(rest, |(_, host)| host);
    let journal = PostgresJournal::open(&format!("{scheme}://{role}@{host}")).await.unwrap();
    assert!(journal.append(&[fact(1)]).await.unwrap()[0].new);
    journal.remove(&[1]).await.unwrap();
    assert!(journal.read_after(0, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn tables_of_an_older_release_are_brought_up_to_date() {
    let place = place();
    place.open().await.append(&[fact(1)]).await.unwrap();
    place
        .server
        .sql(
            &place.url,
            "DROP TABLE gitops_brain_cursors; UPDATE gitops_brain_schema SET version = 1",
        )
        .unwrap();
    let journal = place.open().await;
    assert_eq!(journal.read_after(0, 10).await.unwrap().len(), 1);
    assert!(journal.move_cursor("reader", "one", LEASE, 1).await.is_ok());
}

#[tokio::test]
async fn a_cursor_has_one_holder_at_a_time() {
    let place = place();
    let (one, other) = (place.open().await, place.open().await);
    assert!(one.take_cursor("reader", "one", LEASE).await.unwrap().is_some());
    assert!(one.move_cursor("reader", "one", LEASE, 7).await.unwrap());
    assert_eq!(other.take_cursor("reader", "other", LEASE).await.unwrap(), None);
    assert!(!other.move_cursor("reader", "other", LEASE, 9).await.unwrap());
    // The one falls silent, and the other goes on where it was.
    let short = Duration::from_millis(50);
    assert!(one.move_cursor("reader", "one", short, 8).await.unwrap());
    time::sleep(Duration::from_millis(100)).await;
    let taken = other.take_cursor("reader", "other", LEASE).await.unwrap();
    assert_eq!(taken, Some(Cursor::new(Some(8))));
    assert!(!one.move_cursor("reader", "one", LEASE, 9).await.unwrap(), "it is the other's now");
}

#[tokio::test]
async fn tables_of_a_newer_release_are_used_only_if_it_says_so() {
    let place = place();
    drop(place.open().await);
    place.server.sql(&place.url, "UPDATE gitops_brain_schema SET version = 3").unwrap();
    drop(place.open().await);
    place.server.sql(&place.url, "UPDATE gitops_brain_schema SET readable_from = 3").unwrap();
    let error = PostgresJournal::open(&place.url).await.unwrap_err();
    assert_eq!(error.code(), "store.newer", "{error}");
}

#[tokio::test]
async fn a_line_that_cannot_be_read_is_never_skipped() {
    let place = place();
    let journal = place.open().await;
    journal.append(&[fact(1), fact(2)]).await.unwrap();
    for (line, code) in [("{\"v\":99}", "store.newer"), ("nonsense", "store.corrupt")] {
        let update = format!("UPDATE gitops_brain_facts SET line = '{line}' WHERE position = 2");
        place.server.sql(&place.url, &update).unwrap();
        let error = journal.read_after(0, 10).await.unwrap_err();
        assert_eq!(error.code(), code);
        assert!(error.to_string().contains("position 2"), "{error}");
    }
}

#[tokio::test]
async fn a_malformed_url_is_said_without_its_password() {
    let error =
        PostgresJournal::open("postgres://user:secret@host/db?sslmode=maybe").await.unwrap_err();
    assert!(!error.to_string().contains("secret"), "{error}");
    assert!(error.to_string().contains("malformed"), "{error}");
}
