//! Users and permissions: who gets in, who may do what, what a deletion takes with it.
//! Each test names the behaviour.

use super::*;
use crate::{HashAlgorithm, PasswordHash, PermissionTexts, UserLimits};

fn user(name: &str, password: &str) -> User {
    let password = match password {
        "" => PasswordHash::none(HashAlgorithm::Sha256),
        text => PasswordHash::new(HashAlgorithm::Sha256, [9, 9, 9, 9], text.as_bytes()),
    };
    User {
        name: name.parse().unwrap(),
        password,
        tags: vec![],
        limits: UserLimits::default(),
    }
}

fn access() -> Access {
    let mut access = Access::default();
    access.put_user(user("ann", "pw"));
    access.put_user(user("cert", ""));
    let texts = PermissionTexts {
        configure: "^a".into(),
        write: ".*".into(),
        read: String::new(),
    };
    access.put_permissions(
        &"v".parse().unwrap(),
        &"ann".parse().unwrap(),
        Permissions::compile(&texts).unwrap(),
    );
    access
}

#[test]
fn only_the_right_password_of_a_known_user_logs_in() {
    let access = access();
    assert!(access.log_in("ann", b"pw").is_ok());
    assert_eq!(access.log_in("ann", b"no").unwrap_err(), LoginError::WrongPassword);
    assert_eq!(access.log_in("bob", b"pw").unwrap_err(), LoginError::UnknownUser);
    assert_eq!(access.log_in("cert", b"").unwrap_err(), LoginError::NoPassword);
}

#[test]
fn permissions_hold_in_their_virtual_host_only() {
    let (access, ann) = (access(), "ann".parse().unwrap());
    let (v, w) = ("v".parse().unwrap(), "w".parse().unwrap());
    assert!(access.may(&ann, &v, Permission::Configure, "abc"));
    assert!(!access.may(&ann, &w, Permission::Configure, "abc"));
    assert!(!access.may(&ann, &v, Permission::Read, "abc"));
    assert!(access.may_enter(&ann, &v) && !access.may_enter(&ann, &w));
}

#[test]
fn the_default_exchange_is_called_amq_default() {
    let (access, ann, v) = (access(), "ann".parse().unwrap(), "v".parse().unwrap());
    assert!(access.may(&ann, &v, Permission::Configure, ""));
}

#[test]
fn topic_permissions_restrict_only_the_exchange_they_name() {
    let (mut access, ann, v) = (access(), "ann".parse().unwrap(), "v".parse().unwrap());
    let (x, y) = ("x".parse().unwrap(), "y".parse().unwrap());
    access.put_topic(&v, &ann, &x, TopicPermissions::compile("^ok", "", "ann", "v").unwrap());
    assert!(access.may_topic(&ann, &v, &x, Permission::Write, b"ok.1"));
    assert!(!access.may_topic(&ann, &v, &x, Permission::Write, b"no"));
    assert!(!access.may_topic(&ann, &v, &x, Permission::Read, b"ok.1"));
    assert!(access.may_topic(&ann, &v, &y, Permission::Write, b"no"));
}

#[test]
fn a_deleted_user_leaves_no_permissions_behind() {
    let (mut access, ann, v) = (access(), "ann".parse().unwrap(), "v".parse().unwrap());
    access.put_topic(
        &v,
        &ann,
        &"x".parse().unwrap(),
        TopicPermissions::compile("", "", "ann", "v").unwrap(),
    );
    assert!(access.remove_user(&ann).is_some());
    assert_eq!(access.all_permissions().count() + access.all_topics().count(), 0);
}
