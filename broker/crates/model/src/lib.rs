//! The words of the house: names, ids, argument values and reply codes, parsed once and valid for ever.
//!
//! Everything that crosses a room's door is made of these types. Nothing here knows bytes on the wire,
//! JSON, files or time of day; nothing here depends on another room.

mod argument;
mod exchange_args;
mod exchange_kind;
mod ha;
mod ids;
mod name;
mod node_uuid;
mod policy;
mod queue_args;
mod queue_settings;
mod reply;
mod runs;
mod term_text;
mod value;

pub use argument::ArgumentError;
pub use exchange_args::{ExchangeArgs, ExchangeArgsError, HashOn, HashProperty};
pub use exchange_kind::{ExchangeKind, UnknownExchangeType};
pub use ha::{Ha, HaMode, Promote};
pub use ids::{ConnectionId, ConsumerId, DeliveryTag, Epoch, Generation, Millis, PageId, QueueId, Seq};
pub use name::{ExchangeName, NameError, QueueName, UserName, VhostName};
pub use node_uuid::{NodeUuid, NotAUuid};
pub use policy::{ApplyTo, PolicyDefinition, PolicyError, PolicyLevel};
pub use queue_args::{Inequivalent, Overflow, QueueArgs, QueueKind, UnknownQueueType};
pub use queue_settings::{DeadLetter, QueueSettings};
pub use reply::{Refusal, ReplyCode, Scope};
pub use runs::Runs;
pub use value::{Decimal, Table, Value};
