//! What an operator does by itself: nodes go back from what they cannot run with, and get other volumes for which they leave and join again, or
//! larger ones for which they do not.

use super::cluster::{CHANGED, NAME, condition, patch, pod, uid};
use super::kube::{get, within};
use super::plan::NODES;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

/// Every volume becomes so much smaller each time.
const SMALLER_BY_MI: u64 = 64;
/// Or so much larger.
const LARGER_BY_MI: u64 = 32;

fn revisions() -> Result<Vec<Value>> {
    let of = |ordinal| Ok(get("pod", &pod(ordinal))?["metadata"]["labels"]["controller-revision-hash"].clone());
    (0..NODES).map(of).collect()
}

/// A setting that is none: the first pod ends as often as it starts, is put back unasked, and the others are not touched.
pub(super) fn roll_back() -> Result<()> {
    let (config, before) = (get("rmq", NAME)?["spec"]["config"].clone(), revisions()?);
    // To what all ran well with, which is written down once they have.
    within(CHANGED, || {
        let settled = &get("configmap", &format!("{NAME}-settled"))?["data"]["revision"];
        Ok((before.iter().any(|revision| revision != settled))
            .then(|| format!("{settled} and not {before:?} is settled")))
    })?;
    let pods = (0..NODES).map(uid).collect::<Result<Vec<_>>>()?;
    let wrong = format!("{}no_such_setting = 1\n", config.as_str().unwrap_or_default());
    let canary = json!({"nodes": 1, "pauseSeconds": 5, "autoRollback": true});
    patch(&json!({"config": wrong, "update": {"canary": canary}}))?;
    within(2 * CHANGED, || {
        let (told, now) = (condition(&get("rmq", NAME)?, "RolledBack"), revisions()?);
        let is_back = told["status"] == "True" && now == before;
        Ok((!is_back).then(|| format!("{now:?} and not {before:?}: {told}")))
    })?;
    let now = (0..NODES).map(uid).collect::<Result<Vec<_>>>()?;
    let touched = now.iter().filter(|uid| !pods.contains(uid)).count();
    ensure!(
        touched == 1,
        "{touched} pods were replaced for a configuration with which the first did not start"
    );
    patch(&json!({"config": config, "update": {"canary": null}}))?;
    within(CHANGED, || {
        let told = condition(&get("rmq", NAME)?, "RolledBack");
        Ok((told["status"] != "False").then(|| told.to_string()))
    })
}

/// Another volume for each node, one after the other.
pub(super) fn replace_volumes() -> Result<()> {
    let claim = |ordinal| get("pvc", &format!("data-{}", pod(ordinal)));
    let all = || (0..NODES).map(claim).collect::<Result<Vec<_>>>();
    let storage = get("rmq", NAME)?["spec"]["persistence"]["storage"].clone();
    let smaller = smaller(storage.as_str().unwrap_or_default())?;
    let old = all()?;
    patch(&json!({"persistence": {"storage": smaller, "shrinkPolicy": "ReplaceNodes"}}))?;
    within(4 * CHANGED, || {
        let new = all()?;
        let mut kept = new.iter().filter(|new| {
            let is_old = old.iter().any(|old| old["metadata"]["uid"] == new["metadata"]["uid"]);
            is_old || new["spec"]["resources"]["requests"]["storage"] != smaller
        });
        let reason = &get("rmq", NAME)?["status"]["summary"]["reason"];
        Ok(kept
            .next()
            .map(|claim| format!("{} is not another of {smaller}: {reason}", claim["metadata"]["name"])))
    })?;
    patch(&json!({"persistence": {"shrinkPolicy": null}}))
}

/// More room for each node, in the same pods.
pub(super) fn grow_volumes() -> Result<()> {
    let storage = get("rmq", NAME)?["spec"]["persistence"]["storage"].clone();
    let larger = larger(storage.as_str().unwrap_or_default())?;
    let pods = (0..NODES).map(uid).collect::<Result<Vec<_>>>()?;
    patch(&json!({"persistence": {"storage": larger}}))?;
    within(2 * CHANGED, || {
        let claims = (0..NODES).map(|ordinal| get("pvc", &format!("data-{}", pod(ordinal))));
        let mut kept = claims
            .filter_map(Result::ok)
            .filter(|claim| claim["status"]["capacity"]["storage"] != larger);
        let told = condition(&get("rmq", NAME)?, "VolumesSized");
        let why = kept
            .next()
            .map(|claim| format!("{} has not {larger}: {told}", claim["metadata"]["name"]));
        Ok(why.or_else(|| (told["status"] != "True").then(|| told.to_string())))
    })?;
    let now = (0..NODES).map(uid).collect::<Result<Vec<_>>>()?;
    ensure!(now == pods, "pods were replaced for volumes that have grown under them");
    Ok(())
}

fn mi(storage: &str) -> Option<u64> {
    let number = |unit| storage.strip_suffix(unit).and_then(|digits| digits.parse::<u64>().ok());
    number("Mi").or_else(|| Some(number("Gi")? * 1024))
}

/// A size that is a little more.
fn larger(storage: &str) -> Result<String> {
    let mi = mi(storage).with_context(|| format!("volumes of {storage} cannot be larger"))?;
    Ok(format!("{}Mi", mi + LARGER_BY_MI))
}

/// A size that is a little less.
fn smaller(storage: &str) -> Result<String> {
    let left = mi(storage)
        .and_then(|mi| mi.checked_sub(SMALLER_BY_MI))
        .filter(|left| *left > 0);
    Ok(format!(
        "{}Mi",
        left.with_context(|| format!("volumes of {storage} cannot be smaller"))?
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_become_a_little_smaller_or_larger_each_time_and_never_nothing() {
        assert_eq!(smaller("1Gi").unwrap(), "960Mi");
        assert_eq!(smaller("960Mi").unwrap(), "896Mi");
        assert!(smaller("64Mi").is_err());
        assert!(smaller("1").is_err());
        assert_eq!(larger("1Gi").unwrap(), "1056Mi");
        assert_eq!(larger("960Mi").unwrap(), "992Mi");
    }
}
