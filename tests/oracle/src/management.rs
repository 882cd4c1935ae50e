//! The management HTTP API as the behaviours need it: one request, status and JSON back.
//! It decides nothing about AMQP and keeps no state.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use base64::{Engine as _, prelude::BASE64_STANDARD as STANDARD};
use serde_json::Value;

/// Where the API is and who asks.
#[derive(Clone, Debug)]
pub struct Management {
    agent: ureq::Agent,
    base: String,
    authorization: String,
}

impl Management {
    /// `url` is `http://user:password@host:port`.
    ///
    /// # Errors
    /// Another form of URL.
    pub fn new(url: &str) -> Result<Self> {
        let rest = url
            .strip_prefix("http://")
            .context("management URL must start with http://")?;
        let (login, host) = rest
            .rsplit_once('@')
            .context("management URL must be http://user:password@host:port")?;
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(30)))
            .http_status_as_error(false)
            .build();
        Ok(Self {
            agent: config.into(),
            base: format!("http://{}", host.trim_end_matches('/')),
            authorization: format!("Basic {}", STANDARD.encode(login)),
        })
    }

    /// The same API with another login.
    #[must_use]
    pub fn log_in_as(&self, user: &str, password: &str) -> Self {
        let authorization = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
        Self {
            authorization,
            ..self.clone()
        }
    }

    /// Sends one request and returns status and body (null if it is not JSON).
    ///
    /// # Errors
    /// No HTTP answer.
    pub fn call(&self, method: &str, path: &str, body: Option<&str>) -> Result<(u16, Value)> {
        let url = format!("{}{path}", self.base);
        let what = || format!("{method} {url}");
        let answer = match (method, body) {
            ("GET", None) => self.agent.get(&url).header("authorization", &self.authorization).call(),
            ("DELETE", _) => self
                .agent
                .delete(&url)
                .header("authorization", &self.authorization)
                .call(),
            ("PUT", body) => self.with_body(self.agent.put(&url)).send(body.unwrap_or("")),
            ("POST", body) => self.with_body(self.agent.post(&url)).send(body.unwrap_or("")),
            _ => bail!("{} is not supported", what()),
        };
        let mut answer = answer.with_context(what)?;
        let text = answer.body_mut().read_to_string().with_context(what)?;
        Ok((
            answer.status().as_u16(),
            serde_json::from_str(&text).unwrap_or(Value::Null),
        ))
    }

    /// The text of a page.
    ///
    /// # Errors
    /// No HTTP answer, or one that is none.
    pub fn text(&self, path: &str) -> Result<String> {
        let url = format!("{}{path}", self.base);
        let mut answer = self.agent.get(&url).call().with_context(|| url.clone())?;
        ensure!(answer.status() == 200, "GET {url}: HTTP {}", answer.status());
        answer.body_mut().read_to_string().with_context(|| url.clone())
    }

    /// Host and port.
    #[must_use]
    pub fn address(&self) -> Option<(&str, &str)> {
        self.base.strip_prefix("http://")?.rsplit_once(':')
    }

    /// The text at a path that anybody may read, with its status.
    ///
    /// # Errors
    /// No HTTP answer.
    pub fn read(&self, path: &str) -> Result<(u16, String)> {
        let url = format!("{}{path}", self.base);
        let what = || format!("GET {url}");
        let mut answer = self.agent.get(&url).call().with_context(what)?;
        let text = answer.body_mut().read_to_string().with_context(what)?;
        Ok((answer.status().as_u16(), text))
    }

    /// Deletes with a reason in the header that RabbitMQ passes on to the client; returns the status.
    ///
    /// # Errors
    /// No HTTP answer.
    pub fn delete_because(&self, path: &str, reason: &str) -> Result<u16> {
        let url = format!("{}{path}", self.base);
        let request = self
            .agent
            .delete(&url)
            .header("authorization", &self.authorization)
            .header("X-Reason", reason);
        Ok(request
            .call()
            .with_context(|| format!("DELETE {url}"))?
            .status()
            .as_u16())
    }

    fn with_body<T>(&self, request: ureq::RequestBuilder<T>) -> ureq::RequestBuilder<T> {
        request
            .header("authorization", &self.authorization)
            .header("content-type", "application/json")
    }
}
