//! The node's log: its last lines, and which lines are written.

use link::{Failure, Term};
use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
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
    fn a_level_that_is_none_is_refused_with_those_that_are() {
        let said = set_level("loud").unwrap_err();
        let expected = "level loud is not supported. Try one of debug, info, warning, error, critical, none";
        assert_eq!(said, Failure::Refused(expected.to_owned()));
    }
}
