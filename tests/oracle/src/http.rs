//! The lines of a behaviour that go through the management API: requests, users, vhosts, closing connections.
//! What is PUT here is deleted when the behaviour ends. It says nothing about AMQP.

use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use serde_json::Value;

use crate::expect::{self, Captures};
use crate::lex::Word;
use crate::stage::{Needs, PATIENCE, Stage};

/// A request as a behaviour writes it: `METHOD PATH [as=USER] [{json}] [=> STATUS [{json}]]`.
struct Request<'w> {
    method: &'w str,
    path: &'w str,
    /// Login other than the stage's; users made by a behaviour have the password `p`.
    user: Option<&'w str>,
    body: Option<&'w str>,
    /// `2xx` unless written.
    status: &'w str,
    answer: Option<Value>,
}

impl<'w> Request<'w> {
    fn parse(words: &'w [Word]) -> Result<Self> {
        let arrow = words.iter().position(|word| word.text() == "=>").unwrap_or(words.len());
        let (asked, wanted) = (&words[..arrow], words.get(arrow + 1..).unwrap_or_default());
        let [method, path, options @ ..] = asked else {
            bail!("http METHOD PATH")
        };
        let braced = |words: &'w [Word]| {
            words
                .iter()
                .find(|word| matches!(word, Word::Braced(_)))
                .map(Word::text)
        };
        Ok(Self {
            method: method.text(),
            path: path.text(),
            user: options.iter().find_map(|word| word.text().strip_prefix("as=")),
            body: braced(options),
            status: wanted.first().map_or("2xx", Word::text),
            answer: braced(wanted).map(serde_json::from_str).transpose()?,
        })
    }

    fn status_fits(&self, status: u16) -> bool {
        if self.status == "2xx" {
            (200..300).contains(&status)
        } else {
            self.status == status.to_string()
        }
    }
}

/// The key that says with `null` that there are no others.
const NO_MORE: &str = "…";

/// Whether `got` has all that `wanted` says: objects may have more keys unless `"…":null` forbids it, arrays are compared item by
/// item, and in strings `…` stands for any text; alone it stands for any value.
fn holds(wanted: &Value, got: &Value) -> bool {
    match (wanted, got) {
        (Value::Object(wanted), Value::Object(got)) => {
            let may_have = |key: &String| !wanted.contains_key(NO_MORE) || wanted.contains_key(key);
            let mut named = wanted.iter().filter(|(key, _)| *key != NO_MORE);
            got.keys().all(may_have) && named.all(|(key, value)| got.get(key).is_some_and(|got| holds(value, got)))
        }
        (Value::Array(wanted), Value::Array(got)) => {
            wanted.len() == got.len() && wanted.iter().zip(got).all(|(wanted, got)| holds(wanted, got))
        }
        (Value::String(any), _) if any == "…" => true,
        (Value::String(wanted), Value::String(got)) => {
            let word = [Word::Quoted(wanted.clone())];
            expect::matches(&word, std::slice::from_ref(got), &mut Captures::new()).unwrap_or(false)
        }
        (wanted, got) => wanted == got,
    }
}

impl Stage<'_> {
    /// Sends one request and compares status and, where the behaviour names it, the JSON of the answer.
    pub(crate) fn http(&mut self, words: &[Word]) -> Result<()> {
        let request = Request::parse(words)?;
        let management = self.server.management.as_ref().ok_or(Needs("the management API"))?;
        let other = request.user.map(|user| management.log_in_as(user, "p"));
        let management = other.as_ref().unwrap_or(management);
        let (status, answer) = management.call(request.method, request.path, request.body)?;
        let expected = request.status;
        ensure!(
            request.status_fits(status),
            "expected: HTTP {expected}\n      saw: HTTP {status} {answer}"
        );
        if request.method == "PUT" {
            self.created.push(request.path.to_owned());
        }
        let Some(wanted) = request.answer else { return Ok(()) };
        ensure!(holds(&wanted, &answer), "expected: {wanted}\n      saw: {answer}");
        Ok(())
    }

    /// Repeats a request until it is answered as expected.
    pub(crate) fn http_eventually(&mut self, words: &[Word]) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.http(words) {
                Err(_) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(200)),
                outcome => return outcome,
            }
        }
    }

    /// `kick NAME REASON`: closes the connection with that client-provided name through the API, once it is listed.
    pub(crate) fn kick(&mut self, words: &[Word]) -> Result<()> {
        let [name, reason] = words else {
            bail!("kick NAME REASON")
        };
        let management = self.server.management.as_ref().ok_or(Needs("the management API"))?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let (_, all) = management.call("GET", "/api/connections", None)?;
            let all = all.as_array().cloned().unwrap_or_default();
            let found = all
                .iter()
                .find(|row| row["client_properties"]["connection_name"] == name.text());
            if let Some(server_name) = found.and_then(|row| row["name"].as_str()) {
                let path = format!(
                    "/api/connections/{}",
                    server_name.replace(' ', "%20").replace('>', "%3E")
                );
                let status = management.delete_because(&path, reason.text())?;
                ensure!(status == 204, "expected: HTTP 204\n      saw: HTTP {status}");
                return Ok(());
            }
            ensure!(
                Instant::now() < deadline,
                "the API never listed connection {}",
                name.text()
            );
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// `vhost NAME`: creates it with all permissions for the default user; later connections open it.
    pub(crate) fn make_vhost(&mut self, words: &[Word]) -> Result<()> {
        let [name] = words else { bail!("vhost NAME") };
        let user = &self.server.user;
        let permissions = format!("/api/permissions/{}/{user}", name.text());
        self.api_put(&format!("/api/vhosts/{}", name.text()), "{}")?;
        self.api_put(&permissions, r#"{"configure":".*","write":".*","read":".*"}"#)?;
        self.vhost = name.text().to_owned();
        Ok(())
    }

    /// `user NAME CONFIGURE WRITE READ [TAG]`: password `p`, permissions in the current vhost.
    pub(crate) fn make_user(&mut self, words: &[Word]) -> Result<()> {
        let [name, configure, write, read, tags @ ..] = words else {
            bail!("user NAME CONFIGURE WRITE READ [TAG]")
        };
        let tag = tags.first().map_or("", Word::text);
        self.api_put(
            &format!("/api/users/{}", name.text()),
            &serde_json::json!({"password": "p", "tags": tag}).to_string(),
        )?;
        let patterns = serde_json::json!({"configure": configure.text(), "write": write.text(), "read": read.text()});
        let vhost = self.vhost.replace('/', "%2F");
        self.api_put(
            &format!("/api/permissions/{vhost}/{}", name.text()),
            &patterns.to_string(),
        )
    }

    fn api_put(&mut self, path: &str, json: &str) -> Result<()> {
        let management = self.server.management.as_ref().ok_or(Needs("the management API"))?;
        let (status, answer) = management.call("PUT", path, Some(json))?;
        ensure!((200..300).contains(&status), "PUT {path}: HTTP {status} {answer}");
        self.created.push(path.to_owned());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_answer_may_have_more_keys_but_not_more_items() {
        assert!(holds(&json!({"a": 1}), &json!({"a": 1, "b": 2})));
        assert!(holds(&json!({"a": "x…"}), &json!({"a": "xyz"})));
        assert!(holds(&json!({"a": "…"}), &json!({"a": 5})));
        assert!(!holds(&json!({"a": 1}), &json!({"b": 2})));
        assert!(!holds(&json!([1]), &json!([1, 2])));
        assert!(!holds(&json!({"a": "x"}), &json!({"a": "y"})));
    }
}
