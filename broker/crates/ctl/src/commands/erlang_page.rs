//! `status` as an Erlang term: RabbitMQ's names and order, as scripts read them.

use super::status::{at, items, shown};
use crate::format;
use erlang::Printed;
use link::Term;
use std::net::IpAddr;

/// The whole term.
pub(super) fn status(status: &Term) -> String {
    let same = |key: &str| at(status, &[key]).map(Printed::from);
    let text = |key: &str| Some(Printed::characters(&shown(status, &[key])));
    let texts = |key: &str| {
        let texts = items(status, key).iter().map(format::text);
        Some(Printed::List(texts.map(|text| Printed::characters(&text)).collect()))
    };
    let pairs = [
        ("pid", same("pid")),
        ("running_applications", Some(applications(status))),
        ("os", Some(system(&shown(status, &["os"])))),
        ("rabbitmq_version", text("rabbitmq_version")),
        ("crypto_lib_info", Some(crypto(&shown(status, &["crypto_lib_version"])))),
        ("erlang_version", text("erlang_version")),
        ("release_series_support_status", same("release_series_support_status")),
        ("memory", same("memory")),
        ("alarms", Some(alarms(status))),
        ("is_under_maintenance", same("is_under_maintenance")),
        ("listeners", Some(listeners(status))),
        ("vm_memory_calculation_strategy", same("vm_memory_calculation_strategy")),
        ("vm_memory_high_watermark", Some(watermark(status))),
        ("vm_memory_limit", same("vm_memory_high_watermark_limit")),
        ("disk_free_limit", same("disk_free_limit")),
        ("disk_free", same("disk_free")),
        ("file_descriptors", same("file_descriptors")),
        ("processes", same("processes")),
        ("run_queue", same("run_queue")),
        ("uptime", same("uptime")),
        (
            "kernel",
            same("net_ticktime").map(|ticks| Printed::pair("net_ticktime", ticks)),
        ),
        ("active_plugins", same("active_plugins")),
        ("enabled_plugin_file", text("enabled_plugin_file")),
        ("config_files", texts("config_files")),
        ("log_files", texts("log_files")),
        ("data_directory", text("data_directory")),
        ("raft_data_directory", text("raft_data_directory")),
        ("totals", same("totals")),
        ("product_base_name", Some(Printed::characters("RabbitMQ"))),
        ("product_base_version", text("rabbitmq_version")),
        ("product_name", text("product_name")),
        ("product_version", text("product_version")),
    ];
    let told = pairs
        .into_iter()
        .filter_map(|(key, value)| Some(Printed::pair(key, value?)));
    Printed::List(told.collect()).pretty()
}

/// What a script looks for to know that the app runs: name, description and version of each.
fn applications(status: &Term) -> Printed {
    let application = |one: &Term| {
        let text = |key| Printed::characters(&shown(one, &[key]));
        let name = Printed::word(&shown(one, &["name"]));
        Printed::Tuple(vec![name, text("description"), text("version")])
    };
    Printed::List(items(status, "running_applications").iter().map(application).collect())
}

/// Name, version as a number, and as a text; the number is that of the first of the libraries.
fn crypto(version: &str) -> Printed {
    let mut words = version.split([' ', ',']);
    let (name, number) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let parts = number.split('.').filter_map(|part| part.parse::<u64>().ok());
    let number = parts.fold(0, |number, part| number * 1000 + part);
    Printed::Tuple(vec![
        Printed::binary(name),
        Printed::Plain(number.to_string()),
        Printed::binary(version),
    ])
}

fn system(name: &str) -> Printed {
    Printed::Tuple(vec![Printed::word("unix"), Printed::word(&name.to_lowercase())])
}

fn watermark(status: &Term) -> Printed {
    let setting = |kind| at(status, &["vm_memory_high_watermark_setting", kind]).map(Printed::from);
    let absolute = || setting("absolute").map(|octets| Printed::pair("absolute", octets));
    setting("relative")
        .or_else(absolute)
        .unwrap_or_else(|| Printed::word("undefined"))
}

/// `{{resource_limit,memory,Node},[]}`
pub(super) fn alarms(report: &Term) -> Printed {
    let alarm = |alarm: &Term| {
        let parts = ["type", "resource", "node"].map(|key| Printed::word(&shown(alarm, &[key])));
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
        Printed::word("listener"),
        Printed::word(&node),
        Printed::word(&text("protocol")),
        Printed::characters(&host),
        Printed::Tuple(numbers),
        Printed::Plain(text("port")),
        Printed::List(Vec::new()),
    ])
}
