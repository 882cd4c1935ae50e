//! The judge of broker behaviour: a table of AMQP 0-9-1 behaviours, a client that can misbehave, and the stage on
//! which each behaviour is played against any server. RabbitMQ itself decides what is right: a behaviour that it
//! fails is a wrong behaviour. Nothing here depends on Warren's own crates.

pub mod behaviours;
pub mod cli;
pub mod client;
mod command;
mod confirms;
pub mod definitions;
pub mod expect;
pub mod host;
mod http;
pub mod lex;
pub mod lines;
pub mod management;
pub mod methods;
pub mod metrics;
pub mod octets;
pub mod report;
pub mod script;
pub mod server;
pub mod stage;
pub mod value;
