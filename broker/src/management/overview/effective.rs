//! `/version` and `/config/effective`: with what RabbitMQ this node is compatible, and the settings that are in force, as `rabbitmqctl
//! environment` prints them.
//!
//! A password or another secret is in neither.

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use erlang::Printed;
use std::sync::Arc;

use crate::{
    host::RABBITMQ_VERSION,
    management::{Api, answer::Outcome, caller::ReadingAdministrator, list::Parameters},
    observe,
};

/// Open to everybody, as RabbitMQ's.
pub(super) async fn version(query: Parameters) -> Outcome {
    query.one(RABBITMQ_VERSION)
}

pub(super) async fn settings(State(api): State<Arc<Api>>, _: ReadingAdministrator) -> Response {
    let text = Printed::from(&observe::environment(&api.node)).pretty();
    ([(header::CONTENT_TYPE, "text/plain")], format!("{text}\n")).into_response()
}
