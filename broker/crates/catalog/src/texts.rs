//! Refusals in RabbitMQ's words: code, scope and text of each, in one place.
//!
//! Clients and tests match on these texts; change none without looking at the original.

use access::Permission;
use model::{QueueKind, QueueName, Refusal, ReplyCode, UserName, VhostName};

pub(crate) fn queue_title(vhost: &VhostName, name: &str) -> String {
    format!("queue '{name}' in vhost '{vhost}'")
}

pub(crate) fn exchange_title(vhost: &VhostName, name: &str) -> String {
    format!("exchange '{name}' in vhost '{vhost}'")
}

pub(crate) fn access_refused(text: impl Into<String>) -> Refusal {
    Refusal::channel(ReplyCode::AccessRefused, text)
}

pub(crate) fn not_found(text: impl Into<String>) -> Refusal {
    Refusal::channel(ReplyCode::NotFound, text)
}

pub(crate) fn precondition(text: impl Into<String>) -> Refusal {
    Refusal::channel(ReplyCode::PreconditionFailed, text)
}

pub(crate) fn not_allowed(text: impl Into<String>) -> Refusal {
    Refusal::connection(ReplyCode::NotAllowed, text)
}

/// `what` is a title such as `queue 'q' in vhost '/'`.
pub(crate) fn no_permission(permission: Permission, what: &str, user: &UserName) -> Refusal {
    access_refused(format!("{permission} access to {what} refused for user '{user}'"))
}

pub(crate) fn no_topic_permission(permission: Permission, key: &[u8], what: &str, user: &UserName) -> Refusal {
    let topic = String::from_utf8_lossy(key);
    access_refused(format!(
        "{permission} access to topic '{topic}' in {what} refused for user '{user}'"
    ))
}

pub(crate) fn missing(what: &str) -> Refusal {
    not_found(format!("no {what}"))
}

pub(crate) fn in_use(what: &str) -> Refusal {
    precondition(format!("{what} in use"))
}

pub(crate) fn on_default_exchange() -> Refusal {
    access_refused("operation not permitted on the default exchange")
}

/// `object` is `queue` or `exchange`.
pub(crate) fn reserved(object: &str, name: &str) -> Refusal {
    access_refused(format!("{object} name '{name}' contains reserved prefix 'amq.*'"))
}

pub(crate) fn locked(what: &str) -> Refusal {
    let why = "It could be originally declared on another connection or the exclusive property value does not match \
               that of the original declaration.";
    Refusal::channel(
        ReplyCode::ResourceLocked,
        format!("cannot obtain exclusive access to locked {what}. {why}"),
    )
}

/// A flag or type that differs from the existing object's.
pub(crate) fn differs(arg: &str, what: &str, received: impl ToString, current: impl ToString) -> Refusal {
    let (received, current) = (received.to_string(), current.to_string());
    precondition(format!(
        "inequivalent arg '{arg}' for {what}: received '{received}' but current is '{current}'"
    ))
}

pub(crate) fn queue_limit(name: &QueueName, vhost: &VhostName, limit: u64) -> Refusal {
    precondition(format!(
        "cannot declare queue '{name}': queue limit in vhost '{vhost}' ({limit}) is reached"
    ))
}

/// `leader` is the node that alone holds the queue.
pub(crate) fn home_is_down(leader: &str, vhost: &VhostName, name: &QueueName) -> Refusal {
    let title = queue_title(vhost, name.as_str());
    not_found(format!(
        "home node '{leader}' of durable {title} is down or inaccessible"
    ))
}

pub(crate) fn server_named(kind: QueueKind) -> Refusal {
    precondition(format!(
        "Cannot declare a server-named queue for type {}",
        kind.module()
    ))
}

/// A type that RabbitMQ has and this broker does not.
pub(crate) fn kind_not_offered(kind: QueueKind, what: &str) -> Refusal {
    precondition(format!(
        "invalid arg 'x-queue-type' for {what}: queue type '{kind}' is not supported, use 'classic' or 'quorum'"
    ))
}

pub(crate) fn no_vhost(vhost: &VhostName) -> Refusal {
    not_allowed(format!("vhost {vhost} not found"))
}

/// For administration, in the command line's words.
pub(crate) fn vhost_does_not_exist(vhost: &VhostName) -> Refusal {
    not_found(format!("Virtual host '{vhost}' does not exist"))
}

pub(crate) fn user_does_not_exist(user: &UserName) -> Refusal {
    not_found(format!("User \"{user}\" does not exist"))
}

pub(crate) fn validation_failed(problem: impl std::fmt::Display) -> Refusal {
    precondition(format!("Validation failed\n\n{problem}\n"))
}
