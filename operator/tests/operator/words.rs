//! Reasons of conditions and events: what the documents list is what the code says, and the other way round, so that whoever looks one up finds it.
//!
//! It reads the source text: a word is a literal in CamelCase outside of tests. What is no reason of ours is named here.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::manifests::repository;

/// Literals that are words of Kubernetes or of formats, or are told to nobody.
const OTHERS: [&str; 39] = [
    "Bound",
    "Completed",
    "ConfigMap",
    "ContainerCreating",
    "CrashLoopBackOff",
    "CreateContainerConfigError",
    "CreateContainerError",
    "DoNotSchedule",
    "Equal",
    "ErrImageNeverPull",
    "ErrImagePull",
    "Error",
    "Exists",
    "Expire",
    "FailedCreate",
    "False",
    "ImagePullBackOff",
    "Initialized",
    "InvalidImageName",
    "NamespaceTerminating",
    "NoExecute",
    "NoSchedule",
    "OOMKilled",
    "Opaque",
    "PodInitializing",
    "PodScheduled",
    "PreferNoSchedule",
    "Reconcile",
    "RunContainerError",
    "ScheduleAnyway",
    "SchedulingGated",
    "Secret",
    "SecretKept",
    "Terminated",
    "True",
    "Unconfined",
    "Unmasked",
    "Unschedulable",
    "Warning",
];

fn is_word(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_uppercase())
        && text.len() > 2
        && text.chars().all(|letter| letter.is_ascii_alphanumeric())
        && text.contains(|letter: char| letter.is_ascii_lowercase())
}

/// What stands between two of these marks and is a word.
fn words(text: &str, mark: char) -> impl Iterator<Item = &str> {
    text.split(mark).skip(1).step_by(2).filter(|part| is_word(part))
}

/// Literals of the source files in a folder.
fn said(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() || !name.ends_with(".rs") || name.ends_with("_tests.rs") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        found.extend(lines.flat_map(|line| words(line, '"').map(str::to_owned)));
    }
}

/// Words in backquotes of the rows of tables, or of all lines, from a heading on.
fn listed(file: &str, heading: &str, of_rows: bool) -> BTreeSet<String> {
    let text = fs::read_to_string(repository().join(file)).unwrap();
    let (_, part) = text.split_once(heading).unwrap();
    let part = part.split("\n## ").next().unwrap();
    let lines = part.lines().filter(|line| !of_rows || line.starts_with('|'));
    lines.flat_map(|line| words(line, '`').map(str::to_owned)).collect()
}

#[test]
fn every_reason_of_conditions_and_events_is_in_the_documents_and_every_one_there_is_said() {
    let mut all = BTreeSet::new();
    for folder in ["src", "src/cluster", "src/policy"] {
        said(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut all);
    }
    let held = listed("docs/operator.md", "\n## Fewer nodes\n", true);
    let listed: BTreeSet<String> = [
        listed("docs/operator.md", "\n## Conditions and events\n", true),
        held.clone(),
        listed("docs/policies.md", "\n## What the conditions say\n", false),
    ]
    .into_iter()
    .flatten()
    .collect();
    let is_reason = |word: &&String| !OTHERS.contains(&word.as_str());
    let unlisted: Vec<_> = all
        .iter()
        .filter(is_reason)
        .filter(|word| !listed.contains(*word))
        .collect();
    assert!(unlisted.is_empty(), "said and in no document: {unlisted:?}");
    // Words of the spec stand in these tables, too.
    let of_spec = ["Manual", "Drop", "RabbitClusters", "Policies"];
    let unsaid: Vec<_> = listed
        .iter()
        .filter(|word| !all.contains(*word) && !of_spec.contains(&word.as_str()))
        .collect();
    assert!(unsaid.is_empty(), "in a document and never said: {unsaid:?}");
    assert!(held.len() > 10 && all.len() > 120, "the text was read");
}
