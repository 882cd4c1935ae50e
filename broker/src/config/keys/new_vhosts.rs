//! Keys of what every new virtual host gets. Values of policies are those of a policy's keys, whose words have dashes.
//!
//! Whether a policy as a whole can be is judged when all keys have been read.

use super::{Key, key};
use crate::config::new_vhosts::{DefaultLimits, DefaultPolicy, DefaultUser};
use crate::config::settings::Config;
use crate::config::value::{ByteSize, Pattern, Secret, Value};

pub(super) fn keys() -> Vec<Key> {
    let mut all = users();
    all.extend(policies());
    all.extend(limits());
    all
}

/// Words with commas between them, perhaps in brackets.
struct Words(Vec<String>);

impl Value for Words {
    const KIND: &'static str = "words, with commas between them";
    fn read(text: &str) -> Result<Self, String> {
        let text = text.trim().trim_start_matches('[').trim_end_matches(']');
        let words = text.split(',').map(|word| word.trim().to_owned());
        Ok(Words(words.filter(|word| !word.is_empty()).collect()))
    }
}

/// Milliseconds, or a number with a unit.
struct Span(u64);

impl Value for Span {
    const KIND: &'static str = "milliseconds, or such as 30s 5m 2h 7d";
    fn read(text: &str) -> Result<Self, String> {
        let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let scale = match text[end..].trim() {
            "" | "ms" => Some(1),
            "s" => Some(1_000),
            "m" => Some(60_000),
            "h" => Some(3_600_000),
            "d" => Some(86_400_000),
            "w" => Some(604_800_000),
            _ => None,
        };
        let number: Option<u64> = text[..end].parse().ok();
        let span = number.zip(scale).and_then(|(number, scale)| number.checked_mul(scale));
        span.map(Span)
            .ok_or_else(|| "must be milliseconds, or such as 30s, 5m, 2h or 7d".to_owned())
    }
}

struct Applies(model::ApplyTo);

impl Value for Applies {
    const KIND: &'static str = "one of all queues exchanges classic_queues quorum_queues streams";
    fn read(text: &str) -> Result<Self, String> {
        text.parse()
            .map(Applies)
            .map_err(|why: model::PolicyError| why.to_string())
    }
}

/// How many copies, or the nodes with them.
struct Copies(model::Value);

impl Value for Copies {
    const KIND: &'static str = "number of copies, or nodes with commas between them";
    fn read(text: &str) -> Result<Self, String> {
        if let Ok(count) = text.parse() {
            return Ok(Copies(model::Value::I64(count)));
        }
        let nodes = Words::read(text)?.0.into_iter();
        let nodes = nodes.map(|node| model::Value::LongStr(node.into_bytes())).collect();
        Ok(Copies(model::Value::Array(nodes)))
    }
}

fn users() -> Vec<Key> {
    let name = |last: &str| format!("default_users.$name.{last}");
    fn user<'a>(c: &'a mut Config, n: &[String]) -> &'a mut DefaultUser {
        c.new_vhosts.users.entry(n[0].clone()).or_default()
    }
    let hot = |key: Key| key.hot(|c, now| c.new_vhosts.users = now.new_vhosts.users.clone());
    let all = vec![
        key(name("vhost_pattern"), |c: &mut Config, n, v: Pattern| user(c, n).vhosts = Some(v))
            .doc("Virtual hosts by name for which this user is made, and may enter, when they are created; every one when not set."),
        key(name("password"), |c: &mut Config, n, v: Secret| user(c, n).password = Some(v))
            .doc("Its password. A user that is there already keeps its own; without this nobody logs in by a password."),
        key(name("tags"), |c: &mut Config, n, v: Words| user(c, n).tags = v.0).doc("Its tags."),
        key(name("configure"), |c: &mut Config, n, v: Pattern| user(c, n).configure = Some(v))
            .doc("What it may configure there; everything when not set."),
        key(name("write"), |c: &mut Config, n, v: Pattern| user(c, n).write = Some(v)).doc("What it may write to."),
        key(name("read"), |c: &mut Config, n, v: Pattern| user(c, n).read = Some(v)).doc("What it may read from."),
    ];
    all.into_iter().map(hot).collect()
}

fn policies() -> Vec<Key> {
    let name = |last: &str| format!("default_policies.operator.$id.{last}");
    fn policy<'a>(c: &'a mut Config, n: &[String]) -> &'a mut DefaultPolicy {
        c.new_vhosts.policies.entry(n[0].clone()).or_default()
    }
    let number = |last: &'static str, rule: &'static str| {
        key(name(last), move |c: &mut Config, n, v: u64| {
            policy(c, n).definition.insert(rule, count(v));
        })
    };
    let octets = |last: &'static str, rule: &'static str| {
        key(name(last), move |c: &mut Config, n, v: ByteSize| {
            policy(c, n).definition.insert(rule, count(v.0));
        })
    };
    let span = |last: &'static str, rule: &'static str| {
        key(name(last), move |c: &mut Config, n, v: Span| {
            policy(c, n).definition.insert(rule, count(v.0));
        })
    };
    let word = |last: &'static str, rule: &'static str| {
        key(name(last), move |c: &mut Config, n, v: String| {
            policy(c, n).definition.insert(rule, model::Value::from(v.as_str()));
        })
    };
    let all = vec![
        key(name("vhost_pattern"), |c: &mut Config, n, v: Pattern| {
            policy(c, n).vhosts = Some(v)
        })
        .doc("Virtual hosts by name that get this operator policy when they are created; every one when not set."),
        key(name("queue_pattern"), |c: &mut Config, n, v: Pattern| {
            policy(c, n).queues = Some(v)
        })
        .doc("Objects by name that it is for; every one when not set."),
        key(name("apply_to"), |c: &mut Config, n, v: Applies| {
            policy(c, n).apply_to = Some(v.0)
        })
        .doc("What objects."),
        span("expires", "expires").doc("Its key expires."),
        span("message_ttl", "message-ttl").doc("Its key message-ttl."),
        number("max_length", "max-length").doc("Its key max-length."),
        octets("max_length_bytes", "max-length-bytes").doc("Its key max-length-bytes."),
        number("max_in_memory_length", "max-in-memory-length").doc("Its key max-in-memory-length."),
        octets("max_in_memory_bytes", "max-in-memory-bytes").doc("Its key max-in-memory-bytes."),
        number("delivery_limit", "delivery-limit").doc("Its key delivery-limit."),
        word("classic_queues.ha_mode", "ha-mode").doc("Its key ha-mode."),
        key(name("classic_queues.ha_params"), |c: &mut Config, n, v: Copies| {
            policy(c, n).definition.insert("ha-params", v.0);
        })
        .doc("Its key ha-params."),
        word("classic_queues.ha_sync_mode", "ha-sync-mode").doc("Its key ha-sync-mode."),
        number("classic_queues.queue_version", "queue-version").doc("Its key queue-version."),
    ];
    let hot = |key: Key| key.hot(|c, now| c.new_vhosts.policies = now.new_vhosts.policies.clone());
    all.into_iter().map(hot).collect()
}

fn count(number: u64) -> model::Value {
    model::Value::I64(i64::try_from(number).unwrap_or(i64::MAX))
}

fn limits() -> Vec<Key> {
    let name = |last: &str| format!("default_limits.vhosts.$id.{last}");
    fn limits<'a>(c: &'a mut Config, n: &[String]) -> &'a mut DefaultLimits {
        c.new_vhosts.limits.entry(n[0].clone()).or_default()
    }
    let all = vec![
        key(name("pattern"), |c: &mut Config, n, v: Pattern| limits(c, n).vhosts = Some(v)).doc(
            "Virtual hosts by name that get these limits when they are created; every one when not set. Of several the first by its id counts.",
        ),
        key(name("max_connections"), |c: &mut Config, n, v: u32| limits(c, n).connections_max = Some(v)).doc("Most connections."),
        key(name("max_queues"), |c: &mut Config, n, v: u32| limits(c, n).queues_max = Some(v)).doc("Most queues."),
    ];
    let hot = |key: Key| key.hot(|c, now| c.new_vhosts.limits = now.new_vhosts.limits.clone());
    all.into_iter().map(hot).collect()
}
