//! A node that is marked as one that is to leave, as the operator does before it takes one out of a cluster: other nodes get the copies that would
//! go, whatever the policy says of synchronising, they lead what it led, and nothing new is placed there. Without the mark it is a node like others.

use crate::{
    broker::PATIENCE,
    evacuation::is_not_missed,
    hand_over::Clients,
    machines::{ALL, Machines},
    mirroring::{declare, drain, fill},
};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const TWO: &str = r#"{"ha-mode":"exactly","ha-params":2,"ha-sync-mode":"manual"}"#;

impl Machines {
    /// Marks it, takes the mark away or asks; what it says.
    fn leaving(&self, number: usize, method: &str) -> Value {
        let told = self.prove(number, (method, "/leaving"), "");
        let (_, body) = told.split_once("\r\n\r\n").unwrap();
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {told}"))
    }

    /// Waits until nothing is left to move off it.
    fn moves_off(&self, number: usize) {
        let deadline = Instant::now() + 3 * PATIENCE;
        while self.leaving(number, "GET") != json!({"is_marked": true, "left": 0}) {
            assert!(
                Instant::now() < deadline,
                "copies stay: {}",
                self.leaving(number, "GET")
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_nodes_have_what_a_leaving_node_had_before_it_goes_and_clients_go_on() {
    let machines = Machines::cluster(3);
    machines.ctl(1, &["set_policy", "two", "^two", TWO]);
    for (number, queue) in [(3, "two.led"), (1, "two.busy"), (1, "two.other")] {
        declare(&machines, number, queue).await;
    }
    fill(&machines, 3, "two.led", 3_000).await;
    let clients = Clients::start(&machines, "two.busy", &[1, 2], &[1, 2]).await;
    clients.go_on(50);
    machines.leaving(3, "PUT");
    machines.moves_off(3);
    for queue in ["two.led", "two.busy", "two.other"] {
        let row = machines.ctl(
            1,
            &[
                "-q",
                "list_queues",
                "--no-table-headers",
                "name",
                "leader",
                "synchronised_slave_pids",
            ],
        );
        let row = row.lines().find(|row| row.starts_with(queue)).unwrap().to_owned();
        assert!(
            !row.contains(ALL[2]) && row.contains(ALL[0]) && row.contains(ALL[1]),
            "{row}"
        );
    }
    is_not_missed(&machines, clients, "two.led", 3_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_new_is_placed_on_it_until_it_is_told_to_stay_and_a_restart_does_not_change_that() {
    let mut machines = Machines::cluster(2);
    machines.ctl(1, &["set_policy", "all", "^all", r#"{"ha-mode":"all"}"#]);
    assert_eq!(machines.leaving(2, "PUT"), json!({"is_marked": true, "left": 0}));
    machines.kill(2);
    machines.start_again(2);
    machines.becomes(1, "Running Nodes", &ALL[..2]);
    assert_eq!(machines.leaving(2, "GET")["is_marked"], true);
    declare(&machines, 2, "all.new").await;
    declare(&machines, 2, "new").await;
    for queue in ["all.new", "new"] {
        machines.shows(1, queue, "leader", &[ALL[0]]);
        machines.shows(1, queue, "slave_pids", &[]);
    }
    assert_eq!(machines.leaving(2, "DELETE")["is_marked"], false);
    machines.shows(1, "all.new", "slave_pids", &[ALL[1]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_and_leaders_of_queues_go_where_they_are_told_to() {
    let machines = Machines::cluster(3);
    machines.ctl(1, &["set_policy", "two", "^two", TWO]);
    declare(&machines, 3, "two.led").await;
    fill(&machines, 3, "two.led", 200).await;
    let put = |node: &str| machines.prove(3, ("PUT", &format!("/queues/%2F/two.led/copies/{node}")), "");
    for node in [ALL[0], ALL[1]] {
        assert!(put(node).starts_with("HTTP/1.1 204"));
    }
    let synchronise = machines.prove(1, ("POST", "/queues/%2F/two.led/sync"), "");
    assert!(
        synchronise.starts_with("HTTP/1.1 204"),
        "whoever is asked: {synchronise}"
    );
    machines.shows_mirrors(1, "two.led", 2);
    let order = format!(
        r#"{{"queues": [{{"vhost": "/", "name": "two.led"}}], "to": ["{}"]}}"#,
        ALL[1]
    );
    let moved = machines.prove(3, ("POST", "/transfers"), &order);
    assert!(moved.ends_with(r#"{"moved":1,"stay":0}"#), "{moved}");
    machines.shows(1, "two.led", "leader", &[ALL[1]]);
    let elsewhere = machines.prove(3, ("DELETE", &format!("/queues/%2F/two.led/copies/{}", ALL[0])), "");
    assert!(
        elsewhere.contains("409") && elsewhere.contains(&format!("is led by {}", ALL[1])),
        "{elsewhere}"
    );
    let expected: Vec<u32> = (0..200).collect();
    assert_eq!(drain(&machines, 1, "two.led").await, expected);
}
