//! The running brain: what requests, the clock and the journal share.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use chrono::TimeDelta;
use gitops_brain::{Brain, Fact, Policy};
use gitops_brain_journal::{Appended, Journal, JournalError};
use sha2::{Digest as _, Sha256};
use tokio::{
    sync::{Notify, mpsc, oneshot, watch},
    task::JoinHandle,
    time,
};
use tokio_rustls::rustls::ServerConfig;

use crate::{
    auth::Gate,
    compaction,
    config::Config,
    driver::{self, Submission},
    failures::Failures,
    limits::{MAX_QUEUE, STORE_PATIENCE},
    live::Live,
    metrics::Metrics,
    notifications,
    problem::Problem,
    senders::Senders,
    server::ServeError,
    tls,
};

/// How many facts are read from the journal at a time.
pub(crate) const READ: usize = 10_000;

/// A running brain: it has read its journal, keeps time, and can be asked by any number of requests.
///
/// A clone is the same brain.
#[derive(Clone, Debug)]
pub struct Service(pub(crate) Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    live: Mutex<Live>,
    gate: RwLock<Arc<Gate>>,
    tls: RwLock<Option<Arc<ServerConfig>>>,
    pub(crate) failures: Failures,
    pub(crate) senders: Senders,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) retention: TimeDelta,
    /// A digest of the policy: replicas that answer alike have the same.
    pub(crate) policy: String,
    /// How many facts were read at the start.
    pub(crate) loaded: u64,
    submissions: mpsc::Sender<Submission>,
    /// The next deadline may have moved.
    pub(crate) clock: Notify,
    /// There is something to store that nobody submitted.
    pub(crate) owes: Notify,
    pub(crate) stop: watch::Sender<bool>,
    store_works: AtomicBool,
    /// Whether other servers write to the journal too.
    pub(crate) shared: bool,
    /// Held by who applies what stands in a shared journal: it is applied in its order.
    pub(crate) turn: tokio::sync::Mutex<()>,
    /// The position up to which the brain knows, for those who wait for it.
    pub(crate) caught_up: watch::Sender<u64>,
    /// When the journal was last read to its end.
    read_at: Mutex<time::Instant>,
    /// A newer release has written to the journal: nothing more can be applied.
    outdated: AtomicBool,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

/// Why facts were not stored, to be told to several.
#[derive(Clone, Debug)]
pub(crate) struct StoreFailure {
    pub(crate) code: &'static str,
    pub(crate) detail: String,
}

impl Service {
    /// Reads the journal and begins to run, within a tokio runtime.
    ///
    /// # Errors
    ///
    /// If the configuration has faults, or the journal cannot be read whole.
    pub async fn start(config: &Config, journal: Arc<dyn Journal>) -> Result<Self, ServeError> {
        config.check()?;
        let (brain, position, loaded) = load(&*journal, config.policy.clone()).await?;
        tracing::info!(position, facts = loaded, "the journal is read");
        let shared = journal.announced().is_some();
        let metrics = Arc::new(Metrics::new());
        let mut live = Live::new(brain, position, shared, metrics.clone());
        let now = driver::now();
        live.expire(now);
        // What a crash kept from being recorded.
        let settlements = live.brain.unrecorded();
        if shared {
            // Another server may be about to record them: the journal decides who was first.
            live.owe(settlements, now);
        } else {
            live.settle(settlements, now);
        }
        let (submissions, receiver) = mpsc::channel(MAX_QUEUE);
        let (stop, _) = watch::channel(false);
        let inner = Arc::new(Inner {
            live: Mutex::new(live),
            gate: RwLock::new(Arc::new(Gate::new(config)?)),
            tls: RwLock::new(config.tls.as_ref().map(tls::terms).transpose()?),
            failures: Failures::default(),
            senders: Senders::default(),
            journal,
            metrics,
            retention: TimeDelta::from_std(config.retention).unwrap_or(TimeDelta::MAX),
            policy: digest(&config.policy),
            loaded,
            submissions,
            clock: Notify::new(),
            owes: Notify::new(),
            stop,
            store_works: AtomicBool::new(true),
            shared,
            turn: tokio::sync::Mutex::default(),
            caught_up: watch::channel(position).0,
            read_at: Mutex::new(time::Instant::now()),
            outdated: AtomicBool::new(false),
            tasks: Mutex::default(),
        });
        if shared {
            driver::follow_up(&inner).await;
        }
        inner.owes.notify_one();
        let mut tasks = vec![
            tokio::spawn(driver::write(inner.clone(), receiver)),
            tokio::spawn(driver::keep_time(inner.clone())),
            tokio::spawn(driver::flush(inner.clone())),
            tokio::spawn(compaction::keep_small(inner.clone())),
        ];
        for receiver in &config.receivers {
            let (receiver, url) = (receiver.clone(), config.url.clone());
            tasks.push(tokio::spawn(notifications::tell(inner.clone(), receiver, url)));
        }
        if let Some(announced) = inner.journal.announced() {
            tasks.push(tokio::spawn(driver::follow(inner.clone(), announced)));
        }
        *inner.tasks.lock().unwrap_or_else(PoisonError::into_inner) = tasks;
        Ok(Self(inner))
    }

    /// Answers all who wait with the present status, and lets nobody wait any more. Everything else
    /// goes on until [`Service::stop`].
    pub fn release(&self) {
        let mut live = self.0.live();
        live.stopping = true;
        live.changes = None;
        live.wake_all(driver::now());
    }

    /// Stores what is not stored yet, and closes the journal.
    ///
    /// # Errors
    ///
    /// If the journal could not be closed in order. What was answered is stored all the same.
    pub async fn stop(&self) -> Result<(), JournalError> {
        self.release();
        driver::flush_heartbeats(&self.0).await;
        self.0.stop.send_replace(true);
        let tasks =
            std::mem::take(&mut *self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        for task in tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a task of the server failed");
            }
        }
        self.0.journal.close().await
    }

    /// Takes the keys, secrets, tokens and certificates of a configuration in place of those in use, and
    /// whether badges are public, at once and without an interruption. Everything else in it counts from the
    /// next start on.
    ///
    /// # Errors
    ///
    /// If the configuration has faults. What is in use stays then.
    pub fn reload(&self, config: &Config) -> Result<(), ServeError> {
        config.check()?;
        let gate = Arc::new(Gate::new(config)?);
        let tls = config.tls.as_ref().map(tls::terms).transpose()?;
        *self.0.tls.write().unwrap_or_else(PoisonError::into_inner) = tls;
        *self.0.gate.write().unwrap_or_else(PoisonError::into_inner) = gate;
        tracing::info!("keys and tokens are read again");
        Ok(())
    }

    /// Forgets what is older than the retention and no longer needed, and makes the journal as small as
    /// says the same, but for the last day. It is done once a day by itself. Returns how many facts were
    /// removed from the journal.
    ///
    /// # Errors
    ///
    /// If the journal cannot be used now. Nothing is lost then.
    pub async fn compact(&self) -> Result<usize, JournalError> {
        compaction::compact(&self.0)
            .await
            .map_err(|problem| JournalError::Unavailable { cause: problem.detail().to_owned() })
    }

    /// Looks at the brain. Nothing else goes on meanwhile, so be brief.
    pub fn with_brain<T>(&self, look: impl FnOnce(&Brain) -> T) -> T {
        look(&self.0.live().brain)
    }
}

impl Inner {
    /// Who may do what, by the keys and tokens in use.
    pub(crate) fn gate(&self) -> Arc<Gate> {
        self.gate.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What encrypts new connections, by the certificates in use.
    pub(crate) fn tls(&self) -> Option<Arc<ServerConfig>> {
        self.tls.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn live(&self) -> MutexGuard<'_, Live> {
        // Nothing that is done under it panics; if it did, what is stored is still right.
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores facts durably, all or none, and applies them.
    pub(crate) async fn submit(&self, facts: Vec<Fact>) -> Result<Vec<Appended>, Problem> {
        self.submit_chosen(|_| facts).await
    }

    /// The same with facts that are chosen by what is known. Nothing comes between that and their
    /// being on their way, not even the end of the request.
    pub(crate) async fn submit_chosen(
        &self,
        choose: impl FnOnce(&mut Live) -> Vec<Fact> + Send,
    ) -> Result<Vec<Appended>, Problem> {
        let (reply, answer) = oneshot::channel();
        let stored = async {
            let place = self.submissions.reserve().await.ok()?;
            {
                let mut live = self.live();
                let facts = choose(&mut live);
                if facts.is_empty() {
                    return Some(Ok(Vec::new()));
                }
                live.depart(&facts);
                place.send(Submission { facts, reply });
            }
            answer.await.ok()
        };
        match time::timeout(STORE_PATIENCE, stored).await {
            Ok(Some(Ok(appended))) => Ok(appended),
            Ok(Some(Err(failure))) => Err(Problem::unavailable(failure.code, failure.detail)),
            Ok(None) => Err(Problem::unavailable("server.stopping", "the server is stopping")),
            Err(_) => Err(Problem::unavailable(
                "store.unavailable",
                "the journal takes too long to store",
            )),
        }
    }

    pub(crate) fn store_works(&self, works: bool) {
        if self.store_works.swap(works, Ordering::Relaxed) != works && works {
            tracing::info!("facts are stored again");
        }
    }

    /// Notes that the journal was read to its end.
    pub(crate) fn read_to_end(&self) {
        *self.read_at.lock().unwrap_or_else(PoisonError::into_inner) = time::Instant::now();
    }

    /// How old what is known may be: nothing, but for a shared journal that cannot be read.
    pub(crate) fn age(&self) -> Duration {
        if !self.shared {
            return Duration::ZERO;
        }
        self.read_at.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }

    pub(crate) fn outdate(&self) {
        self.outdated.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_outdated(&self) -> bool {
        self.outdated.load(Ordering::Relaxed)
    }

    pub(crate) fn does_store_work(&self) -> bool {
        self.store_works.load(Ordering::Relaxed)
    }
}

/// Reads the whole journal into a brain, a part at a time: the next one is read while one is taken in.
async fn load(journal: &dyn Journal, policy: Policy) -> Result<(Brain, u64, u64), ServeError> {
    let (parts, mut receiver) = mpsc::channel::<Vec<Fact>>(2);
    let brain = tokio::task::spawn_blocking(move || {
        let mut brain = Brain::new(policy);
        brain.load(std::iter::from_fn(|| receiver.blocking_recv()).flatten());
        brain
    });
    let (mut position, mut loaded) = (0, 0);
    loop {
        let entries = journal.read_after(position, READ).await?;
        let Some(last) = entries.last() else { break };
        position = last.position;
        loaded += entries.len() as u64;
        let facts = entries.into_iter().map(|entry| entry.fact).collect();
        if parts.send(facts).await.is_err() {
            break;
        }
    }
    drop(parts);
    Ok((brain.await.map_err(std::io::Error::other)?, position, loaded))
}

fn digest(policy: &Policy) -> String {
    // Our own type, whose map keys are texts: this cannot fail.
    let json = serde_json::to_vec(policy).unwrap_or_default();
    Sha256::digest(json).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
