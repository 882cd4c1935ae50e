//! The StatefulSet of the brokers. Pods start in parallel, because a node may need its siblings to come up, and are replaced by us
//! alone (`OnDelete`), because only we know when a node may go. Pods satisfy the `restricted` pod security standard.
//!
//! A change of the pod template restarts every cluster at the next operator upgrade: the golden tests are there to make such a
//! change a decision.

use k8s_openapi::DeepMerge;
use k8s_openapi::api::apps::v1::{
    StatefulSet, StatefulSetPersistentVolumeClaimRetentionPolicy, StatefulSetSpec, StatefulSetUpdateStrategy,
};
use k8s_openapi::api::core::v1::{
    Capabilities, ConfigMapVolumeSource, Container, ContainerPort, EmptyDirVolumeSource, EnvVar, EnvVarSource,
    HTTPGetAction, LocalObjectReference, ObjectFieldSelector, PersistentVolumeClaim, PersistentVolumeClaimSpec,
    PodSecurityContext, PodSpec, PodTemplateSpec, Probe, ResourceRequirements, SeccompProfile, SecretKeySelector,
    SecretVolumeSource, SecurityContext, TopologySpreadConstraint, Volume, VolumeMount, VolumeResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{Shape, config_map};
use crate::cluster::between;
use crate::cluster::names::{CLAIM, PORT_ADMIN, PORT_PEERS, map};
use crate::cluster::pod_overrides::BROKER;
use crate::cluster::validate::ValidCluster;
use crate::crd::{PullPolicy, RetentionPolicy};

/// User and group of the image, RabbitMQ's own numbers.
const UID: i64 = 999;
const HOME: &str = "/var/lib/rabbitmq";
/// The node's own directory, below the volume's root, which may hold `lost+found`.
const DATA: &str = "/var/lib/rabbitmq/data";
const CONFIG: &str = "/etc/rabbitmq";
const SECRET: &str = "/etc/warren/secret";
/// Changes when the configuration does, so that pods restart.
const ANNOTATION_CONFIG: &str = "warren.dev/config";
/// Changes when the definitions do, which nodes read at their start.
const ANNOTATION_DEFINITIONS: &str = "warren.dev/definitions";

pub(super) fn build(cluster: &ValidCluster, shape: &Shape) -> StatefulSet {
    let kept = |policy| match policy {
        RetentionPolicy::Retain => "Retain".to_owned(),
        RetentionPolicy::Delete => "Delete".to_owned(),
    };
    StatefulSet {
        metadata: super::meta(cluster, cluster.names.server()),
        spec: Some(StatefulSetSpec {
            replicas: i32::try_from(shape.replicas).ok(),
            service_name: Some(cluster.names.nodes()),
            selector: super::pods(cluster),
            pod_management_policy: Some("Parallel".into()),
            update_strategy: Some(StatefulSetUpdateStrategy {
                type_: Some("OnDelete".into()),
                rolling_update: None,
            }),
            persistent_volume_claim_retention_policy: Some(StatefulSetPersistentVolumeClaimRetentionPolicy {
                when_deleted: Some(kept(cluster.spec.persistence.retention.when_deleted)),
                when_scaled: Some(kept(RetentionPolicy::Retain)),
            }),
            volume_claim_templates: Some(shape.claims.clone().unwrap_or_else(|| vec![claim(cluster)])),
            template: template(cluster, shape),
            ..StatefulSetSpec::default()
        }),
        ..StatefulSet::default()
    }
}

/// The fingerprint of the configuration for which the pods of this StatefulSet were made.
pub fn config(set: &StatefulSet) -> Option<&String> {
    let template = set.spec.as_ref()?.template.metadata.as_ref()?;
    template.annotations.as_ref()?.get(ANNOTATION_CONFIG)
}

/// The operator's template with the user's merged into it.
fn template(cluster: &ValidCluster, shape: &Shape) -> PodTemplateSpec {
    let config = config_map::fingerprint(cluster, shape);
    let definitions = shape
        .definitions
        .as_ref()
        .map(|print| (ANNOTATION_DEFINITIONS, print.as_str()));
    let between = shape.between.word().map(|word| (between::ANNOTATION, word));
    let annotations = [(ANNOTATION_CONFIG, config.as_str())]
        .into_iter()
        .chain(definitions)
        .chain(between);
    let mut template = PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(cluster.names.labels(&cluster.uid)),
            annotations: Some(map(annotations)),
            ..ObjectMeta::default()
        }),
        spec: Some(pod(cluster, shape)),
    };
    template.merge_from(cluster.pod_overrides.clone());
    if let Some(pod) = &mut template.spec {
        let before = pod.init_containers.iter_mut().flatten();
        before.chain(&mut pod.containers).for_each(restrict);
    }
    template
}

/// What the `restricted` standard asks of each container; those of the user need not say it.
fn restrict(container: &mut Container) {
    let context = container.security_context.get_or_insert_default();
    context.allow_privilege_escalation.get_or_insert(false);
    context.capabilities.get_or_insert_with(no_capabilities);
}

fn no_capabilities() -> Capabilities {
    Capabilities {
        drop: Some(vec!["ALL".into()]),
        add: None,
    }
}

fn claim(cluster: &ValidCluster) -> PersistentVolumeClaim {
    let persistence = &cluster.spec.persistence;
    let storage = [("storage".to_owned(), persistence.storage.clone())];
    PersistentVolumeClaim {
        metadata: ObjectMeta {
            name: Some(CLAIM.into()),
            labels: Some(cluster.names.labels(&cluster.uid)),
            ..ObjectMeta::default()
        },
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(vec!["ReadWriteOnce".into()]),
            storage_class_name: persistence.storage_class_name.clone(),
            resources: Some(VolumeResourceRequirements {
                requests: Some(storage.into_iter().collect()),
                ..VolumeResourceRequirements::default()
            }),
            ..PersistentVolumeClaimSpec::default()
        }),
        ..PersistentVolumeClaim::default()
    }
}

fn pod(cluster: &ValidCluster, shape: &Shape) -> PodSpec {
    let spec = &cluster.spec;
    let scheduling = &spec.scheduling;
    let pull_secrets = spec.image.pull_secrets.iter().map(|secret| LocalObjectReference {
        name: secret.name.clone(),
    });
    PodSpec {
        containers: vec![broker(cluster, shape)],
        volumes: Some(volumes(cluster, shape)),
        security_context: Some(pod_security()),
        service_account_name: Some(cluster.names.server()),
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        termination_grace_period_seconds: Some(spec.termination_grace_period_seconds),
        image_pull_secrets: some(pull_secrets.collect()),
        node_selector: Some(scheduling.node_selector.clone()).filter(|labels| !labels.is_empty()),
        affinity: scheduling.affinity.clone(),
        tolerations: some(scheduling.tolerations.clone()),
        topology_spread_constraints: Some(spread(cluster)),
        priority_class_name: scheduling.priority_class_name.clone(),
        ..PodSpec::default()
    }
}

fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    Some(list).filter(|list| !list.is_empty())
}

fn spread(cluster: &ValidCluster) -> Vec<TopologySpreadConstraint> {
    let asked = &cluster.spec.scheduling.topology_spread_constraints;
    if asked.is_empty() {
        let over = |topology: &str| TopologySpreadConstraint {
            max_skew: 1,
            topology_key: topology.into(),
            when_unsatisfiable: "ScheduleAnyway".into(),
            label_selector: Some(super::pods(cluster)),
            ..TopologySpreadConstraint::default()
        };
        return vec![over("topology.kubernetes.io/zone"), over("kubernetes.io/hostname")];
    }
    let whole = |constraint: &TopologySpreadConstraint| TopologySpreadConstraint {
        label_selector: constraint.label_selector.clone().or_else(|| Some(super::pods(cluster))),
        ..constraint.clone()
    };
    asked.iter().map(whole).collect()
}

fn broker(cluster: &ValidCluster, shape: &Shape) -> Container {
    let spec = &cluster.spec;
    Container {
        name: BROKER.into(),
        image: Some(cluster.image.to_string()),
        image_pull_policy: Some(pull(spec.image.pull_policy).into()),
        command: Some(vec!["/usr/bin/warren".into()]),
        args: Some(arguments()),
        env: Some(environment(cluster)),
        ports: Some(ports(cluster)),
        startup_probe: Some(probe("/startup", 2, 1800)), // an hour to read back what is on the disk
        readiness_probe: Some(probe("/ready", 5, 2)),
        liveness_probe: Some(probe("/live", 10, 6)),
        resources: Some(ResourceRequirements {
            requests: Some(spec.resources.requests.clone()).filter(|amounts| !amounts.is_empty()),
            limits: Some(spec.resources.limits.clone()).filter(|amounts| !amounts.is_empty()),
            ..ResourceRequirements::default()
        }),
        security_context: Some(container_security()),
        volume_mounts: Some(mounts(cluster, shape)),
        ..Container::default()
    }
}

fn arguments() -> Vec<String> {
    let config = format!("{CONFIG}/{}", config_map::CONF);
    ["server", "--data", DATA, "--config", &config, "--secret-dir", SECRET]
        .map(str::to_owned)
        .into()
}

fn environment(cluster: &ValidCluster) -> Vec<EnvVar> {
    let names = &cluster.names;
    let fixed = |name: &str, value: String| EnvVar {
        name: name.into(),
        value: Some(value),
        ..EnvVar::default()
    };
    let from = |name: &str, source: EnvVarSource| EnvVar {
        name: name.into(),
        value_from: Some(source),
        ..EnvVar::default()
    };
    let user = |name: &str, key: &str| {
        let key_ref = SecretKeySelector {
            name: names.default_user(),
            key: key.into(),
            optional: None,
        };
        from(
            name,
            EnvVarSource {
                secret_key_ref: Some(key_ref),
                ..EnvVarSource::default()
            },
        )
    };
    let pod_name = ObjectFieldSelector {
        field_path: "metadata.name".into(),
        ..ObjectFieldSelector::default()
    };
    let node = format!("rabbit@$(POD_NAME).{}.{}", names.nodes(), cluster.namespace);
    vec![
        from(
            "POD_NAME",
            EnvVarSource {
                field_ref: Some(pod_name),
                ..EnvVarSource::default()
            },
        ),
        fixed("HOME", HOME.into()),
        fixed("RABBITMQ_NODENAME", node),
        fixed("RABBITMQ_USE_LONGNAME", "true".into()),
        fixed(
            "RABBITMQ_ENABLED_PLUGINS_FILE",
            format!("{CONFIG}/{}", config_map::PLUGINS),
        ),
        user("RABBITMQ_DEFAULT_USER", "username"),
        user("RABBITMQ_DEFAULT_PASS", "password"),
    ]
}

fn ports(cluster: &ValidCluster) -> Vec<ContainerPort> {
    let clients = super::ports::of_pods(cluster).map(|port| (port.name, port.number));
    let port = |(name, number): (&str, i32)| ContainerPort {
        name: Some(name.into()),
        container_port: number,
        protocol: Some("TCP".into()),
        ..ContainerPort::default()
    };
    clients
        .chain([("peers", PORT_PEERS), ("admin", PORT_ADMIN)])
        .map(port)
        .collect()
}

fn probe(path: &str, period_seconds: i32, failures: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.into()),
            port: IntOrString::String("admin".into()),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period_seconds),
        failure_threshold: Some(failures),
        timeout_seconds: Some(5),
        ..Probe::default()
    }
}

fn pod_security() -> PodSecurityContext {
    PodSecurityContext {
        run_as_non_root: Some(true),
        run_as_user: Some(UID),
        run_as_group: Some(UID),
        fs_group: Some(UID),
        fs_group_change_policy: Some("OnRootMismatch".into()),
        seccomp_profile: Some(SeccompProfile {
            type_: "RuntimeDefault".into(),
            localhost_profile: None,
        }),
        ..PodSecurityContext::default()
    }
}

fn container_security() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        read_only_root_filesystem: Some(true),
        capabilities: Some(no_capabilities()),
        ..SecurityContext::default()
    }
}

/// The secret is readable by the pod's group alone; the server makes the owner-only copy that the command line asks for.
fn volumes(cluster: &ValidCluster, shape: &Shape) -> Vec<Volume> {
    let names = &cluster.names;
    let mut volumes = vec![
        Volume {
            name: "config".into(),
            config_map: Some(ConfigMapVolumeSource {
                name: names.config(),
                ..ConfigMapVolumeSource::default()
            }),
            ..Volume::default()
        },
        Volume {
            name: "secret".into(),
            secret: Some(SecretVolumeSource {
                secret_name: Some(names.cookie()),
                default_mode: Some(0o440),
                ..SecretVolumeSource::default()
            }),
            ..Volume::default()
        },
        Volume {
            name: "tmp".into(),
            empty_dir: Some(EmptyDirVolumeSource::default()),
            ..Volume::default()
        },
    ];
    volumes.extend(folders(cluster, shape).map(|(volume, _)| volume));
    volumes
}

fn mounts(cluster: &ValidCluster, shape: &Shape) -> Vec<VolumeMount> {
    let mut mounts = vec![
        mount(CLAIM, HOME, false),
        mount("config", CONFIG, true),
        mount("secret", SECRET, true),
        mount("tmp", "/tmp", false),
    ];
    mounts.extend(folders(cluster, shape).map(|(_, mount)| mount));
    mounts
}

/// What the spec names to be read by nodes, and where it is mounted.
fn folders(cluster: &ValidCluster, shape: &Shape) -> impl Iterator<Item = (Volume, VolumeMount)> {
    let tls = super::tls::volumes(cluster, shape.between).into_iter();
    tls.chain(super::definitions::volume(cluster))
}

pub(super) fn mount(volume: &str, path: &str, read_only: bool) -> VolumeMount {
    VolumeMount {
        name: volume.into(),
        mount_path: path.into(),
        read_only: Some(read_only).filter(|read_only| *read_only),
        ..VolumeMount::default()
    }
}

fn pull(policy: PullPolicy) -> &'static str {
    match policy {
        PullPolicy::Always => "Always",
        PullPolicy::IfNotPresent => "IfNotPresent",
        PullPolicy::Never => "Never",
    }
}
