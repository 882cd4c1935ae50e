//! `/permissions`: what users may configure, write to and read from.

use access::{PermissionTexts, Permissions};
use api::Permission;
use axum::{
    Router,
    extract::{Path, State},
    routing::get,
};
use catalog::Command;
use model::{NameError, UserName, VhostName};
use std::sync::Arc;

use super::{
    Api,
    answer::{self, Outcome},
    body::Body,
    caller::Administrator,
    failure::{self, Failure},
    list::Parameters,
};

/// The routes of this resource.
pub fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/permissions", get(list))
        .route("/permissions/{vhost}/{user}", get(one).put(put).delete(delete))
}

/// 400 for a name that can be none.
pub fn bad_name(error: NameError) -> Failure {
    Failure::bad_request(error.to_string())
}

/// 400 as RabbitMQ puts a name that nobody has.
pub fn no_vhost_or_user() -> Failure {
    Failure::bad_request("vhost_or_user_not_found")
}

/// Every name.
pub fn everything() -> PermissionTexts {
    PermissionTexts {
        configure: ".*".to_owned(),
        write: ".*".to_owned(),
        read: ".*".to_owned(),
    }
}

fn shape(vhost: &VhostName, user: &UserName, own: &Permissions) -> Permission {
    let PermissionTexts { configure, write, read } = own.texts();
    Permission {
        user: user.to_string(),
        vhost: vhost.to_string(),
        configure,
        write,
        read,
    }
}

fn rows(api: &Api, wanted: impl Fn(&VhostName, &UserName) -> bool) -> Vec<Permission> {
    let snapshot = api.node.snapshot();
    let all = snapshot.catalog.access().all_permissions();
    all.filter(|(vhost, user, _)| wanted(vhost, user))
        .map(|(vhost, user, own)| shape(vhost, user, own))
        .collect()
}

async fn list(State(api): State<Arc<Api>>, _: Administrator, query: Parameters) -> Outcome {
    query.all(rows(&api, |_, _| true))
}

/// `/vhosts/{vhost}/permissions`
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

/// `/users/{user}/permissions`
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

async fn one(
    State(api): State<Arc<Api>>,
    _: Administrator,
    Path((vhost, user)): Path<(String, String)>,
    query: Parameters,
) -> Outcome {
    let found = rows(&api, |v, u| v.as_str() == vhost && u.as_str() == user);
    query.one(found.into_iter().next().ok_or_else(Failure::not_found)?)
}

/// Sees to it that a pattern compiles, so that a refusal later can only mean a name that nobody has.
///
/// # Errors
/// 400 `["invalid_regexp", pattern, problem]`.
pub fn check_pattern(text: &str) -> Result<(), Failure> {
    let refused = |error: access::PatternError| {
        Failure::bad_request(vec!["invalid_regexp".to_owned(), text.to_owned(), error.to_string()])
    };
    access::Pattern::new(text).map(drop).map_err(refused)
}

async fn put(
    State(api): State<Arc<Api>>,
    _: Administrator,
    Path((vhost, user)): Path<(String, String)>,
    body: Body,
) -> Outcome {
    body.require(&["configure", "write", "read"])?;
    let permissions = PermissionTexts {
        configure: body.required_text("configure")?.to_owned(),
        write: body.required_text("write")?.to_owned(),
        read: body.required_text("read")?.to_owned(),
    };
    for text in [&permissions.configure, &permissions.write, &permissions.read] {
        check_pattern(text)?;
    }
    let command = Command::SetPermissions {
        vhost: vhost.parse().map_err(bad_name)?,
        user: user.parse().map_err(bad_name)?,
        permissions,
    };
    answer::put(
        api.node
            .commit(command)
            .await
            .map_err(|refusal| failure::instead(refusal, no_vhost_or_user))?,
    )
}

async fn delete(State(api): State<Arc<Api>>, _: Administrator, Path((vhost, user)): Path<(String, String)>) -> Outcome {
    let command = Command::ClearPermissions {
        vhost: vhost.parse().map_err(bad_name)?,
        user: user.parse().map_err(bad_name)?,
    };
    // The only refusals are that there is no such user or virtual host.
    answer::deleted(api.node.commit(command).await.map_err(failure::absent)?)
}
