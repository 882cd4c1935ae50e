//! Channels by the thousand, errors by the thousand, and deliveries that are never settled in order.

use std::time::{Duration, Instant};

use crate::{broker::Broker, frames};

#[test]
fn two_thousand_and_forty_seven_channels_open_and_one_more_is_refused() {
    let broker = Broker::start();
    let mut client = broker.client();
    for channel in 1..=2047 {
        client.open_channel(channel);
    }
    client.send(&frames::method(2048, 20, 10, &[&[0]]));
    let (code, text) = client.expect((10, 50)).closing();
    assert_eq!(code, 530, "{text}");
    broker.serves_others();
}

#[test]
fn channels_opened_and_closed_in_a_loop_leave_nothing_behind() {
    let broker = Broker::start();
    let mut client = broker.client();
    let pair = |channel| [frames::method(channel, 20, 10, &[&[0]]), close_channel(channel)].concat();
    let rounds: Vec<u8> = (1..=500).flat_map(pair).collect();
    let mut run = |times| {
        for _ in 0..times {
            client.send(&rounds);
            for _ in 0..500 {
                client.expect((20, 11));
                client.expect((20, 41));
            }
        }
    };
    run(4);
    let before = broker.memory();
    run(40);
    assert!(broker.memory() < before + 4, "from {before} to {} MiB", broker.memory());
}

fn close_channel(channel: u16) -> Vec<u8> {
    frames::method(channel, 20, 40, &[&[0, 0], &frames::short(""), &[0, 0, 0, 0]])
}

#[test]
fn an_unknown_delivery_tag_closes_the_channel_each_time_and_only_it() {
    let broker = Broker::start();
    let mut client = broker.client();
    client.open_channel(2);
    for tag in 1..=2000 {
        client.open_channel(1);
        client.send(&frames::ack(1, tag * 7919, false));
        let (code, text) = client.expect((20, 40)).closing();
        assert_eq!(code, 406, "{text}");
        client.send(&frames::method(1, 20, 41, &[]));
    }
    assert_eq!(client.declare(2, "other"), 0, "the other channel lives");
    broker.serves_others();
}

#[test]
fn deliveries_settled_around_one_that_is_kept_are_forgotten() {
    const BATCH: u64 = 5000;
    let broker = Broker::start();
    let mut client = broker.client();
    client.open_channel(1);
    let queue = client.declare_anonymous(1);
    client.send(&frames::consume(1, &queue, "keeper", 0));
    client.expect((60, 21));
    client.publish(1, "", &queue, b"kept");
    client.expect((60, 60));
    client.body();
    let publishes = frames::publish(1, "", &queue, false, b"x").repeat(BATCH as usize);
    let mut tag = 1;
    let mut run = |batches| {
        for _ in 0..batches {
            client.send(&publishes);
            for _ in 0..BATCH {
                client.expect((60, 60));
                client.body();
            }
            let acks: Vec<u8> = (tag + 1..=tag + BATCH)
                .flat_map(|tag| frames::ack(1, tag, false))
                .collect();
            tag += BATCH;
            client.send(&acks);
        }
        // Answered only when all before it has been done.
        client.declare_anonymous(1);
    };
    run(4);
    let before = broker.memory();
    run(60);
    assert!(broker.memory() < before + 8, "from {before} to {} MiB", broker.memory());
}

#[test]
fn a_consumer_tag_is_free_as_soon_as_the_client_hears_that_its_queue_is_gone() {
    let broker = Broker::start();
    let mut consumer = broker.client();
    let mut owner = broker.client();
    consumer.open_channel(1);
    owner.open_channel(1);
    consumer.declare(1, "lasting");
    for _ in 0..300 {
        owner.declare(1, "passing");
        consumer.send(&frames::consume(1, "passing", "mine", 2));
        consumer.expect((60, 21));
        owner.send(&frames::delete_queue(1, "passing", 0));
        consumer.expect((60, 30));
        consumer.send(&frames::consume(1, "lasting", "mine", 2));
        consumer.expect((60, 21));
        owner.expect((50, 41));
        consumer.send(&frames::method(1, 60, 30, &[&frames::short("mine"), &[0]]));
        consumer.expect((60, 31));
        owner.send(&frames::declare_queue(1, "lasting", 0, &[]));
        let ok = owner.expect((50, 11));
        assert_eq!(
            ok.payload[ok.payload.len() - 4..],
            [0; 4],
            "a consumer haunts the queue"
        );
    }
}

#[test]
fn a_consumer_tag_is_free_within_the_batch_that_deletes_its_queue() {
    let broker = Broker::start();
    let mut client = broker.client();
    client.open_channel(1);
    client.declare(1, "lasting");
    let declare = frames::declare_queue(1, "passing", 16, &[]);
    let consume = |queue| frames::consume(1, queue, "mine", 2 | 8);
    let delete = frames::delete_queue(1, "passing", 4);
    client.send(&[declare, consume("passing"), delete, consume("lasting")].concat());
    client.expect((60, 30));
    client.send(&frames::declare_queue(1, "lasting", 0, &[]));
    let ok = client.expect((50, 11));
    assert_eq!(ok.payload[ok.payload.len() - 4..], 1u32.to_be_bytes(), "one consumer");
    client.send(&frames::method(1, 60, 30, &[&frames::short("mine"), &[0]]));
    client.expect((60, 31));
    client.send(&frames::declare_queue(1, "lasting", 0, &[]));
    let ok = client.expect((50, 11));
    assert_eq!(
        ok.payload[ok.payload.len() - 4..],
        [0; 4],
        "a consumer haunts the queue"
    );
}

#[test]
fn a_rollback_among_many_deliveries_costs_no_more_than_it_gives_back() {
    const HELD: usize = 50_000;
    let broker = Broker::start();
    let mut client = broker.client();
    client.open_channel(1);
    let queue = client.declare_anonymous(1);
    client.send(&frames::consume(1, &queue, "keeper", 0));
    client.expect((60, 21));
    for _ in 0..HELD / 5000 {
        client.send(&frames::publish(1, "", &queue, false, b"x").repeat(5000));
        for _ in 0..5000 {
            client.expect((60, 60));
            client.body();
        }
    }
    client.send(&frames::method(1, 90, 10, &[]));
    client.expect((90, 11));
    let rollback = [frames::ack(1, 17, false), frames::method(1, 90, 30, &[])].concat();
    let began = Instant::now();
    client.send(&rollback.repeat(3000));
    (0..3000).for_each(|_| drop(client.expect((90, 31))));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[test]
fn a_client_that_goes_on_after_its_close_gets_the_answer_nonetheless() {
    let broker = Broker::start();
    for _ in 0..20 {
        let mut client = broker.client();
        client.open_channel(1);
        let queue = client.declare_anonymous(1);
        client.send(&frames::close_connection());
        for _ in 0..200 {
            client.publish(1, "", &queue, &[7; 1000]);
        }
        client.expect((10, 51));
    }
    broker.serves_others();
}
