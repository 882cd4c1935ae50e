//! Two nodes over loopback, with definitions fed by hand: what a client of one has of the queues that the other leads.

use crate::{
    cluster::resolver::Resolver,
    config::{self, ServerArgs, Watermark},
    host::{self, Afterwards, ChannelCounts, Flow, Node, listener},
    peer::{self, Peers},
    process::Process,
};
use futures::{StreamExt, future::BoxFuture};
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, Consumer,
    message::Delivery,
    options::{
        BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicGetOptions, BasicNackOptions,
        BasicPublishOptions, BasicQosOptions, BasicRecoverOptions, ConfirmSelectOptions, QueueDeclareOptions,
        QueueDeleteOptions, QueuePurgeOptions,
    },
    types::{AMQPValue, FieldTable},
};
use link::{Listing, Reply, Request};
use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};
use tokio::net::TcpListener;

#[path = "legs_aside_tests.rs"]
mod aside;
#[path = "legs_broken_tests.rs"]
mod broken;
#[path = "lists_tests.rs"]
mod lists;

/// A node with its ports.
struct Served {
    node: Arc<Node>,
    peers: Arc<Peers>,
    dialer: Arc<dyn host::Dial>,
    amqp: u16,
}

/// Where the nodes are.
#[derive(Debug)]
struct Addresses(BTreeMap<String, SocketAddr>);

impl Resolver for Addresses {
    fn resolve(&self, name: &str) -> BoxFuture<'_, io::Result<Vec<SocketAddr>>> {
        let found = self.0.get(name).map(|address| vec![*address]);
        Box::pin(async move { found.ok_or_else(|| io::ErrorKind::NotFound.into()) })
    }
}

/// Two nodes that know each other: queues declared at the first are led by it.
struct Pair {
    leader: Served,
    edge: Served,
}

fn config(name: &str) -> config::Config {
    let environment = config::Fixed::new()
        .set("RABBITMQ_ERLANG_COOKIE", "SECRET")
        .set("RABBITMQ_NODENAME", name);
    let args = ServerArgs {
        data: Some(crate::scratch::directory()),
        ..ServerArgs::default()
    };
    let mut config = config::load(&args, &environment).unwrap().config;
    let address = config::ListenAddress {
        ip: Some([127, 0, 0, 1].into()),
        port: 0,
    };
    config.listeners.tcp = [("tcp".to_owned(), address)].into();
    config
}

async fn serve(node: Arc<Node>, addresses: Arc<Addresses>, port: TcpListener) -> Served {
    let peers = Arc::new(Peers::new(&node.config().node).unwrap());
    let dialer: Arc<dyn host::Dial> = Arc::new(peer::Dialer::new(peers.clone(), node.name().clone(), addresses));
    node.reach_nodes_by(dialer.clone());
    tokio::spawn(host::run_timers(node.clone()));
    tokio::spawn(host::run_retirements(node.clone()));
    tokio::spawn(host::run_strayed(node.clone()));
    tokio::spawn(host::run_errands(node.clone()));
    tokio::spawn(host::run_rounds(node.clone()));
    tokio::spawn(host::run_loads(node.clone()));
    tokio::spawn(peer::serve(port, peers.clone(), Process::around(node.clone())));
    let bound = listener::bind_all(&node.config().listeners).unwrap().remove(0);
    let amqp = bound.port().address.port();
    tokio::spawn(bound.run(node.clone()));
    node.started();
    Served {
        node,
        peers,
        dialer,
        amqp,
    }
}

async fn pair() -> Pair {
    pair_over(None).await
}

async fn pair_over(way: Option<Arc<broken::Way>>) -> Pair {
    let nodes = host::started_by_hand(vec![config("rabbit@leader"), config("rabbit@edge")]).await;
    let mut addresses = BTreeMap::new();
    let mut ports = Vec::new();
    for node in &nodes {
        let port = TcpListener::bind("127.0.0.1:0").await.unwrap();
        addresses.insert(node.name().to_string(), port.local_addr().unwrap());
        ports.push(port);
    }
    if let Some(way) = way {
        let leader = addresses.get_mut("rabbit@leader").unwrap();
        *leader = way.before(*leader).await;
    }
    let addresses = Arc::new(Addresses(addresses));
    let mut served = Vec::new();
    for (node, port) in nodes.into_iter().zip(ports) {
        served.push(serve(node, addresses.clone(), port).await);
    }
    let edge = served.pop().unwrap();
    let leader = served.pop().unwrap();
    Pair { leader, edge }
}

impl Pair {
    /// It becomes known that the leader's node is down.
    async fn bury_leader(&self) {
        let identity = self.leader.node.identity();
        let death = catalog::NodeDeath {
            node: identity.node,
            incarnation: identity.incarnation,
        };
        let down = catalog::Command::NodeDown(vec![death]);
        self.edge.node.commit(down).await.unwrap();
    }
}

impl Served {
    async fn connect(&self) -> Connection {
        let url = format!("amqp://guest:guest@127.0.0.1:{}/%2f", self.amqp);
        Connection::connect(&url, ConnectionProperties::default())
            .await
            .unwrap()
    }

    async fn channel(&self) -> Channel {
        self.connect().await.create_channel().await.unwrap()
    }
}

async fn declare(channel: &Channel, queue: &str, pairs: &[(&str, AMQPValue)]) -> lapin::Queue {
    let mut arguments = FieldTable::default();
    for (key, value) in pairs {
        arguments.insert((*key).into(), value.clone());
    }
    let options = QueueDeclareOptions::durable();
    channel.queue_declare(queue.into(), options, arguments).await.unwrap()
}

async fn publish(
    channel: &Channel,
    queue: &str,
    body: &str,
) -> impl Future<Output = lapin::Result<Confirmation>> + use<> {
    let options = BasicPublishOptions::default();
    let properties = BasicProperties::default().with_delivery_mode(2);
    let published = channel.basic_publish("".into(), queue.into(), options, body.as_bytes(), properties);
    published.await.unwrap()
}

/// Publishes numbered messages and waits for all confirms; which of them were acked.
async fn publish_all(channel: &Channel, queue: &str, count: usize) -> Vec<bool> {
    let mut open = Vec::new();
    for number in 0..count {
        open.push(publish(channel, queue, &format!("{number}")).await);
    }
    let mut acked = Vec::new();
    for confirm in open {
        acked.push(confirm.await.unwrap().is_ack());
    }
    acked
}

async fn consume(channel: &Channel, queue: &str, tag: &str, no_ack: bool) -> Consumer {
    let options = BasicConsumeOptions {
        no_ack,
        ..BasicConsumeOptions::default()
    };
    let consumed = channel.basic_consume(queue.into(), tag.into(), options, FieldTable::default());
    consumed.await.unwrap()
}

async fn next(consumer: &mut Consumer) -> Delivery {
    let next = tokio::time::timeout(Duration::from_secs(20), consumer.next());
    next.await.expect("a delivery").expect("still consuming").unwrap()
}

fn body(delivery: &Delivery) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&delivery.data),
        if delivery.redelivered { "*" } else { "" }
    )
}

async fn confirming(at: &Served) -> Channel {
    let channel = at.channel().await;
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    channel
}

/// Takes all there is at the leader, acknowledged at once, as `body` or `body*` where it was delivered before.
async fn drain(at: &Served, queue: &str) -> Vec<String> {
    let channel = at.channel().await;
    let mut all = Vec::new();
    while let Some(got) = channel
        .basic_get(queue.into(), BasicGetOptions { no_ack: true })
        .await
        .unwrap()
    {
        all.push(body(&got.delivery));
    }
    all
}

/// Ready messages and consumers, as a passive declaration tells them.
async fn counts(at: &Served, queue: &str) -> (u32, u32) {
    let channel = at.channel().await;
    let passive = QueueDeclareOptions {
        passive: true,
        ..QueueDeclareOptions::default()
    };
    let found = channel
        .queue_declare(queue.into(), passive, FieldTable::default())
        .await
        .unwrap();
    (found.message_count(), found.consumer_count())
}

/// Waits until it is so.
async fn until<F: Future<Output = bool>>(what: &str, mut is_so: impl FnMut() -> F) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_so().await {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn publishes_through_another_node_are_confirmed_and_stand_in_order_at_the_leader() {
    let pair = pair().await;
    let channel = confirming(&pair.edge).await;
    let declared = declare(&channel, "q", &[]).await;
    assert_eq!((declared.message_count(), declared.consumer_count()), (0, 0));
    assert_eq!(publish_all(&channel, "q", 300).await, vec![true; 300]);
    assert_eq!(counts(&pair.edge, "q").await, (300, 0));
    let expected: Vec<String> = (0..300).map(|number| number.to_string()).collect();
    assert_eq!(drain(&pair.leader, "q").await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn publishes_that_an_alarm_of_the_leader_held_back_go_on_when_it_is_over() {
    let pair = pair().await;
    let channel = confirming(&pair.edge).await;
    declare(&channel, "q", &[]).await;
    assert_eq!(publish_all(&channel, "q", 1).await, [true]);
    pair.leader.node.set_memory_watermark(Watermark::Relative(0.0));
    let held = publish(&channel, "q", "held").await;
    until("the leg is blocked", async || {
        let legs = pair.leader.node.legs().all();
        legs.iter().any(|leg| leg.is_blocked.load(Ordering::Relaxed))
    })
    .await;
    pair.leader.node.set_memory_watermark(Watermark::Relative(1.0));
    let confirmed = tokio::time::timeout(Duration::from_secs(20), held).await;
    assert!(confirmed.expect("a confirm").unwrap().is_ack());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_publish_is_nacked_in_its_place_although_others_wait() {
    let pair = pair().await;
    let channel = confirming(&pair.edge).await;
    let limits = [
        ("x-max-length", AMQPValue::LongInt(5)),
        ("x-overflow", AMQPValue::LongString("reject-publish".into())),
    ];
    declare(&channel, "q", &limits).await;
    let acked = publish_all(&channel, "q", 8).await;
    assert_eq!(acked, [true, true, true, true, true, false, false, false]);
    assert_eq!(counts(&pair.leader, "q").await, (5, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_are_numbered_anew_and_settled_one_by_one_or_together() {
    let pair = pair().await;
    let channel = confirming(&pair.edge).await;
    declare(&channel, "a", &[]).await;
    declare(&channel, "b", &[]).await;
    publish_all(&channel, "a", 3).await;
    publish_all(&channel, "b", 3).await;
    let mut of_a = consume(&channel, "a", "a", false).await;
    let from_a = [next(&mut of_a).await, next(&mut of_a).await, next(&mut of_a).await];
    let mut of_b = consume(&channel, "b", "b", false).await;
    let from_b = [next(&mut of_b).await, next(&mut of_b).await, next(&mut of_b).await];
    let tags: Vec<u64> = from_a
        .iter()
        .chain(&from_b)
        .map(|delivery| delivery.delivery_tag)
        .collect();
    assert_eq!(tags, [1, 2, 3, 4, 5, 6]);
    channel
        .basic_nack(
            2,
            BasicNackOptions {
                requeue: true,
                ..BasicNackOptions::default()
            },
        )
        .await
        .unwrap();
    let again = next(&mut of_a).await;
    assert_eq!((body(&again), again.delivery_tag), ("1*".to_owned(), 7));
    channel.basic_ack(5, BasicAckOptions { multiple: true }).await.unwrap();
    channel
        .basic_recover(BasicRecoverOptions { requeue: true })
        .await
        .unwrap();
    assert_eq!(body(&next(&mut of_a).await), "1*");
    assert_eq!(body(&next(&mut of_b).await), "2*");
    channel.close(200, "done".into()).await.unwrap();
    assert_eq!(drain(&pair.leader, "a").await, ["1*"]);
    assert_eq!(drain(&pair.edge, "b").await, ["2*"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_counts_what_it_got_from_a_queue_of_another_node_and_acknowledged_once_that_is_asked_for() {
    let pair = pair().await;
    let channel = confirming(&pair.edge).await;
    declare(&channel, "q", &[]).await;
    let get = async |no_ack| {
        channel
            .basic_get("q".into(), lapin::options::BasicGetOptions { no_ack })
            .await
    };
    assert!(get(true).await.unwrap().is_none());
    assert!(pair.edge.node.flows_of_clients().is_empty());
    // From here on it is asked for, on the channel that is open as well.
    pair.edge.node.want_flows();
    assert!(get(true).await.unwrap().is_none());
    publish_all(&channel, "q", 5).await;
    get(true).await.unwrap().unwrap();
    let mut consumer = consume(&channel, "q", "c", false).await;
    let mut last = 0;
    for _ in 0..4 {
        last = next(&mut consumer).await.delivery_tag;
    }
    channel
        .basic_ack(last - 1, BasicAckOptions { multiple: true })
        .await
        .unwrap();
    let queue = pair.edge.node.snapshot().catalog.queue("/", "q").unwrap().id;
    let counts = || {
        let flows = pair.edge.node.flows_of_clients().into_iter();
        let own = flows.filter(|(flow, _)| matches!(flow, Flow::Delivered(from, _) if *from == queue));
        let of =
            |(_, counts): (Flow, ChannelCounts)| [counts.get_empty, counts.got_no_ack, counts.delivered, counts.acked];
        own.map(of).collect::<Vec<_>>()
    };
    until("all is counted", || async { counts() == [[1, 1, 4, 3]] }).await;
    let flows = pair.edge.node.flows_of_clients();
    let through = flows
        .iter()
        .find(|(flow, _)| matches!(flow, Flow::Through(_, _, to) if *to == queue));
    assert_eq!(through.unwrap().1.published, 5);
    // Nobody has asked the other node.
    assert!(pair.leader.node.flows_of_clients().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_gone_leaves_its_deliveries_and_no_consumer() {
    let pair = pair().await;
    let channel = confirming(&pair.edge).await;
    declare(&channel, "q", &[]).await;
    publish_all(&channel, "q", 2).await;
    let mut consumer = consume(&channel, "q", "c", false).await;
    next(&mut consumer).await;
    next(&mut consumer).await;
    assert_eq!(counts(&pair.leader, "q").await, (0, 1));
    let client = pair.edge.node.open_clients().remove(0);
    pair.edge.node.close_client(&client, "test");
    until("the leader has it all back", async || {
        counts(&pair.leader, "q").await == (2, 0)
    })
    .await;
    assert!(
        pair.leader
            .node
            .open_clients()
            .iter()
            .all(|client| client.peer.port() != 0)
    );
    assert_eq!(drain(&pair.edge, "q").await, ["0*", "1*"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn purge_delete_and_their_conditions_are_answered_by_the_leader() {
    let pair = pair().await;
    let channel = confirming(&pair.edge).await;
    declare(&channel, "q", &[]).await;
    publish_all(&channel, "q", 4).await;
    assert_eq!(
        channel
            .queue_purge("q".into(), QueuePurgeOptions::default())
            .await
            .unwrap(),
        4
    );
    publish_all(&channel, "q", 1).await;
    let if_empty = QueueDeleteOptions {
        if_empty: true,
        ..QueueDeleteOptions::default()
    };
    let refused = channel.queue_delete("q".into(), if_empty).await.unwrap_err();
    assert!(
        refused.to_string().contains("queue 'q' in vhost '/' not empty"),
        "{refused}"
    );
    let channel = pair.edge.channel().await;
    assert_eq!(
        channel
            .queue_delete("q".into(), QueueDeleteOptions::default())
            .await
            .unwrap(),
        1
    );
    // Declared again at once: the edge must know already that the old one is gone.
    let again = declare(&channel, "q", &[("x-max-length", AMQPValue::LongInt(1))]).await;
    assert_eq!(again.message_count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_is_cancelled_by_its_queue_and_by_its_client() {
    let pair = pair().await;
    let channel = pair.edge.channel().await;
    declare(&channel, "q", &[]).await;
    let first = consume(&channel, "q", "first", false).await;
    let mut second = consume(&channel, "q", "second", false).await;
    channel
        .basic_cancel("first".into(), BasicCancelOptions::default())
        .await
        .unwrap();
    drop(first);
    assert_eq!(counts(&pair.leader, "q").await, (0, 1));
    let other = pair.leader.channel().await;
    other
        .queue_delete("q".into(), QueueDeleteOptions::default())
        .await
        .unwrap();
    let end = tokio::time::timeout(Duration::from_secs(20), second.next())
        .await
        .expect("told");
    assert!(end.is_none(), "{end:?}");
    declare(&channel, "q", &[]).await;
    consume(&channel, "q", "second", false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_of_consumers_and_channels_hold_over_a_leg() {
    let pair = pair().await;
    let channel = confirming(&pair.edge).await;
    declare(&channel, "q", &[]).await;
    publish_all(&channel, "q", 10).await;
    channel.basic_qos(2, BasicQosOptions { global: false }).await.unwrap();
    let mut limited = consume(&channel, "q", "limited", false).await;
    next(&mut limited).await;
    let second = next(&mut limited).await;
    assert_eq!(counts(&pair.leader, "q").await, (8, 1));
    channel
        .basic_ack(second.delivery_tag, BasicAckOptions { multiple: true })
        .await
        .unwrap();
    until("two more are out", async || counts(&pair.leader, "q").await == (6, 1)).await;
    let other = pair.edge.channel().await;
    other.basic_qos(3, BasicQosOptions { global: true }).await.unwrap();
    let _whole = consume(&other, "q", "whole", false).await;
    until("three more are out", async || counts(&pair.leader, "q").await == (3, 2)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_publishes_and_settles_at_its_commit_and_fails_as_a_whole() {
    let pair = pair().await;
    let channel = pair.edge.channel().await;
    let limits = [
        ("x-max-length", AMQPValue::LongInt(2)),
        ("x-overflow", AMQPValue::LongString("reject-publish".into())),
    ];
    declare(&channel, "q", &limits).await;
    channel.tx_select().await.unwrap();
    drop(publish(&channel, "q", "one").await);
    assert_eq!(counts(&pair.leader, "q").await, (0, 0));
    channel.tx_commit().await.unwrap();
    assert_eq!(counts(&pair.leader, "q").await, (1, 0));
    drop(publish(&channel, "q", "gone").await);
    channel.tx_rollback().await.unwrap();
    for _ in 0..3 {
        drop(publish(&channel, "q", "more").await);
    }
    let refused = channel.tx_commit().await.unwrap_err();
    assert!(refused.to_string().contains("partial tx completion"), "{refused}");
    assert_eq!(counts(&pair.leader, "q").await, (2, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_fills_no_memory_and_misses_nothing() {
    let pair = pair().await;
    let publisher = confirming(&pair.leader).await;
    declare(&publisher, "q", &[]).await;
    let large = "x".repeat(100_000);
    for number in 0..200 {
        drop(publish(&publisher, "q", &format!("{number:03}{large}")).await);
    }
    publisher.wait_for_confirms().await.unwrap();
    let channel = pair.edge.channel().await;
    let mut consumer = consume(&channel, "q", "slow", true).await;
    let first = next(&mut consumer).await;
    assert!(first.data.starts_with(b"000"));
    for number in 1..200 {
        let delivery = next(&mut consumer).await;
        assert!(delivery.data.starts_with(format!("{number:03}").as_bytes()));
        let client = pair.edge.node.open_clients().remove(0);
        assert!(client.outbox().waiting_bytes() < 2 * 1024 * 1024);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_leader_is_gone_consumers_are_cancelled_publishes_nacked_and_the_queue_is_inaccessible() {
    let pair = pair().await;
    let channel = confirming(&pair.edge).await;
    declare(&channel, "q", &[]).await;
    assert_eq!(publish_all(&channel, "q", 1).await, [true]);
    let mut consumer = consume(&channel, "q", "c", false).await;
    let delivery = next(&mut consumer).await;
    pair.leader.node.stop().await;
    pair.bury_leader().await;
    let end = tokio::time::timeout(Duration::from_secs(20), consumer.next())
        .await
        .expect("told");
    assert!(end.is_none(), "{end:?}");
    // What was delivered is settled without effect, and a publish is refused.
    channel
        .basic_ack(delivery.delivery_tag, BasicAckOptions::default())
        .await
        .unwrap();
    assert_eq!(publish_all(&channel, "q", 1).await, [false]);
    let refused = channel
        .basic_get("q".into(), BasicGetOptions::default())
        .await
        .unwrap_err();
    let text = "home node 'rabbit@leader' of durable queue 'q' in vhost '/' is down or inaccessible";
    assert!(refused.to_string().contains(text), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_node_sends_itself_reaches_queues_of_others() {
    let pair = pair().await;
    let channel = confirming(&pair.edge).await;
    // Exclusive, so led by the node of its client.
    let options = QueueDeclareOptions {
        exclusive: true,
        ..QueueDeclareOptions::default()
    };
    let own = channel.queue_declare("own".into(), options, FieldTable::default());
    own.await.unwrap();
    let letters = [
        ("x-dead-letter-exchange", AMQPValue::LongString("".into())),
        ("x-dead-letter-routing-key", AMQPValue::LongString("own".into())),
    ];
    declare(&channel, "q", &letters).await;
    publish_all(&channel, "q", 3).await;
    let mut consumer = consume(&channel, "q", "c", false).await;
    for _ in 0..3 {
        next(&mut consumer).await;
    }
    channel
        .basic_nack(
            3,
            BasicNackOptions {
                multiple: true,
                requeue: false,
            },
        )
        .await
        .unwrap();
    let mut dead = consume(&channel, "own", "dead", true).await;
    for number in 0..3 {
        assert_eq!(body(&next(&mut dead).await), number.to_string());
    }
    let identity = catalog::Client {
        user: "guest".parse().unwrap(),
        vhost: "/".parse().unwrap(),
        connection: model::ConnectionId(0),
        node: pair.edge.node.name().clone(),
    };
    let post = host::Post {
        exchange: "".parse().unwrap(),
        routing_key: "q".into(),
        properties: wire::Properties::default(),
        body: b"posted".to_vec(),
    };
    assert!(pair.edge.node.post(&identity, &post).unwrap());
    assert_eq!(body(&next(&mut consumer).await), "posted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_direct_reply_finds_its_requester_on_another_node() {
    let pair = pair().await;
    let requester = pair.edge.channel().await;
    let mut replies = consume(&requester, "amq.rabbitmq.reply-to", "r", true).await;
    declare(&requester, "rpc", &[]).await;
    let asks = BasicProperties::default().with_reply_to("amq.rabbitmq.reply-to".into());
    let question = requester.basic_publish(
        "".into(),
        "rpc".into(),
        BasicPublishOptions::default(),
        b"question",
        asks,
    );
    drop(question.await.unwrap());
    let responder = pair.leader.channel().await;
    let mut questions = consume(&responder, "rpc", "q", true).await;
    let asked = next(&mut questions).await;
    let address = asked.properties.reply_to().clone().unwrap();
    drop(publish(&responder, address.as_str(), "answer").await);
    let answer = next(&mut replies).await;
    assert_eq!((body(&answer), answer.delivery_tag), ("answer".to_owned(), 1));
}

/// What a tool that asks this node is shown, rows sorted.
async fn listed(at: &Served, what: Listing, columns: &[&str]) -> Vec<String> {
    let (rows, mut heard) = tokio::sync::mpsc::channel(64);
    let request = Request::List {
        what,
        columns: columns.iter().map(|column| (*column).to_owned()).collect(),
    };
    // Asked over the peer port, as by a tool; any node that knows this one can do that.
    let dialer = at.node.clone();
    let own = at.node.name().to_string();
    let asked = tokio::spawn(async move { dialer.ask_node(&own, request, Some(rows)).await });
    let mut all = Vec::new();
    while let Some(Reply::Rows(some)) = heard.recv().await {
        all.extend(some.iter().map(|row| format!("{row:?}")));
    }
    asked.await.unwrap().unwrap();
    all.sort();
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_of_any_node_are_those_of_all_and_an_administrator_reaches_every_queue() {
    let pair = pair().await;
    let channel = confirming(&pair.edge).await;
    declare(&channel, "q", &[]).await;
    publish_all(&channel, "q", 2).await;
    let queues = || Listing::Queues("/".into());
    for at in [&pair.edge, &pair.leader] {
        let rows = listed(at, queues(), &["name", "messages_ready"]).await;
        assert_eq!(rows.len(), 1, "{rows:?}");
        assert!(rows[0].contains("\"q\"") && rows[0].contains('2'), "{rows:?}");
        assert_eq!(listed(at, Listing::Connections, &["name"]).await.len(), 1);
    }
    let record = pair.edge.node.snapshot().catalog.queue("/", "q").unwrap().clone();
    let guest = catalog::Client {
        user: "guest".parse().unwrap(),
        vhost: "/".parse().unwrap(),
        connection: model::ConnectionId(0),
        node: pair.edge.node.name().clone(),
    };
    for (count, afterwards, expected) in [
        (1, Afterwards::Requeued, vec![("0", false, 1)]),
        (9, Afterwards::Requeued, vec![("0", true, 1), ("1", false, 0)]),
    ] {
        let taken = pair.edge.node.take(&guest, &record.name, count, afterwards);
        let taken = taken.await.unwrap();
        let seen = taken
            .iter()
            .map(|one| (std::str::from_utf8(&one.body).unwrap(), one.redelivered, one.left));
        assert_eq!(seen.collect::<Vec<_>>(), expected);
    }
    let idle_since = Some(model::Millis(1_700_000_000_000));
    pair.leader.node.far_counts().observed_by(move |_| idle_since);
    pair.edge.node.look_around().await;
    let view = pair.edge.node.queue_view(&record);
    let leaders = pair.leader.node.queue_view(&record);
    assert_eq!((view.counts, view.counters), (leaders.counts, leaders.counters));
    assert_eq!((view.counts.ready.messages, view.counters.published), (2, 2));
    assert_eq!(view.idle_since, idle_since);
    let _consumer = consume(&channel, "q", "c", false).await;
    assert_eq!(
        listed(&pair.edge, Listing::Consumers("/".into()), &["consumer_tag"])
            .await
            .len(),
        1
    );
    let if_unused = catalog::Conditions {
        if_unused: true,
        if_empty: false,
    };
    assert_eq!(
        pair.edge.node.delete_far(&record, if_unused).await,
        Err(link::Failure::InUse)
    );
    publish_all(&channel, "q", 1).await;
    pair.edge
        .node
        .delete_far(&record, catalog::Conditions::default())
        .await
        .unwrap();
    assert!(pair.edge.node.snapshot().catalog.queue("/", "q").is_none());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "serves until it is killed, for other programs to try: PORTS=/file gets the ports"]
async fn serve_for_others() {
    let pair = pair().await;
    let ports = format!("{} {}\n", pair.leader.amqp, pair.edge.amqp);
    std::fs::write(std::env::var("PORTS").unwrap(), ports).unwrap();
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    std::future::pending::<()>().await;
}
