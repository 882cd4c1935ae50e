//! What a new virtual host gets by the configuration: limits, operator policies, users who may enter.
//!
//! What it is, is decided from configuration and state alone: commands come out. Whoever creates a virtual host commits them behind its
//! creation; what is given by hand or by a file comes later, and wins.

use access::{PasswordHash, PermissionTexts, User, UserLimits};
use catalog::{Answer, Catalog, Command, PolicySpec, VhostLimits, VhostMetadata};
use model::{ApplyTo, PolicyLevel, Refusal, UserName, VhostName};

use super::{first_start::algorithm, node::Node};
use crate::config::{Config, DefaultPolicy, DefaultUser, Pattern, is_meant};

impl Node {
    /// A virtual host that is to be like this; if there is none yet it gets what the configuration says, and then `own`, of whoever wants it.
    ///
    /// # Errors
    /// What cannot be, or could not be committed; what comes before that stays.
    pub async fn put_vhost(
        &self,
        name: VhostName,
        metadata: VhostMetadata,
        own: Vec<Command>,
    ) -> Result<Answer, Refusal> {
        let command = Command::PutVhost {
            name: name.clone(),
            metadata,
        };
        let answer = self.commit(command).await?;
        if answer == Answer::Created {
            let mut commands = defaults_of_new_vhost(&self.config(), &self.snapshot().catalog, &name);
            commands.extend(own);
            self.commit_all(commands).await?;
        }
        Ok(answer)
    }
}

/// The commands that follow the creation of a virtual host of this name.
pub fn defaults_of_new_vhost(config: &Config, catalog: &Catalog, vhost: &VhostName) -> Vec<Command> {
    let wanted = &config.new_vhosts;
    let mut out: Vec<Command> = limits(config, vhost).into_iter().collect();
    let policies = wanted.policies.iter();
    let policies = policies.filter(|(_, policy)| is_meant(policy.vhosts.as_ref(), vhost.as_str()));
    out.extend(policies.map(|(name, policy)| operator_policy(vhost, name, policy)));
    for (name, user) in wanted
        .users
        .iter()
        .filter(|(_, user)| is_meant(user.vhosts.as_ref(), vhost.as_str()))
    {
        // The name was checked with the configuration.
        let Ok(name) = name.parse::<UserName>() else { continue };
        if catalog.access().user(name.as_str()).is_none() {
            out.push(Command::PutUser(made(config, &name, user)));
        }
        out.push(Command::SetPermissions {
            vhost: vhost.clone(),
            user: name,
            permissions: permissions(user),
        });
    }
    out
}

/// The first that matches.
fn limits(config: &Config, vhost: &VhostName) -> Option<Command> {
    let mut all = config.new_vhosts.limits.values();
    let found = all.find(|limits| is_meant(limits.vhosts.as_ref(), vhost.as_str()))?;
    let limits = VhostLimits {
        connections_max: found.connections_max.map(i64::from),
        queues_max: found.queues_max.map(i64::from),
    };
    let name = vhost.clone();
    (limits != VhostLimits::default()).then_some(Command::SetVhostLimits { name, limits })
}

fn operator_policy(vhost: &VhostName, name: &str, policy: &DefaultPolicy) -> Command {
    Command::SetPolicy(PolicySpec {
        vhost: vhost.clone(),
        name: name.into(),
        level: PolicyLevel::Operator,
        pattern: text(policy.queues.as_ref()),
        apply_to: policy.apply_to.unwrap_or(ApplyTo::All),
        priority: 0,
        definition: policy.table(),
    })
}

fn made(config: &Config, name: &UserName, user: &DefaultUser) -> User {
    let algorithm = algorithm(config.access.password_hashing);
    let password = match &user.password {
        Some(password) => PasswordHash::new(algorithm, rand::random(), password.reveal().as_bytes()),
        None => PasswordHash::none(algorithm),
    };
    User {
        name: name.clone(),
        password,
        tags: user.tags.clone(),
        limits: UserLimits::default(),
    }
}

fn permissions(user: &DefaultUser) -> PermissionTexts {
    PermissionTexts {
        configure: text(user.configure.as_ref()),
        write: text(user.write.as_ref()),
        read: text(user.read.as_ref()),
    }
}

/// Everything, where nothing is said.
fn text(pattern: Option<&Pattern>) -> String {
    pattern.map_or_else(|| ".*".to_owned(), |pattern| pattern.0.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Fixed, ServerArgs, load};

    fn commands(settings: &str, vhost: &str) -> Vec<Command> {
        let world = Fixed::new().file("/etc/rabbitmq/rabbitmq.conf", settings);
        let config = load(&ServerArgs::default(), &world).unwrap().config;
        defaults_of_new_vhost(&config, &Catalog::default(), &vhost.parse().unwrap())
    }

    #[test]
    fn a_virtual_host_gets_what_is_meant_for_its_name() {
        let settings = "default_limits.vhosts.1.pattern = ^qa\ndefault_limits.vhosts.1.max_queues = 7\n\
                        default_limits.vhosts.2.max_connections = 9\n\
                        default_policies.operator.ttl.vhost_pattern = ^qa\ndefault_policies.operator.ttl.queue_pattern = ^temp\n\
                        default_policies.operator.ttl.expires = 2h\ndefault_policies.operator.ttl.classic_queues.ha_mode = exactly\n\
                        default_policies.operator.ttl.classic_queues.ha_params = 2\n\
                        default_users.tester.vhost_pattern = ^qa\ndefault_users.tester.password = t\ndefault_users.tester.tags = monitoring, x\n\
                        default_users.tester.read = ^a";
        let limits = |connections_max, queues_max| VhostLimits {
            connections_max,
            queues_max,
        };
        let of = |name: &str, limits| Command::SetVhostLimits {
            name: name.parse().unwrap(),
            limits,
        };
        assert_eq!(commands(settings, "live"), [of("live", limits(Some(9), None))]);
        let found = commands(settings, "qa1");
        assert_eq!(found[0], of("qa1", limits(None, Some(7))));
        let Command::SetPolicy(policy) = &found[1] else {
            panic!("{found:?}")
        };
        assert_eq!(
            (&*policy.name, policy.pattern.as_str(), policy.level),
            ("ttl", "^temp", PolicyLevel::Operator)
        );
        assert_eq!(
            policy.definition.get("expires").and_then(model::Value::as_integer),
            Some(7_200_000)
        );
        let Command::PutUser(user) = &found[2] else {
            panic!("{found:?}")
        };
        assert!(user.password.verifies(b"t") && user.tags == ["monitoring", "x"]);
        let Command::SetPermissions { permissions, .. } = &found[3] else {
            panic!("{found:?}")
        };
        assert_eq!(
            (permissions.configure.as_str(), permissions.read.as_str()),
            (".*", "^a")
        );
    }

    #[test]
    fn a_policy_that_cannot_be_is_refused_with_the_configuration() {
        let settings = "default_policies.operator.p.classic_queues.ha_mode = some";
        let world = Fixed::new().file("/etc/rabbitmq/rabbitmq.conf", settings);
        let wrong = load(&ServerArgs::default(), &world).unwrap_err().to_string();
        assert!(wrong.contains("default_policies.operator.p"), "{wrong}");
    }
}
