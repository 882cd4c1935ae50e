//! What the API answers instead of success: status and `{error, reason}`, in RabbitMQ's words.
//!
//! Handlers return it with `?`; nothing here decides who may do what.

use api::ApiError;
use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use model::{Refusal, ReplyCode};
use serde_json::Value;

/// A request that was not done.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    status: StatusCode,
    /// RabbitMQ sends no body for some.
    body: Option<ApiError>,
}

impl Failure {
    fn with(status: StatusCode, body: ApiError) -> Self {
        Failure {
            status,
            body: Some(body),
        }
    }

    /// Why, for people.
    pub fn reason(&self) -> String {
        let reason = self.body.as_ref().map(|body| &body.reason);
        match reason {
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => self.status.to_string(),
        }
    }

    /// 404: no such object or path.
    pub fn not_found() -> Self {
        Self::with(StatusCode::NOT_FOUND, ApiError::not_found())
    }

    /// 404 in the words of an AMQP refusal.
    pub fn missing(reason: impl Into<Value>) -> Self {
        Self::with(StatusCode::NOT_FOUND, ApiError::new("not_found", reason))
    }

    /// 400: the request makes no sense.
    pub fn bad_request(reason: impl Into<Value>) -> Self {
        Self::with(StatusCode::BAD_REQUEST, ApiError::bad_request(reason))
    }

    /// 400 of another kind, such as `page_out_of_range`.
    pub fn bad(error: &str, reason: impl Into<Value>) -> Self {
        Self::with(StatusCode::BAD_REQUEST, ApiError::new(error, reason))
    }

    /// 401: this user may not do that.
    pub fn not_authorised(reason: &str) -> Self {
        Self::with(StatusCode::UNAUTHORIZED, ApiError::not_authorised(reason))
    }

    /// 401: wrong password or unknown user.
    pub fn login_failed() -> Self {
        Self::with(StatusCode::UNAUTHORIZED, ApiError::login_failed())
    }

    /// 429: too many wrong passwords; this one was not looked at.
    pub fn too_many_guesses() -> Self {
        let reason = "Too many failed log-ins, try again later";
        Self::with(
            StatusCode::TOO_MANY_REQUESTS,
            ApiError::new("too_many_requests", reason),
        )
    }

    /// 401 without a body: nobody has logged in.
    pub fn anonymous() -> Self {
        Failure {
            status: StatusCode::UNAUTHORIZED,
            body: None,
        }
    }

    /// 400 without a body: a header is none.
    pub fn malformed() -> Self {
        Failure {
            status: StatusCode::BAD_REQUEST,
            body: None,
        }
    }

    /// 406: who asks does not take JSON.
    pub fn not_acceptable() -> Self {
        Failure {
            status: StatusCode::NOT_ACCEPTABLE,
            body: None,
        }
    }

    /// 405: there is such a path, but not for this.
    pub fn not_allowed() -> Self {
        Failure {
            status: StatusCode::METHOD_NOT_ALLOWED,
            body: None,
        }
    }

    /// 412: it is forbidden to delete this.
    pub fn precondition(reason: impl Into<Value>) -> Self {
        Self::with(
            StatusCode::PRECONDITION_FAILED,
            ApiError::new("precondition_failed", reason),
        )
    }

    /// 503: nothing is wrong with the request, the node cannot do it now.
    pub fn unavailable(reason: impl Into<Value>) -> Self {
        Self::with(
            StatusCode::SERVICE_UNAVAILABLE,
            ApiError::new("service_unavailable", reason),
        )
    }

    /// 413: the body is larger than the configuration allows.
    pub fn too_large(bytes_max: u64) -> Self {
        let reason = format!("the body is larger than management.http.max_body_size ({bytes_max} bytes)");
        Self::with(
            StatusCode::PAYLOAD_TOO_LARGE,
            ApiError::new("payload_too_large", reason),
        )
    }

    /// An AMQP refusal where RabbitMQ names code and text, such as `404 NOT_FOUND - no exchange …`.
    pub fn coded(refusal: &Refusal) -> Self {
        Self::bad_request(format!("{} {refusal}", refusal.code as u16))
    }
}

/// For operations whose only refusal of their own is that the object does not exist.
pub fn absent(refusal: Refusal) -> Failure {
    instead(refusal, Failure::not_found)
}

/// Another answer for a refusal of the definitions; a node that cannot change them now says so.
pub fn instead(refusal: Refusal, other: impl FnOnce() -> Failure) -> Failure {
    match refusal.code {
        ReplyCode::InternalError | ReplyCode::ResourceError => Failure::from(refusal),
        _ => other(),
    }
}

/// Refusals of operations that RabbitMQ does over AMQP.
impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        match refusal.code {
            ReplyCode::NotFound => Failure::missing(refusal.text),
            ReplyCode::AccessRefused => Failure::not_authorised("Access refused."),
            ReplyCode::InternalError | ReplyCode::ResourceError => Failure::unavailable(refusal.text),
            _ => Failure::bad_request(refusal.text),
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = match self.body {
            Some(body) => (self.status, Json(body)).into_response(),
            None => self.status.into_response(),
        };
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Basic realm=\"RabbitMQ Management\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amqp_refusals_get_the_status_that_rabbitmq_gives_them() {
        let cases = [
            (ReplyCode::NotFound, StatusCode::NOT_FOUND),
            (ReplyCode::AccessRefused, StatusCode::UNAUTHORIZED),
            (ReplyCode::PreconditionFailed, StatusCode::BAD_REQUEST),
            (ReplyCode::ResourceLocked, StatusCode::BAD_REQUEST),
            (ReplyCode::ResourceError, StatusCode::SERVICE_UNAVAILABLE),
        ];
        for (code, status) in cases {
            assert_eq!(Failure::from(Refusal::channel(code, "x")).status, status, "{code:?}");
        }
        assert_eq!(
            absent(Refusal::channel(ReplyCode::PreconditionFailed, "x")),
            Failure::not_found()
        );
        assert_eq!(
            absent(Refusal::connection(ReplyCode::ResourceError, "x")),
            Failure::unavailable("x")
        );
        let coded = Failure::coded(&Refusal::channel(ReplyCode::NotFound, "no exchange 'x'"));
        assert_eq!(coded, Failure::bad_request("404 NOT_FOUND - no exchange 'x'"));
    }
}
