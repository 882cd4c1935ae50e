//! Every object of a manifest, without a cluster; a Policy becomes none and is only checked: for reviews, for diffs between versions, for the curious. It takes the very path of a
//! first pass, so what it prints is what would be applied. Secrets are drawn by the running operator only and shown as placeholders.

use k8s_openapi::api::core::v1::Secret;
use kube::core::Resource;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::cluster::between;
use crate::cluster::build::monitoring::Apis;
use crate::cluster::build::{Children, Shape, build, secret_meta};
use crate::cluster::image::Reference;
use crate::cluster::names::map;
use crate::cluster::plan::{Wanted, plan};
use crate::cluster::secrets::KEY_CURRENT;
use crate::cluster::situation::Situation;
use crate::cluster::validate::{Invalid, ValidCluster, validate};
use crate::crd::{self, Policy, RabbitCluster};
use crate::policy::desired::desired;

/// The uid that the API server will give.
const UID: &str = "00000000-0000-0000-0000-000000000000";
const DRAWN: &str = "(drawn once by the operator)";

/// Why a manifest cannot be previewed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is not YAML.
    #[error("document {0}: not YAML: {1}")]
    Yaml(usize, #[source] serde_yaml::Error),
    /// It is neither a RabbitCluster nor a Policy.
    #[error("document {0}: expected apiVersion warren.dev/v1alpha1 and kind RabbitCluster or Policy, found {1}")]
    Kind(usize, String),
    /// It has a field that no RabbitCluster has.
    #[error("document {0}: unknown field {1}; known there: {2}")]
    Unknown(usize, String, String),
    /// A field holds what it cannot hold.
    #[error("document {0}: {1}")]
    Shape(usize, #[source] serde_json::Error),
    /// A field holds what cannot be carried out.
    #[error("document {0}: {1}")]
    Invalid(usize, #[source] Invalid),
    /// There is nothing to preview.
    #[error("the manifest holds no RabbitCluster and no Policy")]
    Empty,
    /// An object cannot be printed.
    #[error("cannot print an object: {0}")]
    Print(#[source] serde_yaml::Error),
}

/// The objects of every RabbitCluster in the text, as YAML documents.
///
/// # Errors
/// The first thing that is wrong with the manifest.
pub fn preview(text: &str, namespace: &str, default_image: &Reference) -> Result<String, Error> {
    preview_with(text, namespace, default_image, Apis::default())
}

/// The same on an API server that has these kinds of the Prometheus Operator.
///
/// # Errors
/// As [`preview`].
pub fn preview_with(text: &str, namespace: &str, default_image: &Reference, prometheus: Apis) -> Result<String, Error> {
    let (mut pages, mut policies) = (Vec::new(), 0);
    for (at, document) in serde_yaml::Deserializer::from_str(text).enumerate() {
        let value = Value::deserialize(document).map_err(|error| Error::Yaml(at + 1, error))?;
        if value.is_null() {
            continue;
        }
        if is(&value, &Policy::kind(&())) {
            policies += 1;
            policy(at + 1, value)?;
            continue;
        }
        let valid = checked(at + 1, value, namespace, default_image)?;
        pages.extend(printed(&valid, prometheus).map_err(Error::Print)?);
    }
    if pages.is_empty() && policies == 0 {
        Err(Error::Empty)
    } else {
        Ok(pages.join("---\n"))
    }
}

fn is(value: &Value, kind: &str) -> bool {
    value["apiVersion"] == *RabbitCluster::api_version(&()) && value["kind"] == *kind
}

/// A Policy becomes no object, but what is wrong with it is told.
fn policy(at: usize, value: Value) -> Result<(), Error> {
    known(at, &value)?;
    let policy: Policy = serde_json::from_value(value).map_err(|error| Error::Shape(at, error))?;
    desired(&policy)
        .map_err(|invalid| Error::Invalid(at, invalid))
        .map(drop)
}

fn checked(at: usize, value: Value, namespace: &str, default_image: &Reference) -> Result<ValidCluster, Error> {
    let text = |field: &str| value.get(field).and_then(Value::as_str).unwrap_or("none");
    let found = (text("apiVersion"), text("kind"));
    if found != (&RabbitCluster::api_version(&()), &RabbitCluster::kind(&())) {
        return Err(Error::Kind(at, format!("apiVersion {} and kind {}", found.0, found.1)));
    }
    known(at, &value)?;
    let mut cluster: RabbitCluster = serde_json::from_value(value).map_err(|error| Error::Shape(at, error))?;
    cluster.metadata.uid = Some(UID.into());
    cluster.metadata.namespace.get_or_insert_with(|| namespace.to_owned());
    validate(&cluster, default_image).map_err(|invalid| Error::Invalid(at, invalid))
}

/// Looks every field of the spec up in the schema, as the API server does under `--validate=strict`.
fn known(at: usize, value: &Value) -> Result<(), Error> {
    let definitions = crd::definitions().map_err(|error| Error::Shape(at, error))?;
    let of_kind = definitions
        .iter()
        .filter(|definition| value["kind"] == *definition.spec.names.kind);
    let schemas = of_kind.flat_map(|definition| &definition.spec.versions);
    let schema = schemas
        .filter_map(|version| serde_json::to_value(version.schema.as_ref()?).ok())
        .next()
        .unwrap_or_default();
    let spec = &schema["openAPIV3Schema"]["properties"]["spec"];
    match unknown(&value["spec"], spec, "spec") {
        Some((path, known)) => Err(Error::Unknown(at, path, known)),
        None => Ok(()),
    }
}

/// The first field that the schema does not have, and those it has there. The depth is the schema's.
fn unknown(value: &Value, schema: &Value, path: &str) -> Option<(String, String)> {
    if let (Value::Array(items), Some(schema)) = (value, schema.get("items")) {
        let mut items = items.iter().enumerate();
        return items.find_map(|(at, item)| unknown(item, schema, &format!("{path}[{at}]")));
    }
    let open = schema.get("x-kubernetes-preserve-unknown-fields").is_some();
    let (fields, properties) = (value.as_object()?, schema.get("properties")?.as_object()?);
    fields.iter().find_map(|(name, field)| match properties.get(name) {
        Some(schema) => unknown(field, schema, &format!("{path}.{name}")),
        None if open => None,
        None => {
            let known: Vec<_> = properties.keys().map(String::as_str).collect();
            Some((format!("{path}.{name}"), known.join(", ")))
        }
    })
}

fn printed(valid: &ValidCluster, monitoring: Apis) -> Result<Vec<String>, serde_yaml::Error> {
    let wanted = Wanted {
        replicas: valid.replicas,
        secrets: true,
        update: valid.spec.update.clone(),
        closed: None,
        non_movable: valid.spec.scale_down.on_non_movable,
        ..Wanted::default()
    };
    let plan = plan(&wanted, &Situation::default());
    let shape = Shape {
        replicas: plan.replicas,
        between: between::asked(valid.spec.tls.as_ref()),
        monitoring,
        ..Shape::default()
    };
    let Children {
        service_account,
        config,
        nodes,
        clients,
        pods,
        disruption_budget,
        network_policy,
        server,
        service_monitor,
        prometheus_rule,
    } = build(valid, &shape);
    let names = &valid.names;
    let mut pages = vec![
        page(&secret(valid, names.cookie(), &[KEY_CURRENT]))?,
        page(&secret(valid, names.default_user(), &USER_KEYS))?,
        page(&service_account)?,
        page(&config)?,
        page(&nodes)?,
        page(&clients)?,
    ];
    for service in &pods {
        pages.push(page(service)?);
    }
    pages.extend(disruption_budget.as_ref().map(page).transpose()?);
    pages.extend(network_policy.as_ref().map(page).transpose()?);
    pages.push(page(&server)?);
    pages.extend(service_monitor.as_ref().map(page).transpose()?);
    pages.extend(prometheus_rule.as_ref().map(page).transpose()?);
    Ok(pages)
}

const USER_KEYS: [&str; 8] = [
    "connection_string",
    "default_user.conf",
    "host",
    "password",
    "port",
    "provider",
    "type",
    "username",
];

fn secret(valid: &ValidCluster, name: String, keys: &[&str]) -> Secret {
    Secret {
        metadata: secret_meta(valid, name),
        type_: Some("Opaque".into()),
        string_data: Some(map(keys.iter().map(|key| (*key, DRAWN)))),
        ..Secret::default()
    }
}

fn page<T: Serialize>(object: &T) -> Result<String, serde_yaml::Error> {
    serde_yaml::to_string(object)
}
