//! Clients that do not read what they are sent: the broker keeps a bounded part and serves the others.

use std::{
    io::ErrorKind,
    net::Shutdown,
    thread,
    time::{Duration, Instant},
};

use crate::{
    broker::{Broker, until},
    client::Client,
    frames,
};

/// Sends until the broker no longer reads, or `rounds` times; true if it stopped reading.
fn send_until_stuck(client: &mut Client, octets: &[u8], rounds: usize) -> bool {
    use std::io::Write;
    let stuck = Duration::from_millis(700);
    client.socket.set_write_timeout(Some(stuck)).expect("a socket option");
    for _ in 0..rounds {
        match client.socket.write_all(octets) {
            Ok(()) => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return true,
            Err(error) => panic!("the broker hung up: {error}"),
        }
    }
    false
}

#[test]
fn a_consumer_that_stops_reading_gets_everything_later_once_and_in_order() {
    const MESSAGES: u32 = 40_000;
    let broker = Broker::start();
    let mut publisher = broker.client();
    publisher.open_channel(1);
    publisher.declare(1, "backlog");
    let body = |number: u32| [&number.to_be_bytes()[..], &[7; 1020]].concat();
    for number in 0..MESSAGES {
        publisher.publish(1, "", "backlog", &body(number));
    }
    until("all are in the queue", || publisher.declare(1, "backlog") == MESSAGES);
    let before = broker.memory();
    let mut slow = broker.client();
    slow.open_channel(1);
    slow.send(&frames::consume(1, "backlog", "slow", 2));
    until("the broker has sent what the sockets take", || {
        let ready = publisher.declare(1, "backlog");
        broker.serves_others();
        ready == publisher.declare(1, "backlog")
    });
    assert!(publisher.declare(1, "backlog") > 0, "the rest waits in the queue");
    assert!(
        broker.memory() < before + 16,
        "from {before} to {} MiB",
        broker.memory()
    );
    slow.expect((60, 21));
    for number in 0..MESSAGES {
        slow.expect((60, 60));
        assert_eq!(slow.body()[..4], number.to_be_bytes());
    }
}

#[test]
fn a_publisher_that_never_reads_its_returns_is_no_longer_read() {
    let broker = Broker::start();
    let mut client = broker.client();
    client.open_channel(1);
    client.send(&frames::method(1, 85, 10, &[&[0]]));
    client.expect((85, 11));
    let before = broker.memory();
    let flood = frames::publish(1, "", "nowhere", true, &[1; 1000]).repeat(1000);
    assert!(send_until_stuck(&mut client, &flood, 200), "200 MB taken");
    assert!(
        broker.memory() < before + 16,
        "from {before} to {} MiB",
        broker.memory()
    );
    broker.serves_others();
}

#[test]
fn pipelined_gets_of_a_large_message_are_answered_as_fast_as_they_are_read() {
    const ROUNDS: u64 = 1000;
    let broker = Broker::start();
    let mut client = broker.client();
    client.open_channel(1);
    let queue = client.declare_anonymous(1);
    client.publish(1, "", &queue, &vec![1; 1 << 20]);
    client.send(&frames::method(1, 20, 20, &[&[1]]));
    client.expect((20, 21));
    let before = broker.memory();
    let round = |tag| [frames::get(1, &queue, false), frames::requeue(1, tag)].concat();
    let flood: Vec<u8> = (1..=ROUNDS).flat_map(round).collect();
    client.send(&flood);
    broker.serves_others();
    for tag in 1..=ROUNDS {
        let got = client.expect((60, 71));
        assert_eq!(got.payload[4..12], tag.to_be_bytes());
        assert_eq!(client.body().len(), 1 << 20);
        if tag % 100 == 1 {
            let now = broker.memory();
            assert!(now < before + 24, "from {before} to {now} MiB");
        }
    }
}

#[test]
fn a_reader_of_large_messages_does_not_hold_up_its_publisher() {
    let broker = Broker::start();
    let mut slow = broker.client();
    slow.open_channel(1);
    let queue = slow.declare_anonymous(1);
    slow.send(&frames::consume(1, &queue, "slow", 2));
    slow.expect((60, 21));
    let mut publisher = broker.client();
    publisher.open_channel(1);
    let began = Instant::now();
    for _ in 0..30 {
        publisher.publish(1, "", &queue, &vec![1; 1 << 20]);
    }
    publisher.declare_anonymous(1);
    assert!(began.elapsed() < Duration::from_secs(10));
    for _ in 0..30 {
        slow.expect((60, 60));
        assert_eq!(slow.body().len(), 1 << 20);
    }
}

#[test]
fn who_closes_with_deliveries_unread_gets_them_and_then_the_close_ok() {
    const MESSAGES: u32 = 20_000;
    let broker = Broker::start();
    let mut client = broker.client();
    client.open_channel(1);
    client.declare(1, "backlog");
    for _ in 0..MESSAGES {
        client.publish(1, "", "backlog", &[7; 1024]);
    }
    until("all are in the queue", || client.declare(1, "backlog") == MESSAGES);
    let mut slow = broker.client();
    slow.open_channel(1);
    slow.send(&frames::consume(1, "backlog", "slow", 2));
    until("the broker has sent what the sockets take", || {
        let ready = client.declare(1, "backlog");
        broker.serves_others();
        ready == client.declare(1, "backlog")
    });
    slow.send(&frames::close_connection());
    let mut deliveries = 0;
    loop {
        let frame = slow.next().expect("the close-ok comes before the end of the stream");
        match frame.ids() {
            (10, 51) => break,
            (60, 60) => deliveries += 1,
            _ => {}
        }
    }
    assert!(deliveries > 0 && deliveries < MESSAGES, "{deliveries}");
    // As RabbitMQ, the broker leaves it to the client to end the stream.
    slow.socket.shutdown(Shutdown::Write).expect("a socket option");
    assert!(slow.next().is_none(), "nothing after the close-ok");
}

#[test]
fn a_client_that_closes_at_a_delivery_from_another_gets_its_close_ok() {
    let broker = Broker::start();
    thread::scope(|threads| {
        for number in 0..4 {
            let broker = &broker;
            threads.spawn(move || close_at_deliveries(broker, &format!("queue {number}")));
        }
    });
}

/// The publisher's task has just written the delivery and may still hold the flusher's role when the close comes.
fn close_at_deliveries(broker: &Broker, queue: &str) {
    let mut publisher = broker.client();
    publisher.open_channel(1);
    publisher.declare(1, queue);
    for _ in 0..500 {
        let mut consumer = broker.client();
        consumer.open_channel(1);
        consumer.send(&frames::consume(1, queue, "c", 2));
        consumer.expect((60, 21));
        publisher.publish(1, "", queue, b"m");
        consumer.expect((60, 60));
        consumer.body();
        consumer.send(&frames::close_connection());
        consumer.expect((10, 51));
    }
}
