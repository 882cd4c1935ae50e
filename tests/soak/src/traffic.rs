//! Fast streams of plain messages: publishes with a window of confirms, and deliveries that are counted, checked for order
//! and acked in bulk. What a body says is its number; the rest of it is the same in every message.

use crate::client::{Connection, Content, Event};
use crate::lane::{confirm_of, delivery, properties, within};
use crate::method;
use anyhow::{Result, bail, ensure};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Publishes without a confirm.
const OUTSTANDING: u64 = 1_000;
/// Deliveries without an ack.
const PREFETCH: u16 = 1_000;
/// Deliveries that are acked at once.
const ACKED_AT_ONCE: u64 = 200;
/// Messages that a short queue holds at most.
const SHORT: u64 = 2_000;

/// A stream of messages.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    /// Its queue.
    pub(crate) queue: String,
    /// How many.
    pub(crate) messages: u64,
    /// Octets of each body.
    pub(crate) size: usize,
    /// Delivery mode 2.
    pub(crate) persistent: bool,
    /// Priorities that take turns; 1 for none.
    pub(crate) priorities: u64,
}

impl Stream {
    fn body(&self, number: u64) -> Vec<u8> {
        let mut body = number.to_be_bytes().to_vec();
        body.extend(std::iter::repeat_n(0x5A, self.size.saturating_sub(8)));
        body
    }

    fn priority(&self, number: u64) -> u8 {
        (number % self.priorities) as u8
    }

    fn number(&self, content: &Content) -> Result<u64> {
        let Some((head, rest)) = content.body.split_first_chunk::<8>() else {
            bail!("a body of {} octets", content.body.len());
        };
        let whole = content.body.len() == self.size && rest.iter().all(|octet| *octet == 0x5A);
        ensure!(whole, "a damaged body of {} octets", content.body.len());
        Ok(u64::from_be_bytes(*head))
    }

    /// Publishes all of it and waits for every confirm. With `taken`, no faster than that grows.
    pub(crate) fn publish(&self, port: u16, taken: Option<&AtomicU64>) -> Result<()> {
        let mut connection = Connection::open(port)?;
        connection.open_channel(1)?;
        connection.call(1, method::confirms())?;
        let (mut sent, mut confirmed) = (0, 0);
        while confirmed < self.messages {
            let ahead = taken.is_some_and(|taken| sent > taken.load(Ordering::Relaxed) + SHORT);
            if sent < self.messages && sent - confirmed < OUTSTANDING && !ahead {
                let priority = (self.priorities > 1).then(|| self.priority(sent));
                let properties = properties(self.persistent, priority);
                connection.publish(1, ("", &self.queue), properties, &self.body(sent))?;
                sent += 1;
                continue;
            }
            connection.flush()?;
            if ahead && sent == confirmed {
                std::thread::sleep(Duration::from_micros(200));
                continue;
            }
            match connection.next(within(60_000))?.as_ref().and_then(confirm_of) {
                Some((tag, multiple, true)) => confirmed = if multiple { confirmed.max(tag) } else { confirmed + 1 },
                other => bail!("no confirm within 60 s at {sent} published, {confirmed} confirmed: {other:?}"),
            }
        }
        Ok(())
    }

    /// Takes all of it and acks it; every message once, in order within its priority, higher priorities first if nobody
    /// publishes meanwhile.
    pub(crate) fn drain(&self, port: u16, taken: &AtomicU64) -> Result<()> {
        let mut connection = Connection::open(port)?;
        connection.open_channel(1)?;
        connection.call(1, method::prefetch(PREFETCH))?;
        connection.call(1, method::consume(&self.queue, "drain"))?;
        let mut next: BTreeMap<u8, u64> = (0..self.priorities).map(|first| (first as u8, first)).collect();
        let mut count = 0;
        while count < self.messages {
            let Some(Event::Content(_, content)) = connection.next(within(120_000))? else {
                bail!("nothing comes within 120 s after {count} of {} messages", self.messages);
            };
            let number = self.number(&content)?;
            let expected = next.entry(self.priority(number)).or_default();
            ensure!(
                number == *expected,
                "message {number} where {expected} is next, after {count} messages"
            );
            *expected += self.priorities;
            count += 1;
            if count % ACKED_AT_ONCE == 0 || count == self.messages {
                connection.queue(1, method::ack(delivery(&content.method).0, true));
                connection.flush()?;
                taken.store(count, Ordering::Relaxed);
            }
        }
        let left = connection.call(1, method::ask(&self.queue))?;
        ensure!(
            method::ready_count(&left) == Some(0),
            "more in '{}' than was published: {left:?}",
            self.queue
        );
        Ok(())
    }
}
