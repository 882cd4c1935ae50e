//! A connection's questions about queues that another node leads: put to the leader over a leg, answered as if here.
//!
//! An answer that relies on a later state of the catalogue than this node has is kept until it has it, so that a client
//! finds what it was told.

use catalog::{Conditions, QueueRecord};
use model::{QueueName, Refusal, ReplyCode};
use session::{Answer, ConsumeRequest, Release};
use std::{
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};
use store::Lsn;
use wire::{AMQPClass, basic, channel, connection as whole, queue};

use super::{
    connection::Task,
    consumers::Subscribed,
    legs::{Awaited, FarConsumer, Heard, Leg, Question, Refused, qos},
    names,
};

/// How long a leader may take to say goodbye.
const CLOSE_PATIENCE: Duration = Duration::from_secs(5);

/// An answer, or a refusal to be told.
type Outcome = Result<Answer, Refusal>;

impl Task {
    /// The record of a queue that another node leads; `None` for all others.
    pub(super) fn remote(&self, name: &QueueName) -> Option<Arc<QueueRecord>> {
        let snapshot = self.node.snapshot();
        let record = snapshot.catalog.queue(self.identity().vhost.as_str(), name.as_str())?;
        snapshot.is_remote(record).then(|| record.clone())
    }

    /// The leg to a queue's leader.
    fn leg(&mut self, record: &QueueRecord) -> Result<Arc<Leg>, Refusal> {
        match self.node.snapshot().is_led(record) {
            true => Ok(self.batch.legs.to(&record.leader, &self.node, &self.client)),
            false => Err(home_is_down(record)),
        }
    }

    /// Puts a question to a queue's leader and waits for the answer.
    async fn put(
        &mut self,
        number: u16,
        record: &QueueRecord,
        method: AMQPClass,
        question: Question,
    ) -> Result<Heard, Refusal> {
        let leg = self.leg(record)?;
        self.batch.settle_down();
        let as_of = self.node.snapshot().generation();
        let heard = leg.ask(number, as_of, method, question).await;
        self.node.catch_up(leg.heard_of()).await;
        match heard {
            Ok(Heard::Refused(refusal)) => Err(refusal),
            Ok(heard) => Ok(heard),
            Err(_) => {
                // Whoever leads the queue once that is settled is asked again.
                self.ask_again = leg.is_troubled();
                Err(home_is_down(record))
            }
        }
    }

    /// A queue as it is now; it counts as used.
    pub(super) async fn look_far(&mut self, number: u16, record: &QueueRecord) -> Outcome {
        let declare = queue::Declare {
            queue: record.name.as_str().into(),
            passive: true,
            durable: false,
            exclusive: false,
            auto_delete: false,
            nowait: false,
            arguments: wire::FieldTable::default(),
        };
        let method = AMQPClass::Queue(queue::AMQPMethod::Declare(declare));
        let heard = self.put(number, record, method, Question::Method(50, 11)).await?;
        let (ready, consumers) = match heard {
            Heard::Method(AMQPClass::Queue(queue::AMQPMethod::DeclareOk(ok))) => (ok.message_count, ok.consumer_count),
            _ => (0, 0),
        };
        Ok(Answer::Queue {
            name: record.name.clone(),
            ready,
            consumers,
        })
    }

    pub(super) async fn purge_far(&mut self, number: u16, record: &QueueRecord) -> Outcome {
        let purge = queue::Purge {
            queue: record.name.as_str().into(),
            nowait: false,
        };
        let method = AMQPClass::Queue(queue::AMQPMethod::Purge(purge));
        let heard = self.put(number, record, method, Question::Method(50, 31)).await?;
        Ok(Answer::Count(count(&heard)))
    }

    pub(super) async fn delete_far(&mut self, number: u16, record: &QueueRecord, conditions: Conditions) -> Outcome {
        let delete = queue::Delete {
            queue: record.name.as_str().into(),
            if_unused: conditions.if_unused,
            if_empty: conditions.if_empty,
            nowait: false,
        };
        let method = AMQPClass::Queue(queue::AMQPMethod::Delete(delete));
        let heard = self.put(number, record, method, Question::Method(50, 41)).await?;
        Ok(Answer::Count(count(&heard)))
    }

    pub(super) async fn get_far(&mut self, number: u16, record: &QueueRecord, no_ack: bool) -> Outcome {
        let get = basic::Get {
            queue: record.name.as_str().into(),
            no_ack,
        };
        let method = AMQPClass::Basic(basic::AMQPMethod::Get(get));
        let queue = record.id;
        let heard = self
            .put(number, record, method, Question::Get { queue, no_ack })
            .await?;
        if let Heard::Written = heard {
            return Ok(Answer::Written);
        }
        if let Some(out) = self.client.outbox().lock().channel(number) {
            out.counts.get_empty += 1;
            out.count_from(queue, |counts| counts.get_empty += 1);
        }
        Ok(Answer::Empty)
    }

    pub(super) async fn consume_far(&mut self, number: u16, record: &QueueRecord, consume: ConsumeRequest) -> Outcome {
        let tag = consume.tag.clone().unwrap_or_else(|| names::drawn("amq.ctag-"));
        let leg = self.leg(record)?;
        let id = self.node.next_consumer();
        let consumer = Arc::new(FarConsumer {
            id,
            queue: record.id,
            wants_ok: !consume.nowait,
            gone: AtomicBool::new(false),
            wish: Arc::new(consume),
        });
        let method = consume_method(record.name.as_str(), &tag, &consumer.wish)?;
        let as_of = self.node.snapshot().generation();
        leg.enter_consumer(number, as_of, &tag, consumer.clone());
        // Before the answer: the queue may be gone, and the consumer with it, by the time this task hears it.
        self.consumers.insert(
            number,
            tag.clone(),
            Subscribed::There(leg.clone(), id, consumer.wish.clone()),
        );
        if let Err(refusal) = self.put(number, record, method, Question::Method(60, 21)).await {
            leg.forget_consumer(number, &tag);
            consumer.end();
            self.consumers.remove(number, &tag);
            return Err(refusal);
        }
        Ok(Answer::Consuming(tag))
    }

    /// Everything delivered before is the client's; nothing is delivered after.
    pub(super) async fn cancel_far(&mut self, number: u16, tag: &str, leg: &Arc<Leg>) {
        if let Some(consumer) = leg.find_consumer(number, tag) {
            consumer.end();
        }
        let cancel = basic::Cancel {
            consumer_tag: tag.into(),
            nowait: false,
        };
        let method = AMQPClass::Basic(basic::AMQPMethod::Cancel(cancel));
        self.batch.settle_down();
        let as_of = self.node.snapshot().generation();
        // Without an answer the leg is broken, and the consumer gone all the same.
        let _ = leg.ask(number, as_of, method, Question::Method(60, 31)).await;
        leg.forget_consumer(number, tag);
        self.node.catch_up(leg.heard_of()).await;
    }

    /// The limit of a channel holds on each of its legs.
    pub(super) fn limit_far(&mut self, number: u16, limit: u16) {
        let as_of = self.node.snapshot().generation();
        for leg in self.batch.legs.all() {
            if leg.has_channel(number) {
                leg.tell(number, as_of, qos(limit, true));
                self.batch.legs.touch(&leg);
            }
        }
    }

    /// Leaders give back what a channel or the connection holds there.
    pub(super) async fn release_far(&mut self, what: Release) {
        if matches!(what, Release::Channel(_)) || self.batch.legs.has_aside() {
            self.on_safe_ground().await;
        }
        let legs = match what {
            Release::Channel(_) => self.batch.legs.all(),
            Release::Connection => self.batch.legs.take_all(),
        };
        if legs.is_empty() {
            return;
        }
        self.batch.settle_down();
        for leg in legs {
            match what {
                Release::Channel(number) => self.close_far_channel(number, &leg).await,
                Release::Connection => self.close_leg(&leg).await,
            }
            self.node.catch_up(leg.heard_of()).await;
        }
        // What was refused on a channel that is closed concerns nobody.
        let others = self.client.outbox().refused().into_iter();
        for (channel, refused) in others.filter(|(channel, _)| what != Release::Channel(*channel)) {
            self.refuse(channel, refused);
        }
    }

    async fn close_far_channel(&mut self, number: u16, leg: &Arc<Leg>) {
        if !leg.has_channel(number) {
            return;
        }
        let close = channel::Close {
            reply_code: 200,
            reply_text: "closed".into(),
            class_id: 0,
            method_id: 0,
        };
        let method = AMQPClass::Channel(channel::AMQPMethod::Close(close));
        let as_of = self.node.snapshot().generation();
        // Without an answer the leg is broken, and with it the channel.
        let _ = leg.ask(number, as_of, method, Question::Method(20, 41)).await;
        leg.forget_channel(number);
    }

    async fn close_leg(&mut self, leg: &Arc<Leg>) {
        let close = whole::Close {
            reply_code: 200,
            reply_text: "closed".into(),
            class_id: 0,
            method_id: 0,
        };
        let method = AMQPClass::Connection(whole::AMQPMethod::Close(close));
        let as_of = self.node.snapshot().generation();
        let closed = leg.ask(0, as_of, method, Question::Method(10, 51));
        // A leader that does not answer finds the connection closed.
        let _ = tokio::time::timeout(CLOSE_PATIENCE, closed).await;
        leg.close();
    }

    /// Waits until all that was published is safe, here and elsewhere.
    pub(super) async fn await_safe(&mut self) -> Answer {
        self.batch.settle_down();
        let awaited = self.batch.legs.awaited();
        self.node.until_durable(self.batch.safe_at()).await;
        let client = self.client.clone();
        while self.awaits(&awaited) && !client.outbox().is_dead() {
            self.attend().await;
            self.resettle();
            self.batch.settle_down();
        }
        // What else it was for is still to be looked at.
        client.outbox().attention.notify_one();
        let mut is_partial = awaited.iter().any(Awaited::is_lost);
        for reach in self.batch.take_reaches().iter().flatten() {
            is_partial |= !reach.reached().await;
        }
        for (channel, refused) in self.client.outbox().refused() {
            is_partial |= refused == Refused::Commit;
            self.refuse(channel, refused);
        }
        match is_partial {
            true => Answer::Refused(Refusal::channel(ReplyCode::PreconditionFailed, "partial tx completion")),
            false => Answer::Done,
        }
    }

    /// True while other nodes may still answer; the client's task is woken then.
    fn awaits(&self, awaited: &[Awaited]) -> bool {
        let synced = self.node.store().synced();
        let mut waits = false;
        for one in awaited.iter().filter(|one| !one.is_lost()) {
            waits |= one.waits(synced, self.client.wake());
        }
        waits
    }

    /// Another node has refused publishes.
    pub(super) fn refuse(&mut self, channel: u16, refused: Refused) {
        if let Refused::Confirms { first, last } = refused {
            self.machine.refuse_publishes(channel, first, last);
        }
    }
}

/// True once all of these are answered.
pub fn are_answered(awaited: Option<&[Awaited]>, synced: Lsn) -> bool {
    awaited.is_none_or(|awaited| awaited.iter().all(|one| one.is_answered(synced)))
}

/// `basic.consume` as a leader is asked.
pub fn consume_method(queue: &str, tag: &str, consume: &ConsumeRequest) -> Result<AMQPClass, Refusal> {
    let arguments = wire::to_field_table(&consume.arguments)
        .map_err(|error| Refusal::channel(ReplyCode::PreconditionFailed, error.to_string()))?;
    let method = basic::Consume {
        queue: queue.into(),
        consumer_tag: tag.into(),
        no_local: false,
        no_ack: consume.no_ack,
        exclusive: consume.exclusive,
        nowait: false,
        arguments,
    };
    Ok(AMQPClass::Basic(basic::AMQPMethod::Consume(method)))
}

fn count(heard: &Heard) -> u32 {
    match heard {
        Heard::Method(AMQPClass::Queue(queue::AMQPMethod::PurgeOk(ok))) => ok.message_count,
        Heard::Method(AMQPClass::Queue(queue::AMQPMethod::DeleteOk(ok))) => ok.message_count,
        _ => 0,
    }
}

/// RabbitMQ's words for a queue whose node is away.
pub fn home_is_down(record: &QueueRecord) -> Refusal {
    let (leader, durability) = (&record.leader, if record.durable { "durable " } else { "" });
    let text = format!(
        "home node '{leader}' of {durability}{} is down or inaccessible",
        record.title()
    );
    Refusal::channel(ReplyCode::NotFound, text)
}
