//! Topic exchanges in which the node itself publishes: log lines and events. Clients bind to them and may not publish there.
//!
//! Must never decide what is published: that is `log_exchange`'s and `events`' to say.

use catalog::{Command, ExchangeSpec};
use model::{ExchangeKind, ExchangeName, Refusal, ReplyCode, Table, UserName, VhostName};
use session::Publication;

use super::node::Node;

/// Who declares them.
const USER: &str = "rmq-internal";

impl Node {
    /// Declares such an exchange unless it is there. `key` is the setting that names the virtual host.
    ///
    /// # Errors
    /// The virtual host is gone, or the setting names something that cannot be.
    pub(super) async fn declare_own_exchange(
        &self,
        vhost: &str,
        key: &str,
        exchange: &str,
    ) -> Result<VhostName, Refusal> {
        let wrong = |what: String| Refusal::connection(ReplyCode::InternalError, what);
        let vhost: VhostName = vhost
            .parse()
            .map_err(|_| wrong(format!("{key} names no virtual host")))?;
        let name: ExchangeName = exchange.parse().map_err(|_| wrong("no exchange name".into()))?;
        let user: UserName = USER.parse().map_err(|_| wrong("no user name".into()))?;
        if !self.has_exchange(&vhost, exchange) {
            let spec = ExchangeSpec {
                vhost: vhost.clone(),
                name,
                kind: ExchangeKind::Topic,
                durable: true,
                auto_delete: false,
                internal: true,
                arguments: Table::default(),
                user,
            };
            self.commit(Command::DeclareExchange(spec)).await?;
        }
        Ok(vhost)
    }

    /// True if the exchange is there.
    pub(super) fn has_exchange(&self, vhost: &VhostName, name: &str) -> bool {
        let snapshot = self.snapshot();
        let record = snapshot.catalog.vhost(vhost.as_str());
        record.is_some_and(|record| record.exchange(name).is_some())
    }

    /// Publishes in such an exchange. Nobody is there to be told that a message found no room.
    pub(super) fn publish_to_own_exchange(&self, vhost: &VhostName, exchange: &str, publication: &Publication<'_>) {
        let (mut touched, mut errands) = (Vec::new(), Vec::new());
        let route = self.snapshot().route_unchecked(vhost, exchange, publication);
        self.send_on(&route, publication, &mut touched, &mut errands);
        self.run_errands(errands, &mut touched);
        self.flush(&mut touched);
    }
}
