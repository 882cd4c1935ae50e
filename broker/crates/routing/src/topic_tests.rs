//! Topic matching against a table of RabbitMQ's answers and against a naive matcher.
//! Empty words and repeated `#` are where implementations differ.

use super::*;
use model::QueueId;
use proptest::prelude::*;

fn found(trie: &Trie, key: &[u8]) -> Vec<Target> {
    let mut out = Vec::new();
    trie.matches(key, &mut |target| out.push(target.clone()));
    out.sort_unstable();
    out.dedup();
    out
}

fn matches(pattern: &str, key: &str) -> bool {
    let mut trie = Trie::default();
    trie.add(pattern.as_bytes(), Target::Queue(QueueId(1)));
    !found(&trie, key.as_bytes()).is_empty()
}

#[test]
fn topic_patterns_match_as_rabbitmq_was_seen_to() {
    let table = [
        ("", "# #.# ", "* a *.*"),
        ("a.", "a.* *.* a.# *. a. #", "a * *.a"),
        ("a..b", "a.*.b a.#.b a..b # *.*.*", "a.b *.*"),
        (".", "*.* *. . .* #", "* .*.*"),
        ("a.b", "a.b *.b a.* # a.# #.b a.#.b #.a.b a.b.#", "a a*b a* *.*.* b.*"),
        ("a*", "a* *", "a"),
        ("A", "A", "a"),
        ("*", "* #", "a"),
        ("a.b.c", "a.*.c a.#.c #.c a.# *.*.* #.b.#", "a.*"),
    ];
    for (key, yes, no) in table {
        yes.split(' ')
            .for_each(|pattern| assert!(matches(pattern, key), "'{pattern}' should match '{key}'"));
        no.split(' ')
            .for_each(|pattern| assert!(!matches(pattern, key), "'{pattern}' should not match '{key}'"));
    }
}

#[test]
fn many_hashes_do_not_explode() {
    let (pattern, key) = (["#"; 60].join(".a."), ["a"; 127].join("."));
    let mut trie = Trie::default();
    for tail in 0..50 {
        trie.add(format!("{pattern}.{tail}").as_bytes(), Target::Queue(QueueId(tail)));
    }
    assert!(found(&trie, key.as_bytes()).is_empty());
    assert!(matches(&pattern, &key));
}

#[test]
fn a_trie_forgets_what_was_unbound() {
    let mut trie = Trie::default();
    for pattern in ["a.#.b", "*", "", "#", "a..b"] {
        trie.add(pattern.as_bytes(), Target::Queue(QueueId(1)));
    }
    for pattern in ["a.#.b", "*", "", "#", "a..b"] {
        trie.remove(pattern.as_bytes(), &Target::Queue(QueueId(1)));
    }
    assert!(trie.is_bare());
}

fn naive(pattern: &[&str], key: &[&str]) -> bool {
    match (pattern.split_first(), key.split_first()) {
        (None, None) => true,
        (Some((&"#", rest)), None) => naive(rest, key),
        (Some((&"#", rest)), Some((_, tail))) => naive(rest, key) || naive(pattern, tail),
        (Some((&"*", rest)), Some((_, tail))) => naive(rest, tail),
        (Some((word, rest)), Some((head, tail))) => word == head && naive(rest, tail),
        _ => false,
    }
}

fn split(text: &str) -> Vec<&str> {
    if text.is_empty() {
        vec![]
    } else {
        text.split('.').collect()
    }
}

fn dotted(words: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(words), 0..6).prop_map(|words| words.join("."))
}

proptest! {
    #[test]
    fn the_trie_agrees_with_a_naive_matcher(
        patterns in prop::collection::vec(dotted(&["a", "b", "", "*", "#"]), 0..40),
        removed in prop::collection::vec(prop::bool::ANY, 40),
        keys in prop::collection::vec(dotted(&["a", "b", "", "c", "*", "#"]), 1..20),
    ) {
        let mut trie = Trie::default();
        let id = |at: usize| Target::Queue(QueueId(at as u64));
        for (at, pattern) in patterns.iter().enumerate() {
            trie.add(pattern.as_bytes(), id(at));
        }
        for (at, pattern) in patterns.iter().enumerate().filter(|(at, _)| removed[*at]) {
            trie.remove(pattern.as_bytes(), &id(at));
        }
        for key in keys {
            let stays = |at: &usize| !removed[*at] && naive(&split(&patterns[*at]), &split(&key));
            let expected: Vec<Target> = (0..patterns.len()).filter(stays).map(id).collect();
            prop_assert_eq!(found(&trie, key.as_bytes()), expected, "{}", key);
        }
    }
}
