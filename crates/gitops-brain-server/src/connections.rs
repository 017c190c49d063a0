//! Taking connections, within bounds, and letting them end in order.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::{GracefulShutdown, Watcher},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time,
};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig};
use tower_layer::Layer as _;

use crate::{
    limits::{DRAIN_PATIENCE, HEAD_PATIENCE, MAX_CONNECTIONS, MAX_HEAD_BYTES},
    peer::Peer,
};

/// How long taking connections rests after an error: most likely there are no file handles left.
const REST: Duration = Duration::from_millis(100);

/// Takes connections until `shutdown`, then waits for the requests that are under way.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    // Asked for each connection: certificates are renewed.
    tls: impl Fn() -> Option<Arc<ServerConfig>>,
    shutdown: impl Future<Output = ()>,
) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let graceful = GracefulShutdown::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = accept(&listener, &places) => accepted,
        };
        let (stream, from, place) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot take a connection");
                time::sleep(REST).await;
                continue;
            }
        };
        let (router, watcher, tls) = (router.clone(), graceful.watcher(), tls());
        tokio::spawn(async move {
            let mut peer = Peer { address: from.ip(), encrypted: false, certificate: None };
            let served = match tls {
                None => answer(stream, peer, router, watcher).await,
                Some(tls) => match shake_hands(tls.into(), stream, &mut peer).await {
                    Ok(stream) => answer(stream, peer, router, watcher).await,
                    Err(error) => Err(error.into()),
                },
            };
            if let Err(error) = served {
                tracing::debug!(%error, "a connection broke off");
            }
            drop(place);
        });
    }
    drop(listener);
    if time::timeout(DRAIN_PATIENCE, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests did not end in time");
    }
}

async fn shake_hands(
    tls: TlsAcceptor,
    stream: TcpStream,
    peer: &mut Peer,
) -> io::Result<tokio_rustls::server::TlsStream<TcpStream>> {
    let stream = time::timeout(HEAD_PATIENCE, tls.accept(stream)).await??;
    peer.encrypted = true;
    let (_, session) = stream.get_ref();
    let certificates = session.peer_certificates();
    peer.certificate = certificates.and_then(<[_]>::first).map(|first| first.clone().into_owned());
    Ok(stream)
}

/// Answers the requests of a connection.
async fn answer(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: Peer,
    router: Router,
    watcher: Watcher,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let service = TowerToHyperService::new(Extension(peer).layer(router));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_PATIENCE)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    Ok(watcher.watch(connection).await?)
}

/// The next connection, as soon as there is a place for it. Others wait in the system's queue.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
    // The semaphore is never closed.
    let place = places.clone().acquire_owned().await.map_err(io::Error::other)?;
    let (stream, from) = listener.accept().await?;
    // Answers are small, and whoever waits should not wait for more of them.
    stream.set_nodelay(true)?;
    Ok((stream, from, place))
}
