//! The journal in PostgreSQL, for any number of processes.

use std::{fmt, sync::Arc, time::Duration};

use gitops_brain::Fact;
use rustls::{ClientConfig, RootCertStore};
use tokio::{
    sync::{Mutex, mpsc, oneshot, watch},
    time::{self, Instant},
};
use tokio_postgres::{
    AsyncMessage, Client, Config,
    error::SqlState,
    types::{ToSql, Type},
};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::{Answer, Appended, Cursor, Entry, Journal, JournalError, migrations, row::Row};

/// Held while a batch gets its positions and is committed, by all who use the database: "GOBr" in ASCII.
/// So the order of the positions is the order in which facts become visible.
const LOCK: i64 = 0x474F_4272;

/// The channel on which a batch is announced: its payload is the last position.
const CHANNEL: &str = "gitops_brain_facts";

/// How long connecting and one try to store a batch may take. Flux gives up after 15 seconds.
const ONE_TRY: Duration = Duration::from_secs(4);

/// How long it is tried to store a batch.
const PATIENCE: Duration = Duration::from_secs(10);

/// The pause before the next try: doubled each time, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The most facts in one transaction.
const MAX_GROUP: usize = 4096;

/// Set on each connection. What a process held that was cut off is let go of after these, in
/// milliseconds: the lock above all.
const LIMITS: &str = "SET lock_timeout = 3000; SET statement_timeout = 30000; \
                      SET idle_in_transaction_session_timeout = 3000; \
                      SET tcp_user_timeout = 5000; SET client_min_messages = warning";

/// A [`Journal`] in a PostgreSQL database, which any number of processes may use at a time.
///
/// One connection writes, all that wait in one transaction; another one reads, and hears of what others
/// have written. Both come back by themselves after the database was away. What was sent to be committed
/// and not answered is sent again: each fact stands once.
pub struct PostgresJournal {
    commands: std::sync::Mutex<Option<mpsc::UnboundedSender<Submission>>>,
    reader: Arc<Link>,
    announced: watch::Receiver<u64>,
    closed: Arc<Mutex<()>>,
    listener: tokio::task::AbortHandle,
}

struct Submission {
    rows: Vec<Row>,
    reply: oneshot::Sender<Result<Vec<Appended>, JournalError>>,
}

impl PostgresJournal {
    /// Connects to the database of a URL (`postgres://user@host/database?sslmode=require`), and makes the
    /// tables if they are not there. To be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// If the URL is malformed, the database cannot be reached, or a newer release changed the tables in a
    /// way that this one cannot work with.
    pub async fn open(url: &str) -> Result<Self, JournalError> {
        let mut config: Config = url.parse().map_err(|error: tokio_postgres::Error| {
            // The URL has a password in it: only the error's own words are told.
            JournalError::Unavailable { cause: format!("the URL is malformed: {error}") }
        })?;
        config.connect_timeout(ONE_TRY).application_name("gitops-brain");
        config.keepalives_idle(Duration::from_secs(5)).tcp_user_timeout(Duration::from_secs(5));
        let tls = tls()?;
        let (announce, announced) = watch::channel(0);
        let writer = Link::new(config.clone(), tls.clone(), None);
        let reader = Arc::new(Link::new(config, tls, Some(announce)));
        let client = writer.client().await?;
        time::timeout(PATIENCE, migrations::run(&client, LOCK))
            .await
            .map_err(|_| too_slow("the tables are in use"))??;
        reader.client().await?;
        let (commands, receiver) = mpsc::unbounded_channel();
        let closed = Arc::new(Mutex::new(()));
        let open = closed.clone().lock_owned().await;
        tokio::spawn(async move {
            write(writer, receiver).await;
            drop(open);
        });
        let listener = tokio::spawn(keep_listening(reader.clone())).abort_handle();
        Ok(Self {
            commands: std::sync::Mutex::new(Some(commands)),
            reader,
            announced,
            closed,
            listener,
        })
    }

    fn commands(&self) -> std::sync::MutexGuard<'_, Option<mpsc::UnboundedSender<Submission>>> {
        self.commands.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl PostgresJournal {
    /// The connection for all but appending, unless the journal is closed.
    fn reader(&self) -> Result<Arc<Link>, JournalError> {
        let open = self.commands().is_some();
        open.then(|| self.reader.clone()).ok_or_else(JournalError::closed)
    }
}

impl Journal for PostgresJournal {
    fn append(&self, facts: &[Fact]) -> Answer<Vec<Appended>> {
        let rows = facts.iter().map(Row::of).collect();
        let (reply, answer) = oneshot::channel();
        let sent = self
            .commands()
            .as_ref()
            .is_some_and(|commands| commands.send(Submission { rows, reply }).is_ok());
        Box::pin(async move {
            if !sent {
                return Err(JournalError::closed());
            }
            answer.await.unwrap_or_else(|_| Err(JournalError::closed()))
        })
    }

    fn read_after(&self, position: u64, limit: usize) -> Answer<Vec<Entry>> {
        let reader = self.reader();
        Box::pin(async move {
            let client = reader?.client().await?;
            let after = i64::try_from(position).unwrap_or(i64::MAX);
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let rows = client
                .query(
                    "SELECT position, line FROM gitops_brain_facts WHERE position > $1 \
                     ORDER BY position LIMIT $2",
                    &[&after, &limit],
                )
                .await;
            let entry = |row: tokio_postgres::Row| {
                let position = row.try_get::<_, i64>(0)?.unsigned_abs();
                Entry::read(position, row.try_get(1)?)
            };
            rows?.into_iter().map(entry).collect()
        })
    }

    fn remove(&self, positions: &[u64]) -> Answer<()> {
        let reader = self.reader();
        let positions: Vec<i64> =
            positions.iter().filter_map(|position| i64::try_from(*position).ok()).collect();
        Box::pin(async move {
            let client = reader?.client().await?;
            client
                .execute(
                    "DELETE FROM gitops_brain_facts WHERE position = ANY ($1::bigint[])",
                    &[&positions],
                )
                .await?;
            Ok(())
        })
    }

    fn take_cursor(&self, name: &str, holder: &str, lease: Duration) -> Answer<Option<Cursor>> {
        const TAKE: &str = "
            INSERT INTO gitops_brain_cursors AS cursor (name, holder, held_until)
            VALUES ($1, $2, now() + $3 * interval '1 second')
            ON CONFLICT (name) DO UPDATE
                SET holder = excluded.holder, held_until = excluded.held_until
                WHERE cursor.holder = excluded.holder OR cursor.held_until < now()
            RETURNING position";
        let reader = self.reader();
        let (name, holder) = (name.to_owned(), holder.to_owned());
        Box::pin(async move {
            let client = reader?.client().await?;
            let held = client.query_opt(TAKE, &[&name, &holder, &lease.as_secs_f64()]).await?;
            let Some(row) = held else { return Ok(None) };
            let position: Option<i64> = row.try_get(0)?;
            Ok(Some(Cursor::new(position.map(i64::unsigned_abs))))
        })
    }

    fn move_cursor(&self, name: &str, holder: &str, lease: Duration, to: u64) -> Answer<bool> {
        const MOVE: &str = "
            UPDATE gitops_brain_cursors
            SET position = $3, held_until = now() + $4 * interval '1 second'
            WHERE name = $1 AND holder = $2";
        let reader = self.reader();
        let (name, holder) = (name.to_owned(), holder.to_owned());
        Box::pin(async move {
            let client = reader?.client().await?;
            let to = i64::try_from(to).unwrap_or(i64::MAX);
            let moved = client.execute(MOVE, &[&name, &holder, &to, &lease.as_secs_f64()]).await?;
            Ok(moved == 1)
        })
    }

    fn announced(&self) -> Option<watch::Receiver<u64>> {
        Some(self.announced.clone())
    }

    fn close(&self) -> Answer<()> {
        self.commands().take();
        self.listener.abort();
        let (closed, reader) = (self.closed.clone(), self.reader.clone());
        Box::pin(async move {
            drop(closed.lock().await);
            reader.client.lock().await.take();
            Ok(())
        })
    }
}

impl Drop for PostgresJournal {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

impl fmt::Debug for PostgresJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresJournal").finish_non_exhaustive()
    }
}

/// A connection that is made when it is needed and there is none.
struct Link {
    config: Config,
    tls: MakeRustlsConnect,
    client: Mutex<Option<Arc<Client>>>,
    /// Who is told of what others have written; none if nobody listens on this one.
    announce: Option<watch::Sender<u64>>,
}

impl Link {
    fn new(config: Config, tls: MakeRustlsConnect, announce: Option<watch::Sender<u64>>) -> Self {
        Self { config, tls, client: Mutex::new(None), announce }
    }

    async fn client(&self) -> Result<Arc<Client>, JournalError> {
        let mut place = self.client.lock().await;
        if let Some(client) = place.as_ref().filter(|client| !client.is_closed()) {
            return Ok(client.clone());
        }
        *place = None;
        let connected = time::timeout(ONE_TRY, self.connect()).await;
        let client = Arc::new(connected.map_err(|_| too_slow("the database does not answer"))??);
        *place = Some(client.clone());
        Ok(client)
    }

    /// Gives up a connection of which nothing more is to be expected.
    async fn drop_client(&self) {
        self.client.lock().await.take();
    }

    async fn connect(&self) -> Result<Client, JournalError> {
        let (client, mut connection) = self.config.connect(self.tls.clone()).await?;
        let announce = self.announce.clone();
        // It ends when the client is dropped, or the connection is cut.
        tokio::spawn(async move {
            while let Some(message) =
                std::future::poll_fn(|context| connection.poll_message(context)).await
            {
                match message {
                    Ok(AsyncMessage::Notification(notification)) => {
                        let position = notification.payload().parse().unwrap_or_default();
                        if let Some(announce) = &announce {
                            announce.send_replace(position);
                        }
                    }
                    Ok(_) => {}
                    Err(error) => {
                        tracing::warn!(%error, "the connection to the database is lost");
                        break;
                    }
                }
            }
        });
        client.batch_execute(LIMITS).await?;
        if self.announce.is_some() {
            client.batch_execute(&format!("LISTEN {CHANNEL}")).await?;
        }
        Ok(client)
    }
}

/// Makes the connection that listens again whenever it is lost.
async fn keep_listening(link: Arc<Link>) {
    let mut pause = FIRST_PAUSE;
    loop {
        match link.client().await {
            Ok(_) => pause = FIRST_PAUSE,
            Err(error) => {
                tracing::debug!(%error, "the database cannot be listened to");
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
        time::sleep(pause.max(Duration::from_millis(200))).await;
    }
}

/// Stores what is submitted, until nobody can submit any more.
async fn write(link: Link, mut submissions: mpsc::UnboundedReceiver<Submission>) {
    let mut group = Vec::new();
    while submissions.recv_many(&mut group, MAX_GROUP).await > 0 {
        let mut rest = std::mem::take(&mut group).into_iter().peekable();
        while rest.peek().is_some() {
            let mut size = 0;
            let mut some = Vec::new();
            while let Some(next) =
                rest.next_if(|next| size == 0 || size + next.rows.len() <= MAX_GROUP)
            {
                size += next.rows.len();
                some.push(next);
            }
            append(&link, some).await;
        }
    }
}

/// Stores a group in one transaction, then answers each.
async fn append(link: &Link, group: Vec<Submission>) {
    match store(link, &group).await {
        Ok(stored) => {
            for (Submission { reply, .. }, appended) in group.into_iter().zip(stored) {
                // Whoever submitted it may have gone, here and below.
                let _ = reply.send(Ok(appended));
            }
        }
        Err(error) => {
            for Submission { reply, .. } in group {
                let _ = reply.send(Err(error.again()));
            }
        }
    }
}

/// Tries until it is stored, or the patience of those who wait is over.
async fn store(link: &Link, group: &[Submission]) -> Result<Vec<Vec<Appended>>, JournalError> {
    let end = Instant::now() + PATIENCE;
    let mut pause = FIRST_PAUSE;
    loop {
        let tried = time::timeout(ONE_TRY, store_once(link, group)).await;
        let error = match tried.unwrap_or_else(|_| Err(Failure::passing("it takes too long"))) {
            Ok(stored) => return Ok(stored),
            Err(Failure { error, passes: false }) => return Err(error),
            Err(Failure { error, passes: true }) => error,
        };
        // Whether it was committed is not known. To send it again is right in either case.
        link.drop_client().await;
        if Instant::now() + pause >= end {
            return Err(error);
        }
        tracing::warn!(%error, "not stored yet, trying again");
        time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Why a try failed, and whether the next one may do better.
struct Failure {
    error: JournalError,
    passes: bool,
}

impl Failure {
    fn passing(cause: &str) -> Self {
        Self { error: too_slow(cause), passes: true }
    }
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        let passes = error.code().is_none_or(|code| {
            // Connections, resources, an operator's intervention; and what concurrency can bring.
            let class = code.code().get(..2).unwrap_or_default();
            matches!(class, "08" | "40" | "53" | "55" | "57" | "58")
                || *code == SqlState::IN_FAILED_SQL_TRANSACTION
        });
        Self { error: error.into(), passes }
    }
}

async fn store_once(link: &Link, group: &[Submission]) -> Result<Vec<Vec<Appended>>, Failure> {
    let client = link.client().await.map_err(|error| Failure { error, passes: true })?;
    let rows = || group.iter().flat_map(|submission| &submission.rows);
    let (mut ids, mut ats, mut lines) = (Vec::new(), Vec::new(), Vec::new());
    let mut seen = std::collections::HashSet::new();
    for row in rows().filter(|row| seen.insert(row.id)) {
        ids.push(&row.id[..]);
        ats.push(row.at);
        lines.push(&*row.line);
    }
    // Looked for first: `ON CONFLICT DO NOTHING` would leave holes between the positions. The lock is
    // held, so nobody comes between the two; the clause is for writers of other releases.
    const INSERT: &str = "
        INSERT INTO gitops_brain_facts (id, at, line)
        SELECT new.id, new.at, new.line
        FROM unnest($1::bytea[], $2::bigint[], $3::text[]) WITH ORDINALITY AS new (id, at, line, place)
        WHERE NOT EXISTS (SELECT FROM gitops_brain_facts AS known WHERE known.id = new.id)
        ORDER BY new.place
        ON CONFLICT DO NOTHING
        RETURNING id, position";
    const FIND: &str = "SELECT id, position FROM gitops_brain_facts WHERE id = ANY ($1::bytea[])";
    let new: [(&(dyn ToSql + Sync), Type); 3] =
        [(&ids, Type::BYTEA_ARRAY), (&ats, Type::INT8_ARRAY), (&lines, Type::TEXT_ARRAY)];
    let known: [(&(dyn ToSql + Sync), Type); 1] = [(&ids, Type::BYTEA_ARRAY)];
    let begin = format!("BEGIN; SELECT pg_advisory_xact_lock({LOCK})");
    let announce =
        format!("SELECT pg_notify('{CHANNEL}', max(position)::text) FROM gitops_brain_facts");
    // Sent at once, and done one after the other; if one fails, all that follow do.
    let (begun, inserted, found, announced, committed) = tokio::join!(
        client.batch_execute(&begin),
        client.query_typed(INSERT, &new),
        client.query_typed(FIND, &known),
        client.batch_execute(&announce),
        client.batch_execute("COMMIT"),
    );
    begun?;
    let mut new = std::collections::HashSet::new();
    for row in inserted? {
        new.insert(row.try_get::<_, Vec<u8>>(0)?);
    }
    let mut positions = std::collections::HashMap::new();
    for row in found? {
        positions.insert(row.try_get::<_, Vec<u8>>(0)?, row.try_get::<_, i64>(1)?.unsigned_abs());
    }
    announced?;
    committed?;
    let mut appended = rows().map(|row| {
        let position = positions.get(&row.id[..]).copied();
        let position =
            position.ok_or_else(|| Failure::passing("a fact is not where it was stored"));
        // The first of several equal ones is the new one.
        Ok(Appended::new(position?, new.remove(&row.id[..])))
    });
    group.iter().map(|submission| appended.by_ref().take(submission.rows.len()).collect()).collect()
}

fn too_slow(cause: &str) -> JournalError {
    JournalError::Unavailable { cause: cause.to_owned() }
}

/// Encrypts if the URL asks for it (`sslmode`), and trusts those whom the machine trusts.
fn tls() -> Result<MakeRustlsConnect, JournalError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| JournalError::Unavailable { cause: error.to_string() })?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}
