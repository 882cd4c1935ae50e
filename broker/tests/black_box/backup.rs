//! Backups, and data directories that cannot be used: what an administrator sees, does, and gets back.
//!
//! Everything is done with the program itself; files are only looked at to damage them.

use crate::broker::{Broker, PATIENCE, soon};
use lapin::{
    BasicProperties, Channel,
    options::{BasicAckOptions, BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions},
    types::FieldTable,
};
use std::{
    fs::{self, File},
    io::Read,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::{Child, Output},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Instant,
};

pub(crate) async fn channel(broker: &Broker) -> Channel {
    let channel = broker.connect().await.create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    channel
}

pub(crate) async fn declare(channel: &Channel, queue: &str) {
    let durable = QueueDeclareOptions::durable();
    let declared = channel.queue_declare(queue.into(), durable, FieldTable::default());
    declared.await.unwrap();
}

/// Publishes a persistent message; true once it is confirmed.
pub(crate) async fn publish(channel: &Channel, queue: &str, body: &[u8]) -> bool {
    let persistent = BasicProperties::default().with_delivery_mode(2);
    let options = BasicPublishOptions::default();
    match channel
        .basic_publish("".into(), queue.into(), options, body, persistent)
        .await
    {
        Ok(confirm) => confirm.await.is_ok_and(|confirmed| confirmed.is_ack()),
        Err(_) => false,
    }
}

/// All bodies of a queue, as text.
pub(crate) async fn drain(broker: &Broker, queue: &str) -> Vec<String> {
    let channel = broker.connect().await.create_channel().await.unwrap();
    let mut bodies = Vec::new();
    while let Some(got) = channel
        .basic_get(queue.into(), BasicGetOptions { no_ack: true })
        .await
        .unwrap()
    {
        bodies.push(String::from_utf8_lossy(&got.delivery.data).trim_end().to_owned());
    }
    bodies
}

pub(crate) fn said(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!("{}{}", String::from_utf8_lossy(out), String::from_utf8_lossy(err))
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The file of the log that holds messages, and where one of them stands in it.
fn find(directory: &Path, needle: &[u8]) -> (PathBuf, u64) {
    for entry in fs::read_dir(directory.join("wal")).unwrap() {
        let path = entry.unwrap().path();
        let octets = fs::read(&path).unwrap();
        if let Some(at) = octets.windows(needle.len()).position(|window| window == needle) {
            return (path, at as u64);
        }
    }
    panic!("no file of the log holds the message");
}

fn all_octets(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let rooms = ["wal", "pages", "meta"].map(|room| directory.join(room));
    let files = rooms.iter().flat_map(|room| fs::read_dir(room).unwrap());
    let mut all: Vec<_> = files
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect();
    all.sort();
    all
}

#[tokio::test]
async fn a_damaged_directory_is_refused_by_name_and_explained_and_left_as_it_is() {
    let mut broker = Broker::start("");
    let publisher = channel(&broker).await;
    declare(&publisher, "q").await;
    for number in 1..=3 {
        assert!(publish(&publisher, "q", format!("message number {number}").as_bytes()).await);
    }
    broker.stop();
    let data = broker.data();
    let clean = broker.tool(&["store", "check", text(&data)]);
    assert_eq!(clean.status.code(), Some(0), "{}", said(&clean));
    assert!(
        said(&clean).contains("q in /: 3 messages (0 in pages), 48 octets"),
        "{}",
        said(&clean)
    );
    let (file, at) = find(&data, b"message number 2");
    File::options()
        .write(true)
        .open(&file)
        .unwrap()
        .write_all_at(b"M", at)
        .unwrap();
    let before = all_octets(&data);
    let refusal = broker.fails_to_start();
    let name = format!("wal/{}", file.file_name().unwrap().display());
    assert!(refusal.contains(&format!("{name} is damaged at offset ")), "{refusal}");
    assert!(refusal.contains("warren store check"), "{refusal}");
    assert!(
        all_octets(&data)
            .iter()
            .filter(|file| file.0.parent() != Some(&data.join("meta")))
            .all(|file| before.contains(file))
    );
    let checked = broker.tool(&["store", "check", text(&data)]);
    let told = said(&checked);
    assert_eq!(checked.status.code(), Some(1), "{told}");
    assert!(
        told.contains(&format!("{name} is damaged at offset ")) && told.contains("q in /: 2 messages"),
        "{told}"
    );
    let json = broker.tool(&["store", "check", "--json", text(&data)]);
    assert_eq!(json.status.code(), Some(1));
    let told = said(&json);
    assert!(
        told.contains("\"damaged\": true") && told.contains("\"damaged_places\": 1"),
        "{told}"
    );
}

#[tokio::test]
async fn a_torn_end_of_the_log_is_no_damage() {
    let mut broker = Broker::start("");
    let publisher = channel(&broker).await;
    declare(&publisher, "q").await;
    for number in 1..=3 {
        assert!(publish(&publisher, "q", format!("message number {number}").as_bytes()).await);
    }
    broker.kill();
    let data = broker.data();
    let (file, at) = find(&data, b"message number 3");
    // What a power cut may leave of a write: its end is missing.
    let log = File::options().write(true).open(&file).unwrap();
    let length = log.metadata().unwrap().len();
    log.set_len(at + 5).unwrap();
    log.set_len(length).unwrap();
    let checked = broker.tool(&["store", "check", text(&data)]);
    assert_eq!(checked.status.code(), Some(0), "{}", said(&checked));
    assert!(said(&checked).contains("breaks off here"), "{}", said(&checked));
    broker.start_again();
    assert_eq!(drain(&broker, "q").await, ["message number 1", "message number 2"]);
}

/// Publishes until told to end, and consumes every third message; `confirmed` counts.
async fn load(channel: Channel, ends: Arc<AtomicBool>, confirmed: Arc<AtomicUsize>) {
    for number in 0.. {
        if ends.load(Ordering::Acquire) {
            return;
        }
        let body = format!("{number:<2000}");
        if !publish(&channel, "kept", body.as_bytes()).await || !publish(&channel, "consumed", body.as_bytes()).await {
            return;
        }
        confirmed.store(number + 1, Ordering::Release);
        let got = channel.basic_get("consumed".into(), BasicGetOptions::default()).await;
        if let Ok(Some(got)) = got {
            got.delivery.ack(BasicAckOptions::default()).await.unwrap();
        }
    }
}

/// Waits until something is so.
async fn wait_for(mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE * 3;
    while !is_so() {
        assert!(Instant::now() < deadline, "it never came to be so");
        tokio::task::yield_now().await;
    }
}

pub(crate) async fn until(confirmed: &AtomicUsize, count: usize) {
    let deadline = Instant::now() + PATIENCE * 3;
    while confirmed.load(Ordering::Acquire) < count {
        assert!(
            Instant::now() < deadline,
            "the load stands still at {}",
            confirmed.load(Ordering::Acquire)
        );
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_under_load_holds_every_message_that_was_confirmed_before() {
    let broker = Broker::start("");
    let publisher = channel(&broker).await;
    declare(&publisher, "kept").await;
    declare(&publisher, "consumed").await;
    broker.ctl(&["add_vhost", "other"]);
    let (ends, confirmed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let loading = tokio::spawn(load(publisher, ends.clone(), confirmed.clone()));
    until(&confirmed, 300).await;
    let before = confirmed.load(Ordering::Acquire);
    let tar = broker.directory().join("backup.tar");
    let backup = broker.tool(&["backup", text(&tar)]);
    assert!(backup.status.success(), "{}", said(&backup));
    assert!(
        String::from_utf8_lossy(&backup.stderr).contains(" files"),
        "progress: {}",
        said(&backup)
    );
    let after = confirmed.load(Ordering::Acquire);
    // The node went on, and goes on.
    until(&confirmed, after + 20).await;
    ends.store(true, Ordering::Release);
    soon(loading).await.unwrap();
    let again = broker.tool(&["backup", text(&tar)]);
    assert!(
        !again.status.success() && said(&again).contains("exists"),
        "{}",
        said(&again)
    );
    let elsewhere = Broker::prepare();
    let restored = elsewhere.tool(&["restore", text(&tar), text(&elsewhere.data())]);
    assert!(restored.status.success(), "{}", said(&restored));
    let checked = elsewhere.tool(&["store", "check", text(&elsewhere.data())]);
    assert_eq!(checked.status.code(), Some(0), "{}", said(&checked));
    let elsewhere = elsewhere.started();
    let found = drain(&elsewhere, "kept").await;
    let expected: Vec<String> = (0..found.len()).map(|number| number.to_string()).collect();
    assert_eq!(found, expected);
    assert!(
        found.len() >= before && found.len() <= after + 1,
        "{before} <= {} <= {after}",
        found.len()
    );
    let vhosts = elsewhere.ctl(&["list_vhosts"]);
    assert!(vhosts.contains("other"), "{vhosts}");
}

fn mkfifo(path: &Path) {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
}

/// Segments of the log on the disk now.
fn segments(directory: &Path) -> usize {
    let names = fs::read_dir(directory.join("wal")).unwrap();
    names
        .filter(|entry| {
            entry
                .as_ref()
                .unwrap()
                .path()
                .extension()
                .is_some_and(|end| end == "log")
        })
        .count()
}

/// Publishes and consumes until the log has gone through so many further segments.
async fn pass_through(broker: &Broker, channel: &Channel, segments_passed: u64) {
    let body = vec![7; 4 << 20];
    // Eight of them and their frames fill a segment.
    for _ in 0..segments_passed * 8 {
        assert!(publish(channel, "q", &body).await, "{}", broker.log());
        let taken = BasicGetOptions { no_ack: true };
        channel.basic_get("q".into(), taken).await.unwrap().unwrap();
    }
}

/// A backup that has begun and cannot write down what it is sent: its file is a pipe that nobody empties.
async fn stalled_backup(broker: &Broker) -> (Child, File) {
    let tar = broker.directory().join("stalled.tar");
    let draft = broker.directory().join("stalled.tar.partial");
    mkfifo(&draft);
    let mut pipe = File::options().read(true).write(true).open(&draft).unwrap();
    let stalled = broker.spawn_tool(&["backup", text(&tar)]);
    let begun = tokio::task::spawn_blocking(move || {
        pipe.read_exact(&mut [0]).unwrap();
        pipe
    });
    (stalled, soon(begun).await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_a_node_that_stops_is_none() {
    let broker = Broker::start("");
    let publisher = channel(&broker).await;
    declare(&publisher, "q").await;
    pass_through(&broker, &publisher, 2).await;
    let (mut stalled, mut pipe) = stalled_backup(&broker).await;
    broker.ctl(&["stop_app"]);
    broker.ctl(&["start_app"]);
    // Ends with the test's process at the latest: our own end keeps the pipe open.
    std::thread::spawn(move || while pipe.read(&mut [0; 1 << 16]).is_ok_and(|read| read > 0) {});
    let ended = tokio::task::spawn_blocking(move || stalled.wait().unwrap());
    assert!(!soon(ended).await.unwrap().success());
    assert!(!broker.directory().join("stalled.tar").exists());
    assert!(broker.log().contains("the node stops"), "{}", broker.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_a_backup_holds_nothing_and_two_are_made_at_once() {
    let broker = Broker::start("");
    let publisher = channel(&broker).await;
    declare(&publisher, "q").await;
    pass_through(&broker, &publisher, 2).await;
    let (mut stalled, _pipe) = stalled_backup(&broker).await;
    let names = ["first.tar", "second.tar"].map(|name| broker.directory().join(name));
    let others = names.each_ref().map(|tar| broker.spawn_tool(&["backup", text(tar)]));
    pass_through(&broker, &publisher, 7).await;
    for mut other in others {
        assert!(other.wait().unwrap().success());
    }
    assert!(
        segments(&broker.data()) >= 9,
        "one copy is not made yet: its files are held"
    );
    stalled.kill().unwrap();
    stalled.wait().unwrap();
    wait_for(|| segments(&broker.data()) <= 6).await;
    for tar in names {
        let elsewhere = Broker::prepare();
        let restored = elsewhere.tool(&["restore", text(&tar), text(&elsewhere.data())]);
        assert!(restored.status.success(), "{}", said(&restored));
        let checked = elsewhere.tool(&["store", "check", text(&elsewhere.data())]);
        assert_eq!(checked.status.code(), Some(0), "{}", said(&checked));
    }
}

#[tokio::test]
async fn one_virtual_host_is_restored_alone_into_an_empty_directory_only() {
    let mut broker = Broker::start("");
    let publisher = channel(&broker).await;
    declare(&publisher, "q").await;
    assert!(publish(&publisher, "q", b"of the first").await);
    broker.ctl(&["add_vhost", "other"]);
    broker.ctl(&["set_policy", "-p", "other", "p", ".*", r#"{"max-length":7}"#]);
    broker.stop();
    let tar = broker.directory().join("offline.tar");
    let backup = broker.tool(&["backup", "--data", text(&broker.data()), text(&tar)]);
    assert!(backup.status.success(), "{}", said(&backup));
    let full = broker.tool(&["restore", text(&tar), text(&broker.data())]);
    assert!(
        !full.status.success() && said(&full).contains("is not empty"),
        "{}",
        said(&full)
    );
    let elsewhere = Broker::prepare();
    let unknown = elsewhere.tool(&["restore", "--vhost", "nowhere", text(&tar), text(&elsewhere.data())]);
    assert!(
        !unknown.status.success() && said(&unknown).contains("it has: /, other"),
        "{}",
        said(&unknown)
    );
    let restored = elsewhere.tool(&["restore", "--vhost", "/", text(&tar), text(&elsewhere.data())]);
    assert!(restored.status.success(), "{}", said(&restored));
    let elsewhere = elsewhere.started();
    assert_eq!(
        elsewhere.ctl(&["list_vhosts"]).lines().skip(1).collect::<Vec<_>>(),
        ["/"]
    );
    assert_eq!(drain(&elsewhere, "q").await, ["of the first"]);
}

#[tokio::test]
async fn one_virtual_host_is_backed_up_alone() {
    let broker = Broker::start("");
    let publisher = channel(&broker).await;
    declare(&publisher, "q").await;
    assert!(publish(&publisher, "q", b"of the first").await);
    broker.ctl(&["add_vhost", "other"]);
    broker.ctl(&["set_permissions", "-p", "other", "guest", ".*", ".*", ".*"]);
    let others = broker.connect_to("other").await.create_channel().await.unwrap();
    others.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    declare(&others, "secrets").await;
    assert!(publish(&others, "secrets", b"nobody else's business").await);
    let tar = broker.directory().join("first.tar");
    let unknown = broker.tool(&["backup", "--vhost", "nowhere", text(&tar)]);
    assert!(
        !unknown.status.success() && said(&unknown).contains("it has: /, other") && !tar.exists(),
        "{}",
        said(&unknown)
    );
    let backup = broker.tool(&["backup", "--vhost", "/", text(&tar)]);
    assert!(backup.status.success(), "{}", said(&backup));
    let octets = fs::read(&tar).unwrap();
    let holds = |needle: &[u8]| octets.windows(needle.len()).any(|window| window == needle);
    assert!(holds(b"of the first") && !holds(b"nobody else's business"));
    let left: Vec<_> = fs::read_dir(broker.directory()).unwrap().collect();
    assert!(
        !left
            .iter()
            .any(|entry| entry.as_ref().unwrap().file_name() == "first.tar.whole")
    );
    let elsewhere = Broker::prepare();
    let restored = elsewhere.tool(&["restore", text(&tar), text(&elsewhere.data())]);
    assert!(restored.status.success(), "{}", said(&restored));
    let elsewhere = elsewhere.started();
    assert_eq!(drain(&elsewhere, "q").await, ["of the first"]);
    assert!(!elsewhere.ctl(&["list_vhosts"]).contains("other"));
}

#[tokio::test]
async fn a_stopped_node_takes_another_name_with_its_queues() {
    let mut broker = Broker::start("");
    let publisher = channel(&broker).await;
    declare(&publisher, "q").await;
    assert!(publish(&publisher, "q", b"kept").await);
    assert_eq!(
        broker.ctl(&["eval", "rabbit_mnesia:dir()."]),
        format!("\"{}\"\n", broker.data().display())
    );
    assert_eq!(broker.ctl(&["eval", " node() . "]), "rabbit@localhost\n");
    let refused = broker.tool(&["ctl", "eval", "erlang:halt()."]);
    assert_eq!(refused.status.code(), Some(64));
    assert!(said(&refused).contains("erlang:halt()"), "{}", said(&refused));
    let running = broker.tool(&["ctl", "rename_cluster_node", "rabbit@localhost", "hare@localhost"]);
    assert_eq!(running.status.code(), Some(64), "{}", said(&running));
    assert!(
        said(&running).contains("this command requires the target node to be stopped"),
        "{}",
        said(&running)
    );
    broker.stop();
    let other = broker.tool(&["ctl", "rename_cluster_node", "fox@localhost", "hare@localhost"]);
    assert!(
        !other.status.success() && said(&other).contains("rabbit@localhost"),
        "{}",
        said(&other)
    );
    let renamed = broker.tool(&["ctl", "rename_cluster_node", "rabbit@localhost", "hare@localhost"]);
    assert!(renamed.status.success(), "{}", said(&renamed));
    broker.set_name("hare@localhost");
    broker.start_again();
    assert_eq!(broker.ctl(&["eval", "node()."]), "hare@localhost\n");
    assert_eq!(drain(&broker, "q").await, ["kept"]);
}

#[test]
fn a_directory_in_use_is_not_looked_at_unless_that_is_wanted() {
    let broker = Broker::start("");
    let data = broker.data();
    let refused = broker.tool(&["store", "check", text(&data)]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(said(&refused).contains("in use"), "{}", said(&refused));
    let forced = broker.tool(&["store", "check", "--force-read", text(&data)]);
    assert_eq!(forced.status.code(), Some(0), "{}", said(&forced));
}
