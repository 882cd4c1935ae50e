//! Which definitions a node imports at its start, and when it does not.
//!
//! Names places only; `management` reads and imports them.

use super::settings::TlsOptions;
use super::value::{Value, words};
use std::fmt;
use std::path::PathBuf;

/// What is imported at every start.
#[derive(Clone, Debug, Default)]
pub struct StartDefinitions {
    /// A file, or a folder of `*.json`.
    pub path: Option<PathBuf>,
    /// Where the others are.
    pub backend: ImportBackend,
    /// The document, if they are fetched.
    pub url: Option<Url>,
    /// Whom to trust then.
    pub tls: TlsOptions,
    /// A blank node gets the default user and virtual host besides.
    pub keep_default_user: bool,
    /// Not once more what was imported last.
    pub skip_if_unchanged: bool,
}

impl StartDefinitions {
    /// Whether there is anything to import. Such a node creates no user and no virtual host by itself.
    pub fn are_named(&self) -> bool {
        self.path.is_some() || self.fetched().is_some()
    }

    /// The document that is fetched.
    pub fn fetched(&self) -> Option<&Url> {
        self.url.as_ref().filter(|_| self.backend.is_remote())
    }
}

words! {
    /// Where definitions are.
    ImportBackend {
        /// In files.
        LocalFilesystem = "local_filesystem",
        /// The same.
        Local = "local",
        /// At a URL.
        Https = "https",
        /// The same.
        Http = "http",
        /// The first by the name of its module.
        LocalModule = "rabbit_definitions_import_local_filesystem",
        /// The last by the name of its module.
        HttpsModule = "rabbit_definitions_import_https",
    }
}

impl ImportBackend {
    /// Whether they are fetched.
    pub fn is_remote(self) -> bool {
        matches!(
            self,
            ImportBackend::Https | ImportBackend::Http | ImportBackend::HttpsModule
        )
    }
}

/// The address of a document: `https` or `http`, a host, perhaps a port, a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url(hyper::Uri);

impl Url {
    /// Whether it is fetched over TLS.
    pub fn is_tls(&self) -> bool {
        self.0.scheme_str() == Some("https")
    }

    /// Its host; an address of IPv6 without brackets.
    pub fn host(&self) -> &str {
        self.0.host().unwrap_or_default().trim_matches(['[', ']'])
    }

    /// Its port, or that of its scheme.
    pub fn port(&self) -> u16 {
        let default = if self.is_tls() { 443 } else { 80 };
        self.0.port_u16().unwrap_or(default)
    }

    /// Host and port as they were written.
    pub fn authority(&self) -> &str {
        self.0.authority().map_or("", |authority| authority.as_str())
    }

    /// Path and query.
    pub fn target(&self) -> &str {
        self.0.path_and_query().map_or("/", |target| target.as_str())
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Value for Url {
    const KIND: &'static str = "URL";
    fn read(text: &str) -> Result<Self, String> {
        let right = "must be an address such as https://host/definitions.json, without a user";
        let uri: hyper::Uri = text.parse().map_err(|_| right.to_owned())?;
        let is_known = matches!(uri.scheme_str(), Some("https" | "http"));
        let has_user = uri.authority().is_none_or(|authority| authority.as_str().contains('@'));
        match is_known && !has_user {
            true => Ok(Url(uri)),
            false => Err(right.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_host_port_and_path_and_holds_no_password() {
        let read = |text| Url::read(text).unwrap();
        let url = read("https://[::1]:8443/a/b.json?x=1");
        assert_eq!((url.host(), url.port(), url.target()), ("::1", 8443, "/a/b.json?x=1"));
        assert_eq!((read("https://h").port(), read("http://h/").port()), (443, 80));
        assert_eq!(read("https://h").target(), "/");
        for bad in ["", "h/d.json", "ftp://h/", "https://user:secret@h/", "https:///d.json"] {
            assert!(Url::read(bad).is_err(), "{bad}");
        }
    }
}
