//! Tests with octets that an enemy or a broken client would send: cut off, too deep, of unknown types.

use crate::oracle::{payload, table};
use crate::{
    MethodError, TABLE_DEPTH_MAX, TableError, decode_header, decode_method, decode_table, encode_table, next_frame,
    protocol_header, raw_entries,
};
use model::{ReplyCode, Scope, Table, Value};
use proptest::collection::vec;
use proptest::prelude::*;

/// A table in a table in a table …: one empty key and `F` or `A` each level.
fn nested(levels: usize, letter: u8) -> Vec<u8> {
    let mut octets = Vec::new();
    for level in 0..levels {
        let keyless = letter == b'A' && level + 1 < levels;
        let head = if keyless { &[letter][..] } else { &[0, letter][..] };
        octets = [head, &(octets.len() as u32).to_be_bytes(), &octets].concat();
    }
    octets
}

fn method(ids: [u8; 4], fields: &[&[u8]]) -> Vec<u8> {
    [&ids[..], &fields.concat()].concat()
}

fn start_ok_with(table: &[u8]) -> Vec<u8> {
    let length = (table.len() as u32).to_be_bytes();
    method([0, 10, 0, 11], &[&length, table, b"\x05PLAIN", &[0; 4], b"\x05en_US"])
}

fn header_with(table: &[u8]) -> Vec<u8> {
    let head = [0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x20, 0];
    [&head[..], &(table.len() as u32).to_be_bytes(), table].concat()
}

#[test]
fn tables_nested_3000_deep_are_refused_on_a_tiny_stack() {
    let small = std::thread::Builder::new().stack_size(64 * 1024);
    let attack = || {
        for letter in [b'F', b'A'] {
            let deep = nested(3000, letter);
            let refused = decode_method(&start_ok_with(&deep)).expect_err("too deep").refusal();
            assert_eq!(
                (refused.code, refused.scope),
                (ReplyCode::SyntaxError, Scope::Connection)
            );
            assert!(refused.text.contains("nested deeper than 32"), "{}", refused.text);
            let refused = decode_header(&header_with(&deep)).expect_err("too deep").refusal();
            assert_eq!(
                (refused.code, refused.scope),
                (ReplyCode::SyntaxError, Scope::Connection)
            );
            assert_eq!(decode_table(&deep), Err(TableError::TooDeep));
            assert_eq!(raw_entries(&deep).count(), 0);
        }
    };
    small.spawn(attack).expect("a thread").join().expect("no overflow");
}

#[test]
fn the_deepest_table_allowed_passes_and_one_level_more_does_not() {
    let deepest = nested(TABLE_DEPTH_MAX as usize - 1, b'F');
    assert!(decode_method(&start_ok_with(&deepest)).is_ok());
    assert!(decode_header(&header_with(&deepest)).is_ok());
    let deeper = nested(TABLE_DEPTH_MAX as usize, b'F');
    assert!(decode_method(&start_ok_with(&deeper)).is_err());
    assert!(decode_header(&header_with(&deeper)).is_err());
}

#[test]
fn a_table_that_decodes_can_be_encoded_and_one_level_more_cannot() {
    let deepest = decode_table(&nested(TABLE_DEPTH_MAX as usize - 1, b'F')).expect("allowed");
    assert_eq!(encode_table(&deepest, &mut Vec::new()), Ok(()));
    let deeper = Table::from([("", Value::Table(deepest))]);
    assert_eq!(encode_table(&deeper, &mut Vec::new()), Err(TableError::TooDeep));
}

#[test]
fn faulty_methods_are_refused_each_with_its_own_code() {
    let consume = |table: &[u8]| {
        let length = (table.len() as u32).to_be_bytes();
        method([0, 60, 0, 20], &[&[0, 0], b"\x01q", b"\x01t", &[0], &length, table])
    };
    let cases: [(Vec<u8>, &str); 9] = [
        (
            vec![0, 60, 0],
            "FRAME_ERROR - type 1, all octets = <<0,60,0>>: unknown_frame",
        ),
        (vec![0, 60, 0, 99], "COMMAND_INVALID - unknown method 60.99"),
        (vec![1, 60, 0, 10], "COMMAND_INVALID - unknown method 316.10"),
        (vec![0, 60, 0, 80, 1, 2], "FRAME_ERROR - cannot decode <<1,2>>"),
        (vec![0, 20, 0, 41, 7], "FRAME_ERROR - cannot decode <<7>>"),
        (vec![0, 20, 0, 10, 1, 0xFF], "FRAME_ERROR - Malformed UTF-8 in shortstr"),
        (
            consume(b"\x01k?"),
            "SYNTAX_ERROR - field table of basic.consume: unknown field type 63 (known are t b B s u I i l L f d D S A T F V x)",
        ),
        (
            consume(b"\x01kI\x00"),
            "SYNTAX_ERROR - field table of basic.consume: a field or its value is cut off",
        ),
        (
            vec![0, 20, 0, 10, 1, 0xFF, 9],
            "FRAME_ERROR - cannot decode <<1,255,9>>",
        ),
    ];
    for (payload, expected) in cases {
        assert_eq!(
            decode_method(&payload).expect_err("refused").refusal().to_string(),
            expected
        );
    }
}

#[test]
fn the_reply_text_of_any_refusal_fits_a_short_string() {
    let payload = [&[0, 20, 0, 41][..], &[200; 5000]].concat();
    let refusal = decode_method(&payload).expect_err("too long").refusal();
    let text = crate::reply_text(&refusal);
    assert_eq!(text.as_str().len(), 255);
    assert!(text.as_str().starts_with("FRAME_ERROR - cannot decode <<200,200,"));
    assert!(text.as_str().ends_with("..."));
}

#[test]
fn of_equal_argument_keys_the_first_wins_and_l_is_signed() {
    let declare = method(
        [0, 50, 0, 10],
        &[
            &[0, 0],
            b"\x01q",
            &[0],
            &[0, 0, 0, 19],
            b"\x01kb\x01\x01kb\x02\x01nL",
            &[0xFF; 8],
        ],
    );
    let Ok(crate::Method::Other(crate::AMQPClass::Queue(crate::queue::AMQPMethod::Declare(declare)))) =
        decode_method(&declare)
    else {
        panic!("a queue.declare");
    };
    assert_eq!(
        crate::from_field_table(&declare.arguments),
        Table::from([("k", Value::I8(1)), ("n", Value::I64(-1))])
    );
}

#[test]
fn unsigned_64_bit_headers_keep_their_type() {
    let octets = b"\x01kL\xff\xff\xff\xff\xff\xff\xff\xff";
    let table = decode_table(octets).expect("valid");
    assert_eq!(table.get("k"), Some(&Value::U64(u64::MAX)));
    let mut again = Vec::new();
    encode_table(&table, &mut again).expect("small");
    assert_eq!(again, octets);
}

#[test]
fn a_header_key_that_is_not_text_is_shown_but_travels_untouched() {
    let octets = b"\x02\xff\xfeV";
    assert_eq!(
        decode_table(octets),
        Ok(Table(vec![("\u{fffd}\u{fffd}".into(), Value::Void)]))
    );
    assert_eq!(raw_entries(octets).collect::<Vec<_>>(), [(&b"\xff\xfe"[..], &b"V"[..])]);
}

#[test]
fn content_headers_shorter_or_longer_than_their_flags_are_refused() {
    let header = |list: &[u8]| [&[0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0][..], list].concat();
    for list in [
        &[][..],
        &[0],
        &[0x10, 0],
        &[0x10, 0, 1, 1],
        &[0, 0, 9],
        &[0x80, 0, 5, 1],
        &[0x20, 0, 0, 0, 0, 9, 1],
    ] {
        let refusal = decode_header(&header(list)).expect_err("refused").refusal();
        assert_eq!(refusal.code, ReplyCode::SyntaxError, "{list:?}");
    }
    let refusal = decode_header(&[0, 60, 0, 0, 1]).expect_err("too short").refusal();
    assert_eq!(
        refusal.to_string(),
        "FRAME_ERROR - type 2, all octets = <<0,60,0,0,1>>: unknown_frame"
    );
}

proptest! {
    #[test]
    fn no_truncation_of_a_method_panics_or_decodes(payload in payload()) {
        for size in 0..payload.len() {
            prop_assert!(decode_method(&payload[..size]).is_err());
        }
        let longer = [&payload[..], &[0]].concat();
        let refused = matches!(decode_method(&longer), Err(MethodError::Arguments { .. }));
        prop_assert!(refused);
    }

    #[test]
    fn a_truncated_table_is_refused_or_ends_at_a_whole_entry(table in table()) {
        let mut octets = Vec::new();
        encode_table(&table, &mut octets).expect("small");
        for size in 0..octets.len() {
            match decode_table(&octets[..size]) {
                Ok(shorter) => prop_assert_eq!(&shorter.0[..], &table.0[..shorter.0.len()]),
                Err(error) => prop_assert_eq!(error, TableError::Truncated),
            }
        }
    }

    #[test]
    fn random_octets_never_panic(octets in vec(any::<u8>(), 0..200), ids in (0_u8..100, 0_u8..125)) {
        // Whether they mean anything does not matter here.
        let _ = (protocol_header(&octets), next_frame(&octets, 4096), decode_header(&octets), decode_table(&octets));
        let _ = decode_method(&[&[0, ids.0, 0, ids.1], &octets[..]].concat());
        for flags in [0xFFFC_u16, 0x2000] {
            let list = [&flags.to_be_bytes()[..], &octets].concat();
            let _ = (crate::Properties::decode(&list), crate::with_reply_to_replaced(&list, None));
        }
    }

    #[test]
    fn a_stream_cut_anywhere_gives_the_same_frames(payloads in vec(payload(), 1..4), cut in 0_usize..200) {
        let frame = |payload: &Vec<u8>| [&[1, 0, 1], &(payload.len() as u32).to_be_bytes()[..], payload, &[0xCE]].concat();
        let stream = payloads.iter().map(frame).collect::<Vec<_>>().concat();
        let (mut at, mut seen, mut visible) = (0, Vec::new(), cut.min(stream.len()));
        while seen.len() < payloads.len() {
            match next_frame(&stream[at..visible], 0).expect("sound") {
                Some((frame, size)) => {
                    seen.push(frame.payload.to_vec());
                    at += size;
                }
                None => visible += 1,
            }
        }
        prop_assert_eq!(seen, payloads);
        prop_assert_eq!(at, stream.len());
    }
}
