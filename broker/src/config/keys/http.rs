//! Keys of the management API and the Prometheus endpoint. They hold only while their plugin is enabled.
//! Keys of listeners are made for both from one list.

use super::{Key, key, no_effect, only, refused, sockets};
use crate::config::settings::{Config, HttpBounds, Listener};
use crate::config::value::ByteSize;
use std::net::IpAddr;

const SERVER: &str = "the HTTP server decides this itself";

pub(super) fn keys() -> Vec<Key> {
    let mut all = listener("management", "15672", |c| &mut c.management.listener);
    all.extend(legacy_listener());
    all.extend(management());
    all.extend(browsers());
    all.extend(oauth());
    all.extend(of_newer());
    all.extend(listener("prometheus", "15692", |c| &mut c.prometheus.listener));
    all.extend(prometheus());
    all
}

/// The listener keys that both have.
fn listener(prefix: &'static str, port: &str, of: fn(&mut Config) -> &mut Listener) -> Vec<Key> {
    let name = |last: &str| format!("{prefix}.{last}");
    let mut all = vec![
        key(name("tcp.port"), move |c: &mut Config, _, v: u16| of(c).port = Some(v))
            .default(port)
            .unless(name("ssl.port"))
            .doc("Port without TLS; off when only a TLS port is set."),
        key(name("tcp.ip"), move |c: &mut Config, _, v: IpAddr| of(c).ip = Some(v)).doc("Its interface."),
        key(name("ssl.port"), move |c: &mut Config, _, v: u16| {
            of(c).tls_port = Some(v)
        })
        .doc("Port with TLS."),
        key(name("ssl.ip"), move |c: &mut Config, _, v: IpAddr| {
            of(c).tls_ip = Some(v)
        })
        .doc("Its interface."),
    ];
    all.extend(sockets::tls(
        &name("ssl"),
        match prefix {
            "management" => |c: &mut Config| &mut c.management.listener.tls_options,
            _ => |c: &mut Config| &mut c.prometheus.listener.tls_options,
        },
    ));
    all.extend(bounds(&name("tcp"), move |c| &mut of(c).bounds));
    all.extend(bounds(&name("ssl"), move |c| &mut of(c).tls_bounds));
    for last in ["compress", "shutdown_timeout", "max_keepalive", "backlog"] {
        all.push(no_effect(&name(&format!("tcp.{last}")), SERVER));
        all.push(no_effect(&name(&format!("ssl.{last}")), SERVER));
    }
    all
}

/// What a client of one port may take of it.
fn bounds(prefix: &str, of: impl Fn(&mut Config) -> &mut HttpBounds + Copy + 'static) -> Vec<Key> {
    let name = |last: &str| format!("{prefix}.{last}");
    vec![
        key(name("request_timeout"), move |c: &mut Config, _, v| of(c).head = v)
            .default("30000")
            .doc("Longest time for a request's head, and between two requests of a connection."),
        key(name("inactivity_timeout"), move |c: &mut Config, _, v| {
            of(c).request = v
        })
        .default("300000")
        .doc("Longest time from a request's head to its answer, the body's arrival included."),
        key(name("idle_timeout"), move |c: &mut Config, _, v| of(c).stall = v)
            .default("60000")
            .doc("Longest time in which a client takes nothing of an answer."),
        key(name("max_connections"), move |c: &mut Config, _, v| {
            of(c).connections_max = v
        })
        .default("1024")
        .doc("Most connections at once; further ones wait to be accepted."),
    ]
}

const STATISTICS: &str = "of every object ten minutes are kept, of the node as a whole a day";

fn legacy_listener() -> Vec<Key> {
    vec![
        key("management.listener.port", |c: &mut Config, _, v| {
            c.management.listener.port = Some(v)
        })
        .doc("Older name of management.tcp.port."),
        key("management.listener.ip", |c: &mut Config, _, v| {
            c.management.listener.ip = Some(v)
        })
        .doc("Older name of management.tcp.ip."),
        only(
            "management.listener.ssl",
            &["false"],
            "name a management.ssl.port with its certificates instead",
        ),
        no_effect(
            "management.listener.ssl_opts",
            "only management.ssl keys make a TLS listener",
        ),
        no_effect(
            "management.listener.ssl_opts.*",
            "only management.ssl keys make a TLS listener",
        ),
        no_effect("management.listener.server.$option", SERVER),
    ]
}

fn management() -> Vec<Key> {
    vec![
        key("management.path_prefix", |c: &mut Config, _, v: String| {
            c.management.path_prefix = v
        })
        .with(path_prefix)
        .doc("Put before every path, such as /broker."),
        key("management.http.max_body_size", |c: &mut Config, _, v: ByteSize| {
            c.management.body_bytes_max = v
        })
        .default("10000000")
        .hot(|c, now| c.management.body_bytes_max = now.management.body_bytes_max)
        .doc("Largest request body."),
        refused(
            "management.http_log_dir",
            "requests are not logged to files of their own; see log.default.level",
        ),
        key("management.rates_mode", |c: &mut Config, _, v| {
            c.management.rates_mode = v
        })
        .default("basic")
        .doc("Whether rates are kept; detailed: also what each channel gets from each queue and publishes to each exchange, and what each exchange brings into each queue, at some cost."),
        key("management.disable_stats", |c: &mut Config, _, v| {
            c.management.disable_stats = v
        })
        .default("false")
        .hot(|c, now| c.management.disable_stats = now.management.disable_stats)
        .doc("Whether statistics are left out of answers."),
        key("management.enable_queue_totals", |c: &mut Config, _, v| {
            c.management.enable_queue_totals = v
        })
        .default("false")
        .hot(|c, now| c.management.enable_queue_totals = now.management.enable_queue_totals)
        .doc("Whether queues show their totals although statistics are left out."),
        key(
            "management.restrictions.operator_policy_changes.disabled",
            |c: &mut Config, _, v| {
                c.management.operator_policies_frozen = v;
            },
        )
        .default("false")
        .hot(|c, now| c.management.operator_policies_frozen = now.management.operator_policies_frozen)
        .doc("Whether operator policies cannot be changed over HTTP."),
        key(
            "management.restrictions.quorum_queue_replica_operations.disabled",
            |c: &mut Config, _, v| {
                c.management.replica_operations_frozen = v;
            },
        )
        .default("false")
        .hot(|c, now| c.management.replica_operations_frozen = now.management.replica_operations_frozen)
        .doc("Whether members of quorum queues cannot be changed over HTTP."),
        no_effect("management.sample_retention_policies.$section.$interval", STATISTICS),
        no_effect("management.db_cache_multiplier", STATISTICS),
        no_effect(
            "management.login_session_timeout",
            "there are no sessions; every request is authenticated",
        ),
        no_effect("management_agent.*", STATISTICS),
    ]
}

fn path_prefix(text: &str) -> Result<(), String> {
    let sound = text.starts_with('/') && !text.ends_with('/') && text.chars().all(|c| c.is_ascii_graphic());
    sound
        .then_some(())
        .ok_or_else(|| "must start with / and not end with it, such as /broker".into())
}

fn header(name: &str, header: &'static str, doc: &'static str) -> Key {
    key(name, move |c: &mut Config, _, v: String| {
        c.management.headers.insert(header, v);
    })
    .with(|text| {
        let sound = text.chars().all(|c| c == ' ' || c.is_ascii_graphic());
        sound
            .then_some(())
            .ok_or_else(|| "must be printable ASCII, since it is sent as a header".into())
    })
    .hot(|c, now| c.management.headers = now.management.headers.clone())
    .doc(doc)
}

fn browsers() -> Vec<Key> {
    vec![
        key("management.cors.allow_origins.$name", |c: &mut Config, n, v| {
            c.management.cors_origins.insert(n[0].clone(), v);
        })
        .hot(|c, now| c.management.cors_origins = now.management.cors_origins.clone())
        .doc("Origin that browsers may call from; * is any."),
        key(
            "management.cors.allow_origins",
            |c: &mut Config, _, _: crate::config::value::NoneWord| {
                c.management.cors_origins.clear();
            },
        )
        .hot(|c, now| c.management.cors_origins = now.management.cors_origins.clone())
        .doc("none: no other origin may call."),
        key("management.cors.max_age", |c: &mut Config, _, v| {
            c.management.cors_age_s = v
        })
        .default("1800")
        .hot(|c, now| c.management.cors_age_s = now.management.cors_age_s)
        .doc("How long browsers may remember that, in seconds."),
        header(
            "management.csp.policy",
            "content-security-policy",
            "Header Content-Security-Policy.",
        )
        .default("script-src 'self' 'unsafe-eval' 'unsafe-inline'; object-src 'self'"),
        header(
            "management.hsts.policy",
            "strict-transport-security",
            "Header Strict-Transport-Security.",
        ),
        header(
            "management.headers.frame_options",
            "x-frame-options",
            "Header X-Frame-Options.",
        ),
        header(
            "management.headers.xss_protection",
            "x-xss-protection",
            "Header X-XSS-Protection.",
        ),
        header(
            "management.headers.content_type_options",
            "x-content-type-options",
            "Header X-Content-Type-Options.",
        ),
        header(
            "management.headers.referrer_policy",
            "referrer-policy",
            "Header Referrer-Policy.",
        ),
    ]
}

/// Keys of RabbitMQ 4.
fn of_newer() -> Vec<Key> {
    let internal = "users are kept by the broker itself";
    vec![
        only(
            "management.require_auth_for_api_reference",
            &["false"],
            "the reference holds no secret",
        ),
        only(
            "management.http.hide_allow_header",
            &["false"],
            "answers to OPTIONS say what may be done",
        ),
        no_effect("management.credential_encryption_secret", "the page keeps no password"),
        no_effect("management.delegate_count", SERVER),
        only(
            "management.definitions.require_json_extension",
            &["false"],
            "an uploaded file is judged by what is in it",
        ),
        refused(
            "http_dispatch.access_log_dir",
            "requests are not logged to files of their own; see log.default.level",
        ),
        only(
            "http_dispatch.auth_backends.$n",
            &["internal", "rabbit_auth_backend_internal"],
            internal,
        ),
        only(
            "http_dispatch.auth_backends.$n.authn",
            &["internal", "rabbit_auth_backend_internal"],
            internal,
        ),
        only(
            "http_dispatch.auth_backends.$n.authz",
            &["internal", "rabbit_auth_backend_internal"],
            internal,
        ),
    ]
}

fn oauth() -> Vec<Key> {
    let password = "people log in with user and password only";
    vec![
        only("management.disable_basic_auth", &["false"], password),
        only("management.oauth_enabled", &["false"], password),
        only("management.enable_uaa", &["false"], password),
        no_effect("management.uaa_client_id", password),
        no_effect("management.uaa_location", password),
        no_effect("management.oauth_client_id", password),
        no_effect("management.oauth_client_secret", password),
        no_effect("management.oauth_provider_url", password),
        no_effect("management.oauth_scopes", password),
        no_effect("management.oauth_response_type", password),
        no_effect("management.oauth_metadata_url", password),
        no_effect("management.oauth_initiated_logon_type", password),
        no_effect("management.oauth_disable_basic_auth", password),
        no_effect("management.oauth_resource_servers.*", password),
        no_effect("management.oauth_authorization_endpoint_params.*", password),
        no_effect("management.oauth_token_endpoint_params.*", password),
    ]
}

fn prometheus() -> Vec<Key> {
    vec![
        key("prometheus.path", |c: &mut Config, _, v: String| c.prometheus.path = v)
            .default("/metrics")
            .with(path_prefix)
            .doc("Path of the aggregated metrics."),
        key("prometheus.return_per_object_metrics", |c: &mut Config, _, v| {
            c.prometheus.per_object = v
        })
        .default("false")
        .hot(|c, now| c.prometheus.per_object = now.prometheus.per_object)
        .doc("Whether that path gives one series per object."),
        no_effect(
            "prometheus.tcp.listener",
            "prometheus.tcp.port and prometheus.tcp.ip say where",
        ),
        only(
            "prometheus.authentication.enabled",
            &["false"],
            "metrics are open to whoever reaches the port",
        ),
        refused(
            "prometheus.filter_aggregated_queue_metrics_pattern",
            "metrics are not filtered by queue name",
        ),
    ]
}
