//! A server of its own: listening, serving, and stopping without leaving anyone without an answer.

use std::{io, net::SocketAddr, sync::Arc};

use gitops_brain::KeyError;
use gitops_brain_journal::{Journal, JournalError, PostgresJournal, SqliteJournal};
use tokio::net::TcpListener;

use crate::{
    config::{Config, ConfigError, Database},
    connections,
    router::router,
    service::Service,
    tls::TlsError,
};

/// Why a server could not start, or did not end well.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The configuration has faults.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A cluster has a key that no signature should be checked with.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Connections cannot be encrypted.
    #[error("tls: {0}")]
    Tls(#[from] TlsError),
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// Something else of the machine failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl ServeError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Config(error) => error.code(),
            Self::Key(error) => error.code(),
            Self::Tls(error) => error.code(),
            Self::Journal(error) => error.code(),
            Self::Listen { .. } => "server.listen",
            Self::Io(_) => "server.io",
        }
    }
}

/// A server that listens, and does not answer yet.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    service: Service,
}

/// Serves until `shutdown`, then answers all who wait, stores what is left, and ends.
///
/// # Errors
///
/// If the server cannot start, or its journal cannot be closed in order.
pub async fn serve(
    config: Config,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), ServeError> {
    bind(&config).await?.run(shutdown).await
}

/// Opens the journal, reads it, and listens. Port 0 is any free one: see [`Server::address`].
///
/// # Errors
///
/// If the configuration has faults, the journal cannot be used, or the address cannot be had.
pub async fn bind(config: &Config) -> Result<Server, ServeError> {
    config.check()?;
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
    bind_with(config, open(&config.database).await?).await
}

/// Opens a journal.
///
/// # Errors
///
/// If it cannot be used.
pub async fn open(database: &Database) -> Result<Arc<dyn Journal>, ServeError> {
    Ok(match database.clone() {
        // Opening checks the whole file, which takes a while if it is large.
        Database::Sqlite(path) => {
            let opened = tokio::task::spawn_blocking(move || SqliteJournal::open(path)).await;
            Arc::new(opened.map_err(io::Error::other)??)
        }
        Database::Postgres(url) => Arc::new(PostgresJournal::open(&url).await?),
    })
}

/// The same over another journal.
///
/// # Errors
///
/// As [`bind`].
pub async fn bind_with(config: &Config, journal: Arc<dyn Journal>) -> Result<Server, ServeError> {
    let address = config.listen;
    let listen = |source| ServeError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(listen)?;
    let address = listener.local_addr().map_err(listen)?;
    let service = Service::start(config, journal).await?;
    Ok(Server { listener, address, service })
}

impl Server {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens, as an address for clients.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.service.0.tls().is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// The brain behind it.
    #[must_use]
    pub fn service(&self) -> &Service {
        &self.service
    }

    /// Serves until `shutdown`, as [`serve`].
    ///
    /// # Errors
    ///
    /// If the journal cannot be closed in order.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) -> Result<(), ServeError> {
        let Self { listener, service, address } = self;
        tracing::info!(%address, "listening");
        let shutdown = async {
            shutdown.await;
            tracing::info!("stopping");
            service.release();
        };
        let tls = || service.0.tls();
        connections::serve(listener, router(service.clone()), tls, shutdown).await;
        Ok(service.stop().await?)
    }
}
