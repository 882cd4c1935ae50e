//! Pages: runs of ready messages that lie in the store instead of in memory.
//!
//! What the store is given, gives back and says after a restart, and what a queue remembers of a page meanwhile. When
//! pages go and come is decided by `paging`.

use model::{Millis, PageId, Seq};

use crate::counts::Tally;
use crate::listing;
use crate::message::{Message, NEVER};

/// A message of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paged<M> {
    /// Its position.
    pub seq: Seq,
    /// When it expires; [`NEVER`](crate::NEVER) if it does not.
    pub expires: Millis,
    /// The message.
    pub message: M,
}

/// What the store still has of a queue after a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// The highest position ever given to a message.
    pub last_seq: Seq,
    /// Per level, the highest position ever handed out: everything up to it is marked redelivered.
    pub delivered_to: Vec<Seq>,
    /// What is ready, in any order; pages of one level may overlap.
    pub pages: Vec<RestoredPage>,
}

/// A page found after a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RestoredPage {
    /// Its id.
    pub id: PageId,
    /// Its level; above the queue's highest means the highest.
    pub level: u8,
    /// Positions of its messages, as ascending runs from first to last.
    pub seqs: Vec<(Seq, Seq)>,
    /// How many they are.
    pub tally: Tally,
    /// How many of them expire.
    pub expiring: u64,
}

/// What stays in memory of messages in the store: far less than 16 octets each, since neighbours share a run.
pub(crate) struct Page {
    pub(crate) id: PageId,
    pub(crate) tally: Tally,
    pub(crate) expiring: u64,
    /// First and last position of each run, ascending.
    runs: Box<[(Seq, Seq)]>,
}

const _: () = assert!(
    size_of::<Page>() <= 64,
    "a page of thousands of messages costs next to nothing"
);

impl Page {
    /// The page of these messages once they have gone out under the id that `page_out` gives.
    pub(crate) fn of<M: Message>(messages: Vec<Paged<M>>, page_out: &mut impl FnMut(Vec<Paged<M>>) -> PageId) -> Self {
        Page {
            tally: tally(&messages),
            expiring: expiring(&messages),
            runs: runs(&messages).into(),
            id: page_out(messages),
        }
    }

    /// The lowest position.
    pub(crate) fn first(&self) -> Seq {
        self.runs.first().map_or(Seq(0), |run| run.0)
    }

    /// The highest position.
    pub(crate) fn last(&self) -> Seq {
        self.runs.last().map_or(Seq(0), |run| run.1)
    }

    /// True if this is one of its positions.
    pub(crate) fn holds(&self, seq: Seq) -> bool {
        listing::holds(&self.runs, seq)
    }

    /// As it would be found after a restart.
    pub(crate) fn into_restored(self, level: u8) -> RestoredPage {
        RestoredPage {
            id: self.id,
            level,
            seqs: self.runs.into_vec(),
            tally: self.tally,
            expiring: self.expiring,
        }
    }

    pub(crate) fn runs(&self) -> impl Iterator<Item = (Seq, Seq)> {
        self.runs.iter().copied()
    }
}

impl From<RestoredPage> for Page {
    fn from(page: RestoredPage) -> Self {
        Page {
            id: page.id,
            tally: page.tally,
            expiring: page.expiring,
            runs: page.seqs.into(),
        }
    }
}

pub(crate) fn tally<M: Message>(messages: &[Paged<M>]) -> Tally {
    let mut tally = Tally::default();
    messages.iter().for_each(|paged| tally.add(&paged.message));
    tally
}

pub(crate) fn expiring<M>(messages: &[Paged<M>]) -> u64 {
    messages.iter().filter(|paged| paged.expires != NEVER).count() as u64
}

pub(crate) fn runs<M>(messages: &[Paged<M>]) -> Vec<(Seq, Seq)> {
    let mut runs: Vec<(Seq, Seq)> = Vec::new();
    for Paged { seq, .. } in messages {
        match runs.last_mut() {
            Some((_, last)) if last.next() == *seq => *last = *seq,
            Some(_) | None => runs.push((*seq, *seq)),
        }
    }
    runs
}
