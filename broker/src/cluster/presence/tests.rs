//! Several nodes in one process: joining, hearing of deaths, stopping in order, going on by force, and who is refused.
//!
//! Times are short and nothing depends on them: every wait is for a condition.

use super::{beat::AnnounceError, commands::ClusterError, leadership::Led, *};
use crate::cluster::{
    Bare, MetaStore,
    memory::Ether,
    outside::{self, OutsideError},
    raft::{Opening, Timing},
    transport::Wish,
    voters,
};
use catalog::{Command, NodeKind, Turn, VhostMetadata};
use model::NodeUuid;
use std::collections::BTreeSet;
use store::disk::MemDisk;

/// Five times as long as a client waits for a commit, since a try may be lost with its leader.
const DEADLINE: Duration = Duration::from_secs(150);
const CLUSTER: NodeUuid = NodeUuid(99);
const TIMING: Timing = Timing {
    heartbeat_ms: 60,
    election_ms: (300, 600),
};

fn patience() -> Patience {
    Patience::of(Duration::from_millis(2400))
}

/// A node with its disk, running or not.
struct Seat {
    ether: Ether,
    number: u128,
    disk: MemDisk,
    starts: u64,
    joined: bool,
    timing: Timing,
    level: u32,
    running: Option<(Arc<Presence>, Arc<RaftStore>, Arc<Bare>)>,
}

fn name(number: u128) -> String {
    format!("rabbit@{number}")
}

fn vhost(name: &str) -> Command {
    Command::PutVhost {
        name: name.parse().unwrap(),
        metadata: VhostMetadata::default(),
    }
}

async fn until(what: &str, mut found: impl AsyncFnMut() -> bool) {
    let deadline = std::time::Instant::now() + DEADLINE;
    while !found().await {
        assert!(std::time::Instant::now() < deadline, "still not: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

impl Seat {
    fn new(ether: &Ether, number: u128) -> Self {
        Seat {
            ether: ether.clone(),
            number,
            disk: MemDisk::new(),
            starts: 0,
            joined: false,
            timing: TIMING,
            level: link::feature_level(),
            running: None,
        }
    }

    fn identity(&self) -> Identity {
        Identity {
            cluster: CLUSTER,
            node: NodeUuid(self.number),
            name: name(self.number),
            incarnation: self.starts,
            boot_id: self.starts,
            level: self.level,
        }
    }

    /// As a node with a closed store, that has never been anybody here.
    fn outside(&self) -> Arc<dyn Transport> {
        let own = Introduction {
            guest: true,
            ..Introduction::of(&self.identity())
        };
        self.ether.way(own)
    }

    async fn join(&mut self, target: u128, kind: NodeKind) {
        let wish = Wish {
            node: NodeUuid(self.number),
            name: name(self.number),
            kind,
            present: None,
        };
        let joined = outside::join(&*self.outside(), &name(target), wish).await.unwrap();
        assert_eq!(joined.cluster, CLUSTER);
        self.joined = true;
    }

    /// A process; up once its start is committed.
    async fn open(&mut self, alone: bool) {
        self.try_open(alone).await.unwrap();
    }

    async fn try_open(&mut self, alone: bool) -> anyhow::Result<()> {
        self.starts += 1;
        let (identity, machine) = (self.identity(), Arc::new(Bare::default()));
        let transport = self.ether.way(Introduction::of(&identity));
        let opening = Opening {
            identity: identity.clone(),
            joined: self.joined,
            alone,
            transport: transport.clone(),
            machine: machine.clone(),
            fatal: Arc::new(|why: &str| panic!("{why}")),
            timing: self.timing,
        };
        let store = RaftStore::open(self.disk.clone(), "meta", opening).await?;
        let note: Note = Box::new(|_: &Status| Ok(()));
        let parts = (store.clone(), machine.clone() as Arc<dyn Machine>);
        let presence = Presence::open(identity, parts, transport, &self.ether, (patience(), note));
        self.running = Some((presence, store, machine));
        Ok(())
    }

    async fn up(&self) {
        let (presence, ..) = self.running.as_ref().unwrap();
        until("its start is committed", async || presence.announce().await.is_ok()).await;
        presence.run();
    }

    /// Goes on without the others.
    async fn force(&mut self) {
        self.open(true).await;
        let (presence, ..) = self.running.as_ref().unwrap();
        until("its start is committed", async || presence.announce().await.is_ok()).await;
        presence.begin_history().await.unwrap();
        presence.run();
    }

    async fn start(&mut self) {
        self.open(false).await;
        self.up().await;
    }

    async fn kill(&mut self) {
        self.ether.leave(NodeUuid(self.number));
        if let Some((presence, store, _)) = self.running.take() {
            presence.stop();
            self.disk = self.disk.after_kill();
            store.stop().await;
        }
    }

    async fn stop(&mut self) {
        self.running.as_ref().unwrap().0.say_goodbye().await;
        self.kill().await;
    }

    fn presence(&self) -> &Arc<Presence> {
        &self.running.as_ref().unwrap().0
    }

    fn votes(&self) -> BTreeSet<u128> {
        let members = self.running.as_ref().unwrap().1.membership();
        voters::voters(&members).into_iter().map(|node| node.0).collect()
    }

    async fn until_votes(&self, wanted: &[u128]) {
        let wanted = wanted.iter().copied().collect();
        // While votes change, a majority of those before is needed as well.
        let settled = || {
            self.running
                .as_ref()
                .is_some_and(|(_, store, _)| store.membership().voters.len() == 1)
        };
        until(&format!("votes {wanted:?}"), async || {
            self.votes() == wanted && settled()
        })
        .await;
    }

    async fn until_up(&self, wanted: &[u128]) {
        until(&format!("up are {wanted:?}"), async || {
            let status = self.presence().status();
            let up: Vec<u128> = status
                .nodes
                .iter()
                .filter(|node| node.up)
                .map(|node| node.node.0)
                .collect();
            up == wanted
        })
        .await;
    }

    async fn until_serving(&self, wanted: bool) {
        let mut serving = self.presence().serving();
        let waited = tokio::time::timeout(DEADLINE, serving.wait_for(|serving| *serving == wanted)).await;
        assert!(waited.is_ok(), "node {} still serves: {}", self.number, !wanted);
    }

    async fn declare(&self, what: &str) {
        let store = &self.running.as_ref().unwrap().1;
        until(what, async || store.propose(vhost(what)).await.is_ok()).await;
    }

    fn has(&self, what: &str) -> bool {
        self.running.as_ref().unwrap().2.catalog().vhost(what).is_some()
    }
}

/// So many nodes, joined one after the other.
async fn cluster(count: u128) -> (Ether, Vec<Seat>) {
    cluster_of(count, TIMING).await
}

async fn cluster_of(count: u128, timing: Timing) -> (Ether, Vec<Seat>) {
    let ether = Ether::default();
    let seat = |number| Seat {
        timing,
        ..Seat::new(&ether, number)
    };
    let mut seats: Vec<Seat> = (1..=count).map(seat).collect();
    for seat in &mut seats {
        if seat.number > 1 {
            seat.join(1, NodeKind::Disc).await;
        }
        seat.start().await;
    }
    let all: Vec<u128> = (1..=count).collect();
    for seat in &seats {
        seat.until_votes(&all).await;
    }
    (ether, seats)
}

/// What it wants to commit about the other cannot be, and takes long to be given up.
#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_loses_its_majority_serves_no_longer_than_its_lease_lasts() {
    let (_ether, mut seats) = cluster(2).await;
    let killed = Instant::now();
    seats[1].kill().await;
    seats[0].until_serving(false).await;
    assert!(killed.elapsed() < Duration::from_secs(20), "it has waited for a commit");
}

/// Otherwise one silent node would close the clients of all.
#[test]
fn a_silent_leader_has_a_successor_before_the_others_stop_serving() {
    assert!(Timing::default().candidacy_max() < Patience::default().lease);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_joins_has_all_definitions_once_it_is_up_and_gets_a_vote() {
    let (ether, mut seats) = cluster(1).await;
    seats[0].declare("before").await;
    let mut second = Seat::new(&ether, 2);
    second.join(1, NodeKind::Disc).await;
    second.start().await;
    assert!(second.has("before"));
    second.until_votes(&[1, 2]).await;
    let mut third = Seat::new(&ether, 3);
    third.join(2, NodeKind::Ram).await;
    third.start().await;
    assert!(third.has("before"));
    third.declare("by a ram node").await;
    third.until_up(&[1, 2, 3]).await;
    assert_eq!(third.votes(), BTreeSet::from([1, 2]));
    seats[0].until_up(&[1, 2, 3]).await;
    seats[0].stop().await;
    second.until_up(&[2, 3]).await;
    second.declare("without the first").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_know_what_one_has_only_when_the_last_of_them_has_it() {
    let (ether, seats) = cluster(3).await;
    let [first, second, third] = &seats[..] else {
        panic!("three")
    };
    until("nothing is new", async || second.presence().all_know().await).await;
    // The one who leads reaches the third no more; the second does.
    ether.cut(NodeUuid(1), NodeUuid(3));
    second.declare("late").await;
    until("both have it", async || first.has("late") && second.has("late")).await;
    assert!(!second.presence().all_know().await || third.has("late"));
    ether.heal();
    until("all know", async || second.presence().all_know().await).await;
    assert!(third.has("late"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_node_is_known_to_be_down_soon_and_a_silent_one_a_little_later() {
    let (ether, mut seats) = cluster(3).await;
    seats[2].kill().await;
    seats[0].until_up(&[1, 2]).await;
    seats[1].until_up(&[1, 2]).await;
    seats[2].start().await;
    seats[0].until_up(&[1, 2, 3]).await;
    for other in [1, 2] {
        ether.cut(NodeUuid(3), NodeUuid(other));
        ether.cut(NodeUuid(other), NodeUuid(3));
    }
    seats[2].until_serving(false).await;
    seats[0].until_up(&[1, 2]).await;
    assert!(*seats[0].presence().serving().borrow() && *seats[1].presence().serving().borrow());
    ether.heal();
    seats[2].until_serving(true).await;
    seats[2].until_up(&[1, 2, 3]).await;
    assert_eq!(seats[2].starts, 2, "the same process goes on");
}

/// One that is only silent is believed in for as long again, at least.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_leader_has_a_successor_as_soon_as_it_is_believed_in_no_more() {
    let belief = Duration::from_secs(8);
    let timing = Timing {
        election_ms: (8_000, 8_001),
        ..TIMING
    };
    assert!(timing.belief() >= belief);
    let (_ether, mut seats) = cluster_of(3, timing).await;
    let killed = Instant::now();
    seats[0].kill().await;
    let leads = |seat: &Seat| {
        seat.running
            .as_ref()
            .is_some_and(|(_, store, _)| store.standing().settled.is_some())
    };
    until("another leads", async || leads(&seats[1]) || leads(&seats[2])).await;
    assert!(killed.elapsed() < belief * 2, "nobody has looked whether it is there");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_survive_the_clean_stop_of_either_and_the_last_one_comes_back_first() {
    let (_ether, mut seats) = cluster(2).await;
    seats[0].stop().await;
    seats[1].until_up(&[2]).await;
    seats[1].until_votes(&[2]).await;
    seats[1].declare("alone").await;
    seats[1].stop().await;
    seats[0].open(false).await;
    let early = tokio::time::timeout(Duration::from_secs(2), seats[0].presence().announce()).await;
    assert!(
        !matches!(early, Ok(Ok(()))),
        "it waits for the one that was stopped last"
    );
    seats[1].start().await;
    seats[0].up().await;
    assert!(seats[0].has("alone"));
    seats[0].until_votes(&[1, 2]).await;
}

/// It may come at any moment: before, while and after the cluster has taken it among those who vote.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_stops_as_soon_as_it_has_come_leaves_the_other_able_to_decide() {
    let (ether, seats) = cluster(1).await;
    let first = &seats[0];
    for number in 2..14 {
        let mut second = Seat::new(&ether, number);
        second.join(1, NodeKind::Disc).await;
        second.start().await;
        if number % 3 == 0 {
            until("it is to vote", async || first.votes().contains(&number)).await;
        }
        second.stop().await;
        first.until_votes(&[1]).await;
        let alone = first.running.as_ref().unwrap().1.propose(vhost(&name(number))).await;
        assert!(alone.is_ok(), "without {number}: {alone:?}");
        first.presence().forget(&name(number)).await.unwrap();
    }
    assert!(*first.presence().serving().borrow());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_of_one_of_two_stops_the_survivor_until_it_is_forced() {
    let (_ether, mut seats) = cluster(2).await;
    seats[0].declare("known to both").await;
    seats[1].kill().await;
    seats[0].until_serving(false).await;
    seats[0].kill().await;
    seats[0].force().await;
    assert!(seats[0].has("known to both"));
    seats[0].declare("by force").await;
    seats[0].until_up(&[1]).await;
    seats[1].start().await;
    assert!(seats[1].has("by force"));
    seats[0].until_votes(&[1, 2]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_stopped_last_does_not_lead_beside_a_node_that_was_forced_to_go_on() {
    let (ether, mut seats) = cluster(2).await;
    seats[0].stop().await;
    seats[1].until_votes(&[2]).await;
    seats[1].declare("known to the last").await;
    seats[1].stop().await;
    seats[0].force().await;
    seats[0].declare("by force").await;
    // It asks before it starts, if it can.
    seats[1].open(false).await;
    let refused = seats[1].presence().settle().await.unwrap_err().to_string();
    assert!(refused.contains("was made to go on without node rabbit@2"), "{refused}");
    seats[1].kill().await;
    // It cannot, and leads alone, until the two meet.
    let part = [(1, 2), (2, 1)].map(|(one, other)| (NodeUuid(one), NodeUuid(other)));
    part.iter().for_each(|(from, to)| ether.cut(*from, *to));
    seats[1].start().await;
    seats[1].until_serving(true).await;
    ether.heal();
    seats[1].until_serving(false).await;
    seats[0].declare("still").await;
    assert!(*seats[0].presence().serving().borrow() && !seats[0].has("known to the last"));
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_went_on_do_not_mix_with_one_that_was_forced_to() {
    let (ether, mut seats) = cluster(3).await;
    let part = |ether: &Ether| {
        for other in [2, 3] {
            ether.cut(NodeUuid(1), NodeUuid(other));
            ether.cut(NodeUuid(other), NodeUuid(1));
        }
    };
    part(&ether);
    seats[1].declare("without one").await;
    seats[0].kill().await;
    seats[0].force().await;
    seats[0].declare("by force").await;
    ether.heal();
    for number in 0..20 {
        seats[0].declare(&format!("one {number}")).await;
        seats[2].declare(&format!("others {number}")).await;
    }
    for other in &seats[1..] {
        assert!(other.has("without one") && !other.has("by force"));
    }
    assert!(seats[0].has("by force") && !seats[0].has("without one"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_node_is_turned_away_and_comes_back_as_another() {
    let (ether, mut seats) = cluster(3).await;
    let running = seats[0].presence().forget("rabbit@3").await.unwrap_err();
    assert!(
        running
            .to_string()
            .contains("must be stopped with 'rabbitmqctl -n rabbit@3 stop_app'"),
        "{running}"
    );
    let stranger = seats[0].presence().forget("rabbit@9").await.unwrap_err();
    assert_eq!(stranger, ClusterError::NotAMember);
    seats[2].stop().await;
    seats[0].presence().forget("rabbit@3").await.unwrap();
    seats[0].until_votes(&[1, 2]).await;
    seats[2].open(false).await;
    let turned = loop {
        match seats[2].presence().announce().await {
            Ok(()) => panic!("it is back"),
            Err(error) if error.to_string().contains("was removed") => break error,
            Err(_) => {}
        }
    };
    assert!(turned.to_string().contains("reset it"), "{turned}");
    let mut again = Seat::new(&ether, 4);
    again.join(2, NodeKind::Disc).await;
    again.start().await;
    again.until_votes(&[1, 2, 4]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_node_leaves_or_changes_its_kind_by_asking_any_member() {
    let (_ether, mut seats) = cluster(3).await;
    let peers = seats[2].presence().status().peers(NodeUuid(3));
    seats[2].stop().await;
    outside::set_kind(&*seats[2].outside(), &peers, NodeUuid(3), NodeKind::Ram)
        .await
        .unwrap();
    seats[2].start().await;
    seats[2].until_votes(&[1, 2]).await;
    seats[2].stop().await;
    let other = outside::leave(&*seats[2].outside(), &peers, NodeUuid(2))
        .await
        .unwrap_err();
    assert!(matches!(other, OutsideError::Refused(_)), "{other}");
    outside::leave(&*seats[2].outside(), &peers, NodeUuid(3)).await.unwrap();
    until("it is gone", async || seats[0].presence().status().nodes.len() == 2).await;
    let looked = outside::look(&*seats[2].outside(), "rabbit@1").await.unwrap();
    assert_eq!(looked.nodes.len(), 2);
}

/// What a member has become that was reset, and is a cluster of its own now.
struct Elsewhere(Introduction);

impl Service for Elsewhere {
    fn introduction(&self) -> Introduction {
        self.0.clone()
    }

    fn admit(&self, who: &Introduction) -> Result<(), Turned> {
        Err(Turned::OtherCluster {
            own: NodeUuid(77),
            theirs: who.cluster,
        })
    }

    fn answer(&self, _: &Introduction, _: Request) -> BoxFuture<'_, Reply> {
        Box::pin(async { Reply::Unknown })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_has_left_keeps_nobody_from_starting() {
    let (ether, mut seats) = cluster(3).await;
    seats[2].stop().await;
    let elsewhere = Elsewhere(Introduction::of(&seats[2].identity()));
    ether.enter(NodeUuid(3), Arc::new(elsewhere));
    seats[1].stop().await;
    seats[1].open(false).await;
    let announced = seats[1].presence().announce().await;
    assert!(!matches!(announced, Err(AnnounceError::Turned(_))), "{announced:?}");
    seats[1].up().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_taken_and_a_member_that_joins_again_are_refused() {
    let (ether, seats) = cluster(2).await;
    let guest = Seat::new(&ether, 7);
    let wish = |name: &str, present| Wish {
        node: NodeUuid(7),
        name: name.into(),
        kind: NodeKind::Disc,
        present,
    };
    let taken = outside::join(&*guest.outside(), "rabbit@1", wish("rabbit@2", None))
        .await
        .unwrap_err();
    assert!(taken.to_string().contains("knows another node"), "{taken}");
    let already = outside::join(&*guest.outside(), "rabbit@1", wish("rabbit@2", Some(NodeUuid(2)))).await;
    assert!(matches!(already, Err(OutsideError::Already)));
    let nobody = outside::join(&*guest.outside(), "rabbit@8", wish("rabbit@7", None))
        .await
        .unwrap_err();
    assert!(matches!(nobody, OutsideError::Unreachable { .. }), "{nobody}");
    assert_eq!(seats[0].presence().status().nodes.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_may_go_back_to_the_release_before_until_every_member_has_shown_that_it_understands_more() {
    let (_ether, mut seats) = cluster(3).await;
    let level = |seat: &Seat| seat.running.as_ref().unwrap().2.catalog().level();
    for seat in &mut seats[..2] {
        seat.stop().await;
        seat.level = link::feature_level() + 1;
        seat.start().await;
    }
    // Mixed: whoever leads, all take commands, and one of the new goes back.
    let (_, store, _) = seats[0].running.as_ref().unwrap();
    until("a command of the new release", async || {
        store.propose(vhost("mixed")).await.is_ok()
    })
    .await;
    seats[1].stop().await;
    seats[1].level = link::feature_level();
    seats[1].start().await;
    assert_eq!(level(&seats[1]), link::feature_level());
    let mut earlier = None;
    for seat in &mut seats[1..] {
        seat.stop().await;
        earlier = Some(seat.disk.after_kill());
        seat.level = link::feature_level() + 1;
        seat.start().await;
    }
    for seat in &seats {
        until("what all understand is written down", async || {
            level(seat) == link::feature_level() + 1
        })
        .await;
    }
    let (_, store, _) = seats[0].running.as_ref().unwrap();
    until("a command in the newer format", async || {
        store.propose(vhost("newer")).await.is_ok()
    })
    .await;
    seats[2].stop().await;
    seats[2].level = link::feature_level();
    let refusal = seats[2].try_open(false).await.unwrap_err().to_string();
    assert!(
        refusal.contains("has format 2, this program reads up to 1"),
        "{refusal}"
    );
    // One whose files are from before can read them, and is refused by the others.
    seats[2].disk = earlier.unwrap();
    seats[2].open(false).await;
    let presence = seats[2].presence().clone();
    until("the release before is refused", async || {
        matches!(
            presence.announce().await,
            Err(AnnounceError::Turned(Turned::TooOld { .. }))
        )
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_level_that_is_held_stays_although_every_member_understands_more_and_rises_when_it_is_let_go() {
    let (_ether, mut seats) = cluster(3).await;
    let hold = |on| Command::History(Turn::LevelHeld(on));
    let store = seats[0].running.as_ref().unwrap().1.clone();
    store.propose(hold(true)).await.unwrap();
    for seat in &mut seats {
        seat.stop().await;
        seat.level = link::feature_level() + 1;
        seat.start().await;
    }
    // Whoever leads has heard from all by the time that one of the release before is back and gone again.
    seats[2].stop().await;
    seats[2].level = link::feature_level();
    seats[2].start().await;
    seats[2].stop().await;
    seats[2].level = link::feature_level() + 1;
    seats[2].start().await;
    let status = seats[2].presence().status();
    assert_eq!((status.level, status.is_level_held), (link::feature_level(), true));
    let store = seats[2].running.as_ref().unwrap().1.clone();
    store.propose(hold(false)).await.unwrap();
    for seat in &seats {
        until("what all understand is written down", async || {
            seat.presence().status().level == link::feature_level() + 1
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_others_know_that_a_leader_stops_before_it_is_gone_and_one_of_them_leads() {
    let (ether, seats) = cluster(3).await;
    let leads = |seat: &&Seat| seat.running.as_ref().unwrap().1.standing().settled.is_some();
    until("one leads", async || seats.iter().filter(leads).count() == 1).await;
    let leader = seats.iter().find(leads).unwrap();
    leader.presence().say_goodbye().await;
    let others: Vec<&Seat> = seats.iter().filter(|seat| seat.number != leader.number).collect();
    for other in &others {
        let nodes = other.presence().status().nodes;
        assert!(nodes.iter().any(|node| node.node.0 == leader.number && !node.up));
        // As where its name leads nowhere any more: nobody is there who could refuse.
        ether.cut(NodeUuid(leader.number), NodeUuid(other.number));
        ether.cut(NodeUuid(other.number), NodeUuid(leader.number));
    }
    until("another leads", async || {
        others.iter().copied().any(|seat| leads(&seat))
    })
    .await;
    others[0].declare("afterwards").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_leads_when_it_is_wanted_and_before_this_one_goes_and_nobody_is_given_up_for_it() {
    let timing = Timing {
        heartbeat_ms: 60,
        election_ms: (8_000, 8_001),
    };
    let (_ether, seats) = cluster_of(3, timing).await;
    let [first, second, third] = &seats[..] else {
        panic!("three")
    };
    let led = |leader: u128, moves| {
        let leader = name(leader);
        Ok(Led { leader, moves })
    };
    let leads = |seat: &Seat| seat.presence().leads();
    until("it has begun to lead", async || leads(first)).await;
    // What would be done, and nothing is.
    assert_eq!(first.presence().move_leadership(None, true).await, led(2, true));
    assert_eq!(
        first.presence().move_leadership(Some("rabbit@3"), true).await,
        led(3, true)
    );
    assert!(leads(first));
    assert_eq!(
        first.presence().move_leadership(Some("rabbit@3"), false).await,
        led(3, true)
    );
    until("it has begun to lead", async || leads(third)).await;
    // Wanted again, by any node that knows of it: it is so.
    for seat in &seats {
        until("all have heard it", async || {
            let heard = seat.presence().status().leader;
            heard == Some(name(3))
        })
        .await;
        assert_eq!(
            seat.presence().move_leadership(Some("rabbit@3"), false).await,
            led(3, false)
        );
    }
    assert_eq!(first.presence().move_leadership(None, false).await, led(3, false));
    let elsewhere = first.presence().move_leadership(Some("rabbit@2"), false).await;
    let elsewhere = elsewhere.unwrap_err().to_string();
    assert!(elsewhere.contains("rabbit@3 does: ask that one"), "{elsewhere}");
    let stranger = third.presence().move_leadership(Some("rabbit@9"), false).await;
    assert!(stranger.unwrap_err().to_string().contains("has no node rabbit@9"));
    // One that is out of service is passed over.
    let node = NodeUuid(1);
    let (_, store, _) = third.running.as_ref().unwrap();
    store.propose(Command::SetMaintenance { node, on: true }).await.unwrap();
    third.presence().lead_no_more().await;
    until("it has begun to lead", async || leads(second)).await;
    let refused = second.presence().move_leadership(Some("rabbit@1"), false).await;
    assert!(
        refused
            .unwrap_err()
            .to_string()
            .contains("rabbit@1 is under maintenance")
    );
    for seat in &seats {
        seat.until_up(&[1, 2, 3]).await;
        assert!(*seat.presence().serving().borrow());
    }
}
