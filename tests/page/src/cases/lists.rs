//! Long lists: the server cuts out the page, filters and sorts; the address says which.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::stage::Stage;

fn import(stage: &Stage, vhost: &str, count: usize) -> Result<()> {
    let queue =
        |n: usize| json!({"name": format!("row-{n:04}"), "durable": true, "auto_delete": false, "arguments": {}});
    let queues: Vec<Value> = (0..count).map(queue).collect();
    stage.server.prepare("PUT", &format!("vhosts/{vhost}"), &json!({}))?;
    let file = json!({"queues": queues, "exchanges": [], "bindings": [], "policies": []});
    stage.server.prepare("POST", &format!("definitions/{vhost}"), &file)
}

pub(crate) fn a_long_list_is_paged_filtered_and_sorted_by_the_server(stage: &mut Stage) -> Result<()> {
    import(stage, "long", 250)?;
    let message = json!({"properties": {}, "routing_key": "row-0123", "payload": "x", "payload_encoding": "string"});
    stage
        .server
        .prepare("POST", "exchanges/long/amq.default/publish", &message)?;
    stage.enter("#/queues?vhost=long", "Queues")?;
    let browser = &stage.browser;
    browser.sees(".count", "250 queues")?;
    ensure!(browser.count(".list tbody tr")? == 100, "a page has a hundred rows");
    browser.click("[aria-label='Next page']")?;
    browser.sees(".pager", "Page 2 of 3")?;
    browser.sees(".list tbody tr", "row-0100")?;
    browser.type_into("#filter", "row-000")?;
    browser.sees(".count", "10 of 250 queues")?;
    browser.click_text("Total")?;
    browser.holds(
        "return document.querySelector('th[aria-sort]').ariaSort === 'descending'",
        &json!([]),
    )?;
    browser.script(
        "location.hash = '#/queues?vhost=long&sort=messages&reverse=1'",
        json!([]),
    )?;
    browser.sees(".list tbody tr", "row-0123")?;
    browser.click_text("Name")?;
    browser.sees(".list tbody tr", "row-0000")
}

pub(crate) fn a_bad_regular_expression_is_said_to_be_one(stage: &mut Stage) -> Result<()> {
    stage.enter("#/exchanges", "Exchanges")?;
    stage.browser.click_text("regular expression")?;
    stage.browser.type_into("#filter", "(")?;
    stage.browser.sees(".list", "no regular expression")?;
    stage.browser.click_text("Show all")?;
    stage.browser.sees(".list tbody", "amq.topic")
}

pub(crate) fn empty_lists_explain_themselves(stage: &mut Stage) -> Result<()> {
    stage.server.prepare("PUT", "vhosts/empty", &json!({}))?;
    stage.enter("#/connections", "Connections")?;
    stage.browser.sees(".nothing", "Nobody is connected.")?;
    stage.visit("#/topology?vhost=empty", "Bindings")?;
    stage.browser.sees(".nothing", "reaches every queue by its name")?;
    stage.visit("#/queues?vhost=empty", "Queues")?;
    stage.browser.sees(".nothing", "No queue matches the filter.")
}
