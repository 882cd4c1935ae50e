//! Behaviour files: named scripts and tables of them, expanded to single behaviours before anything runs.
//! `== name` opens a behaviour; lines starting with `|` at its end are a table whose columns replace `<column>`.
//! This file knows the outer form only; what a line means is decided by the stage that plays it.

use anyhow::{Context as _, Result, ensure};

/// One behaviour: a sentence and the lines that show it.
#[derive(Clone, Debug)]
pub struct Behaviour {
    /// `topic: sentence`, unique.
    pub name: String,
    /// Line numbers and texts, comments removed.
    pub lines: Vec<(usize, String)>,
    /// Runs while nothing else runs (`serial` on a line of its own).
    pub serial: bool,
}

/// Parses the behaviours of one file; `topic` is put before each name.
///
/// # Errors
/// Text before the first behaviour, a table row with another number of cells than its head.
pub fn parse(topic: &str, text: &str) -> Result<Vec<Behaviour>> {
    let mut behaviours = Vec::new();
    let mut draft: Option<Draft> = None;
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if let Some(name) = line.strip_prefix("== ") {
            finish(draft.take(), &mut behaviours)?;
            draft = Some(Draft {
                name: format!("{topic}: {name}"),
                ..Draft::default()
            });
        } else if !line.is_empty() && !line.starts_with('#') {
            let draft = draft
                .as_mut()
                .with_context(|| format!("{topic}:{}: no behaviour yet", at + 1))?;
            draft.add(at + 1, line);
        }
    }
    finish(draft, &mut behaviours)?;
    Ok(behaviours)
}

#[derive(Default)]
struct Draft {
    name: String,
    lines: Vec<(usize, String)>,
    rows: Vec<Vec<String>>,
    serial: bool,
}

impl Draft {
    fn add(&mut self, at: usize, line: &str) {
        if line == "serial" {
            self.serial = true;
        } else if let Some(row) = line.strip_prefix('|') {
            self.rows.push(
                row.trim_end_matches('|')
                    .split('|')
                    .map(|cell| cell.trim().to_owned())
                    .collect(),
            );
        } else {
            self.lines.push((at, line.to_owned()));
        }
    }

    /// The behaviour with `<column>` replaced by the cells of one row.
    fn with_row(&self, head: &[String], row: &[String]) -> Result<Behaviour> {
        ensure!(
            head.len() == row.len(),
            "{}: row {row:?} does not fit head {head:?}",
            self.name
        );
        let fill = |text: &str| {
            head.iter().zip(row).fold(text.to_owned(), |text, (column, cell)| {
                text.replace(&format!("<{column}>"), cell)
            })
        };
        let lines = self
            .lines
            .iter()
            .map(|(at, line)| (*at, fill(line)))
            .filter(|(_, line)| !line.is_empty())
            .collect();
        Ok(Behaviour {
            name: fill(&self.name),
            lines,
            serial: self.serial,
        })
    }
}

fn finish(draft: Option<Draft>, behaviours: &mut Vec<Behaviour>) -> Result<()> {
    let Some(draft) = draft else { return Ok(()) };
    match draft.rows.split_first() {
        None => behaviours.push(draft.with_row(&[], &[])?),
        Some((head, rows)) => {
            for row in rows {
                behaviours.push(draft.with_row(head, row)?);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_becomes_one_behaviour_per_row() {
        let got = parse(
            "t",
            "== key <k> gives <r>\n# note\ndo <k>\n< <r>\n| k | r |\n| a | x y |\n| b | z |\n",
        )
        .unwrap();
        assert_eq!(got.len(), 2);
        assert_eq!(got[0].name, "t: key a gives x y");
        assert_eq!(got[1].lines, [(3, "do b".to_owned()), (4, "< z".to_owned())]);
    }

    #[test]
    fn a_row_that_does_not_fit_is_refused() {
        assert!(parse("t", "== n\n| a | b |\n| 1 |\n").is_err());
    }
}
