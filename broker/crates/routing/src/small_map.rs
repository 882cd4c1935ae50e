//! A persistent ordered map that costs one small allocation while it has few entries: most exchanges, keys and trie
//! nodes do, and there are many of them.
//!
//! Clone is O(1). Up to [`FEW_MAX`] entries a change copies them; beyond, it is O(log n).

use imbl::OrdMap;
use std::{borrow::Borrow, sync::Arc};

/// Entries kept in one sorted array.
const FEW_MAX: usize = 16;

#[derive(Clone, Debug)]
pub(crate) enum SmallMap<K: Ord, V> {
    Few(Arc<Vec<(K, V)>>),
    Many(OrdMap<K, V>),
}

impl<K: Ord + Clone, V: Clone> Default for SmallMap<K, V> {
    fn default() -> Self {
        SmallMap::Few(Arc::default())
    }
}

impl<K: Ord + Clone, V: Clone + PartialEq> PartialEq for SmallMap<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl<K: Ord + Clone, V: Clone> SmallMap<K, V> {
    pub(crate) fn len(&self) -> usize {
        match self {
            SmallMap::Few(few) => few.len(),
            SmallMap::Many(many) => many.len(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        match self {
            SmallMap::Few(few) => {
                let at = few.binary_search_by(|(own, _)| own.borrow().cmp(key)).ok()?;
                few.get(at).map(|(_, value)| value)
            }
            SmallMap::Many(many) => many.get(key),
        }
    }

    pub(crate) fn insert(&mut self, key: K, value: V) {
        match self {
            SmallMap::Few(few) => match few.binary_search_by(|(own, _)| own.cmp(&key)) {
                Ok(at) => Arc::make_mut(few)[at].1 = value,
                Err(at) if few.len() < FEW_MAX => Arc::make_mut(few).insert(at, (key, value)),
                Err(_) => {
                    let all = few.iter().cloned().chain([(key, value)]);
                    *self = SmallMap::Many(all.collect());
                }
            },
            SmallMap::Many(many) => drop(many.insert(key, value)),
        }
    }

    pub(crate) fn remove<Q: Ord + ?Sized>(&mut self, key: &Q)
    where
        K: Borrow<Q>,
    {
        match self {
            SmallMap::Few(few) => {
                if let Ok(at) = few.binary_search_by(|(own, _)| own.borrow().cmp(key)) {
                    Arc::make_mut(few).remove(at);
                }
            }
            SmallMap::Many(many) => {
                many.remove(key);
                // Half of the bound, so that a map at the bound does not change its shape with every call.
                if many.len() <= FEW_MAX / 2 {
                    *self = SmallMap::Few(Arc::new(many.iter().map(|(k, v)| (k.clone(), v.clone())).collect()));
                }
            }
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        let (few, many) = match self {
            SmallMap::Few(few) => (Some(few.iter()), None),
            SmallMap::Many(many) => (None, Some(many.iter())),
        };
        few.into_iter()
            .flatten()
            .map(|(k, v)| (k, v))
            .chain(many.into_iter().flatten())
    }

    /// The entry at this place in order.
    pub(crate) fn nth(&self, at: usize) -> Option<(&K, &V)> {
        match self {
            SmallMap::Few(few) => few.get(at).map(|(k, v)| (k, v)),
            SmallMap::Many(many) => many.iter().nth(at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn a_small_map_is_a_map_at_every_size(steps in prop::collection::vec((0u8..40, prop::bool::ANY), 0..200)) {
            let (mut ours, mut plain) = (SmallMap::default(), BTreeMap::new());
            for (at, (key, put)) in steps.into_iter().enumerate() {
                if put {
                    ours.insert(key, at);
                    plain.insert(key, at);
                } else {
                    ours.remove(&key);
                    plain.remove(&key);
                }
                prop_assert!(ours.iter().eq(plain.iter()));
                prop_assert_eq!(ours.get(&key), plain.get(&key));
                prop_assert_eq!(ours.nth(0), plain.iter().next());
            }
        }
    }
}
