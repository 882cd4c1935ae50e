//! What one channel has published over a leg and has not been answered: the leader's numbers on one side, the client's on
//! the other.
//!
//! Answers come in the order of the publishes, so what is open is a list of runs. Pure: no lock, no socket.

use session::Receipt;
use std::collections::VecDeque;

/// Publishes of a channel that the leader has refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Confirms with these numbers, both included.
    Confirms {
        /// The first.
        first: u64,
        /// The last.
        last: u64,
    },
    /// Part of the transaction that is being committed.
    Commit,
}

impl Refused {
    /// The publish that was to be answered so; `None` if nobody waits.
    pub fn of(receipt: Receipt) -> Option<Self> {
        match receipt {
            Receipt::None => None,
            Receipt::Confirm(number) => Some(Refused::Confirms {
                first: number,
                last: number,
            }),
            Receipt::Commit => Some(Refused::Commit),
        }
    }
}

/// Publishes with consecutive numbers on both sides.
#[derive(Clone, Copy, Debug)]
struct Run {
    /// The leader's number of the last.
    last: u64,
    /// The client's number of the last; `None` in a transaction.
    confirm: Option<u64>,
}

/// The publishes of one channel that wait for the leader's answer.
#[derive(Debug, Default)]
pub struct Unanswered {
    sent: u64,
    answered: u64,
    runs: VecDeque<Run>,
}

/// An answer that fits no publish: the leader and this node do not speak of the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfTurn;

impl Unanswered {
    /// A publish is on its way that wants an answer.
    pub fn send(&mut self, receipt: Receipt) {
        let confirm = match receipt {
            Receipt::None => return,
            Receipt::Confirm(number) => Some(number),
            Receipt::Commit => None,
        };
        self.sent += 1;
        let next = Run {
            last: self.sent,
            confirm,
        };
        match self.runs.back_mut() {
            Some(run) if run.confirm.map(|number| number + 1) == confirm => *run = next,
            Some(_) | None => self.runs.push_back(next),
        }
    }

    /// Publishes sent so far that want an answer.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// How many are answered.
    pub fn answered(&self) -> u64 {
        self.answered
    }

    /// How many are not.
    pub fn count(&self) -> u64 {
        self.sent - self.answered
    }

    /// The leader has answered everything up to `number`, or with `alone` this one, which must be the next.
    pub fn answer(
        &mut self,
        number: u64,
        alone: bool,
        refused: bool,
        mut each: impl FnMut(Refused),
    ) -> Result<(), OutOfTurn> {
        let is_next = number > self.answered && number <= self.sent && (!alone || number == self.answered + 1);
        if !is_next {
            return Err(OutOfTurn);
        }
        while let Some(run) = self.runs.front().copied().filter(|_| self.answered < number) {
            let last = run.last.min(number);
            if refused {
                each(refusal(run, self.answered + 1, last));
            }
            self.answered = last;
            if last == run.last {
                self.runs.pop_front();
            }
        }
        Ok(())
    }

    /// What has not been answered, in order, in the client's words.
    pub fn open(&self) -> impl Iterator<Item = Receipt> + '_ {
        let mut first = self.answered + 1;
        self.runs.iter().flat_map(move |run| {
            let begins = std::mem::replace(&mut first, run.last + 1);
            (begins..=run.last).map(move |number| match run.confirm {
                None => Receipt::Commit,
                Some(confirm) => Receipt::Confirm(confirm - (run.last - number)),
            })
        })
    }

    /// The leg is broken: nothing that is open will be answered.
    pub fn give_up(&mut self, each: impl FnMut(Refused)) {
        if self.count() > 0 {
            // Up to the last one sent is always in turn.
            let _ = self.answer(self.sent, false, true, each);
        }
    }
}

/// These publishes of a run, by the leader's numbers, in the client's words.
fn refusal(run: Run, first: u64, last: u64) -> Refused {
    match run.confirm {
        None => Refused::Commit,
        Some(number) => Refused::Confirms {
            first: number - (run.last - first),
            last: number - (run.last - last),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(numbers: &[u64]) -> Unanswered {
        let mut unanswered = Unanswered::default();
        numbers
            .iter()
            .for_each(|number| unanswered.send(Receipt::Confirm(*number)));
        unanswered
    }

    fn answer(unanswered: &mut Unanswered, number: u64, alone: bool, refused: bool) -> Result<Vec<Refused>, OutOfTurn> {
        let mut all = Vec::new();
        unanswered
            .answer(number, alone, refused, |one| all.push(one))
            .map(|()| all)
    }

    #[test]
    fn consecutive_publishes_are_one_run_and_answers_may_cut_it() {
        let mut open = of(&[5, 6, 7, 8]);
        assert_eq!(open.runs.len(), 1);
        assert_eq!(answer(&mut open, 1, false, false), Ok(vec![]));
        let second = vec![Refused::Confirms { first: 6, last: 6 }];
        assert_eq!(answer(&mut open, 2, true, true), Ok(second));
        assert_eq!((open.count(), open.answered()), (2, 2));
        let left: Vec<_> = open.open().collect();
        assert_eq!(left, [Receipt::Confirm(7), Receipt::Confirm(8)]);
        let mut rest = Vec::new();
        open.give_up(|one| rest.push(one));
        assert_eq!(rest, [Refused::Confirms { first: 7, last: 8 }]);
        assert_eq!(open.count(), 0);
    }

    #[test]
    fn an_answer_out_of_turn_is_seen() {
        let mut open = of(&[1, 2, 3]);
        assert_eq!(
            answer(&mut open, 2, true, false),
            Err(OutOfTurn),
            "the first is still open"
        );
        assert_eq!(answer(&mut open, 4, false, false), Err(OutOfTurn), "never sent");
        assert_eq!(answer(&mut open, 3, false, false), Ok(vec![]));
        assert_eq!(answer(&mut open, 3, false, false), Err(OutOfTurn), "answered already");
    }

    #[test]
    fn publishes_of_a_transaction_have_no_number() {
        let mut open = Unanswered::default();
        (0..3).for_each(|_| open.send(Receipt::Commit));
        open.send(Receipt::None);
        assert_eq!((open.sent(), open.runs.len()), (3, 1));
        assert_eq!(answer(&mut open, 3, false, true), Ok(vec![Refused::Commit]));
    }

    proptest! {
        #[test]
        fn every_refused_publish_is_named_once_by_the_clients_number(
            gaps in proptest::collection::vec(1u64..3, 1..60), answers in proptest::collection::vec((1u64..8, any::<bool>()), 0..60),
        ) {
            let numbers: Vec<u64> = gaps.iter().scan(0, |last, gap| { *last += gap; Some(*last) }).collect();
            let mut open = of(&numbers);
            let (mut expected, mut told): (Vec<u64>, Vec<u64>) = Default::default();
            let mut each = |one| match one {
                Refused::Confirms { first, last } => told.extend(first..=last),
                Refused::Commit => panic!("no transaction"),
            };
            for (step, refused) in answers {
                let (from, to) = (open.answered(), (open.answered() + step).min(open.sent()));
                if to > from {
                    open.answer(to, false, refused, &mut each).unwrap();
                    if refused { expected.extend(&numbers[from as usize..to as usize]); }
                }
            }
            expected.extend(&numbers[open.answered() as usize..]);
            open.give_up(&mut each);
            prop_assert_eq!(told, expected);
        }
    }
}
