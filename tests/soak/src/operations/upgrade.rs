//! To the image of the next release and back, and to it for good; while pods are replaced nodes of both work beside each other.

use super::cluster::{CHANGED, NAME, condition, patch, replaced, restart, well};
use super::kube::{get, within};
use super::plan::NODES;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

/// Does it, with the images of all releases in order; without a next one the pods are replaced for nothing.
pub(super) fn to_the_next(releases: &[String]) -> Result<()> {
    let before = get("rmq", NAME)?;
    let running = before["status"]["image"].as_str().unwrap_or_default();
    let at = releases.iter().position(|image| image == running);
    let at = at.with_context(|| format!("{running} is none of {releases:?}"))?;
    let Some(next) = releases.get(at + 1) else {
        return restart();
    };
    let level = level(&before)?;
    change(next, "Manual")?;
    told("HeldBack", level)?;
    change(running, "Manual")?;
    told("Finalized", level)?;
    change(next, "Automatic")?;
    told("Finalized", level + 1)
}

/// Another image, until every pod runs it.
fn change(image: &str, finalize: &str) -> Result<()> {
    let (repository, tag) = image
        .rsplit_once(':')
        .with_context(|| format!("the image {image} has no tag"))?;
    patch(&json!({
        "image": {"repository": repository, "tag": tag},
        "update": {"finalize": finalize},
    }))?;
    within(CHANGED, || {
        let cluster = get("rmq", NAME)?;
        let seen = cluster["status"]["observedGeneration"] == cluster["metadata"]["generation"];
        Ok((!seen).then(|| "the operator has not seen the image".to_owned()))
    })?;
    replaced()?;
    well(NODES)?;
    let version = &get("rmq", NAME)?["status"]["version"];
    ensure!(
        version["current"] == tag && version["target"] == tag,
        "not all run {tag}: {version}"
    );
    Ok(())
}

fn level(cluster: &Value) -> Result<u64> {
    let version = &cluster["status"]["version"];
    version["featureLevel"]
        .as_u64()
        .with_context(|| format!("no feature level is told: {version}"))
}

/// Waits until it is told whether there is a way back, and which feature level is needed.
fn told(reason: &str, needed: u64) -> Result<()> {
    within(CHANGED, || {
        let cluster = get("rmq", NAME)?;
        let condition = condition(&cluster, "UpgradeFinalized");
        let level = level(&cluster)?;
        let is_told = condition["reason"] == reason && level == needed;
        Ok((!is_told).then(|| format!("feature level {level} and not {needed}, or not {reason}: {condition}")))
    })
}
