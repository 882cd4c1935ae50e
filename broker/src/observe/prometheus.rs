//! Port 15692: the node's numbers for Prometheus, under RabbitMQ's names as far as this broker has them.
//!
//! Open to whoever reaches the port, as RabbitMQ's. A scrape reads each queue once and changes nothing.

use axum::{
    Router,
    extract::{Query, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Instant,
};

use super::{
    exposition::{Kind, Page},
    metrics,
};
use crate::{
    config::Config,
    host::Node,
    http::{self, Bound},
};

/// The version of the text format.
const TEXT: &str = "text/plain; version=0.0.4";

/// Binds the endpoint's ports.
///
/// # Errors
/// A port or its certificate cannot be had.
pub fn bind(config: &Config) -> anyhow::Result<Vec<Bound>> {
    let protocols = ["http/prometheus", "https/prometheus"];
    http::bind_all(config, &config.prometheus.listener, "prometheus", protocols)
}

/// How often a page was asked for, and what that took.
#[derive(Clone, Copy, Debug, Default)]
struct Scrapes {
    count: u64,
    seconds: f64,
    octets: u64,
}

/// The node, and the scrapes of each page but memory's, by RabbitMQ's name of it.
#[derive(Debug)]
struct Door {
    node: Arc<Node>,
    scrapes: Mutex<BTreeMap<&'static str, Scrapes>>,
}

type Labels<'a> = Vec<(&'a str, &'a str)>;

impl Door {
    /// The page, with what all scrapes before it took at its end.
    async fn answer(&self, registry: &'static str, write: impl Future<Output = String>) -> Response {
        let began = Instant::now();
        let mut page = write.await;
        let before = self.scrapes.lock().clone();
        page.push_str(&told(&before));
        let mut scrapes = self.scrapes.lock();
        let own = scrapes.entry(registry).or_default();
        own.count += 1;
        own.seconds += began.elapsed().as_secs_f64();
        own.octets += page.len() as u64;
        ([(header::CONTENT_TYPE, TEXT)], page).into_response()
    }
}

/// What scrapes took, under the names that RabbitMQ's library has for it. Pages are sent as they are written.
fn told(scrapes: &BTreeMap<&'static str, Scrapes>) -> String {
    type OfScrapes = (&'static str, &'static str, fn(&Scrapes) -> f64);
    let families: [OfScrapes; 3] = [
        ("encoded_size_bytes", "Scrape size, encoded", |own| own.octets as f64),
        ("duration_seconds", "Scrape duration", |own| own.seconds),
        ("size_bytes", "Scrape size, not encoded", |own| own.octets as f64),
    ];
    let mut page = Page::under("telemetry_scrape_");
    for (name, help, sum) in families {
        page.family(name, Kind::Summary, help);
        for (registry, own) in scrapes {
            let mut labels: Labels<'_> = vec![("registry", registry), ("content_type", TEXT)];
            labels.extend((name == "encoded_size_bytes").then_some(("encoding", "identity")));
            page.series(&format!("{name}_count"), &labels, own.count);
            page.series(&format!("{name}_sum"), &labels, sum(own));
        }
    }
    page.finish()
}

/// The endpoint's paths.
pub fn routes(node: Arc<Node>) -> Router {
    let path = node.config().prometheus.path.clone();
    let scrapes = Mutex::default();
    Router::new()
        .route(&path, get(whole))
        .route(&format!("{path}/per-object"), get(per_object))
        .route(&format!("{path}/detailed"), get(detailed))
        .route(&format!("{path}/memory-breakdown"), get(memory))
        .fallback(|| async { StatusCode::NOT_FOUND })
        .with_state(Arc::new(Door { node, scrapes }))
}

async fn whole(State(door): State<Arc<Door>>) -> Response {
    let node = &door.node;
    let write = async {
        match node.config().prometheus.per_object {
            true => metrics::per_object(node).await,
            false => metrics::whole(node).await,
        }
    };
    door.answer("default", write).await
}

/// `?family=…` as often as there are groups of families to show, and `?vhost=…` for those of some virtual hosts alone.
async fn detailed(State(door): State<Arc<Door>>, Query(pairs): Query<Vec<(String, String)>>) -> Response {
    let of = |wanted: &'static str| {
        let own = pairs.iter().filter(move |(key, _)| key == wanted);
        own.map(|(_, value)| value.as_str())
    };
    let vhosts: BTreeSet<String> = of("vhost").map(str::to_owned).collect();
    let groups: Vec<&str> = of("family").collect();
    let vhosts = Some(vhosts).filter(|some| !some.is_empty());
    door.answer("detailed", metrics::detailed(&door.node, &groups, vhosts))
        .await
}

async fn memory(State(door): State<Arc<Door>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, TEXT)], metrics::memory(&door.node))
}

async fn per_object(State(door): State<Arc<Door>>) -> Response {
    door.answer("per-object", metrics::per_object(&door.node)).await
}
