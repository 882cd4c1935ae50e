//! Dead letters that breed: queues whose messages die at once and come again to all the others. Their number grows with
//! the factorial of the queues, so nothing may wait until they are all gone.

use std::time::{Duration, Instant};

use crate::{
    broker::{Broker, PATIENCE, until},
    client::Client,
    frames::{self, long, pair, short},
};

/// A string as the value of an argument.
fn text(value: &str) -> Vec<u8> {
    [&b"S"[..], &long(value.as_bytes())].concat()
}

fn ttl(ms: u32) -> Vec<u8> {
    pair("x-message-ttl", &[&b"I"[..], &ms.to_be_bytes()].concat())
}

/// Arguments of a queue whose messages die and go to a queue of this name.
fn dying_into(target: &str) -> Vec<u8> {
    [
        pair("x-dead-letter-exchange", &text("")),
        pair("x-dead-letter-routing-key", &text(target)),
    ]
    .concat()
}

fn declare_with(client: &mut Client, name: &str, arguments: &[u8]) {
    client.send(&frames::declare_queue(1, name, 0, arguments));
    client.expect((50, 11));
}

fn connected(broker: &Broker) -> Client {
    let mut client = broker.client();
    client.open_channel(1);
    client
}

/// Queues whose messages die at once, and all of whose letters go to all of them.
fn declare_breeders(broker: &Broker, count: usize) {
    let mut client = connected(broker);
    client.send(&frames::method(
        1,
        40,
        10,
        &[&[0, 0], &short("again"), &short("fanout"), &[0], &long(&[])],
    ));
    client.expect((40, 11));
    let arguments = [ttl(0), pair("x-dead-letter-exchange", &text("again"))].concat();
    for number in 0..count {
        let name = format!("breeder-{number}");
        declare_with(&mut client, &name, &arguments);
        client.send(&frames::method(
            1,
            50,
            20,
            &[&[0, 0], &short(&name), &short("again"), &short(""), &[0], &long(&[])],
        ));
        client.expect((50, 21));
    }
}

/// The longest and the middle one of some round trips of a bystander.
fn round_trips(client: &mut Client, queue: &str) -> (Duration, Duration) {
    let mut took: Vec<Duration> = (0..200)
        .map(|_| {
            let begun = Instant::now();
            client.publish(1, "", queue, b"hello");
            assert_eq!(client.get(1, queue).expect("the message just published"), b"hello");
            begun.elapsed()
        })
        .collect();
    took.sort();
    (took[took.len() - 1], took[took.len() / 2])
}

const BREEDERS: usize = 14;
/// A queue may keep 32 MiB of its messages in memory, and the node 128 MiB of letters.
const MEMORY_MIB: u64 = 32 * BREEDERS as u64 + 128 + 50;

#[test]
fn letters_that_breed_without_end_take_nobodys_turn_and_bounded_memory() {
    let broker = Broker::start();
    broker.serves_others();
    declare_breeders(&broker, BREEDERS);
    let mut bystander = connected(&broker);
    let queue = bystander.declare_anonymous(1);
    let before = broker.memory();
    let mut attackers: Vec<Client> = (0..8).map(|_| connected(&broker)).collect();
    for attacker in &mut attackers {
        attacker.publish(1, "again", "", &[7; 1000]);
    }
    for _ in 0..5 {
        let (longest, middle) = round_trips(&mut bystander, &queue);
        assert!(
            middle < Duration::from_millis(100),
            "middle {middle:?}, longest {longest:?}"
        );
        assert!(
            broker.memory() < before + MEMORY_MIB,
            "from {before} to {} MiB",
            broker.memory()
        );
        // Those who caused it are served as well.
        for attacker in &mut attackers {
            let queue = attacker.declare_anonymous(1);
            attacker.publish(1, "", &queue, b"hello");
            assert_eq!(attacker.get(1, &queue).expect("the message just published"), b"hello");
        }
    }
    for number in 0..BREEDERS {
        bystander.send(&frames::delete_queue(1, &format!("breeder-{number}"), 0));
        bystander.expect((50, 41));
    }
    broker.serves_others();
}

#[test]
fn many_letters_at_once_arrive_in_the_order_in_which_they_died() {
    const MESSAGES: u32 = 20_000;
    let broker = Broker::start();
    let mut client = connected(&broker);
    client.declare(1, "dead");
    declare_with(&mut client, "short-lived", &[ttl(1500), dying_into("dead")].concat());
    declare_with(&mut client, "unwanted", &dying_into("dead"));
    for number in 0..MESSAGES {
        client.publish(1, "", "short-lived", &number.to_be_bytes());
    }
    until("all have expired", || client.declare(1, "dead") == MESSAGES);
    for number in 0..MESSAGES {
        assert_eq!(client.get(1, "dead").as_deref(), Some(&number.to_be_bytes()[..]));
    }
    for number in 0..MESSAGES {
        client.publish(1, "", "unwanted", &number.to_be_bytes());
        client.send(&frames::get(1, "unwanted", false));
        client.expect((60, 71));
        client.body();
    }
    client.send(&frames::method(1, 60, 120, &[&0u64.to_be_bytes(), &[1]]));
    until("all are rejected", || client.declare(1, "dead") == MESSAGES);
    for number in 0..MESSAGES {
        assert_eq!(client.get(1, "dead").as_deref(), Some(&number.to_be_bytes()[..]));
    }
}

#[test]
fn a_flood_into_a_full_queue_goes_on_at_the_pace_of_its_letters() {
    const MESSAGES: u32 = 60_000;
    let broker = Broker::start();
    let mut client = connected(&broker);
    client.declare(1, "dead");
    let arguments = [
        pair("x-max-length", &[&b"I"[..], &1u32.to_be_bytes()].concat()),
        dying_into("dead"),
    ];
    declare_with(&mut client, "small", &arguments.concat());
    let before = broker.memory();
    for number in 0..MESSAGES {
        client.publish(1, "", "small", &[&number.to_be_bytes()[..], &[7; 1000]].concat());
    }
    let deadline = Instant::now() + PATIENCE;
    while client.declare(1, "dead") < MESSAGES - 1 {
        assert!(Instant::now() < deadline, "letters are missing");
        broker.serves_others();
    }
    assert_eq!(
        client.get(1, "small").map(|body| body[..4].to_vec()),
        Some((MESSAGES - 1).to_be_bytes().to_vec())
    );
    assert!(
        broker.memory() < before + 60,
        "from {before} to {} MiB",
        broker.memory()
    );
}

const KEPT_MAX: u32 = 8_192;

/// Gets so many without acknowledging, fewer if there are none, and rejects them; returns how many.
fn reject(client: &mut Client, queue: &str, count: u32) -> u32 {
    let mut got = 0;
    while got < count {
        client.send(&frames::get(1, queue, false));
        match client.next().expect("an answer to basic.get").ids() {
            (60, 71) => client.body(),
            _ => break,
        };
        got += 1;
    }
    client.send(&frames::method(1, 60, 120, &[&0u64.to_be_bytes(), &[1]]));
    got
}

#[test]
fn a_queue_whose_letters_nobody_takes_keeps_so_many_and_hands_out_nothing_until_somebody_does() {
    const MESSAGES: u32 = KEPT_MAX + 2_000;
    let broker = Broker::start();
    let mut client = connected(&broker);
    let arguments = [
        pair("x-queue-type", &text("quorum")),
        pair("x-overflow", &text("reject-publish")),
        pair("x-dead-letter-strategy", &text("at-least-once")),
        dying_into("late"),
    ];
    client.send(&frames::declare_queue(1, "source", 2, &arguments.concat()));
    client.expect((50, 11));
    for number in 0..MESSAGES {
        client.publish(1, "", "source", &number.to_be_bytes());
    }
    let mut rejected = 0;
    until("no more can be kept", || {
        let some = reject(&mut client, "source", 100);
        rejected += some;
        rejected >= KEPT_MAX && some == 0
    });
    assert!(rejected < MESSAGES, "{rejected}");
    client.send(&frames::consume(1, "source", "c", 0));
    client.expect((60, 21));
    broker.serves_others();
    let mut other = connected(&broker);
    assert_eq!(other.get(1, "source"), None);
    assert_eq!(other.declare(1, "late"), 0);
    until("all letters have arrived", || other.declare(1, "late") == rejected);
    for number in rejected..MESSAGES {
        client.expect((60, 60));
        assert_eq!(client.body(), number.to_be_bytes(), "what waited is handed out");
    }
    let mut arrived: Vec<_> = std::iter::from_fn(|| other.get(1, "late")).collect();
    arrived.sort_unstable();
    let expected: Vec<_> = (0..rejected).map(|number| number.to_be_bytes().to_vec()).collect();
    assert_eq!(arrived, expected);
}
