//! Clients of an HTTP port that take what they can: time, connections, an answer that they never read.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
};

use crate::{
    broker::{Broker, PATIENCE, until},
    frames,
    ports::free_addresses,
};

/// A broker whose management port has these bounds, and where that is.
fn bounded(bounds: &[&str]) -> (Broker, SocketAddr) {
    let [address] = free_addresses();
    let mut settings = format!(
        "management.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {}\n",
        address.port()
    );
    for bound in bounds {
        settings.push_str(&format!("management.tcp.{bound}\n"));
    }
    (Broker::start_with(&settings), address)
}

fn connect(address: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(address).expect("the port accepts");
    socket.set_read_timeout(Some(PATIENCE)).expect("a socket option");
    socket.set_write_timeout(Some(PATIENCE)).expect("a socket option");
    socket
}

/// What is sent before the end of the stream; panics when it does not end.
fn rest(mut socket: TcpStream) -> String {
    let mut text = Vec::new();
    match socket.read_to_end(&mut text) {
        Err(error) if error.kind() != ErrorKind::ConnectionReset => panic!("the stream does not end: {error}"),
        _ => String::from_utf8_lossy(&text).into_owned(),
    }
}

const WHOAMI: &str = "GET /api/whoami HTTP/1.1\r\nHost: b\r\nAuthorization: Basic Z3Vlc3Q6Z3Vlc3Q=\r\n";

fn is_answered(address: SocketAddr) {
    let mut socket = connect(address);
    write!(socket, "{WHOAMI}Connection: close\r\n\r\n").expect("the broker reads");
    let answer = rest(socket);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn who_never_ends_the_head_of_a_request_is_hung_up_on() {
    let (broker, address) = bounded(&["request_timeout = 300"]);
    let slow: Vec<_> = (0..50)
        .map(|octets| {
            let mut socket = connect(address);
            socket
                .write_all(&WHOAMI.as_bytes()[..octets])
                .expect("the broker reads");
            socket
        })
        .collect();
    is_answered(address);
    slow.into_iter().for_each(|socket| drop(rest(socket)));
    broker.serves_others();
}

#[test]
fn who_never_ends_the_body_of_a_request_gets_408() {
    let (broker, address) = bounded(&["inactivity_timeout = 300"]);
    let mut slow = connect(address);
    let head = WHOAMI.replace("GET /api/whoami", "PUT /api/vhosts/slow");
    write!(slow, "{head}Content-Length: 100\r\n\r\n{{").expect("the broker reads");
    let answer = rest(slow);
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    is_answered(address);
    broker.serves_others();
}

#[test]
fn a_flood_of_connections_is_taken_in_portions_and_others_are_served() {
    const MOST: usize = 8;
    let (broker, address) = bounded(&["request_timeout = 300", &format!("max_connections = {MOST}")]);
    let before = broker.descriptors();
    let flood: Vec<_> = (0..100).map(|_| connect(address)).collect();
    for _ in 0..5 {
        broker.serves_others();
        // A few for those just served and for the one who looks.
        let more = broker.descriptors().saturating_sub(before);
        assert!(more <= MOST + 6, "{more} more descriptors");
    }
    is_answered(address);
    flood.into_iter().for_each(|socket| drop(rest(socket)));
}

#[test]
fn who_takes_nothing_of_the_answers_is_hung_up_on() {
    let (broker, address) = bounded(&["idle_timeout = 300"]);
    let before = broker.descriptors();
    let mut deaf = connect(address);
    let flood = format!("{WHOAMI}\r\n").repeat(1000);
    while deaf.write_all(flood.as_bytes()).is_ok() {}
    until("the broker has hung up", || broker.descriptors() <= before);
    is_answered(address);
    broker.serves_others();
}

#[test]
fn a_look_at_all_messages_of_a_large_queue_holds_nobody_up_and_takes_a_bounded_part() {
    const MESSAGES: u32 = 200_000;
    let (broker, address) = bounded(&[]);
    let mut client = broker.client();
    client.open_channel(1);
    client.declare(1, "large");
    let flood = frames::publish(1, "", "large", false, &[b'm'; 1000]).repeat(1000);
    (0..MESSAGES / 1000).for_each(|_| client.send(&flood));
    until("all are in the queue", || client.declare(1, "large") == MESSAGES);
    let before = broker.memory();
    let mut looking = connect(address);
    let body = r#"{"count": 1000000000, "ackmode": "ack_requeue_true", "encoding": "auto", "truncate": 1}"#;
    let head = WHOAMI.replace("GET /api/whoami", "POST /api/queues/%2F/large/get");
    write!(
        looking,
        "{head}Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .expect("the broker reads");
    let answer = std::thread::spawn(move || rest(looking));
    while !answer.is_finished() {
        broker.serves_others();
        // The queue itself is served, too.
        client.declare(1, "large");
        assert!(
            broker.memory() < before + 500,
            "from {before} to {} MiB",
            broker.memory()
        );
    }
    let answer = answer.join().expect("an answer");
    assert!(
        answer.starts_with("HTTP/1.1 200"),
        "{}",
        &answer[..answer.len().min(200)]
    );
    assert!(answer.matches("payload_bytes").count() > 1000);
    until("all are back", || client.declare(1, "large") == MESSAGES);
}
