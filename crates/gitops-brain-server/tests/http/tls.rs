//! Encrypted connections, and clusters that are known by their certificates.

use std::{fs, sync::Arc};

use gitops_brain::sign;
use gitops_brain_server::{Config, Overrides, bind};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore, crypto,
        pki_types::{CertificateDer, PrivateKeyDer, ServerName},
    },
};

use crate::harness::{A, KEY, Running, applying, config, healthy, run};

/// An authority, and what it has signed.
struct Authority(CertifiedIssuer<'static, KeyPair>);

struct Identity {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
    pem: (String, String),
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn issue(&self, name: &str) -> Identity {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Identity {
            certificate: certificate.der().clone(),
            key: PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            pem: (certificate.pem(), key.serialize_pem()),
        }
    }
}

/// A server whose certificates are in its folder, and who signed them.
struct Site {
    server: Running,
    authority: Authority,
    clients: Authority,
}

const CLUSTERS: &str = r#"
listen = "127.0.0.1:0"
[tls]
certificate = "FOLDER/tls.crt"
key = "FOLDER/tls.key"
client_ca = "FOLDER/ca.crt"
[clusters.staging]
client_names = ["staging.flux.example"]
[clusters.production]
hmac_keys = ["env:KEY"]
client_names = ["production.flux.example"]
[environments.staging]
reconcilers = ["staging/Kustomization/flux-system/apps"]
[[tokens]]
name = "ci"
secret = "env:TOKEN"
scopes = ["read"]
"#;

fn text(folder: &TempDir) -> String {
    CLUSTERS.replace("FOLDER", &folder.path().display().to_string())
}

impl Site {
    async fn start() -> Self {
        let (authority, clients) = (Authority::new(), Authority::new());
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = authority.issue("localhost").pem;
        fs::write(folder.path().join("tls.crt"), certificate).unwrap();
        fs::write(folder.path().join("tls.key"), key).unwrap();
        fs::write(folder.path().join("ca.crt"), clients.0.pem()).unwrap();
        let server = bind(&config(&text(&folder), &folder)).await.unwrap();
        assert!(server.url().starts_with("https://127.0.0.1:"));
        Self { server: run(server, folder), authority, clients }
    }

    /// Sends a request, and returns the answer's head and body.
    async fn send(
        &self,
        who: Option<&Identity>,
        head: &str,
        body: &str,
    ) -> std::io::Result<(String, Value)> {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.0.der().clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(crypto::ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = match who {
            None => builder.with_no_client_auth(),
            Some(Identity { certificate, key, .. }) => {
                builder.with_client_auth_cert(vec![certificate.clone()], key.clone_key()).unwrap()
            }
        };
        let address = self.server.url.split_once("://").unwrap().1;
        let stream = TcpStream::connect(address).await?;
        let name = ServerName::try_from("localhost").unwrap();
        let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
        let length = body.len();
        let request = format!(
            "{head} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}"
        );
        let request = match head.split_once('\n') {
            None => format!("{request}\r\n\r\n{body}"),
            Some((line, headers)) => format!(
                "{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n\
                 Content-Length: {length}\r\n\r\n{body}"
            ),
        };
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        Ok((head.to_owned(), serde_json::from_str(body).unwrap_or_default()))
    }

    async fn event(&self, who: Option<&Identity>, cluster: &str, body: &Value) -> String {
        let head = format!("POST /v1/events/{cluster}");
        let (head, answer) = self.send(who, &head, &body.to_string()).await.unwrap();
        let status = head.split(' ').nth(1).unwrap();
        format!("{status} {}", answer["code"].as_str().unwrap_or_default())
    }
}

#[tokio::test]
async fn a_cluster_is_known_by_its_certificate() {
    let site = Site::start().await;
    let staging = site.clients.issue("staging.flux.example");
    let production = site.clients.issue("production.flux.example");
    let other = site.clients.issue("other.example");
    assert_eq!(site.event(Some(&staging), "staging", &applying(20, A)).await, "202 ");
    for (who, cluster, expected) in [
        (Some(&production), "staging", "401 signature.missing"),
        (Some(&other), "staging", "401 signature.missing"),
        (None, "staging", "401 signature.missing"),
        (Some(&staging), "production", "401 signature.missing"),
        (Some(&staging), "nowhere", "401 signature.missing"),
        (Some(&production), "production", "202 "),
        (Some(&staging), "staging", "202 "),
    ] {
        assert_eq!(site.event(who, cluster, &healthy(10, A)).await, expected, "{cluster}");
    }
    // A certificate is no token.
    let path = format!("GET /v1/rollouts/staging/{A}");
    let (head, _) = site.send(Some(&staging), &path, "").await.unwrap();
    assert!(head.starts_with("HTTP/1.1 401"), "{head}");
    let ask = format!("{path}\nAuthorization: Bearer the token of CI");
    let (head, status) = site.send(None, &ask, "").await.unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert_eq!(status["outcome"], "succeeded");
}

#[tokio::test]
async fn a_key_still_signs_where_there_are_certificates() {
    let site = Site::start().await;
    let body = healthy(10, A).to_string();
    let signature = sign(KEY.as_bytes(), body.as_bytes()).unwrap();
    let head = format!("POST /v1/events/production\nX-Signature: {signature}");
    let (head, _) = site.send(None, &head, &body).await.unwrap();
    assert!(head.starts_with("HTTP/1.1 202"), "{head}");
}

#[tokio::test]
async fn certificates_of_others_are_not_even_heard() {
    let site = Site::start().await;
    let forged = Authority::new().issue("staging.flux.example");
    let sent = site.send(Some(&forged), "POST /v1/events/staging", "{}").await;
    assert!(sent.is_err(), "{sent:?}");
    // Nor is what is not encrypted.
    let plain = site.server.client.get(site.server.url.replace("https", "http")).send().await;
    assert!(plain.is_err(), "{plain:?}");
}

#[tokio::test]
async fn the_cookie_of_a_session_stays_on_encrypted_connections() {
    let site = Site::start().await;
    let login = "POST /login\nContent-Type: application/x-www-form-urlencoded";
    let (head, _) = site.send(None, login, "token=the+token+of+CI").await.unwrap();
    let cookie = head.lines().find(|line| line.starts_with("set-cookie:")).unwrap();
    assert!(cookie.ends_with("; Secure"), "{cookie}");
}

#[tokio::test]
async fn certificates_are_read_again_while_it_runs() {
    let mut site = Site::start().await;
    let folder = site.server.folder.path().to_owned();
    let renewed = Authority::new();
    let (certificate, key) = renewed.issue("localhost").pem;
    fs::write(folder.join("tls.crt"), certificate).unwrap();
    let again = || config(&text(&site.server.folder), &site.server.folder);
    // The certificate is new, and the key is not yet: what is in use stays.
    let error = site.server.service.reload(&again()).unwrap_err();
    assert_eq!(error.code(), "tls.certificate");
    assert!(error.to_string().contains("tls.crt"), "{error}");
    assert!(site.send(None, "GET /healthz", "").await.is_ok());
    fs::write(folder.join("tls.key"), key).unwrap();
    site.server.service.reload(&again()).unwrap();
    assert!(site.send(None, "GET /healthz", "").await.is_err(), "by the former authority");
    site.authority = renewed;
    assert!(site.send(None, "GET /healthz", "").await.is_ok());
}

#[test]
fn what_does_not_fit_together_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gitops-brain.toml");
    for (text, expected) in [
        (
            "[clusters.a]\nclient_names = [\"a.example\"]",
            "cluster a has `client_names`, and there is no `tls.client_ca`",
        ),
        ("[tls]\ncertificate = \"a\"", ":1: tls: it needs `certificate` and `key`"),
        (
            "[clusters.a]\nclient_names = [\"not a name\"]",
            ":2: clusters.a.client_names: `not a name` is no DNS name",
        ),
        (
            "[tls]\ncertificate = \"a\"\nkey = \"b\"\nclient_ca = \"c\"\n\
             [clusters.a]\nclient_names = [\"x.example\"]\n\
             [clusters.b]\nclient_names = [\"X.example\"]",
            "clusters a and b share the client name x.example",
        ),
    ] {
        fs::write(&path, text).unwrap();
        let config = Config::load_with(Some(&path), &Overrides::default(), &|_| None);
        let error = config.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
