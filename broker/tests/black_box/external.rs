//! EXTERNAL: the user is the one whom the client's certificate names.

use crate::{
    broker::{Broker, connect, connect_tls, works},
    certificates::{Authority, directory},
};

const EXTERNAL: &str = "?auth_mechanism=external";
const SETTINGS: &str = "auth_mechanisms.1 = EXTERNAL\nauth_mechanisms.2 = PLAIN\nssl_options.verify = verify_peer\n\
                        ssl_options.fail_if_no_peer_cert = false\n";

#[tokio::test]
async fn a_certificate_logs_in_the_user_it_names() {
    for (from, user) in [
        ("", "CN=bob,O=Corp"),
        ("ssl_cert_login_from = common_name", "bob"),
        (
            "ssl_cert_login_from = subject_alternative_name\nssl_cert_login_san_type = dns",
            "bob.example",
        ),
        (
            "ssl_cert_login_from = subject_alternative_name\nssl_cert_login_san_type = ip",
            "127.0.0.1",
        ),
    ] {
        let authority = Authority::new("ours");
        let settings = format!("{SETTINGS}{from}\ndefault_user = {user}");
        let broker = Broker::start_with_tls(directory(&authority), &settings);
        let bob = authority.trusted_by(authority.sign("bob"));
        let connection = connect_tls(broker.tls, EXTERNAL, bob).await;
        works(&connection.unwrap_or_else(|error| panic!("{user}: {error}: {}", broker.log()))).await;
    }
}

#[tokio::test]
async fn a_certificate_of_an_unknown_user_is_refused() {
    let authority = Authority::new("ours");
    let broker = Broker::start_with_tls(directory(&authority), SETTINGS);
    let bob = || authority.trusted_by(authority.sign("bob"));
    let refused = connect_tls(broker.tls, EXTERNAL, bob()).await.unwrap_err().to_string();
    assert!(refused.contains("ACCESS_REFUSED"), "{refused}");
    works(&connect_tls(broker.tls, "", bob()).await.unwrap()).await;
}

#[tokio::test]
async fn without_a_certificate_external_is_not_there() {
    let authority = Authority::new("ours");
    let broker = Broker::start_with_tls(directory(&authority), SETTINGS);
    assert!(connect_tls(broker.tls, EXTERNAL, authority.trusted()).await.is_err());
    works(&connect_tls(broker.tls, "", authority.trusted()).await.unwrap()).await;
    works(&connect(broker.amqp, "guest:guest@").await.unwrap()).await;
}
