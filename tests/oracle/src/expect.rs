//! Compares what arrived with what a behaviour expects, word by word.
//! In an expected word `…` stands for any text and `?name` captures; a last lone `…` stands for any further words.
//! It never waits and never sends.

use std::collections::BTreeMap;

use anyhow::Result;
use regex::Regex;

use crate::lex::Word;

/// Captured texts by name.
pub type Captures = BTreeMap<String, String>;

/// Whether `got` is what `expected` describes; captures are added only on a match.
///
/// # Errors
/// A pattern that is no regular expression.
pub fn matches(expected: &[Word], got: &[String], captures: &mut Captures) -> Result<bool> {
    let open = matches!(expected.last(), Some(Word::Bare(last)) if last == "…");
    let fixed = &expected[..expected.len() - usize::from(open)];
    if got.len() < fixed.len() || (!open && got.len() != fixed.len()) {
        return Ok(false);
    }
    let mut found = captures.clone();
    for (word, text) in fixed.iter().zip(got) {
        if !word_matches(word, text, &mut found)? {
            return Ok(false);
        }
    }
    *captures = found;
    Ok(true)
}

fn word_matches(word: &Word, text: &str, captures: &mut Captures) -> Result<bool> {
    let pattern = match word {
        Word::Pattern(pattern) => pattern.clone(),
        other if !other.text().contains(['…', '?']) => return Ok(other.text() == text),
        other => template(other.text(), captures)?,
    };
    let regex = Regex::new(&format!("^(?s:{pattern})$"))?;
    let Some(found) = regex.captures(text) else {
        return Ok(false);
    };
    for name in regex.capture_names().flatten() {
        if let Some(value) = found.name(name) {
            captures.insert(name.to_owned(), value.as_str().to_owned());
        }
    }
    Ok(true)
}

/// The regular expression of a word with `…` and `?name`; a name already captured must come again as it was.
fn template(text: &str, captures: &Captures) -> Result<String> {
    let holes = Regex::new(r"…|\?([a-z]+)")?;
    let mut pattern = String::new();
    let mut after = 0;
    for hole in holes.captures_iter(text) {
        let whole = hole.get(0).map_or(0..0, |m| m.range());
        pattern.push_str(&regex::escape(&text[after..whole.start]));
        after = whole.end;
        match hole.get(1).map(|name| name.as_str()) {
            None => pattern.push_str(".*"),
            Some(name) => match captures.get(name) {
                Some(known) => pattern.push_str(&regex::escape(known)),
                None => pattern.push_str(&format!("(?P<{name}>.+)")),
            },
        }
    }
    pattern.push_str(&regex::escape(&text[after..]));
    Ok(pattern)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lex::words;

    fn check(expected: &str, got: &[&str], captures: &mut Captures) -> bool {
        let got: Vec<String> = got.iter().map(|&s| s.to_owned()).collect();
        matches(&words(expected).unwrap(), &got, captures).unwrap()
    }

    #[test]
    fn words_holes_patterns_and_captures() {
        let mut captures = Captures::new();
        assert!(check("a b.c ''", &["a", "b.c", ""], &mut captures));
        assert!(!check("a b.c", &["a", "bxc"], &mut captures));
        assert!(!check("a", &["a", "b"], &mut captures));
        assert!(check("a …", &["a", "b", "c"], &mut captures));
        assert!(check("'x … y' /[0-9]+/", &["x any thing y", "42"], &mut captures));
        assert!(check("n ?q", &["n", "amq.gen-1"], &mut captures));
        assert_eq!(captures["q"], "amq.gen-1");
        assert!(!check("n ?q", &["n", "amq.gen-2"], &mut captures));
    }
}
