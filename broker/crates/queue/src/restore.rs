//! The queue and its store: a page comes back, the host is short of memory, the queue begins anew after a restart.
//!
//! Decides what follows from it; when pages go and come is decided by the lanes.

use model::{Millis, PageId, Seq};

use crate::message::Message;
use crate::page::{Paged, Restored};
use crate::queue::Queue;
use crate::settings::Settings;
use crate::sink::Sink;

impl<M: Message, C> Queue<M, C> {
    /// A queue as the store knows it after a restart. Nothing is loaded until something needs it;
    /// [`next_deadline`](Self::next_deadline) is at once if that is time itself.
    pub fn restore(settings: Settings, auto_delete: bool, now: Millis, restored: Restored) -> Self {
        let Restored {
            last_seq,
            delivered_to,
            pages,
        } = restored;
        let mut queue = Self::new(settings, auto_delete, now);
        for (level, seq) in (0..=u8::MAX).zip(delivered_to) {
            let to = &mut queue.delivered_to[usize::from(queue.backlog.level(level))];
            *to = seq.max(*to);
        }
        queue.backlog.restore(pages, &queue.delivered_to);
        let highest = queue.delivered_to.iter().copied().max();
        queue.last_seq = last_seq.max(highest.max(queue.backlog.last_paged()).unwrap_or(Seq(0)));
        queue
    }

    /// The answer to [`Sink::load`]: the messages of a page in order of position, or those that could be read; the
    /// others are lost and not ready any more. Returns how many. A page that is not wanted any more is ignored.
    /// The sink does not hear of those that are lost: whoever has a copy of them keeps it.
    pub fn loaded(&mut self, now: Millis, page: PageId, messages: Vec<Paged<M>>, sink: &mut impl Sink<M, C>) -> u64 {
        let read = messages.len() as u64;
        let Some(lost) = self.backlog.take_in(page, messages) else {
            return 0;
        };
        self.counters.read += read;
        self.expire(now, sink);
        self.drop_excess(sink);
        self.pump(now, sink);
        lost
    }

    /// The host is short of memory: ready messages leave it now until at most so much is in it. Those that came back
    /// stay, and the head if its time must be known. Nothing is loaded until somebody wants it.
    pub fn shrink(&mut self, resident_bytes_max: u64, sink: &mut impl Sink<M, C>) {
        self.backlog
            .shrink(resident_bytes_max, |level, messages| sink.page_out(level, messages));
    }
}
