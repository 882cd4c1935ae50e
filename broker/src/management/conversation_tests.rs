//! A conversation that was held with a real RabbitMQ 3.10.8, held with this API: the same statuses, and the same words
//! where a request is refused. The columns of the file: user, method, path, body, status, error.

use super::*;
use crate::{
    config::{self, Fixed, ServerArgs},
    host::listener::Port,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use serde_json::Value;
use std::net::SocketAddr;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

async fn serve() -> SocketAddr {
    serve_node().await.0
}

async fn serve_node() -> (SocketAddr, Arc<Node>) {
    let world = Fixed::new()
        .set("RABBITMQ_ENABLED_PLUGINS_FILE", "/plugins")
        .file("/plugins", "[rabbitmq_management].")
        .set("RABBITMQ_CONFIG_FILE", "/rabbitmq.conf")
        .file(
            "/rabbitmq.conf",
            "management.tcp.port = 0\nmanagement.tcp.ip = 127.0.0.1\n",
        );
    let args = ServerArgs {
        data: Some(crate::scratch::directory()),
        ..ServerArgs::default()
    };
    let config = config::load(&args, &world).unwrap().config;
    let bound = bind(&config).unwrap().remove(0);
    let port = bound.port();
    let node = crate::host::started(config).await;
    node.announce(port.clone());
    node.announce(Port {
        protocol: "amqp",
        address: ([127, 0, 0, 1], 5672).into(),
    });
    let stopping = node.stopping().clone();
    tokio::spawn(bound.run(routes(node.clone(), Arc::default()), stopping));
    (port.address, node)
}

async fn ask(at: SocketAddr, user: &str, method: &str, path: &str, body: &str) -> (String, String) {
    let mut stream = TcpStream::connect(at).await.unwrap();
    let login = STANDARD.encode(user);
    let length = body.len();
    let request = format!(
        "{method} /api{path} HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {login}\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().to_owned(), body.to_owned())
}

#[tokio::test]
async fn a_conversation_with_rabbitmq_goes_the_same_way_here() {
    let at = serve().await;
    for (number, line) in include_str!("conversation/writes.tsv").lines().enumerate() {
        let columns: Vec<&str> = line.split('\t').collect();
        let [user, method, path, body, status, error] = columns[..] else {
            panic!("line {}: {line}", number + 1)
        };
        let (seen, answer) = ask(at, user, method, path, body).await;
        assert_eq!(seen, status, "line {}: {method} {path} {body}: {answer}", number + 1);
        if !error.is_empty() {
            let expected: Value = serde_json::from_str(error).unwrap();
            let answer: Value = serde_json::from_str(&answer).unwrap();
            assert_eq!(answer, expected, "line {}: {method} {path}", number + 1);
        }
    }
}

#[tokio::test]
async fn who_has_not_logged_in_is_told_how() {
    let at = serve().await;
    let (status, _) = ask(at, "guest:wrong", "GET", "/overview", "").await;
    assert_eq!(status, "401");
    let mut stream = TcpStream::connect(at).await.unwrap();
    let request = b"GET /api/whoami HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 401") && answer.contains("Basic realm="),
        "{answer}"
    );
    assert!(answer.ends_with("\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn members_of_quorum_queues_are_shown_and_changed() {
    let at = serve().await;
    let ask = async |method: &str, path: &str, body: &str| ask(at, "guest:guest", method, path, body).await;
    let quorum = "{\"durable\": true, \"arguments\": {\"x-queue-type\": \"quorum\"}}";
    ask("PUT", "/queues/%2F/q", quorum).await;
    ask("PUT", "/queues/%2F/classic", "{}").await;
    let (status, text) = ask("GET", "/queues/quorum/%2F/q/status", "").await;
    let members: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (status.as_str(), &members[0]["Raft State"]),
        ("200", &"leader".into()),
        "{text}"
    );
    assert_eq!(members.as_array().map(Vec::len), Some(1));
    let node = members[0]["Node Name"].as_str().unwrap().to_owned();
    let member = format!("{{\"node\": \"{node}\"}}");
    for (method, path, body, status) in [
        ("POST", "/queues/quorum/%2F/q/replicas/add", &*member, "204"),
        (
            "POST",
            "/queues/quorum/%2F/q/replicas/add",
            "{\"node\": \"other@host\"}",
            "400",
        ),
        ("POST", "/queues/quorum/%2F/q/replicas/add", "{}", "400"),
        ("POST", "/queues/quorum/%2F/classic/replicas/add", &*member, "400"),
        ("POST", "/queues/quorum/%2F/absent/replicas/add", &*member, "404"),
        ("DELETE", "/queues/quorum/%2F/q/replicas/delete", &*member, "400"),
        ("GET", "/queues/quorum/%2F/classic/status", "", "400"),
        (
            "POST",
            "/queues/quorum/replicas/on/other@host/grow",
            "{\"strategy\": \"all\"}",
            "200",
        ),
        (
            "POST",
            "/queues/quorum/replicas/on/other@host/grow",
            "{\"strategy\": \"some\"}",
            "400",
        ),
    ] {
        let (seen, text) = ask(method, path, body).await;
        assert_eq!(seen, status, "{method} {path} {body}: {text}");
    }
    let (_, text) = ask("DELETE", &format!("/queues/quorum/replicas/on/{node}/shrink"), "").await;
    let rows: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (&rows[0]["size"], &rows[0]["result"]),
        (&1.into(), &"error".into()),
        "{text}"
    );
}

#[tokio::test]
async fn who_guesses_passwords_is_turned_away_and_who_is_logged_in_is_not() {
    let at = serve().await;
    assert_eq!(ask(at, "guest:guest", "GET", "/whoami", "").await.0, "200");
    let guesses = (0..30).map(|number| async move {
        let login = format!("guest:{number}");
        ask(at, &login, "GET", "/whoami", "").await.0
    });
    let statuses = futures::future::join_all(guesses).await;
    let count = |status: &str| statuses.iter().filter(|seen| *seen == status).count();
    assert!(count("401") >= 5 && count("429") >= 5, "{statuses:?}");
    assert_eq!(ask(at, "guest:guest", "GET", "/whoami", "").await.0, "200");
}

#[tokio::test]
async fn our_answers_read_as_the_shapes_that_clients_know() {
    let at = serve().await;
    ask(at, "guest:guest", "PUT", "/queues/%2F/q", "{}").await;
    let get = async |path: &str| ask(at, "guest:guest", "GET", path, "").await.1;
    serde_json::from_str::<api::Overview>(&get("/overview").await).unwrap();
    serde_json::from_str::<Vec<api::Node>>(&get("/nodes").await).unwrap();
    serde_json::from_str::<Vec<api::Vhost>>(&get("/vhosts").await).unwrap();
    let queues: Vec<api::Queue> = serde_json::from_str(&get("/queues").await).unwrap();
    assert_eq!((queues.len(), queues[0].name.as_str()), (1, "q"));
    let page: api::Page<api::Queue> = serde_json::from_str(&get("/queues?page=1&page_size=1").await).unwrap();
    assert_eq!((page.total_count, page.page_count), (1, 1));
    let file: api::Definitions = serde_json::from_str(&get("/definitions").await).unwrap();
    assert_eq!(file.queues.len(), 1);
}

#[tokio::test]
async fn the_health_checks_of_rabbitmq_4_are_answered() {
    let at = serve().await;
    for (path, status) in [
        ("is-in-service", "200"),
        ("below-node-connection-limit", "200"),
        ("ready-to-serve-clients", "200"),
        ("reached-target-cluster-size", "200"),
        ("metadata-store/initialized", "200"),
        ("metadata-store/initialized/with-data", "200"),
        ("quorum-queues-without-elected-leaders/all-vhosts", "200"),
        ("quorum-queues-without-elected-leaders/all-vhosts/pattern/%5Eq", "200"),
        ("quorum-queues-without-elected-leaders/vhost/%2F", "200"),
        ("quorum-queues-without-elected-leaders/vhost/%2F/pattern/%5B", "400"),
        ("quorum-queues-without-elected-leaders/vhost/nope", "404"),
    ] {
        let (seen, answer) = ask(at, "guest:guest", "GET", &format!("/health/checks/{path}"), "").await;
        assert_eq!(seen, status, "{path}: {answer}");
        assert_eq!(
            answer.contains("\"status\":\"ok\""),
            status == "200",
            "{path}: {answer}"
        );
    }
}

#[tokio::test]
async fn a_node_tells_what_of_its_memory_are_bodies_of_messages_when_it_is_asked() {
    let at = serve().await;
    let ask = async |method: &str, path: &str, body: &str| ask(at, "guest:guest", method, path, body).await;
    ask("PUT", "/queues/%2F/held", "{}").await;
    let message =
        r#"{"properties": {}, "routing_key": "held", "payload": "twelve bytes", "payload_encoding": "string"}"#;
    let (status, _) = ask("POST", "/exchanges/%2F/amq.default/publish", message).await;
    assert_eq!(status, "200");
    let (_, nodes) = ask("GET", "/nodes?columns=name", "").await;
    let nodes: serde_json::Value = serde_json::from_str(&nodes).unwrap();
    let name = nodes[0]["name"].as_str().unwrap();
    let path = format!("/nodes/{name}");
    assert!(!ask("GET", &path, "").await.1.contains("binary"));
    let (_, node) = ask("GET", &format!("{path}?binary=true"), "").await;
    let node: serde_json::Value = serde_json::from_str(&node).unwrap();
    assert_eq!(node["binary"]["queue_procs"], 12, "{node}");
}

#[tokio::test]
async fn the_version_is_told_to_everybody_and_settings_to_administrators_without_secrets() {
    let at = serve().await;
    let version = ask(at, "", "GET", "/version", "").await;
    let expected = format!("\"{}\"", crate::host::RABBITMQ_VERSION);
    assert_eq!(version, ("200".to_owned(), expected));
    let (status, settings) = ask(at, "guest:guest", "GET", "/config/effective", "").await;
    assert_eq!(status, "200", "{settings}");
    assert!(
        settings.starts_with("[{rabbit,") && settings.contains("{heartbeat,60}"),
        "{settings}"
    );
    assert!(!settings.contains("default_pass"), "{settings}");
    assert_eq!(ask(at, "", "GET", "/config/effective", "").await.0, "401");
}

/// What the node tells Prometheus of dead letters by a strategy, but what is zero.
async fn letters(node: &Arc<Node>, strategy: &str) -> Vec<String> {
    let request = Request::get("/metrics").body(axum::body::Body::empty()).unwrap();
    let service = TowerToHyperService::new(crate::observe::scrape_routes(node.clone()));
    let answer = service.call(request).await.unwrap();
    let octets = axum::body::to_bytes(answer.into_body(), 1 << 24).await.unwrap();
    let page = String::from_utf8(octets.into()).unwrap();
    let family = |line: &str| {
        line.strip_prefix("rabbitmq_global_messages_dead_lettered_")
            .map(str::to_owned)
    };
    let lines = page.lines().filter_map(family);
    lines
        .filter(|line| line.contains(strategy) && !line.ends_with(" 0"))
        .collect()
}

/// RabbitMQ 3.10.8 tells the same numbers.
#[tokio::test]
async fn letters_of_a_quorum_queue_are_counted_by_strategy_and_confirmed_where_a_queue_took_them() {
    let (at, node) = serve_node().await;
    let ask = async |method: &str, path: &str, body: &str| ask(at, "guest:guest", method, path, body).await;
    ask("PUT", "/queues/%2F/target", "{}").await;
    let once = r#""x-dead-letter-strategy": "at-least-once""#;
    let rejects = r#""x-overflow": "reject-publish""#;
    for (name, key, more) in [
        ("kept", "target", format!("{once}, {rejects}")),
        ("astray", "nowhere", format!("{once}, {rejects}")),
        ("dropping", "target", once.to_owned()),
    ] {
        let arguments = format!(
            r#"{{"x-queue-type": "quorum", "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "{key}", {more}}}"#
        );
        let (status, said) = ask(
            "PUT",
            &format!("/queues/%2F/{name}"),
            &format!("{{\"durable\": true, \"arguments\": {arguments}}}"),
        )
        .await;
        assert_eq!(status, "201", "{said}");
        let message =
            format!(r#"{{"properties": {{}}, "routing_key": "{name}", "payload": "x", "payload_encoding": "string"}}"#);
        ask("POST", "/exchanges/%2F/amq.default/publish", &message).await;
        let get = r#"{"count": 1, "ackmode": "reject_requeue_false", "encoding": "auto"}"#;
        let (_, got) = ask("POST", &format!("/queues/%2F/{name}/get"), get).await;
        assert!(got.contains("payload"), "{name}: {got}");
    }
    let labels = |strategy: &str| format!("{{queue_type=\"rabbit_quorum_queue\",dead_letter_strategy=\"{strategy}\"}}");
    let assured = labels("at_least_once");
    let expected = [
        format!("rejected_total{assured} 2"),
        format!("confirmed_total{assured} 1"),
    ];
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while letters(&node, "at_least_once").await != expected {
        assert!(
            std::time::Instant::now() < deadline,
            "{:?}",
            letters(&node, "at_least_once").await
        );
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let other = format!("rejected_total{} 1", labels("at_most_once"));
    assert_eq!(letters(&node, "at_most_once").await, [other]);
}

#[tokio::test]
async fn a_protected_virtual_host_is_not_deleted_until_it_is_no_more_protected() {
    let at = serve().await;
    let ask = async |method: &str, path: &str, body: &str| ask(at, "guest:guest", method, path, body).await;
    ask("PUT", "/vhosts/kept", "{}").await;
    assert_eq!(ask("POST", "/vhosts/kept/deletion/protection", "").await.0, "204");
    assert_eq!(ask("POST", "/vhosts/nope/deletion/protection", "").await.0, "404");
    let (status, answer) = ask("DELETE", "/vhosts/kept", "").await;
    assert_eq!(status, "412", "{answer}");
    assert!(answer.contains("protected from deletion"), "{answer}");
    // A change of something else leaves it protected.
    assert_eq!(ask("PUT", "/vhosts/kept", "{\"description\": \"x\"}").await.0, "204");
    let shown: Value = serde_json::from_str(&ask("GET", "/vhosts/kept", "").await.1).unwrap();
    assert_eq!(shown["protected_from_deletion"], true);
    let exported = ask("GET", "/definitions", "").await.1;
    assert!(exported.contains("\"protected_from_deletion\":true"), "{exported}");
    assert_eq!(ask("DELETE", "/vhosts/kept/deletion/protection", "").await.0, "204");
    assert_eq!(ask("DELETE", "/vhosts/kept", "").await.0, "204");
}

#[tokio::test]
async fn a_slash_at_the_end_of_a_path_says_nothing() {
    let at = serve().await;
    let ask = async |method: &str, path: &str| ask(at, "guest:guest", method, path, "{}").await;
    for (path, status) in [
        ("/users/", "200"),
        ("/cluster-name/", "200"),
        ("/queues/?page=1&page_size=1", "200"),
        ("/exchanges/%2F/amq.direct/", "200"),
        ("/users//", "404"),
        ("/nothing/", "404"),
    ] {
        assert_eq!(ask("GET", path).await.0, status, "{path}");
    }
    assert_eq!(
        ask("GET", "/queues/?page=1&page_size=1").await,
        ask("GET", "/queues?page=1&page_size=1").await
    );
    assert_eq!(ask("PUT", "/vhosts/shop/").await.0, "201");
}
