//! `history --stats`: the four measures of DORA.

use std::time::Duration;

use gitops_brain::{Quantiles, Statistics, format_duration};
use serde::Deserialize;

use crate::{
    args::{Global, History},
    client::encode,
    exit::{Exit, Failure},
    output::Table,
    show, status,
    text::{elapsed, one_line},
};

pub(crate) fn show(args: &History, global: &Global) -> Result<Exit, Failure> {
    let mut path = format!("/v1/stats?window={}", format_duration(args.window));
    if let Some(environment) = &args.environment {
        path.push_str(&format!("&environment={environment}"));
    }
    for (name, value) in &args.label {
        if name != "app" {
            return Err(Failure::usage(format!(
                "statistics are by environment and by the label `app`, not by `{}`",
                one_line(name)
            )));
        }
        path.push_str(&format!("&app={}", encode(value)));
    }
    show::list(&path, global, table)
}

fn table(answer: &serde_json::Value) -> Result<Table, Failure> {
    let mut table = Table::new(&[
        "environment",
        "app",
        "deployments",
        "per day",
        "lead time",
        "failure rate",
        "time to restore",
    ]);
    for each in status::list(answer) {
        let each = Statistics::deserialize(each)
            .map_err(|error| Failure::internal(format!("the server's answer: {error}")))?;
        let rate = each.change_failure_rate;
        table.row(vec![
            each.environment.to_string(),
            one_line(each.app.as_deref().unwrap_or("-")),
            each.succeeded.to_string(),
            format!("{:.2}", each.deployments_per_day),
            time(each.lead_time_seconds),
            rate.map_or("-".to_owned(), |rate| format!("{:.0}%", rate * 100.0)),
            time(each.time_to_restore_seconds),
        ]);
    }
    Ok(table)
}

/// The median, and what nine of ten stay below.
fn time(quantiles: Option<Quantiles>) -> String {
    let Some(Quantiles { p50, p90, .. }) = quantiles else { return "-".to_owned() };
    let text = |seconds| elapsed(Duration::from_secs(seconds));
    format!("{} (p90 {})", text(p50), text(p90))
}
