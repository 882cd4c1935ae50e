//! All users and permissions as one persistent value.
//!
//! Absent permissions refuse; absent topic permissions allow. Existence of virtual hosts is not known here.

use crate::permission::{Permission, Permissions, TopicPermissions};
use crate::user::User;
use imbl::OrdMap;
use model::{ExchangeName, UserName, VhostName};
use std::sync::Arc;

/// Why a log-in failed; for the log only, clients are told nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    /// No such user.
    #[error("user does not exist")]
    UnknownUser,
    /// The user has no password.
    #[error("user has no password set")]
    NoPassword,
    /// Another password.
    #[error("invalid credentials")]
    WrongPassword,
}

type InVhost = (VhostName, UserName);
type OnTopic = (VhostName, UserName, ExchangeName);

/// Users, permissions and topic permissions. Clone is O(1), changes are O(log n).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Access {
    users: OrdMap<UserName, Arc<User>>,
    permissions: OrdMap<InVhost, Arc<Permissions>>,
    topics: OrdMap<OnTopic, Arc<TopicPermissions>>,
}

impl Access {
    /// Puts a user in place of one of the same name.
    pub fn put_user(&mut self, user: User) {
        self.users.insert(user.name.clone(), Arc::new(user));
    }

    /// Takes a user out, with all permissions.
    pub fn remove_user(&mut self, name: &UserName) -> Option<Arc<User>> {
        let user = self.users.remove(name)?;
        self.retain_permissions(|_, owner| owner != name);
        Some(user)
    }

    /// Takes all permissions of a virtual host out.
    pub fn remove_vhost(&mut self, vhost: &VhostName) {
        self.retain_permissions(|of, _| of != vhost);
    }

    fn retain_permissions(&mut self, stays: impl Fn(&VhostName, &UserName) -> bool) {
        let gone: Vec<InVhost> = self
            .permissions
            .keys()
            .filter(|(vhost, user)| !stays(vhost, user))
            .cloned()
            .collect();
        for key in gone {
            self.permissions.remove(&key);
        }
        let gone: Vec<OnTopic> = self
            .topics
            .keys()
            .filter(|(vhost, user, _)| !stays(vhost, user))
            .cloned()
            .collect();
        for key in gone {
            self.topics.remove(&key);
        }
    }

    /// One user.
    pub fn user(&self, name: &str) -> Option<&Arc<User>> {
        self.users.get(name)
    }

    /// All users by name.
    pub fn users(&self) -> impl Iterator<Item = &Arc<User>> {
        self.users.values()
    }

    /// Checks a password.
    ///
    /// # Errors
    /// Why it is refused, for the log.
    pub fn log_in(&self, name: &str, password: &[u8]) -> Result<&Arc<User>, LoginError> {
        let user = self.users.get(name).ok_or(LoginError::UnknownUser)?;
        match user.password.is_set() {
            false => Err(LoginError::NoPassword),
            true if user.password.verifies(password) => Ok(user),
            true => Err(LoginError::WrongPassword),
        }
    }

    /// Sets what a user may do in a virtual host.
    pub fn put_permissions(&mut self, vhost: &VhostName, user: &UserName, permissions: Permissions) {
        self.permissions
            .insert((vhost.clone(), user.clone()), Arc::new(permissions));
    }

    /// Takes a user's permissions in a virtual host away; true if there were some.
    pub fn remove_permissions(&mut self, vhost: &VhostName, user: &UserName) -> bool {
        self.permissions.remove(&(vhost.clone(), user.clone())).is_some()
    }

    /// A user's permissions in a virtual host.
    pub fn permissions(&self, vhost: &VhostName, user: &UserName) -> Option<&Arc<Permissions>> {
        self.permissions.get(&(vhost.clone(), user.clone()))
    }

    /// All permissions by virtual host and user.
    pub fn all_permissions(&self) -> impl Iterator<Item = (&VhostName, &UserName, &Arc<Permissions>)> {
        self.permissions
            .iter()
            .map(|((vhost, user), permissions)| (vhost, user, permissions))
    }

    /// Sets what keys a user may publish and bind on a topic exchange.
    pub fn put_topic(&mut self, vhost: &VhostName, user: &UserName, exchange: &ExchangeName, topic: TopicPermissions) {
        self.topics
            .insert((vhost.clone(), user.clone(), exchange.clone()), Arc::new(topic));
    }

    /// Takes topic permissions away: those on one exchange, or all in the virtual host. True if there were some.
    pub fn remove_topics(&mut self, vhost: &VhostName, user: &UserName, exchange: Option<&ExchangeName>) -> bool {
        let wanted = |key: &OnTopic| &key.0 == vhost && &key.1 == user && exchange.is_none_or(|name| &key.2 == name);
        let gone: Vec<OnTopic> = self.topics.keys().filter(|key| wanted(key)).cloned().collect();
        for key in &gone {
            self.topics.remove(key);
        }
        !gone.is_empty()
    }

    /// A user's topic permissions on one exchange.
    pub fn topic(&self, vhost: &VhostName, user: &UserName, exchange: &ExchangeName) -> Option<&Arc<TopicPermissions>> {
        self.topics.get(&(vhost.clone(), user.clone(), exchange.clone()))
    }

    /// All topic permissions by virtual host, user and exchange.
    pub fn all_topics(&self) -> impl Iterator<Item = (&VhostName, &UserName, &ExchangeName, &Arc<TopicPermissions>)> {
        self.topics
            .iter()
            .map(|((vhost, user, exchange), topic)| (vhost, user, exchange, topic))
    }

    /// May this user work in the virtual host at all?
    pub fn may_enter(&self, user: &UserName, vhost: &VhostName) -> bool {
        self.permissions(vhost, user).is_some()
    }

    /// May this user do that to a resource? The default exchange is called `amq.default` here.
    pub fn may(&self, user: &UserName, vhost: &VhostName, permission: Permission, resource: &str) -> bool {
        let name = if resource.is_empty() { "amq.default" } else { resource };
        self.permissions(vhost, user)
            .is_some_and(|own| own.allows(permission, name))
    }

    /// May this user publish (`Write`) or bind (`Read`) that key on a topic exchange? Without an entry: yes.
    pub fn may_topic(
        &self,
        user: &UserName,
        vhost: &VhostName,
        exchange: &ExchangeName,
        permission: Permission,
        key: &[u8],
    ) -> bool {
        if self.topics.is_empty() {
            return true;
        }
        let entry = self.topics.get(&(vhost.clone(), user.clone(), exchange.clone()));
        entry.is_none_or(|topic| topic.allows(permission, &String::from_utf8_lossy(key)))
    }
}

#[cfg(test)]
#[path = "access_map_tests.rs"]
mod tests;
