//! What is seen at a glance: what is wrong, what flows, what is left; and the numbers of the API behind it.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::{browser::eventually, stage::Stage};

fn publish(stage: &Stage, queue: &str, count: usize) -> Result<()> {
    let message = json!({"properties": {}, "routing_key": queue, "payload": "x", "payload_encoding": "string"});
    (0..count).try_for_each(|_| {
        stage
            .server
            .prepare("POST", "exchanges/%2F/amq.default/publish", &message)
    })
}

pub(crate) fn a_queue_without_consumers_is_one_click_from_every_page(stage: &mut Stage) -> Result<()> {
    stage.server.prepare("PUT", "queues/%2F/forgotten", &json!({}))?;
    publish(stage, "forgotten", 30)?;
    stage.server.until_concerned("queues_without_consumers", true)?;
    stage.enter("#/features", "Feature flags")?;
    let browser = &stage.browser;
    browser.sees("#health", "concern")?;
    browser.click("#health")?;
    browser.sees(".attention", "no consumer")?;
    browser.click_text("forgotten")?;
    browser.sees("#main h1", "forgotten")?;
    browser.sees("#main", "Nobody consumes: the messages wait.")?;
    stage.visit("#/queues?attention=queues_without_consumers", "Queues")?;
    browser.sees(".list tbody", "forgotten")?;
    let all = stage.server.get("queues?page=1&attention=queues_without_consumers")?;
    let named = |queue: &Value| queue["messages_ready"] != 0 && queue["consumers"] == 0;
    ensure!(
        all["items"].as_array().is_some_and(|items| items.iter().all(named)),
        "{all}"
    );
    let refused = stage.server.ask("GET", "queues?page=1&attention=nothing", None)?;
    ensure!(
        refused.status == 400 && refused.body.contains("growing_backlogs"),
        "{refused:?}"
    );
    Ok(())
}

pub(crate) fn an_alarm_is_seen_on_every_page_and_goes_with_its_cause(stage: &mut Stage) -> Result<()> {
    stage.enter("#/limits", "Limits")?;
    stage
        .server
        .operate(&["set_vm_memory_high_watermark", "absolute", "1MB"])?;
    stage.server.until_concerned("memory_alarm", true)?;
    stage.look_again()?;
    let browser = &stage.browser;
    browser.find("#health.bad")?;
    browser.click("#health")?;
    browser.sees(".attention", "Memory alarm: publishers are blocked")?;
    browser.find(".level.bad")?;
    browser.click_text("page@localhost")?;
    browser.sees("#main h1", "page@localhost")?;
    stage.server.operate(&["set_vm_memory_high_watermark", "0.4"])?;
    stage.server.until_concerned("memory_alarm", false)?;
    stage.look_again()?;
    browser.gone("#health.bad")
}

pub(crate) fn charts_show_what_was_published_within_seconds(stage: &mut Stage) -> Result<()> {
    stage.server.prepare("PUT", "queues/%2F/charted", &json!({}))?;
    publish(stage, "charted", 50)?;
    stage.enter("#/queues/%2F/charted", "charted")?;
    let browser = &stage.browser;
    let drawn = "const chart = [...document.querySelectorAll('warren-chart')].find((one) => one.textContent.includes('Queued messages'));
                 return chart.querySelectorAll('polyline').length === 3 && /Ready\\s*50/.test(chart.innerText)";
    eventually(|| browser.holds(drawn, &json!([])))?;
    browser.click("warren-chart .legend")?;
    browser.holds(
        "return document.querySelectorAll('warren-chart')[0].querySelectorAll('polyline').length === 2",
        &json!([]),
    )?;
    // What was published by a form counts like what clients publish.
    let overview = stage.server.get("overview")?;
    ensure!(overview["message_stats"]["publish"].as_u64() >= Some(50), "{overview}");
    stage.visit("#/overview?span=1%20h", "Overview")?;
    browser.sees(".choices [aria-current]", "1 h")?;
    browser.sees(".tiles", "Consumers")
}

fn samples(object: &Value, field: &str) -> Result<Vec<(u64, u64)>> {
    let samples = object[format!("{field}_details")]["samples"].as_array();
    let samples = samples.with_context(|| format!("no samples of {field}: {object}"))?;
    let pair = |sample: &Value| Some((sample["timestamp"].as_u64()?, sample["sample"].as_u64()?));
    samples
        .iter()
        .map(|sample| pair(sample).with_context(|| format!("{sample}")))
        .collect()
}

pub(crate) fn samples_of_the_past_come_in_rabbitmqs_shape(stage: &mut Stage) -> Result<()> {
    stage.server.prepare("PUT", "queues/%2F/sampled", &json!({}))?;
    publish(stage, "sampled", 7)?;
    let path = "queues/%2F/sampled?lengths_age=60&lengths_incr=5&msg_rates_age=60&msg_rates_incr=5";
    let queue = eventually(|| {
        let queue = stage.server.get(path)?;
        let newest = samples(&queue, "messages")?.first().copied();
        ensure!(newest.is_some_and(|(_, messages)| messages == 7), "{queue}");
        Ok(queue)
    })?;
    let published = samples(&queue["message_stats"], "publish")?;
    let is_spaced = published
        .windows(2)
        .all(|pair| pair[0].0 == pair[1].0 + 5_000 && pair[0].1 >= pair[1].1);
    ensure!(
        is_spaced && published.iter().all(|(at, _)| at % 5_000 == 0),
        "{published:?}"
    );
    let details = &queue["message_stats"]["publish_details"];
    ensure!(
        details["avg_rate"].is_f64() && details["avg"].is_f64() && details["rate"].is_f64(),
        "{details}"
    );
    let overview = stage
        .server
        .get("overview?msg_rates_age=10&msg_rates_incr=5&lengths_age=10&lengths_incr=5")?;
    ensure!(
        samples(&overview["message_stats"], "publish")?.len() <= 3,
        "ten seconds are three samples: {overview}"
    );
    samples(&overview["queue_totals"], "messages_ready")?;
    let plain = stage.server.get("overview")?;
    ensure!(
        plain["queue_totals"]["messages_details"]["samples"].is_null(),
        "nobody asked for samples: {plain}"
    );
    let many = stage
        .server
        .ask("GET", "overview?lengths_age=99999&lengths_incr=1", None)?;
    ensure!(
        many.status == 400 && many.body.contains("Invalid range parameters"),
        "{many:?}"
    );
    Ok(())
}

pub(crate) fn a_node_shows_what_it_has_left_and_what_it_was(stage: &mut Stage) -> Result<()> {
    stage.enter("#/nodes", "Nodes")?;
    stage.browser.click_text("page@localhost")?;
    stage.browser.sees("#main .facts", "free")?;
    eventually(|| {
        stage.browser.holds(
            "return document.querySelectorAll('warren-chart polyline').length === 4",
            &json!([]),
        )
    })?;
    let node = stage
        .server
        .get("nodes/page%40localhost?node_stats_age=60&node_stats_incr=5")?;
    ensure!(
        samples(&node, "mem_used")?.iter().all(|(_, octets)| *octets > 0),
        "{node}"
    );
    Ok(())
}
