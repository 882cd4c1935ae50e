//! Queues of one other node: what a route says of where else a message goes.
//!
//! Names are kept beside numbers for the firehose and for cycles of dead letters alone.

use catalog::{NodeName, QueueRecord};
use model::QueueId;
use smallvec::SmallVec;

/// Queues of one other node on a message's way.
#[derive(Clone, Debug)]
pub struct Remote {
    /// The node that leads them.
    pub leader: NodeName,
    /// Their numbers.
    pub queues: SmallVec<[QueueId; 1]>,
    /// Their names, for the firehose.
    pub names: Vec<model::QueueName>,
}

impl Remote {
    /// No queue, but somebody who waits for a direct reply there.
    pub fn node(leader: NodeName) -> Self {
        Remote {
            leader,
            queues: SmallVec::new(),
            names: Vec::new(),
        }
    }

    /// The queue alone.
    pub fn of(record: &QueueRecord) -> Self {
        Remote {
            leader: record.leader.clone(),
            queues: SmallVec::from_slice(&[record.id]),
            names: vec![record.name.clone()],
        }
    }

    /// Those of its queues whose name is not such a one; `None` if none is left.
    pub fn without(&self, is_unwanted: impl Fn(&str) -> bool) -> Option<Self> {
        let wanted = |(_, name): &(&QueueId, &model::QueueName)| !is_unwanted(name.as_str());
        let left = self.queues.iter().zip(&self.names).filter(wanted);
        let (queues, names): (SmallVec<[QueueId; 1]>, Vec<_>) = left.map(|(id, name)| (*id, name.clone())).unzip();
        let leader = self.leader.clone();
        (!queues.is_empty()).then_some(Remote { leader, queues, names })
    }

    /// This queue too.
    pub fn add(&mut self, record: &QueueRecord) {
        self.queues.push(record.id);
        self.names.push(record.name.clone());
    }
}
