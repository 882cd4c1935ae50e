//! Copies that this node holds of queues that others lead: what their leaders say is done to them, and acknowledged.
//!
//! A leader is followed only if the definitions that this node has applied name it, in exactly that reign (R10). What a
//! copy holds is never shown to clients (I5).

use catalog::QueueRecord;
use mirror::{Follower, Stream as Following, Wish, Word};
use model::{Epoch, Generation, NodeUuid, PageId, QueueId, Seq};
use parking_lot::{Mutex, MutexGuard};
use queue::{Copied, Copy, CopySink, Dedup, Known, Origin, Paged, Stamp};
use std::{collections::BTreeMap, io, sync::Arc};
use store::{Content, Lsn, StoredMessage};
use tokio::{io::BufReader, net::TcpStream};

use super::super::{
    keeping::{Keeping, settings},
    message::Message,
    node::Node,
};
use super::{answers::Answers, records::Records};

/// A copy and whom it follows.
#[derive(Debug)]
pub struct State {
    /// The messages.
    pub copy: Copy<Message>,
    /// Who has published what of them, as far as it came with them. What a leader knows beside is learned with the end of
    /// its base, never before (R12).
    dedup: Dedup,
    follower: Follower,
    /// What answers name.
    attachment: u64,
    /// What came is safe once the log is durable up to here.
    safe_at: Lsn,
    /// Somebody may wait for what came although it is not written down.
    holds_news: bool,
    /// The queue is led here, or is none any more: nothing goes in.
    gone: bool,
}

/// This node's copy of a queue that another leads.
#[derive(Debug)]
pub struct CopyCell {
    /// The queue.
    pub id: QueueId,
    /// Its log has persistent messages.
    durable: bool,
    state: Mutex<State>,
}

impl CopyCell {
    /// A copy with what is there, which is safe once the log is durable up to `safe_at`.
    pub fn new(record: &QueueRecord, copy: Copy<Message>, dedup: Dedup, safe_at: Lsn) -> Self {
        CopyCell {
            id: record.id,
            durable: settings(record).durable,
            state: Mutex::new(State {
                copy,
                dedup,
                follower: Follower::default(),
                attachment: 0,
                safe_at,
                holds_news: false,
                gone: false,
            }),
        }
    }

    /// The copy, locked.
    pub fn hold(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Nothing goes in any more; what is in is taken out.
    pub fn take(&self, record: &QueueRecord) -> (Copy<Message>, Dedup) {
        let mut state = self.state.lock();
        state.gone = true;
        state.follower.leave();
        let copy = std::mem::replace(&mut state.copy, Copy::new(&settings(record)));
        (copy, std::mem::take(&mut state.dedup))
    }

    /// A page is here that the queue asked for that this copy was; `None` if the copy is the queue again, or gone.
    pub fn loaded(&self, keeping: &Keeping, page: PageId, messages: &mut Vec<Paged<Message>>) -> Option<u64> {
        let mut state = self.state.lock();
        if state.gone {
            return None;
        }
        let mut sink = StoreSink::new(keeping, self.id);
        Some(state.copy.loaded(page, std::mem::take(messages), &mut sink))
    }

    /// The leader that was followed leads no more, or in another reign.
    pub fn leave(&self) {
        self.state.lock().follower.leave();
    }
}

impl Node {
    /// Has every copy put what it can into the store; answers how many octets left memory.
    pub(in crate::host) fn shrink_copies(&self, resident_bytes_max: u64) -> u64 {
        let copies = self.mirrors().all_copies();
        let left = copies.iter().map(|cell| {
            let mut state = cell.hold();
            let before = state.copy.resident_bytes();
            let mut sink = StoreSink::new(self.keeping(), cell.id);
            state.copy.shrink(resident_bytes_max, &mut sink);
            before.saturating_sub(state.copy.resident_bytes())
        });
        left.sum()
    }
}

/// Performs a copy's effects.
pub struct StoreSink<'a> {
    keeping: &'a Keeping,
    queue: QueueId,
    gone: Vec<(Seq, Seq)>,
}

impl<'a> StoreSink<'a> {
    /// For one queue.
    pub fn new(keeping: &'a Keeping, queue: QueueId) -> Self {
        StoreSink {
            keeping,
            queue,
            gone: Vec::new(),
        }
    }
}

impl Drop for StoreSink<'_> {
    fn drop(&mut self) {
        if !self.gone.is_empty() {
            self.keeping.store.remove(self.queue, &self.gone);
        }
    }
}

impl CopySink<Message> for StoreSink<'_> {
    fn removed(&mut self, first: Seq, last: Seq) {
        match self.gone.last_mut() {
            Some((_, end)) if end.next() == first => *end = last,
            _ => self.gone.push((first, last)),
        }
    }

    fn page_out(&mut self, level: u8, messages: Vec<Paged<Message>>) -> PageId {
        self.keeping.page_out(self.queue, level, messages)
    }

    fn discard(&mut self, page: PageId) {
        self.keeping.store.discard(page);
    }
}

/// One leader's link, at the mirrors' end.
struct Serving {
    node: Arc<Node>,
    leader: NodeUuid,
    incarnation: u64,
    /// Tells this link from earlier ones of the same leader.
    link: u64,
    /// Copies that were attached over it.
    copies: BTreeMap<QueueId, Arc<CopyCell>>,
    /// Those of them that something was done to since the last acknowledgement.
    touched: Vec<Arc<CopyCell>>,
    answers: Arc<Answers>,
}

/// Serves a leader until its link ends.
///
/// # Errors
/// Why it ended.
pub async fn serve(node: Arc<Node>, tcp: TcpStream, leader: NodeUuid, incarnation: u64) -> io::Result<()> {
    let (from, to) = tcp.into_split();
    let answers = Arc::new(Answers::new(node.store().clone()));
    let serving = Serving {
        link: node.mirrors().next_link(),
        node: node.clone(),
        leader,
        incarnation,
        copies: BTreeMap::new(),
        touched: Vec::new(),
        answers: answers.clone(),
    };
    tokio::select! {
        ended = serving.hear(Records::new(BufReader::with_capacity(256 * 1024, from))) => ended,
        ended = answers.write(to) => ended,
        () = node.parted().cancelled() => Ok(()),
    }
}

impl Serving {
    async fn hear<R: tokio::io::AsyncRead + Unpin>(mut self, mut records: Records<R>) -> io::Result<()> {
        while records.more().await? {
            while let Some((queue, word)) = records.next()? {
                if let Word::Attach {
                    attachment,
                    epoch,
                    as_of,
                    pos,
                    pulls,
                    batch,
                } = word
                {
                    self.attach(queue, attachment, (epoch, as_of), pos, (pulls, batch))
                        .await;
                } else {
                    self.follow(queue, word)?;
                }
            }
            self.acknowledge();
        }
        Ok(())
    }

    /// Follows a leader, if it is the one that the definitions name.
    async fn attach(
        &mut self,
        queue: QueueId,
        attachment: u64,
        (epoch, as_of): (Epoch, Generation),
        pos: u64,
        (pulls, batch): (bool, u32),
    ) {
        // What came for others is acknowledged first: this may take its time.
        self.acknowledge();
        self.copies.remove(&queue);
        let is_there = self.node.catch_up(as_of).await;
        let cell = self
            .node
            .mirrors()
            .copy(queue)
            .filter(|_| is_there && self.is_leader(queue, epoch));
        let Some(cell) = cell else {
            return self.answers.say(queue, &Word::Refused { attachment });
        };
        {
            let mut state = cell.hold();
            let stream = Following {
                leader: self.leader,
                epoch,
                link: self.link,
            };
            if state.gone {
                drop(state);
                return self.answers.say(queue, &Word::Refused { attachment });
            }
            state.follower.attach(stream, pos, pulls, batch.into());
            // What it knows of messages that the leader may not have is forgotten: rather refused than never taken.
            state.dedup = Dedup::partial();
            state.attachment = attachment;
        }
        self.copies.insert(queue, cell);
    }

    /// Judged by what is applied, be it published or not: a leader that is over is never followed again (R10).
    fn is_leader(&self, queue: QueueId, epoch: Epoch) -> bool {
        let applied = self.node.applied();
        let record = applied.queue_by_id(queue);
        let replicas = record.and_then(|record| record.replicas.as_ref());
        replicas.is_some_and(|replicas| replicas.is_led_by(self.leader, self.incarnation) && replicas.epoch == epoch)
    }

    /// Does what the leader says of a queue. What it says of one that does not follow it is void.
    fn follow(&mut self, queue: QueueId, word: Word<'_>) -> io::Result<()> {
        let Some(cell) = self.copies.get(&queue) else {
            return Ok(());
        };
        let mut state = cell.hold();
        if state.gone || !state.follower.hears(self.link) {
            return Ok(());
        }
        let tells_how_far = matches!(word, Word::AllListed | Word::Sent);
        let mut sink = StoreSink::new(self.node.keeping(), queue);
        let done = apply(&mut state, &mut sink, cell.durable, word);
        done.map_err(|gap| io::Error::new(io::ErrorKind::InvalidData, gap))?;
        drop(sink);
        let attachment = state.attachment;
        if tells_how_far {
            let count = state.follower.missing();
            self.answers.say(queue, &Word::Lacks { attachment, count });
        }
        while let Some(wish) = state.follower.wish() {
            let word = match wish {
                Wish::Want(runs) => Word::Want { attachment, runs },
                Wish::Whole => Word::Whole { attachment },
            };
            self.answers.say(queue, &word);
        }
        drop(state);
        if !self.touched.iter().any(|known| Arc::ptr_eq(known, cell)) {
            self.touched.push(cell.clone());
        }
        Ok(())
    }

    /// Tells the leader how far its mirrors have come.
    fn acknowledge(&mut self) {
        for cell in self.touched.drain(..) {
            let mut state = cell.hold();
            if !state.follower.hears(self.link) {
                continue;
            }
            let news = std::mem::take(&mut state.holds_news);
            if let Some(pos) = state.follower.acknowledges() {
                self.answers.come(cell.id, state.attachment, pos, state.safe_at, news);
            }
        }
        self.answers.flush();
    }
}

/// One word of the leader.
fn apply(state: &mut State, sink: &mut StoreSink<'_>, durable: bool, word: Word<'_>) -> Result<(), mirror::Gap> {
    match word {
        Word::Enqueue { pos, entry } => {
            state.follower.step(pos)?;
            state.enqueue(&entry, sink, durable);
        }
        Word::Remove { pos, runs } => {
            state.follower.step(pos)?;
            for (first, last) in runs {
                state.copy.remove(first, last, sink);
                state.follower.settled(first, last);
            }
        }
        Word::Returned { pos, counts } => {
            state.follower.step(pos)?;
            counts.iter().for_each(|(seq, count)| state.copy.returned(*seq, *count));
        }
        Word::Delivered { pos, levels } => {
            state.follower.step(pos)?;
            levels
                .iter()
                .for_each(|(level, upto)| state.copy.delivered(*level, *upto));
            if durable {
                sink.keeping.store.delivered(sink.queue, &levels);
            }
        }
        Word::Base { first, last, runs } => {
            let missing = state.copy.hold_to(first, last, &runs, sink);
            state.follower.listed(&missing);
        }
        Word::AllListed => state.follower.all_listed(),
        Word::Old(entry) => {
            state.enqueue(&entry, sink, durable);
            state.follower.settled(entry.seq, entry.seq);
        }
        Word::Heard(heard) => state.dedup.learn(Known {
            origin: Origin {
                node: heard.node,
                stream: heard.stream,
            },
            incarnation: heard.incarnation,
            floor: heard.floor,
            seen: heard.seen,
        }),
        Word::Sent => state.follower.answered(),
        Word::BaseEnds { is_partial } => {
            state.dedup.learned_all(is_partial);
            state.follower.base_ends();
        }
        Word::Pull(pulls) => state.follower.pull(pulls),
        // Words of mirrors, and the one that has been heard before.
        Word::Attach { .. }
        | Word::Refused { .. }
        | Word::Want { .. }
        | Word::Whole { .. }
        | Word::Lacks { .. }
        | Word::Ack { .. } => {}
    }
    Ok(())
}

impl State {
    fn enqueue(&mut self, entry: &mirror::Entry<'_>, sink: &mut StoreSink<'_>, durable: bool) {
        let content = Content {
            exchange: entry.exchange,
            routing_key: entry.routing_key,
            properties: entry.properties,
            body: entry.body,
        };
        let copied = Copied {
            seq: entry.seq,
            level: entry.level,
            expires: entry.expires,
            delivery_count: entry.returns,
            delivered: entry.returns > 0,
            message: Message::of(&content, entry.persistent),
        };
        if let Some(origin) = entry.origin {
            self.dedup.note(&Stamp {
                origin: Origin {
                    node: origin.node,
                    stream: origin.stream,
                },
                incarnation: origin.incarnation,
                sequence: origin.number,
                floor: origin.floor,
                again: false,
            });
        }
        if !self.copy.enqueue(copied, sink) {
            return;
        }
        if durable && entry.persistent {
            let kept = store::Entry {
                queue: sink.queue,
                epoch: sink.keeping.epoch,
                seq: entry.seq,
                expires: entry.expires,
                level: entry.level,
            };
            self.safe_at = sink.keeping.store.enqueue(&kept, &content);
        } else {
            self.holds_news = true;
        }
    }
}
