//! Which queues a message goes to: exchange types, bindings, the topic trie, alternate exchanges, exchanges bound to
//! exchanges.
//!
//! [`Router`] is one persistent value per virtual host. Chance and message content come in as data (I2); equal inputs
//! give equal queues in equal order on every node. Nothing here knows users, durability or the wire.

mod binding;
mod hash;
mod headers;
mod index;
mod router;
mod small_map;
mod target;
mod topic;

pub use binding::{Binding, Destination};
pub use index::{BadBinding, Content};
pub use router::{Keeper, NoSuchExchange, Queues, Routed, Router};
