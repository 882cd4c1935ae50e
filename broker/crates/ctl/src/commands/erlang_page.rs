//! `status` as an Erlang term: RabbitMQ's names and order, as scripts read them. What only Erlang has is left out rather than made up.

use super::status::{at, items, shown};
use crate::format::{characters, pair, printed, word};
use erlang::Printed;
use link::Term;
use std::net::IpAddr;

/// Keys that say what the JSON says, by the same name.
const SAME: [&str; 3] = ["vm_memory_calculation_strategy", "disk_free_limit", "disk_free"];

/// The whole term.
pub(super) fn status(status: &Term) -> String {
    let same = |key: &str| at(status, &[key]).map(|value| pair(key, printed(value)));
    let texts = |key: &str| {
        Printed::List(
            items(status, key)
                .iter()
                .map(|text| characters(&crate::format::text(text)))
                .collect(),
        )
    };
    let mut pairs = Vec::new();
    pairs.extend(same("pid"));
    pairs.push(pair("running_applications", applications(status)));
    pairs.push(pair("os", system(&shown(status, &["os"]))));
    for key in ["rabbitmq_version", "erlang_version"] {
        pairs.push(pair(key, characters(&shown(status, &[key]))));
    }
    pairs.extend(same("memory"));
    pairs.push(pair("alarms", alarms(status)));
    pairs.extend(same("is_under_maintenance"));
    pairs.push(pair("listeners", listeners(status)));
    pairs.extend(SAME[..1].iter().filter_map(|key| same(key)));
    pairs.push(pair("vm_memory_high_watermark", watermark(status)));
    let limit = at(status, &["vm_memory_high_watermark_limit"]);
    pairs.extend(limit.map(|limit| pair("vm_memory_limit", printed(limit))));
    pairs.extend(SAME[1..].iter().filter_map(|key| same(key)));
    pairs.extend(
        ["file_descriptors", "uptime", "active_plugins"]
            .into_iter()
            .filter_map(same),
    );
    pairs.push(pair(
        "enabled_plugin_file",
        characters(&shown(status, &["enabled_plugin_file"])),
    ));
    pairs.extend(["config_files", "log_files"].map(|key| pair(key, texts(key))));
    pairs.push(pair("data_directory", characters(&shown(status, &["data_directory"]))));
    pairs.extend(same("totals"));
    for key in ["product_name", "product_version"] {
        pairs.push(pair(key, characters(&shown(status, &[key]))));
    }
    Printed::List(pairs).pretty()
}

/// What a script looks for to know that the app runs.
fn applications(status: &Term) -> Printed {
    let version = characters(&shown(status, &["rabbitmq_version"]));
    Printed::List(vec![Printed::Tuple(vec![
        word("rabbit"),
        characters("RabbitMQ"),
        version,
    ])])
}

fn system(name: &str) -> Printed {
    Printed::Tuple(vec![word("unix"), word(&name.to_lowercase())])
}

fn watermark(status: &Term) -> Printed {
    let setting = |kind| at(status, &["vm_memory_high_watermark_setting", kind]).map(printed);
    let absolute = || setting("absolute").map(|octets| pair("absolute", octets));
    setting("relative")
        .or_else(absolute)
        .unwrap_or_else(|| word("undefined"))
}

/// `{{resource_limit,memory,Node},[]}`
pub(super) fn alarms(report: &Term) -> Printed {
    let alarm = |alarm: &Term| {
        let parts = ["type", "resource", "node"].map(|key| word(&shown(alarm, &[key])));
        Printed::Tuple(vec![Printed::Tuple(parts.into()), Printed::List(Vec::new())])
    };
    Printed::List(items(report, "alarms").iter().map(alarm).collect())
}

/// `{listener,Node,Protocol,Host,Address,Port,Options}`
pub(super) fn listeners(report: &Term) -> Printed {
    Printed::List(items(report, "listeners").iter().map(listener).collect())
}

fn listener(listener: &Term) -> Printed {
    let text = |key: &str| shown(listener, &[key]);
    let node = text("node");
    let address = text("interface");
    let address: Option<IpAddr> = address.trim_matches(['[', ']']).parse().ok();
    let host = match address {
        Some(address) if address.is_loopback() => "localhost".to_owned(),
        Some(address) if !address.is_unspecified() => address.to_string(),
        _ => node.rsplit('@').next().unwrap_or_default().to_owned(),
    };
    let number = |number: u16| Printed::Plain(number.to_string());
    let numbers = match address {
        Some(IpAddr::V4(address)) => address.octets().map(|octet| number(octet.into())).into(),
        Some(IpAddr::V6(address)) => address.segments().map(number).into(),
        None => Vec::new(),
    };
    Printed::Tuple(vec![
        word("listener"),
        word(&node),
        word(&text("protocol")),
        characters(&host),
        Printed::Tuple(numbers),
        Printed::Plain(text("port")),
        Printed::List(Vec::new()),
    ])
}
