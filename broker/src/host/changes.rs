//! That something has changed which whoever looks after the cluster from outside would act on: who is a member and who is up, where copies of
//! queues are and which are in sync, policies, virtual hosts, alarms. It is counted when it can be seen, and nothing is kept of what it was:
//! whoever waits here looks again at all of it.
//!
//! Queues, bindings and messages that come and go are no such change, and no publish comes by here.

use catalog::{Catalog, Event};
use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use tokio::sync::watch;

use super::node::{Node, Snapshot};

/// Counts changes, each once it can be seen.
#[derive(Debug, Default)]
pub(super) struct Changes {
    count: watch::Sender<u64>,
    /// There is one that is not published yet.
    comes: AtomicBool,
}

impl Changes {
    /// One that can be seen already.
    pub(super) fn tell(&self) {
        self.count.send_modify(|count| *count += 1);
    }

    /// The definitions are about to change.
    pub(super) fn heed(&self, event: &Event) {
        if is_told(event) {
            self.comes.store(true, Ordering::Relaxed);
        }
    }

    /// They are published; `before` they were others.
    pub(super) fn published(&self, before: &Catalog, now: &Catalog) {
        let in_service = |catalog: &Catalog| -> Vec<bool> { catalog.nodes().map(|node| node.may_lead()).collect() };
        if self.comes.swap(false, Ordering::Relaxed) || in_service(before) != in_service(now) {
            self.tell();
        }
    }
}

fn is_told(event: &Event) -> bool {
    match event {
        Event::QueueReplicasChanged { .. }
        | Event::MessagesGivenUp(..)
        | Event::VhostCreated(_)
        | Event::VhostDeleted(_)
        | Event::PolicySet(_)
        | Event::PolicyCleared(_)
        | Event::NodeUp(_)
        | Event::NodeDown(_)
        | Event::NodeAdded(_)
        | Event::NodeRemoved(_) => true,
        Event::QueueDeclared(_)
        | Event::QueueDeleted(_)
        | Event::QueueSettingsChanged(_)
        | Event::ExchangeDeclared(_)
        | Event::ExchangeDeleted(_)
        | Event::BindingCreated { .. }
        | Event::BindingDeleted { .. }
        | Event::VhostChanged(_)
        | Event::UserCreated(_)
        | Event::UserChanged(_)
        | Event::UserDeleted(_)
        | Event::PermissionsChanged { .. }
        | Event::GlobalParameterChanged(_) => false,
    }
}

impl Node {
    /// How far changes are, once that is not `since` any more or so much time has gone. No other process ever says the same.
    pub async fn changes(&self, since: Option<&str>, patience: Duration) -> String {
        let mut count = self.changes.count.subscribe();
        let is_other = count.wait_for(|count| since != Some(&self.mark(*count)));
        let other = async { is_other.await.map(drop) };
        tokio::select! {
            _ = tokio::time::timeout(patience, other) => {}
            () = self.stopping().cancelled() => {}
        }
        let now = *count.borrow();
        self.mark(now)
    }

    fn mark(&self, count: u64) -> String {
        let own = self.identity();
        format!("{}.{}.{count}", own.node, own.incarnation)
    }

    /// For whoever looks on from outside.
    pub(super) fn note_published(&self, before: &Snapshot, now: &Snapshot) {
        self.changes.published(&before.catalog, &now.catalog);
    }
}
