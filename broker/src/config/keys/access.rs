//! Keys of users, passwords and ways to log in. What a blank node creates is created once, never again.
//! Secrets are rows of type `Secret`, so that no message shows them.

use super::{Key, key, only};
use crate::config::settings::{Config, Mechanism, PasswordHashing};
use crate::config::value::{NoneWord, Secret};

pub(super) fn keys() -> Vec<Key> {
    let mut all = defaults();
    all.extend(login());
    all.extend(passwords());
    all.extend(encrypted());
    all
}

fn defaults() -> Vec<Key> {
    vec![
        key("default_user", |c: &mut Config, _, v| c.access.default_user = v)
            .default("guest")
            .doc("User that a blank node creates."),
        key("default_pass", |c: &mut Config, _, v: Secret| c.access.default_pass = v)
            .default("guest")
            .doc("Its password."),
        key("default_vhost", |c: &mut Config, _, v| c.access.default_vhost = v)
            .default("/")
            .doc("Virtual host that a blank node creates."),
        key("default_user_tags.$tag", |c: &mut Config, n, v| {
            c.access.default_tags.insert(n[0].clone(), v);
        })
        .defaults(&[("default_user_tags.administrator", "true")])
        .doc("Whether that user has this tag."),
        key("default_permissions.configure", |c: &mut Config, _, v| {
            c.access.default_configure = v
        })
        .default(".*")
        .doc("What it may configure."),
        key("default_permissions.write", |c: &mut Config, _, v| {
            c.access.default_write = v
        })
        .default(".*")
        .doc("What it may write to."),
        key("default_permissions.read", |c: &mut Config, _, v| {
            c.access.default_read = v
        })
        .default(".*")
        .doc("What it may read from."),
        key("runtime_parameters.limits.$component", |c: &mut Config, n, v| {
            c.access.parameters_max.insert(n[0].clone(), v);
        })
        .hot(|c, now| c.access.parameters_max = now.access.parameters_max.clone())
        .doc("Most runtime parameters of this component in all virtual hosts together."),
    ]
}

/// They are obeyed before all others.
fn encrypted() -> Vec<Key> {
    vec![
        key("config_entry_decoder.passphrase", |c: &mut Config, _, v| {
            c.decoder.passphrase = Some(v)
        })
        .doc("Passphrase of settings that rabbitmqctl encode has encrypted, written encrypted:…; better kept in a file of its own."),
        key("config_entry_decoder.passphrase.file", |c: &mut Config, _, v| {
            c.decoder.file = Some(v)
        })
        .doc("File that holds that passphrase."),
        key("config_entry_decoder.cipher", |c: &mut Config, _, v| c.decoder.cipher = v)
            .default("aes_128_cbc")
            .doc("Cipher of encrypted settings. Without this and the two below, what RabbitMQ 4 encrypts in its own way is read as well."),
        key("config_entry_decoder.hash", |c: &mut Config, _, v| c.decoder.hash = v)
            .default("sha256")
            .doc("Hash by which their key is drawn from the passphrase."),
        key("config_entry_decoder.iterations", |c: &mut Config, _, v| {
            c.decoder.iterations = v
        })
        .default("1")
        .doc("How often it is applied."),
    ]
}

fn login() -> Vec<Key> {
    let internal = "users are kept by the broker itself; other sources of users are not part of it";
    vec![
        key("loopback_users", |c: &mut Config, _, _: NoneWord| {
            c.access.loopback_users.clear()
        })
        .hot(|c, now| c.access.loopback_users = now.access.loopback_users.clone())
        .doc("none: every user may come from anywhere."),
        key("loopback_users.$user", |c: &mut Config, n, v| {
            c.access.loopback_users.insert(n[0].clone(), v);
        })
        .defaults(&[("loopback_users.guest", "true")])
        .hot(|c, now| c.access.loopback_users = now.access.loopback_users.clone())
        .doc("Whether this user may only connect from this host."),
        key("auth_mechanisms.$name", |c: &mut Config, n, v: Mechanism| {
            c.access.mechanisms.insert(n[0].clone(), v);
        })
        .defaults(&[("auth_mechanisms.1", "PLAIN"), ("auth_mechanisms.2", "AMQPLAIN")])
        .doc("A way to log in that is offered. EXTERNAL is offered only to TLS clients with a certificate, which need ssl_options.verify = verify_peer."),
        only(
            "auth_backends.$n",
            &["internal", "rabbit_auth_backend_internal"],
            internal,
        ),
        only(
            "auth_backends.$n.authn",
            &["internal", "rabbit_auth_backend_internal"],
            internal,
        ),
        only(
            "auth_backends.$n.authz",
            &["internal", "rabbit_auth_backend_internal"],
            internal,
        ),
        key("ssl_cert_login_from", |c: &mut Config, _, v| c.access.certificate_name = v)
            .default("distinguished_name")
            .doc("What in the client's certificate names the user that logs in by EXTERNAL."),
        key("ssl_cert_login_san_type", |c: &mut Config, _, v| c.access.san_type = v)
            .default("dns")
            .doc("Which type of subject alternative name does."),
        key("ssl_cert_login_san_index", |c: &mut Config, _, v| c.access.san_index = v)
            .default("0")
            .doc("Which one of that type, from 0."),
        key("vhost_max", |c: &mut Config, _, v| c.access.vhosts_max = v)
            .default("infinity")
            .hot(|c, now| c.access.vhosts_max = now.access.vhosts_max)
        .doc("Most virtual hosts."),
    ]
}

fn passwords() -> Vec<Key> {
    vec![
        key("password_hashing_module", |c: &mut Config, _, v: PasswordHashing| {
            c.access.password_hashing = v
        })
        .default("rabbit_password_hashing_sha256")
        .hot(|c, now| c.access.password_hashing = now.access.password_hashing)
        .doc("How new passwords are hashed."),
        key("credential_validator.validation_backend", |c: &mut Config, _, v| {
            c.access.credential_validator = v
        })
        .default("rabbit_credential_validator_accept_everything")
        .hot(|c, now| c.access.credential_validator = now.access.credential_validator)
        .doc("What a new password must be."),
        key("credential_validator.min_length", |c: &mut Config, _, v| {
            c.access.password_length_min = v
        })
        .default("1")
        .hot(|c, now| c.access.password_length_min = now.access.password_length_min)
        .doc("Fewest characters, for the validator that counts."),
        key("credential_validator.regexp", |c: &mut Config, _, v| {
            c.access.password_pattern = v
        })
        .default(".*")
        .hot(|c, now| c.access.password_pattern = now.access.password_pattern.clone())
        .doc("What a password must match, for the validator that matches."),
    ]
}
