//! Routing of whole messages: exchange types together, alternates, graphs, and a naive model of everything.
//! Each test names the behaviour.

use super::*;
use model::{HashProperty, Value};
use proptest::prelude::*;

#[derive(Default)]
struct Message {
    headers: Table,
    property: Option<Vec<u8>>,
    delayed: bool,
}

impl Content for Message {
    fn headers(&mut self) -> Table {
        self.headers.clone()
    }
    fn property(&mut self, _: HashProperty) -> Option<Vec<u8>> {
        self.property.clone()
    }
    fn is_delayed(&mut self) -> bool {
        self.delayed
    }
}

fn x(name: &str) -> ExchangeName {
    name.parse().unwrap()
}

fn q(name: &str) -> QueueName {
    name.parse().unwrap()
}

/// Lines of `exchange NAME TYPE`, `delaying NAME`, `alternate NAME OTHER`, `queue NAME ID`, `bind SOURCE q:NAME|x:NAME KEY`.
fn router(script: &str) -> Router {
    let mut router = Router::default();
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split(' ').collect();
        match words[0] {
            "exchange" => router.add_exchange(&x(words[1]), words[2].parse().unwrap(), HashOn::RoutingKey),
            "delaying" => router.set_delaying(&x(words[1])),
            "alternate" => router.set_alternate(&x(words[1]), Some(x(words[2]))),
            "queue" => router.add_queue(&q(words[1]), QueueId(words[2].parse().unwrap())),
            "bind" => assert!(router.bind(Arc::new(binding(words[1], words[2], words[3]))), "{line}"),
            other => panic!("{other}"),
        }
    }
    router
}

fn binding(source: &str, destination: &str, key: &str) -> Binding {
    let destination = match destination.split_once(':').unwrap() {
        ("q", name) => Destination::Queue(q(name)),
        (_, name) => Destination::Exchange(x(name)),
    };
    Binding::new(x(source), destination, key.as_bytes(), Table::default())
}

fn route(router: &Router, exchange: &str, keys: &[&str]) -> Vec<u64> {
    let keys: Vec<&[u8]> = keys.iter().map(|key| key.as_bytes()).collect();
    let mut out = Queues::new();
    router
        .route(exchange, &keys, &mut Message::default(), 0, &mut out)
        .unwrap();
    out.iter().map(|id| id.0).collect()
}

#[test]
fn the_default_exchange_routes_by_queue_name() {
    let router = router("queue a 1\nqueue b 2");
    assert_eq!(route(&router, "", &["b", "nope", "a", "b"]), [1, 2]);
}

#[test]
fn a_message_reaches_a_queue_once_whatever_leads_there() {
    let router = router(
        "exchange d direct\nexchange f fanout\nqueue a 1\nqueue b 2
         bind d q:a k\nbind d q:a l\nbind d x:f k\nbind f q:a -\nbind f q:b -",
    );
    assert_eq!(route(&router, "d", &["k", "l"]), [1, 2]);
    assert_eq!(route(&router, "d", &["l"]), [1]);
}

#[test]
fn circles_of_exchanges_end() {
    let router = router(
        "exchange a fanout\nexchange b fanout\nqueue q 1\nbind a x:b -\nbind b x:a -\nbind b q:q -\nbind a x:a -",
    );
    assert_eq!(route(&router, "a", &["k"]), [1]);
}

#[test]
fn the_alternate_takes_what_found_no_destination() {
    let router = router(
        "exchange d direct\nexchange e direct\nexchange f fanout\nqueue a 1\nqueue b 2
         alternate d e\nalternate e f\nalternate f d\nbind d q:a k\nbind f q:b -",
    );
    assert_eq!(route(&router, "d", &["k"]), [1]);
    assert_eq!(route(&router, "d", &["other"]), [2]);
    assert_eq!(route(&router, "e", &["k"]), [2]);
}

#[test]
fn the_default_exchange_as_alternate_takes_nothing() {
    let mut router = router("exchange d direct\nqueue a 1");
    router.set_alternate(&x("d"), Some(ExchangeName::default()));
    assert!(route(&router, "d", &["a"]).is_empty());
}

#[test]
fn an_exchange_as_destination_keeps_the_alternate_out() {
    let router = router(
        "exchange d direct\nexchange e direct\nexchange f fanout\nqueue b 2\nalternate d f\nbind d x:e k\nbind f q:b -",
    );
    assert!(route(&router, "d", &["k"]).is_empty());
}

#[test]
fn a_missing_alternate_is_as_none_and_a_missing_exchange_is_told() {
    let router = router("exchange d direct\nalternate d nowhere");
    assert!(route(&router, "d", &["k"]).is_empty());
    let missing = router.route("nope", &[b"k"], &mut Message::default(), 0, &mut Queues::new());
    assert_eq!(missing, Err(NoSuchExchange));
}

#[test]
fn only_what_depends_on_the_key_alone_may_be_cached() {
    let mut router = router(
        "exchange t topic\nexchange h headers\nexchange r x-random\nexchange c x-consistent-hash\nqueue a 1\nbind t x:h #",
    );
    router.add_exchange(&x("hh"), ExchangeKind::ConsistentHash, HashOn::Header("h".into()));
    let cacheable = |exchange| {
        router
            .route(exchange, &[b"k"], &mut Message::default(), 0, &mut Queues::new())
            .unwrap()
            .cacheable
    };
    assert!(cacheable("") && cacheable("c"));
    assert!(!cacheable("t") && !cacheable("h") && !cacheable("r") && !cacheable("hh"));
}

#[test]
fn weights_divide_keys_and_a_new_queue_takes_only_its_share() {
    let mut router = router("exchange c x-consistent-hash\nqueue a 1\nqueue b 2\nbind c q:a 1\nbind c q:b 3");
    let spread = |router: &Router| -> Vec<u64> {
        (0..4000)
            .map(|n| route(router, "c", &[&format!("key-{n}")])[0])
            .collect()
    };
    let before = spread(&router);
    let share = before.iter().filter(|id| **id == 2).count();
    assert!((2850..3150).contains(&share), "{share}");
    router.add_queue(&q("c"), QueueId(3));
    router.bind(Arc::new(binding("c", "q:c", "4")));
    let after = spread(&router);
    assert!(before.iter().zip(&after).all(|(old, new)| old == new || *new == 3));
}

#[test]
fn hashing_exchanges_choose_one_queue_even_for_several_keys() {
    let router = router(
        "exchange c x-consistent-hash\nexchange m x-modulus-hash\nqueue a 1\nqueue b 2\nqueue c 3
         bind c q:a 1\nbind c q:b 1\nbind c q:c 1\nbind m q:a -\nbind m q:b -\nbind m q:c -",
    );
    for exchange in ["c", "m"] {
        let chosen: BTreeSet<u64> = (0..100)
            .map(|n| route(&router, exchange, &[&n.to_string()])[0])
            .collect();
        assert_eq!(chosen.len(), 3, "{exchange}");
        assert!(
            (0..100).all(|n| route(&router, exchange, &[&n.to_string(), "x", "y"]).len() == 1),
            "{exchange}"
        );
    }
}

#[test]
fn weights_are_whole_numbers_above_zero() {
    let router = router("exchange c x-consistent-hash");
    let check = |key: &str| {
        router
            .check_binding(&x("c"), key.as_bytes(), &Table::default())
            .map_err(|bad| bad.0)
    };
    assert_eq!(check("1"), Ok(()));
    assert_eq!(check("0"), Err("The binding key must be greater than 0".into()));
    assert_eq!(check("-1"), Err("The binding key must be greater than 0".into()));
    assert_eq!(check("a"), Err("The binding key must be an integer: <<\"a\">>".into()));
}

#[test]
fn a_consistent_hash_can_follow_a_header() {
    let mut router = Router::default();
    router.add_exchange(&x("c"), ExchangeKind::ConsistentHash, HashOn::Header("who".into()));
    for id in 0..8 {
        let name = id.to_string();
        router.add_queue(&q(&name), QueueId(id));
        router.bind(Arc::new(binding("c", &format!("q:{name}"), "1")));
    }
    let to = |who: &str, key: &[u8]| {
        let mut message = Message {
            headers: [("who", who.into())].into(),
            ..Message::default()
        };
        let mut out = Queues::new();
        router.route("c", &[key], &mut message, 0, &mut out).unwrap();
        out[0]
    };
    assert_eq!(to("ann", b"1"), to("ann", b"2"));
    assert!((0..20).any(|n| to(&n.to_string(), b"") != to("ann", b"")));
}

#[test]
fn a_random_exchange_gives_every_binding_its_turn() {
    let mut script = "exchange r x-random".to_owned();
    (0..40).for_each(|n| script += &format!("\nqueue q{n} {n}\nbind r q:q{n} k{n}"));
    let router = router(&script);
    let seen: BTreeSet<QueueId> = (0..2000)
        .map(|seed| {
            let mut out = Queues::new();
            router
                .route("r", &[b""], &mut Message::default(), seed, &mut out)
                .unwrap();
            assert_eq!(out.len(), 1);
            out[0]
        })
        .collect();
    assert_eq!(seen.len(), 40);
}

#[test]
fn bindings_differ_by_arguments_and_go_one_by_one() {
    let mut router = router("exchange d direct\nqueue a 1\nbind d q:a k");
    let with = Binding::new(x("d"), Destination::Queue(q("a")), b"k", [("n", Value::I8(1))].into());
    assert!(router.bind(Arc::new(with.clone())));
    assert!(!router.bind(Arc::new(with.clone())));
    assert!(router.unbind(&binding("d", "q:a", "k")).is_some());
    assert_eq!(route(&router, "d", &["k"]), [1]);
    assert!(router.unbind(&with).is_some());
    assert!(router.unbind(&with).is_none());
    assert!(route(&router, "d", &["k"]).is_empty());
}

#[test]
fn removing_an_end_takes_its_bindings_along() {
    let mut router = router(
        "exchange a fanout\nexchange b fanout\nexchange bb fanout\nqueue q 1\nqueue qq 2
         bind a x:b 1\nbind b q:q 2\nbind b x:b 3\nbind a q:qq 4\nbind bb q:q 5",
    );
    assert_eq!(router.remove_exchange(&x("b")).len(), 3);
    assert_eq!(router.bindings().count(), 2);
    assert_eq!(router.outgoing_count(&x("a")), 1);
    assert_eq!(router.remove_queue(&q("q")).len(), 1);
    assert_eq!(route(&router, "a", &["k"]), [2]);
    assert_eq!(router.bindings_to(&Destination::Queue(q("qq"))).count(), 1);
    assert_eq!(router.bindings_from(&x("a")).count(), 1);
}

/// One step of a random history.
#[derive(Clone, Debug)]
enum Step {
    Bind(usize, usize, usize),
    Unbind(usize, usize, usize),
    RemoveQueue(usize),
    Alternate(usize, usize),
}

const KINDS: [&str; 5] = ["direct", "fanout", "topic", "headers", "direct"];
const KEYS: [&str; 6] = ["a", "a.b", "*.b", "#", "", "a.*"];

fn step() -> impl Strategy<Value = Step> {
    // Destinations 0..5 are queues, 5..10 exchanges.
    prop_oneof![
        6 => (0..5usize, 0..10usize, 0..6usize).prop_map(|(s, d, k)| Step::Bind(s, d, k)),
        3 => (0..5usize, 0..10usize, 0..6usize).prop_map(|(s, d, k)| Step::Unbind(s, d, k)),
        1 => (0..5usize).prop_map(Step::RemoveQueue),
        1 => (0..5usize, 0..6usize).prop_map(|(s, d)| Step::Alternate(s, d)),
    ]
}

fn word_match(pattern: &[&str], key: &[&str]) -> bool {
    match (pattern, key) {
        ([], []) => true,
        (["#", rest @ ..], _) if word_match(rest, key) => true,
        (["#", ..], [_, tail @ ..]) => word_match(pattern, tail),
        (["*", rest @ ..], [_, tail @ ..]) => word_match(rest, tail),
        ([word, rest @ ..], [head, tail @ ..]) => word == head && word_match(rest, tail),
        _ => false,
    }
}

/// Routing as a reader of the manual would write it: every binding is asked.
#[derive(Default)]
struct Naive {
    bindings: BTreeSet<(usize, usize, usize)>,
    alternates: [Option<usize>; 5],
}

impl Naive {
    fn apply(&mut self, step: &Step) {
        match *step {
            Step::Bind(s, d, k) => drop(self.bindings.insert((s, d, k))),
            Step::Unbind(s, d, k) => drop(self.bindings.remove(&(s, d, k))),
            Step::RemoveQueue(queue) => self.bindings.retain(|(_, d, _)| *d != queue),
            Step::Alternate(s, d) => self.alternates[s] = (d < 5).then_some(d),
        }
    }

    fn visit(&self, exchange: usize, key: &str, seen: &mut BTreeSet<usize>, out: &mut BTreeSet<u64>) {
        if !seen.insert(exchange) {
            return;
        }
        let words = |text: &'static str| {
            if text.is_empty() {
                vec![]
            } else {
                text.split('.').collect::<Vec<_>>()
            }
        };
        let key_words: Vec<&str> = if key.is_empty() {
            vec![]
        } else {
            key.split('.').collect()
        };
        let matching = self.bindings.iter().filter(|(s, _, k)| {
            *s == exchange
                && match KINDS[exchange] {
                    "direct" => KEYS[*k] == key,
                    "topic" => word_match(&words(KEYS[*k]), &key_words),
                    _ => true,
                }
        });
        let found: Vec<usize> = matching.map(|(_, d, _)| *d).collect();
        for destination in &found {
            match destination {
                0..5 => drop(out.insert(*destination as u64)),
                _ => self.visit(destination - 5, key, seen, out),
            }
        }
        if let (true, Some(alternate)) = (found.is_empty(), self.alternates[exchange]) {
            self.visit(alternate, key, seen, out);
        }
    }
}

fn apply(router: &mut Router, step: &Step) {
    let destination = |d: usize| {
        if d < 5 {
            format!("q:q{d}")
        } else {
            format!("x:x{}", d - 5)
        }
    };
    let named = |s: usize, d: usize, k: usize| binding(&format!("x{s}"), &destination(d), KEYS[k]);
    match *step {
        Step::Bind(s, d, k) => drop(router.bind(Arc::new(named(s, d, k)))),
        Step::Unbind(s, d, k) => drop(router.unbind(&named(s, d, k))),
        Step::RemoveQueue(queue) => {
            router.remove_queue(&q(&format!("q{queue}")));
            router.add_queue(&q(&format!("q{queue}")), QueueId(queue as u64));
        }
        Step::Alternate(s, d) => router.set_alternate(&x(&format!("x{s}")), (d < 5).then(|| x(&format!("x{d}")))),
    }
}

proptest! {
    #[test]
    fn routing_agrees_with_a_naive_model(steps in prop::collection::vec(step(), 0..60)) {
        let mut naive = Naive::default();
        let mut router = Router::default();
        for (at, kind) in KINDS.iter().enumerate() {
            router.add_exchange(&x(&format!("x{at}")), kind.parse().unwrap(), HashOn::RoutingKey);
            router.add_queue(&q(&format!("q{at}")), QueueId(at as u64));
        }
        for step in &steps {
            let before = (router.clone(), route(&router, "x2", &["a.b"]));
            naive.apply(step);
            apply(&mut router, step);
            prop_assert_eq!(route(&before.0, "x2", &["a.b"]), before.1, "a clone never changes");
        }
        prop_assert_eq!(router.bindings().count(), naive.bindings.len());
        for exchange in 0..5 {
            for key in ["a", "a.b", "", "b", "x.b"] {
                let mut expected = BTreeSet::new();
                naive.visit(exchange, key, &mut BTreeSet::new(), &mut expected);
                let found = route(&router, &format!("x{exchange}"), &[key]);
                prop_assert_eq!(found, expected.into_iter().collect::<Vec<_>>(), "x{} {}", exchange, key);
            }
        }
    }
}

/// Queue ids and keepers of a message published to `exchange` with key `k`.
fn kept(router: &Router, exchange: &str, delayed: bool) -> (Vec<u64>, Routed) {
    let mut out = Queues::new();
    let mut message = Message {
        delayed,
        ..Message::default()
    };
    let routed = router.route(exchange, &[b"k"], &mut message, 0, &mut out).unwrap();
    (out.iter().map(|id| id.0).collect(), routed)
}

#[test]
fn a_delayed_message_ends_at_the_delaying_exchange_even_behind_another() {
    let router = router(
        "queue a 1\nqueue b 2\nexchange front fanout\nexchange late topic\nexchange lost fanout\ndelaying late
         alternate late lost\nbind front q:a -\nbind front x:late -\nbind late q:b #\nbind lost q:a -",
    );
    let held = |cacheable| Routed {
        cacheable,
        keepers: vec![Keeper::Delays(x("late"))],
    };
    assert_eq!(kept(&router, "late", true), (vec![], held(false)));
    assert_eq!(kept(&router, "front", true), (vec![1], held(false)));
    let passed = Routed {
        cacheable: false,
        keepers: vec![],
    };
    assert_eq!(kept(&router, "late", false), (vec![2], passed));
}

#[test]
fn an_exchange_with_a_history_is_named_and_the_message_goes_on() {
    let router = router(
        "queue a 1\nexchange front fanout\nexchange past x-recent-history\nbind front x:past -\nbind past q:a -",
    );
    let routed = Routed {
        cacheable: true,
        keepers: vec![Keeper::Remembers(x("past"))],
    };
    assert_eq!(kept(&router, "front", true), (vec![1], routed));
}
