//! Log-ins that were tried, as administrators count them: from the start, or from when they said so; while that is wanted also
//! by who tried and from where.
//!
//! Prometheus counts on whatever is reset here. Sources are bounded: those that come when there are too many are counted
//! among all and not by themselves. No password comes here.

use parking_lot::Mutex;
use std::{collections::BTreeMap, net::IpAddr};

use super::node::Node;

/// Most sources that are told apart.
const SOURCES_MAX: usize = 10_000;
/// Longest name that is kept of somebody who tried.
const USER_CHARS_MAX: usize = 255;

/// How somebody logs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// Over AMQP.
    Amqp,
    /// With a request to the management API.
    Http,
}

/// How often it was tried to log in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attempts {
    /// With and without success.
    pub tried: u64,
    /// Refused.
    pub failed: u64,
}

/// Who tried.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Source {
    /// From where.
    pub address: IpAddr,
    /// Who that was, as it was said; empty for a certificate that names nobody known.
    pub user: String,
    /// How.
    pub way: Way,
}

/// What is kept beside the counters.
#[derive(Debug, Default)]
pub struct AttemptLog {
    /// What the counters showed when they were reset, by way.
    before: Mutex<[Attempts; 2]>,
    /// By source; none while they are not told apart.
    sources: Mutex<Option<BTreeMap<Source, Attempts>>>,
}

impl Way {
    /// All of them.
    pub const ALL: [Way; 2] = [Way::Amqp, Way::Http];

    /// RabbitMQ's name of it.
    pub fn protocol(self) -> &'static str {
        match self {
            Way::Amqp => "amqp091",
            Way::Http => "http",
        }
    }
}

impl Attempts {
    /// Those that were not refused.
    pub fn succeeded(self) -> u64 {
        self.tried.saturating_sub(self.failed)
    }

    fn add(&mut self, succeeded: bool) {
        self.tried += 1;
        self.failed += u64::from(!succeeded);
    }
}

impl AttemptLog {
    fn note(&self, way: Way, (user, address): (&str, IpAddr), succeeded: bool) {
        let mut sources = self.sources.lock();
        let Some(sources) = &mut *sources else { return };
        let source = Source {
            address,
            user: user.chars().take(USER_CHARS_MAX).collect(),
            way,
        };
        if sources.len() < SOURCES_MAX || sources.contains_key(&source) {
            sources.entry(source).or_default().add(succeeded);
        }
    }

    fn track(&self, wanted: bool) {
        let mut sources = self.sources.lock();
        match wanted {
            true => drop(sources.get_or_insert_default()),
            false => *sources = None,
        }
    }

    fn by_source(&self) -> Vec<(Source, Attempts)> {
        let sources = self.sources.lock();
        let all = sources.iter().flatten();
        all.map(|(source, attempts)| (source.clone(), *attempts)).collect()
    }
}

impl Node {
    /// Somebody tried to log in.
    pub fn note_attempt(&self, way: Way, who: (&str, IpAddr), succeeded: bool) {
        let counters = self.counters();
        let (tried, failed) = match way {
            Way::Amqp => (&counters.logins, &counters.logins_failed),
            Way::Http => (&counters.http_logins, &counters.http_logins_failed),
        };
        tried.add(1);
        failed.add(u64::from(!succeeded));
        self.attempts.note(way, who, succeeded);
    }

    /// Since the start.
    pub fn attempts_ever(&self, way: Way) -> Attempts {
        let counts = self.counters().read();
        let (tried, failed) = match way {
            Way::Amqp => (counts.logins, counts.logins_failed),
            Way::Http => (counts.http_logins, counts.http_logins_failed),
        };
        Attempts { tried, failed }
    }

    /// Since the start or since they were counted anew. Over AMQP, and over HTTP if there were any.
    pub fn auth_attempts(&self) -> Vec<(Way, Attempts)> {
        let before = *self.attempts.before.lock();
        let since = |(way, before): (Way, Attempts)| {
            let ever = self.attempts_ever(way);
            let attempts = Attempts {
                tried: ever.tried.saturating_sub(before.tried),
                failed: ever.failed.saturating_sub(before.failed),
            };
            (way, attempts)
        };
        let all = Way::ALL.into_iter().zip(before).map(since);
        all.filter(|(way, attempts)| *way == Way::Amqp || attempts.tried > 0)
            .collect()
    }

    /// The same by who tried; nothing while that is not tracked.
    pub fn auth_attempts_by_source(&self) -> Vec<(Source, Attempts)> {
        self.attempts.by_source()
    }

    /// From now on it is told apart who tried, or it is no more.
    pub fn track_auth_sources(&self, wanted: bool) {
        self.attempts.track(wanted);
    }

    /// They are counted anew.
    pub fn reset_auth_attempts(&self) {
        *self.attempts.before.lock() = Way::ALL.map(|way| self.attempts_ever(way));
        if let Some(sources) = &mut *self.attempts.sources.lock() {
            sources.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_tried_is_told_apart_while_that_is_wanted_and_bounded() {
        let log = AttemptLog::default();
        let from = IpAddr::from([10, 0, 0, 7]);
        log.note(Way::Amqp, ("guest", from), true);
        assert!(log.by_source().is_empty());
        log.track(true);
        log.note(Way::Amqp, ("guest", from), true);
        log.note(Way::Amqp, ("guest", from), false);
        log.track(true);
        let [(source, attempts)] = &log.by_source()[..] else {
            panic!("one source")
        };
        assert_eq!(
            (source.user.as_str(), attempts.tried, attempts.succeeded()),
            ("guest", 2, 1)
        );
        for number in 0..SOURCES_MAX + 5 {
            log.note(Way::Http, (&number.to_string(), from), false);
        }
        log.note(Way::Amqp, ("guest", from), true);
        let all = log.by_source();
        let of_guest = all.iter().find(|(source, _)| source.user == "guest");
        assert_eq!((all.len(), of_guest.map(|(_, own)| own.tried)), (SOURCES_MAX, Some(3)));
        log.track(false);
        assert!(log.by_source().is_empty());
    }
}
