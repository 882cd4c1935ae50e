//! Dead letters: the `x-death` history that a message carries, and whether it runs in a circle.
//!
//! Wording, order and counting are those of RabbitMQ 3.13: one entry per queue and reason, the newest first; client
//! headers count as history. Entries this room does not change keep their octets.

use model::{Table, Value};

/// One death of a message.
#[derive(Clone, Copy, Debug)]
pub struct Death<'a> {
    /// Queue it died in.
    pub queue: &'a str,
    /// `rejected`, `expired`, `maxlen` or `delivery_limit`.
    pub reason: &'a str,
    /// Seconds since the Unix epoch.
    pub time: u64,
    /// Exchange it had been published to.
    pub exchange: &'a [u8],
    /// Routing key it had been published with.
    pub routing_key: &'a [u8],
}

/// A message as it goes on from its death.
#[derive(Clone, Debug, PartialEq)]
pub struct DeadLetter {
    /// Property flags and list, with the history and without expiration.
    pub properties: Vec<u8>,
    /// The headers in `properties`.
    pub headers: Table,
    /// Keys to route by: the key given, or the original one and those of CC.
    pub keys: Vec<Vec<u8>>,
}

/// Writes one death into a message's properties. `key` replaces the routing key and then CC is dropped.
pub fn dead_letter(properties: &[u8], death: &Death<'_>, key: Option<&[u8]>) -> DeadLetter {
    let decoded = wire::Properties::decode(properties).unwrap_or_default();
    let mut headers = decoded.headers.unwrap_or_default();
    let copies = carbon_copies(&headers);
    write_history(
        &mut headers,
        entry(death, &copies, decoded.expiration.as_deref()),
        death,
    );
    let mut keys = vec![key.unwrap_or(death.routing_key).to_vec()];
    match key {
        Some(_) => drop(headers.remove("CC")),
        None => keys.extend(copies),
    }
    let headers = headers.sorted();
    let mut octets = Vec::new();
    let properties = match wire::encode_table(&headers, &mut octets) {
        Ok(()) => wire::with_headers_replaced(properties, Some(&octets)),
        // Only headers that could not have come in cannot go out.
        Err(_) => properties.to_vec(),
    };
    DeadLetter {
        properties: wire::with_expiration_replaced(&properties, None),
        headers,
        keys,
    }
}

fn carbon_copies(headers: &Table) -> Vec<Vec<u8>> {
    match headers.get("CC") {
        Some(Value::Array(values)) => values.iter().filter_map(octets).collect(),
        _ => Vec::new(),
    }
}

fn octets(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::LongStr(octets) => Some(octets.clone()),
        _ => None,
    }
}

fn entry(death: &Death<'_>, copies: &[Vec<u8>], expiration: Option<&str>) -> Table {
    let keys = std::iter::once(death.routing_key.to_vec()).chain(copies.iter().cloned());
    let mut entry = Table::from([
        ("count", Value::I64(1)),
        ("reason", death.reason.into()),
        ("queue", death.queue.into()),
        ("time", Value::Timestamp(death.time)),
        ("exchange", Value::LongStr(death.exchange.to_vec())),
        ("routing-keys", Value::Array(keys.map(Value::LongStr).collect())),
    ]);
    if let Some(expiration) = expiration {
        entry.set("original-expiration", expiration.into());
    }
    entry
}

fn write_history(headers: &mut Table, entry: Table, death: &Death<'_>) {
    let history = match headers.get("x-death") {
        Some(Value::Array(entries)) => updated(entries, entry, death),
        _ => {
            headers.set("x-first-death-reason", death.reason.into());
            headers.set("x-first-death-queue", death.queue.into());
            headers.set("x-first-death-exchange", Value::LongStr(death.exchange.to_vec()));
            vec![Value::Table(entry)]
        }
    };
    headers.set("x-last-death-reason", death.reason.into());
    headers.set("x-last-death-queue", death.queue.into());
    headers.set("x-last-death-exchange", Value::LongStr(death.exchange.to_vec()));
    headers.set("x-death", Value::Array(history));
}

/// The entry of this queue and reason moves to the front and counts on; a new one starts at 1.
fn updated(entries: &[Value], entry: Table, death: &Death<'_>) -> Vec<Value> {
    let is_same =
        |value: &Value| text(value, "queue") == Some(death.queue) && text(value, "reason") == Some(death.reason);
    let (same, others): (Vec<&Value>, Vec<&Value>) = entries.iter().partition(|value| is_same(value));
    let front = match same.first() {
        Some(Value::Table(known)) => counted_on(known, &same),
        _ => entry,
    };
    std::iter::once(Value::Table(front))
        .chain(others.into_iter().cloned())
        .collect()
}

fn counted_on(known: &Table, same: &[&Value]) -> Table {
    let count = |value: &&Value| match value {
        Value::Table(table) => table.get("count").and_then(Value::as_integer).unwrap_or(1),
        _ => 0,
    };
    let before: i128 = same.iter().map(count).sum();
    let mut table = known.clone();
    table.set(
        "count",
        Value::I64(i64::try_from(before.saturating_add(1)).unwrap_or(i64::MAX)),
    );
    table
}

fn text<'a>(entry: &'a Value, key: &str) -> Option<&'a str> {
    match entry {
        Value::Table(table) => table.get(key).and_then(Value::as_text),
        _ => None,
    }
}

/// True if a message with these headers has been in `queue` before and came back without anybody rejecting it:
/// it would run in a circle for ever and is dropped.
pub fn is_cycle(headers: &Table, queue: &str) -> bool {
    let Some(Value::Array(deaths)) = headers.get("x-death") else {
        return false;
    };
    let Some(last_time) = deaths.iter().position(|death| text(death, "queue") == Some(queue)) else {
        return false;
    };
    deaths[..=last_time]
        .iter()
        .all(|death| text(death, "reason") != Some("rejected"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn properties(headers: Table, expiration: Option<&str>) -> Vec<u8> {
        let properties = wire::Properties {
            headers: Some(headers),
            expiration: expiration.map(str::to_owned),
            ..wire::Properties::default()
        };
        properties.encode().unwrap()
    }

    fn death<'a>(queue: &'a str, reason: &'a str) -> Death<'a> {
        Death {
            queue,
            reason,
            time: 7,
            exchange: b"x",
            routing_key: b"k",
        }
    }

    fn deaths(headers: &Table) -> Vec<(String, String, i128)> {
        let Some(Value::Array(entries)) = headers.get("x-death") else {
            return Vec::new();
        };
        let one = |value: &Value| {
            let Value::Table(table) = value else { panic!("no table") };
            let text = |key| table.get(key).and_then(Value::as_text).unwrap().to_owned();
            (
                text("queue"),
                text("reason"),
                table.get("count").and_then(Value::as_integer).unwrap(),
            )
        };
        entries.iter().map(one).collect()
    }

    #[test]
    fn the_first_death_is_told_in_full_and_expiration_goes_into_history() {
        let dead = dead_letter(&properties(Table::default(), Some("100")), &death("q", "expired"), None);
        let Some(Value::Array(entries)) = dead.headers.get("x-death") else {
            panic!("no history")
        };
        let keys = match &entries[0] {
            Value::Table(entry) => entry.0.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(),
            _ => panic!("no table"),
        };
        assert_eq!(
            keys,
            [
                "count",
                "reason",
                "queue",
                "time",
                "exchange",
                "routing-keys",
                "original-expiration"
            ]
        );
        assert_eq!(dead.headers.get("x-first-death-queue"), Some(&"q".into()));
        assert_eq!(wire::Properties::decode(&dead.properties).unwrap().expiration, None);
        assert_eq!(dead.keys, [b"k".to_vec()]);
    }

    #[test]
    fn the_same_death_counts_on_and_moves_to_the_front() {
        let first = dead_letter(&properties(Table::default(), None), &death("a", "expired"), None);
        let second = dead_letter(&first.properties, &death("b", "expired"), None);
        let third = dead_letter(&second.properties, &death("a", "expired"), None);
        assert_eq!(
            deaths(&third.headers),
            [("a".into(), "expired".into(), 2), ("b".into(), "expired".into(), 1)]
        );
        assert_eq!(third.headers.get("x-first-death-queue"), Some(&"a".into()));
    }

    #[test]
    fn an_explicit_key_drops_cc_and_without_one_cc_still_counts() {
        let copies = Table::from([("CC", Value::Array(vec!["c".into()]))]);
        let kept = dead_letter(&properties(copies.clone(), None), &death("q", "maxlen"), None);
        assert_eq!(kept.keys, [b"k".to_vec(), b"c".to_vec()]);
        let dropped = dead_letter(&properties(copies, None), &death("q", "maxlen"), Some(b"dl"));
        assert_eq!(dropped.keys, [b"dl".to_vec()]);
        assert_eq!(dropped.headers.get("CC"), None);
    }

    #[test]
    fn a_circle_without_a_rejection_is_a_cycle() {
        let first = dead_letter(&properties(Table::default(), None), &death("a", "expired"), None);
        assert!(is_cycle(&first.headers, "a"));
        assert!(!is_cycle(&first.headers, "b"));
        let rejected = dead_letter(&first.properties, &death("b", "rejected"), None);
        assert!(!is_cycle(&rejected.headers, "a"), "somebody chose this");
    }
}
