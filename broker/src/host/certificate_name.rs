//! The user that a client's certificate names: by its subject, by the common names in it, or by an alternative name.
//!
//! Reads one certificate that TLS has verified already. What is no text names nobody: a name is never guessed.

use std::net::IpAddr;
use x509_parser::{
    asn1_rs::{Any, FromDer, Tag},
    certificate::X509Certificate,
    extensions::GeneralName,
    x509::{AttributeTypeAndValue, RelativeDistinguishedName, X509Name},
};

use crate::config::{CertificateName, SanType};

/// Short names of subject attributes as RabbitMQ prints them; others are printed as their numbers.
const ATTRIBUTES: [(&str, &str); 17] = [
    ("2.5.4.4", "SN"),
    ("2.5.4.42", "GIVENNAME"),
    ("2.5.4.43", "INITIALS"),
    ("2.5.4.44", "GENERATIONQUALIFIER"),
    ("2.5.4.3", COMMON_NAME),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.12", "TITLE"),
    ("2.5.4.6", "C"),
    ("2.5.4.5", "SERIALNUMBER"),
    ("2.5.4.65", "PSEUDONYM"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("1.2.840.113549.1.9.1", "EMAILADDRESS"),
    ("2.5.4.9", "STREET"),
    ("0.9.2342.19200300.100.1.1", "UID"),
];
const COMMON_NAME: &str = "CN";

/// Which part of a certificate names the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The part.
    pub part: CertificateName,
    /// Of alternative names: which type.
    pub san_type: SanType,
    /// Of those: which one, from 0.
    pub san_index: u32,
}

/// The user named by a certificate (DER), if there is one.
pub fn user(certificate: &[u8], rule: Rule) -> Option<String> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let name = match rule.part {
        CertificateName::DistinguishedName => distinguished_name(certificate.subject()),
        CertificateName::CommonName => common_names(certificate.subject()),
        CertificateName::SubjectAlternativeName => alternative_name(&certificate, rule),
    };
    name.filter(|name| !name.is_empty())
}

/// As in RFC 4514: the last part first.
pub(super) fn distinguished_name(name: &X509Name<'_>) -> Option<String> {
    let mut parts = name.iter().map(relative_name).collect::<Option<Vec<_>>>()?;
    parts.reverse();
    Some(parts.join(","))
}

fn relative_name(part: &RelativeDistinguishedName<'_>) -> Option<String> {
    let attribute = |one| Some(format!("{}={}", attribute_name(one), escaped(&text(one.attr_value())?)));
    Some(part.iter().map(attribute).collect::<Option<Vec<_>>>()?.join("+"))
}

fn attribute_name(attribute: &AttributeTypeAndValue<'_>) -> String {
    let id = attribute.attr_type().to_id_string();
    let known = ATTRIBUTES.iter().find(|(known, _)| *known == id);
    known.map_or(id, |(_, name)| (*name).to_owned())
}

fn common_names(name: &X509Name<'_>) -> Option<String> {
    let all = name.iter_attributes().filter(|one| attribute_name(one) == COMMON_NAME);
    Some(
        all.map(|one| text(one.attr_value()))
            .collect::<Option<Vec<_>>>()?
            .join(","),
    )
}

fn alternative_name(certificate: &X509Certificate<'_>, rule: Rule) -> Option<String> {
    let names = &certificate.subject_alternative_name().ok()??.value.general_names;
    let mut of_type = names.iter().filter_map(|name| match (name, rule.san_type) {
        (GeneralName::DNSName(text), SanType::Dns)
        | (GeneralName::RFC822Name(text), SanType::Email)
        | (GeneralName::URI(text), SanType::Uri) => Some(Some((*text).to_owned())),
        (GeneralName::IPAddress(octets), SanType::Ip) => Some(ip(octets)),
        (GeneralName::OtherName(_, value), SanType::OtherName) => Some(other_name(value)),
        _ => None,
    });
    of_type.nth(rule.san_index as usize).flatten()
}

fn ip(octets: &[u8]) -> Option<String> {
    let v4 = <[u8; 4]>::try_from(octets).map(IpAddr::from);
    let address = v4.or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from));
    Some(address.ok()?.to_string())
}

/// The value of an other name is text within an explicit tag.
fn other_name(value: &[u8]) -> Option<String> {
    let (_, tagged) = Any::from_der(value).ok()?;
    let (_, inner) = Any::from_der(tagged.data).ok()?;
    text(&inner)
}

fn text(value: &Any<'_>) -> Option<String> {
    let octets = value.data;
    match value.tag() {
        Tag::Utf8String | Tag::PrintableString | Tag::Ia5String | Tag::NumericString => {
            String::from_utf8(octets.to_vec()).ok()
        }
        // Latin 1 is what certificates really hold there.
        Tag::TeletexString => Some(octets.iter().map(|octet| char::from(*octet)).collect()),
        Tag::BmpString => {
            let (pairs, rest) = octets.as_chunks::<2>();
            let units = pairs.iter().map(|pair| u16::from_be_bytes(*pair));
            let text: Result<String, _> = char::decode_utf16(units).collect();
            text.ok().filter(|_| rest.is_empty())
        }
        Tag::UniversalString => {
            let (fours, rest) = octets.as_chunks::<4>();
            let text: Option<String> = fours
                .iter()
                .map(|four| char::from_u32(u32::from_be_bytes(*four)))
                .collect();
            text.filter(|_| rest.is_empty())
        }
        _ => None,
    }
}

/// Escapes as in RFC 4514, and as RabbitMQ does whatever is not printable ASCII, octet by octet.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (at, octet) in text.bytes().enumerate() {
        let is_first = at == 0;
        let is_last = at + 1 == text.len();
        match octet {
            b'#' if is_first => out.push_str("\\#"),
            b' ' if is_first || is_last => out.push_str("\\ "),
            b'"' | b'+' | b',' | b';' | b'<' | b'>' | b'\\' => out.extend(['\\', char::from(octet)]),
            0..32 | 126.. => out.push_str(&format!("\\{octet:02X}")),
            _ => out.push(char::from(octet)),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DistinguishedName, DnType, DnValue, KeyPair, SanType as San};

    fn certificate(subject: &[(DnType, DnValue)], alternatives: Vec<San>) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        for (kind, value) in subject {
            params.distinguished_name.push(kind.clone(), value.clone());
        }
        params.subject_alt_names = alternatives;
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    fn utf8(text: &str) -> DnValue {
        DnValue::Utf8String(text.to_owned())
    }

    fn rule(part: CertificateName, san_type: SanType, san_index: u32) -> Rule {
        Rule {
            part,
            san_type,
            san_index,
        }
    }

    fn by(part: CertificateName) -> Rule {
        rule(part, SanType::Dns, 0)
    }

    #[test]
    fn a_subject_is_printed_last_part_first_with_rabbitmqs_names_and_escapes() {
        let subject = [
            (DnType::CountryName, DnValue::PrintableString("DE".try_into().unwrap())),
            (DnType::OrganizationName, utf8("Müller, Söhne")),
            (DnType::CustomDnType(vec![1, 2, 3, 4]), utf8("x")),
            (DnType::CommonName, utf8("#bob ~<o> ")),
        ];
        let expected = r"CN=\#bob \7E\<o\>\ ,1.2.3.4=x,O=M\C3\BCller\, S\C3\B6hne,C=DE";
        let der = certificate(&subject, vec![]);
        assert_eq!(
            user(&der, by(CertificateName::DistinguishedName)).as_deref(),
            Some(expected)
        );
    }

    #[test]
    fn the_common_name_is_taken_as_it_is() {
        let wide = DnValue::BmpString("bób,x".try_into().unwrap());
        let der = certificate(
            &[(DnType::OrganizationName, utf8("o")), (DnType::CommonName, wide)],
            vec![],
        );
        assert_eq!(user(&der, by(CertificateName::CommonName)).as_deref(), Some("bób,x"));
        let without = certificate(&[(DnType::OrganizationName, utf8("o"))], vec![]);
        assert_eq!(user(&without, by(CertificateName::CommonName)), None);
    }

    #[test]
    fn an_alternative_name_is_found_by_type_and_place() {
        let upn = (vec![1, 3, 6, 1, 4, 1, 311, 20, 2, 3], "bob@corp".to_owned().into());
        let der = certificate(
            &[(DnType::CommonName, utf8("bob"))],
            vec![
                San::DnsName("a.example".try_into().unwrap()),
                San::Rfc822Name("bob@example".try_into().unwrap()),
                San::DnsName("b.example".try_into().unwrap()),
                San::IpAddress([127, 0, 0, 1].into()),
                San::URI("spiffe://x/bob".try_into().unwrap()),
                San::OtherName(upn),
            ],
        );
        for (san_type, index, expected) in [
            (SanType::Dns, 0, Some("a.example")),
            (SanType::Dns, 1, Some("b.example")),
            (SanType::Dns, 2, None),
            (SanType::Email, 0, Some("bob@example")),
            (SanType::Ip, 0, Some("127.0.0.1")),
            (SanType::Uri, 0, Some("spiffe://x/bob")),
            (SanType::OtherName, 0, Some("bob@corp")),
        ] {
            let rule = rule(CertificateName::SubjectAlternativeName, san_type, index);
            assert_eq!(user(&der, rule).as_deref(), expected, "{rule:?}");
        }
        assert_eq!(user(b"no certificate", by(CertificateName::DistinguishedName)), None);
    }
}
