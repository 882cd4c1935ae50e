//! Values as Elixir's `inspect` writes them, on one line: what RabbitMQ's tools print with the formatters `inspect` and `string`.
//!
//! Nothing is left out of a long list, unlike in a shell of Elixir.

use link::Term;

/// A value.
pub(crate) fn inspect(term: &Term) -> String {
    match term {
        Term::Atom(word) => format!(":{}", name(word)),
        Term::Binary(text) => quoted(text),
        Term::Pid(text) => format!("#PID{text}"),
        Term::Integer(number) => number.to_string(),
        Term::Float(number) => format!("{number:?}"),
        Term::Bool(yes) => yes.to_string(),
        Term::List(items) => list(items.iter().map(inspect)),
        Term::Map(pairs) => row(pairs.iter().map(|(key, value)| (key, value))),
        Term::Table(rows) => list(rows.iter().map(|(key, kind, value)| {
            let value = inspect(value);
            format!("{{{}, :{}, {value}}}", quoted(key), name(kind))
        })),
    }
}

/// Named values in their order.
pub(crate) fn row<'a>(pairs: impl Iterator<Item = (&'a String, &'a Term)>) -> String {
    list(pairs.map(|(key, value)| format!("{}: {}", name(key), inspect(value))))
}

fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}

/// A word behind its colon: in quotes unless it is spelt as names are.
pub(crate) fn name(word: &str) -> String {
    let mut letters = word.chars();
    let begins = letters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    let rest = word.strip_suffix(['?', '!']).unwrap_or(word);
    let spelt = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '@';
    match begins && rest.chars().all(spelt) {
        true => word.to_owned(),
        false => quoted(word),
    }
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    let mut letters = text.chars().peekable();
    while let Some(c) = letters.next() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '#' if letters.peek() == Some(&'{') => out.push_str("\\#"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x1b' => out.push_str("\\e"),
            '\0' => out.push_str("\\0"),
            c if c.is_control() => out.push_str(&format!("\\x{:02X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_elixir_writes_them() {
        let table = Term::Table(vec![("x-queue-type".into(), "longstr".into(), Term::text("quorum"))]);
        let pairs = Term::Map(vec![
            ("apply-to".into(), Term::text("all")),
            ("a@b".into(), Term::atom("running")),
        ]);
        for (term, written) in [
            (Term::none(), ":\"\""),
            (Term::atom("topic"), ":topic"),
            (Term::atom("tlsv1.3"), ":\"tlsv1.3\""),
            (Term::text("a\"#{b}\n\u{e9}"), "\"a\\\"\\#{b}\\n\u{e9}\""),
            (Term::Pid("<1.2.3>".into()), "#PID<1.2.3>"),
            (Term::Float(0.5), "0.5"),
            (Term::List(vec![Term::Integer(1), Term::Bool(true)]), "[1, true]"),
            (table, "[{\"x-queue-type\", :longstr, \"quorum\"}]"),
            (pairs, "[\"apply-to\": \"all\", a@b: :running]"),
        ] {
            assert_eq!(inspect(&term), written);
        }
    }
}
