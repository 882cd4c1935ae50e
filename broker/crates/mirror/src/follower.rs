//! A mirror's side of the stream: which leader it follows, what it still lacks of the base, and what it may acknowledge.
//!
//! Whether the leader is the one that the definitions name is for the host to judge before it calls
//! [`attach`](Follower::attach) (R10). Nothing is acknowledged before the base is whole (R11).

use model::{Epoch, NodeUuid, Runs, Seq};

/// Whom a mirror follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    /// The leader.
    pub leader: NodeUuid,
    /// Its reign.
    pub epoch: Epoch,
    /// The link over which it speaks; what still comes over another is void.
    pub link: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The leader lists what it has.
    Listing,
    /// What is missing is fetched.
    Fetching,
    /// The leader has been told that nothing is missing.
    Telling,
    /// The base is complete: operations are acknowledged.
    Whole,
}

/// An operation does not follow the one before it: the stream cannot be trusted any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("operation {came} follows operation {before}")]
pub struct Gap {
    before: u64,
    came: u64,
}

/// A mirror of one queue.
#[derive(Clone, Debug, Default)]
pub struct Follower {
    following: Option<Following>,
}

#[derive(Clone, Debug)]
struct Following {
    stream: Stream,
    stage: Stage,
    /// Listed by the leader and not here.
    missing: Runs,
    /// What is missing is asked for; without it only what the queue loses meanwhile makes the base whole.
    pulls: bool,
    /// Messages asked for at once.
    batch: u64,
    /// The request that is on its way.
    asked: Vec<(Seq, Seq)>,
    /// The last operation applied.
    pos: u64,
}

/// What a mirror wants to say next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Send these messages, those of them that still live.
    Want(Vec<(Seq, Seq)>),
    /// Nothing listed is missing.
    Whole,
}

impl Follower {
    /// Whom it follows.
    pub fn stream(&self) -> Option<Stream> {
        self.following.as_ref().map(|following| following.stream)
    }

    /// True if this link speaks for the leader that is followed.
    pub fn hears(&self, link: u64) -> bool {
        self.stream().is_some_and(|stream| stream.link == link)
    }

    /// Follows a leader from now on, whose next operation is the one after `pos`. It will list what it has.
    pub fn attach(&mut self, stream: Stream, pos: u64, pulls: bool, batch: u64) {
        self.following = Some(Following {
            stream,
            stage: Stage::Listing,
            missing: Runs::default(),
            pulls,
            batch: batch.max(1),
            asked: Vec::new(),
            pos,
        });
    }

    /// Follows nobody.
    pub fn leave(&mut self) {
        self.following = None;
    }

    /// Messages that are listed and missing.
    pub fn missing(&self) -> u64 {
        self.following.as_ref().map_or(0, |following| following.missing.count())
    }

    /// The last operation that may be acknowledged.
    pub fn acknowledges(&self) -> Option<u64> {
        let whole = self
            .following
            .as_ref()
            .filter(|following| following.stage == Stage::Whole);
        whole.map(|following| following.pos)
    }

    /// The leader has listed a range; these of it are not here.
    pub fn listed(&mut self, missing: &[(Seq, Seq)]) {
        if let Some(following) = &mut self.following {
            missing
                .iter()
                .for_each(|(first, last)| following.missing.insert(*first, *last));
        }
    }

    /// The leader has listed everything.
    pub fn all_listed(&mut self) {
        if let Some(following) = &mut self.following
            && following.stage == Stage::Listing
        {
            following.stage = Stage::Fetching;
        }
    }

    /// A message has come that was missing, or is wanted no more.
    pub fn settled(&mut self, first: Seq, last: Seq) {
        if let Some(following) = &mut self.following {
            following.missing.remove(first, last, |_, _| {});
        }
    }

    /// The leader has answered the request: what it has not sent of it does not live any more.
    pub fn answered(&mut self) {
        if let Some(following) = &mut self.following {
            for (first, last) in std::mem::take(&mut following.asked) {
                following.missing.remove(first, last, |_, _| {});
            }
        }
    }

    /// What is missing is to be asked for, or no more.
    pub fn pull(&mut self, pulls: bool) {
        if let Some(following) = &mut self.following {
            following.pulls = pulls;
        }
    }

    /// An operation is about to be applied; what is told as number 0 is part of the base.
    ///
    /// # Errors
    /// It does not follow the last one.
    pub fn step(&mut self, pos: u64) -> Result<(), Gap> {
        let Some(following) = self.following.as_mut().filter(|_| pos > 0) else {
            return Ok(());
        };
        if pos != following.pos + 1 {
            return Err(Gap {
                before: following.pos,
                came: pos,
            });
        }
        following.pos = pos;
        Ok(())
    }

    /// The leader has heard that the base is whole, and all that it stands on has come.
    pub fn base_ends(&mut self) {
        if let Some(following) = &mut self.following
            && following.stage == Stage::Telling
        {
            following.stage = Stage::Whole;
        }
    }

    /// What is to be said now; asked again after every step.
    pub fn wish(&mut self) -> Option<Wish> {
        let following = self.following.as_mut()?;
        if following.stage != Stage::Fetching {
            return None;
        }
        if following.missing.is_empty() {
            following.stage = Stage::Telling;
            return Some(Wish::Whole);
        }
        if !following.pulls || !following.asked.is_empty() {
            return None;
        }
        following.asked = first_of(&following.missing, following.batch);
        Some(Wish::Want(following.asked.clone()))
    }
}

/// The lowest positions of a set, as many as given.
fn first_of(runs: &Runs, count: u64) -> Vec<(Seq, Seq)> {
    let mut left = count;
    let mut some = Vec::new();
    for (first, last) in runs.iter() {
        if left == 0 {
            break;
        }
        let last = last.min(Seq(first.0 + left - 1));
        left -= last.0 - first.0 + 1;
        some.push((first, last));
    }
    some
}

#[cfg(test)]
mod tests {
    use super::*;

    fn following(pulls: bool) -> Follower {
        let mut follower = Follower::default();
        let stream = Stream {
            leader: NodeUuid(1),
            epoch: Epoch(3),
            link: 7,
        };
        follower.attach(stream, 10, pulls, 4);
        follower
    }

    #[test]
    fn a_base_is_fetched_in_batches_and_acknowledged_only_when_it_is_whole() {
        let mut follower = following(true);
        follower.listed(&[(Seq(1), Seq(3)), (Seq(8), Seq(10))]);
        assert_eq!(follower.wish(), None, "the list is not complete");
        follower.all_listed();
        assert_eq!(
            follower.wish(),
            Some(Wish::Want(vec![(Seq(1), Seq(3)), (Seq(8), Seq(8))]))
        );
        assert_eq!(follower.wish(), None, "one request at a time");
        follower.step(11).unwrap();
        assert_eq!(follower.acknowledges(), None);
        follower.settled(Seq(1), Seq(8));
        follower.answered();
        assert_eq!(follower.wish(), Some(Wish::Want(vec![(Seq(9), Seq(10))])));
        follower.settled(Seq(9), Seq(10));
        follower.answered();
        assert_eq!(follower.wish(), Some(Wish::Whole));
        assert_eq!((follower.wish(), follower.acknowledges()), (None, None));
        follower.base_ends();
        assert_eq!(follower.acknowledges(), Some(11));
    }

    #[test]
    fn a_mirror_that_does_not_fetch_becomes_whole_when_the_queue_has_lost_what_it_lacks() {
        let mut follower = following(false);
        follower.listed(&[(Seq(1), Seq(2))]);
        follower.all_listed();
        assert_eq!(follower.wish(), None);
        follower.settled(Seq(1), Seq(1));
        assert_eq!((follower.wish(), follower.missing()), (None, 1));
        follower.settled(Seq(2), Seq(2));
        assert_eq!(follower.wish(), Some(Wish::Whole));
        let mut told = following(false);
        told.listed(&[(Seq(5), Seq(5))]);
        told.all_listed();
        told.pull(true);
        assert_eq!(told.wish(), Some(Wish::Want(vec![(Seq(5), Seq(5))])));
    }

    #[test]
    fn a_gap_in_the_stream_is_seen_and_another_link_is_not_heard() {
        let mut follower = following(true);
        follower.step(11).unwrap();
        assert_eq!(follower.step(13), Err(Gap { before: 11, came: 13 }));
        assert!(follower.hears(7) && !follower.hears(8));
    }
}
