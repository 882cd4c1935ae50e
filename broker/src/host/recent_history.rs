//! The last messages of `x-recent-history` exchanges, for queues that are bound later. In memory, within bounds.
//!
//! A history goes when its exchange, its virtual host or the process goes.

use model::{Table, Value, VhostName};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use super::{keepers::Home, stored::Stored};

/// Octets of one history: above this the oldest are forgotten, whatever its length.
const BYTES_MAX: u64 = 64 * 1024 * 1024;

/// The histories of this node.
#[derive(Debug, Default)]
pub struct Histories(Mutex<BTreeMap<Home, History>>);

#[derive(Debug)]
struct History {
    length: u64,
    bytes: u64,
    messages: VecDeque<Arc<Stored>>,
}

impl Histories {
    /// An exchange begins that keeps `length` messages.
    pub fn open(&self, home: Home, length: u64) {
        let empty = History {
            length,
            bytes: 0,
            messages: VecDeque::new(),
        };
        self.0.lock().entry(home).or_insert(empty);
    }

    /// An exchange ends.
    pub fn close(&self, home: &Home) {
        self.0.lock().remove(home);
    }

    /// A virtual host ends.
    pub fn close_vhost(&self, vhost: &VhostName) {
        self.0.lock().retain(|home, _| home.vhost != *vhost);
    }

    /// A message passed. One for an exchange that is gone is forgotten.
    pub fn remember(&self, home: &Home, stored: Stored) {
        if let Some(history) = self.0.lock().get_mut(home) {
            history.push(Arc::new(stored));
        }
    }

    /// The messages of an exchange, oldest first.
    pub fn of(&self, home: &Home) -> Vec<Arc<Stored>> {
        let histories = self.0.lock();
        let messages = histories.get(home).map(|history| &history.messages);
        messages.into_iter().flatten().cloned().collect()
    }
}

impl History {
    fn push(&mut self, stored: Arc<Stored>) {
        self.bytes += stored.bytes();
        self.messages.push_back(stored);
        while self.messages.len() as u64 > self.length || self.bytes > BYTES_MAX {
            let Some(oldest) = self.messages.pop_front() else {
                return;
            };
            self.bytes -= oldest.bytes();
        }
    }
}

/// False if the message asks not to be remembered.
pub fn is_remembered(headers: &Table) -> bool {
    headers.get("x-recent-history-no-store") != Some(&Value::Bool(true))
}

#[cfg(test)]
mod tests {
    use super::*;
    use session::Publication;

    fn stored(body: &[u8]) -> Stored {
        Stored::keep(&Publication {
            exchange: b"x",
            routing_key: b"k",
            mandatory: false,
            properties: &[0, 0],
            headers: None,
            extra_keys: &[],
            body,
            persistent: false,
            priority: 0,
            ttl: None,
            fault: None,
        })
    }

    fn home() -> Home {
        Home {
            vhost: "/".parse().unwrap(),
            exchange: "x".parse().unwrap(),
        }
    }

    fn lengths(histories: &Histories) -> Vec<usize> {
        let all = histories.of(&home());
        all.iter().map(|stored| stored.publication().body.len()).collect()
    }

    #[test]
    fn the_last_messages_are_kept_oldest_first() {
        let histories = Histories::default();
        histories.open(home(), 3);
        for length in 1..=5 {
            histories.remember(&home(), stored(&vec![0; length]));
        }
        assert_eq!(lengths(&histories), [3, 4, 5]);
        histories.close_vhost(&"/".parse().unwrap());
        histories.remember(&home(), stored(b"late"));
        assert_eq!(lengths(&histories), [0; 0]);
    }

    #[test]
    fn large_messages_push_out_the_oldest_before_the_length_does() {
        let histories = Histories::default();
        histories.open(home(), 20);
        let large = BYTES_MAX as usize / 2;
        for length in [1, large, large - 500] {
            histories.remember(&home(), stored(&vec![0; length]));
        }
        assert_eq!(lengths(&histories), [large, large - 500]);
        histories.remember(&home(), stored(&vec![0; BYTES_MAX as usize + 1]));
        assert_eq!(lengths(&histories), [0; 0]);
    }

    #[test]
    fn only_a_true_header_keeps_a_message_out() {
        for (value, remembered) in [
            (Value::Bool(true), false),
            (Value::Bool(false), true),
            (Value::from("true"), true),
        ] {
            let headers = Table::from([("x-recent-history-no-store", value)]);
            assert_eq!(is_remembered(&headers), remembered);
        }
        assert!(is_remembered(&Table::default()));
    }
}
