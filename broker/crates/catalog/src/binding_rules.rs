//! What a binding must satisfy: both ends exist, the source's type agrees, an exclusive queue is its owner's.
//!
//! Used twice: to decide on a snapshot, and again where the command is applied.

use crate::record::Owner;
use crate::state::Vhost;
use crate::{queue_rules, texts};
use model::Refusal;
use routing::{Binding, Destination};

/// Names the source first when both ends are missing, as RabbitMQ does.
pub(crate) fn check_ends(vhost: &Vhost, binding: &Binding) -> Result<(), Refusal> {
    let exchange = |name: &str| match vhost.exchange(name) {
        Some(found) if found.name.is_default() => Err(texts::on_default_exchange()),
        Some(_) => Ok(()),
        None => Err(texts::missing(&texts::exchange_title(&vhost.name, name))),
    };
    exchange(binding.source.as_str())?;
    match &binding.destination {
        Destination::Exchange(name) => exchange(name.as_str()),
        Destination::Queue(name) if vhost.queue(name.as_str()).is_some() => Ok(()),
        Destination::Queue(name) => Err(texts::missing(&texts::queue_title(&vhost.name, name.as_str()))),
    }
}

/// Only its owner binds an exclusive queue.
pub(crate) fn check_owner(vhost: &Vhost, binding: &Binding, owner: &Owner) -> Result<(), Refusal> {
    match &binding.destination {
        Destination::Exchange(_) => Ok(()),
        Destination::Queue(name) => vhost
            .queue(name.as_str())
            .map_or(Ok(()), |queue| queue_rules::check_owner(queue, owner)),
    }
}

/// What only the source's type can check: `x-match`, weights.
pub(crate) fn check_kind(vhost: &Vhost, binding: &Binding) -> Result<(), Refusal> {
    let checked = vhost
        .router
        .check_binding(&binding.source, &binding.key, &binding.arguments);
    checked.map_err(|bad| texts::precondition(bad.0))
}
