//! Nodes of two releases: this program, and a copy of it that says it is one release ahead. They form one cluster, each of them may go back until all
//! have come along, and from then on the older program starts on none of their directories. What they write is of the older format until then.

use crate::{
    broker::PATIENCE,
    machines::{ALL, Machines},
    mirroring::{declare, drain, publish},
};
use memchr::memmem;
use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    process::{ExitStatus, Stdio},
    time::{Duration, Instant},
};

/// What a program says of its release, and what the next one says.
const STAMP: &[u8] = b"warren, releases ahead of this: 00";
const NEXT_STAMP: &[u8] = b"warren, releases ahead of this: 01";

/// Which program nodes are started with.
#[derive(Clone, Copy)]
enum Release {
    This,
    Next,
}

/// Machines whose nodes are started with either program from now on.
struct Mixed(Machines);

impl Mixed {
    fn start(count: usize) -> Self {
        let machines = Machines::start(count);
        let mut octets = fs::read(env!("CARGO_BIN_EXE_warren")).unwrap();
        let places: Vec<usize> = memmem::find_iter(&octets, STAMP).collect();
        let [place] = places[..] else {
            panic!("the program says {} times of which release it is", places.len())
        };
        octets[place..place + STAMP.len()].copy_from_slice(NEXT_STAMP);
        let next = machines.path("next");
        fs::write(&next, octets).unwrap();
        fs::set_permissions(next, Permissions::from_mode(0o755)).unwrap();
        Mixed(machines)
    }

    fn choose(&self, release: Release) {
        let server = self.0.path("rabbitmq-server");
        fs::remove_file(&server).unwrap();
        match release {
            Release::This => symlink(Path::new(env!("CARGO_BIN_EXE_warren")), server),
            Release::Next => symlink(self.0.path("next"), server),
        }
        .unwrap();
    }

    fn stop(&mut self, number: usize) {
        self.0.ctl(number, &["stop"]);
        self.0.nodes[number - 1].process.wait().unwrap();
    }

    fn restart(&mut self, number: usize, release: Release) {
        self.stop(number);
        self.choose(release);
        self.0.start_again(number);
    }

    /// Starts it with this release, and it ends: how, and what it says.
    fn refuses(&self, number: usize) -> (ExitStatus, String) {
        self.choose(Release::This);
        let node = &self.0.nodes[number - 1];
        let mut command = self.0.command("rabbitmq-server", &node.name, node.amqp, node.peers);
        let mut process = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let deadline = Instant::now() + 3 * PATIENCE;
        while process.try_wait().unwrap().is_none() {
            if Instant::now() > deadline {
                process.kill().unwrap();
                panic!("it goes on: {}", self.0.log(number));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let output = process.wait_with_output().unwrap();
        (output.status, String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// The newest format of a segment of the log of messages, of one of that of definitions, and of a page that the node has written.
    fn formats(&self, number: usize) -> [u8; 3] {
        let data = self.0.path("mnesia").join(&self.0.nodes[number - 1].name);
        let newest = |directory: &str, mark: &[u8], at: usize| {
            let files = fs::read_dir(data.join(directory)).unwrap();
            let octets = files.map(|file| fs::read(file.unwrap().path()).unwrap());
            let formats =
                octets.filter_map(|octets| memmem::find_iter(&octets, mark).map(|place| octets[place + at]).max());
            formats.max().unwrap_or(0)
        };
        [
            newest("wal", b"WarrenWL", 8),
            newest("meta", b"WRN-META", 8),
            newest("pages", b"WarrenP", 7),
        ]
    }

    fn writes(&self, number: usize, formats: [u8; 3]) {
        let deadline = Instant::now() + PATIENCE;
        while self.formats(number) != formats {
            assert!(
                Instant::now() < deadline,
                "{:?} instead of {formats:?}",
                self.formats(number)
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// That the older program tells why it does not start: what is written says it, or, where nothing has been since, the level of the cluster.
    fn tells_why_it_cannot_start(said: &str) {
        let (by_format, by_level) = (
            "has format 2, this program reads up to 1: start the newer one",
            "this program understands feature level 1,",
        );
        assert!(said.contains(by_format) || said.contains(by_level), "{said}");
    }

    fn is_finalised(&self, numbers: &[usize]) {
        let deadline = Instant::now() + 3 * PATIENCE;
        let said = "every member understands feature level 2";
        while !numbers.iter().any(|number| self.0.log(*number).contains(said)) {
            assert!(Instant::now() < deadline, "nobody says '{said}'");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Each node hears of what any other is told.
    fn agree(&self, word: &str) {
        for number in 1..=3 {
            self.0.ctl(number, &["add_vhost", &format!("{word}-{number}")]);
        }
        for number in 1..=3 {
            let known = self.0.ctl(number, &["-q", "list_vhosts"]);
            assert!(
                (1..=3).all(|other| known.contains(&format!("{word}-{other}\n"))),
                "{known}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_come_to_the_next_release_one_by_one_may_go_back_meanwhile_and_may_not_afterwards() {
    let mut nodes = Mixed::start(3);
    nodes.0.join(2, ALL[0]);
    nodes.0.join(3, ALL[0]);
    nodes.0.becomes(1, "Running Nodes", &ALL);
    nodes.0.ctl(
        1,
        &[
            "set_policy",
            "ha-all",
            "^test",
            r#"{"ha-mode":"all","ha-sync-mode":"automatic"}"#,
        ],
    );
    declare(&nodes.0, 1, "test").await;
    publish(&nodes.0, 1, "test", 0..3).await;
    nodes.restart(1, Release::Next);
    nodes.0.becomes(1, "Running Nodes", &ALL);
    nodes.agree("one");
    nodes.0.shows_mirrors(1, "test", 2);
    publish(&nodes.0, 1, "test", 3..6).await;
    nodes.restart(2, Release::Next);
    nodes.0.becomes(2, "Running Nodes", &ALL);
    nodes.agree("two");
    nodes.0.shows_mirrors(2, "test", 2);
    publish(&nodes.0, 2, "test", 6..9).await;
    // What the older program could not read is written by nobody yet.
    assert_eq!([1, 2].map(|number| nodes.formats(number)), [[1, 1, 1]; 2]);
    for number in [2, 1] {
        nodes.restart(number, Release::This);
        nodes.0.becomes(number, "Running Nodes", &ALL);
    }
    nodes.agree("back");
    nodes.0.shows_mirrors(1, "test", 2);
    publish(&nodes.0, 1, "test", 9..12).await;
    for number in [1, 2, 3] {
        nodes.restart(number, Release::Next);
        nodes.0.becomes(number, "Running Nodes", &ALL);
        nodes.0.shows_mirrors(1, "test", 2);
    }
    nodes.is_finalised(&[1, 2, 3]);
    nodes.agree("all");
    publish(&nodes.0, 1, "test", 12..15).await;
    assert_eq!(
        nodes.formats(2)[1],
        2,
        "the next commit after the level begins a newer log"
    );
    nodes.stop(3);
    let (status, said) = nodes.refuses(3);
    assert!(!status.success(), "{said}");
    Mixed::tells_why_it_cannot_start(&said);
    nodes.choose(Release::Next);
    nodes.0.start_again(3);
    nodes.0.becomes(3, "Running Nodes", &ALL);
    nodes.agree("end");
    assert_eq!(nodes.formats(3)[..2], [2, 2]);
    assert_eq!(drain(&nodes.0, 3, "test").await, (0..15).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_of_the_release_before_does_not_start_alone_on_what_a_newer_one_has_written() {
    let mut node = Mixed::start(1);
    declare(&node.0, 1, "test").await;
    publish(&node.0, 1, "test", 0..3).await;
    node.restart(1, Release::Next);
    node.0.ctl(1, &["add_vhost", "of the next release"]);
    node.is_finalised(&[1]);
    node.0.ctl(1, &["await_startup"]);
    // It begins a log of messages, and what is in the one before moves into pages.
    publish(&node.0, 1, "test", 3..6).await;
    node.restart(1, Release::Next);
    node.0.ctl(1, &["await_startup"]);
    node.writes(1, [2, 2, 2]);
    node.stop(1);
    let (status, said) = node.refuses(1);
    assert!(!status.success(), "{said}");
    Mixed::tells_why_it_cannot_start(&said);
    node.choose(Release::Next);
    node.0.start_again(1);
    assert!(node.0.ctl(1, &["-q", "list_vhosts"]).contains("of the next release\n"));
    assert_eq!(drain(&node.0, 1, "test").await, (0..6).collect::<Vec<_>>());
}
