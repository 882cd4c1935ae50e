//! `/topic-permissions`: which routing keys users may publish and bind on topic exchanges.

use access::TopicPermissions;
use api::TopicPermission;
use axum::{
    Router,
    extract::{Path, State},
    routing::get,
};
use catalog::Command;
use model::{ExchangeName, UserName, VhostName};
use std::sync::Arc;

use super::{
    Api,
    answer::{self, Outcome},
    body::Body,
    caller::Administrator,
    failure::{self, Failure},
    list::Parameters,
    permissions::{bad_name, check_pattern, no_vhost_or_user},
};

/// The routes of this resource.
pub fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/topic-permissions", get(list))
        .route("/topic-permissions/{vhost}/{user}", get(of_both).put(put).delete(clear))
        .route(
            "/topic-permissions/{vhost}/{user}/{exchange}",
            get(of_one).delete(clear_one),
        )
}

fn shape(vhost: &VhostName, user: &UserName, exchange: &ExchangeName, own: &TopicPermissions) -> TopicPermission {
    TopicPermission {
        user: user.to_string(),
        vhost: vhost.to_string(),
        exchange: exchange.to_string(),
        write: own.write.as_str().to_owned(),
        read: own.read.as_str().to_owned(),
    }
}

fn rows(api: &Api, wanted: impl Fn(&VhostName, &UserName) -> bool) -> Vec<TopicPermission> {
    let snapshot = api.node.snapshot();
    let all = snapshot.catalog.access().all_topics();
    all.filter(|(vhost, user, ..)| wanted(vhost, user))
        .map(|(vhost, user, exchange, own)| shape(vhost, user, exchange, own))
        .collect()
}

async fn list(State(api): State<Arc<Api>>, _: Administrator, query: Parameters) -> Outcome {
    query.all(rows(&api, |_, _| true))
}

/// `/vhosts/{vhost}/topic-permissions`
pub async fn of_vhost(
    State(api): State<Arc<Api>>,
    _: Administrator,
    Path(name): Path<String>,
    query: Parameters,
) -> Outcome {
    api.node
        .snapshot()
        .catalog
        .vhost(&name)
        .ok_or_else(Failure::not_found)?;
    query.all(rows(&api, |vhost, _| vhost.as_str() == name))
}

/// `/users/{user}/topic-permissions`
pub async fn of_user(
    State(api): State<Arc<Api>>,
    _: Administrator,
    Path(name): Path<String>,
    query: Parameters,
) -> Outcome {
    let snapshot = api.node.snapshot();
    snapshot.catalog.access().user(&name).ok_or_else(Failure::not_found)?;
    query.all(rows(&api, |_, user| user.as_str() == name))
}

async fn of_both(
    State(api): State<Arc<Api>>,
    _: Administrator,
    Path((vhost, user)): Path<(String, String)>,
    query: Parameters,
) -> Outcome {
    some(rows(&api, |v, u| v.as_str() == vhost && u.as_str() == user), &query)
}

/// A list all the same, as RabbitMQ answers it.
async fn of_one(
    State(api): State<Arc<Api>>,
    _: Administrator,
    Path((vhost, user, exchange)): Path<(String, String, String)>,
    query: Parameters,
) -> Outcome {
    let mut found = rows(&api, |v, u| v.as_str() == vhost && u.as_str() == user);
    found.retain(|own| own.exchange == exchange);
    some(found, &query)
}

fn some(found: Vec<TopicPermission>, query: &Parameters) -> Outcome {
    match found.is_empty() {
        true => Err(Failure::not_found()),
        false => query.all(found),
    }
}

async fn put(
    State(api): State<Arc<Api>>,
    _: Administrator,
    Path((vhost, user)): Path<(String, String)>,
    body: Body,
) -> Outcome {
    body.require(&["exchange", "write", "read"])?;
    let (write, read) = (body.required_text("write")?, body.required_text("read")?);
    check_pattern(write)?;
    check_pattern(read)?;
    let command = Command::SetTopicPermissions {
        vhost: vhost.parse().map_err(bad_name)?,
        user: user.parse().map_err(bad_name)?,
        exchange: body.required_text("exchange")?.parse().map_err(bad_name)?,
        write: write.to_owned(),
        read: read.to_owned(),
    };
    answer::put(
        api.node
            .commit(command)
            .await
            .map_err(|refusal| failure::instead(refusal, no_vhost_or_user))?,
    )
}

async fn clear_on(api: &Api, vhost: &str, user: &str, exchange: Option<ExchangeName>) -> Outcome {
    let command = Command::ClearTopicPermissions {
        vhost: vhost.parse().map_err(bad_name)?,
        user: user.parse().map_err(bad_name)?,
        exchange,
    };
    // The only refusals are that there is no such user or virtual host.
    answer::deleted(api.node.commit(command).await.map_err(failure::absent)?)
}

async fn clear(State(api): State<Arc<Api>>, _: Administrator, Path((vhost, user)): Path<(String, String)>) -> Outcome {
    clear_on(&api, &vhost, &user, None).await
}

async fn clear_one(
    State(api): State<Arc<Api>>,
    _: Administrator,
    Path((vhost, user, exchange)): Path<(String, String, String)>,
) -> Outcome {
    let exchange = exchange.parse().map_err(bad_name)?;
    clear_on(&api, &vhost, &user, Some(exchange)).await
}
