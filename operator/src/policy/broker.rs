//! The operator's side of the brokers' admin port: every request is proven with the cluster's secret, and only an answer that
//! proves the same is believed. Any node of the cluster may be asked; the first that answers counts.

use std::collections::BTreeSet;
use std::time::Duration;

use api::{
    ApiError, Changes, Copies, Evacuation, EvacuationOrder, Leaving, Maintenance, Membership, Policy, PolicyReport,
    Settings, SettingsTaken,
};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, HeaderMap, WWW_AUTHENTICATE};
use hyper::{Method, Request};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use link::{Cookie, ERRAND_PROOF_HEADER, Errand};
use serde_json::Value;

use crate::cluster::secrets::escaped;

/// How long one node may take for one request, its proof included.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest answer that is read.
const ANSWER_BYTES_MAX: usize = 16 << 20;

type Failure = Box<dyn std::error::Error + Send + Sync>;
type Answer = (u16, HeaderMap, Bytes);

/// Why a request was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A broker says that it cannot be right.
    #[error("{0}")]
    Refused(String),
    /// There is no such virtual host, or no such policy.
    #[error("{0}")]
    NotFound(String),
    /// No broker answers, or none believably.
    #[error("{0}")]
    Silent(String),
}

/// The brokers of one cluster.
#[derive(Debug)]
pub struct Brokers {
    client: Client<HttpConnector, Full<Bytes>>,
    /// Where their admin ports are, those that serve clients first.
    addresses: Vec<String>,
    /// The secrets to prove, the current one first.
    cookies: Vec<Cookie>,
    patience: Duration,
}

impl Brokers {
    /// Brokers at these addresses, that share one of these secrets.
    pub fn new(addresses: Vec<String>, cookies: Vec<Cookie>) -> Self {
        Self {
            client: Client::builder(TokioExecutor::new()).build_http(),
            addresses,
            cookies,
            patience: PATIENCE,
        }
    }

    /// The same, that may take so long for one request.
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Has the first of them that answers serve no clients and lead nothing that others can (`PUT`), or serve again (`DELETE`).
    ///
    /// # Errors
    /// It cannot be, or none answers.
    pub async fn maintain(&self, method: Method) -> Result<Maintenance, Error> {
        let body = self.ask(method, "/maintenance", &[]).await?;
        serde_json::from_slice(&body).map_err(|error| Error::Silent(format!("its answer is no maintenance: {error}")))
    }

    /// Marks the node of the first of them that answers as one that is to leave (`PUT`), or as one that stays (`DELETE`).
    ///
    /// # Errors
    /// It cannot be, or none answers.
    pub async fn leaving(&self, method: Method) -> Result<Leaving, Error> {
        let body = self.ask(method, "/leaving", &[]).await?;
        serde_json::from_slice(&body).map_err(|error| Error::Silent(format!("its answer is no mark: {error}")))
    }

    /// Has the first of them that answers move queues with one copy to these nodes, for a minute.
    ///
    /// # Errors
    /// It does not know how, or none answers.
    pub async fn evacuate(&self, to: &BTreeSet<String>) -> Result<Evacuation, Error> {
        let order = EvacuationOrder { to: to.clone() };
        let body = serde_json::to_vec(&order).map_err(|error| Error::Refused(error.to_string()))?;
        let body = self.ask(Method::PUT, "/evacuation", &body).await?;
        serde_json::from_slice(&body).map_err(|error| Error::Silent(format!("its answer is no evacuation: {error}")))
    }

    /// Waits until the first of them that answers tells of a change since this mark, or that there is none yet.
    ///
    /// # Errors
    /// None answers.
    pub async fn changes(&self, since: Option<&str>) -> Result<Changes, Error> {
        let target = match since {
            Some(mark) => format!("/changes?since={}", escaped(mark)),
            None => "/changes".to_owned(),
        };
        let body = self.ask(Method::GET, &target, &[]).await?;
        serde_json::from_slice(&body).map_err(|error| Error::Silent(format!("its answer is no mark: {error}")))
    }

    /// How many queues the first of them that answers has copies of.
    ///
    /// # Errors
    /// None answers.
    pub async fn copies(&self) -> Result<Copies, Error> {
        let body = self.ask(Method::GET, "/copies", &[]).await?;
        serde_json::from_slice(&body).map_err(|error| Error::Silent(format!("its answer is no copies: {error}")))
    }

    /// Has the first of them that answers take settings over (`PUT`), or say what would come of it (`POST`).
    ///
    /// # Errors
    /// Something is wrong with them, or none answers.
    pub async fn settings(&self, method: Method, settings: &Settings) -> Result<SettingsTaken, Error> {
        let body = serde_json::to_vec(settings).map_err(|error| Error::Refused(error.to_string()))?;
        let body = self.ask(method, "/settings", &body).await?;
        serde_json::from_slice(&body).map_err(|error| Error::Silent(format!("its answer is no settings: {error}")))
    }

    /// Has the cluster hold its feature level, or let it go, by the first of them that answers.
    ///
    /// # Errors
    /// It cannot be, or none answers.
    pub async fn hold_level(&self, held: bool) -> Result<(), Error> {
        let body = serde_json::json!({ "held": held }).to_string();
        self.ask(Method::PUT, "/feature-level", body.as_bytes()).await.map(drop)
    }

    /// The cluster as one of them knows it.
    ///
    /// # Errors
    /// None answers.
    pub async fn membership(&self) -> Result<Membership, Error> {
        let body = self.each(|address| self.look(address, "/cluster")).await?;
        serde_json::from_slice(&body).map_err(|error| Error::Silent(format!("its answer is no membership: {error}")))
    }

    /// A policy, and what it does.
    ///
    /// # Errors
    /// There is no such virtual host, or no broker answers.
    pub async fn report(&self, vhost: &str, name: &str) -> Result<PolicyReport, Error> {
        let body = self.ask(Method::GET, &path(vhost, name), &[]).await?;
        serde_json::from_slice(&body).map_err(|error| Error::Silent(format!("its answer is no report: {error}")))
    }

    /// Has them hold a policy.
    ///
    /// # Errors
    /// They refuse it, or none answers.
    pub async fn put(&self, policy: &Policy) -> Result<(), Error> {
        let body = serde_json::to_vec(policy).map_err(|error| Error::Refused(error.to_string()))?;
        self.ask(Method::PUT, &path(&policy.vhost, &policy.name), &body)
            .await
            .map(drop)
    }

    /// Has them hold it no more; one that is not there is as good.
    ///
    /// # Errors
    /// None answers.
    pub async fn clear(&self, vhost: &str, name: &str) -> Result<(), Error> {
        match self.ask(Method::DELETE, &path(vhost, name), &[]).await {
            Ok(_) | Err(Error::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn ask(&self, method: Method, target: &str, body: &[u8]) -> Result<Bytes, Error> {
        self.each(|address| self.prove(address, method.clone(), target, body))
            .await
    }

    /// Asks one after the other until one has something to say.
    async fn each<'a, F>(&'a self, ask: impl Fn(&'a str) -> F) -> Result<Bytes, Error>
    where
        F: Future<Output = Result<(u16, Bytes), Failure>>,
    {
        let mut last = "none of its nodes has an address".to_owned();
        for address in &self.addresses {
            match tokio::time::timeout(self.patience, ask(address)).await {
                Ok(Ok((status, body))) => match judge(status, body) {
                    Err(Error::Silent(why)) => last = format!("{address}: {why}"),
                    judged => return judged,
                },
                Ok(Err(error)) => last = format!("{address}: {error}"),
                Err(_) => last = format!("{address} does not answer within {} s", self.patience.as_secs()),
            }
        }
        Err(Error::Silent(last))
    }

    /// What is open to all.
    async fn look(&self, address: &str, target: &str) -> Result<(u16, Bytes), Failure> {
        let (status, _, body) = self.send(address, &Method::GET, target, &[], None).await?;
        Ok((status, body))
    }

    /// What is behind the proof. Every secret is tried that the node may know.
    async fn prove(&self, address: &str, method: Method, target: &str, body: &[u8]) -> Result<(u16, Bytes), Failure> {
        let errand = Errand {
            method: method.as_str(),
            target,
            body,
        };
        for cookie in &self.cookies {
            let (status, headers, _) = self.send(address, &method, target, &[], None).await?;
            let nonce = challenge(status, &headers)
                .ok_or_else(|| format!("it asks for no proof (HTTP status {status}): is its version too old?"))?;
            let words = link::errand_proof(cookie, &nonce, errand);
            let (status, headers, answer) = self.send(address, &method, target, body, Some(&words)).await?;
            if status == 403 {
                continue;
            }
            let proof = headers.get(ERRAND_PROOF_HEADER).and_then(|proof| proof.to_str().ok());
            let proven = proof.is_some_and(|proof| link::is_answer_proven(cookie, &nonce, status, &answer, proof));
            return if proven {
                Ok((status, answer))
            } else {
                Err("its answer does not prove the cluster's secret".into())
            };
        }
        Err("it knows none of the secrets in the cluster's Secret".into())
    }

    async fn send(
        &self,
        address: &str,
        method: &Method,
        target: &str,
        body: &[u8],
        authorization: Option<&str>,
    ) -> Result<Answer, Failure> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("http://{address}{target}"));
        if let Some(words) = authorization {
            request = request.header(AUTHORIZATION, words);
        }
        let body = Full::new(Bytes::copy_from_slice(body));
        let answer = self.client.request(request.body(body)?).await?;
        let (parts, body) = answer.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await?.to_bytes();
        Ok((parts.status.as_u16(), parts.headers, body))
    }
}

fn path(vhost: &str, name: &str) -> String {
    format!("/policies/{}/{}", escaped(vhost), escaped(name))
}

fn challenge(status: u16, headers: &HeaderMap) -> Option<String> {
    let challenge = headers.get(WWW_AUTHENTICATE).filter(|_| status == 401)?;
    link::errand_nonce(challenge.to_str().ok()?)
}

fn judge(status: u16, body: Bytes) -> Result<Bytes, Error> {
    match status {
        200..=299 => Ok(body),
        400 => Err(Error::Refused(reason(&body))),
        404 => Err(Error::NotFound(reason(&body))),
        _ => Err(Error::Silent(format!("HTTP status {status}: {}", reason(&body)))),
    }
}

/// The broker's own sentence.
fn reason(body: &[u8]) -> String {
    match serde_json::from_slice::<ApiError>(body) {
        Ok(ApiError {
            reason: Value::String(text),
            ..
        }) => text.trim_end().to_owned(),
        Ok(error) => error.reason.to_string(),
        Err(_) => String::from_utf8_lossy(body).trim_end().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::extract::Request as Asked;
    use axum::http::StatusCode;
    use axum::response::{IntoResponse, Response};
    use std::sync::{Arc, Mutex};

    fn cookie(text: &str) -> Cookie {
        Cookie::new(text, "test").unwrap()
    }

    /// A broker that knows the secret and refuses every policy, or one that only says so.
    async fn broker(secret: &'static str, honest: bool) -> String {
        let nonces = Arc::new(Mutex::new(link::Nonces::default()));
        let answer = move |request: Asked| {
            let nonces = nonces.clone();
            async move { answer(&nonces, secret, honest, request).await }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
        address
    }

    async fn answer(nonces: &Mutex<link::Nonces>, secret: &str, honest: bool, request: Asked) -> Response {
        let (parts, body) = request.into_parts();
        let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        let errand = Errand {
            method: parts.method.as_str(),
            target: parts.uri.path(),
            body: &body,
        };
        let said = parts.headers.get(AUTHORIZATION).map(|words| words.to_str().unwrap());
        let own = [cookie(secret)];
        let judged = nonces
            .lock()
            .unwrap()
            .judge(0, &own, errand, said)
            .map(|(_, nonce)| nonce);
        match judged {
            Ok(nonce) => {
                let text = r#"{"error":"bad_request","reason":"Validation failed\n\nno\n"}"#;
                let maker = if honest { &own[0] } else { &cookie("ANOTHER") };
                let proof = link::answer_proof(maker, &nonce, 400, text.as_bytes());
                (StatusCode::BAD_REQUEST, [(ERRAND_PROOF_HEADER, proof)], text).into_response()
            }
            Err(link::Unproven::WrongSecret) => StatusCode::FORBIDDEN.into_response(),
            Err(_) => {
                let challenge = link::errand_challenge(&nonces.lock().unwrap().draw(0));
                (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, challenge)]).into_response()
            }
        }
    }

    fn policy() -> Policy {
        Policy {
            vhost: "/".into(),
            name: "ha".into(),
            pattern: String::new(),
            apply_to: api::ApplyTo::All,
            definition: serde_json::Map::new(),
            priority: 0,
        }
    }

    #[tokio::test]
    async fn the_first_node_that_answers_counts_and_a_later_secret_is_tried_too() {
        let addresses = vec!["127.0.0.1:1".to_owned(), broker("SECOND", true).await];
        let brokers = Brokers::new(addresses, vec![cookie("FIRST"), cookie("SECOND")]);
        let refused = brokers.put(&policy()).await.unwrap_err();
        assert_eq!(refused, Error::Refused("Validation failed\n\nno".into()));
    }

    #[tokio::test]
    async fn an_answer_without_a_proof_is_not_believed() {
        for (secret, honest, words) in [("SECRET", false, "does not prove"), ("STRANGE", true, "knows none")] {
            let brokers = Brokers::new(vec![broker(secret, honest).await], vec![cookie("SECRET")]);
            let silent = brokers.put(&policy()).await.unwrap_err();
            assert!(
                matches!(&silent, Error::Silent(why) if why.contains(words)),
                "{silent:?}"
            );
        }
        let nobody = Brokers::new(Vec::new(), Vec::new());
        assert!(matches!(nobody.report("/", "ha").await, Err(Error::Silent(_))));
    }
}
