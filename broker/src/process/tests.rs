//! Whole nodes in one process, with real sockets and disks: they form a cluster, serve clients, stop in order, come
//! back, and are refused.

use super::{membership::MembershipError, *};
use crate::{
    cluster::{outside::OutsideError, resolver::Resolver},
    config::{self, ServerArgs},
    peer,
};
use catalog::NodeKind;
use futures::future::BoxFuture;
use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties, Error, ErrorKind,
    options::{BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions},
    types::FieldTable,
};
use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    time::{Duration, Instant},
};
use tokio::net::TcpListener;

const DEADLINE: Duration = Duration::from_secs(90);

/// Addresses by name.
#[derive(Clone, Debug, Default)]
struct Book(Arc<parking_lot::Mutex<BTreeMap<String, SocketAddr>>>);

impl Resolver for Book {
    fn resolve(&self, name: &str) -> BoxFuture<'_, io::Result<Vec<SocketAddr>>> {
        let found = self.0.lock().get(name).copied();
        Box::pin(async move { Ok(found.into_iter().collect()) })
    }
}

/// A node's process and where its clients connect.
struct Host {
    process: Arc<Process>,
    port: u16,
    name: String,
}

async fn host(book: &Book, number: u16) -> Host {
    let name = format!("r{number}@localhost");
    // It is free before the first start and between two.
    let [address] = crate::ports::free_addresses();
    let port = address.port();
    let environment = config::Fixed::new()
        .set("RABBITMQ_ERLANG_COOKIE", "SECRET")
        .set("RABBITMQ_NODENAME", &name)
        .set("RABBITMQ_NODE_PORT", &port.to_string())
        .set("RABBITMQ_DIST_PORT", "1");
    let args = ServerArgs {
        data: Some(crate::scratch::directory()),
        ..ServerArgs::default()
    };
    let config = config::load(&args, &environment).unwrap().config;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    book.0.lock().insert(name.clone(), address);
    let peers = Arc::new(peer::Peers::new(&config.node).unwrap());
    let resolver = Arc::new(book.clone());
    let dialer = peer::Dialer::new(peers.clone(), name.as_str().into(), resolver.clone());
    let ways = Ways {
        neighbours: Arc::new(peer::Neighbours {
            peers: peers.clone(),
            resolver,
        }),
        dialer: Arc::new(dialer),
    };
    let directory = data_directory::open(config.node.data.as_path(), &name).unwrap();
    let served = Port {
        protocol: "clustering",
        address,
    };
    let process = Process::new(config, directory, served, ways);
    tokio::spawn(peer::serve(listener, peers, process.clone()));
    Host { process, port, name }
}

impl Host {
    async fn channel(&self) -> Channel {
        let address = format!("amqp://127.0.0.1:{}", self.port);
        let deadline = Instant::now() + DEADLINE;
        loop {
            match Connection::connect(&address, ConnectionProperties::default()).await {
                Ok(connection) => return connection.create_channel().await.unwrap(),
                Err(error) => assert!(Instant::now() < deadline, "{}: {error}", self.name),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn until_up(&self, wanted: &[&str]) {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let status = self.process.status().await.unwrap().unwrap();
            let up: Vec<&str> = status
                .nodes
                .iter()
                .filter(|node| node.up)
                .map(|node| node.name.as_str())
                .collect();
            if up == wanted {
                return;
            }
            assert!(Instant::now() < deadline, "{} sees {status:?}", self.name);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

async fn cluster(count: u16) -> (Book, Vec<Host>) {
    let book = Book::default();
    let mut hosts: Vec<Host> = Vec::new();
    for number in 1..=count {
        let next = host(&book, number).await;
        if let Some(first) = hosts.first() {
            next.process.join(&first.name, NodeKind::Disc).await.unwrap();
        }
        next.process.start_app().await.unwrap();
        hosts.push(next);
    }
    (book, hosts)
}

const DURABLE: QueueDeclareOptions = QueueDeclareOptions {
    passive: false,
    durable: true,
    exclusive: false,
    auto_delete: false,
    nowait: false,
};

async fn declare(channel: &Channel, queue: &str, options: QueueDeclareOptions) -> lapin::Result<u32> {
    let declared = channel
        .queue_declare(queue.into(), options, FieldTable::default())
        .await;
    declared.map(|queue| queue.message_count())
}

async fn publish(channel: &Channel, queue: &str, body: &[u8]) {
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    let persistent = BasicProperties::default().with_delivery_mode(2);
    let sent = channel.basic_publish(
        "".into(),
        queue.into(),
        BasicPublishOptions::default(),
        body,
        persistent,
    );
    assert!(sent.await.unwrap().await.unwrap().is_ack());
}

fn reply(error: &Error) -> (u16, String) {
    match error.kind() {
        ErrorKind::ProtocolError(refusal) => (refusal.get_id(), refusal.get_message().to_string()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_node_is_told_all_know_and_a_stopped_nodes_queue_is_back_with_it() {
    let (_book, hosts) = cluster(3).await;
    let [one, two, three] = &hosts[..] else { panic!() };
    let channel = one.channel().await;
    declare(&channel, "q", DURABLE).await.unwrap();
    declare(&channel, "transient", QueueDeclareOptions::default())
        .await
        .unwrap();
    publish(&channel, "q", b"kept").await;
    let passive = QueueDeclareOptions {
        passive: true,
        ..DURABLE
    };
    for other in [two, three] {
        declare(&other.channel().await, "q", passive).await.unwrap();
    }
    one.process.stop_app().await;
    two.until_up(&["r2@localhost", "r3@localhost"]).await;
    let refused = declare(&two.channel().await, "q", DURABLE).await.unwrap_err();
    let text = "NOT_FOUND - home node 'r1@localhost' of durable queue 'q' in vhost '/' is down or inaccessible";
    assert_eq!(reply(&refused), (404, text.into()));
    let gone = declare(&three.channel().await, "transient", passive).await.unwrap_err();
    assert_eq!(reply(&gone).0, 404);
    declare(&two.channel().await, "without one", DURABLE).await.unwrap();
    one.process.start_app().await.unwrap();
    let channel = one.channel().await;
    declare(&channel, "without one", passive).await.unwrap();
    let message = channel
        .basic_get("q".into(), BasicGetOptions { no_ack: true })
        .await
        .unwrap();
    assert_eq!(message.unwrap().delivery.data, b"kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_was_stopped_comes_back_whole_in_whatever_order() {
    let (_book, hosts) = cluster(3).await;
    for (at, host) in hosts.iter().enumerate() {
        declare(&host.channel().await, &format!("q{at}"), DURABLE)
            .await
            .unwrap();
    }
    for host in &hosts {
        host.process.stop_app().await;
    }
    let starts = hosts.iter().map(|host| host.process.start_app());
    for started in futures::future::join_all(starts).await {
        started.unwrap();
    }
    let passive = QueueDeclareOptions {
        passive: true,
        ..DURABLE
    };
    for host in &hosts {
        host.until_up(&["r1@localhost", "r2@localhost", "r3@localhost"]).await;
        for at in 0..3 {
            declare(&host.channel().await, &format!("q{at}"), passive)
                .await
                .unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_joins_with_nothing_of_its_own_and_leaves_with_nothing_of_the_clusters() {
    let (book, hosts) = cluster(1).await;
    let other = host(&book, 2).await;
    other.process.start_app().await.unwrap();
    declare(&other.channel().await, "own", DURABLE).await.unwrap();
    let running = other.process.join("r1@localhost", NodeKind::Disc).await.unwrap_err();
    assert!(matches!(running, MembershipError::Running));
    other.process.stop_app().await;
    let nobody = other.process.join("r9@localhost", NodeKind::Disc).await.unwrap_err();
    assert!(
        matches!(nobody, MembershipError::Cluster(OutsideError::Unreachable { .. })),
        "{nobody}"
    );
    other.process.join("r1@localhost", NodeKind::Ram).await.unwrap();
    other.process.start_app().await.unwrap();
    let passive = QueueDeclareOptions {
        passive: true,
        ..DURABLE
    };
    assert_eq!(
        reply(&declare(&other.channel().await, "own", passive).await.unwrap_err()).0,
        404
    );
    hosts[0].until_up(&["r1@localhost", "r2@localhost"]).await;
    other.process.stop_app().await;
    let again = other.process.join("r1@localhost", NodeKind::Disc).await.unwrap_err();
    assert!(
        matches!(again, MembershipError::Cluster(OutsideError::Already)),
        "{again}"
    );
    other.process.set_kind(NodeKind::Disc).await.unwrap();
    other.process.leave().await.unwrap();
    hosts[0].until_up(&["r1@localhost"]).await;
    assert_eq!(hosts[0].process.look_at("r1@localhost").await.unwrap().nodes.len(), 1);
    other.process.start_app().await.unwrap();
    declare(&other.channel().await, "alone", DURABLE).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alarm_of_one_node_blocks_publishers_of_all_until_it_is_over_or_the_node_is_gone() {
    let (_book, hosts) = cluster(2).await;
    let node = |host: &Host| host.process.running().unwrap().node.clone();
    let set = |host: &Host, bytes: u64| {
        let mark = config::Watermark::Absolute(config::ByteSize(bytes));
        node(host).set_memory_watermark(mark);
    };
    let all = async |wanted: &[&str]| {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let on = node(&hosts[1]).alarms_of_all();
            let on: Vec<&str> = on.iter().filter(|(_, on)| on.memory).map(|(name, _)| &**name).collect();
            if on == wanted {
                return;
            }
            assert!(Instant::now() < deadline, "{on:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    set(&hosts[0], 1);
    all(&["r1@localhost"]).await;
    let channel = hosts[1].channel().await;
    declare(&channel, "q", DURABLE).await.unwrap();
    channel.confirm_select(Default::default()).await.unwrap();
    let published = channel.basic_publish("".into(), "q".into(), Default::default(), b"held", Default::default());
    let confirm = published.await.unwrap();
    let deadline = Instant::now() + DEADLINE;
    let is_blocked = |client: &Arc<crate::host::Client>| client.is_blocked.load(std::sync::atomic::Ordering::Relaxed);
    while !node(&hosts[1]).open_clients().iter().any(is_blocked) {
        assert!(Instant::now() < deadline, "not blocked");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    hosts[0].process.stop_app().await;
    all(&[]).await;
    assert!(confirm.await.unwrap().is_ack());
}
