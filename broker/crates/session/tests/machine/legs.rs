//! The leader's end of a leg: publishes that another node has routed, and deliveries that were settled there.

use super::*;

/// A leg with channel 1 open.
fn leg() -> Client {
    let mut leg = Client::new();
    leg.machine = Connection::leg(limits(), "bob".into());
    leg.method(1, channel_open());
    assert!(leg.answer(Answer::Done).is_none());
    leg.heard();
    leg
}

fn forward(queues: &[u64], body: &[u8]) -> Vec<u8> {
    let queues: Vec<model::QueueId> = queues.iter().map(|queue| model::QueueId(*queue)).collect();
    let forwarding = wire::Forwarding {
        channel: 1,
        sequence: 1,
        floor: 1,
        again: false,
        queues: &queues,
        exchange: b"x",
        routing_key: b"k",
        properties: &[0, 0],
        body,
    };
    let mut octets = Vec::new();
    wire::forward(&mut octets, &mut wire::Tail::default(), &forwarding);
    octets
}

#[test]
fn a_forwarded_publish_in_any_pieces_is_taken_whole_and_confirmed_like_any() {
    let mut leg = leg();
    leg.method(1, confirm_select());
    leg.heard();
    leg.node.fates = [Ok(Fate::Taken), Ok(Fate::Rejected), Ok(Fate::Logged)].into();
    let large = vec![b'm'; 200_000];
    leg.send(&forward(&[3, 4], b"one"));
    for octet in forward(&[5], b"two") {
        leg.send(&[octet]);
    }
    leg.send(&forward(&[], &large));
    assert_eq!(leg.node.told[..2], ["forwarded [3, 4] one", "forwarded [5] two"]);
    assert_eq!(leg.node.told[2].len(), "forwarded [] ".len() + large.len());
    assert_eq!(leg.heard(), ["1 60.80 tag=1 multiple=false", "1 60.120 tag=2"]);
    let point = leg.machine.seal().expect("a confirm waits");
    leg.machine.reached(point, &mut leg.node);
    assert_eq!(leg.heard(), ["1 60.80 tag=3 multiple=false"]);
}

#[test]
fn a_leg_asks_the_node_to_catch_up_and_goes_on_afterwards() {
    let mut leg = leg();
    let mut octets = Vec::new();
    wire::as_of(&mut octets, model::Generation(7));
    octets.extend(forward(&[1], b"later"));
    let step = leg.send(&octets);
    assert!(
        matches!(step, Step::Ask(Ask::CatchUp(model::Generation(7)))),
        "{step:?}"
    );
    assert!(leg.node.told.is_empty());
    leg.answer(Answer::Done);
    assert_eq!(leg.node.told, ["forwarded [1] later"]);
}

#[test]
fn publishes_of_one_frame_are_taken_one_after_the_other_and_each_has_its_own_fate() {
    let mut leg = leg();
    leg.method(1, confirm_select());
    leg.heard();
    leg.node.fates = [Ok(Fate::Taken), Ok(Fate::Rejected), Ok(Fate::Taken)].into();
    let (mut octets, mut tail) = (Vec::new(), wire::Tail::default());
    for sequence in 1..=3 {
        let forwarding = wire::Forwarding {
            channel: 1,
            sequence,
            floor: 1,
            again: false,
            queues: &[model::QueueId(3)],
            exchange: b"x",
            routing_key: b"k",
            properties: &[0, 0],
            body: &[b'0' + sequence as u8],
        };
        wire::forward(&mut octets, &mut tail, &forwarding);
    }
    leg.send(&octets);
    assert_eq!(leg.node.told, ["forwarded [3] 1", "forwarded [3] 2", "forwarded [3] 3"]);
    let told = [
        "1 60.80 tag=1 multiple=false",
        "1 60.120 tag=2",
        "1 60.80 tag=3 multiple=false",
    ];
    assert_eq!(leg.heard(), told);
}

#[test]
fn deliveries_of_a_leg_are_settled_in_runs_up_to_one_that_is_not_known() {
    let mut leg = leg();
    let (mut octets, mut tail) = (Vec::new(), wire::SettledTail::default());
    for tag in [3, 4, 97, 98, 99, 100] {
        wire::settle(&mut octets, &mut tail, 1, wire::Settling::Reject, tag);
    }
    wire::settle(&mut octets, &mut tail, 2, wire::Settling::Ack, 1);
    let step = leg.send(&octets);
    assert!(matches!(step, Step::Ask(Ask::Release(Release::Channel(1)))), "{step:?}");
    let settled = [3, 4, 97, 98, 99].map(|tag| format!("settle 1 {tag} false Reject"));
    assert_eq!(leg.node.told, settled);
    assert_eq!(
        leg.heard(),
        ["1 20.40 406 60.80 PRECONDITION_FAILED - unknown delivery tag 99"]
    );
}

#[test]
fn a_leg_whose_publish_has_broken_properties_is_closed_and_a_client_may_not_forward_at_all() {
    let whole = forward(&[1], b"body");
    let properties = whole.len() - 1 - (4 + 4) - 2;
    let mut broken = leg();
    let mut octets = whole.clone();
    octets[properties] = 0x80;
    assert!(matches!(
        broken.send(&octets),
        Step::Ask(Ask::Release(Release::Connection))
    ));
    assert!(broken.node.told.is_empty());
    let mut client = Client::with_channel();
    let step = client.send(&whole);
    assert!(matches!(step, Step::Ask(Ask::Release(Release::Connection))), "{step:?}");
    assert!(client.node.told.is_empty());
}
