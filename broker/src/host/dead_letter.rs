//! One dead letter: what it says of its death, and the queues that it goes to.
//!
//! Runs when no queue is locked, as an errand. Nobody is there to be told of a refusal.

use model::{DeadLetter, Seq};
use queue::{Death, Published};
use session::Publication;
use std::sync::Arc;

use super::{
    cell::QueueCell,
    client::Client,
    errands::Errand,
    legs::{Arrival, Remote},
    letters::Dead,
    message::Arriving,
    node::Node,
    route::Route,
};

/// What became of a dead letter, with the queues that it met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Routed {
    /// It arrived.
    Here(usize),
    /// It goes to other nodes too, and is taken out of the store when it has arrived there.
    Far(usize),
    /// It would become several while there is no disk space for more.
    NotNow,
}

impl Node {
    /// Sends a message that died to where its queue's dead letters go.
    pub(super) fn route_dead_letter(
        &self,
        (from, target): (&Arc<QueueCell>, Option<&DeadLetter>),
        dead: &Dead,
        touched: &mut Vec<Arc<Client>>,
        caused: &mut Vec<Errand>,
    ) -> Routed {
        let (message, why) = (&dead.message, dead.why);
        let Some(target) = target else {
            return Routed::Here(0);
        };
        let death = session::Death {
            queue: from.name.as_str(),
            reason: why.as_str(),
            time: self.now().0 / 1000,
            exchange: message.exchange(),
            routing_key: message.routing_key(),
        };
        let letter = session::dead_letter(message.properties(), &death, target.routing_key.as_deref());
        let properties = wire::Properties::decode(&letter.properties).unwrap_or_default();
        let publication = Publication {
            exchange: target.exchange.as_str().as_bytes(),
            routing_key: &letter.keys[0],
            mandatory: false,
            properties: &letter.properties,
            headers: None,
            extra_keys: &letter.keys[1..],
            body: message.body(),
            persistent: properties.delivery_mode == Some(2),
            priority: properties.priority.unwrap_or(0),
            ttl: None,
            fault: None,
        };
        let snapshot = self.snapshot();
        let route = snapshot.route_unchecked(&from.vhost, target.exchange.as_str(), &publication);
        if self.alarms().disk() && route.cells.len() + route.remote_queues() > 1 {
            return Routed::NotNow;
        }
        self.keep_or_drop(&route, &publication);
        let is_cycle = |name: &str| why != Death::Rejected && session::is_cycle(&letter.headers, name);
        self.enqueue_letter(&route, &publication, is_cycle, touched, caused);
        let remotes = route.remotes.iter().filter_map(|remote| remote.without(is_cycle));
        let remotes: Vec<Remote> = remotes.collect();
        if remotes.is_empty() {
            return Routed::Here(route.cells.len());
        }
        self.send_far(&remotes, &publication, &arrival_of(from, dead.stored));
        Routed::Far(route.cells.len() + remotes.len())
    }

    /// Puts a letter into the queues of this node.
    fn enqueue_letter(
        &self,
        route: &Route,
        publication: &Publication<'_>,
        is_cycle: impl Fn(&str) -> bool,
        touched: &mut Vec<Arc<Client>>,
        caused: &mut Vec<Errand>,
    ) {
        let mut scratch = Vec::new();
        let mut arriving = Arriving::new(publication, &route.cells, &mut scratch);
        for cell in &route.cells {
            if is_cycle(cell.name.as_str()) {
                cell.tell_of_cycle();
                continue;
            }
            self.enqueue(cell, &mut arriving, touched, caused);
        }
    }

    /// Puts a message into a queue; `None` if the queue is gone.
    pub(super) fn enqueue(
        &self,
        cell: &Arc<QueueCell>,
        arriving: &mut Arriving<'_>,
        touched: &mut Vec<Arc<Client>>,
        errands: &mut Vec<Errand>,
    ) -> Option<Published> {
        self.on_cell(cell, touched, errands, |work| {
            (!work.dead).then(|| work.queue.publish(work.now, arriving, &mut work.sink))
        })
    }

    /// Publishes on the node's own behalf, for management: the message has been routed already.
    pub fn publish_to_cells(&self, cells: &[Arc<QueueCell>], publication: &Publication<'_>) -> usize {
        let (mut touched, mut errands, mut scratch) = (Vec::new(), Vec::new(), Vec::new());
        let mut arriving = Arriving::new(publication, cells, &mut scratch);
        let taken = |cell: &&Arc<QueueCell>| self.enqueue(cell, &mut arriving, &mut touched, &mut errands).is_some();
        let count = cells.iter().filter(taken).count();
        self.run_errands(errands, &mut touched);
        self.flush(&mut touched);
        count
    }
}

/// A dead letter that arrives at other nodes is taken out of its source; one that is lost comes back there with the next
/// start, if it was stored.
fn arrival_of(from: &Arc<QueueCell>, stored: Option<Seq>) -> Arc<Arrival> {
    let from = from.clone();
    Arrival::with(Box::new(move |has_arrived| {
        if has_arrived {
            from.forget_letters(stored);
        }
    }))
}
