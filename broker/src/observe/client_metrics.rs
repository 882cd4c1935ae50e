//! Families of connections and channels: added up, or a series for each.
//!
//! Names are RabbitMQ's, without the prefix that the page adds. Numbers that end with a connection stay in the sums.

use super::{
    exposition::{
        Kind::{Counter, Gauge},
        Page,
    },
    metrics::Scrape,
    pairs::{self, OfChannel, Pair},
    samples::ended,
};
use crate::host::{ChannelView, Client, Traffic};

type OfTraffic = (&'static str, fn(&Traffic) -> u64, &'static str);
type OfView = (&'static str, fn(&ChannelView) -> u64, &'static str);

const OCTETS: [OfTraffic; 2] = [
    (
        "connection_incoming_bytes_total",
        |t| t.received,
        "Total number of bytes received on a connection",
    ),
    (
        "connection_outgoing_bytes_total",
        |t| t.sent,
        "Total number of bytes sent on a connection",
    ),
];

const PACKETS: [OfTraffic; 2] = [
    (
        "connection_incoming_packets_total",
        |t| t.reads,
        "Total number of packets received on a connection",
    ),
    (
        "connection_outgoing_packets_total",
        |t| t.writes,
        "Total number of packets sent on a connection",
    ),
];

/// Counted by channel alone.
const CONFIRMED: &str = "channel_messages_confirmed_total";

/// What is published on channels.
const PUBLISHED: [OfChannel; 4] = [
    (
        "channel_messages_published_total",
        |c| c.published,
        "Total number of messages published into an exchange on a channel",
    ),
    (
        CONFIRMED,
        |c| c.confirmed,
        "Total number of messages published into an exchange and confirmed on the channel",
    ),
    (
        "channel_messages_unroutable_returned_total",
        |c| c.returned,
        "Total number of messages published as mandatory and returned as unroutable",
    ),
    (
        "channel_messages_unroutable_dropped_total",
        |c| c.dropped,
        "Total number of messages published as non-mandatory and dropped as unroutable",
    ),
];

/// What is delivered on channels.
const DELIVERED: [OfChannel; 7] = [
    (
        "channel_get_ack_total",
        |c| c.got,
        "Total number of messages fetched with basic.get in manual acknowledgement mode",
    ),
    (
        "channel_get_total",
        |c| c.got_no_ack,
        "Total number of messages fetched with basic.get in automatic acknowledgement mode",
    ),
    (
        "channel_get_empty_total",
        |c| c.get_empty,
        "Total number of times basic.get operations fetched no message",
    ),
    (
        "channel_messages_delivered_ack_total",
        |c| c.delivered,
        "Total number of messages delivered to consumers in manual acknowledgement mode",
    ),
    (
        "channel_messages_delivered_total",
        |c| c.delivered_no_ack,
        "Total number of messages delivered to consumers in automatic acknowledgement mode",
    ),
    (
        "channel_messages_redelivered_total",
        |c| c.redelivered,
        "Total number of messages redelivered to consumers",
    ),
    (
        "channel_messages_acked_total",
        |c| c.acked,
        "Total number of messages acknowledged by consumers",
    ),
];

/// What channels hold, as their connections' tasks tell it.
const NUMBERS: [OfView; 7] = [
    (
        "channel_consumers",
        |view| view.consumers as u64,
        "Consumers on a channel",
    ),
    (
        "channel_messages_unacked",
        |view| view.unacked as u64,
        "Delivered but not yet acknowledged messages",
    ),
    (
        "channel_messages_unconfirmed",
        |view| view.unconfirmed,
        "Published but not yet confirmed messages",
    ),
    (
        "channel_messages_uncommitted",
        |view| view.uncommitted as u64,
        "Messages received in a transaction but not yet committed",
    ),
    (
        "channel_acks_uncommitted",
        |view| view.uncommitted_acks as u64,
        "Message acknowledgements in a transaction not yet committed",
    ),
    (
        "consumer_prefetch",
        |view| view.prefetch.into(),
        "Limit of unacknowledged messages for each consumer",
    ),
    (
        "channel_prefetch",
        |view| view.global_prefetch.into(),
        "Total limit of unacknowledged messages for all consumers on a channel",
    ),
];

fn traffic(page: &mut Page, scrape: &Scrape<'_>, (name, number, help): OfTraffic) {
    page.family(name, Counter, help);
    if !scrape.each {
        let open = scrape.clients().iter().map(|client| number(&client.traffic()));
        return page.series(name, &[], open.sum::<u64>() + number(&ended(scrape.node)));
    }
    for client in scrape.clients() {
        of_connection(page, name, client, number(&client.traffic()));
    }
}

/// RabbitMQ calls a connection a channel here.
fn of_connection(page: &mut Page, name: &str, client: &Client, number: u64) {
    let connection = client.name();
    page.series(name, &[("channel", &connection), ("connection", &connection)], number);
}

fn gauge(page: &mut Page, scrape: &Scrape<'_>, (name, help): (&str, &str), number: impl Fn(&Client) -> u64) {
    page.family(name, Gauge, help);
    if !scrape.each {
        let all = scrape.clients().iter().map(|client| number(client));
        return page.series(name, &[], all.sum::<u64>());
    }
    for client in scrape.clients() {
        of_connection(page, name, client, number(client));
    }
}

/// Octets of connections.
pub fn octets(page: &mut Page, scrape: &Scrape<'_>) {
    OCTETS.into_iter().for_each(|own| traffic(page, scrape, own));
}

/// What else there is to a connection.
pub fn connections(page: &mut Page, scrape: &Scrape<'_>) {
    PACKETS.into_iter().for_each(|own| traffic(page, scrape, own));
    let title = ("connection_pending_packets", "Bytes waiting to be sent on a connection");
    gauge(page, scrape, title, |client| client.outbox().waiting_bytes() as u64);
    let title = ("connection_channels", "Channels on a connection");
    gauge(page, scrape, title, |client| client.channel_count() as u64);
}

/// What channels hold.
pub fn channel_numbers(page: &mut Page, scrape: &Scrape<'_>) {
    for (name, number, help) in NUMBERS {
        page.family(name, Gauge, help);
        if !scrape.each {
            let all = scrape.channels.iter().map(|(_, view)| number(view));
            page.series(name, &[], all.sum::<u64>());
            continue;
        }
        for (channel, view) in &scrape.channels {
            page.series(name, &[("channel", channel)], number(view));
        }
    }
}

/// What was published on channels; the sums are among the node's families.
pub fn published(page: &mut Page, scrape: &Scrape<'_>) {
    if scrape.each {
        of_pairs(page, "exchange", &PUBLISHED, &pairs::published(scrape, &PUBLISHED));
    }
}

/// What was delivered on channels; the sums are among the node's families.
pub fn delivered(page: &mut Page, scrape: &Scrape<'_>) {
    if scrape.each {
        of_pairs(page, "queue", &DELIVERED, &pairs::delivered(scrape, &DELIVERED));
    }
}

fn of_pairs(page: &mut Page, of: &str, families: &[OfChannel], pairs: &[Pair]) {
    for (name, number, help) in families {
        page.family(name, Counter, help);
        let is_confirms = *name == CONFIRMED;
        for pair in pairs.iter().filter(|pair| !(is_confirms && pair.shares_confirms)) {
            let mut labels = vec![("channel", pair.channel.as_str()), ("vhost", pair.vhost.as_str())];
            labels.extend(pair.with.as_deref().map(|with| (of, with)));
            page.series(name, &labels, number(&pair.counts));
        }
    }
}

/// What was published on channels by way of exchanges to queues; the sum is among the node's families.
pub fn brought(page: &mut Page, scrape: &Scrape<'_>) {
    if !scrape.each {
        return;
    }
    let name = "queue_messages_published_total";
    page.family(name, Counter, "Total number of messages published to queues");
    for way in pairs::ways(scrape) {
        let labels = [
            ("channel", way.channel.as_str()),
            ("queue_vhost", way.vhost.as_str()),
            ("queue", way.queue.as_str()),
            ("exchange_vhost", way.vhost.as_str()),
            ("exchange", way.exchange.as_str()),
        ];
        page.series(name, &labels, way.messages);
    }
}
