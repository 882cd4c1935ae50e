//! Values in headers of events where RabbitMQ prints Erlang's terms: arguments, client properties, addresses.
//!
//! For readers only: nothing is parsed back from here.

use model::{Table, Value};
use std::net::IpAddr;

/// A table as RabbitMQ's events show it: an array of texts, each a pair with its type.
pub(super) fn shown(table: &Table) -> Value {
    let pairs = table.0.iter();
    Value::Array(pairs.map(|(name, value)| triple(name, value).as_str().into()).collect())
}

/// An address as Erlang's tuple of numbers.
pub(super) fn address(address: IpAddr) -> String {
    let parts: Vec<String> = match address {
        IpAddr::V4(four) => four.octets().iter().map(u8::to_string).collect(),
        IpAddr::V6(six) => six.segments().iter().map(u16::to_string).collect(),
    };
    format!("{{{}}}", parts.join(","))
}

/// A text as a list of its characters, which is what some of RabbitMQ's headers hold.
pub(super) fn characters(text: &str) -> Value {
    let characters = text.chars().map(|c| Value::I64(u32::from(c).into()));
    Value::Array(characters.collect())
}

/// A binary.
pub(super) fn binary(octets: &[u8]) -> String {
    let printable = |octet: &u8| matches!(octet, b' '..=b'~' | b'\n' | b'\t' | b'\r');
    match octets {
        [] => "<<>>".to_owned(),
        octets if octets.iter().all(printable) => format!("<<{}>>", quoted(&String::from_utf8_lossy(octets))),
        octets => {
            let numbers: Vec<String> = octets.iter().map(u8::to_string).collect();
            format!("<<{}>>", numbers.join(","))
        }
    }
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn triple(name: &str, value: &Value) -> String {
    format!("{{{},{},{}}}", binary(name.as_bytes()), value.type_name(), plain(value))
}

/// The value without its type. Nothing is deeper than the tables that came in.
fn plain(value: &Value) -> String {
    match value {
        Value::Void => "undefined".to_owned(),
        Value::Bool(on) => on.to_string(),
        Value::F32(number) => format!("{number:?}"),
        Value::F64(number) => format!("{number:?}"),
        Value::Decimal(decimal) => format!("{{{},{}}}", decimal.scale, decimal.value),
        Value::LongStr(octets) | Value::Bytes(octets) => binary(octets),
        Value::Timestamp(seconds) => seconds.to_string(),
        Value::Array(items) => {
            let items = items
                .iter()
                .map(|item| format!("{{{},{}}}", item.type_name(), plain(item)));
            format!("[{}]", items.collect::<Vec<_>>().join(","))
        }
        Value::Table(table) => {
            let pairs = table.0.iter().map(|(name, value)| triple(name, value));
            format!("[{}]", pairs.collect::<Vec<_>>().join(","))
        }
        integer => integer.as_integer().unwrap_or_default().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_shown_as_erlang_prints_them() {
        let inner = Table::from([("a", "b".into())]);
        let table = Table::from([
            ("x-max-length", Value::I32(5)),
            ("b", Value::Bool(true)),
            ("list", Value::Array(vec!["é".into(), Value::I64(1)])),
            ("nest", Value::Table(inner)),
        ]);
        let expected = [
            "{<<\"x-max-length\">>,signedint,5}",
            "{<<\"b\">>,bool,true}",
            "{<<\"list\">>,array,[{longstr,<<195,169>>},{long,1}]}",
            "{<<\"nest\">>,table,[{<<\"a\">>,longstr,<<\"b\">>}]}",
        ];
        assert_eq!(shown(&table), Value::Array(expected.map(Value::from).to_vec()));
    }

    #[test]
    fn addresses_and_texts_are_shown_as_erlang_keeps_them() {
        assert_eq!(address("127.0.0.1".parse().unwrap()), "{127,0,0,1}");
        assert_eq!(address("::1".parse().unwrap()), "{0,0,0,0,0,0,0,1}");
        assert_eq!(characters("us"), Value::Array(vec![Value::I64(117), Value::I64(115)]));
        assert_eq!(binary(b"say \"hi\"\n"), "<<\"say \\\"hi\\\"\\n\">>");
    }
}
