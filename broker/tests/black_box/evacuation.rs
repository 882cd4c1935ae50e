//! A node whose queues with one copy are ordered away, as the operator does before it takes the node out of a cluster for good: they are led elsewhere
//! while clients go on, nothing that was confirmed is lost, and what cannot move stays.

use crate::{
    broker::PATIENCE,
    hand_over::Clients,
    machines::{ALL, Machines},
    mirroring::{channel, declare, drain, fill},
};
use lapin::{options::QueueDeclareOptions, types::FieldTable};
use link::{Cookie, Errand};
use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

impl Machines {
    /// Says something on an admin port, and hears the whole answer.
    pub(crate) fn say(&self, number: usize, (method, target): (&str, &str), body: &str, proof: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.nodes[number - 1].admin)).unwrap();
        let bytes = body.len();
        let head = format!(
            "{method} {target} HTTP/1.1\r\nhost: node\r\nconnection: close\r\ncontent-length: {bytes}\r\n{proof}\r\n"
        );
        stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// The same with the proof of the cluster's secret.
    pub(crate) fn prove(&self, number: usize, (method, target): (&str, &str), body: &str) -> String {
        let asked = self.say(number, (method, target), "", "");
        let challenge = asked
            .lines()
            .find_map(|line| line.strip_prefix("www-authenticate: "))
            .unwrap();
        let nonce = link::errand_nonce(challenge).unwrap();
        let errand = Errand {
            method,
            target,
            body: body.as_bytes(),
        };
        let cookie = Cookie::new("CWQUYERKZHUAGOEQMZZU", "test").unwrap();
        let words = link::errand_proof(&cookie, &nonce, errand);
        self.say(number, (method, target), body, &format!("authorization: {words}\r\n"))
    }

    /// Orders it, or asks; how many queues are left.
    fn evacuate(&self, number: usize, method: &str, body: &str) -> u64 {
        let told = self.prove(number, (method, "/evacuation"), body);
        let left = told.split_once("{\"left\":").and_then(|(_, rest)| rest.split_once('}'));
        left.unwrap_or_else(|| panic!("{told}")).0.parse().unwrap()
    }

    /// Waits until only so many are left, and asks again meanwhile or not.
    fn evacuated(&self, number: usize, to: &str, left: u64) {
        let deadline = Instant::now() + 3 * PATIENCE;
        while self.evacuate(number, "PUT", to) > left {
            assert!(Instant::now() < deadline, "queues stay: {}", self.log(number));
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Node 3 goes while clients of the others work, and of these messages in that queue none is missing.
pub(crate) async fn is_not_missed(machines: &Machines, clients: Clients, queue: &str, count: u32) {
    clients.go_on(50);
    machines.ctl(3, &["stop_app"]);
    machines.ctl(3, &["reset"]);
    clients.go_on(50);
    clients.end(machines).await;
    let expected: Vec<u32> = (0..count).collect();
    assert_eq!(drain(machines, 1, queue).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn queues_with_one_copy_move_to_another_node_while_clients_go_on_and_their_node_may_leave() {
    let machines = Machines::cluster(3);
    for queue in ["busy", "full", "empty"] {
        declare(&machines, 3, queue).await;
    }
    fill(&machines, 3, "full", 3_000).await;
    let clients = Clients::start(&machines, "busy", &[1, 2], &[1, 2]).await;
    clients.go_on(50);
    assert_eq!(machines.evacuate(3, "GET", ""), 3);
    let to = format!(r#"{{"to":["{}"]}}"#, ALL[0]);
    machines.evacuated(3, &to, 0);
    for queue in ["busy", "full", "empty"] {
        machines.shows(1, queue, "leader", &[ALL[0]]);
        machines.shows(1, queue, "slave_pids", &[]);
    }
    is_not_missed(&machines, clients, "full", 3_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_dies_while_its_queues_move_has_lost_none_of_their_messages_and_goes_on_when_it_is_told_again() {
    let mut machines = Machines::cluster(3);
    let queues: Vec<String> = (0..20).map(|number| format!("queue.{number}")).collect();
    for queue in &queues {
        declare(&machines, 3, queue).await;
        fill(&machines, 3, queue, 500).await;
    }
    let to = format!(r#"{{"to":["{}"]}}"#, ALL[0]);
    machines.evacuate(3, "PUT", &to);
    // Copies have begun then, and some lead already, or none.
    std::thread::sleep(Duration::from_millis(300));
    machines.kill(3);
    machines.start_again(3);
    machines.becomes(1, "Running Nodes", &ALL);
    machines.evacuated(3, &to, 0);
    let expected: Vec<u32> = (0..500).collect();
    for queue in &queues {
        machines.shows(1, queue, "leader", &[ALL[0]]);
        assert_eq!(drain(&machines, 1, queue).await, expected, "{queue}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_dies_while_queues_move_to_it_costs_none_of_their_messages_and_another_gets_those_that_had_not_arrived()
 {
    let mut machines = Machines::cluster(3);
    let queues: Vec<String> = (0..20).map(|number| format!("queue.{number}")).collect();
    for queue in &queues {
        declare(&machines, 3, queue).await;
        fill(&machines, 3, queue, 500).await;
    }
    machines.evacuate(3, "PUT", &format!(r#"{{"to":["{}"]}}"#, ALL[0]));
    std::thread::sleep(Duration::from_millis(300));
    machines.kill(1);
    machines.evacuated(3, &format!(r#"{{"to":["{}","{}"]}}"#, ALL[0], ALL[1]), 0);
    machines.start_again(1);
    machines.becomes(2, "Running Nodes", &ALL);
    let expected: Vec<u32> = (0..500).collect();
    for queue in &queues {
        assert_eq!(drain(&machines, 2, queue).await, expected, "{queue}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_with_an_alarm_gets_no_queue_until_it_is_over() {
    let machines = Machines::cluster(2);
    declare(&machines, 2, "waits").await;
    let alarm = |word: &str| format!("rabbit_alarm:{word}.");
    machines.ctl(1, &["eval", &alarm("set_alarm({{resource_limit, disk, node()}, []})")]);
    let deadline = Instant::now() + PATIENCE;
    while !machines.tool("rabbitmq-diagnostics", 2, &["alarms"]).contains(ALL[0]) {
        assert!(Instant::now() < deadline, "node 2 does not hear of the alarm");
        std::thread::sleep(Duration::from_millis(20));
    }
    machines.evacuate(2, "PUT", r#"{"to":[]}"#);
    std::thread::sleep(Duration::from_secs(1));
    machines.shows(1, "waits", "leader", &[ALL[1]]);
    machines.ctl(1, &["eval", &alarm("clear_alarm({resource_limit, disk, node()})")]);
    machines.evacuated(2, r#"{"to":[]}"#, 0);
    machines.shows(1, "waits", "leader", &[ALL[0]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ends_with_its_connection_and_what_a_policy_ties_to_the_node_stays() {
    let machines = Machines::cluster(2);
    let own = channel(&machines, 2).await;
    let exclusive = QueueDeclareOptions {
        exclusive: true,
        ..QueueDeclareOptions::default()
    };
    let declared = own.queue_declare("mine".into(), exclusive, FieldTable::default());
    declared.await.unwrap();
    let nodes = format!(r#"{{"ha-mode":"nodes","ha-params":["{}"]}}"#, ALL[1]);
    machines.ctl(1, &["set_policy", "tied", "^tied", &nodes]);
    declare(&machines, 2, "tied").await;
    let one = r#"{"ha-mode":"exactly","ha-params":1}"#;
    machines.ctl(1, &["set_policy", "one", "^one", one]);
    declare(&machines, 2, "one").await;
    machines.evacuated(2, r#"{"to":[]}"#, 0);
    machines.shows(1, "one", "leader", &[ALL[0]]);
    for queue in ["mine", "tied"] {
        machines.shows(2, queue, "leader", &[ALL[1]]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_nobody_meant_gets_nothing() {
    let machines = Machines::cluster(2);
    declare(&machines, 2, "stays").await;
    assert_eq!(machines.evacuate(2, "PUT", r#"{"to":["mq9@localhost"]}"#), 1);
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(machines.evacuate(2, "GET", ""), 1);
    machines.shows(1, "stays", "leader", &[ALL[1]]);
    let refused = machines.say(2, ("PUT", "/evacuation"), r#"{"to":[]}"#, "");
    assert!(
        refused.starts_with("HTTP/1.1 401 "),
        "who proves nothing orders nothing: {refused}"
    );
}
