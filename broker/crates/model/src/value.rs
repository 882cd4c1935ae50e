//! Argument values and tables as AMQP's clients write them, order and integer width kept.
//!
//! Typed arguments (queue arguments, policies) are made from a table once; nobody looks keys up in it later.

use serde::{Deserialize, Serialize};

/// A scaled integer: `value / 10^scale`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Decimal {
    /// Power of ten to divide by.
    pub scale: u8,
    /// Unscaled number.
    pub value: i32,
}

/// One field value. The letters are RabbitMQ's dialect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Value {
    /// `V`
    Void,
    /// `t`
    Bool(bool),
    /// `b`
    I8(i8),
    /// `B`
    U8(u8),
    /// `s`
    I16(i16),
    /// `u`
    U16(u16),
    /// `I`
    I32(i32),
    /// `i`
    U32(u32),
    /// `l`
    I64(i64),
    /// `L`, sent by some clients
    U64(u64),
    /// `f`
    F32(f32),
    /// `d`
    F64(f64),
    /// `D`
    Decimal(Decimal),
    /// `S`: octets, usually text
    LongStr(Vec<u8>),
    /// `x`
    Bytes(Vec<u8>),
    /// `A`
    Array(Vec<Value>),
    /// `T`: seconds since the Unix epoch
    Timestamp(u64),
    /// `F`
    Table(Table),
}

/// A field table: pairs in the order they came.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Table(pub Vec<(String, Value)>);

impl Value {
    /// RabbitMQ's name of the type, as its error texts print it (`longstr`, `signedint`, …).
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Void => "void",
            Value::Bool(_) => "bool",
            Value::I8(_) => "byte",
            Value::U8(_) => "unsignedbyte",
            Value::I16(_) => "short",
            Value::U16(_) => "unsignedshort",
            Value::I32(_) => "signedint",
            Value::U32(_) => "unsignedint",
            Value::I64(_) | Value::U64(_) => "long",
            Value::F32(_) => "float",
            Value::F64(_) => "double",
            Value::Decimal(_) => "decimal",
            Value::LongStr(_) => "longstr",
            Value::Bytes(_) => "binary",
            Value::Array(_) => "array",
            Value::Timestamp(_) => "timestamp",
            Value::Table(_) => "table",
        }
    }

    /// The number, if this is any of the integer types.
    pub fn as_integer(&self) -> Option<i128> {
        match self {
            Value::I8(n) => Some((*n).into()),
            Value::U8(n) => Some((*n).into()),
            Value::I16(n) => Some((*n).into()),
            Value::U16(n) => Some((*n).into()),
            Value::I32(n) => Some((*n).into()),
            Value::U32(n) => Some((*n).into()),
            Value::I64(n) => Some((*n).into()),
            Value::U64(n) => Some((*n).into()),
            _ => None,
        }
    }

    /// The text, if this is a long string of valid UTF-8.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Value::LongStr(octets) => std::str::from_utf8(octets).ok(),
            _ => None,
        }
    }

    /// Equality as RabbitMQ judges it: integers by value whatever their width, all else by type and value.
    pub fn is_equivalent(&self, other: &Value) -> bool {
        match (self.as_integer(), other.as_integer()) {
            (Some(a), Some(b)) => a == b,
            _ => self == other,
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::LongStr(text.as_bytes().to_vec())
    }
}

impl Table {
    /// The first value under `key`.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.iter().find(|(k, _)| k == key).map(|(_, v)| v)
    }

    /// True without any pair.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Puts `value` under `key`, in the place of an earlier one, else at the end.
    pub fn set(&mut self, key: &str, value: Value) {
        match self.0.iter_mut().find(|(k, _)| k == key) {
            Some(pair) => pair.1 = value,
            None => self.0.push((key.to_owned(), value)),
        }
    }

    /// Takes the value under `key` out.
    pub fn remove(&mut self, key: &str) -> Option<Value> {
        let at = self.0.iter().position(|(k, _)| k == key)?;
        Some(self.0.remove(at).1)
    }

    /// The same pairs sorted by key: the order in which argument lists are compared and shown.
    #[must_use]
    pub fn sorted(mut self) -> Table {
        self.0.sort_by(|a, b| a.0.cmp(&b.0));
        self
    }
}

impl<const N: usize> From<[(&str, Value); N]> for Table {
    fn from(pairs: [(&str, Value); N]) -> Self {
        Table(pairs.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_of_other_width_are_equivalent_and_strings_are_not() {
        assert!(Value::I32(5).is_equivalent(&Value::I64(5)));
        assert!(!Value::I32(5).is_equivalent(&Value::from("5")));
        assert!(!Value::Bool(true).is_equivalent(&Value::I8(1)));
    }

    #[test]
    fn set_replaces_in_place_and_keeps_order() {
        let mut table = Table::from([("a", Value::I8(1)), ("b", Value::I8(2))]);
        table.set("a", Value::I8(3));
        table.set("c", Value::I8(4));
        assert_eq!(
            table.0.iter().map(|(k, _)| k.as_str()).collect::<Vec<_>>(),
            ["a", "b", "c"]
        );
        assert_eq!(table.get("a"), Some(&Value::I8(3)));
    }
}
