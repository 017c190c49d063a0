//! The command line.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use gitops_brain::{ClusterName, DurationError, EnvironmentName, Selector, parse_duration};
use gitops_brain_release::{
    DocumentName, Image, ImageError, KustomizationImage, PathError, YamlPath,
};
use gitops_brain_server::Database;

/// Is my commit live and healthy in that environment — yes, no, or not yet, and why?
#[derive(Debug, Parser)]
#[command(name = "gitops-brain", version, max_term_width = 100, after_long_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
  0    succeeded
  1    failed
  2    usage: wrong arguments, an unknown commit or environment
  3    timed out
  4    not allowed
  5    the server cannot be reached
  6    cannot be answered: nothing is expected, no event will prove health, or --exact
       and a later commit is live
  70   internal error
  130  interrupted
Over several environments the worst counts: failed, then timed out, then the rest.";

#[derive(Args, Debug)]
pub(crate) struct Global {
    /// The server.
    #[arg(long, global = true, env = "GITOPS_BRAIN_URL", default_value = "http://127.0.0.1:8080")]
    pub(crate) url: String,

    /// The token that the server knows this client by; better passed in the environment.
    #[arg(long, global = true, env = "GITOPS_BRAIN_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,

    /// The checkout of the gitops repository.
    #[arg(short = 'C', global = true, value_name = "PATH", default_value = ".")]
    pub(crate) checkout: PathBuf,

    /// How results are printed.
    #[arg(long, short = 'o', global = true, value_enum, default_value_t = Format::Text)]
    pub(crate) output: Format,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Format {
    /// For people and CI logs.
    Text,
    /// For programs: the last answer of the server on stdout, all else on stderr.
    Json,
    /// For programs that follow: a JSON object on a line for each change, all else on stderr.
    Jsonl,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the server.
    Serve(Serve),
    /// Wait until a commit is live and healthy; register it first.
    Wait(Wait),
    /// Tell the server that a commit is on its way.
    Register(Register),
    /// Change what is wanted: set an image in the gitops repository, commit and push.
    Release {
        #[command(subcommand)]
        command: Release,
    },
    /// Show where a commit stands.
    Status(Status),
    /// List rollouts, the newest first.
    History(History),
    /// List what is live where.
    Reconcilers(Reconcilers),
    /// Check a set-up, and say what to mend.
    Doctor(Doctor),
    /// Print the Flux objects that make a cluster send its events to the server.
    Manifests(Manifests),
    /// Take a file of facts or Flux events through the state machine, without a server.
    Replay(Replay),
    /// Print the facts of a journal, one a line: a backup, and the way from one store to another.
    Export(Export),
    /// Add facts to a journal; those that stand there already are left as they are.
    Import(Import),
    /// Send a signed event as Flux would, to test a set-up.
    Send(Send),
    /// Print completions for a shell.
    Completions {
        /// The shell.
        shell: Shell,
    },
}

#[derive(Args, Debug)]
pub(crate) struct Serve {
    /// The configuration, in TOML.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// The address to listen on.
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<SocketAddr>,

    /// Where facts are kept: the path of a file, or `postgres://…` for several servers.
    #[arg(long, value_name = "DATABASE")]
    pub(crate) database: Option<String>,

    /// Listen on other addresses than loopback without keys or tokens.
    #[arg(long)]
    pub(crate) insecure: bool,

    /// How the log is written: lines for people, or objects for programs.
    #[arg(long, value_enum, default_value_t, env = "GITOPS_BRAIN_LOG_FORMAT")]
    pub(crate) log_format: LogFormat,

    /// Check the configuration and explain it, then end.
    #[arg(long)]
    pub(crate) check: bool,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum LogFormat {
    #[default]
    Text,
    Json,
}

#[derive(Args, Debug)]
pub(crate) struct Export {
    /// Where facts are kept: the path of a file that no server uses now, or `postgres://…`.
    #[arg(long, value_name = "DATABASE", env = "GITOPS_BRAIN_DATABASE", hide_env_values = true)]
    pub(crate) database: Database,
}

#[derive(Args, Debug)]
pub(crate) struct Import {
    /// Where facts are to be kept: the path of a file that no server uses now, or `postgres://…`.
    #[arg(long, value_name = "DATABASE", env = "GITOPS_BRAIN_DATABASE", hide_env_values = true)]
    pub(crate) database: Database,

    /// The facts, one a line, as `export` prints them; `-` for standard input.
    pub(crate) file: PathBuf,
}

/// A commit, and where it is to go live.
#[derive(Args, Debug)]
pub(crate) struct Target {
    /// A commit id, or any name that git knows in the checkout.
    #[arg(default_value = "HEAD")]
    pub(crate) commit: String,

    /// The environment; several can be given.
    #[arg(short, long, required = true, value_delimiter = ',', value_name = "ENVIRONMENT")]
    pub(crate) environment: Vec<EnvironmentName>,
}

#[derive(Args, Debug)]
pub(crate) struct Wait {
    #[command(flatten)]
    pub(crate) target: Target,

    #[command(flatten)]
    pub(crate) waiting: Waiting,

    /// Do not register the commit.
    #[arg(long)]
    pub(crate) no_register: bool,
}

/// How to wait, and for what.
#[derive(Args, Debug)]
pub(crate) struct Waiting {
    /// What to wait for.
    #[arg(long = "for", value_enum, value_name = "STATE")]
    pub(crate) require: Option<Require>,

    /// How long to wait; the rollout's time limit too.
    #[arg(long, default_value = "15m", value_parser = duration)]
    pub(crate) timeout: Duration,

    /// Wait for this reconciler alone (`cluster/Kind/namespace/name`); several can be given.
    #[arg(long, value_name = "NAME")]
    pub(crate) reconciler: Vec<Selector>,

    /// How long a failure must last before it counts.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) failure_grace: Option<Duration>,

    /// Accept this commit alone, and no later one that contains it.
    #[arg(long)]
    pub(crate) exact: bool,

    /// Wait even if no event that can come will answer.
    #[arg(long)]
    pub(crate) keep_waiting: bool,

    /// A label of the rollout, as `app=shop`; several can be given.
    #[arg(long, value_name = "NAME=VALUE", value_parser = label)]
    pub(crate) label: Vec<(String, String)>,

    /// Write the result as variables (GITOPS_BRAIN_OUTCOME=…): a dotenv report of GitLab.
    #[arg(long, value_name = "FILE")]
    pub(crate) dotenv: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Release {
    /// Set images, commit and push; the commit is printed. With --wait, wait until it is live.
    Make(Box<ReleaseMake>),
    /// List releases, the newest first.
    List(ReleaseList),
    /// Show where the newest release of an app stands.
    Status(ReleaseStatus),
    /// Take a release back with a new commit.
    Rollback(Box<ReleaseRollback>),
}

/// The gitops repository, if it is not the checkout at -C.
#[derive(Args, Debug)]
pub(crate) struct GitopsRepository {
    /// The address of the gitops repository, to be cloned; without it the checkout is used.
    #[arg(long, value_name = "URL")]
    pub(crate) repository: Option<String>,

    /// The branch. Default: the one that is checked out, or the remote's default.
    #[arg(long)]
    pub(crate) branch: Option<String>,
}

/// Where a release goes, and whether to wait for it.
#[derive(Args, Debug)]
pub(crate) struct Rollout {
    /// Register the commit in this environment; several can be given.
    #[arg(short, long, value_delimiter = ',', value_name = "ENVIRONMENT")]
    pub(crate) environment: Vec<EnvironmentName>,

    /// Wait until the commit is live and healthy there.
    #[arg(long, requires = "environment")]
    pub(crate) wait: bool,

    /// Who asks for it. Default: whom the CI system names.
    #[arg(long)]
    pub(crate) actor: Option<String>,

    /// The CI run. Default: what the CI system names.
    #[arg(long, value_name = "URL")]
    pub(crate) run_url: Option<String>,

    #[command(flatten)]
    pub(crate) waiting: Waiting,
}

#[derive(Args, Debug)]
pub(crate) struct ReleaseMake {
    /// The app.
    #[arg(long)]
    pub(crate) app: String,

    /// Its version: what is released.
    #[arg(long)]
    pub(crate) version: String,

    /// The subject of the commit's message. Default: `release: APP VERSION`.
    #[arg(long, value_name = "SUBJECT")]
    pub(crate) message: Option<String>,

    #[command(flatten)]
    pub(crate) repository: GitopsRepository,

    /// The file that --set changes.
    #[arg(long, requires = "set")]
    pub(crate) file: Option<String>,

    /// The document in it that is meant, as `Deployment/web` or `Deployment/shop/web`.
    #[arg(long, value_name = "KIND/NAME", requires = "set")]
    pub(crate) document: Option<DocumentName>,

    /// Set a value: `spec.template.spec.containers[name=web].image=ghcr.io/shop/web:1.4.0`; several
    /// can be given.
    #[arg(long, value_name = "PATH=VALUE", value_parser = set, requires = "file")]
    pub(crate) set: Vec<(YamlPath, String)>,

    /// The folder of the kustomization that --image changes.
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    pub(crate) kustomization: String,

    /// Set an image of the kustomization, written as for `kustomize edit set image`:
    /// `web=ghcr.io/shop/web:1.4.0`, `web:1.4.0`, `web@sha256:…`; several can be given.
    #[arg(long, value_name = "IMAGE")]
    pub(crate) image: Vec<KustomizationImage>,

    /// Set what carries the marker of Flux's image policy:
    /// `flux-system:web=ghcr.io/shop/web:1.4.0`; several can be given.
    #[arg(long, value_name = "NAMESPACE:NAME=IMAGE", value_parser = policy)]
    pub(crate) policy: Vec<(String, Image)>,

    /// The folder in which --policy looks for markers. Default: the whole repository.
    #[arg(long, value_name = "FOLDER", default_value = "", hide_default_value = true)]
    pub(crate) path: String,

    #[command(flatten)]
    pub(crate) rollout: Rollout,
}

#[derive(Args, Debug)]
pub(crate) struct ReleaseList {
    /// Releases of this app.
    #[arg(long)]
    pub(crate) app: Option<String>,

    /// At most so many.
    #[arg(long, default_value_t = 20)]
    pub(crate) limit: usize,

    #[command(flatten)]
    pub(crate) repository: GitopsRepository,
}

#[derive(Args, Debug)]
pub(crate) struct ReleaseStatus {
    /// The app.
    #[arg(long)]
    pub(crate) app: String,

    /// The environment; several can be given. Default: all.
    #[arg(short, long, value_delimiter = ',')]
    pub(crate) environment: Vec<EnvironmentName>,

    #[command(flatten)]
    pub(crate) repository: GitopsRepository,
}

#[derive(Args, Debug)]
#[command(group = clap::ArgGroup::new("what").required(true))]
pub(crate) struct ReleaseRollback {
    /// The commit of the release.
    #[arg(group = "what")]
    pub(crate) commit: Option<String>,

    /// The app whose newest release is taken back.
    #[arg(long, group = "what")]
    pub(crate) app: Option<String>,

    #[command(flatten)]
    pub(crate) repository: GitopsRepository,

    #[command(flatten)]
    pub(crate) rollout: Rollout,
}

#[derive(Args, Debug)]
pub(crate) struct Register {
    #[command(flatten)]
    pub(crate) target: Target,

    /// A reconciler that is expected too (`cluster/Kind/namespace/name`); several can be given.
    #[arg(long, value_name = "NAME")]
    pub(crate) expect: Vec<Selector>,

    /// How long the rollout may take.
    #[arg(long, value_parser = duration)]
    pub(crate) timeout: Option<Duration>,

    /// A label, as `app=shop`; several can be given.
    #[arg(long, value_name = "NAME=VALUE", value_parser = label)]
    pub(crate) label: Vec<(String, String)>,
}

#[derive(Args, Debug)]
pub(crate) struct Status {
    /// A commit id or its beginning, or any name that git knows in the checkout.
    #[arg(default_value = "HEAD")]
    pub(crate) commit: String,

    /// The environment; several can be given. Default: all.
    #[arg(short, long, value_delimiter = ',')]
    pub(crate) environment: Vec<EnvironmentName>,
}

#[derive(Args, Debug)]
pub(crate) struct History {
    /// Rollouts of this environment.
    #[arg(short, long)]
    pub(crate) environment: Option<EnvironmentName>,

    /// Rollouts with this outcome.
    #[arg(long, value_enum)]
    pub(crate) outcome: Option<Outcome>,

    /// Rollouts with this label, as `app=shop`; several can be given.
    #[arg(long, value_name = "NAME=VALUE", value_parser = label)]
    pub(crate) label: Vec<(String, String)>,

    /// At most so many.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=200))]
    pub(crate) limit: u32,

    /// Print statistics instead: deployment frequency, lead time, change failure rate, and time to
    /// restore.
    #[arg(long, conflicts_with_all = ["outcome", "limit"])]
    pub(crate) stats: bool,

    /// Over this long until now.
    #[arg(long, value_name = "TIME", default_value = "720h", value_parser = duration, requires = "stats")]
    pub(crate) window: Duration,
}

#[derive(Args, Debug)]
pub(crate) struct Reconcilers {
    /// Those of this environment.
    #[arg(short, long)]
    pub(crate) environment: Option<EnvironmentName>,

    /// Those of this cluster.
    #[arg(long)]
    pub(crate) cluster: Option<ClusterName>,
}

#[derive(Args, Debug)]
pub(crate) struct Doctor {
    /// Another server that answers for the same journal; several can be given.
    #[arg(long, value_name = "URL")]
    pub(crate) replica: Vec<String>,

    /// Look at a cluster's Flux objects too, through `kubectl` with this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,

    /// The context of the kubeconfig.
    #[arg(long)]
    pub(crate) context: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Manifests {
    /// The name that the server knows the cluster by.
    #[arg(long)]
    pub(crate) cluster: ClusterName,

    /// The address under which the cluster reaches the server.
    #[arg(long, value_name = "URL")]
    pub(crate) address: String,

    /// Print the settings of Argo CD's notifications instead.
    #[arg(long, conflicts_with_all = ["key_file", "watch_namespace"])]
    pub(crate) argocd: bool,

    /// The namespace of Flux, or of Argo CD. Default: `flux-system`, or `argocd`.
    #[arg(long, value_parser = kubernetes_name)]
    pub(crate) namespace: Option<String>,

    /// Another namespace with Flux objects; several can be given.
    #[arg(long, value_name = "NAMESPACE", value_parser = kubernetes_name)]
    pub(crate) watch_namespace: Vec<String>,

    /// The file that holds the cluster's key; `-` for stdin. Without one a placeholder is printed.
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct Replay {
    /// Facts (lines of a journal) or bodies of Flux's requests, one per line; `-` for stdin.
    #[arg(value_name = "FILE.jsonl")]
    pub(crate) file: PathBuf,

    /// A server's configuration, for its environments.
    #[arg(long, value_name = "CONFIG.toml")]
    pub(crate) policy: Option<PathBuf>,

    /// The cluster that the events are of.
    #[arg(long, default_value = "replay")]
    pub(crate) cluster: ClusterName,
}

#[derive(Args, Debug)]
pub(crate) struct Send {
    /// The name that the server knows the cluster by.
    #[arg(long)]
    pub(crate) cluster: ClusterName,

    /// The file that holds the cluster's key; `-` for stdin. Default: GITOPS_BRAIN_HMAC_KEY.
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,

    /// An event to send as it is; `-` for stdin. Without one a sample is made.
    #[arg(long, value_name = "FILE", conflicts_with = "Sample")]
    pub(crate) event: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) sample: Sample,
}

/// What a sample event says.
#[derive(Args, Debug)]
#[group(id = "Sample")]
pub(crate) struct Sample {
    /// The commit. Default: HEAD of the checkout.
    #[arg(long, conflicts_with = "revision")]
    pub(crate) commit: Option<String>,

    /// The revision, as `main@sha1:<commit>`.
    #[arg(long)]
    pub(crate) revision: Option<String>,

    /// The object, as `Kind/namespace/name`. The default is one that nobody waits for.
    #[arg(long, value_name = "OBJECT")]
    pub(crate) object: Option<String>,

    /// What the event says.
    #[arg(long, value_enum)]
    pub(crate) what: Option<What>,

    /// Another reason than that of what it says, in Flux's words.
    #[arg(long)]
    pub(crate) reason: Option<String>,

    /// Another message.
    #[arg(long)]
    pub(crate) message: Option<String>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum What {
    /// Objects were applied.
    Applied,
    /// The health check passed.
    Healthy,
    /// The reconciliation finished.
    Succeeded,
    /// The build failed.
    Failed,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Require {
    /// Everything is applied and proved healthy.
    Healthy,
    /// Everything is applied.
    Applied,
}

impl Require {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Applied => "applied",
        }
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Outcome {
    InProgress,
    Succeeded,
    Failed,
    TimedOut,
}

impl Outcome {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
        }
    }
}

fn duration(text: &str) -> Result<Duration, DurationError> {
    parse_duration(text)
}

fn label(text: &str) -> Result<(String, String), &'static str> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write a label as `name=value`"),
    }
}

fn set(text: &str) -> Result<(YamlPath, String), String> {
    // A step like `[name=web]` has an equals sign too.
    let is_outside = |at: usize| {
        let before = text.get(..at).unwrap_or_default();
        before.matches('[').count() == before.matches(']').count()
    };
    let split = text.match_indices('=').map(|(at, _)| at).find(|at| is_outside(*at));
    let (path, value) = split
        .and_then(|at| Some((text.get(..at)?, text.get(at + 1..)?)))
        .ok_or("write it as `path.to.the.value=value`")?;
    let is_one_line = !value
        .contains(|c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}'));
    if !is_one_line {
        return Err("a value is one line of text, without control characters".to_owned());
    }
    Ok((path.parse().map_err(|error: PathError| error.to_string())?, value.to_owned()))
}

fn policy(text: &str) -> Result<(String, Image), String> {
    match text.split_once('=') {
        Some((policy, image))
            if policy.split_once(':').is_some_and(|(a, b)| !a.is_empty() && !b.is_empty()) =>
        {
            Ok((policy.to_owned(), image.parse().map_err(|error: ImageError| error.to_string())?))
        }
        _ => Err("write it as `namespace:name=image:tag`".to_owned()),
    }
}

fn kubernetes_name(text: &str) -> Result<String, &'static str> {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let edge = |c: Option<char>| c.is_some_and(|c| c != '-');
    let well_formed = text.len() <= 63
        && text.chars().all(inner)
        && edge(text.chars().next())
        && edge(text.chars().last());
    if well_formed { Ok(text.to_owned()) } else { Err("this is no name that Kubernetes allows") }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_value_may_have_equals_signs_and_so_may_its_path() {
        let (path, value) = set("spec.c[name=web].args[0]=--a=b").unwrap();
        assert_eq!((&*path.to_string(), &*value), ("spec.c[name=web].args[0]", "--a=b"));
        for wrong in ["spec.image", "spec..image=x", "a=b\nc", "=x"] {
            assert!(set(wrong).is_err(), "{wrong}");
        }
        assert!(policy("web=x:1").is_err());
    }

    #[test]
    fn several_environments_can_be_given() {
        let cli = Cli::try_parse_from(["gitops-brain", "wait", "-e", "a,b", "-e", "c"]).unwrap();
        let Command::Wait(wait) = cli.command else { panic!() };
        assert_eq!(wait.target.environment.len(), 3);
        assert_eq!(wait.target.commit, "HEAD");
    }
}
