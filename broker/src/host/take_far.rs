//! Looking at the messages of a queue that another node leads, for somebody who is no AMQP client: over a leg of its own, in
//! AMQP frames, so that what may happen to them is what may happen to any client's.
//!
//! Whoever leaves in the middle closes the leg, and all goes back. Permissions are checked before, here.

use catalog::{Client as Identity, QueueRecord};
use model::{Refusal, ReplyCode};
use std::{io, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use wire::{AMQPClass, Kind, Method, basic, channel, connection};

use super::{
    node::Node,
    operate::{Afterwards, Haul, Taken},
};

/// How long the leader may be silent.
const PATIENCE: Duration = Duration::from_secs(15);
/// So many messages are asked for at a time.
const SLICE_MESSAGES: usize = 64;
/// The one channel.
const CHANNEL: u16 = 1;

/// One look.
struct Look {
    tcp: TcpStream,
    buffer: Vec<u8>,
    haul: Haul,
    last_tag: u64,
}

/// What the leader says.
enum Said {
    /// A message.
    Message,
    /// There is none left.
    Empty,
    /// Something else, by class and method.
    Other((u16, u16)),
    /// No.
    Refused(Refusal),
}

impl Node {
    /// Takes up to `count` ready messages of a queue that another node leads, then does with all of them what is asked for.
    ///
    /// # Errors
    /// The leader's refusal, or why it cannot be asked.
    pub(super) async fn take_far(
        &self,
        identity: &Identity,
        record: &QueueRecord,
        count: usize,
        afterwards: Afterwards,
    ) -> Result<Vec<Taken>, Refusal> {
        let failed = |error: io::Error| {
            let text = format!(
                "node '{}' of {} cannot be asked: {error}",
                record.leader,
                record.title()
            );
            Refusal::channel(ReplyCode::NotFound, text)
        };
        let tcp = timeout(PATIENCE, self.dial_for(identity, &record.leader));
        let tcp = tcp.await.map_err(io::Error::other).flatten().map_err(failed)?;
        let mut look = Look {
            tcp,
            buffer: Vec::new(),
            haul: Haul::default(),
            last_tag: 0,
        };
        let mut opening = Vec::new();
        wire::as_of(&mut opening, self.snapshot().generation());
        let open = channel::AMQPMethod::Open(channel::Open {});
        wire::method(&mut opening, CHANNEL, AMQPClass::Channel(open));
        look.say(&opening).await.map_err(failed)?;
        let refused = look.take(record, count, afterwards).await.map_err(failed)?;
        match refused {
            Some(refusal) => Err(refusal),
            None => {
                look.settle(afterwards).await.map_err(failed)?;
                Ok(look.haul.messages)
            }
        }
    }
}

impl Look {
    async fn say(&mut self, octets: &[u8]) -> io::Result<()> {
        timeout(PATIENCE, self.tcp.write_all(octets)).await?
    }

    /// Takes messages until there are enough; a refusal, if that is the end.
    async fn take(
        &mut self,
        record: &QueueRecord,
        count: usize,
        afterwards: Afterwards,
    ) -> io::Result<Option<Refusal>> {
        while self.haul.messages.len() < count && !self.haul.is_full() {
            let asked = SLICE_MESSAGES.min(count - self.haul.messages.len());
            let mut gets = Vec::new();
            for _ in 0..asked {
                let get = basic::Get {
                    queue: record.name.as_str().into(),
                    no_ack: afterwards == Afterwards::Acked,
                };
                wire::method(&mut gets, CHANNEL, AMQPClass::Basic(basic::AMQPMethod::Get(get)));
            }
            self.say(&gets).await?;
            let mut is_empty = false;
            let mut answers = 0;
            while answers < asked {
                match self.hear().await? {
                    Said::Message => answers += 1,
                    Said::Empty => {
                        answers += 1;
                        is_empty = true;
                    }
                    Said::Other(_) => {}
                    Said::Refused(refusal) => return Ok(Some(refusal)),
                }
            }
            if is_empty {
                break;
            }
        }
        Ok(None)
    }

    /// Does with all of them what is asked for. It is done when this is back.
    async fn settle(&mut self, afterwards: Afterwards) -> io::Result<()> {
        let mut last = Vec::new();
        match afterwards {
            Afterwards::Acked => {}
            _ if self.last_tag == 0 => {}
            Afterwards::Requeued => wire::nack(&mut last, CHANNEL, self.last_tag, true, true),
            Afterwards::Rejected => wire::nack(&mut last, CHANNEL, self.last_tag, true, false),
        }
        let close = connection::Close {
            reply_code: 200,
            reply_text: "done".into(),
            class_id: 0,
            method_id: 0,
        };
        wire::method(
            &mut last,
            0,
            AMQPClass::Connection(connection::AMQPMethod::Close(close)),
        );
        self.say(&last).await?;
        loop {
            match self.hear().await? {
                Said::Other((10, 51)) | Said::Refused(_) => return Ok(()),
                Said::Other(_) | Said::Message | Said::Empty => {}
            }
        }
    }

    async fn hear(&mut self) -> io::Result<Said> {
        loop {
            if let Some((said, octets)) = self.read()? {
                self.buffer.drain(..octets);
                return Ok(said);
            }
            if timeout(PATIENCE, self.tcp.read_buf(&mut self.buffer)).await?? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// What is whole in the buffer, and its octets.
    fn read(&mut self) -> io::Result<Option<(Said, usize)>> {
        let frame = wire::next_frame(&self.buffer, 0).map_err(io::Error::other)?;
        let Some((frame, octets)) = frame.filter(|(frame, _)| frame.kind == Kind::Method) else {
            return Ok(None);
        };
        if let Some(fetched) = wire::decode_fetched(frame.payload) {
            let whole = wire::whole_content(&self.buffer[octets..]).map_err(io::Error::other)?;
            let Some(whole) = whole else { return Ok(None) };
            self.last_tag = fetched.delivery_tag;
            let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
            self.haul.add(Taken {
                exchange: text(fetched.exchange),
                routing_key: text(fetched.routing_key),
                // Checked when the message came in.
                properties: wire::Properties::decode(whole.properties).unwrap_or_default(),
                body: whole.body.to_vec(),
                redelivered: fetched.redelivered,
                left: fetched.message_count.into(),
            });
            return Ok(Some((Said::Message, octets + whole.octets)));
        }
        if wire::decode_leg_method(frame.payload).is_some() {
            return Ok(Some((Said::Other((0, 0)), octets)));
        }
        let ids = wire::class_method_ids(frame.payload);
        let said = match wire::decode_method(frame.payload).map_err(|error| io::Error::other(error.refusal()))? {
            Method::Other(AMQPClass::Basic(basic::AMQPMethod::GetEmpty(_))) => Said::Empty,
            Method::Other(AMQPClass::Channel(channel::AMQPMethod::Close(close))) => {
                Said::Refused(super::legs::refusal(close.reply_code, close.reply_text.as_str()))
            }
            Method::Other(AMQPClass::Connection(connection::AMQPMethod::Close(close))) => {
                Said::Refused(super::legs::refusal(close.reply_code, close.reply_text.as_str()))
            }
            _ => Said::Other(ids),
        };
        Ok(Some((said, octets)))
    }
}
