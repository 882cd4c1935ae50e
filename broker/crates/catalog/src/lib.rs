//! The definitions of the whole cluster as one pure state machine: virtual hosts, exchanges, queues, bindings, users,
//! permissions, policies, parameters.
//!
//! [`decide`] judges a client's request on a snapshot, [`Catalog::apply`] changes the state by one command and tells
//! what changed. Queues' messages and consumers, files and sockets are not known here.

mod admin;
mod apply;
#[cfg(test)]
mod apply_tests;
mod binding_rules;
mod bindings;
mod check;
mod command;
mod copy_index;
mod copy_placement;
mod decide;
mod definitions;
mod event;
mod exchange_rules;
#[cfg(test)]
mod fixture;
mod history;
mod image;
mod leadership;
mod leaving;
mod mirror_queries;
mod mirrors;
#[cfg(test)]
mod mirrors_fixture;
#[cfg(test)]
mod mirrors_properties;
mod nodes;
mod placement;
mod policies;
mod queue_rules;
mod record;
mod replicas;
mod request;
mod state;
mod texts;
mod topology;

pub use bindings::properties_key;
pub use check::{Open, check_channel, check_enter, check_publish, check_read};
pub use command::{Answer, Command, ExchangeSpec, NodeDeath, PolicySpec, QueueSpec, Turn};
pub use decide::decide;
pub use definitions::{
    BindingDefinition, Definitions, ExchangeDefinition, PermissionDefinition, QueueDefinition,
    TopicPermissionDefinition, VhostDefinition,
};
pub use event::{Event, Loss};
pub use history::Forced;
pub use image::{Image, ImageError};
pub use leadership::Transfer;
pub use mirror_queries::{MemberNames, MirrorNames, OnShutdown, Promotion};
pub use mirrors::{MirrorAct, MirrorChange, MirrorRefusal, MirrorsProposal};
pub use placement::{Locator, leader};
pub use record::{
    ExchangeRecord, NodeKind, NodeName, NodeRecord, Owner, Policy, QueueRecord, VhostLimits, VhostMetadata,
};
pub use replicas::{CopyRecord, CopyState, Replicas};
pub use request::{Client, Conditions, Decision, DeclareExchange, DeclareQueue, Request};
pub use state::{Catalog, Vhost};
