//! The field `update` of a RabbitCluster: how a change of the pods reaches them. Everything here holds nodes that are well; those that are
//! broken are replaced whatever it says.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a change of the pods reaches them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Update {
    /// Who replaces pods that run an old template.
    #[serde(default)]
    pub strategy: UpdateStrategy,
    /// What is done about a node that leads mirrored queues of which no mirror is in sync: they are away while it restarts.
    #[serde(default)]
    pub unsynced_mirrors: UnsyncedMirrors,
    /// How many seconds a node that is told to stop, by whomever, may wait for mirrors that are about to be in sync with queues that it leads. Default: 60.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(
        validation = Rule::new("self >= 0 && self <= 604800")
            .message("update.drainTimeoutSeconds must be between 0 and 604800, a week")
    )]
    pub drain_timeout_seconds: Option<i64>,
    /// The first nodes of a new template are watched before the others follow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<Canary>,
    /// When nodes that are well may be replaced. Default: always.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub maintenance_windows: Vec<MaintenanceWindow>,
    /// When a new release is final, so that nodes cannot go back to the one before any more.
    #[serde(default)]
    pub finalize: Finalize,
    /// Whether nodes lead about as many queues each again when all are replaced.
    #[serde(default)]
    pub rebalance: Rebalance,
}

/// When a new release is final.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum Finalize {
    /// As soon as every node runs it.
    #[default]
    Automatic,
    /// When this field becomes Automatic. Until then nodes can go back to the release before, and what is new in this one is not used.
    Manual,
}

/// What is done about queues without a mirror in sync.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum UnsyncedMirrors {
    /// Mirrors are told to synchronise, and their node is replaced when one has.
    #[default]
    Sync,
    /// Their node is replaced when one is in sync by itself.
    Wait,
    /// Their node is replaced all the same; the messages are back with it.
    Proceed,
}

/// Who replaces pods that run an old template.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum UpdateStrategy {
    /// The operator, one at a time, when the others can do without it.
    #[default]
    Automatic,
    /// The operator, but for the last one: you delete that when the others have shown that they work.
    Supervised,
    /// You, by deleting pods when it suits you. One that never became ready is still replaced.
    OnDelete,
}

/// Whether nodes lead about as many queues each again when all are replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum Rebalance {
    /// Leaders are spread once, over mirrors that are in sync.
    #[default]
    AfterRoll,
    /// Leaders stay where they are.
    Never,
}

/// The first nodes of a new template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Canary {
    /// How many.
    #[serde(default = "one")]
    #[x_kube(validation = Rule::new("self >= 1 && self <= 99").message("update.canary.nodes must be between 1 and 99"))]
    pub nodes: i32,
    /// Seconds for which each of them must have taken clients without a break before the next node is replaced.
    #[serde(default = "five_minutes")]
    #[x_kube(
        validation = Rule::new("self >= 0 && self <= 604800")
            .message("update.canary.pauseSeconds must be between 0 and 604800, a week")
    )]
    pub pause_seconds: i32,
    /// Whether nodes go back to what they ran before when one of the first keeps ending, takes no clients for `pauseSeconds` (at least a minute) or
    /// alone has an alarm. They stay there until the spec asks for something else of the pods.
    #[serde(default)]
    pub auto_rollback: bool,
}

/// A time in which nodes that are well may be replaced.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct MaintenanceWindow {
    /// The days on which it begins. Default: every day.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 7))]
    pub days: Vec<Day>,
    /// When it begins, in UTC, such as 02:00.
    #[schemars(length(max = 5))]
    #[x_kube(
        validation = Rule::new("self.matches('^([01][0-9]|2[0-3]):[0-5][0-9]$')")
            .message("update.maintenanceWindows.start must be a time such as 02:00, in UTC")
    )]
    pub start: String,
    /// How many minutes it lasts.
    #[serde(default = "an_hour")]
    #[x_kube(
        validation = Rule::new("self >= 1 && self <= 1440")
            .message("update.maintenanceWindows.durationMinutes must be between 1 and 1440, a day")
    )]
    pub duration_minutes: i32,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[allow(missing_docs, reason = "the names of the days say it")]
pub enum Day {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

fn one() -> i32 {
    1
}

fn five_minutes() -> i32 {
    300
}

fn an_hour() -> i32 {
    60
}
