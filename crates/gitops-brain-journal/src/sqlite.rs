//! The journal in one SQLite file, for one process.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError, mpsc},
    thread::{self, JoinHandle},
    time::Duration,
};

use gitops_brain::Fact;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use tokio::sync::oneshot;

use crate::{
    Answer, Appended, Cursor, Entry, Journal, JournalError, known::Known, row::Row, schema,
};

/// How long opening waits for another process to let go of the file: a server that is replaced needs
/// a moment to stop.
const OPEN_PATIENCE: Duration = Duration::from_secs(2);

/// The most facts in one transaction. More would make the first of them wait long for the last.
const MAX_GROUP: usize = 4096;

/// How many prepared statements are kept: all there are.
const STATEMENTS: usize = 8;

/// A [`Journal`] in one SQLite file.
///
/// One thread writes. It takes all that wait, stores them in one transaction, and then answers each
/// of them: the cost of making a transaction durable is shared by those who wait for it at the same
/// time.
///
/// The file is held exclusively for as long as the journal is open, so a second server on the same
/// file is refused. Whatever happens to the process or the machine, what was answered is there.
pub struct SqliteJournal {
    path: PathBuf,
    commands: Mutex<Option<mpsc::Sender<Command>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

enum Command {
    Append(Vec<Row>, Reply<Vec<Appended>>),
    Read { after: u64, limit: usize, reply: Reply<Vec<Entry>> },
    Remove(Vec<u64>, Reply<()>),
    TakeCursor(String, Reply<Option<Cursor>>),
    MoveCursor(String, u64, Reply<bool>),
    Limit(Option<u64>, Reply<()>),
    Close(Reply<()>),
}

type Reply<T> = oneshot::Sender<Result<T, JournalError>>;

impl SqliteJournal {
    /// Opens the journal in a file, or makes a new one if there is no file or an empty one.
    ///
    /// # Errors
    ///
    /// If another process holds the file, if it is damaged or the file of another program or of a
    /// newer release. It is then left as it is.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, JournalError> {
        let path = path.as_ref().to_owned();
        let opened = connect(&path).and_then(|connection| {
            let known = Known::read(&connection)?;
            let (commands, receiver) = mpsc::channel();
            let thread = thread::Builder::new()
                .name("journal".to_owned())
                .spawn(move || Writer { connection, known }.run(&receiver))
                .map_err(|error| JournalError::Unavailable { cause: error.to_string() })?;
            Ok((commands, thread))
        });
        match opened {
            Ok((commands, thread)) => Ok(Self {
                path,
                commands: Mutex::new(Some(commands)),
                thread: Mutex::new(Some(thread)),
            }),
            Err(source) => Err(JournalError::Open { path, source: Box::new(source) }),
        }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Limits how many bytes the file may have. What would make it larger is refused as on a full
    /// disk, until the limit is lifted with `None`. A file that is larger already keeps its size.
    pub fn limit(&self, bytes: Option<u64>) -> Answer<()> {
        self.ask(|reply| Command::Limit(bytes, reply))
    }

    fn ask<T: Send + 'static>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Answer<T> {
        let (reply, answer) = oneshot::channel();
        let commands = self.commands.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = commands.as_ref().is_some_and(|commands| commands.send(command(reply)).is_ok());
        Box::pin(async move {
            if !sent {
                return Err(JournalError::closed());
            }
            answer.await.unwrap_or_else(|_| Err(JournalError::closed()))
        })
    }
}

impl Journal for SqliteJournal {
    fn append(&self, facts: &[Fact]) -> Answer<Vec<Appended>> {
        // Each caller writes its own lines, so that the one thread has less to do.
        let rows = facts.iter().map(Row::of).collect();
        self.ask(|reply| Command::Append(rows, reply))
    }

    fn read_after(&self, position: u64, limit: usize) -> Answer<Vec<Entry>> {
        self.ask(|reply| Command::Read { after: position, limit, reply })
    }

    fn remove(&self, positions: &[u64]) -> Answer<()> {
        let positions = positions.to_vec();
        self.ask(|reply| Command::Remove(positions, reply))
    }

    // No other process can have the file: the holder is always this one.
    fn take_cursor(&self, name: &str, _: &str, _: Duration) -> Answer<Option<Cursor>> {
        let name = name.to_owned();
        self.ask(|reply| Command::TakeCursor(name, reply))
    }

    fn move_cursor(&self, name: &str, _: &str, _: Duration, to: u64) -> Answer<bool> {
        let name = name.to_owned();
        self.ask(|reply| Command::MoveCursor(name, to, reply))
    }

    fn close(&self) -> Answer<()> {
        let closed = self.ask(Command::Close);
        self.commands.lock().unwrap_or_else(PoisonError::into_inner).take();
        closed
    }
}

/// Waits until the file is let go of, so that it can be opened again at once.
impl Drop for SqliteJournal {
    fn drop(&mut self) {
        self.commands.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        let thread = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!(path = %self.path.display(), "the journal's thread panicked");
        }
    }
}

impl fmt::Debug for SqliteJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteJournal").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Opens the file, takes hold of it, and checks what it is.
fn connect(path: &Path) -> Result<Connection, JournalError> {
    let mut connection = Connection::open(path)?;
    connection.busy_timeout(OPEN_PATIENCE)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // In this mode a lock is kept once it is taken: another process can neither write nor read.
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    let lock = connection.transaction_with_behavior(TransactionBehavior::Exclusive)?;
    lock.rollback()?;
    schema::prepare(&mut connection)?;
    // Only now, for this is the first thing that writes to a file which is ours.
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // With less a transaction could be lost when the machine loses power.
    connection.pragma_update(None, "synchronous", "FULL")?;
    // macOS keeps writes in the disk's cache unless it is asked not to. Elsewhere it changes nothing.
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "checkpoint_fullfsync", true)?;
    Ok(connection)
}

/// The thread that owns the connection.
struct Writer {
    connection: Connection,
    known: Known,
}

impl Writer {
    fn run(mut self, commands: &mpsc::Receiver<Command>) {
        let mut next = None;
        while let Some(command) = next.take().or_else(|| commands.recv().ok()) {
            match command {
                Command::Append(rows, reply) => {
                    let mut group = vec![(rows, reply)];
                    let mut size = group.iter().map(|(rows, _)| rows.len()).sum::<usize>();
                    while size < MAX_GROUP
                        && let Ok(command) = commands.try_recv()
                    {
                        let Command::Append(rows, reply) = command else {
                            next = Some(command);
                            break;
                        };
                        size += rows.len();
                        group.push((rows, reply));
                    }
                    self.append(group);
                }
                Command::Read { after, limit, reply } => {
                    // Whoever asked may have gone: nobody misses the answer then, here and below.
                    let _ = reply.send(self.read(after, limit));
                }
                Command::Remove(positions, reply) => {
                    let _ = reply.send(self.remove(&positions));
                }
                Command::TakeCursor(name, reply) => {
                    let _ = reply.send(self.cursor(&name).map(Some));
                }
                Command::MoveCursor(name, to, reply) => {
                    let _ = reply.send(self.move_cursor(&name, to).map(|()| true));
                }
                Command::Limit(bytes, reply) => {
                    let _ = reply.send(self.limit(bytes));
                }
                Command::Close(reply) => {
                    let closed = self.connection.close();
                    let _ = reply.send(closed.map_err(|(_, error)| error.into()));
                    return;
                }
            }
        }
    }

    /// Stores a group in one transaction, then answers each.
    fn append(&mut self, mut group: Vec<(Vec<Row>, Reply<Vec<Appended>>)>) {
        let stored = self.store(&group);
        match stored {
            Ok(_) => self.known.committed(),
            Err(_) => self.known.failed(&self.connection),
        }
        match stored {
            Ok(appended) => {
                for ((_, reply), appended) in group.into_iter().zip(appended) {
                    let _ = reply.send(Ok(appended));
                }
            }
            // One that is too large must not take the others with it.
            Err(error) if group.len() > 1 => {
                tracing::debug!(%error, "a group could not be stored: trying one by one");
                for one in group {
                    self.append(vec![one]);
                }
            }
            Err(error) => {
                if let Some((_, reply)) = group.pop() {
                    let _ = reply.send(Err(error));
                }
            }
        }
    }

    fn store<T>(&mut self, group: &[(Vec<Row>, T)]) -> Result<Vec<Vec<Appended>>, JournalError> {
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut stored = Vec::with_capacity(group.len());
        {
            let mut insert = transaction
                .prepare_cached("INSERT INTO facts (id, at, line) VALUES (?1, ?2, ?3)")?;
            for (rows, _) in group {
                let mut appended = Vec::with_capacity(rows.len());
                for Row { id, at, line } in rows {
                    appended.push(match self.known.find(&transaction, id)? {
                        Some(position) => Appended::new(position, false),
                        None => {
                            let position = insert.insert(params![id, at, line])?.unsigned_abs();
                            self.known.add(id, position);
                            Appended::new(position, true)
                        }
                    });
                }
                stored.push(appended);
            }
        }
        transaction.commit()?;
        Ok(stored)
    }

    fn read(&self, after: u64, limit: usize) -> Result<Vec<Entry>, JournalError> {
        let mut select = self.connection.prepare_cached(
            "SELECT position, line FROM facts WHERE position > ?1 ORDER BY position LIMIT ?2",
        )?;
        let mut rows = select.query(params![after, i64::try_from(limit).unwrap_or(i64::MAX)])?;
        let mut entries = Vec::new();
        while let Some(row) = rows.next()? {
            let position = row.get(0)?;
            let line = row.get_ref(1)?.as_str().map_err(|error| JournalError::Corrupt {
                cause: format!("at position {position}: {error}"),
            })?;
            entries.push(Entry::read(position, line)?);
        }
        Ok(entries)
    }

    fn remove(&mut self, positions: &[u64]) -> Result<(), JournalError> {
        let mut removed = Vec::with_capacity(positions.len());
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut delete =
                transaction.prepare_cached("DELETE FROM facts WHERE position = ?1 RETURNING id")?;
            for position in positions {
                let id: Option<[u8; 16]> =
                    delete.query_row([position], |row| row.get(0)).optional()?;
                removed.extend(id.map(|id| (id, *position)));
            }
        }
        transaction.commit()?;
        for (id, position) in removed {
            self.known.remove(&id, position);
        }
        Ok(())
    }

    fn cursor(&self, name: &str) -> Result<Cursor, JournalError> {
        let mut select =
            self.connection.prepare_cached("SELECT position FROM cursors WHERE name = ?1")?;
        Ok(Cursor::new(select.query_row([name], |row| row.get(0)).optional()?))
    }

    fn move_cursor(&self, name: &str, to: u64) -> Result<(), JournalError> {
        let mut insert = self.connection.prepare_cached(
            "INSERT INTO cursors (name, position) VALUES (?1, ?2)
             ON CONFLICT (name) DO UPDATE SET position = excluded.position",
        )?;
        insert.execute(params![name, to])?;
        Ok(())
    }

    fn limit(&self, bytes: Option<u64>) -> Result<(), JournalError> {
        /// What SQLite allows at most.
        const MAX_PAGES: u64 = 0xFFFF_FFFE;
        let size: u64 = self.connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
        let pages = bytes.map_or(MAX_PAGES, |bytes| (bytes / size.max(1)).clamp(1, MAX_PAGES));
        // It answers with the limit that holds from now on.
        Ok(self.connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?)
    }
}
