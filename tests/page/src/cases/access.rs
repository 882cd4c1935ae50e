//! Logging in and out, and what each tag lets people see. The API decides; the page must not offer what it will refuse.

use anyhow::{Result, ensure};
use serde_json::json;

use crate::stage::Stage;

pub(crate) fn a_wrong_password_is_told_and_the_right_one_opens_the_overview(stage: &mut Stage) -> Result<()> {
    let browser = &stage.browser;
    browser.type_into("#name", "guest")?;
    browser.type_into("#password", "wrong")?;
    browser.click_text("Log in")?;
    browser.sees(".complaint", "Name or password is wrong.")?;
    browser.type_into("#password", "guest")?;
    browser.click_text("Log in")?;
    browser.sees("#main h1", "Overview")
}

pub(crate) fn a_user_without_a_management_tag_is_told_which_tags_are_needed(stage: &mut Stage) -> Result<()> {
    let body = json!({"password": "x", "tags": "impersonator"});
    stage.server.prepare("PUT", "users/tagless", &body)?;
    stage.browser.type_into("#name", "tagless")?;
    stage.browser.type_into("#password", "x")?;
    stage.browser.click_text("Log in")?;
    stage.browser.sees(".complaint", "none of the tags management")
}

pub(crate) fn a_session_survives_a_reload_and_ends_with_the_log_out(stage: &mut Stage) -> Result<()> {
    stage.enter("#/exchanges", "Exchanges")?;
    stage.browser.reload()?;
    stage.browser.sees("#main h1", "Exchanges")?;
    stage.browser.click("#log-out")?;
    stage.browser.find("#password")?;
    let kept = stage
        .browser
        .script("return sessionStorage.length + document.cookie.length", json!([]))?;
    ensure!(kept == 0, "{kept} things are kept after the log-out");
    stage.browser.reload()?;
    stage.browser.find("#password").map(drop)
}

pub(crate) fn a_user_of_the_tag_management_sees_neither_nodes_nor_users(stage: &mut Stage) -> Result<()> {
    let server = &stage.server;
    server.prepare("PUT", "vhosts/theirs", &json!({}))?;
    server.prepare("PUT", "vhosts/hidden", &json!({}))?;
    server.prepare("PUT", "queues/hidden/secret", &json!({}))?;
    server.prepare("PUT", "queues/theirs/open", &json!({}))?;
    server.prepare("PUT", "users/clerk", &json!({"password": "c", "tags": "management"}))?;
    let everything = json!({"configure": ".*", "write": ".*", "read": ".*"});
    server.prepare("PUT", "permissions/theirs/clerk", &everything)?;
    stage.log_in("clerk", "c")?;
    let browser = &stage.browser;
    browser.sees("#main h1", "Overview")?;
    let offered = browser.text("#navigation")?;
    for hidden in ["Nodes", "Users", "Definitions"] {
        ensure!(!offered.contains(hidden), "{hidden} is offered: {offered}");
    }
    stage.visit("#/queues", "Queues")?;
    browser.sees(".list tbody", "open")?;
    ensure!(
        !browser.text(".list")?.contains("secret"),
        "a queue of another virtual host is shown"
    );
    browser.script("location.hash = '#/users'", json!([]))?;
    browser.sees(".failure", "Not administrator user")?;
    browser.sees("#navigation", "Queues")
}

pub(crate) fn a_policymaker_may_set_policies_and_a_monitor_may_only_look(stage: &mut Stage) -> Result<()> {
    let everything = json!({"configure": ".*", "write": ".*", "read": ".*"});
    for (user, tag) in [("maker", "policymaker"), ("watcher", "monitoring")] {
        let server = &stage.server;
        server.prepare("PUT", &format!("users/{user}"), &json!({"password": "p", "tags": tag}))?;
        server.prepare("PUT", &format!("permissions/%2F/{user}"), &everything)?;
    }
    stage.log_in("maker", "p")?;
    stage.visit("#/policies", "Policies")?;
    ensure!(
        stage.browser.count(".primary")? == 1,
        "a policymaker adds policies and no operator policies"
    );
    stage.browser.click("#log-out")?;
    stage.log_in("watcher", "p")?;
    stage.visit("#/policies", "Policies")?;
    ensure!(
        stage.browser.count(".primary")? == 0,
        "a monitor is offered to add policies"
    );
    stage.visit("#/nodes", "Nodes")?;
    stage.browser.sees("#main table", "page@localhost")
}

pub(crate) fn a_password_changed_elsewhere_ends_the_session(stage: &mut Stage) -> Result<()> {
    let with = |password: &str| json!({"password": password, "tags": "administrator"});
    stage.server.prepare("PUT", "users/brief", &with("before"))?;
    stage.log_in("brief", "before")?;
    stage.server.prepare("PUT", "users/brief", &with("after"))?;
    stage.browser.script("location.hash = '#/cluster'", json!([]))?;
    stage.browser.sees(".complaint", "no longer accepted")?;
    stage.log_in("brief", "after")
}
