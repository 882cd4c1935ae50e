//! A network peer can never crash, hang or bloat the broker: each test is one attack on the real binary.
//!
//! Sockets are raw, so that what is sent may be wrong. A test looks at what a bystander sees: that a well-behaved second
//! client is served meanwhile, the process's resident memory, and its descriptors. No test sleeps and hopes.

mod broker;
mod client;
mod frames;
#[path = "../ports/mod.rs"]
mod ports;

mod bodies;
mod channels;
mod churn;
mod dead_letters;
mod flood;
mod garbage;
mod http;
mod log_in;
mod readers;
mod stop;
mod tables;
