//! The library's own examination of a store, on both disks; then the whole store through restarts and failing disks.
//!
//! The node's part is a bare catalogue.

use super::{
    log_store::LogStore,
    state_machine::StateMachine,
    store::{Opening, RaftStore, Timing},
    types::{Id, StorageError, Types},
    waiting::Waiting,
};
use crate::cluster::{
    Bare, Identity, Machine, MetaStore, Outcome,
    log::{Log, Writer},
    transport::Nobody,
};
use catalog::{Answer, Catalog, Command, VhostMetadata};
use model::{NodeUuid, ReplyCode};
use openraft::testing::{StoreBuilder, Suite};
use parking_lot::Mutex;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use store::disk::{Disk, FsDisk, MemDisk};

const DIRECTORY: &str = "meta";

fn identity(incarnation: u64) -> Identity {
    Identity {
        cluster: NodeUuid(9),
        node: NodeUuid(1),
        name: "rabbit@h".into(),
        incarnation,
        boot_id: incarnation,
        level: link::feature_level(),
    }
}

/// Notes what would end the process.
#[derive(Clone, Default)]
struct Ends(Arc<Mutex<Vec<String>>>);

impl Ends {
    fn hook(&self) -> crate::cluster::log::Fatal {
        let own = self.clone();
        Arc::new(move |why| own.0.lock().push(why.to_owned()))
    }
}

/// Makes a fresh store for each examination.
struct Fresh<D, F>(F, std::marker::PhantomData<fn() -> D>);

impl<D, F, G> StoreBuilder<Types, LogStore, StateMachine<D>, G> for Fresh<D, F>
where
    D: Disk,
    D::File: std::fmt::Debug,
    F: Fn() -> (D, G) + Send + Sync,
    G: Send + Sync,
{
    async fn build(&self) -> Result<(G, LogStore, StateMachine<D>), StorageError> {
        let (disk, guard) = (self.0)();
        let (log, state) = Log::open(disk.clone(), DIRECTORY, store::Formats::default()).unwrap();
        let writer = Writer::start(log, Ends::default().hook()).unwrap();
        let health = writer.health().clone();
        let (machine, waiting) = (Arc::new(Bare::default()), Arc::new(Waiting::default()));
        let machine = StateMachine::open(
            (disk, DIRECTORY),
            store::Formats::default(),
            identity(1),
            machine,
            waiting,
            health,
        )
        .unwrap();
        Ok((guard, LogStore::new(state, writer), machine))
    }
}

#[test]
fn the_store_passes_the_librarys_examination_in_memory() {
    let fresh = Fresh(|| (MemDisk::new(), ()), std::marker::PhantomData);
    Suite::test_all(fresh).unwrap();
}

#[test]
fn the_store_passes_the_librarys_examination_on_a_disk() {
    let fresh = || {
        let folder = tempfile::tempdir().unwrap();
        (FsDisk::new(folder.path()), folder)
    };
    Suite::test_all(Fresh(fresh, std::marker::PhantomData)).unwrap();
}

/// A store with the definitions it drives.
struct Running {
    store: Arc<RaftStore>,
    machine: Arc<Bare>,
    ends: Ends,
}

async fn try_start<D: Disk>(disk: &D, incarnation: u64) -> anyhow::Result<Running>
where
    D::File: std::fmt::Debug,
{
    let (machine, ends) = (Arc::new(Bare::default()), Ends::default());
    let identity = identity(incarnation);
    let opening = Opening {
        identity,
        joined: false,
        alone: false,
        transport: Arc::new(Nobody),
        machine: machine.clone(),
        fatal: ends.hook(),
        timing: Timing::default(),
    };
    let store = RaftStore::open(disk.clone(), DIRECTORY, opening).await?;
    Ok(Running { store, machine, ends })
}

async fn start<D: Disk>(disk: &D, incarnation: u64) -> Running
where
    D::File: std::fmt::Debug,
{
    let running = try_start(disk, incarnation).await.unwrap();
    // What was committed before is applied once something new is.
    running.store.propose(vhost("begun")).await.unwrap();
    running
}

fn vhost(name: &str) -> Command {
    Command::PutVhost {
        name: name.parse().unwrap(),
        metadata: VhostMetadata::default(),
    }
}

fn vhosts(running: &Running) -> Vec<String> {
    running
        .machine
        .catalog()
        .vhosts()
        .map(|vhost| vhost.name().to_string())
        .collect()
}

#[tokio::test]
async fn what_was_answered_is_there_after_a_restart_and_seen_at_once() {
    let disk = MemDisk::new();
    let first = start(&disk, 1).await;
    for name in ["a", "b", "c"] {
        assert_eq!(first.store.propose(vhost(name)).await, Ok(Answer::Created));
        assert!(vhosts(&first).contains(&name.to_owned()));
    }
    let refused = first.store.propose(Command::DeleteVhost("x".parse().unwrap())).await;
    assert!(refused.is_err());
    first.store.stop().await;
    let second = start(&disk.after_kill(), 2).await;
    assert_eq!(vhosts(&second), ["a", "b", "begun", "c"]);
    assert_eq!(second.store.propose(vhost("a")).await, Ok(Answer::Done));
}

#[tokio::test]
async fn an_only_member_leads_without_waiting_for_an_election() {
    let disk = MemDisk::new();
    for incarnation in 1..4 {
        let before = Instant::now();
        start(&disk, incarnation).await.store.stop().await;
        assert!(before.elapsed() < Duration::from_secs(1), "{:?}", before.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn proposals_that_come_together_are_written_together() {
    let disk = MemDisk::new();
    let running = start(&disk, 1).await;
    let (before, at_once) = (disk.changes(), 400);
    let proposals = (0..at_once).map(|number| {
        let store = running.store.clone();
        tokio::spawn(async move { store.propose(vhost(&format!("v{number}"))).await })
    });
    for outcome in proposals.collect::<Vec<_>>() {
        assert_eq!(outcome.await.unwrap(), Ok(Answer::Created));
    }
    let changes = disk.changes() - before;
    assert!(
        changes < at_once,
        "{changes} changes of the disk for {at_once} proposals"
    );
}

#[tokio::test]
async fn wherever_the_power_goes_every_answered_command_is_there() {
    let names: Vec<String> = (0..6).map(|number| format!("v{number}")).collect();
    let whole = MemDisk::new();
    let running = start(&whole, 1).await;
    for name in &names {
        running.store.propose(vhost(name)).await.unwrap();
    }
    running.store.stop().await;
    for cut in 0..whole.changes() {
        let disk = MemDisk::new();
        disk.cut_power_after(cut);
        let mut answered = 0;
        if let Ok(running) = try_start(&disk, 1).await {
            for name in &names {
                match running.store.propose(vhost(name)).await {
                    Ok(_) => answered += 1,
                    Err(_) => break,
                }
            }
            running.store.stop().await;
        }
        let again = start(&disk.after_power_cut(cut), 2).await;
        let there = vhosts(&again);
        assert!(
            names[..answered].iter().all(|name| there.contains(name)),
            "cut after {cut}: {there:?}"
        );
        again.store.stop().await;
    }
}

#[tokio::test]
async fn a_long_log_is_made_short_and_says_the_same() {
    let disk = MemDisk::new();
    let running = start(&disk, 1).await;
    let metadata = |number: usize| VhostMetadata {
        description: format!("{number}{}", "x".repeat(64 * 1024)),
        ..VhostMetadata::default()
    };
    let (mut number, deadline) = (0, Instant::now() + Duration::from_secs(60));
    let is_short = || {
        let names = disk.list(DIRECTORY).unwrap();
        names.contains(&"snapshot".to_owned()) && !names.contains(&"log.0000000000000001".to_owned())
    };
    // More than once: the log grows on while it is made short.
    while running.store.health.snapshots() < 5 || !is_short() {
        assert!(
            Instant::now() < deadline,
            "{} files",
            disk.list(DIRECTORY).unwrap().len()
        );
        number += 1;
        let name = "v".parse().unwrap();
        let metadata = metadata(number);
        running
            .store
            .propose(Command::PutVhost { name, metadata })
            .await
            .unwrap();
    }
    running.store.stop().await;
    let disk = disk.after_power_cut(1);
    let again = start(&disk, 2).await;
    assert_eq!(vhosts(&again), ["begun", "v"]);
    let said = again.machine.catalog().vhost("v").unwrap().metadata().description.len();
    assert_eq!(said, metadata(number).description.len());
    again.store.stop().await;
    let robbed = disk.after_kill();
    robbed.remove(&format!("{DIRECTORY}/snapshot")).unwrap();
    let error = try_start(&robbed, 3).await.err().unwrap().to_string();
    assert!(error.contains("snapshot of the definitions is missing"), "{error}");
}

#[tokio::test]
async fn a_full_disk_refuses_and_goes_on_once_there_is_room() {
    let disk = MemDisk::new();
    let running = start(&disk, 1).await;
    disk.set_capacity(Some(1024 * 1024 + 100));
    let large = VhostMetadata {
        description: "x".repeat(1024 * 1024),
        ..VhostMetadata::default()
    };
    let name = "large".parse().unwrap();
    let waits = running.store.propose(Command::PutVhost { name, metadata: large });
    let refused = async {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !running.store.health.is_full() {
            assert!(Instant::now() < deadline);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let refusal = running.store.propose(vhost("other")).await.unwrap_err();
        assert_eq!(refusal.code, ReplyCode::ResourceError, "{refusal}");
        assert!(refusal.text.contains("is full"), "{refusal}");
        disk.set_capacity(None);
    };
    let (outcome, ()) = tokio::join!(waits, refused);
    assert_eq!(outcome, Ok(Answer::Created));
    running.store.propose(vhost("later")).await.unwrap();
    assert!(running.ends.0.lock().is_empty());
}

#[tokio::test]
async fn a_failed_sync_ends_the_process_and_answers_nobody() {
    let disk = MemDisk::new();
    let running = start(&disk, 1).await;
    disk.fail_next_sync();
    let refusal = running.store.propose(vhost("a")).await.unwrap_err();
    assert_eq!(refusal.code, ReplyCode::InternalError);
    let said = running.ends.0.lock().join("\n");
    assert!(said.contains("syncing the log"), "{said}");
}

#[tokio::test]
async fn a_damaged_snapshot_is_refused_and_left_as_it_is() {
    let disk = MemDisk::new();
    let file = store::disk::replace(&disk, DIRECTORY, "snapshot", b"something else");
    file.unwrap();
    let error = try_start(&disk, 1).await.err().unwrap().to_string();
    assert!(error.contains("snapshot of the definitions is damaged"), "{error}");
}

/// Counts what it is asked to apply.
#[derive(Default)]
struct Counting(AtomicUsize, Bare);

impl Machine for Counting {
    fn apply(&self, commands: &[Command]) -> Vec<Outcome> {
        self.0.fetch_add(commands.len(), Ordering::Relaxed);
        self.1.apply(commands)
    }

    fn catalog(&self) -> Catalog {
        self.1.catalog()
    }

    fn install(&self, catalog: Catalog) {
        self.1.install(catalog);
    }
}

#[tokio::test]
async fn a_proposal_that_comes_twice_is_performed_once() {
    use crate::cluster::log::Proposal;
    use openraft::{CommittedLeaderId, EntryPayload, LogId, storage::RaftStateMachine};

    let machine = Arc::new(Counting::default());
    let disk = MemDisk::new();
    let (waiting, health) = (Arc::default(), Arc::default());
    let mut own = StateMachine::open(
        (disk, DIRECTORY),
        store::Formats::default(),
        identity(1),
        machine.clone(),
        waiting,
        health,
    )
    .unwrap();
    let entry = |index, incarnation, number| openraft::Entry::<Types> {
        log_id: LogId::new(CommittedLeaderId::new(1, Id(NodeUuid(1))), index),
        payload: EntryPayload::Normal(Proposal {
            origin: NodeUuid(1),
            incarnation,
            number,
            commands: [vhost("a")].into(),
        }),
    };
    let entries = [
        entry(1, 1, 1),
        entry(2, 1, 2),
        entry(3, 1, 1),
        entry(4, 1, 2),
        entry(5, 2, 1),
        entry(6, 1, 3),
    ];
    own.apply(entries).await.unwrap();
    assert_eq!(machine.0.load(Ordering::Relaxed), 3);
}
