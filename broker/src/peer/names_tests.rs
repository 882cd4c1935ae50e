//! The name service over real sockets: nodes find each other, take over from each other, and strangers change nothing.

use super::*;
use std::io::{Read, Write};
use std::net::TcpStream as Raw;
use std::time::Instant;

fn free_port() -> u16 {
    let [address] = crate::ports::free_addresses();
    address.port()
}

/// A node that is found until it is dropped.
struct Member(CancellationToken, tokio::task::JoinHandle<()>);

impl Member {
    fn start(name: &str, port: u16, service: u16) -> Self {
        let stopping = CancellationToken::new();
        let own = Named {
            name: name.to_owned(),
            port,
        };
        let service = NameService {
            port: service,
            addresses: vec![IpAddr::from(Ipv4Addr::LOCALHOST)],
        };
        let task = tokio::spawn(keep(own, service, stopping.clone()));
        Member(stopping, task)
    }

    async fn stop(self) {
        self.0.cancel();
        self.1.await.unwrap();
    }
}

async fn becomes(service: u16, name: &str, port: Option<u16>) {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let found = port_of("127.0.0.1", name, service).await;
        if found == port {
            return;
        }
        assert!(Instant::now() < deadline, "{name}: {found:?}, not {port:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_of_a_host_share_one_service_and_another_takes_over_when_the_serving_one_goes() {
    let service = free_port();
    let first = Member::start("one", 1001, service);
    becomes(service, "one", Some(1001)).await;
    let second = Member::start("two", 1002, service);
    let third = Member::start("three", 1003, service);
    becomes(service, "two", Some(1002)).await;
    becomes(service, "three", Some(1003)).await;
    assert_eq!(port_of("127.0.0.1", "four", service).await, None);
    second.stop().await;
    becomes(service, "two", None).await;
    first.stop().await;
    becomes(service, "three", Some(1003)).await;
    becomes(service, "one", None).await;
    let again = Member::start("one", 1011, service);
    becomes(service, "one", Some(1011)).await;
    again.stop().await;
    third.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_are_found_again_a_moment_after_the_serving_one_has_gone() {
    // What a loaded machine makes of one attempt says nothing.
    let mut shortest = Duration::MAX;
    for _ in 0..3 {
        let service = free_port();
        let first = Member::start("one", 1001, service);
        becomes(service, "one", Some(1001)).await;
        let others = ["two", "three"].map(|name| Member::start(name, 1002, service));
        for name in ["two", "three"] {
            becomes(service, name, Some(1002)).await;
        }
        first.stop().await;
        let gone = Instant::now();
        for name in ["two", "three"] {
            becomes(service, name, Some(1002)).await;
        }
        shortest = shortest.min(gone.elapsed());
        for other in others {
            other.stop().await;
        }
    }
    assert!(shortest < PAUSE / 2, "{shortest:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_belongs_to_the_node_that_had_it_first_and_is_free_again_when_it_goes() {
    let service = free_port();
    let serving = Member::start("serving", 1000, service);
    becomes(service, "serving", Some(1000)).await;
    let first = Member::start("one", 1001, service);
    becomes(service, "one", Some(1001)).await;
    let second = Member::start("one", 1002, service);
    tokio::time::sleep(Duration::from_millis(50)).await;
    becomes(service, "one", Some(1001)).await;
    first.stop().await;
    becomes(service, "one", Some(1002)).await;
    second.stop().await;
    serving.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_with_odd_octets_are_left_and_the_others_are_answered() {
    let service = free_port();
    let member = Member::start("one", 1001, service);
    becomes(service, "one", Some(1001)).await;
    let mut silent = Vec::new();
    for octets in [
        &b"\xff\xff"[..],
        b"\x00\x01k",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x00\x00",
        b"\x00\x09z\xff",
        b"",
    ] {
        let mut raw = Raw::connect(("127.0.0.1", service)).unwrap();
        raw.write_all(octets).unwrap();
        silent.push(raw);
    }
    becomes(service, "one", Some(1001)).await;
    for raw in &mut silent[..4] {
        raw.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut rest = Vec::new();
        // A reset is an end, too.
        let _ = raw.read_to_end(&mut rest);
        assert!(rest.is_empty(), "{rest:?}");
    }
    member.stop().await;
}
