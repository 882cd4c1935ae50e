//! `/reset`: statistics begin anew. Rates and the past are forgotten; messages, definitions and totals are not touched.

use axum::{
    Router,
    extract::{Path, State},
    routing::delete,
};
use std::sync::Arc;

use super::{
    Api,
    answer::{self, Outcome},
    caller::Administrator,
    nodes,
};

/// The routes of this resource.
pub fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/reset", delete(all))
        .route("/reset/{node}", delete(one))
}

async fn all(State(api): State<Arc<Api>>, _: Administrator) -> Outcome {
    api.samples.reset();
    answer::done()
}

async fn one(State(api): State<Arc<Api>>, _: Administrator, Path(node): Path<String>) -> Outcome {
    nodes::is_this(&api, &node)?;
    api.samples.reset();
    answer::done()
}
