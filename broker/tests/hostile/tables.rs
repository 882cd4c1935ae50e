//! Field tables as large as a frame allows: read or refused, never slow, and nobody else waits.

use std::time::{Duration, Instant};

use crate::{broker::Broker, frames};

/// Different keys with nothing as value: as many as fit into `bytes`.
fn crowd(bytes: usize) -> Vec<u8> {
    let mut table = Vec::new();
    let mut number = 0;
    while table.len() + 10 < bytes {
        table.extend(frames::pair(&format!("{number:x}"), b"V"));
        number += 1;
    }
    table
}

#[test]
fn a_table_beyond_the_frame_size_is_refused() {
    let broker = Broker::start();
    let large = frames::pair("k", &[&b"S"[..], &frames::long(&vec![b'x'; 1 << 20])].concat());
    let many: Vec<u8> = (0..100_000)
        .flat_map(|number| frames::pair(&format!("{number}"), b"V"))
        .collect();
    for table in [large, many] {
        let properties = [&[0x20, 0][..], &frames::long(&table)].concat();
        let header = [
            frames::publish_method(1, "", "q", false),
            frames::header(1, 0, &properties),
        ]
        .concat();
        for attack in [header, frames::declare_queue(1, "q", 0, &table)] {
            let mut client = broker.client();
            client.open_channel(1);
            client.send_if_wanted(&attack);
            let (code, text) = client.expect((10, 50)).closing();
            assert_eq!(code, 501, "{text}");
        }
    }
    broker.serves_others();
}

#[test]
fn tables_that_fill_a_frame_cost_no_noticeable_time() {
    let broker = Broker::start();
    let mut client = broker.client();
    client.open_channel(1);
    client.send(&frames::declare_queue(1, "crowded", 0, &crowd(120_000)));
    // Unknown arguments are let pass or refused; either way there is an answer.
    let answer = client.next().expect("an answer");
    assert!(matches!(answer.ids(), (50, 11) | (20, 40)), "{answer:?}");
    let mut client = broker.client();
    client.open_channel(1);
    let queue = client.declare_anonymous(1);
    let table = crowd(120_000);
    let bind = |key: &str| {
        let names = [frames::short(&queue), frames::short("amq.headers"), frames::short(key)].concat();
        frames::method(1, 50, 20, &[&[0, 0], &names, &[0], &frames::long(&table)])
    };
    let began = Instant::now();
    for key in ["a", "b", "c", "d"] {
        client.send(&bind(key));
        client.expect((50, 21));
    }
    let properties = [&[0x20, 0][..], &frames::long(&table)].concat();
    let publish = [
        frames::publish_method(1, "amq.headers", "", false),
        frames::header(1, 1, &properties),
        frames::frame(3, 1, b"x"),
    ];
    client.send(&publish.concat().repeat(5));
    for _ in 0..5 {
        assert_eq!(client.get(1, &queue).as_deref(), Some(&b"x"[..]));
    }
    let took = began.elapsed();
    assert!(took < Duration::from_secs(8), "{took:?}");
    broker.serves_others();
}
