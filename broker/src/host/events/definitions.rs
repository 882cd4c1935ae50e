//! What a command changes, as events in RabbitMQ's words.
//!
//! Told by the node that has proposed the command, so once in a cluster: the command is tried on a copy of the published state
//! before it is committed, and what came of it there is told when it is. Pure: states and a command in, events out.

use catalog::{Answer, Catalog, Command, Event, ExchangeRecord, Policy, QueueRecord, VhostLimits};
use model::{PolicyLevel, QueueKind, Table, UserName, Value, VhostName};
use routing::{Binding, Destination};
use std::sync::Arc;

use super::{actor::INTERNAL, number, term, text};

/// An event to be: its key, and its headers without the time.
pub(in crate::host) type Told = (&'static str, Vec<(&'static str, Value)>);

/// What applying a command would change.
pub(in crate::host) struct Change<'a> {
    pub command: &'a Command,
    pub before: &'a Catalog,
    pub after: &'a Catalog,
    pub events: &'a [Event],
    pub actor: &'a UserName,
    /// As `<node.start.number.0>`, of a connection's number.
    pub pid: &'a dyn Fn(&catalog::Owner) -> String,
}

/// True for an answer of a command that has changed something.
pub(in crate::host) fn has_changed(answer: &Answer) -> bool {
    !matches!(answer, Answer::Absent | Answer::Queue { created: false, .. })
}

/// True for a command of which somebody may want to be told.
pub(in crate::host) fn concerns(command: &Command) -> bool {
    let is_between_nodes = matches!(
        command,
        Command::Mirrors(_)
            | Command::ForcePromote(_)
            | Command::History(_)
            | Command::SetMaintenance { .. }
            | Command::SetLeaving { .. }
    );
    !is_between_nodes
}

impl Change<'_> {
    /// All that is to be told, in order.
    pub(in crate::host) fn told(&self) -> Vec<Told> {
        let mut told = self.gone_with_vhost();
        told.extend(self.events.iter().flat_map(|event| self.event(event)));
        told.extend(self.command());
        told
    }

    fn by(&self) -> (&'static str, Value) {
        by(self.actor)
    }

    /// What goes because something else does is the node's own doing.
    fn by_itself(&self) -> (&'static str, Value) {
        ("user_who_performed_action", text(INTERNAL))
    }

    fn of_binding(&self) -> (&'static str, Value) {
        match self.command {
            Command::DeleteQueue(_) | Command::ConnectionClosed(_) | Command::DeleteVhost(_) => self.by_itself(),
            _ => self.by(),
        }
    }

    fn of_exchange(&self) -> (&'static str, Value) {
        match self.command {
            Command::DeleteExchange { .. } | Command::DeleteVhost(_) => self.by(),
            _ => self.by_itself(),
        }
    }

    fn event(&self, event: &Event) -> Vec<Told> {
        match event {
            Event::QueueDeclared(record) => vec![self.queue_created(record)],
            Event::QueueDeleted(record) => {
                let mut headers = vec![self.by()];
                headers.extend(place(record.name.as_str(), &record.vhost));
                vec![("queue.deleted", headers)]
            }
            Event::QueueSettingsChanged(record) => self.queue_policy(record).into_iter().collect(),
            Event::ExchangeDeclared(record) => vec![self.exchange_created(record)],
            Event::ExchangeDeleted(record) => {
                vec![exchange_deleted(record, self.of_exchange())]
            }
            Event::BindingCreated { vhost, binding } => vec![("binding.created", bound(vhost, binding, self.by()))],
            Event::BindingDeleted { vhost, binding } => {
                vec![("binding.deleted", bound(vhost, binding, self.of_binding()))]
            }
            Event::VhostDeleted(vhost) => self.vhost_deleted(vhost),
            Event::PolicySet(policy) => self.policy_set(policy),
            Event::PolicyCleared(policy) => self.policy_cleared(policy),
            _ => Vec::new(),
        }
    }

    fn queue_created(&self, record: &QueueRecord) -> Told {
        let mut headers = vec![self.by()];
        let arguments = ("arguments", term::shown(&record.args.table));
        let exclusive = ("exclusive", Value::Bool(record.owner.is_some()));
        if record.is_quorum() {
            headers.extend([arguments, kind(record.args.kind), exclusive]);
        } else {
            let owner = record.owner.as_ref().map_or_else(String::new, self.pid);
            headers.extend([exclusive, ("owner_pid", text(owner)), arguments]);
        }
        headers.extend([
            ("auto_delete", Value::Bool(record.auto_delete)),
            ("durable", Value::Bool(record.durable)),
        ]);
        headers.extend(place(record.name.as_str(), &record.vhost));
        ("queue.created", headers)
    }

    /// Told where a policy of the queue changed, and not where the copies of a mirrored one move.
    fn queue_policy(&self, record: &QueueRecord) -> Option<Told> {
        let (Command::SetPolicy(_) | Command::ClearPolicy { .. }) = self.command else {
            return None;
        };
        let (key, mut headers) = match record.policy.as_ref().or(record.operator_policy.as_ref()) {
            Some(policy) => ("queue.policy.updated", definition_of(policy)),
            None => ("queue.policy.cleared", Vec::new()),
        };
        headers.extend([self.by(), kind(record.args.kind)]);
        headers.extend([
            ("vhost", text(record.vhost.as_str())),
            ("name", text(record.name.as_str())),
        ]);
        Some((key, headers))
    }

    fn exchange_created(&self, record: &ExchangeRecord) -> Told {
        let policy = record.policy.as_ref().map_or("", |policy| &policy.name);
        let mut headers = vec![
            self.by(),
            ("policy", text(policy)),
            ("arguments", term::shown(&record.args.table)),
            ("internal", Value::Bool(record.internal)),
            ("auto_delete", Value::Bool(record.auto_delete)),
            ("durable", Value::Bool(record.durable)),
            ("type", text(record.kind.as_str())),
        ];
        headers.extend(place(record.name.as_str(), &record.vhost));
        ("exchange.created", headers)
    }

    /// What a virtual host takes along without an event of its own in the catalogue.
    fn gone_with_vhost(&self) -> Vec<Told> {
        let Command::DeleteVhost(name) = self.command else {
            return Vec::new();
        };
        let permissions = self.before.access().all_permissions();
        let here = permissions.filter(|(vhost, ..)| *vhost == name);
        here.map(|(vhost, user, _)| ("permission.deleted", self.whose(vhost, user)))
            .collect()
    }

    fn vhost_deleted(&self, name: &VhostName) -> Vec<Told> {
        let Some(vhost) = self.before.vhost(name.as_str()) else {
            return Vec::new();
        };
        let exchanges = vhost.exchanges();
        let mut told: Vec<Told> = exchanges.map(|record| exchange_deleted(record, self.by())).collect();
        told.push(("vhost.deleted", vec![self.by(), ("name", text(name.as_str()))]));
        let policies = vhost
            .policies(PolicyLevel::User)
            .chain(vhost.policies(PolicyLevel::Operator));
        told.extend(policies.flat_map(|policy| self.policy_cleared(policy)));
        let nodes = self.before.nodes().filter(|node| node.up);
        told.extend(nodes.map(|node| {
            let headers = vec![
                self.by_itself(),
                ("node", text(&node.name)),
                ("name", text(name.as_str())),
            ];
            ("vhost.down", headers)
        }));
        told
    }

    /// An operator's policy is a parameter as well.
    fn policy_set(&self, policy: &Policy) -> Vec<Told> {
        let mut told = Vec::new();
        if policy.level == PolicyLevel::Operator {
            let mut value = Table::default();
            definition_of(policy)
                .into_iter()
                .for_each(|(key, part)| value.set(key, part));
            told.push(self.parameter(
                Some(Value::Table(value)),
                "operator_policy",
                &policy.name,
                &policy.vhost,
            ));
        }
        let mut headers = definition_of(policy);
        headers.extend(self.named(&policy.vhost, &policy.name));
        told.push(("policy.set", headers));
        told
    }

    fn policy_cleared(&self, policy: &Policy) -> Vec<Told> {
        let headers = self.named(&policy.vhost, &policy.name);
        match policy.level {
            PolicyLevel::User => vec![("policy.cleared", headers)],
            PolicyLevel::Operator => vec![
                self.parameter(None, "operator_policy", &policy.name, &policy.vhost),
                ("operator.policy.cleared", headers),
            ],
        }
    }

    fn named(&self, vhost: &VhostName, name: &str) -> Vec<(&'static str, Value)> {
        vec![self.by(), ("vhost", text(vhost.as_str())), ("name", text(name))]
    }

    /// With a value it is set, without it is cleared.
    fn parameter(&self, value: Option<Value>, component: &str, name: &str, vhost: &VhostName) -> Told {
        let key = if value.is_some() {
            "parameter.set"
        } else {
            "parameter.cleared"
        };
        let mut headers = vec![self.by()];
        headers.extend(value.map(|value| ("value", value)));
        headers.extend([
            ("name", text(name)),
            ("component", text(component)),
            ("vhost", text(vhost.as_str())),
        ]);
        (key, headers)
    }

    fn whose(&self, vhost: &VhostName, user: &UserName) -> Vec<(&'static str, Value)> {
        vec![
            self.by(),
            ("vhost", text(vhost.as_str())),
            ("user", text(user.as_str())),
        ]
    }
}

/// What only the command tells.
impl Change<'_> {
    fn command(&self) -> Vec<Told> {
        match self.command {
            Command::PutVhost { name, .. } => self.vhost_put(name),
            Command::SetVhostLimits { name, .. } => self.vhost_limited(name),
            Command::SetParameter { vhost, .. } | Command::ClearParameter { vhost, .. } => self.vhost_limited(vhost),
            Command::AddUser(user) => vec![("user.created", self.user(&user.name))],
            Command::PutUser(user) => self.user_put(user),
            Command::SetPassword { name, password } => vec![(password_key(password), self.user(name))],
            Command::SetTags { name, tags } => vec![self.tagged(name, tags)],
            Command::SetUserLimits { name, limits } => vec![self.user_limited(name, limits)],
            Command::DeleteUser(name) => vec![("user.deleted", self.user(name))],
            Command::SetPermissions {
                vhost,
                user,
                permissions,
            } => {
                let mut headers = vec![
                    self.by(),
                    ("read", text(&permissions.read)),
                    ("write", text(&permissions.write)),
                    ("configure", text(&permissions.configure)),
                ];
                headers.extend(self.whose(vhost, user).drain(1..));
                vec![("permission.created", headers)]
            }
            Command::ClearPermissions { vhost, user } => vec![("permission.deleted", self.whose(vhost, user))],
            Command::SetGlobalParameter { name, value } => {
                vec![self.global(name, Some(("value", value.clone())))]
            }
            // RabbitMQ tells it so.
            Command::ClearGlobalParameter(name) => vec![self.global(name, None)],
            other => self.topics(other),
        }
    }

    fn global(&self, name: &str, value: Option<(&'static str, Value)>) -> Told {
        let mut headers = vec![self.by()];
        headers.extend(value);
        headers.extend([("name", text(name)), ("component", text("global"))]);
        ("parameter.set", headers)
    }

    fn topics(&self, command: &Command) -> Vec<Told> {
        match command {
            Command::SetTopicPermissions {
                vhost,
                user,
                exchange,
                write,
                read,
            } => {
                let mut headers = vec![
                    self.by(),
                    ("read", text(read)),
                    ("write", text(write)),
                    ("exchange", text(exchange.as_str())),
                ];
                headers.extend(self.whose(vhost, user).drain(1..));
                vec![("topic.permission.created", headers)]
            }
            Command::ClearTopicPermissions { vhost, user, .. } => {
                vec![("topic.permission.deleted", self.whose(vhost, user))]
            }
            _ => Vec::new(),
        }
    }

    fn vhost_put(&self, name: &VhostName) -> Vec<Told> {
        let Some(vhost) = self.after.vhost(name.as_str()) else {
            return Vec::new();
        };
        let existed = self.before.vhost(name.as_str()).is_some();
        let metadata = vhost.metadata();
        let state = |up| text(if up { "running" } else { "nodedown" });
        let nodes = self.after.nodes().map(|node| (node.name.to_string(), state(node.up)));
        let queue_type = metadata.default_queue_type.map_or("undefined", QueueKind::as_str);
        let headers = vec![
            ("tags", Value::Array(metadata.tags.iter().map(text).collect())),
            ("description", text(&metadata.description)),
            self.by(),
            ("cluster_state", Value::Table(Table(nodes.collect()))),
            ("tracing", Value::Bool(metadata.tracing)),
            ("metadata", text(metadata_term(metadata))),
            ("default_queue_type", text(queue_type)),
            ("name", text(name.as_str())),
        ];
        vec![(if existed { "vhost.updated" } else { "vhost.created" }, headers)]
    }

    fn vhost_limited(&self, name: &VhostName) -> Vec<Told> {
        let limits = self
            .after
            .vhost(name.as_str())
            .map(|vhost| vhost.limits())
            .unwrap_or_default();
        let own = |mut headers: Vec<_>| {
            headers.extend([self.by(), ("name", text("limits"))]);
            headers
        };
        if limits == VhostLimits::default() {
            return vec![
                self.parameter(None, "vhost-limits", "limits", name),
                ("vhost.limits.cleared", own(Vec::new())),
            ];
        }
        let pairs = [
            ("max-connections", limits.connections_max),
            ("max-queues", limits.queues_max),
        ];
        let set: Vec<_> = pairs
            .into_iter()
            .filter_map(|(key, limit)| Some((key, number(limit?))))
            .collect();
        let mut value = Table::default();
        set.iter().for_each(|(key, limit)| value.set(key, limit.clone()));
        vec![
            self.parameter(Some(Value::Table(value)), "vhost-limits", "limits", name),
            ("vhost.limits.set", own(set)),
        ]
    }

    fn user(&self, name: &UserName) -> Vec<(&'static str, Value)> {
        vec![self.by(), ("name", text(name.as_str()))]
    }

    fn user_put(&self, user: &access::User) -> Vec<Told> {
        let existing = self.before.access().user(user.name.as_str());
        let first = match existing {
            None => Some("user.created"),
            Some(existing) if existing.password == user.password => None,
            Some(_) => Some(password_key(&user.password)),
        };
        let first = first.map(|key| (key, self.user(&user.name)));
        first.into_iter().chain([self.tagged(&user.name, &user.tags)]).collect()
    }

    fn tagged(&self, name: &UserName, tags: &[String]) -> Told {
        let headers = vec![
            self.by(),
            ("tags", Value::Array(tags.iter().map(text).collect())),
            ("name", text(name.as_str())),
        ];
        ("user.tags.set", headers)
    }

    fn user_limited(&self, name: &UserName, limits: &access::UserLimits) -> Told {
        let pairs = [
            ("max-connections", limits.connections_max),
            ("max-channels", limits.channels_max),
        ];
        let mut headers: Vec<_> = pairs
            .into_iter()
            .filter_map(|(key, limit)| Some((key, number(limit?))))
            .collect();
        let key = if headers.is_empty() {
            "user.limits.cleared"
        } else {
            "user.limits.set"
        };
        headers.extend([("username", text(name.as_str())), self.by(), ("name", text("limits"))]);
        (key, headers)
    }
}

fn by(actor: &UserName) -> (&'static str, Value) {
    ("user_who_performed_action", text(actor.as_str()))
}

fn place(name: &str, vhost: &VhostName) -> [(&'static str, Value); 2] {
    [("name", text(name)), ("vhost", text(vhost.as_str()))]
}

fn kind(kind: QueueKind) -> (&'static str, Value) {
    ("type", text(kind.module()))
}

fn exchange_deleted(record: &Arc<ExchangeRecord>, by: (&'static str, Value)) -> Told {
    let mut headers = vec![by];
    headers.extend(place(record.name.as_str(), &record.vhost));
    ("exchange.deleted", headers)
}

fn bound(vhost: &VhostName, binding: &Binding, by: (&'static str, Value)) -> Vec<(&'static str, Value)> {
    let destination = match binding.destination {
        Destination::Queue(_) => "queue",
        Destination::Exchange(_) => "exchange",
    };
    vec![
        by,
        ("vhost", text(vhost.as_str())),
        ("arguments", term::shown(&binding.arguments)),
        ("routing_key", Value::LongStr(binding.key.to_vec())),
        ("destination_kind", text(destination)),
        ("destination_name", text(binding.destination.name())),
        ("source_kind", text("exchange")),
        ("source_name", text(binding.source.as_str())),
    ]
}

fn definition_of(policy: &Policy) -> Vec<(&'static str, Value)> {
    vec![
        ("apply-to", text(policy.apply_to.as_str())),
        ("priority", number(policy.priority)),
        ("definition", Value::Table(policy.definition.table.clone())),
        ("pattern", text(policy.pattern.as_str())),
    ]
}

/// As Erlang prints the map that RabbitMQ keeps of a virtual host.
fn metadata_term(metadata: &catalog::VhostMetadata) -> String {
    let mut pairs = vec![format!(
        "description => {}",
        term::binary(metadata.description.as_bytes())
    )];
    if let Some(kind) = metadata.default_queue_type {
        pairs.insert(
            0,
            format!("default_queue_type => {}", term::binary(kind.as_str().as_bytes())),
        );
    }
    let tags: Vec<String> = metadata.tags.iter().map(|tag| link::atom_text(tag)).collect();
    pairs.push(format!("tags => [{}]", tags.join(",")));
    format!("#{{{}}}", pairs.join(","))
}

fn password_key(password: &access::PasswordHash) -> &'static str {
    match password.is_set() {
        true => "user.password.changed",
        false => "user.password.cleared",
    }
}
