//! Prometheus' text format: families of series, each with help and type once, values as they are.

use std::fmt::{Display, Write};

/// What a family's numbers do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// They only grow.
    Counter,
    /// They come and go.
    Gauge,
}

/// Names and values that tell series of a family apart.
pub type Labels<'a> = &'a [(&'a str, &'a str)];

/// A page of metrics as it grows.
#[derive(Debug, Default)]
pub struct Page(String);

impl Page {
    /// Begins a family; its series follow.
    pub fn family(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        // Writing to a String cannot fail.
        let _ = write!(self.0, "# TYPE {name} {kind}\n# HELP {name} {help}\n");
    }

    /// One series of the family that was begun last.
    pub fn series(&mut self, name: &str, labels: Labels<'_>, value: impl Display) {
        self.0.push_str(name);
        for (place, (label, text)) in labels.iter().enumerate() {
            let before = if place == 0 { '{' } else { ',' };
            // Writing to a String cannot fail.
            let _ = write!(self.0, "{before}{label}=\"{}\"", escaped(text));
        }
        let after = if labels.is_empty() { "" } else { "}" };
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "{after} {value}");
    }

    /// A family of one series.
    pub fn one(&mut self, name: &str, kind: Kind, help: &str, labels: Labels<'_>, value: impl Display) {
        self.family(name, kind, help);
        self.series(name, labels, value);
    }

    /// The page.
    pub fn finish(self) -> String {
        self.0
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
}
