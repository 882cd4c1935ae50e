//! Clients' requests on the catalogue: decided on the published state, committed as one command where they change it.

use access::User;
use catalog::{Answer, Command, Conditions, Decision, Locator, Open, QueueRecord, Request};
use link::Failure;
use model::{QueueName, Refusal, ReplyCode, UserName, VhostName};
use std::{net::IpAddr, sync::Arc};

use super::{
    cell::{Leads, QueueCell},
    certificate_name,
    node::Node,
};
use crate::config::LeaderLocator;

impl Node {
    /// Decides a request and performs what comes of it.
    pub async fn request(&self, client: &catalog::Client, request: Request) -> Result<Answer, Refusal> {
        if matches!(request, Request::DeclareQueue(_)) {
            self.counters().queues_declared.add(1);
        }
        match self.decide(client, request)? {
            Decision::Unchanged(answer) => {
                // What was found here may have come a moment ago.
                self.all_know().await;
                Ok(answer)
            }
            Decision::Commit(command) => self.commit_by(&client.user, self.placed(command)).await,
            Decision::CommitIf(command, record, conditions) => {
                self.commit_if(&client.user, command, &record, conditions).await
            }
        }
    }

    /// A new queue gets the node that is to lead it.
    fn placed(&self, mut command: Command) -> Command {
        if let Command::DeclareQueue(spec) = &mut command {
            let default = match self.config().queues.leader_locator {
                LeaderLocator::ClientLocal => Locator::ClientLocal,
                LeaderLocator::Balanced | LeaderLocator::MinMasters => Locator::MinMasters,
                LeaderLocator::Random => Locator::Random,
            };
            spec.leader = catalog::leader(&self.snapshot().catalog, spec, default, rand::random());
        }
        command
    }

    fn decide(&self, client: &catalog::Client, request: Request) -> Result<Decision, Refusal> {
        catalog::decide(&self.snapshot().catalog, client, request)
    }

    /// Deletes a queue if its counts allow; answers how many messages were ready.
    pub async fn delete_queue(
        &self,
        client: &catalog::Client,
        name: QueueName,
        conditions: Conditions,
    ) -> Result<u64, Refusal> {
        match self.decide(client, Request::DeleteQueue { name, conditions })? {
            Decision::CommitIf(command, record, conditions) => {
                let ready = self.ready(&record);
                self.commit_if(&client.user, command, &record, conditions).await?;
                Ok(ready)
            }
            Decision::Commit(command @ Command::DeleteQueue(id)) => {
                let ready = self
                    .snapshot()
                    .cell(id)
                    .map_or(0, |cell| cell.hold().queue.counts().ready.messages);
                self.commit_by(&client.user, command).await?;
                Ok(ready)
            }
            Decision::Commit(command) => self.commit_by(&client.user, command).await.map(|_| 0),
            Decision::Unchanged(_) => Ok(0),
        }
    }

    fn ready(&self, record: &QueueRecord) -> u64 {
        self.snapshot()
            .cell(record.id)
            .map_or(0, |cell| cell.hold().queue.counts().ready.messages)
    }

    /// The counts are judged under the queue's lock and the queue takes nothing more from then on, so nothing slips in
    /// before the command is committed. If it cannot be, the queue goes on.
    async fn commit_if(
        &self,
        user: &UserName,
        command: Command,
        record: &QueueRecord,
        conditions: Conditions,
    ) -> Result<Answer, Refusal> {
        if self.snapshot().is_remote(record) {
            let refused = |failure| refused_there(record, conditions, failure);
            return self
                .delete_far(record, conditions)
                .await
                .map(|_| Answer::Done)
                .map_err(refused);
        }
        let cell = self.snapshot().cell(record.id).cloned();
        if let Some(cell) = &cell {
            let mut held = cell.hold();
            check_led_here(cell, record)?;
            let counts = held.queue.counts();
            conditions.check(record, counts.consumers as u64, counts.ready.messages)?;
            held.dead = true;
        }
        let done = self.commit_by(user, command).await;
        if let (Err(_), Some(cell)) = (&done, cell) {
            let mut held = cell.hold();
            held.dead = check_led_here(&cell, record).is_err();
        }
        done
    }

    /// True for a queue whose leader is known to be down.
    pub fn is_away(&self, record: &QueueRecord) -> bool {
        let snapshot = self.snapshot();
        snapshot.is_remote(record) && !snapshot.is_led(record)
    }

    /// A queue's place on this node.
    pub fn cell(&self, record: &QueueRecord) -> Result<Arc<QueueCell>, Refusal> {
        let missing = || Refusal::channel(ReplyCode::NotFound, format!("no {}", record.title()));
        self.snapshot().cell(record.id).cloned().ok_or_else(missing)
    }

    /// Checks a log-in; the reason of a refusal is for the log.
    pub fn log_in(&self, user: &str, password: &[u8], from: IpAddr) -> Result<Arc<User>, String> {
        let snapshot = self.snapshot();
        let found = snapshot
            .catalog
            .access()
            .log_in(user, password)
            .map_err(|why| refused(user, why))?;
        self.check_origin(user, from)?;
        Ok(found.clone())
    }

    /// Checks a log-in by a certificate (DER) that TLS has verified; the reason of a refusal is for the log.
    pub fn log_in_by_certificate(&self, certificate: Option<&[u8]>, from: IpAddr) -> Result<Arc<User>, String> {
        let certificate = certificate.ok_or("connection peer presented no TLS (x.509) certificate")?;
        let name = certificate_name::user(certificate, self.certificate_rule()).ok_or("no name found")?;
        let snapshot = self.snapshot();
        let found = snapshot.catalog.access().user(&name);
        let found = found.ok_or_else(|| refused(&name, access::LoginError::UnknownUser))?;
        self.check_origin(&name, from)?;
        Ok(found.clone())
    }

    fn certificate_rule(&self) -> certificate_name::Rule {
        let config = self.config();
        let access = &config.access;
        certificate_name::Rule {
            part: access.certificate_name,
            san_type: access.san_type,
            san_index: access.san_index,
        }
    }

    fn check_origin(&self, user: &str, from: IpAddr) -> Result<(), String> {
        let loopback_only = self.config().access.loopback_users.get(user).is_some_and(|only| *only);
        match loopback_only && !from.is_loopback() {
            true => Err(format!("user '{user}' can only connect via localhost, not from {from}")),
            false => Ok(()),
        }
    }

    /// May this user open a connection to that virtual host now? Others are counted only where a limit asks for it.
    pub fn admit(&self, user: &UserName, vhost: &VhostName) -> Result<(), Refusal> {
        if let Some(max) = self.config().amqp.connections_max.max()
            && self.clients().count_open(|_| true) >= max
        {
            let text = format!("connection refused: node connection limit ({max}) is reached");
            return Err(Refusal::connection(ReplyCode::NotAllowed, text));
        }
        let catalog = &self.snapshot().catalog;
        let vhost_limit = catalog
            .vhost(vhost.as_str())
            .and_then(|found| found.limits().connections());
        let user_limit = catalog
            .access()
            .user(user.as_str())
            .and_then(|found| found.limits.connections());
        let open = Open {
            in_vhost: vhost_limit.map_or(0, |_| self.clients().count_open(|profile| profile.vhost == *vhost)),
            of_user: user_limit.map_or(0, |_| self.clients().count_open(|profile| profile.user == *user)),
        };
        catalog::check_enter(catalog, user, vhost, open)
    }

    /// May this user open one more channel?
    pub fn admit_channel(&self, user: &UserName) -> Result<(), Refusal> {
        let node_max = self.config().amqp.node_channels_max.max();
        let snapshot = self.snapshot();
        let user_is_limited = snapshot
            .catalog
            .access()
            .user(user.as_str())
            .is_some_and(|u| u.limits.channels().is_some());
        if node_max.is_none() && !user_is_limited {
            return Ok(());
        }
        let (mut all, mut own) = (0, 0);
        for client in self.clients().all() {
            let channels = client.outbox().lock().channels().count() as u64;
            all += channels;
            own += if client.profile().is_some_and(|profile| profile.user == *user) {
                channels
            } else {
                0
            };
        }
        if let Some(max) = node_max.filter(|max| all >= *max) {
            let text = format!(
                "number of channels opened on node '{}' has reached the maximum allowed limit of ({max})",
                self.name()
            );
            return Err(Refusal::connection(ReplyCode::NotAllowed, text));
        }
        catalog::check_channel(&snapshot.catalog, user, own)
    }

    /// A connection's exclusive queues go with it.
    pub async fn connection_closed(&self, client: &catalog::Client) {
        let owner = client.owner();
        if let Err(refusal) = self.commit(Command::ConnectionClosed(owner)).await {
            tracing::error!("exclusive queues of connection {} stay: {refusal}", client.connection.0);
        }
    }
}

/// Why a log-in failed, for the log. That there is no such user is not told apart, as in RabbitMQ.
fn refused(user: &str, why: access::LoginError) -> String {
    match why {
        access::LoginError::UnknownUser | access::LoginError::WrongPassword => {
            format!("user '{user}' - invalid credentials")
        }
        access::LoginError::NoPassword => format!("user '{user}' - {why}"),
    }
}

/// The leader's refusal to delete a queue, in the words that this node would have found.
fn refused_there(record: &QueueRecord, conditions: Conditions, failure: Failure) -> Refusal {
    let (consumers, ready) = match failure {
        Failure::InUse => (1, 0),
        Failure::NotEmpty => (0, 1),
        Failure::Refused(text) => return Refusal::channel(ReplyCode::NotFound, text),
        _ => return Refusal::channel(ReplyCode::NotFound, format!("no {}", record.title())),
    };
    let judged = conditions.check(record, consumers, ready);
    judged
        .err()
        .unwrap_or_else(|| Refusal::channel(ReplyCode::PreconditionFailed, format!("{} is in use", record.title())))
}

/// What a queue holds is judged by its leader alone.
///
/// # Errors
/// Another node leads it, which is published in a moment.
pub fn check_led_here(cell: &QueueCell, record: &QueueRecord) -> Result<(), Refusal> {
    if cell.leads() != Leads::Elsewhere {
        return Ok(());
    }
    let text = format!("{} has just gone to another node: ask again", record.title());
    Err(Refusal::channel(ReplyCode::ResourceLocked, text))
}
