//! Words of the command line to one request. Pure: nothing is sent here.

use crate::problem::Problem;
use crate::settings::Settings;
use crate::words::{Listed, Shape};
use serde_json::{Map, Value};
use std::fmt::Write as _;

/// What is asked of the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: &'static str,
    /// Below `/api/`.
    pub(crate) path: String,
    pub(crate) body: Option<Vec<u8>>,
}

impl Request {
    pub(crate) fn new(method: &'static str, path: String) -> Self {
        Request {
            method,
            path,
            body: None,
        }
    }

    pub(crate) fn with(method: &'static str, path: String, fields: &Map<String, Value>) -> Self {
        let body = Some(Value::Object(fields.clone()).to_string().into_bytes());
        Request { method, path, body }
    }
}

/// The path and the fields of what is done to an object.
///
/// # Errors
/// A word is no `name=value`, has a name that is not known, or is missing.
pub(crate) fn filled(
    shape: &Shape,
    words: &[String],
    settings: &Settings,
) -> Result<(String, Map<String, Value>), Problem> {
    let mut fields = Map::new();
    for (key, default) in &shape.may {
        if let Some(default) = default {
            fields.insert(key.clone(), value(shape, key, default)?);
        }
    }
    for word in words {
        let pair = word.split_once('=');
        let (key, text) = pair.ok_or_else(|| usage(format!("Argument \"{word}\" not in the name=value format")))?;
        let mut known = shape.must.iter().flatten().chain(shape.may.iter().map(|(key, _)| key));
        if !known.any(|known| known == key) {
            return Err(usage(format!("Argument \"{key}\" is not recognised")));
        }
        fields.insert(key.to_owned(), value(shape, key, text)?);
    }
    check(shape, &fields)?;
    if !shape.must.iter().flatten().any(|key| key == "vhost") {
        fields.insert("vhost".to_owned(), settings.declare_vhost.clone().into());
    }
    let path = path(&shape.path, &fields);
    // What a queue is stands among its arguments.
    if shape.kind == "queue"
        && let Some(kind) = fields.get("queue_type").cloned()
        && let Some(Value::Object(arguments)) = fields.get_mut("arguments")
    {
        arguments.insert("x-queue-type".to_owned(), kind);
    }
    Ok((path, fields))
}

fn usage(text: String) -> Problem {
    Problem::Usage(text)
}

fn value(shape: &Shape, key: &str, text: &str) -> Result<Value, Problem> {
    if !shape.json.iter().any(|json| json == key) {
        return Ok(text.into());
    }
    let why = |_| Problem::Plain(format!("ERROR: Could not parse JSON:\n  {text}"));
    serde_json::from_str(text).map_err(why)
}

fn check(shape: &Shape, fields: &Map<String, Value>) -> Result<(), Problem> {
    let is_given = |ways: &&Vec<String>| ways.iter().any(|way| fields.contains_key(way));
    let Some(missing) = shape.must.iter().find(|ways| !is_given(ways)) else {
        return Ok(());
    };
    Err(usage(match &missing[..] {
        [only] => format!("mandatory argument \"{only}\" is required"),
        ways => format!("one of mandatory arguments \"['{}']\" is required", ways.join("', '")),
    }))
}

/// The path with its places filled. Where an exchange has no name, it is the default one.
fn path(template: &str, fields: &Map<String, Value>) -> String {
    let text = |key: &str| fields.get(key).and_then(Value::as_str).unwrap_or_default();
    let place = |key: &str| match (key, text(key)) {
        ("destination_char", _) => text("destination_type").chars().take(1).collect(),
        ("source" | "exchange", "") => "amq.default".to_owned(),
        (_, text) => encoded(text, ""),
    };
    let mut path = String::new();
    for part in template.split('{') {
        match part.split_once('}') {
            None => path += part,
            Some((key, rest)) => path += &(place(key) + rest),
        }
    }
    path
}

/// What is asked for a list, and the columns that are shown; none: all.
pub(crate) fn list(listed: &Listed, columns: &[String], settings: &Settings) -> (Request, Vec<String>) {
    let mut path = listed.kind.replace('_', "-");
    if let Some(vhost) = settings.vhost.as_ref().filter(|_| listed.in_vhost) {
        path += &format!("/{}", encoded(vhost, ""));
    }
    // Who asks for depth or for JSON wants all that there is.
    let has_usual = settings.depth.is_none() && !settings.format.contains("json");
    let columns = match columns {
        [] if has_usual => listed.columns.clone(),
        asked => asked.to_vec(),
    };
    let mut query = Vec::new();
    if !columns.is_empty() {
        query.push(format!("columns={}", encoded(&columns.join(","), ",")));
    }
    query.extend(settings.sort.as_ref().map(|sort| format!("sort={}", encoded(sort, ""))));
    query.extend(settings.sort_reverse.then(|| "sort_reverse=true".to_owned()));
    if !query.is_empty() {
        path += &format!("?{}", query.join("&"));
    }
    (Request::new("GET", path), columns)
}

/// Text as it stands in a path.
pub(crate) fn encoded(text: &str, safe: &str) -> String {
    let mut out = String::new();
    for &octet in text.as_bytes() {
        let is_plain = octet.is_ascii_alphanumeric() || b"_.-~".contains(&octet) || safe.as_bytes().contains(&octet);
        match is_plain {
            true => out.push(char::from(octet)),
            // Writing to a string cannot fail.
            false => drop(write!(out, "%{octet:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Line;
    use crate::words::WORDS;

    fn settings(line: &str) -> Settings {
        let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        Settings::of(&Line::read(&words).unwrap(), None).unwrap()
    }

    fn declared(kind: &str, words: &[&str]) -> Result<(String, Value), Problem> {
        let shape = WORDS.declare.iter().find(|shape| shape.kind == kind).unwrap();
        let words: Vec<_> = words.iter().map(|&word| word.to_owned()).collect();
        filled(shape, &words, &settings("-V a/b")).map(|(path, fields)| (path, fields.into()))
    }

    #[test]
    fn words_become_paths_and_fields() {
        let (path, fields) = declared("queue", &["name=q 1", "queue_type=quorum"]).unwrap();
        assert_eq!(path, "queues/a%2Fb/q%201");
        assert_eq!(fields["arguments"], serde_json::json!({"x-queue-type": "quorum"}));
        assert_eq!(fields["durable"], "true");
        let (path, _) = declared("binding", &["source=", "destination=d", "destination_type=exchange"]).unwrap();
        assert_eq!(path, "bindings/a%2Fb/e/amq.default/e/d");
    }

    #[test]
    fn wrong_words_are_told() {
        let why = |kind, words: &[&str]| declared(kind, words).unwrap_err().text("x");
        assert!(why("queue", &["q"]).contains("Argument \"q\" not in the name=value format"));
        assert!(why("queue", &["vhost=v"]).contains("Argument \"vhost\" is not recognised"));
        let ways = "one of mandatory arguments \"['password', 'password_hash']\" is required";
        assert!(why("user", &["name=u"]).contains(ways));
        assert_eq!(
            why("queue", &["name=q", "arguments={"]),
            "ERROR: Could not parse JSON:\n  {"
        );
    }

    #[test]
    fn lists_have_their_usual_columns_unless_depth_or_json_is_asked_for() {
        let asked = |line, columns: &[&str]| {
            let columns: Vec<_> = columns.iter().map(|&column| column.to_owned()).collect();
            list(&WORDS.list[4], &columns, &settings(line)).0.path
        };
        assert_eq!(asked("", &[]), "queues?columns=name,messages");
        assert_eq!(asked("-d 1", &[]), "queues");
        assert_eq!(
            asked("-f raw_json -V / -S a&b -R", &[]),
            "queues/%2F?sort=a%26b&sort_reverse=true"
        );
        assert_eq!(asked("-f raw_json", &["a", "b.c"]), "queues?columns=a,b.c");
    }
}
