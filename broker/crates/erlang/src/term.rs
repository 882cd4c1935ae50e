//! Erlang terms as text, as `rabbitmq.config` and `advanced.config` hold them: atoms, numbers, strings, binaries, lists
//! and tuples.
//!
//! No term is deeper than a bound, and nothing is evaluated: what is no plain term is refused with its line.

use std::fmt;

/// Most terms within terms.
const DEPTH_MAX: usize = 32;

/// One term.
#[derive(Clone, Debug, PartialEq)]
pub enum Erlang {
    /// A word, perhaps quoted.
    Atom(String),
    /// A whole number.
    Integer(i64),
    /// A fraction.
    Float(f64),
    /// `"text"`
    Text(String),
    /// `<<"text">>`
    Binary(String),
    /// `[…]`
    List(Vec<Erlang>),
    /// `{…}`
    Tuple(Vec<Erlang>),
    /// `#{…}`; only octets hold such, no configuration does.
    Map(Vec<(Erlang, Erlang)>),
}

/// A text that is no term.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoTerm {
    /// From 1.
    pub line: usize,
    /// What was expected there.
    pub expected: &'static str,
}

/// The first term of a text, which ends with a dot.
///
/// # Errors
/// The line where it does not read.
pub fn read(text: &str) -> Result<Erlang, NoTerm> {
    let mut reader = Reader { rest: text, text };
    let term = reader.term(0)?;
    reader.skip();
    match reader.rest.starts_with('.') {
        true => Ok(term),
        false => Err(reader.expected("a dot after the last bracket")),
    }
}

/// The term that a whole text is, with a dot behind it or without.
///
/// # Errors
/// The line where it does not read.
pub fn expression(text: &str) -> Result<Erlang, NoTerm> {
    let mut reader = Reader { rest: text, text };
    let term = reader.term(0)?;
    reader.take(".");
    reader.skip();
    match reader.rest.is_empty() {
        true => Ok(term),
        false => Err(reader.expected("nothing after the term")),
    }
}

/// As Erlang prints it on one line.
impl fmt::Display for Erlang {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Erlang::Atom(word) if is_plain(word) => f.write_str(word),
            Erlang::Atom(word) => write!(f, "'{}'", escaped(word, '\'')),
            Erlang::Integer(number) => write!(f, "{number}"),
            Erlang::Float(number) => write!(f, "{number:?}"),
            Erlang::Text(text) => write!(f, "\"{}\"", escaped(text, '"')),
            Erlang::Binary(text) => write!(f, "<<\"{}\">>", escaped(text, '"')),
            Erlang::List(items) => write_all(f, ["[", "]"], items),
            Erlang::Tuple(items) => write_all(f, ["{", "}"], items),
            Erlang::Map(pairs) => {
                f.write_str("#{")?;
                for (place, (key, value)) in pairs.iter().enumerate() {
                    let comma = if place > 0 { "," } else { "" };
                    write!(f, "{comma}{key} => {value}")?;
                }
                f.write_str("}")
            }
        }
    }
}

fn write_all(f: &mut fmt::Formatter<'_>, brackets: [&str; 2], items: &[Erlang]) -> fmt::Result {
    f.write_str(brackets[0])?;
    for (place, item) in items.iter().enumerate() {
        let comma = if place == 0 { "" } else { "," };
        write!(f, "{comma}{item}")?;
    }
    f.write_str(brackets[1])
}

/// An atom that needs no quotes.
fn is_plain(word: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '@';
    word.starts_with(|c: char| c.is_ascii_lowercase()) && word.chars().all(is_part)
}

fn escaped(text: &str, quote: char) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\x1b' => out.push_str("\\e"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if c == quote || c == '\\' => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out
}

struct Reader<'a> {
    rest: &'a str,
    text: &'a str,
}

impl Reader<'_> {
    fn expected(&self, expected: &'static str) -> NoTerm {
        let read = self.text.len() - self.rest.len();
        let line = 1 + self.text[..read].matches('\n').count();
        NoTerm { line, expected }
    }

    /// Goes past spaces and comments.
    fn skip(&mut self) {
        loop {
            self.rest = self.rest.trim_start();
            match self.rest.strip_prefix('%') {
                Some(comment) => self.rest = comment.find('\n').map_or("", |end| &comment[end..]),
                None => return,
            }
        }
    }

    fn take(&mut self, word: &str) -> bool {
        self.skip();
        match self.rest.strip_prefix(word) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn term(&mut self, depth: usize) -> Result<Erlang, NoTerm> {
        if depth > DEPTH_MAX {
            return Err(self.expected("fewer brackets within brackets"));
        }
        self.skip();
        match self.rest.chars().next() {
            Some('[') => Ok(Erlang::List(self.items("[", "]", depth)?)),
            Some('{') => Ok(Erlang::Tuple(self.items("{", "}", depth)?)),
            Some('<') => self.binary(),
            Some('"') => Ok(Erlang::Text(self.quoted('"')?)),
            Some('\'') => Ok(Erlang::Atom(self.quoted('\'')?)),
            Some(c) if c.is_ascii_digit() || c == '-' || c == '+' => self.number(),
            Some(c) if c.is_ascii_lowercase() => Ok(Erlang::Atom(self.word().to_owned())),
            _ => Err(self.expected("a list, tuple, atom, number, string or binary")),
        }
    }

    fn items(&mut self, open: &str, close: &str, depth: usize) -> Result<Vec<Erlang>, NoTerm> {
        let mut items = Vec::new();
        self.take(open);
        if self.take(close) {
            return Ok(items);
        }
        loop {
            items.push(self.term(depth + 1)?);
            match (self.take(","), self.take(close)) {
                (true, false) => {}
                (false, true) => return Ok(items),
                _ => return Err(self.expected("a comma or a closing bracket")),
            }
        }
    }

    /// `<<"text">>`, or `<<>>`.
    fn binary(&mut self) -> Result<Erlang, NoTerm> {
        if !self.take("<<") {
            return Err(self.expected("a binary such as <<\"guest\">>"));
        }
        if self.take(">>") {
            return Ok(Erlang::Binary(String::new()));
        }
        self.skip();
        let text = self.quoted('"')?;
        self.take("/utf8");
        match self.take(">>") {
            true => Ok(Erlang::Binary(text)),
            false => Err(self.expected(">> after the text of a binary")),
        }
    }

    fn quoted(&mut self, quote: char) -> Result<String, NoTerm> {
        let Some(inside) = self.rest.strip_prefix(quote) else {
            return Err(self.expected("a text in quotes"));
        };
        let mut text = String::new();
        let mut chars = inside.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' => text.extend(chars.next().map(|(_, c)| unescaped(c))),
                c if c == quote => {
                    self.rest = &inside[at + c.len_utf8()..];
                    return Ok(text);
                }
                c => text.push(c),
            }
        }
        Err(self.expected("the quote at the end of a text"))
    }

    fn word(&mut self) -> &str {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '@';
        let end = self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    fn number(&mut self) -> Result<Erlang, NoTerm> {
        let whole = self.rest.find(|c: char| !(c.is_ascii_digit() || c == '-' || c == '+'));
        let mut end = whole.unwrap_or(self.rest.len());
        let fraction = self.rest[end..].strip_prefix('.').map(|rest| {
            rest.find(|c: char| !(c.is_ascii_digit() || "eE-+".contains(c)))
                .unwrap_or(rest.len())
        });
        // A dot without a digit behind it ends the term.
        if let Some(digits @ 1..) = fraction {
            end += 1 + digits;
        }
        let (text, rest) = self.rest.split_at(end);
        let read = match text.contains('.') {
            true => text.parse().ok().map(Erlang::Float),
            false => text.parse().ok().map(Erlang::Integer),
        };
        let term = read.ok_or_else(|| self.expected("a number"))?;
        self.rest = rest;
        Ok(term)
    }
}

fn unescaped(c: char) -> char {
    match c {
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        's' => ' ',
        'e' => '\x1b',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn atom(word: &str) -> Erlang {
        Erlang::Atom(word.to_owned())
    }

    #[test]
    fn a_file_of_terms_is_read_with_comments_and_all_kinds_of_values() {
        let text =
            "%% mine\n[ {rabbit, [{a, 1}, {b, -0.4}, % half\n {'c d', \"x\\\"y\"}, {e, <<\"g\">>}, {f, [] } ]} ].\n";
        let pair = |key: &str, value| Erlang::Tuple(vec![atom(key), value]);
        let settings = vec![
            pair("a", Erlang::Integer(1)),
            pair("b", Erlang::Float(-0.4)),
            pair("c d", Erlang::Text("x\"y".to_owned())),
            pair("e", Erlang::Binary("g".to_owned())),
            pair("f", Erlang::List(Vec::new())),
        ];
        let expected = Erlang::List(vec![pair("rabbit", Erlang::List(settings))]);
        assert_eq!(read(text), Ok(expected));
        assert_eq!(read("5."), Ok(Erlang::Integer(5)));
    }

    #[test]
    fn a_term_is_printed_as_it_is_read() {
        for text in [
            "abc",
            "'a b'",
            "\"x\\\"y\\n\"",
            "<<\"g\">>",
            "[1,{a,-0.5},[]]",
            "'it\\'s'",
            "\"\\e[1m\"",
        ] {
            assert_eq!(expression(text).unwrap().to_string(), text);
        }
        assert_eq!(expression(" a . ").unwrap(), atom("a"));
        assert!(expression("a b").is_err() && expression("").is_err());
    }

    #[test]
    fn what_is_no_term_is_refused_with_its_line() {
        for (text, line) in [
            ("", 1),
            ("[{a, 1}]", 1),
            ("[\n{a, 1\n].", 3),
            ("[\n\n{a, X}].", 3),
            ("[{a,, 1}].", 1),
            ("[\"open].", 1),
            ("[fun() -> 1 end].", 1),
            ("[<<1>>].", 1),
        ] {
            assert_eq!(read(text).unwrap_err().line, line, "{text}");
        }
        assert!(read(&"[".repeat(10_000)).is_err());
    }
}
