//! Which policy each object obeys, and the change of all objects when policies change.
//!
//! One policy of each level per object: the highest priority of those that match, of equals the first by name.

use crate::apply::{Applied, Change};
use crate::command::{Answer, PolicySpec};
use crate::event::Event;
use crate::record::{ExchangeRecord, Policy, QueueRecord};
use crate::state::Vhost;
use crate::texts;
use access::Pattern;
use model::{PolicyDefinition, PolicyLevel, QueueArgs, QueueKind, QueueSettings, Refusal, VhostName};
use std::cmp::Reverse;
use std::sync::Arc;

/// The user's and the operator's policy of one object.
pub(crate) type Pair = (Option<Arc<Policy>>, Option<Arc<Policy>>);

pub(crate) fn for_queue(vhost: &Vhost, name: &str, kind: QueueKind) -> Pair {
    let covers = |policy: &Policy| policy.apply_to.covers_queues(kind) && policy.definition.concerns(kind);
    both(vhost, name, covers)
}

pub(crate) fn for_exchange(vhost: &Vhost, name: &str) -> Pair {
    both(vhost, name, |policy| policy.apply_to.covers_exchanges())
}

fn both(vhost: &Vhost, name: &str, covers: impl Fn(&Policy) -> bool) -> Pair {
    let winner = |level| {
        let matching = vhost
            .policies(level)
            .filter(|policy| covers(policy) && policy.pattern.matches(name));
        // The first of the smallest: policies come by name.
        matching.min_by_key(|policy| Reverse(policy.priority)).cloned()
    };
    (winner(PolicyLevel::User), winner(PolicyLevel::Operator))
}

pub(crate) fn settings(args: &QueueArgs, user: Option<&Policy>, operator: Option<&Policy>) -> QueueSettings {
    QueueSettings::merge(
        args,
        user.map(|policy| &policy.definition),
        operator.map(|policy| &policy.definition),
    )
}

impl Change<'_> {
    pub(crate) fn set_policy(&mut self, spec: PolicySpec) -> Applied {
        self.vhost(&spec.vhost)?;
        let policy = Arc::new(compile(spec)?);
        let vhost = policy.vhost.clone();
        let key = (policy.level, policy.name.clone());
        let replaced = self.vhost_mut(&vhost)?.policies.insert(key, policy.clone());
        self.tell(Event::PolicySet(policy));
        self.reconsider(&vhost)?;
        Ok(if replaced.is_some() {
            Answer::Done
        } else {
            Answer::Created
        })
    }

    pub(crate) fn clear_policy(&mut self, vhost: &VhostName, level: PolicyLevel, name: Arc<str>) -> Applied {
        let removed = self.vhost_mut(vhost)?.policies.remove(&(level, name));
        let policy = removed.ok_or_else(|| texts::not_found("Parameter does not exist"))?;
        self.tell(Event::PolicyCleared(policy));
        self.reconsider(vhost)?;
        Ok(Answer::Done)
    }

    /// Finds the policies of every object of a virtual host anew and changes those that obey others now.
    fn reconsider(&mut self, vhost: &VhostName) -> Result<(), Refusal> {
        let found = self.vhost(vhost)?;
        let queues: Vec<QueueRecord> = found
            .queues()
            .filter_map(|queue| reconsidered_queue(found, queue))
            .collect();
        let exchanges: Vec<ExchangeRecord> = found
            .exchanges()
            .filter_map(|exchange| reconsidered_exchange(found, exchange))
            .collect();
        for record in queues {
            let id = record.id;
            self.replace_queue(record);
            self.revise(id, |_, _| {});
        }
        for record in exchanges {
            let found = self.vhost_mut(vhost)?;
            found.router.set_alternate(&record.name, record.alternate());
            found.exchanges.insert(record.name.clone(), Arc::new(record));
            self.catalog.touch();
        }
        Ok(())
    }

    pub(crate) fn replace_queue(&mut self, record: QueueRecord) {
        let record = Arc::new(record);
        let before = self.catalog.put_record(&record);
        // A policy of the same content under another name changes the record, not what the queue obeys.
        let is_same = |before: &QueueRecord| before.settings == record.settings && before.ha() == record.ha();
        if !before.is_some_and(|before| is_same(&before)) {
            self.tell(Event::QueueSettingsChanged(record));
        }
    }
}

pub(crate) fn compile(spec: PolicySpec) -> Result<Policy, Refusal> {
    let pattern = Pattern::new(&spec.pattern).map_err(|error| {
        texts::validation_failed(format!("pattern should be regular expression but is invalid: {error}"))
    })?;
    let definition = PolicyDefinition::parse(spec.level, spec.definition).map_err(texts::validation_failed)?;
    let PolicySpec {
        vhost,
        name,
        level,
        apply_to,
        priority,
        ..
    } = spec;
    Ok(Policy {
        vhost,
        name,
        level,
        pattern,
        apply_to,
        priority,
        definition,
    })
}

fn reconsidered_queue(vhost: &Vhost, queue: &QueueRecord) -> Option<QueueRecord> {
    let (policy, operator_policy) = for_queue(vhost, queue.name.as_str(), queue.args.kind);
    if (&policy, &operator_policy) == (&queue.policy, &queue.operator_policy) {
        return None;
    }
    let settings = Arc::new(settings(&queue.args, policy.as_deref(), operator_policy.as_deref()));
    Some(QueueRecord {
        policy,
        operator_policy,
        settings,
        ..queue.clone()
    })
}

fn reconsidered_exchange(vhost: &Vhost, exchange: &ExchangeRecord) -> Option<ExchangeRecord> {
    let (policy, operator_policy) = for_exchange(vhost, exchange.name.as_str());
    if (&policy, &operator_policy) == (&exchange.policy, &exchange.operator_policy) {
        return None;
    }
    Some(ExchangeRecord {
        policy,
        operator_policy,
        ..exchange.clone()
    })
}
