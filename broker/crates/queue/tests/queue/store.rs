//! A store for tests: keeps pages until they are asked for, and knows by message what must survive.
//!
//! Checks on the way that the queue asks only for what makes sense. Answers come as commands of the script.

use std::collections::{BTreeMap, BTreeSet};

use model::{PageId, Seq};
use queue::{Copied, CopySink, Paged, RestoredPage, Stored, Tally};

use crate::machine::KeptLetter;
use crate::script::Letter;

/// What left the memory in one page: names of messages.
pub(crate) type Outgoing = (PageId, Vec<String>);

struct Page {
    level: u8,
    messages: Vec<Paged<KeptLetter>>,
    /// The queue does not want it any more.
    discarded: bool,
}

#[derive(Default)]
pub(crate) struct Store {
    pages: BTreeMap<PageId, Page>,
    pages_ever: u64,
    /// Asked for and not answered, oldest first.
    wanted: Vec<PageId>,
    /// What must survive a restart.
    lasting: BTreeMap<Seq, (Stored, Letter)>,
    /// Pages gone out since somebody last asked.
    outgoing: Vec<Outgoing>,
    /// A purge reports runs; anything else reports one stored message at a time.
    pub(crate) is_purging: bool,
}

impl Store {
    pub(crate) fn store(&mut self, stored: Stored, letter: &Letter) {
        if stored.persistent {
            let twin = self.lasting.insert(stored.seq, (stored, letter.clone()));
            assert!(twin.is_none(), "{stored:?} twice");
        }
    }

    /// Of a queue that is not durable nothing lasts, whatever it was told to store.
    pub(crate) fn died(&mut self, seq: Seq, persistent: bool) {
        self.removed(seq, seq, persistent && self.lasting.contains_key(&seq));
    }

    pub(crate) fn removed(&mut self, first: Seq, last: Seq, persistent: bool) {
        let gone: BTreeSet<Seq> = self.lasting.range(first..=last).map(|(seq, _)| *seq).collect();
        let known = gone.len() == usize::from(persistent) || persistent && self.is_purging;
        assert!(known, "{first:?} to {last:?} removed unknown to the store");
        self.lasting.retain(|seq, _| !gone.contains(seq));
    }

    pub(crate) fn page_out(&mut self, level: u8, messages: Vec<Paged<KeptLetter>>) -> PageId {
        assert!(!messages.is_empty(), "an empty page");
        assert!(messages.is_sorted_by_key(|paged| paged.seq));
        self.pages_ever += 1;
        let id = PageId(self.pages_ever);
        let names = messages.iter().map(|paged| paged.message.0.name.clone()).collect();
        self.outgoing.push((id, names));
        let page = Page {
            level,
            messages,
            discarded: false,
        };
        self.pages.insert(id, page);
        id
    }

    /// What is in a page, for whoever reads it beside the queue.
    pub(crate) fn read(&self, id: PageId) -> Vec<Paged<KeptLetter>> {
        self.pages[&id].messages.clone()
    }

    /// True while somebody wants the page.
    pub(crate) fn has(&self, id: PageId) -> bool {
        self.pages.get(&id).is_some_and(|page| !page.discarded)
    }

    /// What is on its way, each message with its level.
    pub(crate) fn loading_messages(&self) -> impl Iterator<Item = (u8, &Paged<KeptLetter>)> {
        let pages = self.wanted.iter().map(|id| &self.pages[id]);
        let pages = pages.filter(|page| !page.discarded);
        pages.flat_map(|page| page.messages.iter().map(|paged| (page.level, paged)))
    }

    pub(crate) fn load(&mut self, id: PageId) {
        let page = self.pages.get(&id).expect("a page that was once paged out");
        assert!(!page.discarded, "{id:?} was discarded");
        let busy = self.wanted.iter().map(|wanted| &self.pages[wanted]);
        let mut busy = busy.filter(|other| !other.discarded && other.level == page.level);
        assert!(busy.next().is_none(), "two loads of one level at a time");
        self.wanted.push(id);
    }

    pub(crate) fn discard(&mut self, id: PageId) {
        let page = self.pages.get_mut(&id).expect("a page that was once paged out");
        assert!(!page.discarded, "{id:?} discarded twice");
        page.discarded = true;
        if !self.wanted.contains(&id) {
            self.pages.remove(&id);
        }
    }

    /// Pages that were asked for, oldest request first, each with the names of its messages.
    pub(crate) fn wanted(&self) -> Vec<Outgoing> {
        let names = |id: &PageId| self.pages[id].messages.iter().map(|paged| paged.message.0.name.clone());
        self.wanted.iter().map(|id| (*id, names(id).collect())).collect()
    }

    /// Levels of which a page that is still wanted is on its way.
    pub(crate) fn loading(&self) -> Vec<u8> {
        let pages = self.wanted.iter().map(|id| &self.pages[id]);
        pages.filter(|page| !page.discarded).map(|page| page.level).collect()
    }

    /// The answer to a request, without those that are lost.
    pub(crate) fn answer(&mut self, id: PageId, lost: &[String]) -> Vec<Paged<KeptLetter>> {
        self.wanted.retain(|wanted| *wanted != id);
        let mut messages = self.pages.remove(&id).expect("asked for").messages;
        messages.retain(|paged| !lost.contains(&paged.message.0.name));
        messages
    }

    pub(crate) fn lasting(&self) -> impl Iterator<Item = &Letter> {
        self.lasting.values().map(|(_, letter)| letter)
    }

    /// Lost messages do not survive either.
    pub(crate) fn forget(&mut self, names: &[String]) {
        self.lasting.retain(|_, (_, letter)| !names.contains(&letter.name));
    }

    pub(crate) fn take_outgoing(&mut self) -> Vec<Outgoing> {
        std::mem::take(&mut self.outgoing)
    }

    /// After a restart: everything that lasts, dealt out to as many pages as `groups` names.
    pub(crate) fn restart(&mut self, groups: &[usize], kept: impl Fn(&Letter) -> KeptLetter) -> Vec<RestoredPage> {
        self.pages.clear();
        self.wanted.clear();
        let mut decks: BTreeMap<(u8, usize), Vec<Paged<KeptLetter>>> = BTreeMap::new();
        for (number, (stored, letter)) in self.lasting.values().enumerate() {
            let deck = decks.entry((stored.level, groups[number % groups.len()])).or_default();
            deck.push(Paged {
                seq: stored.seq,
                expires: stored.expires,
                message: kept(letter),
            });
        }
        let decks = decks.into_iter();
        decks
            .map(|((level, _), messages)| self.restored(level, messages))
            .collect()
    }

    /// A message of a copy that must survive.
    pub(crate) fn keep(&mut self, copied: &Copied<KeptLetter>) {
        let stored = Stored {
            seq: copied.seq,
            level: copied.level,
            expires: copied.expires,
            persistent: true,
        };
        self.store(stored, &copied.message.0);
    }

    fn restored(&mut self, level: u8, messages: Vec<Paged<KeptLetter>>) -> RestoredPage {
        let mut page = RestoredPage {
            level,
            ..RestoredPage::default()
        };
        for Paged { seq, expires, message } in &messages {
            page.seqs.push((*seq, *seq));
            page.expiring += u64::from(*expires != queue::NEVER);
            add(&mut page.tally, &message.0);
        }
        page.id = self.page_out(level, messages);
        page
    }
}

fn add(tally: &mut Tally, letter: &Letter) {
    tally.messages += 1;
    tally.bytes += letter.bytes;
    if letter.persistent {
        tally.persistent += 1;
        tally.persistent_bytes += letter.bytes;
    }
}

/// As the real store does it: what is gone is gone from pages too, and what it does not have means nothing.
impl CopySink<KeptLetter> for Store {
    fn removed(&mut self, first: Seq, last: Seq) {
        let gone = first..=last;
        self.lasting.retain(|seq, _| !gone.contains(seq));
        for page in self.pages.values_mut() {
            page.messages.retain(|paged| !gone.contains(&paged.seq));
        }
    }

    fn page_out(&mut self, level: u8, messages: Vec<Paged<KeptLetter>>) -> PageId {
        Store::page_out(self, level, messages)
    }

    fn discard(&mut self, page: PageId) {
        Store::discard(self, page);
    }
}
