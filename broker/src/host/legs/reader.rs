//! A leg's own task: connects, hears what the leader says, and hands it on to the client.
//!
//! Deliveries are encoded again straight into the client's outbox, under the client's own numbers. While the client does
//! not read, nothing is read from the leg either: the leader's side fills up and parks the consumers there (I7).

use model::{Generation, Millis, Refusal, ReplyCode};
use std::{io, sync::Arc, sync::atomic::Ordering, time::Duration};
use tokio::{net::TcpStream, time::timeout};
use wire::{AMQPClass, Kind, LegMethod, Method, basic, channel, connection};

use super::super::{
    node::Node,
    outbox::{Letter, Place},
    pool,
};
use super::{
    edge::REOPEN_AFTER,
    leg::{FarConsumer, Heard, Leg},
};

/// The client has so many octets to read before the leg is read again.
const CLIENT_BYTES_MAX: usize = 512 * 1024;
/// So much is written for the client before the rest of what was read is looked at.
const FLUSH_BYTES: usize = 128 * 1024;
/// Longest time to connect and to be let in.
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);
/// So long it is tried to reach a leader that is not known to be down.
const RESEND_PATIENCE: Duration = Duration::from_secs(60);
/// Up to so many octets of a frame that is not complete are kept without a buffer.
const LEFTOVER_BYTES_MAX: usize = 4096;

/// Why a leg is over.
#[derive(Debug)]
enum End {
    /// The client needs it no more.
    Closed,
    /// The connection is gone.
    Lost(io::Error),
    /// The leader closed it, or what it says cannot be.
    Refused(Refusal),
}

/// What the task owns.
struct Reader {
    node: Arc<Node>,
    leg: Arc<Leg>,
    buffer: Vec<u8>,
    /// The consumer that the last delivery was for.
    last: Option<(u16, Box<[u8]>, Arc<FarConsumer>)>,
    /// The client's outbox was written to.
    wrote: bool,
    /// Publishes were answered.
    answered: bool,
    /// The next frame relies on this state of the catalogue.
    waits_for: Option<Generation>,
    /// When the octets at hand were read.
    now: Millis,
}

/// Serves a leg until it is over.
pub async fn run(node: Arc<Node>, leg: Arc<Leg>) {
    let mut reader = Reader {
        node,
        leg,
        buffer: Vec::new(),
        last: None,
        wrote: false,
        answered: false,
        waits_for: None,
        now: Millis(0),
    };
    let end = match reader.connect().await {
        Ok(()) => reader.hear().await,
        Err(end) => end,
    };
    match end {
        End::Lost(error) if reader.may_go_on() => reader.hand_down(&error).await,
        end => reader.finish(end),
    }
}

impl Reader {
    async fn connect(&self) -> Result<(), End> {
        let mut generations = self.node.generations();
        let mut dialing = std::pin::pin!(timeout(CONNECT_PATIENCE, self.node.dial(&self.leg)));
        let tcp: TcpStream = loop {
            tokio::select! {
                dialed = &mut dialing => break dialed.map_err(io::Error::other).flatten().map_err(End::Lost)?,
                _ = generations.changed() => self.check_leader()?,
                () = self.leg.attention.notified() => {}
            }
            if self.leg.is_closing() {
                return Err(End::Closed);
            }
        };
        self.leg.pipe.connect(tcp);
        self.leg.flush();
        Ok(())
    }

    /// What is open may be taken over by another leg: its client is there, and a way has been there not long ago.
    fn may_go_on(&self) -> bool {
        let is_hopeless = self.leg.since.elapsed() > RESEND_PATIENCE && !self.leg.has_been_connected();
        !is_hopeless && !self.leg.client.outbox().is_dead() && !self.leg.is_closing()
    }

    /// The way broke. What is open is offered to the client's task, a moment after the way was opened.
    async fn hand_down(mut self, error: &io::Error) {
        tracing::warn!(
            "the way of connection {} to queues of node {} broke: {error}",
            self.leg.client.name(),
            self.leg.leader
        );
        self.hand_on();
        self.leg.break_off();
        pool::give_back(std::mem::take(&mut self.buffer));
        // A leader that leads no more has told since when that is known.
        self.node.catch_up(self.leg.heard_of()).await;
        let mut generations = self.node.generations();
        let reopen_at = (self.leg.opened_at + REOPEN_AFTER).into();
        // Once the leader is known to be gone there is nothing to wait for.
        while self.check_leader().is_ok() {
            tokio::select! {
                () = tokio::time::sleep_until(reopen_at) => break,
                _ = generations.changed() => {}
            }
        }
        self.leg.offer_estate();
    }

    async fn hear(&mut self) -> End {
        let (leg, client) = (self.leg.clone(), self.leg.client.clone());
        let Some(tcp) = leg.pipe.tcp() else {
            return End::Lost(io::ErrorKind::NotConnected.into());
        };
        let mut generations = self.node.generations();
        let mut unheard = self.node.served_legs().unheard();
        while !leg.is_closing() && !leg.is_broken() {
            if let Some(generation) = self.waits_for.take() {
                self.node.catch_up(generation).await;
                if let Err(end) = self.digest() {
                    return end;
                }
                continue;
            }
            let is_full = client.outbox().waiting_bytes() > CLIENT_BYTES_MAX;
            let heard = tokio::select! {
                ready = tcp.readable(), if !is_full => self.on_readable(ready, tcp),
                ready = tcp.writable(), if leg.pipe.is_blocked() => self.on_writable(ready),
                _ = client.outbox().socket.writable(), if is_full => {
                    // The client's own task may be waiting for this leg.
                    self.node.flush(&mut vec![client.clone()]);
                    tokio::task::yield_now().await;
                    Ok(())
                }
                () = leg.attention.notified() => Ok(()),
                _ = generations.changed() => self.check_leader(),
                Ok(()) = unheard.changed() => match leg.process.is_some_and(|of| unheard.borrow().contains(&of.node)) {
                    true => Err(End::Lost(io::ErrorKind::TimedOut.into())),
                    false => Ok(()),
                },
            };
            if let Err(end) = heard {
                return end;
            }
            if client.outbox().is_dead() {
                return End::Closed;
            }
        }
        End::Closed
    }

    fn check_leader(&self) -> Result<(), End> {
        let snapshot = self.node.snapshot();
        match snapshot.process(&self.leg.leader) {
            None => Err(End::Lost(io::Error::other("the node is down"))),
            now if now != self.leg.process => Err(End::Lost(io::Error::other("the node was started again"))),
            Some(_) if self.leg.is_overtaken(&snapshot) => {
                Err(End::Lost(io::Error::other("another node leads one of its queues now")))
            }
            Some(_) => Ok(()),
        }
    }

    fn on_writable(&self, ready: io::Result<()>) -> Result<(), End> {
        ready.map_err(End::Lost)?;
        self.leg.pipe.unblock();
        self.leg.flush();
        Ok(())
    }

    fn on_readable(&mut self, ready: io::Result<()>, tcp: &TcpStream) -> Result<(), End> {
        ready.map_err(End::Lost)?;
        if self.buffer.capacity() <= LEFTOVER_BYTES_MAX {
            let leftover = std::mem::replace(&mut self.buffer, pool::take());
            self.buffer.extend_from_slice(&leftover);
        }
        if self.buffer.len() == self.buffer.capacity() {
            self.buffer.reserve(pool::BUFFER_BYTES);
        }
        match tcp.try_read_buf(&mut self.buffer) {
            Ok(0) => return Err(End::Lost(io::ErrorKind::UnexpectedEof.into())),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(End::Lost(error)),
        }
        self.digest()
    }

    /// Takes the whole frames that have come.
    fn digest(&mut self) -> Result<(), End> {
        self.now = self.node.now();
        let buffer = std::mem::take(&mut self.buffer);
        let taken = self.take_all(&buffer);
        self.hand_on();
        self.buffer = buffer;
        self.buffer.drain(..taken?);
        if self.buffer.len() <= LEFTOVER_BYTES_MAX {
            let leftover = self.buffer.as_slice().to_vec();
            pool::give_back(std::mem::replace(&mut self.buffer, leftover));
        }
        Ok(())
    }

    /// What was written for the client goes out; its task hears of answers.
    fn hand_on(&mut self) {
        if std::mem::take(&mut self.answered) {
            self.leg.client.outbox().attention.notify_one();
        }
        if std::mem::take(&mut self.wrote) {
            self.node.flush(&mut vec![self.leg.client.clone()]);
        }
    }

    fn take_all(&mut self, octets: &[u8]) -> Result<usize, End> {
        let mut used = 0;
        loop {
            match self.take_one(&octets[used..])? {
                0 => return Ok(used),
                taken => used += taken,
            }
        }
    }

    /// One method with its content; 0 = incomplete.
    fn take_one(&mut self, octets: &[u8]) -> Result<usize, End> {
        let frame = wire::next_frame(octets, 0).map_err(|error| End::Refused(error.refusal()))?;
        let Some((frame, length)) = frame else { return Ok(0) };
        if frame.kind != Kind::Method {
            return Err(End::Refused(wire::unexpected_frame(&frame)));
        }
        match wire::decode_leg_method(frame.payload) {
            Some(LegMethod::HandOn(deliveries)) => {
                self.deliver(frame.channel, &deliveries);
                return Ok(length);
            }
            Some(LegMethod::AsOf(generation)) => {
                self.leg.hear_of(generation);
                return Ok(length);
            }
            // For the other end, as what is no method at all.
            Some(LegMethod::Forward(_) | LegMethod::Settle(_)) | None => {}
        }
        if let Some(fetched) = wire::decode_fetched(frame.payload) {
            let whole = wire::whole_content(&octets[length..]).map_err(End::Refused)?;
            let Some(whole) = whole else { return Ok(0) };
            self.hand_over(frame.channel, &fetched, &whole);
            return Ok(length + whole.octets);
        }
        let method = wire::decode_method(frame.payload).map_err(|error| End::Refused(error.refusal()))?;
        if matches!(method, Method::Other(AMQPClass::Basic(basic::AMQPMethod::Cancel(_)))) && self.is_behind() {
            return Ok(0);
        }
        self.on_method(frame.channel, wire::class_method_ids(frame.payload), method)?;
        Ok(length)
    }

    /// True if this node does not know yet why the leader says what it says; it is heard again then.
    fn is_behind(&mut self) -> bool {
        let heard_of = self.leg.heard_of();
        let is_behind = self.node.snapshot().generation() < heard_of;
        self.waits_for = is_behind.then_some(heard_of);
        is_behind
    }

    /// The consumer that a delivery is for, unless it is gone.
    fn consumer(&mut self, number: u16, tag: &[u8]) -> Option<Arc<FarConsumer>> {
        if let Some((channel, known, consumer)) = &self.last
            && (*channel, &**known) == (number, tag)
            && !consumer.gone.load(Ordering::Acquire)
        {
            return Some(consumer.clone());
        }
        let consumer = self.leg.consumer(number, tag)?;
        self.last = Some((number, tag.into(), consumer.clone()));
        Some(consumer)
    }

    /// Deliveries for a consumer that is gone, or on a channel that is closed, are the leader's again in a moment.
    fn deliver(&mut self, number: u16, run: &wire::HandedOn<'_>) {
        let Some(consumer) = self.consumer(number, run.consumer_tag) else {
            return;
        };
        let client = &self.leg.client;
        let mut state = client.outbox().lock();
        let Some(out) = state.channel(number) else { return };
        let settled_at = (!consumer.wish.no_ack).then_some((&self.leg, run.delivery_tag));
        let count = run.bodies.count();
        let tag = out.book_far(consumer.queue, count, settled_at, run.redelivered, self.now);
        let first = wire::Deliver {
            channel: number,
            consumer_tag: run.consumer_tag,
            delivery_tag: tag.0,
            redelivered: run.redelivered,
            exchange: run.exchange,
            routing_key: run.routing_key,
            properties: run.properties,
            body: &[],
            frame_max: client.frame_max(),
        };
        wire::deliver_all(state.buffer(), &first, run.bodies);
        self.wrote |= state.promise_flush();
        let is_much = state.buffer().len() >= FLUSH_BYTES;
        drop(state);
        if is_much {
            self.hand_on();
        }
    }

    /// The answer to a get.
    fn hand_over(&mut self, number: u16, fetched: &wire::Fetched<'_>, whole: &wire::Whole<'_>) {
        let Some(asked) = self
            .leg
            .take_asked(|asked| asked.channel == number && asked.gets().is_some())
        else {
            return;
        };
        let Some((queue, no_ack)) = asked.gets() else { return };
        let mut state = self.leg.client.outbox().lock();
        if let Some(out) = state.channel(number) {
            let place = (!no_ack).then(|| Place::There {
                queue,
                leg: self.leg.clone(),
                tag: fetched.delivery_tag,
            });
            let tag = out.book_got_far(queue, place, fetched.redelivered, self.now);
            let got = wire::GetOk {
                channel: number,
                delivery_tag: tag.0,
                redelivered: fetched.redelivered,
                exchange: fetched.exchange,
                routing_key: fetched.routing_key,
                message_count: fetched.message_count,
                properties: whole.properties,
                body: whole.body,
                frame_max: self.leg.client.frame_max(),
            };
            wire::get_ok(state.buffer(), &got);
            self.wrote |= state.promise_flush();
        }
        drop(state);
        asked.answer(Heard::Written);
    }

    fn on_method(&mut self, number: u16, ids: (u16, u16), method: Method<'_>) -> Result<(), End> {
        use {basic::AMQPMethod as B, channel::AMQPMethod as C, connection::AMQPMethod as Whole};
        match method {
            Method::Ack { tag, multiple } => self.on_answer(number, tag, !multiple, false),
            Method::Nack { tag, multiple, .. } => self.on_answer(number, tag, !multiple, true),
            Method::Other(AMQPClass::Basic(B::Cancel(cancel))) => {
                self.on_cancel(number, cancel.consumer_tag.as_str());
                Ok(())
            }
            Method::Other(AMQPClass::Channel(C::Close(close))) => self.on_channel_closed(number, &close),
            Method::Other(AMQPClass::Connection(Whole::Close(close))) => {
                let refusal = refusal(close.reply_code, close.reply_text.as_str());
                Err(End::Refused(Refusal::connection(refusal.code, refusal.text)))
            }
            Method::Other(class) => {
                self.on_reply(number, ids, class);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn on_answer(&mut self, number: u16, tag: u64, alone: bool, refused: bool) -> Result<(), End> {
        self.answered = true;
        // A channel that was closed meanwhile is owed nothing.
        if !self.leg.has_channel(number) {
            return Ok(());
        }
        self.leg.on_answer(number, tag, alone, refused).map_err(|_| {
            let text = format!("answer to publish {tag} on channel {number}, which is not the next");
            End::Refused(Refusal::connection(ReplyCode::UnexpectedFrame, text))
        })
    }

    /// A queue of the leader is gone and takes a consumer with it; where another node leads it now, the consumer goes
    /// there with all else.
    fn on_cancel(&mut self, number: u16, tag: &str) {
        let snapshot = self.node.snapshot();
        let consumer = self.leg.consumer(number, tag.as_bytes());
        let record = consumer.and_then(|consumer| snapshot.catalog.queue_by_id(consumer.queue));
        if record.is_none_or(|record| record.leader == self.leg.leader) {
            self.leave_consumer(number, tag);
        }
    }

    fn leave_consumer(&mut self, number: u16, tag: &str) {
        if let Some(consumer) = self.leg.forget_consumer(number, tag) {
            tell_cancelled(&self.leg, number, tag, &consumer);
        }
    }

    /// The leader refuses what was asked, and has closed the channel for it.
    fn on_channel_closed(&mut self, number: u16, close: &channel::Close) -> Result<(), End> {
        let refusal = refusal(close.reply_code, close.reply_text.as_str());
        let Some(asked) = self.leg.take_asked(|asked| asked.channel == number) else {
            return Err(End::Refused(refusal));
        };
        if let Some(tag) = &asked.renews {
            // The others on the channel go on over another leg.
            self.leave_consumer(number, tag);
            return Err(End::Lost(io::Error::other(refusal)));
        }
        let ok = channel::AMQPMethod::CloseOk(channel::CloseOk {});
        self.leg.tell(number, self.leg.heard_of(), AMQPClass::Channel(ok));
        self.leg.forget_channel(number);
        self.leg.flush();
        asked.answer(Heard::Refused(refusal));
        Ok(())
    }

    fn on_reply(&mut self, number: u16, ids: (u16, u16), class: AMQPClass) {
        let Some(asked) = self
            .leg
            .take_asked(|asked| asked.channel == number && asked.is_answered_by(ids))
        else {
            return;
        };
        if let AMQPClass::Basic(basic::AMQPMethod::ConsumeOk(ok)) = &class {
            self.on_consuming(number, ok.consumer_tag.as_str(), &class);
        }
        asked.answer(Heard::Method(class));
    }

    /// Goes to the client before its first delivery does.
    fn on_consuming(&mut self, number: u16, tag: &str, ok: &AMQPClass) {
        let consumer = self.leg.consumer(number, tag.as_bytes());
        if consumer.is_some_and(|consumer| consumer.wants_ok) {
            let mut state = self.leg.client.outbox().lock();
            wire::method(state.buffer(), number, ok.clone());
            self.wrote |= state.promise_flush();
        }
    }

    fn finish(mut self, end: End) {
        if self.leg.is_broken() {
            // The client's task has broken it off and sees to what is open.
            return;
        }
        let reason = match end {
            End::Closed => None,
            End::Lost(error) => {
                tracing::warn!(
                    "the work of connection {} on queues of node {} is cut off: {error}",
                    self.leg.client.name(),
                    self.leg.leader
                );
                None
            }
            End::Refused(refusal) => {
                tracing::error!(
                    "node {} refuses the work of {}: {refusal}",
                    self.leg.leader,
                    self.leg.client.name()
                );
                Some(refusal)
            }
        };
        self.leg.close();
        for (number, tag, consumer) in self.leg.give_up(reason) {
            tell_cancelled(&self.leg, number, &tag, &consumer);
        }
        self.wrote = true;
        self.hand_on();
        pool::give_back(std::mem::take(&mut self.buffer));
    }
}

/// A consumer is gone without its client's doing: the client's task tells it.
pub fn tell_cancelled(leg: &Leg, channel: u16, tag: &str, consumer: &FarConsumer) {
    leg.client.outbox().post(Letter::ConsumerGone {
        channel,
        tag: tag.to_owned(),
        id: consumer.id,
    });
}

/// The leader's refusal, as if this node had said it.
pub fn refusal(code: u16, text: &str) -> Refusal {
    let code = ReplyCode::of(code).unwrap_or(ReplyCode::InternalError);
    let text = text
        .strip_prefix(code.name())
        .and_then(|rest| rest.strip_prefix(" - "))
        .unwrap_or(text);
    Refusal::channel(code, text)
}
