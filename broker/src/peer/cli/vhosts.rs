//! Virtual hosts: creating, deleting, tags and tracing.
//!
//! What a change does not name stays as it was.

use catalog::{Command, VhostMetadata};
use link::{Failure, Request};

use super::{Outcome, commit, existing_vhost, name, refused};
use crate::host::{Node, type_of_new_vhosts};

pub(super) fn execute(node: &Node, request: Request) -> Outcome {
    match request {
        Request::AddVhost {
            name,
            description,
            tags,
            default_queue_type,
        } => {
            let metadata = VhostMetadata {
                description,
                tags,
                default_queue_type: queue_type(default_queue_type)?.or_else(|| type_of_new_vhosts(&node.config())),
                ..VhostMetadata::default()
            };
            add(node, &name, metadata)
        }
        Request::DeleteVhost { name } => commit(node, Command::DeleteVhost(existing_vhost(node, &name)?)),
        Request::SetVhostTags { vhost, tags } => edit(node, &vhost, |metadata| metadata.tags = tags),
        Request::UpdateVhost {
            name,
            description,
            tags,
            default_queue_type,
        } => {
            let kind = queue_type(default_queue_type)?;
            edit(node, &name, |metadata| {
                metadata.description = description.unwrap_or_else(|| std::mem::take(&mut metadata.description));
                metadata.tags = tags.unwrap_or_else(|| std::mem::take(&mut metadata.tags));
                metadata.default_queue_type = kind.or(metadata.default_queue_type);
            })
        }
        Request::ProtectVhost { vhost, on } => edit(node, &vhost, |metadata| metadata.protected = on),
        Request::Trace { vhost, on } => edit(node, &vhost, |metadata| metadata.tracing = on),
        _ => Err(Failure::Unknown),
    }
}

fn queue_type(word: Option<String>) -> Result<Option<model::QueueKind>, Failure> {
    let read = word.map(|word| word.parse()).transpose();
    read.map_err(|error: model::UnknownQueueType| Failure::Refused(error.to_string()))
}

/// One that exists stays as it is, which is no error.
fn add(node: &Node, vhost: &str, metadata: VhostMetadata) -> Outcome {
    match existing_vhost(node, vhost) {
        Ok(_) => Ok(link::Term::none()),
        Err(_) => {
            let put = node.put_vhost(name(vhost)?, metadata, Vec::new());
            let done = tokio::runtime::Handle::current().block_on(put);
            done.map(|_| link::Term::none()).map_err(refused)
        }
    }
}

fn edit(node: &Node, vhost: &str, change: impl FnOnce(&mut VhostMetadata)) -> Outcome {
    let name = existing_vhost(node, vhost)?;
    let mut metadata = node
        .snapshot()
        .catalog
        .vhost(vhost)
        .map(|vhost| vhost.metadata().clone())
        .unwrap_or_default();
    change(&mut metadata);
    commit(node, Command::PutVhost { name, metadata })
}
