//! The generated files equal what the generator prints now, and what the schema must not lose is named.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinitionVersion;
use operator::crd;
use serde_json::Value;

use crate::manifests::repository;

fn schemas() -> Vec<Value> {
    let definitions = crd::definitions().unwrap();
    let schema = |version: &CustomResourceDefinitionVersion| {
        serde_json::to_value(version.schema.as_ref().unwrap()).unwrap()["openAPIV3Schema"].clone()
    };
    definitions
        .iter()
        .map(|definition| schema(&definition.spec.versions[0]))
        .collect()
}

#[test]
fn every_field_that_can_be_asked_for_is_explained_with_its_values_and_its_default() {
    let description = |of: &serde_json::Value| of["description"].as_str().unwrap_or_default().to_owned();
    fn look(path: &str, schema: &serde_json::Value, wrong: &mut Vec<String>) {
        let text = schema["description"].as_str().unwrap_or_default();
        let has = |value: &serde_json::Value| value.as_str().is_none_or(|name| text.contains(&format!("{name}: ")));
        let are_told = schema["enum"].as_array().is_none_or(|all| all.iter().all(has));
        let default = schema["default"].as_str().filter(|default| !default.is_empty());
        let is_told = default.is_none_or(|default| text.contains(&format!("Default: {default}.")));
        if text.is_empty() || !is_told || !are_told && !path.ends_with("days") {
            wrong.push(path.to_owned());
        }
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            let is_foreign =
                ["affinity", "clients", "tolerations", "topologySpreadConstraints"].contains(&name.as_str());
            if !is_foreign {
                look(&format!("{path}.{name}"), field, wrong);
            }
        }
        for (name, field) in schema["items"]["properties"].as_object().into_iter().flatten() {
            look(&format!("{path}.{name}"), field, wrong);
        }
    }
    let mut wrong = Vec::new();
    for schema in schemas() {
        look("spec", &schema["properties"]["spec"], &mut wrong);
    }
    assert_eq!(wrong, Vec::<String>::new());
    let cluster = &schemas()[0]["properties"]["spec"]["properties"];
    let strategy = description(&cluster["update"]["properties"]["strategy"]);
    assert!(
        strategy.contains("OnDelete: You, by deleting pods") && strategy.ends_with("Default: Automatic."),
        "{strategy}"
    );
}

#[test]
fn generated_files_equal_their_generator() {
    for definition in crd::definitions().unwrap() {
        let now = crd::yaml(std::slice::from_ref(&definition)).unwrap();
        for directory in ["crds", "charts/warren-operator/files"] {
            let file = format!("{directory}/{}", crd::file_name(&definition));
            let stored = std::fs::read_to_string(repository().join(&file)).unwrap();
            assert!(
                stored == now,
                "{file} is stale: cargo run -p operator -- crd --out {directory}"
            );
        }
    }
}

#[test]
fn the_cluster_chart_takes_exactly_the_fields_of_the_definition() {
    let file = "charts/warren-cluster/values.schema.json";
    let stored = std::fs::read_to_string(repository().join(file)).unwrap();
    let now = format!("{:#}\n", crd::values_schema().unwrap());
    assert!(
        stored == now,
        "{file} is stale: cargo run -p operator -- crd --values-schema > {file}"
    );
}

#[test]
fn the_definition_is_small_enough_for_client_side_apply() {
    let text = crd::yaml(&crd::definitions().unwrap()).unwrap();
    assert!(text.len() < 100_000, "{} bytes; an annotation holds 262144", text.len());
}

#[test]
fn every_field_of_ours_is_described_and_nothing_is_nullable() {
    let schemas = schemas();
    for schema in &schemas {
        assert!(!schema.to_string().contains("nullable"));
        for (name, field) in schema["properties"]["spec"]["properties"].as_object().unwrap() {
            assert!(field["description"].is_string(), "spec.{name} has no description");
        }
    }
    let spec = schemas[0]["properties"]["spec"]["properties"].as_object().unwrap();
    let affinity = &spec["scheduling"]["properties"]["affinity"];
    assert!(affinity["description"].is_string());
    assert!(
        !affinity["properties"].to_string().contains("description"),
        "Kubernetes' own essays are stripped"
    );
}

#[test]
fn scale_and_columns_are_those_that_users_type() {
    let definition = &crd::definitions().unwrap()[0];
    let version = &definition.spec.versions[0];
    let scale = version.subresources.as_ref().unwrap().scale.as_ref().unwrap();
    assert_eq!(scale.spec_replicas_path, ".spec.replicas");
    assert_eq!(scale.label_selector_path.as_deref(), Some(".status.selector"));
    let columns: Vec<_> = version
        .additional_printer_columns
        .iter()
        .flatten()
        .map(|column| column.name.as_str())
        .collect();
    assert_eq!(
        columns,
        [
            "Ready",
            "Phase",
            "Nodes",
            "Version",
            "AtRisk",
            "Age",
            "Image",
            "Reason",
            "Cert",
            "Operation"
        ]
    );
    assert_eq!(
        definition.spec.names.short_names.as_deref(),
        Some(["rmq".to_owned()].as_slice())
    );
}

#[test]
fn the_columns_of_a_policy_answer_whether_it_is_in_force_and_in_sync() {
    let definition = &crd::definitions().unwrap()[1];
    let columns = definition.spec.versions[0].additional_printer_columns.iter().flatten();
    let columns: Vec<_> = columns.map(|column| column.name.as_str()).collect();
    assert_eq!(
        columns,
        [
            "Cluster", "Vhost", "Pattern", "ApplyTo", "Priority", "Applied", "Synced", "Age", "Queues", "Reason"
        ]
    );
    assert_eq!(
        definition.spec.names.short_names.as_deref(),
        Some(["rmqpolicy".to_owned()].as_slice())
    );
}

#[test]
fn what_the_definition_of_a_policy_may_hold_is_open() {
    let definition = &schemas()[1]["properties"]["spec"]["properties"]["definition"];
    assert_eq!(definition["x-kubernetes-preserve-unknown-fields"], true);
    assert_eq!(
        definition["properties"]["ha-mode"]["type"], "string",
        "rules speak of it"
    );
}

/// The API server refuses the whole definition otherwise, and says so by the cost of the rule alone.
#[test]
fn rules_escape_the_words_that_cel_reserves() {
    let reserved = ["namespace", "package", "import", "function", "const", "in"];
    let text = crd::yaml(&crd::definitions().unwrap()).unwrap();
    for line in text.lines().filter(|line| line.trim_start().starts_with("rule:")) {
        for word in reserved {
            let plain = |end: &str| line.contains(&format!(".{word}{end}"));
            assert!(![" ", ")", "."].into_iter().any(plain), "{line}: write __{word}__");
        }
    }
}
