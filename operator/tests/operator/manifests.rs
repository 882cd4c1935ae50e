//! Manifests as a user would write them, and every object that becomes of them. The goldens show the whole; the asserts below name what
//! matters, so that a careless `UPDATE_GOLDEN=1` cannot lose it. A golden whose pod template changes means that an upgrade of the
//! operator restarts every cluster.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use operator::cluster::build::monitoring::Apis;
use operator::cluster::image::Reference;
use operator::preview::{preview, preview_with};
use serde_yaml::Value;

pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/operator")
}

fn image() -> Reference {
    "localhost/warren:dev".parse().unwrap()
}

/// Objects by kind and name.
fn objects(manifest: &str) -> BTreeMap<String, Value> {
    let text = preview(manifest, "shop", &image()).unwrap();
    let documents = text
        .split("---\n")
        .map(|document| serde_yaml::from_str::<Value>(document).unwrap());
    let key = |object: &Value| {
        format!(
            "{}/{}",
            object["kind"].as_str().unwrap(),
            object["metadata"]["name"].as_str().unwrap()
        )
    };
    documents.map(|object| (key(&object), object)).collect()
}

fn fixture(name: &str) -> String {
    std::fs::read_to_string(here().join(format!("fixtures/{name}.yaml"))).unwrap()
}

fn cluster(spec: &str) -> String {
    format!("{{apiVersion: warren.dev/v1alpha1, kind: RabbitCluster, metadata: {{name: orders}}, spec: {spec}}}")
}

fn pod(objects: &BTreeMap<String, Value>) -> Value {
    objects["StatefulSet/orders-server"]["spec"]["template"].clone()
}

fn check(name: &str) {
    let now = preview(&fixture(name), "shop", &image()).unwrap();
    let file = here().join(format!("golden/{name}.yaml"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&file, &now).unwrap();
    }
    let stored = std::fs::read_to_string(&file).unwrap();
    let differs = stored.lines().zip(now.lines()).position(|(old, new)| old != new);
    assert!(
        stored == now,
        "{name}: differs from line {:?} on; UPDATE_GOLDEN=1 accepts it",
        differs.map(|at| at + 1)
    );
}

#[test]
fn a_cluster_without_wishes() {
    check("minimal");
}

#[test]
fn a_cluster_with_every_wish() {
    check("everything");
}

#[test]
fn three_nodes() {
    check("three-nodes");
}

#[test]
fn three_nodes_that_clients_reach_by_tls_alone() {
    check("mutual-tls");
}

#[test]
fn tls_changes_the_pods_and_its_certificates_do_not() {
    let plain = pod(&objects(&cluster("{}")));
    let tls = pod(&objects(&cluster("{tls: {secretName: pair}}")));
    assert_ne!(plain, tls);
    assert!(!serde_yaml::to_string(&plain).unwrap().contains("tls"));
    let settings =
        objects(&cluster("{tls: {secretName: pair}}"))["ConfigMap/orders-config"]["data"]["rabbitmq.conf"].clone();
    for line in [
        "listeners.ssl.default = 5671",
        "management.tcp.port = 15672",
        "management.ssl.port = 15671",
        "prometheus.ssl.keyfile = /etc/warren/tls/tls.key",
    ] {
        assert!(settings.as_str().unwrap().lines().any(|found| found == line), "{line}");
    }
}

#[test]
fn nodes_that_speak_tls_to_each_other_read_the_secret_that_is_named_for_it() {
    let apart = objects(&cluster(
        "{tls: {secretName: pair, interNode: Required, interNodeSecretName: nodes}}",
    ));
    let settings = apart["ConfigMap/orders-config"]["data"]["rabbitmq.conf"].clone();
    for line in [
        "distribution.tls = required",
        "distribution.ssl_options.cacertfile = /etc/warren/tls-nodes/ca.crt",
        "distribution.ssl_options.certfile = /etc/warren/tls-nodes/tls.crt",
        "distribution.ssl_options.keyfile = /etc/warren/tls-nodes/tls.key",
        "ssl_options.certfile = /etc/warren/tls/tls.crt",
    ] {
        assert!(settings.as_str().unwrap().lines().any(|found| found == line), "{line}");
    }
    let secret_of = |objects: &BTreeMap<String, Value>| {
        let pod = pod(objects);
        let mut volumes = pod["spec"]["volumes"].as_sequence().unwrap().iter();
        let volume = volumes.find(|volume| volume["name"] == "tls-nodes");
        volume.map(|volume| volume["secret"]["secretName"].clone())
    };
    assert_eq!(secret_of(&apart), Some("nodes".into()));
    let one = objects(&cluster("{tls: {secretName: pair, interNode: Required}}"));
    assert_eq!(secret_of(&one), Some("pair".into()));
    let none = objects(&cluster("{tls: {secretName: pair, interNodeSecretName: nodes}}"));
    assert_eq!(secret_of(&none), None);
}

#[test]
fn what_is_not_asked_for_is_not_there() {
    let all = objects(&cluster("{disruption: {pdb: None}}"));
    assert!(!all.contains_key("PodDisruptionBudget/orders-server"));
    assert!(!all.contains_key("NetworkPolicy/orders-server"));
}

#[test]
fn nodes_talk_among_themselves_and_to_the_operator_alone_where_a_network_policy_is_asked_for() {
    let all = objects(&cluster(
        "{networkPolicy: {enabled: true, clients: [{podSelector: {matchLabels: {app: shop}}}]}, plugins: []}",
    ));
    let rules = all["NetworkPolicy/orders-server"]["spec"]["ingress"]
        .as_sequence()
        .unwrap()
        .clone();
    let ports = |rule: &Value| {
        let ports = rule["ports"].as_sequence().unwrap().iter();
        ports.map(|port| port["port"].as_i64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!((ports(&rules[0]), ports(&rules[1])), (vec![5672], vec![25672, 15680]));
    assert_eq!(rules[0]["from"][0]["podSelector"]["matchLabels"]["app"], "shop");
    assert_eq!(rules[1]["from"].as_sequence().unwrap().len(), 2);
}

fn monitored(spec: &str) -> String {
    let kinds = Apis {
        service_monitors: true,
        prometheus_rules: true,
    };
    preview_with(&cluster(spec), "shop", &image(), kinds).unwrap()
}

#[test]
fn where_the_prometheus_operator_is_installed_nodes_are_scraped_and_alerts_made() {
    let all = monitored("{monitoring: {labels: {release: prometheus}, intervalSeconds: 30}}");
    let objects = all
        .split("---\n")
        .filter(|object| object.contains("monitoring.coreos.com/v1"));
    let now = objects.collect::<Vec<_>>().join("---\n");
    let file = here().join("golden/monitoring.yaml");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&file, &now).unwrap();
    }
    assert!(
        std::fs::read_to_string(&file).unwrap() == now,
        "UPDATE_GOLDEN=1 accepts it"
    );
    assert_eq!(now.matches("release: prometheus").count(), 2);
    assert!(!now.contains("SELECTOR") && now.contains("namespace=\"shop\",service=\"orders\""));
}

#[test]
fn nothing_is_monitored_that_tells_nothing_or_shall_not_be() {
    for spec in ["{plugins: [management]}", "{monitoring: {create: Never}}"] {
        assert!(!monitored(spec).contains("monitoring.coreos.com"), "{spec}");
    }
    let tls = monitored("{tls: {secretName: pair, disablePlain: true}}");
    assert!(tls.contains("port: prometheus-tls") && tls.contains("serverName: orders.shop.svc"));
}

#[test]
fn every_alert_says_what_to_do_in_the_page_that_it_names() {
    let page = std::fs::read_to_string(repository().join("docs/monitoring.md")).unwrap();
    let rules = monitored("{}");
    let names = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: "));
    let names: Vec<_> = names.collect();
    assert_eq!(names.len(), 23);
    for name in names {
        assert!(
            page.contains(&format!("| `{name}` |")),
            "docs/monitoring.md has no row for {name}"
        );
    }
}

#[test]
fn definitions_are_mounted_and_imported_beside_the_first_user() {
    let all = objects(&cluster("{definitions: {secretRef: {name: users, key: u.json}}}"));
    let settings = all["ConfigMap/orders-config"]["data"]["rabbitmq.conf"]
        .as_str()
        .unwrap()
        .to_owned();
    for line in [
        "load_definitions = /etc/warren/definitions",
        "load_definitions.keep_default_user = true",
    ] {
        assert!(settings.lines().any(|found| found == line), "{line}");
    }
    let pod = pod(&all);
    let volume = pod["spec"]["volumes"].as_sequence().unwrap().iter();
    let volume = volume.clone().find(|volume| volume["name"] == "definitions").unwrap();
    assert_eq!(volume["projected"]["sources"][0]["secret"]["items"][0]["key"], "u.json");
}

#[test]
fn overrides_are_merged_by_name_and_take_nothing_away() {
    let plain = pod(&objects(&cluster("{}")));
    let overrides = "{podOverrides: {metadata: {labels: {team: blue}}, spec: {containers: [{name: side, image: x}, {name: broker, env: [{name: TZ, value: UTC}]}]}}}";
    let merged = pod(&objects(&cluster(overrides)));
    assert_eq!(merged["metadata"]["labels"]["team"], "blue");
    assert_eq!(merged["metadata"]["labels"]["app.kubernetes.io/name"], "warren");
    let (containers, before) = (&merged["spec"]["containers"], &plain["spec"]["containers"][0]);
    assert_eq!(
        (&containers[0]["name"], &containers[1]["name"]),
        (&"broker".into(), &"side".into())
    );
    assert_eq!(containers[0]["image"], before["image"]);
    let variables = |container: &Value| container["env"].as_sequence().unwrap().len();
    assert_eq!(variables(&containers[0]), variables(before) + 1);
    assert_eq!(containers[1]["securityContext"]["capabilities"]["drop"][0], "ALL");
    assert_eq!(pod(&objects(&cluster("{podOverrides: {}}"))), plain);
}

/// Names and texts of the examples.
fn examples() -> Vec<(String, String)> {
    let files = std::fs::read_dir(repository().join("examples")).unwrap();
    let paths = files.map(|file| file.unwrap().path());
    let mut manifests: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|end| end == "yaml"))
        .collect();
    manifests.sort();
    let read = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        (name, std::fs::read_to_string(path).unwrap())
    };
    manifests.iter().map(read).collect()
}

#[test]
fn the_examples_can_be_carried_out_and_begin_with_what_they_show() {
    assert!(examples().len() > 20);
    for (file, text) in examples() {
        assert!(text.starts_with("# "), "{file}");
        let ours: Vec<_> = text
            .split("---\n")
            .filter(|page| page.contains("warren.dev/v1alpha1"))
            .collect();
        let objects = preview(&ours.join("---\n"), "shop", &image()).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(objects.contains("kind: StatefulSet"), "{file}");
    }
}

#[test]
fn every_example_has_its_line_on_their_page() {
    let page = std::fs::read_to_string(repository().join("examples/README.md")).unwrap();
    for (file, _) in examples() {
        assert!(
            page.contains(&format!("| `{file}` |")),
            "examples/README.md has no line for {file}"
        );
    }
}

#[test]
fn a_policy_becomes_no_object_and_what_is_wrong_with_it_is_told() {
    let policy = |spec: &str| {
        let text = format!(
            "{{apiVersion: warren.dev/v1alpha1, kind: Policy, metadata: {{name: ha}}, spec: {{clusterRef: {{name: orders}}, {spec}}}}}"
        );
        preview(&text, "shop", &image()).map_err(|error| error.to_string())
    };
    assert_eq!(policy("pattern: x, mirroring: {mode: All}"), Ok(String::new()));
    assert_eq!(policy("pattern: x, definition: {any-key: [1]}"), Ok(String::new()));
    let cases = [
        ("patern: x", "unknown field spec.patern"),
        ("pattern: x, mirroring: {mod: All}", "unknown field spec.mirroring.mod"),
        ("pattern: x", "a policy must say something"),
    ];
    for (spec, words) in cases {
        assert!(policy(spec).unwrap_err().contains(words), "{spec}: {:?}", policy(spec));
    }
}

#[test]
fn pods_satisfy_the_restricted_standard() {
    let pod = pod(&objects(&cluster("{}")))["spec"].clone();
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(pod["securityContext"]["runAsUser"], 999);
    assert_eq!(pod["securityContext"]["fsGroup"], 999);
    assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
    assert_eq!(pod["automountServiceAccountToken"], false);
    let broker = &pod["containers"][0]["securityContext"];
    assert_eq!(broker["allowPrivilegeEscalation"], false);
    assert_eq!(broker["readOnlyRootFilesystem"], true);
    assert_eq!(broker["capabilities"]["drop"][0], "ALL");
}

#[test]
fn probes_ask_the_admin_port_and_never_the_management_plugin() {
    let pod = pod(&objects(&cluster("{}")))["spec"].clone();
    let broker = &pod["containers"][0];
    for (probe, path) in [
        ("startupProbe", "/startup"),
        ("readinessProbe", "/ready"),
        ("livenessProbe", "/live"),
    ] {
        assert_eq!(broker[probe]["httpGet"]["path"], path);
        assert_eq!(broker[probe]["httpGet"]["port"], "admin");
    }
    let ports = broker["ports"].as_sequence().unwrap();
    let admin = ports.iter().find(|port| port["name"] == "admin").unwrap();
    assert_eq!(admin["containerPort"], 15680);
}

#[test]
fn pods_start_together_and_are_replaced_by_us_alone() {
    let objects = objects(&cluster("{}"));
    let server = &objects["StatefulSet/orders-server"]["spec"];
    assert_eq!(server["podManagementPolicy"], "Parallel");
    assert_eq!(server["updateStrategy"]["type"], "OnDelete");
    assert_eq!(server["persistentVolumeClaimRetentionPolicy"]["whenScaled"], "Retain");
    assert_eq!(
        objects["Service/orders-nodes"]["spec"]["publishNotReadyAddresses"],
        true
    );
}

#[test]
fn the_shared_secret_is_readable_by_the_group_alone() {
    let pod = pod(&objects(&cluster("{}")))["spec"].clone();
    let volumes = pod["volumes"].as_sequence().unwrap();
    let secret = volumes.iter().find(|volume| volume["name"] == "secret").unwrap();
    assert_eq!(secret["secret"]["secretName"], "orders-cookie");
    assert_eq!(secret["secret"]["defaultMode"], 0o440);
}

#[test]
fn the_number_of_nodes_is_not_part_of_the_pod_template() {
    assert_eq!(
        pod(&objects(&cluster("{replicas: 1}"))),
        pod(&objects(&cluster("{replicas: 3}")))
    );
}

#[test]
fn a_changed_setting_changes_the_pod_template_and_an_equal_one_does_not() {
    let template = |config: &str| pod(&objects(&cluster(&format!("{{config: {config}}}"))));
    assert_ne!(template("'a = 1'"), template("'a = 2'"));
    assert_eq!(template("'a = 1'"), template("\"a = 1\\n\\n\""));
}

#[test]
fn clients_are_spread_over_all_nodes() {
    let objects = objects(&cluster("{replicas: 3}"));
    let selector = |name: &str| objects[name]["spec"]["selector"].clone();
    let pods = objects["StatefulSet/orders-server"]["spec"]["selector"]["matchLabels"].clone();
    assert_eq!(selector("Service/orders"), pods);
    assert_eq!(selector("Service/orders-nodes"), pods);
}

#[test]
fn secrets_outlive_the_cluster_exactly_as_long_as_its_volumes_do() {
    let owner = |policy: &str| {
        let spec = format!("{{persistence: {{retention: {{whenDeleted: {policy}}}}}}}");
        let objects = objects(&cluster(&spec));
        let kept =
            objects["StatefulSet/orders-server"]["spec"]["persistentVolumeClaimRetentionPolicy"]["whenDeleted"].clone();
        assert_eq!(kept, policy);
        objects["Secret/orders-cookie"]["metadata"]["ownerReferences"].clone()
    };
    assert!(owner("Retain").is_null());
    assert_eq!(owner("Delete")[0]["kind"], "RabbitCluster");
}

#[test]
fn a_service_has_a_port_only_for_what_listens() {
    let ports = |plugins: &str| {
        let objects = objects(&cluster(&format!("{{plugins: {plugins}}}")));
        let ports = objects["Service/orders"]["spec"]["ports"]
            .as_sequence()
            .unwrap()
            .clone();
        ports
            .iter()
            .map(|port| port["port"].as_i64().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(ports("[]"), [5672]);
    assert_eq!(ports("[rabbitmq_management]"), [5672, 15672]);
    assert_eq!(ports("[management, prometheus]"), [5672, 15672, 15692]);
}

#[test]
fn labels_of_the_user_cannot_replace_those_that_watches_select_by() {
    let objects = objects(&cluster(
        "{service: {labels: {app.kubernetes.io/managed-by: me, team: blue}}}",
    ));
    let labels = &objects["Service/orders"]["metadata"]["labels"];
    assert_eq!(labels["app.kubernetes.io/managed-by"], "warren-operator");
    assert_eq!(labels["team"], "blue");
}

#[test]
fn whole_numbers_are_amounts_too() {
    let objects = objects(&cluster("{resources: {requests: {cpu: 1}, limits: {cpu: 2}}}"));
    let limits = &pod(&objects)["spec"]["containers"][0]["resources"]["limits"];
    assert_eq!(limits["cpu"], "2");
}

/// A spec, and what must be said about it.
const REFUSED: [(&str, &str); 38] = [
    (
        "{definitions: {}}",
        "spec.definitions: needs configMapRef, secretRef or both",
    ),
    (
        "{definitions: {secretRef: {name: a, key: 'a/b'}}}",
        "spec.definitions.secretRef.key: 'a/b' must be letters, digits",
    ),
    (
        "{definitions: {secretRef: {name: a}}, config: 'load_definitions = /x'}",
        "spec.config: line 1: 'load_definitions' belongs to the operator: it follows from spec.definitions",
    ),
    (
        "{podOverrides: {spec: {hostPID: true}}}",
        "spec.podOverrides.spec.hostPID: cannot be given here",
    ),
    (
        "{podOverrides: {spec: {container: []}}}",
        "spec.podOverrides.spec.container: no field of a pod template",
    ),
    (
        "{replicas: -1}",
        "document 1: spec.replicas: -1 cannot be negative: 0 stops the cluster and keeps its data",
    ),
    (
        "{version: 1.4.0, image: {tag: a}}",
        "spec.version: is the image's tag: leave image.tag and image.digest out, or version",
    ),
    (
        "{version: newest}",
        "spec.version: 'newest' must be one such as 1.4.0; for any other tag there is image.tag",
    ),
    (
        "{clusterSecret: {rotation: {period: 2w}}}",
        "spec.clusterSecret.rotation.period: '2w' must be hours or days, such as 720h or 30d",
    ),
    (
        "{update: {maintenanceWindows: [{start: '2:00'}]}}",
        "spec.update.maintenanceWindows.start: '2:00' must be a time such as 02:00, in UTC",
    ),
    (
        "{update: {drainTimeoutSeconds: 660}}",
        "spec.update.drainTimeoutSeconds: 660 must be less than terminationGracePeriodSeconds",
    ),
    (
        "{update: {canary: {nodes: 0}}}",
        "spec.update.canary.nodes: 0 must be between 1 and 99",
    ),
    (
        "{replica: 1}",
        "document 1: unknown field spec.replica; known there: adminUser, clusterSecret, config, definitions,",
    ),
    (
        "{image: {tags: a}}",
        "document 1: unknown field spec.image.tags; known there: digest, pullPolicy,",
    ),
    (
        "{replicas: many}",
        "document 1: invalid type: string \"many\", expected i32",
    ),
    (
        "{image: {repository: a/b}}",
        "spec.image.repository: needs version, image.tag or image.digest beside it",
    ),
    (
        "{image: {repository: 'a/b:1', tag: '2'}}",
        "spec.image: 'a/b:1:2' names no image",
    ),
    (
        "{image: {digest: sha256:12}}",
        "spec.image.digest: 'sha256:12' must be sha256: and 64 hexadecimal digits",
    ),
    (
        "{plugins: [Web]}",
        "spec.plugins: 'Web' must be a name such as management",
    ),
    (
        "{config: \"a = 1\\nnonsense\"}",
        "spec.config: line 2, 'nonsense': expected 'key = value'",
    ),
    (
        "{config: 'listeners.tcp.default = 1'}",
        "spec.config: line 1: 'listeners.tcp.default' belongs to the operator",
    ),
    (
        "{config: 'default_pass = x'}",
        "belongs to the operator: the first user is the one of the default-user Secret",
    ),
    (
        "{resources: {limits: {memory: lots}}}",
        "spec.resources.limits.memory: 'lots' is no amount such as 500m or 1Gi",
    ),
    (
        "{resources: {limits: {memroy: 1Gi}}}",
        "spec.resources.limits: 'memroy' is no resource: cpu, memory,",
    ),
    (
        "{scheduling: {tolerations: [{key: a, operator: Sometimes}]}}",
        "spec.scheduling.tolerations[0].operator: 'Sometimes' must be Equal or Exists",
    ),
    (
        "{scheduling: {tolerations: [{operator: Exists}, {effect: NoSchedule}]}}",
        "spec.scheduling.tolerations[1].key: is missing: without one the operator must be Exists",
    ),
    (
        "{scheduling: {tolerations: [{key: a, effect: Never}]}}",
        "spec.scheduling.tolerations[0].effect: 'Never' must be NoSchedule or PreferNoSchedule or NoExecute",
    ),
    (
        "{scheduling: {topologySpreadConstraints: [{maxSkew: 0, topologyKey: zone, whenUnsatisfiable: DoNotSchedule}]}}",
        "spec.scheduling.topologySpreadConstraints[0].maxSkew: 0 must be at least 1",
    ),
    (
        "{resources: {requests: {cpu: 2}, limits: {cpu: 1}}}",
        "spec.resources.requests.cpu: '2' is more than the limit of 1",
    ),
    (
        "{persistence: {storage: 0}}",
        "spec.persistence.storage: '0' must be a size above zero, such as 10Gi",
    ),
    (
        "{terminationGracePeriodSeconds: 1}",
        "spec.terminationGracePeriodSeconds: 1 must be between 10 and 604800",
    ),
    (
        "{tls: {secretName: a, caSecretName: b}}",
        "spec.tls.caSecretName: is what clients are checked against: set tls.clientAuth",
    ),
    (
        "{tls: {secretName: a}, config: 'ssl_options.verify = verify_none'}",
        "'ssl_options.verify' belongs to the operator: it follows from spec.tls.clientAuth",
    ),
    (
        "{config: 'distribution.tls = required'}",
        "'distribution.tls' belongs to the operator: it follows from spec.tls.interNode",
    ),
    (
        "{service: {externalTrafficPolicy: Local}}",
        "spec.service.externalTrafficPolicy: needs service.type NodePort or LoadBalancer",
    ),
    (
        "{service: {type: NodePort, loadBalancerSourceRanges: [10.0.0.0/8]}}",
        "spec.service.loadBalancerSourceRanges: needs service.type LoadBalancer",
    ),
    ("{tls: {}}", "missing field `secretName`"),
    (
        "{service: {type: Foo}}",
        "unknown variant `Foo`, expected one of `ClusterIP`, `NodePort`, `LoadBalancer`",
    ),
];

#[test]
fn bad_input_is_refused_with_the_field_the_value_and_what_would_be_right() {
    for (spec, expected) in REFUSED {
        let refused = preview(&cluster(spec), "shop", &image()).unwrap_err().to_string();
        assert!(refused.contains(expected), "{spec}\n gave {refused}\n not {expected}");
    }
}

#[test]
fn a_version_is_the_tag_of_the_image_that_is_chosen_or_the_operators() {
    let image = |spec: &str| {
        let pod = pod(&objects(&cluster(spec)));
        pod["spec"]["containers"][0]["image"].as_str().unwrap().to_owned()
    };
    assert_eq!(image("{version: 1.4.0}"), "localhost/warren:1.4.0");
    assert_eq!(
        image("{version: 1.4.0, image: {repository: registry.example/warren}}"),
        "registry.example/warren:1.4.0"
    );
}

#[test]
fn what_is_no_rabbitcluster_is_refused_by_name() {
    let cases = [
        ("", "the manifest holds no RabbitCluster and no Policy"),
        ("a: [", "document 1: not YAML"),
        ("{apiVersion: v1, kind: Pod}", "found apiVersion v1 and kind Pod"),
        (
            "{apiVersion: rabbitmq.com/v1beta1, kind: RabbitmqCluster}",
            "expected apiVersion warren.dev/v1alpha1 and kind RabbitCluster or Policy",
        ),
    ];
    for (text, expected) in cases {
        let refused = preview(text, "shop", &image()).unwrap_err().to_string();
        assert!(refused.contains(expected), "{text}\n gave {refused}");
    }
    let second = format!("{}\n---\n{}", cluster("{}"), cluster("{replicas: -2}"));
    assert!(
        preview(&second, "shop", &image())
            .unwrap_err()
            .to_string()
            .starts_with("document 2: spec.replicas")
    );
}

#[test]
fn a_name_that_makes_no_service_is_refused() {
    for name in ["1st", "a.b", "UP", "end-", &"a".repeat(41)] {
        let text = cluster("{}").replace("orders", name);
        let refused = preview(&text, "shop", &image()).unwrap_err().to_string();
        assert!(refused.contains("metadata.name"), "{name} gave {refused}");
    }
}
