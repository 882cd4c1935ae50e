//! Lists of what is there: queues, exchanges, bindings, connections, channels, consumers.
//!
//! Only columns that the node knows are named; the others are refused as unknown.

use crate::command::{Command, flag, number};
use crate::commands::List;
use link::{Listing, Which};

const MONITORING: &str = "Monitoring, observability and health checks";
const QUEUES: &[&str] = &[
    "name",
    "messages",
    "durable",
    "auto_delete",
    "arguments",
    "policy",
    "operator_policy",
    "effective_policy_definition",
    "pid",
    "owner_pid",
    "exclusive",
    "exclusive_consumer_pid",
    "exclusive_consumer_tag",
    "messages_ready",
    "messages_unacknowledged",
    "messages_ready_ram",
    "messages_unacknowledged_ram",
    "messages_ram",
    "messages_persistent",
    "message_bytes",
    "message_bytes_ready",
    "message_bytes_unacknowledged",
    "message_bytes_ram",
    "message_bytes_persistent",
    "consumers",
    "consumer_utilisation",
    "consumer_capacity",
    "memory",
    "disk_reads",
    "disk_writes",
    "head_message_timestamp",
    "slave_pids",
    "mirror_pids",
    "synchronised_slave_pids",
    "synchronised_mirror_pids",
    "state",
    "type",
    "leader",
    "members",
    "online",
];
const EXCHANGES: &[&str] = &[
    "name",
    "type",
    "durable",
    "auto_delete",
    "internal",
    "arguments",
    "policy",
];
const BINDINGS: &[&str] = &[
    "source_name",
    "source_kind",
    "destination_name",
    "destination_kind",
    "routing_key",
    "arguments",
];
const CONNECTIONS: &[&str] = &[
    "user",
    "peer_host",
    "peer_port",
    "state",
    "pid",
    "name",
    "port",
    "host",
    "ssl",
    "ssl_protocol",
    "ssl_key_exchange",
    "ssl_cipher",
    "ssl_hash",
    "peer_cert_subject",
    "peer_cert_issuer",
    "peer_cert_validity",
    "channels",
    "protocol",
    "auth_mechanism",
    "vhost",
    "timeout",
    "frame_max",
    "channel_max",
    "client_properties",
    "recv_oct",
    "recv_cnt",
    "send_oct",
    "send_cnt",
    "send_pend",
    "connected_at",
];
const CHANNELS: &[&str] = &[
    "pid",
    "user",
    "consumer_count",
    "messages_unacknowledged",
    "connection",
    "name",
    "number",
    "vhost",
    "transactional",
    "confirm",
    "messages_uncommitted",
    "messages_unconfirmed",
    "acks_uncommitted",
    "prefetch_count",
    "global_prefetch_count",
];
const CONSUMERS: &[&str] = &[
    "queue_name",
    "channel_pid",
    "consumer_tag",
    "ack_required",
    "prefetch_count",
    "active",
    "arguments",
    "activity_status",
];

const UNRESPONSIVE: &[&str] = &[
    "name",
    "arguments",
    "auto_delete",
    "durable",
    "pid",
    "recoverable_slaves",
];
/// How long a queue may take to answer, unless said.
const QUEUE_MILLIS: i64 = 15_000;

pub(super) const COMMANDS: &[Command] = &[
    Command::new("list_bindings", |session| {
        let what = Listing::Bindings(session.vhost());
        List::asked(session).print(session, what)
    })
    .columns(BINDINGS, BINDINGS.len())
    .help(
        "[--vhost <vhost>] [--no-table-headers] [<column> ...] [--timeout <timeout>]",
        "Lists the bindings of a virtual host",
    )
    .in_both()
    .banner(|_, options, _| format!("Listing bindings for vhost {}...", options.vhost()))
    .under(MONITORING),
    Command::new("list_channels", |session| {
        List::asked(session).print(session, Listing::Channels)
    })
    .columns(CHANNELS, 4)
    .help("[--no-table-headers] [<column> ...]", "Lists the channels of the node")
    .in_both()
    .banner(|_, _, _| "Listing channels ...".into())
    .under(MONITORING),
    Command::new("list_connections", |session| {
        List::asked(session).print(session, Listing::Connections)
    })
    .columns(CONNECTIONS, 4)
    .help(
        "[--no-table-headers] [<column> ...] [--timeout <timeout>]",
        "Lists the AMQP connections of the node",
    )
    .in_both()
    .banner(|_, _, _| "Listing connections ...".into())
    .under(MONITORING),
    Command::new("list_consumers", |session| {
        let what = Listing::Consumers(session.vhost());
        List::asked(session).print(session, what)
    })
    .columns(CONSUMERS, 7)
    .help(
        "[--vhost <vhost>] [--no-table-headers] [<column> ...] [--timeout <timeout>]",
        "Lists the consumers of a virtual host",
    )
    .in_both()
    .banner(|_, options, _| format!("Listing consumers in vhost {} ...", options.vhost()))
    .under(MONITORING),
    Command::new("list_unresponsive_queues", |session| {
        let millis = session.options.number("queue-timeout").unwrap_or(QUEUE_MILLIS);
        let what = Listing::UnresponsiveQueues {
            vhost: session.vhost(),
            local: session.options.flag("local"),
            millis: u64::try_from(millis).unwrap_or(0),
        };
        List::asked(session).print(session, what)
    })
    .columns(UNRESPONSIVE, 1)
    .with(&[flag("local"), number("queue-timeout")])
    .help(
        "[--local] [--queue-timeout <milliseconds>] [<column> ...] [--no-table-headers] [--timeout <timeout>]",
        "Tests queues to respond within timeout. Lists those which did not respond",
    )
    .in_both()
    .banner(|_, options, _| format!("Listing unresponsive queues for vhost {} ...", options.vhost()))
    .under(MONITORING),
    Command::new("list_exchanges", |session| {
        let what = Listing::Exchanges(session.vhost());
        List::asked(session).print(session, what)
    })
    .columns(EXCHANGES, 2)
    .help(
        "[--vhost <vhost>] [--no-table-headers] [<column> ...] [--timeout <timeout>]",
        "Lists the exchanges of a virtual host",
    )
    .in_both()
    .banner(|_, options, _| format!("Listing exchanges for vhost {} ...", options.vhost()))
    .under(MONITORING),
    Command::new("list_queues", |session| {
        let (vhost, has) = (session.vhost(), |name| session.options.flag(name));
        let what = match (has("local"), has("online"), has("offline")) {
            (true, ..) => Listing::QueuesThat(vhost, Which::Local),
            (false, true, false) => Listing::QueuesThat(vhost, Which::Online),
            (false, false, true) => Listing::QueuesThat(vhost, Which::Offline),
            (false, true, true) | (false, false, false) => Listing::Queues(vhost),
        };
        List::asked(session).print(session, what)
    })
    .columns(QUEUES, 2)
    .with(&[flag("online"), flag("offline"), flag("local")])
    .help(
        "[--vhost <vhost>] [--online] [--offline] [--local] [--no-table-headers] [<column>, ...] [--timeout <timeout>]",
        "Lists the queues of a virtual host",
    )
    .in_both()
    .banner(|_, options, _| {
        let seconds = options.number("timeout").unwrap_or(60);
        format!(
            "Timeout: {seconds}.0 seconds ...\nListing queues for vhost {} ...",
            options.vhost()
        )
    })
    .under(MONITORING),
];
