//! What quorum queues do not do, in RabbitMQ's words.
//!
//! Checks only; where the queue is led makes no difference.

use catalog::QueueRecord;
use model::{Refusal, ReplyCode};

/// A limit for a whole channel means nothing to them.
pub fn check_limit(record: &QueueRecord, limit: u16) -> Result<(), Refusal> {
    match limit {
        0 => Ok(()),
        _ => Err(not_implemented(format!(
            "{} does not support global qos",
            record.title()
        ))),
    }
}

/// Where one consumer at a time gets everything, nobody else does.
pub fn check_get(record: &QueueRecord) -> Result<(), Refusal> {
    if !record.is_quorum() || !record.args.single_active_consumer {
        return Ok(());
    }
    let text = format!(
        "cannot obtain access to locked {}. basic.get operations are not supported by quorum queues with single active consumer",
        record.title()
    );
    Err(Refusal::channel(ReplyCode::ResourceLocked, text))
}

fn not_implemented(text: String) -> Refusal {
    Refusal::connection(ReplyCode::NotImplemented, text)
}
