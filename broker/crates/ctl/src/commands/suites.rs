//! Names of cipher suites: the IANA's as the node tells them, OpenSSL's, and Erlang's tuples and maps.
//!
//! Nothing but names is worked out here, by the rules that all suites with authenticated encryption follow.

use crate::command::Output;
use crate::format;
use crate::options::Options;
use erlang::Printed;
use link::Term;

/// The format unless another is asked for.
pub(super) const DEFAULT: &str = "openssl";

/// What is said before the list; nothing for a format that there is not.
pub(super) fn banner(options: &Options) -> Option<&'static str> {
    match options.text("format").unwrap_or(DEFAULT) {
        "openssl" => Some("Listing available cipher suites in OpenSSL format"),
        "erlang" => Some("Listing available cipher suites in Erlang term format"),
        "map" => Some("Listing available cipher suites in map format"),
        _ => None,
    }
}

/// What a suite is made of, in Erlang's words.
struct Suite {
    exchange: String,
    cipher: String,
    hash: String,
}

impl Suite {
    /// `TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256`; suites of version 1.3 name no key exchange.
    fn of(iana: &str) -> Option<Self> {
        let name = iana.strip_prefix("TLS_")?;
        let (exchange, rest) = name.split_once("_WITH_").unwrap_or(("any", name));
        let (cipher, hash) = rest.rsplit_once('_')?;
        Some(Suite {
            exchange: exchange.to_lowercase(),
            cipher: cipher.to_lowercase(),
            hash: hash.to_lowercase(),
        })
    }

    fn tuple(&self) -> String {
        format!("{{{},{},aead,{}}}", self.exchange, self.cipher, self.hash)
    }

    fn fields(&self) -> [(&'static str, &str); 4] {
        [
            ("cipher", &self.cipher),
            ("key_exchange", &self.exchange),
            ("mac", "aead"),
            ("prf", &self.hash),
        ]
    }

    fn map(&self) -> String {
        let fields = self.fields().map(|(key, value)| format!("{key} => {value}"));
        format!("#{{{}}}", fields.join(","))
    }

    fn term(&self) -> Term {
        Term::Map(
            self.fields()
                .map(|(key, value)| (key.to_owned(), Term::atom(value)))
                .into(),
        )
    }
}

/// OpenSSL keeps the names of version 1.3; of older ones it drops `TLS`, `WITH`, and what goes without saying.
fn openssl(iana: &str) -> String {
    let Some((exchange, cipher)) = iana.strip_prefix("TLS_").and_then(|name| name.split_once("_WITH_")) else {
        return iana.to_owned();
    };
    let cipher = cipher.replace("AES_", "AES").replace("POLY1305_SHA256", "POLY1305");
    format!("{exchange}-{cipher}").replace('_', "-")
}

/// The list of suites in a format that `banner` knows.
pub(super) fn shown(iana: &[Term], shape: &str) -> Output {
    let names: Vec<String> = iana.iter().map(format::text).collect();
    let suites = || names.iter().filter_map(|name| Suite::of(name));
    let lines = |lines: Vec<String>| (format!("[\n{}\n]", lines.join("\n,")), words(&lines));
    let (text, json) = match shape {
        "erlang" => lines(suites().map(|suite| suite.tuple()).collect()),
        "map" => {
            let (text, _) = lines(suites().map(|suite| suite.map()).collect());
            (text, Term::List(suites().map(|suite| suite.term()).collect()))
        }
        _ => {
            let names: Vec<String> = names.iter().map(|name| openssl(name)).collect();
            let characters = names.iter().map(|name| Printed::characters(name)).collect();
            return Output::Formats {
                text: names.join("\n"),
                json: words(&names),
                erlang: Printed::List(characters).pretty(),
            };
        }
    };
    Output::Both(text, json)
}

fn words(names: &[String]) -> Term {
    Term::List(names.iter().map(Term::text).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suites_have_the_names_that_openssl_and_erlang_give_them() {
        for (iana, in_openssl, tuple) in [
            (
                "TLS_AES_256_GCM_SHA384",
                "TLS_AES_256_GCM_SHA384",
                "{any,aes_256_gcm,aead,sha384}",
            ),
            (
                "TLS_CHACHA20_POLY1305_SHA256",
                "TLS_CHACHA20_POLY1305_SHA256",
                "{any,chacha20_poly1305,aead,sha256}",
            ),
            (
                "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
                "ECDHE-ECDSA-AES256-GCM-SHA384",
                "{ecdhe_ecdsa,aes_256_gcm,aead,sha384}",
            ),
            (
                "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
                "ECDHE-RSA-CHACHA20-POLY1305",
                "{ecdhe_rsa,chacha20_poly1305,aead,sha256}",
            ),
        ] {
            let suite = Suite::of(iana).map(|suite| suite.tuple());
            assert_eq!((openssl(iana).as_str(), suite.as_deref()), (in_openssl, Some(tuple)));
        }
    }
}
