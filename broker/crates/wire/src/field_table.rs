//! Between our tables and those inside `amq-protocol`'s method structs.
//!
//! That `FieldTable` is a sorted map of UTF-8 keys without unsigned 64-bit numbers. Of equal keys the first wins, as in
//! RabbitMQ's look-ups; an `L` is read as signed, as RabbitMQ 3.10 was measured to do.

use crate::table::TableError;
use amq_protocol::types::{AMQPValue, DecimalValue, FieldArray, FieldTable, ShortString};
use model::{Decimal, Table, Value};

/// Our table from one of a method struct. Both nest as deep as they were made.
pub fn from_field_table(table: &FieldTable) -> Table {
    let pair = |(key, value): (&ShortString, &AMQPValue)| (key.as_str().to_owned(), from_value(value));
    Table(table.into_iter().map(pair).collect())
}

fn from_value(value: &AMQPValue) -> Value {
    match value {
        AMQPValue::Boolean(yes) => Value::Bool(*yes),
        AMQPValue::ShortShortInt(n) => Value::I8(*n),
        AMQPValue::ShortShortUInt(n) => Value::U8(*n),
        AMQPValue::ShortInt(n) => Value::I16(*n),
        AMQPValue::ShortUInt(n) => Value::U16(*n),
        AMQPValue::LongInt(n) => Value::I32(*n),
        AMQPValue::LongUInt(n) => Value::U32(*n),
        AMQPValue::LongLongInt(n) => Value::I64(*n),
        AMQPValue::Float(n) => Value::F32(*n),
        AMQPValue::Double(n) => Value::F64(*n),
        AMQPValue::DecimalValue(n) => Value::Decimal(Decimal {
            scale: n.scale,
            value: n.value.cast_signed(),
        }),
        AMQPValue::ShortString(text) => Value::from(text.as_str()),
        AMQPValue::LongString(octets) => Value::LongStr(octets.as_bytes().to_vec()),
        AMQPValue::FieldArray(values) => Value::Array(values.as_slice().iter().map(from_value).collect()),
        AMQPValue::Timestamp(n) => Value::Timestamp(*n),
        AMQPValue::FieldTable(table) => Value::Table(from_field_table(table)),
        AMQPValue::ByteArray(octets) => Value::Bytes(octets.as_slice().to_vec()),
        AMQPValue::Void => Value::Void,
    }
}

/// The table for a method struct.
///
/// # Errors
/// A key above 255 octets.
pub fn to_field_table(table: &Table) -> Result<FieldTable, TableError> {
    let mut fields = FieldTable::default();
    for (key, value) in &table.0 {
        if !fields.contains_key(key) {
            let long = |_| TableError::KeyTooLong { bytes: key.len() };
            fields.insert(ShortString::try_new(key.as_str()).map_err(long)?, to_value(value)?);
        }
    }
    Ok(fields)
}

fn to_value(value: &Value) -> Result<AMQPValue, TableError> {
    Ok(match value {
        Value::Void => AMQPValue::Void,
        Value::Bool(yes) => AMQPValue::Boolean(*yes),
        Value::I8(n) => AMQPValue::ShortShortInt(*n),
        Value::U8(n) => AMQPValue::ShortShortUInt(*n),
        Value::I16(n) => AMQPValue::ShortInt(*n),
        Value::U16(n) => AMQPValue::ShortUInt(*n),
        Value::I32(n) => AMQPValue::LongInt(*n),
        Value::U32(n) => AMQPValue::LongUInt(*n),
        Value::I64(n) => AMQPValue::LongLongInt(*n),
        Value::U64(n) => AMQPValue::LongLongInt(n.cast_signed()),
        Value::F32(n) => AMQPValue::Float(*n),
        Value::F64(n) => AMQPValue::Double(*n),
        Value::Decimal(n) => AMQPValue::DecimalValue(DecimalValue {
            scale: n.scale,
            value: n.value.cast_unsigned(),
        }),
        Value::LongStr(octets) => AMQPValue::LongString(octets.clone().into()),
        Value::Bytes(octets) => AMQPValue::ByteArray(octets.clone().into()),
        Value::Timestamp(n) => AMQPValue::Timestamp(*n),
        Value::Table(table) => AMQPValue::FieldTable(to_field_table(table)?),
        Value::Array(values) => AMQPValue::FieldArray(FieldArray::from(
            values.iter().map(to_value).collect::<Result<Vec<_>, _>>()?,
        )),
    })
}
