//! Who is to read a changed Secret at once. A kubelet brings it to a running pod when it looks at the pod next, which may take a minute and another
//! time on each machine; it looks at once at a pod that has changed. So pods get an annotation that means nothing to anybody, and only while a
//! rotation of the cluster's secret waits for them.
//!
//! It only saves time: where it is refused, kubelets come by themselves, and no pass fails for it.

use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::act::Hand;
use super::observe::Found;
use super::rotation;

/// Annotation of a pod with the version of the cluster's secret that it was last to read at once.
const ANNOTATION_READ: &str = "warren.dev/secret-version";

impl Hand<'_> {
    /// Has kubelets look at the pods that have yet to read this stage of a rotation.
    pub(super) async fn hurry(&self, found: &Found, cookie: &Secret) {
        let Some(version) = cookie.resource_version() else {
            return;
        };
        let has_read = |pod: &Pod| found.accepting.contains(&pod.name_any());
        if rotation::stage(cookie).is_some() {
            self.touch(found.pods.iter().filter(|pod| !has_read(pod)), &version)
                .await;
        }
    }

    /// Has kubelets look at these pods, unless they were told so for this version.
    pub(super) async fn touch(&self, pods: impl Iterator<Item = &Pod>, version: &str) {
        let untold = pods.filter(|pod| {
            let told = pod.annotations().get(ANNOTATION_READ);
            told.is_none_or(|told| told != version) && pod.metadata.deletion_timestamp.is_none()
        });
        let told = json!({"metadata": {"annotations": {ANNOTATION_READ: version}}});
        let touch = untold.map(|pod| async {
            let name = pod.name_any();
            let pods = self.api::<Pod>();
            if let Err(error) = pods.patch(&name, &PatchParams::default(), &Patch::Merge(&told)).await {
                tracing::debug!("the kubelet of {name} reads the secret when it looks next: {error}");
            }
        });
        futures::future::join_all(touch).await;
    }
}
