//! The format of the configuration file: sections in brackets, `key = value` or `key: value`, lines that go on indented,
//! comments on lines of their own, and `%(key)s` for another value of the section, so that a percent sign is written twice.

use std::collections::BTreeMap;

/// Keys in lower case, and their values.
pub(crate) type Section = BTreeMap<String, String>;

/// All sections.
///
/// # Errors
/// A line that is none of the format's, with its number.
pub(crate) fn read(text: &str) -> Result<BTreeMap<String, Section>, String> {
    let mut sections: BTreeMap<String, Section> = BTreeMap::new();
    let (mut section, mut key) = (None::<String>, None::<String>);
    for (at, line) in text.lines().enumerate() {
        let bare = line.trim();
        if bare.is_empty() || bare.starts_with(['#', ';']) {
            continue;
        }
        let place = || format!("line {}: '{bare}'", at + 1);
        let goes_on = line.starts_with([' ', '\t']);
        if let (true, Some(name), Some(key)) = (goes_on, &section, &key) {
            let value = sections
                .entry(name.clone())
                .or_default()
                .entry(key.clone())
                .or_default();
            *value = format!("{value}\n{bare}");
        } else if let Some(name) = bare.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            sections.entry(name.0.to_owned()).or_default();
            (section, key) = (Some(name.0.to_owned()), None);
        } else {
            let name = section
                .clone()
                .ok_or_else(|| format!("no section before {}", place()))?;
            let (word, value) = bare.split_once(['=', ':']).ok_or_else(place)?;
            let word = word.trim().to_lowercase();
            sections
                .entry(name)
                .or_default()
                .insert(word.clone(), value.trim().to_owned());
            key = Some(word);
        }
    }
    Ok(sections)
}

/// A value with what it names of its section put in.
///
/// # Errors
/// A percent sign that stands for nothing, or a key that is not there or leads back to itself.
pub(crate) fn filled(value: &str, section: &Section) -> Result<String, String> {
    put_in(value, section, 10)
}

fn put_in(value: &str, section: &Section, depth: usize) -> Result<String, String> {
    let (mut out, mut rest) = (String::new(), value);
    while let Some((before, after)) = rest.split_once('%') {
        out += before;
        if let Some(after) = after.strip_prefix('%') {
            out.push('%');
            rest = after;
            continue;
        }
        let name = after.strip_prefix('(').and_then(|after| after.split_once(")s"));
        let (name, after) = name.ok_or("a percent sign is written twice")?;
        let value = section.get(&name.to_lowercase()).filter(|_| depth > 0);
        out += &put_in(
            value.ok_or_else(|| format!("%({name})s has no value"))?,
            section,
            depth - 1,
        )?;
        rest = after;
    }
    Ok(out + rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_hold_keys_and_values_that_name_each_other() {
        let text = "# a\n[one]\nHostname = a.b\nport: 1\n; c\n[two]\nlong = x\n  y\np = 5%%%(long)s\n";
        let sections = read(text).unwrap();
        assert_eq!(sections["one"]["hostname"], "a.b");
        assert_eq!(sections["one"]["port"], "1");
        assert_eq!(sections["two"]["long"], "x\ny");
        assert_eq!(filled(&sections["two"]["p"], &sections["two"]).unwrap(), "5%x\ny");
    }

    #[test]
    fn what_is_no_line_of_the_format_is_refused() {
        assert_eq!(read("a = b").unwrap_err(), "no section before line 1: 'a = b'");
        assert_eq!(read("[a]\nfrob").unwrap_err(), "line 2: 'frob'");
        let section = Section::from([("a".to_owned(), "%(a)s".to_owned())]);
        assert_eq!(filled("%(a)s", &section).unwrap_err(), "%(a)s has no value");
        assert_eq!(filled("1%", &section).unwrap_err(), "a percent sign is written twice");
    }
}
