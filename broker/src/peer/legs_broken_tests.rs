//! The same two nodes over a way that breaks, or loses what the leader says; and legs that nobody should take.

use super::*;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// The way from the edge to the leader, which can break, or lose what the leader says.
#[derive(Default)]
pub(super) struct Way {
    carried: Mutex<Vec<tokio::task::JoinHandle<()>>>,
    is_deaf: AtomicBool,
}

impl Way {
    /// A port in front of another.
    pub(super) async fn before(self: Arc<Self>, port: SocketAddr) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let Ok(far) = TcpStream::connect(port).await else {
                    continue;
                };
                let carrying = tokio::spawn(self.clone().carry(near, far));
                self.carried.lock().push(carrying);
            }
        });
        address
    }

    async fn carry(self: Arc<Self>, near: TcpStream, far: TcpStream) {
        let (mut near, mut far) = (near.into_split(), far.into_split());
        let back = async {
            let mut octets = vec![0; 4096];
            // A stream that has lost some octets never brings later ones.
            let mut is_lost = false;
            while let Ok(read @ 1..) = far.0.read(&mut octets).await {
                is_lost |= self.is_deaf.load(Ordering::Relaxed);
                if !is_lost && near.1.write_all(&octets[..read]).await.is_err() {
                    break;
                }
            }
        };
        tokio::select! {
            _ = tokio::io::copy(&mut near.0, &mut far.1) => {}
            () = back => {}
        }
    }

    /// Nothing comes over it any more that is on it now.
    async fn cut(&self) {
        let carried = std::mem::take(&mut *self.carried.lock());
        for carrying in carried {
            carrying.abort();
            // Whether it had ended before is all the same.
            let _ = carrying.await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn publishes_whose_way_breaks_are_sent_again_and_stand_once_and_in_order() {
    let way = Arc::new(Way::default());
    let pair = pair_over(Some(way.clone())).await;
    let (channel, other) = (confirming(&pair.edge).await, confirming(&pair.edge).await);
    declare(&channel, "q", &[]).await;
    declare(&other, "r", &[]).await;
    let mut open = Vec::new();
    for number in 0..1500 {
        // Answers are lost for a while, then the way with all that is on it.
        match number % 300 {
            100 => way.is_deaf.store(true, Ordering::Relaxed),
            200 => {
                way.cut().await;
                way.is_deaf.store(false, Ordering::Relaxed);
            }
            _ => {}
        }
        let (channel, queue) = if number % 3 == 0 {
            (&other, "r")
        } else {
            (&channel, "q")
        };
        open.push(publish(channel, queue, &number.to_string()).await);
    }
    for confirm in open {
        assert!(confirm.await.unwrap().is_ack());
    }
    let all = |wanted: fn(&usize) -> bool| (0..1500).filter(wanted).map(|number| number.to_string());
    assert!(
        drain(&pair.leader, "r")
            .await
            .into_iter()
            .eq(all(|number| number % 3 == 0))
    );
    assert!(
        drain(&pair.leader, "q")
            .await
            .into_iter()
            .eq(all(|number| number % 3 != 0))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn publishes_go_on_over_new_legs_when_the_leader_hangs_up_on_all_who_came_in_before() {
    let pair = pair().await;
    let channel = confirming(&pair.edge).await;
    declare(&channel, "q", &[]).await;
    let mut open = Vec::new();
    for number in 0..600 {
        if number % 200 == 100 {
            let before: Vec<_> = pair.leader.node.legs().all();
            pair.leader.peers.hang_up(Some(&pair.leader.node));
            let legs = || pair.leader.node.legs().all();
            let are_gone = || before.iter().all(|old| legs().iter().all(|leg| leg.id != old.id));
            let deadline = Instant::now() + Duration::from_secs(20);
            while !are_gone() {
                assert!(Instant::now() < deadline, "legs of before are served still");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            assert!(!before.is_empty());
        }
        open.push(publish(&channel, "q", &number.to_string()).await);
        if number % 200 == 99 {
            assert!(open.pop().unwrap().await.unwrap().is_ack(), "the leg is there");
        }
    }
    for confirm in open {
        assert!(confirm.await.unwrap().is_ack());
    }
    let all = (0..600).map(|number| number.to_string());
    assert!(drain(&pair.leader, "q").await.into_iter().eq(all));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_whose_way_breaks_goes_on_and_hears_nothing_of_it() {
    let way = Arc::new(Way::default());
    let pair = pair_over(Some(way.clone())).await;
    let channel = confirming(&pair.edge).await;
    declare(&channel, "q", &[]).await;
    let exclusive = BasicConsumeOptions {
        exclusive: true,
        ..BasicConsumeOptions::default()
    };
    let consumed = channel.basic_consume("q".into(), "c".into(), exclusive, FieldTable::default());
    let mut consumer = consumed.await.unwrap();
    publish_all(&channel, "q", 2).await;
    let first = next(&mut consumer).await;
    next(&mut consumer).await;
    for round in 0..3 {
        way.cut().await;
        assert_eq!(body(&next(&mut consumer).await), "0*", "round {round}");
        assert_eq!(body(&next(&mut consumer).await), "1*");
    }
    // Settled without effect: it was another delivery.
    let nothing = BasicAckOptions::default();
    channel.basic_ack(first.delivery_tag, nothing).await.unwrap();
    let later = publish(&channel, "q", "later").await;
    assert!(later.await.unwrap().is_ack());
    let last = next(&mut consumer).await;
    assert_eq!(body(&last), "later");
    let multiple = BasicAckOptions { multiple: true };
    channel.basic_ack(last.delivery_tag, multiple).await.unwrap();
    channel
        .basic_cancel("c".into(), BasicCancelOptions::default())
        .await
        .unwrap();
    assert_eq!(counts(&pair.leader, "q").await, (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_and_transactions_survive_a_broken_way() {
    let way = Arc::new(Way::default());
    let pair = pair_over(Some(way.clone())).await;
    let channel = pair.edge.channel().await;
    declare(&channel, "q", &[]).await;
    channel.tx_select().await.unwrap();
    for round in 1..4 {
        drop(publish(&channel, "q", "one").await);
        way.is_deaf.store(true, Ordering::Relaxed);
        let commit = tokio::spawn({
            let channel = channel.clone();
            async move { channel.tx_commit().await }
        });
        until("the leader has it", async || counts(&pair.leader, "q").await.0 == round).await;
        way.is_deaf.store(false, Ordering::Relaxed);
        way.cut().await;
        commit.await.unwrap().unwrap();
        way.cut().await;
        // Asked over a new way, which the next round begins with.
        assert_eq!(declare(&channel, "q", &[]).await.message_count(), round);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_was_started_again_knows_nothing_of_what_was_sent_so_that_is_nacked() {
    let way = Arc::new(Way::default());
    let pair = pair_over(Some(way.clone())).await;
    let channel = confirming(&pair.edge).await;
    declare(&channel, "q", &[]).await;
    assert_eq!(publish_all(&channel, "q", 1).await, [true]);
    way.is_deaf.store(true, Ordering::Relaxed);
    let open = publish(&channel, "q", "open").await;
    until("the leader has it", async || counts(&pair.leader, "q").await.0 == 2).await;
    let identity = pair.leader.node.identity();
    let up = catalog::Command::NodeUp {
        node: identity.node,
        name: pair.leader.node.name().clone(),
        incarnation: identity.incarnation + 1,
        boot_id: 7,
        mirrors: false,
    };
    pair.edge.node.commit(up).await.unwrap();
    assert!(!open.await.unwrap().is_ack());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leg_of_a_removed_node_an_old_process_or_another_cluster_is_refused_and_counted_on_both_sides() {
    let pair = pair().await;
    let own = pair.edge.node.identity().clone();
    let leader = pair.leader.node.identity();
    let right = link::LegOpening {
        node: own.name.clone(),
        uuid: own.node.to_string(),
        incarnation: own.incarnation,
        boot_id: own.boot_id,
        cluster: own.cluster.to_string(),
        level: link::feature_level(),
        leader: link::LegEnd {
            uuid: leader.node.to_string(),
            incarnation: leader.incarnation,
        },
        connection: 99,
        user: "guest".into(),
        vhost: "/".into(),
        peer: ([127, 0, 0, 1], 1).into(),
        local: ([127, 0, 0, 1], 2).into(),
    };
    let dial = |opening: link::LegOpening| pair.edge.dialer.dial("rabbit@leader", opening);
    dial(right.clone()).await.unwrap();
    let uuid = "01234567-89ab-cdef-0011-223344556677".to_owned();
    let wrong = |change: &dyn Fn(&mut link::LegOpening)| {
        let mut opening = right.clone();
        change(&mut opening);
        opening
    };
    for (opening, why) in [
        (
            wrong(&|opening| opening.cluster = uuid.clone()),
            "it belongs to cluster",
        ),
        (wrong(&|opening| opening.incarnation = 0), "another process is node"),
        (wrong(&|opening| opening.boot_id += 1), "another process is node"),
        (wrong(&|opening| opening.level = 0), "feature level 0"),
        (
            wrong(&|opening| opening.uuid = leader.node.to_string()),
            "another process is node",
        ),
        (
            wrong(&|opening| opening.leader.incarnation += 1),
            "is looked for, this is",
        ),
    ] {
        let refused = dial(opening).await.unwrap_err().to_string();
        assert!(refused.contains(why), "{refused}");
    }
    let death = catalog::NodeDeath {
        node: own.node,
        incarnation: own.incarnation,
    };
    let down = catalog::Command::NodeDown(vec![death]);
    pair.leader.node.commit(down).await.unwrap();
    let removed = catalog::Command::RemoveNode(own.node);
    pair.leader.node.commit(removed).await.unwrap();
    let refused = dial(right).await.unwrap_err().to_string();
    assert!(refused.contains("was removed from this cluster"), "{refused}");
    until("all seven are counted", async || {
        (pair.leader.peers.refusals(), pair.edge.peers.refusals()) == (7, 7)
    })
    .await;
}

/// A network that swallows an end's last word cannot be had here; what the kernel is told to do about it can be seen.
#[tokio::test]
async fn a_way_whose_other_end_went_unheard_is_asked_after_within_seconds() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let tcp = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    crate::peer::legs::tune(&tcp).unwrap();
    let socket = socket2::SockRef::from(&tcp);
    assert!(socket.keepalive().unwrap());
    let begins = socket.tcp_keepalive_time().unwrap() + socket.tcp_keepalive_interval().unwrap();
    assert!(begins <= std::time::Duration::from_secs(5), "{begins:?}");
    // It would end the way of a client that does not read for as long, and with it what was delivered without acknowledgement.
    assert_eq!(socket.tcp_user_timeout().unwrap(), None);
}
