//! A small blocking AMQP connection. It opens, encodes, sends and receives, and tells a server that went away from one
//! that refused. It keeps everything that arrived in its order and never judges what it means.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use amq_protocol::frame::{AMQPContentHeader, AMQPFrame, WriteContext, gen_frame, parse_frame};
use amq_protocol::protocol::basic::AMQPProperties;
use amq_protocol::protocol::{AMQPClass, basic, channel, connection};
use amq_protocol::types::{AMQPValue, FieldTable};

/// The longest wait for an answer. A broker under load on a busy machine may need seconds, never this.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Largest frame that we send and accept.
const FRAME_MAX: u32 = 131_072;

/// Events that wait for somebody to ask for them, at most; more means that a caller does not read.
const EVENTS_MAX: usize = 1 << 20;

/// Bytes encoded before they are written.
const OUT_MAX: usize = 256 << 10;

/// Why a connection or one of its channels cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    /// The stream ended, or the server said that it stops.
    #[error("the server went away")]
    Gone,
    /// The server closed a channel or the connection.
    #[error("the server refused: {code} {text}")]
    Refused {
        /// Its reply code.
        code: u16,
        /// Its reply text.
        text: String,
    },
    /// No answer in time.
    #[error("no answer in time to {0}")]
    Silent(String),
    /// What arrived is not AMQP, or not expected here.
    #[error("{0}")]
    Malformed(String),
}

/// A message as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Content {
    /// basic.deliver, basic.get-ok or basic.return.
    pub(crate) method: basic::AMQPMethod,
    /// Its body, whole.
    pub(crate) body: Vec<u8>,
}

/// What arrived on a channel.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// A method without content.
    Method(u16, AMQPClass),
    /// A method with content.
    Content(u16, Content),
}

struct Assembly {
    method: basic::AMQPMethod,
    size: Option<u64>,
    body: Vec<u8>,
}

/// One connection, logged in as `guest` on `/`.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    parsed: usize,
    events: VecDeque<Event>,
    assemblies: BTreeMap<u16, Assembly>,
    out: Vec<u8>,
    failed: Option<Failure>,
    patience: Duration,
    mandatory: bool,
}

impl Connection {
    /// Connects to a server of this machine and logs in.
    pub(crate) fn open(port: u16) -> Result<Self, Failure> {
        Self::log_in((Ipv4Addr::LOCALHOST, port).into(), PATIENCE, FieldTable::default())
    }

    /// Connects to any server; every answer may take as long as `patience`, and consumers are told when they end.
    pub(crate) fn open_at(address: SocketAddr, patience: Duration) -> Result<Self, Failure> {
        Self::open_as(address, patience, None)
    }

    /// The same by a name that the server's lists show.
    pub(crate) fn open_as(address: SocketAddr, patience: Duration, name: Option<&str>) -> Result<Self, Failure> {
        let mut capabilities = FieldTable::default();
        capabilities.insert("consumer_cancel_notify".into(), AMQPValue::Boolean(true));
        let mut properties = FieldTable::default();
        properties.insert("capabilities".into(), AMQPValue::FieldTable(capabilities));
        if let Some(name) = name {
            properties.insert("connection_name".into(), AMQPValue::LongString(name.into()));
        }
        Self::log_in(address, patience, properties)
    }

    fn log_in(address: SocketAddr, patience: Duration, client_properties: FieldTable) -> Result<Self, Failure> {
        let mut connection = Self::tcp(address, patience)?;
        connection.out.extend_from_slice(b"AMQP\0\0\x09\x01");
        connection.wait_for(0, "the protocol header")?;
        let start = connection::StartOk {
            client_properties,
            mechanism: "PLAIN".into(),
            response: "\0guest\0guest".into(),
            locale: "en_US".into(),
        };
        connection.call(0, AMQPClass::Connection(connection::AMQPMethod::StartOk(start)))?;
        let tune = connection::TuneOk {
            channel_max: 2047,
            frame_max: FRAME_MAX,
            heartbeat: 0,
        };
        connection.queue(0, AMQPClass::Connection(connection::AMQPMethod::TuneOk(tune)));
        let open = connection::Open {
            virtual_host: "/".into(),
        };
        connection.call(0, AMQPClass::Connection(connection::AMQPMethod::Open(open)))?;
        Ok(connection)
    }

    /// From now on, what no queue takes comes back.
    pub(crate) fn want_returns(&mut self) {
        self.mandatory = true;
    }

    fn tcp(address: SocketAddr, patience: Duration) -> Result<Self, Failure> {
        let connect = || -> io::Result<TcpStream> {
            let stream = TcpStream::connect_timeout(&address, patience)?;
            stream.set_nodelay(true)?;
            stream.set_write_timeout(Some(patience))?;
            Ok(stream)
        };
        Ok(Self {
            stream: connect().map_err(|error| match error.kind() {
                ErrorKind::TimedOut | ErrorKind::WouldBlock => Failure::Silent("a connection".to_owned()),
                _ => Failure::Gone,
            })?,
            buffer: Vec::new(),
            parsed: 0,
            events: VecDeque::new(),
            assemblies: BTreeMap::new(),
            out: Vec::new(),
            failed: None,
            patience,
            mandatory: false,
        })
    }

    /// Opens a channel.
    pub(crate) fn open_channel(&mut self, id: u16) -> Result<(), Failure> {
        let open = channel::AMQPMethod::Open(channel::Open {});
        self.call(id, AMQPClass::Channel(open)).map(drop)
    }

    /// Closes a channel; what it had not acknowledged goes back to its queues.
    pub(crate) fn close_channel(&mut self, id: u16) -> Result<(), Failure> {
        let close = channel::Close {
            reply_code: 200,
            reply_text: "".into(),
            class_id: 0,
            method_id: 0,
        };
        self.call(id, AMQPClass::Channel(channel::AMQPMethod::Close(close)))
            .map(drop)
    }

    /// Encodes a method; it is sent with the next [`Self::flush`].
    pub(crate) fn queue(&mut self, id: u16, method: AMQPClass) {
        encode(&AMQPFrame::Method(id, method), &mut self.out);
    }

    /// Encodes a publish with its content; sends when much has gathered.
    pub(crate) fn publish(
        &mut self,
        id: u16,
        (exchange, key): (&str, &str),
        properties: AMQPProperties,
        body: &[u8],
    ) -> Result<(), Failure> {
        let publish = basic::Publish {
            exchange: exchange.into(),
            routing_key: key.into(),
            mandatory: self.mandatory,
            immediate: false,
        };
        self.queue(id, AMQPClass::Basic(basic::AMQPMethod::Publish(publish)));
        let header = AMQPContentHeader {
            class_id: 60,
            body_size: body.len() as u64,
            properties,
        };
        encode(&AMQPFrame::Header(id, header), &mut self.out);
        for part in body.chunks(FRAME_MAX as usize - 8) {
            encode_body(id, part, &mut self.out);
        }
        if self.out.len() > OUT_MAX { self.flush() } else { Ok(()) }
    }

    /// Sends what was encoded. A server that has gone is told by the reading side, after all that it still sent.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        let sent = self.stream.write_all(&self.out);
        self.out.clear();
        match sent {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Err(Failure::Silent("octets: the server does not read".to_owned()))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Sends a method and waits for its answer; what else arrives meanwhile stays to be read.
    pub(crate) fn call(&mut self, id: u16, method: AMQPClass) -> Result<AMQPClass, Failure> {
        let asked = name_of(&method);
        self.queue(id, method);
        match self.wait_for(id, &asked)? {
            Event::Method(_, answer) => Ok(answer),
            Event::Content(..) => Err(Failure::Malformed(format!("content answers {asked}"))),
        }
    }

    /// basic.get: the message, or nothing.
    pub(crate) fn get(&mut self, id: u16, queue: &str, no_ack: bool) -> Result<Option<Content>, Failure> {
        let get = basic::Get {
            queue: queue.into(),
            no_ack,
        };
        self.queue(id, AMQPClass::Basic(basic::AMQPMethod::Get(get)));
        match self.wait_for(id, "basic.get")? {
            Event::Content(_, content) => Ok(Some(content)),
            Event::Method(..) => Ok(None),
        }
    }

    /// The next event that is no answer; `None` if nothing comes by `deadline`.
    pub(crate) fn next(&mut self, deadline: Instant) -> Result<Option<Event>, Failure> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(Some(event));
            }
            if !self.receive(deadline)? {
                return Ok(None);
            }
        }
    }

    fn wait_for(&mut self, id: u16, asked: &str) -> Result<Event, Failure> {
        self.flush()?;
        let deadline = Instant::now() + self.patience;
        let mut seen = 0;
        loop {
            if let Some(at) = self.events.range(seen..).position(|event| answers(event, id))
                && let Some(event) = self.events.remove(seen + at)
            {
                return Ok(event);
            }
            seen = self.events.len();
            if !self.receive(deadline)? {
                return Err(Failure::Silent(asked.to_owned()));
            }
        }
    }

    /// Reads until there is one more event; false if none comes by `deadline`.
    fn receive(&mut self, deadline: Instant) -> Result<bool, Failure> {
        let before = self.events.len();
        loop {
            while self.parse()? {}
            if self.events.len() > before {
                return Ok(true);
            }
            if let Some(failure) = &self.failed {
                return Err(failure.clone());
            }
            if !self.fill(deadline)? {
                return Ok(false);
            }
        }
    }

    fn fill(&mut self, deadline: Instant) -> Result<bool, Failure> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        self.buffer.drain(..self.parsed);
        self.parsed = 0;
        let mut chunk = [0; 65_536];
        let read = self
            .stream
            .set_read_timeout(Some(left))
            .and_then(|()| self.stream.read(&mut chunk));
        match read {
            Ok(0) => self.failed = Some(Failure::Gone),
            Ok(count) => self.buffer.extend_from_slice(&chunk[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return Ok(false),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => self.failed = Some(Failure::Gone),
        }
        Ok(true)
    }

    /// Takes one frame from the buffer; false if there is none whole.
    fn parse(&mut self) -> Result<bool, Failure> {
        let octets = &self.buffer[self.parsed..];
        let Some(head) = octets.first_chunk::<7>() else {
            return Ok(false);
        };
        let length = u32::from_be_bytes([head[3], head[4], head[5], head[6]]) as usize + 8;
        if length > FRAME_MAX as usize {
            return Err(Failure::Malformed(format!(
                "a frame of {length} octets, or no frame: {head:?}"
            )));
        }
        let Some(whole) = octets.get(..length) else {
            return Ok(false);
        };
        self.parsed += length;
        let (_, frame) = parse_frame(whole).map_err(|error| Failure::Malformed(format!("a frame: {error:?}")))?;
        self.take(frame)?;
        if self.events.len() > EVENTS_MAX {
            return Err(Failure::Malformed(format!("more than {EVENTS_MAX} events unread")));
        }
        Ok(true)
    }

    fn take(&mut self, frame: AMQPFrame) -> Result<(), Failure> {
        match frame {
            AMQPFrame::Method(id, method) => self.method(id, method),
            AMQPFrame::Header(id, header) => {
                let assembly = self.assembly(id)?;
                assembly.size = Some(header.body_size);
                self.complete(id);
                Ok(())
            }
            AMQPFrame::Body(id, octets) => {
                self.assembly(id)?.body.extend_from_slice(&octets);
                self.complete(id);
                Ok(())
            }
            AMQPFrame::Heartbeat | AMQPFrame::InvalidHeartbeat(_) => Ok(()),
            AMQPFrame::ProtocolHeader(_) => Err(Failure::Malformed("the server speaks another protocol".to_owned())),
        }
    }

    fn method(&mut self, id: u16, method: AMQPClass) -> Result<(), Failure> {
        match method {
            AMQPClass::Basic(
                method @ (basic::AMQPMethod::Deliver(_) | basic::AMQPMethod::GetOk(_) | basic::AMQPMethod::Return(_)),
            ) => {
                let assembly = Assembly {
                    method,
                    size: None,
                    body: Vec::new(),
                };
                self.assemblies.insert(id, assembly);
            }
            AMQPClass::Connection(connection::AMQPMethod::Close(close)) => {
                let ok = connection::AMQPMethod::CloseOk(connection::CloseOk {});
                self.queue(0, AMQPClass::Connection(ok));
                self.flush()?;
                self.failed = Some(match close.reply_code {
                    320 => Failure::Gone,
                    code => refused(code, close.reply_text.as_str()),
                });
            }
            AMQPClass::Channel(channel::AMQPMethod::Close(close)) => {
                let ok = channel::AMQPMethod::CloseOk(channel::CloseOk {});
                self.queue(id, AMQPClass::Channel(ok));
                self.flush()?;
                return Err(refused(close.reply_code, close.reply_text.as_str()));
            }
            other => self.events.push_back(Event::Method(id, other)),
        }
        Ok(())
    }

    fn assembly(&mut self, id: u16) -> Result<&mut Assembly, Failure> {
        let missing = || Failure::Malformed(format!("content without a method on channel {id}"));
        self.assemblies.get_mut(&id).ok_or_else(missing)
    }

    fn complete(&mut self, id: u16) {
        let whole = |assembly: &Assembly| assembly.size.is_some_and(|size| assembly.body.len() as u64 >= size);
        if !self.assemblies.get(&id).is_some_and(whole) {
            return;
        }
        if let Some(Assembly { method, body, .. }) = self.assemblies.remove(&id) {
            self.events.push_back(Event::Content(id, Content { method, body }));
        }
    }
}

fn refused(code: u16, text: &str) -> Failure {
    Failure::Refused {
        code,
        text: text.to_owned(),
    }
}

/// Whether an event answers a call on this channel: everything but what comes unasked.
fn answers(event: &Event, id: u16) -> bool {
    use basic::AMQPMethod::{Ack, Cancel, GetOk, Nack};
    match event {
        Event::Method(_, AMQPClass::Basic(Ack(_) | Nack(_) | Cancel(_))) => false,
        Event::Method(on, _) => *on == id,
        Event::Content(on, content) => *on == id && matches!(content.method, GetOk(_)),
    }
}

fn name_of(method: &AMQPClass) -> String {
    format!("{method:?}").chars().take(200).collect()
}

fn encode(frame: &AMQPFrame, out: &mut Vec<u8>) {
    let context = WriteContext::from(std::mem::take(out));
    match gen_frame(frame)(context) {
        Ok(written) => *out = written.write,
        // Writing to memory fails only for strings longer than AMQP allows, and ours are all short.
        Err(error) => unreachable!("{frame:?} cannot be encoded: {error:?}"),
    }
}

fn encode_body(id: u16, part: &[u8], out: &mut Vec<u8>) {
    out.push(3);
    out.extend_from_slice(&id.to_be_bytes());
    out.extend_from_slice(&(part.len() as u32).to_be_bytes());
    out.extend_from_slice(part);
    out.push(0xCE);
}
