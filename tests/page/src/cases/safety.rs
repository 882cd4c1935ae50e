//! What hostile names, hostile payloads and hostile pages can do: nothing.

use anyhow::{Result, ensure};
use serde_json::json;

use crate::stage::Stage;

/// Would run a script if it ever became markup, in an element, an attribute or a script.
const HOSTILE: &str = "'\"><img src=x onerror=window.taken=1></script><script>window.taken=1</script>";

fn encoded(text: &str) -> String {
    text.bytes().map(|octet| format!("%{octet:02X}")).collect()
}

pub(crate) fn names_and_payloads_never_become_markup(stage: &mut Stage) -> Result<()> {
    let (server, name) = (&stage.server, encoded(HOSTILE));
    server.prepare(
        "PUT",
        &format!("vhosts/{name}"),
        &json!({"description": HOSTILE, "tags": HOSTILE}),
    )?;
    server.prepare(
        "PUT",
        &format!("exchanges/{name}/{name}"),
        &json!({"type": "topic", "arguments": {HOSTILE: HOSTILE}}),
    )?;
    server.prepare(
        "PUT",
        &format!("queues/{name}/{name}"),
        &json!({"arguments": {HOSTILE: HOSTILE}}),
    )?;
    server.prepare(
        "POST",
        &format!("bindings/{name}/e/{name}/q/{name}"),
        &json!({"routing_key": HOSTILE}),
    )?;
    server.prepare(
        "PUT",
        &format!("users/{name}"),
        &json!({"password": "x", "tags": HOSTILE}),
    )?;
    let policy = json!({"pattern": ".*", "definition": {"max-length": 9}});
    server.prepare("PUT", &format!("policies/{name}/{name}"), &policy)?;
    let message = json!({"properties": {"headers": {HOSTILE: HOSTILE}, "type": HOSTILE}, "routing_key": HOSTILE,
        "payload": HOSTILE, "payload_encoding": "string"});
    server.prepare("POST", &format!("exchanges/{name}/{name}/publish"), &message)?;
    stage.enter("#/overview", "Overview")?;
    let queue = format!("#/queues/{name}/{name}");
    let places = [
        ("#/vhosts".to_owned(), "Virtual hosts"),
        (format!("#/vhosts/{name}"), HOSTILE),
        ("#/users".to_owned(), "Users"),
        (format!("#/users/{name}"), HOSTILE),
        ("#/policies".to_owned(), "Policies"),
        (format!("#/topology?vhost={name}"), "Bindings"),
        (format!("#/exchanges/{name}/{name}"), HOSTILE),
        (format!("#/queues?vhost={name}&name={name}"), "Queues"),
        (queue, HOSTILE),
    ];
    let browser = &stage.browser;
    for (place, heading) in places {
        stage.visit(&place, heading)?;
        let harm = browser.script(
            "return [document.querySelectorAll('img, body script').length, window.taken]",
            json!([]),
        )?;
        ensure!(harm == json!([0, null]), "{place}: {harm}");
        let text = browser.script(
            "return document.body.textContent.includes(arguments[0])",
            json!([HOSTILE]),
        )?;
        ensure!(text == true, "{place} does not show the name");
    }
    browser.click_text("Get messages")?;
    browser.click("dialog button[type=submit]")?;
    browser.sees("dialog pre", HOSTILE)?;
    let harm = browser.script(
        "return [document.querySelectorAll('img').length, window.taken]",
        json!([]),
    )?;
    ensure!(harm == json!([0, null]), "a message: {harm}");
    server.ask("DELETE", &format!("users/{name}"), None)?;
    server.ask("DELETE", &format!("vhosts/{name}"), None).map(drop)
}

pub(crate) fn the_policy_stops_markup_from_text_and_requests_elsewhere(stage: &mut Stage) -> Result<()> {
    stage.enter("#/overview", "Overview")?;
    let browser = &stage.browser;
    let place = stage.server.url("");
    let elsewhere = "return performance.getEntriesByType('resource').map((one) => one.name).filter((name) => !name.startsWith(arguments[0]))";
    let foreign = browser.script(elsewhere, json!([place]))?;
    ensure!(foreign == json!([]), "the page asked for {foreign}");
    let markup = "try { document.createElement('p')['inner' + 'HTML'] = '<b>x</b>'; return 'done'; } catch (error) { return error.name; }";
    ensure!(browser.script(markup, json!([]))? == "TypeError", "text became markup");
    ensure!(
        browser.complaints()?.len() == 1,
        "the browser says that it stopped that"
    );
    let page = stage.server.send("GET", "", &[], None)?;
    let policy = page.header("content-security-policy")?;
    for rule in [
        "default-src 'none'",
        "script-src 'self'",
        "frame-ancestors 'none'",
        "form-action 'none'",
    ] {
        ensure!(policy.contains(rule) && !policy.contains("unsafe"), "{policy}");
    }
    ensure!(page.header("x-content-type-options")? == "nosniff", "{page:?}");
    ensure!(page.header("set-cookie").is_err(), "the page needs no cookie");
    Ok(())
}

pub(crate) fn another_origin_may_change_nothing(stage: &mut Stage) -> Result<()> {
    let login = ("authorization", "Basic Z3Vlc3Q6Z3Vlc3Q=");
    let send = |method: &str, site: &str| {
        let headers = [login, ("sec-fetch-site", site), ("content-type", "text/plain")];
        Ok::<_, anyhow::Error>(
            stage
                .server
                .send(method, "api/queues/%2F/forged", &headers, Some(&json!({})))?
                .status,
        )
    };
    ensure!(send("PUT", "cross-site")? == 403, "a page elsewhere declared a queue");
    ensure!(
        send("PUT", "same-site")? == 403,
        "a page of a neighbour declared a queue"
    );
    ensure!(
        stage.server.ask("GET", "queues/%2F/forged", None)?.status == 404,
        "it is there"
    );
    ensure!(send("PUT", "same-origin")? == 201, "the page itself may");
    ensure!(send("DELETE", "none")? == 204, "a person may");
    Ok(())
}

pub(crate) fn files_are_kept_until_they_change(stage: &mut Stage) -> Result<()> {
    let server = &stage.server;
    let page = server.send("GET", "", &[], None)?;
    ensure!(page.header("cache-control")? == "no-cache", "{page:?}");
    let tag = page.header("etag")?;
    let again = server.send("GET", "", &[("if-none-match", tag)], None)?;
    ensure!(again.status == 304 && again.body.is_empty(), "{again:?}");
    let script = page
        .body
        .split('"')
        .find(|text| text.ends_with("main.js"))
        .unwrap_or_default();
    let file = server.send("GET", script, &[], None)?;
    ensure!(file.header("cache-control")?.contains("immutable"), "{file:?}");
    ensure!(file.header("content-type")?.starts_with("text/javascript"), "{file:?}");
    let old = server.send("GET", "ui/0000000000000000/main.js", &[], None)?;
    ensure!(
        old.status == 200 && old.header("cache-control")? == "no-cache",
        "{old:?}"
    );
    for path in ["ui/0/../../etc/passwd", "ui/0/%2e%2e%2fmod.rs", "ui/0/nothing.js"] {
        let status = server.send("GET", path, &[], None)?.status;
        ensure!(status == 404, "{path}: {status}");
    }
    Ok(())
}

pub(crate) fn the_reference_of_the_api_is_open_to_everybody(stage: &mut Stage) -> Result<()> {
    let moved = stage.server.send("GET", "api/", &[], None)?;
    ensure!(
        moved.status == 303 && moved.header("location")? == "/api/index.html",
        "{moved:?}"
    );
    stage.browser.go(&stage.server.url("api/index.html"))?;
    stage.browser.sees("h1", "The management HTTP API")?;
    stage.browser.sees("main", "/queues/{vhost}/{queue}")
}
