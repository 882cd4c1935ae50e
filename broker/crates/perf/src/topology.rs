//! The queues, exchange and bindings of a run, and which routing keys and queues fall to whom.

use crate::client::Client;
use crate::error::Error;
use crate::options::{Exchange, Options};
use model::{Table, Value};
use wire::{AMQPClass, ShortString, basic, exchange, queue, to_field_table};

/// A name from the options, which are short enough by `Options::check`.
fn short(name: &str) -> Result<ShortString, Error> {
    ShortString::try_new(name).map_err(|error| Error::Protocol(error.to_string()))
}

pub(crate) fn queue_name(options: &Options, number: usize) -> String {
    format!("{}-{number}", options.name)
}

/// The exchange to publish to.
pub(crate) fn exchange_name(options: &Options) -> &str {
    match options.exchange {
        Exchange::Default => "",
        Exchange::Direct | Exchange::Fanout | Exchange::Topic => &options.name,
    }
}

/// Pattern of a topic binding and a key that matches it and no other: four kinds of pattern in turn.
fn topic_pattern(number: usize) -> (String, String) {
    match number % 4 {
        0 => (format!("k{number}.order.new"), format!("k{number}.order.new")),
        1 => (format!("k{number}.*.new"), format!("k{number}.invoice.new")),
        2 => (format!("k{number}.#"), format!("k{number}.eu.order.paid")),
        _ => (format!("*.k{number}.#"), format!("eu.k{number}.order.paid")),
    }
}

/// What falls to the `number`th of `sharers`: every item goes to somebody, everybody gets at least one.
pub(crate) fn share(items: usize, sharers: usize, number: usize) -> Vec<usize> {
    match items > sharers {
        true => (number..items).step_by(sharers).collect(),
        false => vec![number % items],
    }
}

/// The routing keys that a producer publishes with, in turn.
pub(crate) fn keys(options: &Options, producer: usize) -> Vec<String> {
    let mine = |items: usize| share(items, options.producers, producer).into_iter();
    match options.exchange {
        Exchange::Default | Exchange::Direct => {
            mine(options.queues).map(|number| queue_name(options, number)).collect()
        }
        Exchange::Fanout => vec![String::new()],
        Exchange::Topic => mine(options.topic_bindings())
            .map(|number| topic_pattern(number).1)
            .collect(),
    }
}

/// `KEY=VALUE`: whole numbers, true and false are what they look like, all else is text.
fn queue_arguments(options: &Options) -> Result<Table, Error> {
    let mut table = Table::default();
    for argument in &options.queue_argument {
        let Some((key, value)) = argument.split_once('=') else {
            let problem = "give it as KEY=VALUE".into();
            return Err(Error::Option {
                option: "queue-argument",
                value: argument.clone(),
                problem,
            });
        };
        let typed = match (value, value.parse()) {
            ("true" | "false", _) => Value::Bool(value == "true"),
            (_, Ok(number)) => Value::I64(number),
            (_, Err(_)) => Value::from(value),
        };
        table.set(key, typed);
    }
    Ok(table)
}

/// Declares exchange, queues and bindings, and empties the queues unless they are kept.
///
/// # Errors
/// Whatever the broker refuses.
pub(crate) async fn declare(client: &mut Client, options: &Options) -> Result<(), Error> {
    if options.exchange != Exchange::Default {
        declare_exchange(client, options).await?;
    }
    let arguments = to_field_table(&queue_arguments(options)?).map_err(|error| Error::Protocol(error.to_string()))?;
    for number in 0..options.queues {
        let name = short(&queue_name(options, number))?;
        let declare = queue::Declare {
            queue: name.clone(),
            durable: options.persistent,
            arguments: arguments.clone(),
            ..Default::default()
        };
        client
            .ask(AMQPClass::Queue(queue::AMQPMethod::Declare(declare)))
            .await?;
        if !options.keep {
            let purge = queue::Purge {
                queue: name,
                nowait: false,
            };
            client.ask(AMQPClass::Queue(queue::AMQPMethod::Purge(purge))).await?;
        }
    }
    bind(client, options).await
}

async fn declare_exchange(client: &mut Client, options: &Options) -> Result<(), Error> {
    let kind = match options.exchange {
        Exchange::Default | Exchange::Direct => "direct",
        Exchange::Fanout => "fanout",
        Exchange::Topic => "topic",
    };
    let declare = exchange::Declare {
        exchange: short(&options.name)?,
        kind: short(kind)?,
        durable: options.persistent,
        ..Default::default()
    };
    client
        .ask(AMQPClass::Exchange(exchange::AMQPMethod::Declare(declare)))
        .await
        .map(drop)
}

async fn bind(client: &mut Client, options: &Options) -> Result<(), Error> {
    let bindings = match options.exchange {
        Exchange::Default => 0,
        Exchange::Direct | Exchange::Fanout => options.queues,
        Exchange::Topic => options.topic_bindings(),
    };
    for number in 0..bindings {
        let queue = queue_name(options, number % options.queues);
        let routing_key = match options.exchange {
            Exchange::Topic => topic_pattern(number).0,
            Exchange::Default | Exchange::Direct | Exchange::Fanout => queue.clone(),
        };
        let bind = queue::Bind {
            queue: short(&queue)?,
            exchange: short(&options.name)?,
            routing_key: short(&routing_key)?,
            ..Default::default()
        };
        client.ask(AMQPClass::Queue(queue::AMQPMethod::Bind(bind))).await?;
    }
    Ok(())
}

/// Takes away what `declare` made.
///
/// # Errors
/// Whatever the broker refuses.
pub(crate) async fn delete(client: &mut Client, options: &Options) -> Result<(), Error> {
    for number in 0..options.queues {
        let delete = queue::Delete {
            queue: short(&queue_name(options, number))?,
            ..Default::default()
        };
        client.ask(AMQPClass::Queue(queue::AMQPMethod::Delete(delete))).await?;
    }
    if options.exchange != Exchange::Default {
        let delete = exchange::Delete {
            exchange: short(&options.name)?,
            ..Default::default()
        };
        client
            .ask(AMQPClass::Exchange(exchange::AMQPMethod::Delete(delete)))
            .await?;
    }
    Ok(())
}

/// Sets the prefetch and starts the consumers of one connection.
///
/// # Errors
/// Whatever the broker refuses.
pub(crate) async fn consume(client: &mut Client, options: &Options, consumer: usize) -> Result<(), Error> {
    if options.prefetch > 0 {
        let qos = basic::Qos {
            prefetch_count: options.prefetch,
            global: false,
        };
        client.ask(AMQPClass::Basic(basic::AMQPMethod::Qos(qos))).await?;
    }
    for number in share(options.queues, options.consumers, consumer) {
        let consume = basic::Consume {
            queue: short(&queue_name(options, number))?,
            consumer_tag: short(&format!("{consumer}-{number}"))?,
            no_ack: options.auto_ack,
            // No answer: it could come between deliveries, which are for the load to count.
            nowait: true,
            ..Default::default()
        };
        client
            .say(AMQPClass::Basic(basic::AMQPMethod::Consume(consume)))
            .await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sharing_leaves_no_item_and_nobody_out() {
        for (items, sharers) in [(1, 1), (10, 3), (3, 10), (4, 4), (10, 10)] {
            let mut seen: Vec<usize> = (0..sharers).flat_map(|number| share(items, sharers, number)).collect();
            assert!((0..sharers).all(|number| !share(items, sharers, number).is_empty()));
            seen.sort_unstable();
            seen.dedup();
            assert_eq!(seen, (0..items).collect::<Vec<_>>(), "{items} over {sharers}");
        }
    }

    /// Word by word: `*` is one word, `#` at the end is any number.
    fn matches(pattern: &str, key: &str) -> bool {
        let (pattern, mut key) = (pattern.split('.'), key.split('.'));
        for word in pattern {
            match (word, key.next()) {
                ("#", _) => return true,
                ("*", Some(_)) => {}
                (word, Some(other)) if word == other => {}
                _ => return false,
            }
        }
        key.next().is_none()
    }

    #[test]
    fn each_topic_key_matches_exactly_one_binding() {
        let all: Vec<_> = (0..200).map(topic_pattern).collect();
        for (number, (_, key)) in all.iter().enumerate() {
            let matching: Vec<_> = (0..200).filter(|other| matches(&all[*other].0, key)).collect();
            assert_eq!(matching, [number], "{key}");
        }
    }
}
