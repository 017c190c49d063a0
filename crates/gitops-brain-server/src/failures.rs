//! Failed authentication, counted by address: whoever guesses is not listened to for long, and cannot
//! fill the log.
//!
//! Behind an ingress all have one address, so a right signature or token is never kept waiting: only
//! failures are answered otherwise.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// How many failures of one address are answered as such within [`WINDOW`]. Whoever changes a key makes
/// a few; Flux sends each event up to four times more.
pub(crate) const MAX_FAILURES: u32 = 60;

/// For how long they are counted.
pub(crate) const WINDOW: Duration = Duration::from_mins(1);

/// The most addresses that are counted; all beyond are counted as one.
const MAX_ADDRESSES: usize = 10_000;

#[derive(Debug, Default)]
pub(crate) struct Failures(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    by_address: HashMap<IpAddr, (Instant, u32)>,
    /// When those whose time is over were last dropped. It is not done for each new address.
    swept: Option<Instant>,
}

/// What is to be done about one more failure.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Failure {
    /// It is answered, and logged.
    Counted,
    /// It is the first one too many: logged, and refused.
    Last,
    /// It is refused.
    TooMany,
}

impl Failures {
    /// Counts one more.
    pub(crate) fn count(&self, address: IpAddr, now: Instant) -> Failure {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Counts { by_address, swept } = &mut *counts;
        if by_address.len() >= MAX_ADDRESSES
            && swept.is_none_or(|swept| now.duration_since(swept) >= WINDOW)
        {
            by_address.retain(|_, (begun, _)| now.duration_since(*begun) < WINDOW);
            *swept = Some(now);
        }
        let is_full = by_address.len() >= MAX_ADDRESSES && !by_address.contains_key(&address);
        let address = if is_full { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { address };
        let (begun, count) = by_address.entry(address).or_insert((now, 0));
        if now.duration_since(*begun) >= WINDOW {
            (*begun, *count) = (now, 0);
        }
        *count = count.saturating_add(1);
        match (*count).cmp(&(MAX_FAILURES + 1)) {
            std::cmp::Ordering::Less => Failure::Counted,
            std::cmp::Ordering::Equal => Failure::Last,
            std::cmp::Ordering::Greater => Failure::TooMany,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_counted_by_address_and_minute() {
        let failures = Failures::default();
        let (one, other) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let now = Instant::now();
        for _ in 0..MAX_FAILURES {
            assert_eq!(failures.count(one, now), Failure::Counted);
        }
        assert_eq!(failures.count(one, now), Failure::Last);
        assert_eq!(failures.count(one, now), Failure::TooMany);
        assert_eq!(failures.count(other, now), Failure::Counted);
        assert_eq!(failures.count(one, now + WINDOW), Failure::Counted);
    }

    #[test]
    fn addresses_without_end_fill_no_memory() {
        let failures = Failures::default();
        let now = Instant::now();
        let counted = || failures.0.lock().unwrap().by_address.len();
        for address in 1..=100_000_u32 {
            failures.count(IpAddr::from(address.to_be_bytes()), now);
        }
        assert_eq!(counted(), MAX_ADDRESSES + 1, "all beyond are counted as one");
        failures.count(IpAddr::from([255; 4]), now + WINDOW);
        assert_eq!(counted(), 1);
    }
}
