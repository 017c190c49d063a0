//! An environment's last 30 days, as a page shows them: a bar for each day, and the four measures of
//! each app.

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use gitops_brain::{Brain, Day, EnvironmentName, Quantiles, Statistics, StatisticsFilter};

use crate::statistics::WINDOW;

/// The size of the drawing, in its own units: a day is 8 wide.
const DAY_WIDTH: i64 = 8;
const HEIGHT: u32 = 40;

/// What a page shows of an environment's last days.
#[derive(Debug)]
pub(crate) struct Measures {
    pub(crate) width: i64,
    pub(crate) height: u32,
    /// The drawing in words.
    pub(crate) label: String,
    pub(crate) bars: Vec<Bar>,
    pub(crate) apps: Vec<App>,
}

/// A part of a day's bar.
#[derive(Debug)]
pub(crate) struct Bar {
    pub(crate) mood: &'static str,
    pub(crate) x: i64,
    pub(crate) y: u32,
    pub(crate) height: u32,
    pub(crate) title: String,
}

/// The measures of one app.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) name: String,
    pub(crate) deployments: String,
    pub(crate) lead_time: String,
    pub(crate) failure_rate: String,
    pub(crate) time_to_restore: String,
}

/// The last days, today included, of all environments: what each one's measures are made of.
#[derive(Debug)]
pub(crate) struct Recent {
    first: NaiveDate,
    statistics: Vec<Statistics>,
}

impl Recent {
    pub(crate) fn of(brain: &Brain, now: DateTime<Utc>) -> Self {
        let first = (now - WINDOW + TimeDelta::days(1)).date_naive();
        let since = first.and_time(NaiveTime::MIN).and_utc();
        let filter = StatisticsFilter::new(since, now + TimeDelta::seconds(1));
        Self { first, statistics: brain.statistics(&filter) }
    }

    /// Nothing, if nothing settled there.
    pub(crate) fn measures(&self, environment: &EnvironmentName) -> Option<Measures> {
        let first = self.first;
        let is_of = |one: &&Statistics| one.environment == *environment;
        let statistics: Vec<_> = self.statistics.iter().filter(is_of).collect();
        if statistics.is_empty() {
            return None;
        }
        let mut days: Vec<Option<(u32, u32)>> =
            vec![None; usize::try_from(WINDOW.num_days()).unwrap_or(0)];
        for Day { date, succeeded, failed, timed_out, .. } in
            statistics.iter().flat_map(|one| &one.days)
        {
            let place = usize::try_from((*date - first).num_days()).ok();
            if let Some(day) = place.and_then(|place| days.get_mut(place)) {
                let (good, bad) = day.unwrap_or_default();
                *day = Some((good + succeeded, bad + failed + timed_out));
            }
        }
        let most = days.iter().flatten().map(|(good, bad)| good + bad).max().unwrap_or(1).max(1);
        let scale = |count: u32| (count * HEIGHT).div_ceil(most).min(HEIGHT);
        let mut bars = Vec::new();
        for (x, day) in (0..).step_by(DAY_WIDTH as usize).zip(&days) {
            let Some((good, bad)) = *day else { continue };
            let date = first + TimeDelta::days(x / DAY_WIDTH);
            let title = format!("{date}: {good} succeeded, {bad} not");
            let bottom = scale(bad);
            let top = scale(good).min(HEIGHT - bottom);
            let bar = |mood, y, height| Bar { mood, x, y, height, title: title.clone() };
            bars.push(bar("failed", HEIGHT - bottom, bottom));
            bars.push(bar("healthy", HEIGHT - bottom - top, top));
        }
        bars.retain(|bar| bar.height > 0);
        let (good, bad) = days
            .iter()
            .flatten()
            .fold((0, 0), |(good, bad), (more, worse)| (good + more, bad + worse));
        Some(Measures {
            width: WINDOW.num_days() * DAY_WIDTH,
            height: HEIGHT,
            label: format!("Rollouts by day since {first}: {good} succeeded, {bad} did not"),
            bars,
            apps: statistics.into_iter().map(App::of).collect(),
        })
    }
}

impl App {
    fn of(statistics: &Statistics) -> Self {
        let rate = statistics.change_failure_rate;
        Self {
            name: statistics.app.clone().unwrap_or_else(|| "no app named".to_owned()),
            deployments: statistics.succeeded.to_string(),
            lead_time: median(statistics.lead_time_seconds),
            failure_rate: rate.map_or("–".to_owned(), |rate| format!("{:.0} %", rate * 100.0)),
            time_to_restore: median(statistics.time_to_restore_seconds),
        }
    }
}

fn median(quantiles: Option<Quantiles>) -> String {
    match quantiles.map(|quantiles| quantiles.p50) {
        None => "–".to_owned(),
        Some(seconds @ 0..120) => format!("{seconds} s"),
        Some(seconds @ 120..7_200) => format!("{} min", seconds / 60),
        Some(seconds @ 7_200..172_800) => format!("{} h", seconds / 3_600),
        Some(seconds) => format!("{} days", seconds / 86_400),
    }
}
