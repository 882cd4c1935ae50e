//! Settings of `rabbitmq.conf` that a running node takes over, and what the operator and a node tell each other about them on the admin
//! port. The broker's own table of keys decides which they are, and a test holds this list against it.

use serde::{Deserialize, Serialize};

/// The keys that a running node takes over; a segment that starts with `$` stands for any name.
pub const TAKEN_OVER_AT_ONCE: [&str; 83] = [
    "handshake_timeout",
    "heartbeat",
    "frame_max",
    "initial_frame_max",
    "channel_max",
    "max_channels_per_connection",
    "channel_max_per_node",
    "consumer_max_per_channel",
    "connection_max",
    "max_connections",
    "max_message_size",
    "runtime_parameters.limits.$component",
    "loopback_users",
    "loopback_users.$user",
    "vhost_max",
    "password_hashing_module",
    "credential_validator.validation_backend",
    "credential_validator.min_length",
    "credential_validator.regexp",
    "default_users.$name.vhost_pattern",
    "default_users.$name.password",
    "default_users.$name.tags",
    "default_users.$name.configure",
    "default_users.$name.write",
    "default_users.$name.read",
    "default_policies.operator.$id.vhost_pattern",
    "default_policies.operator.$id.queue_pattern",
    "default_policies.operator.$id.apply_to",
    "default_policies.operator.$id.expires",
    "default_policies.operator.$id.message_ttl",
    "default_policies.operator.$id.max_length",
    "default_policies.operator.$id.max_length_bytes",
    "default_policies.operator.$id.max_in_memory_length",
    "default_policies.operator.$id.max_in_memory_bytes",
    "default_policies.operator.$id.delivery_limit",
    "default_policies.operator.$id.classic_queues.ha_mode",
    "default_policies.operator.$id.classic_queues.ha_params",
    "default_policies.operator.$id.classic_queues.ha_sync_mode",
    "default_policies.operator.$id.classic_queues.queue_version",
    "default_limits.vhosts.$id.pattern",
    "default_limits.vhosts.$id.max_connections",
    "default_limits.vhosts.$id.max_queues",
    "vm_memory_high_watermark.relative",
    "vm_memory_high_watermark.absolute",
    "disk_free_limit.absolute",
    "disk_free_limit.relative",
    "vm_memory_high_watermark_paging_ratio",
    "consumer_timeout",
    "channel_tick_interval",
    "default_queue_type",
    "queue_leader_locator",
    "queue_master_locator",
    "cluster_queue_limit",
    "cluster_exchange_limit",
    "management.http.max_body_size",
    "management.disable_stats",
    "management.enable_queue_totals",
    "management.restrictions.operator_policy_changes.disabled",
    "management.restrictions.quorum_queue_replica_operations.disabled",
    "management.cors.allow_origins.$name",
    "management.cors.allow_origins",
    "management.cors.max_age",
    "management.csp.policy",
    "management.hsts.policy",
    "management.headers.frame_options",
    "management.headers.xss_protection",
    "management.headers.content_type_options",
    "management.headers.referrer_policy",
    "prometheus.return_per_object_metrics",
    "log.console.level",
    "log.file.level",
    "log.exchange.level",
    "log.default.level",
    "log.connection.level",
    "log.channel.level",
    "log.queue.level",
    "log.mirroring.level",
    "log.federation.level",
    "log.upgrade.level",
    "log.ra.level",
    "log.user.level",
    "log.syslog.level",
    "log.journald.level",
];

/// Whether a running node takes over what is set for this key.
pub fn is_taken_over_at_once(key: &str) -> bool {
    TAKEN_OVER_AT_ONCE.iter().any(|known| matches(known, key))
}

fn matches(known: &str, key: &str) -> bool {
    let (mut known, mut key) = (known.split('.'), key.split('.'));
    loop {
        match (known.next(), key.next()) {
            (None, None) => return true,
            (Some(known), Some(key)) if known == key || known.starts_with('$') && !key.is_empty() => {}
            _ => return false,
        }
    }
}

/// `POST` and `PUT /settings`: what the node's file of settings says now, or soon will.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// The whole file.
    pub text: String,
    /// What the operator calls these settings. The node tells it to whoever asks, until it is told another or starts anew.
    pub word: String,
}

/// What a node answers to them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingsTaken {
    /// Keys that have changed and are in force.
    pub in_force: Vec<String>,
    /// Keys that have changed and wait for the node's next start.
    pub waiting: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_known_by_all_of_its_segments() {
        for key in [
            "heartbeat",
            "loopback_users.ann",
            "log.default.level",
            "management.cors.allow_origins.1",
        ] {
            assert!(is_taken_over_at_once(key), "{key}");
        }
        for key in [
            "",
            "heartbeat.x",
            "loopback_users.",
            "loopback_users.a.b",
            "listeners.tcp.default",
            "log.console",
            "Heartbeat",
        ] {
            assert!(!is_taken_over_at_once(key), "{key}");
        }
    }
}
