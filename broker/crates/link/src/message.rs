//! What the command line asks a node, and the answers: one JSON document a frame.
//!
//! Names are plain text here; the node parses them. Variants are only ever added: a tool and a node of neighbouring
//! releases understand each other.

use crate::term::Term;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Most octets of a request.
pub const REQUEST_BYTES_MAX: usize = 1 << 20;
/// Most octets of one frame of an answer; long lists come in several.
pub const REPLY_BYTES_MAX: usize = 4 << 20;

/// Whose policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PolicyLevel {
    /// A user's.
    User,
    /// An operator's, which overrides.
    Operator,
}

/// Whose connections.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scope {
    /// Those in a virtual host.
    Vhost(String),
    /// Those of a user.
    User(String),
    /// All.
    All,
    /// Of those, the ones of the node that is asked.
    Here(Box<Scope>),
}

/// What the management API of one node is asked by another, for itself alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// `GET` or `DELETE`.
    pub method: String,
    /// Below the API's own path, with the query.
    pub path: String,
    /// In whose name; that node has let them in.
    pub user: String,
    /// Why something is closed.
    pub reason: Option<String>,
}

/// A place in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPlace {
    /// Which file, whatever its name has become.
    pub file: u64,
    /// Octets before it.
    pub at: u64,
}

/// A place in a node's events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventPlace {
    /// The node's name.
    pub node: String,
    /// The number of the next one.
    pub next: u64,
}

/// Which queues are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Which {
    /// Those of nodes that are there.
    Online,
    /// Those whose nodes are away.
    Offline,
    /// Those of the node that is asked.
    Local,
}

/// What is listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Listing {
    /// Users.
    Users,
    /// Virtual hosts.
    Vhosts,
    /// Permissions in a virtual host.
    Permissions(String),
    /// Permissions of a user.
    UserPermissions(String),
    /// Topic permissions in a virtual host.
    TopicPermissions(String),
    /// Topic permissions of a user.
    UserTopicPermissions(String),
    /// Policies of a virtual host.
    Policies(String, PolicyLevel),
    /// Parameters of a virtual host.
    Parameters(String),
    /// Global parameters.
    GlobalParameters,
    /// Limits of one virtual host, or of all that have some.
    VhostLimits(Option<String>),
    /// Limits of one user, or of all that have some.
    UserLimits(Option<String>),
    /// Queues of a virtual host.
    Queues(String),
    /// Some queues of a virtual host.
    QueuesThat(String, Which),
    /// Queues of a virtual host that do not answer within so many milliseconds, of all nodes or of the one that is asked.
    UnresponsiveQueues {
        /// Where they are.
        vhost: String,
        /// Only those of the node that is asked.
        local: bool,
        /// How long each may take.
        millis: u64,
    },
    /// Exchanges of a virtual host.
    Exchanges(String),
    /// Bindings of a virtual host.
    Bindings(String),
    /// Client connections.
    Connections,
    /// Channels.
    Channels,
    /// Consumers of a virtual host.
    Consumers(String),
    /// Feature flags.
    FeatureFlags,
    /// What is deprecated.
    DeprecatedFeatures {
        /// Those of it alone that are in use.
        used: bool,
    },
    /// Of such a list, what the node that is asked has itself.
    Here(Box<Listing>),
}

/// Queues of which type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum QueueKind {
    /// Any.
    All,
    /// Mirrored ones.
    Classic,
    /// Such as agree by majority.
    Quorum,
    /// Streams.
    Stream,
}

/// How much of memory or disk space.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Level {
    /// A share of the memory.
    Relative(f64),
    /// Octets, perhaps with a unit, as in `1GB`.
    Absolute(String),
}

/// What a node is asked to do or tell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "fields are named as the commands' arguments are")]
pub enum Request {
    /// Rows with these columns, in several answers.
    List { what: Listing, columns: Vec<String> },
    /// `add_user`
    AddUser { name: String, password: String },
    /// `delete_user`
    DeleteUser { name: String },
    /// `change_password`
    ChangePassword { name: String, password: String },
    /// `clear_password`
    ClearPassword { name: String },
    /// `authenticate_user`
    Authenticate { name: String, password: String },
    /// `set_user_tags`
    SetUserTags { name: String, tags: Vec<String> },
    /// `add_vhost`
    AddVhost {
        name: String,
        description: String,
        tags: Vec<String>,
        default_queue_type: Option<String>,
    },
    /// `delete_vhost`
    DeleteVhost { name: String },
    /// `set_vhost_tags`
    SetVhostTags { vhost: String, tags: Vec<String> },
    /// `trace_on`, `trace_off`
    Trace { vhost: String, on: bool },
    /// `set_permissions`
    SetPermissions {
        vhost: String,
        user: String,
        configure: String,
        write: String,
        read: String,
    },
    /// `clear_permissions`
    ClearPermissions { vhost: String, user: String },
    /// `set_topic_permissions`
    SetTopicPermissions {
        vhost: String,
        user: String,
        exchange: String,
        write: String,
        read: String,
    },
    /// `clear_topic_permissions`
    ClearTopicPermissions {
        vhost: String,
        user: String,
        exchange: Option<String>,
    },
    /// `set_policy`, `set_operator_policy`; the definition is JSON
    SetPolicy {
        vhost: String,
        level: PolicyLevel,
        name: String,
        pattern: String,
        apply_to: String,
        priority: i64,
        definition: String,
    },
    /// `clear_policy`, `clear_operator_policy`
    ClearPolicy {
        vhost: String,
        level: PolicyLevel,
        name: String,
    },
    /// `set_parameter`; the value is JSON
    SetParameter {
        vhost: String,
        component: String,
        name: String,
        value: String,
    },
    /// `clear_parameter`
    ClearParameter {
        vhost: String,
        component: String,
        name: String,
    },
    /// `set_global_parameter`; the value is JSON
    SetGlobalParameter { name: String, value: String },
    /// `clear_global_parameter`
    ClearGlobalParameter { name: String },
    /// `set_vhost_limits`; the limits are JSON
    SetVhostLimits { vhost: String, limits: String },
    /// `clear_vhost_limits`
    ClearVhostLimits { vhost: String },
    /// `set_user_limits`; the limits are JSON
    SetUserLimits { user: String, limits: String },
    /// `clear_user_limits`; `all` clears all
    ClearUserLimits { user: String, limit: String },
    /// `purge_queue`
    PurgeQueue { vhost: String, name: String },
    /// `delete_queue`; answers how many messages were ready
    DeleteQueue {
        vhost: String,
        name: String,
        if_empty: bool,
        if_unused: bool,
    },
    /// `sync_queue` and, not `wanted`, `cancel_sync_queue`
    SyncQueue { vhost: String, name: String, wanted: bool },
    /// `rebalance`; answers rows of node, quorum queues and mirrored queues that it leads. `here`: what the node that is asked
    /// leads itself, and the answer is the state of the definitions after that.
    Rebalance {
        kind: QueueKind,
        vhost_pattern: String,
        queue_pattern: String,
        here: bool,
    },
    /// `drain`, `revive`: the node that is asked serves no clients and leads nothing that others could, or does again.
    Maintenance { on: bool },
    /// How many mirrored queues that the node leads have no mirror in sync.
    CountUnmirrored,
    /// How many quorum queues could confirm nothing any more if the node stopped.
    CountCritical,
    /// `close_connection`
    CloseConnection { pid: String, reason: String },
    /// `close_all_connections`, `close_all_user_connections`; answers how many
    CloseConnections { scope: Scope, limit: u64, reason: String },
    /// `set_vm_memory_high_watermark`
    SetMemoryWatermark { level: Level },
    /// `set_disk_free_limit`
    SetDiskFreeLimit { level: Level },
    /// Whether the node serves clients.
    IsRunning,
    /// All that `status` shows.
    Status,
    /// The same of another node, as that one tells this one.
    StatusOf { node: String },
    /// A copy of all that the node keeps, at one moment.
    Backup,
    /// `stop`, `shutdown`: answers with the process id, then the process ends.
    Stop,
    /// Whether the node is about to serve clients.
    IsBooting,
    /// The id of the node's process.
    Pid,
    /// `start_app`
    StartApp,
    /// `stop_app`
    StopApp,
    /// `reset`, `force_reset`
    Reset { force: bool },
    /// `join_cluster`
    Join { seed: String, ram: bool },
    /// `forget_cluster_node`
    Forget { node: String, offline: bool },
    /// `update_cluster_nodes`
    UpdateNodes { seed: String },
    /// `change_cluster_node_type`
    ChangeNodeType { ram: bool },
    /// `force_boot`
    ForceBoot,
    /// `force_majority`
    ForceMajority,
    /// Who belongs to the cluster, and what all of it has.
    ClusterStatus,
    /// What the management API answers: the text in pieces, at the end the status.
    Page(Page),
    /// The plugins that there are, and which of them run.
    Plugins,
    /// These plugins shall run, and those they bring along; answers which were started and stopped.
    SetPlugins { explicit: Vec<String> },
    /// All definitions as JSON: rows of one text each, which put together are the document.
    ExportDefinitions,
    /// A piece of a definitions file that is to be imported.
    DefinitionsPiece { text: String },
    /// The definitions file is whole: import it.
    ImportDefinitions,
    /// `enable_feature_flag`
    EnableFeatureFlag { name: String },
    /// `set_log_level`
    SetLogLevel { level: String },
    /// The last lines of the log file.
    LogTail { lines: u64 },
    /// The settings that are in force.
    Environment,
    /// Mirrored queues that would lose messages if this node stopped; nothing if the node is alone.
    MirrorSyncCritical,
    /// Quorum queues that would lose their majority if this node stopped; nothing if the node is alone.
    QuorumCritical,
    /// The certificates of the TLS listeners.
    Certificates,
    /// The versions of TLS and the cipher suites that there are.
    TlsFeatures,
    /// Log-ins that were tried, by protocol or by who tried.
    AuthAttempts { by_source: bool },
    /// Whether it is told apart who tries to log in.
    TrackAuthSources { wanted: bool },
    /// They are counted anew.
    ResetAuthAttempts,
    /// A password as it is kept.
    HashPassword { password: String },
    /// The addresses of a host, as the node's system knows them.
    Resolve { host: String, family: u8 },
    /// `update_vhost_metadata`; what is not said stays.
    UpdateVhost {
        name: String,
        description: Option<String>,
        tags: Option<Vec<String>>,
        default_queue_type: Option<String>,
    },
    /// Most channels that connections are offered from now on.
    SetChannelMax { channels: u16 },
    /// An alarm set by hand, until it is cleared by hand.
    ForceAlarm { resource: String, on: bool },
    /// The definitions file is whole: import it, unless it is the one that was imported last in this way.
    ImportChangedDefinitions,
    /// `add_member`
    AddMember { vhost: String, name: String, node: String },
    /// `delete_member`
    DeleteMember { vhost: String, name: String, node: String },
    /// `grow`; answers rows of virtual host, queue, number of members and what came of it.
    GrowMembers {
        node: String,
        even: bool,
        vhost_pattern: String,
        queue_pattern: String,
    },
    /// `shrink`; answers the same.
    ShrinkMembers { node: String },
    /// `quorum_status`; answers rows of node, state, last operation in memory, last on disk, and the reign.
    QuorumStatus { vhost: String, name: String },
    /// `suspend_listeners`, `resume_listeners`
    SuspendListeners { suspended: bool },
    /// Freed memory goes back to the system.
    ReclaimMemory,
    /// `reclaim_quorum_memory`: what a quorum queue has in memory goes into the store.
    ReclaimQueueMemory { vhost: String, name: String },
    /// The variables that the node was started with; no secrets.
    Variables,
    /// `peek`: the ready message of a quorum queue that is served after `place` others; nothing is taken.
    PeekQueue { vhost: String, name: String, place: u64 },
    /// `list_network_interfaces`; answers a map of maps, in which an address, its mask and the like may come often.
    NetworkInterfaces,
    /// `resolver_info`
    Resolver,
    /// `discover_peers`; answers the names.
    DiscoverPeers,
    /// `log_tail_stream`: what was logged since a place in the log, or nothing but the place that its end is now; answers
    /// `file`, `at` and `lines`.
    LogSince { place: Option<LogPlace> },
    /// `enable_vhost_protection_from_deletion` and its opposite.
    ProtectVhost { vhost: String, on: bool },
    /// `consume_event_stream`: what has happened in the cluster since the last answer, which says where to go on. At first, without
    /// places, nothing is told; answers `places`, `missed` and `events`.
    Events { places: Vec<EventPlace> },
    /// What has happened on the node that is asked; answers `node`, `next`, `missed` and `events`.
    OwnEvents { from: Option<u64> },
    /// Whether the cluster has the size that it shall have; answers `reached`, `online` and `target`.
    ClusterSize,
}

/// Why a request is refused, as far as tools tell it apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "a word and a text are what they are called")]
pub enum Failure {
    /// The user exists.
    UserExists(String),
    /// No such user.
    NoSuchUser(String),
    /// No such virtual host.
    NoSuchVhost(String),
    /// No such thing, the request says what.
    NotFound,
    /// Name and password do not belong together.
    WrongPassword,
    /// A pattern that does not compile: pattern, reason.
    BadPattern(String, String),
    /// A text that is no JSON.
    BadJson,
    /// The queue has consumers.
    InUse,
    /// The queue has messages.
    NotEmpty,
    /// Refused for another reason, in RabbitMQ's words where it has some.
    Refused(String),
    /// A request that this node does not know.
    Unknown,
    /// The app must run for this.
    AppStopped,
    /// The app must be stopped for this.
    AppRunning,
    /// The process must be stopped for this.
    ProcessRunning,
    /// What RabbitMQ says of a cluster as a word and a sentence.
    Cluster { word: String, text: String },
    /// Another node cannot be reached by this one.
    Unreachable(String),
}

/// One frame of an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "fields are named in the sentence above them")]
pub enum Reply {
    /// Rows of a list; more follow.
    Rows(Vec<Vec<Term>>),
    /// A copy of the node follows, of so many files and octets.
    Image { files: u64, octets: u64 },
    /// One of its files follows, in pieces.
    File { path: String, octets: u64 },
    /// A piece: so many octets, as they are, in a frame of their own.
    Octets(u64),
    /// The end: it is done, and this is what it answers.
    Done(Term),
    /// The end: refused.
    Failed(Failure),
}

/// A message as the content of a frame.
///
/// # Errors
/// When it cannot be written as JSON, which no message here is.
pub fn encode(message: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(message)
}

/// A message out of the content of a frame. JSON deeper than the parser's bound of 128 is refused.
///
/// # Errors
/// When it is none.
pub fn decode<T: DeserializeOwned>(content: &[u8]) -> serde_json::Result<T> {
    serde_json::from_slice(content)
}
