//! Success in RabbitMQ's status codes: 201 for what is new, 204 for what was there, 404 for what is not.

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use catalog::Answer;

use super::failure::Failure;

/// What handlers return.
pub type Outcome = Result<Response, Failure>;

/// Done, and there is nothing to say.
pub fn done() -> Outcome {
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// A `PUT` was performed.
pub fn put(answer: Answer) -> Outcome {
    let is_new = match answer {
        Answer::Created => true,
        Answer::Queue { created, .. } => created,
        Answer::Done | Answer::Absent | Answer::Mirrors(_) => false,
    };
    Ok(if is_new {
        StatusCode::CREATED
    } else {
        StatusCode::NO_CONTENT
    }
    .into_response())
}

/// A `DELETE` was performed; what was absent before is not found.
pub fn deleted(answer: Answer) -> Outcome {
    match answer {
        Answer::Absent => Err(Failure::not_found()),
        Answer::Created | Answer::Done | Answer::Queue { .. } | Answer::Mirrors(_) => done(),
    }
}
