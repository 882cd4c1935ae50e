//! The handbooks' cluster sessions with their very commands, several nodes on one machine: the cookie is shared, nodes join,
//! are looked at, stopped and started, and leave.

use crate::machines::{ALL, Machines};

#[test]
fn three_machines_become_a_cluster_and_one_leaves_it_again() {
    let machines = Machines::start(3);
    machines.ctl(1, &["add_user", "ann", "secret"]);
    machines.join(2, ALL[0]);
    machines.join(3, ALL[0]);
    for number in 1..=3 {
        machines.becomes(number, "Disk Nodes", &ALL);
        machines.becomes(number, "Running Nodes", &ALL);
        assert!(machines.ctl(number, &["-q", "list_users"]).contains("ann\t[]\n"));
    }
    machines.ctl(1, &["await_online_nodes", "3"]);
    // Definitions go everywhere, whichever machine is told.
    machines.ctl(3, &["add_vhost", "test"]);
    assert!(machines.ctl(1, &["-q", "list_vhosts"]).contains("test\n"));
    // A replica is stopped and started.
    machines.ctl(2, &["stop_app"]);
    machines.becomes(1, "Running Nodes", &[ALL[0], ALL[2]]);
    machines.ctl(2, &["start_app"]);
    machines.becomes(1, "Running Nodes", &ALL);
    let running = machines.refused(1, &["forget_cluster_node", ALL[2]]);
    assert_eq!(running.0, 69);
    assert!(
        running
            .1
            .contains("must be stopped with 'rabbitmqctl -n mq3@localhost stop_app'"),
        "{running:?}"
    );
    machines.ctl(3, &["stop_app"]);
    assert_eq!(machines.ctl(3, &["reset"]), "Resetting node mq3@localhost ...\n");
    machines.becomes(1, "Disk Nodes", &ALL[..2]);
    machines.ctl(3, &["start_app"]);
    machines.becomes(3, "Disk Nodes", &ALL[2..]);
    assert!(!machines.ctl(3, &["-q", "list_users"]).contains("ann"));
}
