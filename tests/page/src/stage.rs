//! What every case begins with: a broker, a browser, and nobody logged in. Cases share both, so each names its own queues,
//! exchanges and users and expects nothing of the others'.

use anyhow::{Context, Result, ensure};
use serde_json::json;
use std::path::Path;

use crate::{browser::Browser, server::Server};

/// Broker and browser.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) browser: Browser,
    pub(crate) server: Server,
    /// The cluster, once a case has asked for it.
    pair: Option<Pair>,
}

/// Two brokers that are one cluster.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) first: Server,
    pub(crate) other: Server,
}

impl Stage {
    pub(crate) fn open(binary: &Path) -> Result<Self> {
        Ok(Self {
            server: Server::start(binary)?,
            browser: Browser::start()?,
            pair: None,
        })
    }

    /// A cluster of two nodes, `page@localhost` and `other@localhost`. Later cases find it as earlier ones left it.
    pub(crate) fn pair(&mut self) -> Result<&mut Pair> {
        if self.pair.is_none() {
            let first = Server::start(&self.server.binary)?;
            let other = first.start_member("other@localhost")?;
            self.pair = Some(Pair { first, other });
        }
        self.pair.as_mut().context("it was started")
    }

    /// Nobody is logged in, the window is a desktop's.
    pub(crate) fn reset(&self) -> Result<()> {
        self.browser.resize(1280, 900, false)?;
        self.browser.go(&self.server.url(""))?;
        self.browser
            .script("sessionStorage.clear(); localStorage.clear()", json!([]))?;
        self.browser.reload()?;
        self.browser.complaints().map(drop)
    }

    /// The page has told the console of no error.
    pub(crate) fn is_calm(&self) -> Result<()> {
        let complaints = self.browser.complaints()?;
        ensure!(complaints.is_empty(), "the console shows {complaints:?}");
        Ok(())
    }

    /// Logs in by the form.
    pub(crate) fn log_in(&self, user: &str, password: &str) -> Result<()> {
        self.browser.type_into("#name", user)?;
        self.browser.type_into("#password", password)?;
        self.browser.click_text("Log in")?;
        self.browser.find("#navigation").map(drop)
    }

    /// Logs in as the administrator and goes to the page with this heading.
    pub(crate) fn enter(&self, place: &str, heading: &str) -> Result<()> {
        self.log_in("guest", "guest")?;
        self.visit(place, heading)
    }

    /// Logs in at the first node of the cluster and goes to the page with this heading.
    pub(crate) fn enter_cluster(&mut self, place: &str, heading: &str) -> Result<()> {
        let url = self.pair()?.first.url("");
        self.browser.go(&url)?;
        self.browser
            .script("sessionStorage.clear(); localStorage.clear()", json!([]))?;
        self.browser.reload()?;
        self.enter(place, heading)
    }

    /// Goes to a place, and waits until the page with this heading is shown.
    pub(crate) fn visit(&self, place: &str, heading: &str) -> Result<()> {
        self.browser.script("location.hash = arguments[0]", json!([place]))?;
        self.browser.sees("#main h1", heading)
    }

    /// Has the page look at the broker now, as when its window comes to the front, and not with its next turn.
    pub(crate) fn look_again(&self) -> Result<()> {
        let event = "document.dispatchEvent(new Event('visibilitychange'))";
        self.browser.script(event, json!([])).map(drop)
    }

    /// Waits for the note that says so.
    pub(crate) fn is_told(&self, text: &str) -> Result<()> {
        self.browser.sees("#notes", text)
    }
}
