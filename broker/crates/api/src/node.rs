//! Nodes, their listeners and what they offer. A stopped node has little more than a name.
//! Numbers that only an Erlang runtime has are left out rather than invented.

use crate::Rate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Something with a name and a description: exchange types, ways to log in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Described {
    /// Name.
    pub name: String,
    /// For people.
    pub description: String,
    /// Whether it can be used.
    pub enabled: bool,
}

/// A part of the broker with its version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Application {
    /// Name.
    pub name: String,
    /// For people.
    pub description: String,
    /// Version.
    pub version: String,
}

/// A listener.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Listener {
    /// Node.
    pub node: String,
    /// Such as `amqp` or `http`.
    pub protocol: String,
    /// Interface; `::` is every one.
    pub ip_address: String,
    /// Port.
    pub port: u16,
    /// Options; an empty list when there are none.
    pub socket_opts: Value,
}

/// An HTTP application.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Context {
    /// Node; left out in a node's own list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// For people.
    pub description: String,
    /// Path.
    pub path: String,
    /// Port, as text.
    pub port: String,
    /// TLS options; an empty list when there are none, left out in a node's own list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssl_opts: Option<Value>,
}

/// What happened to the files of messages. Times are milliseconds in the mean, sizes octets.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct NodeIo {
    /// Reads.
    pub io_read_count: u64,
    /// Octets of them.
    pub io_read_bytes: u64,
    /// Time that one takes.
    pub io_read_avg_time: f64,
    /// Writes.
    pub io_write_count: u64,
    /// Octets of them.
    pub io_write_bytes: u64,
    /// Time that one takes.
    pub io_write_avg_time: f64,
    /// Syncs.
    pub io_sync_count: u64,
    /// Time that one takes.
    pub io_sync_avg_time: f64,
}

/// `GET /nodes/{node}`. Times are milliseconds, sizes octets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Node {
    /// `rabbit@host`.
    pub name: String,
    /// `disc` or `ram`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether it runs.
    pub running: bool,
    /// Whether it is out of service; only said when it is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub being_drained: bool,
    /// Since its start.
    pub uptime: u64,
    /// Tasks that wait for a processor.
    pub run_queue: u64,
    /// Processors it may use.
    pub processors: u64,
    /// Process id, as text.
    pub os_pid: String,
    /// Open file descriptors.
    pub fd_used: u64,
    /// How that changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fd_used_details: Option<Rate>,
    /// How many there may be.
    pub fd_total: u64,
    /// Open client sockets.
    pub sockets_used: u64,
    /// How that changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sockets_used_details: Option<Rate>,
    /// How many there may be.
    pub sockets_total: u64,
    /// Memory in use.
    pub mem_used: u64,
    /// Its change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mem_used_details: Option<Rate>,
    /// Above this, publishers are blocked.
    pub mem_limit: u64,
    /// Whether they are.
    pub mem_alarm: bool,
    /// `rss`.
    pub mem_calculation_strategy: String,
    /// Free disk.
    pub disk_free: u64,
    /// Its change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_free_details: Option<Rate>,
    /// Below this, publishers are blocked.
    pub disk_free_limit: u64,
    /// Whether they are.
    pub disk_free_alarm: bool,
    /// Tasks in use.
    pub proc_used: u64,
    /// How that changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proc_used_details: Option<Rate>,
    /// How many there may be.
    pub proc_total: u64,
    /// Nodes that cannot be reached.
    pub partitions: Vec<String>,
    /// `basic` or `none`.
    pub rates_mode: String,
    /// Seconds until a silent peer counts as gone.
    pub net_ticktime: u64,
    /// Data directory.
    pub db_dir: String,
    /// Log files, or `<stdout>`.
    pub log_files: Vec<String>,
    /// Configuration files that were read.
    pub config_files: Vec<String>,
    /// Plugins named in the plugins file.
    pub enabled_plugins: Vec<String>,
    /// Parts with their versions.
    pub applications: Vec<Application>,
    /// Ways to log in.
    pub auth_mechanisms: Vec<Described>,
    /// Exchange types.
    pub exchange_types: Vec<Described>,
    /// HTTP applications.
    pub contexts: Vec<Context>,
    /// Links to other nodes.
    pub cluster_links: Vec<Value>,
    /// How often the messages' files were read, written and synced, for how many octets and how long.
    #[serde(flatten)]
    pub io: NodeIo,
    /// Pages of messages that came back into memory.
    #[serde(default)]
    pub msg_store_read_count: u64,
    /// Pages of messages that left memory.
    #[serde(default)]
    pub msg_store_write_count: u64,
    /// Channels opened since the start.
    #[serde(default)]
    pub channel_created: u64,
    /// Channels closed.
    #[serde(default)]
    pub channel_closed: u64,
    /// Connections opened.
    #[serde(default)]
    pub connection_created: u64,
    /// Connections closed.
    #[serde(default)]
    pub connection_closed: u64,
    /// Queues declared, new or not.
    #[serde(default)]
    pub queue_declared: u64,
    /// Queues created.
    #[serde(default)]
    pub queue_created: u64,
    /// Queues deleted.
    #[serde(default)]
    pub queue_deleted: u64,
}
