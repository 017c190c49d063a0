//! The server over one of several journals, for benchmarks: `bench_server JOURNAL FOLDER`.
//!
//! `sqlite` is as it is shipped. `single` stores each fact in a transaction of its own, and `memory` none.
#![expect(clippy::print_stdout, reason = "it says where it listens")]

use std::{
    collections::HashSet,
    env,
    error::Error,
    fmt,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use gitops_brain::{Environment, Fact, Policy};
use gitops_brain_benches::KEY;
use gitops_brain_journal::{Answer, Appended, Cursor, Entry, Journal, SqliteJournal};
use gitops_brain_server::{Cluster, Config, Secret, bind_with};

/// As the program has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Keeps nothing but what is known.
#[derive(Debug, Default)]
struct Memory(Mutex<(u64, HashSet<[u8; 16]>)>);

impl Journal for Memory {
    fn append(&self, facts: &[Fact]) -> Answer<Vec<Appended>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut one = |fact: &Fact| {
            let new = kept.1.insert(fact.id());
            kept.0 += u64::from(new);
            Appended::new(kept.0, new)
        };
        let appended = facts.iter().map(&mut one).collect();
        Box::pin(async { Ok(appended) })
    }

    fn read_after(&self, _: u64, _: usize) -> Answer<Vec<Entry>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn remove(&self, _: &[u64]) -> Answer<()> {
        Box::pin(async { Ok(()) })
    }

    fn take_cursor(&self, _: &str, _: &str, _: Duration) -> Answer<Option<Cursor>> {
        Box::pin(async { Ok(None) })
    }

    fn move_cursor(&self, _: &str, _: &str, _: Duration, _: u64) -> Answer<bool> {
        Box::pin(async { Ok(false) })
    }

    fn close(&self) -> Answer<()> {
        Box::pin(async { Ok(()) })
    }
}

/// Stores each fact in a transaction of its own.
struct Single(Arc<SqliteJournal>);

impl fmt::Debug for Single {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Single")
    }
}

impl Journal for Single {
    fn append(&self, facts: &[Fact]) -> Answer<Vec<Appended>> {
        let (journal, facts) = (self.0.clone(), facts.to_vec());
        Box::pin(async move {
            let mut appended = Vec::with_capacity(facts.len());
            for fact in facts {
                appended.extend(journal.append(&[fact]).await?);
            }
            Ok(appended)
        })
    }

    fn read_after(&self, position: u64, limit: usize) -> Answer<Vec<Entry>> {
        self.0.read_after(position, limit)
    }

    fn remove(&self, positions: &[u64]) -> Answer<()> {
        self.0.remove(positions)
    }

    fn take_cursor(&self, name: &str, holder: &str, lease: Duration) -> Answer<Option<Cursor>> {
        self.0.take_cursor(name, holder, lease)
    }

    fn move_cursor(&self, name: &str, holder: &str, lease: Duration, to: u64) -> Answer<bool> {
        self.0.move_cursor(name, holder, lease, to)
    }

    fn close(&self) -> Answer<()> {
        self.0.close()
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let (Some(journal), Some(folder)) = (arguments.next(), arguments.next()) else {
        return Err("bench_server JOURNAL FOLDER".into());
    };
    let path = Path::new(&folder).join("gitops-brain.db");
    let journal: Arc<dyn Journal> = match &*journal {
        "sqlite" => Arc::new(SqliteJournal::open(path)?),
        "single" => Arc::new(Single(Arc::new(SqliteJournal::open(path)?))),
        "memory" => Arc::new(Memory::default()),
        other => return Err(format!("there is no journal {other}").into()),
    };
    let mut cluster = Cluster::default();
    cluster.hmac_keys.push(Secret::new(KEY));
    let mut config = Config::default();
    config.listen = "127.0.0.1:0".parse()?;
    config.clusters.insert("staging".parse()?, cluster);
    let environment =
        Environment::default().expect("staging/Kustomization/flux-system/apps-1".parse()?);
    config.policy = Policy::default().environment("staging".parse()?, environment);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let server = bind_with(&config, journal).await?;
        println!("listening on {}", server.url());
        // It ends with whoever measures it: by a signal.
        server.run(std::future::pending()).await?;
        Ok(())
    })
}
