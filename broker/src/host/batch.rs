//! One connection's work on the data plane while a read batch lasts: route, enqueue, settle, flush.
//!
//! Publishes go queue by queue in runs: the lock of the last queue is kept until another queue, a question or the
//! end of the batch needs it gone. Only one queue is locked at a time; errands run when none is.

use model::{DeliveryTag, Generation, Millis, QueueId, Refusal};
use queue::{Origin, Stamp};
use session::{Fate, Host, Note, Publication, Receipt, Settle, UnknownTag};
use smallvec::SmallVec;
use std::{collections::BTreeSet, sync::Arc};
use store::Lsn;
use wire::Targets;

use crate::config::Interceptors;

use super::{
    cell::{Held, Leads, QueueCell, Taking, Work},
    client::Client,
    errands::Errand,
    intercept,
    journal::Safe,
    legs::{Leg, Legs, Standing},
    message::{Arriving, Message},
    mirrors::{Reach, Stream},
    node::Node,
    notes,
    outbox::Place,
    retire::Asked,
    route::{Route, RouteCache},
    tally::{Counted, Tally},
    trace::{Party, Sighting},
};

/// So many queues are told when a leg's client is gone; others forget it by themselves some time.
const KNOWN_TO_MAX: usize = 4096;

/// The queues that a leg's publishes go to, looked up once for many.
#[derive(Default)]
struct Forwarded {
    generation: Generation,
    octets: Vec<u8>,
    cells: SmallVec<[Arc<QueueCell>; 1]>,
    /// Those of them that another node leads now.
    elsewhere: SmallVec<[QueueId; 1]>,
    /// Where the last publish went before all was looked up anew.
    lately: SmallVec<[Arc<QueueCell>; 1]>,
    /// Other ones than those of the publish before.
    is_new: bool,
}

/// On a leg: whose publishes come over it, and which queues know of them.
#[derive(Debug)]
struct Sender {
    origin: Origin,
    incarnation: u64,
    known_to: BTreeSet<QueueId>,
}

impl Sender {
    /// Where a publish stands among those of its sender, unless it is never sent again.
    fn stamp(&mut self, forward: &wire::Forward<'_>, queues: &Forwarded) -> Option<Stamp> {
        if forward.sequence == 0 {
            return None;
        }
        if queues.is_new && self.known_to.len() < KNOWN_TO_MAX {
            self.known_to.extend(queues.cells.iter().map(|cell| cell.id));
        }
        Some(Stamp {
            origin: self.origin,
            incarnation: self.incarnation,
            sequence: forward.sequence,
            floor: forward.floor,
            again: forward.again,
        })
    }
}

impl Forwarded {
    fn refresh(&mut self, generation: Generation) {
        if self.generation != generation {
            *self = Forwarded {
                generation,
                lately: std::mem::take(&mut self.cells),
                ..Forwarded::default()
            };
        }
    }

    fn look_up(&mut self, targets: Targets<'_>, node: &Node) {
        self.is_new = self.octets != targets.octets() || self.octets.is_empty();
        if !self.is_new {
            return;
        }
        let snapshot = node.snapshot();
        let is_elsewhere = |id: &QueueId| snapshot.cell(*id).is_none() && snapshot.catalog.queue_by_id(*id).is_some();
        self.octets = targets.octets().to_vec();
        self.cells = targets.queues().filter_map(|id| snapshot.cell(id).cloned()).collect();
        self.elsewhere = targets.queues().filter(is_elsewhere).collect();
    }
}

impl Forwarded {
    /// True if one of them is being handed over.
    fn are_leaving(&self) -> bool {
        let mut all = self.cells.iter().chain(&self.lately);
        all.any(|cell| cell.leads() == Leads::Leaving)
    }

    /// True if one of them is led elsewhere, or may be in a moment.
    fn are_uncertain(&self) -> bool {
        self.are_leaving() || self.cells.iter().any(|cell| cell.leads() == Leads::Elsewhere)
    }
}

/// The numbers of deliveries on their leg.
fn tags(places: &[Place]) -> SmallVec<[u64; 16]> {
    let tag = |place: &Place| match place {
        Place::There { tag, .. } => Some(*tag),
        Place::Here { .. } => None,
    };
    places.iter().filter_map(tag).collect()
}

/// The data plane of one connection.
pub struct Batch {
    /// The node.
    pub node: Arc<Node>,
    /// The connection.
    pub client: Arc<Client>,
    replies: Vec<u8>,
    held: Option<(Arc<QueueCell>, Held)>,
    touched: Vec<Arc<Client>>,
    errands: Vec<Errand>,
    /// Queues that asked to be deleted.
    retiring: Vec<Asked>,
    /// Queues in which this client left more dead letters than a slice carried away.
    owing: Vec<Arc<QueueCell>>,
    routes: RouteCache,
    /// Ways to the queues that other nodes lead.
    pub legs: Legs,
    /// The queues of the last forwarded publish, on a leg.
    forwarded: Forwarded,
    origin: Option<Sender>,
    scratch: Vec<u8>,
    settled: Vec<Place>,
    tally: Tally,
    /// It is counted who feeds whom.
    counts_flows: bool,
    /// What is put into messages that come.
    interceptors: Interceptors,
    now: Millis,
    /// A publish waits in the read buffer, since an alarm is on, the disk is behind or its queue is being handed over.
    holds_publish: bool,
    /// Queues of the publish at hand of which it is not known who leads them.
    strayed: SmallVec<[QueueId; 1]>,
    /// On a leg: a publish came for a queue that another node leads, as the other end does not know yet.
    has_strayed: bool,
    /// What was published is safe once the log is durable up to here ...
    safe_at: Lsn,
    /// ... and mirrors have come so far.
    reaches: Vec<Reach>,
    /// Grows with every publish that is not safe yet.
    unsafe_publishes: u64,
    /// The log says why the connection ends.
    pub told_end: bool,
}

impl Batch {
    /// Nothing done yet.
    pub fn new(node: Arc<Node>, client: Arc<Client>) -> Self {
        Batch {
            counts_flows: node.counts_flows(),
            interceptors: node.config().interceptors,
            node,
            client,
            replies: Vec::new(),
            held: None,
            touched: Vec::new(),
            errands: Vec::new(),
            retiring: Vec::new(),
            owing: Vec::new(),
            routes: RouteCache::default(),
            legs: Legs::default(),
            forwarded: Forwarded::default(),
            origin: None,
            scratch: Vec::new(),
            settled: Vec::new(),
            tally: Tally::default(),
            now: Millis(0),
            holds_publish: false,
            strayed: SmallVec::new(),
            has_strayed: false,
            safe_at: Lsn::default(),
            reaches: Vec::new(),
            unsafe_publishes: 0,
            told_end: false,
        }
    }

    /// A batch begins: time and topology are those of now.
    pub fn begin(&mut self) {
        self.now = self.node.now();
        self.counts_flows = self.node.counts_flows();
        let snapshot = self.node.snapshot();
        self.legs.look_at(&snapshot);
        self.routes.refresh(&snapshot);
        self.forwarded.refresh(snapshot.generation());
    }

    /// The time of this batch.
    pub fn now(&self) -> Millis {
        self.now
    }

    /// True while publishes wait until it is known who leads their queue.
    pub fn waits_for_leaders(&self) -> bool {
        let is_leaving = |cell: &QueueCell| cell.leads() == Leads::Leaving;
        self.forwarded.are_leaving()
            || (self.node.mirrors().are_leaving() && (self.routes.was_leaving() || self.routes.any(is_leaving)))
    }

    /// True while it is not known who leads the queues of the next publish, or their ways are to be looked up anew.
    fn is_uncertain(&self) -> bool {
        let is_elsewhere = |cell: &QueueCell| cell.leads() == Leads::Elsewhere;
        self.forwarded.are_uncertain()
            || (self.node.mirrors().are_leaving() && (self.waits_for_leaders() || self.routes.any(is_elsewhere)))
    }

    /// True if the other end of the leg has to find the leaders of its queues anew: nothing is answered any more.
    pub fn has_strayed(&self) -> bool {
        self.has_strayed
    }

    /// True once after a publish was held.
    pub fn take_held_publish(&mut self) -> bool {
        std::mem::take(&mut self.holds_publish)
    }

    /// What was published so far is safe once the log is durable up to here.
    pub fn safe_at(&self) -> Lsn {
        self.safe_at
    }

    /// What of it waits for mirrors.
    pub fn reaches(&self) -> &[Reach] {
        &self.reaches
    }

    /// What of it waits for mirrors; the next batch begins with nothing to wait for.
    pub fn take_reaches(&mut self) -> Option<Box<[Reach]>> {
        (!self.reaches.is_empty()).then(|| std::mem::take(&mut self.reaches).into())
    }

    /// A publish is not safe yet.
    fn await_safety(&mut self, safe: Safe, stream: Option<Arc<Stream>>) {
        self.unsafe_publishes += 1;
        self.safe_at = self.safe_at.max(safe.lsn);
        if let Some(stream) = stream {
            let mut known = self.reaches.iter_mut();
            if !known.any(|reach| reach.extend(&stream, safe.held, safe.durable)) {
                self.reaches.push(Reach::of(&stream, safe.held, safe.durable));
            }
        }
    }

    /// Routes are asked for on behalf of this client.
    pub fn enter(&mut self, client: catalog::Client) {
        self.routes.enter(client);
    }

    /// On a leg: whose publishes come over it.
    pub fn serve_origin(&mut self, origin: Origin, incarnation: u64) {
        self.origin = Some(Sender {
            origin,
            incarnation,
            known_to: BTreeSet::new(),
        });
    }

    /// The sender is gone for good and sends nothing again.
    pub fn forget_origin(&mut self) {
        let Some(Sender { origin, known_to, .. }) = self.origin.take() else {
            return;
        };
        self.release();
        let snapshot = self.node.snapshot();
        for cell in known_to.into_iter().filter_map(|id| snapshot.cell(id)) {
            cell.hold().dedup.forget(origin);
        }
    }

    /// Deliveries go back to their queues.
    pub fn requeue(&mut self, channel: u16, places: Vec<Place>) {
        self.settled = places;
        self.settle_places(channel, Settle::Requeue, false);
    }

    /// Lets go of the queue, runs errands, writes replies and flushes every connection touched.
    pub fn end(&mut self) {
        self.release();
        self.run_errands();
        for (cell, why) in self.retiring.drain(..) {
            self.node.retirements().ask(cell, why);
        }
        self.flush();
        self.tally.hand_in(self.node.counters(), &self.client);
        self.scratch = Vec::new();
    }

    /// Lets go of the queue held.
    pub fn release(&mut self) {
        if let Some((cell, held)) = self.held.take() {
            let wake = cell.wants_waking(&held);
            drop(held);
            if let Some(at) = wake {
                self.node.timers().wake_at(at, &cell);
            }
        }
    }

    /// Runs what the queues left to be done. Those that asked to be deleted are kept for `take_retiring`.
    pub fn run_errands(&mut self) {
        if self.errands.is_empty() {
            return;
        }
        let (mut errands, mut sources) = (Vec::new(), Vec::new());
        for errand in std::mem::take(&mut self.errands) {
            match errand {
                Errand::Retire { cell, why } => self.retiring.push((cell, why)),
                Errand::DeadLetters(from) => {
                    sources.push(from.clone());
                    errands.push(Errand::DeadLetters(from));
                }
                other => errands.push(other),
            }
        }
        self.node.run_errands(errands, &mut self.touched);
        for from in sources.into_iter().filter(|from| from.letters.are_many()) {
            if !self.owing.iter().any(|known| Arc::ptr_eq(known, &from)) {
                self.owing.push(from);
            }
        }
    }

    /// A slice of the dead letters that this client has caused; false when few enough are left. So a client causes no
    /// more than is carried away, and others have their turn between the slices.
    pub fn help(&mut self) -> bool {
        self.owing.retain(|from| from.letters.are_many());
        let Some(from) = self.owing.last().cloned() else {
            return false;
        };
        self.node
            .run_errands(vec![Errand::DeadLetters(from)], &mut self.touched);
        self.flush();
        true
    }

    /// The queues that asked to be deleted. Who answers a client deletes them first; the others are left to the node.
    pub fn take_retiring(&mut self) -> Vec<Asked> {
        std::mem::take(&mut self.retiring)
    }

    fn flush(&mut self) {
        if !self.replies.is_empty() {
            let mut state = self.client.outbox().lock();
            state.buffer().append(&mut self.replies);
            if state.promise_flush() {
                self.touched.push(self.client.clone());
            }
        }
        self.node.flush(&mut self.touched);
        self.legs.flush();
    }

    /// Works on one queue with the rest of the batch at hand.
    pub fn on_cell<R>(&mut self, cell: &Arc<QueueCell>, work: impl FnOnce(&mut Work<'_>) -> R) -> R {
        if !self.held.as_ref().is_some_and(|(at, _)| Arc::ptr_eq(at, cell)) {
            self.release();
            self.held = Some((cell.clone(), cell.hold()));
        }
        let (_, held) = self.held.as_mut().expect("just taken");
        let mut at_work = held.work(cell, &mut self.touched, &mut self.errands, self.now);
        let result = work(&mut at_work);
        let safe = at_work.sink.safe;
        if safe != Safe::default() {
            let stream = (safe.held > 0)
                .then(|| at_work.sink.journal.stream().cloned())
                .flatten();
            self.await_safety(safe, stream);
        }
        result
    }

    /// Publishes to queues of this node. With a stamp, to each only what it has not taken before. Those that another node
    /// leads, or may in a moment, are left for `set_aside`.
    pub fn publish_to(
        &mut self,
        cells: &[Arc<QueueCell>],
        publication: &Publication<'_>,
        stamp: Option<&Stamp>,
    ) -> Fate {
        if stamp.is_none() && self.legs.has_aside() {
            // Not before what waits already.
            self.strayed.extend(cells.iter().map(|cell| cell.id));
            return Fate::Unroutable;
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        let mut arriving = Arriving::new(publication, cells, &mut scratch);
        let mut fate = Fate::Unroutable;
        let before = self.unsafe_publishes;
        for cell in cells {
            let taking = self.on_cell(cell, |work| work.publish(&mut arriving, stamp));
            fate = match (taking, fate) {
                (Taking::Gone, fate) => fate,
                (Taking::Strayed, fate) => {
                    self.strayed.push(cell.id);
                    fate
                }
                (Taking::Taken | Taking::TakenBefore, Fate::Unroutable) => Fate::Taken,
                (Taking::Taken | Taking::TakenBefore, fate) => fate,
                (Taking::Refused, _) => Fate::Rejected,
            };
        }
        self.scratch = scratch;
        match fate {
            Fate::Taken if self.unsafe_publishes > before => Fate::Logged,
            fate => fate,
        }
    }

    fn count(&mut self, channel: u16, route: &Route, fate: Fate, mandatory: bool) {
        let publish = Counted {
            channel,
            exchange: route.exchange.as_ref(),
            queues: route.cells.len() + route.remote_queues(),
            fate,
            mandatory,
        };
        let run = self.tally.count(publish, self.node.counters(), &self.client);
        if self.counts_flows && fate != Fate::Rejected {
            run.add_queues(route.all_queues());
        }
    }

    /// Publishes to queues of other nodes, too. Those say later what became of it.
    fn publish_far(&mut self, channel: u16, route: &Route, message: &Publication<'_>, receipt: Receipt) -> Fate {
        let mut fate = match route.cells.is_empty() {
            true => Fate::Unroutable,
            false => self.publish_to(&route.cells, message, None),
        };
        let as_of = self.routes.generation();
        let sequence = match receipt {
            Receipt::None => 0,
            Receipt::Confirm(_) | Receipt::Commit => self.legs.next_sequence(),
        };
        let standing = Standing {
            receipt,
            sequence,
            again: false,
        };
        for remote in &route.remotes {
            let on_behalf = (&self.node, &self.client);
            let is_sent = self
                .legs
                .forward(on_behalf, (as_of, channel), remote, message, standing);
            fate = match (is_sent, fate) {
                (false, _) | (_, Fate::Rejected) => Fate::Rejected,
                (true, _) if receipt == Receipt::None => Fate::Taken,
                (true, _) => Fate::Logged,
            };
        }
        fate
    }

    /// A publish for queues of which it was not known who leads them is sent when it is. The leg is that of its answer.
    pub fn set_aside(&mut self, channel: u16, message: &Publication<'_>, standing: Standing) -> Option<Arc<Leg>> {
        if self.strayed.is_empty() {
            return None;
        }
        let queues = std::mem::take(&mut self.strayed);
        let on_behalf = (&*self.node, &self.client);
        Some(self.legs.set_aside(on_behalf, channel, &queues, message, standing))
    }

    #[cold]
    fn set_aside_new(&mut self, channel: u16, message: &Publication<'_>, receipt: Receipt, fate: Fate) -> Fate {
        let standing = Standing {
            // One that another queue has refused is answered already.
            receipt: if fate == Fate::Rejected { Receipt::None } else { receipt },
            sequence: self.legs.next_sequence(),
            again: false,
        };
        self.set_aside(channel, message, standing);
        under_way(fate, receipt)
    }

    /// What nobody sends again goes from here to whoever leads its queues, and is answered when it is safe there.
    #[cold]
    fn send_on(&mut self, channel: u16, message: &Publication<'_>, receipt: Receipt, fate: Fate) -> Fate {
        let mut queues = std::mem::take(&mut self.strayed);
        queues.extend_from_slice(&self.forwarded.elsewhere);
        // One that another queue has refused is answered already.
        let receipt = if fate == Fate::Rejected { Receipt::None } else { receipt };
        let arrival = self.legs.await_arrival(&self.node, &self.client, channel, receipt);
        self.node.send_when_led(&queues, message, &arrival);
        under_way(fate, receipt)
    }

    fn trace_publish(&mut self, channel: u16, message: &Publication<'_>, route: &Route) {
        if let Some(vhost) = self.client.with_profile(|profile| profile.vhost.clone()) {
            let party = Party::of(&self.client, channel);
            let seen = Sighting::of_publish(&vhost, party, message, route);
            self.errands.push(Errand::Trace(Box::new(seen)));
        }
    }

    /// A message that the client has got goes to the firehose too, if that is on.
    pub fn trace_get(&mut self, cell: &QueueCell, channel: u16, message: Message, redelivered: bool) {
        if cell.is_traced() {
            let party = Party::of(&self.client, channel);
            let seen = Sighting::of_delivery(cell, party, message, redelivered);
            self.errands.extend(seen.map(|seen| Errand::Trace(Box::new(seen))));
        }
    }

    /// Settles what is in `settled`, in runs of the same queue.
    /// `all_before`: nothing of this channel that was delivered earlier stays open.
    fn settle_places(&mut self, channel: u16, how: Settle, all_before: bool) {
        let places = std::mem::take(&mut self.settled);
        for run in places.chunk_by(Place::is_beside) {
            match &run[0] {
                Place::Here { cell, .. } => self.settle_here(cell, run, machine_settle(how)),
                Place::There { leg, .. } => {
                    leg.settle(channel, &tags(run), how, all_before);
                    self.legs.touch(leg);
                }
            }
        }
        self.settled = places;
        self.settled.clear();
    }

    fn settle_here(&mut self, cell: &Arc<QueueCell>, run: &[Place], how: queue::Settle) {
        let slots = run.iter().filter_map(|place| match place {
            Place::Here { slot, .. } => Some(*slot),
            Place::There { .. } => None,
        });
        self.on_cell(cell, |work| {
            // A deleted queue has forgotten its slots; nothing is owed to it.
            let _ = work.queue.settle_all(work.now, slots, how, &mut work.sink);
        });
    }

    /// Consumers that waited for the channel-wide prefetch limit go on.
    pub fn wake_parked(&mut self, channel: u16) {
        let parked = match self.client.outbox().lock().channel(channel) {
            Some(out) if !out.parked.is_empty() && out.ledger.has_room() => std::mem::take(&mut out.parked),
            _ => return,
        };
        for (cell, consumer) in parked {
            self.on_cell(&cell, |work| {
                work.queue.consumer_ready(work.now, consumer, &mut work.sink);
            });
        }
    }

    /// Octets for the client that go before anything written later.
    pub fn write_replies(&mut self) {
        let mut state = self.client.outbox().lock();
        state.buffer().append(&mut self.replies);
        if state.promise_flush() {
            self.touched.push(self.client.clone());
        }
    }
}

/// What a publish is that some queues have met with this fate, while others are still to get it.
fn under_way(fate: Fate, receipt: Receipt) -> Fate {
    match (fate, receipt) {
        (Fate::Rejected | Fate::Logged, _) => fate,
        (_, Receipt::None) => Fate::Taken,
        (_, Receipt::Confirm(_) | Receipt::Commit) => Fate::Logged,
    }
}

impl Batch {
    fn publish_as_it_is(&mut self, channel: u16, message: &Publication<'_>, receipt: Receipt) -> Result<Fate, Refusal> {
        let route = self.routes.find(message, &self.node)?;
        if let Some(fault) = message.fault {
            return Err(fault.clone());
        }
        if route.traced {
            self.trace_publish(channel, message, &route);
        }
        if let Some(address) = &route.direct_reply {
            let fate = match route.remotes.is_empty() {
                true => self.node.clone().reply_directly(address, message, &mut self.touched),
                false => {
                    self.publish_far(channel, &route, message, Receipt::None);
                    Fate::Unroutable
                }
            };
            self.count(channel, &route, fate, message.mandatory);
            return Ok(fate);
        }
        // First, since it may be refused. A message held for later counts as routed.
        let delayed = self.node.keep(&route, message)?;
        let fate = match route.remotes.is_empty() {
            true => self.publish_to(&route.cells, message, None),
            false => self.publish_far(channel, &route, message, receipt),
        };
        let fate = match self.strayed.is_empty() {
            true => fate,
            false => self.set_aside_new(channel, message, receipt, fate),
        };
        let fate = match fate {
            _ if route.is_down => Fate::Rejected,
            Fate::Unroutable if delayed => Fate::Taken,
            fate => fate,
        };
        self.count(channel, &route, fate, message.mandatory);
        Ok(fate)
    }
}

impl Host for Batch {
    fn out(&mut self) -> &mut Vec<u8> {
        &mut self.replies
    }

    fn publish(&mut self, channel: u16, message: &Publication<'_>, receipt: Receipt) -> Result<Fate, Refusal> {
        let wanted = self.interceptors;
        let marked = (!wanted.are_none()).then(|| intercept::marked(wanted, message, self.now, self.node.name()));
        let Some(properties) = marked.flatten() else {
            return self.publish_as_it_is(channel, message, receipt);
        };
        let message = Publication {
            properties: &properties,
            headers: None,
            ..*message
        };
        self.publish_as_it_is(channel, &message, receipt)
    }

    fn holds_publishes(&mut self) -> bool {
        // A disk that is behind holds publishes alone: consumers settle and drain, which is what makes room.
        let node = &self.node;
        self.holds_publish =
            node.alarms().any() || !node.store().has_room() || self.legs.are_full() || self.is_uncertain();
        self.holds_publish
    }

    fn forwarded(
        &mut self,
        channel: u16,
        forward: &wire::Forward<'_>,
        message: &Publication<'_>,
        receipt: Receipt,
    ) -> Fate {
        if forward.targets.octets().is_empty() {
            // For nobody's queue: a direct reply to a client of this node.
            let address = String::from_utf8_lossy(message.routing_key);
            return self.node.clone().reply_directly(&address, message, &mut self.touched);
        }
        self.forwarded.look_up(forward.targets, &self.node);
        let (origin, queues) = (&mut self.origin, &self.forwarded);
        let stamp = origin.as_mut().and_then(|origin| origin.stamp(forward, queues));
        let cells = std::mem::take(&mut self.forwarded.cells);
        let mut fate = match stamp.is_none() && self.node.has_strayed() {
            // Not before what waits already.
            true => {
                self.strayed.extend(cells.iter().map(|cell| cell.id));
                Fate::Unroutable
            }
            false => self.publish_to(&cells, message, stamp.as_ref()),
        };
        self.forwarded.cells = cells;
        if !self.forwarded.elsewhere.is_empty() || !self.strayed.is_empty() {
            match stamp {
                // It is sent again, to whoever leads.
                Some(_) => {
                    self.strayed.clear();
                    self.has_strayed = true;
                    fate = Fate::Logged;
                }
                None => fate = self.send_on(channel, message, receipt, fate),
            }
        }
        fate
    }

    fn check_publish(&mut self, message: &Publication<'_>) -> Result<(), Refusal> {
        self.routes.find(message, &self.node)?;
        message.fault.map_or(Ok(()), |fault| Err(fault.clone()))
    }

    fn settle(
        &mut self,
        channel: u16,
        tag: DeliveryTag,
        multiple: bool,
        how: Settle,
        held: bool,
    ) -> Result<(), UnknownTag> {
        {
            let mut state = self.client.outbox().lock();
            let out = state.channel(channel).ok_or(UnknownTag(tag))?;
            if held {
                return out.ledger.hold(tag, multiple, how);
            }
            out.ledger
                .take(tag, multiple, |unacked| self.settled.push(unacked.item))?;
            if how == Settle::Ack {
                out.counts.acked += self.settled.len() as u64;
                out.count_acked(self.settled.iter());
            }
        }
        self.settle_places(channel, how, multiple);
        self.wake_parked(channel);
        Ok(())
    }

    fn settle_run(
        &mut self,
        channel: u16,
        (first, last): (DeliveryTag, DeliveryTag),
        how: Settle,
    ) -> Result<(), UnknownTag> {
        let mut outcome = Ok(());
        {
            let mut state = self.client.outbox().lock();
            let out = state.channel(channel).ok_or(UnknownTag(first))?;
            for tag in (first.0..=last.0).map(DeliveryTag) {
                let settled = &mut self.settled;
                outcome = out.ledger.take(tag, false, |unacked| settled.push(unacked.item));
                if outcome.is_err() {
                    break;
                }
            }
            if how == Settle::Ack {
                out.counts.acked += self.settled.len() as u64;
                out.count_acked(self.settled.iter());
            }
        }
        self.settle_places(channel, how, false);
        self.wake_parked(channel);
        outcome
    }

    fn commit_held(&mut self, channel: u16) {
        let held = match self.client.outbox().lock().channel(channel) {
            Some(out) => {
                let held = out.ledger.take_held();
                let acked = held.iter().filter(|(_, how)| *how == Settle::Ack);
                out.counts.acked += acked.clone().count() as u64;
                out.count_acked(acked.map(|(unacked, _)| &unacked.item));
                held
            }
            None => return,
        };
        for run in held.chunk_by(|(_, a), (_, b)| a == b) {
            self.settled.extend(run.iter().map(|(unacked, _)| unacked.item.clone()));
            self.settle_places(channel, run[0].1, false);
        }
        self.wake_parked(channel);
    }

    fn return_held(&mut self, channel: u16) {
        if let Some(out) = self.client.outbox().lock().channel(channel) {
            out.ledger.return_held();
        }
    }

    fn will_confirm(&mut self) {
        self.tally.confirmable += 1;
    }

    fn confirmed(&mut self, channel: u16, count: u64) {
        if count > 0 {
            self.tally.confirm(channel, count, self.node.counters(), &self.client);
        }
    }

    fn note(&mut self, note: Note<'_>) {
        self.told_end |= matches!(note, Note::BadHeader { .. } | Note::HandshakeFailed { .. });
        notes::log(&self.client, &note);
    }
}

/// The session's word in the queue's language.
pub fn machine_settle(how: Settle) -> queue::Settle {
    match how {
        Settle::Ack => queue::Settle::Ack,
        Settle::Requeue => queue::Settle::Requeue,
        Settle::Reject => queue::Settle::Reject,
    }
}
