//! From a RabbitCluster to running brokers, in steps that each live in a file: `observe` reads everything or fails, `nodes` asks the brokers,
//! `validate` makes a cluster that is known to be buildable, `plan` decides the one step of this pass, `build` makes every
//! object whole, `act` writes, `status` says what is. `validate`, `plan`, `build` and `status` are pure: no client, no clock,
//! no randomness. `reconcile` strings them together.

pub mod act;
pub mod between;
pub mod build;
mod causes;
pub mod certificate;
pub mod counts;
pub mod definitions;
pub mod discovery;
mod drain;
pub mod heed;
pub mod holdings;
mod hurry;
pub mod image;
pub mod keys;
pub mod leave;
pub mod level;
mod members;
mod memory;
pub mod names;
pub mod nodes;
pub mod observe;
pub mod pace;
mod past;
mod phase;
pub mod plan;
pub mod pod_overrides;
pub mod reconcile;
pub mod renew;
pub mod rollback;
pub mod rollouts;
pub mod rotation;
pub mod secrets;
pub mod settings;
pub mod settled;
pub mod situation;
pub mod skew;
pub mod status;
pub mod talk;
pub mod validate;
pub mod volumes;
#[cfg(test)]
mod writes_tests;
