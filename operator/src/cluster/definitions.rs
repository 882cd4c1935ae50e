//! What `spec.definitions` names, as far as the operator looks into it: whether it is there and is a JSON object, since a node refuses to
//! start with less, and a fingerprint, since nodes read it at their start alone. What the definitions say is the brokers' to judge. Pure.

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::crd::{DefinitionsFile, LoadDefinitions};

/// The objects that the spec names, as far as they exist.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sources {
    /// The ConfigMap.
    pub config_map: Option<ConfigMap>,
    /// The Secret.
    pub secret: Option<Secret>,
}

/// Changes when, and only when, one of the files does; nothing if the spec names none.
///
/// # Errors
/// What is wrong with a source, and what would be right.
pub fn fingerprint(wanted: Option<&LoadDefinitions>, found: &Sources) -> Result<Option<String>, String> {
    let Some(wanted) = wanted else { return Ok(None) };
    let mut hash = Sha256::new();
    if let Some(file) = &wanted.config_map_ref {
        let read = found.config_map.as_ref().map(|map| of_config_map(map, &file.key));
        digest(&mut hash, text("configMapRef", "ConfigMap", file, read)?);
    }
    if let Some(file) = &wanted.secret_ref {
        let read = found.secret.as_ref().map(|secret| of_secret(secret, &file.key));
        digest(&mut hash, text("secretRef", "Secret", file, read)?);
    }
    let digits = hash.finalize();
    Ok(Some(digits.iter().take(8).map(|byte| format!("{byte:02x}")).collect()))
}

fn digest(hash: &mut Sha256, text: &str) {
    hash.update((text.len() as u64).to_be_bytes());
    hash.update(text);
}

fn of_config_map<'a>(map: &'a ConfigMap, key: &str) -> Option<&'a str> {
    map.data.as_ref()?.get(key).map(String::as_str)
}

fn of_secret<'a>(secret: &'a Secret, key: &str) -> Option<&'a str> {
    std::str::from_utf8(&secret.data.as_ref()?.get(key)?.0).ok()
}

/// The file, if it can be one of definitions. `read` is nothing without the object, and nothing inside without the key.
fn text<'a>(field: &str, kind: &str, file: &DefinitionsFile, read: Option<Option<&'a str>>) -> Result<&'a str, String> {
    let DefinitionsFile { name, key } = file;
    let at = format!("spec.definitions.{field}");
    let Some(read) = read else {
        return Err(format!(
            "{at}: there is no {kind} {name} in this namespace; create it with the key '{key}'"
        ));
    };
    let Some(text) = read else {
        return Err(format!(
            "{at}: {kind} {name} has no text under the key '{key}'; add it, or name another key"
        ));
    };
    match serde_json::from_str(text) {
        Ok(Value::Object(_)) => Ok(text),
        Ok(_) => Err(format!(
            "{at}: '{key}' of {kind} {name} holds JSON that is no object: export definitions to see one"
        )),
        Err(error) => Err(format!("{at}: '{key}' of {kind} {name} is not JSON: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(wanted: &str, found: &str) -> Result<Option<String>, String> {
        let map = |text: &str| serde_yaml::from_str::<ConfigMap>(text).unwrap();
        let found = Sources {
            config_map: Some(found).filter(|text| !text.is_empty()).map(map),
            secret: None,
        };
        fingerprint(
            serde_yaml::from_str::<Option<LoadDefinitions>>(wanted)
                .unwrap()
                .as_ref(),
            &found,
        )
    }

    const WANTED: &str = "{configMapRef: {name: topology}}";

    #[test]
    fn a_changed_file_is_noticed_and_another_key_is_not() {
        let of = |text: &str| judged(WANTED, text).unwrap().unwrap();
        let first = of("{data: {definitions.json: '{}'}}");
        assert_eq!(
            first,
            of("{data: {definitions.json: '{}', other: '1'}, metadata: {name: topology}}")
        );
        assert_ne!(first, of("{data: {definitions.json: '{\"queues\": []}'}}"));
        assert_eq!(judged("null", ""), Ok(None));
    }

    #[test]
    fn what_a_node_would_not_start_with_is_named_with_its_field_and_key() {
        let cases = [
            (
                "",
                "spec.definitions.configMapRef: there is no ConfigMap topology in this namespace",
            ),
            (
                "{data: {a: '{}'}}",
                "ConfigMap topology has no text under the key 'definitions.json'",
            ),
            ("{data: {definitions.json: '[]'}}", "holds JSON that is no object"),
            (
                "{data: {definitions.json: '{'}}",
                "'definitions.json' of ConfigMap topology is not JSON: EOF",
            ),
        ];
        for (found, expected) in cases {
            let said = judged(WANTED, found).unwrap_err();
            assert!(said.contains(expected), "{found} gave {said}");
        }
    }

    #[test]
    fn users_may_come_from_a_secret_beside_the_rest() {
        let wanted: LoadDefinitions =
            serde_yaml::from_str("{configMapRef: {name: a}, secretRef: {name: b, key: users.json}}").unwrap();
        let found = |users: &str| Sources {
            config_map: serde_yaml::from_str("{data: {definitions.json: '{}'}}").unwrap(),
            secret: Some(serde_json::from_value(serde_json::json!({"data": {"users.json": users}})).unwrap()),
        };
        let (empty, other) = ("e30=", "eyJ1c2VycyI6W119");
        let of = |users| fingerprint(Some(&wanted), &found(users)).unwrap();
        assert_ne!(of(empty), of(other));
    }
}
