//! Keys of plugins that have no file of their own here, and of those that this broker does not have. The latter do nothing
//! while their plugin is off, here as in RabbitMQ, and switching it on is refused where the list of plugins is read.

use super::{Key, key, no_effect, only};
use crate::config::settings::Config;

const FAMILIES: [&str; 17] = [
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
    "trust_store",
    "tracing",
    "shovel",
    "federation",
    "amqp_client",
    "amqp10_client",
];

pub(super) fn keys() -> Vec<Key> {
    let absent = FAMILIES.map(|family| no_effect(&format!("{family}.*"), "its plugin is not part of this broker"));
    let events = key("event_exchange.vhost", |c: &mut Config, _, v: String| {
        c.event_vhost = Some(v);
    })
    .doc("Virtual host of amq.rabbitmq.event, the exchange of the plugin rabbitmq_event_exchange; default_vhost unless set.");
    let protocol = only(
        "event_exchange.protocol",
        &["amqp_0_9_1"],
        "AMQP 1.0 is not spoken; events are messages of AMQP 0-9-1",
    );
    [events, protocol].into_iter().chain(absent).collect()
}
