//! What an example shows beyond a broker that works: each of these was asked for in its file, and is looked at from outside.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::place::Place;
use crate::check::{Outcome, equal, says, within};

const LIMIT: Duration = Duration::from_secs(60);

/// Looks at it; nothing where the file asks for nothing that could be seen.
pub(super) fn check(place: &Place, file: &str) -> Outcome {
    let ctl = |cluster: &str, arguments: &[&str]| place.ctl(cluster, arguments);
    let get = |arguments: &[&str]| place.kubectl(&[&["get"], arguments].concat());
    let logs = |pod: &str, container: &str| place.kubectl(&["logs", pod, "-c", container]);
    match file {
        "additional-ports" => page(place),
        "configuration" => says(&ctl("configured", &["environment"])?, "{heartbeat,30}"),
        "import-definitions" => says(&ctl("imported", &["list_bindings"])?, "paid.#"),
        "import-https" => says(&ctl("fetched", &["list_queues", "name"])?, "fetched"),
        "import-users" => {
            says(&ctl("imported-users", &["list_policies"])?, "short")?;
            ctl("imported-users", &["authenticate_user", "shop", "secret"]).map(drop)
        }
        "json-log" => {
            let log = logs("json-log-server-0", "broker")?;
            let wrong = log
                .lines()
                .find(|line| serde_json::from_str::<serde_json::Value>(line).is_err());
            wrong.map_or(Ok(()), |line| Err(format!("not JSON: {line}")))
        }
        "monitoring" => watched(place),
        "own-credentials" => ctl("chosen", &["authenticate_user", "ann", "choose-a-better-one"]).map(drop),
        "plugins" => {
            let list = [
                "exec",
                "plugins-server-0",
                "-c",
                "broker",
                "--",
                "rabbitmq-plugins",
                "list",
                "-E",
                "-m",
            ];
            says(&place.kubectl(&list)?, "rabbitmq_delayed_message_exchange")
        }
        "pod-anti-affinity" => apart(place, "apart"),
        "policies" => {
            let policies = ctl("ruled", &["list_policies"])?;
            says(&policies, "ruled-temporary")?;
            says(&policies, "ruled-orders")
        }
        "production" => business(place),
        "security-context" => equal(
            get(&["pods", "-o", "jsonpath={.items[*].spec.securityContext.runAsUser}"])?.as_str(),
            "10001",
        ),
        "sidecar" => within(LIMIT, || match logs("sidecar-server-0", "beside")?.trim() {
            "" => Err("the container beside the broker has not read what the one before it wrote".into()),
            _ => Ok(()),
        }),
        "tolerations" => {
            let machine = get(&["pods", "-o", "jsonpath={.items[0].spec.nodeName}"])?;
            says(
                &get(&["node", &machine, "-o", "jsonpath={.metadata.labels.disk}"])?,
                "ssd",
            )
        }
        _ => Ok(()),
    }
}

/// It has what its head says.
fn business(place: &Place) -> Outcome {
    let get = |what: &str, path: &str| place.kubectl(&["get", what, "-o", &format!("jsonpath={path}")]);
    apart(place, "business")?;
    says(&place.ctl("business", &["list_policies"])?, "business-mirrors")?;
    says(&get("pods", "{.items[*].spec.priorityClassName}")?, "brokers")?;
    says(&get("pvc", "{.items[*].spec.storageClassName}")?, "fast fast fast")
}

/// What a Prometheus selects by the label that was asked for.
fn watched(place: &Place) -> Outcome {
    let label = "jsonpath={.items[*].metadata.labels.release}";
    let labels = place.kubectl(&["get", "servicemonitor,prometheusrule", "-o", label])?;
    equal(labels.as_str(), "prometheus prometheus")
}

/// No two of its three pods are on one machine.
fn apart(place: &Place, cluster: &str) -> Outcome {
    let label = format!("app.kubernetes.io/instance={cluster}");
    let machines = place.kubectl(&["get", "pods", "-l", &label, "-o", "jsonpath={.items[*].spec.nodeName}"])?;
    let mut machines: Vec<_> = machines.split_whitespace().collect();
    machines.sort_unstable();
    machines.dedup();
    equal(machines.len(), 3)
}

/// The container beside the broker answers through the Service of its own.
fn page(place: &Place) -> Outcome {
    let forward = place.forward("ports-pages", 80)?;
    let ask = || {
        let mut socket = TcpStream::connect(("127.0.0.1", forward.port))?;
        socket.set_read_timeout(Some(LIMIT))?;
        socket.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer)?;
        Ok::<_, std::io::Error>(answer)
    };
    says(&ask().map_err(|error| error.to_string())?, "HTTP/1.")
}
