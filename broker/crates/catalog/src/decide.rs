//! What becomes of a client's request: RabbitMQ's checks in RabbitMQ's order, on a snapshot.
//!
//! Nothing is changed here. The order decides which of several faults a client is told, so it is part of the contract.

use crate::check::{Asker, is_system};
use crate::command::{Answer, Command, ExchangeSpec, QueueSpec};
use crate::request::{Client, Conditions, Decision, DeclareExchange, DeclareQueue, Request};
use crate::state::Catalog;
use crate::{binding_rules, exchange_rules, queue_rules, texts};
use access::Permission::{Configure, Read, Write};
use model::{ExchangeKind, ExchangeName, QueueKind, QueueName, Refusal, Table, Value};
use routing::{Binding, Destination};

type Decided = Result<Decision, Refusal>;

/// Judges one request of a client.
///
/// # Errors
/// The refusal that the session answers: code, scope and text as RabbitMQ's.
pub fn decide(catalog: &Catalog, client: &Client, request: Request) -> Decided {
    let asker = Asker::new(catalog, client)?;
    match request {
        Request::DeclareExchange(wanted) if wanted.passive => asker.look_at_exchange(&wanted.name),
        Request::DeclareExchange(wanted) => asker.declare_exchange(wanted),
        Request::DeleteExchange { name, if_unused } => asker.delete_exchange(name, if_unused),
        Request::DeclareQueue(wanted) if wanted.passive => asker.look_at_queue(&wanted.name),
        Request::DeclareQueue(wanted) => asker.declare_queue(wanted),
        Request::DeleteQueue { name, conditions } => asker.delete_queue(&name, conditions),
        Request::Bind(binding) => asker.bind(binding),
        Request::Unbind(binding) => asker.unbind(binding),
    }
}

fn unchanged() -> Decided {
    Ok(Decision::Unchanged(Answer::Done))
}

fn not_default(name: &ExchangeName) -> Result<(), Refusal> {
    if name.is_default() {
        Err(texts::on_default_exchange())
    } else {
        Ok(())
    }
}

impl Asker<'_> {
    fn look_at_exchange(&self, name: &ExchangeName) -> Decided {
        not_default(name)?;
        self.existing_exchange(name.as_str())?;
        unchanged()
    }

    fn declare_exchange(&self, wanted: DeclareExchange) -> Decided {
        let kind = exchange_rules::kind(&wanted.kind)?;
        not_default(&wanted.name)?;
        self.check_exchange(Configure, &wanted.name)?;
        let DeclareExchange {
            name,
            durable,
            auto_delete,
            internal,
            arguments,
            ..
        } = wanted;
        let (vhost, user) = (self.client.vhost.clone(), self.client.user.clone());
        let spec = ExchangeSpec {
            vhost,
            name,
            kind,
            durable,
            auto_delete,
            internal,
            arguments,
            user,
        };
        match self.vhost.exchange(spec.name.as_str()) {
            Some(existing) => {
                exchange_rules::check_equivalent(existing, &spec)?;
                unchanged()
            }
            None => self.new_exchange(kind, spec),
        }
    }

    fn new_exchange(&self, kind: ExchangeKind, spec: ExchangeSpec) -> Decided {
        if is_system(spec.name.as_str()) {
            return Err(texts::reserved("exchange", spec.name.as_str()));
        }
        let title = texts::exchange_title(&self.vhost.name, spec.name.as_str());
        if let Some(alternate) = exchange_argument(&spec.arguments, "alternate-exchange", &title)? {
            self.check_exchange(Read, &spec.name)?;
            self.check_exchange(Write, &alternate)?;
        }
        exchange_rules::check_new(&self.vhost.name, spec.name.as_str(), kind, &spec.arguments)?;
        Ok(Decision::Commit(Command::DeclareExchange(spec)))
    }

    fn delete_exchange(&self, name: ExchangeName, if_unused: bool) -> Decided {
        not_default(&name)?;
        let title = texts::exchange_title(&self.vhost.name, name.as_str());
        if is_system(name.as_str()) {
            return Err(texts::access_refused(format!("deletion of system {title} not allowed")));
        }
        self.check_exchange(Configure, &name)?;
        if self.vhost.exchange(name.as_str()).is_none() {
            return Ok(Decision::Unchanged(Answer::Absent));
        }
        if if_unused && self.vhost.router.outgoing_count(&name) > 0 {
            return Err(texts::in_use(&title));
        }
        Ok(Decision::Commit(Command::DeleteExchange {
            vhost: self.vhost.name.clone(),
            name,
            if_unused,
        }))
    }

    fn look_at_queue(&self, name: &QueueName) -> Decided {
        let record = self.own_queue(name)?.clone();
        self.catalog.check_home(&record)?;
        Ok(Decision::Unchanged(Answer::Queue { record, created: false }))
    }

    fn declare_queue(&self, wanted: DeclareQueue) -> Decided {
        let spec = self.queue_spec(wanted)?;
        self.check_queue(Configure, &spec.name)?;
        if let Some(existing) = self.vhost.queue(spec.name.as_str()) {
            self.catalog.check_home(existing)?;
            queue_rules::check_equivalent(existing, &spec)?;
            return Ok(Decision::Unchanged(Answer::Queue {
                record: existing.clone(),
                created: false,
            }));
        }
        queue_rules::check_limit(self.vhost, &spec)?;
        let title = texts::queue_title(&self.vhost.name, spec.name.as_str());
        if let Some(dead_letters) = exchange_argument(&spec.arguments, "x-dead-letter-exchange", &title)? {
            self.check_queue(Read, &spec.name)?;
            self.check_exchange(Write, &dead_letters)?;
        }
        queue_rules::check_new(&spec)?;
        Ok(Decision::Commit(Command::DeclareQueue(spec)))
    }

    /// Chooses the name and brings flags and type into the form they are stored in.
    fn queue_spec(&self, wanted: DeclareQueue) -> Result<QueueSpec, Refusal> {
        let durable = wanted.durable && !wanted.exclusive;
        let arguments = queue_rules::with_default_kind(self.vhost, durable, wanted.exclusive, wanted.arguments);
        let name = match wanted.name {
            name if name.is_empty() => server_named(wanted.generated, &arguments)?,
            name if is_system(name.as_str()) => return Err(texts::reserved("queue", name.as_str())),
            name => name,
        };
        Ok(QueueSpec {
            vhost: self.vhost.name.clone(),
            name,
            durable,
            auto_delete: wanted.auto_delete,
            owner: wanted.exclusive.then(|| self.client.owner()),
            arguments,
            leader: self.client.node.clone(),
            user: self.client.user.clone(),
        })
    }

    fn delete_queue(&self, name: &QueueName, conditions: Conditions) -> Decided {
        self.check_queue(Configure, name)?;
        let Some(queue) = self.vhost.queue(name.as_str()) else {
            return Ok(Decision::Unchanged(Answer::Absent));
        };
        self.catalog.check_home(queue)?;
        queue_rules::check_owner(queue, &self.client.owner())?;
        queue_rules::check_deletable(queue, conditions)?;
        let command = Command::DeleteQueue(queue.id);
        match conditions == Conditions::default() {
            true => Ok(Decision::Commit(command)),
            false => Ok(Decision::CommitIf(command, queue.clone(), conditions)),
        }
    }

    fn check_binding_access(&self, binding: &Binding) -> Result<(), Refusal> {
        match &binding.destination {
            Destination::Queue(name) => self.check_queue(Write, name)?,
            Destination::Exchange(name) => {
                self.check_exchange(Write, name)?;
                not_default(name)?;
            }
        }
        not_default(&binding.source)?;
        self.check_exchange(Read, &binding.source)?;
        self.check_topic(Read, &binding.source, &binding.key)
    }

    fn bind(&self, binding: Binding) -> Decided {
        self.check_binding_access(&binding)?;
        binding_rules::check_ends(self.vhost, &binding)?;
        binding_rules::check_kind(self.vhost, &binding)?;
        binding_rules::check_owner(self.vhost, &binding, &self.client.owner())?;
        match self.vhost.router.is_bound(&binding) {
            true => unchanged(),
            false => Ok(Decision::Commit(Command::Bind {
                vhost: self.vhost.name.clone(),
                binding,
            })),
        }
    }

    fn unbind(&self, binding: Binding) -> Decided {
        self.check_binding_access(&binding)?;
        if !self.vhost.router.is_bound(&binding) {
            return unchanged();
        }
        binding_rules::check_owner(self.vhost, &binding, &self.client.owner())?;
        Ok(Decision::Commit(Command::Unbind {
            vhost: self.vhost.name.clone(),
            binding,
        }))
    }
}

fn server_named(generated: QueueName, arguments: &Table) -> Result<QueueName, Refusal> {
    match arguments
        .get("x-queue-type")
        .and_then(Value::as_text)
        .and_then(|kind| kind.parse().ok())
    {
        Some(kind @ (QueueKind::Quorum | QueueKind::Stream)) => Err(texts::server_named(kind)),
        Some(QueueKind::Classic) | None => Ok(generated),
    }
}

/// The exchange that an argument names; it need not exist, but it must be a text.
fn exchange_argument(arguments: &Table, key: &str, title: &str) -> Result<Option<ExchangeName>, Refusal> {
    let Some(value) = arguments.get(key) else {
        return Ok(None);
    };
    let name = value.as_text().and_then(|text| text.parse().ok());
    let bad = || {
        texts::precondition(format!(
            "invalid type '{}' for arg '{key}' in {title}",
            value.type_name()
        ))
    };
    name.map(Some).ok_or_else(bad)
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
