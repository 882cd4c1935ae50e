//! Erlang's configuration files, `rabbitmq.config` and `advanced.config`, as the settings that `rabbitmq.conf` has for the same.
//!
//! What has a key there is judged by the table of keys like any other; what has none is named in a warning and has no effect.

use super::decoder::SEALED;
use super::error::{Origin, Problem};
use super::syntax::Written;
use erlang::Erlang;
use std::path::Path;

/// What a file says.
#[derive(Debug, Default, PartialEq)]
pub struct Classic {
    /// Settings by their keys in `rabbitmq.conf`.
    pub settings: Vec<Written>,
    /// How the keys begin of which these settings replace all that was said before.
    pub replaced: Vec<&'static str>,
    /// What has no effect: one sentence each.
    pub warnings: Vec<String>,
}

/// Settings that have the same name and value in `rabbitmq.conf`.
const SAME: &[&str] = &[
    "background_gc_enabled",
    "background_gc_target_interval",
    "channel_max",
    "channel_tick_interval",
    "cluster_keepalive_interval",
    "collect_statistics",
    "collect_statistics_interval",
    "connection_max",
    "consumer_timeout",
    "default_pass",
    "default_user",
    "default_vhost",
    "delegate_count",
    "frame_max",
    "handshake_timeout",
    "heartbeat",
    "hipe_compile",
    "initial_frame_max",
    "load_definitions",
    "max_message_size",
    "memory_monitor_interval",
    "mirroring_sync_batch_size",
    "mnesia_table_loading_retry_limit",
    "mnesia_table_loading_retry_timeout",
    "password_hashing_module",
    "proxy_protocol",
    "queue_index_embed_msgs_below",
    "queue_leader_locator",
    "queue_master_locator",
    "reverse_dns_lookups",
    "ssl_cert_login_from",
    "ssl_handshake_timeout",
    "total_memory_available_override_value",
    "vhost_max",
    "vhost_restart_strategy",
    "vm_memory_calculation_strategy",
    "vm_memory_high_watermark_paging_ratio",
];

/// Longer than anybody waits for an acknowledgement.
const A_THOUSAND_YEARS_MS: &str = "31536000000000";

/// The settings of a file of Erlang terms.
///
/// # Errors
/// The line where it is no list of applications with their settings.
pub fn read(path: &Path, text: &str) -> Result<Classic, Problem> {
    let wrong = |line: usize, expected: &str| Problem::Unreadable {
        path: path.to_owned(),
        why: format!("line {line}: expected {expected}"),
    };
    let mut reader = Reader {
        path,
        found: Classic::default(),
    };
    if is_blank(text) {
        return Ok(reader.found);
    }
    let term = erlang::read(text).map_err(|no| wrong(no.line, no.expected))?;
    let shape = "a list such as [{rabbit, [{heartbeat, 30}]}].";
    let Erlang::List(applications) = term else {
        return Err(wrong(1, shape));
    };
    for application in &applications {
        match pair(application) {
            Some((name, Erlang::List(settings))) => reader.application(name, settings),
            _ => return Err(wrong(1, shape)),
        }
    }
    Ok(reader.found)
}

fn is_blank(text: &str) -> bool {
    let code = |line: &str| line.split('%').next().unwrap_or_default().trim().is_empty();
    text.lines().all(code)
}

/// `{name, value}`
fn pair(term: &Erlang) -> Option<(&str, &Erlang)> {
    match term {
        Erlang::Tuple(parts) => match parts.as_slice() {
            [Erlang::Atom(name), value] => Some((name, value)),
            _ => None,
        },
        _ => None,
    }
}

/// A value that is one word in `rabbitmq.conf`.
fn word(term: &Erlang) -> Option<String> {
    match term {
        Erlang::Atom(word) | Erlang::Text(word) | Erlang::Binary(word) => Some(word.clone()),
        Erlang::Integer(number) => Some(number.to_string()),
        Erlang::Float(number) => Some(format!("{number:?}")),
        Erlang::Tuple(parts) => match parts.as_slice() {
            [Erlang::Atom(kind), Erlang::Text(sealed) | Erlang::Binary(sealed)] if kind == "encrypted" => {
                Some(format!("{SEALED}{sealed}"))
            }
            _ => None,
        },
        Erlang::List(_) | Erlang::Map(_) => None,
    }
}

fn words(term: &Erlang) -> Option<Vec<String>> {
    match term {
        Erlang::List(items) => items.iter().map(word).collect(),
        _ => None,
    }
}

/// A port, or an address with a port.
fn address(term: &Erlang) -> Option<String> {
    match term {
        Erlang::Tuple(parts) => match parts.as_slice() {
            [Erlang::Text(ip), Erlang::Integer(port)] if ip.contains(':') => Some(format!("[{ip}]:{port}")),
            [Erlang::Text(ip), Erlang::Integer(port)] => Some(format!("{ip}:{port}")),
            _ => None,
        },
        term => word(term),
    }
}

struct Reader<'a> {
    path: &'a Path,
    found: Classic,
}

impl Reader<'_> {
    fn put(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.found.settings.push(Written {
            key: key.into(),
            value: value.into(),
            at: Origin::Line(self.path.to_owned(), 1),
        });
    }

    /// One value that is one word.
    fn set(&mut self, key: impl Into<String>, value: &Erlang) -> Option<()> {
        self.put(key, word(value)?);
        Some(())
    }

    /// Several values of one setting, which replace those of `rabbitmq.conf`.
    fn set_all(&mut self, prefix: &'static str, values: &[String]) -> Option<()> {
        self.found.replaced.push(prefix);
        if values.is_empty() {
            self.put(prefix, "none");
        }
        for (index, value) in values.iter().enumerate() {
            self.put(format!("{prefix}.{}", index + 1), value);
        }
        Some(())
    }

    fn warn(&mut self, application: &str, name: &str) {
        let file = self.path.display();
        let sentence = format!("{file}: {{{application}, [{{{name}, …}}]}} has no effect here");
        self.found.warnings.push(sentence);
    }

    fn application(&mut self, application: &str, settings: &[Erlang]) {
        for setting in settings {
            let Some((name, value)) = pair(setting) else {
                self.warn(application, "…");
                continue;
            };
            let done = match application {
                "rabbit" => self.rabbit(name, value),
                "rabbitmq_management" => self.management(name, value),
                "rabbitmq_prometheus" => self.prometheus(name, value),
                "kernel" => self.kernel(name, value),
                _ => None,
            };
            if done.is_none() {
                self.warn(application, name);
            }
        }
    }

    /// None for what is not known, or not in this shape.
    fn rabbit(&mut self, name: &str, value: &Erlang) -> Option<()> {
        let is_never = |word: &str| *value == Erlang::Atom(word.to_owned());
        if name == "consumer_timeout" && ["undefined", "infinity"].into_iter().any(is_never) {
            self.put(name, A_THOUSAND_YEARS_MS);
            return Some(());
        }
        if SAME.contains(&name) {
            return self.set(name, value);
        }
        match name {
            "tcp_listeners" => self.listeners("listeners.tcp", value),
            "ssl_listeners" => self.listeners("listeners.ssl", value),
            "ssl_options" => self.tls("ssl_options", value),
            "auth_mechanisms" => self.set_all("auth_mechanisms", &words(value)?),
            "auth_backends" => self.set_all("auth_backends", &backends(value)?),
            "loopback_users" => self.named("loopback_users", value),
            "default_user_tags" => self.named("default_user_tags", value),
            "default_permissions" => self.permissions(&words(value)?),
            "vm_memory_high_watermark" => self.watermark("vm_memory_high_watermark", value, "relative"),
            "disk_free_limit" => self.watermark("disk_free_limit", value, "absolute"),
            "num_tcp_acceptors" => self.set("num_acceptors.tcp", value),
            "num_ssl_acceptors" => self.set("num_acceptors.ssl", value),
            "tcp_listen_options" => self.socket(value),
            "cluster_partition_handling" => self.partitions(value),
            "cluster_nodes" => self.cluster_nodes(value),
            "log" => self.log(value),
            "config_entry_decoder" => self.decoder(value),
            _ => None,
        }
    }

    /// `{config_entry_decoder, [{passphrase, {file, "/a/b"}}, {cipher, aes_256_cbc}]}`
    fn decoder(&mut self, value: &Erlang) -> Option<()> {
        let Erlang::List(options) = value else { return None };
        for option in options {
            let (name, value) = pair(option)?;
            match (name, value) {
                ("passphrase", Erlang::Tuple(_)) => {
                    self.set("config_entry_decoder.passphrase.file", pair_of_file(value)?)?
                }
                _ => self.set(format!("config_entry_decoder.{name}"), value)?,
            }
        }
        Some(())
    }

    fn listeners(&mut self, prefix: &'static str, value: &Erlang) -> Option<()> {
        let Erlang::List(items) = value else { return None };
        let addresses: Vec<String> = items.iter().map(address).collect::<Option<_>>()?;
        self.set_all(prefix, &addresses)
    }

    /// Options of TLS under their own names; lists get numbers.
    fn tls(&mut self, prefix: &'static str, value: &Erlang) -> Option<()> {
        let Erlang::List(options) = value else { return None };
        self.found.replaced.push(prefix);
        for option in options {
            let (name, value) = pair(option)?;
            match words(value) {
                Some(values) => {
                    for (index, value) in values.iter().enumerate() {
                        self.put(format!("{prefix}.{name}.{}", index + 1), value);
                    }
                }
                None => self.put(format!("{prefix}.{name}"), word(value)?),
            }
        }
        Some(())
    }

    /// Users or tags, each of which is a key of its own.
    fn named(&mut self, prefix: &'static str, value: &Erlang) -> Option<()> {
        let names = words(value)?;
        self.found.replaced.push(prefix);
        if names.is_empty() {
            self.put(prefix, "none");
        }
        for name in names {
            self.put(format!("{prefix}.{}", name.replace('.', "\\.")), "true");
        }
        Some(())
    }

    fn permissions(&mut self, values: &[String]) -> Option<()> {
        let [configure, write, read] = values else { return None };
        self.put("default_permissions.configure", configure);
        self.put("default_permissions.write", write);
        self.put("default_permissions.read", read);
        Some(())
    }

    /// A plain value is of the usual kind; `{absolute, …}` or `{mem_relative, …}` says otherwise.
    fn watermark(&mut self, prefix: &'static str, value: &Erlang, usual: &str) -> Option<()> {
        let (kind, value) = match pair(value) {
            Some(("absolute", value)) => ("absolute", value),
            Some(("mem_relative" | "relative", value)) => ("relative", value),
            Some(_) => return None,
            None => (usual, value),
        };
        let value = word(value)?;
        self.found.replaced.push(prefix);
        self.put(format!("{prefix}.{kind}"), value);
        Some(())
    }

    fn socket(&mut self, value: &Erlang) -> Option<()> {
        let Erlang::List(options) = value else { return None };
        for option in options {
            let (name, value) = pair(option)?;
            match value {
                Erlang::Tuple(parts) if name == "linger" => {
                    let [on, seconds] = parts.as_slice() else { return None };
                    self.put("tcp_listen_options.linger.on", word(on)?);
                    self.put("tcp_listen_options.linger.timeout", word(seconds)?);
                }
                value => self.put(format!("tcp_listen_options.{name}"), word(value)?),
            }
        }
        Some(())
    }

    fn partitions(&mut self, value: &Erlang) -> Option<()> {
        let handling = match value {
            Erlang::Tuple(parts) => parts.first().and_then(word)?,
            value => word(value)?,
        };
        self.put("cluster_partition_handling", handling);
        Some(())
    }

    fn cluster_nodes(&mut self, value: &Erlang) -> Option<()> {
        let (nodes, kind) = match value {
            Erlang::Tuple(parts) => match parts.as_slice() {
                [nodes, kind] => (words(nodes)?, Some(word(kind)?)),
                _ => return None,
            },
            nodes => (words(nodes)?, None),
        };
        for (index, node) in nodes.iter().enumerate() {
            self.put(format!("cluster_formation.classic_config.nodes.{}", index + 1), node);
        }
        kind.into_iter()
            .for_each(|kind| self.put("cluster_formation.node_type", kind));
        Some(())
    }

    /// `{log, [{file, [{file, "a.log"}, {level, debug}]}, {console, [{enabled, true}]}]}`
    fn log(&mut self, value: &Erlang) -> Option<()> {
        let Erlang::List(outputs) = value else { return None };
        for output in outputs {
            let (output, Erlang::List(options)) = pair(output)? else {
                return None;
            };
            for option in options {
                let (name, value) = pair(option)?;
                match (output, name, value) {
                    (_, "level", level) => self.put(format!("log.{output}.level"), word(level)?),
                    ("file", "file", file) => self.put("log.file", word(file)?),
                    ("file", "size" | "date" | "count", value) => {
                        self.put(format!("log.file.rotation.{name}"), word(value)?);
                    }
                    ("console" | "exchange" | "syslog", "enabled", on) => self.put(format!("log.{output}"), word(on)?),
                    ("categories", category, Erlang::List(options)) => {
                        let level = options.iter().filter_map(pair).find(|(name, _)| *name == "level");
                        self.put(format!("log.{category}.level"), word(level?.1)?);
                    }
                    _ => return None,
                }
            }
        }
        Some(())
    }

    fn management(&mut self, name: &str, value: &Erlang) -> Option<()> {
        match name {
            "listener" => self.listener("management", value),
            "tcp_config" => self.ports("management.tcp", value),
            "ssl_config" => self.ports("management.ssl", value),
            "cors_allow_origins" => self.set_all("management.cors.allow_origins", &words(value)?),
            "cors_max_age" => self.set("management.cors.max_age", value),
            "content_security_policy" => self.set("management.csp.policy", value),
            "max_http_body_size" => self.set("management.http.max_body_size", value),
            "load_definitions"
            | "path_prefix"
            | "rates_mode"
            | "http_log_dir"
            | "disable_stats"
            | "enable_queue_totals" => self.set(format!("management.{name}"), value),
            _ => None,
        }
    }

    /// The older way to say where a plugin listens: with TLS if `ssl` is true.
    fn listener(&mut self, plugin: &str, value: &Erlang) -> Option<()> {
        let Erlang::List(options) = value else { return None };
        let tls = options
            .iter()
            .any(|option| pair(option) == Some(("ssl", &Erlang::Atom("true".into()))));
        let prefix = format!("{plugin}.{}", if tls { "ssl" } else { "tcp" });
        for option in options {
            match pair(option)? {
                ("ssl", _) => {}
                ("ssl_opts", Erlang::List(options)) => {
                    for option in options {
                        let (name, value) = pair(option)?;
                        self.put(format!("{prefix}.{name}"), word(value)?);
                    }
                }
                (name, value) => self.put(format!("{prefix}.{name}"), word(value)?),
            }
        }
        Some(())
    }

    fn ports(&mut self, prefix: &str, value: &Erlang) -> Option<()> {
        let Erlang::List(options) = value else { return None };
        for option in options {
            let (name, value) = pair(option)?;
            self.put(format!("{prefix}.{name}"), word(value)?);
        }
        Some(())
    }

    fn prometheus(&mut self, name: &str, value: &Erlang) -> Option<()> {
        match name {
            "tcp_config" => self.ports("prometheus.tcp", value),
            "ssl_config" => self.ports("prometheus.ssl", value),
            "path" | "return_per_object_metrics" => self.set(format!("prometheus.{name}"), value),
            _ => None,
        }
    }

    fn kernel(&mut self, name: &str, value: &Erlang) -> Option<()> {
        let key = match name {
            "net_ticktime" => "net_ticktime",
            "inet_dist_use_interface" => "distribution.listener.interface",
            "inet_dist_listen_min" => "distribution.listener.port_range.min",
            "inet_dist_listen_max" => "distribution.listener.port_range.max",
            _ => return None,
        };
        self.set(key, value)
    }
}

/// `{file, "/a/b"}`
fn pair_of_file(value: &Erlang) -> Option<&Erlang> {
    pair(value).filter(|(kind, _)| *kind == "file").map(|(_, path)| path)
}

/// Modules as the words that stand for them.
fn backends(value: &Erlang) -> Option<Vec<String>> {
    let name = |module: String| match module.strip_prefix("rabbit_auth_backend_") {
        Some(short) => short.to_owned(),
        None => module,
    };
    Some(words(value)?.into_iter().map(name).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Vec<String> {
        let read = read(Path::new("advanced.config"), text).unwrap();
        assert_eq!(read.warnings, Vec::<String>::new(), "{text}");
        let line = |written: &Written| format!("{} = {}", written.key, written.value);
        read.settings.iter().map(line).collect()
    }

    #[test]
    fn terms_are_the_settings_that_rabbitmq_conf_has_for_the_same() {
        for (text, expected) in [
            ("[].", &[][..]),
            ("% nothing\n", &[]),
            (
                "[{rabbit, [{heartbeat, 30}, {default_user, <<\"bob\">>}]}].",
                &["heartbeat = 30", "default_user = bob"],
            ),
            (
                "[{rabbit, [{tcp_listeners, [5672, {\"127.0.0.1\", 5673}, {\"::1\", 5674}]}]}].",
                &[
                    "listeners.tcp.1 = 5672",
                    "listeners.tcp.2 = 127.0.0.1:5673",
                    "listeners.tcp.3 = [::1]:5674",
                ],
            ),
            ("[{rabbit, [{tcp_listeners, []}]}].", &["listeners.tcp = none"]),
            ("[{rabbit, [{loopback_users, []}]}].", &["loopback_users = none"]),
            (
                "[{rabbit, [{loopback_users, [<<\"a.b\">>]}]}].",
                &["loopback_users.a\\.b = true"],
            ),
            (
                "[{rabbit, [{vm_memory_high_watermark, 0.6}]}].",
                &["vm_memory_high_watermark.relative = 0.6"],
            ),
            (
                "[{rabbit, [{vm_memory_high_watermark, {absolute, \"1GB\"}}, {disk_free_limit, {mem_relative, 1.5}}]}].",
                &[
                    "vm_memory_high_watermark.absolute = 1GB",
                    "disk_free_limit.relative = 1.5",
                ],
            ),
            (
                "[{rabbit, [{ssl_options, [{certfile, \"/c\"}, {verify, verify_peer}, {versions, ['tlsv1.3', 'tlsv1.2']}]}]}].",
                &[
                    "ssl_options.certfile = /c",
                    "ssl_options.verify = verify_peer",
                    "ssl_options.versions.1 = tlsv1.3",
                    "ssl_options.versions.2 = tlsv1.2",
                ],
            ),
            (
                "[{rabbit, [{default_permissions, [<<\"c\">>, <<\"w\">>, <<\"r\">>]}]}].",
                &[
                    "default_permissions.configure = c",
                    "default_permissions.write = w",
                    "default_permissions.read = r",
                ],
            ),
            (
                "[{rabbit, [{cluster_nodes, {['rabbit@a', 'rabbit@b'], disc}}]}].",
                &[
                    "cluster_formation.classic_config.nodes.1 = rabbit@a",
                    "cluster_formation.classic_config.nodes.2 = rabbit@b",
                    "cluster_formation.node_type = disc",
                ],
            ),
            (
                "[{rabbit, [{log, [{file, [{file, \"a.log\"}, {level, debug}]}, {console, [{enabled, true}]}]}]}].",
                &["log.file = a.log", "log.file.level = debug", "log.console = true"],
            ),
            (
                "[{rabbitmq_management, [{listener, [{port, 1}, {ssl, true}, {ssl_opts, [{certfile, \"/c\"}]}]}]}].",
                &["management.ssl.port = 1", "management.ssl.certfile = /c"],
            ),
        ] {
            assert_eq!(told(text), expected, "{text}");
        }
    }

    #[test]
    fn what_other_applications_are_told_is_known_where_it_means_something() {
        assert_eq!(told("[{kernel, [{net_ticktime, 120}]}]."), ["net_ticktime = 120"]);
        let path = "[{rabbitmq_prometheus, [{path, \"/m\"}, {tcp_config, [{port, 1}]}]}].";
        assert_eq!(told(path), ["prometheus.path = /m", "prometheus.tcp.port = 1"]);
    }

    #[test]
    fn what_has_no_counterpart_is_named_and_has_no_effect() {
        let read = read(
            Path::new("a.config"),
            "[{rabbit, [{credit_flow_default_credit, {400, 200}}]}, {ra, [{data_dir, \"/x\"}]}].",
        );
        let expected = [
            "a.config: {rabbit, [{credit_flow_default_credit, …}]} has no effect here",
            "a.config: {ra, [{data_dir, …}]} has no effect here",
        ];
        assert_eq!(read.unwrap().warnings, expected);
    }
}
