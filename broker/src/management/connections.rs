//! `/connections`: who is connected, and how to end that. Closing is asked for; the session does it.

use api::Connection;
use axum::{
    Router,
    extract::{Path, State},
    http::HeaderMap,
    routing::get,
};
use model::VhostName;
use std::sync::{Arc, atomic::Ordering};

use super::{
    Api,
    answer::{self, Outcome},
    bare,
    caller::{Administrator, Caller},
    channels, client_stats,
    elsewhere::Elsewhere,
    failure::Failure,
    list::Parameters,
    stats::Asked,
};
use crate::host::{Client, Profile};

/// The header that says why a connection is closed.
pub const REASON_HEADER: &str = "x-reason";
/// Said to clients whose administrator gave no reason.
const REASON: &str = "Closed via management plugin";

/// The routes of this resource.
pub fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/connections", get(list))
        .route("/vhosts/{vhost}/connections", get(of_vhost))
        .route("/connections/{name}", get(one).delete(close))
        .route("/connections/{name}/channels", get(channels::of_connection))
        .route("/connections/username/{user}", get(of_user).delete(close_all))
}

/// An open connection with what is known of it.
#[derive(Debug)]
pub struct Open {
    /// The connection.
    pub client: Arc<Client>,
    /// Who, where and how.
    pub profile: Profile,
    name: String,
}

/// The open connections that the caller may see: a monitor all, others their own.
pub fn seen(api: &Api, caller: &Caller) -> Vec<Open> {
    let open = |client: Arc<Client>| {
        let profile = client.profile()?;
        let name = client.name();
        let visible = caller.is_monitor() || profile.user == caller.user.name;
        visible.then_some(Open { client, profile, name })
    };
    let mut all: Vec<Open> = api.node.open_clients().into_iter().filter_map(open).collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

/// One of them by its name.
///
/// # Errors
/// 404, also for those that the caller may not see.
pub fn find(api: &Api, caller: &Caller, name: &str) -> Result<Open, Failure> {
    seen(api, caller)
        .into_iter()
        .find(|open| open.name == name)
        .ok_or_else(Failure::not_found)
}

/// Blocking is told of all connections while an alarm is on, blocked of those that have published since.
fn state(api: &Api, client: &Client) -> &'static str {
    match (client.is_blocked.load(Ordering::Relaxed), api.node.alarms().any()) {
        (true, _) => "blocked",
        (false, true) => "blocking",
        (false, false) => "running",
    }
}

fn shape(api: &Api, open: &Open, asked: Asked) -> Connection {
    let Open { client, profile, name } = open;
    let given = profile
        .client_properties
        .get("connection_name")
        .and_then(|given| given.as_text());
    let octets = client_stats::of_connection(api, client.id, client.traffic(), asked.data);
    let socket = &client.outbox().socket;
    let tls = socket.tls_facts();
    Connection {
        name: name.clone(),
        user_provided_name: given.map(str::to_owned),
        node: api.node.name().to_string(),
        kind: "network".to_owned(),
        state: state(api, client).to_owned(),
        user: profile.user.to_string(),
        user_who_performed_action: profile.user.to_string(),
        vhost: profile.vhost.to_string(),
        protocol: "AMQP 0-9-1".to_owned(),
        auth_mechanism: profile.mechanism.clone(),
        ssl: socket.is_tls(),
        ssl_protocol: tls.protocol.map(str::to_owned),
        ssl_key_exchange: tls.key_exchange,
        ssl_cipher: tls.cipher,
        ssl_hash: tls.hash.map(str::to_owned),
        peer_cert_subject: tls.subject,
        peer_cert_issuer: tls.issuer,
        peer_cert_validity: tls.validity,
        host: client.local.ip().to_string(),
        port: client.local.port(),
        peer_host: client.peer.ip().to_string(),
        peer_port: client.peer.port(),
        channel_max: profile.tuned.channel_max.into(),
        frame_max: profile.tuned.frame_max.into(),
        timeout: profile.tuned.heartbeat.into(),
        connected_at: client.connected_at.0,
        client_properties: api::to_json(&profile.client_properties),
        channels: client.channel_count() as u64,
        recv_oct: octets.now.received,
        recv_oct_details: octets.received,
        recv_cnt: octets.now.reads,
        send_oct: octets.now.sent,
        send_oct_details: octets.sent,
        send_cnt: octets.now.writes,
        send_pend: client.outbox().waiting_bytes() as u64,
    }
}

async fn list(State(api): State<Arc<Api>>, caller: Caller, others: Elsewhere, query: Parameters) -> Outcome {
    let query = bare::limited(&api, query, bare::CONNECTION);
    let rows = seen(&api, &caller);
    pages(&api, &caller, &others, &query, rows).await
}

async fn pages(api: &Api, caller: &Caller, others: &Elsewhere, query: &Parameters, rows: Vec<Open>) -> Outcome {
    let asked = Asked::of_list(query, rows.len())?;
    let build = |open: &Open| shape(api, open, asked);
    others.pages((api, caller), query, rows, |open| &open.name, build).await
}

async fn of_vhost(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(vhost): Path<String>,
    others: Elsewhere,
    query: Parameters,
) -> Outcome {
    let vhost: VhostName = caller.look_into(&api, &vhost)?;
    let mut rows = seen(&api, &caller);
    rows.retain(|open| open.profile.vhost == vhost);
    pages(&api, &caller, &others, &query, rows).await
}

async fn one(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(name): Path<String>,
    others: Elsewhere,
    query: Parameters,
) -> Outcome {
    let query = bare::limited(&api, query, bare::CONNECTION_ALONE);
    match find(&api, &caller, &name) {
        Ok(open) => query.one(shape(&api, &open, Asked::of(&query)?)),
        Err(missing) => others.one((&api, &caller), &query, missing).await,
    }
}

fn reason(headers: &HeaderMap) -> &str {
    headers
        .get(REASON_HEADER)
        .and_then(|reason| reason.to_str().ok())
        .unwrap_or(REASON)
}

/// Others than administrators may close their own.
async fn close(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(name): Path<String>,
    others: Elsewhere,
    headers: HeaderMap,
) -> Outcome {
    let open = match find(&api, &caller, &name) {
        Ok(open) => open,
        Err(missing) => return others.one((&api, &caller), &Parameters::default(), missing).await,
    };
    if !caller.is_administrator() && open.profile.user != caller.user.name {
        return Err(Failure::not_authorised("User not authorised to access object"));
    }
    api.node.close_client(&open.client, reason(&headers));
    answer::done()
}

async fn of_user(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(user): Path<String>,
    others: Elsewhere,
    query: Parameters,
) -> Outcome {
    let query = bare::limited(&api, query, bare::CONNECTION);
    let mut rows = seen(&api, &caller);
    rows.retain(|open| open.profile.user.as_str() == user);
    pages(&api, &caller, &others, &query, rows).await
}

async fn close_all(
    State(api): State<Arc<Api>>,
    Administrator(caller): Administrator,
    Path(user): Path<String>,
    others: Elsewhere,
    headers: HeaderMap,
) -> Outcome {
    for open in seen(&api, &caller) {
        if open.profile.user.as_str() == user {
            api.node.close_client(&open.client, reason(&headers));
        }
    }
    others.tell(&api, &caller).await;
    answer::done()
}
