//! notification-controller and the way to the brain.

use std::collections::BTreeMap;

use crate::{random::Random, simulator::flux::Event};

/// The interval of notification-controller's rate limiter.
const LIMIT: i64 = 300;

#[derive(Debug)]
pub(super) struct Network {
    /// 1.8.0 to 1.8.3 drop the events of successes, and so does a controller that was told to.
    pub(super) sends_successes: bool,
    loses: usize,
    last_sent: BTreeMap<(String, Option<usize>), i64>,
    /// Before then everything that is sent is lost.
    down_until: i64,
}

impl Network {
    /// Whether all that is sent arrives.
    pub(super) fn is_sure(&self) -> bool {
        self.loses == 0
    }

    pub(super) fn new(random: &mut Random, is_sure: bool) -> Self {
        let loses = if is_sure || random.percent(50) { 0 } else { 1 + random.below(25) };
        Self {
            sends_successes: is_sure || random.percent(80),
            loses,
            last_sent: BTreeMap::new(),
            down_until: 0,
        }
    }

    /// It forgets what it sent.
    pub(super) fn restart(&mut self) {
        self.last_sent.clear();
    }

    /// After how long an event arrives: never, once, or more often.
    pub(super) fn send(
        &mut self,
        event: &Event,
        now: i64,
        quiet: bool,
        random: &mut Random,
    ) -> Vec<i64> {
        if event.is_success && !self.sends_successes {
            return Vec::new();
        }
        // `event_server.go`: the same words on the same object and revision, once in five minutes.
        let key = (format!("{} {}", event.name, event.message), event.revision);
        if self.last_sent.get(&key).is_some_and(|sent| now - sent < LIMIT) {
            return Vec::new();
        }
        self.last_sent.insert(key, now);
        if !quiet {
            if self.loses > 0 && random.percent(2) {
                // The receiver is away, longer than is tried.
                self.down_until = now + 20 + random.below(300) as i64;
            }
            if now < self.down_until || random.percent(self.loses) {
                return Vec::new();
            }
        }
        let copies = 1 + usize::from(random.percent(8));
        (0..copies)
            .map(|_| match random.below(100) {
                0..70 => 0,
                70..90 => 1 + random.below(2) as i64,
                _ => random.below(15) as i64,
            })
            .collect()
    }
}
