//! Where publishes to each exchange and in each virtual host are counted: entered when it begins, dropped when it ends.
//!
//! Part of the published state, so that a route finds its counters without a lock. It decides nothing.

use catalog::{Event, ExchangeRecord};
use model::{ExchangeName, VhostName};
use std::sync::Arc;

use super::counters::{ExchangeCounters, VhostCounters};

/// The counters of all exchanges and virtual hosts.
#[derive(Clone, Debug, Default)]
pub struct Exchanges {
    counters: imbl::OrdMap<(VhostName, ExchangeName), Arc<ExchangeCounters>>,
    vhosts: imbl::OrdMap<VhostName, Arc<VhostCounters>>,
    /// The id that was given last.
    last: u64,
}

impl Exchanges {
    /// Those of an exchange.
    pub fn get(&self, vhost: &VhostName, exchange: &ExchangeName) -> Option<Arc<ExchangeCounters>> {
        self.counters.get(&(vhost.clone(), exchange.clone())).cloned()
    }

    /// Whose counters have this id.
    pub fn with_id(&self, id: u64) -> Option<(VhostName, ExchangeName)> {
        let mut all = self.counters.iter();
        all.find(|(_, counters)| counters.id == id).map(|(key, _)| key.clone())
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Arc<ExchangeCounters>> {
        self.counters.values()
    }

    /// Those of a virtual host.
    pub fn of_vhost(&self, vhost: &VhostName) -> Option<Arc<VhostCounters>> {
        self.vhosts.get(vhost).cloned()
    }

    /// Those of all virtual hosts.
    pub fn all_vhosts(&self) -> impl Iterator<Item = &Arc<VhostCounters>> {
        self.vhosts.values()
    }

    /// A virtual host begins.
    pub fn open_vhost(&mut self, vhost: &VhostName) {
        self.last += 1;
        self.vhosts
            .insert(vhost.clone(), Arc::new(VhostCounters::new(self.last)));
    }

    /// An exchange begins.
    pub fn open(&mut self, record: &ExchangeRecord) {
        self.last += 1;
        let key = (record.vhost.clone(), record.name.clone());
        self.counters.insert(key, Arc::new(ExchangeCounters::new(self.last)));
    }

    /// Exchanges begin and end with the catalogue.
    pub fn follow(&mut self, event: &Event) {
        match event {
            Event::ExchangeDeclared(record) => self.open(record),
            Event::ExchangeDeleted(record) => {
                self.counters.remove(&(record.vhost.clone(), record.name.clone()));
            }
            Event::VhostCreated(vhost) => self.open_vhost(vhost),
            Event::VhostDeleted(vhost) => self.close_vhost(vhost),
            _ => {}
        }
    }

    fn close_vhost(&mut self, vhost: &VhostName) {
        let own = self.counters.keys().filter(|(own, _)| own == vhost);
        let gone: Vec<_> = own.cloned().collect();
        gone.iter().for_each(|key| drop(self.counters.remove(key)));
        self.vhosts.remove(vhost);
    }
}
