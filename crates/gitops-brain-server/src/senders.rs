//! How the events of each cluster arrive here: with a clock that goes right, and let in.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, PoisonError},
};

use chrono::{DateTime, TimeDelta, Utc};
use gitops_brain::ClusterName;
use serde::Serialize;

/// How many events a clock is judged by.
const EVENTS: usize = 32;

/// What is noted of each cluster since the start.
#[derive(Debug, Default)]
pub(crate) struct Senders(Mutex<HashMap<ClusterName, Sender>>);

#[derive(Debug, Default)]
struct Sender {
    /// How long before its arrival each of the latest events was made, by the cluster's clock.
    ages: VecDeque<TimeDelta>,
    refused: Option<Refused>,
}

/// Events in a cluster's name that were refused.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Refused {
    pub(crate) count: u64,
    /// Why the latest one was.
    pub(crate) code: &'static str,
    pub(crate) last_at: DateTime<Utc>,
}

/// What is noted of one cluster.
#[derive(Clone, Debug, Default)]
pub(crate) struct Noted {
    /// How far the cluster's clock is behind ours, in seconds; negative where it is ahead. An event is
    /// never older than its way here took, so the youngest of the latest events tells.
    pub(crate) clock_behind_seconds: Option<i64>,
    pub(crate) refused: Option<Refused>,
}

impl Senders {
    /// Notes an event that was let in.
    pub(crate) fn heard(&self, cluster: &ClusterName, made: DateTime<Utc>, arrived: DateTime<Utc>) {
        self.note(cluster, |sender| {
            if sender.ages.len() >= EVENTS {
                sender.ages.pop_front();
            }
            sender.ages.push_back(arrived - made);
        });
    }

    /// Notes an event that was refused.
    pub(crate) fn refused(&self, cluster: &ClusterName, code: &'static str, at: DateTime<Utc>) {
        self.note(cluster, |sender| {
            let count = sender.refused.as_ref().map_or(0, |refused| refused.count);
            sender.refused = Some(Refused { count: count.saturating_add(1), code, last_at: at });
        });
    }

    pub(crate) fn of(&self, cluster: &str) -> Noted {
        let senders = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(sender) = senders.get(cluster) else { return Noted::default() };
        Noted {
            clock_behind_seconds: sender.ages.iter().min().map(TimeDelta::num_seconds),
            refused: sender.refused.clone(),
        }
    }

    fn note(&self, cluster: &ClusterName, note: impl FnOnce(&mut Sender)) {
        let mut senders = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        note(senders.entry(cluster.clone()).or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_judged_by_the_youngest_of_the_latest_events() {
        let senders = Senders::default();
        let cluster: ClusterName = "staging".parse().unwrap();
        let now = DateTime::UNIX_EPOCH + TimeDelta::days(1);
        assert_eq!(senders.of("staging").clock_behind_seconds, None);
        for age in [90, 75, 200] {
            senders.heard(&cluster, now - TimeDelta::seconds(age), now);
        }
        assert_eq!(senders.of("staging").clock_behind_seconds, Some(75));
        senders.heard(&cluster, now + TimeDelta::seconds(20), now);
        assert_eq!(senders.of("staging").clock_behind_seconds, Some(-20));
        for _ in 0..EVENTS {
            senders.heard(&cluster, now, now);
        }
        assert_eq!(senders.of("staging").clock_behind_seconds, Some(0), "it was set right");
        senders.refused(&cluster, "signature.mismatch", now);
        senders.refused(&cluster, "signature.missing", now);
        let refused = senders.of("staging").refused.unwrap();
        assert_eq!((refused.count, refused.code), (2, "signature.missing"));
    }
}
