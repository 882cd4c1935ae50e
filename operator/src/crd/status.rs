//! What the operator tells about a cluster. Every field is something seen, never something hoped for.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the operator last saw.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RabbitClusterStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Where the cluster is in its life, in one word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// Nodes that the StatefulSet is asked for.
    #[serde(default)]
    pub replicas: i32,
    /// Nodes that take clients now. A node that is stopping does not count.
    #[serde(default)]
    pub ready_replicas: i32,
    /// Label selector of the pods, for `kubectl scale` and autoscalers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
    /// The columns of `kubectl get`.
    #[serde(default)]
    pub summary: Summary,
    /// What runs and what is wanted.
    #[serde(default)]
    pub version: Version,
    /// The image that new pods get.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Drawn by the brokers when they formed the cluster; empty until they tell it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_id: Option<String>,
    /// What is being done with a node, if anything is. It is written down before it is begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<Operation>,
    /// What the spec asks of pods and the first of them could not do, if nodes went back from it (`update.canary.autoRollback`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolled_back: Option<RolledBack>,
    /// The nodes, by ordinal.
    #[serde(default)]
    pub members: Vec<Member>,
    /// The secret that nodes prove to each other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_secret: Option<ClusterSecretStatus>,
    /// Where the first user's name and password are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_user: Option<DefaultUser>,
    /// The Secret for service bindings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binding: Option<Binding>,
    /// Conditions: Ready, Available, DataSafe, Progressing, Degraded, ReconcileSuccess, ScaleDownBlocked, VolumesSized, Clustered, SecretRotated, TlsBetweenNodes, CertificateValid, Monitored, UpgradeFinalized, RolledBack, SettingsInForce, MemoryGuaranteed, Paused, Reconciling, Stalled.
    #[serde(default)]
    pub conditions: Vec<Condition>,
}

/// Where a cluster is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum Phase {
    /// Nothing exists yet.
    Pending,
    /// Its nodes start for the first time, or after a stop.
    Forming,
    /// Every wanted node takes clients and runs what is wanted.
    Running,
    /// Its nodes are replaced, one at a time.
    Updating,
    /// The first nodes of a new template are watched before the others are replaced.
    Canary,
    /// Another secret comes into force among the nodes.
    RotatingSecret,
    /// Volumes grow.
    ResizingVolumes,
    /// More nodes start.
    ScalingUp,
    /// A node leaves, because fewer are wanted.
    ScalingDown,
    /// A node that should take clients does not.
    Degraded,
    /// `replicas` is 0 and nodes are still stopping.
    Stopping,
    /// `replicas` is 0 and no node runs.
    Stopped,
    /// The operator was told to change nothing.
    Paused,
    /// The spec cannot be carried out, or its pods failed and nodes went back to what they were before.
    Failed,
    /// The cluster is being deleted.
    Deleting,
}

/// What `kubectl get` shows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Ready nodes of wanted nodes, such as 2/3.
    #[serde(default)]
    pub nodes: String,
    /// Queues that policies mirror and of which no mirror is in sync, as far as nodes tell.
    #[serde(default)]
    pub at_risk: u64,
    /// When the first of the certificates that `spec.tls` names ends; empty without one.
    #[serde(default)]
    pub cert_not_after: String,
    /// The most important reason why the cluster is not ready or not settled; empty when it is.
    #[serde(default)]
    pub reason: String,
}

/// What runs and what is wanted, as image tags.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Version {
    /// The tags that run now; several while a roll is under way.
    #[serde(default)]
    pub current: String,
    /// The tag that new pods get.
    #[serde(default)]
    pub target: String,
    /// The feature level that every node must understand, once nodes have told it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feature_level: Option<u32>,
    /// Revision of the template that all pods ran well last, while it is another than that of new pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_revision: Option<String>,
}

/// One node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    /// Name of its pod.
    pub name: String,
    /// Whether it takes clients.
    pub ready: bool,
    /// Its name in the cluster, such as rabbit@orders-server-0.orders-nodes.shop; empty until it has joined.
    #[serde(default)]
    pub node: String,
    /// Its identity in the cluster, which goes with its disk, as it was told last; empty until it has joined.
    #[serde(default)]
    pub node_id: String,
    /// Whether it has a vote on the definitions; missing if nobody tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// The newest of the cluster's secrets that it is known to accept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cookie_generation: Option<u32>,
    /// SHA-256 of the certificate that it shows to AMQP clients; missing without TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cert_fingerprint: Option<String>,
    /// Revision of the pod template that it runs.
    #[serde(default)]
    pub revision: String,
    /// Whether that is the revision that is wanted.
    #[serde(default)]
    pub current: bool,
    /// Tag of the image that it runs.
    #[serde(default)]
    pub version: String,
    /// Whether it is out of service.
    #[serde(default)]
    pub maintenance: bool,
    /// Queues that it leads; missing if it does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub masters: Option<u64>,
    /// Queues of others that it mirrors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirrors: Option<u64>,
    /// Of these, those that it is not in sync with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unsynced: Option<u64>,
    /// What is wrong with it; empty when nothing is.
    #[serde(default)]
    pub problem: String,
}

/// Whether a node has a vote on the definitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum Role {
    /// It has.
    Voter,
    /// It follows what the others decide.
    Learner,
}

/// What is being done with a node.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Operation {
    /// What.
    #[serde(rename = "type")]
    pub kind: OperationKind,
    /// Name of the node's pod.
    pub node: String,
    /// What is done with it now.
    #[serde(default)]
    pub step: OperationStep,
    /// When it was begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// Queues that it leads and others have copies of, if it tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remaining_queues: Option<u64>,
    /// What keeps it from going on; empty when nothing does.
    #[serde(default)]
    pub blocked_by: String,
    /// Uid of the volume claim that it gives up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume: Option<String>,
}

/// What is done with a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum OperationStep {
    /// It is written down that something will be done, or something else must happen first.
    #[default]
    Waiting,
    /// It takes no clients, and mirrors come to lead its queues; then its pod is replaced.
    TransferMasters,
    /// Its app is stopped, and mirrors in sync come to lead its queues.
    StopApp,
    /// It leaves the cluster and empties its disk.
    LeaveCluster,
    /// Its volume and its pod are deleted.
    DiscardVolume,
    /// It joins with its new volume.
    Join,
    /// It goes back into service.
    Revive,
}

/// What nodes went back from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolledBack {
    /// A word for what the spec asked of pods; as long as it asks for the same they stay what they were.
    pub refused: String,
    /// Revision of the template that failed.
    pub revision: String,
    /// Why, in one word.
    pub reason: String,
    /// Why, in one sentence.
    pub message: String,
}

/// What can be done with a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum OperationKind {
    /// It hands its queues over, leaves the cluster, and its pod goes.
    ScaleDown,
    /// It is taken out of service, hands its queues over, and its pod is replaced.
    Roll,
    /// It hands its queues over, leaves the cluster, and joins again with a new volume.
    ReplaceVolume,
}

/// The secret that nodes prove to each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub struct ClusterSecretStatus {
    /// How many there have been, with the one that comes into force now.
    pub generation: u32,
    /// Where its rotation stands.
    pub stage: SecretStage,
}

/// Where the rotation of a secret stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum SecretStage {
    /// None is under way.
    #[default]
    Idle,
    /// Nodes come to accept the new one beside the old.
    Staged,
    /// Nodes come to show the new one.
    Activated,
    /// Nodes come to accept no other than the new one, all at once.
    Replaced,
}

/// Where the first user's name and password are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DefaultUser {
    /// The Secret that holds them.
    pub secret_reference: ObjectName,
    /// The Service they are for.
    pub service_reference: ObjectName,
}

/// An object of the same namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub struct ObjectName {
    /// Its name.
    pub name: String,
}

/// A Secret as the service binding specification asks for it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub struct Binding {
    /// Name of the Secret.
    pub name: String,
}
