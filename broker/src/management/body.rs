//! A request's JSON object, and its fields in the types and with the tolerance that RabbitMQ's clients rely on.
//!
//! Unknown keys are ignored, an empty body is an empty object, numbers and booleans may be text. Nothing larger than
//! the configuration allows is read (I14).

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
};
use model::Table;
use serde_json::{Map, Value};
use std::sync::Arc;

use super::{Api, failure::Failure};

/// A JSON object.
#[derive(Clone, Debug, Default)]
pub struct Body(pub Map<String, Value>);

/// The octets of a body, within the configured bound.
#[derive(Clone, Debug)]
pub struct Octets(pub Bytes);

impl FromRequest<Arc<Api>> for Octets {
    type Rejection = Failure;
    async fn from_request(request: Request, api: &Arc<Api>) -> Result<Self, Failure> {
        let bytes_max = api.node.config().management.body_bytes_max.0;
        let limit = usize::try_from(bytes_max).unwrap_or(usize::MAX);
        let read = axum::body::to_bytes(request.into_body(), limit).await;
        // A connection that breaks off gets no answer, so the limit is all that a client can have met.
        read.map(Octets).map_err(|_| Failure::too_large(bytes_max))
    }
}

impl FromRequest<Arc<Api>> for Body {
    type Rejection = Failure;
    async fn from_request(request: Request, api: &Arc<Api>) -> Result<Self, Failure> {
        Octets::from_request(request, api).await?.object()
    }
}

impl Octets {
    /// The object that the octets spell.
    ///
    /// # Errors
    /// 400 `not_json`.
    pub fn object(&self) -> Result<Body, Failure> {
        if self.0.is_empty() {
            return Ok(Body::default());
        }
        match serde_json::from_slice(&self.0) {
            Ok(Value::Object(fields)) => Ok(Body(fields)),
            _ => Err(Failure::bad_request("not_json")),
        }
    }
}

impl Body {
    /// The field, unless it is missing or null.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key).filter(|value| !value.is_null())
    }

    /// Sees to it that all these keys are there.
    ///
    /// # Errors
    /// 400 that lists what is missing, as Erlang prints it.
    pub fn require(&self, keys: &[&str]) -> Result<(), Failure> {
        let missing: Vec<String> = keys
            .iter()
            .filter(|key| !self.0.contains_key(**key))
            .map(|key| format!("{{key_missing,{key}}}"))
            .collect();
        match missing.is_empty() {
            true => Ok(()),
            false => Err(Failure::bad_request(format!("[{}]", missing.join(",")))),
        }
    }

    /// A text, or `None` when it is missing.
    ///
    /// # Errors
    /// 400 when it is something else.
    pub fn text(&self, key: &str) -> Result<Option<&str>, Failure> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(wrong(key, "a text", other)),
        }
    }

    /// A text that must be there.
    ///
    /// # Errors
    /// 400 when it is missing or something else.
    pub fn required_text(&self, key: &str) -> Result<&str, Failure> {
        self.require(&[key])?;
        self.text(key)?.ok_or_else(|| wrong(key, "a text", &Value::Null))
    }

    /// A boolean, also as text; `otherwise` when it is missing.
    ///
    /// # Errors
    /// 400 `not_boolean`.
    pub fn boolean(&self, key: &str, otherwise: bool) -> Result<bool, Failure> {
        match self.get(key) {
            None => Ok(otherwise),
            Some(value) => boolean(value),
        }
    }

    /// A whole number, also as text.
    ///
    /// # Errors
    /// 400 when it is something else.
    pub fn integer(&self, key: &str) -> Result<Option<i64>, Failure> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let number = match value {
            Value::String(text) => text.parse().ok(),
            other => other.as_i64(),
        };
        number.map(Some).ok_or_else(|| wrong(key, "a whole number", value))
    }

    /// AMQP arguments; none when they are missing.
    ///
    /// # Errors
    /// 400 when they are no object, or a number fits in no AMQP field.
    pub fn arguments(&self, key: &str) -> Result<Table, Failure> {
        match self.get(key) {
            None => Ok(Table::default()),
            // RabbitMQ's own tools send an empty list for an empty object.
            Some(Value::Array(items)) if items.is_empty() => Ok(Table::default()),
            Some(Value::Object(fields)) => table(fields),
            Some(other) => Err(wrong(key, "an object", other)),
        }
    }
}

/// The AMQP table of a JSON object.
///
/// # Errors
/// 400 when a number fits in no AMQP field.
pub fn table(fields: &Map<String, Value>) -> Result<Table, Failure> {
    api::from_json(fields).map_err(|error| Failure::bad_request(error.to_string()))
}

/// A boolean, also as text.
///
/// # Errors
/// 400 `["not_boolean", …]`.
pub fn boolean(value: &Value) -> Result<bool, Failure> {
    match value {
        Value::Bool(yes) => Ok(*yes),
        Value::String(text) if text == "true" => Ok(true),
        Value::String(text) if text == "false" => Ok(false),
        other => Err(Failure::bad_request(vec![Value::from("not_boolean"), other.clone()])),
    }
}

/// Tags as a list of texts, or as one text with commas.
///
/// # Errors
/// 400 when they are neither.
pub fn tags(value: &Value) -> Result<Vec<String>, Failure> {
    let trimmed = |text: &str| text.trim().to_owned();
    match value {
        Value::String(text) => Ok(text.split(',').map(trimmed).filter(|tag| !tag.is_empty()).collect()),
        Value::Array(items) => items
            .iter()
            .map(|item| {
                item.as_str()
                    .map(trimmed)
                    .ok_or_else(|| wrong("tags", "a list of texts", value))
            })
            .collect(),
        other => Err(wrong("tags", "a list of texts", other)),
    }
}

fn wrong(key: &str, expected: &str, got: &Value) -> Failure {
    Failure::bad_request(format!("{key} must be {expected}, not {got}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn body(value: &Value) -> Body {
        Octets(value.to_string().into_bytes().into()).object().unwrap()
    }

    #[test]
    fn booleans_and_numbers_may_be_text() {
        let body = body(&json!({"a": "true", "b": false, "c": "x", "n": "-1", "m": 7, "l": 1.5}));
        assert_eq!(body.boolean("a", false), Ok(true));
        assert_eq!(body.boolean("b", true), Ok(false));
        assert_eq!(body.boolean("absent", true), Ok(true));
        assert_eq!(
            body.boolean("c", true),
            Err(Failure::bad_request(json!(["not_boolean", "x"])))
        );
        assert_eq!((body.integer("n"), body.integer("m")), (Ok(Some(-1)), Ok(Some(7))));
        assert!(body.integer("l").is_err());
    }

    #[test]
    fn only_objects_and_nothing_at_all_are_bodies() {
        assert!(Octets("".into()).object().is_ok());
        for text in ["[]", "1", "{", "\"x\"", "\u{0}"] {
            let failure = Octets(text.to_owned().into()).object().unwrap_err();
            assert_eq!(failure, Failure::bad_request("not_json"), "{text}");
        }
    }

    #[test]
    fn missing_keys_are_listed_together() {
        let failure = body(&json!({"configure": ""})).require(&["configure", "write", "read"]);
        assert_eq!(
            failure,
            Err(Failure::bad_request("[{key_missing,write},{key_missing,read}]"))
        );
    }

    #[test]
    fn tags_come_as_text_or_as_a_list() {
        assert_eq!(tags(&json!("a, b,")), Ok(vec!["a".into(), "b".into()]));
        assert_eq!(tags(&json!(["a"])), Ok(vec!["a".into()]));
        assert!(tags(&json!({"a": 1})).is_err() && tags(&json!([1])).is_err());
    }
}
