//! All legs of one client: opened when they are needed, flushed with the batch, and asked what is still unanswered.

use catalog::NodeName;
use model::{Generation, QueueId};
use session::{Publication, Receipt};
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};
use store::Lsn;

use super::super::{
    client::Client,
    node::{Node, Snapshot},
    outbox::Letter,
};
use super::{
    aside::Aside,
    books::Refused,
    courier::Arrival,
    estate::Estate,
    leg::{Heirs, Leg, Standing},
    reader,
    remote::Remote,
};

/// A leg that broke is not opened again before this, counted from its opening: a leader that is away would be dialled by
/// every publish.
pub(super) const REOPEN_AFTER: Duration = Duration::from_millis(500);

/// Publishes of a channel that wait for a leg's answer.
#[derive(Clone, Debug)]
pub struct Awaited {
    leg: Arc<Leg>,
    channel: u16,
    upto: u64,
}

impl Awaited {
    /// Publishes of this channel up to now.
    pub fn of(leg: &Arc<Leg>, channel: u16) -> Self {
        Awaited {
            upto: leg.sent(channel),
            leg: leg.clone(),
            channel,
        }
    }

    /// True once the answer is there, or never comes. `synced`: up to where the log of this node is durable.
    pub fn is_answered(&self, synced: Lsn) -> bool {
        self.leg.has_answered(self.channel, self.upto, synced)
    }

    pub(super) fn wake(&self, wake: &store::Wake) {
        self.leg.wake_heirs(wake);
    }

    /// Has `wake` called when the answer may be there; false if it is.
    pub fn waits(&self, synced: Lsn, wake: &store::Wake) -> bool {
        self.wake(wake);
        !self.is_answered(synced)
    }

    /// True if there will be no answer.
    pub fn is_lost(&self) -> bool {
        self.leg.is_lost()
    }
}

/// The legs of one client.
#[derive(Debug, Default)]
pub struct Legs {
    all: BTreeMap<NodeName, Arc<Leg>>,
    touched: Vec<Arc<Leg>>,
    /// Legs and channels that wait for an answer to what was published in this batch.
    asked: Vec<(Arc<Leg>, u16)>,
    /// Publishes of which it is not known where they go.
    aside: Option<Box<Aside>>,
    /// Publishes that may be sent again.
    sequence: u64,
    /// The state of the catalogue by which they were looked at last.
    generation: Generation,
}

impl Legs {
    /// The leg to this leader, opened if there is none.
    pub fn to(&mut self, leader: &NodeName, node: &Arc<Node>, client: &Arc<Client>) -> Arc<Leg> {
        if let Some(leg) = self.all.get(leader)
            && (!leg.is_broken() || leg.is_troubled() || leg.waits_to_be_opened_again(REOPEN_AFTER))
        {
            return leg.clone();
        }
        self.open(leader, None, node, client)
    }

    /// The leg that takes over from one that broke, to this leader.
    pub fn instead_of(
        &mut self,
        lost: &Arc<Leg>,
        leader: &NodeName,
        node: &Arc<Node>,
        client: &Arc<Client>,
    ) -> Arc<Leg> {
        match self.all.get(leader) {
            Some(leg) if !Arc::ptr_eq(leg, lost) => self.to(leader, node, client),
            Some(_) | None => {
                let since = (!lost.has_been_connected()).then_some(lost.since);
                self.open(leader, since, node, client)
            }
        }
    }

    fn open(&mut self, leader: &NodeName, since: Option<Instant>, node: &Arc<Node>, client: &Arc<Client>) -> Arc<Leg> {
        let mut leg = Leg::new(leader.clone(), node.snapshot().process(leader), client.clone());
        leg.since = since.unwrap_or(leg.since);
        let leg = Arc::new(leg);
        self.all.insert(leader.clone(), leg.clone());
        tokio::spawn(reader::run(node.clone(), leg.clone()));
        leg
    }

    /// The number of the next publish that is sent again if its way breaks.
    pub fn next_sequence(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    /// Looks once at each state of the catalogue: a leg whose leader is gone, or leads a queue no more that the leg has to
    /// do with, is broken off before anything is said that relies on that state.
    pub fn look_at(&mut self, snapshot: &Snapshot) {
        if self.all.is_empty() || self.generation == snapshot.generation() {
            return;
        }
        self.generation = snapshot.generation();
        for leg in self.all.values().filter(|leg| !leg.is_broken()) {
            if snapshot.process(&leg.leader) != leg.process || leg.is_overtaken(snapshot) {
                leg.break_off();
                leg.offer_estate();
            }
        }
    }

    /// A publish waits until it is known who leads these queues; the leg is that of its answer.
    pub fn set_aside(
        &mut self,
        (node, client): (&Node, &Arc<Client>),
        channel: u16,
        queues: &[QueueId],
        message: &Publication<'_>,
        standing: Standing,
    ) -> Arc<Leg> {
        let none = || Box::new(Aside::new(node.name().clone(), client.clone()));
        let aside = self.aside.get_or_insert_with(none);
        let leg = aside.add(channel, queues, message, standing).clone();
        if standing.receipt != Receipt::None {
            self.await_answer(&leg, channel);
        }
        leg
    }

    /// A publish goes on as one of the node's own; its confirm waits until it has arrived, and it is refused if it is lost.
    pub fn await_arrival(&mut self, node: &Node, client: &Arc<Client>, channel: u16, receipt: Receipt) -> Arc<Arrival> {
        let Some(refused) = Refused::of(receipt) else {
            return Arrival::unheard();
        };
        // Nothing goes over it: it is what the confirm waits for.
        let leg = Arc::new(Leg::without_way(node.name().clone(), client.clone()));
        leg.owe(channel, receipt);
        self.await_answer(&leg, channel);
        Arrival::with(Box::new(move |has_arrived| {
            if !has_arrived {
                leg.client.outbox().post(Letter::Refused { channel, refused });
            }
            leg.settle_estate(Heirs::default());
            leg.client.outbox().attention.notify_one();
        }))
    }

    /// True while publishes wait until it is known who leads their queues. Nobody tells when it is.
    pub fn has_aside(&self) -> bool {
        self.aside.is_some()
    }

    /// True while a leg has broken and nobody has taken over what was open on it, or publishes are set aside.
    pub fn are_troubled(&self) -> bool {
        self.has_aside() || self.all.values().any(|leg| leg.is_troubled())
    }

    /// What was open on legs that broke, and what was set aside if it can go on.
    pub fn take_estates(&mut self, snapshot: &Snapshot) -> Vec<(Arc<Leg>, Estate)> {
        let offered = |leg: &Arc<Leg>| leg.take_estate().map(|estate| (leg.clone(), estate));
        let troubled = self.all.values().filter(|leg| leg.is_troubled());
        let mut all: Vec<_> = troubled.filter_map(offered).collect();
        let decided = self.aside.take_if(|aside| aside.is_decided(snapshot));
        all.extend(decided.map(|aside| aside.into_estate()));
        all
    }

    /// All legs that are open or broke.
    pub fn all(&self) -> Vec<Arc<Leg>> {
        self.all.values().cloned().collect()
    }

    /// True while publishes have to wait for one of them.
    pub fn are_full(&self) -> bool {
        self.has_aside() || self.all.values().any(|leg| leg.is_full())
    }

    /// Sends a publish to queues of another node; false if there is no way.
    pub fn forward(
        &mut self,
        (node, client): (&Arc<Node>, &Arc<Client>),
        (as_of, channel): (Generation, u16),
        to: &Remote,
        message: &Publication<'_>,
        standing: Standing,
    ) -> bool {
        let is_meant = |leg: &Arc<Leg>| *leg.leader == *to.leader && !leg.is_broken();
        if !self.touched.last().is_some_and(is_meant) {
            let leg = self.to(&to.leader, node, client);
            self.touched.push(leg);
        }
        let Some(leg) = self.touched.last() else { return false };
        let is_sent = leg.forward(channel, as_of, &to.queues, message, standing);
        if is_sent && standing.receipt != Receipt::None {
            note_asked(&mut self.asked, leg, channel);
        }
        is_sent
    }

    /// This leg has octets to write.
    pub fn touch(&mut self, leg: &Arc<Leg>) {
        if !self.touched.last().is_some_and(|last| Arc::ptr_eq(last, leg)) {
            self.touched.push(leg.clone());
        }
    }

    /// The last publish on this channel waits for this leg's answer.
    pub fn await_answer(&mut self, leg: &Arc<Leg>, channel: u16) {
        note_asked(&mut self.asked, leg, channel);
    }

    /// What was published in this batch waits for these answers.
    pub fn awaited(&self) -> Vec<Awaited> {
        let awaited = |(leg, channel): &(Arc<Leg>, u16)| Awaited::of(leg, *channel);
        self.asked.iter().map(awaited).collect()
    }

    /// As `awaited`; the next batch begins with nothing to wait for. `None` where there is nothing.
    pub fn take_awaited(&mut self) -> Option<Box<[Awaited]>> {
        if self.asked.is_empty() {
            return None;
        }
        let awaited = self.awaited();
        self.asked.clear();
        Some(awaited.into())
    }

    /// Writes what can be written.
    pub fn flush(&mut self) {
        for leg in self.touched.drain(..) {
            leg.flush();
        }
    }

    /// The client is gone.
    pub fn take_all(&mut self) -> Vec<Arc<Leg>> {
        std::mem::take(&mut self.all).into_values().collect()
    }
}

fn note_asked(asked: &mut Vec<(Arc<Leg>, u16)>, leg: &Arc<Leg>, channel: u16) {
    let is_known = |(known, number): &(Arc<Leg>, u16)| *number == channel && Arc::ptr_eq(known, leg);
    if !asked.iter().rev().any(is_known) {
        asked.push((leg.clone(), channel));
    }
}
