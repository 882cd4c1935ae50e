//! A message's headers and properties as routing asks for them: decoded only when an exchange looks.

use model::{HashProperty, Table};
use session::Publication;

use super::delayed;

/// What an exchange may look at.
#[derive(Debug)]
pub struct MessageContent<'a> {
    properties: &'a [u8],
    headers: Option<&'a [u8]>,
}

impl<'a> MessageContent<'a> {
    /// Raw properties, and the raw headers among them where they have been found already.
    pub fn of(properties: &'a [u8], headers: Option<&'a [u8]>) -> Self {
        MessageContent { properties, headers }
    }

    fn decoded(&self) -> wire::Properties {
        // Both were checked when they came in.
        wire::Properties::decode(self.properties).unwrap_or_default()
    }
}

impl routing::Content for MessageContent<'_> {
    fn headers(&mut self) -> Table {
        match self.headers {
            Some(raw) => wire::decode_table(raw).unwrap_or_default(),
            None => self.decoded().headers.unwrap_or_default(),
        }
    }

    fn property(&mut self, which: HashProperty) -> Option<Vec<u8>> {
        let properties = self.decoded();
        let text = match which {
            HashProperty::MessageId => properties.message_id,
            HashProperty::CorrelationId => properties.correlation_id,
            HashProperty::Timestamp => properties.timestamp.map(|seconds| seconds.to_string()),
        };
        text.map(String::into_bytes)
    }

    fn is_delayed(&mut self) -> bool {
        delayed::delay_ms(&self.headers()).is_some()
    }
}

/// A message's headers, decoded.
pub fn headers(publication: &Publication<'_>) -> Table {
    routing::Content::headers(&mut MessageContent::of(publication.properties, publication.headers))
}
