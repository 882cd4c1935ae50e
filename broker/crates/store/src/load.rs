//! Pages on their way back: into a queue, which then has what is in them, or shown to somebody beside it.
//!
//! A page that waits for room is answered from memory. What is gone of a page is left out; the page itself never changes.

use model::{PageId, Runs};

use crate::{
    disk::Disk,
    keeper::Keeper,
    message::{Load, PageOut, Paged, StoredMessage},
    page::{PageHead, ReadHead},
};

/// The messages of a page that are wanted, and the positions of those that are not persistent.
type Read<M> = (Vec<Paged<M>>, Runs);

impl<D: Disk, M: StoredMessage> Keeper<D, M> {
    /// The queue takes the page back. What is not persistent lives in memory alone from now on.
    pub(crate) fn load(&mut self, load: Load<M>) {
        if let Some(out) = self.unwritten.remove(&load.id) {
            self.shared.paged_out(out.bytes);
            return (load.then)(out.messages);
        }
        let (messages, memory_only) = self.read_page(load.id).unwrap_or_else(|damage| {
            tracing::error!("messages are lost: {damage}. The rest of the queue goes on; restore them from a backup");
            self.index.discard(load.id);
            Read::default()
        });
        self.index.remove_in_page(load.id, &memory_only);
        (load.then)(messages);
    }

    /// Somebody looks at the page, which stays as it is; damage is for the queue to find.
    pub(crate) fn read(&mut self, load: Load<M>) {
        if let Some(out) = self.unwritten.get(&load.id) {
            return (load.then)(copies(out));
        }
        let (messages, _) = self.read_page(load.id).unwrap_or_else(|damage| {
            tracing::error!("messages cannot be shown to other nodes: {damage}");
            Read::default()
        });
        (load.then)(messages);
    }

    fn read_page(&mut self, id: PageId) -> Result<Read<M>, String> {
        let Some(page) = self.index.page(id).cloned() else {
            return Ok(Read::default());
        };
        let place = || {
            format!(
                "page {} in {} at offset {}",
                id.0,
                crate::page::path(page.file),
                page.offset
            )
        };
        let octets = self
            .pages
            .read(page.file, page.offset, page.bytes as usize)
            .map_err(|error| format!("{}: {error}", place()))?;
        let ReadHead::Page(head) = PageHead::read(&octets, self.shared.formats.known()) else {
            return Err(format!("{} is damaged", place()));
        };
        let all = head
            .messages(&octets)
            .ok_or_else(|| format!("{} is damaged", place()))?;
        let (mut wanted, mut memory_only) = (Vec::with_capacity(all.len()), Runs::default());
        for (entry, content) in all {
            if !page.live.contains(entry.seq) {
                continue;
            }
            wanted.push(Paged {
                seq: entry.seq,
                expires: entry.expires,
                message: M::of(&content, entry.persistent),
            });
            if !entry.persistent {
                memory_only.insert(entry.seq, entry.seq);
            }
        }
        Ok((wanted, memory_only))
    }
}

/// The messages of a page that waits for room.
fn copies<M: StoredMessage>(out: &PageOut<M>) -> Vec<Paged<M>> {
    let copy = |paged: &Paged<M>| Paged {
        seq: paged.seq,
        expires: paged.expires,
        message: M::of(&paged.message.content(), paged.message.is_persistent()),
    };
    out.messages.iter().map(copy).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Formats;
    use crate::fixture::content;
    use crate::{Content, Opened, disk::MemDisk, fixture::SIZES};
    use model::{Epoch, Millis, QueueId, Seq};
    use parking_lot::Mutex;
    use std::sync::Arc;

    /// Of even number if it is persistent.
    struct Numbered(u8);

    impl StoredMessage for Numbered {
        fn content(&self) -> Content<'_> {
            content(std::slice::from_ref(&self.0))
        }

        fn is_persistent(&self) -> bool {
            self.0.is_multiple_of(2)
        }

        fn of(content: &Content<'_>, persistent: bool) -> Self {
            assert_eq!(persistent, content.body[0].is_multiple_of(2));
            Numbered(content.body[0])
        }
    }

    type Kept = Opened<MemDisk, Numbered>;

    /// A store with a page of so many messages; without room for it, if the disk is full.
    fn kept(count: u8, is_full: bool) -> (Kept, MemDisk, PageId) {
        let disk = MemDisk::new();
        let mut opened: Kept = Opened::open(disk.clone(), SIZES, Formats::default(), &|_| true).unwrap();
        if is_full {
            disk.set_capacity(Some(0));
        }
        let paged = |number| Paged {
            seq: Seq(u64::from(number)),
            expires: Millis(u64::MAX),
            message: Numbered(number),
        };
        let messages = (1..=count).map(paged).collect();
        let page = opened.store().page_out(QueueId(1), Epoch(1), 0, messages, 100);
        opened.step_keeper().unwrap();
        assert_eq!(opened.store().is_full(), is_full);
        (opened, disk, page)
    }

    /// Numbers of the messages that come, once the keeper has gone a step.
    fn come(opened: &mut Kept, ask: impl FnOnce(&crate::Store<Numbered>, crate::Loaded<Numbered>)) -> Vec<u8> {
        let came = Arc::new(Mutex::new(Vec::new()));
        let tell = came.clone();
        ask(&opened.store(), Box::new(move |messages| *tell.lock() = messages));
        opened.step_keeper().unwrap();
        let came = std::mem::take(&mut *came.lock());
        came.iter().map(|paged| paged.message.0).collect()
    }

    #[test]
    fn who_reads_a_page_beside_its_queue_sees_what_lives_and_changes_nothing() {
        for is_full in [false, true] {
            let (mut opened, _, page) = kept(6, is_full);
            opened.store().remove(QueueId(1), &[(Seq(2), Seq(3))]);
            for _ in 0..2 {
                assert_eq!(come(&mut opened, |store, then| store.read(page, then)), [1, 4, 5, 6]);
            }
            assert_eq!(come(&mut opened, |store, then| store.load(page, then)), [1, 4, 5, 6]);
        }
    }

    #[test]
    fn what_a_queue_has_taken_back_is_read_no_more_unless_it_must_survive() {
        let (mut opened, _, page) = kept(6, false);
        come(&mut opened, |store, then| store.load(page, then));
        assert_eq!(come(&mut opened, |store, then| store.read(page, then)), [2, 4, 6]);
    }

    #[test]
    fn what_is_gone_before_there_is_room_for_its_page_is_never_in_it() {
        let (mut opened, disk, page) = kept(6, true);
        opened.store().remove(QueueId(1), &[(Seq(1), Seq(4))]);
        opened.step_keeper().unwrap();
        disk.set_capacity(None);
        opened.step_keeper().unwrap();
        assert!(!opened.store().is_full());
        assert_eq!(come(&mut opened, |store, then| store.load(page, then)), [5, 6]);
        let (mut opened, disk, page) = kept(6, true);
        opened.store().remove(QueueId(1), &[(Seq(1), Seq(6))]);
        opened.step_keeper().unwrap();
        assert!(!opened.store().is_full(), "nobody wants room");
        disk.set_capacity(None);
        assert_eq!(come(&mut opened, |store, then| store.load(page, then)), []);
    }
}
