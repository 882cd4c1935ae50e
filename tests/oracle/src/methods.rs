//! Every AMQP 0-9-1 method with RabbitMQ's extensions: ids, argument layout, reply; words to bytes and back.
//! A data table, not structs, so that a behaviour can send what no client library would build.
//! A unit test compares the bytes with an independent encoder.

use anyhow::{Context as _, Result, bail, ensure};

use crate::lex::{Word, quote};
use crate::value::{self, Table};

/// One method: name, class and method id, arguments.
#[derive(Debug)]
pub struct Method {
    /// `class.method`
    pub name: &'static str,
    /// Class id.
    pub class: u16,
    /// Method id.
    pub id: u16,
    /// Arguments in wire order, each a type letter and a name: `o` octet, `h` 16-bit, `i` 32-bit, `l` 64-bit,
    /// `s` short string, `S` long string, `t` table, `b` bit. The name `_` is a reserved field, sent as zero.
    args: &'static str,
}

const fn m(name: &'static str, class: u16, id: u16, args: &'static str) -> Method {
    Method { name, class, id, args }
}

/// All methods.
pub const METHODS: &[Method] = &[
    m(
        "connection.start",
        10,
        10,
        "o:major o:minor t:properties S:mechanisms S:locales",
    ),
    m(
        "connection.start-ok",
        10,
        11,
        "t:properties s:mechanism S:response s:locale",
    ),
    m("connection.secure", 10, 20, "S:challenge"),
    m("connection.secure-ok", 10, 21, "S:response"),
    m("connection.tune", 10, 30, "h:channel_max i:frame_max h:heartbeat"),
    m("connection.tune-ok", 10, 31, "h:channel_max i:frame_max h:heartbeat"),
    m("connection.open", 10, 40, "s:vhost s:_ b:_"),
    m("connection.open-ok", 10, 41, "s:_"),
    m("connection.close", 10, 50, "h:code s:text h:class h:method"),
    m("connection.close-ok", 10, 51, ""),
    m("connection.blocked", 10, 60, "s:reason"),
    m("connection.unblocked", 10, 61, ""),
    m("connection.update-secret", 10, 70, "S:secret s:reason"),
    m("connection.update-secret-ok", 10, 71, ""),
    m("channel.open", 20, 10, "s:_"),
    m("channel.open-ok", 20, 11, "S:_"),
    m("channel.flow", 20, 20, "b:active"),
    m("channel.flow-ok", 20, 21, "b:active"),
    m("channel.close", 20, 40, "h:code s:text h:class h:method"),
    m("channel.close-ok", 20, 41, ""),
    m(
        "access.request",
        30,
        10,
        "s:realm b:exclusive b:passive b:active b:write b:read",
    ),
    m("access.request-ok", 30, 11, "h:ticket"),
    m(
        "exchange.declare",
        40,
        10,
        "h:_ s:exchange s:type b:passive b:durable b:auto_delete b:internal b:nowait t:arguments",
    ),
    m("exchange.declare-ok", 40, 11, ""),
    m("exchange.delete", 40, 20, "h:_ s:exchange b:if_unused b:nowait"),
    m("exchange.delete-ok", 40, 21, ""),
    m(
        "exchange.bind",
        40,
        30,
        "h:_ s:destination s:source s:routing_key b:nowait t:arguments",
    ),
    m("exchange.bind-ok", 40, 31, ""),
    m(
        "exchange.unbind",
        40,
        40,
        "h:_ s:destination s:source s:routing_key b:nowait t:arguments",
    ),
    m("exchange.unbind-ok", 40, 51, ""),
    m(
        "queue.declare",
        50,
        10,
        "h:_ s:queue b:passive b:durable b:exclusive b:auto_delete b:nowait t:arguments",
    ),
    m("queue.declare-ok", 50, 11, "s:queue i:messages i:consumers"),
    m(
        "queue.bind",
        50,
        20,
        "h:_ s:queue s:exchange s:routing_key b:nowait t:arguments",
    ),
    m("queue.bind-ok", 50, 21, ""),
    m("queue.purge", 50, 30, "h:_ s:queue b:nowait"),
    m("queue.purge-ok", 50, 31, "i:messages"),
    m("queue.delete", 50, 40, "h:_ s:queue b:if_unused b:if_empty b:nowait"),
    m("queue.delete-ok", 50, 41, "i:messages"),
    m(
        "queue.unbind",
        50,
        50,
        "h:_ s:queue s:exchange s:routing_key t:arguments",
    ),
    m("queue.unbind-ok", 50, 51, ""),
    m("basic.qos", 60, 10, "i:size h:count b:global"),
    m("basic.qos-ok", 60, 11, ""),
    m(
        "basic.consume",
        60,
        20,
        "h:_ s:queue s:tag b:no_local b:no_ack b:exclusive b:nowait t:arguments",
    ),
    m("basic.consume-ok", 60, 21, "s:tag"),
    m("basic.cancel", 60, 30, "s:tag b:nowait"),
    m("basic.cancel-ok", 60, 31, "s:tag"),
    m(
        "basic.publish",
        60,
        40,
        "h:_ s:exchange s:routing_key b:mandatory b:immediate",
    ),
    m("basic.return", 60, 50, "h:code s:text s:exchange s:routing_key"),
    m(
        "basic.deliver",
        60,
        60,
        "s:tag l:delivery b:redelivered s:exchange s:routing_key",
    ),
    m("basic.get", 60, 70, "h:_ s:queue b:no_ack"),
    m(
        "basic.get-ok",
        60,
        71,
        "l:delivery b:redelivered s:exchange s:routing_key i:left",
    ),
    m("basic.get-empty", 60, 72, "s:_"),
    m("basic.ack", 60, 80, "l:delivery b:multiple"),
    m("basic.reject", 60, 90, "l:delivery b:requeue"),
    m("basic.recover-async", 60, 100, "b:requeue"),
    m("basic.recover", 60, 110, "b:requeue"),
    m("basic.recover-ok", 60, 111, ""),
    m("basic.nack", 60, 120, "l:delivery b:multiple b:requeue"),
    m("confirm.select", 85, 10, "b:nowait"),
    m("confirm.select-ok", 85, 11, ""),
    m("tx.select", 90, 10, ""),
    m("tx.select-ok", 90, 11, ""),
    m("tx.commit", 90, 20, ""),
    m("tx.commit-ok", 90, 21, ""),
    m("tx.rollback", 90, 30, ""),
    m("tx.rollback-ok", 90, 31, ""),
];

/// The method called `name`.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static Method> {
    METHODS.iter().find(|method| method.name == name)
}

/// The method with these ids.
#[must_use]
pub fn by_id(class: u16, id: u16) -> Option<&'static Method> {
    METHODS.iter().find(|method| (method.class, method.id) == (class, id))
}

impl Method {
    fn args(&self) -> impl Iterator<Item = (u8, &'static str)> {
        self.args.split_whitespace().map(|arg| (arg.as_bytes()[0], &arg[2..]))
    }

    /// Whether a header and a body follow.
    #[must_use]
    pub fn has_content(&self) -> bool {
        matches!(
            self.name,
            "basic.publish" | "basic.return" | "basic.deliver" | "basic.get-ok"
        )
    }

    /// The reply that a client waits for, unless `words` say nowait.
    #[must_use]
    pub fn reply(&self, words: &[Word]) -> Option<&'static str> {
        let nowait = words.contains(&Word::Bare("nowait".to_owned()));
        let name = format!("{}-ok", self.name);
        by_name(&name)
            .filter(|_| !nowait && self.name != "connection.start")
            .map(|reply| reply.name)
    }

    /// Encodes the method payload (ids and arguments). Words fill the arguments in order, a bare word that names a
    /// bit sets it, a braced word is the table; what is not given is empty or zero. Returns the words left over.
    ///
    /// # Errors
    /// A number or table that does not parse.
    pub fn encode<'w>(&self, words: &'w [Word]) -> Result<(Vec<u8>, Vec<&'w Word>)> {
        let mut given = self.sort(words)?;
        let mut out = [self.class.to_be_bytes(), self.id.to_be_bytes()].concat();
        let mut bits = Vec::new();
        for (kind, name) in self.args() {
            if kind == b'b' {
                bits.push(given.flags.contains(&name));
                continue;
            }
            put_bits(&mut out, &mut bits);
            let word = if name == "_" { None } else { given.take(kind) };
            put_arg(&mut out, kind, word).with_context(|| format!("argument {name} of {}", self.name))?;
        }
        put_bits(&mut out, &mut bits);
        Ok((out, given.left()))
    }

    fn sort<'w>(&self, words: &'w [Word]) -> Result<Given<'w>> {
        let mut given = Given::default();
        for word in words {
            let flag = self
                .args()
                .find(|(kind, name)| *kind == b'b' && *word == Word::Bare((*name).to_owned()));
            match (flag, word) {
                (Some((_, name)), _) => given.flags.push(name),
                (None, Word::Braced(_)) => given.tables.push(word),
                (None, _) => given.plain.push(word),
            }
        }
        ensure!(given.tables.len() <= 1, "more than one table");
        given.plain.reverse();
        Ok(given)
    }

    /// Renders received arguments as words: values in order, set bits by name, a table only if it is not empty.
    ///
    /// # Errors
    /// Truncated arguments.
    pub fn decode(&self, mut bytes: &[u8]) -> Result<Vec<String>> {
        let mut words = Vec::new();
        let (mut bits, mut used) = (0, 8);
        for (kind, name) in self.args() {
            if kind != b'b' {
                used = 8;
                let text = take_arg(&mut bytes, kind)?;
                if name != "_" && !(kind == b't' && text == "{}") {
                    words.push(text);
                }
                continue;
            }
            if used == 8 {
                (bits, used) = (value::take_uint(&mut bytes, 1)?, 0);
            }
            if bits >> used & 1 == 1 {
                words.push(name.to_owned());
            }
            used += 1;
        }
        ensure!(bytes.is_empty(), "{} octets after the last argument", bytes.len());
        Ok(words)
    }
}

/// The words of a line sorted by what they can be.
#[derive(Default)]
struct Given<'w> {
    flags: Vec<&'static str>,
    tables: Vec<&'w Word>,
    /// In reverse, so that `pop` gives the next.
    plain: Vec<&'w Word>,
}

impl<'w> Given<'w> {
    fn take(&mut self, kind: u8) -> Option<&'w Word> {
        if kind == b't' {
            self.tables.pop()
        } else {
            self.plain.pop()
        }
    }

    fn left(mut self) -> Vec<&'w Word> {
        self.plain.reverse();
        self.plain.extend(self.tables);
        self.plain
    }
}

fn put_bits(out: &mut Vec<u8>, bits: &mut Vec<bool>) {
    for octet in bits.chunks(8) {
        out.push(octet.iter().rev().fold(0, |n, &bit| n << 1 | u8::from(bit)));
    }
    bits.clear();
}

fn put_arg(out: &mut Vec<u8>, kind: u8, word: Option<&Word>) -> Result<()> {
    let text = word.map_or("", Word::text);
    let number = || {
        if text.is_empty() {
            Ok(0)
        } else {
            text.parse::<u64>().with_context(|| format!("number '{text}'"))
        }
    };
    match kind {
        b'o' => out.push(u8::try_from(number()?)?),
        b'h' => out.extend(u16::try_from(number()?)?.to_be_bytes()),
        b'i' => out.extend(u32::try_from(number()?)?.to_be_bytes()),
        b'l' => out.extend(number()?.to_be_bytes()),
        b's' => value::put_short(out, text),
        b'S' => value::put_long(out, &crate::octets::to_bytes(text)),
        b't' if text.is_empty() => out.extend([0; 4]),
        b't' => out.extend(Table::parse(text)?.encode()),
        other => bail!("type letter {other}"),
    }
    Ok(())
}

fn take_arg(bytes: &mut &[u8], kind: u8) -> Result<String> {
    Ok(match kind {
        b'o' => value::take_uint(bytes, 1)?.to_string(),
        b'h' => value::take_uint(bytes, 2)?.to_string(),
        b'i' => value::take_uint(bytes, 4)?.to_string(),
        b'l' => value::take_uint(bytes, 8)?.to_string(),
        b's' => value::take_text(bytes, 1)?,
        b'S' => value::take_text(bytes, 4)?,
        b't' => Table::decode(bytes)?.to_string(),
        other => bail!("type letter {other}"),
    })
}

/// Content properties in wire order with their type letters (as in [`METHODS`]; `l` of timestamp is seconds).
const PROPERTIES: &[(u8, &str)] = &[
    (b's', "content_type"),
    (b's', "content_encoding"),
    (b't', "headers"),
    (b'o', "delivery_mode"),
    (b'o', "priority"),
    (b's', "correlation_id"),
    (b's', "reply_to"),
    (b's', "expiration"),
    (b's', "message_id"),
    (b'l', "timestamp"),
    (b's', "type"),
    (b's', "user_id"),
    (b's', "app_id"),
    (b's', "cluster_id"),
];

/// Encodes property flags and values from `{expiration: '5', headers: {…}, …}`.
///
/// # Errors
/// An unknown property name, a value that does not parse.
pub fn encode_properties(text: &str) -> Result<Vec<u8>> {
    let table = if text.is_empty() {
        Table::default()
    } else {
        Table::parse(text)?
    };
    for (name, _) in &table.0 {
        ensure!(
            PROPERTIES.iter().any(|(_, known)| known == name),
            "unknown property {name}"
        );
    }
    let (mut flags, mut out) = (0_u16, Vec::new());
    for (i, (kind, name)) in PROPERTIES.iter().enumerate() {
        if let Some(given) = table.get(name) {
            flags |= 0x8000 >> i;
            let text = match given {
                value::Value::Text(text) => text.clone(),
                other => other.to_string(),
            };
            put_arg(&mut out, *kind, Some(&Word::Quoted(text)))?;
        }
    }
    Ok([flags.to_be_bytes().to_vec(), out].concat())
}

/// Renders received properties, e.g. `{delivery_mode: 2, expiration: '5'}`; empty text if there are none.
///
/// # Errors
/// Truncated properties.
pub fn decode_properties(mut bytes: &[u8]) -> Result<String> {
    let flags = value::take_uint(&mut bytes, 2)?;
    let mut shown = Vec::new();
    for (i, (kind, name)) in PROPERTIES.iter().enumerate() {
        if flags & (0x8000 >> i) != 0 {
            let text = take_arg(&mut bytes, *kind)?;
            shown.push(if *kind == b's' {
                format!("{name}: '{text}'")
            } else {
                format!("{name}: {text}")
            });
        }
    }
    ensure!(bytes.is_empty(), "{} octets after the last property", bytes.len());
    Ok(if shown.is_empty() {
        String::new()
    } else {
        format!("{{{}}}", shown.join(", "))
    })
}

/// Words joined as a line, quoted where needed.
#[must_use]
pub fn line(words: &[String]) -> String {
    words.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lex;
    use amq_protocol::frame::{AMQPFrame, gen_frame, parse_frame};

    /// Our frame around a method payload.
    fn frame(payload: &[u8]) -> Vec<u8> {
        let mut out = vec![1, 0, 1];
        value::put_long(&mut out, payload);
        out.push(0xCE);
        out
    }

    #[test]
    fn an_independent_codec_reads_and_writes_the_same_octets() {
        let lines = [
            "queue.declare q durable auto_delete {x-max-length: 5, y: 'z'}",
            "queue.bind q x k nowait {a: true}",
            "exchange.declare x topic internal passive",
            "exchange.unbind d s k",
            "basic.consume q tag no_ack exclusive {x-priority: -1}",
            "basic.qos 0 7 global",
            "basic.nack 9 multiple requeue",
            "basic.recover requeue",
            "connection.open /",
            "connection.tune-ok 2047 131072 60",
            "channel.close 200 bye 0 0",
            "confirm.select nowait",
            "tx.commit",
        ];
        for line in lines {
            let words = lex::words(line).unwrap();
            let ours = frame(&by_name(words[0].text()).unwrap().encode(&words[1..]).unwrap().0);
            let (_, parsed) = parse_frame(&ours[..]).unwrap_or_else(|e| panic!("{line}: {e:?}"));
            assert!(matches!(parsed, AMQPFrame::Method(1, _)), "{line}");
            let theirs = gen_frame(&parsed)(Vec::new().into()).unwrap().write;
            assert_eq!(theirs, ours, "{line}");
        }
    }

    #[test]
    fn what_is_encoded_is_rendered_alike() {
        for line in [
            "basic.deliver t 1 redelivered x k",
            "basic.get-ok 3 '' k 7",
            "queue.declare-ok q 1 2",
        ] {
            let words = lex::words(line).unwrap();
            let method = by_name(words[0].text()).unwrap();
            let payload = method.encode(&words[1..]).unwrap().0;
            let texts: Vec<&str> = words[1..].iter().map(Word::text).collect();
            assert_eq!(method.decode(&payload[4..]).unwrap(), texts);
        }
    }

    #[test]
    fn properties_survive_the_way_through_octets() {
        let text = "{content_type: 'a', headers: {n: 5}, delivery_mode: 2, expiration: '60', timestamp: 9}";
        assert_eq!(decode_properties(&encode_properties(text).unwrap()).unwrap(), text);
    }
}
