//! Exchanges, queues and bindings of one virtual host, and the way of a message through them.
//!
//! One persistent value: cloning is O(1), a clone never changes, changes are O(log n). Permissions, durability and
//! auto-delete are not known here; the caller has checked that names exist, and unknown ones are answered, not feared.

use crate::binding::{Binding, Destination};
use crate::index::{BadBinding, Content, Index, Parcel};
use crate::target::Target;
use imbl::{OrdMap, OrdSet};
use model::{ExchangeKind, ExchangeName, HashOn, QueueId, QueueName, Table};
use smallvec::SmallVec;
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Queues of one publish.
pub type Queues = SmallVec<[QueueId; 4]>;

/// A message was published to an exchange that does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no such exchange")]
pub struct NoSuchExchange;

/// How a message was routed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Routed {
    /// The same keys on the same exchange go to the same queues until something is declared, bound or deleted.
    pub cacheable: bool,
    /// Exchanges on the way that keep the message, in the order in which it met them.
    pub keepers: Vec<Keeper>,
}

/// An exchange that keeps a message for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keeper {
    /// The message ends here until its delay is over, and goes on from here then.
    Delays(ExchangeName),
    /// The message goes on, and is given to those who bind later.
    Remembers(ExchangeName),
}

#[derive(Clone, Debug, PartialEq)]
struct Exchange {
    index: Index,
    /// Holds messages that have a delay.
    delays: bool,
    /// Gives its last messages to new bindings.
    remembers: bool,
    /// Where a message goes that finds no destination here.
    alternate: Option<ExchangeName>,
    /// Bindings that start here.
    outgoing: u64,
}

/// Bindings in the order of their destinations.
#[derive(Clone, Debug)]
struct Incoming(Arc<Binding>);

impl PartialEq for Incoming {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Incoming {}

impl PartialOrd for Incoming {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Incoming {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.by_destination().cmp(&other.0.by_destination())
    }
}

/// The routing of one virtual host.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Router {
    exchanges: OrdMap<ExchangeName, Arc<Exchange>>,
    queues: OrdMap<QueueName, QueueId>,
    outgoing: OrdSet<Arc<Binding>>,
    incoming: OrdSet<Incoming>,
}

impl Router {
    /// Adds an exchange; a delayed one under the type by which it routes. The default exchange needs none: it is every
    /// queue's name.
    pub fn add_exchange(&mut self, name: &ExchangeName, kind: ExchangeKind, hash_on: HashOn) {
        let exchange = Exchange {
            index: Index::new(kind, hash_on),
            delays: false,
            remembers: kind == ExchangeKind::RecentHistory,
            alternate: None,
            outgoing: 0,
        };
        self.exchanges.insert(name.clone(), Arc::new(exchange));
    }

    /// Sets where messages go that find no destination on this exchange.
    pub fn set_alternate(&mut self, name: &ExchangeName, alternate: Option<ExchangeName>) {
        if let Some(exchange) = self.exchanges.get_mut(name) {
            Arc::make_mut(exchange).alternate = alternate;
        }
    }

    /// Messages with a delay are held at this exchange.
    pub fn set_delaying(&mut self, name: &ExchangeName) {
        if let Some(exchange) = self.exchanges.get_mut(name) {
            Arc::make_mut(exchange).delays = true;
        }
    }

    /// Removes an exchange and all bindings from and to it, which are returned.
    pub fn remove_exchange(&mut self, name: &ExchangeName) -> Vec<Arc<Binding>> {
        let mut gone: Vec<Arc<Binding>> = self.bindings_from(name).cloned().collect();
        gone.extend(self.bindings_to(&Destination::Exchange(name.clone())).cloned());
        gone.sort_unstable();
        gone.dedup();
        gone.iter().for_each(|binding| drop(self.unbind(binding)));
        self.exchanges.remove(name);
        gone
    }

    /// Adds a queue.
    pub fn add_queue(&mut self, name: &QueueName, id: QueueId) {
        self.queues.insert(name.clone(), id);
    }

    /// Removes a queue and all bindings to it, which are returned.
    pub fn remove_queue(&mut self, name: &QueueName) -> Vec<Arc<Binding>> {
        let gone: Vec<Arc<Binding>> = self.bindings_to(&Destination::Queue(name.clone())).cloned().collect();
        gone.iter().for_each(|binding| drop(self.unbind(binding)));
        self.queues.remove(name);
        gone
    }

    /// Checks what only the source's type can check about a binding: `x-match`, weights.
    ///
    /// # Errors
    /// What is wrong, in RabbitMQ's words.
    pub fn check_binding(&self, source: &ExchangeName, key: &[u8], arguments: &Table) -> Result<(), BadBinding> {
        self.exchanges
            .get(source)
            .map_or(Ok(()), |exchange| exchange.index.check(key, arguments))
    }

    /// Adds a binding; false if it was there or an end does not exist.
    pub fn bind(&mut self, binding: Arc<Binding>) -> bool {
        let Some(target) = self.target(&binding.destination) else {
            return false;
        };
        let Some(exchange) = self.exchanges.get_mut(&binding.source) else {
            return false;
        };
        if self.outgoing.contains(&binding) {
            return false;
        }
        let exchange = Arc::make_mut(exchange);
        exchange.index.add(&binding, target);
        exchange.outgoing += 1;
        self.incoming.insert(Incoming(binding.clone()));
        self.outgoing.insert(binding);
        true
    }

    /// Removes a binding and returns it as it was made; `None` if it was not there.
    pub fn unbind(&mut self, binding: &Binding) -> Option<Arc<Binding>> {
        let binding = self.outgoing.remove(binding)?;
        self.incoming.remove(&Incoming(binding.clone()));
        let target = self.target(&binding.destination);
        if let (Some(target), Some(exchange)) = (target, self.exchanges.get_mut(&binding.source)) {
            let exchange = Arc::make_mut(exchange);
            exchange.index.remove(&binding, &target);
            exchange.outgoing -= 1;
        }
        Some(binding)
    }

    /// True if this very binding exists.
    pub fn is_bound(&self, binding: &Binding) -> bool {
        self.outgoing.contains(binding)
    }

    /// Number of bindings that start at an exchange.
    pub fn outgoing_count(&self, source: &ExchangeName) -> u64 {
        self.exchanges.get(source).map_or(0, |exchange| exchange.outgoing)
    }

    /// All explicit bindings, by source.
    pub fn bindings(&self) -> impl Iterator<Item = &Arc<Binding>> {
        self.outgoing.iter()
    }

    /// Explicit bindings that start at an exchange.
    pub fn bindings_from<'a>(&'a self, source: &ExchangeName) -> impl Iterator<Item = &'a Arc<Binding>> + use<'a> {
        let first = Destination::Queue(QueueName::default());
        let first = Arc::new(Binding::new(source.clone(), first, b"", Table::default()));
        let source = source.clone();
        self.outgoing
            .range(first..)
            .take_while(move |binding| binding.source == source)
    }

    /// Explicit bindings that lead to a queue or exchange.
    pub fn bindings_to<'a>(&'a self, destination: &Destination) -> impl Iterator<Item = &'a Arc<Binding>> + use<'a> {
        let first = Binding::new(ExchangeName::default(), destination.clone(), b"", Table::default());
        let destination = destination.clone();
        let from = self.incoming.range(Incoming(Arc::new(first))..);
        from.map(|incoming| &incoming.0)
            .take_while(move |binding| binding.destination == destination)
    }

    /// The queue of this name.
    pub fn queue(&self, name: &str) -> Option<QueueId> {
        self.queues.get(name).copied()
    }

    /// True if the exchange exists; the default one always does.
    pub fn has_exchange(&self, name: &str) -> bool {
        name.is_empty() || self.exchanges.contains_key(name)
    }

    fn target(&self, destination: &Destination) -> Option<Target> {
        match destination {
            Destination::Queue(name) => self.queues.get(name).map(|id| Target::Queue(*id)),
            Destination::Exchange(name) => self
                .exchanges
                .contains_key(name)
                .then(|| Target::Exchange(name.clone())),
        }
    }

    /// Finds the queues of a message: each once, in order of their ids. `keys` are the routing key and those of CC and
    /// BCC; `seed` is a number drawn for this message.
    ///
    /// # Errors
    /// When the exchange does not exist.
    pub fn route(
        &self,
        exchange: &str,
        keys: &[&[u8]],
        content: &mut dyn Content,
        seed: u64,
        out: &mut Queues,
    ) -> Result<Routed, NoSuchExchange> {
        if !self.has_exchange(exchange) {
            return Err(NoSuchExchange);
        }
        if exchange.is_empty() {
            self.by_name(keys, out);
            sort(out);
            return Ok(Routed {
                cacheable: true,
                keepers: Vec::new(),
            });
        }
        let mut parcel = Parcel {
            keys,
            seed,
            content,
            headers: None,
            cacheable: true,
        };
        let mut walk = Walk {
            router: self,
            waiting: vec![exchange],
            seen: BTreeSet::new(),
            keepers: Vec::new(),
        };
        while let Some(name) = walk.waiting.pop() {
            walk.visit(name, &mut parcel, out);
        }
        sort(out);
        Ok(Routed {
            keepers: walk.keepers,
            cacheable: parcel.cacheable,
        })
    }

    fn by_name(&self, keys: &[&[u8]], out: &mut Queues) {
        let names = keys.iter().filter_map(|key| std::str::from_utf8(key).ok());
        out.extend(names.filter_map(|name| self.queue(name)));
    }
}

fn sort(out: &mut Queues) {
    out.sort_unstable();
    out.dedup();
}

/// A message's way through exchanges bound to exchanges: each is visited once.
struct Walk<'a> {
    router: &'a Router,
    waiting: Vec<&'a str>,
    seen: BTreeSet<&'a str>,
    keepers: Vec<Keeper>,
}

impl<'a> Walk<'a> {
    fn visit(&mut self, name: &'a str, parcel: &mut Parcel<'_>, out: &mut Queues) {
        // The default exchange has no bindings of its own: as an alternate it takes nothing.
        let Some(exchange) = self.router.exchanges.get(name) else {
            return;
        };
        if !self.seen.insert(name) {
            return;
        }
        if self.is_kept(name, exchange, parcel) {
            return;
        }
        let mut lost = true;
        exchange.index.matches(parcel, &mut |target| {
            lost = false;
            match target {
                Target::Queue(id) => out.push(*id),
                Target::Exchange(next) => self.waiting.push(next.as_str()),
            }
        });
        if lost {
            self.waiting
                .extend(exchange.alternate.as_ref().map(ExchangeName::as_str));
        }
    }

    /// True if the message goes no further now.
    fn is_kept(&mut self, name: &str, exchange: &Exchange, parcel: &mut Parcel<'_>) -> bool {
        if !exchange.delays && !exchange.remembers {
            return false;
        }
        // A name that is in the map has parsed before.
        let Ok(name) = name.parse::<ExchangeName>() else {
            return false;
        };
        if exchange.delays && parcel.is_delayed() {
            self.keepers.push(Keeper::Delays(name));
            return true;
        }
        if exchange.remembers {
            self.keepers.push(Keeper::Remembers(name));
        }
        false
    }
}

#[cfg(test)]
#[path = "router_tests.rs"]
mod tests;
