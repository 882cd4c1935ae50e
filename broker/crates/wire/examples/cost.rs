//! What one message costs in this codec, for a profiler that counts instructions.
//!
//! `cost parse|deliver plain|rich BODY_BYTES ROUNDS` does one thing ROUNDS times. Instructions per message are the
//! difference between two runs divided by the difference of their rounds, which `cost.sh` beside this file computes.

use std::hint::black_box;
use std::process::ExitCode;
use wire::{Deliver, Kind, Method, Properties, Publishing, decode_header, decode_method, next_frame};

fn properties(kind: &str) -> Option<Properties> {
    let plain = Properties {
        delivery_mode: Some(2),
        ..Properties::default()
    };
    match kind {
        "plain" => Some(plain),
        "rich" => Some(Properties {
            content_type: Some("application/json".into()),
            headers: Some([("tenant", "acme".into()), ("attempt", model::Value::I32(3))].into()),
            correlation_id: Some("0b2e6d1c-59f7".into()),
            message_id: Some("8f14e45f-ceea".into()),
            timestamp: Some(1_700_000_000),
            ..plain
        }),
        _ => None,
    }
}

/// Reads publish, header and body as a session does.
fn parse(stream: &[u8]) -> usize {
    let (mut at, mut seen) = (0, 0);
    while let Ok(Some((frame, size))) = next_frame(&stream[at..], 131_072) {
        at += size;
        seen += match frame.kind {
            Kind::Method => match decode_method(frame.payload) {
                Ok(Method::Publish(publish)) => publish.routing_key.len(),
                _ => 0,
            },
            Kind::Header => decode_header(frame.payload).map_or(0, |header| header.properties.len()),
            Kind::Body | Kind::Heartbeat => frame.payload.len(),
        };
    }
    seen
}

fn parse_rounds(properties: &[u8], body: &[u8], rounds: usize) {
    let mut stream = Vec::new();
    let (exchange, routing_key) = (b"amq.direct", b"orders.eu.new");
    wire::publish(
        &mut stream,
        &Publishing {
            channel: 1,
            exchange,
            routing_key,
            mandatory: false,
            properties,
            body,
            frame_max: 131_072,
        },
    );
    for _ in 0..rounds {
        black_box(parse(black_box(&stream)));
    }
}

fn deliver_rounds(properties: &[u8], body: &[u8], rounds: usize) {
    let mut out = Vec::with_capacity(256 * 1024);
    for round in 0..rounds {
        if out.len() > 128 * 1024 {
            out.clear();
        }
        let deliver = Deliver {
            channel: 1,
            consumer_tag: b"amq.ctag-1234567890123456789012",
            delivery_tag: round as u64,
            redelivered: false,
            exchange: b"amq.direct",
            routing_key: b"orders.eu.new",
            properties,
            body,
            frame_max: 131_072,
        };
        wire::deliver(&mut out, black_box(&deliver));
    }
    black_box(out);
}

fn run(args: &[String]) -> Option<()> {
    let [what, kind, body, rounds] = args else { return None };
    let properties = properties(kind)?.encode().ok()?;
    let body = vec![b'x'; body.parse().ok()?];
    let rounds = rounds.parse().ok()?;
    match what.as_str() {
        "parse" => parse_rounds(&properties, &body, rounds),
        "deliver" => deliver_rounds(&properties, &body, rounds),
        _ => return None,
    }
    Some(())
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match run(&args) {
        Some(()) => ExitCode::SUCCESS,
        None => {
            eprintln!("usage: cost parse|deliver plain|rich BODY_BYTES ROUNDS");
            ExitCode::from(2)
        }
    }
}
