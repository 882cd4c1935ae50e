//! The definitions of a node's first start: the default virtual host, user and permissions from the configuration.

use access::{HashAlgorithm, PasswordHash, PermissionTexts, User, UserLimits};
use anyhow::Context;
use catalog::{Command, VhostMetadata};
use model::{QueueKind, UserName, VhostName};

use super::{new_vhosts::defaults_of_new_vhost, node::Node};
use crate::config::{Access, Config, DefaultQueueType, PasswordHashing};

/// The algorithm that new passwords are hashed with.
pub fn algorithm(hashing: PasswordHashing) -> HashAlgorithm {
    match hashing {
        PasswordHashing::Sha256 => HashAlgorithm::Sha256,
        PasswordHashing::Sha512 => HashAlgorithm::Sha512,
        PasswordHashing::Md5 => HashAlgorithm::Md5,
    }
}

/// The type that queues have in a virtual host that is created without one of its own: classic ones say nothing of it.
pub fn type_of_new_vhosts(config: &Config) -> Option<QueueKind> {
    match config.queues.default_type {
        DefaultQueueType::Classic => None,
        DefaultQueueType::Quorum => Some(QueueKind::Quorum),
    }
}

/// Creates what a blank node starts with.
pub async fn define(node: &Node) -> anyhow::Result<()> {
    let config = node.config();
    let access = &config.access;
    let vhost: VhostName = access.default_vhost.parse().context("default_vhost")?;
    let user: UserName = access.default_user.parse().context("default_user")?;
    let metadata = VhostMetadata {
        description: "Default virtual host".into(),
        default_queue_type: type_of_new_vhosts(&config),
        ..VhostMetadata::default()
    };
    let permissions = PermissionTexts {
        configure: access.default_configure.0.clone(),
        write: access.default_write.0.clone(),
        read: access.default_read.0.clone(),
    };
    let name = vhost.clone();
    let mut commands = vec![Command::PutVhost { name, metadata }];
    commands.extend(defaults_of_new_vhost(&config, &node.snapshot().catalog, &vhost));
    commands.push(Command::PutUser(default_user(access, &user)));
    commands.push(Command::SetPermissions {
        vhost,
        user,
        permissions,
    });
    let done = node.commit_all(commands).await;
    done.map_err(|refusal| anyhow::anyhow!("cannot define the default user and virtual host: {refusal}"))
}

fn default_user(access: &Access, name: &UserName) -> User {
    let tags = access
        .default_tags
        .iter()
        .filter(|(_, on)| **on)
        .map(|(tag, _)| tag.clone())
        .collect();
    let hash = PasswordHash::new(
        algorithm(access.password_hashing),
        rand::random(),
        access.default_pass.reveal().as_bytes(),
    );
    User {
        name: name.clone(),
        password: hash,
        tags,
        limits: UserLimits::default(),
    }
}
