//! Synchronising mirrors by an administrator's word, and how far it has come.
//!
//! Only the leader knows: another node asks it. What happens then is the mirrors' and the stream's.

use catalog::QueueRecord;
use link::{Failure, Request, Term};

use super::super::node::Node;

/// How far the synchronisation of a queue's mirrors has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Synchronising {
    /// Messages that all of them have.
    pub done: u64,
    /// Messages that there are.
    pub of: u64,
}

/// Why there is nothing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSynchronised {
    /// The queue has no mirrors.
    #[error("not_mirrored")]
    NotMirrored,
    /// Nothing is synchronised now.
    #[error("not_syncing")]
    NotSyncing,
}

impl Node {
    /// How far mirrors of a queue that is led here have come; `None` while none is synchronised.
    pub fn synchronising(&self, record: &QueueRecord) -> Option<Synchronising> {
        record.replicas.as_ref()?;
        let led = self.mirrors().led(record.id)?;
        let lacking = led.stream.lacking()?;
        let counts = led.cell.hold().queue.counts();
        let of = counts.ready.messages + counts.unacked.messages;
        Some(Synchronising {
            done: of.saturating_sub(lacking),
            of,
        })
    }

    /// Has mirrors fetch what they lack, or stop. The leader does, whoever is asked.
    ///
    /// # Errors
    /// In RabbitMQ's words why it is not done.
    pub async fn synchronise(&self, record: &QueueRecord, wanted: bool) -> Result<(), Failure> {
        if self.snapshot().is_remote(record) {
            let (vhost, name) = (record.vhost.to_string(), record.name.to_string());
            let request = Request::SyncQueue { vhost, name, wanted };
            let answer = self.ask_node(&record.leader, request, None).await;
            return answer.map(|_: Term| ());
        }
        self.synchronise_here(record, wanted)
            .map_err(|why| Failure::Refused(why.to_string()))
    }

    /// The same for a queue that is led here.
    ///
    /// # Errors
    /// Why there is nothing to do.
    pub fn synchronise_here(&self, record: &QueueRecord, wanted: bool) -> Result<(), NotSynchronised> {
        let mirrors = record.replicas.iter().flat_map(|replicas| replicas.mirrors());
        let led = self.mirrors().led(record.id).filter(|_| mirrors.count() > 0);
        let led = led.ok_or(NotSynchronised::NotMirrored)?;
        if !wanted && led.stream.lacking().is_none() {
            return Err(NotSynchronised::NotSyncing);
        }
        led.stream.sync(wanted);
        Ok(())
    }
}
