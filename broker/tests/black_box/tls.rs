//! TLS listeners: who is let in, and certificates that change while the broker runs.

use crate::{
    broker::{Broker, PATIENCE, connect_tls, works},
    certificates::{Authority, directory},
};
use std::time::{Duration, Instant};

const OPTIONAL: &str = "ssl_options.verify = verify_peer\nssl_options.fail_if_no_peer_cert = false";
const REQUIRED: &str = "ssl_options.verify = verify_peer\nssl_options.fail_if_no_peer_cert = true";

#[tokio::test]
async fn messages_pass_over_tls_and_a_client_refuses_a_broker_of_an_authority_it_does_not_know() {
    let authority = Authority::new("ours");
    let broker = Broker::start_with_tls(directory(&authority), "");
    works(&connect_tls(broker.tls, "", authority.trusted()).await.unwrap()).await;
    assert!(
        connect_tls(broker.tls, "", Authority::new("other").trusted())
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_required_client_certificate_lets_in_who_has_one_of_the_right_authority() {
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    let broker = Broker::start_with_tls(directory(&ours), REQUIRED);
    works(
        &connect_tls(broker.tls, "", ours.trusted_by(ours.sign("bob")))
            .await
            .unwrap(),
    )
    .await;
    assert!(connect_tls(broker.tls, "", ours.trusted()).await.is_err());
    assert!(
        connect_tls(broker.tls, "", ours.trusted_by(other.sign("bob")))
            .await
            .is_err()
    );
}

#[tokio::test]
async fn an_optional_client_certificate_may_be_missing_but_not_wrong() {
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    let broker = Broker::start_with_tls(directory(&ours), OPTIONAL);
    works(&connect_tls(broker.tls, "", ours.trusted()).await.unwrap()).await;
    works(
        &connect_tls(broker.tls, "", ours.trusted_by(ours.sign("bob")))
            .await
            .unwrap(),
    )
    .await;
    assert!(
        connect_tls(broker.tls, "", ours.trusted_by(other.sign("bob")))
            .await
            .is_err()
    );
}

#[tokio::test]
async fn changed_certificates_are_used_without_a_restart_while_connections_stay() {
    let (before, after) = (Authority::new("before"), Authority::new("after"));
    let broker = Broker::start_with_tls(directory(&before), REQUIRED);
    let old = connect_tls(broker.tls, "", before.trusted_by(before.sign("bob")))
        .await
        .unwrap();
    after.equip(broker.directory());
    works(
        &connect_tls(broker.tls, "", after.trusted_by(after.sign("bob")))
            .await
            .unwrap(),
    )
    .await;
    assert!(
        connect_tls(broker.tls, "", after.trusted_by(before.sign("bob")))
            .await
            .is_err()
    );
    assert!(
        connect_tls(broker.tls, "", before.trusted_by(after.sign("bob")))
            .await
            .is_err()
    );
    works(&old).await;
}

#[tokio::test]
async fn broken_new_certificates_are_logged_and_the_old_ones_go_on() {
    let authority = Authority::new("ours");
    let broker = Broker::start_with_tls(directory(&authority), "");
    std::fs::write(broker.directory().join("server.pem"), "no certificate").unwrap();
    works(&connect_tls(broker.tls, "", authority.trusted()).await.unwrap()).await;
    let deadline = Instant::now() + PATIENCE;
    while !broker.log().contains("cannot be used, keeping the old") {
        assert!(Instant::now() < deadline, "{}", broker.log());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
