//! What other nodes show of the same, for whoever asks this one: connections, channels, consumers and nodes are those of the
//! whole cluster.
//!
//! A question goes to the other nodes as it came, in its user's name, and each answers for itself. One that does not answer
//! in time is missing in the answer and named in the log. Who may see what is decided by each node's own handlers.

use axum::{
    Json, Router,
    body::Body,
    extract::FromRequestParts,
    http::{Request, StatusCode, request::Parts},
    response::IntoResponse,
};
use catalog::NodeName;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use link::{Reply, Term};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::{collections::BTreeMap, convert::Infallible, sync::Arc, time::Duration};
use tokio::sync::mpsc;

use super::{
    Api,
    answer::{self, Outcome},
    caller::Caller,
    connections::REASON_HEADER,
    failure::Failure,
    list::Parameters,
};

/// How long other nodes may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Most octets of what one node answers.
const ANSWER_BYTES_MAX: usize = 256 << 20;
/// Frames of an answer that wait to be read.
const FRAMES_MAX: usize = 4;

/// In whose name another node asks. What is asked so is answered for this node alone.
#[derive(Clone, Debug)]
pub struct OnBehalf(pub String);

/// The other nodes, and what they are to be asked.
#[derive(Clone, Debug)]
pub struct Elsewhere {
    question: link::Page,
    /// Another node asks: it gets what this one has.
    is_here_alone: bool,
}

impl FromRequestParts<Arc<Api>> for Elsewhere {
    type Rejection = Infallible;
    async fn from_request_parts(parts: &mut Parts, _: &Arc<Api>) -> Result<Self, Infallible> {
        let reason = parts.headers.get(REASON_HEADER);
        Ok(Elsewhere {
            question: link::Page {
                method: parts.method.to_string(),
                path: format!(
                    "{}{}",
                    parts.uri.path(),
                    asked_of_others(parts.uri.query().unwrap_or_default())
                ),
                user: String::new(),
                reason: reason.and_then(|reason| reason.to_str().ok()).map(str::to_owned),
            },
            is_here_alone: parts.extensions.get::<OnBehalf>().is_some(),
        })
    }
}

/// Which parts of the past, and what of memory, are asked for. Pages, order and columns are made of all that is answered.
fn asked_of_others(query: &str) -> String {
    let is_age = |pair: &&str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (name.ends_with("_age") || name.ends_with("_incr")) && value.bytes().all(|octet| octet.is_ascii_digit())
    };
    let is_kept = |pair: &&str| is_age(pair) || ["memory=true", "binary=true"].contains(pair);
    let kept: Vec<&str> = query.split('&').filter(is_kept).collect();
    match kept.is_empty() {
        true => String::new(),
        false => format!("?{}", kept.join("&")),
    }
}

/// A row of a list: of this node, or as another one shows it.
enum Row<R> {
    Here(R),
    There(Value),
}

impl<R> Row<R> {
    fn name<'a>(&'a self, own: &impl Fn(&'a R) -> &'a str) -> &'a str {
        match self {
            Row::Here(row) => own(row),
            Row::There(shown) => shown["name"].as_str().unwrap_or_default(),
        }
    }
}

/// What a node answers.
#[derive(Clone, Debug)]
struct Answered {
    status: StatusCode,
    body: Value,
}

impl Answered {
    fn shown(self, query: &Parameters) -> Outcome {
        match self.status {
            StatusCode::NO_CONTENT => answer::done(),
            StatusCode::OK => query.one(self.body),
            status => Ok((status, Json(self.body)).into_response()),
        }
    }
}

impl Elsewhere {
    /// The same for another question, which the others are asked in any case.
    pub fn about(&self, path: &str) -> Self {
        Elsewhere {
            question: link::Page {
                method: "GET".to_owned(),
                path: path.to_owned(),
                ..self.question.clone()
            },
            is_here_alone: false,
        }
    }

    /// The rows of other nodes.
    pub async fn rows(&self, api: &Api, caller: &Caller) -> Vec<Value> {
        let rows = |answered: Answered| match answered.body {
            Value::Array(rows) if answered.status.is_success() => rows,
            _ => Vec::new(),
        };
        self.ask_all(api, caller).await.into_iter().flat_map(rows).collect()
    }

    /// What other nodes show of themselves in place of this node.
    pub async fn shown<T: DeserializeOwned>(&self, api: &Api, caller: &Caller) -> Vec<T> {
        let read = |answered: Answered| serde_json::from_value(answered.body).ok();
        let all = self.ask_all(api, caller).await.into_iter();
        all.filter(|answered| answered.status.is_success())
            .filter_map(read)
            .collect()
    }

    /// The rows of other nodes by name.
    pub async fn by_name(&self, api: &Api, caller: &Caller) -> BTreeMap<String, Value> {
        let rows = self.rows(api, caller).await.into_iter();
        rows.map(|row| (row["name"].as_str().unwrap_or_default().to_owned(), row))
            .collect()
    }

    /// True if another node asks: it gets what this one has.
    pub fn is_asked_by_node(&self) -> bool {
        self.is_here_alone
    }

    /// A list of the whole cluster, in the order of names; `own` is this node's share in that order.
    pub async fn pages<R, T: Serialize>(
        &self,
        (api, caller): (&Api, &Caller),
        query: &Parameters,
        own: Vec<R>,
        name: impl for<'a> Fn(&'a R) -> &'a str,
        build: impl Fn(&R) -> T,
    ) -> Outcome {
        let there = self.rows(api, caller).await;
        if there.is_empty() {
            return query.pages(own, name, build);
        }
        let own = own.into_iter().map(Row::Here);
        let mut rows: Vec<Row<R>> = own.chain(there.into_iter().map(Row::There)).collect();
        rows.sort_by(|a, b| a.name(&name).cmp(b.name(&name)));
        query.pages(
            rows,
            |row| row.name(&name),
            |row| match row {
                Row::Here(row) => serde_json::to_value(build(row)).unwrap_or_default(),
                Row::There(shown) => shown.clone(),
            },
        )
    }

    /// One thing that some other node has, or what that one did about it; `missing` if none has it.
    pub async fn one(&self, (api, caller): (&Api, &Caller), query: &Parameters, missing: Failure) -> Outcome {
        let answers = self.ask_all(api, caller).await;
        let is_known = |answered: &Answered| answered.status != StatusCode::NOT_FOUND;
        match answers.into_iter().find(is_known) {
            Some(answered) => answered.shown(query),
            None => Err(missing),
        }
    }

    /// What one other node says; nothing if that one does not answer.
    pub async fn of_node(&self, api: &Api, caller: &Caller, node: &str) -> Option<Value> {
        if self.is_here_alone {
            return None;
        }
        let snapshot = api.node.snapshot();
        let node = snapshot.other_nodes().into_iter().find(|other| **other == *node)?;
        let answered = self.ask(api, caller, &node).await?;
        answered.status.is_success().then_some(answered.body)
    }

    /// Does it everywhere else too.
    pub async fn tell(&self, api: &Api, caller: &Caller) {
        self.ask_all(api, caller).await;
    }

    async fn ask_all(&self, api: &Api, caller: &Caller) -> Vec<Answered> {
        let mut others = api.node.snapshot().other_nodes();
        others.retain(|_| !self.is_here_alone);
        let asked = others.iter().map(|node| self.ask(api, caller, node));
        futures::future::join_all(asked).await.into_iter().flatten().collect()
    }

    async fn ask(&self, api: &Api, caller: &Caller, node: &NodeName) -> Option<Answered> {
        let page = link::Page {
            user: caller.user.name.to_string(),
            ..self.question.clone()
        };
        let path = page.path.clone();
        let asked = tokio::time::timeout(PATIENCE, ask(api, page, node)).await;
        let answered = asked.unwrap_or_else(|_| Err(format!("no answer for {} s", PATIENCE.as_secs())));
        answered
            .map_err(|why| tracing::warn!("node {node} is missing in what is answered to {path}: {why}"))
            .ok()
    }
}

async fn ask(api: &Api, page: link::Page, node: &NodeName) -> Result<Answered, String> {
    let (pieces, mut heard) = mpsc::channel(FRAMES_MAX);
    let gather = async {
        let mut text = String::new();
        while let Some(reply) = heard.recv().await {
            let Reply::Rows(rows) = reply else { continue };
            for term in rows.into_iter().flatten() {
                match term {
                    Term::Binary(piece) if text.len() + piece.len() <= ANSWER_BYTES_MAX => text.push_str(&piece),
                    _ => return Err(format!("its answer is longer than {ANSWER_BYTES_MAX} octets")),
                }
            }
        }
        Ok(text)
    };
    let asked = api.node.ask_node(node, link::Request::Page(page), Some(pieces));
    let (answer, text) = tokio::join!(asked, gather);
    let status = match answer.map_err(|failure| format!("{failure:?}"))? {
        Term::Integer(status) => u16::try_from(status)
            .ok()
            .and_then(|status| StatusCode::from_u16(status).ok()),
        _ => None,
    };
    let body = match text? {
        empty if empty.is_empty() => Value::Null,
        text => serde_json::from_str(&text).map_err(|why| why.to_string())?,
    };
    let status = status.ok_or("it answers without a status")?;
    Ok(Answered { status, body })
}

/// Answers another node for this node alone: the status, and the body.
///
/// # Errors
/// What was asked is no request, or the answer is too long.
pub async fn answer(routes: Router, page: link::Page) -> Result<(u16, String), String> {
    let mut request = Request::builder().method(page.method.as_str()).uri(page.path);
    if let Some(reason) = page.reason {
        request = request.header(REASON_HEADER, reason);
    }
    let mut request = request.body(Body::empty()).map_err(|why| why.to_string())?;
    request.extensions_mut().insert(OnBehalf(page.user));
    let Ok(answered) = TowerToHyperService::new(routes).call(request).await;
    let status = answered.status().as_u16();
    let body = axum::body::to_bytes(answered.into_body(), ANSWER_BYTES_MAX).await;
    let body = body.map_err(|why| why.to_string())?;
    let text = String::from_utf8(body.into()).map_err(|why| why.to_string())?;
    Ok((status, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_nodes_are_asked_for_the_same_past_for_memory_and_for_whole_lists() {
        assert_eq!(
            asked_of_others("page=2&lengths_age=60&lengths_incr=5&columns=name&x_age=a%26b&memory=true&binary=true"),
            "?lengths_age=60&lengths_incr=5&memory=true&binary=true"
        );
        assert_eq!(asked_of_others("sort=name"), "");
        assert_eq!(asked_of_others(""), "");
    }
}
