//! Reads what strace wrote about a server: which call began and ended where in the order of all calls. Decides for a
//! message whether an fdatasync that began after its octets were written had returned before its confirm left.

use std::collections::BTreeMap;

/// A system call; begin and end are positions in the order of everything that was traced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    /// Its name.
    pub(crate) name: String,
    /// Its arguments as strace shows them, octets in hexadecimal.
    pub(crate) arguments: String,
    /// Position of its beginning.
    pub(crate) begin: usize,
    /// Position of its end.
    pub(crate) end: usize,
    /// Whether it returned no error.
    pub(crate) succeeded: bool,
}

impl Call {
    /// The file descriptor that it is about.
    fn descriptor(&self) -> &str {
        let end = self
            .arguments
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(self.arguments.len());
        &self.arguments[..end]
    }

    fn writes(&self) -> bool {
        self.name.contains("write") || self.name.starts_with("send")
    }

    fn syncs(&self) -> bool {
        matches!(self.name.as_str(), "fdatasync" | "fsync")
    }

    /// A write that returns only when the disk has it.
    fn is_synchronous(&self) -> bool {
        self.arguments.contains("RWF_DSYNC") || self.arguments.contains("RWF_SYNC")
    }
}

/// What strace writes in the place of the end of a call that it does not see, or not yet.
const ENDLESS: [&str; 2] = ["<unfinished ...>", "<detached ...>"];

/// Reads the lines of `strace -f -xx`. A call of which strace did not see the end has begun, which is all that an answer needs: nothing comes
/// after its end, and it did not succeed.
pub(crate) fn calls(text: &str) -> Vec<Call> {
    let mut open: BTreeMap<&str, (usize, &str)> = BTreeMap::new();
    let mut calls = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let Some((thread, rest)) = line.split_once(' ') else {
            continue;
        };
        let rest = rest.trim_start();
        // With -ttt a time stands before the call.
        let rest = rest
            .split_once(' ')
            .filter(|(word, _)| is_time(word))
            .map_or(rest, |(_, call)| call);
        if let Some(begun) = ENDLESS.iter().find_map(|mark| rest.strip_suffix(mark)) {
            open.insert(thread, (at, begun));
        } else if let Some(resumed) = rest.strip_prefix("<... ") {
            let begun = open.remove(thread).zip(resumed.split_once(" resumed>"));
            calls.extend(begun.and_then(|((begin, head), (_, tail))| call(&format!("{head}{tail}"), begin, at)));
        } else {
            calls.extend(call(rest, at, at));
        }
    }
    calls.extend(
        open.into_values()
            .filter_map(|(begin, begun)| call(&format!("{begun} = -"), begin, usize::MAX)),
    );
    calls
}

fn is_time(word: &str) -> bool {
    word.contains('.') && word.chars().all(|c| c.is_ascii_digit() || c == '.')
}

fn call(text: &str, begin: usize, end: usize) -> Option<Call> {
    let (name, rest) = text.split_once('(')?;
    let (arguments, result) = rest.rsplit_once(" = ")?;
    Some(Call {
        name: name.to_owned(),
        arguments: arguments.to_owned(),
        begin,
        end,
        succeeded: !result.starts_with('-'),
    })
}

/// Octets as `strace -xx` shows them.
pub(crate) fn shown(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("\\x{octet:02x}")).collect()
}

/// Whether the answer left only after the message was safe.
///
/// # Errors
/// What is missing or in the wrong order.
pub(crate) fn in_order(calls: &[Call], message: &[u8], answer: &[u8]) -> Result<(), String> {
    let (message, answer) = (shown(message), shown(answer));
    let with = |text: &str| {
        calls
            .iter()
            .filter(|call| call.writes() && call.arguments.contains(text))
            .collect::<Vec<_>>()
    };
    let sent = with(&answer);
    let sent = sent.first().ok_or("its answer was never seen to leave")?;
    let written = with(&message);
    if written.is_empty() {
        return Err("its octets were never seen to be written".to_owned());
    }
    let safe_before = |write: &&Call| {
        let synced = |sync: &Call| {
            let same = sync.syncs() && sync.succeeded && sync.descriptor() == write.descriptor();
            same && write.end <= sync.begin && sync.end <= sent.begin
        };
        write.is_synchronous() && write.end <= sent.begin || calls.iter().any(synced)
    };
    if written.iter().copied().any(|write| safe_before(&write)) {
        return Ok(());
    }
    Err(format!(
        "the answer left at {} and no fdatasync of what was written at {:?} had begun and ended before",
        sent.begin,
        written.iter().map(|write| (write.begin, write.end)).collect::<Vec<_>>()
    ))
}

/// How many calls of fdatasync and fsync succeeded.
pub(crate) fn sync_count(calls: &[Call]) -> usize {
    calls.iter().filter(|call| call.syncs() && call.succeeded).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RIGHT: &str = r#"7 1.0 pwrite64(5<\x2f\x64>, "\x6d\x31", 2, 0) = 2
7 1.1 fdatasync(5<\x2f\x64> <unfinished ...>
8 1.2 write(9<\x2f\x65>, "\x01", 1) = 1
7 1.3 <... fdatasync resumed>) = 0
8 1.4 sendto(4<\x54>, "\x61\x31", 2, MSG_NOSIGNAL, NULL, 0) = 2
"#;

    fn judged(text: &str) -> Result<(), String> {
        in_order(&calls(text), b"m1", b"a1")
    }

    #[test]
    fn a_confirm_after_its_fdatasync_is_right() {
        assert_eq!(judged(RIGHT), Ok(()));
        assert_eq!(sync_count(&calls(RIGHT)), 1);
    }

    #[test]
    fn a_confirm_that_leaves_while_the_fdatasync_runs_is_found() {
        let lines: Vec<&str> = RIGHT.lines().collect();
        let early = [lines[0], lines[1], lines[4], lines[3]].join("\n");
        assert!(judged(&early).unwrap_err().contains("no fdatasync"));
    }

    #[test]
    fn an_answer_whose_call_strace_did_not_see_to_the_end_has_left() {
        for mark in ENDLESS {
            let cut = RIGHT.replace(" NULL, 0) = 2\n", &format!(" NULL, 0 {mark}\n"));
            assert_ne!(cut, RIGHT);
            assert_eq!(judged(&cut), Ok(()), "{mark}");
            let unsafe_write = RIGHT.replace("2, 0) = 2", &format!("2, 0 {mark}"));
            assert!(judged(&unsafe_write).is_err());
            let endless_sync = RIGHT.replace("7 1.3 <... fdatasync resumed>) = 0\n", "");
            assert!(judged(&endless_sync).unwrap_err().contains("no fdatasync"));
        }
    }

    #[test]
    fn an_fdatasync_that_began_before_the_write_ended_does_not_count() {
        let lines: Vec<&str> = RIGHT.lines().collect();
        let early = [lines[1], lines[0], lines[3], lines[4]].join("\n");
        assert!(judged(&early).is_err());
    }

    #[test]
    fn an_fdatasync_of_another_file_or_a_failed_one_does_not_count() {
        assert!(judged(&RIGHT.replace("fdatasync(5", "fdatasync(6")).is_err());
        assert!(judged(&RIGHT.replace("resumed>) = 0", "resumed>) = -1 EIO (Input/output error)")).is_err());
    }

    #[test]
    fn a_message_that_was_never_written_is_found() {
        assert!(
            judged(&RIGHT.replace(r"\x6d\x31", r"\x00\x00"))
                .unwrap_err()
                .contains("never seen to be written")
        );
    }

    #[test]
    fn a_synchronous_write_needs_no_fdatasync() {
        let text = r#"7 1.0 pwritev2(5<a>, [{iov_base="\x6d\x31", iov_len=2}], 1, 0, RWF_DSYNC) = 2
8 1.4 sendto(4<\x54>, "\x61\x31", 2, MSG_NOSIGNAL, NULL, 0) = 2
"#;
        assert_eq!(judged(text), Ok(()));
    }
}
