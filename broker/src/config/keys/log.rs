//! Keys of the log. Outputs are the console and one file; levels hold per category.
//! A category that is not in this list is unknown.

use super::{Key, key, no_effect, only};
use crate::config::settings::{Config, FileTarget};
use std::path::PathBuf;

const CATEGORIES: [&str; 9] = [
    "default",
    "connection",
    "channel",
    "queue",
    "mirroring",
    "federation",
    "upgrade",
    "ra",
    "user",
];

pub(super) fn keys() -> Vec<Key> {
    let mut all = console();
    all.extend(file());
    for category in CATEGORIES {
        all.push(level(category));
        all.push(no_effect(
            &format!("log.{category}.file"),
            "all categories go to the same outputs",
        ));
        all.push(no_effect(&format!("log.{category}.rotation.$what"), ROTATION));
    }
    all.extend(others());
    all
}

const ROTATION: &str = "files are not rotated by the node; use logrotate with copytruncate";
const SHAPE: &str = "lines have one shape in each format";

fn level(category: &'static str) -> Key {
    let row = key(format!("log.{category}.level"), move |c: &mut Config, _, v| {
        c.log.levels.insert(category.to_owned(), v);
    });
    match category {
        "default" => row
            .default("info")
            .doc("Least level of lines that belong to no other category."),
        _ => row.doc("Least level of this category; that of default when not set."),
    }
}

fn console() -> Vec<Key> {
    let mut all = vec![
        key("log.console", |c: &mut Config, _, v| c.log.console.enabled = v)
            .default("false")
            .doc("Whether log lines go to the console."),
        key("log.console.level", |c: &mut Config, _, v| {
            c.log.console.level = Some(v)
        })
        .doc("Least level there."),
        key("log.console.stdio", |c: &mut Config, _, v| c.log.console.stream = v)
            .default("stdout")
            .doc("Which stream."),
        key("log.console.formatter", |c: &mut Config, _, v| c.log.console.format = v)
            .default("plaintext")
            .doc("Shape of a line."),
        no_effect("log.console.use_colors", "lines have no colours"),
        no_effect("log.console.color_esc_seqs.$level", "lines have no colours"),
    ];
    all.push(no_effect("log.console.formatter.*", SHAPE));
    all
}

fn file() -> Vec<Key> {
    vec![
        key("log.dir", |c: &mut Config, _, v: PathBuf| c.log.directory = v)
            .default("/var/log/rabbitmq")
            .doc("Folder of log files."),
        key("log.file", |c: &mut Config, _, v: String| {
            c.log.file.target = Some(match v.as_str() {
                "false" => FileTarget::Off,
                path => FileTarget::Path(path.into()),
            });
        })
        .doc("File name, or false for no file. When not set: NODENAME.log, unless there is a console."),
        key("log.file.level", |c: &mut Config, _, v| c.log.file.level = Some(v)).doc("Least level there."),
        key("log.file.formatter", |c: &mut Config, _, v| c.log.file.format = v)
            .default("plaintext")
            .doc("Shape of a line."),
        no_effect("log.file.formatter.*", SHAPE),
        no_effect("log.file.rotation.$what", ROTATION),
    ]
}

fn others() -> Vec<Key> {
    let outputs = "log lines go to the console and to files only";
    let mut all: Vec<_> = ["log.exchange", "log.syslog", "log.journald"]
        .map(|name| only(name, &["false"], outputs))
        .into();
    all.extend(["log.exchange.*", "log.syslog.*", "log.journald.*"].map(|name| no_effect(name, outputs)));
    all
}
