//! From a Policy to a policy in the brokers: `desired` turns the spec into what the brokers should hold, `observe` reads the
//! cluster and asks its brokers, `plan` decides the one step of a pass, `act` takes it, `status` says what is. `desired`, `plan`,
//! `feasible` and `status` are pure. `broker` is the operator's side of the brokers' admin port. `reconcile` strings them together.
//!
//! Two rules hold everywhere: nothing is written for a Policy whose place belongs to another one, and nothing in the
//! brokers is removed that this Policy did not put there.

pub mod act;
pub mod broker;
pub mod desired;
pub mod feasible;
pub mod observe;
pub mod plan;
pub mod reconcile;
pub mod rivals;
pub mod status;
