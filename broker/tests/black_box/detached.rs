//! `rabbitmq-server -detached`: the shell is back at once, the broker is there, and `wait` finds it by its pid file.

use crate::{broker::PATIENCE, ports::free_addresses};
use std::{
    fs,
    os::unix::fs::symlink,
    path::Path,
    process::{Command, Output},
    time::{Duration, Instant},
};

/// The directory of one node, and how its tools are called.
struct Place {
    directory: tempfile::TempDir,
    ports: [u16; 3],
}

impl Place {
    fn call(&self, tool: &str, arguments: &[&str]) -> Output {
        let own = |name: &str| self.directory.path().join(name);
        let name = own(tool);
        if !name.exists() {
            symlink(env!("CARGO_BIN_EXE_warren"), &name).unwrap();
        }
        Command::new(name)
            .args(arguments)
            .env("HOME", self.directory.path())
            .env("RABBITMQ_NODENAME", "detached@localhost")
            .env("RABBITMQ_NODE_PORT", self.ports[0].to_string())
            .env("RABBITMQ_DIST_PORT", self.ports[1].to_string())
            .env("ERL_EPMD_PORT", self.ports[2].to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_MNESIA_BASE", own("mnesia"))
            .env("RABBITMQ_LOG_BASE", own("log"))
            .env("RABBITMQ_CONFIG_FILE", own("rabbitmq.conf"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", own("enabled_plugins"))
            .env("RABBITMQ_PID_FILE", own("pid"))
            .output()
            .unwrap()
    }

    fn said(&self, tool: &str, arguments: &[&str]) -> String {
        let output = self.call(tool, arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {errors}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn has(&self, name: &str) -> bool {
        self.directory.path().join(name).exists()
    }
}

#[test]
fn a_detached_server_is_found_by_its_pid_file_and_its_name_and_leaves_no_file() {
    let ports = free_addresses::<3>().map(|address| address.port());
    let directory = tempfile::tempdir().unwrap();
    let place = Place { directory, ports };
    let [admin] = free_addresses();
    let settings = format!(
        "admin.tcp.port = {}\nlisteners.tcp.1 = 127.0.0.1:{}\n",
        admin.port(),
        ports[0]
    );
    fs::write(place.directory.path().join("rabbitmq.conf"), settings).unwrap();
    assert_eq!(place.said("rabbitmq-server", &["-detached"]), "");
    let pid_file = place.directory.path().join("pid");
    let file = pid_file.to_str().unwrap();
    let waited = place.said("rabbitmqctl", &["wait", file, "--timeout", "60"]);
    let up = "Applications 'rabbit_and_plugins' are running on node 'detached@localhost'\n";
    assert!(waited.ends_with(up), "{waited}");
    let pid = fs::read_to_string(&pid_file).unwrap().trim().to_owned();
    assert!(waited.contains(&format!("\npid is {pid}\n")), "{waited}");
    assert!(place.has("mnesia/detached@localhost/warren.json") && place.has("log/detached@localhost.log"));
    // By name: the port that the environment gives is that of its own node.
    let other = place.call("rabbitmqctl", &["-n", "absent@localhost", "status"]);
    let told = String::from_utf8_lossy(&other.stderr).into_owned();
    assert_eq!(other.status.code(), Some(69), "{told}");
    let reports =
        "  * epmd reports: node 'absent' not running at all\n                  other nodes on localhost: [detached]\n";
    assert!(told.contains(reports), "{told}");
    place.said("rabbitmqctl", &["stop", file]);
    let deadline = Instant::now() + PATIENCE;
    while Path::new(&format!("/proc/{pid}")).exists() || pid_file.exists() {
        assert!(Instant::now() < deadline, "it does not end");
        std::thread::sleep(Duration::from_millis(10));
    }
    let odd = place.call("rabbitmq-server", &["-attached"]);
    assert_eq!(odd.status.code(), Some(64));
}
