//! Segments of the log as a check sees them: every record counted and verified, also behind damage.
//!
//! Where records break off, the next mark of the same segment is where they may go on. Which messages live is not judged
//! here; the log's own accounting is fed as recovery feeds it.

use std::{collections::BTreeMap, io};

use model::{QueueId, Runs};

use super::{Ending, FileReport, QueueReport, What};
use crate::{
    disk::{Disk, DiskFile, Open},
    lsn::Lsn,
    record::{Entry, FRAME_BYTES, Record},
    recover::Log,
    segment::{self, Head},
};

/// All files of the log's directory.
pub(super) fn files<D: Disk>(disk: &D, log: &mut Log) -> io::Result<Vec<FileReport>> {
    let names = disk.list(segment::DIRECTORY)?;
    let mut numbers: Vec<u64> = names.iter().filter_map(|name| segment::number(name)).collect();
    numbers.sort_unstable();
    let mut files = Vec::new();
    let mut expected = None;
    for number in &numbers {
        if let Some(missing) = expected.filter(|expected| expected < number) {
            files.push(absent(missing));
        }
        expected = Some(number + 1);
        let is_last = numbers.last() == Some(number);
        files.push(file(disk, *number, is_last, log)?);
    }
    for name in names.iter().filter(|name| segment::number(name).is_none()) {
        let path = format!("{}/{name}", segment::DIRECTORY);
        let octets = disk.open(&path, Open::Read)?.length()?;
        let ours = name.starts_with("free-") || name == "prepared";
        let what = if ours { What::Spare } else { What::Foreign };
        files.push(FileReport::new(path, what, octets, Ending::Unused));
    }
    Ok(files)
}

fn absent(number: u64) -> FileReport {
    let mut report = FileReport::new(segment::path(number), What::Segment, 0, Ending::Missing);
    report.damaged(0, "the file is missing: those before and after it are there");
    report
}

fn file<D: Disk>(disk: &D, number: u64, is_last: bool, log: &mut Log) -> io::Result<FileReport> {
    let path = segment::path(number);
    let file = disk.open(&path, Open::Read)?;
    let mut report = FileReport::new(path, What::Segment, file.length()?, Ending::Unused);
    let mut head = [0; segment::HEAD_BYTES as usize];
    let read = file.read_at(0, &mut head)?;
    match segment::judge_head(&head[..read], number, log.known) {
        Head::Newer(version) => {
            report.version = Some(version);
            report.ending = Ending::Newer;
            return Ok(report);
        }
        Head::NotBegun if is_last => return Ok(report),
        Head::NotBegun => report.damaged(0, "the head is not that of a segment of the log"),
        Head::Begun(version) => report.version = Some(version),
    }
    let walked = walk(&file, number, is_last, |at, found| {
        report.count(found.kind(), 1);
        log.follow(number, &found);
        Ok(at)
    })?;
    (report.end, report.ending) = (walked.end, walked.ending);
    walked.broken.iter().for_each(|(at, what)| report.damaged(*at, *what));
    Ok(report)
}

/// How a segment was walked through.
struct Walked {
    end: u64,
    ending: Ending,
    /// Where records broke off that had been promised.
    broken: Vec<(u64, &'static str)>,
}

/// Reads what can be read of a segment.
fn walk<F: DiskFile>(
    file: &F,
    number: u64,
    is_last: bool,
    mut each: impl FnMut(Lsn, Record<'_>) -> io::Result<Lsn>,
) -> io::Result<Walked> {
    let (mut from, mut broken) = (segment::HEAD_BYTES, Vec::new());
    loop {
        let mut stopped = false;
        let end = segment::scan_from(file, number, from, |at, found| {
            // The mark of an orderly end says that all before itself was durable.
            stopped = matches!(found, Record::Mark { synced } if synced == at);
            each(at, found).map(drop)
        })?;
        let what = match (end.sealed, is_last) {
            (true, _) => return Ok(walked(end.at, Ending::Complete, broken)),
            (false, false) => "no record, and the segment is not complete",
            (false, true) => match segment::judge_tail(file, number, end.at)? {
                Ok(()) => {
                    let in_order = stopped && is_blank(file, end.at)?;
                    let ending = if in_order { Ending::Stopped } else { Ending::Cut };
                    return Ok(walked(end.at, ending, broken));
                }
                Err(_) => "no record where the log had been durable",
            },
        };
        broken.push((end.at, what));
        match segment::find_mark(file, number, end.at, |_| true)? {
            Some(next) => from = next,
            None => return Ok(walked(end.at, Ending::Cut, broken)),
        }
    }
}

/// Nothing follows: where a record could begin there are zeros, or the file ends.
fn is_blank<F: DiskFile>(file: &F, at: u64) -> io::Result<bool> {
    let mut octets = [0; FRAME_BYTES];
    let read = file.read_at(at, &mut octets)?;
    Ok(octets[..read].iter().all(|octet| *octet == 0))
}

fn walked(end: u64, ending: Ending, broken: Vec<(u64, &'static str)>) -> Walked {
    Walked { end, ending, broken }
}

/// Adds the messages of a segment that live in it alone to what is known of their queues.
pub(super) fn weigh<D: Disk>(
    disk: &D,
    (number, is_last): (u64, bool),
    live: &BTreeMap<QueueId, Runs>,
    queues: &mut BTreeMap<QueueId, QueueReport>,
) -> io::Result<()> {
    let file = disk.open(&segment::path(number), Open::Read)?;
    let mut bodies: BTreeMap<Lsn, u64> = BTreeMap::new();
    let mut add = |entry: &Entry, octets: u64| {
        if live.get(&entry.queue).is_some_and(|runs| runs.contains(entry.seq)) {
            let queue = queues.entry(entry.queue).or_default();
            queue.messages += 1;
            queue.octets += octets;
        }
    };
    walk(&file, number, is_last, |at, found| {
        match found {
            Record::Enqueue(entry, content) => add(&entry, content.body.len() as u64),
            Record::Body(content) => drop(bodies.insert(at, content.body.len() as u64)),
            Record::EnqueueShared(entry, body) => add(&entry, bodies.get(&body).copied().unwrap_or_default()),
            Record::Mark { .. }
            | Record::Remove(..)
            | Record::Delivered(..)
            | Record::PagesSynced { .. }
            | Record::Seal => {}
        }
        Ok(at)
    })?;
    Ok(())
}
