//! A cluster of two nodes, looked at from one of them: what is wrong on the other is seen here, and one click from its cause.

use anyhow::{Result, ensure};
use lapin::{
    BasicProperties, Connection, ConnectionProperties,
    options::{BasicPublishOptions, ConfirmSelectOptions},
};
use serde_json::json;
use std::time::Instant;

use crate::{browser::eventually, stage::Stage};

const WATERMARK: &str = "set_vm_memory_high_watermark";
const PUBLISH: &str = "exchanges/%2F/amq.default/publish";

pub(crate) fn mirrors_that_are_not_in_sync_are_one_click_from_being_synchronised(stage: &mut Stage) -> Result<()> {
    let first = &stage.pair()?.first;
    first.prepare(
        "PUT",
        "queues/%2F/lagging",
        &json!({"durable": true, "node": "other@localhost"}),
    )?;
    let message = json!({"properties": {"delivery_mode": 2}, "routing_key": "lagging", "payload": "x", "payload_encoding": "string"});
    first.prepare("POST", PUBLISH, &message)?;
    let policy = json!({"pattern": "^lagging$", "definition": {"ha-mode": "all", "ha-sync-mode": "manual"}});
    first.prepare("PUT", "policies/%2F/by-hand", &policy)?;
    first.until_concerned("unsynchronised_mirrors", true)?;
    stage.enter_cluster("#/limits", "Limits")?;
    let browser = &stage.browser;
    browser.sees("#health", "concern")?;
    browser.click("#health")?;
    browser.sees(".attention", "1 queue with unsynchronised mirrors")?;
    browser.click(".attention a[href*='attention=unsynchronised_mirrors']")?;
    browser.sees("#main h1", "Queues")?;
    browser.sees(".list tbody", "+1, 0 of 1 in sync")?;
    browser.click_text("lagging")?;
    browser.sees(".notices", "Not in sync: page@localhost")?;
    browser.click_text("Synchronise")?;
    browser.click("dialog button[type=submit]")?;
    stage.is_told("Synchronisation is asked for.")?;
    let pair = stage.pair()?;
    pair.first.until_concerned("unsynchronised_mirrors", false)?;
    stage.look_again()?;
    let browser = &stage.browser;
    browser.sees("#main .columns", "mirror, in sync")?;
    stage.visit("#/queues?attention=unsynchronised_mirrors", "Queues")?;
    stage.browser.sees(".nothing", "No queue matches the filter.")
}

pub(crate) fn members_of_a_quorum_queue_come_and_go_by_clicks(stage: &mut Stage) -> Result<()> {
    stage.enter_cluster("#/queues", "Queues")?;
    let browser = &stage.browser;
    browser.click_text("Add a queue")?;
    browser.fill("Name", "voters")?;
    browser.choose("Type", "quorum: copies on several nodes, chosen by itself")?;
    browser.choose("Led by", "page@localhost")?;
    browser.click("dialog button[type=submit]")?;
    stage.is_told("Queue voters is there.")?;
    stage.visit("#/queues/%2F/voters", "voters")?;
    browser.sees(".plain", "other@localhost\nmember")?;
    browser.click_text("Remove a member")?;
    browser.choose("From node", "other@localhost")?;
    browser.click("dialog button[type=submit]")?;
    stage.is_told("The member is removed.")?;
    browser.click_text("Add a member")?;
    browser.click("dialog button[type=submit]")?;
    stage.is_told("The member is added")?;
    browser.sees(".plain", "other@localhost\nmember")
}

pub(crate) fn what_is_wrong_on_another_node_is_seen_from_here(stage: &mut Stage) -> Result<()> {
    let pair = stage.pair()?;
    pair.first.prepare(
        "PUT",
        "queues/%2F/far",
        &json!({"durable": true, "node": "other@localhost"}),
    )?;
    let message = json!({"properties": {}, "routing_key": "far", "payload": "x", "payload_encoding": "string"});
    pair.first.prepare("POST", PUBLISH, &message)?;
    pair.other.operate(&[WATERMARK, "absolute", "1MB"])?;
    pair.first.until_concerned("memory_alarm", true)?;
    pair.first.until_concerned("queues_without_consumers", true)?;
    stage.enter_cluster("#/overview", "Overview")?;
    let browser = &stage.browser;
    browser.sees(".attention", "Memory alarm: publishers are blocked")?;
    browser.sees(".attention", "far holds 1")?;
    browser.click(".attention a[href='#/nodes/other%40localhost']")?;
    browser.sees("#main h1", "other@localhost")?;
    browser.sees("#main h1", "memory alarm")?;
    let pair = stage.pair()?;
    pair.other.operate(&[WATERMARK, "0.4"])?;
    pair.first.until_concerned("memory_alarm", false)?;
    stage.look_again()?;
    stage.browser.gone("#health.bad")?;
    stage.visit("#/queues?sort=messages&reverse=1", "Queues")?;
    // Sorted by what queues hold, wherever they are led.
    let order = "const names = [...document.querySelectorAll('.list .name')].map((link) => link.textContent);
                 return names.indexOf('far') >= 0 && names.indexOf('far') < names.indexOf('voters')";
    eventually(|| stage.browser.holds(order, &json!([])))
}

pub(crate) fn what_flows_through_another_node_is_in_the_charts_of_this_one(stage: &mut Stage) -> Result<()> {
    let pair = stage.pair()?;
    let queue = json!({"durable": true, "node": "other@localhost"});
    pair.first.prepare("PUT", "queues/%2F/flowing", &queue)?;
    let binding = json!({"routing_key": "flow"});
    pair.first
        .prepare("POST", "bindings/%2F/e/amq.direct/q/flowing", &binding)?;
    let message = json!({"properties": {}, "routing_key": "flow", "payload": "x", "payload_encoding": "string"});
    // The first of both readings has the exchange already.
    let publish = |stage: &mut Stage| -> Result<()> {
        let other = &stage.pair()?.other;
        other.prepare("POST", "exchanges/%2F/amq.direct/publish", &message)
    };
    publish(stage)?;
    stage.enter_cluster("#/exchanges/%2F/amq.direct", "amq.direct")?;
    eventually(|| {
        publish(stage)?;
        let exchange = stage.pair()?.first.get("exchanges/%2F/amq.direct")?;
        let rate = exchange["message_stats"]["publish_in_details"]["rate"].as_f64();
        ensure!(rate > Some(0.0), "{exchange}");
        let vhost = stage.pair()?.first.get("vhosts/%2F")?;
        let rate = vhost["message_stats"]["publish_details"]["rate"].as_f64();
        ensure!(rate > Some(0.0), "{vhost}");
        Ok(())
    })?;
    let drawn = "return document.querySelectorAll('warren-chart polyline').length === 2";
    stage.browser.holds(drawn, &json!([]))
}

/// What a queue holds that is synchronised.
const SYNCHRONISED: usize = 3_000;

/// Messages of a durable queue, confirmed.
async fn fill(url: &str, queue: &str) -> Result<()> {
    let connection = Connection::connect(url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let persistent = BasicProperties::default().with_delivery_mode(2);
    for _ in 0..SYNCHRONISED {
        let options = BasicPublishOptions::default();
        let published = channel.basic_publish("".into(), queue.into(), options, b"x", persistent.clone());
        published.await?;
    }
    channel.wait_for_confirms().await?;
    Ok(connection.close(200, "done".into()).await?)
}

pub(crate) fn a_synchronisation_shows_how_far_it_has_come(stage: &mut Stage) -> Result<()> {
    let first = &stage.pair()?.first;
    let queue = json!({"durable": true, "node": "page@localhost"});
    first.prepare("PUT", "queues/%2F/heavy", &queue)?;
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(fill(&first.amqp_url(), "heavy"))?;
    let mirrored = json!({"ha-mode": "all", "ha-sync-mode": "manual"});
    let policy = json!({"pattern": "^heavy$", "definition": mirrored});
    first.prepare("PUT", "policies/%2F/heavy", &policy)?;
    first.until_concerned("unsynchronised_mirrors", true)?;
    stage.enter_cluster("#/queues/%2F/heavy", "heavy")?;
    let browser = &stage.browser;
    browser.click_text("Synchronise")?;
    // A mirror that takes nothing for a moment: otherwise all is over before it can be looked at.
    stage.pair()?.other.freeze(true)?;
    let browser = &stage.browser;
    browser.click("dialog button[type=submit]")?;
    let seen = browser.sees("#main", "of 3,000 synchronised");
    let pair = stage.pair()?;
    pair.other.freeze(false)?;
    seen?;
    pair.first.until_concerned("unsynchronised_mirrors", false)?;
    stage.look_again()?;
    stage.browser.sees("#main .columns", "mirror, in sync")
}

pub(crate) fn a_lost_majority_is_told_within_seconds_and_until_it_is_back(stage: &mut Stage) -> Result<()> {
    stage.enter_cluster("#/overview", "Overview")?;
    let begun = Instant::now();
    stage.pair()?.other.stop();
    // Nobody clicks: the page looks by itself.
    stage
        .browser
        .sees(".attention", "No majority: clients are not served here")?;
    let seconds = begun.elapsed().as_secs_f32();
    ensure!(seconds < 20.0, "it was told after {seconds} s");
    ensure!(stage.browser.count("#health.bad")? == 1, "the frame tells of nothing");
    let pair = stage.pair()?;
    pair.other.restart()?;
    pair.first.until_concerned("minority", false)?;
    stage.look_again()?;
    eventually(|| {
        let text = stage.browser.text("#main")?;
        ensure!(!text.contains("No majority"), "{text}");
        Ok(())
    })
}

pub(crate) fn a_node_that_dies_is_told_and_found_again(stage: &mut Stage) -> Result<()> {
    stage.enter_cluster("#/overview", "Overview")?;
    stage.pair()?.other.stop();
    stage.look_again()?;
    let browser = &stage.browser;
    browser.sees(".attention", "1 node is down or cannot be reached")?;
    browser.sees("#main", "other@localhost\ndown")?;
    ensure!(browser.count("#health.bad")? == 1, "the frame tells of nothing");
    browser.click(".attention a[href='#/nodes/other%40localhost']")?;
    browser.sees("#main", "The node does not run")?;
    let pair = stage.pair()?;
    pair.other.restart()?;
    pair.first.until_concerned("node_down", false)?;
    stage.look_again()?;
    stage.browser.sees("#main .heading", "running")?;
    stage.browser.gone("#health.bad")
}
