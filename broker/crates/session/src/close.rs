//! The words of closing: which frame goes out for a refusal, and how long we wait afterwards.

use model::{Millis, Refusal, ReplyCode};
use wire::{AMQPClass, channel, connection};

/// Silence after a failed handshake or a broken frame before the socket is closed, as RabbitMQ keeps.
pub(crate) const SILENCE: Millis = Millis(3_000);

/// How long we wait for close-ok: the heartbeat interval, 30 seconds at most.
pub(crate) fn patience(heartbeat_seconds: u16) -> Millis {
    let seconds = if heartbeat_seconds == 0 {
        30
    } else {
        heartbeat_seconds.min(30)
    };
    Millis(u64::from(seconds) * 1000)
}

pub(crate) fn write_channel_close(out: &mut Vec<u8>, number: u16, refusal: &Refusal, method: (u16, u16)) {
    let close = channel::Close {
        reply_code: refusal.code as u16,
        reply_text: wire::reply_text(refusal),
        class_id: method.0,
        method_id: method.1,
    };
    wire::method(out, number, AMQPClass::Channel(channel::AMQPMethod::Close(close)));
}

pub(crate) fn write_connection_close(out: &mut Vec<u8>, refusal: &Refusal, method: (u16, u16)) {
    let close = connection::Close {
        reply_code: refusal.code as u16,
        reply_text: wire::reply_text(refusal),
        class_id: method.0,
        method_id: method.1,
    };
    wire::method(out, 0, AMQPClass::Connection(connection::AMQPMethod::Close(close)));
}

/// `CONNECTION_FORCED` with the reason given by whoever forces it.
pub(crate) fn forced(reason: &str) -> Refusal {
    Refusal::connection(ReplyCode::ConnectionForced, reason)
}
