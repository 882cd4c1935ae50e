//! A leg's connection at the node that leads the queues: open from the first octet, since its origin has done what a
//! client's handshake does, and with two methods more.
//!
//! All else on it is AMQP 0-9-1 as from any client: channels, consumers, acknowledgements and confirms are those of
//! every connection. A forwarded publish is taken once it is whole in the buffer.

use model::{Refusal, ReplyCode, Table, Value};
use std::sync::Arc;
use wire::{ContentHeader, Forward, Frame, Kind, LegMethod};

use crate::{
    Ask, Connection, Host, Limits, Publication, Step, Tuned,
    channel::Stage as ChannelStage,
    connection::{Progress, Stage},
    publish::{expiration, whole_content},
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

    /// A leg's own method and what belongs to it; 0 octets = incomplete, or held. `None` for every other frame.
    pub(crate) fn leg_method<H: Host>(
        &mut self,
        frame: &Frame<'_>,
        rest: &[u8],
        host: &mut H,
    ) -> Option<(usize, Progress)> {
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
            LegMethod::Forward(forward) => {
                let Some((more, header, body)) = whole_content(rest, frame.channel, 0) else {
                    return Some(self.unfinished(rest, host));
                };
                Some((
                    octets + more,
                    self.forwarded(frame.channel, &forward, &header, body, host),
                ))
            }
        }
    }

    /// The content of a forwarded publish is not there yet, or is none.
    fn unfinished<H: Host>(&mut self, rest: &[u8], host: &mut H) -> (usize, Progress) {
        let is_sound = |from: &[u8], kind| match wire::next_frame(from, 0) {
            Ok(None) => Some(None),
            Ok(Some((frame, octets))) if frame.kind == kind => Some(Some(octets)),
            Ok(Some(_)) | Err(_) => None,
        };
        let waits = match is_sound(rest, Kind::Header) {
            Some(None) => true,
            Some(Some(octets)) => is_sound(&rest[octets..], Kind::Body) == Some(None),
            None => false,
        };
        if waits {
            return (0, Progress::Next);
        }
        let refusal = Refusal::connection(ReplyCode::UnexpectedFrame, "forwarded publish without its content");
        (0, self.refuse(0, refusal, (0, 0), host))
    }

    fn forwarded<H: Host>(
        &mut self,
        number: u16,
        forward: &Forward<'_>,
        header: &ContentHeader<'_>,
        body: &[u8],
        host: &mut H,
    ) -> Progress {
        match self.channels.get(&number).map(|channel| channel.stage) {
            Some(ChannelStage::Open) => {}
            Some(ChannelStage::Closing) => return Progress::Next,
            Some(ChannelStage::Opening) | None => {
                let refusal = Refusal::connection(ReplyCode::ChannelError, "expected 'channel.open'");
                return self.refuse(number, refusal, (0, 0), host);
            }
        }
        let message = routed(forward, header, body);
        let fate = host.forwarded(forward, &message);
        self.count_publish(number, fate, host);
        Progress::Next
    }
}

/// A publish that has been routed, as a queue gets it.
pub fn routed<'a>(forward: &Forward<'a>, header: &ContentHeader<'a>, body: &'a [u8]) -> Publication<'a> {
    Publication {
        exchange: forward.exchange,
        routing_key: forward.routing_key,
        mandatory: false,
        properties: header.properties,
        headers: header.seen.headers,
        extra_keys: &[],
        body,
        persistent: header.seen.delivery_mode == Some(2),
        priority: header.seen.priority.unwrap_or(0),
        ttl: header.seen.expiration.and_then(|text| expiration(text).ok()),
        fault: None,
    }
}

/// Head and end octet of a frame.
const FRAME_AROUND_BYTES: usize = 8;
