//! The same two nodes as an administrator sees them: what the management API and the tools show and close is the whole
//! cluster's, whichever node is asked.

use super::*;
use crate::management;
use axum::{
    body::Body,
    extract::ConnectInfo,
    http::{Request as HttpRequest, StatusCode},
};
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use serde_json::{Value, json};

/// What the management API of a node answers to its administrator.
async fn api(at: &Served, method: &str, path: &str) -> (StatusCode, Value) {
    let routes = management::routes(at.node.clone(), Arc::default());
    let path = path.replace(' ', "%20").replace('>', "%3E");
    let request = HttpRequest::builder()
        .method(method)
        .uri(format!("/api{path}"))
        .header("authorization", "Basic Z3Vlc3Q6Z3Vlc3Q=");
    let mut request = request.body(Body::empty()).unwrap();
    let local = SocketAddr::from(([127, 0, 0, 1], 1));
    request.extensions_mut().insert(ConnectInfo(local));
    let answer = TowerToHyperService::new(routes).call(request).await.unwrap();
    let status = answer.status();
    let octets = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
    (status, serde_json::from_slice(&octets).unwrap_or(Value::Null))
}

async fn shown(at: &Served, path: &str) -> Value {
    let (status, shown) = api(at, "GET", path).await;
    assert_eq!(status, StatusCode::OK, "{path}: {shown}");
    shown
}

fn all(rows: &Value, field: &str) -> Vec<String> {
    let rows = rows.as_array().unwrap().iter();
    let mut all: Vec<String> = rows.map(|row| row[field].as_str().unwrap().to_owned()).collect();
    all.sort();
    all
}

const BOTH: [&str; 2] = ["rabbit@edge", "rabbit@leader"];

#[tokio::test(flavor = "multi_thread")]
async fn every_node_shows_the_connections_channels_consumers_and_nodes_of_all() {
    let pair = pair().await;
    let (edge, leader) = (pair.edge.channel().await, pair.leader.channel().await);
    declare(&leader, "q", &[]).await;
    let _consumer = consume(&edge, "q", "c", false).await;
    for at in [&pair.edge, &pair.leader] {
        let connections = shown(at, "/connections?sort=name").await;
        assert_eq!(all(&connections, "node"), BOTH);
        let page = shown(at, "/vhosts/%2F/connections?page=1&page_size=1&columns=name").await;
        assert_eq!((&page["total_count"], &page["item_count"]), (&json!(2), &json!(1)));
        assert_eq!(all(&shown(at, "/connections/username/guest").await, "node"), BOTH);
        for row in connections.as_array().unwrap() {
            let path = format!("/connections/{}", row["name"].as_str().unwrap());
            assert_eq!(shown(at, &path).await["node"], row["node"]);
            assert_eq!(all(&shown(at, &format!("{path}/channels")).await, "node").len(), 1);
        }
        assert_eq!(all(&shown(at, "/channels").await, "node"), BOTH);
        let consumers = shown(at, "/consumers/%2F").await;
        let details = &consumers[0]["channel_details"];
        assert_eq!(
            (consumers.as_array().unwrap().len(), &details["node"]),
            (1, &json!("rabbit@edge"))
        );
        let channel = shown(at, &format!("/channels/{}", details["name"].as_str().unwrap())).await;
        assert_eq!(channel["consumer_details"][0]["consumer_tag"], "c");
        assert_eq!(
            shown(at, "/queues/%2F/q").await["consumer_details"][0]["consumer_tag"],
            "c"
        );
        let nodes = shown(at, "/nodes").await;
        assert_eq!(all(&nodes, "name"), BOTH);
        for row in nodes.as_array().unwrap() {
            let path = format!("/nodes/{}", row["name"].as_str().unwrap());
            assert_eq!(shown(at, &path).await["name"], row["name"]);
            assert!(shown(at, &format!("{path}/memory")).await["memory"]["total"].is_object());
        }
        assert_eq!(shown(at, "/overview").await["object_totals"]["connections"], 2);
    }
    assert_eq!(
        api(&pair.edge, "GET", "/connections/nobody").await.0,
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        api(&pair.edge, "GET", "/nodes/rabbit@nowhere").await.0,
        StatusCode::NOT_FOUND
    );
    pair.bury_leader().await;
    let nodes = shown(&pair.edge, "/nodes").await;
    assert_eq!(
        (&nodes[0]["running"], &nodes[1]["running"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(all(&shown(&pair.edge, "/connections").await, "node"), BOTH[..1]);
}

async fn until_closed(connection: &Connection) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while connection.status().connected() {
        assert!(Instant::now() < deadline, "the connection stays open");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// What a node answers to a tool.
async fn told(at: &Served, request: Request) -> link::Term {
    let own = at.node.name().to_string();
    at.node.ask_node(&own, request, None).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_of_any_node_are_closed_from_any_node() {
    let pair = pair().await;
    let there = pair.leader.connect().await;
    let name = shown(&pair.edge, "/connections").await[0]["name"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("/connections/{name}");
    assert_eq!(api(&pair.edge, "DELETE", &path).await.0, StatusCode::NO_CONTENT);
    until_closed(&there).await;
    assert_eq!(api(&pair.edge, "DELETE", &path).await.0, StatusCode::NOT_FOUND);
    let there = pair.leader.connect().await;
    let rows = listed(&pair.edge, Listing::Connections, &["pid"]).await;
    let pid = rows[0].split('"').nth(1).unwrap().to_owned();
    let reason = "enough".to_owned();
    told(
        &pair.edge,
        Request::CloseConnection {
            pid,
            reason: reason.clone(),
        },
    )
    .await;
    until_closed(&there).await;
    let (here, there) = (pair.edge.connect().await, pair.leader.connect().await);
    let (scope, limit) = (link::Scope::All, 0);
    let closed = told(&pair.edge, Request::CloseConnections { scope, limit, reason }).await;
    assert_eq!(closed, link::Term::count(2));
    until_closed(&here).await;
    until_closed(&there).await;
}
