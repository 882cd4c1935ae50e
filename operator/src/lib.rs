//! The operator: RabbitClusters become running brokers. `crd` is the API, `cluster` carries a RabbitCluster out, `lease` makes sure
//! that one operator acts at a time, `run` is the process around them, `preview` shows every object without a cluster.
//!
//! Only `cluster::observe`, `cluster::act`, the status at the end of a pass, `lease` and `events` talk to the API server.

mod api_error;
pub mod check;
pub mod cluster;
pub mod crd;
pub mod events;
pub mod lease;
pub mod metrics;
pub mod preview;
mod quantity;
pub mod run;
