//! What a connection's publishes wait for at the mirrors of the queues they went to.

use std::sync::Arc;
use tokio::sync::Notify;

use super::Stream;

/// Operations of one queue that every copy must have that counts.
#[derive(Clone, Debug)]
pub struct Reach {
    stream: Arc<Stream>,
    held: u64,
    durable: u64,
}

impl Reach {
    /// Nothing yet of this stream.
    pub fn of(stream: &Arc<Stream>, held: u64, durable: u64) -> Self {
        Reach {
            stream: stream.clone(),
            held,
            durable,
        }
    }

    /// Waits for these operations as well; false if they are of another stream.
    pub fn extend(&mut self, stream: &Arc<Stream>, held: u64, durable: u64) -> bool {
        let is_same = Arc::ptr_eq(&self.stream, stream);
        if is_same {
            self.held = self.held.max(held);
            self.durable = self.durable.max(durable);
        }
        is_same
    }

    /// Waits for another's operations as well; false if they are of another stream.
    pub fn include(&mut self, other: &Reach) -> bool {
        self.extend(&other.stream, other.held, other.durable)
    }

    /// True once every copy has them.
    pub fn is_there(&self) -> bool {
        self.stream.is_reached(self.held, self.durable)
    }

    /// True if that will never be: another node leads the queue.
    pub fn is_lost(&self) -> bool {
        self.stream.has_ended() && !self.is_there()
    }

    /// Has `wake` called when it may be so; false if it is.
    pub fn wake(&self, wake: &store::Wake) -> bool {
        self.stream.wake_when_reached(self.held, self.durable, wake)
    }

    /// Waits until it is so; false if it will never be.
    pub async fn reached(&self) -> bool {
        let told = Arc::new(Notify::new());
        let tells = told.clone();
        let wake: store::Wake = Arc::new(move || tells.notify_one());
        while self.wake(&wake) {
            told.notified().await;
        }
        !self.is_lost()
    }
}
