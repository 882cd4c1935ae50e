//! Messages that died, on their way to the queue that their queue's letters go to: taken out of their own when they are safe
//! there, and sent once more when nobody knows.
//!
//! As in the broker, a letter has no number: it may be there twice, but never nowhere (R19).

use model::QueueId;

use crate::journal::{Died, Landed, Leaving};
use crate::life::Life;
use crate::message::Arriving;
use crate::node::Stage;
use crate::rules::Rule;

/// What is known of a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    Safe,
    Lost,
    Nothing,
}

impl Life {
    /// The first message that died in a queue goes on.
    pub(crate) fn send_letter(&mut self, at: usize, queue: QueueId) {
        let node = &mut self.nodes[at];
        let target = node.catalog.queue("/", "q1").map(|record| record.id);
        let Some(led) = node.led.get_mut(&queue) else { return };
        let Some(died) = led.journal.letters.pop_front() else {
            return;
        };
        let Some(target) = target else {
            self.judge.gone(died.letter.id);
            return self.take_out(at, queue, &[died]);
        };
        let landed = self.land(at, target, died);
        let Some(led) = self.nodes[at].led.get_mut(&queue) else {
            return;
        };
        match landed {
            Some(to) => led.journal.leaving.push(Leaving { died, to }),
            None => led.journal.letters.push_back(died),
        }
    }

    /// A letter comes to where its target is led; `None` if nobody is there, or nobody hears of it.
    fn land(&mut self, from: usize, target: QueueId, died: Died) -> Option<Landed> {
        let (uuid, incarnation, epoch) = self.leading(from, target)?;
        let at = self.nodes.iter().position(|node| node.uuid == uuid)?;
        let is_lost = at != from && self.draw.once_in(8);
        let (node, mut world) = self.at(at);
        if node.stage != Stage::Up || node.incarnation != incarnation {
            return None;
        }
        let now = world.now;
        let (led, shore) = node.split(target, &mut world)?;
        if led.journal.epoch() != epoch {
            return None;
        }
        let mut arriving = Arriving {
            letter: died.letter,
            ttl: None,
            priority: 0,
        };
        let (_, safe) = led.work(shore, None, |queue, sink| {
            // A queue that is not mirrored tells nobody of a transient one.
            if let queue::Published::Accepted(seq) = queue.publish(now, &mut arriving, sink) {
                sink.shore.judge.is_at(target, seq, died.letter);
            }
        });
        self.judge.landed(died.letter.id, target);
        if self.truth.queue_by_id(target).is_none() {
            // It is deleted, which this node does not know.
            self.judge.gone(died.letter.id);
        }
        self.tell(|| format!("letter {died:?} of {from} lands in {target:?} at {at}, safe {safe:?}, lost {is_lost}"));
        self.judge.count("letters");
        let queue = target;
        (!is_lost).then_some(Landed {
            at,
            incarnation,
            queue,
            epoch,
            safe,
        })
    }

    /// Letters that are safe leave their places, and those of which nobody knows go once more.
    pub(crate) fn settle_letters(&mut self, at: usize) {
        let queues: Vec<QueueId> = self.nodes[at].led.keys().copied().collect();
        for queue in queues {
            let leaving = match self.nodes[at].led.get_mut(&queue) {
                Some(led) => std::mem::take(&mut led.journal.leaving),
                None => continue,
            };
            let (mut safe, mut open) = (Vec::new(), Vec::new());
            for letter in leaving {
                match self.known_of(&letter.to, at) {
                    Known::Safe => safe.push(letter.died),
                    known => open.push((known, letter)),
                }
            }
            self.take_out(at, queue, &safe);
            let Some(led) = self.nodes[at].led.get_mut(&queue) else {
                continue;
            };
            for (known, letter) in open {
                match known {
                    Known::Lost => led.journal.letters.push_back(letter.died),
                    _ => led.journal.leaving.push(letter),
                }
            }
        }
    }

    fn known_of(&self, to: &Landed, from: usize) -> Known {
        let node = &self.nodes[to.at];
        let is_there = node.incarnation == to.incarnation && node.stage == Stage::Up;
        let led = node
            .led
            .get(&to.queue)
            .filter(|led| is_there && led.journal.epoch() == to.epoch);
        let Some(led) = led else { return Known::Lost };
        let stream = led.journal.stream.as_ref();
        let is_safe = to.safe.lsn <= node.log.synced() && stream.is_none_or(|stream| stream.is_reached(&to.safe));
        // The log of one node keeps their order.
        let is_left_out = self.without == Some(Rule::LettersWait) && to.at == from;
        match is_safe || is_left_out {
            true => Known::Safe,
            false => Known::Nothing,
        }
    }

    fn take_out(&mut self, at: usize, queue: QueueId, died: &[Died]) {
        if !died.is_empty() {
            self.tell(|| format!("letters {died:?} leave {queue:?} at {at}"));
        }
        let (node, mut world) = self.at(at);
        if let Some((led, shore)) = node.split(queue, &mut world) {
            led.work(shore, None, |_, sink| {
                died.iter().for_each(|died| sink.journal.forget_letter(*died));
            });
        }
    }

    /// Who died after it was confirmed is in its own queue, or in the one where its letter went (R19).
    pub(crate) fn audit_letters(&mut self) {
        let owed: Vec<(u32, QueueId, Option<QueueId>)> = self
            .judge
            .letters()
            .map(|(id, publish)| (id, publish.queue, publish.landed))
            .collect();
        for (id, from, to) in owed {
            // What was published to a queue that is deleted, by who did not know, is gone with it.
            let is_deleted = to.is_none() && self.truth.queue_by_id(from).is_none();
            let is_kept = is_deleted || self.have_all(from, id) || to.is_some_and(|to| self.have_all(to, id));
            if !is_kept {
                let text = format!("R19: publish {id} died in {from:?}, went to {to:?}, and may be lost in both");
                self.judge.breaks(|| text);
            }
        }
    }

    /// Whether every disk that counts has a message of a queue. One that was never mirrored is where its leader is.
    fn have_all(&self, queue: QueueId, id: u32) -> bool {
        let Some(record) = self.truth.queue_by_id(queue) else {
            return false;
        };
        let has = |at: usize| {
            let disk = self.nodes[at].log.disk(queue);
            disk.is_some_and(|disk| disk.messages.values().any(|kept| kept.letter.id == id))
        };
        let place = |uuid| self.nodes.iter().position(|node| node.uuid == uuid);
        match &record.replicas {
            Some(replicas) => replicas.counted().all(|copy| place(copy.node).is_some_and(has)),
            None => true,
        }
    }
}
