//! How many instructions a child takes, and where, as callgrind counts them.
//!
//! Unlike times they are the same on a busy machine; unlike times they know nothing of caches.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::{env, fs, process};

use sc_bench::subjects::{Subject, Threads};
use sc_bench::{Note, Row, Unit};

use crate::alone::{self, READY, SUSPENDED};

pub(crate) const PER_CHILD: &str = "instructions per child";
pub(crate) const BY_OWNER: &str = "instructions by owner";
pub(crate) const BY_FUNCTION: &str = "instructions by function";

/// What happens once is lost in the difference of two.
const FEW: u32 = 1_000;
const MANY: u32 = 11_000;

/// Whose instructions are looked at more closely.
const CLOSELY: [Subject; 4] = [Subject::Awaited, Subject::Dropped, Subject::Bare, Subject::JoinSet];
/// Functions that are told by name.
const TOLD: usize = 12;
/// Letters of such a name.
const LONGEST: usize = 80;

/// What is measured here, or a note that says why nothing is.
pub(crate) fn rows() -> Result<(Vec<Row>, Vec<Note>), String> {
    let mut valgrind = Command::new("valgrind");
    if !valgrind.arg("--version").stdout(Stdio::null()).status().is_ok_and(|status| status.success()) {
        let text = "callgrind: skipped, since there is no `valgrind`".to_owned();
        return Ok((Vec::new(), vec![Note { about: PER_CHILD.to_owned(), text }]));
    }
    let mut rows = Vec::new();
    for kind in [READY, SUSPENDED] {
        for subject in Subject::ALL.into_iter().filter(|subject| subject.unable(MANY, Threads::One).is_none()) {
            let functions = per_child(kind, subject)?;
            let sum = functions.values().sum();
            rows.push(Row::exact(PER_CHILD, subject.name(), "", sum, Unit::Instructions).kind(kind));
            if CLOSELY.contains(&subject) {
                rows.extend(by_owner(&functions, subject).map(|row| row.kind(kind)));
            }
            if subject == Subject::Awaited {
                rows.extend(by_function(&functions).map(|row| row.kind(kind)));
            }
        }
    }
    rows.sort_by_key(|row| [PER_CHILD, BY_OWNER, BY_FUNCTION].iter().position(|measure| *measure == row.measure));
    Ok((rows, Vec::new()))
}

type Functions = BTreeMap<String, f64>;

/// Every function's own instructions for one child.
fn per_child(kind: &str, subject: Subject) -> Result<Functions, String> {
    let (few, mut many) = (counted(kind, subject, FEW)?, counted(kind, subject, MANY)?);
    for (function, instructions) in few {
        *many.entry(function).or_default() -= instructions;
    }
    for instructions in many.values_mut() {
        *instructions /= f64::from(MANY - FEW);
    }
    Ok(many)
}

fn counted(kind: &str, subject: Subject, count: u32) -> Result<Functions, String> {
    let file = env::temp_dir().join(format!("sc-bench-callgrind-{}", process::id()));
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--compress-strings=no"]);
    command.arg(format!("--callgrind-out-file={}", file.display())).arg(alone::own()?);
    alone::itself(&mut command, kind, subject, count)?;
    let text = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()));
    // Left behind in a directory for such files, if it cannot be removed.
    let _ = fs::remove_file(&file);
    Ok(functions(&text?))
}

/// The own costs of every function, from callgrind's file.
fn functions(text: &str) -> Functions {
    let mut functions = Functions::new();
    let mut function = "";
    let mut called = false;
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("fn=") {
            function = name;
        } else if line.starts_with("calls=") {
            called = true;
        } else if line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first)) {
            let cost = line.split(' ').nth(1).and_then(|cost| cost.parse::<f64>().ok());
            // The line after a call is what the callee took.
            if let (Some(cost), false) = (cost, called) {
                *functions.entry(function.to_owned()).or_default() += cost;
            }
            called = false;
        }
    }
    functions
}

fn by_owner(functions: &Functions, subject: Subject) -> impl Iterator<Item = Row> {
    OWNERS.into_iter().map(move |wanted| {
        let own = functions.iter().filter(|(name, _)| owner(name) == wanted);
        let sum = own.map(|(_, instructions)| instructions).sum();
        Row::exact(BY_OWNER, format!("{}, in {wanted}", subject.name()), "", sum, Unit::Instructions)
    })
}

/// The most expensive ones of this workspace.
fn by_function(functions: &Functions) -> impl Iterator<Item = Row> {
    let mut ours: Vec<_> = functions.iter().filter(|(name, _)| owner(name) == WORKSPACE).collect();
    ours.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    let row = |(name, instructions): (&String, &f64)| {
        Row::exact(BY_FUNCTION, format!("`{}`", shortened(name)), "", *instructions, Unit::Instructions)
    };
    ours.into_iter().take(TOLD).map(row)
}

/// Without what every reader knows, and not longer than a line.
fn shortened(function: &str) -> String {
    let short = function.replace("core::future::future::Future", "Future").replace("core::ptr::", "");
    match short.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}..", &short[..end]),
        None => short,
    }
}

const WORKSPACE: &str = "sc-tokio, sc-core";
const TOKIO: &str = "Tokio";
const ALLOCATOR: &str = "the allocator";
const OTHERS: &str = "others";
const OWNERS: [&str; 4] = [WORKSPACE, TOKIO, ALLOCATOR, OTHERS];

fn owner(function: &str) -> &'static str {
    let allocates = ["_int_", "malloc", "free", "memalign", "realloc", "calloc", "unlink_chunk", "arena_get"];
    // The glue that drops a task of Tokio's with a child of ours inside is Tokio's: who is named first.
    let ours = ["sc_tokio", "sc_core"].iter().filter_map(|name| function.find(name)).min();
    let tokios = function.find("tokio");
    if ours.is_some_and(|ours| tokios.is_none_or(|tokios| ours < tokios)) {
        WORKSPACE
    } else if tokios.is_some() {
        TOKIO
    } else if !function.contains("::") && allocates.iter().any(|name| function.contains(name)) {
        ALLOCATOR
    } else {
        OTHERS
    }
}

#[cfg(test)]
mod tests {
    use super::{ALLOCATOR, OTHERS, TOKIO, WORKSPACE, functions, owner};

    #[test]
    fn a_functions_own_cost_is_without_what_it_calls() {
        let text =
            "events: Ir\nfn=one\n10 3\n+1 4\ncfn=two\ncalls=2 30\n11 900\n12 5\n\nfn=two\n30 900\nfn=one\n14 1\n";
        let costs = functions(text);
        assert_eq!((costs["one"].to_bits(), costs["two"].to_bits()), (13_f64.to_bits(), 900_f64.to_bits()));
    }

    #[test]
    fn every_function_has_an_owner() {
        assert_eq!(owner("<sc_tokio::child::Child<T,E> as core::future::future::Future>::poll"), WORKSPACE);
        assert_eq!(owner("tokio::runtime::task::core::Core<T,S>::set_stage"), TOKIO);
        assert_eq!(
            owner("drop_in_place<Box<tokio::runtime::task::core::Cell<sc_tokio::child::task::ChildTask>>>"),
            TOKIO
        );
        assert_eq!(owner("_mid_memalign.constprop.0"), ALLOCATOR);
        assert_eq!(owner("__memcpy_avx_unaligned_erms"), OTHERS);
        assert_eq!(owner("core::ptr::drop_in_place<alloc::freeze>"), OTHERS);
    }
}
