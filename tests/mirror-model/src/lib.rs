//! The mirror protocol as a model that a program can explore: three nodes, one queue, every order of events.
//!
//! It is held against the rules of the protocol twice. Every state that it reaches is judged, and each rule can be
//! switched off alone, which must then be found out. Its catalogue steps are held against the broker's own state machine.

mod against;
mod copy;
mod heal;
mod judge;
mod record;
mod rules;
mod search;
mod state;
mod step;

pub use against::{Shadow, compare_all};
pub use rules::{RULES, Rule};
pub use search::{Draw, Extent, Found, Violation, breadth, walk};
pub use state::{Bounds, State};
pub use step::{Step, steps};
