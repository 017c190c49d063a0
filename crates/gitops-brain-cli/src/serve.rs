//! Running the server.

use std::{env, io, path::Path};

use gitops_brain::Policy;
use gitops_brain_server::{Config, ConfigError, Overrides, ServeError, Service, bind};
use tokio::{
    runtime::Builder,
    signal::unix::{Signal, SignalKind, signal},
};
use tracing_subscriber::filter::LevelFilter;

#[cfg(feature = "otlp")]
use tracing_subscriber::{layer::SubscriberExt as _, util::SubscriberInitExt as _};

#[cfg(feature = "otlp")]
use crate::otlp::Traces;
use crate::{
    args::{LogFormat, Serve},
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
    let load = || Config::load(args.config.as_deref(), &overrides);
    let config =
        load().map_err(|error| Failure::usage(format!("the configuration is wrong:\n{error}")))?;
    let mut out = Out::stdout();
    if args.check {
        config.explain().lines().for_each(|line| out.line(line));
        out.finish()?;
        return Ok(Exit::Succeeded);
    }
    #[cfg(feature = "otlp")]
    let traces = Traces::begin()?;
    log(
        args.log_format,
        #[cfg(feature = "otlp")]
        &traces,
    )?;
    let runtime = Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::internal(format!("cannot start threads: {error}")))?;
    runtime.block_on(serve(&config, &load, out)).map_err(failure)?;
    Ok(Exit::Succeeded)
}

async fn serve(
    config: &Config,
    load: &(dyn Fn() -> Result<Config, ConfigError> + Sync),
    mut out: Out,
) -> Result<(), ServeError> {
    // Whoever stops the server may do so as soon as it says that it listens.
    let signals = Signals::new()?;
    let server = bind(config).await?;
    let stop = signals.stop(server.service().clone(), load);
    // Nobody need read this.
    out.line(format!("listening on {}", server.url()));
    server.run(stop).await
}

/// What the operating system tells the server.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Ends when the process is told to stop; reads keys and tokens again when it is told to.
    async fn stop(
        mut self,
        service: Service,
        load: &(dyn Fn() -> Result<Config, ConfigError> + Sync),
    ) {
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => return,
                _ = self.terminate.recv() => return,
                _ = self.hangup.recv() => {
                    let reloaded = load().map_err(ServeError::from).and_then(|config| service.reload(&config));
                    if let Err(error) = reloaded {
                        tracing::error!("keys and tokens stay as they were: {error}");
                    }
                }
            }
        }
    }
}

/// Logs to stderr, from the level in `GITOPS_BRAIN_LOG` on.
fn log(format: LogFormat, #[cfg(feature = "otlp")] traces: &Traces) -> Result<(), Failure> {
    let level = match env::var("GITOPS_BRAIN_LOG") {
        Ok(level) => level.parse().map_err(|_| {
            Failure::usage(
                "GITOPS_BRAIN_LOG: write one of `error`, `warn`, `info`, `debug`, `trace`, `off`",
            )
        })?,
        Err(_) => LevelFilter::INFO,
    };
    let log = tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_ansi(false)
        .with_max_level(level)
        .with_target(false);
    #[cfg(feature = "otlp")]
    match format {
        LogFormat::Text => log.finish().with(traces.layer()).init(),
        LogFormat::Json => log.json().flatten_event(true).finish().with(traces.layer()).init(),
    }
    #[cfg(not(feature = "otlp"))]
    match format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().flatten_event(true).init(),
    }
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
