//! ONE queue as a pure machine: publish, consume, get, settle, expire, overflow, dead-letter.
//!
//! The host holds a lock around [`Queue`] and the task that holds it does the work; what the queue wants done
//! goes to a sink given with each command (static dispatch, nothing collected). Ready messages above a limit go to a
//! store by pages and come back as commands; what must survive is handed to it by message. Time enters as data (I2), equal
//! commands give equal effects (I1). What a mirror holds of a queue that another node leads is a [`Copy`]. This room
//! knows no AMQP bytes, no names, no exchange, no disk and no other queue.

mod again;
mod backlog;
mod cancel;
mod chunks;
mod consumers;
mod copied;
mod copy;
mod counts;
mod dedup;
mod deliver;
mod expire;
mod foremost;
mod fresh;
mod lane;
mod listing;
mod message;
mod page;
mod paging;
mod peek;
mod publish;
mod queue;
mod restore;
mod seqs;
mod settings;
mod settle;
mod sink;
mod subscribe;
mod unacked;

pub use copied::Copied;
pub use copy::{Copy, CopySink};
pub use counts::{Counters, Counts, Tally};
pub use dedup::{Dedup, Judged, Known, Origin, Stamp};
pub use deliver::{Fetched, Got};
pub use message::{Facts, Incoming, Message, NEVER};
pub use page::{Paged, Restored, RestoredPage};
pub use peek::{PageWanted, Peeked, Portion};
pub use publish::Published;
pub use queue::{ConsumerView, Queue};
pub use settings::Settings;
pub use settle::{Settle, UnknownSlot};
pub use sink::{Death, Delivery, DirectSink, Retire, Sink, Stored, Taken};
pub use subscribe::{SubscribeError, Subscription};
pub use unacked::Slot;
