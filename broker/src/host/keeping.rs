//! The node's store as its queues use it: opened before the first queue, stopped after the last.
//!
//! Decides which messages a queue may keep in memory and whether it is durable; what is kept and how, the store decides.

use anyhow::Context;
use catalog::QueueRecord;
use model::{Epoch, PageId, QueueId, Seq};
use queue::{Dedup, Restored, RestoredPage, Tally};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process,
    sync::Arc,
};
use store::{Formats, Lsn, Opened, RecoveredQueue, Sizes, Store, disk::FsDisk};
use tokio::sync::Notify;

use super::{
    counters::{Counter, FileCounts},
    loads::{Loads, Pages},
    message::Message,
    metered::{Calls, Meter, Metered},
};

/// Memory that ready messages of a lazy queue may take.
const LAZY_RESIDENT_BYTES: u64 = 256 * 1024;

/// The store and what belongs to it.
#[derive(Debug)]
pub struct Keeping {
    /// The store.
    pub store: Store<Message>,
    /// Pages on their way back to their queues.
    pub loads: Loads,
    /// The reign in which messages are enqueued.
    pub epoch: Epoch,
    /// What happened on the store's disk.
    pub meter: Arc<Meter>,
    /// Pages that left memory.
    pub pages_out: Counter,
    /// Pages that were asked for.
    pub pages_loaded: Counter,
}

/// What a start finds.
pub struct Found {
    /// The store.
    pub keeping: Arc<Keeping>,
    /// Messages by queue.
    pub queues: BTreeMap<QueueId, RecoveredQueue>,
    /// For the task that gives pages back.
    pub pages: Pages,
}

impl Keeping {
    /// Opens the store in the data directory; messages of queues that are not in `wanted` are forgotten.
    ///
    /// # Errors
    /// What is wrong with the files, and what can be done.
    pub fn open(data: &Path, formats: &Formats, epoch: Epoch, wanted: &BTreeSet<QueueId>) -> anyhow::Result<Found> {
        let title = || format!("the messages in {}", data.display());
        std::fs::create_dir_all(data).with_context(title)?;
        let meter = Arc::new(Meter::default());
        let disk = Metered::new(FsDisk::new(data), meter.clone());
        let opened = Opened::open(disk, Sizes::default(), formats.clone(), &|queue| {
            wanted.contains(&queue)
        });
        let (store, queues) = opened.with_context(title)?.run(Arc::new(end_at_once))?;
        let (loads, pages) = Loads::new();
        let keeping = Arc::new(Keeping {
            store,
            loads,
            epoch,
            meter,
            pages_out: Counter::default(),
            pages_loaded: Counter::default(),
        });
        Ok(Found { keeping, queues, pages })
    }

    /// What happened to the files so far.
    pub fn file_counts(&self) -> FileCounts {
        let Meter { reads, writes, syncs } = &*self.meter;
        let ns = |calls: &Calls| calls.time().as_nanos() as u64;
        FileCounts {
            reads: reads.count.get(),
            read_octets: reads.octets.get(),
            read_ns: ns(reads),
            writes: writes.count.get(),
            written_octets: writes.octets.get(),
            write_ns: ns(writes),
            syncs: syncs.count.get(),
            sync_ns: ns(syncs),
            pages_loaded: self.pages_loaded.get(),
            pages_out: self.pages_out.get(),
        }
    }

    /// Takes messages of a queue out of memory.
    pub fn page_out(&self, queue: QueueId, level: u8, messages: Vec<queue::Paged<Message>>) -> PageId {
        let bytes = messages
            .iter()
            .map(|paged| queue::Message::resident_bytes(&paged.message))
            .sum();
        let messages = messages.into_iter().map(|paged| store::Paged {
            seq: paged.seq,
            expires: paged.expires,
            message: paged.message,
        });
        self.pages_out.add(1);
        self.store.page_out(queue, self.epoch, level, messages.collect(), bytes)
    }

    /// Waits until the log is durable up to a position.
    pub async fn until_durable(&self, lsn: Lsn) {
        let durable = Arc::new(Notify::new());
        let told = durable.clone();
        let wake: store::Wake = Arc::new(move || told.notify_one());
        if self.store.wake_when_synced(lsn, &wake) {
            durable.notified().await;
        }
    }

    /// Writes everything down; nothing may be appended any more.
    pub async fn stop(&self) {
        let store = self.store.clone();
        if tokio::task::spawn_blocking(move || store.stop()).await.is_err() {
            tracing::error!("the store did not stop in order");
        }
    }
}

/// What a queue obeys in memory and on disk. Exclusive queues end with their connection, so nothing of them is kept.
pub fn settings(record: &QueueRecord) -> queue::Settings {
    let rules = queue::Settings::from(&*record.settings);
    queue::Settings {
        durable: record.durable && record.owner.is_none(),
        replicated: record.replicas.is_some(),
        returns_in_turn: record.is_quorum(),
        resident_bytes_max: match record.settings.lazy {
            true => LAZY_RESIDENT_BYTES,
            false => rules.resident_bytes_max,
        },
        ..rules
    }
}

/// What is known of who published the messages of a queue: nothing of those that were left of it, all of one just declared.
pub fn known_of(left: Option<&RecoveredQueue>) -> Dedup {
    left.map_or_else(Dedup::default, |_| Dedup::partial())
}

/// What the store found of a queue, in the queue's words.
pub fn restored(left: RecoveredQueue) -> Restored {
    let levels = left.delivered.iter().map(|(level, _)| usize::from(*level) + 1).max();
    let mut delivered_to = vec![Seq(0); levels.unwrap_or_default()];
    for (level, upto) in left.delivered {
        delivered_to[usize::from(level)] = upto;
    }
    let page = |page: store::RecoveredPage| RestoredPage {
        id: page.id,
        level: page.level,
        tally: Tally {
            messages: page.messages(),
            bytes: page.body_bytes,
            persistent: page.messages(),
            persistent_bytes: page.body_bytes,
        },
        expiring: page.expiring,
        seqs: page.seqs,
    };
    Restored {
        last_seq: left.last_seq,
        delivered_to,
        pages: left.pages.into_iter().map(page).collect(),
    }
}

/// A disk that fails leaves nothing that could still be promised: whoever is left waiting must hear nothing.
pub(super) fn end_at_once(why: &str) {
    tracing::error!(
        "{why}. What is on the disk is not known any more, so the node ends at once; unconfirmed messages may be lost. \
         Check the disk (dmesg, SMART) before it is started again"
    );
    process::abort();
}
