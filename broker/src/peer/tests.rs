//! The peer port over real sockets: who knows the secret is served, strangers cost nothing and break nothing.

use super::*;
use crate::config::{self, ServerArgs};
use link::{Cookie, FRAME_HEADER_BYTES, FrameHeader, REPLY_BYTES_MAX, Reply, Request, Term};
use std::io::{Read, Write};
use std::net::TcpStream as Raw;

/// What a refused handshake may take in the tests.
const PATIENCE: Duration = Duration::from_millis(300);

/// A served peer port of a node called `rabbit@rabbit1` with the secret `SECRET`.
struct Port {
    address: SocketAddr,
    peers: Arc<Peers>,
    process: Arc<Process>,
}

fn process(mut config: config::Config, address: SocketAddr) -> Arc<Process> {
    config.listeners.tcp.clear();
    let directory = crate::host::data_directory::open(config.node.data.as_path(), config.node.name.as_str());
    let port = crate::host::listener::Port {
        protocol: "clustering",
        address,
    };
    Process::new(config, directory.unwrap(), port, crate::process::Ways::nowhere())
}

async fn port() -> Port {
    let environment = config::Fixed::new().set("RABBITMQ_ERLANG_COOKIE", "SECRET");
    let args = ServerArgs {
        data: Some(crate::scratch::directory()),
        ..ServerArgs::default()
    };
    port_with(config::load(&args, &environment).unwrap().config).await
}

async fn port_with(config: config::Config) -> Port {
    let mut peers = Peers::new(&config.node).unwrap();
    peers.patience = PATIENCE;
    let peers = Arc::new(peers);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let process = process(config, address);
    tokio::spawn(serve(listener, peers.clone(), process.clone()));
    process.start_app().await.unwrap();
    Port {
        address,
        peers,
        process,
    }
}

impl Port {
    fn connect(&self) -> Raw {
        let raw = Raw::connect(self.address).unwrap();
        raw.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        raw
    }

    fn refused(&self) -> u64 {
        self.peers.refused.load(Ordering::Relaxed)
    }

    /// A connection that has proven this secret, or the verdict on it.
    fn enter(&self, secret: &str) -> Result<Raw, Verdict> {
        self.enter_for(Channel::Cli, "cli@test", secret)
    }

    fn enter_for(&self, channel: Channel, from: &str, secret: &str) -> Result<Raw, Verdict> {
        let mut raw = self.connect();
        let cookie = Cookie::new(secret, "test").unwrap();
        let hello = Hello::new(channel, from, self.process.name());
        say(&mut raw, &link::encode(&hello).unwrap());
        let Verdict::Prove(challenge) = hear(&mut raw) else {
            panic!("no challenge");
        };
        say(
            &mut raw,
            &link::encode(&link::prove(&cookie, &hello, &challenge)).unwrap(),
        );
        match hear(&mut raw) {
            Verdict::Welcome(proof) if link::verify(&cookie, &hello, &challenge, proof) => Ok(raw),
            other => Err(other),
        }
    }

    /// The node answers somebody who knows the secret.
    fn is_alive(&self) {
        let mut raw = self.enter("SECRET").unwrap();
        say(&mut raw, &link::encode(&Request::IsRunning).unwrap());
        assert_eq!(hear::<Reply>(&mut raw), Reply::Done(Term::Bool(true)));
    }
}

fn say(raw: &mut Raw, content: &[u8]) {
    raw.write_all(&link::frame(content, usize::MAX).unwrap()).unwrap();
}

fn hear<T: serde::de::DeserializeOwned>(raw: &mut Raw) -> T {
    let mut header = [0; FRAME_HEADER_BYTES];
    raw.read_exact(&mut header).unwrap();
    let header = FrameHeader::read(header, REPLY_BYTES_MAX).unwrap();
    let mut content = vec![0; header.bytes];
    raw.read_exact(&mut content).unwrap();
    header.check(&content).unwrap();
    link::decode(&content).unwrap()
}

/// The node closes, with or without a word; a reset is an end, too.
fn is_closed(mut raw: Raw) {
    let mut rest = Vec::new();
    match raw.read_to_end(&mut rest) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_knows_the_secret_is_served_and_others_are_refused_and_counted() {
    let port = port().await;
    port.is_alive();
    assert_eq!(port.refused(), 0);
    assert_eq!(port.enter("WRONG").unwrap_err(), Verdict::WrongSecret);
    port.is_alive();
    assert_eq!(port.refused(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_secret_ends_no_connection_and_one_that_was_taken_back_ends_all() {
    let mount = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| std::fs::write(mount.path().join(name), text).unwrap();
    put("current", "SECRET");
    put("revoked", "long ago");
    let args = ServerArgs {
        data: Some(crate::scratch::directory()),
        secret_dir: Some(mount.path().to_owned()),
        ..ServerArgs::default()
    };
    let port = port_with(config::load(&args, &config::Fixed::new()).unwrap().config).await;
    let asks = |raw: &mut Raw| {
        say(raw, &link::encode(&Request::IsRunning).unwrap());
        hear::<Reply>(raw)
    };
    let mut before = port.enter("SECRET").unwrap();
    put("current", "SECOND");
    tokio::time::sleep(2 * REVOKED_INTERVAL).await;
    assert_eq!(asks(&mut before), Reply::Done(Term::Bool(true)), "it was rotated");
    put("current", "THIRD");
    put("revoked", "now");
    is_closed(before);
    assert_eq!(port.enter("SECOND").unwrap_err(), Verdict::WrongSecret);
    let mut after = port.enter("THIRD").unwrap();
    tokio::time::sleep(2 * REVOKED_INTERVAL).await;
    assert_eq!(asks(&mut after), Reply::Done(Term::Bool(true)), "once for a word");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_told_which_secret_each_node_has_proven_by_what_that_is_called_now() {
    let mount = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| std::fs::write(mount.path().join(name), text).unwrap();
    put("current", "FIRST");
    let args = ServerArgs {
        data: Some(crate::scratch::directory()),
        secret_dir: Some(mount.path().to_owned()),
        ..ServerArgs::default()
    };
    let port = port_with(config::load(&args, &config::Fixed::new()).unwrap().config).await;
    let told = || {
        let links = port.peers.links().into_iter();
        links
            .map(|link| (link.node, link.channel, link.secret, link.count))
            .collect::<Vec<_>>()
    };
    let is = |secret: &str| ("rabbit@b".to_owned(), "node".to_owned(), secret.to_owned(), 1);
    let _tool = port.enter("FIRST").unwrap();
    let first = port.enter_for(Channel::Node, "rabbit@b", "FIRST").unwrap();
    assert_eq!(told(), [is("current")], "tools are no nodes");
    put("next", "SECOND");
    let second = port.enter_for(Channel::Node, "rabbit@b", "SECOND").unwrap();
    assert_eq!(told(), [is("current"), is("next")]);
    put("current", "SECOND");
    put("next", "");
    put("previous", "FIRST");
    assert_eq!(told(), [is("previous"), is("current")]);
    put("previous", "");
    assert_eq!(told(), [is("withdrawn"), is("current")]);
    drop(first);
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while told() != [is("current")] {
        assert!(std::time::Instant::now() < deadline, "it is gone: {:?}", told());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    drop(second);
}

#[tokio::test(flavor = "multi_thread")]
async fn octets_of_a_stranger_end_the_connection_and_nothing_else() {
    let port = port().await;
    let announced = |bytes: u32| [&bytes.to_be_bytes()[..], &[0; 4]].concat();
    let deep = link::frame("[".repeat(2000).as_bytes(), 4096).unwrap();
    let other_version = link::frame(br#"{"magic":"warren-peer","version":99}"#, 4096).unwrap();
    let wrong_checksum = [&announced(5)[..], b"hello"].concat();
    let hostile: [(&str, Vec<u8>); 8] = [
        ("AMQP", b"AMQP\x00\x00\x09\x01".to_vec()),
        ("HTTP", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec()),
        ("a frame of 4 GiB", announced(u32::MAX)),
        ("a frame over the limit", announced(HANDSHAKE_BYTES_MAX as u32 + 1)),
        ("a wrong checksum", wrong_checksum),
        ("deep JSON", deep),
        ("another version", other_version),
        ("zeros", vec![0; 4096]),
    ];
    let count = hostile.len() as u64;
    for (what, octets) in hostile {
        let mut raw = port.connect();
        // The node may have closed before everything is written.
        let _ = raw.write_all(&octets);
        is_closed(raw);
        port.is_alive();
        assert!(port.refused() <= count, "{what}");
    }
    assert_eq!(port.refused(), count);
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_strangers_are_dropped_and_do_not_keep_others_out() {
    let port = port().await;
    let mut silent: Vec<Raw> = (0..HANDSHAKES_MAX).map(|_| port.connect()).collect();
    for raw in &mut silent[..HANDSHAKES_MAX / 2] {
        raw.write_all(&[0, 0, 0, 9]).unwrap();
    }
    port.is_alive();
    silent.into_iter().for_each(is_closed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_none_is_refused_and_one_too_long_ends_the_connection() {
    let port = port().await;
    let mut raw = port.enter("SECRET").unwrap();
    for content in [&b"{}"[..], b"\"NoSuchRequest\"", &b"[".repeat(100_000)] {
        say(&mut raw, content);
        assert_eq!(hear::<Reply>(&mut raw), Reply::Failed(link::Failure::Unknown));
    }
    raw.write_all(&[0xff; 8]).unwrap();
    is_closed(raw);
    port.is_alive();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_that_looks_for_another_node_is_told_whose_port_this_is() {
    let port = port().await;
    let mut raw = port.connect();
    let hello = Hello::new(Channel::Cli, "cli@test", "rabbit@elsewhere");
    say(&mut raw, &link::encode(&hello).unwrap());
    assert_eq!(
        hear::<Verdict>(&mut raw),
        Verdict::OtherNode(port.process.name().to_string())
    );
    is_closed(raw);
}
