//! What a process or a disk holds of the queue: messages by id, and what it remembers of those that came.
//!
//! Fixed in size, so that states can be compared and kept by the million.

/// Most messages that a copy can hold at once.
const HELD_MAX: usize = 6;

/// A message and the id under which it was enqueued.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Entry {
    /// In this epoch.
    pub epoch: u8,
    /// As this operation of it.
    pub number: u8,
    /// Which publish.
    pub message: u8,
}

impl Entry {
    /// The place in the queue.
    pub fn id(&self) -> (u8, u8) {
        (self.epoch, self.number)
    }
}

/// Messages in the order of their ids.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Held {
    len: u8,
    entries: [Entry; HELD_MAX],
}

impl Held {
    /// All of them.
    pub fn entries(&self) -> &[Entry] {
        &self.entries[..usize::from(self.len)]
    }

    /// One more, at its place.
    pub fn put(&mut self, entry: Entry) {
        let len = usize::from(self.len);
        if len < HELD_MAX {
            self.entries[len] = entry;
            self.len += 1;
            self.entries[..=len].sort_by_key(Entry::id);
        }
    }

    /// True if the message is there.
    pub fn has(&self, message: u8) -> bool {
        self.entries().iter().any(|entry| entry.message == message)
    }

    /// Those that the condition holds for.
    #[must_use]
    pub fn kept(&self, condition: impl Fn(&Entry) -> bool) -> Held {
        let mut kept = Held::default();
        for entry in self.entries().iter().filter(|entry| condition(entry)) {
            kept.put(*entry);
        }
        kept
    }
}

/// Messages and memories; sets of messages are bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Copy {
    /// The messages.
    pub held: Held,
    /// What is known for a duplicate.
    pub seen: u8,
    /// What was ever held here. Only the judge looks at it.
    pub history: u8,
    /// What was removed here. Only the judge looks at it.
    pub removed: u8,
}

impl Copy {
    /// What of it reaches the disk.
    pub fn persisted(&self, transient: u8) -> Copy {
        Copy {
            held: self.held.kept(|entry| transient & (1 << entry.message) == 0),
            seen: self.seen & !transient,
            history: self.history & !transient,
            removed: self.removed & !transient,
        }
    }

    /// A message is enqueued. Without its table a copy would not know it again.
    pub fn enqueue(&mut self, entry: Entry, remembers: bool) {
        let bit = 1 << entry.message;
        self.held.put(entry);
        self.history |= bit;
        self.removed &= !bit;
        if remembers {
            self.seen |= bit;
        }
    }

    /// A message is removed.
    pub fn remove(&mut self, gone: Entry) {
        self.held = self.held.kept(|entry| entry.id() != gone.id());
        self.removed |= 1 << gone.message;
    }
}
