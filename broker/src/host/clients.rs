//! Who is connected to this node: entered at accept, left at the end; it decides nothing about them.

use model::ConnectionId;
use parking_lot::RwLock;
use std::{collections::BTreeMap, sync::Arc};

use super::client::{Client, Profile};

/// All client connections by id.
#[derive(Debug, Default)]
pub struct Clients(RwLock<BTreeMap<ConnectionId, Arc<Client>>>);

impl Clients {
    /// A connection was accepted.
    pub fn enter(&self, client: Arc<Client>) {
        self.0.write().insert(client.id, client);
    }

    /// A connection is gone.
    pub fn leave(&self, id: ConnectionId) {
        self.0.write().remove(&id);
    }

    /// One of them.
    pub fn get(&self, id: ConnectionId) -> Option<Arc<Client>> {
        self.0.read().get(&id).cloned()
    }

    /// All of them.
    pub fn all(&self) -> Vec<Arc<Client>> {
        self.0.read().values().cloned().collect()
    }

    /// How many open connections are like this.
    pub fn count_open(&self, wanted: impl Fn(&Profile) -> bool) -> u64 {
        self.0
            .read()
            .values()
            .filter(|client| client.with_profile(&wanted).unwrap_or(false))
            .count() as u64
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.read().len()
    }
}
