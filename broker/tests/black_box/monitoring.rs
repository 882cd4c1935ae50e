//! What nodes tell Prometheus of mirrored queues, seen from outside while leaders stop and die: what is in sync, and who took over for which
//! cause. Alerts are made of these numbers.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    process::Command,
    time::Instant,
};

use crate::{
    broker::PATIENCE,
    machines::{ALL, Machines},
    mirroring::{declare, publish},
    ports::free_addresses,
};

/// What a node tells, if it tells anything.
fn page(at: SocketAddr) -> std::io::Result<String> {
    let mut socket = TcpStream::connect(at)?;
    write!(
        socket,
        "GET /metrics HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n"
    )?;
    let mut page = String::new();
    socket.read_to_string(&mut page)?;
    Ok(page)
}

/// Waits until the node tells these lines.
fn tells(at: SocketAddr, lines: &[&str]) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let page = page(at).unwrap_or_default();
        if lines.iter().all(|line| page.lines().any(|told| told == *line)) {
            return;
        }
        let told: Vec<_> = page.lines().filter(|line| line.starts_with("warren_")).collect();
        assert!(Instant::now() < deadline, "{lines:?} are not told: {told:#?}");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

/// What the node tells of a family without labels; nothing is zero.
fn number(at: SocketAddr, family: &str) -> f64 {
    let page = page(at).unwrap_or_default();
    let line = page
        .lines()
        .find_map(|line| line.strip_prefix(family)?.strip_prefix(' '));
    line.and_then(|number| number.parse().ok()).unwrap_or_default()
}

/// Sends a signal to a process of ours.
fn signal(process: u32, signal: &str) {
    let sent = Command::new("kill").args([signal, &process.to_string()]).status();
    assert!(sent.unwrap().success());
}

/// Waits until one of these nodes tells the line.
fn took_over(nodes: &[SocketAddr], line: &str) {
    let deadline = Instant::now() + PATIENCE;
    let does = |at: &&SocketAddr| page(**at).unwrap_or_default().lines().any(|told| told == line);
    while nodes.iter().filter(does).count() != 1 {
        assert!(Instant::now() < deadline, "'{line}' is not told by one of {nodes:?}");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn operations_that_a_mirror_lacks_are_told_until_it_has_them() {
    let ports: [SocketAddr; 2] = free_addresses();
    let settings = ports.map(|port| format!("prometheus.tcp.ip = 127.0.0.1\nprometheus.tcp.port = {}", port.port()));
    let machines = Machines::start_with(settings.into()).joined();
    machines.tool("rabbitmq-plugins", 1, &["enable", "rabbitmq_prometheus"]);
    let policy = r#"{"ha-mode":"all","ha-sync-mode":"automatic"}"#;
    machines.ctl(1, &["set_policy", "--apply-to", "queues", "ha-all", "^test", policy]);
    declare(&machines, 1, "test").await;
    publish(&machines, 1, "test", 0..20).await;
    machines.shows(2, "test", "synchronised_slave_pids", &[ALL[1]]);
    tells(
        ports[0],
        &["warren_mirror_lag_operations 0", "warren_messages_to_synchronise 0"],
    );
    assert!(number(ports[0], "warren_definitions_commits_total") > 1.0);
    assert!(number(ports[0], "warren_definitions_commit_seconds_total") > 0.0);
    let (leader, frozen) = (ports[0], machines.nodes[1].process.id());
    signal(frozen, "-STOP");
    let watcher = std::thread::spawn(move || {
        let deadline = Instant::now() + PATIENCE;
        while number(leader, "warren_mirror_lag_operations") == 0.0 {
            assert!(Instant::now() < deadline, "no operation is missed");
        }
        signal(frozen, "-CONT");
    });
    publish(&machines, 1, "test", 20..21).await;
    watcher.join().unwrap();
    tells(ports[0], &["warren_mirror_lag_operations 0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_lost_and_one_that_stops_are_told_apart() {
    let ports: [SocketAddr; 3] = free_addresses();
    let settings = ports.map(|port| {
        let at = port.port();
        format!("prometheus.tcp.ip = 127.0.0.1\nprometheus.tcp.port = {at}")
    });
    let mut machines = Machines::start_with(settings.into()).joined();
    for number in 1..=3 {
        machines.tool("rabbitmq-plugins", number, &["enable", "rabbitmq_prometheus"]);
    }
    let policy = r#"{"ha-mode":"all","ha-sync-mode":"automatic"}"#;
    machines.ctl(1, &["set_policy", "--apply-to", "queues", "ha-all", "^test", policy]);
    declare(&machines, 1, "test").await;
    publish(&machines, 1, "test", 0..20).await;
    machines.shows(2, "test", "synchronised_slave_pids", &[ALL[1], ALL[2]]);
    tells(
        ports[0],
        &[
            "warren_serving 1",
            "warren_mirrored_queues 1",
            "warren_mirrors 2",
            "warren_mirrors_unsynchronised 0",
            "warren_queues_without_synchronised_mirror 0",
            "warren_queues_without_leader 0",
        ],
    );
    let (elected, told) = (
        "warren_definitions_taken_over_total{cause=\"election\"}",
        "warren_definitions_taken_over_total{cause=\"word\"}",
    );
    tells(ports[0], &[&format!("{elected} 1"), &format!("{told} 0")]);
    machines.ctl(1, &["stop_app"]);
    took_over(&ports[1..], &format!("{told} 1"));
    machines.shows(2, "test", "leader", &[ALL[1]]);
    let (planned, lost) = (
        "warren_queues_taken_over_total{cause=\"plan\"}",
        "warren_queues_taken_over_total{cause=\"loss\"}",
    );
    tells(
        ports[1],
        &[
            &format!("{planned} 1"),
            &format!("{lost} 0"),
            "warren_mirrored_queues 1",
        ],
    );
    machines.ctl(1, &["start_app"]);
    machines.shows(2, "test", "synchronised_slave_pids", &[ALL[0], ALL[2]]);
    machines.kill(2);
    took_over(&[ports[0], ports[2]], &format!("{lost} 1"));
    tells(ports[2], &["warren_queues_without_leader 0"]);
}
