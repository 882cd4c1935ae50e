//! All legs of one client: opened when they are needed, flushed with the batch, and asked what is still unanswered.

use catalog::NodeName;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::super::{client::Client, node::Node};
use super::{leg::Leg, reader};

/// A leg that broke is not opened again before this, counted from its opening: a leader that is away would be dialled by
/// every publish.
const REOPEN_AFTER: Duration = Duration::from_millis(500);

/// Publishes of a channel that wait for a leg's answer.
#[derive(Clone, Debug)]
pub struct Awaited {
    leg: Arc<Leg>,
    channel: u16,
    upto: u64,
}

impl Awaited {
    /// True once the answer is there, or never comes.
    pub fn is_answered(&self) -> bool {
        self.leg.has_answered(self.channel, self.upto)
    }

    /// Waits for the answer.
    pub async fn answered(&self) {
        loop {
            let mut progress = std::pin::pin!(self.leg.progress.notified());
            // Before the look, so that an answer that comes right after it is not missed.
            progress.as_mut().enable();
            if self.is_answered() {
                return;
            }
            progress.await;
        }
    }
}

/// The legs of one client.
#[derive(Debug, Default)]
pub struct Legs {
    all: BTreeMap<NodeName, Arc<Leg>>,
    touched: Vec<Arc<Leg>>,
    /// Legs and channels that wait for an answer to what was published in this batch.
    asked: Vec<(Arc<Leg>, u16)>,
}

impl Legs {
    /// The leg to this leader, opened if there is none.
    pub fn to(&mut self, leader: &NodeName, node: &Arc<Node>, client: &Arc<Client>) -> Arc<Leg> {
        if let Some(leg) = self.all.get(leader)
            && (!leg.is_broken() || leg.opened_at.elapsed() < REOPEN_AFTER)
        {
            return leg.clone();
        }
        let leg = Arc::new(Leg::new(leader.clone(), client.clone()));
        self.all.insert(leader.clone(), leg.clone());
        tokio::spawn(reader::run(node.clone(), leg.clone()));
        leg
    }

    /// All legs that are open or broke.
    pub fn all(&self) -> Vec<Arc<Leg>> {
        self.all.values().cloned().collect()
    }

    /// True while publishes have to wait for one of them.
    pub fn are_full(&self) -> bool {
        self.all.values().any(|leg| leg.is_full())
    }

    /// This leg has octets to write.
    pub fn touch(&mut self, leg: &Arc<Leg>) {
        if !self.touched.last().is_some_and(|last| Arc::ptr_eq(last, leg)) {
            self.touched.push(leg.clone());
        }
    }

    /// The last publish on this channel waits for this leg's answer.
    pub fn await_answer(&mut self, leg: &Arc<Leg>, channel: u16) {
        let is_known = |(known, number): &(Arc<Leg>, u16)| *number == channel && Arc::ptr_eq(known, leg);
        if !self.asked.iter().rev().any(is_known) {
            self.asked.push((leg.clone(), channel));
        }
    }

    /// What was published in this batch waits for these answers.
    pub fn awaited(&self) -> Vec<Awaited> {
        let awaited = |(leg, channel): &(Arc<Leg>, u16)| Awaited {
            upto: leg.sent(*channel),
            leg: leg.clone(),
            channel: *channel,
        };
        self.asked.iter().map(awaited).collect()
    }

    /// As `awaited`; the next batch begins with nothing to wait for. `None` where there is nothing.
    pub fn take_awaited(&mut self) -> Option<Box<[Awaited]>> {
        if self.asked.is_empty() {
            return None;
        }
        let awaited = self.awaited();
        self.asked.clear();
        Some(awaited.into())
    }

    /// Writes what can be written.
    pub fn flush(&mut self) {
        for leg in self.touched.drain(..) {
            leg.flush();
        }
    }

    /// The client is gone.
    pub fn take_all(&mut self) -> Vec<Arc<Leg>> {
        std::mem::take(&mut self.all).into_values().collect()
    }
}
