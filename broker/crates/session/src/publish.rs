//! `basic.publish` with its content: checks of the properties, CC and BCC, direct reply-to, confirms, returns.
//!
//! The usual publish, whole in the read buffer, is handled borrowed, without a copy and without allocation.

use model::{Millis, Refusal, ReplyCode};
use wire::{ContentHeader, Frame, Kind};

use crate::{
    Connection, Fate, Host, Publication, Receipt, carbon,
    channel::{Channel, Mode, Stage as ChannelStage},
    connection::Progress,
    content::{self, Content, Envelope},
};

/// The name under which a client consumes and asks for direct replies.
pub(crate) const REPLY_TO: &str = "amq.rabbitmq.reply-to";
/// Longest expiration: about a hundred years, as in RabbitMQ.
const EXPIRATION_MS_MAX: i128 = 3_153_600_000_000;

/// A publish that waits for its transaction's commit.
#[derive(Debug)]
pub(crate) struct Buffered {
    envelope: Envelope,
    header: Vec<u8>,
    body: Vec<u8>,
}

/// How far a transaction's publishes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Committed {
    /// As safe as they will get.
    Safe,
    /// Safe once the log is.
    Logged,
}

/// Octets of the frames after the method frame, the header and the body.
type WholeContent<'a> = (usize, ContentHeader<'a>, &'a [u8]);

impl Connection {
    /// The fast path: method, header and at most one body frame stand next to each other in the buffer.
    /// The method frame is that of a publish. `None` if the rest is otherwise; the frames are then taken one by one.
    pub(crate) fn whole_publish<H: Host>(
        &mut self,
        frame: &Frame<'_>,
        rest: &[u8],
        host: &mut H,
    ) -> Option<(usize, Progress)> {
        let channel = self.channels.get(&frame.channel)?;
        if channel.stage != ChannelStage::Open || !matches!(channel.content, Content::None) {
            return None;
        }
        let Ok(wire::Method::Publish(publish)) = wire::decode_method(frame.payload) else {
            return None;
        };
        let (octets, header, body) = whole_content(rest, frame.channel, self.tuned.frame_max)?;
        let progress = match self.publish(frame.channel, &publish, &header, body, host) {
            Ok(()) => Progress::Next,
            Err(refusal) => self.refuse(frame.channel, refusal, (60, 40), host),
        };
        Some((octets, progress))
    }

    /// Publishes if the last frame completed the content.
    pub(crate) fn finish_content<H: Host>(&mut self, number: u16, host: &mut H) -> Result<(), Refusal> {
        let Some(channel) = self.channels.get_mut(&number) else {
            return Ok(());
        };
        if !matches!(&channel.content, Content::AwaitBody(partial) if partial.missing == 0) {
            return Ok(());
        }
        let Content::AwaitBody(partial) = std::mem::take(&mut channel.content) else {
            return Ok(());
        };
        let header = wire::decode_header(&partial.header).map_err(|e| e.refusal())?;
        self.publish(number, &partial.envelope.as_publish(), &header, &partial.body, host)
    }

    fn publish<H: Host>(
        &mut self,
        number: u16,
        publish: &wire::Publish<'_>,
        header: &ContentHeader<'_>,
        body: &[u8],
        host: &mut H,
    ) -> Result<(), Refusal> {
        if publish.immediate {
            return Err(Refusal::connection(ReplyCode::NotImplemented, "immediate=true"));
        }
        self.check_size(header.body_size)?;
        let channel = self.channels.get(&number).expect("a publish comes on an open channel");
        let mut edits = Edits::of(header, channel);
        edits.judge(&header.seen, &self.user, self.impersonator);
        let message = publication(publish, header, &edits, body);
        self.dispatch_publication(number, &message, header, host)
    }

    fn dispatch_publication<H: Host>(
        &mut self,
        number: u16,
        message: &Publication<'_>,
        header: &ContentHeader<'_>,
        host: &mut H,
    ) -> Result<(), Refusal> {
        let channel = self
            .channels
            .get_mut(&number)
            .expect("a publish comes on an open channel");
        if let Mode::Tx(waiting) = &mut channel.mode {
            host.check_publish(message)?;
            waiting.push(Buffered::of(message, header));
            return Ok(());
        }
        let receipt = self.receipt(number);
        let fate = host.publish(number, message, receipt)?;
        if fate == Fate::Unroutable && message.mandatory {
            write_return(host.out(), number, message, self.tuned.frame_max);
        }
        self.count_publish(number, fate, host);
        Ok(())
    }

    /// Numbers a publish of a channel in confirm mode, and confirms it or has it wait.
    /// What the next publish of a channel is to be answered with.
    pub(crate) fn receipt(&self, number: u16) -> Receipt {
        match self.channels.get(&number).map(|channel| &channel.mode) {
            Some(Mode::Confirm(confirms)) => Receipt::Confirm(confirms.upcoming()),
            Some(Mode::Plain | Mode::Tx(_)) | None => Receipt::None,
        }
    }

    pub(crate) fn count_publish<H: Host>(&mut self, number: u16, fate: Fate, host: &mut H) {
        let channel = self.channels.get_mut(&number);
        let Some(confirms) = channel.and_then(|channel| channel.confirms()) else {
            return;
        };
        host.will_confirm();
        match fate {
            Fate::Rejected => {
                let acked = confirms.nack(number, host.out());
                host.confirmed(number, acked);
            }
            Fate::Taken | Fate::Unroutable => {
                if confirms.ack() {
                    self.confirming.push(number);
                }
            }
            Fate::Logged => {
                self.unsealed = true;
                if confirms.log() && !self.waiting.contains(&number) {
                    self.waiting.push(number);
                }
            }
        }
    }

    /// Performs a transaction's publishes in order. Returned and refused ones do not stop the others. Says whether
    /// they are safe already.
    pub(crate) fn commit_publishes<H: Host>(&mut self, number: u16, host: &mut H) -> Result<Committed, Refusal> {
        let Some(channel) = self.channels.get_mut(&number) else {
            return Ok(Committed::Safe);
        };
        let Mode::Tx(waiting) = &mut channel.mode else {
            return Ok(Committed::Safe);
        };
        let waiting = std::mem::take(waiting);
        let (mut rejected, mut logged) = (false, false);
        for buffered in &waiting {
            let fate = self.commit_one(number, buffered, host)?;
            rejected |= fate == Fate::Rejected;
            logged |= fate == Fate::Logged;
        }
        match (rejected, logged) {
            (true, _) => Err(Refusal::channel(ReplyCode::PreconditionFailed, "partial tx completion")),
            (false, true) => Ok(Committed::Logged),
            (false, false) => Ok(Committed::Safe),
        }
    }

    fn commit_one<H: Host>(&mut self, number: u16, buffered: &Buffered, host: &mut H) -> Result<Fate, Refusal> {
        let header = wire::decode_header(&buffered.header).map_err(|e| e.refusal())?;
        let channel = self.channels.get(&number).expect("a commit comes on an open channel");
        let mut edits = Edits::of(&header, channel);
        // Judged when it was published; what changed since then does not count.
        edits.fault = None;
        let envelope = buffered.envelope.as_publish();
        let message = publication(&envelope, &header, &edits, &buffered.body);
        let fate = host.publish(number, &message, Receipt::Commit)?;
        if fate == Fate::Unroutable && message.mandatory {
            write_return(host.out(), number, &message, self.tuned.frame_max);
        }
        Ok(fate)
    }

    fn check_size(&self, octets: u64) -> Result<(), Refusal> {
        let max = self.limits.message_bytes_max;
        if octets <= max {
            return Ok(());
        }
        let text = format!("message size {octets} is larger than configured max size {max}");
        Err(Refusal::channel(ReplyCode::PreconditionFailed, text))
    }
}

/// True for the method frame of a publish.
pub(crate) fn is_publish(frame: &Frame<'_>) -> bool {
    frame.kind == Kind::Method && wire::class_method_ids(frame.payload) == (60, 40)
}

/// What is wrong with the properties, in RabbitMQ's order: user_id, then expiration.
fn property_fault(seen: &wire::Seen<'_>, user: &str, impersonator: bool) -> Option<Refusal> {
    if let Some(claimed) = seen.user_id
        && claimed != user.as_bytes()
        && !impersonator
    {
        let claimed = String::from_utf8_lossy(claimed);
        let text = format!("user_id property set to '{claimed}' but authenticated user was '{user}'");
        return Some(Refusal::channel(ReplyCode::PreconditionFailed, text));
    }
    let error = expiration(seen.expiration?).err()?;
    Some(Refusal::channel(ReplyCode::PreconditionFailed, error))
}

/// Checks and edits the content of a message that comes from no connection, as that of a connection's publish, and
/// hands the publication on. `header` is the payload of a content header frame.
///
/// # Errors
/// The header is none.
pub fn publish_alone<R>(
    envelope: &wire::Publish<'_>,
    header: &[u8],
    body: &[u8],
    (user, impersonator): (&str, bool),
    publish: impl FnOnce(&Publication<'_>) -> R,
) -> Result<R, Refusal> {
    let header = wire::decode_header(header).map_err(|error| error.refusal())?;
    let mut edits = Edits::of(&header, &Channel::new());
    edits.judge(&header.seen, user, impersonator);
    Ok(publish(&publication(envelope, &header, &edits, body)))
}

/// What the host gets of a content.
fn publication<'a>(
    envelope: &wire::Publish<'a>,
    header: &ContentHeader<'a>,
    edits: &'a Edits,
    body: &'a [u8],
) -> Publication<'a> {
    Publication {
        exchange: envelope.exchange,
        routing_key: envelope.routing_key,
        mandatory: envelope.mandatory,
        properties: edits.properties.as_deref().unwrap_or(header.properties),
        headers: header.seen.headers,
        extra_keys: &edits.extra_keys,
        body,
        persistent: header.seen.delivery_mode == Some(2),
        priority: header.seen.priority.unwrap_or(0),
        ttl: header.seen.expiration.and_then(|text| expiration(text).ok()),
        fault: edits.fault.as_ref(),
    }
}

/// What the broker changes in a message's properties on its way in.
#[derive(Default)]
struct Edits {
    /// Properties to pass on, if not those sent.
    properties: Option<Vec<u8>>,
    /// Keys from CC and BCC.
    extra_keys: Vec<Vec<u8>>,
    fault: Option<Refusal>,
}

impl Edits {
    fn of(header: &ContentHeader<'_>, channel: &Channel) -> Self {
        let mut edits = Edits::default();
        if header.seen.reply_to == Some(REPLY_TO.as_bytes()) {
            edits.direct_reply_to(header, channel);
        }
        if let Some(headers) = header.seen.headers {
            edits.carbon_copies(header, headers);
        }
        edits
    }

    /// Finds fault with the properties of a message of this user, if none has been found.
    fn judge(&mut self, seen: &wire::Seen<'_>, user: &str, impersonator: bool) {
        if self.fault.is_none() {
            self.fault = property_fault(seen, user, impersonator);
        }
    }

    /// The requester's address stands in for the pseudo-queue's name.
    fn direct_reply_to(&mut self, header: &ContentHeader<'_>, channel: &Channel) {
        match &channel.replies {
            Some((_, address)) => {
                self.properties = Some(wire::with_reply_to_replaced(
                    header.properties,
                    Some(address.as_bytes()),
                ));
            }
            None => {
                let text = "fast reply consumer does not exist";
                self.fault = Some(Refusal::channel(ReplyCode::PreconditionFailed, text));
            }
        }
    }

    /// CC and BCC add routing keys; BCC is removed before delivery.
    fn carbon_copies(&mut self, header: &ContentHeader<'_>, headers: &[u8]) {
        for name in ["CC", "BCC"] {
            match carbon::routing_keys(headers, name) {
                Ok(keys) => self.extra_keys.extend(keys),
                Err(kind) => {
                    let text = format!("invalid message: {{unacceptable_type_in_header,\"{name}\",{kind}}}");
                    self.fault
                        .get_or_insert(Refusal::channel(ReplyCode::PreconditionFailed, text));
                }
            }
        }
        if let Some(without) = carbon::without_header(headers, "BCC") {
            let base = self.properties.as_deref().unwrap_or(header.properties);
            self.properties = Some(wire::with_headers_replaced(base, Some(&without)));
        }
    }
}

impl Buffered {
    fn of(message: &Publication<'_>, header: &ContentHeader<'_>) -> Self {
        let mut raw = Vec::with_capacity(12 + header.properties.len());
        raw.extend_from_slice(&60u16.to_be_bytes());
        raw.extend_from_slice(&0u16.to_be_bytes());
        raw.extend_from_slice(&header.body_size.to_be_bytes());
        raw.extend_from_slice(header.properties);
        let envelope = Envelope {
            exchange: message.exchange.to_vec(),
            routing_key: message.routing_key.to_vec(),
            mandatory: message.mandatory,
            immediate: false,
        };
        Buffered {
            envelope,
            header: raw,
            body: message.body.to_vec(),
        }
    }
}

impl Envelope {
    fn as_publish(&self) -> wire::Publish<'_> {
        wire::Publish {
            exchange: &self.exchange,
            routing_key: &self.routing_key,
            mandatory: self.mandatory,
            immediate: self.immediate,
        }
    }
}

/// Header and body frames, if both are complete, of this channel and in order.
fn whole_content(rest: &[u8], channel: u16, frame_max: u32) -> Option<WholeContent<'_>> {
    let (frame, header_octets) = wire::next_frame(rest, frame_max).ok()??;
    if frame.kind != Kind::Header || frame.channel != channel {
        return None;
    }
    let header = wire::decode_header(frame.payload).ok()?;
    content::check_header(&header).ok()?;
    if header.body_size == 0 {
        return Some((header_octets, header, &[]));
    }
    let (frame, body_octets) = wire::next_frame(&rest[header_octets..], frame_max).ok()??;
    let is_body =
        frame.kind == Kind::Body && frame.channel == channel && frame.payload.len() as u64 == header.body_size;
    is_body.then_some((header_octets + body_octets, header, frame.payload))
}

fn write_return(out: &mut Vec<u8>, channel: u16, message: &Publication<'_>, frame_max: u32) {
    wire::basic_return(
        out,
        &wire::Return {
            channel,
            reply_code: ReplyCode::NoRoute as u16,
            reply_text: ReplyCode::NoRoute.name().as_bytes(),
            exchange: message.exchange,
            routing_key: message.routing_key,
            properties: message.properties,
            body: message.body,
            frame_max,
        },
    );
}

/// The expiration property: decimal milliseconds. Errors are worded as RabbitMQ words them.
pub(crate) fn expiration(text: &[u8]) -> Result<Millis, String> {
    let shown = String::from_utf8_lossy(text);
    let invalid = |why: String| format!("invalid expiration '{shown}': {why}");
    let sign = usize::from(matches!(text.first(), Some(b'-' | b'+')));
    let digits = text[sign..].iter().take_while(|octet| octet.is_ascii_digit()).count();
    if digits == 0 {
        return Err(invalid("no_integer".into()));
    }
    let leftover = &text[sign + digits..];
    if !leftover.is_empty() {
        return Err(invalid(format!(
            "{{leftover_string,\"{}\"}}",
            String::from_utf8_lossy(leftover)
        )));
    }
    // At most 255 digits arrive; more than 38 of them are too large whatever they are.
    let magnitude = std::str::from_utf8(&text[sign..])
        .ok()
        .and_then(|t| t.parse::<i128>().ok())
        .unwrap_or(i128::MAX);
    match (text.first(), magnitude) {
        (Some(b'-'), 1..) => Err(invalid(format!("{{value_negative,-{magnitude}}}"))),
        (_, value) if value > EXPIRATION_MS_MAX => Err(invalid(format!("{{value_too_large,{shown}}}"))),
        (_, value) => Ok(Millis(u64::try_from(value).unwrap_or(0))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expiration_is_decimal_milliseconds_and_errors_read_as_in_rabbitmq() {
        assert_eq!(expiration(b"0"), Ok(Millis(0)));
        assert_eq!(expiration(b"99999999999"), Ok(Millis(99_999_999_999)));
        for (text, why) in [
            ("abc", "no_integer"),
            ("", "no_integer"),
            ("-1", "{value_negative,-1}"),
            ("5 ", "{leftover_string,\" \"}"),
            ("1.5", "{leftover_string,\".5\"}"),
            ("3153600000001", "{value_too_large,3153600000001}"),
        ] {
            assert_eq!(
                expiration(text.as_bytes()),
                Err(format!("invalid expiration '{text}': {why}"))
            );
        }
    }
}
