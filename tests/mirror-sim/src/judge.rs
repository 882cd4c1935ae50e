//! What has been promised to clients, and whether it is still kept. Sees everything, changes nothing.
//!
//! P1 to P7 are those of docs/mirroring-protocol.md. The first promise that is broken is remembered as a sentence.

use std::collections::{BTreeMap, BTreeSet};

use model::{Epoch, NodeUuid, QueueId, Seq};

use crate::message::Letter;

/// One publish.
#[derive(Clone, Debug)]
pub struct Publish {
    /// Where to.
    pub queue: QueueId,
    /// The node of its client, and which of its starts.
    pub origin: (NodeUuid, u64),
    /// Its number.
    pub number: u64,
    /// To survive.
    pub persistent: bool,
    /// In which reign it was confirmed first.
    pub confirmed: Option<Epoch>,
    /// Somebody has taken it, or its time was over.
    pub gone: bool,
    /// It died, and is to be in its queue or in the one that its letters go to.
    pub died: bool,
    /// There, at last.
    pub landed: Option<QueueId>,
}

/// The judge.
#[derive(Clone, Debug, Default)]
pub struct Judge {
    /// All, by number.
    pub publishes: Vec<Publish>,
    contents: BTreeMap<(QueueId, Seq), u32>,
    confirmers: BTreeMap<(QueueId, Epoch), (NodeUuid, u64)>,
    /// Transient messages confirmed before this reign may be lost.
    from_disk: BTreeMap<QueueId, Epoch>,
    /// What was seen first.
    pub broken: Option<String>,
    /// How often what happened.
    pub counts: BTreeMap<&'static str, u64>,
}

impl Judge {
    /// A promise is broken.
    pub fn breaks(&mut self, what: impl FnOnce() -> String) {
        if self.broken.is_none() {
            self.broken = Some(what());
        }
    }

    /// Something happened.
    pub fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    /// A message is at a position somewhere (P6).
    pub fn is_at(&mut self, queue: QueueId, seq: Seq, letter: Letter) {
        let known = *self.contents.entry((queue, seq)).or_insert(letter.id);
        if known != letter.id {
            self.breaks(|| format!("P6: {seq:?} of {queue:?} is publish {known} and {}", letter.id));
        }
    }

    /// A queue that was never mirrored is led by a new process, which holds what is on its disk and may give other messages
    /// the positions of those that are gone: nobody else knows of them.
    pub fn begins_anew(&mut self, queue: QueueId, holds: &BTreeSet<Seq>) {
        self.contents.retain(|(of, seq), _| *of != queue || holds.contains(seq));
        self.confirmers.remove(&(queue, Epoch(0)));
    }

    /// Which message has a position.
    pub fn at(&self, queue: QueueId, seq: Seq) -> Option<Letter> {
        let id = *self.contents.get(&(queue, seq))?;
        let persistent = self.publishes[id as usize].persistent;
        Some(Letter { id, persistent })
    }

    /// A message has left its queue for good.
    pub fn gone(&mut self, id: u32) {
        self.publishes[id as usize].gone = true;
    }

    /// A message has died.
    pub fn died(&mut self, id: u32) {
        self.publishes[id as usize].died = true;
        self.count("messages that died");
    }

    /// One that died is in another queue.
    pub fn landed(&mut self, id: u32, queue: QueueId) {
        self.publishes[id as usize].landed = Some(queue);
    }

    /// Confirmed messages that died and that nobody has taken: at least one queue has to have them.
    pub fn letters(&self) -> impl Iterator<Item = (u32, &Publish)> {
        let is_owed = |publish: &Publish| publish.died && !publish.gone && publish.persistent;
        let all = (0..).zip(&self.publishes);
        all.filter(move |(_, publish)| is_owed(publish) && publish.confirmed.is_some())
    }

    /// A queue is deleted.
    pub fn deleted(&mut self, queue: QueueId) {
        let is_there = |publish: &&mut Publish| publish.queue == queue || publish.landed == Some(queue);
        let all = self.publishes.iter_mut().filter(is_there);
        all.for_each(|publish| publish.gone = true);
    }

    /// Transient messages that only others had are given up.
    pub fn elected_from_disk(&mut self, queue: QueueId, epoch: Epoch) {
        self.from_disk.insert(queue, epoch);
    }

    /// A leader confirms (P3).
    pub fn confirmed(&mut self, id: u32, epoch: Epoch, by: (NodeUuid, u64)) {
        let queue = self.publishes[id as usize].queue;
        let first = *self.confirmers.entry((queue, epoch)).or_insert(by);
        if first != by {
            self.breaks(|| format!("P3: {first:?} and {by:?} confirm in {epoch:?} of {queue:?}"));
        }
        self.publishes[id as usize].confirmed.get_or_insert(epoch);
        self.count("confirms");
    }

    /// Confirmed messages of a queue that have to be there.
    pub fn owed(&self, queue: QueueId) -> impl Iterator<Item = (u32, &Publish)> {
        let before = self.from_disk.get(&queue).copied();
        let all = (0..)
            .zip(&self.publishes)
            .filter(move |(_, publish)| publish.queue == queue);
        all.filter(move |(_, publish)| {
            // Of a queue that is not mirrored nobody tells when transient messages are gone.
            let was_alone = publish.confirmed == Some(Epoch(0));
            let is_given_up = before.is_some_and(|epoch| publish.confirmed < Some(epoch));
            let excused = !publish.persistent && (was_alone || is_given_up);
            publish.confirmed.is_some() && !publish.gone && !publish.died && !excused
        })
    }

    /// What a leader holds: nothing twice, and what is confirmed in the order of its publisher (P4).
    pub fn order(&mut self, queue: QueueId, held: &BTreeMap<Seq, Letter>) {
        let mut last: BTreeMap<u32, Seq> = BTreeMap::new();
        for (seq, letter) in held {
            let twice = last.insert(letter.id, *seq).is_some();
            if twice && !self.publishes[letter.id as usize].died {
                return self.breaks(|| format!("P4: publish {} is twice in {queue:?}", letter.id));
            }
        }
        let mut latest: BTreeMap<(NodeUuid, u64), (Seq, u64)> = BTreeMap::new();
        for (id, publish) in (0..).zip(&self.publishes) {
            let Some(seq) = last.get(&id).filter(|_| publish.confirmed.is_some() && !publish.died) else {
                continue;
            };
            let before = latest.insert(publish.origin, (*seq, publish.number));
            if before.is_some_and(|(before, _)| before > *seq) {
                let text = format!(
                    "P4: publish {id} is in {queue:?} before an earlier one; {publish:?}, held {:?}",
                    held.iter().map(|(seq, letter)| (seq.0, letter.id)).collect::<Vec<_>>()
                );
                return self.breaks(|| text);
            }
        }
    }

    /// Whoever owes these messages has them.
    pub fn has_all(&mut self, who: &str, queue: QueueId, has: &BTreeSet<u32>, transient_too: bool) {
        let missing = self
            .owed(queue)
            .find(|(id, publish)| (publish.persistent || transient_too) && !has.contains(id));
        if let Some((id, publish)) = missing {
            let rule = if publish.persistent { "P1" } else { "P2" };
            let text = format!(
                "{rule}: {who} of {queue:?} lacks publish {id}, confirmed in {:?}",
                publish.confirmed
            );
            self.breaks(|| text);
        }
    }
}
