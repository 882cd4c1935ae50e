//! The API server's own sentence out of an error, without the status object that the library prints behind it. Users read it in
//! conditions and events.

/// What went wrong, in one sentence.
pub(crate) fn said(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if !status.message.is_empty() => status.message.clone(),
        other => other.to_string(),
    }
}
