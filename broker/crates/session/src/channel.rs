//! One channel's state: content on its way in, confirm or transaction mode, consumers, the last declared queue.

use model::{QueueName, Refusal};
use std::collections::BTreeSet;

use crate::{confirms::Confirms, content::Content, publish::Buffered};

/// A channel from open to close-ok.
#[derive(Debug)]
pub(crate) struct Channel {
    pub(crate) stage: Stage,
    pub(crate) content: Content,
    pub(crate) mode: Mode,
    pub(crate) consumers: BTreeSet<String>,
    pub(crate) last_queue: Option<QueueName>,
    /// Prefetch that consumers created from now on get, 0 = none.
    pub(crate) prefetch: u16,
    /// Tag of the consumer of `amq.rabbitmq.reply-to`, with the name that replies are sent to.
    pub(crate) replies: Option<(String, String)>,
}

/// Where a channel is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// `channel.open` is being answered.
    Opening,
    /// Open.
    Open,
    /// We sent `channel.close`: everything but close and close-ok is dropped.
    Closing,
}

/// What publishing means on a channel.
#[derive(Debug, Default)]
pub(crate) enum Mode {
    /// Fire and forget.
    #[default]
    Plain,
    /// Publisher confirms.
    Confirm(Confirms),
    /// Transactions: publishes wait here for the commit.
    Tx(Vec<Buffered>),
}

impl Channel {
    pub(crate) fn new() -> Self {
        Channel {
            stage: Stage::Opening,
            content: Content::None,
            mode: Mode::Plain,
            consumers: BTreeSet::new(),
            last_queue: None,
            prefetch: 0,
            replies: None,
        }
    }

    /// Its confirms, in confirm mode.
    pub(crate) fn confirms(&mut self) -> Option<&mut Confirms> {
        match &mut self.mode {
            Mode::Confirm(confirms) => Some(confirms),
            Mode::Plain | Mode::Tx(_) => None,
        }
    }

    /// The queue a method means: the name it gives, else the one last declared on this channel.
    pub(crate) fn queue_or_last(&self, name: &str) -> Result<QueueName, Refusal> {
        match (name.is_empty(), &self.last_queue) {
            (false, _) => crate::names::queue_name(name),
            (true, Some(last)) => Ok(last.clone()),
            (true, None) => Err(Refusal::channel(
                model::ReplyCode::NotFound,
                "no previously declared queue",
            )),
        }
    }
}
