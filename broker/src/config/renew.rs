//! What of a configuration that was read again comes into force while the node runs, and what waits for its next start.
//!
//! Each key's row says how it is taken over, or that it is not. Nothing is applied here; a file that is wrong never gets here.

use super::keys::{Effect, keys};
use super::load::{Loaded, row};
use super::settings::Config;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What was written, the last value of each key. Some of it is secret.
#[derive(Clone, Default)]
pub struct Settings(pub(super) BTreeMap<String, String>);

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// What reading the configuration again came to.
#[derive(Debug)]
pub struct Renewed {
    /// What holds from now on.
    pub config: Config,
    /// Keys that are in force with it.
    pub in_force: Vec<String>,
    /// Keys that have changed and wait for the next start of the node.
    pub waiting: Vec<String>,
}

impl Loaded {
    /// Takes over what may change while a node runs, of what was read again. The rest stays what it was at the start.
    pub fn renew(&mut self, fresh: &Loaded) -> Renewed {
        let keys = keys();
        let (before, after) = (&mut self.written.0, &fresh.written.0);
        let (mut in_force, mut waiting) = (Vec::new(), Vec::new());
        let all: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
        let changed = all.into_iter().filter(|name| before.get(*name) != after.get(*name));
        let changed: Vec<String> = changed.cloned().collect();
        for name in changed {
            let found = row(&keys, &name).map(|index| &keys[index]);
            let honoured = found.filter(|key| matches!(key.effect, Effect::Honoured(_)));
            match honoured.map(|key| key.hot.is_some()) {
                None => {}
                Some(false) => waiting.push(name),
                Some(true) => {
                    match after.get(&name) {
                        Some(value) => before.insert(name.clone(), value.clone()),
                        None => before.remove(&name),
                    };
                    in_force.push(name);
                }
            }
        }
        for take in keys.iter().filter_map(|key| key.hot) {
            take(&mut self.config, &fresh.config);
        }
        Renewed {
            config: self.config.clone(),
            in_force,
            waiting,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Fixed, ServerArgs, load};

    fn loaded(text: &str) -> Loaded {
        let world = Fixed::new().file("/etc/rabbitmq/rabbitmq.conf", text);
        load(&ServerArgs::default(), &world).unwrap()
    }

    #[test]
    fn what_may_change_is_in_force_and_the_rest_waits_until_it_is_as_it_was() {
        let mut running = loaded("heartbeat = 30\nloopback_users.guest = false\nnet_ticktime = 6");
        let fresh = loaded("heartbeat = 20\nconsumer_timeout = 5000\nmanagement.tcp.port = 15673\nnet_ticktime = 6");
        let renewed = running.renew(&fresh);
        assert_eq!(
            renewed.in_force,
            ["consumer_timeout", "heartbeat", "loopback_users.guest"]
        );
        assert_eq!(renewed.waiting, ["management.tcp.port"]);
        let config = &renewed.config;
        assert_eq!((config.amqp.heartbeat_s, config.queues.ack_timeout.0), (20, 5000));
        assert_eq!(config.access.loopback_users.get("guest"), Some(&true));
        assert_eq!(config.management.listener.port, Some(15672));
        let again = running.renew(&fresh);
        assert_eq!(
            (again.in_force, again.waiting),
            (vec![], vec!["management.tcp.port".to_owned()])
        );
        let back = running.renew(&loaded("heartbeat = 30\nloopback_users = none"));
        assert_eq!(back.in_force, ["consumer_timeout", "heartbeat", "loopback_users"]);
        assert_eq!(back.waiting, ["net_ticktime"]);
        assert!(back.config.access.loopback_users.is_empty());
        assert_eq!(back.config.queues.ack_timeout.0, 1_800_000);
    }

    #[test]
    fn values_are_not_shown() {
        let running = loaded("default_pass = hush");
        assert!(!format!("{running:?}").contains("hush"));
    }
}
