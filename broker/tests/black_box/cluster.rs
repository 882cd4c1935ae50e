//! The handbooks' cluster sessions with their very commands, several nodes on one machine: the cookie is shared, nodes join,
//! are looked at, stopped and started, and leave.

use crate::{
    broker::PATIENCE,
    certificates::Authority,
    machines::{ALL, Machines},
    mirroring::channel,
    ports::free_addresses,
};
use lapin::{
    BasicProperties, Channel, Confirmation,
    options::{BasicPublishOptions, ConfirmSelectOptions, QueueBindOptions, QueueDeclareOptions},
    types::FieldTable,
};
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

#[test]
fn three_machines_become_a_cluster_and_one_leaves_it_again() {
    let machines = Machines::start(3);
    machines.ctl(1, &["add_user", "ann", "secret"]);
    machines.join(2, ALL[0]);
    machines.join(3, ALL[0]);
    for number in 1..=3 {
        machines.becomes(number, "Disk Nodes", &ALL);
        machines.becomes(number, "Running Nodes", &ALL);
        assert!(machines.ctl(number, &["-q", "list_users"]).contains("ann\t[]\n"));
    }
    machines.ctl(1, &["await_online_nodes", "3"]);
    // Definitions go everywhere, whichever machine is told.
    machines.ctl(3, &["add_vhost", "test"]);
    assert!(machines.ctl(1, &["-q", "list_vhosts"]).contains("test\n"));
    // A replica is stopped and started.
    machines.ctl(2, &["stop_app"]);
    machines.becomes(1, "Running Nodes", &[ALL[0], ALL[2]]);
    machines.ctl(2, &["start_app"]);
    machines.becomes(1, "Running Nodes", &ALL);
    let running = machines.refused(1, &["forget_cluster_node", ALL[2]]);
    assert_eq!(running.0, 69);
    assert!(
        running
            .1
            .contains("must be stopped with 'rabbitmqctl -n mq3@localhost stop_app'"),
        "{running:?}"
    );
    machines.ctl(3, &["stop_app"]);
    assert_eq!(machines.ctl(3, &["reset"]), "Resetting node mq3@localhost ...\n");
    machines.becomes(1, "Disk Nodes", &ALL[..2]);
    machines.ctl(3, &["start_app"]);
    machines.becomes(3, "Disk Nodes", &ALL[2..]);
    assert!(!machines.ctl(3, &["-q", "list_users"]).contains("ann"));
}

const ORDERS: &str = r#"{"vhosts": [{"name": "shop"}], "queues": [{"name": "orders", "vhost": "shop", "durable": true,
    "auto_delete": false, "arguments": {}}]}"#;

#[test]
fn queues_of_definitions_are_imported_by_the_node_with_which_the_cluster_has_its_size() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("definitions.json");
    std::fs::write(&file, ORDERS).unwrap();
    let settings = format!(
        "cluster_formation.target_cluster_size_hint = 2\nload_definitions = {}",
        file.display()
    );
    let machines = Machines::start_with(vec![settings; 2]);
    let check = "has_reached_target_cluster_size";
    assert!(machines.ctl(1, &["list_vhosts"]).contains("shop"));
    assert!(!machines.ctl(1, &["list_queues", "-p", "shop"]).contains("orders"));
    let (exit, said) = machines.refused(1, &[check]);
    let text = "Target cluster size on node mq1@localhost has not been reached: 1 of 2 nodes are online";
    assert!(exit == 69 && said.contains(text), "{exit}: {said}");
    machines.join(2, ALL[0]);
    machines.becomes(1, "Running Nodes", &ALL[..2]);
    assert!(machines.ctl(1, &["list_queues", "-p", "shop"]).contains("orders"));
    let said = machines.tool("rabbitmq-upgrade", 1, &["-q", check]);
    assert_eq!(said, "Target cluster size has been reached on node mq1@localhost\n");
    // One that is away has joined all the same.
    machines.ctl(2, &["stop_app"]);
    machines.becomes(1, "Running Nodes", &ALL[..1]);
    machines.ctl(1, &[check]);
}

/// An AMQP connection to one machine, for one question after the other.
fn ask<T>(machines: &Machines, number: usize, question: impl AsyncFnOnce(lapin::Channel) -> T) -> T {
    let address = format!("amqp://guest:guest@127.0.0.1:{}/%2f", machines.nodes[number - 1].amqp);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let deadline = Instant::now() + PATIENCE;
        let connection = loop {
            match lapin::Connection::connect(&address, lapin::ConnectionProperties::default()).await {
                Ok(connection) => break connection,
                Err(error) => assert!(Instant::now() < deadline, "mq{number}: {error}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        let channel = connection.create_channel().await.unwrap();
        let answer = question(channel).await;
        // A refusal may have closed it already.
        let _ = connection.close(200, "done".into()).await;
        answer
    })
}

fn declare(machines: &Machines, number: usize, queue: &str) -> lapin::Result<u32> {
    ask(machines, number, async |channel| {
        let options = lapin::options::QueueDeclareOptions::durable();
        let declared = channel.queue_declare(queue.into(), options, lapin::types::FieldTable::default());
        declared.await.map(|queue| queue.message_count())
    })
}

fn publish(machines: &Machines, number: usize, queue: &str, delivery_mode: u8) {
    ask(machines, number, async |channel| {
        channel
            .confirm_select(lapin::options::ConfirmSelectOptions::default())
            .await
            .unwrap();
        let properties = lapin::BasicProperties::default().with_delivery_mode(delivery_mode);
        let options = lapin::options::BasicPublishOptions::default();
        let published = channel.basic_publish("".into(), queue.into(), options, b"kept?", properties);
        assert!(published.await.unwrap().await.unwrap().is_ack());
    });
}

/// The node on which the queue was declared is stopped: others do not have it, until it is back.
#[test]
fn a_queue_of_the_main_node_is_away_while_that_is_stopped_and_back_with_its_persistent_messages() {
    let machines = Machines::start(2);
    machines.join(2, ALL[0]);
    machines.becomes(1, "Running Nodes", &ALL[..2]);
    assert_eq!(declare(&machines, 1, "q").unwrap(), 0);
    // Known there as well before it is published to.
    assert_eq!(declare(&machines, 2, "q").unwrap(), 0);
    publish(&machines, 1, "q", 1);
    publish(&machines, 2, "q", 2);
    assert_eq!(declare(&machines, 2, "q").unwrap(), 2);
    machines.ctl(1, &["stop_app"]);
    machines.becomes(2, "Running Nodes", &ALL[1..2]);
    let refused = declare(&machines, 2, "q").unwrap_err().to_string();
    let text = "home node 'mq1@localhost' of durable queue 'q' in vhost '/' is down or inaccessible";
    assert!(refused.contains(text), "{refused}");
    assert_eq!(declare(&machines, 2, "own").unwrap(), 0);
    let listed = |options: &[&str]| {
        let all = [&["-q", "list_queues", "--no-table-headers", "name", "state"], options].concat();
        machines.ctl(2, &all)
    };
    assert_eq!(listed(&[]).lines().count(), 2);
    assert_eq!(listed(&["--offline"]), "q\tdown\n");
    assert_eq!(listed(&["--online"]), "own\trunning\n");
    assert_eq!(listed(&["--local"]), "own\trunning\n");
    machines.ctl(1, &["start_app"]);
    machines.becomes(2, "Running Nodes", &ALL[..2]);
    assert_eq!(listed(&["--online"]).lines().count(), 2);
    assert_eq!(listed(&["--local"]), "own\trunning\n");
    // What was in memory is gone, as it is with a restart.
    assert_eq!(declare(&machines, 2, "q").unwrap(), 1);
}

/// What the management API there answers to a declaration of a queue: the status line and the body.
/// True if a message found a queue, by what is known at the channel's node.
async fn finds_a_queue(channel: &Channel, exchange: &str, key: &str) -> bool {
    let options = BasicPublishOptions {
        mandatory: true,
        ..BasicPublishOptions::default()
    };
    let published = channel.basic_publish(
        exchange.into(),
        key.into(),
        options,
        b"at once",
        BasicProperties::default(),
    );
    matches!(published.await.unwrap().await.unwrap(), Confirmation::Ack(None))
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_was_told_of_a_queue_or_a_binding_finds_it_at_every_node() {
    let machines = Machines::cluster(3);
    let (here, there) = (channel(&machines, 1).await, channel(&machines, 3).await);
    there.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    let mut unknown = Vec::new();
    for number in 0..200 {
        let name = format!("q{number}");
        let declared = here.queue_declare(
            name.as_str().into(),
            QueueDeclareOptions::default(),
            FieldTable::default(),
        );
        declared.await.unwrap();
        let finds_queue = finds_a_queue(&there, "", &name).await;
        let options = QueueBindOptions::default();
        let bound = here.queue_bind(
            "q0".into(),
            "amq.topic".into(),
            name.as_str().into(),
            options,
            FieldTable::default(),
        );
        bound.await.unwrap();
        if !finds_queue || !finds_a_queue(&there, "amq.topic", &name).await {
            unknown.push(name);
        }
    }
    assert!(unknown.is_empty(), "not known yet: {unknown:?}");
}

fn put(at: SocketAddr, queue: &str, body: &str) -> (String, String) {
    let mut socket = TcpStream::connect(at).unwrap();
    let (length, user) = (body.len(), "Z3Vlc3Q6Z3Vlc3Q=");
    write!(
        socket,
        "PUT /api/queues/%2F/{queue} HTTP/1.1\r\nHost: mq\r\nConnection: close\r\nAuthorization: Basic {user}\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.lines().next().unwrap().to_owned(), body.to_owned())
}

#[test]
fn a_queue_is_declared_at_the_node_that_the_management_api_is_told() {
    let [first, second] = free_addresses();
    let settings = |at: SocketAddr| format!("management.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {}", at.port());
    let machines = Machines::start_with(vec![settings(first), settings(second)]);
    machines.join(2, ALL[0]);
    machines.becomes(1, "Running Nodes", &ALL[..2]);
    machines.tool("rabbitmq-plugins", 1, &["enable", "rabbitmq_management"]);
    let created = "HTTP/1.1 201 Created".to_owned();
    for (queue, body) in [
        ("there", r#"{"node": "mq2@localhost", "durable": true}"#),
        ("short", r#"{"node": "mq2", "durable": true}"#),
        ("here", r#"{"node": "mq1@localhost", "durable": true}"#),
        ("any", r#"{"durable": true}"#),
    ] {
        assert_eq!(put(first, queue, body).0, created, "{queue}");
    }
    let again = put(first, "any", r#"{"node": "mq2@localhost", "durable": true}"#);
    assert_eq!(again.0, "HTTP/1.1 204 No Content", "it stays where it is");
    let unknown = put(first, "unknown", r#"{"node": "mq3@localhost"}"#);
    assert_eq!(unknown.0, "HTTP/1.1 400 Bad Request");
    assert!(
        unknown.1.contains("Node mq3@localhost could not be contacted"),
        "{}",
        unknown.1
    );
    let led_by = |number| {
        let listed = machines.ctl(number, &["-q", "list_queues", "--no-table-headers", "--local", "name"]);
        let mut names: Vec<String> = listed.lines().map(str::to_owned).collect();
        names.sort();
        names
    };
    assert_eq!(led_by(2), ["short", "there"]);
    assert_eq!(led_by(1), ["any", "here"]);
}

/// Two of three are killed for good: the third serves nobody until it is forced to go on, and keeps what it knew.
#[test]
fn a_node_that_lost_the_majority_goes_on_alone_when_it_is_forced_to() {
    let mut machines = Machines::start(3);
    machines.join(2, ALL[0]);
    machines.join(3, ALL[0]);
    machines.becomes(3, "Running Nodes", &ALL);
    machines.ctl(1, &["add_user", "ann", "secret"]);
    for lost in &mut machines.nodes[..2] {
        lost.process.kill().unwrap();
        lost.process.wait().unwrap();
    }
    let deadline = Instant::now() + 3 * PATIENCE;
    while !machines.log(3).contains("clients are not served until one does") {
        assert!(Instant::now() < deadline, "{}", machines.log(3));
        std::thread::sleep(Duration::from_millis(50));
    }
    let told = machines.ctl(3, &["force_majority"]);
    assert!(
        told.starts_with("Making node mq3@localhost decide alone ...\n"),
        "{told}"
    );
    machines.becomes(3, "Running Nodes", &ALL[2..]);
    assert!(machines.ctl(3, &["-q", "list_users"]).contains("ann"));
    machines.ctl(3, &["add_vhost", "of the third alone"]);
    for lost in &ALL[..2] {
        machines.ctl(3, &["forget_cluster_node", lost]);
    }
    machines.becomes(3, "Disk Nodes", &ALL[2..]);
}

/// Either may be stopped at any moment, whoever leads: the other goes on alone. Then one leaves, and joins again.
#[test]
fn of_two_nodes_either_is_stopped_and_the_other_goes_on_alone() {
    let machines = Machines::start(2);
    machines.join(2, ALL[0]);
    for round in 0..4 {
        machines.becomes(1, "Running Nodes", &ALL[..2]);
        let (stopped, other) = [(2, 1), (1, 2)][round % 2];
        machines.ctl(stopped, &["stop_app"]);
        let since = Instant::now();
        machines.ctl(other, &["add_vhost", &format!("alone {round}")]);
        assert!(since.elapsed() < PATIENCE, "it took {:?}", since.elapsed());
        if round < 2 {
            machines.ctl(stopped, &["start_app"]);
            continue;
        }
        machines.ctl(other, &["forget_cluster_node", ALL[stopped - 1]]);
        machines.ctl(other, &["add_vhost", &format!("forgotten {round}")]);
        machines.ctl(stopped, &["force_reset"]);
        machines.ctl(stopped, &["join_cluster", ALL[other - 1]]);
        machines.ctl(stopped, &["start_app"]);
    }
}

/// Of two nodes the last one stopped has to come back first; the other is let go on without it, and then it may not.
#[test]
fn a_node_that_was_stopped_first_is_made_to_boot_and_the_last_one_does_not_lead_beside_it() {
    let machines = Machines::start(2);
    machines.join(2, ALL[0]);
    machines.becomes(1, "Running Nodes", &ALL[..2]);
    machines.ctl(1, &["stop_app"]);
    machines.becomes(2, "Running Nodes", &ALL[1..2]);
    machines.ctl(2, &["add_vhost", "known to the last"]);
    let running = machines.refused(2, &["force_boot"]);
    assert_eq!(running.0, 64, "{running:?}");
    machines.ctl(2, &["stop_app"]);
    machines.ctl(1, &["force_boot"]);
    machines.ctl(1, &["start_app"]);
    machines.becomes(1, "Running Nodes", &ALL[..1]);
    assert!(!machines.ctl(1, &["-q", "list_vhosts"]).contains("known to the last"));
    let refused = machines.call(2, &["start_app"]);
    let errors = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        errors.contains("the cluster was made to go on without node mq2@localhost"),
        "{errors}"
    );
    // What it says to do.
    machines.ctl(2, &["force_reset"]);
    machines.ctl(1, &["forget_cluster_node", ALL[1]]);
    machines.ctl(2, &["join_cluster", ALL[0]]);
    machines.ctl(2, &["start_app"]);
    machines.becomes(2, "Running Nodes", &ALL[..2]);
}

/// The process of the node ends, as a stopped host's.
fn stop_process(machines: &mut Machines, number: usize) {
    machines.ctl(number, &["stop"]);
    machines.nodes[number - 1].process.wait().unwrap();
}

#[test]
fn a_node_that_does_not_run_forgets_one_that_is_lost_and_goes_on_without_it() {
    let mut machines = Machines::start(2);
    machines.join(2, ALL[0]);
    machines.becomes(1, "Running Nodes", &ALL[..2]);
    machines.ctl(1, &["add_user", "ann", "secret"]);
    let forget = ["forget_cluster_node", "--offline", ALL[1]];
    let running = machines.call(1, &forget);
    assert_eq!(running.status.code(), Some(64));
    let errors = String::from_utf8_lossy(&running.stderr).into_owned();
    assert!(
        errors.contains("this command requires the target node to be stopped"),
        "{errors}"
    );
    stop_process(&mut machines, 1);
    machines.becomes(2, "Running Nodes", &ALL[1..2]);
    let (exit, text) = machines.refused(1, &forget);
    assert_eq!(exit, 69);
    assert!(
        text.starts_with("{:removing_node_from_offline_node, 'To remove a node remotely"),
        "{text}"
    );
    machines.nodes[1].process.kill().unwrap();
    machines.nodes[1].process.wait().unwrap();
    let stranger = machines.refused(1, &["forget_cluster_node", "--offline", ALL[2]]);
    let text = "{:not_a_cluster_node, 'The node selected is not in the cluster.'}";
    assert_eq!(stranger, (69, text.to_owned()));
    let told = machines.ctl(1, &forget);
    assert_eq!(told, format!("Removing node {} from the cluster\n", ALL[1]));
    machines.start_again(1);
    machines.becomes(1, "Disk Nodes", &ALL[..1]);
    machines.becomes(1, "Running Nodes", &ALL[..1]);
    assert!(machines.ctl(1, &["-q", "list_users"]).contains("ann"));
}

/// The name is in the cluster's definitions, in those of every queue, and in the node's own files.
#[test]
fn a_stopped_member_takes_another_name_and_its_queues_go_with_it() {
    let mut machines = Machines::start(2);
    machines.join(2, ALL[0]);
    machines.becomes(1, "Running Nodes", &ALL[..2]);
    assert_eq!(declare(&machines, 2, "q").unwrap(), 0);
    publish(&machines, 2, "q", 2);
    stop_process(&mut machines, 2);
    machines.becomes(1, "Running Nodes", &ALL[..1]);
    machines.ctl(2, &["rename_cluster_node", ALL[1], "hare@localhost"]);
    for (from, to) in [
        ("mnesia/mq2@localhost", "mnesia/hare@localhost"),
        ("mq2@localhost.conf", "hare@localhost.conf"),
    ] {
        std::fs::rename(machines.path(from), machines.path(to)).unwrap();
    }
    machines.nodes[1].name = "hare@localhost".to_owned();
    machines.start_again(2);
    machines.becomes(1, "Disk Nodes", &["hare@localhost", ALL[0]]);
    machines.becomes(1, "Running Nodes", &["hare@localhost", ALL[0]]);
    assert_eq!(declare(&machines, 1, "q").unwrap(), 1);
    let listed = machines.ctl(1, &["-q", "list_queues", "--no-table-headers", "name", "state"]);
    assert_eq!(listed, "q\trunning\n");
}

#[test]
fn a_stopped_node_learns_from_a_new_member_who_belongs_to_the_cluster() {
    let machines = Machines::start(3);
    machines.join(2, ALL[0]);
    machines.becomes(1, "Running Nodes", &ALL[..2]);
    machines.ctl(1, &["stop_app"]);
    machines.join(3, ALL[1]);
    machines.becomes(3, "Running Nodes", &ALL[1..]);
    machines.ctl(2, &["stop_app"]);
    machines.ctl(2, &["reset"]);
    machines.ctl(2, &["start_app"]);
    let (exit, text) = machines.refused(1, &["update_cluster_nodes", ALL[1]]);
    let stranger = "{:inconsistent_cluster, 'The nodes provided do not have this node as part of the cluster.'}";
    assert_eq!((exit, text.as_str()), (69, stranger));
    let itself = machines.refused(1, &["update_cluster_nodes", ALL[0]]);
    assert!(
        itself.1.contains("cannot cluster node with itself: mq1@localhost"),
        "{itself:?}"
    );
    let told = machines.ctl(1, &["update_cluster_nodes", ALL[2]]);
    assert_eq!(told, format!("Will seed {} from {} on next start\n", ALL[0], ALL[2]));
    machines.ctl(1, &["start_app"]);
    machines.becomes(1, "Running Nodes", &[ALL[0], ALL[2]]);
}

/// What a node tells a client first.
fn greeting(machines: &Machines, number: usize) -> Vec<u8> {
    let mut tcp = TcpStream::connect(("127.0.0.1", machines.nodes[number - 1].amqp)).unwrap();
    tcp.set_read_timeout(Some(PATIENCE)).unwrap();
    tcp.write_all(b"AMQP\x00\x00\x09\x01").unwrap();
    let mut head = [0; 7];
    tcp.read_exact(&mut head).unwrap();
    let octets = u32::from_be_bytes([head[3], head[4], head[5], head[6]]);
    let mut method = vec![0; octets as usize];
    tcp.read_exact(&mut method).unwrap();
    method
}

#[test]
fn clients_of_every_node_are_told_what_the_cluster_is_called() {
    let machines = Machines::start(2);
    machines.join(2, ALL[0]);
    machines.becomes(1, "Running Nodes", &ALL[..2]);
    for (name, number) in [(ALL[0], 1), (ALL[0], 2), ("sea", 1), ("sea", 2)] {
        if name == "sea" {
            machines.ctl(1, &["set_cluster_name", "sea"]);
        }
        let told = [
            b"\x0ccluster_nameS\x00\x00\x00",
            &[name.len() as u8][..],
            name.as_bytes(),
        ]
        .concat();
        let deadline = Instant::now() + PATIENCE;
        while !greeting(&machines, number).windows(told.len()).any(|part| part == told) {
            assert!(Instant::now() < deadline, "mq{number} does not say {name}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

#[test]
fn nodes_that_require_tls_of_each_other_form_a_cluster_and_turn_away_who_has_no_certificate_of_theirs() {
    let (own, other) = (Authority::new("own"), Authority::new("other"));
    let directories = [&own, &own, &other].map(|authority| {
        let directory = tempfile::tempdir().unwrap();
        authority.equip_host(directory.path(), "localhost");
        directory
    });
    let settings = directories.iter().map(|directory| {
        let file = |key: &str, name: &str| {
            let path = directory.path().join(name);
            format!("distribution.ssl_options.{key} = {}\n", path.display())
        };
        let files = [
            ("cacertfile", "ca.pem"),
            ("certfile", "server.pem"),
            ("keyfile", "server.key"),
        ];
        let files: String = files.into_iter().map(|(key, name)| file(key, name)).collect();
        format!("distribution.tls = required\n{files}")
    });
    let machines = Machines::start_with(settings.collect());
    machines.join(2, ALL[0]);
    machines.becomes(1, "Running Nodes", &ALL[..2]);
    assert_eq!(declare(&machines, 1, "q").unwrap(), 0);
    // Known there as well before it is published to.
    assert_eq!(declare(&machines, 2, "q").unwrap(), 0);
    publish(&machines, 2, "q", 2);
    assert_eq!(declare(&machines, 2, "q").unwrap(), 1);
    machines.ctl(3, &["stop_app"]);
    let refused = machines.refused(3, &["join_cluster", ALL[0]]);
    assert_eq!(refused.0, 69, "{refused:?}");
    assert!(
        machines.log(1).contains("rejected: TLS handshake: "),
        "{}",
        machines.log(1)
    );
}
