//! Whole runs against a small broker inside the test: one queue, faults on demand, no storage.

use clap::Parser;
use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};
use wire::{AMQPClass, Deliver, Kind, Method, basic, channel, confirm, connection, exchange, queue};

/// What the broker does wrong.
#[derive(Clone, Copy, PartialEq)]
enum Fault {
    None,
    LosesEveryTenth,
    NacksAll,
    ClosesAfter(u64),
    RefusesDeclare,
}

/// One queue and the connection of its consumer.
#[derive(Default)]
struct Shared {
    consumer: Option<(TcpStream, Vec<u8>)>,
    waiting: VecDeque<Vec<u8>>,
    delivered: u64,
    acked: u64,
    acks: u64,
    deleted: bool,
}

struct Broker {
    uri: String,
    shared: Arc<Mutex<Shared>>,
}

impl Broker {
    fn eventually(&self, holds: impl Fn(&Shared) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !holds(&self.shared.lock().expect("sound")) {
            assert!(Instant::now() < deadline, "it never came true");
            thread::yield_now();
        }
    }
}

fn start(fault: Fault) -> Broker {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let uri = format!("amqp://guest:guest@{}/%2f", listener.local_addr().expect("bound"));
    let shared = Arc::new(Mutex::new(Shared::default()));
    let state = Arc::clone(&shared);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let state = Arc::clone(&state);
            thread::spawn(move || {
                Session {
                    stream,
                    state,
                    fault,
                    published: 0,
                    confirms: false,
                }
                .serve()
            });
        }
    });
    Broker { uri, shared }
}

struct Session {
    stream: TcpStream,
    state: Arc<Mutex<Shared>>,
    fault: Fault,
    published: u64,
    confirms: bool,
}

impl Session {
    /// Reads until the client is gone; a client that goes is no failure of the test.
    fn serve(mut self) {
        let (mut octets, mut piece) = (Vec::new(), [0; 65536]);
        let (mut opened, mut out) = (false, Vec::new());
        while let Ok(count @ 1..) = self.stream.read(&mut piece) {
            octets.extend_from_slice(&piece[..count]);
            if !opened && octets.len() >= 8 {
                octets.drain(..8);
                opened = true;
                let start = connection::Start {
                    mechanisms: "PLAIN".into(),
                    locales: "en_US".into(),
                    ..Default::default()
                };
                wire::method(&mut out, 0, AMQPClass::Connection(connection::AMQPMethod::Start(start)));
            }
            let mut at = 0;
            while let Some((frame, size)) = wire::next_frame(&octets[at..], 0).expect("sound") {
                match frame.kind {
                    Kind::Method => self.method(wire::decode_method(frame.payload).expect("a method"), &mut out),
                    Kind::Body => self.body(frame.payload, &mut out),
                    Kind::Header | Kind::Heartbeat => {}
                }
                at += size;
            }
            octets.drain(..at);
            if self.stream.write_all(&out).is_err() {
                return;
            }
            out.clear();
        }
    }

    fn method(&mut self, method: Method<'_>, out: &mut Vec<u8>) {
        match method {
            Method::Ack { tag, .. } => {
                let mut state = self.state.lock().expect("sound");
                (state.acked, state.acks) = (tag, state.acks + 1);
            }
            Method::Qos { .. } => say(out, AMQPClass::Basic(basic::AMQPMethod::QosOk(basic::QosOk {}))),
            Method::Other(AMQPClass::Basic(basic::AMQPMethod::Consume(consume))) => self.consume(&consume),
            Method::Other(AMQPClass::Connection(method)) => answer_connection(&method, out),
            Method::Other(class) => self.answer(&class, out),
            Method::Publish(_) | Method::Nack { .. } | Method::Reject { .. } => {}
        }
    }

    fn answer(&mut self, class: &AMQPClass, out: &mut Vec<u8>) {
        use queue::AMQPMethod as Queue;
        say(
            out,
            match class {
                AMQPClass::Queue(Queue::Declare(_)) if self.fault == Fault::RefusesDeclare => {
                    let reply_text = "PRECONDITION_FAILED - not today".into();
                    let close = channel::Close {
                        reply_code: 406,
                        reply_text,
                        class_id: 50,
                        method_id: 10,
                    };
                    AMQPClass::Channel(channel::AMQPMethod::Close(close))
                }
                AMQPClass::Queue(Queue::Declare(_)) => AMQPClass::Queue(Queue::DeclareOk(queue::DeclareOk::default())),
                AMQPClass::Queue(Queue::Purge(_)) => AMQPClass::Queue(Queue::PurgeOk(queue::PurgeOk::default())),
                AMQPClass::Queue(Queue::Bind(_)) => AMQPClass::Queue(Queue::BindOk(queue::BindOk {})),
                AMQPClass::Queue(Queue::Delete(_)) => {
                    self.state.lock().expect("sound").deleted = true;
                    AMQPClass::Queue(Queue::DeleteOk(queue::DeleteOk::default()))
                }
                AMQPClass::Exchange(exchange::AMQPMethod::Declare(_)) => {
                    AMQPClass::Exchange(exchange::AMQPMethod::DeclareOk(exchange::DeclareOk {}))
                }
                AMQPClass::Exchange(_) => AMQPClass::Exchange(exchange::AMQPMethod::DeleteOk(exchange::DeleteOk {})),
                AMQPClass::Confirm(_) => {
                    self.confirms = true;
                    AMQPClass::Confirm(confirm::AMQPMethod::SelectOk(confirm::SelectOk {}))
                }
                _ => AMQPClass::Channel(channel::AMQPMethod::OpenOk(channel::OpenOk {})),
            },
        );
    }

    fn consume(&mut self, consume: &basic::Consume) {
        let stream = self.stream.try_clone().expect("a socket");
        let mut state = self.state.lock().expect("sound");
        state.consumer = Some((stream, consume.consumer_tag.as_str().into()));
        while let Some(body) = state.waiting.pop_front() {
            deliver(&mut state, &body);
        }
    }

    /// Every body is one frame here.
    fn body(&mut self, body: &[u8], out: &mut Vec<u8>) {
        self.published += 1;
        let mut state = self.state.lock().expect("sound");
        let kept = match self.fault {
            Fault::LosesEveryTenth => !self.published.is_multiple_of(10),
            Fault::ClosesAfter(count) if self.published == count => {
                let close = connection::Close {
                    reply_code: 320,
                    reply_text: "CONNECTION_FORCED - bye".into(),
                    ..Default::default()
                };
                wire::method(out, 0, AMQPClass::Connection(connection::AMQPMethod::Close(close)));
                false
            }
            Fault::None | Fault::NacksAll | Fault::ClosesAfter(_) | Fault::RefusesDeclare => true,
        };
        match (kept, state.consumer.is_some()) {
            (true, true) => deliver(&mut state, body),
            (true, false) => state.waiting.push_back(body.to_vec()),
            (false, _) => {}
        }
        match self.fault {
            _ if !self.confirms => {}
            Fault::NacksAll => wire::nack(out, 1, self.published, false, false),
            _ => wire::ack(out, 1, self.published, false),
        }
    }
}

fn say(out: &mut Vec<u8>, class: AMQPClass) {
    wire::method(out, 1, class);
}

fn answer_connection(method: &connection::AMQPMethod, out: &mut Vec<u8>) {
    let answer = match method {
        connection::AMQPMethod::StartOk(_) => connection::AMQPMethod::Tune(connection::Tune {
            channel_max: 2047,
            frame_max: 131_072,
            heartbeat: 60,
        }),
        connection::AMQPMethod::Open(_) => connection::AMQPMethod::OpenOk(connection::OpenOk {}),
        _ => return,
    };
    wire::method(out, 0, AMQPClass::Connection(answer));
}

fn deliver(state: &mut Shared, body: &[u8]) {
    state.delivered += 1;
    let delivery_tag = state.delivered;
    let Some((stream, tag)) = &mut state.consumer else {
        return;
    };
    let mut out = Vec::new();
    wire::deliver(
        &mut out,
        &Deliver {
            channel: 1,
            consumer_tag: tag,
            delivery_tag,
            redelivered: false,
            exchange: b"",
            routing_key: b"q",
            properties: &[0, 0],
            body,
            frame_max: 131_072,
        },
    );
    // A consumer that is gone shows in what the run reports.
    let _ = stream.write_all(&out);
}

fn run(broker: &Broker, line: &str) -> Result<perf::Report, String> {
    let words = ["perf", "--uri", &broker.uri, "--quiet"]
        .into_iter()
        .chain(line.split_whitespace());
    perf::run(&perf::Options::try_parse_from(words).expect("options")).map_err(|error| error.to_string())
}

#[test]
fn every_message_published_is_consumed_confirmed_and_acknowledged() {
    let broker = start(Fault::None);
    let report = run(
        &broker,
        "-m 1000 --confirm 50 --in-flight 100 --prefetch 30 --ack-every 30",
    )
    .expect("a run");
    assert_eq!(
        (report.published, report.consumed, report.confirmed),
        (1000, 1000, 1000)
    );
    assert_eq!((report.missing, report.unconfirmed, report.fault()), (0, 0, None));
    assert_eq!(report.latency_us.map(|latency| latency.count), Some(1000));
    assert_eq!(report.confirm_latency_us.map(|latency| latency.count), Some(1000));
    broker.eventually(|state| state.acked >= 990 && state.deleted);
    // One ack for every 30; a slow machine may see some more, for the rest of a pause.
    let acks = broker.shared.lock().expect("sound").acks;
    assert!((33..100).contains(&acks), "{acks}");
}

#[test]
fn a_rate_is_kept_and_a_duration_ends_the_run() {
    let broker = start(Fault::None);
    let report = run(&broker, "--rate 500 --duration 0.5 --auto-ack --keep").expect("a run");
    let due = report.publish_seconds * 500.0;
    assert!(report.publish_seconds >= 0.5 && report.published > 100);
    assert!(report.published as f64 <= due + 2.0, "{} of {due}", report.published);
    assert_eq!(report.consumed, report.published);
    let state = broker.shared.lock().expect("sound");
    assert_eq!((state.acks, state.deleted), (0, false));
}

#[test]
fn messages_refused_by_nacks_are_a_fault() {
    let report = run(&start(Fault::NacksAll), "-m 20 --confirm 5").expect("a run");
    assert_eq!(report.fault().as_deref(), Some("20 messages were refused (basic.nack)"));
}

#[test]
fn messages_that_never_arrive_are_a_fault() {
    let report = run(&start(Fault::LosesEveryTenth), "-m 100 --auto-ack --drain 0.5").expect("a run");
    assert_eq!(report.fault().as_deref(), Some("10 messages never arrived"));
}

#[test]
fn a_broker_that_closes_ends_the_run_with_its_own_words() {
    let error = run(&start(Fault::ClosesAfter(50)), "-m 100000 --in-flight 10").expect_err("closed");
    assert_eq!(error, "the broker refused: 320 CONNECTION_FORCED - bye");
    let error = run(&start(Fault::RefusesDeclare), "-m 1").expect_err("refused");
    assert_eq!(error, "the broker refused: 406 PRECONDITION_FAILED - not today");
}

#[test]
fn a_broker_that_is_not_there_is_named() {
    let nobody = TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a free port");
    let broker = Broker {
        uri: format!("amqp://guest:guest@{nobody}"),
        shared: Arc::default(),
    };
    let error = run(&broker, "-m 1").expect_err("nobody listens");
    assert!(error.starts_with(&format!("cannot connect to {nobody}: ")), "{error}");
}
