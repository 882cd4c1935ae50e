//! A headless Chromium, driven through chromedriver by the WebDriver protocol as a person would use it: finding what is
//! seen, clicking and typing. Whatever is looked for may still be on its way, so every look has a deadline.

use anyhow::{Context, Result, bail, ensure};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use std::{
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;
use ureq::Agent;

use crate::process::{Process, free_port};

/// How long anything may take to be seen: numbers are read every five seconds, and shown with the page's next look.
const PATIENCE: Duration = Duration::from_secs(15);
const LOOK_AGAIN: Duration = Duration::from_millis(40);

/// No request but to the broker, whatever the browser would like to know of the world.
const QUIET: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,900",
];

/// The key Enter, as WebDriver spells it.
pub(crate) const ENTER: &str = "\u{E007}";
/// The key Esc.
pub(crate) const ESCAPE: &str = "\u{E00C}";
/// The key Tab.
pub(crate) const TAB: &str = "\u{E004}";

/// A browser with one window.
#[derive(Debug)]
pub(crate) struct Browser {
    _driver: Process,
    _profile: TempDir,
    agent: Agent,
    session: String,
}

/// Something in the page.
#[derive(Debug, Clone)]
pub(crate) struct Element(String);

/// Repeats until it succeeds; the last failure counts when time is up.
pub(crate) fn eventually<T>(mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
    let end = Instant::now() + PATIENCE;
    loop {
        match attempt() {
            Ok(found) => return Ok(found),
            Err(error) if Instant::now() > end => return Err(error),
            Err(_) => std::thread::sleep(LOOK_AGAIN),
        }
    }
}

impl Browser {
    /// Starts chromedriver and a browser with a fresh profile.
    pub(crate) fn start() -> Result<Self> {
        let port = free_port()?;
        let profile = TempDir::with_prefix("page-chromium-")?;
        let mut command = Command::new("chromedriver");
        command
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let driver = Process::start(&mut command)
            .context("install chromium and chromium-driver (Debian: apt-get install chromium chromium-driver)")?;
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(60)))
            .build()
            .into();
        let mut browser = Self {
            _driver: driver,
            agent,
            session: format!("http://127.0.0.1:{port}"),
            _profile: profile,
        };
        eventually(|| browser.call("GET", "/status", None))?;
        browser.session = browser.begin()?;
        Ok(browser)
    }

    fn begin(&self) -> Result<String> {
        let mut arguments: Vec<String> = QUIET.map(str::to_owned).to_vec();
        arguments.push(format!("--user-data-dir={}", self._profile.path().display()));
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": {"args": arguments},
            "goog:loggingPrefs": {"browser": "ALL"},
        }}});
        let begun = self.call("POST", "/session", Some(wanted))?;
        let id = begun["sessionId"].as_str().context("a session has an id")?;
        Ok(format!("{}/session/{id}", self.session))
    }

    fn call(&self, method: &str, path: &str, body: Option<Value>) -> Result<Value> {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.session))
            .header("content-type", "application/json");
        let octets = body.map(|body| body.to_string()).unwrap_or_default();
        let mut response = self.agent.run(request.body(octets)?)?;
        let mut answer: Value = response.body_mut().read_json()?;
        if let Some(error) = answer["value"]["error"].as_str() {
            let message = answer["value"]["message"].as_str().unwrap_or_default();
            bail!("{error}: {}", message.lines().next().unwrap_or_default());
        }
        Ok(answer["value"].take())
    }

    pub(crate) fn go(&self, url: &str) -> Result<()> {
        self.call("POST", "/url", Some(json!({"url": url}))).map(drop)
    }

    pub(crate) fn reload(&self) -> Result<()> {
        self.call("POST", "/refresh", Some(json!({}))).map(drop)
    }

    /// Runs a script in the page; `arguments[0]` and so on are what it gets.
    pub(crate) fn script(&self, script: &str, arguments: Value) -> Result<Value> {
        self.call(
            "POST",
            "/execute/sync",
            Some(json!({"script": script, "args": arguments})),
        )
    }

    fn look(&self, using: &str, value: &str) -> Result<Element> {
        let found = self.call("POST", "/element", Some(json!({"using": using, "value": value})))?;
        let id = found
            .as_object()
            .and_then(|object| object.values().next())
            .and_then(Value::as_str);
        Ok(Element(id.context("an element has an id")?.to_owned()))
    }

    /// What a CSS selector finds.
    pub(crate) fn find(&self, css: &str) -> Result<Element> {
        eventually(|| self.look("css selector", css)).with_context(|| format!("nothing is {css}"))
    }

    fn by_path(&self, path: &str) -> Result<Element> {
        eventually(|| self.look("xpath", path)).with_context(|| format!("nothing is {path}"))
    }

    /// Waits until nothing is found any more.
    pub(crate) fn gone(&self, css: &str) -> Result<()> {
        eventually(|| {
            let count = self.count(css)?;
            ensure!(count == 0, "{count} are still {css}");
            Ok(())
        })
    }

    /// How many there are now.
    pub(crate) fn count(&self, css: &str) -> Result<u64> {
        let count = self.script("return document.querySelectorAll(arguments[0]).length", json!([css]))?;
        count.as_u64().context("a count is a number")
    }

    /// Clicks once it can be clicked: not while something covers it or it is being redrawn.
    fn press(&self, find: impl Fn() -> Result<Element>) -> Result<()> {
        eventually(|| {
            let Element(id) = find()?;
            self.call("POST", &format!("/element/{id}/click"), Some(json!({})))
                .map(drop)
        })
    }

    /// Clicks what a CSS selector finds.
    pub(crate) fn click(&self, css: &str) -> Result<()> {
        self.press(|| self.look("css selector", css))
            .with_context(|| format!("cannot click {css}"))
    }

    /// Clicks the button or link with this text; of several, the last, which is the one of an open dialog.
    pub(crate) fn click_text(&self, text: &str) -> Result<()> {
        let path = format!(
            "(//*[self::button or self::a or self::label][normalize-space(.)={}])[last()]",
            quoted(text)
        );
        self.press(|| self.look("xpath", &path))
            .with_context(|| format!("cannot click “{text}”"))
    }

    /// Types into what a CSS selector finds.
    pub(crate) fn type_into(&self, css: &str, text: &str) -> Result<()> {
        let Element(id) = self.find(css)?;
        self.call("POST", &format!("/element/{id}/value"), Some(json!({"text": text})))
            .with_context(|| format!("cannot type into {css}"))
            .map(drop)
    }

    fn labelled(label: &str, what: &str) -> String {
        format!(
            "(//*[normalize-space(text())={}]/ancestor-or-self::*[contains(@class,'field')])[last()]//{what}",
            quoted(label)
        )
    }

    /// Replaces the text of the field with this label.
    pub(crate) fn fill(&self, label: &str, text: &str) -> Result<()> {
        let path = Self::labelled(label, "*[self::input or self::textarea]");
        let Element(id) = self.by_path(&path)?;
        self.call("POST", &format!("/element/{id}/clear"), Some(json!({})))?;
        self.call("POST", &format!("/element/{id}/value"), Some(json!({"text": text})))
            .map(drop)
    }

    /// Gives a file to the field with this label.
    pub(crate) fn attach(&self, label: &str, file: &Path) -> Result<()> {
        let Element(id) = self.by_path(&Self::labelled(label, "input"))?;
        let body = json!({"text": file.display().to_string()});
        self.call("POST", &format!("/element/{id}/value"), Some(body)).map(drop)
    }

    /// Chooses an option of the field with this label, by the option's text.
    pub(crate) fn choose(&self, label: &str, option: &str) -> Result<()> {
        let path = Self::labelled(label, &format!("option[normalize-space(.)={}]", quoted(option)));
        self.press(|| self.look("xpath", &path))
            .with_context(|| format!("cannot choose “{option}” of “{label}”"))
    }

    /// Presses keys without saying where: they go to what has the focus.
    pub(crate) fn keys(&self, keys: &[&str]) -> Result<()> {
        let strokes = keys
            .iter()
            .flat_map(|key| ["keyDown", "keyUp"].map(|kind| json!({"type": kind, "value": key})));
        let actions = json!({"actions": [{"type": "key", "id": "keyboard", "actions": strokes.collect::<Vec<_>>()}]});
        self.call("POST", "/actions", Some(actions)).map(drop)
    }

    /// The text that is seen of what a CSS selector finds.
    pub(crate) fn text(&self, css: &str) -> Result<String> {
        eventually(|| {
            let Element(id) = self.look("css selector", css)?;
            let text = self.call("GET", &format!("/element/{id}/text"), None)?;
            Ok(text.as_str().unwrap_or_default().to_owned())
        })
        .with_context(|| format!("no text of {css}"))
    }

    /// Waits until a text is seen there.
    pub(crate) fn sees(&self, css: &str, text: &str) -> Result<()> {
        eventually(|| {
            let shown = self.text(css)?;
            ensure!(shown.contains(text), "{css} shows “{shown}”, not “{text}”");
            Ok(())
        })
    }

    /// Waits until a script returns true.
    pub(crate) fn holds(&self, script: &str, arguments: &Value) -> Result<()> {
        eventually(|| {
            let answer = self.script(script, arguments.clone())?;
            ensure!(answer == json!(true), "not true but {answer}: {script}");
            Ok(())
        })
    }

    /// Makes the window this wide, as a phone is if `mobile`.
    pub(crate) fn resize(&self, width: u32, height: u32, mobile: bool) -> Result<()> {
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile});
        self.devtools("Emulation.setDeviceMetricsOverride", metrics)
    }

    /// Files that are downloaded go there.
    pub(crate) fn download_to(&self, directory: &Path) -> Result<()> {
        let place = json!({"behavior": "allow", "downloadPath": directory.display().to_string()});
        self.devtools("Browser.setDownloadBehavior", place)
    }

    fn devtools(&self, command: &str, parameters: Value) -> Result<()> {
        let body = json!({"cmd": command, "params": parameters});
        self.call("POST", "/goog/cdp/execute", Some(body)).map(drop)
    }

    /// Errors that the page has told the console since it was asked last. A refused request is none: it was provoked.
    pub(crate) fn complaints(&self) -> Result<Vec<String>> {
        let entries = self.call("POST", "/se/log", Some(json!({"type": "browser"})))?;
        let all = entries.as_array().context("a log is a list")?.iter();
        let severe = all.filter(|entry| entry["level"] == "SEVERE" && entry["source"] != "network");
        Ok(severe.map(|entry| entry["message"].to_string()).collect())
    }

    /// A picture of the window.
    pub(crate) fn picture(&self) -> Result<Vec<u8>> {
        let picture = self.call("GET", "/screenshot", None)?;
        Ok(STANDARD.decode(picture.as_str().context("a picture is base64")?)?)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The processes are killed all the same; ending the session lets the browser remove its files before.
        let _ = self.call("DELETE", "", None);
    }
}

/// A text in an XPath expression.
fn quoted(text: &str) -> String {
    match text.contains('"') {
        false => format!("\"{text}\""),
        true => format!("'{text}'"),
    }
}
