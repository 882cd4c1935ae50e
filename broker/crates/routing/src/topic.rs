//! Topic patterns as a persistent trie: words split at `.`, `*` is exactly one word, `#` any number of words.
//!
//! An empty key has no words; `a.` has two, the second empty. Matching walks all states together, word by word, so its
//! cost is bounded by words times nodes whatever the patterns are. Changes copy one path.

use crate::small_map::SmallMap;
use crate::target::{Target, Targets};
use std::sync::Arc;

/// A node of the trie: what is bound here and where the next word leads.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Trie {
    targets: Targets,
    words: SmallMap<Arc<[u8]>, Arc<Trie>>,
    /// After `*`.
    one: Option<Arc<Trie>>,
    /// After `#`.
    any: Option<Arc<Trie>>,
}

/// Words of a key or pattern. The empty one has none.
fn words(key: &[u8]) -> impl Iterator<Item = &[u8]> {
    key.split(|octet| *octet == b'.').filter(|_| !key.is_empty())
}

impl Trie {
    pub(crate) fn add(&mut self, pattern: &[u8], target: Target) {
        let path: Vec<&[u8]> = words(pattern).collect();
        self.edit(&path, &mut |targets| targets.add(target.clone()));
    }

    pub(crate) fn remove(&mut self, pattern: &[u8], target: &Target) {
        let path: Vec<&[u8]> = words(pattern).collect();
        self.edit(&path, &mut |targets| targets.remove(target));
    }

    /// Changes what is bound at the end of a path, and drops nodes that hold nothing any more. As deep as a pattern has
    /// words: at most 128.
    fn edit(&mut self, path: &[&[u8]], change: &mut impl FnMut(&mut Targets)) {
        let Some((word, rest)) = path.split_first() else {
            return change(&mut self.targets);
        };
        let mut child = self.child(word).cloned().unwrap_or_default();
        Arc::make_mut(&mut child).edit(rest, change);
        let child = (!child.is_bare()).then_some(child);
        match (*word, child) {
            (b"*", child) => self.one = child,
            (b"#", child) => self.any = child,
            (word, Some(child)) => self.words.insert(word.into(), child),
            (word, None) => self.words.remove(word),
        }
    }

    fn is_bare(&self) -> bool {
        self.targets.is_empty() && self.words.is_empty() && self.one.is_none() && self.any.is_none()
    }

    fn child(&self, word: &[u8]) -> Option<&Arc<Trie>> {
        match word {
            b"*" => self.one.as_ref(),
            b"#" => self.any.as_ref(),
            word => self.words.get(word),
        }
    }

    /// Calls `found` for every place whose pattern matches; a place may come several times.
    pub(crate) fn matches<'a>(&'a self, key: &[u8], found: &mut impl FnMut(&'a Target)) {
        let mut states = Vec::new();
        State {
            node: self,
            loops: false,
        }
        .enter(&mut states);
        for word in words(key) {
            let mut next = Vec::with_capacity(states.len());
            for state in &states {
                state.step(word, &mut next);
            }
            // A looping state can be entered again from its parent; twice the same would double with every word.
            if next.iter().any(|state| state.loops) {
                next.sort_unstable_by_key(|state| std::ptr::from_ref(state.node).addr());
                next.dedup_by_key(|state| std::ptr::from_ref(state.node).addr());
            }
            states = next;
        }
        states
            .iter()
            .flat_map(|state| state.node.targets.iter())
            .for_each(found);
    }
}

/// A node that the words so far lead to.
struct State<'a> {
    node: &'a Trie,
    /// The node of a `#`: takes every word and stays.
    loops: bool,
}

impl<'a> State<'a> {
    /// Adds this state and those that a `#` of no words leads to.
    fn enter(self, states: &mut Vec<State<'a>>) {
        let mut next = Some(self);
        while let Some(state) = next {
            next = state.node.any.as_deref().map(|node| State { node, loops: true });
            states.push(state);
        }
    }

    fn step(&self, word: &[u8], states: &mut Vec<State<'a>>) {
        if self.loops {
            states.push(State {
                node: self.node,
                loops: true,
            });
        }
        let ways = [self.node.words.get(word), self.node.one.as_ref()];
        for node in ways.into_iter().flatten() {
            State { node, loops: false }.enter(states);
        }
    }
}

#[cfg(test)]
#[path = "topic_tests.rs"]
mod tests;
