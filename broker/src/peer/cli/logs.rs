//! The node's log: its last lines, and which lines are written.

use link::{Failure, LogPlace, Term};
use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::Outcome;
use crate::{
    config::{LogLevel, Value},
    host::Node,
    observe,
};

/// Octets of the end of a log file that are looked at.
const TAIL_BYTES_MAX: u64 = 1 << 20;
/// The levels that can be set while the node runs.
const LEVELS: [&str; 6] = ["debug", "info", "warning", "error", "critical", "none"];

/// All outputs take lines of this level and worse until the node stops.
pub(super) fn set_level(level: &str) -> Outcome {
    let refused = || {
        let known = LEVELS.join(", ");
        Failure::Refused(format!("level {level} is not supported. Try one of {known}"))
    };
    match LogLevel::read(level) {
        Ok(read) if LEVELS.contains(&level) => {
            observe::set_log_level(read);
            Ok(Term::none())
        }
        _ => Err(refused()),
    }
}

/// The last lines of the log file.
pub(super) fn tail(node: &Node, lines: u64) -> Outcome {
    let config = node.config();
    let none = || Failure::Refused("the node writes no log file".to_owned());
    let path = config.log.file_path(&config.node.name).ok_or_else(none)?;
    let text = end_of(&path).map_err(|why| Failure::Refused(format!("cannot read {}: {why}", path.display())))?;
    let all: Vec<&str> = text.lines().collect();
    let wanted = usize::try_from(lines).unwrap_or(usize::MAX);
    let last = &all[all.len().saturating_sub(wanted)..];
    Ok(Term::List(last.iter().copied().map(Term::text).collect()))
}

/// The lines that were logged since a place; of a file that was moved away first its rest. Without a place, where the end
/// is now.
pub(super) fn since(node: &Node, place: Option<LogPlace>) -> Outcome {
    let config = node.config();
    let none = || Failure::Refused("the node writes no log file".to_owned());
    let path = config.log.file_path(&config.node.name).ok_or_else(none)?;
    let (place, lines) =
        lines_since(&path, place).map_err(|why| Failure::Refused(format!("cannot read {}: {why}", path.display())))?;
    Ok(super::map([
        ("file", Term::count(place.file)),
        ("at", Term::count(place.at)),
        ("lines", Term::List(lines.into_iter().map(Term::text).collect())),
    ]))
}

fn lines_since(path: &Path, place: Option<LogPlace>) -> io::Result<(LogPlace, Vec<String>)> {
    let current = path.metadata()?;
    let Some(place) = place else {
        let end = LogPlace {
            file: current.ino(),
            at: current.len(),
        };
        return Ok((end, Vec::new()));
    };
    if place.file == current.ino() {
        return whole_lines(path, place);
    }
    let begin = LogPlace {
        file: current.ino(),
        at: 0,
    };
    let Some(moved) = beside(path, place.file)? else {
        return whole_lines(path, begin);
    };
    match whole_lines(&moved, place)? {
        (_, rest) if rest.is_empty() => whole_lines(path, begin),
        rest => Ok(rest),
    }
}

/// Where the file is now that was at the path once.
fn beside(path: &Path, file: u64) -> io::Result<Option<PathBuf>> {
    let Some(directory) = path.parent() else {
        return Ok(None);
    };
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if entry.metadata()?.ino() == file {
            return Ok(Some(entry.path()));
        }
    }
    Ok(None)
}

/// The whole lines from a place on, a bounded number of octets, and where they end. A line that has no end in that many is cut.
fn whole_lines(path: &Path, place: LogPlace) -> io::Result<(LogPlace, Vec<String>)> {
    let mut file = File::open(path)?;
    // What is shorter by now has been emptied, or is another one: it is read from its begin.
    let at = if place.at > file.metadata()?.len() { 0 } else { place.at };
    file.seek(SeekFrom::Start(at))?;
    let mut found = Vec::new();
    file.take(TAIL_BYTES_MAX).read_to_end(&mut found)?;
    let end = match found.iter().rposition(|octet| *octet == b'\n') {
        Some(last) => last + 1,
        None if found.len() as u64 == TAIL_BYTES_MAX => found.len(),
        None => 0,
    };
    let lines = String::from_utf8_lossy(&found[..end]);
    let next = LogPlace {
        at: at + end as u64,
        ..place
    };
    Ok((next, lines.lines().map(str::to_owned).collect()))
}

/// The end of a file, from the beginning of a line.
fn end_of(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let octets = file.metadata()?.len();
    let skipped = octets.saturating_sub(TAIL_BYTES_MAX);
    file.seek(SeekFrom::Start(skipped))?;
    let mut end = Vec::new();
    file.take(TAIL_BYTES_MAX).read_to_end(&mut end)?;
    let text = String::from_utf8_lossy(&end).into_owned();
    Ok(match skipped {
        0 => text,
        _ => text
            .split_once('\n')
            .map_or_else(String::new, |(_, whole)| whole.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_large_file_begins_with_a_whole_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        std::fs::write(&path, "first\nsecond\n").unwrap();
        assert_eq!(end_of(&path).unwrap(), "first\nsecond\n");
        std::fs::write(&path, format!("{}\nlast\n", "x".repeat(TAIL_BYTES_MAX as usize))).unwrap();
        assert_eq!(end_of(&path).unwrap(), "last\n");
    }

    #[test]
    fn whoever_follows_a_log_reads_every_whole_line_once_also_of_a_file_that_was_moved_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        let add = |text: &str| {
            let file = File::options().append(true).create(true).open(&path);
            std::io::Write::write_all(&mut file.unwrap(), text.as_bytes()).unwrap();
        };
        add("before\n");
        let (mut place, nothing) = lines_since(&path, None).unwrap();
        assert_eq!(nothing, Vec::<String>::new());
        let mut follow = || {
            let (next, lines) = lines_since(&path, Some(place)).unwrap();
            place = next;
            lines
        };
        add("one\ntw");
        assert_eq!(follow(), ["one"]);
        assert_eq!(follow(), Vec::<String>::new());
        add("o\n");
        std::fs::rename(&path, folder.path().join("a.log.0")).unwrap();
        add("three\n");
        assert_eq!(follow(), ["two"]);
        assert_eq!(follow(), ["three"]);
        std::fs::remove_file(&path).unwrap();
        add("four\n");
        assert_eq!(follow(), ["four"]);
    }

    #[test]
    fn a_level_that_is_none_is_refused_with_those_that_are() {
        let said = set_level("loud").unwrap_err();
        let expected = "level loud is not supported. Try one of debug, info, warning, error, critical, none";
        assert_eq!(said, Failure::Refused(expected.to_owned()));
    }
}
