//! The `RabbitCluster` resource: what a user may ask for. Doc comments here are what `kubectl explain` shows.
//!
//! Defaults stand in the schema, so `kubectl get -o yaml` shows what is in force. A rule that compares with the old value
//! stands on the level above an optional field, because the API server skips such rules when the field comes or goes.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Affinity, Toleration, TopologySpreadConstraint};
use k8s_openapi::api::networking::v1::NetworkPolicyPeer;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::{CustomResource, KubeSchema};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::load_definitions::LoadDefinitions;
use super::monitoring::Monitoring;
use super::status::RabbitClusterStatus;
use super::update::Update;

/// A cluster of Warren brokers that speak AMQP 0-9-1 as RabbitMQ does.
#[derive(CustomResource, Clone, Debug, PartialEq, Deserialize, Serialize, KubeSchema)]
#[kube(
    group = "warren.dev",
    version = "v1alpha1",
    kind = "RabbitCluster",
    plural = "rabbitclusters",
    shortname = "rmq",
    category = "all",
    category = "rabbit",
    namespaced,
    doc = "A cluster of Warren brokers that speak AMQP 0-9-1 as RabbitMQ does.",
    status = "RabbitClusterStatus",
    derive = "PartialEq",
    scale(
        spec_replicas_path = ".spec.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        description = "Whether every wanted node takes clients",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(
        name = "Nodes",
        type_ = "string",
        description = "Ready nodes of wanted nodes",
        json_path = ".status.summary.nodes"
    ),
    printcolumn(
        name = "Version",
        type_ = "string",
        description = "Image tags that run now",
        json_path = ".status.version.current"
    ),
    printcolumn(
        name = "AtRisk",
        type_ = "integer",
        description = "Queues that policies mirror and that have no mirror in sync",
        json_path = ".status.summary.atRisk"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Image", type_ = "string", priority = 1, json_path = ".status.image"),
    printcolumn(
        name = "Reason",
        type_ = "string",
        description = "Why it is not ready, or still changing",
        priority = 1,
        json_path = ".status.summary.reason"
    ),
    printcolumn(
        name = "Cert",
        type_ = "string",
        description = "When the first of its certificates ends",
        priority = 1,
        json_path = ".status.summary.certNotAfter"
    ),
    printcolumn(
        name = "Operation",
        type_ = "string",
        description = "The pod with whose node something is being done",
        priority = 1,
        json_path = ".status.operation.node"
    ),
    validation = Rule::new("self.metadata.name.size() <= 40")
        .message("metadata.name may have at most 40 characters: pod, volume and node names are made of it"),
    validation = Rule::new("self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')").message(
        "metadata.name must be lower-case letters, digits and '-', starting with a letter: Services are named after it"
    )
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.version) || !has(self.image.tag) && !has(self.image.digest)")
        .message("version is the image's tag: leave image.tag and image.digest out, or version"),
    validation = Rule::new("!has(self.image.repository) || has(self.version) || has(self.image.tag) || has(self.image.digest)")
        .message("image.repository needs version, image.tag or image.digest beside it: an image without any changes under a running cluster"),
    validation = Rule::new("!has(self.update.drainTimeoutSeconds) || self.update.drainTimeoutSeconds < self.terminationGracePeriodSeconds")
        .message("update.drainTimeoutSeconds must be less than terminationGracePeriodSeconds: the node would be killed while it waits"),
    validation = Rule::new(
        "has(self.adminUser.secretName) == has(oldSelf.adminUser.secretName) && (!has(self.adminUser.secretName) || self.adminUser.secretName == oldSelf.adminUser.secretName)"
    ).message("adminUser.secretName cannot change once the cluster exists: the brokers know the user that it named at first"),
    validation = Rule::new(
        "has(self.clusterSecret.secretName) == has(oldSelf.clusterSecret.secretName) && (!has(self.clusterSecret.secretName) || self.clusterSecret.secretName == oldSelf.clusterSecret.secretName)"
    ).message("clusterSecret.secretName cannot change once the cluster exists: set clusterSecret.rotation.trigger to have another secret drawn")
)]
pub struct RabbitClusterSpec {
    /// Number of nodes. 0 stops the cluster and keeps its data.
    #[serde(default = "default::replicas")]
    #[x_kube(
        validation = Rule::new("self >= 0")
            .message("replicas cannot be negative: 0 stops the cluster and keeps its data"),
        validation = Rule::new("self <= 99").message("replicas may be at most 99")
    )]
    pub replicas: i32,

    /// Version of the brokers, such as 1.4.0: the tag of their image. Default: the operator's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    #[x_kube(
        validation = Rule::new("self.matches('^[0-9]+[.][0-9]+[.][0-9]+(-[0-9A-Za-z.-]+)?$')")
            .message("version must be one such as 1.4.0; for any other tag there is image.tag")
    )]
    pub version: Option<String>,

    /// The broker's image. Without it the nodes run the image that belongs to the operator.
    #[serde(default)]
    pub image: Image,

    /// Text of rabbitmq.conf, added below what the operator sets itself. A change of keys that count at once restarts nobody; any other restarts the nodes
    /// one at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100_000))]
    pub config: Option<String>,

    /// The plugins that are on; names with or without `rabbitmq_`. The list replaces the default.
    #[serde(default = "default::plugins")]
    #[schemars(length(max = 100), inner(length(max = 100)))]
    #[x_kube(
        validation = Rule::new("self.all(plugin, plugin.matches('^[a-z][a-z0-9_]*$'))")
            .message("plugins must be names such as management or rabbitmq_prometheus: lower-case letters, digits and '_'")
    )]
    pub plugins: Vec<String>,

    /// Definitions that every node imports when it starts. A change restarts the nodes one at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definitions: Option<LoadDefinitions>,

    /// CPU and memory of each node. Default: 250m of CPU and 1Gi of memory are set aside, and more memory than that is not used.
    #[serde(default)]
    pub resources: Resources,

    /// The volume of each node.
    #[serde(default)]
    pub persistence: Persistence,

    /// The Service that clients connect to; it has the cluster's name.
    #[serde(default)]
    pub service: Service,

    /// TLS for clients, and between nodes. Without it there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,

    /// The secret that nodes prove to each other, and the operator to them.
    #[serde(default)]
    pub cluster_secret: ClusterSecret,

    /// The first user, whom the brokers know from their first start on.
    #[serde(default)]
    pub admin_user: AdminUser,

    /// Where the pods may run.
    #[serde(default)]
    pub scheduling: Scheduling,

    /// How a change of the pods (image, configuration, resources) reaches them.
    #[serde(default)]
    pub update: Update,

    /// How nodes leave when fewer are wanted.
    #[serde(default)]
    pub scale_down: ScaleDown,

    /// What evictions (node drains) may take.
    #[serde(default)]
    pub disruption: Disruption,

    /// Who may reach the nodes' ports.
    #[serde(default)]
    pub network_policy: NetworkPolicy,

    /// What is made for the Prometheus Operator, where that is installed.
    #[serde(default)]
    pub monitoring: Monitoring,

    /// Other namespaces whose Policies this cluster takes; '*' stands for all. Those of its own namespace it always takes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(length(min = 1, max = 63)))]
    #[x_kube(
        validation = Rule::new("self.all(name, name == '*' || name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$'))")
            .message("policyNamespaces must be names of namespaces, or '*' for all of them")
    )]
    pub policy_namespaces: Vec<String>,

    /// Seconds that a node may take to stop before it is killed.
    #[serde(default = "default::termination_grace_period_seconds")]
    #[x_kube(
        validation = Rule::new("self >= 10 && self <= 604800")
            .message("terminationGracePeriodSeconds must be between 10 and 604800: a node needs a moment to close its files")
    )]
    pub termination_grace_period_seconds: i64,

    /// Changes of the pods for which there is no field: a pod template, merged into the operator's as `kubectl patch` merges. It may add labels,
    /// annotations, containers, volumes, environment and more; what the operator or another field decides is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "pod_overrides")]
    pub pod_overrides: Option<BTreeMap<String, Value>>,

    /// While true the cluster cannot be deleted, where the operator's chart has installed its admission policy (the default).
    #[serde(default)]
    pub deletion_protection: bool,

    /// While true the operator changes nothing and only reports.
    #[serde(default)]
    pub paused: bool,
}

/// Which image the nodes run.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Image {
    /// Registry and name without tag, such as registry.example/warren. Default: the operator's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    #[x_kube(
        validation = Rule::new("self.matches('^[a-z0-9][a-zA-Z0-9.:_/-]*[a-z0-9]$')")
            .message("image.repository must be a registry and a name such as registry.example/warren, without tag or digest"),
        validation = Rule::new("!self.matches(':[^/]*$')")
            .message("image.repository goes without a tag: image.tag or version is the place for it")
    )]
    pub repository: Option<String>,
    /// Tag of the image. Default: the operator's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    #[x_kube(
        validation = Rule::new("self.matches('^[A-Za-z0-9_][A-Za-z0-9._-]*$')")
            .message("image.tag must be letters, digits, '.', '_' and '-', such as 1.4.0")
    )]
    pub tag: Option<String>,
    /// Digest of the image, sha256:...; it wins over the tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 71))]
    #[x_kube(
        validation = Rule::new("self.matches('^sha256:[0-9a-f]{64}$')")
            .message("image.digest must be sha256: and 64 hexadecimal digits")
    )]
    pub digest: Option<String>,
    /// When the kubelet asks the registry.
    #[serde(default)]
    pub pull_policy: PullPolicy,
    /// Secrets with the registry's credentials.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub pull_secrets: Vec<SecretName>,
}

/// When the kubelet asks the registry for an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum PullPolicy {
    /// At every start.
    Always,
    /// Only when the node does not have it.
    #[default]
    IfNotPresent,
    /// Not at all: the image must be on the node already.
    Never,
}

/// A Secret of the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub struct SecretName {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// CPU and memory of one node.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, KubeSchema)]
pub struct Resources {
    /// What the scheduler sets aside.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 10))]
    #[x_kube(
        validation = Rule::new("self.all(name, type(self[name]) == int || isQuantity(self[name]))")
            .message("resources.requests must be amounts such as 500m or 1Gi"),
        validation = Rule::new("self.all(name, name in ['cpu', 'memory', 'ephemeral-storage'] || name.startsWith('hugepages-') || name.contains('/'))")
            .message("resources.requests must be of cpu, memory, ephemeral-storage, hugepages-2Mi or the like, or of a resource with a domain such as example.com/disk")
    )]
    pub requests: BTreeMap<String, Quantity>,
    /// What the node may use at most. A memory limit is what the broker's memory watermark is a share of.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 10))]
    #[x_kube(
        validation = Rule::new("self.all(name, type(self[name]) == int || isQuantity(self[name]))")
            .message("resources.limits must be amounts such as 500m or 1Gi"),
        validation = Rule::new("self.all(name, name in ['cpu', 'memory', 'ephemeral-storage'] || name.startsWith('hugepages-') || name.contains('/'))")
            .message("resources.limits must be of cpu, memory, ephemeral-storage, hugepages-2Mi or the like, or of a resource with a domain such as example.com/disk")
    )]
    pub limits: BTreeMap<String, Quantity>,
}

impl Default for Resources {
    fn default() -> Self {
        let of = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter();
            pairs
                .map(|(name, amount)| ((*name).to_owned(), Quantity((*amount).to_owned())))
                .collect()
        };
        Self {
            requests: of(&[("cpu", "250m"), ("memory", "1Gi")]),
            limits: of(&[("memory", "1Gi")]),
        }
    }
}

/// The volume of one node.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new(
        "self.shrinkPolicy == 'ReplaceNodes' || type(self.storage) != string || type(oldSelf.storage) != string || !isQuantity(self.storage) || !isQuantity(oldSelf.storage) || quantity(self.storage).compareTo(quantity(oldSelf.storage)) >= 0"
    ).message("persistence.storage may not shrink unless persistence.shrinkPolicy is ReplaceNodes: a volume can only grow, so each node must get another one"),
    validation = Rule::new(
        "self.shrinkPolicy == 'ReplaceNodes' && has(self.storageClassName) || has(self.storageClassName) == has(oldSelf.storageClassName) && (!has(self.storageClassName) || self.storageClassName == oldSelf.storageClassName)"
    ).message("persistence.storageClassName cannot change once the cluster exists, unless persistence.shrinkPolicy is ReplaceNodes and it names a class: volumes stay in the class they were made in, so each node must get another one")
)]
pub struct Persistence {
    /// Size of the volume, such as 10Gi. It may grow where the storage class can expand volumes; how it shrinks is for `shrinkPolicy` to say.
    #[serde(default = "default::storage")]
    #[schemars(length(max = 40))]
    #[x_kube(
        validation = Rule::new("type(self) == string && isQuantity(self) && quantity(self).isGreaterThan(quantity('0'))")
            .message("persistence.storage must be a size above zero, such as 10Gi")
    )]
    pub storage: Quantity,
    /// StorageClass of the volumes. Default: the cluster's default class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub storage_class_name: Option<String>,
    /// What is done about a smaller size, or another class.
    #[serde(default)]
    pub shrink_policy: ShrinkPolicy,
    /// What becomes of the volumes.
    #[serde(default)]
    pub retention: Retention,
}

/// What is done about a smaller size of the volumes, or another class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum ShrinkPolicy {
    /// It is refused.
    #[default]
    Refuse,
    /// One node at a time hands its queues over, leaves the cluster, and joins again with a new volume. No queue's only copy goes.
    ReplaceNodes,
}

impl Default for Persistence {
    fn default() -> Self {
        Self {
            storage: default::storage(),
            storage_class_name: None,
            shrink_policy: ShrinkPolicy::default(),
            retention: Retention::default(),
        }
    }
}

/// What becomes of the volumes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Retention {
    /// When the RabbitCluster is deleted. Retain keeps volumes and the two Secrets, so that the same manifest, applied again,
    /// brings the data and the passwords back.
    #[serde(default)]
    pub when_deleted: RetentionPolicy,
    /// When fewer nodes are wanted. A node empties its volume when it leaves: Retain keeps it until a node joins in its place, with a
    /// new one.
    #[serde(default)]
    pub when_scaled: RetentionPolicy,
}

/// Whether a volume outlives its owner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum RetentionPolicy {
    /// It stays until somebody deletes it.
    #[default]
    Retain,
    /// It goes with its owner.
    Delete,
}

/// The Service that clients connect to.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.externalTrafficPolicy) || self.type != 'ClusterIP'")
        .message("service.externalTrafficPolicy needs service.type NodePort or LoadBalancer: a ClusterIP has no traffic from outside"),
    validation = Rule::new("!has(self.loadBalancerSourceRanges) && !has(self.loadBalancerClass) || self.type == 'LoadBalancer'")
        .message("service.loadBalancerSourceRanges and service.loadBalancerClass need service.type LoadBalancer")
)]
pub struct Service {
    /// How it can be reached.
    #[serde(rename = "type", default)]
    pub kind: ServiceType,
    /// Annotations of the Service, such as those that configure a load balancer.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// More labels of the Service. They cannot replace the operator's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Whether it has an IPv4 address, an IPv6 one or both. Default: what Kubernetes gives a Service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_family_policy: Option<IpFamilyPolicy>,
    /// Whether traffic from outside may reach nodes on other machines; Local keeps the clients' addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_traffic_policy: Option<ExternalTrafficPolicy>,
    /// Which load balancer is asked, where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub load_balancer_class: Option<String>,
    /// Addresses that the load balancer lets in, such as 10.0.0.0/8.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(length(min = 1, max = 43)))]
    pub load_balancer_source_ranges: Vec<String>,
    /// Whether each node has a Service of its own besides, called as its pod, for clients that must reach a certain node.
    #[serde(default)]
    pub per_pod: bool,
}

/// Which families of addresses a Service has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum IpFamilyPolicy {
    /// One.
    SingleStack,
    /// Both where there are both.
    PreferDualStack,
    /// Both, or the Service is refused.
    RequireDualStack,
}

/// Where traffic from outside may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum ExternalTrafficPolicy {
    /// To any node.
    Cluster,
    /// To nodes on the machine where it arrives.
    Local,
}

/// TLS for clients: AMQP on 5671, and with their plugins management on 15671 and the Prometheus page on 15691. Changed files of the
/// Secrets count for every new connection, without a restart.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.caSecretName) || self.clientAuth != 'None'")
        .message("tls.caSecretName is what clients are checked against: set tls.clientAuth to Optional or Required, or leave it out")
)]
pub struct Tls {
    /// Secret with `tls.crt` and `tls.key`, as cert-manager makes it.
    #[schemars(length(min = 1, max = 253))]
    pub secret_name: String,
    /// Secret with the `ca.crt` that clients are checked against. Default: the `ca.crt` of the first Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub ca_secret_name: Option<String>,
    /// Whether AMQP clients show certificates.
    #[serde(default)]
    pub client_auth: ClientAuth,
    /// Whether the ports without TLS are closed.
    #[serde(default)]
    pub disable_plain: bool,
    /// Whether nodes speak TLS to each other. A change replaces the pods twice, one at a time: first all come to take both.
    #[serde(default)]
    pub inter_node: InterNode,
    /// Secret with the `tls.crt`, `tls.key` and `ca.crt` of TLS between nodes; its certificate names every node's host, as
    /// `*.NAME-nodes.NAMESPACE` does. Default: the first Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub inter_node_secret_name: Option<String>,
}

impl Tls {
    /// Name of the Secret for TLS between nodes.
    pub fn secret_between_nodes(&self) -> &String {
        self.inter_node_secret_name.as_ref().unwrap_or(&self.secret_name)
    }
}

/// Whether nodes speak TLS to each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum InterNode {
    /// They do not.
    #[default]
    None,
    /// They speak nothing else.
    Required,
}

/// Whether AMQP clients show certificates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum ClientAuth {
    /// They are not asked for one.
    #[default]
    None,
    /// One that is shown must be good.
    Optional,
    /// Who has none is not let in.
    Required,
}

/// The first user.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AdminUser {
    /// Secret with `username` and `password`, from which the Secret NAME-default-user is made before the first node starts. Default: both are
    /// drawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub secret_name: Option<String>,
}

/// The secret that nodes prove to each other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterSecret {
    /// Secret whose `current` (or `.erlang.cookie`) the Secret NAME-cookie is made of before the first node starts. Default: it is drawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub secret_name: Option<String>,
    /// When another one is drawn.
    #[serde(default)]
    pub rotation: Rotation,
}

/// When another secret is drawn.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rotation {
    /// Any word, such as a date: when it changes, another secret is drawn and comes into force without a restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 100))]
    pub trigger: Option<String>,
    /// How old a secret may become before another is drawn, in hours or days: 720h or 30d. Default: any age.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 6))]
    #[x_kube(
        validation = Rule::new("self.matches('^[1-9][0-9]{0,3}[hd]$')")
            .message("clusterSecret.rotation.period must be hours or days, such as 720h or 30d")
    )]
    pub period: Option<String>,
    /// Any word, such as a date: when it changes, the secret is replaced at once, because strangers know it. Nodes that have read the new one accept
    /// no other and hang up on all who came in before; until all have read it, in about a minute, they are cut off from each other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 100))]
    pub compromised: Option<String>,
}

/// How nodes leave when fewer are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScaleDown {
    /// What becomes of exclusive and transient queues on a node that shall leave: they cannot move.
    #[serde(default)]
    pub on_non_movable: NonMovable,
    /// After how many seconds without a break in which a node could not leave that is told by an event, whatever holds it, and `onTimeout` counts.
    #[serde(default = "default::scale_down_timeout_seconds")]
    #[x_kube(
        validation = Rule::new("self >= 60 && self <= 604800")
            .message("scaleDown.timeoutSeconds must be between 60 and 604800, a week")
    )]
    pub timeout_seconds: i64,
    /// What is done then.
    #[serde(default)]
    pub on_timeout: OnTimeout,
}

impl Default for ScaleDown {
    fn default() -> Self {
        Self {
            on_non_movable: NonMovable::default(),
            timeout_seconds: default::scale_down_timeout_seconds(),
            on_timeout: OnTimeout::default(),
        }
    }
}

/// What is done when a node could not leave for a long time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum OnTimeout {
    /// It leaves as soon as it can.
    #[default]
    Wait,
    /// It stays and serves, as if it had never been asked to leave, until the spec changes.
    Cancel,
}

/// What becomes of queues that cannot move.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum NonMovable {
    /// The node stays until they are gone.
    #[default]
    Wait,
    /// They end with the node, as at every restart of it.
    Drop,
}

/// What evictions may take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Disruption {
    /// The PodDisruptionBudget.
    #[serde(default)]
    pub pdb: DisruptionBudget,
}

/// The PodDisruptionBudget of the pods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum DisruptionBudget {
    /// At most one node at a time, and none while a queue that policies mirror has no mirror in sync, or a node is not heard.
    #[default]
    DataAware,
    /// At most one node at a time.
    MaxUnavailable1,
    /// None is made: evictions may take all nodes at once.
    None,
}

/// Who may reach the nodes' ports, where the network of the Kubernetes cluster enforces it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NetworkPolicy {
    /// Whether there is a NetworkPolicy: the ports of nodes among themselves are open to nodes and the operator alone, those for
    /// clients to `clients`.
    #[serde(default)]
    pub enabled: bool,
    /// Who may reach the ports for clients, as in a NetworkPolicy. Default: everybody.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clients: Vec<NetworkPolicyPeer>,
}

/// How a Service can be reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum ServiceType {
    /// From inside the Kubernetes cluster.
    #[default]
    ClusterIP,
    /// Also at a port of every machine.
    NodePort,
    /// Also at an address of its own.
    LoadBalancer,
}

/// Where the pods may run.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Scheduling {
    /// Labels that a machine must have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, String>,
    /// Affinity of the pods, as in a pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub affinity: Option<Affinity>,
    /// Taints that the pods tolerate, as in a pod.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tolerations: Vec<Toleration>,
    /// How the pods spread, as in a pod. Default: over machines and zones where possible. A constraint without labelSelector
    /// counts the pods of this cluster.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub topology_spread_constraints: Vec<TopologySpreadConstraint>,
    /// PriorityClass of the pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority_class_name: Option<String>,
}

/// Open, since a pod template's whole schema is larger than ours; `cluster::pod_overrides` checks every field of it.
fn pod_overrides(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "description": "Changes of the pods for which there is no field: a pod template, merged into the operator's as `kubectl patch` merges. It may add labels, annotations, containers, volumes, environment and more; what the operator or another field decides is refused.",
        "maxProperties": 2,
        "x-kubernetes-preserve-unknown-fields": true,
    })
}

mod default {
    use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

    pub(super) fn replicas() -> i32 {
        1
    }

    pub(super) fn plugins() -> Vec<String> {
        vec!["management".into(), "prometheus".into()]
    }

    pub(super) fn storage() -> Quantity {
        Quantity("10Gi".into())
    }

    /// An hour.
    pub(super) fn scale_down_timeout_seconds() -> i64 {
        3600
    }

    /// Longer than the ten minutes that draining a node may take.
    pub(super) fn termination_grace_period_seconds() -> i64 {
        660
    }
}
