//! The image alone, without Kubernetes and without arguments: what is in it, as whom it runs, and that it is a working broker. Each
//! container is removed again, also when a check fails.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use crate::amqp::Login;
use crate::check::{Checks, Outcome, equal, says, within};
use crate::run::run;

const HOST: &str = "127.0.0.1";
const START: Duration = Duration::from_secs(20);
/// Runs a container with limits of our own, since an engine's defaults may be above what this machine allows.
const RUN: [&str; 5] = ["run", "--ulimit", "nofile=4096:4096", "--ulimit", "nproc=4096:4096"];
/// What may be run: the two binaries, and each of RabbitMQ's names that the first answers to.
const PROGRAMS: [&str; 10] = [
    "rabbitmq-diagnostics",
    "rabbitmq-plugins",
    "rabbitmq-queues",
    "rabbitmq-server",
    "rabbitmq-streams",
    "rabbitmq-upgrade",
    "rabbitmqadmin",
    "rabbitmqctl",
    "warren",
    "warren-operator",
];

/// Makes all checks of the image.
pub(crate) fn checks(image: &str, checks: &mut Checks) {
    let engine = engine();
    checks.needed("the image is there", || {
        run(&engine, &["image", "inspect", image]).map(drop)
    });
    checks.check(
        "it holds its binaries, their names and configuration, and nothing else",
        || contents(&engine, image),
    );
    checks.check("it runs as user 999 and keeps its data in a volume", || {
        settings(&engine, image)
    });
    started_with_a_user(&engine, image, checks);
    checks.check("without a default user, guest may log in from anywhere", || {
        let broker = Container::start(&engine, image, &[])?;
        broker.login("guest", "guest").put("q", 1)
    });
    checks.check("under the name rabbitmq-server it is the same server", || {
        Container::start(&engine, image, &["--entrypoint", "/usr/bin/rabbitmq-server"]).map(drop)
    });
    checks.check("the operator is in it", || {
        let help = ["--rm", "--entrypoint", "/usr/bin/warren-operator", image, "--help"];
        says(&run(&engine, &[runtime(&engine), &RUN[..], &help].concat())?, "preview")
    });
    checks.check(
        "it runs with a read-only root, without capabilities, as an unknown user",
        || hardened(&engine, image),
    );
}

/// The checks of one broker that is started as README tells.
fn started_with_a_user(engine: &str, image: &str, checks: &mut Checks) {
    let user = ["-e", "RABBITMQ_DEFAULT_USER=ann", "-e", "RABBITMQ_DEFAULT_PASS=secret"];
    let mut started = None;
    checks.needed("it starts without arguments and listens on the published ports", || {
        started = Some(Container::start(engine, image, &user)?);
        Ok(())
    });
    let Some(broker) = started else { return };
    let ann = broker.login("ann", "secret");
    checks.check("the default user publishes and takes messages", || {
        ann.put("q", 100)?;
        ann.take("q", 100)
    });
    checks.check("a wrong password is refused", || {
        says(&broker.login("ann", "wrong").refusal()?, "ACCESS_REFUSED")
    });
    checks.check("guest is gone when another default user was asked for", || {
        says(&broker.login("guest", "guest").refusal()?, "ACCESS_REFUSED")
    });
    checks.check("the management API answers the default user", || {
        says(&broker.http("/api/whoami", "YW5uOnNlY3JldA==")?, "\"name\":\"ann\"") // ann:secret
    });
    checks.check("the log is on standard output", || {
        says(&run(engine, &["logs", &broker.id])?, "5672")
    });
    checks.check(
        "SIGTERM tells the clients and ends it in good time with status 0",
        || {
            let reason = ann.end_of_connection(|| run(engine, &["stop", "-t", "20", &broker.id]).map(drop))?;
            says(&reason, "CONNECTION_FORCED")?;
            equal(
                run(engine, &["inspect", &broker.id, "--format", "{{.State.ExitCode}}"])?.trim(),
                "0",
            )
        },
    );
    checks.check("the same container starts again on its volume", || {
        run(engine, &["start", &broker.id])?;
        broker.wait()?;
        ann.put("q", 1)
    });
}

fn contents(engine: &str, image: &str) -> Outcome {
    let container = run(engine, &["create", image])?;
    let archive = std::env::temp_dir().join(format!("warren-image-{}.tar", std::process::id()));
    let archive = archive.to_string_lossy().into_owned();
    let listed =
        run(engine, &["export", "-o", &archive, container.trim()]).and_then(|_| run("tar", &["-tf", &archive]));
    drop(std::fs::remove_file(&archive)); // it may never have been written
    run(engine, &["rm", "-v", container.trim()])?;
    let ours = [
        "usr/bin/",
        "etc/rabbitmq/",
        "etc/passwd",
        "etc/group",
        "var/lib/rabbitmq/",
    ];
    let engines_own = [
        "etc/hosts",
        "etc/hostname",
        "etc/resolv.conf",
        "etc/mtab",
        "dev/",
        "proc/",
        "sys/",
        "run/",
        ".dockerenv",
    ];
    let listed = listed?;
    let folders = |name: &str| name.ends_with('/') && ours.iter().any(|known| known.starts_with(name));
    let known = |name: &str| ours.iter().chain(&engines_own).any(|known| name.starts_with(known));
    let strange: Vec<_> = listed.lines().filter(|name| !folders(name) && !known(name)).collect();
    equal(strange, vec![])?;
    let mut programs: Vec<_> = listed
        .lines()
        .filter_map(|name| name.strip_prefix("usr/bin/"))
        .filter(|name| !name.is_empty())
        .collect();
    programs.sort_unstable();
    equal(programs, PROGRAMS.to_vec())
}

fn settings(engine: &str, image: &str) -> Outcome {
    let about =
        |what: &str| run(engine, &["image", "inspect", image, "--format", what]).map(|said| said.trim().to_owned());
    equal(about("{{.Config.User}}")?.as_str(), "999:999")?;
    says(&about("{{.Config.Volumes}}")?, "/var/lib/rabbitmq")
}

fn hardened(engine: &str, image: &str) -> Outcome {
    let options = [
        "--read-only",
        "--cap-drop",
        "ALL",
        "--security-opt",
        "no-new-privileges",
        "--user",
        "12345:0",
        "--tmpfs",
        "/var/lib/rabbitmq:mode=1777",
    ];
    let broker = Container::start(engine, image, &options)?;
    broker.login("guest", "guest").put("q", 1)
}

fn engine() -> String {
    let docker = || run("docker", &["info"]).is_ok();
    std::env::var("WARREN_ENGINE").unwrap_or_else(|_| if docker() { "docker".into() } else { "podman".into() })
}

/// Podman's usual runtime refuses machines that have both versions of control groups; runc does not.
fn runtime(engine: &str) -> &'static [&'static str] {
    let has_both = Path::new("/sys/fs/cgroup/unified").exists();
    if engine == "podman" && has_both {
        &["--runtime", "runc"]
    } else {
        &[]
    }
}

/// A running broker; removed with its volume when dropped.
struct Container {
    engine: String,
    id: String,
    amqp: u16,
    management: u16,
}

impl Container {
    fn start(engine: &str, image: &str, options: &[&str]) -> Outcome<Self> {
        let (amqp, management) = (free_port()?, free_port()?);
        let ports = [format!("{HOST}:{amqp}:5672"), format!("{HOST}:{management}:15672")];
        let published = ["-d", "-p", &ports[0], "-p", &ports[1]];
        let arguments = [runtime(engine), &RUN, &published, options, &[image]].concat();
        let id = run(engine, &arguments)?.trim().to_owned();
        let container = Self {
            engine: engine.into(),
            id,
            amqp,
            management,
        };
        container.wait()?;
        Ok(container)
    }

    fn wait(&self) -> Outcome {
        within(START, || self.greets()).map_err(|reason| {
            let log = run(&self.engine, &["logs", &self.id]).unwrap_or_else(|error| error);
            format!("{reason}; its log:\n{log}")
        })
    }

    /// Whether the broker itself answers: an engine's proxy takes connections before there is anything behind it.
    fn greets(&self) -> Outcome {
        let greeting = ask(self.amqp, b"AMQP\x00\x00\x09\x01", 8)?;
        if greeting.first() == Some(&1) {
            Ok(())
        } else {
            Err(format!("no greeting on port {}: {greeting:?}", self.amqp))
        }
    }

    fn login<'a>(&self, user: &'a str, password: &'a str) -> Login<'a> {
        Login {
            host: HOST,
            port: self.amqp,
            user,
            password,
        }
    }

    /// Body and head of the answer to a GET with basic authentication.
    fn http(&self, path: &str, credentials: &str) -> Outcome<String> {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Basic {credentials}\r\nConnection: close\r\n\r\n"
        );
        let answer = ask(self.management, request.as_bytes(), 1 << 20)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // Nothing is left to do about a container that cannot be removed.
        drop(run(&self.engine, &["rm", "-f", "-v", &self.id]));
    }
}

/// Sends, and reads until `enough` bytes came or the peer closed.
fn ask(port: u16, request: &[u8], enough: u64) -> Outcome<Vec<u8>> {
    let said = |error: std::io::Error| format!("port {port}: {error}");
    let mut stream = TcpStream::connect((HOST, port)).map_err(said)?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).map_err(said)?;
    stream.write_all(request).map_err(said)?;
    let mut answer = Vec::new();
    stream.take(enough).read_to_end(&mut answer).map_err(said)?;
    Ok(answer)
}

fn free_port() -> Outcome<u16> {
    let listener = std::net::TcpListener::bind((HOST, 0)).map_err(|error| error.to_string())?;
    listener
        .local_addr()
        .map(|address| address.port())
        .map_err(|error| error.to_string())
}
