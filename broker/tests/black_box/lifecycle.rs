//! The app stops and starts in a process that goes on: clients are told, persistent messages stay, transient ones go,
//! and nothing is left behind, however often.

use crate::broker::{Broker, soon};
use lapin::{
    BasicProperties, Channel,
    options::{BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions},
    types::FieldTable,
};
use std::fs;

async fn queue(broker: &Broker, name: &str) -> Channel {
    let channel = broker.connect().await.create_channel().await.unwrap();
    let declared = channel.queue_declare(name.into(), QueueDeclareOptions::durable(), FieldTable::default());
    declared.await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    channel
}

async fn publish(channel: &Channel, queue: &str, body: &[u8], mode: u8) {
    let properties = BasicProperties::default().with_delivery_mode(mode);
    let options = BasicPublishOptions::default();
    let sent = channel.basic_publish("".into(), queue.into(), options, body, properties);
    assert!(sent.await.unwrap().await.unwrap().is_ack());
}

async fn bodies(channel: &Channel, queue: &str) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let options = BasicGetOptions { no_ack: true };
    while let Some(got) = channel.basic_get(queue.into(), options).await.unwrap() {
        found.push(got.delivery.data);
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn persistent_messages_survive_a_stop_of_the_app_and_transient_ones_do_not() {
    let broker = Broker::start("");
    let channel = queue(&broker, "q").await;
    publish(&channel, "q", b"transient", 1).await;
    publish(&channel, "q", b"persistent", 2).await;
    broker.ctl(&["stop_app"]);
    assert!(!channel.status().connected(), "the client was not told");
    let refused = broker.fails(&["list_queues"]);
    assert_eq!(refused.0, 64);
    assert!(
        refused
            .1
            .starts_with("Error: this command requires the 'rabbit' app to be running on the target node."),
        "{refused:?}"
    );
    assert_eq!(broker.fails(&["await_startup", "-t", "1"]).0, 69);
    assert_eq!(broker.admin("/live"), 200);
    assert_eq!(broker.admin("/ready"), 503);
    // Neither is an error when it is done already.
    broker.ctl(&["stop_app"]);
    broker.ctl(&["start_app"]);
    broker.ctl(&["start_app"]);
    broker.ctl(&["await_startup"]);
    assert_eq!(broker.admin("/ready"), 200);
    let channel = queue(&broker, "q").await;
    assert_eq!(bodies(&channel, "q").await, [b"persistent"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_node_is_blank_and_is_not_reset_while_it_runs() {
    let broker = Broker::start("");
    let channel = queue(&broker, "q").await;
    publish(&channel, "q", b"m", 2).await;
    broker.ctl(&["add_user", "ann", "secret"]);
    let refused = broker.fails(&["reset"]);
    assert_eq!(refused.0, 64);
    assert!(refused.1.contains("'rabbit' app to be stopped"), "{refused:?}");
    for reset in ["reset", "force_reset"] {
        broker.ctl(&["stop_app"]);
        broker.ctl(&[reset]);
        broker.ctl(&["start_app"]);
        assert_eq!(broker.ctl(&["list_queues", "name"]), "", "{reset}");
        assert_eq!(
            broker.ctl(&["list_users"]),
            "user\ttags\nguest\t[administrator]\n",
            "{reset}"
        );
    }
}

/// Open descriptors, threads and resident octets of the broker.
fn held(broker: &Broker) -> [usize; 3] {
    let place = format!("/proc/{}", broker.pid());
    let count = |what: &str| fs::read_dir(format!("{place}/{what}")).unwrap().count();
    let memory = fs::read_to_string(format!("{place}/statm")).unwrap();
    let pages: usize = memory.split(' ').nth(1).unwrap().parse().unwrap();
    [count("fd"), count("task"), pages * 4096]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_stops_and_starts_leave_nothing_behind() {
    let broker = Broker::start("");
    let cycle = async |number: usize| {
        let channel = queue(&broker, "q").await;
        publish(&channel, "q", format!("{number}").as_bytes(), 2).await;
        // A client that does not answer holds a stop up for its time: this one is polite.
        broker.ctl(&["stop_app"]);
        broker.ctl(&["start_app"]);
    };
    for number in 0..20 {
        soon(cycle(number)).await;
    }
    let before = held(&broker);
    for number in 20..100 {
        soon(cycle(number)).await;
    }
    let after = held(&broker);
    assert!(after[0] <= before[0] + 4, "descriptors: {before:?} {after:?}");
    assert!(after[1] <= before[1] + 4, "threads: {before:?} {after:?}");
    assert!(after[2] <= before[2] + 8_000_000, "memory: {before:?} {after:?}");
    let channel = queue(&broker, "q").await;
    assert_eq!(bodies(&channel, "q").await.len(), 100);
}

#[test]
fn a_tool_whose_complaint_nobody_reads_exits_as_if_somebody_did() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut tool = std::process::Command::new(env!("CARGO_BIN_EXE_warren"));
    let status = tool.args(["ctl", "no_such_command"]).stderr(writer).status().unwrap();
    assert_eq!(status.code(), Some(64));
}
