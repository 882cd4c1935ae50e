//! The table of keys against the program: each row does what it says, each setting is read, the page in `docs` is fresh.

use super::keys::{Effect, Key, keys};
use super::*;

fn with(text: &str) -> Fixed {
    Fixed::new().file("/etc/rabbitmq/rabbitmq.conf", text)
}

fn loaded(text: &str) -> Loaded {
    load(&ServerArgs::default(), &with(text)).unwrap_or_else(|problems| panic!("{text}: {problems}"))
}

/// The whole configuration as text.
fn config(text: &str) -> String {
    format!("{:?}", loaded(text).config)
}

fn problem(text: &str) -> String {
    let problems = load(&ServerArgs::default(), &with(text)).expect_err(text);
    problems.to_string()
}

/// A value for a row that is not its default; rows with a shape of their own by name, the others by type.
fn another_value(key: &Key) -> String {
    let by_name = [
        ("listeners.tcp", "none"),
        ("listeners.ssl", "none"),
        ("ssl_options", "none"),
        ("tcp_listen_options", "none"),
        ("loopback_users", "none"),
        ("management.cors.allow_origins", "none"),
        ("management.path_prefix", "/broker"),
        ("prometheus.path", "/numbers"),
        ("queue_master_locator", "random"),
        ("cluster_lease", "5200"),
        ("default_policies.operator.$id.classic_queues.ha_mode", "all"),
        ("default_policies.operator.$id.classic_queues.ha_params", "3"),
        ("default_policies.operator.$id.classic_queues.ha_sync_mode", "automatic"),
        ("default_policies.operator.$id.classic_queues.queue_version", "2"),
    ];
    if let Some((_, value)) = by_name.iter().find(|(name, _)| *name == key.name) {
        return (*value).to_owned();
    }
    let default = key.defaults.first().map_or("", |(_, value)| value);
    let candidates = [
        "true",
        "false",
        "7",
        "8192",
        "0.7",
        "10.0.0.1",
        "/some/where",
        "a word",
        "https://h/d.json",
    ];
    let words = key
        .kind
        .split([' ', ','])
        .filter(|word| !matches!(*word, "or" | "of" | "one"));
    let all = candidates.iter().copied().chain(words);
    let fits = |value: &&str| {
        let text = format!("{}{}", before(key), line(key, value));
        *value != default && load(&ServerArgs::default(), &with(&text)).is_ok()
    };
    let found = all.into_iter().find(fits);
    found
        .unwrap_or_else(|| panic!("no value for {} ({})", key.name, key.kind))
        .to_owned()
}

/// A setting of this row, with a name for each `$` and `*`.
fn line(key: &Key, value: &str) -> String {
    let named = key.name.split('.').map(|part| {
        if part.starts_with('$') || part == "*" {
            "other"
        } else {
            part
        }
    });
    format!("{} = {value}", named.collect::<Vec<_>>().join("."))
}

#[test]
fn every_key_changes_the_configuration_or_says_what_it_does() {
    for key in keys() {
        match &key.effect {
            Effect::Honoured(_) => honoured(&key),
            Effect::Ignored(why) => {
                let said = loaded(&line(&key, "1")).warnings;
                assert!(said.iter().any(|said| said.contains(why)), "{}: {said:?}", key.name);
            }
            Effect::Only(values, why) => {
                assert_eq!(config(&line(&key, values[0])), config(""), "{}", key.name);
                let said = problem(&line(&key, "something-else"));
                assert!(said.contains(why) && said.contains(values[0]), "{said}");
            }
            Effect::Refused(why) => {
                let said = problem(&line(&key, "1"));
                assert!(said.contains(why), "{said}");
            }
        }
    }
}

/// What a row needs to be set before.
fn before(key: &Key) -> &'static str {
    match key.name.as_str() {
        "listeners.ssl" => "listeners.ssl.a = 5671\n",
        "ssl_options" => "ssl_options.certfile = /c\n",
        "tcp_listen_options" => "tcp_listen_options.backlog = 7\n",
        "management.cors.allow_origins" => "management.cors.allow_origins.a = b\n",
        "default_policies.operator.$id.classic_queues.ha_params" => {
            "default_policies.operator.other.classic_queues.ha_mode = exactly\n\
             default_policies.operator.other.classic_queues.ha_params = 2\n"
        }
        "default_policies.operator.$id.classic_queues.ha_sync_mode" => {
            "default_policies.operator.other.classic_queues.ha_mode = all\n"
        }
        name if name.starts_with("default_policies.") => "default_policies.operator.other.expires = 5\n",
        _ => "",
    }
}

fn honoured(key: &Key) {
    let before = before(key);
    let set = line(key, &another_value(key));
    let changed = config(&format!("{before}{set}")) != config(before);
    // A secret is not shown, so neither is its change.
    assert!(changed || key.secret, "{set} changes nothing");
}

#[test]
fn every_setting_is_read_by_the_code_that_honours_it() {
    let sources = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let settings = std::fs::read_to_string(sources.join("config/settings.rs")).unwrap();
    let mut readers = settings.clone();
    gather(&sources, &mut readers);
    let fields = settings
        .lines()
        .filter_map(|line| line.strip_prefix("    pub ")?.split_once(": "));
    // What opens other settings is read where they are.
    for (field, _) in fields.filter(|(field, _)| !field.contains('(') && *field != "decoder") {
        let reads = format!(".{field}");
        let follows = |rest: &str| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_' || c == '(');
        let read = readers
            .match_indices(&reads)
            .any(|(at, _)| follows(&readers[at + reads.len()..]));
        assert!(read, "nobody reads the setting {field}");
    }
}

/// The program's text outside the room of configuration.
fn gather(folder: &std::path::Path, text: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("config") {
            gather(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn the_operator_knows_which_settings_a_running_node_takes_over() {
    let table = keys();
    let hot = table.iter().filter(|key| key.hot.is_some());
    let hot: Vec<_> = hot.map(|key| key.name.as_str()).collect();
    assert_eq!(
        hot,
        api::TAKEN_OVER_AT_ONCE,
        "crates/api/src/settings.rs is not what the table of keys says"
    );
}

#[test]
fn the_page_in_docs_is_the_one_that_the_program_prints() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        kept == super::reference_page(),
        "docs/configuration.md is stale: warren server --print-config-reference > docs/configuration.md (I13)"
    );
}
