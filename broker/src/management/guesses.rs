//! Who guesses passwords is slowed: after some wrong ones from one address for one user, each further try waits for its turn,
//! right or wrong, and too many at once are turned away unheard.
//!
//! A password that was right before from that address is never kept waiting, so guessing locks nobody out who is at work.
//! What is remembered is bounded (I7): beyond that a place is forgotten where nobody was right, and that was quiet the longest.

use parking_lot::Mutex;
use std::{
    collections::BTreeMap,
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    time::Duration,
};
use tokio::time::Instant;

/// Wrong passwords that cost nothing: people mistype.
const FREE: u32 = 5;
/// After those, one try in so long.
const PACE: Duration = Duration::from_secs(1);
/// Who would wait longer than this is turned away.
const WAIT_MAX: Duration = Duration::from_secs(3);
/// After so long without a wrong one all is forgiven.
const FORGIVEN_AFTER: Duration = Duration::from_secs(300);
/// Places that are remembered.
const PLACES_MAX: usize = 4096;

/// What is known of the tries from one address for one user.
#[derive(Clone, Copy, Debug)]
struct Place {
    failed: u32,
    last_failure: Instant,
    last_try: Instant,
    /// Whose turn comes next waits until then.
    next: Instant,
    /// The password that was right, as a hash that this process alone can make.
    right: Option<u64>,
}

/// Tries to log in.
#[derive(Debug, Default)]
pub struct Guesses {
    places: Mutex<BTreeMap<(IpAddr, String), Place>>,
    hasher: RandomState,
}

/// How long a try has to wait before it is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// So long, which is mostly nothing.
    After(Duration),
    /// It is turned away.
    Never,
}

impl Guesses {
    /// When it is the turn of a try.
    pub fn turn(&self, from: IpAddr, user: &str, password: &[u8], now: Instant) -> Turn {
        let mut places = self.places.lock();
        let Some(place) = places.get_mut(&(from, user.to_owned())) else {
            return Turn::After(Duration::ZERO);
        };
        let is_forgiven = now.saturating_duration_since(place.last_failure) > FORGIVEN_AFTER;
        if place.failed < FREE || is_forgiven || place.right == Some(self.hasher.hash_one(password)) {
            return Turn::After(Duration::ZERO);
        }
        let turn = place.next.max(now);
        let wait = turn.saturating_duration_since(now);
        if wait > WAIT_MAX {
            return Turn::Never;
        }
        place.next = turn + PACE;
        Turn::After(wait)
    }

    /// Remembers what came of it.
    pub fn judged(&self, from: IpAddr, user: &str, password: &[u8], was_right: bool, now: Instant) {
        let mut places = self.places.lock();
        let key = (from, user.to_owned());
        if !places.contains_key(&key) {
            make_room(&mut places);
        }
        let place = places.entry(key).or_insert(Place {
            failed: 0,
            last_failure: now,
            last_try: now,
            next: now,
            right: None,
        });
        place.last_try = now;
        match was_right {
            true => place.right = Some(self.hasher.hash_one(password)),
            false => {
                let is_forgiven = now.saturating_duration_since(place.last_failure) > FORGIVEN_AFTER;
                place.failed = if is_forgiven { 1 } else { place.failed.saturating_add(1) };
                place.last_failure = now;
            }
        }
    }
}

fn make_room(places: &mut BTreeMap<(IpAddr, String), Place>) {
    if places.len() < PLACES_MAX {
        return;
    }
    let quietest = places
        .iter()
        .min_by_key(|(_, place)| (place.right.is_some(), place.last_try));
    if let Some(key) = quietest.map(|(key, _)| key.clone()) {
        places.remove(&key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const AT_ONCE: Turn = Turn::After(Duration::ZERO);

    fn after_failures(count: u32, now: Instant) -> Guesses {
        let guesses = Guesses::default();
        (0..count).for_each(|_| guesses.judged(HERE, "a", b"wrong", false, now));
        guesses
    }

    #[test]
    fn a_few_wrong_passwords_cost_nothing_and_more_of_them_a_second_each() {
        let now = Instant::now();
        assert_eq!(after_failures(FREE - 1, now).turn(HERE, "a", b"x", now), AT_ONCE);
        let guesses = after_failures(FREE, now);
        let waits: Vec<Turn> = (0..5).map(|_| guesses.turn(HERE, "a", b"x", now)).collect();
        assert_eq!(waits[..2], [AT_ONCE, Turn::After(PACE)]);
        assert_eq!(waits[3..], [Turn::After(WAIT_MAX), Turn::Never]);
        assert_eq!(guesses.turn(HERE, "b", b"x", now), AT_ONCE, "another user");
        assert_eq!(
            guesses.turn([10, 0, 0, 1].into(), "a", b"x", now),
            AT_ONCE,
            "another address"
        );
    }

    #[test]
    fn a_password_that_was_right_before_is_not_kept_waiting() {
        let now = Instant::now();
        let guesses = Guesses::default();
        guesses.judged(HERE, "a", b"right", true, now);
        (0..100).for_each(|_| guesses.judged(HERE, "a", b"wrong", false, now));
        for _ in 0..100 {
            guesses.turn(HERE, "a", b"wrong", now);
            assert_eq!(guesses.turn(HERE, "a", b"right", now), AT_ONCE);
        }
        assert_eq!(guesses.turn(HERE, "a", b"wrong", now), Turn::Never);
    }

    #[test]
    fn all_is_forgiven_after_a_while_and_no_more_is_remembered_than_there_is_room_for() {
        let now = Instant::now();
        let guesses = after_failures(100, now);
        let later = now + FORGIVEN_AFTER + PACE;
        assert_eq!(guesses.turn(HERE, "a", b"x", later), AT_ONCE);
        for user in 0..2 * PLACES_MAX {
            guesses.judged(HERE, &user.to_string(), b"x", false, later);
        }
        assert_eq!(guesses.places.lock().len(), PLACES_MAX);
    }
}
