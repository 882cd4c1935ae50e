//! The field `definitions` of a RabbitCluster: where users, queues, policies and the like come from that every node imports when it starts.
//! What is in them the brokers judge; here is only said where they are.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// Files of definitions, as `rabbitmqctl export_definitions` writes them, that nodes import at every start. The first user of the Secret
/// NAME-default-user exists besides; one of the same name in a file wins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.configMapRef) || has(self.secretRef)")
        .message("definitions needs configMapRef, secretRef or both: nothing else says where the files are")
)]
pub struct LoadDefinitions {
    /// A ConfigMap that holds a file; imported before the Secret's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map_ref: Option<DefinitionsFile>,
    /// A Secret that holds a file: the place for users and the hashes of their passwords.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<DefinitionsFile>,
}

/// One file of definitions in an object of the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
pub struct DefinitionsFile {
    /// Name of the object.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Key under which the file is.
    #[serde(default = "key")]
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(
        validation = Rule::new("self.matches('^[-._a-zA-Z0-9]+$')")
            .message("the key of a definitions file must be letters, digits, '-', '_' and '.', such as definitions.json")
    )]
    pub key: String,
}

fn key() -> String {
    "definitions.json".into()
}
