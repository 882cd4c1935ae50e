//! A log over disks that fail: what was acknowledged is there after any crash, and nothing else is believed.
//!
//! Each test names what is promised; seeds and places are in the messages.

use super::*;
use model::NodeUuid;
use std::collections::BTreeMap;
use store::{
    Formats,
    disk::{FsDisk, MemDisk},
};

const DIRECTORY: &str = "meta";
/// The write of a script from which on the newer format is written.
const NEWER_FROM: usize = 6;

fn position(term: u64, index: u64) -> Position {
    Position {
        term,
        leader: NodeUuid(1),
        index,
    }
}

fn entry_of(term: u64, index: u64, octets: usize) -> Entry {
    let metadata = catalog::VhostMetadata {
        description: "x".repeat(octets),
        ..catalog::VhostMetadata::default()
    };
    let name = format!("v{index}").parse().unwrap();
    Entry {
        position: position(term, index),
        payload: Payload::Proposal(Proposal {
            origin: NodeUuid(1),
            incarnation: 1,
            number: index,
            commands: [catalog::Command::PutVhost { name, metadata }].into(),
        }),
    }
}

fn entry(term: u64, index: u64) -> Entry {
    entry_of(term, index, 10)
}

fn vote(term: u64) -> Record {
    Record::Vote(Vote {
        term,
        node: NodeUuid(1),
        won: true,
    })
}

fn entries(term: u64, indexes: std::ops::Range<u64>) -> Record {
    Record::Entries(indexes.map(|index| entry(term, index)).collect())
}

/// A day in the life of a log: votes, entries, a conflict, a purge, and more than a segment of entries.
fn script() -> Vec<Vec<Record>> {
    let mut writes = vec![
        vec![vote(1)],
        vec![entries(1, 0..3)],
        vec![entries(1, 3..4), vote(2)],
        vec![Record::Truncate { since: 2 }],
        vec![entries(2, 2..6)],
        vec![Record::Purge(position(1, 1))],
    ];
    let large = |at: u64| Record::Entries(vec![entry_of(2, at, 600_000)]);
    writes.extend((6..11).map(|at| vec![large(at)]));
    writes.push(vec![Record::Purge(position(2, 8))]);
    writes.push(vec![vote(3), entries(3, 11..15)]);
    writes
}

fn follow(state: &mut State, records: &[Record]) {
    records.iter().for_each(|record| state.follow(record.clone()));
}

fn reopened<D: Disk>(disk: &D) -> State {
    Log::open(disk.clone(), DIRECTORY, Formats::up_to(2)).unwrap().1
}

fn keeps_what_is_written<D: Disk>(disk: &D) {
    let (mut log, mut state) = Log::open(disk.clone(), DIRECTORY, Formats::default()).unwrap();
    assert_eq!(state, State::default());
    for records in script() {
        log.write(&records).unwrap();
        follow(&mut state, &records);
        assert!(reopened(disk) == state, "after {} entries", state.entries.len());
    }
}

#[test]
fn a_log_says_after_each_write_what_was_written() {
    keeps_what_is_written(&MemDisk::new());
    let folder = tempfile::tempdir().unwrap();
    keeps_what_is_written(&FsDisk::new(folder.path()));
}

#[test]
fn segments_that_say_nothing_needed_are_removed() {
    let disk = MemDisk::new();
    let (mut log, _) = Log::open(disk.clone(), DIRECTORY, Formats::default()).unwrap();
    let writes = script();
    writes[..writes.len() - 2]
        .iter()
        .for_each(|records| assert!(log.write(records).is_ok()));
    let before = disk.list(DIRECTORY).unwrap();
    log.write(&writes[writes.len() - 2]).unwrap();
    let after = disk.list(DIRECTORY).unwrap();
    assert!(before.len() > 2 && after.len() < before.len(), "{before:?} {after:?}");
    assert_eq!(
        reopened(&disk).vote.unwrap().term,
        2,
        "the vote was in a segment that is gone"
    );
}

/// The states that may be found after a crash: that of the last acknowledged write, or of the one under way.
fn possible(done: &[Vec<Record>], under_way: Option<&Vec<Record>>) -> [State; 2] {
    let mut state = State::default();
    done.iter().for_each(|records| follow(&mut state, records));
    let mut next = state.clone();
    if let Some(records) = under_way {
        follow(&mut next, records);
    }
    [state, next]
}

/// Writes the script until the power goes, from some write on in a newer format; how many writes were acknowledged.
fn run_until_cut(disk: &MemDisk, script: &[Vec<Record>]) -> usize {
    let formats = Formats::up_to(2);
    let Ok((mut log, _)) = Log::open(disk.clone(), DIRECTORY, formats.clone()) else {
        return 0;
    };
    let mut write = |(place, records): &(usize, &Vec<Record>)| {
        formats.raise(if *place < NEWER_FROM { 1 } else { 2 });
        log.write(records).is_ok()
    };
    script.iter().enumerate().take_while(&mut write).count()
}

fn changes_of(script: &[Vec<Record>]) -> u64 {
    let disk = MemDisk::new();
    run_until_cut(&disk, script);
    disk.changes()
}

#[test]
fn wherever_the_power_goes_what_was_acknowledged_is_there() {
    let script = script();
    for cut in 0..=changes_of(&script) {
        let disk = MemDisk::new();
        disk.cut_power_after(cut);
        let done = run_until_cut(&disk, &script);
        let possible = possible(&script[..done], script.get(done));
        for seed in 0..8 {
            let disk = disk.after_power_cut(seed);
            let (mut log, state) = Log::open(disk.clone(), DIRECTORY, Formats::up_to(2))
                .unwrap_or_else(|error| panic!("cut after {cut} changes, seed {seed}: {error}"));
            assert!(possible.contains(&state), "cut after {cut} changes, seed {seed}");
            // It goes on as if nothing had been.
            log.write(&[vote(9)]).unwrap();
            assert_eq!(
                reopened(&disk).vote.unwrap().term,
                9,
                "cut after {cut} changes, seed {seed}"
            );
        }
    }
}

#[test]
fn a_crash_in_the_middle_of_recovery_loses_nothing_either() {
    let script = &script()[..6];
    for cut in 5..=changes_of(script) {
        let disk = MemDisk::new();
        disk.cut_power_after(cut);
        let done = run_until_cut(&disk, script);
        let possible = possible(&script[..done], script.get(done));
        for seed in 0..6 {
            let first = disk.after_power_cut(seed);
            let whole = first.after_kill();
            drop(Log::open(whole.clone(), DIRECTORY, Formats::up_to(2)));
            for again in 0..whole.changes() {
                let second = first.after_kill();
                second.cut_power_after(again);
                drop(Log::open(second.clone(), DIRECTORY, Formats::up_to(2)));
                let found = reopened(&second.after_power_cut(seed + 1));
                assert!(
                    possible.contains(&found),
                    "cut after {cut}, seed {seed}, again after {again}"
                );
            }
        }
    }
}

fn written() -> MemDisk {
    let disk = MemDisk::new();
    run_until_cut(&disk, &script()[..6]);
    disk
}

#[test]
fn damage_before_the_last_frame_is_refused_with_the_files_name() {
    let path = format!("{DIRECTORY}/log.0000000000000001");
    let written = written();
    let (pristine, mut refused) = (reopened(&written), 0);
    for octet in 0..2000 {
        let disk = written.after_kill();
        assert!(disk.flip(&path, octet, 3));
        match Log::open(disk, DIRECTORY, Formats::up_to(2)) {
            Err(OpenError::Damaged { path: named, .. }) => {
                assert_eq!(named, path);
                refused += 1;
            }
            Err(other) => panic!("octet {octet}: {other}"),
            // Padding, or the last frame, which cannot be told from a torn one.
            Ok((_, state)) => assert!(state.entries.len() >= 4 || state == pristine, "octet {octet}"),
        }
    }
    assert!(refused > 1000, "{refused}");
}

#[test]
fn a_missing_segment_is_refused() {
    for missing in ["log.0000000000000001", "log.0000000000000002"] {
        let disk = MemDisk::new();
        let writes = script();
        run_until_cut(&disk, &writes[..writes.len() - 2]);
        disk.remove(&format!("{DIRECTORY}/{missing}")).unwrap();
        let error = Log::open(disk, DIRECTORY, Formats::up_to(2)).unwrap_err();
        assert!(matches!(error, OpenError::Damaged { .. }), "{missing}: {error}");
    }
}

#[test]
fn a_full_disk_changes_nothing_and_can_be_tried_again() {
    let disk = MemDisk::new();
    let (mut log, mut state) = Log::open(disk.clone(), DIRECTORY, Formats::up_to(2)).unwrap();
    let mut writes = script().into_iter();
    disk.set_capacity(Some(segment::SEGMENT_BYTES + 10));
    let refused = writes.find(|records| match log.write(records) {
        Ok(_) => {
            follow(&mut state, records);
            false
        }
        Err(WriteError::Full(_)) => true,
        Err(error) => panic!("{error}"),
    });
    let refused = refused.unwrap();
    assert!(reopened(&disk) == state);
    disk.set_capacity(None);
    for records in [refused].into_iter().chain(writes) {
        log.write(&records).unwrap();
        follow(&mut state, &records);
    }
    assert!(reopened(&disk) == state);
}

#[test]
fn a_failed_sync_is_fatal() {
    let disk = MemDisk::new();
    let (mut log, _) = Log::open(disk.clone(), DIRECTORY, Formats::up_to(2)).unwrap();
    disk.fail_next_sync();
    assert!(matches!(log.write(&[vote(1)]), Err(WriteError::Fatal { .. })));
}

#[test]
fn any_octets_at_all_are_refused_or_read_without_a_panic() {
    let whole = disk::octets(&written());
    let mut state = 1u64;
    let mut chance = move |bound: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as usize % bound
    };
    for _ in 0..300 {
        let mut octets = whole[..chance(whole.len())].to_vec();
        for _ in 0..chance(20) {
            let at = chance(octets.len().max(1)).min(2000);
            if let Some(octet) = octets.get_mut(at) {
                *octet = chance(256) as u8;
            }
        }
        let disk = disk::with(&octets);
        drop(Log::open(disk, DIRECTORY, Formats::default()));
    }
}

/// Files put under a log's nose.
mod disk {
    use super::*;

    pub(super) fn octets(disk: &MemDisk) -> Vec<u8> {
        store::disk::read_all(disk, &format!("{DIRECTORY}/log.0000000000000001")).unwrap()
    }

    pub(super) fn with(octets: &[u8]) -> MemDisk {
        let disk = MemDisk::new();
        let file = disk
            .open(&format!("{DIRECTORY}/log.0000000000000001"), Open::New)
            .unwrap();
        file.write_at(0, octets).unwrap();
        disk
    }
}

/// The first segment as the first release wrote it. It must be read for ever.
#[test]
fn the_first_format_is_read_for_ever() {
    let members = BTreeMap::from([(
        NodeUuid(1),
        Member {
            name: "rabbit@h".into(),
        },
    )]);
    let first = Entry {
        position: position(1, 0),
        payload: Payload::Membership(Membership {
            voters: vec![[NodeUuid(1)].into()],
            members,
        }),
    };
    let blank = Entry {
        position: position(1, 1),
        payload: Payload::Blank,
    };
    let mut expected = State::default();
    let writes = [
        vec![vote(1)],
        vec![Record::Entries(vec![first, blank]), entries(1, 2..4)],
        vec![Record::Truncate { since: 3 }, Record::Purge(position(1, 0))],
    ];
    writes.iter().for_each(|records| follow(&mut expected, records));
    let golden = include_bytes!("golden/log-1");
    assert_eq!(reopened(&disk::with(golden)), expected);
}
