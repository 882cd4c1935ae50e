//! Direct replies: addresses under `amq.rabbitmq.reply-to.`, each meaning one channel of one connected client.
//!
//! A reply is never queued: it is written to the requester's outbox or dropped. Addresses are drawn by chance, so
//! nobody can guess another's; they end with the node that knows them, so that any node can pass a reply on.

use model::NodeUuid;
use parking_lot::RwLock;
use session::{Fate, Publication};
use std::{collections::BTreeMap, sync::Arc};

use super::{client::Client, names, node::Node};

/// Prefix of every address.
pub const PREFIX: &str = "amq.rabbitmq.reply-to.";
/// A requester that does not read loses replies above this many waiting octets.
const WAITING_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Who receives the replies to an address.
#[derive(Clone, Debug)]
struct Requester {
    client: Arc<Client>,
    channel: u16,
    tag: String,
}

/// The node that knows an address.
pub fn home_of(address: &str) -> Option<NodeUuid> {
    address.rsplit_once('.')?.1.parse().ok()
}

/// All addresses in use on this node.
#[derive(Debug, Default)]
pub struct DirectReplies(RwLock<BTreeMap<String, Requester>>);

impl DirectReplies {
    /// Draws an address for a channel's reply consumer on this node.
    pub fn enter(&self, node: NodeUuid, client: Arc<Client>, channel: u16, tag: String) -> String {
        let address = format!("{}.{node}", names::drawn(PREFIX));
        self.0
            .write()
            .insert(address.clone(), Requester { client, channel, tag });
        address
    }

    /// The consumer is gone.
    pub fn leave(&self, address: &str) {
        self.0.write().remove(address);
    }

    /// True while somebody listens at the address.
    pub fn is_known(&self, address: &str) -> bool {
        self.0.read().contains_key(address)
    }

    fn get(&self, address: &str) -> Option<Requester> {
        self.0.read().get(address).cloned()
    }
}

impl Node {
    /// Delivers a reply. It counts as unroutable whatever happens, as in RabbitMQ up to 4.1: a mandatory reply is
    /// delivered and returned.
    pub fn reply_directly(&self, address: &str, message: &Publication<'_>, touched: &mut Vec<Arc<Client>>) -> Fate {
        if let Some(requester) = self.direct_replies().get(address) {
            write(&requester, message, touched);
        }
        Fate::Unroutable
    }
}

fn write(requester: &Requester, message: &Publication<'_>, touched: &mut Vec<Arc<Client>>) {
    let outbox = requester.client.outbox();
    let mut state = outbox.lock();
    let Some(channel) = state.channel(requester.channel) else {
        return;
    };
    let tag = channel.ledger.upcoming();
    let buffer = state.buffer();
    if buffer.len() > WAITING_BYTES_MAX {
        return;
    }
    wire::deliver(
        buffer,
        &wire::Deliver {
            channel: requester.channel,
            consumer_tag: requester.tag.as_bytes(),
            delivery_tag: tag.0,
            redelivered: false,
            exchange: message.exchange,
            routing_key: message.routing_key,
            properties: message.properties,
            body: message.body,
            frame_max: requester.client.frame_max(),
        },
    );
    if state.promise_flush() {
        touched.push(requester.client.clone());
    }
}
