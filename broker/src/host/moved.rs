//! A queue of this node is led by another from now on: what its clients had going on with it goes there.
//!
//! A client of this node keeps its consumers, which are asked for again at the new leader without a word; one of another
//! node is told how far the definitions are here, and looks for the leaders of its queues anew.

use model::{ConsumerId, Generation, QueueId};
use session::ConsumeRequest;
use std::sync::Arc;

use super::{
    cell::{Leads, QueueCell},
    connection::Task,
    consumers::Subscribed,
    legs::FarConsumer,
    outbox::Letter,
    remote::consume_method,
    resettle::wants_to_know,
};

/// A consumer by channel and tag, and which of those that had the tag.
type Name<'a> = (u16, &'a str, ConsumerId);

impl Task {
    /// True if the queue is led elsewhere, which is published in a moment: what found it here is to be asked again.
    pub(super) async fn has_moved(&mut self, cell: &Arc<QueueCell>) -> bool {
        let has_moved = cell.leads() == Leads::Elsewhere;
        if has_moved {
            self.batch.settle_down();
            tokio::task::yield_now().await;
        }
        has_moved
    }

    /// A consumer's queue is led elsewhere from this state of the catalogue on.
    pub(super) async fn on_moved(&mut self, consumer: Name<'_>, wish: Arc<ConsumeRequest>, as_of: Generation) {
        self.node.catch_up(as_of).await;
        if self.is_leg() {
            return self.send_away();
        }
        self.on_safe_ground().await;
        let (channel, tag, id) = consumer;
        let found = self.consumers.get(channel, tag);
        let Some(Subscribed::To(cell, _)) = found.filter(|found| found.id() == Some(id)) else {
            return;
        };
        let queue = cell.id;
        self.batch.begin();
        if wants_to_know(&wish) || !self.renew_moved(queue, consumer, wish) {
            self.tell_cancelled(channel, tag, id);
        }
        self.batch.end();
    }

    fn renew_moved(&mut self, queue: QueueId, (channel, tag, id): Name<'_>, wish: Arc<ConsumeRequest>) -> bool {
        let snapshot = self.node.snapshot().clone();
        let Some(record) = snapshot.catalog.queue_by_id(queue) else {
            return false;
        };
        if let Some(cell) = snapshot.cell(queue) {
            // Led here again.
            return self.subscribe_here(channel, cell, tag, id, &wish, false).is_ok();
        }
        let method = consume_method(record.name.as_str(), tag, &wish);
        let (Ok(method), true) = (method, snapshot.is_led(record)) else {
            return false;
        };
        let leg = self.batch.legs.to(&record.leader, &self.node, &self.client);
        let as_of = snapshot.generation();
        let consumer = FarConsumer::known(id, queue, wish.clone());
        leg.enter_consumer(channel, as_of, tag, Arc::new(consumer));
        leg.renew_consumer(channel, as_of, tag, method);
        self.batch.legs.touch(&leg);
        self.consumers
            .insert(channel, tag.to_owned(), Subscribed::There(leg, id, wish));
        true
    }

    fn tell_cancelled(&self, channel: u16, tag: &str, id: ConsumerId) {
        self.client.outbox().post(Letter::ConsumerGone {
            channel,
            tag: tag.to_owned(),
            id,
        });
    }

    /// On a leg: its other end finds the leaders of its queues anew, by definitions that are at least those of here. What
    /// was not answered is sent again.
    pub(super) fn send_away(&mut self) {
        if self.over {
            return;
        }
        self.batch.begin();
        self.tell_generation();
        self.batch.end();
        self.over = true;
    }
}
