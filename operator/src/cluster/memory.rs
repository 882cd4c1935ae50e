//! Whether the machine sets aside all the memory that a node may use: a node that uses more than was set aside is among the first that end when the
//! machine runs out of it. A hint, and nothing is refused for it.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::conditions::{Claim, claim};
use crate::crd::Resources;
use crate::quantity::value;

pub(super) fn is_guaranteed(resources: &Resources) -> Claim {
    let kind = "MemoryGuaranteed";
    let of = |amounts: &std::collections::BTreeMap<String, Quantity>| amounts.get("memory").cloned();
    let (limit, request) = (of(&resources.limits), of(&resources.requests));
    match (limit, request) {
        (None, _) => claim(
            kind,
            false,
            "NoLimit",
            "spec.resources.limits.memory is not set: a node may use what the machine has, and end when that is used up by others",
        ),
        // Kubernetes sets aside the limit where nothing else is asked for.
        (Some(limit), request) if request.as_ref().is_none_or(|request| value(request) == value(&limit)) => claim(
            kind,
            true,
            "Guaranteed",
            format!("{} is set aside for each node", limit.0),
        ),
        (Some(limit), request) => claim(
            kind,
            false,
            "RequestBelowLimit",
            format!(
                "each node may use {} and {} is set aside for it: set spec.resources.requests.memory to the limit",
                limit.0,
                request.unwrap_or_default().0
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_guaranteed_where_as_much_is_set_aside_as_may_be_used() {
        let reason = |text: &str| is_guaranteed(&serde_yaml::from_str(text).unwrap()).reason;
        assert_eq!(is_guaranteed(&Resources::default()).reason, "Guaranteed");
        assert_eq!(reason("{limits: {memory: 1Gi}}"), "Guaranteed");
        assert_eq!(
            reason("{requests: {memory: 1024Mi}, limits: {memory: 1Gi}}"),
            "Guaranteed"
        );
        assert_eq!(
            reason("{requests: {memory: 64Mi}, limits: {memory: 1Gi}}"),
            "RequestBelowLimit"
        );
        assert_eq!(reason("{requests: {memory: 64Mi}}"), "NoLimit");
    }
}
