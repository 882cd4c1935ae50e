//! The charts: their values against their schemas, and what helm renders of them. What needs helm, which the local Kubernetes brings along, is left out
//! of a plain `cargo test` and run beside the end-to-end tests:
//! `hack/kube cargo test -p operator --test operator charts:: -- --ignored`.

use std::process::Command;

use operator::preview::preview;
use serde_yaml::Value;

use crate::manifests::repository;

/// Standard output, or standard error as the error.
fn helm(arguments: &[&str]) -> Result<String, String> {
    let output = Command::new("helm")
        .args(arguments)
        .args(["--kube-version", "1.33.0"]) // a helm built without release flags takes Kubernetes for an old one
        .current_dir(repository().join("charts"))
        .output();
    let output = output.unwrap_or_else(|error| panic!("helm: {error}"));
    let text = |bytes| String::from_utf8(bytes).unwrap();
    if output.status.success() {
        Ok(text(output.stdout))
    } else {
        Err(text(output.stderr))
    }
}

fn documents(text: &str) -> Vec<Value> {
    let documents = serde_yaml::Deserializer::from_str(text);
    let values = documents.map(|document| serde::Deserialize::deserialize(document).unwrap());
    values.filter(|value: &Value| !value.is_null()).collect()
}

fn golden(name: &str, arguments: &[&str]) {
    let rendered = helm(arguments).unwrap();
    let file = repository().join(format!("operator/tests/operator/golden/{name}.yaml"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&file, &rendered).unwrap();
    }
    let stored = std::fs::read_to_string(&file).unwrap();
    assert!(
        stored == rendered,
        "{name} differs; look at it with `helm template`, then UPDATE_GOLDEN=1 accepts it"
    );
}

const NAMED: [&str; 5] = ["template", "warren", "warren-operator", "--namespace", "warren-system"];

fn operator_chart(more: &[&str]) -> Vec<Value> {
    let arguments = [&NAMED, more].concat();
    documents(&helm(&arguments).unwrap())
}

#[test]
#[ignore = "needs helm: hack/kube cargo test -p operator --test operator charts:: -- --ignored"]
fn the_operator_chart_renders_as_reviewed() {
    golden(
        "chart-operator",
        &[&NAMED[..], &["--set", "crds.install=false"]].concat(),
    );
}

#[test]
#[ignore = "needs helm: hack/kube cargo test -p operator --test operator charts:: -- --ignored"]
fn the_operator_chart_for_two_namespaces_renders_as_reviewed() {
    let more = ["--set", "crds.install=false", "--set", "watchNamespaces={blue,green}"];
    golden("chart-operator-namespaces", &[&NAMED[..], &more].concat());
}

#[test]
#[ignore = "needs helm: hack/kube cargo test -p operator --test operator charts:: -- --ignored"]
fn definitions_come_with_the_chart_and_outlive_it() {
    let objects = operator_chart(&[]);
    let definitions: Vec<_> = objects
        .iter()
        .filter(|object| object["kind"] == "CustomResourceDefinition")
        .collect();
    for definition in &definitions {
        assert_eq!(definition["metadata"]["annotations"]["helm.sh/resource-policy"], "keep");
    }
    assert_eq!(definitions.len(), operator::crd::definitions().unwrap().len());
}

#[test]
#[ignore = "needs helm: hack/kube cargo test -p operator --test operator charts:: -- --ignored"]
fn the_operator_has_no_right_that_it_does_not_use() {
    for more in [&[][..], &["--set", "watchNamespaces={blue,green}"]] {
        for object in operator_chart(more) {
            let kind = object["kind"].as_str().unwrap().to_owned();
            assert_ne!(object["roleRef"]["name"], "cluster-admin");
            for rule in object["rules"].as_sequence().into_iter().flatten() {
                let list = |key: &str| rule[key].as_sequence().cloned().unwrap_or_default();
                let all = [list("apiGroups"), list("resources"), list("verbs")].concat();
                assert!(!all.contains(&Value::from("*")), "{kind}: a wildcard in {rule:?}");
                let resources = list("resources");
                for forbidden in ["pods/exec", "pods/attach", "roles", "rolebindings", "nodes"] {
                    assert!(!resources.contains(&Value::from(forbidden)), "{kind}: {forbidden}");
                }
                if resources.contains(&Value::from("secrets")) {
                    assert_eq!(
                        list("verbs"),
                        ["create", "get", "patch"].map(Value::from),
                        "secrets are never listed"
                    );
                }
            }
        }
    }
}

#[test]
#[ignore = "needs helm: hack/kube cargo test -p operator --test operator charts:: -- --ignored"]
fn the_operators_pod_satisfies_the_restricted_standard() {
    for object in operator_chart(&[])
        .iter()
        .filter(|object| object["kind"] == "Deployment" || object["kind"] == "Pod")
    {
        let pod = if object["kind"] == "Pod" {
            &object["spec"]
        } else {
            &object["spec"]["template"]["spec"]
        };
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
        assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
        let container = &pod["containers"][0]["securityContext"];
        assert_eq!(container["allowPrivilegeEscalation"], false);
        assert_eq!(container["readOnlyRootFilesystem"], true);
        assert_eq!(container["capabilities"]["drop"][0], "ALL");
    }
}

#[test]
#[ignore = "needs helm: hack/kube cargo test -p operator --test operator charts:: -- --ignored"]
fn a_wrong_value_is_refused_by_the_schema() {
    let cases = [
        ("warren-operator", "replicaz=1", "replicaz"),
        ("warren-operator", "log.level=7", "level"),
        ("warren-operator", "image.pullPolicy=Sometimes", "pullPolicy"),
        ("warren-cluster", "cluster.replica=1", "replica"),
        ("warren-cluster", "cluster.replicas=many", "replicas"),
        ("warren-cluster", "cluster.persistence.size=1Gi", "size"),
        ("warren-cluster", "policies.ha.patern=x", "patern"),
        ("warren-cluster", "policies.ha.mirroring.mode=Some", "mode"),
    ];
    for (chart, value, named) in cases {
        let refused = helm(&["template", "x", chart, "--set", value]).expect_err(value);
        assert!(refused.contains(named), "{value} gave {refused}");
    }
}

#[test]
#[ignore = "needs helm: hack/kube cargo test -p operator --test operator charts:: -- --ignored"]
fn the_cluster_chart_renders_a_cluster_that_the_operator_takes() {
    let values = [
        "--set",
        "cluster.replicas=3",
        "--set",
        "cluster.config=heartbeat = 30",
        "--set",
        "cluster.image.tag=1.4.0",
    ];
    let rendered = helm(&[&["template", "orders", "warren-cluster"][..], &values].concat()).unwrap();
    let objects = preview(&rendered, "shop", &"localhost/warren:dev".parse().unwrap()).unwrap();
    for expected in [
        "name: orders-server",
        "replicas: 3",
        "heartbeat = 30",
        "image: localhost/warren:1.4.0",
    ] {
        assert!(objects.contains(expected), "{expected} is not in\n{objects}");
    }
}

#[test]
#[ignore = "needs helm: hack/kube cargo test -p operator --test operator charts:: -- --ignored"]
fn a_cluster_chart_without_values_leaves_every_default_to_the_definition() {
    let objects = documents(&helm(&["template", "orders", "warren-cluster"]).unwrap());
    assert_eq!(objects.len(), 1);
    assert_eq!(objects[0]["spec"], serde_yaml::from_str::<Value>("{}").unwrap());
}

#[test]
#[ignore = "needs helm: hack/kube cargo test -p operator --test operator charts:: -- --ignored"]
fn policies_among_the_values_become_policies_of_the_cluster() {
    let policies = r#"policies={"ha-all": {"pattern": "^", "mirroring": {"mode": "All"}}, "ttl": {"pattern": "x", "name": "Short lived", "definition": {"message-ttl": 1}}}"#;
    let rendered = helm(&["template", "orders", "warren-cluster", "--set-json", policies]).unwrap();
    preview(&rendered, "shop", &"localhost/warren:dev".parse().unwrap()).unwrap();
    let objects = documents(&rendered);
    let found: Vec<_> = objects.iter().filter(|object| object["kind"] == "Policy").collect();
    let names: Vec<_> = found
        .iter()
        .map(|policy| policy["spec"]["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["ha-all", "Short lived"]);
    assert!(
        found
            .iter()
            .all(|policy| policy["spec"]["clusterRef"]["name"] == "orders")
    );
    assert_eq!(found[0]["metadata"]["name"], "orders-ha-all");
}

#[test]
#[ignore = "needs helm: hack/kube cargo test -p operator --test operator charts:: -- --ignored"]
fn prometheus_and_grafana_find_what_they_look_for() {
    let kinds = [
        "--set",
        "monitoring.dashboard.create=true",
        "--set",
        "networkPolicy.enabled=true",
        "--set",
        "monitoring.labels.release=prometheus",
        "--api-versions",
        "monitoring.coreos.com/v1/ServiceMonitor",
        "--api-versions",
        "monitoring.coreos.com/v1/PrometheusRule",
    ];
    let more = [
        "--set",
        "crds.install=false",
        "--show-only",
        "templates/monitoring.yaml",
    ];
    let more = [&more[..], &["--show-only", "templates/network-policy.yaml"], &kinds].concat();
    let objects = operator_chart(&more);
    let of = |kind: &str| objects.iter().find(|object| object["kind"] == kind).unwrap();
    for kind in ["ServiceMonitor", "PrometheusRule"] {
        assert_eq!(of(kind)["metadata"]["labels"]["release"], "prometheus", "{kind}");
        assert_eq!(
            of(kind)["metadata"]["labels"]["app.kubernetes.io/name"],
            "warren-operator"
        );
    }
    let dashboard = of("ConfigMap")["data"]["warren-cluster.json"].as_str().unwrap();
    assert!(serde_json::from_str::<serde_json::Value>(dashboard).unwrap()["panels"].is_array());
    assert_eq!(of("NetworkPolicy")["spec"]["ingress"][0]["ports"][0]["port"], "metrics");
    let rules = of("PrometheusRule")["spec"]["groups"][0]["rules"]
        .as_sequence()
        .unwrap();
    let page = std::fs::read_to_string(repository().join("docs/monitoring.md")).unwrap();
    for rule in rules {
        let row = format!("| `{}` |", rule["alert"].as_str().unwrap());
        assert!(page.contains(&row), "docs/monitoring.md has no row {row}");
    }
    let all = [dashboard, &serde_yaml::to_string(rules).unwrap()].concat();
    let told = operator::metrics::Metrics::default().page(true, (0, 0));
    let words = all.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    for name in words.filter(|word| word.starts_with("warren_operator_")) {
        assert!(
            told.contains(&format!("# TYPE {}", name.trim_end_matches("_count"))),
            "{name} is not told"
        );
    }
}

#[test]
#[ignore = "needs helm: hack/kube cargo test -p operator --test operator charts:: -- --ignored"]
fn the_cluster_charts_test_is_a_pod_that_satisfies_the_restricted_standard() {
    assert_eq!(
        documents(&helm(&["template", "orders", "warren-cluster"]).unwrap()).len(),
        1
    );
    let text = helm(&["template", "orders", "warren-cluster", "--set", "test.image=x:1"]).unwrap();
    let objects = documents(&text);
    let pod = objects.iter().find(|object| object["kind"] == "Pod").unwrap();
    assert_eq!(pod["spec"]["securityContext"]["runAsNonRoot"], true);
    let container = &pod["spec"]["containers"][0];
    assert_eq!(container["securityContext"]["allowPrivilegeEscalation"], false);
    assert_eq!(
        container["env"][0]["valueFrom"]["secretKeyRef"]["name"],
        "orders-default-user"
    );
}

fn chart_file(file: &str) -> String {
    std::fs::read_to_string(repository().join("charts").join(file)).unwrap()
}

/// Every path of the values that is a map in both, where one has a key that the other lacks.
fn differences(values: &Value, schema: &serde_json::Value, path: &str) -> Vec<String> {
    let (Some(values), Some(known)) = (values.as_mapping(), schema["properties"].as_object()) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for key in values.keys().map(|key| key.as_str().unwrap()) {
        match known.get(key) {
            Some(known) => found.extend(differences(&values[key], known, &format!("{path}.{key}"))),
            None => found.push(format!("{path}.{key} is not in the schema")),
        }
    }
    found
}

#[test]
fn every_value_is_in_the_schema_and_every_word_of_the_schema_among_the_values() {
    for chart in ["warren-operator", "warren-cluster"] {
        let values: Value = serde_yaml::from_str(&chart_file(&format!("{chart}/values.yaml"))).unwrap();
        let schema: serde_json::Value =
            serde_json::from_str(&chart_file(&format!("{chart}/values.schema.json"))).unwrap();
        assert_eq!(differences(&values, &schema, chart), Vec::<String>::new());
        for key in schema["properties"]
            .as_object()
            .unwrap()
            .keys()
            .filter(|key| *key != "global")
        {
            assert!(
                !values[key.as_str()].is_null(),
                "{chart}/values.yaml does not show {key}"
            );
        }
    }
}

#[test]
fn every_value_is_explained_above_it() {
    for chart in ["warren-operator", "warren-cluster"] {
        let text = chart_file(&format!("{chart}/values.yaml"));
        let blocks = text.split("\n\n").filter(|block| !block.trim().is_empty());
        for block in blocks {
            assert!(block.contains("# "), "{chart}/values.yaml says nothing about\n{block}");
        }
    }
}

#[test]
fn the_cluster_charts_values_show_every_field_of_a_cluster() {
    let text = chart_file("warren-cluster/values.yaml");
    let schema = operator::crd::values_schema().unwrap();
    for field in schema["properties"]["cluster"]["properties"]
        .as_object()
        .unwrap()
        .keys()
    {
        assert!(
            text.contains(&format!("#   {field}:")),
            "warren-cluster/values.yaml does not show {field}"
        );
    }
}

#[test]
fn charts_and_binaries_have_one_version() {
    for chart in ["warren-operator", "warren-cluster"] {
        let manifest: Value = serde_yaml::from_str(&chart_file(&format!("{chart}/Chart.yaml"))).unwrap();
        assert_eq!(manifest["version"], env!("CARGO_PKG_VERSION"), "{chart}");
        assert_eq!(manifest["appVersion"], env!("CARGO_PKG_VERSION"), "{chart}");
    }
}

#[test]
fn what_a_catalogue_shows_of_the_operator_are_its_kinds_and_manifests_that_can_be_built() {
    let manifest: Value = serde_yaml::from_str(&chart_file("warren-operator/Chart.yaml")).unwrap();
    let part = |name: &str| -> Vec<Value> {
        let text = manifest["annotations"][format!("artifacthub.io/{name}").as_str()].as_str();
        serde_yaml::from_str(text.unwrap()).unwrap()
    };
    let shown: Vec<Value> = part("crds").iter().map(|shown| shown["kind"].clone()).collect();
    let kinds = operator::crd::definitions().unwrap();
    let kinds: Vec<Value> = kinds.iter().map(|kind| kind.spec.names.kind.as_str().into()).collect();
    assert_eq!(shown, kinds);
    let examples = part("crdsExamples");
    let [cluster, policy] = examples.as_slice() else {
        panic!("one of each kind: {examples:?}");
    };
    let built = preview(
        &serde_yaml::to_string(cluster).unwrap(),
        "shop",
        &"localhost/warren:dev".parse().unwrap(),
    );
    assert!(built.unwrap().contains("kind: StatefulSet"));
    let policy: operator::crd::Policy = serde_yaml::from_value(policy.clone()).unwrap();
    assert_eq!(
        Some(policy.spec.cluster_ref.name.as_str()),
        cluster["metadata"]["name"].as_str()
    );
}
