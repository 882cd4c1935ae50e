//! `/users` and `/whoami`: people and programs that may log in. Passwords go in and never come out; hashes do both.

use access::{HashAlgorithm, PasswordError, PasswordHash, UserLimits};
use api::{Limits, User, WhoAmI};
use axum::{
    Json, Router,
    extract::{Path, State},
    response::IntoResponse,
    routing::{get, post},
};
use catalog::Command;
use model::UserName;
use serde_json::Value;
use std::sync::Arc;

use super::{
    Api,
    answer::{self, Outcome},
    body::{Body, tags},
    caller::{Administrator, Caller},
    failure::{self, Failure},
    list::Parameters,
    permissions::{self, bad_name},
    topic_permissions,
};
use crate::{
    config::Access,
    host::{self, hash_algorithm},
};

/// The routes of this resource.
pub fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/whoami", get(who_am_i))
        .route("/users", get(list))
        .route("/users/without-permissions", get(without_permissions))
        .route("/users/bulk-delete", post(bulk_delete))
        .route("/users/{user}", get(one).put(put).delete(delete))
        .route("/users/{user}/permissions", get(permissions::of_user))
        .route("/users/{user}/topic-permissions", get(topic_permissions::of_user))
}

/// Limits as the API names them.
pub fn limits(limits: UserLimits) -> Limits {
    let named = [
        ("max-connections", limits.connections_max),
        ("max-channels", limits.channels_max),
    ];
    let set = named
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    set.collect()
}

fn shape(user: &access::User) -> User {
    User {
        name: user.name.to_string(),
        password_hash: user.password.to_base64(),
        hashing_algorithm: user.password.algorithm().as_str().to_owned(),
        tags: user.tags.clone(),
        limits: limits(user.limits),
    }
}

async fn who_am_i(caller: Caller) -> Outcome {
    let answer = WhoAmI {
        name: caller.user.name.to_string(),
        tags: caller.user.tags.clone(),
    };
    Ok(Json(answer).into_response())
}

async fn list(State(api): State<Arc<Api>>, _: Administrator, query: Parameters) -> Outcome {
    let snapshot = api.node.snapshot();
    let rows: Vec<_> = snapshot.catalog.access().users().collect();
    query.pages(rows, |user| user.name.as_str(), |user| shape(user))
}

async fn without_permissions(State(api): State<Arc<Api>>, _: Administrator, query: Parameters) -> Outcome {
    let snapshot = api.node.snapshot();
    let access = snapshot.catalog.access();
    let may_nothing = |user: &&Arc<access::User>| !access.all_permissions().any(|(_, name, _)| *name == user.name);
    query.all(access.users().filter(may_nothing).map(|user| shape(user)))
}

async fn one(State(api): State<Arc<Api>>, _: Administrator, Path(name): Path<String>, query: Parameters) -> Outcome {
    let snapshot = api.node.snapshot();
    let found = snapshot.catalog.access().user(&name).ok_or_else(Failure::not_found)?;
    query.one(shape(found))
}

/// The user that a body of `PUT /users/{user}` describes.
async fn put(State(api): State<Arc<Api>>, _: Administrator, Path(name): Path<String>, body: Body) -> Outcome {
    let name: UserName = name.parse().map_err(bad_name)?;
    let own_tags = body
        .get("tags")
        .ok_or_else(|| Failure::bad_request("tags_not_present"))?;
    let user = access::User {
        password: password(&body, &name, &api.node.config().access)?,
        tags: tags(own_tags)?,
        limits: UserLimits::default(),
        name,
    };
    answer::put(api.node.commit(Command::PutUser(user)).await?)
}

fn password(body: &Body, user: &UserName, config: &Access) -> Result<PasswordHash, Failure> {
    let default = hash_algorithm(config.password_hashing);
    match (body.text("password")?, body.text("password_hash")?) {
        (Some(password), _) => {
            check_password(password, user, config)?;
            Ok(PasswordHash::new(default, rand::random(), password.as_bytes()))
        }
        (None, Some(hash)) => {
            let algorithm = body
                .text("hashing_algorithm")?
                .map_or(Ok(default), str::parse::<HashAlgorithm>);
            let algorithm = algorithm.map_err(|error| Failure::bad_request(error.to_string()))?;
            PasswordHash::from_base64(algorithm, hash).map_err(|error| bad_hash(hash, &error))
        }
        (None, None) => Ok(PasswordHash::none(default)),
    }
}

fn bad_hash(hash: &str, error: &PasswordError) -> Failure {
    match error {
        PasswordError::Encoding => Failure::bad_request(vec!["not_base64", hash]),
        PasswordError::Algorithm(_) | PasswordError::TooShort { .. } => Failure::bad_request(error.to_string()),
    }
}

/// Holds a new password to what the configuration asks of it.
///
/// # Errors
/// 400 that says what is asked for.
pub fn check_password(password: &str, user: &UserName, config: &Access) -> Result<(), Failure> {
    host::check_password(password, user, config).map_err(Failure::bad_request)
}

async fn delete(State(api): State<Arc<Api>>, _: Administrator, Path(name): Path<String>) -> Outcome {
    let name = name.parse().map_err(bad_name)?;
    // The only refusal of its own is that there is none.
    answer::deleted(
        api.node
            .commit(Command::DeleteUser(name))
            .await
            .map_err(failure::absent)?,
    )
}

/// All or none: a name that nobody has refuses the whole request.
async fn bulk_delete(State(api): State<Arc<Api>>, _: Administrator, body: Body) -> Outcome {
    body.require(&["users"])?;
    let named = body.get("users").and_then(Value::as_array);
    let named = named.ok_or_else(|| Failure::bad_request("users must be a list of names"))?;
    let mut names = Vec::new();
    for value in named {
        let text = value.as_str().unwrap_or_default();
        let snapshot = api.node.snapshot();
        let found = snapshot.catalog.access().user(text);
        let missing = || Failure::bad_request(vec![Value::from("no_such_user"), value.clone()]);
        names.push(found.ok_or_else(missing)?.name.clone());
    }
    for name in names {
        // One that another request has deleted meanwhile is gone, as was asked for.
        let _ = api.node.commit(Command::DeleteUser(name)).await;
    }
    answer::done()
}
