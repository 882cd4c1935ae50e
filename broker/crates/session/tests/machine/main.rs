//! The connection machine against a scripted node: what a client sends, what it is answered, what the node is asked.

mod legs;

use model::{DeliveryTag, ExchangeName, Millis, QueueName, Refusal, ReplyCode, Table, Value};
use session::{
    Answer, Ask, Connection, Fate, Host, Limits, LoginOutcome, Note, Publication, Receipt, Release, Request, Settle,
    Step, UnknownTag,
};
use std::{collections::VecDeque, sync::Arc};
use wire::{AMQPClass, Kind};

/// A node that answers from a script and writes down what it is told.
#[derive(Default)]
struct Node {
    out: Vec<u8>,
    told: Vec<String>,
    fates: VecDeque<Result<Fate, Refusal>>,
    receipts: Vec<Receipt>,
    confirmed: u64,
    holds: bool,
}

impl Host for Node {
    fn out(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    fn publish(&mut self, channel: u16, message: &Publication<'_>, receipt: Receipt) -> Result<Fate, Refusal> {
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        let keys: Vec<String> = message.extra_keys.iter().map(|key| text(key)).collect();
        self.told.push(format!(
            "publish {channel} {:?} {:?} {}{}",
            text(message.exchange),
            text(message.routing_key),
            text(message.body),
            if keys.is_empty() {
                String::new()
            } else {
                format!(" +{}", keys.join(","))
            }
        ));
        if let Some(fault) = message.fault {
            return Err(fault.clone());
        }
        self.receipts.push(receipt);
        self.fates.pop_front().unwrap_or(Ok(Fate::Taken))
    }

    fn forwarded(&mut self, _: u16, forward: &wire::Forward<'_>, message: &Publication<'_>, _: Receipt) -> Fate {
        let queues: Vec<u64> = forward.targets.queues().map(|queue| queue.0).collect();
        let body = String::from_utf8_lossy(message.body).into_owned();
        self.told.push(format!("forwarded {queues:?} {body}"));
        self.fates.pop_front().and_then(Result::ok).unwrap_or(Fate::Taken)
    }

    fn holds_publishes(&mut self) -> bool {
        self.holds
    }

    fn check_publish(&mut self, message: &Publication<'_>) -> Result<(), Refusal> {
        self.told.push("check".into());
        message.fault.map_or(Ok(()), |fault| Err(fault.clone()))
    }

    fn settle(
        &mut self,
        channel: u16,
        tag: DeliveryTag,
        multiple: bool,
        how: Settle,
        held: bool,
    ) -> Result<(), UnknownTag> {
        self.told.push(format!(
            "settle {channel} {} {multiple} {how:?}{}",
            tag.0,
            if held { " held" } else { "" }
        ));
        if tag.0 == 99 { Err(UnknownTag(tag)) } else { Ok(()) }
    }

    fn commit_held(&mut self, channel: u16) {
        self.told.push(format!("commit {channel}"));
    }

    fn return_held(&mut self, channel: u16) {
        self.told.push(format!("rollback {channel}"));
    }

    fn confirmed(&mut self, _channel: u16, count: u64) {
        self.confirmed += count;
    }

    fn note(&mut self, _note: Note<'_>) {}
}

struct Client {
    machine: Connection,
    node: Node,
    unread: Vec<u8>,
}

const OPENING: &[u8] = b"AMQP\0\0\x09\x01";

fn limits() -> Arc<Limits> {
    Arc::new(Limits {
        server_properties: Table::from([("product", "RabbitMQ".into())]),
        mechanisms: "PLAIN AMQPLAIN".into(),
        frame_max: 131_072,
        initial_frame_max: 4096,
        channel_max: 2047,
        heartbeat: 60,
        message_bytes_max: 1_000_000,
        consumers_per_channel: None,
    })
}

impl Client {
    fn new() -> Self {
        Client {
            machine: Connection::new(limits()),
            node: Node::default(),
            unread: Vec::new(),
        }
    }

    /// Sends octets; the last step is returned.
    fn send(&mut self, octets: &[u8]) -> Step {
        self.unread.extend_from_slice(octets);
        let (used, step) = self.machine.advance(&self.unread, &mut self.node);
        self.unread.drain(..used);
        step
    }

    fn method(&mut self, channel: u16, class: AMQPClass) -> Step {
        let mut octets = Vec::new();
        wire::method(&mut octets, channel, class);
        self.send(&octets)
    }

    fn answer(&mut self, answer: Answer) -> Option<Step> {
        let step = self.machine.answer(answer, &mut self.node);
        match step {
            None if !self.unread.is_empty() => Some(self.send(&[])),
            step => step,
        }
    }

    /// What has been written since the last look: class and method ids with channel, or frame kinds.
    fn heard(&mut self) -> Vec<String> {
        let octets = std::mem::take(&mut self.node.out);
        let (mut at, mut heard) = (0, Vec::new());
        while at < octets.len() {
            let Ok(Some((frame, length))) = wire::next_frame(&octets[at..], 0) else {
                heard.push(format!("{:?}", octets[at..].escape_ascii().to_string()));
                break;
            };
            heard.push(match frame.kind {
                Kind::Method => describe(frame.channel, frame.payload),
                other => format!("{other:?}"),
            });
            at += length;
        }
        heard
    }

    fn opened() -> Self {
        let mut client = Client::new();
        client.send(OPENING);
        let login = client.method(0, start_ok("PLAIN", b"\0bob\0pw", &Table::default()));
        assert!(matches!(login, Step::Ask(Ask::LogIn { .. })), "{login:?}");
        assert!(
            client
                .answer(Answer::LoggedIn(LoginOutcome {
                    user: "bob".into(),
                    impersonator: false
                }))
                .is_none()
        );
        client.method(0, tune_ok(2047, 131_072));
        assert!(matches!(client.method(0, open("/")), Step::Ask(Ask::EnterVhost(vhost)) if vhost == "/"));
        assert!(client.answer(Answer::Done).is_none());
        client.heard();
        client
    }

    fn with_channel() -> Self {
        let mut client = Client::opened();
        let step = client.method(1, channel_open());
        assert!(matches!(step, Step::Ask(Ask::Channel(1, Request::OpenChannel))));
        assert!(client.answer(Answer::Done).is_none());
        assert_eq!(client.heard(), ["1 20.11"]);
        client
    }
}

fn describe(channel: u16, payload: &[u8]) -> String {
    let (class, method) = wire::class_method_ids(payload);
    let detail = match wire::decode_method(payload) {
        Ok(wire::Method::Ack { tag, multiple }) => format!(" tag={tag} multiple={multiple}"),
        Ok(wire::Method::Nack { tag, .. }) => format!(" tag={tag}"),
        Ok(wire::Method::Other(AMQPClass::Channel(wire::channel::AMQPMethod::Close(close)))) => {
            format!(
                " {} {}.{} {}",
                close.reply_code, close.class_id, close.method_id, close.reply_text
            )
        }
        Ok(wire::Method::Other(AMQPClass::Connection(wire::connection::AMQPMethod::Close(close)))) => {
            format!(
                " {} {}.{} {}",
                close.reply_code, close.class_id, close.method_id, close.reply_text
            )
        }
        _ => String::new(),
    };
    format!("{channel} {class}.{method}{detail}")
}

fn start_ok(mechanism: &str, response: &[u8], properties: &Table) -> AMQPClass {
    AMQPClass::Connection(wire::connection::AMQPMethod::StartOk(wire::connection::StartOk {
        client_properties: wire::to_field_table(properties).expect("plain values fit"),
        mechanism: mechanism.into(),
        response: response.to_vec().into(),
        locale: "xx".into(),
    }))
}

fn tune_ok(channel_max: u16, frame_max: u32) -> AMQPClass {
    let ok = wire::connection::TuneOk {
        channel_max,
        frame_max,
        heartbeat: 10,
    };
    AMQPClass::Connection(wire::connection::AMQPMethod::TuneOk(ok))
}

fn open(vhost: &str) -> AMQPClass {
    let open = wire::connection::Open {
        virtual_host: vhost.into(),
    };
    AMQPClass::Connection(wire::connection::AMQPMethod::Open(open))
}

fn channel_open() -> AMQPClass {
    AMQPClass::Channel(wire::channel::AMQPMethod::Open(wire::channel::Open {}))
}

fn confirm_select() -> AMQPClass {
    AMQPClass::Confirm(wire::confirm::AMQPMethod::Select(wire::confirm::Select {
        nowait: false,
    }))
}

fn tx(method: wire::tx::AMQPMethod) -> AMQPClass {
    AMQPClass::Tx(method)
}

fn publish(exchange: &str, key: &str, mandatory: bool, properties: &wire::Properties, body: &[u8]) -> Vec<u8> {
    let mut octets = Vec::new();
    let properties = properties.encode().expect("short properties fit");
    wire::publish(
        &mut octets,
        &wire::Publishing {
            channel: 1,
            exchange: exchange.as_bytes(),
            routing_key: key.as_bytes(),
            mandatory,
            properties: &properties,
            body,
            frame_max: 131_072,
        },
    );
    octets
}

fn plain(key: &str, body: &[u8]) -> Vec<u8> {
    publish("", key, false, &wire::Properties::default(), body)
}

#[test]
fn a_foreign_protocol_header_is_answered_with_ours_and_the_socket_closes() {
    let mut client = Client::new();
    assert!(matches!(client.send(b"GET / HTTP/1.1\r\n"), Step::Close));
    assert_eq!(client.node.out, wire::ANSWER);
}

#[test]
fn an_unknown_mechanism_is_met_with_silence() {
    let mut client = Client::new();
    client.send(OPENING);
    client.heard();
    let step = client.method(0, start_ok("KERBEROS", b"", &Table::default()));
    assert!(
        matches!(
            step,
            Step::Linger {
                patience: Millis(3000),
                ..
            }
        ),
        "{step:?}"
    );
    assert!(client.heard().is_empty());
}

#[test]
fn a_refused_login_is_told_only_to_clients_that_announce_they_can_be_told() {
    for (can, expected) in [(true, 1), (false, 0)] {
        let mut client = Client::new();
        client.send(OPENING);
        client.heard();
        let capabilities = Table::from([("authentication_failure_close", Value::Bool(can))]);
        let properties = Table::from([("capabilities", Value::Table(capabilities))]);
        client.method(0, start_ok("PLAIN", b"\0bob\0no", &properties));
        client.answer(Answer::LoginFailed { reason: "no".into() });
        let heard = client.heard();
        assert_eq!(heard.len(), expected, "{heard:?}");
        assert!(
            heard
                .iter()
                .all(|frame| frame.starts_with("0 10.50 403 0.0 ACCESS_REFUSED - Login was refused"))
        );
    }
}

#[test]
fn tuning_outside_the_limits_ends_in_silence() {
    for (channels, frame) in [(5000, 131_072), (2047, 131_073), (0, 131_072), (2047, 0), (2047, 100)] {
        let mut client = Client::new();
        client.send(OPENING);
        client.method(0, start_ok("PLAIN", b"\0bob\0pw", &Table::default()));
        client.answer(Answer::LoggedIn(LoginOutcome {
            user: "bob".into(),
            impersonator: false,
        }));
        client.heard();
        let step = client.method(0, tune_ok(channels, frame));
        assert!(matches!(step, Step::Linger { .. }), "{channels} {frame}: {step:?}");
        assert!(client.heard().is_empty());
    }
}

#[test]
fn a_refused_vhost_is_told_with_530() {
    let mut client = Client::new();
    client.send(OPENING);
    client.method(0, start_ok("PLAIN", b"\0bob\0pw", &Table::default()));
    client.answer(Answer::LoggedIn(LoginOutcome {
        user: "bob".into(),
        impersonator: false,
    }));
    client.method(0, tune_ok(10, 8192));
    client.method(0, open("nope"));
    client.heard();
    let refusal = Refusal::connection(ReplyCode::NotAllowed, "vhost nope not found");
    assert!(matches!(
        client.answer(Answer::Refused(refusal)),
        Some(Step::Linger { deaf: false, .. })
    ));
    assert_eq!(client.heard(), ["0 10.50 530 10.40 NOT_ALLOWED - vhost nope not found"]);
}

#[test]
fn a_publish_arrives_whole_whether_it_comes_at_once_or_octet_by_octet() {
    let octets = publish("x", "k", false, &wire::Properties::default(), b"hello");
    let mut at_once = Client::with_channel();
    at_once.send(&octets);
    let mut in_pieces = Client::with_channel();
    octets.iter().for_each(|octet| drop(in_pieces.send(&[*octet])));
    assert_eq!(at_once.node.told, ["publish 1 \"x\" \"k\" hello"]);
    assert_eq!(in_pieces.node.told, at_once.node.told);
}

#[test]
fn confirms_of_a_batch_are_one_ack_and_a_nack_stands_alone_in_order() {
    let mut client = Client::with_channel();
    client.method(1, confirm_select());
    client.heard();
    client.node.fates = [
        Ok(Fate::Taken),
        Ok(Fate::Taken),
        Ok(Fate::Rejected),
        Ok(Fate::Unroutable),
    ]
    .into();
    let batch: Vec<u8> = (0..4).flat_map(|_| plain("q", b"m")).collect();
    client.send(&batch);
    assert_eq!(
        client.heard(),
        [
            "1 60.80 tag=2 multiple=true",
            "1 60.120 tag=3",
            "1 60.80 tag=4 multiple=false"
        ]
    );
}

/// A channel in confirm mode whose next publishes meet these fates.
fn confirming(fates: &[Fate]) -> Client {
    let mut client = Client::with_channel();
    client.method(1, confirm_select());
    client.heard();
    client.node.fates = fates.iter().map(|fate| Ok(*fate)).collect();
    for _ in fates {
        client.send(&plain("q", b"x"));
    }
    client
}

#[test]
fn a_logged_publish_is_confirmed_when_its_point_is_reached() {
    let mut client = confirming(&[Fate::Logged, Fate::Logged]);
    assert!(client.heard().is_empty());
    let point = client.machine.seal().expect("a confirm waits");
    assert_eq!(client.machine.seal(), None);
    client.machine.reached(point, &mut client.node);
    assert_eq!(client.heard(), ["1 60.80 tag=2 multiple=true"]);
    assert_eq!(client.node.confirmed, 2);
}

#[test]
fn confirms_behind_a_logged_publish_wait_for_it_and_keep_their_order() {
    let mut client = confirming(&[
        Fate::Taken,
        Fate::Logged,
        Fate::Unroutable,
        Fate::Rejected,
        Fate::Logged,
    ]);
    assert_eq!(client.heard(), ["1 60.80 tag=1 multiple=false"]);
    let first = client.machine.seal().expect("a confirm waits");
    client.node.fates = [Ok(Fate::Logged)].into();
    client.send(&plain("q", b"x"));
    let second = client.machine.seal().expect("another one waits");
    assert!(second > first);
    client.machine.reached(first, &mut client.node);
    let told = [
        "1 60.80 tag=3 multiple=true",
        "1 60.120 tag=4",
        "1 60.80 tag=5 multiple=false",
    ];
    assert_eq!(client.heard(), told);
    client.machine.reached(second, &mut client.node);
    assert_eq!(client.heard(), ["1 60.80 tag=6 multiple=false"]);
    assert_eq!(client.node.confirmed, 5);
    client.send(&plain("q", b"x"));
    assert_eq!(client.heard(), ["1 60.80 tag=7 multiple=false"]);
}

#[test]
fn without_confirm_mode_nobody_waits_for_the_log() {
    let mut client = Client::with_channel();
    client.node.fates = [Ok(Fate::Logged)].into();
    client.send(&plain("q", b"x"));
    assert_eq!(client.machine.seal(), None);
}

#[test]
fn a_closed_channel_forgets_what_it_waited_for() {
    let mut client = confirming(&[Fate::Logged]);
    let point = client.machine.seal().expect("a confirm waits");
    let gone = Refusal::channel(ReplyCode::NotFound, "no exchange 'x' in vhost '/'");
    client.node.fates = [Err(gone)].into();
    client.send(&plain("q", b"x"));
    client.answer(Answer::Done);
    client.heard();
    client.machine.reached(point, &mut client.node);
    assert!(client.heard().is_empty());
    assert_eq!(client.node.confirmed, 0);
}

#[test]
fn a_transaction_with_logged_publishes_is_committed_once_they_are_safe() {
    let mut client = Client::with_channel();
    client.method(1, tx(wire::tx::AMQPMethod::Select(wire::tx::Select {})));
    client.node.fates = [Ok(Fate::Taken), Ok(Fate::Logged)].into();
    client.send(&plain("q", b"x"));
    client.send(&plain("q", b"y"));
    client.heard();
    let step = client.method(1, tx(wire::tx::AMQPMethod::Commit(wire::tx::Commit {})));
    assert!(matches!(step, Step::Ask(Ask::AwaitSafe)), "{step:?}");
    assert_eq!(client.node.told.last().map(String::as_str), Some("commit 1"));
    assert!(client.heard().is_empty());
    assert!(client.answer(Answer::Done).is_none());
    assert_eq!(client.heard(), ["1 90.21"]);
}

#[test]
fn an_unroutable_mandatory_message_returns_before_its_confirm() {
    let mut client = Client::with_channel();
    client.method(1, confirm_select());
    client.heard();
    client.node.fates = [Ok(Fate::Unroutable)].into();
    client.send(&publish("x", "nowhere", true, &wire::Properties::default(), b"m"));
    assert_eq!(
        client.heard(),
        ["1 60.50", "Header", "Body", "1 60.80 tag=1 multiple=false"]
    );
}

#[test]
fn a_channel_error_gives_back_what_it_held_and_ignores_the_rest_until_close_ok() {
    let mut client = Client::with_channel();
    let refusal = Refusal::channel(ReplyCode::NotFound, "no exchange 'x' in vhost '/'");
    client.node.fates = [Err(refusal)].into();
    let mut octets = publish("x", "k", false, &wire::Properties::default(), b"a");
    octets.extend(plain("q", b"ignored"));
    assert!(matches!(
        client.send(&octets),
        Step::Ask(Ask::Release(Release::Channel(1)))
    ));
    client.answer(Answer::Done);
    assert_eq!(
        client.heard(),
        ["1 20.40 404 60.40 NOT_FOUND - no exchange 'x' in vhost '/'"]
    );
    assert_eq!(client.node.told.len(), 1, "the second publish is dropped");
    let close_ok = AMQPClass::Channel(wire::channel::AMQPMethod::CloseOk(wire::channel::CloseOk {}));
    client.method(1, close_ok);
    assert!(matches!(
        client.method(1, channel_open()),
        Step::Ask(Ask::Channel(1, Request::OpenChannel))
    ));
}

#[test]
fn a_transaction_publishes_and_settles_at_commit_and_forgets_at_rollback() {
    let mut client = Client::with_channel();
    client.method(1, tx(wire::tx::AMQPMethod::Select(wire::tx::Select {})));
    client.send(&plain("q", b"a"));
    let mut ack = Vec::new();
    wire::ack(&mut ack, 1, 5, false);
    client.send(&ack);
    client.method(1, tx(wire::tx::AMQPMethod::Commit(wire::tx::Commit {})));
    client.send(&plain("q", b"b"));
    client.method(1, tx(wire::tx::AMQPMethod::Rollback(wire::tx::Rollback {})));
    assert_eq!(
        client.node.told,
        [
            "check",
            "settle 1 5 false Ack held",
            "publish 1 \"\" \"q\" a",
            "commit 1",
            "check",
            "rollback 1"
        ]
    );
}

#[test]
fn confirm_and_tx_exclude_each_other() {
    let mut client = Client::with_channel();
    client.method(1, confirm_select());
    client.heard();
    client.method(1, tx(wire::tx::AMQPMethod::Select(wire::tx::Select {})));
    assert_eq!(
        client.heard(),
        ["1 20.40 406 90.10 PRECONDITION_FAILED - cannot switch from confirm to tx mode"]
    );
}

#[test]
fn an_unknown_delivery_tag_closes_the_channel() {
    let mut client = Client::with_channel();
    let mut ack = Vec::new();
    wire::ack(&mut ack, 1, 99, false);
    client.send(&ack);
    assert_eq!(
        client.heard(),
        ["1 20.40 406 60.80 PRECONDITION_FAILED - unknown delivery tag 99"]
    );
}

#[test]
fn frames_out_of_sequence_close_the_connection_with_505() {
    let mut client = Client::with_channel();
    let body = [3, 0, 1, 0, 0, 0, 1, b'x', 0xCE];
    assert!(matches!(
        client.send(&body),
        Step::Ask(Ask::Release(Release::Connection))
    ));
    client.answer(Answer::Done);
    assert_eq!(
        client.heard(),
        ["0 10.50 505 0.0 UNEXPECTED_FRAME - expected method frame, got non method frame instead"]
    );
}

#[test]
fn carbon_copies_add_keys_and_the_blind_ones_are_removed() {
    let mut client = Client::with_channel();
    let headers = Table::from([
        ("CC", Value::Array(vec!["c".into()])),
        ("BCC", Value::Array(vec!["b".into()])),
    ]);
    let properties = wire::Properties {
        headers: Some(headers),
        ..wire::Properties::default()
    };
    client.send(&publish("x", "k", false, &properties, b"m"));
    assert_eq!(client.node.told, ["publish 1 \"x\" \"k\" m +c,b"]);
}

#[test]
fn another_users_id_is_refused() {
    let mut client = Client::with_channel();
    let properties = wire::Properties {
        user_id: Some("alice".into()),
        ..wire::Properties::default()
    };
    client.send(&publish("x", "k", false, &properties, b"m"));
    assert_eq!(
        client.heard(),
        ["1 20.40 406 60.40 PRECONDITION_FAILED - user_id property set to 'alice' but authenticated user was 'bob'"]
    );
}

#[test]
fn binding_without_names_binds_the_last_declared_queue_by_its_name() {
    let mut client = Client::with_channel();
    let declare = wire::queue::Declare {
        queue: "".into(),
        passive: false,
        durable: false,
        exclusive: true,
        auto_delete: false,
        nowait: false,
        arguments: wire::FieldTable::default(),
    };
    client.method(1, AMQPClass::Queue(wire::queue::AMQPMethod::Declare(declare)));
    let name: QueueName = "amq.gen-1".parse().unwrap();
    client.answer(Answer::Queue {
        name,
        ready: 0,
        consumers: 0,
    });
    let bind = wire::queue::Bind {
        queue: "".into(),
        exchange: "x".into(),
        routing_key: "".into(),
        nowait: false,
        arguments: wire::FieldTable::default(),
    };
    let step = client.method(1, AMQPClass::Queue(wire::queue::AMQPMethod::Bind(bind)));
    let Step::Ask(Ask::Channel(1, Request::BindQueue(binding))) = step else {
        panic!("{step:?}")
    };
    assert_eq!(binding.queue.as_str(), "amq.gen-1");
    assert_eq!(binding.key, "amq.gen-1");
    assert_eq!(binding.exchange, "x".parse::<ExchangeName>().unwrap());
}

#[test]
fn a_body_too_large_is_read_to_its_end_and_then_refused() {
    let mut client = Client::with_channel();
    let body = vec![0; 1_000_001];
    client.send(&publish("", "q", false, &wire::Properties::default(), &body));
    assert_eq!(
        client.heard(),
        ["1 20.40 406 60.40 PRECONDITION_FAILED - message size 1000001 is larger than configured max size 1000000"]
    );
    assert!(client.node.told.is_empty());
}

#[test]
fn a_publish_that_another_node_refuses_is_nacked_in_its_place() {
    let mut client = confirming(&[Fate::Logged, Fate::Logged, Fate::Logged]);
    assert_eq!(client.node.receipts, [1, 2, 3].map(Receipt::Confirm));
    let point = client.machine.seal().expect("a confirm waits");
    client.machine.refuse_publishes(1, 2, 2);
    client.machine.refuse_publishes(9, 2, 2);
    assert!(client.heard().is_empty());
    client.machine.reached(point, &mut client.node);
    let told = [
        "1 60.80 tag=1 multiple=false",
        "1 60.120 tag=2",
        "1 60.80 tag=3 multiple=false",
    ];
    assert_eq!(client.heard(), told);
}

#[test]
fn a_publish_that_comes_in_pieces_is_held_like_one_that_comes_whole() {
    let octets = publish("", "q", false, &wire::Properties::default(), b"late");
    let (_, method) = wire::next_frame(&octets, 0).unwrap().unwrap();
    let (_, header) = wire::next_frame(&octets[method..], 0).unwrap().unwrap();
    for cut in [method, method + header, octets.len() - 1] {
        let mut client = Client::with_channel();
        client.send(&octets[..cut]);
        client.node.holds = true;
        client.send(&octets[cut..]);
        assert_eq!(client.node.told, Vec::<String>::new(), "cut at {cut}");
        client.node.holds = false;
        client.send(&[]);
        assert_eq!(client.node.told, ["publish 1 \"\" \"q\" late"], "cut at {cut}");
    }
}
