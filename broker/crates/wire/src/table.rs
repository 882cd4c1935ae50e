//! Field tables: checked, decoded, encoded and walked, never deeper than [`TABLE_DEPTH_MAX`].
//!
//! A table here is the octets after its length field. The letters are RabbitMQ's dialect. Keys of a decoded table are
//! text: a key that is not UTF-8 shows with U+FFFD, while raw walks keep every octet. Nothing here trusts a length.

use crate::cursor::Cursor;
use model::{Decimal, Table, Value};

/// Tables and arrays may be nested so deep. RabbitMQ has no limit; no real client goes beyond five or six.
pub const TABLE_DEPTH_MAX: u32 = 32;

/// Why octets are no field table, or a table cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// A length points past the end, or a value is cut off.
    #[error("a field or its value is cut off")]
    Truncated,
    /// Nested beyond [`TABLE_DEPTH_MAX`].
    #[error("nested deeper than {TABLE_DEPTH_MAX} levels")]
    TooDeep,
    /// A type letter nobody knows.
    #[error("unknown field type {0} (known are t b B s u I i l L f d D S A T F V x)")]
    UnknownType(u8),
    /// A field name longer than a short string.
    #[error("a field name has at most 255 octets, this one has {bytes}")]
    KeyTooLong {
        /// Its length in octets.
        bytes: usize,
    },
    /// More octets than a length field can say.
    #[error("a value of {bytes} octets is longer than a length field can say")]
    ValueTooLong {
        /// Its length in octets.
        bytes: usize,
    },
}

type Result<T> = std::result::Result<T, TableError>;

fn some<T>(value: Option<T>) -> Result<T> {
    value.ok_or(TableError::Truncated)
}

/// Checks a table and everything in it without allocating.
#[inline]
pub(crate) fn check_table(octets: &[u8], depth: u32) -> Result<()> {
    let mut rest = Cursor(octets);
    while !rest.is_empty() {
        some(rest.short())?;
        check_value(&mut rest, depth)?;
    }
    Ok(())
}

enum Shape {
    Fixed(usize),
    Octets,
    Table,
    Array,
}

#[inline]
fn shape(letter: u8) -> Result<Shape> {
    Ok(match letter {
        b'S' | b'x' => Shape::Octets,
        b'F' => Shape::Table,
        b'A' => Shape::Array,
        b'V' => Shape::Fixed(0),
        b't' | b'b' | b'B' => Shape::Fixed(1),
        b's' | b'u' => Shape::Fixed(2),
        b'I' | b'i' | b'f' => Shape::Fixed(4),
        b'D' => Shape::Fixed(5),
        b'l' | b'L' | b'd' | b'T' => Shape::Fixed(8),
        _ => return Err(TableError::UnknownType(letter)),
    })
}

#[inline]
fn deeper(depth: u32) -> Result<u32> {
    match depth < TABLE_DEPTH_MAX {
        true => Ok(depth + 1),
        false => Err(TableError::TooDeep),
    }
}

fn check_value(rest: &mut Cursor<'_>, depth: u32) -> Result<()> {
    match shape(some(rest.u8())?)? {
        Shape::Fixed(size) => some(rest.take(size)).map(drop),
        Shape::Octets => some(rest.long()).map(drop),
        Shape::Table => check_table(some(rest.long())?, deeper(depth)?),
        Shape::Array => check_array(some(rest.long())?, deeper(depth)?),
    }
}

fn check_array(octets: &[u8], depth: u32) -> Result<()> {
    let mut rest = Cursor(octets);
    while !rest.is_empty() {
        check_value(&mut rest, depth)?;
    }
    Ok(())
}

/// The table in `octets` (without its length field), order, duplicates and integer widths kept.
///
/// # Errors
/// Cut off, unknown type letter, nested too deep.
pub fn decode_table(octets: &[u8]) -> Result<Table> {
    table_at(octets, 1)
}

fn table_at(octets: &[u8], depth: u32) -> Result<Table> {
    let mut rest = Cursor(octets);
    let mut pairs = Vec::new();
    while !rest.is_empty() {
        let key = String::from_utf8_lossy(some(rest.short())?).into_owned();
        pairs.push((key, value_at(&mut rest, depth)?));
    }
    Ok(Table(pairs))
}

fn array_at(octets: &[u8], depth: u32) -> Result<Vec<Value>> {
    let mut rest = Cursor(octets);
    let mut values = Vec::new();
    while !rest.is_empty() {
        values.push(value_at(&mut rest, depth)?);
    }
    Ok(values)
}

fn value_at(rest: &mut Cursor<'_>, depth: u32) -> Result<Value> {
    let letter = some(rest.u8())?;
    match shape(letter)? {
        Shape::Fixed(_) => some(fixed_value(letter, rest)),
        Shape::Octets => some(rest.long()).map(|octets| octets_value(letter, octets)),
        Shape::Table => table_at(some(rest.long())?, deeper(depth)?).map(Value::Table),
        Shape::Array => array_at(some(rest.long())?, deeper(depth)?).map(Value::Array),
    }
}

fn octets_value(letter: u8, octets: &[u8]) -> Value {
    match letter {
        b'S' => Value::LongStr(octets.to_vec()),
        _ => Value::Bytes(octets.to_vec()),
    }
}

fn fixed_value(letter: u8, rest: &mut Cursor<'_>) -> Option<Value> {
    Some(match letter {
        b't' => Value::Bool(rest.u8()? != 0),
        b'b' => Value::I8(i8::from_be_bytes(rest.array()?)),
        b'B' => Value::U8(rest.u8()?),
        b's' => Value::I16(i16::from_be_bytes(rest.array()?)),
        b'u' => Value::U16(rest.u16()?),
        b'I' => Value::I32(i32::from_be_bytes(rest.array()?)),
        b'i' => Value::U32(rest.u32()?),
        b'l' => Value::I64(i64::from_be_bytes(rest.array()?)),
        b'L' => Value::U64(rest.u64()?),
        b'f' => Value::F32(f32::from_be_bytes(rest.array()?)),
        b'd' => Value::F64(f64::from_be_bytes(rest.array()?)),
        b'D' => Value::Decimal(Decimal {
            scale: rest.u8()?,
            value: i32::from_be_bytes(rest.array()?),
        }),
        b'T' => Value::Timestamp(rest.u64()?),
        _ => Value::Void,
    })
}

/// Appends the pairs of `table`, without a length field.
///
/// # Errors
/// A key or value too long for its length field, or nested too deep; `out` then ends with a part of the table.
pub fn encode_table(table: &Table, out: &mut Vec<u8>) -> Result<()> {
    table_into(table, out, 1)
}

/// Appends one pair.
///
/// # Errors
/// As [`encode_table`].
pub fn encode_entry(key: &str, value: &Value, out: &mut Vec<u8>) -> Result<()> {
    key_into(key.as_bytes(), out)?;
    value_into(value, out, 1)
}

/// Appends one pair whose value is already octets: type letter first, as [`raw_entries`] gives them.
///
/// # Errors
/// The key is longer than 255 octets.
pub fn encode_raw_entry(key: &[u8], raw_value: &[u8], out: &mut Vec<u8>) -> Result<()> {
    key_into(key, out)?;
    out.extend_from_slice(raw_value);
    Ok(())
}

/// The pairs of a table as keys and untouched octets (type letter, then value). Ends at the first octet that makes no
/// sense, so a checked table is walked whole.
pub fn raw_entries(table: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = Cursor(table);
    std::iter::from_fn(move || {
        let key = rest.short()?;
        let from = rest.0;
        check_value(&mut rest, 1).ok()?;
        Some((key, &from[..from.len() - rest.0.len()]))
    })
}

fn key_into(key: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let length = u8::try_from(key.len()).map_err(|_| TableError::KeyTooLong { bytes: key.len() })?;
    out.push(length);
    out.extend_from_slice(key);
    Ok(())
}

fn table_into(table: &Table, out: &mut Vec<u8>, depth: u32) -> Result<()> {
    for (key, value) in &table.0 {
        key_into(key.as_bytes(), out)?;
        value_into(value, out, depth)?;
    }
    Ok(())
}

fn value_into(value: &Value, out: &mut Vec<u8>, depth: u32) -> Result<()> {
    let mut put = |letter: u8, octets: &[u8]| {
        out.push(letter);
        out.extend_from_slice(octets);
    };
    match value {
        Value::Void => put(b'V', &[]),
        Value::Bool(yes) => put(b't', &[u8::from(*yes)]),
        Value::I8(n) => put(b'b', &n.to_be_bytes()),
        Value::U8(n) => put(b'B', &n.to_be_bytes()),
        Value::I16(n) => put(b's', &n.to_be_bytes()),
        Value::U16(n) => put(b'u', &n.to_be_bytes()),
        Value::I32(n) => put(b'I', &n.to_be_bytes()),
        Value::U32(n) => put(b'i', &n.to_be_bytes()),
        Value::I64(n) => put(b'l', &n.to_be_bytes()),
        Value::U64(n) => put(b'L', &n.to_be_bytes()),
        Value::F32(n) => put(b'f', &n.to_be_bytes()),
        Value::F64(n) => put(b'd', &n.to_be_bytes()),
        Value::Timestamp(n) => put(b'T', &n.to_be_bytes()),
        Value::Decimal(n) => {
            put(b'D', &[n.scale]);
            out.extend_from_slice(&n.value.to_be_bytes());
        }
        Value::LongStr(octets) => return octets_into(b'S', octets, out),
        Value::Bytes(octets) => return octets_into(b'x', octets, out),
        Value::Table(table) => {
            let depth = deeper(depth)?;
            return sized(b'F', out, |out| table_into(table, out, depth));
        }
        Value::Array(values) => {
            let depth = deeper(depth)?;
            return sized(b'A', out, |out| array_into(values, out, depth));
        }
    }
    Ok(())
}

fn array_into(values: &[Value], out: &mut Vec<u8>, depth: u32) -> Result<()> {
    values.iter().try_for_each(|value| value_into(value, out, depth))
}

fn octets_into(letter: u8, octets: &[u8], out: &mut Vec<u8>) -> Result<()> {
    sized(letter, out, |out| {
        out.extend_from_slice(octets);
        Ok(())
    })
}

/// Type letter, a length field filled in afterwards, and what `write` appends.
fn sized(letter: u8, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>) -> Result<()>) -> Result<()> {
    out.push(letter);
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    write(out)?;
    let bytes = out.len() - at - 4;
    let length = u32::try_from(bytes).map_err(|_| TableError::ValueTooLong { bytes })?;
    out[at..at + 4].copy_from_slice(&length.to_be_bytes());
    Ok(())
}
