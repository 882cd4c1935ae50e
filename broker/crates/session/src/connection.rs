//! One client connection from the first octet to the last: takes complete frames from a buffer, decides, and
//! says what the host has to do next.
//!
//! Comes after `wire` (frames) and before the node. Must never keep more of a connection than what has arrived.

use model::{Millis, Refusal, ReplyCode, Table};
use std::{collections::BTreeMap, sync::Arc};
use wire::{Frame, Kind};

use crate::{
    Answer, Ask, Host, Note, Release,
    channel::{Channel, Mode, Stage as ChannelStage},
    close,
    confirms::Point,
    content::{self, Content},
    handshake::Handshake,
    publish::is_publish,
    replies::{self, Pending},
};

/// What the server offers and allows.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Self-description sent in `connection.start`.
    pub server_properties: Table,
    /// SASL mechanisms, separated by spaces.
    pub mechanisms: String,
    /// Largest frame in octets after tuning, 0 = no limit.
    pub frame_max: u32,
    /// Largest frame in octets before tuning.
    pub initial_frame_max: u32,
    /// Channels at once, 0 = no limit.
    pub channel_max: u16,
    /// Heartbeat interval offered, in seconds, 0 = off.
    pub heartbeat: u16,
    /// Largest body in octets.
    pub message_bytes_max: u64,
    /// Consumers on one channel, `None` = no limit.
    pub consumers_per_channel: Option<u32>,
}

/// What both sides agreed on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tuned {
    /// Largest frame in octets, 0 = no limit.
    pub frame_max: u32,
    /// Channels at once, 0 = no limit.
    pub channel_max: u16,
    /// Heartbeat interval in seconds, 0 = off.
    pub heartbeat: u16,
}

/// What the host does next.
#[derive(Debug)]
pub enum Step {
    /// Read more octets.
    NeedBytes,
    /// Answer this, by `Connection::answer`, before any further octet.
    Ask(Ask),
    /// Write what is to be written, then close the socket.
    Close,
    /// Close the socket after this time at the latest; `deaf`: what still arrives is no longer looked at.
    Linger {
        /// How long.
        patience: Millis,
        /// Discard what is read.
        deaf: bool,
    },
}

/// What management shows of a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelFacts {
    /// Channel number.
    pub number: u16,
    /// In confirm mode.
    pub confirm: bool,
    /// In transaction mode.
    pub transactional: bool,
    /// Consumers on it.
    pub consumer_count: usize,
    /// Prefetch for new consumers.
    pub prefetch: u16,
    /// Publishes that wait for a commit.
    pub uncommitted: usize,
    /// Publishes that wait for their confirm.
    pub unconfirmed: u64,
}

/// Where the connection is in its life.
#[derive(Debug)]
pub(crate) enum Stage {
    Handshake(Handshake),
    Open,
    /// We sent `connection.close`.
    Closing,
}

/// The machine.
#[derive(Debug)]
pub struct Connection {
    pub(crate) limits: Arc<Limits>,
    pub(crate) stage: Stage,
    pub(crate) tuned: Tuned,
    pub(crate) user: String,
    pub(crate) impersonator: bool,
    pub(crate) client_properties: Table,
    pub(crate) channels: BTreeMap<u16, Box<Channel>>,
    pub(crate) pending: Option<Pending>,
    /// Channels with confirms to write before the buffer is left.
    pub(crate) confirming: Vec<u16>,
    /// Channels with confirms that wait for the log.
    pub(crate) waiting: Vec<u16>,
    /// Something was logged since the last point.
    pub(crate) unsealed: bool,
    /// The last point named.
    point: Point,
    /// The client is another node, on behalf of one of its own.
    pub(crate) is_leg: bool,
}

/// How far one frame has brought us.
pub(crate) enum Progress {
    /// Look at the next frame.
    Next,
    /// Stop here.
    Stop(Step),
}

impl Connection {
    /// A connection just accepted.
    pub fn new(limits: Arc<Limits>) -> Self {
        Connection {
            limits,
            stage: Stage::Handshake(Handshake::Header),
            tuned: Tuned::default(),
            user: String::new(),
            impersonator: false,
            client_properties: Table::default(),
            channels: BTreeMap::new(),
            pending: None,
            confirming: Vec::new(),
            waiting: Vec::new(),
            unsealed: false,
            point: Point(0),
            is_leg: false,
        }
    }

    /// Handles all complete frames at the start of `buf`; returns how many octets were used up.
    /// Must not be called while a question is unanswered.
    pub fn advance<H: Host>(&mut self, buf: &[u8], host: &mut H) -> (usize, Step) {
        assert!(self.pending.is_none(), "octets while a question is open");
        let mut used = 0;
        let step = loop {
            match self.one(&buf[used..], host) {
                Ok((0, Progress::Next)) => break Step::NeedBytes,
                Ok((octets, Progress::Next)) => used += octets,
                Ok((octets, Progress::Stop(step))) => {
                    used += octets;
                    break step;
                }
                Err(refusal) => break self.fail(0, refusal, (0, 0), true, host),
            }
        };
        self.write_confirms(host);
        (used, step)
    }

    /// One frame (or protocol header, or whole publish); 0 octets = incomplete, or a publish that is held.
    fn one<H: Host>(&mut self, buf: &[u8], host: &mut H) -> Result<(usize, Progress), Refusal> {
        if let Stage::Handshake(Handshake::Header) = self.stage {
            return Ok(self.on_protocol_header(buf, host));
        }
        let Some((frame, octets)) = wire::next_frame(buf, self.frame_limit()).map_err(|e| e.refusal())? else {
            return Ok((0, Progress::Next));
        };
        if let Stage::Open = self.stage
            && is_publish(&frame)
        {
            if host.holds_publishes() {
                return Ok((0, Progress::Next));
            }
            if let Some((body_octets, progress)) = self.whole_publish(&frame, &buf[octets..], host) {
                return Ok((octets + body_octets, progress));
            }
        } else if self.is_leg
            && let Some(done) = self.leg_method(&frame, host)
        {
            return Ok(done);
        } else if let Stage::Open = self.stage
            && matches!(frame.kind, Kind::Header | Kind::Body)
            && host.holds_publishes()
        {
            // Of a publish that came in pieces: taken now it would go before those that are held, or sent again.
            return Ok((0, Progress::Next));
        }
        Ok((octets, self.on_frame(frame, host)))
    }

    fn frame_limit(&self) -> u32 {
        match self.stage {
            Stage::Handshake(Handshake::Open) | Stage::Open => self.tuned.frame_max,
            // A log-in may fail before anything was tuned: a stranger gets no larger frame for that.
            Stage::Closing if self.tuned != Tuned::default() => self.tuned.frame_max,
            Stage::Handshake(_) | Stage::Closing => self.limits.initial_frame_max,
        }
    }

    fn on_frame<H: Host>(&mut self, frame: Frame<'_>, host: &mut H) -> Progress {
        match (&self.stage, frame.kind) {
            (_, Kind::Heartbeat) => Progress::Next,
            (Stage::Handshake(_), _) => self.on_handshake_frame(frame, host),
            (Stage::Closing, _) => self.on_frame_while_closing(frame, host),
            (Stage::Open, _) if frame.channel == 0 => self.on_connection_frame(frame, host),
            (Stage::Open, Kind::Method) => self.on_channel_method(frame, host),
            (Stage::Open, _) => self.on_content_frame(frame, host),
        }
    }

    /// After our `connection.close` only close and close-ok count.
    fn on_frame_while_closing<H: Host>(&mut self, frame: Frame<'_>, host: &mut H) -> Progress {
        if frame.channel != 0 || frame.kind != Kind::Method {
            return Progress::Next;
        }
        match wire::class_method_ids(frame.payload) {
            (10, 50) => {
                replies::write_connection_close_ok(host.out());
                Progress::Next
            }
            (10, 51) => Progress::Stop(Step::Close),
            _ => Progress::Next,
        }
    }

    fn on_content_frame<H: Host>(&mut self, frame: Frame<'_>, host: &mut H) -> Progress {
        let number = frame.channel;
        let Some(channel) = self.channels.get_mut(&number) else {
            return self.refuse(
                number,
                Refusal::connection(ReplyCode::ChannelError, "expected 'channel.open'"),
                (0, 0),
                host,
            );
        };
        if channel.stage == ChannelStage::Closing {
            return Progress::Next;
        }
        match self.take_content(frame, host) {
            Ok(()) => Progress::Next,
            Err((refusal, method)) => self.refuse(number, refusal, method, host),
        }
    }

    fn take_content<H: Host>(&mut self, frame: Frame<'_>, host: &mut H) -> Result<(), (Refusal, (u16, u16))> {
        let at_frame = |refusal| (refusal, (0, 0));
        let max = self.limits.message_bytes_max;
        let channel = self.channels.get_mut(&frame.channel).expect("looked up by the caller");
        match (std::mem::take(&mut channel.content), frame.kind) {
            (Content::AwaitHeader(envelope), Kind::Header) => {
                let header = wire::decode_header(frame.payload).map_err(|e| at_frame(e.refusal()))?;
                content::check_header(&header).map_err(|refusal| (refusal, content::PUBLISH))?;
                let missing = header.body_size;
                channel.content = Content::AwaitBody(Box::new(content::Partial {
                    envelope,
                    header: frame.payload.to_vec(),
                    body: Vec::new(),
                    missing,
                    oversize: missing > max,
                }));
            }
            (Content::AwaitBody(mut partial), Kind::Body) => {
                partial.push(frame.payload).map_err(at_frame)?;
                channel.content = Content::AwaitBody(partial);
            }
            (content, kind) => return Err((content::out_of_sequence(&content, kind), content.culprit())),
        }
        self.finish_content(frame.channel, host)
            .map_err(|refusal| (refusal, content::PUBLISH))
    }

    /// Closes a channel or the connection for a refusal, as its scope says.
    pub(crate) fn refuse<H: Host>(
        &mut self,
        number: u16,
        refusal: Refusal,
        method: (u16, u16),
        host: &mut H,
    ) -> Progress {
        match refusal.scope {
            model::Scope::Channel => Progress::Stop(self.close_channel(number, &refusal, method, host)),
            model::Scope::Connection => Progress::Stop(self.fail(number, refusal, method, false, host)),
        }
    }

    /// Sends `channel.close`; what the channel holds is given back before anything else happens.
    pub(crate) fn close_channel<H: Host>(
        &mut self,
        number: u16,
        refusal: &Refusal,
        method: (u16, u16),
        host: &mut H,
    ) -> Step {
        host.note(Note::ChannelError {
            channel: number,
            method,
            refusal,
        });
        self.write_confirms(host);
        if let Some(channel) = self.channels.get_mut(&number) {
            **channel = Channel::new();
            channel.stage = ChannelStage::Closing;
        }
        close::write_channel_close(host.out(), number, refusal, method);
        self.pending = Some(Pending::Nothing);
        Step::Ask(Ask::Release(Release::Channel(number)))
    }

    /// Ends the connection for an error. During the handshake the client gets no reason, only silence.
    pub(crate) fn fail<H: Host>(
        &mut self,
        channel: u16,
        refusal: Refusal,
        method: (u16, u16),
        deaf: bool,
        host: &mut H,
    ) -> Step {
        match self.stage {
            Stage::Handshake(_) => {
                host.note(Note::HandshakeFailed {
                    reason: refusal.to_string(),
                });
                self.stage = Stage::Closing;
                Step::Linger {
                    patience: close::SILENCE,
                    deaf: true,
                }
            }
            Stage::Closing => Step::Close,
            Stage::Open => {
                host.note(Note::ConnectionError {
                    channel,
                    method,
                    refusal: &refusal,
                });
                self.write_confirms(host);
                self.stage = Stage::Closing;
                self.channels.clear();
                self.pending = Some(Pending::Fail { refusal, method, deaf });
                Step::Ask(Ask::Release(Release::Connection))
            }
        }
    }

    /// The client has ended the connection and closes its socket when it has read the answer. If ours were closed
    /// first, what the client still sends would be answered with a reset, which takes the answer away from it.
    pub(crate) fn await_end(&mut self) -> Step {
        self.stage = Stage::Closing;
        Step::Linger {
            patience: close::patience(self.tuned.heartbeat),
            deaf: true,
        }
    }

    /// Closes one channel on the node's behalf, for instance when an acknowledgement is overdue.
    pub fn expel_channel<H: Host>(&mut self, number: u16, refusal: &Refusal, host: &mut H) -> Option<Step> {
        let open = self
            .channels
            .get(&number)
            .is_some_and(|channel| channel.stage == ChannelStage::Open);
        open.then(|| self.close_channel(number, refusal, (0, 0), host))
    }

    /// Closes the connection on an operator's or the node's behalf with `CONNECTION_FORCED`.
    pub fn force_close<H: Host>(&mut self, reason: &str, host: &mut H) -> Step {
        self.fail(0, close::forced(reason), (0, 0), false, host)
    }

    /// Tells a client that understands it why nothing is read from it any more.
    pub fn write_blocked<H: Host>(&self, reason: &str, host: &mut H) {
        if self.client_can("connection.blocked") {
            replies::write_blocked(host.out(), reason);
        }
    }

    /// Takes `write_blocked` back.
    pub fn write_unblocked<H: Host>(&self, host: &mut H) {
        if self.client_can("connection.blocked") {
            replies::write_unblocked(host.out());
        }
    }

    /// A queue that went away took this consumer with it.
    pub fn consumer_gone(&mut self, number: u16, tag: &str) {
        if let Some(channel) = self.channels.get_mut(&number) {
            channel.consumers.remove(tag);
        }
    }

    /// The answer to the last question. Returns what comes of it, if not just the next frame.
    pub fn answer<H: Host>(&mut self, answer: Answer, host: &mut H) -> Option<Step> {
        let pending = self.pending.take()?;
        match self.on_answer(pending, answer, host) {
            Progress::Next => None,
            Progress::Stop(step) => Some(step),
        }
    }

    /// Writes what is owed to publishers in confirm mode.
    pub(crate) fn write_confirms<H: Host>(&mut self, host: &mut H) {
        for number in self.confirming.drain(..) {
            if let Some(channel) = self.channels.get_mut(&number)
                && let Mode::Confirm(confirms) = &mut channel.mode
            {
                let acked = confirms.write(number, host.out());
                host.confirmed(number, acked);
            }
        }
    }

    /// The end of a batch: names the point at which what was logged in it will be safe, if a confirm waits for that.
    pub fn seal(&mut self) -> Option<Point> {
        if !std::mem::take(&mut self.unsealed) {
            return None;
        }
        self.point = Point(self.point.0 + 1);
        for number in &self.waiting {
            if let Some(confirms) = self.channels.get_mut(number).and_then(|channel| channel.confirms()) {
                confirms.seal(self.point);
            }
        }
        Some(self.point)
    }

    /// Everything logged before this point was named is safe: writes the confirms that are in order now.
    pub fn reached<H: Host>(&mut self, point: Point, host: &mut H) {
        let Self { waiting, channels, .. } = self;
        waiting.retain(|number| {
            let channel = channels.get_mut(number);
            // A channel that was closed is owed nothing any more.
            let Some(confirms) = channel.and_then(|channel| channel.confirms()) else {
                return false;
            };
            let acked = confirms.reach(point, *number, host.out());
            host.confirmed(*number, acked);
            confirms.is_waiting()
        });
    }

    /// Publishes of a channel that wait for another node turn out to be refused. Their nacks are written with the next
    /// point that is reached, each in its place.
    pub fn refuse_publishes(&mut self, number: u16, first: u64, last: u64) {
        if let Some(confirms) = self.channels.get_mut(&number).and_then(|channel| channel.confirms()) {
            confirms.refuse(first, last);
        }
    }

    /// True while a channel has begun a publish and waits for the rest.
    pub fn is_receiving_content(&self) -> bool {
        let mut channels = self.channels.values();
        channels.any(|channel| !matches!(channel.content, Content::None))
    }

    /// True once `connection.open-ok` has been sent and while nothing has closed it.
    pub fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Open)
    }

    /// True once either side has ended the connection.
    pub fn is_closing(&self) -> bool {
        matches!(self.stage, Stage::Closing)
    }

    /// True once the client has sent a protocol header that is served.
    pub fn has_begun(&self) -> bool {
        !matches!(self.stage, Stage::Handshake(Handshake::Header))
    }

    /// What was agreed on.
    pub fn tuned(&self) -> Tuned {
        self.tuned
    }

    /// The client's self-description.
    pub fn client_properties(&self) -> &Table {
        &self.client_properties
    }

    /// True if the client announced the capability `name`.
    pub fn client_can(&self, name: &str) -> bool {
        match self.client_properties.get("capabilities") {
            Some(model::Value::Table(table)) => table.get(name) == Some(&model::Value::Bool(true)),
            _ => false,
        }
    }

    /// What management shows of the channels, by number.
    pub fn channel_facts(&self) -> Vec<ChannelFacts> {
        let facts = |(&number, channel): (&u16, &Channel)| ChannelFacts {
            number,
            confirm: matches!(channel.mode, Mode::Confirm(_)),
            transactional: matches!(channel.mode, Mode::Tx(_)),
            consumer_count: channel.consumers.len(),
            prefetch: channel.prefetch,
            uncommitted: if let Mode::Tx(waiting) = &channel.mode {
                waiting.len()
            } else {
                0
            },
            unconfirmed: if let Mode::Confirm(confirms) = &channel.mode {
                confirms.unconfirmed_count()
            } else {
                0
            },
        };
        self.channels
            .iter()
            .map(|(number, channel)| facts((number, channel)))
            .collect()
    }
}
