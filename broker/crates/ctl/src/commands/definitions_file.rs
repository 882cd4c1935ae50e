//! A definitions file in either of its formats: JSON, and the Erlang term that RabbitMQ makes of the same document.
//!
//! What a node is told is always JSON. Erlang has words where JSON has texts, and lists of pairs where it has objects; both are taken.

use erlang::Erlang;
use serde_json::{Map, Number, Value};

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileFormat {
    Json,
    Erlang,
}

impl FileFormat {
    /// The format of this name.
    pub(super) fn of(word: Option<&str>) -> Option<Self> {
        match word.unwrap_or("json").to_ascii_lowercase().as_str() {
            "json" => Some(FileFormat::Json),
            "erlang" => Some(FileFormat::Erlang),
            _ => None,
        }
    }

    /// As the tools call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            FileFormat::Json => "JSON",
            FileFormat::Erlang => "Erlang term format",
        }
    }

    /// The file of a document.
    ///
    /// # Errors
    /// The document is no JSON.
    pub(super) fn written(self, document: String) -> Result<Vec<u8>, String> {
        match self {
            FileFormat::Json => Ok(document.into_bytes()),
            FileFormat::Erlang => {
                let value: Value = serde_json::from_str(&document).map_err(|why| why.to_string())?;
                Ok(erlang::to_octets_compressed(&with_words(&value)))
            }
        }
    }

    /// The document in a file.
    ///
    /// # Errors
    /// Why it is none.
    pub(super) fn read(self, file: Vec<u8>) -> Result<String, String> {
        match self {
            FileFormat::Json => {
                let document = String::from_utf8(file).map_err(|why| why.to_string())?;
                let checked = serde_json::from_str::<serde::de::IgnoredAny>(&document);
                checked.map(|_| document).map_err(|why| why.to_string())
            }
            FileFormat::Erlang => {
                let term = erlang::from_octets(&file).map_err(|why| why.to_string())?;
                Ok(value(&term)?.to_string())
            }
        }
    }
}

/// The whole document: its own keys are words, as RabbitMQ has them, all else are texts.
fn with_words(document: &Value) -> Erlang {
    match document {
        Value::Object(pairs) => Erlang::Map(
            pairs
                .iter()
                .map(|(key, value)| (Erlang::Atom(key.clone()), term(value)))
                .collect(),
        ),
        other => term(other),
    }
}

fn term(value: &Value) -> Erlang {
    match value {
        Value::Null => Erlang::Atom("null".to_owned()),
        Value::Bool(yes) => Erlang::Atom(yes.to_string()),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => Erlang::Integer(whole),
            None => Erlang::Float(number.as_f64().unwrap_or_default()),
        },
        Value::String(text) => Erlang::Binary(text.clone()),
        Value::Array(items) => Erlang::List(items.iter().map(term).collect()),
        Value::Object(pairs) => Erlang::Map(
            pairs
                .iter()
                .map(|(key, value)| (Erlang::Binary(key.clone()), term(value)))
                .collect(),
        ),
    }
}

fn value(term: &Erlang) -> Result<Value, String> {
    Ok(match term {
        Erlang::Atom(word) => match word.as_str() {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            "null" | "undefined" => Value::Null,
            word => Value::String(word.to_owned()),
        },
        Erlang::Integer(number) => Value::from(*number),
        Erlang::Float(number) => Value::Number(Number::from_f64(*number).ok_or("a number is none")?),
        Erlang::Binary(text) => Value::String(text.clone()),
        // Texts are binaries in such a file; a list of small numbers looks like a text of the other kind.
        Erlang::Text(text) => Value::Array(text.chars().map(|c| Value::from(u32::from(c))).collect()),
        Erlang::List(items) => match pairs(items) {
            Some(pairs) if !pairs.is_empty() => object(pairs)?,
            _ => Value::Array(items.iter().map(value).collect::<Result<_, _>>()?),
        },
        Erlang::Tuple(items) => Value::Array(items.iter().map(value).collect::<Result<_, _>>()?),
        Erlang::Map(pairs) => object(pairs.iter().map(|(key, value)| (key, value)).collect())?,
    })
}

/// A list of names with their values.
fn pairs(items: &[Erlang]) -> Option<Vec<(&Erlang, &Erlang)>> {
    items.iter().map(pair).collect()
}

fn pair(item: &Erlang) -> Option<(&Erlang, &Erlang)> {
    match item {
        Erlang::Tuple(parts) => match parts.as_slice() {
            [key @ (Erlang::Atom(_) | Erlang::Binary(_)), value] => Some((key, value)),
            _ => None,
        },
        _ => None,
    }
}

fn object(pairs: Vec<(&Erlang, &Erlang)>) -> Result<Value, String> {
    let mut object = Map::new();
    for (key, found) in pairs {
        let key = match key {
            Erlang::Atom(text) | Erlang::Binary(text) => text.clone(),
            other => return Err(format!("{other} is no name")),
        };
        object.insert(key, value(found)?);
    }
    Ok(Value::Object(object))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_document_is_the_same_after_it_was_an_erlang_term() {
        let document = json!({"rabbit_version": "3.13.7", "users": [{"name": "a", "limits": {}, "tags": []}], "parameters": [],
            "global_parameters": [{"name": "g", "value": {"a": [1.5, true, null, "x", -5_000_000_000_i64]}}], "numbers": [1, 2, 3]});
        let file = FileFormat::Erlang.written(document.to_string()).unwrap();
        assert_eq!(file[..2], [131, 80]);
        let read: Value = serde_json::from_str(&FileFormat::Erlang.read(file).unwrap()).unwrap();
        assert_eq!(read, document);
    }

    #[test]
    fn words_and_lists_of_pairs_are_texts_and_objects() {
        let word = |text: &str| Erlang::Atom(text.to_owned());
        let pair = Erlang::Tuple(vec![Erlang::Binary("max-queues".to_owned()), Erlang::Integer(7)]);
        let term = Erlang::Map(vec![
            (word("type"), word("topic")),
            (word("limits"), Erlang::List(vec![pair])),
            (word("tags"), Erlang::Binary(String::new())),
        ]);
        let read = FileFormat::Erlang.read(erlang::to_octets(&term)).unwrap();
        let read: Value = serde_json::from_str(&read).unwrap();
        assert_eq!(read, json!({"type": "topic", "limits": {"max-queues": 7}, "tags": ""}));
    }

    #[test]
    fn what_is_no_document_is_refused() {
        for format in [FileFormat::Json, FileFormat::Erlang] {
            assert!(format.read(b"nonsense".to_vec()).is_err());
        }
        let nameless = Erlang::Map(vec![(Erlang::Integer(1), Erlang::Integer(1))]);
        assert!(FileFormat::Erlang.read(erlang::to_octets(&nameless)).is_err());
    }
}
