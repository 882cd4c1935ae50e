//! The consumers of a queue and whose turn it is: round robin among the able ones of the highest priority present.
//!
//! Able means: not parked, credit left, and (single active consumer) the active one. As in RabbitMQ, who runs out of
//! credit keeps the place in the round until it is passed over for it; only then it queues up anew, behind the others,
//! once it has credit again. Knows nothing of messages.

use std::collections::{BTreeMap, VecDeque};

use model::ConsumerId;
use slab::Slab;

use crate::unacked::Owner;

pub(crate) struct Consumer<C> {
    pub(crate) id: ConsumerId,
    pub(crate) handle: C,
    pub(crate) no_ack: bool,
    pub(crate) priority: i32,
    /// 0 = no limit.
    pub(crate) prefetch: u16,
    pub(crate) unacked: u32,
    /// The sink could not take more; nothing is offered until it says it can.
    pub(crate) parked: bool,
    pub(crate) exclusive: bool,
    /// Order of subscription, which decides between equals.
    since: u64,
    in_round: bool,
}

impl<C> Consumer<C> {
    fn has_room(&self) -> bool {
        !self.parked && (self.no_ack || self.prefetch == 0 || self.unacked < u32::from(self.prefetch))
    }
}

/// What a newcomer brings; the rest begins at zero.
pub(crate) struct Newcomer<C> {
    pub(crate) id: ConsumerId,
    pub(crate) handle: C,
    pub(crate) no_ack: bool,
    pub(crate) priority: i32,
    pub(crate) prefetch: u16,
    pub(crate) exclusive: bool,
}

/// The round of one priority.
struct Turn {
    priority: i32,
    /// Consumers of this priority, able or not; the turn goes with the last.
    members: usize,
    /// Next one first; every able consumer is in it.
    round: VecDeque<u32>,
}

pub(crate) struct Consumers<C> {
    places: Slab<Consumer<C>>,
    by_id: BTreeMap<ConsumerId, u32>,
    /// Highest priority first.
    turns: Vec<Turn>,
    single_active: bool,
    active: Option<u32>,
    subscriptions: u64,
}

impl<C> Consumers<C> {
    pub(crate) fn new(single_active: bool) -> Self {
        Self {
            places: Slab::new(),
            by_id: BTreeMap::new(),
            turns: Vec::new(),
            single_active,
            active: None,
            subscriptions: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    pub(crate) fn is_single_active(&self) -> bool {
        self.single_active
    }

    pub(crate) fn has_exclusive(&self) -> bool {
        // An exclusive consumer is always alone.
        self.places.len() == 1 && self.iter().any(|(_, consumer)| consumer.exclusive)
    }

    pub(crate) fn key(&self, id: ConsumerId) -> Option<u32> {
        self.by_id.get(&id).copied()
    }

    pub(crate) fn get(&self, key: u32) -> &Consumer<C> {
        &self.places[key as usize]
    }

    /// The one that gets messages in a single-active-consumer queue.
    pub(crate) fn active(&self) -> Option<&Consumer<C>> {
        self.active.map(|key| self.get(key))
    }

    /// Consumers in no particular but always the same order, each with whether it may get messages at all.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (bool, &Consumer<C>)> {
        self.places
            .iter()
            .map(|(key, consumer)| (self.may_consume(key_of(key)), consumer))
    }

    /// Whose turn it is to get a message. Those without room lose their place in the round.
    #[inline]
    pub(crate) fn next(&mut self) -> Option<u32> {
        let places = &mut self.places;
        self.turns.iter_mut().find_map(|turn| {
            while let Some(key) = turn.round.front().copied() {
                let consumer = &mut places[key as usize];
                if consumer.has_room() {
                    return Some(key);
                }
                consumer.in_round = false;
                turn.round.pop_front();
            }
            None
        })
    }

    /// Adds a consumer that is not able yet; [`wake`](Self::wake) lets it in.
    pub(crate) fn add(&mut self, newcomer: Newcomer<C>) -> u32 {
        let Newcomer {
            id,
            handle,
            no_ack,
            priority,
            prefetch,
            exclusive,
        } = newcomer;
        let since = self.subscriptions;
        self.subscriptions += 1;
        let consumer = Consumer {
            id,
            handle,
            no_ack,
            priority,
            prefetch,
            unacked: 0,
            parked: false,
            exclusive,
            since,
            in_round: false,
        };
        let key = key_of(self.places.insert(consumer));
        self.by_id.insert(id, key);
        let at = self.turn_or_insert(priority);
        self.turns[at].members += 1;
        key
    }

    /// Takes a consumer out. If it was the active one, nobody is until [`elect`](Self::elect).
    pub(crate) fn remove(&mut self, id: ConsumerId) -> Option<Consumer<C>> {
        let key = self.by_id.remove(&id)?;
        let consumer = self.places.remove(key as usize);
        let at = self.turn_or_insert(consumer.priority);
        let turn = &mut self.turns[at];
        turn.members -= 1;
        if turn.members == 0 {
            self.turns.remove(at);
        } else if consumer.in_round {
            turn.round.retain(|other| *other != key);
        }
        if self.active == Some(key) {
            self.active = None;
        }
        if self.places.is_empty() {
            // A queue that once had many consumers is as small as a new one.
            self.places = Slab::new();
        }
        Some(consumer)
    }

    /// Makes a single active consumer if there is none: highest priority, then oldest. Returns the new one.
    pub(crate) fn elect(&mut self) -> Option<&Consumer<C>> {
        if !self.single_active || self.active.is_some() {
            return None;
        }
        let best = self
            .places
            .iter()
            .min_by_key(|(_, c)| (std::cmp::Reverse(c.priority), c.since));
        let key = key_of(best?.0);
        self.active = Some(key);
        self.wake(key);
        Some(self.get(key))
    }

    /// The consumer whose turn it was took a message.
    pub(crate) fn delivered(&mut self, key: u32) {
        let consumer = &mut self.places[key as usize];
        if !consumer.no_ack {
            consumer.unacked += 1;
        }
        let priority = consumer.priority;
        let turn = self
            .turns
            .iter_mut()
            .find(|turn| turn.priority == priority)
            .expect("a turn has its members");
        assert!(turn.round.front() == Some(&key), "a consumer was served out of turn");
        if turn.round.len() > 1 {
            turn.round.rotate_left(1);
        }
    }

    /// The consumer could not take more.
    pub(crate) fn park(&mut self, key: u32) {
        self.places[key as usize].parked = true;
    }

    /// The sink can take more for this consumer.
    pub(crate) fn unpark(&mut self, key: u32) {
        self.places[key as usize].parked = false;
        self.wake(key);
    }

    /// A delivery was settled: its consumer, if still there, has one more to go.
    pub(crate) fn release(&mut self, owner: Owner) {
        let Owner::Consumer { key, id } = owner else { return };
        match self.places.get_mut(key as usize) {
            Some(consumer) if consumer.id == id => {
                assert!(consumer.unacked > 0, "more settled than delivered");
                consumer.unacked -= 1;
            }
            Some(_) | None => return,
        }
        self.wake(key);
    }

    /// Puts the consumer into the round, behind the others, if it is able and not in it.
    pub(crate) fn wake(&mut self, key: u32) {
        let allowed = self.may_consume(key);
        let consumer = &mut self.places[key as usize];
        if consumer.in_round || !allowed || !consumer.has_room() {
            return;
        }
        consumer.in_round = true;
        let at = self.turn_or_insert(self.places[key as usize].priority);
        self.turns[at].round.push_back(key);
    }

    /// Forgets all consumers and returns them in order of subscription.
    pub(crate) fn drain(&mut self) -> Vec<Consumer<C>> {
        let mut gone: Vec<_> = std::mem::take(&mut self.places)
            .into_iter()
            .map(|(_, consumer)| consumer)
            .collect();
        gone.sort_by_key(|consumer| consumer.since);
        self.by_id.clear();
        self.turns.clear();
        self.active = None;
        gone
    }

    fn may_consume(&self, key: u32) -> bool {
        !self.single_active || self.active == Some(key)
    }

    fn turn_or_insert(&mut self, priority: i32) -> usize {
        let at = self
            .turns
            .iter()
            .position(|turn| turn.priority <= priority)
            .unwrap_or(self.turns.len());
        if self.turns.get(at).is_none_or(|turn| turn.priority != priority) {
            self.turns.insert(
                at,
                Turn {
                    priority,
                    members: 0,
                    round: VecDeque::new(),
                },
            );
        }
        at
    }
}

fn key_of(place: usize) -> u32 {
    u32::try_from(place).expect("fewer than 2^32 consumers fit into memory")
}
