//! What a node tells on its admin port about the cluster it belongs to.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `GET /cluster`: the cluster as this node has applied it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Membership {
    /// Drawn when the cluster was formed; never another afterwards.
    pub cluster_id: String,
    /// The node that tells, `rabbit@host`.
    pub node: String,
    /// True while it may serve clients: it hears of a majority.
    pub serving: bool,
    /// It was taken out of service, and serves no clients until it is put back or starts anew.
    #[serde(default)]
    pub maintenance: bool,
    /// Whether it is to leave the cluster; missing while its app is stopped, and from a release that does not know of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaving: Option<Leaving>,
    /// Its alarms, `memory` and `disk`; publishers are blocked while there is one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alarms: Vec<String>,
    /// Nodes to which it asked for TLS and then spoke without.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without_tls: Vec<String>,
    /// What the operator calls the settings that it last had this process take over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<String>,
    /// The feature level that every member must understand; 0 if the node does not know.
    #[serde(default)]
    pub feature_level: u32,
    /// That stays so, whatever members understand, and they can go back to the release before.
    #[serde(default)]
    pub feature_level_held: bool,
    /// The feature level that the node's program understands.
    #[serde(default)]
    pub understands: u32,
    /// The node that leads the definitions, if this one hears of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leader: Option<String>,
    /// SHA-256, in lower-case hexadecimal digits, of the certificate that AMQP clients are shown; missing without TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// All nodes of the cluster, by name.
    pub members: Vec<ClusterMember>,
}

/// `GET`, `PUT` and `DELETE /maintenance`: whether the node is out of service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Maintenance {
    /// It serves no clients.
    pub under_maintenance: bool,
    /// Queues with copies elsewhere that it leads: such as no other node could without a loss, once it is out of service.
    pub leads: u64,
}

/// `GET`, `PUT` and `DELETE /leaving`: whether the node is to leave the cluster. What is marked gets nothing new, and others get copies of what it has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Leaving {
    /// It is to leave.
    pub is_marked: bool,
    /// Queues with copies there of which others come to have the copy, or to lead them.
    pub left: u64,
}

/// `POST /leader`: another node is to lead the definitions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeaderOrder {
    /// This one, by name; any but the one that is asked if none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Say who would, and do nothing.
    #[serde(default)]
    pub dry_run: bool,
}

/// The answer to it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Led {
    /// The node that leads now, or would.
    pub leader: String,
    /// It did not before.
    pub moves: bool,
}

/// `GET /links`: who has come in at the peer port, and how certificates were read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Links {
    /// What other nodes have opened and is open still. What this one has opened they tell.
    pub links: Vec<PeerLink>,
    /// How the files were read last, by how the settings begin that name them; without TLS there are none.
    pub certificates: BTreeMap<String, Reading>,
}

/// Connections of one kind from another node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerLink {
    /// The node, by name.
    pub node: String,
    /// What for: `node`, `client` (a leg), or `mirror`.
    pub channel: String,
    /// Which secret was proven, as it is called now: `current`, `next`, `previous`, or `withdrawn` when it is accepted no more.
    pub secret: String,
    /// How many.
    pub count: u64,
}

/// What became of certificates that were read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// When, in seconds since 1970.
    pub at: u64,
    /// Why they cannot be used: those from before are still.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// `PUT /evacuation`: queues with one copy are to move to other nodes. Good for a minute.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvacuationOrder {
    /// To these, by name; to any if none is named.
    pub to: BTreeSet<String>,
}

/// `GET` and `PUT /evacuation`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evacuation {
    /// Queues with one copy that the node leads and that others could.
    pub left: u64,
}

/// `GET` and `PUT /feature-level`: whether the feature level stays what it is. `PUT` needs that alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeatureLevel {
    /// It stays; else it rises as soon as every member understands more, and from then on no member can go back to a release that does not.
    pub held: bool,
    /// What every member must understand.
    #[serde(default)]
    pub level: u32,
}

/// `GET /changes?since=MARK`: answered when something has changed that whoever looks after the cluster would act on, or after a while.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// To be asked with the next time. Another one than before means that something has changed, or that another process answers.
    pub mark: String,
}

/// `GET /copies`: queues of which the node has a copy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copies {
    /// Queues that it leads.
    pub masters: u64,
    /// Queues of others that it mirrors.
    pub mirrors: u64,
    /// Of these, those that it is not in sync with.
    pub unsynced: u64,
    /// Queues that it leads and policies mirror, of which no mirror that runs is in sync.
    pub at_risk: u64,
}

/// A node of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClusterMember {
    /// `rabbit@host`.
    pub name: String,
    /// Its identity; another disk is another one.
    pub uuid: String,
    /// Not known to be gone.
    pub up: bool,
    /// Whether it has a vote on the definitions; missing from a release that does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voter: Option<bool>,
}
