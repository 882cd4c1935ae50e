//! The methods that the campaigns send, each by one short call. It builds values and decides nothing.

use amq_protocol::protocol::{AMQPClass, basic, confirm, exchange, queue, tx};
use amq_protocol::types::FieldTable;

/// queue.declare, active or passive.
pub(crate) fn declare(name: &str, passive: bool, flags: Flags, arguments: FieldTable) -> AMQPClass {
    AMQPClass::Queue(queue::AMQPMethod::Declare(queue::Declare {
        queue: name.into(),
        passive,
        durable: flags.durable,
        exclusive: flags.exclusive,
        auto_delete: flags.auto_delete,
        nowait: false,
        arguments,
    }))
}

/// What a queue or exchange is declared with beside its arguments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flags {
    /// Survives a restart.
    pub(crate) durable: bool,
    /// Dies with its connection.
    pub(crate) exclusive: bool,
    /// Dies with its last consumer.
    pub(crate) auto_delete: bool,
}

/// The flags of what survives a restart.
pub(crate) const DURABLE: Flags = Flags {
    durable: true,
    exclusive: false,
    auto_delete: false,
};

/// queue.declare that only asks.
pub(crate) fn ask(name: &str) -> AMQPClass {
    declare(name, true, Flags::default(), FieldTable::default())
}

/// The number of ready messages that a declare-ok tells.
pub(crate) fn ready_count(answer: &AMQPClass) -> Option<usize> {
    match answer {
        AMQPClass::Queue(queue::AMQPMethod::DeclareOk(ok)) => Some(ok.message_count as usize),
        _ => None,
    }
}

/// The number of consumers that a declare-ok tells.
pub(crate) fn consumer_count(answer: &AMQPClass) -> Option<usize> {
    match answer {
        AMQPClass::Queue(queue::AMQPMethod::DeclareOk(ok)) => Some(ok.consumer_count as usize),
        _ => None,
    }
}

/// queue.purge.
pub(crate) fn purge(name: &str) -> AMQPClass {
    AMQPClass::Queue(queue::AMQPMethod::Purge(queue::Purge {
        queue: name.into(),
        nowait: false,
    }))
}

/// The number of messages that a purge-ok tells.
pub(crate) fn purged_count(answer: &AMQPClass) -> Option<usize> {
    match answer {
        AMQPClass::Queue(queue::AMQPMethod::PurgeOk(ok)) => Some(ok.message_count as usize),
        _ => None,
    }
}

/// queue.delete, whatever the queue holds.
pub(crate) fn delete(name: &str) -> AMQPClass {
    AMQPClass::Queue(queue::AMQPMethod::Delete(queue::Delete {
        queue: name.into(),
        if_unused: false,
        if_empty: false,
        nowait: false,
    }))
}

/// queue.bind or queue.unbind.
pub(crate) fn bind(wanted: bool, queue_name: &str, source: &str, key: &str) -> AMQPClass {
    let (queue, exchange, routing_key) = (queue_name.into(), source.into(), key.into());
    let arguments = FieldTable::default();
    AMQPClass::Queue(if wanted {
        queue::AMQPMethod::Bind(queue::Bind {
            queue,
            exchange,
            routing_key,
            nowait: false,
            arguments,
        })
    } else {
        queue::AMQPMethod::Unbind(queue::Unbind {
            queue,
            exchange,
            routing_key,
            arguments,
        })
    })
}

/// exchange.declare, active or passive.
pub(crate) fn exchange(name: &str, kind: &str, passive: bool, flags: Flags) -> AMQPClass {
    AMQPClass::Exchange(exchange::AMQPMethod::Declare(exchange::Declare {
        exchange: name.into(),
        kind: kind.into(),
        passive,
        durable: flags.durable,
        auto_delete: flags.auto_delete,
        internal: false,
        nowait: false,
        arguments: FieldTable::default(),
    }))
}

/// exchange.delete.
pub(crate) fn delete_exchange(name: &str) -> AMQPClass {
    AMQPClass::Exchange(exchange::AMQPMethod::Delete(exchange::Delete {
        exchange: name.into(),
        if_unused: false,
        nowait: false,
    }))
}

/// exchange.bind or exchange.unbind.
pub(crate) fn bind_exchange(wanted: bool, destination: &str, source: &str, key: &str) -> AMQPClass {
    let (destination, source, routing_key) = (destination.into(), source.into(), key.into());
    let (nowait, arguments) = (false, FieldTable::default());
    AMQPClass::Exchange(if wanted {
        exchange::AMQPMethod::Bind(exchange::Bind {
            destination,
            source,
            routing_key,
            nowait,
            arguments,
        })
    } else {
        exchange::AMQPMethod::Unbind(exchange::Unbind {
            destination,
            source,
            routing_key,
            nowait,
            arguments,
        })
    })
}

/// confirm.select.
pub(crate) fn confirms() -> AMQPClass {
    AMQPClass::Confirm(confirm::AMQPMethod::Select(confirm::Select { nowait: false }))
}

/// basic.qos for each new consumer of the channel; 0 is without limit.
pub(crate) fn prefetch(count: u16) -> AMQPClass {
    AMQPClass::Basic(basic::AMQPMethod::Qos(basic::Qos {
        prefetch_count: count,
        global: false,
    }))
}

/// basic.consume with acknowledgements.
pub(crate) fn consume(queue: &str, tag: &str) -> AMQPClass {
    AMQPClass::Basic(basic::AMQPMethod::Consume(basic::Consume {
        queue: queue.into(),
        consumer_tag: tag.into(),
        no_local: false,
        no_ack: false,
        exclusive: false,
        nowait: false,
        arguments: FieldTable::default(),
    }))
}

/// basic.cancel.
pub(crate) fn cancel(tag: &str) -> AMQPClass {
    AMQPClass::Basic(basic::AMQPMethod::Cancel(basic::Cancel {
        consumer_tag: tag.into(),
        nowait: false,
    }))
}

/// basic.ack.
pub(crate) fn ack(delivery_tag: u64, multiple: bool) -> AMQPClass {
    AMQPClass::Basic(basic::AMQPMethod::Ack(basic::Ack { delivery_tag, multiple }))
}

/// basic.nack.
pub(crate) fn nack(delivery_tag: u64, multiple: bool, requeue: bool) -> AMQPClass {
    AMQPClass::Basic(basic::AMQPMethod::Nack(basic::Nack {
        delivery_tag,
        multiple,
        requeue,
    }))
}

/// basic.reject.
pub(crate) fn reject(delivery_tag: u64, requeue: bool) -> AMQPClass {
    AMQPClass::Basic(basic::AMQPMethod::Reject(basic::Reject { delivery_tag, requeue }))
}

/// tx.select.
pub(crate) fn transactions() -> AMQPClass {
    AMQPClass::Tx(tx::AMQPMethod::Select(tx::Select {}))
}

/// tx.commit.
pub(crate) fn commit() -> AMQPClass {
    AMQPClass::Tx(tx::AMQPMethod::Commit(tx::Commit {}))
}

/// tx.rollback.
pub(crate) fn rollback() -> AMQPClass {
    AMQPClass::Tx(tx::AMQPMethod::Rollback(tx::Rollback {}))
}
