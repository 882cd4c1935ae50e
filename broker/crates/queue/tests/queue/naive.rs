//! A queue as one would explain it: one list of messages, searched from the start for everything.
//!
//! Slow and obvious on purpose; it shares the script with the real one and nothing else.

use std::collections::BTreeSet;

use model::{Overflow, PageId};
use queue::{Settings, Settle};

use crate::machine::LETTER_BYTES;
use crate::script::{Command, Letter, Reader, Setup};
use crate::store::Outgoing;

#[derive(Clone, Debug)]
enum Place {
    Ready,
    /// Under this delivery number, on the credit of this consumer.
    Unacked(usize, Option<u64>),
}

#[derive(Clone, Debug)]
struct Item {
    letter: Letter,
    arrival: u64,
    /// Where it stands: by arrival, or where it was put when it came back.
    stands: (u64, u64),
    level: u8,
    expires: Option<u64>,
    returns: u32,
    redelivered: bool,
    place: Place,
    /// In the store, in this page.
    page: Option<PageId>,
    /// The queue was a copy since it came back last.
    is_fresh: bool,
}

#[derive(Clone, Debug)]
struct Party {
    reader: Reader,
    parked: bool,
}

/// The slow queue. Ids of consumers are never used twice.
#[derive(Debug)]
pub(crate) struct Naive {
    settings: Settings,
    auto_delete: bool,
    now: u64,
    used: u64,
    arrivals: u64,
    deliveries: usize,
    /// How often anything came back in turn.
    comebacks: u64,
    items: Vec<Item>,
    /// In order of subscription.
    parties: Vec<Party>,
    /// The round: ids of consumers that wait for their turn, next one first, all priorities mixed.
    round: Vec<u64>,
    active: Option<u64>,
    blocked: BTreeSet<u64>,
    /// Per level, the last arrival ever handed out.
    delivered_to: Vec<u64>,
    effects: Vec<String>,
    /// Pages on their way.
    pub(crate) loading: Vec<PageId>,
}

impl Naive {
    pub(crate) fn new(setup: &Setup) -> Self {
        Self {
            settings: setup.settings,
            auto_delete: setup.auto_delete,
            now: 1_000,
            used: 1_000,
            arrivals: 0,
            deliveries: 0,
            comebacks: 0,
            items: Vec::new(),
            parties: Vec::new(),
            round: Vec::new(),
            active: None,
            blocked: BTreeSet::new(),
            delivered_to: vec![0; usize::from(setup.settings.max_priority.unwrap_or(0)) + 1],
            effects: Vec::new(),
            loading: Vec::new(),
        }
    }

    pub(crate) fn consumers(&self) -> Vec<u64> {
        self.parties.iter().map(|party| party.reader.id).collect()
    }

    /// Numbers of the deliveries not settled.
    pub(crate) fn outstanding(&self) -> Vec<usize> {
        let numbers = self.items.iter().filter_map(|item| match item.place {
            Place::Unacked(number, _) => Some(number),
            Place::Ready => None,
        });
        numbers.collect()
    }

    /// Names of the messages that must survive a restart, in order of arrival.
    pub(crate) fn lasting(&self) -> Vec<&str> {
        let lasts = |item: &&Item| self.settings.durable && item.letter.persistent;
        self.items
            .iter()
            .filter(lasts)
            .map(|item| item.letter.name.as_str())
            .collect()
    }

    pub(crate) fn apply(&mut self, command: &Command) -> Vec<String> {
        match command {
            Command::Publish(letter) => self.publish(letter),
            Command::Subscribe(reader) => self.subscribe(reader),
            Command::Cancel(id) => self.leave(&[*id], &[]),
            Command::Depart(ids, numbers) => self.leave(ids, numbers),
            Command::Block(id) => {
                self.blocked.insert(*id);
            }
            Command::Ready(id) => self.ready(*id),
            Command::Get { no_ack } => self.get(*no_ack),
            Command::Settle(how, numbers) => self.settle(*how, numbers),
            Command::Purge => self.purge(),
            Command::Wait(span) => self.now += span,
            Command::Tick => self.tick(),
            Command::Redeclare => self.used = self.now,
            Command::Set(settings) => self.set(*settings),
            Command::Load { lost, .. } => unreachable!("the page must be known: {lost:?}"),
            // Pages go out by `follow`.
            Command::Shrink(_) => {}
            Command::Restart(_) => self.restart(),
            Command::HandOver { answers } => self.hand_over(*answers),
            Command::Room(_) | Command::GoOn | Command::Delete => unreachable!("not part of the random scripts"),
        }
        std::mem::take(&mut self.effects)
    }

    fn note(&mut self, text: String) {
        self.effects.push(text);
    }

    fn ready_items(&self) -> impl Iterator<Item = (usize, &Item)> {
        self.items
            .iter()
            .enumerate()
            .filter(|(_, item)| matches!(item.place, Place::Ready))
    }

    fn totals(&self) -> (u64, u64) {
        self.ready_items().fold((0, 0), |(count, bytes), (_, item)| {
            (count + 1, bytes + item.letter.bytes)
        })
    }

    /// The next message, wherever it is.
    fn next(&self) -> Option<usize> {
        self.ready_items()
            .min_by_key(|(_, item)| (std::cmp::Reverse(item.level), item.stands))
            .map(|(at, _)| at)
    }

    /// The next message, if it is in memory.
    fn head(&self) -> Option<usize> {
        self.next().filter(|at| self.items[*at].page.is_none())
    }

    fn is_expiring(&self) -> bool {
        self.ready_items().any(|(_, item)| item.expires.is_some())
    }

    fn is_exceeded(&self) -> bool {
        let (count, bytes) = self.totals();
        self.settings.max_length.is_some_and(|max| count > max)
            || self.settings.max_length_bytes.is_some_and(|max| bytes > max)
    }

    /// The level of the head, if that is in the store although time or a limit must know it.
    pub(crate) fn needs_page_of(&self) -> Option<u8> {
        let next = &self.items[self.next()?];
        let drops = self.settings.overflow == Overflow::DropHead && self.is_exceeded();
        (next.page.is_some() && (self.is_expiring() || drops)).then_some(next.level)
    }

    /// Levels of which a page is `loading` wait for that.
    pub(crate) fn next_deadline(&self, loading: &[u8]) -> Option<u64> {
        let next = self.next().filter(|_| self.is_expiring()).map(|at| &self.items[at]);
        let message = next.and_then(|item| match item.page {
            None => item.expires,
            Some(_) if loading.contains(&item.level) => None,
            Some(_) => Some(0),
        });
        let unused = self.settings.expires.filter(|_| self.parties.is_empty());
        message.into_iter().chain(unused.map(|span| self.used + span.0)).min()
    }

    /// Octets of memory of what is ready.
    pub(crate) fn resident_bytes(&self) -> u64 {
        self.ready_items().filter(|(_, item)| item.page.is_none()).count() as u64 * LETTER_BYTES
    }

    /// What the queue must say of how far it was handed out, if it says so at all.
    pub(crate) fn delivered_to(&self) -> Vec<u64> {
        self.delivered_to.clone()
    }

    /// The queue paged these out, or they were found in a page.
    pub(crate) fn follow(&mut self, (page, names): &Outgoing) {
        for name in names {
            let item = self.items.iter_mut().find(|item| item.letter.name == *name);
            let item = item.expect("only what is ready is paged out");
            assert!(matches!(item.place, Place::Ready) && item.page.is_none() && (item.returns == 0 || item.is_fresh));
            item.page = Some(*page);
        }
    }

    /// A page comes back without some. Nobody wants it if it was purged.
    pub(crate) fn load(&mut self, page: PageId, lost: &[String]) -> Vec<String> {
        let before = self.items.len();
        let mut wanted = false;
        for item in self.items.iter_mut().filter(|item| item.page == Some(page)) {
            item.page = None;
            wanted = true;
        }
        if wanted {
            self.items.retain(|item| !lost.contains(&item.letter.name));
            let missing = before - self.items.len();
            self.expire();
            self.drop_excess();
            self.pump();
            if missing > 0 {
                self.note(format!("lost {missing}"));
            }
        }
        std::mem::take(&mut self.effects)
    }

    /// What lasts is ready at its old place; all else is forgotten.
    fn restart(&mut self) {
        self.items.retain(|item| item.letter.persistent);
        for item in &mut self.items {
            item.place = Place::Ready;
            item.stands = (item.arrival, 0);
            item.returns = 0;
            item.redelivered = item.arrival <= self.delivered_to[usize::from(item.level)];
            item.page = None;
        }
        self.all_leave();
    }

    fn all_leave(&mut self) {
        self.parties.clear();
        self.round.clear();
        self.blocked.clear();
        self.active = None;
        self.used = self.now;
    }

    /// All is ready at its old place; what may have been handed out is marked.
    fn hand_over(&mut self, answers: bool) {
        if !(self.settings.durable || self.settings.replicated) {
            self.recall_delivered();
        }
        for item in &mut self.items {
            item.place = Place::Ready;
            item.stands = (item.arrival, 0);
            item.redelivered = item.arrival <= self.delivered_to[usize::from(item.level)];
            item.is_fresh = true;
            if answers && item.page.is_some_and(|page| self.loading.contains(&page)) {
                item.page = None;
            }
        }
        self.all_leave();
    }

    fn publish(&mut self, letter: &Letter) {
        self.expire();
        let (count, bytes) = self.totals();
        let full = self.settings.max_length.is_some_and(|max| count + 1 > max)
            || self
                .settings
                .max_length_bytes
                .is_some_and(|max| bytes + letter.bytes > max);
        match self.settings.overflow {
            Overflow::RejectPublish if full => return self.note("rejected".to_owned()),
            Overflow::RejectPublishDlx if full => {
                if self.settings.dead_letters {
                    self.note(format!("keep {}", letter.name));
                    self.note(format!("dead {} maxlen", letter.name));
                }
                return self.note("rejected".to_owned());
            }
            Overflow::DropHead | Overflow::RejectPublish | Overflow::RejectPublishDlx => {}
        }
        self.arrivals += 1;
        let ttl = letter
            .ttl
            .into_iter()
            .chain(self.settings.message_ttl.map(|ttl| ttl.0))
            .min();
        let item = Item {
            letter: letter.clone(),
            arrival: self.arrivals,
            stands: (self.arrivals, 0),
            level: letter.priority.min(self.settings.max_priority.unwrap_or(0)),
            expires: ttl.map(|ttl| self.now + ttl),
            returns: 0,
            redelivered: false,
            place: Place::Ready,
            page: None,
            is_fresh: false,
        };
        let is_first = self.ready_items().next().is_none();
        self.items.push(item);
        let newest = self.items.len() - 1;
        // Whoever could take something would have taken what waits, or waits for its page.
        if is_first && let Some(no_ack) = self.deliver(newest) {
            if !no_ack {
                self.note(format!("keep {}", letter.name));
            }
        } else {
            self.note(format!("keep {}", letter.name));
            self.drop_excess();
            self.expire();
            self.pump();
        }
    }

    /// Delivers the item to whoever's turn it is; says whether without acknowledgement, or that nobody can.
    fn deliver(&mut self, at: usize) -> Option<bool> {
        while let Some(id) = self.turn() {
            if self.blocked.contains(&id) {
                self.note(format!("c{id} blocked"));
                self.party(id).expect("in the round").parked = true;
                continue;
            }
            self.round.retain(|other| *other != id);
            self.round.push(id);
            let no_ack = self.party(id).expect("in the round").reader.no_ack;
            self.hand_out(at, no_ack, Some(id));
            return Some(no_ack);
        }
        None
    }

    fn hand_out(&mut self, at: usize, no_ack: bool, to: Option<u64>) {
        let mut number = String::new();
        if !no_ack {
            self.deliveries += 1;
            number = format!("#{}", self.deliveries);
        }
        let item = &self.items[at];
        if self.settings.durable || self.settings.replicated {
            let to_level = &mut self.delivered_to[usize::from(item.level)];
            *to_level = item.arrival.max(*to_level);
        }
        let again = if item.redelivered {
            format!("*{}", item.returns)
        } else {
            String::new()
        };
        let name = item.letter.name.clone();
        if no_ack {
            self.items.remove(at);
        } else {
            self.items[at].place = Place::Unacked(self.deliveries, to);
        }
        match to {
            Some(id) => self.note(format!("c{id}{number} {name}{again}")),
            None => {
                let left = self.totals().0;
                self.note(format!("got{number} {name}{again} left={left}"));
            }
        }
    }

    /// Passes over those without room, highest priority first.
    fn turn(&mut self) -> Option<u64> {
        let mut priorities: Vec<i32> = self.parties.iter().map(|party| party.reader.priority).collect();
        priorities.sort_unstable();
        for priority in priorities.into_iter().rev() {
            for id in self.round.clone() {
                let party = self.party(id).expect("in the round").clone();
                if party.reader.priority != priority {
                    continue;
                }
                if self.has_room(&party) {
                    return Some(id);
                }
                self.round.retain(|other| *other != id);
            }
        }
        None
    }

    fn has_room(&self, party: &Party) -> bool {
        let Reader {
            id, no_ack, prefetch, ..
        } = party.reader;
        let mine = |item: &&Item| matches!(item.place, Place::Unacked(_, Some(owner)) if owner == id);
        let held = self.items.iter().filter(mine).count();
        !party.parked && (no_ack || prefetch == 0 || held < usize::from(prefetch))
    }

    fn party(&mut self, id: u64) -> Option<&mut Party> {
        self.parties.iter_mut().find(|party| party.reader.id == id)
    }

    fn join_round(&mut self, id: u64) {
        let Some(party) = self.party(id).cloned() else { return };
        let allowed = !self.settings.single_active_consumer || self.active == Some(id);
        if allowed && self.has_room(&party) && !self.round.contains(&id) {
            self.round.push(id);
        }
    }

    fn pump(&mut self) {
        self.expire();
        while let Some(head) = self.head()
            && self.deliver(head).is_some()
        {
            self.expire();
        }
        if self.next().is_some() {
            // Who has no room is passed over, even if the message has to be waited for.
            self.turn();
        }
    }

    fn subscribe(&mut self, reader: &Reader) {
        let taken = self.parties.iter().any(|party| party.reader.exclusive);
        if taken || reader.exclusive && (!self.parties.is_empty() || self.settings.single_active_consumer) {
            return self.note("in exclusive use".to_owned());
        }
        self.parties.push(Party {
            reader: reader.clone(),
            parked: false,
        });
        self.note(format!("ok c{}", reader.id));
        self.join_round(reader.id);
        self.elect();
        self.pump();
    }

    fn elect(&mut self) {
        if !self.settings.single_active_consumer || self.active.is_some() {
            return;
        }
        let mut candidates: Vec<&Party> = self.parties.iter().collect();
        candidates.sort_by_key(|party| std::cmp::Reverse(party.reader.priority));
        let Some(id) = candidates.first().map(|party| party.reader.id) else {
            return;
        };
        self.active = Some(id);
        self.join_round(id);
        self.note(format!("active c{id}"));
    }

    fn leave(&mut self, ids: &[u64], numbers: &[usize]) {
        let before = self.parties.len();
        self.parties.retain(|party| !ids.contains(&party.reader.id));
        self.round.retain(|id| !ids.contains(id));
        self.active = self.active.filter(|id| !ids.contains(id));
        for number in numbers {
            self.settle_one(Settle::Requeue, *number, false);
        }
        self.elect();
        self.drop_excess();
        self.pump();
        if self.parties.is_empty() && before > 0 {
            self.used = self.now;
            if self.auto_delete {
                self.note("retire: last consumer gone".to_owned());
            }
        }
    }

    fn ready(&mut self, id: u64) {
        self.blocked.remove(&id);
        if let Some(party) = self.party(id) {
            party.parked = false;
            self.join_round(id);
            self.pump();
        }
    }

    fn get(&mut self, no_ack: bool) {
        self.used = self.now;
        self.expire();
        match (self.head(), self.next()) {
            (Some(head), _) => self.hand_out(head, no_ack, None),
            (None, Some(_)) => self.note("loading".to_owned()),
            (None, None) => self.note("empty".to_owned()),
        }
    }

    fn settle(&mut self, how: Settle, numbers: &[usize]) {
        let mut unknown = false;
        for number in numbers {
            unknown |= !self.settle_one(how, *number, true);
        }
        if how == Settle::Requeue {
            self.drop_excess();
        }
        self.pump();
        if unknown {
            self.note("unknown slot".to_owned());
        }
    }

    fn settle_one(&mut self, how: Settle, number: usize, by_consumer: bool) -> bool {
        let wanted = |item: &Item| matches!(item.place, Place::Unacked(n, _) if n == number);
        let Some(at) = self.items.iter().position(wanted) else {
            return false;
        };
        let Place::Unacked(_, owner) = self.items[at].place else {
            unreachable!()
        };
        self.items[at].place = Place::Ready;
        self.items[at].redelivered = true;
        self.items[at].returns += 1;
        self.items[at].is_fresh = false;
        if let Some(id) = owner {
            self.join_round(id);
        }
        let returns = self.items[at].returns;
        match how {
            Settle::Ack => {
                self.items.remove(at);
            }
            Settle::Reject => self.die(at, "rejected"),
            Settle::Requeue if self.settings.delivery_limit.is_some_and(|limit| returns > limit) => {
                self.die(at, "delivery_limit");
            }
            Settle::Requeue => self.put_back(at, by_consumer),
        }
        true
    }

    fn put_back(&mut self, at: usize, by_consumer: bool) {
        if !self.settings.returns_in_turn {
            return;
        }
        self.comebacks += 1;
        let is_last = by_consumer && self.settings.delivery_limit.is_none();
        let behind = if is_last { self.arrivals } else { 0 };
        self.items[at].stands = (behind, self.comebacks);
    }

    fn die(&mut self, at: usize, why: &str) {
        let item = self.items.remove(at);
        if self.settings.dead_letters {
            self.note(format!("dead {} {why}", item.letter.name));
        }
    }

    fn expire(&mut self) {
        while let Some(head) = self.head()
            && self.items[head].expires.is_some_and(|at| at <= self.now)
        {
            self.die(head, "expired");
        }
    }

    fn drop_excess(&mut self) {
        while self.settings.overflow == Overflow::DropHead
            && let Some(head) = self.head()
        {
            if !self.is_exceeded() {
                return;
            }
            self.die(head, "maxlen");
        }
    }

    fn purge(&mut self) {
        let before = self.items.len();
        self.items.retain(|item| !matches!(item.place, Place::Ready));
        self.note(format!("purged {}", before - self.items.len()));
    }

    fn tick(&mut self) {
        self.expire();
        self.drop_excess();
        let due = self.settings.expires.is_some_and(|span| self.used + span.0 <= self.now);
        if due && self.parties.is_empty() {
            self.used = self.now;
            self.note("retire: unused".to_owned());
        }
    }

    /// How far messages were handed out is said by those that are still here, if nobody wanted to know before.
    fn recall_delivered(&mut self) {
        for item in &self.items {
            if item.redelivered || matches!(item.place, Place::Unacked(..)) {
                let to_level = &mut self.delivered_to[usize::from(item.level)];
                *to_level = item.arrival.max(*to_level);
            }
        }
    }

    fn set(&mut self, settings: Settings) {
        if settings.expires != self.settings.expires {
            self.used = self.now;
        }
        let Settings {
            max_priority,
            single_active_consumer,
            durable,
            returns_in_turn,
            replicated: before,
            ..
        } = self.settings;
        self.settings = Settings {
            max_priority,
            single_active_consumer,
            durable,
            returns_in_turn,
            ..settings
        };
        if settings.replicated && !before && !durable {
            self.recall_delivered();
        }
        self.expire();
        self.drop_excess();
    }
}
