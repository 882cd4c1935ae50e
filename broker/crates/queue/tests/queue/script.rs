//! The language of the transcripts: `publish a ttl=5; subscribe c1 prefetch=1; ack 1`.
//!
//! Deliveries that want an acknowledgement are numbered from 1 in the order in which they happen.

use model::{Millis, Overflow};
use queue::{Settings, Settle};

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Letter {
    pub(crate) name: String,
    pub(crate) bytes: u64,
    pub(crate) priority: u8,
    pub(crate) ttl: Option<u64>,
    pub(crate) persistent: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reader {
    pub(crate) id: u64,
    pub(crate) no_ack: bool,
    pub(crate) prefetch: u16,
    pub(crate) exclusive: bool,
    pub(crate) priority: i32,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Command {
    Publish(Letter),
    Subscribe(Reader),
    Cancel(u64),
    /// The sink takes nothing more for this consumer.
    Block(u64),
    /// The sink takes again and says so.
    Ready(u64),
    Get {
        no_ack: bool,
    },
    Settle(Settle, Vec<usize>),
    Depart(Vec<u64>, Vec<usize>),
    Purge,
    /// Time passes, nobody calls.
    Wait(u64),
    Tick,
    /// The host has room for so many letters.
    Room(usize),
    /// The host says that it has room again.
    GoOn,
    Redeclare,
    Set(Settings),
    /// The answer to a request for a page, of those open in order; some of its messages are lost.
    Load {
        which: usize,
        lost: Vec<String>,
    },
    /// The host is short of memory: at most so many octets.
    Shrink(u64),
    /// The queue begins anew with what lasts, dealt out in turn to the pages named.
    Restart(Vec<usize>),
    /// The queue becomes a copy and a queue again; pages that were asked for may come in between.
    HandOver {
        answers: bool,
    },
    Delete,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Setup {
    pub(crate) settings: Settings,
    pub(crate) auto_delete: bool,
}

/// A script: `queue …` (optional, first) and the commands after it.
pub(crate) fn parse(script: &str) -> (Setup, Vec<Command>) {
    let mut setup = Setup::default();
    let mut commands = Vec::new();
    for line in script.split(';').map(str::trim).filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        if words[0] == "queue" {
            assert!(commands.is_empty(), "`queue` comes first");
            setup = Setup {
                settings: settings(&words[1..]),
                auto_delete: words.contains(&"auto-delete"),
            };
        } else {
            commands.push(command(&words));
        }
    }
    (setup, commands)
}

fn command(words: &[&str]) -> Command {
    let arg = words.get(1).copied().unwrap_or_default();
    match words[0] {
        "publish" => Command::Publish(letter(arg, &words[2..])),
        "subscribe" => Command::Subscribe(reader(arg, &words[2..])),
        "cancel" => Command::Cancel(consumer(arg)),
        "block" => Command::Block(consumer(arg)),
        "ready" => Command::Ready(consumer(arg)),
        "get" => Command::Get {
            no_ack: arg == "no-ack",
        },
        "ack" => Command::Settle(Settle::Ack, numbers(arg)),
        "requeue" => Command::Settle(Settle::Requeue, numbers(arg)),
        "reject" => Command::Settle(Settle::Reject, numbers(arg)),
        "depart" => depart(&words[1..]),
        "purge" => Command::Purge,
        "wait" => Command::Wait(arg.parse().unwrap()),
        "tick" => Command::Tick,
        "room" => Command::Room(arg.parse().unwrap()),
        "go-on" => Command::GoOn,
        "redeclare" => Command::Redeclare,
        "set" => Command::Set(settings(&words[1..])),
        "load" => load(arg, &words[1..]),
        "shrink" => Command::Shrink(kib(arg)),
        "restart" if arg.is_empty() => Command::Restart(vec![0]),
        "restart" => Command::Restart(numbers(arg)),
        "hand-over" => Command::HandOver {
            answers: arg == "answers",
        },
        "delete" => Command::Delete,
        other => panic!("no such command: {other}"),
    }
}

fn kib(word: &str) -> u64 {
    word.parse::<u64>().unwrap() * 1_024
}

/// `load` or `load 2`, and `lost=a,b`.
fn load(arg: &str, words: &[&str]) -> Command {
    let lost = words.iter().find_map(|word| word.strip_prefix("lost="));
    let lost = lost.map(|names| names.split(',').map(str::to_owned).collect());
    Command::Load {
        which: arg.parse().map_or(0, |number: usize| number - 1),
        lost: lost.unwrap_or_default(),
    }
}

fn consumer(word: &str) -> u64 {
    word.strip_prefix('c')
        .and_then(|digits| digits.parse().ok())
        .unwrap_or_else(|| panic!("no consumer: {word}"))
}

fn numbers(word: &str) -> Vec<usize> {
    word.split(',').map(|digits| digits.parse().unwrap()).collect()
}

fn depart(words: &[&str]) -> Command {
    let (consumers, deliveries): (Vec<&str>, Vec<&str>) = words.iter().partition(|word| word.starts_with('c'));
    Command::Depart(
        consumers.into_iter().map(consumer).collect(),
        deliveries.into_iter().flat_map(numbers).collect(),
    )
}

fn letter(name: &str, words: &[&str]) -> Letter {
    let mut letter = Letter {
        name: name.to_owned(),
        bytes: 1,
        priority: 0,
        ttl: None,
        persistent: false,
    };
    for word in words {
        match word.split_once('=') {
            Some(("bytes", n)) => letter.bytes = n.parse().unwrap(),
            Some(("priority", n)) => letter.priority = n.parse().unwrap(),
            Some(("ttl", n)) => letter.ttl = Some(n.parse().unwrap()),
            None if *word == "persistent" => letter.persistent = true,
            _ => panic!("no such property: {word}"),
        }
    }
    letter
}

fn reader(name: &str, words: &[&str]) -> Reader {
    let mut reader = Reader {
        id: consumer(name),
        no_ack: false,
        prefetch: 0,
        exclusive: false,
        priority: 0,
    };
    for word in words {
        match (*word, word.split_once('=')) {
            (_, Some(("prefetch", n))) => reader.prefetch = n.parse().unwrap(),
            (_, Some(("priority", n))) => reader.priority = n.parse().unwrap(),
            ("no-ack", None) => reader.no_ack = true,
            ("exclusive", None) => reader.exclusive = true,
            _ => panic!("no such wish: {word}"),
        }
    }
    reader
}

fn settings(words: &[&str]) -> Settings {
    let mut settings = Settings::default();
    for word in words {
        match (*word, word.split_once('=')) {
            (_, Some(("ttl", n))) => settings.message_ttl = Some(Millis(n.parse().unwrap())),
            (_, Some(("expires", n))) => settings.expires = Some(Millis(n.parse().unwrap())),
            (_, Some(("max-length", n))) => settings.max_length = Some(n.parse().unwrap()),
            (_, Some(("max-bytes", n))) => settings.max_length_bytes = Some(n.parse().unwrap()),
            (_, Some(("kib", n))) => settings.resident_bytes_max = kib(n),
            (_, Some(("max-priority", n))) => settings.max_priority = Some(n.parse().unwrap()),
            (_, Some(("delivery-limit", n))) => settings.delivery_limit = Some(n.parse().unwrap()),
            ("reject-publish", None) => settings.overflow = Overflow::RejectPublish,
            ("reject-publish-dlx", None) => settings.overflow = Overflow::RejectPublishDlx,
            ("durable", None) => settings.durable = true,
            ("replicated", None) => settings.replicated = true,
            ("in-turn", None) => settings.returns_in_turn = true,
            ("dlx", None) => settings.dead_letters = true,
            ("single-active", None) => settings.single_active_consumer = true,
            ("auto-delete", None) => {}
            _ => panic!("no such setting: {word}"),
        }
    }
    settings
}
