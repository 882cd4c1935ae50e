//! Pages on their way from the store back to their queues.
//!
//! The store's thread only hands them over; one task of the node gives each to its queue and does what follows from it.
//! A queue asks for one page a level at a time, so what is under way is bounded by the queues' own limits.

use model::PageId;
use std::sync::Arc;
use store::{Loaded, Paged};
use tokio::sync::mpsc;

use super::{cell::QueueCell, message::Message, mirrors::CopyCell, node::Node};

/// A page that has come.
#[derive(Debug)]
pub struct Page {
    cell: Arc<QueueCell>,
    id: PageId,
    messages: Vec<Paged<Message>>,
}

/// The end at which pages arrive.
pub type Pages = mpsc::UnboundedReceiver<Page>;

/// Where pages are handed over.
#[derive(Clone, Debug)]
pub struct Loads(mpsc::UnboundedSender<Page>);

impl Loads {
    /// The two ends.
    pub fn new() -> (Self, Pages) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Loads(sender), receiver)
    }

    /// What the store calls when it has the page.
    pub fn bring(&self, cell: Arc<QueueCell>, id: PageId) -> Loaded<Message> {
        let loads = self.0.clone();
        Box::new(move |messages| {
            // Without a task at the other end the node is stopping, and nobody waits for the page.
            let _ = loads.send(Page { cell, id, messages });
        })
    }
}

/// Gives pages to their queues until the node has stopped.
pub async fn run(node: Arc<Node>) {
    let Some(mut pages) = node.take_pages() else { return };
    while let Some(page) = pages.recv().await {
        give_back(&node, page);
        // Deliveries from a long backlog must not keep other tasks from their turn.
        tokio::task::yield_now().await;
    }
}

fn give_back(node: &Node, page: Page) {
    let Page { cell, id, messages } = page;
    let messages = messages.into_iter().map(|paged| queue::Paged {
        seq: paged.seq,
        expires: paged.expires,
        message: paged.message,
    });
    let mut messages: Vec<_> = messages.collect();
    let (mut touched, mut errands) = (Vec::new(), Vec::new());
    let mut lost = None;
    let mut place: (Option<Arc<QueueCell>>, Option<Arc<CopyCell>>) = (Some(cell.clone()), None);
    // A queue may have become a copy meanwhile, and a copy a queue: whichever is there by now has asked for the page.
    while lost.is_none() {
        lost = match place {
            (Some(cell), _) => node.on_cell(&cell, &mut touched, &mut errands, |work| {
                let wanted = (!work.dead).then(|| std::mem::take(&mut messages))?;
                Some(work.queue.loaded(work.now, id, wanted, &mut work.sink))
            }),
            (None, Some(copy)) => copy.loaded(node.keeping(), id, &mut messages),
            (None, None) => break,
        };
        place = node.place_now(cell.id);
    }
    let lost = lost.unwrap_or(0);
    if lost > 0 {
        tracing::error!(queue = %cell.name, vhost = %cell.vhost, lost, "messages of a queue could not be read back");
    }
    cell.page_came.notify_waiters();
    node.run_errands(errands, &mut touched);
    node.flush(&mut touched);
}
