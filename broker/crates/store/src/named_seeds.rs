//! Bugs that the campaign of power cuts has found, each by its shortest script.
//!
//! A script is a state that is durable and an act that the power cuts off after every possible number of changes; what the
//! disk then loses is decided by many seeds. Each test fails if what mended its bug is undone.

use std::{collections::BTreeMap, io, sync::Arc};

use model::{QueueId, Seq};
use parking_lot::Mutex;

use crate::{
    Opened,
    disk::{Disk, MemDisk, read_all},
    fixture::{Kept, SIZES, Text, body},
    page, segment,
};

const SEEDS: u64 = 200;

/// The queue that is looked at, and one that only fills the log.
const QUEUE: u64 = 1;
const OTHER: u64 = 2;
/// Steps after which nothing is left to be done.
const SETTLED_AFTER: usize = 10;
/// As many messages of the fixture make a page that is longer than a page file should be.
const LONG: u64 = 20;
/// And as many a page of several sectors.
const SHORTER: u64 = 12;

impl Kept {
    /// Makes durable what was appended; the keeper learns of it later.
    fn sync(&mut self) -> io::Result<()> {
        let wake: crate::Wake = Arc::new(|| {});
        self.store.wake_when_synced(self.store.end(), &wake);
        self.opened.step_writer().map(drop)
    }

    fn remove(&self, queue: u64, seqs: std::ops::RangeInclusive<u64>) {
        self.store
            .remove(QueueId(queue), &[(Seq(*seqs.start()), Seq(*seqs.end()))]);
    }

    /// One message through the other queue, made durable.
    fn pass_one(&mut self) -> io::Result<()> {
        let seq = self.store.end().0;
        self.enqueue(OTHER, seq..=seq);
        self.remove(OTHER, seq..=seq);
        self.sync()
    }

    /// The oldest segment of the log.
    fn oldest(&self) -> u64 {
        let names = self.disk.list(segment::DIRECTORY).unwrap();
        names.iter().filter_map(|name| segment::number(name)).min().unwrap()
    }

    /// Traffic until the log has let go of all before this segment.
    fn pass_until_oldest_is(&mut self, segment: u64) {
        while self.oldest() < segment {
            self.pass_one().unwrap();
            self.opened.step_keeper().unwrap();
        }
    }

    /// Traffic until nothing of what the log says now is in it any more.
    fn outlive_the_log(&mut self) {
        let after = self.store.end().segment() + 1;
        self.pass_until_oldest_is(after);
        self.settle();
    }

    /// Lets writer and keeper do all that they have to.
    fn settle(&mut self) {
        for _ in 0..SETTLED_AFTER {
            self.sync().unwrap();
            self.opened.step_keeper().unwrap();
        }
    }
}

/// Positions of the queue's messages that a start finds; each must be as it was.
fn found(disk: MemDisk) -> Vec<u64> {
    let mut kept = Kept::open(disk);
    let pages = kept.opened.queues.remove(&QueueId(QUEUE)).unwrap_or_default().pages;
    let mut seqs = Vec::new();
    for page in pages {
        let told = Arc::new(Mutex::new(Vec::new()));
        let tell = told.clone();
        kept.store
            .load(page.id, Box::new(move |messages| *tell.lock() = messages));
        kept.opened.step_keeper().unwrap();
        for paged in told.lock().drain(..) {
            assert_eq!(paged.message.0, body(paged.seq.0));
            seqs.push(paged.seq.0);
        }
    }
    seqs.sort_unstable();
    seqs
}

/// Cuts the power after every number of changes of the act, and then once more when it is done.
fn wherever_the_power_goes(state: fn() -> Kept, act: fn(&mut Kept) -> io::Result<()>, expected: &[u64]) {
    for changes in 0.. {
        let mut kept = state();
        kept.disk.cut_power_after(kept.disk.changes() + changes);
        let done = act(&mut kept).is_ok();
        let mut outcomes: BTreeMap<Vec<u64>, u64> = BTreeMap::new();
        for seed in 0..SEEDS {
            outcomes.insert(found(kept.disk.after_power_cut(seed)), seed);
        }
        let kinds: Vec<_> = outcomes.iter().collect();
        assert!(
            outcomes.len() == 1 && outcomes.contains_key(expected),
            "after {changes} changes, by seed: {kinds:?}"
        );
        if done {
            assert!(changes > 0, "the act changes nothing");
            return;
        }
    }
}

#[test]
fn marks_of_a_page_that_is_all_gone_are_written_down_while_its_file_lives() {
    let mut kept = Kept::new();
    kept.enqueue(QUEUE, 1..=10);
    kept.page_out(QUEUE, 1..=5);
    kept.page_out(QUEUE, 6..=10);
    kept.sync().unwrap();
    kept.opened.step_keeper().unwrap();
    kept.remove(QUEUE, 1..=5);
    kept.outlive_the_log();
    assert_eq!(found(kept.disk.after_kill()), [6, 7, 8, 9, 10]);
}

#[test]
fn an_unsynced_page_whose_directory_is_whole_and_whose_body_is_torn_is_no_page() {
    let state = || {
        let mut kept = Kept::new();
        kept.enqueue(QUEUE, 1..=LONG);
        kept.sync().unwrap();
        kept.opened.step_keeper().unwrap();
        kept
    };
    let act = |kept: &mut Kept| {
        kept.page_out(QUEUE, 1..=LONG);
        kept.opened.step_keeper().map(drop)
    };
    wherever_the_power_goes(state, act, &(1..=LONG).collect::<Vec<_>>());
}

/// One long page, and nothing in the log that speaks of it.
fn one_page() -> Kept {
    let mut kept = Kept::new();
    kept.enqueue(QUEUE, 1..=LONG);
    kept.page_out(QUEUE, 1..=LONG);
    kept.outlive_the_log();
    kept
}

#[test]
fn a_copy_leaves_out_what_lies_in_a_newer_page_only_once_that_page_is_durable() {
    // Nearly all leave memory once more, so that little of the first file is wanted and it is written again.
    let act = |kept: &mut Kept| {
        kept.enqueue(OTHER, 1..=1);
        kept.page_out(QUEUE, 1..=LONG - 2);
        kept.opened.step_keeper().map(drop)
    };
    wherever_the_power_goes(one_page, act, &(1..=LONG).collect::<Vec<_>>());
}

#[test]
fn a_page_file_goes_only_once_the_newer_pages_of_its_messages_are_durable() {
    let act = |kept: &mut Kept| {
        kept.page_out(QUEUE, 1..=LONG);
        kept.opened.step_keeper().map(drop)
    };
    wherever_the_power_goes(one_page, act, &(1..=LONG).collect::<Vec<_>>());
}

/// A page file is dead, and the log's oldest segment alone says so: no marks were written beside a file that is to go.
/// File and segment may go once the log is durable.
fn dead_file_and_its_last_word() -> Kept {
    let mut kept = Kept::new();
    kept.enqueue(QUEUE, 1..=LONG);
    kept.sync().unwrap();
    // A start moves all into a page and begins with an empty log: no older segment has marks written down.
    let mut kept = Kept::open(kept.disk.after_kill());
    kept.settle();
    let says_so = kept.oldest();
    kept.remove(QUEUE, 1..=LONG);
    kept.enqueue(OTHER, 1..=10);
    while kept.store.end().segment() < says_so + 3 {
        kept.pass_one().unwrap();
    }
    // The segment is chosen, and durable, but what lives in it finds no room while a small page closes the file.
    kept.enqueue(OTHER, 11..=11);
    kept.opened.step_keeper().unwrap();
    kept.sync().unwrap();
    kept.enqueue(OTHER, 12..=12);
    kept.page_out(OTHER, 12..=12);
    kept.disk.set_capacity(Some(octets(&kept.disk) + 500));
    kept.opened.step_keeper().unwrap();
    assert!(kept.store.is_full());
    kept.disk.set_capacity(None);
    kept.opened.step_keeper().unwrap();
    assert!(!kept.store.is_full() && kept.oldest() == says_so);
    kept
}

fn octets(disk: &MemDisk) -> usize {
    let files = [segment::DIRECTORY, page::DIRECTORY].map(|directory| {
        let names = disk.list(directory).unwrap();
        let length = |name: &String| read_all(disk, &format!("{directory}/{name}")).unwrap().len();
        names.iter().map(length).sum::<usize>()
    });
    files.iter().sum()
}

#[test]
fn a_page_file_is_gone_for_good_before_the_segment_that_says_so_is_freed() {
    let act = |kept: &mut Kept| {
        kept.sync()?;
        kept.opened.step_keeper().map(drop)
    };
    wherever_the_power_goes(dead_file_and_its_last_word, act, &[]);
    let mut kept = dead_file_and_its_last_word();
    let (says_so, before) = (kept.oldest(), kept.disk.list(page::DIRECTORY).unwrap().len());
    act(&mut kept).unwrap();
    let after = kept.disk.list(page::DIRECTORY).unwrap().len();
    assert!(kept.oldest() > says_so && after < before, "both went in one step");
}

/// The log promises a page file that is gone since, as the only one there was.
fn promised_file_is_gone() -> Kept {
    let mut kept = Kept::new();
    kept.enqueue(OTHER, 1..=8);
    kept.sync().unwrap();
    let mut kept = Kept::open(kept.disk.after_kill());
    kept.settle();
    kept.remove(OTHER, 1..=8);
    kept.sync().unwrap();
    // What leaves memory finds no room, so the file that is not wanted goes at once.
    kept.disk.set_capacity(Some(octets(&kept.disk)));
    kept.page_out(OTHER, 101..=120);
    kept.opened.step_keeper().unwrap();
    assert_eq!(kept.disk.list(page::DIRECTORY).unwrap(), Vec::<String>::new());
    kept.disk.set_capacity(None);
    kept.enqueue(QUEUE, 1..=SHORTER);
    kept.sync().unwrap();
    kept
}

#[test]
fn a_page_file_never_has_the_number_of_one_that_was_promised_and_is_gone() {
    let act =
        |kept: &mut Kept| match Opened::<_, Text>::open(kept.disk.clone(), SIZES, crate::Formats::default(), &|_| true)
        {
            Err(crate::StoreError::Io(error)) => Err(error),
            opened => {
                opened.unwrap();
                Ok(())
            }
        };
    wherever_the_power_goes(promised_file_is_gone, act, &(1..=SHORTER).collect::<Vec<_>>());
}

/// Found by kills of whole clusters: a mirror fetches older messages after newer ones, so a page's positions are in no order.
#[test]
fn what_is_gone_of_a_page_whose_positions_are_in_no_order_stays_gone() {
    let mut kept = Kept::new();
    for newer_first in [[5..=9, 1..=3], [2..=9, 1..=1]] {
        let queue_ends = newer_first.clone().map(|seqs| *seqs.end()).into_iter().max();
        for seqs in newer_first {
            kept.enqueue(QUEUE, seqs);
        }
        kept.sync().unwrap();
        // A start moves all into pages, in the order of the log.
        kept = Kept::open(kept.disk.after_kill());
        kept.settle();
        kept.remove(QUEUE, 2..=2);
        kept.remove(QUEUE, 6..=7);
        kept.sync().unwrap();
        let again = Kept::open(kept.disk.after_kill());
        assert_eq!(again.opened.queues[&QueueId(QUEUE)].last_seq.0, queue_ends.unwrap());
        assert!(found(kept.disk.after_kill()).iter().all(|seq| ![2, 6, 7].contains(seq)));
        kept = Kept::new();
    }
}
