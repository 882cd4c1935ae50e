//! The words of the command line, spoken to a node on its peer port: what it has, and that it stops its app or leaves its cluster. Both ends
//! prove the cluster's secret first.
//!
//! Every wait has an end, and what is read has a bound. Nothing is decided here.

use std::time::Duration;

use link::{
    Channel, Cookie, FRAME_HEADER_BYTES, Failure, FrameHeader, HANDSHAKE_BYTES_MAX, Hello, REPLY_BYTES_MAX,
    REQUEST_BYTES_MAX, Reply, Request, Term, Verdict,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::keys::{Keys, Wire};

/// How long a node may take to let us in.
const DOOR_PATIENCE: Duration = Duration::from_secs(3);
/// How long it may take for one frame of a list.
const LIST_PATIENCE: Duration = Duration::from_secs(10);
/// How long it may take to do something, such as handing its queues over.
const DEED_PATIENCE: Duration = Duration::from_secs(120);
/// How we are called there.
const OWN: &str = "warren-operator";

/// Why a node was not heard.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The connection, or what came over it.
    #[error("{0}")]
    Lost(#[from] std::io::Error),
    /// It took too long.
    #[error("it does not answer in time")]
    Late,
    /// It does not know the secret, or is another node.
    #[error("{0}")]
    Closed(String),
    /// It will not.
    #[error("{0}")]
    Refused(String),
}

/// A node, and what it takes to be let in.
#[derive(Clone, Debug)]
pub struct Door<'a> {
    /// Host and peer port.
    pub address: String,
    /// The node's name.
    pub node: String,
    /// What it takes.
    pub keys: &'a Keys,
}

impl Door<'_> {
    /// Goes in.
    ///
    /// # Errors
    /// Nobody is there, or none of the secrets fits.
    pub async fn enter(&self) -> Result<Talk, Error> {
        let mut last = Error::Closed("the cluster's Secret holds no secret".into());
        for cookie in &self.keys.cookies {
            match timeout(DOOR_PATIENCE, self.prove(cookie)).await {
                Ok(Ok(talk)) => return Ok(talk),
                Ok(Err(error @ Error::Closed(_))) => last = error, // another secret may fit
                Ok(Err(error)) => return Err(error),
                Err(_) => return Err(Error::Late),
            }
        }
        Err(last)
    }

    async fn prove(&self, cookie: &Cookie) -> Result<Talk, Error> {
        let hello = Hello::new(Channel::Cli, OWN, &self.node);
        match self.introduce(cookie, &hello).await? {
            Ok(talk) => Ok(talk),
            // It is of the release before ours.
            Err(Verdict::WrongVersion(theirs)) if link::is_spoken(theirs) => {
                let let_in = self.introduce(cookie, &hello.in_version(theirs)).await?;
                let_in.map_err(closed)
            }
            Err(verdict) => Err(closed(verdict)),
        }
    }

    /// The verdict, if these first words and the proof are not enough.
    async fn introduce(&self, cookie: &Cookie, hello: &Hello) -> Result<Result<Talk, Verdict>, Error> {
        let mut wire = self.keys.connect(&self.address, &self.node).await?;
        send(&mut wire, hello, HANDSHAKE_BYTES_MAX).await?;
        let challenge = match receive(&mut wire, HANDSHAKE_BYTES_MAX).await? {
            Verdict::Prove(challenge) => challenge,
            other => return Ok(Err(other)),
        };
        send(&mut wire, &link::prove(cookie, hello, &challenge), HANDSHAKE_BYTES_MAX).await?;
        Ok(match receive(&mut wire, HANDSHAKE_BYTES_MAX).await? {
            Verdict::Welcome(proof) if link::verify(cookie, hello, &challenge, proof) => Ok(Talk { wire }),
            other => Err(other),
        })
    }
}

fn closed(verdict: Verdict) -> Error {
    Error::Closed(match verdict {
        Verdict::WrongSecret => "it knows none of the secrets in the cluster's Secret".into(),
        Verdict::OtherNode(name) => format!("it is called {name}"),
        Verdict::WrongVersion(version) => format!("it speaks version {version} of the peer protocol"),
        Verdict::Prove(_) | Verdict::Welcome(_) => "it does not prove the cluster's secret".into(),
    })
}

/// A connection on which both ends have proven the secret.
pub struct Talk {
    wire: Box<dyn Wire>,
}

impl Talk {
    /// Hands the rows of a list over as they come.
    ///
    /// # Errors
    /// It refuses, or was lost on the way.
    pub async fn list(&mut self, request: &Request, mut each: impl FnMut(Vec<Term>)) -> Result<(), Error> {
        send(&mut self.wire, request, REQUEST_BYTES_MAX).await?;
        loop {
            let answer = receive(&mut self.wire, REPLY_BYTES_MAX);
            match timeout(LIST_PATIENCE, answer).await.map_err(|_| Error::Late)?? {
                Reply::Rows(rows) => rows.into_iter().for_each(&mut each),
                other => return ended(other).map(drop),
            }
        }
    }

    /// Has it do or tell something.
    ///
    /// # Errors
    /// It refuses, or was lost on the way; it may have done it then.
    pub async fn tell(&mut self, request: &Request) -> Result<Term, Error> {
        send(&mut self.wire, request, REQUEST_BYTES_MAX).await?;
        let answer = receive(&mut self.wire, REPLY_BYTES_MAX);
        ended(timeout(DEED_PATIENCE, answer).await.map_err(|_| Error::Late)??)
    }
}

fn ended(reply: Reply) -> Result<Term, Error> {
    match reply {
        Reply::Done(term) => Ok(term),
        Reply::Failed(failure) => Err(Error::Refused(words(failure))),
        Reply::Rows(_) | Reply::Image { .. } | Reply::File { .. } | Reply::Octets(_) => {
            Err(std::io::Error::new(std::io::ErrorKind::InvalidData, "it answers out of turn").into())
        }
    }
}

fn words(failure: Failure) -> String {
    match failure {
        Failure::Refused(text) | Failure::Cluster { text, .. } | Failure::Unreachable(text) => text,
        Failure::AppStopped => "its app is stopped".into(),
        Failure::AppRunning => "its app runs".into(),
        other => format!("{other:?}"),
    }
}

async fn send(wire: &mut Box<dyn Wire>, message: &impl Serialize, max: usize) -> Result<(), Error> {
    let content = link::encode(message).map_err(std::io::Error::other)?;
    let octets = link::frame(&content, max).map_err(std::io::Error::other)?;
    let written = async {
        wire.write_all(&octets).await?;
        wire.flush().await
    };
    timeout(DOOR_PATIENCE, written).await.map_err(|_| Error::Late)??;
    Ok(())
}

async fn receive<T: DeserializeOwned>(wire: &mut Box<dyn Wire>, max: usize) -> Result<T, Error> {
    let mut header = [0; FRAME_HEADER_BYTES];
    wire.read_exact(&mut header).await?;
    let header = FrameHeader::read(header, max).map_err(std::io::Error::other)?;
    let mut content = vec![0; header.bytes];
    wire.read_exact(&mut content).await?;
    header.check(&content).map_err(std::io::Error::other)?;
    Ok(link::decode(&content).map_err(std::io::Error::other)?)
}
