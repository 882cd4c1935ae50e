//! Values as Erlang would print them, since RabbitMQ's error texts do and clients match on the texts.
//!
//! For texts only: nothing is ever parsed back from here.

use crate::Value;
use std::fmt::Write;

impl Value {
    /// The bare value, as in `received the value '5'`.
    pub fn plain(&self) -> String {
        match self {
            Value::LongStr(octets) | Value::Bytes(octets) => String::from_utf8_lossy(octets).into_owned(),
            other => other.term(),
        }
    }

    /// The value as an Erlang term made from JSON: `<<"text">>`, `5`, `[1,2]`, `#{<<"k">> => 1}`.
    pub fn term(&self) -> String {
        let mut text = String::new();
        write_term(self, &mut text);
        text
    }
}

fn write_term(value: &Value, out: &mut String) {
    // Writing to a String cannot fail.
    let _ = match value {
        Value::Void => write!(out, "null"),
        Value::Bool(on) => write!(out, "{on}"),
        Value::F32(n) => write!(out, "{n:?}"),
        Value::F64(n) => write!(out, "{n:?}"),
        Value::Decimal(d) => write!(out, "{{{},{}}}", d.scale, d.value),
        Value::LongStr(octets) | Value::Bytes(octets) => write!(out, "<<{:?}>>", String::from_utf8_lossy(octets)),
        Value::Timestamp(seconds) => write!(out, "{seconds}"),
        Value::Array(items) => {
            write_list(items, out);
            Ok(())
        }
        Value::Table(table) => {
            let pairs: Vec<String> = table
                .0
                .iter()
                .map(|(key, value)| format!("<<{key:?}>> => {}", value.term()))
                .collect();
            write!(out, "#{{{}}}", pairs.join(","))
        }
        integer => write!(out, "{}", integer.as_integer().unwrap_or_default()),
    };
}

fn write_list(items: &[Value], out: &mut String) {
    out.push('[');
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        write_term(item, out);
    }
    out.push(']');
}
