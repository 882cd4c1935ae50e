//! The handbooks' cluster sessions with their very commands, several nodes on one machine: the cookie is shared, nodes join,
//! are looked at, stopped and started, and leave.

use crate::{
    broker::PATIENCE,
    machines::{ALL, Machines},
};
use std::time::{Duration, Instant};

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
    publish(&machines, 1, "q", 1);
    publish(&machines, 2, "q", 2);
    assert_eq!(declare(&machines, 2, "q").unwrap(), 2);
    machines.ctl(1, &["stop_app"]);
    machines.becomes(2, "Running Nodes", &ALL[1..2]);
    let refused = declare(&machines, 2, "q").unwrap_err().to_string();
    let text = "home node 'mq1@localhost' of durable queue 'q' in vhost '/' is down or inaccessible";
    assert!(refused.contains(text), "{refused}");
    let listed = machines.ctl(2, &["-q", "list_queues", "name", "state"]);
    assert!(listed.contains("q\tdown"), "{listed}");
    machines.ctl(1, &["start_app"]);
    machines.becomes(2, "Running Nodes", &ALL[..2]);
    // What was in memory is gone, as it is with a restart.
    assert_eq!(declare(&machines, 2, "q").unwrap(), 1);
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
