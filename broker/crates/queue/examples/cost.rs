//! What the queue itself costs, without sockets, frames and locks.
//!
//! `cargo run --release -p queue --example cost` prints nanoseconds per message of each scenario (median of five);
//! with `-- instructions` it counts instructions instead (needs valgrind), a figure that noise does not move.
//! Not a test: it judges nothing.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::io::Write;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use model::{ConsumerId, Millis, PageId, Seq};
use queue::{
    Copied, Copy, CopySink, Death, Delivery, DirectSink, Facts, Fetched, Incoming, Message, NEVER, Paged, Queue,
    Retire, Settings, Settle, Sink, Slot, Stored, Subscription, Taken,
};

/// Messages of a timed round.
const TIMED_MESSAGES: u64 = 1_000_000;
/// Messages of the shorter of two counted rounds; the longer has twice as many, start-up cancels out.
const COUNTED_MESSAGES: u64 = 20_000;

/// A name, and what to do with so many messages.
type Scenario = (&'static str, fn(u64));

const SCENARIOS: [Scenario; 10] = [
    ("publish, direct to a no-ack consumer", direct_no_ack),
    ("publish, direct to a consumer, ack", direct_ack),
    ("publish, direct to one of 100 consumers, ack", direct_ack_of_100),
    ("publish, keep, get without ack", keep_get),
    ("publish, keep, get, ack", keep_get_ack),
    ("backlog of all, then one consumer", backlog),
    ("backlog of all in 10 priorities, then one consumer", backlog_priorities),
    ("backlog of all in pages above 4 MiB, then one consumer", backlog_paged),
    ("a copy, 100 messages behind one that stays", copy_follows),
    ("backlog of all, shown to a mirror in batches of 4096", backlog_shown),
];

#[derive(Clone)]
struct Kept(Arc<[u8; 16]>);

impl Message for Kept {
    fn body_bytes(&self) -> u64 {
        self.0.len() as u64
    }

    fn is_persistent(&self) -> bool {
        false
    }

    fn resident_bytes(&self) -> u64 {
        self.0.len() as u64 + 16
    }
}

struct Arriving<'a> {
    body: &'a [u8; 16],
    priority: u8,
}

impl Incoming for Arriving<'_> {
    type Message = Kept;

    fn facts(&self) -> Facts {
        Facts {
            body_bytes: self.body.len() as u64,
            priority: self.priority,
            ttl: None,
            persistent: false,
        }
    }

    fn keep(&mut self) -> Kept {
        Kept(Arc::new(*self.body))
    }
}

/// Takes everything and remembers the last slot.
#[derive(Default)]
struct Swallow {
    delivered: u64,
    slot: Option<Slot>,
    pages: BTreeMap<PageId, Vec<Paged<Kept>>>,
    pages_ever: u64,
    wanted: Option<PageId>,
}

impl Swallow {
    fn take(&mut self, body: &[u8; 16], delivery: Delivery) -> Taken {
        black_box(body);
        self.delivered += 1;
        self.slot = delivery.slot;
        Taken::Yes
    }
}

impl Sink<Kept, u32> for Swallow {
    fn subscribed(&mut self, _: &u32) {}

    fn offer(&mut self, _: &u32, message: &Kept, delivery: Delivery) -> Taken {
        self.take(&message.0, delivery)
    }

    fn has_room_for_letter(&mut self) -> bool {
        true
    }

    fn dead_letter(&mut self, _: Kept, _: Option<Seq>, _: Death) {}
    fn removed(&mut self, _: Seq, _: Seq, _: bool) {}
    fn returned(&mut self, _: Seq, _: u32) {}

    fn page_out(&mut self, _: u8, messages: Vec<Paged<Kept>>) -> PageId {
        self.pages_ever += 1;
        let page = PageId(self.pages_ever);
        self.pages.insert(page, messages);
        page
    }

    fn load(&mut self, page: PageId) {
        self.wanted = Some(page);
    }

    fn discard(&mut self, _: PageId) {}
    fn activated(&mut self, _: &u32) {}
    fn cancelled(&mut self, _: &u32) {}
    fn retire(&mut self, _: Retire) {}
}

impl DirectSink<Arriving<'_>, u32> for Swallow {
    fn offer_direct(&mut self, _: &u32, incoming: &Arriving<'_>, delivery: Delivery) -> Taken {
        self.take(incoming.body, delivery)
    }

    fn store(&mut self, _: Stored, _: &mut Arriving<'_>) {}
}

impl CopySink<Kept> for Swallow {
    fn removed(&mut self, _: Seq, _: Seq) {}

    fn page_out(&mut self, level: u8, messages: Vec<Paged<Kept>>) -> PageId {
        Sink::page_out(self, level, messages)
    }

    fn discard(&mut self, _: PageId) {}
}

/// A queue with its sink, publishing the same body again and again.
struct Rig {
    queue: Queue<Kept, u32>,
    sink: Swallow,
}

const NOW: Millis = Millis(1);

impl Rig {
    fn new(settings: Settings) -> Self {
        Self {
            queue: Queue::new(settings, false, NOW),
            sink: Swallow::default(),
        }
    }

    fn subscribe(&mut self, id: u32, no_ack: bool) {
        let wish = Subscription {
            id: ConsumerId(id.into()),
            handle: id,
            no_ack,
            prefetch: 100,
            exclusive: false,
            priority: 0,
        };
        self.queue
            .subscribe(NOW, wish, &mut self.sink)
            .expect("nobody else consumes exclusively");
    }

    fn publish(&mut self, priority: u8) {
        let mut incoming = Arriving {
            body: black_box(&[7; 16]),
            priority,
        };
        black_box(self.queue.publish(NOW, &mut incoming, &mut self.sink));
    }

    fn ack(&mut self) {
        let slot = self.sink.slot.take().expect("just delivered");
        self.queue
            .settle(NOW, slot, Settle::Ack, &mut self.sink)
            .expect("settled once");
    }

    fn get(&mut self, no_ack: bool) {
        match black_box(self.queue.get(NOW, no_ack, &mut self.sink)) {
            Fetched::Got(got) => self.sink.slot = got.delivery.slot,
            Fetched::Empty | Fetched::Loading => panic!("a message was just published"),
        }
    }
}

fn direct_no_ack(messages: u64) {
    let mut rig = Rig::new(Settings::default());
    rig.subscribe(1, true);
    (0..messages).for_each(|_| rig.publish(0));
    assert_eq!(rig.sink.delivered, messages);
}

fn direct_ack(messages: u64) {
    let mut rig = Rig::new(Settings::default());
    rig.subscribe(1, false);
    publish_and_ack(&mut rig, messages);
}

fn direct_ack_of_100(messages: u64) {
    let mut rig = Rig::new(Settings::default());
    (1..=100).for_each(|id| rig.subscribe(id, false));
    publish_and_ack(&mut rig, messages);
}

fn publish_and_ack(rig: &mut Rig, messages: u64) {
    for _ in 0..messages {
        rig.publish(0);
        rig.ack();
    }
}

fn keep_get(messages: u64) {
    let mut rig = Rig::new(Settings::default());
    for _ in 0..messages {
        rig.publish(0);
        rig.get(true);
    }
}

fn keep_get_ack(messages: u64) {
    let mut rig = Rig::new(Settings::default());
    for _ in 0..messages {
        rig.publish(0);
        rig.get(false);
        rig.ack();
    }
}

fn all_in_memory() -> Settings {
    Settings {
        resident_bytes_max: u64::MAX,
        ..Settings::default()
    }
}

/// The store costs nothing here: pages are kept as they are.
fn backlog_paged(messages: u64) {
    let mut rig = Rig::new(Settings::default());
    (0..messages).for_each(|_| rig.publish(0));
    rig.subscribe(1, true);
    while let Some(page) = rig.sink.wanted.take() {
        let messages = rig.sink.pages.remove(&page).expect("paged out before");
        assert_eq!(rig.queue.loaded(NOW, page, messages, &mut rig.sink), 0);
    }
    assert_eq!(rig.sink.delivered, messages);
}

fn backlog(messages: u64) {
    fill_and_drain(Rig::new(all_in_memory()), messages, 1);
}

fn backlog_priorities(messages: u64) {
    fill_and_drain(
        Rig::new(Settings {
            max_priority: Some(9),
            ..all_in_memory()
        }),
        messages,
        10,
    );
}

fn copy_follows(messages: u64) {
    let (mut copy, mut sink) = (Copy::new(&all_in_memory()), Swallow::default());
    for seq in 1..=messages {
        let copied = Copied {
            seq: Seq(seq),
            level: 0,
            expires: NEVER,
            delivery_count: 0,
            delivered: false,
            message: Kept(Arc::new(*black_box(&[7; 16]))),
        };
        copy.enqueue(copied, &mut sink);
        let gone = Seq(seq.saturating_sub(100).max(2));
        copy.remove(gone, gone, &mut sink);
    }
    assert!(copy.tally().messages <= 102);
}

fn backlog_shown(messages: u64) {
    let mut rig = Rig::new(all_in_memory());
    (0..messages).for_each(|_| rig.publish(0));
    let mut shown = 0;
    for first in (1..=messages).step_by(4096) {
        let batch = [(Seq(first), Seq(first + 4095))];
        rig.queue.peek(&batch, queue::Portion::ALL, |copied| {
            black_box(copied.message);
            shown += 1;
        });
    }
    assert_eq!(shown, messages);
}

fn fill_and_drain(mut rig: Rig, messages: u64, levels: u64) {
    (0..messages).for_each(|n| rig.publish(u8::try_from(n % levels).expect("few levels")));
    rig.subscribe(1, true);
    assert_eq!(rig.sink.delivered, messages);
}

#[allow(clippy::disallowed_methods, reason = "a stopwatch outside the machine")]
fn nanoseconds(scenario: fn(u64)) -> u128 {
    let mut rounds = [0; 5].map(|_: u128| {
        let start = Instant::now();
        scenario(TIMED_MESSAGES);
        start.elapsed().as_nanos() / u128::from(TIMED_MESSAGES)
    });
    rounds.sort_unstable();
    rounds[2]
}

/// Instructions of one scenario with so many messages, as callgrind counts them.
fn instructions(scenario: usize, messages: u64) -> u64 {
    let program = std::env::current_exe().expect("a running program has a path");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args(["round".to_owned(), scenario.to_string(), messages.to_string()])
        .output()
        .expect("valgrind is installed");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let collected = text.lines().find_map(|line| line.split_once("Collected :"));
    let (_, count) = collected.unwrap_or_else(|| panic!("callgrind said:\n{text}"));
    count.trim().parse().expect("a count")
}

fn print_line(line: &str) {
    writeln!(std::io::stdout(), "{line}").expect("standard output is open");
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["round", scenario, messages] => {
            let scenario: usize = scenario.parse().expect("a scenario's number");
            SCENARIOS[scenario].1(messages.parse().expect("a number of messages"));
        }
        ["instructions"] => {
            for (number, (name, _)) in SCENARIOS.iter().enumerate() {
                let spent = instructions(number, 2 * COUNTED_MESSAGES) - instructions(number, COUNTED_MESSAGES);
                print_line(&format!("{:6} instructions  {name}", spent / COUNTED_MESSAGES));
            }
        }
        _ => {
            for (name, scenario) in SCENARIOS {
                print_line(&format!("{:6} ns  {name}", nanoseconds(scenario)));
            }
        }
    }
}
