//! What a check says of stores that were left in every state, and of every way to damage one.

use super::*;
use crate::{
    disk::{DiskFile, MemDisk, Open},
    fixture::{Kept, overwrite},
};

const SEGMENT: &str = "wal/0000000000000001.log";
const QUEUE: QueueId = QueueId(1);

fn report(disk: &MemDisk) -> Report {
    check(&disk.after_kill(), &Formats::default()).unwrap()
}

fn file<'a>(report: &'a Report, path: &str) -> &'a FileReport {
    report.files.iter().find(|file| file.path == path).unwrap()
}

fn places(report: &Report) -> Vec<(&str, u64)> {
    let damage = report.files.iter().flat_map(|file| &file.damage);
    damage.map(|damage| (damage.file.as_str(), damage.offset)).collect()
}

/// Three messages in the log, stopped in order.
fn three() -> MemDisk {
    let mut kept = Kept::new();
    for seq in 1..=3 {
        kept.enqueue(1, seq..=seq);
        kept.step();
    }
    kept.stop()
}

#[test]
fn a_store_stopped_in_order_is_explained_whole() {
    let kept = Kept::new();
    kept.enqueue(1, 1..=3);
    kept.page_out(1, 1..=2);
    kept.store.delivered(QUEUE, &[(0, Seq(2))]);
    kept.store.remove(QUEUE, &[(Seq(1), Seq(1))]);
    let told = report(&kept.stop());
    assert!(!told.is_damaged() && !told.is_refused());
    let segment = file(&told, SEGMENT);
    assert_eq!(
        (segment.what, segment.ending, segment.version),
        (What::Segment, Ending::Stopped, Some(1))
    );
    assert_eq!((segment.records["enqueue"], segment.records["remove"]), (3, 1));
    let pages = file(&told, "pages/0000000000000001.pages");
    assert_eq!((pages.ending, pages.records["message"]), (Ending::Complete, 2));
    let queue = QueueReport {
        messages: 2,
        paged: 1,
        octets: 200,
        last: Seq(3),
        delivered: vec![(0, Seq(2))],
    };
    assert_eq!(told.queues[&QUEUE], queue);
    let Start::Goes { moves, .. } = told.start else {
        panic!("{told:?}")
    };
    assert_eq!(moves, 1);
}

#[test]
fn a_torn_tail_is_no_damage_and_a_start_cuts_it() {
    let mut kept = Kept::new();
    kept.enqueue(1, 1..=2);
    kept.step();
    let whole = kept.store.end();
    kept.enqueue(1, 3..=3);
    kept.step();
    let disk = kept.disk;
    disk.open(SEGMENT, Open::Existing)
        .unwrap()
        .set_length(whole.offset() + 30)
        .unwrap();
    let told = report(&disk);
    assert!(!told.is_damaged());
    assert_eq!(file(&told, SEGMENT).ending, Ending::Cut);
    assert_eq!(told.queues[&QUEUE].messages, 2);
    let Start::Goes { cuts, .. } = told.start else {
        panic!("{told:?}")
    };
    assert_eq!(cuts, [(SEGMENT.to_owned(), file(&report(&disk), SEGMENT).end)]);
}

#[test]
fn damage_in_the_middle_is_named_and_what_is_behind_it_is_read() {
    let disk = three();
    let second = {
        let whole = report(&disk);
        assert_eq!(whole.queues[&QUEUE].messages, 3);
        (file(&whole, SEGMENT).end - 64) / 2 + 64
    };
    assert!(disk.flip(SEGMENT, second as usize, 3));
    let told = report(&disk);
    assert!(told.is_damaged() && told.is_refused());
    let [(path, offset)] = places(&told)[..] else {
        panic!("{told:?}")
    };
    assert!(path == SEGMENT && offset <= second, "{told:?}");
    assert_eq!(told.queues[&QUEUE].messages, 2, "the first and the last");
    let Start::Refused(why) = &told.start else {
        panic!("{told:?}")
    };
    assert!(
        why.contains(&format!("{SEGMENT} is damaged at offset {offset}")),
        "{why}"
    );
}

#[test]
fn no_flipped_bit_of_what_was_durable_goes_unseen() {
    let disk = three();
    let end = file(&report(&disk), SEGMENT).end as usize;
    // The last mark says what was durable; itself, it was not yet.
    let mark = crate::record::FRAME_BYTES + 16;
    for octet in 64..end - mark {
        let hurt = disk.after_kill();
        assert!(hurt.flip(SEGMENT, octet, (octet % 8) as u8));
        assert!(report(&hurt).is_damaged(), "octet {octet} of {end}");
    }
}

#[test]
fn a_missing_segment_is_named() {
    let mut kept = Kept::new();
    for seq in 1..=60 {
        kept.enqueue(1, seq..=seq);
        kept.opened.step_writer().unwrap();
    }
    let disk = kept.disk;
    disk.remove("wal/0000000000000002.log").unwrap();
    let told = report(&disk);
    assert_eq!(file(&told, "wal/0000000000000002.log").ending, Ending::Missing);
    assert_eq!(places(&told), [("wal/0000000000000002.log", 0)]);
    assert!(told.is_refused() && told.queues[&QUEUE].messages > 30);
}

#[test]
fn a_newer_version_is_no_damage_and_is_refused() {
    let disk = three();
    let mut head = crate::segment::head(1, 1);
    head[8] = 9;
    let checksum = crc32fast::hash(&head[..24]);
    head[24..28].copy_from_slice(&checksum.to_le_bytes());
    overwrite(&disk, SEGMENT, 0, &head);
    let told = report(&disk);
    let segment = file(&told, SEGMENT);
    assert_eq!((segment.ending, segment.version), (Ending::Newer, Some(9)));
    assert!(!told.is_damaged() && told.is_refused());
}

/// Messages in durable pages: the log that held them was left and opened again.
fn paged() -> MemDisk {
    let kept = Kept::new();
    kept.enqueue(1, 1..=30);
    let kept = Kept::open(kept.stop().after_kill());
    kept.stop()
}

#[test]
fn damage_in_pages_is_found_that_a_start_would_not_see() {
    let disk = paged();
    let path = "pages/0000000000000001.pages";
    let whole = report(&disk);
    let (length, messages) = (file(&whole, path).octets as usize, whole.queues[&QUEUE].messages);
    assert_eq!(
        (messages, whole.queues[&QUEUE].paged, whole.is_damaged()),
        (30, 30, false)
    );
    assert!(disk.flip(path, length - 5, 0));
    let told = report(&disk);
    assert!(told.is_damaged() && !told.is_refused());
    assert!(told.queues.get(&QUEUE).is_none_or(|queue| queue.messages < 30));
    disk.open(path, Open::Existing)
        .unwrap()
        .set_length(length as u64 - 1)
        .unwrap();
    let told = report(&disk);
    assert!(told.is_damaged() && told.is_refused());
}

#[test]
fn every_octet_of_a_durable_page_is_verified() {
    let disk = paged();
    let path = "pages/0000000000000001.pages";
    for octet in 0..file(&report(&disk), path).octets as usize {
        let hurt = disk.after_kill();
        assert!(hurt.flip(path, octet, (octet % 8) as u8));
        let told = report(&hurt);
        assert!(
            told.is_damaged() || file(&told, path).ending == Ending::Newer,
            "octet {octet}"
        );
    }
}

#[test]
fn an_empty_directory_is_clean() {
    let told = check(&MemDisk::new(), &Formats::default()).unwrap();
    assert!(told.files.is_empty() && told.queues.is_empty() && !told.is_damaged());
}
