//! `/user-limits`: how many connections and channels a user may have.

use access::UserLimits;
use axum::{
    Router,
    extract::{Path, State},
    routing::{get, put},
};
use catalog::Command;
use model::UserName;
use serde_json::Value;
use std::sync::Arc;

use super::{
    Api,
    answer::{self, Outcome},
    body::Body,
    caller::{Administrator, Caller},
    failure::Failure,
    list::Parameters,
    users,
};

/// The routes of this resource.
pub fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/user-limits", get(list))
        .route("/user-limits/{user}", get(of_user))
        .route("/user-limits/{user}/{name}", put(set).delete(clear))
}

fn rows(api: &Api, wanted: impl Fn(&UserName) -> bool) -> Vec<api::UserLimits> {
    let snapshot = api.node.snapshot();
    let own = |user: &Arc<access::User>| {
        let value = users::limits(user.limits);
        (wanted(&user.name) && !value.is_empty()).then(|| api::UserLimits {
            user: user.name.to_string(),
            value,
        })
    };
    snapshot.catalog.access().users().filter_map(own).collect()
}

/// Others than monitors see their own limits.
fn sees(caller: &Caller, user: &UserName) -> bool {
    caller.is_monitor() || caller.user.name == *user
}

async fn list(State(api): State<Arc<Api>>, caller: Caller, query: Parameters) -> Outcome {
    query.all(rows(&api, |user| sees(&caller, user)))
}

async fn of_user(State(api): State<Arc<Api>>, caller: Caller, Path(name): Path<String>, query: Parameters) -> Outcome {
    let snapshot = api.node.snapshot();
    snapshot.catalog.access().user(&name).ok_or_else(Failure::not_found)?;
    query.all(rows(&api, |user| user.as_str() == name && sees(&caller, user)))
}

fn found(api: &Api, name: &str) -> Result<(UserName, UserLimits), Failure> {
    let snapshot = api.node.snapshot();
    let missing = || Failure::bad_request(vec!["no_such_user", name]);
    let user = snapshot.catalog.access().user(name).ok_or_else(missing)?;
    Ok((user.name.clone(), user.limits))
}

async fn set(
    State(api): State<Arc<Api>>,
    _: Administrator,
    Path((user, limit)): Path<(String, String)>,
    body: Body,
) -> Outcome {
    let (name, mut limits) = found(&api, &user)?;
    body.require(&["value"])?;
    let value = body.0.get("value").unwrap_or(&Value::Null);
    let number = || {
        let wrong = || Failure::bad_request(format!("{limit} should be a number, actually was {value}"));
        value.as_i64().map(Some).ok_or_else(wrong)
    };
    match limit.as_str() {
        "max-connections" => limits.connections_max = number()?,
        "max-channels" => limits.channels_max = number()?,
        _ => {
            let text = format!("Unrecognised terms [{{<<{limit:?}>>,{value}}}] in user-limits");
            return Err(Failure::bad_request(text));
        }
    }
    api.node.commit(Command::SetUserLimits { name, limits }).await?;
    answer::done()
}

/// Clearing what is not set is no error.
async fn clear(State(api): State<Arc<Api>>, _: Administrator, Path((user, limit)): Path<(String, String)>) -> Outcome {
    let (name, mut limits) = found(&api, &user)?;
    match limit.as_str() {
        "max-connections" => limits.connections_max = None,
        "max-channels" => limits.channels_max = None,
        _ => return answer::done(),
    }
    api.node.commit(Command::SetUserLimits { name, limits }).await?;
    answer::done()
}
