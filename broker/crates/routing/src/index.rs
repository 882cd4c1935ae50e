//! What one exchange knows of its bindings, shaped for its type: the part that a routed message reads.
//!
//! Kept in step with the list of bindings by the router; never the source of truth for listing.

use crate::binding::Binding;
use crate::hash::{choose, fnv, mix};
use crate::headers::{BadMatch, HeaderMatch};
use crate::small_map::SmallMap;
use crate::target::{Target, Targets};
use crate::topic::Trie;
use imbl::OrdMap;
use model::{ExchangeKind, HashOn, HashProperty, Table};
use std::sync::Arc;

/// What routing may need of a message besides its keys; asked only when an exchange on the way depends on it.
pub trait Content {
    /// The headers, decoded.
    fn headers(&mut self) -> Table;
    /// A property as octets, if the message has it.
    fn property(&mut self, which: HashProperty) -> Option<Vec<u8>>;
    /// True if a delayed exchange has to hold the message.
    fn is_delayed(&mut self) -> bool;
}

/// A message on its way: keys, a number that stands for chance, and its content.
pub(crate) struct Parcel<'a> {
    pub(crate) keys: &'a [&'a [u8]],
    pub(crate) seed: u64,
    pub(crate) content: &'a mut dyn Content,
    pub(crate) headers: Option<Table>,
    /// The answer depends on the keys alone so far.
    pub(crate) cacheable: bool,
}

impl Parcel<'_> {
    pub(crate) fn is_delayed(&mut self) -> bool {
        self.cacheable = false;
        self.content.is_delayed()
    }

    fn headers(&mut self) -> &Table {
        self.cacheable = false;
        self.headers.get_or_insert_with(|| self.content.headers())
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Index {
    Direct(OrdMap<Arc<[u8]>, Targets>),
    Fanout(Targets),
    Topic(Trie),
    Headers(OrdMap<Arc<Binding>, (Arc<HeaderMatch>, Target)>),
    ConsistentHash { on: HashOn, weights: SmallMap<Target, u64> },
    ModulusHash(Targets),
    Random(Targets),
}

/// Why a binding cannot be made; the text is whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadBinding(pub String);

impl From<BadMatch> for BadBinding {
    fn from(error: BadMatch) -> Self {
        BadBinding(error.to_string())
    }
}

impl Index {
    /// An empty index. One with a history routes as a fanout; a delayed one comes as its inner type, and as direct where
    /// that is not known.
    pub(crate) fn new(kind: ExchangeKind, hash_on: HashOn) -> Self {
        match kind {
            ExchangeKind::Direct | ExchangeKind::Delayed => Index::Direct(OrdMap::new()),
            ExchangeKind::Fanout | ExchangeKind::RecentHistory => Index::Fanout(Targets::default()),
            ExchangeKind::Topic => Index::Topic(Trie::default()),
            ExchangeKind::Headers => Index::Headers(OrdMap::new()),
            ExchangeKind::ConsistentHash => Index::ConsistentHash {
                on: hash_on,
                weights: SmallMap::default(),
            },
            ExchangeKind::ModulusHash => Index::ModulusHash(Targets::default()),
            ExchangeKind::Random => Index::Random(Targets::default()),
        }
    }

    /// Checks what only this type of exchange can check about a binding.
    pub(crate) fn check(&self, key: &[u8], arguments: &Table) -> Result<(), BadBinding> {
        match self {
            Index::Headers(_) => HeaderMatch::compile(arguments).map(drop).map_err(BadBinding::from),
            Index::ConsistentHash { .. } => weight(key).map(drop),
            Index::Direct(_) | Index::Fanout(_) | Index::Topic(_) | Index::ModulusHash(_) | Index::Random(_) => Ok(()),
        }
    }

    pub(crate) fn add(&mut self, binding: &Arc<Binding>, target: Target) {
        match self {
            Index::Direct(keys) => keys.entry(binding.key.clone()).or_default().add(target),
            Index::Fanout(all) | Index::ModulusHash(all) | Index::Random(all) => all.add(target),
            Index::Topic(trie) => trie.add(&binding.key, target),
            Index::Headers(bindings) => {
                // `check` came before, so this compiles.
                if let Ok(compiled) = HeaderMatch::compile(&binding.arguments) {
                    bindings.insert(binding.clone(), (Arc::new(compiled), target));
                }
            }
            Index::ConsistentHash { weights, .. } => {
                let weight = weight(&binding.key).unwrap_or_default();
                let so_far = weights.get(&target).copied().unwrap_or_default();
                weights.insert(target, so_far.saturating_add(weight));
            }
        }
    }

    pub(crate) fn remove(&mut self, binding: &Arc<Binding>, target: &Target) {
        match self {
            Index::Direct(keys) => {
                let left = keys.get_mut(&binding.key).map(|targets| {
                    targets.remove(target);
                    targets.is_empty()
                });
                if left == Some(true) {
                    keys.remove(&binding.key);
                }
            }
            Index::Fanout(all) | Index::ModulusHash(all) | Index::Random(all) => all.remove(target),
            Index::Topic(trie) => trie.remove(&binding.key, target),
            Index::Headers(bindings) => drop(bindings.remove(binding)),
            Index::ConsistentHash { weights, .. } => {
                let weight = weight(&binding.key).unwrap_or_default();
                match weights.get(target).copied().unwrap_or_default().saturating_sub(weight) {
                    0 => weights.remove(target),
                    left => weights.insert(target.clone(), left),
                }
            }
        }
    }

    /// Calls `found` for every place this message goes to; a place may come several times.
    pub(crate) fn matches<'a>(&'a self, parcel: &mut Parcel<'_>, found: &mut impl FnMut(&'a Target)) {
        match self {
            Index::Direct(keys) => {
                for key in parcel.keys {
                    keys.get(*key).into_iter().flat_map(Targets::iter).for_each(&mut *found);
                }
            }
            Index::Fanout(all) => all.iter().for_each(found),
            Index::Topic(trie) => parcel.keys.iter().for_each(|key| trie.matches(key, found)),
            Index::Headers(bindings) => {
                let headers = parcel.headers();
                let matching = bindings.values().filter(|(compiled, _)| compiled.matches(headers));
                matching.for_each(|(_, target)| found(target));
            }
            Index::ConsistentHash { on, weights } => {
                let weighted = weights.iter().map(|(target, weight)| (target, *weight));
                choose(hashed(on, parcel), weighted).into_iter().for_each(found);
            }
            Index::ModulusHash(all) => {
                let sum = parcel.keys.iter().fold(0, |sum, key| mix(sum ^ fnv(key)));
                all.pick(sum).into_iter().for_each(found);
            }
            Index::Random(all) => {
                parcel.cacheable = false;
                all.pick(mix(parcel.seed)).into_iter().for_each(found);
            }
        }
    }
}

/// The number that a consistent-hash exchange chooses by. Of several keys the routing key counts, which is the first.
fn hashed(on: &HashOn, parcel: &mut Parcel<'_>) -> u64 {
    let octets = match on {
        HashOn::RoutingKey => return parcel.keys.first().map_or(0, |key| fnv(key)),
        HashOn::Header(name) => parcel.headers().get(name).map(|value| value.plain().into_bytes()),
        HashOn::Property(which) => {
            parcel.cacheable = false;
            parcel.content.property(*which)
        }
    };
    fnv(&octets.unwrap_or_default())
}

/// The binding key of a consistent-hash exchange is a weight.
fn weight(key: &[u8]) -> Result<u64, BadBinding> {
    let text = String::from_utf8_lossy(key);
    match text.parse::<i64>() {
        Ok(weight) if weight < 1 => Err(BadBinding("The binding key must be greater than 0".into())),
        Ok(weight) => Ok(weight.unsigned_abs()),
        Err(_) => Err(BadBinding(format!("The binding key must be an integer: <<{text:?}>>"))),
    }
}
