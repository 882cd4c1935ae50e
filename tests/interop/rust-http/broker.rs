//! What the client's tests say instead of the addresses of a broker on its usual ports: those that the runner gives the suite. It knows
//! addresses only; where a test says one is the runner's business.

use std::env;

/// Where the management API is.
pub fn endpoint() -> String {
    variable("MANAGEMENT_URL") + "/api"
}

/// The port of the management API.
pub fn management_port() -> u16 {
    port(&variable("MANAGEMENT_URL"))
}

/// The host of AMQP's port.
pub fn host() -> String {
    let authority = authority(&variable("AMQP_URL"));
    authority.rsplit_once(':').expect("AMQP_URL has a port").0.to_owned()
}

/// AMQP's port.
pub fn amqp_port() -> u16 {
    port(&variable("AMQP_URL"))
}

/// AMQP's address without a virtual host.
pub fn amqp_endpoint() -> String {
    format!("amqp://{}:{}", host(), amqp_port())
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("{name} names the broker"))
}

/// The host and port of an address.
fn authority(address: &str) -> String {
    let (_, rest) = address.split_once("://").expect("an address has a scheme");
    let authority = rest.split('/').next().unwrap_or(rest);
    authority.rsplit('@').next().unwrap_or(authority).to_owned()
}

fn port(address: &str) -> u16 {
    let authority = authority(address);
    let (_, port) = authority.rsplit_once(':').expect("the address has a port");
    port.parse().expect("a port is a number")
}
