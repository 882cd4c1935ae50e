//! The table of words: options, what can be listed, declared, deleted, and the texts of help. It holds no code; the script
//! reads the same one.

use serde::Deserialize;
use std::sync::LazyLock;

/// The table as it is written.
pub(crate) const TEXT: &str = include_str!("words.json");

#[expect(clippy::expect_used, reason = "a part of the program; a test reads it")]
pub(crate) static WORDS: LazyLock<Words> = LazyLock::new(|| serde_json::from_str(TEXT).expect("words.json"));

/// All of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Words {
    pub(crate) options: Vec<Opt>,
    pub(crate) list: Vec<Listed>,
    pub(crate) show: Vec<Listed>,
    pub(crate) declare: Vec<Shape>,
    pub(crate) delete: Vec<Shape>,
    pub(crate) close: Vec<Shape>,
    pub(crate) purge: Vec<Shape>,
    /// `publish` and `get`.
    pub(crate) message: Vec<Shape>,
    /// These come first when all columns are shown.
    pub(crate) first_columns: Vec<String>,
    /// Shown of a message whose payload is in a file.
    pub(crate) columns_with_file: Vec<String>,
    pub(crate) formats: Vec<String>,
    pub(crate) more_help: Vec<String>,
    pub(crate) notes: Vec<String>,
    pub(crate) config: Vec<String>,
}

/// An option of the command line, most of which are keys of the configuration file too.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Opt {
    pub(crate) short: Option<String>,
    pub(crate) long: String,
    pub(crate) key: String,
    /// What its value is called; none for a switch.
    pub(crate) takes: Option<String>,
    #[serde(default)]
    pub(crate) number: bool,
    pub(crate) help: String,
}

/// What can be listed or shown.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Listed {
    pub(crate) kind: String,
    /// Shown unless others are asked for; none: all.
    #[serde(default)]
    pub(crate) columns: Vec<String>,
    /// Whether one virtual host's can be asked for.
    #[serde(default)]
    pub(crate) in_vhost: bool,
    /// Columns that are shown as JSON.
    #[serde(default)]
    pub(crate) json: Vec<String>,
}

/// What can be declared, deleted and so on.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Shape {
    pub(crate) kind: String,
    /// Below `/api/`, with places for encoded values.
    pub(crate) path: String,
    /// What must be given, each in one of several ways.
    #[serde(default)]
    pub(crate) must: Vec<Vec<String>>,
    /// What may be given, and what is sent otherwise.
    #[serde(default)]
    pub(crate) may: Vec<(String, Option<String>)>,
    /// Values that are JSON.
    #[serde(default)]
    pub(crate) json: Vec<String>,
}

impl Words {
    /// The subcommands on objects with what they know.
    pub(crate) fn verbs(&self) -> [(&'static str, &[Shape]); 4] {
        [
            ("declare", &self.declare),
            ("delete", &self.delete),
            ("close", &self.close),
            ("purge", &self.purge),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_of_a_path_is_a_word_that_is_given_or_made() {
        let words = &*WORDS;
        let made = ["vhost", "destination_char"];
        for shape in words
            .verbs()
            .into_iter()
            .flat_map(|(_, shapes)| shapes)
            .chain(&words.message)
        {
            for place in shape.path.split('{').skip(1).filter_map(|part| part.split('}').next()) {
                let known = shape.must.iter().flatten().chain(shape.may.iter().map(|(key, _)| key));
                assert!(
                    made.contains(&place) || known.clone().any(|key| key == place),
                    "{} {place}",
                    shape.kind
                );
            }
        }
    }
}
