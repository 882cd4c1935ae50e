//! What the tool's lists tell of clients that are there: the same thing goes by the same name in each of them.

use crate::broker::Broker;
use lapin::{
    options::{BasicConsumeOptions, QueueDeclareOptions},
    types::FieldTable,
};

#[tokio::test(flavor = "multi_thread")]
async fn an_exclusive_consumer_is_told_by_its_channel_and_its_tag() {
    let broker = Broker::start("");
    let connection = broker.connect().await;
    let channel = connection.create_channel().await.unwrap();
    let declare = channel.queue_declare("q".into(), QueueDeclareOptions::default(), FieldTable::default());
    declare.await.unwrap();
    let columns = ["exclusive_consumer_pid", "exclusive_consumer_tag"];
    let told = || broker.ctl(&["list_queues", "--no-table-headers", columns[0], columns[1]]);
    assert_eq!(told(), "\t\n");
    let exclusive = BasicConsumeOptions {
        exclusive: true,
        ..BasicConsumeOptions::default()
    };
    let consumer = channel.basic_consume("q".into(), "only".into(), exclusive, FieldTable::default());
    let _consumer = consumer.await.unwrap();
    let channels = broker.ctl(&["list_channels", "--no-table-headers", "pid"]);
    assert!(channels.starts_with('<'), "{channels}");
    assert_eq!(told(), format!("{}\tonly\n", channels.trim_end()));
}
