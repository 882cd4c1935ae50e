//! The one way to change the catalogue: a command goes in, events and an answer come out.
//!
//! Deterministic: the same commands give the same state, events and answers on every node (I1). A refused command
//! changes nothing.

use crate::command::{Answer, Command};
use crate::event::Event;
use crate::record::NodeRecord;
use crate::state::Catalog;
use model::Refusal;

pub(crate) type Applied = Result<Answer, Refusal>;

impl Catalog {
    /// Applies one command. Events are appended in the order of what happened.
    ///
    /// # Errors
    /// Why the command cannot be; then neither state nor events have changed. Administrative refusals have code
    /// `NotFound` for what is missing and `PreconditionFailed` for what is wrong.
    pub fn apply(&mut self, command: Command, events: &mut Vec<Event>) -> Applied {
        let mut change = Change { catalog: self, events };
        match command {
            Command::DeclareExchange(spec) => change.declare_exchange(spec),
            Command::DeleteExchange { vhost, name, if_unused } => change.delete_exchange(&vhost, &name, if_unused),
            Command::DeclareQueue(spec) => change.declare_queue(spec),
            Command::DeleteQueue(id) => Ok(change.delete_queue(id)),
            Command::Bind { vhost, binding } => change.bind(&vhost, binding),
            Command::Unbind { vhost, binding } => Ok(change.unbind(&vhost, &binding)),
            Command::ConnectionClosed(owner) => Ok(change.close_connection(&owner)),
            Command::PutVhost { name, metadata } => change.put_vhost(name, metadata),
            Command::DeleteVhost(name) => change.delete_vhost(&name),
            Command::SetVhostLimits { name, limits } => change.set_vhost_limits(&name, limits),
            Command::AddUser(user) => change.add_user(user),
            Command::PutUser(user) => Ok(change.put_user(user)),
            Command::SetPassword { name, password } => change.edit_user(&name, |user| user.password = password),
            Command::SetTags { name, tags } => change.edit_user(&name, |user| user.tags = tags),
            Command::SetUserLimits { name, limits } => change.edit_user(&name, |user| user.limits = limits),
            Command::DeleteUser(name) => change.delete_user(&name),
            Command::SetPermissions {
                vhost,
                user,
                permissions,
            } => change.set_permissions(vhost, user, &permissions),
            Command::ClearPermissions { vhost, user } => change.clear_permissions(vhost, user),
            Command::SetTopicPermissions {
                vhost,
                user,
                exchange,
                write,
                read,
            } => change.set_topic(vhost, user, &exchange, &write, &read),
            Command::ClearTopicPermissions { vhost, user, exchange } => {
                change.clear_topic(vhost, user, exchange.as_ref())
            }
            Command::SetPolicy(spec) => change.set_policy(spec),
            Command::ClearPolicy { vhost, level, name } => change.clear_policy(&vhost, level, name),
            Command::SetParameter {
                vhost,
                component,
                name,
                value,
            } => change.set_parameter(vhost, &component, &name, &value),
            Command::ClearParameter { vhost, component, name } => change.clear_parameter(vhost, &component, &name),
            Command::SetGlobalParameter { name, value } => Ok(change.set_global(name, value)),
            Command::ClearGlobalParameter(name) => change.clear_global(name),
            Command::NodeUp {
                node,
                name,
                incarnation,
                boot_id,
                mirrors,
            } => change.node_up(NodeRecord::started(node, name, (incarnation, boot_id), mirrors)),
            Command::NodeDown(deaths) => Ok(change.node_down(&deaths, false)),
            Command::NodeStopped(death) => Ok(change.node_down(&[death], true)),
            Command::AddNode { node, name, kind } => change.add_node(node, name, kind),
            Command::SetNodeKind { node, kind } => change.set_node_kind(node, kind),
            Command::RemoveNode(node) => change.remove_node(node),
            Command::SetMaintenance { node, on } => change.set_maintenance(node, on),
            Command::SetLeaving { node, on } => change.set_leaving(node, on),
            Command::History(turn) => Ok(change.turn(turn)),
            Command::Mirrors(proposal) => Ok(change.mirrors(&proposal)),
            Command::ForcePromote(queue) => change.force_promote(queue),
        }
    }
}

/// A change under way.
pub(crate) struct Change<'a> {
    pub(crate) catalog: &'a mut Catalog,
    pub(crate) events: &'a mut Vec<Event>,
}

impl Change<'_> {
    pub(crate) fn tell(&mut self, event: Event) {
        self.events.push(event);
    }
}
