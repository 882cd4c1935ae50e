//! The words of the house: names, ids, argument values and reply codes, parsed once and valid for ever.
//!
//! Everything that crosses a room's door is made of these types. Nothing here knows bytes on the wire,
//! JSON, files or time of day; nothing here depends on another room.

mod exchange_kind;
mod ids;
mod name;
mod reply;
mod value;

pub use exchange_kind::{ExchangeKind, UnknownExchangeType};
pub use ids::{ConnectionId, ConsumerId, DeliveryTag, Epoch, Generation, Millis, QueueId, Seq};
pub use name::{ExchangeName, NameError, QueueName, UserName, VhostName};
pub use reply::{Refusal, ReplyCode, Scope};
pub use value::{Decimal, Table, Value};
