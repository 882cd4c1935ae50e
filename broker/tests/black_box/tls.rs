//! TLS listeners: who is let in, and certificates that change while the broker runs.

use crate::{
    broker::{Broker, PATIENCE, connect_tls, works},
    certificates::{Authority, directory},
    ports::free_addresses,
};
use std::{
    io::{Read, Write},
    time::{Duration, Instant},
};

const OPTIONAL: &str = "ssl_options.verify = verify_peer\nssl_options.fail_if_no_peer_cert = false";
const REQUIRED: &str = "ssl_options.verify = verify_peer\nssl_options.fail_if_no_peer_cert = true";

#[tokio::test]
async fn messages_pass_over_tls_and_a_client_refuses_a_broker_of_an_authority_it_does_not_know() {
    let authority = Authority::new("ours");
    let broker = Broker::start_with_tls(directory(&authority), "");
    works(&connect_tls(broker.tls, "", authority.trusted()).await.unwrap()).await;
    assert!(
        connect_tls(broker.tls, "", Authority::new("other").trusted())
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_required_client_certificate_lets_in_who_has_one_of_the_right_authority() {
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    let broker = Broker::start_with_tls(directory(&ours), REQUIRED);
    works(
        &connect_tls(broker.tls, "", ours.trusted_by(ours.sign("bob")))
            .await
            .unwrap(),
    )
    .await;
    assert!(connect_tls(broker.tls, "", ours.trusted()).await.is_err());
    assert!(
        connect_tls(broker.tls, "", ours.trusted_by(other.sign("bob")))
            .await
            .is_err()
    );
}

#[tokio::test]
async fn an_optional_client_certificate_may_be_missing_but_not_wrong() {
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    let broker = Broker::start_with_tls(directory(&ours), OPTIONAL);
    works(&connect_tls(broker.tls, "", ours.trusted()).await.unwrap()).await;
    works(
        &connect_tls(broker.tls, "", ours.trusted_by(ours.sign("bob")))
            .await
            .unwrap(),
    )
    .await;
    assert!(
        connect_tls(broker.tls, "", ours.trusted_by(other.sign("bob")))
            .await
            .is_err()
    );
}

#[tokio::test]
async fn why_a_client_is_not_let_in_by_tls_is_in_the_log() {
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    let broker = Broker::start_with_tls(directory(&ours), REQUIRED);
    let logged = async |words: &str| {
        let deadline = Instant::now() + PATIENCE;
        while !broker.log().contains(words) {
            assert!(Instant::now() < deadline, "no '{words}' in {}", broker.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(connect_tls(broker.tls, "", ours.trusted()).await.is_err());
    logged("failed: peer sent no certificates").await;
    let stranger = ours.trusted_by(other.sign("bob"));
    assert!(connect_tls(broker.tls, "", stranger).await.is_err());
    logged("failed: invalid peer certificate: UnknownIssuer").await;
    let mut plain = std::net::TcpStream::connect(broker.tls).unwrap();
    plain.write_all(b"AMQP\x00\x00\x09\x01").unwrap();
    logged("failed: received corrupt message of type InvalidContentType").await;
}

#[tokio::test]
async fn changed_certificates_are_used_without_a_restart_while_connections_stay() {
    let (before, after) = (Authority::new("before"), Authority::new("after"));
    let broker = Broker::start_with_tls(directory(&before), REQUIRED);
    let old = connect_tls(broker.tls, "", before.trusted_by(before.sign("bob")))
        .await
        .unwrap();
    after.equip(broker.directory());
    works(
        &connect_tls(broker.tls, "", after.trusted_by(after.sign("bob")))
            .await
            .unwrap(),
    )
    .await;
    assert!(
        connect_tls(broker.tls, "", after.trusted_by(before.sign("bob")))
            .await
            .is_err()
    );
    assert!(
        connect_tls(broker.tls, "", before.trusted_by(after.sign("bob")))
            .await
            .is_err()
    );
    works(&old).await;
}

#[tokio::test]
async fn broken_new_certificates_are_logged_and_the_old_ones_go_on() {
    let authority = Authority::new("ours");
    let broker = Broker::start_with_tls(directory(&authority), "");
    std::fs::write(broker.directory().join("server.pem"), "no certificate").unwrap();
    works(&connect_tls(broker.tls, "", authority.trusted()).await.unwrap()).await;
    let deadline = Instant::now() + PATIENCE;
    while !broker.log().contains("cannot be used, keeping the old") {
        assert!(Instant::now() < deadline, "{}", broker.log());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[test]
fn management_and_metrics_have_ports_with_tls_beside_the_plain_ones() {
    let authority = Authority::new("ours");
    let directory = directory(&authority);
    let plugins = "[rabbitmq_management,rabbitmq_prometheus].";
    std::fs::write(directory.path().join("enabled_plugins"), plugins).unwrap();
    let [plain, http, scrapes] = free_addresses();
    let file = |name: &str| directory.path().join(name).display().to_string();
    let mut settings = format!("management.tcp.port = {}\nprometheus.tcp.port = 0\n", plain.port());
    for (keys, port) in [("management", http.port()), ("prometheus", scrapes.port())] {
        settings += &format!(
            "{keys}.ssl.port = {port}\n{keys}.ssl.certfile = {}\n{keys}.ssl.keyfile = {}\n",
            file("server.pem"),
            file("server.key")
        );
    }
    let _broker = Broker::start_in(directory, &settings);
    let whoami = "/api/whoami HTTP/1.1\r\nAuthorization: Basic Z3Vlc3Q6Z3Vlc3Q=";
    for (address, request, part) in [
        (http, whoami, "administrator"),
        (scrapes, "/metrics HTTP/1.1", "rabbitmq_"),
    ] {
        let answer = asked(
            std::net::TcpStream::connect(address).unwrap(),
            request,
            Some(&authority),
        );
        assert!(answer.contains("200 OK") && answer.contains(part), "{answer}");
    }
    let answer = asked(std::net::TcpStream::connect(plain).unwrap(), whoami, None);
    assert!(answer.contains("200 OK"), "{answer}");
}

/// The answer to a GET, over TLS where there is an authority.
fn asked(mut socket: std::net::TcpStream, request: &str, authority: Option<&Authority>) -> String {
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = format!("GET {request}\r\nHost: b\r\nConnection: close\r\n\r\n");
    let mut answer = String::new();
    match authority {
        None => {
            socket.write_all(request.as_bytes()).unwrap();
            socket.read_to_string(&mut answer).unwrap();
        }
        Some(authority) => {
            let client = rustls::ClientConnection::new(authority.client(), "127.0.0.1".try_into().unwrap()).unwrap();
            let mut stream = rustls::StreamOwned::new(client, socket);
            stream.write_all(request.as_bytes()).unwrap();
            stream.read_to_string(&mut answer).unwrap();
        }
    }
    answer
}
