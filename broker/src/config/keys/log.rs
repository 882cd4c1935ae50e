//! Keys of the log. Outputs are the console, one file and an exchange; levels hold per category.
//! A category that is not in this list is unknown.

use super::{Key, key, no_effect};
use crate::config::{
    rotation::{Rotation, RotationDate},
    settings::{Config, FileTarget, LogShape},
    value::{ByteSize, Value},
};
use std::path::PathBuf;

/// Words like `time:ts`, separated by spaces.
struct Pairs(Vec<(String, String)>);

/// Words like `error:3`, separated by spaces.
struct Numbers(Vec<(String, i64)>);

/// A switch that is on or off.
struct Switch(bool);

/// When a file is rotated; none is never.
struct Date(Option<RotationDate>);

impl Value for Pairs {
    const KIND: &'static str = "pairs such as time:ts *:-";
    fn read(text: &str) -> Result<Self, String> {
        let pair = |word: &str| {
            let pair = word
                .split_once(':')
                .filter(|(from, to)| !from.is_empty() && !to.is_empty());
            let wrong = || "must be pairs of a field and its name, such as time:ts level:severity *:-".to_owned();
            pair.map(|(from, to)| (from.to_owned(), to.to_owned()))
                .ok_or_else(wrong)
        };
        text.split_whitespace().map(pair).collect::<Result<_, _>>().map(Pairs)
    }
}

impl Value for Numbers {
    const KIND: &'static str = "pairs such as debug:7 *:3";
    fn read(text: &str) -> Result<Self, String> {
        let Pairs(pairs) = Pairs::read(text)?;
        let wrong = |_| "must be pairs of a level and a number, such as debug:7 info:6 *:3".to_owned();
        let number = |(level, number): (String, String)| Ok((level, number.parse().map_err(wrong)?));
        pairs.into_iter().map(number).collect::<Result<_, _>>().map(Numbers)
    }
}

impl Value for Switch {
    const KIND: &'static str = "one of on off";
    fn read(text: &str) -> Result<Self, String> {
        match text {
            "on" | "true" => Ok(Switch(true)),
            "off" | "false" => Ok(Switch(false)),
            _ => Err("must be on or off".to_owned()),
        }
    }
}

impl Value for Date {
    const KIND: &'static str = "one of $D0 $W0D23 $M1D0 $H30";
    fn read(text: &str) -> Result<Self, String> {
        match text {
            "" => Ok(Date(None)),
            text => text.parse().map(|date| Date(Some(date))),
        }
    }
}

/// Categories of log lines that have a level of their own; all others take that of `default`.
pub const CATEGORIES: [&str; 8] = [
    "connection",
    "channel",
    "queue",
    "mirroring",
    "federation",
    "upgrade",
    "ra",
    "user",
];

pub(super) fn keys() -> Vec<Key> {
    let mut all = console();
    all.extend(file());
    all.extend(exchange());
    for category in ["default"].into_iter().chain(CATEGORIES) {
        all.push(level(category));
    }
    for category in CATEGORIES {
        all.extend(category_file(category));
    }
    all.extend(["log.default.file", "log.default.rotation.$what"].map(|name| {
        let why = "lines of no other category go to the log file; see log.file and log.file.rotation";
        no_effect(name, why)
    }));
    all.extend(others());
    all
}

/// Keys that say what the lines of an output look like.
fn shape(output: &str, of: fn(&mut Config) -> &mut LogShape) -> Vec<Key> {
    let name = |rest: &str| format!("log.{output}.formatter{rest}");
    vec![
        key(name(""), move |c: &mut Config, _, v| of(c).format = v)
            .default("plaintext")
            .doc("Shape of a line."),
        key(name(".time_format"), move |c: &mut Config, _, v| of(c).time = v)
            .default("rfc3339_space")
            .doc("How a line shows its time, which is UTC."),
        key(name(".level_format"), move |c: &mut Config, _, v| of(c).level = v)
            .default("lc")
            .doc("How a line shows its level: small or capital letters, all or 3 or 4 of them."),
        key(name(".single_line"), move |c: &mut Config, _, v: Switch| {
            of(c).single_line = v.0;
        })
        .default("off")
        .doc("Whether a text of several lines becomes one; with plaintext only."),
        key(name(".plaintext.format"), move |c: &mut Config, _, v| {
            of(c).template = v
        })
        .default("$time [$level] $pid $msg")
        .doc("What a line consists of; $domain and the names of a line's fields are known as well."),
        key(name(".json.field_map"), move |c: &mut Config, _, v: Pairs| {
            of(c).fields = v.0
        })
        .doc("What the fields of a JSON line are called; - leaves one out, * stands for all others."),
        key(name(".json.verbosity_map"), move |c: &mut Config, _, v: Numbers| {
            of(c).verbosity = v.0;
        })
        .doc("A number for each level, in a field verbosity."),
    ]
}

/// When a file is put aside, and how many of those are kept.
fn rotation(of_file: &str, of: impl Fn(&mut Config) -> &mut Rotation + Copy + Send + Sync + 'static) -> Vec<Key> {
    let name = |rest: &str| format!("log.{of_file}.rotation.{rest}");
    vec![
        key(name("size"), move |c: &mut Config, _, v: ByteSize| {
            of(c).octets = Some(v.0).filter(|octets| *octets > 0);
        })
        .doc("Size at which the file is put aside as NAME.0; 0 is never."),
        key(name("date"), move |c: &mut Config, _, v: Date| {
            of(c).date = v.0;
        })
        .doc("When it is put aside: daily at an hour, weekly, monthly, or hourly at a minute, in UTC."),
        key(name("count"), move |c: &mut Config, _, v| {
            of(c).count = v;
        })
        .default("0")
        .doc("Files that are kept beside the current one; with 0 that one is begun anew."),
        key(name("compress"), move |c: &mut Config, _, v| {
            of(c).compress = v;
        })
        .default("false")
        .doc("Whether those files are compressed, as NAME.0.gz and so on."),
    ]
}

fn category_file(category: &'static str) -> Vec<Key> {
    let mut all = vec![
        key(format!("log.{category}.file"), move |c: &mut Config, _, v: PathBuf| {
            c.log.categories.entry(category.to_owned()).or_default().path = Some(v);
        })
        .doc("File for the lines of this category, which the log file then does not get."),
    ];
    all.extend(rotation(category, move |c| {
        &mut c.log.categories.entry(category.to_owned()).or_default().rotation
    }));
    all
}

fn exchange() -> Vec<Key> {
    let mut all = vec![
        key("log.exchange", |c: &mut Config, _, v| c.log.exchange.is_on = v)
            .default("false")
            .doc("Whether log lines are published to the topic exchange amq.rabbitmq.log of the default virtual host."),
        key("log.exchange.level", |c: &mut Config, _, v| {
            c.log.exchange.level = Some(v)
        })
        .hot(|c, now| c.log.exchange.level = now.log.exchange.level)
        .doc("Least level there."),
    ];
    all.extend(shape("exchange", |c| &mut c.log.exchange.shape));
    all
}

fn level(category: &'static str) -> Key {
    let row = key(format!("log.{category}.level"), move |c: &mut Config, _, v| {
        c.log.levels.insert(category.to_owned(), v);
    })
    .hot(|c, now| c.log.levels = now.log.levels.clone());
    match category {
        "default" => row
            .default("info")
            .doc("Least level of lines that belong to no other category."),
        _ => row.doc("Least level of this category; that of default when not set."),
    }
}

fn console() -> Vec<Key> {
    let mut all = vec![
        key("log.console", |c: &mut Config, _, v| c.log.console.enabled = v)
            .default("false")
            .doc("Whether log lines go to the console."),
        key("log.console.level", |c: &mut Config, _, v| {
            c.log.console.level = Some(v)
        })
        .hot(|c, now| c.log.console.level = now.log.console.level)
        .doc("Least level there."),
        key("log.console.stdio", |c: &mut Config, _, v| c.log.console.stream = v)
            .default("stdout")
            .doc("Which stream."),
        no_effect("log.console.use_colors", "lines have no colours"),
        no_effect("log.console.color_esc_seqs.$level", "lines have no colours"),
    ];
    all.extend(shape("console", |c| &mut c.log.console.shape));
    all
}

fn file() -> Vec<Key> {
    let mut all = vec![
        key("log.dir", |c: &mut Config, _, v: PathBuf| c.log.directory = v)
            .default("/var/log/rabbitmq")
            .doc("Folder of log files."),
        key("log.file", |c: &mut Config, _, v: String| {
            c.log.file.target = Some(match v.as_str() {
                "false" => FileTarget::Off,
                path => FileTarget::Path(path.into()),
            });
        })
        .doc("File name, or false for no file. When not set: NODENAME.log, unless there is a console."),
        key("log.file.level", |c: &mut Config, _, v| c.log.file.level = Some(v))
            .hot(|c, now| c.log.file.level = now.log.file.level)
            .doc("Least level there."),
    ];
    all.extend(shape("file", |c| &mut c.log.file.shape));
    all.extend(rotation("file", |c| &mut c.log.file.rotation));
    all
}

fn others() -> Vec<Key> {
    let mut all = syslog();
    all.extend([
        key("log.journald", |c: &mut Config, _, v| c.log.journal.is_on = v)
            .default("false")
            .doc("Whether log lines go to systemd's journal, over its own socket; a node on a machine without one does not start."),
        key("log.journald.level", |c: &mut Config, _, v| c.log.journal.level = Some(v))
            .hot(|c, now| c.log.journal.level = now.log.journal.level)
            .doc("Least level there."),
        key("log.journald.fields", |c: &mut Config, _, v| c.log.journal.fields = v)
            .doc("What the journal is told with each line besides its text: NAME=source, where sources are priority, level, pid, os_pid, time, domain, a field of the line, or a fixed text in quotes."),
    ]);
    all
}

fn syslog() -> Vec<Key> {
    let host = |name: &'static str| key(name, |c: &mut Config, _, v| c.log.syslog.host = v);
    let mut all = vec![
        key("log.syslog", |c: &mut Config, _, v| c.log.syslog.is_on = v)
            .default("false")
            .doc("Whether log lines go to a syslog server."),
        key("log.syslog.level", |c: &mut Config, _, v| c.log.syslog.level = Some(v))
            .hot(|c, now| c.log.syslog.level = now.log.syslog.level)
            .doc("Least level there."),
        host("log.syslog.host").default("localhost").doc("The server's name."),
        host("log.syslog.ip").doc("Its address instead."),
        key("log.syslog.port", |c: &mut Config, _, v| c.log.syslog.port = v)
            .default("514")
            .doc("Its port."),
        key("log.syslog.protocol", |c: &mut Config, _, v| c.log.syslog.protocol = v)
            .default("rfc3164")
            .doc("As what messages are shaped."),
        key("log.syslog.identity", |c: &mut Config, _, v| c.log.syslog.identity = v)
            .default("rabbitmq")
            .doc("What the node is called there."),
        key("log.syslog.facility", |c: &mut Config, _, v| c.log.syslog.facility = v)
            .default("daemon")
            .doc("Which kind of program it is."),
        key("log.syslog.transport", |c: &mut Config, _, v| c.log.syslog.transport = v)
            .default("udp")
            .doc("How messages travel: one datagram each, or over a connection, each behind its number of octets (RFC 6587)."),
        no_effect("log.syslog.multiline_mode", "every line of a text is a message"),
        key("log.syslog.ssl_options.verify", |c: &mut Config, _, v| c.log.syslog.tls.verify = v)
            .default("verify_peer")
            .doc("Whether the server's certificate is checked. RabbitMQ's default is verify_none: whoever answers then reads the log."),
    ];
    let tls = super::sockets::tls("log.syslog.ssl_options", |c| &mut c.log.syslog.tls);
    let of_a_client =
        |key: &Key| !["verify", "fail_if_no_peer_cert"].contains(&key.name.rsplit('.').next().unwrap_or_default());
    all.extend(tls.into_iter().filter(of_a_client));
    all.push(no_effect(
        "log.syslog.ssl_options.fail_if_no_peer_cert",
        "a server without a certificate speaks no TLS",
    ));
    all.extend(shape("syslog", |c| &mut c.log.syslog.shape));
    all
}
