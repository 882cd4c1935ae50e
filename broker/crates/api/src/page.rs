//! A part of a long list, as the parameters `page` and `page_size` ask for it.
//! Without them a list is a plain array, which needs no shape.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One page of a list.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Page<T> {
    /// How many the filter left.
    pub filtered_count: usize,
    /// How many are on this page.
    pub item_count: usize,
    /// They.
    pub items: Vec<T>,
    /// Which page, from 1.
    pub page: usize,
    /// How many pages.
    pub page_count: usize,
    /// How many fit on a page.
    pub page_size: usize,
    /// How many there are without the filter.
    pub total_count: usize,
}
