//! Conversations with the admin port of a running node, as the operator has them.

use api::{ApplyTo, FeatureLevel, Policy, PolicyReport, QueueCopies};
use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Request, header},
};
use catalog::Command;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use link::{Cookie, Errand};
use serde_json::json;

use super::*;
use crate::config::{Fixed, ServerArgs, load};
use crate::host::{durable_queue, started_blank};

fn cookie(text: &str) -> Cookie {
    Cookie::new(text, "test").unwrap()
}

async fn port() -> (tempfile::TempDir, Router) {
    let (folder, node) = started_blank().await;
    let process = Process::around(node);
    let args = ServerArgs {
        config: Some("/etc/rabbitmq/rabbitmq.conf".into()),
        ..ServerArgs::default()
    };
    let world = Fixed::new().file("/etc/rabbitmq/rabbitmq.conf", "heartbeat = 30");
    let renewal = Renewal::new(args.clone(), world.clone(), load(&args, &world).unwrap());
    let routes = routes(process, Door::new(|| Ok(vec![cookie("SECRET")])));
    (folder, routes.layer(Extension(renewal)))
}

struct Told {
    status: u16,
    body: Vec<u8>,
    challenge: Option<String>,
    proof: Option<String>,
}

async fn say(port: &Router, method: &str, target: &str, body: &[u8], authorization: Option<&str>) -> Told {
    let mut request = Request::builder().method(method).uri(target);
    if let Some(words) = authorization {
        request = request.header(header::AUTHORIZATION, words);
    }
    let request = request.body(Body::from(body.to_vec())).unwrap();
    let answer = TowerToHyperService::new(port.clone()).call(request).await.unwrap();
    let header = |name: &str| {
        let value = answer.headers().get(name)?;
        Some(value.to_str().unwrap().to_owned())
    };
    Told {
        status: answer.status().as_u16(),
        challenge: header("www-authenticate"),
        proof: header(link::ERRAND_PROOF_HEADER),
        body: to_bytes(answer.into_body(), 1 << 20).await.unwrap().to_vec(),
    }
}

/// Asks with a proof, and checks that the answer has one.
async fn ask(port: &Router, secret: &Cookie, method: &str, target: &str, body: &[u8]) -> (u16, String) {
    let stranger = say(port, method, target, body, None).await;
    assert_eq!(stranger.status, 401);
    let nonce = link::errand_nonce(&stranger.challenge.unwrap()).unwrap();
    let words = link::errand_proof(secret, &nonce, Errand { method, target, body });
    let told = say(port, method, target, body, Some(&words)).await;
    let is_proven = told
        .proof
        .is_some_and(|proof| link::is_answer_proven(secret, &nonce, told.status, &told.body, &proof));
    assert_eq!(is_proven, told.status != 403, "{}", told.status);
    (told.status, String::from_utf8(told.body).unwrap())
}

fn policy(definition: serde_json::Value) -> Vec<u8> {
    let policy = Policy {
        vhost: "/".into(),
        name: "ha all".into(),
        pattern: "^o".into(),
        apply_to: ApplyTo::Queues,
        definition: definition.as_object().unwrap().clone(),
        priority: 3,
    };
    serde_json::to_vec(&policy).unwrap()
}

const AT: &str = "/policies/%2F/ha%20all";

#[tokio::test]
async fn a_policy_is_set_read_and_cleared_by_whoever_proves_the_secret() {
    let ((_folder, port), own) = (port().await, cookie("SECRET"));
    let (status, body) = ask(&port, &own, "GET", AT, b"").await;
    assert_eq!(
        (status, serde_json::from_str(&body).unwrap()),
        (200, PolicyReport::default())
    );
    let wanted = policy(json!({"ha-mode": "all"}));
    assert_eq!(ask(&port, &own, "PUT", AT, &wanted).await.0, 201);
    assert_eq!(ask(&port, &own, "PUT", AT, &wanted).await.0, 204);
    let (_, body) = ask(&port, &own, "GET", AT, b"").await;
    let told: PolicyReport = serde_json::from_str(&body).unwrap();
    assert_eq!(told.policy, Some(serde_json::from_slice(&wanted).unwrap()));
    assert_eq!(ask(&port, &own, "DELETE", AT, b"").await.0, 204);
    assert_eq!(ask(&port, &own, "DELETE", AT, b"").await.0, 404);
}

#[tokio::test]
async fn what_the_broker_refuses_is_refused_in_its_words() {
    let ((_folder, port), own) = (port().await, cookie("SECRET"));
    let (status, body) = ask(&port, &own, "PUT", AT, &policy(json!({"nosuch": 1}))).await;
    assert!(
        status == 400 && body.contains("are not recognised policy settings"),
        "{body}"
    );
    let (status, body) = ask(&port, &own, "GET", "/policies/nowhere/ha", b"").await;
    assert!(status == 404 && body.contains("vhost_not_found"), "{body}");
    let (status, body) = ask(
        &port,
        &own,
        "PUT",
        "/policies/%2F/other",
        &policy(json!({"ha-mode": "all"})),
    )
    .await;
    assert!(status == 400 && body.contains("speaks of policy 'ha all'"), "{body}");
    assert_eq!(ask(&port, &own, "PUT", AT, b"nonsense").await.0, 400);
}

#[tokio::test]
async fn a_stranger_reads_and_changes_nothing() {
    let (_folder, port) = port().await;
    let (status, _) = ask(&port, &cookie("OTHER"), "PUT", AT, &policy(json!({"ha-mode": "all"}))).await;
    assert_eq!(status, 403);
    let guest = say(&port, "GET", AT, b"", Some("Basic Z3Vlc3Q6Z3Vlc3Q=")).await;
    assert_eq!((guest.status, guest.proof), (401, None));
    for open in ["/live", "/ready"] {
        assert_eq!(say(&port, "GET", open, b"", None).await.status, 200, "{open}");
    }
}

#[tokio::test]
async fn how_many_queues_a_node_has_copies_of_is_told_to_who_proves_the_secret() {
    let ((_folder, port), own) = (port().await, cookie("SECRET"));
    let (status, body) = ask(&port, &own, "GET", "/copies", b"").await;
    assert_eq!(
        (status, serde_json::from_str(&body).ok()),
        (200, Some(api::Copies::default()))
    );
}

#[tokio::test]
async fn settings_are_judged_and_taken_over_and_wrong_ones_change_nothing() {
    let ((_folder, port), own) = (port().await, cookie("SECRET"));
    let settings = |text: &str| {
        let settings = json!({"text": text, "word": "w1"});
        serde_json::to_vec(&settings).unwrap()
    };
    let taken = json!({"in_force": ["heartbeat"], "waiting": ["net_ticktime"]});
    let (good, bad) = (
        settings("heartbeat = 20\nnet_ticktime = 9"),
        settings("heartbeat = often"),
    );
    for method in ["POST", "PUT"] {
        let (status, body) = ask(&port, &own, method, "/settings", &bad).await;
        assert!(status == 400 && body.contains("heartbeat = often"), "{status} {body}");
        let (status, body) = ask(&port, &own, method, "/settings", &good).await;
        assert_eq!((status, serde_json::from_str(&body).ok()), (200, Some(taken.clone())));
    }
    let (_, body) = ask(&port, &own, "PUT", "/settings", &good).await;
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&body).unwrap()["in_force"],
        json!([])
    );
    assert_eq!(ask(&port, &own, "PUT", "/settings", b"nonsense").await.0, 400);
    assert_eq!(ask(&port, &cookie("OTHER"), "PUT", "/settings", &good).await.0, 403);
}

#[tokio::test]
async fn the_feature_level_is_held_and_let_go_by_whoever_proves_the_secret_and_told_to_all() {
    let ((_folder, port), own) = (port().await, cookie("SECRET"));
    let held = |on: bool| json!({"held": on}).to_string().into_bytes();
    let at = "/feature-level";
    for on in [true, true, false] {
        let (status, body) = ask(&port, &own, "PUT", at, &held(on)).await;
        assert_eq!(status, 200, "{body}");
        let (_, body) = ask(&port, &own, "GET", at, b"").await;
        let told: FeatureLevel = serde_json::from_str(&body).unwrap();
        assert_eq!((told.held, told.level), (on, 1));
    }
    let (status, body) = ask(&port, &own, "PUT", at, b"{}").await;
    assert!(status == 400 && body.contains("held"), "{body}");
}

/// The mark that the node tells now, or once it is another than `since`.
async fn mark(port: &Router, since: &str) -> String {
    let target = format!("/changes{since}");
    let (status, body) = ask(port, &cookie("SECRET"), "GET", &target, b"").await;
    assert_eq!(status, 200, "{body}");
    serde_json::from_str::<api::Changes>(&body).unwrap().mark
}

#[tokio::test]
async fn who_waits_for_changes_hears_of_policies_virtual_hosts_alarms_and_maintenance() {
    let (_folder, node) = started_blank().await;
    let door = Door::new(|| Ok(vec![cookie("SECRET")]));
    let (port, own) = (routes(Process::around(node.clone()), door), cookie("SECRET"));
    let mut last = mark(&port, "").await;
    for turn in 0..5 {
        let since = format!("?since={last}");
        let mut waiting = std::pin::pin!(mark(&port, &since));
        // A queue that comes is none of its business.
        node.commit(durable_queue(&node, &format!("q{turn}"))).await.unwrap();
        let early = tokio::time::timeout(Duration::from_millis(100), waiting.as_mut()).await;
        assert!(early.is_err(), "answered before anything had changed, in turn {turn}");
        match turn {
            0 => drop(ask(&port, &own, "PUT", AT, &policy(json!({"ha-mode": "all"}))).await),
            1 => drop(ask(&port, &own, "DELETE", AT, b"").await),
            2 => node.force_memory_alarm(true),
            3 => drop(ask(&port, &own, "PUT", "/maintenance", b"").await),
            _ => drop(ask(&port, &own, "DELETE", "/maintenance", b"").await),
        }
        let now = tokio::time::timeout(Duration::from_secs(10), waiting).await;
        let now = now.expect("it is told at once");
        assert_ne!(now, last, "in turn {turn}");
        last = now;
    }
    let stranger = say(&port, "GET", "/changes", b"", None).await;
    assert_eq!(stranger.status, 401);
    node.stopping().cancel();
    let stopped = tokio::time::timeout(Duration::from_secs(10), mark(&port, &format!("?since={last}"))).await;
    assert_eq!(stopped.expect("a node that stops keeps nobody waiting"), last);
}

#[tokio::test]
async fn copies_are_listed_moved_and_synchronised_by_word_and_what_cannot_be_is_refused_with_a_reason() {
    let (_folder, node) = started_blank().await;
    node.commit(durable_queue(&node, "orders")).await.unwrap();
    let own = cookie("SECRET");
    let port = routes(Process::around(node.clone()), Door::new(|| Ok(vec![cookie("SECRET")])));
    let (status, body) = ask(&port, &own, "GET", "/queues", b"").await;
    let told: QueueCopies = serde_json::from_str(&body).unwrap();
    assert_eq!((status, told.queues.len(), told.next), (200, 1, None));
    assert_eq!(
        (told.queues[0].queue.name.as_str(), told.queues[0].messages),
        ("orders", Some(0))
    );
    let (_, body) = ask(&port, &own, "GET", "/queues?from=1000000", b"").await;
    assert_eq!(
        serde_json::from_str::<QueueCopies>(&body).unwrap(),
        QueueCopies::default()
    );
    let none = r#"{"count":0,"moves":[]}"#.to_owned();
    assert_eq!(
        ask(&port, &own, "POST", "/rebalance", br#"{"dry_run": true}"#).await,
        (200, none.clone())
    );
    assert_eq!(ask(&port, &own, "POST", "/rebalance", b"").await, (200, none));
    let stays = json!({"moved": 0, "stay": 0}).to_string();
    assert_eq!(ask(&port, &own, "POST", "/transfers", b"").await, (200, stays));
    for (method, target, body, status, word) in [
        ("POST", "/transfers", r#"{"too": []}"#, 400, "unknown field `too`"),
        (
            "POST",
            "/rebalance",
            r#"{"queue_pattern": "("}"#,
            400,
            "Opening parenthesis",
        ),
        ("POST", "/queues/%2F/orders/sync", "", 409, "not_mirrored"),
        ("DELETE", "/queues/%2F/orders/sync", "", 409, "not_mirrored"),
        ("POST", "/queues/%2F/none/sync", "", 404, "there is no such queue"),
        (
            "PUT",
            "/queues/%2F/orders/copies/rabbit@none",
            "",
            409,
            "there is no node 'rabbit@none'",
        ),
        ("DELETE", "/members/rabbit@none", "", 404, ""),
        ("GET", "/health/checks/none", "", 404, "there is no such check"),
    ] {
        let told = ask(&port, &own, method, target, body.as_bytes()).await;
        assert!(told.0 == status && told.1.contains(word), "{method} {target}: {told:?}");
    }
    for name in [
        "alarms",
        "local-alarms",
        "node-is-quorum-critical",
        "reached-target-cluster-size",
    ] {
        let (status, body) = ask(&port, &own, "GET", &format!("/health/checks/{name}"), b"").await;
        assert!(status == 200 && body.contains("\"ok\""), "{name}: {body}");
    }
    for (check, status, word) in [
        ("port-listener/1", 503, "No active listener"),
        ("port-listener/http", 400, "Invalid port"),
        ("protocol-listener/mqtt", 503, "\"missing\":\"mqtt\""),
        ("alarms/1", 404, "there is no such check"),
    ] {
        let told = ask(&port, &own, "GET", &format!("/health/checks/{check}"), b"").await;
        assert!(told.0 == status && told.1.contains(word), "{check}: {told:?}");
    }
}

#[tokio::test]
async fn definitions_are_saved_judged_and_loaded_whole_or_for_one_virtual_host() {
    let (_folder, node) = started_blank().await;
    node.commit(durable_queue(&node, "orders")).await.unwrap();
    let own = cookie("SECRET");
    let port = routes(Process::around(node.clone()), Door::new(|| Ok(vec![cookie("SECRET")])));
    let at = "/definitions";
    let (status, whole) = ask(&port, &own, "GET", at, b"").await;
    let saved: api::Definitions = serde_json::from_str(&whole).unwrap();
    assert_eq!((status, saved.queues.len()), (200, 1));
    assert!(
        saved
            .users
            .is_some_and(|users| users.iter().all(|user| user.password_hash.is_some()))
    );
    let (status, part) = ask(&port, &own, "GET", "/definitions?vhost=%2F", b"").await;
    let saved: api::Definitions = serde_json::from_str(&part).unwrap();
    assert_eq!(
        (status, saved.queues[0].vhost.as_deref(), saved.users),
        (200, None, None)
    );
    let empty = || node.snapshot().catalog.queues().count() == 0;
    let vhost = "/".parse().unwrap();
    node.commit(Command::DeleteVhost(vhost)).await.unwrap();
    assert!(empty());
    let load = async |target: &str, file: &str| ask(&port, &own, "POST", target, file.as_bytes()).await;
    assert_eq!(load("/definitions?dry_run=true", &whole).await.0, 204);
    assert!(empty(), "a file was judged and not loaded");
    let (status, body) = load("/definitions?vhost=%2F", &part).await;
    assert!(status == 404 && body.contains("Object Not Found"), "{body}");
    assert_eq!(load(at, &whole).await, (204, String::new()));
    assert!(!empty());
    assert_eq!(load("/definitions?vhost=%2F", &part).await.0, 204);
}

#[tokio::test]
async fn definitions_that_cannot_be_are_refused_in_the_words_of_the_management_api_dry_or_not() {
    let ((_folder, port), own) = (port().await, cookie("SECRET"));
    let unknown =
        r#"{"queues": [{"name": "q", "vhost": "nowhere", "durable": true, "auto_delete": false, "arguments": {}}]}"#;
    let key = r#"{"vhosts": 1}"#;
    for (file, status, word) in [
        ("[", 400, "not_json"),
        (key, 400, "bad_request"),
        (unknown, 400, "nowhere"),
    ] {
        for target in ["/definitions", "/definitions?dry_run=true"] {
            let told = ask(&port, &own, "POST", target, file.as_bytes()).await;
            assert!(told.0 == status && told.1.contains(word), "{file}: {told:?}");
        }
    }
    assert_eq!(ask(&port, &own, "GET", "/definitions?vhost=none", b"").await.0, 404);
    assert_eq!(ask(&port, &own, "GET", "/definitions?vhosts=none", b"").await.0, 400);
    let large = format!("{{\"users\": [], \"product_name\": \"{}\"}}", "x".repeat(3 << 20));
    assert_eq!(ask(&port, &own, "POST", "/definitions", large.as_bytes()).await.0, 204);
    assert_eq!(ask(&port, &cookie("OTHER"), "POST", "/definitions", b"{}").await.0, 403);
    assert_eq!(say(&port, "POST", "/definitions", b"{}", Some("x")).await.proof, None);
    assert_eq!(say(&port, "GET", "/definitions", b"", Some("x")).await.proof, None);
}

#[tokio::test]
async fn another_leader_is_refused_where_there_is_no_other_node_and_what_is_so_is_done() {
    let ((_folder, port), own) = (port().await, cookie("SECRET"));
    let (status, body) = ask(&port, &own, "POST", "/leader", b"").await;
    assert!(status == 409 && body.contains("no other node can lead"), "{body}");
    let (status, body) = ask(
        &port,
        &own,
        "POST",
        "/leader",
        br#"{"to": "rabbit@nowhere", "dry_run": true}"#,
    )
    .await;
    assert!(status == 409 && body.contains("has no node rabbit@nowhere"), "{body}");
    let (status, body) = ask(&port, &own, "POST", "/leader", br#"{"whom": "me"}"#).await;
    assert!(status == 400 && body.contains("unknown field"), "{body}");
    let (_, body) = say_cluster(&port).await;
    let order = serde_json::to_vec(&json!({"to": body["node"]})).unwrap();
    let (status, told) = ask(&port, &own, "POST", "/leader", &order).await;
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!((status, told), (200, json!({"leader": body["node"], "moves": false})));
}

async fn say_cluster(port: &Router) -> (u16, serde_json::Value) {
    let told = say(port, "GET", "/cluster", b"", None).await;
    (told.status, serde_json::from_slice(&told.body).unwrap())
}

#[tokio::test]
async fn links_are_told_behind_the_proof_alone() {
    let ((_folder, port), own) = (port().await, cookie("SECRET"));
    let (status, body) = ask(&port, &own, "GET", "/links", b"").await;
    let told: api::Links = serde_json::from_str(&body).unwrap();
    assert_eq!((status, told), (200, api::Links::default()));
}
