//! What was open on a leg that broke, taken over: publishes without an answer are sent again, in order, to whoever leads
//! their queues now, and consumers are asked for again there, without a word to the client.
//!
//! Who leads is what the published snapshot says, and nothing else. What nobody leads that knows of it is refused: the
//! publish is nacked, the consumer cancelled. Until that is decided the client's further publishes are not read.

use catalog::NodeName;
use model::{QueueId, Value};
use queue::{Origin, Stamp};
use session::{ConsumeRequest, Fate, Receipt};
use smallvec::SmallVec;
use std::{sync::Arc, time::Duration};

use super::{
    cell::QueueCell,
    connection::Task,
    consumers::Subscribed,
    legs::{Awaited, Estate, FarConsumer, Heirs, Leg, Refused, Standing, Unheard, tell_cancelled},
    outbox::Letter,
    remote::consume_method,
};

/// Nobody tells when it is known who leads a queue that was handed over: it is looked again after this.
pub(super) const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(2);

/// Where the work on a queue goes on.
enum Way {
    /// The queue is gone.
    Nowhere,
    /// This node leads it.
    Here(Arc<QueueCell>),
    /// That one does.
    To(NodeName),
    /// Nobody does who knows what was sent.
    Down,
}

impl Task {
    /// Takes over what was open on legs that broke, as far as that is due.
    pub(super) fn resettle(&mut self) {
        if !self.batch.legs.are_troubled() {
            return;
        }
        for (lost, estate) in self.batch.legs.take_estates(&self.node.snapshot().clone()) {
            let heirs = self.send_again(&lost, &estate);
            for (number, tag, consumer) in &estate.consumers {
                self.renew(&lost, *number, tag, consumer);
            }
            let near = heirs.near;
            lost.settle_estate(heirs);
            // In case it is already: the client's task looks at once.
            if !self.node.store().wake_when_synced(near, self.client.wake()) {
                self.client.outbox().attention.notify_one();
            }
        }
    }

    /// Waits until no leg is broken any more, so that what is asked next finds all that was sent before.
    pub(super) async fn on_safe_ground(&mut self) {
        let outbox = self.client.clone();
        let outbox = outbox.outbox();
        let mut has_waited = false;
        while self.batch.legs.are_troubled() && !outbox.is_dead() {
            self.resettle();
            self.batch.settle_down();
            if self.batch.legs.are_troubled() {
                has_waited = true;
                self.attend().await;
            }
        }
        if has_waited {
            // What else it was for is still to be looked at.
            outbox.attention.notify_one();
        }
    }

    /// Waits until there may be something to take over.
    pub(super) async fn attend(&self) {
        let told = self.client.outbox().attention.notified();
        match self.batch.legs.has_aside() {
            true => _ = tokio::time::timeout(LOOK_AGAIN_AFTER, told).await,
            false => told.await,
        }
    }

    fn way(&self, lost: &Leg, queue: QueueId) -> Way {
        let snapshot = self.node.snapshot();
        let Some(record) = snapshot.catalog.queue_by_id(queue) else {
            return Way::Nowhere;
        };
        if !snapshot.is_remote(record) {
            return snapshot.cell(queue).cloned().map_or(Way::Down, Way::Here);
        }
        match snapshot.process(&record.leader) {
            // Its former process alone knows what it has taken.
            process @ Some(_) if record.leader != lost.leader || process == lost.process => {
                Way::To(record.leader.clone())
            }
            Some(_) | None => Way::Down,
        }
    }

    fn send_again(&mut self, lost: &Arc<Leg>, estate: &Estate) -> Heirs {
        let floor = estate.publishes().map(|open| open.sequence).min().unwrap_or(0);
        let mut heirs = Heirs::default();
        let mut asked: Vec<(Arc<Leg>, u16)> = Vec::new();
        for open in estate.publishes() {
            self.send_one_again(lost, &open, floor, &mut asked);
        }
        heirs
            .far
            .extend(asked.iter().map(|(leg, number)| Awaited::of(leg, *number)));
        heirs.near = self.batch.safe_at();
        heirs.reaches = self.batch.reaches().to_vec();
        heirs
    }

    fn send_one_again(&mut self, lost: &Arc<Leg>, open: &Unheard<'_>, floor: u64, asked: &mut Vec<(Arc<Leg>, u16)>) {
        let (mut here, mut is_refused) = (SmallVec::<[Arc<QueueCell>; 1]>::new(), false);
        let mut there = SmallVec::<[(NodeName, SmallVec<[QueueId; 1]>); 1]>::new();
        for queue in open.targets.queues() {
            match self.way(lost, queue) {
                Way::Nowhere => {}
                Way::Down => is_refused = true,
                Way::Here(cell) => here.push(cell),
                Way::To(leader) => match there.iter_mut().find(|(known, _)| *known == leader) {
                    Some((_, queues)) => queues.push(queue),
                    None => there.push((leader, SmallVec::from_slice(&[queue]))),
                },
            }
        }
        let standing = Standing {
            receipt: open.receipt,
            sequence: open.sequence,
            // Over a leg that was never connected nothing has been sent.
            again: open.again || lost.has_been_connected(),
        };
        for (leader, queues) in there {
            let leg = self.batch.legs.instead_of(lost, &leader, &self.node, &self.client);
            let as_of = self.node.snapshot().generation();
            // What nobody waits for is not kept, and so never sent again.
            let sequence = if open.receipt == Receipt::None {
                0
            } else {
                open.sequence
            };
            let standing = Standing { sequence, ..standing };
            is_refused |= !leg.forward(open.channel, as_of, &queues, &open.message, standing);
            self.batch.legs.touch(&leg);
            ask(asked, leg, open.channel);
        }
        is_refused |= !here.is_empty() && self.publish_here(&here, open, (standing, floor)) == Fate::Rejected;
        if let Some(leg) = self.batch.set_aside(open.channel, &open.message, standing) {
            ask(asked, leg, open.channel);
        }
        if is_refused {
            self.refuse_unheard(open);
        }
    }

    /// This node leads the queues by now.
    fn publish_here(
        &mut self,
        cells: &[Arc<QueueCell>],
        open: &Unheard<'_>,
        (standing, floor): (Standing, u64),
    ) -> Fate {
        let identity = self.node.identity();
        let stamp = Stamp {
            origin: Origin {
                node: identity.node,
                stream: self.client.id.0,
            },
            incarnation: identity.incarnation,
            sequence: open.sequence,
            floor,
            again: standing.again,
        };
        self.batch.publish_to(cells, &open.message, Some(&stamp))
    }

    fn refuse_unheard(&self, open: &Unheard<'_>) {
        let channel = open.channel;
        if let Some(refused) = Refused::of(open.receipt) {
            self.client.outbox().post(Letter::Refused { channel, refused });
        }
    }

    /// A consumer goes on elsewhere, or is cancelled.
    fn renew(&mut self, lost: &Arc<Leg>, number: u16, tag: &str, consumer: &Arc<FarConsumer>) {
        if consumer.end() {
            return;
        }
        let way = self.way(lost, consumer.queue);
        let is_renewed = match &way {
            Way::Nowhere | Way::Down => false,
            Way::Here(_) => !wants_to_know(&consumer.wish),
            Way::To(leader) => *leader == lost.leader || !wants_to_know(&consumer.wish),
        };
        let is_renewed = is_renewed
            && match way {
                Way::To(leader) => self.renew_there(lost, &leader, number, tag, consumer),
                Way::Here(cell) => self
                    .subscribe_here(number, &cell, tag, consumer.id, &consumer.wish, false)
                    .is_ok(),
                Way::Nowhere | Way::Down => false,
            };
        if !is_renewed {
            tell_cancelled(lost, number, tag, consumer);
        }
    }

    fn renew_there(
        &mut self,
        lost: &Arc<Leg>,
        leader: &NodeName,
        number: u16,
        tag: &str,
        consumer: &FarConsumer,
    ) -> bool {
        let snapshot = self.node.snapshot();
        let Some(record) = snapshot.catalog.queue_by_id(consumer.queue) else {
            return false;
        };
        let Ok(method) = consume_method(record.name.as_str(), tag, &consumer.wish) else {
            return false;
        };
        let leg = self.batch.legs.instead_of(lost, leader, &self.node, &self.client);
        let as_of = snapshot.generation();
        leg.enter_consumer(number, as_of, tag, Arc::new(consumer.renewed()));
        leg.renew_consumer(number, as_of, tag, method);
        self.batch.legs.touch(&leg);
        self.consumers.insert(
            number,
            tag.to_owned(),
            Subscribed::There(leg, consumer.id, consumer.wish.clone()),
        );
        true
    }
}

/// This leg, too, will answer for what was open on this channel.
fn ask(asked: &mut Vec<(Arc<Leg>, u16)>, leg: Arc<Leg>, channel: u16) {
    let is_asked = |(known, number): &(Arc<Leg>, u16)| *number == channel && Arc::ptr_eq(known, &leg);
    if !asked.iter().any(is_asked) {
        asked.push((leg, channel));
    }
}

/// True for a consumer that asked to be cancelled when its queue gets another leader.
pub(super) fn wants_to_know(wish: &ConsumeRequest) -> bool {
    wish.arguments.get("x-cancel-on-ha-failover") == Some(&Value::Bool(true))
}
