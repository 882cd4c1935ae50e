//! Takes a node out of service before its pod is replaced, and puts one back that is not replaced after all. The node itself does it, on its
//! admin port: its clients are told to go elsewhere, and what others can lead they lead when it answers. Likewise it moves queues with one copy
//! before it goes for good.
//!
//! It is written down in the status before it is asked for, so that whoever finds the node so after a crash knows by whom. Whether a node may
//! go is the plan's to say.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::time::Duration;

use hyper::Method;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{Patch, PatchParams};
use kube::{Resource, ResourceExt};
use link::Request;

use super::act::{Error, Hand, failed};
use super::leave::{FORCE_REMOVE, Lost};
use super::names::OPERATOR;
use super::nodes;
use super::observe::Found;
use super::secrets::cookies;
use super::situation::PodSeen;
use crate::crd::{Operation, OperationKind, OperationStep, RabbitCluster, RabbitClusterStatus};
use crate::events::Note;
use crate::policy::broker::{self, Brokers};

/// How long a node may take to hand its queues over; what it has begun it goes on with.
const PATIENCE: Duration = Duration::from_secs(40);

/// What came of it.
pub(super) enum Drained {
    /// Nobody misses the node.
    Empty(Option<Note>),
    /// It is looked at again in the next pass.
    Not(Option<Note>),
}

impl Hand<'_> {
    /// The node of this very pod, to be asked for something that is still wanted.
    async fn asks(&self, found: &Found, pod: &PodSeen) -> Result<Option<Brokers>, Error> {
        let is_wanted = self.is_still_wanted().await?;
        Ok(its_broker(found, pod).filter(|_| is_wanted))
    }

    /// Takes the node of this very pod out of service.
    pub(super) async fn take_out(&self, found: &Found, pod: &PodSeen) -> Result<Drained, Error> {
        let Some(brokers) = self.asks(found, pod).await? else {
            return Ok(Drained::Not(None));
        };
        self.write_down(found, pod).await?;
        Ok(match brokers.maintain(Method::PUT).await {
            Ok(told) if told.leads == 0 => Drained::Empty(Some(Note::normal(
                "NodeDrained",
                format!("{} takes no clients, and others lead its mirrored queues", pod.name),
            ))),
            Ok(told) => Drained::Not(Some(Note::warning(
                "NodeKeepsQueues",
                format!(
                    "{} leads {} mirrored queues still: it is asked again",
                    pod.name, told.leads
                ),
            ))),
            // A version before maintenance: it hands over when it stops.
            Err(broker::Error::NotFound(_)) => Drained::Empty(None),
            Err(error) => Drained::Not(Some(refuses(pod, error))),
        })
    }

    /// Puts it back into service.
    pub(super) async fn revive(&self, found: &Found, pod: &PodSeen) -> Result<Option<Note>, Error> {
        let Some(brokers) = self.asks(found, pod).await? else {
            return Ok(None);
        };
        Ok(Some(match brokers.maintain(Method::DELETE).await {
            Ok(_) => Note::normal(
                "NodeRevived",
                format!("{} is not replaced after all, and takes clients again", pod.name),
            ),
            Err(error) => refuses(pod, error),
        }))
    }

    /// Marks this very pod's node as one that is to leave, or as one that stays.
    pub(super) async fn mark_leaving(&self, found: &Found, pod: &PodSeen, on: bool) -> Result<Option<Note>, Error> {
        let Some(brokers) = self.asks(found, pod).await? else {
            return Ok(None);
        };
        let method = if on { Method::PUT } else { Method::DELETE };
        Ok(Some(match (brokers.leaving(method).await, on) {
            (Ok(_), true) => Note::normal(
                "NodeLeaving",
                format!(
                    "{} is to leave: nothing new is placed there, and other nodes get copies of what it has",
                    pod.name
                ),
            ),
            (Ok(_), false) => Note::normal("NodeStays", format!("{} does not leave after all", pod.name)),
            (Err(error), _) => refuses(pod, error),
        }))
    }

    /// Has queues with one copy move from this very pod's node to these. The node does so for a minute: whoever wants it no more asks no more.
    pub(super) async fn evacuate(
        &self,
        found: &Found,
        pod: &PodSeen,
        to: &BTreeSet<String>,
    ) -> Result<Option<Note>, Error> {
        let Some(brokers) = self.asks(found, pod).await? else {
            return Ok(None);
        };
        Ok(match brokers.evacuate(to).await {
            // What is left is tied to it, as the condition says.
            Ok(told) if told.left == 0 => None,
            Ok(_) => Some(Note::normal(
                "QueuesMove",
                format!("queues of which {} has the only copy move to other nodes", pod.name),
            )),
            Err(broker::Error::NotFound(_)) => Some(Note::warning(
                "NodeRefuses",
                format!("{} is of a version that does not move queues with one copy", pod.name),
            )),
            Err(error) => Some(refuses(pod, error)),
        })
    }

    /// Has a node forget one that is gone for good, and tells which queues went with it.
    pub(super) async fn forget(&self, found: &Found, by: &PodSeen, lost: &Lost) -> Result<Option<Note>, Error> {
        let request = Request::Forget {
            node: lost.node.clone(),
            offline: false,
        };
        let told = self.tell_node(found, by, &request).await?;
        let queues = lost.queues.as_deref().unwrap_or("none");
        Ok(told.map(|note| match note.reason.as_str() {
            "NodeRefuses" => note,
            _ => Note::warning(
                "NodeGivenUp",
                format!(
                    "{} belongs to the cluster no more, as {FORCE_REMOVE} says; queues that nobody led without it: {queues}",
                    lost.node
                ),
            ),
        }))
    }

    /// The status as it was, with what is being done now.
    async fn write_down(&self, found: &Found, pod: &PodSeen) -> Result<(), Error> {
        let old = self
            .cluster
            .status
            .as_ref()
            .and_then(|status| status.operation.as_ref());
        if old.is_some_and(|old| old.kind == OperationKind::Roll && old.node == pod.name) {
            return Ok(());
        }
        let status = RabbitClusterStatus {
            operation: Some(Operation {
                kind: OperationKind::Roll,
                node: pod.name.clone(),
                step: OperationStep::TransferMasters,
                started_at: Some(Time(found.at)),
                remaining_queues: None,
                blocked_by: String::new(),
                volume: None,
            }),
            ..self.cluster.status.clone().unwrap_or_default()
        };
        let applied = serde_json::json!({
            "apiVersion": RabbitCluster::api_version(&()),
            "kind": RabbitCluster::kind(&()),
            "status": status,
        });
        let (clusters, name) = (self.api::<RabbitCluster>(), self.cluster.name_any());
        let parameters = PatchParams::apply(OPERATOR).force();
        let written = clusters.patch_status(&name, &parameters, &Patch::Apply(applied)).await;
        written
            .map(drop)
            .map_err(|source| failed(format!("write down that {} is replaced", pod.name), source))
    }
}

/// What a node answered that does not do it.
pub(super) fn refuses(pod: &PodSeen, why: impl Display) -> Note {
    Note::warning("NodeRefuses", format!("{}: {why}", pod.name))
}

/// The broker in that very pod.
fn its_broker(found: &Found, pod: &PodSeen) -> Option<Brokers> {
    let live = found.pods.iter().find(|live| live.uid().as_ref() == Some(&pod.uid))?;
    let cookies = found.cookie.as_ref().map(cookies).unwrap_or_default();
    Some(Brokers::new(vec![nodes::address(live)?], cookies).with_patience(PATIENCE))
}
