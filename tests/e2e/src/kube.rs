//! The whole road on a real Kubernetes: helm installs the operator, a manifest becomes a broker, programs send and receive through it, its
//! pod is lost and comes back, and what `kubectl get rmq` says is true at each moment. What is made here is taken away at the end.

use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::check::{Checks, Outcome, equal, says, within};
use crate::cluster;
use crate::kubectl::{NAMESPACE, apply_refused, field, kubectl};
use crate::nodes;
use crate::operations;
use crate::run::run;
use crate::spec;

/// Where the operator lives; the same place as in `make demo`, since a cluster has one set of definitions.
const SYSTEM: &str = "warren-system";
const RELEASE: &str = "warren-operator";
const CRD: &str = "rabbitclusters.warren.dev";
const CRD_OF_POLICIES: &str = "policies.warren.dev";

/// Makes all checks on the Kubernetes that KUBECONFIG names, or those of some parts.
pub(crate) fn checks(image: &str, parts: &[String], checks: &mut Checks) {
    let wanted = |part: &str| parts.is_empty() || parts.iter().any(|wanted| wanted == part);
    let mut before = Before::default();
    checks.needed("Kubernetes answers, with room for us", || {
        before = Before::look()?;
        clean()?;
        run("kubectl", &["create", "namespace", NAMESPACE])?;
        let restricted = "pod-security.kubernetes.io/enforce=restricted";
        run("kubectl", &["label", "namespace", NAMESPACE, restricted]).map(drop)
    });
    checks.needed("helm installs the operator and its pod becomes ready", || {
        install(image).map(drop)
    });
    checks.check("the chart's own test passes", || {
        run("helm", &["test", RELEASE, "-n", SYSTEM]).map(drop)
    });
    checks.check(
        "a field that cannot be right is refused with a sentence that helps",
        bad_fields_are_refused,
    );
    checks.check("kubectl explains the fields", || {
        says(
            &run("kubectl", &["explain", "rabbitcluster.spec.persistence.storage"])?,
            "volume",
        )?;
        says(&run("kubectl", &["explain", "rmqpolicy.spec.mirroring"])?, "mirrored")
    });
    cluster::begin(checks);
    if wanted("spec") {
        spec::quiet(checks);
    }
    // Clusters that know nothing of each other: what is done to the one takes its time while it is done to the others.
    let of_one = thread::spawn({
        let (image, spec, cluster) = (image.to_owned(), wanted("spec"), wanted("cluster"));
        let checks = checks.beside();
        move || of_the_single(&image, (spec, cluster), checks)
    });
    let beside = |part: &str, make: fn(&mut Checks)| {
        let mut checks = checks.beside();
        wanted(part).then(|| {
            thread::spawn(move || {
                make(&mut checks);
                checks
            })
        })
    };
    let of_ships = beside("operations", operations::of_ships);
    let of_boats = beside("operations", operations::of_boats);
    let of_books = beside("cluster", cluster::older_programs);
    if wanted("nodes") {
        nodes::checks(checks);
    }
    for others in [Some(of_one), of_ships, of_boats, of_books].into_iter().flatten() {
        match others.join() {
            Ok(others) => checks.add(&others),
            Err(_) => checks.check("the checks of every cluster come to an end", || Err("a panic".into())),
        }
    }
    checks.check("an upgrade by helm restarts no broker", || upgrade(image));
    cluster::end(checks);
    checks.check(
        "helm uninstall leaves the definitions, since they may hold data",
        || {
            run("helm", &["uninstall", RELEASE, "-n", SYSTEM, "--wait"])?;
            run("kubectl", &["get", "crd", CRD, CRD_OF_POLICIES]).map(drop)
        },
    );
    before.restore(image);
}

fn of_the_single(image: &str, (spec, cluster): (bool, bool), mut checks: Checks) -> Checks {
    if cluster {
        cluster::checks(image, &mut checks);
    }
    if spec {
        spec::checks(image, &mut checks);
    }
    if cluster {
        cluster::programs(&mut checks);
    }
    checks
}

/// Installs the operator of this image, or brings it up to date.
pub(crate) fn install(image: &str) -> Outcome<String> {
    let (repository, tag) = image
        .rsplit_once(':')
        .ok_or_else(|| format!("the image {image} has no tag"))?;
    let (repository, tag) = (format!("image.repository={repository}"), format!("image.tag={tag}"));
    let chart = [
        "upgrade",
        "--install",
        RELEASE,
        "charts/warren-operator",
        "-n",
        SYSTEM,
        "--create-namespace",
    ];
    run(
        "helm",
        &[
            &chart[..],
            &["--set", &repository, "--set", &tag, "--wait", "--timeout", "2m"],
        ]
        .concat(),
    )
}

fn upgrade(image: &str) -> Outcome {
    let pods = || {
        field(
            "pods",
            "-l=app.kubernetes.io/component=broker",
            "{.items[*].metadata.uid}",
        )
    };
    let old = pods()?;
    install(image)?;
    let operator = [
        "-n",
        SYSTEM,
        "rollout",
        "restart",
        "deployment",
        "-l",
        "app.kubernetes.io/name=warren-operator",
    ];
    run("kubectl", &operator)?;
    let settled = [
        "-n",
        SYSTEM,
        "rollout",
        "status",
        "deployment",
        "-l",
        "app.kubernetes.io/name=warren-operator",
        "--timeout=90s",
    ];
    run("kubectl", &settled)?;
    cluster::settled()?;
    equal(pods()?, old)
}

/// Each line: a wrong spec, and words that must be in the answer.
const WRONG: [(&str, &str); 13] = [
    ("replicas: -1", "cannot be negative"),
    ("replicas: many", "must be of type integer"),
    ("persistence: {storage: much}", "such as 10Gi"),
    ("persistence: {storage: 0Gi}", "above zero"),
    ("plugins: [Management]", "lower-case"),
    ("terminationGracePeriodSeconds: 1", "between 10 and"),
    ("version: newest", "one such as 1.4.0"),
    (
        "update: {maintenanceWindows: [{start: '2:00'}]}",
        "a time such as 02:00",
    ),
    ("update: {drainTimeoutSeconds: 660}", "would be killed while it waits"),
    ("clusterSecret: {rotation: {period: 2w}}", "such as 720h or 30d"),
    (
        "image: {repository: localhost/warren}",
        "needs version, image.tag or image.digest",
    ),
    (
        "image: {repository: 'localhost/warren:dev', tag: dev}",
        "goes without a tag",
    ),
    ("resources: {limits: {memroy: 1Gi}}", "must be of cpu, memory"),
];

fn bad_fields_are_refused() -> Outcome {
    let manifest = |name: &str, spec: &str| {
        format!("apiVersion: warren.dev/v1alpha1\nkind: RabbitCluster\nmetadata: {{name: {name}}}\nspec: {{{spec}}}\n")
    };
    for (spec, words) in WRONG {
        says(&apply_refused(&manifest("wrong", spec))?, words)?;
    }
    says(
        &apply_refused(&manifest("9wrong", "replicas: 1"))?,
        "starting with a letter",
    )?;
    // kubectl itself checks names of fields, by the schema.
    says(
        &apply_refused(&manifest("wrong", "replica: 1"))?,
        "unknown field \"spec.replica\"",
    )
}

/// Leaves nothing of ours in the namespace.
fn clean() -> Outcome {
    if run("kubectl", &["get", "crd", CRD]).is_ok() {
        kubectl(&["delete", "rmq", "--all", "--timeout=90s"])?;
    }
    if run("kubectl", &["get", "crd", CRD_OF_POLICIES]).is_ok() {
        kubectl(&["delete", "rmqpolicy", "--all", "--timeout=60s"])?;
    }
    run(
        "kubectl",
        &["delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=120s"],
    )
    .map(drop)
}

/// What was there before these checks, so that somebody's demo survives them.
#[derive(Default)]
pub(crate) struct Before {
    release: bool,
    definitions: bool,
}

impl Before {
    /// Looks, and refuses where another operator is.
    pub(crate) fn look() -> Outcome<Self> {
        let releases: Value =
            serde_json::from_str(&run("helm", &["list", "-A", "-o", "json"])?).map_err(|error| error.to_string())?;
        let ours = releases
            .as_array()
            .into_iter()
            .flatten()
            .filter(|release| release["name"] == RELEASE);
        let places: Vec<_> = ours.filter_map(|release| release["namespace"].as_str()).collect();
        if let Some(elsewhere) = places.iter().find(|place| **place != SYSTEM) {
            return Err(format!(
                "{RELEASE} is installed in the namespace {elsewhere}: two operators would fight; uninstall it first"
            ));
        }
        Ok(Self {
            release: !places.is_empty(),
            definitions: run("kubectl", &["get", "crd", CRD]).is_ok(),
        })
    }

    /// Makes it so again.
    pub(crate) fn restore(&self, image: &str) {
        let done = within(Duration::ZERO, || {
            clean()?;
            if self.release {
                install(image)?;
            } else if !self.definitions {
                run(
                    "kubectl",
                    &["delete", "crd", CRD, CRD_OF_POLICIES, "--ignore-not-found"],
                )?;
                run("kubectl", &["delete", "namespace", SYSTEM, "--ignore-not-found"])?;
            }
            Ok(())
        });
        if let Err(reason) = done {
            eprintln!("not all was taken away: {reason}");
        }
    }
}
