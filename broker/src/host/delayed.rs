//! Messages that delayed exchanges hold until their time, in memory and within bounds, by next deadline.
//!
//! They go when their exchange, its virtual host or the process goes. A message is not looked at before its time.

use model::{Millis, Table, Value, VhostName};
use parking_lot::Mutex;
use session::Publication;
use std::collections::BTreeMap;

use super::{keepers::Home, stored::Stored};

/// Messages that may wait on one node.
pub const MESSAGES_MAX: usize = 500_000;
/// Octets that may wait on one node.
pub const BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Longer delays are none, as in the plugin that users know: 2^32 - 1 ms, 49 days.
const DELAY_MS_MAX: u64 = u32::MAX as u64;
/// The header that asks for a delay.
const HEADER: &str = "x-delay";

/// When a message is due, and its number among those of the same time.
type Ticket = (Millis, u64);

/// No room for one more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{messages} delayed messages of {bytes} bytes wait on this node, at most {MESSAGES_MAX} messages and {BYTES_MAX} bytes can"
)]
pub struct Full {
    messages: usize,
    bytes: u64,
}

/// All messages that wait on this node.
#[derive(Debug, Default)]
pub struct Delayed(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    /// Exchanges by their first message.
    agenda: BTreeMap<Ticket, Home>,
    exchanges: BTreeMap<Home, BTreeMap<Ticket, Stored>>,
    messages: usize,
    bytes: u64,
    numbers: u64,
}

impl Delayed {
    /// An exchange begins.
    pub fn open(&self, home: Home) {
        self.0.lock().exchanges.entry(home).or_default();
    }

    /// An exchange ends, and its messages with it.
    pub fn close(&self, home: &Home) {
        self.0.lock().close(home);
    }

    /// A virtual host ends.
    pub fn close_vhost(&self, vhost: &VhostName) {
        let mut waiting = self.0.lock();
        let homes = waiting.exchanges.keys().filter(|home| home.vhost == *vhost);
        let homes: Vec<Home> = homes.cloned().collect();
        homes.iter().for_each(|home| waiting.close(home));
    }

    /// Holds a message; true if it is now the first of all. A message for an exchange that is gone is gone too.
    pub fn hold(&self, home: &Home, at: Millis, stored: Stored) -> Result<bool, Full> {
        let mut waiting = self.0.lock();
        if waiting.messages >= MESSAGES_MAX || waiting.bytes + stored.bytes() > BYTES_MAX {
            return Err(Full {
                messages: waiting.messages,
                bytes: waiting.bytes,
            });
        }
        Ok(waiting.enter(home, at, stored))
    }

    /// The next message whose time has come, with its exchange.
    pub fn take_due(&self, now: Millis) -> Option<(Home, Stored)> {
        self.0.lock().take_due(now)
    }

    /// When the next message is due.
    pub fn next(&self) -> Option<Millis> {
        self.0.lock().agenda.first_key_value().map(|((at, _), _)| *at)
    }
}

impl Waiting {
    fn enter(&mut self, home: &Home, at: Millis, stored: Stored) -> bool {
        let ticket = (at, self.numbers);
        let Some(own) = self.exchanges.get_mut(home) else {
            return false;
        };
        let first = own.first_key_value().map(|(ticket, _)| *ticket);
        self.numbers += 1;
        self.messages += 1;
        self.bytes += stored.bytes();
        own.insert(ticket, stored);
        if first.is_none_or(|first| ticket < first) {
            first.and_then(|first| self.agenda.remove(&first));
            self.agenda.insert(ticket, home.clone());
        }
        self.agenda.first_key_value().is_some_and(|(first, _)| *first == ticket)
    }

    fn take_due(&mut self, now: Millis) -> Option<(Home, Stored)> {
        let first = self.agenda.first_entry().filter(|entry| entry.key().0 <= now)?;
        let (ticket, home) = first.remove_entry();
        let own = self.exchanges.get_mut(&home)?;
        let stored = own.remove(&ticket)?;
        if let Some((next, _)) = own.first_key_value() {
            self.agenda.insert(*next, home.clone());
        }
        self.messages -= 1;
        self.bytes -= stored.bytes();
        Some((home, stored))
    }

    fn close(&mut self, home: &Home) {
        let Some(own) = self.exchanges.remove(home) else {
            return;
        };
        if let Some((first, _)) = own.first_key_value() {
            self.agenda.remove(first);
        }
        self.messages -= own.len();
        self.bytes -= own.values().map(Stored::bytes).sum::<u64>();
    }
}

/// How long a message is to be held, in milliseconds; `None` = not at all. Numbers may come as text.
pub fn delay_ms(headers: &Table) -> Option<u64> {
    let asked = match headers.get(HEADER)? {
        Value::F32(number) => i128::from(*number as i64),
        Value::F64(number) => i128::from(*number as i64),
        value => value.as_integer().or_else(|| value.as_text()?.parse().ok())?,
    };
    u64::try_from(asked)
        .ok()
        .filter(|delay| (1..=DELAY_MS_MAX).contains(delay))
}

/// A copy to hold: its header is negative, so that no exchange holds it again and consumers see that it was held.
pub fn turned(publication: &Publication<'_>, delay_ms: u64) -> Stored {
    let negative = -(delay_ms.min(DELAY_MS_MAX) as i64);
    let negative = i32::try_from(negative).map_or(Value::I64(negative), Value::I32);
    // Not `publication.headers`: those are the headers as sent, with BCC.
    let properties = wire::Properties::decode(publication.properties).unwrap_or_default();
    let mut headers = properties.headers.unwrap_or_default();
    for (_, value) in headers.0.iter_mut().filter(|(key, _)| key == HEADER) {
        *value = negative.clone();
    }
    let mut raw = Vec::new();
    // A table that came in goes out again; if it did not, no headers are better than a message held for ever.
    let raw = wire::encode_table(&headers, &mut raw).is_ok().then_some(raw);
    Stored::keep(&Publication {
        properties: &wire::with_headers_replaced(publication.properties, raw.as_deref()),
        headers: None,
        mandatory: false,
        fault: None,
        ..*publication
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home(exchange: &str) -> Home {
        Home {
            vhost: "/".parse().unwrap(),
            exchange: exchange.parse().unwrap(),
        }
    }

    fn message(body: &[u8]) -> Stored {
        Stored::keep(&publication(body, &[0, 0]))
    }

    fn publication<'a>(body: &'a [u8], properties: &'a [u8]) -> Publication<'a> {
        Publication {
            exchange: b"x",
            routing_key: b"k",
            mandatory: true,
            properties,
            headers: None,
            extra_keys: &[],
            body,
            persistent: false,
            priority: 3,
            ttl: Some(Millis(9)),
            fault: None,
        }
    }

    fn take_all(delayed: &Delayed, now: u64) -> String {
        let taken = std::iter::from_fn(|| delayed.take_due(Millis(now)));
        taken
            .map(|(_, stored)| String::from_utf8(stored.publication().body.to_vec()).unwrap())
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn messages_come_by_time_and_those_of_one_time_in_the_order_in_which_they_came() {
        let delayed = Delayed::default();
        delayed.open(home("a"));
        delayed.open(home("b"));
        let firsts = [
            ("a", 50, "1"),
            ("b", 20, "2"),
            ("a", 20, "3"),
            ("a", 60, "4"),
            ("b", 20, "5"),
        ]
        .map(|(at, time, body)| delayed.hold(&home(at), Millis(time), message(body.as_bytes())).unwrap());
        assert_eq!(firsts, [true, true, false, false, false]);
        assert_eq!(take_all(&delayed, 19), "");
        assert_eq!(take_all(&delayed, 20), "2 3 5");
        assert_eq!(delayed.next(), Some(Millis(50)));
        assert_eq!(take_all(&delayed, 60), "1 4");
        assert_eq!(delayed.next(), None);
        assert_eq!(delayed.0.lock().bytes, 0);
    }

    #[test]
    fn messages_go_with_their_exchange_and_their_virtual_host() {
        let delayed = Delayed::default();
        for name in ["a", "b"] {
            delayed.open(home(name));
            delayed.hold(&home(name), Millis(1), message(name.as_bytes())).unwrap();
        }
        delayed.close(&home("a"));
        assert!(!delayed.hold(&home("a"), Millis(0), message(b"late")).unwrap());
        assert_eq!(take_all(&delayed, 0), "");
        delayed.close_vhost(&"/".parse().unwrap());
        assert_eq!(delayed.next(), None);
        let waiting = delayed.0.lock();
        assert_eq!((waiting.messages, waiting.bytes), (0, 0));
    }

    #[test]
    fn what_finds_no_room_is_refused_and_leaves_what_waits_alone() {
        let delayed = Delayed::default();
        delayed.open(home("a"));
        delayed.0.lock().messages = MESSAGES_MAX;
        let full = delayed.hold(&home("a"), Millis(1), message(b"m")).unwrap_err();
        assert_eq!(
            full,
            Full {
                messages: MESSAGES_MAX,
                bytes: 0
            }
        );
        *delayed.0.lock() = Waiting {
            bytes: BYTES_MAX - 1,
            ..Waiting::default()
        };
        assert!(delayed.hold(&home("a"), Millis(1), message(b"m")).is_err());
    }

    #[test]
    fn a_delay_is_a_positive_number_of_at_most_49_days() {
        for (value, delay) in [
            (Value::I32(1), Some(1)),
            (Value::U8(200), Some(200)),
            (Value::I64(4_294_967_295), Some(4_294_967_295)),
            (Value::I64(4_294_967_296), None),
            (Value::I32(0), None),
            (Value::I32(-5), None),
            (Value::from("250"), Some(250)),
            (Value::from("soon"), None),
            (Value::F64(1.9), Some(1)),
            (Value::Bool(true), None),
        ] {
            assert_eq!(delay_ms(&Table::from([("x-delay", value.clone())])), delay, "{value:?}");
        }
        assert_eq!(delay_ms(&Table::default()), None);
    }

    #[test]
    fn a_held_message_has_its_delay_negative_and_all_else_as_it_was() {
        let headers = |delay| Table::from([("a", Value::I32(1)), ("x-delay", delay), ("z", Value::Void)]);
        let encoded = |delay| {
            let headers = Some(headers(delay));
            let properties = wire::Properties {
                headers,
                priority: Some(3),
                ..wire::Properties::default()
            };
            properties.encode().unwrap()
        };
        for (asked, held) in [(700, Value::I32(-700)), (4_000_000_000, Value::I64(-4_000_000_000))] {
            let properties = encoded(Value::I64(asked));
            let stored = turned(&publication(b"m", &properties), asked as u64);
            let held_as = stored.publication();
            assert_eq!(held_as.properties, encoded(held));
            assert_eq!(
                (held_as.priority, held_as.ttl, held_as.mandatory),
                (3, Some(Millis(9)), false)
            );
        }
    }
}
