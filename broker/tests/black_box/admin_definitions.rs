//! Definitions over the admin port, by whoever proves the cluster's secret: a saved file brings a lost virtual host back, from any node, and a file that
//! would be refused is told before anything is changed.

use crate::{machines::Machines, mirroring::declare};
use serde_json::Value;

impl Machines {
    /// Status and body.
    fn definitions(&self, number: usize, method: &str, query: &str, file: &str) -> (String, String) {
        let told = self.prove(number, (method, &format!("/definitions{query}")), file);
        let (head, body) = told.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap_or_default();
        (status.to_owned(), body.to_owned())
    }

    fn vhosts(&self, number: usize) -> String {
        self.ctl(number, &["-q", "list_vhosts", "--no-table-headers"])
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn definitions_that_one_node_tells_are_loaded_at_another_and_are_everywhere() {
    let machines = Machines::cluster(2);
    machines.ctl(1, &["add_vhost", "lost"]);
    machines.ctl(1, &["add_user", "anna", "secret"]);
    machines.ctl(1, &["set_policy", "-p", "lost", "all", ".*", r#"{"ha-mode":"all"}"#]);
    declare(&machines, 1, "orders").await;
    let (status, whole) = machines.definitions(2, "GET", "", "");
    assert_eq!(status, "200", "{whole}");
    let read: Value = serde_json::from_str(&whole).unwrap();
    assert_eq!(read["policies"][0]["vhost"], "lost");
    assert_eq!(read["queues"][0]["name"], "orders");
    let (_, part) = machines.definitions(2, "GET", "?vhost=lost", "");
    machines.ctl(1, &["delete_vhost", "lost"]);
    machines.ctl(1, &["delete_user", "anna"]);
    assert_eq!(machines.definitions(1, "POST", "?vhost=lost", &part).0, "404");
    assert_eq!(machines.definitions(1, "POST", "?dry_run=true", &whole).0, "204");
    assert!(!machines.vhosts(1).contains("lost"), "a file was judged and not loaded");
    assert_eq!(machines.definitions(1, "POST", "", &whole).0, "204");
    assert!(machines.vhosts(2).contains("lost"));
    machines.ctl(2, &["authenticate_user", "anna", "secret"]);
    assert_eq!(machines.definitions(2, "POST", "?vhost=lost", &part).0, "204");
    let wrong = r#"{"vhosts": [{"name": "new"}], "permissions": [{"user": "none", "vhost": "new", "configure": "", "write": "", "read": ""}]}"#;
    let (status, why) = machines.definitions(1, "POST", "?dry_run=true", wrong);
    assert!(status == "400" && why.contains("bad_request"), "{status} {why}");
    assert!(!machines.vhosts(1).contains("new"));
}
