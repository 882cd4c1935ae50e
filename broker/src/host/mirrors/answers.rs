//! What a mirror's node tells a leader: acknowledgements when they are true, wishes at once.
//!
//! An operation is acknowledged as durable only when the log is durable up to all that it and those before it have
//! appended. Bounded: one open acknowledgement a queue and batch, and the leader's window bounds the batches.

use mirror::Word;
use model::QueueId;
use parking_lot::Mutex;
use std::{collections::VecDeque, io, sync::Arc, time::Duration};
use store::{Lsn, Store};
use tokio::{net::tcp::OwnedWriteHalf, sync::Notify};

use super::super::message::Message;
use super::records::FRAME_BYTES_MAX;
use crate::peer::write_frames;

/// A leader that takes no answers for so long is gone.
const WRITE_PATIENCE: Duration = Duration::from_secs(10);

/// An acknowledgement that is not true yet.
#[derive(Clone, Copy, Debug)]
struct Open {
    queue: QueueId,
    attachment: u64,
    pos: u64,
    safe_at: Lsn,
}

#[derive(Debug, Default)]
struct State {
    out: Vec<u8>,
    open: VecDeque<Open>,
    /// The furthest that any of them waits for.
    furthest: Lsn,
}

/// Answers to one leader.
pub struct Answers {
    store: Store<Message>,
    state: Mutex<State>,
    attention: Arc<Notify>,
    wake: store::Wake,
}

impl Answers {
    /// Nothing to say.
    pub fn new(store: Store<Message>) -> Self {
        let attention = Arc::new(Notify::new());
        let woken = attention.clone();
        Answers {
            store,
            state: Mutex::default(),
            attention,
            wake: Arc::new(move || woken.notify_one()),
        }
    }

    /// Says something of a queue.
    pub fn say(&self, queue: QueueId, word: &Word<'_>) {
        word.encode(queue, &mut self.state.lock().out);
    }

    /// A copy has come so far. `news`: somebody may wait for what is in memory alone.
    pub fn come(&self, queue: QueueId, attachment: u64, pos: u64, safe_at: Lsn, news: bool) {
        let open = Open {
            queue,
            attachment,
            pos,
            safe_at,
        };
        let mut state = self.state.lock();
        if safe_at <= self.store.synced() {
            return open.encode(true, &mut state.out);
        }
        if news {
            open.encode(false, &mut state.out);
        }
        state.furthest = state.furthest.max(safe_at);
        state.open.push_back(open);
    }

    /// A batch is over.
    pub fn flush(&self) {
        let state = self.state.lock();
        let (furthest, has_open, has_words) = (state.furthest, !state.open.is_empty(), !state.out.is_empty());
        drop(state);
        let waits = has_open && self.store.wake_when_synced(furthest, &self.wake);
        if has_words || (has_open && !waits) {
            self.attention.notify_one();
        }
    }

    /// Takes what can be said now.
    fn take(&self) -> Vec<u8> {
        let synced = self.store.synced();
        let mut state = self.state.lock();
        let State { out, open, .. } = &mut *state;
        while let Some(true_now) = open.pop_front_if(|open| open.safe_at <= synced) {
            // The next one of the same queue says it all.
            let is_last = !matches!(open.front(), Some(next) if next.queue == true_now.queue && next.safe_at <= synced);
            if is_last {
                true_now.encode(true, out);
            }
        }
        std::mem::take(out)
    }

    /// Writes answers until the leader is gone.
    ///
    /// # Errors
    /// As the system says.
    pub async fn write(&self, mut to: OwnedWriteHalf) -> io::Result<()> {
        loop {
            let octets = self.take();
            if octets.is_empty() {
                self.attention.notified().await;
                continue;
            }
            write_frames(&mut to, &octets, FRAME_BYTES_MAX, WRITE_PATIENCE).await?;
        }
    }
}

impl Open {
    fn encode(self, is_durable: bool, out: &mut Vec<u8>) {
        let word = Word::Ack {
            attachment: self.attachment,
            held: self.pos,
            durable: is_durable.then_some(self.pos),
        };
        word.encode(self.queue, out);
    }
}
