//! Port 15680: what Kubernetes asks a node. Always on, independent of plugins and users.
//!
//! Probes only, and they tell the truth: started, ready for clients, alive.

use axum::{Router, extract::State, http::StatusCode, routing::get};
use std::sync::Arc;

use crate::host::Node;

/// The routes of the admin port.
pub fn routes(node: Arc<Node>) -> Router {
    Router::new()
        .route("/startup", get(started))
        .route("/ready", get(ready))
        .route("/live", get(live))
        .with_state(node)
}

type Verdict = (StatusCode, &'static str);

async fn started(State(node): State<Arc<Node>>) -> Verdict {
    verdict(node.has_started(), "started\n", "starting\n")
}

async fn ready(State(node): State<Arc<Node>>) -> Verdict {
    match (node.has_started(), node.stopping().is_cancelled()) {
        (true, false) => (StatusCode::OK, "ready\n"),
        (false, _) => (StatusCode::SERVICE_UNAVAILABLE, "starting\n"),
        (true, true) => (StatusCode::SERVICE_UNAVAILABLE, "stopping\n"),
    }
}

/// A queue or catalogue lock that is never released would be a hang: the probe takes the catalogue's.
async fn live(State(node): State<Arc<Node>>) -> Verdict {
    verdict(
        node.is_responsive(),
        "alive\n",
        "the catalogue has been locked for a second\n",
    )
}

fn verdict(good: bool, yes: &'static str, no: &'static str) -> Verdict {
    if good {
        (StatusCode::OK, yes)
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, no)
    }
}
