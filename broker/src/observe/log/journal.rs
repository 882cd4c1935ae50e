//! Log lines as entries of systemd's journal, by its native protocol: one datagram each, of named fields.
//!
//! Nothing waits for the journal: what it does not take at once is lost, and nobody is told, since that would be another line.

use std::{io, os::unix::net::UnixDatagram, path::Path, process};
use tracing::Level;

use super::{line::Line, shape};
use crate::config::{self, JournalSource, LogShape};

/// Where the journal listens.
pub(super) const SOCKET: &str = "/run/systemd/journal/socket";
/// Octets of a text; what is longer does not fit into a datagram.
const TEXT_BYTES_MAX: usize = 48 * 1024;

/// The way to the journal.
#[derive(Debug)]
pub(super) struct Journal {
    socket: UnixDatagram,
    settings: config::Journal,
}

impl Journal {
    /// Finds the journal at this socket.
    pub(super) fn open(settings: &config::Journal, at: &Path) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.connect(at)?;
        socket.set_nonblocking(true)?;
        Ok(Journal {
            socket,
            settings: settings.clone(),
        })
    }

    /// Sends a line.
    pub(super) fn send(&self, line: &Line) {
        // A journal that is away loses lines, as a full disk does.
        let _ = self.socket.send(&self.entry(line));
    }

    fn entry(&self, line: &Line) -> Vec<u8> {
        let mut out = Vec::new();
        let text = line.whole_text();
        field(&mut out, "MESSAGE", &text[..text.floor_char_boundary(TEXT_BYTES_MAX)]);
        for (name, source) in &self.settings.fields.0 {
            match source {
                JournalSource::Fixed(text) => field(&mut out, name, text),
                JournalSource::OfLine(what) => {
                    if let Some(value) = value(line, what, &self.settings.shape) {
                        field(&mut out, name, &value);
                    }
                }
            }
        }
        out
    }
}

/// What a line has under this name.
fn value(line: &Line, what: &str, shape: &LogShape) -> Option<String> {
    match what {
        "priority" => Some(priority(line.level).to_string()),
        "level" => Some(shape::level_name(line.level).to_owned()),
        "pid" => Some(line.pid.clone()),
        "os_pid" => Some(process::id().to_string()),
        "time" => Some(shape::time_text(line, shape)),
        "domain" => Some(shape::domain(line)),
        other => line
            .fields
            .iter()
            .find(|(name, _)| *name == other)
            .map(|(_, value)| shape::bare(value)),
    }
}

/// As syslog counts.
fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        _ => 7,
    }
}

/// `NAME=value`, or with its length before it if it is of several lines.
fn field(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend(name.bytes());
    if value.contains('\n') {
        out.push(b'\n');
        out.extend((value.len() as u64).to_le_bytes());
    } else {
        out.push(b'=');
    }
    out.extend(value.bytes());
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Line {
        Line {
            at_us: 1_700_000_000_123_456,
            level: Level::WARN,
            category: Some("connection"),
            pid: "<0.7.0>".to_owned(),
            text: text.to_owned(),
            fields: vec![("peer", "h".into())],
        }
    }

    #[test]
    fn an_entry_has_the_text_and_the_fields_that_are_configured() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().join("socket");
        let journal = UnixDatagram::bind(&at).unwrap();
        let sender = Journal::open(&config::Journal::default(), &at).unwrap();
        sender.send(&line("closed"));
        let mut octets = [0; 4096];
        let received = journal.recv(&mut octets).unwrap();
        let text = String::from_utf8_lossy(&octets[..received]);
        let pid = process::id();
        let expected = format!(
            "MESSAGE=closed peer=h\nSYSLOG_IDENTIFIER=rabbitmq-server\nSYSLOG_TIMESTAMP=2023-11-14 22:13:20.123456+00:00\nSYSLOG_PID={pid}\n\
             PRIORITY=4\nERL_PID=<0.7.0>\n"
        );
        assert_eq!(text, expected);
    }

    #[test]
    fn a_text_of_several_lines_has_its_length_before_it() {
        let mut out = Vec::new();
        field(&mut out, "MESSAGE", "a\nb");
        assert_eq!(out, b"MESSAGE\n\x03\0\0\0\0\0\0\0a\nb\n");
    }

    #[test]
    fn without_a_journal_there_is_none_to_find() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Journal::open(&config::Journal::default(), &folder.path().join("socket")).is_err());
    }
}
