//! What is known of the messages of one queue, and what follows from it: pure functions from facts to findings. A queue has
//! one publisher and at most one consumer of ours at a time.

use crate::finding::{Fault, Finding};
use crate::message::Id;
use std::collections::{BTreeMap, BTreeSet};

/// What became of a publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// No answer, and the connection is gone: it may be there or not.
    Unknown,
    /// The broker has taken it.
    Confirmed,
    /// basic.nack: it may be there all the same.
    Refused,
    /// basic.return: no queue took it.
    Returned,
}

/// What the publisher knows: messages by number, and where each of its connections began.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sent {
    /// What became of each.
    pub(crate) fates: Vec<Fate>,
    /// The first number of each connection.
    pub(crate) sessions: Vec<usize>,
    /// When each confirm came, in milliseconds of the round.
    pub(crate) confirmed_at: BTreeMap<usize, u64>,
}

impl Sent {
    /// A connection begins.
    pub(crate) fn begin(&mut self) {
        self.sessions.push(self.fates.len());
    }

    /// The next message is sent; its number.
    pub(crate) fn send(&mut self) -> usize {
        self.fates.push(Fate::Unknown);
        self.fates.len() - 1
    }

    /// Hears of a message. What was returned stays so: it is confirmed afterwards, as taken by nobody.
    pub(crate) fn hear(&mut self, number: usize, fate: Fate) {
        if let Some(known) = self.fates.get_mut(number)
            && *known == Fate::Unknown
        {
            *known = fate;
        }
    }

    /// The first and the last confirm of messages that were lost.
    pub(crate) fn lost(&self, seen: &Seen) -> Option<(u64, u64)> {
        let lost = self.confirmed_at.iter().filter(|(number, _)| !seen.has(**number));
        let times: Vec<u64> = lost.map(|(_, at)| *at).collect();
        Some((*times.iter().min()?, *times.iter().max()?))
    }

    /// So many with this fate.
    pub(crate) fn count(&self, fate: Fate) -> u64 {
        self.fates.iter().filter(|known| **known == fate).count() as u64
    }

    fn session(&self, number: usize) -> usize {
        self.sessions.partition_point(|first| *first <= number)
    }
}

/// What the consumer has seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// So often each number came.
    pub(crate) times: Vec<u32>,
    /// Numbers that came for the first time and without the redelivered mark, in their order.
    pub(crate) order: Vec<usize>,
    /// Deliveries in all.
    pub(crate) deliveries: u64,
    /// Messages of earlier rounds, which had been taken and acked.
    pub(crate) earlier: u64,
    /// What came that nobody published.
    pub(crate) strange: Vec<String>,
}

impl Seen {
    /// A message came.
    pub(crate) fn take(&mut self, number: usize, redelivered: bool) {
        self.deliveries += 1;
        if self.times.len() <= number {
            self.times.resize(number + 1, 0);
        }
        self.times[number] += 1;
        if self.times[number] == 1 && !redelivered {
            self.order.push(number);
        }
    }

    fn has(&self, number: usize) -> bool {
        self.times.get(number).is_some_and(|times| *times > 0)
    }

    /// Deliveries of what had come before.
    pub(crate) fn duplicates(&self) -> u64 {
        self.times.iter().map(|times| u64::from(times.saturating_sub(1))).sum()
    }
}

/// What was promised and not kept, when the queue has been drained.
pub(crate) fn audit(queue: &str, round: u32, sent: &Sent, seen: &Seen) -> Vec<Finding> {
    let id = |number: usize| Id {
        round,
        publisher: 0,
        number: number as u32,
    };
    let mut findings: Vec<Finding> = seen
        .strange
        .iter()
        .map(|text| Finding::at(Fault::Phantom, queue, text.as_str()))
        .collect();
    for (number, fate) in sent.fates.iter().enumerate() {
        if *fate == Fate::Confirmed && !seen.has(number) {
            let text = "it was confirmed, and neither came nor is in its queue";
            findings.push(Finding::of(Fault::Lost, queue, id(number), text));
        }
    }
    let unsent = (sent.fates.len()..seen.times.len()).filter(|number| seen.has(*number));
    findings.extend(unsent.map(|number| Finding::of(Fault::Phantom, queue, id(number), "it was never published")));
    findings.extend(disorder(sent, &seen.order).into_iter().map(|(late, early)| {
        let text = format!("it came for the first time after {early}, which was published later");
        Finding::of(Fault::Disorder, queue, id(late), text)
    }));
    findings
}

/// First deliveries out of order: what came late, and what came before it. Over two connections only a confirm makes an
/// order: what was never confirmed on the first may still be on its way when the second begins. What was refused has no
/// place: the publisher has given it up, and it may come whenever its way is free again.
fn disorder(sent: &Sent, order: &[usize]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut earlier = BTreeSet::new();
    let judged = |number: &&usize| sent.fates.get(**number) != Some(&Fate::Refused);
    for number in order.iter().filter(judged) {
        if let Some(highest) = earlier.last().copied()
            && highest > *number
        {
            let session = sent.session(*number);
            let same = earlier.range(number + 1..).any(|other| sent.session(*other) == session);
            if same || sent.fates.get(*number) == Some(&Fate::Confirmed) {
                found.push((*number, highest));
            }
        }
        earlier.insert(*number);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(fates: &str, sessions: &[usize]) -> Sent {
        let fate = |letter| match letter {
            'c' => Fate::Confirmed,
            'n' => Fate::Refused,
            'r' => Fate::Returned,
            _ => Fate::Unknown,
        };
        Sent {
            fates: fates.chars().map(fate).collect(),
            sessions: sessions.to_vec(),
            ..Sent::default()
        }
    }

    fn seen(numbers: &[usize]) -> Seen {
        let mut seen = Seen::default();
        numbers.iter().for_each(|number| seen.take(*number, false));
        seen
    }

    fn faults(sent: &Sent, seen: &Seen) -> Vec<(Fault, u32)> {
        let findings = audit("q", 0, sent, seen);
        let about = |finding: Finding| (finding.fault, finding.id.map_or(u32::MAX, |id| id.number));
        findings.into_iter().map(about).collect()
    }

    #[test]
    fn what_was_confirmed_must_have_come_and_nothing_else_must() {
        let sent = sent("cunrc", &[0]);
        assert_eq!(faults(&sent, &seen(&[0, 4])), []);
        assert_eq!(faults(&sent, &seen(&[0, 1, 2, 3, 4])), []);
        assert_eq!(faults(&sent, &seen(&[0, 1, 2])), [(Fault::Lost, 4)]);
    }

    #[test]
    fn what_was_never_sent_is_found_and_duplicates_are_counted() {
        let sent = sent("cc", &[0]);
        let mut twice = seen(&[0, 1, 0]);
        assert_eq!(faults(&sent, &twice), []);
        assert_eq!(twice.duplicates(), 1);
        twice.take(2, true);
        assert_eq!(faults(&sent, &twice), [(Fault::Phantom, 2)]);
    }

    #[test]
    fn first_deliveries_of_a_connection_keep_their_order_and_redelivered_ones_need_not() {
        let sent = sent("cccc", &[0]);
        assert_eq!(faults(&sent, &seen(&[0, 2, 1, 3])), [(Fault::Disorder, 1)]);
        let mut again = seen(&[0, 2, 3]);
        again.take(1, true);
        assert_eq!(faults(&sent, &again), []);
    }

    #[test]
    fn over_two_connections_only_what_was_confirmed_comes_before() {
        assert_eq!(faults(&sent("cucc", &[0, 2]), &seen(&[0, 2, 1, 3])), []);
        assert_eq!(
            faults(&sent("cccc", &[0, 2]), &seen(&[0, 2, 1, 3])),
            [(Fault::Disorder, 1)]
        );
        assert_eq!(
            faults(&sent("cuuc", &[0, 3]), &seen(&[0, 3, 2, 1])),
            [(Fault::Disorder, 1)]
        );
    }

    #[test]
    fn what_was_refused_may_come_at_any_time() {
        assert_eq!(faults(&sent("cnuc", &[0]), &seen(&[0, 3, 1])), []);
        assert_eq!(faults(&sent("cnuc", &[0]), &seen(&[0, 3, 2])), [(Fault::Disorder, 2)]);
    }

    #[test]
    fn what_was_returned_is_not_confirmed_afterwards() {
        let mut sent = Sent::default();
        sent.begin();
        let number = sent.send();
        sent.hear(number, Fate::Returned);
        sent.hear(number, Fate::Confirmed);
        assert_eq!(sent.fates, [Fate::Returned]);
    }
}
