//! Rules about functions, read from the syntax tree: how long one may be, and how a test is named. Text would be
//! fooled by strings and comments; a file that does not parse is a finding, since the compiler will say so too.

use proc_macro2::Span;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Attribute, ImplItemFn, ItemFn, Signature, TraitItemFn};

use crate::source::{Finding, Source};

/// The most lines from `fn` to the closing brace.
const LINES_MAX: usize = 70;

/// Functions longer than [`LINES_MAX`].
pub fn long_functions(source: &Source) -> Vec<Finding> {
    let long = functions(source, "function-length", |function| {
        let lines = function.last - function.first + 1;
        (lines > LINES_MAX).then(|| {
            format!(
                "'{}' has {lines} lines, at most {LINES_MAX}: give its steps names",
                function.name
            )
        })
    });
    long.unwrap_or_else(|unparsed| vec![unparsed])
}

/// Tests that say `test_` instead of what they prove.
pub fn shy_test_names(source: &Source) -> Vec<Finding> {
    let shy = functions(source, "test-name", |function| {
        (function.is_test && function.name.starts_with("test_")).then(|| {
            format!(
                "'{}': a test's name is a sentence about behaviour, without 'test_'",
                function.name
            )
        })
    });
    shy.unwrap_or_default() // what does not parse was reported by `long_functions`
}

struct Function {
    name: String,
    first: usize,
    last: usize,
    is_test: bool,
}

fn functions(
    source: &Source,
    rule: &'static str,
    judge: impl Fn(&Function) -> Option<String>,
) -> Result<Vec<Finding>, Finding> {
    let at = |line, reason| Finding {
        file: source.path.clone(),
        line,
        rule,
        reason,
    };
    let tree = syn::parse_file(&source.text)
        .map_err(|error| at(error.span().start().line, format!("does not parse: {error}")))?;
    let mut all = Collector(Vec::new());
    all.visit_file(&tree);
    Ok(all
        .0
        .iter()
        .filter_map(|function| judge(function).map(|reason| at(function.first, reason)))
        .collect())
}

struct Collector(Vec<Function>);

impl Collector {
    fn note(&mut self, attributes: &[Attribute], signature: &Signature, body: Span) {
        let is_test = attributes.iter().any(|attribute| {
            attribute
                .path()
                .segments
                .last()
                .is_some_and(|last| last.ident == "test")
        });
        let (first, last) = (signature.span().start().line, body.end().line);
        self.0.push(Function {
            name: signature.ident.to_string(),
            first,
            last,
            is_test,
        });
    }
}

impl<'ast> Visit<'ast> for Collector {
    fn visit_item_fn(&mut self, function: &'ast ItemFn) {
        self.note(&function.attrs, &function.sig, function.block.span());
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast ImplItemFn) {
        self.note(&function.attrs, &function.sig, function.block.span());
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast TraitItemFn) {
        if let Some(block) = &function.default {
            self.note(&function.attrs, &function.sig, block.span());
        }
        visit::visit_trait_item_fn(self, function);
    }
}
