//! Which image a cluster runs: the user's choice on top of the operator's default. Pure text; no registry is asked.

use std::fmt;
use std::str::FromStr;

use crate::crd::Image;

/// An image reference with a tag or a digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Registry and name.
    pub repository: String,
    /// Tag, if named.
    pub tag: Option<String>,
    /// Digest, if named; it wins over the tag.
    pub digest: Option<String>,
}

/// Why a text names no image.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' names no image: give registry/name:tag or registry/name@sha256:digest")]
pub struct NotAnImage(String);

impl FromStr for Reference {
    type Err = NotAnImage;

    fn from_str(text: &str) -> Result<Self, NotAnImage> {
        let refuse = || NotAnImage(text.to_owned());
        let (named, digest) = match text.split_once('@') {
            Some((named, digest)) => (named, Some(digest.to_owned())),
            None => (text, None),
        };
        let path = named.rfind('/').map_or(0, |slash| slash + 1); // a ':' before it is the registry's port
        let (repository, tag) = match named[path..].split_once(':') {
            Some((name, tag)) => (&named[..path + name.len()], Some(tag.to_owned())),
            None => (named, None),
        };
        let blank = |part: &str| part.is_empty() || part.contains(char::is_whitespace);
        let parts = [Some(repository), tag.as_deref(), digest.as_deref()];
        if parts.into_iter().flatten().any(blank) || tag.is_none() && digest.is_none() {
            return Err(refuse());
        }
        Ok(Self {
            repository: repository.to_owned(),
            tag,
            digest,
        })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl Reference {
    /// What the user chose, where they chose, else this default. A chosen repository or tag drops the default's digest,
    /// which belongs to another image.
    pub fn with(&self, chosen: &Image) -> Self {
        let named = chosen.repository.is_some() || chosen.tag.is_some() || chosen.digest.is_some();
        if !named {
            return self.clone();
        }
        let own_repository = chosen.repository.is_none();
        let keep_tag = own_repository && chosen.digest.is_none();
        Self {
            repository: chosen.repository.clone().unwrap_or_else(|| self.repository.clone()),
            tag: chosen.tag.clone().or_else(|| self.tag.clone().filter(|_| keep_tag)),
            digest: chosen.digest.clone(),
        }
    }

    /// What a column shows: the tag, else the start of the digest.
    pub fn version(&self) -> String {
        match (&self.tag, &self.digest) {
            (Some(tag), _) => tag.clone(),
            (None, Some(digest)) => digest.chars().take("sha256:".len() + 12).collect(),
            (None, None) => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn references_are_read_and_written_alike() {
        for text in [
            "localhost/warren:dev",
            "localhost:5000/a/warren:1.4.0",
            &format!("warren@{DIGEST}"),
            &format!("localhost:5000/warren:1.4.0@{DIGEST}"),
        ] {
            assert_eq!(text.parse::<Reference>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn an_image_without_tag_and_digest_is_refused() {
        for text in [
            "",
            "warren",
            "localhost:5000/warren",
            ":dev",
            "a b:dev",
            "warren:",
            "warren@",
        ] {
            assert!(text.parse::<Reference>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_users_choice_replaces_the_part_it_names() {
        let default: Reference = format!("registry/warren:1.0@{DIGEST}").parse().unwrap();
        let image = |repository: Option<&str>, tag: Option<&str>, digest: Option<&str>| Image {
            repository: repository.map(str::to_owned),
            tag: tag.map(str::to_owned),
            digest: digest.map(str::to_owned),
            ..Image::default()
        };
        let cases = [
            (image(None, None, None), default.to_string()),
            (image(None, Some("1.1"), None), "registry/warren:1.1".into()),
            (image(Some("other/warren"), Some("2"), None), "other/warren:2".into()),
            (image(None, None, Some("sha256:1")), "registry/warren@sha256:1".into()),
            (
                image(Some("other/warren"), Some("2"), Some("sha256:1")),
                "other/warren:2@sha256:1".into(),
            ),
        ];
        for (chosen, expected) in cases {
            assert_eq!(default.with(&chosen).to_string(), expected);
        }
    }

    #[test]
    fn the_version_is_the_tag_or_the_start_of_the_digest() {
        assert_eq!("a/b:1.4.0".parse::<Reference>().unwrap().version(), "1.4.0");
        assert_eq!(
            format!("a/b@{DIGEST}").parse::<Reference>().unwrap().version(),
            "sha256:0123456789ab"
        );
    }
}
