//! `/bindings`: how messages get from exchanges to queues and other exchanges.
//!
//! Between two ends a binding is named by its `properties_key`, which is opaque to clients.

use api::{Binding, DestinationType};
use axum::{
    Router,
    extract::{Path, State},
    http::{HeaderValue, StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use catalog::Request;
use model::{ExchangeName, VhostName};
use routing::Destination;
use std::sync::Arc;

use super::{
    Api,
    answer::{self, Outcome},
    body::Body,
    caller::Caller,
    exchanges,
    failure::Failure,
    list::Parameters,
    permissions::bad_name,
};

/// The routes of this resource.
pub fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/bindings", get(list))
        .route("/bindings/{vhost}", get(of_vhost))
        .route(
            "/bindings/{vhost}/e/{source}/{kind}/{destination}",
            get(of_ends).post(bind),
        )
        .route(
            "/bindings/{vhost}/e/{source}/{kind}/{destination}/{key}",
            get(one).delete(unbind),
        )
}

fn shape(vhost: &VhostName, binding: &routing::Binding) -> Binding {
    let destination_type = match &binding.destination {
        Destination::Queue(_) => DestinationType::Queue,
        Destination::Exchange(_) => DestinationType::Exchange,
    };
    Binding {
        source: binding.source.to_string(),
        vhost: vhost.to_string(),
        destination: binding.destination.name().to_owned(),
        destination_type,
        routing_key: String::from_utf8_lossy(&binding.key).into_owned(),
        arguments: api::to_json(&binding.arguments),
        properties_key: catalog::properties_key(binding),
    }
}

async fn list(State(api): State<Arc<Api>>, caller: Caller, query: Parameters) -> Outcome {
    let snapshot = api.node.snapshot();
    let seen = snapshot
        .catalog
        .vhosts()
        .filter(|vhost| caller.sees(&api, vhost.name()));
    query.all(seen.flat_map(|vhost| vhost.bindings().map(|binding| shape(vhost.name(), &binding))))
}

/// The bindings of a virtual host that the caller may see.
fn in_vhost(
    api: &Api,
    caller: &Caller,
    vhost: &str,
    pick: impl FnOnce(&catalog::Vhost) -> Vec<Arc<routing::Binding>>,
) -> Result<Vec<Binding>, Failure> {
    let name = caller.look_into(api, vhost)?;
    let snapshot = api.node.snapshot();
    let found = snapshot.catalog.vhost(name.as_str()).ok_or_else(Failure::not_found)?;
    Ok(pick(found).iter().map(|binding| shape(&name, binding)).collect())
}

async fn of_vhost(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(vhost): Path<String>,
    query: Parameters,
) -> Outcome {
    query.all(in_vhost(&api, &caller, &vhost, |vhost| vhost.bindings().collect())?)
}

/// `/queues/{vhost}/{queue}/bindings`
pub async fn to_queue(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path((vhost, queue)): Path<(String, String)>,
    query: Parameters,
) -> Outcome {
    let destination = Destination::Queue(super::queues::find(&api, &caller, &vhost, &queue)?.name.clone());
    query.all(in_vhost(&api, &caller, &vhost, |vhost| {
        vhost.bindings_to(&destination)
    })?)
}

/// `/exchanges/{vhost}/{exchange}/bindings/source`
pub async fn from_exchange(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path((vhost, exchange)): Path<(String, String)>,
    query: Parameters,
) -> Outcome {
    let source = exchanges::find(&api, &caller, &vhost, &exchange)?.name.clone();
    query.all(in_vhost(&api, &caller, &vhost, |vhost| vhost.bindings_from(&source))?)
}

/// `/exchanges/{vhost}/{exchange}/bindings/destination`
pub async fn to_exchange(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path((vhost, exchange)): Path<(String, String)>,
    query: Parameters,
) -> Outcome {
    let destination = Destination::Exchange(exchanges::find(&api, &caller, &vhost, &exchange)?.name.clone());
    query.all(in_vhost(&api, &caller, &vhost, |vhost| {
        vhost.bindings_to(&destination)
    })?)
}

/// The two ends that a path names: `q` leads to a queue, `e` to an exchange.
fn ends(source: &str, kind: &str, destination: &str) -> Result<(ExchangeName, Destination), Failure> {
    let source = exchanges::name(source)?;
    let destination = match kind {
        "q" => Destination::Queue(destination.parse().map_err(bad_name)?),
        "e" => Destination::Exchange(exchanges::name(destination)?),
        _ => return Err(Failure::not_found()),
    };
    Ok((source, destination))
}

type Ends = (String, String, String, String);

async fn of_ends(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path((vhost, source, kind, destination)): Path<Ends>,
    query: Parameters,
) -> Outcome {
    let (source, destination) = ends(&source, &kind, &destination)?;
    query.all(in_vhost(&api, &caller, &vhost, |vhost| {
        vhost.bindings_between(&source, &destination)
    })?)
}

async fn bind(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path((vhost, source, kind, destination)): Path<Ends>,
    body: Body,
) -> Outcome {
    let client = caller.enter(&api, &vhost)?;
    let (source, destination) = ends(&source, &kind, &destination)?;
    let key = body.text("routing_key")?.unwrap_or_default();
    if key.len() > u8::MAX.into() {
        return Err(Failure::bad_request("routing_key has more than 255 octets"));
    }
    let arguments = body.arguments("arguments")?;
    let binding = routing::Binding::new(source, destination, key.as_bytes(), arguments);
    let location = format!(
        "{}/{}",
        encoded(binding.destination.name()),
        encoded(&catalog::properties_key(&binding))
    );
    api.node.request(&client, Request::Bind(binding)).await?;
    // Percent-encoded, so it is always a header's value.
    let location = HeaderValue::from_str(&location).map_err(|_| Failure::bad_request("routing_key"))?;
    Ok((StatusCode::CREATED, [(header::LOCATION, location)]).into_response())
}

/// A path segment.
fn encoded(text: &str) -> String {
    let plain = |octet: &u8| octet.is_ascii_alphanumeric() || b"-_.~".contains(octet);
    let mut out = String::new();
    for octet in text.as_bytes() {
        match plain(octet) {
            true => out.push(char::from(*octet)),
            false => out.push_str(&format!("%{octet:02X}")),
        }
    }
    out
}

/// The binding that a path names. A `properties_key` is percent-encoded itself: a client that encodes it once more and
/// one that follows `Location` mean the same.
fn find(
    api: &Api,
    vhost: &str,
    (source, destination): &(ExchangeName, Destination),
    key: &str,
) -> Option<routing::Binding> {
    let snapshot = api.node.snapshot();
    let found = snapshot.catalog.vhost(vhost)?;
    let names = |binding: &Arc<routing::Binding>| {
        let own = catalog::properties_key(binding);
        own == key || own == encoded_key(key)
    };
    let between = found.bindings_between(source, destination);
    between
        .iter()
        .find(|binding| names(binding))
        .map(|binding| binding.as_ref().clone())
}

/// A key whose encoding was taken off with that of its path, but for the part that stands for arguments.
fn encoded_key(key: &str) -> String {
    match key.rsplit_once('~') {
        Some((plain, arguments)) if arguments.len() == 6 => format!("{}~{arguments}", encoded(plain)),
        _ => encoded(key),
    }
}

type EndsAndKey = (String, String, String, String, String);

async fn one(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path((vhost, source, kind, destination, key)): Path<EndsAndKey>,
    query: Parameters,
) -> Outcome {
    let name = caller.look_into(&api, &vhost)?;
    let ends = ends(&source, &kind, &destination)?;
    let binding = find(&api, &vhost, &ends, &key).ok_or_else(Failure::not_found)?;
    query.one(shape(&name, &binding))
}

async fn unbind(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path((vhost, source, kind, destination, key)): Path<EndsAndKey>,
) -> Outcome {
    let client = caller.enter(&api, &vhost)?;
    let ends = ends(&source, &kind, &destination)?;
    let binding = find(&api, &vhost, &ends, &key).ok_or_else(Failure::not_found)?;
    answer::deleted(api.node.request(&client, Request::Unbind(binding)).await?)
}
