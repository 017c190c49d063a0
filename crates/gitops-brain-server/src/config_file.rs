//! The configuration's file: every mistake in it at once, each with its line.

use std::{
    collections::BTreeSet, fmt::Display, ops::Range, path::PathBuf, str::FromStr, time::Duration,
};

use axum::http::Uri;
use gitops_brain::{
    ClusterName, Environment, EnvironmentName, HealthChecks, MAX_KEYS, Outcome, ReconcilerPolicy,
    Require, Selector, parse_duration,
};
use tokio_rustls::rustls::pki_types::DnsName;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::{
    config::{Cluster, Config, Fault, GitHost, Scope, Token, parse_database, parse_listen},
    receiver::{Channel, FINAL, GitHub, Receiver, is_repository},
    secret::{self, Secret, TokenDigest},
    tls::Tls,
    webhook,
};

type Value<'i> = Spanned<DeValue<'i>>;

/// Reads a file into the configuration. Places of faults are `:LINE`, in the order of the lines.
pub(crate) fn read(
    text: &str,
    variable: &dyn Fn(&str) -> Option<String>,
    config: &mut Config,
    faults: &mut Vec<Fault>,
) {
    let (root, errors) = DeTable::parse_recoverable(text);
    let mut reader = Reader { text, variable, found: Vec::new() };
    for error in errors {
        let span = error.span().unwrap_or_default();
        reader.fault(span, error.message().to_owned());
    }
    reader.root(root.get_ref(), config);
    reader.found.sort();
    faults.extend(
        reader
            .found
            .into_iter()
            .map(|(line, message)| Fault { place: Some(format!(":{line}")), message }),
    );
}

struct Reader<'a> {
    text: &'a str,
    variable: &'a dyn Fn(&str) -> Option<String>,
    found: Vec<(usize, String)>,
}

impl Reader<'_> {
    fn root(&mut self, root: &DeTable<'_>, config: &mut Config) {
        const KEYS: &[&str] = &[
            "listen",
            "database",
            "retention",
            "insecure",
            "url",
            "tls",
            "receivers",
            "clusters",
            "environments",
            "reconcilers",
            "metrics",
            "tokens",
            "push",
            "badge",
        ];
        self.known(root, "", KEYS);
        if let Some(listen) = self.text_with(root, "", "listen", parse_listen) {
            config.listen = listen;
        }
        if let Some(database) = self.text_with(root, "", "database", parse_database) {
            config.database = database;
        }
        self.duration(root, "", "retention", &mut config.retention);
        config.url = self.text_with(root, "", "url", web_address);
        self.truth(root, "", "insecure", &mut config.insecure);
        if let Some(metrics) = self.table(root, "", "metrics") {
            self.known(metrics, "metrics", &["public"]);
            self.truth(metrics, "metrics", "public", &mut config.public_metrics);
        }
        if let Some(badge) = self.table(root, "", "badge") {
            self.known(badge, "badge", &["public"]);
            self.truth(badge, "badge", "public", &mut config.public_badges);
        }
        if let Some(tls) = self.table(root, "", "tls") {
            self.known(tls, "tls", &["certificate", "key", "client_ca"]);
            let mut path = |key| self.text(tls, "tls", key).map(|(_, path)| PathBuf::from(path));
            let (certificate, key, client_ca) =
                (path("certificate"), path("key"), path("client_ca"));
            match (certificate, key) {
                (Some(certificate), Some(key)) => {
                    config.tls = Some(Tls { client_ca, ..Tls::new(certificate, key) });
                }
                _ => {
                    let span = root.get("tls").map(Spanned::span).unwrap_or_default();
                    self.fault(span, "tls: it needs `certificate` and `key`".to_owned());
                }
            }
        }
        for (name, table) in self.named::<ClusterName>(root, "clusters") {
            let cluster = self.cluster(table, &format!("clusters.{name}"));
            config.clusters.insert(name, cluster);
        }
        for (name, table) in self.named::<EnvironmentName>(root, "environments") {
            let environment = self.environment(table, &format!("environments.{name}"), config);
            let declared = std::mem::take(&mut config.policy);
            config.policy = declared.environment(name, environment);
        }
        for (selector, table) in self.named::<Selector>(root, "reconcilers") {
            let path = format!("reconcilers.\"{selector}\"");
            self.known(table, &path, &["health_checks"]);
            let health_checks = self.health_checks(table, &path).unwrap_or_default();
            let reconciler = ReconcilerPolicy::default().health_checks(health_checks);
            let span = root.get("reconcilers").map(Spanned::span).unwrap_or_default();
            let span = table.keys().next().map_or(span, Spanned::span);
            self.of_a_cluster(span, &path, &selector, config);
            let declared = std::mem::take(&mut config.policy);
            config.policy = declared.reconciler(selector, reconciler);
        }
        if let Some(push) = self.table(root, "", "push") {
            self.known(push, "push", &GitHost::ALL.map(GitHost::as_str));
            for host in GitHost::ALL {
                if let Some(table) = self.table(push, "push", host.as_str()) {
                    let secrets = self.push(table, host);
                    config.push.insert(host, secrets);
                }
            }
        }
        for (value, table) in self.tables(root, "tokens") {
            if let Some(token) = self.token(value, table, "tokens", config) {
                config.tokens.push(token);
            }
        }
        for (value, table) in self.tables(root, "receivers") {
            if let Some(receiver) = self.receiver(value, table, "receivers", config) {
                config.receivers.push(receiver);
            }
        }
    }

    /// Somebody to be told.
    fn receiver(
        &mut self,
        value: &Value<'_>,
        table: &DeTable<'_>,
        path: &str,
        config: &Config,
    ) -> Option<Receiver> {
        const KEYS: &[&str] = &["name", "type", "environments", "outcomes"];
        const TYPES: [(&str, &[&str]); 4] = [
            ("generic", &["address", "hmac_key"]),
            ("slack", &["address"]),
            ("github-deployment", &["address", "token", "repositories"]),
            ("github-status", &["address", "token", "repositories"]),
        ];
        let types = TYPES.map(|(name, own)| (name, (name, own)));
        let Some((kind, own)) = self.one_of(table, path, "type", &types) else {
            if table.get("type").is_none() {
                self.fault(value.span(), format!("{path}: `type` is missing"));
            }
            return None;
        };
        self.known(table, path, &[KEYS, own].concat());
        let name = self.text(table, path, "name").map(|(_, name)| name);
        let channel = match kind {
            "generic" => {
                let hmac_key = self
                    .text(table, path, "hmac_key")
                    .map(|(value, place)| self.secret(value, &join(path, "hmac_key"), place));
                self.address(value, table, path)
                    .map(|address| Channel::Generic { address, hmac_key: hmac_key.flatten() })
            }
            "slack" => self.address(value, table, path).map(|address| Channel::Slack { address }),
            _ => self.github(value, table, path).map(|github| {
                if kind == "github-status" {
                    Channel::GitHubStatus(github)
                } else {
                    Channel::GitHubDeployment(github)
                }
            }),
        };
        let environments = self.environments(table, path, config);
        let outcomes = table.get("outcomes").map(|_| {
            self.words(table, path, "outcomes", "is no final outcome", &FINAL, Outcome::as_str)
        });
        let others = config.receivers.iter().map(|receiver| &*receiver.name);
        let name = self.own_name(value, path, name, others)?;
        let mut receiver = Receiver::new(name, channel?);
        receiver.environments = environments;
        if let Some(outcomes) = outcomes {
            receiver.outcomes = outcomes;
        }
        Some(receiver)
    }

    /// Where to send something: an address, which may be a secret.
    fn address(&mut self, value: &Value<'_>, table: &DeTable<'_>, path: &str) -> Option<Secret> {
        let Some((place, text)) = self.text(table, path, "address") else {
            if table.get("address").is_none() {
                self.fault(value.span(), format!("{path}: `address` is missing"));
            }
            return None;
        };
        let path = join(path, "address");
        let address = if text.starts_with("env:") || text.starts_with("file:") {
            self.secret(place, &path, text)?
        } else {
            Secret::new(text)
        };
        let written = String::from_utf8_lossy(address.expose().trim_ascii());
        if let Err(message) = web_address(&written) {
            self.fault(place.span(), format!("{path}: {message}"));
            return None;
        }
        Some(address)
    }

    fn github(&mut self, value: &Value<'_>, table: &DeTable<'_>, path: &str) -> Option<GitHub> {
        let token = self
            .text(table, path, "token")
            .and_then(|(value, place)| self.secret(value, &join(path, "token"), place));
        let mut repositories = Vec::new();
        for (value, text) in self.texts(table, path, "repositories") {
            if !is_repository(&text.replace("/*", "/x")) {
                let text = text.escape_debug();
                let message =
                    format!("{path}.repositories: write `owner/name` or `owner/*`, not `{text}`");
                self.fault(value.span(), message);
            }
            repositories.push(text.to_owned());
        }
        for key in ["token", "repositories"] {
            if table.get(key).is_none() {
                self.fault(value.span(), format!("{path}: `{key}` is missing"));
            }
        }
        let address = self.text_with(table, path, "address", web_address);
        let mut github = GitHub::new(token?, repositories);
        if let Some(address) = address {
            github.address = address;
        }
        Some(github)
    }

    fn cluster(&mut self, table: &DeTable<'_>, path: &str) -> Cluster {
        self.known(table, path, &["hmac_keys", "bearer_tokens", "client_names"]);
        let mut cluster =
            Cluster { hmac_keys: self.secrets(table, path, "hmac_keys"), ..Cluster::default() };
        for (value, place) in self.texts(table, path, "bearer_tokens") {
            let path = format!("{path}.bearer_tokens");
            let digest = match place.strip_prefix("sha256:") {
                Some(hex) => self.digest(value, &path, hex),
                None => self.secret(value, &path, place).map(|secret| secret.digest()),
            };
            cluster.bearer_tokens.extend(digest);
        }
        for (value, name) in self.texts(table, path, "client_names") {
            if DnsName::try_from(name).is_err() {
                let message =
                    format!("{path}.client_names: `{}` is no DNS name", name.escape_debug());
                self.fault(value.span(), message);
            }
            cluster.client_names.push(name.to_owned());
        }
        for key in ["hmac_keys", "bearer_tokens", "client_names"] {
            self.few(table, path, key);
        }
        cluster
    }

    /// The secrets of a git host's webhooks.
    fn push(&mut self, table: &DeTable<'_>, host: GitHost) -> Vec<Secret> {
        let path = format!("push.{host}");
        self.known(table, &path, &["secrets"]);
        self.few(table, &path, "secrets");
        let secrets = self.secrets(table, &path, "secrets");
        if host == GitHost::GitLab
            && secrets.iter().any(webhook::is_broken_signing_token)
            && let Some(value) = table.get("secrets")
        {
            let message =
                format!("{path}.secrets: a signing token is `whsec_` and a key in Base64");
            self.fault(value.span(), message);
        }
        secrets
    }

    fn environment(&mut self, table: &DeTable<'_>, path: &str, config: &Config) -> Environment {
        const KEYS: &[&str] = &[
            "reconcilers",
            "require",
            "health_checks",
            "timeout",
            "failure_grace",
            "transient_grace",
            "learning",
        ];
        self.known(table, path, KEYS);
        let mut environment = Environment::default();
        for (value, text) in self.texts(table, path, "reconcilers") {
            let path = format!("{path}.reconcilers");
            match Selector::new(text) {
                Ok(selector) => {
                    self.of_a_cluster(value.span(), &path, &selector, config);
                    environment.reconcilers.push(selector);
                }
                Err(error) => self.fault(value.span(), format!("{path}: {error}")),
            }
        }
        let require = [("healthy", Require::Healthy), ("applied", Require::Applied)];
        if let Some(require) = self.one_of(table, path, "require", &require) {
            environment.require = require;
        }
        if let Some(health_checks) = self.health_checks(table, path) {
            environment.health_checks = health_checks;
        }
        self.duration(table, path, "timeout", &mut environment.timeout);
        self.duration(table, path, "failure_grace", &mut environment.failure_grace);
        self.duration(table, path, "transient_grace", &mut environment.transient_grace);
        self.duration(table, path, "learning", &mut environment.learning);
        environment
    }

    /// A cluster that is not declared can never be heard: a typing mistake must not wait for ever.
    fn of_a_cluster(
        &mut self,
        span: Range<usize>,
        path: &str,
        selector: &Selector,
        config: &Config,
    ) {
        let mut clusters = config.clusters.keys();
        if !config.clusters.is_empty()
            && !clusters.any(|cluster| selector.matches_cluster(cluster.as_str()))
        {
            let message = format!("{path}: `{selector}` is of none of the declared clusters");
            self.fault(span, message);
        }
    }

    fn token(
        &mut self,
        value: &Value<'_>,
        table: &DeTable<'_>,
        path: &str,
        config: &Config,
    ) -> Option<Token> {
        self.known(table, path, &["name", "secret", "sha256", "scopes", "environments"]);
        let name = self.text(table, path, "name").map(|(_, name)| name);
        let digest = match (table.get("secret"), table.get("sha256")) {
            (Some(_), None) => self.text(table, path, "secret").and_then(|(value, place)| {
                self.secret(value, &format!("{path}.secret"), place).map(|secret| secret.digest())
            }),
            (None, Some(_)) => self
                .text(table, path, "sha256")
                .and_then(|(value, hex)| self.digest(value, &format!("{path}.sha256"), hex)),
            (Some(value), Some(_)) => {
                self.fault(value.span(), format!("{path}: give `secret` or `sha256`, not both"));
                None
            }
            (None, None) => {
                self.fault(value.span(), format!("{path}: `secret` or `sha256` is missing"));
                None
            }
        };
        let scopes =
            self.words(table, path, "scopes", "is not a scope", &Scope::ALL, Scope::as_str);
        let environments = self.environments(table, path, config);
        let others = config.tokens.iter().map(|token| &*token.name);
        let name = self.own_name(value, path, name, others)?;
        if table.get("scopes").is_none() {
            self.fault(value.span(), format!("{path}: `scopes` is missing"));
        }
        let mut token = Token::new(name, digest?, scopes);
        token.environments = environments;
        Some(token)
    }

    /// The name of an entry in a list: there must be one, and no other entry may have it.
    fn own_name<'t>(
        &mut self,
        value: &Value<'_>,
        path: &str,
        name: Option<&'t str>,
        mut others: impl Iterator<Item = &'t str>,
    ) -> Option<&'t str> {
        let Some(name) = name else {
            self.fault(value.span(), format!("{path}: `name` is missing"));
            return None;
        };
        if others.any(|other| other == name) {
            let name = name.escape_debug();
            self.fault(value.span(), format!("{path}: there are two with the name `{name}`"));
        }
        Some(name)
    }

    /// Some of the words that there are.
    fn words<T: Copy + Ord>(
        &mut self,
        table: &DeTable<'_>,
        path: &str,
        key: &str,
        wrong: &str,
        all: &[T],
        word: fn(T) -> &'static str,
    ) -> BTreeSet<T> {
        let mut found = BTreeSet::new();
        for (value, text) in self.texts(table, path, key) {
            match all.iter().copied().find(|one| word(*one) == text) {
                Some(one) => {
                    found.insert(one);
                }
                None => {
                    let known: Vec<_> = all.iter().copied().map(word).collect();
                    let (text, known) = (text.escape_debug(), known.join(", "));
                    let message = format!("{path}.{key}: `{text}` {wrong}: there are {known}");
                    self.fault(value.span(), message);
                }
            }
        }
        found
    }

    /// The environments that something is confined to, if it is.
    fn environments(
        &mut self,
        table: &DeTable<'_>,
        path: &str,
        config: &Config,
    ) -> Option<BTreeSet<EnvironmentName>> {
        table.get("environments")?;
        let mut environments = BTreeSet::new();
        for (value, text) in self.texts(table, path, "environments") {
            let path = format!("{path}.environments");
            match EnvironmentName::new(text) {
                Ok(name) if !config.policy.knows(&name) => {
                    let message = format!("{path}: environment {name} is not declared");
                    self.fault(value.span(), message);
                }
                Ok(name) => {
                    environments.insert(name);
                }
                Err(error) => self.fault(value.span(), format!("{path}: {error}")),
            }
        }
        Some(environments)
    }

    fn secrets(&mut self, table: &DeTable<'_>, path: &str, key: &str) -> Vec<Secret> {
        let path_of_key = join(path, key);
        let texts = self.texts(table, path, key);
        texts
            .into_iter()
            .filter_map(|(value, place)| self.secret(value, &path_of_key, place))
            .collect()
    }

    /// Each further key makes a forged request dearer to refuse.
    fn few(&mut self, table: &DeTable<'_>, path: &str, key: &str) {
        if let Some(value) = table.get(key)
            && value.get_ref().as_array().is_some_and(|list| list.len() > MAX_KEYS)
        {
            self.fault(value.span(), format!("{path}.{key}: there are more than {MAX_KEYS}"));
        }
    }

    fn secret(&mut self, value: &Value<'_>, path: &str, place: &str) -> Option<Secret> {
        match secret::fetch(place, self.variable) {
            Ok(secret) => Some(secret),
            Err(message) => {
                self.fault(value.span(), format!("{path}: {message}"));
                None
            }
        }
    }

    fn digest(&mut self, value: &Value<'_>, path: &str, hex: &str) -> Option<TokenDigest> {
        let digest = TokenDigest::from_hex(hex);
        if digest.is_none() {
            let message = format!("{path}: a SHA-256 has 64 hexadecimal digits");
            self.fault(value.span(), message);
        }
        digest
    }

    fn health_checks(&mut self, table: &DeTable<'_>, path: &str) -> Option<HealthChecks> {
        let values = [
            ("enabled", HealthChecks::Enabled),
            ("disabled", HealthChecks::Disabled),
            ("inferred", HealthChecks::Inferred),
        ];
        self.one_of(table, path, "health_checks", &values)
    }

    // What follows reads values of one type, and says what is wrong with those of another.

    /// The tables within a table, whose keys are names.
    fn named<'t, 'i, N>(&mut self, root: &'t DeTable<'i>, key: &str) -> Vec<(N, &'t DeTable<'i>)>
    where
        N: FromStr,
        N::Err: Display,
    {
        let Some(value) = root.get(key) else { return Vec::new() };
        let Some(tables) = value.get_ref().as_table() else {
            self.mistyped(value, key, "a table");
            return Vec::new();
        };
        let mut named = Vec::new();
        for (name, value) in tables {
            match (name.get_ref().parse(), value.get_ref().as_table()) {
                (Ok(name), Some(table)) => named.push((name, table)),
                (Err(error), _) => self.fault(name.span(), format!("{key}: {error}")),
                (_, None) => {
                    self.mistyped(value, &format!("{key}.{}", name.get_ref()), "a table");
                }
            }
        }
        named
    }

    /// The tables of a list.
    fn tables<'t, 'i>(
        &mut self,
        root: &'t DeTable<'i>,
        key: &str,
    ) -> Vec<(&'t Value<'i>, &'t DeTable<'i>)> {
        let Some(value) = root.get(key) else { return Vec::new() };
        let Some(list) = value.get_ref().as_array() else {
            self.mistyped(value, key, &format!("a list: write `[[{key}]]`"));
            return Vec::new();
        };
        let mut tables = Vec::new();
        for value in list {
            match value.get_ref().as_table() {
                Some(table) => tables.push((value, table)),
                None => self.mistyped(value, key, "a table"),
            }
        }
        tables
    }

    fn table<'t, 'i>(
        &mut self,
        table: &'t DeTable<'i>,
        path: &str,
        key: &str,
    ) -> Option<&'t DeTable<'i>> {
        let value = table.get(key)?;
        let found = value.get_ref().as_table();
        if found.is_none() {
            self.mistyped(value, &join(path, key), "a table");
        }
        found
    }

    fn one_of<T: Copy>(
        &mut self,
        table: &DeTable<'_>,
        path: &str,
        key: &str,
        values: &[(&str, T)],
    ) -> Option<T> {
        self.text_with(table, path, key, |text| {
            let found = values.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
            found.ok_or_else(|| {
                let known: Vec<_> = values.iter().map(|(name, _)| *name).collect();
                let known = known.join("`, `");
                format!("`{}` is none of `{known}`", text.escape_debug())
            })
        })
    }

    fn duration(&mut self, table: &DeTable<'_>, path: &str, key: &str, into: &mut Duration) {
        if let Some(duration) = self.text_with(table, path, key, parse_duration) {
            *into = duration;
        }
    }

    fn truth(&mut self, table: &DeTable<'_>, path: &str, key: &str, into: &mut bool) {
        let Some(value) = table.get(key) else { return };
        match value.get_ref().as_bool() {
            Some(truth) => *into = truth,
            None => self.mistyped(value, &join(path, key), "`true` or `false`"),
        }
    }

    fn text_with<T, E: Display>(
        &mut self,
        table: &DeTable<'_>,
        path: &str,
        key: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let (value, text) = self.text(table, path, key)?;
        match parse(text) {
            Ok(parsed) => Some(parsed),
            Err(error) => {
                self.fault(value.span(), format!("{}: {error}", join(path, key)));
                None
            }
        }
    }

    fn text<'t, 'i>(
        &mut self,
        table: &'t DeTable<'i>,
        path: &str,
        key: &str,
    ) -> Option<(&'t Value<'i>, &'t str)> {
        let value = table.get(key)?;
        let text = value.get_ref().as_str();
        if text.is_none() {
            self.mistyped(value, &join(path, key), "a text");
        }
        Some((value, text?))
    }

    fn texts<'t, 'i>(
        &mut self,
        table: &'t DeTable<'i>,
        path: &str,
        key: &str,
    ) -> Vec<(&'t Value<'i>, &'t str)> {
        let Some(value) = table.get(key) else { return Vec::new() };
        let Some(list) = value.get_ref().as_array() else {
            self.mistyped(value, &join(path, key), "a list of texts");
            return Vec::new();
        };
        let mut texts = Vec::new();
        for value in list {
            match value.get_ref().as_str() {
                Some(text) => texts.push((value, text)),
                None => self.mistyped(value, &join(path, key), "a list of texts"),
            }
        }
        texts
    }

    fn known(&mut self, table: &DeTable<'_>, path: &str, keys: &[&str]) {
        for key in table.keys() {
            if !keys.contains(&key.get_ref().as_ref()) {
                let place = join(path, &key.get_ref().escape_debug().to_string());
                let message = format!("there is no `{place}`: known here are {}", keys.join(", "));
                self.fault(key.span(), message);
            }
        }
    }

    fn mistyped(&mut self, value: &Value<'_>, path: &str, expected: &str) {
        let found = value.get_ref().type_str();
        self.fault(value.span(), format!("{path}: {expected} should stand there, found: {found}"));
    }

    fn fault(&mut self, span: Range<usize>, message: String) {
        let before = self.text.bytes().take(span.start);
        let line = before.filter(|byte| *byte == b'\n').count() + 1;
        self.found.push((line, message));
    }
}

/// An address for `http` or `https`, without a slash at its end.
fn web_address(text: &str) -> Result<String, String> {
    let uri: Option<Uri> = text.parse().ok();
    match uri.as_ref().map(|uri| (uri.scheme_str(), uri.host())) {
        Some((Some("http" | "https"), Some(_))) => Ok(text.trim_end_matches('/').to_owned()),
        // It may be a secret, so it is not shown.
        _ => Err("it is no address, as `https://example.com/path`".to_owned()),
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(text: &str) -> (Config, Vec<String>) {
        let variable = |name: &str| match name {
            "STAGING_HMAC_KEY" | "GITOPS_BRAIN_CI_TOKEN" | "GITHUB_WEBHOOK_SECRET" => {
                Some(format!("the value of {name}"))
            }
            "BROKEN_SIGNING_TOKEN" => Some("whsec_swordfish".to_owned()),
            "SHORT" => Some("1234".to_owned()),
            "EMPTY" => Some(" ".to_owned()),
            _ => None,
        };
        let (mut config, mut faults) = (Config::default(), Vec::new());
        read(text, &variable, &mut config, &mut faults);
        (config, faults.iter().map(ToString::to_string).collect())
    }

    /// The example of the documentation.
    const EXAMPLE: &str = r#"
listen = "127.0.0.1:8080"
database = "gitops-brain.db"
retention = "90d"
[clusters.staging]
hmac_keys = ["env:STAGING_HMAC_KEY"]
[environments.staging]
reconcilers = ["staging/Kustomization/flux-system/apps", "staging/Kustomization/shop/*"]
require = "healthy"
health_checks = "inferred"
timeout = "30m"
failure_grace = "0s"
transient_grace = "2m"
learning = "10m"
[reconcilers."staging/Kustomization/flux-system/apps"]
health_checks = "enabled"
[[tokens]]
name = "ci"
secret = "env:GITOPS_BRAIN_CI_TOKEN"
scopes = ["read", "write"]
environments = ["staging"]
[push.github]
secrets = ["env:GITHUB_WEBHOOK_SECRET"]
[badge]
public = true
"#;

    #[test]
    fn the_example_is_read() {
        let (config, faults) = read_all(EXAMPLE);
        assert_eq!(faults, [""; 0]);
        config.check().unwrap();
        assert_eq!(config.warnings(), []);
        let staging = config.policy.of(&"staging".parse().unwrap());
        assert_eq!(staging.reconcilers.len(), 2);
        assert_eq!(staging.timeout, Duration::from_mins(30));
        assert_eq!(config.policy.reconcilers.len(), 1);
        let token = config.tokens.first().unwrap();
        assert_eq!(token.digest, TokenDigest::of(b"the value of GITOPS_BRAIN_CI_TOKEN"));
        assert_eq!(token.scopes.len(), 2);
        let text = config.explain();
        for line in [
            "listens on   127.0.0.1:8080, this machine only",
            "remembers    90d",
            "badges for   everybody",
            "  staging: 1 HMAC key",
            "  staging: healthy within 30m",
            "    those known of staging/Kustomization/shop/*",
            "  ci: read, write in staging",
            "  github: 1 secret",
            "  gitlab: refused",
        ] {
            assert!(text.lines().any(|known| known == line), "{line}\n{text}");
        }
        assert_eq!(config.push.keys().collect::<Vec<_>>(), [&GitHost::GitHub]);
        for secret in ["the value of", "GITOPS_BRAIN_CI_TOKEN", "GITHUB_WEBHOOK_SECRET"] {
            assert!(!text.contains(secret) && !format!("{config:?}").contains(secret));
        }
    }

    #[test]
    fn every_fault_is_told_with_its_line() {
        let (_, faults) = read_all(
            r#"lisen = "127.0.0.1:8080"
listen = "here"
database = "mysql://x"
retention = 90
insecure = "yes"
[clusters.staging]
hmac_keys = ["swordfish", "env:MISSING", "env:EMPTY"]
bearer_tokens = ["sha256:12", 7]
[clusters.Staging]
[environments.staging]
reconcilers = ["apps", "stagign/Kustomization/a/b"]
require = "green"
timeout = "30"
[environments.other]
time_out = "30m"
[reconcilers."*"]
[[tokens]]
secret = "env:GITOPS_BRAIN_CI_TOKEN"
sha256 = "ab"
scopes = ["read", "root"]
[[tokens]]
name = "b"
environments = ["stagign"]
[push.gitlab]
secrets = ["env:MISSING", "env:BROKEN_SIGNING_TOKEN"]
secret = "env:SHORT"
[push.githb]
[push]
gitea = "env:SHORT"
[badge]
public = "yes"
private = true
"#,
        );
        let lines: Vec<_> = faults.iter().map(|fault| fault.split(": ").next().unwrap()).collect();
        let expected = [
            1, 2, 3, 4, 5, 7, 7, 7, 8, 8, 9, 11, 11, 12, 13, 15, 16, 17, 18, 20, 21, 21, 23, 25,
            25, 26, 27, 29, 31, 32,
        ];
        let text = faults.join("\n");
        assert!(!text.contains("swordfish"), "{text}");
        let expected: Vec<_> = expected.iter().map(|line| format!(":{line}")).collect();
        assert_eq!(lines, expected, "{text}");
    }

    #[test]
    fn keys_that_prove_little_are_warned_of() {
        let (config, faults) = read_all(
            r#"
[clusters.a]
hmac_keys = ["env:SHORT"]
[clusters.b]
hmac_keys = ["env:STAGING_HMAC_KEY", "env:STAGING_HMAC_KEY"]
[push.github]
secrets = ["env:STAGING_HMAC_KEY"]
[push.gitea]
secrets = []
"#,
        );
        assert_eq!(faults, [""; 0]);
        let warnings = config.warnings();
        let begin = [
            "a key of cluster a has only 4 bytes",
            "cluster b has the same key twice",
            "cluster b and push.github share a key",
        ];
        assert_eq!(warnings.len(), begin.len(), "{warnings:?}");
        for (warning, begin) in warnings.iter().zip(begin) {
            assert!(warning.message.starts_with(begin), "{warning}");
        }
        let error = config.check().unwrap_err();
        assert!(error.to_string().contains("push.gitea has no `secrets`"), "{error}");
    }

    #[test]
    fn broken_toml_is_told_with_its_line_beside_the_rest() {
        let (_, faults) = read_all("listen = \nlisen = 1\n[clusters\n");
        assert!(faults.len() >= 3, "{faults:?}");
        assert!(faults.iter().any(|fault| fault.starts_with(":1: ")), "{faults:?}");
        assert!(faults.iter().any(|fault| fault.starts_with(":2: there is no `lisen`")));
        assert!(faults.iter().any(|fault| fault.starts_with(":3: ")), "{faults:?}");
    }
}
