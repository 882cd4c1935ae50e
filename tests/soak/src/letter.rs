//! The auditor of a source queue and the queue of its dead letters: facts about each message in the pair, and what they
//! allow after a crash. It talks to no server.
//!
//! A message that was confirmed and never acked is in one of the two. It is in both only if the server died between
//! the two halves of a move, and then it may move once more, so that the target holds it twice.

use crate::audit::{Crash, Look, Rules};
use crate::finding::{Fault, Finding};
use crate::message::Id;
use crate::shelf::Moment;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// An expired message may take so much longer to move.
const EXPIRY_SLACK_MS: u64 = 2_000;

/// Why messages leave the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Cause {
    /// A consumer rejects them.
    Rejected,
    /// Their time is over.
    Expired {
        /// Their time.
        ttl_ms: u64,
    },
    /// Newer messages push them out.
    PushedOut {
        /// So many may stay.
        length_max: usize,
    },
}

/// What is known of one message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Letter {
    /// When it was sent, at the earliest.
    sent_at: Moment,
    /// When the server's confirm was read, or when it was found after a restart.
    confirmed_at: Option<Moment>,
    /// Whether it can be in the source.
    in_source: bool,
    /// An ack in the source was sent.
    acking: bool,
    /// A SIGKILL from this moment on must not bring it back to the source by an ack.
    acked_from: Option<Moment>,
    /// A reject in the source was sent.
    moving: bool,
    /// A SIGKILL from this moment on must find it in the target.
    moved_from: Option<Moment>,
    /// How often it was in the target when that was last looked at.
    in_target: usize,
    /// Acks in the target were sent.
    draining: bool,
    /// A SIGKILL from this moment on must not bring back those that were in the target.
    drained_from: Option<Moment>,
}

impl Letter {
    /// Just sent.
    pub(crate) fn sent(sent_at: Moment) -> Self {
        Self {
            sent_at,
            confirmed_at: None,
            in_source: true,
            acking: false,
            acked_from: None,
            moving: false,
            moved_from: None,
            in_target: 0,
            draining: false,
            drained_from: None,
        }
    }
}

/// Everything that is known of a pair of queues.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Letters {
    /// Why messages leave the source.
    pub(crate) cause: Cause,
    known: BTreeMap<Id, Letter>,
}

impl Letters {
    /// Of a pair of empty queues.
    pub(crate) fn new(cause: Cause) -> Self {
        Self {
            cause,
            known: BTreeMap::new(),
        }
    }

    /// How many messages are known.
    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }

    /// A message is about to be sent.
    pub(crate) fn send(&mut self, id: Id, letter: Letter) {
        self.known.insert(id, letter);
    }

    /// The server has confirmed it.
    pub(crate) fn confirm(&mut self, id: Id, at: Moment) {
        if let Some(letter) = self.known.get_mut(&id) {
            letter.confirmed_at = Some(at);
        }
    }

    /// The source has delivered it while the server runs.
    ///
    /// # Errors
    /// It cannot be there.
    pub(crate) fn deliver(&self, id: Id, source: &str) -> Result<(), Finding> {
        let Some(letter) = self.known.get(&id) else {
            return Err(Finding::of(
                Fault::Phantom,
                source,
                id,
                "delivered, yet it was never sent here",
            ));
        };
        if letter.in_source && !letter.acking && !letter.moving {
            return Ok(());
        }
        let text = format!("delivered again; known of it: {letter:?}");
        Err(Finding::of(Fault::Resurrected, source, id, text))
    }

    /// An ack or a reject is about to be sent to the source.
    pub(crate) fn settle_one(&mut self, id: Id, rejected: bool) {
        if let Some(letter) = self.known.get_mut(&id) {
            letter.moving |= rejected;
            letter.acking |= !rejected;
        }
    }

    /// A round trip has proven it.
    pub(crate) fn prove_one(&mut self, id: Id, rejected: bool, from: Moment) {
        if let Some(letter) = self.known.get_mut(&id) {
            let proven = if rejected {
                &mut letter.moved_from
            } else {
                &mut letter.acked_from
            };
            *proven = Some(from);
        }
    }

    /// All of the target is about to be acked, or has been.
    pub(crate) fn drain_target(&mut self, from: Option<Moment>) {
        for letter in self.known.values_mut().filter(|letter| letter.in_target > 0) {
            letter.draining = true;
            letter.drained_from = from;
        }
    }

    /// Makes what was found the new knowledge.
    pub(crate) fn settle(&mut self, source: &Look, target: &Look) {
        let (in_source, in_target) = (counts(source), counts(target));
        self.known.retain(|id, letter| {
            letter.in_source = in_source.contains_key(id);
            letter.in_target = in_target.get(id).copied().unwrap_or(0);
            letter.confirmed_at = letter.confirmed_at.or(Some(source.ended));
            (letter.acking, letter.acked_from) = (false, None);
            (letter.moving, letter.moved_from) = (false, None);
            (letter.draining, letter.drained_from) = (false, None);
            letter.in_source || letter.in_target > 0
        });
    }
}

fn counts(look: &Look) -> BTreeMap<Id, usize> {
    let mut counts = BTreeMap::new();
    for id in look.messages.iter().filter_map(|message| message.id.as_ref().ok()) {
        *counts.entry(*id).or_default() += 1;
    }
    counts
}

/// Everything that is wrong with what was found in source and target.
pub(crate) fn judge(
    letters: &Letters,
    (source_name, source): (&str, &Look),
    (target_name, target): (&str, &Look),
    crash: Crash,
    rules: Rules,
) -> Vec<Finding> {
    let case = Case {
        rules,
        cause: letters.cause,
        source: counts(source),
        target: counts(target),
        names: (source_name, target_name),
        looked: (source.began, target.ended),
        crash,
    };
    let mut findings = damage(source_name, source);
    findings.extend(damage(target_name, target));
    findings.extend(case.phantoms(letters));
    findings.extend(letters.known.iter().filter_map(|(id, letter)| case.letter(*id, letter)));
    findings.extend(order(source_name, source));
    if letters.cause != Cause::Rejected {
        findings.extend(order(target_name, target));
    }
    if let Cause::PushedOut { length_max } = letters.cause
        && source.messages.len() > length_max
    {
        let text = format!("{} messages where x-max-length is {length_max}", source.messages.len());
        findings.push(Finding::at(Fault::Count, source_name, text));
    }
    findings
}

fn damage(name: &str, look: &Look) -> Vec<Finding> {
    let damaged = look.messages.iter().filter_map(|message| message.id.as_ref().err());
    damaged
        .map(|damage| Finding::at(Fault::Damaged, name, damage))
        .collect()
}

/// One publisher fills the source, so its numbers are the order; a message that moved twice may stand anywhere.
fn order(name: &str, look: &Look) -> Vec<Finding> {
    let counts = counts(look);
    let ids: Vec<Id> = look
        .messages
        .iter()
        .filter_map(|message| message.id.clone().ok())
        .collect();
    let once: Vec<Id> = ids.into_iter().filter(|id| counts[id] == 1).collect();
    let swapped = once.windows(2).filter(|pair| pair[0] > pair[1]);
    swapped
        .map(|pair| {
            let text = format!("after {}, which was published later", pair[0]);
            Finding::of(Fault::Disorder, name, pair[1], text)
        })
        .collect()
}

struct Case<'a> {
    cause: Cause,
    source: BTreeMap<Id, usize>,
    target: BTreeMap<Id, usize>,
    names: (&'a str, &'a str),
    looked: (Moment, Moment),
    crash: Crash,
    rules: Rules,
}

impl Case<'_> {
    fn phantoms(&self, letters: &Letters) -> Vec<Finding> {
        let places = [(self.names.0, &self.source), (self.names.1, &self.target)];
        let found = places
            .iter()
            .flat_map(|(name, counts)| counts.keys().map(move |id| (*name, *id)));
        let unknown = found.filter(|(_, id)| !letters.known.contains_key(id));
        let text = "there, yet it was never sent here, or it was settled or missing at an earlier restart";
        unknown
            .map(|(name, id)| Finding::of(Fault::Phantom, name, id, text))
            .collect()
    }

    fn had(&self, from: Option<Moment>) -> bool {
        from.is_some_and(|from| self.crash.kept(from, self.rules))
    }

    fn may_move(&self, letter: &Letter) -> bool {
        match self.cause {
            Cause::Rejected => letter.moving,
            Cause::Expired { ttl_ms } => letter.sent_at + ttl_ms <= self.looked.1,
            Cause::PushedOut { .. } => true,
        }
    }

    /// How often it may have moved: once, and once more for every kill in the middle of a move that is taken up again by itself.
    fn moves_most(&self, letter: &Letter) -> usize {
        match self.cause {
            _ if !self.may_move(letter) => 0,
            Cause::Expired { .. } => 1 + self.crash.kills,
            Cause::Rejected | Cause::PushedOut { .. } => 1,
        }
    }

    fn must_have_moved(&self, letter: &Letter) -> bool {
        match self.cause {
            Cause::Rejected => self.had(letter.moved_from),
            Cause::Expired { ttl_ms } => letter
                .confirmed_at
                .is_some_and(|at| at + ttl_ms + EXPIRY_SLACK_MS < self.looked.0),
            Cause::PushedOut { .. } => false,
        }
    }

    /// How often it must and may be in the source, in the target, and in both together.
    fn letter(&self, id: Id, letter: &Letter) -> Option<Finding> {
        let (in_source, in_target) = (count(&self.source, id), count(&self.target, id));
        let source_most =
            usize::from(letter.in_source && !self.had(letter.acked_from) && !self.must_have_moved(letter));
        let moved_most = if letter.in_source { self.moves_most(letter) } else { 0 };
        let kept_most = if self.had(letter.drained_from) {
            0
        } else {
            letter.in_target
        };
        let kept_least = if letter.draining { 0 } else { letter.in_target };
        let safe = self.rules.dead_letters_survive || moved_most == 0;
        let sure = letter.in_source && letter.confirmed_at.is_some() && !letter.acking && safe;
        let least = kept_least + usize::from(sure);
        let at = |fault, name: &str, text: &str| {
            let text = format!(
                "{text}: {in_source} in the source, {in_target} in the target; known of it: {letter:?}; {:?}",
                self.crash
            );
            Some(Finding::of(fault, name, id, text))
        };
        if in_source > 1 {
            at(Fault::Twice, self.names.0, "there more than once")
        } else if in_source > source_most {
            at(Fault::Resurrected, self.names.0, "it had left the source")
        } else if in_target > kept_most + moved_most {
            at(
                Fault::Twice,
                self.names.1,
                "more often in the target than it can have moved",
            )
        } else if in_source + in_target < least {
            at(Fault::Lost, self.names.0, "in neither queue")
        } else {
            None
        }
    }
}

fn count(counts: &BTreeMap<Id, usize>, id: Id) -> usize {
    counts.get(&id).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::Observed;

    const CRASH: Crash = Crash {
        at: 10_000,
        clean: false,
        kills: 1,
    };

    fn id(number: u32) -> Id {
        Id {
            round: 1,
            publisher: 0,
            number,
        }
    }

    fn look(numbers: &[u32]) -> Look {
        let seen = |number: &u32| Observed {
            id: Ok(id(*number)),
            redelivered: false,
        };
        Look {
            messages: numbers.iter().map(seen).collect(),
            began: 12_000,
            ended: 12_100,
        }
    }

    /// Messages 1 to 3, confirmed at 5000.
    fn three(cause: Cause) -> Letters {
        let mut letters = Letters::new(cause);
        for number in 1..=3 {
            letters.send(id(number), Letter::sent(5_000));
            letters.confirm(id(number), 5_000);
        }
        letters
    }

    fn found(letters: &Letters, source: &[u32], target: &[u32]) -> Vec<(Fault, u32)> {
        let findings = judge(
            letters,
            ("q", &look(source)),
            ("q.dead", &look(target)),
            CRASH,
            Rules::WARREN,
        );
        findings
            .iter()
            .map(|finding| (finding.fault, finding.id.map_or(0, |id| id.number)))
            .collect()
    }

    const NOTHING: [(Fault, u32); 0] = [];
    const PUSHED: Cause = Cause::PushedOut { length_max: 2 };

    #[test]
    fn a_message_in_one_of_the_two_is_right_and_in_neither_is_lost() {
        assert_eq!(found(&three(PUSHED), &[2, 3], &[1]), NOTHING);
        assert_eq!(found(&three(PUSHED), &[3], &[1]), [(Fault::Lost, 2)]);
    }

    #[test]
    fn a_crash_in_the_middle_of_a_move_leaves_two_and_never_three() {
        let mut letters = three(PUSHED);
        assert_eq!(found(&letters, &[2, 3], &[1, 2]), NOTHING);
        assert_eq!(found(&letters, &[2, 3], &[1, 2, 2]), [(Fault::Twice, 2)]);
        letters.settle(&look(&[2, 3]), &look(&[1, 2]));
        assert_eq!(found(&letters, &[3], &[1, 2, 2]), NOTHING);
        assert_eq!(found(&letters, &[3], &[1]), [(Fault::Lost, 2)]);
        assert_eq!(
            found(&letters, &[3], &[1, 2]),
            [(Fault::Lost, 2)],
            "the second of the two has moved and not arrived"
        );
    }

    #[test]
    fn a_rejected_message_must_be_in_the_target_after_the_grace() {
        let mut letters = three(Cause::Rejected);
        letters.settle_one(id(1), true);
        assert_eq!(found(&letters, &[1, 2, 3], &[]), NOTHING);
        assert_eq!(found(&letters, &[2, 3], &[1]), NOTHING);
        letters.prove_one(id(1), true, CRASH.at);
        assert_eq!(found(&letters, &[1, 2, 3], &[]), [(Fault::Resurrected, 1)]);
        assert_eq!(found(&letters, &[2, 3], &[]), [(Fault::Lost, 1)]);
    }

    #[test]
    fn a_message_that_was_not_rejected_never_moves() {
        assert_eq!(found(&three(Cause::Rejected), &[2, 3], &[1]), [(Fault::Twice, 1)]);
    }

    #[test]
    fn an_acked_message_is_gone_from_both() {
        let mut letters = three(Cause::Rejected);
        letters.settle_one(id(1), false);
        assert_eq!(found(&letters, &[2, 3], &[]), NOTHING);
        letters.prove_one(id(1), false, CRASH.at);
        assert_eq!(found(&letters, &[1, 2, 3], &[]), [(Fault::Resurrected, 1)]);
    }

    #[test]
    fn an_expired_message_moves_at_its_time_and_no_later_than_the_slack() {
        let never = three(Cause::Expired { ttl_ms: 60_000 });
        assert_eq!(found(&never, &[2, 3], &[1]), [(Fault::Twice, 1)]);
        let late = three(Cause::Expired { ttl_ms: 300 });
        assert_eq!(found(&late, &[], &[1, 2, 3]), NOTHING);
        assert_eq!(found(&late, &[3], &[1, 2]), [(Fault::Resurrected, 3)]);
        assert_eq!(found(&late, &[], &[1, 3]), [(Fault::Lost, 2)]);
        assert_eq!(found(&late, &[], &[2, 1, 3]), [(Fault::Disorder, 1)]);
        assert_eq!(
            found(&late, &[], &[1, 2, 2, 3]),
            NOTHING,
            "killed in the middle of a move, which began again"
        );
        assert_eq!(found(&late, &[], &[1, 2, 2, 2, 3]), [(Fault::Twice, 2)]);
    }

    #[test]
    fn a_drained_target_stays_empty_after_the_grace() {
        let mut letters = three(PUSHED);
        letters.settle(&look(&[2, 3]), &look(&[1]));
        letters.drain_target(None);
        assert_eq!(found(&letters, &[2, 3], &[1]), NOTHING);
        assert_eq!(found(&letters, &[2, 3], &[]), NOTHING);
        letters.drain_target(Some(CRASH.at));
        assert_eq!(found(&letters, &[2, 3], &[1]), [(Fault::Twice, 1)]);
    }

    #[test]
    fn a_phantom_and_an_overfull_source_are_found() {
        assert_eq!(found(&three(PUSHED), &[2, 3], &[1, 9]), [(Fault::Phantom, 9)]);
        assert_eq!(found(&three(PUSHED), &[1, 2, 3], &[]), [(Fault::Count, 0)]);
    }
}
