//! What the API answers instead of what was asked for. The words in `error` are compatibility, both spellings of
//! "authorised" included.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The body of an answer that is no success.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ApiError {
    /// The kind, such as `bad_request`.
    pub error: String,
    /// The explanation: text, or a list such as `["unknown","zz"]`.
    pub reason: Value,
}

impl ApiError {
    /// A kind with its explanation.
    pub fn new(error: &str, reason: impl Into<Value>) -> Self {
        ApiError {
            error: error.to_owned(),
            reason: reason.into(),
        }
    }

    /// No such object, or no such path.
    pub fn not_found() -> Self {
        Self::new("Object Not Found", "Not Found")
    }

    /// Wrong password or unknown user.
    pub fn login_failed() -> Self {
        Self::new("not_authorized", "Login failed")
    }

    /// The user may not do this; `reason` is such as `Not administrator user`.
    pub fn not_authorised(reason: &str) -> Self {
        Self::new("not_authorised", reason)
    }

    /// The request makes no sense.
    pub fn bad_request(reason: impl Into<Value>) -> Self {
        Self::new("bad_request", reason)
    }
}
