//! Handing a queue over to a mirror that is in sync (R20): publishes wait, the mirror comes to hold everything, the change is
//! asked for.
//!
//! Who may lead, and when, is what the leader's machine says; nothing is decided here.

use catalog::MirrorChange;
use model::QueueId;

use crate::life::Life;
use crate::node::Leave;
use crate::record::words;

impl Life {
    /// A mirror is to lead a queue: publishes wait from now on. Or that has taken too long.
    pub(crate) fn leave(&mut self, at: usize, queue: QueueId) {
        let to = self.draw.index(self.nodes.len());
        let to = self.nodes[to].uuid;
        let Some(led) = self.nodes[at].led.get_mut(&queue) else {
            return;
        };
        let stream = led.journal.stream.as_mut().filter(|_| led.leaving.is_none());
        let stream = stream.filter(|stream| stream.leader.successor(to).is_some());
        led.leaving = stream.map(|stream| Leave {
            to,
            upto: stream.leader.want_all(),
        });
    }

    pub(crate) fn propose_leader(&mut self, at: usize, queue: QueueId) {
        let Some(led) = self.nodes[at].led.get_mut(&queue) else {
            return;
        };
        let (Some(Leave { to, upto }), Some(stream)) = (led.leaving, led.journal.stream.as_mut()) else {
            return;
        };
        if let Some((version, act)) = stream.leader.hand_over(to, upto) {
            let epoch = stream.leader.record().epoch;
            let act = words(act);
            self.ask(
                at,
                MirrorChange {
                    queue,
                    epoch,
                    version,
                    act,
                },
            );
            self.count("hand-overs proposed");
        }
    }
}
