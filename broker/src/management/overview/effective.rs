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
use link::Term;
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
    let text = printed(&observe::environment(&api.node)).pretty();
    ([(header::CONTENT_TYPE, "text/plain")], format!("{text}\n")).into_response()
}

/// A value of the environment as an Erlang term.
fn printed(term: &Term) -> Printed {
    let word = |text: &str| Printed::Atom(link::atom_text(text));
    match term {
        Term::Atom(text) => word(text),
        Term::Binary(text) => Printed::binary(text),
        Term::Pid(text) => Printed::Plain(text.clone()),
        Term::Integer(number) => Printed::Plain(number.to_string()),
        Term::Float(number) => Printed::Plain(format!("{number:?}")),
        Term::Bool(yes) => Printed::Atom(yes.to_string()),
        Term::List(items) => Printed::List(items.iter().map(printed).collect()),
        Term::Map(pairs) => Printed::List(
            pairs
                .iter()
                .map(|(key, value)| Printed::Tuple(vec![word(key), printed(value)]))
                .collect(),
        ),
        Term::Table(rows) => Printed::List(
            rows.iter()
                .map(|(key, kind, value)| Printed::Tuple(vec![Printed::binary(key), word(kind), printed(value)]))
                .collect(),
        ),
    }
}
