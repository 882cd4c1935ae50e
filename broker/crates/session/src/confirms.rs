//! Publisher confirms of one channel: numbers publishes, waits for the log where it must, coalesces acknowledgements.
//!
//! Confirms keep publish order per channel (I4): a run of acks is closed before a nack is written, and whatever follows
//! a publish that is not safe yet waits for it. What waits is remembered as runs, one per batch or change of kind, at
//! most `RUNS_MAX`. Above that, acks wait for a later point than they need, and those behind a waiting nack are nacked
//! as well: their publisher may send them twice, and nothing is lost. What another node still has to take waits in the
//! same way, and may turn out to be refused until its point is reached.

use std::collections::VecDeque;

/// Everything that was logged up to a certain moment; a later one is higher.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Point(pub u64);

/// Most runs of confirms that wait on one channel.
const RUNS_MAX: usize = 4096;
/// A list that has been longer than this is given back once nothing waits.
const IDLE_RUNS_MAX: usize = 64;

/// Confirm state of a channel in confirm mode.
#[derive(Debug, Default)]
pub(crate) struct Confirms {
    last: u64,
    /// Publishes up to here have been confirmed on the wire.
    written: u64,
    /// Publishes up to here are acked, perhaps not yet written.
    acked: u64,
    /// What becomes of those after, oldest first; empty while nothing waits for the log.
    waiting: VecDeque<Run>,
    /// The last runs wait for a point that has not been named yet.
    unsealed: bool,
}

/// Publishes with the same fate, from behind the run before.
#[derive(Clone, Copy, Debug)]
struct Run {
    last: u64,
    verdict: Verdict,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// Safe at this point; `None` until it is named.
    AckAt(Option<Point>),
    /// Safe, and waits only for its turn.
    Ack,
    Nack,
}

impl Confirms {
    /// Numbers a publish that is safe. Returns true if this begins a run that must be written later.
    pub(crate) fn ack(&mut self) -> bool {
        if !self.waiting.is_empty() {
            self.wait(Verdict::Ack);
            return false;
        }
        let begins = self.acked == self.written;
        self.last += 1;
        self.acked = self.last;
        begins
    }

    /// Numbers a publish that is safe at the next point. Returns true if nothing waited before.
    pub(crate) fn log(&mut self) -> bool {
        let begins = self.waiting.is_empty();
        self.unsealed = true;
        self.wait(Verdict::AckAt(None));
        begins
    }

    /// Numbers a publish that was refused. Writes its nack, closing the run before it, unless that has to wait.
    /// Returns that run's length.
    pub(crate) fn nack(&mut self, channel: u16, out: &mut Vec<u8>) -> u64 {
        if !self.waiting.is_empty() {
            self.wait(Verdict::Nack);
            return 0;
        }
        let run = self.write(channel, out);
        self.last += 1;
        self.write_nacks(self.last, channel, out);
        run
    }

    /// Writes one ack for the run since the last one. Returns the run's length.
    pub(crate) fn write(&mut self, channel: u16, out: &mut Vec<u8>) -> u64 {
        let run = self.acked - self.written;
        if run > 0 {
            wire::ack(out, channel, self.acked, run > 1);
            self.written = self.acked;
        }
        run
    }

    /// What was logged since the last point is safe at this one.
    pub(crate) fn seal(&mut self, point: Point) {
        if !std::mem::take(&mut self.unsealed) {
            return;
        }
        for run in self.waiting.iter_mut().rev() {
            match &mut run.verdict {
                Verdict::AckAt(at @ None) => *at = Some(point),
                Verdict::AckAt(Some(_)) => break,
                Verdict::Ack | Verdict::Nack => {}
            }
        }
    }

    /// Everything up to `point` is safe: writes what is in order now. Returns how many were acked.
    pub(crate) fn reach(&mut self, point: Point, channel: u16, out: &mut Vec<u8>) -> u64 {
        let mut acked = 0;
        while let Some(run) = self.waiting.pop_front_if(|run| run.verdict.is_due(point)) {
            match run.verdict {
                Verdict::Nack => {
                    acked += self.write(channel, out);
                    self.write_nacks(run.last, channel, out);
                }
                Verdict::Ack | Verdict::AckAt(_) => self.acked = run.last,
            }
        }
        if self.waiting.is_empty() && self.waiting.capacity() > IDLE_RUNS_MAX {
            self.waiting = VecDeque::new();
        }
        acked + self.write(channel, out)
    }

    /// The number that the next publish will get.
    pub(crate) fn upcoming(&self) -> u64 {
        self.last + 1
    }

    /// Publishes that still wait turn out to be refused: their nacks take their places in the order.
    pub(crate) fn refuse(&mut self, first: u64, last: u64) {
        let mut at = self.waiting.partition_point(|run| run.last < first);
        let mut begins = 1 + match at {
            0 => self.acked,
            at => self.waiting[at - 1].last,
        };
        while begins <= last && at < self.waiting.len() {
            let ends = self.waiting[at].last;
            at = self.refuse_in_run(at, begins, first.max(begins), last.min(ends));
            begins = ends + 1;
        }
    }

    /// Cuts the refused ones out of the run at `at`, which begins with `begins`. Returns the place of the run after it.
    fn refuse_in_run(&mut self, at: usize, begins: u64, first: u64, last: u64) -> usize {
        let Run { last: ends, verdict } = self.waiting[at];
        let nack = |last| Run {
            last,
            verdict: Verdict::Nack,
        };
        let follows_nack = first == begins && at > 0 && self.waiting[at - 1].verdict == Verdict::Nack;
        if verdict == Verdict::Nack {
            return at + 1;
        }
        if follows_nack && last < ends {
            self.waiting[at - 1].last = last;
            return at + 1;
        }
        if self.waiting.len() >= RUNS_MAX {
            self.waiting[at] = nack(ends);
            return at + 1;
        }
        let before = (first > begins).then_some(Run {
            last: first - 1,
            verdict,
        });
        let after = (last < ends).then_some(Run { last: ends, verdict });
        self.waiting.remove(at);
        let mut next = at;
        for run in before.into_iter().chain([nack(last)]).chain(after) {
            self.waiting.insert(next, run);
            next += 1;
        }
        next
    }

    /// True while a confirm waits for the log.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// How many publishes have not been told their fate.
    pub(crate) fn unconfirmed_count(&self) -> u64 {
        self.last - self.written
    }

    /// Nacks everything after what is written, up to `last`.
    fn write_nacks(&mut self, last: u64, channel: u16, out: &mut Vec<u8>) {
        for number in self.written + 1..=last {
            wire::nack(out, channel, number, false, false);
        }
        self.acked = last;
        self.written = last;
    }

    /// Numbers a publish whose confirm has to wait.
    fn wait(&mut self, verdict: Verdict) {
        self.last += 1;
        let is_full = self.waiting.len() >= RUNS_MAX;
        match self.waiting.back_mut() {
            Some(run) if let Some(joint) = run.verdict.joined(verdict, is_full) => {
                run.verdict = joint;
                run.last = self.last;
            }
            Some(_) | None => self.waiting.push_back(Run {
                last: self.last,
                verdict,
            }),
        }
    }
}

impl Verdict {
    fn is_due(self, reached: Point) -> bool {
        match self {
            Verdict::AckAt(point) => point.is_some_and(|point| point <= reached),
            Verdict::Ack | Verdict::Nack => true,
        }
    }

    /// The verdict on a run of this and `next`, if they can be one; if they must, one that is true of neither but
    /// harmless. Only a nack behind acks never can: it makes the list one longer, and everything behind it joins it.
    fn joined(self, next: Self, must: bool) -> Option<Self> {
        match (self, next) {
            (Verdict::AckAt(at), Verdict::Ack) => Some(Verdict::AckAt(at)),
            (Verdict::AckAt(None), Verdict::AckAt(_)) => Some(Verdict::AckAt(None)),
            (Verdict::Ack, Verdict::Ack) => Some(Verdict::Ack),
            (Verdict::Nack, Verdict::Nack) => Some(Verdict::Nack),
            (Verdict::Ack | Verdict::AckAt(Some(_)), Verdict::AckAt(_)) if must => Some(Verdict::AckAt(None)),
            (Verdict::Nack, Verdict::Ack | Verdict::AckAt(_)) if must => Some(Verdict::Nack),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a channel was told: `3` acked alone, `..5` up to 5 at once, `-6` nacked.
    fn heard(out: &mut Vec<u8>) -> Vec<String> {
        let (octets, mut at, mut heard) = (std::mem::take(out), 0, Vec::new());
        while let Ok(Some((frame, length))) = wire::next_frame(&octets[at..], 0) {
            heard.push(match wire::decode_method(frame.payload) {
                Ok(wire::Method::Ack { tag, multiple: true }) => format!("..{tag}"),
                Ok(wire::Method::Ack { tag, multiple: false }) => format!("{tag}"),
                Ok(wire::Method::Nack { tag, .. }) => format!("-{tag}"),
                other => panic!("{other:?}"),
            });
            at += length;
        }
        heard
    }

    /// `t`aken, `l`ogged or `r`ejected publishes one after the other.
    fn publish(confirms: &mut Confirms, out: &mut Vec<u8>, kinds: &str) {
        for kind in kinds.chars() {
            match kind {
                't' => drop(confirms.ack()),
                'l' => drop(confirms.log()),
                _ => drop(confirms.nack(1, out)),
            }
        }
    }

    #[test]
    fn what_follows_a_logged_publish_waits_for_it() {
        let (mut confirms, mut out) = (Confirms::default(), Vec::new());
        publish(&mut confirms, &mut out, "tltrt");
        confirms.write(1, &mut out);
        assert_eq!(heard(&mut out), ["1"]);
        confirms.seal(Point(1));
        assert_eq!(confirms.reach(Point(0), 1, &mut out), 0);
        assert!(heard(&mut out).is_empty());
        assert_eq!(confirms.reach(Point(1), 1, &mut out), 3);
        assert_eq!(heard(&mut out), ["..3", "-4", "5"]);
        assert!(!confirms.is_waiting());
    }

    #[test]
    fn several_points_reached_at_once_are_one_ack() {
        let (mut confirms, mut out) = (Confirms::default(), Vec::new());
        for point in 1..=3 {
            publish(&mut confirms, &mut out, "ll");
            confirms.seal(Point(point));
        }
        assert_eq!(confirms.reach(Point(2), 1, &mut out), 4);
        assert_eq!(confirms.reach(Point(3), 1, &mut out), 2);
        assert_eq!(heard(&mut out), ["..4", "..6"]);
    }

    #[test]
    fn what_is_not_sealed_waits_for_the_next_point() {
        let (mut confirms, mut out) = (Confirms::default(), Vec::new());
        publish(&mut confirms, &mut out, "lrl");
        confirms.seal(Point(1));
        publish(&mut confirms, &mut out, "l");
        confirms.reach(Point(1), 1, &mut out);
        assert_eq!(heard(&mut out), ["1", "-2", "3"]);
        confirms.seal(Point(2));
        confirms.reach(Point(2), 1, &mut out);
        assert_eq!(heard(&mut out), ["4"]);
    }

    #[test]
    fn a_flood_of_publishes_is_a_run_and_a_flood_of_points_has_a_bound() {
        let (mut confirms, mut out) = (Confirms::default(), Vec::new());
        publish(&mut confirms, &mut out, &"lt".repeat(10_000));
        assert_eq!(confirms.waiting.len(), 1);
        for point in 1..=2 * RUNS_MAX as u64 {
            publish(&mut confirms, &mut out, "l");
            confirms.seal(Point(point));
        }
        assert!(confirms.waiting.len() <= RUNS_MAX);
        confirms.reach(Point(2 * RUNS_MAX as u64 - 1), 1, &mut out);
        assert!(confirms.is_waiting(), "the last waits for its own point or a later one");
        confirms.reach(Point(2 * RUNS_MAX as u64), 1, &mut out);
        assert_eq!(
            heard(&mut out).last().map(String::as_str),
            Some(&*format!("..{}", 20_000 + 2 * RUNS_MAX))
        );
    }

    #[test]
    fn a_late_nack_takes_its_place_in_the_order() {
        let (mut confirms, mut out) = (Confirms::default(), Vec::new());
        publish(&mut confirms, &mut out, "llltl");
        confirms.seal(Point(1));
        publish(&mut confirms, &mut out, "ll");
        confirms.seal(Point(2));
        confirms.refuse(7, 7);
        confirms.refuse(2, 3);
        confirms.refuse(1, 2);
        assert!(heard(&mut out).is_empty(), "nothing is told before its point");
        assert_eq!(confirms.reach(Point(1), 1, &mut out), 2);
        assert_eq!(heard(&mut out), ["-1", "-2", "-3", "..5"]);
        confirms.refuse(1, 5);
        assert_eq!(confirms.reach(Point(2), 1, &mut out), 1);
        assert_eq!(heard(&mut out), ["6", "-7"]);
    }

    #[test]
    fn a_flood_of_late_nacks_is_one_run() {
        let (mut confirms, mut out) = (Confirms::default(), Vec::new());
        publish(&mut confirms, &mut out, &"l".repeat(3 * RUNS_MAX));
        confirms.seal(Point(1));
        (1..=2 * RUNS_MAX as u64).for_each(|number| confirms.refuse(number, number));
        assert_eq!(confirms.waiting.len(), 2);
        assert_eq!(confirms.reach(Point(1), 1, &mut out), RUNS_MAX as u64);
        (0..2 * RUNS_MAX).for_each(|_| publish(&mut confirms, &mut out, "lll"));
        confirms.seal(Point(2));
        let first = 3 * RUNS_MAX as u64 + 1;
        (0..3 * RUNS_MAX as u64).for_each(|number| confirms.refuse(first + 2 * number, first + 2 * number));
        assert!(confirms.waiting.len() <= RUNS_MAX + 1, "bounded");
    }

    /// What a channel would be told one by one.
    #[derive(Default)]
    struct Naive {
        /// Refused, and the point to wait for.
        publishes: Vec<(bool, Option<Option<u64>>)>,
        told: usize,
        reached: u64,
    }

    impl Naive {
        fn tell(&mut self) -> Vec<(u64, bool)> {
            let mut told = Vec::new();
            while let Some((refused, point)) = self.publishes.get(self.told) {
                let due = match point {
                    None => true,
                    Some(at) => *refused || at.is_some_and(|at| at <= self.reached),
                };
                if !due {
                    break;
                }
                self.told += 1;
                told.push((self.told as u64, !refused));
            }
            told
        }
    }

    fn flat(heard: Vec<String>, before: u64) -> Vec<(u64, bool)> {
        let mut flat: Vec<(u64, bool)> = Vec::new();
        for told in heard {
            let next = 1 + flat.last().map_or(before, |(number, _)| *number);
            match (told.strip_prefix('-'), told.strip_prefix("..")) {
                (Some(number), _) => flat.push((number.parse().unwrap(), false)),
                (_, Some(last)) => flat.extend((next..=last.parse().unwrap()).map(|number| (number, true))),
                _ => flat.push((told.parse().unwrap(), true)),
            }
        }
        flat
    }

    proptest::proptest! {
        #[test]
        fn any_life_of_a_channel_is_told_as_a_naive_one_tells_it(
            steps in proptest::collection::vec((0u8..6, 0u64..40, 0u64..3), 0..200),
        ) {
            let (mut confirms, mut naive, mut out, mut point) = (Confirms::default(), Naive::default(), Vec::new(), 0);
            let (mut heard_all, mut told_all) = (Vec::new(), Vec::new());
            for (step, a, b) in steps {
                match step {
                    0 => { confirms.ack(); naive.publishes.push((false, None)); }
                    1 => { confirms.log(); naive.publishes.push((false, Some(None))); }
                    2 => { confirms.nack(1, &mut out); naive.publishes.push((true, None)); }
                    3 => {
                        point += 1;
                        confirms.seal(Point(point));
                        for (_, waits) in &mut naive.publishes {
                            if let Some(at @ None) = waits { *at = Some(point); }
                        }
                    }
                    4 => {
                        naive.reached = naive.reached.max(a.min(point));
                        confirms.reach(Point(naive.reached), 1, &mut out);
                    }
                    _ => {
                        // Only what waits for a point can still be refused.
                        let first = naive.told as u64 + 1 + a;
                        let last = (first + b).min(naive.publishes.len() as u64);
                        confirms.refuse(first, last);
                        for number in first..=last {
                            naive.publishes[number as usize - 1].0 = true;
                        }
                    }
                }
                confirms.write(1, &mut out);
                let before = heard_all.len() as u64;
                heard_all.extend(flat(heard(&mut out), before));
                told_all.extend(naive.tell());
                // A refusal is told when its turn comes, at the latest with the next point.
                proptest::prop_assert!(told_all.starts_with(&heard_all), "{heard_all:?} {told_all:?}");
            }
            point += 1;
            confirms.seal(Point(point));
            naive.reached = point;
            for (_, waits) in &mut naive.publishes {
                if let Some(at @ None) = waits { *at = Some(point); }
            }
            confirms.reach(Point(point), 1, &mut out);
            let before = heard_all.len() as u64;
            heard_all.extend(flat(heard(&mut out), before));
            told_all.extend(naive.tell());
            proptest::prop_assert_eq!(heard_all, told_all);
        }
    }

    #[test]
    fn a_flood_of_changes_has_a_bound_and_no_refused_publish_is_acked() {
        let (mut confirms, mut out) = (Confirms::default(), Vec::new());
        publish(&mut confirms, &mut out, &"lr".repeat(RUNS_MAX));
        assert!(confirms.waiting.len() <= RUNS_MAX + 1);
        confirms.seal(Point(1));
        confirms.reach(Point(1), 1, &mut out);
        let heard = heard(&mut out);
        assert_eq!(heard.len(), 2 * RUNS_MAX);
        for (number, told) in (1..).zip(&heard) {
            let refused = number % 2 == 0;
            assert!(
                *told == format!("-{number}") || !refused && *told == format!("{number}"),
                "{told}"
            );
        }
    }
}
