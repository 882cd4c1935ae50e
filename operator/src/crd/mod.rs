//! The API that users write against: the custom resources, their schema, and how both are printed.
//!
//! A field exists here only if the operator honours it. What the API server can check it checks by a CEL rule whose message
//! says what would be right; `cluster::validate` repeats those rules for `preview` and checks what CEL cannot. Nothing here
//! talks to Kubernetes.

#[allow(
    unreachable_pub,
    reason = "KubeSchema derives on a hidden copy of each struct, which inherits `pub`"
)]
mod load_definitions;
#[allow(
    unreachable_pub,
    reason = "KubeSchema derives on a hidden copy of each struct, which inherits `pub`"
)]
mod monitoring;
#[allow(
    unreachable_pub,
    reason = "KubeSchema derives on a hidden copy of each struct, which inherits `pub`"
)]
mod policy;
mod policy_status;
mod print;
#[allow(
    unreachable_pub,
    reason = "KubeSchema derives on a hidden copy of each struct, which inherits `pub`"
)]
mod rabbit_cluster;
mod status;
#[allow(
    unreachable_pub,
    reason = "KubeSchema derives on a hidden copy of each struct, which inherits `pub`"
)]
mod update;

pub use load_definitions::{DefinitionsFile, LoadDefinitions};
pub use monitoring::{CreateMonitoring, Monitoring};
pub use policy::{ApplyTo, ClusterRef, DeletionPolicy, MirrorMode, Mirroring, Policy, PolicySpec, Promote, SyncMode};
pub use policy_status::{Matched, Mirrors, PolicyStatus, PolicySummary, Shadow};
pub use print::{definitions, file_name, values_schema, yaml};
pub use rabbit_cluster::{
    AdminUser, ClientAuth, ClusterSecret, Disruption, DisruptionBudget, ExternalTrafficPolicy, Image, InterNode,
    IpFamilyPolicy, NetworkPolicy, NonMovable, OnTimeout, Persistence, PullPolicy, RabbitCluster, RabbitClusterSpec,
    Resources, Retention, RetentionPolicy, Rotation, ScaleDown, Scheduling, SecretName, Service, ServiceType,
    ShrinkPolicy, Tls,
};
pub use status::{
    Binding, ClusterSecretStatus, DefaultUser, Member, ObjectName, Operation, OperationKind, OperationStep, Phase,
    RabbitClusterStatus, Role, RolledBack, SecretStage, Summary, Version,
};
pub use update::{Canary, Day, Finalize, MaintenanceWindow, Rebalance, UnsyncedMirrors, Update, UpdateStrategy};

/// API group of every kind of ours.
pub const GROUP: &str = "warren.dev";
