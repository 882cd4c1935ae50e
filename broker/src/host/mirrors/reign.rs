//! What committed entries mean for this node's copies: a copy becomes the queue when this process leads it, the queue
//! becomes a copy when it does not, and copies begin and end.
//!
//! Called under the catalogue's lock, before the new state is published, so nobody sees a queue between two leaders here
//! (I3). Nothing is decided: the record names the leader.

use catalog::{Loss, QueueRecord, Replicas};
use model::{Epoch, Generation, Seq};
use queue::{Copy, Dedup, Queue};
use std::sync::Arc;
use store::RecoveredQueue;

use super::super::{
    cell::{Leads, QueueCell},
    journal::Journal,
    keeping::{known_of, restored, settings},
    message::Message,
    node::{Node, Snapshot},
};
use super::{CopyCell, Led, Stream, Syncing, record::record_of};
use super::{bases::in_its_place, copies::StoreSink};

/// Positions of a reign: what is enqueued in it is numbered from here.
const REIGN_BITS: u32 = 44;

/// The first position of a reign.
fn first_of(epoch: Epoch) -> Seq {
    Seq(epoch.0 << REIGN_BITS)
}

fn syncing(record: &QueueRecord) -> Syncing {
    const BATCH: u64 = 4096;
    let ha = record.effective_policy().ha;
    // 1 is RabbitMQ's way to say: as usual.
    let batch = ha.as_ref().and_then(|ha| ha.sync_batch_size).filter(|size| *size > 1);
    Syncing {
        automatic: record.is_quorum() || ha.and_then(|ha| ha.sync_automatic).unwrap_or(false),
        batch: batch.unwrap_or(BATCH),
    }
}

/// Nothing is lost in silence (R18).
fn tell_loss(record: &QueueRecord, loss: Loss) {
    let (title, leader) = (record.title(), &record.leader);
    match loss {
        Loss::Transient => tracing::warn!(
            %leader,
            "{title}: no mirror that is in sync was left; a copy on disk leads now, and transient messages that it did not \
             have are lost"
        ),
        Loss::Forced => tracing::error!(
            %leader,
            "{title}: a mirror that is not in sync was promoted as its policy says, and confirmed messages that it did not \
             have are lost"
        ),
    }
}

impl Node {
    /// A stream for a queue that this process leads, if it has ever been mirrored.
    fn new_stream(&self, record: &QueueRecord, replicas: &Replicas) -> Arc<Stream> {
        Arc::new(Stream::new(record.id, record_of(replicas), syncing(record), self.now()))
    }

    /// A queue that this process leads begins its reign: it numbers anew, and tells mirrors.
    pub(in crate::host) fn begin_reign(&self, cell: &Arc<QueueCell>, record: &QueueRecord) {
        let Some(replicas) = &record.replicas else { return };
        let stream = self.new_stream(record, replicas);
        let mut held = cell.hold();
        held.queue.reign(first_of(replicas.epoch));
        if let Some(before) = held.journal.lead(Some(stream.clone())) {
            before.end();
        }
        drop(held);
        let led = Led {
            cell: cell.clone(),
            stream: stream.clone(),
        };
        self.mirrors().led.write().insert(record.id, led);
        self.mirrors().attention.notify_one();
    }

    /// A copy that is held here begins, with what was left of it when the node stopped, if it did.
    pub(in crate::host) fn begin_copy(&self, record: &QueueRecord, left: Option<RecoveredQueue>) {
        let dedup = known_of(left.as_ref());
        let copy = Copy::restore(&settings(record), restored(left.unwrap_or_default()));
        self.put_copy(record, copy, dedup);
    }

    fn put_copy(&self, record: &QueueRecord, copy: Copy<Message>, dedup: Dedup) {
        // What this node has appended while it led may not be durable yet.
        let safe_at = self.store().end();
        let cell = Arc::new(CopyCell::new(record, copy, dedup, safe_at));
        self.mirrors().copies.write().insert(record.id, cell);
    }

    /// True if this node is to hold a copy of a queue that another leads.
    pub(in crate::host) fn has_copy(&self, record: &QueueRecord) -> bool {
        let replicas = record.replicas.as_ref();
        replicas.is_some_and(|replicas| replicas.copy(self.identity().node).is_some())
    }

    /// The copies of a queue, its leader or what they promise are others now. A place that ended is returned, its messages
    /// are not in it any more.
    pub(in crate::host) fn follow_replicas(&self, next: &mut Snapshot, before: &QueueRecord, now: &Arc<QueueRecord>) {
        let leads = !next.is_remote(now);
        match (next.cell(now.id).cloned(), leads) {
            (Some(cell), true) => self.reign_on(&cell, before, now),
            (None, true) => {
                self.count_take_over(next, before);
                self.promote(next, now);
            }
            (Some(cell), false) => self.demote(next, &cell, now),
            (None, false) => self.keep_copy(before, now),
        }
    }

    /// A leader that is there has handed the queue over.
    fn count_take_over(&self, next: &Snapshot, before: &QueueRecord) {
        let was_led = before
            .replicas
            .as_ref()
            .is_some_and(|replicas| next.catalog.is_led(replicas));
        let counters = self.counters();
        match was_led {
            true => counters.taken_over_planned.add(1),
            false => counters.taken_over_lost.add(1),
        }
    }

    /// Messages were given up for a queue; the node that leads it counts them.
    pub(in crate::host) fn note_loss(&self, record: &QueueRecord, loss: Loss) {
        self.counters().given_up.add(u64::from(&record.leader == self.name()));
        tell_loss(record, loss);
    }

    /// This process leads as before, or again.
    fn reign_on(&self, cell: &Arc<QueueCell>, before: &QueueRecord, now: &Arc<QueueRecord>) {
        let epoch = |record: &QueueRecord| record.replicas.as_ref().map(|replicas| replicas.epoch);
        let led = self.mirrors().led(now.id).filter(|_| epoch(before) == epoch(now));
        let (Some(led), Some(replicas)) = (led, &now.replicas) else {
            self.adjust(cell, now);
            return self.begin_reign(cell, now);
        };
        led.stream.learn(record_of(replicas), self.now());
        self.mirrors().attention.notify_one();
    }

    /// The copy that is here becomes the queue.
    fn promote(&self, next: &mut Snapshot, record: &Arc<QueueRecord>) {
        let copy = self.mirrors().copies.write().remove(&record.id);
        let none = || (Copy::new(&settings(record)), Dedup::partial());
        let (copy, dedup) = copy.map_or_else(none, |cell| cell.take(record));
        let messages = copy.tally().messages;
        let delivered = copy.delivered_to().to_vec();
        let queue: Queue<_, _> = copy.promote(settings(record), record.auto_delete, self.now());
        let journal = Journal::new(self.keeping().clone(), record.id, delivered);
        let cell = self.place(record, queue, journal);
        cell.set_traced(next.is_traced(&record.vhost));
        cell.hold().dedup = dedup;
        next.put_cell(record.id, cell.clone());
        self.begin_reign(&cell, record);
        let epoch = record.replicas.as_ref().map(|replicas| replicas.epoch.0);
        tracing::info!(messages, ?epoch, "{}: this node leads it now", record.title());
    }

    /// The queue that is here becomes a copy of what another leads, or nothing.
    fn demote(&self, next: &mut Snapshot, cell: &Arc<QueueCell>, record: &Arc<QueueRecord>) {
        next.remove_cell(record.id);
        let (copy, dedup) = self.take_apart(cell, record, next.generation());
        self.mirrors().led.write().remove(&record.id);
        self.timers().forget(record.id);
        match self.has_copy(record) {
            true => self.put_copy(record, copy, dedup),
            false => self.drop_copy(record, copy),
        }
        tracing::info!(leader = %record.leader, "{}: another node leads it now", record.title());
    }

    /// Takes the messages out of a place; its consumers go to whoever leads from this state of the catalogue on.
    fn take_apart(&self, cell: &Arc<QueueCell>, record: &QueueRecord, as_of: Generation) -> (Copy<Message>, Dedup) {
        let mut held = cell.hold();
        held.dead = true;
        cell.set_leads(Leads::Elsewhere, &mut held);
        if let Some(stream) = held.journal.lead(None) {
            stream.end();
        }
        self.count_on(cell, held.queue.counters());
        let empty = Queue::new(settings(record), record.auto_delete, self.now());
        let (mut copy, consumers) = std::mem::replace(&mut held.queue, empty).demote();
        // What died and has not arrived lives again: this copy may lead again.
        let mut sink = StoreSink::new(self.keeping(), record.id);
        cell.letters.each_stored(|seq, dead| {
            let is_new = copy.enqueue(in_its_place(seq, dead), &mut sink);
            debug_assert!(is_new, "what died is in its queue no more");
        });
        drop(sink);
        QueueCell::send_away(consumers, as_of);
        // Whoever waits for a message finds the new leader.
        cell.page_came.notify_waiters();
        (copy, std::mem::take(&mut held.dedup))
    }

    fn drop_copy(&self, record: &QueueRecord, mut copy: Copy<Message>) {
        copy.delete(&mut StoreSink::new(self.keeping(), record.id));
        self.store().forget(record.id);
    }

    /// Another leads, as before: the copy that is here goes on, begins or ends.
    fn keep_copy(&self, before: &QueueRecord, now: &Arc<QueueRecord>) {
        let copy = self.mirrors().copy(now.id);
        let epoch = |record: &QueueRecord| record.replicas.as_ref().map(|replicas| replicas.epoch);
        match (copy, self.has_copy(now)) {
            (Some(copy), true) if epoch(before) != epoch(now) => copy.leave(),
            (Some(_), true) | (None, false) => {}
            (None, true) => self.put_copy(now, Copy::new(&settings(now)), Dedup::partial()),
            (Some(_), false) => self.end_copy(now),
        }
    }

    /// A queue that is mirrored here or from here obeys other settings.
    pub(in crate::host) fn adjust_mirroring(&self, record: &QueueRecord) {
        if record.replicas.is_none() {
            return;
        }
        if let Some(copy) = self.mirrors().copy(record.id) {
            copy.hold().copy.set_settings(&settings(record));
        }
        if let Some(led) = self.mirrors().led(record.id) {
            led.stream.set_syncing(syncing(record));
        }
    }

    /// A copy is wanted no more, or its queue is deleted.
    pub(in crate::host) fn end_copy(&self, record: &QueueRecord) {
        let copy = self.mirrors().copies.write().remove(&record.id);
        if let Some(cell) = copy {
            let (copy, _) = cell.take(record);
            self.drop_copy(record, copy);
        }
    }

    /// A mirrored queue that was led here is deleted.
    pub(in crate::host) fn end_reign(&self, record: &QueueRecord) {
        let led = self.mirrors().led.write().remove(&record.id);
        if let Some(led) = led {
            led.stream.end();
        }
    }
}
