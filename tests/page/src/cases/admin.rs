//! Administration: policies, users and permissions, virtual hosts, limits, the cluster's name, definitions.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::fs;

use crate::{browser::eventually, stage::Stage};

pub(crate) fn a_policy_is_set_by_form_shown_at_its_queue_and_deleted(stage: &mut Stage) -> Result<()> {
    stage.server.prepare("PUT", "queues/%2F/governed", &json!({}))?;
    stage.enter("#/policies", "Policies")?;
    let browser = &stage.browser;
    browser.click_text("Add a policy")?;
    browser.choose("Virtual host", "/")?;
    browser.fill("Name", "short")?;
    browser.fill("Pattern", "^governed$")?;
    browser.choose("Applies to", "queues")?;
    browser.click_text("max-length")?;
    browser.click("dialog button[type=submit]")?;
    stage.is_told("Policy short is in effect.")?;
    let policy = stage.server.get("policies/%2F/short")?;
    ensure!(
        policy["definition"] == json!({"max-length": 10_000}) && policy["apply-to"] == "queues",
        "{policy}"
    );
    stage.visit("#/queues/%2F/governed", "governed")?;
    browser.sees("#main .badge.policy", "short")?;
    browser.sees("#main", "max-length 10000")?;
    stage.visit("#/policies", "Policies")?;
    browser.click_text("Change")?;
    browser.fill("Priority", "7")?;
    browser.click("dialog button[type=submit]")?;
    eventually(|| {
        let policy = stage.server.get("policies/%2F/short")?;
        ensure!(policy["priority"] == 7, "{policy}");
        Ok(())
    })?;
    browser.click("#main tbody .danger-text")?;
    browser.click_text("Delete policy")?;
    stage.is_told("short is deleted.")
}

pub(crate) fn an_operator_policy_is_set_by_form_and_shown_beside_the_policy(stage: &mut Stage) -> Result<()> {
    stage.server.prepare("PUT", "queues/%2F/capped", &json!({}))?;
    stage.enter("#/policies", "Policies")?;
    let browser = &stage.browser;
    browser.click_text("Add an operator policy")?;
    browser.fill("Name", "cap")?;
    browser.fill("Pattern", "^capped$")?;
    browser.choose("Applies to", "queues")?;
    browser.click_text("max-length-bytes")?;
    browser.click("dialog button[type=submit]")?;
    stage.is_told("Policy cap is in effect.")?;
    stage.visit("#/queues/%2F/capped", "capped")?;
    browser.sees("#main", "max-length-bytes 104857600")?;
    stage.visit("#/policies", "Policies")?;
    browser.click("#main tbody .danger-text")?;
    browser.click_text("Delete operator policy")?;
    stage.is_told("cap is deleted.")
}

pub(crate) fn topics_of_a_user_are_restricted_by_form(stage: &mut Stage) -> Result<()> {
    stage.enter("#/users/guest", "guest")?;
    let browser = &stage.browser;
    browser.click_text("Set topic permissions")?;
    browser.fill("Write", "^metrics\\.")?;
    browser.click("dialog button[type=submit]")?;
    stage.is_told("Topic permissions are set.")?;
    browser.sees("#main", "^metrics\\.")?;
    let set = stage.server.get("topic-permissions/%2F/guest")?;
    ensure!(
        set[0]["exchange"] == "amq.topic" && set[0]["write"] == "^metrics\\.",
        "{set}"
    );
    stage
        .server
        .prepare("DELETE", "topic-permissions/%2F/guest", &json!({}))
}

pub(crate) fn a_user_is_added_gets_permissions_and_logs_in(stage: &mut Stage) -> Result<()> {
    stage.enter("#/users", "Users")?;
    let browser = &stage.browser;
    browser.click_text("Add a user")?;
    browser.fill("Name", "newcomer")?;
    browser.fill("Password", "one")?;
    browser.fill("Password again", "two")?;
    browser.fill("Tags", "management")?;
    browser.click("dialog button[type=submit]")?;
    browser.sees("dialog .complaint", "The two passwords differ.")?;
    browser.fill("Password again", "one")?;
    browser.click("dialog button[type=submit]")?;
    stage.is_told("User newcomer is there.")?;
    browser.click_text("newcomer")?;
    browser.sees("#main", "This user may use no virtual host.")?;
    browser.click_text("Set permissions")?;
    browser.click("dialog button[type=submit]")?;
    stage.is_told("Permissions are set.")?;
    browser.click_text("Change tags")?;
    browser.fill("Tags", "monitoring")?;
    browser.click("dialog button[type=submit]")?;
    browser.sees("#main .heading", "monitoring")?;
    browser.click("#log-out")?;
    // The password is still the same.
    stage.log_in("newcomer", "one")?;
    stage.visit("#/nodes", "Nodes")
}

pub(crate) fn a_virtual_host_is_deleted_only_by_who_types_its_name(stage: &mut Stage) -> Result<()> {
    stage.enter("#/vhosts", "Virtual hosts")?;
    let browser = &stage.browser;
    browser.click_text("Add a virtual host")?;
    browser.fill("Name", "doomed")?;
    browser.fill("Description", "for a moment")?;
    browser.click("dialog button[type=submit]")?;
    stage.is_told("Virtual host doomed is there.")?;
    browser.click_text("doomed")?;
    browser.sees("#main", "for a moment")?;
    browser.click_text("Delete")?;
    browser.fill("Type doomed to go on", "/")?;
    browser.click_text("Delete virtual host")?;
    browser.sees("dialog .complaint", "That is not doomed.")?;
    browser.fill("Type doomed to go on", "doomed")?;
    browser.click_text("Delete virtual host")?;
    browser.sees("#main h1", "Virtual hosts")?;
    ensure!(
        stage.server.ask("GET", "vhosts/doomed", None)?.status == 404,
        "it is still there"
    );
    Ok(())
}

pub(crate) fn limits_are_set_and_taken_away(stage: &mut Stage) -> Result<()> {
    stage.server.prepare("PUT", "vhosts/limited", &json!({}))?;
    stage.enter("#/vhosts/limited", "limited")?;
    let browser = &stage.browser;
    let change = |queues: &str| -> Result<()> {
        browser.click("#main .card-head .small")?;
        browser.fill("Queues at most", queues)?;
        browser.click("dialog button[type=submit]")?;
        browser.gone("dialog")
    };
    change("12")?;
    let limits = stage.server.get("vhost-limits/limited")?;
    ensure!(limits[0]["value"] == json!({"max-queues": 12}), "{limits}");
    stage.visit("#/limits", "Limits")?;
    browser.sees("#main table", "12")?;
    stage.visit("#/vhosts/limited", "limited")?;
    change("")?;
    let limits = stage.server.get("vhost-limits/limited")?;
    ensure!(limits == json!([]) || limits[0]["value"] == json!({}), "{limits}");
    stage.visit("#/limits", "Limits")?;
    browser.click_text("Limit a user")?;
    browser.choose("User", "guest")?;
    browser.fill("Channels at most", "77")?;
    browser.click("dialog button[type=submit]")?;
    stage.is_told("Limits of guest are set.")?;
    browser.sees("#main", "77")?;
    let limits = stage.server.get("user-limits/guest")?;
    ensure!(limits[0]["value"] == json!({"max-channels": 77}), "{limits}");
    stage
        .server
        .prepare("DELETE", "user-limits/guest/max-channels", &json!({}))
}

pub(crate) fn what_is_deprecated_and_in_use_is_told(stage: &mut Stage) -> Result<()> {
    stage
        .server
        .prepare("PUT", "queues/%2F/old-fashioned", &json!({"durable": false}))?;
    stage.enter("#/features", "Feature flags")?;
    let told = "const rows = [...document.querySelectorAll('#main tbody tr')].map((row) => row.textContent);
                return rows.some((row) => row.startsWith('transient_nonexcl_queuesin use'))";
    stage.browser.holds(told, &json!([]))
}

pub(crate) fn the_cluster_gets_a_name_that_every_page_shows(stage: &mut Stage) -> Result<()> {
    stage.enter("#/cluster", "Cluster")?;
    stage.browser.click_text("Rename")?;
    stage.browser.fill("Name", "the name of a test")?;
    stage.browser.click("dialog button[type=submit]")?;
    stage.browser.gone("dialog")?;
    stage.visit("#/overview", "Overview")?;
    stage.browser.sees(".top .cluster", "the name of a test")
}

pub(crate) fn definitions_go_out_as_a_file_and_come_back_in(stage: &mut Stage) -> Result<()> {
    let server = &stage.server;
    let downloads = server.place().join("downloads");
    fs::create_dir_all(&downloads)?;
    server.prepare("PUT", "queues/%2F/exported", &json!({"durable": true}))?;
    stage.browser.download_to(&downloads)?;
    stage.enter("#/definitions", "Definitions")?;
    let browser = &stage.browser;
    browser.click_text("Download")?;
    browser.click("dialog button[type=submit]")?;
    stage.is_told("Saved")?;
    let file = eventually(|| {
        let found = fs::read_dir(&downloads)?.filter_map(|entry| Some(entry.ok()?.path()));
        let mut found = found.filter(|path| path.extension().is_some_and(|ending| ending == "json"));
        found.next().context("nothing was downloaded yet")
    })?;
    let mut definitions: Value = serde_json::from_str(&fs::read_to_string(&file)?)?;
    let queues = definitions["queues"].as_array_mut().context("the file has queues")?;
    ensure!(queues.iter().any(|queue| queue["name"] == "exported"), "{queues:?}");
    queues.push(json!({"name": "imported", "vhost": "/", "durable": true, "auto_delete": false, "arguments": {}}));
    let changed = server.place().join("changed.json");
    fs::write(&changed, definitions.to_string())?;
    browser.click_text("Upload")?;
    browser.attach("File", &changed)?;
    browser.click("dialog button[type=submit]")?;
    stage.is_told("Imported")?;
    server.get("queues/%2F/imported")?;
    fs::write(&changed, "{")?;
    browser.click_text("Upload")?;
    browser.attach("File", &changed)?;
    browser.click("dialog button[type=submit]")?;
    browser.sees("dialog .complaint", "changed.json is not JSON.")
}
