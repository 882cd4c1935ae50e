//! Plays one behaviour against one server: sends what its lines say, compares what comes back.
//! It owns the connections of the behaviour and cleans up what it declared. It never retries a failed expectation.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use crate::client::{Connection, Event};
use crate::expect::{self, Captures};
use crate::lex::{self, Word};
use crate::lines::{self, Kind, Line, Target};
use crate::methods::{self, line};
use crate::script::Behaviour;
use crate::server::Server;

/// How long an expected event may take; generous, since the machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// How long silence must last to count as `nothing`.
const SILENCE: Duration = Duration::from_millis(300);

/// Result of a behaviour on a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All as expected.
    Passed,
    /// Not as expected; the text shows expectation, what came, and everything said before.
    Failed(String),
    /// The server has no management API or administration command and the behaviour needs it.
    Skipped(String),
}

/// Marks a behaviour as impossible here, as an error that [`play`] turns into [`Outcome::Skipped`].
#[derive(Debug)]
pub(crate) struct Needs(pub(crate) &'static str);

impl std::fmt::Display for Needs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "needs {}", self.0)
    }
}

impl std::error::Error for Needs {}

/// One connection on stage.
pub(crate) struct Actor {
    pub(crate) connection: Connection,
    /// Channels opened so far.
    pub(crate) channels: BTreeSet<u16>,
    /// Opened by `tcp`: nothing is sent that the behaviour does not write.
    pub(crate) raw: bool,
    /// Closed by either side; nothing more is checked.
    pub(crate) over: bool,
}

/// The state of one play.
pub struct Stage<'s> {
    pub(crate) server: &'s Server,
    prefix: String,
    pub(crate) actors: BTreeMap<String, Actor>,
    pub(crate) captures: Captures,
    pub(crate) vhost: String,
    /// Everything said so far, for the report of a failure.
    trace: Vec<String>,
    /// API paths to delete at the end.
    pub(crate) created: Vec<String>,
    /// Names given to queue.declare and exchange.declare on `/`.
    declared: BTreeSet<(&'static str, String)>,
    pub(crate) ignore_unread: bool,
    /// Administration commands that put right what the behaviour changed for everybody.
    pub(crate) at_end: Vec<Vec<Word>>,
}

/// Plays `behaviour` on `server` and leaves what it has declared for whoever looks next.
///
/// # Errors
/// What went otherwise than the behaviour says.
pub fn set(behaviour: &Behaviour, server: &Server, prefix: &str) -> Result<()> {
    Stage::new(server, prefix).play(behaviour)
}

/// Plays `behaviour` on `server`; `prefix` makes its names unique.
#[must_use]
pub fn play(behaviour: &Behaviour, server: &Server, prefix: &str) -> Outcome {
    let mut stage = Stage::new(server, prefix);
    let result = stage.play(behaviour);
    let outcome = match result {
        Ok(()) => Outcome::Passed,
        Err(e) => match e.downcast_ref::<Needs>() {
            Some(needs) => Outcome::Skipped(needs.to_string()),
            None => Outcome::Failed(format!("{e:#}\n      so far:\n{}", stage.story())),
        },
    };
    stage.clean_up();
    outcome
}

impl<'s> Stage<'s> {
    fn new(server: &'s Server, prefix: &str) -> Self {
        Self {
            server,
            prefix: prefix.to_owned(),
            actors: BTreeMap::new(),
            // `?user` and `?password` are those that the stage logs in with.
            captures: Captures::from([
                ("user".to_owned(), server.user.clone()),
                ("password".to_owned(), server.password.clone()),
            ]),
            vhost: "/".to_owned(),
            trace: Vec::new(),
            created: Vec::new(),
            declared: BTreeSet::new(),
            ignore_unread: false,
            at_end: Vec::new(),
        }
    }

    fn play(&mut self, behaviour: &Behaviour) -> Result<()> {
        let lines = lines::prepare(&behaviour.lines, self.server, &self.prefix)?;
        let mut rest = &lines[..];
        while let [line, after @ ..] = rest {
            let used = self
                .step(line, after)
                .with_context(|| format!("line {}: {}", line.at, self.short(&line.text)))?;
            rest = &after[used..];
        }
        self.nothing_unread()
    }

    /// Plays one line; returns how many of the following lines it consumed.
    fn step(&mut self, line: &Line, after: &[Line]) -> Result<usize> {
        match line.kind {
            Kind::Do if line.text.starts_with("eventually http ") => {
                let text = self.with_captures(line.text.trim_start_matches("eventually http "));
                self.http_eventually(&lex::words(&text)?).map(|()| 0)
            }
            Kind::Do if line.text.starts_with("eventually ") => self.eventually(line, after),
            Kind::Do => self.act(line, after).map(|()| 0),
            Kind::Expect => self.expect(line).map(|()| 0),
            Kind::ExpectUnordered => self.unordered(line, after),
            Kind::ChannelError => self.channel_error(line).map(|()| 0),
            Kind::ConnectionError => self.connection_error(line).map(|()| 0),
        }
    }

    fn act(&mut self, line: &Line, after: &[Line]) -> Result<()> {
        self.say("→", &line.target, &line.text);
        let text = self.with_captures(&line.text);
        let words = lex::words(&text)?;
        let (first, rest) = words.split_first().context("empty line")?;
        match methods::by_name(first.text()) {
            None => self.command(
                &line.target,
                first.text(),
                rest,
                follows(line, after, &["connection.", "eof"]),
            ),
            Some(method) => {
                self.send(&line.target, method, rest)?;
                match method.reply(rest) {
                    Some(reply) if follows(line, after, &answers(method.name, reply)) => Ok(()),
                    Some(reply) => self.reply(&line.target, reply),
                    None => Ok(()),
                }
            }
        }
    }

    fn send(&mut self, target: &Target, method: &methods::Method, words: &[Word]) -> Result<()> {
        let on_connection = method.name.starts_with("connection.");
        let channel = if on_connection { 0 } else { target.channel };
        if channel != 0 && method.name != "channel.open" {
            self.open_channel(target)?;
        }
        self.remember(method.name, words);
        let actor = self.actor(target)?;
        if method.name == "channel.open" {
            actor.channels.insert(channel);
        }
        actor.connection.send_method(channel, method, words)
    }

    /// Waits for the reply called `name`; deliveries and confirms before it stay for later lines.
    fn reply(&mut self, target: &Target, name: &str) -> Result<()> {
        let channel = if name.starts_with("connection.") {
            0
        } else {
            target.channel
        };
        let wanted = |event: &Event| {
            (event.channel == channel && (event.name() == name || event.name() == "channel.close"))
                || matches!(event.name(), "connection.close" | "eof")
        };
        let event = self
            .actor(target)?
            .connection
            .next_where(Instant::now() + PATIENCE, wanted)?;
        let words = event.map(|event| event.words);
        self.heard(target, words.as_deref());
        match words {
            Some(words) if words[0] == name => {
                self.forget(target, name);
                Ok(())
            }
            other => bail!("expected: {name}\n      saw: {}", self.shown(other.as_deref())),
        }
    }

    /// Keeps track of channels and connections that a reply has closed.
    fn forget(&mut self, target: &Target, reply: &str) {
        if let Some(actor) = self.actors.get_mut(&target.connection) {
            match reply {
                "channel.close-ok" => _ = actor.channels.remove(&target.channel),
                "connection.close-ok" | "connection.close" => actor.over = true,
                _ => {}
            }
        }
    }

    /// The next event on the target's channel.
    fn event(&mut self, target: &Target, within: Duration) -> Result<Option<Vec<String>>> {
        let event = self
            .actor(target)?
            .connection
            .next(target.channel, Instant::now() + within)?;
        let words = event.map(|event| event.words);
        self.heard(target, words.as_deref());
        Ok(words)
    }

    fn expect(&mut self, line: &Line) -> Result<()> {
        let words = lex::words(&line.text)?;
        let (first, rest) = words.split_first().context("empty expectation")?;
        match first.text() {
            "nothing" => self.expect_nothing(&line.target),
            "eof" => self.expect_eof(&line.target, rest),
            "bytes" => self.expect_bytes(&line.target, rest),
            "settled" => self.expect_settled(&line.target, rest),
            _ => self.expect_words(line, &words),
        }
    }

    fn expect_words(&mut self, line: &Line, words: &[Word]) -> Result<()> {
        let target = match words[0].text() {
            name if name.starts_with("connection.") => &Target {
                channel: 0,
                ..line.target.clone()
            },
            _ => &line.target,
        };
        let got = self.event(target, PATIENCE)?;
        let matched = match &got {
            Some(got) => expect::matches(words, got, &mut self.captures)?,
            None => false,
        };
        ensure!(
            matched,
            "expected: {}\n      saw: {}",
            self.short(&line.text),
            self.shown(got.as_deref())
        );
        self.forget(target, words[0].text());
        Ok(())
    }

    fn expect_nothing(&mut self, target: &Target) -> Result<()> {
        let got = self.event(target, SILENCE)?;
        ensure!(
            got.is_none(),
            "expected: nothing\n      saw: {}",
            self.shown(got.as_deref())
        );
        Ok(())
    }

    /// `eof` at once, or `eof 2s 6s`: so long after the last octet that we sent.
    fn expect_eof(&mut self, target: &Target, range: &[Word]) -> Result<()> {
        let seconds = |word: &Word| word.text().trim_end_matches('s').parse().map(Duration::from_secs_f64);
        let range: Vec<Duration> = range.iter().map(seconds).collect::<Result<_, _>>()?;
        let actor = self.actor(target)?;
        let wanted = |event: &Event| event.channel == 0 && event.name() != "heartbeat";
        let got = actor
            .connection
            .next_where(Instant::now() + PATIENCE, wanted)?
            .map(|event| event.words);
        let took = actor.connection.sent_at.elapsed();
        actor.over = true;
        ensure!(
            got.as_deref() == Some(&["eof".to_owned()]),
            "expected: eof\n      saw: {}",
            self.shown(got.as_deref())
        );
        if let [from, to] = range[..] {
            ensure!(
                from <= took && took <= to,
                "expected: eof after {from:?} to {to:?}\n      saw: after {took:?}"
            );
        }
        Ok(())
    }

    fn expect_bytes(&mut self, target: &Target, words: &[Word]) -> Result<()> {
        let expected = crate::command::octets_of(words)?;
        let got = self
            .actor(target)?
            .connection
            .octets(expected.len(), Instant::now() + PATIENCE)?;
        ensure!(
            got == expected,
            "expected: bytes {expected:?}\n      saw: bytes {got:?}"
        );
        Ok(())
    }

    /// `settled +1..5 -6`: these publishes are acked and nacked, each once, in any grouping.
    fn expect_settled(&mut self, target: &Target, words: &[Word]) -> Result<()> {
        let expected = crate::confirms::parse(words)?;
        let mut seen = BTreeMap::new();
        while seen.len() < expected.len() {
            let got = self.event(target, PATIENCE)?;
            let all = expected.keys().copied();
            let settled = got
                .as_deref()
                .and_then(|words| crate::confirms::settles(words, all, &seen));
            let Some(settled) = settled else {
                bail!(
                    "expected: {expected:?}\n      saw: {} after {seen:?}",
                    self.shown(got.as_deref())
                );
            };
            seen.extend(settled);
        }
        ensure!(seen == expected, "expected: {expected:?}\n      saw: {seen:?}");
        Ok(())
    }

    fn unordered(&mut self, line: &Line, after: &[Line]) -> Result<usize> {
        let more = after
            .iter()
            .take_while(|next| next.kind == Kind::ExpectUnordered)
            .count();
        let mut open: Vec<&Line> = std::iter::once(line).chain(&after[..more]).collect();
        while !open.is_empty() {
            let got = self.event(&line.target, PATIENCE)?;
            let mut found = None;
            for (i, line) in open.iter().enumerate() {
                let words = lex::words(&line.text)?;
                if let Some(got) = &got
                    && expect::matches(&words, got, &mut self.captures)?
                {
                    found = Some(i);
                    break;
                }
            }
            let expected: Vec<String> = open.iter().map(|line| self.short(&line.text)).collect();
            let index = found.with_context(|| {
                format!(
                    "expected one of: {}\n      saw: {}",
                    expected.join(" | "),
                    self.shown(got.as_deref())
                )
            })?;
            open.remove(index);
        }
        Ok(more)
    }

    /// `! 404 queue.bind no queue …`: exactly this close, answered, after which the channel number is free.
    fn channel_error(&mut self, line: &Line) -> Result<()> {
        let expected = close_words("channel.close", &line.text)?;
        let got = self.event(&line.target, PATIENCE)?;
        self.check_close(&expected, got.as_deref())?;
        let actor = self.actor(&line.target)?;
        actor.channels.remove(&line.target.channel);
        actor.connection.send_frame(1, line.target.channel, &[0, 20, 0, 41])
    }

    /// `!! 530 basic.consume …`: exactly this close; answered, and the server ends the connection.
    fn connection_error(&mut self, line: &Line) -> Result<()> {
        let expected = close_words("connection.close", &line.text)?;
        let target = Target {
            channel: 0,
            ..line.target.clone()
        };
        let got = self.event(&target, PATIENCE)?;
        self.check_close(&expected, got.as_deref())?;
        self.actor(&target)?.connection.send_frame(1, 0, &[0, 10, 0, 51])?;
        self.expect_eof(&target, &[])
    }

    fn check_close(&mut self, expected: &[Word], got: Option<&[String]>) -> Result<()> {
        let matched = got.is_some_and(|got| expect::matches(expected, got, &mut self.captures).unwrap_or(false));
        let wanted: Vec<String> = expected.iter().map(|word| word.text().to_owned()).collect();
        ensure!(
            matched,
            "expected: {}\n      saw: {}",
            self.short(&line(&wanted)),
            self.shown(got)
        );
        Ok(())
    }

    /// Repeats a command on a channel of its own until the next line's expectation holds.
    fn eventually(&mut self, line: &Line, after: &[Line]) -> Result<usize> {
        let next = after.first().context("an expectation must follow")?;
        let text = self.with_captures(line.text.trim_start_matches("eventually "));
        self.say("→", &line.target, &line.text);
        let expected = match next.kind {
            Kind::ChannelError => close_words("channel.close", &next.text)?,
            _ => lex::words(&next.text)?,
        };
        let words = lex::words(&text)?;
        let target = Target {
            connection: line.target.connection.clone(),
            channel: 999,
        };
        let deadline = Instant::now() + PATIENCE;
        loop {
            let got = self.attempt(&target, &words)?;
            if expect::matches(&expected, &got, &mut self.captures)? {
                return Ok(1);
            }
            let destructive = words[0].text() == "basic.get" && got[0] == "basic.get-ok";
            if destructive || Instant::now() > deadline {
                bail!(
                    "expected: {}\n      saw at last: {}",
                    self.short(&next.text),
                    self.shown(Some(&got))
                );
            }
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    /// Opens a channel, sends one command, returns its answer and closes the channel again.
    fn attempt(&mut self, target: &Target, words: &[Word]) -> Result<Vec<String>> {
        let method = methods::by_name(words[0].text()).context("only methods can be repeated")?;
        self.send(target, method, &words[1..])?;
        let got = self
            .actor(target)?
            .connection
            .next(target.channel, Instant::now() + PATIENCE)?;
        let got = got.map(|event| event.words).context("no answer")?;
        let close = if got[0] == "channel.close" {
            "channel.close-ok"
        } else {
            "channel.close"
        };
        let close = methods::by_name(close).context("method table")?;
        self.send(target, close, &[])?;
        if close.name == "channel.close" {
            self.reply(target, "channel.close-ok")?;
        }
        self.actor(target)?.channels.remove(&target.channel);
        Ok(got)
    }

    /// The connection of a target, logged in as the default user on first use.
    pub(crate) fn actor(&mut self, target: &Target) -> Result<&mut Actor> {
        if !self.actors.contains_key(&target.connection) {
            self.log_in(target, &[])?;
        }
        self.actors.get_mut(&target.connection).context("connection is gone")
    }

    fn open_channel(&mut self, target: &Target) -> Result<()> {
        let actor = self.actor(target)?;
        if actor.raw || actor.over || !actor.channels.insert(target.channel) {
            return Ok(());
        }
        let method = methods::by_name("channel.open").context("method table")?;
        actor.connection.send_method(target.channel, method, &[])?;
        self.reply(target, "channel.open-ok")
    }

    fn remember(&mut self, method: &str, words: &[Word]) {
        let delete = match method {
            "queue.declare" => "queue.delete",
            "exchange.declare" => "exchange.delete",
            _ => return,
        };
        if let Some(word) = words.first().filter(|word| word.text().starts_with(&self.prefix)) {
            self.declared.insert((delete, word.text().to_owned()));
        }
    }

    /// Every connection must end with nothing unread: an event nobody expected is a failure.
    fn nothing_unread(&mut self) -> Result<()> {
        let names: Vec<String> = self.actors.keys().cloned().collect();
        for connection in names {
            let target = Target { connection, channel: 0 };
            let actor = self.actor(&target)?;
            if !actor.over && !actor.raw {
                let close = methods::by_name("connection.close").context("method table")?;
                actor
                    .connection
                    .send_method(0, close, &[Word::Bare("200".into()), Word::Bare("bye".into())])?;
                self.reply(&target, "connection.close-ok")
                    .context("closing at the end")?;
            }
            let unread = self.actor(&target)?.connection.unread();
            let unread: Vec<_> = unread.iter().filter(|event| event.name() != "eof").collect();
            if let (Some(event), false) = (unread.first(), self.ignore_unread) {
                bail!(
                    "expected: nothing more\n      saw: @{} {}",
                    event.channel,
                    self.shown(Some(&event.words))
                );
            }
        }
        Ok(())
    }

    fn clean_up(&mut self) {
        for (_, mut actor) in std::mem::take(&mut self.actors) {
            actor.connection.shut(Shutdown::Both);
        }
        for words in std::mem::take(&mut self.at_end) {
            // A server without administration commands has changed nothing either.
            let _ = self.ctl(&words);
        }
        if let Some(management) = &self.server.management {
            for path in self.created.iter().rev() {
                // What the behaviour itself has deleted is gone already.
                let _ = management.call("DELETE", path, None);
            }
        }
        if !self.declared.is_empty() && self.vhost == "/" {
            // A server that is gone cannot be cleaned, and the behaviour has already failed then.
            let _ = self.delete_declared();
        }
    }

    fn delete_declared(&mut self) -> Result<()> {
        for (method, name) in std::mem::take(&mut self.declared) {
            let target = Target {
                connection: "cleaner".to_owned(),
                channel: 1,
            };
            let method = methods::by_name(method).context("method table")?;
            self.send(&target, method, &[Word::Quoted(name), Word::Bare("nowait".into())])?;
        }
        let target = Target {
            connection: "cleaner".to_owned(),
            channel: 1,
        };
        let close = methods::by_name("connection.close").context("method table")?;
        self.send(&target, close, &[])?;
        self.reply(&target, "connection.close-ok")
    }

    fn with_captures(&self, text: &str) -> String {
        self.captures.iter().fold(text.to_owned(), |text, (name, value)| {
            text.replace(&format!("?{name}"), value)
        })
    }

    fn say(&mut self, arrow: &str, target: &Target, text: &str) {
        let text = self.short(text);
        self.trace.push(format!(
            "        {arrow} @{}{} {text}",
            target.connection, target.channel
        ));
    }

    fn heard(&mut self, target: &Target, words: Option<&[String]>) {
        let text = self.shown(words);
        self.trace
            .push(format!("        ← @{}{} {text}", target.connection, target.channel));
    }

    fn story(&self) -> String {
        self.trace[self.trace.len().saturating_sub(14)..].join("\n")
    }

    /// Text with the unique prefix of this play written as `$` again, and cut if it is very long.
    fn short(&self, text: &str) -> String {
        let text = text.replace(&self.prefix, "$");
        match text.char_indices().nth(1200) {
            Some((at, _)) => format!("{}…", &text[..at]),
            None => text,
        }
    }

    fn shown(&self, words: Option<&[String]>) -> String {
        words.map_or_else(
            || format!("nothing within {} s", PATIENCE.as_secs()),
            |words| self.short(&line(words)),
        )
    }
}

/// Beginnings of expectations that speak of the answer to `method`.
fn answers(method: &str, reply: &'static str) -> Vec<&'static str> {
    let mut answers = vec![reply, "channel.close ", "connection.close "];
    match method {
        "basic.get" => answers.push("basic.get-empty"),
        name if name.starts_with("connection.") => answers.push("eof"),
        _ => {}
    }
    answers
}

/// Whether the expectations right after `line` speak of its answer themselves: an error, or one of `answers`.
fn follows(line: &Line, after: &[Line], answers: &[&str]) -> bool {
    let expectations = after.iter().take_while(|next| next.kind != Kind::Do);
    expectations
        .filter(|next| next.target.connection == line.target.connection)
        .any(|next| match next.kind {
            Kind::ConnectionError => true,
            Kind::ChannelError => next.target == line.target,
            _ => answers.iter().any(|answer| next.text.starts_with(answer)),
        })
}

/// Words of a close from `CODE METHOD text…`; the code's name is put before the text.
fn close_words(method: &str, text: &str) -> Result<Vec<Word>> {
    let (code, rest) = text.split_once(' ').context("CODE METHOD text")?;
    let (offender, text) = rest.split_once(' ').unwrap_or((rest, ""));
    let name = code_name(code)?;
    let text = if text.is_empty() {
        name.to_owned()
    } else {
        format!("{name} - {text}")
    };
    Ok(vec![
        Word::Bare(method.into()),
        Word::Bare(code.into()),
        Word::Bare(offender.into()),
        Word::Quoted(text),
    ])
}

fn code_name(code: &str) -> Result<&'static str> {
    Ok(match code {
        "320" => "CONNECTION_FORCED",
        "403" => "ACCESS_REFUSED",
        "404" => "NOT_FOUND",
        "405" => "RESOURCE_LOCKED",
        "406" => "PRECONDITION_FAILED",
        "501" => "FRAME_ERROR",
        "502" => "SYNTAX_ERROR",
        "503" => "COMMAND_INVALID",
        "504" => "CHANNEL_ERROR",
        "505" => "UNEXPECTED_FRAME",
        "530" => "NOT_ALLOWED",
        "540" => "NOT_IMPLEMENTED",
        "541" => "INTERNAL_ERROR",
        other => bail!("code {other}"),
    })
}
