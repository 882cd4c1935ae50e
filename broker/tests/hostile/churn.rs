//! Queues that come and go under publishers and consumers, and connections that die with theirs.

use std::{
    thread,
    time::{Duration, Instant},
};

use crate::{
    broker::{Broker, until},
    client::Client,
    frames,
};

/// How long the churn lasts.
const SPAN: Duration = Duration::from_secs(5);

#[test]
fn queues_that_come_and_go_under_load_neither_lock_up_nor_leave_anything() {
    let broker = Broker::start();
    broker.serves_others();
    let descriptors = broker.descriptors();
    let end = Instant::now() + SPAN;
    thread::scope(|threads| {
        let broker = &broker;
        for number in 0..8 {
            threads.spawn(move || {
                while Instant::now() < end {
                    match number % 4 {
                        0 => publish(broker, end),
                        1 => redeclare(broker, end),
                        2 => consume_and_vanish(broker, number),
                        _ => own_and_vanish(broker),
                    }
                }
            });
        }
        while Instant::now() < end {
            assert!(broker.is_alive());
            thread::sleep(Duration::from_millis(100));
        }
    });
    broker.serves_others();
    until("dead connections are forgotten", || {
        broker.descriptors() <= descriptors + 2
    });
    let mut client = broker.client();
    client.open_channel(1);
    client.send(&frames::declare_queue(1, "churn", 0, &[]));
    let ok = client.expect((50, 11));
    assert_eq!(
        ok.payload[ok.payload.len() - 4..],
        [0; 4],
        "a consumer haunts the queue"
    );
}

fn publish(broker: &Broker, end: Instant) {
    let mut client = broker.client();
    client.open_channel(1);
    let flood = frames::publish(1, "", "churn", false, &[1; 100]).repeat(50);
    while Instant::now() < end {
        client.send(&flood);
        client.send(&frames::publish(1, "", "owned", false, b"x"));
        client.declare_anonymous(1);
    }
}

fn redeclare(broker: &Broker, end: Instant) {
    let mut client = broker.client();
    client.open_channel(1);
    while Instant::now() < end {
        client.send(
            &[
                frames::declare_queue(1, "churn", 16, &[]),
                frames::delete_queue(1, "churn", 4),
            ]
            .concat(),
        );
        client.declare_anonymous(1);
    }
}

/// Whether the queue is there just now is a matter of luck, so answers are not judged.
fn consume_and_vanish(broker: &Broker, number: usize) {
    let mut client = broker.client();
    client.open_channel(1);
    let declare = frames::declare_queue(1, "churn", 16, &[]);
    client.send(&[declare, frames::consume(1, "churn", &format!("c{number}"), 0)].concat());
    answered(&mut client);
    client.vanish();
}

/// An exclusive queue that another connection publishes to while this one dies.
fn own_and_vanish(broker: &Broker) {
    let mut client = broker.client();
    client.open_channel(1);
    let owned = frames::declare_queue(1, "owned", 4 | 16, &[]);
    client.send(&[owned, frames::consume(1, "owned", "owner", 2)].concat());
    answered(&mut client);
    client.vanish();
}

fn answered(client: &mut Client) {
    assert!(client.next().is_some(), "an answer of whatever kind");
}

#[test]
fn queues_deleted_long_before_they_expire_leave_nothing_behind() {
    let broker = Broker::start();
    let mut client = broker.client();
    client.open_channel(1);
    let a_month = [&b"l"[..], &2_592_000_000_i64.to_be_bytes()].concat();
    let declare = frames::declare_queue(1, "expiring", 16, &frames::pair("x-expires", &a_month));
    let rounds = [declare, frames::delete_queue(1, "expiring", 4)].concat().repeat(250);
    let mut run = |times| {
        for _ in 0..times {
            client.send(&rounds);
            client.declare_anonymous(1);
        }
    };
    // The log of definitions has reached its length by then.
    run(20);
    let before = broker.memory();
    run(80);
    assert!(broker.memory() < before + 4, "from {before} to {} MiB", broker.memory());
}
