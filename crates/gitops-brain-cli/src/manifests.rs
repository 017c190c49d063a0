//! The objects that make a cluster send its events to the server: those of Flux, or of Argo CD.

use crate::{
    args::Manifests,
    exit::{Exit, Failure},
    input,
    out::Out,
};

/// The kinds whose events say something about commits: those that apply, and their sources.
const KINDS: [&str; 5] =
    ["Kustomization", "HelmRelease", "GitRepository", "OCIRepository", "Bucket"];

const PLACEHOLDER: &str = "REPLACE-WITH-THE-KEY";

pub(crate) fn run(args: &Manifests) -> Result<Exit, Failure> {
    let key = args.key_file.as_deref().map(input::read_key).transpose()?;
    let address = address(&args.address)?;
    let text =
        if args.argocd { argocd(args, address) } else { flux(args, address, key.as_deref()) };
    let mut out = Out::stdout();
    for line in text.lines() {
        out.line(line);
    }
    out.finish()?;
    Ok(Exit::Succeeded)
}

/// The server's address, without a slash at its end.
fn address(given: &str) -> Result<&str, Failure> {
    let address = given.trim().trim_end_matches('/');
    let is_url = address.starts_with("http://") || address.starts_with("https://");
    if is_url && !address.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Ok(address);
    }
    Err(Failure::usage(format!(
        "`{}` is not the URL of a server: write it as https://brain.example.com",
        given.escape_debug()
    )))
}

fn events(args: &Manifests, address: &str) -> String {
    quoted(&format!("{address}/v1/events/{}", args.cluster))
}

/// What makes Argo CD's notifications send applications.
fn argocd(args: &Manifests, address: &str) -> String {
    include_str!("manifests/argocd.yaml")
        .replace("@CLUSTER@", args.cluster.as_str())
        .replace("@NAMESPACE@", args.namespace.as_deref().unwrap_or("argocd"))
        .replace("@URL@", &events(args, address))
}

fn flux(args: &Manifests, address: &str, key: Option<&str>) -> String {
    let cluster = &args.cluster;
    let namespace = args.namespace.as_deref().unwrap_or("flux-system");
    let mut text = format!(
        "# Sends the events of cluster {cluster} to gitops-brain at {address}.\n\
         #\n\
         # A commit is proved healthy only by a Kustomization that waits for what it applies:\n\
         #   spec:\n\
         #     wait: true\n\
         #     timeout: 5m\n\
         # Without it the commit stays `applied`.\n\
         #\n\
         # Flux 2.8.0 to 2.8.5 does not send the success events of providers of this kind: use\n\
         # another version, or rely on the health check's event.\n\
         ---\n"
    );
    if key.is_none() {
        text.push_str(&format!(
            "# The key is a secret: keep it out of git, or encrypt it (SOPS, Sealed Secrets).\n\
             #   key=$(openssl rand -hex 32)\n\
             #   kubectl -n {namespace} create secret generic gitops-brain --from-literal=token=$key\n\
             # and leave this Secret out. The server reads the same key: [clusters.{cluster}] hmac_keys = [\"env:…\"].\n"
        ));
    }
    text.push_str(&format!(
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: gitops-brain\n  namespace: {namespace}\n\
         stringData:\n  token: {}\n\
         ---\n\
         apiVersion: notification.toolkit.fluxcd.io/v1beta3\nkind: Provider\nmetadata:\n  \
         name: gitops-brain\n  namespace: {namespace}\nspec:\n  type: generic-hmac\n  \
         address: {}\n  secretRef:\n    name: gitops-brain\n\
         ---\n",
        quoted(key.unwrap_or(PLACEHOLDER)),
        events(args, address),
    ));
    text.push_str(
        "# An Alert sees the objects of its own namespace, and of those that its sources name. If the\n\
         # controllers run with --no-cross-namespace-refs, put a copy of all three into each namespace.\n",
    );
    if args.watch_namespace.is_empty() {
        text.push_str("# Other namespaces: print this again with --watch-namespace NAMESPACE.\n");
    }
    text.push_str(&format!(
        "apiVersion: notification.toolkit.fluxcd.io/v1beta3\nkind: Alert\nmetadata:\n  \
         name: gitops-brain\n  namespace: {namespace}\nspec:\n  providerRef:\n    \
         name: gitops-brain\n  # `error` would hide every success.\n  eventSeverity: info\n  \
         eventSources:\n"
    ));
    let others = args.watch_namespace.iter().map(String::as_str);
    for watched in std::iter::once(namespace).chain(others) {
        for kind in KINDS {
            text.push_str(&format!("    - kind: {kind}\n      name: \"*\"\n"));
            if watched != namespace {
                text.push_str(&format!("      namespace: {watched}\n"));
            }
        }
    }
    text
}

/// A text in YAML: its double-quoted style takes all that JSON has.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
