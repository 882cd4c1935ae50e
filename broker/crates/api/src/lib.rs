//! The JSON shapes of the management API, shared by server, command line and operator.
//!
//! Field names and types are compatibility: each shape is read from and written back to what a real RabbitMQ answered
//! (`tests/golden`). No rule lives here, no HTTP, and nothing that only one of the three needs.

mod access;
mod arguments;
mod attention;
mod client;
mod copies;
mod definitions;
mod error;
mod exchange;
mod health;
mod membership;
mod message;
mod node;
mod overview;
mod page;
mod policy;
mod queue;
mod rates;
mod settings;
mod vhost;

pub use access::{Limits, Permission, TopicPermission, User, UserLimits, WhoAmI};
pub use arguments::{Arguments, ArgumentsError, from_json, to_json};
pub use attention::{Attention, Concern, Severity, Troubled};
pub use client::{Channel, ChannelDetails, Connection, ConnectionDetails, Consumer};
pub use copies::{Move, QueueCopies, QueueCopy, QueueName, RebalanceOrder, Rebalanced, TransferOrder, Transferred};
pub use definitions::{
    BindingDefinition, Definitions, ExchangeDefinition, QueueDefinition, UserDefinition, VhostDefinition,
};
pub use error::ApiError;
pub use exchange::{Binding, DestinationType, Exchange};
pub use health::{Alarm, Health, HealthStatus};
pub use membership::{
    Changes, ClusterMember, Copies, Evacuation, EvacuationOrder, FeatureLevel, LeaderOrder, Leaving, Led, Links,
    Maintenance, Membership, PeerLink, Reading,
};
pub use message::{GotMessage, Publish, Published};
pub use node::{Application, Context, Described, Listener, Node, NodeIo};
pub use overview::{ObjectTotals, Overview, SampleRetention};
pub use page::Page;
pub use policy::{ApplyTo, GlobalParameter, MirrorCounts, Parameter, Policy, PolicyReport, ShadowingPolicy};
pub use queue::{BackingQueueStatus, OwnerDetails, Queue, QueueRef, Totals};
pub use rates::{Counted, MeanTime, MeanTimes, Rate, Rates, Sample, Series, TimeSample};
pub use settings::{Settings, SettingsTaken, TAKEN_OVER_AT_ONCE, is_taken_over_at_once};
pub use vhost::{Vhost, VhostLimits};
