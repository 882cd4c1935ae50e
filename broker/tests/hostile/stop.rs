//! SIGTERM while clients are busy, deaf, or only half there: all are told, and the process ends.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use crate::{broker::Broker, client::Client, frames};

#[test]
fn at_sigterm_under_load_clients_are_told_and_the_process_ends() {
    let mut broker = Broker::start();
    let mut deaf = broker.client();
    deaf.open_channel(1);
    deaf.declare(1, "load");
    deaf.send(&frames::consume(1, "load", "deaf", 2));
    let half_open = broker.connect();
    let mut idle = broker.client();
    let loaded = AtomicBool::new(false);
    thread::scope(|threads| {
        for _ in 0..2 {
            let mut publisher = broker.client();
            publisher.open_channel(1);
            let loaded = &loaded;
            threads.spawn(move || publish_until_told(&mut publisher, loaded));
        }
        while !loaded.load(Ordering::Relaxed) {
            thread::yield_now();
        }
        broker.terminate();
        let (code, text) = idle.expect((10, 50)).closing();
        assert_eq!(
            (code, text.as_str()),
            (
                320,
                "CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'"
            )
        );
        idle.send(&frames::method(0, 10, 51, &[]));
    });
    assert_eq!(broker.exit_code(Duration::from_secs(15)), Some(0));
    drop((deaf, half_open));
}

/// Publishes on an open channel without pause until the broker closes.
fn publish_until_told(client: &mut Client, loaded: &AtomicBool) {
    let flood = frames::publish(1, "", "load", false, &[1; 1000]).repeat(100);
    for round in 0.. {
        loaded.fetch_or(round > 20, Ordering::Relaxed);
        if !client.send_if_wanted(&flood) {
            return;
        }
        client.socket.set_nonblocking(true).expect("a socket option");
        let told = client.socket.peek(&mut [0; 1]).is_ok();
        client.socket.set_nonblocking(false).expect("a socket option");
        if told {
            assert_eq!(client.expect((10, 50)).closing().0, 320);
            client.send_if_wanted(&frames::method(0, 10, 51, &[]));
            return;
        }
    }
}
