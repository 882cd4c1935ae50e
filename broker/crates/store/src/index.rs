//! Where the living messages of each queue lie: in which segment of the log, in which page of which file.
//!
//! Only positions are known here, as runs, never a message. It is the same accounting while the node runs and while it
//! recovers. Nothing is read or written; what may be deleted is said, and done by others once it is safe.

use std::collections::{BTreeMap, BTreeSet};

use model::{PageId, QueueId, Runs, Seq};

/// Where everything lies.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// By segment and queue: messages that lie in the log alone.
    segments: BTreeMap<u64, BTreeMap<QueueId, Runs>>,
    queues: BTreeMap<QueueId, QueueIndex>,
    pages: BTreeMap<PageId, Page>,
    files: BTreeMap<u64, PageFile>,
}

#[derive(Debug, Default)]
struct QueueIndex {
    /// Segments with messages of the queue, ascending.
    segments: BTreeSet<u64>,
    /// Its pages by their first positions.
    pages: BTreeSet<(Seq, PageId)>,
    /// The widest page it had: how far back one that holds a position may begin.
    span_max: u64,
    /// By level, how far messages have been handed out.
    delivered: BTreeMap<u8, Seq>,
    /// The segment that says so last.
    delivered_in: u64,
}

/// A page of a file.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    pub(crate) queue: QueueId,
    pub(crate) file: u64,
    pub(crate) offset: u64,
    pub(crate) bytes: u64,
    /// Messages that are still wanted.
    pub(crate) live: Runs,
    first: Seq,
    /// Octets a message takes, on average.
    message_bytes: u64,
}

/// A file of pages.
#[derive(Debug, Default)]
pub(crate) struct PageFile {
    pub(crate) bytes: u64,
    live_bytes: u64,
    pages: BTreeSet<PageId>,
    /// What is gone and not yet written down beside the file.
    gone: BTreeMap<PageId, Runs>,
    /// Nothing is added any more.
    closed: bool,
}

impl Index {
    /// Messages were written to the log.
    pub(crate) fn enqueued(&mut self, segment: u64, queue: QueueId, first: Seq, last: Seq) {
        let live = self.segments.entry(segment).or_default();
        live.entry(queue).or_default().insert(first, last);
        self.queues.entry(queue).or_default().segments.insert(segment);
    }

    /// As `enqueued`, at recovery, where some of the messages may lie in pages already.
    pub(crate) fn enqueued_unless_paged(&mut self, segment: u64, queue: QueueId, first: Seq, last: Seq) {
        self.enqueued(segment, queue, first, last);
        for id in self.pages_around(queue, first, last) {
            let paged = self.pages.get(&id).map(|page| page.live.within(first, last));
            for (first, last) in paged.unwrap_or_default() {
                self.forget_in_log(queue, first, last);
            }
        }
    }

    /// A segment begins.
    pub(crate) fn begun(&mut self, segment: u64) {
        self.segments.entry(segment).or_default();
    }

    /// Messages are gone, wherever they lie.
    pub(crate) fn removed(&mut self, queue: QueueId, first: Seq, last: Seq) {
        self.forget_in_log(queue, first, last);
        for page in self.pages_around(queue, first, last) {
            self.remove_from_page(page, first, last);
        }
    }

    /// The log's copies of these messages are not needed any more.
    fn forget_in_log(&mut self, queue: QueueId, first: Seq, last: Seq) {
        let Some(known) = self.queues.get_mut(&queue) else {
            return;
        };
        let segments = &mut self.segments;
        known.segments.retain(|segment| {
            let Some(live) = segments.get_mut(segment) else {
                return false;
            };
            let Some(runs) = live.get_mut(&queue) else { return false };
            runs.remove(first, last, |_, _| {});
            if runs.is_empty() {
                live.remove(&queue);
                return false;
            }
            true
        });
    }

    /// Pages of the queue that may hold one of these positions.
    fn pages_around(&self, queue: QueueId, first: Seq, last: Seq) -> Vec<PageId> {
        let Some(known) = self.queues.get(&queue) else {
            return Vec::new();
        };
        let from = Seq(first.0.saturating_sub(known.span_max));
        let range = (from, PageId(0))..=(last, PageId(u64::MAX));
        known.pages.range(range).map(|(_, page)| *page).collect()
    }

    fn remove_from_page(&mut self, id: PageId, first: Seq, last: Seq) {
        let Some(page) = self.pages.get_mut(&id) else { return };
        let Some(file) = self.files.get_mut(&page.file) else {
            return;
        };
        let message_bytes = page.message_bytes;
        page.live.remove(first, last, |first, last| {
            let count = last.0 - first.0 + 1;
            file.live_bytes = file.live_bytes.saturating_sub(count * message_bytes);
            file.gone.entry(id).or_default().insert(first, last);
        });
        if page.live.is_empty() {
            self.drop_page(id);
        }
    }

    /// Messages of this very page are not wanted there any more.
    pub(crate) fn remove_in_page(&mut self, id: PageId, runs: &Runs) {
        for (first, last) in runs.iter() {
            self.remove_from_page(id, first, last);
        }
    }

    /// True while the file holds anything.
    pub(crate) fn has_file(&self, file: u64) -> bool {
        self.files.contains_key(&file)
    }

    /// True if the file has pages and nothing in them is wanted.
    pub(crate) fn has_file_in_vain(&self, file: u64) -> bool {
        self.files.get(&file).is_some_and(|file| file.pages.is_empty())
    }

    /// A page is not wanted any more, whatever it holds.
    pub(crate) fn discard(&mut self, id: PageId) {
        let live: Vec<_> = self
            .pages
            .get(&id)
            .into_iter()
            .flat_map(|page| page.live.iter())
            .collect();
        for (first, last) in live {
            self.remove_from_page(id, first, last);
        }
    }

    fn drop_page(&mut self, id: PageId) {
        let Some(page) = self.pages.remove(&id) else { return };
        if let Some(queue) = self.queues.get_mut(&page.queue) {
            queue.pages.remove(&(page.first, id));
        }
        if let Some(file) = self.files.get_mut(&page.file) {
            file.pages.remove(&id);
        }
    }

    /// A page was written. Its messages lie there from now on and nowhere else.
    pub(crate) fn paged(&mut self, id: PageId, page: NewPage) {
        for (first, last) in page.live.iter() {
            self.removed(page.queue, first, last);
        }
        self.place(id, page);
    }

    /// A page was written again, elsewhere.
    pub(crate) fn moved(&mut self, id: PageId, page: NewPage) {
        self.discard(id);
        self.place(id, page);
    }

    fn place(&mut self, id: PageId, page: NewPage) {
        let NewPage {
            queue,
            file,
            offset,
            bytes,
            live,
        } = page;
        let into = self.files.entry(file).or_default();
        into.bytes = into.bytes.max(offset + bytes);
        let (Some(first), Some(last)) = (live.first(), live.last()) else {
            return;
        };
        into.live_bytes += bytes;
        into.pages.insert(id);
        let known = self.queues.entry(queue).or_default();
        known.pages.insert((first, id));
        known.span_max = known.span_max.max(last.0 - first.0);
        let page = Page {
            queue,
            file,
            offset,
            bytes,
            first,
            message_bytes: bytes / live.count().max(1),
            live,
        };
        self.pages.insert(id, page);
    }

    /// Messages up to this position have been handed out.
    pub(crate) fn delivered(&mut self, segment: u64, queue: QueueId, level: u8, upto: Seq) {
        let known = self.queues.entry(queue).or_default();
        let before = known.delivered.entry(level).or_default();
        *before = upto.max(*before);
        known.delivered_in = segment;
    }

    /// A queue is deleted.
    pub(crate) fn forget(&mut self, queue: QueueId) {
        let Some(known) = self.queues.remove(&queue) else {
            return;
        };
        for segment in known.segments {
            if let Some(live) = self.segments.get_mut(&segment) {
                live.remove(&queue);
            }
        }
        for (_, page) in known.pages {
            self.discard(page);
        }
    }

    /// A page, if any of it is wanted.
    pub(crate) fn page(&self, id: PageId) -> Option<&Page> {
        self.pages.get(&id)
    }

    /// Messages that lie in this segment alone.
    pub(crate) fn live_in(&self, segment: u64) -> Option<&BTreeMap<QueueId, Runs>> {
        self.segments.get(&segment)
    }

    /// A segment is not needed any more: everything in it lies elsewhere or is gone.
    pub(crate) fn retire(&mut self, segment: u64) {
        let live = self.segments.remove(&segment).unwrap_or_default();
        debug_assert!(live.is_empty(), "messages live in a retired segment");
    }

    /// What must be said again before the segment goes: how far queues that still hold messages have delivered.
    pub(crate) fn delivered_until(&self, segment: u64) -> Vec<(QueueId, Vec<(u8, Seq)>)> {
        let held = |queue: &QueueIndex| !(queue.segments.is_empty() && queue.pages.is_empty());
        self.queues
            .iter()
            .filter(|(_, queue)| queue.delivered_in <= segment && !queue.delivered.is_empty() && held(queue))
            .map(|(id, queue)| (*id, queue.delivered.iter().map(|(level, seq)| (*level, *seq)).collect()))
            .collect()
    }

    /// Queues that hold nothing cost nothing.
    pub(crate) fn forget_idle(&mut self) {
        self.queues
            .retain(|_, queue| !(queue.segments.is_empty() && queue.pages.is_empty()));
    }

    /// What is gone in the files that are there and not yet written down; it counts as written down from now on.
    pub(crate) fn take_gone(&mut self) -> Vec<(u64, Vec<(PageId, Runs)>)> {
        let mut all = Vec::new();
        for (number, file) in &mut self.files {
            let gone = std::mem::take(&mut file.gone);
            if !gone.is_empty() {
                all.push((*number, gone.into_iter().collect()));
            }
        }
        all
    }

    /// Nothing is added to this file any more.
    pub(crate) fn close_file(&mut self, file: u64) {
        self.files.entry(file).or_default().closed = true;
    }

    /// Closed files of which nothing is wanted; they are forgotten here.
    pub(crate) fn take_dead_files(&mut self) -> Vec<u64> {
        let dead = |file: &PageFile| file.closed && file.pages.is_empty();
        let numbers: Vec<u64> = self
            .files
            .iter()
            .filter(|(_, file)| dead(file))
            .map(|(n, _)| *n)
            .collect();
        numbers.iter().for_each(|number| drop(self.files.remove(number)));
        numbers
    }

    /// The pages of a closed file of which less than a quarter is wanted.
    pub(crate) fn sparse_file(&self) -> Option<Vec<PageId>> {
        let sparse = |file: &PageFile| file.closed && !file.pages.is_empty() && file.live_bytes * 4 < file.bytes;
        let file = self.files.values().find(|file| sparse(file))?;
        Some(file.pages.iter().copied().collect())
    }
}

/// A page as it was written.
#[derive(Clone, Debug)]
pub(crate) struct NewPage {
    pub(crate) queue: QueueId,
    pub(crate) file: u64,
    pub(crate) offset: u64,
    pub(crate) bytes: u64,
    pub(crate) live: Runs,
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUEUE: QueueId = QueueId(1);

    fn page(first: u64, last: u64, file: u64) -> NewPage {
        NewPage {
            queue: QUEUE,
            file,
            offset: 0,
            bytes: (last - first + 1) * 100,
            live: Runs::of(Seq(first), Seq(last)),
        }
    }

    fn live_in(index: &Index, segment: u64) -> Vec<(Seq, Seq)> {
        let live = index.live_in(segment).and_then(|live| live.get(&QUEUE));
        live.into_iter().flat_map(Runs::iter).collect()
    }

    #[test]
    fn a_message_lives_in_its_segment_until_it_is_removed_or_paged() {
        let mut index = Index::default();
        index.enqueued(1, QUEUE, Seq(1), Seq(10));
        index.removed(QUEUE, Seq(1), Seq(3));
        index.paged(PageId(1), page(4, 8, 1));
        assert_eq!(live_in(&index, 1), [(Seq(9), Seq(10))]);
        index.removed(QUEUE, Seq(9), Seq(10));
        assert_eq!(live_in(&index, 1), []);
        index.retire(1);
    }

    #[test]
    fn what_is_gone_of_a_page_is_told_once_and_a_file_without_pages_is_dead() {
        let mut index = Index::default();
        index.paged(PageId(1), page(1, 10, 1));
        index.close_file(1);
        index.removed(QUEUE, Seq(2), Seq(3));
        let gone = index.take_gone();
        assert_eq!(gone, [(1, vec![(PageId(1), Runs::of(Seq(2), Seq(3)))])]);
        assert_eq!(index.take_gone(), []);
        assert_eq!(index.take_dead_files(), []);
        index.removed(QUEUE, Seq(1), Seq(10));
        assert_eq!(index.take_dead_files(), [1]);
        assert!(index.page(PageId(1)).is_none());
    }

    #[test]
    fn a_message_paged_twice_lives_in_the_later_page_only() {
        let mut index = Index::default();
        index.paged(PageId(1), page(1, 10, 1));
        index.paged(PageId(2), page(5, 10, 2));
        assert_eq!(index.page(PageId(1)).unwrap().live, Runs::of(Seq(1), Seq(4)));
        index.removed(QUEUE, Seq(5), Seq(5));
        assert_eq!(index.page(PageId(2)).unwrap().live, Runs::of(Seq(6), Seq(10)));
    }

    #[test]
    fn a_file_of_which_little_is_wanted_is_sparse() {
        let mut index = Index::default();
        index.paged(PageId(1), page(1, 10, 1));
        index.close_file(1);
        index.removed(QUEUE, Seq(1), Seq(7));
        assert_eq!(index.sparse_file(), None);
        index.removed(QUEUE, Seq(8), Seq(8));
        assert_eq!(index.sparse_file(), Some(vec![PageId(1)]));
        index.moved(
            PageId(1),
            NewPage {
                bytes: 200,
                ..page(9, 10, 2)
            },
        );
        assert_eq!(index.take_dead_files(), [1]);
        assert_eq!(index.page(PageId(1)).unwrap().file, 2);
    }

    #[test]
    fn a_forgotten_queue_leaves_nothing_behind() {
        let mut index = Index::default();
        index.enqueued(1, QUEUE, Seq(1), Seq(10));
        index.paged(PageId(1), page(1, 5, 1));
        index.delivered(1, QUEUE, 0, Seq(4));
        index.close_file(1);
        index.forget(QUEUE);
        index.retire(1);
        assert_eq!(index.take_dead_files(), [1]);
        assert_eq!(index.delivered_until(1), []);
    }
}
