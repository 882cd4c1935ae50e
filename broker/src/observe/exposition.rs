//! Prometheus' text format: families of series, each with help and type once, values as they are.

use std::{
    collections::BTreeSet,
    fmt::{Display, Write},
};

/// What a family's numbers do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// They only grow.
    Counter,
    /// They come and go.
    Gauge,
    /// RabbitMQ says nothing of them: alarms and names.
    Untyped,
    /// A count of things and the sum of their sizes.
    Summary,
}

/// Names and values that tell series of a family apart.
pub type Labels<'a> = &'a [(&'a str, &'a str)];

/// A page of metrics as it grows. A family is on it once: one that is begun again is left out with its series.
#[derive(Debug, Default)]
pub struct Page {
    text: String,
    prefix: &'static str,
    families: BTreeSet<String>,
    is_repeated: bool,
}

impl Page {
    /// An empty page on which all names begin with `prefix`.
    pub fn under(prefix: &'static str) -> Self {
        Page {
            prefix,
            ..Page::default()
        }
    }

    /// Names begin with this from now on.
    pub fn go_under(&mut self, prefix: &'static str) {
        self.prefix = prefix;
    }

    /// Begins a family; its series follow.
    pub fn family(&mut self, name: &str, kind: Kind, help: &str) {
        let name = format!("{}{name}", self.prefix);
        self.is_repeated = !self.families.insert(name.clone());
        if self.is_repeated {
            return;
        }
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Untyped => "untyped",
            Kind::Summary => "summary",
        };
        // Writing to a String cannot fail.
        let _ = write!(self.text, "# TYPE {name} {kind}\n# HELP {name} {help}\n");
    }

    /// One series of the family that was begun last.
    pub fn series(&mut self, name: &str, labels: Labels<'_>, value: impl Display) {
        if self.is_repeated {
            return;
        }
        self.text.push_str(self.prefix);
        self.text.push_str(name);
        for (place, (label, text)) in labels.iter().enumerate() {
            let before = if place == 0 { '{' } else { ',' };
            // Writing to a String cannot fail.
            let _ = write!(self.text, "{before}{label}=\"{}\"", escaped(text));
        }
        let after = if labels.is_empty() { "" } else { "}" };
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "{after} {value}");
    }

    /// A family of one series.
    pub fn one(&mut self, name: &str, kind: Kind, help: &str, labels: Labels<'_>, value: impl Display) {
        self.family(name, kind, help);
        self.series(name, labels, value);
    }

    /// The page.
    pub fn finish(self) -> String {
        self.text
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_described_once_and_labels_are_escaped() {
        let mut page = Page::default();
        page.family("a_total", Kind::Counter, "Things");
        page.series("a_total", &[("q", "x\"\\\n"), ("v", "/")], 1);
        page.series("a_total", &[], 2);
        page.one("b", Kind::Gauge, "Other", &[], 0.5);
        let expected = "# TYPE a_total counter\n# HELP a_total Things\na_total{q=\"x\\\"\\\\\\n\",v=\"/\"} 1\na_total 2\n\
                        # TYPE b gauge\n# HELP b Other\nb 0.5\n";
        assert_eq!(page.finish(), expected);
    }

    #[test]
    fn a_family_that_is_begun_again_is_left_out() {
        let mut page = Page::under("p_");
        page.one("a", Kind::Gauge, "Things", &[], 1);
        page.one("a", Kind::Gauge, "Things", &[], 1);
        page.go_under("q_");
        page.one("a", Kind::Gauge, "Things", &[], 2);
        let expected = "# TYPE p_a gauge\n# HELP p_a Things\np_a 1\n# TYPE q_a gauge\n# HELP q_a Things\nq_a 2\n";
        assert_eq!(page.finish(), expected);
    }
}
