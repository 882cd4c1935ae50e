//! Terms as Erlang's `~p` prints them: on one line if that has room, else broken at commas by the rules of OTP's `io_lib_pretty`. Scripts read
//! what RabbitMQ's tools print so, line by line.

use link::Term;
use std::fmt::Write as _;

use crate::term::Erlang;

/// Columns of a line.
const LINE: usize = 80;

/// A term as far as printing is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Printed {
    /// A word, as it is printed.
    Atom(String),
    /// Anything else that is never broken: a number, a text, a process.
    Plain(String),
    /// `[…]`
    List(Vec<Printed>),
    /// `{…}`
    Tuple(Vec<Printed>),
    /// `#{…}`
    Map(Vec<(Printed, Printed)>),
}

impl From<&Erlang> for Printed {
    fn from(term: &Erlang) -> Self {
        let all = |items: &[Erlang]| items.iter().map(Printed::from).collect();
        match term {
            Erlang::Atom(_) => Printed::Atom(term.to_string()),
            Erlang::List(items) => Printed::List(all(items)),
            Erlang::Tuple(items) => Printed::Tuple(all(items)),
            Erlang::Map(pairs) => Printed::Map(pairs.iter().map(|(key, value)| (key.into(), value.into())).collect()),
            Erlang::Text(text) => Printed::characters(text),
            Erlang::Binary(text) => Printed::binary(text),
            Erlang::Integer(_) | Erlang::Float(_) => Printed::Plain(term.to_string()),
        }
    }
}

/// What a node tells.
impl From<&Term> for Printed {
    fn from(term: &Term) -> Self {
        match term {
            Term::Atom(text) => Printed::word(text),
            Term::Binary(text) => Printed::binary(text),
            Term::Pid(text) => Printed::Plain(text.clone()),
            Term::Integer(number) => Printed::Plain(number.to_string()),
            Term::Float(number) => Printed::Plain(format!("{number:?}")),
            Term::Bool(yes) => Printed::Atom(yes.to_string()),
            Term::List(items) => Printed::List(items.iter().map(Printed::from).collect()),
            Term::Map(pairs) => {
                let pair = |(name, value): &(String, Term)| Printed::pair(name, value.into());
                Printed::List(pairs.iter().map(pair).collect())
            }
            Term::Table(rows) => {
                let triple = |(key, kind, value): &(String, String, Term)| {
                    Printed::Tuple(vec![Printed::binary(key), Printed::word(kind), value.into()])
                };
                Printed::List(rows.iter().map(triple).collect())
            }
        }
    }
}

impl Printed {
    /// A word.
    pub fn word(text: &str) -> Self {
        Printed::Atom(link::atom_text(text))
    }

    /// A name and its value.
    pub fn pair(name: &str, value: Printed) -> Self {
        Printed::Tuple(vec![Printed::word(name), value])
    }

    /// A text that is a list of characters.
    pub fn characters(text: &str) -> Self {
        match text {
            "" => Printed::List(Vec::new()),
            text => Printed::Plain(Erlang::Text(text.to_owned()).to_string()),
        }
    }

    /// A text that is a binary.
    pub fn binary(text: &str) -> Self {
        match text {
            "" => Printed::Plain("<<>>".to_owned()),
            text => Printed::Plain(Erlang::Binary(text.to_owned()).to_string()),
        }
    }

    /// As `~p` prints it, lines of 80 columns where that can be.
    pub fn pretty(&self) -> String {
        if self.length() < LINE - 1 {
            return self.line();
        }
        // Elements behind a tag stand behind it, or else four columns to the right of its bracket, if that leaves them half a line.
        let indents = [None, Some(4)].into_iter();
        let tag_indent = indents.into_iter().find(|indent| self.leaves_room(*indent, 1, 0));
        let mut printer = Printer {
            tag_indent: tag_indent.unwrap_or(Some(1)),
            out: String::new(),
        };
        printer.term(self, 1, 0);
        printer.out
    }

    fn length(&self) -> usize {
        let all = |items: &[Printed]| items.iter().map(|item| item.length() + 1).sum::<usize>().max(1) + 1;
        match self {
            Printed::Atom(text) | Printed::Plain(text) => text.chars().count(),
            Printed::List(items) | Printed::Tuple(items) => all(items),
            Printed::Map(pairs) => pairs.iter().map(|pair| pair_length(pair) + 1).sum::<usize>().max(1) + 2,
        }
    }

    fn line(&self) -> String {
        let all = |items: &[Printed]| items.iter().map(Printed::line).collect::<Vec<_>>().join(",");
        match self {
            Printed::Atom(text) | Printed::Plain(text) => text.clone(),
            Printed::List(items) => format!("[{}]", all(items)),
            Printed::Tuple(items) => format!("{{{}}}", all(items)),
            Printed::Map(pairs) => {
                let pairs = pairs
                    .iter()
                    .map(|(key, value)| format!("{} => {}", key.line(), value.line()));
                format!("#{{{}}}", pairs.collect::<Vec<_>>().join(","))
            }
        }
    }

    /// It has no elements, so it is never broken.
    fn is_simple(&self) -> bool {
        match self {
            Printed::Atom(_) | Printed::Plain(_) => true,
            Printed::List(items) | Printed::Tuple(items) => items.is_empty(),
            Printed::Map(pairs) => pairs.is_empty(),
        }
    }

    fn fits(&self, column: usize, closing: usize) -> bool {
        self.length() + column + closing < LINE
    }

    /// The tag of a tuple and what follows it.
    fn tagged(&self) -> Option<(&str, &[Printed])> {
        match self {
            Printed::Tuple(items) => match items.as_slice() {
                [Printed::Atom(tag), rest @ ..] if !rest.is_empty() => Some((tag, rest)),
                _ => None,
            },
            _ => None,
        }
    }

    /// No elements would begin in the right half of a line because of the tags before them.
    fn leaves_room(&self, tag_indent: Option<usize>, column: usize, closing: usize) -> bool {
        if self.is_simple() || self.fits(column, closing) {
            return true;
        }
        let room = |items: &[Printed], column| {
            let last = items.len().saturating_sub(1);
            let mut all = items.iter().enumerate();
            all.all(|(place, item)| item.leaves_room(tag_indent, column, closing_after(place == last, closing)))
        };
        match (self, self.tagged()) {
            (_, Some((tag, rest))) => {
                let behind = tag.chars().count() + 2;
                let begin = column + tag_indent.filter(|indent| behind > *indent).unwrap_or(behind);
                begin <= LINE / 2 && room(rest, begin)
            }
            (Printed::List(items) | Printed::Tuple(items), None) => room(items, column + 1),
            _ => true,
        }
    }
}

fn pair_length((key, value): &(Printed, Printed)) -> usize {
    key.length() + " => ".len() + value.length()
}

/// Brackets that close behind an element: one more behind the last.
fn closing_after(is_last: bool, closing: usize) -> usize {
    if is_last { closing + 1 } else { 0 }
}

/// Columns count from 1; `closing` are the brackets that follow on the same line.
struct Printer {
    /// How far to the right of its bracket the rest of a tagged tuple stands, if that is less than its tag takes.
    tag_indent: Option<usize>,
    out: String,
}

impl Printer {
    fn term(&mut self, term: &Printed, column: usize, closing: usize) {
        if term.is_simple() || term.fits(column, closing) {
            return self.out.push_str(&term.line());
        }
        match (term, term.tagged()) {
            (_, Some((tag, rest))) => self.tuple(tag, rest, column, closing),
            (Printed::List(items), None) => self.all(["[", "]"], items, column + 1, closing),
            (Printed::Tuple(items), None) => self.all(["{", "}"], items, column + 1, closing),
            (Printed::Map(pairs), None) => self.map(pairs, column + 2, closing),
            (Printed::Atom(_) | Printed::Plain(_), None) => {}
        }
    }

    fn tuple(&mut self, tag: &str, rest: &[Printed], column: usize, closing: usize) {
        self.out.push('{');
        self.out.push_str(tag);
        let behind = tag.chars().count() + 2;
        match self.tag_indent.filter(|indent| behind > *indent) {
            Some(indent) => self.rest(rest, column + indent, column + behind, closing),
            None => {
                self.out.push(',');
                self.items(rest, column + behind, closing);
            }
        }
        self.out.push('}');
    }

    fn all(&mut self, brackets: [&str; 2], items: &[Printed], column: usize, closing: usize) {
        self.out.push_str(brackets[0]);
        self.items(items, column, closing);
        self.out.push_str(brackets[1]);
    }

    fn items(&mut self, items: &[Printed], column: usize, closing: usize) {
        let Some((first, rest)) = items.split_first() else {
            return;
        };
        let next = self.element(first, column, closing_after(rest.is_empty(), closing));
        self.rest(rest, column, next, closing);
    }

    /// An element at the beginning of its column; where the next one may follow.
    fn element(&mut self, element: &Printed, column: usize, closing: usize) -> usize {
        self.term(element, column, closing);
        match element.is_simple() && element.fits(column, closing) {
            true => column + element.length(),
            false => column + LINE,
        }
    }

    /// Elements behind others: as many simple ones on a line as have room, each other one on its own.
    fn rest(&mut self, rest: &[Printed], column: usize, mut next: usize, closing: usize) {
        for (place, element) in rest.iter().enumerate() {
            let closing = closing_after(place + 1 == rest.len(), closing);
            let length = element.length() + 1;
            self.out.push(',');
            if element.is_simple() && length + closing.max(1) + next < LINE {
                self.out.push_str(&element.line());
                next += length;
            } else {
                self.break_line(column);
                next = self.element(element, column, closing);
            }
        }
    }

    fn map(&mut self, pairs: &[(Printed, Printed)], column: usize, closing: usize) {
        self.out.push_str("#{");
        let mut next = column;
        for (place, pair) in pairs.iter().enumerate() {
            let closing = closing_after(place + 1 == pairs.len(), closing);
            let length = pair_length(pair) + usize::from(place > 0);
            let is_simple = pair.0.is_simple() && pair.1.is_simple();
            if place > 0 {
                self.out.push(',');
            }
            let stays = place == 0 || is_simple && length + closing.max(1) + next < LINE;
            if !stays {
                self.break_line(column);
                next = column;
            }
            self.pair(pair, next, closing);
            next = if is_simple { next + length } else { column + LINE };
        }
        self.out.push('}');
    }

    fn pair(&mut self, pair: &(Printed, Printed), column: usize, closing: usize) {
        let (key, value) = (pair.0.line(), &pair.1);
        self.out.push_str(&key);
        self.out.push_str(" =>");
        if pair_length(pair) + column + closing < LINE || value.is_simple() {
            self.out.push(' ');
            return self.out.push_str(&value.line());
        }
        self.break_line(column + 4);
        self.term(value, column + 4, closing);
    }

    fn break_line(&mut self, column: usize) {
        // Writing to a text cannot fail.
        let _ = write!(self.out, "\n{:1$}", "", column - 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What RabbitMQ 3.10.8 printed on OTP 25.
    const PRINTED: [&str; 4] = [
        include_str!("fixtures/status.txt"),
        include_str!("fixtures/cluster_status.txt"),
        include_str!("fixtures/environment.txt"),
        include_str!("fixtures/exchanges.txt"),
    ];

    #[test]
    fn terms_are_broken_into_lines_where_erlang_breaks_them() {
        for printed in PRINTED {
            let printed = printed.trim_end();
            let (term, rest) = read(printed);
            assert_eq!(rest, "");
            assert_eq!(term.pretty(), printed);
        }
    }

    #[test]
    fn texts_are_escaped_and_empty_ones_have_no_quotes() {
        let shown = |text| (Printed::binary(text).pretty(), Printed::characters(text).pretty());
        assert_eq!(shown(""), ("<<>>".to_owned(), "[]".to_owned()));
        let (binary, characters) = shown("a\n\"b\\");
        assert_eq!(binary, r#"<<"a\n\"b\\">>"#);
        assert_eq!(characters, r#""a\n\"b\\""#);
    }

    fn read(text: &str) -> (Printed, &str) {
        let text = text.trim_start();
        for (open, close) in [("[", "]"), ("{", "}")] {
            if let Some(inside) = text.strip_prefix(open) {
                let (items, rest) = all(inside, close, &read);
                return match open {
                    "[" => (Printed::List(items), rest),
                    _ => (Printed::Tuple(items), rest),
                };
            }
        }
        if let Some(inside) = text.strip_prefix("#{") {
            let pair = |text| {
                let (key, rest) = read(text);
                let (value, rest) = read(rest.trim_start().strip_prefix("=>").unwrap());
                ((key, value), rest)
            };
            let (pairs, rest) = all(inside, "}", &pair);
            return (Printed::Map(pairs), rest);
        }
        word(text)
    }

    fn all<'a, T>(text: &'a str, close: &str, one: &dyn Fn(&'a str) -> (T, &'a str)) -> (Vec<T>, &'a str) {
        let (mut items, mut rest) = (Vec::new(), text);
        while !rest.trim_start().starts_with(close) {
            let (item, more) = one(rest);
            items.push(item);
            rest = more.trim_start();
            rest = rest.strip_prefix(',').unwrap_or(rest);
        }
        (items, rest.trim_start().strip_prefix(close).unwrap())
    }

    /// A word, number, text, binary or function.
    fn word(text: &str) -> (Printed, &str) {
        let quote = text
            .trim_start_matches("<<")
            .chars()
            .next()
            .filter(|c| "'\"".contains(*c));
        let end = match quote {
            Some(quote) => {
                let begin = text.find(quote).unwrap() + 1;
                let mut escaped = false;
                let is_end = |c: char| {
                    let ends = c == quote && !escaped;
                    escaped = c == '\\' && !escaped;
                    ends
                };
                let end = begin + text[begin..].find(is_end).unwrap() + 1;
                end + if text.starts_with("<<") { 2 } else { 0 }
            }
            None if text.starts_with('#') => text.find('>').unwrap() + 1,
            None => text.find([',', ']', '}', '\n', ' ']).unwrap_or(text.len()),
        };
        let (word, rest) = text.split_at(end);
        match word.starts_with(|c: char| c.is_ascii_lowercase() || c == '\'') {
            true => (Printed::Atom(word.into()), rest),
            false => (Printed::Plain(word.into()), rest),
        }
    }
}
