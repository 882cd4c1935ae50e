//! Frames appended to an out-buffer: the hot ones by hand, with room reserved once, the rest by `amq-protocol`.
//!
//! Short strings above 255 octets are cut there, the limit of the protocol; callers hold names that fit. A body is
//! split at `frame_max`; a content header never is, since the protocol has no way to.

use crate::frame::FRAME_END;
use amq_protocol::frame::{AMQPFrame, WriteContext, gen_frame};
use amq_protocol::protocol::AMQPClass;
use amq_protocol::types::ShortString;
use model::Refusal;

/// Head and end octet of a frame.
const EMPTY_FRAME_BYTES: usize = 8;
/// Octets of a content header frame without its property list.
const HEADER_FRAME_BYTES: usize = EMPTY_FRAME_BYTES + 12;
/// Octets of a method frame before the arguments.
const METHOD_HEAD_BYTES: usize = 11;
/// Where a content header frame tells the size of the body.
const SIZE_IN_HEADER_FRAME: usize = 11;
/// Octets of a reply text.
const REPLY_TEXT_BYTES_MAX: usize = 255;

/// What `deliver` writes.
#[derive(Clone, Copy, Debug)]
pub struct Deliver<'a> {
    /// Channel number.
    pub channel: u16,
    /// Consumer tag.
    pub consumer_tag: &'a [u8],
    /// Number on the channel, from 1.
    pub delivery_tag: u64,
    /// Delivered before to somebody.
    pub redelivered: bool,
    /// Exchange it was published to.
    pub exchange: &'a [u8],
    /// Routing key it was published with.
    pub routing_key: &'a [u8],
    /// Flag word and property list.
    pub properties: &'a [u8],
    /// Whole body.
    pub body: &'a [u8],
    /// Negotiated size of a frame in octets, 0 for no limit.
    pub frame_max: u32,
}

/// What `get_ok` writes.
#[derive(Clone, Copy, Debug)]
pub struct GetOk<'a> {
    /// Channel number.
    pub channel: u16,
    /// Number on the channel, from 1.
    pub delivery_tag: u64,
    /// Delivered before to somebody.
    pub redelivered: bool,
    /// Exchange it was published to.
    pub exchange: &'a [u8],
    /// Routing key it was published with.
    pub routing_key: &'a [u8],
    /// Ready messages left in the queue.
    pub message_count: u32,
    /// Flag word and property list.
    pub properties: &'a [u8],
    /// Whole body.
    pub body: &'a [u8],
    /// Negotiated size of a frame in octets, 0 for no limit.
    pub frame_max: u32,
}

/// What `basic_return` writes.
#[derive(Clone, Copy, Debug)]
pub struct Return<'a> {
    /// Channel number.
    pub channel: u16,
    /// 312 for no route.
    pub reply_code: u16,
    /// `NO_ROUTE` for no route.
    pub reply_text: &'a [u8],
    /// Exchange it was published to.
    pub exchange: &'a [u8],
    /// Routing key it was published with.
    pub routing_key: &'a [u8],
    /// Flag word and property list.
    pub properties: &'a [u8],
    /// Whole body.
    pub body: &'a [u8],
    /// Negotiated size of a frame in octets, 0 for no limit.
    pub frame_max: u32,
}

/// What `publish` writes.
#[derive(Clone, Copy, Debug)]
pub struct Publishing<'a> {
    /// Channel number.
    pub channel: u16,
    /// Exchange name.
    pub exchange: &'a [u8],
    /// Routing key.
    pub routing_key: &'a [u8],
    /// Return the message if no queue takes it.
    pub mandatory: bool,
    /// Flag word and property list.
    pub properties: &'a [u8],
    /// Whole body.
    pub body: &'a [u8],
    /// Negotiated size of a frame in octets, 0 for no limit.
    pub frame_max: u32,
}

/// At most 255 octets of it, and how many.
#[inline]
pub(crate) fn short(octets: &[u8]) -> (&[u8], u8) {
    let kept = &octets[..octets.len().min(255)];
    (kept, kept.len() as u8)
}

#[inline]
pub(crate) fn push_short(out: &mut Vec<u8>, (octets, length): (&[u8], u8)) {
    out.push(length);
    out.extend_from_slice(octets);
}

/// Frame head of a method and its ids; `arguments` counts the octets that follow them.
#[inline]
fn method_head(out: &mut Vec<u8>, channel: u16, method_id: u8, arguments: usize) {
    let [c0, c1] = channel.to_be_bytes();
    // A method made here has at most four short strings: its size fits easily.
    let [s0, s1, s2, s3] = (arguments as u32 + 4).to_be_bytes();
    out.extend_from_slice(&[1, c0, c1, s0, s1, s2, s3, 0, 60, 0, method_id]);
}

/// Octets of the frames that `content` writes.
#[inline]
pub(crate) fn content_bytes(properties: &[u8], body: &[u8], frame_max: u32) -> usize {
    let frames = body.len().div_ceil(piece_bytes_max(frame_max));
    HEADER_FRAME_BYTES + properties.len() + body.len() + frames * EMPTY_FRAME_BYTES
}

/// Octets of body in one frame.
#[inline]
fn piece_bytes_max(frame_max: u32) -> usize {
    match frame_max {
        0 => u32::MAX as usize - EMPTY_FRAME_BYTES,
        limit => (limit as usize).saturating_sub(EMPTY_FRAME_BYTES).max(1),
    }
}

/// Appends the content header and body frames of a message: `properties` is flag word and list; an empty body has no
/// body frame. `frame_max` in octets, 0 for no limit.
#[inline]
pub fn content(out: &mut Vec<u8>, channel: u16, properties: &[u8], body: &[u8], frame_max: u32) {
    out.reserve(content_bytes(properties, body, frame_max));
    let [c0, c1] = channel.to_be_bytes();
    let [s0, s1, s2, s3] = (properties.len() as u32).wrapping_add(12).to_be_bytes();
    let [b0, b1, b2, b3, b4, b5, b6, b7] = (body.len() as u64).to_be_bytes();
    out.extend_from_slice(&[2, c0, c1, s0, s1, s2, s3, 0, 60, 0, 0, b0, b1, b2, b3, b4, b5, b6, b7]);
    out.extend_from_slice(properties);
    out.push(FRAME_END);
    let piece_max = piece_bytes_max(frame_max);
    if body.len() > piece_max {
        return body.chunks(piece_max).for_each(|piece| body_frame(out, channel, piece));
    }
    if !body.is_empty() {
        body_frame(out, channel, body);
    }
}

#[inline]
fn body_frame(out: &mut Vec<u8>, channel: u16, piece: &[u8]) {
    let [c0, c1] = channel.to_be_bytes();
    // A piece is never longer than a length field can say.
    let [s0, s1, s2, s3] = (piece.len() as u32).to_be_bytes();
    out.extend_from_slice(&[3, c0, c1, s0, s1, s2, s3]);
    out.extend_from_slice(piece);
    out.push(FRAME_END);
}

/// Octets of the arguments of a `basic.deliver`.
#[inline]
fn deliver_arguments(d: &Deliver<'_>) -> usize {
    12 + short(d.consumer_tag).0.len() + short(d.exchange).0.len() + short(d.routing_key).0.len()
}

/// Appends `basic.deliver` with its content.
#[inline]
pub fn deliver(out: &mut Vec<u8>, d: &Deliver<'_>) {
    let (tag, exchange, key) = (short(d.consumer_tag), short(d.exchange), short(d.routing_key));
    let arguments = deliver_arguments(d);
    out.reserve(12 + arguments + content_bytes(d.properties, d.body, d.frame_max));
    method_head(out, d.channel, 60, arguments);
    push_short(out, tag);
    let [t0, t1, t2, t3, t4, t5, t6, t7] = d.delivery_tag.to_be_bytes();
    out.extend_from_slice(&[t0, t1, t2, t3, t4, t5, t6, t7, u8::from(d.redelivered)]);
    push_short(out, exchange);
    push_short(out, key);
    out.push(FRAME_END);
    content(out, d.channel, d.properties, d.body, d.frame_max);
}

/// Appends `basic.deliver` with its content for each of these bodies, numbered from the tag in `first`, whose own body is
/// not looked at. What they have in common is made once and copied.
pub fn deliver_all<'a>(out: &mut Vec<u8>, first: &Deliver<'_>, bodies: impl Iterator<Item = &'a [u8]>) {
    let mut d = Deliver { body: &[], ..*first };
    let tag_at = METHOD_HEAD_BYTES + 1 + short(d.consumer_tag).0.len();
    let method_bytes = METHOD_HEAD_BYTES + deliver_arguments(&d) + 1;
    let size_at = method_bytes + SIZE_IN_HEADER_FRAME;
    let common = method_bytes + HEADER_FRAME_BYTES + d.properties.len();
    let (piece_max, [c0, c1]) = (piece_bytes_max(d.frame_max), d.channel.to_be_bytes());
    let mut model_at = None;
    for body in bodies {
        match model_at {
            Some(at) if !body.is_empty() && body.len() <= piece_max => {
                out.reserve(common + EMPTY_FRAME_BYTES + body.len());
                let start = out.len();
                out.extend_from_within(at..at + common);
                out[start + tag_at..start + tag_at + 8].copy_from_slice(&d.delivery_tag.to_be_bytes());
                out[start + size_at..start + size_at + 8].copy_from_slice(&(body.len() as u64).to_be_bytes());
                let [s0, s1, s2, s3] = (body.len() as u32).to_be_bytes();
                out.extend_from_slice(&[3, c0, c1, s0, s1, s2, s3]);
                out.extend_from_slice(body);
                out.push(FRAME_END);
            }
            Some(_) | None => {
                model_at = Some(out.len());
                deliver(out, &Deliver { body, ..d });
            }
        }
        d.delivery_tag += 1;
    }
}

/// Appends `basic.get-ok` with its content.
pub fn get_ok(out: &mut Vec<u8>, g: &GetOk<'_>) {
    let (exchange, key) = (short(g.exchange), short(g.routing_key));
    let arguments = 15 + exchange.0.len() + key.0.len();
    out.reserve(12 + arguments + content_bytes(g.properties, g.body, g.frame_max));
    method_head(out, g.channel, 71, arguments);
    out.extend_from_slice(&g.delivery_tag.to_be_bytes());
    out.push(u8::from(g.redelivered));
    push_short(out, exchange);
    push_short(out, key);
    out.extend_from_slice(&g.message_count.to_be_bytes());
    out.push(FRAME_END);
    content(out, g.channel, g.properties, g.body, g.frame_max);
}

/// Appends `basic.return` with its content.
pub fn basic_return(out: &mut Vec<u8>, r: &Return<'_>) {
    let (text, exchange, key) = (short(r.reply_text), short(r.exchange), short(r.routing_key));
    let arguments = 5 + text.0.len() + exchange.0.len() + key.0.len();
    out.reserve(12 + arguments + content_bytes(r.properties, r.body, r.frame_max));
    method_head(out, r.channel, 50, arguments);
    out.extend_from_slice(&r.reply_code.to_be_bytes());
    push_short(out, text);
    push_short(out, exchange);
    push_short(out, key);
    out.push(FRAME_END);
    content(out, r.channel, r.properties, r.body, r.frame_max);
}

/// Appends `basic.publish` with its content, as a client sends it.
pub fn publish(out: &mut Vec<u8>, p: &Publishing<'_>) {
    let (exchange, key) = (short(p.exchange), short(p.routing_key));
    let arguments = 5 + exchange.0.len() + key.0.len();
    out.reserve(12 + arguments + content_bytes(p.properties, p.body, p.frame_max));
    method_head(out, p.channel, 40, arguments);
    out.extend_from_slice(&[0, 0]);
    push_short(out, exchange);
    push_short(out, key);
    out.extend_from_slice(&[u8::from(p.mandatory), FRAME_END]);
    content(out, p.channel, p.properties, p.body, p.frame_max);
}

/// Appends a method that is a delivery tag and bits.
#[inline]
fn tag_and_bits(out: &mut Vec<u8>, channel: u16, method_id: u8, tag: u64, bits: u8) {
    let [c0, c1] = channel.to_be_bytes();
    let [t0, t1, t2, t3, t4, t5, t6, t7] = tag.to_be_bytes();
    out.extend_from_slice(&[
        1, c0, c1, 0, 0, 0, 13, 0, 60, 0, method_id, t0, t1, t2, t3, t4, t5, t6, t7, bits, FRAME_END,
    ]);
}

/// Appends `basic.ack`: a confirm to a publisher, or a client's ack.
#[inline]
pub fn ack(out: &mut Vec<u8>, channel: u16, delivery_tag: u64, multiple: bool) {
    tag_and_bits(out, channel, 80, delivery_tag, u8::from(multiple));
}

/// Appends `basic.nack`.
#[inline]
pub fn nack(out: &mut Vec<u8>, channel: u16, delivery_tag: u64, multiple: bool, requeue: bool) {
    tag_and_bits(
        out,
        channel,
        120,
        delivery_tag,
        u8::from(multiple) | u8::from(requeue) << 1,
    );
}

/// Appends `basic.reject`, as a client sends it.
#[inline]
pub fn reject(out: &mut Vec<u8>, channel: u16, delivery_tag: u64, requeue: bool) {
    tag_and_bits(out, channel, 90, delivery_tag, u8::from(requeue));
}

/// Appends the server's `basic.cancel`: it wants no answer.
pub fn cancel(out: &mut Vec<u8>, channel: u16, consumer_tag: &[u8]) {
    let tag = short(consumer_tag);
    method_head(out, channel, 30, 2 + tag.0.len());
    push_short(out, tag);
    out.extend_from_slice(&[1, FRAME_END]);
}

/// Appends a heartbeat.
pub fn heartbeat(out: &mut Vec<u8>) {
    out.extend_from_slice(&[8, 0, 0, 0, 0, 0, 0, FRAME_END]);
}

/// Appends any method without content.
pub fn method(out: &mut Vec<u8>, channel: u16, class: AMQPClass) {
    let frame = AMQPFrame::Method(channel, class);
    // Writing to a Vec cannot fail.
    if let Ok(written) = gen_frame(&frame)(WriteContext::from(Vec::new())) {
        out.extend_from_slice(&written.into_inner().0);
    }
}

/// The reply text of a close, cut to the 255 octets of a short string as RabbitMQ cuts it: `…` in three dots.
pub fn reply_text(refusal: &Refusal) -> ShortString {
    let mut text = refusal.to_string();
    if text.len() > REPLY_TEXT_BYTES_MAX {
        text.truncate(text.floor_char_boundary(REPLY_TEXT_BYTES_MAX - 3));
        text.push_str("...");
    }
    // At most 255 octets by now.
    ShortString::try_new(text).unwrap_or_default()
}
