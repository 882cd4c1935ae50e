//! Which node leads the definitions is moved by word, because somebody with the cluster's secret wants it or because the one that leads is about to
//! go: whoever declares meanwhile, at any node, is answered, once, and does not wait for an election.

use crate::{
    broker::PATIENCE,
    machines::{ALL, Machines},
    mirroring::channel,
};
use lapin::{
    options::{QueueDeclareOptions, QueueDeleteOptions},
    types::FieldTable,
};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::task::JoinHandle;

/// No declaration may take longer. A move takes a few milliseconds; a loaded machine needs some.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Clients that declare, and delete every second queue again, one after the other, until they are told to end.
struct Declarers {
    over: Arc<AtomicBool>,
    all: Vec<JoinHandle<(BTreeSet<String>, usize, Duration)>>,
}

impl Declarers {
    async fn start(machines: &Machines, numbers: &[usize], prefix: &str) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let mut all = Vec::new();
        for number in numbers {
            let (channel, over) = (channel(machines, *number).await, over.clone());
            let name = format!("{prefix}.{number}");
            all.push(tokio::spawn(async move {
                let (mut there, mut asked, mut longest) = (BTreeSet::new(), 0, Duration::ZERO);
                while !over.load(Ordering::Relaxed) {
                    let (queue, begun) = (format!("{name}.{asked}"), Instant::now());
                    let options = QueueDeclareOptions::durable();
                    let declared = channel.queue_declare(queue.as_str().into(), options, FieldTable::default());
                    declared.await.unwrap();
                    longest = longest.max(begun.elapsed());
                    if asked % 2 == 0 {
                        there.insert(queue);
                    } else {
                        let begun = Instant::now();
                        let deleted = channel.queue_delete(queue.as_str().into(), QueueDeleteOptions::default());
                        deleted.await.unwrap();
                        longest = longest.max(begun.elapsed());
                    }
                    asked += 1;
                }
                (there, asked, longest)
            }));
        }
        Declarers { over, all }
    }

    /// What must be there; how many were declared, and how long the longest has waited.
    async fn end(self) -> (BTreeSet<String>, usize, Duration) {
        self.over.store(true, Ordering::Relaxed);
        let (mut there, mut asked, mut longest) = (BTreeSet::new(), 0, Duration::ZERO);
        for declarer in self.all {
            let (own, count, wait) = declarer.await.unwrap();
            there.extend(own);
            asked += count;
            longest = longest.max(wait);
        }
        (there, asked, longest)
    }
}

impl Machines {
    fn leader_by(&self, number: usize) -> Option<usize> {
        let told = self.say(number, ("GET", "/cluster"), "", "");
        let told: Value = serde_json::from_str(told.split_once("\r\n\r\n")?.1).ok()?;
        ALL.iter()
            .position(|name| told["leader"] == *name)
            .map(|place| place + 1)
    }

    /// Which one leads, in the eyes of all of these.
    fn leader(&self, numbers: &[usize]) -> usize {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let named: BTreeSet<Option<usize>> = numbers.iter().map(|number| self.leader_by(*number)).collect();
            if let (1, Some(Some(leader))) = (named.len(), named.first()) {
                return *leader;
            }
            assert!(Instant::now() < deadline, "they do not agree: {named:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Status and body.
    fn lead(&self, asked: usize, order: &Value) -> (u16, Value) {
        let told = self.prove(asked, ("POST", "/leader"), &order.to_string());
        let (head, body) = told.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (
            status,
            serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {told}")),
        )
    }

    /// Has a node lead that does not; true if that was done at once. A move is given up that takes longer than those who declare should wait, as it may on a
    /// machine that is busy with other things, and can be ordered again.
    fn move_to(&self, next: usize) -> bool {
        let deadline = Instant::now() + PATIENCE;
        let mut is_first = true;
        loop {
            let leader = self.leader(&[1, 2, 3]);
            let (status, told) = self.lead(leader, &json!({"to": ALL[next - 1]}));
            if status == 200 {
                assert!(
                    !is_first || told == json!({"leader": ALL[next - 1], "moves": true}),
                    "{told}"
                );
                return is_first;
            }
            let why = told["reason"].as_str().unwrap();
            let is_late = ["within", "takes too long", "is not up to date"]
                .iter()
                .any(|late| why.contains(late));
            assert!(is_late && Instant::now() < deadline, "{why}: {}", self.log(leader));
            is_first = false;
        }
    }

    /// How often this node has handed the leadership over.
    fn handed_over(&self, number: usize) -> usize {
        let said = "the leadership of the definitions was handed over to";
        self.log(number).matches(said).count()
    }

    /// Nobody has stood for election because the one who led was missed.
    fn nobody_was_missed(&self) {
        for number in 1..=self.nodes.len() {
            let log = self.log(number);
            assert!(!log.contains("is gone: this node stands for election"), "{log}");
        }
    }

    fn queues(&self, number: usize) -> BTreeSet<String> {
        let listed = self.ctl(number, &["-q", "list_queues", "--no-table-headers", "name"]);
        listed.lines().map(str::to_owned).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_declares_at_any_node_is_answered_soon_and_once_while_leadership_moves_back_and_forth() {
    let machines = Machines::cluster(3);
    let declarers = Declarers::start(&machines, &[1, 2, 3], "d").await;
    let mut at_once = 0;
    for time in 0..20 {
        let leader = machines.leader(&[1, 2, 3]);
        let next = (leader + time % 2) % 3 + 1;
        let order = json!({"to": ALL[next - 1]});
        let would = json!({"to": ALL[next - 1], "dry_run": true});
        let moved = json!({"leader": ALL[next - 1], "moves": true});
        assert_eq!(machines.lead(leader, &would), (200, moved));
        assert_eq!(machines.leader(&[1, 2, 3]), leader, "it was only asked");
        at_once += usize::from(machines.move_to(next));
        assert_eq!(machines.leader(&[1, 2, 3]), next);
        // Ordered again, as after an answer that was lost: it is so.
        let so = json!({"leader": ALL[next - 1], "moves": false});
        assert_eq!(machines.lead(leader, &order), (200, so.clone()));
        assert_eq!(machines.lead(next, &order), (200, so));
    }
    assert!(at_once > 10, "of 20 moves {at_once}");
    let leader = machines.leader(&[1, 2, 3]);
    let (status, why) = machines.lead(leader, &json!({"to": "mq9@localhost"}));
    assert!(
        status == 409 && why["reason"].as_str().unwrap().contains("has no node mq9@localhost"),
        "{why}"
    );
    let (status, why) = machines.lead(leader % 3 + 1, &json!({"to": ALL[(leader + 1) % 3]}));
    assert!(
        status == 409 && why["reason"].as_str().unwrap().contains("does: ask that one"),
        "{why}"
    );
    let (there, asked, longest) = declarers.end().await;
    assert!(
        longest < LONGEST_WAIT,
        "of {asked} who declared somebody has waited for {longest:?}"
    );
    for number in 1..=3 {
        assert_eq!(machines.queues(number), there);
    }
    if at_once == 20 {
        machines.nobody_was_missed();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_node_that_leads_has_another_lead_before_it_is_drained_is_to_leave_or_stops() {
    let mut machines = Machines::cluster(3);
    let mut is_busy = false;
    for (way, back) in [
        ("drain", "revive"),
        ("leave", "stay"),
        ("stop_app", "start_app"),
        ("end", "start"),
    ] {
        // What a loaded machine makes of one attempt says nothing.
        while !goes_by_word(&mut machines, way, back).await {
            assert!(!is_busy, "{way}: without a word for the second time");
            is_busy = true;
        }
    }
    if !is_busy {
        machines.nobody_was_missed();
    }
}

/// The one that leads goes in this way and comes back, while others declare; true if it had another lead before.
async fn goes_by_word(machines: &mut Machines, way: &str, back: &str) -> bool {
    let leader = machines.leader(&[1, 2, 3]);
    let others: Vec<usize> = (1..=3).filter(|number| *number != leader).collect();
    let (declarers, before) = (
        Declarers::start(machines, &others, way).await,
        machines.handed_over(leader),
    );
    go(machines, leader, way);
    let next = machines.leader(&others);
    let by_word = machines.handed_over(leader) > before;
    let (there, asked, longest) = declarers.end().await;
    assert!(
        longest < LONGEST_WAIT,
        "{way}: of {asked} who declared somebody has waited for {longest:?}"
    );
    go(machines, leader, back);
    let listed = machines.queues(others[0]);
    let lost: Vec<&String> = there.difference(&listed).collect();
    assert!(lost.is_empty(), "{way}: {lost:?} of {there:?} are not among {listed:?}");
    machines.becomes(1, "Running Nodes", &ALL);
    assert!(!by_word || next != leader, "{way}");
    by_word
}

/// Has a node go, or stay after all.
fn go(machines: &mut Machines, number: usize, way: &str) {
    match way {
        "drain" | "revive" => drop(machines.tool("rabbitmq-upgrade", number, &[way])),
        "leave" => drop(machines.prove(number, ("PUT", "/leaving"), "")),
        "stay" => drop(machines.prove(number, ("DELETE", "/leaving"), "")),
        "stop_app" | "start_app" => drop(machines.ctl(number, &[way])),
        "end" => {
            let process = &mut machines.nodes[number - 1].process;
            let told = Command::new("kill").args(["-TERM", &process.id().to_string()]).status();
            assert!(told.unwrap().success());
            process.wait().unwrap();
        }
        "start" => machines.start_again(number),
        other => panic!("{other}"),
    }
}
