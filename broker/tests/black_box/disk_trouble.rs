//! Disks and directories that cannot be used, or not any more: what the broker does, and the message that tells an
//! administrator what to do.
//!
//! Some need what only root may do, or strace; where that is missing they say so and are skipped.

use crate::{
    backup::{channel, declare, drain, publish, said, text, until},
    broker::{Broker, PATIENCE, program, soon},
};
use lapin::{
    Channel,
    options::{BasicAckOptions, BasicGetOptions},
};
use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::Path,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

/// Neither root nor anybody who has files.
const NOBODY: u32 = 65534;

#[test]
fn a_directory_of_another_user_is_refused_with_what_to_do() {
    if !rustix::process::geteuid().is_root() {
        return skipped("only root can start a program as another user");
    }
    let mut broker = Broker::start("");
    broker.stop();
    let directory = broker.directory();
    fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).unwrap();
    let binary = directory.join("warren");
    if fs::hard_link(env!("CARGO_BIN_EXE_warren"), &binary).is_err() {
        fs::copy(env!("CARGO_BIN_EXE_warren"), &binary).unwrap();
    }
    let [peers] = crate::ports::free_addresses();
    let template = program(directory, peers);
    let settings = template.get_envs().filter_map(|(name, value)| Some((name, value?)));
    let refused = Command::new(&binary)
        .envs(settings)
        .env("RABBITMQ_LOGS", "-")
        .args(["server", "--data", text(&broker.data())])
        .uid(NOBODY)
        .gid(NOBODY)
        .output()
        .unwrap();
    assert!(!refused.status.success());
    let told = said(&refused);
    assert!(
        told.contains("chown it to that user") && told.contains(text(&broker.data())),
        "{told}"
    );
}

#[test]
fn data_of_a_newer_version_is_refused_and_left_as_it_is() {
    let mut broker = Broker::start("");
    broker.stop();
    let identity = broker.data().join("warren.json");
    let newer = fs::read_to_string(&identity)
        .unwrap()
        .replace("\"format\": 1", "\"format\": 7");
    fs::write(&identity, &newer).unwrap();
    let refusal = broker.fails_to_start();
    assert!(
        refusal.contains("has format 7, written by a newer version") && refusal.contains("start the newer version"),
        "{refusal}"
    );
    assert_eq!(fs::read_to_string(&identity).unwrap(), newer);
}

#[test]
fn a_directory_of_rabbitmq_itself_is_refused_untouched_with_the_way_to_move() {
    let prepared = Broker::prepare();
    let data = prepared.data();
    fs::create_dir_all(data.join("msg_stores")).unwrap();
    fs::write(data.join("schema.DAT"), b"theirs").unwrap();
    let refused = prepared.tool(&["server", "--data", text(&data)]);
    assert!(!refused.status.success());
    let told = said(&refused);
    assert!(
        told.contains("was written by RabbitMQ itself") && told.contains("import the definitions"),
        "{told}"
    );
    let mut left: Vec<_> = fs::read_dir(&data)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    left.sort();
    assert_eq!(left, ["msg_stores", "schema.DAT"]);
}

/// strace that lets every further fdatasync of a process fail; none where that cannot be had.
fn fail_syncs(process: u32) -> Option<Child> {
    let tracing = Command::new("strace")
        .args([
            "-f",
            "-o",
            "/dev/null",
            "-e",
            "trace=fdatasync",
            "-e",
            "inject=fdatasync:error=EIO",
            "-p",
        ])
        .arg(process.to_string())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut strace) = tracing else {
        skipped("there is no strace");
        return None;
    };
    let mut said = String::new();
    BufReader::new(strace.stderr.take().unwrap())
        .read_line(&mut said)
        .unwrap();
    if !said.contains("attached") {
        strace.wait().unwrap();
        skipped("the system lets us trace nothing");
        return None;
    }
    Some(strace)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_fdatasync_ends_the_node_without_a_confirm_and_says_what_to_check() {
    let mut broker = Broker::start("");
    let publisher = channel(&broker).await;
    declare(&publisher, "q").await;
    assert!(publish(&publisher, "q", b"safe").await);
    let Some(mut strace) = fail_syncs(broker.pid()) else {
        return;
    };
    assert!(!soon(publish(&publisher, "q", b"not safe")).await, "it was confirmed");
    broker.has_ended();
    strace.wait().unwrap();
    let log = broker.log();
    assert!(
        log.contains("What is on the disk is not known any more") && log.contains("Check the disk"),
        "{log}"
    );
    broker.start_again();
    assert_eq!(drain(&broker, "q").await.first().map(String::as_str), Some("safe"));
}

/// A small file system of its own, if the system lets us have one.
struct Mounted(PathBuf);

fn mount(arguments: &[&str], at: &Path) -> bool {
    let done = Command::new("mount").args(arguments).arg(at).output();
    done.is_ok_and(|output| output.status.success())
}

impl Mounted {
    fn new(size: &str, at: &Path) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let mounted = mount(&["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"], at);
        mounted.then(|| Mounted(at.to_owned())).or_else(|| {
            skipped("the system lets us mount nothing");
            None
        })
    }

    fn again(&self, options: &str) {
        assert!(mount(&["-o", &format!("remount,{options}")], &self.0));
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // What is still mounted goes with the machine.
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

#[expect(clippy::print_stderr, reason = "a skipped test says why")]
fn skipped(why: &str) {
    eprintln!("skipped: {why}");
}

#[test]
fn a_read_only_file_system_is_refused_with_what_to_do_and_can_be_explained() {
    let prepared = Broker::prepare();
    let Some(mounted) = Mounted::new("200m", &prepared.data()) else {
        return;
    };
    let mut broker = prepared.started();
    broker.stop();
    mounted.again("ro");
    let refusal = broker.fails_to_start();
    assert!(refusal.contains("mount it writable"), "{refusal}");
    let checked = broker.tool(&["store", "check", text(&broker.data())]);
    assert_eq!(checked.status.code(), Some(0), "{}", said(&checked));
}

/// Publishes until told to end.
async fn fill(channel: Channel, confirmed: Arc<AtomicUsize>) {
    let body = vec![7; 200_000];
    while publish(&channel, "q", &body).await {
        confirmed.fetch_add(1, Ordering::AcqRel);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_publishers_wait_consumers_drain_and_room_lets_all_go_on() {
    let prepared = Broker::prepare_with("disk_free_limit.absolute = 1KB");
    let Some(mounted) = Mounted::new("130m", &prepared.data()) else {
        return;
    };
    let mut broker = prepared.started();
    let publisher = channel(&broker).await;
    declare(&publisher, "q").await;
    let confirmed = Arc::new(AtomicUsize::new(0));
    let filling = tokio::spawn(fill(publisher, confirmed.clone()));
    let deadline = Instant::now() + PATIENCE * 3;
    let is_alarmed = |broker: &Broker| broker.tool(&["diagnostics", "check_local_alarms"]).status.code() != Some(0);
    while !is_alarmed(&broker) {
        assert!(!filling.is_finished() && Instant::now() < deadline, "{}", broker.log());
    }
    assert!(broker.is_running(), "{}", broker.log());
    let consumer = broker.connect().await.create_channel().await.unwrap();
    let before = confirmed.load(Ordering::Acquire);
    for _ in 0..before / 2 {
        let got = consumer
            .basic_get("q".into(), BasicGetOptions::default())
            .await
            .unwrap();
        let got = got.expect("a message that was confirmed");
        got.delivery.ack(BasicAckOptions::default()).await.unwrap();
    }
    mounted.again("size=600m");
    until(&confirmed, before + 20).await;
    assert!(broker.log().contains("no room on the disk"), "{}", broker.log());
    filling.abort();
}
