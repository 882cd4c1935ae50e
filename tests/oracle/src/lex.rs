//! Words of one behaviour line: bare words, quoted strings, `{tables}` and `/patterns/`.
//! Quoting decides meaning (a quoted word is never a flag), so every word keeps how it was written.
//! It knows nothing about methods or values.

use anyhow::{Result, bail};

use crate::octets;

/// One word of a line and how it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// Without quotes: a name, number or flag.
    Bare(String),
    /// In single or double quotes, escapes resolved.
    Quoted(String),
    /// `{…}` or `[…]` with balanced brackets, verbatim.
    Braced(String),
    /// `/…/`: a regular expression for the whole word.
    Pattern(String),
}

impl Word {
    /// The text of the word without its quoting.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Bare(text) | Self::Quoted(text) | Self::Braced(text) | Self::Pattern(text) => text,
        }
    }
}

/// Splits a line into words.
///
/// # Errors
/// A quote or bracket that is never closed, an unknown escape.
pub fn words(line: &str) -> Result<Vec<Word>> {
    let mut rest = line.trim_start();
    let mut words = Vec::new();
    while let Some(first) = rest.chars().next() {
        let (word, length) = match first {
            '\'' | '"' => quoted(rest, first)?,
            '{' | '[' => braced(rest)?,
            '/' if pattern_end(rest).is_some() => pattern(rest),
            _ => bare(rest),
        };
        words.push(word);
        rest = rest[length..].trim_start();
    }
    Ok(words)
}

fn bare(text: &str) -> (Word, usize) {
    let length = text.find(char::is_whitespace).unwrap_or(text.len());
    (Word::Bare(text[..length].to_owned()), length)
}

/// Where the closing slash of a leading `/pattern/` stands: the first that ends a word.
fn pattern_end(text: &str) -> Option<usize> {
    let ends = |at: usize| text[at + 1..].chars().next().is_none_or(char::is_whitespace);
    text.match_indices('/').map(|(at, _)| at).find(|&at| at > 1 && ends(at))
}

fn pattern(text: &str) -> (Word, usize) {
    let end = pattern_end(text).unwrap_or(text.len() - 1);
    (Word::Pattern(text[1..end].to_owned()), end + 1)
}

/// Reads a quoted string at the start of `text`; the length includes both quotes.
///
/// # Errors
/// No closing quote, an unknown escape.
pub fn quoted(text: &str, quote: char) -> Result<(Word, usize)> {
    let mut out = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            c if c == quote => return Ok((Word::Quoted(out), at + 1)),
            '\\' => out.push(escape(&mut chars)?),
            c => out.push(c),
        }
    }
    bail!("no closing {quote} in: {text}")
}

fn escape(chars: &mut impl Iterator<Item = (usize, char)>) -> Result<char> {
    Ok(match chars.next().map(|(_, c)| c) {
        Some('r') => '\r',
        Some('n') => '\n',
        Some('0') => '\0',
        Some(c @ ('\\' | '\'' | '"')) => c,
        Some('x') => {
            let hex: String = chars.take(2).map(|(_, c)| c).collect();
            octets::raw(u8::from_str_radix(&hex, 16)?)
        }
        other => bail!("unknown escape \\{other:?}"),
    })
}

fn braced(text: &str) -> Result<(Word, usize)> {
    let mut depth = 0_usize;
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, '{' | '[') => depth += 1,
            (None, '}' | ']') if depth == 1 => return Ok((Word::Braced(text[..=at].to_owned()), at + 1)),
            (None, '}' | ']') => depth -= 1,
            (None, _) => {}
        }
    }
    bail!("no closing bracket in: {text}")
}

/// `text` with control characters and backslashes escaped; quotes stay as they are.
#[must_use]
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\'' | '"' => out.push(c),
            c => out.extend(c.escape_debug()),
        }
    }
    out
}

/// `text` as it would be written in a behaviour file: quoted only where it must be.
#[must_use]
pub fn quote(text: &str) -> String {
    if text.starts_with(['{', '[']) {
        return text.to_owned();
    }
    let plain =
        !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c == '\'' || c == '"' || c.is_control());
    if plain {
        text.to_owned()
    } else {
        format!("\"{}\"", escaped(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_keep_how_they_were_written() {
        let got = words(r#"basic.publish '' a.b "two words" {k: 'v } w'} /x .+/ len:5"#).unwrap();
        let bare = |s: &str| Word::Bare(s.into());
        let expected = [
            bare("basic.publish"),
            Word::Quoted(String::new()),
            bare("a.b"),
            Word::Quoted("two words".into()),
            Word::Braced("{k: 'v } w'}".into()),
            Word::Pattern("x .+".into()),
            bare("len:5"),
        ];
        assert_eq!(got, expected);
    }

    #[test]
    fn an_open_quote_is_refused() {
        assert!(words("a 'b").is_err() && words("{a").is_err());
    }
}
