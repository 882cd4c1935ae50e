//! What an administrator does to queues and clients beside the data path: publish, get, purge, close a connection.
//!
//! Each is checked like the same AMQP method of that user; nothing here is quicker than a client, or may more.

use catalog::{Client as Identity, Conditions, QueueRecord};
use link::{Failure, Term};
use model::{ExchangeName, QueueName, Refusal, ReplyCode};
use queue::{Fetched, Got, Settle};
use session::Publication;
use std::{sync::Arc, time::Duration};

use super::{
    cell::{Leads, QueueCell},
    client::Client,
    counters::ChannelCounts,
    errands::Errand,
    legs::Arrival,
    message::Message,
    node::Node,
    outbox::Letter,
    remote::home_is_down,
    route::Route,
    trace::{Party, Sighting},
};

/// A message to be published for somebody who is no AMQP client.
#[derive(Clone, Debug)]
pub struct Post {
    /// Where to.
    pub exchange: ExchangeName,
    /// With what key.
    pub routing_key: String,
    /// Its properties.
    pub properties: wire::Properties,
    /// Its body.
    pub body: Vec<u8>,
}

/// A message that was looked at.
#[derive(Clone, Debug)]
pub struct Taken {
    /// Where it was published.
    pub exchange: String,
    /// With what key.
    pub routing_key: String,
    /// Its properties.
    pub properties: wire::Properties,
    /// Its body.
    pub body: Vec<u8>,
    /// Whether it was delivered before.
    pub redelivered: bool,
    /// Ready messages behind it.
    pub left: u64,
}

/// What becomes of messages that were looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Afterwards {
    /// They are gone.
    Acked,
    /// They go back to their places.
    Requeued,
    /// They die, perhaps into a dead-letter exchange.
    Rejected,
}

/// How long this node may need to see what another has done.
const SEEN_WITHIN: Duration = Duration::from_secs(10);
/// A queue is held for so many messages at once by who looks at them ...
const SLICE_MESSAGES: usize = 256;
/// ... or so many octets of them.
const SLICE_BYTES: usize = 1024 * 1024;
/// No more is taken once so many octets are: who looks wants to read them.
const TAKEN_BYTES_MAX: usize = 128 * 1024 * 1024;

/// What a taken message costs beside its body.
const TAKEN_BYTES_BESIDE: usize = 256;

/// What somebody who looks has taken so far.
#[derive(Default)]
pub(super) struct Haul {
    pub(super) messages: Vec<Taken>,
    octets: usize,
}

impl Haul {
    /// Whoever looks wants no more.
    pub(super) fn is_full(&self) -> bool {
        self.octets >= TAKEN_BYTES_MAX
    }

    pub(super) fn add(&mut self, message: Taken) {
        self.octets += message.body.len() + TAKEN_BYTES_BESIDE;
        self.messages.push(message);
    }
}

/// How a look at a queue goes on.
enum Next {
    /// There is no more, or it is enough.
    Over,
    /// The next message comes from a page.
    Page,
    /// This was a slice.
    Slice,
}

/// Messages that are out with somebody who looks at them. They go back when he leaves in the middle.
struct Held<'a> {
    node: &'a Node,
    cell: Arc<QueueCell>,
    slots: Vec<queue::Slot>,
    how: Settle,
}

impl<'a> Held<'a> {
    fn new(node: &'a Node, cell: Arc<QueueCell>) -> Self {
        Held {
            node,
            cell,
            slots: Vec::new(),
            how: Settle::Requeue,
        }
    }

    /// Settles a slice; true while there are more.
    fn settle_some(&mut self) -> bool {
        let some: Vec<_> = self.slots.drain(..SLICE_MESSAGES.min(self.slots.len())).collect();
        let (mut touched, mut errands) = (Vec::new(), Vec::new());
        self.node.on_cell(&self.cell, &mut touched, &mut errands, |work| {
            // A slot is unknown only if the queue has been deleted meanwhile; nothing is owed to it.
            let _ = work.queue.settle_all(work.now, some, self.how, &mut work.sink);
        });
        self.node.run_errands(errands, &mut touched);
        self.node.flush(&mut touched);
        !self.slots.is_empty()
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        while !self.slots.is_empty() {
            self.settle_some();
        }
    }
}

impl Node {
    /// Publishes; true if a queue took the message.
    ///
    /// # Errors
    /// As `basic.publish` of that user would be refused.
    pub fn post(&self, identity: &Identity, post: &Post) -> Result<bool, Refusal> {
        self.check_size(post.body.len() as u64)?;
        let envelope = wire::Publish {
            exchange: post.exchange.as_str().as_bytes(),
            routing_key: post.routing_key.as_bytes(),
            mandatory: true,
            immediate: false,
        };
        let user = (identity.user.as_str(), self.may_impersonate(identity));
        let header = content_header(post)?;
        session::publish_alone(&envelope, &header, &post.body, user, |publication| {
            let (route, _) = self.snapshot().resolve(identity, publication)?;
            match publication.fault {
                Some(fault) => Err(fault.clone()),
                None => self.post_along(identity, &route, publication),
            }
        })?
    }

    fn post_along(&self, identity: &Identity, route: &Route, publication: &Publication<'_>) -> Result<bool, Refusal> {
        let kept = self.keep(route, publication)?;
        if route.traced {
            let seen = Sighting::of_publish(&identity.vhost, Party::over_http(identity), publication, route);
            let mut touched = Vec::new();
            self.run_errands(vec![Errand::Trace(Box::new(seen))], &mut touched);
            self.flush(&mut touched);
        }
        self.send_far(&route.remotes, publication, &Arrival::unheard());
        let copies = self.publish_to_cells(&route.cells, publication) + route.remote_queues();
        let is_routed = kept || copies > 0;
        if let Some(exchange) = &route.exchange {
            exchange.published_in.add(1);
            exchange.published_out.add(copies as u64);
        }
        self.counters().published.add(1);
        match is_routed {
            true => self.counters().routed.add(1),
            false => self.counters().returned.add(1),
        }
        if let Some(vhost) = self.snapshot().vhost_counters(&identity.vhost) {
            vhost.count(&ChannelCounts {
                published: 1,
                returned: u64::from(!is_routed),
                ..ChannelCounts::default()
            });
        }
        Ok(is_routed)
    }

    fn check_size(&self, octets: u64) -> Result<(), Refusal> {
        let max = self.config().amqp.message_bytes_max.0;
        if octets <= max {
            return Ok(());
        }
        let text = format!("message size {octets} is larger than configured max size {max}");
        Err(Refusal::channel(ReplyCode::PreconditionFailed, text))
    }

    fn may_impersonate(&self, identity: &Identity) -> bool {
        let snapshot = self.snapshot();
        let user = snapshot.catalog.access().user(identity.user.as_str());
        user.is_some_and(|user| user.has_tag("impersonator"))
    }

    /// Takes up to `count` ready messages, then does with all of them what is asked for.
    ///
    /// # Errors
    /// As `basic.get` of that user would be refused.
    pub async fn take(
        &self,
        identity: &Identity,
        queue: &QueueName,
        count: usize,
        afterwards: Afterwards,
    ) -> Result<Vec<Taken>, Refusal> {
        let record = catalog::check_read(&self.snapshot().catalog, identity, queue)?;
        if self.is_away(&record) {
            return Err(home_is_down(&record));
        }
        if self.snapshot().is_remote(&record) {
            return self.take_far(identity, &record, count, afterwards).await;
        }
        let cell = self.cell(&record)?;
        let mut haul = Haul::default();
        let mut held = Held::new(self, cell.clone());
        loop {
            let mut came = std::pin::pin!(cell.page_came.notified());
            // Before the look, so that a page that comes right after it is not missed.
            came.as_mut().enable();
            match self.take_some(identity, &cell, count, afterwards, &mut haul, &mut held.slots) {
                Next::Over => break,
                Next::Page => came.await,
                // Others have their turn at the queue and at this thread.
                Next::Slice => tokio::task::yield_now().await,
            }
        }
        held.how = match afterwards {
            Afterwards::Requeued => Settle::Requeue,
            Afterwards::Acked | Afterwards::Rejected => Settle::Reject,
        };
        while held.settle_some() {
            tokio::task::yield_now().await;
        }
        Ok(haul.messages)
    }

    /// Takes a slice of what is in memory.
    fn take_some(
        &self,
        identity: &Identity,
        cell: &Arc<QueueCell>,
        count: usize,
        afterwards: Afterwards,
        haul: &mut Haul,
        slots: &mut Vec<queue::Slot>,
    ) -> Next {
        let (mut touched, mut errands, mut seen) = (Vec::new(), Vec::new(), Vec::new());
        let (begun, octets_begun) = (haul.messages.len(), haul.octets);
        let next = self.on_cell(cell, &mut touched, &mut errands, |work| {
            while haul.messages.len() < count {
                if haul.is_full() {
                    return Next::Over;
                }
                if haul.messages.len() - begun >= SLICE_MESSAGES || haul.octets - octets_begun >= SLICE_BYTES {
                    return Next::Slice;
                }
                if cell.leads() == Leads::Leaving {
                    return Next::Page;
                }
                if cell.letters.are_full() {
                    return Next::Over;
                }
                let got = match work
                    .queue
                    .get(work.now, afterwards == Afterwards::Acked, &mut work.sink)
                {
                    Fetched::Got(got) => got,
                    Fetched::Empty => return Next::Over,
                    Fetched::Loading => return Next::Page,
                };
                slots.extend(got.delivery.slot);
                haul.add(copy(&got));
                if cell.is_traced() {
                    let party = Party::over_http(identity);
                    let sighting = Sighting::of_delivery(cell, party, got.message, got.delivery.redelivered);
                    seen.extend(sighting.map(|seen| Errand::Trace(Box::new(seen))));
                }
            }
            Next::Over
        });
        errands.append(&mut seen);
        self.run_errands(errands, &mut touched);
        self.flush(&mut touched);
        next
    }

    /// Removes the ready messages; answers how many.
    ///
    /// # Errors
    /// As `queue.purge` of that user would be refused.
    pub async fn purge(&self, identity: &Identity, queue: &QueueName) -> Result<u64, Refusal> {
        let record = catalog::check_read(&self.snapshot().catalog, identity, queue)?;
        if self.is_away(&record) {
            return Err(home_is_down(&record));
        }
        if self.snapshot().is_remote(&record) {
            return self.purge_far(&record).await.map(count).map_err(not_done);
        }
        let cell = self.cell(&record)?;
        Ok(self.purge_cell(&cell))
    }

    /// Has the leader of a queue purge it.
    ///
    /// # Errors
    /// Its refusal, or why it cannot be asked.
    pub async fn purge_far(&self, record: &QueueRecord) -> Result<Term, Failure> {
        let request = link::Request::PurgeQueue {
            vhost: record.vhost.to_string(),
            name: record.name.to_string(),
        };
        self.ask_node(&record.leader, request, None).await
    }

    /// Has the leader of a queue delete it, and comes back when it is gone here too.
    ///
    /// # Errors
    /// Its refusal, or why it cannot be asked.
    pub async fn delete_far(&self, record: &QueueRecord, conditions: Conditions) -> Result<Term, Failure> {
        let request = link::Request::DeleteQueue {
            vhost: record.vhost.to_string(),
            name: record.name.to_string(),
            if_empty: conditions.if_empty,
            if_unused: conditions.if_unused,
        };
        let answer = self.ask_node(&record.leader, request, None).await?;
        let mut generations = self.generations();
        let is_gone = generations.wait_for(|_| self.snapshot().catalog.queue_by_id(record.id).is_none());
        // Whether it is seen or not: it is deleted.
        let _ = tokio::time::timeout(SEEN_WITHIN, is_gone).await;
        Ok(answer)
    }

    /// Removes the ready messages of a queue; answers how many.
    pub fn purge_cell(&self, cell: &Arc<QueueCell>) -> u64 {
        let (mut touched, mut errands) = (Vec::new(), Vec::new());
        self.on_cell(cell, &mut touched, &mut errands, |work| {
            work.queue.purge(&mut work.sink)
        })
    }

    /// Asks a connection to end, as after a log line by an administrator.
    pub fn close_client(&self, client: &Client, reason: &str) {
        let reason = reason.to_owned();
        client.outbox().post(Letter::Close { reason });
    }
}

fn count(term: Term) -> u64 {
    match term {
        Term::Integer(count) => u64::try_from(count).unwrap_or(0),
        _ => 0,
    }
}

/// What another node would not or could not do.
fn not_done(failure: Failure) -> Refusal {
    let text = match failure {
        Failure::Refused(text) => text,
        other => format!("{other:?}"),
    };
    Refusal::channel(ReplyCode::NotFound, text)
}

/// The payload of the content header frame that a client would have sent.
fn content_header(post: &Post) -> Result<Vec<u8>, Refusal> {
    let properties = post.properties.encode();
    let broken = |error: wire::PropertiesError| Refusal::channel(ReplyCode::PreconditionFailed, error.to_string());
    let mut header = vec![0, 60, 0, 0];
    header.extend_from_slice(&(post.body.len() as u64).to_be_bytes());
    header.extend_from_slice(&properties.map_err(broken)?);
    Ok(header)
}

fn copy(got: &Got<Message>) -> Taken {
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    Taken {
        exchange: text(got.message.exchange()),
        routing_key: text(got.message.routing_key()),
        // Checked when the message came in.
        properties: wire::Properties::decode(got.message.properties()).unwrap_or_default(),
        body: got.message.body().to_vec(),
        redelivered: got.delivery.redelivered,
        left: got.ready_left,
    }
}
