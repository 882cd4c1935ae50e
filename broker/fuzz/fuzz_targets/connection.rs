//! Feeds hostile octets to a whole connection (I14), from the first octet or after a log-in as the input's first octet says, cut into
//! pieces as a network might. The node behind it says yes to everything, so that every state can be reached. Any panic,
//! hang or huge allocation ends the run with the input that caused it.

#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use model::{DeliveryTag, QueueName, Refusal, Table};
use session::{
    Answer, Ask, Connection, Fate, Host, Limits, LoginOutcome, Note, Publication, Receipt, Request, Settle, Step,
    UnknownTag,
};

/// Octets that a connection may have written before the run counts as a flood.
const OUT_BYTES_MAX: usize = 16 << 20;

fuzz_target!(|input: &[u8]| {
    let Some((&[mode, piece], octets)) = input.split_first_chunk::<2>() else {
        return;
    };
    let mut connection = Connection::new(Arc::new(limits()));
    let mut node = Node::default();
    let opening = if mode & 1 == 0 { Vec::new() } else { log_in() };
    let whole = [&opening, octets].concat();
    if mode & 1 == 1 {
        assert!(
            feed(&mut connection, &mut node, &opening).is_some(),
            "the log-in itself must pass"
        );
        assert!(connection.is_open());
    }
    let rest = &whole[opening.len()..];
    let mut unread = Vec::new();
    for part in rest.chunks(usize::from(piece) + 1) {
        unread.extend_from_slice(part);
        let Some(used) = feed(&mut connection, &mut node, &unread) else {
            return;
        };
        unread.drain(..used);
    }
    let _facts = connection.channel_facts();
    connection.force_close("the run is over", &mut node);
});

/// Hands over octets and answers every question; how many were used, or `None` when the connection is over.
fn feed(connection: &mut Connection, node: &mut Node, octets: &[u8]) -> Option<usize> {
    let mut used = 0;
    loop {
        let (count, step) = connection.advance(&octets[used..], node);
        used += count;
        assert!(used <= octets.len());
        assert!(node.out.len() < OUT_BYTES_MAX, "answers without end");
        match answered(connection, node, step) {
            None => {} // every question is answered: go on reading
            Some(Step::NeedBytes | Step::Linger { deaf: false, .. }) => return Some(used),
            Some(Step::Ask(_)) => unreachable!("`answered` leaves no question"),
            Some(Step::Close | Step::Linger { deaf: true, .. }) => return None,
        }
    }
}

/// Answers until no question is left; what else is to be done, if anything.
fn answered(connection: &mut Connection, node: &mut Node, mut step: Step) -> Option<Step> {
    while let Step::Ask(ask) = step {
        step = connection.answer(yes(&ask), node)?;
    }
    Some(step)
}

/// The answer that lets the client go on.
fn yes(ask: &Ask) -> Answer {
    match ask {
        Ask::LogIn { .. } => Answer::LoggedIn(LoginOutcome {
            user: "guest".into(),
            impersonator: false,
        }),
        Ask::EnterVhost(_) | Ask::UpdateSecret(_) | Ask::AwaitSafe | Ask::CatchUp(_) | Ask::Release(_) => Answer::Done,
        Ask::Channel(_, request) => yes_on_channel(request),
    }
}

fn yes_on_channel(request: &Request) -> Answer {
    match request {
        Request::DeclareQueue(declare) => Answer::Queue {
            name: declare
                .name
                .clone()
                .unwrap_or_else(|| "amq.gen-1".parse::<QueueName>().expect("a name")),
            ready: 1,
            consumers: 0,
        },
        Request::DeleteQueue { .. } | Request::PurgeQueue(_) => Answer::Count(1),
        Request::Consume(consume) => Answer::Consuming(consume.tag.clone().unwrap_or_else(|| "amq.ctag-1".into())),
        Request::Get { .. } => Answer::Empty,
        _ => Answer::Done,
    }
}

fn limits() -> Limits {
    Limits {
        server_properties: Table::default(),
        mechanisms: "PLAIN AMQPLAIN".into(),
        frame_max: 131_072,
        initial_frame_max: 8192,
        channel_max: 2047,
        heartbeat: 60,
        message_bytes_max: 1 << 20,
        consumers_per_channel: Some(8),
    }
}

/// What an ordinary client sends until its first channel is open.
fn log_in() -> Vec<u8> {
    let method = |channel: u8, payload: &[u8]| {
        let size = u32::try_from(payload.len()).expect("short").to_be_bytes();
        [&[1, 0, channel], &size[..], payload, &[0xce]].concat()
    };
    let start_ok = b"\x00\x0a\x00\x0b\x00\x00\x00\x00\x05PLAIN\x00\x00\x00\x0c\x00guest\x00guest\x05en_US";
    let tune_ok = b"\x00\x0a\x00\x1f\x07\xff\x00\x02\x00\x00\x00\x3c";
    let open = b"\x00\x0a\x00\x28\x01/\x00\x00";
    let channel_open = b"\x00\x14\x00\x0a\x00";
    [
        b"AMQP\x00\x00\x09\x01".to_vec(),
        method(0, start_ok),
        method(0, tune_ok),
        method(0, open),
        method(1, channel_open),
    ]
    .concat()
}

/// A node that does what it is asked and remembers nothing but what it wrote.
#[derive(Default)]
struct Node {
    out: Vec<u8>,
}

impl Host for Node {
    fn out(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    fn publish(&mut self, _channel: u16, message: &Publication<'_>, _receipt: Receipt) -> Result<Fate, Refusal> {
        match message.fault {
            Some(refusal) => Err(refusal.clone()),
            None if message.routing_key.is_empty() => Ok(Fate::Unroutable),
            None => Ok(Fate::Taken),
        }
    }

    fn check_publish(&mut self, _message: &Publication<'_>) -> Result<(), Refusal> {
        Ok(())
    }

    fn settle(&mut self, _: u16, tag: DeliveryTag, _: bool, _: Settle, _: bool) -> Result<(), UnknownTag> {
        if tag.0 % 2 == 0 { Ok(()) } else { Err(UnknownTag(tag)) }
    }

    fn commit_held(&mut self, _channel: u16) {}

    fn return_held(&mut self, _channel: u16) {}

    fn note(&mut self, note: Note<'_>) {
        let _text = format!("{note:?}"); // formatting must not fail either
    }
}
