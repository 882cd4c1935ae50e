//! Any node serves any queue: what a client has going on with queues that another node leads goes over a *leg*, a
//! connection of its own to that node, in AMQP frames.
//!
//! At the client's node (`leg`, `reader`, `edge`) publishes are routed and permissions checked; deliveries are numbered
//! anew. At the leader (`serve`) a leg is one more client of the same code. A client that is nowhere else costs nothing.

mod aside;
mod books;
mod courier;
mod dial;
mod edge;
mod estate;
mod kept;
mod leg;
mod pipe;
mod reader;
mod remote;
mod serve;

pub use aside::are_decided;
pub use books::Refused;
pub use courier::{Arrival, Couriers};
pub use dial::Dial;
pub use edge::{Awaited, Legs};
pub use estate::{Estate, Unheard};
pub use leg::{FarConsumer, Heard, Heirs, Leg, Process, Question, Standing, qos};
pub use reader::{refusal, tell_cancelled};
pub use remote::Remote;
pub use serve::{Opening, ServedLegs, end, serve};
