//! The shell around the machines: sockets, tasks, locks, clocks and chance.
//!
//! Here things are done and nothing is decided. The data path is described in ARCHITECTURE.md, "The life of a publish".

pub mod alarms;
mod attempts;
mod batch;
#[cfg(test)]
mod by_hand;
mod cell;
mod certificate_name;
pub mod certificates;
mod changes;
mod client;
mod clients;
mod connection;
mod consumers;
mod content;
mod control;
mod counters;
mod critical;
pub mod data_directory;
mod dead_letter;
mod definitions;
mod delayed;
mod direct_reply;
mod errands;
mod events;
mod exchanges;
mod far_view;
mod first_start;
mod flows;
mod gate;
mod image;
mod intercept;
mod journal;
mod keepers;
mod keeping;
mod leaving;
mod legs;
mod letters;
mod limits;
pub mod listener;
mod loads;
mod log_exchange;
mod maintenance;
pub mod memory;
mod message;
mod metered;
mod mirrors;
mod moved;
mod names;
mod neighbour;
mod new_vhosts;
mod node;
mod notes;
mod nowhere;
mod offers;
mod operate;
mod outbox;
mod own_exchange;
pub mod paging;
mod pause;
mod peek;
mod plugins;
mod pool;
mod proxy;
mod quorum;
mod recent_history;
mod remote;
mod renew;
mod requests;
mod resettle;
mod retire;
mod route;
mod socket;
mod stored;
mod strayed;
mod take_far;
mod tally;
mod timers;
pub mod tls;
mod tls_facts;
mod trace;
mod view;

pub use attempts::{Attempts, Source, Way};
#[cfg(test)]
pub use by_hand::{leave, send, started as started_by_hand};
pub use client::{Client, Profile};
pub use counters::{
    ChannelCounts, ExchangeCounts, FileCounts, NodeCounters, NodeCounts, Traffic, VhostCounts, sum as sum_counters,
};
pub use definitions::kept_queues;
#[cfg(test)]
pub use definitions::{durable_queue, started, started_blank};
pub use errands::run as run_errands;
pub use events::{Events, Followed, Happening, acting, acting_for_cli, acts, run as run_events};
pub use far_view::{NUMBERS, numbers};
pub use first_start::{algorithm as hash_algorithm, type_of_new_vhosts};
pub use flows::Flow;
pub use gate::{Gate, Gated};
pub use image::{Image, ImageFile};
pub use keeping::Keeping;
pub use legs::{Dial, Opening as LegOpening, serve as serve_leg};
pub use letters::Assured;
pub use limits::check_password;
pub use loads::run as run_loads;
pub use log_exchange::LogMessage;
pub use message::Message;
pub use mirrors::{
    Growing, Member, Membership, Reign, Resized, Selection, run as run_mirrors, run_forced as run_forced_promotions,
    serve as serve_mirrors,
};
pub use neighbour::{AlarmsOn, run as run_neighbours};
pub use new_vhosts::defaults_of_new_vhost;
pub use node::{Node, RABBITMQ_VERSION, Snapshot};
pub use nowhere::run as run_rounds;
pub use operate::{Afterwards, Post, Taken};
pub use pause::run as run_pauses;
pub use peek::Seen;
pub use requests::check_led_here;
pub use retire::run as run_retirements;
pub use strayed::run as run_strayed;
pub use timers::run as run_timers;
pub use tls_facts::TlsFacts;
pub use view::{CLUSTER_ID, ChannelView, ConsumerView, QueueView};
