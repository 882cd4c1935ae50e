//! Definitions that the configuration names, imported at every start before a client is served.
//!
//! A file, the `*.json` of a folder in order of name, a document that is fetched. What is wrong with one keeps the node
//! from starting. What was imported last can be recognised by its hash, which is a global parameter of the cluster
//! that no export shows.

use anyhow::Context;
use api::Definitions;
use catalog::Command;
use sha2::{Digest, Sha256};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{definitions_fetch::fetch, definitions_import};
use crate::{config::StartDefinitions, host::Node};

/// Who imports, where a definition wants to know.
pub(super) const IMPORTER: &str = "rmq-internal";
/// The global parameter that remembers what was imported last, of those who ask for it.
const REMEMBERED: &str = "internal_imported_definitions";

/// Definitions before they are read, and where they come from.
struct Document {
    place: String,
    octets: Vec<u8>,
}

/// Imports what the configuration names, if anything.
///
/// # Errors
/// A document cannot be had, is no definitions file, or holds what is refused; it is named.
pub async fn import(node: &Arc<Node>) -> anyhow::Result<()> {
    let config = node.config();
    let config = &config.definitions;
    let documents = documents(config).await?;
    if documents.is_empty() {
        return Ok(());
    }
    let hash = hash(documents.iter().map(|document| document.octets.as_slice()));
    // What is imported before leaves things out, and must not be taken for the whole.
    let skip_if_unchanged = config.skip_if_unchanged && node.cluster_size().is_reached();
    if skip_if_unchanged && is_remembered(node, &hash) {
        tracing::info!("the definitions are those that were imported last; nothing is imported");
        return Ok(());
    }
    for Document { place, octets } in documents {
        let read = serde_json::from_slice(&octets).map_err(anyhow::Error::from);
        let done = match read {
            Ok(read) => import_whole(node, read).await,
            Err(why) => Err(why),
        };
        done.with_context(|| format!("cannot import definitions from {place}"))?;
        tracing::info!("imported definitions from {place}");
    }
    match skip_if_unchanged {
        true => remember(node, hash).await,
        false => Ok(()),
    }
}

async fn documents(config: &StartDefinitions) -> anyhow::Result<Vec<Document>> {
    let mut documents = Vec::new();
    if let Some(place) = &config.path {
        let files = files(place).with_context(|| format!("load_definitions = {}", place.display()))?;
        for file in files {
            let place = file.display().to_string();
            let octets = fs::read(&file).with_context(|| format!("cannot import definitions from {place}"))?;
            documents.push(Document { place, octets });
        }
    }
    if let Some(url) = config.fetched() {
        let octets = fetch(url, &config.tls).await;
        documents.push(Document {
            place: url.to_string(),
            octets: octets.with_context(|| format!("definitions.https.url = {url}"))?,
        });
    }
    Ok(documents)
}

fn files(place: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !fs::metadata(place)?.is_dir() {
        return Ok(vec![place.to_owned()]);
    }
    let entries = fs::read_dir(place)?.collect::<Result<Vec<_>, _>>()?;
    let paths = entries.into_iter().map(|entry| entry.path());
    let mut files: Vec<_> = paths
        .filter(|path| path.is_file() && path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    files.sort();
    Ok(files)
}

/// One hash of several documents; where one ends counts.
fn hash<'a>(documents: impl Iterator<Item = &'a [u8]>) -> String {
    let mut hash = Sha256::new();
    documents.for_each(|octets| hash.update(Sha256::digest(octets)));
    hash.finalize().iter().map(|octet| format!("{octet:02x}")).collect()
}

fn is_remembered(node: &Node, hash: &str) -> bool {
    let snapshot = node.snapshot();
    snapshot.catalog.global_parameter(REMEMBERED) == Some(&hash.into())
}

async fn remember(node: &Node, hash: String) -> anyhow::Result<()> {
    let command = Command::SetGlobalParameter {
        name: REMEMBERED.into(),
        value: hash.as_str().into(),
    };
    let done = node.commit(command).await;
    done.map(|_| ()).map_err(|refusal| anyhow::anyhow!(refusal.text))
}

/// Imports a whole file for whoever may do everything.
///
/// # Errors
/// What is refused, in RabbitMQ's words where it has some; what came before stays.
pub async fn import_whole(node: &Node, read: Definitions) -> anyhow::Result<()> {
    let importer = IMPORTER.parse().context("the importer's name")?;
    let commands = definitions_import::commands(node, &importer, read, None)?;
    node.commit_all(commands)
        .await
        .map_err(|refusal| anyhow::anyhow!(refusal.text))
}

/// Imports a whole file, which is `text`, unless it is the one that was imported last in this way.
///
/// # Errors
/// As `import_whole`.
pub async fn import_changed(node: &Node, text: &str, read: Definitions) -> anyhow::Result<()> {
    let hash = hash(std::iter::once(text.as_bytes()));
    if is_remembered(node, &hash) {
        return Ok(());
    }
    let is_whole = node.cluster_size().is_reached();
    import_whole(node, read).await?;
    match is_whole {
        true => remember(node, hash).await,
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Fixed, ServerArgs};

    /// A node of a folder that imports a file of it at every start.
    async fn node(folder: &Path, more: &str) -> Arc<Node> {
        let file = folder.join("definitions.json");
        let conf = format!("load_definitions = {}\n{more}", file.display());
        let world = Fixed::new().file("/etc/rabbitmq/rabbitmq.conf", &conf);
        let args = ServerArgs {
            data: Some(folder.join("data")),
            ..ServerArgs::default()
        };
        crate::host::started(config::load(&args, &world).unwrap().config).await
    }

    fn vhosts(node: &Node) -> Vec<String> {
        let catalog = node.snapshot().catalog.clone();
        catalog.vhosts().map(|vhost| vhost.name().to_string()).collect()
    }

    fn write(folder: &Path, vhost: &str) {
        let text = format!("{{\"vhosts\": [{{\"name\": \"{vhost}\"}}]}}");
        fs::write(folder.join("definitions.json"), text).unwrap();
    }

    async fn delete(node: &Node, vhost: &str) {
        node.commit(Command::DeleteVhost(vhost.parse().unwrap())).await.unwrap();
    }

    #[tokio::test]
    async fn definitions_are_imported_at_every_start_and_what_was_changed_by_hand_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "a");
        let node = node(folder.path(), "").await;
        import(&node).await.unwrap();
        delete(&node, "a").await;
        import(&node).await.unwrap();
        assert_eq!(vhosts(&node), ["a"]);
    }

    #[tokio::test]
    async fn queues_and_bindings_wait_until_the_cluster_has_its_size_and_unchanged_definitions_count_from_then_on() {
        let folder = tempfile::tempdir().unwrap();
        let text = "{\"vhosts\": [{\"name\": \"a\"}], \"queues\": [{\"vhost\": \"a\", \"name\": \"q\", \"durable\": true, \
                    \"auto_delete\": false, \"arguments\": {}}], \"bindings\": [{\"vhost\": \"a\", \"source\": \"amq.fanout\", \
                    \"destination\": \"q\", \"destination_type\": \"queue\", \"routing_key\": \"\", \"arguments\": {}}]}";
        fs::write(folder.path().join("definitions.json"), text).unwrap();
        let size = "cluster_formation.target_cluster_size_hint";
        let settings = "definitions.skip_if_unchanged = true\n".to_owned();
        let early = node(folder.path(), &format!("{settings}{size} = 2\n")).await;
        import(&early).await.unwrap();
        assert_eq!(vhosts(&early), ["a"]);
        assert_eq!(early.snapshot().catalog.queues().count(), 0);
        assert!(early.snapshot().catalog.global_parameter(REMEMBERED).is_none());
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("definitions.json"), text).unwrap();
        let whole = node(folder.path(), &format!("{settings}{size} = 1\n")).await;
        import(&whole).await.unwrap();
        assert_eq!(whole.snapshot().catalog.queues().count(), 1);
        assert!(whole.snapshot().catalog.global_parameter(REMEMBERED).is_some());
    }

    #[tokio::test]
    async fn new_virtual_hosts_have_the_type_of_queues_that_the_configuration_says_unless_they_say_another() {
        let folder = tempfile::tempdir().unwrap();
        let text = r#"{"vhosts": [{"name": "a"}, {"name": "b", "default_queue_type": "classic"}]}"#;
        fs::write(folder.path().join("definitions.json"), text).unwrap();
        let node = node(folder.path(), "default_queue_type = quorum\n").await;
        import(&node).await.unwrap();
        let snapshot = node.snapshot();
        let kind = |vhost| snapshot.catalog.vhost(vhost).unwrap().metadata().default_queue_type;
        use model::QueueKind::{Classic, Quorum};
        assert_eq!((kind("a"), kind("b")), (Some(Quorum), Some(Classic)));
    }

    #[tokio::test]
    async fn unless_what_is_unchanged_is_to_be_skipped() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "a");
        let node = node(folder.path(), "definitions.skip_if_unchanged = true\n").await;
        import(&node).await.unwrap();
        assert_eq!(vhosts(&node), ["a"]);
        delete(&node, "a").await;
        import(&node).await.unwrap();
        assert_eq!(vhosts(&node), [""; 0]);
        write(folder.path(), "b");
        import(&node).await.unwrap();
        assert_eq!(vhosts(&node), ["b"]);
    }
}
