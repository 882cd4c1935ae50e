//! A node's copies of queues that others lead, and the mirror's end of a link, as the broker has them: each word of a leader
//! is done to the copy of a leader that the node's own definitions name, and acknowledged when it is true.

use std::collections::BTreeSet;

use mirror::{Follower, Stream as Following, Wish, Word};
use model::{Epoch, Generation, PageId, QueueId, Seq};
use queue::{Copied, Copy, CopySink, Dedup, Known, Origin, Paged, Stamp};

use crate::judge::Judge;
use crate::links::{Link, Open};
use crate::log::{Kept, Log, Note};
use crate::message::Letter;
use crate::rules::Rule;

/// A copy and whom it follows.
pub struct CopyCell {
    /// The messages.
    pub copy: Copy<Letter>,
    /// Who published what of them.
    pub dedup: Dedup,
    /// Whom it follows.
    pub follower: Follower,
    attachment: u64,
    safe_at: u64,
    holds_news: bool,
    /// Removes that were done here.
    pub removed: BTreeSet<Seq>,
    touched: bool,
}

/// Where the effects of a copy go.
pub struct CopyEffects<'a> {
    /// Of which queue.
    pub queue: QueueId,
    /// The node's log.
    pub log: &'a mut Log,
}

impl CopySink<Letter> for CopyEffects<'_> {
    fn removed(&mut self, first: Seq, last: Seq) {
        self.log.append(Note::Remove(self.queue, vec![(first, last)]));
    }

    fn page_out(&mut self, _level: u8, messages: Vec<Paged<Letter>>) -> PageId {
        self.log.page_out(messages)
    }

    fn discard(&mut self, page: PageId) {
        self.log.discard(page);
    }
}

/// What a mirror's word may touch.
pub struct Mirror<'a> {
    /// The node's log.
    pub log: &'a mut Log,
    /// The judge.
    pub judge: &'a mut Judge,
    /// The rule that is left out.
    pub without: Option<Rule>,
}

/// A leader's word to be followed from now on.
#[derive(Clone, Copy, Debug)]
pub struct Attach {
    /// What answers name.
    pub attachment: u64,
    /// The reign.
    pub epoch: Epoch,
    /// The state of the catalogue that its leader knew.
    pub as_of: Generation,
    /// The last operation before the stream.
    pub pos: u64,
    /// Fetch.
    pub pulls: bool,
    /// So many at once.
    pub batch: u32,
}

impl CopyCell {
    /// A copy with what is there, safe once the log is synced so far.
    pub fn new(copy: Copy<Letter>, dedup: Dedup, safe_at: u64) -> Self {
        CopyCell {
            copy,
            dedup,
            follower: Follower::default(),
            attachment: 0,
            safe_at,
            holds_news: false,
            removed: BTreeSet::new(),
            touched: false,
        }
    }

    /// Follows a leader.
    pub fn attach(&mut self, stream: Following, attach: &Attach, without: Option<Rule>) {
        self.follower
            .attach(stream, attach.pos, attach.pulls, attach.batch.into());
        if without != Some(Rule::DedupForgets) {
            self.dedup = Dedup::partial();
        }
        self.attachment = attach.attachment;
        if without == Some(Rule::BaseFirst) {
            self.follower.all_listed();
            // It is whole by its own word.
            while self.follower.wish().is_some() {}
            self.follower.base_ends();
        }
    }

    /// Does what the leader says.
    ///
    /// # Errors
    /// The stream cannot be trusted any more.
    pub fn hear(
        &mut self,
        queue: QueueId,
        word: Word<'_>,
        mirror: &mut Mirror<'_>,
        link: &mut Link,
    ) -> Result<(), mirror::Gap> {
        self.apply(queue, word, mirror)?;
        let attachment = self.attachment;
        while let Some(wish) = self.follower.wish() {
            let word = match wish {
                Wish::Want(runs) => Word::Want { attachment, runs },
                Wish::Whole => Word::Whole { attachment },
            };
            link.answer(queue, &word);
        }
        self.touched = true;
        Ok(())
    }

    fn apply(&mut self, queue: QueueId, word: Word<'_>, mirror: &mut Mirror<'_>) -> Result<(), mirror::Gap> {
        match word {
            Word::Enqueue { pos, entry } => {
                self.follower.step(pos)?;
                self.enqueue(queue, &entry, mirror);
            }
            Word::Remove { pos, runs } => {
                self.follower.step(pos)?;
                runs.iter().for_each(|run| self.remove(queue, *run, mirror));
            }
            Word::Returned { pos, counts } => {
                self.follower.step(pos)?;
                counts.iter().for_each(|(seq, count)| self.copy.returned(*seq, *count));
            }
            Word::Delivered { pos, levels } => {
                self.follower.step(pos)?;
                levels
                    .iter()
                    .for_each(|(level, upto)| self.copy.delivered(*level, *upto));
                mirror.log.append(Note::Delivered(queue, levels));
            }
            Word::Base { first, last, runs } if mirror.without != Some(Rule::BaseFirst) => {
                let log = &mut *mirror.log;
                let missing = self.copy.hold_to(first, last, &runs, &mut CopyEffects { queue, log });
                self.follower.listed(&missing);
            }
            Word::AllListed => self.follower.all_listed(),
            Word::Old(entry) => {
                self.enqueue(queue, &entry, mirror);
                self.follower.settled(entry.seq, entry.seq);
            }
            Word::Heard(heard) => self.dedup.learn(known(heard)),
            Word::Sent => self.follower.answered(),
            Word::BaseEnds { is_partial } => {
                self.dedup.learned_all(is_partial);
                self.follower.base_ends();
            }
            Word::Pull(pulls) => self.follower.pull(pulls),
            _ => {}
        }
        Ok(())
    }

    fn remove(&mut self, queue: QueueId, (first, last): (Seq, Seq), mirror: &mut Mirror<'_>) {
        let had = self.copy.runs(first, usize::MAX).into_iter();
        let had = had.flat_map(|run| run.0.0..=run.1.0).take_while(|seq| *seq <= last.0);
        self.removed.extend(had.map(Seq));
        let log = &mut *mirror.log;
        self.copy.remove(first, last, &mut CopyEffects { queue, log });
        self.follower.settled(first, last);
    }

    fn enqueue(&mut self, queue: QueueId, entry: &mirror::Entry<'_>, mirror: &mut Mirror<'_>) {
        let Some(letter) = Letter::of(entry) else {
            return mirror
                .judge
                .breaks(|| "a body of other than four octets came over a link".into());
        };
        mirror.judge.is_at(queue, entry.seq, letter);
        self.removed.remove(&entry.seq);
        self.note(entry, mirror.without);
        let copied = Copied {
            seq: entry.seq,
            level: entry.level,
            expires: entry.expires,
            delivery_count: entry.returns,
            delivered: entry.returns > 0,
            message: letter,
        };
        let log = &mut *mirror.log;
        if !self.copy.enqueue(copied, &mut CopyEffects { queue, log }) {
            return;
        }
        if !letter.persistent {
            self.holds_news = true;
            return;
        }
        let kept = Kept {
            level: entry.level,
            expires: entry.expires,
            letter,
        };
        self.safe_at = mirror.log.append(Note::Enqueue(queue, entry.seq, kept));
    }

    fn note(&mut self, entry: &mirror::Entry<'_>, without: Option<Rule>) {
        let Some(origin) = entry.origin.filter(|_| without != Some(Rule::DedupTravels)) else {
            return;
        };
        self.dedup.note(&Stamp {
            origin: Origin {
                node: origin.node,
                stream: origin.stream,
            },
            incarnation: origin.incarnation,
            sequence: origin.number,
            floor: origin.floor,
            again: false,
        });
    }

    /// A batch is over: tells the leader how far this copy has come.
    pub fn acknowledge(&mut self, queue: QueueId, link: &mut Link, synced: u64, without: Option<Rule>) {
        if !self.follower.hears(link.number) || !std::mem::take(&mut self.touched) {
            return;
        }
        let news = std::mem::take(&mut self.holds_news);
        let Some(pos) = self.follower.acknowledges() else {
            return;
        };
        let safe_at = match without {
            Some(Rule::AckAfterSync) => 0,
            _ => self.safe_at,
        };
        let open = Open {
            queue,
            attachment: self.attachment,
            pos,
            safe_at,
        };
        link.come(open, news, synced);
    }
}

fn known(heard: mirror::Heard) -> Known {
    Known {
        origin: Origin {
            node: heard.node,
            stream: heard.stream,
        },
        incarnation: heard.incarnation,
        floor: heard.floor,
        seen: heard.seen,
    }
}
