//! CC and BCC headers: the routing keys they add, and headers without BCC.

use model::Value;

/// The keys in header `name`; elements that are no strings are ignored, as in RabbitMQ. The error is the name of
/// the header's type when it is no array.
pub(crate) fn routing_keys(headers: &[u8], name: &str) -> Result<Vec<Vec<u8>>, &'static str> {
    if !wire::raw_entries(headers).any(|(key, _)| key == name.as_bytes()) {
        return Ok(Vec::new());
    }
    let table = wire::decode_table(headers).unwrap_or_default();
    match table.get(name) {
        Some(Value::Array(values)) => Ok(values.iter().filter_map(octets).collect()),
        Some(other) => Err(other.type_name()),
        None => Ok(Vec::new()),
    }
}

fn octets(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::LongStr(octets) => Some(octets.clone()),
        _ => None,
    }
}

/// The headers without `name`, all else untouched; `None` if it is not among them.
pub(crate) fn without_header(headers: &[u8], name: &str) -> Option<Vec<u8>> {
    if !wire::raw_entries(headers).any(|(key, _)| key == name.as_bytes()) {
        return None;
    }
    let mut out = Vec::with_capacity(headers.len());
    for (key, value) in wire::raw_entries(headers).filter(|(key, _)| *key != name.as_bytes()) {
        // A key that came in as a short string fits one.
        let _ = wire::encode_raw_entry(key, value, &mut out);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Table;

    fn headers(pairs: &[(&str, Value)]) -> Vec<u8> {
        let table = Table(pairs.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect());
        let mut out = Vec::new();
        wire::encode_table(&table, &mut out).unwrap();
        out
    }

    #[test]
    fn strings_of_the_array_are_keys_and_other_elements_are_ignored() {
        let raw = headers(&[("CC", Value::Array(vec!["a".into(), Value::I32(1), "b".into()]))]);
        assert_eq!(routing_keys(&raw, "CC"), Ok(vec![b"a".to_vec(), b"b".to_vec()]));
        assert_eq!(routing_keys(&raw, "BCC"), Ok(vec![]));
        assert_eq!(routing_keys(&headers(&[("CC", "a".into())]), "CC"), Err("longstr"));
    }

    #[test]
    fn bcc_is_removed_and_the_rest_keeps_its_octets() {
        let raw = headers(&[("a", Value::I8(1)), ("BCC", Value::Array(vec![])), ("z", Value::Void)]);
        let expected = headers(&[("a", Value::I8(1)), ("z", Value::Void)]);
        assert_eq!(without_header(&raw, "BCC"), Some(expected));
        assert_eq!(without_header(&raw, "CC"), None);
    }
}
