//! What travels: publishes and their answers between clients and leaders, words and octets between leaders and mirrors.

use mirror::{Progress, Stream as Following, Word};
use model::QueueId;
use queue::{Judged, Origin, Settle, Stamp};

use crate::copies::{Attach, Mirror};
use crate::journal::{Safe, entry};
use crate::life::Life;
use crate::log::Kept;
use crate::message::Arriving;
use crate::node::{Led, Stage, Waiting, Want, World};
use crate::origin::{Leading, Sent};
use crate::rules::Rule;

impl Life {
    /// Who leads a queue, as a node knows.
    pub(crate) fn leading(&self, node: usize, queue: QueueId) -> Option<Leading> {
        let catalog = &self.nodes[node].catalog;
        let record = catalog.queue_by_id(queue)?;
        match &record.replicas {
            Some(replicas) if catalog.is_led(replicas) => {
                Some((replicas.leader, replicas.leader_incarnation, replicas.epoch))
            }
            Some(_) => None,
            None => {
                let leader = catalog.node_by_name(&record.leader).filter(|leader| leader.up)?;
                Some((leader.uuid, leader.incarnation, model::Epoch(0)))
            }
        }
    }

    /// A node's clients send what they have not sent, and the oldest publish on the way arrives.
    pub(crate) fn line_goes(&mut self, node: usize, queue: QueueId) {
        let leading = self.leading(node, queue);
        let Some(line) = self.nodes[node].origin.lines.get_mut(&queue) else {
            return;
        };
        line.send(leading);
        if leading.is_some_and(|leading| self.is_leaving(leading, queue)) {
            return;
        }
        let Some(line) = self.nodes[node].origin.lines.get_mut(&queue) else {
            return;
        };
        let (Some(leading), Some(sent)) = (line.to, line.out.pop_front()) else {
            return;
        };
        let turn = line.turn;
        if !self.arrives(node, turn, queue, leading, sent)
            && let Some(line) = self.nodes[node].origin.lines.get_mut(&queue)
        {
            line.cut();
        }
    }

    /// True if the leader waits for another to lead, so that publishes wait with it.
    fn is_leaving(&self, (uuid, incarnation, _): Leading, queue: QueueId) -> bool {
        let is_it = |node: &&crate::node::Node| (node.uuid, node.incarnation) == (uuid, incarnation);
        let leader = self.nodes.iter().find(is_it);
        let led = leader.and_then(|leader| leader.led.get(&queue));
        led.is_some_and(|led| led.leaving.is_some())
    }

    /// False if nobody is there who takes it.
    fn arrives(&mut self, from: usize, turn: u64, queue: QueueId, leading: Leading, sent: Sent) -> bool {
        let (uuid, incarnation, epoch) = leading;
        let origin = Origin {
            node: self.nodes[from].uuid,
            stream: 1,
        };
        let stamp = Stamp {
            origin,
            incarnation: self.nodes[from].incarnation,
            sequence: sent.number,
            floor: sent.floor,
            again: sent.again,
        };
        let Some(at) = self.nodes.iter().position(|node| node.uuid == uuid) else {
            return false;
        };
        let ttl = self.draw.once_in(12).then_some(model::Millis(300));
        let (node, mut world) = self.at(at);
        if node.stage != Stage::Up || node.incarnation != incarnation {
            return false;
        }
        let arriving = Arriving {
            letter: crate::message::Letter {
                id: sent.id,
                persistent: world.judge.publishes[sent.id as usize].persistent,
            },
            ttl,
            priority: (sent.id % 3) as u8,
        };
        let Some((led, shore)) = node.split(queue, &mut world) else {
            return false;
        };
        if led.journal.epoch() != epoch {
            return false;
        }
        let (ack, safe) = take(led, shore, arriving, &stamp);
        led.waiting.push(Waiting {
            from: (from, turn),
            number: sent.number,
            id: sent.id,
            ack,
            safe,
        });
        true
    }

    /// A leader answers what is safe, to each line in order.
    pub(crate) fn answer(&mut self, at: usize) {
        let queues: Vec<QueueId> = self.nodes[at].led.keys().copied().collect();
        for queue in queues {
            for answer in self.answers(at, queue) {
                let (from, turn) = answer.from;
                let node = &mut self.nodes[from];
                let line = node.origin.lines.get_mut(&queue).filter(|line| line.turn == turn);
                if let Some(line) = line.filter(|_| node.stage == Stage::Up) {
                    line.back.push_back((answer.number, answer.ack));
                }
            }
        }
    }

    fn answers(&mut self, at: usize, queue: QueueId) -> Vec<Waiting> {
        let without = self.without;
        let node = &mut self.nodes[at];
        let by = (node.uuid, node.incarnation);
        let synced = node.log.synced();
        let Some(led) = node.led.get_mut(&queue) else {
            return Vec::new();
        };
        let stream = led.journal.stream.as_ref();
        let is_there =
            |safe: &Safe| without == Some(Rule::WaitForMirrors) || stream.is_none_or(|stream| stream.is_reached(safe));
        let (mut blocked, mut answers) = (Vec::new(), Vec::new());
        led.waiting.retain(|waiting| {
            let is_ready = !blocked.contains(&waiting.from)
                && (!waiting.ack || waiting.safe.lsn <= synced && is_there(&waiting.safe));
            match is_ready {
                true => answers.push(*waiting),
                false => blocked.push(waiting.from),
            }
            !is_ready
        });
        let epoch = led.journal.epoch();
        for answer in answers.iter().filter(|answer| answer.ack) {
            self.judge.confirmed(answer.id, epoch, by);
        }
        answers
    }

    /// An answer reaches its client.
    pub(crate) fn answer_comes(&mut self, node: usize, queue: QueueId) {
        if let Some(line) = self.nodes[node].origin.lines.get_mut(&queue) {
            line.answered();
        }
    }

    /// Consumers settle some of what they have, in any order.
    pub(crate) fn settle(&mut self, at: usize, queue: QueueId, how: Settle) {
        let now = self.now;
        let (count, place) = (1 + self.draw.index(3), self.draw.index(4));
        let (node, mut world) = self.at(at);
        let Some((led, shore)) = node.split(queue, &mut world) else {
            return;
        };
        let mut slots = Vec::new();
        while slots.len() < count && !led.out().is_empty() {
            let place = place.min(led.out().len() - 1);
            slots.push(led.journal.out.remove(place));
        }
        led.work(shore, None, |queue, sink| {
            for slot in slots {
                // A slot of before a purge of the page is no slot any more.
                queue.settle(now, slot, how, sink).ok();
            }
        });
    }

    /// A page comes that was asked for.
    pub(crate) fn load(&mut self, at: usize) {
        let now = self.now;
        let (node, mut world) = self.at(at);
        let Some((queue, page)) = node.log.loads.pop_front() else {
            return;
        };
        let messages = node.log.take_page(page);
        if let Some(cell) = node.copies.get_mut(&queue) {
            let log = &mut node.log;
            cell.copy
                .loaded(page, messages, &mut crate::copies::CopyEffects { queue, log });
            return;
        }
        if let Some((led, shore)) = node.split(queue, &mut world) {
            led.work(shore, None, |queue, sink| queue.loaded(now, page, messages, sink));
        }
    }

    /// A record of a leader reaches its mirror.
    pub(crate) fn link_goes(&mut self, from: usize, to: usize) {
        let incarnation = self.nodes[to].incarnation;
        let is_up = self.nodes[to].stage == Stage::Up;
        let leader = (self.nodes[from].uuid, self.nodes[from].incarnation);
        let Some(mut link) = self.nodes[from].links.get(to).map(std::mem::take) else {
            return;
        };
        if !is_up || link.incarnation != incarnation {
            return self.cut(from, to);
        }
        let flush = self.draw.once_in(2);
        let (mirror, mut world) = self.at(to);
        let Some(octets) = link.out.pop_front() else {
            acknowledge(mirror, &mut link, world.without);
            return self.put_back(from, to, link);
        };
        let heard = hear(mirror, &mut world, &mut link, leader, &octets);
        match heard {
            Heard::Done => {}
            Heard::NotYet => link.out.push_front(octets),
            Heard::Broken => return self.cut(from, to),
        }
        if flush || link.out.is_empty() {
            acknowledge(&mut self.nodes[to], &mut link, self.without);
        }
        self.put_back(from, to, link);
    }

    fn put_back(&mut self, from: usize, to: usize, link: crate::links::Link) {
        if let Some(place) = self.nodes[from].links.get(to) {
            *place = link;
        }
    }

    /// A mirror's word reaches its leader.
    pub(crate) fn link_comes_back(&mut self, from: usize, to: usize) {
        let without = self.without;
        let now = self.now;
        let node = &mut self.nodes[from];
        let uuid = node.links.uuid(to);
        let Some(link) = node.links.get(to) else { return };
        let (number, octets) = (link.number, link.back.pop_front());
        let Some(octets) = octets else { return };
        let Ok((queue, word)) = Word::decode(&octets) else {
            return self.judge.breaks(|| "a mirror's record cannot be read".into());
        };
        let Some(led) = node.led.get_mut(&queue) else { return };
        let Some(stream) = led.journal.stream.as_mut() else {
            return;
        };
        let (Word::Ack { attachment, .. }
        | Word::Want { attachment, .. }
        | Word::Whole { attachment }
        | Word::Refused { attachment }
        | Word::Lacks { attachment, .. }) = word
        else {
            return self.judge.breaks(|| "a mirror says what leaders say".into());
        };
        if !stream.hears(to, number, attachment) {
            return;
        }
        match word {
            Word::Ack { held, durable, .. } if Some(held) <= Some(stream.leader.pos()) => {
                let durable = if without == Some(Rule::DurableNotHeld) {
                    Some(held)
                } else {
                    durable
                };
                let held = Some(held);
                stream.leader.acked(uuid, Progress { held, durable });
            }
            Word::Want { runs, .. } => {
                led.wants.push(Want {
                    to,
                    link: number,
                    attachment,
                    runs,
                });
            }
            Word::Whole { .. } => self.whole(from, to, queue),
            Word::Refused { .. } => {
                stream.attached.retain(|attached| attached.to != to);
                stream.leader.detach(uuid, now);
            }
            _ => {}
        }
    }

    fn whole(&mut self, from: usize, to: usize, queue: QueueId) {
        let (without, now) = (self.without, self.now);
        let node = &mut self.nodes[from];
        let uuid = node.links.uuid(to);
        let Some(led) = node.led.get_mut(&queue) else { return };
        let Some(stream) = led.journal.stream.as_mut() else {
            return;
        };
        if !stream.leader.base_is_whole(uuid, now) {
            return;
        }
        for known in led.dedup.known().filter(|_| without != Some(Rule::DedupTravels)) {
            let heard = mirror::Heard {
                node: known.origin.node,
                stream: known.origin.stream,
                incarnation: known.incarnation,
                floor: known.floor,
                seen: known.seen,
            };
            node.links.say(to, queue, &Word::Heard(heard));
        }
        let is_partial = led.dedup.is_partial();
        node.links.say(to, queue, &Word::BaseEnds { is_partial });
        self.judge.count("bases that were whole");
        if without == Some(Rule::AddWhenWhole) {
            self.add_early(from, to, queue);
        }
    }

    /// A leader sends some of what a mirror has asked for.
    pub(crate) fn send_old(&mut self, at: usize, queue: QueueId) {
        let node = &mut self.nodes[at];
        let (log, links) = (&node.log, &mut node.links);
        let Some(led) = node.led.get_mut(&queue) else { return };
        let Some(mut want) = led.wants.pop() else { return };
        let stream = led.journal.stream.as_ref();
        let Want {
            to, link, attachment, ..
        } = want;
        if !stream.is_some_and(|stream| stream.hears(to, link, attachment)) {
            return;
        }
        let mut say = |seq, level, expires, returns, letter: crate::message::Letter| {
            let body = letter.body();
            let kept = Kept { level, expires, letter };
            let entry = entry(seq, &kept, returns, None, &body);
            links.say(to, queue, &Word::Old(entry));
        };
        let is_wanted = |seq| want.runs.iter().any(|(first, last)| (*first..=*last).contains(&seq));
        for (seq, died) in led.journal.died().filter(|(seq, _)| is_wanted(*seq)) {
            say(seq, 0, died.expires(), 0, died.letter);
        }
        let one = queue::Portion {
            messages: 1,
            ..queue::Portion::ALL
        };
        let peeked = led.queue.peek(&want.runs, one, |copied| {
            say(
                copied.seq,
                copied.level,
                copied.expires,
                copied.delivery_count,
                *copied.message,
            );
        });
        want.runs = peeked.later;
        for page in peeked.pages {
            let again = led.queue.peek_page(&page, log.read(page.page), |copied| {
                say(
                    copied.seq,
                    copied.level,
                    copied.expires,
                    copied.delivery_count,
                    copied.message,
                );
            });
            want.runs.extend(again);
        }
        want.runs.sort_unstable();
        match want.runs.is_empty() {
            true => links.say(to, queue, &Word::Sent),
            false => led.wants.insert(0, want),
        }
    }
}

/// A leader judges a publish and takes what is new.
fn take(led: &mut Led, shore: crate::journal::Shore<'_>, mut arriving: Arriving, stamp: &Stamp) -> (bool, Safe) {
    let without = shore.without;
    let judged = match led.dedup.judge(stamp) {
        _ if without == Some(Rule::Dedup) => Judged::New,
        Judged::Late if without == Some(Rule::LateIsRefused) => Judged::New,
        judged => judged,
    };
    shore.judge.count(match judged {
        Judged::New => "publishes that were new",
        Judged::Again => "publishes that had come before",
        Judged::Late => "publishes that came late",
        Judged::Stale => "publishes of a process that was over",
    });
    match judged {
        Judged::New => {}
        Judged::Again if without == Some(Rule::InheritedWaits) => return (true, Safe::default()),
        Judged::Again => {
            let persistent = arriving.letter.persistent;
            return (true, led.journal.all_safe(persistent, shore.log.end()));
        }
        Judged::Late | Judged::Stale => return (false, Safe::default()),
    }
    let now = shore.now;
    let (published, safe) = led.work(shore, Some(*stamp), |queue, sink| {
        let published = queue.publish(now, &mut arriving, sink);
        if let queue::Published::Accepted(seq) = published {
            sink.shore.judge.is_at(sink.journal.queue, seq, arriving.letter);
        }
        published
    });
    let taken = matches!(published, queue::Published::Accepted(_));
    if taken {
        led.dedup.note(stamp);
    }
    (taken, safe)
}

enum Heard {
    Done,
    NotYet,
    Broken,
}

fn hear(
    node: &mut crate::node::Node,
    world: &mut World<'_>,
    link: &mut crate::links::Link,
    leader: (model::NodeUuid, u64),
    octets: &[u8],
) -> Heard {
    let Ok((queue, word)) = Word::decode(octets) else {
        world.judge.breaks(|| "a leader's record cannot be read".into());
        return Heard::Broken;
    };
    let Word::Attach {
        attachment,
        epoch,
        as_of,
        pos,
        pulls,
        batch,
    } = word
    else {
        let cell = node
            .copies
            .get_mut(&queue)
            .filter(|cell| cell.follower.hears(link.number));
        let Some(cell) = cell.filter(|_| link.serves.contains(&queue)) else {
            return Heard::Done;
        };
        let (judge, without) = (&mut *world.judge, world.without);
        let mut mirror = Mirror {
            log: &mut node.log,
            judge,
            without,
        };
        return match cell.hear(queue, word, &mut mirror, link) {
            Ok(()) => Heard::Done,
            Err(_) => Heard::Broken,
        };
    };
    let attach = Attach {
        attachment,
        epoch,
        as_of,
        pos,
        pulls,
        batch,
    };
    follow(node, world, link, leader, (queue, attach))
}

/// Follows a leader, if it is the one that the node's own definitions name (R10).
fn follow(
    node: &mut crate::node::Node,
    world: &World<'_>,
    link: &mut crate::links::Link,
    leader: (model::NodeUuid, u64),
    (queue, attach): (QueueId, Attach),
) -> Heard {
    let without = world.without;
    acknowledge(node, link, without);
    link.serves.remove(&queue);
    let fence = without != Some(Rule::Fence);
    if fence && node.catalog.generation() < attach.as_of {
        return Heard::NotYet;
    }
    let record = node.catalog.queue_by_id(queue);
    let replicas = record.and_then(|record| record.replicas.as_ref());
    let is_leader = replicas.is_some_and(|found| found.is_led_by(leader.0, leader.1) && found.epoch == attach.epoch);
    let cell = node.copies.get_mut(&queue).filter(|_| is_leader || !fence);
    let Some(cell) = cell else {
        let attachment = attach.attachment;
        link.answer(queue, &Word::Refused { attachment });
        return Heard::Done;
    };
    let stream = Following {
        leader: leader.0,
        epoch: attach.epoch,
        link: link.number,
    };
    cell.attach(stream, &attach, without);
    link.serves.insert(queue);
    Heard::Done
}

/// The end of a batch at a mirror's node, and what is synced by now.
pub(crate) fn acknowledge(node: &mut crate::node::Node, link: &mut crate::links::Link, without: Option<Rule>) {
    let synced = node.log.synced();
    let serves: Vec<QueueId> = link.serves.iter().copied().collect();
    for queue in serves {
        if let Some(cell) = node.copies.get_mut(&queue) {
            cell.acknowledge(queue, link, synced, without);
        }
    }
    link.synced(synced);
}
