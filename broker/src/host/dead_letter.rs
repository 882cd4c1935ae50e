//! Errands that queues leave behind: dead letters and traced messages to be routed, queues that ask to be deleted.
//!
//! Runs when no queue is locked. A dead letter may kill further messages, so errands are worked off from a list,
//! oldest first; circles end because `session::is_cycle` drops what comes round.

use model::{QueueId, Seq};
use queue::{Death, Published};
use session::Publication;
use std::{collections::VecDeque, sync::Arc};

use super::{
    cell::{Dead, Errand, QueueCell},
    client::Client,
    legs::{Arrival, Remote},
    message::Arriving,
    node::Node,
};

impl Node {
    /// Works off errands and those that they cause.
    pub fn run_errands(&self, errands: Vec<Errand>, touched: &mut Vec<Arc<Client>>) {
        let mut open: VecDeque<Errand> = errands.into();
        let mut moved: Vec<(QueueId, Seq)> = Vec::new();
        while let Some(errand) = open.pop_front() {
            let mut caused = Vec::new();
            match errand {
                Errand::DeadLetters(from) => from.letters.route(|dead| {
                    let is_on_its_way = self.route_dead_letter(&from, &dead, touched, &mut caused);
                    // Behind the letter in the log: there is no moment in which the message is in neither queue. What
                    // goes to other nodes is taken out when it has arrived.
                    let here = dead.stored.filter(|_| !is_on_its_way);
                    moved.extend(here.map(|seq| (from.id, seq)));
                }),
                Errand::Trace(seen) => self.copy(&seen, touched, &mut caused),
                Errand::Retire { cell, why } => self.retirements().ask(cell, why),
            }
            open.extend(caused);
        }
        for run in moved.chunk_by(|a, b| a.0 == b.0 && a.1.next() == b.1) {
            let (first, last) = (run[0], run[run.len() - 1]);
            self.store().remove(first.0, &[(first.1, last.1)]);
        }
    }

    /// True if it goes to other nodes too, and has not been taken out of the store yet.
    fn route_dead_letter(
        &self,
        from: &Arc<QueueCell>,
        dead: &Dead,
        touched: &mut Vec<Arc<Client>>,
        caused: &mut Vec<Errand>,
    ) -> bool {
        let (message, why) = (&dead.message, dead.why);
        let Some(target) = from.hold().dead_letter.clone() else {
            return false;
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
        self.keep_or_drop(&route, &publication);
        let mut scratch = Vec::new();
        let is_cycle = |name: &str| why != Death::Rejected && session::is_cycle(&letter.headers, name);
        let mut arriving = Arriving::new(&publication, route.cells.len(), &mut scratch);
        for cell in route.cells {
            if is_cycle(cell.name.as_str()) {
                tracing::warn!(queue = %cell.name, vhost = %cell.vhost, "message dropped: dead-letter cycle");
                continue;
            }
            self.enqueue(&cell, &mut arriving, touched, caused);
        }
        let remotes: Vec<Remote> = route
            .remotes
            .iter()
            .filter_map(|remote| remote.without(is_cycle))
            .collect();
        if remotes.is_empty() {
            return false;
        }
        self.send_far(&remotes, &publication, &self.arrival_of(from.id, dead.stored));
        true
    }

    /// A dead letter that arrives at other nodes is taken out of its source; one that is lost comes back there with the
    /// next start, if it was stored.
    fn arrival_of(&self, from: QueueId, stored: Option<Seq>) -> Arc<Arrival> {
        let keeping = self.keeping().clone();
        Arrival::with(Box::new(move |has_arrived| match stored {
            Some(seq) if has_arrived => keeping.store.remove(from, &[(seq, seq)]),
            _ => {}
        }))
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
        let mut arriving = Arriving::new(publication, cells.len(), &mut scratch);
        let taken = |cell: &&Arc<QueueCell>| self.enqueue(cell, &mut arriving, &mut touched, &mut errands).is_some();
        let count = cells.iter().filter(taken).count();
        self.run_errands(errands, &mut touched);
        self.flush(&mut touched);
        count
    }
}
