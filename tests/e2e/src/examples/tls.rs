//! Certificates for examples, and the program that uses a broker behind TLS: in a pod, by the name of the Service, as an application would.

use std::sync::OnceLock;
use std::time::Duration;

use serde_json::{Value, json};

use super::place::Place;
use crate::authority::Authority;
use crate::check::{Outcome, equal, within};

/// The Secret with the pair that a program shows, in namespaces where clients have to.
const CLIENT: &str = "client-tls";
const PROGRAM: &str = include_str!("client.py");
const SERVER: &str = include_str!("config_server.py");
const LIMIT: Duration = Duration::from_secs(90);

/// Signs for all examples.
fn company() -> Outcome<&'static Authority> {
    static COMPANY: OnceLock<Result<Authority, String>> = OnceLock::new();
    COMPANY.get_or_init(Authority::draw).as_ref().map_err(Clone::clone)
}

/// A Secret with a pair for these hosts, as cert-manager makes it.
pub(super) fn serve(place: &Place, secret: &str, hosts: &[String]) -> Outcome {
    let company = company()?;
    let pair = company.pair("server", hosts.to_vec())?;
    let data = json!({"tls.crt": pair.certificate, "tls.key": pair.key, "ca.crt": company.pem});
    place.apply(&object(secret, &data).to_string())
}

/// A Secret with another authority, and one with a pair that it has signed.
pub(super) fn clients(place: &Place, secret: &str, common_name: &str) -> Outcome {
    let authority = Authority::draw()?;
    place.apply(&object(secret, &json!({"ca.crt": authority.pem})).to_string())?;
    let pair = authority.pair(common_name, Vec::new())?;
    place.apply(&object(CLIENT, &json!({"tls.crt": pair.certificate, "tls.key": pair.key})).to_string())
}

fn object(name: &str, data: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data})
}

/// A server of definitions under this name, with a pair of the company's; the authority's certificate.
pub(super) fn config_server(place: &Place, host: &str) -> Outcome<String> {
    serve(place, "config-tls", &[host.to_owned()])?;
    let mut server = pod("config", SERVER, json!([]), &json!([("pair", "config-tls")]));
    server["metadata"]["labels"] = json!({"app": "config"});
    place.apply(&server.to_string())?;
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "config"},
        "spec": {"selector": {"app": "config"}, "ports": [{"port": 443, "targetPort": 8443}]},
    });
    place.apply(&service.to_string())?;
    place.kubectl(&["wait", "--for=condition=Ready", "pod/config", "--timeout=60s"])?;
    Ok(company()?.pem.clone())
}

/// Has the program publish and take messages, with a certificate of its own where the example asks for one.
pub(super) fn use_it(place: &Place, cluster: &str) -> Outcome {
    let shows = place.kubectl(&["get", "secret", CLIENT]).is_ok();
    if shows {
        // As the example's head says: its user has the name of the certificate, and no password.
        place.ctl(cluster, &["add_user", "shop", ""])?;
        place.ctl(cluster, &["set_permissions", "shop", ".*", ".*", ".*"])?;
    }
    let server = place.kubectl(&["get", "rmq", cluster, "-o", "jsonpath={.spec.tls.secretName}"])?;
    let secrets = match shows {
        true => json!([("server", server), ("client", CLIENT)]),
        false => json!([("server", server)]),
    };
    let address = json!({"secretKeyRef": {"name": format!("{cluster}-default-user"), "key": "connection_string"}});
    let environment = json!([
        {"name": "AMQP_URL", "valueFrom": address},
        {"name": "NODE", "value": format!("{cluster}-server-0.{cluster}-nodes")},
    ]);
    place.apply(&pod("program", PROGRAM, environment, &secrets).to_string())?;
    let ended = within(LIMIT, || {
        let phase = place.kubectl(&["get", "pod", "program", "-o", "jsonpath={.status.phase}"])?;
        match phase.as_str() {
            "Succeeded" | "Failed" => Ok(phase),
            _ => Err(phase),
        }
    });
    let logs = || place.kubectl(&["logs", "program"]).unwrap_or_default();
    equal(ended?.as_str(), "Succeeded").map_err(|reason| format!("{reason}\n{}", logs()))
}

/// A pod in which Python runs this program with these Secrets, each as the folder of its first word.
fn pod(name: &str, program: &str, environment: Value, secrets: &Value) -> Value {
    let image = std::env::var("WARREN_PYTHON_IMAGE").unwrap_or_else(|_| "localhost/warren-python:dev".into());
    let secrets = secrets.as_array().into_iter().flatten();
    let (volumes, mounts): (Vec<_>, Vec<_>) = secrets
        .map(|pair| {
            let (folder, secret) = (pair[0].as_str().unwrap_or_default(), &pair[1]);
            (
                json!({"name": folder, "secret": {"secretName": secret}}),
                json!({"name": folder, "mountPath": format!("/{folder}"), "readOnly": true}),
            )
        })
        .unzip();
    let mut variables = vec![json!({"name": "PYTHONPATH", "value": "/pika-1"})];
    variables.extend(environment.as_array().into_iter().flatten().cloned());
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 0,
            "securityContext": {"runAsNonRoot": true, "runAsUser": 999, "seccompProfile": {"type": "RuntimeDefault"}},
            "volumes": volumes,
            "containers": [{
                "name": "program", "image": image, "imagePullPolicy": "IfNotPresent", "args": ["-c", program],
                "env": variables, "volumeMounts": mounts,
                "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
            }],
        },
    })
}
