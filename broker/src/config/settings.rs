//! The one typed configuration that everything else is started from.
//!
//! Fields hold values that were checked; what they are when nobody sets them is said in the table of keys alone.
//! The host must honour every field of it, or refuse to start and say which.

use super::node::{DataDirectory, NodeName};
use super::plugins::Plugins;
use super::rotation::Rotation;
use super::value::{ByteSize, Limit, ListenAddress, Milliseconds, Pattern, Secret, Share, Watermark, words};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use crate::cluster::lease::Patience;

/// Everything that a node is told at its start.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Who this node is and where its things are.
    pub node: Node,
    /// How a blank node finds its cluster.
    pub formation: super::formation::Formation,
    /// AMQP listeners and their sockets.
    pub listeners: Listeners,
    /// Limits of AMQP connections and channels.
    pub amqp: Amqp,
    /// Who may log in, and what a blank node has.
    pub access: Access,
    /// Levels that raise alarms.
    pub resources: Resources,
    /// Queues.
    pub queues: Queues,
    /// The management plugin's HTTP API.
    pub management: Management,
    /// The Prometheus endpoint.
    pub prometheus: Prometheus,
    /// The admin port: probes open, all else proven by the cluster secret.
    pub admin: ListenAddress,
    /// Where log lines go.
    pub log: Log,
    /// What opens encrypted settings.
    pub decoder: Box<super::decoder::Decoder>,
    /// Definitions to import at start.
    pub definitions: Box<super::definitions::StartDefinitions>,
    /// Plugins that are enabled.
    pub plugins: Plugins,
    /// What every new virtual host gets.
    pub new_vhosts: Box<super::new_vhosts::NewVhosts>,
    /// What the node calls itself, and tags.
    pub shown: Box<super::shown::Shown>,
    /// What is put into messages that arrive.
    pub interceptors: super::shown::Interceptors,
    /// Where events are published; none: in the default virtual host.
    pub event_vhost: Option<String>,
}

/// Identity and places.
#[derive(Clone, Debug, Default)]
pub struct Node {
    /// `rabbit@host`.
    pub name: NodeName,
    /// The node's own directory.
    pub data: DataDirectory,
    /// Home of the user that runs the node: the place of `.erlang.cookie`.
    pub home: Option<PathBuf>,
    /// Directory with the cluster secret's files `current`, `next`, `previous`.
    pub secret_directory: Option<PathBuf>,
    /// The secret given by environment variable.
    pub cookie: Option<Secret>,
    /// Port for peers and the command line; 0 until it is known.
    pub peer_port: u16,
    /// The last one that may be tried instead.
    pub peer_port_last: u16,
    /// Its interface; none is every one.
    pub peer_ip: Option<IpAddr>,
    /// Whether nodes speak TLS to each other.
    pub peer_tls: BetweenNodes,
    /// With which certificates.
    pub peer_tls_options: TlsOptions,
    /// The name service of this host.
    pub names: NameService,
    /// Seconds of silence after which a node is taken for dead.
    pub down_after: u32,
    /// How long a node serves without hearing of a majority; none is as long as the above allows.
    pub lease: Option<Milliseconds>,
    /// What both come to.
    pub patience: Patience,
    /// How long a node that is told to end waits for mirrors.
    pub drain_timeout: Milliseconds,
    /// Name of the cluster; none is the name of the first node.
    pub cluster_name: Option<String>,
    /// Configuration files that were read, in order.
    pub config_files: Vec<PathBuf>,
    /// The `enabled_plugins` file.
    pub enabled_plugins_file: PathBuf,
    /// The variables that were set, by their full names; secrets are left out.
    pub variables: BTreeMap<String, String>,
    /// Where the service manager listens that has started the process.
    pub notify_socket: Option<String>,
    /// Where the process id is written; none is nowhere.
    pub pid_file: Option<PathBuf>,
}

/// Where nodes of a host find each other's ports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NameService {
    /// Its port, on every host.
    pub port: u16,
    /// Interfaces beside this host's own; none are all.
    pub addresses: Vec<IpAddr>,
}

/// AMQP listeners.
#[derive(Clone, Debug, Default)]
pub struct Listeners {
    /// Plain listeners by name.
    pub tcp: BTreeMap<String, ListenAddress>,
    /// TLS listeners by name.
    pub tls: BTreeMap<String, ListenAddress>,
    /// Options of the TLS listeners.
    pub tls_options: TlsOptions,
    /// Longest TLS handshake.
    pub tls_handshake_timeout: Milliseconds,
    /// Whether every connection starts with a PROXY protocol header.
    pub proxy_protocol: bool,
    /// Most connections of each listener; further ones wait to be accepted.
    pub connections_max: Limit<u64>,
    /// Options of accepted sockets.
    pub socket: SocketOptions,
}

/// Options of accepted sockets.
#[derive(Clone, Debug, Default)]
pub struct SocketOptions {
    /// Connections that wait to be accepted.
    pub backlog: i32,
    /// Whether small writes leave at once.
    pub nodelay: bool,
    /// Whether TCP keep-alive probes are sent.
    pub keepalive: bool,
    /// Whether closing waits for unsent octets.
    pub linger: bool,
    /// How long it waits, in seconds.
    pub linger_s: u16,
    /// Kernel's send buffer; none is the system's choice.
    pub send_buffer: Option<ByteSize>,
    /// Kernel's receive buffer; none is the system's choice.
    pub receive_buffer: Option<ByteSize>,
}

impl SocketOptions {
    /// The system's own choices, with so many connections that may wait to be accepted.
    pub fn waiting(backlog: i32) -> Self {
        SocketOptions {
            backlog,
            ..SocketOptions::default()
        }
    }
}

/// Certificates and what is asked of the peer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsOptions {
    /// Certificates that peers are checked against.
    pub ca_file: Option<PathBuf>,
    /// Our certificate chain.
    pub cert_file: Option<PathBuf>,
    /// Our private key.
    pub key_file: Option<PathBuf>,
    /// Whether a peer's certificate is checked.
    pub verify: Verify,
    /// Whether a peer must have a certificate.
    pub peer_cert_required: bool,
    /// Versions by name; empty is every version that is safe.
    pub versions: BTreeMap<String, TlsVersion>,
}

words! {
    /// Whether nodes speak TLS to each other.
    BetweenNodes {
        /// They do not.
        None = "none",
        /// They ask for TLS and go without where there is none, and take both: for a change node by node.
        Offered = "offered",
        /// Nothing else.
        Required = "required",
    }
}

words! {
    /// Whether a peer's certificate is checked.
    Verify {
        /// Not asked for.
        None = "verify_none",
        /// Asked for, and checked when given.
        Peer = "verify_peer",
    }
}

words! {
    /// Versions of TLS that are safe to offer.
    TlsVersion {
        /// TLS 1.3
        V13 = "tlsv1.3",
        /// TLS 1.2
        V12 = "tlsv1.2",
    }
}

/// Limits of AMQP connections.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Amqp {
    /// Longest time until the connection is open.
    pub handshake_timeout: Limit<Milliseconds>,
    /// Heartbeat that is offered, in seconds; 0 is off.
    pub heartbeat_s: u16,
    /// Largest frame that is offered; 0 is without limit.
    pub frame_bytes_max: u32,
    /// Largest frame before tuning.
    pub initial_frame_bytes_max: u32,
    /// Most channels of a connection; 0 is without limit.
    pub channels_max: u16,
    /// Most channels of this node.
    pub node_channels_max: Limit<u64>,
    /// Most consumers of a channel.
    pub channel_consumers_max: Limit<u64>,
    /// Most connections of this node.
    pub connections_max: Limit<u64>,
    /// Largest message body.
    pub message_bytes_max: ByteSize,
}

/// Users and what is checked of them.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// User that a blank node creates.
    pub default_user: String,
    /// Its password.
    pub default_pass: Secret,
    /// Virtual host that a blank node creates.
    pub default_vhost: String,
    /// Its tags; false takes one away.
    pub default_tags: BTreeMap<String, bool>,
    /// What it may configure.
    pub default_configure: Pattern,
    /// What it may write to.
    pub default_write: Pattern,
    /// What it may read from.
    pub default_read: Pattern,
    /// Users that may only come from this host; false means from anywhere.
    pub loopback_users: BTreeMap<String, bool>,
    /// Mechanisms that are offered, in the order of their names.
    pub mechanisms: BTreeMap<String, Mechanism>,
    /// What in a client's certificate names the user.
    pub certificate_name: CertificateName,
    /// Which type of alternative name does.
    pub san_type: SanType,
    /// Which one of that type, from 0.
    pub san_index: u32,
    /// How new passwords are hashed.
    pub password_hashing: PasswordHashing,
    /// What a new password must be.
    pub credential_validator: CredentialValidator,
    /// Fewest characters of a password, for the validator that counts.
    pub password_length_min: u32,
    /// What a password must match, for the validator that matches.
    pub password_pattern: Pattern,
    /// Most virtual hosts.
    pub vhosts_max: Limit<u64>,
    /// Most runtime parameters of a component.
    pub parameters_max: BTreeMap<String, u64>,
}

words! {
    /// Ways to log in.
    Mechanism {
        /// User and password.
        Plain = "PLAIN",
        /// The same in a table.
        AmqPlain = "AMQPLAIN",
        /// The client's certificate, over TLS.
        External = "EXTERNAL",
    }
}

words! {
    /// What in a client's certificate names the user.
    CertificateName {
        /// The whole subject.
        DistinguishedName = "distinguished_name",
        /// Its common name.
        CommonName = "common_name",
        /// A subject alternative name.
        SubjectAlternativeName = "subject_alternative_name",
    }
}

words! {
    /// Types of subject alternative names.
    SanType {
        /// Host name.
        Dns = "dns",
        /// Internet address, as text.
        Ip = "ip",
        /// Mail address.
        Email = "email",
        /// Resource identifier.
        Uri = "uri",
        /// Text under an object identifier.
        OtherName = "other_name",
    }
}

words! {
    /// Hashes of new passwords.
    PasswordHashing {
        /// SHA-256
        Sha256 = "rabbit_password_hashing_sha256",
        /// SHA-512
        Sha512 = "rabbit_password_hashing_sha512",
        /// MD5, for old definitions only
        Md5 = "rabbit_password_hashing_md5",
    }
}

words! {
    /// What a new password must be.
    CredentialValidator {
        /// Anything.
        AcceptEverything = "rabbit_credential_validator_accept_everything",
        /// At least so long.
        MinLength = "rabbit_credential_validator_min_password_length",
        /// A match of a pattern.
        Pattern = "rabbit_credential_validator_password_regexp",
    }
}

/// Levels that raise alarms.
#[derive(Clone, Debug, Default)]
pub struct Resources {
    /// Share of the memory that may be used.
    pub memory_relative: Share,
    /// Octets that may be used; wins over the share.
    pub memory_absolute: Option<ByteSize>,
    /// Share of that above which messages leave memory.
    pub paging_ratio: Share,
    /// Memory that the node may count on; none is what the system or its cgroup grants.
    pub memory_total: Option<ByteSize>,
    /// How often memory is measured.
    pub memory_interval: Milliseconds,
    /// Octets that must stay free on the disk.
    pub disk_absolute: ByteSize,
    /// The same as a share of the memory; wins over the octets.
    pub disk_relative: Option<Share>,
}

impl Resources {
    /// Above this, publishers are blocked.
    pub fn memory(&self) -> Watermark {
        self.memory_absolute
            .map_or(Watermark::Relative(self.memory_relative.0), Watermark::Absolute)
    }

    /// Below this much free disk, publishers are blocked.
    pub fn disk(&self) -> Watermark {
        self.disk_relative
            .map_or(Watermark::Absolute(self.disk_absolute), |share| {
                Watermark::Relative(share.0)
            })
    }
}

/// Queues.
#[derive(Clone, Debug, Default)]
pub struct Queues {
    /// Longest time that a delivery may stay without acknowledgement.
    pub ack_timeout: Milliseconds,
    /// How often deliveries over that time are looked for.
    pub ack_look: Milliseconds,
    /// The type of queues in new virtual hosts that are declared without one.
    pub default_type: DefaultQueueType,
    /// Where the leader of a new queue is placed.
    pub leader_locator: LeaderLocator,
    /// Most queues.
    pub queues_max: Limit<u64>,
    /// Most exchanges.
    pub exchanges_max: Limit<u64>,
}

words! {
    /// The type that queues have unless they ask for another.
    DefaultQueueType {
        /// On one node, or mirrored by policies.
        Classic = "classic",
        /// With members on a majority of which everything is.
        Quorum = "quorum",
    }
}

words! {
    /// Placement of new leaders.
    LeaderLocator {
        /// On the node that the client is connected to.
        ClientLocal = "client-local",
        /// On the node with the fewest.
        Balanced = "balanced",
        /// The older word for balanced.
        MinMasters = "min-masters",
        /// Anywhere.
        Random = "random",
    }
}

/// An HTTP listener, plain and with TLS.
#[derive(Clone, Debug, Default)]
pub struct Listener {
    /// Interface of the plain port; none is every interface.
    pub ip: Option<IpAddr>,
    /// Plain port; none is off.
    pub port: Option<u16>,
    /// Interface of the TLS port.
    pub tls_ip: Option<IpAddr>,
    /// TLS port; none is no TLS.
    pub tls_port: Option<u16>,
    /// Options of the TLS port.
    pub tls_options: TlsOptions,
    /// Bounds of the plain port's connections.
    pub bounds: HttpBounds,
    /// Bounds of the TLS port's connections.
    pub tls_bounds: HttpBounds,
}

/// What a client of an HTTP port may take of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpBounds {
    /// Longest time for a request's head, and longest time between two requests.
    pub head: Milliseconds,
    /// Longest time from a request's head to the response's head.
    pub request: Milliseconds,
    /// Longest time in which a client takes nothing of a response.
    pub stall: Milliseconds,
    /// Most connections at once; further ones wait to be accepted.
    pub connections_max: Limit<u64>,
}

impl Default for HttpBounds {
    /// For ports without keys of their own; those of the keys are said in their table.
    fn default() -> Self {
        HttpBounds {
            head: Milliseconds(30_000),
            request: Milliseconds(300_000),
            stall: Milliseconds(60_000),
            connections_max: Limit::Max(1024),
        }
    }
}

impl Listener {
    /// The plain listener.
    pub fn plain(&self) -> Option<ListenAddress> {
        self.port.map(|port| ListenAddress { ip: self.ip, port })
    }

    /// The TLS listener.
    pub fn tls(&self) -> Option<ListenAddress> {
        self.tls_port.map(|port| ListenAddress { ip: self.tls_ip, port })
    }
}

/// The management plugin.
#[derive(Clone, Debug, Default)]
pub struct Management {
    /// Where it listens.
    pub listener: Listener,
    /// Put before every path.
    pub path_prefix: String,
    /// Largest request body.
    pub body_bytes_max: ByteSize,
    /// Whether rates are kept.
    pub rates_mode: RatesMode,
    /// Whether statistics are left out of answers.
    pub disable_stats: bool,
    /// Whether queues keep their totals without statistics.
    pub enable_queue_totals: bool,
    /// Origins that browsers may call from.
    pub cors_origins: BTreeMap<String, String>,
    /// How long browsers may remember that, in seconds.
    pub cors_age_s: u32,
    /// Response headers that are always sent, by name.
    pub headers: BTreeMap<&'static str, String>,
    /// Whether operator policies cannot be changed over HTTP.
    pub operator_policies_frozen: bool,
    /// Members of quorum queues cannot be changed.
    pub replica_operations_frozen: bool,
}

words! {
    /// Whether rates are kept.
    RatesMode {
        /// Rates of objects.
        Basic = "basic",
        /// Rates, and what goes between objects.
        Detailed = "detailed",
        /// No rates.
        None = "none",
    }
}

/// The Prometheus endpoint.
#[derive(Clone, Debug, Default)]
pub struct Prometheus {
    /// Where it listens.
    pub listener: Listener,
    /// Path of the aggregated metrics.
    pub path: String,
    /// Whether that path gives one series per object.
    pub per_object: bool,
}

/// Where log lines go.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// Folder of log files.
    pub directory: PathBuf,
    /// The console, when it is asked for.
    pub console: Console,
    /// The log file.
    pub file: LogFile,
    /// The exchange.
    pub exchange: LogExchange,
    /// Level of a category: `default`, `connection`, `channel`, `queue` and so on.
    pub levels: BTreeMap<String, LogLevel>,
    /// Categories whose lines go to a file of their own instead of the log file.
    pub categories: BTreeMap<String, CategoryFile>,
    /// Lines for a syslog server.
    pub syslog: Box<super::syslog::Syslog>,
    /// Lines for the journal.
    pub journal: super::journal::Journal,
}

/// A file for the lines of one category.
#[derive(Clone, Debug, Default)]
pub struct CategoryFile {
    /// The file; none is the log file.
    pub path: Option<PathBuf>,
    /// When it is put aside.
    pub rotation: Rotation,
}

/// Log lines on the console.
#[derive(Clone, Debug, Default)]
pub struct Console {
    /// Whether lines go there.
    pub enabled: bool,
    /// Which stream.
    pub stream: Stream,
    /// Least level; none is the category's own.
    pub level: Option<LogLevel>,
    /// Shape of a line.
    pub shape: LogShape,
}

/// Log lines as messages of the exchange `amq.rabbitmq.log` of the default virtual host.
#[derive(Clone, Debug, Default)]
pub struct LogExchange {
    /// Whether lines go there.
    pub is_on: bool,
    /// Least level; none is the category's own.
    pub level: Option<LogLevel>,
    /// Shape of a line.
    pub shape: LogShape,
}

/// Log lines in a file.
#[derive(Clone, Debug, Default)]
pub struct LogFile {
    /// The file; none is decided by the other outputs, see [`Log::file_path`].
    pub target: Option<FileTarget>,
    /// Least level; none is the category's own.
    pub level: Option<LogLevel>,
    /// Shape of a line.
    pub shape: LogShape,
    /// When the file is put aside.
    pub rotation: Rotation,
}

/// What the lines of an output look like.
#[derive(Clone, Debug)]
pub struct LogShape {
    /// Plain lines or JSON.
    pub format: LogFormat,
    /// How the time is written.
    pub time: TimeFormat,
    /// How the level is written.
    pub level: LevelFormat,
    /// Texts of several lines become one.
    pub single_line: bool,
    /// A plain line, with `$time`, `$level`, `$pid`, `$msg` and other names in it.
    pub template: String,
    /// What fields of a JSON line are called; `-` leaves one out, `*` stands for all others.
    pub fields: Vec<(String, String)>,
    /// A number for each level, in JSON lines; none without.
    pub verbosity: Vec<(String, i64)>,
}

impl Default for LogShape {
    fn default() -> Self {
        LogShape {
            format: LogFormat::Plaintext,
            time: TimeFormat::Rfc3339Space,
            level: LevelFormat::Lc,
            single_line: false,
            template: "$time [$level] $pid $msg".to_owned(),
            fields: Vec::new(),
            verbosity: Vec::new(),
        }
    }
}

/// What `log.file` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileTarget {
    /// No file.
    Off,
    /// This one, relative to the folder of log files.
    Path(PathBuf),
}

impl Log {
    /// All that decides which lines are written: by category, then of each output.
    pub fn all_levels(&self) -> (&BTreeMap<String, LogLevel>, [Option<LogLevel>; 5]) {
        let outputs = [
            self.console.level,
            self.file.level,
            self.exchange.level,
            self.syslog.level,
            self.journal.level,
        ];
        (&self.levels, outputs)
    }

    /// The file to write, if any. Without a word about files, one is written when there is no other output.
    pub fn file_path(&self, node: &NodeName) -> Option<PathBuf> {
        match &self.file.target {
            Some(FileTarget::Off) => None,
            Some(FileTarget::Path(path)) => Some(self.directory.join(path)),
            None => (!self.console.enabled).then(|| self.directory.join(format!("{node}.log"))),
        }
    }

    /// The categories with files of their own.
    pub fn category_files(&self) -> impl Iterator<Item = (&str, PathBuf, Rotation)> {
        self.categories.iter().filter_map(|(category, own)| {
            let path = self.directory.join(own.path.as_ref()?);
            Some((category.as_str(), path, own.rotation))
        })
    }
}

words! {
    /// Console streams.
    Stream {
        /// Standard output.
        Stdout = "stdout",
        /// Standard error.
        Stderr = "stderr",
    }
}

words! {
    /// Shapes of log lines.
    LogFormat {
        /// For people.
        Plaintext = "plaintext",
        /// One JSON object a line.
        Json = "json",
    }
}

words! {
    /// How a log line shows its time.
    TimeFormat {
        /// `2026-11-26 03:47:41.315184+00:00`.
        Rfc3339Space = "rfc3339_space",
        /// The same with a T.
        Rfc3339T = "rfc3339_T",
        /// Microseconds since 1970.
        EpochUsecs = "epoch_usecs",
        /// Seconds since 1970.
        EpochSecs = "epoch_secs",
        /// `2026-11-26 03:47:41.315`.
        LagerDefault = "lager_default",
    }
}

words! {
    /// How a log line shows its level.
    LevelFormat {
        /// `warning`.
        Lc = "lc",
        /// `WARNING`.
        Uc = "uc",
        /// `wrn`.
        Lc3 = "lc3",
        /// `WRN`.
        Uc3 = "uc3",
        /// `warn`.
        Lc4 = "lc4",
        /// `WARN`.
        Uc4 = "uc4",
    }
}

words! {
    /// Levels, from most to least.
    LogLevel {
        /// Everything.
        Debug = "debug",
        /// Normal life.
        Info = "info",
        /// Unusual, and fine.
        Notice = "notice",
        /// Somebody should look.
        Warning = "warning",
        /// Something failed.
        Error = "error",
        /// A part of the node failed.
        Critical = "critical",
        /// The node cannot do its work.
        Alert = "alert",
        /// The node ends.
        Emergency = "emergency",
        /// Nothing.
        None = "none",
    }
}
