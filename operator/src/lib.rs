//! The operator: RabbitClusters become running brokers, and Policies policies in them. `crd` is the API, `cluster` carries a
//! RabbitCluster out and `policy` a Policy, `lease` makes sure that one operator acts at a time, `run` is the process around them,
//! `preview` shows every object without a cluster.
//!
//! Only `observe` and `act` of both, the status at the end of a pass (that of what is not understood: `unreadable`), `lease` and `events` talk to the API
//! server.

mod api_error;
pub mod check;
pub mod cluster;
mod conditions;
pub mod crd;
pub mod events;
mod kstatus;
pub mod lease;
pub mod metrics;
pub mod policy;
pub mod preview;
mod quantity;
pub mod run;
mod unreadable;
mod wake;
