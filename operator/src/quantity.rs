//! The value of a Kubernetes quantity ("500m", "1Gi", "2e3"), only to compare two of them. What is written to the API server is
//! always the user's own text.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

const SUFFIXES: [(&str, f64); 15] = [
    ("Ki", 1024.0),
    ("Mi", 1_048_576.0),
    ("Gi", 1_073_741_824.0),
    ("Ti", 1_099_511_627_776.0),
    ("Pi", 1_125_899_906_842_624.0),
    ("Ei", 1_152_921_504_606_846_976.0),
    ("n", 1e-9),
    ("u", 1e-6),
    ("m", 1e-3),
    ("k", 1e3),
    ("M", 1e6),
    ("G", 1e9),
    ("T", 1e12),
    ("P", 1e15),
    ("E", 1e18),
];

/// The number that the quantity stands for, if it is one.
pub(crate) fn value(quantity: &Quantity) -> Option<f64> {
    let text = quantity.0.trim();
    let suffix = SUFFIXES.iter().find(|(suffix, _)| text.ends_with(suffix));
    let (number, factor) = match suffix {
        Some((suffix, factor)) => (&text[..text.len() - suffix.len()], *factor),
        None => (text, 1.0),
    };
    let digits = number.trim_start_matches(['+', '-']);
    if !digits.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        return None; // f64 would take "inf" and "nan"
    }
    number.parse::<f64>().ok().map(|number| number * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_compare_by_what_they_stand_for() {
        let cases = [
            ("1Gi", 1_073_741_824.0),
            ("500m", 0.5),
            ("2e3", 2000.0),
            ("0", 0.0),
            ("1.5k", 1500.0),
            ("-1", -1.0),
            ("3E", 3e18),
        ];
        for (text, expected) in cases {
            assert_eq!(value(&Quantity(text.into())), Some(expected), "{text}");
        }
        for text in ["", "Gi", "ten", "1 Gi", "inf", "nan", "1KiB"] {
            assert_eq!(value(&Quantity(text.into())), None, "{text}");
        }
    }
}
