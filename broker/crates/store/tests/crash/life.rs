//! The life of a few queues, and what must be true of it after a crash.
//!
//! The model remembers every message with the position that makes it safe, and every removal with the position that
//! makes it final. It asks the store nothing but what is durable.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use model::{Epoch, Millis, PageId, QueueId, Seq};
use store::{
    Content, Entry, Formats, Loaded, Lsn, Opened, Paged, RecoveredQueue, Sizes, Store, StoredMessage,
    disk::{Disk, MemDisk, read_all},
};

use crate::chance::Chance;

const QUEUES: u64 = 4;
const SIZES: Sizes = Sizes {
    segment_bytes: 6000,
    segments_max: 2,
    page_file_bytes: 4000,
};

/// A message of the test: its body says who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Note {
    body: Vec<u8>,
    persistent: bool,
}

impl StoredMessage for Note {
    fn content(&self) -> Content<'_> {
        Content {
            exchange: b"x",
            routing_key: b"key",
            properties: &[0, 0],
            body: &self.body,
        }
    }

    fn is_persistent(&self) -> bool {
        self.persistent
    }

    fn of(content: &Content<'_>, persistent: bool) -> Self {
        Note {
            body: content.body.to_vec(),
            persistent,
        }
    }
}

/// What the model knows of a message.
#[derive(Clone, Debug)]
struct Known {
    note: Note,
    /// Durable from here on.
    safe_at: Lsn,
    /// Removed, and durably so from here on.
    gone_at: Option<Lsn>,
    page: Option<PageId>,
}

#[derive(Default)]
struct Queue {
    last_seq: u64,
    messages: BTreeMap<u64, Known>,
    /// Positions up to which messages were handed out, with the position that makes it durable.
    delivered: Vec<(u64, Lsn)>,
    deleted: bool,
}

/// What happened in all lives together.
#[derive(Debug, Default)]
pub(crate) struct Crashes {
    pub(crate) power_cuts: u64,
    pub(crate) kills: u64,
    pub(crate) mid_step: u64,
    pub(crate) retired: u64,
    pub(crate) lost_unsynced: u64,
    pub(crate) full: u64,
    pub(crate) messages: u64,
}

impl Crashes {
    /// Adds one.
    pub(crate) fn count(&mut self, crash: Crash) {
        let Crash {
            power_cut,
            mid_step,
            retired,
            lost_unsynced,
            full,
            messages,
        } = crash;
        self.power_cuts += u64::from(power_cut);
        self.kills += u64::from(!power_cut);
        self.mid_step += u64::from(mid_step);
        self.retired += u64::from(retired);
        self.lost_unsynced += u64::from(lost_unsynced);
        self.full += u64::from(full);
        self.messages += messages;
    }
}

/// One crash.
pub(crate) struct Crash {
    power_cut: bool,
    mid_step: bool,
    retired: bool,
    lost_unsynced: bool,
    full: bool,
    messages: u64,
}

/// Some queues on one disk, over several runs.
pub(crate) struct Life {
    seed: u64,
    chance: Chance,
    disk: MemDisk,
    /// The second is written from some step on.
    formats: Formats,
    opened: Opened<MemDisk, Note>,
    store: Store<Note>,
    queues: BTreeMap<u64, Queue>,
    next_queue: u64,
    written: Lsn,
    power_is_off: bool,
    full_steps: u64,
    story: Vec<String>,
}

impl Life {
    /// An empty disk.
    pub(crate) fn new(seed: u64) -> Self {
        let disk = MemDisk::new();
        let formats = Formats::up_to(2);
        let opened =
            Opened::open(disk.clone(), SIZES, formats.clone(), &|_| true).expect("an empty disk can be opened");
        let store = opened.store();
        Life {
            seed,
            chance: Chance::new(seed),
            disk,
            formats,
            written: store.end(),
            opened,
            store,
            queues: (1..=QUEUES).map(|id| (id, Queue::default())).collect(),
            next_queue: QUEUES + 1,
            power_is_off: false,
            full_steps: 0,
            story: Vec::new(),
        }
    }

    /// Some hundred random steps; the power may go off in the middle of one.
    pub(crate) fn run(&mut self) {
        if self.chance.once_in(2) {
            let changes = self.disk.changes() + self.chance.below(300);
            self.disk.cut_power_after(changes);
        }
        for _ in 0..50 + self.chance.below(400) {
            if self.power_is_off {
                return;
            }
            self.step();
        }
    }

    fn step(&mut self) {
        match self.chance.below(100) {
            0..35 => self.publish(),
            35..42 => self.publish_to_all(),
            42..62 => self.remove(),
            62..67 => self.page_out(),
            67..71 => self.load(),
            71..72 => self.purge(),
            72..74 => self.deliver(),
            74 if self.chance.once_in(4) => self.delete(),
            75..90 => self.step_writer(),
            90 => self.change_room(),
            91 if self.chance.once_in(8) => self.formats.raise(2),
            _ => self.step_keeper(),
        }
    }

    fn any_queue(&mut self) -> u64 {
        let ids: Vec<u64> = self
            .queues
            .iter()
            .filter(|(_, queue)| !queue.deleted)
            .map(|(id, _)| *id)
            .collect();
        ids[self.chance.below(ids.len() as u64) as usize]
    }

    fn note(&mut self, persistent: bool) -> Note {
        let length = match self.chance.below(20) {
            0 => 3000,
            1..5 => 400,
            _ => 20,
        };
        let mut body = self.chance.next().to_le_bytes().to_vec();
        body.resize(8 + self.chance.below(length) as usize, b'.');
        Note { body, persistent }
    }

    fn entry(&mut self, queue: u64) -> Entry {
        let known = self.queues.get_mut(&queue).expect("a living queue");
        known.last_seq += 1;
        Entry {
            queue: QueueId(queue),
            epoch: Epoch(1),
            seq: Seq(known.last_seq),
            expires: Millis(u64::MAX),
            level: (known.last_seq % 2) as u8,
        }
    }

    fn publish(&mut self) {
        let queue = self.any_queue();
        let persistent = !self.chance.once_in(4);
        let note = self.note(persistent);
        let entry = self.entry(queue);
        let safe_at = match persistent {
            true => self.store.enqueue(&entry, &note.content()),
            false => Lsn(u64::MAX),
        };
        self.keep(&entry, note, safe_at);
    }

    fn keep(&mut self, entry: &Entry, note: Note, safe_at: Lsn) {
        self.story
            .push(format!("publish {} {} {safe_at:?}", entry.queue.0, entry.seq.0));
        let known = Known {
            note,
            safe_at,
            gone_at: None,
            page: None,
        };
        self.queues
            .get_mut(&entry.queue.0)
            .expect("a living queue")
            .messages
            .insert(entry.seq.0, known);
    }

    fn publish_to_all(&mut self) {
        let note = self.note(true);
        let shared = self.store.share(&note.content());
        let ids: Vec<u64> = self
            .queues
            .iter()
            .filter(|(_, queue)| !queue.deleted)
            .map(|(id, _)| *id)
            .collect();
        for queue in ids {
            let entry = self.entry(queue);
            let safe_at = self.store.enqueue_shared(&entry, shared, &note.content());
            self.keep(&entry, note.clone(), safe_at);
        }
    }

    /// Positions of messages that have not been removed.
    fn living(&self, queue: u64) -> Vec<u64> {
        let messages = self.queues[&queue].messages.iter();
        messages
            .filter(|(_, known)| known.gone_at.is_none())
            .map(|(seq, _)| *seq)
            .collect()
    }

    /// What is on a page cannot be acknowledged before it is loaded.
    fn in_memory(&self, queue: u64) -> Vec<u64> {
        let mut living = self.living(queue);
        living.retain(|seq| self.queues[&queue].messages[seq].page.is_none());
        living
    }

    fn remove(&mut self) {
        let queue = self.any_queue();
        let living = self.in_memory(queue);
        if living.is_empty() {
            return;
        }
        // Mostly from the front, as consumers do.
        let at = match self.chance.below(3) {
            0 => self.chance.below(living.len() as u64) as usize,
            _ => 0,
        };
        let many = 1 + self.chance.below(5) as usize;
        let gone: Vec<u64> = living.into_iter().skip(at).take(many).collect();
        let runs: Vec<(Seq, Seq)> = gone.iter().map(|seq| (Seq(*seq), Seq(*seq))).collect();
        self.store.remove(QueueId(queue), &runs);
        self.mark_gone(queue, &gone);
    }

    fn mark_gone(&mut self, queue: u64, gone: &[u64]) {
        let at = self.store.end();
        self.story.push(format!("remove {queue} {gone:?} {at:?}"));
        let messages = &mut self.queues.get_mut(&queue).expect("a living queue").messages;
        for seq in gone {
            messages.get_mut(seq).expect("known").gone_at = Some(at);
        }
    }

    fn page_out(&mut self) {
        let queue = self.any_queue();
        let level = self.chance.below(2);
        let mut seqs = self.in_memory(queue);
        seqs.retain(|seq| seq % 2 == level);
        let keep = self.chance.below(4) as usize;
        let out: Vec<u64> = seqs.into_iter().skip(keep).take(8).collect();
        if out.is_empty() {
            return;
        }
        let known = &mut self.queues.get_mut(&queue).expect("a living queue").messages;
        let messages = out.iter().map(|seq| Paged {
            seq: Seq(*seq),
            expires: Millis(u64::MAX),
            message: known[seq].note.clone(),
        });
        let id = self
            .store
            .page_out(QueueId(queue), Epoch(1), level as u8, messages.collect(), 100);
        for seq in &out {
            known.get_mut(seq).expect("known").page = Some(id);
        }
        self.story.push(format!("page out {queue} {out:?} {id:?}"));
    }

    fn pages(&self, queue: u64) -> BTreeSet<PageId> {
        let messages = self.queues[&queue].messages.values();
        messages
            .filter(|known| known.gone_at.is_none())
            .filter_map(|known| known.page)
            .collect()
    }

    fn load(&mut self) {
        let queue = self.any_queue();
        let Some(page) = self.pages(queue).pop_first() else {
            return;
        };
        let read = self.bring(|store, then| store.read(page, then));
        let came = self.bring(|store, then| store.load(page, then));
        if self.power_is_off {
            return;
        }
        assert_eq!(
            read, came,
            "seed {}: page {page:?} as it is read beside the queue",
            self.seed
        );
        let messages = &mut self.queues.get_mut(&queue).expect("a living queue").messages;
        let expected = messages
            .iter()
            .filter(|(_, known)| known.page == Some(page) && known.gone_at.is_none());
        let expected: Vec<(u64, Note)> = expected.map(|(seq, known)| (*seq, known.note.clone())).collect();
        assert_eq!(came, expected, "seed {}: page {page:?}", self.seed);
        messages
            .values_mut()
            .filter(|known| known.page == Some(page))
            .for_each(|known| known.page = None);
        self.story.push(format!("load {queue} {page:?}"));
    }

    fn bring(&mut self, ask: impl FnOnce(&Store<Note>, Loaded<Note>)) -> Vec<(u64, Note)> {
        let came = Arc::new(Mutex::new(None));
        let into = came.clone();
        let then = move |messages| *into.lock().expect("one thread") = Some(messages);
        ask(&self.store, Box::new(then));
        self.step_keeper();
        let came = came.lock().expect("one thread").take();
        let came: Vec<Paged<Note>> = came.unwrap_or_default();
        came.into_iter().map(|paged| (paged.seq.0, paged.message)).collect()
    }

    /// As the machine does it: what is in memory is reported by position, pages are reported and discarded.
    fn purge(&mut self) {
        let queue = self.any_queue();
        let living = self.living(queue);
        let pages = self.pages(queue);
        let runs: Vec<(Seq, Seq)> = living.iter().map(|seq| (Seq(*seq), Seq(*seq))).collect();
        self.store.remove(QueueId(queue), &runs);
        self.mark_gone(queue, &living);
        pages.into_iter().for_each(|page| self.store.discard(page));
    }

    fn deliver(&mut self) {
        let queue = self.any_queue();
        let Some(upto) = self.living(queue).first().copied() else {
            return;
        };
        self.store.delivered(QueueId(queue), &[(0, Seq(upto))]);
        let at = self.store.end();
        self.queues
            .get_mut(&queue)
            .expect("a living queue")
            .delivered
            .push((upto, at));
    }

    /// The catalogue has deleted a queue, and another was declared.
    fn delete(&mut self) {
        let queue = self.any_queue();
        self.store.forget(QueueId(queue));
        self.queues.get_mut(&queue).expect("a living queue").deleted = true;
        self.queues.insert(self.next_queue, Queue::default());
        self.next_queue += 1;
        self.story.push(format!("delete {queue}"));
    }

    fn step_writer(&mut self) {
        let end = self.store.end();
        if self.chance.once_in(2) {
            // Somebody waits for all there is.
            let wake: store::Wake = Arc::new(|| {});
            self.store.wake_when_synced(end, &wake);
        }
        match self.opened.step_writer() {
            // On a full disk some of it waits still.
            Ok(_) if self.store.is_full() => self.full_steps += 1,
            Ok(_) => self.written = end,
            Err(_) => self.power_is_off = true,
        }
    }

    /// The disk is full, or nearly, or has room again.
    fn change_room(&mut self) {
        let room = self.octets() + self.chance.below(10_000) as usize;
        let is_limited = !self.chance.once_in(3);
        self.disk.set_capacity(is_limited.then_some(room));
    }

    /// Octets of all files.
    fn octets(&self) -> usize {
        let files = ["wal", "pages"].map(|directory| {
            let names = self.disk.list(directory).expect("it can be listed");
            let length =
                |name: &String| read_all(&self.disk, &format!("{directory}/{name}")).map_or(0, |all| all.len());
            names.iter().map(length).sum::<usize>()
        });
        files.iter().sum()
    }

    fn step_keeper(&mut self) {
        self.power_is_off |= self.opened.step_keeper().is_err();
    }

    /// Ends the run, opens what is left, and compares.
    pub(crate) fn crash(&mut self) -> Crash {
        let power_cut = self.power_is_off || self.chance.once_in(2);
        let synced = self.store.synced();
        let safe = if power_cut { synced } else { self.written };
        let retired = self.disk.list("wal").expect("it can be listed").len() > 1 || synced.segment() > 2;
        let disk = match power_cut {
            true => self.disk.after_power_cut(self.chance.next()),
            false => self.disk.after_kill(),
        };
        let mid_step = std::mem::take(&mut self.power_is_off);
        let full = std::mem::take(&mut self.full_steps) > 0;
        disk.set_capacity(None);
        self.disk = disk.clone();
        self.open_again(disk);
        let lost_unsynced = self.compare(safe);
        let messages = self.queues.values().map(|queue| queue.messages.len() as u64).sum();
        Crash {
            power_cut,
            mid_step,
            retired,
            lost_unsynced,
            full,
            messages,
        }
    }

    /// Sometimes the power goes off again while the store recovers.
    fn open_again(&mut self, mut disk: MemDisk) {
        let deleted: BTreeSet<u64> = self
            .queues
            .iter()
            .filter(|(_, queue)| queue.deleted)
            .map(|(id, _)| *id)
            .collect();
        let wanted = |queue: QueueId| !deleted.contains(&queue.0);
        if self.chance.once_in(3) {
            disk.cut_power_after(self.chance.below(30));
            match Opened::<_, Note>::open(disk.clone(), SIZES, self.formats.clone(), &wanted) {
                Ok(_) | Err(store::StoreError::Io(_)) => {}
                Err(error) => panic!("seed {}: {error}\n{}", self.seed, self.story.join("\n")),
            }
            disk = disk.after_power_cut(self.chance.next());
        }
        self.disk = disk.clone();
        self.opened = Opened::open(disk, SIZES, self.formats.clone(), &wanted)
            .unwrap_or_else(|error| panic!("seed {}: {error}\n{}", self.seed, self.story.join("\n")));
        self.store = self.opened.store();
        self.written = self.store.end();
        self.queues.retain(|_, queue| !queue.deleted);
    }

    /// True if something was lost that nobody had been promised.
    fn compare(&mut self, safe: Lsn) -> bool {
        let mut lost_unsynced = false;
        let ids: Vec<u64> = self.queues.keys().copied().collect();
        for id in ids {
            let recovered = self.opened.queues.remove(&QueueId(id)).unwrap_or_default();
            let found = self.found(&recovered);
            let queue = self.queues.remove(&id).expect("known");
            for (seq, known) in &queue.messages {
                let there = found.contains_key(seq);
                let promised = known.safe_at <= safe && known.gone_at.is_none();
                let final_gone = known.gone_at.is_some_and(|at| at <= safe);
                self.must(there || !promised, id, *seq, "is lost", safe);
                self.must(!(there && final_gone), id, *seq, "came back", safe);
                self.must(
                    !there || known.note.persistent,
                    id,
                    *seq,
                    "was transient and survived",
                    safe,
                );
                lost_unsynced |= known.note.persistent && known.gone_at.is_none() && !there;
            }
            for (seq, (note, _)) in &found {
                let same = queue.messages.get(seq).is_some_and(|known| known.note == *note);
                self.must(same, id, *seq, "was never published like this", safe);
            }
            self.compare_marks(id, &queue, &recovered, &found, safe);
            self.queues.insert(id, reborn(&recovered, found));
        }
        lost_unsynced
    }

    fn must(&self, holds: bool, queue: u64, seq: u64, what: &str, safe: Lsn) {
        assert!(
            holds,
            "seed {}: message {seq} of queue {queue} {what} (durable up to {safe:?})\n{}",
            self.seed,
            self.story.join("\n")
        );
    }

    fn compare_marks(
        &self,
        id: u64,
        queue: &Queue,
        recovered: &RecoveredQueue,
        found: &BTreeMap<u64, (Note, PageId)>,
        safe: Lsn,
    ) {
        let highest = found.keys().last().copied().unwrap_or_default();
        self.must(
            recovered.last_seq.0 >= highest,
            id,
            highest,
            "is above the last position",
            safe,
        );
        let delivered = recovered
            .delivered
            .iter()
            .map(|(_, seq)| seq.0)
            .max()
            .unwrap_or_default();
        let promised = queue
            .delivered
            .iter()
            .filter(|(_, at)| *at <= safe)
            .map(|(seq, _)| *seq)
            .max();
        // What was handed out before and is still there must be known as such.
        let handed_out = promised.and_then(|upto| found.range(..=upto).next_back());
        let kept = handed_out.is_none_or(|(seq, _)| *seq <= delivered);
        self.must(kept, id, delivered, "is not where deliveries ended", safe);
    }

    /// Loads every page of a recovered queue; what a page is said to hold must be what it holds.
    fn found(&mut self, recovered: &RecoveredQueue) -> BTreeMap<u64, (Note, PageId)> {
        let mut found = BTreeMap::new();
        for page in &recovered.pages {
            let came = self.bring(|store, then| store.load(page.id, then));
            let told: Vec<u64> = page.seqs.iter().flat_map(|(first, last)| first.0..=last.0).collect();
            let seqs: Vec<u64> = came.iter().map(|(seq, _)| *seq).collect();
            assert_eq!(seqs, told, "seed {}: page {:?}", self.seed, page.id);
            let bytes: usize = came.iter().map(|(_, note)| note.body.len()).sum();
            assert_eq!(bytes as u64, page.body_bytes, "seed {}: page {:?}", self.seed, page.id);
            for (seq, note) in came {
                let twice = found.insert(seq, (note, page.id));
                assert!(twice.is_none(), "seed {}: message {seq} is in two pages", self.seed);
            }
        }
        found
    }
}

/// The model of what was found: all of it is safe, and in memory since it has just been loaded.
fn reborn(recovered: &RecoveredQueue, found: BTreeMap<u64, (Note, PageId)>) -> Queue {
    let known = |(note, _): (Note, PageId)| Known {
        note,
        safe_at: Lsn(0),
        gone_at: None,
        page: None,
    };
    let upto = recovered.delivered.iter().map(|(_, seq)| seq.0).max();
    Queue {
        last_seq: recovered.last_seq.0,
        messages: found.into_iter().map(|(seq, found)| (seq, known(found))).collect(),
        delivered: upto.map(|seq| (seq, Lsn(0))).into_iter().collect(),
        deleted: false,
    }
}
