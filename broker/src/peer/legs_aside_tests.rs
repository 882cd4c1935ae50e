//! The same two nodes, in the moment in which a queue begins to be handed over: what nobody held is not refused, not lost and
//! not overtaken, and goes on when it is known who leads.

use super::*;

/// Long enough for an answer that must not come.
const A_WHILE: Duration = Duration::from_millis(100);

fn letters(queue: &str) -> [(&'static str, AMQPValue); 2] {
    [
        ("x-dead-letter-exchange", AMQPValue::LongString("".into())),
        ("x-dead-letter-routing-key", AMQPValue::LongString(queue.into())),
    ]
}

async fn publishes_go_on(pair: &Pair, at: &Served) {
    let channel = confirming(at).await;
    declare(&channel, "q", &[]).await;
    assert_eq!(publish_all(&channel, "q", 2).await, [true; 2]);
    host::leave(&pair.leader.node, "q", true);
    let mut confirms = Vec::new();
    for number in 2..50 {
        confirms.push(publish(&channel, "q", &number.to_string()).await);
    }
    let first = tokio::spawn(confirms.remove(0));
    tokio::time::sleep(A_WHILE).await;
    assert!(!first.is_finished(), "answered before it is known who leads");
    host::leave(&pair.leader.node, "q", false);
    assert!(first.await.unwrap().unwrap().is_ack());
    for confirm in confirms {
        assert!(confirm.await.unwrap().is_ack());
    }
    let expected: Vec<String> = (0..50).map(|number| number.to_string()).collect();
    assert_eq!(drain(&pair.leader, "q").await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publish_at_the_leader_waits_for_who_leads_and_is_not_refused() {
    let pair = pair().await;
    publishes_go_on(&pair, &pair.leader).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publish_through_another_node_waits_for_who_leads_and_is_not_refused() {
    let pair = pair().await;
    publishes_go_on(&pair, &pair.edge).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_confirms_waits_too_and_keeps_its_place() {
    let pair = pair().await;
    for at in [&pair.leader, &pair.edge] {
        let channel = at.channel().await;
        declare(&channel, "q", &[]).await;
        host::leave(&pair.leader.node, "q", true);
        for number in 0..20 {
            drop(publish(&channel, "q", &number.to_string()).await);
        }
        tokio::time::sleep(A_WHILE).await;
        host::leave(&pair.leader.node, "q", false);
        until("all are there", async || counts(&pair.leader, "q").await.0 == 20).await;
        let expected: Vec<String> = (0..20).map(|number| number.to_string()).collect();
        assert_eq!(drain(&pair.leader, "q").await, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_and_the_end_of_a_channel_wait_for_who_leads() {
    let pair = pair().await;
    let channel = pair.leader.channel().await;
    declare(&channel, "q", &[]).await;
    channel.tx_select().await.unwrap();
    for body in ["one", "two", "three"] {
        drop(publish(&channel, "q", body).await);
    }
    let other = pair.leader.channel().await;
    host::leave(&pair.leader.node, "q", true);
    drop(publish(&other, "q", "before its end").await);
    let commit = tokio::spawn(async move { channel.tx_commit().await });
    let end = tokio::spawn(async move { other.close(200, "done".into()).await });
    tokio::time::sleep(A_WHILE).await;
    assert!(!commit.is_finished() && !end.is_finished());
    host::leave(&pair.leader.node, "q", false);
    commit.await.unwrap().unwrap();
    end.await.unwrap().unwrap();
    let all = drain(&pair.leader, "q").await;
    let of_commit: Vec<_> = all
        .iter()
        .map(String::as_str)
        .filter(|body| *body != "before its end")
        .collect();
    assert_eq!((all.len(), of_commit), (4, vec!["one", "two", "three"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_the_nodes_own_waits_for_who_leads() {
    let pair = pair().await;
    let channel = pair.leader.channel().await;
    declare(&channel, "target", &[]).await;
    declare(&channel, "source", &letters("target")).await;
    drop(publish(&channel, "source", "a letter").await);
    until("it is there", async || counts(&pair.leader, "source").await.0 == 1).await;
    host::leave(&pair.leader.node, "target", true);
    let got = channel
        .basic_get("source".into(), BasicGetOptions { no_ack: false })
        .await;
    let nack = BasicNackOptions {
        multiple: false,
        requeue: false,
    };
    got.unwrap().unwrap().delivery.acker.nack(nack).await.unwrap();
    assert_eq!(counts(&pair.leader, "source").await.0, 0);
    let identity = catalog::Client {
        user: "guest".parse().unwrap(),
        vhost: "/".parse().unwrap(),
        connection: model::ConnectionId(0),
        node: pair.leader.node.name().clone(),
    };
    let post = host::Post {
        exchange: "".parse().unwrap(),
        routing_key: "target".into(),
        properties: wire::Properties::default(),
        body: b"posted".to_vec(),
    };
    assert!(pair.leader.node.post(&identity, &post).unwrap());
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(counts(&pair.leader, "target").await.0, 0);
    host::leave(&pair.leader.node, "target", false);
    until("both are there", async || counts(&pair.leader, "target").await.0 == 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_node_sends_itself_is_answered_when_it_is_there_and_keeps_its_place() {
    let pair = pair().await;
    declare(&pair.leader.channel().await, "q", &[]).await;
    host::leave(&pair.leader.node, "q", true);
    let mut first = host::send(&pair.edge.node, "q", b"first");
    let second = host::send(&pair.edge.node, "q", b"second");
    tokio::time::sleep(A_WHILE).await;
    assert!(first.try_recv().is_err(), "answered before it is known who leads");
    assert_eq!(counts(&pair.leader, "q").await.0, 0);
    host::leave(&pair.leader.node, "q", false);
    let third = host::send(&pair.edge.node, "q", b"third");
    assert!(first.await.unwrap() && second.await.unwrap() && third.await.unwrap());
    assert_eq!(drain(&pair.leader, "q").await, ["first", "second", "third"]);
}
