//! A leg's connection at the node that leads the queues: open from the first octet, since its origin has done what a
//! client's handshake does, and with two methods more.
//!
//! All else on it is AMQP 0-9-1 as from any client: channels, consumers, acknowledgements and confirms are those of
//! every connection. Forwarded publishes are taken once their frame is whole in the buffer.

use model::{DeliveryTag, Refusal, ReplyCode, Table, Value};
use std::sync::Arc;
use wire::{Forward, Frame, Kind, LegMethod, Seen, Settled, Settling};

use crate::{
    Ask, Connection, Host, Limits, Publication, Settle, Step, Tuned,
    channel::Stage as ChannelStage,
    connection::{Progress, Stage},
    publish::expiration,
    replies::Pending,
};

impl Connection {
    /// The connection of a leg on behalf of this user.
    pub fn leg(limits: Arc<Limits>, user: String) -> Self {
        let capabilities = Table::from([("consumer_cancel_notify", Value::Bool(true))]);
        let mut connection = Connection::new(limits);
        connection.stage = Stage::Open;
        connection.tuned = Tuned::default();
        connection.user = user;
        // Judged by the origin.
        connection.impersonator = true;
        connection.client_properties = Table::from([("capabilities", Value::Table(capabilities))]);
        connection.is_leg = true;
        connection
    }

    /// A leg's own method; 0 octets = held. `None` for every other frame.
    pub(crate) fn leg_method<H: Host>(&mut self, frame: &Frame<'_>, host: &mut H) -> Option<(usize, Progress)> {
        if frame.kind != Kind::Method || !matches!(self.stage, Stage::Open) {
            return None;
        }
        let octets = frame.payload.len() + FRAME_AROUND_BYTES;
        match wire::decode_leg_method(frame.payload)? {
            LegMethod::AsOf(generation) => {
                self.pending = Some(Pending::Nothing);
                Some((octets, Progress::Stop(Step::Ask(Ask::CatchUp(generation)))))
            }
            LegMethod::Forward(_) if host.holds_publishes() => Some((0, Progress::Next)),
            LegMethod::Forward(forward) => Some((octets, self.forwarded(frame.channel, &forward, host))),
            LegMethod::Settle(settled) => Some((octets, self.settled(frame.channel, settled, host))),
            // For the other end.
            LegMethod::HandOn(_) => None,
        }
    }

    fn settled<H: Host>(&mut self, number: u16, settled: Settled, host: &mut H) -> Progress {
        let how = match settled.how {
            Settling::Ack => Settle::Ack,
            Settling::Requeue => Settle::Requeue,
            Settling::Reject => Settle::Reject,
        };
        let channel = self.channels.get(&number);
        // Of one that is closed or closing all goes back.
        if channel.is_none_or(|channel| channel.stage != ChannelStage::Open) {
            return Progress::Next;
        }
        match host.settle_run(number, (DeliveryTag(settled.first), DeliveryTag(settled.last)), how) {
            Ok(()) => Progress::Next,
            Err(unknown) => {
                let refusal = Refusal::channel(ReplyCode::PreconditionFailed, unknown.to_string());
                self.refuse(number, refusal, (60, 80), host)
            }
        }
    }

    fn forwarded<H: Host>(&mut self, number: u16, forward: &Forward<'_>, host: &mut H) -> Progress {
        match self.channels.get(&number).map(|channel| channel.stage) {
            Some(ChannelStage::Open) => {}
            Some(ChannelStage::Closing) => return Progress::Next,
            Some(ChannelStage::Opening) | None => {
                let refusal = Refusal::connection(ReplyCode::ChannelError, "expected 'channel.open'");
                return self.refuse(number, refusal, (0, 0), host);
            }
        }
        let seen = match wire::decode_properties(forward.properties) {
            Ok(seen) => seen,
            Err(error) => return self.refuse(number, error.refusal(), (0, 0), host),
        };
        for (one, body) in forward.each() {
            let receipt = self.receipt(number);
            let fate = host.forwarded(number, &one, &routed(&one, &seen, body), receipt);
            self.count_publish(number, fate, host);
        }
        Progress::Next
    }
}

/// A publish that has been routed, as a queue gets it.
pub fn routed<'a>(forward: &Forward<'a>, seen: &Seen<'a>, body: &'a [u8]) -> Publication<'a> {
    Publication {
        exchange: forward.exchange,
        routing_key: forward.routing_key,
        mandatory: false,
        properties: forward.properties,
        headers: seen.headers,
        extra_keys: &[],
        body,
        persistent: seen.delivery_mode == Some(2),
        priority: seen.priority.unwrap_or(0),
        ttl: seen.expiration.and_then(|text| expiration(text).ok()),
        fault: None,
    }
}

/// Head and end octet of a frame.
const FRAME_AROUND_BYTES: usize = 8;
