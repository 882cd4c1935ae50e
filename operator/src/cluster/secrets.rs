//! The two Secrets of a cluster: the one that nodes prove to each other, and the first user. Both are drawn once, when nothing
//! of the cluster exists yet, and never again: a second cookie would lock the nodes out of each other, a second password would
//! be one that the brokers do not know. If one is lost while nodes or volumes exist, a condition says how to restore it.
//!
//! Pure but for `draw`, which `act` calls.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use link::Cookie;
use rand::RngExt;
use rand::distr::Alphanumeric;

use super::names::{Names, PORT_AMQP, PORT_AMQPS};
use crate::crd::{ClientAuth, RabbitClusterSpec, Tls};

/// Key of the secret that nodes prove to each other now. Rotation (`rotation`) adds `next` and `previous` beside it.
pub const KEY_CURRENT: &str = "current";
const COOKIE_LETTERS: usize = 40;
const PASSWORD_LETTERS: usize = 32;

/// What to do about one Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is there and complete.
    Keep,
    /// It was never there: draw it.
    Draw,
    /// It is gone or incomplete, and drawing it again would do harm; the text says how to restore it.
    Restore(String),
    /// It is there, and no node takes what is in it; the text says why.
    Mend(String),
}

/// What the user has to do about a Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repair {
    /// In one word.
    pub reason: &'static str,
    /// How.
    pub how: String,
}

/// The verdicts on both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdicts {
    /// On `<n>-cookie`.
    pub cookie: Verdict,
    /// On `<n>-default-user`.
    pub default_user: Verdict,
}

impl Verdicts {
    /// What the user must restore or mend, if anything.
    pub fn to_restore(&self) -> Option<Repair> {
        let repair = |reason, how: &String| {
            Some(Repair {
                reason,
                how: how.clone(),
            })
        };
        [&self.cookie, &self.default_user]
            .into_iter()
            .find_map(|verdict| match verdict {
                Verdict::Restore(how) => repair("SecretMissing", how),
                Verdict::Mend(how) => repair("SecretUnusable", how),
                Verdict::Keep | Verdict::Draw => None,
            })
    }
}

/// Judges both Secrets. `lived` says whether nodes or volumes of this cluster exist.
pub fn judge(names: &Names, cookie: Option<&Secret>, default_user: Option<&Secret>, lived: bool) -> Verdicts {
    let cookie_name = names.cookie();
    let user_name = names.default_user();
    let restored = || {
        format!(
            "Secret {cookie_name} is gone or lacks the key '{KEY_CURRENT}', and nodes that use it exist; a new one would lock them \
             out of each other. Restore it from your backup: kubectl create secret generic {cookie_name} --from-literal={KEY_CURRENT}=VALUE"
        )
    };
    Verdicts {
        cookie: match cookie.and_then(unusable) {
            Some(why) => {
                let advice = match lived {
                    true => "Nodes go on with the secret that they have read before: put that back",
                    false => "Delete it, and another is drawn",
                };
                Verdict::Mend(format!(
                    "Secret {cookie_name} holds what no node takes: {why}. {advice}"
                ))
            }
            None => verdict(cookie, &[KEY_CURRENT], lived, restored),
        },
        default_user: verdict(default_user, &["username", "password"], lived, || {
            format!(
                "Secret {user_name} is gone or lacks 'username' or 'password', and brokers that know this user exist. Restore it from your \
                 backup, or with a user that the brokers know: kubectl create secret generic {user_name} \
                 --from-literal=username=NAME --from-literal=password=PASSWORD"
            )
        }),
    }
}

/// Why nodes do not take the secret that is there, by the rules of the file that they keep it in.
fn unusable(secret: &Secret) -> Option<String> {
    let octets = &secret.data.as_ref()?.get(KEY_CURRENT)?.0;
    let text = String::from_utf8_lossy(octets);
    if text.is_empty() {
        return None;
    }
    let refused = Cookie::new(&text, &format!("the key '{KEY_CURRENT}'")).err();
    refused.map(|why| why.to_string())
}

fn verdict(secret: Option<&Secret>, keys: &[&str], lived: bool, how: impl Fn() -> String) -> Verdict {
    match secret {
        Some(secret)
            if keys
                .iter()
                .all(|key| text(secret, key).is_some_and(|text| !text.is_empty())) =>
        {
            Verdict::Keep
        }
        None if !lived => Verdict::Draw,
        Some(_) | None => Verdict::Restore(how()),
    }
}

/// A Secret of the user from which one of ours is made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Given {
    /// For `<n>-default-user`.
    pub user: Option<Secret>,
    /// For `<n>-cookie`.
    pub cookie: Option<Secret>,
}

impl Given {
    /// The first user, if the user names one.
    pub fn credentials(&self) -> Option<Credentials> {
        let read = Credentials::read(self.user.as_ref()?)?;
        Some(read).filter(|user| !user.username.is_empty() && !user.password.is_empty())
    }

    /// The cookie, if the user names one. RabbitMQ's own operator keeps it under another key.
    pub fn secret(&self) -> Option<&str> {
        let secret = self.cookie.as_ref()?;
        let keys = [KEY_CURRENT, ".erlang.cookie"];
        let text = keys.iter().find_map(|key| text(secret, key))?.trim();
        Cookie::new(text, "the Secret").is_ok().then_some(text)
    }
}

/// What is wrong with the Secrets that the spec names for ours to be made of, while ours are to be made.
pub fn given_problem(spec: &RabbitClusterSpec, verdicts: &Verdicts, given: &Given) -> Option<String> {
    let user = spec.admin_user.secret_name.as_ref();
    let user = user.filter(|_| verdicts.default_user == Verdict::Draw && given.credentials().is_none());
    if let Some(name) = user {
        return Some(format!(
            "spec.adminUser.secretName: there is no Secret {name} in this namespace with the keys 'username' and 'password'; create it"
        ));
    }
    let cookie = spec.cluster_secret.secret_name.as_ref();
    let cookie = cookie.filter(|_| verdicts.cookie == Verdict::Draw && given.secret().is_none());
    cookie.map(|name| {
        format!(
            "spec.clusterSecret.secretName: there is no Secret {name} in this namespace with a secret under the key '{KEY_CURRENT}' or \
             '.erlang.cookie'; create it"
        )
    })
}

/// What is wrong with the Secrets that the spec names for TLS; new pods would not start without them. `between` says that nodes speak it to
/// each other, or are about to.
pub fn tls_problem(tls: Option<&Tls>, between: bool, found: &[Secret]) -> Option<String> {
    let tls = tls?;
    let authority = (tls.client_auth != ClientAuth::None).then_some("ca.crt");
    let (pair, apart) = match &tls.ca_secret_name {
        Some(name) => (None, Some((name, authority))),
        None => (authority, None),
    };
    let of_pair = [Some("tls.crt"), Some("tls.key"), pair].into_iter().flatten();
    let wanted = of_pair.map(|key| ("secretName", &tls.secret_name, key));
    let apart = apart.and_then(|(name, key)| Some(("caSecretName", name, key?)));
    let nodes = tls.secret_between_nodes();
    let field = match &tls.inter_node_secret_name {
        Some(_) => "interNodeSecretName",
        None => "secretName",
    };
    let nodes = ["tls.crt", "tls.key", "ca.crt"].map(|key| (field, nodes, key));
    let wanted = wanted.chain(apart).chain(nodes.into_iter().filter(|_| between));
    let wanted: Vec<_> = wanted.collect();
    wanted.iter().find_map(|(field, name, key)| {
        let field = format!("spec.tls.{field}");
        let Some(secret) = found.iter().find(|secret| secret.metadata.name.as_ref() == Some(name)) else {
            let mut keys: Vec<_> = wanted
                .iter()
                .filter(|(_, of, _)| of == name)
                .map(|(.., key)| *key)
                .collect();
            keys.sort_unstable();
            keys.dedup();
            return Some(format!(
                "{field}: there is no Secret {name} in this namespace; create it with {}",
                keys.join(", ")
            ));
        };
        let pem = text(secret, key).is_some_and(|text| text.contains("-----BEGIN "));
        (!pem).then(|| format!("{field}: Secret {name} has no PEM text under the key '{key}'; add it"))
    })
}

pub(super) fn text<'a>(secret: &'a Secret, key: &str) -> Option<&'a str> {
    let bytes = secret.data.as_ref()?.get(key)?;
    std::str::from_utf8(&bytes.0).ok()
}

/// The first user.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Name.
    pub username: String,
    /// Password, in clear.
    pub password: String,
}

impl Credentials {
    /// Those of the Secret, if it has them.
    pub fn read(secret: &Secret) -> Option<Self> {
        Some(Self {
            username: text(secret, "username")?.to_owned(),
            password: text(secret, "password")?.to_owned(),
        })
    }

    /// New ones.
    pub fn draw() -> Self {
        Self {
            username: format!("default_user_{}", letters(12)),
            password: letters(PASSWORD_LETTERS),
        }
    }

    /// Everything that the default-user Secret holds: what service bindings and RabbitMQ's own operator call for.
    pub fn data(&self, names: &Names, namespace: &str, tls_only: bool) -> BTreeMap<String, ByteString> {
        let Self { username, password } = self;
        let host = format!("{}.{namespace}.svc", names.cluster);
        let (scheme, port) = if tls_only {
            ("amqps", PORT_AMQPS)
        } else {
            ("amqp", PORT_AMQP)
        };
        // The virtual host is spelt out: a path of '/' alone is the nameless one to most clients, and the default one to some.
        let uri = format!(
            "{scheme}://{}:{}@{host}:{port}/%2F",
            escaped(username),
            escaped(password)
        );
        let conf = format!("default_user = {username}\ndefault_pass = {password}\n");
        let pairs = [
            ("username", username.clone()),
            ("password", password.clone()),
            ("host", host),
            ("port", port.to_string()),
            ("provider", "rabbitmq".into()),
            ("type", "rabbitmq".into()),
            ("connection_string", uri),
            ("default_user.conf", conf),
        ];
        pairs
            .into_iter()
            .map(|(key, value)| (key.to_owned(), ByteString(value.into_bytes())))
            .collect()
    }
}

/// The secrets by which nodes may know us, the current one first. Others come and go with a rotation.
pub fn cookies(secret: &Secret) -> Vec<Cookie> {
    let keys = [KEY_CURRENT, "next", "previous"];
    let texts = keys.iter().filter_map(|key| text(secret, key));
    texts.filter_map(|text| Cookie::new(text, "the Secret").ok()).collect()
}

/// A new cookie: letters and digits, as RabbitMQ's own.
pub fn draw_cookie() -> BTreeMap<String, ByteString> {
    of_cookie(&letters(COOKIE_LETTERS))
}

/// The same of a cookie that somebody else has drawn.
pub fn of_cookie(text: &str) -> BTreeMap<String, ByteString> {
    BTreeMap::from([(KEY_CURRENT.to_owned(), ByteString(text.into()))])
}

/// Six bits of the system's randomness a letter, nearly.
fn letters(count: usize) -> String {
    rand::rng()
        .sample_iter(Alphanumeric)
        .take(count)
        .map(char::from)
        .collect()
}

/// For a part of a URI.
pub(crate) fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let bytes = text.bytes();
    bytes
        .map(|byte| {
            if plain(byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(pairs: &[(&str, &str)]) -> Secret {
        let pairs = pairs.iter();
        let data = pairs.map(|(key, value)| ((*key).to_owned(), ByteString(value.as_bytes().to_vec())));
        Secret {
            data: Some(data.collect()),
            ..Secret::default()
        }
    }

    #[test]
    fn secrets_are_drawn_only_while_nothing_of_the_cluster_exists() {
        let names = Names::new("orders");
        let user = secret(&[("username", "u"), ("password", "p")]);
        let cookie = secret(&[("current", "c")]);
        let fresh = judge(&names, None, None, false);
        assert_eq!((fresh.cookie, fresh.default_user), (Verdict::Draw, Verdict::Draw));
        let whole = judge(&names, Some(&cookie), Some(&user), true);
        assert_eq!((whole.cookie, whole.default_user), (Verdict::Keep, Verdict::Keep));
        let half = judge(&names, Some(&cookie), None, false);
        assert_eq!(
            (half.cookie, half.default_user),
            (Verdict::Keep, Verdict::Draw),
            "a crash between the two resumes"
        );
    }

    #[test]
    fn a_lost_secret_of_a_living_cluster_is_never_drawn_again() {
        let names = Names::new("orders");
        let lost = judge(&names, None, None, true);
        assert!(
            lost.to_restore()
                .unwrap()
                .how
                .contains("kubectl create secret generic orders-cookie")
        );
        assert!(matches!(lost.default_user, Verdict::Restore(_)));
    }

    #[test]
    fn a_secret_that_no_node_takes_is_called_so_and_another_is_not_drawn() {
        let names = Names::new("orders");
        let user = secret(&[("username", "u"), ("password", "p")]);
        for (wrong, why) in [
            ("x".repeat(256), "Too long cookie string"),
            ("\n".to_owned(), "Too short cookie string"),
            ("a\u{7}b".to_owned(), "the key 'current'"),
        ] {
            let judged = judge(&names, Some(&secret(&[("current", &wrong)])), Some(&user), true);
            let repair = judged.to_restore().unwrap();
            assert_eq!(repair.reason, "SecretUnusable");
            assert!(
                repair.how.contains(why) && repair.how.contains("orders-cookie"),
                "{}",
                repair.how
            );
        }
        let fresh = judge(&names, Some(&secret(&[("current", "\n")])), Some(&user), false);
        assert!(fresh.to_restore().unwrap().how.contains("Delete it"));
        let empty = judge(&names, Some(&secret(&[("current", "")])), Some(&user), true);
        assert_eq!(empty.to_restore().unwrap().reason, "SecretMissing");
    }

    #[test]
    fn an_incomplete_secret_is_not_overwritten_even_before_the_first_start() {
        let names = Names::new("orders");
        let foreign = secret(&[("token", "x")]);
        let empty = secret(&[("username", ""), ("password", "p")]);
        let verdicts = judge(&names, Some(&foreign), Some(&empty), false);
        assert!(matches!(verdicts.cookie, Verdict::Restore(_)));
        assert!(matches!(verdicts.default_user, Verdict::Restore(_)));
    }

    #[test]
    fn ours_are_made_of_secrets_of_the_user_only_if_these_are_whole() {
        let spec = "{adminUser: {secretName: admin}, clusterSecret: {secretName: shared}}";
        let spec: RabbitClusterSpec = serde_yaml::from_str(spec).unwrap();
        let names = Names::new("orders");
        let fresh = judge(&names, None, None, false);
        let mut given = Given::default();
        let problem = |given: &Given| given_problem(&spec, &fresh, given).unwrap_or_default();
        assert!(problem(&given).starts_with("spec.adminUser.secretName: there is no Secret admin"));
        given.user = Some(secret(&[("username", "ann"), ("password", "")]));
        assert!(problem(&given).starts_with("spec.adminUser.secretName"));
        given.user = Some(secret(&[("username", "ann"), ("password", "p")]));
        assert!(problem(&given).starts_with("spec.clusterSecret.secretName: there is no Secret shared"));
        given.cookie = Some(secret(&[(".erlang.cookie", "COOKIE\n")]));
        assert_eq!(problem(&given), "");
        assert_eq!(given.credentials().unwrap().username, "ann");
        assert_eq!(given.secret(), Some("COOKIE"));
        let user = secret(&[("username", "u"), ("password", "p")]);
        let made = judge(&names, Some(&secret(&[("current", "c")])), Some(&user), true);
        assert_eq!(
            given_problem(&spec, &made, &Given::default()),
            None,
            "they are read once"
        );
    }

    #[test]
    fn a_secret_for_tls_that_cannot_be_used_is_named_with_its_field_and_key() {
        let tls = |rest: &str| serde_yaml::from_str::<Tls>(&format!("{{secretName: pair{rest}}}")).unwrap();
        let named = |name: &str, keys: &[&str]| {
            let pairs: Vec<_> = keys.iter().map(|key| (*key, "-----BEGIN X-----")).collect();
            let mut secret = secret(&pairs);
            secret.metadata.name = Some(name.into());
            secret
        };
        let pair = named("pair", &["tls.crt", "tls.key"]);
        let authority = named("authority", &["ca.crt"]);
        let mutual = tls(", caSecretName: authority, clientAuth: Required");
        let problem = |tls: &Tls, found: &[Secret]| tls_problem(Some(tls), false, found).unwrap_or_default();
        assert_eq!(tls_problem(None, true, &[]), None);
        let between = |rest: &str, found: &[Secret]| tls_problem(Some(&tls(rest)), true, found).unwrap_or_default();
        assert!(
            between("", &[named("pair", &["tls.crt", "tls.key"])])
                .contains("Secret pair has no PEM text under the key 'ca.crt'")
        );
        let apart = between(
            ", interNodeSecretName: nodes",
            &[named("pair", &["tls.crt", "tls.key"])],
        );
        assert!(
            apart.starts_with("spec.tls.interNodeSecretName: there is no Secret nodes"),
            "{apart}"
        );
        assert_eq!(problem(&tls(""), std::slice::from_ref(&pair)), "");
        assert_eq!(problem(&mutual, &[pair.clone(), authority]), "");
        assert!(problem(&tls(""), &[]).starts_with("spec.tls.secretName: there is no Secret pair"));
        assert!(problem(&tls(", clientAuth: Optional"), std::slice::from_ref(&pair)).contains("'ca.crt'"));
        assert!(problem(&mutual, &[pair]).starts_with("spec.tls.caSecretName: there is no Secret authority"));
        let empty = secret(&[("tls.crt", ""), ("tls.key", "")]);
        let empty = Secret {
            metadata: named("pair", &[]).metadata,
            ..empty
        };
        assert!(problem(&tls(""), &[empty]).contains("no PEM text under the key 'tls.crt'"));
    }

    #[test]
    fn every_drawing_is_new_and_made_of_letters_and_digits() {
        let (first, second) = (draw_cookie(), draw_cookie());
        assert_ne!(first, second);
        let cookie = std::str::from_utf8(&first[KEY_CURRENT].0).unwrap();
        assert!(cookie.len() == COOKIE_LETTERS && cookie.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        assert_ne!(Credentials::draw().password, Credentials::draw().password);
    }

    #[test]
    fn the_default_user_secret_has_the_keys_of_a_service_binding() {
        let user = Credentials {
            username: "alice".into(),
            password: "p/w@1".into(),
        };
        let data = user.data(&Names::new("orders"), "shop", false);
        let text = |key: &str| std::str::from_utf8(&data[key].0).unwrap();
        assert_eq!(
            text("connection_string"),
            "amqp://alice:p%2Fw%401@orders.shop.svc:5672/%2F"
        );
        assert_eq!(
            text("default_user.conf"),
            "default_user = alice\ndefault_pass = p/w@1\n"
        );
        assert_eq!(
            [text("host"), text("port"), text("type"), text("provider")],
            ["orders.shop.svc", "5672", "rabbitmq", "rabbitmq"]
        );
        let tls_only = user.data(&Names::new("orders"), "shop", true);
        let uri = std::str::from_utf8(&tls_only["connection_string"].0).unwrap();
        assert_eq!(uri, "amqps://alice:p%2Fw%401@orders.shop.svc:5671/%2F");
    }
}
