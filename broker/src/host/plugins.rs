//! Which plugins are enabled now: at the start as the file says, later as an administrator says.
//!
//! Only what is told of them stands here; their services are started and stopped by the app.

use std::sync::Arc;

use super::{listener::Port, node::Node};
use crate::config::Plugins;

impl Node {
    /// The plugins that are enabled.
    pub fn plugins(&self) -> Arc<Plugins> {
        self.plugins.load_full()
    }

    /// Others are enabled from now on.
    pub fn set_plugins(&self, plugins: Plugins) {
        self.plugins.store(Arc::new(plugins));
        self.events().switch();
    }

    /// A port is served no longer.
    pub fn withdraw(&self, port: &Port) {
        self.ports.lock().retain(|served| served != port);
    }
}
