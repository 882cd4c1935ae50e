//! Changes of exchanges, queues and bindings, with all that follows from them.
//!
//! A deleted queue or exchange takes its bindings along; an auto-delete exchange goes with its last outgoing binding.
//! After every change both ends of every binding exist.

use crate::apply::{Applied, Change};
use crate::command::{Answer, ExchangeSpec, QueueSpec};
use crate::event::Event;
use crate::record::{ExchangeRecord, Owner, QueueRecord};
use crate::state::Vhost;
use crate::{binding_rules, exchange_rules, policies, queue_rules, texts};
use model::{ExchangeName, QueueArgs, QueueId, Refusal, VhostName};
use routing::Binding;
use std::sync::Arc;

impl Change<'_> {
    pub(crate) fn vhost(&self, name: &VhostName) -> Result<&Vhost, Refusal> {
        self.catalog
            .vhost(name.as_str())
            .map(|vhost| vhost.as_ref())
            .ok_or_else(|| texts::vhost_does_not_exist(name))
    }

    pub(crate) fn vhost_mut(&mut self, name: &VhostName) -> Result<&mut Vhost, Refusal> {
        self.catalog
            .vhost_mut(name)
            .ok_or_else(|| texts::vhost_does_not_exist(name))
    }

    pub(crate) fn declare_exchange(&mut self, spec: ExchangeSpec) -> Applied {
        let vhost = self.vhost(&spec.vhost)?;
        if let Some(existing) = vhost.exchange(spec.name.as_str()) {
            exchange_rules::check_equivalent(existing, &spec)?;
            return Ok(Answer::Done);
        }
        let args = exchange_rules::check_new(&spec.vhost, spec.name.as_str(), spec.kind, &spec.arguments)?;
        let mut record = ExchangeRecord {
            vhost: spec.vhost.clone(),
            name: spec.name,
            kind: spec.kind,
            durable: spec.durable,
            auto_delete: spec.auto_delete,
            internal: spec.internal,
            args,
            user: spec.user,
            policy: None,
            operator_policy: None,
        };
        (record.policy, record.operator_policy) = policies::for_exchange(vhost, record.name.as_str());
        self.put_exchange(&spec.vhost, record)?;
        Ok(Answer::Created)
    }

    pub(crate) fn put_exchange(&mut self, vhost: &VhostName, record: ExchangeRecord) -> Result<(), Refusal> {
        let record = Arc::new(record);
        let found = self.vhost_mut(vhost)?;
        found.route_exchange(&record);
        found.exchanges.insert(record.name.clone(), record.clone());
        self.tell(Event::ExchangeDeclared(record));
        self.catalog.touch();
        Ok(())
    }

    pub(crate) fn delete_exchange(&mut self, vhost: &VhostName, name: &ExchangeName, if_unused: bool) -> Applied {
        let found = self.vhost(vhost)?;
        if found.exchange(name.as_str()).is_none() {
            return Ok(Answer::Absent);
        }
        if if_unused && found.router.outgoing_count(name) > 0 {
            return Err(texts::in_use(&texts::exchange_title(vhost, name.as_str())));
        }
        self.drop_exchanges(vhost, vec![name.clone()]);
        Ok(Answer::Done)
    }

    /// Deletes exchanges, and those whose last outgoing binding this takes. A list instead of recursion: chains of
    /// auto-delete exchanges are as long as clients make them.
    pub(crate) fn drop_exchanges(&mut self, vhost: &VhostName, mut names: Vec<ExchangeName>) {
        while let Some(name) = names.pop() {
            let Some(found) = self.catalog.vhost_mut(vhost) else {
                return;
            };
            let Some(record) = found.exchanges.remove(&name) else {
                continue;
            };
            let gone = found.router.remove_exchange(&name);
            names.extend(self.unbound(vhost, gone));
            self.tell(Event::ExchangeDeleted(record));
            self.catalog.touch();
        }
    }

    /// Tells that bindings are gone; returns the auto-delete exchanges that have none left.
    fn unbound(&mut self, vhost: &VhostName, gone: Vec<Arc<Binding>>) -> Vec<ExchangeName> {
        let mut idle: Vec<ExchangeName> = gone.iter().map(|binding| binding.source.clone()).collect();
        idle.dedup();
        self.events
            .extend(gone.into_iter().map(|binding| Event::BindingDeleted {
                vhost: vhost.clone(),
                binding,
            }));
        let Some(found) = self.catalog.vhost(vhost.as_str()) else {
            return Vec::new();
        };
        idle.retain(|name| {
            let auto_delete = found
                .exchange(name.as_str())
                .is_some_and(|exchange| exchange.auto_delete);
            auto_delete && found.router.outgoing_count(name) == 0
        });
        idle
    }

    pub(crate) fn declare_queue(&mut self, spec: QueueSpec) -> Applied {
        let vhost = self.vhost(&spec.vhost)?;
        if let Some(existing) = vhost.queue(spec.name.as_str()) {
            queue_rules::check_equivalent(existing, &spec)?;
            return Ok(Answer::Queue {
                record: existing.clone(),
                created: false,
            });
        }
        queue_rules::check_limit(vhost, &spec)?;
        let args = queue_rules::check_new(&spec)?;
        self.check_process(&spec)?;
        let mut record = self.new_queue(spec, args)?;
        record.replicas = self.catalog.new_replicas(&record).map(Arc::new);
        let record = Arc::new(record);
        self.put_queue(&record)?;
        Ok(Answer::Queue { record, created: true })
    }

    /// What lives in a process that is known to be gone would never go: nobody would tell of its death again.
    fn check_process(&self, spec: &QueueSpec) -> Result<(), Refusal> {
        let leader = self.catalog.node_by_name(&spec.leader);
        let lives_in_process = !spec.durable || spec.owner.is_some();
        match leader.filter(|leader| lives_in_process && !leader.up) {
            None => Ok(()),
            Some(leader) => Err(texts::precondition(format!(
                "{} cannot live in the memory of node '{}', which the cluster has given up",
                texts::queue_title(&spec.vhost, spec.name.as_str()),
                leader.name
            ))),
        }
    }

    fn new_queue(&self, spec: QueueSpec, args: QueueArgs) -> Result<QueueRecord, Refusal> {
        let vhost = self.vhost(&spec.vhost)?;
        let (policy, operator_policy) = policies::for_queue(vhost, spec.name.as_str(), args.kind);
        let settings = Arc::new(policies::settings(&args, policy.as_deref(), operator_policy.as_deref()));
        Ok(QueueRecord {
            id: self.catalog.last_queue.next(),
            vhost: spec.vhost,
            name: spec.name,
            durable: spec.durable,
            auto_delete: spec.auto_delete,
            owner: spec.owner,
            args,
            leader: spec.leader,
            replicas: None,
            user: spec.user,
            policy,
            operator_policy,
            settings,
        })
    }

    fn put_queue(&mut self, record: &Arc<QueueRecord>) -> Result<(), Refusal> {
        let vhost = self.vhost_mut(&record.vhost)?;
        vhost.router.add_queue(&record.name, record.id);
        self.catalog.last_queue = record.id;
        self.catalog.put_record(record);
        if let Some(owner) = &record.owner {
            self.catalog.owned.insert((owner.clone(), record.id));
        }
        self.tell(Event::QueueDeclared(record.clone()));
        self.catalog.touch();
        Ok(())
    }

    pub(crate) fn delete_queue(&mut self, id: QueueId) -> Answer {
        let Some(record) = self.catalog.queues.remove(&id) else {
            return Answer::Absent;
        };
        self.catalog.copies.replace(Some(&record), None);
        if let Some(owner) = &record.owner {
            self.catalog.owned.remove(&(owner.clone(), id));
        }
        let mut gone = Vec::new();
        if let Some(vhost) = self.catalog.vhost_mut(&record.vhost) {
            vhost.queues.remove(&record.name);
            gone = vhost.router.remove_queue(&record.name);
        }
        let idle = self.unbound(&record.vhost, gone);
        let vhost = record.vhost.clone();
        self.tell(Event::QueueDeleted(record));
        self.catalog.touch();
        self.drop_exchanges(&vhost, idle);
        Answer::Done
    }

    pub(crate) fn close_connection(&mut self, owner: &Owner) -> Answer {
        let first = (owner.clone(), QueueId::default());
        let own = self
            .catalog
            .owned
            .range(first..)
            .take_while(|(other, _)| other == owner);
        let queues: Vec<QueueId> = own.map(|(_, id)| *id).collect();
        for id in queues {
            self.delete_queue(id);
        }
        Answer::Done
    }

    pub(crate) fn bind(&mut self, vhost: &VhostName, binding: Binding) -> Applied {
        let found = self.vhost(vhost)?;
        binding_rules::check_ends(found, &binding)?;
        binding_rules::check_kind(found, &binding)?;
        let binding = Arc::new(binding);
        if !self.vhost_mut(vhost)?.router.bind(binding.clone()) {
            return Ok(Answer::Done);
        }
        self.tell(Event::BindingCreated {
            vhost: vhost.clone(),
            binding,
        });
        self.catalog.touch();
        Ok(Answer::Created)
    }

    pub(crate) fn unbind(&mut self, vhost: &VhostName, binding: &Binding) -> Answer {
        let removed = self
            .catalog
            .vhost_mut(vhost)
            .and_then(|found| found.router.unbind(binding));
        let Some(binding) = removed else { return Answer::Absent };
        self.catalog.touch();
        let idle = self.unbound(vhost, vec![binding]);
        self.drop_exchanges(vhost, idle);
        Answer::Done
    }
}
