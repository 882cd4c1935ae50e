//! Mirrored queues as a simulation: the broker's own machines of definitions, leaders, mirrors and queues on several nodes, of
//! which each may die, lag behind, be cut off or be thought dead at any moment. A number decides a whole life.
//!
//! What is here beside the machines is thin: logs that lose their end, links that carry octets, and the lines of the host that
//! put machines together. A judge looks after every step whether what clients were promised is kept.

#[path = "../../../broker/crates/store/tests/crash/chance.rs"]
mod chance;
pub mod copies;
pub mod draw;
pub mod hand_over;
pub mod journal;
pub mod judge;
pub mod letters;
pub mod life;
pub mod links;
pub mod log;
pub mod message;
pub mod node;
pub mod origin;
#[path = "../../../broker/src/host/mirrors/record.rs"]
pub mod record;
pub mod rules;
pub mod steps;
pub mod ways;

pub use life::{Faults, Life, SHAPE, Shape};
pub use rules::{RULES, Rule};
