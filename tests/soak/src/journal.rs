//! What the lanes did and saw, a line an event, so that a failure can be read afterwards. Only the last rounds are kept.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Rounds whose journals are kept.
const ROUNDS_KEPT: u32 = 4;

/// Where one lane of one round writes.
#[derive(Debug)]
pub(crate) struct Journal(Mutex<BufWriter<File>>);

impl Journal {
    /// Begins a journal under `directory`.
    ///
    /// # Errors
    /// The file cannot be made.
    pub(crate) fn begin(directory: &Path, round: u32, lane: &str) -> std::io::Result<Self> {
        let place = of_round(directory, round);
        fs::create_dir_all(&place)?;
        let file = File::create(place.join(format!("{lane}.log")))?;
        Ok(Self(Mutex::new(BufWriter::new(file))))
    }

    /// Writes a line with the time.
    pub(crate) fn note(&self, text: &str) {
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A full disk must not end a campaign for want of notes: the audit does not need them.
        let _ = writeln!(file, "{} {text}", crate::lane::now());
    }
}

fn of_round(directory: &Path, round: u32) -> PathBuf {
    directory.join("journal").join(format!("{round:06}"))
}

/// Removes the journals that are too old to be of use.
pub(crate) fn forget(directory: &Path, round: u32) {
    if let Some(old) = round.checked_sub(ROUNDS_KEPT) {
        // It may never have been there.
        let _ = fs::remove_dir_all(of_round(directory, old));
    }
}

/// The lines about one message, from the rounds that are kept.
pub(crate) fn lines_about(directory: &Path, lane: &str, id: &str) -> Vec<String> {
    let Ok(rounds) = fs::read_dir(directory.join("journal")) else {
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = rounds
        .flatten()
        .map(|round| round.path().join(format!("{lane}.log")))
        .collect();
    files.sort();
    let mut lines = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap_or_default();
        let about = text.lines().filter(|line| line.split(' ').any(|word| word == id));
        lines.extend(about.map(str::to_owned));
    }
    lines
}
