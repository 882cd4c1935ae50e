//! How a blank node finds the cluster that it shall join: settings only, `process` obeys them.

use super::value::{Milliseconds, Value, words};
use std::collections::BTreeMap;

words! {
    /// Where a blank node looks for others.
    Discovery {
        /// In a list.
        ClassicConfig = "classic_config",
        /// In the addresses of a host name.
        Dns = "dns",
        /// In the names that a StatefulSet gives to its pods.
        Kubernetes = "k8s",
    }
}

words! {
    /// What a node that joins becomes.
    NodeType {
        /// It may decide.
        Disc = "disc",
        /// It only listens.
        Ram = "ram",
    }
}

/// The name of a backend, long or short.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backend(pub(super) Discovery);

impl Value for Backend {
    const KIND: &'static str = Discovery::KIND;
    fn read(text: &str) -> Result<Self, String> {
        match text.strip_prefix("rabbit_peer_discovery_").unwrap_or(text) {
            "kubernetes" => Ok(Backend(Discovery::Kubernetes)),
            name @ ("consul" | "etcd" | "aws") => Err(format!(
                "{name} is not supported: must be {}; a host name with an address for each node (dns) does for any of them",
                Self::KIND
            )),
            word => Discovery::read(word).map(Backend),
        }
    }
}

/// What is set of it.
#[derive(Clone, Debug, Default)]
pub struct Formation {
    /// Where to look.
    pub discovery: Discovery,
    /// The nodes of the list, by the words behind `nodes`.
    pub nodes: BTreeMap<String, String>,
    /// The host name whose addresses are the nodes'.
    pub hostname: Option<String>,
    /// What this node becomes.
    pub node_type: NodeType,
    /// The ordinal of the pod that begins the cluster.
    pub first_ordinal: u32,
    /// Looks before a node that may not begin gives up.
    pub looks_max: u32,
    /// Pause between two looks.
    pub pause: Milliseconds,
    /// Members that the cluster shall have.
    pub members_wanted: u32,
}
