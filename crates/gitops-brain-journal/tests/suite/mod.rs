//! What every journal does, whatever keeps it.
#![expect(clippy::indexing_slicing, reason = "these are tests")]

use std::{sync::Arc, time::Duration};

use gitops_brain::{Ancestry, Fact, FactBody, Parents};
use gitops_brain_journal::Journal;

pub(crate) const LEASE: Duration = Duration::from_secs(60);

/// A place that journals are opened in, one after the other.
pub(crate) trait Store {
    async fn open(&self) -> Arc<dyn Journal>;
}

/// Makes a test of each of the functions below, each with a new store.
macro_rules! for_store {
    ($store:expr) => {
        $crate::suite::for_store!($store;
            facts_keep_their_order_and_stand_once
            what_was_answered_is_there_after_reopening
            many_append_at_a_time
            nobody_waits_and_yet_it_is_stored
            a_large_batch_is_stored_whole
            what_is_removed_leaves_the_others_where_they_were
            a_cursor_stands_where_it_was_moved_to
        );
    };
    ($store:expr; $($name:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $name() {
                $crate::suite::$name(&$store).await;
            }
        )*
    };
}
pub(crate) use for_store;

pub(crate) fn fact(number: usize) -> Fact {
    let commit = format!("{number:040x}").parse().unwrap();
    let ancestry = Ancestry::claimed(vec![Parents { commit, parents: vec![] }]);
    Fact::new("2026-11-23T12:00:00Z".parse().unwrap(), FactBody::Ancestry(ancestry))
}

pub(crate) async fn facts_keep_their_order_and_stand_once(store: &impl Store) {
    let journal = store.open().await;
    let appended = journal.append(&[fact(1), fact(2), fact(1)]).await.unwrap();
    let seen: Vec<_> = appended.iter().map(|one| (one.position, one.new)).collect();
    assert_eq!(seen, [(1, true), (2, true), (1, false)]);
    let later = Fact::new("2026-11-24T12:00:00Z".parse().unwrap(), fact(2).body);
    let appended = journal.append(&[later, fact(3)]).await.unwrap();
    let seen: Vec<_> = appended.iter().map(|one| (one.position, one.new)).collect();
    assert_eq!(seen, [(2, false), (3, true)], "the same content is the same fact");
    let entries = journal.read_after(1, 10).await.unwrap();
    let seen: Vec<_> = entries.iter().map(|entry| (entry.position, entry.fact.clone())).collect();
    assert_eq!(seen, [(2, fact(2)), (3, fact(3))]);
    assert_eq!(journal.read_after(0, 1).await.unwrap().len(), 1);
    assert!(journal.append(&[]).await.unwrap().is_empty());
}

pub(crate) async fn what_was_answered_is_there_after_reopening(store: &impl Store) {
    for round in 0..5 {
        let journal = store.open().await;
        assert_eq!(journal.read_after(0, 100).await.unwrap().len(), round);
        journal.append(&[fact(round)]).await.unwrap();
        if round % 2 == 0 {
            journal.close().await.unwrap();
            let error = journal.append(&[fact(99)]).await.unwrap_err();
            assert_eq!(error.code(), "store.unavailable");
            journal.read_after(0, 1).await.unwrap_err();
        }
    }
}

pub(crate) async fn what_is_removed_leaves_the_others_where_they_were(store: &impl Store) {
    let journal = store.open().await;
    let facts: Vec<_> = (1..=5).map(fact).collect();
    journal.append(&facts).await.unwrap();
    journal.remove(&[1, 3, 5, 99]).await.unwrap();
    let positions = async |journal: &Arc<dyn Journal>| {
        let entries = journal.read_after(0, 10).await.unwrap();
        entries.iter().map(|entry| entry.position).collect::<Vec<_>>()
    };
    assert_eq!(positions(&journal).await, [2, 4]);
    // A position is never given twice, though the last one is free.
    let appended = journal.append(&[fact(6), fact(3)]).await.unwrap();
    assert!(appended.iter().all(|one| one.new && one.position > 5), "{appended:?}");
    let before = positions(&journal).await;
    journal.close().await.unwrap();
    drop(journal);
    assert_eq!(positions(&store.open().await).await, before);
}

pub(crate) async fn a_cursor_stands_where_it_was_moved_to(store: &impl Store) {
    let journal = store.open().await;
    let take = async |journal: &Arc<dyn Journal>, name: &str| {
        journal.take_cursor(name, "one", LEASE).await.unwrap().unwrap().position
    };
    assert_eq!(take(&journal, "reader").await, None);
    assert_eq!(take(&journal, "other").await, None);
    for to in [3, 17, 5] {
        assert!(journal.move_cursor("reader", "one", LEASE, to).await.unwrap());
    }
    assert_eq!(take(&journal, "reader").await, Some(5));
    assert_eq!(take(&journal, "other").await, None);
    journal.close().await.unwrap();
    drop(journal);
    assert_eq!(take(&store.open().await, "reader").await, Some(5));
}

pub(crate) async fn many_append_at_a_time(store: &impl Store) {
    let journal = store.open().await;
    // Each fact is brought by two.
    let tasks: Vec<_> = (0..400)
        .map(|number| {
            let journal = journal.clone();
            tokio::spawn(async move { journal.append(&[fact(number % 200)]).await.unwrap()[0] })
        })
        .collect();
    let mut new = 0;
    for task in tasks {
        new += usize::from(task.await.unwrap().new);
    }
    assert_eq!(new, 200);
    let entries = journal.read_after(0, 1000).await.unwrap();
    let positions: Vec<_> = entries.iter().map(|entry| entry.position).collect();
    assert_eq!(positions, (1..=200).collect::<Vec<_>>());
}

pub(crate) async fn nobody_waits_and_yet_it_is_stored(store: &impl Store) {
    let journal = store.open().await;
    drop(journal.append(&[fact(1)]));
    journal.append(&[fact(2)]).await.unwrap();
    assert_eq!(journal.read_after(0, 10).await.unwrap().len(), 2);
}

pub(crate) async fn a_large_batch_is_stored_whole(store: &impl Store) {
    let journal = store.open().await;
    let many: Vec<_> = (0..10_000).map(fact).collect();
    let appended = journal.append(&many).await.unwrap();
    assert_eq!(appended.iter().filter(|one| one.new).count(), many.len());
    let mut entries = journal.read_after(0, 6_000).await.unwrap();
    entries.extend(journal.read_after(6_000, 6_000).await.unwrap());
    assert!(entries.iter().map(|entry| &entry.fact).eq(&many), "in the order in which they came");
}
