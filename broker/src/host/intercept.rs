//! Headers that the configuration has the node put into messages of clients: when they came, and who routed them.
//!
//! Nothing is looked at where nothing is configured. A message whose headers would be too long is left as it is.

use model::{Millis, Table, Value};
use session::Publication;

use crate::config::Interceptors;

/// The header with the milliseconds of arrival.
const TIME: &str = "timestamp_in_ms";
/// The header with the node's name.
const NODE: &str = "x-routed-by";

/// The message's properties with what is to be in them.
pub fn marked(wanted: Interceptors, message: &Publication<'_>, now: Millis, node: &str) -> Option<Vec<u8>> {
    let mut properties = wire::Properties::decode(message.properties).ok()?;
    let headers = properties.headers.get_or_insert_default();
    if let Some(overwrite) = wanted.timestamp {
        put(
            headers,
            TIME,
            Value::I64(i64::try_from(now.0).unwrap_or(i64::MAX)),
            overwrite,
        );
        if overwrite || properties.timestamp.is_none() {
            properties.timestamp = Some(now.0 / 1000);
        }
    }
    if let Some(overwrite) = wanted.routing_node {
        put(headers, NODE, Value::from(node), overwrite);
    }
    properties.encode().ok()
}

fn put(headers: &mut Table, key: &str, value: Value, overwrite: bool) {
    match headers.0.iter_mut().find(|(name, _)| name == key) {
        Some((_, there)) if overwrite => *there = value,
        Some(_) => {}
        None => headers.0.push((key.to_owned(), value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(wanted: Interceptors, before: &wire::Properties) -> wire::Properties {
        let properties = before.encode().unwrap();
        let message = Publication {
            exchange: b"",
            routing_key: b"q",
            mandatory: false,
            properties: &properties,
            headers: None,
            extra_keys: &[],
            body: b"",
            persistent: false,
            priority: 0,
            ttl: None,
            fault: None,
        };
        wire::Properties::decode(&marked(wanted, &message, Millis(1_700_000_000_123), "n1").unwrap()).unwrap()
    }

    #[test]
    fn a_message_is_told_when_and_where_it_came_and_what_is_there_stays_unless_it_is_to_be_replaced() {
        let wanted = |overwrite| Interceptors {
            timestamp: Some(overwrite),
            routing_node: Some(overwrite),
        };
        let plain = after(wanted(false), &wire::Properties::default());
        let headers = [(TIME, Value::I64(1_700_000_000_123)), (NODE, Value::from("n1"))];
        assert_eq!(plain.headers, Some(Table::from(headers)));
        assert_eq!(plain.timestamp, Some(1_700_000_000));
        let own = wire::Properties {
            timestamp: Some(5),
            headers: Some(Table::from([(NODE, Value::from("mine")), ("a", Value::Bool(true))])),
            ..wire::Properties::default()
        };
        let kept = after(wanted(false), &own);
        assert_eq!(
            (kept.timestamp, kept.headers.unwrap().get(NODE).cloned()),
            (Some(5), Some(Value::from("mine")))
        );
        let replaced = after(wanted(true), &own);
        assert_eq!(replaced.timestamp, Some(1_700_000_000));
        let headers = replaced.headers.unwrap();
        assert_eq!((headers.get(NODE), headers.0.len()), (Some(&Value::from("n1")), 3));
    }
}
