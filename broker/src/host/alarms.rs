//! Memory and disk alarms: measured on a beat, set and cleared at RabbitMQ's watermarks without hysteresis.
//!
//! While an alarm is on, connections that publish are blocked at their next publish; consumers go on and drain.
//! Nothing here touches a message.

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use super::{node::Node, outbox::Letter};
use crate::config::Resources;

/// Memory is looked at at least this often: a queue can fill a gigabyte in a second.
const MEMORY_INTERVAL: Duration = Duration::from_millis(100);
/// ... and this often when more than half of the limit is used.
const MEMORY_INTERVAL_NEAR: Duration = Duration::from_millis(20);
/// Disk space is looked at this often while it is far from its limit.
const DISK_INTERVAL: Duration = Duration::from_secs(10);
/// ... and this often when less than twice the limit is left.
const DISK_INTERVAL_NEAR: Duration = Duration::from_millis(500);

/// The node's alarms and what they were judged by.
#[derive(Debug, Default)]
pub struct Alarms {
    memory: AtomicBool,
    disk: AtomicBool,
    /// Resident memory at the last look, in octets.
    pub memory_used: AtomicU64,
    /// Free octets on the data directory's file system at the last look.
    pub disk_free: AtomicU64,
}

impl Alarms {
    /// True while publishers are to be blocked.
    pub fn any(&self) -> bool {
        self.memory() || self.disk()
    }

    /// True while memory is above its watermark.
    pub fn memory(&self) -> bool {
        self.memory.load(Ordering::Relaxed)
    }

    /// True while disk space is below its limit.
    pub fn disk(&self) -> bool {
        self.disk.load(Ordering::Relaxed)
    }

    /// What blocked clients are told.
    pub fn reason(&self) -> &'static str {
        match (self.memory(), self.disk()) {
            (true, true) => "low on memory & disk",
            (false, true) => "low on disk",
            _ => "low on memory",
        }
    }
}

/// Octets of memory that this process may use: the machine's, or its control group's if that is less.
pub fn memory_total(resources: &Resources) -> u64 {
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

/// The memory limit in octets.
pub fn memory_limit(resources: &Resources) -> u64 {
    resources.memory().bytes(memory_total(resources))
}

/// The disk limit in octets.
pub fn disk_limit(resources: &Resources) -> u64 {
    resources.disk().bytes(memory_total(resources))
}

/// Watches memory until the node stops.
pub async fn watch_memory(node: Arc<Node>) {
    let resources = &node.config().resources;
    let limit = memory_limit(resources);
    let interval = resources.memory_interval.duration().min(MEMORY_INTERVAL);
    loop {
        let used = memory_used();
        if let Some(used) = used {
            node.alarms().memory_used.store(used, Ordering::Relaxed);
            let what = format!("memory resource limit alarm: {used} octets used, limit {limit}");
            node.judge(&node.alarms().memory, used > limit || limit == 0, &what);
        }
        let near = used.is_some_and(|used| used.saturating_mul(2) > limit);
        if node.sleeps_until_stop(if near { MEMORY_INTERVAL_NEAR } else { interval }).await {
            return;
        }
    }
}

/// Watches disk space until the node stops.
pub async fn watch_disk(node: Arc<Node>) {
    let limit = disk_limit(&node.config().resources);
    loop {
        let free = disk_free(node.config().node.data.as_path());
        if let Some(free) = free {
            node.alarms().disk_free.store(free, Ordering::Relaxed);
            let what = format!("disk resource limit alarm: {free} octets free, limit {limit}");
            node.judge(&node.alarms().disk, free < limit, &what);
        }
        let near = free.is_some_and(|free| free < limit.saturating_mul(2));
        if node
            .sleeps_until_stop(if near { DISK_INTERVAL_NEAR } else { DISK_INTERVAL })
            .await
        {
            return;
        }
    }
}

impl Node {
    fn judge(&self, alarm: &AtomicBool, now_on: bool, what: &str) {
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
        for client in self.clients().all() {
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
