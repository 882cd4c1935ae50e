//! Keys of the node itself: resources, queues, definitions, and clusters.
//! What a cluster does by itself is not set by keys; those that would are accepted, and say what is done instead.

use super::sockets::tls;
use super::{Key, key, no_effect, only};
use crate::config::settings::Config;
use crate::config::value::{ByteSize, ListenAddress, Milliseconds, Share};
use std::path::PathBuf;

const ERLANG: &str = "it tunes the Erlang runtime, which this broker does not use";

pub(super) fn keys() -> Vec<Key> {
    let mut all = resources();
    all.extend(queues());
    all.extend(definitions());
    all.extend(cluster());
    all.extend(ignored());
    all
}

fn resources() -> Vec<Key> {
    vec![
        key("vm_memory_high_watermark.relative", |c: &mut Config, _, v: Share| {
            c.resources.memory_relative = v
        })
        .default("0.4")
        .hot(|c, now| c.resources.memory_relative = now.resources.memory_relative)
        .doc("Share of the memory above which publishers are blocked."),
        key("vm_memory_high_watermark.absolute", |c: &mut Config, _, v: ByteSize| {
            c.resources.memory_absolute = Some(v)
        })
        .hot(|c, now| c.resources.memory_absolute = now.resources.memory_absolute)
        .doc("The same in bytes; wins over the share."),
        key(
            "total_memory_available_override_value",
            |c: &mut Config, _, v: ByteSize| c.resources.memory_total = Some(v),
        )
        .doc("Memory that the node may count on; what the system or cgroup grants when not set."),
        key("memory_monitor_interval", |c: &mut Config, _, v: Milliseconds| {
            c.resources.memory_interval = v
        })
        .default("2500")
        .doc("How often memory is measured; never less often than every 100, since a queue can fill a gigabyte in a second."),
        key("disk_free_limit.absolute", |c: &mut Config, _, v: ByteSize| {
            c.resources.disk_absolute = v
        })
        .default("50MB")
        .hot(|c, now| c.resources.disk_absolute = now.resources.disk_absolute)
        .doc("Free disk below which publishers are blocked."),
        key("disk_free_limit.relative", |c: &mut Config, _, v: Share| {
            c.resources.disk_relative = Some(v)
        })
        .hot(|c, now| c.resources.disk_relative = now.resources.disk_relative)
        .doc("The same as a share of the memory; wins over bytes."),
        key("vm_memory_high_watermark_paging_ratio", |c: &mut Config, _, v: Share| {
            c.resources.paging_ratio = v
        })
        .default("0.5")
        .hot(|c, now| c.resources.paging_ratio = now.resources.paging_ratio)
        .doc("Share of the memory watermark above which all queues put ready messages on disk; each bounds itself anyway."),
        no_effect(
            "vm_memory_calculation_strategy",
            "used memory is always the resident set size",
        ),
    ]
}

fn queues() -> Vec<Key> {
    vec![
        key("consumer_timeout", |c: &mut Config, _, v: Milliseconds| {
            c.queues.ack_timeout = v
        })
        .default("1800000")
        .hot(|c, now| c.queues.ack_timeout = now.queues.ack_timeout)
        .doc("Longest time that a delivery may stay unacknowledged before its channel is closed."),
        key("channel_tick_interval", |c: &mut Config, _, v| c.queues.ack_look = v)
            .default("60000")
            .hot(|c, now| c.queues.ack_look = now.queues.ack_look)
            .doc("How often channels are searched for deliveries that stay unacknowledged too long."),
        key("default_queue_type", |c: &mut Config, _, v| c.queues.default_type = v)
            .default("classic")
            .hot(|c, now| c.queues.default_type = now.queues.default_type)
            .doc("Type of queues that ask for none, in virtual hosts that are created from now on without one of their own."),
        key("queue_leader_locator", |c: &mut Config, _, v| {
            c.queues.leader_locator = v
        })
        .default("client-local")
        .hot(|c, now| c.queues.leader_locator = now.queues.leader_locator)
        .doc("Where the leader of a new queue is placed."),
        key("queue_master_locator", |c: &mut Config, _, v| {
            c.queues.leader_locator = v
        })
        .hot(|c, now| c.queues.leader_locator = now.queues.leader_locator)
        .doc("Older name of queue_leader_locator."),
        key("cluster_queue_limit", |c: &mut Config, _, v| c.queues.queues_max = v)
            .default("infinity")
            .hot(|c, now| c.queues.queues_max = now.queues.queues_max)
            .doc("Most queues of all virtual hosts together."),
        key("cluster_exchange_limit", |c: &mut Config, _, v| c.queues.exchanges_max = v)
            .default("infinity")
            .hot(|c, now| c.queues.exchanges_max = now.queues.exchanges_max)
            .doc("Most exchanges of all virtual hosts together, those that every virtual host has included."),
        no_effect("classic_queue.default_version", "there is one storage format"),
        no_effect(
            "queue_index_embed_msgs_below",
            "there is no separate index to embed messages in",
        ),
        no_effect(
            "mirroring_sync_batch_size",
            "the policy says it: ha-sync-batch-size, else 4096",
        ),
        no_effect(
            "mirroring_sync_max_throughput",
            "mirrors are synchronised as fast as they take it while nobody publishes, and behind those who do otherwise",
        ),
        no_effect("quorum_queue.*", "members of quorum queues are kept as mirrors are"),
        no_effect("raft.*", "members of quorum queues are kept as mirrors are"),
        no_effect("stream.replication.*", "there are no streams"),
        no_effect(
            "vhost_restart_strategy",
            "a virtual host has nothing that could stop alone",
        ),
    ]
}

fn definitions() -> Vec<Key> {
    let load = |name: &'static str| key(name, |c: &mut Config, _, v: PathBuf| c.definitions.path = Some(v));
    let mut all = vec![
        load("load_definitions").doc("File, or folder of *.json, imported at every start. A blank node then gets no default user and virtual host."),
        key("load_definitions.keep_default_user", |c: &mut Config, _, v: bool| c.definitions.keep_default_user = v)
            .default("false")
            .doc("Whether a blank node gets the default user and virtual host besides the definitions; those win."),
        load("management.load_definitions").doc("Older name of load_definitions."),
        load("definitions.local.path").doc("The same, with definitions.import_backend = local_filesystem."),
        key("definitions.import_backend", |c: &mut Config, _, v| c.definitions.backend = v)
            .default("local_filesystem")
            .doc("Where the definitions are: in files, or at definitions.https.url."),
        key("definitions.https.url", |c: &mut Config, _, v| c.definitions.url = Some(v)).doc(
            "Definitions that are fetched and imported at every start, with definitions.import_backend = https. A blank node then \
             gets no default user and virtual host.",
        ),
        key("definitions.skip_if_unchanged", |c: &mut Config, _, v| {
            c.definitions.skip_if_unchanged = v
        })
        .default("false")
        .doc("Whether what was imported last is not imported once more: what was changed by hand since then stays."),
        no_effect(
            "definitions.hashing.algorithm",
            "definitions are told apart by their SHA-256 hash",
        ),
        key("definitions.tls.verify", |c: &mut Config, _, v| c.definitions.tls.verify = v)
            .default("verify_peer")
            .doc("Whether the server's certificate is checked. RabbitMQ's default is verify_none: whoever answers then may define users."),
    ];
    all.extend(
        tls("definitions.tls", |c| &mut c.definitions.tls)
            .into_iter()
            .filter(|key| {
                !["verify", "fail_if_no_peer_cert"].contains(&key.name.rsplit('.').next().unwrap_or_default())
            }),
    );
    all.push(no_effect(
        "definitions.tls.fail_if_no_peer_cert",
        "a server without a certificate speaks no TLS",
    ));
    all
}

fn cluster() -> Vec<Key> {
    let majority = "a node that no majority of its cluster answers pauses, whatever is set";
    let lease = "how soon a silent node is missed is set by net_ticktime";
    let waits = "a node waits for a majority of its cluster, 30 seconds ten times";
    vec![
        key("cluster_name", |c: &mut Config, _, v| c.node.cluster_name = Some(v))
            .doc("Name of the cluster; the node's name when not set."),
        no_effect("cluster_partition_handling", majority),
        no_effect("cluster_partition_handling.pause_if_all_down.*", majority),
        no_effect("cluster_keepalive_interval", lease),
        key("distribution.tls", |c: &mut Config, _, v| c.node.peer_tls = v)
            .default("none")
            .doc(
                "Whether nodes speak TLS to each other. offered: TLS where the other end takes it, none where it does not, while nodes \
                 are changed one after the other. required: nothing else; tools are used on the node's own host.",
            ),
        key("distribution.ssl_options.cacertfile", |c: &mut Config, _, v: PathBuf| {
            c.node.peer_tls_options.ca_file = Some(v)
        })
        .doc("Authority of all nodes' certificates, PEM. Read again when it changes, as the other two."),
        key("distribution.ssl_options.certfile", |c: &mut Config, _, v: PathBuf| {
            c.node.peer_tls_options.cert_file = Some(v)
        })
        .doc("Certificate chain that a node shows to others, both when it connects and when they do; it names the node's host, PEM."),
        key("distribution.ssl_options.keyfile", |c: &mut Config, _, v: PathBuf| {
            c.node.peer_tls_options.key_file = Some(v)
        })
        .doc("Its private key, PEM, not encrypted."),
        key("net_ticktime", |c: &mut Config, _, v| c.node.down_after = v)
            .default("6")
            .doc("Seconds of silence after which a node is taken for dead, at least 5; the same on all nodes. RabbitMQ's is 60."),
        key("cluster_lease", |c: &mut Config, _, v| c.node.lease = Some(v)).doc(
            "How long a node goes on serving without hearing of a majority; five sixths of net_ticktime when not set, and never so \
             long that others could take its place before.",
        ),
        key("drain_timeout", |c: &mut Config, _, v| c.node.drain_timeout = v)
            .default("60000")
            .doc("Longest time that a node that is told to end waits for mirrors that are about to be in sync with queues that it leads."),
        no_effect("mnesia_table_loading_retry_timeout", waits),
        no_effect("mnesia_table_loading_retry_limit", waits),
        no_effect("metadata_store.khepri.*", waits),
        key("distribution.listener.interface", |c: &mut Config, _, v| c.node.peer_ip = Some(v))
            .doc("Interface of the port for peers and the command line; every one when not set."),
        key("distribution.listener.port_range.min", |c: &mut Config, _, v| c.node.peer_port = v).doc(
            "First port that may be the one for peers and the command line; the first free one is taken. RABBITMQ_DIST_PORT wins over it.",
        ),
        key("distribution.listener.port_range.max", |c: &mut Config, _, v| c.node.peer_port_last = v).doc("Last such port."),
        key("admin.tcp.port", |c: &mut Config, _, v| {
            c.admin = ListenAddress { port: v, ..c.admin }
        })
        .default("15680")
        .doc("Admin port with the probes startup, readiness and liveness; with RABBITMQ_NODE_PORT, 10008 above that."),
        key("admin.tcp.ip", |c: &mut Config, _, v| c.admin.ip = Some(v)).doc("Its interface."),
    ]
}

fn ignored() -> Vec<Key> {
    let erlang = [
        "background_gc_enabled",
        "background_gc_target_interval",
        "hipe_compile",
        "erlang.*",
        "distributed_cookie",
        "sysmon_handler.*",
        "default_worker_pool_size",
        "delegate_count",
        "message_store_shutdown_timeout",
        "collect_statistics",
        "collect_statistics_interval",
        "log.error_logger_format_depth",
        "log.summarize_process_state",
    ];
    let mut all: Vec<_> = erlang.map(|name| no_effect(name, ERLANG)).into();
    all.extend(of_newer());
    all.push(no_effect(
        "nodename",
        "RABBITMQ_NODENAME names the node, as in RabbitMQ",
    ));
    all.push(no_effect(
        "deprecated_features.permit.$name",
        "nothing that RabbitMQ deprecated is switched off here",
    ));
    all.push(no_effect(
        "ssl_allow_poodle_attack",
        "versions of TLS with that weakness are never offered",
    ));
    all
}

/// Keys of RabbitMQ 4 whose subject is not here.
fn of_newer() -> Vec<Key> {
    let links = "AMQP 1.0 is not spoken, so there are no sessions and links";
    let shown = "queues of both types, and exchanges of every type that is there, can always be declared";
    vec![
        no_effect("session_max_per_connection", links),
        no_effect("link_max_per_session", links),
        no_effect("anonymous_login_pass", "ANONYMOUS is not offered"),
        only("anonymous_login_user", &["none"], "ANONYMOUS is not offered"),
        no_effect(
            "channel_interceptor.priorities.$name",
            "there are no plugins that intercept channels",
        ),
        no_effect(
            "consumer_disconnected_timeout",
            "consumers of a node that is away end with it",
        ),
        only("queue_types.classic.enabled", &["true"], shown),
        only("queue_types.quorum.enabled", &["true"], shown),
        only("queue_types.stream.enabled", &["false"], "there are no streams"),
        only("exchange_types.local_random.enabled", &["false", "true"], shown),
        no_effect(
            "prevent_startup_if_node_was_reset",
            "a node whose disk was lost never begins a second cluster, whatever is set",
        ),
        no_effect("cluster_formation.registration.enabled", "nodes register nowhere"),
    ]
}
