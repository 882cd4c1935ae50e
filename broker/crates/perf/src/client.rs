//! A connection with one channel: handshake, questions with one answer each, and the two halves for the load itself.

use crate::error::Error;
use crate::options::Options;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;
use wire::{AMQPClass, FieldTable, Frame, Kind, Method, basic, channel, connection};

/// The one channel of each connection.
pub(crate) const CHANNEL: u16 = 1;
/// Largest frame we ask for.
const FRAME_MAX: u32 = 131_072;
/// Room of the read buffer: more than the largest frame.
const INBOX_BYTES: usize = 512 * 1024;
/// An answer takes no longer than this, even from a broker under load.
const ANSWER_SECONDS_MAX: f64 = 60.0;

/// Octets read and not yet used.
pub(crate) struct Inbox {
    octets: Vec<u8>,
    from: usize,
    to: usize,
    frame_max: u32,
}

impl Inbox {
    fn new() -> Self {
        Inbox {
            octets: vec![0; INBOX_BYTES],
            from: 0,
            to: 0,
            frame_max: FRAME_MAX,
        }
    }

    /// Waits for more octets.
    ///
    /// # Errors
    /// The connection is over.
    pub(crate) async fn fill(&mut self, from: &mut (impl AsyncRead + Unpin)) -> Result<(), Error> {
        if self.from == self.to {
            (self.from, self.to) = (0, 0);
        } else if self.octets.len() - self.to < INBOX_BYTES / 2 {
            self.octets.copy_within(self.from..self.to, 0);
            (self.from, self.to) = (0, self.to - self.from);
        }
        match from.read(&mut self.octets[self.to..]).await? {
            0 => Err(Error::Lost(io::ErrorKind::UnexpectedEof.into())),
            count => {
                self.to += count;
                Ok(())
            }
        }
    }

    /// The next whole frame, if it is here.
    ///
    /// # Errors
    /// Octets that are no frame.
    #[inline]
    pub(crate) fn frame(&mut self) -> Result<Option<Frame<'_>>, Error> {
        match wire::next_frame(&self.octets[self.from..self.to], self.frame_max) {
            Ok(Some((frame, size))) => {
                self.from += size;
                Ok(Some(frame))
            }
            Ok(None) => Ok(None),
            Err(error) => Err(Error::Protocol(error.to_string())),
        }
    }
}

/// A connection during set-up.
pub(crate) struct Client {
    stream: TcpStream,
    inbox: Inbox,
}

impl Client {
    /// Connects, logs in and opens a channel.
    ///
    /// # Errors
    /// No connection, or whatever the broker refuses.
    pub(crate) async fn connect(options: &Options) -> Result<Self, Error> {
        let uri = options.broker()?;
        let address = format!("{}:{}", uri.authority.host, uri.authority.port);
        let connecting = timeout(
            Duration::from_secs_f64(ANSWER_SECONDS_MAX),
            TcpStream::connect(&address),
        );
        let silent = Error::Silent {
            seconds: ANSWER_SECONDS_MAX,
            doing: "connecting",
        };
        let stream = connecting
            .await
            .map_err(|_| silent)?
            .map_err(|source| Error::Connect { address, source })?;
        stream.set_nodelay(true)?;
        let mut client = Client {
            stream,
            inbox: Inbox::new(),
        };
        let user = &uri.authority.userinfo;
        client.log_in(&user.username, &user.password, &uri.vhost).await?;
        client
            .ask(AMQPClass::Channel(channel::AMQPMethod::Open(channel::Open {})))
            .await?;
        Ok(client)
    }

    async fn log_in(&mut self, user: &str, password: &str, vhost: &str) -> Result<(), Error> {
        use connection::AMQPMethod as Say;
        self.stream.write_all(&wire::ANSWER).await?;
        self.answer().await?;
        let start_ok = connection::StartOk {
            client_properties: client_properties()?,
            mechanism: "PLAIN".into(),
            response: format!("\0{user}\0{password}").into(),
            locale: "en_US".into(),
        };
        self.send(0, AMQPClass::Connection(Say::StartOk(start_ok))).await?;
        let AMQPClass::Connection(Say::Tune(tune)) = self.answer().await? else {
            return Err(Error::Protocol("no connection.tune after the log-in".into()));
        };
        self.inbox.frame_max = if tune.frame_max == 0 {
            FRAME_MAX
        } else {
            tune.frame_max.min(FRAME_MAX)
        };
        let tune_ok = connection::TuneOk {
            channel_max: tune.channel_max,
            frame_max: self.inbox.frame_max,
            heartbeat: 0,
        };
        self.send(0, AMQPClass::Connection(Say::TuneOk(tune_ok))).await?;
        let virtual_host = wire::ShortString::try_new(vhost).map_err(|error| Error::Protocol(error.to_string()))?;
        self.send(0, AMQPClass::Connection(Say::Open(connection::Open { virtual_host })))
            .await?;
        self.answer().await.map(drop)
    }

    async fn send(&mut self, channel: u16, class: AMQPClass) -> Result<(), Error> {
        let mut out = Vec::new();
        wire::method(&mut out, channel, class);
        Ok(self.stream.write_all(&out).await?)
    }

    /// Sends a method on the channel that has no answer.
    ///
    /// # Errors
    /// The connection broke.
    pub(crate) async fn say(&mut self, class: AMQPClass) -> Result<(), Error> {
        self.send(CHANNEL, class).await
    }

    /// Sends a method on the channel and returns the answer.
    ///
    /// # Errors
    /// A close from the broker, or silence.
    pub(crate) async fn ask(&mut self, class: AMQPClass) -> Result<AMQPClass, Error> {
        self.say(class).await?;
        self.answer().await
    }

    async fn answer(&mut self) -> Result<AMQPClass, Error> {
        let silent = Error::Silent {
            seconds: ANSWER_SECONDS_MAX,
            doing: "waiting for an answer",
        };
        timeout(Duration::from_secs_f64(ANSWER_SECONDS_MAX), self.next_method())
            .await
            .map_err(|_| silent)?
    }

    /// The next method. Nothing is asked once consumers are started, so no delivery can come in between.
    async fn next_method(&mut self) -> Result<AMQPClass, Error> {
        loop {
            while let Some(frame) = self.inbox.frame()? {
                if let Some(class) = answer_in(&frame)? {
                    return Ok(class);
                }
            }
            self.inbox.fill(&mut self.stream).await?;
        }
    }

    /// Largest frame to send, in octets.
    pub(crate) fn frame_max(&self) -> u32 {
        self.inbox.frame_max
    }

    /// Both directions and what was read ahead.
    pub(crate) fn into_halves(self) -> (OwnedReadHalf, OwnedWriteHalf, Inbox) {
        let (reader, writer) = self.stream.into_split();
        (reader, writer, self.inbox)
    }
}

fn client_properties() -> Result<FieldTable, Error> {
    use model::{Table, Value};
    let yes = |key: &'static str| (key, Value::Bool(true));
    let capabilities = Table::from([
        yes("authentication_failure_close"),
        yes("basic.nack"),
        yes("connection.blocked"),
        yes("consumer_cancel_notify"),
        yes("publisher_confirms"),
    ]);
    let properties = Table::from([
        ("product", "Warren perf".into()),
        ("version", env!("CARGO_PKG_VERSION").into()),
        ("connection_name", "warren perf".into()),
        ("capabilities", Value::Table(capabilities)),
    ]);
    wire::to_field_table(&properties).map_err(|error| Error::Protocol(error.to_string()))
}

/// The method in a frame; `None` in heartbeats, and for `connection.blocked`, which answers nothing.
///
/// # Errors
/// A close, content, or octets that are no method.
fn answer_in(frame: &Frame<'_>) -> Result<Option<AMQPClass>, Error> {
    match frame.kind {
        Kind::Heartbeat => return Ok(None),
        Kind::Method => {}
        Kind::Header | Kind::Body => return Err(Error::Protocol("content during set-up".into())),
    }
    match wire::decode_method(frame.payload).map_err(|error| Error::Protocol(error.to_string()))? {
        Method::Other(AMQPClass::Connection(
            connection::AMQPMethod::Blocked(_) | connection::AMQPMethod::Unblocked(_),
        )) => Ok(None),
        Method::Other(class) => not_an_end(class).map(Some),
        unexpected => Err(Error::Protocol(format!("{unexpected:?} during set-up"))),
    }
}

/// Turns the methods by which a broker ends things into errors.
///
/// # Errors
/// `channel.close`, `connection.close` and `basic.cancel`.
pub(crate) fn not_an_end(class: AMQPClass) -> Result<AMQPClass, Error> {
    let refused = |code: u16, text: &str| {
        Err(Error::Refused {
            code,
            text: text.to_owned(),
        })
    };
    match &class {
        AMQPClass::Channel(channel::AMQPMethod::Close(close)) => refused(close.reply_code, close.reply_text.as_str()),
        AMQPClass::Connection(connection::AMQPMethod::Close(close)) => {
            refused(close.reply_code, close.reply_text.as_str())
        }
        AMQPClass::Basic(basic::AMQPMethod::Cancel(cancel)) => {
            let text = format!(
                "consumer {} was cancelled: its queue is gone or moved",
                cancel.consumer_tag
            );
            Err(Error::Incomplete(text))
        }
        _ => Ok(class),
    }
}
