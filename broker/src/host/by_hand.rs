//! Nodes in one process, for tests, whose common definitions are fed by hand: each command is applied on every node in
//! one order, without a log. All queues but exclusive ones are led by the first node, wherever they are declared.

use catalog::{Catalog, Command};
use futures::future::BoxFuture;
use model::{Epoch, Refusal};
use parking_lot::Mutex;
use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Weak},
};

use super::{
    cell::Leads,
    data_directory, definitions, first_start,
    legs::{Arrival, Remote},
    node::Node,
};
use crate::{
    cluster::{MetaStore, Outcome},
    config::Config,
};

/// Applies what is proposed on every node, one command at a time.
#[derive(Default)]
pub struct ByHand(Mutex<Vec<Weak<Node>>>);

impl fmt::Debug for ByHand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ByHand")
    }
}

impl ByHand {
    fn apply(&self, mut command: Command) -> Outcome {
        let nodes = self.0.lock();
        if let (Command::DeclareQueue(spec), Some(first)) = (&mut command, nodes.first().and_then(Weak::upgrade))
            && spec.owner.is_none()
        {
            spec.leader = first.name().clone();
        }
        let apply = |node: Arc<Node>| node.apply(std::slice::from_ref(&command)).remove(0);
        let outcomes: Vec<Outcome> = nodes.iter().filter_map(Weak::upgrade).map(apply).collect();
        let missing = || Refusal::connection(model::ReplyCode::InternalError, "no node is left");
        outcomes.into_iter().next().ok_or_else(missing)?
    }
}

impl MetaStore for ByHand {
    fn propose(&self, command: Command) -> BoxFuture<'_, Outcome> {
        Box::pin(async move { self.apply(command) })
    }

    fn stop(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

/// Starts a node for each of these.
pub async fn started(configs: Vec<Config>) -> Vec<Arc<Node>> {
    let meta = Arc::new(ByHand::default());
    let mut nodes = Vec::new();
    for config in configs {
        let data = data_directory::open(config.node.data.as_path(), config.node.name.as_str()).unwrap();
        let mut identity = data.begin().unwrap();
        if let Some((_, first)) = nodes.first() {
            let first: &crate::cluster::Identity = first;
            identity.cluster = first.cluster;
        }
        let found = definitions::keep(
            &config,
            &store::Formats::default(),
            &Catalog::default(),
            Epoch(identity.incarnation),
        )
        .unwrap();
        let node = Arc::new(Node::new(
            config,
            identity.clone(),
            (meta.clone(), None),
            (found.keeping, found.pages),
        ));
        node.begin_all(Catalog::default(), BTreeMap::new());
        meta.0.lock().push(Arc::downgrade(&node));
        nodes.push((node, identity));
    }
    for (node, identity) in &nodes {
        let add = Command::AddNode {
            node: identity.node,
            name: node.name().clone(),
            kind: catalog::NodeKind::Disc,
        };
        node.commit(add).await.unwrap();
        let up = Command::NodeUp {
            node: identity.node,
            name: node.name().clone(),
            incarnation: identity.incarnation,
            boot_id: identity.boot_id,
            mirrors: false,
        };
        node.commit(up).await.unwrap();
    }
    first_start::define(&nodes[0].0).await.unwrap();
    nodes.into_iter().map(|(node, _)| node).collect()
}

/// A queue of this node begins to be handed over, or stays after all, in the very moment: no publish was held before.
pub fn leave(node: &Node, queue: &str, is_leaving: bool) {
    let snapshot = node.snapshot();
    let record = snapshot.catalog.queue("/", queue).expect("a queue of that name");
    let cell = snapshot.cell(record.id).expect("a queue of this node");
    let leads = if is_leaving { Leads::Leaving } else { Leads::Here };
    cell.set_leads(leads, &mut cell.hold());
}

/// A node sends a message of its own to a queue that another node leads: whether it has arrived.
pub fn send(node: &Node, queue: &str, body: &[u8]) -> tokio::sync::oneshot::Receiver<bool> {
    let (arrives, arrived) = tokio::sync::oneshot::channel();
    let snapshot = node.snapshot().clone();
    let record = snapshot.catalog.queue("/", queue).expect("a queue of that name");
    let message = session::Publication {
        exchange: b"",
        routing_key: queue.as_bytes(),
        mandatory: false,
        properties: &[0, 0],
        headers: None,
        extra_keys: &[],
        body,
        persistent: false,
        priority: 0,
        ttl: None,
        fault: None,
    };
    let arrival = Arrival::with(Box::new(|has_arrived| _ = arrives.send(has_arrived)));
    node.send_far(&[Remote::of(record)], &message, &arrival);
    arrived
}
