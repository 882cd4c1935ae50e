//! More connections than anybody needs, most of them with nothing to say.

use crate::{
    broker::{Broker, until},
    client::{Client, GREETING},
};

#[test]
fn a_flood_of_connections_ebbs_away_and_gives_its_descriptors_back() {
    const CLIENTS: usize = 2000;
    let broker = Broker::start_with("handshake_timeout = 3000");
    broker.serves_others();
    let (descriptors, memory) = (broker.descriptors(), broker.memory());
    let mut silent = Vec::new();
    for number in 0..CLIENTS {
        let mut client = Client::new(broker.connect());
        match number % 4 {
            0 => client.send(b"A"),
            1 => client.send(GREETING),
            _ => {}
        }
        silent.push(client);
    }
    broker.serves_others();
    assert!(
        broker.memory() < memory + 100,
        "from {memory} to {} MiB",
        broker.memory()
    );
    until("all are closed", || broker.descriptors() <= descriptors + 2);
    broker.serves_others();
}

#[test]
fn clients_that_vanish_leave_no_descriptor_behind() {
    let broker = Broker::start();
    broker.serves_others();
    let descriptors = broker.descriptors();
    for _ in 0..100 {
        let mut client = broker.client();
        client.open_channel(1);
        client.declare_anonymous(1);
        client.vanish();
    }
    until("all are closed", || broker.descriptors() <= descriptors + 2);
}
