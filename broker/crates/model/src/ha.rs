//! The `ha-*` keys of a policy: how many mirrors a classic queue has and how they behave.
//!
//! Only reads and combines them; who mirrors what is decided elsewhere.

use crate::{PolicyError, PolicyLevel, Table, Value};
use serde::{Deserialize, Serialize};

/// Which nodes hold a copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HaMode {
    /// Every node.
    All,
    /// This many, the leader counted.
    Exactly(u64),
    /// These nodes.
    Nodes(Vec<String>),
}

/// Whether only a synchronised mirror may be promoted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Promote {
    /// `when-synced`
    WhenSynced,
    /// `always`
    Always,
}

/// The `ha-*` keys of one policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ha {
    /// `ha-mode` with `ha-params`
    pub mode: HaMode,
    /// `ha-sync-mode` is `automatic`
    pub sync_automatic: Option<bool>,
    /// `ha-sync-batch-size`, messages
    pub sync_batch_size: Option<u64>,
    /// `ha-promote-on-shutdown`
    pub promote_on_shutdown: Option<Promote>,
    /// `ha-promote-on-failure`
    pub promote_on_failure: Option<Promote>,
}

const OPERATOR_KEYS: [&str; 3] = ["ha-mode", "ha-params", "ha-sync-mode"];
const USER_KEYS: [&str; 3] = ["ha-sync-batch-size", "ha-promote-on-shutdown", "ha-promote-on-failure"];

impl Ha {
    pub(crate) fn knows(level: PolicyLevel, key: &str) -> bool {
        OPERATOR_KEYS.contains(&key) || (level == PolicyLevel::User && USER_KEYS.contains(&key))
    }

    /// Reads the keys out of a definition; `None` without any.
    pub(crate) fn parse(table: &Table) -> Result<Option<Ha>, PolicyError> {
        let Some(mode) = table.get("ha-mode") else {
            return match table.0.iter().any(|(key, _)| Ha::knows(PolicyLevel::User, key)) {
                true => {
                    refuse("ha-mode must be specified to specify ha-params, ha-sync-mode or ha-promote-on-shutdown")
                }
                false => Ok(None),
            };
        };
        Ok(Some(Ha {
            mode: parse_mode(mode, table.get("ha-params"))?,
            sync_automatic: table.get("ha-sync-mode").map(sync_mode).transpose()?,
            sync_batch_size: table.get("ha-sync-batch-size").map(batch_size).transpose()?,
            promote_on_shutdown: promote(table, "ha-promote-on-shutdown")?,
            promote_on_failure: promote(table, "ha-promote-on-failure")?,
        }))
    }

    /// Combines the keys of both policies: more mirrors win, the operator's sync mode wins, the rest is the user's.
    pub fn effective(user: Option<&Ha>, operator: Option<&Ha>) -> Option<Ha> {
        let (user, operator) = match (user, operator) {
            (Some(user), Some(operator)) => (user, operator),
            (a, b) => return a.or(b).cloned(),
        };
        Some(Ha {
            mode: more_mirrors(&user.mode, &operator.mode).clone(),
            sync_automatic: operator.sync_automatic.or(user.sync_automatic),
            ..user.clone()
        })
    }

    /// Only the mode of what [`Ha::effective`] says.
    pub fn effective_mode<'a>(user: Option<&'a Ha>, operator: Option<&'a Ha>) -> Option<&'a HaMode> {
        match (user, operator) {
            (Some(user), Some(operator)) => Some(more_mirrors(&user.mode, &operator.mode)),
            (a, b) => a.or(b).map(|ha| &ha.mode),
        }
    }

    /// As [`Ha::effective`], and the outcome is written into the merged `table` where both say something.
    pub(crate) fn merged(user: Option<&Ha>, operator: Option<&Ha>, table: &mut Table) -> Option<Ha> {
        let merged = Ha::effective(user, operator)?;
        if user.is_some() && operator.is_some() {
            table.set("ha-mode", merged.mode.name().into());
            match merged.mode.params() {
                Some(params) => table.set("ha-params", params),
                None => drop(table.remove("ha-params")),
            }
        }
        Some(merged)
    }
}

impl HaMode {
    fn name(&self) -> &'static str {
        match self {
            HaMode::All => "all",
            HaMode::Exactly(_) => "exactly",
            HaMode::Nodes(_) => "nodes",
        }
    }

    fn params(&self) -> Option<Value> {
        match self {
            HaMode::All => None,
            HaMode::Exactly(count) => Some(Value::I64(i64::try_from(*count).unwrap_or(i64::MAX))),
            HaMode::Nodes(nodes) => Some(Value::Array(nodes.iter().map(|node| node.as_str().into()).collect())),
        }
    }
}

fn more_mirrors<'a>(user: &'a HaMode, operator: &'a HaMode) -> &'a HaMode {
    let rank = |mode: &HaMode| match mode {
        HaMode::All => (2, 0),
        HaMode::Exactly(count) => (1, *count),
        HaMode::Nodes(nodes) => (0, nodes.len() as u64),
    };
    if rank(user) > rank(operator) { user } else { operator }
}

fn refuse<T>(text: impl Into<String>) -> Result<T, PolicyError> {
    Err(PolicyError(text.into()))
}

fn parse_mode(mode: &Value, params: Option<&Value>) -> Result<HaMode, PolicyError> {
    let given = || params.map_or_else(|| "none".to_owned(), Value::term);
    match (mode.as_text(), params) {
        (Some("all"), None) => Ok(HaMode::All),
        (Some("all"), Some(_)) => refuse("ha-mode=\"all\" does not take parameters"),
        (Some("exactly"), params) => {
            let count = params
                .and_then(Value::as_integer)
                .and_then(|n| u64::try_from(n).ok())
                .filter(|n| *n > 0);
            count.map_or_else(
                || refuse(format!("ha-mode=\"exactly\" takes an integer, {} given", given())),
                |n| Ok(HaMode::Exactly(n)),
            )
        }
        (Some("nodes"), Some(Value::Array(nodes))) => node_list(nodes),
        (Some("nodes"), _) => refuse(format!("ha-mode=\"nodes\" takes a list, {} given", given())),
        _ => refuse(format!("{} is not a valid ha-mode value", mode.term())),
    }
}

fn node_list(nodes: &[Value]) -> Result<HaMode, PolicyError> {
    if nodes.is_empty() {
        return refuse("ha-mode=\"nodes\" list must be non-empty");
    }
    let (names, strange): (Vec<&Value>, Vec<&Value>) = nodes.iter().partition(|node| node.as_text().is_some());
    if !strange.is_empty() {
        let strange = Value::Array(strange.into_iter().cloned().collect()).term();
        return refuse(format!(
            "ha-mode=\"nodes\" takes a list of strings, {strange} was not a string"
        ));
    }
    Ok(HaMode::Nodes(names.into_iter().map(Value::plain).collect()))
}

fn sync_mode(value: &Value) -> Result<bool, PolicyError> {
    match value.as_text() {
        Some("automatic") => Ok(true),
        Some("manual") => Ok(false),
        _ => refuse(format!(
            "ha-sync-mode must be \"manual\" or \"automatic\", got {}",
            value.term()
        )),
    }
}

fn batch_size(value: &Value) -> Result<u64, PolicyError> {
    let size = value
        .as_integer()
        .and_then(|n| u64::try_from(n).ok())
        .filter(|n| *n > 0);
    size.map_or_else(
        || {
            refuse(format!(
                "ha-sync-batch-size takes an integer greater than 0, {} given",
                value.term()
            ))
        },
        Ok,
    )
}

fn promote(table: &Table, key: &str) -> Result<Option<Promote>, PolicyError> {
    let Some(value) = table.get(key) else { return Ok(None) };
    match value.as_text() {
        Some("when-synced") => Ok(Some(Promote::WhenSynced)),
        Some("always") => Ok(Some(Promote::Always)),
        _ => refuse(format!(
            "{key} must be \"always\" or \"when-synced\", got {}",
            value.term()
        )),
    }
}
