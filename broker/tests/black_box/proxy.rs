//! The PROXY protocol: the broker believes the header about who its client is, and serves nobody without one.

use crate::{
    broker::{Broker, connect, connect_tls, works},
    certificates::{Authority, directory},
};
use std::net::SocketAddr;
use tokio::{
    io::{AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
};

const V1: &[u8] = b"PROXY TCP4 192.0.2.7 192.0.2.1 4242 5672\r\n";
const V1_UNKNOWN: &[u8] = b"PROXY UNKNOWN\r\n";
const V1_IPV6: &[u8] = b"PROXY TCP6 2001:db8::7 2001:db8::1 4242 5672\r\n";
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07\xc0\0\x02\x01\x10\x92\x16\x28";
const V2_LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
const ANYBODY: &str = "proxy_protocol = true\nloopback_users = none";

/// A load balancer in front of `broker` that begins each connection with `header`.
async fn balancer(broker: SocketAddr, header: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut server = TcpStream::connect(broker).await.unwrap();
            server.write_all(header).await.unwrap();
            // Either side may go first; the other then goes as well.
            tokio::spawn(async move { copy_bidirectional(&mut client, &mut server).await });
        }
    });
    address
}

/// How many clients have been accepted whose name begins so.
fn accepted(broker: &Broker, name: &str) -> usize {
    let is_meant = |line: &&str| line.contains("accepting AMQP connection") && line.contains(&format!("({name}"));
    broker.log().lines().filter(is_meant).count()
}

#[tokio::test]
async fn the_header_of_either_version_names_the_client() {
    let broker = Broker::start(ANYBODY);
    for (header, name) in [
        (V1, "192.0.2.7:4242 -> 192.0.2.1:5672"),
        (V2, "192.0.2.7:4242 -> 192.0.2.1:5672"),
        (V1_IPV6, "[2001:db8::7]:4242 -> [2001:db8::1]:5672"),
        (V1_UNKNOWN, "127.0.0.1:"),
        (V2_LOCAL, "127.0.0.1:"),
    ] {
        let seen = || accepted(&broker, name);
        let before = seen();
        let address = balancer(broker.amqp, header).await;
        works(&connect(address, "guest:guest@").await.unwrap()).await;
        assert_eq!(seen(), before + 1, "{}", broker.log());
    }
}

#[tokio::test]
async fn without_a_good_header_nobody_is_served() {
    let broker = Broker::start(ANYBODY);
    assert!(connect(broker.amqp, "guest:guest@").await.is_err());
    let nonsense = balancer(broker.amqp, b"PROXY TCP4 300.0.2.7 192.0.2.1 4242 5672\r\n").await;
    assert!(connect(nonsense, "guest:guest@").await.is_err());
    works(&connect(balancer(broker.amqp, V1).await, "guest:guest@").await.unwrap()).await;
}

#[tokio::test]
async fn a_user_of_this_host_only_may_not_come_from_elsewhere_through_the_proxy() {
    let broker = Broker::start("proxy_protocol = true");
    let refused = connect(balancer(broker.amqp, V2).await, "guest:guest@")
        .await
        .unwrap_err()
        .to_string();
    assert!(refused.contains("ACCESS_REFUSED"), "{refused}");
    works(
        &connect(balancer(broker.amqp, V2_LOCAL).await, "guest:guest@")
            .await
            .unwrap(),
    )
    .await;
}

#[tokio::test]
async fn tls_begins_behind_the_header() {
    let authority = Authority::new("ours");
    let broker = Broker::start_with_tls(directory(&authority), ANYBODY);
    let address = balancer(broker.tls, V2).await;
    works(&connect_tls(address, "", authority.trusted()).await.unwrap()).await;
    assert!(accepted(&broker, "192.0.2.7:4242") == 1, "{}", broker.log());
}
