//! The auditor of one queue: compares what a restarted server holds with what is known, and says which promises were
//! broken. It concludes from facts alone and never talks to a server, so that a falsified state can be shown to it.
//!
//! A message must be there if it is persistent, was confirmed, and nothing was sent that may take it away. It must
//! not be there if it is transient, or was taken away and the grace for that had passed. Between the two lies what
//! was in flight when the server died: both are right.

use crate::finding::{Fault, Finding};
use crate::message::Id;
use crate::shelf::{Copy, Moment, Shelf};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// An expired message may be there for so much longer: clocks are read at different moments, timers fire late.
const EXPIRY_SLACK_MS: u64 = 2_000;

/// An ack that the server had for so long must survive a SIGKILL.
pub(crate) const ACK_GRACE_MS: u64 = 250;

/// A server that may forget answers keeps those that are older than this.
const ANSWER_GRACE_MS: u64 = 3_000;

/// How the server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Crash {
    /// Just before the signal was sent.
    pub(crate) at: Moment,
    /// SIGTERM, after which everything answered or settled counts.
    pub(crate) clean: bool,
    /// How often it was killed since the last look, while it started included.
    pub(crate) kills: usize,
}

impl Crash {
    /// Whether what was settled, with a grace until `from`, had to survive it.
    pub(crate) fn kept(self, from: Moment, rules: Rules) -> bool {
        self.clean || (rules.acks_survive && from <= self.at)
    }

    /// From when on an answer about a definition may have been forgotten; `None` if none may.
    pub(crate) fn doubts(self, rules: Rules) -> Option<Moment> {
        let doubtful = !self.clean && !rules.answers_survive;
        doubtful.then(|| self.at.saturating_sub(ANSWER_GRACE_MS))
    }
}

/// A message as the restarted server delivers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Observed {
    /// What its body says; else what is wrong with the body.
    pub(crate) id: Result<Id, String>,
    /// Whether it says that it was delivered before.
    pub(crate) redelivered: bool,
}

/// A whole queue, from head to tail, and when it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    /// Its messages in the order of delivery.
    pub(crate) messages: Vec<Observed>,
    /// Before the first was delivered.
    pub(crate) began: Moment,
    /// After the last.
    pub(crate) ended: Moment,
}

/// Promises that differ between servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rules {
    /// An ack that the server had for [`ACK_GRACE_MS`] survives a SIGKILL.
    pub(crate) acks_survive: bool,
    /// What was declared, deleted, bound or unbound survives a SIGKILL once that was answered.
    pub(crate) answers_survive: bool,
    /// A message that was delivered before says so, also after a restart.
    pub(crate) marks_kept: bool,
    /// A dead letter is safe in its target before it leaves its source.
    pub(crate) dead_letters_survive: bool,
    /// Bodies up to this many octets are safe once confirmed.
    pub(crate) octets_max: usize,
}

impl Rules {
    /// What we promise.
    pub(crate) const WARREN: Self = Self {
        acks_survive: true,
        answers_survive: true,
        marks_kept: true,
        dead_letters_survive: true,
        octets_max: usize::MAX,
    };
    /// What RabbitMQ 3.10 keeps: definitions reach the disk some time after their answer, a busy queue writes acks down late, dead letters leave without waiting for the target's disk, a
    /// message given back to a long queue may forget that it was delivered, and bodies above 4 KiB, which go to the message store, are lost when it is killed while it compacts that.
    pub(crate) const RABBITMQ: Self = Self {
        acks_survive: false,
        answers_survive: false,
        marks_kept: false,
        dead_letters_survive: false,
        octets_max: 3_500,
    };
}

/// Everything that is wrong with what was found.
pub(crate) fn judge(shelf: &Shelf, look: &Look, crash: Crash, rules: Rules) -> Vec<Finding> {
    let case = Case {
        shelf,
        look,
        crash,
        rules,
    };
    let mut findings = case.foreign();
    findings.extend(case.missing());
    findings.extend(case.order());
    findings.extend(case.marks());
    findings.extend(case.length());
    findings
}

/// Makes what was found the new knowledge: it came back from disk once, so it must from now on.
pub(crate) fn settle(shelf: &mut Shelf, look: &Look) {
    let mut found = BTreeMap::new();
    let ids = look.messages.iter().filter_map(|message| message.id.as_ref().ok());
    for (place, id) in ids.enumerate() {
        if let Some(mut copy) = shelf.copies.remove(id) {
            copy.confirmed_at = copy.confirmed_at.or(Some(look.ended));
            copy.leaving = false;
            copy.gone_from = None;
            copy.delivered_at = Some(look.ended);
            copy.place = Some(place as u64);
            found.insert(*id, copy);
        }
    }
    shelf.copies = found;
    shelf.loose = 0;
}

struct Case<'a> {
    shelf: &'a Shelf,
    look: &'a Look,
    crash: Crash,
    rules: Rules,
}

impl Case<'_> {
    fn about(&self, fault: Fault, id: Id, text: impl Into<String>) -> Finding {
        let text = text.into();
        let facts = match self.shelf.copies.get(&id) {
            Some(copy) => format!("{text}; known of it: {copy:?}; {:?}", self.crash),
            None => text,
        };
        Finding::of(fault, self.shelf.name(), id, facts)
    }

    fn ids(&self) -> impl Iterator<Item = Id> {
        self.look.messages.iter().filter_map(|message| message.id.clone().ok())
    }

    /// What is there and must not be.
    fn foreign(&self) -> Vec<Finding> {
        let mut seen = BTreeSet::new();
        let mut findings = Vec::new();
        for message in &self.look.messages {
            let id = match &message.id {
                Ok(id) => *id,
                Err(damage) => {
                    findings.push(Finding::at(Fault::Damaged, self.shelf.name(), damage));
                    continue;
                }
            };
            if !seen.insert(id) {
                findings.push(self.about(Fault::Twice, id, "there more than once"));
            } else if let Some(finding) = self.unwanted(id) {
                findings.push(finding);
            }
        }
        findings
    }

    fn unwanted(&self, id: Id) -> Option<Finding> {
        let Some(copy) = self.shelf.copies.get(&id) else {
            let text = "there, yet it was never sent here (or only in a transaction that was not committed), or it was \
                        settled or missing at an earlier restart";
            return Some(self.about(Fault::Phantom, id, text));
        };
        if !copy.persistent {
            return Some(self.about(Fault::Resurrected, id, "transient, yet it survived a restart"));
        }
        if self.has_left(copy) {
            return Some(self.about(Fault::Resurrected, id, "there, yet the server had settled it in time"));
        }
        self.must_have_expired(copy)
            .then(|| self.about(Fault::Resurrected, id, "there, yet its time to live is over"))
    }

    /// Whether a restart must not bring it back.
    fn has_left(&self, copy: &Copy) -> bool {
        copy.gone_from.is_some_and(|from| self.crash.kept(from, self.rules))
    }

    fn must_have_expired(&self, copy: &Copy) -> bool {
        let times = self.shelf.spec.ttl_ms.zip(copy.confirmed_at);
        times.is_some_and(|(ttl, confirmed)| confirmed + ttl + EXPIRY_SLACK_MS < self.look.began)
    }

    fn may_have_expired(&self, copy: &Copy) -> bool {
        self.shelf
            .spec
            .ttl_ms
            .is_some_and(|ttl| copy.sent_at + ttl <= self.look.ended)
    }

    /// Whether it must have survived, unless the queue's length or an unanswered get excuses it.
    fn must_be(&self, copy: &Copy) -> bool {
        copy.persistent && copy.confirmed_at.is_some() && !copy.leaving && !self.may_have_expired(copy)
    }

    /// What must be there and is not.
    fn missing(&self) -> Vec<Finding> {
        let there: BTreeSet<Id> = self.ids().collect();
        let missing = self
            .shelf
            .copies
            .iter()
            .filter(|(id, copy)| self.must_be(copy) && !there.contains(id));
        let inexcusable = missing.filter(|(id, _)| !self.may_be_dropped(**id));
        inexcusable
            .skip(self.shelf.loose)
            .map(|(id, _)| self.about(Fault::Lost, *id, "confirmed, never settled, and not there"))
            .collect()
    }

    /// Whether enough newer messages were sent to push this one out at the head. Those that never came, or were lost
    /// unconfirmed, count as well: their arrival may have survived in nothing but the drop.
    fn may_be_dropped(&self, id: Id) -> bool {
        let newer = self.shelf.copies.range(id..).skip(1).count();
        self.shelf.spec.length_max.is_some_and(|length_max| newer >= length_max)
    }

    /// Each publisher's messages in the order of their numbers, and what stood in order before still does.
    fn order(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut last_of = BTreeMap::new();
        let mut last_placed = BTreeMap::new();
        let mut unplaced: BTreeMap<u8, Id> = BTreeMap::new();
        let mut priority_before = u8::MAX;
        for id in self.ids() {
            let Some(copy) = self.shelf.copies.get(&id) else {
                continue;
            };
            let priority = copy.priority;
            if priority > priority_before {
                findings.push(self.about(
                    Fault::Disorder,
                    id,
                    format!("after a message of priority {priority_before}"),
                ));
            }
            priority_before = priority;
            let publisher = (priority, id.round, id.publisher);
            if let Some(before) = last_of.insert(publisher, id).filter(|before| *before > id) {
                findings.push(self.about(
                    Fault::Disorder,
                    id,
                    format!("after {before}, which was published later"),
                ));
            }
            match copy.place {
                None => drop(unplaced.entry(priority).or_insert(id)),
                Some(place) => {
                    let before: Option<(u64, Id)> = last_placed.insert(priority, (place, id));
                    if let Some((_, before)) = before.filter(|(other, _)| *other > place) {
                        findings.push(self.about(Fault::Disorder, id, format!("after {before}, behind it before")));
                    }
                    if let Some(newer) = unplaced.get(&priority) {
                        findings.push(self.about(Fault::Disorder, id, format!("after {newer}, which came later")));
                    }
                }
            }
        }
        findings
    }

    /// What was delivered before says so.
    fn marks(&self) -> Vec<Finding> {
        if !self.rules.marks_kept {
            return Vec::new();
        }
        let grace = if self.crash.clean { 0 } else { ACK_GRACE_MS };
        let unmarked = self.look.messages.iter().filter(|message| !message.redelivered);
        let ids = unmarked.filter_map(|message| message.id.clone().ok());
        let delivered = |id: &Id| {
            let copy = self.shelf.copies.get(id);
            copy.and_then(|copy| copy.delivered_at)
                .is_some_and(|at| at + grace <= self.crash.at)
        };
        ids.filter(delivered)
            .map(|id| self.about(Fault::Unmarked, id, "delivered before, yet not marked redelivered"))
            .collect()
    }

    fn length(&self) -> Option<Finding> {
        let (count, length_max) = (self.look.messages.len(), self.shelf.spec.length_max?);
        (count > length_max).then(|| {
            let text = format!("{count} messages where x-max-length is {length_max}");
            Finding::at(Fault::Count, self.shelf.name(), text)
        })
    }
}

#[cfg(test)]
#[path = "audit_tests.rs"]
mod tests;
