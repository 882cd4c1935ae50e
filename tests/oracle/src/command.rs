//! The lines of a behaviour that are no AMQP method: connections, raw octets, partial content, HTTP, waiting.
//! Each does one thing to the stage and judges nothing but its own success.

use std::collections::BTreeSet;
use std::net::Shutdown;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use crate::client::{self, Connection};
use crate::lex::Word;
use crate::lines::Target;
use crate::methods;
use crate::octets;
use crate::stage::{Actor, Needs, PATIENCE, Stage};

/// Client properties of an ordinary connection: every capability that a server may honour.
const PROPERTIES: &str = "{product: 'oracle', capabilities: {publisher_confirms: true, consumer_cancel_notify: true, \
                          exchange_exchange_bindings: true, 'basic.nack': true, 'connection.blocked': true, \
                          authentication_failure_close: true}}";

impl Stage<'_> {
    pub(crate) fn command(&mut self, target: &Target, name: &str, words: &[Word], answer_follows: bool) -> Result<()> {
        match name {
            "connect" => self.connect(target, words, answer_follows),
            "tcp" => self.tcp(target),
            "header" => self.actor(target)?.connection.send(client::HEADER),
            "bytes" => self.actor(target)?.connection.send(&octets_of(words)?),
            "frame" => self.frame(target, words),
            "only" => self.only(target, words),
            "content.header" => self.content_header(target, words),
            "content.body" => self.content_body(target, words),
            "drop" => self.drop_connection(target),
            "half-close" => {
                self.actor(target)?.connection.shut(Shutdown::Write);
                Ok(())
            }
            "forget" => {
                self.actors.remove(&target.connection);
                Ok(())
            }
            "ignore" => {
                self.ignore_unread = true;
                Ok(())
            }
            "wait" => wait(words),
            "http" => self.http(words),
            "kick" => self.kick(words),
            "hosted" => match self.server.ctl {
                Some(_) => Ok(()),
                None => Err(Needs("a server with the limits of those that this program starts").into()),
            },
            "vhost" => self.make_vhost(words),
            "user" => self.make_user(words),
            "ctl" => self.ctl(words),
            "at-end" => {
                self.at_end.push(words.get(1..).context("at-end ctl …")?.to_vec());
                Ok(())
            }
            other => bail!("'{other}' is neither a method nor a command"),
        }
    }

    pub(crate) fn log_in(&mut self, target: &Target, words: &[Word]) -> Result<()> {
        self.connect(target, words, false)
    }

    fn tcp(&mut self, target: &Target) -> Result<()> {
        let connection = Connection::tcp(&self.server.host, self.server.port)?;
        let actor = Actor {
            connection,
            channels: BTreeSet::new(),
            raw: true,
            over: false,
        };
        self.actors.insert(target.connection.clone(), actor);
        Ok(())
    }

    /// Logs in with `key=value` options; an answer out of the ordinary is left for the next line if one follows.
    fn connect(&mut self, target: &Target, words: &[Word], answer_follows: bool) -> Result<()> {
        self.tcp(target)?;
        let options = Options::parse(words, self)?;
        let actor = self.actor(target)?;
        actor.raw = options.manual;
        let connection = &mut actor.connection;
        connection.send(client::HEADER)?;
        let deadline = Instant::now() + PATIENCE;
        connection
            .next(0, deadline)?
            .filter(|event| event.name() == "connection.start")
            .context("connection.start")?;
        options.start_ok(connection)?;
        if answer_follows && !is_next(connection, "connection.tune", deadline)? {
            return Ok(());
        }
        let tune = connection.next(0, deadline)?.context("no connection.tune")?;
        ensure!(
            tune.name() == "connection.tune",
            "expected: connection.tune\n      saw: {:?}",
            tune.words
        );
        options.tune_ok(connection, &tune.words)?;
        if answer_follows && !is_next(connection, "connection.open-ok", deadline)? {
            return Ok(());
        }
        let open = connection.next(0, deadline)?.context("no connection.open-ok")?;
        ensure!(
            open.name() == "connection.open-ok",
            "expected: connection.open-ok\n      saw: {:?}",
            open.words
        );
        Ok(())
    }

    /// `frame TYPE CHANNEL octets… [end=NN] [length=N]`
    fn frame(&mut self, target: &Target, words: &[Word]) -> Result<()> {
        let [kind, channel, rest @ ..] = words else {
            bail!("frame TYPE CHANNEL octets")
        };
        let option = |name: &str| {
            rest.iter()
                .find_map(|word| word.text().strip_prefix(name).map(str::to_owned))
        };
        let payload: Vec<Word> = rest.iter().filter(|word| !word.text().contains('=')).cloned().collect();
        let mut bytes = client::frame(kind.text().parse()?, channel.text().parse()?, &octets_of(&payload)?);
        if let (Some(end), Some(last)) = (option("end="), bytes.last_mut()) {
            *last = u8::from_str_radix(&end, 16)?;
        }
        if let Some(length) = option("length=") {
            bytes[3..7].copy_from_slice(&length.parse::<u32>()?.to_be_bytes());
        }
        self.actor(target)?.connection.send(&bytes)
    }

    /// `only METHOD arguments…`: the method frame, without opening a channel and without content.
    fn only(&mut self, target: &Target, words: &[Word]) -> Result<()> {
        let method = words
            .first()
            .and_then(|word| methods::by_name(word.text()))
            .context("only METHOD")?;
        let (payload, _) = method.encode(&words[1..])?;
        self.actor(target)?.connection.send_frame(1, target.channel, &payload)
    }

    /// `content.header CLASS SIZE {properties}`
    fn content_header(&mut self, target: &Target, words: &[Word]) -> Result<()> {
        let [class, size, rest @ ..] = words else {
            bail!("content.header CLASS SIZE")
        };
        let properties = rest.first().map_or("", Word::text);
        let payload = client::header(class.text().parse()?, size.text().parse()?, properties)?;
        self.actor(target)?.connection.send_frame(2, target.channel, &payload)
    }

    fn content_body(&mut self, target: &Target, words: &[Word]) -> Result<()> {
        let payload = octets_of(words)?;
        self.actor(target)?.connection.send_frame(3, target.channel, &payload)
    }

    fn drop_connection(&mut self, target: &Target) -> Result<()> {
        let actor = self.actor(target)?;
        actor.connection.shut(Shutdown::Both);
        actor.over = true;
        Ok(())
    }

    /// Runs an administration command, which must succeed.
    pub(crate) fn ctl(&self, words: &[Word]) -> Result<()> {
        let ctl = self.server.ctl.as_ref().ok_or(Needs("an administration command"))?;
        let (program, leading) = ctl.command.split_first().context("empty administration command")?;
        let mut command = Command::new(program);
        command
            .args(leading)
            .args(words.iter().map(Word::text))
            .envs(ctl.env.iter().cloned());
        let output = command.output().with_context(|| program.clone())?;
        ensure!(
            output.status.success(),
            "{program}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    }
}

/// Whether the next event of channel 0 is `name`; it stays unread.
fn is_next(connection: &mut Connection, name: &str, deadline: Instant) -> Result<bool> {
    connection
        .peek(deadline)
        .map(|event| event.is_some_and(|event| event.name() == name))
}

fn wait(words: &[Word]) -> Result<()> {
    let text = words.first().context("wait MILLISECONDS")?.text();
    std::thread::sleep(Duration::from_millis(text.trim_end_matches("ms").parse()?));
    Ok(())
}

/// Octets from words: quoted text as it is, bare words as two hexadecimal digits each, `len:N` as N times `x`.
pub(crate) fn octets_of(words: &[Word]) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for word in words {
        match word {
            Word::Quoted(text) => bytes.extend(octets::to_bytes(text)),
            Word::Bare(text) if text.starts_with("len:") => bytes.extend(vec![b'x'; text[4..].parse()?]),
            other => {
                bytes.push(u8::from_str_radix(other.text(), 16).with_context(|| format!("octet {}", other.text()))?)
            }
        }
    }
    Ok(bytes)
}

/// How a connection logs in.
struct Options {
    user: String,
    password: String,
    vhost: String,
    mechanism: String,
    response: Option<String>,
    properties: String,
    channel_max: Option<String>,
    frame_max: Option<String>,
    heartbeat: String,
    /// Channels are opened by the behaviour alone, and the connection is not closed at the end.
    manual: bool,
}

impl Options {
    fn parse(words: &[Word], stage: &Stage<'_>) -> Result<Self> {
        let mut options = Self {
            user: stage.server.user.clone(),
            password: stage.server.password.clone(),
            vhost: stage.vhost.clone(),
            mechanism: "PLAIN".to_owned(),
            response: None,
            properties: PROPERTIES.to_owned(),
            channel_max: None,
            frame_max: None,
            heartbeat: "0".to_owned(),
            manual: false,
        };
        for word in words {
            options.set(word)?;
        }
        Ok(options)
    }

    fn set(&mut self, word: &Word) -> Result<()> {
        if let Word::Braced(table) = word {
            self.properties = table.clone();
            return Ok(());
        }
        if word.text() == "manual" {
            self.manual = true;
            return Ok(());
        }
        let (key, value) = word
            .text()
            .split_once('=')
            .with_context(|| format!("key=value, not {}", word.text()))?;
        let value = value.to_owned();
        match key {
            // Users made by a behaviour have the password `p`.
            "user" => (self.user, self.password) = (value, "p".to_owned()),
            "password" => self.password = value,
            "vhost" => self.vhost = value,
            "mechanism" => self.mechanism = value,
            "response" => self.response = Some(value),
            "channel_max" => self.channel_max = Some(value),
            "frame_max" => self.frame_max = Some(value),
            "heartbeat" => self.heartbeat = value,
            other => bail!("connect has no option {other}"),
        }
        Ok(())
    }

    fn response(&self) -> Result<String> {
        if let Some(response) = &self.response {
            return Ok(response.clone());
        }
        if self.mechanism != "AMQPLAIN" {
            return Ok(format!("\0{}\0{}", self.user, self.password));
        }
        let table = crate::value::Table::parse(&format!("{{LOGIN: '{}', PASSWORD: '{}'}}", self.user, self.password))?;
        Ok(octets::to_text(&table.encode()[4..]))
    }

    fn start_ok(&self, connection: &mut Connection) -> Result<()> {
        let words = [&self.mechanism, &self.response()?, "en_US"].map(|text| Word::Quoted(text.to_owned()));
        let words = [&words[..], &[Word::Braced(self.properties.clone())]].concat();
        connection.send_method(
            0,
            methods::by_name("connection.start-ok").context("method table")?,
            &words,
        )
    }

    fn tune_ok(&self, connection: &mut Connection, tune: &[String]) -> Result<()> {
        let channel_max = self.channel_max.as_ref().unwrap_or(&tune[1]);
        let frame_max = self.frame_max.as_ref().unwrap_or(&tune[2]);
        connection.frame_max = frame_max.parse::<usize>()?.clamp(4096, 131_072);
        let words = [channel_max, frame_max, &self.heartbeat].map(|text| Word::Bare(text.clone()));
        connection.send_method(
            0,
            methods::by_name("connection.tune-ok").context("method table")?,
            &words,
        )?;
        let vhost = [Word::Quoted(self.vhost.clone())];
        connection.send_method(0, methods::by_name("connection.open").context("method table")?, &vhost)
    }
}
