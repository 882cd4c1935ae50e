//! Nodes, their listeners and what they offer. A stopped node has little more than a name.
//! Numbers that only an Erlang runtime has are left out rather than invented.

use crate::{MeanTime, Rate, Rates};
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

/// How long a read, a write and a sync of the files of messages take in the mean: milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct NodeIo {
    /// A read.
    pub io_read_avg_time: f64,
    /// How that changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub io_read_avg_time_details: Option<MeanTime>,
    /// A write.
    pub io_write_avg_time: f64,
    /// How that changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub io_write_avg_time_details: Option<MeanTime>,
    /// A sync.
    pub io_sync_avg_time: f64,
    /// How that changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub io_sync_avg_time_details: Option<MeanTime>,
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
    /// Whether it is out of service. RabbitMQ says so in later releases than 3.10; clients of today cannot do without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub being_drained: Option<bool>,
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
    /// What the memory is used for, in octets; with `memory=true` alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Value>,
    /// What of it are bodies of messages, in octets; with `binary=true` alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binary: Option<Value>,
    /// How long the messages' files take to be read, written and synced.
    #[serde(flatten)]
    pub io: NodeIo,
    /// What came and went, and how often files were read, written and synced, since the start.
    #[serde(flatten)]
    pub counts: Rates,
}
