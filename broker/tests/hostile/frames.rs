//! AMQP octets by hand: frames, method arguments and field tables, right or wrong as an attack wants them.

/// A frame.
pub(crate) fn frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    let mut out = head(kind, channel, payload.len() as u32);
    out.extend_from_slice(payload);
    out.push(0xCE);
    out
}

/// The seven octets before a payload.
pub(crate) fn head(kind: u8, channel: u16, size: u32) -> Vec<u8> {
    let mut out = vec![kind];
    out.extend_from_slice(&channel.to_be_bytes());
    out.extend_from_slice(&size.to_be_bytes());
    out
}

/// A method frame from its ids and arguments.
pub(crate) fn method(channel: u16, class: u16, method: u16, arguments: &[&[u8]]) -> Vec<u8> {
    let ids = [class.to_be_bytes(), method.to_be_bytes()].concat();
    frame(1, channel, &[ids, arguments.concat()].concat())
}

/// A short string.
pub(crate) fn short(text: &str) -> Vec<u8> {
    [&[text.len() as u8], text.as_bytes()].concat()
}

/// A long string, or a table from its pairs' octets.
pub(crate) fn long(octets: &[u8]) -> Vec<u8> {
    [&(octets.len() as u32).to_be_bytes(), octets].concat()
}

/// A table's pair; `value` begins with its type letter.
pub(crate) fn pair(key: &str, value: &[u8]) -> Vec<u8> {
    [&short(key), value].concat()
}

/// Pairs of a table in a table in a table.
pub(crate) fn nested(depth: usize) -> Vec<u8> {
    (0..depth).fold(Vec::new(), |inner, _| pair("", &[&b"F"[..], &long(&inner)].concat()))
}

/// `basic.publish` alone.
pub(crate) fn publish_method(channel: u16, exchange: &str, key: &str, mandatory: bool) -> Vec<u8> {
    method(
        channel,
        60,
        40,
        &[&[0, 0], &short(exchange), &short(key), &[u8::from(mandatory)]],
    )
}

/// A content header with raw flags and property list.
pub(crate) fn header(channel: u16, body_size: u64, properties: &[u8]) -> Vec<u8> {
    frame(
        2,
        channel,
        &[&[0, 60, 0, 0][..], &body_size.to_be_bytes(), properties].concat(),
    )
}

/// A whole publish with a body in frames of 128 KiB at most.
pub(crate) fn publish(channel: u16, exchange: &str, key: &str, mandatory: bool, body: &[u8]) -> Vec<u8> {
    let mut out = publish_method(channel, exchange, key, mandatory);
    out.extend(header(channel, body.len() as u64, &[0, 0]));
    body.chunks(131_064)
        .for_each(|piece| out.extend(frame(3, channel, piece)));
    out
}

/// `queue.declare`; bits: 1 passive, 2 durable, 4 exclusive, 8 auto-delete, 16 no-wait.
pub(crate) fn declare_queue(channel: u16, name: &str, bits: u8, arguments: &[u8]) -> Vec<u8> {
    method(channel, 50, 10, &[&[0, 0], &short(name), &[bits], &long(arguments)])
}

/// `queue.delete`; bits: 4 no-wait.
pub(crate) fn delete_queue(channel: u16, name: &str, bits: u8) -> Vec<u8> {
    method(channel, 50, 40, &[&[0, 0], &short(name), &[bits]])
}

/// `basic.consume`; bits: 2 no-ack, 4 exclusive, 8 no-wait.
pub(crate) fn consume(channel: u16, queue: &str, tag: &str, bits: u8) -> Vec<u8> {
    method(
        channel,
        60,
        20,
        &[&[0, 0], &short(queue), &short(tag), &[bits], &long(&[])],
    )
}

/// `basic.get`.
pub(crate) fn get(channel: u16, queue: &str, no_ack: bool) -> Vec<u8> {
    method(channel, 60, 70, &[&[0, 0], &short(queue), &[u8::from(no_ack)]])
}

/// `basic.ack`.
pub(crate) fn ack(channel: u16, tag: u64, multiple: bool) -> Vec<u8> {
    method(channel, 60, 80, &[&tag.to_be_bytes(), &[u8::from(multiple)]])
}

/// `basic.nack` with requeue of one delivery.
pub(crate) fn requeue(channel: u16, tag: u64) -> Vec<u8> {
    method(channel, 60, 120, &[&tag.to_be_bytes(), &[2]])
}

/// `connection.start-ok` with PLAIN. `properties` are the pairs of the client properties.
pub(crate) fn start_ok(user: &str, password: &str, properties: &[u8]) -> Vec<u8> {
    let response = format!("\0{user}\0{password}");
    method(
        0,
        10,
        11,
        &[
            &long(properties),
            &short("PLAIN"),
            &long(response.as_bytes()),
            &short("en_US"),
        ],
    )
}

/// Client properties with one capability.
pub(crate) fn capability(name: &str) -> Vec<u8> {
    pair("capabilities", &[&b"F"[..], &long(&pair(name, &[b't', 1]))].concat())
}

/// `connection.tune-ok`.
pub(crate) fn tune_ok(channels: u16, frame_max: u32, heartbeat: u16) -> Vec<u8> {
    method(
        0,
        10,
        31,
        &[
            &channels.to_be_bytes(),
            &frame_max.to_be_bytes(),
            &heartbeat.to_be_bytes(),
        ],
    )
}

/// `connection.open`.
pub(crate) fn open(vhost: &str) -> Vec<u8> {
    method(0, 10, 40, &[&short(vhost), &[0, 0]])
}

/// `connection.close` without a fault.
pub(crate) fn close_connection() -> Vec<u8> {
    method(0, 10, 50, &[&200u16.to_be_bytes(), &short("bye"), &[0; 4]])
}
