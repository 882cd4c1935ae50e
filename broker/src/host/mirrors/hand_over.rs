//! Handing queues over to mirrors that are in sync (R20): publishes and deliveries wait, the mirrors come to hold everything,
//! the change is proposed, and what waited goes to whoever leads then.
//!
//! Many at once, in few entries. A queue that cannot be handed over in time stays, and goes on as if nothing had been.

use catalog::{Answer, Command, MirrorChange, MirrorsProposal, Transfer};
use model::{NodeUuid, QueueId};
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::time::Instant;

use super::super::{
    cell::{Leads, QueueCell},
    client::Client,
    node::Node,
};
use super::{Led, Mirrors, Reach, record::words};

/// Queues that wait at the same time.
const AT_ONCE_MAX: usize = 500;
/// A queue waits no longer than this for its mirrors to have everything.
const HAND_OVER_TIMEOUT: Duration = Duration::from_secs(10);
/// Who stops leaves what could not be handed over in this time to elections.
const LEAVE_PATIENCE: Duration = Duration::from_secs(20);
/// How long the leader of the definitions stays for those who still wait for its mirrors.
const EVICTION_PATIENCE: Duration = Duration::from_millis(500);
/// A queue of which something else is being proposed is asked again after this.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(10);

/// A queue that waits for another leader. If it gets none it goes on as before.
struct Leaving<'a> {
    node: &'a Node,
    led: Led,
    to: NodeUuid,
    /// The last operation before it began to wait.
    upto: u64,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.node.stay(&self.led.cell);
    }
}

/// Publishes look for queues that wait while there is one of these.
struct Window<'a>(&'a Mirrors);

impl<'a> Window<'a> {
    fn open(mirrors: &'a Mirrors) -> Self {
        mirrors.leaving.fetch_add(1, Ordering::AcqRel);
        Window(mirrors)
    }
}

impl Drop for Window<'_> {
    fn drop(&mut self) {
        self.0.leaving.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Node {
    /// Hands over all that other nodes could lead without a loss, as before a stop: who goes leaves no gap.
    pub async fn hand_over_all(&self) {
        let begun = Instant::now();
        let successors = self.snapshot().catalog.successors(self.identity().node);
        if successors.is_empty() || !self.has_majority() {
            return;
        }
        let deadline = begun + LEAVE_PATIENCE;
        let all = self.hand_over(&successors, deadline);
        // A cluster without a majority answers nothing.
        let handed_over = tokio::time::timeout_at(deadline, all).await.unwrap_or(0);
        tracing::info!(
            queues = successors.len(),
            handed_over,
            milliseconds = begun.elapsed().as_millis(),
            "mirrored queues are handed over"
        );
    }

    /// Mirrors here acknowledge nothing any more, and who waits for them goes on by a commit: the node that commits stays for that, since nobody
    /// does until it has a successor. Queues in which nobody waits for a confirm keep their mirrors, so this ends.
    pub async fn await_eviction(&self) {
        let deadline = Instant::now() + EVICTION_PATIENCE;
        let (own, presence) = (self.identity().node, self.presence());
        let leads = || presence.is_some_and(|presence| presence.leads());
        while leads() && self.snapshot().catalog.is_counted_on(own) && Instant::now() < deadline {
            tokio::time::sleep(LOOK_AGAIN_AFTER).await;
        }
    }

    /// Hands queues that this process leads over; how many others lead by then. What is not in sync there stays.
    pub async fn hand_over(&self, transfers: &[Transfer], deadline: Instant) -> usize {
        let mut handed_over = 0;
        for some in transfers.chunks(AT_ONCE_MAX) {
            let until = deadline.min(Instant::now() + HAND_OVER_TIMEOUT);
            handed_over += self.hand_over_some(some, until).await;
            if Instant::now() >= deadline {
                break;
            }
        }
        handed_over
    }

    async fn hand_over_some(&self, transfers: &[Transfer], until: Instant) -> usize {
        let _window = Window::open(self.mirrors());
        let ready = transfers
            .iter()
            .filter_map(|transfer| self.leave(transfer.queue, transfer.to));
        let mut waiting: Vec<Leaving<'_>> = ready.collect();
        let mut handed_over = 0;
        while !waiting.is_empty() && Instant::now() < until {
            await_mirrors(&waiting, until).await;
            handed_over += self.propose_leaders(&mut waiting).await;
            if !waiting.is_empty() {
                tokio::time::sleep(LOOK_AGAIN_AFTER).await;
            }
        }
        for leaving in &waiting {
            tracing::warn!(queue = %leaving.led.cell.name, "a queue could not be handed over in time and stays");
        }
        handed_over
    }

    /// A queue takes no publishes and delivers nothing, from here on; unless it stays anyway.
    fn leave(&self, queue: QueueId, to: NodeUuid) -> Option<Leaving<'_>> {
        let led = self.mirrors().led(queue)?;
        led.stream.successor(to)?;
        let mut held = led.cell.hold();
        if held.dead || led.cell.leads() != Leads::Here {
            return None;
        }
        led.cell.set_leads(Leads::Leaving, &mut held);
        let upto = led.stream.want_all();
        drop(held);
        Some(Leaving {
            node: self,
            led,
            to,
            upto,
        })
    }

    /// Proposes what can be, in one entry; those of which it is known what becomes of them wait no more.
    async fn propose_leaders(&self, waiting: &mut Vec<Leaving<'_>>) -> usize {
        let (mut asked, mut changes) = (Vec::new(), Vec::new());
        for leaving in std::mem::take(waiting) {
            let stream = &leaving.led.stream;
            match stream.hand_over(leaving.to, leaving.upto) {
                Some((version, act)) => {
                    changes.push(MirrorChange {
                        queue: leaving.led.cell.id,
                        epoch: stream.epoch(),
                        version,
                        act: words(act),
                    });
                    asked.push(leaving);
                }
                None if stream.has_ended() => {}
                None => waiting.push(leaving),
            }
        }
        if changes.is_empty() {
            return 0;
        }
        let versions: Vec<u64> = changes.iter().map(|change| change.version).collect();
        let identity = self.identity();
        let proposal = MirrorsProposal {
            node: identity.node,
            incarnation: identity.incarnation,
            changes,
        };
        let answer = self.commit(Command::Mirrors(proposal)).await;
        let mut handed_over = 0;
        for (place, (leaving, version)) in asked.iter().zip(versions).enumerate() {
            match &answer {
                Ok(Answer::Mirrors(outcomes)) if outcomes.get(place) == Some(&Ok(())) => handed_over += 1,
                Ok(_) => leaving.led.stream.refused(version),
                Err(why) => {
                    tracing::warn!(queue = %leaving.led.cell.name, "a queue is not handed over: {why}");
                    leaving.led.stream.answered(version, self.now());
                }
            }
        }
        handed_over
    }

    /// A queue stays, unless it is led elsewhere by now: what waited goes on.
    fn stay(&self, cell: &Arc<QueueCell>) {
        let mut held = cell.hold();
        if held.dead || cell.leads() != Leads::Leaving {
            return;
        }
        cell.set_leads(Leads::Here, &mut held);
        drop(held);
        let (mut touched, mut errands): (Vec<Arc<Client>>, _) = (Vec::new(), Vec::new());
        self.offer_again(cell, &mut touched, &mut errands);
        self.timers().leave_errands(errands, touched);
    }
}

/// Waits until the mirrors of all have what there was when they began to wait, or it takes too long.
async fn await_mirrors(waiting: &[Leaving<'_>], until: Instant) {
    let all = async {
        for Leaving { led, upto, .. } in waiting {
            Reach::of(&led.stream, upto + 1, upto + 1).reached().await;
        }
    };
    if tokio::time::timeout_at(until, all).await.is_err() {
        tracing::debug!("mirrors are late, so queues stay for now");
    }
}
