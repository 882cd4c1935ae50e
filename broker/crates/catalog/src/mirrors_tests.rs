//! The rules of the record, each with the story that it prevents.

use crate::mirrors_fixture::{Cluster, add_node, all, exactly, node_up, policy, queue, uuid};
use crate::{Command, Event, Loss, MirrorAct, MirrorRefusal, OnShutdown};
use model::{NodeUuid, Table};

#[test]
fn a_queue_declared_under_a_policy_is_in_sync_everywhere_at_once() {
    let mut cluster = Cluster::with_queue("abc", all());
    assert_eq!(cluster.shown(), "e1 a1: a1 b1 c1");
    assert_eq!(cluster.record().leader.as_ref(), "a@h");
    cluster.down("c");
    cluster.apply(Command::DeclareQueue(queue("q2", 'b')));
    let second = cluster.find("q2").unwrap().replicas.clone().unwrap();
    assert_eq!(crate::mirrors_fixture::shown(&second), "e1 b1: b1 a1");
}

#[test]
fn a_node_is_waited_for_while_a_leader_that_runs_counts_its_copy() {
    let mut cluster = Cluster::with_queue("abc", all());
    let waited_for = |cluster: &Cluster, node| cluster.fixture.catalog.is_counted_on(uuid(node));
    assert!(!waited_for(&cluster, 'a'), "it leads itself");
    assert!(waited_for(&cluster, 'b'));
    cluster.down("b");
    assert!(waited_for(&cluster, 'b'), "that it is gone does not put it out");
    cluster.propose(MirrorAct::Evict(uuid('b'))).unwrap();
    assert!(!waited_for(&cluster, 'b'));
    cluster.down("a");
    assert_eq!(cluster.replicas().leader, uuid('c'));
    cluster.down("c");
    assert!(!waited_for(&cluster, 'a'), "nobody leads");
}

/// R2: a transient message, confirmed on all three, is in the memory of those that have not been restarted.
#[test]
fn a_restarted_copy_has_its_disk_alone_and_one_in_sync_leads_before_it() {
    let mut cluster = Cluster::with_queue("abc", all());
    cluster.restart("a");
    assert_eq!(cluster.shown(), "e2 b1: aD b1 c1");
    assert!(cluster.losses().is_empty());
    cluster.down("b");
    assert_eq!(cluster.shown(), "e3 c1: aD b1 c1");
}

/// R3: each start would demote one, and none would be left.
#[test]
fn when_all_have_crashed_every_disk_counts_still_and_the_first_leads() {
    let mut cluster = Cluster::with_queue("abc", all());
    cluster.down("abc");
    assert_eq!(cluster.shown(), "e1 a1: a1 b1 c1", "nobody is there to be elected");
    assert!(cluster.fixture.catalog.check_home(cluster.record()).is_err());
    cluster.restart("b");
    assert_eq!(cluster.shown(), "e2 b2: a1 b2 c1");
    assert_eq!(cluster.losses(), [Loss::Transient]);
    cluster.restart("ca");
    assert_eq!(cluster.shown(), "e2 b2: aD b2 cD");
}

#[test]
fn a_leader_that_restarts_alone_leads_again_by_its_disk_in_a_new_epoch() {
    let mut cluster = Cluster::with_queue("abc", all());
    cluster.down("bc");
    cluster.restart("bc");
    assert_eq!(cluster.shown(), "e1 a1: a1 bD cD");
    cluster.restart("a");
    assert_eq!(
        cluster.shown(),
        "e2 a2: a2 bD cD",
        "the recorded leader before older disks"
    );
    assert_eq!(cluster.losses(), [Loss::Transient]);
}

/// R4: the only counted copy dies; its late addition of a mirror commits, and nobody would ever be elected.
#[test]
fn a_late_addition_after_the_leaders_death_makes_the_mirror_lead() {
    let mut cluster = Cluster::with_queue("ab", all());
    cluster.propose(MirrorAct::Evict(uuid('b'))).unwrap();
    let late = cluster.proposal(cluster.add('b'));
    cluster.down("a");
    assert_eq!(cluster.shown(), "e1 a1: a1 b-");
    cluster.commit(late).unwrap();
    assert_eq!(cluster.shown(), "e2 b1: a1 b1");
}

/// R5: two processes would confirm in one epoch.
#[test]
fn a_restarted_leader_never_goes_on_in_its_epoch() {
    let mut cluster = Cluster::with_queue("a", all());
    cluster.restart("a");
    assert_eq!(cluster.shown(), "e2 a2: a2");
    cluster.down("a");
    cluster.come_back("a");
    assert_eq!(
        cluster.shown(),
        "e2 a2: a2",
        "only thought dead, the same process goes on"
    );
}

/// R6 without any check: a stale addition lands in the next reign, whose leader does not wait for that mirror.
#[test]
fn what_an_earlier_leader_proposed_changes_nothing() {
    let mut cluster = Cluster::with_queue("abc", all());
    cluster.propose(MirrorAct::Evict(uuid('c'))).unwrap();
    let stale = cluster.proposal(cluster.add('c'));
    cluster.down("a");
    assert_eq!(cluster.shown(), "e2 b1: a1 b1 c-");
    assert_eq!(cluster.commit(stale), Err(MirrorRefusal::NotTheLeader));
    assert_eq!(cluster.shown(), "e2 b1: a1 b1 c-");
}

/// R6 by the epoch alone: the leader has stopped waiting for a mirror whose addition commits only now.
#[test]
fn a_proposal_on_an_earlier_version_is_stale() {
    let mut cluster = Cluster::with_queue("abc", all());
    cluster.propose(MirrorAct::Evict(uuid('c'))).unwrap();
    let delayed = cluster.proposal(cluster.add('c'));
    cluster.propose(MirrorAct::Evict(uuid('b'))).unwrap();
    let (epoch, version) = (cluster.replicas().epoch, cluster.replicas().version);
    assert_eq!(cluster.commit(delayed), Err(MirrorRefusal::Stale { epoch, version }));
    assert_eq!(cluster.shown(), "e1 a1: a1 b- c-");
}

/// R6 without the mirror's incarnation: it is added on what its former process has acknowledged.
#[test]
fn a_mirror_that_has_restarted_is_not_added_on_old_acknowledgements() {
    let mut cluster = Cluster::with_queue("ab", all());
    cluster.propose(MirrorAct::Evict(uuid('b'))).unwrap();
    let old = cluster.add('b');
    cluster.restart("b");
    assert_eq!(cluster.propose(old), Err(MirrorRefusal::OtherProcess));
    cluster.propose(cluster.add('b')).unwrap();
    assert_eq!(cluster.shown(), "e1 a1: a1 b2");
}

#[test]
fn another_start_of_a_mirrors_node_settles_what_was_proposed_about_it() {
    let mut cluster = Cluster::with_queue("ab", all());
    cluster.propose(MirrorAct::Evict(uuid('b'))).unwrap();
    let before = cluster.replicas().version;
    cluster.restart("b");
    assert_eq!(cluster.shown(), "e1 a1: a1 b-");
    assert_eq!(cluster.replicas().version, before + 1);
}

#[test]
fn the_leader_is_never_evicted_and_neither_is_the_last_that_must_count() {
    let mut cluster = Cluster::with_queue("abc", all());
    assert_eq!(
        cluster.propose(MirrorAct::Evict(uuid('a'))),
        Err(MirrorRefusal::TheLeader)
    );
    let mut two = cluster.replicas().clone();
    two.min_counted = 2;
    let change = |replicas: &crate::Replicas, act| crate::MirrorChange {
        queue: model::QueueId(1),
        epoch: replicas.epoch,
        version: replicas.version,
        act,
    };
    let by = (uuid('a'), 1);
    let mut evict = |node| {
        let change = change(&two, MirrorAct::Evict(uuid(node)));
        two.propose(by, &change, &cluster.fixture.catalog.nodes)
    };
    assert_eq!(evict('b'), Ok(()));
    assert_eq!(evict('c'), Err(MirrorRefusal::TooFew(2)));
    assert_eq!(evict('b'), Ok(()), "one that is not counted may be evicted again");
}

/// R8: so a leader learns that no addition is under way any more.
#[test]
fn evicting_what_is_not_counted_still_moves_the_version() {
    let mut cluster = Cluster::with_queue("ab", all());
    cluster.propose(MirrorAct::Evict(uuid('b'))).unwrap();
    let before = cluster.replicas().version;
    cluster.propose(MirrorAct::Evict(uuid('b'))).unwrap();
    assert_eq!(cluster.replicas().version, before + 1);
    assert!(matches!(
        cluster.fixture.events[..],
        [Event::QueueReplicasChanged { .. }]
    ));
}

#[test]
fn a_leader_hands_over_to_a_copy_in_sync_that_runs() {
    let mut cluster = Cluster::with_queue("abc", all());
    cluster.propose(MirrorAct::Evict(uuid('c'))).unwrap();
    assert_eq!(cluster.propose(cluster.hand_over('c')), Err(MirrorRefusal::NotInSync));
    cluster.down("b");
    assert_eq!(cluster.propose(cluster.hand_over('b')), Err(MirrorRefusal::Down));
    cluster.come_back("b");
    let twice = cluster.proposal(cluster.hand_over('b'));
    cluster.commit(twice.clone()).unwrap();
    assert_eq!(cluster.shown(), "e2 b1: a1 b1 c-");
    assert_eq!(cluster.record().leader.as_ref(), "b@h");
    assert_eq!(cluster.commit(twice), Err(MirrorRefusal::NotTheLeader));
}

#[test]
fn copies_come_and_go_as_the_leader_says() {
    let mut cluster = Cluster::with_queue("abc", exactly(2));
    assert_eq!(cluster.shown(), "e1 a1: a1 b1");
    cluster.propose(MirrorAct::AddCopy(uuid('c'))).unwrap();
    assert_eq!(cluster.shown(), "e1 a1: a1 b1 c-");
    assert_eq!(
        cluster.propose(MirrorAct::AddCopy(uuid('c'))),
        Err(MirrorRefusal::HasCopy)
    );
    assert_eq!(
        cluster.propose(MirrorAct::AddCopy(NodeUuid(9))),
        Err(MirrorRefusal::NoMirrors)
    );
    cluster.propose(MirrorAct::RemoveCopy(uuid('b'))).unwrap();
    assert_eq!(cluster.shown(), "e1 a1: a1 c-");
    assert_eq!(
        cluster.propose(MirrorAct::RemoveCopy(uuid('b'))),
        Err(MirrorRefusal::NoCopy)
    );
    assert_eq!(
        cluster.propose(MirrorAct::RemoveCopy(uuid('a'))),
        Err(MirrorRefusal::TheLeader)
    );
}

/// What the process that leads a queue with one copy proposes so that it can move.
fn first_copy(cluster: &Cluster, name: &str, on: char) -> Command {
    Command::Mirrors(crate::MirrorsProposal {
        node: uuid('a'),
        incarnation: 1,
        changes: vec![crate::MirrorChange {
            queue: cluster.find(name).unwrap().id,
            epoch: model::Epoch(1),
            version: 1,
            act: MirrorAct::AddCopy(uuid(on)),
        }],
    })
}

#[test]
fn a_queue_with_one_copy_moves_by_a_copy_a_hand_over_and_leaves_nothing_behind() {
    let mut cluster = Cluster::of("abc");
    cluster.apply(Command::DeclareQueue(queue("q", 'a')));
    assert!(cluster.record().replicas.is_none());
    let first = first_copy(&cluster, "q", 'b');
    cluster.commit(first.clone()).unwrap();
    assert_eq!(cluster.shown(), "e1 a1: a1 b-", "no policy wants it, and it stays");
    assert!(
        matches!(cluster.commit(first), Err(MirrorRefusal::Stale { .. })),
        "a proposal counts once"
    );
    assert_eq!(cluster.propose(cluster.hand_over('b')), Err(MirrorRefusal::NotInSync));
    cluster.propose(cluster.add('b')).unwrap();
    assert_eq!(cluster.shown(), "e1 a1: a1 b1");
    cluster.propose(cluster.hand_over('b')).unwrap();
    assert_eq!(cluster.shown(), "e2 b1: b1");
    assert_eq!(cluster.record().leader.as_ref(), "b@h");
}

#[test]
fn a_move_that_a_restart_interrupts_leaves_the_queue_where_it_was() {
    let mut cluster = Cluster::of("ab");
    cluster.apply(Command::DeclareQueue(queue("q", 'a')));
    let first = first_copy(&cluster, "q", 'b');
    cluster.commit(first).unwrap();
    cluster.restart("a");
    assert_eq!(cluster.shown(), "e2 a2: a2");
}

#[test]
fn only_a_durable_queue_of_nobody_gets_its_first_copy_by_its_leaders_word() {
    let mut cluster = Cluster::of("ab");
    let transient = crate::QueueSpec {
        durable: false,
        ..queue("transient", 'a')
    };
    cluster.apply(Command::DeclareQueue(transient));
    let first = first_copy(&cluster, "transient", 'b');
    assert_eq!(cluster.commit(first), Err(MirrorRefusal::NotMirrored));
    cluster.apply(Command::DeclareQueue(queue("q", 'b')));
    let first = first_copy(&cluster, "q", 'a');
    assert_eq!(cluster.commit(first), Err(MirrorRefusal::NotTheLeader));
    assert!(cluster.record().replicas.is_none(), "what is refused changes nothing");
}

#[test]
fn one_entry_judges_each_queue_by_itself() {
    let mut cluster = Cluster::with_queue("ab", all());
    cluster.apply(Command::DeclareQueue(queue("plain", 'a')));
    let Command::Mirrors(mut proposal) = cluster.proposal(MirrorAct::Evict(uuid('b'))) else {
        panic!("a proposal")
    };
    let first = proposal.changes[0];
    let of = |queue| crate::MirrorChange { queue, ..first };
    proposal.changes = vec![
        of(model::QueueId(99)),
        of(cluster.find("plain").unwrap().id),
        first,
        first,
    ];
    let answer = cluster.apply(Command::Mirrors(proposal));
    let (epoch, version) = (cluster.replicas().epoch, cluster.replicas().version);
    let expected = vec![
        Err(MirrorRefusal::NoQueue),
        Err(MirrorRefusal::NotMirrored),
        Ok(()),
        Err(MirrorRefusal::Stale { epoch, version }),
    ];
    assert_eq!(answer, crate::Answer::Mirrors(expected));
}

#[test]
fn nobody_is_elected_who_dies_in_the_same_entry() {
    let mut cluster = Cluster::with_queue("abc", all());
    cluster.down("ab");
    assert_eq!(cluster.shown(), "e2 c1: a1 b1 c1");
    let told: Vec<&str> = cluster
        .fixture
        .events
        .iter()
        .map(|event| match event {
            Event::NodeDown(_) => "down",
            Event::QueueReplicasChanged { before, now } => {
                assert_eq!((before.leader.as_ref(), now.leader.as_ref()), ("a@h", "c@h"));
                "replicas"
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(told, ["down", "down", "replicas"]);
}

#[test]
fn a_node_that_a_queue_needs_is_not_removed() {
    let mut cluster = Cluster::with_queue("abc", all());
    cluster.propose(MirrorAct::Evict(uuid('b'))).unwrap();
    cluster.propose(MirrorAct::Evict(uuid('c'))).unwrap();
    cluster.down("a");
    let refusal = cluster.try_apply(Command::RemoveNode(uuid('a'))).unwrap_err();
    assert!(
        refusal
            .text
            .starts_with("node 'a@h' alone has every confirmed message of queue 'q' in vhost '/' and of 0 other"),
        "{refusal}"
    );
    cluster.apply(Command::ForcePromote(cluster.record().id));
    cluster.apply(Command::RemoveNode(uuid('a')));
    assert_eq!(cluster.shown(), "e2 b1: b1 c-");
}

#[test]
fn a_removed_nodes_copies_are_forgotten_and_a_queue_that_only_it_has_goes_along() {
    let mut cluster = Cluster::with_queue("abc", all());
    cluster.down("b");
    cluster.apply(Command::RemoveNode(uuid('b')));
    assert_eq!(cluster.shown(), "e1 a1: a1 c1");
    let mut cluster = Cluster::with_queue("ab", exactly(1));
    cluster.down("a");
    cluster.apply(Command::RemoveNode(uuid('a')));
    assert!(cluster.find("q").is_none());
}

#[test]
fn a_queue_that_is_not_durable_lives_as_long_as_a_process_has_it_whole() {
    let mut cluster = Cluster::of("abc");
    cluster.apply(policy(all()));
    let transient = crate::QueueSpec {
        durable: false,
        ..queue("q", 'a')
    };
    cluster.apply(Command::DeclareQueue(transient));
    cluster.restart("a");
    assert_eq!(cluster.shown(), "e2 b1: a- b1 c1", "no disk has anything of it");
    cluster.down("b");
    assert_eq!(cluster.shown(), "e3 c1: a- b1 c1");
    cluster.restart("c");
    assert!(cluster.find("q").is_none(), "node b is down, and a has nothing");
    assert!(
        cluster
            .fixture
            .events
            .iter()
            .any(|event| matches!(event, Event::QueueDeleted(_)))
    );
}

#[test]
fn messages_are_given_up_by_name_only_and_that_is_told() {
    let mut cluster = Cluster::with_queue("abc", all());
    let id = cluster.record().id;
    let force = Command::ForcePromote(id);
    let needless = cluster.try_apply(force.clone()).unwrap_err();
    assert!(
        needless
            .text
            .contains("node 'a@h' runs and has every confirmed message"),
        "{needless}"
    );
    cluster.propose(MirrorAct::Evict(uuid('b'))).unwrap();
    cluster.propose(MirrorAct::Evict(uuid('c'))).unwrap();
    cluster.down("ab");
    assert_eq!(cluster.shown(), "e1 a1: a1 b- c-");
    let catalog = &cluster.fixture.catalog;
    assert_eq!(catalog.force_promotable(cluster.record()), Some((uuid('c'), 1)));
    assert_eq!(catalog.to_be_forced().count(), 0, "the policy does not say so");
    cluster.apply(force.clone());
    assert_eq!(cluster.shown(), "e2 c1: a- b- c1");
    assert_eq!(cluster.losses(), [Loss::Forced]);
    cluster.down("c");
    let nobody = cluster.try_apply(force).unwrap_err();
    assert!(nobody.text.contains("no node that runs has a copy"), "{nobody}");
    let gone = cluster
        .try_apply(Command::ForcePromote(model::QueueId(77)))
        .unwrap_err();
    assert!(gone.text.contains("is gone"), "{gone}");
}

#[test]
fn only_what_a_policy_sets_to_always_is_forced_without_being_asked() {
    let mut always = all();
    always.set("ha-promote-on-failure", "always".into());
    let mut cluster = Cluster::with_queue("ab", always);
    cluster.propose(MirrorAct::Evict(uuid('b'))).unwrap();
    assert_eq!(cluster.fixture.catalog.to_be_forced().count(), 0);
    cluster.down("a");
    let names: Vec<_> = cluster
        .fixture
        .catalog
        .to_be_forced()
        .map(|forced| (forced.queue.name.as_str(), forced.node))
        .collect();
    assert_eq!(names, [("q", uuid('b'))]);
}

#[test]
fn whether_the_leader_was_stopped_or_lost_decides_which_of_the_two_settings_counts() {
    let forced = |key: &str, stops: bool| {
        let mut definition = all();
        definition.set(key, "always".into());
        let mut cluster = Cluster::with_queue("ab", definition);
        cluster.propose(MirrorAct::Evict(uuid('b'))).unwrap();
        match stops {
            true => {
                let (node, incarnation) = (uuid('a'), 1);
                cluster.apply(Command::NodeStopped(crate::NodeDeath { node, incarnation }));
            }
            false => cluster.down("a"),
        }
        cluster.fixture.catalog.to_be_forced().count() == 1
    };
    let (shutdown, failure) = ("ha-promote-on-shutdown", "ha-promote-on-failure");
    assert!(forced(shutdown, true) && forced(failure, false));
    assert!(!forced(shutdown, false) && !forced(failure, true));
}

#[test]
fn a_planned_stop_hands_over_where_it_can_and_waits_unless_told_otherwise() {
    let mut cluster = Cluster::with_queue("abc", all());
    let on_shutdown = |cluster: &Cluster| cluster.fixture.catalog.on_shutdown(cluster.record());
    let (node, incarnation) = (uuid('b'), 1);
    assert_eq!(on_shutdown(&cluster), OnShutdown::HandOver { node, incarnation });
    cluster.propose(MirrorAct::Evict(uuid('b'))).unwrap();
    cluster.propose(MirrorAct::Evict(uuid('c'))).unwrap();
    assert_eq!(on_shutdown(&cluster), OnShutdown::Wait);
    let mut always = all();
    always.set("ha-promote-on-shutdown", "always".into());
    cluster.apply(policy(always));
    assert_eq!(on_shutdown(&cluster), OnShutdown::Force(uuid('b')));
    cluster.propose(cluster.add('c')).unwrap();
    cluster.restart("c");
    assert_eq!(on_shutdown(&cluster), OnShutdown::Elected(uuid('c')));
}

#[test]
fn tools_are_told_who_mirrors_and_who_is_in_sync() {
    let mut cluster = Cluster::with_queue("abcd", all());
    cluster.propose(MirrorAct::Evict(uuid('c'))).unwrap();
    cluster.down("b");
    let names = cluster.fixture.catalog.mirror_names(cluster.record());
    let text = |names: &[crate::NodeName]| names.iter().map(|name| name.to_string()).collect::<Vec<_>>().join(" ");
    assert_eq!(text(&names.running), "c@h d@h");
    assert_eq!(text(&names.synchronised), "d@h");
    assert_eq!(text(&names.recoverable), "b@h c@h d@h");
    let catalog = &cluster.fixture.catalog;
    assert_eq!(catalog.leads(uuid('a')).count(), 1);
    assert_eq!(
        (catalog.leads(uuid('b')).count(), catalog.copies_on(uuid('b')).count()),
        (0, 1)
    );
    let waits: Vec<_> = catalog
        .unsynchronised(cluster.replicas())
        .map(|copy| copy.node)
        .collect();
    assert_eq!(waits, [uuid('c')]);
}

#[test]
fn a_node_of_an_earlier_release_gets_no_copies() {
    let mut cluster = Cluster::of("a");
    cluster.apply(add_node('b'));
    let mut old = node_up('b', 1);
    if let Command::NodeUp { mirrors, .. } = &mut old {
        *mirrors = false;
    }
    cluster.apply(old);
    cluster.apply(policy(all()));
    cluster.apply(Command::DeclareQueue(queue("q", 'a')));
    cluster.apply(Command::DeclareQueue(queue("q2", 'b')));
    assert_eq!(cluster.shown(), "e1 a1: a1");
    assert!(cluster.find("q2").unwrap().replicas.is_none());
    cluster.restart("b");
    assert_eq!(cluster.shown(), "e1 a1: a1 b-");
    let second = cluster.find("q2").unwrap().replicas.clone().unwrap();
    assert_eq!(crate::mirrors_fixture::shown(&second), "e1 b2: b2 a-");
}

#[test]
fn a_policy_that_says_nothing_of_mirrors_makes_none() {
    let cluster = Cluster::with_queue("ab", Table::from([("max-length", model::Value::I64(5))]));
    assert!(cluster.record().replicas.is_none());
}
