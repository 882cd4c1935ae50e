//! Nodes over real sockets: stores that agree, and strangers who are refused with a reason at both ends.

use super::*;
use crate::{
    cluster::{
        Bare, Identity, Machine, MetaStore,
        log::Member,
        raft::{Change, Opening, RaftStore, Timing},
        resolver::Resolver,
        transport::{Introduction, Peer, Reply, Request, Service, Transport, Turned},
    },
    config,
    peer::{Peers, enter::Credentials, listener::shake_hands},
};
use catalog::{Answer, Catalog, Command, VhostMetadata};
use futures::future::BoxFuture;
use link::Cookie;
use model::NodeUuid;
use parking_lot::Mutex;
use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};
use store::disk::MemDisk;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(20);
const CLUSTER: NodeUuid = NodeUuid(77);

/// Addresses by name.
#[derive(Clone, Debug, Default)]
struct Book(Arc<Mutex<BTreeMap<String, SocketAddr>>>);

impl Resolver for Book {
    fn resolve(&self, name: &str) -> BoxFuture<'_, io::Result<Vec<SocketAddr>>> {
        let found = self.0.lock().get(name).copied();
        Box::pin(async move { Ok(found.into_iter().collect()) })
    }
}

/// A peer port of a node of this name.
async fn listen(name: &str, secret: &str, book: &Book) -> Arc<Peers> {
    let environment = config::Fixed::new().set("RABBITMQ_ERLANG_COOKIE", secret);
    let config = config::load(&config::ServerArgs::default(), &environment)
        .unwrap()
        .config;
    let peers = Arc::new(Peers::new(&config.node).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    book.0.lock().insert(name.into(), listener.local_addr().unwrap());
    let (accepting, name) = (peers.clone(), name.to_owned());
    tokio::spawn(async move {
        loop {
            let (mut tcp, from) = listener.accept().await.unwrap();
            let (peers, name) = (accepting.clone(), name.clone());
            tokio::spawn(async move {
                match shake_hands(&mut tcp, &peers, &name).await {
                    Ok(_) => match serve(tcp, peers.serving().ok_or(Turned::Stopped)).await {
                        Ok(()) => {}
                        Err(why) => peers.refuse(from, &why),
                    },
                    Err(why) => peers.refuse(from, &why),
                }
            });
        }
    });
    peers
}

fn introduction(number: u128, name: &str) -> Introduction {
    Introduction {
        cluster: CLUSTER,
        node: NodeUuid(number),
        name: name.into(),
        incarnation: 1,
        boot_id: number as u64,
        level: link::feature_level(),
        guest: false,
    }
}

fn transport(own: Introduction, secret: &'static str, book: &Book) -> Arc<TcpTransport> {
    let credentials = move || {
        Ok(Credentials {
            secrets: vec![Cookie::new(secret, "test")?],
            tls: None,
        })
    };
    TcpTransport::new(own, Arc::new(credentials), Arc::new(book.clone()))
}

fn peer(number: u128, name: &str) -> Peer {
    Peer {
        node: Some(NodeUuid(number)),
        name: name.into(),
    }
}

/// Says who asks.
struct Echo(Introduction, Catalog);

impl Service for Echo {
    fn introduction(&self) -> Introduction {
        self.0.clone()
    }

    fn admit(&self, who: &Introduction) -> Result<(), Turned> {
        crate::cluster::door::judge(&self.0, &self.1, who)
    }

    fn answer(&self, from: &Introduction, _: Request) -> BoxFuture<'_, Reply> {
        let name = from.name.clone();
        Box::pin(async move { Reply::Failed(name) })
    }
}

async fn echo(book: &Book) -> Arc<Peers> {
    let peers = listen("rabbit@one", "SECRET", book).await;
    let mut known = Catalog::default();
    for (node, name, incarnation) in [(1, "rabbit@one", 1), (5, "rabbit@five", 3)] {
        let add = Command::AddNode {
            node: NodeUuid(node),
            name: name.into(),
            kind: catalog::NodeKind::Disc,
        };
        known.apply(add, &mut Vec::new()).unwrap();
        let up = Command::NodeUp {
            node: NodeUuid(node),
            name: name.into(),
            incarnation,
            boot_id: 9,
            mirrors: false,
        };
        known.apply(up, &mut Vec::new()).unwrap();
    }
    let service = Arc::new(Echo(introduction(1, "rabbit@one"), known));
    peers.attach(service, CancellationToken::new());
    peers
}

#[tokio::test(flavor = "multi_thread")]
async fn many_questions_share_a_connection_and_each_gets_its_answer() {
    let book = Book::default();
    echo(&book).await;
    let asking = transport(introduction(2, "rabbit@two"), "SECRET", &book);
    let questions = (0..300).map(|_| {
        let asking = asking.clone();
        tokio::spawn(async move { asking.call(&peer(1, "rabbit@one"), Request::Ping, PATIENCE).await })
    });
    for answer in questions.collect::<Vec<_>>() {
        assert_eq!(answer.await.unwrap().unwrap(), Reply::Failed("rabbit@two".into()));
    }
}

/// Answers whoever has come by another connection than the first.
#[derive(Default)]
struct DeafAtFirst(std::sync::atomic::AtomicUsize);

impl Service for DeafAtFirst {
    fn introduction(&self) -> Introduction {
        introduction(1, "rabbit@one")
    }

    fn admit(&self, _: &Introduction) -> Result<(), Turned> {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Ok(())
    }

    fn answer(&self, _: &Introduction, _: Request) -> BoxFuture<'_, Reply> {
        let first = self.0.load(std::sync::atomic::Ordering::Relaxed) == 1;
        Box::pin(async move {
            if first {
                std::future::pending::<()>().await;
            }
            Reply::Done
        })
    }
}

/// After a cut cable the old connection would be tried again after twice the time that the cut lasted.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_silent_on_one_connection_is_asked_over_another() {
    let book = Book::default();
    let peers = listen("rabbit@one", "SECRET", &book).await;
    peers.attach(Arc::new(DeafAtFirst::default()), CancellationToken::new());
    let asking = transport(introduction(2, "rabbit@two"), "SECRET", &book);
    let (to, began) = (peer(1, "rabbit@one"), Instant::now());
    while asking
        .call(&to, Request::Ping, Duration::from_millis(300))
        .await
        .is_err()
    {
        assert!(began.elapsed() < PATIENCE, "the silent connection is kept");
    }
    assert!(
        began.elapsed() > Duration::from_secs(1),
        "one question without an answer is no silence"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_belong_is_refused_with_a_reason_and_counted() {
    let book = Book::default();
    let peers = echo(&book).await;
    let own = introduction(2, "rabbit@two");
    let other = Introduction {
        cluster: NodeUuid(78),
        ..own.clone()
    };
    let old = Introduction {
        level: 0,
        ..own.clone()
    };
    let twin = Introduction {
        node: NodeUuid(1),
        ..own.clone()
    };
    let earlier = Introduction {
        node: NodeUuid(5),
        incarnation: 2,
        ..own.clone()
    };
    let copied = Introduction {
        node: NodeUuid(5),
        incarnation: 3,
        ..own.clone()
    };
    let cases = [
        (own.clone(), "WRONG", "another secret"),
        (other, "SECRET", "belongs to cluster"),
        (old, "SECRET", "feature level 0"),
        (twin, "SECRET", "is a copy of one in use"),
        (earlier, "SECRET", "an old copy"),
        (copied, "SECRET", "is a copy of one in use"),
    ];
    for (place, (who, secret, reason)) in cases.into_iter().enumerate() {
        let asking = transport(who, secret, &book);
        let error = asking
            .call(&peer(1, "rabbit@one"), Request::Ping, PATIENCE)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{reason}");
        assert!(error.to_string().contains(reason), "{reason}: {error}");
        until("it is counted", || (peers.refusals() == place as u64 + 1).then_some(())).await;
    }
    let asking = transport(own, "SECRET", &book);
    let gone = asking
        .call(&peer(3, "rabbit@one"), Request::Ping, PATIENCE)
        .await
        .unwrap_err();
    assert!(gone.to_string().contains("any more"), "{gone}");
    peers.detach();
    let asking = transport(introduction(4, "rabbit@four"), "SECRET", &book);
    let stopped = asking
        .call(&peer(1, "rabbit@one"), Request::Ping, PATIENCE)
        .await
        .unwrap_err();
    assert!(stopped.to_string().contains("is stopped"), "{stopped}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_may_look_and_not_touch() {
    let book = Book::default();
    echo(&book).await;
    let guest = Introduction {
        cluster: NodeUuid(0),
        guest: true,
        ..introduction(6, "rabbit@six")
    };
    let asking = transport(guest, "SECRET", &book);
    let looked = asking
        .call(&peer(1, "rabbit@one"), Request::Ping, PATIENCE)
        .await
        .unwrap();
    assert_eq!(looked, Reply::Failed("rabbit@six".into()));
    let proposal = crate::cluster::log::Proposal {
        origin: NodeUuid(6),
        incarnation: 1,
        number: 1,
        commands: [].into(),
    };
    let touched = asking
        .call(&peer(1, "rabbit@one"), Request::Propose(proposal), PATIENCE)
        .await
        .unwrap_err();
    assert!(touched.to_string().contains("no member"), "{touched}");
}

async fn until<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(Instant::now() < deadline, "still not: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn member(number: u128, book: &Book) -> (Arc<RaftStore>, Arc<Bare>) {
    let name = format!("rabbit@{number}");
    let peers = listen(&name, "SECRET", book).await;
    let own = introduction(number, &name);
    let machine = Arc::new(Bare::default());
    let opening = Opening {
        identity: Identity {
            cluster: CLUSTER,
            node: own.node,
            name,
            incarnation: own.incarnation,
            boot_id: own.boot_id,
            level: own.level,
        },
        joined: number > 1,
        alone: false,
        transport: transport(own, "SECRET", book),
        machine: machine.clone(),
        fatal: Arc::new(|why: &str| panic!("{why}")),
        timing: Timing::default(),
    };
    let store = RaftStore::open(MemDisk::new(), "meta", opening).await.unwrap();
    peers.attach(store.clone(), CancellationToken::new());
    (store, machine)
}

#[tokio::test(flavor = "multi_thread")]
async fn stores_agree_over_sockets() {
    let book = Book::default();
    let mut members = Vec::new();
    for number in 1..=3 {
        members.push(member(number, &book).await);
    }
    for number in 2..=3 {
        let name = format!("rabbit@{number}");
        let added = members[0]
            .0
            .change(Change::Add(NodeUuid(number), Member { name }))
            .await;
        assert_eq!(added, Reply::Done);
    }
    let all = (1..=3).map(NodeUuid).collect();
    assert_eq!(members[0].0.change(Change::Voters(all)).await, Reply::Done);
    let large = "x".repeat(1024 * 1024);
    for (at, (store, _)) in members.iter().enumerate() {
        let name = format!("v{at}").parse().unwrap();
        let metadata = VhostMetadata {
            description: large.clone(),
            ..VhostMetadata::default()
        };
        until_leader(store).await;
        assert_eq!(
            store.propose(Command::PutVhost { name, metadata }).await,
            Ok(Answer::Created)
        );
    }
    for (_, machine) in &members {
        until("all three are there", || {
            (machine.catalog().vhosts().count() == 3).then_some(())
        })
        .await;
    }
}

async fn until_leader(store: &RaftStore) {
    until("somebody leads", || store.leader()).await;
}
