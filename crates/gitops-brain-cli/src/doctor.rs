//! Checks a set-up, and says what to mend.

mod flux;

use std::{collections::BTreeSet, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    args::{Doctor, Format, Global},
    client::Client,
    doctor::flux::Flux,
    exit::{Exit, Failure},
    out::Out,
    output::{self, Table},
    status::{self, Report},
    text::one_line,
};

/// How often the address is asked which policy it answers by: a load balancer sends each time to another
/// server.
const ROUNDS: usize = 8;

/// What the server knows of the set-up.
#[derive(Debug, Deserialize)]
struct Diagnosis {
    token: Token,
    clusters: Vec<Cluster>,
    findings: Vec<Finding>,
}

#[derive(Debug, Deserialize)]
struct Token {
    name: String,
    scopes: Vec<String>,
    environments: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
struct Cluster {
    cluster: String,
    last_heard_at: Option<String>,
    reconcilers: u64,
    clock_behind_seconds: Option<i64>,
}

/// Something that keeps answers from coming, or makes them less than they could be.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Finding {
    pub(crate) code: String,
    pub(crate) environment: Option<String>,
    pub(crate) subject: String,
    pub(crate) message: String,
    pub(crate) remedy: String,
}

impl Finding {
    pub(crate) fn new(
        code: &str,
        subject: impl Into<String>,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            code: code.to_owned(),
            environment: None,
            subject: subject.into(),
            message: message.into(),
            remedy: remedy.into(),
        }
    }
}

pub(crate) fn run(args: &Doctor, global: &Global) -> Result<Exit, Failure> {
    let client = Client::new(&global.url, global.token.as_deref())?;
    let answer = client.get("/v1/doctor", Duration::ZERO)?;
    let Diagnosis { token, clusters, mut findings } = Diagnosis::deserialize(&answer)
        .map_err(|error| Failure::internal(format!("the server's answer: {error}")))?;
    doubt_token(&token, &mut findings);
    doubt_replicas(&client, args, global, &mut findings)?;
    if args.kubeconfig.is_some() || args.context.is_some() {
        let flux = Flux::read(args)?;
        let reports = client.get("/v1/reconcilers", Duration::ZERO)?;
        let reports = status::list(&reports).iter().filter_map(|one| Report::deserialize(one).ok());
        findings.extend(flux.findings(&reports.collect::<Vec<_>>()));
    }
    let mut out = Out::stdout();
    match global.output {
        Format::Text => show(&mut out, &client, &token, &clusters, &findings),
        Format::Json => {
            let answer = json!({ "diagnosis": answer, "findings": findings });
            output::json_value(&mut out, Format::Json, &answer);
        }
        Format::Jsonl => output::json_value(&mut out, Format::Jsonl, &json!(findings)),
    }
    out.finish()?;
    Ok(if findings.is_empty() { Exit::Succeeded } else { Exit::Failed })
}

fn doubt_token(token: &Token, findings: &mut Vec<Finding>) {
    if !token.scopes.iter().any(|scope| scope == "write") {
        findings.push(Finding::new(
            "token_cannot_register",
            &*token.name,
            format!(
                "the token `{}` has no scope `write`: a wait with it registers nothing, has no time \
                 limit on the server and sends no commit objects",
                token.name
            ),
            "give the token of CI the scopes `read` and `write`",
        ));
    }
}

/// Servers that answer by different policies give different answers.
fn doubt_replicas(
    client: &Client,
    args: &Doctor,
    global: &Global,
    findings: &mut Vec<Finding>,
) -> Result<(), Failure> {
    let mut policies = BTreeSet::new();
    for _ in 0..ROUNDS {
        // A load balancer chooses for each connection, so each question has its own.
        let client = Client::new(client.base(), global.token.as_deref())?;
        policies.extend(policy(&client.get("/readyz", Duration::ZERO)?));
    }
    for url in &args.replica {
        match Client::new(url, global.token.as_deref())?.get("/readyz", Duration::ZERO) {
            Ok(ready) => policies.extend(policy(&ready)),
            Err(error) => findings.push(Finding::new(
                "replica_not_ready",
                url,
                error.to_string(),
                "see its log; a server that is not ready must get no requests",
            )),
        }
    }
    if policies.len() > 1 {
        let all: Vec<_> = policies.into_iter().collect();
        findings.push(Finding::new(
            "policies_differ",
            client.base(),
            format!("the servers answer by {} different policies: {}", all.len(), all.join(", ")),
            "give all of them the same configuration, and restart those that have an older one",
        ));
    }
    Ok(())
}

fn policy(ready: &Value) -> Option<String> {
    ready.get("policy").and_then(Value::as_str).map(one_line)
}

fn show(out: &mut Out, client: &Client, token: &Token, clusters: &[Cluster], findings: &[Finding]) {
    let environments = match &token.environments {
        Some(names) => names.join(", "),
        None => "all environments".to_owned(),
    };
    out.line(format!("server  {}", client.base()));
    out.line(one_line(&format!(
        "token   {}: {} in {environments}",
        token.name,
        token.scopes.join(", ")
    )));
    if !clusters.is_empty() {
        out.line("");
        let mut table = Table::new(&["cluster", "last heard", "reconcilers", "clock"]);
        for cluster in clusters {
            table.row(vec![
                one_line(&cluster.cluster),
                one_line(cluster.last_heard_at.as_deref().unwrap_or("never")),
                cluster.reconcilers.to_string(),
                clock(cluster.clock_behind_seconds),
            ]);
        }
        table.print(out);
    }
    out.line("");
    for finding in findings {
        let of = finding.environment.as_ref().map(|name| format!(" ({})", one_line(name)));
        out.line(format!(
            "✗ {}{}: {}",
            one_line(&finding.code),
            of.unwrap_or_default(),
            one_line(&finding.message)
        ));
        out.line(format!("  remedy: {}", one_line(&finding.remedy)));
    }
    out.line(match findings.len() {
        0 => "✓ nothing is wrong, as far as can be seen".to_owned(),
        1 => "1 finding".to_owned(),
        count => format!("{count} findings"),
    });
}

fn clock(behind: Option<i64>) -> String {
    match behind {
        None => "not known yet".to_owned(),
        // Flux writes whole seconds, and a delivery takes its time.
        Some(-1..=2) => "right".to_owned(),
        Some(behind) if behind < 0 => format!("{} s ahead", behind.saturating_neg()),
        Some(behind) => format!("{behind} s behind"),
    }
}
