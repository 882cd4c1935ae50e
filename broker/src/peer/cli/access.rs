//! Users, passwords, tags and permissions.
//!
//! Passwords are hashed here and kept nowhere else; they are never logged.

use ::access::{PasswordHash, Pattern, PermissionTexts, TopicPermissions, User, UserLimits};
use catalog::Command;
use link::{Failure, Request, Term};
use model::{ExchangeName, UserName, VhostName};

use super::{Outcome, commit, existing_user, existing_vhost, name};
use crate::host::{Node, check_password, hash_algorithm};

pub(super) fn execute(node: &Node, request: Request) -> Outcome {
    match request {
        Request::AddUser { name, password } => add(node, &name, &password),
        Request::DeleteUser { name } => commit(node, Command::DeleteUser(user(node, &name)?)),
        Request::ChangePassword { name, password } => change_password(node, &name, &password),
        Request::ClearPassword { name } => set_password(node, &name, no_password(node)),
        Request::Authenticate { name, password } => authenticate(node, &name, &password),
        Request::SetUserTags { name, tags } => {
            let name = user(node, &name)?;
            commit(node, Command::SetTags { name, tags })
        }
        Request::SetPermissions {
            vhost,
            user,
            configure,
            write,
            read,
        } => {
            let permissions = PermissionTexts { configure, write, read };
            set_permissions(node, &vhost, &user, permissions)
        }
        Request::ClearPermissions { vhost, user } => {
            let (vhost, user) = both(node, &vhost, &user)?;
            commit(node, Command::ClearPermissions { vhost, user })
        }
        Request::SetTopicPermissions {
            vhost,
            user,
            exchange,
            write,
            read,
        } => set_topic(node, &vhost, &user, &exchange, write, read),
        Request::ClearTopicPermissions { vhost, user, exchange } => {
            let (vhost, user) = both(node, &vhost, &user)?;
            let exchange = exchange.map(|exchange| name(&exchange)).transpose()?;
            commit(node, Command::ClearTopicPermissions { vhost, user, exchange })
        }
        _ => Err(Failure::Unknown),
    }
}

fn user(node: &Node, name: &str) -> Result<UserName, Failure> {
    existing_user(node, name).map(|user| user.name.clone())
}

/// The user is looked for first, as RabbitMQ does.
fn both(node: &Node, vhost: &str, user_name: &str) -> Result<(VhostName, UserName), Failure> {
    let user = user(node, user_name)?;
    Ok((existing_vhost(node, vhost)?, user))
}

fn add(node: &Node, user_name: &str, password: &str) -> Outcome {
    if existing_user(node, user_name).is_ok() {
        return Err(Failure::UserExists(user_name.to_owned()));
    }
    let new = name(user_name)?;
    let user = User {
        password: match password {
            "" => no_password(node),
            password => hash(node, &new, password)?,
        },
        name: new,
        tags: Vec::new(),
        limits: UserLimits::default(),
    };
    commit(node, Command::AddUser(user))
}

/// The hash of a password that is good enough for the configuration.
fn hash(node: &Node, user: &UserName, password: &str) -> Result<PasswordHash, Failure> {
    let config = node.config();
    let access = &config.access;
    check_password(password, user, access).map_err(Failure::Refused)?;
    let algorithm = hash_algorithm(access.password_hashing);
    Ok(PasswordHash::new(algorithm, rand::random(), password.as_bytes()))
}

fn change_password(node: &Node, user_name: &str, password: &str) -> Outcome {
    let name = user(node, user_name)?;
    let password = hash(node, &name, password)?;
    commit(node, Command::SetPassword { name, password })
}

fn no_password(node: &Node) -> PasswordHash {
    PasswordHash::none(hash_algorithm(node.config().access.password_hashing))
}

fn set_password(node: &Node, user_name: &str, password: PasswordHash) -> Outcome {
    let name = user(node, user_name)?;
    commit(node, Command::SetPassword { name, password })
}

fn authenticate(node: &Node, user_name: &str, password: &str) -> Outcome {
    let snapshot = node.snapshot();
    match snapshot.catalog.access().log_in(user_name, password.as_bytes()) {
        Ok(_) => Ok(Term::none()),
        Err(_) => Err(Failure::WrongPassword),
    }
}

fn check_pattern(text: &str) -> Result<(), Failure> {
    let bad = |error: ::access::PatternError| Failure::BadPattern(text.to_owned(), error.to_string());
    Pattern::permission(text).map(drop).map_err(bad)
}

fn set_permissions(node: &Node, vhost: &str, user: &str, permissions: PermissionTexts) -> Outcome {
    for text in [&permissions.configure, &permissions.write, &permissions.read] {
        check_pattern(text)?;
    }
    let (vhost, user) = both(node, vhost, user)?;
    commit(
        node,
        Command::SetPermissions {
            vhost,
            user,
            permissions,
        },
    )
}

fn set_topic(node: &Node, vhost: &str, user: &str, exchange: &str, write: String, read: String) -> Outcome {
    for text in [&write, &read] {
        let bad = |error: ::access::PatternError| Failure::BadPattern(text.clone(), error.to_string());
        TopicPermissions::compile(text, "", user, vhost).map_err(bad)?;
    }
    let (vhost, user) = both(node, vhost, user)?;
    let exchange: ExchangeName = name(exchange)?;
    let command = Command::SetTopicPermissions {
        vhost,
        user,
        exchange,
        write,
        read,
    };
    commit(node, command)
}
