//! Turns a RabbitCluster as the API server stored it into one that can be built, or says which field is wrong and what would
//! be right. It repeats the schema's rules, because `preview` has no API server and an older schema may be installed, and adds
//! those that a schema cannot hold. Pure.

use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{Resource, ResourceExt};

use super::image::Reference;
use super::names::Names;
use super::pace;
use super::pod_overrides;
use super::rotation;
use crate::crd::{
    ClientAuth, Image, LoadDefinitions, RabbitCluster, RabbitClusterSpec, Resources, ScaleDown, Scheduling, Service,
    ServiceType, Tls, Update,
};
use crate::quantity;

/// A cluster that can be built.
#[derive(Clone, Debug)]
pub struct ValidCluster {
    /// Names of its children.
    pub names: Names,
    /// Its namespace.
    pub namespace: String,
    /// Its uid, part of the pods' selector.
    pub uid: String,
    /// What its children refer to as their owner.
    pub owner: OwnerReference,
    /// How many nodes are wanted.
    pub replicas: u32,
    /// The image of the nodes.
    pub image: Reference,
    /// Plugins by their full names, sorted, each once.
    pub plugins: Vec<String>,
    /// What is merged into the pods' template.
    pub pod_overrides: PodTemplateSpec,
    /// The rest of what the user asked for.
    pub spec: RabbitClusterSpec,
}

/// A field that cannot be honoured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {wrong}")]
pub struct Invalid {
    /// Path of the field.
    pub field: String,
    /// What is wrong, and what would be right.
    pub wrong: String,
}

fn invalid<T>(field: &str, wrong: impl Into<String>) -> Result<T, Invalid> {
    Err(Invalid {
        field: field.to_owned(),
        wrong: wrong.into(),
    })
}

/// Settings that the operator's Services, probes and Secrets depend on.
const OURS: [(&str, &str); 12] = [
    ("drain_timeout", "it follows from spec.update.drainTimeoutSeconds"),
    ("listeners.", "the Services and probes expect the usual ports"),
    ("management.tcp.", "the Services expect the usual ports"),
    ("management.ssl.", "the Services expect the usual ports"),
    ("management.listener.", "the Services expect the usual ports"),
    ("prometheus.tcp.", "the Services expect the usual ports"),
    ("prometheus.ssl.", "the Services expect the usual ports"),
    ("default_user", "the first user is the one of the default-user Secret"),
    ("default_pass", "the first user is the one of the default-user Secret"),
    ("cluster_formation.", "the operator forms the cluster"),
    ("distribution.tls", "it follows from spec.tls.interNode"),
    (
        "distribution.ssl_options.",
        "it follows from spec.tls.interNodeSecretName",
    ),
];

/// Settings that follow from `spec.tls`.
const OURS_WITH_TLS: [(&str, &str); 5] = [
    ("ssl_options.certfile", "it follows from spec.tls.secretName"),
    ("ssl_options.keyfile", "it follows from spec.tls.secretName"),
    ("ssl_options.cacertfile", "it follows from spec.tls.caSecretName"),
    ("ssl_options.verify", "it follows from spec.tls.clientAuth"),
    (
        "ssl_options.fail_if_no_peer_cert",
        "it follows from spec.tls.clientAuth",
    ),
];

/// Settings that follow from `spec.definitions`.
const OURS_WITH_DEFINITIONS: [(&str, &str); 3] = [
    ("load_definitions", "it follows from spec.definitions"),
    ("management.load_definitions", "it follows from spec.definitions"),
    ("definitions.", "it follows from spec.definitions"),
];

/// Checks every field.
///
/// # Errors
/// The first field that cannot be honoured.
pub fn validate(cluster: &RabbitCluster, default_image: &Reference) -> Result<ValidCluster, Invalid> {
    let spec = &cluster.spec;
    let name = name(&cluster.name_any())?;
    config(spec.config.as_deref().unwrap_or_default(), spec)?;
    definitions(spec.definitions.as_ref())?;
    service(&spec.service)?;
    tls(spec.tls.as_ref())?;
    resources(&spec.resources)?;
    scheduling(&spec.scheduling)?;
    storage(&spec.persistence.storage)?;
    grace(spec.termination_grace_period_seconds)?;
    update(&spec.update)?;
    scale_down(spec.scale_down)?;
    drain(spec.update.drain_timeout_seconds, spec.termination_grace_period_seconds)?;
    period(spec.cluster_secret.rotation.period.as_deref())?;
    let Some(owner) = cluster.controller_owner_ref(&()) else {
        return invalid("metadata.uid", "missing: the object does not come from an API server");
    };
    Ok(ValidCluster {
        names: Names::new(&name),
        namespace: cluster.namespace().unwrap_or_default(),
        uid: owner.uid.clone(),
        owner,
        replicas: replicas(spec.replicas)?,
        image: image(spec, default_image)?,
        plugins: plugins(&spec.plugins)?,
        pod_overrides: pod_overrides::read(spec.pod_overrides.as_ref())?,
        spec: spec.clone(),
    })
}

fn name(name: &str) -> Result<String, Invalid> {
    let field = "metadata.name";
    if name.len() > 40 {
        let wrong = "may have at most 40 characters: pod, volume and node names are made of it";
        return invalid(field, format!("'{name}' has {}; it {wrong}", name.len()));
    }
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let starts = name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
    if !starts || name.ends_with('-') || !name.bytes().all(allowed) {
        let wrong = "must be lower-case letters, digits and '-', starting with a letter: Services are named after it";
        return invalid(field, format!("'{name}' {wrong}"));
    }
    Ok(name.to_owned())
}

fn replicas(replicas: i32) -> Result<u32, Invalid> {
    match u32::try_from(replicas) {
        Ok(replicas) if replicas <= 99 => Ok(replicas),
        Ok(_) => invalid("spec.replicas", format!("{replicas} may be at most 99")),
        Err(_) => invalid(
            "spec.replicas",
            format!("{replicas} cannot be negative: 0 stops the cluster and keeps its data"),
        ),
    }
}

/// The image that was chosen, with the version as its tag.
fn version(spec: &RabbitClusterSpec) -> Result<Image, Invalid> {
    let Some(version) = &spec.version else {
        return Ok(spec.image.clone());
    };
    if spec.image.tag.is_some() || spec.image.digest.is_some() {
        let wrong = "is the image's tag: leave image.tag and image.digest out, or version";
        return invalid("spec.version", wrong);
    }
    let numbers = version.split('-').next().unwrap_or_default().split('.');
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if numbers.clone().count() != 3 || !numbers.into_iter().all(is_number) {
        let wrong = "must be one such as 1.4.0; for any other tag there is image.tag";
        return invalid("spec.version", format!("'{version}' {wrong}"));
    }
    Ok(Image {
        tag: Some(version.clone()),
        ..spec.image.clone()
    })
}

fn image(spec: &RabbitClusterSpec, default_image: &Reference) -> Result<Reference, Invalid> {
    let chosen = version(spec)?;
    if chosen.repository.is_some() && chosen.tag.is_none() && chosen.digest.is_none() {
        let wrong =
            "needs version, image.tag or image.digest beside it: an image without any changes under a running cluster";
        return invalid("spec.image.repository", wrong);
    }
    let hexadecimal = |digest: &str| {
        let digits = digest.strip_prefix("sha256:").unwrap_or_default();
        digits.len() == 64
            && digits
                .bytes()
                .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    };
    if let Some(digest) = chosen.digest.as_deref().filter(|digest| !hexadecimal(digest)) {
        return invalid(
            "spec.image.digest",
            format!("'{digest}' must be sha256: and 64 hexadecimal digits"),
        );
    }
    let reference = default_image.with(&chosen);
    match reference.to_string().parse() {
        Ok(read_back) if reference == read_back => Ok(reference),
        _ => invalid(
            "spec.image",
            format!("'{reference}' names no image: repository goes without tag and digest"),
        ),
    }
}

fn plugins(plugins: &[String]) -> Result<Vec<String>, Invalid> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let is_name = |name: &str| name.starts_with(|first: char| first.is_ascii_lowercase()) && name.bytes().all(allowed);
    if let Some(wrong) = plugins.iter().find(|name| !is_name(name)) {
        return invalid(
            "spec.plugins",
            format!("'{wrong}' must be a name such as management or rabbitmq_prometheus"),
        );
    }
    let full = |name: &String| match name.starts_with("rabbitmq_") {
        true => name.clone(),
        false => format!("rabbitmq_{name}"),
    };
    let mut full: Vec<_> = plugins.iter().map(full).collect();
    full.sort();
    full.dedup();
    Ok(full)
}

/// Only the form is checked; which settings exist is the broker's to know.
fn config(text: &str, spec: &RabbitClusterSpec) -> Result<(), Invalid> {
    if text.len() > 100_000 {
        return invalid("spec.config", format!("has {} bytes, at most 100000", text.len()));
    }
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
    for (number, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
        let key = line.split_once('=').map(|(key, _)| key.trim()).unwrap_or_default();
        if key.is_empty() || key.contains(char::is_whitespace) {
            return invalid(
                "spec.config",
                format!("line {number}, '{line}': expected 'key = value'"),
            );
        }
        let ours =
            |(own, _): &&(&str, &str)| key == own.trim_end_matches('.') || own.ends_with('.') && key.starts_with(own);
        let with_tls = OURS_WITH_TLS.iter().filter(|_| spec.tls.is_some());
        let with_definitions = OURS_WITH_DEFINITIONS.iter().filter(|_| spec.definitions.is_some());
        if let Some((_, why)) = OURS.iter().chain(with_tls).chain(with_definitions).find(ours) {
            return invalid(
                "spec.config",
                format!("line {number}: '{key}' belongs to the operator: {why}"),
            );
        }
    }
    Ok(())
}

fn definitions(definitions: Option<&LoadDefinitions>) -> Result<(), Invalid> {
    let Some(definitions) = definitions else { return Ok(()) };
    let LoadDefinitions {
        config_map_ref,
        secret_ref,
    } = definitions;
    if config_map_ref.is_none() && secret_ref.is_none() {
        let wrong = "needs configMapRef, secretRef or both: nothing else says where the files are";
        return invalid("spec.definitions", wrong);
    }
    let is_key = |key: &str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        !key.is_empty() && key.bytes().all(allowed)
    };
    for (field, file) in [("configMapRef", config_map_ref), ("secretRef", secret_ref)] {
        if let Some(file) = file.as_ref().filter(|file| !is_key(&file.key)) {
            let wrong = "must be letters, digits, '-', '_' and '.', such as definitions.json";
            return invalid(
                &format!("spec.definitions.{field}.key"),
                format!("'{}' {wrong}", file.key),
            );
        }
    }
    Ok(())
}

fn service(service: &Service) -> Result<(), Invalid> {
    if service.external_traffic_policy.is_some() && service.kind == ServiceType::ClusterIP {
        let wrong = "needs service.type NodePort or LoadBalancer: a ClusterIP has no traffic from outside";
        return invalid("spec.service.externalTrafficPolicy", wrong);
    }
    let balancer = [
        ("loadBalancerClass", service.load_balancer_class.is_some()),
        (
            "loadBalancerSourceRanges",
            !service.load_balancer_source_ranges.is_empty(),
        ),
    ];
    match balancer.into_iter().find(|(_, given)| *given) {
        Some((field, _)) if service.kind != ServiceType::LoadBalancer => {
            invalid(&format!("spec.service.{field}"), "needs service.type LoadBalancer")
        }
        _ => Ok(()),
    }
}

fn tls(tls: Option<&Tls>) -> Result<(), Invalid> {
    match tls {
        Some(tls) if tls.ca_secret_name.is_some() && tls.client_auth == ClientAuth::None => invalid(
            "spec.tls.caSecretName",
            "is what clients are checked against: set tls.clientAuth to Optional or Required, or leave it out",
        ),
        _ => Ok(()),
    }
}

fn resources(resources: &Resources) -> Result<(), Invalid> {
    let lists = [("requests", &resources.requests), ("limits", &resources.limits)];
    for (list, (name, amount)) in lists
        .iter()
        .flat_map(|(list, amounts)| amounts.iter().map(move |pair| (list, pair)))
    {
        let is_known = ["cpu", "memory", "ephemeral-storage"].contains(&name.as_str());
        if !is_known && !name.starts_with("hugepages-") && !name.contains('/') {
            let wrong = "is no resource: cpu, memory, ephemeral-storage, hugepages-2Mi, or one with a domain such as example.com/disk";
            return invalid(&format!("spec.resources.{list}"), format!("'{name}' {wrong}"));
        }
        if quantity::value(amount).is_none_or(|value| value < 0.0) {
            let field = format!("spec.resources.{list}.{name}");
            return invalid(&field, format!("'{}' is no amount such as 500m or 1Gi", amount.0));
        }
    }
    for (name, limit) in &resources.limits {
        let request = resources.requests.get(name);
        if request.and_then(quantity::value) > quantity::value(limit) {
            let field = format!("spec.resources.requests.{name}");
            let asked = request.map_or("", |request| request.0.as_str());
            return invalid(&field, format!("'{asked}' is more than the limit of {}", limit.0));
        }
    }
    Ok(())
}

/// What a StatefulSet takes and no pod may have: it would be found out when a node has gone for it.
fn scheduling(scheduling: &Scheduling) -> Result<(), Invalid> {
    let field = |list: &str, at: usize, name: &str| format!("spec.scheduling.{list}[{at}].{name}");
    for (at, toleration) in scheduling.tolerations.iter().enumerate() {
        let operator = toleration.operator.as_deref().unwrap_or("Equal");
        let key = toleration.key.as_deref().unwrap_or_default();
        let field = |name: &str| field("tolerations", at, name);
        one_of(&field("operator"), operator, &["Equal", "Exists"])?;
        one_of(
            &field("effect"),
            toleration.effect.as_deref().unwrap_or_default(),
            &["", "NoSchedule", "PreferNoSchedule", "NoExecute"],
        )?;
        if key.is_empty() && operator != "Exists" {
            return invalid(
                &field("key"),
                "is missing: without one the operator must be Exists, and tolerates every taint",
            );
        }
    }
    for (at, constraint) in scheduling.topology_spread_constraints.iter().enumerate() {
        let field = |name: &str| field("topologySpreadConstraints", at, name);
        one_of(
            &field("whenUnsatisfiable"),
            &constraint.when_unsatisfiable,
            &["DoNotSchedule", "ScheduleAnyway"],
        )?;
        if constraint.max_skew < 1 {
            return invalid(&field("maxSkew"), format!("{} must be at least 1", constraint.max_skew));
        }
    }
    Ok(())
}

fn one_of(field: &str, given: &str, known: &[&str]) -> Result<(), Invalid> {
    if known.contains(&given) {
        return Ok(());
    }
    let known: Vec<_> = known.iter().filter(|known| !known.is_empty()).copied().collect();
    invalid(field, format!("'{given}' must be {}", known.join(" or ")))
}

fn storage(storage: &Quantity) -> Result<(), Invalid> {
    match quantity::value(storage) {
        Some(bytes) if bytes > 0.0 => Ok(()),
        _ => invalid(
            "spec.persistence.storage",
            format!("'{}' must be a size above zero, such as 10Gi", storage.0),
        ),
    }
}

fn scale_down(scale_down: ScaleDown) -> Result<(), Invalid> {
    match scale_down.timeout_seconds {
        60..=604_800 => Ok(()),
        seconds => invalid(
            "spec.scaleDown.timeoutSeconds",
            format!("{seconds} must be between 60 and 604800, a week"),
        ),
    }
}

fn drain(timeout: Option<i64>, grace: i64) -> Result<(), Invalid> {
    let field = "spec.update.drainTimeoutSeconds";
    match timeout {
        Some(seconds) if !(0..=604_800).contains(&seconds) => {
            invalid(field, format!("{seconds} must be between 0 and 604800, a week"))
        }
        Some(seconds) if seconds >= grace => {
            let wrong = "must be less than terminationGracePeriodSeconds: the node would be killed while it waits";
            invalid(field, format!("{seconds} {wrong}"))
        }
        _ => Ok(()),
    }
}

fn update(update: &Update) -> Result<(), Invalid> {
    for window in &update.maintenance_windows {
        let field = "spec.update.maintenanceWindows";
        if pace::minutes(&window.start).is_none() {
            let wrong = "must be a time such as 02:00, in UTC";
            return invalid(&format!("{field}.start"), format!("'{}' {wrong}", window.start));
        }
        if !(1..=1440).contains(&window.duration_minutes) {
            let wrong = "must be between 1 and 1440, a day";
            return invalid(
                &format!("{field}.durationMinutes"),
                format!("{} {wrong}", window.duration_minutes),
            );
        }
    }
    match &update.canary {
        Some(canary) if !(1..=99).contains(&canary.nodes) => invalid(
            "spec.update.canary.nodes",
            format!("{} must be between 1 and 99", canary.nodes),
        ),
        Some(canary) if !(0..=604_800).contains(&canary.pause_seconds) => {
            let wrong = "must be between 0 and 604800, a week";
            invalid(
                "spec.update.canary.pauseSeconds",
                format!("{} {wrong}", canary.pause_seconds),
            )
        }
        _ => Ok(()),
    }
}

fn period(period: Option<&str>) -> Result<(), Invalid> {
    match period.filter(|period| rotation::seconds(period).is_none()) {
        Some(wrong) => invalid(
            "spec.clusterSecret.rotation.period",
            format!("'{wrong}' must be hours or days, such as 720h or 30d"),
        ),
        None => Ok(()),
    }
}

fn grace(seconds: i64) -> Result<(), Invalid> {
    if (10..=604_800).contains(&seconds) {
        return Ok(());
    }
    let wrong = "must be between 10 and 604800: a node needs a moment to close its files";
    invalid("spec.terminationGracePeriodSeconds", format!("{seconds} {wrong}"))
}
