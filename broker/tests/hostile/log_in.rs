//! Peers that do not log in, or not as they should, and peers that fall silent.

use std::time::{Duration, Instant};

use crate::{
    broker::{Broker, PATIENCE, until},
    client::{Client, GREETING},
    frames,
};

fn greeted(broker: &Broker) -> Client {
    let mut client = Client::new(broker.connect());
    client.send(GREETING);
    client.expect((10, 10));
    client
}

#[test]
fn a_half_open_socket_is_closed_at_the_handshake_timeout() {
    let broker = Broker::start_with("handshake_timeout = 1500");
    let began = Instant::now();
    let mut silent = Client::new(broker.connect());
    let mut started = greeted(&broker);
    assert!(silent.ends_in_silence_within(PATIENCE));
    assert!(started.ends_in_silence_within(PATIENCE));
    let took = began.elapsed();
    assert!(
        took >= Duration::from_millis(1400) && took < Duration::from_secs(6),
        "{took:?}"
    );
}

#[test]
fn a_client_without_heartbeats_is_given_up_after_two_intervals() {
    let broker = Broker::start();
    let mut client = Client::log_in(broker.connect(), 1);
    let began = Instant::now();
    assert!(client.next().is_none(), "only heartbeats come");
    let took = began.elapsed();
    assert!(
        took >= Duration::from_millis(1800) && took < Duration::from_secs(6),
        "{took:?}"
    );
}

#[test]
fn a_wrong_password_is_met_with_silence_unless_the_client_can_be_told() {
    let broker = Broker::start();
    let mut plain = greeted(&broker);
    let mut able = greeted(&broker);
    let began = Instant::now();
    plain.send(&frames::start_ok("guest", "wrong", &[]));
    able.send(&frames::start_ok(
        "guest",
        "wrong",
        &frames::capability("authentication_failure_close"),
    ));
    let (code, text) = able.expect((10, 50)).closing();
    assert_eq!(code, 403, "{text}");
    assert!(began.elapsed() < Duration::from_secs(2), "at once");
    assert!(plain.ends_in_silence_within(PATIENCE));
    assert!(began.elapsed() >= Duration::from_millis(2800), "after three seconds");
}

#[test]
fn an_unknown_virtual_host_is_refused_with_530() {
    let broker = Broker::start();
    let mut client = greeted(&broker);
    client.send(&frames::start_ok("guest", "guest", &[]));
    client.expect((10, 30));
    client.send(&frames::tune_ok(10, 4096, 0));
    client.send(&frames::open("nowhere"));
    let (code, text) = client.expect((10, 50)).closing();
    assert_eq!((code, text.as_str()), (530, "NOT_ALLOWED - vhost nowhere not found"));
}

#[test]
fn a_peer_whose_log_in_failed_cannot_make_the_broker_keep_a_frame() {
    let broker = Broker::start();
    let mut client = greeted(&broker);
    client.send(&frames::start_ok("guest", "wrong", &[]));
    client.send(&frames::head(3, 1, 0x7fff_ffff));
    let before = broker.memory();
    let flood = vec![0; 1 << 20];
    let mut sent = 0;
    until("the broker has hung up or taken 200 MiB", || {
        sent += 1;
        sent > 200 || !client.send_if_wanted(&flood)
    });
    let grown = broker.memory().saturating_sub(before);
    assert!(grown < 20, "{grown} MiB kept for a stranger");
    broker.serves_others();
}
