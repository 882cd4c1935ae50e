//! The page of `cluster_status`, as text, as JSON and as an Erlang term: what the cluster says of its members, and each
//! running member of itself.
//!
//! Sections stand in RabbitMQ's order. A member whose report is missing is not made up.

use super::erlang_page;
use super::status::{at, items, shown};
use crate::command::Output;
use erlang::Printed;
use link::Term;

/// The names of the members that run.
pub(super) fn running(cluster: &Term) -> Vec<String> {
    names(cluster, |node| at(node, &["running"]) == Some(&Term::Bool(true)))
}

fn names(cluster: &Term, is_meant: impl Fn(&Term) -> bool) -> Vec<String> {
    let nodes = items(cluster, "nodes").iter();
    nodes
        .filter(|node| is_meant(node))
        .map(|node| shown(node, &["name"]))
        .collect()
}

/// Members that decide, or those that only listen.
fn of_kind(cluster: &Term, kind: &str) -> Vec<String> {
    names(cluster, |node| shown(node, &["kind"]) == kind)
}

/// All formats; `reports` are the running members' own.
pub(super) fn page(cluster: &Term, reports: Vec<Term>) -> Output {
    Output::Formats {
        text: text(cluster, &reports),
        json: json(cluster, &reports),
        erlang: erlang(cluster, &reports),
    }
}

fn section(title: &str, lines: &[String]) -> String {
    format!("\x1b[1m{title}\x1b[0m\n\n{}", lines.join("\n"))
}

fn or_none(lines: Vec<String>) -> Vec<String> {
    match lines.is_empty() {
        true => vec!["(none)".to_owned()],
        false => lines,
    }
}

fn text(cluster: &Term, reports: &[Term]) -> String {
    let name = |report: &Term| shown(report, &["node"]);
    let ram = of_kind(cluster, "ram");
    let mut sections = vec![
        section(
            "Basics",
            &[format!("Cluster name: {}", shown(cluster, &["cluster_name"]))],
        ),
        section("Disk Nodes", &of_kind(cluster, "disc")),
    ];
    if !ram.is_empty() {
        sections.push(section("RAM Nodes", &ram));
    }
    let versions = reports.iter().map(|report| {
        let ((product, version), runtime) = (product(report), shown(report, &["erlang_version"]));
        format!("{}: {product} {version} on {runtime}", name(report))
    });
    let maintenance = reports.iter().map(|report| match maintenance(report) {
        UNDER_MAINTENANCE => format!("Node: {}, status: \x1b[35m{UNDER_MAINTENANCE}\x1b[0m", name(report)),
        other => format!("Node: {}, status: {other}", name(report)),
    });
    let listeners = reports.iter().flat_map(|report| {
        let own = super::status::listeners(report).into_iter();
        own.map(move |line| format!("Node: {}, {}", name(report), line.replacen("Interface", "interface", 1)))
    });
    let flags = items(cluster, "feature_flags").iter();
    let flags = flags.map(|flag| format!("Flag: {}, state: {}", shown(flag, &["name"]), shown(flag, &["state"])));
    let alarms = reports.iter().flat_map(super::status::alarm_lines).collect();
    sections.extend([
        section("Running Nodes", &running(cluster)),
        section("Versions", &versions.collect::<Vec<_>>()),
        section("Maintenance status", &maintenance.collect::<Vec<_>>()),
        section("Alarms", &or_none(alarms)),
        section("Network Partitions", &or_none(Vec::new())),
        section("Listeners", &listeners.collect::<Vec<_>>()),
        section("Feature flags", &flags.collect::<Vec<_>>()),
    ]);
    sections.join("\n\n")
}

fn atoms(names: Vec<String>) -> Term {
    Term::List(names.into_iter().map(Term::Atom).collect())
}

/// One entry for each report, by the node's name.
fn by_node(reports: &[Term], entry: impl Fn(&Term) -> Term) -> Term {
    let pair = |report: &Term| (shown(report, &["node"]), entry(report));
    Term::Map(reports.iter().map(pair).collect())
}

/// What is said of a node that was drained.
const UNDER_MAINTENANCE: &str = "marked for maintenance";

fn maintenance(report: &Term) -> &'static str {
    match shown(report, &["is_under_maintenance"]).as_str() {
        "true" => UNDER_MAINTENANCE,
        _ => "not under maintenance",
    }
}

fn list(report: &Term, key: &str) -> Vec<Term> {
    items(report, key).to_vec()
}

/// Name and version. A product that has a name of its own is shown by it; the broker's own name would tell scripts nothing.
fn product(report: &Term) -> (String, String) {
    let own = |key: &str| shown(report, &[key]);
    match own("product_name").as_str() {
        "" | "Warren" => ("RabbitMQ".to_owned(), own("rabbitmq_version")),
        name => (name.to_owned(), own("product_version")),
    }
}

fn versions(report: &Term) -> Term {
    let (name, version) = product(report);
    let pairs = [
        ("erlang_version", shown(report, &["erlang_version"])),
        ("rabbitmq_name", name),
        ("rabbitmq_version", version),
    ];
    Term::Map(pairs.map(|(key, value)| (key.to_owned(), Term::Binary(value))).into())
}

fn json(cluster: &Term, reports: &[Term]) -> Term {
    let pairs = [
        (
            "alarms",
            Term::List(reports.iter().flat_map(|report| list(report, "alarms")).collect()),
        ),
        ("cluster_name", Term::Binary(shown(cluster, &["cluster_name"]))),
        ("disk_nodes", atoms(of_kind(cluster, "disc"))),
        ("feature_flags", Term::List(list(cluster, "feature_flags"))),
        (
            "listeners",
            by_node(reports, |report| Term::List(list(report, "listeners"))),
        ),
        (
            "maintenance_status",
            by_node(reports, |report| Term::text(maintenance(report))),
        ),
        ("partitions", Term::Map(Vec::new())),
        ("ram_nodes", atoms(of_kind(cluster, "ram"))),
        ("running_nodes", atoms(running(cluster))),
        ("versions", by_node(reports, versions)),
    ];
    Term::Map(pairs.map(|(key, value)| (key.to_owned(), value)).into())
}

/// Keys and shapes are RabbitMQ's.
fn erlang(cluster: &Term, reports: &[Term]) -> String {
    let kinds = [("disc", of_kind(cluster, "disc")), ("ram", of_kind(cluster, "ram"))];
    let kinds = kinds.into_iter().filter(|(_, names)| !names.is_empty());
    let kinds = kinds.map(|(kind, names)| Printed::pair(kind, Printed::from(&atoms(names))));
    let each = |entry: &dyn Fn(&Term) -> Printed| {
        let pair = |report: &Term| Printed::pair(&shown(report, &["node"]), entry(report));
        Printed::List(reports.iter().map(pair).collect())
    };
    let flags = items(cluster, "feature_flags").iter().map(flag);
    let pairs = [
        ("nodes", Printed::List(kinds.collect())),
        ("running_nodes", Printed::from(&atoms(running(cluster)))),
        (
            "cluster_name",
            Printed::from(&Term::Binary(shown(cluster, &["cluster_name"]))),
        ),
        ("partitions", Printed::List(Vec::new())),
        ("alarms", each(&erlang_page::alarms)),
        ("listeners", each(&erlang_page::listeners)),
        ("versions", each(&version_map)),
        (
            "maintenance_status",
            each(&|report| Printed::from(&Term::text(maintenance(report)))),
        ),
        ("feature_flags", Printed::List(flags.collect())),
    ];
    Printed::List(pairs.map(|(key, value)| Printed::pair(key, value)).into()).pretty()
}

/// A map: everything else is lists of pairs.
fn version_map(report: &Term) -> Printed {
    match versions(report) {
        Term::Map(pairs) => Printed::Map(
            pairs
                .iter()
                .map(|(key, value)| (Printed::word(key), Printed::from(value)))
                .collect(),
        ),
        other => Printed::from(&other),
    }
}

/// A feature flag, its keys in RabbitMQ's order.
fn flag(flag: &Term) -> Printed {
    let keys = ["name", "desc", "doc_url", "state", "stability", "provided_by"];
    let pairs = keys
        .iter()
        .filter_map(|key| Some(Printed::pair(key, Printed::from(at(flag, &[key])?))));
    Printed::List(pairs.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map<const N: usize>(pairs: [(&str, Term); N]) -> Term {
        Term::Map(pairs.map(|(key, value)| (key.to_owned(), value)).into())
    }

    fn cluster() -> (Term, Vec<Term>) {
        let node = |name: &str, kind: &str, running| {
            map([
                ("name", Term::atom(name)),
                ("kind", Term::atom(kind)),
                ("running", Term::Bool(running)),
            ])
        };
        let flag = map([("name", Term::atom("user_limits")), ("state", Term::atom("enabled"))]);
        let cluster = map([
            ("cluster_name", Term::text("sea")),
            (
                "nodes",
                Term::List(vec![
                    node("a@h", "disc", true),
                    node("b@h", "disc", false),
                    node("c@h", "ram", true),
                ]),
            ),
            ("feature_flags", Term::List(vec![flag])),
        ]);
        let report = |name: &str, alarms| {
            map([
                ("node", Term::atom(name)),
                ("alarms", Term::List(alarms)),
                ("rabbitmq_version", Term::text("3.13.7")),
                ("erlang_version", Term::text("Warren 1")),
                (
                    "listeners",
                    Term::List(vec![map([
                        ("interface", Term::text("[::]")),
                        ("node", Term::atom(name)),
                        ("port", Term::Integer(5672)),
                        ("protocol", Term::atom("amqp")),
                        ("purpose", Term::text("AMQP 0-9-1 and AMQP 1.0")),
                    ])]),
                ),
            ])
        };
        let alarm = map([("node", Term::atom("c@h")), ("resource", Term::atom("disk"))]);
        (cluster, vec![report("a@h", vec![]), report("c@h", vec![alarm])])
    }

    #[test]
    fn the_page_has_rabbitmqs_sections() {
        let (cluster, reports) = cluster();
        let expected = "^Basics$\n\nCluster name: sea\n\n^Disk Nodes$\n\na@h\nb@h\n\n^RAM Nodes$\n\nc@h\n\n^Running Nodes$\n\na@h\nc@h\n\n\
             ^Versions$\n\na@h: RabbitMQ 3.13.7 on Warren 1\nc@h: RabbitMQ 3.13.7 on Warren 1\n\n^Maintenance status$\n\n\
             Node: a@h, status: not under maintenance\nNode: c@h, status: not under maintenance\n\n^Alarms$\n\n\
             Free disk space alarm on node c@h\n\n^Network Partitions$\n\n(none)\n\n^Listeners$\n\n\
             Node: a@h, interface: [::], port: 5672, protocol: amqp, purpose: AMQP 0-9-1 and AMQP 1.0\n\
             Node: c@h, interface: [::], port: 5672, protocol: amqp, purpose: AMQP 0-9-1 and AMQP 1.0\n\n\
             ^Feature flags$\n\nFlag: user_limits, state: enabled";
        let shown = text(&cluster, &reports).replace("\x1b[1m", "^").replace("\x1b[0m", "$");
        assert_eq!(shown, expected);
    }

    #[test]
    fn machines_find_rabbitmqs_keys() {
        let (cluster, reports) = cluster();
        let shown = crate::format::json(&json(&cluster, &reports));
        let read: serde_json::Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(read["disk_nodes"], serde_json::json!(["a@h", "b@h"]));
        assert_eq!(read["running_nodes"], serde_json::json!(["a@h", "c@h"]));
        assert_eq!(read["partitions"], serde_json::json!({}));
        assert_eq!(read["listeners"]["a@h"][0]["port"], 5672);
        assert_eq!(read["versions"]["c@h"]["rabbitmq_version"], "3.13.7");
        let term = erlang(&cluster, &reports);
        assert!(
            term.starts_with("[{nodes,[{disc,[a@h,b@h]},{ram,[c@h]}]},\n {running_nodes,[a@h,c@h]},\n"),
            "{term}"
        );
    }
}
