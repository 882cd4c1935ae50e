//! Answers as text, in the format that was asked for. Values are written as the Python script writes them, `True` and
//! `None` included, since scripts read them. Pure.

use crate::problem::Problem;
use crate::settings::Settings;
use crate::words::WORDS;
use serde::Serialize as _;
use serde_json::ser::{CompactFormatter, Formatter, Serializer};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::io;

/// None is a value that is there and null.
type Cell = Option<String>;

/// The list as text without its last line end; none: nothing is to be said. `columns` are those asked for, `json` those
/// that are shown as JSON.
///
/// # Errors
/// The answer is no list of objects.
pub(crate) fn page(
    text: &str,
    columns: &[String],
    json: &[String],
    settings: &Settings,
) -> Result<Option<String>, Problem> {
    if settings.format == "raw_json" {
        return Ok(Some(text.to_owned()));
    }
    let wrong = |why| Problem::Refused(format!("The answer is no list: {why}"));
    if settings.format == "pretty_json" {
        let value: Value = serde_json::from_str(text).map_err(wrong)?;
        return serde_json::to_string_pretty(&value).map(Some).map_err(wrong);
    }
    let items: Vec<Value> = serde_json::from_str(text).map_err(wrong)?;
    let depth = match columns {
        [] => settings.depth.unwrap_or(1),
        _ => usize::MAX,
    };
    let rows: Vec<_> = items.iter().map(|item| flat(item, depth, json)).collect();
    if rows.is_empty() {
        return Ok((!settings.quiet).then(|| "No items".to_owned()));
    }
    let columns = match columns {
        [] => ordered(rows.iter().flat_map(BTreeMap::keys).cloned().collect()),
        asked => asked.to_vec(),
    };
    let cell = |row: &BTreeMap<String, Cell>, column| row.get(column).cloned().unwrap_or_else(|| Some(String::new()));
    let cells: Vec<Vec<Cell>> = rows
        .iter()
        .map(|row| columns.iter().map(|column| cell(row, column)).collect())
        .collect();
    Ok(match settings.format.as_str() {
        "tsv" => Some(tsv(&columns, &cells, settings.quiet)),
        "long" => Some(long(&columns, &cells)),
        "kvp" => Some(kvp(&columns, &cells)),
        "bash" => bash(&columns, &cells),
        _ => Some(table(&columns, &cells)),
    })
}

/// The fields of an object; those of objects in it, so many deep, under both their names.
fn flat(item: &Value, depth: usize, json: &[String]) -> BTreeMap<String, Cell> {
    let mut row = BTreeMap::new();
    // A row that has none of the columns may come as an empty list.
    if let Value::Object(item) = item {
        add(&mut row, "", item, depth, json);
    }
    row
}

fn add(row: &mut BTreeMap<String, Cell>, before: &str, item: &Map<String, Value>, depth: usize, json: &[String]) {
    for (key, value) in item {
        let name = format!("{before}{key}");
        match value {
            Value::Object(inner) if !json.contains(key) => {
                if depth > 1 {
                    add(row, &format!("{name}."), inner, depth - 1, json);
                }
            }
            value => drop(row.insert(name, shown(value))),
        }
    }
}

fn shown(value: &Value) -> Cell {
    let joined = |all: &Vec<Value>| {
        all.iter()
            .map(Value::as_str)
            .collect::<Option<Vec<_>>>()
            .map(|all| all.join(" "))
    };
    Some(match value {
        Value::Null => return None,
        Value::Bool(is) => if *is { "True" } else { "False" }.to_owned(),
        Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
            Some(number) => float(number),
            None => number.to_string(),
        },
        Value::String(text) => text.clone(),
        Value::Array(all) => joined(all).unwrap_or_else(|| dumped(value)),
        Value::Object(_) => dumped(value),
    })
}

/// A number as Python writes it: with a sign and two digits in the exponent.
fn float(number: f64) -> String {
    let text = format!("{number:?}");
    match text.split_once('e') {
        None => text,
        Some((digits, exponent)) => {
            let (sign, exponent) = exponent
                .strip_prefix('-')
                .map_or(('+', exponent), |exponent| ('-', exponent));
            format!("{digits}e{sign}{exponent:0>2}")
        }
    }
}

/// JSON with spaces, in ASCII.
fn dumped(value: &Value) -> String {
    let mut octets = Vec::new();
    // Writing a value to memory cannot fail.
    drop(value.serialize(&mut Serializer::with_formatter(&mut octets, Spaced(CompactFormatter))));
    String::from_utf8(octets).unwrap_or_default()
}

struct Spaced(CompactFormatter);

impl Spaced {
    fn between<W: ?Sized + io::Write>(out: &mut W, is_first: bool) -> io::Result<()> {
        out.write_all(if is_first { b"" } else { b", " })
    }
}

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + io::Write>(&mut self, out: &mut W, is_first: bool) -> io::Result<()> {
        Spaced::between(out, is_first)
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, out: &mut W, is_first: bool) -> io::Result<()> {
        Spaced::between(out, is_first)
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        out.write_all(b": ")
    }

    fn write_f64<W: ?Sized + io::Write>(&mut self, out: &mut W, number: f64) -> io::Result<()> {
        out.write_all(float(number).as_bytes())
    }

    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, out: &mut W, text: &str) -> io::Result<()> {
        for c in text.chars() {
            match c.is_ascii() {
                true => self.0.write_string_fragment(out, c.encode_utf8(&mut [0; 4]))?,
                false => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        write!(out, "\\u{unit:04x}")?;
                    }
                }
            }
        }
        Ok(())
    }
}

fn ordered(names: BTreeSet<String>) -> Vec<String> {
    let place = |name: &String| {
        WORDS
            .first_columns
            .iter()
            .position(|first| first == name)
            .unwrap_or(usize::MAX)
    };
    let mut names: Vec<_> = names.into_iter().collect();
    names.sort_by_key(place);
    names
}

fn text(cell: &Cell) -> &str {
    cell.as_deref().unwrap_or_default()
}

fn python(cell: &Cell) -> &str {
    cell.as_deref().unwrap_or("None")
}

fn table(columns: &[String], rows: &[Vec<Cell>]) -> String {
    let wide = |at: usize| {
        rows.iter()
            .map(|row| text(&row[at]).chars().count())
            .max()
            .unwrap_or_default()
    };
    let widths: Vec<_> = columns
        .iter()
        .enumerate()
        .map(|(at, name)| name.chars().count().max(wide(at)))
        .collect();
    let bar: String = widths
        .iter()
        .map(|width| format!("+{}", "-".repeat(width + 2)))
        .collect();
    let bar = format!("{bar}+");
    let head: String = columns
        .iter()
        .zip(&widths)
        .map(|(name, width)| format!("| {name:^width$} "))
        .collect();
    let mut lines = vec![bar.clone(), format!("{head}|"), bar.clone()];
    for row in rows {
        let cells: String = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("| {:<width$} ", text(cell)))
            .collect();
        lines.push(format!("{cells}|"));
    }
    lines.push(bar);
    lines.join("\n")
}

fn tsv(columns: &[String], rows: &[Vec<Cell>], is_quiet: bool) -> String {
    let head = (!is_quiet).then(|| columns.join("\t"));
    let line = |row: &Vec<Cell>| row.iter().map(text).collect::<Vec<_>>().join("\t");
    head.into_iter()
        .chain(rows.iter().map(line))
        .collect::<Vec<_>>()
        .join("\n")
}

fn long(columns: &[String], rows: &[Vec<Cell>]) -> String {
    let width = columns
        .iter()
        .map(|name| name.chars().count())
        .max()
        .unwrap_or_default();
    let between = format!("\n{}\n", "-".repeat(80));
    let mut lines = vec![between.clone()];
    for row in rows {
        lines.extend(
            columns
                .iter()
                .zip(row)
                .map(|(name, cell)| format!("{name:>width$}: {}", python(cell))),
        );
        lines.push(between.clone());
    }
    lines.join("\n")
}

fn kvp(columns: &[String], rows: &[Vec<Cell>]) -> String {
    let pair = |(name, cell): (&String, &Cell)| format!("{name}=\"{}\"", python(cell));
    let line = |row: &Vec<Cell>| columns.iter().zip(row).map(pair).collect::<Vec<_>>().join(" ");
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Names alone, if there are names.
fn bash(columns: &[String], rows: &[Vec<Cell>]) -> Option<String> {
    let at = columns.iter().position(|column| column == "name")?;
    Some(rows.iter().map(|row| text(&row[at])).collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Line;

    fn shown_as(line: &str, columns: &[&str], answer: &str) -> Option<String> {
        let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        let settings = Settings::of(&Line::read(&words).unwrap(), None).unwrap();
        let columns: Vec<_> = columns.iter().map(|&column| column.to_owned()).collect();
        page(answer, &columns, &["definition".to_owned()], &settings).unwrap()
    }

    const LIST: &str =
        r#"[{"name":"ä","on":true,"definition":{"b":"é","a":[1,2.5]},"m":{"x":{"y":1e-7}},"l":["a","b"],"n":null}]"#;

    #[test]
    fn values_are_written_as_python_writes_them() {
        let kvp = shown_as("-f kvp -d 3", &[], LIST).unwrap();
        assert_eq!(
            kvp,
            r#"name="ä" definition="{"a": [1, 2.5], "b": "\u00e9"}" l="a b" m.x.y="1e-07" n="None" on="True""#
        );
        assert_eq!(
            shown_as("-f tsv -q", &["name", "m.x.y", "n", "nosuch"], LIST).unwrap(),
            "ä\t1e-07\t\t"
        );
        assert_eq!(shown_as("-f tsv", &["on", "m"], LIST).unwrap(), "on\tm\nTrue\t");
    }

    #[test]
    fn a_table_is_as_wide_as_its_cells_and_its_heads_stand_in_the_middle() {
        let table = shown_as(
            "",
            &["name", "definition"],
            r#"[{"name":"a","definition":{"k":1}},{"name":"longer"}]"#,
        );
        let wanted = "\
+--------+------------+
|  name  | definition |
+--------+------------+
| a      | {\"k\": 1}   |
| longer |            |
+--------+------------+";
        assert_eq!(table.unwrap(), wanted);
    }

    #[test]
    fn nothing_is_said_of_nothing_when_quiet() {
        assert_eq!(shown_as("", &[], "[]").unwrap(), "No items");
        assert_eq!(shown_as("-q", &[], "[]"), None);
        assert_eq!(shown_as("-f bash", &["x"], r#"[{"x":1}]"#), None);
        assert_eq!(
            shown_as("-f bash", &[], r#"[{"name":"a"},{"name":"b"}]"#).unwrap(),
            "a b"
        );
    }
}
