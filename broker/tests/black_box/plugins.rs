//! Plugins switched on and off by `rabbitmq-plugins` while the node serves clients: their ports come and go with them.

use crate::{
    broker::{Broker, works},
    ports::free_addresses,
};
use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
};

/// A broker without plugins, and where two of them would listen.
fn broker() -> (Broker, SocketAddr, SocketAddr) {
    let [management, prometheus] = free_addresses();
    let settings = format!(
        "management.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {}\nprometheus.tcp.ip = 127.0.0.1\nprometheus.tcp.port = {}",
        management.port(),
        prometheus.port()
    );
    (Broker::start(&settings), management, prometheus)
}

/// Exit code and all that `rabbitmq-plugins` says.
fn plugins(broker: &Broker, arguments: &[&str]) -> (i32, String) {
    let output = broker.tool(&[&["plugins"], arguments].concat());
    let text = [output.stdout, output.stderr].concat();
    let code = output.status.code().unwrap_or(-1);
    (code, String::from_utf8_lossy(&text).into_owned())
}

/// The status line that a port answers to a request, or nothing where nobody listens.
fn answer(at: SocketAddr, path: &str) -> String {
    let Ok(mut socket) = TcpStream::connect(at) else {
        return String::new();
    };
    write!(
        socket,
        "GET {path} HTTP/1.1\r\nHost: broker\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer.lines().next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_plugin_serves_from_the_moment_it_is_enabled_until_it_is_disabled() {
    let (mut broker, management, prometheus) = broker();
    let client = broker.connect().await;
    assert_eq!(answer(management, "/api/auth"), "");
    let (code, text) = plugins(&broker, &["enable", "rabbitmq_management", "rabbitmq_prometheus"]);
    assert_eq!((code, text.ends_with("\nstarted 4 plugins.\n")), (0, true), "{text}");
    assert_eq!(answer(management, "/api/auth"), "HTTP/1.1 200 OK");
    assert_eq!(answer(prometheus, "/metrics"), "HTTP/1.1 200 OK");
    assert!(
        broker
            .tool(&["diagnostics", "check_protocol_listener", "http"])
            .status
            .success()
    );
    let (code, _) = plugins(&broker, &["disable", "rabbitmq_management"]);
    assert_eq!((code, answer(management, "/api/auth").as_str()), (0, ""));
    assert!(
        !broker
            .tool(&["diagnostics", "check_protocol_listener", "http"])
            .status
            .success()
    );
    assert_eq!(answer(prometheus, "/metrics"), "HTTP/1.1 200 OK");
    works(&client).await;
    broker.kill_and_restart();
    assert_eq!(answer(prometheus, "/metrics"), "HTTP/1.1 200 OK");
    assert_eq!(answer(management, "/api/auth"), "");
}

#[test]
fn a_change_that_cannot_be_done_changes_nothing() {
    let (broker, management, prometheus) = broker();
    let taken = TcpListener::bind(management).unwrap();
    let (code, text) = plugins(&broker, &["enable", "rabbitmq_management", "rabbitmq_prometheus"]);
    assert_eq!(code, 69, "{text}");
    assert!(text.contains(&format!("cannot listen on {management}")), "{text}");
    assert_eq!(answer(prometheus, "/metrics"), "");
    drop(taken);
    fs::create_dir(broker.directory().join("enabled_plugins")).unwrap();
    let (code, text) = plugins(&broker, &["enable", "rabbitmq_management"]);
    assert!(code == 69 && text.contains("cannot write"), "{code} {text}");
    assert_eq!(answer(management, "/api/auth"), "");
}

#[test]
fn what_was_enabled_while_the_app_was_stopped_serves_from_its_next_start() {
    let (broker, management, _) = broker();
    broker.ctl(&["stop_app"]);
    let (code, text) = plugins(&broker, &["enable", "rabbitmq_management"]);
    assert_eq!(
        (code, text.contains("Offline change; changes will take effect")),
        (0, true),
        "{text}"
    );
    assert_eq!(answer(management, "/api/auth"), "");
    broker.ctl(&["start_app"]);
    assert_eq!(answer(management, "/api/auth"), "HTTP/1.1 200 OK");
}
