//! Explains a store's files without changing one: what each is, what it holds, where it ends and why, what can be read
//! of each queue, and what a start would do.
//!
//! Every checksum is verified. Where recovery stops at the first damage, this goes on behind it, so that an administrator
//! learns how much is lost; what was never promised is told apart from damage by recovery's own rules. Memory is bounded
//! by one record, and by what recovery itself keeps of positions. Nothing is ever written here.

mod log;
mod pages;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, io};

use model::{QueueId, Seq};

use crate::{
    Damage, Formats, StoreError,
    disk::Disk,
    recover::{self, Found, Log},
    segment,
};

/// Places of one file that are told one by one; the rest is counted.
const DAMAGE_TOLD_MAX: usize = 100;

/// What a store's directory holds.
#[derive(Debug)]
pub struct Report {
    /// Its files, the log's first.
    pub files: Vec<FileReport>,
    /// What can be read of each queue that left a trace.
    pub queues: BTreeMap<QueueId, QueueReport>,
    /// What a start would do.
    pub start: Start,
}

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A segment of the log of messages.
    Segment,
    /// Messages that outlive the log, or left memory.
    Pages,
    /// Which messages of a page file are gone.
    Gone,
    /// Room for a segment that is to come.
    Spare,
    /// Nothing of ours.
    Foreign,
}

/// Why a file ends where it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It is complete.
    Complete,
    /// The node was stopped in order here.
    Stopped,
    /// What is behind was never promised, and a start cuts it: a write that a kill or a power cut left unfinished, or
    /// remains of an earlier use of the file.
    Cut,
    /// It holds nothing.
    Unused,
    /// A later release wrote it.
    Newer,
    /// It is not there, and should be.
    Missing,
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileReport {
    /// Relative to the data directory.
    pub path: String,
    /// What it is.
    pub what: What,
    /// Version of its format, if it says one.
    pub version: Option<u32>,
    /// Octets of the file.
    pub octets: u64,
    /// Where what counts in it ends.
    pub end: u64,
    /// Why it ends there.
    pub ending: Ending,
    /// Records by kind.
    pub records: BTreeMap<&'static str, u64>,
    /// What cannot be read and should be; at most a hundred places.
    pub damage: Vec<Damage>,
    /// How many such places there are.
    pub damage_count: u64,
}

/// What can be read of one queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueReport {
    /// Messages that are there.
    pub messages: u64,
    /// Those of them that lie in pages; the others lie in the log.
    pub paged: u64,
    /// Octets of all their bodies.
    pub octets: u64,
    /// The highest position that was ever used and is still known.
    pub last: Seq,
    /// By level, how far messages have been handed out: up to here they come back marked redelivered.
    pub delivered: Vec<(u8, Seq)>,
}

/// What a start would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// It goes well.
    Goes {
        /// Where files are cut, since what is behind was never promised.
        cuts: Vec<(String, u64)>,
        /// Messages that move from the log into pages.
        moves: u64,
        /// Files that are removed since they hold nothing.
        removes: Vec<String>,
    },
    /// It is refused, in the words of the refusal.
    Refused(String),
}

impl Report {
    /// True if something that was promised cannot be read.
    pub fn is_damaged(&self) -> bool {
        self.files.iter().any(|file| file.damage_count > 0)
    }

    /// True if a start would be refused, damaged or not.
    pub fn is_refused(&self) -> bool {
        matches!(self.start, Start::Refused(_))
    }
}

impl FileReport {
    fn new(path: String, what: What, octets: u64, ending: Ending) -> Self {
        FileReport {
            path,
            what,
            version: None,
            octets,
            end: 0,
            ending,
            records: BTreeMap::new(),
            damage: Vec::new(),
            damage_count: 0,
        }
    }

    fn count(&mut self, kind: &'static str, number: u64) {
        *self.records.entry(kind).or_default() += number;
    }

    fn damaged(&mut self, offset: u64, what: impl Into<String>) {
        self.damage_count += 1;
        if self.damage.len() < DAMAGE_TOLD_MAX {
            self.damage.push(Damage {
                file: self.path.clone(),
                offset,
                what: what.into(),
            });
        }
    }
}

/// Reads everything, of formats up to a version.
///
/// # Errors
/// A file cannot be opened or read at all.
pub fn check<D: Disk>(disk: &D, formats: &Formats) -> io::Result<Report> {
    let known = formats.known();
    let mut log = Log::reading(known);
    let mut files = log::files(disk, &mut log)?;
    let mut found = Found::default();
    let (of_pages, placed) = pages::files(disk, &log, &mut found)?;
    files.extend(of_pages);
    recover::settle(disk, log, placed, &|_| true, &mut found).map_err(of_reading)?;
    let queues = queues(disk, &files, &found)?;
    let start = start(disk, known)?;
    Ok(Report { files, queues, start })
}

/// Damage was passed over before; what is left is the system's word.
fn of_reading(error: StoreError) -> io::Error {
    match error {
        StoreError::Io(error) => error,
        told @ (StoreError::Damaged(_) | StoreError::Newer { .. }) => io::Error::other(told),
    }
}

fn queues<D: Disk>(disk: &D, files: &[FileReport], found: &Found) -> io::Result<BTreeMap<QueueId, QueueReport>> {
    let mut queues: BTreeMap<QueueId, QueueReport> = BTreeMap::new();
    for (id, queue) in &found.queues {
        let paged: u64 = queue.pages.iter().map(recover::RecoveredPage::messages).sum();
        let report = QueueReport {
            messages: paged,
            paged,
            octets: queue.pages.iter().map(|page| page.body_bytes).sum(),
            last: queue.last_seq,
            delivered: queue.delivered.clone(),
        };
        queues.insert(*id, report);
    }
    let segments = files.iter().filter(|file| file.what == What::Segment);
    let numbers: Vec<u64> = segments
        .filter_map(|file| segment::number(file.path.rsplit('/').next()?))
        .collect();
    for number in &numbers {
        let Some(live) = found.index.live_in(*number).filter(|live| !live.is_empty()) else {
            continue;
        };
        log::weigh(disk, (*number, numbers.last() == Some(number)), live, &mut queues)?;
    }
    Ok(queues)
}

/// Asks recovery itself.
fn start<D: Disk>(disk: &D, known: u8) -> io::Result<Start> {
    let found = match recover::find(disk, known, &|_| true) {
        Ok(found) => found,
        Err(StoreError::Io(error)) => return Err(error),
        Err(refusal) => return Ok(Start::Refused(refusal.to_string())),
    };
    let of_log = found
        .unsealed
        .iter()
        .map(|end| (segment::path(end.segment()), end.offset()));
    let of_pages = found.torn.iter().map(|(file, at)| (crate::page::path(*file), *at));
    let cuts = of_log.chain(of_pages).collect();
    let in_log = |segment: &u64| {
        let live = found.index.live_in(*segment);
        live.map_or(0, |live| live.values().map(model::Runs::count).sum::<u64>())
    };
    Ok(Start::Goes {
        cuts,
        moves: found.segments.iter().map(in_log).sum(),
        removes: found.unused,
    })
}
