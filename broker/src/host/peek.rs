//! A look at one ready message in its place: nothing is taken, moved or counted.
//!
//! Decides where it is read: in memory, or in its page in the store, beside the queue.

use std::sync::Arc;

use link::{Failure, Request, Term};
use queue::{Copied, PageWanted};

use super::{Node, cell::QueueCell, message::Message, mirrors::read_page};

/// What came of one look.
enum Look {
    /// This is it.
    There(Seen),
    /// There is none.
    Nowhere,
    /// It is in a page.
    Paged(PageWanted),
    /// Its page is on its way to the queue.
    Coming,
}

/// A message that was looked at.
#[derive(Debug)]
pub struct Seen {
    /// The message.
    pub message: Message,
    /// How often it came back.
    pub returns: u32,
}

impl Seen {
    fn of(copied: &Copied<impl std::borrow::Borrow<Message>>) -> Self {
        Seen {
            message: copied.message.borrow().clone(),
            returns: copied.delivery_count,
        }
    }
}

impl Node {
    /// The ready message of a queue led here that is served after `place` others.
    pub async fn peek(&self, cell: &QueueCell, place: u64) -> Option<Seen> {
        loop {
            let mut came = std::pin::pin!(cell.page_came.notified());
            // Before the look, so that a page that comes right after it is not missed.
            came.as_mut().enable();
            match look(cell, place) {
                Look::There(seen) => return Some(seen),
                Look::Nowhere => return None,
                Look::Coming => came.await,
                Look::Paged(page) => {
                    let messages = read_page(self, page.page).await;
                    match look_into(cell, &page, messages) {
                        // The queue has taken the page, or the message, in between.
                        Look::Coming | Look::Paged(_) => tokio::task::yield_now().await,
                        Look::Nowhere => return None,
                        Look::There(seen) => return Some(seen),
                    }
                }
            }
        }
    }

    /// Has the queue's leader look.
    ///
    /// # Errors
    /// As that node says, or why it cannot be asked.
    pub async fn peek_far(&self, record: &Arc<catalog::QueueRecord>, place: u64) -> Result<Term, Failure> {
        let (vhost, name) = (record.vhost.to_string(), record.name.to_string());
        let request = Request::PeekQueue { vhost, name, place };
        self.ask_node(&record.leader, request, None).await
    }
}

fn look(cell: &QueueCell, place: u64) -> Look {
    let held = cell.hold();
    let Some(seq) = held.queue.ready_at(place).filter(|_| !held.dead) else {
        return Look::Nowhere;
    };
    let mut seen = None;
    let peeked = held.queue.peek(&[(seq, seq)], queue::Portion::ALL, |copied| {
        seen = Some(Seen::of(&copied))
    });
    match (seen, peeked.pages.into_iter().next()) {
        (Some(seen), _) => Look::There(seen),
        (None, Some(page)) => Look::Paged(page),
        (None, None) => Look::Coming,
    }
}

fn look_into(cell: &QueueCell, page: &PageWanted, messages: Vec<store::Paged<Message>>) -> Look {
    let messages = messages.into_iter().map(|paged| queue::Paged {
        seq: paged.seq,
        expires: paged.expires,
        message: paged.message,
    });
    let mut seen = None;
    let again = cell
        .hold()
        .queue
        .peek_page(page, messages, |copied| seen = Some(Seen::of(&copied)));
    match seen {
        Some(seen) => Look::There(seen),
        None if again.is_empty() => Look::Nowhere,
        None => Look::Coming,
    }
}
