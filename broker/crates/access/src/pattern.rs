//! Name patterns of permissions and policies: compiled once when they are set, kept beside their text.
//!
//! Patterns search, they are not anchored. RabbitMQ's are PCRE, and look-ahead is common in the field
//! (`^(?!amq\.)`), so the engine backtracks; it gives up after a bounded number of steps and then does not match.

use fancy_regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};
use std::{fmt, sync::Arc};

/// Longest pattern in octets; longer ones are refused when set.
pub const PATTERN_BYTES_MAX: usize = 4096;
/// Steps after which a match is given up: about a millisecond.
const BACKTRACK_STEPS_MAX: usize = 100_000;
/// Memory that one compiled pattern may take.
const COMPILED_BYTES_MAX: usize = 1 << 20;

/// A pattern that does not compile, in the words of RabbitMQ's validation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct PatternError {
    /// What is wrong with it.
    pub problem: String,
}

/// A compiled pattern. Cheap to clone; equal when the texts are.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern {
    text: Arc<str>,
    matcher: Matcher,
}

#[derive(Clone)]
enum Matcher {
    /// `.*`, by far the most frequent.
    All,
    /// Only the empty name, `^$`.
    Empty,
    Search(Arc<Regex>),
}

impl Pattern {
    /// Compiles a search pattern.
    ///
    /// # Errors
    /// When the text is no pattern or too large.
    pub fn new(text: &str) -> Result<Self, PatternError> {
        Pattern::with_meaning(text, text)
    }

    /// A permission: the empty text grants nothing.
    ///
    /// # Errors
    /// As [`Pattern::new`].
    pub fn permission(text: &str) -> Result<Self, PatternError> {
        Pattern::with_meaning(text, if text.is_empty() { "^$" } else { text })
    }

    /// Shows `text` and means `regex`.
    pub(crate) fn with_meaning(text: &str, regex: &str) -> Result<Self, PatternError> {
        let matcher = match regex {
            ".*" | "" => Matcher::All,
            "^$" => Matcher::Empty,
            _ => Matcher::Search(Arc::new(compile(regex)?)),
        };
        Ok(Pattern {
            text: text.into(),
            matcher,
        })
    }

    /// The text as it was set.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// True if the pattern is found anywhere in `name`.
    pub fn matches(&self, name: &str) -> bool {
        match &self.matcher {
            Matcher::All => true,
            Matcher::Empty => name.is_empty(),
            // An error is the step limit: such a pattern grants nothing.
            Matcher::Search(regex) => regex.is_match(name).unwrap_or(false),
        }
    }
}

fn compile(regex: &str) -> Result<Regex, PatternError> {
    if regex.len() > PATTERN_BYTES_MAX {
        let problem = format!(
            "a pattern has at most {PATTERN_BYTES_MAX} octets, this one has {}",
            regex.len()
        );
        return Err(PatternError { problem });
    }
    let mut builder = RegexBuilder::new(regex);
    builder
        .backtrack_limit(BACKTRACK_STEPS_MAX)
        .delegate_size_limit(COMPILED_BYTES_MAX);
    builder.build().map_err(|error| PatternError {
        problem: error.to_string(),
    })
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

impl TryFrom<String> for Pattern {
    type Error = PatternError;
    fn try_from(text: String) -> Result<Self, PatternError> {
        Pattern::new(&text)
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> String {
        pattern.text.as_ref().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_search_and_are_not_anchored() {
        let cases = [
            ("ha", "alpha", true),
            ("^ha", "alpha", false),
            ("", "anything", true),
            ("^(?!amq\\.).*", "amq.topic", false),
            ("^(?!amq\\.).*", "orders", true),
            ("^(a|b)$", "b", true),
        ];
        for (pattern, name, expected) in cases {
            assert_eq!(
                Pattern::new(pattern).unwrap().matches(name),
                expected,
                "{pattern} on {name}"
            );
        }
    }

    #[test]
    fn an_empty_permission_grants_no_name() {
        let nothing = Pattern::permission("").unwrap();
        assert!(!nothing.matches("q"));
        assert!(nothing.matches(""));
        assert_eq!(nothing.as_str(), "");
    }

    #[test]
    fn a_pattern_that_explodes_gives_up_and_grants_nothing() {
        let evil = Pattern::new("^(a+)+\\1$(?=x)").unwrap();
        assert!(!evil.matches(&"a".repeat(255)));
    }

    #[test]
    fn a_bad_or_huge_pattern_is_refused() {
        assert!(Pattern::new("*a").is_err());
        assert!(Pattern::new(&"a".repeat(5000)).is_err());
        assert!(Pattern::new("((a{1000}){1000}){1000}").is_err());
    }
}
