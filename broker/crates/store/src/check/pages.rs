//! Page files as a check sees them: head, directory and messages of every page verified, also behind damage.
//!
//! What was durable is said by the log. A page that was not is whole or torn, never damaged. Where no page is found, the
//! next octets that are one are searched for. Which messages live is left to recovery's own accounting.

use std::{collections::BTreeMap, io};

use model::PageId;

use super::{Ending, FileReport, What};
use crate::{
    disk::{Disk, DiskFile, Open},
    page::{self, Gone, PageEntry, PageHead},
    recover::{Directory, Found, Log, PageReader, RecoveredPage, read_directory, read_gone},
};

/// Read at a time.
const WINDOW_BYTES: usize = 1 << 20;

type Placed = BTreeMap<PageId, RecoveredPage>;

/// All files of the pages' directory, and the pages that can be read.
pub(super) fn files<D: Disk>(disk: &D, log: &Log, found: &mut Found) -> io::Result<(Vec<FileReport>, Placed)> {
    let names = disk.list(page::DIRECTORY)?;
    let mut numbers: Vec<u64> = names.iter().filter_map(|name| page::number(name)).collect();
    numbers.sort_unstable();
    let mut reader = PageReader {
        log,
        wanted: &|_| true,
        pages: BTreeMap::new(),
    };
    let mut files = Vec::new();
    for number in &numbers {
        files.push(file(disk, *number, &mut reader, found)?);
        found.index.close_file(*number);
    }
    for name in names.iter().filter(|name| page::number(name).is_none()) {
        files.push(other(disk, name)?);
    }
    Ok((files, reader.pages))
}

fn file<D: Disk>(disk: &D, number: u64, reader: &mut PageReader<'_>, found: &mut Found) -> io::Result<FileReport> {
    let path = page::path(number);
    let file = disk.open(&path, Open::Read)?;
    let length = file.length()?;
    let gone = read_gone(disk, number)?;
    let mut report = FileReport::new(path, What::Pages, length, Ending::Complete);
    let promised_to = match reader.log.pages_synced {
        (synced, _) if number < synced => u64::MAX,
        (synced, octets) if number == synced => octets,
        _ => 0,
    };
    if promised_to != u64::MAX && length < promised_to {
        report.damaged(
            length,
            format!("the file ends here, and {promised_to} octets had been durable"),
        );
    }
    while report.end < length {
        let (offset, promised) = (report.end, report.end < promised_to);
        let is_newer = match read_directory(&file, offset, length, reader.log.known)? {
            Directory::Newer(version) => {
                report.version = Some(version.into());
                true
            }
            Directory::Page(head, entries) => {
                let place = (number, offset);
                if judge(&file, place, promised, (&head, &entries), &mut report)? {
                    reader.place(number, offset, &head, &entries, &gone, found);
                } else if !promised {
                    report.ending = Ending::Cut;
                    return Ok(report);
                }
                report.end += head.bytes();
                continue;
            }
            Directory::Broken => false,
        };
        match (is_newer, promised) {
            (true, _) => report.ending = Ending::Newer,
            (false, false) => report.ending = Ending::Cut,
            (false, true) => {
                report.damaged(offset, "no page where the file had been durable");
                report.end = next_page(&file, offset + 1, length, reader.log.known)?.unwrap_or(length);
                continue;
            }
        }
        return Ok(report);
    }
    Ok(report)
}

/// Verifies the messages of a page; false if they cannot be read and are wanted.
fn judge<F: DiskFile>(
    file: &F,
    (_, offset): (u64, u64),
    promised: bool,
    (head, entries): (&PageHead, &[PageEntry]),
    report: &mut FileReport,
) -> io::Result<bool> {
    let wanted = promised || entries.iter().any(|entry| entry.persistent);
    if wanted && !has_whole_body(file, offset, head)? {
        if promised {
            let (page, count, queue) = (head.id.0, entries.len(), head.queue.0);
            report.damaged(
                offset,
                format!("the {count} messages of page {page} of queue {queue} cannot be read"),
            );
        }
        return Ok(false);
    }
    report.version = report.version.max(Some(head.version.into()));
    report.count("page", 1);
    report.count("message", entries.len() as u64);
    Ok(true)
}

fn has_whole_body<F: DiskFile>(file: &F, offset: u64, head: &PageHead) -> io::Result<bool> {
    let end = offset + head.bytes();
    let mut at = offset + head.directory_end() as u64;
    let (mut sum, mut window) = (crc32fast::Hasher::new(), vec![0; WINDOW_BYTES]);
    while at < end {
        let wanted = usize::try_from(end - at).map_or(WINDOW_BYTES, |left| left.min(WINDOW_BYTES));
        let read = file.read_at(at, &mut window[..wanted])?;
        if read == 0 {
            return Ok(false);
        }
        sum.update(&window[..read]);
        at += read as u64;
    }
    Ok(head.has_body(sum.finalize()))
}

/// The next place at or behind `from` where a page's head and directory are whole.
fn next_page<F: DiskFile>(file: &F, mut from: u64, length: u64, known: u8) -> io::Result<Option<u64>> {
    let finder = memchr::memmem::Finder::new(&page::MAGIC);
    let mut window = vec![0; WINDOW_BYTES];
    while from < length {
        let read = file.read_at(from, &mut window)?;
        for hit in finder.find_iter(&window[..read]) {
            let at = from + hit as u64;
            if matches!(read_directory(file, at, length, known)?, Directory::Page(..)) {
                return Ok(Some(at));
            }
        }
        if read < window.len() {
            return Ok(None);
        }
        from += (WINDOW_BYTES - page::MAGIC.len() + 1) as u64;
    }
    Ok(None)
}

fn other<D: Disk>(disk: &D, name: &str) -> io::Result<FileReport> {
    let path = format!("{}/{name}", page::DIRECTORY);
    let octets = crate::disk::read_all(disk, &path)?;
    let length = octets.len() as u64;
    if !name.ends_with(".gone") {
        return Ok(FileReport::new(path, What::Foreign, length, Ending::Unused));
    }
    let mut report = FileReport::new(path, What::Gone, length, Ending::Complete);
    let whole = octets
        .chunks_exact(page::GONE_BYTES)
        .map(|line| Gone::decode_all(line).next().is_some());
    let whole: Vec<bool> = whole.collect();
    let last = whole.iter().rposition(|whole| *whole).map_or(0, |last| last + 1);
    report.count("gone", whole.iter().filter(|whole| **whole).count() as u64);
    for at in (0..last).filter(|at| !whole[*at]) {
        let what = "a line cannot be read: messages of it that were consumed may come again";
        report.damaged((at * page::GONE_BYTES) as u64, what);
    }
    report.end = (last * page::GONE_BYTES) as u64;
    if report.end < length {
        report.ending = Ending::Cut;
    }
    Ok(report)
}
