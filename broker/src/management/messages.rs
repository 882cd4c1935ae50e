//! Publishing to an exchange and getting from a queue, for people who look: both do what an AMQP client of that user
//! could do.

use api::{GotMessage, Published};
use axum::{
    Json,
    extract::{Path, State},
    response::IntoResponse,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use model::ReplyCode;
use serde_json::{Map, Value};
use std::sync::Arc;
use wire::Properties;

use super::{
    Api,
    answer::Outcome,
    body::{Body, table},
    caller::Caller,
    exchanges,
    failure::Failure,
    permissions::bad_name,
};
use crate::host::{Afterwards, Post, Taken};

/// `POST /exchanges/{vhost}/{exchange}/publish`
pub async fn publish(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path((vhost, exchange)): Path<(String, String)>,
    body: Body,
) -> Outcome {
    let client = caller.enter(&api, &vhost)?;
    body.require(&["properties", "routing_key", "payload", "payload_encoding"])?;
    let routing_key = body.required_text("routing_key")?;
    if routing_key.len() > u8::MAX.into() {
        return Err(Failure::bad_request("routing_key has more than 255 octets"));
    }
    let post = Post {
        exchange: exchanges::name(&exchange)?,
        routing_key: routing_key.to_owned(),
        body: payload(body.required_text("payload")?, body.required_text("payload_encoding")?)?,
        properties: properties(&body)?,
    };
    let routed = api
        .node
        .post(&client, &post)
        .map_err(|refusal| Failure::coded(&refusal))?;
    Ok(Json(Published { routed }).into_response())
}

fn payload(text: &str, encoding: &str) -> Result<Vec<u8>, Failure> {
    match encoding {
        "string" => Ok(text.as_bytes().to_vec()),
        "base64" => {
            let decoded = STANDARD.decode(text);
            decoded.map_err(|_| Failure::bad_request(vec!["not_base64", text]))
        }
        other => Err(Failure::bad_request(vec!["unsupported_encoding", other])),
    }
}

/// The properties of a body; names that AMQP does not have are ignored, as by RabbitMQ.
fn properties(body: &Body) -> Result<Properties, Failure> {
    let empty = Map::new();
    let given = match body.0.get("properties") {
        Some(Value::Object(fields)) => fields,
        Some(Value::Array(items)) if items.is_empty() => &empty,
        other => {
            return Err(Failure::bad_request(format!(
                "properties must be an object, not {other:?}"
            )));
        }
    };
    let text = |name: &'static str| match given.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(Failure::bad_request(vec!["not_string", name])),
    };
    let number = |name: &'static str| match given.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value
            .as_u64()
            .map(Some)
            .ok_or_else(|| Failure::bad_request(vec!["not_int", name])),
    };
    let octet = |name: &'static str| {
        let small = |number: u64| u8::try_from(number).map_err(|_| Failure::bad_request(vec!["not_int", name]));
        number(name)?.map(small).transpose()
    };
    let headers = match given.get("headers") {
        None | Some(Value::Null) => None,
        Some(Value::Array(items)) if items.is_empty() => None,
        Some(Value::Object(fields)) => Some(table(fields)?),
        Some(_) => return Err(Failure::bad_request(vec!["not_object", "headers"])),
    };
    Ok(Properties {
        content_type: text("content_type")?,
        content_encoding: text("content_encoding")?,
        headers,
        delivery_mode: octet("delivery_mode")?,
        priority: octet("priority")?,
        correlation_id: text("correlation_id")?,
        reply_to: text("reply_to")?,
        expiration: text("expiration")?,
        message_id: text("message_id")?,
        timestamp: number("timestamp")?,
        kind: text("type")?,
        user_id: text("user_id")?,
        app_id: text("app_id")?,
        cluster_id: text("cluster_id")?,
    })
}

fn shown(properties: &Properties) -> Map<String, Value> {
    let texts = [
        ("content_type", &properties.content_type),
        ("content_encoding", &properties.content_encoding),
        ("correlation_id", &properties.correlation_id),
        ("reply_to", &properties.reply_to),
        ("expiration", &properties.expiration),
        ("message_id", &properties.message_id),
        ("type", &properties.kind),
        ("user_id", &properties.user_id),
        ("app_id", &properties.app_id),
        ("cluster_id", &properties.cluster_id),
    ];
    let numbers = [
        ("delivery_mode", properties.delivery_mode.map(u64::from)),
        ("priority", properties.priority.map(u64::from)),
        ("timestamp", properties.timestamp),
    ];
    let texts = texts
        .into_iter()
        .filter_map(|(name, text)| Some((name, Value::from(text.clone()?))));
    let numbers = numbers
        .into_iter()
        .filter_map(|(name, number)| Some((name, Value::from(number?))));
    let headers = properties
        .headers
        .iter()
        .map(|headers| ("headers", Value::Object(api::to_json(headers))));
    let all = texts.chain(numbers).chain(headers);
    all.map(|(name, value)| (name.to_owned(), value)).collect()
}

/// `POST /queues/{vhost}/{queue}/get`
pub async fn get(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path((vhost, queue)): Path<(String, String)>,
    body: Body,
) -> Outcome {
    let client = caller.enter(&api, &vhost)?;
    body.require(&["count", "ackmode", "encoding"])?;
    let count = body.integer("count")?.and_then(|count| usize::try_from(count).ok());
    let count = count.ok_or_else(|| Failure::bad_request("count must not be negative"))?;
    let afterwards = afterwards(body.required_text("ackmode")?)?;
    let encode = encoding(body.required_text("encoding")?)?;
    let truncate = body
        .integer("truncate")?
        .map(|octets| usize::try_from(octets).unwrap_or(0));
    let queue = queue.parse().map_err(bad_name)?;
    let taken = api
        .node
        .take(&client, &queue, count, afterwards)
        .await
        .map_err(refused)?;
    let shape = |message: &Taken| got(message, truncate, encode);
    Ok(Json(taken.iter().map(shape).collect::<Vec<_>>()).into_response())
}

/// Unlike other refusals these name their code.
fn refused(refusal: model::Refusal) -> Failure {
    match refusal.code {
        ReplyCode::NotFound => Failure::missing(refusal.to_string()),
        ReplyCode::AccessRefused => Failure::not_authorised(&refusal.to_string()),
        _ => Failure::bad_request(refusal.to_string()),
    }
}

fn afterwards(mode: &str) -> Result<Afterwards, Failure> {
    match mode {
        "ack_requeue_true" | "reject_requeue_true" => Ok(Afterwards::Requeued),
        "ack_requeue_false" => Ok(Afterwards::Acked),
        "reject_requeue_false" => Ok(Afterwards::Rejected),
        other => {
            let modes = "ack_requeue_true, reject_requeue_true, ack_requeue_false or reject_requeue_false";
            Err(Failure::bad_request(format!("ackmode must be {modes}, not {other}")))
        }
    }
}

type Encode = fn(&[u8]) -> (String, &'static str);

fn encoding(word: &str) -> Result<Encode, Failure> {
    match word {
        "auto" => Ok(|octets| match std::str::from_utf8(octets) {
            Ok(text) => (text.to_owned(), "string"),
            Err(_) => (STANDARD.encode(octets), "base64"),
        }),
        "base64" => Ok(|octets| (STANDARD.encode(octets), "base64")),
        _ => Err(Failure::bad_request("Unsupported encoding. Please use auto or base64.")),
    }
}

fn got(message: &Taken, truncate: Option<usize>, encode: Encode) -> GotMessage {
    let octets = &message.body[..truncate.unwrap_or(usize::MAX).min(message.body.len())];
    let (payload, payload_encoding) = encode(octets);
    GotMessage {
        payload_bytes: message.body.len() as u64,
        redelivered: message.redelivered,
        exchange: message.exchange.clone(),
        routing_key: message.routing_key.clone(),
        message_count: message.left,
        properties: shown(&message.properties),
        payload,
        payload_encoding: payload_encoding.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(properties: Value) -> Result<Properties, Failure> {
        super::properties(&Body(Map::from_iter([("properties".to_owned(), properties)])))
    }

    #[test]
    fn properties_come_back_as_they_went_in() {
        let all = json!({"content_type": "a", "content_encoding": "b", "headers": {"h": 1}, "delivery_mode": 2,
            "priority": 3, "correlation_id": "c", "reply_to": "d", "expiration": "5", "message_id": "e",
            "timestamp": 6, "type": "f", "user_id": "g", "app_id": "h", "cluster_id": "i"});
        assert_eq!(Value::Object(shown(&read(all.clone()).unwrap())), all);
        assert_eq!(read(json!([])), Ok(Properties::default()));
    }

    #[test]
    fn properties_of_the_wrong_type_are_refused_by_name() {
        let cases = [
            (json!({"delivery_mode": "x"}), ["not_int", "delivery_mode"]),
            (json!({"priority": 256}), ["not_int", "priority"]),
            (json!({"expiration": 5}), ["not_string", "expiration"]),
        ];
        for (properties, reason) in cases {
            assert_eq!(read(properties), Err(Failure::bad_request(reason.to_vec())));
        }
    }

    #[test]
    fn bodies_travel_as_text_or_base64() {
        assert_eq!(payload("aGk=", "base64"), Ok(b"hi".to_vec()));
        assert_eq!(
            payload("!", "base64"),
            Err(Failure::bad_request(vec!["not_base64", "!"]))
        );
        assert_eq!(
            payload("x", "zz"),
            Err(Failure::bad_request(vec!["unsupported_encoding", "zz"]))
        );
        assert_eq!(encoding("auto").unwrap()(&[0xff]), ("/w==".to_owned(), "base64"));
        assert_eq!(encoding("auto").unwrap()(b"hi"), ("hi".to_owned(), "string"));
    }
}
