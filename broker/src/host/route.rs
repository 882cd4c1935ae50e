//! Where a publish goes, remembered per connection: exchange and key to queues, checked and resolved once per
//! generation of the catalogue.
//!
//! A hit takes no lock and allocates nothing. What depends on more than exchange and key (headers exchanges, CC,
//! random choice) is resolved each time.

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use model::{ExchangeName, Generation, QueueId, Refusal, ReplyCode, VhostName};
use session::Publication;
use smallvec::SmallVec;
use std::sync::Arc;

use super::{
    cell::{Leads, QueueCell},
    counters::ExchangeCounters,
    keepers::Keeper,
    legs::Remote,
    node::{Node, Snapshot},
};

/// Remembered routes per connection; above this all are forgotten.
const ROUTES_MAX: usize = 4096;

/// Where a message goes.
#[derive(Debug, Default)]
pub struct Route {
    /// Queues, each once.
    pub cells: SmallVec<[Arc<QueueCell>; 1]>,
    /// Queues that other nodes lead, by node.
    pub remotes: Vec<Remote>,
    /// A queue on the way is led by a node that is down: it takes nothing, and the publish counts as refused.
    pub is_down: bool,
    /// Exchanges on the way that keep the message.
    pub keepers: Vec<Keeper>,
    /// The requester that a direct reply is for.
    pub direct_reply: Option<String>,
    /// Publishes are copied to the firehose.
    pub traced: bool,
    /// Where publishes to the exchange are counted.
    pub exchange: Option<Arc<ExchangeCounters>>,
}

impl Route {
    /// All its queues, wherever they are led.
    pub fn all_queues(&self) -> impl Iterator<Item = QueueId> {
        let here = self.cells.iter().map(|cell| cell.id);
        here.chain(self.remotes.iter().flat_map(|remote| remote.queues.iter().copied()))
    }

    /// How many queues of other nodes are on the way.
    pub fn remote_queues(&self) -> usize {
        self.remotes.iter().map(|remote| remote.queues.len()).sum()
    }
}

/// One connection's memory.
#[derive(Debug, Default)]
pub struct RouteCache {
    generation: Option<Generation>,
    client: Option<catalog::Client>,
    last: Option<(Arc<[u8]>, Arc<Route>)>,
    known: HashMap<Arc<[u8]>, Arc<Route>, RandomState>,
    key: Vec<u8>,
    /// Where the last publish went before all was forgotten.
    lately: SmallVec<[Arc<QueueCell>; 1]>,
}

impl RouteCache {
    /// Whose publishes these are.
    pub fn enter(&mut self, client: catalog::Client) {
        self.client = Some(client);
        self.generation = None;
    }

    /// Forgets all if the catalogue has changed.
    pub fn refresh(&mut self, snapshot: &Snapshot) {
        if self.generation != Some(snapshot.generation()) {
            self.generation = Some(snapshot.generation());
            self.forget();
        }
    }

    /// True if a queue that was published to is so.
    #[cold]
    pub fn any(&self, is_so: impl Fn(&QueueCell) -> bool) -> bool {
        let is_so = |cell: &Arc<QueueCell>| is_so(cell);
        let of_route = |route: &Route| route.cells.iter().any(is_so);
        self.last.iter().any(|(_, route)| of_route(route)) || self.known.values().any(|route| of_route(route))
    }

    /// True if a queue that was published to before all was looked up anew is being handed over.
    pub fn was_leaving(&self) -> bool {
        self.lately.iter().any(|cell| cell.leads() == Leads::Leaving)
    }

    fn forget(&mut self) {
        if let Some((_, route)) = &self.last {
            self.lately.clone_from(&route.cells);
        }
        self.last = None;
        self.known.clear();
    }

    /// The state of the catalogue that routes are of.
    pub fn generation(&self) -> Generation {
        self.generation.unwrap_or_default()
    }

    /// The route of a message, or why it may not be published.
    pub fn find(&mut self, message: &Publication<'_>, node: &Node) -> Result<Arc<Route>, Refusal> {
        if !message.extra_keys.is_empty() {
            return Ok(self.resolve(message, node)?.0);
        }
        if let Some((key, route)) = &self.last
            && is_key_of(key, message)
        {
            return Ok(route.clone());
        }
        self.key.clear();
        self.key.push(message.exchange.len() as u8);
        self.key.extend_from_slice(message.exchange);
        self.key.extend_from_slice(message.routing_key);
        if let Some((key, route)) = self.known.get_key_value(self.key.as_slice()) {
            self.last = Some((key.clone(), route.clone()));
            return Ok(route.clone());
        }
        let (route, cacheable) = self.resolve(message, node)?;
        if cacheable {
            self.remember(route.clone());
        }
        Ok(route)
    }

    fn resolve(&self, message: &Publication<'_>, node: &Node) -> Result<(Arc<Route>, bool), Refusal> {
        let client = self
            .client
            .as_ref()
            .expect("a publish comes once the connection is open");
        node.snapshot().resolve(client, message)
    }

    fn remember(&mut self, route: Arc<Route>) {
        if self.known.len() >= ROUTES_MAX {
            self.forget();
        }
        let key: Arc<[u8]> = self.key.as_slice().into();
        self.last = Some((key.clone(), route.clone()));
        self.known.insert(key, route);
    }
}

/// A key is the length of the exchange's name, the name, and the routing key.
fn is_key_of(key: &[u8], message: &Publication<'_>) -> bool {
    let Some((length, names)) = key.split_first() else {
        return false;
    };
    let split = usize::from(*length).min(names.len());
    let (exchange, routing_key) = names.split_at(split);
    exchange == message.exchange && routing_key == message.routing_key
}

/// Names are text here: octets that are none name nothing.
pub(super) fn exchange_name(octets: &[u8], vhost: &VhostName) -> Result<ExchangeName, Refusal> {
    let missing = || {
        let shown = String::from_utf8_lossy(octets);
        Refusal::channel(ReplyCode::NotFound, format!("no exchange '{shown}' in vhost '{vhost}'"))
    };
    let text = std::str::from_utf8(octets).map_err(|_| missing())?;
    text.parse().map_err(|_| missing())
}
