//! Octets that are no AMQP, or not enough of it: refused as RabbitMQ refuses them, and forgotten.

use std::{
    io::{Read, Write},
    time::{Duration, Instant},
};

use crate::{
    broker::{Broker, PATIENCE},
    client::{Client, GREETING},
    frames,
};

/// RabbitMQ's silence after a broken handshake, before it closes.
const SILENCE: Duration = Duration::from_secs(3);

#[test]
fn a_foreign_protocol_header_is_answered_with_ours() {
    let broker = Broker::start();
    for greeting in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"AMQP\x03\x01\x00\x00",
        b"\x16\x03\x01\x02\x00\x01\x00\x01",
    ] {
        let mut socket = broker.connect();
        socket.write_all(greeting).expect("the broker reads");
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).expect("an answer, then the end");
        assert_eq!(answer, GREETING, "to {greeting:?}");
    }
    broker.serves_others();
}

#[test]
fn broken_octets_before_log_in_end_in_silence() {
    let broker = Broker::start();
    let deep = frames::start_ok("guest", "guest", &frames::nested(3000));
    assert!(deep.len() > 18_000);
    let attacks = [
        ("a table nested 3000 deep", deep),
        ("a frame announced larger than allowed", frames::head(1, 0, 0x7fff_ffff)),
        ("garbage", vec![0xAA; 5000]),
        ("a method cut off", frames::frame(1, 0, &[0, 10])),
        ("a method out of order", frames::open("/")),
    ];
    let attacked = |octets: &[u8]| {
        let mut client = Client::new(broker.connect());
        client.send(GREETING);
        client.expect((10, 10));
        client.send_if_wanted(octets);
        client
    };
    let began = Instant::now();
    let mut clients: Vec<_> = attacks.iter().map(|(what, octets)| (what, attacked(octets))).collect();
    broker.serves_others();
    for (what, client) in &mut clients {
        assert!(client.ends_in_silence_within(PATIENCE), "{what}");
        assert!(
            began.elapsed() >= SILENCE - Duration::from_millis(200),
            "{what}: too early"
        );
    }
}

#[test]
fn broken_frames_of_an_open_connection_close_it_with_501() {
    let broker = Broker::start();
    let attacks = [
        ("garbage", vec![0xAA; 300]),
        ("an oversize frame", frames::head(3, 1, 131_073)),
        ("a wrong end octet", [frames::head(1, 0, 1), vec![0, 0]].concat()),
        ("an unknown type", frames::frame(77, 0, &[])),
    ];
    for (what, octets) in attacks {
        let mut client = broker.client();
        client.send(&octets);
        let (code, text) = client.expect((10, 50)).closing();
        assert_eq!(code, 501, "{what}: {text}");
    }
    broker.serves_others();
}

#[test]
fn frames_may_come_one_octet_at_a_time() {
    let broker = Broker::start();
    let mut client = Client::new(broker.connect());
    let trickle = |client: &mut Client, octets: &[u8]| octets.chunks(1).for_each(|octet| client.send(octet));
    trickle(&mut client, GREETING);
    client.expect((10, 10));
    trickle(&mut client, &frames::start_ok("guest", "guest", &[]));
    client.expect((10, 30));
    trickle(&mut client, &frames::tune_ok(10, 4096, 0));
    trickle(&mut client, &frames::open("/"));
    client.expect((10, 41));
    client.open_channel(1);
    let queue = client.declare_anonymous(1);
    trickle(&mut client, &frames::publish(1, "", &queue, false, b"slowly"));
    assert_eq!(client.get(1, &queue).as_deref(), Some(&b"slowly"[..]));
}
