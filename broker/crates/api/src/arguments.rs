//! AMQP argument tables as JSON objects, and back, in RabbitMQ's way: whole numbers become `long`, fractions `double`,
//! text `longstr`. JSON is never deeper than the parser's own bound of 128, so neither direction can exhaust the stack.

use model::{Table, Value};
use serde_json::{Map, Number, Value as Json};

/// Arguments of queues, exchanges, bindings and clients as JSON.
pub type Arguments = Map<String, Json>;

/// A number that no AMQP field can hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArgumentsError {
    /// The key, or the position in an array.
    pub key: String,
}

impl std::fmt::Display for ArgumentsError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "argument '{}' is a number that does not fit in 64 bits", self.key)
    }
}

impl std::error::Error for ArgumentsError {}

/// The JSON object of a table. Octets that are no UTF-8 are shown with replacement characters.
pub fn to_json(table: &Table) -> Arguments {
    table.0.iter().map(|(key, value)| (key.clone(), json(value))).collect()
}

fn json(value: &Value) -> Json {
    if let Some(whole) = value.as_integer() {
        return i64::try_from(whole).map_or_else(|_| Json::from(u64::try_from(whole).unwrap_or(u64::MAX)), Json::from);
    }
    match value {
        Value::Bool(yes) => Json::Bool(*yes),
        Value::F32(number) => fraction(f64::from(*number)),
        Value::F64(number) => fraction(*number),
        Value::Decimal(decimal) => fraction(f64::from(decimal.value) / 10f64.powi(i32::from(decimal.scale))),
        Value::LongStr(octets) | Value::Bytes(octets) => Json::String(String::from_utf8_lossy(octets).into_owned()),
        Value::Array(items) => Json::Array(items.iter().map(json).collect()),
        Value::Timestamp(seconds) => Json::from(*seconds),
        Value::Table(table) => Json::Object(to_json(table)),
        Value::Void
        | Value::I8(_)
        | Value::U8(_)
        | Value::I16(_)
        | Value::U16(_)
        | Value::I32(_)
        | Value::U32(_)
        | Value::I64(_)
        | Value::U64(_) => Json::Null,
    }
}

/// JSON has neither infinity nor NaN; they become null.
fn fraction(number: f64) -> Json {
    Number::from_f64(number).map_or(Json::Null, Json::Number)
}

/// The table of a JSON object.
///
/// # Errors
/// When a number fits in no AMQP field.
pub fn from_json(arguments: &Arguments) -> Result<Table, ArgumentsError> {
    let pairs = arguments.iter().map(|(key, json)| Ok((key.clone(), value(key, json)?)));
    Ok(Table(pairs.collect::<Result<_, _>>()?))
}

fn value(key: &str, json: &Json) -> Result<Value, ArgumentsError> {
    Ok(match json {
        Json::Null => Value::Void,
        Json::Bool(yes) => Value::Bool(*yes),
        Json::Number(number) => number_value(key, number)?,
        Json::String(text) => Value::LongStr(text.clone().into_bytes()),
        Json::Array(items) => Value::Array(items.iter().map(|item| value(key, item)).collect::<Result<_, _>>()?),
        Json::Object(inner) => Value::Table(from_json(inner)?),
    })
}

fn number_value(key: &str, number: &Number) -> Result<Value, ArgumentsError> {
    let whole = number.as_i64().map(Value::I64);
    let fraction = || number.as_f64().filter(|_| number.is_f64()).map(Value::F64);
    whole
        .or_else(fraction)
        .ok_or_else(|| ArgumentsError { key: key.to_owned() })
}
