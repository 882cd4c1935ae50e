//! Numbers that must never be swapped for one another, each with its own type.
//!
//! Ids are handed in as data (I2): nothing here draws one.

use serde::{Deserialize, Serialize};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub u64);

        impl $name {
            /// The one after this.
            #[must_use]
            pub fn next(self) -> Self {
                Self(self.0 + 1)
            }
        }
    };
}

id!(
    /// Milliseconds: a point on the host's clock (since the Unix epoch), or a span of time.
    Millis
);
id!(
    /// Position of a message in its queue, from 1, in order of arrival; never used twice in a queue's life.
    Seq
);
id!(
    /// A page: a run of messages of one queue and level that lies in the store.
    PageId
);
id!(
    /// Reign of a queue's leader. A new one begins only by a committed catalogue entry (I3).
    Epoch
);
id!(
    /// A queue's identity in the whole cluster: a queue deleted and declared again has a new one.
    QueueId
);
id!(
    /// A client connection on this node.
    ConnectionId
);
id!(
    /// A consumer on this node; never used twice.
    ConsumerId
);
id!(
    /// Number of a delivery on its channel, from 1, as the client sees it.
    DeliveryTag
);
id!(
    /// Counts the published states of the catalogue; route caches are keyed by it.
    Generation
);

impl Millis {
    /// This point in time moved by `span`; stays at the end of time instead of wrapping.
    #[must_use]
    pub fn after(self, span: Millis) -> Millis {
        Millis(self.0.saturating_add(span.0))
    }
}
