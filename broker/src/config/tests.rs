//! What users rely on when they write settings, told through the whole loader: command line, variables and files in,
//! a configuration or all that is wrong out.

use super::keys::{Effect, keys};
use super::*;
use std::path::{Path, PathBuf};

const MAIN: &str = "/etc/rabbitmq/rabbitmq.conf";

fn with(text: &str) -> Fixed {
    Fixed::new().file(MAIN, text)
}

fn loaded(world: &Fixed) -> Loaded {
    load(&ServerArgs::default(), world).unwrap_or_else(|problems| panic!("{problems}"))
}

fn config(world: &Fixed) -> Config {
    loaded(world).config
}

fn problems(world: &Fixed) -> Vec<String> {
    let problems = load(&ServerArgs::default(), world).unwrap_err();
    problems.0.iter().map(ToString::to_string).collect()
}

fn addresses(config: &Config) -> Vec<String> {
    config.listeners.tcp.values().map(ToString::to_string).collect()
}

#[test]
fn without_files_and_variables_the_defaults_are_those_of_rabbitmq() {
    let config = config(&Fixed::new());
    assert_eq!(config.node.name.as_str(), "rabbit@rabbit1");
    assert_eq!(
        config.node.data.as_path().to_str(),
        Some("/var/lib/rabbitmq/mnesia/rabbit@rabbit1")
    );
    assert_eq!(config.node.peer_port, 25672);
    assert_eq!(addresses(&config), ["[::]:5672"]);
    assert_eq!(
        (
            config.amqp.heartbeat_s,
            config.amqp.frame_bytes_max,
            config.amqp.channels_max
        ),
        (60, 131_072, 2047)
    );
    assert_eq!(config.amqp.message_bytes_max, ByteSize(134_217_728));
    assert_eq!(config.amqp.handshake_timeout.max(), Some(Milliseconds(10_000)));
    assert_eq!(config.access.default_user, "guest");
    assert_eq!(config.access.loopback_users.get("guest"), Some(&true));
    let mechanisms: Vec<_> = config
        .access
        .mechanisms
        .values()
        .map(|mechanism| mechanism.word())
        .collect();
    assert_eq!(mechanisms, ["PLAIN", "AMQPLAIN"]);
    assert_eq!(config.resources.memory(), Watermark::Relative(0.4));
    assert_eq!(config.resources.disk(), Watermark::Absolute(ByteSize(50_000_000)));
    assert_eq!(config.queues.ack_timeout, Milliseconds(1_800_000));
    assert_eq!(config.management.listener.plain(), Some(ListenAddress::any(15672)));
    assert_eq!(config.admin, ListenAddress::any(15680));
    assert!(!config.plugins.management());
    let file = config.log.file_path(&config.node.name);
    assert_eq!(file, Some(PathBuf::from("/var/log/rabbitmq/rabbit@rabbit1.log")));
}

#[test]
fn files_of_conf_d_win_over_the_main_file_in_order_of_name() {
    let world = with("heartbeat = 10\nchannel_max = 7\n")
        .file("/etc/rabbitmq/conf.d/20-b.conf", "heartbeat = 30")
        .file("/etc/rabbitmq/conf.d/10-a.conf", "heartbeat = 20")
        .file("/etc/rabbitmq/conf.d/30-c.conf.bak", "heartbeat = 40");
    let config = config(&world);
    assert_eq!((config.amqp.heartbeat_s, config.amqp.channels_max), (30, 7));
    assert_eq!(config.node.config_files.len(), 3);
}

#[test]
fn the_main_file_is_found_with_and_without_its_extension() {
    for name in ["/a/b", "/a/b.conf"] {
        let world = Fixed::new()
            .file("/a/b.conf", "heartbeat = 5")
            .set("RABBITMQ_CONFIG_FILE", name);
        assert_eq!(config(&world).amqp.heartbeat_s, 5, "{name}");
    }
}

#[test]
fn a_variable_that_does_nothing_here_is_named_and_its_value_kept_quiet() {
    let world = Fixed::new()
        .set("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-setcookie hush")
        .set("PRODUCT_NAME", "of something else")
        .file("/etc/rabbitmq/rabbitmq-env.conf", "QUORUM_DIR=/fast\n");
    assert_eq!(
        loaded(&world).warnings,
        [
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS has no effect: there is no Erlang here; settings and the secret have variables of their own",
            "RABBITMQ_QUORUM_DIR has no effect: everything is kept in the node's own directory",
        ]
    );
}

#[test]
fn a_missing_file_is_refused_when_the_command_line_names_it_and_mentioned_when_a_variable_does() {
    let args = ServerArgs {
        config: Some("/nope.conf".into()),
        ..ServerArgs::default()
    };
    let said = load(&args, &Fixed::new()).unwrap_err().to_string();
    assert!(said.contains("/nope.conf: cannot read the file"), "{said}");
    let warnings = loaded(&Fixed::new().set("RABBITMQ_CONFIG_FILE", "/nope")).warnings;
    assert_eq!(warnings, ["RABBITMQ_CONFIG_FILE = /nope: no such file"]);
}

#[test]
fn everything_that_is_wrong_is_said_at_once_with_its_place() {
    let world = with("heartbeatt = 3\nhandshake_timeout = abc\nfoo\n").set("RABBITMQ_NODE_PORT", "abc");
    let said = problems(&world);
    assert_eq!(
        said[0],
        format!("{MAIN}:3: \"foo\" is not a setting; a line reads 'key = value', or starts with '#'")
    );
    assert!(said.contains(&format!(
        "{MAIN}:2: handshake_timeout = abc: must be a whole number from 0, or infinity"
    )));
    let unknown = format!("{MAIN}:1: You've tried to set heartbeatt, but there is no setting with that name.");
    assert!(said.contains(&format!("{unknown} Did you mean heartbeat?")), "{said:?}");
    assert!(
        said.iter()
            .any(|line| line.starts_with("environment variable RABBITMQ_NODE_PORT")),
        "{said:?}"
    );
}

#[test]
fn every_kind_of_bad_value_is_refused_with_what_would_be_right() {
    let cases = [
        ("frame_max = 100", "must be 0, or from 4096"),
        ("initial_frame_max = 0", "must be from 4096"),
        ("max_message_size = 1GB", "at most 536870912"),
        ("channel_max = 70000", "from 0 to 65535"),
        ("listeners.tcp.1 = localhost:1", "address and port"),
        ("listeners.tcp = 5672", "only none can stand here"),
        ("vm_memory_high_watermark.relative = -1", "fraction"),
        ("vm_memory_high_watermark.absolute = lots", "number of bytes"),
        ("default_permissions.read = (", "regular expression"),
        ("loopback_users.guest = maybe", "true or false"),
        ("auth_mechanisms.1 = GSSAPI", "one of PLAIN AMQPLAIN EXTERNAL"),
        ("log.console.level = loud", "one of debug info"),
        ("auth_backends.1 = ldap", "because users are kept by the broker itself"),
        ("ssl_options.versions.1 = tlsv1.1", "one of tlsv1.3 tlsv1.2"),
        (
            "cluster_formation.peer_discovery_backend = rabbit_peer_discovery_consul",
            "consul is not supported",
        ),
        (
            "cluster_formation.peer_discovery_backend = zeroconf",
            "one of classic_config dns k8s",
        ),
        ("cluster_formation.node_type = disk", "one of disc ram"),
        ("cluster_formation.target_cluster_size_hint = 0", "at least 1"),
        ("cluster_formation.target_cluster_size_hint = three", "whole number"),
        ("heartbeat = encrypted:abc", "set config_entry_decoder.passphrase.file"),
        ("config_entry_decoder.hash = md5", "must be one of sha512"),
        ("definitions.import_backend = https", "needs definitions.https.url"),
        ("definitions.https.url = https://a:b@h/", "without a user"),
    ];
    for (line, right) in cases {
        let said = problems(&with(line));
        assert!(said.len() == 1 && said[0].contains(right), "{line}: {said:?}");
    }
}

#[test]
fn a_bad_secret_is_refused_without_showing_it() {
    let said = problems(&with("default_pass = encrypted:topsecret"));
    assert!(
        said[0].contains("[hidden]") && !said[0].contains("topsecret"),
        "{said:?}"
    );
    let config = config(&with("default_pass = topsecret"));
    assert!(!format!("{config:?}").contains("topsecret"));
    assert_eq!(config.access.default_pass.reveal(), "topsecret");
}

/// Written by RabbitMQ 3.10.8: `rabbitmqctl encode '"abc"' pass`.
const ABC: &str = "encrypted:IBQpdLpSkRvI3pPf5i8o5cZiFH+cIaGRz4mDSd/iLfi8Wc9eqlzw5IQ+6XN0zjOI";

#[test]
fn what_rabbitmq_has_encrypted_is_opened_by_the_passphrase() {
    let opened = |world: &Fixed| config(world).access.default_pass.reveal().to_owned();
    let conf = format!("default_pass = {ABC}\nconfig_entry_decoder.passphrase.file = /phrase\n");
    assert_eq!(opened(&with(&conf).file("/phrase", "pass\n")), "abc");
    let conf = format!("default_pass = {ABC}\nconfig_entry_decoder.passphrase = pass\n");
    assert_eq!(opened(&with(&conf)), "abc");
    let sealed = ABC.trim_start_matches("encrypted:");
    let terms = format!(
        "[{{rabbit, [{{default_pass, {{encrypted, <<\"{sealed}\">>}}}}, {{config_entry_decoder, [{{passphrase, <<\"pass\">>}}]}}]}}]."
    );
    assert_eq!(
        opened(&Fixed::new().file("/etc/rabbitmq/advanced.config", &terms)),
        "abc"
    );
    let said = problems(&with(&conf).file("/etc/rabbitmq/conf.d/a.conf", "config_entry_decoder.passphrase = wrong"));
    assert!(
        said.len() == 1 && said[0].contains("default_pass = [hidden]: is not opened"),
        "{said:?}"
    );
    assert!(!said[0].contains(sealed), "{said:?}");
}

#[test]
fn a_key_without_effect_is_mentioned_and_does_not_stop_the_node() {
    let warnings = loaded(&with("hipe_compile = false\nmqtt.listeners.tcp.1 = 1883\n")).warnings;
    assert_eq!(warnings.len(), 2);
    assert!(
        warnings[0].starts_with(&format!("{MAIN}:1: hipe_compile has no effect: ")),
        "{warnings:?}"
    );
}

#[test]
fn naming_one_listener_replaces_the_default_one_and_none_removes_all() {
    assert_eq!(
        addresses(&config(&with("listeners.tcp.1 = 127.0.0.1:1\nlisteners.tcp.2 = 2"))),
        ["127.0.0.1:1", "[::]:2"]
    );
    assert_eq!(
        addresses(&config(&with("listeners.tcp = none\nlisteners.tcp.1 = 1"))),
        [""; 0]
    );
    assert_eq!(addresses(&config(&with("listeners.tcp = none"))), [""; 0]);
}

#[test]
fn the_port_variable_counts_only_when_the_file_names_no_listener() {
    let world = Fixed::new()
        .set("RABBITMQ_NODE_PORT", "5873")
        .set("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1");
    let config_of_world = config(&world);
    assert_eq!(addresses(&config_of_world), ["127.0.0.1:5873"]);
    assert_eq!(config_of_world.node.peer_port, 25873);
    assert_eq!(
        addresses(&config(&world.clone().file(MAIN, "listeners.tcp.1 = 5999"))),
        ["[::]:5999"]
    );
    assert_eq!(config(&world.set("RABBITMQ_DIST_PORT", "7")).node.peer_port, 7);
}

#[test]
fn a_short_variable_works_and_the_long_one_wins() {
    let file = |name: &str| Fixed::new().file("/etc/rabbitmq/rabbitmq-env.conf", &format!("{name}=file@h\n"));
    assert_eq!(config(&file("NODENAME")).node.name.as_str(), "file@h");
    let world = file("NODENAME").set("NODENAME", "short@h");
    assert_eq!(config(&world).node.name.as_str(), "short@h");
    assert_eq!(
        config(&world.set("RABBITMQ_NODENAME", "long@h")).node.name.as_str(),
        "long@h"
    );
}

#[test]
fn the_default_user_of_the_environment_wins_over_the_file() {
    let world = with("default_user = a\ndefault_pass = b\n").set("RABBITMQ_DEFAULT_USER", "c");
    let access = config(&world).access;
    assert_eq!((access.default_user.as_str(), access.default_pass.reveal()), ("c", "b"));
}

#[test]
fn the_data_directory_is_the_flag_then_the_variable_then_the_base() {
    let world = Fixed::new()
        .set("RABBITMQ_MNESIA_BASE", "/m")
        .set("RABBITMQ_NODENAME", "a@b");
    let path = |args: &ServerArgs, world: &Fixed| load(args, world).unwrap().config.node.data.as_path().to_owned();
    assert_eq!(path(&ServerArgs::default(), &world), PathBuf::from("/m/a@b"));
    let world = world.set("RABBITMQ_MNESIA_DIR", "/own");
    assert_eq!(path(&ServerArgs::default(), &world), PathBuf::from("/own"));
    let flag = ServerArgs {
        data: Some("/flag".into()),
        ..ServerArgs::default()
    };
    assert_eq!(path(&flag, &world), PathBuf::from("/flag"));
}

#[test]
fn logs_go_to_the_console_alone_when_the_variable_says_so() {
    let config = config(
        &Fixed::new()
            .set("RABBITMQ_LOGS", "-")
            .set("RABBITMQ_LOG", "debug,connection=error,+color"),
    );
    assert!(config.log.console.enabled);
    assert_eq!(config.log.file_path(&config.node.name), None);
    assert_eq!(config.log.levels["default"], LogLevel::Debug);
    assert_eq!(config.log.levels["connection"], LogLevel::Error);
}

#[test]
fn loopback_users_can_be_freed_one_by_one_or_all() {
    let one = config(&with("loopback_users.guest = false")).access.loopback_users;
    assert_eq!(one.get("guest"), Some(&false));
    assert!(config(&with("loopback_users = none")).access.loopback_users.is_empty());
}

#[test]
fn a_tls_port_alone_switches_the_plain_port_off() {
    let only_tls = config(&with("management.ssl.port = 15671")).management.listener;
    assert_eq!(
        (only_tls.plain(), only_tls.tls()),
        (None, Some(ListenAddress::any(15671)))
    );
    let both = config(&with("management.ssl.port = 15671\nmanagement.tcp.port = 1"))
        .management
        .listener;
    assert_eq!(both.plain(), Some(ListenAddress::any(1)));
}

#[test]
fn erlang_terms_replace_what_was_said_before_and_are_judged_like_it() {
    let file = "/etc/rabbitmq/advanced.config";
    let world = with("listeners.tcp.default = 5672\nheartbeat = 60\nchannel_max = 5").file(
        file,
        "[{rabbit, [{tcp_listeners, [1]}, {heartbeat, 30}, {consumer_timeout, undefined}, {x, 1}]}].",
    );
    let loaded = loaded(&world);
    let ports: Vec<u16> = loaded
        .config
        .listeners
        .tcp
        .values()
        .map(|address| address.port)
        .collect();
    assert_eq!(ports, [1]);
    assert_eq!(
        (loaded.config.amqp.heartbeat_s, loaded.config.amqp.channels_max),
        (30, 5)
    );
    assert!(loaded.config.queues.ack_timeout.0 > 1_000_000_000_000);
    assert!(
        loaded.warnings.iter().any(|said| said.contains("{x, …}")),
        "{:?}",
        loaded.warnings
    );
    assert!(
        loaded
            .config
            .node
            .config_files
            .iter()
            .any(|path| path == Path::new(file))
    );
    let said = problems(&Fixed::new().file(file, "[{rabbit, [{heartbeat, often}]}]."));
    assert!(said[0].contains("heartbeat = often"), "{said:?}");
    let said = problems(&Fixed::new().file(file, "[{rabbit,\n [}]."));
    assert!(
        said[0].starts_with(&format!("{file}: ")) && said[0].contains("line 2"),
        "{said:?}"
    );
}

#[test]
fn a_classic_file_is_read_where_there_is_no_other() {
    let world = Fixed::new().file("/etc/rabbitmq/rabbitmq.config", "[{rabbit, [{heartbeat, 7}]}].");
    assert_eq!(config(&world).amqp.heartbeat_s, 7);
    let named = Fixed::new()
        .file("/mine.config", "[{rabbit, [{heartbeat, 8}]}].")
        .set("RABBITMQ_CONFIG_FILE", "/mine");
    assert_eq!(config(&named).amqp.heartbeat_s, 8);
    let both = world.file("/etc/rabbitmq/rabbitmq.conf", "heartbeat = 9");
    assert_eq!(config(&both).amqp.heartbeat_s, 9);
}

#[test]
fn enabled_plugins_come_from_their_file() {
    let world = Fixed::new()
        .file("/p", "[rabbitmq_management].")
        .set("RABBITMQ_ENABLED_PLUGINS_FILE", "/p");
    assert!(config(&world).plugins.management());
    let said = problems(&world.file("/p", "[rabbitmq_mqtt]."));
    assert!(said[0].contains("rabbitmq_mqtt"), "{said:?}");
}

#[test]
fn every_default_is_accepted_by_its_own_row_and_no_row_is_written_twice() {
    let (rows, mut names) = (keys(), std::collections::BTreeSet::new());
    for key in &rows {
        assert!(names.insert(key.name.clone()), "{} is there twice", key.name);
        assert!(!key.doc.is_empty(), "{} has no explanation", key.name);
        for (name, value) in &key.defaults {
            assert!(matches!(key.effect, Effect::Honoured(_)), "{name}");
            config(&with(&format!("{name} = {value}")));
        }
    }
}

#[test]
fn any_text_is_settings_or_problems_and_never_a_panic() {
    for text in [
        "=",
        "\u{0}",
        "a\\",
        "a.\\.b = 1",
        "listeners.tcp. = 1",
        "é = 1",
        "heartbeat = 99999999999999999999",
    ] {
        assert!(load(&ServerArgs::default(), &with(text)).is_err(), "{text}");
    }
}

#[test]
fn nodes_of_one_host_that_differ_in_their_amqp_ports_differ_in_all_ports() {
    let second = config(&Fixed::new().set("RABBITMQ_NODE_PORT", "5673"));
    assert_eq!((second.node.peer_port, second.admin.port), (25673, 15681));
    let file = Fixed::new()
        .set("RABBITMQ_NODE_PORT", "5673")
        .file("/etc/rabbitmq/rabbitmq.conf", "admin.tcp.port = 1234");
    assert_eq!(config(&file).admin.port, 1234);
    let named = config(
        &Fixed::new()
            .set("ERL_EPMD_PORT", "14369")
            .set("ERL_EPMD_ADDRESS", "10.0.0.1,::1"),
    );
    assert_eq!(named.node.names.port, 14369);
    assert_eq!(named.node.names.addresses.len(), 2);
}

#[test]
fn times_of_silence_fit_together_or_the_start_says_what_would_be_right() {
    let patience = |text: &str| config(&with(text)).node.patience;
    assert_eq!(patience("").down_after().as_secs(), 6);
    let slow = patience("net_ticktime = 60");
    assert_eq!((slow.down_after().as_secs(), slow.beat().as_millis()), (60, 1000));
    assert_eq!(
        patience("net_ticktime = 10\ncluster_lease = 4500").beat().as_millis(),
        900
    );
    assert_eq!(
        problems(&with("net_ticktime = 4")),
        [format!(
            "{MAIN}:1: net_ticktime = 4: must be at least 4.8s, or no election is over before"
        )]
    );
    let late = problems(&with("cluster_lease = 6000"));
    assert!(
        late[0].starts_with(&format!("{MAIN}:1: cluster_lease = 6000: must be at most 5.3")),
        "{late:?}"
    );
}

#[test]
fn the_port_for_peers_may_be_one_of_a_range_and_a_variable_wins() {
    let range = "distribution.listener.port_range.min = 30000\ndistribution.listener.port_range.max = 30009\n\
                 distribution.listener.interface = 127.0.0.1";
    let ports = |config: &Config| (config.node.peer_port, config.node.peer_port_last);
    let read = config(&with(range));
    assert_eq!(
        (ports(&read), read.node.peer_ip),
        ((30000, 30009), "127.0.0.1".parse().ok())
    );
    assert_eq!(
        ports(&config(&with("distribution.listener.port_range.min = 30000"))),
        (30000, 30000)
    );
    let named = with(range).set("RABBITMQ_DIST_PORT", "25000");
    assert_eq!(ports(&config(&named)), (25000, 25000));
    assert_eq!(ports(&config(&with(""))), (25672, 25672));
    let wrong = problems(&with(
        "distribution.listener.port_range.min = 9\ndistribution.listener.port_range.max = 8",
    ));
    assert!(wrong[0].contains("must be at least"), "{wrong:?}");
}

#[test]
fn what_only_newer_releases_know_is_known_by_name() {
    for key in [
        "session_max_per_connection",
        "link_max_per_session",
        "federation.exchanges.shutdown.timeout",
        "amqp_client.ssl_options.verify",
    ] {
        let warnings = loaded(&with(&format!("{key} = 1"))).warnings;
        assert!(
            warnings.iter().any(|warning| warning.contains(key)),
            "{key}: {warnings:?}"
        );
    }
    for (key, value) in [
        ("anonymous_login_user", "guest"),
        ("queue_types.stream.enabled", "true"),
        ("message_interceptors.outgoing.timestamp.enabled", "true"),
    ] {
        let wrong = problems(&with(&format!("{key} = {value}")));
        assert!(wrong[0].contains("because"), "{wrong:?}");
    }
}
