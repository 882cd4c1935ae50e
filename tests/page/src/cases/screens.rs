//! Screens and hands: light and dark, phones, the keyboard alone, forms beside a page that renews itself, and a broker that goes.

use anyhow::{Result, ensure};
use serde_json::json;

use crate::{
    browser::{ENTER, ESCAPE, TAB, eventually},
    stage::Stage,
};

const GROUND: &str = "return getComputedStyle(document.body).backgroundColor";

pub(crate) fn light_and_dark_are_remembered(stage: &mut Stage) -> Result<()> {
    stage.enter("#/overview", "Overview")?;
    let browser = &stage.browser;
    let before = browser.script(GROUND, json!([]))?;
    browser.click("#theme")?;
    let after = browser.script(GROUND, json!([]))?;
    ensure!(before != after, "{before} stays");
    browser.reload()?;
    browser.sees("#main h1", "Overview")?;
    let kept = browser.script(GROUND, json!([]))?;
    ensure!(kept == after, "{kept} after a reload, not {after}");
    Ok(())
}

pub(crate) fn no_page_is_wider_than_a_phone(stage: &mut Stage) -> Result<()> {
    let long = "a-rather-long-name-of-a-queue-that-somebody-generated-from-a-class-name-in-some-language";
    stage.server.prepare("PUT", &format!("queues/%2F/{long}"), &json!({}))?;
    stage.browser.resize(360, 740, true)?;
    stage.enter("#/overview", "Overview")?;
    let queue = format!("#/queues/%2F/{long}");
    let places = [
        ("#/overview", "Overview"),
        ("#/queues?vhost=%2F", "Queues"),
        (queue.as_str(), long),
        ("#/exchanges", "Exchanges"),
        ("#/exchanges/%2F/amq.topic", "amq.topic"),
        ("#/nodes/page%40localhost", "page@localhost"),
        ("#/vhosts/%2F", "/"),
        ("#/users/guest", "guest"),
        ("#/policies", "Policies"),
        ("#/features", "Feature flags"),
        ("#/cluster", "Cluster"),
        ("#/topology", "Bindings"),
        ("#/connections", "Connections"),
        ("#/limits", "Limits"),
        ("#/definitions", "Definitions"),
    ];
    let browser = &stage.browser;
    for (place, heading) in places {
        stage.visit(place, heading)?;
        let width = browser.script("return [document.documentElement.scrollWidth, innerWidth]", json!([]))?;
        ensure!(
            width[0].as_u64() <= width[1].as_u64() && width[1] == 360,
            "{place}: {width}"
        );
    }
    stage.visit("#/policies", "Policies")?;
    browser.click_text("Add a policy")?;
    browser.click_text("ha-mode")?;
    let form = "const form = document.querySelector('dialog'); return form.scrollWidth <= form.clientWidth";
    browser.holds(form, &json!([]))?;
    browser.keys(&[ESCAPE])?;
    browser.gone("dialog")?;
    browser.click("#menu")?;
    browser.click_text("Channels")?;
    browser.sees("#main h1", "Channels")?;
    browser.holds("return !document.body.classList.contains('menu-open')", &json!([]))
}

pub(crate) fn the_keyboard_alone_reaches_everything(stage: &mut Stage) -> Result<()> {
    let browser = &stage.browser;
    browser.find("#name")?;
    let keys: Vec<String> = "guest".chars().map(String::from).collect();
    let guest: Vec<&str> = keys.iter().map(String::as_str).collect();
    browser.keys(&[guest.as_slice(), &[TAB], &guest, &[ENTER]].concat())?;
    browser.sees("#main h1", "Overview")?;
    browser.keys(&["g", "q"])?;
    browser.sees("#main h1", "Queues")?;
    browser.keys(&["/"])?;
    browser.holds("return document.activeElement.id === 'filter'", &json!([]))?;
    browser.script("document.activeElement.blur()", json!([]))?;
    browser.keys(&["?"])?;
    browser.sees("dialog", "Filter the list")?;
    browser.keys(&[ESCAPE])?;
    browser.gone("dialog")?;
    browser.script("document.querySelector('.heading .primary').focus()", json!([]))?;
    browser.keys(&[ENTER])?;
    browser.find("dialog[open]")?;
    browser.holds("return document.activeElement.name === 'vhost'", &json!([]))?;
    browser.keys(&[ESCAPE])?;
    browser.gone("dialog")?;
    browser.holds(
        "return document.activeElement.textContent.includes('Add a queue')",
        &json!([]),
    )?;
    browser.script("document.querySelector('.skip').focus()", json!([]))?;
    browser.keys(&[ENTER])?;
    browser.holds("return document.activeElement.id === 'main'", &json!([]))
}

pub(crate) fn everything_that_can_be_used_has_a_name_and_shows_its_focus(stage: &mut Stage) -> Result<()> {
    let nameless = "const named = (one) => one.textContent.trim() || one.ariaLabel || one.labels?.length > 0 || one.title;
                    const all = [...document.querySelectorAll('a, button, input, select, textarea, [role=img], [role=meter]')];
                    return all.filter((one) => one.getClientRects().length > 0 && !named(one)).map((one) => one.outerHTML.slice(0, 120))";
    let places = [
        ("#/overview", "Overview"),
        ("#/queues", "Queues"),
        ("#/exchanges/%2F/amq.topic", "amq.topic"),
        ("#/topology", "Bindings"),
        ("#/nodes/page%40localhost", "page@localhost"),
        ("#/users/guest", "guest"),
        ("#/cluster", "Cluster"),
        ("#/policies", "Policies"),
    ];
    stage.enter("#/overview", "Overview")?;
    let browser = &stage.browser;
    for (place, heading) in places {
        stage.visit(place, heading)?;
        let found = browser.script(nameless, json!([]))?;
        ensure!(found == json!([]), "{place}: without a name are {found}");
    }
    browser.click_text("Add a policy")?;
    browser.find("dialog[open]")?;
    let found = browser.script(nameless, json!([]))?;
    ensure!(found == json!([]), "the form: without a name are {found}");
    browser.keys(&[ESCAPE])?;
    browser.gone("dialog")?;
    // From the top of the page, each step of Tab is seen, and the first one leads past the navigation.
    browser.script(
        "document.activeElement.blur(); document.querySelector('.skip').focus()",
        json!([]),
    )?;
    for step in 0..12 {
        let outline = "const one = document.activeElement; const style = getComputedStyle(one);
                       return [style.outlineStyle, parseFloat(style.outlineWidth), one.className + one.id]";
        let seen = browser.script(outline, json!([]))?;
        let is_seen = seen[0] == "solid" && seen[1].as_f64() >= Some(1.0);
        ensure!(is_seen, "step {step}: the focus is not seen: {seen}");
        browser.keys(&[TAB])?;
    }
    Ok(())
}

pub(crate) fn what_is_typed_survives_the_next_look_at_the_broker(stage: &mut Stage) -> Result<()> {
    stage.enter("#/queues", "Queues")?;
    let browser = &stage.browser;
    browser.click_text("Add a queue")?;
    browser.fill("Name", "half typed")?;
    // The list behind the form is renewed when it shows what has come meanwhile.
    stage.server.prepare("PUT", "queues/%2F/0-came-meanwhile", &json!({}))?;
    browser.holds(
        "return document.querySelector('.list').textContent.includes('0-came-meanwhile')",
        &json!([]),
    )?;
    let kept = browser.script(
        "return document.querySelector('dialog input[name=name]').value",
        json!([]),
    )?;
    ensure!(kept == "half typed", "{kept}");
    Ok(())
}

pub(crate) fn a_broker_that_is_gone_is_told_and_found_again(stage: &mut Stage) -> Result<()> {
    stage.enter("#/overview", "Overview")?;
    stage.server.stop();
    stage.look_again()?;
    stage.browser.sees(".top", "No answer from the broker")?;
    stage.browser.sees("#main", "Nodes")?;
    stage.server.restart()?;
    stage.look_again()?;
    eventually(|| stage.browser.find("#health").map(drop))?;
    stage.browser.sees("#main h1", "Overview")
}
