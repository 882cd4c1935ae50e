//! The nodes, the log between them, and what happens next: one choice at a time.

use crate::auditor::Auditor;
use crate::chance::Chance;
use crate::load;
use crate::log::Log;
use crate::member::{Member, Outcome};
use catalog::{Command, NodeDeath, NodeKind};
use std::fmt::Write as _;

/// How many steps a proposal is waited for before its clients are told that nobody knows.
const PATIENCE: u64 = 8;
/// Steps in which everything comes to rest, for each node.
const REST: usize = 400;

macro_rules! counts {
    ($($name:ident),* $(,)?) => {
        /// How often what happened.
        #[derive(Clone, Copy, Debug, Default)]
        pub(crate) struct Counts { $(pub(crate) $name: u64),* }

        impl Counts {
            /// All seeds together.
            pub(crate) fn add(&mut self, other: &Self) {
                $(self.$name += other.$name;)*
            }

            /// What never happened.
            pub(crate) fn never(&self) -> Vec<&'static str> {
                [$((stringify!($name), self.$name)),*].iter().filter(|(_, count)| *count == 0).map(|(name, _)| *name).collect()
            }
        }
    };
}

counts! {
    lives, committed, commands, refused, skipped, answered, given_up, elections, taken_back, kills, starts, partitions,
    deaths, shows, turned_away, old_copies, snapshots, restored, installed, disks_lost, removed,
}

/// All of it.
pub(crate) struct Cluster {
    chance: Chance,
    members: Vec<Member>,
    log: Log,
    auditor: Auditor,
    identities: u128,
    processes: u64,
    /// Entries before this are in nobody's log any more.
    truncated: usize,
    trace: String,
    counts: Counts,
}

impl Cluster {
    /// Three to five nodes; the first has begun the cluster, and the others are known.
    pub(crate) fn new(seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let count = 3 + chance.below(3) as usize;
        let mut cluster = Cluster {
            members: (0..count).map(|place| Member::new(place, place as u128 + 1)).collect(),
            log: Log::default(),
            auditor: Auditor::default(),
            identities: count as u128,
            processes: 0,
            truncated: 0,
            trace: String::new(),
            counts: Counts {
                lives: 1,
                ..Counts::default()
            },
            chance,
        };
        (0..count).for_each(|node| cluster.boot(node));
        let mut wanted = vec![cluster.members[0].up()];
        wanted.extend(load::first(&cluster.members[0]));
        wanted.extend((1..count).map(|place| cluster.add(place)));
        cluster.members[0].wanted = wanted;
        cluster.elect(0);
        cluster.propose(0);
        cluster.commit();
        cluster
    }

    fn boot(&mut self, node: usize) {
        self.processes += 1;
        self.members[node].start(self.processes);
    }

    fn add(&self, place: usize) -> Command {
        let member = &self.members[place];
        Command::AddNode {
            node: member.uuid,
            name: member.name.as_str().into(),
            kind: NodeKind::Disc,
        }
    }

    fn tell(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a string does not fail.
        let _ = writeln!(self.trace, "{text}");
    }

    fn any(&mut self) -> usize {
        self.chance.below(self.members.len() as u64) as usize
    }

    fn reaches(&self, node: usize) -> bool {
        self.members[node].runs && !self.members[node].alone
    }

    fn majority(&self) -> bool {
        let there = (0..self.members.len()).filter(|node| self.reaches(*node)).count();
        there * 2 > self.members.len()
    }

    /// One more thing happens.
    pub(crate) fn step(&mut self) {
        let node = self.any();
        match self.chance.below(100) {
            0..=24 => self.ask(node),
            25..=47 => self.propose(node),
            48..=59 => self.commit(),
            60..=79 => self.follow(node),
            80..=85 => self.learn(node),
            86 => self.elect(node),
            87 if self.chance.once_in(2) => self.kill(node),
            87..=90 => self.start(node),
            91 if self.chance.once_in(2) => self.part(node),
            91..=94 => self.heal(node),
            95..=96 => self.bury(),
            97 => self.write(node),
            98 => self.truncate(),
            _ => self.lose_disk(node),
        }
    }

    fn ask(&mut self, node: usize) {
        if self.members[node].serves()
            && let Some(command) = load::want(&self.members[node], &mut self.chance)
        {
            self.tell(format_args!("{node} wants {command:?}"));
            self.members[node].wanted.push(command);
        }
    }

    /// Proposes, or proposes the same again, to whoever it believes to lead.
    fn propose(&mut self, node: usize) {
        let leader = self.members[node].leader;
        let waits = self.members[node].proposed.is_some() && !self.chance.once_in(3);
        if !self.members[node].runs || waits {
            return;
        }
        self.members[node].propose(PATIENCE);
        let Some((proposal, patience)) = &mut self.members[node].proposed else {
            return;
        };
        *patience -= 1;
        if *patience == 0 {
            self.members[node].proposed = None;
            self.counts.given_up += 1;
            return;
        }
        let proposal = proposal.clone();
        // One that is alone reaches itself.
        let reached = leader.filter(|leader| *leader == node || self.reaches(node) && self.reaches(*leader));
        if reached.is_some_and(|leader| leader != node && !self.lets_in(leader, node)) {
            return self.turn_away(node);
        }
        let taken = reached.is_some_and(|leader| self.log.propose(leader, proposal));
        self.tell(format_args!("{node} proposes to {leader:?}: {taken}"));
    }

    /// Whether one node lets another in, as far as it knows it: not who was removed, nor an older process than it knows.
    fn lets_in(&self, own: usize, node: usize) -> bool {
        let (known, who) = (&self.members[own].replica.catalog, &self.members[node]);
        let is_old = known.node(who.uuid).is_some_and(|record| {
            let this = (who.incarnation, who.boot_id);
            this.0 < record.incarnation || this.0 == record.incarnation && this.1 != record.boot_id
        });
        !is_old && !known.is_removed(who.uuid)
    }

    fn lets_in_everywhere(&self, node: usize) -> bool {
        let others = (0..self.members.len()).filter(|other| *other != node);
        self.reaches(node) && others.into_iter().all(|other| self.lets_in(other, node))
    }

    fn commit(&mut self) {
        let Some(leader) = self.log.leader else { return };
        if !self.reaches(leader) || !self.majority() {
            return;
        }
        let (from, most) = (self.log.committed.len(), 1 + self.chance.below(4) as usize);
        self.log.commit(most);
        for at in from..self.log.committed.len() {
            let proposal = self.log.committed[at].clone();
            self.counts.committed += 1;
            self.counts.commands += proposal.commands.len() as u64;
            if !self.auditor.follow(&proposal) {
                self.counts.skipped += 1;
            }
            self.tell(format_args!("committed {} of {}", proposal.number, proposal.origin));
        }
    }

    /// A node hears of some more entries, or of all at once when the first of them are in nobody's log any more.
    fn follow(&mut self, node: usize) {
        if !self.reaches(node) || !self.majority() {
            return;
        }
        if self.members[node].replica.applied < self.truncated {
            self.install(node);
        }
        for _ in 0..1 + self.chance.below(6) {
            self.follow_one(node);
        }
        if self.chance.once_in(8) {
            self.auditor.compare_state(&self.members[node].replica);
        }
    }

    fn follow_one(&mut self, node: usize) {
        let member = &mut self.members[node];
        let Some(proposal) = self.log.committed.get(member.replica.applied) else {
            return;
        };
        let outcome = member.replica.follow(proposal);
        self.auditor.compare(member.replica.applied, &outcome);
        let own = (proposal.origin, proposal.incarnation, proposal.number);
        let waited = member
            .proposed
            .as_ref()
            .map(|(waited, _)| (waited.origin, waited.incarnation, waited.number));
        if waited == Some(own) {
            member.proposed = None;
            if let Outcome::Performed(answers) = &outcome {
                let refused = answers.iter().filter(|(answer, _)| answer.is_err()).count() as u64;
                self.counts.refused += refused;
                self.counts.answered += answers.len() as u64 - refused;
                let up = member.up();
                let asked = proposal.commands.iter().zip(answers);
                if asked
                    .into_iter()
                    .any(|(command, (answer, _))| *command == up && answer.is_err())
                {
                    self.turn_away(node);
                }
            }
        }
    }

    /// A process that the others do not want ends.
    fn turn_away(&mut self, node: usize) {
        self.counts.turned_away += 1;
        self.members[node].refused = true;
        self.kill(node);
    }

    /// Somebody who has everything sends it whole.
    fn install(&mut self, node: usize) {
        let written = self.auditor.replica.write();
        self.members[node].replica = written.read();
        self.members[node].snapshot = Some(written);
        self.counts.installed += 1;
        self.auditor.compare_state(&self.members[node].replica);
        // What it waits for may be in there: nobody can tell it any more.
        self.members[node].proposed = None;
        self.tell(format_args!("{node} is sent everything"));
    }

    /// A node learns who leads; who does not, knows it then.
    fn learn(&mut self, node: usize) {
        if !self.reaches(node) {
            return;
        }
        self.members[node].leader = self.log.leader.filter(|leader| self.reaches(*leader));
        self.log.resign(node);
        if self.members[node].serves() {
            return;
        }
        let member = &mut self.members[node];
        let up = member.up();
        let under_way = member.proposed.as_ref().map(|(proposal, _)| &proposal.commands);
        let asks = under_way
            .into_iter()
            .chain([&member.wanted])
            .any(|commands| commands.contains(&up));
        let is_known = member.replica.catalog.node(member.uuid).is_some();
        let blindly = !is_known && !member.asked_blindly && self.chance.once_in(4);
        if !asks && (is_known || blindly) {
            member.asked_blindly = true;
            member.wanted.insert(0, up);
            self.counts.shows += 1;
        }
    }

    fn elect(&mut self, node: usize) {
        let votes = |other: &usize| self.reaches(*other) && (*other == node || self.lets_in(*other, node));
        let votes = (0..self.members.len()).filter(votes).count();
        if !self.reaches(node) || votes * 2 <= self.members.len() || self.log.is_led_by(node) {
            return;
        }
        self.counts.taken_back += self.log.elect(node, &mut self.chance) as u64;
        self.counts.elections += 1;
        self.members[node].leader = Some(node);
        let term = self.log.term;
        self.tell(format_args!("{node} leads term {term}"));
    }

    fn kill(&mut self, node: usize) {
        if self.members[node].runs {
            self.members[node].runs = false;
            self.log.resign(node);
            self.counts.kills += 1;
            self.tell(format_args!("{node} is killed"));
        }
    }

    fn start(&mut self, node: usize) {
        if self.members[node].runs {
            return;
        }
        // Now and then from an old copy of its disk; the others know of later starts.
        let (uuid, incarnation) = (self.members[node].uuid, self.members[node].incarnation);
        let known = self.auditor.replica.catalog.node(uuid).map(|known| known.incarnation);
        if incarnation > 1 && known == Some(incarnation) && self.chance.once_in(4) {
            self.members[node].incarnation -= 2;
            self.counts.old_copies += 1;
        }
        self.boot(node);
        self.counts.starts += 1;
        self.counts.restored += u64::from(self.members[node].snapshot.is_some());
        self.auditor.compare_state(&self.members[node].replica);
        self.tell(format_args!("{node} starts"));
    }

    fn part(&mut self, node: usize) {
        self.counts.partitions += u64::from(!self.members[node].alone);
        self.members[node].alone = true;
        self.tell(format_args!("{node} is alone"));
    }

    fn heal(&mut self, node: usize) {
        self.members[node].alone = false;
    }

    /// The leader gives up whom it does not reach, all at once, as far as it knows them.
    fn bury(&mut self) {
        let Some(leader) = self.log.leader.filter(|leader| self.members[*leader].serves()) else {
            return;
        };
        let known = self.members[leader].replica.catalog.clone();
        let silent = (0..self.members.len()).filter(|node| *node != leader && !self.reaches(*node));
        let up = silent
            .filter_map(|node| known.node(self.members[node].uuid))
            .filter(|node| node.up);
        let deaths: Vec<NodeDeath> = up
            .map(|node| NodeDeath {
                node: node.uuid,
                incarnation: node.incarnation,
            })
            .collect();
        if !deaths.is_empty() {
            self.counts.deaths += deaths.len() as u64;
            self.tell(format_args!("{leader} gives up {deaths:?}"));
            self.members[leader].wanted.push(Command::NodeDown(deaths));
        }
    }

    fn write(&mut self, node: usize) {
        if self.members[node].runs {
            let written = self.members[node].replica.write();
            assert_eq!(
                written.read().catalog,
                self.members[node].replica.catalog,
                "written and read"
            );
            self.members[node].snapshot = Some(written);
            self.counts.snapshots += 1;
        }
    }

    /// The beginning of the log goes, as far as somebody has it in a snapshot.
    fn truncate(&mut self) {
        let written = self.members.iter().filter_map(|member| member.snapshot.as_ref());
        let furthest = written.map(|snapshot| snapshot.applied).max().unwrap_or(0);
        self.truncated = self
            .truncated
            .max(furthest.saturating_sub(self.chance.below(20) as usize));
    }

    /// A disk is lost. The others remove the old node, and a new one of the same name joins.
    fn lose_disk(&mut self, node: usize) {
        let helper = self.any();
        if helper == node || self.log.is_led_by(node) || !self.members[helper].serves() || !self.chance.once_in(3) {
            return;
        }
        self.kill(node);
        let old = &self.members[node];
        let (lost, incarnation) = (old.uuid, old.incarnation);
        self.identities += 1;
        self.members[node] = Member::new(node, self.identities);
        let death = NodeDeath {
            node: lost,
            incarnation,
        };
        let wanted = [
            Command::NodeDown(vec![death]),
            Command::RemoveNode(lost),
            self.add(node),
        ];
        self.members[helper].wanted.extend(wanted);
        self.counts.disks_lost += 1;
        self.tell(format_args!("{node} has lost its disk"));
    }

    /// Everything is mended, and everybody hears of everything.
    pub(crate) fn settle(&mut self) {
        (0..self.members.len()).for_each(|node| self.heal(node));
        for _ in 0..REST {
            if self.log.leader.is_none_or(|leader| !self.lets_in_everywhere(leader)) {
                (0..self.members.len()).for_each(|node| self.elect(node));
            }
            for node in 0..self.members.len() {
                if !self.members[node].runs {
                    self.boot(node);
                    // By now everybody could know whether it is a member.
                    self.members[node].asked_blindly = true;
                }
                self.learn(node);
                self.propose(node);
                self.commit();
                self.follow(node);
            }
            if (0..self.members.len()).all(|node| self.is_at_rest(node)) {
                return;
            }
        }
        let who = |node: &usize| !self.is_at_rest(*node);
        let restless = (0..self.members.len()).filter(who).map(|node| {
            let Member {
                replica,
                proposed,
                wanted,
                leader,
                ..
            } = &self.members[node];
            (node, replica.applied, proposed, wanted, leader)
        });
        panic!(
            "no rest after {REST} rounds: {} committed, the last {:?}, {:?} leads: {:?}",
            self.log.committed.len(),
            self.log.committed.last(),
            self.log.leader,
            restless.collect::<Vec<_>>()
        );
    }

    /// Its disk was lost, and it could not take the place of the node that it was.
    fn is_unknown(&self, node: usize) -> bool {
        self.auditor.replica.catalog.node(self.members[node].uuid).is_none()
    }

    fn is_at_rest(&self, node: usize) -> bool {
        let member = &self.members[node];
        let asks = member.proposed.is_some() || !member.wanted.is_empty();
        let is_current = member.replica.applied == self.log.committed.len();
        match self.is_unknown(node) {
            true => member.refused || is_current && !asks,
            false => is_current && !asks && member.serves(),
        }
    }

    /// All nodes say the same; the whole life, and its figures.
    pub(crate) fn end(mut self) -> (String, Counts) {
        for member in &self.members {
            self.auditor.compare_state(&member.replica);
        }
        let known = self.auditor.replica.catalog.nodes().count();
        self.counts.removed += u64::from(self.identities as usize > known);
        let last = format!("{:?}", self.auditor.replica.catalog.image());
        self.tell(format_args!("{last}"));
        (self.trace, self.counts)
    }
}
