//! What may happen next, and how everything comes to rest at the end.

use catalog::{Command, MirrorAct, MirrorChange, MirrorsProposal, NodeDeath, PolicySpec, QueueRecord, QueueSpec};
use mirror::Act;
use model::{ApplyTo, Epoch, Millis, NodeUuid, PolicyLevel, QueueId, Seq, Table, Value};
use queue::Settle;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::journal::places;
use crate::judge::Publish;
use crate::life::{Asked, Life, Pending};
use crate::message::Letter;
use crate::node::{Node, Stage};
use crate::record::words;
use crate::rules::Rule;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Publish,
    Line,
    LineBack,
    Link,
    LinkBack,
    Old,
    Sync,
    Answer,
    Keep,
    Commit,
    Learn,
    Consume,
    Settle,
    Requeue,
    Reject,
    Letter,
    Purge,
    Tick,
    Load,
    Policy,
    SyncQueue,
    HandOver,
    Redeclare,
    Crash,
    CrashAll,
    Start,
    FalseDeath,
    Death,
    Heartbeat,
    CutLink,
    CutLine,
    Unknown,
    Wipe,
}

/// Publishes in one life.
const PUBLISHES_MAX: usize = 48;

impl Life {
    fn kinds(&self) -> Vec<(u64, Kind)> {
        let faults = self.faults;
        let often = [
            (30, Kind::Publish),
            (45, Kind::Line),
            (20, Kind::LineBack),
            (130, Kind::Link),
            (60, Kind::LinkBack),
            (25, Kind::Old),
            (40, Kind::Sync),
            (45, Kind::Answer),
            (40, Kind::Keep),
            (25, Kind::Commit),
            (60, Kind::Learn),
            (14, Kind::Consume),
            (12, Kind::Settle),
            (4, Kind::Requeue),
            (10, Kind::Reject),
            (25, Kind::Letter),
            (1, Kind::Purge),
            (6, Kind::Tick),
            (10, Kind::Load),
            (2, Kind::Policy),
            (2, Kind::SyncQueue),
            (15, Kind::HandOver),
            (1, Kind::Redeclare),
        ];
        let bad = [
            (faults.crashes, Kind::Crash),
            (faults.crashes / 6, Kind::CrashAll),
            (3 * faults.crashes, Kind::Start),
            (faults.false_deaths, Kind::FalseDeath),
            (faults.crashes, Kind::Death),
            (2 * faults.false_deaths, Kind::Heartbeat),
            (faults.cuts, Kind::CutLink),
            (faults.cuts, Kind::CutLine),
            (faults.lost_answers, Kind::Unknown),
            (faults.wipes, Kind::Wipe),
        ];
        let often = often.into_iter().map(|(weight, kind)| (weight * self.calm, kind));
        often.chain(bad).collect()
    }

    /// One thing happens.
    pub(crate) fn step(&mut self) {
        self.now = self.now.after(Millis(self.draw.below(60)));
        let kinds = self.kinds();
        let Some(kind) = self.draw.weighted(&kinds) else { return };
        let at = self.draw.index(self.nodes.len());
        match kind {
            Kind::Publish | Kind::Line | Kind::LineBack => self.client_step(kind, at),
            Kind::Link | Kind::LinkBack | Kind::CutLink => self.link_step(kind, at),
            Kind::Consume
            | Kind::Settle
            | Kind::Requeue
            | Kind::Reject
            | Kind::Letter
            | Kind::Purge
            | Kind::Tick
            | Kind::Old
            | Kind::HandOver
            | Kind::SyncQueue => self.queue_step(kind, at),
            Kind::Policy | Kind::Redeclare | Kind::Commit | Kind::Unknown => self.catalogue_step(kind),
            Kind::Crash
            | Kind::CrashAll
            | Kind::Start
            | Kind::FalseDeath
            | Kind::Death
            | Kind::Heartbeat
            | Kind::CutLine
            | Kind::Wipe => self.fault_step(kind, at),
            Kind::Sync => self.sync(at),
            Kind::Answer => {
                self.answer(at);
                self.settle_letters(at);
            }
            Kind::Keep => self.keep(at),
            Kind::Load => self.load(at),
            Kind::Learn => {
                self.learn(at);
            }
        }
        self.cut_full();
    }

    /// Some of what a node has appended reaches its disk.
    fn sync(&mut self, at: usize) {
        let notes = 1 + self.draw.index(6);
        if self.slow != Some(at) || self.draw.once_in(10) {
            self.nodes[at].log.sync(notes);
        }
    }

    fn cut_full(&mut self) {
        for at in 0..self.nodes.len() {
            for to in self.nodes[at].links.take_cut() {
                self.count("links that took no more");
                self.cut(at, to);
            }
        }
    }

    fn queue_known(&mut self, at: usize) -> Option<QueueId> {
        let known: Vec<QueueId> = self.nodes[at].catalog.queues().map(|record| record.id).collect();
        (!known.is_empty()).then(|| known[self.draw.index(known.len())])
    }

    fn client_step(&mut self, kind: Kind, at: usize) {
        let Some(queue) = self.queue_known(at).filter(|_| self.nodes[at].stage == Stage::Up) else {
            return;
        };
        match kind {
            Kind::Publish if self.judge.publishes.len() < PUBLISHES_MAX => self.publish(at, queue),
            Kind::LineBack => self.answer_comes(at, queue),
            _ => self.line_goes(at, queue),
        }
    }

    fn publish(&mut self, at: usize, queue: QueueId) {
        let id = self.judge.publishes.len() as u32;
        let record = self.truth.queue_by_id(queue);
        let is_quorum = record.is_some_and(|record| record.is_quorum());
        let persistent = !self.draw.once_in(3) || is_quorum;
        let node = &mut self.nodes[at];
        let number = node.origin.lines.entry(queue).or_default().publish(id);
        self.judge.publishes.push(Publish {
            queue,
            origin: (node.uuid, node.incarnation),
            number,
            persistent,
            confirmed: None,
            gone: false,
            died: false,
            landed: None,
        });
    }

    fn link_step(&mut self, kind: Kind, at: usize) {
        let open: Vec<usize> = self.nodes[at].links.all().map(|(to, _)| to).collect();
        if open.is_empty() {
            return;
        }
        let to = open[self.draw.index(open.len())];
        match kind {
            Kind::Link => {
                let records = 1 + self.draw.index(4);
                (0..records).for_each(|_| self.link_goes(at, to));
            }
            Kind::LinkBack => self.link_comes_back(at, to),
            _ => {
                self.count("links cut");
                self.tell(|| format!("the link from {at} to {to} is cut"));
                self.cut(at, to);
            }
        }
    }

    fn queue_step(&mut self, kind: Kind, at: usize) {
        let Some(queue) = self.queue_known(at) else { return };
        match kind {
            Kind::Consume => {
                let (number, no_ack) = (self.number(), self.draw.once_in(6));
                let (node, mut world) = self.at(at);
                node.consume(queue, number, no_ack, &mut world);
            }
            Kind::Settle => self.settle(at, queue, Settle::Ack),
            Kind::Requeue => self.settle(at, queue, Settle::Requeue),
            Kind::Reject => self.settle(at, queue, Settle::Reject),
            Kind::Letter => self.send_letter(at, queue),
            Kind::Old => self.send_old(at, queue),
            Kind::SyncQueue => self.sync_queue(at, queue),
            Kind::HandOver => self.leave(at, queue),
            _ => {
                let now = self.now;
                let (node, mut world) = self.at(at);
                let Some((led, shore)) = node.split(queue, &mut world) else {
                    return;
                };
                led.work(shore, None, |queue, sink| match kind {
                    Kind::Purge => drop(queue.purge(sink)),
                    _ => queue.tick(now, sink),
                });
            }
        }
    }

    fn sync_queue(&mut self, at: usize, queue: QueueId) {
        let wanted = !self.draw.once_in(3);
        let node = &mut self.nodes[at];
        let stream = node.led.get_mut(&queue).and_then(|led| led.journal.stream.as_mut());
        if let Some(stream) = stream {
            stream.sync(wanted, &mut node.links, queue);
        }
    }

    fn catalogue_step(&mut self, kind: Kind) {
        match kind {
            Kind::Policy => self.set_policy(),
            Kind::Redeclare => self.redeclare(),
            _ if self.pending.is_empty() => {}
            Kind::Commit => {
                let at = self.draw.index(self.pending.len());
                let pending = self.pending.remove(at);
                self.commit(pending);
            }
            _ => self.lose_answer(),
        }
    }

    /// A proposer is told that nobody knows; the proposal may still be committed, or never.
    fn lose_answer(&mut self) {
        let at = self.draw.index(self.pending.len());
        let Some(asked) = self.pending[at].asked.take() else {
            return;
        };
        self.count("proposals of unknown outcome");
        self.tell(|| format!("nobody knows what becomes of {asked:?}"));
        self.answered(&asked);
        if self.draw.once_in(3) {
            self.pending.remove(at);
        }
    }

    pub(crate) fn set_policy(&mut self) {
        let mode: Table = match self.draw.below(6) {
            0 => Table::from([("ha-mode", "exactly".into()), ("ha-params", Value::I64(2))]),
            1 => {
                let names = ["a@h".into(), "c@h".into()];
                let names = Value::Array(names.into_iter().collect());
                Table::from([("ha-mode", "nodes".into()), ("ha-params", names)])
            }
            2 if self.entries.len() > 10 => return self.clear_policy(),
            3 => Table::from([("ha-mode", "all".into())]),
            _ => Table::from([("ha-mode", "all".into()), ("ha-sync-mode", "automatic".into())]),
        };
        self.propose(Command::SetPolicy(PolicySpec {
            vhost: "/".parse().expect("a name"),
            name: "ha".into(),
            level: PolicyLevel::User,
            pattern: "^q".into(),
            apply_to: ApplyTo::Queues,
            priority: 0,
            definition: mode,
        }));
    }

    fn clear_policy(&mut self) {
        self.propose(Command::ClearPolicy {
            vhost: "/".parse().expect("a name"),
            level: PolicyLevel::User,
            name: "ha".into(),
        });
    }

    pub(crate) fn declare(&mut self, number: usize) {
        let leader = self.draw.index(self.nodes.len());
        let arguments = match number {
            0 => Table::from([
                ("x-dead-letter-exchange", "".into()),
                ("x-dead-letter-routing-key", "q1".into()),
            ]),
            1 => Table::from([("x-max-priority", Value::I64(2))]),
            _ => Table::from([("x-queue-type", "quorum".into())]),
        };
        self.propose(Command::DeclareQueue(QueueSpec {
            vhost: "/".parse().expect("a name"),
            name: format!("q{number}").parse().expect("a name"),
            durable: true,
            auto_delete: false,
            owner: None,
            arguments,
            leader: self.nodes[leader].name.clone(),
            user: "ann".parse().expect("a name"),
        }));
    }

    fn redeclare(&mut self) {
        let number = self.draw.index(3);
        let name = format!("q{number}");
        match self.truth.queue("/", &name).map(|record| record.id) {
            Some(id) if self.draw.once_in(2) => self.propose(Command::DeleteQueue(id)),
            Some(_) => {}
            None => self.declare(number),
        }
    }

    fn fault_step(&mut self, kind: Kind, at: usize) {
        match kind {
            Kind::Crash if self.nodes[at].stage != Stage::Down => self.crash(at),
            Kind::CrashAll => (0..self.nodes.len()).for_each(|at| self.crash(at)),
            Kind::Start if self.nodes[at].stage == Stage::Down => self.start(at),
            Kind::FalseDeath => self.death(at),
            Kind::Death if self.nodes[at].stage == Stage::Down => self.death(at),
            Kind::Heartbeat => self.heartbeat(at),
            Kind::CutLine => {
                self.count("lines cut");
                self.nodes[at]
                    .origin
                    .lines
                    .values_mut()
                    .for_each(crate::origin::Line::cut);
            }
            Kind::Wipe if self.nodes[at].stage == Stage::Down => self.wipe(at),
            _ => {}
        }
    }

    fn crash(&mut self, at: usize) {
        let unsynced = self.nodes[at].log.unsynced();
        let survive = self.draw.index(unsynced + 1);
        self.count("crashes");
        self.tell(|| format!("{at} crashes, {survive} of {unsynced} notes survive"));
        self.nodes[at].crash(survive);
        for other in 0..self.nodes.len() {
            self.cut(at, other);
            self.cut(other, at);
        }
    }

    /// The others think that a node is gone.
    fn death(&mut self, at: usize) {
        let node = self.nodes[at].uuid;
        let incarnation = self.truth.node(node).map_or(0, |known| known.incarnation);
        self.count("deaths proposed");
        self.propose(Command::NodeDown(vec![NodeDeath { node, incarnation }]));
    }

    /// A node that is gone for good is known to be.
    fn bury(&mut self, at: usize) {
        if self.truth.node(self.nodes[at].uuid).is_some_and(|known| known.up) {
            self.death(at);
        }
    }

    /// A node that is thought to be gone says that it is not.
    fn heartbeat(&mut self, at: usize) {
        let node = &self.nodes[at];
        let is_up = self
            .truth
            .node(node.uuid)
            .is_some_and(|known| known.up && known.incarnation == node.incarnation);
        if node.stage != Stage::Down && !is_up {
            self.say_up(at);
        }
    }

    /// A disk is lost; the node comes back as another one, if the others can do without the one that it was.
    fn wipe(&mut self, at: usize) {
        let uuid = self.nodes[at].uuid;
        if self.truth.node(uuid).is_some_and(|known| known.up) {
            return;
        }
        self.commit_now(Command::RemoveNode(uuid));
        if self.truth.node(uuid).is_some() {
            return;
        }
        self.count("disks lost");
        let next = NodeUuid(100 + u128::from(self.number()));
        let node = &mut self.nodes[at];
        (node.uuid, node.incarnation) = (next, 0);
        node.log = crate::log::Log::default();
        self.add_node(at);
        self.know();
        self.start(at);
    }

    /// A leader's node looks at its mirrors.
    pub(crate) fn keep(&mut self, at: usize) {
        if self.nodes[at].stage != Stage::Up {
            return;
        }
        let queues: Vec<QueueId> = self.nodes[at].led.keys().copied().collect();
        for queue in queues {
            for to in self.unattached(at, queue) {
                self.reach(at, to, queue);
            }
            self.due(at, queue);
            self.propose_leader(at, queue);
        }
    }

    fn unattached(&self, at: usize, queue: QueueId) -> Vec<usize> {
        let node = &self.nodes[at];
        let stream = node.led.get(&queue).and_then(|led| led.journal.stream.as_ref());
        let mirrors = stream.into_iter().flat_map(|stream| stream.leader.mirrors());
        let away = mirrors.filter(|(_, is_attached)| !is_attached);
        away.filter_map(|(uuid, _)| node.links.place(uuid)).collect()
    }

    fn reach(&mut self, at: usize, to: usize, queue: QueueId) {
        let (number, now) = (self.number(), self.now);
        let (is_up, incarnation) = (self.nodes[to].stage == Stage::Up, self.nodes[to].incarnation);
        let node = &mut self.nodes[at];
        if is_up && node.links.open_to(to).is_none() {
            node.links.open(to, number, incarnation);
        }
        let as_of = node.catalog.generation();
        let Node { led, links, .. } = node;
        let Some(led) = led.get_mut(&queue) else { return };
        let holds = crate::journal::Inventory::of(&led.queue, &led.journal);
        if let Some(stream) = &mut led.journal.stream {
            stream.attach(links, queue, (to, number), as_of, &holds, now);
        }
    }

    fn due(&mut self, at: usize, queue: QueueId) {
        let (now, without) = (self.now, self.without);
        let node = &mut self.nodes[at];
        let Some(stream) = node.led.get_mut(&queue).and_then(|led| led.journal.stream.as_mut()) else {
            return;
        };
        let epoch = stream.leader.record().epoch;
        let Some((version, act)) = stream.leader.due(now) else {
            return;
        };
        if let (Some(Rule::EvictAfterCommit), Act::Evict(out)) = (without, act) {
            let mut record = stream.leader.record().clone();
            let copies = record.copies.iter_mut().filter(|copy| copy.node == out);
            copies.for_each(|copy| copy.state = mirror::State::Syncing);
            stream.leader.learn(record, now);
        }
        let act = words(act);
        let change = MirrorChange {
            queue,
            epoch,
            version,
            act,
        };
        self.ask(at, change);
    }

    pub(crate) fn ask(&mut self, at: usize, change: MirrorChange) {
        let (node, incarnation) = (self.nodes[at].uuid, self.nodes[at].incarnation);
        let asked = Asked {
            by: (at, incarnation),
            of: (change.queue, change.epoch, change.version),
            hands_over: matches!(change.act, MirrorAct::HandOver { .. }),
            entry: None,
        };
        let command = Command::Mirrors(MirrorsProposal {
            node,
            incarnation,
            changes: vec![change],
        });
        self.count("proposals");
        self.tell(|| format!("{at} proposes {command:?}"));
        self.pending.push(Pending {
            command,
            asked: Some(asked),
        });
    }

    /// Without R16: a mirror is proposed as soon as its base is whole.
    pub(crate) fn add_early(&mut self, at: usize, to: usize, queue: QueueId) {
        let (node, incarnation) = (self.nodes[to].uuid, self.nodes[to].incarnation);
        let stream = self.nodes[at]
            .led
            .get(&queue)
            .and_then(|led| led.journal.stream.as_ref());
        let Some(record) = stream.map(|stream| stream.leader.record()) else {
            return;
        };
        let (epoch, version) = (record.epoch, record.version);
        let act = MirrorAct::AddInSync { node, incarnation };
        self.ask(
            at,
            MirrorChange {
                queue,
                epoch,
                version,
                act,
            },
        );
    }

    /// Every promise is looked at.
    pub(crate) fn audit(&mut self) {
        let records: Vec<Arc<QueueRecord>> = self.truth.queues().cloned().collect();
        for record in records {
            let Some(replicas) = record.replicas.clone() else {
                continue;
            };
            if !replicas.is_counted(replicas.leader) {
                self.judge
                    .breaks(|| format!("P7: the leader of {:?} is not counted", record.id));
            }
            for copy in replicas.counted() {
                let place = self.nodes.iter().position(|node| node.uuid == copy.node);
                let Some(at) = place else { continue };
                let is_this = matches!(copy.state, catalog::CopyState::InSync { incarnation }
                    if incarnation == self.nodes[at].incarnation && self.nodes[at].stage == Stage::Up);
                self.audit_copy(at, record.id, is_this);
            }
            let at = self.nodes.iter().position(|node| node.uuid == replicas.leader);
            if let Some(at) = at {
                self.audit_leader(at, record.id, replicas.epoch);
            }
        }
        self.audit_letters();
    }

    fn audit_copy(&mut self, at: usize, queue: QueueId, is_in_sync: bool) {
        let node = &self.nodes[at];
        let on_disk = node.log.disk(queue);
        let on_disk = on_disk.iter().flat_map(|disk| disk.messages.values());
        let on_disk: BTreeSet<u32> = on_disk.map(|kept| kept.letter.id).collect();
        self.judge.has_all(&format!("the disk of {at}"), queue, &on_disk, false);
        if is_in_sync {
            let held = self.held(at, queue);
            self.judge.has_all(&format!("the process of {at}"), queue, &held, true);
        }
    }

    fn held(&self, at: usize, queue: QueueId) -> BTreeSet<u32> {
        let node = &self.nodes[at];
        if let Some(led) = node.led.get(&queue) {
            return led.journal.holds.values().map(|letter| letter.id).collect();
        }
        let runs = node.copies.get(&queue).map(|cell| cell.copy.runs(Seq(0), usize::MAX));
        let seqs = runs
            .unwrap_or_default()
            .into_iter()
            .flat_map(|(first, last)| first.0..=last.0);
        seqs.filter_map(|seq| self.judge.at(queue, Seq(seq)))
            .map(|letter| letter.id)
            .collect()
    }

    fn audit_leader(&mut self, at: usize, queue: QueueId, epoch: Epoch) {
        let node = &self.nodes[at];
        let Some(led) = node.led.get(&queue).filter(|led| led.journal.epoch() == epoch) else {
            return;
        };
        let runs = places(&led.queue, &led.journal);
        let seqs: Vec<u64> = runs.into_iter().flat_map(|(first, last)| first.0..=last.0).collect();
        let holds: BTreeMap<Seq, Letter> = led.journal.holds.clone();
        if !seqs.iter().copied().eq(holds.keys().map(|seq| seq.0)) {
            self.judge
                .breaks(|| format!("what the queue {queue:?} at {at} holds is not what it has told: {seqs:?}"));
        }
        let held: BTreeSet<u32> = holds.values().map(|letter| letter.id).collect();
        self.judge.has_all("the leader", queue, &held, true);
        self.judge.order(queue, &holds);
    }

    /// Nothing goes wrong any more: everything must come to rest, every publish be answered, and all copies be equal.
    pub(crate) fn heal(&mut self) {
        let dead = (self.faults.crashes > 0 && self.draw.once_in(2)).then(|| self.draw.index(self.nodes.len()));
        if let Some(at) = dead {
            self.crash(at);
            self.death(at);
        }
        self.tell(|| format!("healing without {dead:?}"));
        let all_led = self.nodes.iter_mut().flat_map(|node| node.led.values_mut());
        all_led.for_each(|led| led.leaving = None);
        for _ in 0..200 {
            self.round(dead);
            self.audit();
            if self.judge.broken.is_some() || self.is_at_rest(dead) {
                break;
            }
        }
        self.judge_rest(dead);
    }

    fn round(&mut self, dead: Option<usize>) {
        self.now = self.now.after(Millis(200));
        for at in 0..self.nodes.len() {
            if Some(at) == dead {
                // A start of it that was under way may have become known only now.
                self.bury(at);
                continue;
            }
            if self.nodes[at].stage == Stage::Down {
                self.start(at);
            }
            self.heartbeat(at);
        }
        while !self.pending.is_empty() {
            let first = self.pending.remove(0);
            self.commit(first);
        }
        for at in 0..self.nodes.len() {
            while self.learn(at) {}
            self.nodes[at].log.sync_all();
            while !self.nodes[at].log.loads.is_empty() {
                self.load(at);
            }
            self.keep(at);
            self.flow(at);
            self.answer(at);
            self.settle_letters(at);
        }
    }

    /// Everything on the way from a node arrives.
    fn flow(&mut self, at: usize) {
        let queues: Vec<QueueId> = self.nodes[at].catalog.queues().map(|record| record.id).collect();
        for queue in &queues {
            let Node { led, links, .. } = &mut self.nodes[at];
            if let Some(stream) = led.get_mut(queue).and_then(|led| led.journal.stream.as_mut()) {
                stream.sync(true, links, *queue);
            }
            for _ in 0..PUBLISHES_MAX {
                self.line_goes(at, *queue);
                self.answer_comes(at, *queue);
                self.send_old(at, *queue);
            }
            for _ in 0..4 {
                self.send_letter(at, *queue);
            }
        }
        for to in 0..self.nodes.len() {
            for _ in 0..120 {
                self.link_goes(at, to);
                self.link_comes_back(at, to);
            }
        }
    }

    fn is_lost_with(&self, record: &QueueRecord, dead: Option<usize>) -> bool {
        let Some(dead) = dead.map(|at| self.nodes[at].uuid) else {
            return false;
        };
        match &record.replicas {
            None => self
                .truth
                .node_by_name(&record.leader)
                .is_none_or(|node| node.uuid == dead),
            Some(replicas) => {
                let left = replicas.copies.iter().filter(|copy| copy.node != dead).count();
                left < replicas.min_counted as usize || replicas.counted().all(|copy| copy.node == dead)
            }
        }
    }

    fn unanswered(&self, dead: Option<usize>) -> Option<(usize, QueueId, u32)> {
        for record in self.truth.queues().filter(|record| !self.is_lost_with(record, dead)) {
            for (at, node) in self.nodes.iter().enumerate().filter(|(at, _)| Some(*at) != dead) {
                if let Some((_, id)) = node.origin.lines.get(&record.id).and_then(|line| line.open.front()) {
                    return Some((at, record.id, *id));
                }
            }
        }
        None
    }

    fn unequal(&self, dead: Option<usize>) -> Option<String> {
        for record in self.truth.queues().filter(|record| !self.is_lost_with(record, dead)) {
            let Some(replicas) = &record.replicas else { continue };
            let leader = self.runs_at(replicas.leader, record.id);
            for copy in replicas
                .copies
                .iter()
                .filter(|copy| Some(copy.node) != dead.map(|at| self.nodes[at].uuid))
            {
                if !matches!(copy.state, catalog::CopyState::InSync { .. }) {
                    return Some(format!(
                        "the copy of {:?} at {:?} does not come to count: {replicas:?}",
                        record.id, copy.node
                    ));
                }
                let own = self.runs_at(copy.node, record.id);
                if own != leader {
                    return Some(format!("copies of {:?} differ: {leader:?} and {own:?}", record.id));
                }
            }
        }
        None
    }

    fn runs_at(&self, uuid: NodeUuid, queue: QueueId) -> Option<Vec<(Seq, Seq)>> {
        let node = self.nodes.iter().find(|node| node.uuid == uuid)?;
        let led = node.led.get(&queue).map(|led| places(&led.queue, &led.journal));
        led.or_else(|| node.copies.get(&queue).map(|cell| cell.copy.runs(Seq(0), usize::MAX)))
    }

    fn is_at_rest(&self, dead: Option<usize>) -> bool {
        self.pending.is_empty() && self.unanswered(dead).is_none() && self.unequal(dead).is_none()
    }

    fn judge_rest(&mut self, dead: Option<usize>) {
        if let Some((at, queue, id)) = self.unanswered(dead) {
            let shown = self.truth.queue_by_id(queue).and_then(|record| record.replicas.clone());
            let text = format!("never answered: publish {id} of node {at} to {queue:?}, {shown:?}");
            self.judge.breaks(|| text);
        }
        if let Some(text) = self.unequal(dead) {
            self.judge.breaks(|| text);
        }
    }
}
