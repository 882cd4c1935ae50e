//! One client connection's task: waits, reads, lets the machine decide, performs, flushes.
//!
//! The only place that awaits a client's socket. Must never decide about the protocol: an `if` about AMQP belongs
//! into `session`.

use model::{ConsumerId, Generation, Millis, Refusal, ReplyCode};
use session::{Beat, Connection, Heartbeat, Host, Point, Release, Step};
use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use store::Lsn;
use tokio_util::sync::CancellationToken;

use super::{
    batch::Batch,
    client::Client,
    consumers::Consumers,
    control::Login,
    legs::{Awaited, Opening, end as end_leg},
    mirrors::Reach,
    node::Node,
    notes::{self, Ending},
    outbox::{Letter, Parked},
    pool,
    remote::are_answered,
    resettle::LOOK_AGAIN_AFTER,
    socket::Socket,
};

/// Replies waiting for a client that does not read: above this we no longer read either.
const REPLIES_BYTES_MAX: usize = 1024 * 1024;
/// A batch of at least this many octets is followed by letting other tasks run: two floods must not starve the rest.
const LARGE_BATCH_BYTES: u64 = 16 * 1024;
/// A publish that waits for the disk looks this often whether it may go on.
const DISK_PATIENCE: Duration = Duration::from_millis(2);
/// The last words of a connection wait so long for a client that does not read them.
const FAREWELL_PATIENCE: Duration = Duration::from_secs(15);
/// Longest sleep of a connection with nothing to wait for.
const IDLE: Millis = Millis(3_600_000);
/// Up to so many octets of a frame that is not complete are kept without a buffer.
const LEFTOVER_BYTES_MAX: usize = 4096;
/// Slices of dead letters that a client carries away at most before it is read again.
const HELP_SLICES_MAX: usize = 64;

/// Consumers by channel and tag.
type Gone = Vec<(u16, String)>;

/// Why a connection ends whose publishes can be neither confirmed nor refused.
const LEADER_CHANGED: &str = "the queue's leader has changed, unconfirmed publishes are to be sent again";

/// What was published up to a point is safe under these conditions.
struct Unsafe {
    point: Point,
    /// The log of this node is durable up to here.
    lsn: Lsn,
    /// Other nodes have answered.
    awaited: Option<Box<[Awaited]>>,
    /// Mirrors have it.
    reaches: Option<Box<[Reach]>>,
}

impl Unsafe {
    fn is_safe(&self, synced: Lsn) -> bool {
        let has_reached = |reaches: &[Reach]| reaches.iter().all(Reach::is_there);
        self.lsn <= synced
            && are_answered(self.awaited.as_deref(), synced)
            && self.reaches.as_deref().is_none_or(has_reached)
    }

    /// Has `wake` called when more of it is safe; false if it is all of a sudden.
    fn waits(&self, synced: Lsn, wake: &store::Wake) -> bool {
        let mut waits = self.lsn > synced;
        for awaited in self.awaited.iter().flatten() {
            waits |= awaited.waits(synced, wake);
        }
        for reach in self.reaches.iter().flatten() {
            waits |= reach.wake(wake);
        }
        waits
    }

    /// True if it will never be safe: another node leads the queue.
    fn is_lost(&self) -> bool {
        let (mut reaches, mut awaited) = (self.reaches.iter().flatten(), self.awaited.iter().flatten());
        reaches.any(Reach::is_lost) || awaited.any(Awaited::is_lost)
    }
}

/// What the task owns.
pub(super) struct Task {
    pub(super) node: Arc<Node>,
    pub(super) client: Arc<Client>,
    pub(super) machine: Connection,
    pub(super) batch: Batch,
    pub(super) consumers: Consumers,
    pub(super) login: Option<Login>,
    /// An exclusive queue has been declared: the catalogue must be told when the connection ends.
    pub(super) owns_queues: bool,
    /// The leader of a queue was lost while it was asked: whoever leads then is asked again.
    pub(super) ask_again: bool,
    buffer: Vec<u8>,
    heartbeat: Option<Heartbeat>,
    /// End of the handshake's or the close's patience.
    deadline: Option<Millis>,
    next_ack_look: Millis,
    /// Ends of batches with logged publishes, and where the log must be durable for each.
    unsafe_points: VecDeque<Unsafe>,
    /// On a leg: the state of the catalogue that its other end was told last.
    told: Option<Generation>,
    deaf: bool,
    /// Octets wait in the buffer that were not looked at, since their answers found no room.
    stalled: bool,
    /// What was not looked at begins with a publish, and the disk is behind.
    waits_for_disk: bool,
    /// Nothing is read while an alarm is on, since the client publishes.
    alarmed: bool,
    pub(super) over: bool,
    /// The TLS handshake goes on, with a patience of its own.
    shaking_hands: bool,
    /// The machine has ended the connection: what it wrote is written before the socket closes.
    said_goodbye: bool,
    ending: Ending,
}

/// Serves a client until its socket closes.
pub async fn serve(node: Arc<Node>, socket: Socket, peer: SocketAddr, local: SocketAddr) {
    let now = node.now();
    let client = Arc::new(Client::new(node.next_connection(), socket, peer, local, now));
    node.clients().enter(client.clone());
    let mut task = Task::new(node, client, now);
    task.run().await;
    task.finish().await;
}

/// Serves a leg: a client that has logged in at another node.
pub async fn serve_leg(node: Arc<Node>, socket: Socket, opening: Opening, hung_up: CancellationToken) {
    let now = node.now();
    let client = Arc::new(Client::new(
        node.next_connection(),
        socket,
        opening.peer,
        opening.local,
        now,
    ));
    // Its own task tells of cancelled consumers.
    client.opened(opening.profile(), false);
    client.serves(opening.node.clone(), opening.connection);
    node.served_legs().enter(opening.origin, &client).await;
    node.legs().enter(client.clone());
    if hung_up.is_cancelled() {
        end_leg(&client);
    }
    let mut task = Task::new(node, client, now);
    task.batch.serve_origin(opening.origin, opening.incarnation);
    task.machine = Connection::leg(task.node.limits_of_legs(), opening.user.to_string());
    task.batch.enter(opening.identity());
    task.login = Some(Login::elsewhere(opening.identity()));
    task.deadline = None;
    task.told = Some(Generation::default());
    task.run().await;
    if task.said_goodbye {
        task.batch.forget_origin();
    }
    task.finish().await;
    task.node.served_legs().leave(opening.origin, &task.client);
}

impl Task {
    /// True on a leg.
    pub(super) fn is_leg(&self) -> bool {
        self.told.is_some()
    }

    fn new(node: Arc<Node>, client: Arc<Client>, now: Millis) -> Self {
        let shaking_hands = client.outbox().socket.is_handshaking();
        let patience = match shaking_hands {
            true => Millis(node.config().listeners.tls_handshake_timeout.0),
            false => node.handshake_timeout(),
        };
        Task {
            machine: Connection::new(node.limits()),
            batch: Batch::new(node.clone(), client.clone()),
            consumers: Consumers::default(),
            login: None,
            owns_queues: false,
            ask_again: false,
            buffer: Vec::new(),
            heartbeat: None,
            deadline: Some(now.after(patience)),
            next_ack_look: now.after(node.ack_look()),
            unsafe_points: VecDeque::new(),
            told: None,
            deaf: false,
            stalled: false,
            waits_for_disk: false,
            alarmed: false,
            over: false,
            said_goodbye: false,
            ending: Ending::Orderly,
            shaking_hands,
            node,
            client,
        }
    }

    async fn run(&mut self) {
        let client = self.client.clone();
        let outbox = client.outbox();
        let stopping = self.node.stopping().clone();
        let mut told_to_stop = false;
        let mut seen = 0;
        while !self.over {
            let disk_is_behind = self.waits_for_disk && self.must_wait();
            let reading = !self.alarmed && !disk_is_behind && outbox.has_room(REPLIES_BYTES_MAX);
            let blocked = outbox.blocked.load(Ordering::Acquire);
            let has_aside = self.batch.legs.has_aside();
            let wait = Duration::from_millis(self.wakes_at().0.saturating_sub(self.node.now().0));
            tokio::select! {
                () = std::future::ready(()), if reading && self.stalled => self.on_room().await,
                ready = outbox.socket.readable(), if reading && !self.stalled => self.on_readable(ready).await,
                ready = outbox.socket.writable(), if blocked => self.on_writable(ready),
                () = outbox.attention.notified() => self.on_letters().await,
                () = tokio::time::sleep(LOOK_AGAIN_AFTER), if has_aside => self.look_at_legs(),
                () = tokio::time::sleep(DISK_PATIENCE), if disk_is_behind => {}
                () = tokio::time::sleep(wait) => self.on_time().await,
                () = stopping.cancelled(), if !told_to_stop => {
                    told_to_stop = true;
                    self.on_shutdown().await;
                }
            }
            let received = self.client.received.load(Ordering::Relaxed);
            if received - seen >= LARGE_BATCH_BYTES {
                seen = received;
                tokio::task::yield_now().await;
            }
        }
    }

    /// True while a publish that was held has to wait.
    fn must_wait(&self) -> bool {
        !self.node.store().has_room() || self.batch.legs.are_full() || self.batch.waits_for_leaders()
    }

    fn wakes_at(&self) -> Millis {
        let beat = self.heartbeat.as_ref().map(Heartbeat::next);
        let idle = self.node.now().after(IDLE);
        [self.deadline, beat, Some(self.next_ack_look)]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(idle)
    }

    async fn on_readable(&mut self, ready: io::Result<()>) {
        if self.buffer.capacity() <= LEFTOVER_BYTES_MAX {
            let leftover = std::mem::replace(&mut self.buffer, pool::take());
            self.buffer.extend_from_slice(&leftover);
        }
        if self.buffer.len() == self.buffer.capacity() {
            // A frame larger than the buffer: the machine refuses it if it may not be, so this is bounded.
            self.buffer.reserve(pool::BUFFER_BYTES);
        }
        let read = ready.and_then(|()| self.client.outbox().socket.try_read(&mut self.buffer));
        self.look_at_handshake();
        match read {
            Ok(0) => self.on_end(),
            Ok(octets) => {
                self.client.reads.fetch_add(1, Ordering::Relaxed);
                if self.client.received.fetch_add(octets as u64, Ordering::Relaxed) == 0 {
                    self.on_first_octets();
                }
                self.on_octets().await;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => {
                match self.shaking_hands && error.kind() == io::ErrorKind::InvalidData {
                    true => notes::not_secured(&self.client, &error),
                    false => tracing::debug!(target: "connection", pid = self.client.pid(), "reading: {error}"),
                }
                self.on_end();
            }
        }
        self.return_buffer();
    }

    /// The client is gone. It is expected to be after a close of ours, and who never said a word only looked.
    fn on_end(&mut self) {
        self.over = true;
        let has_spoken = self.client.received.load(Ordering::Relaxed) > 0;
        self.ending = match self.ending {
            _ if self.machine.is_closing() => self.ending,
            _ if has_spoken => Ending::Unexpected,
            _ => Ending::Told,
        };
    }

    /// Who sends part of a frame and falls silent holds that part and no whole buffer.
    fn return_buffer(&mut self) {
        if self.buffer.len() <= LEFTOVER_BYTES_MAX {
            let leftover = self.buffer.as_slice().to_vec();
            pool::give_back(std::mem::replace(&mut self.buffer, leftover));
        }
    }

    /// Goes on where answers found no room, and lets other tasks have their turn.
    async fn on_room(&mut self) {
        self.on_octets().await;
        tokio::task::yield_now().await;
    }

    /// AMQP's patience begins when TLS's ends.
    fn look_at_handshake(&mut self) {
        if self.shaking_hands && !self.client.outbox().socket.is_handshaking() {
            self.shaking_hands = false;
            self.deadline = Some(self.node.now().after(self.node.handshake_timeout()));
        }
    }

    /// The TLS handshake is over: a client with a certificate is offered to log in by it.
    fn on_first_octets(&mut self) {
        if !self.is_leg() {
            notes::accepted(&self.client);
        }
        if self.client.outbox().socket.peer_certificate().is_some() {
            self.machine = Connection::new(self.node.limits_with_certificate());
        }
    }

    async fn on_octets(&mut self) {
        self.stalled = false;
        self.waits_for_disk = false;
        if self.deaf {
            return self.buffer.clear();
        }
        let buffer = std::mem::take(&mut self.buffer);
        let mut used = 0;
        self.batch.begin();
        let gone = self.forget_consumers_gone();
        self.tell_gone(gone);
        while !self.over && !self.deaf {
            let (octets, step) = self.machine.advance(&buffer[used..], &mut self.batch);
            used += octets;
            if let Step::NeedBytes = step {
                break;
            }
            self.take_step(step).await;
            // A few octets can ask for many: what does not fit is asked for again when there is room.
            if self.client.outbox().waiting_bytes() >= REPLIES_BYTES_MAX {
                self.stalled = true;
                break;
            }
        }
        if self.batch.has_strayed() {
            return self.send_away();
        }
        self.seal();
        self.batch.end();
        self.buffer = buffer;
        self.buffer.drain(..used);
        self.help().await;
        let holds = self.batch.take_held_publish();
        let publishes = holds || (self.node.alarms().any() && self.machine.is_receiving_content());
        if publishes && !self.over {
            self.on_alarms();
        }
        // The alarm may be over by now: the publish goes on at once, or when the disk has caught up.
        self.waits_for_disk = holds && !self.alarmed;
        self.stalled |= self.waits_for_disk;
    }

    /// Who has caused many dead letters helps to carry them away before it is read again (I7).
    async fn help(&mut self) {
        for _ in 0..HELP_SLICES_MAX {
            if !self.batch.help() {
                return;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Blocks a publishing client while an alarm is on, and lets it go on after the last one.
    fn on_alarms(&mut self) {
        let on = self.node.alarms().any();
        if on == self.alarmed || (on && !self.machine.is_open()) {
            return;
        }
        self.alarmed = on;
        self.client.is_blocked.store(on, Ordering::Relaxed);
        self.batch.begin();
        match on {
            true => self.machine.write_blocked(self.node.alarms().reason(), &mut self.batch),
            false => self.machine.write_unblocked(&mut self.batch),
        }
        // A publish that was held is in the buffer still.
        self.stalled |= !on;
        self.batch.end();
    }

    /// What was logged in this batch is confirmed once the log is durable up to here; until then the client waits.
    fn seal(&mut self) {
        let awaited = self.batch.legs.take_awaited();
        let reaches = self.batch.take_reaches();
        let Some(point) = self.machine.seal() else { return };
        let lsn = self.batch.safe_at();
        let waits_for_mirrors = reaches.is_some();
        self.unsafe_points.push_back(Unsafe {
            point,
            lsn,
            awaited,
            reaches,
        });
        if !self.node.store().wake_when_synced(lsn, self.client.wake()) || waits_for_mirrors {
            self.confirm();
        }
    }

    /// Tells publishers what has become safe.
    fn confirm(&mut self) {
        let mut reached = None;
        let mut heard = false;
        loop {
            let synced = self.node.store().synced();
            while let Some(next) = self.unsafe_points.pop_front_if(|next| next.is_safe(synced)) {
                heard |= next.awaited.is_some();
                reached = Some(next.point);
            }
            let next = self.unsafe_points.front();
            if next.is_none_or(|next| next.is_lost() || next.waits(synced, self.client.wake())) {
                break;
            }
        }
        // Refusals are posted before their answer is seen, so none comes too late.
        if heard {
            for (channel, refused) in self.client.outbox().refused() {
                self.refuse(channel, refused);
            }
        }
        if let Some(point) = reached {
            self.machine.reached(point, &mut self.batch);
        }
    }

    /// The log has become durable for some that wait.
    fn on_synced(&mut self) {
        if self.unsafe_points.is_empty() {
            return;
        }
        self.batch.begin();
        self.confirm();
        self.batch.end();
    }

    /// Performs what the machine wants until it wants octets again.
    async fn take_step(&mut self, step: Step) {
        let mut next = Some(step);
        while let Some(step) = next.take() {
            match step {
                Step::NeedBytes => {}
                Step::Ask(ask) => {
                    self.batch.settle_down();
                    // On the heap: questions are rare, and a connection that asks none has no room for them.
                    let answer = Box::pin(self.perform(ask)).await;
                    let gone = self.forget_consumers_gone();
                    self.batch.begin();
                    self.tell_generation();
                    next = self.machine.answer(answer, &mut self.batch);
                    self.tell_gone(gone);
                    self.on_progress();
                }
                Step::Close => {
                    self.over = true;
                    self.said_goodbye = true;
                }
                Step::Linger { patience, deaf } => {
                    self.deadline = Some(self.node.now().after(patience));
                    self.deaf = deaf;
                    self.heartbeat = None;
                    // The client's answer is read also while an alarm is on.
                    self.alarmed = false;
                }
            }
        }
    }

    /// A leg's other end waits for what its leader's answers rely on.
    pub(super) fn tell_generation(&mut self) {
        let Some(told) = &mut self.told else { return };
        let now = self.node.snapshot().generation();
        if *told < now {
            *told = now;
            wire::as_of(self.batch.out(), now);
        }
    }

    /// The handshake's end starts heartbeats and ends the handshake's patience.
    fn on_progress(&mut self) {
        if self.machine.is_open() && self.deadline.is_some() {
            self.deadline = None;
            self.heartbeat = Heartbeat::new(self.machine.tuned().heartbeat, self.node.now());
        }
    }

    fn on_writable(&mut self, ready: io::Result<()>) {
        self.client.outbox().blocked.store(false, Ordering::Release);
        match ready {
            Ok(()) => self.flush(),
            Err(_) => self.on_end(),
        }
    }

    /// Flushes, and lets consumers go on for which there is room again.
    fn flush(&mut self) {
        let parked = self.client.outbox().flush();
        self.resume(parked);
    }

    fn resume(&mut self, parked: Vec<Parked>) {
        if parked.is_empty() {
            return;
        }
        self.batch.begin();
        for (cell, consumer) in parked {
            self.batch.on_cell(&cell, |work| {
                work.queue.consumer_ready(work.now, consumer, &mut work.sink);
            });
        }
        self.batch.end();
    }

    fn look_at_legs(&mut self) {
        if self.batch.legs.are_troubled() {
            self.batch.begin();
            self.resettle();
            self.batch.end();
        }
    }

    async fn on_letters(&mut self) {
        if self.client.outbox().is_dead() {
            self.on_end();
            return;
        }
        self.look_at_legs();
        self.on_synced();
        if self.unsafe_points.front().is_some_and(Unsafe::is_lost) {
            return self.force_close(LEADER_CHANGED).await;
        }
        self.client.tell_channels(|| self.machine.channel_facts());
        let mut gone = Gone::new();
        for letter in self.client.outbox().letters() {
            match letter {
                Letter::ConsumerGone { channel, tag, id } => gone.extend(self.forget_consumer(channel, tag, id)),
                Letter::ConsumerMoved {
                    channel,
                    tag,
                    id,
                    wish,
                    as_of,
                } => Box::pin(self.on_moved((channel, &tag, id), wish, as_of)).await,
                Letter::Close { reason } => self.force_close(&reason).await,
                Letter::Refused { channel, refused } => self.refuse(channel, refused),
                Letter::AlarmsChanged if self.alarmed => self.on_alarms(),
                Letter::AlarmsChanged => {}
            }
        }
        if self.is_leg() || !gone.is_empty() {
            self.tell_gone(gone);
            self.batch.end();
        }
    }

    /// The consumer, if the client does not know yet that it is gone.
    fn forget_consumer(&mut self, channel: u16, tag: String, id: ConsumerId) -> Option<(u16, String)> {
        let gone = self.consumers.remove_if(channel, &tag, id)?;
        self.tell_consumer_gone(channel, &tag, &gone);
        self.machine.consumer_gone(channel, &tag);
        Some((channel, tag))
    }

    /// A client that hears of a cancelled consumer, or deletes its queue, may use the tag again at once.
    fn forget_consumers_gone(&mut self) -> Gone {
        let mut gone = Gone::new();
        for letter in self.client.outbox().consumers_gone() {
            if let Letter::ConsumerGone { channel, tag, id } = letter {
                gone.extend(self.forget_consumer(channel, tag, id));
            }
        }
        gone
    }

    /// Tells the client of consumers that are gone without its doing: behind the answer to what made them go, as RabbitMQ does.
    fn tell_gone(&mut self, gone: Gone) {
        for (channel, tag) in gone {
            // The other end of a leg learns why before it learns that.
            self.tell_generation();
            let is_open = !self.machine.is_closing() && self.client.outbox().lock().channel(channel).is_some();
            if is_open && (self.is_leg() || self.client.wants_cancel_notices()) {
                wire::cancel(self.batch.out(), channel, tag.as_bytes());
            }
        }
    }

    async fn force_close(&mut self, reason: &str) {
        if self.is_leg() {
            // Its client is told nothing, and goes on with whoever leads.
            return self.send_away();
        }
        self.batch.begin();
        let step = self.machine.force_close(reason, &mut self.batch);
        self.take_step(step).await;
        self.batch.end();
    }

    async fn on_shutdown(&mut self) {
        self.force_close("broker forced connection closure with reason 'shutdown'")
            .await;
    }

    async fn on_time(&mut self) {
        let now = self.node.now();
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            if !self.machine.is_closing() {
                notes::slow(&self.client, self.machine.has_begun());
                self.ending = Ending::Told;
            }
            self.over = true;
            return;
        }
        self.beat(now);
        if self.next_ack_look <= now {
            self.next_ack_look = now.after(self.node.ack_look());
            if !self.is_leg() {
                self.expel_overdue_channels(now).await;
            }
        }
    }

    fn beat(&mut self, now: Millis) {
        let sent = self.client.outbox().sent.load(Ordering::Relaxed);
        let received = self.client.received.load(Ordering::Relaxed);
        let Some(heartbeat) = &mut self.heartbeat else { return };
        let Beat { send, dead, .. } = heartbeat.look(now, sent, received, self.alarmed);
        if dead {
            let seconds = self.machine.tuned().heartbeat;
            notes::silent(&self.client, seconds);
            self.ending = Ending::Told;
            self.over = true;
        } else if send {
            wire::heartbeat(self.client.outbox().lock().buffer());
            self.flush();
        }
    }

    /// Channels that keep a delivery longer than the consumer timeout are closed, as RabbitMQ does.
    async fn expel_overdue_channels(&mut self, now: Millis) {
        let Some(timeout) = self.node.consumer_timeout() else {
            return;
        };
        let overdue: Vec<u16> = {
            let mut state = self.client.outbox().lock();
            let late = |since: Millis| since.after(timeout) < now;
            state
                .channels()
                .filter(|(_, out)| out.ledger.oldest().is_some_and(late))
                .map(|(n, _)| n)
                .collect()
        };
        self.batch.begin();
        for number in overdue {
            let refusal = Refusal::channel(ReplyCode::PreconditionFailed, overdue_text(number, timeout));
            if let Some(step) = self.machine.expel_channel(number, &refusal, &mut self.batch) {
                self.take_step(step).await;
            }
        }
        self.batch.end();
    }

    async fn finish(&mut self) {
        self.batch.begin();
        self.release(Release::Connection).await;
        self.batch.end();
        if self.said_goodbye {
            self.drain().await;
        }
        self.client.outbox().socket.say_goodbye();
        self.client.outbox().close();
        self.node.clients().leave(self.client.id);
        self.node.legs().leave(self.client.id);
        self.client.forget_curious();
        pool::give_back(std::mem::take(&mut self.buffer));
        if self.is_leg() {
            return;
        }
        self.node.count_closed(&self.client);
        if self.login.is_some() || self.client.received.load(Ordering::Relaxed) > 0 {
            self.node.tell_disconnected(&self.client);
        }
        if !self.batch.told_end {
            notes::closed(&self.client, self.ending);
        }
    }
}

impl Task {
    /// Waits until the last words are written: another task may hold the flusher's role, or the client reads slowly.
    async fn drain(&self) {
        let outbox = self.client.outbox();
        let deadline = tokio::time::Instant::now() + FAREWELL_PATIENCE;
        while !outbox.is_drained() {
            tokio::select! {
                _ = outbox.socket.writable() => {}
                () = tokio::time::sleep_until(deadline) => return,
            }
        }
    }
}

fn overdue_text(channel: u16, timeout: Millis) -> String {
    format!(
        "delivery acknowledgement on channel {channel} timed out. Timeout value used: {} ms. This timeout value can be \
         configured, see consumers doc guide to learn more",
        timeout.0
    )
}

impl Batch {
    /// Nothing is held and all replies so far are on their way: the state in which a question is answered.
    pub fn settle_down(&mut self) {
        self.release();
        self.run_errands();
        if !self.out().is_empty() {
            self.write_replies();
        }
        self.legs.flush();
    }
}
