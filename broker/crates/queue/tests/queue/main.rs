//! Behaviour of one queue, as transcripts: commands on the left, effects on the right.
//!
//! `script` is the language of the transcripts, `machine` runs it on the real queue, `naive` on a slow and obvious
//! model of one, `store` is where pages go; `random` compares the two; `copying` is about mirrors' copies. Every rule about queues is a sentence in one of
//! the other files.

#![allow(clippy::unwrap_used, reason = "a script that cannot be read is a broken test")]

mod consuming;
mod copying;
mod dead_letters;
mod durability;
mod expiry;
mod foremost;
mod lifetime;
mod limits;
mod machine;
mod naive;
mod paging;
mod priorities;
mod publishing;
mod random;
mod restart;
mod room;
mod script;
mod settling;
mod single_active;
mod store;
