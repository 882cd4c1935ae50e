//! All fourteen properties decoded, for those who show or build messages: management and the generated ones.
//!
//! The data path never decodes: a text that is not UTF-8 cannot be shown as it is and gets U+FFFD here.

use crate::cursor::Cursor;
use crate::property_list as list;
use crate::table::{TableError, check_table, decode_table, encode_table};
use model::Table;

/// The properties of a message.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Properties {
    /// MIME type.
    pub content_type: Option<String>,
    /// MIME encoding.
    pub content_encoding: Option<String>,
    /// Headers table.
    pub headers: Option<Table>,
    /// 1 transient, 2 persistent.
    pub delivery_mode: Option<u8>,
    /// 0 to 255, higher first in priority queues.
    pub priority: Option<u8>,
    /// Ties an answer to its question.
    pub correlation_id: Option<String>,
    /// Where answers go.
    pub reply_to: Option<String>,
    /// Time to live in milliseconds, as text.
    pub expiration: Option<String>,
    /// The sender's id of the message.
    pub message_id: Option<String>,
    /// Seconds since the Unix epoch.
    pub timestamp: Option<u64>,
    /// The sender's name for the kind of message (`type` on the wire).
    pub kind: Option<String>,
    /// Must be the sender's own user name.
    pub user_id: Option<String>,
    /// Sending application.
    pub app_id: Option<String>,
    /// Deprecated, carried along.
    pub cluster_id: Option<String>,
}

/// Why octets are no property list, or properties cannot be written as one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PropertiesError {
    /// Shorter or longer than the flags say.
    #[error("property list is cut off or too long")]
    List,
    /// The headers table is none.
    #[error("headers: {0}")]
    Headers(#[from] TableError),
    /// A text longer than a short string.
    #[error("property {name} has at most 255 octets, this one has {bytes}")]
    TextTooLong {
        /// The property's name.
        name: &'static str,
        /// Its length in octets.
        bytes: usize,
    },
}

impl Properties {
    /// Reads flag word and property list.
    ///
    /// # Errors
    /// The list or its headers table is broken.
    pub fn decode(octets: &[u8]) -> Result<Self, PropertiesError> {
        let mut reader = Reader {
            rest: Cursor(octets),
            flags: 0,
        };
        let (properties, headers) = reader.all().ok_or(PropertiesError::List)?;
        if let Some(headers) = headers {
            check_table(headers, 1)?;
        }
        Ok(Properties {
            headers: headers.map(decode_table).transpose()?,
            ..properties
        })
    }

    /// The timestamp alone, of a flag word and property list; nothing else is decoded.
    #[must_use]
    pub fn timestamp_of(octets: &[u8]) -> Option<u64> {
        let rest = Cursor(octets);
        Reader { rest, flags: 0 }.timestamp()
    }

    /// Flag word and property list.
    ///
    /// # Errors
    /// A text or a table that is too long for its length field.
    pub fn encode(&self) -> Result<Vec<u8>, PropertiesError> {
        let mut writer = Writer {
            flags: 0,
            out: vec![0, 0],
        };
        writer.text(list::CONTENT_TYPE, "content_type", &self.content_type)?;
        writer.text(list::CONTENT_ENCODING, "content_encoding", &self.content_encoding)?;
        writer.table(&self.headers)?;
        writer.octets(list::DELIVERY_MODE, self.delivery_mode.map(|mode| [mode]));
        writer.octets(list::PRIORITY, self.priority.map(|priority| [priority]));
        writer.text(list::CORRELATION_ID, "correlation_id", &self.correlation_id)?;
        writer.text(list::REPLY_TO, "reply_to", &self.reply_to)?;
        writer.text(list::EXPIRATION, "expiration", &self.expiration)?;
        writer.text(list::MESSAGE_ID, "message_id", &self.message_id)?;
        writer.octets(list::TIMESTAMP, self.timestamp.map(u64::to_be_bytes));
        writer.text(list::TYPE, "type", &self.kind)?;
        writer.text(list::USER_ID, "user_id", &self.user_id)?;
        writer.text(list::APP_ID, "app_id", &self.app_id)?;
        writer.text(list::CLUSTER_ID, "cluster_id", &self.cluster_id)?;
        let flags = writer.flags.to_be_bytes();
        writer.out[..2].copy_from_slice(&flags);
        Ok(writer.out)
    }
}

struct Reader<'a> {
    rest: Cursor<'a>,
    flags: u16,
}

impl<'a> Reader<'a> {
    /// All properties but the headers, and the raw headers table; `None` when octets are missing or left over.
    fn all(&mut self) -> Option<(Properties, Option<&'a [u8]>)> {
        self.flags = self.rest.u16()?;
        let content_type = self.text(list::CONTENT_TYPE)?;
        let content_encoding = self.text(list::CONTENT_ENCODING)?;
        let headers = self.property(list::HEADERS, Cursor::long)?;
        let properties = Properties {
            content_type,
            content_encoding,
            headers: None,
            delivery_mode: self.property(list::DELIVERY_MODE, Cursor::u8)?,
            priority: self.property(list::PRIORITY, Cursor::u8)?,
            correlation_id: self.text(list::CORRELATION_ID)?,
            reply_to: self.text(list::REPLY_TO)?,
            expiration: self.text(list::EXPIRATION)?,
            message_id: self.text(list::MESSAGE_ID)?,
            timestamp: self.property(list::TIMESTAMP, Cursor::u64)?,
            kind: self.text(list::TYPE)?,
            user_id: self.text(list::USER_ID)?,
            app_id: self.text(list::APP_ID)?,
            cluster_id: self.text(list::CLUSTER_ID)?,
        };
        self.rest.is_empty().then_some((properties, headers))
    }

    /// What comes before the timestamp is passed over.
    fn timestamp(&mut self) -> Option<u64> {
        self.flags = self.rest.u16()?;
        self.property(list::CONTENT_TYPE, Cursor::short)?;
        self.property(list::CONTENT_ENCODING, Cursor::short)?;
        self.property(list::HEADERS, Cursor::long)?;
        self.property(list::DELIVERY_MODE, Cursor::u8)?;
        self.property(list::PRIORITY, Cursor::u8)?;
        for text in [list::CORRELATION_ID, list::REPLY_TO, list::EXPIRATION, list::MESSAGE_ID] {
            self.property(text, Cursor::short)?;
        }
        self.property(list::TIMESTAMP, Cursor::u64)?
    }

    /// `Some(None)` for a property that is not there, `None` for one that is cut off.
    fn property<T>(&mut self, flag: u16, take: impl FnOnce(&mut Cursor<'a>) -> Option<T>) -> Option<Option<T>> {
        match self.flags & flag {
            0 => Some(None),
            _ => take(&mut self.rest).map(Some),
        }
    }

    fn text(&mut self, flag: u16) -> Option<Option<String>> {
        let text = self.property(flag, Cursor::short)?;
        Some(text.map(|octets| String::from_utf8_lossy(octets).into_owned()))
    }
}

struct Writer {
    flags: u16,
    out: Vec<u8>,
}

impl Writer {
    fn octets<const N: usize>(&mut self, flag: u16, octets: Option<[u8; N]>) {
        if let Some(octets) = octets {
            self.flags |= flag;
            self.out.extend_from_slice(&octets);
        }
    }

    fn text(&mut self, flag: u16, name: &'static str, text: &Option<String>) -> Result<(), PropertiesError> {
        if let Some(text) = text {
            let bytes = text.len();
            let length = u8::try_from(bytes).map_err(|_| PropertiesError::TextTooLong { name, bytes })?;
            self.flags |= flag;
            self.out.push(length);
            self.out.extend_from_slice(text.as_bytes());
        }
        Ok(())
    }

    fn table(&mut self, headers: &Option<Table>) -> Result<(), PropertiesError> {
        if let Some(table) = headers {
            let mut octets = Vec::new();
            encode_table(table, &mut octets)?;
            let bytes = octets.len();
            let length = u32::try_from(bytes).map_err(|_| TableError::ValueTooLong { bytes })?;
            self.octets(list::HEADERS, Some(length.to_be_bytes()));
            self.out.extend_from_slice(&octets);
        }
        Ok(())
    }
}
