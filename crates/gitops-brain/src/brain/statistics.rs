//! How often rollouts settle, how well, and how fast: the four measures of DORA, made of settlements.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    brain::Brain,
    names::EnvironmentName,
    status::{Outcome, time},
    world::{Registered, Rollout},
};

/// The label that names the app.
const APP: &str = "app";

/// The label with the time at which the app's own commit was made, in RFC 3339.
const APP_COMMITTED_AT: &str = "app_committed_at";

/// Which rollouts are counted: those that first settled within a time.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct StatisticsFilter {
    /// Of this environment.
    pub environment: Option<EnvironmentName>,
    /// With this label `app`.
    pub app: Option<String>,
    /// From then on.
    pub since: DateTime<Utc>,
    /// Until then, and not at that instant.
    pub until: DateTime<Utc>,
}

impl StatisticsFilter {
    /// All rollouts that first settled within a time.
    #[must_use]
    pub fn new(since: DateTime<Utc>, until: DateTime<Utc>) -> Self {
        Self { environment: None, app: None, since, until }
    }
}

/// What is counted of one app in one environment.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Statistics {
    /// The environment.
    pub environment: EnvironmentName,
    /// The label `app`; none for rollouts without one.
    pub app: Option<String>,
    /// From then on.
    #[serde(serialize_with = "time")]
    pub since: DateTime<Utc>,
    /// Until then.
    #[serde(serialize_with = "time")]
    pub until: DateTime<Utc>,
    /// Rollouts that first settled as succeeded: deployments.
    pub succeeded: u32,
    /// Rollouts that first settled as failed.
    pub failed: u32,
    /// Rollouts that first settled as timed out: neither, as far as was known.
    pub timed_out: u32,
    /// Deployment frequency: `succeeded` for each day of the time.
    pub deployments_per_day: f64,
    /// Lead time for changes: from the label `app_committed_at`, or else the registration, to the first
    /// success.
    pub lead_time_seconds: Option<Quantiles>,
    /// Change failure rate: the share of rollouts that were ever settled as failed among those that
    /// settled as succeeded or failed.
    pub change_failure_rate: Option<f64>,
    /// Time to restore: from a rollout that settled as failed to the next success of the app in the
    /// environment, that of the same rollout included.
    pub time_to_restore_seconds: Option<Quantiles>,
    /// By day, in UTC; days without a settlement are left out.
    pub days: Vec<Day>,
}

/// What a measure is, for the most and for nearly all.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Quantiles {
    /// Half of them took no longer.
    pub p50: u64,
    /// Nine of ten took no longer.
    pub p90: u64,
}

/// What first settled on one day.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Day {
    /// The day, in UTC.
    pub date: NaiveDate,
    /// Rollouts that succeeded.
    pub succeeded: u32,
    /// Rollouts that failed.
    pub failed: u32,
    /// Rollouts that timed out.
    pub timed_out: u32,
}

/// The settlements of one rollout, in the order of their numbers.
struct Settled<'a> {
    registered: &'a Registered,
    all: Vec<(DateTime<Utc>, Outcome)>,
}

impl<'a> Settled<'a> {
    fn of(rollout: &'a Rollout) -> Option<Self> {
        let registered = rollout.registered.as_ref()?;
        let all: Vec<_> = rollout.settlements.values().copied().collect();
        (!all.is_empty()).then_some(Self { registered, all })
    }

    fn first(&self, outcome: Outcome) -> Option<DateTime<Utc>> {
        self.all.iter().find(|(_, settled)| *settled == outcome).map(|(at, _)| *at)
    }

    fn app(&self) -> Option<&'a str> {
        self.registered.terms.labels.get(APP).map(String::as_str)
    }

    /// When the change began.
    fn began_at(&self) -> DateTime<Utc> {
        let label = self.registered.terms.labels.get(APP_COMMITTED_AT);
        let committed = label.and_then(|text| DateTime::parse_from_rfc3339(text).ok());
        committed.map_or(self.registered.first_at, |at| at.to_utc())
    }
}

impl Brain {
    /// Statistics of each app in each environment, sorted by both.
    ///
    /// A rollout counts when it first settles; one that was settled by way of a later commit counts as
    /// the change that it is. What was forgotten is not counted.
    #[must_use]
    pub fn statistics(&self, filter: &StatisticsFilter) -> Vec<Statistics> {
        let mut groups: BTreeMap<(&EnvironmentName, Option<&str>), Vec<Settled<'_>>> =
            BTreeMap::new();
        for ((environment, _), rollout) in &self.world.rollouts {
            if filter.environment.as_ref().is_some_and(|wanted| wanted != environment) {
                continue;
            }
            let Some(settled) = Settled::of(rollout) else { continue };
            if filter.app.as_deref().is_some_and(|wanted| settled.app() != Some(wanted)) {
                continue;
            }
            groups.entry((environment, settled.app())).or_default().push(settled);
        }
        groups
            .into_iter()
            .filter_map(|((environment, app), all)| count(environment, app, &all, filter))
            .collect()
    }
}

fn count(
    environment: &EnvironmentName,
    app: Option<&str>,
    all: &[Settled<'_>],
    filter: &StatisticsFilter,
) -> Option<Statistics> {
    let is_within = |at: DateTime<Utc>| filter.since <= at && at < filter.until;
    let settlements = all.iter().flat_map(|settled| &settled.all);
    let mut successes: Vec<_> = settlements
        .filter(|(_, outcome)| *outcome == Outcome::Succeeded)
        .map(|(at, _)| *at)
        .collect();
    successes.sort_unstable();
    let (mut succeeded, mut failed, mut timed_out, mut ever_failed, mut decided) = (0, 0, 0, 0, 0);
    let (mut lead_times, mut restore_times) = (Vec::new(), Vec::new());
    let mut days: BTreeMap<NaiveDate, Day> = BTreeMap::new();
    for settled in all {
        let Some((at, outcome)) = settled.all.first().copied().filter(|(at, _)| is_within(*at))
        else {
            continue;
        };
        let date = at.date_naive();
        let day = days.entry(date).or_insert(Day { date, succeeded: 0, failed: 0, timed_out: 0 });
        let (total, of_day) = match outcome {
            Outcome::Succeeded => (&mut succeeded, &mut day.succeeded),
            Outcome::Failed => (&mut failed, &mut day.failed),
            _ => (&mut timed_out, &mut day.timed_out),
        };
        *total += 1;
        *of_day += 1;
        let success = settled.first(Outcome::Succeeded);
        let failure = settled.first(Outcome::Failed);
        decided += u32::from(success.is_some() || failure.is_some());
        ever_failed += u32::from(failure.is_some());
        lead_times.extend(success.map(|success| seconds(success - settled.began_at())));
        if let Some(failure) = failure {
            let restored = successes.iter().find(|success| **success > failure);
            restore_times.extend(restored.map(|restored| seconds(*restored - failure)));
        }
    }
    if days.is_empty() {
        return None;
    }
    // Something settled in it: it is longer than nothing.
    let length = (filter.until - filter.since).as_seconds_f64() / 86_400.0;
    Some(Statistics {
        environment: environment.clone(),
        app: app.map(str::to_owned),
        since: filter.since,
        until: filter.until,
        succeeded,
        failed,
        timed_out,
        deployments_per_day: f64::from(succeeded) / length,
        lead_time_seconds: quantiles(lead_times),
        change_failure_rate: (decided > 0).then(|| f64::from(ever_failed) / f64::from(decided)),
        time_to_restore_seconds: quantiles(restore_times),
        days: days.into_values().collect(),
    })
}

fn seconds(time: TimeDelta) -> u64 {
    u64::try_from(time.num_seconds()).unwrap_or_default()
}

/// By the nearest rank: each is one that was measured.
fn quantiles(mut times: Vec<u64>) -> Option<Quantiles> {
    times.sort_unstable();
    let rank = |percent: usize| {
        let rank = (times.len() * percent).div_ceil(100);
        times.get(rank.saturating_sub(1)).copied()
    };
    Some(Quantiles { p50: rank(50)?, p90: rank(90)? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fact::{Fact, FactBody, Registration, Settlement},
        policy::Policy,
    };

    const START: &str = "2026-11-20T00:00:00Z";

    fn at(minutes: i64) -> DateTime<Utc> {
        START.parse::<DateTime<Utc>>().unwrap() + TimeDelta::minutes(minutes)
    }

    /// The app, when it was registered, and how it settled when.
    type Told = (&'static str, i64, &'static [(Outcome, i64)]);

    fn brain(rollouts: &[Told]) -> Brain {
        let mut brain = Brain::new(Policy::default());
        for (number, (app, registered, settlements)) in rollouts.iter().enumerate() {
            let commit = format!("{number:040x}").parse().unwrap();
            let environment: EnvironmentName = "production".parse().unwrap();
            let mut told =
                Registration::new(environment.clone(), commit, &brain.policy().of(&environment));
            if !app.is_empty() {
                told.terms.labels.insert("app".to_owned(), (*app).to_owned());
            }
            brain.apply(&Fact::new(at(*registered), FactBody::Registered(told)), at(0));
            for (n, (outcome, minutes)) in settlements.iter().enumerate() {
                let (environment, n) = (environment.clone(), n as u32);
                let settled = Settlement { environment, commit, n, outcome: *outcome };
                brain.apply(&Fact::new(at(*minutes), FactBody::Settled(settled)), at(0));
            }
        }
        brain
    }

    #[test]
    fn the_four_measures_follow_from_settlements() {
        use Outcome::{Failed, Succeeded, TimedOut};
        let brain = brain(&[
            ("web", 0, &[(Succeeded, 10)]),
            // Red, then green at the same commit: a failure, restored after 30 minutes.
            ("web", 60, &[(Failed, 70), (Succeeded, 100)]),
            // Red, and never green itself: the next one restores after 60.
            ("web", 200, &[(Failed, 240)]),
            ("web", 280, &[(Succeeded, 300)]),
            ("web", 400, &[(TimedOut, 460)]),
            // Not settled, of another app, and of another day.
            ("web", 500, &[]),
            ("db", 0, &[(Succeeded, 5)]),
            ("web", 3000, &[(Succeeded, 3010)]),
        ]);
        let filter = StatisticsFilter::new(at(0), at(1440));
        let all = brain.statistics(&filter);
        let apps: Vec<_> = all.iter().map(|one| one.app.as_deref().unwrap()).collect();
        assert_eq!(apps, ["db", "web"]);
        let web = &all[1];
        assert_eq!((web.succeeded, web.failed, web.timed_out), (2, 2, 1));
        assert!((web.deployments_per_day - 2.0).abs() < 1e-9);
        // 10, 20 and 40 minutes to the first success.
        assert_eq!(web.lead_time_seconds, Some(Quantiles { p50: 1200, p90: 2400 }));
        // Two of four that were decided.
        assert!((web.change_failure_rate.unwrap() - 0.5).abs() < 1e-9);
        assert_eq!(web.time_to_restore_seconds, Some(Quantiles { p50: 1800, p90: 3600 }));
        let days = web.days.iter().map(|day| (day.date, day.succeeded, day.failed, day.timed_out));
        assert_eq!(days.collect::<Vec<_>>(), [(at(0).date_naive(), 2, 2, 1)]);
        let of_half_a_day = &brain.statistics(&StatisticsFilter::new(at(0), at(720)))[1];
        assert!((of_half_a_day.deployments_per_day - 4.0).abs() < 1e-9);

        let mut of_db = filter.clone();
        of_db.app = Some("db".to_owned());
        let apps = brain.statistics(&of_db).into_iter().map(|one| one.app);
        assert_eq!(apps.collect::<Vec<_>>(), [Some("db".to_owned())]);
        let mut elsewhere = filter;
        elsewhere.environment = Some("staging".parse().unwrap());
        assert!(brain.statistics(&elsewhere).is_empty());
    }

    #[test]
    fn what_succeeds_at_the_instant_of_a_failure_does_not_restore_it() {
        let rollouts: [Told; 3] = [
            ("web", 0, &[(Outcome::Failed, 10)]),
            ("web", 0, &[(Outcome::Succeeded, 10)]),
            ("web", 0, &[(Outcome::Succeeded, 40)]),
        ];
        let web = brain(&rollouts).statistics(&StatisticsFilter::new(at(0), at(60)));
        let restored = web.first().and_then(|one| one.time_to_restore_seconds);
        assert_eq!(restored, Some(Quantiles { p50: 1800, p90: 1800 }));
    }

    #[test]
    fn nothing_is_divided_by_nothing() {
        let brain = brain(&[("", 0, &[(Outcome::TimedOut, 10)])]);
        let only = brain.statistics(&StatisticsFilter::new(at(0), at(60)))[0].clone();
        assert_eq!((only.app, only.change_failure_rate), (None, None));
        assert_eq!((only.lead_time_seconds, only.time_to_restore_seconds), (None, None));
        assert!(brain.statistics(&StatisticsFilter::new(at(60), at(0))).is_empty());
        // The window ends before its end.
        let timed_out = |from, to| {
            let all = brain.statistics(&StatisticsFilter::new(at(from), at(to)));
            all.first().map_or(0, |one| one.timed_out)
        };
        assert_eq!((timed_out(0, 10), timed_out(10, 60), timed_out(11, 60)), (0, 1, 0));
    }
}
