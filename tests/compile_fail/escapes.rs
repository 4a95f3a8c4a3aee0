//! `docs/DESIGN.md` claims that each way out is stopped, and names the proof: it has to exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A row of the table.
struct Row {
    number: usize,
    way: String,
    stopper: String,
    proofs: Vec<String>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

fn rows() -> Vec<Row> {
    let text = fs::read_to_string(root().join("docs/DESIGN.md")).expect("the table is there");
    let rows = text.lines().filter_map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [number, way, stopper, .., proof] = cells.as_slice() else { return None };
        let number = number.parse().ok()?;
        // Every other piece between backticks is inside a pair of them.
        let proofs = proof.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        Some(Row { number, way: (*way).to_owned(), stopper: (*stopper).to_owned(), proofs })
    });
    rows.collect()
}

/// `group/case` is a program that must not compile; `binary::file::test` is a test.
fn exists(proof: &str) -> bool {
    if proof.contains('/') {
        return super::here().join(proof).with_extension("rs").exists();
    }
    let mut path: Vec<&str> = proof.split("::").collect();
    let test = path.pop().expect("split gives one at least");
    let file = root().join("tests").join(path.join("/")).with_extension("rs");
    fs::read_to_string(file).is_ok_and(|text| text.contains(&format!("fn {test}(")))
}

#[test]
fn every_row_names_a_proof_that_exists() {
    let rows = rows();
    assert!(rows.len() >= 40, "only {} rows", rows.len());
    for (at, Row { number, way, stopper, proofs }) in rows.iter().enumerate() {
        assert_eq!(*number, at + 1, "rows are counted through: {way}");
        let is_program = |proof: &String| proof.contains('/');
        match stopper.as_str() {
            "compiler" | "macro" => assert!(proofs.iter().any(is_program), "row {number} names no program: {way}"),
            "runtime" => assert!(proofs.iter().any(|proof| !is_program(proof)), "row {number} names no test: {way}"),
            "nothing" => {}
            other => panic!("row {number}: `{other}` stops nothing"),
        }
        for proof in proofs {
            assert!(exists(proof), "row {number}: `{proof}` does not exist");
        }
    }
}

#[test]
fn every_program_that_tries_to_escape_is_in_the_table() {
    let named: BTreeSet<String> = rows().into_iter().flat_map(|row| row.proofs).collect();
    for program in super::programs("escapes") {
        let case = format!("escapes/{}", program.file_stem().expect("a name").to_string_lossy());
        assert!(named.contains(&case), "{case} is in no row");
    }
}
