//! `spec.podOverrides`: reads it as the pod template that it is, and refuses what another field or the operator decides, what would take
//! the pods out of the `restricted` standard, and what a pod template does not know. What is left may be merged without a look. Pure.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::PodTemplateSpec;
use serde_json::Value;

use super::validate::Invalid;

/// Name of the container that is the broker.
pub const BROKER: &str = "broker";

const FIELD: &str = "spec.podOverrides";
const OUT_OF_STANDARD: &str = "would take the pods out of the restricted standard, which they keep to";

/// Fields of a pod, and why they cannot be given here.
const OF_POD: [(&str, &str); 20] = [
    ("activeDeadlineSeconds", "a broker has no end"),
    ("affinity", "use spec.scheduling.affinity"),
    (
        "automountServiceAccountToken",
        "brokers are given no access to the API server",
    ),
    (
        "ephemeralContainers",
        "they are added to a running pod, by kubectl debug",
    ),
    ("hostIPC", "it would take the pods out of the restricted standard"),
    ("hostNetwork", "it would take the pods out of the restricted standard"),
    ("hostPID", "it would take the pods out of the restricted standard"),
    (
        "hostname",
        "nodes find each other by the names that the StatefulSet gives",
    ),
    ("imagePullSecrets", "use spec.image.pullSecrets"),
    ("nodeName", "use spec.scheduling"),
    ("nodeSelector", "use spec.scheduling.nodeSelector"),
    ("priority", "use spec.scheduling.priorityClassName"),
    ("priorityClassName", "use spec.scheduling.priorityClassName"),
    ("restartPolicy", "a StatefulSet knows only Always"),
    (
        "serviceAccount",
        "pods have the ServiceAccount NAME-server, without a token",
    ),
    (
        "serviceAccountName",
        "pods have the ServiceAccount NAME-server, without a token",
    ),
    (
        "subdomain",
        "nodes find each other by the names that the StatefulSet gives",
    ),
    (
        "terminationGracePeriodSeconds",
        "use spec.terminationGracePeriodSeconds",
    ),
    ("tolerations", "use spec.scheduling.tolerations"),
    (
        "topologySpreadConstraints",
        "use spec.scheduling.topologySpreadConstraints",
    ),
];

/// Fields of the broker's container, and why they cannot be given here.
const OF_BROKER: [(&str, &str); 11] = [
    ("args", "the operator says how the broker is started"),
    ("command", "the operator says how the broker is started"),
    ("image", "use spec.image"),
    ("imagePullPolicy", "use spec.image.pullPolicy"),
    ("lifecycle", "the operator decides how nodes stop"),
    ("livenessProbe", "the probes are the operator's"),
    ("readinessProbe", "the probes are the operator's"),
    ("resources", "use spec.resources"),
    ("restartPolicy", "a StatefulSet knows only Always"),
    ("startupProbe", "the probes are the operator's"),
    ("workingDir", "the operator says how the broker is started"),
];

/// Volumes of the operator.
const VOLUMES: [&str; 7] = ["config", "data", "definitions", "secret", "tls", "tls-ca", "tmp"];
/// Ports of the operator, by name.
const PORTS: [&str; 8] = [
    "admin",
    "amqp",
    "amqps",
    "management",
    "management-tls",
    "peers",
    "prometheus",
    "prometheus-tls",
];
/// Where the operator mounts them in the broker.
const MOUNTS: [&str; 4] = ["/etc/rabbitmq", "/etc/warren", "/tmp", "/var/lib/rabbitmq"];
/// Beginnings of labels and annotations that are not for users to set.
const KEYS: [&str; 5] = [
    "app.kubernetes.io/",
    "apps.kubernetes.io/",
    "controller-revision-hash",
    "statefulset.kubernetes.io/",
    "warren.dev/",
];

/// Reads and judges.
///
/// # Errors
/// The first field that cannot be honoured.
pub fn read(given: Option<&BTreeMap<String, Value>>) -> Result<PodTemplateSpec, Invalid> {
    let Some(given) = given else {
        return Ok(PodTemplateSpec::default());
    };
    let given = Value::Object(given.clone().into_iter().collect());
    let template: PodTemplateSpec = serde_json::from_value(given.clone()).map_err(|error| wrong("", error))?;
    let back = serde_json::to_value(&template).map_err(|error| wrong("", error))?;
    if let Some(path) = lost(&given, &back, "") {
        return Err(wrong(
            &path,
            "no field of a pod template, or null, which takes nothing away here",
        ));
    }
    metadata(&given["metadata"])?;
    taken(&given["spec"], ".spec", &OF_POD)?;
    restricted(&given["spec"], ".spec")?;
    volumes(&given["spec"]["volumes"])?;
    for list in ["initContainers", "containers"] {
        for container in each(&given["spec"][list]) {
            containers(container, list)?;
        }
    }
    Ok(template)
}

fn wrong(path: &str, why: impl std::fmt::Display) -> Invalid {
    Invalid {
        field: format!("{FIELD}{path}"),
        wrong: why.to_string(),
    }
}

fn each(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

/// The first field that did not survive being read as a pod template. The depth of `back` is that of Kubernetes' types.
fn lost(given: &Value, back: &Value, path: &str) -> Option<String> {
    match (given, back) {
        (Value::Object(given), Value::Object(back)) => given.iter().find_map(|(name, value)| {
            let path = format!("{path}.{name}");
            back.get(name)
                .map_or(Some(path.clone()), |back| lost(value, back, &path))
        }),
        (Value::Array(given), Value::Array(back)) => {
            let mut pairs = given.iter().zip(back).enumerate();
            pairs.find_map(|(at, (value, back))| lost(value, back, &format!("{path}[{at}]")))
        }
        (_, _) => None,
    }
}

fn metadata(metadata: &Value) -> Result<(), Invalid> {
    for (name, map) in metadata.as_object().into_iter().flatten() {
        if !["annotations", "labels"].contains(&name.as_str()) {
            return Err(wrong(
                &format!(".metadata.{name}"),
                "pods get labels and annotations alone",
            ));
        }
        let mut keys = map.as_object().into_iter().flat_map(|map| map.keys());
        if let Some(key) = keys.find(|key| KEYS.iter().any(|start| key.starts_with(start))) {
            let path = format!(".metadata.{name}.{key}");
            return Err(wrong(&path, "the operator and the StatefulSet set these themselves"));
        }
    }
    Ok(())
}

fn taken(given: &Value, path: &str, fields: &[(&str, &str)]) -> Result<(), Invalid> {
    match fields.iter().find(|(field, _)| given.get(field).is_some()) {
        Some((field, why)) => Err(wrong(
            &format!("{path}.{field}"),
            format!("cannot be given here: {why}"),
        )),
        None => Ok(()),
    }
}

/// What the `restricted` standard of pods would refuse in the `securityContext` of a pod or a container.
fn restricted(given: &Value, path: &str) -> Result<(), Invalid> {
    let context = &given["securityContext"];
    let refused = [
        ("privileged", context["privileged"] == true),
        ("allowPrivilegeEscalation", context["allowPrivilegeEscalation"] == true),
        ("runAsNonRoot", context["runAsNonRoot"] == false),
        ("runAsUser", context["runAsUser"] == 0),
        (
            "capabilities.add",
            each(&context["capabilities"]["add"]).next().is_some(),
        ),
        ("seccompProfile", context["seccompProfile"]["type"] == "Unconfined"),
        ("procMount", context["procMount"] == "Unmasked"),
        ("sysctls", context.get("sysctls").is_some()),
        ("windowsOptions", context.get("windowsOptions").is_some()),
    ];
    match refused.iter().find(|(_, refused)| *refused) {
        Some((field, _)) => Err(wrong(&format!("{path}.securityContext.{field}"), OUT_OF_STANDARD)),
        None => Ok(()),
    }
}

fn volumes(volumes: &Value) -> Result<(), Invalid> {
    for volume in each(volumes) {
        let name = volume["name"].as_str().unwrap_or_default();
        let path = format!(".spec.volumes[{name}]");
        if name.is_empty() {
            return Err(wrong(&path, "a volume needs a name"));
        }
        if VOLUMES.contains(&name) {
            return Err(wrong(&path, "is a volume of the operator: give yours another name"));
        }
        if volume.get("hostPath").is_some() {
            let path = format!("{path}.hostPath");
            return Err(wrong(&path, OUT_OF_STANDARD));
        }
    }
    Ok(())
}

fn containers(container: &Value, list: &str) -> Result<(), Invalid> {
    let name = container["name"].as_str().unwrap_or_default();
    let path = format!(".spec.{list}[{name}]");
    if name.is_empty() {
        return Err(wrong(&path, "a container needs a name; the broker's is broker"));
    }
    restricted(container, &path)?;
    if each(&container["ports"]).any(|port| port.get("hostPort").is_some()) {
        let path = format!("{path}.ports.hostPort");
        return Err(wrong(&path, OUT_OF_STANDARD));
    }
    match (list, name) {
        ("containers", BROKER) => broker(container, &path),
        (_, BROKER) => Err(wrong(
            &path,
            "is the name of the broker's container: give yours another one",
        )),
        _ if container.get("image").is_none() => Err(wrong(&path, "a container beside the broker needs an image")),
        _ => Ok(()),
    }
}

fn broker(container: &Value, path: &str) -> Result<(), Invalid> {
    taken(container, path, &OF_BROKER)?;
    let text = |value: &Value, field: &str| value[field].as_str().unwrap_or_default().to_owned();
    for variable in each(&container["env"]).map(|variable| text(variable, "name")) {
        if ["HOME", "POD_NAME"].contains(&variable.as_str()) || variable.starts_with("RABBITMQ_") {
            let why = "is set by the operator; settings of the broker belong into spec.config";
            return Err(wrong(&format!("{path}.env[{variable}]"), why));
        }
    }
    for port in each(&container["ports"]).map(|port| text(port, "name")) {
        if PORTS.contains(&port.as_str()) {
            return Err(wrong(&format!("{path}.ports[{port}]"), "is a port of the operator"));
        }
    }
    for mount in each(&container["volumeMounts"]).map(|mount| text(mount, "mountPath")) {
        if MOUNTS
            .iter()
            .any(|ours| is_within(&mount, ours) || is_within(ours, &mount))
        {
            let why = format!(
                "the operator mounts {}: choose a folder apart from these",
                MOUNTS.join(", ")
            );
            return Err(wrong(&format!("{path}.volumeMounts[{mount}]"), why));
        }
    }
    Ok(())
}

/// Whether one folder is the other, or in it.
fn is_within(inner: &str, outer: &str) -> bool {
    let rest = inner.strip_prefix(outer.trim_end_matches('/'));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(text: &str) -> String {
        let given = serde_yaml::from_str(text).unwrap();
        read(Some(&given))
            .err()
            .map(|invalid| invalid.to_string())
            .unwrap_or_default()
    }

    #[test]
    fn what_has_no_field_of_its_own_is_taken() {
        for text in [
            "{}",
            "{metadata: {labels: {team: blue}, annotations: {prometheus.io/scrape: 'true'}}}",
            "{spec: {containers: [{name: broker, env: [{name: TZ, value: UTC}]}]}}",
            "{spec: {containers: [{name: broker, ports: [{name: extra, containerPort: 12345}]}]}}",
            "{spec: {containers: [{name: broker, volumeMounts: [{name: x, mountPath: /etc/rabbitmq-extra}]}]}}",
            "{spec: {containers: [{name: sidecar, image: example/agent:1, resources: {limits: {memory: 64Mi}}}]}}",
            "{spec: {initContainers: [{name: before, image: 'example/agent:1', command: [/agent]}]}}",
            "{spec: {volumes: [{name: x, emptyDir: {}}], runtimeClassName: gvisor, dnsConfig: {searches: [a.b]}}}",
            "{spec: {securityContext: {runAsUser: 1000650000, fsGroup: 1000650000, seLinuxOptions: {level: 's0'}}}}",
        ] {
            assert_eq!(judged(text), "", "{text}");
        }
    }

    #[test]
    fn what_is_decided_elsewhere_is_refused_with_the_place() {
        let cases = [
            (
                "{spec: {nodeSelector: {a: b}}}",
                "spec.podOverrides.spec.nodeSelector: cannot be given here: use spec.scheduling.nodeSelector",
            ),
            (
                "{spec: {hostNetwork: true}}",
                "spec.podOverrides.spec.hostNetwork: cannot be given here",
            ),
            (
                "{spec: {containers: [{name: broker, image: x}]}}",
                "spec.podOverrides.spec.containers[broker].image: cannot be given here: use spec.image",
            ),
            (
                "{spec: {containers: [{name: broker, env: [{name: RABBITMQ_NODENAME, value: x}]}]}}",
                "containers[broker].env[RABBITMQ_NODENAME]: is set by the operator",
            ),
            (
                "{spec: {containers: [{name: broker, ports: [{name: amqp, containerPort: 1}]}]}}",
                "ports[amqp]: is a port of the operator",
            ),
            (
                "{spec: {containers: [{name: broker, volumeMounts: [{name: x, mountPath: /etc/rabbitmq/conf.d}]}]}}",
                "volumeMounts[/etc/rabbitmq/conf.d]: the operator mounts",
            ),
            (
                "{spec: {containers: [{name: broker, volumeMounts: [{name: x, mountPath: /etc/}]}]}}",
                "volumeMounts[/etc/]: the operator mounts",
            ),
            (
                "{spec: {volumes: [{name: config, emptyDir: {}}]}}",
                "volumes[config]: is a volume of the operator",
            ),
            (
                "{metadata: {labels: {app.kubernetes.io/name: x}}}",
                "metadata.labels.app.kubernetes.io/name: the operator",
            ),
            (
                "{metadata: {annotations: {warren.dev/config: x}}}",
                "metadata.annotations.warren.dev/config: the operator",
            ),
            (
                "{metadata: {name: x}}",
                "metadata.name: pods get labels and annotations alone",
            ),
        ];
        for (text, expected) in cases {
            assert!(judged(text).contains(expected), "{text} gave {}", judged(text));
        }
    }

    #[test]
    fn what_the_restricted_standard_refuses_is_refused_here() {
        for text in [
            "{spec: {containers: [{name: side, image: x, securityContext: {privileged: true}}]}}",
            "{spec: {containers: [{name: broker, securityContext: {allowPrivilegeEscalation: true}}]}}",
            "{spec: {initContainers: [{name: side, image: x, securityContext: {capabilities: {add: [SYS_ADMIN]}}}]}}",
            "{spec: {securityContext: {runAsNonRoot: false}}}",
            "{spec: {securityContext: {runAsUser: 0}}}",
            "{spec: {volumes: [{name: x, hostPath: {path: /}}]}}",
            "{spec: {containers: [{name: side, image: x, ports: [{containerPort: 80, hostPort: 80}]}]}}",
            "{spec: {securityContext: {sysctls: [{name: a, value: b}]}}}",
        ] {
            assert!(
                judged(text).contains("out of the restricted standard"),
                "{text} gave {}",
                judged(text)
            );
        }
    }

    #[test]
    fn what_no_pod_template_knows_is_refused_by_name() {
        let cases = [
            (
                "{spec: {volume: []}}",
                "spec.podOverrides.spec.volume: no field of a pod template",
            ),
            (
                "{spec: {containers: [{name: broker, enw: []}]}}",
                "spec.podOverrides.spec.containers[0].enw: no field",
            ),
            (
                "{spec: {containers: [{image: x}]}}",
                "containers[]: a container needs a name",
            ),
            (
                "{spec: {containers: [{name: side}]}}",
                "containers[side]: a container beside the broker needs an image",
            ),
            (
                "{spec: {securityContext: {fsGroup: null}}}",
                "securityContext.fsGroup: no field of a pod template, or null",
            ),
            ("{spec: 7}", "spec.podOverrides: invalid type"),
        ];
        for (text, expected) in cases {
            assert!(judged(text).contains(expected), "{text} gave {}", judged(text));
        }
    }
}
