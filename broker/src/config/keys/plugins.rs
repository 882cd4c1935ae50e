//! Keys of plugins that this broker does not have. They do nothing while their plugin is off, here as in RabbitMQ,
//! and switching it on is refused where the list of plugins is read.

use super::{Key, no_effect};

const FAMILIES: [&str; 15] = [
    "mqtt",
    "stomp",
    "web_mqtt",
    "web_stomp",
    "stream",
    "amqp1_0",
    "auth_http",
    "auth_ldap",
    "auth_oauth2",
    "auth_cache",
    "aws",
    "event_exchange",
    "trust_store",
    "tracing",
    "shovel",
];

pub(super) fn keys() -> Vec<Key> {
    FAMILIES
        .map(|family| no_effect(&format!("{family}.*"), "its plugin is not part of this broker"))
        .into()
}
