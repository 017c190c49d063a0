//! Everything in `deploy/` is what Kubernetes and the server take, and fits together.
//!
//! Documents are read into the types of Kubernetes' own API: what those do not know gets lost on the
//! way, and is found by comparing what was written with what is left of it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use gitops_brain_server::{Config, Database, Overrides};
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{ConfigMap, PersistentVolumeClaim, Service, ServiceAccount},
    networking::v1::NetworkPolicy,
    policy::v1::PodDisruptionBudget,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

const BASE: &str = "deploy/kubernetes/base";
const POSTGRES: &str = "deploy/kubernetes/postgres";

/// What kustomize is told: as much of it as is used here.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Kustomization {
    api_version: String,
    kind: String,
    resources: Vec<String>,
    #[serde(default)]
    patches: Vec<Patch>,
    #[serde(default)]
    config_map_generator: Vec<Generator>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Patch {
    path: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Generator {
    name: String,
    files: Vec<String>,
}

impl Kustomization {
    fn of(folder: &str) -> Self {
        let text = fs::read_to_string(root().join(folder).join("kustomization.yaml")).unwrap();
        let kustomization: Self = serde_saphyr::from_str(&text).unwrap();
        assert_eq!(kustomization.api_version, "kustomize.config.k8s.io/v1beta1");
        assert_eq!(kustomization.kind, "Kustomization");
        kustomization
    }

    /// The paths of all that it names.
    fn names(&self) -> BTreeSet<&str> {
        let patches = self.patches.iter().map(|patch| &patch.path);
        let generated = self.config_map_generator.iter().flat_map(|generator| &generator.files);
        self.resources.iter().chain(patches).chain(generated).map(String::as_str).collect()
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The files in a folder and those below it.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn documents(text: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(text).unwrap()
}

/// The documents of a file.
fn read(folder: &str, file: &str) -> Vec<Value> {
    documents(&fs::read_to_string(root().join(folder).join(file)).unwrap())
}

/// The one document of a file, as an object of its type.
fn one<T: DeserializeOwned>(folder: &str, file: &str) -> T {
    let [document] = read(folder, file).try_into().unwrap();
    serde_json::from_value(document).unwrap()
}

/// What is wrong with a document.
fn faults(document: &Value) -> Vec<String> {
    let text = |key| document.get(key).and_then(Value::as_str).unwrap_or_default();
    let known = match (text("apiVersion"), text("kind")) {
        ("apps/v1", "Deployment") => again::<Deployment>(document),
        ("networking.k8s.io/v1", "NetworkPolicy") => again::<NetworkPolicy>(document),
        ("policy/v1", "PodDisruptionBudget") => again::<PodDisruptionBudget>(document),
        ("v1", "ConfigMap") => again::<ConfigMap>(document),
        ("v1", "PersistentVolumeClaim") => again::<PersistentVolumeClaim>(document),
        ("v1", "Service") => again::<Service>(document),
        ("v1", "ServiceAccount") => again::<ServiceAccount>(document),
        (version, kind) => Err(format!("there is no `{kind}` of `{version}`")),
    };
    match known {
        Ok(kept) => lost("", document, &kept),
        Err(fault) => vec![fault],
    }
}

/// What is left of a document when it has been an object of a type.
fn again<T: DeserializeOwned + Serialize>(document: &Value) -> Result<Value, String> {
    let object: T = serde_json::from_value(document.clone()).map_err(|error| error.to_string())?;
    serde_json::to_value(object).map_err(|error| error.to_string())
}

/// The paths of what was written and did not stay.
fn lost(path: &str, written: &Value, kept: &Value) -> Vec<String> {
    match (written, kept) {
        (Value::Object(written), Value::Object(kept)) => written
            .iter()
            .flat_map(|(key, value)| {
                lost(&format!("{path}.{key}"), value, kept.get(key).unwrap_or(&Value::Null))
            })
            .collect(),
        (Value::Array(written), Value::Array(kept)) if written.len() == kept.len() => written
            .iter()
            .zip(kept)
            .enumerate()
            .flat_map(|(index, (written, kept))| lost(&format!("{path}[{index}]"), written, kept))
            .collect(),
        // What is written as null is not written: whoever does so most likely meant something else.
        _ if written == kept && !written.is_null() => Vec::new(),
        _ => vec![format!("{path}: {written}")],
    }
}

/// A patch without kustomize's `$patch: delete`, which may stand wherever something has a name.
fn plain(patch: &Value) -> Value {
    match patch {
        Value::Object(fields) => {
            let mut fields: Map<_, _> =
                fields.iter().map(|(key, value)| (key.clone(), plain(value))).collect();
            if let Some(directive) = fields.remove("$patch") {
                assert_eq!(directive, "delete");
            }
            fields.into()
        }
        Value::Array(values) => values.iter().map(plain).collect(),
        value => value.clone(),
    }
}

/// What a document is called.
fn identity(document: &Value) -> [Option<&Value>; 3] {
    ["/apiVersion", "/kind", "/metadata/name"].map(|path| document.pointer(path))
}

#[test]
fn every_document_is_what_kubernetes_takes() {
    let mut found = Vec::new();
    let mut count = 0;
    for folder in [BASE, POSTGRES] {
        let kustomization = Kustomization::of(folder);
        let patches: BTreeSet<_> = kustomization.patches.iter().map(|patch| &*patch.path).collect();
        for file in kustomization.names().into_iter().filter(|name| name.ends_with(".yaml")) {
            for document in read(folder, file) {
                let document = if patches.contains(file) { plain(&document) } else { document };
                let faults = faults(&document);
                found.extend(faults.into_iter().map(|fault| format!("{folder}/{file}: {fault}")));
                count += 1;
            }
        }
    }
    println!("{count} documents");
    assert_eq!(found, [""; 0]);
}

#[test]
fn what_kubernetes_does_not_know_is_found() {
    let service = |spec: Value| json!({ "apiVersion": "v1", "kind": "Service", "spec": spec });
    assert_eq!(
        faults(&service(json!({ "ports": [{ "port": 80, "targetPort": "http" }] }))),
        [""; 0]
    );
    let [fault] = &*faults(&service(json!({ "ports": [{ "port": 80, "tragetPort": "http" }] })))
    else {
        panic!("one fault");
    };
    assert_eq!(fault, ".spec.ports[0].tragetPort: \"http\"");
    assert_eq!(faults(&service(json!({ "selector": null }))).len(), 1);
    assert_eq!(faults(&service(json!({ "ports": "http" }))).len(), 1);
    for (version, kind) in [("v1", "Sevrice"), ("v1beta1", "Service"), ("", "")] {
        let faults = faults(&json!({ "apiVersion": version, "kind": kind }));
        assert_eq!(faults, [format!("there is no `{kind}` of `{version}`")]);
    }
}

#[test]
fn every_file_is_named_and_every_name_is_a_file() {
    let mut named: BTreeSet<PathBuf> = BTreeSet::new();
    let root = root().canonicalize().unwrap();
    for folder in [BASE, POSTGRES] {
        named.insert(root.join(folder).join("kustomization.yaml"));
        for name in Kustomization::of(folder).names() {
            let path = root.join(folder).join(name).canonicalize();
            let path = path.unwrap_or_else(|error| panic!("{name} in {folder}: {error}"));
            named.insert(if path.is_dir() { path.join("kustomization.yaml") } else { path });
        }
    }
    let there: BTreeSet<_> = files(&root.join("deploy/kubernetes")).into_iter().collect();
    assert_eq!(named, there);
}

#[test]
fn every_patch_is_of_something_in_the_base() {
    let base: Vec<_> =
        Kustomization::of(BASE).resources.iter().flat_map(|file| read(BASE, file)).collect();
    for Patch { path } in Kustomization::of(POSTGRES).patches {
        for patch in read(POSTGRES, &path) {
            let identity = identity(&patch);
            assert!(base.iter().any(|object| self::identity(object) == identity), "{path}");
        }
    }
}

/// The names that objects have for each other.
#[test]
fn what_is_referred_to_is_there() {
    let deployment: Deployment = one(BASE, "deployment.yaml");
    let spec = deployment.spec;
    let labels = spec.template.metadata.unwrap().labels;
    let pod = spec.template.spec.unwrap();
    let [container] = &*pod.containers else { panic!("one container") };
    let ports = container.ports.as_ref().unwrap();
    let port = |name: &str| ports.iter().any(|port| port.name.as_deref() == Some(name));

    assert_eq!(spec.selector.match_labels, labels);
    let account: ServiceAccount = one(BASE, "serviceaccount.yaml");
    assert_eq!(pod.service_account_name, account.metadata.name);

    let service: Service = one(BASE, "service.yaml");
    let service = service.spec.unwrap();
    assert_eq!(service.selector, labels);
    for served in service.ports.unwrap() {
        let target = serde_json::to_value(served.target_port).unwrap();
        assert!(port(target.as_str().unwrap()), "{target}");
    }
    let policy: NetworkPolicy = one(BASE, "networkpolicy.yaml");
    let policy = policy.spec.unwrap();
    assert_eq!(policy.pod_selector.unwrap().match_labels, labels);
    for allowed in policy.ingress.unwrap().into_iter().flat_map(|rule| rule.ports.unwrap()) {
        let allowed = serde_json::to_value(allowed.port).unwrap();
        assert!(port(allowed.as_str().unwrap()), "{allowed}");
    }
    let budget: PodDisruptionBudget = one(POSTGRES, "poddisruptionbudget.yaml");
    assert_eq!(budget.spec.unwrap().selector.unwrap().match_labels, labels);

    let generated = Kustomization::of(BASE).config_map_generator;
    let claim: PersistentVolumeClaim = one(BASE, "persistentvolumeclaim.yaml");
    let mounts = container.volume_mounts.as_ref().unwrap();
    let mounted: BTreeSet<_> = mounts.iter().map(|mount| mount.name.clone()).collect();
    let volumes = pod.volumes.unwrap();
    assert_eq!(mounted, volumes.iter().map(|volume| volume.name.clone()).collect());
    for volume in volumes {
        if let Some(map) = volume.config_map {
            assert!(generated.iter().any(|generator| generator.name == map.name), "{map:?}");
        }
        if let Some(volume) = volume.persistent_volume_claim {
            assert_eq!(Some(volume.claim_name), claim.metadata.name);
        }
    }
}

/// The Deployment starts the server with the file that is mounted, and all secrets that it asks for
/// are among those that are mounted.
#[test]
fn the_configuration_is_what_the_server_takes() {
    let deployment: Deployment = one(BASE, "deployment.yaml");
    let pod = deployment.spec.template.spec.unwrap();
    let [container] = &*pod.containers else { panic!("one container") };
    let mounts = container.volume_mounts.as_ref().unwrap();
    let place = |name: &str| {
        let mount = mounts.iter().find(|mount| mount.name == name).unwrap();
        mount.mount_path.clone()
    };
    let config = format!("{}/brain.toml", place("config"));
    assert_eq!(container.args.as_deref().unwrap(), ["serve", "--config", &config]);

    let keys = tempfile::tempdir().unwrap();
    let text = fs::read_to_string(root().join(BASE).join("brain.toml")).unwrap();
    let beginning = format!("\"file:{}/", place("keys"));
    let mut secrets = 0;
    for secret in text.split("\"file:").skip(1) {
        let path = secret.split('"').next().unwrap();
        let name = path.strip_prefix(&format!("{}/", place("keys"))).unwrap();
        // No two of them may be the same.
        fs::write(keys.path().join(name), format!("{name}-0123456789abcdef")).unwrap();
        secrets += 1;
    }
    assert!(secrets >= 2 && !text.contains("env:"), "{text}");
    let text = text.replace(&beginning, &format!("\"file:{}/", keys.path().display()));
    let path = keys.path().join("brain.toml");
    fs::write(&path, text).unwrap();

    let load = |variables: &BTreeMap<&str, &str>| {
        let variable = |name: &str| variables.get(name).map(|value| (*value).to_owned());
        Config::load_with(Some(&path), &Overrides::default(), &variable).unwrap()
    };
    let config = load(&BTreeMap::new());
    assert_eq!(config.warnings(), []);
    let port = container.ports.as_ref().unwrap().first().unwrap().container_port;
    assert_eq!(config.listen, format!("0.0.0.0:{port}").parse().unwrap());
    let Database::Sqlite(database) = config.database else { panic!("in a file") };
    assert_eq!(database.parent().unwrap(), Path::new(&place("data")));

    // With PostgreSQL the same file is used; the database's URL is a secret.
    let [patch] = read(POSTGRES, "deployment.yaml").try_into().unwrap();
    let patch: Deployment = serde_json::from_value(plain(&patch)).unwrap();
    let pod = patch.spec.template.spec.unwrap();
    let variables = pod.containers.first().unwrap().env.as_ref().unwrap();
    assert!(variables.iter().all(|variable| variable.value.is_none()));
    let variables = variables.iter().map(|variable| (&*variable.name, "postgres://db/brain"));
    let config = load(&variables.collect());
    assert!(matches!(config.database, Database::Postgres(_)), "{:?}", config.database);
}

/// What kustomize makes of it, where it is installed.
#[test]
fn kustomize_takes_both() {
    for folder in [BASE, POSTGRES] {
        let Some(text) = kustomize(&root().join(folder)) else {
            println!("skipped: neither kustomize nor kubectl is installed");
            return;
        };
        let objects = documents(&text);
        for object in &objects {
            assert_eq!(faults(object), [""; 0], "{} in {folder}", object["kind"]);
        }
        let is_there = |kind: &str| objects.iter().any(|object| object["kind"] == kind);
        let of_postgres = folder == POSTGRES;
        assert_eq!(is_there("PersistentVolumeClaim"), !of_postgres);
        assert_eq!(is_there("PodDisruptionBudget"), of_postgres);
        let deployment = objects.iter().find(|object| object["kind"] == "Deployment").unwrap();
        let deployment: Deployment = serde_json::from_value(deployment.clone()).unwrap();
        let pod = deployment.spec.template.spec.unwrap();
        let volumes = pod.volumes.unwrap();
        let mounts =
            pod.containers.into_iter().flat_map(|container| container.volume_mounts.unwrap());
        let mounted: BTreeSet<_> = mounts.map(|mount| mount.name).collect();
        assert_eq!(mounted, volumes.iter().map(|volume| volume.name.clone()).collect());
        assert_eq!(mounted.contains("data"), !of_postgres);
        // The generated name is that which is referred to.
        let map = objects.iter().find(|object| object["kind"] == "ConfigMap").unwrap();
        let named = volumes.iter().find_map(|volume| volume.config_map.as_ref()).unwrap();
        assert_eq!(map["metadata"]["name"], named.name);
    }
}

fn kustomize(folder: &Path) -> Option<String> {
    let mut commands = [Command::new("kustomize"), Command::new("kubectl")];
    let [kustomize, kubectl] = &mut commands;
    kustomize.arg("build");
    kubectl.arg("kustomize");
    let output = commands.iter_mut().find_map(|command| command.arg(folder).output().ok())?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap())
}

/// A release changes these together.
#[test]
fn the_image_is_of_this_release_and_made_by_its_compiler() {
    let deployment: Deployment = one(BASE, "deployment.yaml");
    let pod = deployment.spec.template.spec.unwrap();
    let image = pod.containers.first().unwrap().image.as_deref().unwrap().to_owned();
    assert_eq!(image, format!("gitops-brain:{}", env!("CARGO_PKG_VERSION")));

    let toolchain = fs::read_to_string(root().join("rust-toolchain.toml")).unwrap();
    let toolchain: toml::Table = toml::from_str(&toolchain).unwrap();
    let channel = toolchain["toolchain"]["channel"].as_str().unwrap();
    let dockerfile = fs::read_to_string(root().join("Dockerfile")).unwrap();
    assert!(dockerfile.contains(&format!("FROM rust:{channel}-")), "the Dockerfile's compiler");
}
