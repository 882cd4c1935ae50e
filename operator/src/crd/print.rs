//! Prints the custom resource definitions. The schema that `schemars` derives is thinned first: Kubernetes' own types bring
//! essays as descriptions (two thirds of the bytes) and every `Option` is marked nullable, which would let a stored `null`
//! pass for a value in CEL's `has()`. Only what our own doc comments say stays. What they say of the values of an enumeration, for which a
//! definition has no place, and the default are put behind what they say of the field, so that `kubectl explain` tells them.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
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
    Ok(vec![whole::<RabbitCluster>()?, whole::<Policy>()?])
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

/// The definition of a kind, thinned and explained.
fn whole<K: CustomResourceExt + JsonSchema>() -> Result<CustomResourceDefinition, serde_json::Error> {
    let mut value = serde_json::to_value(K::crd())?;
    let settings = SchemaSettings::openapi3().with(|settings| settings.inline_subschemas = true);
    let derived = settings.into_generator().into_root_schema_for::<K>();
    for version in value["spec"]["versions"].as_array_mut().into_iter().flatten() {
        let schema = &mut version["schema"]["openAPIV3Schema"];
        thin(schema, false);
        explain(schema, derived.as_value(), true);
    }
    serde_json::from_value(value)
}

/// Puts behind what is said of a field what is said of the values that it may have, and which of them it has by default: `kubectl explain` shows
/// nothing but descriptions. `derived` is the schema of the same type before it was made fit for a definition, which forgets the first. Depth as in
/// [`thin`].
fn explain(schema: &mut Value, derived: &Value, is_asked_for: bool) {
    let derived = inside(derived);
    for (name, property) in schema
        .get_mut("properties")
        .and_then(Value::as_object_mut)
        .into_iter()
        .flatten()
    {
        let derived = &derived["properties"][name];
        let mut more = values(derived);
        let is_asked_for = is_asked_for && name != "status"; // what was seen has no default
        more.extend(default(&property["default"]).filter(|_| is_asked_for));
        if let Some(Value::String(told)) = property.get_mut("description").filter(|_| !more.is_empty()) {
            *told = format!("{told} {}", more.join(" "));
        }
        explain(property, derived, is_asked_for);
    }
    if let Some(items) = schema.get_mut("items") {
        explain(items, &derived["items"], is_asked_for);
    }
}

/// Of fields with fields of their own each tells its own; what is empty by default is as if it were missing.
fn default(value: &Value) -> Option<String> {
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    };
    let told = match value {
        Value::Array(all) => all.iter().filter_map(text).collect::<Vec<_>>().join(", "),
        one => text(one)?,
    };
    (!told.is_empty()).then(|| format!("Default: {told}."))
}

/// Of a value that may be missing the schema of the one that is there.
fn inside(derived: &Value) -> &Value {
    let alternatives = derived["anyOf"].as_array().or(derived["allOf"].as_array());
    alternatives.and_then(|all| all.first()).unwrap_or(derived)
}

/// What is said of each value of an enumeration.
fn values(derived: &Value) -> Vec<String> {
    let of = |value: &Value| {
        let name = value["const"].as_str().or_else(|| value["enum"][0].as_str())?;
        Some(format!("{name}: {}", value["description"].as_str()?))
    };
    let all = inside(derived)["oneOf"].as_array();
    all.into_iter().flatten().filter_map(of).collect()
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
    let cluster = strict_spec(whole::<RabbitCluster>()?)?;
    let mut policy = strict_spec(whole::<Policy>()?)?;
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
