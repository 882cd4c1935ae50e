//! Rows and values in the formats that scripts parse: table, JSON, CSV, pretty table, terms of Erlang and of Elixir.
//!
//! A row is printed as soon as it is there, save where a format needs all rows first. Order of columns is the order
//! that was asked for.

use crate::elixir;
use crate::options::Options;
use crate::problem::{Problem, UNAVAILABLE, USAGE};
use erlang::Printed;
use link::{Term, atom_text as atom};
use std::io::{self, BufWriter, Stdout, Write};

/// An output format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Table,
    Json,
    JsonStream,
    Csv,
    PrettyTable,
    Erlang,
    Inspect,
    String,
}

impl Format {
    /// The format that is asked for.
    pub(crate) fn of(options: &Options) -> Result<Self, Problem> {
        let Some(asked) = options.text("formatter") else {
            return Ok(Format::Table);
        };
        match asked.to_ascii_lowercase().as_str() {
            // What `report` alone takes is what it prints anyway.
            "table" | "report"
                if asked != "report" || options.arguments.first().is_some_and(|name| name == "report") =>
            {
                Ok(Format::Table)
            }
            "json" => Ok(Format::Json),
            "json_stream" => Ok(Format::JsonStream),
            "csv" => Ok(Format::Csv),
            "pretty_table" => Ok(Format::PrettyTable),
            "erlang" => Ok(Format::Erlang),
            "inspect" => Ok(Format::Inspect),
            "string" => Ok(Format::String),
            _ => {
                let known = "use table, json, json_stream, csv, pretty_table, erlang, inspect or string";
                Err(Problem::plain(
                    USAGE,
                    format!("formatter '{asked}' is not supported, {known}"),
                ))
            }
        }
    }

    /// Formats for machines have no informational lines.
    pub(crate) fn is_for_machines(self) -> bool {
        matches!(self, Format::Json | Format::JsonStream | Format::Csv)
    }
}

/// Prints the rows of one list.
pub(crate) struct Printer {
    format: Format,
    columns: Vec<String>,
    with_header: bool,
    rows: usize,
    /// Rows that a format needs all at once.
    kept: Vec<Vec<Term>>,
    out: BufWriter<Stdout>,
}

impl Printer {
    /// A printer of rows with these columns.
    pub(crate) fn new(format: Format, columns: &[String], with_header: bool) -> Self {
        Printer {
            format,
            columns: columns.to_vec(),
            with_header,
            rows: 0,
            kept: Vec::new(),
            out: BufWriter::new(io::stdout()),
        }
    }

    /// One more row.
    pub(crate) fn row(&mut self, row: Vec<Term>) -> Result<(), Problem> {
        let first = self.rows == 0;
        self.rows += 1;
        match self.format {
            Format::PrettyTable | Format::Erlang => {
                self.kept.push(row);
                Ok(())
            }
            Format::Json => {
                let object = json_object(self.columns.iter().zip(&row));
                self.of_a_list(first, &object)
            }
            Format::JsonStream => {
                let object = json_object(self.columns.iter().zip(&row));
                self.line(&format!("{object}\n"))
            }
            Format::Inspect => {
                let pairs = elixir::row(self.columns.iter().zip(&row));
                self.of_a_list(first, &pairs)
            }
            Format::String => {
                let pairs = elixir::row(self.columns.iter().zip(&row));
                self.line(&pairs)
            }
            Format::Csv => {
                self.header(first, |columns| csv(columns.iter().map(String::as_str)))?;
                let fields: Vec<String> = row.iter().map(text).collect();
                self.line(&csv(fields.iter().map(String::as_str)))
            }
            Format::Table => {
                self.header(first, |columns| columns.join("\t"))?;
                let fields: Vec<String> = row.iter().map(text).collect();
                self.line(&fields.join("\t"))
            }
        }
    }

    /// A row in brackets that all share.
    fn of_a_list(&mut self, first: bool, row: &str) -> Result<(), Problem> {
        let before = if first { "[\n" } else { "," };
        self.line(&format!("{before}{row}"))
    }

    fn header(&mut self, first: bool, header: impl Fn(&[String]) -> String) -> Result<(), Problem> {
        match first && self.with_header {
            true => self.line(&header(&self.columns)),
            false => Ok(()),
        }
    }

    /// The end; `blank` puts a blank line in the place of an empty list, as those of RabbitMQ's commands do that have the list as a whole.
    pub(crate) fn end(mut self, blank: bool) -> Result<(), Problem> {
        match self.format {
            Format::Inspect if self.rows == 0 && blank => self.line("[]")?,
            Format::Json | Format::Inspect if self.rows == 0 => self.line("[\n]")?,
            Format::Json | Format::Inspect => self.line("]")?,
            Format::PrettyTable if self.rows > 0 => {
                let table = pretty(&self.columns, &self.kept);
                self.line(&table)?;
            }
            Format::Erlang => {
                let list = erlang_rows(&self.columns, &self.kept);
                self.line(&list)?;
            }
            Format::Table if self.rows == 0 && blank => self.line("")?,
            Format::Table | Format::Csv | Format::PrettyTable | Format::JsonStream | Format::String => {}
        }
        self.out.flush().map_err(|error| unwritten(&error))
    }

    fn line(&mut self, line: &str) -> Result<(), Problem> {
        writeln!(self.out, "{line}").map_err(|error| unwritten(&error))
    }
}

fn unwritten(error: &io::Error) -> Problem {
    crate::problem::unheard(error);
    Problem::error(UNAVAILABLE, format!("cannot write: {error}"))
}

fn csv<'a>(fields: impl Iterator<Item = &'a str>) -> String {
    let quoted: Vec<String> = fields
        .map(|field| format!("\"{}\"", field.replace('"', "\"\"")))
        .collect();
    quoted.join(",")
}

/// A value in a table's field.
pub(crate) fn text(term: &Term) -> String {
    match term {
        Term::Atom(text) | Term::Binary(text) | Term::Pid(text) => text.clone(),
        Term::Integer(number) => number.to_string(),
        Term::Float(number) => number.to_string(),
        Term::Bool(yes) => yes.to_string(),
        Term::List(items) => format!("[{}]", items.iter().map(text).collect::<Vec<_>>().join(", ")),
        Term::Table(_) => inner(term),
        Term::Map(pairs) => {
            let pairs = pairs
                .iter()
                .map(|(key, value)| format!("{{{}, {}}}", atom(key), text(value)));
            format!("[{}]", pairs.collect::<Vec<_>>().join(", "))
        }
    }
}

/// A value inside an AMQP table: texts are quoted, so that `"1"` is not 1.
fn inner(term: &Term) -> String {
    match term {
        Term::Binary(text) => quoted(text),
        Term::List(items) => format!("[{}]", items.iter().map(inner).collect::<Vec<_>>().join(",")),
        Term::Table(rows) => {
            let pairs = rows
                .iter()
                .map(|(key, _, value)| format!("{{{},{}}}", quoted(key), inner(value)));
            format!("[{}]", pairs.collect::<Vec<_>>().join(","))
        }
        other => text(other),
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A value as JSON, keys in their order.
pub(crate) fn json(term: &Term) -> String {
    match term {
        Term::Atom(text) | Term::Binary(text) | Term::Pid(text) => json_text(text),
        Term::Integer(number) => number.to_string(),
        Term::Float(number) => serde_json::Value::from(*number).to_string(),
        Term::Bool(yes) => yes.to_string(),
        Term::List(items) => format!("[{}]", items.iter().map(json).collect::<Vec<_>>().join(",")),
        Term::Map(pairs) => json_object(pairs.iter().map(|(key, value)| (key, value))),
        Term::Table(rows) => {
            let triple = |(key, kind, value): &(String, String, Term)| {
                format!("[{},{},{}]", json_text(key), json_text(kind), json(value))
            };
            format!("[{}]", rows.iter().map(triple).collect::<Vec<_>>().join(","))
        }
    }
}

fn json_object<'a>(pairs: impl Iterator<Item = (&'a String, &'a Term)>) -> String {
    let fields = pairs.map(|(key, value)| format!("{}:{}", json_text(key), json(value)));
    format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
}

fn json_text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A value as an Erlang term, as RabbitMQ's tools print it.
pub(crate) fn erlang(term: &Term) -> String {
    Printed::from(term).pretty()
}

fn erlang_rows(columns: &[String], rows: &[Vec<Term>]) -> String {
    let row = |row: &Vec<Term>| {
        let pairs = columns.iter().zip(row);
        Printed::List(
            pairs
                .map(|(name, value)| Printed::pair(name, Printed::from(value)))
                .collect(),
        )
    };
    Printed::List(rows.iter().map(row).collect()).pretty()
}

/// Boxes of a terminal's line-drawing letters, names in bold.
pub(crate) fn pretty(columns: &[String], rows: &[Vec<Term>]) -> String {
    let cells: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(plain).collect()).collect();
    let width = |at: usize| {
        let longest = cells
            .iter()
            .filter_map(|row| row.get(at))
            .map(|cell| cell.chars().count());
        longest.chain([columns[at].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let rule = |left: char, middle: &str, right: char| {
        let lines: Vec<String> = widths.iter().map(|width| "q".repeat(width + 2)).collect();
        format!("\x1b(0{left}{}{right}\x1b(B", lines.join(middle))
    };
    let line = |cells: &[String], bold: bool| {
        let cell = |(cell, width): (&String, &usize)| {
            let pad = " ".repeat(width - cell.chars().count());
            match bold {
                true => format!(" \x1b[1m{cell}\x1b[0m{pad} "),
                false => format!(" {cell}{pad} "),
            }
        };
        let joined: Vec<String> = cells.iter().zip(&widths).map(cell).collect();
        let bar = "\x1b(0x\x1b(B";
        format!("{bar}{}{bar}", joined.join(bar))
    };
    let mut lines = vec![rule('l', "w", 'k'), line(columns, true)];
    for row in &cells {
        lines.extend([rule('t', "n", 'u'), line(row, false)]);
    }
    lines.push(rule('m', "v", 'j'));
    lines.join("\n")
}

/// Lists of words, and of words with values, stand without brackets in a box.
fn plain(term: &Term) -> String {
    match term {
        Term::List(items) => items.iter().map(text).collect::<Vec<_>>().join(", "),
        Term::Map(pairs) => {
            let pairs = pairs
                .iter()
                .map(|(key, value)| format!("{{{},{}}}", atom(key), text(value)));
            pairs.collect::<Vec<_>>().join(", ")
        }
        other => text(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments() -> Term {
        let row = |key: &str, kind: &str, value| (key.to_owned(), kind.to_owned(), value);
        Term::Table(vec![
            row("x-max-length", "long", Term::Integer(10)),
            row("x-dead-letter-exchange", "longstr", Term::text("dlx")),
        ])
    }

    #[test]
    fn a_value_looks_as_rabbitmqs_tools_show_it() {
        let tags = Term::List(vec![Term::atom("administrator"), Term::atom("monitoring")]);
        for (term, table, as_json, as_erlang) in [
            (Term::text("a"), "a", "\"a\"", "<<\"a\">>"),
            (Term::none(), "", "\"\"", "''"),
            (Term::atom("running"), "running", "\"running\"", "running"),
            (
                tags,
                "[administrator, monitoring]",
                "[\"administrator\",\"monitoring\"]",
                "[administrator,monitoring]",
            ),
            (Term::List(vec![]), "[]", "[]", "[]"),
            (
                arguments(),
                "[{\"x-max-length\",10},{\"x-dead-letter-exchange\",\"dlx\"}]",
                "[[\"x-max-length\",\"long\",10],[\"x-dead-letter-exchange\",\"longstr\",\"dlx\"]]",
                "[{<<\"x-max-length\">>,long,10},\n {<<\"x-dead-letter-exchange\">>,longstr,<<\"dlx\">>}]",
            ),
            (Term::Bool(true), "true", "true", "true"),
            (
                Term::Map(vec![("a@b".to_owned(), Term::atom("running"))]),
                "[{a@b, running}]",
                "{\"a@b\":\"running\"}",
                "[{a@b,running}]",
            ),
        ] {
            assert_eq!(
                (text(&term).as_str(), json(&term).as_str(), erlang(&term).as_str()),
                (table, as_json, as_erlang)
            );
        }
    }

    #[test]
    fn quotes_in_csv_fields_are_doubled() {
        assert_eq!(csv(["a\"b", ""].into_iter()), "\"a\"\"b\",\"\"");
    }

    #[test]
    fn a_pretty_table_is_drawn_with_the_terminals_lines() {
        let rows = [vec![Term::text("q1"), Term::Integer(0)]];
        let shown = pretty(&["name".into(), "messages".into()], &rows);
        let expected = "^(0lqqqqqqwqqqqqqqqqqk^(B\n\
                        ^(0x^(B ^[1mname^[0m ^(0x^(B ^[1mmessages^[0m ^(0x^(B\n\
                        ^(0tqqqqqqnqqqqqqqqqqu^(B\n\
                        ^(0x^(B q1   ^(0x^(B 0        ^(0x^(B\n\
                        ^(0mqqqqqqvqqqqqqqqqqj^(B";
        assert_eq!(shown.replace('\x1b', "^"), expected);
    }
}
