//! What a node is told to call itself and to write on what passes: product, message of the day, tags, headers of arriving messages.
//!
//! None of it changes what the node does otherwise.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// Names and tags.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    /// The product's name; none is the broker's own.
    pub product_name: Option<String>,
    /// Its version.
    pub product_version: Option<String>,
    /// A text that is logged at every start.
    pub motd_file: Option<PathBuf>,
    /// Tags of the cluster.
    pub cluster_tags: BTreeMap<String, String>,
    /// Tags of this node.
    pub node_tags: BTreeMap<String, String>,
}

impl Shown {
    /// What the product is called, and its version.
    pub fn product(&self) -> (&str, &str) {
        let name = self.product_name.as_deref().unwrap_or("Warren");
        let version = self.product_version.as_deref().unwrap_or(env!("CARGO_PKG_VERSION"));
        (name, version)
    }
}

/// What is put into messages that arrive; none is nothing, else whether it replaces what the publisher has put there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interceptors {
    /// The time, as property and header.
    pub timestamp: Option<bool>,
    /// The node that routed the message, as header.
    pub routing_node: Option<bool>,
}

impl Interceptors {
    /// Whether messages stay as they are.
    pub fn are_none(self) -> bool {
        self == Interceptors::default()
    }
}
