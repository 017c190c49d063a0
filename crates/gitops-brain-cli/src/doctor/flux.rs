//! The Flux objects of a cluster, through `kubectl`, beside what the server hears of it.

use std::process::Command;

use serde::Deserialize;
use serde_json::Value;

use crate::{
    args::Doctor,
    doctor::Finding,
    exit::{Exit, Failure},
    status::Report,
    text::one_line,
};

const KINDS: &str = "providers.notification.toolkit.fluxcd.io,alerts.notification.toolkit.fluxcd.io,\
                     kustomizations.kustomize.toolkit.fluxcd.io";

/// What runs the controllers. Who may list Flux objects need not be allowed to list these.
const DEPLOYMENTS: &str = "deployments.apps";

/// The feature gate of kustomize-controller (1.9.6 and later) by which it sends no event of a success.
const NO_SUCCESSES: &str = "DisableCommitStatusEvent";

/// Where a Provider posts events for a cluster.
const EVENTS: &str = "/v1/events/";

/// The Flux objects of one cluster.
#[derive(Debug)]
pub(crate) struct Flux {
    providers: Vec<Object<Provider>>,
    alerts: Vec<Object<Alert>>,
    kustomizations: Vec<Object<Kustomization>>,
    deployments: Vec<Object<Deployment>>,
}

#[derive(Debug, Deserialize)]
struct Object<T> {
    metadata: Metadata,
    spec: T,
    #[serde(default)]
    status: Status,
}

#[derive(Debug, Deserialize)]
struct Metadata {
    name: String,
    namespace: String,
    #[serde(default)]
    labels: serde_json::Map<String, Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Status {
    last_applied_revision: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Provider {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    address: String,
    #[serde(default)]
    suspend: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Alert {
    provider_ref: Reference,
    #[serde(default)]
    event_severity: Option<String>,
    event_sources: Vec<Source>,
    #[serde(default)]
    exclusion_list: Vec<String>,
    #[serde(default)]
    inclusion_list: Vec<String>,
    #[serde(default)]
    suspend: bool,
}

#[derive(Debug, Deserialize)]
struct Reference {
    name: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Source {
    kind: String,
    name: String,
    #[serde(default)]
    namespace: Option<String>,
    #[serde(default)]
    match_labels: serde_json::Map<String, Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kustomization {
    #[serde(default)]
    wait: bool,
    #[serde(default)]
    health_checks: Vec<Value>,
    #[serde(default)]
    suspend: bool,
}

#[derive(Debug, Deserialize)]
struct Deployment {
    template: Template,
}

#[derive(Debug, Deserialize)]
struct Template {
    spec: Pod,
}

#[derive(Debug, Deserialize)]
struct Pod {
    containers: Vec<Container>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Container {
    command: Vec<String>,
    args: Vec<String>,
}

impl Deployment {
    /// Whether its program runs with a feature gate set (`--feature-gates=NAME=true,OTHER=false`).
    fn sets_gate(&self, gate: &str) -> bool {
        let containers = &self.template.spec.containers;
        containers.iter().any(|container| {
            let mut words = container.command.iter().chain(&container.args).map(String::as_str);
            let mut is_set = false;
            while let Some(word) = words.next() {
                let gates = match word.trim_start_matches('-').split_once('=') {
                    Some(("feature-gates", gates)) => Some(gates),
                    None if word.trim_start_matches('-') == "feature-gates" => words.next(),
                    _ => None,
                };
                for one in gates.into_iter().flat_map(|gates| gates.split(',')) {
                    if let Some((name, value)) = one.split_once('=')
                        && name.trim() == gate
                    {
                        is_set = value.trim().eq_ignore_ascii_case("true");
                    }
                }
            }
            is_set
        })
    }
}

impl Flux {
    /// Asks `kubectl` for the objects.
    pub(crate) fn read(args: &Doctor) -> Result<Self, Failure> {
        let mut items = kubectl_get(args, KINDS)?;
        items.extend(kubectl_get(args, DEPLOYMENTS).unwrap_or_default());
        Ok(Self::of(&items))
    }

    fn of(items: &[Value]) -> Self {
        fn of_kind<'a, T: Deserialize<'a>>(items: &'a [Value], kind: &str) -> Vec<Object<T>> {
            let is_meant = |item: &&Value| item.get("kind").and_then(Value::as_str) == Some(kind);
            items
                .iter()
                .filter(is_meant)
                .filter_map(|item| Object::deserialize(item).ok())
                .collect()
        }
        Self {
            providers: of_kind(items, "Provider"),
            alerts: of_kind(items, "Alert"),
            kustomizations: of_kind(items, "Kustomization"),
            deployments: of_kind(items, "Deployment"),
        }
    }

    /// What keeps the server from hearing what it should.
    pub(crate) fn findings(&self, reports: &[Report]) -> Vec<Finding> {
        let mut findings = Vec::new();
        let ours: Vec<_> = self
            .providers
            .iter()
            .filter_map(|provider| {
                let (_, cluster) = provider.spec.address.split_once(EVENTS)?;
                Some((provider, cluster.trim_end_matches('/')))
            })
            .collect();
        let Some((_, cluster)) = ours.first() else {
            findings.push(Finding::new(
                "provider_missing",
                "Provider",
                "no Provider has an address that ends in /v1/events/CLUSTER",
                "apply what `gitops-brain manifests --cluster CLUSTER --address URL` prints",
            ));
            return findings;
        };
        for (provider, _) in &ours {
            doubt_provider(provider, &mut findings);
        }
        let alerts: Vec<_> = self
            .alerts
            .iter()
            .filter(|alert| {
                ours.iter().any(|(provider, _)| {
                    provider.metadata.name == alert.spec.provider_ref.name
                        && provider.metadata.namespace == alert.metadata.namespace
                })
            })
            .collect();
        if alerts.is_empty() {
            findings.push(Finding::new(
                "alert_missing",
                "Alert",
                "no Alert refers to the Provider: no event is sent",
                format!(
                    "apply what `gitops-brain manifests --cluster {cluster} --address URL` prints"
                ),
            ));
        }
        for alert in &alerts {
            doubt_alert(alert, &mut findings);
        }
        let silent: Vec<_> = self
            .deployments
            .iter()
            .filter(|deployment| {
                deployment.metadata.name.starts_with("kustomize-controller")
                    && deployment.spec.sets_gate(NO_SUCCESSES)
            })
            .collect();
        for deployment in &silent {
            doubt_silent_controller(deployment, &mut findings);
        }
        let told = Told { cluster, alerts: &alerts, reports, sends_successes: silent.is_empty() };
        for kustomization in &self.kustomizations {
            doubt_kustomization(kustomization, &told, &mut findings);
        }
        findings
    }
}

/// What is known beside a Kustomization.
#[derive(Clone, Copy)]
struct Told<'a> {
    cluster: &'a str,
    alerts: &'a [&'a Object<Alert>],
    reports: &'a [Report],
    sends_successes: bool,
}

/// The objects of some kinds in all namespaces.
fn kubectl_get(args: &Doctor, kinds: &str) -> Result<Vec<Value>, Failure> {
    let mut command = Command::new("kubectl");
    if let Some(path) = &args.kubeconfig {
        command.arg("--kubeconfig").arg(path);
    }
    if let Some(context) = &args.context {
        command.args(["--context", context]);
    }
    let output = command
        .args(["get", kinds, "--all-namespaces", "--output", "json"])
        .output()
        .map_err(|error| Failure::usage(format!("cannot run kubectl: {error}")))?;
    if !output.status.success() {
        let said = one_line(&String::from_utf8_lossy(&output.stderr));
        return Err(Failure::new(Exit::Unreachable, format!("kubectl: {said}"))
            .remedy("see that the kubeconfig is right, and may list Flux objects everywhere"));
    }
    let mut list: Value = serde_json::from_slice(&output.stdout)
        .map_err(|error| Failure::internal(format!("kubectl's answer: {error}")))?;
    Ok(list.get_mut("items").and_then(Value::as_array_mut).map(std::mem::take).unwrap_or_default())
}

fn name(kind: &str, metadata: &Metadata) -> String {
    one_line(&format!("{kind}/{}/{}", metadata.namespace, metadata.name))
}

fn doubt_provider(provider: &Object<Provider>, findings: &mut Vec<Finding>) {
    let subject = name("Provider", &provider.metadata);
    let Provider { kind, suspend, .. } = &provider.spec;
    if !matches!(&**kind, "generic" | "generic-hmac") {
        findings.push(Finding::new(
            "provider_type",
            &*subject,
            format!("{subject} has the type `{}`", one_line(kind)),
            "set `type: generic-hmac`",
        ));
    }
    if *suspend {
        let message = format!("{subject} is suspended: no event is sent");
        findings.push(Finding::new(
            "provider_suspended",
            &*subject,
            message,
            "set `suspend: false`",
        ));
    }
}

fn doubt_alert(alert: &Object<Alert>, findings: &mut Vec<Finding>) {
    let subject = name("Alert", &alert.metadata);
    let Alert { event_severity, suspend, exclusion_list, inclusion_list, .. } = &alert.spec;
    let mut doubt = |code, message: &str, remedy| {
        findings.push(Finding::new(code, &*subject, format!("{subject} {message}"), remedy));
    };
    if *suspend {
        doubt("alert_suspended", "is suspended: no event is sent", "set `suspend: false`");
    }
    if event_severity.as_deref() == Some("error") {
        doubt(
            "alert_severity",
            "sends errors alone: nothing turns green",
            "set `eventSeverity: info`",
        );
    }
    if !exclusion_list.is_empty() || !inclusion_list.is_empty() {
        doubt(
            "alert_filters",
            "chooses events by their message: those left out may be the ones that prove something",
            "take `exclusionList` and `inclusionList` out, or give other receivers an Alert of their own",
        );
    }
}

fn doubt_silent_controller(deployment: &Object<Deployment>, findings: &mut Vec<Finding>) {
    let subject = name("Deployment", &deployment.metadata);
    findings.push(Finding::new(
        "success_events_disabled",
        &*subject,
        format!(
            "{subject} runs with the feature gate {NO_SUCCESSES}: a commit that changes nothing in a \
             Kustomization, or prunes alone, is never told of"
        ),
        format!("take `{NO_SUCCESSES}=true` out of its `--feature-gates`"),
    ));
}

fn doubt_kustomization(
    kustomization: &Object<Kustomization>,
    told: &Told<'_>,
    findings: &mut Vec<Finding>,
) {
    let Told { cluster, alerts, reports, sends_successes } = *told;
    let Object { metadata, spec, status } = kustomization;
    let subject = name("Kustomization", metadata);
    if spec.suspend {
        let message = format!("{subject} is suspended: no commit arrives there");
        findings.push(Finding::new(
            "kustomization_suspended",
            &*subject,
            message,
            "resume it: `flux resume kustomization`",
        ));
        return;
    }
    if !spec.wait && spec.health_checks.is_empty() {
        findings.push(Finding::new(
            "kustomization_does_not_wait",
            &*subject,
            format!("{subject} does not wait for the health of what it applies: its commits stay `applied`"),
            "set `wait: true`, or list `healthChecks`",
        ));
    }
    if !alerts.is_empty() && !alerts.iter().any(|alert| covers(alert, metadata)) {
        findings.push(Finding::new(
            "alert_source_missing",
            &*subject,
            format!("no Alert that goes to the server has {subject} among its sources"),
            format!(
                "add `kind: Kustomization, name: \"*\", namespace: {}` to its `eventSources`",
                metadata.namespace
            ),
        ));
        return;
    }
    let full_name = format!("{cluster}/{subject}");
    let report = reports.iter().find(|report| report.reconciler == full_name);
    match (report, &status.last_applied_revision) {
        (None, Some(_)) => findings.push(Finding::new(
            "kustomization_not_heard",
            &*subject,
            format!("{subject} reconciles, and the server never heard of it"),
            "see the log of notification-controller, and whether the Secret of the Provider holds the \
             server's key for the cluster",
        )),
        (Some(report), Some(applied)) if report.head.as_ref() != Some(applied) => {
            findings.push(Finding::new(
                "kustomization_behind",
                &*subject,
                format!(
                    "{subject} has applied {}, and the server last heard {}",
                    one_line(applied),
                    one_line(report.head.as_deref().unwrap_or("of nothing"))
                ),
                if sends_successes {
                    "an event was lost: the next reconciliation tells again, or `flux reconcile \
                     kustomization`"
                } else {
                    "no event tells of it while kustomize-controller sends no successes: take the feature \
                     gate out"
                },
            ));
        }
        _ => {}
    }
}

/// Whether an Alert sends the events of a Kustomization.
fn covers(alert: &Object<Alert>, of: &Metadata) -> bool {
    alert.spec.event_sources.iter().any(|source| {
        let namespace = source.namespace.as_ref().unwrap_or(&alert.metadata.namespace);
        source.kind == "Kustomization"
            && *namespace == of.namespace
            && (source.name == "*" || source.name == of.name)
            && source.match_labels.iter().all(|(name, value)| of.labels.get(name) == Some(value))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn provider() -> Value {
        json!({
            "kind": "Provider", "metadata": { "name": "brain", "namespace": "flux-system" },
            "spec": { "type": "generic-hmac", "address": "https://brain.example.com/v1/events/staging" },
        })
    }

    fn alert() -> Value {
        json!({
            "kind": "Alert", "metadata": { "name": "brain", "namespace": "flux-system" },
            "spec": {
                "providerRef": { "name": "brain" }, "eventSeverity": "info",
                "eventSources": [{ "kind": "Kustomization", "name": "*" }],
            },
        })
    }

    fn controller(args: Value) -> Value {
        json!({
            "kind": "Deployment",
            "metadata": { "name": "kustomize-controller", "namespace": "flux-system" },
            "spec": { "template": { "spec": { "containers": [{ "name": "manager", "args": args }] } } },
        })
    }

    fn kustomization() -> Value {
        json!({
            "kind": "Kustomization", "metadata": { "name": "apps", "namespace": "flux-system" },
            "spec": { "wait": true }, "status": { "lastAppliedRevision": "main@sha1:aa" },
        })
    }

    fn reports() -> Vec<Report> {
        let report = json!({
            "reconciler": "staging/Kustomization/flux-system/apps", "head": "main@sha1:aa",
        });
        vec![serde_json::from_value(report).unwrap()]
    }

    #[track_caller]
    fn codes(items: &[Value], reports: &[Report]) -> Vec<String> {
        let findings = Flux::of(items).findings(reports);
        findings.into_iter().map(|finding| finding.code).collect()
    }

    /// A set-up in which something is otherwise.
    fn with(change: impl FnOnce(&mut [Value; 3])) -> Vec<String> {
        let mut items = [provider(), alert(), kustomization()];
        change(&mut items);
        codes(&items, &reports())
    }

    #[test]
    fn the_gate_of_success_events_is_read_from_the_controller() {
        let found = |args: Value, applied: &str| {
            let mut kustomization = kustomization();
            kustomization["status"]["lastAppliedRevision"] = applied.into();
            let items = [provider(), alert(), kustomization, controller(args)];
            let findings = Flux::of(&items).findings(&reports());
            findings.into_iter().map(|one| (one.code, one.remedy)).collect::<Vec<_>>()
        };
        for set in [
            json!(["--feature-gates=DisableCommitStatusEvent=true"]),
            json!([
                "--log-level=info",
                "--feature-gates=Other=false,DisableCommitStatusEvent=True"
            ]),
            json!(["--feature-gates", "DisableCommitStatusEvent=true"]),
        ] {
            let one = found(set.clone(), "main@sha1:aa");
            assert_eq!(one.len(), 1, "{one:?}");
            assert_eq!(one[0].0, "success_events_disabled");
            assert!(one[0].1.contains("--feature-gates"), "{one:?}");
            let behind = found(set, "main@sha1:bb");
            assert!(!behind.iter().any(|(_, remedy)| remedy.contains("tells again")), "{behind:?}");
        }
        for unset in [
            json!([]),
            json!(["--feature-gates=DisableCommitStatusEvent=false"]),
            json!(["--feature-gates=NotDisableCommitStatusEvent=true"]),
            json!(["--feature-gates"]),
        ] {
            assert_eq!(found(unset, "main@sha1:aa"), []);
        }
    }

    #[test]
    fn each_fault_is_found_and_nothing_where_there_is_none() {
        assert_eq!(with(|_| {}), [""; 0]);
        assert_eq!(codes(&[alert(), kustomization()], &reports()), ["provider_missing"]);
        assert_eq!(codes(&[provider(), kustomization()], &reports()), ["alert_missing"]);
        let never = codes(&[provider(), alert(), kustomization()], &[]);
        assert_eq!(never, ["kustomization_not_heard"]);
        assert_eq!(
            with(|[provider, ..]| provider["spec"]["type"] = "slack".into()),
            ["provider_type"]
        );
        assert_eq!(
            with(|[provider, ..]| provider["spec"]["suspend"] = true.into()),
            ["provider_suspended"]
        );
        assert_eq!(
            with(|[_, alert, _]| alert["spec"]["suspend"] = true.into()),
            ["alert_suspended"]
        );
        assert_eq!(
            with(|[_, alert, _]| alert["spec"]["eventSeverity"] = "error".into()),
            ["alert_severity"]
        );
        assert_eq!(
            with(|[_, alert, _]| alert["spec"]["exclusionList"] = json!(["^Health"])),
            ["alert_filters"]
        );
        for (key, value) in [("kind", "HelmRelease"), ("name", "infra"), ("namespace", "shop")] {
            let found = with(|[_, alert, _]| alert["spec"]["eventSources"][0][key] = value.into());
            assert_eq!(found, ["alert_source_missing"], "{key}");
        }
        assert_eq!(
            with(|[_, alert, _]| {
                alert["spec"]["eventSources"][0]["matchLabels"] = json!({ "team": "shop" });
            }),
            ["alert_source_missing"]
        );
        assert_eq!(
            with(|[.., kustomization]| kustomization["spec"]["wait"] = false.into()),
            ["kustomization_does_not_wait"]
        );
        assert_eq!(
            with(|[.., kustomization]| kustomization["spec"]["suspend"] = true.into()),
            ["kustomization_suspended"]
        );
        assert_eq!(
            with(|[.., kustomization]| {
                kustomization["status"]["lastAppliedRevision"] = "main@sha1:bb".into();
            }),
            ["kustomization_behind"]
        );
    }
}
