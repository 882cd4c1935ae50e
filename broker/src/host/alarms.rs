//! Memory and disk alarms: measured on a beat, set and cleared at RabbitMQ's watermarks without hysteresis.
//! Watermarks can be changed while the node runs; a change counts until the node stops.
//!
//! While an alarm is on, here or at another node that is up, connections that publish are blocked at their next publish;
//! consumers go on and drain.
//! Nothing here touches a message.

use model::NodeUuid;
use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;

use tokio::sync::Notify;

use super::{neighbour::AlarmsOn, node::Node, outbox::Letter};
use crate::config::{Resources, Watermark};

/// Memory is looked at at least this often: a queue can fill a gigabyte in a second.
const MEMORY_INTERVAL: Duration = Duration::from_millis(100);
/// ... and this often when more than half of the limit is used.
const MEMORY_INTERVAL_NEAR: Duration = Duration::from_millis(20);
/// Disk space is looked at this often while it is far from its limit.
const DISK_INTERVAL: Duration = Duration::from_secs(10);
/// ... and this often when less than twice the limit is left.
const DISK_INTERVAL_NEAR: Duration = Duration::from_millis(500);

/// A watermark as it was set, and what it comes to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Level {
    /// As it was set.
    pub mark: Watermark,
    /// In octets.
    pub bytes: u64,
}

/// The node's alarms and what they were judged by.
#[derive(Debug)]
pub struct Alarms {
    memory: AtomicBool,
    disk: AtomicBool,
    memory_level: Mutex<Level>,
    disk_level: Mutex<Level>,
    /// Held by whoever measures and judges, so that a look by an old watermark never ends after one by a new.
    memory_look: Mutex<()>,
    disk_look: Mutex<()>,
    /// Set by an administrator, whatever is measured.
    memory_by_hand: AtomicBool,
    disk_by_hand: AtomicBool,
    /// The store found no room at the last look.
    store_full: AtomicBool,
    /// Nodes that have an alarm on.
    others: Mutex<BTreeMap<NodeUuid, AlarmsOn>>,
    /// What the others come to, for a look without the lock.
    others_memory: AtomicBool,
    others_disk: AtomicBool,
    /// An alarm of this node was set or cleared.
    pub changed: Notify,
    /// Octets that watermarks are shares of.
    total: u64,
    /// Resident memory at the last look, in octets.
    pub memory_used: AtomicU64,
    /// Free octets on the data directory's file system at the last look.
    pub disk_free: AtomicU64,
}

impl Alarms {
    /// No alarm yet, and the watermarks of the configuration.
    pub fn new(resources: &Resources) -> Self {
        let total = memory_total(resources);
        Alarms {
            memory: AtomicBool::new(false),
            disk: AtomicBool::new(false),
            memory_level: Mutex::new(Level::of(resources.memory(), total)),
            disk_level: Mutex::new(Level::of(resources.disk(), total)),
            memory_by_hand: AtomicBool::new(false),
            disk_by_hand: AtomicBool::new(false),
            store_full: AtomicBool::new(false),
            others: Mutex::default(),
            others_memory: AtomicBool::new(false),
            others_disk: AtomicBool::new(false),
            changed: Notify::new(),
            memory_look: Mutex::default(),
            disk_look: Mutex::default(),
            total,
            memory_used: AtomicU64::new(0),
            disk_free: AtomicU64::new(0),
        }
    }

    /// Above this much memory, publishers are blocked.
    pub fn memory_level(&self) -> Level {
        *self.memory_level.lock()
    }

    /// Below this much free disk space, publishers are blocked.
    pub fn disk_level(&self) -> Level {
        *self.disk_level.lock()
    }

    /// True while publishers are to be blocked.
    pub fn any(&self) -> bool {
        self.all() != AlarmsOn::default()
    }

    /// True while memory of this node is above its watermark.
    pub fn memory(&self) -> bool {
        self.memory.load(Ordering::Relaxed)
    }

    /// True while disk space of this node is below its limit.
    pub fn disk(&self) -> bool {
        self.disk.load(Ordering::Relaxed)
    }

    /// Those of this node.
    pub fn own(&self) -> AlarmsOn {
        AlarmsOn {
            memory: self.memory(),
            disk: self.disk(),
        }
    }

    /// Those of other nodes, where there are any.
    pub fn others(&self) -> BTreeMap<NodeUuid, AlarmsOn> {
        self.others.lock().clone()
    }

    fn all(&self) -> AlarmsOn {
        AlarmsOn {
            memory: self.memory() || self.others_memory.load(Ordering::Relaxed),
            disk: self.disk() || self.others_disk.load(Ordering::Relaxed),
        }
    }

    /// Other nodes have said something; true if that changes what clients are told.
    pub fn change_others(&self, change: impl FnOnce(&mut BTreeMap<NodeUuid, AlarmsOn>) -> bool) -> bool {
        let mut others = self.others.lock();
        let before = self.all();
        if !change(&mut others) {
            return false;
        }
        let is_on = |which: fn(&AlarmsOn) -> bool| others.values().any(which);
        self.others_memory.store(is_on(|on| on.memory), Ordering::Relaxed);
        self.others_disk.store(is_on(|on| on.disk), Ordering::Relaxed);
        self.all() != before
    }

    /// What blocked clients are told.
    pub fn reason(&self) -> &'static str {
        match self.all() {
            AlarmsOn {
                memory: true,
                disk: true,
            } => "low on memory & disk",
            AlarmsOn {
                memory: false,
                disk: true,
            } => "low on disk",
            AlarmsOn { disk: false, .. } => "low on memory",
        }
    }
}

impl Level {
    fn of(mark: Watermark, total: u64) -> Self {
        let bytes = mark.bytes(total);
        Level { mark, bytes }
    }
}

/// Octets of memory that this process may use: the machine's, or its control group's if that is less.
fn memory_total(resources: &Resources) -> u64 {
    resources.memory_total.map_or_else(detected_memory, |total| total.0)
}

fn detected_memory() -> u64 {
    let machine = meminfo_total().unwrap_or(u64::MAX);
    let group = [
        "/sys/fs/cgroup/memory.max",
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
    ]
    .iter()
    .filter_map(|path| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok())
    .min();
    machine.min(group.unwrap_or(u64::MAX))
}

fn meminfo_total() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim()
        .strip_suffix(" kB")?
        .parse::<u64>()
        .ok()
        .map(|kib| kib * 1024)
}

/// Resident octets of this process.
pub fn memory_used() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split(' ').nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

/// Free octets where the data directory is, or where it will be made.
pub fn disk_free(data: &Path) -> Option<u64> {
    let place = data.ancestors().find(|path| path.exists())?;
    let facts = rustix::fs::statvfs(place).ok()?;
    Some(facts.f_bavail.saturating_mul(facts.f_frsize))
}

/// Watches memory until the node stops.
pub async fn watch_memory(node: Arc<Node>) {
    let interval = node.config().resources.memory_interval.duration().min(MEMORY_INTERVAL);
    loop {
        let near = node.look_at_memory();
        if node.store().is_full() != node.alarms().store_full.load(Ordering::Relaxed) {
            node.look_at_disk();
        }
        if node
            .sleeps_until_stop(if near { MEMORY_INTERVAL_NEAR } else { interval })
            .await
        {
            return;
        }
    }
}

/// Watches disk space until the node stops.
pub async fn watch_disk(node: Arc<Node>) {
    loop {
        let near = node.look_at_disk();
        if node
            .sleeps_until_stop(if near { DISK_INTERVAL_NEAR } else { DISK_INTERVAL })
            .await
        {
            return;
        }
    }
}

impl Node {
    /// From now on memory is judged by this watermark; the alarm is set or cleared when this returns.
    pub fn set_memory_watermark(&self, mark: Watermark) {
        *self.alarms().memory_level.lock() = Level::of(mark, self.alarms().total);
        self.look_at_memory();
    }

    /// From now on disk space is judged by this watermark; the alarm is set or cleared when this returns.
    pub fn set_disk_watermark(&self, mark: Watermark) {
        *self.alarms().disk_level.lock() = Level::of(mark, self.alarms().total);
        self.look_at_disk();
    }

    /// Sets the memory alarm whatever is measured, or leaves it to the measure again.
    pub fn force_memory_alarm(&self, on: bool) {
        self.alarms().memory_by_hand.store(on, Ordering::Relaxed);
        self.look_at_memory();
    }

    /// The same for disk space.
    pub fn force_disk_alarm(&self, on: bool) {
        self.alarms().disk_by_hand.store(on, Ordering::Relaxed);
        self.look_at_disk();
    }

    /// Measures and judges; true if the watermark is near. What cannot be measured is not judged.
    fn look_at_memory(&self) -> bool {
        let alarms = self.alarms();
        let _alone = alarms.memory_look.lock();
        let limit = alarms.memory_level().bytes;
        let Some(used) = memory_used() else {
            return false;
        };
        alarms.memory_used.store(used, Ordering::Relaxed);
        let what = format!("memory resource limit alarm: {used} octets used, limit {limit}");
        let by_hand = alarms.memory_by_hand.load(Ordering::Relaxed);
        self.judge("memory", &alarms.memory, by_hand || used > limit || limit == 0, &what);
        used.saturating_mul(2) > limit
    }

    /// As for memory.
    fn look_at_disk(&self) -> bool {
        let alarms = self.alarms();
        let _alone = alarms.disk_look.lock();
        let limit = alarms.disk_level().bytes;
        let Some(free) = disk_free(self.config().node.data.as_path()) else {
            return false;
        };
        alarms.disk_free.store(free, Ordering::Relaxed);
        // Whatever the file system says: the store knows when it needs more than it can get.
        let full = self.store().is_full();
        alarms.store_full.store(full, Ordering::Relaxed);
        let what = format!("disk resource limit alarm: {free} octets free, limit {limit}");
        let by_hand = alarms.disk_by_hand.load(Ordering::Relaxed);
        self.judge("disk", &alarms.disk, by_hand || full || free < limit, &what);
        full || free < limit.saturating_mul(2)
    }

    fn judge(&self, source: &'static str, alarm: &AtomicBool, now_on: bool, what: &str) {
        if alarm.swap(now_on, Ordering::Relaxed) == now_on {
            return;
        }
        match now_on {
            true => tracing::warn!(
                "{what}. Set on node {}: publishers are blocked until it is cleared",
                self.name()
            ),
            false => tracing::info!("{what}. Cleared on node {}", self.name()),
        }
        self.alarms().changed.notify_one();
        self.changes.tell();
        self.tell_alarm(source, now_on);
        self.tell_clients_of_alarms();
    }

    /// Those that are blocked may go on, or hear so at their next publish.
    pub(super) fn tell_clients_of_alarms(&self) {
        // Clients of other nodes that publish to queues here are blocked as well.
        for client in self.clients().all().into_iter().chain(self.legs().all()) {
            client.outbox().post(Letter::AlarmsChanged);
        }
    }

    /// Sleeps; true if the node stops meanwhile.
    async fn sleeps_until_stop(&self, span: Duration) -> bool {
        tokio::select! {
            () = self.stopping().cancelled() => true,
            () = tokio::time::sleep(span) => false,
        }
    }
}
