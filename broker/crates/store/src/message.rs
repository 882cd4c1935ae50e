//! Messages as the store is given them and gives them back: the broker's own kept message, behind a small trait.
//!
//! The store reads their parts and makes new ones; what else they are is not its business.

use model::{Epoch, Millis, PageId, QueueId, Seq};

use crate::content::Content;

/// A kept message of the broker.
pub trait StoredMessage: Send + 'static {
    /// Its parts.
    fn content(&self) -> Content<'_>;

    /// Published with delivery mode 2.
    fn is_persistent(&self) -> bool;

    /// A message with these parts.
    fn of(content: &Content<'_>, persistent: bool) -> Self;
}

/// A message with its place, on its way into or out of a page.
#[derive(Clone, Debug)]
pub struct Paged<M> {
    /// Its position.
    pub seq: Seq,
    /// When it expires; the end of time if never.
    pub expires: Millis,
    /// The message.
    pub message: M,
}

/// Messages of one queue and level that leave memory.
pub(crate) struct PageOut<M> {
    pub(crate) id: PageId,
    pub(crate) queue: QueueId,
    pub(crate) epoch: Epoch,
    pub(crate) level: u8,
    pub(crate) messages: Vec<Paged<M>>,
    /// Memory they take, about.
    pub(crate) bytes: u64,
}

/// What a load answers: the messages of the page that are still wanted, in order.
pub type Loaded<M> = Box<dyn FnOnce(Vec<Paged<M>>) + Send>;

/// A page that is wanted back.
pub(crate) struct Load<M> {
    pub(crate) id: PageId,
    pub(crate) then: Loaded<M>,
}
