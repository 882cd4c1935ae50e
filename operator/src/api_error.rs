//! The API server's own sentence out of an error, without the status object that the library prints behind it. Users read it in
//! conditions and events.

/// What went wrong, in one sentence.
pub(crate) fn said(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if !status.message.is_empty() => status.message.clone(),
        other => other.to_string(),
    }
}

/// Whether nothing can be made any more because the namespace is being deleted.
pub(crate) fn is_of_an_ending_namespace(error: &kube::Error) -> bool {
    let kube::Error::Api(status) = error else { return false };
    let causes = status.details.iter().flat_map(|details| &details.causes);
    status.code == 403 && causes.into_iter().any(|cause| cause.reason == "NamespaceTerminating")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(cause: &str) -> kube::Error {
        let text = format!(
            "{{kind: Status, status: Failure, code: 403, reason: Forbidden, message: no, details: {{causes: [{{reason: {cause}, message: no, field: metadata.namespace}}]}}}}"
        );
        kube::Error::Api(serde_yaml::from_str(&text).unwrap())
    }

    #[test]
    fn a_namespace_that_is_being_deleted_is_told_from_a_right_that_is_missing() {
        assert!(is_of_an_ending_namespace(&refused("NamespaceTerminating")));
        assert!(!is_of_an_ending_namespace(&refused("SomethingElse")));
    }
}
