//! The handbooks' mirrored queues with their very commands: the leader stops or is killed, the others serve on, and what was
//! confirmed is there; the old leader comes back and is a mirror, at once or when it is told to.

use crate::{
    broker::PATIENCE,
    machines::{ALL, Machines},
};
use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties,
    options::{BasicGetOptions, BasicPublishOptions, BasicRejectOptions, ConfirmSelectOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable},
};
use std::time::{Duration, Instant};

pub(crate) async fn channel(machines: &Machines, number: usize) -> Channel {
    let uri = format!("amqp://127.0.0.1:{}/%2f", machines.nodes[number - 1].amqp);
    let deadline = Instant::now() + PATIENCE;
    loop {
        match Connection::connect(&uri, ConnectionProperties::default()).await {
            Ok(connection) => return connection.create_channel().await.unwrap(),
            Err(error) => assert!(Instant::now() < deadline, "mq{number}: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

pub(crate) async fn declare(machines: &Machines, number: usize, queue: &str) {
    let channel = channel(machines, number).await;
    let declared = channel.queue_declare(queue.into(), QueueDeclareOptions::durable(), FieldTable::default());
    declared.await.unwrap();
}

/// Publishes persistent messages at a node, and waits for each confirm.
pub(crate) async fn publish(machines: &Machines, number: usize, queue: &str, bodies: std::ops::Range<u32>) {
    let channel = channel(machines, number).await;
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    for body in bodies {
        let properties = BasicProperties::default().with_delivery_mode(2);
        let options = BasicPublishOptions::default();
        let body = body.to_string();
        let published = channel.basic_publish("".into(), queue.into(), options, body.as_bytes(), properties);
        assert!(published.await.unwrap().await.unwrap().is_ack());
    }
}

/// Publishes so many at once, and waits for all confirms.
pub(crate) async fn fill(machines: &Machines, number: usize, queue: &str, count: u32) {
    let channel = channel(machines, number).await;
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    let mut confirms = Vec::new();
    for body in 0..count {
        let properties = BasicProperties::default().with_delivery_mode(2);
        let (options, body) = (BasicPublishOptions::default(), body.to_string());
        let published = channel.basic_publish("".into(), queue.into(), options, body.as_bytes(), properties);
        confirms.push(published.await.unwrap());
    }
    for confirm in confirms {
        assert!(confirm.await.unwrap().is_ack());
    }
}

/// Takes all there is at a node, acknowledged at once.
pub(crate) async fn drain(machines: &Machines, number: usize, queue: &str) -> Vec<u32> {
    let channel = channel(machines, number).await;
    let mut bodies = Vec::new();
    let options = BasicGetOptions { no_ack: true };
    while let Some(got) = channel.basic_get(queue.into(), options).await.unwrap() {
        bodies.push(String::from_utf8(got.delivery.data).unwrap().parse().unwrap());
    }
    bodies
}

impl Machines {
    pub(crate) fn column(&self, number: usize, queue: &str, column: &str) -> String {
        let list = self.ctl(number, &["-q", "list_queues", "--no-table-headers", "name", column]);
        let row = list
            .lines()
            .find_map(|line| line.strip_prefix(queue)?.strip_prefix('\t'));
        row.unwrap_or("none").to_owned()
    }

    /// Waits until a column of a queue's row contains all of these words and nothing more of the kind.
    pub(crate) fn shows(&self, number: usize, queue: &str, column: &str, words: &[&str]) {
        let deadline = Instant::now() + 3 * PATIENCE;
        loop {
            let seen = self.column(number, queue, column);
            let has_all = words.iter().all(|word| seen.contains(word));
            if has_all && seen.matches("@localhost").count() == words.len() {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "mq{number}: {column} of {queue}: {seen}, not {words:?}\n{}",
                self.log(number)
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Tries a call of `rabbitmq-queues` until it is done and says this.
    fn until_done(&self, number: usize, arguments: &[&str], says: &str) {
        let deadline = Instant::now() + 3 * PATIENCE;
        loop {
            let output = self.call_tool("rabbitmq-queues", number, arguments);
            if output.status.success() && String::from_utf8_lossy(&output.stdout).contains(says) {
                return;
            }
            assert!(Instant::now() < deadline, "mq{number}: {arguments:?}: {output:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until a queue has so many mirrors that are in sync.
    pub(crate) fn shows_mirrors(&self, number: usize, queue: &str, count: usize) {
        let deadline = Instant::now() + 3 * PATIENCE;
        loop {
            let seen = self.column(number, queue, "synchronised_slave_pids");
            if seen.matches("@localhost").count() == count {
                return;
            }
            assert!(Instant::now() < deadline, "mq{number}: mirrors of {queue}: {seen}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub(crate) fn cluster(count: usize) -> Self {
        Machines::start(count).joined()
    }

    /// One cluster of all that have been started.
    pub(crate) fn joined(self) -> Self {
        let count = self.nodes.len();
        for number in 2..=count {
            self.join(number, ALL[0]);
            self.becomes(1, "Running Nodes", &ALL[..number]);
        }
        self.until_all_decide(count);
        self
    }

    /// A node that has just joined does not count for a majority yet.
    pub(crate) fn until_all_decide(&self, count: usize) {
        let deadline = Instant::now() + PATIENCE;
        let decide =
            |line: &str| line.contains("the members change: Voters(") && line.matches(", ").count() == count - 1;
        while !self.log(1).lines().any(decide) {
            assert!(Instant::now() < deadline, "not all nodes decide: {}", self.log(1));
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn kill(&mut self, number: usize) {
        self.nodes[number - 1].process.kill().unwrap();
        self.nodes[number - 1].process.wait().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_leads_when_the_leader_is_stopped_and_the_leader_comes_back_as_its_mirror() {
    let machines = Machines::cluster(2);
    declare(&machines, 1, "test").await;
    publish(&machines, 1, "test", 0..50).await;
    let policy = r#"{"ha-mode":"all","ha-sync-mode":"automatic"}"#;
    let set = [
        "set_policy",
        "--vhost",
        "/",
        "--priority",
        "0",
        "--apply-to",
        "queues",
        "ha-all",
        "^test",
        policy,
    ];
    let told = machines.ctl(2, &set);
    let expected = format!(
        "Setting policy \"ha-all\" for pattern \"^test\" to \"{policy}\" with priority \"0\" for vhost \"/\" ...\n"
    );
    assert_eq!(told, expected);
    machines.shows(1, "test", "synchronised_slave_pids", &[ALL[1]]);
    publish(&machines, 2, "test", 50..60).await;
    machines.ctl(1, &["stop_app"]);
    machines.shows(2, "test", "leader", &[ALL[1]]);
    machines.shows(2, "test", "slave_pids", &[]);
    publish(&machines, 2, "test", 60..70).await;
    machines.ctl(1, &["start_app"]);
    machines.shows(2, "test", "synchronised_slave_pids", &[ALL[0]]);
    publish(&machines, 1, "test", 70..80).await;
    machines.ctl(2, &["stop_app"]);
    machines.shows(1, "test", "leader", &[ALL[0]]);
    assert_eq!(drain(&machines, 1, "test").await, (0..80).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_that_is_synchronised_by_hand_waits_until_it_is_told() {
    let mut machines = Machines::cluster(3);
    let policy = r#"{"ha-mode":"all"}"#;
    machines.ctl(1, &["set_policy", "--apply-to", "queues", "ha-all", "^test", policy]);
    declare(&machines, 1, "test").await;
    machines.shows(2, "test", "synchronised_slave_pids", &[ALL[1], ALL[2]]);
    publish(&machines, 3, "test", 0..20).await;
    machines.kill(1);
    machines.shows(3, "test", "leader", &[ALL[1]]);
    publish(&machines, 3, "test", 20..40).await;
    machines.start_again(1);
    machines.shows(3, "test", "slave_pids", &[ALL[2], ALL[0]]);
    machines.shows(3, "test", "synchronised_slave_pids", &[ALL[2]]);
    let told = machines.ctl(3, &["sync_queue", "test"]);
    assert_eq!(told, "Synchronising queue 'test' in vhost '/' ...\n");
    machines.shows(3, "test", "synchronised_slave_pids", &[ALL[2], ALL[0]]);
    let idle = machines.ctl(1, &["cancel_sync_queue", "test"]);
    assert_eq!(
        idle,
        "Stopping synchronising queue 'test' in vhost '/' ...\nnot_syncing\n"
    );
    machines.kill(2);
    machines.kill(3);
    machines.start_again(2);
    machines.shows(1, "test", "slave_pids", &[ALL[1]]);
    assert_eq!(drain(&machines, 1, "test").await, (0..40).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_been_dead_lettered_is_gone_from_the_mirrors_too() {
    let mut machines = Machines::cluster(3);
    machines.ctl(1, &["set_policy", "ha-all", "^test", r#"{"ha-mode":"all"}"#]);
    let letters = r#"{"dead-letter-exchange":"","dead-letter-routing-key":"test.dead","ha-mode":"all"}"#;
    machines.ctl(1, &["set_policy", "--priority", "1", "letters", "^test$", letters]);
    declare(&machines, 1, "test").await;
    declare(&machines, 1, "test.dead").await;
    publish(&machines, 1, "test", 0..20).await;
    let taker = channel(&machines, 1).await;
    while let Some(got) = taker
        .basic_get("test".into(), BasicGetOptions::default())
        .await
        .unwrap()
    {
        got.delivery
            .acker
            .reject(BasicRejectOptions { requeue: false })
            .await
            .unwrap();
    }
    let deadline = Instant::now() + PATIENCE;
    while machines.column(1, "test.dead", "messages") != "20" {
        assert!(
            Instant::now() < deadline,
            "{}",
            machines.column(1, "test.dead", "messages")
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    // Whatever the leader has told before this is confirmed has been told its mirrors before.
    publish(&machines, 1, "test", 20..21).await;
    machines.kill(1);
    machines.shows(3, "test", "leader", &[ALL[1]]);
    assert_eq!(drain(&machines, 3, "test").await, [20]);
    assert_eq!(drain(&machines, 3, "test.dead").await, (0..20).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_without_mirrors_is_not_synchronised() {
    let machines = Machines::cluster(2);
    declare(&machines, 1, "plain").await;
    assert_eq!(
        machines.refused(2, &["sync_queue", "plain"]),
        (69, "not_mirrored".to_owned())
    );
    assert_eq!(
        machines.refused(2, &["sync_queue", "absent"]),
        (69, "not_found".to_owned())
    );
    assert_eq!(machines.column(2, "plain", "slave_pids"), "");
}

/// Declares a quorum queue at a node, which leads it, with so many members.
async fn declare_quorum(machines: &Machines, number: usize, members: i64) {
    let arguments = FieldTable::from(std::collections::BTreeMap::from([
        ("x-queue-type".into(), AMQPValue::LongString("quorum".into())),
        ("x-quorum-initial-group-size".into(), AMQPValue::LongLongInt(members)),
    ]));
    let channel = channel(machines, number).await;
    let declared = channel.queue_declare("test".into(), QueueDeclareOptions::durable(), arguments);
    declared.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quorum_queue_moves_to_other_nodes_by_its_members() {
    let machines = Machines::cluster(3);
    let queues = |number, arguments: &[&str]| machines.tool("rabbitmq-queues", number, arguments);
    declare_quorum(&machines, 1, 1).await;
    publish(&machines, 2, "test", 0..20).await;
    assert_eq!(machines.column(1, "test", "messages"), "20");
    queues(2, &["add_member", "test", ALL[1]]);
    queues(1, &["grow", ALL[2], "all"]);
    machines.shows(3, "test", "members", &[ALL[0], ALL[1], ALL[2]]);
    publish(&machines, 3, "test", 20..40).await;
    // The member that leads goes once another one is in sync.
    machines.until_done(3, &["delete_member", "test", ALL[0]], "");
    machines.shows(1, "test", "members", &[ALL[1], ALL[2]]);
    machines.until_done(1, &["shrink", ALL[1]], "\tok");
    machines.shows(1, "test", "members", &[ALL[2]]);
    let status = queues(1, &["quorum_status", "test", "--formatter", "json"]);
    assert!(
        status.contains("\"Raft State\":\"leader\"") && status.contains(ALL[2]),
        "{status}"
    );
    publish(&machines, 1, "test", 40..60).await;
    assert_eq!(machines.column(3, "test", "messages"), "60");
    assert_eq!(drain(&machines, 2, "test").await, (0..60).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quorum_queue_serves_while_a_majority_of_its_members_runs() {
    let mut machines = Machines::cluster(3);
    declare_quorum(&machines, 1, 3).await;
    machines.shows(2, "test", "members", &[ALL[0], ALL[1], ALL[2]]);
    publish(&machines, 2, "test", 0..20).await;
    machines.kill(1);
    machines.shows(3, "test", "leader", &[ALL[1]]);
    machines.shows(3, "test", "online", &[ALL[1], ALL[2]]);
    publish(&machines, 3, "test", 20..40).await;
    machines.shows(3, "test", "members", &[ALL[0], ALL[1], ALL[2]]);
    machines.start_again(1);
    machines.shows(1, "test", "online", &[ALL[0], ALL[1], ALL[2]]);
    publish(&machines, 1, "test", 40..60).await;
    assert_eq!(drain(&machines, 1, "test").await, (0..60).collect::<Vec<_>>());
}
