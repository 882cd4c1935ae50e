//! Several stores in one process, in memory: they agree, go on without one of them, and lose nothing that was answered.
//!
//! Times are short and nothing depends on them: every wait is for a condition.

use super::store::{Opening, RaftStore, Timing};
use super::{Change, MoveError};
use crate::cluster::{
    Identity, Machine, MetaStore, Outcome,
    log::{Member, Position, Vote},
    memory::Ether,
    transport::{Append, Appended, Candidacy, Introduction, Peer, Reply, Request, Service, TakeOver, Transport},
};
use catalog::{Answer, Catalog, Command, VhostMetadata};
use futures::future::BoxFuture;
use model::NodeUuid;
use parking_lot::Mutex;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};
use store::disk::MemDisk;

const DIRECTORY: &str = "meta";
const DEADLINE: Duration = Duration::from_secs(60);
const TIMING: Timing = Timing {
    heartbeat_ms: 60,
    election_ms: (300, 600),
};

/// Definitions, and how often each virtual host was put since the last snapshot came.
#[derive(Default)]
struct Copy(Mutex<(Catalog, BTreeMap<String, usize>)>);

impl Machine for Copy {
    fn apply(&self, commands: &[Command]) -> Vec<Outcome> {
        let mut state = self.0.lock();
        let apply = |command: &Command| {
            if let Command::PutVhost { name, .. } = command {
                *state.1.entry(name.to_string()).or_default() += 1;
            }
            state.0.apply(command.clone(), &mut Vec::new())
        };
        commands.iter().map(apply).collect()
    }

    fn catalog(&self) -> Catalog {
        self.0.lock().0.clone()
    }

    fn install(&self, catalog: Catalog) {
        *self.0.lock() = (catalog, BTreeMap::new());
    }
}

struct Running {
    store: Arc<RaftStore>,
    copy: Arc<Copy>,
}

#[derive(Default)]
struct Seat {
    disk: MemDisk,
    starts: u64,
    running: Option<Running>,
    proposals: Arc<Mutex<Fate>>,
}

/// What becomes of a node's proposals on their way to whoever leads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Fate {
    #[default]
    Arrive,
    /// The next one is answered as if it were committed, by one who has been overruled; it goes nowhere.
    DoneBySomebodyOverruled,
    /// Those that are for this node get no answer, ever.
    SilenceOf(NodeUuid),
}

/// A way to others on which proposals may be lost.
#[derive(Debug)]
struct Hearing {
    way: Arc<dyn Transport>,
    proposals: Arc<Mutex<Fate>>,
}

impl Transport for Hearing {
    fn call(&self, to: &Peer, request: Request, patience: Duration) -> BoxFuture<'_, std::io::Result<Reply>> {
        let fate = *self.proposals.lock();
        match (&request, fate) {
            (Request::Propose(_), Fate::DoneBySomebodyOverruled) => {
                *self.proposals.lock() = Fate::Arrive;
                Box::pin(async { Ok(Reply::Done) })
            }
            (Request::Propose(_), Fate::SilenceOf(node)) if to.node == Some(node) => Box::pin(std::future::pending()),
            _ => self.way.call(to, request, patience),
        }
    }
}

/// Some nodes with their disks.
struct Cluster {
    ether: Ether,
    seats: Vec<Seat>,
    timing: Timing,
}

fn uuid(seat: usize) -> NodeUuid {
    NodeUuid(seat as u128 + 1)
}

fn vhost(name: &str) -> Command {
    Command::PutVhost {
        name: name.parse().unwrap(),
        metadata: VhostMetadata::default(),
    }
}

fn peer(seat: usize) -> Peer {
    Peer {
        node: Some(uuid(seat)),
        name: format!("rabbit@h{seat}"),
    }
}

async fn until<T>(what: &str, mut found: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = found().await {
            return found;
        }
        assert!(Instant::now() < deadline, "still not: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

impl Cluster {
    /// So many members, all with a vote.
    async fn of(count: usize) -> Self {
        Cluster::timed(count, TIMING).await
    }

    async fn timed(count: usize, timing: Timing) -> Self {
        let seats = (0..count).map(|_| Seat::default()).collect();
        let mut cluster = Cluster {
            ether: Ether::default(),
            seats,
            timing,
        };
        for seat in 0..count {
            cluster.start(seat).await;
        }
        let first = cluster.store(0);
        for seat in 1..count {
            let name = format!("rabbit@h{seat}");
            assert_eq!(
                first.change(Change::Add(uuid(seat), Member { name })).await,
                Reply::Done
            );
        }
        let all = (0..count).map(uuid).collect();
        assert_eq!(first.change(Change::Voters(all)).await, Reply::Done);
        cluster
    }

    async fn start(&mut self, number: usize) {
        let seat = &mut self.seats[number];
        seat.starts += 1;
        let identity = Identity {
            cluster: NodeUuid(99),
            node: uuid(number),
            name: format!("rabbit@h{number}"),
            incarnation: seat.starts,
            boot_id: seat.starts,
            level: link::feature_level(),
        };
        let copy = Arc::new(Copy::default());
        let opening = Opening {
            transport: Arc::new(Hearing {
                way: self.ether.way(Introduction::of(&identity)),
                proposals: seat.proposals.clone(),
            }),
            identity,
            joined: number > 0,
            alone: false,
            machine: copy.clone(),
            fatal: Arc::new(|why: &str| panic!("{why}")),
            timing: self.timing,
        };
        let store = RaftStore::open(seat.disk.clone(), DIRECTORY, opening).await.unwrap();
        self.ether.enter(uuid(number), store.clone());
        seat.running = Some(Running { store, copy });
    }

    /// The process is gone, what it wrote is there.
    async fn kill(&mut self, number: usize) {
        self.ether.leave(uuid(number));
        let seat = &mut self.seats[number];
        if let Some(running) = seat.running.take() {
            seat.disk = seat.disk.after_kill();
            running.store.stop().await;
        }
    }

    fn store(&self, number: usize) -> Arc<RaftStore> {
        self.seats[number].running.as_ref().unwrap().store.clone()
    }

    fn vhosts(&self, number: usize) -> BTreeSet<String> {
        let running = self.seats[number].running.as_ref().unwrap();
        running
            .copy
            .catalog()
            .vhosts()
            .map(|vhost| vhost.name().to_string())
            .collect()
    }

    /// Who leads in the eyes of most.
    async fn leader(&self) -> usize {
        until("a leader", async || {
            let running = self.seats.iter().filter_map(|seat| seat.running.as_ref());
            let mut named = BTreeMap::<u128, usize>::new();
            for leader in running.filter_map(|running| running.store.leader()) {
                *named.entry(leader.node?.0).or_default() += 1;
            }
            let most = named.into_iter().find(|(_, votes)| *votes > self.seats.len() / 2)?;
            Some(most.0 as usize - 1)
        })
        .await
    }

    /// Back when this one, too, knows who leads.
    async fn until_led_by(&self, leader: usize, seat: usize) {
        until(&format!("{leader} leads in the eyes of {seat}"), async || {
            (self.store(seat).leader()? == peer(leader)).then_some(())
        })
        .await;
    }

    async fn until_all_have(&self, name: &str) {
        for seat in (0..self.seats.len()).filter(|seat| self.seats[*seat].running.is_some()) {
            until(&format!("{name} at {seat}"), async || {
                self.vhosts(seat).contains(name).then_some(())
            })
            .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_any_member_proposes_is_answered_there_and_everywhere() {
    let cluster = Cluster::of(3).await;
    for seat in 0..3 {
        let name = format!("by{seat}");
        assert_eq!(cluster.store(seat).propose(vhost(&name)).await, Ok(Answer::Created));
        assert!(
            cluster.vhosts(seat).contains(&name),
            "answered before it is seen where it was asked"
        );
        cluster.until_all_have(&name).await;
        let again = cluster.store((seat + 1) % 3).propose(vhost(&name)).await;
        assert_eq!(again, Ok(Answer::Done), "the answer is that of the one state");
    }
    let refused = cluster
        .store(1)
        .propose(Command::DeleteVhost("absent".parse().unwrap()))
        .await;
    assert!(refused.unwrap_err().text.contains("absent"));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_of_three_go_on_when_the_one_that_leads_is_killed_and_it_catches_up() {
    let mut cluster = Cluster::of(3).await;
    cluster.store(2).propose(vhost("before")).await.unwrap();
    let leader = cluster.leader().await;
    cluster.kill(leader).await;
    let other = (leader + 1) % 3;
    until("a commit without it", async || {
        cluster.store(other).propose(vhost("without")).await.ok()
    })
    .await;
    let next = cluster.store(cluster.leader().await);
    until("it was elected", async || (next.reigns().by_election > 0).then_some(())).await;
    assert_eq!(next.reigns().by_word, 0, "nobody wanted it");
    cluster.start(leader).await;
    cluster.until_all_have("without").await;
    cluster.until_all_have("before").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_overruled_says_is_committed_is_proposed_again() {
    let cluster = Cluster::of(3).await;
    let origin = (cluster.leader().await + 1) % 3;
    *cluster.seats[origin].proposals.lock() = Fate::DoneBySomebodyOverruled;
    // One try: a client waits for 30 seconds at most.
    let outcome = cluster.store(origin).propose(vhost("v")).await;
    assert_eq!(outcome, Ok(Answer::Created));
    assert_eq!(*cluster.seats[origin].proposals.lock(), Fate::Arrive);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_lost_with_a_proposal_is_waited_for_no_longer_than_an_election_takes() {
    let mut cluster = Cluster::of(3).await;
    let lost = cluster.leader().await;
    let origin = (lost + 1) % 3;
    *cluster.seats[origin].proposals.lock() = Fate::SilenceOf(uuid(lost));
    let asked = tokio::spawn({
        let store = cluster.store(origin);
        async move { store.propose(vhost("v")).await }
    });
    cluster.kill(lost).await;
    // Whoever leads now is asked, though the one who led never answers.
    assert_eq!(asked.await.unwrap(), Ok(Answer::Created));
}

/// A leader that nobody heard any more declared all others dead, and had it committed by its successor.
#[tokio::test(flavor = "multi_thread")]
async fn what_only_a_leader_may_say_is_given_up_when_it_is_overruled() {
    let cluster = Cluster::of(3).await;
    let mute = cluster.leader().await;
    for other in (0..3).filter(|seat| *seat != mute) {
        cluster.ether.cut(uuid(mute), uuid(other));
        cluster.ether.cut(uuid(other), uuid(mute));
    }
    let said = tokio::spawn({
        let store = cluster.store(mute);
        async move { store.propose_as_leader(vhost("said")).await }
    });
    let other = (mute + 1) % 3;
    until("a commit without it", async || {
        cluster.store(other).propose(vhost("after")).await.ok()
    })
    .await;
    cluster.ether.heal();
    assert!(said.await.unwrap().is_err());
    cluster.until_all_have("after").await;
    assert!((0..3).all(|seat| !cluster.vhosts(seat).contains("said")));
    // Who does not lead says it in vain, who does is heard.
    let leader = cluster.leader().await;
    let other = cluster.store((leader + 1) % 3);
    assert!(other.propose_as_leader(vhost("said")).await.is_err());
    let said = until("it is heard", async || {
        let leader = cluster.store(cluster.leader().await);
        leader.propose_as_leader(vhost("heard")).await.ok()
    });
    assert_eq!(said.await, Answer::Created);
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_of_somebody_overruled_are_answered_by_the_vote_that_counts() {
    let cluster = Cluster::of(3).await;
    cluster.store(0).propose(vhost("v")).await.unwrap();
    cluster.until_all_have("v").await;
    let follower = (cluster.leader().await + 1) % 3;
    // Another story of what is applied there, by a leader of long ago.
    let position = Position {
        term: 0,
        leader: uuid(follower + 1),
        index: 1,
    };
    let append = Append {
        vote: Vote {
            term: 0,
            node: position.leader,
            won: true,
        },
        previous: Some(position),
        entries: Vec::new(),
        committed: None,
    };
    let from = Introduction::of(&Identity {
        cluster: NodeUuid(99),
        node: position.leader,
        name: "rabbit@old".into(),
        incarnation: 1,
        boot_id: 1,
        level: link::feature_level(),
    });
    let answer = cluster.store(follower).serve(&from, Request::Append(append)).await;
    assert!(matches!(answer, Reply::Append(Appended::Outvoted(_))), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_minority_commits_nothing_and_takes_over_what_the_majority_did() {
    let cluster = Cluster::of(3).await;
    let alone = cluster.leader().await;
    for other in (0..3).filter(|seat| *seat != alone) {
        cluster.ether.cut(uuid(alone), uuid(other));
        cluster.ether.cut(uuid(other), uuid(alone));
    }
    let stale = tokio::spawn({
        let store = cluster.store(alone);
        async move { store.propose(vhost("stale")).await }
    });
    let other = (alone + 1) % 3;
    until("a commit of the majority", async || {
        cluster.store(other).propose(vhost("counts")).await.ok()
    })
    .await;
    assert!(!cluster.vhosts(alone).contains("stale"));
    cluster.ether.heal();
    cluster.until_all_have("counts").await;
    // It may be committed after the partition, and then everywhere; or its client is told that it was not.
    match stale.await.unwrap() {
        Ok(_) => cluster.until_all_have("stale").await,
        Err(refusal) => assert!(refusal.text.contains("could not be committed"), "{refusal}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_is_far_behind_gets_all_definitions_at_once() {
    let mut cluster = Cluster::of(3).await;
    let behind = (cluster.leader().await + 1) % 3;
    cluster.kill(behind).await;
    let writer = (behind + 1) % 3;
    let large = |name: &str, number: usize| Command::PutVhost {
        name: name.parse().unwrap(),
        metadata: VhostMetadata {
            description: format!("{number}{}", "x".repeat(64 * 1024)),
            ..VhostMetadata::default()
        },
    };
    let mut number = 0;
    while (0..3)
        .filter(|seat| *seat != behind)
        .any(|seat| cluster.store(seat).health.snapshots() < 3)
    {
        for seat in (0..3).filter(|seat| *seat != behind) {
            number += 1;
            cluster
                .store(seat)
                .propose(large(&format!("v{}", number % 7), number))
                .await
                .unwrap();
        }
    }
    cluster.store(writer).propose(vhost("last")).await.unwrap();
    cluster.start(behind).await;
    cluster.until_all_have("last").await;
    let images = (0..3).map(|seat| cluster.seats[seat].running.as_ref().unwrap().copy.catalog());
    let images: Vec<Catalog> = images.collect();
    assert!(images.iter().all(|image| *image == images[0]));
}

/// Somebody who declares all the time, one thing after the other, until told to stop. How many, and how long the longest has waited.
fn declare_all_the_time(
    store: Arc<RaftStore>,
    seat: usize,
    stop: tokio_util::sync::CancellationToken,
) -> tokio::task::JoinHandle<(usize, Duration)> {
    tokio::spawn(async move {
        let (mut declared, mut longest) = (0, Duration::ZERO);
        while !stop.is_cancelled() {
            let begun = Instant::now();
            let told = store.propose(vhost(&format!("n{seat}v{declared}"))).await;
            assert_eq!(told, Ok(Answer::Created), "each is done once");
            longest = longest.max(begun.elapsed());
            declared += 1;
        }
        (declared, longest)
    })
}

/// Long enough that a move that had to wait until the leader is believed in no more would be refused for being late.
const LONG_BELIEF: Timing = Timing {
    heartbeat_ms: 60,
    election_ms: (8_000, 10_000),
};

/// Moves the leadership around again and again while every node declares.
async fn moves_around(count: usize, times: usize) {
    let cluster = Cluster::timed(count, LONG_BELIEF).await;
    let stop = tokio_util::sync::CancellationToken::new();
    let clients: Vec<_> = (0..count)
        .map(|seat| declare_all_the_time(cluster.store(seat), seat, stop.clone()))
        .collect();
    let mut leader = cluster.leader().await;
    for time in 0..times {
        let next = (leader + 1 + time % (count - 1)) % count;
        cluster.store(leader).hand_over(&peer(next)).await.unwrap();
        assert_eq!(cluster.store(next).leader(), Some(peer(next)));
        until("it has begun to lead", async || cluster.store(next).standing().settled).await;
        leader = next;
    }
    let by_word = (0..count).map(|seat| cluster.store(seat).reigns().by_word);
    assert_eq!(by_word.sum::<u64>(), times as u64);
    let elected = (0..count).map(|seat| cluster.store(seat).reigns().by_election);
    assert_eq!(elected.sum::<u64>(), 1, "the first of all");
    stop.cancel();
    for (seat, client) in clients.into_iter().enumerate() {
        let (declared, longest) = client.await.unwrap();
        assert!(
            longest < LONG_BELIEF.belief() / 2,
            "a client of {seat} has waited for {longest:?}"
        );
        cluster.until_all_have(&format!("n{seat}v{}", declared - 1)).await;
        let state = cluster.seats[0].running.as_ref().unwrap().copy.0.lock();
        let done = (0..declared).map(|number| state.1.get(&format!("n{seat}v{number}")).copied());
        assert!(done.into_iter().all(|times| times == Some(1)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn leadership_moves_at_once_and_whoever_declares_meanwhile_is_answered_once() {
    moves_around(3, 20).await;
    moves_around(2, 4).await;
    moves_around(5, 8).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn leadership_moves_only_to_a_voter_that_has_everything_and_says_why_not() {
    let mut cluster = Cluster::timed(3, LONG_BELIEF).await;
    let leader = cluster.leader().await;
    let (other, third) = ((leader + 1) % 3, (leader + 2) % 3);
    let why = |refused: Result<(), MoveError>| refused.unwrap_err().to_string();
    cluster.until_led_by(leader, other).await;
    let not_its_own = why(cluster.store(other).hand_over(&peer(third)).await);
    assert!(
        not_its_own.contains(&format!("rabbit@h{leader} does: ask that one")),
        "{not_its_own}"
    );
    cluster.ether.cut(uuid(leader), uuid(other));
    cluster.store(leader).propose(vhost("behind")).await.unwrap();
    let behind = why(cluster.store(leader).hand_over(&peer(other)).await);
    assert!(behind.contains("is not up to date"), "{behind}");
    cluster.ether.heal();
    let voters = [leader, other].map(uuid).into_iter().collect();
    assert_eq!(cluster.store(leader).change(Change::Voters(voters)).await, Reply::Done);
    let no_vote = why(cluster.store(leader).hand_over(&peer(third)).await);
    assert!(no_vote.contains("has no vote"), "{no_vote}");
    cluster.kill(third).await;
    let gone = why(cluster.store(leader).hand_over(&peer(third)).await);
    assert!(gone.contains("cannot be asked"), "{gone}");
    // Nothing of this has cost the leader its place, or anybody a proposal.
    assert_eq!(cluster.store(leader).standing().settled, Some(1));
    cluster.store(other).propose(vhost("after")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_word_of_somebody_who_does_not_lead_changes_nothing() {
    let cluster = Cluster::timed(3, LONG_BELIEF).await;
    cluster.store(0).propose(vhost("v")).await.unwrap();
    cluster.until_all_have("v").await;
    let leader = cluster.leader().await;
    let (other, third) = ((leader + 1) % 3, (leader + 2) % 3);
    let vote = Vote {
        term: 1,
        node: uuid(third),
        won: true,
    };
    let last = cluster.store(leader).log.last().unwrap();
    let word = TakeOver {
        vote,
        last: super::types::position(&last),
    };
    let from = cluster.store(third).introduction();
    let told = cluster.store(other).serve(&from, Request::TakeOver(word)).await;
    assert!(
        matches!(&told, Reply::Failed(why) if why.contains("follows another leader")),
        "{told:?}"
    );
    // Nor does a candidate that says that somebody else consents, or knows less.
    for (by, last) in [
        (vote, Some(word.last)),
        (
            Vote {
                node: uuid(leader),
                ..vote
            },
            None,
        ),
    ] {
        let wish = Candidacy {
            vote: Vote {
                term: 2,
                node: uuid(third),
                won: false,
            },
            last,
            consent: Some(by),
        };
        let told = cluster.store(other).serve(&from, Request::Vote(wish)).await;
        assert!(matches!(&told, Reply::Vote(voted) if !voted.granted), "{told:?}");
    }
    assert_eq!(cluster.store(other).propose(vhost("after")).await, Ok(Answer::Created));
    assert_eq!(cluster.store(leader).standing().settled, Some(1));
}

/// One random life: what was answered is there at the end, at all, and nothing was done twice.
async fn live(seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut cluster = Cluster::of(3).await;
    let (mut asked, answered) = (0, Arc::new(Mutex::new(BTreeSet::new())));
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..12 {
        for _ in 0..rng.random_range(1..20) {
            let up = (0..3).filter(|seat| cluster.seats[*seat].running.is_some());
            let up: Vec<usize> = up.collect();
            let seat = up[rng.random_range(0..up.len())];
            let (store, ether) = (cluster.store(seat), cluster.ether.clone());
            let (name, answered) = (format!("v{asked}"), answered.clone());
            asked += 1;
            clients.spawn(async move {
                let told = tokio::time::timeout(DEADLINE, store.propose(vhost(&name))).await;
                // A process that was killed answers nobody, though its tasks may go on for a moment, on a disk of their own.
                let process: Arc<dyn Service> = store;
                if let Ok(Ok(_)) = told
                    && ether.is_there(uuid(seat), &process)
                {
                    answered.lock().insert(name);
                }
            });
        }
        let (one, other) = (rng.random_range(0..3), rng.random_range(0..3));
        match rng.random_range(0..6) {
            // Some are refused: the one who is asked does not lead, or is cut off.
            4..6 => drop(cluster.store(one).hand_over(&peer(other)).await),
            0 => {
                cluster.kill(one).await;
                cluster.start(one).await;
            }
            1 if one != other => cluster.ether.cut(uuid(one), uuid(other)),
            2 => cluster.ether.heal(),
            _ => tokio::time::sleep(Duration::from_millis(rng.random_range(0..300))).await,
        }
    }
    cluster.ether.heal();
    while clients.join_next().await.is_some() {}
    let end = until("a last commit", async || {
        cluster.store(0).propose(vhost("end")).await.ok()
    })
    .await;
    assert!(matches!(end, Answer::Created | Answer::Done));
    cluster.until_all_have("end").await;
    let answered = answered.lock().clone();
    for seat in 0..3 {
        let there = cluster.vhosts(seat);
        let lost: Vec<_> = answered.difference(&there).collect();
        assert!(lost.is_empty(), "seed {seed}: node {seat} has lost {lost:?}");
        let running = cluster.seats[seat].running.as_ref().unwrap();
        let twice: Vec<_> = running
            .copy
            .0
            .lock()
            .1
            .iter()
            .filter(|(_, times)| **times > 1)
            .map(|(name, _)| name.clone())
            .collect();
        assert!(
            twice.iter().all(|name| name == "end"),
            "seed {seed}: node {seat} has done {twice:?} twice"
        );
    }
    for seat in 0..3 {
        cluster.kill(seat).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_happens_to_members_nothing_answered_is_lost_and_nothing_is_done_twice() {
    for seed in 0..3 {
        live(seed).await;
    }
}
