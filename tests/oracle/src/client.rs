//! A small blocking AMQP connection that reports every received frame as words and never hides one.
//! It opens, sends and receives; it never judges. Any octets can be sent at any time, right or wrong.

use std::collections::{BTreeMap, VecDeque};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::lex::Word;
use crate::methods::{self, Method};
use crate::value;

/// Header octets of AMQP 0-9-1.
pub const HEADER: &[u8] = b"AMQP\0\0\x09\x01";

/// Frame size used before and unless negotiated otherwise, as RabbitMQ offers it.
const FRAME_MAX: usize = 131_072;

/// Received bytes that are kept unparsed at most; RabbitMQ's largest frame fits many times.
const BUFFER_MAX: usize = 16 << 20;

/// What arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Channel it arrived on; 0 for connection methods, heartbeats and the end of the stream.
    pub channel: u16,
    /// Method name and arguments, then for content: body and, if any, properties.
    pub words: Vec<String>,
}

impl Event {
    /// `eof`, `heartbeat` or the method's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.words[0]
    }

    fn eof() -> Self {
        Self {
            channel: 0,
            words: vec!["eof".to_owned()],
        }
    }
}

/// Content that waits for its header or the rest of its body.
struct Assembly {
    words: Vec<String>,
    header: Option<(u64, String)>,
    body: Vec<u8>,
}

/// One TCP connection.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    assemblies: BTreeMap<u16, Assembly>,
    pending: VecDeque<Event>,
    ended: bool,
    /// Largest frame that we send; a body is split accordingly.
    pub frame_max: usize,
    /// When something was last sent.
    pub sent_at: Instant,
}

impl Connection {
    /// Opens the TCP connection and sends nothing.
    ///
    /// # Errors
    /// No connection within 10 s.
    pub fn tcp(host: &str, port: u16) -> Result<Self> {
        let stream = TcpStream::connect((host, port)).with_context(|| format!("connecting to {host}:{port}"))?;
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(Duration::from_secs(20)))?;
        Ok(Self {
            stream,
            buffer: Vec::new(),
            assemblies: BTreeMap::new(),
            pending: VecDeque::new(),
            ended: false,
            frame_max: FRAME_MAX,
            sent_at: Instant::now(),
        })
    }

    /// Sends octets as they are. A peer that has already closed is not an error: the reading side will tell.
    ///
    /// # Errors
    /// The peer does not read for 20 s.
    pub fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.sent_at = Instant::now();
        match self.stream.write_all(bytes) {
            Err(e) if matches!(e.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => Ok(()),
            other => other.context("sending"),
        }
    }

    /// Sends one frame.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub fn send_frame(&mut self, kind: u8, channel: u16, payload: &[u8]) -> Result<()> {
        self.send(&frame(kind, channel, payload))
    }

    /// Sends a method, with content if it has one: third plain word the body, the table the properties.
    ///
    /// # Errors
    /// Words that do not fit the method; as [`Self::send`].
    pub fn send_method(&mut self, channel: u16, method: &Method, words: &[Word]) -> Result<()> {
        let (payload, left) = method.encode(words)?;
        let mut out = frame(1, channel, &payload);
        if method.has_content() {
            let body = left
                .iter()
                .find(|word| !matches!(word, Word::Braced(_)))
                .map_or("", |word| word.text());
            let properties = left
                .iter()
                .find(|word| matches!(word, Word::Braced(_)))
                .map_or("", |word| word.text());
            let body = body_octets(body)?;
            out.extend(frame(2, channel, &header(method.class, body.len() as u64, properties)?));
            for part in body.chunks(self.frame_max - 8) {
                out.extend(frame(3, channel, part));
            }
        } else if !left.is_empty() {
            bail!("{} has no argument for {left:?}", method.name);
        }
        self.send(&out)
    }

    /// The next event of `channel`, or of channel 0 if that ends everything; `None` if nothing came by `deadline`.
    ///
    /// # Errors
    /// Octets that are not AMQP.
    pub fn next(&mut self, channel: u16, deadline: Instant) -> Result<Option<Event>> {
        self.next_where(deadline, |event| event.channel == channel || ends(event))
    }

    /// The next event that `wanted` accepts; others stay pending in their order.
    ///
    /// # Errors
    /// Octets that are not AMQP.
    pub fn next_where(&mut self, deadline: Instant, wanted: impl Fn(&Event) -> bool) -> Result<Option<Event>> {
        loop {
            if let Some(at) = self.pending.iter().position(&wanted) {
                return Ok(self.pending.remove(at));
            }
            if !self.ended && self.parse()? {
                continue;
            }
            if self.ended || !self.fill(deadline)? {
                return Ok(None);
            }
        }
    }

    /// The next event of channel 0, left unread.
    ///
    /// # Errors
    /// Octets that are not AMQP.
    pub fn peek(&mut self, deadline: Instant) -> Result<Option<&Event>> {
        if let Some(event) = self.next(0, deadline)? {
            self.pending.push_front(event);
        }
        Ok(self.pending.iter().find(|event| event.channel == 0))
    }

    /// Events that have arrived and were not asked for, heartbeats apart.
    pub fn unread(&mut self) -> Vec<Event> {
        self.pending
            .drain(..)
            .filter(|event| event.name() != "heartbeat")
            .collect()
    }

    /// Exactly `count` octets, unparsed.
    ///
    /// # Errors
    /// They do not arrive by `deadline`.
    pub fn octets(&mut self, count: usize, deadline: Instant) -> Result<Vec<u8>> {
        while self.buffer.len() < count {
            if self.ended || !self.fill(deadline)? {
                bail!("only {:?} arrived", self.buffer);
            }
        }
        Ok(self.buffer.drain(..count).collect())
    }

    /// Ends our half of the stream, or all of it, without a word of AMQP.
    pub fn shut(&mut self, how: Shutdown) {
        // The peer may have closed before us; then there is nothing to shut.
        let _ = self.stream.shutdown(how);
    }

    /// Reads once; false if nothing came by `deadline`.
    fn fill(&mut self, deadline: Instant) -> Result<bool> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        self.stream.set_read_timeout(Some(left))?;
        let mut chunk = [0; 65_536];
        match self.stream.read(&mut chunk) {
            Ok(0) => self.end(),
            Ok(n) => self.buffer.extend_from_slice(&chunk[..n]),
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return Ok(false),
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) if e.kind() == ErrorKind::ConnectionReset => self.end(),
            Err(e) => return Err(e).context("receiving"),
        }
        if self.buffer.len() > BUFFER_MAX {
            bail!("more than {BUFFER_MAX} octets without a complete frame");
        }
        Ok(true)
    }

    fn end(&mut self) {
        self.ended = true;
        self.pending.push_back(Event::eof());
    }

    /// Moves complete frames from the buffer to `pending`; false if there was none.
    fn parse(&mut self) -> Result<bool> {
        let Some(head) = self.buffer.first_chunk::<7>() else {
            return Ok(false);
        };
        let (kind, channel) = (head[0], u16::from_be_bytes([head[1], head[2]]));
        let length = u32::from_be_bytes([head[3], head[4], head[5], head[6]]) as usize;
        if !matches!(kind, 1 | 2 | 3 | 8) {
            bail!("no AMQP frame: {:?}", &self.buffer[..self.buffer.len().min(16)]);
        }
        if self.buffer.len() < length + 8 {
            return Ok(false);
        }
        let whole: Vec<u8> = self.buffer.drain(..length + 8).collect();
        anyhow::ensure!(whole[length + 7] == 0xCE, "frame does not end with CE");
        self.frame(kind, channel, &whole[7..length + 7])?;
        Ok(true)
    }

    fn frame(&mut self, kind: u8, channel: u16, payload: &[u8]) -> Result<()> {
        match kind {
            1 => self.method(channel, payload)?,
            2 => self.content_header(channel, payload)?,
            3 => {
                let assembly = self.assemblies.get_mut(&channel).context("body without method")?;
                assembly.body.extend_from_slice(payload);
            }
            _ => self.pending.push_back(Event {
                channel,
                words: vec!["heartbeat".to_owned()],
            }),
        }
        self.complete(channel);
        Ok(())
    }

    fn method(&mut self, channel: u16, mut payload: &[u8]) -> Result<()> {
        let class = value::take_uint(&mut payload, 2)? as u16;
        let id = value::take_uint(&mut payload, 2)? as u16;
        let method = methods::by_id(class, id).with_context(|| format!("unknown method {class}.{id}"))?;
        let mut words = vec![method.name.to_owned()];
        words.extend(method.decode(payload).with_context(|| method.name)?);
        if method.has_content() {
            let old = self.assemblies.insert(
                channel,
                Assembly {
                    words,
                    header: None,
                    body: Vec::new(),
                },
            );
            anyhow::ensure!(old.is_none(), "a method inside content");
        } else {
            self.pending.push_back(Event {
                channel,
                words: shorten_close(words),
            });
        }
        Ok(())
    }

    fn content_header(&mut self, channel: u16, mut payload: &[u8]) -> Result<()> {
        value::take(&mut payload, 4)?;
        let size = value::take_uint(&mut payload, 8)?;
        let assembly = self
            .assemblies
            .get_mut(&channel)
            .context("content header without method")?;
        assembly.header = Some((size, methods::decode_properties(payload)?));
        Ok(())
    }

    fn complete(&mut self, channel: u16) {
        let done = |a: &Assembly| a.header.as_ref().is_some_and(|(size, _)| a.body.len() as u64 >= *size);
        if !self.assemblies.get(&channel).is_some_and(done) {
            return;
        }
        if let Some(Assembly {
            mut words,
            header: Some((_, properties)),
            body,
        }) = self.assemblies.remove(&channel)
        {
            words.push(body_text(&body));
            words.extend(Some(properties).filter(|text| !text.is_empty()));
            self.pending.push_back(Event { channel, words });
        }
    }
}

/// Whether nothing more can follow on any channel.
fn ends(event: &Event) -> bool {
    matches!(event.name(), "eof" | "connection.close")
}

/// `close code method text`: the ids as the method's name (`-` for 0 0) and before the text.
fn shorten_close(mut words: Vec<String>) -> Vec<String> {
    if words.len() == 5 && words[0].ends_with(".close") {
        let ids: Vec<u16> = words.drain(3..).filter_map(|id| id.parse().ok()).collect();
        let name = match methods::by_id(ids[0], ids[1]) {
            Some(method) => method.name.to_owned(),
            None if ids == [0, 0] => "-".to_owned(),
            None => format!("{}/{}", ids[0], ids[1]),
        };
        words.insert(2, name);
    }
    words
}

/// One frame around `payload`.
#[must_use]
pub fn frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![kind];
    out.extend(channel.to_be_bytes());
    value::put_long(&mut out, payload);
    out.push(0xCE);
    out
}

/// Payload of a content header.
///
/// # Errors
/// Properties that do not parse.
pub fn header(class: u16, size: u64, properties: &str) -> Result<Vec<u8>> {
    let mut out = [class.to_be_bytes(), [0; 2]].concat();
    out.extend(size.to_be_bytes());
    out.extend(methods::encode_properties(properties)?);
    Ok(out)
}

/// `len:N` is N times `x`, anything else itself.
fn body_octets(text: &str) -> Result<Vec<u8>> {
    match text.strip_prefix("len:") {
        Some(n) => Ok(vec![b'x'; n.parse().with_context(|| format!("body '{text}'"))?]),
        None => Ok(crate::octets::to_bytes(text)),
    }
}

/// The inverse of [`body_octets`]: long runs of `x` are shown by their length.
fn body_text(body: &[u8]) -> String {
    if body.len() > 32 && body.iter().all(|&octet| octet == b'x') {
        return format!("len:{}", body.len());
    }
    crate::octets::to_text(body)
}
