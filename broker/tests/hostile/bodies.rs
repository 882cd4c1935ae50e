//! Bodies that are announced, begun, held back in transactions, or given up: kept only as far as they have come.

use crate::{
    broker::{Broker, until},
    client::Client,
    frames,
};

#[test]
fn an_announced_body_of_two_to_the_63_octets_is_not_allocated_for() {
    let broker = Broker::start();
    let mut client = broker.client();
    client.open_channel(1);
    let before = broker.memory();
    client.send(&frames::publish_method(1, "", "q", false));
    client.send(&frames::header(1, 1 << 63, &[0, 0]));
    let piece = frames::frame(3, 1, &[1; 131_064]);
    for _ in 0..800 {
        if !client.send_if_wanted(&piece) {
            break;
        }
    }
    assert!(
        broker.memory() < before + 16,
        "from {before} to {} MiB",
        broker.memory()
    );
    client.vanish();
    broker.serves_others();
}

#[test]
fn half_a_message_is_forgotten_with_its_connection() {
    let broker = Broker::start();
    let before = broker.memory();
    let mut client = broker.client();
    client.open_channel(1);
    client.send(&frames::publish_method(1, "", "q", false));
    client.send(&frames::header(1, 100 << 20, &[0, 0]));
    let piece = frames::frame(3, 1, &[1; 131_064]);
    (0..500).for_each(|_| client.send(&piece));
    client.vanish();
    until("the memory is given back", || broker.memory() < before + 16);
}

/// A broker whose memory alarm is on from its first look.
fn in_alarm() -> Broker {
    Broker::start_with("vm_memory_high_watermark.absolute = 1MB")
}

/// True if the broker no longer reads what the client sends.
fn gets_stuck(client: &mut Client, octets: &[u8], rounds: usize) -> bool {
    use std::{io::Write, time::Duration};
    let stuck = Duration::from_millis(700);
    client.socket.set_write_timeout(Some(stuck)).expect("a socket option");
    (0..rounds).any(|_| client.socket.write_all(octets).is_err())
}

#[test]
fn half_messages_on_many_channels_are_stopped_by_the_memory_alarm() {
    let broker = in_alarm();
    let mut client = broker.client();
    (1..=100).for_each(|channel| client.open_channel(channel));
    let begun = |channel| {
        [
            frames::publish_method(channel, "", "q", false),
            frames::header(channel, 100 << 20, &[0, 0]),
        ]
    };
    client.send(&(1..=100).flat_map(begun).flatten().collect::<Vec<u8>>());
    let pieces: Vec<u8> = (1..=100)
        .flat_map(|channel| frames::frame(3, channel, &[1; 10_000]))
        .collect();
    assert!(gets_stuck(&mut client, &pieces, 100), "100 MB taken in an alarm");
}

#[test]
fn a_transaction_is_stopped_by_the_memory_alarm() {
    let broker = in_alarm();
    let mut client = broker.client();
    client.open_channel(1);
    client.send(&frames::method(1, 90, 10, &[]));
    client.expect((90, 11));
    let flood = frames::publish(1, "", "q", false, &[1; 10_000]).repeat(100);
    assert!(gets_stuck(&mut client, &flood, 100), "100 MB taken in an alarm");
}

#[test]
fn a_rollback_forgets_its_publishes() {
    let broker = Broker::start();
    let mut client = broker.client();
    client.open_channel(1);
    client.send(&frames::method(1, 90, 10, &[]));
    client.expect((90, 11));
    let flood = frames::publish(1, "", "q", false, &[1; 100_000]).repeat(300);
    let mut run = |times| {
        for _ in 0..times {
            client.send(&flood);
            client.send(&frames::method(1, 90, 30, &[]));
            client.expect((90, 31));
        }
    };
    run(2);
    let before = broker.memory();
    run(8);
    assert!(
        broker.memory() < before + 40,
        "from {before} to {} MiB",
        broker.memory()
    );
}

#[test]
fn a_memory_alarm_clears_once_what_filled_the_memory_is_gone_and_publishers_go_on() {
    let broker = Broker::start_with("vm_memory_high_watermark.absolute = 150MB");
    // A backlog would leave the memory; what waits for a commit cannot.
    let in_transaction = || {
        let mut client = broker.client();
        client.open_channel(1);
        client.send(&frames::method(1, 90, 10, &[]));
        client.expect((90, 11));
        client
    };
    let flood = frames::publish(1, "", "backlog", false, &[1; 1000]).repeat(1000);
    let (mut first, mut second) = (in_transaction(), in_transaction());
    (0..60).for_each(|_| first.send(&flood));
    // All of it is read before the alarm: a client with publishes under way would not be heard rolling back.
    first.declare(1, "after what the first client sent");
    assert!(
        gets_stuck(&mut second, &flood, 1000),
        "1 GB taken with a limit of 150 MB"
    );
    first.send(&frames::method(1, 90, 30, &[]));
    first.expect((90, 31));
    let mut other = broker.client();
    other.open_channel(1);
    other.publish(1, "", "nowhere", b"m");
    other.declare(1, "answered once the alarm is over");
}
