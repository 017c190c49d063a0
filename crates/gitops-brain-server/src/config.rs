//! What the server is told: where to listen, where to store, whom to trust, what to expect.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::{self, Write as _},
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use gitops_brain::{ClusterName, EnvironmentName, HealthChecks, Policy, Require, format_duration};

use crate::{
    config_file,
    receiver::Receiver,
    secret::{self, Secret, TokenDigest},
    tls::Tls,
};

/// Keys shorter than this can be guessed by trying.
const SHORT_SECRET: usize = 16;

/// The configuration of a server.
///
/// The default is for trying things out: it listens on the loopback address, stores in the working
/// folder, and trusts everyone.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where the journal is.
    pub database: Database,
    /// How long what is no longer needed is remembered.
    pub retention: Duration,
    /// Whether to listen on other than loopback addresses though anyone could send anything.
    pub insecure: bool,
    /// The clusters that may send events. None: any name, without a key.
    pub clusters: BTreeMap<ClusterName, Cluster>,
    /// How connections are encrypted. Without it, only an ingress before the server can do so.
    pub tls: Option<Tls>,
    /// The address at which people reach the server, for links.
    pub url: Option<String>,
    /// Who is told of settled rollouts.
    pub receivers: Vec<Receiver>,
    /// Environments and reconcilers.
    pub policy: Policy,
    /// Whether `/metrics` is for everybody. Else it needs a token with the scope `read`.
    pub public_metrics: bool,
    /// Who may ask and register. None: everyone.
    pub tokens: Vec<Token>,
    /// The git hosts whose push webhooks are taken, each with the secrets of its webhooks; several
    /// while they are changed.
    pub push: BTreeMap<GitHost, Vec<Secret>>,
    /// Whether badges are shown to everybody: an image in a README cannot have a token.
    pub public_badges: bool,
}

/// Where a journal is: in text the path of a file, or a URL.
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub enum Database {
    /// In a file, for one server.
    Sqlite(PathBuf),
    /// In a PostgreSQL database of this URL, for any number of servers. It may hold a password: it is
    /// not shown.
    Postgres(String),
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "{} (SQLite)", path.display()),
            Self::Postgres(url) => {
                // `postgres://user:password@host/database?options`
                let rest = url.split_once("://").map_or("", |(_, rest)| rest);
                let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
                let place = place.split_once('?').map_or(place, |(place, _)| place);
                write!(f, "postgres://{place} (PostgreSQL)")
            }
        }
    }
}

impl std::str::FromStr for Database {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parse_database(text)
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// How events of a cluster are known to be its own: by any of these, of which it needs one.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Cluster {
    /// The keys of Flux's provider `generic-hmac`; several while they are changed.
    pub hmac_keys: Vec<Secret>,
    /// The tokens that Flux's provider `generic` sends in a header `Authorization`.
    pub bearer_tokens: Vec<TokenDigest>,
    /// The DNS names of the certificates that Flux shows (the provider's `certSecretRef`), which are by
    /// the authority in [`Tls::client_ca`].
    pub client_names: Vec<String>,
}

/// A git host whose push webhooks can be read.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum GitHost {
    /// GitHub, in the cloud or one's own.
    GitHub,
    /// GitLab, in the cloud or one's own.
    GitLab,
    /// Gitea, and Forgejo.
    Gitea,
}

impl GitHost {
    pub(crate) const ALL: [Self; 3] = [Self::GitHub, Self::GitLab, Self::Gitea];

    /// The host as the configuration and the paths have it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::GitHub => "github",
            Self::GitLab => "gitlab",
            Self::Gitea => "gitea",
        }
    }
}

impl fmt::Display for GitHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Somebody who may ask or register.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Token {
    /// What the log calls it.
    pub name: String,
    /// What it is known by.
    pub digest: TokenDigest,
    /// What it may do.
    pub scopes: BTreeSet<Scope>,
    /// The environments that it may do it in; `None` for all.
    pub environments: Option<BTreeSet<EnvironmentName>>,
}

impl Token {
    /// A token that may do these things in all environments.
    #[must_use]
    pub fn new(
        name: impl Into<String>,
        digest: TokenDigest,
        scopes: impl IntoIterator<Item = Scope>,
    ) -> Self {
        Self { name: name.into(), digest, scopes: scopes.into_iter().collect(), environments: None }
    }
}

/// What a token may be allowed to do.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Scope {
    /// Ask.
    Read,
    /// Register rollouts, and send commit objects.
    Write,
    /// Claim the parents of commits without proof.
    Ancestry,
    /// Take reconcilers out of what is expected.
    Admin,
}

impl Scope {
    pub(crate) const ALL: [Self; 4] = [Self::Read, Self::Write, Self::Ancestry, Self::Admin];

    /// The scope as the configuration has it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Ancestry => "ancestry",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Something in a configuration that is allowed, and yet most likely not meant.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Warning {
    /// What kind of thing it is.
    pub code: &'static str,
    /// What it is about.
    pub subject: String,
    /// What is so.
    pub message: String,
    /// What to do about it.
    pub remedy: &'static str,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.message, self.remedy)
    }
}

/// What flags say: it wins over the environment, which wins over the file.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Overrides {
    /// As `listen` in the file.
    pub listen: Option<String>,
    /// As `database` in the file.
    pub database: Option<String>,
    /// As `retention` in the file.
    pub retention: Option<String>,
    /// As `insecure = true` in the file.
    pub insecure: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080),
            database: Database::Sqlite(PathBuf::from("gitops-brain.db")),
            retention: Duration::from_hours(90 * 24),
            insecure: false,
            clusters: BTreeMap::new(),
            tls: None,
            url: None,
            receivers: Vec::new(),
            policy: Policy::default(),
            public_metrics: false,
            tokens: Vec::new(),
            push: BTreeMap::new(),
            public_badges: false,
        }
    }
}

impl Config {
    /// Reads the configuration from a file, if there is one, the environment variables
    /// `GITOPS_BRAIN_LISTEN`, `GITOPS_BRAIN_DATABASE`, `GITOPS_BRAIN_RETENTION` and
    /// `GITOPS_BRAIN_INSECURE`, and flags.
    ///
    /// # Errors
    ///
    /// All that is wrong with it, at once.
    pub fn load(path: Option<&Path>, overrides: &Overrides) -> Result<Self, ConfigError> {
        Self::load_with(path, overrides, &secret::variable)
    }

    /// The same with other environment variables than those of the process, which secrets are read
    /// from too.
    ///
    /// # Errors
    ///
    /// As [`Config::load`].
    pub fn load_with(
        path: Option<&Path>,
        overrides: &Overrides,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let mut faults = Vec::new();
        let mut config = Self::default();
        if let Some(path) = path {
            match fs::read_to_string(path) {
                Ok(text) => {
                    config_file::read(&text, variable, &mut config, &mut faults);
                    for fault in &mut faults {
                        fault.place.get_or_insert_default().insert_str(0, &file(path));
                    }
                }
                Err(error) => faults.push(Fault {
                    place: Some(file(path)),
                    message: format!("it cannot be read: {error}"),
                }),
            }
        }
        config.set(overrides, variable, &mut faults);
        // What the parts make together can only be judged if each is in order.
        if faults.is_empty() {
            config.judge(&mut faults);
        }
        if faults.is_empty() { Ok(config) } else { Err(ConfigError { faults }) }
    }

    /// Looks at the whole: whether it is safe, and fits together.
    ///
    /// # Errors
    ///
    /// All that is wrong with it, at once.
    pub fn check(&self) -> Result<(), ConfigError> {
        let mut faults = Vec::new();
        self.judge(&mut faults);
        if faults.is_empty() { Ok(()) } else { Err(ConfigError { faults }) }
    }

    fn set(
        &mut self,
        overrides: &Overrides,
        variable: &dyn Fn(&str) -> Option<String>,
        faults: &mut Vec<Fault>,
    ) {
        let told = |flag: &str, value: &Option<String>| -> Option<(String, String)> {
            let name = format!("GITOPS_BRAIN_{}", flag.to_ascii_uppercase());
            match value {
                Some(value) => Some((format!("--{flag}"), value.clone())),
                None => variable(&name).map(|value| (name, value)),
            }
        };
        let mut fault = |place: String, message: String| {
            faults.push(Fault { place: Some(place), message });
        };
        if let Some((place, value)) = told("listen", &overrides.listen) {
            match parse_listen(&value) {
                Ok(listen) => self.listen = listen,
                Err(message) => fault(place, message),
            }
        }
        if let Some((place, value)) = told("database", &overrides.database) {
            match parse_database(&value) {
                Ok(database) => self.database = database,
                Err(message) => fault(place, message),
            }
        }
        if let Some((place, value)) = told("retention", &overrides.retention) {
            match gitops_brain::parse_duration(&value) {
                Ok(retention) => self.retention = retention,
                Err(error) => fault(place, error.to_string()),
            }
        }
        match told("insecure", &overrides.insecure.then(|| "true".to_owned())) {
            Some((_, value)) if value == "true" || value == "1" => self.insecure = true,
            Some((_, value)) if value == "false" || value == "0" => self.insecure = false,
            Some((place, _)) => fault(place, "write `true` or `false`".to_owned()),
            None => {}
        }
    }

    fn judge(&self, faults: &mut Vec<Fault>) {
        let mut fault = |message: String| faults.push(Fault { place: None, message });
        if !self.listen.ip().is_loopback() && !self.insecure {
            if self.clusters.is_empty() {
                fault(format!(
                    "on {} anyone could send events: declare the clusters with their keys, or \
                     insist with `insecure = true`",
                    self.listen
                ));
            }
            if self.tokens.is_empty() {
                fault(format!(
                    "on {} anyone could ask and register: declare tokens, or insist with \
                     `insecure = true`",
                    self.listen
                ));
            }
        }
        for (name, cluster) in &self.clusters {
            if cluster.hmac_keys.is_empty()
                && cluster.bearer_tokens.is_empty()
                && cluster.client_names.is_empty()
            {
                fault(format!(
                    "cluster {name} has neither `hmac_keys` nor `bearer_tokens` nor `client_names`"
                ));
            }
            let authority = self.tls.as_ref().and_then(|tls| tls.client_ca.as_ref());
            if !cluster.client_names.is_empty() && authority.is_none() {
                fault(format!(
                    "cluster {name} has `client_names`, and there is no `tls.client_ca` to check \
                     certificates by"
                ));
            }
            for (other, its) in self.clusters.range::<ClusterName, _>(..name) {
                if let Some(shared) = its.client_names.iter().find(|its| {
                    cluster.client_names.iter().any(|own| own.eq_ignore_ascii_case(its))
                }) {
                    fault(format!("clusters {other} and {name} share the client name {shared}"));
                }
            }
        }
        for token in &self.tokens {
            if token.scopes.contains(&Scope::Ancestry) && token.environments.is_some() {
                fault(format!(
                    "the token `{}` is confined to environments and has the scope `ancestry`: what it \
                     claims counts in all of them, so take one of the two away",
                    token.name
                ));
            }
        }
        for (host, secrets) in &self.push {
            if secrets.is_empty() {
                fault(format!("push.{host} has no `secrets`: anyone could send pushes"));
            }
        }
        for (name, environment) in &self.policy.environments {
            if environment.reconcilers.is_empty()
                && !self.clusters.is_empty()
                && !self.clusters.contains_key(name.as_str())
            {
                fault(format!(
                    "environment {name} has no `reconcilers`, and no cluster of that name is declared"
                ));
            }
        }
    }

    /// What is allowed, and yet most likely not meant.
    #[must_use]
    pub fn warnings(&self) -> Vec<Warning> {
        let mut warnings = Vec::new();
        if !self.listen.ip().is_loopback() && self.insecure {
            let mut warn = |message| {
                let subject = self.listen.to_string();
                let remedy = "declare `[clusters.…]` with keys and `[[tokens]]`, and start without --insecure";
                warnings.push(Warning { code: "insecure", subject, message, remedy });
            };
            if self.clusters.is_empty() {
                warn(format!("anyone who reaches {} can send events", self.listen));
            }
            if self.tokens.is_empty() {
                warn(format!("anyone who reaches {} can ask and register", self.listen));
            }
        }
        self.doubt_keys(&mut warnings);
        for (name, environment) in &self.policy.environments {
            if environment.reconcilers.iter().any(|selector| !selector.is_pattern()) {
                continue;
            }
            warnings.push(Warning {
                code: "reconcilers_not_named",
                subject: name.to_string(),
                message: format!(
                    "environment {name} names no reconciler: success is said only {} after its \
                     clusters are first heard, and a reconciler that never reports is not missed",
                    format_duration(environment.learning)
                ),
                remedy: "name those that must report in the environment's `reconcilers`",
            });
        }
        warnings
    }

    /// Keys that others could guess, or that say less than they seem to of who used them.
    fn doubt_keys(&self, warnings: &mut Vec<Warning>) {
        let clusters = self
            .clusters
            .iter()
            .map(|(name, cluster)| (format!("cluster {name}"), &cluster.hmac_keys));
        let hosts = self.push.iter().map(|(host, secrets)| (format!("push.{host}"), secrets));
        let mut owners: BTreeMap<&[u8], String> = BTreeMap::new();
        for (owner, keys) in clusters.chain(hosts) {
            let mut warn = |code, message| {
                let remedy = "give each its own key: `openssl rand -hex 32` makes one";
                warnings.push(Warning { code, subject: owner.clone(), message, remedy });
            };
            for key in keys {
                let key = key.expose().trim_ascii();
                if key.len() < SHORT_SECRET {
                    warn("key_short", format!("a key of {owner} has only {} bytes", key.len()));
                }
                match owners.insert(key, owner.clone()) {
                    Some(other) if other == owner => {
                        warn("key_twice", format!("{owner} has the same key twice"));
                    }
                    Some(other) => warn(
                        "key_shared",
                        format!("{other} and {owner} share a key: each can speak for the other"),
                    ),
                    None => {}
                }
            }
        }
    }

    /// The configuration in words: what it means, and what is doubtful.
    #[must_use]
    pub fn explain(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail, here and below.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, text: &mut String) -> fmt::Result {
        let reach = if self.listen.ip().is_loopback() { ", this machine only" } else { "" };
        writeln!(text, "listens on   {}{reach}", self.listen)?;
        match &self.tls {
            None => writeln!(text, "encrypts     nothing")?,
            Some(tls) => writeln!(text, "encrypts     with {}", tls.certificate.display())?,
        }
        writeln!(text, "stores in    {}", self.database)?;
        writeln!(text, "remembers    {}", in_days(self.retention))?;
        let everybody = self.public_badges || self.tokens.is_empty();
        let readers = if everybody { "everybody" } else { "tokens with the scope read" };
        writeln!(text, "badges for   {readers}")?;
        writeln!(text, "clusters")?;
        if self.clusters.is_empty() {
            writeln!(text, "  any name, without a key")?;
        }
        for (name, cluster) in &self.clusters {
            let means = [
                counted(cluster.hmac_keys.len(), "HMAC key"),
                counted(cluster.bearer_tokens.len(), "bearer token"),
                counted(cluster.client_names.len(), "client name"),
            ];
            let means: Vec<_> = means.into_iter().flatten().collect();
            writeln!(text, "  {name}: {}", means.join(", "))?;
        }
        writeln!(text, "environments")?;
        if self.policy.environments.is_empty() {
            writeln!(text, "  each cluster is the environment of its name")?;
        }
        for (name, environment) in &self.policy.environments {
            let require = match environment.require {
                Require::Applied => "applied",
                Require::Healthy => "healthy",
            };
            let timeout = format_duration(environment.timeout);
            writeln!(text, "  {name}: {require} within {timeout}")?;
            for selector in &environment.reconcilers {
                let what = if selector.is_pattern() { "those known of" } else { "expects" };
                writeln!(text, "    {what} {selector}")?;
            }
            if environment.reconcilers.is_empty() {
                writeln!(text, "    all known of cluster {name}")?;
            }
            if environment.health_checks != HealthChecks::Inferred {
                let says = health_checks(environment.health_checks);
                writeln!(text, "    health checks {says}")?;
            }
        }
        for (selector, reconciler) in &self.policy.reconcilers {
            writeln!(
                text,
                "  {selector}: health checks {}",
                health_checks(reconciler.health_checks)
            )?;
        }
        writeln!(text, "tokens")?;
        if self.tokens.is_empty() {
            writeln!(text, "  none needed")?;
        }
        for token in &self.tokens {
            let scopes: Vec<_> = token.scopes.iter().map(|scope| scope.as_str()).collect();
            let environments = environments(token.environments.as_ref());
            writeln!(text, "  {}: {} in {environments}", token.name, scopes.join(", "))?;
        }
        self.write_push(text)?;
        self.write_receivers(text)?;
        for warning in self.warnings() {
            writeln!(text, "warning: {warning}")?;
        }
        Ok(())
    }

    fn write_receivers(&self, text: &mut String) -> fmt::Result {
        writeln!(text, "tells")?;
        if self.receivers.is_empty() {
            writeln!(text, "  nobody")?;
        }
        for receiver in &self.receivers {
            let outcomes: Vec<_> =
                receiver.outcomes.iter().map(|outcome| outcome.as_str()).collect();
            let environments = environments(receiver.environments.as_ref());
            writeln!(
                text,
                "  {}: of {} in {environments} ({})",
                receiver.name,
                outcomes.join(", "),
                receiver.channel
            )?;
        }
        Ok(())
    }

    fn write_push(&self, text: &mut String) -> fmt::Result {
        writeln!(text, "pushes")?;
        for host in GitHost::ALL {
            match self.push.get(&host) {
                Some(secrets) => {
                    let secrets = counted(secrets.len(), "secret").unwrap_or_default();
                    writeln!(text, "  {host}: {secrets}")?;
                }
                // As anyone may claim what descends from what.
                None if self.tokens.is_empty() => writeln!(text, "  {host}: without a secret")?,
                None => writeln!(text, "  {host}: refused")?,
            }
        }
        Ok(())
    }
}

/// All that is wrong with a configuration.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConfigError {
    faults: Vec<Fault>,
}

/// One thing that is wrong with a configuration.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Fault {
    /// `FILE:LINE`, a flag or an environment variable.
    pub place: Option<String>,
    /// What is wrong there.
    pub message: String,
}

impl ConfigError {
    /// The stable code, `config.invalid`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        "config.invalid"
    }

    /// Each of them, those of the file in the order of its lines.
    #[must_use]
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.faults.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) => write!(f, "{place}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

pub(crate) fn parse_listen(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        format!("`{}` is not an address with a port, as `127.0.0.1:8080`", text.escape_debug())
    })
}

pub(crate) fn parse_database(text: &str) -> Result<Database, String> {
    const FORM: &str = "give the path of a file, or `postgres://user:password@host/database`";
    match text.split_once("://") {
        Some(("postgres" | "postgresql", rest)) if !rest.is_empty() => {
            Ok(Database::Postgres(text.to_owned()))
        }
        Some(_) => Err(FORM.to_owned()),
        None if text.is_empty() => Err(format!("it is empty: {FORM}")),
        None => Ok(Database::Sqlite(PathBuf::from(text))),
    }
}

fn file(path: &Path) -> String {
    path.display().to_string()
}

fn counted(count: usize, what: &str) -> Option<String> {
    match count {
        0 => None,
        1 => Some(format!("1 {what}")),
        count => Some(format!("{count} {what}s")),
    }
}

fn environments(names: Option<&BTreeSet<EnvironmentName>>) -> String {
    names.map_or_else(
        || "all environments".to_owned(),
        |names| names.iter().map(EnvironmentName::as_str).collect::<Vec<_>>().join(", "),
    )
}

fn health_checks(health_checks: HealthChecks) -> &'static str {
    match health_checks {
        HealthChecks::Enabled => "enabled",
        HealthChecks::Disabled => "disabled",
        HealthChecks::Inferred => "inferred",
    }
}

fn in_days(duration: Duration) -> String {
    let days = Duration::from_hours(24).as_secs();
    if duration.as_secs().is_multiple_of(days) && !duration.is_zero() {
        format!("{}d", duration.as_secs() / days)
    } else {
        format_duration(duration)
    }
}
