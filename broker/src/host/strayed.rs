//! Messages that the node sends on its own behalf to queues that are being handed over: dead letters, delayed messages, what
//! is published over HTTP. They wait until it is known who leads, and go there in the order in which they came.
//!
//! Nothing is lost in silence: what finds no room here counts as lost for whoever sent it.

use model::QueueId;
use parking_lot::Mutex;
use session::Publication;
use smallvec::SmallVec;
use std::{collections::VecDeque, sync::Arc, time::Duration};
use tokio::sync::Notify;

use super::{
    cell::QueueCell,
    dead_letter::Landed,
    legs::{Arrival, Remote, are_decided},
    node::Node,
    stored::Stored,
};

/// Octets that may wait.
const BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Whether it is known who leads is looked again after this.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(5);

/// One message.
struct One {
    stored: Stored,
    queues: SmallVec<[QueueId; 1]>,
    arrival: Arc<Arrival>,
}

/// What waits, in order.
#[derive(Default)]
struct Waiting {
    messages: VecDeque<One>,
    octets: u64,
    /// One was taken out and is not in its queues yet.
    going: bool,
}

/// All that wait.
#[derive(Default)]
pub struct Strayed {
    waiting: Mutex<Waiting>,
    came: Notify,
}

impl std::fmt::Debug for Strayed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let waiting = self.waiting.lock();
        f.debug_struct("Strayed")
            .field("messages", &waiting.messages.len())
            .field("octets", &waiting.octets)
            .finish_non_exhaustive()
    }
}

impl Strayed {
    fn push(&self, one: One) -> Result<(), One> {
        let octets = one.stored.bytes();
        let mut waiting = self.waiting.lock();
        if waiting.octets + octets > BYTES_MAX {
            return Err(one);
        }
        waiting.octets += octets;
        waiting.messages.push_back(one);
        drop(waiting);
        self.came.notify_one();
        Ok(())
    }

    /// The first that may go, when the one before it has arrived. Until the next look it counts as waiting: whatever came after it would
    /// overtake it.
    fn pop_if(&self, may_go: impl Fn(&One) -> bool) -> Option<One> {
        let mut waiting = self.waiting.lock();
        let one = waiting.messages.pop_front_if(|one| may_go(one));
        waiting.going = one.is_some();
        let one = one?;
        waiting.octets -= one.stored.bytes();
        Some(one)
    }

    fn is_empty(&self) -> bool {
        let waiting = self.waiting.lock();
        waiting.messages.is_empty() && !waiting.going
    }
}

/// Sends what waits until the node stops.
pub async fn run(node: Arc<Node>) {
    loop {
        tokio::select! {
            () = node.stopping().cancelled() => return,
            () = node.couriers().strayed.came.notified() => {}
        }
        while !node.couriers().strayed.is_empty() && !node.stopping().is_cancelled() {
            node.send_strayed();
            tokio::time::sleep(LOOK_AGAIN_AFTER).await;
        }
    }
}

impl Node {
    /// Sends a message to queues of which it is not known who leads them, when it is.
    pub(super) fn send_when_led(&self, queues: &[QueueId], publication: &Publication<'_>, arrival: &Arc<Arrival>) {
        if queues.is_empty() {
            return;
        }
        let one = One {
            stored: Stored::keep(publication),
            queues: SmallVec::from_slice(queues),
            arrival: arrival.clone(),
        };
        if let Err(one) = self.couriers().strayed.push(one) {
            tracing::warn!("a message for a queue that is being handed over is lost: {BYTES_MAX} octets wait for such");
            one.arrival.lose();
        }
    }

    /// True while messages wait for who leads their queues: what comes later stands behind them.
    pub(super) fn has_strayed(&self) -> bool {
        !self.couriers().strayed.is_empty()
    }

    /// Sends all of which it is known where they go, up to the first of which it is not.
    fn send_strayed(&self) {
        let snapshot = self.snapshot().clone();
        while let Some(one) = self
            .couriers()
            .strayed
            .pop_if(|one| are_decided(&one.queues, &snapshot))
        {
            let records = one.queues.iter().filter_map(|id| snapshot.catalog.queue_by_id(*id));
            let elsewhere = records.filter(|record| snapshot.is_remote(record));
            let remotes: Vec<Remote> = elsewhere.map(|record| Remote::of(record)).collect();
            let cells: Vec<Arc<QueueCell>> = one.queues.iter().filter_map(|id| snapshot.cell(*id).cloned()).collect();
            let publication = one.stored.publication();
            let mut landed = Landed::default();
            self.publish_until(&cells, &publication, &mut landed, &one.arrival);
            self.send_far(&remotes, &publication, &one.arrival);
            self.arrive_when_safe(landed, true, one.arrival);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one() -> One {
        let publication = Publication {
            exchange: b"",
            routing_key: b"q",
            mandatory: false,
            properties: &[0, 0],
            headers: None,
            extra_keys: &[],
            body: b"m",
            persistent: false,
            priority: 0,
            ttl: None,
            fault: None,
        };
        One {
            stored: Stored::keep(&publication),
            queues: SmallVec::new(),
            arrival: Arrival::unheard(),
        }
    }

    #[test]
    fn one_that_is_on_its_way_is_waited_for_by_what_comes_after_it() {
        let strayed = Strayed::default();
        assert!(strayed.is_empty());
        assert!(strayed.push(one()).is_ok());
        let going = strayed.pop_if(|_| true);
        assert!(going.is_some() && !strayed.is_empty(), "it is in no queue yet");
        assert!(strayed.pop_if(|_| true).is_none() && strayed.is_empty());
    }
}
