//! Running the server.

use std::{env, io, path::Path};

use gitops_brain::Policy;
use gitops_brain_server::{Config, Overrides, ServeError, bind};
use tokio::{
    runtime::Builder,
    signal::unix::{SignalKind, signal},
};
use tracing_subscriber::filter::LevelFilter;

use crate::{
    args::Serve,
    exit::{Exit, Failure},
    out::Out,
};

pub(crate) fn run(args: &Serve) -> Result<Exit, Failure> {
    let overrides = Overrides {
        listen: args.listen.map(|address| address.to_string()),
        database: args.database.clone(),
        insecure: args.insecure,
        ..Overrides::default()
    };
    let config = Config::load(args.config.as_deref(), &overrides)
        .map_err(|error| Failure::usage(format!("the configuration is wrong:\n{error}")))?;
    let mut out = Out::stdout();
    if args.check {
        config.explain().lines().for_each(|line| out.line(line));
        out.finish()?;
        return Ok(Exit::Succeeded);
    }
    log()?;
    let runtime = Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::internal(format!("cannot start threads: {error}")))?;
    runtime.block_on(serve(&config, out)).map_err(failure)?;
    Ok(Exit::Succeeded)
}

async fn serve(config: &Config, mut out: Out) -> Result<(), ServeError> {
    // Whoever stops the server may do so as soon as it says that it listens.
    let stop = stop()?;
    let server = bind(config).await?;
    // Nobody need read this.
    out.line(format!("listening on http://{}", server.address()));
    server.run(stop).await
}

/// Ends when the process is told to stop.
fn stop() -> io::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => return,
                _ = terminate.recv() => return,
                _ = hangup.recv() => {
                    tracing::warn!("keys and tokens are read at the start only: restart the server");
                }
            }
        }
    })
}

/// Logs to stderr, from the level in `GITOPS_BRAIN_LOG` on.
fn log() -> Result<(), Failure> {
    let level = match env::var("GITOPS_BRAIN_LOG") {
        Ok(level) => level.parse().map_err(|_| {
            Failure::usage(
                "GITOPS_BRAIN_LOG: write one of `error`, `warn`, `info`, `debug`, `trace`, `off`",
            )
        })?,
        Err(_) => LevelFilter::INFO,
    };
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_ansi(false)
        .with_max_level(level)
        .with_target(false)
        .init();
    Ok(())
}

fn failure(error: ServeError) -> Failure {
    let exit = match error {
        ServeError::Config(_) | ServeError::Key(_) | ServeError::Listen { .. } => Exit::Usage,
        _ => Exit::Internal,
    };
    Failure::new(exit, format!("{error} ({})", error.code()))
}

/// The policy in a server's configuration.
pub(crate) fn policy(path: &Path) -> Result<Policy, Failure> {
    // Its secrets need not be at hand, and settings of another process do not matter.
    let config = Config::load_with(Some(path), &Overrides::default(), &|name| {
        let is_setting = ["LISTEN", "DATABASE", "RETENTION", "INSECURE"]
            .iter()
            .any(|setting| name.strip_prefix("GITOPS_BRAIN_") == Some(setting));
        (!is_setting).then(|| format!("in-place-of-{name}"))
    });
    match config {
        Ok(config) => Ok(config.policy),
        Err(error) => Err(Failure::usage(format!("the configuration is wrong:\n{error}"))),
    }
}
