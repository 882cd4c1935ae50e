//! Publishes for queues of which it is not known who leads them: they came in the moment in which one is handed over, or has
//! been and the definitions that say so are not published yet.
//!
//! They wait in the order in which they came; when it is known they go the way of what was open on a leg that broke. Nothing
//! is decided here. Meanwhile nothing else of the client is published, so there are as many as one commit may bring.

use catalog::NodeName;
use model::QueueId;
use session::{Publication, Receipt};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::super::{cell::Leads, client::Client, node::Snapshot};
use super::{
    estate::Estate,
    leg::{Leg, Standing},
};

/// The publishes of one client that wait.
#[derive(Debug)]
pub struct Aside {
    /// Nothing went over it: it is what confirms wait for.
    leg: Arc<Leg>,
    octets: Vec<u8>,
    tail: wire::Tail,
    open: BTreeMap<u16, Vec<Receipt>>,
    queues: BTreeSet<QueueId>,
}

impl Aside {
    /// None yet.
    pub fn new(node: NodeName, client: Arc<Client>) -> Self {
        Aside {
            leg: Arc::new(Leg::without_way(node, client)),
            octets: Vec::new(),
            tail: wire::Tail::default(),
            open: BTreeMap::new(),
            queues: BTreeSet::new(),
        }
    }

    /// One more. Its confirm waits for what is returned.
    pub fn add(
        &mut self,
        channel: u16,
        queues: &[QueueId],
        message: &Publication<'_>,
        standing: Standing,
    ) -> &Arc<Leg> {
        let forwarding = wire::Forwarding {
            channel,
            sequence: standing.sequence,
            floor: standing.sequence,
            again: standing.again,
            queues,
            exchange: message.exchange,
            routing_key: message.routing_key,
            properties: message.properties,
            body: message.body,
        };
        wire::forward(&mut self.octets, &mut self.tail, &forwarding);
        self.leg.owe(channel, standing.receipt);
        self.open.entry(channel).or_default().push(standing.receipt);
        self.queues.extend(queues);
        &self.leg
    }

    /// True once it is known who leads the queues of all.
    pub fn is_decided(&self, snapshot: &Snapshot) -> bool {
        are_decided(&self.queues, snapshot)
    }

    /// What waits, to be taken over.
    pub fn into_estate(self) -> (Arc<Leg>, Estate) {
        let estate = Estate {
            chunks: vec![self.octets],
            open: self.open,
            consumers: Vec::new(),
        };
        (self.leg, estate)
    }
}

/// True if it is known who leads these queues: none is being handed over, and what has become of those that were is published.
pub fn are_decided<'a>(queues: impl IntoIterator<Item = &'a QueueId>, snapshot: &Snapshot) -> bool {
    let is_decided = |id: &QueueId| snapshot.cell(*id).is_none_or(|cell| cell.leads() == Leads::Here);
    queues.into_iter().all(is_decided)
}
