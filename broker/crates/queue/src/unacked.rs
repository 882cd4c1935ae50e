//! Messages handed out and not settled. They belong to a channel: they outlive their consumer.
//!
//! Finds them by slot, never by search, and decides nothing about where they go.

use model::ConsumerId;
use slab::Slab;

use crate::counts::Tally;
use crate::lane::Held;
use crate::message::Message;

/// Above this many free places the memory is given back once nothing is unacked.
const IDLE_PLACES_MAX: usize = 256;

/// Where an unsettled message lies. The second number tells the present tenant of the place from earlier ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot {
    index: u32,
    generation: u32,
}

/// Whose credit a delivery used.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    /// `basic.get`: nobody's.
    Nobody,
    /// The consumer with this id, found at this place while it lives.
    Consumer { key: u32, id: ConsumerId },
}

pub(crate) struct Unacked<M> {
    pub(crate) held: Held<M>,
    pub(crate) owner: Owner,
    generation: u32,
}

pub(crate) struct UnackedSet<M> {
    places: Slab<Unacked<M>>,
    /// Of the next one in; wraps, since a slot is never kept for 2^32 deliveries at one place.
    generation: u32,
    tally: Tally,
}

impl<M: Message> UnackedSet<M> {
    pub(crate) fn new() -> Self {
        Self {
            places: Slab::new(),
            generation: 0,
            tally: Tally::default(),
        }
    }

    pub(crate) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// How many slots were given out so far; wraps.
    pub(crate) fn slots_used(&self) -> u32 {
        self.generation
    }

    /// So many slots were given out by an earlier set and must not mean anything here.
    pub(crate) fn skip_slots(&mut self, used: u32) {
        self.generation = used;
    }

    /// Takes all out, in no particular but always the same order.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Held<M>> {
        self.tally = Tally::default();
        let places = std::mem::take(&mut self.places);
        places.into_iter().map(|(_, unacked)| unacked.held)
    }

    /// The slot that the next [`insert`](Self::insert) will fill.
    pub(crate) fn next_slot(&self) -> Slot {
        let index = u32::try_from(self.places.vacant_key()).expect("fewer than 2^32 messages fit into memory");
        Slot {
            index,
            generation: self.generation,
        }
    }

    pub(crate) fn insert(&mut self, held: Held<M>, owner: Owner) {
        self.tally.add(&held.message);
        self.places.insert(Unacked {
            held,
            owner,
            generation: self.generation,
        });
        self.generation = self.generation.wrapping_add(1);
    }

    pub(crate) fn remove(&mut self, slot: Slot) -> Option<Unacked<M>> {
        let index = slot.index as usize;
        self.places
            .get(index)
            .filter(|unacked| unacked.generation == slot.generation)?;
        let unacked = self.places.remove(index);
        self.tally.remove(&unacked.held.message);
        if self.places.is_empty() && self.places.capacity() > IDLE_PLACES_MAX {
            self.places = Slab::new();
        }
        Some(unacked)
    }

    /// All, in no particular but always the same order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Held<M>> {
        self.places.iter().map(|(_, unacked)| &unacked.held)
    }

    pub(crate) fn clear(&mut self) {
        self.places = Slab::new();
        self.tally = Tally::default();
    }
}
