//! What the server writes to its log.

use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Child, Stdio},
};

use serde_json::Value;

use crate::support::{brain, listening};

const KEY: &str = "hmac-key-2f6d1c0e9b8a7f65";
const FLUX_TOKEN: &str = "flux-token-9d8c7b6a5f4e3d2c";
const CI_TOKEN: &str = "ci-token-1a2b3c4d5e6f7a8b";
const PUSH_SECRET: &str = "push-secret-0f1e2d3c4b5a6978";
const SECRETS: [&str; 4] = [KEY, FLUX_TOKEN, CI_TOKEN, PUSH_SECRET];
const COMMIT: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(folder: &Path, format: &str) -> Self {
        let config = "[clusters.staging]\nhmac_keys = [\"env:KEY\"]\nbearer_tokens = [\"env:FLUX\"]\n\
                      [[tokens]]\nname = \"ci\"\nsecret = \"env:CI\"\nscopes = [\"read\", \"write\"]\n\
                      [push.gitlab]\nsecrets = [\"env:PUSH\"]\n";
        fs::write(folder.join("config.toml"), config).unwrap();
        let mut child = brain("http://unused")
            .args(["serve", "--listen", "127.0.0.1:0", "--log-format", format, "--config"])
            .arg(folder.join("config.toml"))
            .arg("--database")
            .arg(folder.join("brain.db"))
            .env("GITOPS_BRAIN_LOG", "trace")
            .envs([("KEY", KEY), ("FLUX", FLUX_TOKEN), ("CI", CI_TOKEN), ("PUSH", PUSH_SECRET)])
            .stdout(Stdio::piped())
            .stderr(File::create(folder.join("log")).unwrap())
            .spawn()
            .unwrap();
        let address = listening(&mut child).replace("http://", "");
        Self { child, address }
    }

    /// Sends a request as it stands here, and returns the answer.
    fn send(&self, head: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let length = body.len();
        let request = format!(
            "{head}\r\nHost: brain\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Everything that has to do with a secret, right and wrong.
    fn use_every_secret(&self) {
        let event = r#"{"involvedObject":{"kind":"Kustomization","namespace":"a","name":"b"},"severity":"info","timestamp":"TIME","message":"done","reason":"Progressing","metadata":{"revision":"main@sha1:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}}"#;
        let now = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        let event = event.replace("TIME", &now);
        let path = "POST /v1/events/staging HTTP/1.1";
        let signature = gitops_brain::sign(KEY.as_bytes(), event.as_bytes()).unwrap();
        let accepted = "HTTP/1.1 202";
        for (head, body, expected) in [
            (format!("{path}\r\nX-Signature: {signature}"), &*event, accepted),
            (format!("{path}\r\nAuthorization: Bearer {FLUX_TOKEN}"), &event, "HTTP/1.1 200"),
            (format!("{path}\r\nAuthorization: Bearer {FLUX_TOKEN}x"), &event, "HTTP/1.1 401"),
            (format!("{path}\r\nAuthorization: Bearer {FLUX_TOKEN}"), KEY, "HTTP/1.1 400"),
            (
                format!("GET /v1/rollouts?limit=1 HTTP/1.1\r\nAuthorization: Bearer {CI_TOKEN}"),
                "",
                "HTTP/1.1 200",
            ),
            (
                format!("GET /v1/rollouts HTTP/1.1\r\nAuthorization: Bearer x{CI_TOKEN}"),
                "",
                "HTTP/1.1 401",
            ),
            // Where it does not belong.
            (format!("GET /v1/rollouts?token={CI_TOKEN} HTTP/1.1"), "", "HTTP/1.1 401"),
            (
                format!(
                    "PUT /v1/rollouts/staging/{COMMIT} HTTP/1.1\r\nAuthorization: Bearer {CI_TOKEN}"
                ),
                "{\"labels\":{\"app\":\"shop\"}}",
                "HTTP/1.1 201",
            ),
            ("POST /login HTTP/1.1".to_owned(), &format!("token={CI_TOKEN}"), "HTTP/1.1 303"),
            ("POST /login HTTP/1.1".to_owned(), &format!("token=x{CI_TOKEN}"), "HTTP/1.1 401"),
            (
                format!(
                    "POST /v1/push/gitlab HTTP/1.1\r\nContent-Type: application/json\r\nX-Gitlab-Token: {PUSH_SECRET}\r\n\
                     X-Gitlab-Event: Tag Push Hook"
                ),
                "{}",
                "HTTP/1.1 200",
            ),
            (
                format!(
                    "POST /v1/push/gitlab HTTP/1.1\r\nContent-Type: application/json\r\nX-Gitlab-Token: {PUSH_SECRET}x"
                ),
                "{}",
                "HTTP/1.1 401",
            ),
        ] {
            let answer = self.send(&head, body);
            assert!(answer.starts_with(expected), "{head}: {answer}");
            for secret in SECRETS {
                assert!(!answer.contains(secret), "{head}: {answer}");
            }
        }
    }

    fn stop(mut self) {
        let id = self.child.id().to_string();
        std::process::Command::new("kill").arg(id).status().unwrap();
        assert!(self.child.wait().unwrap().success());
    }
}

fn log_of(format: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), format);
    server.use_every_secret();
    server.stop();
    fs::read_to_string(folder.path().join("log")).unwrap()
}

/// No secret, nor what it would be turned into: hexadecimal digits, or its digest.
fn assert_secret(log: &str) {
    for secret in SECRETS {
        let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
        for form in [secret, &hex] {
            assert!(!log.contains(form), "{form} stands in the log:\n{log}");
        }
    }
}

#[test]
fn no_secret_stands_in_a_log_of_everything() {
    let log = log_of("text");
    assert_secret(&log);
    assert!(log.contains("not let in") && log.contains("registered"), "{log}");
}

#[test]
fn a_log_of_objects_has_one_on_each_line() {
    let log = log_of("json");
    assert_secret(&log);
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}")))
        .collect();
    let refused = lines.iter().find(|line| line["message"] == "not let in").unwrap();
    assert_eq!(refused["level"], "WARN");
    assert_eq!(refused["from"], "127.0.0.1");
    assert!(refused["span"]["id"].is_string(), "{refused}");
}
