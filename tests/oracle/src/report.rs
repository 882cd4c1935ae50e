//! Runs behaviours on servers in parallel and prints the columns.
//! Order of output is the order of the files, whatever finished first; it never changes an outcome.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::script::Behaviour;
use crate::server::Server;
use crate::stage::{self, Outcome};

/// Outcomes of one server, in the order of the behaviours.
pub struct Column {
    /// The server's name.
    pub name: String,
    /// One per behaviour, with the time it took.
    pub outcomes: Vec<(Outcome, Duration)>,
}

impl Column {
    fn count(&self, wanted: impl Fn(&Outcome) -> bool) -> usize {
        self.outcomes.iter().filter(|(outcome, _)| wanted(outcome)).count()
    }

    /// How many failed.
    #[must_use]
    pub fn failed(&self) -> usize {
        self.count(|outcome| matches!(outcome, Outcome::Failed(_)))
    }
}

/// Plays all `behaviours` on all `servers` at once, `threads` on each server; serial ones alone at the end.
#[must_use]
pub fn run(behaviours: &[Behaviour], servers: &[Server], threads: usize) -> Vec<Column> {
    std::thread::scope(|scope| {
        let columns: Vec<_> = servers
            .iter()
            .map(|server| scope.spawn(|| column(behaviours, server, threads)))
            .collect();
        // A worker that panics is a fault of this program and must be seen.
        columns
            .into_iter()
            .map(|column| column.join().unwrap_or_else(|e| std::panic::resume_unwind(e)))
            .collect()
    })
}

fn column(behaviours: &[Behaviour], server: &Server, threads: usize) -> Column {
    let outcomes: Vec<Mutex<Option<(Outcome, Duration)>>> = behaviours.iter().map(|_| Mutex::new(None)).collect();
    let run_id = std::process::id();
    let play = |i: usize| {
        let start = Instant::now();
        let outcome = stage::play(&behaviours[i], server, &format!("o{run_id}x{i}_"));
        if let Ok(mut slot) = outcomes[i].lock() {
            *slot = Some((outcome, start.elapsed()));
        }
    };
    let (serial, parallel): (Vec<usize>, Vec<usize>) = (0..behaviours.len()).partition(|&i| behaviours[i].serial);
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(&i) = parallel.get(next.fetch_add(1, Ordering::Relaxed)) {
                    play(i);
                }
            });
        }
    });
    serial.into_iter().for_each(play);
    let lost = || (Outcome::Failed("was not played".to_owned()), Duration::ZERO);
    let outcomes = outcomes
        .into_iter()
        .map(|slot| slot.into_inner().ok().flatten().unwrap_or_else(lost))
        .collect();
    Column {
        name: server.name.clone(),
        outcomes,
    }
}

/// Prints both columns, what each failure expected and saw, and the closing line of each server.
///
/// # Errors
/// The output cannot be written.
pub fn print(out: &mut impl std::io::Write, behaviours: &[Behaviour], columns: &[Column]) -> std::io::Result<()> {
    for (i, behaviour) in behaviours.iter().enumerate() {
        let marks: Vec<String> = columns
            .iter()
            .map(|c| format!("{} {:<4}", c.name, mark(&c.outcomes[i].0)))
            .collect();
        writeln!(out, "{}  {}", marks.join("  "), behaviour.name)?;
    }
    for column in columns {
        print_failures(out, behaviours, column)?;
    }
    for column in columns {
        writeln!(out, "{}: {}", column.name, summary(column))?;
    }
    out.flush()
}

fn print_failures(out: &mut impl std::io::Write, behaviours: &[Behaviour], column: &Column) -> std::io::Result<()> {
    for (behaviour, (outcome, _)) in behaviours.iter().zip(&column.outcomes) {
        if let Outcome::Failed(why) = outcome {
            writeln!(out, "\n{} FAIL {}\n      {why}", column.name, behaviour.name)?;
        }
    }
    Ok(())
}

fn mark(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Passed => "ok",
        Outcome::Failed(_) => "FAIL",
        Outcome::Skipped(_) => "skip",
    }
}

fn summary(column: &Column) -> String {
    let passed = column.count(|outcome| *outcome == Outcome::Passed);
    let skipped = column.count(|outcome| matches!(outcome, Outcome::Skipped(_)));
    let text = format!("{passed} passed, {} failed", column.failed());
    if skipped == 0 {
        text
    } else {
        format!("{text}, {skipped} skipped")
    }
}

/// The same as one JSON document.
#[must_use]
pub fn json(behaviours: &[Behaviour], columns: &[Column]) -> serde_json::Value {
    let rows = behaviours.iter().enumerate().map(|(i, behaviour)| {
        let outcomes: serde_json::Map<_, _> = columns
            .iter()
            .map(|c| (c.name.clone(), outcome_json(&c.outcomes[i])))
            .collect();
        json!({"name": behaviour.name, "outcomes": outcomes})
    });
    let summaries: serde_json::Map<_, _> = columns.iter().map(|c| (c.name.clone(), json!(summary(c)))).collect();
    json!({"behaviours": rows.collect::<Vec<_>>(), "summary": summaries})
}

fn outcome_json((outcome, took): &(Outcome, Duration)) -> serde_json::Value {
    let why = match outcome {
        Outcome::Passed => None,
        Outcome::Failed(why) | Outcome::Skipped(why) => Some(why),
    };
    json!({"outcome": mark(outcome), "why": why, "milliseconds": took.as_millis() as u64})
}
