//! Queues, exchanges, bindings and messages: what people do with them by hand, and what they are told when it is refused.

use anyhow::{Result, ensure};
use serde_json::json;

use crate::stage::Stage;

pub(crate) fn a_queue_is_added_filled_read_purged_and_deleted_by_clicks(stage: &mut Stage) -> Result<()> {
    stage.enter("#/queues", "Queues")?;
    let browser = &stage.browser;
    browser.click_text("Add a queue")?;
    browser.choose("Virtual host", "/")?;
    browser.fill("Name", "by hand")?;
    browser.click_text("x-max-length")?;
    browser.click("dialog button[type=submit]")?;
    stage.is_told("Queue by hand is there.")?;
    let queue = stage.server.get("queues/%2F/by%20hand")?;
    ensure!(
        queue["durable"] == true && queue["arguments"]["x-max-length"] == 10_000,
        "{queue}"
    );
    stage.visit("#/queues/%2F/by%20hand", "by hand")?;
    browser.click_text("Publish")?;
    browser.fill("Payload", "hello from a form")?;
    browser.click_text("content_type")?;
    browser.click("dialog button[type=submit]")?;
    stage.is_told("at least one queue took the message")?;
    browser.sees("#main .facts", "Messages\n1")?;
    browser.click_text("Get messages")?;
    browser.click("dialog button[type=submit]")?;
    browser.sees("dialog pre", "hello from a form")?;
    browser.sees("dialog .message", "application/json")?;
    browser.click_text("Close")?;
    browser.click_text("Purge")?;
    browser.sees("dialog", "1 ready message will be lost")?;
    browser.click_text("Purge messages")?;
    stage.is_told("The queue is purged.")?;
    browser.sees("#main .facts", "Messages\n0")?;
    browser.click_text("Delete")?;
    browser.sees("dialog", "This cannot be undone.")?;
    browser.click_text("Cancel")?;
    browser.gone("dialog")?;
    stage.server.get("queues/%2F/by%20hand")?;
    browser.click_text("Delete")?;
    browser.click_text("Delete queue")?;
    browser.sees("#main h1", "Queues")?;
    ensure!(
        stage.server.ask("GET", "queues/%2F/by%20hand", None)?.status == 404,
        "it is still there"
    );
    Ok(())
}

pub(crate) fn a_refusal_is_shown_with_its_reason_and_what_was_typed_stays(stage: &mut Stage) -> Result<()> {
    stage
        .server
        .prepare("PUT", "queues/%2F/taken", &json!({"durable": false}))?;
    stage.enter("#/queues", "Queues")?;
    let browser = &stage.browser;
    browser.click_text("Add a queue")?;
    browser.choose("Virtual host", "/")?;
    browser.click("dialog button[type=submit]")?;
    browser.sees("dialog .complaint", "“Name” must not be empty.")?;
    browser.fill("Name", "taken")?;
    browser.click("dialog button[type=submit]")?;
    browser.sees("dialog .complaint", "inequivalent arg 'durable' for queue 'taken'")?;
    let kept = browser.script(
        "return document.querySelector('dialog input[name=name]').value",
        json!([]),
    )?;
    ensure!(kept == "taken", "{kept} is left of what was typed");
    browser.keys(&[crate::browser::ESCAPE])?;
    browser.gone("dialog")
}

pub(crate) fn an_exchange_is_bound_by_a_form_and_drawn_with_its_queue(stage: &mut Stage) -> Result<()> {
    stage.server.prepare("PUT", "queues/%2F/drawn", &json!({}))?;
    stage.enter("#/exchanges", "Exchanges")?;
    let browser = &stage.browser;
    browser.click_text("Add an exchange")?;
    browser.choose("Virtual host", "/")?;
    browser.fill("Name", "drawing")?;
    browser.choose("Type", "topic")?;
    browser.click("dialog button[type=submit]")?;
    stage.is_told("Exchange drawing is there.")?;
    stage.visit("#/exchanges/%2F/drawing", "drawing")?;
    browser.sees("#main", "messages published to it go nowhere")?;
    browser.click_text("Add a binding")?;
    browser.fill("Its name", "drawn")?;
    browser.fill("Routing key", "line.#")?;
    browser.click("dialog button[type=submit]")?;
    stage.is_told("Bound.")?;
    browser.sees(".graph", "drawn")?;
    browser.sees(".graph .edge", "line.#")?;
    browser.click(".graph a.queue")?;
    browser.sees("#main h1", "drawn")?;
    browser.sees(".graph", "drawing")?;
    browser.click("#main tbody .danger-text")?;
    browser.click_text("Delete binding")?;
    stage.is_told("The binding is deleted.")?;
    let left = stage.server.get("bindings/%2F/e/drawing/q/drawn")?;
    ensure!(left == json!([]), "{left}");
    Ok(())
}

pub(crate) fn a_message_that_no_queue_takes_is_told_to_be_unrouted(stage: &mut Stage) -> Result<()> {
    stage.enter("#/exchanges/%2F/amq.fanout", "amq.fanout")?;
    stage.browser.click_text("Publish")?;
    stage.browser.fill("Payload", "to nobody")?;
    stage.browser.click("dialog button[type=submit]")?;
    stage.is_told("not routed: no queue took the message")
}

pub(crate) fn bindings_of_a_virtual_host_are_one_picture(stage: &mut Stage) -> Result<()> {
    let server = &stage.server;
    server.prepare("PUT", "vhosts/picture", &json!({}))?;
    for exchange in ["first", "second"] {
        server.prepare(
            "PUT",
            &format!("exchanges/picture/{exchange}"),
            &json!({"type": "fanout"}),
        )?;
    }
    server.prepare("PUT", "queues/picture/last", &json!({}))?;
    server.prepare(
        "POST",
        "bindings/picture/e/first/e/second",
        &json!({"routing_key": "on"}),
    )?;
    server.prepare("POST", "bindings/picture/e/second/q/last", &json!({"routing_key": ""}))?;
    // A circle must not keep the page from being drawn.
    server.prepare(
        "POST",
        "bindings/picture/e/second/e/first",
        &json!({"routing_key": "back"}),
    )?;
    stage.enter("#/topology?vhost=picture", "Bindings")?;
    stage.browser.sees(".graph", "last")?;
    ensure!(
        stage.browser.count(".graph .edge")? == 3,
        "three bindings are three curves"
    );
    Ok(())
}
