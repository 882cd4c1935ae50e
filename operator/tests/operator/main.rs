//! What the operator promises, tested through its own door: manifests by golden files, the plan by tables and by random histories,
//! the printed definitions and the charts by comparison with what they are generated from.

#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

mod charts;
mod definitions;
mod leave;
mod manifests;
mod plan;
mod plan_histories;
mod policies;
mod policy_histories;
mod policy_status;
mod rollback;
mod status;
mod words;
