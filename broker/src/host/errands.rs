//! Errands that queues leave behind: dead letters and traced messages to be routed, queues that ask to be deleted.
//!
//! Run when no queue is locked, in slices: whoever left them does one, and a queue that has letters left stands in the
//! node's line, in which each has a slice in turn and other tasks theirs in between. A dead letter may kill further
//! messages; circles end because `session::is_cycle` drops what comes round. While disk space is below its limit a
//! letter that would become several waits where it is.

use model::Seq;
use parking_lot::Mutex;
use queue::Retire;
use std::{collections::VecDeque, sync::Arc, time::Duration};
use tokio::sync::Notify;

use super::{
    cell::QueueCell,
    client::Client,
    dead_letter::{Landed, Routed},
    letters::{AllLetters, Assured, Dead, Letters, Sent, Slice},
    node::Node,
    nowhere::Rounds,
    trace::Sighting,
};

/// How long the line rests when nothing in it can be done, or the disk is behind.
const REST: Duration = Duration::from_millis(20);
/// How long a letter waits that is sent once more.
const SEND_AGAIN_AFTER: Duration = Duration::from_secs(2);

/// What has to be done once no queue is locked.
#[derive(Debug)]
pub enum Errand {
    /// Messages died in this queue and are to be routed, or should have died and found no room.
    DeadLetters(Arc<QueueCell>),
    /// A message of a traced virtual host, to be copied.
    Trace(Box<Sighting>),
    /// The queue asks to be deleted.
    Retire {
        /// Which.
        cell: Arc<QueueCell>,
        /// Why.
        why: Retire,
    },
}

/// The queues that have letters left, each once.
#[derive(Debug, Default)]
pub struct Line {
    cells: Mutex<VecDeque<Arc<QueueCell>>>,
    came: Notify,
    /// What concerns all letters.
    all: Arc<AllLetters>,
    /// Queues that keep letters which no queue takes.
    pub(super) rounds: Rounds,
}

impl Line {
    /// A place for the letters of a queue.
    pub fn letters(&self) -> Letters {
        Letters::new(self.all.clone())
    }

    /// Letters of queues that assure them.
    pub fn assured(&self) -> Assured {
        self.all.assured()
    }

    /// A queue joins, unless it stands here.
    pub(super) fn join(&self, cell: Arc<QueueCell>) {
        if cell.letters.join_line() {
            self.cells.lock().push_back(cell);
            self.came.notify_one();
        }
    }

    /// Letters are sent once more, in a while: the queues that they went to are led elsewhere now.
    pub fn send_again(self: &Arc<Self>, letters: Vec<(Arc<QueueCell>, Seq)>) {
        let line = self.clone();
        // While the node goes down they stay where they are.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        runtime.spawn(async move {
            tokio::time::sleep(SEND_AGAIN_AFTER).await;
            for (from, seq) in letters {
                from.letters.send_again(seq);
                line.join(from);
            }
        });
    }

    fn next(&self) -> Option<Arc<QueueCell>> {
        let cell = self.cells.lock().pop_front()?;
        cell.letters.leave_line();
        Some(cell)
    }

    fn len(&self) -> usize {
        self.cells.lock().len()
    }
}

/// Messages that have arrived where they were to go, and leave their queue's store and mirrors ...
#[derive(Default)]
struct Moved {
    /// ... when the slice is over, ...
    now: Vec<Gone>,
    /// ... or when they are safe there.
    later: Vec<Gone>,
    landed: Landed,
}

/// One of them: where it was, and whether a queue has taken it.
type Gone = (Arc<QueueCell>, Seq, bool);

impl Moved {
    /// One of a queue that is here alone goes behind its letter in the log: there is no moment in which it is in neither
    /// queue. Mirrors are not told so by the log.
    fn add(&mut self, from: &Arc<QueueCell>, dead: &Dead, (copies, landed): (usize, Landed), is_mirrored: bool) {
        let moved = dead.stored.map(|seq| (from.clone(), seq, copies > 0));
        if landed.is_waited_for(is_mirrored) {
            self.later.extend(moved);
            self.landed.and(landed);
        } else {
            self.now.extend(moved);
        }
    }

    fn settle(self, node: &Node) {
        forget(&self.now);
        if !self.later.is_empty() {
            let (keeping, line) = (node.keeping().clone(), node.line().clone());
            tokio::spawn(async move {
                match self.landed.settle(&keeping).await {
                    true => forget(&self.later),
                    false => line.send_again(self.later.into_iter().map(|(from, seq, _)| (from, seq)).collect()),
                }
            });
        }
    }
}

fn forget(moved: &[Gone]) {
    for run in moved.chunk_by(|(a, ..), (b, ..)| Arc::ptr_eq(a, b)) {
        let taken = run.iter().filter(|(.., is_taken)| *is_taken).count();
        run[0]
            .0
            .forget_letters(run.iter().map(|(_, seq, _)| *seq), taken as u64);
    }
}

/// Works the line off until the node stops.
pub async fn run(node: Arc<Node>) {
    loop {
        tokio::select! {
            () = node.stopping().cancelled() => return,
            () = node.line().came.notified() => {}
        }
        let mut in_vain = 0;
        while let Some(cell) = node.line().next() {
            let is_done = node.serve(cell);
            in_vain = if is_done { 0 } else { in_vain + 1 };
            if in_vain > node.line().len() || !node.store().has_room() {
                in_vain = 0;
                tokio::time::sleep(REST).await;
            }
            if node.stopping().is_cancelled() {
                return;
            }
            tokio::task::yield_now().await;
        }
    }
}

impl Node {
    /// A slice for one queue; false if nothing could be done for it.
    fn serve(&self, cell: Arc<QueueCell>) -> bool {
        let (mut slice, mut touched) = (Slice::new(), Vec::new());
        self.run_slice(vec![Errand::DeadLetters(cell)], &mut slice, &mut touched);
        self.flush(&mut touched);
        !slice.is_whole()
    }

    /// Works off errands and those that they cause, as far as a slice goes.
    pub fn run_errands(&self, errands: Vec<Errand>, touched: &mut Vec<Arc<Client>>) {
        if !errands.is_empty() {
            self.run_slice(errands, &mut Slice::new(), touched);
        }
    }

    fn run_slice(&self, errands: Vec<Errand>, slice: &mut Slice, touched: &mut Vec<Arc<Client>>) {
        let mut open: VecDeque<Errand> = errands.into();
        let mut moved = Moved::default();
        while let Some(errand) = open.pop_front() {
            let mut caused = Vec::new();
            match errand {
                Errand::DeadLetters(from) if slice.is_over() => self.line().join(from),
                Errand::DeadLetters(from) => self.send_letters(&from, slice, &mut moved, touched, &mut caused),
                Errand::Trace(seen) => self.copy(&seen, touched, &mut caused),
                Errand::Retire { cell, why } => self.retirements().ask(cell, why),
            }
            open.extend(caused);
        }
        moved.settle(self);
    }

    fn send_letters(
        &self,
        from: &Arc<QueueCell>,
        slice: &mut Slice,
        moved: &mut Moved,
        touched: &mut Vec<Arc<Client>>,
        caused: &mut Vec<Errand>,
    ) {
        let held = from.hold();
        let (target, is_mirrored) = (held.dead_letter.clone(), held.journal.stream().is_some());
        drop(held);
        from.letters.route(slice, |dead, slice| {
            let routed = self.route_dead_letter((from, target.as_ref(), is_mirrored), dead, touched, caused);
            let copies = match routed {
                Routed::NotNow => return Sent::NotNow,
                Routed::Nowhere if from.letters.are_assured() => {
                    slice.spend(0, 0);
                    return Sent::Nowhere;
                }
                Routed::Nowhere => {
                    moved.add(from, dead, (0, Landed::default()), is_mirrored);
                    0
                }
                Routed::Here(copies, landed) => {
                    moved.add(from, dead, (copies, landed), is_mirrored);
                    copies
                }
                // Taken out when it has arrived there.
                Routed::Far(copies) => copies,
            };
            slice.spend(copies, dead.message.body().len());
            Sent::Done
        });
        self.line().rounds.include(from);
        if from.letters.hand_out_again() {
            self.offer_again(from, touched, caused);
        }
        if from.letters.may_go_on() {
            self.on_cell(from, touched, caused, |work| work.queue.go_on(work.now, &mut work.sink));
            // Whoever found an expired head looks again.
            from.page_came.notify_waiters();
        }
        if from.letters.are_waiting() {
            self.line().join(from.clone());
        }
    }
}
