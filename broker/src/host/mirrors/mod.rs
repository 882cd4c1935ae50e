//! Mirrored queues: what this node leads is told to mirrors at others (`stream`, `link`), what others lead is held here
//! (`copies`, `answers`), and a copy becomes the queue, or the queue a copy, as the definitions say (`reign`).
//!
//! Who leads, and who counts, is decided by committed entries alone; what a leader wants of them is proposed by `keeper`.
//! The rules are in docs/mirroring-protocol.md. A queue that was never mirrored costs nothing here.

mod answers;
mod bases;
mod copies;
mod evacuation;
mod forced;
mod hand_over;
mod keeper;
mod link;
mod members;
mod pace;
mod reach;
mod rebalance;
mod record;
mod records;
mod reign;
mod stream;
mod sync;

use model::{NodeUuid, QueueId};
use parking_lot::{Mutex, RwLock};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};
use tokio::sync::Notify;

use super::cell::QueueCell;
pub use bases::read_page;
pub use copies::{CopyCell, serve};
pub use forced::run as run_forced;
pub use keeper::run;
pub use link::Link;
pub use members::{Growing, Member, Membership, Resized};
pub use pace::Pace;
pub use reach::Reach;
pub use rebalance::Selection;
pub use stream::{Reign, Stream, Syncing};

/// A mirrored queue that this node leads.
#[derive(Clone, Debug)]
pub struct Led {
    /// Its place.
    pub cell: Arc<QueueCell>,
    /// Its stream of this reign.
    pub stream: Arc<Stream>,
}

/// What this node mirrors and has mirrored.
#[derive(Debug, Default)]
pub struct Mirrors {
    led: RwLock<BTreeMap<QueueId, Led>>,
    copies: RwLock<BTreeMap<QueueId, Arc<CopyCell>>>,
    links: Mutex<BTreeMap<NodeUuid, Arc<Link>>>,
    /// How fast mirrors are synchronised.
    pace: Pace,
    /// Tells attachments and links of this process apart.
    numbers: AtomicU64,
    /// The keeper should look.
    attention: Notify,
    /// Queues that are being handed over.
    leaving: AtomicUsize,
    /// Queues with one copy are moved elsewhere.
    evacuation: Mutex<evacuation::Evacuation>,
}

impl Mirrors {
    fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Tells a link of a leader from those before it.
    pub fn next_link(&self) -> u64 {
        self.next_number()
    }

    /// A mirrored queue that this node leads.
    pub fn led(&self, queue: QueueId) -> Option<Led> {
        self.led.read().get(&queue).cloned()
    }

    /// All of them.
    pub fn all_led(&self) -> Vec<Led> {
        self.led.read().values().cloned().collect()
    }

    /// This node's copy of a queue that another leads.
    pub fn copy(&self, queue: QueueId) -> Option<Arc<CopyCell>> {
        self.copies.read().get(&queue).cloned()
    }

    /// All copies that are here.
    pub fn all_copies(&self) -> Vec<Arc<CopyCell>> {
        self.copies.read().values().cloned().collect()
    }

    /// True while a queue is handed over, and until everybody sees who leads it then.
    #[inline]
    pub fn are_leaving(&self) -> bool {
        self.leaving.load(Ordering::Acquire) > 0
    }

    /// The way to another node's mirrors, if there is one.
    pub fn link(&self, to: NodeUuid) -> Option<Arc<Link>> {
        self.links.lock().get(&to).cloned()
    }

    /// The other node belongs to the cluster no more.
    pub fn drop_link(&self, to: NodeUuid) {
        self.links.lock().remove(&to);
    }
}
