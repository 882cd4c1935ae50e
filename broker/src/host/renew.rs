//! A configuration that was read again comes into force: what connections are offered, watermarks, levels of the log.
//!
//! What is looked up in the configuration when it is needed holds by itself. What an administrator has set by a command
//! stays, unless the file now says something else.

use std::sync::Arc;

use super::{node::Node, offers};
use crate::{config::Config, observe};

impl Node {
    /// From now on this configuration holds. Only what may change while a node runs differs from the one before.
    pub fn renew(&self, config: Config) {
        let before = self.config();
        self.take_config(config);
        let now = self.config();
        if before.amqp != now.amqp {
            self.limits.store(Arc::new(offers::limits(&now, false)));
            self.limits_with_certificate.store(Arc::new(offers::limits(&now, true)));
        }
        if before.resources.memory() != now.resources.memory() {
            self.set_memory_watermark(now.resources.memory());
        }
        if before.resources.disk() != now.resources.disk() {
            self.set_disk_watermark(now.resources.disk());
        }
        if before.log.all_levels() != now.log.all_levels() {
            observe::renew_log_levels(&now.log);
        }
    }
}
