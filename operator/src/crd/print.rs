//! Prints the custom resource definitions. The schema that `schemars` derives is thinned first: Kubernetes' own types bring
//! essays as descriptions (two thirds of the bytes) and every `Option` is marked nullable, which would let a stored `null`
//! pass for a value in CEL's `has()`. Only what our own doc comments say stays.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::{Value, json};

use super::{Policy, RabbitCluster};

/// Fields whose inside is Kubernetes' own and documented there.
const FOREIGN: [&str; 7] = [
    "affinity",
    "clients",
    "conditions",
    "limits",
    "requests",
    "tolerations",
    "topologySpreadConstraints",
];

/// Every custom resource definition, thinned.
///
/// # Errors
/// Never for the definitions as they are; a derived schema that does not survive the thinning is reported.
pub fn definitions() -> Result<Vec<CustomResourceDefinition>, serde_json::Error> {
    [RabbitCluster::crd(), Policy::crd()].into_iter().map(thinned).collect()
}

/// The definitions as one YAML text, one document each.
///
/// # Errors
/// As [`definitions`].
pub fn yaml(definitions: &[CustomResourceDefinition]) -> Result<String, serde_yaml::Error> {
    let documents: Result<Vec<_>, _> = definitions.iter().map(serde_yaml::to_string).collect();
    Ok(documents?.join("---\n"))
}

/// The file in `crds/` that holds the definition: plural and group.
pub fn file_name(definition: &CustomResourceDefinition) -> String {
    format!("{}.yaml", definition.metadata.name.as_deref().unwrap_or_default())
}

fn thinned(definition: CustomResourceDefinition) -> Result<CustomResourceDefinition, serde_json::Error> {
    let mut value = serde_json::to_value(definition)?;
    for version in value["spec"]["versions"].as_array_mut().into_iter().flatten() {
        thin(&mut version["schema"]["openAPIV3Schema"], false);
    }
    serde_json::from_value(value)
}

/// Depth is that of the schema, which the compiler fixed; no input reaches this.
fn thin(schema: &mut Value, foreign: bool) {
    let Value::Object(schema) = schema else { return };
    schema.remove("nullable");
    if foreign {
        schema.remove("description");
    }
    for (name, property) in schema
        .get_mut("properties")
        .and_then(Value::as_object_mut)
        .into_iter()
        .flatten()
    {
        let inside = foreign || FOREIGN.contains(&name.as_str());
        let own = property.get("description").filter(|_| !foreign).cloned();
        thin(property, inside);
        if let (Some(own), Value::Object(property)) = (own, property) {
            property.insert("description".into(), own);
        }
    }
    for key in ["items", "additionalProperties"] {
        if let Some(inner) = schema.get_mut(key) {
            thin(inner, foreign);
        }
    }
}

/// JSON schema of the values of the chart `warren-cluster`: the spec under `cluster`, Policies without their `clusterRef` under
/// `policies`, and nothing that is not known.
///
/// # Errors
/// As [`definitions`].
pub fn values_schema() -> Result<Value, serde_json::Error> {
    let cluster = strict_spec(RabbitCluster::crd())?;
    let mut policy = strict_spec(Policy::crd())?;
    if let Value::Object(properties) = &mut policy["properties"] {
        properties.remove("clusterRef"); // it is the chart's own cluster
    }
    policy["required"] = json!(["pattern"]);
    let texts = json!({"type": "object", "additionalProperties": {"type": "string"}});
    Ok(json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "global": {"type": "object"},
            "name": {"type": "string", "maxLength": 40, "pattern": "^([a-z]([-a-z0-9]*[a-z0-9])?)?$"},
            "labels": texts,
            "annotations": texts,
            "cluster": cluster,
            "test": {
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "image": {"type": "string"},
                    "messages": {"type": "integer", "minimum": 1},
                },
            },
            "policies": {
                "type": "object",
                "propertyNames": {"pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", "maxLength": 100},
                "additionalProperties": policy,
            },
        },
    }))
}

fn strict_spec(definition: CustomResourceDefinition) -> Result<Value, serde_json::Error> {
    let definition = thinned(definition)?;
    let version = definition
        .spec
        .versions
        .first()
        .and_then(|version| version.schema.as_ref());
    let mut spec = serde_json::to_value(version)?["openAPIV3Schema"]["properties"]["spec"].take();
    strict(&mut spec);
    Ok(spec)
}

/// A definition's schema drops unknown fields; helm shall refuse them. What only Kubernetes understands goes. Depth as in [`thin`].
fn strict(schema: &mut Value) {
    let Value::Object(schema) = schema else { return };
    if schema.contains_key("x-kubernetes-int-or-string") {
        schema.insert("type".into(), json!(["integer", "string"]));
    }
    let open = schema.contains_key("x-kubernetes-preserve-unknown-fields");
    schema.retain(|key, _| !key.starts_with("x-kubernetes-"));
    for property in schema
        .get_mut("properties")
        .and_then(Value::as_object_mut)
        .into_iter()
        .flat_map(|all| all.values_mut())
    {
        strict(property);
    }
    for key in ["items", "additionalProperties"] {
        if let Some(inner) = schema.get_mut(key) {
            strict(inner);
        }
    }
    if schema.contains_key("properties") && !open {
        schema.insert("additionalProperties".into(), json!(false));
    }
}
