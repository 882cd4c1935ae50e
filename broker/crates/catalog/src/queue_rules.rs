//! What a queue declaration must satisfy: equivalence with a queue that is there, limits and arguments of a new one.
//!
//! Used twice: to decide on a snapshot, and again where the command is applied.

use crate::command::QueueSpec;
use crate::record::{Owner, QueueRecord};
use crate::request::Conditions;
use crate::state::Vhost;
use crate::texts;
use model::{QueueArgs, QueueKind, Refusal, ReplyCode, Table, Value};

/// Compares a declaration with the queue that has the name.
pub(crate) fn check_equivalent(queue: &QueueRecord, spec: &QueueSpec) -> Result<(), Refusal> {
    if queue.owner != spec.owner {
        return Err(texts::locked(&queue.title()));
    }
    if queue.durable != spec.durable {
        return Err(texts::differs("durable", &queue.title(), spec.durable, queue.durable));
    }
    if queue.auto_delete != spec.auto_delete {
        return Err(texts::differs(
            "auto_delete",
            &queue.title(),
            spec.auto_delete,
            queue.auto_delete,
        ));
    }
    let compared = queue.args.check_redeclared(&spec.arguments);
    compared.map_err(|difference| texts::precondition(difference.text(&queue.title())))
}

/// An exclusive queue is its owner's alone.
pub(crate) fn check_owner(queue: &QueueRecord, client: &Owner) -> Result<(), Refusal> {
    match &queue.owner {
        Some(owner) if owner != client => Err(texts::locked(&queue.title())),
        Some(_) | None => Ok(()),
    }
}

/// Queues of a virtual host are counted only when a new one comes.
pub(crate) fn check_limit(vhost: &Vhost, spec: &QueueSpec) -> Result<(), Refusal> {
    match vhost.limits.queues() {
        Some(limit) if vhost.queues.len() as u64 >= limit => Err(texts::queue_limit(&spec.name, &vhost.name, limit)),
        Some(_) | None => Ok(()),
    }
}

/// Reads the arguments of a new queue and checks what its type asks for.
pub(crate) fn check_new(spec: &QueueSpec) -> Result<QueueArgs, Refusal> {
    let title = texts::queue_title(&spec.vhost, spec.name.as_str());
    let parsed = QueueArgs::parse(spec.arguments.clone());
    let args = parsed.map_err(|error| texts::precondition(error.text(&title)))?;
    let broken = [
        (spec.auto_delete, "auto-delete"),
        (spec.owner.is_some(), "exclusive-owner"),
        (!spec.durable, "non-durable"),
    ];
    let first = broken
        .iter()
        .find(|(is_so, _)| *is_so && args.kind != QueueKind::Classic);
    if let Some((_, property)) = first {
        return Err(texts::precondition(format!(
            "invalid property '{property}' for {title}"
        )));
    }
    if !is_offered(args.kind) {
        return Err(texts::kind_not_offered(args.kind, &title));
    }
    Ok(args)
}

/// A quorum queue is deleted whatever it holds and whoever uses it.
pub(crate) fn check_deletable(queue: &QueueRecord, conditions: Conditions) -> Result<(), Refusal> {
    let flag = match conditions {
        _ if !queue.is_quorum() => return Ok(()),
        Conditions { if_unused: true, .. } => "if-unused",
        Conditions { if_empty: true, .. } => "if-empty",
        Conditions { .. } => return Ok(()),
    };
    let text = format!(
        "cannot delete {}. queue.delete operations with {flag} flag set are not supported by quorum queues",
        queue.title()
    );
    Err(Refusal::connection(ReplyCode::NotImplemented, text))
}

/// Types that queues of this broker can have.
pub(crate) fn is_offered(kind: QueueKind) -> bool {
    kind != QueueKind::Stream
}

/// Puts the virtual host's default type in where none was asked for and the queue could be of it.
pub(crate) fn with_default_kind(vhost: &Vhost, durable: bool, exclusive: bool, mut arguments: Table) -> Table {
    let Some(kind) = vhost.metadata.default_queue_type else {
        return arguments;
    };
    let fits = kind == QueueKind::Classic || (durable && !exclusive);
    if fits && arguments.get("x-queue-type").is_none() {
        arguments.set("x-queue-type", Value::from(kind.as_str()));
    }
    arguments
}
