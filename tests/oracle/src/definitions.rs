//! Definitions that move from one server to another and back, with users who log in by the hashes that came along.
//! Two servers take part, so it is no behaviour of the table; what each must hold is read through its own API.

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use crate::management::Management;
use crate::script;
use crate::server::Server;
use crate::stage::{self, Outcome};

/// What is printed of it.
pub const NAME: &str = "definitions: they move from one server to the other and back, and users log in on both";

const VHOST: &str = "moved-vhost";
const USERS: [(&str, &str); 3] = [
    ("moved-admin", "administrator"),
    ("moved-two-tags", "management,policymaker"),
    ("moved-client", ""),
];

/// What is there before: path below `/api/` and body.
fn made() -> Vec<(String, Value)> {
    let mut all = vec![(format!("vhosts/{VHOST}"), json!({}))];
    for (user, tags) in USERS {
        all.push((format!("users/{user}"), json!({"password": "p", "tags": tags})));
        let everything = json!({"configure": ".*", "write": ".*", "read": ".*"});
        all.push((format!("permissions/{VHOST}/{user}"), everything));
    }
    let queue = json!({"durable": true, "arguments": {"x-max-length": 5, "x-message-ttl": 60_000}});
    let limited = json!({"pattern": "^q", "definition": {"max-length": 9}, "priority": 3, "apply-to": "queues"});
    let operator = json!({"pattern": "^q", "definition": {"max-length": 99}, "apply-to": "queues"});
    all.extend([
        (
            format!("exchanges/{VHOST}/x"),
            json!({"type": "topic", "durable": true}),
        ),
        (format!("queues/{VHOST}/q"), queue),
        (format!("policies/{VHOST}/p"), limited),
        (format!("operator-policies/{VHOST}/o"), operator),
        (format!("vhost-limits/{VHOST}/max-queues"), json!({"value": 77})),
        (
            "user-limits/moved-client/max-connections".to_owned(),
            json!({"value": 7}),
        ),
        (
            format!("topic-permissions/{VHOST}/moved-client"),
            json!({"exchange": "amq.topic", "write": "^a", "read": "^b"}),
        ),
    ]);
    all
}

/// What must be told of them wherever they are; fields that only newer releases write are left out.
const SECTIONS: [(&str, &[&str]); 9] = [
    (
        "users",
        &["name", "password_hash", "hashing_algorithm", "tags", "limits"],
    ),
    ("vhosts", &["name"]),
    ("permissions", &["user", "vhost", "configure", "write", "read"]),
    ("topic_permissions", &["user", "vhost", "exchange", "write", "read"]),
    ("parameters", &["component", "vhost", "name", "value"]),
    (
        "policies",
        &["vhost", "name", "pattern", "apply-to", "definition", "priority"],
    ),
    ("queues", &["vhost", "name", "durable", "auto_delete", "arguments"]),
    (
        "exchanges",
        &[
            "vhost",
            "name",
            "type",
            "durable",
            "auto_delete",
            "internal",
            "arguments",
        ],
    ),
    (
        "bindings",
        &[
            "source",
            "vhost",
            "destination",
            "destination_type",
            "routing_key",
            "arguments",
        ],
    ),
];

fn is_ours(row: &Value) -> bool {
    let of = |key: &str| row[key].as_str().unwrap_or_default();
    of("vhost") == VHOST || of("name").starts_with("moved-")
}

/// What a file says of what is ours, in an order of its own.
fn ours(file: &Value) -> Vec<String> {
    let mut all = Vec::new();
    for (section, fields) in SECTIONS {
        let rows = file[section].as_array().map(Vec::as_slice).unwrap_or_default();
        for row in rows.iter().filter(|row| is_ours(row)) {
            let kept: serde_json::Map<String, Value> = fields
                .iter()
                .map(|field| ((*field).to_owned(), row[*field].clone()))
                .collect();
            all.push(format!("{section} {}", Value::Object(kept)));
        }
    }
    all.sort();
    all
}

fn call(api: &Management, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
    let body = body.map(Value::to_string);
    let (status, answer) = api.call(method, &format!("/api/{path}"), body.as_deref())?;
    ensure!(
        (200..300).contains(&status),
        "{method} /api/{path}: HTTP {status} {answer}"
    );
    Ok(answer)
}

/// All users log in over AMQP, and find the queue.
fn log_in(server: &Server) -> Result<()> {
    for (user, _) in USERS {
        let text = format!(
            "== {user} logs in\nconnect user={user} password=p vhost={VHOST}\nqueue.declare q passive\n< queue.declare-ok q 0 0\n"
        );
        let behaviour = script::parse("moved", &text)?.pop().context("one behaviour")?;
        if let Outcome::Failed(why) = stage::play(&behaviour, server, "moved") {
            bail!("{}: {user} does not log in: {why}", server.name);
        }
    }
    Ok(())
}

fn forget(api: &Management) -> Result<()> {
    call(api, "DELETE", &format!("vhosts/{VHOST}"), None)?;
    for (user, _) in USERS {
        call(api, "DELETE", &format!("users/{user}"), None)?;
    }
    Ok(())
}

/// Makes definitions on one server, moves them to the other and from there to the first again, which has forgotten them.
///
/// # Errors
/// What is lost or changed, or who cannot log in.
pub fn move_there_and_back(from: &Server, to: &Server) -> Result<()> {
    let apis = from.management.as_ref().zip(to.management.as_ref());
    let (first, second) = apis.context("both need the management API")?;
    for (path, body) in made() {
        call(first, "PUT", &path, Some(&body))?;
    }
    let binding = json!({"routing_key": "a.#", "arguments": {"k": "v"}});
    call(first, "POST", &format!("bindings/{VHOST}/e/x/q/q"), Some(&binding))?;
    let file = call(first, "GET", "definitions", None)?;
    let before = ours(&file);
    call(second, "POST", "definitions", Some(&file))?;
    log_in(to)?;
    let there = call(second, "GET", "definitions", None)?;
    ensure!(
        ours(&there) == before,
        "{} has {:#?} of {before:#?}",
        to.name,
        ours(&there)
    );
    forget(first)?;
    call(first, "POST", "definitions", Some(&there))?;
    log_in(from)?;
    let back = ours(&call(first, "GET", "definitions", None)?);
    ensure!(back == before, "{} has {back:#?} of {before:#?}", from.name);
    forget(first)?;
    forget(second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_ours_is_compared_and_without_what_newer_releases_add() {
        let row = |vhost: &str| json!({"vhost": vhost, "name": "q", "durable": true, "type": "classic"});
        let file = json!({"queues": [row("/"), row(VHOST)], "users": [{"name": "guest"}]});
        let [only] = &ours(&file)[..] else { panic!("one row") };
        assert!(only.starts_with("queues ") && !only.contains("classic"), "{only}");
    }
}
