//! Tests that compare this crate with `amq-protocol` on everything both can say, and strategies for them.
//!
//! Octets made here are valid by construction; `hostile` has those that are not.

use crate::layout::{Field, Layout, all};
use crate::{
    Deliver, GetOk, Method, Properties, Publishing, Return, decode_header, decode_method, decode_table, encode_table,
    from_field_table, next_frame, to_field_table,
};
use amq_protocol::frame::{AMQPContentHeader, AMQPFrame, WriteContext, gen_frame, parse_frame};
use amq_protocol::protocol::{AMQPClass, BasicProperties, basic, parse_class};
use model::{Decimal, Table, Value};
use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;

pub(crate) fn text() -> impl Strategy<Value = String> {
    "\\PC{0,20}"
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Void),
        any::<bool>().prop_map(Value::Bool),
        any::<i8>().prop_map(Value::I8),
        any::<u8>().prop_map(Value::U8),
        any::<i16>().prop_map(Value::I16),
        any::<u16>().prop_map(Value::U16),
        any::<i32>().prop_map(Value::I32),
        any::<u32>().prop_map(Value::U32),
        any::<i64>().prop_map(Value::I64),
        any::<f32>().prop_map(Value::F32),
        any::<f64>().prop_map(Value::F64),
        (any::<u8>(), any::<i32>()).prop_map(|(scale, value)| Value::Decimal(Decimal { scale, value })),
        vec(any::<u8>(), 0..40).prop_map(Value::LongStr),
        vec(any::<u8>(), 0..40).prop_map(Value::Bytes),
        any::<u64>().prop_map(Value::Timestamp),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::Array),
            btree_map(text(), inner, 0..5).prop_map(|pairs| Value::Table(Table(pairs.into_iter().collect()))),
        ]
    })
}

/// Tables that `amq-protocol` can say too: keys sorted and unique, no `L`.
pub(crate) fn table() -> impl Strategy<Value = Table> {
    btree_map(text(), value(), 0..6).prop_map(|pairs| Table(pairs.into_iter().collect()))
}

fn encoded(table: &Table) -> Vec<u8> {
    let mut octets = Vec::new();
    encode_table(table, &mut octets).expect("a small table");
    octets
}

fn field(field: Field) -> BoxedStrategy<Vec<u8>> {
    let long = |octets: Vec<u8>| [&(octets.len() as u32).to_be_bytes()[..], &octets].concat();
    match field {
        Field::Fixed(size) => vec(any::<u8>(), size).boxed(),
        Field::Text => text()
            .prop_map(|text| [&[text.len() as u8], text.as_bytes()].concat())
            .boxed(),
        Field::Octets => vec(any::<u8>(), 0..50).prop_map(long).boxed(),
        Field::Table => table().prop_map(move |table| long(encoded(&table))).boxed(),
    }
}

fn payload_of(layout: Layout) -> BoxedStrategy<Vec<u8>> {
    let (class, method) = layout.ids;
    let fields: Vec<_> = layout.fields.iter().map(|f| field(*f)).collect();
    let ids = [class.to_be_bytes(), method.to_be_bytes()].concat();
    fields
        .prop_map(move |fields| [ids.clone(), fields.concat()].concat())
        .boxed()
}

/// A method frame's payload of every method there is.
pub(crate) fn payload() -> impl Strategy<Value = Vec<u8>> {
    proptest::sample::select(all()).prop_flat_map(payload_of)
}

fn properties() -> impl Strategy<Value = Properties> {
    let small = (of(any::<u8>()), of(any::<u8>()), of(any::<u64>()));
    let texts = proptest::array::uniform10(of(text()));
    (of(table()), small, texts).prop_map(|(headers, (delivery_mode, priority, timestamp), texts)| {
        let [
            content_type,
            content_encoding,
            correlation_id,
            reply_to,
            expiration,
            message_id,
            kind,
            user_id,
            app_id,
            cluster_id,
        ] = texts;
        Properties {
            content_type,
            content_encoding,
            headers,
            delivery_mode,
            priority,
            correlation_id,
            reply_to,
            expiration,
            message_id,
            timestamp,
            kind,
            user_id,
            app_id,
            cluster_id,
        }
    })
}

fn theirs(ours: &Properties) -> BasicProperties {
    let mut theirs = BasicProperties::default();
    let headers = ours
        .headers
        .as_ref()
        .map(|table| to_field_table(table).expect("sayable"));
    theirs = headers.map_or(theirs.clone(), |table| theirs.with_headers(table));
    theirs = ours
        .delivery_mode
        .map_or(theirs.clone(), |mode| theirs.with_delivery_mode(mode));
    theirs = ours
        .priority
        .map_or(theirs.clone(), |priority| theirs.with_priority(priority));
    theirs = ours
        .timestamp
        .map_or(theirs.clone(), |seconds| theirs.with_timestamp(seconds));
    macro_rules! texts {
        ($($name:ident $with:ident,)*) => {
            $(if let Some(text) = &ours.$name { theirs = theirs.$with(text.as_str().into()); })*
        };
    }
    texts! {
        content_type with_content_type, content_encoding with_content_encoding, correlation_id with_correlation_id,
        reply_to with_reply_to, expiration with_expiration, message_id with_message_id, kind with_type,
        user_id with_user_id, app_id with_app_id, cluster_id with_cluster_id,
    }
    theirs
}

fn frame_octets(frame: &AMQPFrame) -> Vec<u8> {
    gen_frame(frame)(WriteContext::from(Vec::new()))
        .expect("into a Vec")
        .into_inner()
        .0
}

/// What `amq-protocol` writes for a method with content.
fn message_octets(
    channel: u16,
    method: basic::AMQPMethod,
    ours: &Properties,
    body: &[u8],
    piece_max: usize,
) -> Vec<u8> {
    let header = AMQPContentHeader {
        class_id: 60,
        body_size: body.len() as u64,
        properties: theirs(ours),
    };
    let mut octets = frame_octets(&AMQPFrame::Method(channel, AMQPClass::Basic(method)));
    octets.extend(frame_octets(&AMQPFrame::Header(channel, header)));
    for piece in body.chunks(piece_max) {
        octets.extend(frame_octets(&AMQPFrame::Body(channel, piece.to_vec())));
    }
    octets
}

/// The hot methods in `amq-protocol`'s structs.
fn as_class(method: Method<'_>) -> AMQPClass {
    let name = |octets: &[u8]| std::str::from_utf8(octets).expect("text").into();
    AMQPClass::Basic(match method {
        Method::Publish(p) => basic::AMQPMethod::Publish(basic::Publish {
            exchange: name(p.exchange),
            routing_key: name(p.routing_key),
            mandatory: p.mandatory,
            immediate: p.immediate,
        }),
        Method::Ack { tag, multiple } => basic::AMQPMethod::Ack(basic::Ack {
            delivery_tag: tag,
            multiple,
        }),
        Method::Nack { tag, multiple, requeue } => basic::AMQPMethod::Nack(basic::Nack {
            delivery_tag: tag,
            multiple,
            requeue,
        }),
        Method::Reject { tag, requeue } => basic::AMQPMethod::Reject(basic::Reject {
            delivery_tag: tag,
            requeue,
        }),
        Method::Qos {
            prefetch_count, global, ..
        } => basic::AMQPMethod::Qos(basic::Qos { prefetch_count, global }),
        Method::Other(class) => return class,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn every_method_is_read_as_amq_protocol_reads_it(payload in payload()) {
        let (rest, expected) = parse_class(payload.as_slice()).expect("valid by construction");
        prop_assert!(rest.is_empty());
        prop_assert_eq!(as_class(decode_method(&payload).expect("valid")), expected);
    }

    #[test]
    fn every_method_written_is_read_back(payload in payload(), channel in any::<u16>()) {
        let class = as_class(decode_method(&payload).expect("valid"));
        let mut out = vec![1, 2, 3];
        crate::method(&mut out, channel, class.clone());
        let (frame, size) = next_frame(&out[3..], 0).expect("a frame").expect("whole");
        prop_assert_eq!((size, frame.channel), (out.len() - 3, channel));
        prop_assert_eq!(as_class(decode_method(frame.payload).expect("valid")), class);
    }
}

proptest! {
    #[test]
    fn tables_come_back_as_they_were(table in table()) {
        prop_assert_eq!(decode_table(&encoded(&table)), Ok(table.clone()));
        prop_assert_eq!(from_field_table(&to_field_table(&table).expect("sayable")), table);
    }

    #[test]
    fn properties_are_written_and_read_as_amq_protocol_does(ours in properties(), size in any::<u64>()) {
        let header = AMQPContentHeader { class_id: 60, body_size: size, properties: theirs(&ours) };
        let octets = frame_octets(&AMQPFrame::Header(9, header));
        let (frame, _) = next_frame(&octets, 0).expect("a frame").expect("whole");
        let decoded = decode_header(frame.payload).expect("valid");
        prop_assert_eq!(decoded.properties, ours.encode().expect("short enough"));
        prop_assert_eq!((decoded.class_id, decoded.weight, decoded.body_size), (60, 0, size));
        prop_assert_eq!(&Properties::decode(decoded.properties).expect("valid"), &ours);
        let seen = decoded.seen;
        let octets = |text: &Option<String>| text.clone().map(String::into_bytes);
        prop_assert_eq!((seen.delivery_mode, seen.priority), (ours.delivery_mode, ours.priority));
        prop_assert_eq!(seen.expiration.map(<[u8]>::to_vec), octets(&ours.expiration));
        prop_assert_eq!(seen.reply_to.map(<[u8]>::to_vec), octets(&ours.reply_to));
        prop_assert_eq!(seen.user_id.map(<[u8]>::to_vec), octets(&ours.user_id));
        prop_assert_eq!(seen.headers.map(<[u8]>::to_vec), ours.headers.as_ref().map(encoded));
    }

    #[test]
    fn changing_one_property_keeps_the_octets_of_all_others(
        ours in properties(), expiration in of(text()), reply_to in of(text()), headers in of(table())
    ) {
        let before = ours.encode().expect("short enough");
        let bytes = |text: &Option<String>| text.clone().map(String::into_bytes);
        let changed = crate::with_expiration_replaced(&before, bytes(&expiration).as_deref());
        let changed = crate::with_reply_to_replaced(&changed, bytes(&reply_to).as_deref());
        let changed = crate::with_headers_replaced(&changed, headers.as_ref().map(encoded).as_deref());
        let expected = Properties { expiration, reply_to, headers, ..ours };
        prop_assert_eq!(changed, expected.encode().expect("short enough"));
    }

    #[test]
    fn raw_entries_put_together_again_are_the_same_table(table in table()) {
        let octets = encoded(&table);
        let mut again = Vec::new();
        for (key, value) in crate::raw_entries(&octets) {
            crate::encode_raw_entry(key, value, &mut again).expect("a short key");
        }
        prop_assert_eq!(again, octets);
    }

    #[test]
    fn messages_are_written_as_amq_protocol_writes_them(
        ours in properties(), names in proptest::array::uniform3(text()), (channel, tag) in any::<(u16, u64)>(),
        flag in any::<bool>(), body in vec(any::<u8>(), 0..300), frame_max in 50_u32..200
    ) {
        let [consumer_tag, exchange, routing_key] = &names;
        let properties = ours.encode().expect("short enough");
        let piece_max = frame_max as usize - 8;
        let (tag_octets, exchange_octets, key) = (consumer_tag.as_bytes(), exchange.as_bytes(), routing_key.as_bytes());
        let mut out = Vec::new();
        crate::deliver(&mut out, &Deliver {
            channel, consumer_tag: tag_octets, delivery_tag: tag, redelivered: flag, exchange: exchange_octets,
            routing_key: key, properties: &properties, body: &body, frame_max,
        });
        let deliver = basic::Deliver {
            consumer_tag: consumer_tag.as_str().into(), delivery_tag: tag, redelivered: flag,
            exchange: exchange.as_str().into(), routing_key: routing_key.as_str().into(),
        };
        let decoded = crate::decode_delivery(next_frame(&out, 0).expect("a frame").expect("whole").0.payload);
        prop_assert_eq!(decoded.map(|d| (d.consumer_tag, d.delivery_tag, d.redelivered, d.exchange, d.routing_key)),
            Some((tag_octets, tag, flag, exchange_octets, key)));
        prop_assert_eq!(&out, &message_octets(channel, basic::AMQPMethod::Deliver(deliver), &ours, &body, piece_max));
        out.clear();
        crate::get_ok(&mut out, &GetOk {
            channel, delivery_tag: tag, redelivered: flag, exchange: exchange_octets, routing_key: key,
            message_count: frame_max, properties: &properties, body: &body, frame_max,
        });
        let get_ok = basic::GetOk {
            delivery_tag: tag, redelivered: flag, exchange: exchange.as_str().into(),
            routing_key: routing_key.as_str().into(), message_count: frame_max,
        };
        prop_assert_eq!(&out, &message_octets(channel, basic::AMQPMethod::GetOk(get_ok), &ours, &body, piece_max));
        out.clear();
        crate::basic_return(&mut out, &Return {
            channel, reply_code: 312, reply_text: tag_octets, exchange: exchange_octets, routing_key: key,
            properties: &properties, body: &body, frame_max,
        });
        let returned = basic::Return {
            reply_code: 312, reply_text: consumer_tag.as_str().into(), exchange: exchange.as_str().into(),
            routing_key: routing_key.as_str().into(),
        };
        prop_assert_eq!(&out, &message_octets(channel, basic::AMQPMethod::Return(returned), &ours, &body, piece_max));
        out.clear();
        crate::publish(&mut out, &Publishing {
            channel, exchange: exchange_octets, routing_key: key, mandatory: flag, properties: &properties,
            body: &body, frame_max,
        });
        let publish = basic::Publish {
            exchange: exchange.as_str().into(), routing_key: routing_key.as_str().into(), mandatory: flag,
            immediate: false,
        };
        prop_assert_eq!(&out, &message_octets(channel, basic::AMQPMethod::Publish(publish), &ours, &body, piece_max));
    }

    #[test]
    fn small_methods_are_written_as_amq_protocol_writes_them((channel, tag, multiple, requeue) in any::<(u16, u64, bool, bool)>(), name in text()) {
        let mut out = Vec::new();
        crate::ack(&mut out, channel, tag, multiple);
        crate::nack(&mut out, channel, tag, multiple, requeue);
        crate::reject(&mut out, channel, tag, requeue);
        crate::cancel(&mut out, channel, name.as_bytes());
        crate::heartbeat(&mut out);
        let expected = [
            basic::AMQPMethod::Ack(basic::Ack { delivery_tag: tag, multiple }),
            basic::AMQPMethod::Nack(basic::Nack { delivery_tag: tag, multiple, requeue }),
            basic::AMQPMethod::Reject(basic::Reject { delivery_tag: tag, requeue }),
            basic::AMQPMethod::Cancel(basic::Cancel { consumer_tag: name.as_str().into(), nowait: true }),
        ];
        let frames = expected.map(|method| frame_octets(&AMQPFrame::Method(channel, AMQPClass::Basic(method))));
        prop_assert_eq!(out, [frames.concat(), frame_octets(&AMQPFrame::Heartbeat)].concat());
    }
}

#[test]
fn the_oracle_itself_reads_what_it_wrote() {
    let header = AMQPContentHeader {
        class_id: 60,
        body_size: 1,
        properties: theirs(&Properties::default()),
    };
    let frame = AMQPFrame::Header(1, header);
    assert_eq!(parse_frame(frame_octets(&frame).as_slice()), Ok((&[][..], frame)));
}
