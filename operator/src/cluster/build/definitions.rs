//! What `spec.definitions` adds: lines of rabbitmq.conf, and the files mounted as one folder, which nodes import in order of name.

use k8s_openapi::api::core::v1::{
    ConfigMapProjection, KeyToPath, ProjectedVolumeSource, SecretProjection, Volume, VolumeMount, VolumeProjection,
};

use crate::cluster::validate::ValidCluster;
use crate::crd::DefinitionsFile;

const FOLDER: &str = "/etc/warren/definitions";

/// The lines of rabbitmq.conf; none without definitions. The Secret of the first user would lie to its readers if these took its place.
pub(super) fn conf(cluster: &ValidCluster) -> &'static str {
    match cluster.spec.definitions {
        Some(_) => "load_definitions = /etc/warren/definitions\nload_definitions.keep_default_user = true\n",
        None => "",
    }
}

/// The files as one volume, readable by the pod's group alone, and where it is mounted.
pub(super) fn volume(cluster: &ValidCluster) -> Option<(Volume, VolumeMount)> {
    let wanted = cluster.spec.definitions.as_ref()?;
    let config_map = wanted.config_map_ref.as_ref().map(|file| VolumeProjection {
        config_map: Some(ConfigMapProjection {
            name: file.name.clone(),
            items: Some(vec![item(file, "1-config-map.json")]),
            optional: None,
        }),
        ..VolumeProjection::default()
    });
    let secret = wanted.secret_ref.as_ref().map(|file| VolumeProjection {
        secret: Some(SecretProjection {
            name: file.name.clone(),
            items: Some(vec![item(file, "2-secret.json")]),
            optional: None,
        }),
        ..VolumeProjection::default()
    });
    let volume = Volume {
        name: "definitions".into(),
        projected: Some(ProjectedVolumeSource {
            default_mode: Some(0o440),
            sources: Some(config_map.into_iter().chain(secret).collect()),
        }),
        ..Volume::default()
    };
    Some((volume, super::stateful_set::mount("definitions", FOLDER, true)))
}

fn item(file: &DefinitionsFile, path: &str) -> KeyToPath {
    KeyToPath {
        key: file.key.clone(),
        path: path.into(),
        mode: None,
    }
}
