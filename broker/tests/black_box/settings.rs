//! Settings that take effect, or keep the node from starting with a sentence that says why.

use crate::{
    broker::{Broker, PATIENCE, connect, soon},
    certificates::{Authority, directory},
};
use lapin::{options::QueueDeclareOptions, types::FieldTable};
use std::{
    fs,
    io::{ErrorKind, Read},
    net::TcpStream,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

const BOB: &str = r#"{"users": [{"name": "bob", "password": "secret", "tags": ["administrator"]}],
    "vhosts": [{"name": "shop"}],
    "permissions": [{"user": "bob", "vhost": "shop", "configure": ".*", "write": ".*", "read": ".*"}]}"#;
const ORDERS: &str =
    r#"{"queues": [{"name": "orders", "vhost": "shop", "durable": true, "auto_delete": false, "arguments": {}}]}"#;

/// A directory with a folder of definitions: two files, and one that is none.
fn with_definitions() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join("definitions");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("1.json"), BOB).unwrap();
    fs::write(folder.join("2.json"), ORDERS).unwrap();
    fs::write(folder.join("notes.txt"), "no JSON").unwrap();
    directory
}

fn named(key: &str, path: &Path) -> String {
    format!("{key} = {}", path.display())
}

#[test]
fn a_configuration_is_checked_without_a_node() {
    let directory = tempfile::tempdir().unwrap();
    let check = |text: &str| {
        let file = directory.path().join("rabbitmq.conf");
        fs::write(&file, text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_warren"));
        command.args(["server", "--check-config", "--config"]).arg(&file);
        let output = command
            .env("HOME", directory.path())
            .env("RABBITMQ_MNESIA_BASE", directory.path());
        let output = output.output().unwrap();
        let text = |octets: Vec<u8>| String::from_utf8(octets).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let (code, said, wrong) = check("heartbeat = 20\nhipe_compile = false\n");
    assert_eq!((code, wrong.as_str()), (Some(0), ""));
    assert!(
        said.contains("hipe_compile has no effect") && said.ends_with("the configuration can be used\n"),
        "{said}"
    );
    let (code, said, wrong) = check("heartbeet = 20\nframe_max = x\n");
    assert_eq!((code, said.as_str()), (Some(1), ""));
    assert!(
        wrong.contains("Did you mean heartbeat?") && wrong.contains("frame_max"),
        "{wrong}"
    );
    // Nothing was made, not even a directory.
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn definitions_are_imported_at_the_start_and_replace_the_default_user() {
    for key in [
        "load_definitions",
        "management.load_definitions",
        "definitions.local.path",
    ] {
        let directory = with_definitions();
        let settings = named(key, &directory.path().join("definitions"));
        let broker = Broker::start_in(directory, &settings);
        assert_eq!(broker.ctl(&["list_vhosts"]).trim(), "name\nshop");
        assert_eq!(broker.ctl(&["list_users"]).trim(), "user\ttags\nbob\t[administrator]");
        assert!(broker.ctl(&["list_queues", "-p", "shop", "name"]).contains("orders"));
        assert!(broker.ctl(&["authenticate_user", "bob", "secret"]).contains("Success"));
    }
}

#[tokio::test]
async fn the_default_user_may_be_kept_beside_definitions() {
    let directory = with_definitions();
    let settings = named("load_definitions", &directory.path().join("definitions"));
    let broker = Broker::start_in(directory, &(settings + "\nload_definitions.keep_default_user = true"));
    assert!(broker.ctl(&["list_vhosts"]).lines().any(|vhost| vhost == "/"));
    let users = broker.ctl(&["list_users"]);
    assert!(users.contains("bob") && users.contains("guest"), "{users}");
}

#[tokio::test]
async fn definitions_come_with_every_start_and_leave_alone_what_they_do_not_name() {
    let directory = with_definitions();
    let settings = named("load_definitions", &directory.path().join("definitions/1.json"));
    let mut broker = Broker::start_in(directory, &settings);
    broker.ctl(&["add_user", "ann", "x"]);
    broker.ctl(&["clear_permissions", "-p", "shop", "bob"]);
    broker.kill_and_restart();
    assert!(broker.ctl(&["list_users"]).contains("ann"));
    assert!(broker.ctl(&["list_permissions", "-p", "shop"]).contains("bob"));
}

#[tokio::test]
async fn definitions_that_cannot_be_imported_are_named_and_keep_the_node_from_starting() {
    let mut broker = Broker::start("");
    broker.stop();
    let file = broker.directory().join("definitions.json");
    let conf = broker.directory().join("rabbitmq.conf");
    let before = fs::read_to_string(&conf).unwrap();
    fs::write(&conf, before + &named("load_definitions", &file)).unwrap();
    let said = broker.fails_to_start();
    assert!(
        said.contains("load_definitions") && said.contains("definitions.json"),
        "{said}"
    );
    let bad = [
        ("{", "definitions.json"),
        (
            r#"{"queues": [{"name": "q", "vhost": "nowhere", "durable": true, "auto_delete": false, "arguments": {}}]}"#,
            "nowhere",
        ),
    ];
    for (text, part) in bad {
        fs::write(&file, text).unwrap();
        let said = broker.fails_to_start();
        assert!(said.contains("definitions.json") && said.contains(part), "{said}");
    }
}

#[tokio::test]
async fn virtual_hosts_and_queues_are_limited_in_number() {
    let broker = Broker::start("vhost_max = 2\ncluster_queue_limit = 1");
    broker.ctl(&["add_vhost", "second"]);
    broker.ctl(&["add_vhost", "second"]);
    let refused = broker.tool(&["ctl", "-q", "add_vhost", "third"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        !refused.status.success() && said.contains("vhost limit of 2 is reached"),
        "{said}"
    );
    let connection = soon(broker.connect()).await;
    for (queue, expected) in [
        ("one", None),
        ("one", None),
        ("two", Some("queue limit in cluster (1) is reached")),
    ] {
        let channel = connection.create_channel().await.unwrap();
        let declared = channel.queue_declare(queue.into(), QueueDeclareOptions::default(), FieldTable::default());
        match (declared.await, expected) {
            (Ok(_), None) => {}
            (Err(error), Some(part)) => assert!(error.to_string().contains(part), "{error}"),
            (outcome, _) => panic!("{queue}: {outcome:?}"),
        }
    }
}

#[tokio::test]
async fn a_new_password_is_held_to_what_is_asked_of_it_from_the_command_line_too() {
    let settings = "credential_validator.validation_backend = rabbit_credential_validator_min_password_length\n\
        credential_validator.min_length = 6";
    let broker = Broker::start(settings);
    for arguments in [["add_user", "bob", "short"], ["change_password", "guest", "short"]] {
        let refused = broker.tool(&[&["ctl", "-q"], &arguments[..]].concat());
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(
            !refused.status.success() && said.contains("minimum required password length: 6"),
            "{said}"
        );
    }
    broker.ctl(&["add_user", "bob", "longer"]);
    broker.ctl(&["change_password", "guest", "longer"]);
    soon(connect(broker.amqp, "guest:longer@")).await.unwrap();
}

#[tokio::test]
async fn the_process_id_is_written_where_it_is_asked_for_and_goes_with_the_process() {
    let mut broker = Broker::start("");
    let file = broker.directory().join("pid");
    assert_eq!(fs::read_to_string(&file).unwrap().trim(), broker.pid().to_string());
    broker.stop();
    assert!(!file.exists());
}

#[test]
fn a_tls_handshake_has_less_time_than_the_rest() {
    let settings = "handshake_timeout = 600000\nssl_handshake_timeout = 500";
    let broker = Broker::start_with_tls(directory(&Authority::new("ours")), settings);
    let begun = Instant::now();
    let mut silent = TcpStream::connect(broker.tls).unwrap();
    silent.set_read_timeout(Some(PATIENCE)).unwrap();
    // Perhaps after an alert.
    match silent.read_to_end(&mut Vec::new()) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
    assert!(begun.elapsed() >= Duration::from_millis(500));
}

/// Waits until a text is as wanted.
async fn until(read: impl Fn() -> String, is_wanted: impl Fn(&str) -> bool) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let text = read();
        if is_wanted(&text) {
            return;
        }
        assert!(Instant::now() < deadline, "in vain: {text}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn after_sighup_changed_settings_hold_and_a_file_that_is_wrong_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let settings = format!("log.dir = {}\nlog.file = a.log", directory.path().display());
    let broker = Broker::start_in(directory, &settings);
    let conf = broker.directory().join("rabbitmq.conf");
    let begin = fs::read_to_string(&conf).unwrap();
    let read_again = |more: &str| {
        fs::write(&conf, format!("{begin}\n{more}")).unwrap();
        let killed = Command::new("kill").args(["-HUP", &broker.pid().to_string()]).status();
        assert!(killed.unwrap().success());
    };
    let log = || fs::read_to_string(broker.directory().join("a.log")).unwrap_or_default();
    let environment = || broker.ctl(&["environment"]);
    read_again(
        "heartbeat = 33\nconsumer_timeout = 60001\nvm_memory_high_watermark.absolute = 1000\nnet_ticktime = 9\n\
         log.default.level = debug",
    );
    until(environment, |text| text.contains("{heartbeat,33}")).await;
    until(environment, |text| text.contains("{consumer_timeout,60001}")).await;
    until(environment, |text| text.contains("{vm_memory_high_watermark,1000}")).await;
    until(|| broker.ctl(&["status"]), |text| text.contains("Memory alarm on node")).await;
    until(log, |text| {
        text.contains("settings wait for the next start of the node: net_ticktime")
    })
    .await;
    read_again("heartbeat = often\nconsumer_timeout = 60002");
    until(log, |text| {
        text.contains("the configuration stays as it was") && text.contains("heartbeat = often")
    })
    .await;
    assert!(environment().contains("{heartbeat,33}") && environment().contains("{consumer_timeout,60001}"));
    read_again("");
    until(environment, |text| text.contains("{heartbeat,60}")).await;
    until(
        || broker.ctl(&["status"]),
        |text| !text.contains("Memory alarm on node"),
    )
    .await;
}
