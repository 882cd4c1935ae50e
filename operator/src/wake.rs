//! Which changes of the objects that we carry out wake a pass over them: of what users write, and never of a status. A status is ours: what
//! a pass tells must not be the cause of the next one.
//!
//! The store holds every change all the same, so that who reads it reads the newest.

use std::fmt::Debug;

use futures::Stream;
use kube::Resource;
use kube::runtime::controller::Controller;
use kube::runtime::reflector::{self, Store};
use kube::runtime::{Predicate, WatchStreamExt, predicates, watcher};
use serde::de::DeserializeOwned;

/// A controller of these objects that sleeps while nothing but their status changes.
pub(crate) fn controller<K>(
    changes: impl Stream<Item = watcher::Result<watcher::Event<K>>> + Send + 'static,
) -> Controller<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    let (store, causes) = causes(changes);
    Controller::for_stream(causes, store)
}

/// The newest of all of them, and those whose change is a cause for a pass, each time that it is.
fn causes<K>(
    changes: impl Stream<Item = watcher::Result<watcher::Event<K>>>,
) -> (Store<K>, impl Stream<Item = watcher::Result<K>>)
where
    K: Resource<DynamicType = ()> + Clone + Debug,
{
    let (store, writer) = reflector::store();
    let of_users = predicates::generation
        .combine(predicates::labels)
        .combine(predicates::annotations)
        .combine(predicates::finalizers);
    let stored = changes.reflect(writer).applied_objects();
    (store, stored.predicate_filter(of_users, Default::default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crd::RabbitCluster;
    use futures::StreamExt;
    use kube::core::DeserializeGuard;
    use kube::runtime::watcher::Event;

    type Guarded = DeserializeGuard<RabbitCluster>;

    fn cluster(generation: i64, finalizers: &[&str], note: &str, ready: i32) -> Guarded {
        let value = serde_json::json!({
            "apiVersion": "warren.dev/v1alpha1",
            "kind": "RabbitCluster",
            "metadata": {
                "name": "orders",
                "namespace": "shop",
                "uid": "u",
                "generation": generation,
                "annotations": {"note": note},
                "finalizers": finalizers,
            },
            "spec": {"replicas": 3},
            "status": {"readyReplicas": ready},
        });
        DeserializeGuard(Ok(serde_json::from_value(value).unwrap()))
    }

    /// Passes that these changes cause, and how many nodes whoever reads the store sees ready after them.
    async fn passes(changes: Vec<Guarded>) -> (usize, i32) {
        let listed = [Event::Init, Event::InitDone].into_iter();
        let changes = listed.chain(changes.into_iter().map(Event::Apply)).map(Ok);
        let (store, causes) = causes(futures::stream::iter(changes));
        let passes = causes.count().await;
        let newest = store.state().pop().unwrap();
        let status = newest.0.as_ref().unwrap().status.as_ref().unwrap().ready_replicas;
        (passes, status)
    }

    #[tokio::test]
    async fn a_status_that_changes_causes_no_pass_and_is_read_all_the_same() {
        let statuses = (0..20).map(|ready| cluster(1, &[], "", ready)).collect();
        assert_eq!(passes(statuses).await, (1, 19), "the one is for the object itself");
    }

    #[tokio::test]
    async fn each_change_by_a_user_causes_one() {
        let changes = vec![
            cluster(1, &[], "", 1),
            cluster(1, &[], "new", 2),
            cluster(1, &[], "new", 3),
            cluster(2, &[], "new", 3),
            cluster(2, &["held"], "new", 4),
        ];
        assert_eq!(passes(changes).await, (4, 4));
    }
}
