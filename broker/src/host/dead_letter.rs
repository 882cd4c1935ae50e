//! One dead letter: what it says of its death, and the queues that it goes to.
//!
//! Runs when no queue is locked, as an errand. Nobody is there to be told of a refusal. Where a mirrored queue has to do with
//! it, as its source or as its target, it is taken out of its source only when it is safe where it went (R19).

use model::{DeadLetter, QueueId, Seq};
use queue::Death;
use session::Publication;
use smallvec::SmallVec;
use std::sync::Arc;
use store::Lsn;

use super::{
    cell::{CellSink, Leads, QueueCell, Taking},
    client::Client,
    errands::{Errand, Line},
    keeping::Keeping,
    legs::{Arrival, Remote},
    letters::Dead,
    message::Arriving,
    mirrors::Reach,
    node::Node,
    route::Route,
};

/// Clients to be flushed, and what queues leave to be done.
pub(super) type Left<'a> = (&'a mut Vec<Arc<Client>>, &'a mut Vec<Errand>);
type Cells = SmallVec<[Arc<QueueCell>; 1]>;

/// Where a message of the node's own went.
#[derive(Default)]
struct Enqueued {
    /// Queues that are here.
    queues: usize,
    /// Those of them that refused it.
    refused: usize,
    /// Those of which it is not known who leads them.
    strayed: SmallVec<[QueueId; 1]>,
}

impl Enqueued {
    fn is_refused_by_all(&self) -> bool {
        self.queues == self.refused && self.strayed.is_empty()
    }
}

/// What became of a dead letter, with the queues that it met.
#[derive(Debug)]
pub enum Routed {
    /// It arrived, and is safe there when this is.
    Here(usize, Landed),
    /// It goes to other nodes too, and is taken out of the store when it has arrived there.
    Far(usize),
    /// No queue is bound where it went, or all that are refused it.
    Nowhere,
    /// It would become several while there is no disk space for more.
    NotNow,
}

/// When letters are safe in queues of this node.
#[derive(Debug, Default)]
pub struct Landed {
    at: Lsn,
    reaches: Vec<Reach>,
}

impl Landed {
    fn note(&mut self, sink: &CellSink<'_>) {
        let safe = sink.safe;
        self.at = self.at.max(safe.lsn);
        if let Some(stream) = sink.journal.stream().filter(|_| safe.held > 0) {
            self.wait_for(Reach::of(stream, safe.held, safe.durable));
        }
    }

    fn wait_for(&mut self, reach: Reach) {
        if !self.reaches.iter_mut().any(|known| known.include(&reach)) {
            self.reaches.push(reach);
        }
    }

    /// These too.
    pub fn and(&mut self, other: Landed) {
        self.at = self.at.max(other.at);
        other.reaches.into_iter().for_each(|reach| self.wait_for(reach));
    }

    /// True if the log alone does not keep the order: mirrors of the target are waited for, or those of the source, which
    /// are told of the letter's leaving, and there is something on the way to the disk.
    pub fn is_waited_for(&self, source_is_mirrored: bool) -> bool {
        !self.reaches.is_empty() || source_is_mirrored && self.at > Lsn::default()
    }

    /// Waits until they are safe; false if nobody will ever know.
    pub async fn settle(self, keeping: &Keeping) -> bool {
        keeping.until_durable(self.at).await;
        for reach in self.reaches {
            if !reach.reached().await {
                return false;
            }
        }
        true
    }
}

impl Node {
    /// Sends a message that died to where its queue's dead letters go.
    pub(super) fn route_dead_letter(
        &self,
        (from, target, is_mirrored): (&Arc<QueueCell>, Option<&DeadLetter>, bool),
        dead: &Dead,
        touched: &mut Vec<Arc<Client>>,
        caused: &mut Vec<Errand>,
    ) -> Routed {
        let (message, why) = (&dead.message, dead.why);
        let Some(target) = target else {
            return Routed::Here(0, Landed::default());
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
        if route.cells.iter().any(|cell| cell.leads() != Leads::Here) {
            // It is not known yet who leads it.
            return Routed::NotNow;
        }
        let is_delayed = self.keep_or_drop(&route, &publication);
        let is_cycle = |name: &str| why != Death::Rejected && session::is_cycle(&letter.headers, name);
        let mut landed = Landed::default();
        let enqueued = self.enqueue_letter(&route, &publication, is_cycle, &mut landed, (touched, caused));
        if !is_delayed && route.remotes.is_empty() && enqueued.is_refused_by_all() {
            return Routed::Nowhere;
        }
        let strayed = enqueued.strayed;
        let remotes = route.remotes.iter().filter_map(|remote| remote.without(is_cycle));
        let remotes: Vec<Remote> = remotes.collect();
        if remotes.is_empty() && strayed.is_empty() {
            return Routed::Here(route.cells.len(), landed);
        }
        let line = is_mirrored.then(|| self.line().clone());
        let arrival = arrival_of(from, dead.stored, line);
        self.send_far(&remotes, &publication, &arrival);
        self.send_when_led(&strayed, &publication, &arrival);
        self.arrive_when_safe(landed, is_mirrored, arrival);
        Routed::Far(route.cells.len() + remotes.len())
    }

    /// Puts a letter into the queues of this node. One to which it comes round counts as one that has it: it is dropped there.
    fn enqueue_letter(
        &self,
        route: &Route,
        publication: &Publication<'_>,
        is_cycle: impl Fn(&str) -> bool,
        landed: &mut Landed,
        left: Left<'_>,
    ) -> Enqueued {
        let (round, rest): (Cells, Cells) = route
            .cells
            .iter()
            .cloned()
            .partition(|cell| is_cycle(cell.name.as_str()));
        round.iter().for_each(|cell| cell.tell_of_cycle());
        let enqueued = self.enqueue(&rest, publication, landed, left);
        Enqueued {
            queues: enqueued.queues + round.len(),
            ..enqueued
        }
    }

    /// It has arrived at other nodes and here only when it is safe here as well.
    pub(super) fn arrive_when_safe(&self, landed: Landed, is_mirrored: bool, arrival: Arc<Arrival>) {
        if landed.is_waited_for(is_mirrored) {
            let keeping = self.keeping().clone();
            tokio::spawn(async move {
                if !landed.settle(&keeping).await {
                    arrival.lose();
                }
            });
        }
    }

    /// Puts a message of the node's own into queues that are here.
    fn enqueue(
        &self,
        cells: &[Arc<QueueCell>],
        publication: &Publication<'_>,
        landed: &mut Landed,
        (touched, errands): Left<'_>,
    ) -> Enqueued {
        let mut scratch = Vec::new();
        let mut arriving = Arriving::new(publication, cells, &mut scratch);
        let mut enqueued = Enqueued::default();
        for cell in cells {
            let taking = self.on_cell(cell, touched, errands, |work| {
                let taking = work.publish(&mut arriving, None);
                landed.note(&work.sink);
                taking
            });
            match taking {
                Taking::Gone => {}
                Taking::Strayed => enqueued.strayed.push(cell.id),
                Taking::Taken | Taking::TakenBefore => enqueued.queues += 1,
                Taking::Refused => {
                    enqueued.queues += 1;
                    enqueued.refused += 1;
                }
            }
        }
        enqueued
    }

    /// Puts a message of the node's own into queues that are here, or wherever they are by then; in how many.
    pub(super) fn enter_queues(
        &self,
        cells: &[Arc<QueueCell>],
        publication: &Publication<'_>,
        landed: &mut Landed,
        left: Left<'_>,
        arrival: &Arc<Arrival>,
    ) -> usize {
        let enqueued = self.enqueue(cells, publication, landed, left);
        self.send_when_led(&enqueued.strayed, publication, arrival);
        enqueued.queues + enqueued.strayed.len()
    }

    /// Publishes on the node's own behalf, for management: the message has been routed already.
    pub fn publish_to_cells(&self, cells: &[Arc<QueueCell>], publication: &Publication<'_>) -> usize {
        self.publish_until(cells, publication, &mut Landed::default(), &Arrival::unheard())
    }

    /// Publishes on the node's own behalf; it has arrived when all have it.
    pub(super) fn publish_until(
        &self,
        cells: &[Arc<QueueCell>],
        publication: &Publication<'_>,
        landed: &mut Landed,
        arrival: &Arc<Arrival>,
    ) -> usize {
        let (mut touched, mut errands) = (Vec::new(), Vec::new());
        let left = (&mut touched, &mut errands);
        let count = self.enter_queues(cells, publication, landed, left, arrival);
        self.run_errands(errands, &mut touched);
        self.flush(&mut touched);
        count
    }
}

/// A dead letter that arrives at other nodes is taken out of its source. One that is lost is sent once more by a mirrored
/// queue; in another it comes back with the next start, if it was stored.
fn arrival_of(from: &Arc<QueueCell>, stored: Option<Seq>, line: Option<Arc<Line>>) -> Arc<Arrival> {
    let from = from.clone();
    Arrival::with(Box::new(move |has_arrived| match (has_arrived, line) {
        (true, _) => from.forget_letters(stored, stored.map_or(0, |_| 1)),
        (false, Some(line)) => line.send_again(stored.map(|seq| (from, seq)).into_iter().collect()),
        (false, None) => from.letters.let_go(stored),
    }))
}
